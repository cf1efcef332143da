//! The child process. One thread, as old as the daemon, spawns it and waits for it; everybody else has a [`Spawner`].
//!
//! The thread and not the actor owns the child because the kernel's parent-death signal follows the thread that forked, and
//! because a restarted actor must find the same child. It keeps two promises by itself: at most one child, and at most one
//! stop signal to each. Signals go to a pidfd, so a recycled PID is never hit. What the child writes is in `output`.

use super::cgroup::{self, Group};
use super::launch;
use super::oom;
use super::orphans;
use super::output::{Output, Readers};
use jiff::Timestamp;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal};
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// After the end of the child, for the rest of what it wrote: longer only when somebody else holds its pipes.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// From SIGKILL to the end of the child; longer only when the kernel has it in uninterruptible sleep.
const KILLED: Duration = Duration::from_secs(2);

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
        /// Whether the kernel killed for want of memory during its life.
        out_of_memory: bool,
        /// When.
        at: Timestamp,
        /// The end of what it wrote.
        last_words: Vec<String>,
    },
}

enum Order {
    Spawn(Launch, oneshot::Sender<io::Result<u32>>),
    Terminate,
    Kill,
    Close(oneshot::Sender<()>),
}

/// A handle on the spawner thread.
#[derive(Clone)]
pub struct Spawner {
    orders: mpsc::Sender<Order>,
    wake: Arc<UnixStream>,
    child: watch::Receiver<ChildState>,
    output: Output,
}

impl Spawner {
    /// Starts the thread. `launcher` is the program whose hidden mode becomes Kubo: our own.
    pub fn start(launcher: PathBuf) -> io::Result<Spawner> {
        let (orders, incoming) = mpsc::channel();
        let (wake, woken) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        woken.set_nonblocking(true)?;
        signal_hook::low_level::pipe::register(signal_hook::consts::SIGCHLD, wake.try_clone()?)?;
        let (publish, child) = watch::channel(ChildState::None);
        let output = Output::default();
        let daemon = format!("{:016x}-", rand::random::<u64>());
        let (held, runs, closed) = (None, 0, false);
        let thread = Thread { launcher, incoming, woken, publish, output: output.clone(), held, runs, daemon, closed };
        thread::Builder::new().name("kubo-spawner".into()).spawn(move || thread.run())?;
        Ok(Spawner { orders, wake: Arc::new(wake), child, output })
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

    /// For the end of the daemon, whoever is left to carry it out: starts nothing any more, and ends the child if there is
    /// one: its one stop signal unless it had it, `grace`, SIGKILL. Returns when it has ended.
    pub async fn end(&self, grace: Duration) {
        let (done, closed) = oneshot::channel();
        self.order(Order::Close(done));
        // Whatever may hold the thread up, the daemon ends.
        if !matches!(tokio::time::timeout(KILLED, closed).await, Ok(Ok(()))) {
            return;
        }
        self.terminate();
        let mut child = self.child();
        let gone = |child: &ChildState| !matches!(child, ChildState::Running { .. });
        if tokio::time::timeout(grace, child.wait_for(gone)).await.is_err() {
            self.kill();
            // What not even SIGKILL ends is left to the kernel.
            let _ = tokio::time::timeout(KILLED, child.wait_for(gone)).await;
        }
    }

    /// The child as it changes.
    pub fn child(&self) -> watch::Receiver<ChildState> {
        self.child.clone()
    }

    /// What all children have written.
    pub fn output(&self) -> &Output {
        &self.output
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
    group: Option<Group>,
    asked: bool,
    readers: Readers,
    oom_kills: Option<u64>,
}

struct Thread {
    launcher: PathBuf,
    incoming: mpsc::Receiver<Order>,
    woken: UnixStream,
    publish: watch::Sender<ChildState>,
    output: Output,
    held: Option<Held>,
    runs: u64,
    /// What this daemon's marks of Kubo's descendants begin with.
    daemon: String,
    closed: bool,
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
                    // The kernel is short of memory. The thread must not end: the child would be asked to end with it.
                    tracing::error!(%error, "the spawner thread cannot wait");
                    thread::sleep(Duration::from_millis(100));
                }
                fds.get(1).is_some_and(|fd| !fd.revents().is_empty())
            };
            let mut drained = [0; 64];
            while matches!((&self.woken).read(&mut drained), Ok(n) if n > 0) {}
            if ended {
                self.reap();
            }
            orphans::sweep();
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

    /// What the descendants of this run bear.
    fn mark(&self, run: u64) -> String {
        format!("{}{run}", self.daemon)
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
                    // Whatever keeps it from ending: no other part of it goes on.
                    held.group.as_ref().inspect(|group| group.end());
                }
            }
            Order::Close(done) => {
                self.closed = true;
                let _ = done.send(());
            }
        }
    }

    fn spawn(&mut self, launch: Launch) -> io::Result<u32> {
        if self.closed {
            return Err(io::Error::other("the daemon is ending"));
        }
        if self.held.is_some() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a child already"));
        }
        let mut command = Command::new(&self.launcher);
        command.arg(launch::MODE).arg(std::process::id().to_string()).arg(&launch.program).args(&launch.args);
        let run = self.runs + 1;
        let mark = self.mark(run);
        let group = Group::make();
        clean(&mut command).envs(launch.env).env(orphans::MARK, mark).current_dir("/");
        command.envs(group.as_ref().map(|group| (cgroup::ENTER, group.entrance())));
        command.stdin(Stdio::from(launch.listener)).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = orphans::spawn(&mut command)?;
        let pid = child.id();
        match self.hold(&mut child) {
            Ok((pidfd, readers)) => {
                self.runs = run;
                self.held = Some(Held { child, pidfd, group, asked: false, readers, oom_kills: oom::kills() });
                self.publish.send_replace(ChildState::Running { pid, run: self.runs });
                Ok(pid)
            }
            Err(error) => {
                // It could not be supervised. It was not waited for, so its PID is still its own.
                let _ = child.kill();
                let _ = child.wait();
                orphans::waited(pid);
                Err(error)
            }
        }
    }

    fn hold(&self, child: &mut Child) -> io::Result<(OwnedFd, Readers)> {
        let pid = Pid::from_raw(child.id().cast_signed()).ok_or(io::ErrorKind::InvalidData)?;
        let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
        Ok((pidfd, self.output.read(child.stdout.take(), child.stderr.take())?))
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
        orphans::waited(held.child.id());
        held.group.inspect(Group::end);
        orphans::end(&self.mark(self.runs), "Kubo");
        let last_words = held.readers.last_words(LAST_WORDS);
        self.publish.send_replace(ChildState::Exited {
            run: self.runs,
            code: status.code(),
            signal: status.signal(),
            asked: held.asked,
            out_of_memory: status.signal() == Some(Signal::KILL.as_raw())
                && matches!((held.oom_kills, oom::kills()), (Some(before), Some(now)) if now > before),
            at: Timestamp::now(),
            last_words,
        });
    }
}

fn signal(pidfd: &OwnedFd, signal: Signal) {
    // An error means that it is gone, which the poll reports.
    let _ = pidfd_send_signal(pidfd, signal);
}

/// Takes away the variables that speak to the daemon and would mislead Kubo.
pub(super) fn clean(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(ours) {
            command.env_remove(name);
        }
    }
    command
}

fn ours(name: &str) -> bool {
    ["LISTEN_", "WATCHDOG_", "IPFS_KITD_"].iter().any(|prefix| name.starts_with(prefix))
        || ["NOTIFY_SOCKET", "JOURNAL_STREAM"].contains(&name)
        || ["STATE_DIRECTORY", "RUNTIME_DIRECTORY", "CONFIGURATION_DIRECTORY"].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::{Signal as Sig, kill};
    use std::fs::File;
    use std::path::Path;
    use tokio::io::AsyncReadExt;
    use tokio::net::unix::pipe;
    use tokio::time::timeout;

    const SOON: Duration = Duration::from_secs(30);

    /// A spawner whose launcher only execs, and a FIFO on which children say how far they are.
    struct Place {
        spawner: Spawner,
        said: pipe::Receiver,
        dir: tempfile::TempDir,
    }

    impl Place {
        fn new() -> Place {
            let dir = tempfile::tempdir().expect("a temp dir");
            let fifo = dir.path().join("said");
            nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
            let said = pipe::OpenOptions::new().read_write(true).open_receiver(fifo).expect("opened");
            let launcher = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts/launcher");
            Place { spawner: Spawner::start(launcher).expect("a thread"), said, dir }
        }

        /// Starts a shell; in the script `$F` is the FIFO.
        async fn sh(&self, script: &str) -> io::Result<u32> {
            self.spawner.spawn(launch(script, &self.dir.path().join("said"))).await
        }

        /// Returns when the child has written `x` and a newline to the FIFO.
        async fn said(&mut self) {
            let mut word = [0; 2];
            timeout(SOON, self.said.read_exact(&mut word)).await.expect("in time").expect("read");
        }

        /// How this child ended.
        async fn end(&self, child: u64) -> (Option<i32>, Option<i32>, bool, Vec<String>) {
            let mut state = self.spawner.child();
            let ended = state.wait_for(|state| matches!(state, ChildState::Exited { run, .. } if *run == child));
            match timeout(SOON, ended).await.expect("in time").expect("alive").clone() {
                ChildState::Exited { code, signal, asked, last_words, .. } => (code, signal, asked, last_words),
                other => panic!("{other:?}"),
            }
        }
    }

    fn launch(script: &str, fifo: &Path) -> Launch {
        Launch {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            env: vec![("F", fifo.into())],
            listener: File::open("/dev/null").expect("opened").into(),
        }
    }

    #[tokio::test]
    async fn the_end_of_a_child_is_told_with_its_code_and_its_own_last_words() {
        let place = Place::new();
        place.sh("echo first; exit 3").await.expect("started");
        assert_eq!(place.end(1).await, (Some(3), None, false, vec!["first".to_owned()]));
        place.sh("kill -9 $$").await.expect("started");
        assert_eq!(place.end(2).await, (None, Some(9), false, vec![]));
        assert_eq!(place.spawner.output().lines().lock().iter().len(), 1);
    }

    #[tokio::test]
    async fn there_is_one_child_at_most_and_none_after_the_end() {
        let place = Place::new();
        place.sh("exec sleep 100").await.expect("started");
        assert_eq!(place.sh("exit 0").await.expect_err("a second one").kind(), io::ErrorKind::AlreadyExists);
        place.spawner.end(SOON).await;
        assert_eq!(place.end(1).await, (None, Some(15), true, vec![]));
        place.sh("exit 0").await.expect_err("the daemon is ending");
    }

    #[tokio::test]
    async fn a_child_gets_one_stop_signal_however_often_it_is_asked_for() {
        let mut place = Place::new();
        let script = "sleep 100 & s=$!; trap 'echo term; echo x >$F' TERM; trap 'kill $s; exit 7' WINCH; \
                      echo x >$F; while :; do wait $s; done";
        let pid = place.sh(script).await.expect("started");
        place.said().await;
        place.spawner.terminate();
        place.said().await;
        place.spawner.terminate();
        place.spawner.terminate();
        // Orders are taken in turn, so when this one is answered the others have had their effect.
        place.sh("exit 0").await.expect_err("a second one");
        kill(nix::unistd::Pid::from_raw(pid.cast_signed()), Sig::SIGWINCH).expect("sent");
        assert_eq!(place.end(1).await, (Some(7), None, true, vec!["term".to_owned()]));
    }

    #[tokio::test]
    async fn a_child_that_ignores_its_stop_signal_is_killed_when_the_grace_is_over() {
        let mut place = Place::new();
        place.sh("trap '' TERM; echo x >$F; exec sleep 100").await.expect("started");
        place.said().await;
        place.spawner.end(Duration::from_millis(50)).await;
        assert_eq!(place.end(1).await, (None, Some(9), true, vec![]));
    }

    #[tokio::test]
    async fn everything_is_read_and_little_is_kept() {
        let place = Place::new();
        place
            .sh("printf 'bad \\377\\n'; head -c 20000000 /dev/zero | tr '\\0' y; echo; echo end")
            .await
            .expect("started");
        let (code, _, _, words) = place.end(1).await;
        assert_eq!((code, words.last().map(String::as_str)), (Some(0), Some("end")));
        let (lines, dropped) = place.spawner.output().lines().lock().after(0, |_| true);
        assert!(lines.iter().all(|line| line.text.len() <= 64 << 10));
        assert!(lines.iter().map(|line| line.text.len()).sum::<usize>() <= 1 << 20);
        assert_eq!(dropped + lines.len() as u64, 2 + 20_000_000_u64.div_ceil(64 << 10));
        place.sh("printf 'bad \\377\\n'").await.expect("started");
        assert_eq!(place.end(2).await.3, ["bad \u{fffd}"]);
    }

    #[tokio::test]
    async fn a_process_that_a_child_leaves_behind_does_not_hold_up_its_end() {
        let place = Place::new();
        place.sh("(read x <$F; echo late) & echo bye; exit 0").await.expect("started");
        assert_eq!(place.end(1).await, (Some(0), None, false, vec!["bye".to_owned()]));
        // Lets the process go, so that nothing outlives the test.
        let mut fifo = File::options().write(true).open(place.dir.path().join("said")).expect("opened");
        fifo.write_all(b"x\n").expect("written");
    }
}
