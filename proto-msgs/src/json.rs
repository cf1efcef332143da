//! The JSON-lines form.

use crate::fault::{Fault, FaultKind};
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
    serde_json::from_slice(line).map_err(|error| {
        #[derive(Deserialize)]
        struct Shape {
            #[serde(default)]
            id: u64,
            call: Option<serde_json::Value>,
        }
        let shape: Option<Shape> = serde_json::from_slice(line).ok();
        let id = shape.as_ref().map_or(0, |s| s.id);
        let verb = shape.and_then(|s| match s.call? {
            serde_json::Value::Object(call) => call.into_iter().next().map(|(verb, _)| verb),
            _ => None,
        });
        let fault = match verb {
            Some(verb) if !Call::NAMES.contains(&verb.as_str()) => {
                Fault::new(FaultKind::Invalid, format!("unknown verb {:?}", excerpt(&verb)))
                    .hint(format!("this daemon knows: {}", Call::NAMES.join(", ")))
            }
            _ => Fault::new(FaultKind::Invalid, format!("not a request: {}", excerpt(&error.to_string())))
                .hint(r#"one request a line, such as {"id":1,"call":{"status":{}}}"#),
        };
        (id, fault)
    })
}

/// The beginning of what a caller sent: a fault does not echo a megabyte.
fn excerpt(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(200) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}
