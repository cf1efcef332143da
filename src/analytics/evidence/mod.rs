//! Where accesses come from.
//!
//! ```text
//! kubo      looks into Kubo's log of requests      requests  which of them are new, and reads (pure)
//! follow    follows logs of web servers            log_file  one of them    web_line  a line of it (pure)
//! import    takes lines that a client has read
//! mfs       takes changes of MFS
//! settle    asks Kubo which pin keeps what was read
//! content   what a path names (pure)
//! health    what is known of the sources themselves
//! recorder  what all sources tell, on its way into the index
//! ```
//! A source that was read up to some place keeps that place together with what it told, so that nothing counts twice, whoever ends when.
//! None of them holds anybody up, and each can be switched off and on while the daemon runs.

pub mod content;
pub mod follow;
pub mod health;
pub mod import;
pub(super) mod kubo;
pub mod log_file;
pub(super) mod mfs;
pub mod recorder;
pub mod requests;
pub(super) mod settle;
pub mod web_line;

use super::actor::AnalyticsArgs;

/// Reads all of them for as long as it is not dropped.
pub(super) async fn run(args: AnalyticsArgs) {
    tokio::join!(
        health::run(args.clone()),
        kubo::run(args.clone()),
        follow::run(args.clone()),
        mfs::run(args.clone()),
        settle::run(args),
    );
}
