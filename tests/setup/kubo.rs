//! tools/kubo/fetch

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use sha2::{Digest, Sha512};

use crate::place::{ARCH, GOARCH, Outcome, Place};
use crate::server::{Server, unreachable_url};

const VERSION: &str = "0.43.1";

fn archive_name() -> String {
    format!("kubo_v{VERSION}_linux-{GOARCH}.tar.gz")
}

fn installed() -> String {
    format!("kubo/{VERSION}-{ARCH}/ipfs")
}

/// A stand-in for the real program: it knows its version, and is long enough to be cut in the middle.
fn ipfs(version: &str) -> String {
    let mut digits = String::new();
    for n in 0..20_000_u64 {
        // Something that gzip can't make small.
        digits.push_str(&format!("# {}\n", n.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
    }
    format!("[ \"$*\" = 'version --number' ] && echo {version}\nexit\n{digits}")
}

/// A download page with the archive and its checksum; the archive's length comes with it.
fn page(place: &Place) -> (Server, usize) {
    place.executable("files/kubo/ipfs", &ipfs(VERSION));
    let archive = place.tar_gz(&["kubo/ipfs"]);
    let server = Server::new();
    let length = archive.len();
    server
        .serve(&format!("{}.sha512", archive_name()), format!("{:x}  {}\n", Sha512::digest(&archive), archive_name()));
    server.serve(&archive_name(), archive);
    (server, length)
}

fn fetch(place: &Place, from: &str, urls: &str) -> Outcome {
    place.run("tools/kubo/fetch", &[("IPFS_KITD_KUBO_FROM", from), ("IPFS_KITD_KUBO_URLS", urls)])
}

#[test]
fn archive_with_the_publishers_checksum_is_installed_and_linked() {
    let place = Place::new();
    let (server, _) = page(&place);
    let outcome = fetch(&place, "archive", &server.url()).succeeded();
    assert_eq!(outcome.result(), place.path("cache").join(installed()));
    assert_eq!(place.path("deps/ipfs").canonicalize().expect("the link leads somewhere"), outcome.result());
    assert_eq!(place.cached(), [installed()], "the download and the scratch folder are gone");
}

#[test]
fn second_run_asks_nobody() {
    let place = Place::new();
    let (server, _) = page(&place);
    fetch(&place, "archive", &server.url()).succeeded();
    fs::remove_dir_all(place.path("deps")).expect("the link was there");
    let outcome = fetch(&place, "archive", &unreachable_url()).succeeded();
    assert_eq!(place.path("deps/ipfs").canonicalize().expect("linked again"), outcome.result());
    assert_eq!(outcome.stderr, "");
}

#[test]
fn archive_with_a_wrong_checksum_is_refused_and_nothing_is_installed() {
    let place = Place::new();
    let (server, _) = page(&place);
    server.serve(&format!("{}.sha512", archive_name()), format!("{}  {}\n", "0".repeat(128), archive_name()));
    fetch(&place, "archive source", &server.url())
        .failed_saying("does not match the publisher's checksum and was thrown away");
    assert_eq!(place.cached(), [""; 0]);
    assert!(!place.path("deps/ipfs").exists());
}

#[test]
fn web_page_in_place_of_the_checksum_is_not_used() {
    let place = Place::new();
    let (server, _) = page(&place);
    server.serve(&format!("{}.sha512", archive_name()), "<html>Please log in to this network</html>");
    fetch(&place, "archive", &server.url()).failed_saying("something that is no checksum");
    assert_eq!(server.asked_for(&archive_name()), [0; 0]);
}

#[test]
fn archive_that_holds_another_version_is_not_installed() {
    let place = Place::new();
    place.executable("files/kubo/ipfs", &ipfs("0.12.0"));
    let archive = place.tar_gz(&["kubo/ipfs"]);
    let server = Server::new();
    server.serve(&format!("{}.sha512", archive_name()), format!("{:x}", Sha512::digest(&archive)));
    server.serve(&archive_name(), archive);
    fetch(&place, "archive", &server.url()).failed_saying(&format!("holds no ipfs {VERSION} that runs here"));
    assert_eq!(place.cached(), [""; 0]);
}

#[test]
fn download_cut_in_the_middle_goes_on_there_in_the_next_run() {
    let place = Place::new();
    let (server, length) = page(&place);
    server.cut_after(length / 2);
    fetch(&place, "archive", &server.url()).failed_saying("what arrived is kept");
    assert!(!place.path("deps/ipfs").exists());
    server.is_up(true);
    fetch(&place, "archive", &server.url()).succeeded();
    let half = u64::try_from(length / 2).expect("it fits");
    assert_eq!(server.asked_for(&archive_name()), [0, half, half]);
}

#[test]
fn download_cut_on_the_first_site_goes_on_at_the_second() {
    let place = Place::new();
    let (first, length) = page(&place);
    let (second, _) = page(&place);
    first.cut_after(length / 2);
    fetch(&place, "archive", &format!("{} {}", first.url(), second.url())).succeeded();
    assert_eq!(second.asked_for(&archive_name()), [u64::try_from(length / 2).expect("it fits")]);
}

#[test]
fn download_that_was_whole_already_is_not_repeated() {
    let place = Place::new();
    let (server, length) = page(&place);
    server.cut_after(length - 1);
    fetch(&place, "archive", &server.url()).failed_saying("what arrived is kept");
    // The last byte had arrived as well, but the run was killed before it knew.
    let part = place.cached().pop().expect("the part");
    let archive = place.tar_gz(&["kubo/ipfs"]);
    place.file(&format!("cache/{part}"), archive);
    server.is_up(true);
    fetch(&place, "archive", &server.url()).succeeded();
}

#[test]
fn site_that_cannot_resume_is_asked_for_the_whole_file() {
    let place = Place::new();
    let (server, length) = page(&place);
    server.cut_after(length / 2);
    fetch(&place, "archive", &server.url()).failed_saying("what arrived is kept");
    server.is_up(true);
    server.knows_no_ranges();
    fetch(&place, "archive", &server.url()).succeeded();
    assert_eq!(server.asked_for(&archive_name()).last(), Some(&0));
}

#[test]
fn site_that_is_not_reachable_is_passed_over() {
    let place = Place::new();
    let (server, _) = page(&place);
    let outcome = fetch(&place, "archive", &format!("{} {}", unreachable_url(), server.url())).succeeded();
    outcome.said("can't reach http://127.0.0.1");
}

#[test]
fn two_at_once_download_once() {
    let place = Place::new();
    let (server, _) = page(&place);
    let (asked, release) = server.hold();
    let start = || {
        place
            .command("tools/kubo/fetch")
            .env("IPFS_KITD_KUBO_FROM", "archive")
            .env("IPFS_KITD_KUBO_URLS", server.url())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the script starts")
    };
    let first = start();
    asked.recv().expect("the first one asks");
    let mut second = start();
    let mut said = BufReader::new(second.stderr.take().expect("piped"));
    let mut line = String::new();
    said.read_line(&mut line).expect("it says something");
    assert!(line.contains("waiting for it"), "{line}");
    release.send(()).expect("the answer is waiting");
    let first = Outcome::from(first.wait_with_output().expect("it ends")).succeeded();
    said.read_to_string(&mut line).expect("it closes stderr");
    let second = Outcome::from(second.wait_with_output().expect("it ends")).succeeded();
    assert_eq!(first.result(), second.result());
    assert_eq!(server.asked_for(&archive_name()), [0]);
}

#[test]
fn ipfs_on_path_is_used_when_it_is_recent_enough() {
    for version in ["0.43.0", "0.43.1", "0.100.0", "1.0.0-rc1"] {
        let place = Place::new();
        place.program("ipfs", &ipfs(version));
        let outcome = fetch(&place, "path archive source", &unreachable_url()).succeeded();
        assert_eq!(outcome.result(), place.path("bin/ipfs"));
        outcome.said(&format!("({version}) from PATH"));
        assert_eq!(place.cached(), [""; 0]);
    }
}

#[test]
fn ipfs_on_path_is_passed_over_when_it_is_old_or_broken() {
    for (program, reason) in [(ipfs("0.9.1"), "older than 0.43.0"), ("exit 1".to_owned(), "does not tell its version")]
    {
        let place = Place::new();
        let (server, _) = page(&place);
        place.program("ipfs", &program);
        let outcome = fetch(&place, "path archive", &server.url()).succeeded();
        assert_eq!(outcome.result(), place.path("cache").join(installed()));
        outcome.said(reason);
    }
}

#[test]
fn damaged_binary_in_the_cache_is_replaced() {
    let place = Place::new();
    let (server, _) = page(&place);
    place.file(&format!("cache/{}", installed()), "half a progr");
    fetch(&place, "archive", &server.url()).succeeded();
    let now = fs::read_to_string(place.path("cache").join(installed())).expect("it is there");
    assert!(now.contains(&ipfs(VERSION)));
}

/// A `go` that answers as the real one does where the script asks it.
fn go(place: &Place, build: &str) {
    place.file("files/built", format!("#!/usr/bin/env bash\n{}", ipfs(VERSION)));
    place.program(
        "go",
        &format!(
            r#"case " $* " in
  *" version "*) echo go version go1.26.8 linux ;;
  *" env GOVERSION "*) echo go1.26.8 ;;
  *" build "*) while [ "$1" != -o ]; do shift; done; out=$2; {build} ;;
  *) exit 9 ;;
esac"#
        ),
    );
}

#[test]
fn unreachable_pages_lead_to_a_build_from_source() {
    let place = Place::new();
    go(&place, r#"cat "$FILES/built" >"$out" && chmod 755 "$out""#);
    let outcome = fetch(&place, "path archive source", &unreachable_url()).succeeded();
    assert_eq!(outcome.result(), place.path("cache").join(installed()));
    outcome.said("can't reach").said("building 0.43.1 from the Go module proxy with go1.26.8");
    assert_eq!(place.cached(), [installed()]);
}

#[test]
fn failed_build_shows_the_compilers_words() {
    let place = Place::new();
    go(&place, "echo internal/abi; echo 'go: dial tcp: no route to host' >&2; exit 1");
    let outcome =
        fetch(&place, "source", "").failed_saying("could not build from the Go module proxy: go build failed");
    outcome.said("no route to host");
    assert_eq!(place.cached(), [""; 0]);
}

#[test]
fn missing_go_is_named_with_what_to_do() {
    let place = Place::new();
    fetch(&place, "path archive source", &unreachable_url()).failed_saying(
        "kubo: could not build from the Go module proxy: Go 1.26 or newer is needed (found none). \
         Install Go, or put an ipfs binary >= 0.43.0 on PATH, then run make setup again.",
    );
}

#[test]
fn go_that_is_too_old_is_named_with_its_own_words() {
    let place = Place::new();
    let words = "go: go.mod requires go >= 1.26.5 (running go 1.21.0; GOTOOLCHAIN=local)";
    place.program("go", &format!("echo '{words}' >&2; exit 1"));
    fetch(&place, "source", "").failed_saying(&format!("Go 1.26 or newer is needed ({words})"));
}

#[test]
fn missing_curl_leads_to_a_build_from_source() {
    let place = Place::new();
    place.remove_program("curl");
    go(&place, r#"cat "$FILES/built" >"$out" && chmod 755 "$out""#);
    fetch(&place, "archive source", &unreachable_url()).succeeded().said("curl is missing");
}

#[test]
fn unknown_way_is_named() {
    fetch(&Place::new(), "archiv", "").failed_saying("knows path, archive and source, not 'archiv'");
}
