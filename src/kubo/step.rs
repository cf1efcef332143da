//! What the state machine takes and gives: what is wanted, what has happened, what to do, what has changed. Pure.

use proto_msgs::kubo::{Held, KuboState};
use std::time::Duration;

/// What a person, or the end of the daemon, wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Kubo runs.
    Run,
    /// Kubo is stopped until somebody asks for a start.
    Stop,
    /// The daemon ends: Kubo is stopped for good.
    End,
}

/// What has happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A person asks for a start.
    StartAsked,
    /// A person asks for a stop.
    StopAsked,
    /// A person asks for a restart.
    RestartAsked,
    /// The daemon ends.
    DaemonEnds,
    /// Lock, repo and program were looked at: a start may be tried, or why not.
    Judged(Result<(), Held>),
    /// There is a child.
    Spawned,
    /// There is none, because the repo cannot be made or the program cannot be started.
    NotSpawned(Held),
    /// The API answered with the expected PeerID, and the repo is usable.
    ProbeGood,
    /// It did not, or said that it is not well: in one sentence.
    ProbeBad(String),
    /// The child has ended, or the Kubo that somebody else runs is gone.
    Exited {
        /// In one sentence.
        how: String,
        /// Why it is of no use to try again.
        permanent: Option<Held>,
    },
    /// Something that Kubo may be held for has changed.
    CauseChanged,
    /// The time that [`Machine::timer`] named has come.
    Timer,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Look at lock, repo and program, and answer with [`Event::Judged`].
    Judge,
    /// Make the repo, where there is to be one, and start the child.
    Spawn,
    /// Send the one stop signal.
    Terminate,
    /// End it at once.
    Kill,
}

/// Times that the configuration sets.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From the stop signal to SIGKILL.
    pub stop_grace: Duration,
    /// From the spawn to ready; a child that takes longer is degraded until it is ready after all.
    pub start_timeout: Duration,
    /// From degraded to the restart of a child that was ready; zero: never.
    pub hang_limit: Duration,
}

/// A change of state, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The state before.
    pub from: KuboState,
    /// The state after.
    pub to: KuboState,
    /// For programs; of a held Kubo the cause that it is held for.
    pub cause: String,
    /// For people: what it rests on.
    pub evidence: String,
}
