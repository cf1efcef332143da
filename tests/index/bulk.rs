//! The rows of a listing as bytes of another form: the same rows, in pieces that are bounded.

use crate::actor::{Actors, actors, with_pins};
use crate::frozen::{self, frozen, varied};
use crate::place::*;
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_ipc::reader::StreamReader;
use arrow_select::concat::concat_batches;
use bytes::Bytes;
use ipfs_kitd::cid::text;
use ipfs_kitd::fault::ask;
use ipfs_kitd::index::listing;
use ipfs_kitd::index::query;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proto_msgs::bulk::{Bulk, BulkBytes};
use proto_msgs::pin::{PinLs, PinPage, PinSort};
use proto_msgs::verb::Part;
use proto_msgs::{Fault, FaultKind};
use std::collections::HashMap;

fn joined(parts: impl IntoIterator<Item = Part>) -> Vec<u8> {
    let bytes = |part| {
        let Part::Bulk(BulkBytes { bytes }) = part else { panic!("not bytes: {part:?}") };
        assert!(!bytes.is_empty() && bytes.len() <= BulkBytes::MAX, "{}", bytes.len());
        bytes
    };
    parts.into_iter().flat_map(bytes).collect()
}

async fn bytes(place: &Place, verb: PinLs) -> Result<(PinPage, Vec<u8>), Fault> {
    let Actors { index, .. } = actors(place);
    let (page, mut rows) = ask(&index, verb).await?;
    let mut parts = Vec::new();
    while let Some(part) = rows.recv().await {
        parts.push(part?);
    }
    Ok((page, joined(parts)))
}

/// What another program reads out of them.
fn read(form: Bulk, bytes: Vec<u8>) -> (RecordBatch, HashMap<String, String>) {
    match form {
        Bulk::Arrow => {
            let reader = StreamReader::try_new(&bytes[..], None).expect("a stream");
            let (schema, batches) = (reader.schema(), reader.map(|batch| batch.expect("a batch")).collect::<Vec<_>>());
            (concat_batches(&schema, &batches).expect("rows"), schema.metadata().clone())
        }
        Bulk::Parquet => {
            let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes)).expect("a file");
            let stamp = reader.metadata().file_metadata().key_value_metadata().cloned().unwrap_or_default();
            let stamp = stamp.into_iter().filter_map(|pair| Some((pair.key, pair.value?))).collect();
            let schema = reader.schema().clone();
            let batches = reader.build().expect("rows").map(|batch| batch.expect("a batch")).collect::<Vec<_>>();
            (concat_batches(&schema, &batches).expect("rows"), stamp)
        }
    }
}

#[tokio::test]
async fn both_forms_have_the_rows_of_the_listing_from_the_index_and_from_a_snapshot() {
    let place = varied().await;
    let frozen = frozen(&place).await;
    let questions = [
        PinLs::default(),
        PinLs { tag: Some("keep".to_owned()), ..PinLs::default() },
        PinLs { sort: Some(PinSort::Size), descending: true, ..PinLs::default() },
        PinLs { sort: Some(PinSort::Cid), limit: Some(3), offset: 2, ..PinLs::default() },
        PinLs { name: Some("nothing is called so".to_owned()), ..PinLs::default() },
    ];
    for question in questions {
        let (_, rows) = place.ls(question.clone()).await;
        for form in [Bulk::Arrow, Bulk::Parquet] {
            let asked = PinLs { bulk: Some(form), ..question.clone() };
            let (page, online) = bytes(&place, asked.clone()).await.expect("bytes");
            let (table, stamp) = read(form, online);
            assert_eq!(listing::pins(&table).expect("pins"), rows, "{asked:?}");
            let said = |key: &str| stamp.get(&format!("ipfs_kitd.{key}")).map(String::as_str);
            assert_eq!(said("generation"), Some(page.generation.to_string().as_str()));
            assert_eq!(said("total"), Some(page.total.to_string().as_str()));
            assert_eq!((said("as_of"), said("complete")), (page.as_of.as_deref(), Some("true")));
            assert_eq!(said("source"), Some("index"));
            let (_, parts) = frozen::ask(&frozen, asked).expect("bytes");
            let (offline, stamp) = read(form, joined(parts));
            assert_eq!((offline.columns(), stamp["ipfs_kitd.source"].as_str()), (table.columns(), "snapshot"));
        }
    }
}

#[tokio::test]
async fn a_column_is_named_or_refused_and_an_empty_listing_has_columns_too() {
    let place = varied().await;
    let asked = |columns: &[&str]| PinLs {
        bulk: Some(Bulk::Arrow),
        columns: columns.iter().map(|name| (*name).to_owned()).collect(),
        ..PinLs::default()
    };
    let (_, found) = bytes(&place, asked(&["size", "cid"])).await.expect("bytes");
    let (table, _) = read(Bulk::Arrow, found);
    let names = |table: &RecordBatch| -> Vec<String> {
        table.schema().fields().iter().map(|field| field.name().clone()).collect()
    };
    assert_eq!(names(&table), ["size", "cid"]);
    let none = PinLs { limit: Some(0), ..asked(&[]) };
    let (table, _) = read(Bulk::Arrow, bytes(&place, none).await.expect("bytes").1);
    let all = "id cid name type size size_kind codec kind first_seen generation tags tier note";
    assert_eq!((names(&table).join(" ").as_str(), table.num_rows()), (all, 0));
    let fault = bytes(&place, asked(&["cid", "colour"])).await.expect_err("refused");
    assert_eq!(fault.kind, FaultKind::Invalid);
    assert!(fault.detail.contains("\"colour\"; there are id, cid,"), "{}", fault.detail);
    // Each time it would be written anew, from one short request.
    let fault = bytes(&place, asked(&["cid", "size", "cid"])).await.expect_err("refused");
    assert_eq!(fault.detail, "the column \"cid\" is asked for twice");
}

#[tokio::test]
async fn many_rows_keep_their_order_over_pages_whose_rows_lie_apart() {
    let place = with_pins(40_000).await;
    let cids = |table: &RecordBatch| -> Vec<String> {
        let column = table.column_by_name("cid").expect("CIDs");
        column.as_string::<i32>().iter().map(|cid| cid.expect("a CID").to_owned()).collect()
    };
    let all = PinLs { bulk: Some(Bulk::Arrow), ..PinLs::default() };
    let (table, _) = read(Bulk::Arrow, bytes(&place, all.clone()).await.expect("bytes").1);
    assert!(cids(&table) == (0..40_000).map(|n| text(&raw(n))).collect::<Vec<_>>(), "as they were seen");
    let back = PinLs { descending: true, bulk: Some(Bulk::Parquet), ..all.clone() };
    let (table, _) = read(Bulk::Parquet, bytes(&place, back).await.expect("bytes").1);
    assert!(cids(&table) == (0..40_000).rev().map(|n| text(&raw(n))).collect::<Vec<_>>(), "the other way round");
    let by_cid = PinLs { sort: Some(PinSort::Cid), ..all };
    let (table, _) = read(Bulk::Arrow, bytes(&place, by_cid).await.expect("bytes").1);
    let mut sorted: Vec<_> = (0..40_000).map(raw).collect();
    sorted.sort_by_key(|cid| cid.to_bytes());
    assert!(cids(&table) == sorted.iter().map(text).collect::<Vec<_>>(), "by key");
    // Few of many: each is named, and none beside it is read.
    let few: Vec<u64> = vec![39_000, 7, 20_000, 1 << 39];
    let rows = place.store.read(move |connection| query::rows(connection, &few)).await.expect("rows");
    let found: Vec<_> = rows.iter().map(|row| row.cid.clone()).collect();
    let first = place.number("SELECT min(id) FROM pins").await.cast_unsigned();
    assert_eq!(found, [39_000, 7, 20_000].map(|id: u64| text(&raw(id - first))));
}
