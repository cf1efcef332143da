//! The service manager: what it passes in and what it is told. Without one (no `LISTEN_FDS`, no `NOTIFY_SOCKET`, no
//! `WATCHDOG_USEC`) there is nothing to take over, and every call does nothing.

use rustix::net::sockopt::{socket_acceptconn, socket_type};
use rustix::net::{AddressFamily, SocketType, sockopt::socket_domain};
use sd_notify::NotifyState;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::PathBuf;
use std::time::Duration;

/// `FileDescriptorName=` of our socket unit.
pub const LISTENER: &str = "ipfs-kitd";

/// How long a service manager that does not read may hold us up.
const TELL: Duration = Duration::from_secs(1);

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

/// Within which time the service manager wants to hear of us, again and again; `None` when it does not.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|within| !within.is_zero())
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

/// Everybody who matters has answered.
pub fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// The line in `systemctl status`.
#[derive(Default)]
pub struct StatusLine(String);

impl StatusLine {
    /// Tells the line when it is another than the last one.
    pub fn say(&mut self, line: String) {
        // A line end would begin another message.
        let line = line.replace(char::is_control, " ");
        if line != self.0 {
            tell(&[NotifyState::Status(&line)]);
            self.0 = line;
        }
    }
}

/// Not by `sd_notify::notify`, which waits for as long as nobody reads.
fn tell(states: &[NotifyState<'_>]) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let text: String = states.iter().map(|state| format!("{state}\n")).collect();
    let told = UnixDatagram::unbound().and_then(|socket| {
        socket.set_write_timeout(Some(TELL))?;
        socket.connect(path)?;
        socket.send(text.as_bytes())
    });
    if let Err(error) = told {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}
