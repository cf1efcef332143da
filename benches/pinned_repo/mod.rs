//! A repo with many real pins: each a raw block of a few bytes under its sha2-256, imported by CAR files whose roots are pinned.
//! Made once (a million take some ten minutes) and kept in the cache.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Roots in one CAR file; its header has to stay below 32 MiB.
const ROOTS: u64 = 100_000;

/// The place of the repo with so many pins, and one that a new repo has of its own.
pub(crate) fn prepared(kubo: &Path, pins: u64) -> PathBuf {
    let cache = std::env::var_os("IPFS_KITD_CACHE").map(PathBuf::from).unwrap_or_else(|| {
        let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let base = base.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
        base.expect("HOME is set").join("ipfs-kitd")
    });
    let done = cache.join("pins").join(format!("{pins}"));
    if done.exists() {
        return done;
    }
    let making = done.with_extension("making");
    let _ = std::fs::remove_dir_all(&making);
    std::fs::create_dir_all(&making).expect("a cache");
    run(kubo, &making, &["init", "--profile=test,pebbleds"]);
    let car = making.join("import.car");
    for first in (0..pins).step_by(ROOTS as usize) {
        let numbers = first..pins.min(first + ROOTS);
        writeln!(std::io::stderr(), "preparing {pins} pins, once: {} so far", numbers.start).expect("written");
        write_car(&car, numbers).expect("a CAR file");
        run(kubo, &making, &["dag", "import", "--pin-roots", "--silent", &car.display().to_string()]);
    }
    std::fs::remove_file(&car).expect("removed");
    std::fs::rename(&making, &done).expect("renamed");
    done
}

fn run(kubo: &Path, repo: &Path, args: &[&str]) {
    let mut command = Command::new(kubo);
    command.args(args).env("IPFS_PATH", repo).stdin(Stdio::null()).stdout(Stdio::null());
    assert!(command.status().expect("Kubo runs").success(), "ipfs {args:?}");
}

/// The n-th CID, version 1, raw, and its block.
fn block(n: u64) -> ([u8; 36], [u8; 8]) {
    use sha2::Digest;
    let bytes = n.to_be_bytes();
    let mut cid = [0; 36];
    cid[..4].copy_from_slice(&[1, 0x55, 0x12, 32]);
    cid[4..].copy_from_slice(&sha2::Sha256::digest(bytes));
    (cid, bytes)
}

/// A CARv1: its header as dag-cbor (`{"roots":[…],"version":1}`), then each block, all with their lengths before them.
fn write_car(path: &Path, numbers: std::ops::Range<u64>) -> std::io::Result<()> {
    let mut header = vec![0xa2, 0x65];
    header.extend(b"roots");
    header.push(0x9a);
    header.extend(u32::try_from(numbers.end - numbers.start).expect("few roots").to_be_bytes());
    for n in numbers.clone() {
        // Tag 42, 37 bytes, of which the first is 0.
        header.extend([0xd8, 0x2a, 0x58, 37, 0]);
        header.extend(block(n).0);
    }
    header.push(0x67);
    header.extend(b"version");
    header.push(1);
    let mut out = BufWriter::new(File::create(path)?);
    varint(&mut out, header.len() as u64)?;
    out.write_all(&header)?;
    for n in numbers {
        let (cid, bytes) = block(n);
        varint(&mut out, (cid.len() + bytes.len()) as u64)?;
        out.write_all(&cid)?;
        out.write_all(&bytes)?;
    }
    out.into_inner()?.sync_all()
}

fn varint(out: &mut impl Write, mut number: u64) -> std::io::Result<()> {
    while number >= 0x80 {
        out.write_all(&[number as u8 | 0x80])?;
        number >>= 7;
    }
    out.write_all(&[number as u8])
}
