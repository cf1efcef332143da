//! `index import`: files of the Python system of before.

use serde::{Deserialize, Serialize};

/// `index import`: takes what is worth keeping from files of the old system. It makes no pin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct IndexImport {
    /// Absolute, as the daemon sees it: one file, or a directory such as `~/.ipfs_kit` with the known files below it.
    pub path: String,
}

/// What came of each file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct IndexImported {
    /// In the order in which they were read.
    pub sources: Vec<LegacySource>,
}

/// One file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LegacySource {
    /// Where it is.
    pub path: String,
    /// What was done with it.
    pub outcome: LegacyOutcome,
    /// In one sentence, where there is more to say than numbers.
    pub detail: Option<String>,
    /// SHA-256 of its content, where it could be read.
    pub digest: Option<String>,
    /// Which form it has: `A` to `F`, as `docs/DATA.md` describes them.
    pub form: Option<String>,
    /// Rows in it.
    pub rows: u64,
    /// Rows that the table `legacy` has of it.
    pub taken: u64,
    /// Values of taken rows that became null, by the rule.
    pub nulled: Vec<LegacyCount>,
    /// Columns of which nothing is taken; a hundred at most.
    pub ignored: Vec<String>,
    /// Rows that were not taken, by the reason.
    pub refused: Vec<LegacyRefused>,
    /// Whether a verified copy of it lies in `legacy-original/`, so that a file of ours may take its name.
    pub kept: bool,
}

/// What was done with a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LegacyOutcome {
    /// Its rows are in the table.
    Imported,
    /// A file of this content was imported before; nothing was done.
    Known,
    /// It is sound, and nothing in it is worth keeping.
    Nothing,
    /// It cannot be read, or is no such file.
    #[default]
    Failed,
    /// One that a newer daemon knows and this program does not.
    #[serde(other)]
    Unknown,
}

impl LegacyOutcome {
    /// As in JSON.
    pub fn name(self) -> &'static str {
        match self {
            LegacyOutcome::Imported => "imported",
            LegacyOutcome::Known => "known",
            LegacyOutcome::Nothing => "nothing",
            LegacyOutcome::Failed => "failed",
            LegacyOutcome::Unknown => "unknown",
        }
    }
}

/// How often a rule was used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LegacyCount {
    /// The rule.
    pub rule: String,
    /// Values.
    pub values: u64,
}

/// Rows that were refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LegacyRefused {
    /// Why.
    pub reason: String,
    /// How many.
    pub rows: u64,
    /// What stood for a CID in the first of them.
    pub examples: Vec<String>,
}
