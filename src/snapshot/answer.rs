//! What is said of the snapshots that there are: by the daemon, and without it.

use super::arrow::PINS_ARROW;
use super::place::{Name, Place, regular};
use proto_msgs::snapshot::{SnapshotAt, SnapshotList, SnapshotVerified, SnapshotVerify};
use proto_msgs::{Fault, FaultKind};
use std::io;
use std::os::fd::OwnedFd;

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
    Ok(SnapshotAt { path: place.path(name).display().to_string(), manifest, passed_over, made: false })
}

/// The newest one, and its `pins.arrow`, open. None of its bytes are read, so the time does not depend on how many pins there are.
pub fn pins(place: &Place) -> Result<(SnapshotAt, OwnedFd), Fault> {
    let missing = |detail: &str| {
        Fault::new(FaultKind::NotFound, detail).hint("`ipfs-kitctl snapshot now --arrow` makes one that has it")
    };
    let damaged =
        |detail: String| Fault::new(FaultKind::Internal, detail).hint("`ipfs-kitctl snapshot verify` says more");
    loop {
        let manifest = place.newest().map_err(damaged)?.ok_or_else(|| missing("there is no snapshot yet"))?;
        let facts = manifest.files.iter().find(|file| file.name == PINS_ARROW);
        let facts = facts.ok_or_else(|| missing("the newest snapshot has no pins.arrow"))?;
        let path = place.dir().join(&manifest.name);
        let file = match regular(&path.join(PINS_ARROW)) {
            Ok(file) => file,
            // It went between the two looks, so there is a newer one.
            Err(_) if place.newest().is_ok_and(|newest| newest.as_ref() != Some(&manifest)) => continue,
            Err(error) => return Err(damaged(format!("{PINS_ARROW} cannot be opened: {error}"))),
        };
        let length = file.metadata().map_err(|error| damaged(format!("{PINS_ARROW}: {error}")))?.len();
        if length != facts.bytes {
            return Err(damaged(format!("{PINS_ARROW} has {length} bytes where {} were written", facts.bytes)));
        }
        let at = SnapshotAt { path: path.display().to_string(), manifest, passed_over: Vec::new(), made: false };
        return Ok((at, file.into()));
    }
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
