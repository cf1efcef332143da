//! The index file and its log, and the journal, when the process is killed at a call that changes them, or that call fails: what was
//! acknowledged is there, and what is there is sound.

use crate::access::{named, seen};
use crate::mark::{say, told_of};
use crate::other::{self, role, skipped};
use crate::place::*;
use crate::recovery::{image, index, wal};
use crate::store::block_on;
use ipfs_kitd::index::access::Told;
use ipfs_kitd::index::apply::{self, ListingChanges};
use ipfs_kitd::index::mark::What;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const CALLS: [&str; 5] = ["pwrite64", "write", "fdatasync", "fsync", "ftruncate"];
/// Each of the first so many calls of a kind is tried, and of those behind it one in seven.
const EACH: usize = 40;
/// Pins in each listing of the mix.
const PINS: u64 = 30;
/// Rounds of it, and accesses in each.
const ROUNDS: u64 = 3;
const ACCESSES: u64 = 50;

fn accesses(round: u64) -> Told {
    named(&format!("{round}"), (0..ACCESSES).map(|n| seen(raw(1000 + n), n.cast_signed())).collect())
}

fn tell(what: &str) {
    writeln!(std::io::stdout(), "\nsaid {what}").expect("a parent that listens");
}

/// Listings, marks, accesses and checkpoints; says what was acknowledged. What fails is not tried again.
fn mix(dir: &Path) {
    let Ok(store) = open(dir) else { return };
    let place = Place::at(TempDir::new_in(dir).expect("a temp dir"), store);
    block_on(async {
        for round in 0..ROUNDS {
            let begun = place.store.write(|_, state| Ok(apply::begin_listing(state))).await;
            if let Ok((token, _)) = begun {
                let first = 1000 + PINS * round;
                let added = (first..first + PINS).map(|n| pin(raw(n), RECURSIVE, &"name ".repeat(9))).collect();
                let changes = ListingChanges { added, ..listing(token, minute(1 + round.cast_signed())) };
                if let Ok(applied) = place.apply(changes).await {
                    tell(&format!("listing {round} {}", applied.generation));
                }
            }
            for n in [2 * round, 2 * round + 1] {
                let what = What::tags(vec![format!("tag {n}")], vec![]);
                if say(&place, raw(n), what).await.is_ok() {
                    tell(&format!("mark {n}"));
                }
            }
            if place.try_keep(vec![accesses(round)], 1000, 0).await.is_ok() {
                tell(&format!("access {round}"));
            }
            if round == 1 {
                let _ = place.store.compact().await;
            }
        }
        place.close().await;
        tell("done");
    });
}

/// The mix in another process under strace.
fn traced(test: &str, dir: &Path, how: &[&str]) -> Option<String> {
    let plain = other::command(test, dir);
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "--seccomp-bpf"]);
    for path in [index(dir), wal(dir), dir.join("journal/marks.log")] {
        command.arg("-P").arg(path);
    }
    command.args(how).arg(plain.get_program()).args(plain.get_args()).env(other::ROLE, dir);
    let output = command.output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn prepared() -> TempDir {
    block_on(async {
        let place = Place::new();
        place.list(minute(0), |l| l.added = (0..6).map(|n| pin(raw(n), RECURSIVE, "")).collect()).await;
        say(&place, raw(0), What::note(Some("a note".into()))).await.expect("recorded");
        place.close().await
    })
}

/// How many calls of each kind the mix makes.
fn calls(test: &str, sound: &Path) -> Option<BTreeMap<&'static str, usize>> {
    let dir = tempfile::tempdir().expect("a temp dir");
    image(sound, dir.path());
    let log = dir.path().join("calls");
    let trace = format!("trace={}", CALLS.join(","));
    let told = traced(test, dir.path(), &["-o", log.to_str().expect("UTF-8"), "-e", &trace]);
    if !told.is_some_and(|told| told.contains("said done")) {
        skipped(test, "strace is not there, or may not trace");
        return None;
    }
    let log = fs::read_to_string(log).expect("calls");
    let count = |call: &str| log.lines().filter(|line| line.contains(&format!(" {call}("))).count();
    Some(CALLS.into_iter().map(|call| (call, count(call))).collect())
}

/// A fault at the first call of each kind, the second and so on, until none is left to meet.
fn at_each_call(test: &str, kinds: &[&str], fault: &str) {
    if let Some(dir) = role() {
        return mix(&dir);
    }
    let sound = prepared();
    let Some(calls) = calls(test, sound.path()) else { return };
    let (mut tried, mut ended) = (0, 0);
    for (call, count) in calls.into_iter().filter(|(call, _)| kinds.contains(call)) {
        for number in (1..=count).filter(|number| *number <= EACH || number % 7 == 0) {
            let dir = tempfile::tempdir().expect("a temp dir");
            image(sound.path(), dir.path());
            let inject = format!("inject={call}:{fault}:when={number}");
            let told = traced(test, dir.path(), &["-o", "/dev/null", "-e", &inject]).expect("strace runs");
            tried += 1;
            ended += usize::from(!told.contains("said done"));
            holds(dir, &told, &format!("{call} {number} of {count}: {fault}"));
        }
    }
    assert!(tried > 20, "only {tried} calls were tried");
    // What runs beside each other differs by a call or two.
    assert!(!fault.contains("SIGKILL") || ended > tried / 2, "only {ended} of {tried} were met");
}

/// That everything acknowledged is there, and sound.
fn holds(dir: TempDir, told: &str, what: &str) {
    let lines = || told.lines().filter_map(|line| line.strip_prefix("said "));
    let numbers = |of: &'static str| {
        lines().filter_map(move |line| line.strip_prefix(of)).map(|rest| {
            let numbers: Vec<u64> = rest.split(' ').map(|n| n.parse().expect("a number")).collect();
            numbers
        })
    };
    block_on(async {
        let place = Place::of(dir);
        let (state, keys) = (place.state(), place.pins().await.len() as u64);
        let mut pins = 6;
        for listing in numbers("listing ") {
            pins += PINS;
            assert!(state.generation >= listing[1], "{what}: generation {} of {}", state.generation, listing[1]);
        }
        assert!(keys >= pins, "{what}: {keys} pins of {pins}");
        for mark in numbers("mark ") {
            let tags = told_of(&place, raw(mark[0])).await.tags;
            assert_eq!(tags, [format!("tag {}", mark[0])], "{what}: mark {}", mark[0]);
        }
        assert_eq!(told_of(&place, raw(0)).await.note.as_deref(), Some("a note"), "{what}");
        let rows = || place.number("SELECT count(*) FROM access");
        let kept = rows().await.unsigned_abs();
        assert!(
            kept.is_multiple_of(ACCESSES) && kept >= ACCESSES * numbers("access ").count() as u64,
            "{what}: {kept}"
        );
        // What was told once more is there once.
        place.keep((0..ROUNDS).map(accesses).collect()).await;
        assert_eq!(rows().await.unsigned_abs(), ACCESSES * ROUNDS, "{what}");
        assert_eq!(place.store.verify().await.expect("looked at").problems, [] as [String; 0], "{what}");
        assert_eq!(noted(place.path()), [] as [PathBuf; 0], "{what}: no damage");
        tell_nothing_more(place).await;
    });
}

fn noted(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).expect("listed").map(|entry| entry.expect("an entry").path());
    entries.filter(|path| path.to_string_lossy().contains("/damaged")).collect()
}

/// It goes on, and the start behind it has nothing to tell.
async fn tell_nothing_more(place: Place) {
    place.add(raw(5000), RECURSIVE, "").await;
    say(&place, raw(5000), What::note(Some("later".into()))).await.expect("recorded");
    let place = Place::of(place.close().await);
    assert_eq!((place.state().recovery, told_of(&place, raw(5000)).await.note.as_deref()), (None, Some("later")));
}

#[test]
fn d2_a_kill_at_each_call_that_changes_the_index_or_the_journal_loses_nothing_acknowledged() {
    const TEST: &str =
        "file_faults::d2_a_kill_at_each_call_that_changes_the_index_or_the_journal_loses_nothing_acknowledged";
    at_each_call(TEST, &CALLS, "signal=SIGKILL");
}

#[test]
fn d3_an_error_at_each_call_that_changes_the_index_or_the_journal_loses_nothing_acknowledged() {
    const TEST: &str =
        "file_faults::d3_an_error_at_each_call_that_changes_the_index_or_the_journal_loses_nothing_acknowledged";
    at_each_call(TEST, &CALLS, "error=EIO");
}

#[test]
fn d4_no_room_at_each_write_to_the_index_or_the_journal_loses_nothing_acknowledged() {
    const TEST: &str = "file_faults::d4_no_room_at_each_write_to_the_index_or_the_journal_loses_nothing_acknowledged";
    at_each_call(TEST, &["pwrite64", "write", "ftruncate"], "error=ENOSPC");
}
