//! The child process. One thread, as old as the daemon, spawns it and waits for it; everybody else has a [`Spawner`].
//!
//! The thread and not the actor owns the child because the kernel's parent-death signal follows the thread that forked, and
//! because a restarted actor must find the same child. It keeps two promises by itself: at most one child, and at most one
//! stop signal to each. Signals go to a pidfd, so a recycled PID is never hit.

use super::launch;
use jiff::Timestamp;
use proto_msgs::kubo::{KuboLogLine, KuboLogPage};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use tokio::sync::{oneshot, watch};

/// Lines of output that are kept.
const KEPT_LINES: usize = 2000;
/// A longer line is cut here and goes on as another one.
const LINE: u64 = 64 << 10;

/// What to start.
#[derive(Debug)]
pub struct Launch {
    /// Kubo's program, a path.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its environment beside what it inherits.
    pub env: Vec<(&'static str, OsString)>,
    /// The listener that it gets as descriptor 3.
    pub listener: OwnedFd,
}

/// The child, or the last one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChildState {
    /// There was none yet.
    None,
    /// It runs.
    Running {
        /// Its process id.
        pid: u32,
        /// Counts children; the first is 1.
        run: u64,
    },
    /// It has ended and was waited for.
    Exited {
        /// As above.
        run: u64,
        /// Exit code, unless a signal ended it.
        code: Option<i32>,
        /// Signal number.
        signal: Option<i32>,
        /// Whether it had been sent a signal by us.
        asked: bool,
        /// When.
        at: Timestamp,
    },
}

enum Order {
    Spawn(Launch, oneshot::Sender<io::Result<u32>>),
    Terminate,
    Kill,
}

/// A handle on the spawner thread.
#[derive(Clone)]
pub struct Spawner {
    orders: mpsc::Sender<Order>,
    wake: Arc<UnixStream>,
    child: watch::Receiver<ChildState>,
    log: Arc<Mutex<Log>>,
}

#[derive(Default)]
struct Log {
    lines: VecDeque<KuboLogLine>,
    dropped: u64,
}

impl Spawner {
    /// Starts the thread. `launcher` is the program whose hidden mode becomes Kubo: our own.
    pub fn start(launcher: PathBuf) -> io::Result<Spawner> {
        let (orders, incoming) = mpsc::channel();
        let (wake, woken) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        woken.set_nonblocking(true)?;
        let (publish, child) = watch::channel(ChildState::None);
        let log = Arc::new(Mutex::default());
        let thread = Thread { launcher, incoming, woken, publish, log: log.clone(), held: None, runs: 0 };
        thread::Builder::new().name("kubo-spawner".into()).spawn(move || thread.run())?;
        Ok(Spawner { orders, wake: Arc::new(wake), child, log })
    }

    /// Starts the child and answers with its PID; an error when there is one already.
    pub async fn spawn(&self, launch: Launch) -> io::Result<u32> {
        let (reply, answer) = oneshot::channel();
        self.order(Order::Spawn(launch, reply));
        answer.await.unwrap_or_else(|_| Err(io::Error::other("the spawner thread is gone")))
    }

    /// Sends the child its one stop signal (SIGTERM); does nothing when it had it already or is gone.
    pub fn terminate(&self) {
        self.order(Order::Terminate);
    }

    /// Ends the child and its process group at once.
    pub fn kill(&self) {
        self.order(Order::Kill);
    }

    /// The child as it changes.
    pub fn child(&self) -> watch::Receiver<ChildState> {
        self.child.clone()
    }

    /// The newest lines of output of all children.
    pub fn logs(&self, lines: usize) -> KuboLogPage {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let skip = log.lines.len().saturating_sub(lines);
        KuboLogPage { lines: log.lines.iter().skip(skip).cloned().collect(), dropped: log.dropped }
    }

    fn order(&self, order: Order) {
        if self.orders.send(order).is_ok() {
            // A full pipe means that the thread is about to look anyway.
            let _ = (&*self.wake).write(&[0]);
        }
    }
}

struct Held {
    child: Child,
    pidfd: OwnedFd,
    asked: bool,
    readers: Vec<thread::JoinHandle<()>>,
}

struct Thread {
    launcher: PathBuf,
    incoming: mpsc::Receiver<Order>,
    woken: UnixStream,
    publish: watch::Sender<ChildState>,
    log: Arc<Mutex<Log>>,
    held: Option<Held>,
    runs: u64,
}

impl Thread {
    fn run(mut self) {
        loop {
            let ended = {
                let mut fds = vec![PollFd::new(&self.woken, PollFlags::IN)];
                if let Some(held) = &self.held {
                    fds.push(PollFd::new(&held.pidfd, PollFlags::IN));
                }
                if let Err(error) = poll(&mut fds, None)
                    && error != rustix::io::Errno::INTR
                {
                    tracing::error!(%error, "the spawner thread cannot wait");
                    return;
                }
                fds.get(1).is_some_and(|fd| !fd.revents().is_empty())
            };
            if ended {
                self.reap();
            }
            let mut drained = [0; 64];
            while matches!((&self.woken).read(&mut drained), Ok(n) if n > 0) {}
            loop {
                match self.incoming.try_recv() {
                    Ok(order) => self.take(order),
                    Err(mpsc::TryRecvError::Empty) => break,
                    // Every handle is gone: the process is ending.
                    Err(mpsc::TryRecvError::Disconnected) => return,
                }
            }
        }
    }

    fn take(&mut self, order: Order) {
        match order {
            Order::Spawn(launch, reply) => {
                let spawned = self.spawn(launch);
                // A caller that has gone away reads the child's state instead.
                let _ = reply.send(spawned);
            }
            Order::Terminate => {
                if let Some(held) = &mut self.held
                    && !held.asked
                {
                    held.asked = true;
                    tracing::info!(pid = held.child.id(), "sending Kubo its stop signal");
                    signal(&held.pidfd, Signal::TERM);
                }
            }
            Order::Kill => {
                if let Some(held) = &mut self.held {
                    held.asked = true;
                    tracing::warn!(pid = held.child.id(), "killing Kubo");
                    signal(&held.pidfd, Signal::KILL);
                }
            }
        }
    }

    fn spawn(&mut self, launch: Launch) -> io::Result<u32> {
        if self.held.is_some() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a child already"));
        }
        let mut command = Command::new(&self.launcher);
        command.arg(launch::MODE).arg(std::process::id().to_string()).arg(&launch.program).args(&launch.args);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(ours) {
                command.env_remove(name);
            }
        }
        command.envs(launch.env).current_dir("/");
        command.stdin(Stdio::from(launch.listener)).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let pid = child.id();
        let pidfd = Pid::from_raw(pid.cast_signed())
            .ok_or(io::ErrorKind::InvalidData.into())
            .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).map_err(io::Error::from));
        let pidfd = match pidfd {
            Ok(pidfd) => pidfd,
            Err(error) => {
                // Without a pidfd it could not be supervised. It was not waited for, so its PID is still its own.
                let _ = child.kill();
                let _ = child.wait();
                return Err(error);
            }
        };
        let out = child.stdout.take().map(|pipe| self.drain("stdout", pipe));
        let err = child.stderr.take().map(|pipe| self.drain("stderr", pipe));
        let readers = [out, err].into_iter().flatten().collect::<io::Result<_>>();
        self.runs += 1;
        self.held = Some(Held { child, pidfd, asked: false, readers: readers.unwrap_or_default() });
        self.publish.send_replace(ChildState::Running { pid, run: self.runs });
        Ok(pid)
    }

    /// Reads a pipe to its end, whatever comes: a full pipe would block Kubo.
    fn drain(&self, stream: &'static str, pipe: impl Read + Send + 'static) -> io::Result<thread::JoinHandle<()>> {
        let log = self.log.clone();
        thread::Builder::new().name(format!("kubo-{stream}")).spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while matches!(pipe.by_ref().take(LINE).read_until(b'\n', &mut line), Ok(n) if n > 0) {
                let text = String::from_utf8_lossy(line.trim_ascii_end()).into_owned();
                line.clear();
                tracing::info!(target: "kubo", stream, "{text}");
                let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
                log.lines.push_back(KuboLogLine { at: crate::time::now(), stream: stream.to_owned(), text });
                if log.lines.len() > KEPT_LINES {
                    log.lines.pop_front();
                    log.dropped += 1;
                }
            }
        })
    }

    fn reap(&mut self) {
        let Some(mut held) = self.held.take() else { return };
        // Before the wait: until then the PID, and with it the group's id, can't be anybody else's.
        if let Some(group) = Pid::from_raw(held.child.id().cast_signed()) {
            // No such process: it left nobody behind.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let status = held.child.wait().unwrap_or_else(|error| {
            tracing::error!(%error, "cannot wait for Kubo");
            ExitStatus::from_raw(0xff00)
        });
        // Their pipes end with the group, so the last words are in the log before the end is told.
        for reader in held.readers {
            let _ = reader.join();
        }
        self.publish.send_replace(ChildState::Exited {
            run: self.runs,
            code: status.code(),
            signal: status.signal(),
            asked: held.asked,
            at: Timestamp::now(),
        });
    }
}

fn signal(pidfd: &OwnedFd, signal: Signal) {
    // An error means that it is gone, which the poll reports.
    let _ = pidfd_send_signal(pidfd, signal);
}

/// Variables that speak to us and would mislead Kubo.
fn ours(name: &str) -> bool {
    ["LISTEN_", "WATCHDOG_", "IPFS_KITD_"].iter().any(|prefix| name.starts_with(prefix))
        || ["NOTIFY_SOCKET", "JOURNAL_STREAM", "STATE_DIRECTORY", "RUNTIME_DIRECTORY"].contains(&name)
}
