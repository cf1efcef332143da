//! docs/VERBS.md is made from the types, and every JSON line of docs/PROTOCOL.md is one of the protocol.

#[expect(dead_code, reason = "only the golden ones are shown")]
mod samples;

use proto_msgs::access::{AccessImport, AccessRecord, AccessRows, AccessSeen};
use proto_msgs::analytics::MOST;
use proto_msgs::event::What;
use proto_msgs::pin::{BrokenPin, PinRows, PinVerified};
use proto_msgs::state::STATE_ROWS;
use proto_msgs::verb::{Call, Part};
use proto_msgs::vfs::{VfsJournal, VfsRows};
use proto_msgs::{FaultKind, json};
use samples::Seed;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

fn doc(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name)
}

fn page(name: &str) -> String {
    std::fs::read_to_string(doc(name)).unwrap_or_else(|e| panic!("docs/{name}: {e}"))
}

/// What stands in a page's fenced blocks of this language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    page.split(&fence).skip(1).filter_map(|rest| Some(rest.split_once("```")?.0.to_owned())).collect()
}

#[test]
fn every_line_of_json_in_the_pages_is_a_request_or_a_response() {
    for name in ["PROTOCOL.md", "VERBS.md"] {
        let mut lines = 0;
        for line in blocks(&page(name), "json").iter().flat_map(|block| block.lines()) {
            let response = json::parse_response(line.as_bytes());
            let understood = matches!(response, Ok(Some(_))) || json::parse_request(line.as_bytes()).is_ok();
            assert!(understood, "{name}: {response:?}: {line}");
            lines += 1;
        }
        assert!(lines > 10, "{name} has {lines}");
    }
}

/// The words in backticks at the beginning of the lines of the table with this head.
fn first_column(page: &str, head: &str) -> Vec<String> {
    let table = page.split(&format!("{head}\n")).nth(1).unwrap_or_else(|| panic!("no table {head}"));
    let rows = table.lines().skip(1).take_while(|line| line.starts_with('|'));
    rows.filter_map(|row| Some(row.strip_prefix("| `")?.split_once('`')?.0.to_owned())).collect()
}

#[test]
fn the_tables_of_verbs_faults_and_events_are_whole() {
    let page = page("PROTOCOL.md");
    assert_eq!(first_column(&page, "| verb | level | |"), Call::NAMES);
    let faults = samples::faults(&Seed::golden()).into_iter().map(|fault| fault.kind);
    let faults: Vec<_> = faults.filter(|kind| *kind != FaultKind::Unknown).map(FaultKind::name).collect();
    assert_eq!(first_column(&page, "| kind | when | what to do |"), faults);
    let events: BTreeSet<_> = first_column(&page, "| kind | tells |").into_iter().collect();
    let sent = samples::parts(&Seed::golden()).into_iter().find_map(|part| match part {
        Part::Events(page) => Some(page.events),
        _ => None,
    });
    let kind = |what: Value| what.as_object().and_then(|what| what.keys().next().cloned()).expect("a kind");
    let sent: Vec<What> = sent.into_iter().flatten().map(|event| event.what).collect();
    assert!(sent.iter().all(|what| what.kind() == kind(serde_json::to_value(what).expect("JSON"))));
    assert_eq!(events, sent.iter().map(|what| what.kind().to_owned()).collect());
    assert_eq!(events, What::KINDS.map(str::to_owned).into());
}

/// `[`PinPage`]` of rustdoc, as on a page.
fn prose(schema: &Value) -> String {
    let mut text = schema["description"].as_str().unwrap_or_default().to_owned();
    for (name, value) in [
        ("[`PinRows::MAX`]", PinRows::MAX as u64),
        ("[`PinVerified::MAX`]", PinVerified::MAX as u64),
        ("[`BrokenPin::MAX`]", BrokenPin::MAX as u64),
        ("[`VfsRows::MAX`]", VfsRows::MAX as u64),
        ("[`VfsJournal::MAX`]", VfsJournal::MAX),
        ("[`STATE_ROWS`]", STATE_ROWS as u64),
        ("[`AccessSeen::PATH`]", AccessSeen::PATH as u64),
        ("[`AccessSeen::WORD`]", AccessSeen::WORD as u64),
        ("[`AccessRecord::MAX`]", AccessRecord::MAX as u64),
        ("[`AccessRows::MAX`]", AccessRows::MAX as u64),
        ("[`AccessImport::MAX`]", AccessImport::MAX as u64),
        ("[`MOST`]", MOST),
    ] {
        text = text.replace(name, &value.to_string());
    }
    // A link of rustdoc's own says where, besides what.
    while let Some(at) = text.find("`](crate::") {
        let end = text[at..].find(')').map_or(text.len(), |end| at + end + 1);
        text.replace_range(at + 1..end, "");
    }
    text.replace("[`", "`").replace("`]", "`").split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// A type in words, and the types that it names.
fn type_of(schema: &Value, named: &mut BTreeSet<String>) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|name| name.strip_prefix("#/$defs/")) {
        named.insert(name.to_owned());
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some(any) = schema["anyOf"].as_array() {
        return any.iter().map(|one| type_of(one, named)).collect::<Vec<_>>().join(" or ");
    }
    if schema["items"].is_object() {
        return format!("list of {}", type_of(&schema["items"], named));
    }
    match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        one => one.as_str().expect("a type").to_owned(),
    }
}

/// What stands in this type: a table of its fields, or its words.
fn describe(out: &mut String, schema: &Value, defs: &Value, named: &mut BTreeSet<String>) {
    let mut schema = schema;
    while let Some(name) = schema["$ref"].as_str().and_then(|name| name.strip_prefix("#/$defs/")) {
        schema = &defs[name];
    }
    let none = serde_json::Map::new();
    let fields = schema["properties"].as_object().unwrap_or(&none);
    if !fields.is_empty() {
        out.push_str("| field | type | |\n|---|---|---|\n");
    }
    for (name, field) in fields {
        let default = match field.get("default") {
            Some(default) => format!(", left out: `{default}`"),
            None => String::new(),
        };
        let _ = writeln!(out, "| `{name}` | {}{default} | {} |", type_of(field, named), prose(field));
    }
    for variant in schema["oneOf"].as_array().into_iter().flatten() {
        if let Some(word) = variant["const"].as_str() {
            let _ = writeln!(out, "- `{word}`: {}", prose(variant));
        }
        for (tag, inner) in variant["properties"].as_object().into_iter().flatten() {
            let _ = writeln!(out, "- `{tag}` ({}): {}", type_of(inner, named), prose(variant));
        }
    }
}

fn reference() -> String {
    let schema = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("schema.json")).expect("a schema");
    let schema: Value = serde_json::from_str(&schema).expect("JSON");
    let defs = &schema["$defs"];
    let of = |sum: &str, tag: &str| {
        let variants = defs[sum]["oneOf"].as_array().expect("variants");
        variants.iter().find_map(|variant| variant["properties"].get(tag)).expect(tag).clone()
    };
    let mut named = BTreeSet::new();
    let mut out = "# The verbs\n\nMade from the types of the daemon by `UPDATE_DOCS=1 cargo test --test page`; how a call travels is on\n\
                   [PROTOCOL.md](PROTOCOL.md). In the examples every text is `text` or `some`, and most numbers are 7.\n"
        .to_owned();
    let seed = Seed::golden();
    for (n, verb) in Call::NAMES.iter().enumerate() {
        let (call, reply) = (of("Call", verb), of("Done", verb));
        let about = call["$ref"].as_str().and_then(|name| name.strip_prefix("#/$defs/")).map(|name| prose(&defs[name]));
        let _ = writeln!(out, "\n## {verb}\n{}\n", about.unwrap_or_else(|| prose(&call)));
        let before = out.len();
        describe(&mut out, &call, defs, &mut named);
        out.push_str(if out.len() == before { "No arguments.\n\nReply:\n\n" } else { "\nReply:\n\n" });
        describe(&mut out, &reply, defs, &mut named);
        let line = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        let request = line(json::request_line(&samples::requests(&seed)[n]));
        let response = line(json::response_line(&samples::responses(&seed)[n]));
        let _ = write!(out, "\n```json\n{request}{response}```\n");
    }
    out.push_str("\n# Parts\n");
    describe(&mut out, &defs["Part"], defs, &mut named);
    out.push_str("\n# Types\n");
    let mut told = BTreeSet::new();
    while let Some(name) = named.difference(&told).next().cloned() {
        let _ = writeln!(out, "\n### {name}\n{}\n", prose(&defs[&name]));
        describe(&mut out, &defs[&name], defs, &mut named);
        told.insert(name);
    }
    out
}

#[test]
fn the_page_of_verbs_is_that_of_the_types() {
    let made = reference();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(doc("VERBS.md"), &made).expect("docs/VERBS.md is writable");
    }
    assert!(page("VERBS.md") == made, "the types changed: UPDATE_DOCS=1 cargo test -p proto-msgs --test page");
}
