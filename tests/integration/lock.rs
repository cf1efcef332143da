//! Locks: judged by the kernel, cleaned where their owner is dead, never touched where somebody lives.

use crate::kit::ipfs;
use crate::kit::{DEADLINE, Kit, Said, built, eventually, real_kubo, skipped};
use ipfs_kitd::janitor::clean::{How, clean};
use ipfs_kitd::janitor::evidence::{Looks, look};
use ipfs_kitd::janitor::places::Places;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use proto_msgs::FaultKind;
use proto_msgs::daemon::Condition;
use proto_msgs::kubo::{KuboStart, KuboState, KuboStop};
use proto_msgs::lock::{LockAction, LockCheck, LockFile, Verdict};
use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};
use serde_json::{Value, json};
use std::fs::{File, FileTimes};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// A process of `fake-kubo` that has told nothing yet; it ends with its stdin.
fn holder(args: &[&str]) -> Child {
    let mut command = Command::new(built("fake-kubo"));
    command.args(args).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped());
    command.spawn().expect("it starts")
}

fn last_line(mut child: Child) -> String {
    drop(child.stdin.take());
    let said = BufReader::new(child.stdout.take().expect("a pipe")).lines().last().expect("a line").expect("UTF-8");
    assert!(child.wait().expect("waited for").success());
    said
}

#[test]
fn in_ten_thousand_races_with_locks_that_come_and_go_no_live_one_is_touched() {
    let dir = tempfile::tempdir().expect("a temp dir");
    let repo = dir.path();
    std::fs::write(repo.join("config"), "{}").expect("written");
    std::fs::write(repo.join("datastore_spec"), r#"{"type":"levelds","path":"datastore"}"#).expect("written");
    for name in ["datastore", "aside"] {
        std::fs::create_dir(repo.join(name)).expect("made");
    }
    std::fs::write(repo.join("datastore/LOCK"), "").expect("written");
    std::fs::write(repo.join("precious"), "precious").expect("written");
    let path = repo.display().to_string();
    let holders = [holder(&["race", &path]), holder(&["race", &path, "with-datastore"]), holder(&["swap", &path])];
    let races: usize = std::env::var("KITD_TEST_RACES").ok().and_then(|n| n.parse().ok()).unwrap_or(10_000);
    let (rounds, live, emptied, removed) =
        (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let places = Places::of_repo(repo);
                let mut looks = Looks::default();
                let began = Instant::now();
                let enough = || [&live, &emptied, &removed].iter().all(|n| n.load(Ordering::Relaxed) > 10);
                while let round = rounds.fetch_add(1, Ordering::Relaxed)
                    && (round < races || !enough())
                {
                    assert!(began.elapsed() < DEADLINE, "nothing happens");
                    for outcome in clean(&places, &mut looks, How { dry_run: false, force: round % 2 == 0 }, &|| ()) {
                        let outcome = outcome.report(None);
                        live.fetch_add(usize::from(outcome.verdict == Verdict::Live), Ordering::Relaxed);
                        match (outcome.done, outcome.action) {
                            (true, LockAction::Truncate) => emptied.fetch_add(1, Ordering::Relaxed),
                            (true, _) => removed.fetch_add(1, Ordering::Relaxed),
                            _ => 0,
                        };
                    }
                }
            });
        }
    });
    let said: Vec<String> = holders.into_iter().map(last_line).collect();
    for (said, [well, badly]) in
        said.iter().zip([["held ", " touched 0"], ["held ", " touched 0"], ["swapped ", " failed 0"]])
    {
        let times = said.strip_prefix(well).and_then(|said| said.strip_suffix(badly)).and_then(|n| n.parse().ok());
        assert!(times.is_some_and(|times: u64| times > 20), "{said}");
    }
    assert_eq!(std::fs::read_to_string(repo.join("precious")).expect("read"), "precious");
    for aside in std::fs::read_dir(repo.join("aside")).expect("listed") {
        let found = aside.expect("an entry").metadata().expect("there");
        assert!(found.len() > 0, "a file was emptied after it had been set aside");
    }
}

/// Content that names a process which cannot be.
fn dead_owner() -> String {
    format!("{{\"OwnerPID\":{}}}\n", i32::MAX)
}

/// What a path is, and which.
fn what_is(path: &Path) -> (u64, u64, u32) {
    let found = path.symlink_metadata().expect("there");
    (found.ino(), found.len(), found.mode())
}

/// A daemon whose Kubo was asked to stop.
fn stopped() -> (Kit, PathBuf) {
    let mut kit = Kit::fake();
    kit.start_whole();
    kit.call(KuboStop {});
    let lock = kit.repo().join("repo.lock");
    (kit, lock)
}

fn outcome_of(said: &Said, file: &Path) -> Value {
    let json: Value = serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{e}: {said:?}"));
    let list = json["files"].as_array().or(json["locks"].as_array()).expect("a list");
    let path = file.display().to_string();
    list.iter().find(|file| file["path"] == path).unwrap_or_else(|| panic!("{path} in {json:#}")).clone()
}

/// A holder of a POSIX lock on a file, as Kubo is one, whatever is in the file.
fn hold(path: &Path) -> Child {
    let mut child = holder(&["hold", &path.display().to_string()]);
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().expect("a pipe")).read_line(&mut line).expect("a line");
    assert_eq!(line, "held\n");
    child
}

/// Leaves a socket behind on which nobody listens: what other tests start has a copy of the listener until it executes.
fn close(listener: UnixListener, path: &Path) {
    drop(listener);
    eventually(|| UnixStream::connect(path).is_err(), || "somebody listens".to_owned());
}

fn let_go(mut holder: Child) {
    drop(holder.stdin.take());
    assert!(holder.wait().expect("waited for").success());
}

#[test]
fn s16_what_a_killed_kubo_left_goes_before_the_next_start_and_its_lock_stays_the_same_file() {
    let (kit, lock) = stopped();
    std::fs::write(&lock, "").expect("written");
    let inode = what_is(&lock).0;
    let address = format!("/unix{}", kit.path("nobody").display());
    let (api, tmp, socket) = (kit.repo().join("api"), kit.repo().join(".api.tmp"), kit.path("api.sock"));
    let config: Value = serde_json::from_slice(&std::fs::read(kit.repo().join("config")).expect("read")).expect("JSON");
    let config = json!({"Identity": config["Identity"], "Addresses": {"API": format!("/unix{}", socket.display())}});
    std::fs::write(kit.repo().join("config"), config.to_string()).expect("written");
    close(UnixListener::bind(&socket).expect("bound"), &socket);
    std::fs::write(&tmp, &address[..4]).expect("written");
    kit.script(&json!({"never_ready": true}));
    std::fs::write(&api, &address).expect("written");
    let dry = kit.ctl(&["lock", "clean", "--dry-run", "-o", "json"]);
    assert_eq!(dry.code, Some(0), "{dry:?}");
    for path in [&api, &tmp, &socket] {
        let planned = outcome_of(&dry, path);
        assert_eq!((&planned["action"], &planned["done"]), (&json!("unlink"), &json!(false)), "{planned}");
    }
    thread::scope(|scope| {
        // It is answered when the daemon ends: this Kubo never gets ready.
        scope.spawn(|| kit.try_call(KuboStart {}));
        eventually(|| kit.recorded("start") == 2, || format!("no start: {}", kit.log()));
        eventually(|| lock_check(&kit)[0].verdict == Verdict::Live, || "it takes no lock".to_owned());
        assert!(!api.exists() && !tmp.exists() && !socket.exists());
        assert_eq!(what_is(&lock).0, inode);
        kit.call(KuboStop {});
    });
}

fn lock_check(kit: &Kit) -> Vec<LockFile> {
    kit.call(LockCheck {}).locks
}

#[test]
fn s17_content_that_may_have_a_living_owner_stays_until_somebody_vouches_for_it() {
    let (kit, lock) = stopped();
    let unrelated = std::process::id();
    for (row, content) in [
        ("a process that lives", format!("{{\"OwnerPID\":{unrelated}}}\n")),
        ("the same as a number", format!("{unrelated}\n")),
        ("the daemon itself", format!("{{\"OwnerPID\":{}}}\n", kit.pid())),
        ("nonsense", "\u{1b}[2Jnonsense".to_owned()),
        ("a gigabyte", String::new()),
    ] {
        std::fs::write(&lock, content).expect("written");
        if row == "a gigabyte" {
            File::options().write(true).open(&lock).and_then(|file| file.set_len(1 << 30)).expect("made");
        }
        let before = what_is(&lock);
        let fault = kit.fault(KuboStart {});
        assert_eq!(fault.kind, FaultKind::Conflict, "{row}");
        assert!(fault.detail.contains("repo.lock is in the way"), "{row}: {}", fault.detail);
        assert!(fault.hint.expect("a hint").contains("`ipfs-kitctl lock clean --force`"), "{row}");
        let check = outcome_of(&kit.ctl(&["lock", "check", "-o", "json"]), &lock);
        assert_eq!(
            (&check["verdict"], &check["blocks"], &check["needs_force"]),
            (&json!("unknown"), &json!(true), &json!(true))
        );
        let left = kit.ctl(&["lock", "clean"]);
        assert_eq!((left.code, what_is(&lock)), (Some(1), before), "{row}: {left:?}");
        assert!(left.out.contains("left alone without --force"), "{row}: {}", left.out);
        assert!(!left.out.contains('\u{1b}'), "{row}");
        let dry = kit.ctl(&["lock", "clean", "--force", "--dry-run"]);
        assert_eq!((dry.code, what_is(&lock)), (Some(0), before), "{row}: {dry:?}");
        assert!(dry.out.contains("would be emptied"), "{row}: {}", dry.out);
        assert_eq!(kit.ctl(&["lock", "clean", "--force"]).code, Some(0), "{row}");
        kit.wait(Condition::KuboRunning);
        assert_eq!((what_is(&lock).0, what_is(&lock).1), (before.0, 0), "{row}: emptied in place");
        kit.call(KuboStop {});
    }
}

#[test]
fn s17_what_no_kubo_makes_is_named_and_never_touched() {
    let (kit, lock) = stopped();
    let precious = kit.path("precious");
    std::fs::write(&precious, "precious").expect("written");
    type Plant<'a> = (&'a str, &'a dyn Fn());
    let rows: [Plant; 4] = [
        ("a symbolic link", &|| symlink(&precious, &lock).expect("linked")),
        ("a pipe", &|| nix::unistd::mkfifo(&lock, nix::sys::stat::Mode::S_IRWXU).expect("made")),
        ("not empty", &|| std::fs::create_dir_all(lock.join("inside")).expect("made")),
        ("a socket", &|| drop(UnixListener::bind(&lock).expect("bound"))),
    ];
    for (row, plant) in rows {
        plant();
        let before = what_is(&lock);
        let fault = kit.fault(KuboStart {});
        assert!(fault.detail.contains(row), "{row}: {}", fault.detail);
        assert!(fault.hint.expect("a hint").contains(&format!("move {} away", lock.display())), "{row}");
        for args in [&["lock", "clean"][..], &["lock", "clean", "--force"], &["lock", "check"]] {
            let said = kit.ctl(args);
            assert_eq!((said.code, said.err.as_str()), (Some(i32::from(args[1] == "clean")), ""), "{row}: {said:?}");
            assert!(said.out.contains(row), "{row}: {}", said.out);
        }
        assert_eq!(what_is(&lock), before, "{row}");
        std::fs::rename(&lock, kit.path("away")).expect("moved away");
        kit.wait(Condition::KuboRunning);
        kit.call(KuboStop {});
        let away = kit.path("away");
        if away.is_dir() { std::fs::remove_dir_all(away) } else { std::fs::remove_file(away) }.expect("removed");
    }
    assert_eq!(std::fs::read_to_string(precious).expect("read"), "precious");
}

#[test]
fn s17_a_lock_that_cannot_be_opened_is_held_with_whom_to_give_it_to() {
    let mut kit = Kit::fake();
    kit.start_whole();
    kit.stop();
    let lock = kit.repo().join("repo.lock");
    std::fs::write(&lock, "").expect("written");
    std::fs::set_permissions(&lock, PermissionsExt::from_mode(0o000)).expect("chmod");
    thread::scope(|scope| {
        // Root may do everything; the daemon is started as somebody who may not.
        let start = || {
            let all = CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
            if nix::unistd::geteuid().is_root() {
                all.iter().for_each(|one| remove_capability_from_bounding_set(one).expect("given up"));
            }
            kit.start();
        };
        scope.spawn(start).join().expect("it starts");
    });
    let held = kit.until("held", |s| s.kubo.state == KuboState::Held).kubo.held.expect("a cause");
    assert_eq!(held.cause, "lock_unknown");
    assert!(held.detail.contains("ermission denied") && held.hint.contains("give "), "{held:?}");
    let clean = kit.ctl(&["lock", "clean", "--force"]);
    assert_eq!(clean.code, Some(1), "{clean:?}");
    std::fs::set_permissions(&lock, PermissionsExt::from_mode(0o600)).expect("chmod");
    kit.wait(Condition::KuboRunning);
}

#[test]
fn s18_a_lock_that_is_taken_between_the_look_and_the_act_is_left_to_its_holder() {
    let (kit, lock) = stopped();
    std::fs::write(&lock, "nonsense").expect("written");
    let before = what_is(&lock);
    let pause = kit.path("faults/janitor.clean");
    nix::unistd::mkfifo(&pause, nix::sys::stat::Mode::S_IRWXU).expect("made");
    let said = thread::scope(|scope| {
        let clean = scope.spawn(|| kit.ctl(&["lock", "clean", "--force", "-o", "json"]));
        // Opened when the daemon stands between the two.
        let writer = File::options().write(true).open(&pause).expect("opened");
        let holder = hold(&lock);
        std::fs::remove_file(&pause).expect("removed");
        drop(writer);
        let said = clean.join().expect("it ends");
        assert_eq!(outcome_of(&said, &lock)["verdict"], "live", "{said:?}");
        let check = outcome_of(&kit.ctl(&["lock", "check", "-o", "json"]), &lock);
        assert_eq!(check["holder_pid"], holder.id(), "{check}");
        let_go(holder);
        said
    });
    assert_eq!((said.code, what_is(&lock)), (Some(1), before));
    assert_eq!(kit.ctl(&["lock", "clean", "--force"]).code, Some(0));
    assert_eq!(what_is(&lock), (before.0, 0, before.2));
}

#[test]
fn a_js_directory_is_told_to_be_looked_at_again_and_goes_by_force() {
    let (kit, lock) = stopped();
    std::fs::create_dir(&lock).expect("made");
    let fault = kit.fault(KuboStart {});
    assert!(fault.detail.contains("a js-ipfs that lives changes it every 10 s"), "{}", fault.detail);
    assert_eq!(kit.ctl(&["lock", "clean", "--force"]).code, Some(1), "js-ipfs may live");
    let old = FileTimes::new().set_modified(SystemTime::now() - Duration::from_secs(3600));
    File::open(&lock).and_then(|dir| dir.set_times(old)).expect("aged");
    let left = kit.ctl(&["lock", "clean"]);
    assert_eq!(left.code, Some(1));
    assert!(left.out.contains("another one 21 s later can tell more"), "{}", left.out);
    let forced = kit.ctl(&["lock", "clean", "--force"]);
    assert_eq!(forced.code, Some(0), "{forced:?}");
    assert!(forced.out.contains("removed: "), "{}", forced.out);
    kit.wait(Condition::KuboRunning);
}

#[test]
fn what_is_proven_dead_is_cleaned_before_a_start_by_itself_and_the_log_says_what_it_was() {
    let (kit, lock) = stopped();
    std::fs::write(&lock, dead_owner()).expect("written");
    assert_eq!(kit.call(KuboStart {}).state, KuboState::Running);
    assert!(kit.log().contains("OwnerPID"), "{}", kit.log());
}

#[test]
fn a_lock_of_ipfs_cluster_is_cleaned_by_the_same_rules_and_never_in_kubos_way() {
    let mut kit = Kit::fake();
    let dir = kit.path("cluster");
    let lock = dir.join("cluster.lock");
    std::fs::create_dir(&dir).expect("made");
    kit.env("IPFS_CLUSTER_PATH", &dir.display().to_string());
    std::fs::write(&lock, "nonsense").expect("written");
    kit.start_whole();
    let holder = hold(&lock);
    assert_eq!(outcome_of(&kit.ctl(&["lock", "check", "-o", "json"]), &lock)["verdict"], "live");
    let forced = kit.ctl(&["lock", "clean", "--force"]);
    assert_eq!((forced.code, what_is(&lock).1), (Some(0), 8), "{forced:?}");
    let_go(holder);
    assert_eq!((kit.ctl(&["lock", "clean"]).code, what_is(&lock).1), (Some(0), 8));
    assert_eq!((kit.ctl(&["lock", "clean", "--force"]).code, what_is(&lock).1), (Some(0), 0));
}

#[test]
fn lock_wait_returns_when_the_repo_is_free_and_ends_with_its_client() {
    let (kit, lock) = stopped();
    assert_eq!(kit.ctl(&["lock", "wait"]).code, Some(0), "nobody has it");
    std::fs::write(&lock, "").expect("written");
    let holder = hold(&lock);
    let late = kit.ctl(&["lock", "wait", "--timeout", "100ms"]);
    assert_eq!(late.code, Some(1));
    assert!(late.err.contains("a free repo did not come true within"), "{}", late.err);

    let links = || {
        let fds = std::fs::read_dir(format!("/proc/{}/fd", kit.pid())).expect("there").filter_map(Result::ok);
        fds.filter_map(|fd| std::fs::read_link(fd.path()).ok()).filter(|to| to.ends_with("anon_inode:[pidfd]")).count()
    };
    let before = links();
    let mut gone = kit.ctl_command(&["lock", "wait"]).stdout(Stdio::null()).spawn().expect("it runs");
    eventually(|| links() > before, || "the daemon does not wait for the holder".to_owned());
    gone.kill().expect("killed");
    gone.wait().expect("waited for");
    eventually(|| links() == before, || "the call outlives its client".to_owned());

    let waiting = kit.ctl_command(&["lock", "wait", "--json"]).stdout(Stdio::piped()).spawn().expect("it runs");
    eventually(|| links() > before, || "the daemon does not wait for the holder".to_owned());
    let_go(holder);
    let waited = waiting.wait_with_output().expect("it ends");
    let json: Value = serde_json::from_slice(&waited.stdout).expect("JSON");
    assert!(waited.status.success() && json["waited_s"].is_number(), "{json}");

    kit.call(KuboStart {});
    let waiting = kit.ctl_command(&["lock", "wait"]).spawn().expect("it runs");
    eventually(|| links() > before, || "our own Kubo is waited for like any other".to_owned());
    kit.call(KuboStop {});
    assert!(waiting.wait_with_output().expect("it ends").status.success());
}

#[test]
fn the_table_says_for_each_file_what_it_is_and_what_was_done() {
    let (kit, lock) = stopped();
    std::fs::write(&lock, "nonsense").expect("written");
    let table = kit.ctl(&["lock", "check"]);
    let lines: Vec<&str> = table.out.lines().collect();
    assert!(lines[0].starts_with("VERDICT") && lines[0].contains("EVIDENCE"), "{table:?}");
    assert!(lines[1].starts_with("unknown") && lines[1].contains("names no owner"), "{table:?}");
    // In a PID namespace below the first one nobody can say that it is idle.
    let free = lines[2].starts_with("idle") || lines[2].contains("other PID namespaces do not show");
    assert!(free && lines[2].contains("datastore/LOCK"), "{table:?}");
    assert!(table.out.lines().any(|line| line.starts_with("live") && line.contains("ipfs-kitd.sock")), "{table:?}");
    let cleaned = kit.ctl(&["lock", "clean", "--force", "-o", "ndjson"]);
    let rows: Vec<Value> = cleaned.out.lines().map(|line| serde_json::from_str(line).expect("a row")).collect();
    assert_eq!(
        (&rows[0]["action"], &rows[0]["done"], &rows[0]["blocks"]),
        (&json!("truncate"), &json!(true), &json!(false))
    );
    let again = kit.ctl(&["lock", "clean", "--force"]);
    assert_eq!(again.code, Some(0));
    assert!(again.out.lines().nth(1).is_some_and(|line| line.contains("nothing to do")), "{}", again.out);
    kit.call(KuboStart {});
    let ours = kit.ctl(&["lock", "clean", "--force"]);
    assert_eq!(ours.code, Some(0), "our own Kubo is in nobody's way: {ours:?}");
}

/// A real Kubo on the kit's repo that the daemon knows nothing of.
struct ByHand {
    kubo: Child,
    /// Kept, so that it can say what it has to say.
    _said: BufReader<ChildStdout>,
}

impl ByHand {
    /// Returns when it is ready.
    fn start(kit: &Kit) -> ByHand {
        let mut command = Command::new(real_kubo());
        command.args(["daemon", "--offline"]).env_clear().env("HOME", kit.path("home")).env("IPFS_PATH", kit.repo());
        let mut kubo = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut said = BufReader::new(kubo.stdout.take().expect("a pipe"));
        let ready = said.by_ref().lines().map_while(Result::ok).any(|line| line == "Daemon is ready");
        assert!(ready, "it ended before it was ready");
        ByHand { kubo, _said: said }
    }

    /// Ends it as its owner would.
    fn end(mut self) {
        nix::sys::signal::kill(Pid::from_raw(self.kubo.id().cast_signed()), Signal::SIGTERM).expect("it is there");
        assert!(self.kubo.wait().expect("waited for").success());
    }
}

impl Drop for ByHand {
    fn drop(&mut self) {
        // It has ended, unless the test failed.
        let _ = self.kubo.kill();
        let _ = self.kubo.wait();
    }
}

#[test]
fn every_form_of_lock_that_kubo_ever_had_is_got_out_of_a_real_kubos_way_or_told() {
    let mut kit = Kit::real();
    kit.start_whole();
    kit.call(KuboStop {});
    let lock = kit.repo().join("repo.lock");
    let old = FileTimes::new().set_modified(SystemTime::now() - Duration::from_secs(3600));
    // What, how it is planted, and what of the command line it takes.
    type Row<'a> = (&'a str, &'a dyn Fn(), &'a [&'a str]);
    let write = |content: &str| std::fs::write(&lock, content).expect("written");
    let rows: [Row; 8] = [
        ("an empty file that nobody holds", &|| write(""), &[]),
        ("go4's portable lock of a dead owner", &|| write(&dead_owner()), &[]),
        ("a number of a dead owner", &|| write(&format!("{}\n", i32::MAX)), &[]),
        (
            "a lock of an old go-ipfs",
            &|| std::fs::write(kit.repo().join("daemon.lock"), dead_owner()).expect("written"),
            &[],
        ),
        ("go4's portable lock from a container", &|| write("{\"OwnerPID\":1}\n"), &["lock", "clean", "--force"]),
        ("a number of somebody who lives", &|| write(&std::process::id().to_string()), &["lock", "clean", "--force"]),
        ("a text of somebody's own", &|| write("locked by hand"), &["lock", "clean", "--force"]),
        (
            "the directory of js-ipfs",
            &|| {
                std::fs::create_dir(&lock).expect("made");
                File::open(&lock).and_then(|dir| dir.set_times(old)).expect("aged");
            },
            &["lock", "clean", "--force"],
        ),
    ];
    for (row, plant, help) in rows {
        plant();
        if help.is_empty() {
            assert_eq!(kit.call(KuboStart {}).state, KuboState::Running, "{row}");
        } else {
            let fault = kit.fault(KuboStart {});
            let hint = fault.hint.expect("a hint");
            assert!(hint.contains(&format!("`ipfs-kitctl {}`", help.join(" "))), "{row}: {hint}");
            assert_eq!(kit.ctl(&help[..2]).code, Some(1), "{row}");
            assert_eq!(kit.ctl(help).code, Some(0), "{row}");
            kit.wait(Condition::KuboRunning);
        }
        let live = &lock_check(&kit)[0];
        assert_eq!((live.verdict, live.ours), (Verdict::Live, true), "{row}: {:?}", live.evidence);
        kit.call(KuboStop {});
    }
    std::fs::write(&lock, "").expect("written");
    let holder = hold(&lock);
    let fault = kit.fault(KuboStart {});
    assert!(fault.detail.contains(&format!("PID {}", holder.id())), "{}", fault.detail);
    assert_eq!(kit.ctl(&["lock", "clean", "--force"]).code, Some(1));
    let_go(holder);
    kit.wait(Condition::KuboRunning);
}

#[test]
fn sockets_that_a_killed_kubo_left_are_out_of_the_next_ones_way_and_one_with_a_listener_is_told() {
    let mut kit = Kit::real();
    kit.start_whole();
    kit.call(KuboStop {});
    let sockets = ["api.sock", "gateway.sock"].map(|name| kit.path(name));
    for (key, socket) in ["Addresses.API", "Addresses.Gateway"].into_iter().zip(&sockets) {
        ipfs(&kit, &["config", key, &format!("/unix{}", socket.display())], b"");
    }
    kit.call(KuboStart {});
    let pid = kit.status().kubo.pid.expect("a child");
    let check = kit.ctl(&["lock", "check", "-o", "json"]);
    for socket in &sockets {
        let live = outcome_of(&check, socket);
        assert_eq!((&live["verdict"], &live["holder_pid"], &live["ours"]), (&json!("live"), &json!(pid), &json!(true)));
    }
    nix::sys::signal::kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL).expect("it is there");
    kit.until("back", |s| s.kubo.state == KuboState::Running && s.kubo.pid != Some(pid));
    kit.call(KuboStop {});
    let listener = UnixListener::bind(&sockets[0]).expect("bound");
    let fault = kit.fault(KuboStart {});
    assert!(fault.detail.contains(&format!("in use by PID {}", std::process::id())), "{}", fault.detail);
    assert_eq!(kit.status().kubo.held.expect("a cause").cause, "address_in_use");
    assert_eq!(kit.ctl(&["lock", "clean", "--force"]).code, Some(1));
    assert!(sockets[0].exists());
    close(listener, &sockets[0]);
    assert_eq!(kit.call(KuboStart {}).state, KuboState::Running);
}

#[test]
fn a_directory_with_nothing_but_an_api_file_is_no_repo_and_stays_as_it_is() {
    let mut kit = Kit::real();
    std::fs::create_dir(kit.repo()).expect("made");
    let api = kit.repo().join("api");
    std::fs::write(&api, "/ip4/192.0.2.1/tcp/5001").expect("written");
    kit.start();
    let held = kit.until("held", |s| s.kubo.state == KuboState::Held).kubo.held.expect("a cause");
    assert_eq!(held.cause, "repo_unknown");
    assert_eq!(kit.ctl(&["lock", "clean", "--force"]).code, Some(0));
    assert_eq!(std::fs::read_dir(kit.repo()).expect("listed").count(), 1);
    assert_eq!(std::fs::read_to_string(&api).expect("read"), "/ip4/192.0.2.1/tcp/5001");
}

#[test]
fn a_real_kubo_that_runs_by_hand_is_not_touched_by_force() {
    let mut kit = Kit::real();
    kit.start_whole();
    kit.call(KuboStop {});
    ipfs(&kit, &["config", "Addresses.API", "/ip4/127.0.0.1/tcp/0"], b"");
    let by_hand = ByHand::start(&kit);
    let lock = kit.repo().join("repo.lock");
    let files = ["repo.lock", "datastore/LOCK", "api", "gateway"].map(|name| kit.repo().join(name));
    let before = files.each_ref().map(|file| what_is(file));
    for args in
        [&["lock", "clean", "--force", "-o", "json"][..], &["lock", "clean", "--force", "--dry-run", "-o", "json"]]
    {
        let said = kit.ctl(args);
        assert_eq!(said.code, Some(1), "it is in the way of ours: {said:?}");
        for file in &files {
            let outcome = outcome_of(&said, file);
            assert_eq!((&outcome["verdict"], &outcome["action"]), (&json!("live"), &json!("none")), "{outcome}");
        }
    }
    assert_eq!(kit.fault(KuboStart {}).kind, FaultKind::Conflict);
    assert_eq!(files.each_ref().map(|file| what_is(file)), before);
    let check = outcome_of(&kit.ctl(&["lock", "check", "-o", "json"]), &lock);
    assert_eq!((&check["holder_pid"], &check["ours"]), (&json!(by_hand.kubo.id()), &json!(false)));
    let api = std::fs::read_to_string(&files[2]).expect("read");
    let id = ipfs(&kit, &["--api", &api, "id", "-f", "<id>"], b"");
    assert_eq!(Some(id.as_str()), kit.status().kubo.peer_id.as_deref(), "it serves");
    by_hand.end();
    kit.wait(Condition::KuboRunning);
}

#[test]
fn where_the_table_of_locks_is_hidden_a_free_datastore_stops_nobody_and_a_held_one_is_still_found() {
    // As systemd does for a unit with `ProcSubset=pid`.
    let hidden = ["unshare", "--mount", "sh", "-c", "mount -t proc -o subset=pid proc /proc && exec \"$@\"", "sh"];
    let mut probe = Command::new(hidden[0]);
    if !probe.args(&hidden[1..]).args(["test", "!", "-e", "/proc/locks"]).output().is_ok_and(|o| o.status.success()) {
        return skipped("locks where /proc/locks is hidden", "this user may not mount /proc anew");
    }
    let mut kit = Kit::fake();
    kit.through(&hidden).start_whole();
    let (lock, store) = (kit.repo().join("repo.lock"), kit.repo().join("datastore/LOCK"));
    let check = |path: &Path| outcome_of(&kit.ctl(&["lock", "check", "-o", "json"]), path);
    let pid = kit.status().kubo.pid.expect("a child");
    assert_eq!((&check(&store)["verdict"], &check(&store)["holder_pid"]), (&json!("live"), &json!(pid)));
    kit.call(KuboStop {});
    assert_eq!((&check(&store)["verdict"], &check(&store)["blocks"]), (&json!("unknown"), &json!(false)));
    assert_eq!(kit.ctl(&["lock", "wait"]).code, Some(0));
    std::fs::write(&lock, dead_owner()).expect("written");
    assert_eq!(kit.call(KuboStart {}).state, KuboState::Running, "the datastore was found to be free");
    kit.call(KuboStop {});
    std::fs::write(&lock, dead_owner()).expect("written");
    let held = File::open(&store).expect("opened");
    held.try_lock().expect("free");
    assert_eq!(kit.fault(KuboStart {}).kind, FaultKind::Conflict);
    assert_eq!(kit.ctl(&["lock", "clean", "--force"]).code, Some(1));
    assert_eq!(std::fs::read_to_string(&lock).expect("read"), dead_owner());
    drop(held);
    kit.wait(Condition::KuboRunning);
}

#[test]
fn in_a_pid_namespace_of_its_own_no_flock_is_called_free_that_does_not_show_there_and_cleaning_finds_out() {
    const NAME: &str =
        "lock::in_a_pid_namespace_of_its_own_no_flock_is_called_free_that_does_not_show_there_and_cleaning_finds_out";
    const REPO: &str = "KITD_TEST_INNER_REPO";
    if let Some(repo) = std::env::var_os(REPO) {
        return in_the_namespace(Path::new(&repo));
    }
    // As in a container.
    let inner = ["--pid", "--fork", "--kill-child", "--mount-proc"];
    if !Command::new("unshare").args(inner).arg("true").output().is_ok_and(|o| o.status.success()) {
        return skipped("locks in a PID namespace", "this user may not make one");
    }
    let dir = tempfile::tempdir().expect("a temp dir");
    let (lock, store) = (dir.path().join("repo.lock"), dir.path().join("datastore/LOCK"));
    std::fs::write(dir.path().join("datastore_spec"), r#"{"type":"levelds","path":"datastore"}"#).expect("written");
    std::fs::create_dir(dir.path().join("datastore")).expect("made");
    std::fs::write(&store, "").expect("written");
    std::fs::write(&lock, dead_owner()).expect("written");
    let look_inside = || {
        let mut again = Command::new("unshare");
        again.args(inner).arg(std::env::current_exe().expect("known")).args(["--exact", NAME]).env(REPO, dir.path());
        let looked = again.output().expect("it runs");
        assert!(looked.status.success(), "{looked:?}");
        lock.metadata().expect("there").len()
    };
    let held = File::open(&store).expect("opened");
    held.try_lock().expect("free");
    assert!(look_inside() > 0, "the datastore is in use");
    held.unlock().expect("unlocked");
    assert_eq!(look_inside(), 0);
}

/// Whoever holds the datastore is outside; what is cleaned shows whether it was found out.
fn in_the_namespace(repo: &Path) {
    let places = Places::of_repo(repo);
    let report = look(&places, None, &mut Looks::default());
    let [lock, store] = &report.locks[..] else { panic!("{report:?}") };
    assert_eq!((lock.verdict, lock.action, lock.needs_force), (Verdict::Unknown, LockAction::Truncate, false));
    assert_eq!((store.verdict, store.blocks, &store.hint), (Verdict::Unknown, false, &None));
    assert!(store.evidence[0].contains("other PID namespaces"), "{store:?}");
    clean(&places, &mut Looks::default(), How::default(), &|| ());
}
