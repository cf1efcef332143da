//! `access record`: what an application has seen, checked here and handed to the recorder, all of it or nothing.

use super::route::Routes;
use crate::fault::{blocking, brief};
use crate::index::access::{Once, Seen, Told};
use jiff::{SignedDuration, Timestamp};
use proto_msgs::access::{AccessRecord, AccessRecorded, AccessSeen, AccessSource};
use proto_msgs::{Fault, FaultKind};
use std::collections::HashSet;
use std::sync::Arc;

/// By so much may the clock of who has seen something be ahead of ours.
const AHEAD: SignedDuration = SignedDuration::from_secs(60);
/// Numbers above it are not the same for all readers of JSON.
const EXACT: u64 = 1 << 53;
/// To read more than so many CIDs takes longer than a thread of the runtime may be held up.
const FEW: usize = 100;

pub(super) async fn record(routes: &Routes, verb: AccessRecord) -> Result<AccessRecorded, Fault> {
    if !routes.config.borrow().analytics.record {
        return Err(Fault::new(FaultKind::Conflict, "accesses are not recorded: `analytics.record` is false")
            .hint("set it to true in the daemon's configuration and reload that"));
    }
    let durable = verb.durable;
    let told = if verb.accesses.len() > FEW {
        blocking(move || told(verb, Timestamp::now())).await??
    } else {
        told(verb, Timestamp::now())?
    };
    let kept = routes.recorder.record(told, durable).await?;
    Ok(AccessRecorded { taken: kept.taken, repeated: kept.repeated, durable })
}

/// What was told, if all of it can be.
fn told(verb: AccessRecord, now: Timestamp) -> Result<Told, Fault> {
    let count = verb.accesses.len();
    if count > AccessRecord::MAX {
        let detail = format!("{count} accesses are more than a call may have");
        return Err(invalid(detail).hint(format!("at most {} of them", AccessRecord::MAX)));
    }
    let batch = verb.batch.map(|name| word("the name of the batch", name)).transpose()?;
    let mut words = Words::default();
    let read = |(number, access): (usize, AccessSeen)| {
        seen(access, now, &mut words).map_err(|fault| Fault {
            detail: format!("access {} of {count}: {}", number + 1, fault.detail),
            hint: Some(format!(
                "nothing was recorded; {}",
                fault.hint.as_deref().unwrap_or("mend it, then record all again")
            )),
            ..fault
        })
    };
    let seen = verb.accesses.into_iter().enumerate().map(read).collect::<Result<_, _>>()?;
    Ok(Told { seen, once: batch.map(Once::Batch) })
}

/// Words that many accesses have in common.
#[derive(Default)]
struct Words(HashSet<Arc<str>>);

impl Words {
    fn take(&mut self, what: &str, text: Option<String>) -> Result<Option<Arc<str>>, Fault> {
        let Some(text) = text else { return Ok(None) };
        if let Some(known) = self.0.get(text.as_str()) {
            return Ok(Some(known.clone()));
        }
        let known: Arc<str> = word(what, text)?.into();
        self.0.insert(known.clone());
        Ok(Some(known))
    }
}

fn seen(access: AccessSeen, now: Timestamp, words: &mut Words) -> Result<Seen, Fault> {
    let AccessSeen { cid, at, path, bytes, offset, op, by } = access;
    let at = match at {
        None => now,
        Some(text) => {
            let at = crate::time::parse(&text)?;
            if at > now.saturating_add(AHEAD).unwrap_or(now) {
                let detail = format!("{} is yet to come: here it is {}", brief(&text), crate::time::text(now));
                return Err(invalid(detail).hint("set the clock that it was taken from"));
            }
            if at < Timestamp::UNIX_EPOCH {
                return Err(invalid(format!("{} is before 1970", brief(&text))));
            }
            at
        }
    };
    let path = path.map(|path| path.trim_start_matches('/').to_owned()).filter(|path| !path.is_empty());
    if let Some(long) = path.as_ref().map(String::len).filter(|bytes| *bytes > AccessSeen::PATH) {
        return Err(invalid(format!("its path has {long} bytes, and may have {}", AccessSeen::PATH)));
    }
    if let Some(number) = [bytes, offset].into_iter().flatten().find(|number| *number > EXACT) {
        return Err(invalid(format!("{number} bytes are more than there can be")));
    }
    Ok(Seen {
        at,
        cid: crate::cid::parse(&cid)?,
        path,
        op: words.take("its `op`", op)?,
        bytes,
        offset,
        source: AccessSource::Record,
        by: words.take("its `by`", by)?,
    })
}

/// A short text without control characters.
fn word(what: &str, text: String) -> Result<String, Fault> {
    if text.is_empty() || text.len() > AccessSeen::WORD || text.contains(char::is_control) {
        let shown = brief(&text);
        let wanted = format!("1 to {} bytes without control characters", AccessSeen::WORD);
        return Err(invalid(format!("{what}, {shown:?}, is not {wanted}")));
    }
    Ok(text)
}

fn invalid(detail: String) -> Fault {
    Fault::new(FaultKind::Invalid, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAW: &str = "bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";

    fn now() -> Timestamp {
        "2026-11-22T05:00:00Z".parse().expect("a time")
    }

    fn access(fill: impl FnOnce(&mut AccessSeen)) -> AccessSeen {
        let mut access = AccessSeen { cid: RAW.to_owned(), ..AccessSeen::default() };
        fill(&mut access);
        access
    }

    fn read(accesses: Vec<AccessSeen>) -> Result<Told, Fault> {
        told(AccessRecord { accesses, ..AccessRecord::default() }, now())
    }

    #[test]
    fn what_an_application_says_is_taken_as_it_is_meant() {
        let raw = crate::cid::parse(RAW).expect("a CID");
        let base58 = raw.to_string_of_base(cid::multibase::Base::Base58Btc).expect("base58");
        let told = read(vec![
            access(|_| {}),
            access(|a| {
                (a.at, a.path, a.op) =
                    (Some("2026-11-22T06:00:59+01:00".into()), Some("//a/b".into()), Some("cat".into()))
            }),
            access(move |a| (a.cid, a.path, a.bytes) = (base58, Some("/".into()), Some(EXACT))),
        ]);
        let told = told.expect("it is right").seen;
        assert_eq!((told[0].at, told[0].path.as_deref(), told[0].source), (now(), None, AccessSource::Record));
        assert_eq!(
            (told[1].at, told[1].path.as_deref(), told[1].op.as_deref()),
            (now() + SignedDuration::from_secs(59), Some("a/b"), Some("cat"))
        );
        assert_eq!((told[2].path.as_deref(), told[2].bytes), (None, Some(EXACT)));
        assert_eq!(told[2].cid, raw);
    }

    #[test]
    fn a_wrong_access_is_named_by_its_number_and_none_is_taken() {
        type Spoil = fn(&mut AccessSeen);
        let wrong: [(&str, Spoil); 8] = [
            ("not a CID", |a| a.cid = "Qm".into()),
            ("not a time", |a| a.at = Some("now".into())),
            ("yet to come", |a| a.at = Some("2026-11-22T05:01:01Z".into())),
            ("before 1970", |a| a.at = Some("1969-12-31T23:59:59Z".into())),
            ("1025 bytes", |a| a.path = Some("x".repeat(1025))),
            ("`op`", |a| a.op = Some("x".repeat(65))),
            ("`by`", |a| a.by = Some("a\nb".into())),
            ("more than there can be", |a| a.offset = Some(EXACT + 1)),
        ];
        for (why, spoil) in wrong {
            let fault = read(vec![access(|_| {}), access(spoil), access(|_| {})]).expect_err(why);
            assert!(fault.kind == FaultKind::Invalid && fault.detail.contains(why), "{why}: {}", fault.detail);
            assert!(fault.detail.starts_with("access 2 of 3: "), "{}", fault.detail);
            assert!(fault.hint.is_some_and(|hint| hint.starts_with("nothing was recorded")));
        }
        assert!(read(vec![access(|_| {}); AccessRecord::MAX]).is_ok());
        assert!(read(vec![access(|_| {}); AccessRecord::MAX + 1]).is_err());
        for batch in ["", "a\tb", &"x".repeat(65)] {
            let verb = AccessRecord { batch: Some(batch.to_owned()), ..AccessRecord::default() };
            assert!(told(verb, now()).is_err(), "{batch:?}");
        }
    }
}
