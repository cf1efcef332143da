//! The binary form. This is the only file that names bincode.
//!
//! A connection begins with [`PREAMBLE`] (`\0KIT` and a u16 version, little-endian) and one frame with a [`Hello`], in both
//! directions. Every frame is a u32 little-endian length and so many bytes of bincode 2 (`config::standard()`). When the
//! [schema hashes](crate::SCHEMA_HASH) differ the daemon closes after its hello, having read nothing else, and the client
//! speaks JSON on a new connection.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::io::{self, Read};

/// First byte of the binary form.
pub const FIRST_BYTE: u8 = 0;

/// Version of the framing.
pub const VERSION: u16 = 1;

/// `\0KIT` and [`VERSION`].
pub const PREAMBLE: [u8; 6] = [0, b'K', b'I', b'T', VERSION.to_le_bytes()[0], VERSION.to_le_bytes()[1]];

/// The longest hello, in bytes.
pub const MAX_HELLO: usize = 4096;

/// What each side says first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`crate::SCHEMA_HASH`] of the sender.
    pub schema: String,
    /// The sender's name and version, for logs.
    pub program: String,
    /// Optional abilities; unknown ones are ignored.
    pub features: Vec<String>,
}

impl Hello {
    /// The hello of a program built with this crate.
    pub fn of(program: &str) -> Hello {
        Hello { schema: crate::SCHEMA_HASH.trim().to_owned(), program: program.to_owned(), features: Vec::new() }
    }
}

/// Why bytes are no message.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Longer than the limit.
    #[error("a message of {length} bytes is longer than the {limit} allowed")]
    TooLong {
        /// What the peer announced.
        length: usize,
        /// What is allowed.
        limit: usize,
    },
    /// Not a message of this schema.
    #[error("the bytes are no message of this schema: {0}")]
    Malformed(String),
    /// A message and something after it.
    #[error("{0} bytes follow the message in its frame")]
    Trailing(usize),
}

// Bounds what a hostile length inside a message can make the decoder allocate; frames are bounded before that.
const LIMIT: usize = crate::MAX_RESPONSE;

fn config() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<LIMIT>()
}

/// One message without its length.
pub fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    // Encoding into memory fails only for types that bincode can't carry (tests/forms.rs walks every type) or past LIMIT.
    bincode::serde::encode_to_vec(message, config()).unwrap_or_default()
}

/// One frame: length and message.
pub fn frame<T: Serialize>(message: &T) -> Vec<u8> {
    let body = encode(message);
    let mut frame = Vec::with_capacity(4 + body.len());
    frame.extend_from_slice(&(body.len() as u32).to_le_bytes());
    frame.extend_from_slice(&body);
    frame
}

/// One message from exactly these bytes.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let (message, read) =
        bincode::serde::decode_from_slice(bytes, config()).map_err(|e| DecodeError::Malformed(e.to_string()))?;
    if read == bytes.len() { Ok(message) } else { Err(DecodeError::Trailing(bytes.len() - read)) }
}

/// Checks an announced length.
pub fn check_length(length: u32, limit: usize) -> Result<usize, DecodeError> {
    let length = length as usize;
    if length <= limit { Ok(length) } else { Err(DecodeError::TooLong { length, limit }) }
}

/// Reads one frame; beyond 64 KiB the buffer grows with what arrives, not with what was announced. `InvalidData`: longer than `limit`.
pub fn read_frame(from: &mut impl Read, limit: usize) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length =
        check_length(u32::from_le_bytes(length), limit).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
    let mut body = Vec::with_capacity(length.min(64 << 10));
    from.take(length as u64).read_to_end(&mut body)?;
    if body.len() == length { Ok(body) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}
