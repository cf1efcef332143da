//! The committed schema is the one of the types, its hash is the one that peers compare, and it keeps what was promised.

use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

fn schema() -> Value {
    #[derive(schemars::JsonSchema)]
    #[expect(dead_code, reason = "only its schema is used")]
    struct Protocol {
        request: proto_msgs::Request,
        response: proto_msgs::Response,
    }
    schemars::schema_for!(Protocol).to_value()
}

fn beside(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[test]
fn schema_file_and_hash_are_those_of_the_types() {
    let schema = serde_json::to_string_pretty(&schema()).expect("a schema is JSON") + "\n";
    let hash: String = Sha256::digest(&schema).iter().map(|b| format!("{b:02x}")).collect();
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(beside("schema.json"), &schema).expect("schema.json is writable");
        std::fs::write(beside("schema.sha256"), &hash).expect("schema.sha256 is writable");
        return;
    }
    let committed = std::fs::read_to_string(beside("schema.json")).expect("schema.json is committed");
    assert_eq!(committed, schema, "the types changed: UPDATE_SCHEMA=1 cargo test -p proto-msgs --test schema");
    assert_eq!(proto_msgs::SCHEMA_HASH.trim(), hash, "schema.sha256 is not the hash of schema.json");
}

/// What stands at one place of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    /// A reader does without it.
    optional: bool,
    /// JSON's types, `null` among them where it may be that.
    types: BTreeSet<String>,
    /// The words of an enum.
    words: BTreeSet<String>,
}

/// Every place of every message, by its path: `response.body.done.status.kubo.state`, `….pins[].cid`.
type Form = BTreeMap<String, Place>;

fn walk(path: &str, schema: &Value, defs: &Value, optional: bool, form: &mut Form) {
    let mut schema = schema;
    while let Some(name) = schema["$ref"].as_str().and_then(|name| name.strip_prefix("#/$defs/")) {
        schema = &defs[name];
    }
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut place = Place { optional, types: BTreeSet::new(), words: BTreeSet::new() };
    place.types.extend(text(&schema["type"]).into_iter().chain(list(&schema["type"]).iter().filter_map(text)));
    for variant in list(&schema["oneOf"]) {
        place.types.extend(text(&variant["type"]));
        place.words.extend(text(&variant["const"]).into_iter().chain(list(&variant["enum"]).iter().filter_map(text)));
        for (tag, inner) in variant["properties"].as_object().into_iter().flatten() {
            walk(&format!("{path}.{tag}"), inner, defs, true, form);
        }
    }
    if let Some(inner) = list(&schema["anyOf"]).iter().find(|inner| inner["type"] != "null") {
        walk(path, inner, defs, optional, form);
        form.entry(path.to_owned()).and_modify(|place| place.types.extend(["null".to_owned()]));
        return;
    }
    assert!(!place.types.is_empty(), "{path}: a form that this test does not know: {schema}");
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        let required = list(&schema["required"]).iter().any(|required| required == name.as_str());
        walk(&format!("{path}.{name}"), inner, defs, !required, form);
    }
    if schema["items"].is_object() {
        walk(&format!("{path}[]"), &schema["items"], defs, false, form);
    }
    form.insert(path.to_owned(), place);
}

fn written(form: &Form) -> String {
    let words = |words: &BTreeSet<String>, between| words.iter().map(String::as_str).collect::<Vec<_>>().join(between);
    let line = |(path, place): (&String, &Place)| {
        let (optional, types) = (if place.optional { "?" } else { "" }, words(&place.types, "|"));
        format!("{path}{optional} {types} {}", words(&place.words, " ")).trim_end().to_owned() + "\n"
    };
    form.iter().map(line).collect()
}

fn read(text: &str) -> Form {
    let line = |line: &str| {
        let mut words = line.split(' ');
        let (path, types) = (words.next().expect("a path"), words.next().expect("types"));
        let types = types.split('|').map(str::to_owned).collect();
        let (name, optional) = path.strip_suffix('?').map_or((path, false), |name| (name, true));
        (name.to_owned(), Place { optional, types, words: words.map(str::to_owned).collect() })
    };
    text.lines().map(line).collect()
}

/// In what `now` breaks a peer that was built from `promised`.
fn breaks(promised: &Form, now: &Form) -> Vec<String> {
    let gone = promised.iter().filter_map(|(path, was)| match now.get(path) {
        None => Some(format!("{path} is gone")),
        Some(is) if is.types != was.types => Some(format!("{path} was {:?} and is {:?}", was.types, is.types)),
        Some(is) if !is.words.is_superset(&was.words) => Some(format!("{path} has lost words")),
        Some(is) if was.optional && !is.optional => Some(format!("{path} may no longer be left out")),
        _ => None,
    });
    let parent = |path: &str| {
        // The items of a list that is new are nothing that anybody misses.
        let above = path.strip_suffix("[]").or_else(|| path.rsplit_once('.').map(|(above, _)| above));
        above.is_some_and(|above| promised.contains_key(above))
    };
    let new = now.iter().filter(|(path, _)| !promised.contains_key(*path) && parent(path));
    let missing = new.filter(|(_, place)| !place.optional);
    gone.chain(missing.map(|(path, _)| format!("{path} is new, and a peer from before does not send it"))).collect()
}

#[test]
fn a_peer_from_before_is_understood_and_understands() {
    let (schema, mut form) = (schema(), Form::new());
    walk("request", &schema["properties"]["request"], &schema["$defs"], false, &mut form);
    walk("response", &schema["properties"]["response"], &schema["$defs"], false, &mut form);
    assert_eq!(read(&written(&form)), form);
    if std::env::var_os("UPDATE_PROMISED").is_some() {
        std::fs::write(beside("promised.txt"), written(&form)).expect("promised.txt is writable");
    }
    let promised = read(&std::fs::read_to_string(beside("promised.txt")).expect("promised.txt is committed"));
    let breaks = breaks(&promised, &form);
    assert!(
        breaks.is_empty(),
        "this breaks clients that exist (docs/PROTOCOL.md, \"What may change\"): {breaks:#?}\n\
         a new field of a reply is an Option or has a default; before a release, UPDATE_PROMISED=1 makes another promise"
    );
}

#[test]
fn what_breaks_a_peer_is_found() {
    let was = "a object\na.b integer\na.c? string|null\na.d string one two\na.e[] string\n";
    let breaks = |now: &str| breaks(&read(was), &read(now));
    assert!(breaks(was).is_empty());
    assert!(breaks(&format!("{was}a.f? integer\na.f.g string\n").replace("one two", "one three two")).is_empty());
    for (from, to, found) in [
        ("a.b integer\n", "", "a.b is gone"),
        ("a.b integer", "a.b integer|null", "a.b was"),
        ("one two", "one", "a.d has lost words"),
        ("a.c?", "a.c", "a.c may no longer be left out"),
        ("a.b integer\n", "a.b integer\na.f integer\n", "a.f is new"),
    ] {
        let found_now = breaks(&was.replace(from, to));
        assert!(found_now.len() == 1 && found_now[0].starts_with(found), "{found_now:?}");
    }
}
