//! `vfs` and `state`.

use crate::stub::{Stub, ago, page};
use proto_msgs::pin::PinPage;
use proto_msgs::state::{StateNetwork, StateReport};
use proto_msgs::verb::{Body, Call, Verb};
use proto_msgs::vfs::{VfsJournal, VfsJournalPage};

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
