//! tools/check-tools and the scripts as a whole

use std::path::Path;
use std::process::Command;

use crate::place::Place;

/// A machine on which everything is there.
fn complete() -> Place {
    let place = Place::new();
    for name in ["cc", "cargo", "npm"] {
        place.program(name, "exit 0");
    }
    place
}

#[test]
fn complete_machine_passes_in_silence() {
    let outcome = complete().run("tools/check-tools", &[]).succeeded();
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("", ""));
}

#[test]
fn everything_that_is_missing_is_named_at_once() {
    let place = Place::new();
    place.remove_program("curl");
    let outcome = place.run("tools/check-tools", &[]).failed_saying("cc is missing. Install a C toolchain");
    outcome
        .said("cargo is missing. Install Rust 1.")
        .said("npm and curl are both missing")
        .said("then run make setup again");
}

#[test]
fn npm_alone_may_be_missing() {
    let place = complete();
    place.remove_program("npm");
    place.run("tools/check-tools", &[]).succeeded();
}

#[test]
fn cargo_that_does_not_run_is_told_with_its_own_words() {
    let place = complete();
    place.program("cargo", "echo 'error: no toolchain' >&2; exit 1");
    place.run("tools/check-tools", &[]).failed_saying("error: no toolchain").said("cargo does not run here");
}

#[test]
fn machine_without_prebuilt_files_is_named() {
    let place = complete();
    place.remove_program("uname");
    place.program("uname", "echo riscv64");
    for script in ["tools/check-tools", "tools/kubo/fetch", "tools/libduckdb/fetch"] {
        place.run(script, &[]).failed_saying("no prebuilt file for riscv64");
    }
}

#[test]
fn scripts_parse() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for script in ["tools/run", "tools/demo", "tools/node.sh", "tools/lib.sh", ".ci/run"] {
        let status = Command::new("bash").arg("-n").arg(root.join(script)).status().expect("bash");
        assert!(status.success(), "{script}");
    }
}
