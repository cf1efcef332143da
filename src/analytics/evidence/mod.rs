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

use crate::board::Board;
use crate::config::Config;
use crate::index::actor::Index;
use crate::supervisor::Life;
use kameo::actor::ActorRef;
use recorder::Recorder;
use std::sync::Arc;
use tokio::sync::watch;

/// What the sources stand on.
#[derive(Clone)]
pub struct Ends {
    /// Where errors are told.
    pub life: Arc<Life>,
    /// What the others publish, and where the sources are.
    pub board: Arc<Board>,
    /// The configuration in force.
    pub config: watch::Receiver<Arc<Config>>,
    /// The index.
    pub index: ActorRef<Index>,
    /// Who keeps what they tell.
    pub recorder: Recorder,
}

/// Reads all of them for as long as it is not dropped.
pub(super) async fn run(ends: Ends) {
    tokio::join!(
        health::run(ends.clone()),
        kubo::run(ends.clone()),
        follow::run(ends.clone()),
        mfs::run(ends.clone()),
        settle::run(ends),
    );
}
