//! Both forms carry every message unchanged, and the JSON form stays what the golden files say.

mod samples;

use proptest::prelude::*;
use proto_msgs::verb::{Body, Call, Done, Part, Request, Response};
use proto_msgs::{binary, json};
use samples::Seed;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

fn survives(s: &Seed) {
    for request in samples::requests(s) {
        let line = json::request_line(&request);
        assert!(line.ends_with(b"\n") && !line[..line.len() - 1].contains(&b'\n'), "one line: {request:?}");
        let by_json = json::parse_request(&line).expect("a request line");
        let by_binary: Request = binary::decode(&binary::encode(&request)).expect("a request");
        assert_eq!((&by_json, &by_binary), (&request, &request));
    }
    for response in samples::responses(s) {
        let line = json::response_line(&response);
        assert!(line.ends_with(b"\n") && !line[..line.len() - 1].contains(&b'\n'), "one line: {response:?}");
        let by_json = json::parse_response(&line).expect("a response line");
        let by_binary: Response = binary::decode(&binary::encode(&response)).expect("a response");
        assert_eq!((by_json.as_ref(), &by_binary), (Some(&response), &response));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_message_survives_both_forms(
        text in any::<String>(),
        maybe in any::<Option<String>>(),
        number in 0..1_u64 << 53,
        flag in any::<bool>(),
        rows in 0..3_usize,
    ) {
        survives(&Seed { text, maybe, number, flag, rows });
    }
}

#[test]
fn messages_without_their_optional_values_survive_both_forms() {
    survives(&Seed::bare());
    survives(&Seed { number: (1 << 53) - 1, ..Seed::golden() });
}

#[test]
fn the_samples_leave_no_verb_out() {
    let seed = Seed::golden();
    let called: Vec<_> = samples::calls(&seed).iter().map(Call::name).collect();
    assert_eq!(called, Call::NAMES);
    let tag = |done: &Done| {
        let done = serde_json::to_value(done).expect("JSON");
        done.as_object().and_then(|o| o.keys().next().cloned()).expect("a tag")
    };
    let answered: Vec<_> = samples::dones(&seed).iter().map(tag).collect();
    assert_eq!(answered, Call::NAMES);
    let sent: BTreeSet<_> = samples::parts(&seed).iter().map(part_tag).collect();
    assert_eq!(sent, Part::NAMES.iter().map(|name| (*name).to_owned()).collect());
    for part in samples::parts(&seed) {
        // A new kind of part does not compile here, as a reminder of the samples.
        match part {
            Part::PinLs(_)
            | Part::Bulk(_)
            | Part::PinChanges(_)
            | Part::Progress(_)
            | Part::KuboLogs(_)
            | Part::Log(_)
            | Part::Events(_)
            | Part::VfsLs(_) => {}
            Part::StateSystem(_) | Part::StateNetwork(_) | Part::StateStorage(_) | Part::StateFiles(_) => {}
            Part::AccessLog(_) => {}
        }
    }
}

fn part_tag(part: &Part) -> String {
    let part = serde_json::to_value(part).expect("JSON");
    part.as_object().and_then(|o| o.keys().next().cloned()).expect("a tag")
}

#[test]
fn names_in_the_code_are_those_in_json() {
    for fault in samples::faults(&Seed::golden()) {
        assert_eq!(serde_json::to_value(fault.kind).expect("JSON"), fault.kind.name());
    }
    for number in 0..8 {
        use proto_msgs::pin::PinType;
        let seed = Seed { number, ..Seed::golden() };
        for done in samples::dones(&seed) {
            let json = serde_json::to_value(&done).expect("JSON");
            match done {
                Done::KuboStatus(report) => assert_eq!(json["kubo_status"]["state"], report.state.name()),
                Done::LockCheck(report) => {
                    assert_eq!(json["lock_check"]["locks"][0]["verdict"], report.locks[0].verdict.name());
                    assert_eq!(json["lock_check"]["locks"][0]["action"], report.locks[0].action.name());
                }
                Done::Doctor(report) => {
                    for finding in &report.findings {
                        assert_eq!(json["doctor"]["findings"][0]["severity"], finding.severity.name());
                    }
                }
                _ => {}
            }
        }
        let pin = samples::pin(&seed);
        assert_eq!(serde_json::to_value::<PinType>(pin.pin_type).expect("JSON"), pin.pin_type.name());
    }
}

#[test]
fn the_json_form_is_the_one_in_the_golden_files() {
    let mut files = Vec::new();
    let (full, bare) = (Seed::golden(), Seed::bare());
    let line = |bytes: Vec<u8>| serde_json::from_slice::<Value>(&bytes).expect("JSON");
    for (n, name) in Call::NAMES.iter().enumerate() {
        let mut messages = Vec::new();
        for seed in [&full, &bare] {
            messages.push(line(json::request_line(&samples::requests(seed)[n])));
            messages.push(line(json::response_line(&samples::responses(seed)[n])));
        }
        files.push((*name, messages));
    }
    let of = |wanted: fn(&Body) -> bool| {
        let all = [&full, &bare].into_iter().flat_map(samples::responses).filter(|r| wanted(&r.body));
        all.map(|response| line(json::response_line(&response))).collect::<Vec<_>>()
    };
    files.push(("parts", of(|body| matches!(body, Body::Part(_)))));
    files.push(("faults", of(|body| matches!(body, Body::Fault(_)))));

    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    for (name, messages) in &files {
        let path = dir.join(format!("{name}.json"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            let text = serde_json::to_string_pretty(messages).expect("JSON") + "\n";
            std::fs::write(&path, text).expect("a writable golden file");
        }
        let golden =
            std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}; UPDATE_GOLDEN=1 makes it", path.display()));
        let golden: Vec<Value> = serde_json::from_slice(&golden).expect("a golden file is JSON");
        assert_eq!(&golden, messages, "the JSON form of {name} changed, which breaks every client in another language");
    }
    let stored: BTreeSet<_> = std::fs::read_dir(&dir).expect("golden").map(|e| e.expect("entry").file_name()).collect();
    let wanted: BTreeSet<_> = files.iter().map(|(name, _)| format!("{name}.json").into()).collect();
    assert_eq!(stored, wanted, "a golden file without a message");
}

#[test]
fn a_request_may_leave_out_what_has_a_default_and_carry_what_is_unknown() {
    let request = |text: &str| json::parse_request(text.as_bytes()).expect(text).call;
    let default = Call::from(proto_msgs::pin::PinLs::default());
    assert_eq!(request(r#"{"id":1,"call":{"pin_ls":{}}}"#), default);
    assert_eq!(request(r#"{"call":{"pin_ls":{"colour":"red"}},"id":1,"trace":[1,{"a":null}]}"#), default);
    let reply = json::parse_response(br#"{"id":1,"done":{"shutdown":{"pid":3,"mood":"calm"}},"took":1}"#);
    assert_eq!(reply.map(|r| r.map(|r| r.id)), Ok(Some(1)));
}

/// The leaves that are words of an enum, in a message whose texts are all the seed's: where they are, and the name of their field.
fn words(value: &Value, at: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::String(word) if !["text", "some"].contains(&word.as_str()) => {
            let field = at.rsplit('/').find(|step| step.parse::<usize>().is_err()).unwrap_or_default();
            found.push((at.to_owned(), field.to_owned()));
        }
        Value::Array(items) => items.iter().enumerate().for_each(|(n, item)| words(item, &format!("{at}/{n}"), found)),
        Value::Object(fields) => fields.iter().for_each(|(name, field)| words(field, &format!("{at}/{name}"), found)),
        _ => {}
    }
}

fn with_words_replaced(message: &Value) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    words(message, "", &mut found);
    let replaced = found.into_iter().map(|(at, field)| {
        let mut message = message.clone();
        *message.pointer_mut(&at).expect("just seen") = Value::from("unheard_of");
        (field, serde_json::to_vec(&message).expect("JSON"))
    });
    replaced.collect()
}

/// Enums that calls carry have no unknown value: a daemon that took one for something else would do something else.
const CLOSED: [&str; 5] = ["type", "type_before", "pin", "for", "level"];

#[test]
fn an_older_client_reads_any_word_that_a_newer_daemon_says_and_a_daemon_refuses_those_it_does_not_know() {
    let seed = Seed::golden();
    let line = |bytes: Vec<u8>| serde_json::from_slice::<Value>(&bytes).expect("JSON");
    let mut open = 0;
    for response in samples::responses(&seed) {
        for (field, bytes) in with_words_replaced(&line(json::response_line(&response))) {
            let read = json::parse_response(&bytes);
            assert!(
                read.is_ok() || CLOSED.contains(&field.as_str()),
                "{field}: {read:?}: its enum needs `#[serde(other)]`"
            );
            open += usize::from(read.is_ok());
        }
    }
    assert!(open > 50, "{open}");
    let mut closed = 0;
    for request in samples::requests(&seed) {
        for (field, bytes) in with_words_replaced(&line(json::request_line(&request))) {
            let (_, fault) = json::parse_request(&bytes).expect_err(&field);
            assert_eq!(fault.kind, proto_msgs::FaultKind::Invalid);
            closed += 1;
        }
    }
    assert_eq!(closed, 5, "type, sort, bulk, level and for");
}

#[test]
fn what_is_no_request_is_refused_under_its_own_id_with_advice() {
    for (line, id, says) in [
        ("", 0, "not a request"),
        ("{", 0, "not a request"),
        (r#"[1,null,{"status":{}}]"#, 0, "not a request"),
        (r#"{"id":5}"#, 5, "call"),
        (r#"{"id":6,"call":{"pin_list":{}}}"#, 6, "unknown verb \"pin_list\""),
        (r#"{"id":7,"call":{"pin_info":{"cid":3}}}"#, 7, "expected a string"),
        (r#"{"id":8,"call":"status"}"#, 8, "not a request"),
        (r#"{"id":-1,"call":{"status":{}}}"#, 0, "not a request"),
    ] {
        let (told, fault) = json::parse_request(line.as_bytes()).expect_err(line);
        assert_eq!((told, fault.kind), (id, proto_msgs::FaultKind::Invalid), "{line}");
        assert!(fault.detail.contains(says) && fault.hint.is_some(), "{line}: {fault:?}");
    }
    for line in [r#"{"id":1}"#, r#"{"id":1,"done":{"shutdown":{"pid":1}},"part":{"progress":{"blocks":1,"bytes":1}}}"#]
    {
        assert!(json::parse_response(line.as_bytes()).is_err(), "{line}");
    }
}
