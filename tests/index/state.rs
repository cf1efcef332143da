//! What was measured of the node: kept for its time, read newest first, published for programs of before.

use crate::place::*;
use arrow_array::RecordBatch;
use duckdb::Connection;
use ipfs_kitd::index::error::IndexError;
use ipfs_kitd::index::state::{self, AskSamples, KeepSamples, Kept, Samples};
use ipfs_kitd::snapshot::{parquet, program_state};
use jiff::Timestamp;
use proto_msgs::state::{FilesState, NetworkState, StorageState, SystemState};
use std::fs::{self, File};
use std::marker::PhantomData;
use std::path::Path;

fn text(n: i64) -> String {
    ipfs_kitd::time::text(minute(n))
}

/// One sample of each kind, everything known.
fn full(n: i64) -> Samples {
    let (at, number) = (minute(n), Some(n.unsigned_abs()));
    let system = SystemState {
        at: text(n),
        kubo_version: Some("0.43.1".into()),
        kubo_cpu: Some(0.5),
        kubo_memory: number,
        kubo_uptime_s: Some(1.5),
        load: Some(0.25),
        memory_total: Some((1 << 53) - 1),
        memory_available: Some(0),
    };
    let network = NetworkState {
        at: text(n),
        peers: number,
        bytes_in: Some(10),
        bytes_out: Some(20),
        rate_in: Some(0.0),
        rate_out: Some(1e9),
    };
    let storage = StorageState {
        at: text(n),
        repo_size: Some(30),
        storage_max: Some(40),
        disk_total: Some(50),
        disk_free: Some(60),
        pins: number,
    };
    let files = FilesState { at: text(n), root: Some("bafy".into()), size: Some(70), entries: Some(80) };
    Samples {
        system: [(at, system)].into(),
        network: [(at, network)].into(),
        storage: [(at, storage)].into(),
        files: [(at, files)].into(),
    }
}

/// A sample of the network alone, with or without its peers.
fn network(n: i64, peers: Option<u64>) -> Samples {
    let sample = NetworkState { at: text(n), peers, bytes_in: Some(1), ..NetworkState::default() };
    Samples { network: [(minute(n), sample)].into(), ..Samples::default() }
}

async fn keep(place: &Place, samples: Samples, from: Timestamp) -> Result<(), IndexError> {
    let keep = KeepSamples { samples, from };
    place.store.write(move |connection, state| state::keep(connection, state, keep)).await
}

async fn read<S: Kept>(place: &Place, before: Option<i64>, since: Option<i64>, most: usize) -> Vec<S> {
    let ask = AskSamples { before: before.map(minute), since: since.map(minute), most, of: PhantomData };
    let read = place.store.read(move |connection| state::samples(connection, ask)).await.expect("read");
    read.into_iter().map(|(_, sample)| sample).collect()
}

async fn peers(place: &Place, before: Option<i64>, since: Option<i64>, most: usize) -> Vec<Option<u64>> {
    read::<NetworkState>(place, before, since, most).await.into_iter().map(|sample| sample.peers).collect()
}

#[tokio::test]
async fn samples_are_read_as_they_were_measured_also_by_the_next_process_and_change_no_pin() {
    let place = Place::new();
    place.list(minute(0), |l| l.added = vec![pin(raw(1), RECURSIVE, "")]).await;
    let before = place.state();
    keep(&place, full(1), minute(0)).await.expect("kept");
    let after = place.state();
    assert_eq!((after.generation, after.changes, after.as_of), (before.generation, before.changes, before.as_of));
    let place = Place::of(place.close().await);
    let expected = full(1);
    assert_eq!(read::<SystemState>(&place, None, None, 9).await, expected.system.into_values().collect::<Vec<_>>());
    assert_eq!(read::<NetworkState>(&place, None, None, 9).await, expected.network.into_values().collect::<Vec<_>>());
    assert_eq!(read::<StorageState>(&place, None, None, 9).await, expected.storage.into_values().collect::<Vec<_>>());
    assert_eq!(read::<FilesState>(&place, None, None, 9).await, expected.files.into_values().collect::<Vec<_>>());
}

#[tokio::test]
async fn what_was_not_measured_is_null_and_never_zero() {
    let place = Place::new();
    keep(&place, network(1, None), minute(0)).await.expect("kept");
    assert_eq!(peers(&place, None, None, 9).await, [None]);
    assert_eq!(place.number("SELECT count(*) FROM state_network WHERE peers IS NULL AND rate_in IS NULL").await, 1);
    assert_eq!(place.number("SELECT count(*) FROM state_system").await, 0);
}

#[tokio::test]
async fn samples_come_newest_first_page_by_page_and_each_once_however_often_it_was_brought() {
    let place = Place::new();
    for n in [1, 4, 2, 5, 3, 4, 4] {
        keep(&place, network(n, Some(n.unsigned_abs())), minute(0)).await.expect("kept");
    }
    let some = |peers: &[u64]| peers.iter().map(|n| Some(*n)).collect::<Vec<_>>();
    assert_eq!(peers(&place, None, None, 9).await, some(&[5, 4, 3, 2, 1]));
    assert_eq!(peers(&place, None, None, 2).await, some(&[5, 4]));
    assert_eq!(peers(&place, Some(4), None, 2).await, some(&[3, 2]));
    assert_eq!(peers(&place, Some(4), Some(3), 9).await, some(&[3]));
    assert_eq!(peers(&place, Some(1), None, 9).await, some(&[]));
}

#[tokio::test]
async fn samples_that_are_too_old_go_with_the_next_batch_whatever_that_holds() {
    let place = Place::new();
    for n in 1..=9 {
        keep(&place, full(n), minute(0)).await.expect("kept");
    }
    keep(&place, network(10, None), minute(8)).await.expect("kept");
    for (table, rows) in [("system", 2), ("network", 3), ("storage", 2), ("files", 2)] {
        let sql = format!("SELECT count(*) FROM state_{table}");
        assert_eq!(place.number(sql.leak()).await, rows, "{table}");
    }
    assert_eq!(read::<FilesState>(&place, None, None, 9).await.last().expect("one").at, text(8));
}

#[tokio::test]
async fn a_batch_that_fails_leaves_all_as_it_was() {
    let place = Place::new();
    keep(&place, full(1), minute(0)).await.expect("kept");
    place.sql("ALTER TABLE state_files RENAME TO gone_files").await;
    assert!(keep(&place, full(2), minute(2)).await.is_err());
    place.sql("ALTER TABLE gone_files RENAME TO state_files").await;
    assert_eq!(peers(&place, None, None, 9).await, [Some(1)]);
    keep(&place, full(2), minute(0)).await.expect("kept");
    assert_eq!(peers(&place, None, None, 9).await, [Some(2), Some(1)]);
}

/// The files and their columns, as the page on the data has them.
fn documented() -> Vec<(String, String, String)> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/DATA.md");
    let page = fs::read_to_string(page).expect("readable");
    let table = page.split("| file | column | type | |\n").nth(1).expect("a table of columns");
    let rows = table.lines().skip(1).take_while(|line| line.starts_with('|'));
    let cell = |cell: Option<&str>| cell.expect("a cell").trim().trim_matches('`').to_owned();
    let mut file = String::new();
    let mut columns = Vec::new();
    for row in rows {
        let mut cells = row.split('|').skip(1);
        let of = cell(cells.next());
        if !of.is_empty() {
            file = of;
        }
        columns.push((file.clone(), cell(cells.next()), cell(cells.next())));
    }
    columns
}

fn only(path: &Path) -> RecordBatch {
    let rows: Vec<_> =
        parquet::read(File::open(path).expect("there")).expect("Parquet").map(|r| r.expect("rows")).collect();
    assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 1);
    rows.into_iter().next().expect("one")
}

#[test]
fn program_state_has_the_documented_columns_and_what_was_measured() {
    let dir = tempfile::tempdir().expect("a temp dir");
    let now = minute(9);
    assert_eq!(program_state::renew(dir.path(), &full(3), now).expect("renewed"), Vec::<std::path::PathBuf>::new());
    let connection = Connection::open_in_memory().expect("in memory");
    let files = dir.path().join("program_state/parquet");
    let documented = documented();
    for kind in ["system", "network", "storage", "files"] {
        let name = format!("{kind}_state.parquet");
        let sql = format!("DESCRIBE SELECT * FROM '{}'", files.join(&name).display());
        let mut statement = connection.prepare(&sql).expect("readable");
        let columns = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)));
        let columns: Vec<_> = columns.expect("columns").map(|column| column.expect("a column")).collect();
        let of = documented.iter().filter(|(file, ..)| *file == "all" || *file == name);
        let expected: Vec<_> = of.map(|(_, column, of)| (column.clone(), of.to_uppercase())).collect();
        assert_eq!(columns, expected, "{name}");
    }
    let row = |kind: &str, columns: &str| {
        let sql = format!("SELECT ({columns})::VARCHAR FROM '{}_state.parquet'", files.join(kind).display());
        connection.query_row(&sql, [], |row| row.get::<_, String>(0)).expect("a row")
    };
    let seconds = minute(3).as_second();
    assert_eq!(
        row("system", "schema_version, timestamp, ipfs_version, uptime"),
        format!("(1, {seconds}.0, 0.43.1, 1.5)")
    );
    assert_eq!(row("network", "connected_peers, bytes_in, rate_out"), "(3, 10, 1000000000.0)");
    assert_eq!(row("storage", "total_size, pin_count, disk_free"), "(30, 3, 60)");
    assert_eq!(row("files", "total_size, root"), "(70, bafy)");
    assert_eq!(
        row("files", &format!("daemon_pid = {}, generated_at", std::process::id())).split(", ").next(),
        Some("(true")
    );

    // The next one takes their place; of what is not known any more the last stays.
    let mut later = network(4, None);
    later.storage = full(4).storage;
    program_state::renew(dir.path(), &later, now).expect("renewed");
    assert_eq!(row("network", "connected_peers IS NULL, bytes_in"), "(true, 1)");
    assert_eq!((row("storage", "pin_count, 0"), row("system", "kubo_memory, 0")), ("(4, 0)".into(), "(3, 0)".into()));
    assert_eq!(only(&files.join("storage_state.parquet")).num_rows(), 1);
    assert_eq!(fs::read_dir(&files).expect("listed").count(), 4, "nothing is left beside them");
}

#[test]
fn a_file_of_another_program_in_the_place_of_one_of_ours_is_left_as_it_is() {
    let dir = tempfile::tempdir().expect("a temp dir");
    let files = dir.path().join("program_state/parquet");
    fs::create_dir_all(&files).expect("made");
    let (text, theirs) = (files.join("system_state.parquet"), files.join("storage_state.parquet"));
    fs::write(&text, "{\"timestamp\": 1}").expect("written");
    let connection = Connection::open_in_memory().expect("in memory");
    let sql = format!("COPY (SELECT 1.5 AS timestamp, 7 AS pin_count) TO '{}' (FORMAT parquet)", theirs.display());
    connection.execute_batch(&sql).expect("written");
    let before = [&text, &theirs].map(|path| fs::read(path).expect("there"));
    let foreign = program_state::renew(dir.path(), &full(1), minute(2)).expect("renewed");
    assert_eq!(foreign, [text.clone(), theirs.clone()]);
    assert_eq!([&text, &theirs].map(|path| fs::read(path).expect("there")), before);
    assert!(files.join("network_state.parquet").exists() && files.join("files_state.parquet").exists());
    fs::remove_file(&text).expect("removed");
    assert_eq!(program_state::renew(dir.path(), &full(1), minute(2)).expect("renewed"), [theirs]);
}
