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
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Of the kernel's table of locks; one lock takes some 60 bytes.
const TABLE: u64 = 8 << 20;
/// Of the kernel's table of sockets; one takes some 100 bytes.
const SOCKETS: u64 = 32 << 20;

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
            match in_table(&table, &place) {
                Some(pid) => Kernel::Held(Holder::Pid(pid)),
                None if sees_all() => Kernel::Free,
                None => Kernel::Unknown("flocks of other PID namespaces do not show in ours".to_owned()),
            }
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

/// Whether our PID namespace is the first one, which all others lie in.
fn sees_all() -> bool {
    // The kernel's own number for it; `/proc/locks` leaves out whoever has no PID in our namespace.
    std::fs::metadata("/proc/self/ns/pid").is_ok_and(|namespace| namespace.ino() == 0xefff_fffc)
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

/// Whether somebody listens on a Unix socket. First by the kernel's table: a connection would start what a service manager has behind
/// it. What listens in another network namespace is not in there.
pub(crate) fn is_listening(path: &Path) -> bool {
    let table = socket_table().unwrap_or_default();
    sockets(&table).any(|socket| socket.listens && socket.is_stream && same_file(socket.path, path))
        || matches!(ask_socket(path), Kernel::Held(_))
}

/// The kernel's table of the Unix sockets of our network namespace.
fn socket_table() -> io::Result<Vec<u8>> {
    let mut table = Vec::new();
    // Not by `/proc/net`, which is hidden where only processes show.
    let read = File::open("/proc/self/net/unix")?.take(SOCKETS).read_to_end(&mut table)?;
    if read as u64 == SOCKETS { Err(io::Error::other("it is too long")) } else { Ok(table) }
}

/// A socket of that table which has a path; an abstract one's begins with `@`.
#[derive(Debug, PartialEq, Eq)]
struct Socket<'table> {
    listens: bool,
    is_stream: bool,
    /// It is not an end of a connection.
    unconnected: bool,
    path: &'table Path,
}

fn sockets(table: &[u8]) -> impl Iterator<Item = Socket<'_>> {
    /// `__SO_ACCEPTCON`.
    const LISTENS: u32 = 1 << 16;
    table.split(|byte| *byte == b'\n').filter_map(|line| {
        let mut rest = line;
        let [_num, _references, _protocol, flags, kind, state, _inode]: [&[u8]; 7] = std::array::from_fn(|_| {
            let line = rest.trim_ascii_start();
            let (word, after) = line.split_at(line.iter().position(|byte| *byte == b' ').unwrap_or(line.len()));
            rest = after;
            word
        });
        let flags = u32::from_str_radix(std::str::from_utf8(flags).ok()?, 16).ok()?;
        // The path is the rest, which may have spaces in it.
        let path = Path::new(OsStr::from_bytes(rest.strip_prefix(b" ")?));
        Some(Socket { listens: flags & LISTENS != 0, is_stream: kind == b"0001", unconnected: state == b"01", path })
    })
}

fn same_file(one: &Path, other: &Path) -> bool {
    let id = |path: &Path| path.symlink_metadata().map(|found| (found.dev(), found.ino())).ok();
    one.file_name() == other.file_name() && id(one).is_some_and(|one| Some(one) == id(other))
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
        Err(rustix::io::Errno::CONNREFUSED) => unless_bound(path),
        Err(error) => unknown(error),
    }
}

/// Between `bind` and `listen` a socket refuses as a dead one does, so the kernel's table of sockets is asked, and after the
/// connection: who was there before it is in the table still.
fn unless_bound(path: &Path) -> Kernel {
    match socket_table() {
        Ok(table) if is_bound(&table, path) => {
            Kernel::Unknown("a program has taken the address and does not listen there, or not yet".to_owned())
        }
        Ok(_) => Kernel::Free,
        Err(error) => Kernel::Unknown(format!("the kernel's table of sockets cannot be read ({error})")),
    }
}

/// Whether an unconnected socket of the table has this path. One that was bound from elsewhere in the tree has another path with
/// the same name; if it listens, that is no reason to take it for ours, which nobody answered.
fn is_bound(table: &[u8], path: &Path) -> bool {
    sockets(table)
        .filter(|socket| socket.unconnected)
        .any(|socket| socket.path == path || !socket.listens && socket.path.file_name() == path.file_name())
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
        let seen = ask_flock(&other);
        assert!(if sees_all() { seen == Kernel::Free } else { matches!(seen, Kernel::Unknown(_)) }, "{seen:?}");
        assert_eq!(try_flock(&other), Kernel::Free);
        holder.try_lock().expect("it was given back");
        let held = Kernel::Held(Holder::Pid(std::process::id()));
        assert_eq!((ask_flock(&other), try_flock(&other)), (held.clone(), held));
    }

    #[test]
    fn a_listener_is_found_without_a_connection_to_it() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let path = dir.path().join("with a space");
        let listener = std::os::unix::net::UnixListener::bind(&path).expect("bound");
        listener.set_nonblocking(true).expect("set");
        assert!(is_listening(&path));
        assert_eq!(listener.accept().expect_err("nobody came").kind(), io::ErrorKind::WouldBlock);
        drop(listener);
        assert!(soon(|| !is_listening(&path)));
        let table = b"0000000000000000: 00000002 00000000 00010000 0001 01 43531 /run/a b\n\
            0000000000000000: 00000003 00000000 00000000 0001 03 43532 /run/c\n\
            0000000000000000: 00000002 00000000 00010000 0005 01 43533 /run/d\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 43534 @/abstract\n";
        let listeners = sockets(table).filter(|socket| socket.listens && socket.is_stream).map(|socket| socket.path);
        assert_eq!(listeners.collect::<Vec<_>>(), [Path::new("/run/a b"), Path::new("@/abstract")]);
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

    #[test]
    fn a_socket_that_is_bound_and_does_not_listen_yet_is_not_taken_for_dead() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let path = dir.path().join("s");
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).expect("made");
        rustix::net::bind(&socket, &SocketAddrUnix::new(&path).expect("an address")).expect("bound");
        assert!(matches!(ask_socket(&path), Kernel::Unknown(why) if why.contains("not yet")));
        rustix::net::listen(&socket, 1).expect("it listens");
        assert_eq!(ask_socket(&path), Kernel::Held(Holder::Pid(std::process::id())));
        drop(socket);
        assert!(soon(|| ask_socket(&path) == Kernel::Free));
    }

    #[test]
    fn a_bound_socket_is_found_in_the_table_by_its_path_and_where_it_does_not_listen_by_its_name() {
        let of = |flags, state, path: &str| {
            let table = format!(
                "Num       RefCount Protocol Flags    Type St Inode Path\n\
                 0000000000000000: 00000002 00000000 00010000 0001 01 35064 /run/other\n\
                 0000000000000000: 00000002 00000000 00000000 0002 01 35063\n\
                 0000000000000000: 00000002 00000000 {flags} 0001 {state} 35065 {path}\n"
            );
            is_bound(table.as_bytes(), Path::new("/run/ipfs/a b.sock"))
        };
        let (listens, bound) = ("00010000", "00000000");
        assert!(of(bound, "01", "/run/ipfs/a b.sock"));
        assert!(of(listens, "01", "/run/ipfs/a b.sock"), "it began to listen after it had refused");
        assert!(of(bound, "01", "/data/a b.sock"), "as another mount namespace names it");
        assert!(of(bound, "01", "a b.sock") && of(bound, "01", "./a b.sock"));
        assert!(!of(listens, "01", "/data/a b.sock"), "it is another one, which answers");
        assert!(!of(bound, "03", "/run/ipfs/a b.sock"), "a connection that outlives its listener");
        assert!(!of(bound, "01", "/run/ipfs/other") && !of(bound, "01", "@a b.sock"));
    }
}
