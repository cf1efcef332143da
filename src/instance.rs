//! One daemon per data dir and per runtime dir: the directories, and the OFD locks on the file `lock` in each, taken before
//! anything else in them is touched.
//!
//! The kernel alone says whether a lock is held; the PID that the owner writes into the file is for the message.

use crate::file_lock;
use nix::errno::Errno;
use nix::libc;
use rustix::fs::{Access, access};
use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The name of the lock file.
pub const LOCK: &str = "lock";

/// Why the daemon may not run here.
#[derive(Debug, thiserror::Error)]
pub enum InstanceError {
    /// Another daemon runs.
    #[error("another ipfs-kitd{} owns {path}", .pid.map(|p| format!(" (PID {p})")).unwrap_or_default())]
    Owned {
        /// The directory.
        path: PathBuf,
        /// The owner's PID, where its lock file names one.
        pid: Option<u32>,
    },
    /// The directory is not safe to use.
    #[error("{path} {why}")]
    Unsafe {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Somebody listens on the socket without owning the directory, as a service manager does before it starts the daemon.
    #[error(
        "somebody listens on {path}, and no ipfs-kitd: if that is systemd's socket unit, have it start the daemon \
(`systemctl start ipfs-kitd`, or with --user), or stop the unit first"
    )]
    Listening {
        /// The socket.
        path: PathBuf,
    },
    /// Nothing can be written there.
    #[error(
        "{path} is on a file system that is mounted read-only, and without a lock the daemon does not run; see what `dmesg` says \
of it, mount it for writing (`mount -o remount,rw …`) and start again; until then `ipfs-kitctl --offline` answers from the newest snapshot"
    )]
    ReadOnly {
        /// The directory or the file.
        path: PathBuf,
    },
    /// A file operation failed.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

/// Holds a directory for this process until it is dropped.
#[derive(Debug)]
pub struct Claim {
    lock: File,
}

impl Claim {
    /// Whether the lock file that is in the directory now is the one that is locked, and not a later one.
    pub fn holds(&self, dir: &Path) -> bool {
        let same = || {
            let (there, locked) = (std::fs::metadata(dir.join(LOCK))?, self.lock.metadata()?);
            io::Result::Ok((there.dev(), there.ino()) == (locked.dev(), locked.ino()))
        };
        same().unwrap_or(false)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Not left to the closing: a process that is being started has a copy of the descriptor until it executes.
        file_lock::give_up(&self.lock);
    }
}

/// Makes the directory (0700) where it is missing, checks that it is ours alone, and locks it.
pub fn claim(dir: &Path) -> Result<Claim, InstanceError> {
    private_dir(dir, true)?;
    let path = dir.join(LOCK);
    let io = |action, source| failed(action, &path, source);
    // No truncation before the lock is ours: the content names the owner.
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(&path)
        .map_err(|e| io("open the lock file", e))?;
    match file_lock::take(&file) {
        Ok(()) => {}
        Err(Errno::EAGAIN | Errno::EACCES) => {
            let mut text = String::new();
            let read = (&file).take(32).read_to_string(&mut text);
            let pid = read.ok().and_then(|_| text.trim().parse().ok());
            return Err(InstanceError::Owned { path: dir.to_owned(), pid });
        }
        Err(errno) => return Err(io("lock", errno.into())),
    }
    file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(|e| io("write", e))?;
    Ok(Claim { lock: file })
}

/// Makes a directory with mode 0700 where it is missing and refuses one that others could tamper with. `others_may_enter`
/// lets an existing directory keep access for others that is not write access.
pub fn private_dir(dir: &Path, others_may_enter: bool) -> Result<(), InstanceError> {
    let io = |action, source| failed(action, dir, source);
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|e| io("make the directory", e))?;
    let found = std::fs::metadata(dir).map_err(|e| io("look at", e))?;
    safe(dir, &found)?;
    let mode = found.permissions().mode();
    if !others_may_enter && mode & 0o077 != 0 {
        std::fs::set_permissions(dir, PermissionsExt::from_mode(0o700)).map_err(|e| io("close to others", e))?;
    }
    Ok(())
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> InstanceError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::ReadOnlyFilesystem => InstanceError::ReadOnly { path },
        _ => InstanceError::Io { action, path, source },
    }
}

fn safe(dir: &Path, found: &Metadata) -> Result<(), InstanceError> {
    let refuse = |why: String| Err(InstanceError::Unsafe { path: dir.to_owned(), why });
    let us = nix::unistd::geteuid();
    if found.uid() != us.as_raw() {
        return refuse(format!("belongs to uid {}, and ipfs-kitd runs as uid {us}; run it as the owner", found.uid()));
    }
    let mode = found.permissions().mode();
    if mode & 0o022 != 0 {
        return refuse(format!("can be written by others (mode {:04o}); chmod go-w it", mode & 0o7777));
    }
    Ok(())
}

/// Whether [`claim`] would find the directory safe or could make it, without making or locking anything.
pub fn may_claim(dir: &Path) -> Result<(), InstanceError> {
    match std::fs::metadata(dir) {
        Ok(found) => safe(dir, &found).and_then(|()| may_write(dir, "write to")),
        Err(_) => may_make(dir),
    }
}

/// Whether the directory is there or could be made: of those above it, the first that is there decides.
pub fn may_make(dir: &Path) -> Result<(), InstanceError> {
    if dir.exists() {
        return Ok(());
    }
    dir.ancestors().find(|above| above.exists()).map_or(Ok(()), |above| may_write(above, "make a directory in"))
}

fn may_write(dir: &Path, action: &'static str) -> Result<(), InstanceError> {
    let io = |source| InstanceError::Io { action, path: dir.to_owned(), source };
    if !dir.is_dir() {
        return Err(io(io::ErrorKind::NotADirectory.into()));
    }
    access(dir, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| io(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_claim_names_the_owner_and_the_first_one_stays() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let place = dir.path().join("data");
        let first = claim(&place).expect("free");
        for _ in 0..2 {
            match claim(&place) {
                Err(InstanceError::Owned { pid, .. }) => assert_eq!(pid, Some(std::process::id())),
                other => panic!("{other:?}"),
            }
        }
        drop(first);
        claim(&place).expect("free again");
    }

    #[test]
    fn a_claim_that_is_dropped_is_free_although_a_child_has_a_copy_of_it() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let first = claim(dir.path()).expect("free");
        // As every child has until it executes.
        let _copy = first.lock.try_clone().expect("a copy");
        drop(first);
        claim(dir.path()).expect("free again");
    }

    #[test]
    fn a_directory_that_others_may_write_is_refused() {
        let dir = tempfile::tempdir().expect("a temp dir");
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o777)).expect("chmod");
        assert!(matches!(claim(dir.path()), Err(InstanceError::Unsafe { .. })));
        assert!(!dir.path().join("lock").exists());
    }
}
