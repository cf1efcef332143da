//! The journal of marks in the hands of a full disk, a failing disk, a killed process: what was acknowledged is there.

use crate::other::{self, ready, skipped};
use crate::place::raw;
use ipfs_kitd::index::journal::{FLOOR, Journal};
use ipfs_kitd::index::mark::Mark;
use ipfs_kitd::index::record;
use jiff::Timestamp;
use rustix::process::{Resource, Rlimit, setrlimit};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Compacted after some dozens of marks.
const SMALL: u64 = 8 << 10;

/// What the n-th record says: of ten CIDs in turn, at last taken back.
fn said(n: u64) -> Mark {
    let tags = if n.is_multiple_of(7) { Vec::new() } else { vec![format!("tag {n}"), "all".to_owned()] };
    Mark { tags: tags.into_iter().collect(), at: Timestamp::from_second(1).expect("a time"), ..Mark::none(raw(n % 10)) }
}

/// What holds after the first `count` of them.
fn state(count: u64) -> BTreeMap<String, Mark> {
    let mut marks = BTreeMap::new();
    (1..=count).for_each(|n| take(&mut marks, said(n)));
    marks
}

fn take(marks: &mut BTreeMap<String, Mark>, mark: Mark) {
    let cid = ipfs_kitd::cid::text(&mark.cid);
    if mark.is_blank() { drop(marks.remove(&cid)) } else { drop(marks.insert(cid, mark)) }
}

/// What the journal brings back.
fn replayed(journal: &Journal) -> BTreeMap<String, Mark> {
    let mut marks = BTreeMap::new();
    let all = journal.replay(0, |_, mark| {
        take(&mut marks, mark);
        Ok::<_, std::io::Error>(())
    });
    all.expect("it reads");
    marks
}

fn log(dir: &Path) -> PathBuf {
    dir.join("marks.log")
}

/// Where each record ends; the first one is number 1.
fn ends(bytes: &[u8]) -> Vec<usize> {
    let mut ends = vec![0];
    while let Some(length) = bytes[ends[ends.len() - 1]..].first_chunk() {
        ends.push(ends[ends.len() - 1] + record::HEAD + u32::from_le_bytes(*length) as usize);
    }
    ends
}

fn damaged(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).expect("listed").map(|entry| entry.expect("an entry").path());
    entries.filter(|path| path.to_string_lossy().contains("damaged-")).collect()
}

/// A journal with so many marks, and its directory.
fn with(count: u64) -> (tempfile::TempDir, Journal) {
    let dir = tempfile::tempdir().expect("a temp dir");
    let mut journal = Journal::open(dir.path(), FLOOR);
    for n in 1..=count {
        assert_eq!(journal.append(&said(n)).expect("recorded"), n);
    }
    (dir, journal)
}

#[test]
fn what_was_recorded_is_brought_back_and_the_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (dir, journal) = with(30);
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(dir.path()), mode(&log(dir.path()))), (0o700, 0o600));
    drop(journal);
    for opened in 0..3 {
        let mut journal = Journal::open(dir.path(), FLOOR);
        assert_eq!((replayed(&journal), journal.last()), (state(30 + opened), 30 + opened));
        assert_eq!(journal.take_report(), None);
        assert_eq!(journal.append(&said(31 + opened)).expect("recorded"), 31 + opened);
    }
}

#[test]
fn nothing_is_made_before_the_first_mark() {
    let (dir, journal) = with(0);
    assert_eq!((journal.last(), fs::read_dir(dir.path()).expect("listed").count()), (0, 0));
}

#[test]
fn a_compacted_journal_says_the_same_in_fewer_records() {
    let dir = tempfile::tempdir().expect("a temp dir");
    let mut journal = Journal::open(dir.path(), SMALL);
    let mut compactions = 0;
    for n in 1..=500 {
        journal.append(&said(n)).expect("recorded");
        if journal.is_large() {
            let before = journal.last();
            journal.compact().expect("compacted");
            compactions += 1;
            assert!(journal.last() > before && fs::metadata(log(dir.path())).expect("there").len() < SMALL);
        }
        assert_eq!(replayed(&journal), state(n));
    }
    assert!((2..100).contains(&compactions), "{compactions}");
    let again = Journal::open(dir.path(), SMALL);
    assert_eq!((replayed(&again), again.last()), (state(500), journal.last()));
    assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 1);
}

#[test]
fn d6_a_torn_tail_is_cut_off_and_recording_goes_on() {
    for tail in [&[0; 5000][..], &[1, 2, 3], &[0]] {
        let (dir, journal) = with(5);
        drop(journal);
        let mut bytes = fs::read(log(dir.path())).expect("read");
        let whole = bytes.len();
        bytes.extend(tail);
        fs::write(log(dir.path()), &bytes).expect("written");
        let mut journal = Journal::open(dir.path(), FLOOR);
        assert_eq!((replayed(&journal), journal.take_report()), (state(5), None));
        assert_eq!(fs::metadata(log(dir.path())).expect("there").len(), whole as u64);
        assert!(damaged(dir.path()).is_empty());
        journal.append(&said(6)).expect("recorded");
        assert_eq!(replayed(&Journal::open(dir.path(), FLOOR)), state(6));
    }
}

#[test]
fn d19_what_follows_damage_is_kept_aside_and_told_and_recording_goes_on() {
    let (dir, journal) = with(9);
    drop(journal);
    let bytes = fs::read(log(dir.path())).expect("read");
    let mut spoilt = bytes.clone();
    spoilt[ends(&bytes)[4] + 8] ^= 16;
    fs::write(log(dir.path()), &spoilt).expect("written");
    let mut journal = Journal::open(dir.path(), FLOOR);
    let good = journal.last();
    assert_eq!(good, 4);
    let report = journal.take_report().expect("told");
    let aside = damaged(dir.path());
    assert!(report.contains("damaged") && report.contains(&aside[0].display().to_string()), "{report}");
    let kept = fs::read(log(dir.path())).expect("read");
    assert_eq!([kept, fs::read(&aside[0]).expect("read")].concat(), spoilt, "not a byte is lost");
    journal.append(&said(good + 1)).expect("recorded");
    let mut again = Journal::open(dir.path(), FLOOR);
    assert_eq!((replayed(&again), again.take_report(), damaged(dir.path()).len()), (state(good + 1), None, 1));
}

#[test]
fn d19_a_record_of_which_only_the_payload_is_spoilt_is_kept_aside_and_those_behind_it_count() {
    let (dir, journal) = with(9);
    drop(journal);
    let bytes = fs::read(log(dir.path())).expect("read");
    let ends = ends(&bytes);
    let record = |n: usize| ends[n - 1]..ends[n];
    let without = |lost: &[u64]| {
        let mut marks = BTreeMap::new();
        (1..=9).filter(|n| !lost.contains(n)).for_each(|n| take(&mut marks, said(n)));
        marks
    };
    let mut spoilt = bytes.clone();
    for n in [3, 7] {
        spoilt[ends[n] - 5] ^= 1;
    }
    fs::write(log(dir.path()), &spoilt).expect("written");
    let mut journal = Journal::open(dir.path(), FLOOR);
    assert_eq!((replayed(&journal), journal.last(), journal.is_spoilt()), (without(&[3, 7]), 9, true));
    let report = journal.take_report().expect("told");
    assert!(report.contains("record 3 fails its check, record 7 fails its check"), "{report}");
    let kept = fs::read(&damaged(dir.path())[0]).expect("read");
    assert_eq!(kept, [&spoilt[record(3)], &spoilt[record(7)]].concat());
    assert!(journal.check().expect_err("not sound").contains("record 3"));
    journal.append(&said(10)).expect("recorded");
    journal.compact().expect("written anew");
    assert_eq!((journal.check(), journal.is_spoilt()), (Ok(()), false));
    let mut again = Journal::open(dir.path(), FLOOR);
    assert_eq!((again.take_report(), replayed(&again).len()), (None, replayed(&journal).len()));

    // And a head behind it, which ends the run.
    let dir = tempfile::tempdir().expect("a temp dir");
    spoilt[ends[8]] ^= 1;
    fs::write(log(dir.path()), &spoilt).expect("written");
    let journal = Journal::open(dir.path(), FLOOR);
    assert_eq!((replayed(&journal), journal.last()), (without(&[3, 7, 9]), 8));
    let kept = fs::read(&damaged(dir.path())[0]).expect("read");
    assert_eq!(kept, [&spoilt[record(3)], &spoilt[record(7)], &spoilt[record(9)]].concat());
}

#[test]
fn a_journal_whose_numbers_are_used_up_takes_nothing_and_impossible_numbers_are_damage() {
    for (epoch, taken) in [(record::HIGHEST, false), (u64::MAX, true)] {
        let dir = tempfile::tempdir().expect("a temp dir");
        fs::write(log(dir.path()), record::encode(epoch, 1, &record::mark(&said(1)))).expect("written");
        let mut journal = Journal::open(dir.path(), FLOOR);
        assert!(journal.take_report().is_some());
        assert_eq!(
            (journal.append(&said(1)).is_ok(), damaged(dir.path()).len()),
            (taken, usize::from(taken)),
            "{epoch}"
        );
    }
}

#[test]
fn d8_what_is_no_journal_at_all_is_moved_aside() {
    type Spoil = fn(&Path);
    let spoils: [Spoil; 4] = [
        |path| fs::write(path, "these are no marks, and it is long enough to be looked at").expect("written"),
        |path| fs::create_dir(path).expect("made"),
        |path| std::os::unix::fs::symlink("/etc/hostname", path).expect("made"),
        |path| fs::write(path, [0xff; 100_000]).expect("written"),
    ];
    for spoil in spoils {
        let dir = tempfile::tempdir().expect("a temp dir");
        spoil(&log(dir.path()));
        let mut journal = Journal::open(dir.path(), FLOOR);
        assert!(journal.take_report().is_some_and(|text| text.contains("moved to")));
        assert_eq!((journal.last(), damaged(dir.path()).len()), (0, 1));
        journal.append(&said(1)).expect("recorded");
        assert_eq!(replayed(&Journal::open(dir.path(), FLOOR)), state(1));
    }
}

#[test]
fn d16_a_journal_that_was_taken_away_takes_nothing_more_until_the_next_start() {
    let (dir, mut journal) = with(3);
    fs::rename(log(dir.path()), dir.path().join("elsewhere")).expect("renamed");
    for _ in 0..2 {
        let error = journal.append(&said(4)).expect_err("nobody would find it again").to_string();
        assert!(error.contains("until the daemon is started again"), "{error}");
    }
    fs::rename(dir.path().join("elsewhere"), log(dir.path())).expect("renamed");
    let mut journal = Journal::open(dir.path(), FLOOR);
    assert_eq!(replayed(&journal), state(3));
    journal.append(&said(4)).expect("recorded");
}

/// The child's part: marks from the next one on, a line for each that was acknowledged, until it is killed or nothing is taken.
fn record(dir: &Path) {
    let mut journal = Journal::open(dir, SMALL);
    let mut out = std::io::stdout();
    // Compactions take numbers too, so the count of marks is in a file of the test.
    let first = fs::read_to_string(dir.with_extension("count")).map_or(1, |n| n.parse().expect("a number"));
    for n in first..first + 200 {
        if let Err(error) = journal.append(&said(n)) {
            writeln!(out, "refused {n}: {error}").expect("a parent that listens");
            return;
        }
        writeln!(out, "mark {n}").expect("a parent that listens");
        if journal.is_large() && journal.compact().is_err() {
            writeln!(out, "grows").expect("a parent that listens");
        }
    }
    writeln!(out, "done").expect("a parent that listens");
}

/// The number in a line of the child.
fn acknowledged(line: &str) -> Option<u64> {
    // The test harness may stand before the first one.
    line.rsplit("mark ").next().filter(|_| line.contains("mark "))?.parse().ok()
}

/// That the journal holds all up to `last`, or one more that was not acknowledged any more.
fn holds(dir: &Path, last: u64) -> u64 {
    let mut journal = Journal::open(dir, SMALL);
    assert_eq!(journal.take_report(), None);
    let marks = replayed(&journal);
    let found = [last, last + 1].into_iter().find(|n| state(*n) == marks);
    found.unwrap_or_else(|| panic!("after {last}: {marks:#?}"))
}

#[test]
fn d1_every_acknowledged_mark_survives_a_kill_at_any_moment_compactions_among_them() {
    if let Some(dir) = other::role() {
        record(&dir);
        ready();
    }
    let place = tempfile::tempdir().expect("a temp dir");
    let dir = place.path().join("journal");
    let mut last = 0;
    for round in 0..40_u64 {
        fs::write(dir.with_extension("count"), (last + 1).to_string()).expect("written");
        let mut child = other::command(
            "journal::d1_every_acknowledged_mark_survives_a_kill_at_any_moment_compactions_among_them",
            &dir,
        )
        .spawn()
        .expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
        // At another place in each round, as far as a compaction or two.
        let upto = last + 1 + round * 37 % 111;
        let mut read = |until: u64| {
            for line in lines.by_ref() {
                last = acknowledged(&line).unwrap_or(last);
                if last >= until {
                    return;
                }
            }
        };
        read(upto);
        child.kill().expect("killed");
        // What it had said before it died.
        read(u64::MAX);
        child.wait().expect("reaped");
        assert!(last >= upto, "it was killed at work");
        last = holds(&dir, last);
    }
}

#[test]
fn d4_a_mark_that_finds_no_room_is_refused_and_the_journal_is_as_before() {
    const ROOM: u64 = 3000;
    if let Some(dir) = other::role() {
        // SAFETY is not at stake: SIGXFSZ is ignored so that the write fails instead.
        let ignored = nix::sys::signal::SigSet::from_iter([nix::sys::signal::Signal::SIGXFSZ]);
        ignored.thread_block().expect("blocked");
        setrlimit(Resource::Fsize, Rlimit { current: Some(ROOM), maximum: None }).expect("limited");
        let mut journal = Journal::open(&dir, FLOOR);
        let mut out = std::io::stdout();
        let full = (1..).find_map(|n| journal.append(&said(n)).err().map(|error| (n, error))).expect("full");
        assert!(full.1.wants_room(), "{}", full.1);
        assert_eq!(replayed(&journal), state(full.0 - 1), "nothing of it is left");
        assert!(journal.closed().is_none() && journal.append(&said(full.0)).is_err(), "still full");
        // Space is freed.
        setrlimit(Resource::Fsize, Rlimit { current: Some(2 * ROOM), maximum: None }).expect("limited");
        journal.append(&said(full.0)).expect("there is room");
        writeln!(out, "mark {}", full.0).expect("a parent that listens");
        ready();
    }
    let dir = tempfile::tempdir().expect("a temp dir");
    let mut child =
        other::command("journal::d4_a_mark_that_finds_no_room_is_refused_and_the_journal_is_as_before", dir.path())
            .spawn()
            .expect("it starts");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
    let last = lines.into_iter().find_map(|line| acknowledged(&line)).expect("it went on when there was room");
    child.kill().expect("killed");
    child.wait().expect("reaped");
    assert!(last > 10);
    let mut journal = Journal::open(dir.path(), FLOOR);
    assert_eq!((replayed(&journal), journal.take_report()), (state(last), None));
}

/// The lines of a child of this test whose system calls fail, or kill it, as `inject` says. The harness makes none of those that
/// the tests name but `write`, so the first of them is the journal's.
fn traced(test: &str, dir: &Path, inject: &str) -> Vec<String> {
    let plain = other::command(test, dir);
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("inject={inject}")]);
    command.arg(plain.get_program()).args(plain.get_args()).env(other::ROLE, dir);
    let output = command.output().expect("strace runs");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// Whether system calls can be made to fail here; says so where not.
fn can_inject(what: &str) -> bool {
    let traced =
        Command::new("strace").args(["-qq", "-o", "/dev/null", "-e", "inject=fsync:error=EIO", "true"]).output();
    let can = traced.is_ok_and(|output| output.status.success());
    if !can {
        skipped(what, "there is no strace that may trace");
    }
    can
}

#[test]
fn d3_a_mark_whose_write_or_sync_fails_is_not_acknowledged_and_the_ones_before_stay() {
    const TEST: &str = "journal::d3_a_mark_whose_write_or_sync_fails_is_not_acknowledged_and_the_ones_before_stay";
    if let Some(dir) = other::role() {
        return record(&dir);
    }
    if !can_inject("failing system calls") {
        return;
    }
    let errors =
        [("pwrite64", "EIO"), ("pwrite64", "ENOSPC"), ("fdatasync", "EIO"), ("fsync", "EIO"), ("rename", "EIO")];
    // The n-th alone, and every one from it on.
    let times = ["1", "2", "2+", "7", "60+"];
    for ((call, error), when) in errors.into_iter().flat_map(|error| times.map(|when| (error, when))) {
        let place = tempfile::tempdir().expect("a temp dir");
        let dir = place.path().join("journal");
        fs::create_dir(&dir).expect("made");
        let told = traced(TEST, &dir, &format!("{call}:error={error}:when={when}"));
        let last = told.iter().filter_map(|line| acknowledged(line)).max().unwrap_or(0);
        let refused = told.iter().find(|line| line.contains("refused"));
        let mut journal = Journal::open(&dir, SMALL);
        assert_eq!(journal.take_report(), None, "{call} {error} {when}");
        let marks = replayed(&journal);
        let unsure = refused.is_some_and(|line| line.contains("until the daemon is started again"));
        let known = marks == state(last) || (unsure && marks == state(last + 1));
        assert!(known, "{call} {error} {when}: {last} were acknowledged: {told:?}\n{marks:#?}");
        if ["pwrite64", "fdatasync"].contains(&call) {
            assert!(refused.is_some(), "{call} {error} {when}: {told:?}");
        }
        journal.append(&said(last + 1)).expect("it goes on");
    }
}

#[test]
fn d18_a_recovery_that_is_killed_at_any_system_call_is_done_by_the_next() {
    const TEST: &str = "journal::d18_a_recovery_that_is_killed_at_any_system_call_is_done_by_the_next";
    if let Some(dir) = other::role() {
        let mut journal = Journal::open(&dir, FLOOR);
        journal.append(&said(5)).expect("recorded");
        journal.compact().expect("compacted");
        writeln!(std::io::stdout(), "done").expect("a parent that listens");
        return;
    }
    if !can_inject("kills at each system call") {
        return;
    }
    let (sound, journal) = with(9);
    drop(journal);
    let mut spoilt = fs::read(log(sound.path())).expect("read");
    let head = ends(&spoilt)[4] + 8;
    spoilt[head] ^= 16;
    for call in ["write", "copy_file_range", "pwrite64", "fdatasync", "fsync", "ftruncate", "rename"] {
        for when in 1.. {
            let place = tempfile::tempdir().expect("a temp dir");
            let dir = place.path().join("journal");
            fs::create_dir(&dir).expect("made");
            fs::write(log(&dir), &spoilt).expect("written");
            let told = traced(TEST, &dir, &format!("{call}:signal=SIGKILL:when={when}"));
            let mut journal = Journal::open(&dir, FLOOR);
            let marks = replayed(&journal);
            assert!(marks == state(4) || marks == state(5), "{call} {when}: {marks:#?}");
            let names: Vec<_> =
                fs::read_dir(&dir).expect("listed").map(|entry| entry.expect("an entry").file_name()).collect();
            assert!(names.iter().all(|name| !name.to_string_lossy().ends_with(".tmp")), "{call} {when}: {names:?}");
            // Whatever was moved aside, once or twice, is all of it.
            let kept = damaged(&dir);
            let kept = kept.iter().map(|path| fs::read(path).expect("read"));
            assert!(kept.into_iter().any(|bytes| spoilt.ends_with(&bytes) && !bytes.is_empty()), "{call} {when}");
            journal.append(&said(6)).expect("it goes on");
            if told.iter().any(|line| line.contains("done")) {
                break;
            }
            assert!(when < 200, "{call}: without end");
        }
    }
}

#[test]
fn a_journal_that_does_not_read_as_it_was_written_anew_is_no_success() {
    let (dir, mut journal) = with(3);
    // More than a record holds, which no mark is.
    let renewed = journal.renew(3, 1, |put| put(&vec![b'x'; 70_000]));
    assert!(renewed.is_err_and(|why| why.to_string().contains("read again")));
    assert!(journal.closed().is_some() && journal.append(&said(4)).is_err());
    drop(dir);
}
