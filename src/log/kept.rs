//! The newest lines of the log, for `log`: whoever has no journal, or may not read it, asks the daemon. What Kubo writes is kept
//! elsewhere, so that it pushes out nothing of these.

use crate::ring::Ring;
use jiff::Timestamp;
use proto_msgs::log::{LogLevel, LogLine, LogPage};
use std::fmt::{Debug, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// A longer line is cut here.
const LINE: usize = 64 << 10;

/// The lines.
#[derive(Default)]
pub(crate) struct Kept(Mutex<Ring<LogLine>>);

impl Kept {
    /// The newest of those that are wanted, oldest first, and the number of the newest one that there is.
    pub(crate) fn newest(&self, lines: usize, since: Option<Timestamp>, least: LogLevel) -> (LogPage, u64) {
        let ring = self.ring();
        let new = |line: &&LogLine| since.is_none_or(|since| line.at.parse::<Timestamp>().is_ok_and(|at| at >= since));
        let wanted = ring.iter().rev().take_while(new).filter(|line| line.level <= least).take(lines);
        let mut lines: Vec<LogLine> = wanted.cloned().collect();
        lines.reverse();
        (LogPage { lines, dropped: ring.dropped() }, ring.written())
    }

    /// Those after that number, and how many are no longer kept; and the number of the newest one.
    pub(crate) fn after(&self, number: u64, least: LogLevel) -> (LogPage, u64) {
        let ring = self.ring();
        let (mut lines, dropped) = ring.after(number);
        lines.retain(|line| line.level <= least);
        (LogPage { lines, dropped }, ring.written())
    }

    /// The number of the newest line, as it rises.
    pub(crate) fn growth(&self) -> watch::Receiver<u64> {
        self.ring().growth()
    }

    fn ring(&self) -> MutexGuard<'_, Ring<LogLine>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber> Layer<S> for &'static Kept {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let about = event.metadata();
        if about.target() == "kubo" {
            return;
        }
        let level = match *about.level() {
            Level::ERROR => LogLevel::Error,
            Level::WARN => LogLevel::Warn,
            Level::INFO => LogLevel::Info,
            Level::DEBUG => LogLevel::Debug,
            Level::TRACE => LogLevel::Trace,
        };
        let mut words = Words::default();
        event.record(&mut words);
        let mut text = words.message + &words.fields;
        text.truncate(text.floor_char_boundary(LINE));
        let line = LogLine { at: crate::time::now(), level, target: about.target().to_owned(), text };
        let bytes = line.text.len() + line.target.len();
        self.ring().push(line, bytes);
    }
}

#[derive(Default)]
struct Words {
    message: String,
    fields: String,
}

impl Visit for Words {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            // Writing to a string does not fail.
            name => drop(write!(self.fields, " {name}={value}")),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::prelude::*;

    #[test]
    fn lines_are_kept_with_their_fields_and_found_by_level_and_time() {
        let kept: &'static Kept = Box::leak(Box::default());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(kept), || {
            tracing::info!(uid = 7, "it began");
            tracing::warn!(target: "audit", "it failed");
            tracing::info!(target: "kubo", "noise");
            tracing::debug!("detail");
        });
        let texts = |page: LogPage| page.lines.into_iter().map(|line| line.text).collect::<Vec<_>>();
        let (page, newest) = kept.newest(10, None, LogLevel::Info);
        assert_eq!((texts(page), newest), (vec!["it began uid=7".to_owned(), "it failed".to_owned()], 3));
        assert_eq!(texts(kept.newest(1, None, LogLevel::Trace).0), ["detail"]);
        assert_eq!(texts(kept.newest(10, None, LogLevel::Warn).0), ["it failed"]);
        assert_eq!(kept.newest(10, Some(Timestamp::MAX), LogLevel::Trace).0.lines, []);
        assert_eq!(texts(kept.after(1, LogLevel::Info).0), ["it failed"]);
    }
}
