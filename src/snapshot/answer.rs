//! What is said of the snapshots that there are: by the daemon, and without it.

use super::place::{Name, Place};
use proto_msgs::snapshot::{SnapshotAt, SnapshotList, SnapshotVerified, SnapshotVerify};
use proto_msgs::{Fault, FaultKind};
use std::io;

/// Lists them.
pub fn list(place: &Place) -> Result<SnapshotList, Fault> {
    let snapshots = place.rows().map_err(|error| unreadable(&error))?;
    Ok(SnapshotList { dir: place.dir().display().to_string(), snapshots })
}

/// Names the newest one of which every digest is right.
pub fn newest(place: &Place) -> Result<SnapshotAt, Fault> {
    let missing = |detail: String| Fault::new(FaultKind::NotFound, detail).hint("`ipfs-kitctl snapshot now` makes one");
    match chosen(place) {
        Ok(at) => Ok(at),
        Err(reasons) if reasons.is_empty() => Err(missing("there is no snapshot yet".to_owned())),
        Err(reasons) => Err(missing(format!("no snapshot is good: {}", reasons.join("; ")))),
    }
}

/// The same, or why none is good.
pub fn chosen(place: &Place) -> Result<SnapshotAt, Vec<String>> {
    let (name, manifest, passed_over) = place.choose()?;
    Ok(SnapshotAt { path: place.path(name).display().to_string(), manifest, passed_over })
}

/// Reads every byte of those that are meant.
pub fn verify(place: &Place, ask: &SnapshotVerify) -> Result<SnapshotVerified, Fault> {
    let meant = |name: &Name| ask.snapshot.as_deref().is_none_or(|words| name.is_meant_by(words));
    let names = place.names().map_err(|error| unreadable(&error))?;
    let names: Vec<Name> = names.into_iter().filter(meant).collect();
    if let (Some(words), []) = (&ask.snapshot, &names[..]) {
        return Err(Fault::new(FaultKind::NotFound, format!("there is no snapshot {words:?}"))
            .hint("`ipfs-kitctl snapshot ls` lists them"));
    }
    Ok(SnapshotVerified { snapshots: place.verify_all(names), problem: place.newest().err() })
}

/// The directory does not let itself be read.
pub(super) fn unreadable(error: &io::Error) -> Fault {
    Fault::new(FaultKind::Internal, format!("the snapshots cannot be read: {error}"))
}
