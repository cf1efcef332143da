//! The newest lines of the log, for `log`: whoever has no journal, or may not read it, asks the daemon. What Kubo writes is kept
//! elsewhere, so that it pushes out nothing of these.

use crate::ring::Shared;
use proto_msgs::log::{LogLevel, LogLine};
use std::fmt::{Debug, Write};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// A longer line is cut here.
const LINE: usize = 64 << 10;

/// The lines, as a layer of the log.
pub(crate) struct Keep(pub(crate) &'static Shared<LogLine>);

impl<S: Subscriber> Layer<S> for Keep {
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
        self.0.lock().push(line, bytes);
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
    fn lines_are_kept_with_their_level_and_fields_and_without_those_of_kubo() {
        let kept: &'static Shared<LogLine> = Box::leak(Box::default());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(Keep(kept)), || {
            tracing::info!(uid = 7, "it began");
            tracing::warn!(target: "audit", "it failed");
            tracing::info!(target: "kubo", "noise");
            tracing::debug!("detail");
        });
        let ring = kept.lock();
        let lines: Vec<_> = ring.iter().map(|line| (line.level, line.text.as_str())).collect();
        let expected = [(LogLevel::Info, "it began uid=7"), (LogLevel::Warn, "it failed"), (LogLevel::Debug, "detail")];
        assert_eq!(lines, expected);
    }
}
