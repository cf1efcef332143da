//! Snapshots through the daemon and its client.

use crate::kit::{Kit, eventually, identity_cid};
use proto_msgs::FaultKind;
use proto_msgs::daemon::{ActorReport, IndexPause};
use proto_msgs::doctor::Doctor;
use proto_msgs::pin::{PinAdd, PinRm, PinTag};
use proto_msgs::snapshot::{SnapshotLs, SnapshotManifest, SnapshotNow, SnapshotPath, SnapshotVerify};
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

fn add(kit: &Kit, text: &str) -> u64 {
    kit.call(PinAdd { cid: identity_cid(text), name: None, direct: false }).generation
}

/// Waits until the newest snapshot has this generation.
fn published(kit: &Kit, generation: u64) {
    kit.until("published", |status| {
        status.index.snapshot.as_ref().is_some_and(|newest| newest.generation == generation)
    });
}

/// What any program reads first.
fn manifest(kit: &Kit) -> SnapshotManifest {
    let bytes = fs::read(kit.path("data/snapshots/manifest.json")).expect("a manifest");
    serde_json::from_slice(&bytes).expect("JSON")
}

#[test]
fn changes_are_published_by_themselves_and_read_without_the_daemon() {
    let mut kit = Kit::fake();
    kit.arg("--interval=100ms").start_whole();
    let first = kit.status().index.generation;
    published(&kit, first);
    let generation = add(&kit, "one");
    published(&kit, generation);
    let newest = manifest(&kit);
    assert_eq!((newest.generation, newest.complete), (generation, true));
    assert_eq!(newest.peer_id, kit.status().index.peer_id);
    let path = kit.call(SnapshotPath {});
    assert_eq!((Path::new(&path.path).parent(), path.manifest), (Some(&*kit.path("data/snapshots")), newest));
    assert!(kit.path("data/pin_metadata/parquet_storage/pins.parquet").exists());
    let said = kit.ctl(&["status"]);
    assert!(said.out.contains(&format!("newest snapshot gen-{generation}.")), "{}", said.out);
    kit.call(PinRm { cid: identity_cid("one") });
    published(&kit, generation + 1);
    assert!(kit.stop().success());
}

#[test]
fn what_lies_in_the_way_of_a_clean_up_keeps_no_snapshot_from_being_made() {
    let mut kit = Kit::fake();
    let snapshots = kit.path("data/snapshots");
    fs::create_dir_all(snapshots.join(".new-abc.tmp/inner")).expect("made");
    fs::write(snapshots.join(".gen-99.tmp"), "a file").expect("written");
    fs::create_dir_all(kit.path("data/pin_metadata")).expect("made");
    fs::write(kit.path("data/pin_metadata/parquet_storage"), "no directory").expect("written");
    fs::set_permissions(kit.path("data"), PermissionsExt::from_mode(0o700)).expect("closed to others");
    kit.start_whole();
    let said = kit.ctl(&["snapshot", "now"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let backup = kit.path("data/backups/one.tar");
    fs::create_dir_all(kit.path("data/backups")).expect("made");
    let said = kit.ctl(&["index", "backup", backup.to_str().expect("UTF-8")]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(kit.stop().success());
}

#[test]
fn the_client_makes_lists_names_and_verifies_them() {
    let mut kit = Kit::fake();
    kit.env("IPFS_KITD_SNAPSHOT_ENABLED", "false").start_whole();
    let said = kit.ctl(&["snapshot", "path"]);
    assert_eq!(said.code, Some(4), "{}", said.err);
    assert!(said.err.contains("snapshot now"), "{}", said.err);
    let mut paths = Vec::new();
    for text in ["one", "two"] {
        add(&kit, text);
        let said = kit.ctl(&["snapshot", "now"]);
        assert_eq!(said.code, Some(0), "{}", said.err);
        paths.push(PathBuf::from(said.out.trim_end()));
    }
    let said = kit.ctl(&["snapshot", "path"]);
    assert_eq!((said.code, Path::new(said.out.trim_end())), (Some(0), &*paths[1]));
    assert_eq!(kit.call(SnapshotLs {}).snapshots.iter().map(|row| row.newest).collect::<Vec<_>>(), [true, false]);
    assert_eq!(kit.ctl(&["snapshot", "verify"]).code, Some(0));

    let file = paths[1].join("pins.parquet");
    let mut bytes = fs::read(&file).expect("bytes");
    bytes[40] ^= 1;
    fs::write(&file, bytes).expect("written");
    let said = kit.ctl(&["snapshot", "verify"]);
    assert_eq!(said.code, Some(1));
    assert!(said.out.contains("pins.parquet is not what was written"), "{}", said.out);
    let named = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
    let (old, new) = (named(&paths[0]), named(&paths[1]));
    assert_eq!(kit.ctl(&["snapshot", "verify", &old]).code, Some(0));
    let said = kit.ctl(&["snapshot", "path"]);
    assert_eq!((said.code, Path::new(said.out.trim_end())), (Some(0), &*paths[0]));
    assert!(said.err.contains(&format!("passed over: {new}: pins.parquet")), "{}", said.err);
    fs::remove_file(paths[1].join("gone.parquet")).expect("removed");
    let said = kit.ctl(&["snapshot", "ls"]);
    assert!(said.out.contains(&old) && said.out.contains("gone.parquet: No such file"), "{}", said.out);
    assert_eq!(kit.fault(SnapshotVerify { snapshot: Some("77".to_owned()) }).kind, FaultKind::NotFound);
}

#[test]
fn a_part_of_the_pins_is_never_published() {
    let mut kit = Kit::fake();
    kit.script(&json!({"never_ready": true}));
    kit.start();
    assert_eq!(kit.fault(SnapshotNow::default()).kind, FaultKind::NotReady);
    assert!(kit.call(SnapshotLs {}).snapshots.is_empty());
}

#[test]
fn a_start_clears_away_what_a_kill_left_and_publishes_once() {
    let mut kit = Kit::fake();
    kit.start_whole();
    published(&kit, kit.status().index.generation);
    let before = manifest(&kit);
    kit.kill();
    let left = kit.path("data/snapshots/.gen-9.tmp");
    fs::create_dir(&left).expect("made");
    fs::write(left.join("pins.parquet"), "half").expect("written");
    kit.start_whole();
    eventually(|| manifest(&kit).serial == before.serial + 1, || kit.log());
    assert!(!left.exists());
    let path = kit.call(SnapshotPath {});
    assert_eq!((path.manifest.serial, path.passed_over), (before.serial + 1, Vec::new()));
}

#[test]
fn an_ordered_stop_publishes_what_was_said_last() {
    let mut kit = Kit::fake();
    // None is due by itself for as long as this runs.
    kit.env("IPFS_KITD_SNAPSHOT_BYTES_PER_DAY", "1").start_whole();
    kit.until("published", |status| status.index.snapshot.is_some());
    let cid = identity_cid("said last");
    kit.call(PinTag { cid: cid.clone(), add: vec!["last".to_owned()], remove: vec![] });
    let before = manifest(&kit);
    assert!(kit.status().index.snapshot.is_some_and(|newest| newest.behind));
    assert!(kit.stop().success());
    let last = manifest(&kit);
    assert_eq!((last.serial, last.rows("marks.parquet")), (before.serial + 1, Some(1)), "{}", kit.log());
}

#[test]
fn what_cannot_be_written_is_told_and_the_daemon_goes_on() {
    let mut kit = Kit::fake();
    fs::create_dir(kit.path("data")).expect("made");
    fs::write(kit.path("data/snapshots"), "in the way").expect("written");
    kit.start_whole();
    kit.until("told", |status| {
        status
            .last_error
            .as_ref()
            .is_some_and(|e| e.actor == "snapshot" && e.detail.contains("no snapshot could be made"))
    });
    let found = || kit.call(Doctor {}).findings.into_iter().find(|finding| finding.cause == "snapshot_failed");
    assert!(found().is_some_and(|finding| finding.detail.contains("no snapshot could be made")));
    let said = kit.ctl(&["status", "--check"]);
    assert!(said.code == Some(1) && said.err.contains("no snapshot could be made"), "{said:?}");
    fs::remove_file(kit.path("data/snapshots")).expect("removed");
    assert_eq!(kit.call(SnapshotNow::default()).manifest.serial, 1);
    assert_eq!(found(), None);
    assert!(kit.stop().success());
}

#[test]
fn an_actor_that_fails_comes_back_and_publishes() {
    let mut kit = Kit::fake();
    kit.start_whole();
    kit.panic_at("snapshot.message");
    assert_eq!(kit.fault(SnapshotLs {}).kind, FaultKind::Interrupted);
    let made = kit.call(SnapshotNow::default());
    assert_eq!(made.manifest.generation, kit.status().index.generation);
}

#[test]
fn a_defect_in_making_one_by_itself_is_counted_and_the_next_incarnation_publishes() {
    let mut kit = Kit::fake();
    kit.panic_at("snapshot.make");
    kit.start_whole();
    let failed = |actor: &ActorReport| actor.name == "snapshot" && actor.running && actor.restarts == 1;
    kit.until("restarted", |status| status.daemon.actors.iter().any(failed));
    published(&kit, kit.status().index.generation);
}

#[test]
fn where_nothing_has_changed_the_newest_is_the_answer() {
    let mut kit = Kit::fake();
    kit.at_rest().start_whole();
    kit.wait_for_mfs();
    kit.call(IndexPause {});
    let first = kit.call(SnapshotNow::default());
    let again = kit.call(SnapshotNow::default());
    assert_eq!((first.made, again.made, &again.manifest), (true, false, &first.manifest));
    add(&kit, "one");
    let second = kit.call(SnapshotNow::default());
    assert_eq!((second.made, second.manifest.serial), (true, first.manifest.serial + 1));
    fs::remove_file(Path::new(&second.path).join("pins.parquet")).expect("removed");
    assert!(kit.call(SnapshotNow::default()).made, "the newest is not whole");
    let cid = identity_cid("one");
    kit.call(PinTag { cid, add: vec!["said".to_owned()], remove: vec![] });
    let marked = kit.call(SnapshotNow::default());
    assert_eq!((marked.made, marked.manifest.rows("marks.parquet")), (true, Some(1)));
}
