//! An index in a directory of its own, and the shortest ways to say what is put into it.

use ipfs_kitd::board::IndexState;
use ipfs_kitd::cid::Cid;
use ipfs_kitd::cid::text;
use ipfs_kitd::index::apply::{self, Applied, ApplyAdded, ApplyRemoved, ListingChanges, Token, Unchanged};
use ipfs_kitd::index::error::IndexError;
use ipfs_kitd::index::open::OpenError;
use ipfs_kitd::index::query;
use ipfs_kitd::index::set::{Keyed, Pinned};
use ipfs_kitd::index::store::Store;
use jiff::Timestamp;
use proto_msgs::pin::{Pin, PinLs, PinType};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

pub(crate) const NODE: &str = "12D3KooWNode";
pub(crate) const RECURSIVE: PinType = PinType::Recursive;
pub(crate) const DIRECT: PinType = PinType::Direct;
/// Long enough on any machine; a test that waits for it has failed.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// The n-th raw CID.
pub(crate) fn raw(n: u64) -> Cid {
    Cid::new_v1(0x55, sha(n))
}

/// The multihash of the n-th block.
pub(crate) fn sha(n: u64) -> cid::multihash::Multihash<128> {
    let mut digest = [0; 32];
    // Spread over all keys, so that rising numbers are not rising keys.
    digest[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    digest[8..16].copy_from_slice(&n.to_be_bytes());
    cid::multihash::Multihash::wrap(0x12, &digest).expect("32 bytes")
}

pub(crate) fn pin(cid: Cid, pin_type: PinType, name: &str) -> Pinned {
    Pinned::new(cid, pin_type, Some(name))
}

/// The n-th minute of the tests.
pub(crate) fn minute(n: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + 60 * n).expect("a time")
}

/// A listing without changes.
pub(crate) fn listing(token: Token, at: Timestamp) -> ListingChanges {
    let peer_id = NODE.to_owned();
    ListingChanges { token, as_of: at, peer_id, added: vec![], changed: vec![], removed: vec![], whole: true }
}

/// The index of this directory, its journal in it.
pub(crate) fn open(dir: &Path) -> Result<Store, OpenError> {
    Store::open(dir, &dir.join("journal"), &dir.join("snapshots"))
}

pub(crate) struct Place {
    dir: TempDir,
    pub(crate) store: Store,
}

impl Place {
    pub(crate) fn new() -> Place {
        Place::of(tempfile::tempdir().expect("a temp dir"))
    }

    pub(crate) fn of(dir: TempDir) -> Place {
        let store = open(dir.path()).expect("an index");
        Place::at(dir, store)
    }

    pub(crate) fn at(dir: TempDir, store: Store) -> Place {
        Place { dir, store }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.path().join("pins.duckdb")
    }

    pub(crate) fn wal(&self) -> PathBuf {
        self.path().join("pins.duckdb.wal")
    }

    pub(crate) async fn close(self) -> TempDir {
        self.store.close(LONG).await;
        self.dir
    }

    pub(crate) fn state(&self) -> IndexState {
        self.store.state().borrow().clone()
    }

    pub(crate) async fn begin(&self) -> (Token, Keyed) {
        self.store.write(|_, state| Ok(apply::begin_listing(state))).await.expect("begun")
    }

    pub(crate) async fn apply(&self, changes: ListingChanges) -> Result<Applied, IndexError> {
        self.store.write(|connection, state| apply::listing(connection, state, changes)).await
    }

    /// Begins a listing and applies it at once.
    pub(crate) async fn list(&self, at: Timestamp, fill: impl FnOnce(&mut ListingChanges)) -> Applied {
        let mut changes = listing(self.begin().await.0, at);
        fill(&mut changes);
        self.apply(changes).await.expect("applied")
    }

    pub(crate) async fn unchanged(&self, token: Token, at: Timestamp) -> Result<(), IndexError> {
        let listing = Unchanged { token, as_of: at, peer_id: NODE.to_owned() };
        self.store.write(|connection, state| apply::unchanged(connection, state, listing)).await
    }

    pub(crate) async fn add(&self, cid: Cid, pin_type: PinType, name: &str) -> (u64, Pin) {
        let pin = ApplyAdded { cid, pin_type, name: Some(name.to_owned()) };
        self.store.write(|connection, state| apply::added(connection, state, pin)).await.expect("added")
    }

    pub(crate) async fn remove(&self, cid: Cid) -> u64 {
        let pin = ApplyRemoved { cid };
        self.store.write(|connection, state| apply::removed(connection, state, pin)).await.expect("removed")
    }

    /// All rows that a listing shows, and its total.
    pub(crate) async fn ls(&self, ask: PinLs) -> (u64, Vec<Pin>) {
        let rows = self.store.read(move |connection| {
            let chosen = query::choose(connection, &ask, None)?;
            Ok((chosen.total, query::rows(connection, &chosen.keys)?))
        });
        rows.await.expect("rows")
    }

    /// CID, type and name of every pin, in the order of the first sight; checks that the set says the same.
    pub(crate) async fn pins(&self) -> Vec<(String, PinType, String)> {
        let (total, rows) = self.ls(PinLs::default()).await;
        let set = self.state().set;
        assert_eq!((total, total), (rows.len() as u64, set.len()));
        assert_eq!(set.iter().count() as u64, set.len());
        let direct = rows.iter().filter(|row| row.pin_type == DIRECT).count() as u64;
        assert_eq!((set.direct(), set.recursive()), (direct, total - direct));
        rows.into_iter().map(|row| (row.cid, row.pin_type, row.name.unwrap_or_default())).collect()
    }

    /// Runs statements on the writer's connection.
    pub(crate) async fn sql(&self, sql: &'static str) {
        self.store.write(move |connection, _| Ok(connection.execute_batch(sql)?)).await.expect(sql);
    }

    /// One number out of the file.
    pub(crate) async fn number(&self, sql: &'static str) -> i64 {
        let number = self.store.read(move |connection| Ok(connection.query_row(sql, [], |row| row.get(0))?));
        number.await.expect("a number")
    }
}

/// What [`Place::pins`] says of a pin.
pub(crate) fn told(cid: Cid, pin_type: PinType, name: &str) -> (String, PinType, String) {
    (text(&cid), pin_type, name.to_owned())
}
