//! tools/libduckdb/fetch

use std::fs;
use std::process::Command;

use sha2::{Digest, Sha256};

use crate::place::{ARCH, GOARCH, Outcome, Place};
use crate::server::{Server, unreachable_url};

fn installed() -> String {
    format!("libduckdb/1.5.6-{ARCH}/libduckdb.so")
}

fn recorded() -> String {
    format!("{}.sha256", installed())
}

fn sha256(content: impl AsRef<[u8]>) -> String {
    format!("{:x}", Sha256::digest(content))
}

/// An npm that serves one package, whose library has this content.
fn npm(place: &Place, library: impl AsRef<[u8]>) {
    place.file("files/package/libduckdb.so", library);
    place.file("files/package.tgz", place.tar_gz(&["package/libduckdb.so"]));
    place.program("npm", r#"[ "$1" = pack ] && echo "$2" >>"$FILES/asked" && cat "$FILES/package.tgz" >package.tgz"#);
}

fn pin(place: &Place, sum: &str) {
    place.file("pins", format!("# a comment\n{ARCH} npm {sum}\n"));
}

fn fetch(place: &Place, from: &str, env: &[(&str, &str)]) -> Outcome {
    let pins = place.path("pins");
    if !pins.exists() {
        place.file("pins", "");
    }
    let pins = pins.display().to_string();
    let mut all = vec![("IPFS_KITD_LIBDUCKDB_FROM", from), ("IPFS_KITD_LIBDUCKDB_PINS", pins.as_str())];
    all.extend_from_slice(env);
    place.run("tools/libduckdb/fetch", &all)
}

#[test]
fn package_with_the_pinned_checksum_is_installed_and_linked() {
    let place = Place::new();
    npm(&place, "a library");
    pin(&place, &sha256("a library"));
    let outcome = fetch(&place, "npm github", &[]).succeeded();
    assert_eq!(outcome.result(), place.path("cache").join(installed()));
    let linked = place.path("deps/duckdb/libduckdb.so");
    assert_eq!(fs::read_to_string(linked).expect("the link leads to the library"), "a library");
    assert_eq!(place.cached(), [installed(), recorded()], "the scratch folder is gone");
}

#[test]
fn package_with_another_checksum_is_refused_and_nothing_is_installed() {
    let place = Place::new();
    npm(&place, "another library");
    pin(&place, &sha256("a library"));
    fetch(&place, "npm github", &[]).failed_saying("was thrown away");
    assert_eq!(place.cached(), [""; 0]);
    assert!(!place.path("deps/duckdb").exists());
}

#[test]
fn good_library_in_the_cache_is_kept_and_nobody_is_asked() {
    let place = Place::new();
    pin(&place, &sha256("a library"));
    place.file(&format!("cache/{}", installed()), "a library");
    let outcome = fetch(&place, "npm github", &[]).succeeded();
    assert_eq!(outcome.stderr, "");
    assert!(place.path("deps/duckdb/libduckdb.so").exists());
}

#[test]
fn damaged_library_in_the_cache_is_replaced() {
    let place = Place::new();
    npm(&place, "a library");
    pin(&place, &sha256("a library"));
    place.file(&format!("cache/{}", installed()), "a libr");
    fetch(&place, "npm", &[]).succeeded().said("is damaged; replacing it");
    assert_eq!(fs::read_to_string(place.path("deps/duckdb/libduckdb.so")).expect("it is there"), "a library");
}

#[test]
fn committed_pin_is_the_one_in_force() {
    let place = Place::new();
    npm(&place, "a library");
    let outcome = place.run("tools/libduckdb/fetch", &[("IPFS_KITD_LIBDUCKDB_FROM", "npm")]);
    if ARCH == "x86_64" {
        outcome.failed_saying("not 3f4962cdd266eab2b479a5b5a4a6d063d279b2954ae814ed00385d553b747633");
    }
    assert_eq!(place.cached(), [""; 0]);
}

#[test]
fn demanded_checksum_goes_before_every_pin() {
    let place = Place::new();
    npm(&place, "a library");
    pin(&place, &sha256("a library"));
    fetch(&place, "npm", &[("IPFS_KITD_LIBDUCKDB_SHA256", &sha256("mine"))]).failed_saying("was thrown away");
    npm(&place, "mine");
    fetch(&place, "npm", &[("IPFS_KITD_LIBDUCKDB_SHA256", &sha256("mine"))]).succeeded();
    // Without the demand, what was accepted under it no longer is a surprise: its checksum was recorded.
    fetch(&place, "npm", &[]).succeeded();
}

/// A shared library that says that it is this version.
fn library(place: &Place, version: &str) -> Vec<u8> {
    let source =
        place.file("files/library.c", format!("const char *duckdb_library_version(void) {{ return \"{version}\"; }}"));
    let built = place.path("files/library.so");
    let status = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&built).arg(source).status().expect("cc");
    assert!(status.success());
    fs::read(built).expect("cc made it")
}

/// DuckDB's GitHub release. Its zip is a tar here, and unzip a tar in disguise: neither zip nor unzip has to be there for the test.
fn github(place: &Place, library: impl AsRef<[u8]>) -> Server {
    let server = Server::new();
    let zip = format!("libduckdb-linux-{GOARCH}.zip");
    place.file("files/libduckdb.so", library);
    let archive = place.tar_gz(&["libduckdb.so"]);
    // The layout of the publisher's JSON: an asset's digest comes after its name, with other assets around it.
    let asset = |name: &str, digest: &str| {
        format!(
            "    {{\n      \"name\": \"{name}\",\n      \"uploader\": {{\"login\": \"x\"}},\n      \"digest\": {digest},\n      \"size\": 1\n    }}"
        )
    };
    let assets = [
        asset("duckdb_cli-linux-amd64.zip", &format!("\"sha256:{}\"", "1".repeat(64))),
        asset(&zip, &format!("\"sha256:{}\"", sha256(&archive))),
        asset("libduckdb-src.zip", &format!("\"sha256:{}\"", "2".repeat(64))),
    ];
    let release = format!("{{\n  \"name\": \"v1.5.6\",\n  \"assets\": [\n{}\n  ]\n}}\n", assets.join(",\n"));
    server.serve("release", release);
    server.serve(&zip, archive);
    place.program("unzip", r#"[ "$1 $3 $4" = '-oq libduckdb.so -d' ] && tar -xzf "$2" -C "$5" "$3""#);
    server
}

fn fetch_from_github(place: &Place, server: &Server) -> Outcome {
    let release = format!("{}/release", server.url());
    let env = [("IPFS_KITD_LIBDUCKDB_URL", server.url()), ("IPFS_KITD_LIBDUCKDB_RELEASE_URL", release)];
    fetch(place, "npm github", &env.each_ref().map(|(name, value)| (*name, value.as_str())))
}

#[test]
fn without_npm_the_github_release_is_used() {
    let place = Place::new();
    place.real_program("cc");
    link_parts_of_cc(&place);
    let server = github(&place, library(&place, "v1.5.6"));
    let outcome = fetch_from_github(&place, &server).succeeded();
    outcome.said("npm is missing").said("accepted by its publisher's checksum");
    // The next run knows it again by the checksum that it recorded.
    assert_eq!(fetch(&place, "npm github", &[]).succeeded().stderr, "");
}

#[test]
fn library_of_another_version_is_refused_and_nothing_is_installed() {
    let place = Place::new();
    place.real_program("cc");
    link_parts_of_cc(&place);
    let server = github(&place, library(&place, "v1.4.0"));
    fetch_from_github(&place, &server).failed_saying("says that it is v1.4.0, not v1.5.6, and was thrown away");
    assert_eq!(place.cached(), [""; 0]);
}

#[test]
fn zip_that_differs_from_the_releases_checksum_is_refused() {
    let place = Place::new();
    let server = github(&place, "a library");
    server.serve(&format!("libduckdb-linux-{GOARCH}.zip"), "something else");
    fetch_from_github(&place, &server).failed_saying("does not match the checksum of its GitHub release");
    assert_eq!(place.cached(), [""; 0]);
}

#[test]
fn release_without_a_checksum_is_not_used() {
    let place = Place::new();
    let server = github(&place, "a library");
    let zip = format!("libduckdb-linux-{GOARCH}.zip");
    let assets = format!(
        r#"{{"assets":[{{"name":"{zip}","digest":null}},{{"name":"x","digest":"sha256:{}"}}]}}"#,
        "1".repeat(64)
    );
    server.serve("release", assets);
    fetch_from_github(&place, &server).failed_saying("gives no checksum");
    assert_eq!(server.asked_for(&zip), [0; 0]);
}

#[test]
fn package_that_npm_cannot_get_leads_to_github() {
    let place = Place::new();
    let server = github(&place, "a library");
    place.program("npm", "echo 'npm error code E404' >&2; exit 1");
    let sum = sha256("a library");
    place.file("pins", format!("{ARCH} github {sum}\n"));
    fetch_from_github(&place, &server).succeeded().said(": E404");
}

#[test]
fn no_way_left_is_told_with_what_to_do() {
    let place = Place::new();
    let url = unreachable_url();
    place.program("unzip", "exit 1");
    let env = [("IPFS_KITD_LIBDUCKDB_URL", url.as_str()), ("IPFS_KITD_LIBDUCKDB_RELEASE_URL", url.as_str())];
    let outcome = fetch(&place, "npm github", &env).failed_saying("could not get DuckDB 1.5.6's library");
    outcome
        .said("npm is missing")
        .said("can't reach DuckDB's GitHub release")
        .said("Install npm")
        .said("--features bundled");
}

#[test]
fn missing_compiler_is_named_where_the_library_must_tell_its_version() {
    let place = Place::new();
    let server = github(&place, "a library");
    fetch_from_github(&place, &server).failed_saying("Install a C toolchain");
    assert_eq!(place.cached(), [""; 0]);
}

/// gcc and clang look for their assembler and linker on the PATH.
fn link_parts_of_cc(place: &Place) {
    for part in ["as", "ld"] {
        place.real_program(part);
    }
}
