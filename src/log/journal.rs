//! The journal's own form: fields as they are, so that `journalctl` filters by them. Each event becomes one datagram.
//!
//! Not by `tracing-journald`, which sends from the thread that logs and so waits for a journal that does not read.

use super::queue::Queue;
use std::fmt::Debug;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// systemd keeps it, also while the journal is started anew.
const SOCKET: &str = "/run/systemd/journal/socket";

/// What sends an entry, if there is a journal.
pub(super) fn sender() -> io::Result<impl Fn(&[u8]) -> io::Result<()> + Send> {
    let socket = UnixDatagram::unbound()?;
    let send = move |entry: &[u8]| socket.send_to(entry, SOCKET).map(drop);
    // The journal takes no notice of an empty one.
    send(&[])?;
    Ok(send)
}

/// Puts each event into the queue.
pub(super) struct Entries(pub(super) Arc<Queue>);

impl<S: Subscriber> Layer<S> for Entries {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let about = event.metadata();
        let priority = match *about.level() {
            Level::ERROR => "3",
            Level::WARN => "4",
            Level::INFO => "5",
            Level::DEBUG => "6",
            Level::TRACE => "7",
        };
        let mut entry = Entry(Vec::with_capacity(256));
        entry.put("PRIORITY", priority);
        entry.put("SYSLOG_IDENTIFIER", env!("CARGO_PKG_NAME"));
        entry.put("TARGET", about.target());
        entry.put("CODE_FILE", about.file().unwrap_or_default());
        entry.put("CODE_LINE", &about.line().unwrap_or_default().to_string());
        event.record(&mut entry);
        self.0.push(entry.0, about);
    }
}

struct Entry(Vec<u8>);

impl Entry {
    /// With its length: a value may have line ends.
    fn put(&mut self, name: &str, value: &str) {
        self.0.extend(
            name.bytes().map(|byte| if byte.is_ascii_alphanumeric() { byte.to_ascii_uppercase() } else { b'_' }),
        );
        self.0.push(b'\n');
        self.0.extend((value.len() as u64).to_le_bytes());
        self.0.extend(value.as_bytes());
        self.0.push(b'\n');
    }
}

impl Visit for Entry {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.put("MESSAGE", value),
            // The journal has names of its own.
            name => self.put(&format!("F_{name}"), value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_bears_its_length_and_a_name_that_the_journal_takes() {
        let mut entry = Entry(Vec::new());
        entry.put("F_a.b", "two\nlines");
        assert_eq!(entry.0, b"F_A_B\n\x09\0\0\0\0\0\0\0two\nlines\n");
    }
}
