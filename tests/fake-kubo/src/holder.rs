//! Holders of POSIX locks, in a process of their own as Kubo is: one that stays until its stdin ends; one that comes and goes and
//! looks each time whether anybody has touched what it held; one that puts something else in the place of the lock.

use crate::daemon::posix_lock;
use crate::{fail, say};
use nix::libc;
use std::fs::{File, FileTimes, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, symlink};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

/// Holds a lock on a file, whatever is in it, until stdin ends.
pub(crate) fn hold(path: &Path) -> ExitCode {
    let held =
        OpenOptions::new().read(true).write(true).open(path).and_then(|file| Ok(posix_lock(&file).map(|()| file)?));
    match held {
        Ok(_file) => {
            say("held");
            // Its end is all that is waited for.
            let _ = io::stdin().read_to_end(&mut Vec::new());
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error.to_string()),
    }
}

/// Takes and leaves the lock of a repo until stdin ends, then says how often, and how often somebody touched it meanwhile.
pub(crate) fn race(repo: &Path, with_datastore: bool) -> ExitCode {
    let (held, touched) = until_stdin_ends(|n| Ok(Some(live(repo, &lock(repo)?, n, with_datastore)?)));
    say(&format!("held {held} touched {touched}"));
    ExitCode::SUCCESS
}

/// Sets the lock of a repo aside, while it holds it, and puts something else in its place.
pub(crate) fn swap(repo: &Path) -> ExitCode {
    let (swapped, failed) = until_stdin_ends(|n| swap_once(repo, &lock(repo)?, n));
    say(&format!("swapped {swapped} failed {failed}"));
    ExitCode::SUCCESS
}

/// How often it went well, and how often not; `None` and errors are no tries.
fn until_stdin_ends(round: impl Fn(u64) -> io::Result<Option<bool>>) -> (u64, u64) {
    let over = Arc::new(AtomicBool::new(false));
    let told = over.clone();
    thread::spawn(move || {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        told.store(true, Ordering::Relaxed);
    });
    let (mut well, mut badly) = (0, 0);
    while !over.load(Ordering::Relaxed) {
        match round(well) {
            Ok(Some(went_well)) => {
                well += u64::from(went_well);
                badly += u64::from(!went_well);
                // Sometimes nobody has it for a while, as long as a janitor takes for a look and longer.
                thread::sleep(Duration::from_millis(well % 8));
            }
            Ok(None) | Err(_) => thread::sleep(Duration::from_micros(100)),
        }
    }
    (well, badly)
}

/// The lock of a repo, if it is a file and nobody has it.
fn lock(repo: &Path) -> io::Result<File> {
    let path = repo.join("repo.lock");
    let mut how = OpenOptions::new();
    let lock = how.read(true).write(true).create(true).truncate(false).custom_flags(libc::O_NOFOLLOW).open(&path)?;
    if !lock.metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    posix_lock(&lock)?;
    // As Kubo does not, but should: what it has locked may have been removed by whoever had it before.
    if path.symlink_metadata()?.ino() != lock.metadata()?.ino() {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(lock)
}

/// Lives for a moment; whether everything was as it should in the end.
fn live(repo: &Path, lock: &File, n: u64, with_datastore: bool) -> io::Result<bool> {
    let store = File::open(repo.join("datastore/LOCK"))?;
    if with_datastore {
        store.try_lock()?;
    }
    // From here on, nothing that goes wrong is its own fault.
    Ok(untouched(repo, lock, n).unwrap_or(false))
}

fn untouched(repo: &Path, mut lock: &File, n: u64) -> io::Result<bool> {
    let (api, new) = (repo.join("api"), repo.join(".api.tmp"));
    // What is there of a dead owner is kept as it is: nothing but the lock in the kernel says that it is not dead any more.
    let mut content = Vec::new();
    lock.read_to_end(&mut content)?;
    if content.is_empty() {
        content = dead_owner(n);
        lock.write_all_at(&content, 0)?;
    }
    let address = format!("/unix{}/nobody-{}-{n}", repo.display(), std::process::id());
    File::create(&new)?.write_all(address.as_bytes())?;
    std::fs::rename(&new, &api)?;
    thread::sleep(Duration::from_micros(n % 5 * 100));
    let mut kept = vec![0; content.len() + 1];
    let length = lock.read_at(&mut kept, 0)?;
    let whole = kept[..length] == content[..] && std::fs::read(&api)? == address.as_bytes();
    match n % 3 {
        // In order, as Kubo ends.
        0 => std::fs::remove_file(&api).and_then(|()| std::fs::remove_file(repo.join("repo.lock")))?,
        // As a killed Kubo leaves it.
        1 => lock.set_len(0)?,
        // As a killed owner of a portable lock leaves it.
        _ => {}
    }
    Ok(whole)
}

fn dead_owner(n: u64) -> Vec<u8> {
    format!("{{\"OwnerPID\":{},\"n\":{n}}}", i32::MAX).into_bytes()
}

fn swap_once(repo: &Path, lock: &File, n: u64) -> io::Result<Option<bool>> {
    let (path, new) = (repo.join("repo.lock"), repo.join("new"));
    if lock.metadata()?.len() == 0 {
        lock.write_all_at(&dead_owner(n), 0)?;
    }
    // Nobody's lock any more, and nobody's business.
    std::fs::hard_link(&path, repo.join("aside").join(n.to_string()))?;
    match n % 4 {
        0 => symlink("precious", &new)?,
        1 => nix::unistd::mkfifo(&new, nix::sys::stat::Mode::S_IRWXU)?,
        2 => std::fs::write(&new, dead_owner(n))?,
        _ => {
            std::fs::create_dir(&new)?;
            let old = SystemTime::now() - Duration::from_secs(200);
            File::open(&new)?.set_times(FileTimes::new().set_modified(old))?;
            std::fs::remove_file(&path)?;
        }
    }
    // Over whatever is there by now, a directory of the janitor's making excepted.
    let placed = std::fs::rename(&new, &path);
    thread::sleep(Duration::from_micros(n % 5 * 100));
    Ok(Some(match n % 4 {
        // Nobody else removes a link or a pipe.
        0 | 1 => std::fs::remove_file(&path).is_ok(),
        2 => true,
        _ => {
            // The janitor may have done it.
            let _ = std::fs::remove_dir(if placed.is_ok() { &path } else { &new });
            true
        }
    }))
}
