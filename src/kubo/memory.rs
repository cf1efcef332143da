//! What of Kubo survives a restart of the actor, as old as the process: the state machine, what is known of the repo and of the
//! children so far, the RPC listener; how the next child is started from that, and what is reported of it.

use super::address::Address;
use super::process::{ChildState, Launch};
use super::repo::{Found, Repo};
use super::rpc::Rpc;
use super::signs::Marks;
use super::state::{Effect, Machine, Transition};
use crate::config::Config;
use crate::instance;
use crate::janitor::evidence::Looks;
use crate::outside::Turns;
use jiff::{SignedDuration, Timestamp};
use proto_msgs::event::KuboChange;
use proto_msgs::kubo::{KuboExit, KuboMode, KuboReport, KuboState};
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long Kubo itself waits for a lock that is just being released.
const WAIT_REPO_LOCK: &str = "10s";

/// What survives a restart of the actor.
pub struct Memory {
    began: Instant,
    /// When the machine came to its state, and when it tries next (by its own time and the wall clock's): taken when that
    /// happened, since the two clocks part in a suspend.
    since: Timestamp,
    next_try: Option<(Duration, Timestamp)>,
    pub(super) machine: Machine,
    /// What the next child is to be started on.
    pub(super) found: Option<Found>,
    pub(super) repo: Option<Repo>,
    /// For what touches the repo's files.
    pub(super) turns: Turns,
    /// What former looks saw of locks that one look alone can't judge.
    pub(super) looks: Arc<Mutex<Looks>>,
    pub(super) version: Option<String>,
    pub(super) peers: Option<u64>,
    /// What the last look at the repo saw of what a person would change to mend it.
    pub(super) marks: Marks,
    pub(super) change: Option<KuboChange>,
    /// The newest child that the machine knows of.
    pub(super) run: u64,
    pub(super) last_exit: Option<KuboExit>,
    pub(super) listener: Option<UnixListener>,
}

impl Memory {
    /// Before the first start; `stopped`: since when Kubo is to stay stopped.
    pub fn new(config: &Config, stopped: Option<Timestamp>) -> Arc<Mutex<Memory>> {
        let machine = match stopped {
            // What somebody else runs is not ours to keep stopped.
            _ if config.attach.is_some() => Machine::follows(),
            Some(_) => Machine::stays_stopped(),
            None => Machine::new(),
        };
        Arc::new(Mutex::new(Memory {
            began: Instant::now(),
            since: stopped.unwrap_or_else(Timestamp::now),
            next_try: None,
            machine,
            found: None,
            repo: None,
            turns: Turns::default(),
            looks: Arc::default(),
            version: None,
            peers: None,
            marks: Marks::default(),
            change: None,
            run: 0,
            last_exit: None,
            listener: None,
        }))
    }

    pub(super) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// A step of the machine, at this time and with this jitter: what to do, and what has changed.
    pub(super) fn step(
        &mut self,
        step: impl FnOnce(&mut Machine, Duration, f64) -> Vec<Effect>,
    ) -> (Vec<Effect>, Vec<KuboChange>) {
        let now = self.now();
        let effects = step(&mut self.machine, now, rand::random());
        let told = |Transition { from, to, cause, evidence }| KuboChange { from, to, cause, evidence };
        let changes: Vec<KuboChange> = self.machine.take_transitions().into_iter().map(told).collect();
        if let Some(last) = changes.last() {
            self.since = Timestamp::now();
            self.change = Some(last.clone());
        }
        let next = self.machine.next_try();
        if next != self.next_try.map(|(at, _)| at) {
            let wait = |at: Duration| SignedDuration::try_from(at.saturating_sub(self.now())).ok();
            let wall = |at| Timestamp::now().checked_add(wait(at)?).ok();
            self.next_try = next.and_then(|at| Some((at, wall(at)?)));
        }
        (effects, changes)
    }

    /// The way to its RPC, where there is one already.
    pub(super) fn rpc(&self) -> Option<Rpc> {
        self.repo.as_ref().map(|repo| repo.rpc.clone())
    }

    /// How the next child is started: on the RPC socket, which is bound once and outlives children.
    pub(super) fn launch(&mut self, config: &Config) -> io::Result<Launch> {
        let program = self.repo.as_ref().and_then(|repo| repo.program.clone());
        let program = program.ok_or_else(|| io::Error::other("the repo was not looked at"))?;
        let path = rpc_socket(config);
        let listener = match &self.listener {
            // Somebody may have removed it, with the directory that it is in.
            Some(listener) if path.exists() => listener.try_clone()?,
            _ => {
                instance::private_dir(&config.private_dir(), false).map_err(io::Error::other)?;
                // The runtime dir is locked by us, so a socket that is there is a dead daemon's.
                match std::fs::remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
                self.listener.insert(UnixListener::bind(&path)?).try_clone()?
            }
        };
        let mut args: Vec<OsString> = vec!["daemon".into(), "--migrate=true".into()];
        args.extend(config.kubo_args.iter().map(OsString::from));
        let env = vec![
            ("IPFS_PATH", config.ipfs_path.clone().into()),
            ("NOTIFY_SOCKET", notify_socket(config).into()),
            ("LISTEN_FDS", "1".into()),
            ("LISTEN_FDNAMES", "io.ipfs.api".into()),
            ("IPFS_WAIT_REPO_LOCK", WAIT_REPO_LOCK.into()),
        ];
        Ok(Launch { program, args, env, listener: OwnedFd::from(listener) })
    }

    /// For `kubo status`.
    pub(super) fn report(&self, config: &Config, child: &ChildState) -> KuboReport {
        let machine = &self.machine;
        let pid = match child {
            ChildState::Running { pid, .. } => Some(*pid),
            _ => None,
        };
        KuboReport {
            state: machine.state(),
            since: crate::time::text(self.since),
            change: self.change.clone(),
            held: machine.held().cloned(),
            pid,
            last_look: machine.last_bad().map(str::to_owned),
            peers: self.peers,
            version: self.version.clone(),
            restarts: self.run.saturating_sub(1),
            last_exit: self.last_exit.clone(),
            next_retry: self.next_try.map(|(_, at)| crate::time::text(at)),
            ..match &self.repo {
                Some(node) => of_node(config, node),
                None => before_start(config),
            }
        }
    }
}

fn of_node(config: &Config, node: &Repo) -> KuboReport {
    KuboReport {
        peer_id: Some(node.peer_id.clone()),
        repo: node.repo.as_ref().map(|repo| repo.display().to_string()),
        binary: node.program.as_ref().map(|program| program.display().to_string()),
        rpc: node.rpc.address().to_string(),
        api: node.api.clone(),
        warnings: node.warnings.clone(),
        ..before_start(config)
    }
}

/// The report before the actor has run.
pub fn before_start(config: &Config) -> KuboReport {
    KuboReport {
        state: KuboState::Backoff,
        since: crate::time::now(),
        mode: if config.attach.is_some() { KuboMode::Attach } else { KuboMode::Spawn },
        change: None,
        held: None,
        pid: None,
        memory: None,
        peers: None,
        newest_line: None,
        last_look: None,
        peer_id: None,
        version: None,
        repo: config.names_repo().then(|| config.ipfs_path.display().to_string()),
        binary: config.attach.is_none().then(|| config.kubo.display().to_string()),
        rpc: match &config.attach {
            Some(attach) => attach.to_string(),
            None => Address::Unix(rpc_socket(config)).to_string(),
        },
        api: Vec::new(),
        warnings: Vec::new(),
        restarts: 0,
        last_exit: None,
        next_retry: None,
    }
}

pub(super) fn rpc_socket(config: &Config) -> PathBuf {
    config.private_dir().join("kubo-rpc.sock")
}

pub(super) fn notify_socket(config: &Config) -> PathBuf {
    config.private_dir().join("kubo-notify.sock")
}

/// What is left to remove when everything has ended.
pub fn sockets(config: &Config) -> [PathBuf; 2] {
    [rpc_socket(config), notify_socket(config)]
}
