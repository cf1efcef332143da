//! A backup and its way back; a look at everything, and the giving back of room.

use crate::access::{seen, told};
use crate::history::{between, diff};
use crate::mark::{say, tag, told_of};
use crate::place::*;
use crate::recovery::{dump, image, kept};
use crate::snapshot::{publish as publish_one, snapshots};
use ipfs_kitd::index::error::IndexError;
use ipfs_kitd::index::history::NotKept;
use ipfs_kitd::index::mark::What;
use ipfs_kitd::index::restore::{self, Restore, Restored};
use ipfs_kitd::index::vfs::{self, Put, VfsBatch};
use ipfs_kitd::snapshot::publish::{self, Order, Writing};
use ipfs_kitd::snapshot::{backup, publish::Turn};
use proto_msgs::pin::ContentKind;
use proto_msgs::snapshot::SnapshotManifest;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::Mutex;

async fn turn() -> Turn {
    Arc::new(Mutex::new(())).lock_owned().await
}

fn order(place: &Place) -> Order {
    let state = place.state();
    let (generation, as_of, complete) = (state.generation, state.as_of, state.complete);
    Order { place: snapshots(place), generation, as_of, complete, arrow: None }
}

async fn back_up(place: &Place, to: &Path) -> SnapshotManifest {
    let made = publish::back_up(&place.store, order(place), turn().await, to.to_owned(), false).await;
    let (manifest, bytes) = made.expect("a backup");
    assert_eq!(fs::metadata(to).expect("there").len(), bytes);
    manifest
}

/// As the daemon does it.
async fn put_back(place: &Place, from: &Path, kept: &Path, force: bool) -> Result<Restored, IndexError> {
    let into = snapshots(place).scratch().expect("a directory");
    let dir = into.path().to_owned();
    let unpacked = backup::unpack(&File::open(from).expect("there"), &dir);
    let manifest = unpacked.map_err(|why| IndexError::Unfit(why.to_string()))?;
    let (keep, kept) = (Writing::new(order(place), turn().await), kept.to_owned());
    let order = Restore { dir, manifest, force, keep };
    let seal = move |keep: Writing| keep.pack(&kept, false).map(drop);
    place.store.write(move |connection, state| restore::restore(connection, state, order, seal)).await
}

#[tokio::test]
async fn a_backup_has_no_accesses_and_leaves_those_that_there_are() {
    let place = Place::new();
    place.add(raw(1), RECURSIVE, "").await;
    let file = place.path().join("backup.tar");
    back_up(&place, &file).await;
    place.keep(vec![told(vec![seen(raw(1), 1)])]).await;
    let before = place.counted(0, 10).await;
    put_back(&place, &file, &place.path().join("before.tar"), false).await.expect("restored");
    assert_eq!(place.counted(0, 10).await, before);
    place.keep(vec![told(vec![seen(raw(1), 2)])]).await;
    assert_eq!(place.counted(before.through, 10).await.rows.len(), 1);
    assert_eq!(place.store.verify().await.expect("looked at").problems, [] as [String; 0]);
}

#[tokio::test]
async fn a_restored_index_is_what_it_was_and_what_there_was_is_kept_and_restorable_too() {
    let (place, before) = kept().await;
    let file = place.path().join("backup.tar");
    let manifest = back_up(&place, &file).await;
    assert_eq!(
        (manifest.generation, manifest.rows("pins.parquet"), manifest.rows("marks.parquet")),
        (3, Some(5), Some(3))
    );
    assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
    let names =
        fs::read_dir(snapshots(&place).dir()).expect("listed").map(|entry| entry.expect("an entry").file_name());
    assert!(names.into_iter().all(|name| !name.to_string_lossy().starts_with('.')), "nothing is left beside it");

    // Other pins, other marks, later; a listing is under way.
    place.list(minute(5), |l| l.added = vec![pin(raw(70), DIRECT, "later")]).await;
    tag(&place, raw(70), &["later"], &[]).await;
    say(&place, raw(4), What::tier(Some(String::new()))).await.expect("recorded");
    let after = dump(&place, 4).await;
    let (token, _) = place.begin().await;

    let aside = place.path().join("before.tar");
    let restored = put_back(&place, &file, &aside, false).await.expect("restored");
    assert_eq!((restored.generation, restored.pins, restored.marks), (5, 5, 3));
    assert_eq!(dump(&place, 3).await, before);
    let state = place.state();
    assert_eq!((state.generation, state.complete, state.as_of, state.set.len()), (5, false, Some(minute(1)), 5));
    assert_eq!(diff(&place, between(3, 5)).await.map(|(total, _)| total), Ok(0));
    let between_them = NotKept { generation: 4, oldest: 0, newest: 5 };
    assert_eq!(diff(&place, between(4, 5)).await, Err(between_them), "of what came after the backup nothing is known");
    assert_eq!(place.pins().await.len(), 5, "the set says the same");
    let stale = place.apply(listing(token, minute(6))).await;
    assert!(matches!(stale, Err(IndexError::StaleListing)), "it was compared with other pins: {stale:?}");
    assert_eq!(told_of(&place, raw(4)).await.tier.as_deref(), Some("cold"));
    tag(&place, raw(4), &["next"], &[]).await;
    place.list(minute(7), |l| l.added = vec![pin(raw(71), DIRECT, "")]).await;
    assert!(place.state().complete);
    assert_eq!(place.number("SELECT count(*) - count(DISTINCT id) FROM pins").await, 0);
    assert_eq!(place.store.verify().await.expect("looked at").problems, [] as [String; 0]);

    // Both outlive a restart, and the journal has the restored marks without the index.
    let place = Place::of(place.close().await);
    assert_eq!((place.state().recovery, place.pins().await.len()), (None, 6));
    let dir = place.close().await;
    fs::remove_file(dir.path().join("pins.duckdb")).expect("removed");
    let place = Place::of(dir);
    assert_eq!(told_of(&place, raw(4)).await.tags, ["next"]);
    assert_eq!(told_of(&place, raw(70)).await.tags, [] as [String; 0], "it is in no backup");
    let restored = put_back(&place, &aside, &place.path().join("once more.tar"), false).await.expect("restored");
    assert_eq!((restored.pins, restored.marks), (6, 3));
    assert_eq!(dump(&place, 4).await[..4], after[..4]);
}

#[tokio::test]
async fn a_backup_of_another_node_needs_force_and_does_not_make_the_index_that_nodes() {
    let (place, _) = kept().await;
    let file = place.path().join("backup.tar");
    back_up(&place, &file).await;
    let other = Place::new();
    let mut theirs = listing(other.begin().await.0, minute(0));
    theirs.peer_id = "12D3KooWOther".to_owned();
    other.apply(theirs).await.expect("applied");
    let aside = other.path().join("aside.tar");
    let refused = put_back(&other, &file, &aside, false).await;
    assert!(matches!(refused, Err(IndexError::OtherNode { .. })), "{refused:?}");
    assert!(!aside.exists() && other.state().set.is_empty(), "nothing was changed");
    put_back(&other, &file, &aside, true).await.expect("restored");
    assert_eq!((other.state().peer_id.as_deref(), other.state().set.len()), (Some("12D3KooWOther"), 5));
    // A new index, of no node yet, becomes the backup's.
    let new = Place::new();
    put_back(&new, &file, &new.path().join("aside.tar"), false).await.expect("restored");
    assert_eq!(new.state().peer_id.as_deref(), Some(NODE));
}

#[tokio::test]
async fn a_backup_of_which_a_byte_is_wrong_is_refused_and_nothing_is_changed() {
    let (place, before) = kept().await;
    let file = place.path().join("backup.tar");
    back_up(&place, &file).await;
    let sound = fs::read(&file).expect("bytes");
    let spoilt = place.path().join("spoilt.tar");
    let (into, again) = (place.path().join("into"), place.path().join("again"));
    fs::create_dir(&again).expect("made");
    backup::unpack(&File::open(&file).expect("there"), &again).expect("sound");
    let mut harmless = 0;
    for at in (0..sound.len()).step_by(97) {
        let mut bytes = sound.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(&spoilt, bytes).expect("written");
        fs::create_dir(&into).expect("made");
        if backup::unpack(&File::open(&spoilt).expect("there"), &into).is_ok() {
            // Padding: everything that counts is right.
            for entry in fs::read_dir(&into).expect("listed") {
                let path = entry.expect("an entry").path();
                let name = path.file_name().expect("a name");
                assert_eq!(fs::read(&path).ok(), fs::read(again.join(name)).ok(), "byte {at}");
            }
            harmless += 1;
        }
        fs::remove_dir_all(&into).expect("removed");
    }
    assert!(harmless * 4 < sound.len() / 97 * 3, "most bytes count: {harmless}");
    for length in [0, 1, 511, 512, 1024, sound.len() / 2, sound.len() - 1536] {
        fs::write(&spoilt, &sound[..length]).expect("written");
        let refused = put_back(&place, &spoilt, &place.path().join("aside.tar"), false).await;
        assert!(matches!(refused, Err(IndexError::Unfit(_))), "{length}: {refused:?}");
    }
    fs::write(&spoilt, vec![7; 20_000]).expect("written");
    assert!(matches!(put_back(&place, &spoilt, &place.path().join("x"), false).await, Err(IndexError::Unfit(_))));
    assert_eq!((dump(&place, 3).await, place.state().generation), (before, 3));
}

/// What no index of ours has, how it comes about and how it goes again, and what is said of it.
const UNSOUND: [(&str, &str, &str); 18] = [
    ("UPDATE gone SET id = 1 WHERE id = 3", "UPDATE gone SET id = 3 WHERE id = 1", "ids that are used twice: 1"),
    (
        "UPDATE pins SET id = 9223372036854775807 WHERE id = 1",
        "UPDATE pins SET id = 1 WHERE id > 9",
        "ids that none can be: 1",
    ),
    (
        "UPDATE pins SET id = 1099511627775 WHERE id = 1",
        "UPDATE pins SET id = 1 WHERE id > 9",
        "ids that none can be: 1",
    ),
    ("UPDATE gone SET id = -5 WHERE id = 3", "UPDATE gone SET id = 3 WHERE id = -5", "ids that none can be: 1"),
    ("UPDATE pins SET size = -1 WHERE id = 1", "UPDATE pins SET size = 10 WHERE id = 1", "sizes below zero: 1"),
    (
        "UPDATE gone SET gone_generation = -1 WHERE id = 3",
        "UPDATE gone SET gone_generation = 2 WHERE id = 3",
        "generations that none can be, or that did not begin yet: 1",
    ),
    (
        "UPDATE pins SET generation = 1000 WHERE id = 1",
        "UPDATE pins SET generation = 1 WHERE id = 1",
        "generations that none can be, or that did not begin yet: 1",
    ),
    (
        "INSERT INTO generations VALUES (2, TIMESTAMP '2090-01-01')",
        "DELETE FROM generations WHERE began = TIMESTAMP '2090-01-01'",
        "generations that began twice: 1",
    ),
    (
        "UPDATE meta SET generation = 9007199254740992",
        "UPDATE meta SET generation = 3",
        "it has the generation 9007199254740992, which cannot be",
    ),
    (
        "UPDATE gone SET gone_at = make_timestamp(4611686018427387904) WHERE id = 3",
        "UPDATE gone SET gone_at = TIMESTAMP '2026-01-01' WHERE id = 3",
        "times that none can be: 1",
    ),
    (
        "UPDATE pins SET first_seen = make_timestamp(-4611686018427387904) WHERE id = 1",
        "UPDATE pins SET first_seen = TIMESTAMP '2026-01-01' WHERE id = 1",
        "times that none can be: 1",
    ),
    (
        "INSERT INTO marks SELECT cid, [], 'n', NULL, marked_at, 99 FROM marks LIMIT 1",
        "DELETE FROM marks WHERE seq = 99",
        "CIDs that are marked twice: 1",
    ),
    (
        "UPDATE marks SET tags = ['c' || chr(27) || '[31mred'] WHERE seq = 1",
        "UPDATE marks SET tags = ['a'] WHERE seq = 1",
        "has control characters",
    ),
    (
        "UPDATE marks SET tags = [repeat('x', 65)] WHERE seq = 1",
        "UPDATE marks SET tags = ['a'] WHERE seq = 1",
        "is no tag: a tag has 1 to 64 bytes",
    ),
    (
        "UPDATE marks SET note = repeat('x', 200000) WHERE seq = 1",
        "UPDATE marks SET note = NULL WHERE seq = 1",
        "a note is at most 4096 bytes long, and this one has 200000",
    ),
    ("UPDATE marks SET tags = [] WHERE seq = 1", "UPDATE marks SET tags = ['a'] WHERE seq = 1", "it says nothing"),
    ("UPDATE marks SET seq = -1 WHERE seq = 1", "UPDATE marks SET seq = 1 WHERE seq = -1", "numbers of marks"),
    (
        "UPDATE vfs_journal SET seq = 4",
        "UPDATE vfs_journal SET seq = 1 WHERE op = 1",
        "numbers in the journal of MFS that none can be, or that are there twice: 1",
    ),
];

#[tokio::test]
async fn a_backup_of_what_no_index_has_is_refused_by_name_and_nothing_is_changed() {
    let (source, _) = kept().await;
    let (place, before) = kept().await;
    let file = source.path().join("backup.tar");
    for (spoil, mend, word) in UNSOUND {
        source.sql(spoil).await;
        back_up(&source, &file).await;
        let aside = place.path().join("aside.tar");
        match put_back(&place, &file, &aside, false).await {
            Err(IndexError::Unfit(why)) => assert!(why.contains(word), "{word}: {why}"),
            other => panic!("{spoil}: {other:?}"),
        }
        assert_eq!((dump(&place, 3).await, place.state().generation), (before.clone(), 3), "{spoil}");
        source.sql(mend).await;
        fs::remove_file(&file).expect("there");
        let _ = fs::remove_file(&aside);
    }
    back_up(&source, &file).await;
    put_back(&place, &file, &place.path().join("aside.tar"), false).await.expect("sound again");
    let place = Place::of(place.close().await);
    assert_eq!((place.state().recovery, place.pins().await.len()), (None, 5));
}

#[tokio::test]
async fn a_snapshot_of_what_no_index_has_is_passed_over_and_named() {
    for (spoil, _, word) in UNSOUND.iter().step_by(3) {
        let (place, before) = kept().await;
        place.sql(spoil).await;
        let spoilt = publish_one(&place, &snapshots(&place)).await.expect("published").name;
        let dir = place.close().await;
        let _ = fs::remove_file(dir.path().join("pins.duckdb.wal"));
        fs::remove_file(dir.path().join("pins.duckdb")).expect("removed");
        let place = Place::of(dir);
        let told = place.state().recovery.expect("told");
        assert!(told.contains("from the snapshot gen-3.1") && told.contains(&format!("{spoilt}: ")), "{told}");
        assert!(told.contains(word), "{word}: {told}");
        assert_eq!(dump(&place, 3).await, before, "{spoil}");
    }
}

/// Lines of the journal of MFS after this number, and whether all are there.
async fn lines(place: &Place, since: u64) -> (Vec<(u64, String)>, bool) {
    let read = place.store.read(move |connection| vfs::read::journal(connection, since, 1000)).await;
    let (told, whole) = read.expect("read");
    (told.into_iter().map(|told| (told.seq, told.path)).collect(), whole)
}

/// A walk meets the root and, in it, these names.
async fn walk(place: &Place, names: &[&str]) {
    let put = |n| Put { cid: raw(n), kind: Some(ContentKind::Directory), size: None, state: vfs::State::Loading };
    let children = names.iter().map(|name| vfs::Place { parent: "/".into(), name: (*name).to_owned() });
    let entries = [vfs::Place::root()].into_iter().chain(children).zip(1..);
    let batch = VfsBatch {
        entries: entries.map(|(at, n)| (at, (Some(put(n)), true))).collect(),
        finished: Some(minute(0)),
        ..VfsBatch::default()
    };
    place.store.write(move |connection, state| vfs::apply::apply(connection, state, batch)).await.expect("applied");
}

#[tokio::test]
async fn whoever_has_read_lines_of_mfs_that_a_restored_or_recovered_index_lacks_is_told_of_a_gap() {
    let place = Place::new();
    walk(&place, &["a", "b"]).await;
    let paths = [(1, "/"), (2, "/a"), (3, "/b")].map(|(seq, path)| (seq, path.to_owned()));
    assert_eq!(lines(&place, 0).await, (paths.to_vec(), true));
    let file = place.path().join("backup.tar");
    back_up(&place, &file).await;
    publish_one(&place, &snapshots(&place)).await.expect("published");
    walk(&place, &["c", "d"]).await;
    assert_eq!(lines(&place, 3).await.0.len(), 2);

    put_back(&place, &file, &place.path().join("aside.tar"), false).await.expect("restored");
    assert_eq!(lines(&place, 0).await, (paths.to_vec(), false));
    walk(&place, &["e", "f", "g"]).await;
    let told = lines(&place, 3).await.0;
    let names: Vec<&str> = told.iter().map(|(_, path)| &**path).collect();
    assert_eq!(names, ["/e", "/f", "/g"], "the root was there before");
    assert!(told[0].0 > 6, "no number is given twice: {told:?}");
    for since in 0..told[0].0.min(9) {
        assert!(!lines(&place, since).await.1, "{since}");
    }
    assert!(lines(&place, told[0].0).await.1 && lines(&place, told[2].0).await.1);
    assert_eq!(place.store.verify().await.expect("looked at").problems, [] as [String; 0]);

    for lost in ["pins.duckdb", "snapshots"] {
        let dir = place_closed(&place, lost).await;
        let place = Place::of(dir);
        walk(&place, &["h", "i", "j", "k", "l", "m"]).await;
        for since in 0..20 {
            assert!(!lines(&place, since).await.1, "{lost}: {since}");
        }
        let told = lines(&place, 3).await.0;
        assert_eq!((told.len(), &*told[0].1), (6, "/h"), "{lost}");
        assert!(lines(&place, told[0].0).await.1, "{lost}");
    }
}

/// A copy of the directory of a place, with an index that is damaged, and perhaps without snapshots.
async fn place_closed(place: &Place, lost: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temp dir");
    image(place.path(), dir.path());
    fs::write(dir.path().join("pins.duckdb"), "no index").expect("written");
    let _ = fs::remove_file(dir.path().join("pins.duckdb.wal"));
    if lost == "snapshots" {
        fs::remove_dir_all(dir.path().join("snapshots")).expect("removed");
    }
    dir
}

#[tokio::test]
async fn a_table_that_cannot_be_read_is_named_once_and_the_others_are_looked_at() {
    let (place, _) = kept().await;
    place.sql("ALTER TABLE marks RENAME TO others").await;
    let found = place.store.verify().await.expect("looked at");
    assert_eq!(found.rows.iter().filter(|(name, _)| *name == "marks").count(), 0);
    assert_eq!((found.rows.len(), found.journal_seq), (17, 3));
    assert!(found.problems.iter().any(|problem| problem.contains("marks cannot be read")), "{:?}", found.problems);
    assert!(!found.problems.iter().any(|problem| problem.contains("aborted")), "{:?}", found.problems);
}

#[tokio::test]
async fn a_backup_is_never_put_in_the_place_of_a_file_unasked() {
    let (place, _) = kept().await;
    let file = place.path().join("backup.tar");
    fs::write(&file, "somebody's").expect("written");
    let refused = publish::back_up(&place.store, order(&place), turn().await, file.clone(), false).await;
    assert!(refused.is_err());
    assert_eq!(fs::read(&file).expect("read"), b"somebody's");
    publish::back_up(&place.store, order(&place), turn().await, file.clone(), true).await.expect("replaced");
    assert!(fs::metadata(&file).expect("there").len() > 5000);
}

#[tokio::test]
async fn verification_finds_what_file_set_and_journal_disagree_about() {
    let (place, _) = kept().await;
    let found = place.store.verify().await.expect("looked at");
    assert_eq!((found.problems, found.generation, found.journal_seq), (vec![], 3, 3));
    assert_eq!(found.rows[..5], [("pins", 5), ("gone", 2), ("changes", 1), ("generations", 4), ("marks", 3)]);
    assert_eq!(found.rows[5..9], [("legacy", 2), ("legacy_sources", 1), ("vfs", 0), ("vfs_journal", 2)]);
    assert_eq!(
        found.rows[9..13],
        [("state_system", 1), ("state_network", 2), ("state_storage", 1), ("state_files", 1)]
    );
    assert_eq!(found.rows[13..16], [("access", 0), ("access_cursor", 0), ("access_batch", 0)]);
    let wrong: [(&str, &str, &str); 6] = [
        (
            "INSERT INTO access SELECT 5, first_seen, cid, NULL, NULL, 0, NULL, NULL, NULL, 0, NULL FROM pins LIMIT 1",
            "DELETE FROM access WHERE seq = 5",
            "numbers of accesses that none can be: 1",
        ),
        (
            "UPDATE marks SET tier = 'x' || tier WHERE tier IS NOT NULL",
            "UPDATE marks SET tier = tier[2:] WHERE tier IS NOT NULL",
            "say different things of 1 CIDs",
        ),
        (
            "UPDATE pins SET name = 'other' WHERE id = 1",
            "UPDATE pins SET name = 'it''s \"a\"' || chr(10) || 'name' WHERE id = 1",
            "other pins",
        ),
        ("UPDATE gone SET id = 1 WHERE id = 3", "UPDATE gone SET id = 3 WHERE id = 1", "ids that are used twice: 1"),
        ("UPDATE meta SET next_id = 3", "UPDATE meta SET next_id = 8", "not given yet"),
        (
            "INSERT INTO marks SELECT cid, [], 'n', NULL, marked_at, 99 FROM marks LIMIT 1",
            "DELETE FROM marks WHERE seq = 99",
            "marked twice: 1",
        ),
    ];
    for (spoil, mend, word) in wrong {
        place.sql(spoil).await;
        let found = place.store.verify().await.expect("looked at").problems;
        assert!(found.iter().any(|problem| problem.contains(word)), "{word}: {found:?}");
        place.sql(mend).await;
        assert_eq!(place.store.verify().await.expect("looked at").problems, [] as [String; 0], "{word}");
    }
    let log = place.path().join("journal/marks.log");
    let mut bytes = fs::read(&log).expect("read");
    bytes[60] ^= 1;
    fs::write(&log, bytes).expect("written");
    let found = place.store.verify().await.expect("looked at").problems;
    assert!(found.iter().any(|problem| problem.contains("the journal is damaged")), "{found:?}");
}

#[tokio::test]
async fn compaction_gives_back_room_and_waits_for_no_reader() {
    let place = Place::new();
    place.list(minute(0), |l| l.added = (0..20_000).map(|n| pin(raw(n), RECURSIVE, "name")).collect()).await;
    for n in 0..50 {
        tag(&place, raw(n % 3), &[&n.to_string()], &[]).await;
    }
    let log = || fs::metadata(place.wal()).map_or(0, |log| log.len());
    assert!(log() > 0);
    let saved = place.store.compact().await.expect("compacted");
    assert_eq!((saved.put_off.as_deref(), log()), (None, 0));
    assert!(saved.index.0 > 0 && saved.index.1 > 0 && saved.journal.1 * 3 < saved.journal.0, "{saved:?}");
    assert_eq!(told_of(&place, raw(0)).await.tags.len(), 17);
    assert_eq!(place.store.verify().await.expect("looked at").problems, [] as [String; 0]);

    // A reader is in the middle of its rows.
    let (begin, begun) = tokio::sync::oneshot::channel();
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let store = place.store.clone();
    let reading = tokio::spawn(async move {
        store
            .read_long(move |connection| {
                let rows = connection.query_row("SELECT count(*) FROM pins", [], |row| row.get::<_, i64>(0))?;
                let _ = begin.send(());
                let _ = wait.recv();
                Ok(rows)
            })
            .await
    });
    begun.await.expect("it reads");
    place.sql("UPDATE pins SET name = 'other' WHERE id = 5").await;
    let saved = place.store.compact().await.expect("no error");
    assert!(saved.put_off.is_some(), "{saved:?}");
    drop(go);
    reading.await.expect("joined").expect("read");
    assert_eq!(place.store.compact().await.expect("compacted").put_off, None);
}
