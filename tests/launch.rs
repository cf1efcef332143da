//! The launcher, as the built program runs it: what Kubo finds in its process, and what becomes of it when others end.
//! `/bin/sh` plays Kubo.

use ipfs_kitd::kubo::process::{ChildState, Launch, Spawner};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(30);

fn program() -> PathBuf {
    env!("CARGO_BIN_EXE_ipfs-kitd").into()
}

fn launch(program: &str, script: &str, socket: &Path) -> Launch {
    Launch {
        program: program.into(),
        args: vec!["-c".into(), script.into()],
        env: vec![("LISTEN_FDS", "1".into()), ("SCRIPT", script.into())],
        listener: UnixListener::bind(socket).expect("bound").into(),
    }
}

/// Runs a script as Kubo to its end.
async fn run(program: &str, script: &str) -> (Option<i32>, Option<i32>, Vec<String>) {
    let dir = tempfile::tempdir().expect("a temp dir");
    let spawner = Spawner::start(self::program()).expect("a thread");
    spawner.spawn(launch(program, script, &dir.path().join("s"))).await.expect("started");
    let mut child = spawner.child();
    let ended = child.wait_for(|child| matches!(child, ChildState::Exited { .. }));
    match timeout(SOON, ended).await.expect("in time").expect("alive").clone() {
        ChildState::Exited { code, signal, last_words, .. } => (code, signal, last_words),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn kubo_finds_the_listener_at_descriptor_3_and_nothing_at_stdin() {
    let script =
        "readlink /proc/$$/fd/3; readlink /proc/$$/fd/0; echo $LISTEN_FDS; [ $LISTEN_PID = $$ ] && echo its own pid";
    let (code, _, words) = run("/bin/sh", script).await;
    assert_eq!(code, Some(0));
    assert!(words[0].starts_with("socket:"), "{words:?}");
    assert_eq!(words[1..], ["/dev/null", "1", "its own pid"]);
}

#[test]
fn s13_kubo_outlives_every_thread_that_asked_for_its_start() {
    let dir = tempfile::tempdir().expect("a temp dir");
    let fifo = dir.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    let spawner = Spawner::start(program()).expect("a thread");
    let asks = spawner.clone();
    let script = format!("trap 'echo asked to stop; exit 9' TERM; echo up; read word <{}; echo $word", fifo.display());
    let start = launch("/bin/sh", &script, &dir.path().join("s"));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime
        .block_on(async { tokio::spawn(async move { asks.spawn(start).await }).await })
        .expect("ran")
        .expect("started");
    let up = || spawner.output().newest().is_some();
    while !up() {
        std::thread::yield_now();
    }
    // All of its threads end here.
    drop(runtime);
    std::fs::write(&fifo, "well\n").expect("it still reads");
    let runtime = tokio::runtime::Runtime::new().expect("another one");
    let mut child = spawner.child();
    let ended = child.wait_for(|child| matches!(child, ChildState::Exited { .. }));
    match runtime.block_on(async { timeout(SOON, ended).await.expect("in time").expect("alive").clone() }) {
        ChildState::Exited { code, last_words, .. } => {
            assert_eq!((code, last_words), (Some(0), vec!["up".to_owned(), "well".to_owned()]));
        }
        other => panic!("{other:?}"),
    }
}

/// In a PID namespace of its own this test gives a PID a second time; outside of one it starts itself in one.
#[tokio::test]
async fn s11_a_process_that_has_got_the_pid_of_an_ended_kubo_is_never_signalled() {
    const INSIDE: &str = "IN_A_PID_NAMESPACE";
    let own = "s11_a_process_that_has_got_the_pid_of_an_ended_kubo_is_never_signalled";
    if std::env::var_os(INSIDE).is_none() {
        let mut unshare = Command::new("unshare");
        unshare
            .args(["--pid", "--fork", "--mount-proc", "--kill-child"])
            .arg(std::env::current_exe().expect("a program"));
        let output = unshare.args(["--exact", own, "--nocapture"]).env(INSIDE, "1").output();
        match output {
            Ok(output) if output.status.success() => return,
            Ok(output) if !nix::unistd::geteuid().is_root() => {
                let why = String::from_utf8_lossy(&output.stderr).into_owned();
                return drop(std::io::Write::write_all(
                    &mut std::io::stderr(),
                    format!("SKIPPED: s11: {why}").as_bytes(),
                ));
            }
            Ok(output) => {
                panic!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
            }
            Err(error) => panic!("unshare cannot be run: {error}"),
        }
    }
    let dir = tempfile::tempdir().expect("a temp dir");
    let spawner = Spawner::start(program()).expect("a thread");
    let start = |name: &str| launch("/bin/sh", "exit 0", &dir.path().join(name));
    let pid = spawner.spawn(start("a")).await.expect("started");
    let ended = |run| move |child: &ChildState| matches!(child, ChildState::Exited { run: of, .. } if *of == run);
    drop(timeout(SOON, spawner.child().wait_for(ended(1))).await.expect("in time").expect("alive"));
    let mut bystander = loop {
        std::fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).expect("the next PID is chosen");
        let mut child = Command::new("sleep").arg("100").spawn().expect("it runs");
        if child.id() == pid {
            break child;
        }
        // Somebody else took it meanwhile.
        child.kill().expect("killed");
        child.wait().expect("waited for");
    };
    spawner.terminate();
    spawner.kill();
    // Orders are taken in turn: when this one is through, the others had their effect.
    spawner.spawn(start("b")).await.expect("started");
    drop(timeout(SOON, spawner.child().wait_for(ended(2))).await.expect("in time").expect("alive"));
    assert_eq!(bystander.try_wait().expect("asked"), None, "it was signalled");
    bystander.kill().expect("killed");
    bystander.wait().expect("waited for");
}

#[tokio::test]
async fn kubo_leads_a_process_group_that_ends_with_it() {
    let dir = tempfile::tempdir().expect("a temp dir");
    let socket = dir.path().join("left");
    let listener = UnixListener::bind(&socket).expect("bound");
    // The descriptor of a connection that the child leaves to a process of its group: it closes when that is gone.
    let stream = UnixStream::connect(&socket).expect("connected");
    let (mut peer, _) = listener.accept().expect("accepted");
    let spawner = Spawner::start(program()).expect("a thread");
    let mut start = launch("/bin/sh", "sleep 100 <&3 & ps -o pgid= -p $$; echo $$; exit 0", &dir.path().join("s"));
    start.listener = stream.into();
    spawner.spawn(start).await.expect("started");
    let read = tokio::task::spawn_blocking(move || peer.read(&mut [0; 1]));
    assert_eq!(timeout(SOON, read).await.expect("in time").expect("no panic").expect("read"), 0);
    let ended =
        spawner.child().wait_for(|child| matches!(child, ChildState::Exited { .. })).await.expect("alive").clone();
    let ChildState::Exited { last_words, .. } = ended else { panic!("{ended:?}") };
    assert_eq!(last_words[0].trim(), last_words[1], "the group is named after the child");
}

#[tokio::test]
async fn a_program_that_cannot_be_executed_is_named() {
    let (code, _, words) = run("/nonexistent/ipfs", "").await;
    assert_eq!(code, Some(ipfs_kitd::kubo::launch::NOT_LAUNCHED));
    assert_eq!(words, ["ipfs-kitd: cannot start /nonexistent/ipfs: No such file or directory (os error 2)"]);
}

#[tokio::test]
async fn a_program_for_another_machine_is_not_run_as_a_script() {
    let dir = tempfile::tempdir().expect("a temp dir");
    let path = dir.path().join("ipfs");
    // Written by another process: a descriptor of ours open for writing could be in a child that another test is starting.
    let made =
        Command::new("/bin/sh").arg("-c").arg("printf 'echo ran as a script' >$0 && chmod 755 $0").arg(&path).status();
    assert!(made.expect("run").success());
    let (code, _, words) = run(path.to_str().expect("UTF-8"), "").await;
    assert_eq!(code, Some(ipfs_kitd::kubo::launch::NOT_LAUNCHED));
    assert!(words.len() == 1 && words[0].contains("Exec format error"), "{words:?}");
}

#[test]
fn a_launcher_whose_daemon_is_gone_starts_nothing() {
    let mut command = Command::new(program());
    let output = command.args(["__launch-kubo", "1", "/bin/echo", "started"]).stdin(Stdio::null()).output();
    let output = output.expect("run");
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(127), &b""[..]));
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(words.contains("the daemon that asked for the start is gone"), "{words}");
}

#[test]
fn an_inherited_descriptor_3_is_not_in_the_way() {
    let me = std::process::id().to_string();
    let file = File::open("/dev/zero").expect("opened");
    // A shell opens 3 before it becomes the launcher.
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "exec 3</dev/full; exec \"$@\"", "sh"]);
    command.arg(program()).args(["__launch-kubo", &me, "/bin/sh", "-c", "readlink /proc/$$/fd/3"]);
    let output = command.stdin(Stdio::from(file)).output().expect("run");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "/dev/zero\n", "{output:?}");
}

#[test]
fn kubo_is_asked_to_end_when_the_daemon_dies() {
    // A shell plays the daemon: it is the parent, and its end is told by the kernel.
    let script = "\"$0\" __launch-kubo $$ /bin/sh -c 'sleep 100 & s=$!; trap \"echo asked to end; kill $s; exit\" TERM; echo up; wait' & read x; exit";
    let mut daemon = Command::new("/bin/sh");
    daemon.arg("-c").arg(script).arg(program()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut daemon = daemon.spawn().expect("started");
    let mut lines = BufReader::new(daemon.stdout.take().expect("piped")).lines();
    assert_eq!(lines.next().expect("a line").expect("read"), "up");
    drop(daemon.stdin.take());
    assert_eq!(lines.next().expect("a line").expect("read"), "asked to end");
    daemon.wait().expect("waited");
}
