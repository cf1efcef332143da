//! What the machine refuses at a start: room, rights, a file system that can be written. Nothing is believed lost for it.

use crate::mark::{say, tag, told_of};
use crate::other::{self, role, skipped};
use crate::place::*;
use crate::recovery::{dump, index, kept};
use crate::store::block_on;
use ipfs_kitd::index::mark::What;
use ipfs_kitd::index::open::OpenError;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

fn said(what: &str) {
    writeln!(std::io::stdout(), "\nsaid {what}").expect("a parent that listens");
}

/// This test once more as another process behind these words; what it said. `None`, and it is told, where they cannot be had.
fn behind(words: &[&str], test: &str, dir: &Path) -> Option<String> {
    let plain = other::command(test, dir);
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).arg(plain.get_program()).args(plain.get_args()).env(other::ROLE, dir);
    let output = match command.stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(error) => {
            skipped(test, &error.to_string());
            return None;
        }
    };
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    if told.contains("said ") || output.status.code() == Some(101) {
        return Some(told);
    }
    skipped(test, &String::from_utf8_lossy(&output.stderr));
    None
}

#[test]
fn beside_snapshots_that_may_not_be_listed_or_read_a_lost_index_is_neither_begun_anew_nor_filled_from_an_older_one() {
    const TEST: &str = "refusal::beside_snapshots_that_may_not_be_listed_or_read_a_lost_index_is_neither_begun_anew_nor_filled_from_an_older_one";
    if let Some(dir) = role() {
        return match open(&dir) {
            Err(OpenError::Unreadable { detail, .. }) => said(&format!("refused {detail}")),
            other => said(&format!("{:?}", other.map(drop))),
        };
    }
    let (dir, before) = block_on(async {
        let (place, before) = kept().await;
        (place.close().await, before)
    });
    fs::remove_file(index(dir.path())).expect("removed");
    for refused in ["snapshots", "snapshots/manifest.json", "snapshots/gen-3.1", "snapshots/gen-3.1/gone.parquet"] {
        let path = dir.path().join(refused);
        let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=openat:error=EACCES", "-P"];
        let strace = [&strace[..], &[path.to_str().expect("UTF-8")]].concat();
        let Some(told) = behind(&strace, TEST, dir.path()) else { return };
        let why = format!("{}: Permission denied", path.display());
        assert!(told.contains("said refused") && told.contains(&why), "{why} in {told}");
    }
    assert_eq!(block_on(dump(&Place::of(dir), 3)), before);
}

#[test]
fn d7_on_a_read_only_file_system_the_daemon_says_what_helps() {
    const TEST: &str = "refusal::d7_on_a_read_only_file_system_the_daemon_says_what_helps";
    if let Some(dir) = role() {
        let refused = open(&dir).map(drop).expect_err("read-only");
        return said(&ipfs_kitd::fault::chain(&refused));
    }
    let dir = block_on(async { kept().await.0.close().await });
    let path = dir.path().display();
    let mount = format!("mount --bind '{path}' '{path}' && mount -o remount,bind,ro '{path}' || exit 99; exec \"$@\"");
    let words = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", &mount, "sh"];
    let Some(told) = behind(&words, TEST, dir.path()) else { return };
    for part in ["mounted read-only", "mount -o remount,rw", "ipfs-kitctl --offline"] {
        assert!(told.contains(part), "{part:?} in {told}");
    }
}

#[test]
fn d4_a_start_on_a_full_disk_with_a_mark_that_the_index_lacks_opens_it_and_tells() {
    const TEST: &str = "refusal::d4_a_start_on_a_full_disk_with_a_mark_that_the_index_lacks_opens_it_and_tells";
    if let Some(dir) = role() {
        let small = dir.join("small");
        let at = |store| Place::at(TempDir::new_in(&dir).expect("a temp dir"), store);
        let filler = small.join("filler");
        return block_on(async {
            let place = at(open(&small).expect("an index"));
            place.list(minute(0), |l| l.added = vec![pin(raw(1), RECURSIVE, "a")]).await;
            tag(&place, raw(1), &["before"], &[]).await;
            let mut file = fs::File::create(&filler).expect("made");
            while file.write_all(&[0; 4096]).is_ok() {}
            drop(file);
            // The journal's last page has room, DuckDB's log soon has none.
            let (mut taken, mut refused) = (Vec::new(), None);
            for n in 0..40 {
                match say(&place, raw(1), What::tags(vec![format!("tag {n}")], vec![])).await {
                    Ok(_) => taken.push(format!("tag {n}")),
                    Err(error) => {
                        refused = Some(error);
                        break;
                    }
                }
            }
            assert!(refused.is_some_and(|error| error.wants_room()), "its words are those of a full disk");
            place.close().await;
            let place = at(open(&small).expect("it opens"));
            assert_eq!(place.pins().await.len(), 1);
            let (told, closed) = (place.state().recovery, place.state().journal_closed);
            assert!(told.is_some_and(|told| told.contains("No space left")) && closed.is_some());
            place.close().await;
            fs::remove_file(&filler).expect("removed");
            let place = at(open(&small).expect("it opens"));
            let tags = told_of(&place, raw(1)).await.tags;
            assert!(taken.iter().all(|tag| tags.contains(tag)), "{taken:?} in {tags:?}");
            tag(&place, raw(1), &["after"], &[]).await;
            assert_eq!(place.store.verify().await.expect("looked at").problems, [] as [String; 0]);
            place.close().await;
            said("done");
        });
    }
    let dir = tempfile::tempdir().expect("a temp dir");
    let small = dir.path().join("small");
    fs::create_dir(&small).expect("made");
    let mount = format!("mount -t tmpfs -o size=8m,mode=0700 none '{}' || exit 99; exec \"$@\"", small.display());
    let words = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", &mount, "sh"];
    let Some(told) = behind(&words, TEST, dir.path()) else { return };
    assert!(told.contains("said done"), "{told}");
}
