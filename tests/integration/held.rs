//! What Kubo is held for, and that it starts by itself once that has gone.

use crate::kit::{Kit, built, identity_cid};
use crate::kubo::kill_kubo;
use proto_msgs::FaultKind;
use proto_msgs::daemon::Condition;
use proto_msgs::doctor::Doctor;
use proto_msgs::kubo::{KuboStart, KuboState, KuboStop};
use proto_msgs::pin::PinAdd;
use serde_json::json;

#[test]
fn s30_kubo_whose_disk_is_full_is_held_with_its_own_words_and_starts_by_itself_once_there_is_room() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let cid = identity_cid("kept");
    kit.call(PinAdd { cid: cid.clone(), name: None, direct: false });
    let words = "Error: write MANIFEST-000000: no space left on device";
    kit.script(&json!({"exit_at_start": 1, "last_words": words}));
    kill_kubo(&kit);
    let status = kit.until("held", |s| s.kubo.state == KuboState::Held);
    let held = status.kubo.held.expect("a cause");
    assert_eq!(
        (held.cause.as_str(), held.detail.as_str()),
        ("disk_full", "Kubo: write MANIFEST-000000: no space left on device")
    );
    assert_eq!(kit.fault(KuboStart {}).detail, held.detail);
    assert_eq!(kit.pins(), [cid], "the index is not concerned");
    kit.script(&json!({}));
    kit.wait(Condition::KuboRunning);
}

#[test]
fn a_kubo_that_refuses_its_config_is_tried_as_soon_as_that_is_changed() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let words = "Error: deprecated configuration detected. Manually migrate 'Reprovider' fields to 'Provide'";
    kit.script(&json!({"exit_at_start": 1, "last_words": words}));
    kill_kubo(&kit);
    // After five failed starts the next one is minutes away.
    let far =
        |at: &String| at.parse::<jiff::Timestamp>().is_ok_and(|at| (at - jiff::Timestamp::now()).get_seconds() > 100);
    kit.until("held for long", |s| s.kubo.state == KuboState::Held && s.kubo.next_retry.as_ref().is_some_and(far));
    let starts = kit.recorded("start");
    kit.script(&json!({}));
    let config = kit.repo().join("config");
    let text = std::fs::read(&config).expect("there");
    std::fs::write(&config, text).expect("written");
    kit.wait(Condition::KuboRunning);
    assert_eq!(kit.recorded("start"), starts + 1);
}

#[test]
fn s3_a_missing_program_is_held_with_its_name_and_starts_by_itself_once_it_is_there() {
    let mut kit = Kit::fake();
    let link = kit.path("ipfs");
    kit.with_kubo(&link).start();
    let status = kit.until("held", |s| s.kubo.state == KuboState::Held);
    let held = status.kubo.held.expect("a cause");
    assert_eq!(held.cause, "binary_missing");
    assert!(held.detail.contains(&link.display().to_string()), "{}", held.detail);
    assert_eq!(kit.ctl(&["kubo", "status"]).code, Some(3));
    std::os::unix::fs::symlink(built("fake-kubo"), &link).expect("linked");
    kit.wait(Condition::KuboRunning);
}

#[test]
fn a_repo_whose_file_system_does_not_answer_is_held_delays_no_stop_and_is_started_when_it_is_back() {
    let mut kit = Kit::fake();
    kit.start_whole();
    kit.stop();
    // As a network file system that is gone: the look does not come back.
    let hang = kit.hang_at("kubo.look");
    assert_eq!(kit.start().stop().code(), Some(0));
    kit.start();
    let status = kit.until("held", |s| s.kubo.state == KuboState::Held);
    let held = status.kubo.held.expect("a cause");
    assert_eq!(held.cause, "repo_unresponsive");
    assert!(held.detail.contains(&kit.repo().display().to_string()), "{}", held.detail);
    let findings = kit.call(Doctor {}).findings;
    assert!(findings.iter().any(|found| found.cause == "repo_unresponsive" && found.command.is_some()), "{findings:?}");
    assert_eq!(kit.stop().code(), Some(0));
    assert!(!kit.log().contains("did not stop"), "{}", kit.log());
    kit.start();
    kit.call(KuboStop {});
    assert_eq!(kit.status().kubo.state, KuboState::Stopped);
    hang.end();
    assert_eq!(kit.call(KuboStart {}).state, KuboState::Running);
}

#[test]
fn s15_a_kubo_that_somebody_else_runs_is_left_alone_and_ours_starts_once_the_repo_is_free() {
    let mut kit = Kit::fake();
    kit.start_whole();
    kit.stop();
    let foreign = kit.foreign_kubo();
    kit.start();
    let status = kit.until("held", |s| s.kubo.state == KuboState::Held);
    let held = status.kubo.held.expect("a cause");
    assert_eq!(held.cause, "lock_live");
    assert!(held.detail.contains(&format!("PID {}", foreign.id())), "{}", held.detail);
    let lock = kit.until("looked at", |s| s.lock.as_ref().is_some_and(|l| l.holder_pid.is_some())).lock;
    assert_eq!(lock.map(|l| (l.holder_pid, l.ours)), Some((Some(foreign.id()), false)));
    let fault = kit.fault(KuboStart {});
    assert_eq!(fault.kind, FaultKind::Conflict);
    assert_eq!(kit.recorded("signal"), 1, "only our own one was ever signalled");
    Kit::end_foreign(foreign);
    kit.wait(Condition::KuboRunning);
}

#[test]
fn s17_a_repo_lock_with_content_is_held_and_left_as_it_is() {
    let mut kit = Kit::fake();
    kit.start_whole();
    kit.stop();
    let lock = kit.repo().join("repo.lock");
    std::fs::write(&lock, "{\"OwnerPID\":1}\n").expect("written");
    kit.start();
    let status = kit.until("held", |s| s.kubo.state == KuboState::Held);
    assert_eq!(status.kubo.held.expect("a cause").cause, "lock_unknown");
    assert_eq!(std::fs::read_to_string(&lock).expect("read"), "{\"OwnerPID\":1}\n");
    std::fs::remove_file(&lock).expect("removed");
    kit.wait(Condition::KuboRunning);
}

#[test]
fn another_repo_or_none_under_the_same_data_dir_is_held_and_the_index_stays() {
    let mut kit = Kit::fake();
    // From a snapshot a lost index is made anew.
    kit.env("IPFS_KITD_SNAPSHOT_ENABLED", "false").start_whole();
    let cid = identity_cid("ours");
    kit.call(PinAdd { cid: cid.clone(), name: None, direct: false });
    kit.stop();
    let inits = kit.recorded("init");
    let held = |kit: &mut Kit, cause: &str, pins: &[String]| {
        kit.start();
        let status = kit.until("held", |s| s.kubo.state == KuboState::Held);
        assert_eq!(status.kubo.held.expect("a cause").cause, cause);
        assert_eq!(kit.pins(), pins);
        kit.stop();
    };
    std::fs::rename(kit.repo(), kit.path("away")).expect("moved");
    std::fs::create_dir(kit.repo()).expect("made");
    held(&mut kit, "repo_missing", std::slice::from_ref(&cid));
    std::fs::write(kit.repo().join("config"), r#"{"Identity":{"PeerID":"12D3KooWOther"}}"#).expect("written");
    held(&mut kit, "repo_changed", &[cid]);
    std::fs::remove_file(kit.path("data/index/pins.duckdb")).expect("removed");
    held(&mut kit, "repo_changed", &[]);
    std::fs::remove_file(kit.repo().join("config")).expect("removed");
    held(&mut kit, "repo_missing", &[]);
    assert_eq!(kit.recorded("init"), inits, "no init");
}
