//! A pin out of `pins.arrow` is the pin that DuckDB has, or none.

use crate::place::*;
use crate::snapshot::{publish, snapshots};
use ipfs_kitd::cid::{Cid, Key};
use ipfs_kitd::index::apply;
use ipfs_kitd::index::mark::What;
use ipfs_kitd::index::marks::{self, Say};
use ipfs_kitd::index::query;
use ipfs_kitd::index::sizes::{ApplySizes, Measured};
use ipfs_kitd::snapshot::lookup::{Disk, PinFile};
use proto_msgs::pin::{Pin, SizeKind};
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

/// A file of what the index holds now.
async fn copied(place: &Place) -> (PinFile, PathBuf) {
    let fresh = place.store.write(apply::begin_copy).await.expect("begun");
    let to = snapshots(place);
    let manifest = publish(place, &to).await.expect("published");
    let path = to.dir().join(manifest.name).join("pins.arrow");
    (PinFile::open(&path, fresh).expect("readable"), path)
}

fn found(place: &Place, file: &PinFile, cid: &Cid) -> Option<Vec<Pin>> {
    let entries = place.state().set.block(&Key::of(cid));
    let found = file.pins(&entries, Disk::Wait).expect("read");
    match file.pins(&entries, Disk::Cached) {
        Ok(cached) => assert_eq!(cached, found),
        Err(error) => assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Unsupported), "{error}"),
    }
    found
}

async fn in_the_index(place: &Place, cid: &Cid) -> Vec<Pin> {
    let ids: Vec<u64> = place.state().set.block(&Key::of(cid)).iter().map(|entry| entry.id()).collect();
    place.store.read(move |connection| query::rows(connection, &ids)).await.expect("read")
}

async fn mark(place: &Place, cid: Cid) {
    let what = What::tags(vec!["a".to_owned()], vec![]).expect("a tag");
    place.store.write(move |connection, state| marks::say(connection, state, Say { cid, what })).await.expect("said");
}

#[tokio::test]
async fn every_pin_in_the_file_is_as_the_index_has_it() {
    let place = Place::new();
    let foreign = Cid::new_v1(0x55, cid::multihash::Multihash::wrap(0x1e, &[7; 64]).expect("64 bytes"));
    let block = [Cid::new_v0(sha(1)).expect("v0"), Cid::new_v1(0x70, sha(1)), Cid::new_v1(0x71, sha(1)), raw(1)];
    let rest = (2..600).map(raw).chain([foreign]).chain(block);
    place
        .list(minute(0), |l| {
            let named = |(n, cid)| {
                let pin_type = if n % 7 == 0 { DIRECT } else { RECURSIVE };
                let name = if n % 3 == 0 { format!("name {n} ü") } else { String::new() };
                pin(cid, pin_type, &name)
            };
            l.added = rest.clone().enumerate().map(named).collect();
            l.added.sort_by_key(|pin| pin.key());
        })
        .await;
    place.sql("UPDATE pins SET size = id * 1000, size_kind = 1 + id % 2, kind = id % 4 WHERE id % 5 > 0").await;
    let (file, path) = copied(&place).await;
    for cid in rest {
        assert_eq!(found(&place, &file, &cid), Some(in_the_index(&place, &cid).await), "{cid}");
    }
    fs::remove_file(path).expect("removed");
    assert_eq!(found(&place, &file, &raw(5)).map(|pins| pins.len()), Some(1), "it stays readable");
}

#[tokio::test]
async fn a_row_that_has_changed_since_is_not_taken_from_the_file() {
    let place = Place::new();
    let all: Vec<Cid> = (0..8).map(raw).collect();
    place.list(minute(0), |l| l.added = all.iter().map(|cid| pin(*cid, RECURSIVE, "old")).collect()).await;
    mark(&place, raw(0)).await;
    let (file, _) = copied(&place).await;
    let (older, _) = (&file, copied(&place).await);
    assert_eq!(found(&place, older, &raw(0)), None, "what is said of it is in another table");

    place.list(minute(1), |l| l.changed = vec![pin(raw(1), RECURSIVE, "new")]).await;
    place.add(raw(2), DIRECT, "").await;
    let size = Some((10, SizeKind::Exact));
    let id = place.state().set.get(&Key::of(&raw(3))).expect("pinned").id();
    let measured = ApplySizes(vec![Measured { id, size, kind: None }]);
    place.store.write(move |connection, state| apply::sizes(connection, state, measured)).await.expect("written");
    mark(&place, raw(4)).await;
    place.remove(raw(5)).await;
    place.add(raw(5), RECURSIVE, "old").await;
    place.add(raw(9), RECURSIVE, "later").await;

    for n in [1, 2, 3, 4, 5, 9] {
        assert_eq!(found(&place, &file, &raw(n)), None, "{n}");
    }
    for n in [6, 7] {
        assert_eq!(found(&place, &file, &raw(n)), Some(in_the_index(&place, &raw(n)).await), "{n}");
    }
    let (newer, _) = copied(&place).await;
    assert_eq!(found(&place, &newer, &raw(1)), Some(in_the_index(&place, &raw(1)).await));
}

#[tokio::test]
async fn a_file_that_is_cut_or_changed_is_an_error_or_refused_and_never_a_panic() {
    let place = Place::new();
    place.list(minute(0), |l| l.added = (0..40).map(|n| pin(raw(n), RECURSIVE, "a name")).collect()).await;
    let fresh = place.store.write(apply::begin_copy).await.expect("begun");
    let (_, path) = copied(&place).await;
    let whole = fs::read(&path).expect("read");
    let damaged = path.with_file_name("damaged");
    let entries = place.state().set.block(&Key::of(&raw(3)));
    let look = |bytes: &[u8]| {
        fs::write(&damaged, bytes).expect("written");
        PinFile::open(&damaged, fresh.clone()).and_then(|file| file.pins(&entries, Disk::Wait))
    };
    assert!(look(&whole).expect("read").is_some());
    for cut in (0..whole.len()).step_by(97) {
        assert!(look(&whole[..cut]).is_err(), "{cut}");
    }
    for at in (0..whole.len()).step_by(41) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xff;
        // Whatever it answers, it answers.
        let _ = look(&bytes);
    }
}
