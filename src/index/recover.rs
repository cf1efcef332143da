//! What a new index file begins with: the newest snapshot that can be used, otherwise nothing. It is one transaction: whoever is killed
//! in the middle leaves a file without tables, which the next start takes for new.

use super::open::{OpenError, classify};
use super::refill::{self, Refusal};
use super::schema;
use crate::snapshot::place::Place;
use duckdb::Connection;
use std::path::Path;

/// Makes the tables. `lost` says what became of the file before; answers what is to be told.
pub(super) fn create(
    connection: &Connection,
    path: &Path,
    snapshots: &Place,
    lost: Option<String>,
) -> Result<Option<String>, OpenError> {
    let named = |error: duckdb::Error| classify(path, &error.to_string());
    // Whoever read a file of a snapshot has seen its generation, good or not.
    let newest = snapshots.newest().ok().flatten().map(|manifest| manifest.generation);
    let names = snapshots.names().unwrap_or_default().into_iter().map(|name| name.generation);
    let generation = names.chain(newest).max().map_or(0, |seen| seen + 1);
    let (mut before, mut passed_over) = (u64::MAX, Vec::new());
    let filled = loop {
        let (name, manifest) = match snapshots.choose_before(before) {
            Ok((name, manifest, reasons)) => {
                passed_over.extend(reasons);
                (name, manifest)
            }
            Err(reasons) => {
                passed_over.extend(reasons);
                break None;
            }
        };
        match refill::from_snapshot(connection, &snapshots.path(name), &manifest, generation) {
            Ok(()) => break Some((name, manifest.as_of.unwrap_or(manifest.created_at))),
            Err(Refusal::Unfit(why)) => passed_over.push(format!("{name}: {why}")),
            Err(Refusal::Duckdb(error)) => match named(error) {
                OpenError::Damaged { detail, .. } => passed_over.push(format!("{name}: {detail}")),
                // With room, or more memory, it will do.
                other => return Err(other),
            },
        }
        before = name.serial;
    };
    let mut told: Vec<String> = lost.into_iter().collect();
    match filled {
        Some((name, as_of)) => {
            if told.is_empty() {
                told.push("the index file was gone".to_owned());
            }
            told.push(format!(
                "it was filled from the snapshot {name} of {as_of}; sizes and history since then are lost, and the next \
listing of Kubo's pins makes it complete"
            ));
        }
        None => {
            schema::create(connection, generation).map_err(named)?;
            if !(told.is_empty() && passed_over.is_empty()) {
                told.push("it is rebuilt from Kubo".to_owned());
            }
        }
    }
    if !passed_over.is_empty() {
        passed_over.dedup();
        told.push(format!("of the snapshots these could not be used: {}", passed_over.join("; ")));
    }
    let told = (!told.is_empty()).then(|| told.join("; "));
    if let Some(told) = &told {
        tracing::warn!("{told}");
    }
    Ok(told)
}
