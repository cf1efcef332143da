//! MFS of a real Kubo, as `ipfs-kitctl vfs` shows it.

use crate::kit::{DEADLINE, Kit, eventually, ipfs};
use proto_msgs::upkeep::{IndexBackup, IndexRestore};
use proto_msgs::verb::Part;
use proto_msgs::vfs::{VfsEntry, VfsInfo, VfsJournal, VfsLs, VfsOp};
use std::collections::BTreeSet;

fn ls(kit: &Kit, path: &str) -> Vec<VfsEntry> {
    let mut entries = Vec::new();
    let verb = VfsLs { path: path.to_owned(), limit: None, after: None };
    let listed = kit.client().call_with(verb, Some(DEADLINE), |part| {
        if let Part::VfsLs(rows) = part {
            entries.extend(rows.entries);
        }
        Ok(())
    });
    let page = listed.unwrap_or_else(|error| panic!("vfs_ls {path}: {error}\n{}", kit.log()));
    assert_eq!(page.total, entries.len() as u64);
    entries
}

/// Waits until the index has the root that Kubo has.
fn settled(kit: &Kit) {
    let root = ipfs(kit, &["files", "stat", "--hash", "/"], b"").trim().to_owned();
    let info = || kit.try_call(VfsInfo { path: "/".to_owned() });
    let same = || info().is_ok_and(|info| info.entry.cid == root && info.entry.whole && info.as_of.is_some());
    eventually(same, || format!("not {root} but {:?}\n{}", info(), kit.log()));
}

/// Each directory as `ipfs files ls -l` shows it.
fn assert_equal(kit: &Kit, paths: &[&str]) {
    for path in paths {
        let kubos: BTreeSet<(String, String, u64)> = ipfs(kit, &["files", "ls", "-l", path], b"")
            .lines()
            .map(|line| {
                let mut cells = line.split('\t');
                let mut cell = || cells.next().unwrap_or_default();
                let (name, cid, size) = (cell().trim_end_matches('/'), cell(), cell());
                (name.to_owned(), cid.to_owned(), size.parse().expect("bytes"))
            })
            .collect();
        let ours = ls(kit, path).into_iter().map(|entry| (entry.name, entry.cid, entry.size.unwrap_or(0))).collect();
        assert!(kubos == ours, "{path}: {kubos:?} against {ours:?}");
    }
}

#[test]
fn mfs_of_a_real_kubo_is_followed_through_write_mkdir_mv_cp_and_rm() {
    let mut kit = Kit::real();
    kit.arg("--interval").arg("100ms");
    kit.env("IPFS_KITD_BUSY_SHARE", "1.0");
    kit.start_whole();
    settled(&kit);
    assert_eq!(ls(&kit, "/"), Vec::new());
    let files = |words: &[&str], stdin: &[u8]| {
        ipfs(&kit, &[&["files"], words].concat(), stdin);
    };
    files(&["mkdir", "-p", "/photos/2026"], b"");
    files(&["write", "--create", "/photos/2026/one"], b"one");
    files(&["write", "--create", "/photos/ü b"], &[7; 600_000]);
    files(&["write", "--create", "--raw-leaves", "/photos/raw"], b"raw");
    settled(&kit);
    assert_equal(&kit, &["/", "/photos", "/photos/2026"]);
    files(&["mv", "/photos/2026", "/photos/old"], b"");
    files(&["cp", "/photos/old/one", "/copy"], b"");
    files(&["rm", "/photos/raw"], b"");
    settled(&kit);
    assert_equal(&kit, &["/", "/photos", "/photos/old"]);
    let journal = kit.call(VfsJournal { since: 0, limit: None });
    let told = |op, path: &str| journal.changes.iter().any(|change| change.op == op && change.path == path);
    assert!(told(VfsOp::Added, "/photos/old") && told(VfsOp::Removed, "/photos/2026"), "{:#?}", journal.changes);
    assert!(!told(VfsOp::Added, "/photos/old/one"), "the directory's line says it");
    let numbers: Vec<u64> = journal.changes.iter().map(|change| change.seq).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());

    let copy = kit.call(VfsInfo { path: "/copy".to_owned() }).entry;
    assert_eq!((copy.pin, copy.size), (None, Some(3)));
    kit.ctl(&["pin", "add", &copy.cid]);
    let shown = kit.ctl(&["vfs", "ls", "/", "-o", "csv"]).out;
    assert!(shown.contains(&format!("/copy,copy,file,3,{},recursive,true", copy.cid)), "{shown}");
    assert!(kit.ctl(&["vfs", "ls", "/", "-o", "json"]).out.contains("\"as_of\":\"20"));
    let missing = kit.ctl(&["vfs", "info", "/photos/nothing/here"]);
    assert_eq!(missing.code, Some(4));
    assert!(missing.err.contains("\"/photos\" is there and has no such entry"), "{}", missing.err);
    assert_eq!(kit.ctl(&["vfs", "ls", "photos"]).code, Some(2), "no path");

    // The same from the index while Kubo is down, and after a start of our own.
    let before = ls(&kit, "/photos");
    kit.ctl(&["kubo", "stop"]);
    assert_eq!(ls(&kit, "/photos"), before);
    kit.stop();
    kit.start();
    assert_eq!(ls(&kit, "/photos"), before);
}

#[test]
fn a_sharded_directory_and_one_whose_file_was_never_fetched_are_shown_whole() {
    let mut kit = Kit::real();
    kit.arg("--interval").arg("100ms");
    kit.env("IPFS_KITD_BUSY_SHARE", "1.0");
    std::fs::create_dir(kit.repo()).expect("made");
    ipfs(&kit, &["init", "--profile=test"], b"");
    ipfs(&kit, &["config", "--json", "Import.UnixFSHAMTDirectorySizeThreshold", "\"1KiB\""], b"");
    kit.start_whole();
    let dir = kit.path("many");
    std::fs::create_dir(&dir).expect("made");
    for n in 0..300 {
        std::fs::write(dir.join(format!("file {n}")), format!("{n}")).expect("written");
    }
    let add = ["add", "-r", "-Q", "--cid-version=1", "--pin=false", &dir.display().to_string()];
    let many = ipfs(&kit, &add, b"").trim().to_owned();
    let node = ipfs(&kit, &["dag", "get", &many], b"");
    assert!(!node.contains("\"file 7\""), "it is sharded: {node}");
    ipfs(&kit, &["files", "cp", &format!("/ipfs/{many}"), "/many"], b"");
    settled(&kit);
    assert_equal(&kit, &["/", "/many"]);
    assert_eq!(ls(&kit, "/many").len(), 300);

    ipfs(&kit, &["files", "write", "--create", "-p", "/some/here"], b"here");
    ipfs(&kit, &["files", "write", "--create", "/some/gone"], &[1; 1000]);
    let gone = ipfs(&kit, &["files", "stat", "--hash", "/some/gone"], b"").trim().to_owned();
    ipfs(&kit, &["block", "rm", "-f", &gone], b"");
    ipfs(&kit, &["files", "write", "--create", "/some/later"], b"later");
    settled(&kit);
    let some = ls(&kit, "/some");
    let names: Vec<&str> = some.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["gone", "here", "later"]);
    assert_eq!(some[1].size, Some(4));
}

#[test]
fn after_a_restore_mfs_is_read_again_though_it_has_not_changed() {
    let mut kit = Kit::real();
    kit.arg("--interval").arg("100ms");
    kit.start_whole();
    ipfs(&kit, &["files", "mkdir", "-p", "/photos/2026"], b"");
    settled(&kit);
    let file = kit.path("pins.tar");
    let path = file.to_str().expect("UTF-8").to_owned();
    kit.call(IndexBackup { path: path.clone(), force: false });
    kit.call(IndexRestore { path, force: false });
    settled(&kit);
    assert_equal(&kit, &["/", "/photos"]);
}
