//! Finds a pin without asking for it: takes the descriptor of the newest `pins.arrow` from the daemon and searches the file, which is sorted by
//! key. `find_pin SOCKET KEY`, the key in hex: the digest of a sha2-256 CID.
//!
//! Nothing is read but the footer and the few rows that the search meets, so ten million pins take as long as a thousand.

use arrow_ipc::reader::read_footer_length;
use arrow_ipc::{Block, root_as_footer, root_as_message};
use proto_msgs::Client;
use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The columns `key` and `id` have two buffers each, what is null and the values; then come those of `cid`: nulls, ends, text.
const KEYS: usize = 1;
const CID_ENDS: usize = 5;
const CIDS: usize = 6;
const TRAILER: usize = 10;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (socket, hex) = args.next().zip(args.next()).ok_or("find_pin SOCKET KEY")?;
    let byte = |at: usize| u8::from_str_radix(hex.get(at..at + 2).unwrap_or_default(), 16);
    let key = (0..32).map(|n| byte(2 * n)).collect::<Result<Vec<u8>, _>>()?;
    let (at, fd) = Client::connect(Path::new(&socket), "find_pin")?.snapshot_fd(None)?;
    let pins = Pins(File::from(fd));
    let found = pins.find(&key)?.ok_or("it is not pinned")?;
    writeln!(std::io::stdout(), "{found} generation {}", at.manifest.generation)?;
    Ok(())
}

struct Pins(File);

impl Pins {
    fn bytes(&self, at: u64, length: usize) -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.0.read_exact_at(&mut bytes, at)?;
        Ok(bytes)
    }

    fn find(&self, key: &[u8]) -> Result<Option<String>, Box<dyn Error>> {
        let end = self.0.metadata()?.len() - TRAILER as u64;
        let footer = read_footer_length(self.bytes(end, TRAILER)?.try_into().map_err(|_| "no trailer")?)?;
        let footer = self.bytes(end - footer as u64, footer)?;
        let footer = root_as_footer(&footer).map_err(|error| error.to_string())?;
        let blocks: Vec<Block> = footer.recordBatches().into_iter().flatten().copied().collect();
        // The first batch whose last key is not below, and in it the first such row.
        let (mut low, mut high) = (0, blocks.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let batch = Batch::read(self, &blocks[middle])?;
            if batch.key(self, batch.rows - 1)?.as_slice() < key { low = middle + 1 } else { high = middle }
        }
        let Some(block) = blocks.get(low) else { return Ok(None) };
        let batch = Batch::read(self, block)?;
        let (mut low, mut high) = (0, batch.rows);
        while low < high {
            let middle = low + (high - low) / 2;
            if batch.key(self, middle)?.as_slice() < key { low = middle + 1 } else { high = middle }
        }
        if batch.key(self, low)? == key { batch.cid(self, low).map(Some) } else { Ok(None) }
    }
}

struct Batch {
    rows: u64,
    /// Where each buffer is in the file.
    buffers: Vec<u64>,
}

impl Batch {
    fn read(pins: &Pins, block: &Block) -> Result<Batch, Box<dyn Error>> {
        let (at, length) = (block.offset().cast_unsigned(), block.metaDataLength().cast_unsigned());
        let message = pins.bytes(at, length as usize)?;
        let message = root_as_message(&message[8..]).map_err(|error| error.to_string())?;
        let batch = message.header_as_record_batch().ok_or("no batch")?;
        let place = |buffer: &arrow_ipc::Buffer| at + u64::from(length) + buffer.offset().cast_unsigned();
        Ok(Batch {
            rows: batch.length().cast_unsigned(),
            buffers: batch.buffers().into_iter().flatten().map(place).collect(),
        })
    }

    fn key(&self, pins: &Pins, row: u64) -> std::io::Result<Vec<u8>> {
        pins.bytes(self.buffers[KEYS] + 32 * row, 32)
    }

    fn cid(&self, pins: &Pins, row: u64) -> Result<String, Box<dyn Error>> {
        let ends = pins.bytes(self.buffers[CID_ENDS] + 4 * row, 8)?;
        let end = |at: usize| ends[at..at + 4].try_into().map(u32::from_le_bytes).unwrap_or_default();
        Ok(String::from_utf8(pins.bytes(self.buffers[CIDS] + u64::from(end(0)), (end(4) - end(0)) as usize)?)?)
    }
}
