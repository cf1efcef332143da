//! `index import`: files of the system of before, and what came of each.

use crate::args::{Format, Show};
use crate::ask::Ask;
use crate::cell::Cell;
use crate::exit::{self, Failure};
use crate::index::absolute;
use crate::list::{self, Row, Shape};
use crate::output::Out;
use proto_msgs::legacy::{IndexImport, LegacyOutcome, LegacySource};
use std::path::Path;

pub(crate) fn run(ask: &mut Ask, out: &mut Out, path: &Path, show: &Show) -> Result<u8, Failure> {
    list::known(out, &SOURCES, show)?;
    let mut imported = ask.call_slowly(IndexImport { path: absolute(path)? }, "importing")?;
    let sources = imported.sources.clone();
    list::whole(out, &SOURCES, show, &mut imported, ("sources", |imported| &mut imported.sources))?;
    if out.format == Format::Table {
        for source in &sources {
            for line in more(source) {
                out.line(crate::output::tame(&format!("{}: {line}", source.path)))?;
            }
        }
        if sources.iter().any(|source| source.taken > 0) {
            out.line("what was taken stands in legacy.parquet of the next snapshot (docs/DATA.md)")?;
        }
    }
    let failed = sources.iter().any(|source| source.outcome == LegacyOutcome::Failed);
    Ok(if failed { exit::FAILED } else { exit::OK })
}

pub(crate) const SOURCES: Shape = Shape {
    all: &["outcome", "form", "rows", "taken", "path", "detail"],
    table: &["outcome", "form", "rows", "taken", "path"],
    wide: &["outcome", "form", "rows", "taken", "path", "detail"],
};

impl Row for LegacySource {
    fn cell(&self, column: &str, _: &[String]) -> Cell<'_> {
        match column {
            "outcome" => Cell::text(self.outcome.name()),
            "form" => Cell::maybe(self.form.as_deref()),
            "rows" => Cell::Count(self.rows),
            "taken" => Cell::Count(self.taken),
            "path" => Cell::text(&self.path),
            "detail" => Cell::maybe(self.detail.as_deref()),
            _ => Cell::None,
        }
    }
}

/// What numbers do not say.
fn more(source: &LegacySource) -> Vec<String> {
    let mut lines: Vec<String> = source.detail.iter().cloned().collect();
    for refused in &source.refused {
        let examples = if refused.examples.is_empty() {
            String::new()
        } else {
            format!(", such as {}", refused.examples.join(", "))
        };
        lines.push(format!("{} refused ({}){examples}", refused.rows, refused.reason));
    }
    if !source.ignored.is_empty() {
        lines.push(format!("columns that are not taken: {}", source.ignored.join(", ")));
    }
    let nulled: Vec<_> = source.nulled.iter().map(|count| format!("{} {}", count.values, count.rule)).collect();
    if !nulled.is_empty() {
        lines.push(format!("values that meant nothing: {}", nulled.join(", ")));
    }
    lines
}
