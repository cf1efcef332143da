//! What was measured of pins, and which lack it.

use crate::place::*;
use ipfs_kitd::cid::{Cid, Key};
use ipfs_kitd::index::sizes::{self, Among, ApplySizes, AskLacking, Known, Look, Measured};
use ipfs_kitd::index::{apply, query};
use proto_msgs::pin::{ContentKind, PinLs, PinSort, SizeKind};

const ALL: Among = Among::Ids(0, u64::MAX);
const EXACT: SizeKind = SizeKind::Exact;
const ESTIMATED: SizeKind = SizeKind::Estimated;

async fn lacking(place: &Place, look: Look, among: Among, most: usize) -> (Vec<u64>, u64) {
    let ask = AskLacking { look, among, most };
    let lacking = place.store.read(move |connection| sizes::lacking(connection, &ask)).await.expect("read");
    (lacking.pins.iter().map(|pin| pin.id).collect(), lacking.up_to)
}

/// Id, size, kind.
type Told = (u64, Option<(u64, SizeKind)>, Option<ContentKind>);

async fn measure(place: &Place, measured: &[Told]) {
    let measured = measured.iter().map(|(id, size, kind)| Measured { id: *id, size: *size, kind: *kind }).collect();
    let write = place.store.write(move |connection, state| apply::sizes(connection, state, ApplySizes(measured)));
    write.await.expect("written");
}

/// Ids 1 to 6: raw, dag-pb twice, dag-cbor, raw, dag-pb.
async fn six() -> Place {
    let place = Place::new();
    let codecs = [0x55, 0x70, 0x70, 0x71, 0x55, 0x70];
    let pins = (1..).zip(codecs).map(|(n, codec)| pin(Cid::new_v1(codec, sha(n)), RECURSIVE, ""));
    place.list(minute(0), |l| l.added = pins.collect()).await;
    place
}

#[tokio::test]
async fn pins_that_lack_a_look_come_in_the_order_of_their_ids_and_each_once() {
    let place = six().await;
    assert_eq!(lacking(&place, Look::Root, ALL, 10).await, (vec![1, 2, 3, 5, 6], 6));
    assert_eq!(lacking(&place, Look::Root, ALL, 2).await, (vec![1, 2], 2), "the last one is the cursor");
    assert_eq!(lacking(&place, Look::Root, Among::Ids(2, 5), 10).await, (vec![3, 5], 5));
    assert_eq!(lacking(&place, Look::Root, Among::Ids(6, u64::MAX), 10).await, (vec![], 6));
    assert_eq!(lacking(&place, Look::Root, Among::These(vec![5, 2, 4, 99]), 10).await.0, [2, 5]);
    assert_eq!(lacking(&place, Look::Whole, ALL, 10).await.0, [4], "a root of dag-cbor tells nothing");

    measure(
        &place,
        &[
            (1, Some((10, EXACT)), Some(ContentKind::Raw)),
            (2, Some((20, ESTIMATED)), Some(ContentKind::Directory)),
            // No UnixFS: only the whole tells its size.
            (3, None, Some(ContentKind::Other)),
        ],
    )
    .await;
    assert_eq!(lacking(&place, Look::Root, ALL, 10).await.0, [5, 6]);
    assert_eq!(lacking(&place, Look::Whole, ALL, 10).await.0, [2, 3, 4]);
    measure(&place, &[(2, Some((15, EXACT)), None), (3, Some((3, EXACT)), None), (4, Some((4, EXACT)), None)]).await;
    assert_eq!(lacking(&place, Look::Whole, ALL, 10).await.0, Vec::<u64>::new());

    let (_, rows) = place.ls(PinLs::default()).await;
    let told: Vec<_> = rows.iter().map(|row| (row.size, row.size_kind, row.kind)).collect();
    assert_eq!(told[1], (Some(15), EXACT, Some(ContentKind::Directory)), "the kind stays");
    assert_eq!(told[2], (Some(3), EXACT, Some(ContentKind::Other)));
    assert_eq!(told[4], (None, SizeKind::Unknown, Some(ContentKind::Raw)));
}

#[tokio::test]
async fn sizes_move_no_generation_and_what_is_known_better_stays() {
    let place = six().await;
    let before = place.state();
    measure(&place, &[(1, Some((10, EXACT)), Some(ContentKind::Raw)), (99, Some((1, EXACT)), None)]).await;
    measure(&place, &[(1, Some((11, ESTIMATED)), None)]).await;
    let (_, rows) = place.ls(PinLs::default()).await;
    assert_eq!((rows[0].size, rows[0].size_kind), (Some(10), EXACT));
    assert_eq!(place.state().generation, before.generation);
    assert_eq!(place.state().as_of, before.as_of);
    let place = Place::of(place.close().await);
    let known = place.store.read(sizes::known).await.expect("counted");
    assert_eq!(known, Known { exact: 1, estimated: 0, unknown: 5 });
}

#[tokio::test]
async fn a_pin_that_comes_back_needs_no_second_look() {
    let place = six().await;
    measure(&place, &[(1, Some((10, EXACT)), Some(ContentKind::Raw)), (3, None, Some(ContentKind::Other))]).await;
    let (one, three) = (Cid::new_v1(0x55, sha(1)), Cid::new_v1(0x70, sha(3)));
    place.list(minute(1), |l| l.removed = vec![Key::of(&one), Key::of(&three)]).await;
    place.list(minute(2), |l| l.added = vec![pin(one, DIRECT, ""), pin(three, DIRECT, "")]).await;
    let after_six = Among::Ids(6, u64::MAX);
    assert_eq!(lacking(&place, Look::Root, after_six.clone(), 10).await, (vec![], 8));
    assert_eq!(lacking(&place, Look::Whole, after_six, 10).await.0, [8], "of the one without a size the whole only");
}

#[tokio::test]
async fn sizes_are_filtered_sorted_and_summed() {
    let place = six().await;
    measure(
        &place,
        &[
            (1, Some((1 << 20, EXACT)), None),
            (2, Some((5, ESTIMATED)), None),
            (3, Some(((1 << 53) - 1, ESTIMATED)), None),
            (4, Some((1023, EXACT)), None),
        ],
    )
    .await;
    let sizes = async |ask| place.ls(ask).await.1.iter().map(|row| row.size).collect::<Vec<_>>();
    let by_size = PinLs { sort: Some(PinSort::Size), descending: true, ..PinLs::default() };
    let most = (1 << 53) - 1;
    assert_eq!(sizes(by_size).await, [Some(most), Some(1 << 20), Some(1023), Some(5), None, None]);
    assert_eq!(sizes(PinLs { min_size: Some(1023), ..PinLs::default() }).await.len(), 3);
    let totals = place.store.read(|connection| query::totals(connection, minute(9))).await.expect("totals");
    assert_eq!(totals.bytes, Some(most), "no more than a reader of JSON can hold");
    let told = |counts: &[proto_msgs::daemon::Count]| {
        counts.iter().map(|c| format!("{} {}", c.key, c.pins)).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(told(&totals.by_size_kind), "exact 2, estimated 2, unknown 2");
    assert_eq!(told(&totals.by_size), "<1KiB 2, 1KiB-1MiB 0, 1MiB-1GiB 1, 1GiB-1TiB 0, >=1TiB 1");
    let nothing = Place::new();
    let empty = nothing.store.read(|connection| query::totals(connection, minute(9))).await.expect("totals");
    assert_eq!(empty.bytes, None);
}
