//! What a request may hold, besides its length: looked for before anything is made of it.

/// Lists and objects in one another.
pub const MAX_DEPTH: usize = 32;

/// Entries of a list, fields of an object.
pub const MAX_ENTRIES: usize = 10_000;

/// Bytes of a text, as they are written.
pub const MAX_TEXT: usize = 64 << 10;

/// In what a JSON text is more than a request may be. One that is no JSON is told by whoever reads it.
pub fn exceeded(json: &[u8]) -> Option<String> {
    let mut entries = [0_usize; MAX_DEPTH];
    let mut depth = 0;
    let mut at = 0;
    while let Some(byte) = json.get(at) {
        at += 1;
        match byte {
            b'"' => {
                let length = text(&json[at..]);
                if length > MAX_TEXT {
                    return Some(format!("a text is longer than {MAX_TEXT} bytes"));
                }
                at += length + 1;
            }
            b'[' | b'{' => {
                let Some(first) = entries.get_mut(depth) else {
                    return Some(format!("lists and objects stand in one another more than {MAX_DEPTH} deep"));
                };
                *first = 1;
                depth += 1;
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' => {
                if let Some(entries) = depth.checked_sub(1).and_then(|level| entries.get_mut(level)) {
                    *entries += 1;
                    if *entries > MAX_ENTRIES {
                        return Some(format!("a list or an object has more than {MAX_ENTRIES} entries"));
                    }
                }
            }
            _ => {}
        }
    }
    None
}

/// Bytes until the quote that ends a text.
fn text(rest: &[u8]) -> usize {
    let mut escaped = false;
    let end = rest.iter().position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    end.unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(json: &str) -> bool {
        exceeded(json.as_bytes()).is_some()
    }

    #[test]
    fn each_limit_is_reached_and_not_passed() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(!refused(&nested(MAX_DEPTH)) && refused(&nested(MAX_DEPTH + 1)));
        assert!(
            !refused(&format!("[{}]", nested(MAX_DEPTH - 1).repeat(3))),
            "beside one another is not in one another"
        );
        let list = |entries: usize| format!(r#"{{"a":[{}0]}}"#, "0,".repeat(entries - 1));
        assert!(!refused(&list(MAX_ENTRIES)) && refused(&list(MAX_ENTRIES + 1)));
        let object = |fields: usize| format!(r#"{{{}"a":0}}"#, r#""a":[1,2],"#.repeat(fields - 1));
        assert!(!refused(&object(MAX_ENTRIES)) && refused(&object(MAX_ENTRIES + 1)));
        let text = |bytes: usize| format!(r#"["{}"]"#, "x".repeat(bytes));
        assert!(!refused(&text(MAX_TEXT)) && refused(&text(MAX_TEXT + 1)));
    }

    #[test]
    fn what_stands_in_a_text_is_text() {
        let harmless = format!(r#"["{}","\"{}\\",1]"#, "[".repeat(100), ",".repeat(MAX_ENTRIES + 1));
        assert!(!refused(&harmless));
        // After the text that ends in a backslash the list goes on.
        assert!(refused(&format!(r#"["\\",{}]"#, "[".repeat(MAX_DEPTH))));
    }

    #[test]
    fn what_is_no_json_is_for_others_to_tell() {
        for text in ["", "]]]]", ",,,", "\"", "\"\\", "{\"a", "}{"] {
            assert_eq!(exceeded(text.as_bytes()), None, "{text}");
        }
    }
}
