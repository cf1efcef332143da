//! The conversation: connects at the first question, with the daemon or with what answers in its place, and holds every answer to
//! `--timeout` and `--max-age`.

use crate::args::{Global, Offline};
use crate::exit::Failure;
use crate::offline::{self, Reader};
use crate::output::span;
use crate::socket;
use jiff::Timestamp;
use proto_msgs::daemon::Status;
use proto_msgs::snapshot::{SnapshotManifest, SnapshotPath};
use proto_msgs::verb::{Part, Verb};
use proto_msgs::vfs::VfsInfo;
use proto_msgs::{Client, ClientError};
use std::io;
use std::time::{Duration, Instant};

/// The daemon, as this command line names it.
pub(crate) struct Ask {
    global: Global,
    client: Option<Client>,
    /// Who answers in the place of the daemon, and what the process at the other end of `client` is then.
    offline: Option<Offline>,
    reader: Option<Reader>,
    /// The snapshot that answers are from.
    snapshot: Option<SnapshotManifest>,
    /// Until when nobody's answer is no failure.
    patience: Option<Instant>,
}

/// Between two tries to connect.
const RETRY: Duration = Duration::from_millis(100);

impl Ask {
    pub(crate) fn new(global: Global, offline: Option<Offline>) -> Ask {
        Ask { global, client: None, offline, reader: None, snapshot: None, patience: None }
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
        match (failed, reply) {
            (Some(failure), _) => Err(failure),
            (None, Err(ClientError::Silent(_))) if self.reader.is_some() => Err(late()),
            (None, Err(error @ (ClientError::Closed | ClientError::Broken(_)))) => {
                Err(self.reader.take().map_or(Failure::Client(error), Reader::last_words))
            }
            (None, reply) => Ok(reply?),
        }
    }

    /// Refuses an index that is older than `--max-age`, before anything of it is printed.
    pub(crate) fn check_age(&mut self) -> Result<(), Failure> {
        self.check(|ask| Ok(ask.call(Status {})?.index.age_s), "the index", "the index has not been refreshed yet")
    }

    /// The same of what the index has of MFS.
    pub(crate) fn check_age_of_mfs(&mut self) -> Result<(), Failure> {
        let age = |ask: &mut Ask| Ok(ask.call(VfsInfo { path: "/".to_owned() })?.age_s);
        self.check(age, "the tree of MFS", "MFS has not been walked yet")
    }

    fn check(
        &mut self,
        age: impl FnOnce(&mut Ask) -> Result<Option<f64>, Failure>,
        what: &str,
        never: &str,
    ) -> Result<(), Failure> {
        let Some(most) = self.global.max_age else { return Ok(()) };
        let age = match self.offline {
            Some(_) => self.age_of_snapshot()?,
            None => age(self)?,
        };
        match age {
            Some(age) if age <= most.as_secs_f64() => Ok(()),
            Some(age) => {
                let (age, most) = (span(age), span(most.as_secs_f64()));
                Err(Failure::Stale(format!("{what} is {age} old and --max-age is {most}")))
            }
            None => Err(Failure::Stale(never.to_owned())),
        }
    }

    fn age_of_snapshot(&mut self) -> Result<Option<f64>, Failure> {
        self.connect()?;
        let as_of = self.snapshot.as_ref().and_then(|snapshot| snapshot.as_of.as_deref()?.parse::<Timestamp>().ok());
        Ok(as_of.map(|as_of| Timestamp::now().duration_since(as_of).as_secs_f64()))
    }

    /// Waits for the end of the daemon, for `--timeout` at most.
    pub(crate) fn wait_for_end(self) -> Result<(), Failure> {
        let ended = self.client.is_none_or(|client| client.wait_for_end(self.global.timeout));
        if ended { Ok(()) } else { Err(Failure::StillThere) }
    }

    /// What is left of the time, where it took some until somebody answered.
    fn connect(&mut self) -> Result<Option<Duration>, Failure> {
        let left = |until: Instant| until.saturating_duration_since(Instant::now());
        if let Some(what) = self.offline {
            return self.read_offline(what);
        }
        let mut waited = false;
        while self.client.is_none() {
            let time = self.patience.map(left);
            match socket::connect(self.global.socket.as_deref(), time.or(self.global.timeout)) {
                Ok(client) => self.client = Some(client),
                // Not there yet, or about to go.
                Err(Failure::Unreachable(_) | Failure::Client(ClientError::Closed)) if time > Some(RETRY) => {
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
            self.snapshot = Some(at.manifest);
        }
        Ok(self.global.timeout.map(|timeout| timeout.saturating_sub(began.elapsed())))
    }
}
