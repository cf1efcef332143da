//! Damage that is met at work, a file or a log that is an older one, and what is no file at all: the next start, or this one, fills
//! the index again.

use crate::mark::{say, told_of};
use crate::place::*;
use crate::recovery::{after, dump, image, index, kept, wal};
use crate::snapshot::{publish, snapshots};
use ipfs_kitd::index::error::IndexError;
use ipfs_kitd::index::mark::What;
use ipfs_kitd::snapshot::publish::PublishError;
use std::fs;
use std::path::{Path, PathBuf};

const BLOCK: usize = 256 << 10;

fn aside(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).expect("listed").map(|entry| entry.expect("an entry").path());
    entries.filter(|path| path.to_string_lossy().contains("damaged-")).collect()
}

#[tokio::test]
async fn d8_damage_that_only_work_meets_ends_the_work_and_the_next_start_fills_the_index_again() {
    let (place, _) = kept().await;
    // Rows that no start reads, in blocks of their own.
    place
        .sql("INSERT INTO state_files SELECT TIMESTAMP '2026-01-01' + to_seconds(i), md5(i::VARCHAR), i, i FROM range(40000) r(i)")
        .await;
    publish(&place, &snapshots(&place)).await.expect("published");
    let before = dump(&place, 3).await;
    let dir = place.close().await;
    let sound = fs::read(index(dir.path())).expect("bytes");
    let mut met = 0;
    for (n, at) in (3 * 4096 + 3000..sound.len()).step_by(BLOCK).enumerate() {
        let spoil = |dir: &Path| {
            let mut bytes = sound.clone();
            bytes[at] ^= 1;
            fs::write(index(dir), bytes).expect("written");
        };
        let place = after(dir.path(), spoil).await;
        if place.state().recovery.is_some() {
            continue;
        }
        let failed = match n % 3 {
            0 => match place.store.verify().await {
                Ok(found) => !found.problems.is_empty(),
                Err(IndexError::Fatal(_)) => true,
                Err(other) => panic!("{other}"),
            },
            1 => match publish(&place, &snapshots(&place)).await {
                Ok(_) => false,
                Err(PublishError::Export(IndexError::Fatal(_))) => true,
                Err(other) => panic!("{other}"),
            },
            _ => {
                let read = "SELECT count(hash(t)) FROM state_files t";
                match place.store.read(move |c| Ok(c.query_row(read, [], |row| row.get::<_, i64>(0))?)).await {
                    Ok(_) => false,
                    Err(IndexError::Fatal(_)) => true,
                    Err(other) => panic!("{other}"),
                }
            }
        };
        if !failed {
            continue;
        }
        met += 1;
        let why = place.store.damaged().await;
        let noted = fs::read_to_string(place.path().join("damaged")).expect("noted");
        assert_eq!(noted.trim_end(), why);
        // Refused where it is the marks that cannot be read.
        let taken = say(&place, raw(1), What::tags(vec!["meanwhile".to_owned()], vec![])).await.is_ok();
        // What is kept is what was met.
        let kept = fs::read(index(place.path())).expect("bytes");
        let place = Place::of(place.close().await);
        let told = place.state().recovery.expect("told");
        assert!(told.contains(&why) && told.contains("from the snapshot gen-3."), "{told}");
        let aside = aside(place.path());
        assert_eq!((aside.len(), fs::read(aside[0].join("pins.duckdb")).expect("kept") == kept), (1, true));
        assert!(!place.path().join("damaged").exists() && aside[0].join("damaged").exists());
        let mut now = dump(&place, 3).await;
        let tags = told_of(&place, raw(1)).await.tags;
        assert_eq!(tags.contains(&"meanwhile".to_owned()), taken, "what was acknowledged is in the journal");
        (now[3], now[4]) = (before[3].clone(), before[4].clone());
        assert_eq!(now, before, "byte {at}");
        assert_eq!(place.store.verify().await.expect("looked at").problems, [] as [String; 0]);
        let place = Place::of(place.close().await);
        assert_eq!(place.state().recovery, None, "once");
    }
    assert!(met >= 3, "only {met} blocks were met at work");
}

#[tokio::test]
async fn a_resource_that_lacks_is_no_damage() {
    let (place, _) = kept().await;
    let full = "IO Error: Could not write file \"pins.duckdb\": No space left on device";
    let refused = place.store.write(move |_, _| {
        Err::<(), _>(IndexError::Duckdb(duckdb::Error::DuckDBFailure(
            duckdb::ffi::Error::new(1),
            Some(full.to_owned()),
        )))
    });
    let error = refused.await.expect_err("refused");
    assert!(matches!(error, IndexError::Duckdb(_)) && error.wants_room(), "{error}");
    assert!(!place.path().join("damaged").exists());
}

#[tokio::test]
async fn d9_an_index_with_less_than_the_newest_snapshot_is_taken_for_lost() {
    let (place, _) = kept().await;
    let place = Place::of(place.close().await);
    let old = tempfile::tempdir().expect("a temp dir");
    for n in 0..5 {
        place.add(raw(100 + n), RECURSIVE, "").await;
    }
    image(place.path(), old.path());
    let second = publish(&place, &snapshots(&place)).await.expect("published").name;
    assert_eq!(second, "gen-8.2");
    let before = dump(&place, 8).await;
    let left = tempfile::tempdir().expect("a temp dir");
    image(place.path(), left.path());
    type Loss = fn(&Path, &Path);
    let losses: [(&str, Loss); 3] = [
        ("the log is lost", |dir, _| fs::remove_file(wal(dir)).expect("removed")),
        ("the log is spoilt", |dir, _| {
            let mut bytes = fs::read(wal(dir)).expect("read");
            let third = bytes.len() / 3;
            bytes[third] ^= 16;
            fs::write(wal(dir), bytes).expect("written");
        }),
        ("an older copy", |dir, old| {
            fs::copy(index(old), index(dir)).expect("copied");
            let log = fs::read(wal(old)).expect("read");
            fs::write(wal(dir), &log[..log.len() / 2]).expect("written");
        }),
    ];
    for (what, loss) in losses {
        let place = after(left.path(), |dir| loss(dir, old.path())).await;
        let told = place.state().recovery.unwrap_or_else(|| panic!("{what}: not told"));
        assert!(told.contains("from the snapshot gen-8.2"), "{what}: {told}");
        assert_eq!((place.state().generation, dump(&place, 8).await), (9, before.clone()), "{what}");
        assert_eq!(aside(place.path()).len(), 1, "{what}: kept");
    }
    // Of another node, or of a version that is not known: that says nothing of this file.
    for change in [("12D3KooWNode", "12D3KooWOther"), ("\"schema_version\": 3", "\"schema_version\": 4")] {
        let place = after(left.path(), |dir| {
            fs::remove_file(wal(dir)).expect("removed");
            let manifest = dir.join("snapshots/gen-8.2/manifest.json");
            let text = fs::read_to_string(&manifest).expect("read");
            assert!(text.contains(change.0), "{text}");
            fs::write(manifest, text.replace(change.0, change.1)).expect("written");
        })
        .await;
        assert_eq!((place.state().generation, place.state().recovery), (3, None), "{change:?}");
    }
    // A directory that was put back as a whole has older snapshots.
    let place = after(old.path(), |_| {}).await;
    assert_eq!((place.state().generation, place.state().recovery), (8, None));
}

#[tokio::test]
async fn d8_what_is_no_regular_file_is_moved_aside_and_neither_waited_for_nor_followed() {
    fn pipe(path: &Path) {
        let _ = fs::remove_file(path);
        nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).expect("made");
    }
    type Harm = fn(&Path, &Path);
    let harms: [(&str, Harm); 4] = [
        ("a pipe", |dir, _| pipe(&index(dir))),
        ("a pipe as the log", |dir, _| pipe(&wal(dir))),
        ("a link to a log", |dir, elsewhere| {
            let _ = fs::remove_file(wal(dir));
            std::os::unix::fs::symlink(elsewhere, wal(dir)).expect("made");
        }),
        ("a link to a file", |dir, elsewhere| {
            fs::remove_file(index(dir)).expect("removed");
            std::os::unix::fs::symlink(elsewhere, index(dir)).expect("made");
        }),
    ];
    let (place, before) = kept().await;
    let dir = place.close().await;
    let elsewhere = dir.path().join("elsewhere");
    fs::write(&elsewhere, "precious").expect("written");
    for (what, harm) in harms {
        let place = after(dir.path(), |dir| harm(dir, &elsewhere)).await;
        let told = place.state().recovery.unwrap_or_else(|| panic!("{what}: not told"));
        assert!(told.contains("is no regular file") && told.contains("gen-3.1"), "{what}: {told}");
        assert_eq!((dump(&place, 3).await, aside(place.path()).len()), (before.clone(), 1), "{what}");
        assert_eq!(fs::read(&elsewhere).expect("read"), b"precious", "{what}");
    }
}
