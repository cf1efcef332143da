//! What a person sees: events, the log, findings, the hook.

use crate::kit::{DEADLINE, Kit, eventually, identity_cid};
use crate::kubo::lives;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use proto_msgs::daemon::{ActorReport, IndexRefresh};
use proto_msgs::event::{Event, EventPage, Events, IndexChange, KuboChange, What};
use proto_msgs::kubo::{KuboGc, KuboLogs, KuboRestart, KuboState, KuboStop};
use proto_msgs::pin::{PinAdd, PinRm};
use proto_msgs::verb::Part;
use proto_msgs::{Fault, FaultKind};
use serde_json::json;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

fn changes(page: &EventPage) -> Vec<KuboChange> {
    let kubo = page.events.iter().filter_map(|event| match &event.what {
        What::Kubo(change) => Some(change.clone()),
        _ => None,
    });
    kubo.collect()
}

#[test]
fn changes_of_the_pins_are_events_and_a_burst_is_told_in_few() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let kits_own = kit.pins().len();
    let pins: Vec<String> = (0..60).map(|n| identity_cid(&format!("burst {n}"))).collect();
    for cid in &pins {
        kit.call(PinAdd { cid: cid.clone(), name: None, direct: false });
    }
    kit.call(PinRm { cid: pins[0].clone() });
    let generation = kit.status().index.generation;
    let told = || -> Vec<IndexChange> {
        let events = kit.call(Events::default()).events.into_iter();
        events.filter_map(|event| if let What::Index(change) = event.what { Some(change) } else { None }).collect()
    };
    eventually(|| told().last().is_some_and(|change| change.to == generation), || format!("{:?}", told()));
    let told = told();
    assert!(told.windows(2).all(|pair| pair[0].to == pair[1].from), "{told:?}");
    let sum = |count: fn(&IndexChange) -> u64| told.iter().map(count).sum::<u64>();
    let (before, after) = (kits_own as u64, kits_own as u64 + 59);
    let counts = (sum(|change| change.added), sum(|change| change.removed), sum(|change| change.changed));
    assert_eq!(counts, (before + 60, 1, 0), "{told:?}");
    assert!(told.len() < 60 && told.last().is_some_and(|change| change.pins == after), "{told:?}");
    let said = kit.ctl(&["events"]).out;
    assert!(said.contains(" added") && said.contains(&format!(", {after} pins")), "{said}");
}

fn kill_kubo(kit: &Kit) {
    let pid = kit.status().kubo.pid.expect("a child");
    kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL).expect("it is there");
}

#[test]
fn every_change_of_kubo_is_an_event_with_cause_and_evidence() {
    let mut kit = Kit::fake();
    kit.start_whole();
    kill_kubo(&kit);
    kit.until("back", |s| s.kubo.state == KuboState::Running && s.kubo.restarts == 1);
    kit.call(KuboStop {});
    let page = kit.call(Events::default());
    let changes = changes(&page);
    let causes: Vec<_> = changes.iter().map(|change| change.cause.as_str()).collect();
    assert_eq!(causes, ["first_start", "ready", "exited", "retry", "ready", "stop_asked", "stop_asked"]);
    assert!(changes[2].evidence.starts_with("killed by SIGKILL"), "{}", changes[2].evidence);
    assert!(changes.windows(2).all(|two| two[0].to == two[1].from));
    assert!(page.events.windows(2).all(|two| two[0].seq + 1 == two[1].seq));
    let of_kubo = |event: &&Event| matches!(event.what, What::Kubo(_));
    let last = page.events.iter().rfind(of_kubo).expect("an event").seq;
    let after = |since, epoch| kit.call(Events { since: Some(since), epoch, follow: false });
    assert_eq!(after(last, None).events.iter().filter(of_kubo).count(), 0);
    assert!(after(last, Some("another".into())).events.len() >= page.events.len());
    let said = kit.ctl(&["events", "--since", &(last - 1).to_string()]);
    assert_eq!(said.code, Some(0));
    assert!(said.out.lines().next().is_some_and(|line| line.ends_with(")")), "{}", said.out);
    assert!(said.out.contains("kubo stopping -> stopped: stop_asked"), "{}", said.out);
}

#[test]
fn the_state_comes_first_and_a_follower_goes_on_where_its_connection_broke() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let page = kit.call(Events::default());
    let (state, status) = (page.state.clone().expect("a state"), kit.status());
    assert_eq!((state.kubo, state.pins, state.complete), (KuboState::Running, status.index.pins, true));
    assert_eq!((state.version, state.stopping), (status.daemon.version, false));
    assert_eq!(state.generation, status.index.generation);
    assert!(state.seq <= page.events.last().expect("an event").seq);
    // The second connection takes up where the first ended, with nothing twice and nothing missing.
    let newest = |page: &EventPage| page.events.last().map(|event| event.seq);
    let mut seen = Vec::new();
    let mut since = None;
    for round in ["one", "two"] {
        let verb = Events { since, epoch: since.map(|_| page.epoch.clone()), follow: true };
        let (mut pages, mut added) = (0, None);
        let ended = kit.client().call_with(verb, Some(DEADLINE), |part| {
            let Part::Events(page) = part else { return Ok(()) };
            assert_eq!((page.gap, page.state.is_some()), (0, pages == 0));
            pages += 1;
            seen.extend(page.events.iter().map(|event| event.seq));
            since = newest(&page).or(since);
            let generation = *added.get_or_insert_with(|| {
                kit.call(PinAdd { cid: identity_cid(round), name: None, direct: false });
                kit.status().index.generation
            });
            let told = |event: &Event| matches!(&event.what, What::Index(change) if change.to >= generation);
            if page.events.iter().any(told) { Err(std::io::ErrorKind::Other.into()) } else { Ok(()) }
        });
        assert!(ended.is_err(), "it ends when the pin was told");
    }
    assert!(seen.iter().copied().eq(1..=since.expect("events")), "{seen:?}");
}

#[test]
fn snapshots_failing_refreshes_and_reloads_are_told() {
    let mut kit = Kit::fake();
    kit.start_whole();
    kit.call(PinAdd { cid: identity_cid("one"), name: None, direct: false });
    kit.call(proto_msgs::snapshot::SnapshotNow { arrow: false });
    kit.script(&json!({"cut_listing": true}));
    kit.try_call(IndexRefresh { wait: true, names: false }).expect_err("it was cut");
    kit.script(&json!({}));
    kit.call(IndexRefresh { wait: true, names: false });
    kit.signal(Signal::SIGHUP);
    let told = || kit.call(Events::default()).events.into_iter().map(|event| event.what).collect::<Vec<_>>();
    eventually(|| told().iter().any(|what| matches!(what, What::Reload(_))), || format!("{:?}", told()));
    let told = told();
    assert!(told.iter().any(|what| matches!(what, What::Snapshot(new) if new.pins > 0)), "{told:?}");
    let refreshes: Vec<_> = told
        .iter()
        .filter_map(|what| if let What::Refresh(change) = what { Some((change.failing, change.failed)) } else { None })
        .collect();
    assert_eq!(refreshes, [(true, 1), (false, 1)], "{told:?}");
    let said = kit.ctl(&["events"]).out;
    for words in
        ["refresh fails: ", "refresh goes well again", "snapshot gen-", "reload the configuration was read again"]
    {
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn events_are_followed_as_they_come_and_until_the_daemon_has_ended() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let mut follow = kit.ctl_command(&["events", "-f", "-o", "ndjson"]);
    let mut follow = follow.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it runs");
    let mut lines = BufReader::new(follow.stdout.take().expect("a pipe")).lines();
    let mut until = |cause: &str| {
        let found = lines.by_ref().map(|line| line.expect("read")).find(|line| line.contains(&format!("\"{cause}\"")));
        assert!(found.is_some(), "no event {cause}");
    };
    until("stopping\":false,\"kubo");
    until("ready");
    kill_kubo(&kit);
    until("exited");
    until("ready");
    kit.stop();
    until("daemon_ends");
    assert_eq!(follow.wait().expect("ended").code(), Some(69), "the daemon is gone");
}

#[test]
fn kubos_output_is_followed_over_its_restarts() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let mut seen = Vec::new();
    let mut client = kit.client();
    let verb = KuboLogs { follow: true, ..KuboLogs::default() };
    let mut restarted = false;
    let ended = client.call_with(verb, Some(DEADLINE), |part| {
        if let Part::KuboLogs(page) = part {
            seen.extend(page.lines.into_iter().map(|line| line.text));
        }
        if !std::mem::replace(&mut restarted, true) {
            kit.call(KuboRestart {});
        }
        let starts = seen.iter().filter(|line| line.as_str() == "Daemon is ready").count();
        // Whoever has enough hangs up.
        if starts == 2 { Err(std::io::ErrorKind::Other.into()) } else { Ok(()) }
    });
    assert!(ended.is_err());
    let since = "2999-01-01T00:00:00Z".to_owned();
    assert!(kit.call(KuboLogs { since: Some(since), ..KuboLogs::default() }).lines.is_empty());
    let fault: Fault = kit.fault(KuboLogs { since: Some("yesterday".into()), ..KuboLogs::default() });
    assert_eq!(fault.kind, FaultKind::Invalid);
    assert!(kit.ctl(&["kubo", "logs", "--since", "1h"]).out.contains("Daemon is ready"));
}

#[test]
fn a_doctor_finds_what_kubo_is_held_for_and_what_its_config_risks_each_with_a_command() {
    let mut kit = Kit::fake();
    kit.start_whole();
    assert_eq!(kit.ctl(&["doctor"]).out, "nothing is wrong\n");
    kit.stop();
    let config = kit.repo().join("config");
    let mut text: serde_json::Value = serde_json::from_slice(&std::fs::read(&config).expect("there")).expect("JSON");
    text["Addresses"]["API"] = json!("/ip4/0.0.0.0/tcp/5001");
    text["Datastore"] = json!({"StorageMax": "10GB"});
    std::fs::write(&config, text.to_string()).expect("written");
    kit.script(&json!({"exit_at_start": 1, "last_words": "Error: open /x: no space left on device"}));
    kit.start();
    kit.until("held", |s| s.kubo.state == KuboState::Held);
    let said = kit.ctl(&["doctor", "-o", "json"]);
    assert_eq!(said.code, Some(1));
    let report: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    let findings = report["findings"].as_array().expect("a list");
    let causes: Vec<_> = findings.iter().map(|finding| finding["cause"].as_str().expect("a cause")).collect();
    assert_eq!(causes, ["disk_full", "rpc_open", "storage_unbounded"]);
    assert!(findings.iter().all(|finding| finding["command"].is_string()), "{findings:?}");
    assert!(kit.ctl(&["status"]).out.contains("2 warnings"));
    assert_eq!(std::fs::read_to_string(&config).expect("there"), text.to_string(), "nothing was changed");
}

#[test]
fn a_garbage_collection_tells_what_it_removed_and_what_it_could_not() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let done = kit.call(KuboGc {});
    assert_eq!((done.blocks, done.errors), (2, vec!["could not remove bafkqaba".to_owned()]));
    assert!(done.bytes_before.is_some());
    let said = kit.ctl(&["kubo", "gc"]);
    assert_eq!(said.code, Some(1), "something was left");
    assert!(said.out.starts_with("removed 2 blocks"), "{}", said.out);
    kit.call(KuboStop {});
    assert_eq!(kit.ctl(&["kubo", "gc"]).code, Some(3));
}

#[test]
fn what_kubo_says_while_it_starts_its_memory_and_its_peers_are_shown() {
    let mut kit = Kit::fake();
    kit.script(&json!({"never_ready": true, "last_words": "applying 16-to-17 repo migration"}));
    kit.start();
    let status = kit.until("starting", |s| s.kubo.newest_line.as_deref() == Some("applying 16-to-17 repo migration"));
    assert_eq!((status.kubo.state, status.kubo.peers), (KuboState::Starting, None));
    assert!(status.kubo.memory.is_some_and(|bytes| bytes > 100_000), "{:?}", status.kubo.memory);
    kit.stop();
    kit.script(&json!({"peers": 7}));
    kit.start();
    let kubo = kit.until("counted", |s| s.kubo.peers == Some(7)).kubo;
    assert_eq!(kubo.newest_line, None);
    let said = kit.ctl(&["kubo", "status"]);
    assert!(said.out.contains("peers") && said.out.contains("memory"), "{}", said.out);
}

#[test]
fn the_hook_is_told_of_changes_one_at_a_time_and_of_how_many_it_was_not_told() {
    let mut kit = Kit::fake();
    let (script, told) = (kit.path("hook"), kit.path("told"));
    let line = "echo \"$1 $IPFS_KITD_FROM $IPFS_KITD_TO $IPFS_KITD_CAUSE $IPFS_KITD_UNTOLD\"";
    std::fs::write(&script, format!("#!/bin/sh\n{line} >>{}\n", told.display())).expect("written");
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("chmod");
    kit.arg("--hook").arg(&script.display().to_string()).arg("--hook").arg("two words; $(id)");
    kit.start_whole();
    for _ in 0..3 {
        kit.call(KuboRestart {});
    }
    let lines = || std::fs::read_to_string(&told).unwrap_or_default();
    eventually(|| lines().lines().count() == 2, || format!("told: {}", lines()));
    let lines = lines();
    let (first, second) = lines.trim_end().split_once('\n').expect("two lines");
    assert!(first.starts_with("two words; $(id) backoff "), "{first}");
    let untold: u32 = second.rsplit(' ').next().and_then(|n| n.parse().ok()).expect("a number");
    assert!(second.contains(" running ready ") && untold >= 10, "{second}");
}

/// A hook that is this shell script.
fn hook_of(kit: &mut Kit, script: &str) -> std::path::PathBuf {
    let path = kit.path("hook");
    std::fs::write(&path, script).expect("written");
    kit.arg("--hook").arg("/bin/sh").arg("--hook").arg(&path.display().to_string());
    path
}

#[test]
fn a_hook_that_fails_is_told_by_the_doctor_until_it_goes_well() {
    let mut kit = Kit::fake();
    let script = hook_of(&mut kit, "echo no channel >&2; exit 1");
    kit.start_whole();
    let finding = |said: &str| said.contains("the hook failed when it was last run: no channel");
    eventually(|| finding(&kit.ctl(&["doctor"]).out), || kit.log());
    let status = kit.status();
    assert!(status.last_error.expect("an error").detail.contains("the hook"));
    assert_eq!((status.kubo.state, kit.ctl(&["doctor"]).code), (KuboState::Running, Some(0)), "Kubo does not care");
    std::fs::write(&script, "exit 0").expect("written");
    kit.call(KuboRestart {});
    eventually(|| !finding(&kit.ctl(&["doctor"]).out), || kit.log());
}

#[test]
fn what_the_hook_was_not_told_is_counted_over_a_restart_of_the_actor() {
    let mut kit = Kit::fake();
    let told = kit.path("told");
    hook_of(&mut kit, &format!("echo $IPFS_KITD_SEQ $IPFS_KITD_UNTOLD >>{}", told.display()));
    kit.start_whole();
    let numbers = || std::fs::read_to_string(&told).unwrap_or_default();
    eventually(|| numbers().lines().count() == 1, || kit.log());
    kit.panic_at("kubo.message");
    let _ = kit.try_call(KuboRestart {});
    let failed = |actor: &ActorReport| actor.name == "kubo" && actor.running && actor.restarts == 1;
    kit.until("restarted", |s| s.daemon.actors.iter().any(failed));
    kit.call(KuboRestart {});
    eventually(|| numbers().lines().count() == 2, || kit.log());
    let numbers = numbers();
    let lines: Vec<(u64, usize)> = numbers
        .lines()
        .map(|line| line.split_once(' ').expect("two numbers"))
        .map(|(seq, untold)| (seq.parse().expect("a number"), untold.parse().expect("a number")))
        .collect();
    let between = |event: &&Event| event.seq > lines[0].0 && event.seq <= lines[1].0;
    let page = kit.call(Events::default());
    let changes = page.events.iter().filter(between).filter(|event| matches!(event.what, What::Kubo(_))).count();
    assert_eq!(lines[1].1 + 1, changes, "{numbers}");
}

#[test]
fn a_hook_that_runs_on_ends_with_the_daemon_and_so_does_what_it_has_started() {
    let mut kit = Kit::fake();
    let (own, other) = (kit.path("own"), kit.path("other"));
    let left = format!("echo $$ >{0}.new; mv {0}.new {0}; exec sleep 600", other.display());
    hook_of(
        &mut kit,
        &format!("setsid sh -c '{left}' & echo $$ >{0}.new; mv {0}.new {0}; exec sleep 600", own.display()),
    );
    kit.start_whole();
    eventually(|| own.exists() && other.exists(), || kit.log());
    assert_eq!(kit.stop().code(), Some(0));
    for file in [own, other] {
        let pid = std::fs::read_to_string(file).expect("written");
        eventually(|| !lives(pid.trim()), || format!("{pid} lives: {}", kit.log()));
    }
}

#[test]
fn the_doctor_sees_a_repo_that_was_broken_while_kubo_runs() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let config = kit.repo().join("config");
    let good = std::fs::read_to_string(&config).expect("there");
    let findings = || kit.call(proto_msgs::doctor::Doctor {}).findings;
    let cause = || findings().into_iter().map(|finding| (finding.cause, finding.command.is_some())).collect::<Vec<_>>();
    for (text, expected) in [
        ("{ no JSON".to_owned(), "repo_unreadable"),
        (good.replace("12D3KooWFake", "12D3KooWOther"), "repo_changed"),
        (good.replacen('{', "{\"Swarm\":{\"AddrFilters\":[\"10.0.0.0/8\"]},", 1), "config_refused"),
    ] {
        assert_ne!(text, good, "{expected}");
        std::fs::write(&config, text).expect("written");
        assert_eq!(cause(), [(expected.to_owned(), true)], "{:?}", findings());
    }
    std::fs::write(&config, &good).expect("written");
    assert_eq!(cause(), []);
    assert_eq!(kit.recorded("start"), 1);
}

#[test]
fn the_doctors_command_for_a_link_in_the_place_of_the_lock_mends_that() {
    let mut kit = Kit::fake();
    kit.start_whole();
    kit.stop();
    let lock = kit.repo().join("repo.lock");
    let _ = std::fs::remove_file(&lock);
    std::os::unix::fs::symlink("elsewhere", &lock).expect("linked");
    kit.start();
    kit.until("held", |s| s.kubo.held.as_ref().is_some_and(|held| held.cause == "lock_unknown"));
    let finding = kit.call(proto_msgs::doctor::Doctor {}).findings.remove(0);
    assert_eq!(finding.cause, "lock_unknown");
    let command = finding.command.expect("a command");
    let ran = std::process::Command::new("sh").args(["-c", &command]).status().expect("it runs");
    assert!(ran.success() && lock.with_extension("lock.aside").symlink_metadata().is_ok(), "{command}");
    kit.wait(proto_msgs::daemon::Condition::KuboRunning);
}

#[test]
fn a_secret_that_every_user_may_read_is_told_by_the_doctor_and_once_in_the_log() {
    use std::os::unix::fs::PermissionsExt;
    let mut kit = Kit::fake();
    let secret = kit.path("secret");
    std::fs::write(&secret, "bearer:x\n").expect("written");
    std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o644)).expect("chmod");
    kit.arg("--api-auth-file").arg(&secret.display().to_string()).start_whole();
    let findings = kit.call(proto_msgs::doctor::Doctor {}).findings;
    assert_eq!(findings.iter().map(|finding| finding.cause.as_str()).collect::<Vec<_>>(), ["secret_exposed"]);
    assert_eq!(kit.log().matches("is open to every user").count(), 1, "{}", kit.log());
    std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o600)).expect("chmod");
    assert_eq!(kit.call(proto_msgs::doctor::Doctor {}).findings, []);
}
