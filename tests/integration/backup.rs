//! Backup, restoring, verification and recovery of the index through the daemon and its client.

use crate::kit::{Kit, eventually, identity_cid};
use proto_msgs::FaultKind;
use proto_msgs::daemon::{Condition, IndexPause, IndexRefresh};
use proto_msgs::pin::{PinAdd, PinRm, PinTag};
use proto_msgs::snapshot::SnapshotNow;
use proto_msgs::upkeep::{IndexBackup, IndexRestore, IndexVerify};
use serde_json::json;
use std::fs;

fn add(kit: &Kit, text: &str) {
    kit.call(PinAdd { cid: identity_cid(text), name: Some(text.to_owned()), direct: false });
}

fn tag(kit: &Kit, text: &str, add: &[&str], remove: &[&str]) -> Vec<String> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    kit.call(PinTag { cid: identity_cid(text), add: words(add), remove: words(remove) }).tags
}

#[test]
fn an_index_is_backed_up_restored_verified_and_compacted_by_the_client() {
    let mut kit = Kit::fake();
    kit.start_whole();
    add(&kit, "one");
    tag(&kit, "one", &["kept"], &[]);
    let file = kit.path("pins.tar");
    let path = file.to_str().expect("UTF-8");
    let said = kit.ctl(&["index", "backup", path]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.contains("1 pin, 1 mark, 0 tombstones"), "{}", said.out);
    let said = kit.ctl(&["index", "backup", path]);
    assert!(said.code != Some(0) && said.err.contains("--force"), "{}", said.err);
    assert_eq!(kit.ctl(&["index", "backup", "--force", path]).code, Some(0));

    kit.call(PinRm { cid: identity_cid("one") });
    add(&kit, "two");
    tag(&kit, "one", &[], &["kept"]);
    let before = kit.status().index;
    let said = kit.ctl(&["index", "restore", path]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(
        said.out.contains("restored: 1 pin, 1 mark") && said.out.contains("backups/before-restore-"),
        "{}",
        said.out
    );
    assert_eq!(tag(&kit, "one", &[], &[]), ["kept"]);
    let told = || kit.ctl(&["events"]).out;
    eventually(|| told().contains("an index was restored"), told);
    kit.call(IndexRefresh { wait: true, names: false });
    // Kubo has the last word on what is pinned.
    assert_eq!(kit.pins(), [identity_cid("two")]);
    let after = kit.status().index;
    assert!(after.complete && after.generation > before.generation, "{after:?}");

    kit.call(SnapshotNow { arrow: false });
    let said = kit.ctl(&["index", "verify"]);
    assert_eq!(said.code, Some(0), "{}", said.out);
    assert_eq!(kit.ctl(&["index", "compact"]).code, Some(0));
    assert_eq!(kit.call(IndexVerify {}).problems, [] as [String; 0]);
    let newest = kit.call(proto_msgs::snapshot::SnapshotPath {}).path;
    let spoilt = std::path::Path::new(&newest).join("marks.parquet");
    let mut bytes = fs::read(&spoilt).expect("bytes");
    bytes[20] ^= 1;
    fs::write(&spoilt, bytes).expect("written");
    let said = kit.ctl(&["index", "verify"]);
    assert_eq!(said.code, Some(1));
    assert!(said.out.contains("marks.parquet is not what was written"), "{}", said.out);
    assert!(kit.stop().success());
}

#[test]
fn what_belongs_to_the_daemon_is_neither_overwritten_nor_opened_for_a_backup() {
    let mut kit = Kit::fake();
    kit.start_whole();
    add(&kit, "one");
    let text = |path: std::path::PathBuf| path.to_str().expect("UTF-8").to_owned();
    let index = kit.path("data/index/pins.duckdb");
    let link = kit.path("link");
    std::os::unix::fs::symlink(&index, &link).expect("a link");
    let hard = kit.path("hard");
    fs::hard_link(&index, &hard).expect("a second name");
    let config = kit.repo().join("config");
    let kubos = fs::read(&config).expect("Kubo's configuration");
    for path in [
        text(index.clone()),
        text(kit.path("data/x.tar")),
        "relative.tar".to_owned(),
        text(kit.path("data/index/../x")),
        text(config.clone()),
        text(kit.repo().join("blocks/x.tar")),
    ] {
        let fault = kit.fault(IndexBackup { path: path.clone(), force: true });
        assert_eq!(fault.kind, FaultKind::Invalid, "{path}: {fault:?}");
    }
    for path in [&index, &link, &hard, &kit.path("data/index/pins.duckdb.wal")] {
        let fault = kit.fault(IndexRestore { path: text(path.clone()), force: true });
        assert_eq!(fault.kind, FaultKind::Invalid, "{fault:?}");
        assert!(fault.detail.contains("the daemon's own"), "{fault:?}");
    }
    assert_eq!(fs::read(&config).expect("read"), kubos);
    // The lock of DuckDB is still held: nobody has opened and closed the file.
    let locks = fs::read_to_string("/proc/locks").expect("locks");
    let inode = std::os::unix::fs::MetadataExt::ino(&fs::metadata(&index).expect("there"));
    assert!(locks.lines().any(|line| line.contains(&format!(":{inode} "))), "{locks}");
    let ours = text(kit.path("data/backups/mine.tar"));
    kit.call(IndexBackup { path: ours.clone(), force: false });
    kit.call(IndexRestore { path: ours, force: false });
    let damaged = kit.path("damaged.tar");
    fs::write(&damaged, [0x1b; 2000]).expect("written");
    let said = kit.ctl(&["index", "restore", &text(damaged)]);
    assert_eq!(said.code, Some(1), "it is the file that is wrong, not the command: {}", said.err);
    assert!(said.err.contains("nothing was changed"), "{}", said.err);
    assert!(kit.stop().success());
}

#[test]
fn restores_that_are_asked_for_at_once_happen_one_after_the_other() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let backups = ["one", "two"].map(|name| {
        add(&kit, name);
        tag(&kit, "marked", &[name], if name == "two" { &["one"] } else { &[] });
        let path = kit.path(name).to_str().expect("UTF-8").to_owned();
        kit.call(IndexBackup { path: path.clone(), force: false });
        kit.call(PinRm { cid: identity_cid(name) });
        path
    });
    // Kubo's pins stay out of it.
    kit.call(IndexPause {});
    for _ in 0..3 {
        std::thread::scope(|scope| {
            for path in backups.iter().cycle().take(6) {
                let kit = &kit;
                scope.spawn(move || kit.call(IndexRestore { path: path.clone(), force: false }));
            }
        });
        let marked = tag(&kit, "marked", &[], &[]);
        assert_eq!(kit.pins(), [identity_cid(&marked[0])], "pins and marks are of one backup: {marked:?}");
    }
    let kept = fs::read_dir(kit.path("data/backups")).expect("listed").count();
    assert_eq!(kept, 3, "older ones are not kept");
    assert_eq!(kit.call(IndexVerify {}).problems, [] as [String; 0]);
}

#[test]
fn d8_a_lost_index_is_there_again_before_kubo_is() {
    let mut kit = Kit::fake();
    kit.start_whole();
    add(&kit, "one");
    kit.call(SnapshotNow { arrow: false });
    let generation = kit.status().index.generation;
    tag(&kit, "one", &["later"], &[]);
    kit.stop();
    fs::remove_dir_all(kit.path("data/index")).expect("removed");
    kit.script(&json!({"exit_at_start": 1}));
    kit.start();
    let index = kit.status().index;
    assert_eq!((index.pins, index.generation, index.complete), (1, generation + 1, false));
    assert!(index.recovery.expect("it is said").contains("from the snapshot gen-"));
    assert_eq!((kit.pins(), tag(&kit, "one", &[], &[])), (vec![identity_cid("one")], vec!["later".to_owned()]));
    kit.script(&json!({}));
    kit.wait(Condition::IndexFresh);
    assert!(kit.status().index.complete);
}
