//! The same with a real Kubo, on a real pin set.

use crate::kit::{Kit, eventually, identity_cid, ipfs, real_kubo, said};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use proto_msgs::FaultKind;
use proto_msgs::daemon::{Condition, IndexRefresh};
use proto_msgs::kubo::{KuboRestart, KuboStart, KuboState};
use proto_msgs::pin::{PinAdd, PinInfo, PinRm, PinUpdate, PinVerify};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A Kubo that died is to be back in this time.
const BACK: Duration = Duration::from_secs(5);

/// `ipfs-kitctl pin ls` and `ipfs pin ls` say the same, of both types, and of the names.
fn assert_equal(kit: &Kit) {
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    for pin_type in ["recursive", "direct"] {
        let ours = sorted(&kit.ctl(&["pin", "ls", "--type", pin_type, "-o", "cid"]).out);
        let kubos = sorted(&ipfs(kit, &["pin", "ls", &format!("--type={pin_type}"), "-q"], b""));
        assert!(ours == kubos, "{pin_type}: {} against {}", ours.len(), kubos.len());
    }
    let named = ipfs(kit, &["pin", "ls", "--type=recursive", "--names"], b"");
    let kubos: BTreeMap<String, String> = named
        .lines()
        .filter_map(|line| {
            let mut words = line.splitn(3, ' ');
            Some((words.next()?.to_owned(), words.nth(1).unwrap_or_default().trim().to_owned()))
        })
        .collect();
    let csv = kit.ctl(&["pin", "ls", "--type", "recursive", "-o", "csv", "--columns", "cid,name", "--no-header"]).out;
    let ours: BTreeMap<String, String> = csv
        .lines()
        .filter_map(|line| line.split_once(','))
        .map(|(cid, name)| (cid.to_owned(), name.to_owned()))
        .collect();
    assert!(ours == kubos, "names differ");
}

/// A CARv1 file that names every block as a root. `v0` blocks are UnixFS files, the others raw.
fn car(blocks: &[(::cid::Cid, Vec<u8>)]) -> Vec<u8> {
    let varint = |mut n: usize| {
        let mut bytes = Vec::new();
        while n >= 0x80 {
            bytes.push(n as u8 | 0x80);
            n >>= 7;
        }
        bytes.push(n as u8);
        bytes
    };
    let head = |major: u8, n: usize| {
        let n = u16::try_from(n).expect("short").to_be_bytes();
        vec![major | 25, n[0], n[1]]
    };
    // dag-cbor: {"roots": [tag 42 of each CID], "version": 1}
    let mut header = vec![0xa2, 0x65];
    header.extend(b"roots");
    header.extend(head(0x80, blocks.len()));
    for (cid, _) in blocks {
        let bytes = cid.to_bytes();
        header.extend([0xd8, 42]);
        header.extend(head(0x40, bytes.len() + 1));
        header.push(0);
        header.extend(bytes);
    }
    header.push(0x67);
    header.extend(b"version\x01");
    let mut car = [varint(header.len()), header].concat();
    for (cid, data) in blocks {
        let cid = cid.to_bytes();
        car.extend([varint(cid.len() + data.len()), cid, data.clone()].concat());
    }
    car
}

fn sha2_256(data: &[u8]) -> ::cid::multihash::Multihash<64> {
    ::cid::multihash::Multihash::wrap(0x12, &Sha256::digest(data)).expect("32 bytes")
}

fn raw_block(text: &str) -> (::cid::Cid, Vec<u8>) {
    let data = text.as_bytes().to_vec();
    (::cid::Cid::new_v1(0x55, sha2_256(&data)), data)
}

fn v0_block(text: &str) -> (::cid::Cid, Vec<u8>) {
    let content = text.as_bytes();
    let length = u8::try_from(content.len()).expect("short");
    let unixfs = [&[8, 2, 18, length][..], content, &[24, length]].concat();
    let node = [&[10, u8::try_from(unixfs.len()).expect("short")][..], &unixfs].concat();
    (::cid::Cid::new_v0(sha2_256(&node)).expect("sha2-256"), node)
}

#[test]
fn the_index_equals_a_real_kubo_of_4154_pins_and_follows_what_happens_behind_its_back() {
    let mut kit = Kit::real();
    kit.arg("--interval").arg("500ms");
    kit.start_whole();
    let v0: Vec<_> = (0..1950).map(|n| v0_block(&format!("file {n}"))).collect();
    let raw: Vec<_> = (0..1950).map(|n| raw_block(&format!("raw {n}"))).collect();
    let import = |blocks: &[(::cid::Cid, Vec<u8>)]| {
        ipfs(&kit, &["dag", "import", "--pin-roots", "--silent"], &car(blocks));
    };
    import(&v0);
    import(&raw);
    let lines = |cids: &[String]| cids.join("\n").into_bytes();
    let both: Vec<String> =
        v0[..100].iter().map(|(cid, _)| ::cid::Cid::new_v1(0x70, *cid.hash()).to_string()).collect();
    let identity: Vec<String> = (0..150).map(|n| identity_cid(&format!("identity {n}"))).collect();
    ipfs(&kit, &["pin", "add", "--progress=false"], &lines(&both));
    ipfs(&kit, &["pin", "add", "--progress=false"], &lines(&identity));
    let direct: Vec<String> = (0..3).map(|n| identity_cid(&format!("direct {n}"))).collect();
    ipfs(&kit, &["pin", "add", "--recursive=false", "--progress=false"], &lines(&direct));
    ipfs(&kit, &["pin", "add", "--progress=false", "--name=first"], &lines(&identity[..5]));

    kit.call(IndexRefresh { wait: true, names: true });
    let status = kit.status();
    // 4,000 sha2-256, 150 identity, 3 direct, and the empty directory that `ipfs init` pins.
    assert_eq!((status.index.pins, status.index.direct), (4154, 3));
    assert_equal(&kit);

    ipfs(&kit, &["pin", "rm"], &lines(&identity[10..40]));
    let new: Vec<String> = (0..20).map(|n| identity_cid(&format!("new {n}"))).collect();
    ipfs(&kit, &["pin", "add", "--progress=false", "--name=new"], &lines(&new));
    ipfs(&kit, &["pin", "add", "--progress=false", "--name=second"], &lines(&identity[3..8]));
    kit.call(IndexRefresh { wait: true, names: true });
    kit.call(IndexRefresh { wait: true, names: true });
    assert_equal(&kit);

    let before = kit.status().kubo.pid.expect("a child");
    kill(Pid::from_raw(before.cast_signed()), Signal::SIGKILL).expect("it is there");
    assert_eq!(kit.pins().len(), 4144, "while Kubo is down");
    let began = std::time::Instant::now();
    kit.until("back", |s| s.kubo.state == KuboState::Running && s.kubo.pid != Some(before));
    assert!(began.elapsed() < BACK, "{:?}", began.elapsed());
    kit.call(IndexRefresh { wait: true, names: true });
    assert_equal(&kit);

    kit.kill();
    kit.start();
    assert_eq!(kit.pins().len(), 4144, "at once after the start, from the index");
    kit.wait(Condition::KuboRunning);
    kit.call(IndexRefresh { wait: true, names: true });
    assert_equal(&kit);
    assert_eq!(kit.stop().code(), Some(0), "{}", kit.log());
}

#[test]
fn two_hundred_pins_through_the_daemon_are_each_seen_by_the_next_listing_while_refreshes_run() {
    let mut kit = Kit::real();
    kit.arg("--interval").arg("100ms");
    kit.env("IPFS_KITD_BUSY_SHARE", "1.0");
    kit.start_whole();
    let mut client = kit.client();
    for n in 0..200 {
        let cid = identity_cid(&format!("through {n}"));
        client.call(PinAdd { cid: cid.clone(), name: Some(format!("n{n}")), direct: n % 7 == 0 }).expect("added");
        assert!(kit.pins_on(&mut client).contains(&cid), "round {n}");
        assert_eq!(client.call(PinInfo { cid: cid.clone() }).expect("found").pins[0].name, Some(format!("n{n}")));
        if n % 2 == 0 {
            client.call(PinRm { cid: cid.clone() }).expect("removed");
            assert!(!kit.pins_on(&mut client).contains(&cid), "round {n}");
        }
    }
    kit.call(IndexRefresh { wait: true, names: false });
    assert_equal(&kit);
}

#[test]
fn what_kubo_refuses_is_passed_on_in_its_own_words() {
    let mut kit = Kit::real();
    kit.start_whole();
    let refused = kit.ctl(&["pin", "rm", &identity_cid("not pinned")]);
    assert_eq!(refused.code, Some(4));
    assert!(refused.err.contains("not pinned"), "{}", refused.err);
    let long = "x".repeat(300);
    let refused = kit.ctl(&["pin", "add", &identity_cid("named"), "--name", &long]);
    assert_ne!(refused.code, Some(0));
    assert!(refused.err.contains("255"), "{}", refused.err);
}

#[test]
fn a_real_kubo_moves_a_pin_to_another_version_and_finds_a_block_that_is_missing() {
    let mut kit = Kit::real();
    kit.start_whole();
    let add = ["add", "-Q", "--pin=false", "--cid-version=1", "--raw-leaves=false"];
    let added = |data: &[u8]| ipfs(&kit, &add, data).trim().to_owned();
    let (old, new) = (added(b"one version"), added(b"another version"));
    kit.call(PinAdd { cid: old.clone(), name: Some("page".into()), direct: false });
    let moved = kit.call(PinUpdate { from: old.clone(), to: new.clone(), keep: false });
    assert_eq!((&moved.pin.cid, moved.pin.name.as_deref(), moved.kept), (&new, Some("page"), false));
    assert_eq!(kit.fault(PinInfo { cid: old.clone() }).kind, FaultKind::NotFound);
    assert_eq!(kit.fault(PinUpdate { from: old, to: new.clone(), keep: false }).kind, FaultKind::NotFound);
    assert_equal(&kit);

    let raw = ipfs(&kit, &["add", "-Q", "--cid-version=1", "--raw-leaves=true"], b"a raw block").trim().to_owned();
    let sound = kit.call(PinVerify {});
    assert!(sound.pins >= 2 && sound.broken == 0, "{sound:?}");
    // Kubo itself removes no block that a pin keeps.
    let remove = |text: &[u8]| {
        let shards = std::fs::read_dir(kit.repo().join("blocks")).expect("listed");
        let files = shards.filter_map(|shard| shard.ok()?.path().read_dir().ok()).flatten();
        let has =
            |path: &PathBuf| std::fs::read(path).is_ok_and(|bytes| bytes.windows(text.len()).any(|part| part == text));
        let files: Vec<_> = files.filter_map(|file| Some(file.ok()?.path())).filter(has).collect();
        assert_eq!(files.len(), 1);
        std::fs::remove_file(&files[0]).expect("removed");
    };
    remove(b"a raw block");
    assert_eq!(kit.call(PinVerify {}), sound, "Kubo does not look whether the raw block {raw} is there");
    remove(b"another version");
    let found = kit.call(PinVerify {});
    let cids: Vec<_> = found.examples.iter().map(|broken| &broken.cid).collect();
    assert_eq!((found.pins, found.broken, cids), (sound.pins, 1, vec![&new]));
}

#[test]
fn an_existing_repo_keeps_its_own_configuration() {
    let mut kit = Kit::real();
    std::fs::create_dir(kit.repo()).expect("made");
    let mut init = Command::new(real_kubo());
    init.env_clear().env("HOME", kit.path("home")).env("IPFS_PATH", kit.repo()).args(["init", "--profile=test"]);
    assert_eq!(said(&mut init).code, Some(0));
    let config = std::fs::read(kit.repo().join("config")).expect("read");
    kit.start_whole();
    assert_eq!(kit.stop().code(), Some(0));
    assert_eq!(std::fs::read(kit.repo().join("config")).expect("read"), config);
    assert!(!kit.repo().join("repo.lock").exists() && !kit.repo().join("api").exists(), "Kubo ended in order");
}

#[test]
fn s28_an_address_that_is_in_use_is_named_and_kubo_starts_by_itself_once_it_is_free() {
    let mut kit = Kit::real();
    kit.start_whole();
    kit.stop();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = taken.local_addr().expect("an address").port();
    ipfs(&kit, &["config", "Addresses.Gateway", &format!("/ip4/127.0.0.1/tcp/{port}")], b"");
    kit.start();
    let held = kit.until("held", |s| s.kubo.state == KuboState::Held).kubo.held.expect("a cause");
    assert_eq!(held.cause, "address_in_use");
    assert!(held.detail.contains(&format!("127.0.0.1:{port}")), "{}", held.detail);
    drop(taken);
    kit.wait(Condition::KuboRunning);
}

#[test]
fn a_config_that_kubo_refuses_is_held_with_what_kubo_says_of_it() {
    let mut kit = Kit::real();
    kit.start_whole();
    kit.stop();
    ipfs(&kit, &["config", "--json", "Reprovider", r#"{"Interval": "1h"}"#], b"");
    kit.start();
    let held = kit.until("held", |s| s.kubo.state == KuboState::Held).kubo.held.expect("a cause");
    assert_eq!(held.cause, "config_refused");
    assert!(held.detail.contains("Reprovider"), "{}", held.detail);
}

#[test]
fn a_repo_of_a_newer_kubo_is_held() {
    let mut kit = Kit::real();
    kit.start_whole();
    kit.stop();
    std::fs::write(kit.repo().join("version"), "99\n").expect("written");
    kit.start();
    let held = kit.until("held", |s| s.kubo.state == KuboState::Held).kubo.held.expect("a cause");
    assert_eq!(held.cause, "repo_too_new");
}

#[test]
fn twenty_kills_under_load_lose_no_pin_that_the_daemon_has_acknowledged() {
    let mut kit = Kit::real();
    kit.start_whole();
    let stop = AtomicBool::new(false);
    let acknowledged = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let (kit, stop, acknowledged) = (&kit, &stop, &acknowledged);
            scope.spawn(move || {
                for n in 0.. {
                    let cid = identity_cid(&format!("load {worker} {n}"));
                    // While Kubo is down it is refused; the same pin is tried again.
                    while !stop.load(Ordering::Relaxed) {
                        if kit.try_call(PinAdd { cid: cid.clone(), name: None, direct: false }).is_ok() {
                            acknowledged.lock().expect("whole").push(cid);
                            break;
                        }
                    }
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                }
            });
        }
        let count = || acknowledged.lock().expect("whole").len();
        for round in 0..20 {
            let enough = count() + 1 + rand::random_range(0..40);
            eventually(|| count() >= enough, || format!("round {round}: no pin is acknowledged any more"));
            let pid = kit.status().kubo.pid.expect("a child");
            kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL).expect("it is there");
            kit.until("seen", |s| s.kubo.pid != Some(pid));
            if round < 3 {
                kit.until("back by itself", |s| s.kubo.state == KuboState::Running);
                continue;
            }
            // A person's start: so many kills close to each other are a crash loop, which is slow on purpose.
            assert_eq!(kit.call(KuboStart {}).state, KuboState::Running, "round {round}");
        }
        stop.store(true, Ordering::Relaxed);
    });
    let kubos: BTreeSet<String> =
        ipfs(&kit, &["pin", "ls", "--type=recursive", "-q"], b"").lines().map(str::to_owned).collect();
    let acknowledged = acknowledged.into_inner().expect("whole");
    let lost: Vec<_> = acknowledged.iter().filter(|cid| !kubos.contains(*cid)).collect();
    assert!(lost.is_empty(), "{} of {} are lost: {lost:?}", lost.len(), acknowledged.len());
    kit.call(IndexRefresh { wait: true, names: false });
    assert_equal(&kit);
}

#[test]
fn a_repo_of_an_older_kubo_is_migrated_at_the_start_and_that_is_shown() {
    let mut kit = Kit::real();
    std::fs::create_dir(kit.repo()).expect("made");
    ipfs(&kit, &["init", "--profile=test"], b"");
    ipfs(&kit, &["config", "--json", "Reprovider", r#"{"Strategy": "pinned"}"#], b"");
    std::fs::write(kit.repo().join("version"), "17\n").expect("written");
    kit.start();
    kit.wait(Condition::KuboRunning);
    assert!(kit.status().kubo.warnings.iter().all(|warning| warning.cause != "config_refused"));
    assert_eq!(std::fs::read_to_string(kit.repo().join("version")).expect("there").trim(), "18");
    let said = kit.ctl(&["kubo", "logs"]).out;
    assert!(said.contains("Migration 17-to-18 succeeded"), "{said}");
}

#[test]
fn a_kubo_whose_repo_lacks_the_empty_directory_is_well_all_the_same() {
    let mut kit = Kit::real();
    kit.start_whole();
    ipfs(&kit, &["files", "mkdir", "/not/empty", "-p"], b"");
    ipfs(&kit, &["files", "write", "--create", "/not/empty/file"], b"text");
    ipfs(&kit, &["pin", "rm", "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"], b"");
    ipfs(&kit, &["repo", "gc", "-q"], b"");
    let mut healthy = Command::new(real_kubo());
    healthy.env_clear().env("HOME", kit.path("home")).env("IPFS_PATH", kit.repo()).args(["diag", "healthy"]);
    let says = said(&mut healthy);
    assert_ne!(says.code, Some(0), "it says itself that it is not well: {}", says.err);
    assert_eq!(kit.call(KuboRestart {}).state, KuboState::Running);
}

#[test]
fn our_own_kubo_whose_rpc_asks_for_a_secret_is_given_it() {
    let mut kit = Kit::real();
    std::fs::create_dir(kit.repo()).expect("made");
    ipfs(&kit, &["init", "--profile=test"], b"");
    let users = r#"{"kitd": {"AuthSecret": "bearer:s3cret", "AllowedPaths": ["/api/v0"]}}"#;
    ipfs(&kit, &["config", "--json", "API.Authorizations", users], b"");
    let file = kit.path("secret");
    std::fs::write(&file, "bearer:s3cret\n").expect("written");
    kit.arg("--api-auth-file").arg(&file.display().to_string());
    kit.start_whole();
}
