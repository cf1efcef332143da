//! What people say of CIDs, from the writer's queue to the rows of a listing, and back from the journal when the index is lost.

use crate::other::{self, ready};
use crate::place::*;
use crate::store::block_on;
use ipfs_kitd::cid::{Cid, Key};
use ipfs_kitd::index::error::IndexError;
use ipfs_kitd::index::mark::What;
use ipfs_kitd::index::marks::{self, Say};
use proto_msgs::pin::{Pin, PinLs, PinMarked};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

pub(crate) async fn say(place: &Place, cid: Cid, what: Result<What, String>) -> Result<PinMarked, IndexError> {
    let ask = Say { cid, what: what.expect("within the limits") };
    place.store.write(move |connection, state| marks::say(connection, state, ask)).await
}

pub(crate) async fn tag(place: &Place, cid: Cid, add: &[&str], remove: &[&str]) -> PinMarked {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    say(place, cid, What::tags(words(add), words(remove))).await.expect("recorded")
}

pub(crate) async fn told_of(place: &Place, cid: Cid) -> PinMarked {
    say(place, cid, Ok(What::Nothing)).await.expect("told")
}

/// Tags, note and tier of each of these.
async fn all(place: &Place, cids: impl IntoIterator<Item = Cid>) -> Vec<(Vec<String>, Option<String>, Option<String>)> {
    let mut found = Vec::new();
    for cid in cids {
        let marked = told_of(place, cid).await;
        assert!(marked.shown);
        found.push((marked.tags, marked.note, marked.tier));
    }
    found
}

async fn only(place: &Place, ask: PinLs) -> Vec<Pin> {
    let (total, rows) = place.ls(ask).await;
    assert_eq!(total, rows.len() as u64);
    rows
}

fn by_tag(tag: &str) -> PinLs {
    PinLs { tag: Some(tag.to_owned()), ..PinLs::default() }
}

#[tokio::test]
async fn marks_are_in_the_rows_and_filters_find_them() {
    let place = Place::new();
    place.list(minute(0), |l| l.added = (0..3).map(|n| pin(raw(n), RECURSIVE, "")).collect()).await;
    let marked = tag(&place, raw(1), &["b", "a, b", "a"], &[]).await;
    assert_eq!((marked.tags, marked.seq, marked.shown), (vec!["a".into(), "a, b".into(), "b".into()], Some(1), true));
    say(&place, raw(1), What::note(Some("it's \"noted\"".into()))).await.expect("recorded");
    say(&place, raw(2), What::tier(Some("cold".into()))).await.expect("recorded");
    let row = only(&place, by_tag("a, b")).await.remove(0);
    assert_eq!(
        (row.cid, row.tags.len(), row.note.as_deref()),
        (ipfs_kitd::cid::text(&raw(1)), 3, Some("it's \"noted\""))
    );
    let cold = only(&place, PinLs { tier: Some("cold".into()), ..PinLs::default() }).await;
    assert_eq!((cold.len(), cold[0].tier.as_deref(), &cold[0].tags), (1, Some("cold"), &vec![]));
    for nothing in ["", "c", "a;b", "%", "A"] {
        assert!(only(&place, by_tag(nothing)).await.is_empty(), "{nothing:?}");
    }
    assert_eq!(only(&place, PinLs::default()).await.len(), 3, "no row twice");
    tag(&place, raw(1), &["c"], &["a", "b", "a, b"]).await;
    assert_eq!((only(&place, by_tag("a")).await.len(), only(&place, by_tag("c")).await.len()), (0, 1));
    assert_eq!(place.state().generation, 1, "a mark is no change of the pins");
}

#[tokio::test]
async fn marks_outlive_pins_and_no_listing_changes_them() {
    let place = Place::new();
    place.list(minute(0), |l| l.added = vec![pin(raw(1), RECURSIVE, "x"), pin(raw(2), RECURSIVE, "")]).await;
    for n in 1..4 {
        tag(&place, raw(n), &["kept"], &[]).await;
    }
    place.list(minute(1), |l| l.removed = vec![Key::of(&raw(1)), Key::of(&raw(2))]).await;
    assert!(only(&place, by_tag("kept")).await.is_empty());
    assert_eq!(told_of(&place, raw(1)).await.tags, ["kept"], "told of what is not pinned, too");
    place
        .list(minute(2), |l| {
            l.added = vec![pin(raw(1), DIRECT, "y"), pin(raw(3), RECURSIVE, ""), pin(raw(4), RECURSIVE, "")]
        })
        .await;
    place.list(minute(3), |l| l.changed = vec![pin(raw(1), RECURSIVE, "z")]).await;
    assert_eq!(only(&place, by_tag("kept")).await.len(), 2);
    assert_eq!(place.number("SELECT count(*) FROM marks WHERE seq IN (1, 2, 3)").await, 3);
}

#[tokio::test]
async fn v0_and_v1_of_a_block_are_marked_apart() {
    let place = Place::new();
    let (v0, v1) = (Cid::new_v0(sha(1)).expect("sha2-256"), Cid::new_v1(0x70, sha(1)));
    place.list(minute(0), |l| l.added = vec![pin(v0, RECURSIVE, ""), pin(v1, RECURSIVE, "")]).await;
    tag(&place, v0, &["old"], &[]).await;
    assert_eq!(
        told_of(&place, v1).await,
        PinMarked { cid: ipfs_kitd::cid::text(&v1), tags: vec![], note: None, tier: None, seq: None, shown: true }
    );
    let rows = only(&place, by_tag("old")).await;
    assert_eq!(rows.iter().map(|row| &row.cid).collect::<Vec<_>>(), [&ipfs_kitd::cid::text(&v0)]);
}

#[tokio::test]
async fn what_holds_already_is_not_recorded_again_and_what_is_taken_back_leaves_nothing() {
    let place = Place::new();
    assert_eq!(tag(&place, raw(1), &["a"], &[]).await.seq, Some(1));
    assert_eq!(tag(&place, raw(1), &["a"], &["b"]).await.seq, Some(1));
    assert_eq!(told_of(&place, raw(1)).await.seq, Some(1));
    assert_eq!(tag(&place, raw(1), &[], &["a"]).await.seq, Some(2));
    assert_eq!(told_of(&place, raw(1)).await.seq, None);
    assert_eq!(place.number("SELECT count(*) FROM marks").await, 0);
    let many: Vec<String> = (0..64).map(|n| n.to_string()).collect();
    say(&place, raw(1), What::tags(many, vec![])).await.expect("as many as may be");
    let refused = say(&place, raw(1), What::tags(vec!["one more".into()], vec![])).await;
    assert!(matches!(refused, Err(IndexError::Mark(_))), "{refused:?}");
    assert_eq!((told_of(&place, raw(1)).await.tags.len(), place.number("SELECT journal_seq FROM meta").await), (64, 3));
}

/// An index with pins and marks, closed: tags on 1 to 9, a note on 3, a tier on 4, taken back from 5.
async fn marked() -> (TempDir, Vec<(Vec<String>, Option<String>, Option<String>)>) {
    let place = Place::new();
    place.list(minute(0), |l| l.added = (0..6).map(|n| pin(raw(n), RECURSIVE, "")).collect()).await;
    for n in 1..10 {
        tag(&place, raw(n), &["all", &format!("tag {n}")], &[]).await;
    }
    say(&place, raw(3), What::note(Some("a note".into()))).await.expect("recorded");
    say(&place, raw(4), What::tier(Some("hot".into()))).await.expect("recorded");
    tag(&place, raw(5), &[], &["all", "tag 5"]).await;
    let all = all(&place, (0..10).map(raw)).await;
    assert_eq!(all.iter().filter(|mark| !mark.0.is_empty()).count(), 8);
    (place.close().await, all)
}

fn index(dir: &Path) -> PathBuf {
    dir.join("pins.duckdb")
}

fn log(dir: &Path) -> PathBuf {
    dir.join("journal/marks.log")
}

#[tokio::test]
async fn d8_d9_whatever_becomes_of_the_index_file_all_marks_come_back_by_themselves() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 6] = [
        ("deleted", |path| fs::remove_file(path).expect("removed")),
        ("zeroed", |path| fs::write(path, vec![0; 800_000]).expect("written")),
        ("empty", |path| fs::write(path, "").expect("written")),
        ("half", |path| {
            let bytes = fs::read(path).expect("read");
            fs::write(path, &bytes[..bytes.len() / 2]).expect("written");
        }),
        ("a foreign file", |path| fs::write(path, "no pins here".repeat(3000)).expect("written")),
        ("a log with zeros", |path| {
            let unsaved = "PRAGMA disable_checkpoint_on_shutdown; UPDATE pins SET name = 'other' || id";
            duckdb::Connection::open(path).and_then(|c| c.execute_batch(unsaved)).expect("done");
            let wal = path.with_extension("duckdb.wal");
            let mut bytes = fs::read(&wal).expect("read");
            let half = bytes.len() / 2;
            bytes[half..].fill(0);
            fs::write(wal, bytes).expect("written");
        }),
    ];
    for (name, damage) in damages {
        let (dir, before) = marked().await;
        damage(&index(dir.path()));
        let place = Place::of(dir);
        let recovery = place.state().recovery.unwrap_or_else(|| panic!("{name}: not told"));
        assert!(recovery.contains("8 marks were brought back"), "{name}: {recovery}");
        assert_eq!(all(&place, (0..10).map(raw)).await, before, "{name}");
        place.list(minute(1), |l| l.added = (0..6).map(|n| pin(raw(n), RECURSIVE, "")).collect()).await;
        assert_eq!(only(&place, by_tag("all")).await.len(), 4, "{name}: pinned and tagged");
        tag(&place, raw(1), &["more"], &[]).await;
        let place = Place::of(place.close().await);
        assert_eq!((place.state().recovery, told_of(&place, raw(1)).await.tags.len()), (None, 3), "{name}");
    }
}

#[tokio::test]
async fn d19_a_journal_that_lost_marks_is_written_anew_from_the_index() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 4] = [
        ("deleted", |path| fs::remove_file(path).expect("removed")),
        ("cut", |path| fs::write(path, &fs::read(path).expect("read")[..500]).expect("written")),
        ("spoilt", |path| {
            let mut bytes = fs::read(path).expect("read");
            bytes[700] ^= 1;
            fs::write(path, bytes).expect("written");
        }),
        ("a foreign file", |path| fs::write(path, "no marks here".repeat(300)).expect("written")),
    ];
    for (name, damage) in damages {
        let (dir, before) = marked().await;
        damage(&log(dir.path()));
        let place = Place::of(dir);
        let recovery = place.state().recovery.unwrap_or_else(|| panic!("{name}: not told"));
        assert!(recovery.contains("written anew with all 8"), "{name}: {recovery}");
        assert_eq!(all(&place, (0..10).map(raw)).await, before, "{name}");
        assert!(tag(&place, raw(0), &["next"], &[]).await.seq > Some(12), "{name}: numbers go on rising");
        let dir = place.close().await;
        // The journal alone is enough again.
        fs::remove_file(index(dir.path())).expect("removed");
        let place = Place::of(dir);
        assert_eq!(all(&place, (1..10).map(raw)).await, before[1..], "{name}");
        assert_eq!(told_of(&place, raw(0)).await.tags, ["next"], "{name}");
    }
}

#[tokio::test]
async fn d19_a_spoilt_record_costs_one_mark_without_an_index_and_none_with_one() {
    for lost in [false, true] {
        let (dir, mut before) = marked().await;
        let mut bytes = fs::read(log(dir.path())).expect("read");
        let at = bytes.windows(5).position(|text| text == b"tag 8").expect("record 8");
        bytes[at] ^= 1;
        fs::write(log(dir.path()), bytes).expect("written");
        if lost {
            fs::remove_file(index(dir.path())).expect("removed");
            before[8] = (vec![], None, None);
        }
        let place = Place::of(dir);
        let told = place.state().recovery.expect("told");
        assert!(told.contains("record 8 fails its check") && told.contains("written anew with all"), "{told}");
        assert_eq!(all(&place, (0..10).map(raw)).await, before, "lost: {lost}");
        assert_eq!(place.store.verify().await.expect("looked at").problems, [] as [String; 0]);
        tag(&place, raw(0), &["next"], &[]).await;
        let place = Place::of(place.close().await);
        assert_eq!((place.state().recovery, all(&place, (1..10).map(raw)).await), (None, before[1..].to_vec()));
    }
}

#[tokio::test]
async fn a_mark_that_the_index_cannot_take_is_recorded_and_shown_later() {
    let place = Place::new();
    place.list(minute(0), |l| l.added = vec![pin(raw(1), RECURSIVE, "")]).await;
    let sql = async |sql: &'static str| place.store.write(move |c, _| Ok(c.execute_batch(sql)?)).await.expect("done");
    sql("ALTER TABLE marks ADD COLUMN stray INTEGER").await;
    let marked = tag(&place, raw(1), &["late"], &[]).await;
    assert_eq!((marked.seq, marked.shown, only(&place, by_tag("late")).await.len()), (Some(1), false, 0));
    assert_eq!(
        (told_of(&place, raw(1)).await.tags, told_of(&place, raw(1)).await.shown),
        (vec!["late".to_owned()], false)
    );
    let more = say(&place, raw(2), What::tags(vec!["next".into()], vec![])).await;
    assert!(matches!(more, Err(IndexError::Duckdb(_))), "no second one waits: {more:?}");
    place.list(minute(1), |l| l.added = vec![pin(raw(3), RECURSIVE, "")]).await;
    assert_eq!(place.pins().await.len(), 2, "pins go on");
    sql("ALTER TABLE marks DROP COLUMN stray").await;
    place.add(raw(4), RECURSIVE, "").await;
    assert_eq!(only(&place, by_tag("late")).await.len(), 1, "with the next write");
    assert_eq!(tag(&place, raw(2), &["next"], &[]).await.seq, Some(2));
}

#[tokio::test]
async fn a_mark_that_the_index_had_not_got_to_is_taken_at_the_next_start() {
    let (dir, before) = marked().await;
    let behind = "UPDATE meta SET journal_seq = 5; DELETE FROM marks WHERE seq > 5";
    duckdb::Connection::open(index(dir.path())).and_then(|c| c.execute_batch(behind)).expect("set back");
    let place = Place::of(dir);
    assert_eq!((all(&place, (0..10).map(raw)).await, place.state().recovery), (before, None));
    assert_eq!(place.number("SELECT journal_seq FROM meta").await, 12);
}

#[tokio::test]
async fn a_journal_that_was_taken_away_refuses_marks_and_the_pins_go_on() {
    let (dir, before) = marked().await;
    let place = Place::of(dir);
    fs::remove_file(log(place.path())).expect("removed");
    let refused = say(&place, raw(1), What::tags(vec!["lost".into()], vec![])).await;
    assert!(matches!(refused, Err(IndexError::Journal(_))), "{refused:?}");
    place.add(raw(7), RECURSIVE, "").await;
    let place = Place::of(place.close().await);
    assert_eq!(all(&place, (0..10).map(raw)).await, before);
    tag(&place, raw(1), &["found"], &[]).await;
}

#[test]
fn d1_every_acknowledged_tag_survives_a_kill_of_the_process_that_wrote_it() {
    const TEST: &str = "mark::d1_every_acknowledged_tag_survives_a_kill_of_the_process_that_wrote_it";
    let block_on = |work: std::pin::Pin<Box<dyn Future<Output = ()>>>| {
        tokio::runtime::Runtime::new().expect("a runtime").block_on(work);
    };
    if let Some(dir) = other::role() {
        let store = open(&dir).expect("an index");
        let place = Place::at(TempDir::new_in(&dir).expect("a temp dir"), store);
        block_on(Box::pin(async move {
            let mut n = place.number("SELECT coalesce(max(seq), 0) FROM marks").await;
            loop {
                n += 1;
                tag(&place, raw(n.unsigned_abs() % 7), &[&n.to_string()], &[&n.saturating_sub(14).max(0).to_string()])
                    .await;
                writeln!(std::io::stdout(), "mark {n}").expect("a parent that listens");
                if n % 5 == 0 {
                    place.add(raw(n.unsigned_abs()), RECURSIVE, "").await;
                }
            }
        }));
        ready();
    }
    let dir = tempfile::tempdir().expect("a temp dir");
    let mut last = 0_i64;
    for round in 0..12 {
        let mut child = other::command(TEST, dir.path()).spawn().expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
        let until = last + 1 + round * 5 % 17;
        let mut read = |until: i64| {
            for line in lines.by_ref() {
                let number = line.rsplit("mark ").next().and_then(|n| n.parse().ok());
                last = number.unwrap_or(last);
                if last >= until {
                    return;
                }
            }
        };
        read(until);
        child.kill().expect("killed");
        read(i64::MAX);
        child.wait().expect("reaped");
        assert!(last >= until, "it was killed at work");
        let lose_the_index = round % 4 == 3;
        if lose_the_index {
            fs::remove_file(index(dir.path())).expect("removed");
            let _ = fs::remove_file(index(dir.path()).with_extension("duckdb.wal"));
        }
        let store = open(dir.path()).expect("an index");
        let place = Place::at(TempDir::new().expect("a temp dir"), store);
        let expected = last;
        block_on(Box::pin(async move {
            assert_eq!(place.state().recovery.is_some(), lose_the_index);
            for n in (expected - 6).max(1)..=expected {
                let tags = told_of(&place, raw(n.unsigned_abs() % 7)).await.tags;
                assert!(tags.contains(&n.to_string()), "{n} of {expected}: {tags:?}");
                assert!(tags.len() <= 3, "what was taken back stays so: {tags:?}");
            }
            place.close().await;
        }));
    }
}

#[test]
fn d19_a_journal_that_cannot_be_read_at_a_start_takes_nothing_and_hides_nothing_from_the_next() {
    const TEST: &str =
        "mark::d19_a_journal_that_cannot_be_read_at_a_start_takes_nothing_and_hides_nothing_from_the_next";
    if let Some(dir) = other::role() {
        return block_on(async {
            let place = Place::at(TempDir::new().expect("a temp dir"), open(&dir).expect("an index"));
            let refused = say(&place, raw(1), What::tags(vec!["new".to_owned()], vec![])).await;
            let closed = place.state().journal_closed;
            writeln!(std::io::stdout(), "\nsaid {} {closed:?}", refused.is_err()).expect("a parent that listens");
            place.close().await;
        });
    }
    let dir = block_on(async {
        let place = Place::new();
        tag(&place, raw(1), &["old", "kept"], &[]).await;
        tag(&place, raw(2), &["old"], &[]).await;
        place.close().await
    });
    fs::remove_file(index(dir.path())).expect("removed");
    let log = dir.path().join("journal/marks.log");

    let plain = other::command(TEST, dir.path());
    let mut command = std::process::Command::new("strace");
    // The first time it is opened to be mended, the second time to be followed.
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", "inject=openat:error=EIO:when=2", "-P"]).arg(&log);
    command.arg(plain.get_program()).args(plain.get_args()).env(other::ROLE, dir.path());
    let Some(output) = command.output().ok().filter(|output| output.status.success()) else {
        return other::skipped("a journal that cannot be read", "there is no strace that may trace");
    };
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("said true Some(\"it could not be read"), "{said}");
    block_on(Box::pin(async {
        let place = Place::of(dir);
        assert_eq!(told_of(&place, raw(1)).await.tags, ["kept", "old"]);
        assert_eq!(told_of(&place, raw(2)).await.tags, ["old"]);
        assert_eq!(place.store.verify().await.expect("looked at").problems, [] as [String; 0]);
    }));
}

#[tokio::test]
async fn so_many_cids_that_are_not_pinned_may_be_marked_and_no_more() {
    let place = Place::new();
    place.list(minute(0), |l| l.added = (0..3).map(|n| pin(raw(n), RECURSIVE, "")).collect()).await;
    let say = |n: u64, tier: Option<&str>| {
        let ask = Say { cid: raw(n), what: What::tier(Some(tier.unwrap_or_default().to_owned())).expect("a tier") };
        place.store.write(move |connection, state| marks::say_within(connection, state, ask, 2))
    };
    let full = |said: Result<PinMarked, IndexError>| matches!(said, Err(IndexError::Marks(2)));
    for n in [0, 1, 2, 10, 11] {
        say(n, Some("cold")).await.expect("recorded");
    }
    assert!(full(say(12, Some("cold")).await));
    assert!(full(say(12, Some("cold")).await), "and again, by what was counted");
    assert!(say(12, None).await.is_ok(), "nothing is said");
    say(10, Some("warm")).await.expect("changed");
    say(0, None).await.expect("taken away from one that is pinned");
    assert!(full(say(12, Some("cold")).await));
    say(0, Some("cold")).await.expect("recorded: it is pinned");
    say(11, None).await.expect("taken away");
    say(12, Some("cold")).await.expect("recorded in its place");
    place.list(minute(1), |l| l.removed = vec![Key::of(&raw(0))]).await;
    assert!(say(12, None).await.is_ok());
    assert!(full(say(13, Some("cold")).await), "the one that is not pinned any more counts");
    assert_eq!(told_of(&place, raw(0)).await.tier.as_deref(), Some("cold"));
}
