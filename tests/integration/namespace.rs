//! The installed units under systemd itself, as PID 1 of namespaces of its own: `tests/scripts/systemd/boot` boots it, `drive`
//! beside it does the checks, and this asks for the result of each.

use crate::kit::{DEADLINE, built, real_kubo, said, skipped};
use crate::unit;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

/// What `drive` checks, in its order.
const CHECKS: [&str; 17] = [
    "the_account_and_its_runtime_directory_are_made",
    "the_socket_waits_while_no_daemon_runs",
    "the_first_client_starts_the_daemon_and_a_real_kubo",
    "pins_are_kept_and_locks_are_seen_under_the_full_hardening",
    "the_journal_has_the_daemons_words_and_the_status_line_its_state",
    "a_reload_reads_the_configuration_and_ends_nobody",
    "s12_after_a_sigkill_of_the_daemon_there_is_one_kubo_again",
    "a_stop_ends_kubo_in_order_and_leaves_nothing_but_its_files",
    "a_broken_configuration_is_not_tried_again",
    "a_repo_in_a_home_directory_is_let_in_by_the_drop_in",
    "a_users_own_service_is_started_by_her_first_client",
    "s8_systemctl_stop_is_one_signal_to_kubo",
    "s8_systemctl_restart_is_one_signal_to_a_kubo_that_takes_its_time",
    "s8_a_stop_while_kubo_starts_is_one_signal_to_kubo",
    "s23_a_daemon_that_hangs_is_ended_by_the_watchdog_and_started_again",
    "s9_what_kubo_leaves_in_its_control_group_ends_with_it_though_it_bears_no_mark",
    "two_instances_of_the_template_run_beside_each_other",
];

/// The exit code of `boot` where it can't do its work.
const NOT_HERE: i32 = 77;

#[test]
fn systemd_as_pid_1_starts_watches_and_stops_the_installed_units() {
    let version = match unit::systemd_version() {
        Ok(version) => version,
        Err(why) => return skipped("the units under systemd", why),
    };
    let place = tempfile::tempdir().expect("a temp dir");
    let path = |name: &str| place.path().join(name);
    for dir in ["root", "out"] {
        std::fs::create_dir(path(dir)).expect("made");
    }
    let prefix = Path::new("/opt/ipfs-kitd");
    unit::install(prefix, &path("installed"), version);
    std::fs::rename(path("installed/opt/ipfs-kitd"), path("prefix")).expect("renamed");
    // Where the daemon's own search path finds it; a build of the feature `bundled` has none.
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR"));
    let library = checkout.join(".deps/duckdb/libduckdb.so");
    let programs = [
        ("bin/ipfs-kitd", env!("CARGO_BIN_EXE_ipfs-kitd").into()),
        ("bin/ipfs-kitctl", built("ipfs-kitctl")),
        ("bin/fake-kubo", built("fake-kubo")),
        ("bin/ipfs", real_kubo()),
        ("lib/ipfs-kitd/libduckdb.so", library),
        ("share/OPERATIONS.md", checkout.join("docs/OPERATIONS.md")),
    ];
    let mut list = String::new();
    for (name, program) in programs.iter().filter_map(|(name, path)| Some((name, path.canonicalize().ok()?))) {
        writeln!(list, "{name} {}", program.display()).expect("text");
    }
    std::fs::write(path("programs"), list).expect("written");

    let boot = checkout.join("tests/scripts/systemd/boot");
    let limit = 2 * DEADLINE.as_secs();
    let booted = said(Command::new("/bin/sh").arg(boot).arg(place.path()).arg(limit.to_string()));
    if booted.code == Some(NOT_HERE) {
        return skipped("the units under systemd", booted.err.trim());
    }
    let report = std::fs::read_to_string(path("out/report")).unwrap_or_default();
    let results: Vec<_> = report.lines().filter(|line| !line.starts_with("  | ")).collect();
    let expected = CHECKS.map(|check| format!("ok {check}"));
    assert_eq!(results, expected, "{report}{}", booted.err);
    assert_eq!(booted.code, Some(0), "{}", booted.err);
}
