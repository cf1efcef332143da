//! The process: one per data dir, its configuration, its end.

use crate::kit::{Kit, built, eventually, identity_cid, said};
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::Signal;
use proto_msgs::daemon::{Condition, ConfigShow, IndexRefresh, Shutdown};
use proto_msgs::kubo::{KuboRestart, KuboState};
use proto_msgs::pin::PinAdd;
use rustix::thread::{CpuSet, sched_setaffinity};
use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn sigterm_and_sigint_stop_in_order_with_one_signal_to_kubo_and_leave_nothing() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut kit = Kit::fake();
        kit.start_whole();
        kit.signal(signal);
        assert_eq!(kit.ended().code(), Some(0), "{signal}\n{}", kit.log());
        assert_eq!((kit.recorded("signal 15"), kit.recorded("exit 0")), (1, 1), "{signal}: {:?}", kit.record());
        assert!(!kit.socket().exists());
        let private = std::fs::read_dir(kit.path("run/private")).expect("listed").count();
        assert_eq!(private, 0, "no socket is left");
        assert!(!kit.path("data/index/pins.duckdb.wal").exists(), "the index was closed");
    }
}

#[test]
fn the_shutdown_verb_returns_when_the_process_has_ended() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let pid = kit.pid();
    let said = kit.ctl(&["shutdown"]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), "stopped\n"), "{}", said.err);
    assert_eq!(kit.recorded("exit 0"), 1);
    // Its end closed the connection; as a child of this test it stays a zombie until it is waited for.
    let began = std::time::Instant::now();
    while !std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default().contains(") Z ") {
        assert!(began.elapsed().as_millis() < 500, "it lives on");
    }
    assert_eq!(kit.ended().code(), Some(0));
}

#[test]
fn d12_a_second_daemon_names_the_owner_and_changes_nothing() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let cid = identity_cid("kept");
    kit.call(PinAdd { cid: cid.clone(), name: None, direct: false });
    for _ in 0..5 {
        let second = said(&mut kit.command());
        assert_eq!(second.code, Some(75), "{}", second.err);
        assert!(second.err.contains(&format!("another ipfs-kitd (PID {}) owns", kit.pid())), "{}", second.err);
        assert_eq!(second.err.lines().count(), 1, "{}", second.err);
    }
    assert_eq!(kit.pins(), [cid]);
    assert_eq!((kit.recorded("start"), kit.recorded("signal")), (1, 0));
    let elsewhere = kit.path("elsewhere").display().to_string();
    let other_data = kit.command();
    let args: Vec<_> = other_data.get_args().map(|a| a.to_owned()).collect();
    let mut other = std::process::Command::new(other_data.get_program());
    other.env_clear().env("HOME", kit.path("home"));
    for arg in args {
        other.arg(if arg == kit.path("data").as_os_str() { elsewhere.clone().into() } else { arg });
    }
    let stolen = said(&mut other);
    assert_eq!(stolen.code, Some(75), "another data dir must not take the socket: {}", stolen.err);
}

#[test]
fn s12_a_killed_daemon_takes_kubo_along_and_the_next_start_needs_no_help() {
    let mut kit = Kit::fake();
    kit.start_whole();
    kit.kill();
    kit.start_whole();
    assert_eq!(kit.recorded("start"), 2);
    assert_eq!(kit.recorded("signal"), 1, "the first one was told by the kernel, once");
    assert_eq!(kit.stop().code(), Some(0));
}

#[test]
fn configuration_errors_are_one_sentence_and_exit_78() {
    let kit = Kit::fake();
    let file = kit.path("config.toml");
    let run = |args: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ipfs-kitd"));
        command.env_clear().env("HOME", kit.path("home")).args(args);
        said(&mut command)
    };
    let path = file.display().to_string();
    let missing = run(&["--config", &path]);
    assert_eq!(missing.code, Some(78));
    assert!(
        missing.err.contains("cannot read the configuration file") && missing.err.lines().count() == 1,
        "{}",
        missing.err
    );
    std::fs::write(&file, "interval = \"soon\"\n").expect("written");
    let wrong = run(&["--config", &path, "--check-config"]);
    assert_eq!(wrong.code, Some(78));
    assert!(wrong.err.contains("interval = \"soon\" (file "), "{}", wrong.err);
    for (line, words) in [
        ("interval = 30", "line 1 (interval = 30)"),
        ("data_dir = \"\"", "data_dir = \"\" (file "),
        ("ipfs_path = \"~/x\"", "is not an absolute path"),
        ("interval = \"9999999h\"", "is not a duration from 100ms to 8760h"),
    ] {
        std::fs::write(&file, line).expect("written");
        let wrong = run(&["--config", &path, "--check-config"]);
        assert_eq!(wrong.code, Some(78), "{line}");
        assert!(wrong.err.contains(words), "{line}: {}", wrong.err);
    }
    std::fs::write(&file, "interval = \"5m\"\n").expect("written");
    let program = built("fake-kubo").display().to_string();
    let good = run(&["--config", &path, "--check-config", "--kubo", &program]);
    assert_eq!((good.code, good.out.as_str(), good.err.as_str()), (Some(0), "the configuration is good\n", ""));
    let without = run(&["--config", &path, "--check-config", "--kubo", "/none/ipfs"]);
    assert_eq!((without.code, without.out.as_str()), (Some(0), "the configuration can be used, with 1 warning\n"));
    assert!(without.err.contains("warning: Kubo's program") && without.err.contains("/none/ipfs"), "{}", without.err);
    let nowhere = run(&["--config", &path, "--check-config", "--data-dir", &format!("{path}/data")]);
    assert_eq!((nowhere.code, nowhere.out.as_str()), (Some(1), ""), "{}", nowhere.err);
    let printed = run(&["--config", &path, "--print-config", "--stop-grace", "3s"]);
    assert!(printed.out.contains(&format!("interval = \"5m\"  # file {path}\n")), "{}", printed.out);
    assert!(printed.out.contains("stop_grace = \"3s\"  # flag --stop-grace\n"), "{}", printed.out);
    assert!(printed.out.contains("# default\n"), "{}", printed.out);
    let unknown = run(&["--frobnicate"]);
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.err.contains("--frobnicate"), "{}", unknown.err);
    assert!(!kit.path("home/.ipfs_kit").exists(), "nothing was touched");
}

#[test]
fn s29_a_stop_that_is_asked_for_in_the_first_moment_is_not_lost() {
    // On one processor the askers come between the daemon's first steps most often; the child inherits it.
    let mut one = CpuSet::new();
    one.set(0);
    sched_setaffinity(None, &one).expect("this thread on one processor");
    for _ in 0..20 {
        let mut kit = Kit::fake();
        kit.spawn();
        let over = Arc::new(AtomicBool::new(false));
        let askers = [0; 6].map(|_| {
            let (socket, over) = (kit.socket(), over.clone());
            std::thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    if let Ok(mut client) = proto_msgs::Client::connect_json(&socket) {
                        // The daemon may have ended meanwhile.
                        let _ = client.call(Shutdown {});
                    }
                }
            })
        });
        let code = kit.ended().code();
        over.store(true, Ordering::Relaxed);
        for asker in askers {
            asker.join().expect("no panic");
        }
        assert_eq!(code, Some(0), "{}", kit.log());
    }
}

#[test]
fn a_socket_that_somebody_removed_is_there_again() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let again = || eventually(|| proto_msgs::Client::connect(&kit.socket(), "test").is_ok(), || kit.log());
    std::fs::remove_file(kit.socket()).expect("removed");
    again();
    std::fs::remove_dir_all(kit.path("run")).expect("removed");
    again();
    assert!(kit.status().last_error.is_some_and(|error| error.detail.ends_with("was gone; it is there again")));
    let second = said(&mut kit.command());
    assert_eq!(second.code, Some(75), "the new directory is locked: {}", second.err);
    // Kubo's own socket was there, too.
    assert_eq!(kit.call(KuboRestart {}).state, KuboState::Running);
    kit.wait(Condition::IndexFresh);
    assert_eq!(kit.stop().code(), Some(0));
    assert!(!kit.socket().exists());
}

#[test]
fn a_data_dir_that_others_may_write_is_refused() {
    let kit = Kit::fake();
    let data = kit.path("data");
    std::fs::create_dir(&data).expect("made");
    std::fs::set_permissions(&data, PermissionsExt::from_mode(0o777)).expect("chmod");
    let refused = said(&mut kit.command());
    assert_eq!(refused.code, Some(78), "{}", refused.err);
    assert!(refused.err.contains("can be written by others"), "{}", refused.err);
    assert_eq!(std::fs::read_dir(&data).expect("listed").count(), 0);
}

#[test]
fn s29_sighup_reads_the_configuration_again() {
    let mut kit = Kit::fake();
    let file = kit.path("config.toml");
    std::fs::write(&file, "stop_grace = \"40s\"\n").expect("written");
    kit.arg("--config").arg(&file.display().to_string());
    kit.start_whole();
    let grace = |kit: &Kit| {
        let settings = kit.call(ConfigShow {}).settings;
        settings.into_iter().find(|s| s.key == "stop_grace").expect("a setting").value
    };
    assert_eq!(grace(&kit), "\"40s\"");
    std::fs::write(&file, "stop_grace = \"41s\"\n").expect("written");
    kit.signal(Signal::SIGHUP);
    kit.ready_again();
    assert_eq!(grace(&kit), "\"41s\"");
    std::fs::write(&file, "stop_grace = 41\n").expect("written");
    kit.signal(Signal::SIGHUP);
    kit.ready_again();
    assert_eq!(grace(&kit), "\"41s\"", "a wrong one changes nothing");
    assert_eq!((kit.recorded("start"), kit.recorded("signal")), (1, 0));
}

#[test]
fn s14_of_many_daemons_at_the_same_time_one_runs_and_the_others_change_nothing() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let descriptors = kit.index_descriptors();
    let others: Vec<_> =
        (0..20).map(|_| kit.command().stderr(std::process::Stdio::null()).spawn().expect("it starts")).collect();
    for mut other in others {
        assert_eq!(other.wait().expect("it ends").code(), Some(75));
    }
    assert_eq!(kit.index_descriptors(), descriptors);
    assert_eq!((kit.status().daemon.pid, kit.recorded("start"), kit.recorded("signal")), (kit.pid(), 1, 0));
}

#[test]
fn s29_a_stop_during_a_refresh_is_in_order_and_a_second_signal_changes_nothing() {
    let mut kit = Kit::fake();
    kit.start_whole();
    kit.call(PinAdd { cid: identity_cid("kept"), name: None, direct: false });
    let gate = std::os::unix::net::UnixListener::bind(kit.path("gate")).expect("bound");
    kit.script(&serde_json::json!({"hold": kit.path("gate")}));
    kit.call(IndexRefresh { wait: false, names: false });
    let (held, _) = gate.accept().expect("a listing");
    kit.signal(Signal::SIGTERM);
    kit.signal(Signal::SIGTERM);
    kit.signal(Signal::SIGINT);
    assert_eq!(kit.ended().code(), Some(0));
    drop(held);
    assert_eq!((kit.recorded("signal"), kit.recorded("exit 0")), (1, 1), "{:?}", kit.record());
    assert!(!kit.path("data/index/pins.duckdb.wal").exists(), "the index was closed");
}

#[test]
fn s29_a_stop_during_the_start_of_kubo_is_in_order_too() {
    let mut kit = Kit::fake();
    kit.script(&serde_json::json!({"never_ready": true}));
    kit.start();
    kit.until("starting", |s| s.kubo.pid.is_some());
    let shutdown = kit.call(Shutdown {});
    assert_eq!(shutdown.pid, kit.pid());
    assert_eq!(kit.ended().code(), Some(0));
    assert!(kit.recorded("signal 15") <= 1, "{:?}", kit.record());
}

/// A pipe with as much in it as it takes.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    let room = fcntl(&writer, FcntlArg::F_SETPIPE_SZ(4096)).expect("a small one");
    writer.write_all(&vec![b'\n'; room.cast_unsigned() as usize]).expect("there is room");
    (reader, writer)
}

#[test]
fn a_log_that_nobody_reads_holds_up_neither_the_daemon_nor_kubo_nor_the_end() {
    let mut kit = Kit::fake();
    kit.script(&serde_json::json!({"flood": 4 << 20}));
    let (unread, log) = full_pipe();
    kit.spawn_on(kit.command(), log.into()).ready_again();
    kit.wait(Condition::KuboRunning);
    assert_eq!(kit.status().kubo.state, KuboState::Running);
    assert_eq!(kit.stop().code(), Some(0));
    assert_eq!((kit.recorded("signal 15"), kit.recorded("exit 0")), (1, 1), "{:?}", kit.record());
    drop(unread);
}

#[test]
fn what_was_dropped_of_the_log_is_told_once_somebody_reads_it() {
    let mut kit = Kit::fake();
    kit.script(&serde_json::json!({"flood": 4 << 20}));
    let (reader, log) = full_pipe();
    kit.spawn_on(kit.command(), log.into()).ready_again();
    kit.wait(Condition::KuboRunning);
    let mut lines = BufReader::new(reader).lines().map(|line| line.expect("read"));
    let told = lines.find(|line| line.contains("lines of the log were dropped")).expect("told");
    let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    assert!(told["lines"].as_u64() > Some(0), "{told}");
    kit.signal(Signal::SIGTERM);
    assert!(lines.last().expect("a line").contains(r#""message":"stopped""#), "the end is in the log");
    assert_eq!(kit.ended().code(), Some(0));
}

#[test]
fn a_daemon_that_cannot_start_and_whose_words_nobody_reads_ends_too() {
    let mut kit = Kit::fake();
    std::fs::create_dir(kit.path("data")).expect("made");
    std::fs::set_permissions(kit.path("data"), PermissionsExt::from_mode(0o777)).expect("chmod");
    let (unread, log) = full_pipe();
    kit.spawn_on(kit.command(), log.into());
    assert_eq!(kit.ended().code(), Some(78));
    drop(unread);
}

#[test]
fn a_daemon_whose_main_task_hangs_still_ends_kubo_in_order_and_then_itself_by_force() {
    let mut kit = Kit::fake();
    let file = kit.path("config.toml");
    std::fs::write(&file, "").expect("written");
    kit.arg("--config").arg(&file.display().to_string());
    kit.env("IPFS_KITD_TEST_MARGIN_MS", "1000");
    kit.start_whole();
    // A configuration that never ends, as on a network disk that is gone.
    std::fs::remove_file(&file).expect("removed");
    nix::unistd::mkfifo(&file, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    kit.signal(Signal::SIGHUP);
    let endless = std::fs::File::options().write(true).open(&file).expect("it is being read");
    kit.signal(Signal::SIGTERM);
    assert_eq!(kit.ended().code(), Some(1), "{}", kit.log());
    assert_eq!((kit.recorded("signal"), kit.recorded("exit 0")), (1, 1), "{:?}", kit.record());
    assert!(kit.log().contains("so the process ends by force"), "{}", kit.log());
    drop(endless);
}
