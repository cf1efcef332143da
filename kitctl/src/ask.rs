//! The conversation: connects at the first question, with the daemon or with what answers in its place, and holds every answer to
//! `--timeout` and `--max-age`.

use crate::args::Global;
use crate::command::Offline;
use crate::exit::Failure;
use crate::offline::{self, Reader};
use crate::output::{Waiting, span};
use crate::socket;
use jiff::Timestamp;
use proto_msgs::daemon::Status;
use proto_msgs::snapshot::{SnapshotAt, SnapshotPath};
use proto_msgs::state::StateReport;
use proto_msgs::verb::{Part, Verb};
use proto_msgs::vfs::VfsInfo;
use proto_msgs::{Client, ClientError, FaultKind};
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// The daemon, as this command line names it.
pub(crate) struct Ask {
    global: Global,
    client: Option<Client>,
    /// What could answer in the place of the daemon, and, where it does, the process at the other end of `client`.
    offline: Option<Offline>,
    reader: Option<Reader>,
    /// As of when the snapshot is that answers are from.
    as_of: Option<String>,
    /// Until when nobody's answer is no failure.
    patience: Option<Instant>,
}

/// Between two tries to connect.
const RETRY: Duration = Duration::from_millis(100);

/// What makes an answer newer.
const REFRESH: &str = "`ipfs-kitctl index refresh --wait` renews the index";
/// A refresh of the index is not about MFS.
const LOOKS: &str = "the daemon looks at MFS every `interval`, while Kubo is running and refreshes are not paused; `ipfs-kitctl index info` says more";
const NEWER: &str = "only the daemon has anything newer: ask it once it runs, without --offline";

impl Ask {
    pub(crate) fn new(global: Global, offline: Option<Offline>) -> Ask {
        Ask { global, client: None, offline, reader: None, as_of: None, patience: None }
    }

    pub(crate) fn global(&self) -> &Global {
        &self.global
    }

    /// One question that may take long: on a terminal a line says for how long meanwhile.
    pub(crate) fn call_slowly<V: Verb>(&mut self, verb: V, what: &'static str) -> Result<V::Reply, Failure> {
        let _waiting = Waiting::new(what);
        self.call(verb)
    }

    /// Ends the conversation; the next question begins another one.
    pub(crate) fn hang_up(&mut self) {
        self.client = None;
    }

    /// Waits for the daemon to be there, for `--timeout` at most.
    pub(crate) fn patiently(&mut self) -> &mut Ask {
        self.patience = self.global.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        self
    }

    /// One question and its answer.
    pub(crate) fn call<V: Verb>(&mut self, verb: V) -> Result<V::Reply, Failure> {
        self.call_with(verb, |_| Ok(()))
    }

    /// One question, with the parts that come before its answer.
    pub(crate) fn call_with<V: Verb>(
        &mut self,
        verb: V,
        mut on_part: impl FnMut(Part) -> Result<(), Failure>,
    ) -> Result<V::Reply, Failure> {
        let timeout = self.connect()?.or(self.global.timeout);
        self.ask(verb, timeout, &mut on_part)
    }

    fn ask<V: Verb>(
        &mut self,
        verb: V,
        timeout: Option<Duration>,
        on_part: &mut dyn FnMut(Part) -> Result<(), Failure>,
    ) -> Result<V::Reply, Failure> {
        // The daemon looks after the time itself.
        let began = self.reader.is_some().then(Instant::now);
        let most = self.global.timeout.unwrap_or_default();
        let late = || Failure::Late(most);
        let mut failed = None;
        let client = self.client.as_mut().ok_or(Failure::Client(ClientError::Closed))?;
        let reply = client.call_with(verb, timeout, |part| {
            let in_time = || began.zip(timeout).is_none_or(|(began, timeout)| began.elapsed() <= timeout);
            let taken = if in_time() { on_part(part) } else { Err(late()) };
            taken.map_err(|failure| {
                failed = Some(failure);
                io::ErrorKind::Other.into()
            })
        });
        if let Err(ClientError::Fault(fault)) = &reply
            && self.reader.is_none()
            && matches!(fault.kind, FaultKind::Denied | FaultKind::Busy)
        {
            // It may be the connection that was refused, and then it is about to be closed.
            self.client = None;
        }
        match (failed, reply) {
            (Some(failure), _) => Err(failure),
            (None, Err(ClientError::Silent(_))) if self.reader.is_some() => Err(late()),
            (None, Err(error @ (ClientError::Closed | ClientError::Broken(_)))) => {
                Err(self.reader.take().map_or(Failure::Client(error), Reader::last_words))
            }
            (None, reply) => Ok(reply?),
        }
    }

    /// The newest snapshot and its `pins.arrow`.
    pub(crate) fn descriptor(&mut self) -> Result<(SnapshotAt, OwnedFd), Failure> {
        let timeout = self.connect()?.or(self.global.timeout);
        let client = self.client.as_mut().ok_or(Failure::Client(ClientError::Closed))?;
        Ok(client.snapshot_fd(timeout)?)
    }

    /// Refuses an index that is older than `--max-age`, before anything of it is printed.
    pub(crate) fn check_age(&mut self) -> Result<(), Failure> {
        let age = |ask: &mut Ask| Ok(ask.call(Status {})?.index.age_s);
        self.check(age, "the index", "the index has not been refreshed yet", REFRESH)
    }

    /// The same of what the index has of MFS.
    pub(crate) fn check_age_of_mfs(&mut self) -> Result<(), Failure> {
        let age = |ask: &mut Ask| Ok(ask.call(VfsInfo { path: "/".to_owned() })?.age_s);
        self.check(age, "the tree of MFS", "MFS has not been walked yet", LOOKS)
    }

    /// The same of the newest sample, which this verb asks for.
    pub(crate) fn check_age_of_sample<S>(&mut self, verb: impl Verb<Reply = StateReport<S>>) -> Result<(), Failure> {
        let age = |ask: &mut Ask| Ok(ask.call(verb)?.age_s);
        let hint = "a sample is taken every `state_interval` while Kubo is running";
        self.check(age, "the newest sample", "nothing was measured yet", hint)
    }

    /// The same of a look at all pins that is so old, in an answer that came with it.
    pub(crate) fn check_look(&self, age: Option<f64>) -> Result<(), Failure> {
        let hint = "the daemon looks at all pins every `analytics.interval`";
        self.judge(age, "the look at all pins", "no look at all pins has been taken yet", hint)
    }

    /// The same of the newest sample of the disk.
    pub(crate) fn check_disk(&self, as_of: Option<&str>) -> Result<(), Failure> {
        let hint = "a sample is taken every `state_interval` while Kubo is running";
        self.judge(age(as_of), "the newest sample of the disk", "the disk was not measured yet", hint)
    }

    /// The same of a snapshot that is as of then.
    pub(crate) fn check_snapshot(&self, as_of: Option<&str>) -> Result<(), Failure> {
        let never = "it is not known as of when the newest snapshot is";
        self.judge(age(as_of), "the newest snapshot", never, "`ipfs-kitctl snapshot now` makes one")
    }

    fn check(
        &mut self,
        age_of: impl FnOnce(&mut Ask) -> Result<Option<f64>, Failure>,
        what: &str,
        never: &str,
        hint: &'static str,
    ) -> Result<(), Failure> {
        if self.global.max_age.is_none() {
            return Ok(());
        }
        let found = if self.global.offline {
            self.connect()?;
            age(self.as_of.as_deref())
        } else {
            age_of(self)?
        };
        self.judge(found, what, never, hint)
    }

    fn judge(&self, age: Option<f64>, what: &str, never: &str, hint: &'static str) -> Result<(), Failure> {
        let Some(most) = self.global.max_age else { return Ok(()) };
        let detail = match age {
            Some(age) if age <= most.as_secs_f64() => return Ok(()),
            Some(age) => format!("{what} is {} old and --max-age is {}", span(age), span(most.as_secs_f64())),
            None => never.to_owned(),
        };
        Err(Failure::Stale(detail, if self.global.offline { NEWER } else { hint }))
    }

    /// Waits for the end of the daemon, for `--timeout` at most.
    pub(crate) fn wait_for_end(&mut self) -> Result<(), Failure> {
        let ended = self.client.take().is_none_or(|client| client.wait_for_end(self.global.timeout));
        if ended { Ok(()) } else { Err(Failure::StillThere) }
    }

    /// What is left of the time, where it took some until somebody answered.
    fn connect(&mut self) -> Result<Option<Duration>, Failure> {
        let left = |until: Instant| until.saturating_duration_since(Instant::now());
        if let Some(what) = self.offline.filter(|_| self.global.offline) {
            return self.read_offline(what);
        }
        // A pause in a batch was longer than the daemon keeps an idle connection.
        if self.reader.is_none() && self.client.as_ref().is_some_and(Client::is_over) {
            self.client = None;
        }
        let mut waited = false;
        while self.client.is_none() {
            let time = self.patience.map(left);
            match socket::connect(self.global.socket.as_deref(), time.or(self.global.timeout), self.offline.is_some()) {
                Ok(client) => self.client = Some(client),
                // Not there yet, or about to go.
                Err(Failure::Unreachable { .. } | Failure::Client(ClientError::Closed)) if time > Some(RETRY) => {
                    std::thread::sleep(RETRY);
                    waited = true;
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(self.patience.filter(|_| waited).map(left))
    }

    /// The same without the daemon. Which snapshot it is, and what is wrong with newer ones, is said before anything of it.
    fn read_offline(&mut self, what: Offline) -> Result<Option<Duration>, Failure> {
        if self.client.is_some() {
            return Ok(None);
        }
        let began = Instant::now();
        let (client, reader) = offline::connect(self.global.data_dir.as_deref(), what)?;
        (self.client, self.reader) = (Some(client), Some(reader));
        if what == Offline::Index {
            let at = self.ask(SnapshotPath {}, self.global.timeout, &mut |_| Ok(()))?;
            offline::introduce(&at, self.global.format());
            self.as_of = at.manifest.as_of;
        }
        Ok(self.global.timeout.map(|timeout| timeout.saturating_sub(began.elapsed())))
    }
}

/// Seconds since then.
fn age(as_of: Option<&str>) -> Option<f64> {
    let as_of = as_of?.parse::<Timestamp>().ok()?;
    Some(Timestamp::now().duration_since(as_of).as_secs_f64())
}
