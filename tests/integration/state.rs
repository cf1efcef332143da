//! The state of the node through the daemon and its client.

use crate::kit::{DEADLINE, Kit, eventually, identity_cid, ipfs, real_kubo};
use proto_msgs::FaultKind;
use proto_msgs::daemon::{Condition, IndexRefresh, Status};
use proto_msgs::kubo::KuboRestart;
use proto_msgs::pin::PinAdd;
use proto_msgs::state::{
    FilesState, NetworkState, StateAsk, StateFiles, StateNetwork, StateReport, StateStorage, StateSystem, SystemState,
};
use proto_msgs::verb::{Part, Verb};
use serde_json::json;
use std::cell::RefCell;
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixListener;

/// A daemon with a fake Kubo that measures as often as may be.
fn quick() -> Kit {
    let mut kit = Kit::fake();
    kit.env("IPFS_KITD_STATE_INTERVAL", "1s");
    kit
}

/// Waits until the newest sample is so.
fn newest<V, S>(kit: &Kit, verb: fn(StateAsk) -> V, so: impl Fn(&S) -> bool) -> S
where
    V: Verb<Reply = StateReport<S>>,
{
    let found = RefCell::new(None);
    let look = || found.replace(kit.call(verb(StateAsk::default())).newest.filter(&so));
    let come = || {
        look();
        found.borrow().is_some()
    };
    eventually(come, || format!("{} never came\n{}", V::NAME, kit.log()));
    found.into_inner().expect("it came")
}

/// All samples of Kubo's process, as they come.
fn history(kit: &Kit, since: Option<&str>, limit: Option<u64>) -> Vec<SystemState> {
    let mut samples = Vec::new();
    let ask = StateAsk { history: true, since: since.map(str::to_owned), limit };
    let report = kit.client().call_with(StateSystem(ask), Some(DEADLINE), |part| {
        if let Part::StateSystem(rows) = part {
            samples.extend(rows.samples);
        }
        Ok(())
    });
    assert!(report.is_ok(), "{report:?}");
    samples
}

#[test]
fn what_an_offline_kubo_and_its_machine_tell_is_measured_and_the_rest_is_null() {
    let mut kit = quick();
    kit.script(&json!({"storage_max": u64::MAX}));
    kit.start();
    assert_eq!(kit.call(StateNetwork::default()), StateReport { as_of: None, age_s: None, newest: None });
    kit.wait(Condition::IndexComplete);
    kit.call(PinAdd { cid: identity_cid("one"), name: None, direct: false });
    let system = newest(&kit, StateSystem, |of: &SystemState| of.kubo_cpu.is_some());
    assert_eq!(system.kubo_version.as_deref(), Some("0.43.1"));
    assert!(system.kubo_memory > Some(0) && system.kubo_uptime_s > Some(0.0) && system.load.is_some(), "{system:?}");
    assert!(system.memory_total > system.memory_available && system.memory_available > Some(0), "{system:?}");
    let storage = newest(&kit, StateStorage, |of| of.pins == Some(1));
    assert_eq!((storage.repo_size, storage.storage_max), (Some(1000), None), "it has no limit");
    assert!(storage.disk_total >= storage.disk_free && storage.disk_free.is_some(), "{storage:?}");
    let files = newest(&kit, StateFiles, |_| true);
    assert_eq!((files.root.as_deref(), files.size), (Some("QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"), Some(4)));
    assert_eq!(kit.call(StateNetwork::default()).newest, None, "there is no sample of which nothing is known");
    let said = kit.ctl(&["state", "network"]);
    assert_eq!((said.code, &*said.out), (Some(0), ""));
    assert!(said.err.contains("Kubo is not running, or runs offline"), "{}", said.err);
}

#[test]
fn rates_are_of_two_samples_of_one_run_of_kubo() {
    let mut kit = quick();
    kit.script(&json!({"peers": 3, "traffic": [1_000_000, 5_000]}));
    kit.start_whole();
    let first = newest(&kit, StateNetwork, |of: &NetworkState| of.peers.is_some());
    assert_eq!((first.peers, first.bytes_in, first.bytes_out), (Some(3), Some(1_000_000), Some(5_000)));
    newest(&kit, StateNetwork, |of| (of.rate_in, of.rate_out) == (Some(0.0), Some(0.0)));
    kit.script(&json!({"peers": 3, "traffic": [9_000_000, 4_000]}));
    let risen = newest(&kit, StateNetwork, |of: &NetworkState| of.rate_in > Some(0.0));
    // It has fallen, which a counter of one run does not.
    assert_eq!((risen.bytes_out, risen.rate_out), (Some(4_000), None));
    kit.call(KuboRestart {});
    newest(&kit, StateNetwork, |of| of.at > risen.at && of.rate_in.is_none());
}

#[test]
fn an_answer_that_never_comes_costs_one_number_and_nobody_else_anything() {
    let mut kit = Kit::fake();
    let listener = UnixListener::bind(kit.path("hold")).expect("bound");
    kit.script(&json!({"peers": 3, "traffic": [1, 2], "held": "traffic", "hold": kit.path("hold")}));
    kit.start_whole();
    let (held, _) = listener.accept().expect("asked");
    let mut query = String::new();
    BufReader::new(&held).read_line(&mut query).expect("a query");
    assert_eq!(query, "poll=false\n");
    kit.call(IndexRefresh { wait: true, names: false });
    kit.call(Status {});
    // The other answers of the same sample are there, and the daemon has given this one up by itself.
    let sample = newest(&kit, StateNetwork, |_| true);
    assert_eq!((sample.peers, sample.bytes_in, sample.bytes_out), (Some(3), None, None));
    drop(held);
}

#[test]
fn an_answer_without_end_is_not_read_to_its_end() {
    let mut kit = quick();
    kit.script(&json!({"peers": 800_000, "traffic": [u64::MAX, 7]}));
    kit.start_whole();
    let sample = newest(&kit, StateNetwork, |of: &NetworkState| of.bytes_out.is_some());
    assert_eq!((sample.peers, sample.bytes_in, sample.bytes_out), (None, None, Some(7)));
}

#[test]
fn samples_outlive_an_ordered_stop_and_are_shown_while_kubo_is_down() {
    let mut kit = quick();
    kit.start_whole();
    newest(&kit, StateSystem, |of: &SystemState| of.kubo_cpu.is_some());
    let parquet = kit.path("data/program_state/parquet");
    for kind in ["system", "storage", "files"] {
        eventually(|| parquet.join(format!("{kind}_state.parquet")).exists(), || kit.log());
    }
    assert!(!parquet.join("network_state.parquet").exists(), "nothing was measured of it");
    assert!(kit.stop().success());
    kit.script(&json!({"never_ready": true}));
    kit.start();
    let before = history(&kit, None, None);
    assert!(before.len() >= 2, "{before:#?}");
    let times: Vec<_> = before.iter().map(|of| of.at.clone()).collect();
    assert!(times.is_sorted_by(|a, b| a > b), "newest first, each once: {times:?}");
    let report = kit.call(StateSystem::default());
    assert_eq!(report.newest.as_ref(), before.first());
    assert!(report.age_s.is_some_and(|age| age > 0.0) && report.as_of.as_ref() == times.first());
    assert_eq!(history(&kit, Some(&times[0]), None).len(), 1);
    assert_eq!(history(&kit, None, Some(1)), before[..1]);
    let wrong = StateAsk { history: true, since: Some("soon".into()), limit: None };
    assert_eq!(kit.fault(StateSystem(wrong)).kind, FaultKind::Invalid);
    // What was written and what waits are one history.
    kit.script(&json!({}));
    kit.call(KuboRestart {});
    newest(&kit, StateSystem, |of: &SystemState| of.at > times[0]);
    let after = history(&kit, None, None);
    assert!(after.len() > before.len() && after.ends_with(&before), "{after:#?}");
}

#[test]
fn nothing_is_measured_where_that_is_not_wanted() {
    let mut kit = Kit::fake();
    kit.env("IPFS_KITD_STATE_INTERVAL", "0s").start_whole();
    kit.call(IndexRefresh { wait: true, names: false });
    assert_eq!(kit.call(StateSystem::default()).newest, None);
    assert!(kit.stop().success());
    assert!(!kit.path("data/program_state").exists());
}

#[test]
fn a_client_shows_samples_in_every_format() {
    let mut kit = quick();
    kit.script(&json!({"peers": 3, "traffic": [2048, 0]}));
    kit.start_whole();
    newest(&kit, StateNetwork, |of: &NetworkState| of.rate_in.is_some());
    let said = kit.ctl(&["state", "network"]);
    assert!(said.out.contains("peers      3\n") && said.out.contains("bytes in   2.0 KiB\n"), "{}", said.out);
    let json: serde_json::Value = serde_json::from_str(&kit.ctl(&["state", "network", "--json"]).out).expect("JSON");
    assert_eq!((&json["schema_version"], &json["newest"]["peers"]), (&1.into(), &3.into()), "{json}");
    let csv = kit.ctl(&["state", "network", "-o", "csv"]).out;
    assert!(csv.starts_with("at,peers,bytes_in,bytes_out,rate_in,rate_out\n20") && csv.lines().count() == 2, "{csv}");
    let csv = kit.ctl(&["state", "network", "--history", "--since", "1h", "-o", "csv"]).out;
    assert!(csv.lines().count() >= 3 && csv.ends_with(",3,2048,0,,\n"), "the first one has no rates: {csv}");
    let lines = kit.ctl(&["state", "network", "--history", "--limit", "2", "-o", "ndjson"]).out;
    assert_eq!(lines.lines().filter(|line| line.starts_with("{\"at\":\"20")).count(), 2, "{lines}");
    let table = kit.ctl(&["state", "network", "--history"]).out;
    assert!(table.starts_with("AT ") && table.contains(" ago "), "{table}");
    let json: serde_json::Value =
        serde_json::from_str(&kit.ctl(&["state", "network", "--history", "--json"]).out).expect("JSON");
    assert!(json["samples"].as_array().is_some_and(|samples| samples.len() >= 2), "{json}");
    assert_eq!(kit.ctl(&["state", "network", "--limit", "2"]).code, Some(2));
}

#[test]
fn a_real_kubo_that_is_online_is_measured_whole() {
    let mut kit = Kit::fake();
    // Online, on ports of its own choice, and knowing nobody.
    kit.with_kubo(&real_kubo()).arg("--init-profile").arg("test").env("IPFS_KITD_STATE_INTERVAL", "1s");
    kit.start_whole();
    ipfs(&kit, &["files", "write", "--create", "/file"], b"text");
    let root = ipfs(&kit, &["files", "stat", "/", "--hash"], b"");
    let files = newest(&kit, StateFiles, |of: &FilesState| of.root.as_deref() == Some(root.trim()));
    assert!(files.size > Some(4), "{files:?}");
    let network = newest(&kit, StateNetwork, |of: &NetworkState| of.rate_in.is_some());
    assert!(network.peers == Some(0) && network.bytes_in.is_some() && network.rate_out.is_some(), "{network:?}");
    let storage = newest(&kit, StateStorage, |_| true);
    assert!(storage.repo_size > Some(0) && storage.storage_max > storage.repo_size, "{storage:?}");
    assert!(storage.pins.is_some() && storage.disk_total > storage.disk_free, "{storage:?}");
    let system = newest(&kit, StateSystem, |of: &SystemState| of.kubo_cpu.is_some());
    assert!(system.kubo_memory > Some(1 << 20) && system.kubo_uptime_s > Some(0.0), "{system:?}");
    assert_eq!(system.kubo_version, kit.status().kubo.version);
}

#[test]
fn a_file_of_another_program_is_replaced_when_a_copy_of_it_is_kept_and_otherwise_told_of_once() {
    let mut kit = quick();
    let places = ["system_state.parquet", "storage_state.parquet"].map(|name| format!("program_state/parquet/{name}"));
    let [in_the_way, theirs] = places.clone().map(|place| kit.path("data").join(place));
    std::fs::create_dir_all(&in_the_way).expect("made");
    std::fs::write(&theirs, "theirs").expect("written");
    kit.start_whole();
    newest(&kit, StateSystem, |of: &SystemState| of.kubo_cpu.is_some());
    let copy = kit.path("data/legacy-original").join(&places[1]);
    eventually(|| copy.exists(), || kit.log());
    assert!(kit.stop().success());
    assert!(in_the_way.is_dir());
    assert_eq!(kit.log().matches("files that are not ours are left as they are").count(), 1, "{}", kit.log());
    assert_eq!(std::fs::read(&copy).expect("there"), b"theirs");
    assert!(std::fs::read(&theirs).expect("there").starts_with(b"PAR1"));
}
