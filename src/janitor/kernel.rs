//! Questions to the kernel about open files and sockets. None takes a lock, but for [`try_flock`], which says so.

use super::facts::{Holder, Kernel};
use super::processes;
use crate::file_lock;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use nix::sys::socket::{getsockopt, sockopt};
use nix::sys::statfs::{self, FsType, fstatfs};
use rustix::fs::{FlockOperation, flock};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Of the kernel's table of locks; one lock takes some 60 bytes.
const TABLE: u64 = 8 << 20;

/// Who holds a record lock, the kind that Kubo, IPFS Cluster and pebble take. A read-only descriptor is enough.
pub(super) fn ask_record(file: &File) -> Kernel {
    let mut whole = file_lock::whole();
    match fcntl(file, FcntlArg::F_GETLK(&mut whole)) {
        Ok(_) if i32::from(whole.l_type) == libc::F_UNLCK => Kernel::Free,
        Ok(_) => Kernel::Held(match u32::try_from(whole.l_pid) {
            Ok(0) => Holder::Outside,
            Ok(pid) => Holder::Pid(pid),
            Err(_) => Holder::Description,
        }),
        Err(errno) => Kernel::Unknown(errno.desc().to_owned()),
    }
}

/// Who holds a `flock`, the kind that leveldb and badger take. There is no question that takes nothing, so the kernel's table
/// is read, and where that is hidden, what the processes show of their own. Neither shows a holder of another PID namespace.
pub(super) fn ask_flock(file: &File) -> Kernel {
    let Ok(found) = file.metadata() else { return Kernel::Unknown("it cannot be looked at".to_owned()) };
    let mut table = String::new();
    let read = File::open("/proc/locks").and_then(|locks| locks.take(TABLE).read_to_string(&mut table));
    match (read, device(file)) {
        (Ok(_), Some(device)) => {
            let place = format!("{device}:{}", found.ino());
            in_table(&table, &place).map_or(Kernel::Free, |pid| Kernel::Held(Holder::Pid(pid)))
        }
        // What is not seen here may be hidden as the table is.
        (read, _) => match processes::flock_holder(&found) {
            Some(pid) => Kernel::Held(Holder::Pid(pid)),
            None => {
                let why = read.err().map_or_else(|| "its device is not known".to_owned(), |error| error.to_string());
                Kernel::Unknown(format!("the kernel's table of locks cannot be read ({why})"))
            }
        },
    }
}

fn in_table(table: &str, place: &str) -> Option<u32> {
    table.lines().find_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let it = words.get(1) == Some(&"FLOCK") && words.get(5) == Some(&place);
        it.then(|| words.get(4)?.parse().ok()).flatten()
    })
}

/// Finds out whether a `flock` is free by taking it for a moment: right in every PID namespace and without `/proc`. Only for
/// whoever holds the repo's own lock, without which no Kubo comes so far.
pub(super) fn try_flock(file: &File) -> Kernel {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => match flock(file, FlockOperation::Unlock) {
            Ok(()) => Kernel::Free,
            Err(error) => Kernel::Unknown(error.to_string()),
        },
        Err(rustix::io::Errno::WOULDBLOCK) => match ask_flock(file) {
            held @ Kernel::Held(_) => held,
            _ => Kernel::Held(Holder::Unnamed),
        },
        Err(error) => Kernel::Unknown(error.to_string()),
    }
}

/// Who listens on a Unix socket, by connecting without waiting; nothing is said on the connection.
pub(super) fn ask_socket(path: &Path) -> Kernel {
    let unknown = |error: rustix::io::Errno| Kernel::Unknown(error.to_string());
    let address = match SocketAddrUnix::new(path) {
        Ok(address) => address,
        Err(error) => return unknown(error),
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = match socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None) {
        Ok(socket) => socket,
        Err(error) => return unknown(error),
    };
    match connect(&socket, &address) {
        Ok(()) => {
            let pid =
                getsockopt(&socket, sockopt::PeerCredentials).ok().and_then(|peer| u32::try_from(peer.pid()).ok());
            Kernel::Held(match pid {
                Some(0) => Holder::Outside,
                Some(pid) => Holder::Pid(pid),
                None => Holder::Unnamed,
            })
        }
        // Its queue is full, or it takes datagrams.
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::PROTOTYPE) => Kernel::Held(Holder::Unnamed),
        Err(rustix::io::Errno::CONNREFUSED) => Kernel::Free,
        Err(error) => unknown(error),
    }
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

/// The file system, where another host may hold what this kernel calls free. Overlays are not among them: their locks are this
/// kernel's own.
pub(super) fn remote_fs(file: impl AsFd) -> io::Result<Option<&'static str>> {
    const CIFS: FsType = FsType(0xff53_4d42);
    const SMB2: FsType = FsType(0xfe53_4d42);
    const NINE_P: FsType = FsType(0x0102_1997);
    const CEPH: FsType = FsType(0x00c3_6400);
    const AFS: FsType = FsType(0x5346_414f);
    const LUSTRE: FsType = FsType(0x0bd0_0bd0);
    const GFS2: FsType = FsType(0x0116_1970);
    const OCFS2: FsType = FsType(0x7461_636f);
    const VBOXSF: FsType = FsType(0x786f_4256);
    let fs = fstatfs(file)?.filesystem_type();
    let shared = [
        (statfs::NFS_SUPER_MAGIC, "NFS"),
        (statfs::SMB_SUPER_MAGIC, "SMB"),
        (CIFS, "SMB"),
        (SMB2, "SMB"),
        (statfs::FUSE_SUPER_MAGIC, "FUSE"),
        (NINE_P, "9p"),
        (CEPH, "Ceph"),
        (AFS, "AFS"),
        (LUSTRE, "Lustre"),
        (GFS2, "GFS2"),
        (OCFS2, "OCFS2"),
        (VBOXSF, "a VirtualBox share"),
    ];
    Ok(shared.into_iter().find(|(magic, _)| *magic == fs).map(|(_, name)| name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::janitor::soon;

    #[test]
    fn a_flock_is_found_in_the_table_by_device_and_inode_and_by_nothing_else() {
        let table = "\
1: POSIX  ADVISORY  WRITE 4242 fe:00:77 0 EOF
2: FLOCK  ADVISORY  WRITE 4711 fe:00:77 0 EOF
2: -> FLOCK  ADVISORY  WRITE 4712 fe:00:77 0 EOF
3: FLOCK  ADVISORY  WRITE 1 fe:00:78 0 EOF
";
        assert_eq!(in_table(table, "fe:00:77"), Some(4711));
        assert_eq!(in_table(table, "fe:00:7"), None);
        assert_eq!(in_table("", "fe:00:77"), None);
    }

    #[test]
    fn a_flock_is_seen_without_being_taken_and_its_free_state_by_taking_it_for_a_moment() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let open = || File::options().create(true).append(true).open(dir.path().join("LOCK")).expect("opened");
        let (holder, other) = (open(), open());
        assert_eq!((ask_flock(&other), try_flock(&other)), (Kernel::Free, Kernel::Free));
        holder.try_lock().expect("it was given back");
        let held = Kernel::Held(Holder::Pid(std::process::id()));
        assert_eq!((ask_flock(&other), try_flock(&other)), (held.clone(), held));
    }

    #[test]
    fn a_socket_is_held_while_somebody_listens_and_free_when_nobody_does() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let path = dir.path().join("s");
        let listener = std::os::unix::net::UnixListener::bind(&path).expect("bound");
        assert_eq!(ask_socket(&path), Kernel::Held(Holder::Pid(std::process::id())));
        drop(listener);
        assert!(soon(|| ask_socket(&path) == Kernel::Free));
        std::fs::remove_file(&path).expect("removed");
        let datagrams = std::os::unix::net::UnixDatagram::bind(&path).expect("bound");
        assert_eq!(ask_socket(&path), Kernel::Held(Holder::Unnamed));
        drop(datagrams);
        assert!(matches!(ask_socket(&dir.path().join("none")), Kernel::Unknown(_)));
    }
}
