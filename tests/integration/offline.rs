//! `ipfs-kitctl --offline`: what is answered while no daemon is there.

use crate::kit::{Kit, Said, built, identity_cid, said, skipped};
use proto_msgs::Client;
use proto_msgs::pin::{PinAdd, PinLs, PinRm, PinTag};
use proto_msgs::snapshot::SnapshotNow;
use serde_json::Value;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// With three pins, of which one was taken back, in two snapshots; the newest of them is here.
fn published(kit: &mut Kit) -> PathBuf {
    // Nothing is to become known after the snapshot.
    kit.env("IPFS_KITD_SNAPSHOT_ENABLED", "false").env("IPFS_KITD_SIZE_SHARE", "0").start_whole();
    for (text, name) in [("one", Some("first")), ("two", None), ("three", None)] {
        kit.call(PinAdd { cid: identity_cid(text), name: name.map(str::to_owned), direct: false });
    }
    kit.call(SnapshotNow::default());
    kit.call(PinRm { cid: identity_cid("three") });
    kit.call(PinTag { cid: identity_cid("one"), add: vec!["keep".to_owned()], remove: vec![] });
    PathBuf::from(kit.call(SnapshotNow::default()).path)
}

fn offline(kit: &Kit, args: &[&str]) -> Said {
    let mut command = kit.ctl_command(args);
    said(command.arg("--offline").env("IPFS_KITD_DATA_DIR", kit.path("data")))
}

fn json<'a>(question: &[&'a str]) -> Vec<&'a str> {
    [question, &["-o", "json"]].concat()
}

/// Without what is to differ, and what is dated.
fn document(said: &Said) -> Value {
    assert_eq!(said.code, Some(0), "{}", said.err);
    let mut document: Value = serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{e}: {}", said.out));
    for undated in ["source", "age_s", "as_of"] {
        document[undated].take();
    }
    document
}

#[test]
fn a_daemon_that_was_killed_is_answered_for_by_its_newest_snapshot() {
    let mut kit = Kit::fake();
    published(&mut kit);
    let one = identity_cid("one");
    let generation = kit.status().index.generation.to_string();
    let questions: [&[&str]; 8] = [
        &["pin", "ls"],
        &["pin", "ls", "--tag", "keep", "--sort", "name:desc", "--limit", "1"],
        &["pin", "info", &one],
        &["pin", "history", "--limit", "3"],
        &["pin", "diff", "0", &generation],
        &["metrics"],
        &["snapshot", "ls"],
        &["snapshot", "verify"],
    ];
    let online: Vec<Value> = questions.iter().map(|question| document(&kit.ctl(&json(question)))).collect();
    let csv = kit.ctl(&["pin", "ls", "-o", "csv"]).out;
    let as_of = kit.status().index.as_of;
    kit.kill();
    for (question, online) in questions.iter().zip(online) {
        assert_eq!(document(&offline(&kit, &json(question))), online, "{question:?}");
    }
    let said = offline(&kit, &["pin", "ls", "-o", "csv"]);
    assert_eq!((said.code, &said.out), (Some(0), &csv));
    assert!(said.err.starts_with("offline: snapshot gen-"), "{}", said.err);
    assert!(said.err.contains(&format!("generation {generation}, as of ")), "{}", said.err);
    let dir = kit.path("data/snapshots").display().to_string();
    assert!(said.err.ends_with(&format!(", in {dir}\n")), "{}", said.err);
    let said = offline(&kit, &["pin", "ls", "-o", "json"]);
    let page: Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!((page["source"].as_str(), page["as_of"].as_str()), (Some("snapshot"), as_of.as_deref()));
    assert_eq!(said.err, "");
    let said = offline(&kit, &["pin", "info", &identity_cid("three")]);
    assert_eq!(said.code, Some(4), "{}", said.err);
    assert!(said.err.contains("has no recursive or direct pin, as of"), "{}", said.err);
    assert!(said.err.contains(&format!("`ipfs pin ls {}`\n", identity_cid("three"))), "{}", said.err);
    for command in [["pin", "ls"], ["snapshot", "ls"], ["snapshot", "path"]] {
        let run = |most| offline(&kit, &[&command[..], &["--max-age", most]].concat());
        assert_eq!(run("1h").code, Some(0), "{command:?}");
        let stale = run("1ms");
        assert_eq!((stale.code, stale.out.as_str()), (Some(75), ""), "{command:?}: {}", stale.err);
        assert!(stale.err.contains("without --offline") && !stale.err.contains("ipfs-kitctl"), "{}", stale.err);
    }
    assert_eq!(
        offline(&kit, &["snapshot", "path"]).out,
        kit.ctl(&["snapshot", "path", "--offline", "--data-dir", &kit.path("data").display().to_string()]).out
    );
}

#[test]
fn without_a_daemon_the_error_names_offline_and_what_needs_it_is_refused() {
    let kit = Kit::fake();
    let said = kit.ctl(&["pin", "ls"]);
    assert_eq!(said.code, Some(69));
    assert!(said.err.contains("--offline"), "{}", said.err);
    for command in [&["status"][..], &["pin", "rm", "x"], &["index", "verify"], &["vfs", "ls"]] {
        let said = offline(&kit, command);
        assert_eq!(said.code, Some(2), "{}", said.err);
        assert!(said.err.starts_with("error: a snapshot does not answer this command; leave out"), "{}", said.err);
    }
    assert_eq!(kit.ctl(&["pin", "ls", "--data-dir", "/x"]).code, Some(2));
}

#[test]
fn damage_is_told_and_the_snapshot_before_answers() {
    let mut kit = Kit::fake();
    let newest = published(&mut kit);
    kit.kill();
    let file = newest.join("pins.parquet");
    let mut bytes = fs::read(&file).expect("bytes");
    bytes[40] ^= 1;
    fs::write(&file, bytes).expect("written");
    let said = offline(&kit, &["pin", "ls", "-o", "cid"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.contains(&identity_cid("three")), "the one before had it: {}", said.out);
    let name = newest.file_name().expect("a name").to_string_lossy();
    assert!(said.err.contains(&format!("warning: passed over: {name}: pins.parquet")), "{}", said.err);
    for entry in fs::read_dir(kit.path("data/snapshots")).expect("listed") {
        let manifest = entry.expect("an entry").path().join("manifest.json");
        if manifest.exists() {
            fs::write(manifest, "{").expect("written");
        }
    }
    let said = offline(&kit, &["pin", "ls"]);
    assert_eq!((said.code, said.out.as_str()), (Some(69), ""));
    assert!(said.err.contains("can be used") && said.err.contains("manifest.json is no manifest"), "{}", said.err);
    assert_eq!(offline(&kit, &["snapshot", "path"]), said, "the same of all that needs a good one");
}

#[test]
fn files_that_may_not_be_read_are_told_from_damage() {
    if nix::unistd::geteuid().is_root() {
        return skipped("a snapshot whose files are another's", "root may read everything");
    }
    let mut kit = Kit::fake();
    published(&mut kit);
    kit.kill();
    for entry in fs::read_dir(kit.path("data/snapshots")).expect("listed") {
        let manifest = entry.expect("an entry").path().join("manifest.json");
        if manifest.exists() {
            fs::set_permissions(manifest, PermissionsExt::from_mode(0o000)).expect("chmod");
        }
    }
    for command in [["pin", "ls"], ["snapshot", "path"]] {
        let said = offline(&kit, &command);
        assert_eq!((said.code, said.out.as_str()), (Some(77), ""), "{}", said.err);
        assert!(said.err.contains("hint: snapshots are for the daemon's user"), "{}", said.err);
    }
}

#[test]
fn where_there_is_no_snapshot_every_place_that_was_tried_is_named() {
    let kit = Kit::fake();
    if Path::new("/var/lib/ipfs-kitd").exists() {
        skipped("the usual places without a snapshot", "this machine has a service of its own");
    } else {
        let ran = said(kit.ctl_command(&["pin", "ls"]).arg("--offline"));
        assert_eq!((ran.code, ran.out.as_str()), (Some(69), ""));
        let home = kit.path("home/.ipfs_kit/snapshots").display().to_string();
        assert!(ran.err.starts_with("error: there is no snapshot to read\n"), "{}", ran.err);
        assert!(ran.err.contains(&format!("tried {home} (no such data directory)")), "{}", ran.err);
        assert!(ran.err.contains("tried /var/lib/ipfs-kitd/snapshots ("), "{}", ran.err);
    }
    fs::create_dir_all(kit.path("data")).expect("made");
    let ran = offline(&kit, &["snapshot", "path", "-o", "json"]);
    assert_eq!(ran.code, Some(69));
    let error: Value = serde_json::from_str(&ran.err).expect("JSON");
    let detail = error["error"]["detail"].as_str().expect("a text");
    assert!(detail.contains("the daemon has published none there") && !detail.contains("/var/lib"), "{detail}");
}

#[test]
fn the_data_dir_of_the_configuration_file_is_looked_at() {
    let mut kit = Kit::fake();
    let snapshot = published(&mut kit);
    kit.stop();
    let config = kit.path("home/.config/ipfs-kitd/config.toml");
    fs::create_dir_all(config.parent().expect("a directory")).expect("made");
    fs::write(&config, format!("data_dir = {:?}\n", kit.path("data"))).expect("written");
    let ran = said(kit.ctl_command(&["snapshot", "path"]).arg("--offline"));
    assert_eq!((ran.code, ran.out.trim_end()), (Some(0), &*snapshot.display().to_string()), "{}", ran.err);
    fs::write(&config, "data_dir = 7\n").expect("written");
    let ran = said(kit.ctl_command(&["snapshot", "path"]).arg("--offline"));
    assert_eq!((ran.code, ran.out.as_str()), (Some(69), ""));
    assert!(ran.err.contains("config.toml is wrong: line 1") && ran.err.contains("--data-dir"), "{}", ran.err);
}

#[test]
fn the_reader_ends_with_its_client_and_in_time() {
    let mut kit = Kit::fake();
    published(&mut kit);
    kit.kill();
    let reader = || {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        let mut command = Command::new(env!("CARGO_BIN_EXE_ipfs-kitd"));
        command.args(["__offline", "index"]).arg(kit.path("data"));
        let child = command.stdin(OwnedFd::from(theirs)).stderr(Stdio::null()).spawn().expect("it starts");
        (Client::over(ours), child)
    };
    let (mut client, mut child) = reader();
    client.call(PinLs::default()).expect("rows");
    assert!(client.call(PinRm { cid: identity_cid("one") }).is_err(), "it changes nothing");
    client.call(PinLs::default()).expect("and goes on");
    drop(client);
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    let ran = offline(&kit, &["pin", "ls", "--timeout", "1ms"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    assert!(ran.err.contains("the snapshot gave no answer within"), "{}", ran.err);
}

#[test]
fn the_examples_for_jq_in_the_data_page_run() {
    if Command::new("jq").arg("--version").stdout(Stdio::null()).status().is_err() {
        return skipped("the examples for jq in docs/DATA.md", "there is no jq");
    }
    let mut kit = Kit::fake();
    published(&mut kit);
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/DATA.md")).expect("readable");
    let block = page.split_once("\n### jq\n```sh\n").and_then(|(_, rest)| rest.split_once("```")).expect("a block").0;
    let path = std::env::var("PATH").expect("a PATH");
    let beside = built("ipfs-kitctl").parent().expect("a directory").display().to_string();
    let run = |line: &str| {
        let mut command = kit.ctl_command(&[]);
        let mut shell = Command::new("/bin/sh");
        shell.envs(command.env("IPFS_KITD_DATA_DIR", kit.path("data")).get_envs().filter_map(|(k, v)| Some((k, v?))));
        said(shell.env("PATH", format!("{beside}:{path}")).args(["-c", line]))
    };
    let said: Vec<String> = block.lines().map(|line| run(line).out).collect();
    let codecs: Value = serde_json::from_str(&said[1]).expect("JSON");
    assert!(codecs.as_array().is_some_and(|codecs| codecs.iter().any(|codec| codec["codec"] == "raw")), "{codecs}");
    let totals: Value = serde_json::from_str(&said[2]).expect("JSON");
    assert_eq!(totals["source"], "snapshot");
    assert!(totals["pins"].as_u64() >= Some(2) && totals["as_of"].is_string(), "{totals}");
    assert!(said[0].lines().all(|line| line.split('\t').count() == 2), "{}", said[0]);
}
