//! Marks through the daemon and `ipfs-kitctl`: they are there after a kill and after the loss of the index, and a full disk
//! refuses them in words.

use crate::kit::{Kit, identity_cid, said, skipped};
use proto_msgs::FaultKind;
use proto_msgs::daemon::{Condition, IndexRefresh};
use proto_msgs::doctor::{Doctor, Severity};
use proto_msgs::pin::{PinAdd, PinInfo, PinNote, PinRm, PinTag, PinTier};
use serde_json::Value;
use std::io::Write;
use std::process::{Command, Stdio};

fn tag(cid: &str, add: &[&str]) -> PinTag {
    let add = add.iter().map(|tag| (*tag).to_owned()).collect();
    PinTag { cid: cid.to_owned(), add, remove: Vec::new() }
}

fn note(cid: &str, note: &str) -> PinNote {
    PinNote { cid: cid.to_owned(), note: Some(note.to_owned()) }
}

/// What `pin ls` says of the only pin.
fn row(kit: &Kit) -> Value {
    let mut listing: Value = serde_json::from_str(&kit.ctl(&["pin", "ls", "-o", "json"]).out).expect("JSON");
    assert_eq!(listing["total"], 1, "{listing}");
    listing["pins"][0].take()
}

#[test]
fn d1_marks_outlive_unpinning_a_kill_of_the_daemon_and_the_loss_of_its_index() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let (cid, other) = (identity_cid("marked"), identity_cid("other"));
    let add = || PinAdd { cid: cid.clone(), name: None, direct: false };
    kit.call(add());
    let done = kit.ctl(&["pin", "tag", &cid, "+holidays", "+draft"]);
    assert_eq!((done.code, done.out), (Some(0), format!("cid   {cid}\ntags  draft;holidays\nnote  -\ntier  -\n")));
    assert_eq!(kit.ctl(&["pin", "tag", &cid, "-draft"]).code, Some(0));
    assert_eq!(kit.ctl(&["pin", "note", &cid, "from the lake"]).code, Some(0));
    assert_eq!(kit.ctl(&["pin", "tier", &cid, "cold"]).code, Some(0));
    kit.call(tag(&other, &["not pinned"]));
    let marked = |row: &Value| {
        assert_eq!((&row["tags"][0], &row["tags"][1]), (&"holidays".into(), &Value::Null), "{row}");
        assert_eq!((&row["note"], &row["tier"]), (&"from the lake".into(), &"cold".into()), "{row}");
    };
    marked(&row(&kit));
    let info = kit.ctl(&["pin", "info", &cid]).out;
    assert!(info.contains("from the lake") && info.contains("holidays"), "{info}");
    for filter in [["--tag", "holidays"], ["--tier", "cold"]] {
        assert_eq!(kit.ctl(&["pin", "ls", "-o", "cid", filter[0], filter[1]]).out, format!("{cid}\n"));
    }
    assert_eq!(kit.ctl(&["pin", "ls", "-o", "cid", "--tag", "draft"]).out, "");

    kit.call(PinRm { cid: cid.clone() });
    kit.call(IndexRefresh { wait: true, names: false });
    assert_eq!(kit.call(tag(&cid, &[])).tags, ["holidays"], "while it is not pinned");
    kit.call(add());
    marked(&row(&kit));

    let last = kit.call(tag(&other, &["the last word"])).seq;
    kit.kill();
    kit.start_whole();
    marked(&row(&kit));
    assert_eq!((kit.call(tag(&other, &[])).seq, kit.status().index.recovery), (last, None));

    kit.kill();
    std::fs::remove_dir_all(kit.path("data/index")).expect("removed");
    kit.start();
    kit.wait(Condition::IndexFresh);
    marked(&row(&kit));
    let recovery = kit.status().index.recovery.expect("told");
    assert!(recovery.contains("2 marks were brought back from the journal"), "{recovery}");
    let found = kit.call(Doctor {}).findings;
    assert!(found.iter().any(|finding| finding.cause == "index_recovered" && finding.detail == recovery), "{found:?}");
    assert!(kit.ctl(&["status"]).out.contains("2 marks were brought back"));
    assert_eq!(kit.call(PinInfo { cid }).pins[0].tags, ["holidays"]);
}

#[test]
fn each_line_of_standard_input_is_tagged() {
    let mut kit = Kit::fake();
    kit.start();
    let cids: Vec<String> = (0..20).map(|n| identity_cid(&format!("line {n}"))).collect();
    let mut command = kit.ctl_command(&["pin", "tag", "-o", "ndjson", "-", "+many"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    child.stdin.take().expect("a pipe").write_all(cids.join("\n").as_bytes()).expect("written");
    let output = child.wait_with_output().expect("it ends");
    let rows = String::from_utf8(output.stdout).expect("UTF-8");
    let rows: Vec<Value> = rows.lines().map(|row| serde_json::from_str(row).expect("a row")).collect();
    assert_eq!(rows.iter().map(|row| row["cid"].as_str().expect("a CID")).collect::<Vec<_>>(), cids);
    assert!(rows.iter().all(|row| row["tags"][0] == "many" && row["shown"] == true));
}

#[test]
fn what_cannot_be_said_is_refused_in_one_sentence() {
    let mut kit = Kit::fake();
    kit.start();
    let cid = identity_cid("refused");
    let faults = [
        kit.fault(tag("nonsense", &["a"])),
        kit.fault(tag(&cid, &["two\nlines"])),
        kit.fault(tag(&cid, &[&"x".repeat(65)])),
        kit.fault(PinTag { remove: vec!["a".into()], ..tag(&cid, &["a"]) }),
        kit.fault(note(&cid, &"x".repeat(4097))),
        kit.fault(PinTier { cid: cid.clone(), tier: Some("Warm Place".into()) }),
    ];
    for fault in faults {
        assert!(fault.kind == FaultKind::Invalid && !fault.detail.contains('\n'), "{fault:?}");
    }
    assert_eq!(kit.call(tag(&cid, &[])).seq, None, "nothing was recorded");
    assert!(!kit.path("data/journal/marks.log").exists());
}

#[test]
fn a_journal_that_takes_nothing_more_is_told_by_status_and_doctor_and_not_only_to_who_marks() {
    let mut kit = Kit::fake();
    let journal = kit.path("data/journal");
    std::fs::create_dir_all(kit.path("data")).expect("made");
    std::fs::write(&journal, "in the way").expect("written");
    kit.start_whole();
    let said = kit.ctl(&["status", "--check"]);
    assert!(said.code == Some(1) && said.err.contains("marks cannot be recorded"), "{said:?}");
    let found = kit.call(Doctor {}).findings.into_iter().find(|finding| finding.cause == "journal_closed");
    assert!(found.is_some_and(|finding| finding.severity == Severity::Error && finding.command.is_some()));
    assert_eq!(kit.fault(tag(&identity_cid("one"), &["a"])).kind, FaultKind::Conflict);
    kit.stop();
    std::fs::remove_file(&journal).expect("removed");
    kit.start_whole();
    assert_eq!(kit.status().index.journal_closed, None);
    kit.call(tag(&identity_cid("one"), &["a"]));
}

#[test]
fn d4_a_full_disk_refuses_marks_in_words_and_takes_them_when_there_is_room() {
    let mut kit = Kit::fake();
    let journal = kit.path("data/journal");
    std::fs::create_dir_all(&journal).expect("made");
    // A disk of 64 kB for the journal alone, half of it taken by somebody else.
    let full = format!(
        "mount -t tmpfs -o size=64k,mode=700 tmpfs {0} && head -c 32768 /dev/zero >{0}/other && exec \"$@\"",
        journal.display()
    );
    let small = ["unshare", "--mount", "sh", "-c", &full, "sh"];
    if said(Command::new(small[0]).args(&small[1..]).arg("true")).code != Some(0) {
        return skipped("marks on a full disk", "this user may not mount a file system");
    }
    kit.through(&small).start();
    let cids: Vec<String> = (0..40).map(|n| identity_cid(&format!("pin {n}"))).collect();
    let text = "x".repeat(4000);
    let full = cids.iter().position(|cid| kit.try_call(note(cid, &text)).is_err()).expect("it is full");
    assert!((2..20).contains(&full), "{full}");
    let fault = kit.fault(note(&cids[full], &text));
    assert_eq!(fault.kind, FaultKind::Conflict);
    assert!(fault.hint.as_ref().is_some_and(|hint| hint.contains("free space")), "{fault:?}");
    let status = kit.status();
    assert!(status.last_error.is_some_and(|error| error.detail.contains("journal")), "status tells it, too");
    kit.wait(Condition::KuboRunning);
    kit.call(IndexRefresh { wait: true, names: false });

    let inside = |name: &str| std::path::PathBuf::from(format!("/proc/{}/root{}/{name}", kit.pid(), journal.display()));
    std::fs::remove_file(inside("other")).expect("space is freed");
    kit.call(note(&cids[full], &text));
    kit.call(tag(&cids[0], &["last"]));
    // The namespace ends with the daemon, so the journal is looked at in it.
    let log = std::fs::read(inside("marks.log")).expect("read");
    let copy = tempfile::tempdir().expect("a temp dir");
    std::fs::write(copy.path().join("marks.log"), log).expect("written");
    let journal = ipfs_kitd::index::journal::Journal::open(copy.path(), ipfs_kitd::index::journal::FLOOR);
    let mut noted = 0;
    let read = journal.replay(0, |_, mark| {
        noted += usize::from(mark.note.is_some() && mark.tags.is_empty());
        Ok::<_, std::io::Error>(())
    });
    read.expect("it reads");
    assert_eq!((noted, journal.last()), (full + 1, full as u64 + 2), "what was refused is not in it");
}
