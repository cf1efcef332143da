//! A short run of the fuzz targets, on stable and without coverage: the corpus, the golden messages, and mutations of both that
//! are the same in every run. `cargo fuzz` in `fuzz/` runs the same functions for as long as one likes.
//!
//! `IPFS_KITD_FUZZ_ROUNDS` changes the number of mutations.

#[path = "../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "it is a library for cargo fuzz")]
mod targets;

use proto_msgs::{binary, json};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use targets::{TARGETS, Target};

const ROUNDS: usize = 50_000;
/// A round of it writes files.
const ROUNDS_OF_JOURNAL: usize = 300;

/// What the formats are made of.
const WORDS: [&[u8]; 14] = [
    b"\0",
    b"\n",
    b"\"",
    b"{",
    b"}",
    b"[",
    b"]",
    b":null",
    b",\"\":0",
    b"\\ud800",
    b"1e999",
    b"\xff\xff\xff\xff",
    b"\xfd",
    b"Keys",
];

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(dir).expect("a corpus").map(|entry| entry.expect("read").path()).collect();
    files.sort();
    files
}

/// The corpus of a target; of messages each golden one in both forms.
fn seeds(name: &str) -> Vec<Vec<u8>> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seeds: Vec<Vec<u8>> =
        files(&top.join("fuzz/corpus").join(name)).iter().map(|file| fs::read(file).expect("read")).collect();
    if ["request", "response"].contains(&name) {
        for file in files(&top.join("proto-msgs/tests/golden")) {
            let text = fs::read(file).expect("read");
            let messages: Vec<serde_json::Value> = serde_json::from_slice(&text).expect("golden messages");
            for message in messages.iter().map(|message| message.to_string().into_bytes()) {
                seeds.extend(json::parse_request(&message).ok().map(|request| binary::encode(&request)));
                seeds.extend(json::parse_response(&message).ok().flatten().map(|response| binary::encode(&response)));
                seeds.push(message);
            }
        }
    }
    assert!(seeds.len() > 2, "{name} has no corpus");
    seeds
}

fn mutated(seeds: &[Vec<u8>], random: &mut StdRng) -> Vec<u8> {
    let mut bytes = seeds.choose(random).cloned().unwrap_or_default();
    for _ in 0..random.random_range(1..5) {
        let at = random.random_range(0..=bytes.len());
        let end = random.random_range(at..=bytes.len().min(at + 40));
        match random.random_range(0..6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.random_range(0..8),
            1 if at < bytes.len() => bytes[at] = random.random(),
            2 => drop(bytes.drain(at..end)),
            3 => drop(bytes.splice(at..end, WORDS.choose(random).copied().unwrap_or_default().iter().copied())),
            4 => {
                let again = bytes[at..end].repeat(random.random_range(1..4));
                drop(bytes.splice(at..at, again));
            }
            _ => {
                let other = seeds.choose(random).map(Vec::as_slice).unwrap_or_default();
                let from = random.random_range(0..=other.len());
                bytes.truncate(at);
                bytes.extend(&other[from..]);
            }
        }
    }
    bytes
}

fn run(name: &str, target: Target, bytes: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| target(bytes))).is_err() {
        panic!("the target {name} fails for the bytes \"{}\"", bytes.escape_ascii());
    }
}

fn short_run(name: &str, rounds: usize) {
    let rounds = std::env::var("IPFS_KITD_FUZZ_ROUNDS").ok().map_or(rounds, |n| n.parse().expect("a number"));
    let (_, target) = TARGETS.into_iter().find(|(known, _)| *known == name).expect("a target");
    let seeds = seeds(name);
    seeds.iter().for_each(|seed| run(name, target, seed));
    let mut random = StdRng::seed_from_u64(1);
    for _ in 0..rounds {
        run(name, target, &mutated(&seeds, &mut random));
    }
}

#[test]
fn requests_of_any_bytes_are_refused_or_understood_alike_in_both_forms() {
    short_run("request", ROUNDS);
}

#[test]
fn responses_of_any_bytes_are_refused_or_understood() {
    short_run("response", ROUNDS);
}

#[test]
fn frames_of_any_bytes_stay_within_their_limit() {
    short_run("frame", ROUNDS);
}

#[test]
fn listings_of_any_bytes_are_refused_or_sorted() {
    short_run("listing", ROUNDS);
}

#[test]
fn lock_files_of_any_bytes_name_a_process_or_none() {
    short_run("lock", ROUNDS);
}

#[test]
fn journals_of_any_bytes_keep_what_is_said_after_they_were_opened() {
    short_run("journal", ROUNDS_OF_JOURNAL);
}

#[test]
fn lines_of_web_servers_of_any_bytes_are_read_or_passed_over() {
    short_run("gateway_line", ROUNDS);
}

#[test]
fn logs_of_requests_of_any_bytes_are_refused_or_counted_once() {
    short_run("request_log", ROUNDS);
}

#[test]
fn every_target_has_its_binary() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/Cargo.toml")).expect("read");
    for (name, _) in TARGETS {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name}");
    }
}
