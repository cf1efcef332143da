//! What becomes of snapshots when the process is killed, the disk is full or refuses, or bytes change later.

use crate::other::{ROLE, role};
use crate::place::*;
use crate::snapshot::{publish, snapshots};
use ipfs_kitd::index::store::Store;
use ipfs_kitd::snapshot::place::Place as Snapshots;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

fn block_on<R>(work: impl Future<Output = R>) -> R {
    tokio::runtime::Runtime::new().expect("a runtime").block_on(work)
}

/// This test, to be run once more as another process.
fn again(before: &[&str], test: &str, dir: &Path) -> Command {
    let program = std::env::current_exe().expect("this program");
    let program = program.to_str().expect("UTF-8");
    let words = [before, &[program, "--exact", test, "--nocapture", "--test-threads=1"]].concat();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).env(ROLE, dir).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

fn say(what: &str) {
    writeln!(std::io::stdout(), "\nsaid {what}").expect("a parent that listens");
}

fn skipped(what: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {what}: {why}");
}

/// The manifest names a snapshot of which every byte is right, and the chooser takes that one.
fn whole(to: &Snapshots) -> u64 {
    let manifest = to.newest().expect("a readable manifest").expect("a manifest");
    let (name, chosen, passed_over) = to.choose().unwrap_or_else(|why| panic!("none is good: {why:?}"));
    assert_eq!((name.to_string(), passed_over), (manifest.name.clone(), Vec::new()));
    assert_eq!(chosen, manifest);
    // Each generation of these tests has one pin more.
    assert_eq!(manifest.rows("pins.parquet"), Some(manifest.generation));
    for name in to.names().expect("listed") {
        assert_eq!(to.verify(name).problems, [] as [String; 0], "{name}: what has its name is whole");
    }
    manifest.serial
}

/// What is left beside snapshots goes at the next start.
fn swept(to: &Snapshots) {
    to.sweep();
    let names = fs::read_dir(to.dir()).expect("listed").map(|entry| entry.expect("an entry").file_name());
    let strays: Vec<_> =
        names.map(|name| name.into_string().expect("UTF-8")).filter(|name| name.starts_with('.')).collect();
    assert_eq!(strays, [] as [String; 0]);
}

#[test]
fn d1_a_kill_at_any_moment_leaves_the_old_manifest_or_the_new_one() {
    const TEST: &str = "snapshot_faults::d1_a_kill_at_any_moment_leaves_the_old_manifest_or_the_new_one";
    const ROUNDS: u64 = 30;
    if let Some(dir) = role() {
        let place = Place::at(
            tempfile::TempDir::new_in(&dir).expect("a temp dir"),
            Store::open(&dir.join("index"), &dir.join("journal"), &dir.join("snapshots")).expect("an index"),
        );
        let to = Snapshots::open(&dir.join("snapshots")).expect("a directory");
        block_on(async {
            for n in place.state().generation.. {
                place.add(raw(n), RECURSIVE, "name").await;
                let serial = publish(&place, &to).await.expect("published").serial;
                say(&serial.to_string());
            }
        });
    }
    let dir = tempfile::tempdir().expect("a temp dir");
    fs::create_dir(dir.path().join("index")).expect("made");
    let to = Snapshots::open(&dir.path().join("snapshots")).expect("a directory");
    let (mut last, mut published) = (0, 0);
    for round in 0..ROUNDS {
        let mut child = again(&[], TEST, dir.path()).spawn().expect("the same program again");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
        let mut said = || lines.find_map(|line| line.strip_prefix("said ")?.parse::<u64>().ok());
        // One at least; then at a moment that depends on the round and on the machine.
        published = said().expect("published");
        let began = std::time::Instant::now();
        let until = std::time::Duration::from_micros(1_700 * round);
        while began.elapsed() < until {
            std::thread::yield_now();
        }
        kill(&mut child);
        let serial = whole(&to);
        assert!(serial >= published && serial > last, "what was answered stays: {serial}, {published}, {last}");
        last = serial;
        swept(&to);
    }
    assert!(published >= ROUNDS);
}

fn kill(child: &mut Child) {
    child.kill().expect("killed");
    child.wait().expect("reaped");
}

/// Runs the publication of a second snapshot again and again, with a fault at the first call of one of these kinds, the second, and so on,
/// until none is left to meet; how many faults were met.
fn at_every_call(test: &str, calls: &[&str], fault: &str) -> Option<usize> {
    let tried = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).stderr(Stdio::null()).status();
    if !tried.is_ok_and(|status| status.success()) {
        skipped(test, "strace is not there, or may not trace");
        return None;
    }
    let mut met = 0;
    for call in calls {
        for number in 1.. {
            let dir = tempfile::tempdir().expect("a temp dir");
            let to = Snapshots::open(&dir.path().join("snapshots")).expect("a directory");
            block_on(async {
                let index = dir.path().join("index");
                fs::create_dir(&index).expect("made");
                let place = Place::at(
                    tempfile::TempDir::new_in(dir.path()).expect("a temp dir"),
                    Store::open(&index, &dir.path().join("journal"), to.dir()).expect("an index"),
                );
                place.add(raw(0), RECURSIVE, "").await;
                publish(&place, &to).await.expect("published");
                place.add(raw(1), RECURSIVE, "").await;
                place.close().await;
            });
            let inject = format!("inject={call}:{fault}:when={number}");
            let trace = format!("trace={call}");
            let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
            let output = again(&strace, test, dir.path()).output().expect("it runs");
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let (begun, published) = (said.contains("said open"), said.contains("said published"));
            let serial = whole(&to);
            assert!(serial == 2 || !published, "{call} {number}: what was answered is there");
            if said.contains("said refused") {
                // The manifest may have had its name already when the last fsync, that of the directory, failed.
                assert!(serial == 1 || *call == "fsync", "{call} {number}: what was refused is not");
            }
            swept(&to);
            if published {
                break;
            }
            met += usize::from(begun);
            assert!(number < 200, "{call} never ends");
        }
    }
    Some(met)
}

/// What the other process does: opens the index, publishes once.
fn publish_once(dir: &Path) {
    let place = Place::at(
        tempfile::TempDir::new_in(dir).expect("a temp dir"),
        Store::open(&dir.join("index"), &dir.join("journal"), &dir.join("snapshots")).expect("an index"),
    );
    let to = Snapshots::open(&dir.join("snapshots")).expect("a directory");
    say("open");
    block_on(async {
        match publish(&place, &to).await {
            Ok(_) => say("published"),
            Err(_) => {
                say("refused");
                let left: Vec<_> =
                    fs::read_dir(to.dir()).expect("listed").map(|e| e.expect("an entry").file_name()).collect();
                assert!(left.iter().all(|name| !name.to_string_lossy().starts_with('.')), "{left:?}");
            }
        }
    });
}

#[test]
fn d2_a_kill_at_every_sync_and_every_change_of_a_name_or_mode_leaves_the_old_or_the_new() {
    const TEST: &str =
        "snapshot_faults::d2_a_kill_at_every_sync_and_every_change_of_a_name_or_mode_leaves_the_old_or_the_new";
    if let Some(dir) = role() {
        return publish_once(&dir);
    }
    let calls = ["fsync", "rename", "renameat2", "mkdir", "fchmod", "unlink"];
    if let Some(met) = at_every_call(TEST, &calls, "signal=SIGKILL") {
        assert!(met >= 12, "only {met} calls were met");
    }
}

#[test]
fn d3_an_error_at_every_fsync_and_rename_refuses_the_new_and_keeps_the_old() {
    const TEST: &str = "snapshot_faults::d3_an_error_at_every_fsync_and_rename_refuses_the_new_and_keeps_the_old";
    if let Some(dir) = role() {
        return publish_once(&dir);
    }
    if let Some(met) = at_every_call(TEST, &["fsync", "rename", "renameat2"], "error=EIO") {
        assert!(met >= 8, "only {met} calls were met");
    }
}

/// No power can be cut here. What a cut could take away is what was not synced: so every name is given, and every manifest is put
/// into force, only when nothing below is waiting for its sync any more.
#[test]
fn d5_everything_is_on_disk_before_it_gets_its_name() {
    const TEST: &str = "snapshot_faults::d5_everything_is_on_disk_before_it_gets_its_name";
    if let Some(dir) = role() {
        return publish_once(&dir);
    }
    let dir = tempfile::tempdir().expect("a temp dir");
    let calls = dir.path().join("calls");
    fs::create_dir(dir.path().join("index")).expect("made");
    let trace = "trace=openat,write,fsync,fdatasync,rename,renameat,renameat2,mkdir";
    let strace = ["strace", "-f", "-qq", "-y", "-o", calls.to_str().expect("UTF-8"), "-e", trace];
    match again(&strace, TEST, dir.path()).output() {
        Ok(output) if String::from_utf8_lossy(&output.stdout).contains("said published") => {}
        other => return skipped(TEST, &format!("strace is not there, or may not trace: {other:?}")),
    }
    let top = dir.path().join("snapshots");
    let mut waiting = std::collections::BTreeSet::new();
    let mut renames = 0;
    // But for the temporary files without a name.
    let ours = |line: &&str| line.contains("/snapshots") && !line.contains("/#");
    for line in fs::read_to_string(calls).expect("calls").lines().filter(ours) {
        let call = line.split_whitespace().nth(1).and_then(|call| call.split('(').next()).unwrap_or_default();
        let open =
            || line.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(path, _)| PathBuf::from(path));
        let named: Vec<PathBuf> = line.split('"').skip(1).step_by(2).map(PathBuf::from).collect();
        let parent = |path: &Path| path.parent().expect("a parent").to_owned();
        match call {
            "write" => drop(waiting.insert(open().expect("a path"))),
            "fsync" | "fdatasync" => drop(waiting.remove(&open().expect("a path"))),
            "openat" if line.contains("O_CREAT") => drop(waiting.insert(parent(&named[0]))),
            "mkdir" => drop(waiting.insert(parent(&named[0]))),
            "rename" | "renameat" | "renameat2" => {
                let [from, to] = &named[..2] else { panic!("two names: {line}") };
                let below: Vec<_> = waiting.iter().filter(|path| path.starts_with(from)).collect();
                assert!(below.is_empty(), "{line}: {below:?} not synced");
                if *to == top.join("manifest.json") {
                    // But for the directory, where the temporary name of the manifest was made.
                    waiting.remove(&top);
                    assert!(waiting.iter().all(|path| !path.starts_with(&top)), "{waiting:?} not synced");
                }
                waiting.insert(parent(to));
                renames += 1;
            }
            _ => {}
        }
    }
    waiting.retain(|path| path.starts_with(&top));
    assert_eq!((renames, waiting.into_iter().collect::<Vec<_>>()), (3, Vec::new()));
}

#[test]
fn d7_a_file_system_that_has_become_read_only_refuses_the_new_and_keeps_the_old() {
    const TEST: &str = "snapshot_faults::d7_a_file_system_that_has_become_read_only_refuses_the_new_and_keeps_the_old";
    if let Some(dir) = role() {
        return publish_once(&dir);
    }
    if let Some(met) = at_every_call(TEST, &["mkdir", "rename", "renameat2", "fchmod"], "error=EROFS") {
        assert!(met >= 4, "only {met} calls were met");
    }
}

#[test]
fn d4_a_full_disk_refuses_the_new_keeps_the_old_and_is_over_when_there_is_room() {
    const TEST: &str = "snapshot_faults::d4_a_full_disk_refuses_the_new_keeps_the_old_and_is_over_when_there_is_room";
    if let Some(dir) = role() {
        let small = dir.join("small");
        let place = Place::of(tempfile::TempDir::new_in(&dir).expect("a temp dir"));
        let to = Snapshots::open(&small.join("snapshots")).expect("a directory");
        block_on(async {
            place.add(raw(0), RECURSIVE, "").await;
            publish(&place, &to).await.expect("published");
            place.add(raw(1), RECURSIVE, "").await;
            // All but a few kilobytes, so that it fails here and there: at the first bytes, and at later ones.
            for room in [0, 4, 12, 24] {
                let filler = small.join("filler");
                let mut file = fs::File::create(&filler).expect("made");
                while file.write_all(&[0; 4096]).is_ok() {}
                let length = file.metadata().expect("there").len();
                file.set_len(length - room * 1024).expect("cut");
                let error = publish(&place, &to).await.expect_err("no room");
                assert!(error.is_full(), "{room} KiB: {error}");
                assert_eq!(whole(&to), 1);
                assert!(fs::read_dir(to.dir()).expect("listed").count() == 2, "nothing half is left");
                fs::remove_file(filler).expect("removed");
            }
            publish(&place, &to).await.expect("there is room again");
            assert_eq!(whole(&to), 2);
        });
        say("done");
        return;
    }
    let dir = tempfile::tempdir().expect("a temp dir");
    fs::create_dir(dir.path().join("small")).expect("made");
    let mount =
        format!("mount -t tmpfs -o size=256k none '{}' || exit 99; exec \"$@\"", dir.path().join("small").display());
    let unshared = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", &mount, "sh"];
    let output = match again(&unshared, TEST, dir.path()).stderr(Stdio::piped()).output() {
        Ok(output) => output,
        Err(error) => return skipped(TEST, &error.to_string()),
    };
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.code() == Some(99) || errors.contains("unshare failed") {
        return skipped(TEST, &errors);
    }
    assert!(said.contains("said done"), "{said}{errors}");
}

/// An index with two snapshots.
async fn two() -> (Place, Snapshots) {
    let place = Place::new();
    let to = snapshots(&place);
    for n in 0..2 {
        place.add(raw(n), RECURSIVE, "name").await;
        publish(&place, &to).await.expect("published");
    }
    (place, to)
}

#[tokio::test]
async fn d10_whatever_happens_to_the_newest_is_found_and_the_one_before_is_taken() {
    type Damage = fn(&Path);
    fn edit(path: &Path, damage: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(path).expect("bytes");
        damage(&mut bytes);
        fs::write(path, bytes).expect("written");
    }
    let damages: [(&str, Damage); 7] = [
        ("a flipped bit at the beginning", |path| edit(path, |bytes| bytes[0] ^= 1)),
        ("a flipped bit in the middle", |path| {
            edit(path, |bytes| {
                let half = bytes.len() / 2;
                bytes[half] ^= 4;
            })
        }),
        ("a flipped bit at the end", |path| edit(path, |bytes| *bytes.last_mut().expect("bytes") ^= 128)),
        ("half of it", |path| edit(path, |bytes| bytes.truncate(bytes.len() / 2))),
        ("zeros", |path| edit(path, |bytes| bytes.fill(0))),
        ("nothing", |path| fs::write(path, "").expect("written")),
        ("missing", |path| fs::remove_file(path).expect("removed")),
    ];
    let (_place, to) = two().await;
    let [newest, before] = to.names().expect("listed")[..] else { panic!("two") };
    let files = to.newest().expect("readable").expect("there").files;
    for file in files.iter().map(|file| file.name.as_str()).chain(["manifest.json"]) {
        for (what, damage) in damages {
            let path = to.path(newest).join(file);
            let kept = fs::read(&path).expect("there");
            damage(&path);
            let flipped_text = file == "manifest.json" && fs::read(&path).is_ok_and(|bytes| bytes.len() == kept.len());
            let problems = to.verify(newest).problems;
            // A manifest has no digest of its own: one that still can be read and fits the files says the same of them.
            assert!(!problems.is_empty() || flipped_text, "{file}: {what}");
            if !problems.is_empty() {
                let (name, manifest, passed_over) = to.choose().expect("the one before");
                assert_eq!((name, manifest.name), (before, before.to_string()), "{file}: {what}");
                assert!(passed_over.iter().all(|why| why.starts_with(&newest.to_string())), "{passed_over:?}");
                assert_eq!(passed_over.len(), 1, "{passed_over:?}");
            }
            fs::write(&path, kept).expect("mended");
            assert_eq!(to.choose().expect("good").0, newest);
        }
    }
}

#[tokio::test]
async fn d10_files_of_another_snapshot_a_missing_one_and_a_bad_manifest_are_found() {
    let (_place, to) = two().await;
    let [newest, before] = to.names().expect("listed")[..] else { panic!("two") };
    // Older than the manifest says: a good file of the one before.
    let pins = to.path(newest).join("pins.parquet");
    let kept = fs::read(&pins).expect("there");
    fs::copy(to.path(before).join("pins.parquet"), &pins).expect("copied");
    assert_eq!(to.choose().expect("the one before").0, before);
    fs::write(&pins, kept).expect("mended");

    let manifest = to.dir().join("manifest.json");
    let kept = fs::read(&manifest).expect("there");
    for bad in ["", "{", "[]", "{\"format\":\"other\"}"] {
        fs::write(&manifest, bad).expect("written");
        let (name, _, passed_over) = to.choose().expect("found without it");
        assert_eq!((name, passed_over.len()), (newest, 1), "{bad}");
    }
    let newer =
        String::from_utf8(kept.clone()).expect("UTF-8").replace("\"format_version\": 1", "\"format_version\": 2");
    fs::write(&manifest, newer).expect("written");
    assert!(to.newest().expect_err("not known").contains("does not know"));
    fs::write(&manifest, kept).expect("mended");

    fs::rename(to.path(newest), to.dir().join("away")).expect("moved");
    let (name, _, passed_over) = to.choose().expect("the one before");
    assert_eq!((name, passed_over), (before, vec![format!("{newest} is not there")]));
    fs::remove_dir_all(to.path(before)).expect("removed");
    assert!(to.choose().is_err());
}

#[tokio::test]
async fn a_snapshot_that_no_manifest_names_yet_is_not_taken() {
    let (_place, to) = two().await;
    let [_, before] = to.names().expect("listed")[..] else { panic!("two") };
    // As a kill between the two leaves it.
    fs::copy(to.path(before).join("manifest.json"), to.dir().join("manifest.json")).expect("copied");
    assert_eq!(to.choose().expect("good").0, before);
}
