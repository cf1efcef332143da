//! `access import`: lines that a client has read of a log. They share the cursor with what is followed, so that each counts once.

use super::follow::{Read, cursor_of, read};
use super::recorder::Recorder;
use super::web_line::LONGEST;
use crate::fault::ask;
use crate::index::access::{AskCursor, Once, Told};
use crate::index::actor::Index;
use jiff::Timestamp;
use kameo::actor::ActorRef;
use proto_msgs::access::{AccessImport, AccessImported, AccessSeen};
use proto_msgs::{Fault, FaultKind};
use std::sync::Arc;

/// Bytes up to which a line is not left out.
const LONG: u64 = LONGEST as u64;
/// While somebody else reads the same log.
const TRIES: usize = 5;

/// Takes the lines that are not known yet.
pub async fn import(
    index: &ActorRef<Index>,
    recorder: &Recorder,
    import: AccessImport,
) -> Result<AccessImported, Fault> {
    check(&import)?;
    let (of, by, import) = (cursor_of(&import.log), Arc::from(import.by.as_str()), Arc::new(import));
    for _ in 0..TRIES {
        let place = ask(index, AskCursor(of.clone())).await?.map(|cursor| cursor.place);
        let known = place.as_deref().and_then(|place| place.parse().ok()).unwrap_or(0);
        let (first, to) = unknown(&import, known);
        if first == import.lines.len() {
            return Ok(AccessImported { known, taken: 0, others: 0, wrong: 0, first_wrong: None });
        }
        if place.is_some() {
            whole(import.from, known)?;
        }
        let (lines, by) = (import.clone(), Arc::clone(&by));
        let Read { seen, others, wrong, first_wrong } = crate::fault::blocking(move || {
            read(lines.lines[first..].iter().map(String::as_str), &by, Timestamp::now())
        })
        .await?;
        let once = Once::Cursor { of: of.clone(), from: place, to: to.to_string() };
        let kept = recorder.record(Told { seen, once: Some(once) }, true).await?;
        if !kept.repeated {
            return Ok(AccessImported { known: to, taken: kept.taken, others, wrong, first_wrong });
        }
    }
    Err(Fault::new(FaultKind::Busy, "somebody else reads the same log").hint("import it again in a moment"))
}

/// The first line that begins behind what is known, and where the last one ends.
fn unknown(import: &AccessImport, known: u64) -> (usize, u64) {
    let (mut first, mut at) = (0, import.from);
    for line in &import.lines {
        if at < known {
            first += 1;
        }
        at = at.saturating_add(line.len() as u64 + 1);
    }
    (first, at)
}

/// A line that is left out is a long one. Fewer bytes between what is known and what comes are lines that somebody has forgotten, and
/// nobody would read them any more.
fn whole(from: u64, known: u64) -> Result<(), Fault> {
    match from.checked_sub(known) {
        Some(missing @ 1..=LONG) => {
            let detail = format!("{missing} bytes of the log are missing before `from`: it is known up to {known}");
            Err(Fault::new(FaultKind::Invalid, detail).hint("import its lines from there on"))
        }
        _ => Ok(()),
    }
}

fn check(import: &AccessImport) -> Result<(), Fault> {
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let wrong = if import.log.len() != 64 || !import.log.bytes().all(hex) {
        "`log` is the SHA-256 of the log's first line with its end, in 64 hexadecimal digits".to_owned()
    } else if import.by.is_empty() || import.by.len() > AccessSeen::WORD || import.by.contains(char::is_control) {
        format!("`by` has 1 to {} bytes, and no control character", AccessSeen::WORD)
    } else if import.lines.len() > AccessImport::MAX {
        format!("at most {} lines fit into a call", AccessImport::MAX)
    } else if import.from > 1 << 53 {
        "no log is so long".to_owned()
    } else if let Some(at) = import.lines.iter().position(|line| line.len() > LONGEST) {
        format!("line {} is longer than {LONGEST} bytes; leave it out, and go on behind it", at + 1)
    } else if let Some(at) = import.lines.iter().position(|line| line.contains('\n')) {
        format!("line {} is several lines", at + 1)
    } else {
        return Ok(());
    };
    Err(Fault::new(FaultKind::Invalid, wrong).hint("docs/PROTOCOL.md says how a log is imported"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn import(from: u64, lines: &[&str]) -> AccessImport {
        let lines = lines.iter().map(|line| (*line).to_owned()).collect();
        AccessImport { log: "0a".repeat(32), by: "access.log".to_owned(), from, lines }
    }

    #[test]
    fn lines_that_are_known_are_passed_over() {
        let lines = import(10, &["one", "two", "three"]);
        assert_eq!(unknown(&lines, 0), (0, 24));
        assert_eq!(unknown(&lines, 10), (0, 24));
        assert_eq!(unknown(&lines, 11), (1, 24), "a line that is known in part was read by somebody");
        assert_eq!(unknown(&lines, 18), (2, 24));
        assert_eq!(unknown(&lines, 100), (3, 24));
        assert_eq!(unknown(&import(7, &[]), 0), (0, 7));
    }

    #[test]
    fn lines_that_are_forgotten_before_others_are_asked_for() {
        assert!(whole(0, 100).is_ok() && whole(100, 100).is_ok());
        for from in [101, 100 + LONG] {
            let fault = whole(from, 100).expect_err("refused");
            assert!(fault.kind == FaultKind::Invalid && fault.detail.ends_with("known up to 100"), "{fault:?}");
        }
        assert!(whole(100 + LONG + 1, 100).is_ok(), "a line that is too long to be imported");
    }

    #[test]
    fn what_is_no_import_is_refused_before_anything_is_read() {
        assert_eq!(check(&import(0, &["one"])), Ok(()));
        let long = "x".repeat(LONGEST + 1);
        let many = vec!["x"; AccessImport::MAX + 1];
        for wrong in [
            AccessImport { log: "0A".repeat(32), ..import(0, &[]) },
            AccessImport { log: "0a".repeat(31), ..import(0, &[]) },
            AccessImport { by: String::new(), ..import(0, &[]) },
            AccessImport { by: "x".repeat(65), ..import(0, &[]) },
            import(1 << 60, &[]),
            import(0, &[&long]),
            import(0, &["one\ntwo"]),
            import(0, &many),
        ] {
            assert_eq!(check(&wrong).map_err(|fault| fault.kind), Err(FaultKind::Invalid));
        }
    }
}
