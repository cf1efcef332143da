//! How it is to misbehave: `$FAKE_KUBO_SCRIPT`, read anew each time, so that a test changes it while it runs.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

/// Everything is off unless the script says otherwise.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Script {
    /// Exit with this code instead of becoming ready.
    pub(crate) exit_at_start: Option<u8>,
    /// Say this before it is ready, or ends.
    pub(crate) last_words: String,
    /// Never say that it is ready, never serve.
    pub(crate) never_ready: bool,
    /// Go on after SIGTERM.
    pub(crate) ignore_term: bool,
    /// Leave a process behind in its process group.
    pub(crate) leave_grandchild: bool,
    /// Leave a process behind in a session of its own.
    pub(crate) leave_session: bool,
    /// That process is to have nothing in its environment.
    pub(crate) unmarked: bool,
    /// Leave so many processes behind that end at once.
    pub(crate) leave_zombies: u32,
    /// Write so many bytes without a line end before becoming ready.
    pub(crate) flood: usize,
    /// Take so many bytes of memory when it is ready, once.
    pub(crate) take_memory: usize,
    /// Accept requests and answer none.
    pub(crate) hang: bool,
    /// Answer, and say that it is not well.
    pub(crate) unhealthy: bool,
    /// Be online, with so many peers.
    pub(crate) peers: Option<usize>,
    /// Have this pin lack a block.
    pub(crate) broken: Option<String>,
    /// Be online, with so many bytes received and sent.
    pub(crate) traffic: Option<(u64, u64)>,
    /// Where `repo/stat` says that the repo has to end.
    pub(crate) storage_max: Option<u64>,
    /// End the body of a listing early.
    pub(crate) cut_listing: bool,
    /// End the body of a garbage collection early.
    pub(crate) cut_gc: bool,
    /// Put this into the trailer of a listing.
    pub(crate) stream_error: Option<String>,
    /// Calls of the kind `held` connect here, say their query, and are answered when a byte comes, as of their arrival.
    pub(crate) hold: Option<PathBuf>,
    /// Which calls `hold` is for.
    pub(crate) held: Held,
    /// Answer `id` with this PeerID.
    pub(crate) peer_id: Option<String>,
    /// What it has of these CIDs; of others it has no block.
    pub(crate) content: BTreeMap<String, Content>,
    /// Its log of requests, before the question for it.
    pub(crate) requests: Vec<serde_json::Value>,
    /// The pins that these CIDs are within.
    pub(crate) within: BTreeMap<String, String>,
    /// It hangs up on questions about what is in this CID, or what it is in, as Kubo does when it panics.
    pub(crate) panics_at: Option<String>,
}

/// What `files/stat` and `dag/stat` say of a CID.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Content {
    /// Cumulative size of its root.
    pub(crate) cumulative: u64,
    /// Links of its root.
    pub(crate) links: u64,
    /// It is a directory.
    pub(crate) directory: bool,
    /// Bytes of all blocks; without it, some are missing.
    pub(crate) whole: Option<u64>,
}

#[derive(Clone, Copy, Deserialize, Default, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Held {
    /// `pin/ls` without an argument.
    #[default]
    Listing,
    /// `pin/ls` of one CID.
    Look,
    /// `pin/add`, which has pinned by then.
    Add,
    /// `dag/stat`.
    Whole,
    /// `stats/bw`.
    Traffic,
}

impl Script {
    /// Returns at once unless calls of this kind are held.
    pub(crate) fn hold(&self, kind: Held, query: &str) {
        let Some(path) = self.hold.as_ref().filter(|_| self.held == kind) else { return };
        if let Ok(mut test) = UnixStream::connect(path) {
            let _ = writeln!(test, "{query}");
            let _ = test.read(&mut [0]);
        }
    }
}

pub(crate) fn read() -> Script {
    let text = std::env::var_os("FAKE_KUBO_SCRIPT").and_then(|path| std::fs::read_to_string(path).ok());
    text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}

/// Appends a line to `$FAKE_KUBO_LOG`.
pub(crate) fn record(line: &str) {
    let Some(path) = std::env::var_os("FAKE_KUBO_LOG") else { return };
    if let Ok(mut log) = OpenOptions::new().append(true).create(true).open(path) {
        // One write, so that lines of two processes do not mix.
        let _ = log.write_all(format!("{line}\n").as_bytes());
    }
}
