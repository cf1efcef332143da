//! `ipfs-kitctl sql`: what it answers, and what it withstands.

use crate::kit::{Kit, Said, built, eventually, identity_cid, said, sigint_is_ignored, skipped};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_ipc::reader::StreamReader;
use bytes::Bytes;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use proto_msgs::pin::{PinAdd, PinTag};
use proto_msgs::snapshot::SnapshotNow;
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// What never ends by itself.
const ENDLESS: &str =
    "SELECT count(*) FROM range(10000000) a, range(10000000) b, range(10000000) c WHERE (a.range ^ b.range) = 7.5";

/// A daemon with three pins in a snapshot.
fn published() -> Kit {
    let mut kit = Kit::fake();
    kit.env("IPFS_KITD_SNAPSHOT_ENABLED", "false").env("IPFS_KITD_SIZE_SHARE", "0").start_whole();
    for (text, name) in [("one", Some("first")), ("two", Some("a,\"b\"")), ("three", None)] {
        kit.call(PinAdd { cid: identity_cid(text), name: name.map(str::to_owned), direct: text == "three" });
    }
    kit.call(PinTag { cid: identity_cid("one"), add: vec!["keep".to_owned()], remove: vec![] });
    kit.call(SnapshotNow::default());
    kit
}

fn command(kit: &Kit, args: &[&str]) -> Command {
    let mut command = kit.ctl_command(&["sql"]);
    command.args(args).env("IPFS_KITD_DATA_DIR", kit.path("data"));
    command
}

fn sql(kit: &Kit, args: &[&str]) -> Said {
    said(&mut command(kit, args))
}

fn from_stdin(kit: &Kit, query: &str) -> Said {
    let mut command = command(kit, &["-", "-o", "csv"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    // It need not take all of it.
    let _ = child.stdin.take().expect("a pipe").write_all(query.as_bytes());
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

const NAMED: &str =
    "SELECT name, type, size, first_seen > '2020-01-01' AS new FROM pins WHERE id > 0 ORDER BY name NULLS LAST";

#[test]
fn rows_come_in_every_format_with_and_without_the_daemon() {
    let mut kit = published();
    let check = |kit: &Kit| {
        let csv = sql(kit, &[NAMED, "-o", "csv"]);
        assert_eq!(csv.code, Some(0), "{}", csv.err);
        let all: Vec<&str> = csv.out.lines().collect();
        assert_eq!(all[0], "name,type,size,new");
        assert!(all.contains(&"first,recursive,,true") && all.contains(&"\"a,\"\"b\"\"\",recursive,,true"), "{all:?}");
        assert!(all.contains(&",direct,,true"), "{all:?}");
        assert!(csv.err.starts_with("offline: snapshot gen-"), "{}", csv.err);
        assert_eq!(from_stdin(kit, NAMED).out, csv.out);
        let table = sql(kit, &[NAMED, "--no-header"]);
        assert!(
            table.out.lines().any(|line| line.split_whitespace().eq(["first", "recursive", "-", "true"])),
            "{}",
            table.out
        );
        let ndjson = sql(kit, &[NAMED, "-o", "ndjson"]).out;
        let rows: Vec<Value> = ndjson.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert!(rows.contains(&json!({"name": "first", "type": "recursive", "size": null, "new": true})), "{rows:?}");
        let document = sql(kit, &[NAMED, "-o", "json", "--limit", "1"]);
        assert!(document.err.starts_with("there is more than 1 row"), "{}", document.err);
        let document: Value = serde_json::from_str(&document.out).expect("JSON");
        assert_eq!(document["columns"], json!(["name", "type", "size", "new"]));
        assert_eq!((document["rows"].as_array().map(Vec::len), &document["cut"]), (Some(1), &json!(true)));
        assert!(document["as_of"].is_string() && document["generation"].is_u64(), "{document}");
        let types = "SELECT m.tags, sum(p.id) AS s, {'a': 1.5, 'b': 'x'} AS st, 'nan'::DOUBLE AS no, DATE '2026-11-21' AS d, p.cid, m.cid \
                     FROM pins p JOIN marks m USING (cid) GROUP BY ALL";
        let row: Value = serde_json::from_str(&sql(kit, &[types, "-o", "ndjson"]).out).expect("JSON");
        assert_eq!((&row["tags"], &row["st"]), (&json!(["keep"]), &json!({"a": 1.5, "b": "x"})));
        assert!(row["s"].is_u64() && row["no"].is_null() && row["d"] == "2026-11-21", "{row}");
        assert_eq!((&row["cid"], &row["cid_1"]), (&json!(identity_cid("one")), &json!(identity_cid("one"))));
        assert_eq!(sql(kit, &["SELECT 1 AS x WHERE false", "-o", "csv"]).out, "x\n");
        let steps = "CREATE TABLE mine AS SELECT * FROM pins; DELETE FROM mine WHERE name IS NULL; SELECT count(*) > 1 AS c FROM mine";
        assert_eq!(sql(kit, &[steps, "-o", "csv"]).out, "c\ntrue\n");
    };
    check(&kit);
    for statement in
        ["SHOW TABLES", "DESCRIBE pins", "SUMMARIZE pins", "EXPLAIN SELECT * FROM pins", "CREATE TABLE t(i INT)"]
    {
        let said = sql(&kit, &[statement]);
        assert_eq!(said.code, Some(0), "{statement}: {}", said.err);
    }
    let tables = sql(&kit, &["SHOW TABLES", "-o", "csv"]).out;
    for table in ["pins", "gone", "marks", "vfs_journal", "state_system", "legacy_sources"] {
        assert!(tables.lines().any(|line| line == table), "{table}: {tables}");
    }
    kit.kill();
    check(&kit);
}

#[test]
fn arrow_and_parquet_have_typed_columns() {
    let kit = published();
    let run = |form: &str| {
        let output = command(&kit, &["SELECT cid, id FROM pins ORDER BY id", "-o", form]).output().expect("it runs");
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let arrow = run("arrow");
    let reader = StreamReader::try_new(&arrow[..], None).expect("a stream");
    assert!(reader.schema().metadata()["ipfs_kitd.snapshot"].starts_with("gen-"));
    let arrow: Vec<_> = reader.map(|rows| rows.expect("rows")).collect();
    let parquet = ParquetRecordBatchReader::try_new(Bytes::from(run("parquet")), 100).expect("a file");
    let parquet: Vec<_> = parquet.map(|rows| rows.expect("rows")).collect();
    assert_eq!(arrow[0].column(1).as_primitive::<Int64Type>(), parquet[0].column(1).as_primitive::<Int64Type>());
    let cids: Vec<_> = parquet[0].column(0).as_string::<i32>().iter().flatten().collect();
    assert!(cids.contains(&identity_cid("one").as_str()), "{cids:?}");
}

#[test]
fn what_is_wrong_with_a_query_is_one_sentence() {
    let kit = published();
    for (query, code, words) in [
        ("SELEC 1", 2, "error: Parser Error: syntax error at or near \"SELEC\"\nhint: docs/DATA.md"),
        ("SELECT colour FROM pins", 2, "error: Binder Error: Referenced column \"colour\" not found"),
        ("SELECT * FROM pin", 2, "error: Catalog Error: Table with name pin does not exist! Did you mean \"pins\""),
        ("", 2, "error: "),
        ("/* nothing */", 2, "error: "),
        ("SELECT ?", 1, "error: "),
        ("SELECT 'x'::INT", 1, "error: Conversion Error: Could not convert string 'x' to INT32\n"),
    ] {
        let said = sql(&kit, &[query]);
        assert_eq!((said.code, said.out.as_str()), (Some(code), ""), "{query}: {}", said.err);
        assert!(said.err.contains(words), "{query}: {}", said.err);
        assert!(said.err.lines().filter(|line| !line.starts_with("offline: ")).count() <= 2, "{query}: {}", said.err);
    }
    let long = from_stdin(&kit, &format!("SELECT '{}'", "x".repeat(3 << 20)));
    assert_eq!((long.code, long.out.as_str()), (Some(2), ""));
    assert!(long.err.starts_with("error: a query has at most 64 KiB"), "{}", long.err);
    assert_eq!(sql(&kit, &["SELECT 1", "-o", "wide"]).code, Some(2));
    let stale = sql(&kit, &["SELECT 1", "--max-age", "1ms"]);
    assert_eq!((stale.code, stale.out.as_str()), (Some(75), ""), "{}", stale.err);
    let none = said(&mut kit.ctl_command(&["sql", "SELECT 1", "--data-dir", "/nowhere"]));
    assert_eq!(none.code, Some(69), "{}", none.err);
    assert!(none.err.starts_with("error: there is no snapshot to read\n  tried /nowhere/snapshots"), "{}", none.err);
}

/// Every file of the kit's directory that is no log, and its bytes.
fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).expect("listed").map(|entry| entry.expect("an entry").path()) {
        match entry.is_dir() {
            true => files.extend(self::files(&entry)),
            false => files.push((entry.display().to_string(), fs::read(&entry).expect("bytes"))),
        }
    }
    files.sort();
    files
}

#[test]
fn a_hostile_query_harms_nothing_but_itself() {
    let mut kit = published();
    let secret = kit.path("home/secret.csv");
    fs::write(&secret, "a,b\n1,2\n").expect("written");
    let home = kit.path("home").display().to_string();
    let (snapshots, pid) = (files(&kit.path("data/snapshots")), kit.status().daemon.pid);
    let refused = [
        "SELECT * FROM read_text('HOME/secret.csv')",
        "SELECT * FROM read_blob('HOME/secret.csv')",
        "SELECT * FROM read_csv('HOME/secret.csv')",
        "SELECT * FROM read_json('manifest.json')",
        "SELECT * FROM 'HOME/secret.csv'",
        "SELECT * FROM read_parquet('../../index/pins.duckdb')",
        "SELECT * FROM glob('/*')",
        "SELECT * FROM read_csv('http://127.0.0.1:1/x.csv')",
        "COPY pins TO 'pins.parquet' (USE_TMP_FILE false)",
        "COPY (SELECT 1) TO 'gone.parquet' (FORMAT csv, USE_TMP_FILE false)",
        "COPY pins TO 'pins.parquet'",
        "COPY pins TO 'HOME/out.parquet'",
        "COPY pins TO 'new.csv'",
        "COPY pins TO 'HOME/parts' (FORMAT parquet, PARTITION_BY (type))",
        "COPY (SELECT 1) TO '/dev/stderr'",
        "CREATE TABLE t(a INT, b INT); COPY t FROM 'HOME/secret.csv'",
        "ATTACH 'HOME/new.duckdb'",
        "ATTACH '../../index/pins.duckdb' AS i (READ_ONLY)",
        "EXPORT DATABASE 'HOME/export'",
        "IMPORT DATABASE 'HOME/export'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "LOAD 'HOME/evil.duckdb_extension'",
        "SET threads=8",
        "SET memory_limit='100GB'",
        "RESET memory_limit",
        "SET enable_external_access=true",
        "SET allowed_directories=['/']",
        "SET lock_configuration=false",
        "SET GLOBAL temp_directory='HOME'",
        "PRAGMA enable_profiling='json'",
        "PRAGMA profiling_output='HOME/profile'",
        "CREATE PERSISTENT SECRET s (TYPE http, BEARER_TOKEN 'x')",
        "CREATE SECRET s (TYPE s3)",
        "CALL enable_logging(storage='file', storage_path='HOME/log'); SELECT 1",
        "SELECT getenv('HOME')",
        // Memory.
        "SELECT list_sort(range(100000000)) AS l",
        "SELECT length(repeat('x', 4000000000)) AS l",
        "SELECT string_agg(range::VARCHAR, ' ') FROM range(1000000000)",
        "SELECT * FROM range(1000000000) ORDER BY hash(range)",
        "SELECT repeat('x', 2000000) AS r",
    ];
    for query in refused {
        let said = sql(&kit, &[&query.replace("HOME", &home), "--memory", "200MB", "--timeout", "20s"]);
        assert!(matches!(said.code, Some(1 | 2)), "{query}: {said:?}");
        assert!(said.err.contains("error: "), "{query}: {}", said.err);
        assert!(!said.out.contains("1,2"), "{query}: {}", said.out);
    }
    let depth = |open: &str, close: &str, levels| format!("SELECT {}1{}", open.repeat(levels), close.repeat(levels));
    for query in [
        depth("(", ")", 30_000),
        depth("(SELECT ", ")", 7_000),
        depth("[", "]", 30_000),
        depth("- ", "", 30_000),
        format!("SELECT 1{}", " + 1".repeat(16_000)),
        format!("SELECT * FROM {}pins{}", "(SELECT * FROM ".repeat(3_500), ")".repeat(3_500)),
    ] {
        let said = from_stdin(&kit, &query);
        assert!(matches!(said.code, Some(0..=2)), "{said:?}");
    }
    for query in [ENDLESS, "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT max(n) FROM r"] {
        let said = sql(&kit, &[query, "--timeout", "1s"]);
        assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{query}: {}", said.err);
        assert!(said.err.contains("error: the snapshot gave no answer within 1s"), "{query}: {}", said.err);
    }
    let flood = sql(&kit, &["SELECT * FROM range(1000000000000)", "-o", "csv", "--limit", "1000", "--timeout", "20s"]);
    assert_eq!((flood.code, flood.out.lines().count()), (Some(0), 1001), "{}", flood.err);
    assert_eq!(files(&kit.path("data/snapshots")), snapshots, "the snapshots are as they were");
    assert_eq!(files(&kit.path("home")).len(), 1, "and nothing was written elsewhere");
    assert_eq!(kit.status().daemon.pid, pid, "and the daemon answers");
    kit.stop();
}

/// One that runs for ever, and the process that works for it.
fn endless(kit: &Kit) -> (Child, i32) {
    let mut command = command(kit, &[ENDLESS, "--timeout", "1h"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let list = format!("/proc/{0}/task/{0}/children", child.id());
    let worker = || fs::read_to_string(&list).ok()?.split_whitespace().next()?.parse::<i32>().ok();
    // Its limits are in force before it looks for a snapshot.
    let confined = || {
        let limits = worker().and_then(|pid| fs::read_to_string(format!("/proc/{pid}/limits")).ok());
        limits.is_some_and(|limits| {
            limits.lines().any(|line| line.starts_with("Max file size") && line.split_whitespace().nth(3) == Some("0"))
        })
    };
    eventually(confined, || "no process works for it".to_owned());
    let pid = worker().expect("it works");
    (child, pid)
}

#[test]
fn a_query_ends_with_its_caller_and_a_killed_one_is_told() {
    if sigint_is_ignored() {
        return skipped("Ctrl-C and sql", "SIGINT is ignored where the tests run");
    }
    let kit = published();
    let (mut child, worker) = endless(&kit);
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).expect("it is there");
    assert_eq!(child.wait().expect("it ends").signal(), Some(Signal::SIGINT as i32), "130 in a shell");
    let gone = || {
        let ours = fs::read(format!("/proc/{worker}/cmdline")).unwrap_or_default();
        !String::from_utf8_lossy(&ours).contains("__sql")
    };
    eventually(gone, || "its worker goes on".to_owned());
    let (child, worker) = endless(&kit);
    kill(Pid::from_raw(worker), Signal::SIGKILL).expect("it is there");
    let output = child.wait_with_output().expect("it ends");
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.contains("error: the query ended its process (signal: 9 (SIGKILL)); nothing else was harmed"), "{err}");
}

#[test]
fn the_examples_for_sql_in_the_data_page_run() {
    let kit = published();
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/DATA.md")).expect("readable");
    let block = page.split_once("\n### SQL\n```sh\n").and_then(|(_, rest)| rest.split_once("```")).expect("a block").0;
    let path = std::env::var("PATH").expect("a PATH");
    let beside = built("ipfs-kitctl").parent().expect("a directory").display().to_string();
    fs::write(kit.path("kept.sql"), "SELECT cid FROM marks WHERE list_contains(tags, 'keep')").expect("written");
    for line in block.lines() {
        let mut shell = Command::new("/bin/sh");
        shell.env("IPFS_KITD_DATA_DIR", kit.path("data")).env("PATH", format!("{beside}:{path}"));
        let ran = said(shell.current_dir(kit.path("")).args(["-c", line]).stdin(Stdio::null()));
        assert_eq!(ran.code, Some(0), "{line}: {}", ran.err);
    }
    assert!(kit.path("kept.parquet").exists(), "it was one of them");
}
