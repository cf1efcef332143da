//! What the service manager is told. Without one (no `NOTIFY_SOCKET`) every call does nothing.

use sd_notify::NotifyState;

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
