//! Who may open the file, what becomes of it, and the threads that work on it.

use crate::other::{self, ready, role};
use crate::place::*;
use duckdb::Connection;
use ipfs_kitd::cid;
use ipfs_kitd::index::error::IndexError;
use ipfs_kitd::index::open::OpenError;
use ipfs_kitd::instance::InstanceError;
use proto_msgs::pin::PinLs;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Child;
use tempfile::TempDir;
use tokio::sync::oneshot;

struct Other(Child);

impl Other {
    /// Runs this test as another process until it is ready.
    fn start(test: &str, dir: &Path) -> Other {
        let mut child = other::command(test, dir).spawn().expect("the same program again");
        let out = child.stdout.take().expect("piped");
        let ready = BufReader::new(out).lines().map_while(Result::ok).any(|line| line.contains("ready"));
        let other = Other(child);
        assert!(ready, "the other process ended early");
        other
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        // SIGKILL.
        self.0.kill().expect("killed");
        self.0.wait().expect("reaped");
    }
}

pub(crate) fn block_on<R>(work: impl Future<Output = R>) -> R {
    tokio::runtime::Runtime::new().expect("a runtime").block_on(work)
}

#[test]
fn what_was_answered_survives_a_kill() {
    if let Some(dir) = role() {
        let store = open(&dir).expect("an index");
        let place = Place::at(TempDir::new_in(&dir).expect("a temp dir"), store);
        block_on(async {
            place.list(minute(0), |l| l.added = vec![pin(raw(1), RECURSIVE, "a"), pin(raw(2), RECURSIVE, "b")]).await;
            place.add(raw(3), DIRECT, "c").await;
            place.remove(raw(2)).await;
        });
        ready();
    }
    let dir = tempfile::tempdir().expect("a temp dir");
    drop(Other::start("store::what_was_answered_survives_a_kill", dir.path()));
    let place = Place::of(dir);
    block_on(async {
        assert_eq!(place.pins().await, [told(raw(1), RECURSIVE, "a"), told(raw(3), DIRECT, "c")]);
        let state = place.state();
        assert_eq!((state.generation, state.as_of, state.recovery), (3, Some(minute(0)), None));
        place.add(raw(4), RECURSIVE, "").await;
        let place = Place::of(place.close().await);
        assert_eq!(place.pins().await.len(), 3);
    });
}

#[test]
fn a_file_that_another_process_has_open_is_refused_and_the_process_named() {
    if let Some(dir) = role() {
        let _open = Connection::open(dir.join("pins.duckdb")).expect("open");
        ready();
    }
    let dir = block_on(async {
        let place = Place::new();
        place.add(raw(1), RECURSIVE, "").await;
        place.close().await
    });
    let other =
        Other::start("store::a_file_that_another_process_has_open_is_refused_and_the_process_named", dir.path());
    match open(dir.path()) {
        Err(OpenError::Locked { detail, .. }) => {
            assert!(detail.contains(&format!("PID {}", other.0.id())), "{detail}");
        }
        other => panic!("{:?}", other.map(drop)),
    }
    drop(other);
    assert_eq!(Place::of(dir).state().generation, 1);
}

#[tokio::test]
async fn one_process_opens_it_once() {
    let place = Place::new();
    for _ in 0..2 {
        match open(place.path()) {
            Err(OpenError::Claim(InstanceError::Owned { pid, .. })) => assert_eq!(pid, Some(std::process::id())),
            other => panic!("{:?}", other.map(drop)),
        }
    }
    place.add(raw(1), RECURSIVE, "").await;
    let again = place.store.clone();
    let place = Place::of(place.close().await);
    assert_eq!(place.pins().await.len(), 1);
    assert!(matches!(again.read(|_| Ok(())).await, Err(IndexError::Closed)), "the old handle stays closed");
}

#[tokio::test]
async fn an_ordered_close_leaves_one_file_and_comes_after_queued_writes() {
    let place = Place::new();
    assert!(place.file().exists());
    let (_, state) = (place.add(raw(1), RECURSIVE, "").await, place.store.state());
    assert!(place.wal().exists());
    let (store, wal) = (place.store.clone(), place.wal());
    let slow = store.write(|connection, _| Ok(connection.execute_batch("CREATE TEMP TABLE t AS FROM range(1000000)")?));
    let last = store.write(|connection, state| {
        ipfs_kitd::index::apply::added(
            connection,
            state,
            ipfs_kitd::index::apply::ApplyAdded { cid: raw(2), pin_type: RECURSIVE, name: None },
        )
    });
    let dir = place.close().await;
    assert!(slow.await.is_ok() && last.await.is_ok());
    assert!(!wal.exists(), "checkpointed");
    assert_eq!(state.borrow().generation, 2);
    store.close(LONG).await;
    assert!(matches!(store.write(|_, _| Ok(())).await, Err(IndexError::Closed)));
    assert!(matches!(store.read(|_| Ok(())).await, Err(IndexError::Closed)));
    assert_eq!(Place::of(dir).pins().await.len(), 2);
}

/// An index with two hundred pins, closed.
fn sound() -> TempDir {
    block_on(async {
        let place = Place::new();
        place.list(minute(0), |l| l.added = (0..200).map(|n| pin(raw(n), RECURSIVE, "name")).collect()).await;
        place.close().await
    })
}

#[test]
fn a_damaged_file_is_moved_aside_and_replaced() {
    type Damage = fn(&Path);
    fn edit(path: &Path, damage: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(path).expect("bytes");
        damage(&mut bytes);
        fs::write(path, bytes).expect("written");
    }
    fn sql(path: &Path, sql: &str) {
        Connection::open(path).and_then(|connection| connection.execute_batch(sql)).expect("done");
    }
    let damages: [(&str, Damage); 9] = [
        ("a text file", |path| fs::write(path, "these are not pins").expect("written")),
        ("zeros for a header", |path| edit(path, |bytes| bytes[..12288].fill(0))),
        ("half of it", |path| edit(path, |bytes| bytes.truncate(bytes.len() / 2))),
        ("flipped bits", |path| edit(path, |bytes| bytes.iter_mut().skip(12300).step_by(1000).for_each(|b| *b ^= 4))),
        ("a log with zeros", |path| {
            sql(path, "PRAGMA disable_checkpoint_on_shutdown; UPDATE pins SET name = 'other' || id");
            edit(&path.with_extension("duckdb.wal"), |bytes| {
                let half = bytes.len() / 2;
                bytes[half..].fill(0);
            });
        }),
        ("a directory", |path| {
            fs::remove_file(path).expect("removed");
            fs::create_dir(path).expect("made");
        }),
        ("a CID twice", |path| sql(path, "INSERT INTO pins SELECT id + 1000, * EXCLUDE (id) FROM pins LIMIT 1")),
        ("no CID", |path| sql(path, "UPDATE pins SET cid = 'x'::BLOB WHERE id = 7")),
        ("no meta", |path| sql(path, "DROP TABLE meta")),
    ];
    for (name, damage) in damages {
        let dir = sound();
        damage(&dir.path().join("pins.duckdb"));
        let broken = fs::read(dir.path().join("pins.duckdb")).ok();
        let place = Place::of(dir);
        let recovery = place.state().recovery.unwrap_or_else(|| panic!("{name}: not noticed"));
        let aside = fs::read_dir(place.path()).expect("a directory").map(|entry| entry.expect("an entry").path());
        let aside = aside.into_iter().find(|path| path.to_string_lossy().contains("damaged-")).expect(name);
        assert!(recovery.contains(&aside.display().to_string()), "{name}: {recovery}");
        assert_eq!(fs::read(aside.join("pins.duckdb")).ok(), broken, "{name}: kept as it was");
        assert_eq!((place.state().set.len(), place.state().complete), (0, false), "{name}");
        block_on(async {
            place.list(minute(1), |l| l.added = vec![pin(raw(1), RECURSIVE, "")]).await;
            let place = Place::of(place.close().await);
            assert_eq!((place.pins().await.len(), place.state().recovery), (1, None), "{name}: rebuilt");
        });
    }
}

#[test]
fn a_file_of_a_newer_version_is_refused_and_left_as_it_is() {
    let dir = sound();
    let path = dir.path().join("pins.duckdb");
    let newer = "ALTER TABLE meta ADD COLUMN mood VARCHAR; UPDATE meta SET schema_version = schema_version + 1";
    Connection::open(&path).and_then(|connection| connection.execute_batch(newer)).expect("changed");
    let before = fs::read(&path).expect("bytes");
    match open(dir.path()) {
        Err(error @ OpenError::Newer { .. }) => assert!(error.needs_newer_version(), "{error}"),
        other => panic!("{:?}", other.map(drop)),
    }
    assert!(fs::read(&path).expect("bytes") == before, "not one byte");
    assert!(!path.with_extension("duckdb.wal").exists());
}

#[test]
fn a_file_of_version_1_gets_the_new_tables_and_keeps_its_rows() {
    const TABLES_1: &str = "
        CREATE TABLE pins(id BIGINT NOT NULL, cid BLOB NOT NULL, type UTINYINT NOT NULL, name VARCHAR,
          first_seen TIMESTAMP NOT NULL, codec UBIGINT NOT NULL);
        CREATE TABLE gone(id BIGINT NOT NULL, cid BLOB NOT NULL, type UTINYINT NOT NULL, name VARCHAR,
          first_seen TIMESTAMP NOT NULL, gone_at TIMESTAMP NOT NULL, generation BIGINT NOT NULL);
        CREATE TABLE meta(schema_version BIGINT NOT NULL, peer_id VARCHAR, generation BIGINT NOT NULL,
          as_of_us BIGINT, complete BOOLEAN NOT NULL, next_id BIGINT NOT NULL);
        INSERT INTO meta VALUES (1, '12D3KooWNode', 7, 1790000000000000, true, 9);";
    let dir = tempfile::tempdir().expect("a temp dir");
    let old = Connection::open(dir.path().join("pins.duckdb")).expect("a file");
    old.execute_batch(TABLES_1).expect("tables");
    for (table, n) in [("pins", 1), ("gone", 2)] {
        let times = if table == "pins" { "now()::TIMESTAMP, 85" } else { "now()::TIMESTAMP, now()::TIMESTAMP, 5" };
        old.execute(&format!("INSERT INTO {table} VALUES ({n}, ?, 0, 'n', {times})"), [raw(n).to_bytes()])
            .expect("a row");
    }
    drop(old);
    block_on(async {
        let place = Place::of(dir);
        let state = place.state();
        assert_eq!((state.generation, state.complete, state.recovery), (7, true, None));
        assert_eq!(place.pins().await, [(cid::text(&raw(1)), RECURSIVE, "n".to_owned())]);
        assert_eq!(place.number("SELECT gone_generation FROM gone").await, 5);
        place.list(minute(0), |l| l.added = vec![pin(raw(3), RECURSIVE, "")]).await;
        assert_eq!(
            place.number("SELECT min(generation) FROM generations").await,
            7,
            "the pins before that are not known"
        );
        let place = Place::of(place.close().await);
        assert_eq!((place.pins().await.len(), place.number("SELECT schema_version FROM meta").await), (2, 3));
    });
}

#[tokio::test]
async fn writes_happen_in_the_order_of_the_calls() {
    let place = Place::new();
    let (send, order) = std::sync::mpsc::channel();
    let writes: Vec<_> = (0..100)
        .map(|n| {
            let send = send.clone();
            place.store.write(move |_, _| send.send(n).map_err(|_| IndexError::Closed))
        })
        .collect();
    // Awaited the other way round, or not at all.
    for write in writes.into_iter().rev().take(50) {
        write.await.expect("done");
    }
    assert_eq!(order.try_iter().collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_job_that_panics_fails_alone_and_stores_nothing() {
    let place = Place::new();
    place.add(raw(1), RECURSIVE, "").await;
    let failed = place.store.write(|connection, _| -> Result<(), IndexError> {
        connection.execute_batch("BEGIN; DELETE FROM pins")?;
        panic!("on purpose");
    });
    assert!(matches!(failed.await, Err(IndexError::Panicked)));
    let failed = place.store.read(|_| -> Result<(), IndexError> { panic!("on purpose") });
    assert!(matches!(failed.await, Err(IndexError::Panicked)));
    place.add(raw(2), RECURSIVE, "").await;
    assert_eq!(place.pins().await.len(), 2);
}

#[tokio::test]
async fn a_read_whose_asker_has_gone_is_interrupted() {
    let place = Place::new();
    place.add(raw(1), RECURSIVE, "").await;
    // More than there are readers: some run, some wait in the queue.
    let mut reads = Vec::new();
    for number in 0..6 {
        let (running, begun) = oneshot::channel();
        let store = place.store.clone();
        let read = tokio::spawn(async move {
            let endless = "SELECT count(*) FROM range(100000000000000) t(i) WHERE hash(i) = 1";
            store
                .read(move |connection| {
                    let _ = running.send(());
                    Ok(connection.query_row(endless, [], |row| row.get::<_, i64>(0))?)
                })
                .await
        });
        if number < 2 {
            begun.await.expect("it runs");
        }
        reads.push(read);
    }
    reads.iter().for_each(tokio::task::JoinHandle::abort);
    let answer = tokio::time::timeout(LONG, place.ls(PinLs::default())).await.expect("the readers are free");
    assert_eq!(answer.0, 1);
    let wal = place.wal();
    let _dir = tokio::time::timeout(LONG, place.close()).await.expect("nothing is in the way");
    assert!(!wal.exists(), "no transaction was left open");
}
