//! The `ipfs-kitd` protocol: what a client and the daemon say to each other over the Unix socket.
//!
//! # Two forms, one set of types
//! The first byte of a connection decides its form.
//!
//! **JSON lines** (`{`): the stable form, for every language. One request a line, any number at once, told apart by `id`:
//! ```text
//! → {"id":1,"call":{"pin_info":{"cid":"bafkqaaa"}}}
//! ← {"id":1,"done":{"pin_info":{…}}}
//! ```
//! A call is answered by zero or more `{"id":…,"part":{…}}` and then by exactly one `{"id":…,"done":{…}}` or
//! `{"id":…,"fault":{"kind":"…","detail":"…","hint":"…"}}`. Fields that a reader does not know are to be ignored; fields
//! that a request leaves out have the default that the type documents.
//!
//! **Binary** (`\0KIT`, [`binary`]): the same messages in bincode, behind u32 little-endian lengths, for programs built against
//! this very version of the types: both sides send the [schema hash](SCHEMA_HASH) first, and when it differs a client speaks JSON.
//!
//! # What a reply means
//! That the effect has happened; for what cannot be rebuilt, that it is on disk. Every answer from the index says how old it
//! is (`as_of`, `age_s`, `generation`, `complete`, `source`); what was never measured is `null`.
//!
//! # Where things stand
//! [`verb`] ties each verb to its reply, [`pin`], [`bulk`], [`kubo`], [`lock`], [`log`], [`event`], [`doctor`], [`snapshot`], [`state`],
//! [`access`], [`analytics`], [`daemon`] hold their types, [`fault`] what can go wrong,
//! [`client`] is a blocking client that needs nothing but this crate.

pub mod access;
pub mod analytics;
pub mod binary;
pub mod bulk;
pub mod client;
pub mod daemon;
pub mod doctor;
pub mod event;
pub mod fault;
pub mod json;
pub mod kubo;
pub mod legacy;
pub mod limits;
pub mod lock;
pub mod log;
pub mod mask;
pub mod pin;
pub mod snapshot;
pub mod state;
pub mod upkeep;
pub mod verb;
pub mod vfs;

pub use client::{Client, ClientError};
pub use fault::{Fault, FaultKind};
pub use verb::{Call, Done, Part, Request, Response, Verb};

/// Version of the JSON documents that `ipfs-kitctl -o json` prints and of the meaning of the fields in this crate.
/// It rises when a field changes its meaning or goes away, not when one is added.
pub const SCHEMA_VERSION: u32 = 1;

/// SHA-256 of `schema.json`, the description of every type of this crate: two programs whose hashes are equal may speak the
/// binary form to each other.
pub const SCHEMA_HASH: &str = include_str!("../schema.sha256");

/// The longest request in either form, in bytes.
pub const MAX_REQUEST: usize = 1 << 20;

/// The longest single message from the daemon, in bytes; long answers come in parts far below it.
pub const MAX_RESPONSE: usize = 8 << 20;

/// Name of the socket in the runtime directory.
pub const SOCKET_NAME: &str = "ipfs-kitd.sock";
