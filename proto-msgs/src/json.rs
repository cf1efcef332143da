//! The JSON-lines form.

use crate::fault::{Fault, FaultKind};
use crate::limits;
use crate::verb::{Body, Call, Done, Part, Request, Response};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::HashMap;

#[derive(Serialize)]
struct Line<'a> {
    id: u64,
    #[serde(flatten)]
    body: &'a Body,
}

#[derive(Deserialize)]
struct AnyLine {
    id: u64,
    part: Option<Part>,
    done: Option<Done>,
    fault: Option<Fault>,
}

/// One response as a line, with its end.
pub fn response_line(response: &Response) -> Vec<u8> {
    let line = Line { id: response.id, body: &response.body };
    // Writing into memory fails only for maps with keys that are no strings; the types have none.
    let mut bytes = serde_json::to_vec(&line).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

/// One request as a line, with its end.
pub fn request_line(request: &Request) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(request).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

/// Reads a response line. `None`: a part of a kind that a newer daemon sends and this program does not know, to be passed over.
pub fn parse_response(line: &[u8]) -> Result<Option<Response>, String> {
    let line: AnyLine = match serde_json::from_slice(line) {
        Ok(line) => line,
        Err(_) if has_unknown_part(line) => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let body = match (line.part, line.done, line.fault) {
        (Some(part), None, None) => Body::Part(part),
        (None, Some(done), None) => Body::Done(done),
        (None, None, Some(fault)) => Body::Fault(fault),
        _ => return Err("a response has exactly one of part, done and fault".to_owned()),
    };
    Ok(Some(Response { id: line.id, body }))
}

fn has_unknown_part(line: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Shape {
        part: Option<HashMap<String, IgnoredAny>>,
    }
    let part = serde_json::from_slice(line).ok().and_then(|shape: Shape| shape.part);
    part.is_some_and(|part| part.keys().any(|kind| !Part::NAMES.contains(&kind.as_str())))
}

/// Reads a request line; on failure the id to answer under (0 when even that can't be read) and the fault.
pub fn parse_request(line: &[u8]) -> Result<Request, (u64, Fault)> {
    let invalid = |detail: String, hint: String| (id_of(line), Fault::new(FaultKind::Invalid, detail).hint(hint));
    if let Some(what) = limits::exceeded(line) {
        return Err(invalid(what, "docs/PROTOCOL.md has a table of limits".to_owned()));
    }
    if !line.trim_ascii_start().starts_with(b"{") {
        // Serde takes fields by their places, too, and these are not promised.
        return Err(invalid("not a request: it is no object".to_owned(), EXAMPLE.to_owned()));
    }
    serde_json::from_slice(line).map_err(|error| match verb_of(line) {
        Some(verb) if !Call::NAMES.contains(&verb.as_str()) => invalid(
            format!("unknown verb {:?}", excerpt(&verb)),
            format!("this daemon knows: {}", Call::NAMES.join(", ")),
        ),
        _ => invalid(format!("not a request: {}", excerpt(&error.to_string())), EXAMPLE.to_owned()),
    })
}

const EXAMPLE: &str = r#"one request a line, such as {"id":1,"call":{"status":{}}}"#;

fn id_of(line: &[u8]) -> u64 {
    #[derive(Deserialize)]
    struct Shape {
        id: u64,
    }
    serde_json::from_slice(line).map_or(0, |shape: Shape| shape.id)
}

fn verb_of(line: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Shape {
        call: HashMap<String, IgnoredAny>,
    }
    serde_json::from_slice(line).ok().and_then(|shape: Shape| shape.call.into_keys().next())
}

/// The beginning of what a caller sent: a fault does not echo a megabyte.
fn excerpt(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(200) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}
