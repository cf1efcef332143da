//! A daemon of its own for one test.

use ipfs_kitd::janitor::evidence::{Looks, look};
use ipfs_kitd::janitor::places::Places;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use proto_msgs::daemon::{Condition, IndexInfo, Status, StatusReport, Wait};
use proto_msgs::verb::{Part, Verb};
use proto_msgs::{Client, ClientError, Fault};
use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Nothing in these tests takes so long unless it hangs.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Pins that cost nothing: the block is in the CID.
pub(crate) fn identity_cid(text: &str) -> String {
    let hash = ::cid::multihash::Multihash::<64>::wrap(0, text.as_bytes()).expect("a short text");
    ::cid::Cid::new_v1(0x55, hash).to_string()
}

pub(crate) struct Kit {
    dir: TempDir,
    kubo: PathBuf,
    daemon: Option<Child>,
    notify: UnixDatagram,
    told: Mutex<mpsc::Receiver<String>>,
    args: Vec<String>,
    env: Vec<(String, String)>,
    before: Vec<String>,
}

/// What `ipfs-kitctl` said.
#[derive(Debug, PartialEq)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A program of ours: of the build directory, or of the one where `make bench` finds what is installed.
pub(crate) fn built(name: &str) -> PathBuf {
    let installed = std::env::var_os("IPFS_KITD_BENCH_PROGRAMS").map(|dir| Path::new(&dir).join(name));
    let built = || Path::new(env!("CARGO_BIN_EXE_ipfs-kitd")).with_file_name(name);
    let path = installed.filter(|path| path.exists()).unwrap_or_else(built);
    assert!(path.exists(), "{} is not built; cargo test --workspace builds it", path.display());
    path
}

/// The real Kubo that `make setup` brings, or the one on PATH.
pub(crate) fn real_kubo() -> PathBuf {
    let brought = Path::new(env!("CARGO_MANIFEST_DIR")).join(".deps/ipfs");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::iter::once(brought).chain(std::env::split_paths(&path).map(|dir| dir.join("ipfs")));
    let found = found.into_iter().find(|path| path.exists());
    found.expect("no Kubo: run `make setup` once, it brings one")
}

impl Kit {
    /// With fake-kubo, which does what the script says.
    pub(crate) fn fake() -> Kit {
        Kit::new(built("fake-kubo"))
    }

    /// With a real Kubo, offline, on ports of its own choice.
    pub(crate) fn real() -> Kit {
        let mut kit = Kit::new(real_kubo());
        kit.arg("--init-profile").arg("test").arg("--kubo-arg=--offline");
        kit
    }

    fn new(kubo: PathBuf) -> Kit {
        // /tmp and not TMPDIR: a socket's path has 107 bytes at most.
        let dir = tempfile::Builder::new().prefix("kitd-").tempdir_in("/tmp").expect("a temp dir");
        for name in ["faults", "home"] {
            std::fs::create_dir(dir.path().join(name)).expect("made");
        }
        let notify = UnixDatagram::bind(dir.path().join("notify")).expect("bound");
        let (tell, told) = mpsc::channel();
        let reader = notify.try_clone().expect("cloned");
        // All the time, as a service manager does: few datagrams fit into a socket.
        thread::spawn(move || {
            let mut datagram = [0; 4096];
            loop {
                match reader.recv(&mut datagram) {
                    Ok(length @ 1..) => drop(tell.send(String::from_utf8_lossy(&datagram[..length]).into_owned())),
                    // A child of another test has ended.
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    _ => return,
                }
            }
        });
        Kit {
            dir,
            kubo,
            daemon: None,
            notify,
            told: Mutex::new(told),
            args: Vec::new(),
            env: Vec::new(),
            before: Vec::new(),
        }
    }

    /// With another program for Kubo.
    pub(crate) fn with_kubo(&mut self, program: &Path) -> &mut Kit {
        self.kubo = program.to_owned();
        self
    }

    /// A fake Kubo on the repo that the daemon knows nothing of; returns when it holds the lock.
    pub(crate) fn foreign_kubo(&self) -> Child {
        let before = self.recorded("start");
        self.script(&serde_json::json!({"never_ready": true}));
        let mut command = Command::new(built("fake-kubo"));
        command.arg("daemon").env_clear().env("IPFS_PATH", self.repo());
        command.env("FAKE_KUBO_LOG", self.path("record")).env("FAKE_KUBO_SCRIPT", self.path("script"));
        let foreign = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("it starts");
        let look = || look(&Places::of_repo(&self.repo()), None, &mut Looks::default());
        let held = || look().locks[0].holder_pid == Some(foreign.id());
        eventually(held, || "the foreign Kubo takes no lock".to_owned());
        assert_eq!(self.recorded("start"), before + 1);
        self.script(&serde_json::json!({}));
        foreign
    }

    /// Ends it as its owner would.
    pub(crate) fn end_foreign(mut foreign: Child) {
        kill(Pid::from_raw(foreign.id().cast_signed()), Signal::SIGTERM).expect("it is there");
        foreign.wait().expect("waited for");
    }

    pub(crate) fn arg(&mut self, arg: &str) -> &mut Kit {
        self.args.push(arg.to_owned());
        self
    }

    pub(crate) fn env(&mut self, name: &str, value: &str) -> &mut Kit {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Has the daemon started by these words, which end by executing what follows them.
    pub(crate) fn through(&mut self, words: &[&str]) -> &mut Kit {
        self.before = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn repo(&self) -> PathBuf {
        self.path("repo")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path("run/ipfs-kitd.sock")
    }

    /// The daemon's command line, not started.
    pub(crate) fn command(&self) -> Command {
        let daemon = built("ipfs-kitd").display().to_string();
        let mut words = self.before.iter().chain([&daemon]);
        let mut command = Command::new(words.next().expect("the daemon at least"));
        command.args(words).env_clear();
        for name in ["PATH", "LD_LIBRARY_PATH", "LANG"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        let has_interval = self.args.iter().any(|arg| arg.starts_with("--interval"));
        command.arg("--data-dir").arg(self.path("data")).arg("--runtime-dir").arg(self.path("run"));
        command.arg("--ipfs-path").arg(self.repo()).arg("--kubo").arg(&self.kubo);
        if !has_interval {
            command.args(["--interval", "1h"]);
        }
        command.args(&self.args);
        command.env("HOME", self.path("home")).env("NOTIFY_SOCKET", self.path("notify"));
        command.env("IPFS_KITD_TEST_FAULTS", self.path("faults"));
        command.env("FAKE_KUBO_SCRIPT", self.path("script")).env("FAKE_KUBO_LOG", self.path("record"));
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).process_group(0);
        command
    }

    /// Starts the daemon and waits until it says that it is ready.
    pub(crate) fn start(&mut self) -> &mut Kit {
        self.spawn().ready_again();
        self
    }

    /// Starts the daemon.
    pub(crate) fn spawn(&mut self) -> &mut Kit {
        self.spawn_by(self.command())
    }

    /// Starts the daemon by a command of one's own.
    pub(crate) fn spawn_by(&mut self, command: Command) -> &mut Kit {
        let log = std::fs::OpenOptions::new().append(true).create(true).open(self.path("log")).expect("a log");
        self.spawn_on(command, log.into())
    }

    /// Starts the daemon with a log of one's own.
    pub(crate) fn spawn_on(&mut self, mut command: Command, log: Stdio) -> &mut Kit {
        command.stdout(Stdio::null()).stderr(log);
        self.daemon = Some(command.spawn().expect("the daemon starts"));
        self
    }

    /// Waits until the daemon says that it is ready.
    pub(crate) fn ready_again(&self) {
        self.told("READY=1");
    }

    /// Waits until the service manager is told something that begins so, and returns the whole of it.
    pub(crate) fn told(&self, beginning: &str) -> String {
        let began = Instant::now();
        loop {
            match self.told_within(DEADLINE.saturating_sub(began.elapsed())) {
                Some(text) if text.starts_with(beginning) => return text,
                Some(_) => {}
                None => panic!("not told: {beginning}\n{}", self.log()),
            }
        }
    }

    /// The next that the service manager is told.
    pub(crate) fn told_within(&self, time: Duration) -> Option<String> {
        self.told.lock().expect("no panic").recv_timeout(time).ok()
    }

    /// Starts the daemon and waits until Kubo is ready and its pins are in the index.
    pub(crate) fn start_whole(&mut self) -> &mut Kit {
        self.start();
        self.wait(Condition::KuboRunning);
        self.wait(Condition::IndexComplete);
        self
    }

    /// Where nothing is to change by itself: no sizes, no samples; [`Kit::wait_for_mfs`] waits for the rest.
    pub(crate) fn at_rest(&mut self) -> &mut Kit {
        let off = [("SNAPSHOT_ENABLED", "false"), ("SIZE_SHARE", "0"), ("STATE_INTERVAL", "0s")];
        off.iter().fold(self, |kit, (setting, value)| kit.env(&format!("IPFS_KITD_{setting}"), value))
    }

    /// Waits for the first look at MFS to be in the index.
    pub(crate) fn wait_for_mfs(&self) {
        eventually(|| self.call(IndexInfo {}).mfs.as_of.is_some(), || "MFS was not looked at".to_owned());
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.daemon.as_ref().expect("a daemon").id()
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(&self.socket(), "test")
            .unwrap_or_else(|e| panic!("{e}: {:?}\n{}", std::error::Error::source(&e), self.log()))
    }

    pub(crate) fn try_call<V: Verb>(&self, verb: V) -> Result<V::Reply, ClientError> {
        self.client().call_with(verb, Some(DEADLINE), |_| Ok(()))
    }

    pub(crate) fn call<V: Verb>(&self, verb: V) -> V::Reply {
        self.try_call(verb).unwrap_or_else(|e| panic!("{}: {e}\n{}", V::NAME, self.log()))
    }

    pub(crate) fn fault<V: Verb>(&self, verb: V) -> Fault {
        match self.try_call(verb) {
            Err(ClientError::Fault(fault)) => fault,
            Err(error) => panic!("{}: no fault but {error}", V::NAME),
            Ok(_) => panic!("{} went well", V::NAME),
        }
    }

    pub(crate) fn wait(&self, condition: Condition) {
        self.call(Wait { condition });
    }

    pub(crate) fn status(&self) -> StatusReport {
        self.call(Status {})
    }

    /// The CIDs of `pin ls`, sorted.
    pub(crate) fn pins(&self) -> Vec<String> {
        self.pins_on(&mut self.client())
    }

    pub(crate) fn pins_on(&self, client: &mut Client) -> Vec<String> {
        let mut cids = Vec::new();
        let listed = client.call_with(proto_msgs::pin::PinLs::default(), Some(DEADLINE), |part| {
            if let Part::PinLs(rows) = part {
                cids.extend(rows.pins.into_iter().map(|pin| pin.cid));
            }
            Ok(())
        });
        listed.unwrap_or_else(|e| panic!("pin_ls: {e}\n{}", self.log()));
        cids.sort();
        cids
    }

    /// Waits until the status is so. Only for what no verb waits for.
    pub(crate) fn until(&self, what: &str, so: impl Fn(&StatusReport) -> bool) -> StatusReport {
        let began = Instant::now();
        let mut client = self.client();
        loop {
            let status = client.call(Status {}).unwrap_or_else(|e| panic!("{what}: {e}\n{}", self.log()));
            if so(&status) {
                return status;
            }
            assert!(began.elapsed() < DEADLINE, "not {what}: {status:#?}\n{}", self.log());
            thread::yield_now();
        }
    }

    pub(crate) fn ctl_command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(built("ipfs-kitctl"));
        command.env_clear().env("HOME", self.path("home")).env("IPFS_KITD_SOCKET", self.socket());
        command.args(args).stdin(Stdio::null());
        command
    }

    pub(crate) fn ctl(&self, args: &[&str]) -> Said {
        said(&mut self.ctl_command(args))
    }

    /// How fake-kubo behaves from now on.
    pub(crate) fn script(&self, json: &serde_json::Value) {
        let new = self.path("script.new");
        std::fs::write(&new, json.to_string()).expect("written");
        std::fs::rename(new, self.path("script")).expect("renamed");
    }

    /// What fake-kubo has noted.
    pub(crate) fn record(&self) -> Vec<String> {
        std::fs::read_to_string(self.path("record")).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    pub(crate) fn recorded(&self, line: &str) -> usize {
        self.record().iter().filter(|l| l.starts_with(line)).count()
    }

    /// Sets what fake-kubo pins, behind the daemon's back.
    pub(crate) fn set_fake_pins(&self, pins: &[(&str, &str, &str)]) {
        let map: std::collections::BTreeMap<_, _> = pins.iter().map(|(cid, of, name)| (cid, (of, name))).collect();
        let new = self.repo().join("fake-pins.test");
        std::fs::write(&new, serde_json::to_vec(&map).expect("JSON")).expect("written");
        std::fs::rename(new, self.repo().join("fake-pins.json")).expect("renamed");
    }

    /// Makes the actor hang at its next message, until that is ended.
    pub(crate) fn hang_at(&self, fault: &str) -> Hang {
        let file = self.path("faults").join(format!("{fault}.hang"));
        std::fs::write(&file, "").expect("written");
        Hang(file)
    }

    /// Makes the actor panic at its next message.
    pub(crate) fn panic_at(&self, fault: &str) {
        std::fs::write(self.path("faults").join(fault), "").expect("written");
    }

    pub(crate) fn panic_is_pending(&self, fault: &str) -> bool {
        self.path("faults").join(fault).exists()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid().cast_signed()), signal).expect("the daemon is there");
    }

    /// Waits for the daemon's end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let mut child = self.daemon.take().expect("a daemon");
        let pid = child.id();
        let (send, ended) = mpsc::channel();
        thread::spawn(move || send.send(child.wait()));
        match ended.recv_timeout(DEADLINE) {
            Ok(status) => status.expect("waited for"),
            Err(_) => {
                let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
                panic!("the daemon did not end\n{}", self.log());
            }
        }
    }

    /// SIGTERM and the end.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.ended()
    }

    /// SIGKILL and the end.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        self.ended();
    }

    /// Descriptors of the daemon on the index file.
    pub(crate) fn index_descriptors(&self) -> Vec<String> {
        let dir = format!("/proc/{}/fd", self.pid());
        let entries = std::fs::read_dir(dir).expect("the daemon is there").filter_map(Result::ok);
        let on_index = |path: &Path| std::fs::read_link(path).is_ok_and(|to| to.ends_with("pins.duckdb"));
        let mut found: Vec<_> =
            entries.filter(|e| on_index(&e.path())).map(|e| e.file_name().to_string_lossy().into_owned()).collect();
        found.sort();
        found
    }
}

impl Drop for Kit {
    fn drop(&mut self) {
        // Ends its reader.
        let _ = self.notify.shutdown(std::net::Shutdown::Both);
        if let Some(mut child) = self.daemon.take() {
            if thread::panicking() {
                // The test's own output is where its reader looks.
                let _ = std::io::Write::write_all(&mut std::io::stderr(), self.log().as_bytes());
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        // A fake Kubo that ignores the end of its daemon.
        let starts = self.record().into_iter().filter_map(|line| line.strip_prefix("start ")?.parse::<i32>().ok());
        for pid in starts {
            let ours = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            let marker = self.path("record").display().to_string();
            if String::from_utf8_lossy(&ours).contains(&marker) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
    }
}

/// What the real `ipfs` says on the kit's repo.
pub(crate) fn ipfs(kit: &Kit, args: &[&str], input: &[u8]) -> String {
    let mut command = Command::new(real_kubo());
    command.env_clear().env("HOME", kit.path("home")).env("IPFS_PATH", kit.repo()).args(args);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    child.stdin.take().expect("a pipe").write_all(input).expect("written");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "ipfs {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// An actor hangs until this is ended.
pub(crate) struct Hang(PathBuf);

impl Hang {
    pub(crate) fn end(&self) {
        std::fs::remove_file(&self.0).expect("it hung");
    }
}

/// Runs a command to its end.
pub(crate) fn said(command: &mut Command) -> Said {
    let output = command.output().expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// Waits until it is so. Only for what nobody tells.
pub(crate) fn eventually(so: impl Fn() -> bool, otherwise: impl Fn() -> String) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < DEADLINE, "{}", otherwise());
        thread::yield_now();
    }
}

/// Whether SIGINT is ignored where the tests run, as it is in whatever a shell without job control starts in the background: what we
/// start ignores it then, too.
pub(crate) fn sigint_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.is_some_and(|set| u64::from_str_radix(set.trim(), 16).is_ok_and(|set| set & 2 != 0))
}

/// Says on the test's own output that it did not run, and why.
pub(crate) fn skipped(what: &str, why: &str) {
    let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("SKIPPED: {what}: {why}\n").as_bytes());
}
