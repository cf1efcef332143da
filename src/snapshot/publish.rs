//! One snapshot: written under a temporary name while DuckDB is read, sealed afterwards, renamed, and named by the manifest last.
//!
//! Killed at any moment it leaves the old manifest or the new one, and every file that either names is whole. What else it
//! leaves has a name that the next start removes.

use super::arrow::{BATCH, PINS_ARROW, Sorted};
use super::output::{FILE_MODE, Finished, Output};
use super::parquet::Table;
use super::place::{MANIFEST, Name, Place};
use super::retention::{Kept, superfluous};
use super::{atomic, backup, place};
use crate::index::error::IndexError;
use crate::index::export::{Head, Sink};
use crate::index::store::Store;
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use jiff::{SignedDuration, Timestamp};
use proto_msgs::snapshot::{SNAPSHOT_FORMAT, SNAPSHOT_FORMAT_VERSION, SnapshotManifest};
use proto_msgs::upkeep::BACKUP_FORMAT;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::OwnedMutexGuard;

/// Who has it makes the one snapshot that is under way.
pub type Turn = OwnedMutexGuard<()>;

/// What to publish.
pub struct Order {
    /// Where to.
    pub place: Place,
    /// The generation that [`as_of`](Self::as_of) is said of.
    pub generation: u64,
    /// When the index last held what Kubo held.
    pub as_of: Option<Timestamp>,
    /// Whether all pins of the node are in the index.
    pub complete: bool,
    /// About how many pins there are; `None`: no `pins.arrow`.
    pub arrow: Option<u64>,
}

/// Why there is no new snapshot. The older ones are as they were.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The tables could not be read, or not be written to files.
    #[error(transparent)]
    Export(#[from] IndexError),
    /// The files could not be put into force.
    #[error(transparent)]
    Seal(#[from] io::Error),
}

impl PublishError {
    /// Whether there is no room.
    pub fn is_full(&self) -> bool {
        match self {
            PublishError::Export(error) => error.wants_room(),
            PublishError::Seal(error) => {
                matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
        }
    }
}

/// Publishes. When the future is dropped while DuckDB is read, it ends soon and leaves nothing.
pub async fn publish(store: &Store, order: Order, turn: Turn) -> Result<SnapshotManifest, PublishError> {
    let written = store.export(Writing::new(order, turn)).await?;
    // Not within the transaction, which keeps DuckDB from checkpoints.
    let sealed = tokio::task::spawn_blocking(move || written.seal()).await;
    Ok(sealed.unwrap_or_else(|error| Err(io::Error::other(error)))?)
}

/// Writes the same into one file elsewhere, and puts nothing into force; the file's length.
pub async fn back_up(
    store: &Store,
    order: Order,
    turn: Turn,
    to: PathBuf,
    replace: bool,
) -> Result<(SnapshotManifest, u64), PublishError> {
    let written = store.export(Writing::new(order, turn)).await?;
    let packed = tokio::task::spawn_blocking(move || written.pack(&to, replace)).await;
    Ok(packed.unwrap_or_else(|error| Err(io::Error::other(error)))?)
}

/// Removes what is no longer needed; what cannot be removed is left for the next time.
pub fn retire(place: &Place, now: Timestamp, keep: usize, age: Duration, spare: Option<u64>) -> io::Result<()> {
    let named = place.newest().ok().flatten().map(|manifest| manifest.serial);
    let spare: Vec<u64> = named.into_iter().chain(spare).collect();
    let names = place.names()?;
    let kept = |name: &Name| {
        let (created, good) = place.created(*name)?;
        Ok(Kept { serial: name.serial, created, good })
    };
    let kept = names.iter().map(kept).collect::<io::Result<Vec<_>>>()?;
    let age = SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX);
    let gone = superfluous(&kept, now, keep, age, &spare);
    names.iter().filter(|name| gone.contains(&name.serial)).try_for_each(|name| place.remove(*name))
}

/// A snapshot under way. Dropped before its end, its directory is removed.
pub struct Writing {
    order: Order,
    began: Instant,
    created: Timestamp,
    serial: u64,
    dir: Temporary,
    head: Head,
    stamp: Vec<(String, String)>,
    table: Option<Table<Output>>,
    sorted: Option<Sorted>,
    finished: Vec<Finished>,
    /// Last, as fields are dropped in their order: whoever has it next is to find no directory of ours.
    _turn: Arc<Turn>,
}

impl Writing {
    /// Not yet begun. It has the turn to its end, and longer where others have it too.
    pub fn new(order: Order, turn: impl Into<Arc<Turn>>) -> Writing {
        Writing {
            order,
            began: Instant::now(),
            created: Timestamp::now(),
            serial: 0,
            dir: Temporary(None),
            head: Head::default(),
            stamp: Vec::new(),
            table: None,
            sorted: None,
            finished: Vec::new(),
            _turn: turn.into(),
        }
    }

    fn as_of(&self) -> Option<Timestamp> {
        // The file learns of listings that change nothing only now and then.
        let known = self.order.as_of.filter(|_| self.order.generation == self.head.generation);
        known.or_else(|| Timestamp::from_microsecond(self.head.as_of_us?).ok())
    }

    /// Where it is while it is under way.
    fn dir(&self) -> io::Result<&Path> {
        self.dir.path()
    }

    /// Puts the files on disk; what they are.
    fn end(&mut self) -> io::Result<(Name, SnapshotManifest)> {
        let files = std::mem::take(&mut self.finished).into_iter().map(Finished::seal).collect::<io::Result<_>>()?;
        let name = Name { generation: self.head.generation, serial: self.serial };
        let manifest = SnapshotManifest {
            format: SNAPSHOT_FORMAT.to_owned(),
            format_version: SNAPSHOT_FORMAT_VERSION,
            schema_version: self.head.schema_version,
            name: name.to_string(),
            generation: name.generation,
            serial: name.serial,
            as_of: self.as_of().map(crate::time::text),
            created_at: crate::time::text(self.created),
            complete: self.order.complete,
            peer_id: self.head.peer_id.clone(),
            journal_seq: Some(self.head.journal_seq),
            took_s: (self.began.elapsed().as_secs_f64() * 1e3).round() / 1e3,
            files,
        };
        Ok((name, manifest))
    }

    /// Packs them into one file; its length.
    pub fn pack(mut self, to: &Path, replace: bool) -> io::Result<(SnapshotManifest, u64)> {
        let (_, manifest) = self.end()?;
        let manifest = SnapshotManifest { format: BACKUP_FORMAT.to_owned(), ..manifest };
        let bytes = backup::pack(self.dir()?, &manifest, to, replace)?;
        Ok((manifest, bytes))
    }

    fn seal(mut self) -> io::Result<SnapshotManifest> {
        let (name, manifest) = self.end()?;
        let text = serde_json::to_vec_pretty(&manifest)?;
        let (place, dir) = (&self.order.place, self.dir()?);
        let name_it =
            |dir: &Path| atomic::replace_with(&dir.join(MANIFEST), FILE_MODE, |mut file| file.write_all(&text));
        name_it(dir)?;
        let path = place.path(name);
        std::fs::rename(dir, &path)?;
        self.dir.0 = None;
        let named = atomic::sync_parent(&path).and_then(|()| name_it(place.dir()));
        if let Err(error) = named {
            // Without a manifest that names it nobody was told of it. With one it stays, although a power cut may bring the older
            // manifest back: both name something whole.
            if place.newest().is_ok_and(|newest| newest.is_none_or(|newest| newest.serial != name.serial)) {
                let _ = place.remove(name);
            }
            return Err(error);
        }
        Ok(manifest)
    }
}

impl Sink for Writing {
    fn head(&mut self, head: Head) -> io::Result<()> {
        let newest = self.order.place.names()?.first().map_or(0, |name| name.serial);
        let named = self.order.place.newest().ok().flatten().map_or(0, |manifest| manifest.serial);
        self.serial = newest.max(named) + 1;
        self.dir = Temporary::create(self.order.place.aside(self.serial))?;
        self.head = head;
        let (generation, schema) = (self.head.generation.to_string(), self.head.schema_version.to_string());
        let stamp = [
            ("schema_version", Some(schema)),
            ("generation", Some(generation)),
            ("serial", Some(self.serial.to_string())),
            ("created_at", Some(crate::time::text(self.created))),
            ("as_of", self.as_of().map(crate::time::text)),
            ("peer_id", self.head.peer_id.clone()),
        ];
        self.stamp = stamp.into_iter().filter_map(|(key, value)| Some((format!("{STAMP}{key}"), value?))).collect();
        Ok(())
    }

    fn begin(&mut self, table: &'static str, schema: SchemaRef) -> io::Result<()> {
        if let Some(expected) = self.order.arrow.filter(|_| table == "pins") {
            self.sorted = Some(Sorted::begin(self.dir()?, &schema, expected.max(BATCH as u64))?);
        }
        let output = Output::create(&self.dir()?.join(format!("{table}.parquet")))?;
        self.table = Some(Table::begin(output, schema, &self.stamp)?);
        Ok(())
    }

    fn rows(&mut self, rows: &RecordBatch) -> io::Result<()> {
        if let Some(sorted) = &mut self.sorted {
            sorted.push(rows)?;
        }
        self.table.as_mut().map_or(Ok(()), |table| table.push(rows))
    }

    fn end(&mut self) -> io::Result<()> {
        if let Some(table) = self.table.take() {
            self.finished.push(table.finish()?);
        }
        if let Some(sorted) = self.sorted.take() {
            let output = Output::create(&self.dir()?.join(PINS_ARROW))?;
            self.finished.push(sorted.finish(output, &self.stamp)?);
        }
        Ok(())
    }
}

/// What the keys in the files' own metadata begin with.
pub const STAMP: &str = "ipfs_kitd.";

/// A directory that goes with its owner.
struct Temporary(Option<PathBuf>);

impl Temporary {
    /// Makes it; its name is to be one that the next start removes. What a former try could not remove goes first, whose number was
    /// not used.
    fn create(dir: PathBuf) -> io::Result<Temporary> {
        match std::fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => place::make_dir(&dir)?,
        }
        Ok(Temporary(Some(dir)))
    }

    /// Where it is.
    fn path(&self) -> io::Result<&Path> {
        self.0.as_deref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(dir) = &self.0 {
            // What stays has a name that the next start removes.
            let _ = std::fs::remove_dir_all(dir);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_schema::Schema;

    fn writing(dir: &Path, turn: Turn) -> Writing {
        let place = Place::open(dir).expect("made");
        let order = Order { place, generation: 1, as_of: None, complete: true, arrow: None };
        let mut writing = Writing::new(order, turn);
        writing.head(Head::default()).expect("begun");
        writing
    }

    #[tokio::test]
    async fn what_a_failed_try_has_left_is_not_in_the_way_of_the_next() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let turn = Arc::new(tokio::sync::Mutex::new(()));
        let left = Place::open(dir.path()).expect("made").aside(1);
        std::fs::create_dir(&left).expect("made");
        std::fs::write(left.join("pins.parquet"), "half").expect("written");
        let mut next = writing(dir.path(), turn.clone().lock_owned().await);
        next.begin("pins", Arc::new(Schema::empty())).expect("a new file");
        assert_eq!(next.dir().expect("a directory"), left);
        assert_ne!(std::fs::read(left.join("pins.parquet")).expect("read"), b"half");
    }

    #[tokio::test]
    async fn whoever_has_the_turn_next_finds_nothing_of_a_try_that_was_given_up() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let turn = Arc::new(tokio::sync::Mutex::new(()));
        let given_up = writing(dir.path(), turn.clone().lock_owned().await);
        let under_way = given_up.dir().expect("a directory").to_owned();
        // So many that they do not go at once.
        (0..2000).for_each(|n| std::fs::write(under_way.join(n.to_string()), "").expect("written"));
        let next = std::thread::spawn(move || {
            let _turn = turn.blocking_lock();
            under_way.exists()
        });
        drop(given_up);
        assert!(!next.join().expect("no panic"));
    }
}
