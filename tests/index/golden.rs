//! What this release has written, kept in the repository: every later one opens it, or brings it to its own form.
//!
//! `UPDATE_RELEASE=1` makes the files of the present version anew. Those of a version that was released never change any more.

use crate::place::*;
use crate::recovery::{dump, kept};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The generation that the files hold.
const GENERATION: u64 = 3;
/// Versions of the tables.
const VERSIONS: [i64; 2] = [2, 3];

fn golden(version: i64, extension: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/index/golden/v{version}.{extension}"))
}

/// Index, journal and snapshots of a version.
fn unpacked(version: i64) -> TempDir {
    let dir = tempfile::tempdir().expect("a temp dir");
    let packed = fs::File::open(golden(version, "tar.zst")).expect("in the repository");
    let plain = zstd::Decoder::new(packed).expect("zstd");
    tar::Archive::new(plain).unpack(dir.path()).expect("unpacked");
    dir
}

async fn holds(version: i64, dir: TempDir) -> TempDir {
    let place = Place::of(dir);
    let rows = dump(&place, GENERATION).await.join("\n\n") + "\n";
    let wanted = fs::read_to_string(golden(version, "txt")).expect("in the repository");
    assert!(rows == wanted, "version {version}: {rows}");
    place.close().await
}

#[tokio::test]
async fn d11_the_files_of_every_release_are_opened_and_hold_what_they_held() {
    if std::env::var_os("UPDATE_RELEASE").is_some() {
        let version = ipfs_kitd::index::schema::VERSION;
        let (place, rows) = kept().await;
        let dir = place.close().await;
        let packed = fs::File::create(golden(version, "tar.zst")).expect("made");
        let mut tar = tar::Builder::new(zstd::Encoder::new(packed, 19).expect("zstd").auto_finish());
        tar.mode(tar::HeaderMode::Deterministic);
        for name in ["pins.duckdb", "journal", "snapshots"] {
            let path = dir.path().join(name);
            let packed =
                if path.is_dir() { tar.append_dir_all(name, path) } else { tar.append_path_with_name(path, name) };
            packed.expect("packed");
        }
        tar.into_inner().expect("packed");
        fs::write(golden(version, "txt"), rows.join("\n\n") + "\n").expect("written");
    }
    for version in VERSIONS {
        let dir = holds(version, unpacked(version)).await;
        holds(version, dir).await;
    }
}

#[tokio::test]
async fn d11_the_snapshot_and_the_journal_of_every_release_fill_a_new_index() {
    for version in VERSIONS {
        let dir = unpacked(version);
        fs::remove_file(dir.path().join("pins.duckdb")).expect("removed");
        holds(version, dir).await;
    }
}
