//! What a worker says of a file, judged row by row, and the report of it.

use super::form::{self, Found};
use super::rules::{Nulled, Refusal, Row, Taken};
use super::wire::{Line, ROWS, Table};
use crate::cid::{self, Key};
use jiff::Timestamp;
use proto_msgs::legacy::{LegacyCount, LegacyOutcome, LegacyRefused, LegacySource};
use std::collections::{BTreeMap, HashSet};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Refused rows that are shown by what stands there for a CID.
const EXAMPLES: usize = 3;
/// Names of columns that are told.
const IGNORED: usize = 100;

/// What a worker says, on its way into a report.
pub(super) struct Reading {
    report: LegacySource,
    now: Timestamp,
    table: Option<(Table, form::Form)>,
    taken: Vec<Taken>,
    seen: HashSet<Key>,
    nulled: Nulled,
    refused: BTreeMap<Refusal, (u64, Vec<String>)>,
    whole: bool,
}

impl Reading {
    /// Nothing was said yet.
    pub(super) fn new(path: &Path) -> Reading {
        Reading {
            report: LegacySource { path: path.display().to_string(), ..LegacySource::default() },
            now: Timestamp::now(),
            table: None,
            taken: Vec::new(),
            seen: HashSet::new(),
            nulled: Nulled::new(),
            refused: BTreeMap::new(),
            whole: false,
        }
    }

    /// Takes in all that it says.
    pub(super) fn hear(&mut self, said: impl Read) -> Result<(), String> {
        for line in BufReader::new(said).lines() {
            let line = line.map_err(|error| format!("cannot read what is in it: {error}"))?;
            let line = serde_json::from_str(&line).map_err(|error| format!("its reader says nonsense: {error}"))?;
            match line {
                Line::Seen(digest) => self.report.digest = Some(digest),
                Line::Problem(why) => self.fail(why),
                Line::Text(begin) => {
                    let what = format!("it is not Parquet but text, which begins {begin:?}");
                    if begin.starts_with("updated=") {
                        // What one indexer wrote over its own file.
                        self.report.form = Some("E".to_owned());
                        self.nothing(what);
                    } else {
                        self.fail(what);
                    }
                }
                Line::Table(table) => self.table(table),
                Line::Row(values) => self.row(&values),
                Line::End => self.whole = true,
            }
        }
        Ok(())
    }

    /// Nothing is taken from it, for this reason.
    pub(super) fn fail(&mut self, why: String) {
        (self.report.outcome, self.report.detail) = (LegacyOutcome::Failed, Some(why));
        (self.table, self.whole) = (None, false);
        self.taken.clear();
        self.report.ignored.clear();
        self.refused.clear();
        self.nulled.clear();
    }

    fn nothing(&mut self, what: String) {
        (self.report.outcome, self.report.detail) = (LegacyOutcome::Nothing, Some(what));
    }

    fn table(&mut self, table: Table) {
        self.report.rows = table.rows;
        if table.ours {
            return self.nothing("ipfs-kitd has written it".to_owned());
        }
        match form::detect(&table.columns) {
            Found::Other(what) => self.nothing(format!("it holds {what}")),
            Found::Pins(_) if table.rows > ROWS => {
                self.fail(format!("it has {} rows; at most {ROWS} are taken from one file", table.rows));
            }
            Found::Pins(form) => {
                self.report.outcome = LegacyOutcome::Imported;
                self.report.form = Some(form.name().to_owned());
                let ignored = table.columns.iter().map(|(name, _)| name).filter(|name| !table.read.contains(name));
                self.report.ignored = ignored.take(IGNORED).cloned().collect();
                self.table = Some((table, form));
            }
        }
    }

    fn row(&mut self, values: &[serde_json::Value]) {
        let Some((table, form)) = &self.table else { return };
        let row = Row { names: &table.read, values, now: self.now };
        let mut nulled = Nulled::new();
        let (refusal, said) = match row.judge(*form, &mut nulled) {
            Ok(taken) if self.seen.insert(Key::of(&taken.cid)) => {
                for (rule, values) in nulled {
                    *self.nulled.entry(rule).or_default() += values;
                }
                return self.taken.push(taken);
            }
            Ok(taken) => (Refusal::Twice, cid::text(&taken.cid)),
            Err(refused) => refused,
        };
        let (rows, examples) = self.refused.entry(refusal).or_default();
        *rows += 1;
        if examples.len() < EXAMPLES && !said.is_empty() {
            examples.push(said);
        }
    }

    /// The report, and the rows.
    pub(super) fn end(mut self) -> (LegacySource, Vec<Taken>) {
        let judged = self.taken.len() as u64 + self.refused.values().map(|(rows, _)| rows).sum::<u64>();
        if self.report.outcome == LegacyOutcome::Imported && (!self.whole || judged != self.report.rows) {
            self.fail("it is damaged: it ends before its rows do".to_owned());
        }
        if self.report.outcome == LegacyOutcome::Imported && self.taken.is_empty() {
            // The old programs have written samples, and nothing, over what they knew. What was imported before stays.
            let demo = !self.refused.is_empty() && self.refused.keys().all(|refusal| *refusal == Refusal::Demo);
            if demo {
                self.report.form = Some("F".to_owned());
            }
            let what =
                if demo { "nothing but samples that the old program made up" } else { "no row that can be taken" };
            self.nothing(format!("it holds {what}"));
        }
        self.report.taken = self.taken.len() as u64;
        let nulled = self.nulled.into_iter();
        self.report.nulled =
            nulled.map(|(rule, values)| LegacyCount { rule: rule.name().to_owned(), values }).collect();
        let refused = self.refused.into_iter().map(|(refusal, (rows, examples))| LegacyRefused {
            reason: refusal.name().to_owned(),
            rows,
            examples,
        });
        self.report.refused = refused.collect();
        (self.report, self.taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::legacy::wire::Kind;
    use serde_json::json;

    const CID: &str = "bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";

    /// What a worker would say of a table of form B that says to have so many rows.
    fn told(rows: u64, cids: &[&str], whole: bool) -> (LegacySource, usize) {
        let column = |name: &str| (name.to_owned(), Kind::Text);
        let columns = vec![column("cid"), column("pin_type"), column("timestamp")];
        let table = Table { columns, read: vec!["cid".to_owned()], rows, ours: false };
        let mut lines = vec![Line::Seen("digest".to_owned()), Line::Table(table)];
        lines.extend(cids.iter().map(|cid| Line::Row(vec![json!(cid)])));
        lines.extend(whole.then_some(Line::End));
        let lines: Vec<_> = lines.iter().map(|line| serde_json::to_string(line).expect("JSON") + "\n").collect();
        let mut reading = Reading::new(Path::new("/old/pins.parquet"));
        reading.hear(lines.concat().as_bytes()).expect("heard");
        let (report, taken) = reading.end();
        (report, taken.len())
    }

    #[test]
    fn rows_are_counted_once_for_each_cid() {
        let (report, taken) = told(4, &[CID, "none", CID, ""], true);
        assert_eq!((report.outcome, report.rows, report.taken, taken), (LegacyOutcome::Imported, 4, 1, 1));
        let refused: Vec<_> =
            report.refused.iter().map(|of| (of.reason.as_str(), of.rows, of.examples.len())).collect();
        assert_eq!(refused, [("invalid_cid", 1, 1), ("no_cid", 1, 0), ("twice", 1, 1)]);
    }

    #[test]
    fn what_ends_before_its_rows_do_is_not_taken() {
        for (rows, whole) in [(2, true), (1, false), (0, true)] {
            let (report, taken) = told(rows, &[CID], whole);
            assert_eq!((report.outcome, report.taken, taken), (LegacyOutcome::Failed, 0, 0), "{rows} {whole}");
        }
        assert_eq!(told(ROWS + 1, &[], true).0.outcome, LegacyOutcome::Failed);
    }

    #[test]
    fn samples_and_empty_tables_take_the_place_of_nothing() {
        let demo = told(2, &["QmDemo1", "QmTestDemo2"], true).0;
        assert_eq!((demo.outcome, demo.form.as_deref()), (LegacyOutcome::Nothing, Some("F")));
        for cids in [[].as_slice(), &["none"]] {
            let report = told(cids.len() as u64, cids, true).0;
            assert_eq!((report.outcome, report.form.as_deref()), (LegacyOutcome::Nothing, Some("B")));
        }
    }
}
