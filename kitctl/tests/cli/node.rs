//! `vfs` and `state`.

use crate::stub::{Speaks, Stub, V1, ago, page};
use proto_msgs::pin::PinPage;
use proto_msgs::state::{StateNetwork, StateReport};
use proto_msgs::verb::{Body, Call, Part, Verb};
use proto_msgs::vfs::{VfsEntry, VfsInfo, VfsInfoReply, VfsJournal, VfsJournalPage, VfsLs, VfsPage, VfsRows};

#[test]
fn where_nothing_was_measured_it_is_told_why_except_in_a_document_which_says_null() {
    let stub = Stub::one(|call| match call {
        Call::StateNetwork(_) => Body::Done(StateNetwork::done(StateReport { as_of: None, age_s: None, newest: None })),
        other => panic!("{other:?}"),
    });
    let told = "nothing was measured: Kubo is not running, or runs offline\n";
    for history in [&[][..], &["--history"]] {
        let run = |format| stub.run(&[&["state", "network", "-o", format], history].concat());
        assert_eq!(run("table").all(), (0, "", told));
        assert_eq!(run("csv").all(), (0, "at,peers,bytes_in,bytes_out,rate_in,rate_out\n", told));
        assert_eq!(run("ndjson").all(), (0, "", told));
        assert_eq!((run("json").code, run("json").stderr.as_str()), (Some(0), ""));
    }
}

#[test]
fn changes_that_went_are_told_from_a_number_that_has_not_come() {
    let journal = |changes: Vec<proto_msgs::vfs::VfsChange>| {
        let stub = Stub::one(move |_| {
            let PinPage { as_of, age_s, generation, complete, source, .. } = page(0);
            let (unread, error, changes) = (0, None, changes.clone());
            let page = VfsJournalPage {
                as_of,
                age_s,
                generation,
                complete,
                source,
                unread,
                error,
                gap: true,
                more: false,
                changes,
            };
            Body::Done(VfsJournal::done(page))
        });
        stub.run(&["vfs", "journal", "--since", "3", "-o", "csv"]).stderr
    };
    let change = proto_msgs::vfs::VfsChange {
        seq: 9,
        at: ago(1),
        op: proto_msgs::vfs::VfsOp::Removed,
        path: "/a".to_owned(),
        cid: None,
        cid_before: None,
    };
    assert_eq!(journal(vec![change]), "changes before these are no longer kept\n");
    let ahead = journal(Vec::new());
    assert_eq!(ahead, "no change has the number 3 yet; in an index that was made anew numbers begin anew\n");
}

#[test]
fn why_the_last_walk_of_mfs_failed_stands_beside_the_table_and_what_renews_it_is_told() {
    let entry = || VfsEntry {
        path: "/".to_owned(),
        name: String::new(),
        kind: None,
        size: None,
        cid: V1.to_owned(),
        pin: None,
        whole: false,
    };
    let stub = Stub::new(Speaks::Binary, move |call| {
        let PinPage { as_of, age_s, generation, source, .. } = page(0);
        let (complete, unread, error) = (true, 0, Some("it was cut".to_owned()));
        let one = |body| Box::new([Body::Part(Part::VfsLs(VfsRows { entries: vec![entry()] })), body].into_iter());
        match call {
            Call::VfsLs(_) => one(Body::Done(VfsLs::done(VfsPage {
                as_of,
                age_s,
                generation,
                complete,
                source,
                unread,
                error,
                entry: entry(),
                total: 1,
            }))),
            Call::VfsInfo(_) => one(Body::Done(VfsInfo::done(VfsInfoReply {
                as_of,
                age_s,
                generation,
                complete,
                source,
                unread,
                error,
                entry: entry(),
                children: 0,
            }))),
            Call::VfsJournal(_) => {
                let (gap, more, changes) = (false, false, vec![]);
                let page =
                    VfsJournalPage { as_of, age_s, generation, complete, source, unread, error, gap, more, changes };
                one(Body::Done(VfsJournal::done(page)))
            }
            other => panic!("asked {other:?}"),
        }
    });
    for command in [&["vfs", "ls"][..], &["vfs", "info", "/"], &["vfs", "journal"]] {
        let ran = stub.run(command);
        let (first, second) = ran.stderr.split_once('\n').unwrap_or_default();
        assert_eq!((ran.code, first), (Some(0), "the last walk of MFS failed: it was cut"), "{command:?}");
        let dated = second.starts_with("as of ") && second.ends_with("d ago\n");
        assert_eq!(dated, command[1] != "journal", "changes have their own times: {ran:?}");
        assert_eq!(stub.run(&[command, &["-o", "ndjson"]].concat()).stderr, "");
    }
    let stale = stub.run(&["vfs", "ls", "--max-age", "1s"]);
    assert_eq!((stale.code, stale.stdout.as_str()), (Some(75), ""));
    assert!(stale.stderr.contains("\nhint: the daemon looks at MFS every `interval`"), "{stale:?}");
}
