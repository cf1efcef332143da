//! `--max-age`.

use crate::stub::{Speaks, Stub, V0, ago};
use crate::two_pins;
use proto_msgs::snapshot::{SnapshotAt, SnapshotList, SnapshotLs, SnapshotManifest, SnapshotPath, SnapshotRow};
use proto_msgs::state::{NetworkState, StateNetwork, StateReport};
use proto_msgs::verb::{Body, Call, Verb};

#[test]
fn an_answer_older_than_max_age_is_refused_before_it_is_printed() {
    let stub = two_pins(Speaks::Binary);
    assert_eq!(stub.run(&["--max-age", "1m", "pin", "ls", "-o", "cid"]).code, Some(0));
    let ran = stub.run(&["--max-age", "10s", "pin", "ls", "-o", "cid"]);
    let stderr =
        "error: the index is 12s old and --max-age is 10s\nhint: `ipfs-kitctl index refresh --wait` renews the index\n";
    assert_eq!(ran.all(), (75, "", stderr));
}

#[test]
fn max_age_holds_for_samples_and_snapshots_too() {
    let stub = Stub::one(|call| match call {
        Call::StateNetwork(_) => {
            let newest = NetworkState { at: ago(300), peers: Some(3), ..NetworkState::default() };
            let report = StateReport { as_of: Some(ago(300)), age_s: Some(300.0), newest: Some(newest) };
            Body::Done(StateNetwork::done(report))
        }
        Call::SnapshotPath(_) => {
            let manifest = SnapshotManifest { as_of: Some(ago(300)), ..SnapshotManifest::default() };
            let path = "/data/snapshots/gen-1.1".to_owned();
            Body::Done(SnapshotPath::done(SnapshotAt { path, manifest, passed_over: vec![], made: false }))
        }
        Call::SnapshotLs(_) => {
            let row = |serial: u64, seconds, problem: Option<&str>| SnapshotRow {
                name: format!("gen-1.{serial}"),
                generation: 1,
                created_at: None,
                as_of: Some(ago(seconds)),
                pins: None,
                bytes: None,
                newest: false,
                problem: problem.map(str::to_owned),
            };
            let snapshots = vec![row(2, 1, Some("damaged")), row(1, 300, None)];
            Body::Done(SnapshotLs::done(SnapshotList { dir: "/data/snapshots".to_owned(), snapshots }))
        }
        other => panic!("{other:?}"),
    });
    for command in
        [&["state", "network"][..], &["state", "network", "--history"], &["snapshot", "path"], &["snapshot", "ls"]]
    {
        let run = |most| stub.run(&[&["--max-age", most], command].concat());
        assert_eq!(run("10m").code, Some(0), "{command:?}");
        let stale = run("10s");
        assert_eq!((stale.code, stale.stdout.as_str()), (Some(75), ""), "{command:?}");
        assert!(stale.stderr.contains(" is 5m old and --max-age is 10s\nhint: "), "{stale:?}");
    }
}

#[test]
fn max_age_is_refused_where_nothing_has_an_age() {
    let stub = Stub::one(|call| panic!("asked {call:?}"));
    for args in [
        &["pin", "tag", V0, "+a"][..],
        &["pin", "add", V0],
        &["events"],
        &["doctor"],
        &["kubo", "stop"],
        &["index", "refresh"],
        &["snapshot", "now"],
        &["shutdown"],
    ] {
        let ran = stub.run(&[&["--max-age", "1h"], args].concat());
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{args:?}");
        assert!(
            ran.stderr.starts_with("error: what this command answers has no age; leave out --max-age\n"),
            "{ran:?}"
        );
    }
}
