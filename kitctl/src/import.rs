//! `index import`: files of the system of before, and what came of each.

use crate::args::Format;
use crate::ask::Ask;
use crate::exit::{self, Failure};
use crate::output::{Out, Table};
use proto_msgs::legacy::{IndexImport, LegacyOutcome, LegacySource};
use std::path::Path;

pub(crate) fn run(ask: &mut Ask, out: &mut Out, path: &Path) -> Result<u8, Failure> {
    // The daemon stands in another directory.
    let path = std::path::absolute(path).map_err(Failure::Input)?;
    let Some(path) = path.to_str() else {
        return Err(Failure::Usage("the path is not UTF-8; give it a name that is".to_owned()));
    };
    let imported = ask.call(IndexImport { path: path.to_owned() })?;
    match out.format {
        Format::Table => {
            let mut table = Table::new(Some(&["outcome", "form", "rows", "taken", "file"]));
            for source in &imported.sources {
                let form = source.form.clone().unwrap_or_else(|| "-".to_owned());
                let (rows, taken) = (source.rows.to_string(), source.taken.to_string());
                table.row(out, vec![source.outcome.name().to_owned(), form, rows, taken, source.path.clone()])?;
            }
            table.finish(out)?;
            for source in &imported.sources {
                for line in more(source) {
                    out.line(crate::output::tame(&format!("{}: {line}", source.path)))?;
                }
            }
            if imported.sources.iter().any(|source| source.taken > 0) {
                out.line("what was taken stands in legacy.parquet of the next snapshot (docs/DATA.md)")?;
            }
        }
        Format::Ndjson => imported.sources.iter().try_for_each(|source| out.json(source))?,
        _ => out.answer(&imported)?,
    }
    let failed = imported.sources.iter().any(|source| source.outcome == LegacyOutcome::Failed);
    Ok(if failed { exit::FAILED } else { exit::OK })
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
