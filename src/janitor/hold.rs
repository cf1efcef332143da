//! Holding the lock that is about to be cleaned, so that nobody can take it meanwhile: a starting Kubo is told that somebody has
//! it, waits (`IPFS_WAIT_REPO_LOCK`), and finds it free some microseconds later.

use super::evidence::{self, Identity};
use super::facts::Content;
use crate::file_lock;
use nix::errno::Errno;
use nix::libc;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A hold of ours looks to another of our own threads like somebody else's, so asking and holding take turns.
static TURN: Mutex<()> = Mutex::new(());

/// While it is kept, nobody in this process holds a lock. Only for what lies on a local file system, which always answers.
pub(super) fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a lock cannot be held.
#[derive(Debug, thiserror::Error)]
pub(super) enum HoldError {
    /// Somebody has it.
    #[error("it was taken between the look and the act")]
    Taken,
    /// The file at the path is another one by now.
    #[error("another file stands at its place by now")]
    Replaced,
    /// What is done to it would be done to another file's content, too.
    #[error("it has {0} names (hard links), so its content is somebody else's, too; remove this name by hand")]
    Shared(u64),
    /// It is gone.
    #[error("it is gone")]
    Gone,
    /// It cannot be opened or locked.
    #[error("it cannot be locked: {0}")]
    Io(#[from] io::Error),
}

/// A lock file in our hands until this is dropped.
pub(super) struct Hold {
    file: File,
    path: PathBuf,
    _turn: MutexGuard<'static, ()>,
}

impl Hold {
    /// Takes the lock if it is free. `make`: where there is no file, an empty one is made, as every Kubo does.
    pub(super) fn take(path: &Path, make: bool) -> Result<Hold, HoldError> {
        let turn = turn();
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let opened =
            OpenOptions::new().read(true).write(true).create(make).truncate(false).custom_flags(flags).open(path);
        match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(HoldError::Gone),
            opened => Hold::of(opened?, path, turn),
        }
    }

    /// Takes the lock of the file that was opened at this path.
    fn of(file: File, path: &Path, turn: MutexGuard<'static, ()>) -> Result<Hold, HoldError> {
        if !file.metadata()?.is_file() {
            return Err(HoldError::Replaced);
        }
        match file_lock::take(&file) {
            Ok(()) => {}
            Err(Errno::EAGAIN | Errno::EACCES) => return Err(HoldError::Taken),
            Err(errno) => return Err(io::Error::from(errno).into()),
        }
        let hold = Hold { file, path: path.to_owned(), _turn: turn };
        hold.check()?;
        Ok(hold)
    }

    /// Whether the file that is held is the one that others find: a lock on a file without a name keeps nobody out.
    pub(super) fn check(&self) -> Result<(), HoldError> {
        let held = self.file.metadata()?;
        let there = match self.path.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(HoldError::Gone),
            there => there?,
        };
        match held.nlink() {
            _ if (held.dev(), held.ino()) != (there.dev(), there.ino()) => Err(HoldError::Replaced),
            1 => Ok(()),
            names => Err(HoldError::Shared(names)),
        }
    }

    /// What it is and holds now.
    pub(super) fn content(&self) -> io::Result<(Identity, Content)> {
        let found = self.file.metadata()?;
        Ok((Identity::of(&found), evidence::content(&self.file, &found)?))
    }

    /// Empties it, in place.
    pub(super) fn empty(&self) -> io::Result<()> {
        self.file.set_len(0)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        file_lock::give_up(&self.file);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_on_a_file_that_has_lost_its_place_is_none() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let path = dir.path().join("repo.lock");
        let open = || File::options().read(true).write(true).create(true).truncate(false).open(&path).expect("opened");
        let take = |file| Hold::of(file, &path, turn()).map(drop);
        assert!(take(open()).is_ok());
        // Between the opening and the locking its last holder removes it, and another one makes it anew.
        let old = open();
        std::fs::remove_file(&path).expect("removed");
        assert!(matches!(take(old), Err(HoldError::Gone)));
        let old = open();
        std::fs::rename(&path, dir.path().join("aside")).expect("renamed");
        let new = open();
        file_lock::take(&new).expect("locked");
        assert!(matches!(take(old), Err(HoldError::Replaced)));
        assert!(matches!(take(open()), Err(HoldError::Taken)));
    }

    #[test]
    fn a_hold_makes_a_missing_file_only_when_told_to_and_follows_no_link() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let path = dir.path().join("repo.lock");
        assert!(matches!(Hold::take(&path, false), Err(HoldError::Gone)));
        drop(Hold::take(&path, true).expect("made"));
        assert_eq!(path.metadata().expect("there").len(), 0);
        std::fs::rename(&path, dir.path().join("elsewhere")).expect("renamed");
        std::os::unix::fs::symlink("elsewhere", &path).expect("linked");
        assert!(matches!(Hold::take(&path, true), Err(HoldError::Io(_))));
    }
}
