//! Looks at lock files without touching them: opened read-only, never followed, never created, never locked.

use super::verdict::{self, Evidence, Kernel, Kind};
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use nix::sys::statfs::{self, FsType, fstatfs};
use proto_msgs::kubo::Held;
use proto_msgs::lock::{LockFile, LockReport, Verdict};
use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The kind of lock that a file's users take.
#[derive(Clone, Copy)]
enum LockType {
    /// `fcntl` record lock, as Kubo and pebble take.
    Record,
    /// `flock`, as leveldb takes.
    Flock,
}

/// Judges every lock file of the repo; `repo.lock` comes first. `ours` is the daemon's own child.
pub fn look(repo: &Path, ours: Option<u32>) -> LockReport {
    let mut locks = vec![look_at(&repo.join("repo.lock"), LockType::Record, true, ours)];
    for (dir, lock_type) in datastores(repo) {
        let path = dir.join("LOCK");
        if path.symlink_metadata().is_ok() {
            locks.push(look_at(&path, lock_type, false, ours));
        }
    }
    LockReport { as_of: crate::time::now(), locks }
}

/// Why Kubo must not be started on this repo now; `None` when nothing is in the way. Called while there is no child, so
/// whoever holds a lock is somebody else. What is unknown counts as live.
pub fn start_is_blocked(repo: &Path) -> Option<Held> {
    let blocking = |lock: &LockFile| matches!(lock.verdict, Verdict::Live | Verdict::Unknown | Verdict::Dead);
    let lock = look(repo, None).locks.into_iter().find(blocking)?;
    let why = lock.evidence.join("; ");
    Some(match lock.verdict {
        Verdict::Live => {
            let holder = match (lock.holder_pid, &lock.holder) {
                (Some(pid), Some(program)) => format!("PID {pid} ({program})"),
                (Some(pid), None) => format!("PID {pid}"),
                _ => "a process that can't be seen from here".to_owned(),
            };
            Held {
                cause: "lock_live".into(),
                detail: format!("{} is held by {holder}", lock.path),
                hint: "stop the other Kubo or wait: the start follows by itself once the repo is free".into(),
            }
        }
        _ => Held {
            cause: "lock_unknown".into(),
            detail: format!("{} is in the way: {why}", lock.path),
            hint: "make sure that no Kubo runs on this repo, anywhere, then move that file away; the start follows by itself".into(),
        },
    })
}

fn look_at(path: &Path, lock_type: LockType, empty_by_nature: bool, ours: Option<u32>) -> LockFile {
    let (kind, file) = kind(path);
    let kernel = match (&file, lock_type) {
        (None, _) => Kernel::NotAsked,
        (Some(file), LockType::Record) => ask_record(file),
        (Some(file), LockType::Flock) => ask_flock(file),
    };
    let remote_fs = file.as_ref().and_then(remote_fs);
    let (verdict, evidence) = verdict::judge(&Evidence { kind, kernel: kernel.clone(), empty_by_nature, remote_fs });
    let holder_pid = match kernel {
        Kernel::Held(pid) => u32::try_from(pid).ok().filter(|pid| *pid > 0),
        _ => None,
    };
    LockFile {
        path: path.display().to_string(),
        verdict,
        holder_pid,
        holder: holder_pid.and_then(program_of),
        ours: holder_pid.is_some() && holder_pid == ours,
        evidence,
    }
}

fn kind(path: &Path) -> (Kind, Option<File>) {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let found = match path.symlink_metadata() {
        Ok(found) => found.file_type(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return (Kind::Absent, None),
        Err(error) => return (Kind::Unreadable(error.to_string()), None),
    };
    if found.is_dir() {
        return (Kind::Directory, None);
    }
    if found.is_symlink() {
        return (Kind::Other("a symbolic link"), None);
    }
    if found.is_fifo() || found.is_socket() || found.is_block_device() || found.is_char_device() {
        return (Kind::Other("no regular file"), None);
    }
    // Between the look and the open it may have become something else; the descriptor decides.
    match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => match file.metadata() {
            Ok(found) if found.is_file() => (Kind::File(found.size()), Some(file)),
            Ok(_) => (Kind::Other("no regular file"), None),
            Err(error) => (Kind::Unreadable(error.to_string()), None),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => (Kind::Absent, None),
        Err(error) => (Kind::Unreadable(error.to_string()), None),
    }
}

fn ask_record(file: &File) -> Kernel {
    let mut whole = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    // Works on a read-only descriptor and takes nothing.
    match fcntl(file, FcntlArg::F_GETLK(&mut whole)) {
        Ok(_) if i32::from(whole.l_type) == libc::F_UNLCK => Kernel::Free,
        Ok(_) => Kernel::Held(whole.l_pid),
        Err(errno) => Kernel::Unknown(errno.desc().to_owned()),
    }
}

/// `flock` has no question that takes nothing, so the kernel's table of locks is read. A holder of another PID namespace is
/// not in it; Kubo's `repo.lock`, which shows him, is judged first.
fn ask_flock(file: &File) -> Kernel {
    let table = match std::fs::read_to_string("/proc/locks") {
        Ok(table) => table,
        Err(error) => return Kernel::Unknown(error.to_string()),
    };
    let place = match (file.metadata(), device(file)) {
        (Ok(found), Some(device)) => format!("{device}:{}", found.ino()),
        _ => return Kernel::Unknown("its device is not known".to_owned()),
    };
    let holder = table.lines().find_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let ours = words.get(1) == Some(&"FLOCK") && words.get(5) == Some(&place.as_str());
        ours.then(|| words.get(4)?.parse().ok()).flatten()
    });
    holder.map_or(Kernel::Free, Kernel::Held)
}

/// The device of a file as the table of locks writes it. That is the mount's; `st_dev` differs on btrfs and overlays.
fn device(file: &File) -> Option<String> {
    let about = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_raw_fd())).ok()?;
    let mount = about.lines().find_map(|line| line.strip_prefix("mnt_id:"))?.trim();
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let mut lines = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let (major, minor) = lines.find(|words| words.first() == Some(&mount))?.get(2)?.split_once(':')?;
    Some(format!("{:02x}:{:02x}", major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
}

fn remote_fs(file: &File) -> Option<&'static str> {
    const CIFS: FsType = FsType(0xff53_4d42);
    const SMB2: FsType = FsType(0xfe53_4d42);
    const NINE_P: FsType = FsType(0x0102_1997);
    let fs = fstatfs(file).ok()?.filesystem_type();
    match fs {
        statfs::NFS_SUPER_MAGIC => Some("NFS"),
        statfs::SMB_SUPER_MAGIC => Some("SMB"),
        statfs::FUSE_SUPER_MAGIC => Some("FUSE"),
        other if [CIFS, SMB2].contains(&other) => Some("SMB"),
        NINE_P => Some("9p"),
        _ => None,
    }
}

fn program_of(pid: u32) -> Option<String> {
    let exe = std::fs::read_link(format!("/proc/{pid}/exe")).ok().map(|path| path.display().to_string());
    exe.or_else(|| std::fs::read_to_string(format!("/proc/{pid}/comm")).ok().map(|name| name.trim().to_owned()))
}

/// The directories with a lock of their own, by the repo's `datastore_spec`.
fn datastores(repo: &Path) -> Vec<(PathBuf, LockType)> {
    let spec = std::fs::read(repo.join("datastore_spec")).ok();
    let spec: Option<serde_json::Value> = spec.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let mut found = Vec::new();
    if let Some(spec) = spec {
        walk(&spec, repo, &mut found);
    }
    found
}

fn walk(spec: &serde_json::Value, repo: &Path, found: &mut Vec<(PathBuf, LockType)>) {
    let lock_type = match spec["type"].as_str() {
        Some("levelds") => Some(LockType::Flock),
        Some("pebbleds") => Some(LockType::Record),
        _ => None,
    };
    if let (Some(lock_type), Some(path)) = (lock_type, spec["path"].as_str()) {
        found.push((repo.join(path), lock_type));
    }
    let children = spec["mounts"].as_array().into_iter().flatten().chain(spec.get("child"));
    for child in children {
        walk(child, repo, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repo_lock(dir: &Path) -> LockFile {
        look(dir, None).locks.remove(0)
    }

    #[test]
    fn an_empty_repo_lock_that_nobody_holds_is_idle_and_stays() {
        let dir = tempfile::tempdir().expect("a temp dir");
        assert_eq!(repo_lock(dir.path()).verdict, Verdict::Idle);
        std::fs::write(dir.path().join("repo.lock"), "").expect("written");
        assert_eq!(repo_lock(dir.path()).verdict, Verdict::Idle);
        assert_eq!(start_is_blocked(dir.path()), None);
        assert!(dir.path().join("repo.lock").exists());
    }

    #[test]
    fn content_a_directory_a_link_and_a_pipe_hold_the_start_and_stay() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let path = dir.path().join("repo.lock");
        let held = || start_is_blocked(dir.path()).expect("held").cause;
        std::fs::write(&path, "{\"OwnerPID\":1}\n").expect("written");
        assert_eq!(held(), "lock_unknown");
        assert_eq!(std::fs::read_to_string(&path).expect("read"), "{\"OwnerPID\":1}\n");
        std::fs::remove_file(&path).expect("removed");
        std::fs::create_dir(&path).expect("made");
        assert_eq!(held(), "lock_unknown");
        std::fs::remove_dir(&path).expect("removed");
        std::os::unix::fs::symlink("/dev/null", &path).expect("linked");
        assert_eq!(held(), "lock_unknown");
        std::fs::remove_file(&path).expect("removed");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("made");
        assert_eq!(held(), "lock_unknown");
    }

    #[test]
    fn a_lock_through_an_open_file_description_is_live() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let file = File::create(dir.path().join("repo.lock")).expect("made");
        let whole = libc::flock {
            l_type: libc::F_WRLCK as libc::c_short,
            l_whence: libc::SEEK_SET as libc::c_short,
            l_start: 0,
            l_len: 0,
            l_pid: 0,
        };
        fcntl(&file, FcntlArg::F_OFD_SETLK(&whole)).expect("locked");
        assert_eq!(repo_lock(dir.path()).verdict, Verdict::Live);
        assert_eq!(start_is_blocked(dir.path()).expect("held").cause, "lock_live");
        drop(file);
        assert_eq!(repo_lock(dir.path()).verdict, Verdict::Idle);
    }

    #[test]
    fn a_leveldb_lock_is_found_by_the_datastore_spec() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let spec = r#"{"type":"mount","mounts":[{"type":"flatfs","path":"blocks","mountpoint":"/blocks"},{"type":"levelds","path":"datastore","mountpoint":"/"}]}"#;
        std::fs::write(dir.path().join("datastore_spec"), spec).expect("written");
        std::fs::create_dir(dir.path().join("datastore")).expect("made");
        let lock = File::create(dir.path().join("datastore/LOCK")).expect("made");
        assert_eq!(look(dir.path(), None).locks[1].verdict, Verdict::Idle);
        lock.lock().expect("flock");
        let live = look(dir.path(), Some(std::process::id())).locks.remove(1);
        assert_eq!(live.verdict, Verdict::Live);
        assert_eq!((live.holder_pid, live.ours), (Some(std::process::id()), true));
    }
}
