//! What a snapshot holds, and what its readers see.

use crate::place::*;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch};
use arrow_ipc::reader::FileReader;
use arrow_schema::SchemaRef;
use ipfs_kitd::cid::{Cid, Key, text};
use ipfs_kitd::index::error::IndexError;
use ipfs_kitd::index::export::{Head, Sink};
use ipfs_kitd::snapshot::legacy::{self, Renewed};
use ipfs_kitd::snapshot::place::Place as Snapshots;
use ipfs_kitd::snapshot::publish::{self, Order, PublishError};
use jiff::Timestamp;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proto_msgs::snapshot::SnapshotManifest;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;

/// Publishes what the index holds now.
pub(crate) async fn publish(place: &Place, to: &Snapshots) -> Result<SnapshotManifest, PublishError> {
    let state = place.state();
    let order = Order {
        place: to.clone(),
        generation: state.generation,
        as_of: state.as_of,
        complete: state.complete,
        arrow: Some(state.set.len()),
    };
    publish::publish(&place.store, order, Arc::new(Mutex::new(())).lock_owned().await).await
}

pub(crate) fn snapshots(place: &Place) -> Snapshots {
    Snapshots::open(&place.path().join("snapshots")).expect("a directory")
}

/// The rows of a Parquet file, and what stands in its metadata under our keys.
fn parquet(path: &Path) -> (RecordBatch, Vec<(String, String)>) {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).expect("there")).expect("Parquet");
    let schema = reader.schema().clone();
    let pairs = reader.metadata().file_metadata().key_value_metadata().cloned().unwrap_or_default();
    let ours = pairs.into_iter().filter(|pair| pair.key.starts_with("ipfs_kitd."));
    let ours = ours.map(|pair| (pair.key, pair.value.unwrap_or_default())).collect();
    let batches: Vec<_> = reader.build().expect("readable").map(|batch| batch.expect("rows")).collect();
    (arrow_select::concat::concat_batches(&schema, &batches).expect("one batch"), ours)
}

fn texts(rows: &RecordBatch, column: &str) -> Vec<Option<String>> {
    let column = rows.column_by_name(column).unwrap_or_else(|| panic!("no {column}")).as_string::<i32>();
    column.iter().map(|text| text.map(str::to_owned)).collect()
}

fn numbers(rows: &RecordBatch, column: &str) -> Vec<Option<i64>> {
    rows.column_by_name(column).expect(column).as_primitive::<Int64Type>().iter().collect()
}

fn some(texts: &[&str]) -> Vec<Option<String>> {
    texts.iter().map(|text| (!text.is_empty()).then(|| (*text).to_owned())).collect()
}

#[tokio::test]
async fn every_table_is_there_with_all_its_columns_as_people_name_things() {
    let place = Place::new();
    let v0 = Cid::new_v0(sha(2)).expect("v0");
    place
        .list(minute(0), |l| {
            l.added = vec![pin(raw(1), RECURSIVE, "one"), pin(v0, DIRECT, ""), pin(raw(3), RECURSIVE, "three")];
        })
        .await;
    place.list(minute(1), |l| l.changed = vec![pin(raw(1), DIRECT, "uno")]).await;
    place.remove(raw(3)).await;
    place.sql("UPDATE pins SET size = 10, size_kind = 1, kind = 1 WHERE id = 2").await;
    place
        .sql("INSERT INTO marks SELECT cid, ['a', 'b'], 'a note', 'cold', TIMESTAMP '2026-01-02 03:04:05', 7 FROM pins WHERE id = 1")
        .await;
    place.sql("UPDATE meta SET journal_seq = 7").await;
    place
        .sql(
            "INSERT INTO legacy SELECT cid, '/old/pins.parquet', 'B', 'the old name', 'recursive', NULL, NULL, NULL, NULL, NULL, NULL,
             NULL, NULL, first_seen FROM pins WHERE id = 1",
        )
        .await;
    place
        .sql(
            "INSERT INTO legacy_sources SELECT '/old/pins.parquet', 'd1', 'B', first_seen, 9, 1 FROM pins WHERE id = 1",
        )
        .await;
    place
        .sql("INSERT INTO vfs SELECT v.parent, v.name, pins.cid, v.kind, v.size, v.state FROM pins,
                (VALUES ('', '', 1, NULL, 1), ('/', 'a', 1, NULL, 3), ('/a', 'b', 0, 9, 1)) v(parent, name, kind, size, state)
              WHERE id = 1 ORDER BY ALL")
        .await;
    place
        .sql("INSERT INTO vfs_journal SELECT 4, TIMESTAMP '2026-01-02 03:04:05', 1, '/a', NULL, cid FROM pins WHERE id = 1")
        .await;
    place.sql("INSERT INTO state_network SELECT first_seen, 3, NULL, 4, 0.5, NULL FROM pins WHERE id = 1").await;
    let (token, _) = place.begin().await;
    place.unchanged(token, minute(5)).await.expect("noted");
    let to = snapshots(&place);
    let manifest = publish(&place, &to).await.expect("published");
    assert_eq!((manifest.name.as_str(), manifest.generation, manifest.serial), ("gen-3.1", 3, 1));
    assert_eq!(manifest.as_of, Some(minute(5).to_string().replace('Z', ".000Z")), "the file knows only minute 1");
    assert_eq!((manifest.complete, manifest.peer_id.as_deref(), manifest.journal_seq), (true, Some(NODE), Some(7)));
    let files: Vec<_> = manifest.files.iter().map(|file| (file.name.as_str(), file.rows)).collect();
    let expected = [
        ("pins.parquet", 2),
        ("pins.arrow", 2),
        ("gone.parquet", 1),
        ("changes.parquet", 1),
        ("generations.parquet", 4),
        ("marks.parquet", 1),
        ("legacy.parquet", 1),
        ("legacy_sources.parquet", 1),
        ("vfs.parquet", 3),
        ("vfs_journal.parquet", 1),
        ("state_system.parquet", 0),
        ("state_network.parquet", 1),
        ("state_storage.parquet", 0),
        ("state_files.parquet", 0),
    ];
    assert_eq!(files, expected);
    assert_eq!(to.newest().expect("readable"), Some(manifest.clone()));
    let dir = to.dir().join(&manifest.name);
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(&dir), mode(&dir.join("pins.arrow")), mode(&dir.join("manifest.json"))), (0o750, 0o640, 0o640));
    assert_eq!((mode(to.dir()), mode(&to.dir().join("manifest.json"))), (0o750, 0o640));

    let (pins, stamp) = parquet(&dir.join("pins.parquet"));
    assert_eq!(texts(&pins, "cid"), some(&[&text(&raw(1)), &text(&v0)]));
    assert_eq!(texts(&pins, "type"), some(&["direct", "direct"]));
    assert_eq!(texts(&pins, "name"), some(&["uno", ""]));
    assert_eq!(texts(&pins, "codec"), some(&["raw", "dag-pb"]));
    assert_eq!(texts(&pins, "kind"), some(&["raw", "directory"]));
    assert_eq!(texts(&pins, "size_kind"), some(&["unknown", "estimated"]));
    assert_eq!(numbers(&pins, "size"), [None, Some(10)]);
    assert_eq!((numbers(&pins, "id"), numbers(&pins, "generation")), (vec![Some(1), Some(2)], vec![Some(1); 2]));
    let seen = pins.column_by_name("first_seen").expect("a time");
    assert_eq!(seen.data_type().to_string(), "Timestamp(µs, \"UTC\")");
    assert_eq!(seen.as_primitive::<TimestampMicrosecondType>().value(0), minute(0).as_microsecond());
    let value =
        |key: &str| stamp.iter().find(|(k, _)| k.strip_prefix("ipfs_kitd.") == Some(key)).map(|(_, v)| v.as_str());
    assert_eq!((value("generation"), value("serial"), value("peer_id")), (Some("3"), Some("1"), Some(NODE)));
    assert_eq!((value("as_of"), value("schema_version")), (manifest.as_of.as_deref(), Some("3")));

    let (gone, _) = parquet(&dir.join("gone.parquet"));
    assert_eq!((texts(&gone, "cid"), texts(&gone, "name")), (some(&[&text(&raw(3))]), some(&["three"])));
    assert_eq!(numbers(&gone, "gone_generation"), [Some(3)]);
    let (changes, _) = parquet(&dir.join("changes.parquet"));
    assert_eq!((texts(&changes, "name_before"), texts(&changes, "name")), (some(&["one"]), some(&["uno"])));
    assert_eq!((texts(&changes, "type_before"), texts(&changes, "type")), (some(&["recursive"]), some(&["direct"])));
    let (marks, _) = parquet(&dir.join("marks.parquet"));
    assert_eq!((texts(&marks, "note"), texts(&marks, "tier")), (some(&["a note"]), some(&["cold"])));
    let tags = marks.column_by_name("tags").expect("tags").as_list::<i32>().value(0);
    assert_eq!(tags.as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["a", "b"]);
    let (legacy, _) = parquet(&dir.join("legacy.parquet"));
    assert_eq!((texts(&legacy, "cid"), texts(&legacy, "name")), (some(&[&text(&raw(1))]), some(&["the old name"])));
    assert_eq!((texts(&legacy, "tier"), numbers(&legacy, "size")), (some(&[""]), vec![None]));
    let (sources, _) = parquet(&dir.join("legacy_sources.parquet"));
    assert_eq!((texts(&sources, "digest"), numbers(&sources, "read")), (some(&["d1"]), vec![Some(9)]));
    let (vfs, _) = parquet(&dir.join("vfs.parquet"));
    assert_eq!(texts(&vfs, "path"), some(&["/", "/a", "/a/b"]));
    assert_eq!(
        (texts(&vfs, "kind"), numbers(&vfs, "size")),
        (some(&["directory", "directory", "file"]), vec![None, None, Some(9)])
    );
    let whole = vfs.column_by_name("whole").expect("whole").as_boolean();
    assert_eq!(whole.iter().flatten().collect::<Vec<_>>(), [true, false, true]);
    let (changed, _) = parquet(&dir.join("vfs_journal.parquet"));
    assert_eq!((texts(&changed, "op"), texts(&changed, "path")), (some(&["changed"]), some(&["/a"])));
    assert_eq!((texts(&changed, "cid"), texts(&changed, "cid_before")), (vec![None], some(&[&text(&raw(1))])));
    place.close().await;
}

#[tokio::test]
async fn an_empty_index_has_files_without_rows() {
    let place = Place::new();
    let to = snapshots(&place);
    let manifest = publish(&place, &to).await.expect("published");
    let rows: Vec<_> = manifest.files.iter().filter(|file| file.rows > 0).map(|file| file.name.as_str()).collect();
    assert_eq!(rows, ["generations.parquet"], "the one that began with the index");
    assert_eq!(to.choose().expect("good").1, manifest);
}

#[tokio::test]
async fn pins_arrow_is_sorted_by_the_key_of_the_index_across_buckets_and_batches() {
    let place = Place::new();
    // More than two buckets' worth, and two forms of some blocks.
    let mut added: Vec<_> = (0..140_000).map(|n| pin(raw(n), RECURSIVE, "")).collect();
    added.extend((0..100).map(|n| pin(Cid::new_v1(0x70, sha(n)), DIRECT, "")));
    added.extend((0..100).map(|n| pin(Cid::new_v0(sha(n)).expect("v0"), DIRECT, "")));
    place.list(minute(0), |l| l.added = added).await;
    let to = snapshots(&place);
    let manifest = publish(&place, &to).await.expect("published");
    let file = File::open(to.dir().join(&manifest.name).join("pins.arrow")).expect("there");
    let reader = FileReader::try_new(file, None).expect("Arrow");
    assert_eq!(reader.custom_metadata().get("ipfs_kitd.generation").map(String::as_str), Some("1"));
    let batches: Vec<_> = reader.map(|batch| batch.expect("rows")).collect();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [65_536, 65_536, 9_128]);
    let keys = batches.iter().flat_map(|batch| {
        let digests = batch.column(0).as_fixed_size_binary();
        let cids = batch.column_by_name("cid").expect("CIDs").as_string::<i32>();
        (0..batch.num_rows()).map(|row| {
            let key = Key::of(&ipfs_kitd::cid::parse(cids.value(row)).expect("a CID"));
            assert_eq!(digests.value(row), key.digest);
            key
        })
    });
    assert!(keys.eq(place.state().set.iter().map(|entry| entry.key())), "as the set in memory has them");
    assert_eq!(to.verify(to.names().expect("listed")[0]).problems, [] as [String; 0]);
}

#[tokio::test]
async fn serials_rise_although_the_index_begins_anew() {
    let place = Place::new();
    let to = snapshots(&place);
    for n in 0..3 {
        place.add(raw(n), RECURSIVE, "").await;
        publish(&place, &to).await.expect("published");
    }
    let other = Place::new();
    other.add(raw(9), RECURSIVE, "").await;
    assert_eq!(publish(&other, &to).await.expect("published").name, "gen-1.4");
    assert_eq!(to.choose().expect("good").1.name, "gen-1.4");
    // The directory went by hand; the number is not used again.
    fs::remove_dir_all(to.dir().join("gen-1.4")).expect("removed");
    assert_eq!(publish(&other, &to).await.expect("published").name, "gen-1.5");
}

#[tokio::test]
async fn old_ones_go_and_the_newest_two_stay() {
    let place = Place::new();
    let to = snapshots(&place);
    for n in 0..5 {
        place.add(raw(n), RECURSIVE, "").await;
        publish(&place, &to).await.expect("published");
        publish::retire(&to, Timestamp::now(), 2, LONG, None).expect("tidy");
    }
    let names = || to.names().expect("listed").iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(names().len(), 5, "each was the newest a moment ago");
    let later = Timestamp::now() + LONG + LONG;
    publish::retire(&to, later, 2, LONG, Some(1)).expect("tidy");
    assert_eq!(names(), ["gen-5.5", "gen-4.4", "gen-1.1"]);
    publish::retire(&to, later, 2, LONG, None).expect("tidy");
    assert_eq!(names(), ["gen-5.5", "gen-4.4"]);
}

/// Readers see one generation, whole, however often another one is published: they read the manifest, then the files.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_in_a_loop_never_meet_an_error_or_two_generations() {
    const GENERATIONS: u64 = 40;
    let place = Place::new();
    place.add(raw(0), RECURSIVE, "").await;
    let to = snapshots(&place);
    publish(&place, &to).await.expect("published");
    let over = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (to, over) = (to.clone(), over.clone());
            std::thread::spawn(move || {
                let mut seen = 0;
                let mut last = 0;
                while !over.load(Ordering::Relaxed) {
                    let manifest = to.newest().expect("readable").expect("there is one always");
                    assert!(manifest.serial >= last, "never back");
                    let dir = to.dir().join(&manifest.name);
                    for file in manifest.files.iter().filter(|file| file.name.ends_with(".parquet")) {
                        let (rows, stamp) = parquet(&dir.join(&file.name));
                        assert_eq!(rows.num_rows() as u64, file.rows);
                        let of =
                            |key: &str, n: u64| assert!(stamp.contains(&(format!("ipfs_kitd.{key}"), n.to_string())));
                        of("generation", manifest.generation);
                        of("serial", manifest.serial);
                    }
                    // Each generation of this test has one pin more.
                    assert_eq!(manifest.rows("pins.parquet"), Some(manifest.generation));
                    assert_eq!(manifest.rows("pins.arrow"), Some(manifest.generation));
                    seen += u64::from(manifest.serial != last);
                    last = manifest.serial;
                }
                seen
            })
        })
        .collect();
    for n in 1..GENERATIONS {
        place.add(raw(n), RECURSIVE, "").await;
        publish(&place, &to).await.expect("published");
        publish::retire(&to, Timestamp::now(), 2, LONG, None).expect("tidy");
    }
    over.store(true, Ordering::Relaxed);
    let seen: Vec<u64> = readers.into_iter().map(|reader| reader.join().expect("no error")).collect();
    assert!(seen.iter().all(|seen| *seen > 1), "{seen:?}");
}

/// Counts rows; at the first it says so and waits.
struct Slow {
    begun: Option<tokio::sync::oneshot::Sender<()>>,
    go: std::sync::mpsc::Receiver<()>,
    rows: Arc<AtomicU64>,
}

impl Sink for Slow {
    fn head(&mut self, _: Head) -> io::Result<()> {
        Ok(())
    }
    fn begin(&mut self, _: &'static str, _: SchemaRef) -> io::Result<()> {
        Ok(())
    }
    fn rows(&mut self, rows: &RecordBatch) -> io::Result<()> {
        self.rows.fetch_add(rows.num_rows() as u64, Ordering::Relaxed);
        if let Some(begun) = self.begun.take() {
            let _ = begun.send(());
            let _ = self.go.recv();
        }
        // As long as a disk takes.
        std::thread::sleep(Duration::from_millis(1));
        Ok(())
    }
    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_that_nobody_waits_for_ends_and_the_index_closes_whole() {
    const ROWS: u64 = 30_000_000;
    let place = Place::new();
    place.add(raw(1), RECURSIVE, "").await;
    // Rows that are made while they are read: the view stands in for a table of that size.
    place
        .sql("ALTER TABLE changes RENAME TO changed; CREATE VIEW changes AS SELECT c.* FROM changed c, range(30000000)")
        .await;
    place.sql("INSERT INTO changed SELECT 1, first_seen, id, cid, type, NULL, type, 'x' FROM pins").await;
    let ((begin, begun), (let_go, go)) = (tokio::sync::oneshot::channel(), std::sync::mpsc::channel());
    let rows = Arc::new(AtomicU64::new(0));
    let (store, sink) = (place.store.clone(), Slow { begun: Some(begin), go, rows: rows.clone() });
    let export = tokio::spawn(async move { store.export(sink).await.map(drop) });
    begun.await.expect("it runs");
    export.abort();
    assert!(export.await.expect_err("aborted").is_cancelled());
    let_go.send(()).expect("it waits");
    // A short read goes on beside it, on a thread of its own.
    assert_eq!(place.number("SELECT count(*) FROM pins").await, 1);
    let wal = place.wal();
    let _dir = tokio::time::timeout(LONG, place.close()).await.expect("nothing is in the way");
    assert!(!wal.exists(), "no transaction was left open");
    assert!(rows.load(Ordering::Relaxed) < ROWS, "interrupted");
}

#[tokio::test]
async fn a_sink_that_fails_fails_the_export_alone() {
    struct Full;
    impl Sink for Full {
        fn head(&mut self, _: Head) -> io::Result<()> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn begin(&mut self, _: &'static str, _: SchemaRef) -> io::Result<()> {
            unreachable!("it has failed")
        }
        fn rows(&mut self, _: &RecordBatch) -> io::Result<()> {
            unreachable!("it has failed")
        }
        fn end(&mut self) -> io::Result<()> {
            unreachable!("it has failed")
        }
    }
    let place = Place::new();
    match place.store.export(Full).await.map(drop) {
        Err(error @ IndexError::Export(_)) => assert!(PublishError::Export(error).is_full()),
        other => panic!("{other:?}"),
    }
    publish(&place, &snapshots(&place)).await.expect("the next one is made");
}

#[tokio::test]
async fn the_old_form_has_real_types_and_nothing_made_up() {
    let place = Place::new();
    place.list(minute(0), |l| l.added = vec![pin(raw(1), RECURSIVE, "one"), pin(raw(2), DIRECT, "")]).await;
    place.sql("UPDATE pins SET size = 10, size_kind = 2, kind = 1 WHERE id = 1").await;
    let to = snapshots(&place);
    let data = place.path().join("data");
    fs::create_dir(&data).expect("made");
    for generation in 1..3 {
        let manifest = publish(&place, &to).await.expect("published");
        let renewed = legacy::renew(&data, &to.dir().join(&manifest.name), &manifest).expect("renewed");
        let path = legacy::path(&data);
        assert_eq!(renewed, Renewed::Written(fs::metadata(&path).expect("there").len()));
        let (rows, stamp) = parquet(&path);
        assert!(stamp.contains(&("ipfs_kitd.snapshot".to_owned(), manifest.name)));
        let names: Vec<_> = rows.schema().fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(names[..6], ["cid", "name", "pin_type", "timestamp", "size_bytes", "access_count"]);
        assert_eq!((names.len(), rows.num_rows()), (19, generation + 1));
        assert_eq!(texts(&rows, "pin_type")[..2], some(&["recursive", "direct"]));
        assert_eq!(numbers(&rows, "size_bytes")[..2], [Some(10), None]);
        let seen = rows.column_by_name("timestamp").expect("times");
        let seen = seen.as_primitive::<arrow_array::types::Float64Type>().value(0);
        assert_eq!(seen, minute(0).as_second() as f64);
        let directory = rows.column_by_name("is_directory").expect("kinds").as_boolean();
        assert_eq!(directory.iter().take(2).collect::<Vec<_>>(), [Some(true), Some(false)]);
        let unknown = names[5..].iter().filter(|name| *name != "is_directory");
        for name in unknown {
            assert_eq!(rows.column_by_name(name).expect(name).null_count(), rows.num_rows(), "{name}");
        }
        place.add(raw(generation as u64 + 2), RECURSIVE, "").await;
    }
}

#[tokio::test]
async fn a_file_of_somebody_else_is_left_as_it_is() {
    let place = Place::new();
    place.add(raw(1), RECURSIVE, "").await;
    let to = snapshots(&place);
    let manifest = publish(&place, &to).await.expect("published");
    let snapshot = to.dir().join(&manifest.name);
    let data = place.path().join("data");
    let path = legacy::path(&data);
    fs::create_dir_all(path.parent().expect("a parent")).expect("made");
    let renew = || legacy::renew(&data, &snapshot, &manifest).expect("looked at");
    // As the programs of before leave it: text in place of Parquet, and Parquet of their own.
    fs::write(&path, "updated=2026-01-02T03:04:05").expect("written");
    assert!(matches!(renew(), Renewed::Foreign));
    assert_eq!(fs::read(&path).expect("there"), b"updated=2026-01-02T03:04:05");
    let connection = duckdb::Connection::open_in_memory().expect("in memory");
    connection
        .execute_batch(&format!("COPY (SELECT 'bafy' AS cid) TO '{}' (FORMAT parquet)", path.display()))
        .expect("written");
    let before = fs::read(&path).expect("there");
    assert!(matches!(renew(), Renewed::Foreign));
    assert_eq!(fs::read(&path).expect("there"), before);
    fs::remove_file(&path).expect("removed");
    std::os::unix::fs::symlink("/dev/null", &path).expect("linked");
    assert!(matches!(renew(), Renewed::Foreign));
    fs::remove_file(&path).expect("removed");
    assert!(matches!(renew(), Renewed::Written(_)));
    assert_eq!(fs::read_dir(path.parent().expect("a parent")).expect("listed").count(), 1, "nothing is left beside it");
}

#[tokio::test]
async fn the_examples_for_duckdb_in_the_data_page_run() {
    let place = Place::new();
    place.list(minute(0), |l| l.added = (0..10).map(|n| pin(raw(n), RECURSIVE, "name")).collect()).await;
    place.remove(raw(9)).await;
    place.sql("INSERT INTO marks SELECT cid, ['keep'], 'a note', NULL, first_seen, 1 FROM pins WHERE id = 1").await;
    place.sql("INSERT INTO vfs SELECT '/', 'f' || id, cid, 0, 1, 1 FROM pins WHERE id < 3").await;
    let to = snapshots(&place);
    let dir = to.dir().join(publish(&place, &to).await.expect("published").name);
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/DATA.md");
    let page = fs::read_to_string(page).expect("readable");
    let examples: Vec<&str> = page.split("```sql\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(examples.len() >= 2, "{}", examples.len());
    let connection = duckdb::Connection::open_in_memory().expect("in memory");
    for example in examples {
        let example = example.replace("/var/lib/ipfs-kitd/snapshots/gen-1234.56", &dir.display().to_string());
        let example = example.replace("/var/lib/ipfs-kitd/snapshots", &to.dir().display().to_string());
        for statement in example.split(";\n").filter(|statement| !statement.trim().is_empty()) {
            let mut prepared = connection.prepare(statement).expect(statement);
            let rows: usize = prepared.query_arrow([]).expect(statement).map(|batch| batch.num_rows()).sum();
            assert!(rows > 0 || statement.starts_with("SET "), "{statement}");
        }
    }
}
