//! `pin tag`, `note`, `tier`.

use crate::stub::{Stub, V0, V1};
use proto_msgs::pin::{PinMarked, PinNote, PinTag, PinTier};
use proto_msgs::verb::{Body, Call, Verb};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// A stub that keeps what it is asked and answers with a mark.
fn marking(asked: &Arc<Mutex<Vec<Call>>>, shown: bool) -> Stub {
    let asked = asked.clone();
    let marked = move || PinMarked {
        cid: V1.to_owned(),
        tags: vec!["a".to_owned(), "b c".to_owned()],
        note: None,
        tier: Some("hot".to_owned()),
        seq: Some(7),
        shown,
    };
    Stub::one(move |call| {
        asked.lock().expect("unpoisoned").push(call.clone());
        Body::Done(match call {
            Call::PinTag(_) => PinTag::done(marked()),
            Call::PinNote(_) => PinNote::done(marked()),
            Call::PinTier(_) => PinTier::done(marked()),
            other => panic!("{other:?}"),
        })
    })
}

#[test]
fn words_behind_the_cid_are_tags_that_come_and_go() {
    let asked = Arc::default();
    let stub = marking(&asked, true);
    let table = format!("cid   {V1}\ntags  a;b c\nnote  -\ntier  hot\n");
    // Also such as look like options.
    let args = ["pin", "tag", V1, "+a", "-holidays", "-old", "+b c", "-o", "+-V"];
    assert_eq!(stub.run(&args).all(), (0, table.as_str(), ""));
    assert_eq!(
        stub.run(&["pin", "tag", "-o", "csv", V1]).all(),
        (0, format!("cid,tags,note,tier\n{V1},a;b c,,hot\n").as_str(), "")
    );
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let tag = |add, remove| Call::from(PinTag { cid: V1.to_owned(), add: words(add), remove: words(remove) });
    let expected = [tag(&["a", "b c", "-V"], &["holidays", "old", "o"]), tag(&[], &[])];
    assert_eq!(asked.lock().expect("unpoisoned")[..], expected);
    for wrong in [
        &["pin", "tag", V1, "plain"][..],
        &["pin", "tag", V1, "+a", "--json"],
        &["pin", "tag", V1, "-o", "json"],
        &["pin", "tag"],
        &["pin", "tag", V1, "--helpful"],
    ] {
        assert_eq!(stub.run(wrong).code, Some(2), "{wrong:?}");
    }
    let help = stub.run(&["pin", "tag", V1, "+a", "--help"]);
    assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""));
    assert!(help.stdout.contains("Usage: ipfs-kitctl pin tag [OPTIONS] <CID>"), "{help:?}");
    assert_eq!(asked.lock().expect("unpoisoned").len(), 2, "nothing was asked");
}

#[test]
fn notes_and_tiers_are_set_shown_and_taken_away() {
    let asked = Arc::default();
    let stub = marking(&asked, true);
    for args in [
        &["note", V0, "two words"][..],
        &["note", V0, ""],
        &["note", V0, "-"],
        &["note", V0],
        &["tier", V0, "hot"],
        &["tier", V0, "-"],
        &["tier", V0, "--clear"],
        &["tier", V0],
    ] {
        let document: Value =
            serde_json::from_str(&stub.run(&[&["--json", "pin"], args].concat()).stdout).expect("a document");
        assert_eq!((&document["schema_version"], &document["seq"]), (&json!(1), &json!(7)));
    }
    let note = |note: Option<&str>| Call::from(PinNote { cid: V0.to_owned(), note: note.map(str::to_owned) });
    let tier = |tier: Option<&str>| Call::from(PinTier { cid: V0.to_owned(), tier: tier.map(str::to_owned) });
    let expected = [
        note(Some("two words")),
        note(Some("")),
        note(Some("")),
        note(None),
        tier(Some("hot")),
        tier(Some("")),
        tier(Some("")),
        tier(None),
    ];
    assert_eq!(asked.lock().expect("unpoisoned")[..], expected);
    assert_eq!(stub.run(&["pin", "tier", V0, "hot", "--clear"]).code, Some(2));
}

#[test]
fn each_cid_on_standard_input_is_marked_and_who_has_to_wait_is_told() {
    let asked = Arc::default();
    let ran =
        marking(&asked, false).run_with_stdin(&["pin", "tag", "-o", "cid", "-", "+a"], &format!("{V0}\n\n{V1}\n"));
    let told = format!("{V1} is recorded; listings show it with the next change of the index\n");
    assert_eq!(ran.all(), (0, format!("{V1}\n{V1}\n").as_str(), format!("{told}{told}").as_str()));
    let cids: Vec<_> = asked
        .lock()
        .expect("unpoisoned")
        .iter()
        .map(|call| match call {
            Call::PinTag(tag) => tag.cid.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(cids, [V0, V1]);
}
