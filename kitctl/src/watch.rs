//! `--watch`: the same question again and again over one connection. A terminal is redrawn in place; a pipe gets tables one after
//! another, and of what machines read only what differs from before.
//!
//! Nothing of the terminal is changed that would have to be put back, so that Ctrl-C can end it as it ends every other command.

use crate::args::{Args, Format};
use crate::ask::Ask;
use crate::exit::Failure;
use crate::output::{Out, say};
use proto_msgs::{ClientError, FaultKind};
use std::env;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};
use terminal_size::{Height, Width, terminal_size};
use unicode_width::UnicodeWidthStr;

/// A question that takes long is asked more rarely: the time between two is at least this many times as long.
const REST: u32 = 4;

/// Asks until something goes wrong that does not pass. `answer` writes one answer.
pub(crate) fn run(
    args: &Args,
    ask: &mut Ask,
    out: &mut Out,
    every: Duration,
    mut answer: impl FnMut(&mut Ask, &mut Out) -> Result<u8, Failure>,
) -> Result<u8, Failure> {
    let place = if !out.is_terminal() {
        Place::Pipe
    } else if env::var_os("TERM").is_some_and(|term| term == "dumb") {
        Place::Paper
    } else {
        Place::Screen
    };
    let table = matches!(args.global.format(), Format::Table | Format::Wide);
    let (mut before, mut first, mut told) = (None, true, String::new());
    loop {
        let began = Instant::now();
        out.hold();
        let mut done = answer(ask, out);
        if !first && done.as_ref().is_err_and(passes) {
            // A daemon closes what was idle for long.
            ask.hang_up();
            out.hold();
            done = answer(ask, out);
        }
        let (text, notes) = out.held();
        match done {
            Ok(_) => {
                told.clear();
                let digest = (!table).then(|| digest(&text));
                if digest.is_none() || digest != before {
                    match place {
                        Place::Screen => out.raw(&screen(&text, &notes))?,
                        _ => {
                            out.raw(if table && !first { "\n" } else { "" })?;
                            out.raw(&text)?;
                            out.finish()?;
                            notes.iter().for_each(|note| say(note));
                        }
                    }
                }
                before = digest;
            }
            Err(failure) if first || !passes(&failure) => return Err(failure),
            Err(failure) => {
                ask.hang_up();
                let why = failure.to_string();
                if place == Place::Screen {
                    out.raw(&screen("", &[why]))?;
                } else if why != told {
                    say(&why);
                    told = why;
                }
            }
        }
        out.finish()?;
        first = false;
        std::thread::sleep(every.max(began.elapsed().saturating_mul(REST)));
    }
}

/// Where answers go.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Screen,
    /// A terminal that only goes on.
    Paper,
    Pipe,
}

/// Whether it may go well a moment later: the daemon is started anew, or has too much to do.
fn passes(failure: &Failure) -> bool {
    use FaultKind::{Busy, Interrupted, KuboDown, NotReady, Timeout};
    match failure {
        Failure::Unreachable { .. } => true,
        Failure::Client(ClientError::Fault(fault)) => {
            [Busy, Interrupted, KuboDown, NotReady, Timeout].contains(&fault.kind)
        }
        Failure::Client(ClientError::Foreign(_)) => false,
        Failure::Client(_) => true,
        _ => false,
    }
}

/// In the place of what was there before, as far as there is room.
fn screen(text: &str, notes: &[String]) -> String {
    let (width, height) = terminal_size().map_or((80, 24), |(Width(width), Height(height))| (width, height));
    let lines = text.lines().chain(notes.iter().map(String::as_str)).collect::<Vec<_>>();
    format!("\x1b[H{}\x1b[J", fitted(&lines, usize::from(width.max(1)), usize::from(height.max(2))))
}

/// As many lines as fit above the cursor's, each erased to its end.
fn fitted(lines: &[&str], width: usize, height: usize) -> String {
    let rows = |line: &str| line.width().div_ceil(width).max(1);
    let all: usize = lines.iter().map(|line| rows(line)).sum();
    // One for the cursor, and one to say that there is more.
    let room = if all < height { height - 1 } else { height.saturating_sub(2) };
    let (mut text, mut used, mut shown) = (String::new(), 0, 0);
    for line in lines {
        used += rows(line);
        if used > room {
            break;
        }
        shown += 1;
        text += &format!("{line}\x1b[K\n");
    }
    if shown < lines.len() {
        text += &format!("… {} more lines\x1b[K\n", lines.len() - shown);
    }
    text
}

/// Of a document without what only says how late it is.
fn digest(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    for line in text.lines() {
        settled(line).hash(&mut hasher);
    }
    hasher.finish()
}

fn settled(line: &str) -> String {
    let mut line = line.to_owned();
    for clock in ["\"age_s\":", "\"uptime_s\":", "\"lag_s\":", "\"memory\":"] {
        while let Some(at) = line.find(clock) {
            let end = line[at..].find([',', '}']).map_or(line.len(), |end| at + end);
            line.replace_range(at..end, "");
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_ages_is_no_change() {
        let status = |age, pins| format!("{{\"as_of\":\"T\",\"age_s\":{age},\"pins\":{pins},\"uptime_s\":{age}}}\n");
        assert_eq!(digest(&status(1.5, 2)), digest(&status(3.5, 2)));
        assert_ne!(digest(&status(1.5, 2)), digest(&status(1.5, 3)));
    }

    #[test]
    fn a_screen_shows_what_fits_and_how_much_does_not() {
        assert_eq!(fitted(&["a", "b"], 10, 3), "a\x1b[K\nb\x1b[K\n");
        assert_eq!(fitted(&["a", "b", "c"], 10, 3), "a\x1b[K\n… 2 more lines\x1b[K\n");
        // A long line takes two rows.
        assert_eq!(fitted(&["abcdef", "b"], 5, 3), "… 2 more lines\x1b[K\n");
        assert_eq!(fitted(&["abcdef", "b"], 5, 4), "abcdef\x1b[K\nb\x1b[K\n");
    }
}
