//! Record locks over whole files, taken through an open file description (OFD), so that this process loses none by closing another
//! descriptor of the same file.

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use std::fs::File;

/// A write lock over the whole of a file.
pub(crate) fn whole() -> libc::flock {
    libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

/// A write lock through this very descriptor, at once or not at all. It stays until the last copy of the descriptor is closed,
/// whatever else this process opens and closes.
pub(crate) fn take(file: &File) -> Result<(), Errno> {
    fcntl(file, FcntlArg::F_OFD_SETLK(&whole())).map(drop)
}

/// Gives it up, for every copy of the descriptor: a process that is being started has one until it executes.
pub(crate) fn give_up(file: &File) {
    // An error leaves it to the closing.
    let _ = fcntl(file, FcntlArg::F_OFD_SETLK(&libc::flock { l_type: libc::F_UNLCK as libc::c_short, ..whole() }));
}
