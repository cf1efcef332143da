//! What a row of the old system is worth: values that were made up become NULL, rows without a CID are refused. Each rule has the
//! name that the report gives it, and a line in `docs/DATA.md`.

use super::form::Form;
use crate::cid::{self, Cid};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::Value;
use std::collections::BTreeMap;

/// A value that became NULL, by the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rule {
    /// `pin_` and the first twelve characters of the CID.
    MadeUpName,
    /// The type that was written without looking.
    DefaultType,
    /// 0 stood for "not measured", and so did what is below.
    NoSize,
    /// 0 stood for "not counted", and so did what is below.
    NoCount,
    /// A time of access although nothing was counted, or that of the row itself.
    NoAccess,
    /// The tier that was written without asking.
    DefaultTier,
    /// `false` stood for "nobody has looked".
    NotLooked,
    /// `unknown` and `unverified`.
    Unverified,
    /// Before 1970 or in the future.
    ImpossibleTime,
    /// A text with nothing in it.
    EmptyText,
    /// Of a type that the column never had, or a text too long to be meant.
    WrongType,
}

impl Rule {
    /// As the report has it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Rule::MadeUpName => "made_up_name",
            Rule::DefaultType => "default_type",
            Rule::NoSize => "no_size",
            Rule::NoCount => "no_count",
            Rule::NoAccess => "no_access",
            Rule::DefaultTier => "default_tier",
            Rule::NotLooked => "not_looked",
            Rule::Unverified => "unverified",
            Rule::ImpossibleTime => "impossible_time",
            Rule::EmptyText => "empty_text",
            Rule::WrongType => "wrong_type",
        }
    }
}

/// Why a row is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Refusal {
    /// Samples that the old program made.
    Demo,
    /// Not a CID.
    InvalidCid,
    /// None at all.
    NoCid,
    /// The source has it in a row before.
    Twice,
}

impl Refusal {
    /// As the report has it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Refusal::Demo => "demo",
            Refusal::InvalidCid => "invalid_cid",
            Refusal::NoCid => "no_cid",
            Refusal::Twice => "twice",
        }
    }
}

/// What is kept of a row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Taken {
    pub(super) cid: Cid,
    pub(super) name: Option<String>,
    pub(super) pin_type: Option<String>,
    pub(super) size: Option<i64>,
    /// Microseconds since 1970: when the old system wrote the row, which is not when it was pinned.
    pub(super) recorded_at: Option<i64>,
    pub(super) last_access: Option<i64>,
    pub(super) access_count: Option<i64>,
    pub(super) tier: Option<String>,
    pub(super) vfs_path: Option<String>,
    pub(super) is_directory: Option<bool>,
    pub(super) integrity: Option<String>,
}

/// How often each rule was used.
pub(super) type Nulled = BTreeMap<Rule, u64>;

/// Names of the samples that `pin init` wrote, with CIDs that are none.
const SAMPLES: &[&str] = &["sample_document.pdf", "sample_image.jpg", "sample_data.json"];
const DEMO: &[&str] = &["QmDemo", "QmTestDemo"];
/// The clock of a machine may have been ahead.
const AHEAD: i64 = 86_400_000_000;

/// A row as it was read, its values by the names of their columns.
pub(super) struct Row<'a> {
    pub(super) names: &'a [String],
    pub(super) values: &'a [Value],
    pub(super) now: Timestamp,
}

impl Row<'_> {
    fn value(&self, names: &[&str]) -> &Value {
        let position = names.iter().find_map(|name| self.names.iter().position(|column| column == name));
        position.and_then(|position| self.values.get(position)).unwrap_or(&Value::Null)
    }

    /// What is kept of it; otherwise why nothing is, and what stands there for a CID.
    pub(super) fn judge(&self, form: Form, nulled: &mut Nulled) -> Result<Taken, (Refusal, String)> {
        let said = match self.value(&["cid"]) {
            Value::String(text) => text.as_str(),
            _ => return Err((Refusal::NoCid, String::new())),
        };
        let cid = cid::parse(said).map_err(|_| {
            let sample = self.value(&["name"]).as_str().is_some_and(|name| SAMPLES.contains(&name));
            let demo = sample || DEMO.iter().any(|prefix| said.starts_with(prefix));
            let refusal = match () {
                () if said.trim().is_empty() => Refusal::NoCid,
                () if demo => Refusal::Demo,
                () => Refusal::InvalidCid,
            };
            (refusal, said.chars().take(100).collect())
        })?;
        let mut values = Values { nulled };
        let name = values.text(self.value(&["name"]));
        let made_up =
            |name: &String| name.strip_prefix("pin_").is_some_and(|rest| rest.len() >= 8 && said.starts_with(rest));
        let name = values.unless(Rule::MadeUpName, name, made_up);
        let pin_type = match form {
            // `false` was the default of a command that nobody carried out.
            Form::C => match self.value(&["recursive"]) {
                Value::Bool(true) => Some("recursive".to_owned()),
                Value::Bool(false) => values.null(Rule::DefaultType),
                other => values.no(other),
            },
            _ => values.text(self.value(&["pin_type", "type"])),
        };
        let known = ["recursive", "direct", "indirect"];
        let pin_type = values.unless(Rule::DefaultType, pin_type, |of| !known.contains(&of.as_str()));
        let size = values.integer(self.value(&["size_bytes", "file_size", "size"]));
        let size = values.unless(Rule::NoSize, size, |size| *size <= 0);
        let recorded = self.value(&["timestamp", "last_updated", "created_at", "pin_time"]);
        let recorded_at = values.time(recorded, self.now);
        let access_count = values.integer(self.value(&["access_count"]));
        let access_count = values.unless(Rule::NoCount, access_count, |count| *count <= 0);
        // 0 stood for "never".
        let accessed = self.value(&["last_accessed"]);
        let last_access =
            if accessed.as_f64() == Some(0.0) { values.null(Rule::NoAccess) } else { values.time(accessed, self.now) };
        // The indexer of form B stamped each row with the time of its own run.
        let stamped = |at: &i64| access_count.is_none() || (form == Form::B && recorded_at == Some(*at));
        let last_access = values.unless(Rule::NoAccess, last_access, stamped);
        let tier = values.text(self.value(&["primary_tier", "tier"]));
        let default = match form {
            Form::A => "ipfs",
            _ => "local",
        };
        let tier = values.unless(Rule::DefaultTier, tier, |tier| tier == default);
        let vfs_path = values.text(self.value(&["vfs_path"]));
        let is_directory = match self.value(&["is_directory"]) {
            Value::Bool(true) => Some(true),
            Value::Bool(false) => values.null(Rule::NotLooked),
            other => values.no(other),
        };
        let integrity = values.text(self.value(&["integrity_status", "verification_status"]));
        let vague = ["unknown", "unverified", "pending"];
        let integrity = values.unless(Rule::Unverified, integrity, |said| vague.contains(&said.as_str()));
        Ok(Taken {
            cid,
            name,
            pin_type,
            size,
            recorded_at,
            last_access,
            access_count,
            tier,
            vfs_path,
            is_directory,
            integrity,
        })
    }
}

/// Values on their way into the table; what is left out on it is counted.
struct Values<'a> {
    nulled: &'a mut Nulled,
}

impl Values<'_> {
    fn null<T>(&mut self, rule: Rule) -> Option<T> {
        *self.nulled.entry(rule).or_default() += 1;
        None
    }

    fn unless<T>(&mut self, rule: Rule, value: Option<T>, holds: impl FnOnce(&T) -> bool) -> Option<T> {
        match value {
            Some(value) if holds(&value) => self.null(rule),
            value => value,
        }
    }

    /// Of a type that does not belong here.
    fn no<T>(&mut self, value: &Value) -> Option<T> {
        if value.is_null() { None } else { self.null(Rule::WrongType) }
    }

    fn text(&mut self, value: &Value) -> Option<String> {
        match value {
            Value::String(text) if text.is_empty() => self.null(Rule::EmptyText),
            Value::String(text) => Some(text.clone()),
            other => self.no(other),
        }
    }

    fn integer(&mut self, value: &Value) -> Option<i64> {
        // pandas makes reals of integers as soon as one of them is missing.
        let whole = |real: f64| (real.fract() == 0.0 && real.abs() < 9e15).then_some(real as i64);
        match value.as_i64().or_else(|| value.as_f64().and_then(whole)) {
            Some(number) => Some(number),
            None => self.no(value),
        }
    }

    fn time(&mut self, value: &Value, now: Timestamp) -> Option<i64> {
        let micros = match value {
            Value::Number(seconds) => seconds.as_f64().filter(|s| s.abs() < 1e12).map(|s| (s * 1e6).round() as i64),
            Value::String(text) => parse(text).map(Timestamp::as_microsecond),
            Value::Object(time) => time.get("us").and_then(Value::as_i64),
            Value::Null => return None,
            _ => return self.null(Rule::WrongType),
        };
        match micros {
            Some(at) if at > 0 && at <= now.as_microsecond().saturating_add(AHEAD) => Some(at),
            _ => self.null(Rule::ImpossibleTime),
        }
    }
}

/// ISO 8601, which Python writes without a zone: then it is taken for UTC.
fn parse(text: &str) -> Option<Timestamp> {
    let civil = || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok().map(|at| at.timestamp());
    text.parse().ok().or_else(civil)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_rule_and_every_refusal_is_documented() {
        use Refusal::*;
        use Rule::*;
        let rules = [
            MadeUpName,
            DefaultType,
            NoSize,
            NoCount,
            NoAccess,
            DefaultTier,
            NotLooked,
            Unverified,
            ImpossibleTime,
            EmptyText,
            WrongType,
        ];
        let refusals = [Demo, InvalidCid, NoCid, Twice].map(Refusal::name);
        let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/DATA.md");
        let page = std::fs::read_to_string(page).expect("readable");
        let untold =
            rules.map(Rule::name).into_iter().chain(refusals).filter(|name| !page.contains(&format!("| `{name}` |")));
        assert_eq!(untold.collect::<Vec<_>>(), Vec::<&str>::new());
    }

    const CID: &str = "bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";
    const AT: i64 = 1_753_000_000;

    type Judged = Result<Taken, (Refusal, String)>;

    fn judge(form: Form, row: Value) -> (Judged, Vec<(&'static str, u64)>) {
        let row = row.as_object().expect("columns").clone();
        let (names, values): (Vec<String>, Vec<Value>) = row.into_iter().unzip();
        let now = Timestamp::from_second(AT + 1000).expect("a time");
        let mut nulled = Nulled::new();
        let taken = Row { names: &names, values: &values, now }.judge(form, &mut nulled);
        (taken, nulled.into_iter().map(|(rule, rows)| (rule.name(), rows)).collect())
    }

    fn nothing() -> Taken {
        Taken {
            cid: cid::parse(CID).expect("a CID"),
            name: None,
            pin_type: None,
            size: None,
            recorded_at: None,
            last_access: None,
            access_count: None,
            tier: None,
            vfs_path: None,
            is_directory: None,
            integrity: None,
        }
    }

    #[test]
    fn what_the_indexer_of_form_b_made_up_becomes_null() {
        let (taken, nulled) = judge(
            Form::B,
            json!({
                "cid": CID, "name": format!("pin_{}", &CID[..12]), "pin_type": "recursive", "timestamp": AT as f64 + 0.5,
                "size_bytes": 0, "access_count": 0, "last_accessed": AT as f64 + 0.5, "vfs_path": null, "is_directory": false,
                "primary_tier": "local", "integrity_status": "unverified",
            }),
        );
        let at = Some(AT * 1_000_000 + 500_000);
        let expected = Taken { pin_type: Some("recursive".to_owned()), recorded_at: at, ..nothing() };
        assert_eq!(taken, Ok(expected));
        let rules = ["made_up_name", "no_size", "no_count", "no_access", "default_tier", "not_looked", "unverified"];
        assert_eq!(nulled, rules.map(|rule| (rule, 1)));
    }

    #[test]
    fn what_somebody_knew_is_kept() {
        let (taken, nulled) = judge(
            Form::A,
            json!({
                "cid": format!(" /ipfs/{CID}"), "name": "pin_it", "type": "direct", "last_updated": AT, "size_bytes": 17.0,
                "access_count": 3, "last_accessed": {"us": AT * 1_000_000}, "vfs_path": "/a/b", "is_directory": true,
                "primary_tier": "local", "integrity_status": "verified", "hotness_score": [],
            }),
        );
        let expected = Taken {
            name: Some("pin_it".to_owned()),
            pin_type: Some("direct".to_owned()),
            size: Some(17),
            recorded_at: Some(AT * 1_000_000),
            last_access: Some(AT * 1_000_000),
            access_count: Some(3),
            tier: Some("local".to_owned()),
            vfs_path: Some("/a/b".to_owned()),
            is_directory: Some(true),
            integrity: Some("verified".to_owned()),
            ..nothing()
        };
        assert_eq!((taken, nulled), (Ok(expected), vec![]));
    }

    #[test]
    fn rows_without_a_cid_are_refused_by_their_reason() {
        let refused = |row| judge(Form::B, row).0.expect_err("refused").0.name();
        assert_eq!(refused(json!({"cid": null})), "no_cid");
        assert_eq!(refused(json!({"cid": " "})), "no_cid");
        assert_eq!(refused(json!({"name": "x"})), "no_cid");
        assert_eq!(refused(json!({"cid": "QmDemoData1"})), "demo");
        assert_eq!(
            refused(json!({"cid": "QmXnnyufdzAWL5CqZ2RnSNgPbvCc1ALT73s6epPrRnZ1X", "name": "sample_image.jpg"})),
            "demo"
        );
        assert_eq!(
            refused(json!({"cid": "QmXnnyufdzAWL5CqZ2RnSNgPbvCc1ALT73s6epPrRnZ1X", "name": "x"})),
            "invalid_cid"
        );
        assert_eq!(refused(json!({"cid": "--"})), "invalid_cid");
    }

    #[test]
    fn times_come_as_numbers_texts_and_points_and_only_possible_ones_are_kept() {
        let at = |value: Value| judge(Form::C, json!({"cid": CID, "created_at": value})).0.expect("taken").recorded_at;
        let expected = Some(AT * 1_000_000);
        let text = Timestamp::from_second(AT).expect("a time").to_string();
        assert_eq!(at(json!(text)), expected);
        assert_eq!(at(json!(text.trim_end_matches('Z'))), expected, "without a zone");
        assert_eq!((at(json!(AT)), at(json!({"us": AT * 1_000_000}))), (expected, expected));
        for impossible in [json!(-1), json!(0), json!(1e300), json!(AT + 100_000), json!("yesterday"), json!(true)] {
            assert_eq!(at(impossible.clone()), None, "{impossible}");
        }
        assert_eq!(judge(Form::C, json!({"cid": CID, "recursive": false})).1, [("default_type", 1)]);
        assert_eq!(
            judge(Form::C, json!({"cid": CID, "recursive": "yes", "name": ""})).1,
            [("empty_text", 1), ("wrong_type", 1)]
        );
    }
}
