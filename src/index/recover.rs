//! What a new index file begins with: the newest snapshot that can be used, otherwise nothing. It is one transaction: whoever is killed
//! in the middle leaves a file without tables, which the next start takes for new.

use super::open::{OpenError, classify};
use super::refill::{self, Refusal};
use super::schema::{self, Meta};
use super::vfs;
use crate::snapshot::place::{Name, Place};
use duckdb::Connection;
use jiff::Timestamp;
use proto_msgs::snapshot::SnapshotManifest;
use std::path::Path;

/// Makes the tables. `lost` says what became of the file before; answers what is to be told.
pub(super) fn create(
    connection: &Connection,
    path: &Path,
    snapshots: &Place,
    lost: Option<String>,
) -> Result<Option<String>, OpenError> {
    let named = |error: duckdb::Error| classify(path, &error.to_string());
    // What cannot be read now may be the newest there is: not passed over for an older one, or for nothing.
    snapshots.reach().map_err(|error| OpenError::Unreadable {
        path: path.to_owned(),
        detail: format!("it is to be filled from a snapshot, and one cannot be read: {error}"),
    })?;
    // Whoever read a file of a snapshot has seen its generation, good or not.
    let newest = snapshots.newest().ok().flatten().map(|manifest| manifest.generation);
    let names = snapshots.names().unwrap_or_default().into_iter().map(|name| name.generation);
    let generation = names.chain(newest).max().map_or(0, |seen| seen + 1);
    let (filled, mut passed_over) = newest_that_fits(snapshots, |dir, manifest| {
        match refill::from_snapshot(connection, dir, manifest, Some(generation)) {
            Ok(_) => Ok(Ok(())),
            Err(Refusal::Unfit(why)) => Ok(Err(why)),
            Err(Refusal::Duckdb(error)) => match named(error) {
                OpenError::Damaged { detail, .. } => Ok(Err(detail)),
                // With room, or more memory, it will do.
                other => Err(other),
            },
        }
    })?;
    let mut told: Vec<String> = lost.into_iter().collect();
    match filled {
        Some((name, manifest, ())) => {
            let as_of = manifest.as_of.unwrap_or(manifest.created_at);
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
                vfs::apply::lose_track(connection, 0, Timestamp::now()).map_err(named)?;
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

/// The newest good snapshot, where it has more than the file that says this of itself: then the file, or its log, is an older one
/// than there was.
pub(super) fn newer(snapshots: &Place, meta: &Meta) -> Option<Name> {
    // Every byte of a snapshot is read only where a name says that it will be of use.
    if !snapshots.names().ok()?.iter().any(|name| name.generation > meta.generation) {
        return None;
    }
    let (name, manifest, _) = snapshots.choose().ok()?;
    let ours = meta.peer_id.is_none() || manifest.peer_id == meta.peer_id;
    let known = manifest.schema_version <= schema::VERSION;
    (ours && known && manifest.generation > meta.generation).then_some(name)
}

/// A snapshot, and what was made of it.
pub(super) type Taken<T> = (Name, SnapshotManifest, T);

/// Takes the newest snapshot of which every digest is right and that `take` does not refuse; and says why newer ones were passed over.
pub(super) fn newest_that_fits<T, E>(
    snapshots: &Place,
    take: impl Fn(&Path, &SnapshotManifest) -> Result<Result<T, String>, E>,
) -> Result<(Option<Taken<T>>, Vec<String>), E> {
    let (mut before, mut passed_over) = (u64::MAX, Vec::new());
    loop {
        let (name, manifest) = match snapshots.choose_before(before) {
            Ok((name, manifest, reasons)) => {
                passed_over.extend(reasons);
                (name, manifest)
            }
            Err(reasons) => {
                passed_over.extend(reasons);
                return Ok((None, passed_over));
            }
        };
        match take(&snapshots.path(name), &manifest)? {
            Ok(taken) => return Ok((Some((name, manifest, taken)), passed_over)),
            Err(why) => passed_over.push(format!("{name}: {why}")),
        }
        before = name.serial;
    }
}
