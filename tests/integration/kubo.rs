//! Kubo started, lost, stopped, held.

use crate::kit::{Kit, eventually, identity_cid};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use proto_msgs::FaultKind;
use proto_msgs::daemon::Condition;
use proto_msgs::event::{Events, What};
use proto_msgs::kubo::{KuboGc, KuboLogs, KuboRestart, KuboStart, KuboState, KuboStatus, KuboStop};
use proto_msgs::pin::{PinAdd, Source};
use rand::{Rng, SeedableRng};
use serde_json::json;

pub(crate) fn kill_kubo(kit: &Kit) -> u32 {
    let pid = kit.status().kubo.pid.expect("a child");
    kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL).expect("it is there");
    pid
}

#[test]
fn s1_a_kubo_that_somebody_else_ends_in_order_is_started_again_too() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let first = kit.status().kubo.pid.expect("a child");
    kill(Pid::from_raw(first.cast_signed()), Signal::SIGTERM).expect("it is there");
    let status = kit.until("started again", |s| s.kubo.state == KuboState::Running && s.kubo.pid != Some(first));
    let exit = status.kubo.last_exit.expect("an exit");
    assert_eq!((exit.code, exit.signal, exit.asked), (Some(0), None, false));
    assert_eq!((kit.recorded("signal"), kit.recorded("start")), (1, 2), "that one signal was not ours");
}

#[test]
fn s16_a_lock_file_and_an_api_file_that_a_killed_kubo_left_are_in_nobodys_way() {
    let mut kit = Kit::fake();
    kit.start_whole();
    kit.stop();
    let lock = kit.repo().join("repo.lock");
    std::fs::write(&lock, "").expect("written");
    std::fs::write(kit.repo().join("api"), "/ip4/127.0.0.1/tcp/9").expect("written");
    let inode = std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(&lock).expect("there"));
    kit.start();
    kit.wait(Condition::KuboRunning);
    let now = std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(&lock).expect("there"));
    assert_eq!(now, inode, "the lock file was not replaced");
}

#[test]
fn a_killed_kubo_is_started_again_while_the_index_goes_on_answering() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let first = kill_kubo(&kit);
    let status = kit.until("started again", |s| s.kubo.state == KuboState::Running && s.kubo.pid != Some(first));
    assert_eq!(status.kubo.restarts, 1);
    let exit = status.kubo.last_exit.expect("an exit");
    assert_eq!((exit.signal, exit.asked, exit.cause.as_str()), (Some(9), false, "killed by SIGKILL"));
    assert_eq!(kit.recorded("signal"), 0);
}

#[test]
fn while_kubo_is_down_the_index_answers_and_says_so_and_pinning_is_refused() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let cid = identity_cid("kept");
    kit.call(PinAdd { cid: cid.clone(), name: None, direct: false });
    assert_eq!(kit.call(KuboStop {}).state, KuboState::Stopped);
    assert_eq!(kit.pins(), std::slice::from_ref(&cid));
    let status = kit.status();
    assert_eq!((status.index.source, status.index.complete, status.kubo.pid), (Source::Index, true, None));
    assert_eq!(kit.fault(PinAdd { cid, name: None, direct: false }).kind, FaultKind::KuboDown);
    assert_eq!(kit.recorded("signal 15"), 1);
    assert_eq!(kit.call(KuboStart {}).state, KuboState::Running);
}

#[test]
fn a_stop_asked_for_lasts_over_restarts_of_the_daemon_until_a_start_is_asked_for() {
    let mut kit = Kit::fake();
    kit.start_whole();
    kit.call(KuboStop {});
    let since = kit.status().kubo.since;
    for kill in [true, false] {
        if kill {
            kit.kill();
        } else {
            kit.stop();
        }
        kit.start();
        let kubo = kit.call(KuboStatus {});
        assert_eq!((kubo.state, kubo.pid, kit.recorded("start")), (KuboState::Stopped, None, 1));
        assert!(kubo.since <= since, "{} and {since}", kubo.since);
    }
    assert_eq!(kit.call(KuboStart {}).state, KuboState::Running);
    kit.stop();
    kit.start();
    kit.wait(Condition::KuboRunning);
}

#[test]
fn a_restart_asked_for_is_one_stop_and_one_start() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let before = kit.status().kubo.pid;
    let after = kit.call(KuboRestart {});
    assert_eq!(after.state, KuboState::Running);
    assert_ne!(after.pid, before);
    assert_eq!((kit.recorded("signal"), kit.recorded("start")), (1, 2));
}

#[test]
fn s6_kubo_that_ignores_sigterm_is_killed_at_the_deadline_and_leaves_nobody_behind() {
    let mut kit = Kit::fake();
    kit.arg("--stop-grace").arg("300ms");
    kit.script(&json!({"ignore_term": true, "leave_grandchild": true}));
    kit.start_whole();
    let report = kit.call(KuboStop {});
    let exit = report.last_exit.expect("an exit");
    assert_eq!((report.state, exit.signal, exit.asked), (KuboState::Stopped, Some(9), true));
    assert_eq!(kit.recorded("signal 15"), 1);
    let record = kit.record();
    let grandchild = record.iter().find_map(|l| l.strip_prefix("grandchild ")).expect("one");
    assert!(grandchild.parse::<u32>().is_ok_and(|pid| pid > 0), "{grandchild}");
    // Killed, though perhaps not gone yet; whoever adopts it reaps it.
    eventually(|| !lives(grandchild), || "the grandchild lives".to_owned());
}

/// Whether a process is there and no zombie.
pub(crate) fn lives(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn s8_kubo_gets_one_stop_signal_however_many_ask_for_its_stop_and_the_daemons() {
    let mut kit = Kit::fake();
    // It goes on until it is killed, so that there is time to ask again.
    kit.script(&json!({"ignore_term": true}));
    kit.arg("--stop-grace").arg("2s");
    kit.start_whole();
    std::thread::scope(|scope| {
        let asked = ["stop", "stop", "restart"].map(|verb| scope.spawn(|| kit.ctl(&["kubo", verb])));
        kit.until("stopping", |s| s.kubo.state == KuboState::Stopping);
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGTERM] {
            kit.signal(signal);
        }
        asked.into_iter().for_each(|asked| drop(asked.join().expect("ended")));
    });
    assert_eq!(kit.ended().code(), Some(0));
    assert_eq!(kit.recorded("signal"), 1, "{:?}", kit.record());
}

/// Fake Kubos of this kit that live.
fn alive(kit: &Kit) -> usize {
    kit.record().iter().filter_map(|line| line.strip_prefix("start ")).filter(|pid| lives(pid)).count()
}

/// The same on the real daemon as the random walk over its state machine.
#[test]
fn any_sequence_of_faults_leaves_one_kubo_that_runs_no_zombie_and_no_descriptor_behind() {
    let seed: u64 =
        std::env::var("KITD_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    let mut kit = Kit::fake();
    kit.arg("--stop-grace").arg("1s");
    kit.start_whole();
    let descriptors = || std::fs::read_dir(format!("/proc/{}/fd", kit.pid())).expect("there").count();
    let before = descriptors();
    let (mut steps, mut panics) = (Vec::new(), 0);
    for _ in 0..60 {
        let step = random.random_range(0..9);
        steps.push(step);
        let pid = kit.status().kubo.pid.map(|pid| Pid::from_raw(pid.cast_signed()));
        match (step, pid) {
            // It may have ended meanwhile; nobody else has its PID so soon.
            (0, Some(pid)) => drop(kill(pid, Signal::SIGKILL)),
            (1, Some(pid)) => drop(kill(pid, Signal::SIGTERM)),
            (2, Some(pid)) => {
                let _ = kill(pid, Signal::SIGSTOP);
                let _ = kill(pid, Signal::SIGCONT);
            }
            (3, _) => drop(kit.try_call(KuboStop {})),
            (4, _) => drop(kit.try_call(KuboStart {})),
            (5, _) => drop(kit.try_call(KuboRestart {})),
            (6, _) => kit.script(&json!({"exit_at_start": 1})),
            (7, _) => kit.script(&json!({})),
            (8, _) if panics < 3 => {
                panics += 1;
                kit.panic_at("kubo.event");
            }
            _ => {
                kit.signal(Signal::SIGHUP);
                kit.ready_again();
            }
        }
        assert!(alive(&kit) <= 1, "two children: seed {seed}, steps {steps:?}\n{}", kit.log());
    }
    kit.script(&json!({}));
    // One that has been killed a moment ago is running until that is noticed.
    let running = || kit.try_call(KuboStart {}).is_ok_and(|kubo| kubo.state == KuboState::Running) && alive(&kit) == 1;
    eventually(running, || format!("it does not run: seed {seed}, steps {steps:?}\n{}", kit.log()));
    let children = || std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", kit.pid())).expect("there");
    let zombie = || children().split_whitespace().any(|pid| !lives(pid));
    eventually(|| !zombie(), || format!("a zombie: seed {seed}, steps {steps:?}"));
    // Connections of this test that are being closed.
    eventually(|| descriptors() <= before, || format!("{} descriptors, {before} before: seed {seed}", descriptors()));
    let code = kit.stop().code();
    assert_eq!(code, Some(0), "seed {seed}, steps {steps:?}");
    assert_eq!(alive(&kit), 0);
}

#[test]
fn s27_a_kubo_that_the_kernel_kills_for_want_of_memory_is_told_so_and_the_daemon_lives_on() {
    let Some(mut group) = MemoryGroup::new() else { return };
    let mut kit = Kit::fake();
    kit.start_whole();
    // Those that it starts from now on are in the group, too.
    group.take(kit.pid());
    kit.script(&json!({"take_memory": 1 << 30}));
    kill_kubo(&kit);
    let status = kit.until("killed", |s| {
        s.kubo.last_exit.as_ref().is_some_and(|exit| exit.cause == "killed by SIGKILL, out of memory")
    });
    assert_eq!(status.daemon.pid, kit.pid());
    kit.script(&json!({}));
    kit.call(KuboStart {});
    kit.stop();
    drop(group);
}

/// A control group with little memory.
struct MemoryGroup(std::path::PathBuf);

impl MemoryGroup {
    const LIMIT: &str = "700000000";

    /// `None` where that can't be made, which it says.
    fn new() -> Option<MemoryGroup> {
        let name = format!("kitd-test-{}", std::process::id());
        let kinds = [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")];
        for (root, limit) in kinds {
            let dir = std::path::Path::new(root).join(&name);
            if std::fs::create_dir(&dir).is_ok() {
                let group = MemoryGroup(dir);
                if std::fs::write(group.0.join(limit), Self::LIMIT).is_ok() {
                    return Some(group);
                }
            }
        }
        crate::kit::skipped("s27", "no control group with a limit of memory can be made");
        None
    }

    fn take(&mut self, pid: u32) {
        std::fs::write(self.0.join("cgroup.procs"), pid.to_string()).expect("moved");
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        // Fails while somebody is in it, as in a test that failed: the daemon ends after this.
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[test]
fn s9_what_kubo_has_left_in_a_session_of_its_own_ends_with_it() {
    let mut kit = Kit::fake();
    kit.script(&json!({"leave_session": true}));
    kit.start_whole();
    let record = kit.record();
    let left: Vec<&str> = record.iter().find_map(|l| l.strip_prefix("session ")).expect("noted").split(' ').collect();
    assert!(left.len() == 2 && left.iter().all(|pid| lives(pid)), "{left:?}");
    let first = kill_kubo(&kit);
    let gone = || !left.iter().any(|pid| std::path::Path::new("/proc").join(pid).exists());
    eventually(gone, || format!("{left:?} are left: {}", kit.log()));
    // They may be gone before the daemon says that their Kubo is.
    kit.until("started again", |s| s.kubo.state == KuboState::Running && s.kubo.pid != Some(first));
    assert_eq!(kit.stop().code(), Some(0));
    let record = kit.record();
    let second = record.iter().filter_map(|l| l.strip_prefix("session ")).nth(1).expect("noted");
    // Killed before the daemon's end, though perhaps not gone yet.
    eventually(|| !second.split(' ').any(lives), || format!("{second} are left: {}", kit.log()));
}

#[test]
fn s10_orphans_that_end_leave_no_zombies_and_kubos_own_end_is_still_known() {
    let mut kit = Kit::fake();
    kit.script(&json!({"leave_zombies": 2000}));
    kit.start_whole();
    let zombies = || {
        let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", kit.pid())).expect("there");
        children.split_whitespace().filter(|pid| !lives(pid)).count()
    };
    eventually(|| zombies() == 0, || format!("{} zombies", zombies()));
    let first = kill_kubo(&kit);
    let status = kit.until("started again", |s| s.kubo.state == KuboState::Running && s.kubo.pid != Some(first));
    assert_eq!(status.kubo.last_exit.and_then(|exit| exit.signal), Some(9));
}

#[test]
fn s2_kubo_that_fails_at_each_start_ends_in_a_crash_loop_and_the_daemon_serves_on() {
    let mut kit = Kit::fake();
    kit.script(&json!({"exit_at_start": 1}));
    kit.start();
    let fault = kit.fault(KuboStart {});
    assert_eq!(fault.kind, FaultKind::Kubo);
    let status = kit.until("in a crash loop", |s| s.kubo.state == KuboState::CrashLoop);
    assert_eq!(status.kubo.last_exit.expect("an exit").code, Some(1));
    let next: jiff::Timestamp = status.kubo.next_retry.expect("a time").parse().expect("RFC 3339");
    assert!(next.duration_since(jiff::Timestamp::now()).as_secs() > 200, "slow: {next}");
    // The start that was asked for begins the count anew; the one before it may have been under way.
    assert!((5..=6).contains(&kit.recorded("start")), "{:?}", kit.record());
    assert_eq!(kit.pins(), Vec::<String>::new(), "the index answers");
    kit.script(&json!({}));
    assert_eq!(kit.call(KuboStart {}).state, KuboState::Running);
}

#[test]
fn s25_a_flood_of_output_without_line_ends_is_drained_and_cut() {
    let mut kit = Kit::fake();
    kit.script(&json!({"flood": 4 << 20}));
    kit.start();
    kit.wait(Condition::KuboRunning);
    let page = kit.call(KuboLogs { lines: Some(2000), ..KuboLogs::default() });
    assert!(page.lines.iter().all(|line| line.text.len() <= 64 << 10));
    let cut = page.lines.len() as u64 + page.dropped;
    assert!(cut >= 64, "4 MiB came as {cut} lines");
}

#[test]
fn s4_a_kubo_that_is_never_ready_is_degraded_and_not_offered_for_calls() {
    let mut kit = Kit::fake();
    kit.arg("--start-timeout").arg("1s");
    kit.script(&json!({"never_ready": true}));
    kit.start();
    kit.until("degraded", |s| s.kubo.state == KuboState::Degraded);
    let fault = kit.fault(PinAdd { cid: identity_cid("x"), name: None, direct: false });
    assert_eq!((fault.kind, fault.detail.as_str()), (FaultKind::KuboDown, "Kubo is not ready (degraded)"));
    assert_eq!(kit.stop().code(), Some(0));
    assert_eq!(kit.recorded("signal"), 1);
}

#[test]
fn s5_a_kubo_that_is_stuck_for_the_hang_limit_is_restarted() {
    let mut kit = Kit::fake();
    kit.arg("--hang-limit").arg("200ms").arg("--stop-grace").arg("300ms");
    kit.start_whole();
    let stuck = kit.status().kubo.pid.expect("a child");
    kill(Pid::from_raw(stuck.cast_signed()), Signal::SIGSTOP).expect("it is there");
    let status = kit.until("restarted", |s| s.kubo.state == KuboState::Running && s.kubo.restarts == 1);
    // It could not even take its stop signal.
    assert_eq!(status.kubo.last_exit.map(|exit| (exit.signal, exit.asked)), Some((Some(9), true)));
    let page = kit.call(Events::default());
    let causes = page.events.iter().filter_map(|event| match &event.what {
        What::Kubo(change) => Some(change.cause.as_str()),
        _ => None,
    });
    assert_eq!(causes.collect::<Vec<_>>(), ["first_start", "ready", "no_answer", "hung", "exited", "retry", "ready"]);
}

#[test]
fn s7_a_kubo_that_is_half_shut_down_is_degraded_with_its_own_words_and_restarted_after_the_hang_limit() {
    let mut kit = Kit::fake();
    kit.arg("--hang-limit").arg("1s");
    kit.start_whole();
    kit.script(&json!({"unhealthy": true}));
    let status = kit.until("degraded", |s| s.kubo.state == KuboState::Degraded);
    let change = status.kubo.change.expect("a change");
    assert!(change.evidence.contains("daemon is shutting down"), "{}", change.evidence);
    kit.until("restarted", |s| s.kubo.restarts == 1);
    kit.script(&json!({}));
    kit.wait(Condition::KuboRunning);
    assert_eq!(kit.recorded("signal 15"), 1);
}

#[test]
fn s26_a_daemon_without_a_free_descriptor_lives_and_starts_kubo_once_it_has_some() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let daemon = rustix::process::Pid::from_raw(kit.pid().cast_signed());
    let before = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    // What is open stays open, and nothing new can be opened.
    let none = rustix::process::Rlimit { current: Some(3), maximum: before.maximum };
    let kubo = kit.status().kubo.pid.expect("a child");
    let old = rustix::process::prlimit(daemon, rustix::process::Resource::Nofile, none).expect("limited");
    // Its own trouble is not taken for Kubo's.
    eventually(|| kit.log().matches("cannot look at Kubo").count() >= 1, || kit.log());
    kill(Pid::from_raw(kubo.cast_signed()), Signal::SIGKILL).expect("it is there");
    let lives = || std::fs::read_to_string(kit.path("log")).is_ok_and(|log| log.matches("\"cause\":").count() >= 4);
    eventually(lives, || kit.log());
    rustix::process::prlimit(daemon, rustix::process::Resource::Nofile, old).expect("allowed");
    let status = kit.until("back", |s| s.kubo.state == KuboState::Running);
    assert!(status.kubo.restarts >= 1);
    let log = kit.log();
    assert!(log.contains("Too many open files") && !log.contains("no_answer"), "{log}");
}

#[test]
fn s5_a_kubo_that_answers_nothing_is_degraded_and_not_killed_before_the_hang_limit() {
    let mut kit = Kit::fake();
    kit.start_whole();
    kit.script(&json!({"hang": true}));
    let status = kit.until("degraded", |s| s.kubo.state == KuboState::Degraded);
    assert_eq!(kit.recorded("signal"), 0);
    kit.script(&json!({}));
    let after = kit.until("running", |s| s.kubo.state == KuboState::Running);
    assert_eq!(after.kubo.pid, status.kubo.pid);
    kit.until("refreshed", |s| s.index.source == Source::Live);
    assert_eq!(kit.call(KuboStatus {}).restarts, 0);
}

#[test]
fn a_collection_whose_answer_is_cut_is_told_so_while_kubo_runs_on() {
    let mut kit = Kit::fake();
    kit.start_whole();
    kit.script(&json!({"cut_gc": true}));
    let fault = kit.fault(KuboGc {});
    assert_eq!(fault.kind, FaultKind::Kubo);
    assert!(fault.detail.contains("answer was cut") && fault.detail.contains("still runs"), "{fault:?}");
    assert_eq!((kit.status().kubo.state, kit.recorded("start")), (KuboState::Running, 1));
}

#[test]
fn while_kubo_starts_the_status_says_what_its_readiness_waits_for() {
    let mut kit = Kit::fake();
    kit.script(&json!({"peer_id": "12D3KooWOther"}));
    kit.start();
    let kubo = kit.until("looked at", |s| s.kubo.last_look.is_some()).kubo;
    assert_eq!(kubo.state, KuboState::Starting);
    assert!(kubo.last_look.is_some_and(|why| why.contains("answers as node 12D3KooWOther")));
    let said = kit.ctl(&["kubo", "status"]);
    assert!(said.out.contains("not ready") && said.out.contains("12D3KooWOther"), "{}", said.out);
    kit.script(&json!({}));
    kit.wait(Condition::KuboRunning);
    assert_eq!(kit.status().kubo.last_look, None);
}
