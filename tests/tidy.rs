//! House rules as tests: what stands where, how long a file may be, what every file begins with.

use std::path::{Path, PathBuf};

fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for dir in ["src", "proto-msgs", "kitctl", "tests"] {
        walk(&root.join(dir), &mut files);
    }
    files.push(root.join("build.rs"));
    let read = |path: PathBuf| {
        let name = path.strip_prefix(root).expect("below the root").display().to_string();
        (name, std::fs::read_to_string(&path).expect("a readable source file"))
    };
    files.into_iter().map(read).collect()
}

fn walk(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("a readable directory") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            walk(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
}

/// The part of a file before its unit tests.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or(text)
}

/// Files outside `homes` in which `needle` stands.
fn strays(needle: &str, homes: &[&str]) -> Vec<String> {
    let in_home = |name: &str| name.contains("tests/") || homes.iter().any(|home| name.starts_with(home));
    let stray = |(name, text): &(String, String)| !in_home(name) && without_tests(text).contains(needle);
    sources().into_iter().filter(stray).map(|(name, _)| name).collect()
}

#[test]
fn every_file_begins_by_saying_what_it_is() {
    let bare: Vec<_> =
        sources().into_iter().filter(|(_, text)| !text.starts_with("//! ")).map(|(name, _)| name).collect();
    assert!(bare.is_empty(), "no `//!` at the head of {bare:?}");
}

#[test]
fn no_file_is_longer_than_500_lines_without_its_tests() {
    let lines = |text: &str| without_tests(text).lines().count();
    let programs = sources().into_iter().filter(|(name, _)| !name.contains("tests/"));
    let long: Vec<_> = programs.map(|(name, text)| (lines(&text), name)).filter(|(n, _)| *n > 500).collect();
    assert!(long.is_empty(), "split these: {long:?}");
}

#[test]
fn each_foreign_thing_has_one_home() {
    assert_eq!(
        strays("duckdb::", &["src/index/", "src/sql/engine.rs"]),
        Vec::<String>::new(),
        "DuckDB belongs to src/index/"
    );
    assert_eq!(
        strays("Command::new", &["src/kubo/", "kitctl/src/process.rs"]),
        Vec::<String>::new(),
        "processes belong to src/kubo/, and of the client to one file"
    );
    assert_eq!(
        strays("bincode::", &["proto-msgs/src/binary.rs", "src/analytics/checkpoint.rs"]),
        Vec::<String>::new(),
        "bincode belongs to binary.rs, and of files to one"
    );
    assert_eq!(strays("ListenerOptions", &["src/server/actor.rs"]), Vec::<String>::new(), "one file listens");
}

#[test]
fn no_test_is_ignored_and_nothing_is_left_to_do() {
    for mark in [
        concat!("#[", "ignore"),
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
    ] {
        let found: Vec<_> =
            sources().into_iter().filter(|(_, text)| text.contains(mark)).map(|(name, _)| name).collect();
        assert!(found.is_empty(), "{mark} in {found:?}");
    }
}

#[test]
fn the_client_needs_no_runtime_and_no_database() {
    for manifest in ["proto-msgs/Cargo.toml", "kitctl/Cargo.toml"] {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(manifest)).expect("readable");
        let (_, rest) = text.split_once("\n[dependencies]\n").expect("a table of dependencies");
        let table = rest.split("\n[").next().unwrap_or_default();
        assert!(table.contains("serde_json") && !text.contains("[dependencies."), "{manifest} has another form");
        let heavy = ["tokio", "duckdb", "arrow", "parquet", "kameo"];
        let found: Vec<_> = table.lines().filter(|line| heavy.iter().any(|name| line.contains(name))).collect();
        assert!(found.is_empty(), "{manifest}: {found:?}");
    }
}
