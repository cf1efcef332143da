//! A lost index file: filled again from the newest good snapshot, then from the journal; what is done to files, and what then is there.

use crate::mark::{say, tag, told_of};
use crate::other::{self, role, skipped};
use crate::place::*;
use crate::snapshot::{publish, snapshots};
use crate::store::block_on;
use ipfs_kitd::cid::{Cid, Key};
use ipfs_kitd::index::error::IndexError;
use ipfs_kitd::index::journal::{FLOOR, Journal};
use ipfs_kitd::index::mark::What;
use ipfs_kitd::index::open::OpenError;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

pub(crate) fn index(dir: &Path) -> PathBuf {
    dir.join("pins.duckdb")
}

pub(crate) fn wal(dir: &Path) -> PathBuf {
    dir.join("pins.duckdb.wal")
}

/// All rows of all tables that are exported, but for the generations that began since.
pub(crate) async fn dump(place: &Place, generation: u64) -> Vec<String> {
    let mut tables = Vec::new();
    let pins = ["pins", "gone", "changes", "marks", "generations", "legacy", "legacy_sources", "vfs_journal"];
    for table in pins.into_iter().chain(["state_system", "state_network", "state_storage", "state_files"]) {
        let only = match table {
            "generations" => format!("WHERE generation <= {generation}"),
            // Without the row that is no line.
            "vfs_journal" => "WHERE op < 4".to_owned(),
            _ => String::new(),
        };
        let sql =
            format!("SELECT coalesce(string_agg(t::VARCHAR, chr(10) ORDER BY t::VARCHAR), '') FROM {table} t {only}");
        let rows =
            place.store.read(move |connection| Ok(connection.query_row(&sql, [], |row| row.get::<_, String>(0))?));
        tables.push(format!("{table}\n{}", rows.await.expect("rows")));
    }
    tables
}

/// An index with every kind of row, and a snapshot of it: generation 3.
pub(crate) async fn kept() -> (Place, Vec<String>) {
    let place = Place::new();
    let v0 = Cid::new_v0(sha(6)).expect("v0");
    place
        .list(minute(0), |l| {
            l.added = (0..6).map(|n| pin(raw(n), RECURSIVE, "it's \"a\"\nname")).collect();
            l.added.push(pin(v0, DIRECT, ""));
        })
        .await;
    place
        .list(minute(1), |l| {
            l.changed = vec![pin(raw(1), DIRECT, "uno")];
            l.removed = vec![Key::of(&raw(2))];
        })
        .await;
    place.remove(raw(3)).await;
    place.sql("UPDATE pins SET size = id * 10, size_kind = id % 3, kind = 2 WHERE id % 3 > 0").await;
    place.sql("UPDATE pins SET size = NULL, size_kind = 0, kind = 1 WHERE id = 7").await;
    place
        .sql(
            "INSERT INTO legacy SELECT cid, '/old', 'B', 'old', NULL, 7, TIMESTAMP '2025-01-02 03:04:05.000006', NULL, 3, NULL, '/a',
               true, NULL, first_seen FROM pins WHERE id < 3;
             INSERT INTO legacy_sources SELECT '/old', 'd1', 'B', first_seen, 9, 2 FROM pins WHERE id = 1;
             INSERT INTO vfs_journal SELECT id, first_seen, id % 4, '/a', CASE WHEN id > 1 THEN cid END,
               CASE WHEN id < 4 THEN cid END FROM pins WHERE id < 5;
             INSERT INTO state_system SELECT first_seen, '0.43.1', 0.5, 7, 1.25, NULL, 1099511627776, 0 FROM pins WHERE id = 1;
             INSERT INTO state_network SELECT first_seen, NULL, id, 0, 0.1, 1e9 FROM pins WHERE id < 3;
             INSERT INTO state_storage SELECT first_seen, 1, NULL, 3, 4, 5 FROM pins WHERE id = 1;
             INSERT INTO state_files SELECT first_seen, 'bafy', 7, NULL FROM pins WHERE id = 1",
        )
        .await;
    tag(&place, raw(1), &["a", "b; no".trim_end_matches("; no"), "two words"], &[]).await;
    say(&place, raw(9), What::note(Some("not pinned".into()))).await.expect("recorded");
    say(&place, raw(4), What::tier(Some("cold".into()))).await.expect("recorded");
    publish(&place, &snapshots(&place)).await.expect("published");
    let dump = dump(&place, 3).await;
    (place, dump)
}

fn gone(dir: &Path) {
    fs::remove_file(index(dir)).expect("removed");
    let _ = fs::remove_file(wal(dir));
}

#[tokio::test]
async fn d8_a_lost_index_comes_back_from_the_newest_good_snapshot_and_the_journal() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 4] = [
        ("gone", gone),
        ("empty", |dir| fs::write(index(dir), "").expect("written")),
        ("zeroed", |dir| fs::write(index(dir), vec![0; 800_000]).expect("written")),
        ("a directory", |dir| {
            fs::remove_file(index(dir)).expect("removed");
            fs::create_dir(index(dir)).expect("made");
        }),
    ];
    for (name, damage) in damages {
        let (place, mut before) = kept().await;
        // Since the snapshot: a pin that is lost until Kubo lists it, and marks that are not.
        place.add(raw(100), RECURSIVE, "").await;
        tag(&place, raw(100), &["later"], &[]).await;
        tag(&place, raw(1), &[], &["a"]).await;
        before[3] = dump(&place, 3).await.remove(3);
        let dir = place.close().await;
        damage(dir.path());
        let place = Place::of(dir);
        assert_eq!(dump(&place, 3).await, before, "{name}");
        let state = place.state();
        assert_eq!((state.generation, state.complete, state.as_of), (4, false, Some(minute(1))), "{name}");
        assert_eq!((state.set.len(), state.peer_id.as_deref()), (5, Some(NODE)), "{name}");
        let told = state.recovery.unwrap_or_else(|| panic!("{name}: not told"));
        assert!(told.contains("gen-3.1") && told.contains("2 marks were brought back"), "{name}: {told}");
        // The next listing makes it whole; ids and generations go on rising.
        let listed = place.list(minute(2), |l| l.added = vec![pin(raw(100), RECURSIVE, "")]).await;
        assert_eq!((listed.generation, place.state().complete), (5, true), "{name}");
        assert_eq!(
            place.number("SELECT count(DISTINCT id) FROM (SELECT id FROM pins UNION ALL SELECT id FROM gone)").await,
            8
        );
        let place = Place::of(place.close().await);
        assert_eq!((place.state().recovery, place.pins().await.len()), (None, 6), "{name}: once");
    }
}

#[tokio::test]
async fn d10_a_snapshot_that_is_damaged_or_does_not_fit_is_passed_over_and_that_is_told() {
    let (place, before) = kept().await;
    place.add(raw(50), RECURSIVE, "").await;
    let to = snapshots(&place);
    let second = publish(&place, &to).await.expect("published");
    place.add(raw(51), RECURSIVE, "").await;
    // Of a shape that no index has, and sound by its digests.
    place.sql("ALTER TABLE pins RENAME TO other; CREATE VIEW pins AS SELECT * REPLACE (NULL::TIMESTAMP AS first_seen) FROM other").await;
    let third = publish(&place, &to).await.expect("published");
    assert_eq!(to.choose().expect("good by its digests").1.name, third.name);
    let dir = place.close().await;
    let damaged = to.dir().join(&second.name).join("gone.parquet");
    let mut bytes = fs::read(&damaged).expect("bytes");
    bytes[30] ^= 1;
    fs::write(&damaged, bytes).expect("written");
    gone(dir.path());
    let place = Place::of(dir);
    let told = place.state().recovery.expect("told");
    for part in ["from the snapshot gen-3.1", "gen-4.2: gone.parquet", "gen-5.3: "] {
        assert!(told.contains(part), "{part:?} in {told}");
    }
    assert_eq!((dump(&place, 3).await, place.state().generation), (before, 6), "above all that anybody has seen");
    // None that is good: what anybody has seen still counts.
    let dir = place.close().await;
    fs::remove_file(to.dir().join("gen-3.1/pins.parquet")).expect("removed");
    gone(dir.path());
    let place = Place::of(dir);
    let state = place.state();
    assert_eq!((state.generation, state.set.len(), state.complete), (6, 0, false));
    let told = state.recovery.expect("told");
    assert!(told.contains("rebuilt from Kubo") && told.contains("gen-3.1: pins.parquet"), "{told}");
    assert_eq!(told_of(&place, raw(4)).await.tier.as_deref(), Some("cold"), "the journal has it");
}

#[tokio::test]
async fn marks_that_were_taken_back_before_the_journal_was_written_anew_stay_so() {
    let (place, _) = kept().await;
    tag(&place, raw(1), &[], &["a", "b", "two words"]).await;
    tag(&place, raw(8), &["kept"], &[]).await;
    let dir = place.close().await;
    Journal::open(&dir.path().join("journal"), FLOOR).compact().expect("written anew");
    gone(dir.path());
    let place = Place::of(dir);
    assert_eq!(told_of(&place, raw(1)).await.tags, [] as [String; 0], "the snapshot has it still");
    assert_eq!(
        (told_of(&place, raw(8)).await.tags, place.number("SELECT count(*) FROM marks").await),
        (vec!["kept".to_owned()], 3)
    );
    // Without a journal the snapshot's marks are all there are, and the journal is written anew.
    let dir = place.close().await;
    gone(dir.path());
    fs::remove_dir_all(dir.path().join("journal")).expect("removed");
    let place = Place::of(dir);
    assert_eq!(told_of(&place, raw(1)).await.tags, ["a", "b", "two words"]);
    assert!(tag(&place, raw(2), &["next"], &[]).await.seq > Some(3));
    let told = place.state().recovery.expect("told");
    assert!(told.contains("written anew with all 3"), "{told}");
}

/// Copies what a killed process would leave.
pub(crate) fn image(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("listed") {
        let path = entry.expect("an entry").path();
        let to = to.join(path.file_name().expect("a name"));
        if path.is_dir() { image(&path, &to) } else { assert!(fs::copy(&path, &to).is_ok()) }
    }
}

/// Opens a copy of an index after something was done to it.
pub(crate) async fn after(image_of: &Path, damage: impl FnOnce(&Path)) -> Place {
    let dir = tempfile::tempdir().expect("a temp dir");
    image(image_of, dir.path());
    damage(dir.path());
    Place::of(dir)
}

/// An index in the middle of its work: a snapshot of generation 3, and ten more pins and tags in the log. The files as they are.
async fn at_work() -> (TempDir, Place) {
    let (place, _) = kept().await;
    let place = Place::of(place.close().await);
    for n in 0..10 {
        place.add(raw(200 + n), RECURSIVE, "").await;
        tag(&place, raw(200 + n), &["acknowledged"], &[]).await;
    }
    let left = tempfile::tempdir().expect("a temp dir");
    image(place.path(), left.path());
    (left, place)
}

/// What was written in order is there up to some point, or the index came back from the snapshot; in both cases all marks.
async fn a_prefix(place: &Place, what: &str) -> bool {
    let state = place.state();
    let more = place.number("SELECT count(*) FROM pins WHERE id > 7").await;
    match &state.recovery {
        None => assert_eq!(
            (state.generation, state.set.len()),
            (3 + more.unsigned_abs(), 5 + more.unsigned_abs()),
            "{what}"
        ),
        Some(told) => {
            assert!(told.contains("from the snapshot gen-3.1"), "{what}: {told}");
            assert_eq!((state.generation, state.set.len()), (4, 5), "{what}");
        }
    }
    for n in 0..10 {
        assert_eq!(told_of(place, raw(200 + n)).await.tags, ["acknowledged"], "{what}: {n}");
    }
    assert_eq!(place.store.verify().await.expect("looked at").problems, [] as [String; 0], "{what}");
    state.recovery.is_some()
}

#[tokio::test]
async fn d9_whatever_becomes_of_the_log_a_prefix_of_it_counts_or_the_snapshot() {
    let (left, _place) = at_work().await;
    let log = fs::read(wal(left.path())).expect("a log");
    let mut recovered = 0;
    for at in (0..log.len()).step_by(log.len() / 24) {
        for (what, bytes) in [
            ("cut", log[..at].to_vec()),
            ("zeros", [&log[..at], &vec![0; log.len() - at]].concat()),
            ("a bit", log.iter().enumerate().map(|(n, byte)| if n == at { byte ^ 16 } else { *byte }).collect()),
        ] {
            let place = after(left.path(), |dir| fs::write(wal(dir), &bytes).expect("written")).await;
            recovered += usize::from(a_prefix(&place, &format!("{what} at {at} of {}", log.len())).await);
        }
    }
    assert!(recovered > 0, "some of it is damage");
    let other = Place::new();
    other.add(raw(999), RECURSIVE, "").await;
    let foreign = fs::read(other.wal()).expect("a log");
    let place = after(left.path(), |dir| fs::write(wal(dir), &foreign).expect("written")).await;
    assert!(place.state().set.get(&Key::of(&raw(999))).is_none());
    a_prefix(&place, "the log of another index").await;
    let place = after(left.path(), |dir| fs::remove_file(index(dir)).expect("removed")).await;
    assert!(a_prefix(&place, "the log alone").await);
    let aside = fs::read_dir(place.path()).expect("listed").map(|entry| entry.expect("an entry").path());
    let aside = aside.into_iter().find(|path| path.to_string_lossy().contains("damaged-")).expect("kept");
    assert_eq!(fs::read(aside.join("pins.duckdb.wal")).expect("read"), log);
}

#[tokio::test]
async fn d8_a_flipped_bit_in_the_file_is_met_at_the_start_or_by_verification_and_never_believed() {
    let (place, before) = kept().await;
    let dir = place.close().await;
    let sound = fs::read(index(dir.path())).expect("bytes");
    let (mut recovered, mut seed) = (0, 7_u64);
    for round in 0..40 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = (seed >> 33) as usize % if round % 2 == 0 { 12_288 } else { sound.len() };
        let spoil = |dir: &Path| {
            let mut bytes = sound.clone();
            bytes[at] ^= 1 << (round % 8);
            fs::write(index(dir), bytes).expect("written");
        };
        let place = after(dir.path(), spoil).await;
        recovered += usize::from(place.state().recovery.is_some());
        let problems = place.store.verify().await.map(|found| found.problems);
        let place = if problems.is_ok_and(|problems| problems.is_empty()) {
            place
        } else {
            // Met at work: the next start knows.
            let place = Place::of(place.close().await);
            assert!(place.state().recovery.is_some(), "byte {at}");
            recovered += 1;
            place
        };
        assert_eq!(dump(&place, 3).await, before, "byte {at}");
    }
    assert!(recovered > 5, "only {recovered} were met");
}

#[tokio::test]
async fn d16_a_file_that_is_taken_away_or_replaced_while_it_is_open_takes_nothing_more_and_is_left_alone() {
    type Harm = fn(&Path);
    let harms: [(&str, Harm); 3] = [
        ("taken away", |dir| fs::remove_file(index(dir)).expect("removed")),
        ("replaced", |dir| {
            fs::rename(index(dir), dir.join("moved")).expect("moved");
            fs::write(index(dir), "another's").expect("written");
            fs::write(wal(dir), "another's log").expect("written");
        }),
        ("its directory moved", |dir| {
            let elsewhere = dir.with_extension("elsewhere");
            fs::rename(dir, &elsewhere).expect("moved");
            fs::create_dir(dir).expect("made");
            fs::rename(elsewhere, dir.join("elsewhere")).expect("moved");
        }),
    ];
    for (name, harm) in harms {
        let (place, _) = kept().await;
        place.add(raw(50), RECURSIVE, "").await;
        harm(place.path());
        let written = place.store.write(|_, _| Ok(())).await;
        match written {
            Err(IndexError::Fatal(why)) => assert!(why.contains("while it was in use"), "{name}: {why}"),
            other => panic!("{name}: {other:?}"),
        }
        assert_eq!(place.pins().await.len(), 6, "{name}: reads go on");
        let dir = place.close().await;
        if name == "replaced" {
            let left = (fs::read(index(dir.path())).expect("read"), fs::read(wal(dir.path())).expect("read"));
            assert_eq!(left, (b"another's".to_vec(), b"another's log".to_vec()));
        }
        if name != "its directory moved" {
            let place = Place::of(dir);
            assert_eq!((place.pins().await.len(), place.state().generation), (5, 4), "{name}");
        }
    }
}

/// Copies of an index, each opened by another process that is killed at one of the first eight calls of a kind, or at one in seventeen
/// of those behind.
fn killed_at_many_calls(test: &str, prepared: &Path, calls: &[&str], then: impl Fn(TempDir, &str)) {
    let tried =
        Command::new("strace").args(["-qq", "-o", "/dev/null", "-e", "inject=fsync:error=EIO", "true"]).output();
    if !tried.is_ok_and(|output| output.status.success()) {
        return skipped(test, "there is no strace that may trace");
    }
    for call in calls {
        for number in (1..9).chain((9..400).step_by(17)) {
            let dir = tempfile::tempdir().expect("a temp dir");
            image(prepared, dir.path());
            let plain = other::command(test, dir.path());
            let mut command = Command::new("strace");
            let inject = format!("inject={call}:signal=SIGKILL:when={number}");
            command.args(["-f", "-qq", "-o", "/dev/null", "-e", &inject]);
            command.arg(plain.get_program()).args(plain.get_args()).env(other::ROLE, dir.path());
            let said = command.output().expect("strace runs").stdout;
            then(dir, &format!("{call} {number}"));
            if String::from_utf8_lossy(&said).contains("opened and closed") {
                break;
            }
        }
    }
}

fn open_and_close(dir: &Path) {
    let store = open(dir).expect("an index");
    block_on(store.close(LONG));
    writeln!(std::io::stdout(), "opened and closed").expect("a parent that listens");
}

#[test]
fn d18_a_recovery_that_is_killed_at_one_of_many_calls_is_done_by_the_next_start() {
    const TEST: &str = "recovery::d18_a_recovery_that_is_killed_at_one_of_many_calls_is_done_by_the_next_start";
    if let Some(dir) = role() {
        return open_and_close(&dir);
    }
    let (dir, before) = block_on(async {
        let (place, before) = kept().await;
        (place.close().await, before)
    });
    let damaged = b"no index, and long enough to be looked at ".repeat(400);
    fs::write(index(dir.path()), &damaged).expect("written");
    fs::write(wal(dir.path()), "a log").expect("written");
    let calls = ["pwrite64", "fdatasync", "fsync", "rename", "unlink", "ftruncate", "mkdir"];
    killed_at_many_calls(TEST, dir.path(), &calls, |dir, what| {
        let place = Place::of(dir);
        let after = block_on(dump(&place, 3));
        assert_eq!(after, before, "{what}");
        assert_eq!((place.state().generation, place.state().set.len()), (4, 5), "{what}");
        let names = fs::read_dir(place.path()).expect("listed").map(|entry| entry.expect("an entry").path());
        let kept =
            names.into_iter().filter_map(|path| fs::read(path.join("pins.duckdb")).ok()).any(|bytes| bytes == damaged);
        assert!(kept, "{what}: what was damaged is kept");
        block_on(place.store.close(LONG));
    });
}

#[test]
fn d13_nothing_in_this_process_opens_the_index_file_after_duckdb() {
    const TEST: &str = "recovery::d13_nothing_in_this_process_opens_the_index_file_after_duckdb";
    if let Some(dir) = role() {
        let place = Place::at(TempDir::new_in(&dir).expect("a temp dir"), open(&dir).expect("an index"));
        return block_on(async {
            place.add(raw(60), RECURSIVE, "").await;
            publish(&place, &snapshots(&place)).await.expect("published");
            place.store.verify().await.expect("looked at");
            place.store.compact().await.expect("compacted");
            place.store.read(ipfs_kitd::index::info::info).await.expect("told");
            place.close().await;
            writeln!(std::io::stdout(), "opened and closed").expect("a parent that listens");
        });
    }
    let dir = block_on(async { kept().await.0.close().await });
    let calls = dir.path().join("calls");
    let plain = other::command(TEST, dir.path());
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", calls.to_str().expect("UTF-8"), "-e", "trace=open,openat,openat2,creat"]);
    command.arg(plain.get_program()).args(plain.get_args()).env(other::ROLE, dir.path());
    match command.output() {
        Ok(output) if String::from_utf8_lossy(&output.stdout).contains("opened and closed") => {}
        other => return skipped(TEST, &format!("strace is not there, or may not trace: {other:?}")),
    }
    let calls = fs::read_to_string(calls).expect("calls");
    let opened: Vec<_> =
        calls.lines().filter(|line| line.contains("/pins.duckdb\"") && !line.contains("ENOENT")).collect();
    // Before that DuckDB looks what kind of file it is; a close after it would drop the lock.
    assert_eq!(opened.iter().position(|line| line.contains("O_RDWR")), Some(opened.len() - 1), "{opened:?}");
}

#[test]
fn d12_an_index_is_found_in_use_by_whatever_path_it_is_reached() {
    let place = Place::new();
    let other = tempfile::tempdir().expect("a temp dir");
    let link = other.path().join("link");
    std::os::unix::fs::symlink(place.path(), &link).expect("a link");
    for path in [link.as_path(), &place.path().join("..").join(place.path().file_name().expect("a name"))] {
        assert!(matches!(open(path), Err(OpenError::Claim(_))), "{}", path.display());
    }
}

/// An index of version 1, as its program left it.
fn version_1(dir: &Path) {
    let old = duckdb::Connection::open(index(dir)).expect("a file");
    old.execute_batch(
        "CREATE TABLE pins(id BIGINT NOT NULL, cid BLOB NOT NULL, type UTINYINT NOT NULL, name VARCHAR,
           first_seen TIMESTAMP NOT NULL, codec UBIGINT NOT NULL);
         CREATE TABLE gone(id BIGINT NOT NULL, cid BLOB NOT NULL, type UTINYINT NOT NULL, name VARCHAR,
           first_seen TIMESTAMP NOT NULL, gone_at TIMESTAMP NOT NULL, generation BIGINT NOT NULL);
         CREATE TABLE meta(schema_version BIGINT NOT NULL, peer_id VARCHAR, generation BIGINT NOT NULL,
           as_of_us BIGINT, complete BOOLEAN NOT NULL, next_id BIGINT NOT NULL);
         INSERT INTO meta VALUES (1, '12D3KooWNode', 7, 1790000000000000, true, 9);",
    )
    .expect("tables");
    let row = "INSERT INTO pins VALUES (1, ?, 0, 'n', TIMESTAMP '2026-01-01', 85)";
    old.execute(row, [raw(1).to_bytes()]).expect("a row");
}

fn olds(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).expect("listed").map(|entry| entry.expect("an entry").path());
    entries.filter(|path| path.to_string_lossy().contains("pins.duckdb.")).collect()
}

#[test]
fn d11_an_older_file_is_migrated_in_a_copy_and_kept_until_the_new_one_was_opened_again() {
    let dir = tempfile::tempdir().expect("a temp dir");
    version_1(dir.path());
    let before = fs::read(index(dir.path())).expect("bytes");
    block_on(async {
        let place = Place::of(dir);
        assert_eq!((place.state().generation, place.state().recovery, place.pins().await.len()), (7, None, 1));
        let olds = olds(place.path());
        assert!(olds.iter().any(|path| fs::read(path).is_ok_and(|bytes| bytes == before)), "{olds:?}");
        let place = Place::of(place.close().await);
        assert_eq!(place.pins().await.len(), 1);
        let dir = place.close().await;
        assert_eq!(self::olds(dir.path()), [] as [PathBuf; 0], "opened twice");
    });
}

#[test]
fn d11_a_migration_that_is_killed_at_one_of_many_calls_leaves_the_old_file_or_the_new_one() {
    const TEST: &str =
        "recovery::d11_a_migration_that_is_killed_at_one_of_many_calls_leaves_the_old_file_or_the_new_one";
    if let Some(dir) = role() {
        return open_and_close(&dir);
    }
    let dir = tempfile::tempdir().expect("a temp dir");
    version_1(dir.path());
    let calls = ["copy_file_range", "pwrite64", "fdatasync", "fsync", "link", "linkat", "rename", "unlink"];
    killed_at_many_calls(TEST, dir.path(), &calls, |dir, what| {
        let place = Place::of(dir);
        assert_eq!((place.state().generation, place.state().recovery.clone()), (7, None), "{what}");
        assert_eq!(block_on(place.pins()).len(), 1, "{what}");
        block_on(async {
            let place = Place::of(place.close().await);
            let dir = place.close().await;
            assert_eq!(olds(dir.path()), [] as [PathBuf; 0], "{what}");
        });
    });
}

#[test]
fn d11_a_newer_file_is_refused_with_its_log_and_not_one_byte_is_changed() {
    let (place, _) = block_on(kept());
    let dir = block_on(place.close());
    let newer = "PRAGMA disable_checkpoint_on_shutdown; UPDATE meta SET schema_version = schema_version + 1";
    duckdb::Connection::open(index(dir.path())).and_then(|c| c.execute_batch(newer)).expect("changed");
    let files = || {
        [index(dir.path()), wal(dir.path()), dir.path().join("journal/marks.log")]
            .map(|path| fs::read(path).expect("there"))
    };
    let before = files();
    match open(dir.path()) {
        Err(error @ OpenError::Newer { .. }) => assert!(error.needs_newer_version(), "{error}"),
        other => panic!("{:?}", other.map(drop)),
    }
    assert!(files() == before, "not one byte");
}
