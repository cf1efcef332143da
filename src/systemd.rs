//! The service manager: what it passes in and what it is told. Without one (no `LISTEN_FDS`, no `NOTIFY_SOCKET`) there is nothing to take over, and every call does nothing.

use rustix::net::sockopt::{socket_acceptconn, socket_type};
use rustix::net::{AddressFamily, SocketType, sockopt::socket_domain};
use sd_notify::NotifyState;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

/// `FileDescriptorName=` of our socket unit.
pub const LISTENER: &str = "ipfs-kitd";

/// What was passed cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PassedError {
    /// The environment speaks of descriptors that are not there.
    #[error("cannot take over the descriptors that LISTEN_FDS speaks of")]
    Io(#[from] io::Error),
    /// What bears our name is something else.
    #[error(
        "{LISTENER} (descriptor {0}) is no stream socket that listens on a path; the socket unit needs ListenStream=/a/path and Accept=no"
    )]
    NoListener(RawFd),
}

/// A socket that the service manager has bound, and keeps.
#[derive(Debug)]
pub struct Passed {
    /// Clients wait in its queue while no daemon runs.
    pub listener: UnixListener,
    /// Where it is.
    pub path: PathBuf,
}

/// Takes over the descriptor that bears our name; others are closed. To be called once, before anything else here opens a
/// descriptor by a number.
pub fn listener() -> Result<Option<Passed>, PassedError> {
    let mut ours = None;
    for (number, name) in sd_notify::listen_fds_with_names()? {
        #[expect(unsafe_code, reason = "the environment says that these descriptors were passed to this process")]
        // SAFETY: open, as their flags were just set, and nobody else here knows of them.
        let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
        if name == LISTENER && ours.is_none() {
            ours = Some(check(number, descriptor)?);
        } else {
            tracing::warn!(descriptor = number, name, "closing what was passed in and is not the one {LISTENER}");
        }
    }
    Ok(ours)
}

fn check(number: RawFd, descriptor: OwnedFd) -> Result<Passed, PassedError> {
    let listens = socket_domain(&descriptor) == Ok(AddressFamily::UNIX)
        && socket_type(&descriptor) == Ok(SocketType::STREAM)
        && socket_acceptconn(&descriptor) == Ok(true);
    let listener = listens.then(|| UnixListener::from(descriptor)).ok_or(PassedError::NoListener(number))?;
    let path = listener.local_addr()?.as_pathname().map(PathBuf::from);
    Ok(Passed { path: path.ok_or(PassedError::NoListener(number))?, listener })
}

/// The socket answers and the index is open.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The ordered stop has begun.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// The configuration is being read again; [`ready`] ends it.
pub fn reloading() {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        tell(&[NotifyState::Reloading, now]);
    }
}

/// A line for `systemctl status`.
pub fn status(text: &str) {
    tell(&[NotifyState::Status(text)]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}
