//! What the daemon does with a service manager, which the test plays here: the socket that it is handed, the watchdog, the
//! status line. In `namespace` it is systemd itself.

use crate::kit::{Kit, eventually, identity_cid};
use nix::sys::signal::Signal;
use proto_msgs::pin::PinAdd;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// Starts the daemon as a service manager does that passes this descriptor, once for each name.
fn hand(kit: &mut Kit, names: &[&str], descriptor: impl Into<OwnedFd>) {
    let redirect: String = (0..names.len()).map(|n| format!("{}<&0 ", n + 3)).collect();
    let script = format!("exec {redirect} </dev/null; LISTEN_PID=$$ exec \"$0\" \"$@\"");
    let daemon = kit.command();
    let mut command = Command::new("/bin/sh");
    command.env_clear().envs(daemon.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("LISTEN_FDS", names.len().to_string()).env("LISTEN_FDNAMES", names.join(":"));
    command.arg("-c").arg(script).arg(daemon.get_program()).args(daemon.get_args()).stdin(descriptor.into());
    kit.spawn_by(command);
}

/// The socket that clients look for, as a service manager makes it.
fn listener(kit: &Kit) -> UnixListener {
    let socket = kit.socket();
    let dir = socket.parent().expect("a directory");
    std::fs::DirBuilder::new().mode(0o700).create(dir).expect("made");
    UnixListener::bind(socket).expect("bound")
}

fn again(listener: &UnixListener) -> UnixListener {
    listener.try_clone().expect("cloned")
}

/// The sockets that a process has open.
fn sockets(pid: u32) -> Vec<PathBuf> {
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it is there").filter_map(Result::ok);
    let targets = open.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    targets.filter(|to| to.to_string_lossy().starts_with("socket:")).collect()
}

#[test]
fn a_socket_that_is_handed_over_is_served_and_stays_the_service_managers() {
    let mut kit = Kit::fake();
    let passed = listener(&kit);
    let inode = kit.socket().metadata().expect("a socket").ino();
    // Before there is a daemon: this is what starts it.
    let mut first = UnixStream::connect(kit.socket()).expect("connected");
    first.write_all(b"{\"id\":7,\"call\":{\"status\":{}}}\n").expect("written");
    hand(&mut kit, &["ipfs-kitd"], again(&passed));
    let mut answer = String::new();
    BufReader::new(&first).read_line(&mut answer).expect("answered");
    assert!(answer.starts_with(r#"{"id":7,"done":{"status""#), "{answer}");

    kit.wait(proto_msgs::daemon::Condition::KuboRunning);
    let ours = std::fs::read_link(format!("/proc/{}/fd/3", kit.pid())).expect("taken over");
    let kubo = sockets(kit.status().kubo.pid.expect("Kubo runs"));
    assert!(!kubo.contains(&ours), "Kubo has our socket {ours:?}");
    assert_eq!(kit.stop().code(), Some(0));
    assert_eq!(kit.socket().metadata().expect("left in its place").ino(), inode);

    hand(&mut kit, &["ipfs-kitd"], passed);
    kit.ready_again();
    assert_eq!(kit.status().daemon.pid, kit.pid());
}

#[test]
fn a_handed_over_socket_that_somebody_removed_is_told_of_and_not_bound_again() {
    let mut kit = Kit::fake();
    kit.env("WATCHDOG_USEC", "500000");
    let passed = listener(&kit);
    hand(&mut kit, &["ipfs-kitd"], passed);
    kit.ready_again();
    std::fs::remove_file(kit.socket()).expect("removed");
    eventually(|| kit.log().contains("restart the socket unit together with the service"), || kit.log());
    // What was told before the look is read first.
    while kit.told_within(Duration::ZERO).is_some() {}
    kit.told("WATCHDOG=1");
    assert!(!kit.socket().exists(), "a restart by the watchdog would not bring it back");
}

#[test]
fn what_is_handed_over_under_another_name_is_closed_with_one_warning() {
    let mut kit = Kit::fake();
    let passed = listener(&kit);
    hand(&mut kit, &["http", "ipfs-kitd"], passed);
    kit.ready_again();
    assert_eq!(kit.status().daemon.pid, kit.pid());
    assert_eq!(kit.log().matches("closing what was passed in").count(), 1, "{}", kit.log());
    assert!(kit.log().contains(r#""descriptor":3,"name":"http""#), "{}", kit.log());
    assert_eq!(kit.stop().code(), Some(0));
    assert!(kit.socket().exists(), "it is the service manager's");

    let mut kit = Kit::fake();
    let passed = listener(&kit);
    hand(&mut kit, &["http"], passed);
    kit.ready_again();
    assert_eq!(kit.status().daemon.pid, kit.pid());
    assert_eq!(kit.stop().code(), Some(0));
    assert!(!kit.socket().exists(), "without one of that name it had bound its own");
}

#[test]
fn what_is_no_listening_socket_is_refused_with_what_the_unit_needs() {
    let mut kit = Kit::fake();
    let (end, _other) = UnixStream::pair().expect("a pair");
    hand(&mut kit, &["ipfs-kitd"], end);
    assert_eq!(kit.ended().code(), Some(78), "{}", kit.log());
    assert!(kit.log().contains("the socket unit needs ListenStream=/a/path"), "{}", kit.log());
    hand(&mut kit, &["ipfs-kitd"], File::open("/dev/null").expect("opened"));
    assert_eq!(kit.ended().code(), Some(78), "{}", kit.log());
    assert!(!kit.path("data").exists(), "nothing was touched");
}

/// What the service manager of these tests wants to hear within.
const WITHIN: Duration = Duration::from_millis(1000);

/// A daemon that tells the watchdog that all is well.
fn watched(mut kit: Kit) -> Kit {
    kit.env("WATCHDOG_USEC", &WITHIN.as_micros().to_string());
    kit.start_whole();
    kit.told("WATCHDOG=1");
    kit
}

/// Whoever hangs is named, and the watchdog is told nothing.
fn silent(kit: &Kit, who: &str) {
    let named = format!("the {who} has not answered for 0.25 s");
    eventually(|| kit.log().contains(&named), || kit.log());
    // What was told before the hang is read first.
    while kit.told_within(Duration::ZERO).is_some() {}
    while let Some(text) = kit.told_within(WITHIN) {
        assert!(!text.starts_with("WATCHDOG=1"), "{who}: {text}");
    }
}

#[test]
fn s23_the_watchdog_is_told_nothing_while_one_who_matters_hangs_and_the_log_names_him() {
    let mut kits = ["supervisor", "index", "server"].map(|actor| {
        let kit = watched(Kit::fake());
        let hang = kit.hang_at(&format!("{actor}.message"));
        (actor, kit, hang)
    });
    for (actor, kit, hang) in &mut kits {
        silent(kit, actor);
        hang.end();
        kit.told("WATCHDOG=1");
        assert_eq!(kit.stop().code(), Some(0), "{actor}");
    }
}

#[test]
fn s23_the_watchdog_is_told_nothing_while_the_main_task_hangs() {
    let mut kit = Kit::fake();
    let file = kit.path("config.toml");
    std::fs::write(&file, "").expect("written");
    kit.arg("--config").arg(&file.display().to_string());
    let mut kit = watched(kit);
    // A configuration that never ends, as on a network disk that is gone.
    std::fs::remove_file(&file).expect("removed");
    nix::unistd::mkfifo(&file, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    kit.signal(Signal::SIGHUP);
    silent(&kit, "main task");
    drop(File::options().write(true).open(&file).expect("it is being read"));
    kit.told("WATCHDOG=1");
    assert_eq!(kit.stop().code(), Some(0));
}

#[test]
fn nobody_who_does_not_ask_for_the_watchdog_is_told_of_it() {
    // Another process's.
    let mut other = Kit::fake();
    other.env("WATCHDOG_USEC", "100000").env("WATCHDOG_PID", "1");
    let mut none = Kit::fake();
    for kit in [&mut other, &mut none] {
        kit.start();
        while let Some(text) = kit.told_within(WITHIN) {
            assert!(text.starts_with("STATUS="), "{text}");
        }
    }
}

#[test]
fn the_status_line_follows_kubo_and_the_pins_and_says_nothing_twice() {
    let mut kit = Kit::fake();
    kit.start_whole();
    kit.call(PinAdd { cid: identity_cid("one"), name: None, direct: false });
    let mut said = Vec::new();
    while said.last().is_none_or(|line| line != "STATUS=Kubo running, 1 pin\n") {
        said.push(kit.told("STATUS="));
    }
    kit.call(PinAdd { cid: identity_cid("two"), name: None, direct: false });
    said.push(kit.told("STATUS="));
    assert_eq!(said.last().expect("a line"), "STATUS=Kubo running, 2 pins\n");
    kit.call(proto_msgs::kubo::KuboStop {});
    while said.last().is_none_or(|line| line != "STATUS=Kubo stopped, 2 pins\n") {
        said.push(kit.told("STATUS="));
    }
    assert!(said.windows(2).all(|two| two[0] != two[1]), "{said:?}");
}

#[test]
fn a_daemon_started_by_hand_leaves_the_service_managers_socket_alone() {
    let mut kit = Kit::fake();
    let theirs = listener(&kit);
    theirs.set_nonblocking(true).expect("set");
    let inode = kit.socket().metadata().expect("a socket").ino();
    kit.spawn();
    assert_eq!(kit.ended().code(), Some(75), "{}", kit.log());
    assert!(kit.log().contains("`systemctl start ipfs-kitd`"), "{}", kit.log());
    assert_eq!(kit.socket().metadata().expect("left in its place").ino(), inode);
    let nobody = theirs.accept().expect_err("a connection would have started the service");
    assert_eq!(nobody.kind(), std::io::ErrorKind::WouldBlock);
    assert_eq!(kit.recorded("start"), 0);
    // Without its listener it is what a killed daemon leaves.
    drop(theirs);
    kit.start();
    assert_eq!(kit.status().daemon.pid, kit.pid());
}
