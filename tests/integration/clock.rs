//! Clocks that jump: the daemon runs over a shim that adds what the test says to what the kernel's clocks say.

use crate::kit::{Kit, said, skipped};
use nix::sys::signal::Signal;
use proto_msgs::daemon::IndexRefresh;
use proto_msgs::event::{Events, What};
use proto_msgs::kubo::KuboState;
use proto_msgs::pin::Source;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

/// Takes the place of libc's `clock_gettime`; the file holds the seconds to add to the wall clock and to the monotonic one.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

static volatile int64_t none[2], *added = none;
static int (*real)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void) {
    real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    const char *path = getenv("CLOCK_SHIM");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *map = fd < 0 ? MAP_FAILED : mmap(0, sizeof none, PROT_READ, MAP_SHARED, fd, 0);
    if (map != MAP_FAILED) added = map;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    if (!real) begin();
    int failed = real(clock, time);
    if (!failed && clock == CLOCK_REALTIME) time->tv_sec += added[0];
    if (!failed && clock == CLOCK_MONOTONIC) time->tv_sec += added[1];
    return failed;
}
"#;

/// A kit whose daemon has such clocks, and the file; `None` without a C compiler, which says so.
fn kit(test: &str) -> Option<(Kit, std::fs::File)> {
    let mut kit = Kit::fake();
    let (source, shim, file) = (kit.path("shim.c"), kit.path("shim.so"), kit.path("clocks"));
    std::fs::write(&source, SHIM).expect("written");
    let compiled =
        Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&shim).arg(&source).arg("-ldl").output();
    let Ok(compiled) = compiled else {
        skipped(test, "there is no C compiler");
        return None;
    };
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    std::fs::write(&file, [0; 16]).expect("written");
    let clocks = std::fs::OpenOptions::new().write(true).open(&file).expect("opened");
    let text = |path: &Path| path.display().to_string();
    kit.env("LD_PRELOAD", &text(&shim)).env("CLOCK_SHIM", &text(&file));
    Some((kit, clocks))
}

fn set(clocks: &std::fs::File, which: u64, seconds: i64) {
    clocks.write_all_at(&seconds.to_ne_bytes(), which * 8).expect("written");
}

#[test]
fn s20_a_wall_clock_that_jumps_restarts_nothing_skips_no_refresh_and_makes_no_negative_age() {
    const YEAR: i64 = 365 * 24 * 3600;
    let Some((mut kit, clocks)) = kit("s20") else { return };
    kit.arg("--interval").arg("200ms");
    kit.start_whole();
    let mut last = kit.status().index.as_of.expect("a time");
    for added in [YEAR, -YEAR, -3600, 0] {
        set(&clocks, 0, added);
        let shows = said(Command::new("date").args(["-u", "+%Y"]).env("LC_ALL", "C")).out;
        let year = shows.trim().parse::<i64>().expect("a year") + added / YEAR;
        let status = kit.until("refreshed by the new clock", |s| {
            s.index.as_of.as_ref().is_some_and(|at| *at != last && at.starts_with(&year.to_string()))
        });
        let age = status.index.age_s.expect("an age");
        assert!((0.0..60.0).contains(&age), "{age} s after a jump by {added} s");
        assert_eq!((status.kubo.state, status.kubo.restarts), (KuboState::Running, 0));
        last = status.index.as_of.expect("a time");
    }
    let page = kit.call(Events::default());
    assert!(page.events.iter().all(|event| match &event.what {
        What::Kubo(change) => change.cause != "no_answer",
        What::Error(_) => false,
        _ => true,
    }));
}

#[test]
fn s21_a_daemon_that_slept_for_ten_minutes_refreshes_once_and_takes_kubo_for_no_dead_one() {
    let Some((mut kit, clocks)) = kit("s21") else { return };
    kit.arg("--interval").arg("30s");
    kit.start_whole();
    let before = kit.status().index.as_of;
    let listings = kit.recorded("listing recursive");
    kit.signal(Signal::SIGSTOP);
    // As after a suspend: both clocks have gone on, and nothing has run.
    set(&clocks, 0, 600);
    set(&clocks, 1, 600);
    kit.signal(Signal::SIGCONT);
    kit.until("refreshed", |s| s.index.as_of != before && s.index.source == Source::Live);
    // One that comes after all that were due.
    kit.call(IndexRefresh { wait: true, names: false });
    // The second may repeat one that the sleep has cut; twenty were due.
    let since = kit.recorded("listing recursive") - listings;
    assert!((2..=3).contains(&since), "{since} listings");
    let kubo = kit.status().kubo;
    assert_eq!((kubo.state, kubo.restarts), (KuboState::Running, 0));
    let events = kit.call(Events::default()).events;
    let changes = events.iter().filter(|event| matches!(event.what, What::Kubo(_))).count();
    assert_eq!(changes, 2, "first_start and ready, and nothing since: {events:?}");
}
