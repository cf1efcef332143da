//! One line of the access log of a web server before the gateway: the common and the combined format of nginx and Apache, and JSON of
//! Caddy and nginx. Nothing is taken of who asked.
//!
//! A read is a GET that was answered with 200, 206 or 304. A 304 is one, too: somebody wanted the content and had a copy, which the
//! gateway vouched for; it brought no bytes. A HEAD asks whether there is something, and reads nothing.
//!
//! A host tells the CID of a subdomain gateway. In the combined format it may stand at the head of the line, as in Apache's
//! `vhost_combined`, or in quotes behind the two texts at its end.

use super::content::{Named, Subject, request};
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use proto_msgs::access::AccessImport;
use serde_json::Value;

/// Bytes of a line that is looked at.
pub const LONGEST: usize = AccessImport::LINE;

/// What a line says.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and most lines of a gateway's log are reads")]
pub enum Line {
    /// Content was read.
    Read(Read),
    /// It is about something else: another path, a failure, another method, a name that is not content.
    Other,
    /// It is in no format that is known.
    Wrong,
}

/// That content was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    /// When; most servers write the time at which they had answered.
    pub at: Timestamp,
    /// What.
    pub named: Named,
    /// Bytes of the answer's body, as far as they were sent.
    pub bytes: Option<u64>,
    /// The first of them, where the log has the range that was asked for.
    pub offset: Option<u64>,
}

/// What a format gives of a request.
struct Request<'a> {
    at: Timestamp,
    method: &'a str,
    target: &'a str,
    host: Option<&'a str>,
    status: u64,
    bytes: Option<u64>,
    range: Option<&'a str>,
}

/// Reads a line, without its end.
pub fn read(line: &str) -> Line {
    let line = line.trim();
    if line.len() > LONGEST {
        return Line::Wrong;
    }
    let judged = if line.starts_with('{') { json(line) } else { combined(line) };
    judged.unwrap_or(Line::Wrong)
}

fn judge(asked: &Request<'_>) -> Line {
    if asked.method != "GET" || !matches!(asked.status, 200 | 206 | 304) {
        return Line::Other;
    }
    match request(asked.target, asked.host) {
        Subject::Named(named) => {
            let offset = if asked.status == 206 { asked.range.and_then(first_byte) } else { None };
            let bytes = asked.bytes.filter(|bytes| *bytes < 1 << 53);
            Line::Read(Read { at: asked.at, named, bytes, offset })
        }
        Subject::Mutable | Subject::Other => Line::Other,
        Subject::Wrong => Line::Wrong,
    }
}

/// `bytes=100-199`, of one range.
fn first_byte(range: &str) -> Option<u64> {
    let first = range.trim().strip_prefix("bytes=")?.split_once('-')?.0.parse().ok()?;
    (!range.contains(',') && first < 1 << 53).then_some(first)
}

/// `host - user [22/Nov/2026:05:40:00 +0000] "GET /ipfs/… HTTP/1.1" 200 1234 "referer" "agent" …`
fn combined(line: &str) -> Option<Line> {
    let (head, rest) = line.split_once('[')?;
    let (time, rest) = rest.split_once(']')?;
    let (asked, rest) = quoted(rest.trim_start())?;
    let mut words = rest.trim_start().splitn(3, ' ');
    let status = words.next()?.parse().ok()?;
    let bytes = words.next().and_then(|bytes| bytes.parse().ok());
    // Behind the referer and the agent, which name hosts that were not asked.
    let mut texts = Vec::new();
    let mut rest = words.next().unwrap_or_default();
    while let Some((text, more)) = quoted(rest.trim_start()).filter(|_| texts.len() < 8) {
        texts.push(text);
        rest = more;
    }
    let named = |host: &&str| host.contains(".ipfs.") || host.contains(".ipns.");
    let host = head.split(' ').next().filter(named).or_else(|| texts.iter().skip(2).map(String::as_str).find(named));
    let at = clf_time(time)?;
    // A connection that sends no request has an empty one, or a dash, or what it sent.
    let mut words = asked.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next());
    let Some(target) = target.filter(|_| method.bytes().all(|byte| byte.is_ascii_uppercase())) else {
        return Some(Line::Other);
    };
    Some(judge(&Request { at, method, target, host, status, bytes, range: None }))
}

/// A text between quotes, and what follows it. In it a backslash stands before a quote, before a backslash, and before `x` and two digits.
fn quoted(text: &str) -> Option<(String, &str)> {
    let text = text.strip_prefix('"')?;
    let mut bytes = Vec::new();
    let mut at = 0;
    loop {
        match *text.as_bytes().get(at)? {
            b'"' => return Some((String::from_utf8_lossy(&bytes).into_owned(), &text[at + 1..])),
            b'\\' => {
                let next = *text.as_bytes().get(at + 1)?;
                let code = text.get(at + 2..at + 4).filter(|_| next == b'x');
                match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
                    Some(byte) => {
                        bytes.push(byte);
                        at += 4;
                    }
                    None => {
                        bytes.push(next);
                        at += 2;
                    }
                }
            }
            byte => {
                bytes.push(byte);
                at += 1;
            }
        }
    }
}

/// `22/Nov/2026:05:40:00 +0000`.
fn clf_time(text: &str) -> Option<Timestamp> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (moment, zone) = text.trim().split_once(' ')?;
    let (day, rest) = moment.split_once('/')?;
    let (month, rest) = rest.split_once('/')?;
    let mut rest = rest.split(':');
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    let year = rest.next()?.parse().ok().filter(|year| (1970..=9999).contains(year))?;
    let mut two = || rest.next()?.parse::<i8>().ok();
    let (hour, minute, second) = (two()?, two()?, two()?);
    let day = day.parse().ok()?;
    let valid = (1..=31).contains(&day) && (0..24).contains(&hour) && (0..60).contains(&minute);
    // A leap second is the one before it.
    let second = second.min(59);
    if !valid || second < 0 {
        return None;
    }
    let month = i8::try_from(month).ok()?;
    let civil = jiff::civil::Date::new(year, month, day).ok()?.at(hour, minute, second, 0);
    offset(zone)?.to_timestamp(civil).ok()
}

/// `+0130`, `-02:00` or `Z`.
fn offset(zone: &str) -> Option<Offset> {
    if zone == "Z" {
        return Some(Offset::UTC);
    }
    let (sign, digits) = match zone.as_bytes().first()? {
        b'+' => (1, &zone[1..]),
        b'-' => (-1, &zone[1..]),
        _ => return None,
    };
    let digits = digits.replace(':', "");
    let number: i32 = Some(&digits).filter(|digits| digits.len() == 4)?.parse().ok()?;
    Offset::from_seconds(sign * (number / 100 * 3600 + number % 100 * 60)).ok()
}

/// An object with the fields of Caddy's log, or with nginx's variables by their names.
fn json(line: &str) -> Option<Line> {
    let object: Value = serde_json::from_str(line).ok()?;
    let inner = object.get("request").filter(|request| request.is_object()).unwrap_or(&object);
    let of = |names: &[&str]| names.iter().find_map(|name| inner.get(name).or_else(|| object.get(name)));
    let text = |names: &[&str]| of(names).and_then(Value::as_str).filter(|text| !text.is_empty());
    let number = |names: &[&str]| of(names).and_then(whole);
    // nginx has the whole request line, too.
    let mut words = text(&["request"]).unwrap_or_default().split(' ');
    let (method, target) = (words.next().filter(|method| !method.is_empty()), words.next());
    let at = of(&["msec", "ts", "time_iso8601", "time_local", "@timestamp", "timestamp", "time"]).and_then(json_time);
    let (Some(at), Some(status)) = (at, number(&["status"])) else {
        // Caddy writes other things than requests, too, where nobody told it not to.
        return object.get("msg").map(|_| Line::Other);
    };
    let method = text(&["method", "request_method"]).or(method)?;
    let target = text(&["request_uri", "uri", "path", "url"]).or(target)?;
    let range = inner.get("headers").and_then(|headers| headers.get("Range")?.get(0)?.as_str());
    Some(judge(&Request {
        at,
        method,
        target,
        host: text(&["host", "http_host", "server_name"]),
        status,
        bytes: number(&["body_bytes_sent", "size", "bytes_sent", "bytes"]),
        range: range.or_else(|| text(&["http_range", "range"])),
    }))
}

/// A number, also as a text.
fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// Seconds since the epoch, or as a text any form that these servers write.
fn json_time(value: &Value) -> Option<Timestamp> {
    if let Some(number) = value.as_f64().or_else(|| value.as_str()?.parse().ok()) {
        // Caddy can also write milliseconds and nanoseconds.
        let seconds = match number {
            number if number >= 1e17 => number / 1e9,
            number if number >= 1e11 => number / 1e3,
            number => number,
        };
        let at = Timestamp::UNIX_EPOCH.checked_add(SignedDuration::try_from_secs_f64(seconds).ok()?).ok()?;
        return (seconds > 0.0).then_some(at);
    }
    let text = value.as_str()?;
    text.parse().ok().or_else(|| clf_time(text)).or_else(|| {
        // Its zone without a colon: 2026-11-22T05:40:00.123+0000.
        let (moment, zone) = text.split_at_checked(text.len().checked_sub(5)?)?;
        format!("{moment}{}:{}", zone.get(..3)?, zone.get(3..)?).parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cid;
    use proptest::prelude::*;

    const CID: &str = "bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";
    const AT: &str = "2026-11-22T05:40:00Z";

    fn of(path: &str, bytes: Option<u64>, offset: Option<u64>) -> Line {
        let path = Some(path.to_owned()).filter(|path| !path.is_empty());
        let named = Named { cid: cid::parse(CID).expect("a CID"), path };
        Line::Read(Read { at: AT.parse().expect("a time"), named, bytes, offset })
    }

    fn line(request: &str, status: u16) -> String {
        format!("192.0.2.7 - - [22/Nov/2026:06:40:00 +0100] \"{request}\" {status} 12 \"-\" \"curl/8.14\"")
    }

    #[test]
    fn the_common_and_the_combined_format_are_read() {
        let get = format!("GET /ipfs/{CID}/a%20b HTTP/1.1");
        let common = format!("::1 - frank [22/Nov/2026:05:40:00 +0000] \"{get}\" 200 12");
        assert_eq!(read(&common), of("a b", Some(12), None));
        assert_eq!(read(&line(&get, 200)), of("a b", Some(12), None));
        assert_eq!(read(&format!("www.example.org:443 {}", line(&get, 206))), of("a b", Some(12), None));
        let not_modified = line(&get, 304).replace(" 12 ", " - ");
        assert_eq!(read(&not_modified), of("a b", None, None), "Apache writes a dash for nothing");
    }

    #[test]
    fn a_host_before_or_behind_the_line_tells_the_cid_of_a_subdomain_gateway() {
        let host = format!("{CID}.ipfs.example.org");
        let plain = line("GET /a?b HTTP/2.0", 200);
        assert_eq!(read(&plain), Line::Other);
        assert_eq!(read(&format!("{host}:443 {plain}")), of("a", Some(12), None));
        assert_eq!(read(&format!("{plain} \"{host}\"")), of("a", Some(12), None));
        let referred = plain.replace("\"-\"", &format!("\"https://{host}/\""));
        assert_eq!(read(&referred), Line::Other, "where somebody came from was not asked");
    }

    #[test]
    fn what_is_no_read_of_content_is_something_else() {
        for (request, status) in [
            (format!("HEAD /ipfs/{CID} HTTP/1.1"), 200),
            (format!("POST /ipfs/{CID} HTTP/1.1"), 200),
            (format!("GET /ipfs/{CID} HTTP/1.1"), 404),
            (format!("GET /ipfs/{CID} HTTP/1.1"), 301),
            ("GET /ipns/example.org HTTP/1.1".to_owned(), 200),
            ("GET / HTTP/1.1".to_owned(), 200),
            ("-".to_owned(), 408),
            (String::new(), 400),
            ("\\x16\\x03\\x01\\x02".to_owned(), 400),
        ] {
            assert_eq!(read(&line(&request, status)), Line::Other, "{request}");
        }
    }

    #[test]
    fn a_line_in_no_known_format_is_wrong() {
        let nonsense = "GET /ipfs/nonsense HTTP/1.1";
        for text in [
            String::new(),
            "nonsense".to_owned(),
            "[".to_owned(),
            "a [b] \"".to_owned(),
            "{".to_owned(),
            "{}".to_owned(),
            line(nonsense, 200),
            line("GET / HTTP/1.1", 200).replace("Nov", "Nom"),
            line("GET / HTTP/1.1", 200).replace("22/", "31/"),
            line("GET / HTTP/1.1", 200).replace(" 200 ", " OK "),
            line(&"a".repeat(LONGEST), 200),
        ] {
            assert_eq!(read(&text), Line::Wrong, "{}", &text[..text.len().min(100)]);
        }
    }

    #[test]
    fn what_a_server_escapes_is_read_as_it_was_sent() {
        let request = format!("GET /ipfs/{CID}/\\xC3\\xBC\\\"\\\\.txt HTTP/1.1");
        assert_eq!(read(&line(&request, 200)), of("ü\"\\.txt", Some(12), None));
    }

    #[test]
    fn the_json_of_caddy_is_read_with_its_host_and_its_range() {
        let line = |host: &str, uri: &str, ts: &str, status: u16, range: &str| {
            format!(
                "{{\"level\":\"info\",\"ts\":{ts},\"logger\":\"http.log.access.log0\",\"msg\":\"handled request\",\
                 \"request\":{{\"remote_ip\":\"192.0.2.7\",\"remote_port\":\"4711\",\"client_ip\":\"192.0.2.7\",\
                 \"proto\":\"HTTP/2.0\",\"method\":\"GET\",\"host\":\"{host}\",\"uri\":\"{uri}\",\
                 \"headers\":{{\"User-Agent\":[\"curl/8.14\"]{range}}}}},\"bytes_read\":0,\"user_id\":\"\",\
                 \"duration\":0.0009,\"size\":12,\"status\":{status},\"resp_headers\":{{\"Server\":[\"Caddy\"]}}}}"
            )
        };
        let path = format!("/ipfs/{CID}/a");
        let seconds = "1795326000.0";
        assert_eq!(read(&line("example.org", &path, seconds, 200, "")), of("a", Some(12), None));
        let host = format!("{CID}.ipfs.localhost:8080");
        assert_eq!(read(&line(&host, "/a", "1795326000000", 200, "")), of("a", Some(12), None));
        let range = ",\"Range\":[\"bytes=100-111\"]";
        for ts in ["\"2026-11-22T05:40:00.000Z\"", "\"2026-11-22T06:40:00.000+0100\"", "\"22/Nov/2026:05:40:00 +0000\""]
        {
            assert_eq!(read(&line("example.org", &path, ts, 206, range)), of("a", Some(12), Some(100)), "{ts}");
        }
        assert_eq!(
            read("{\"level\":\"info\",\"ts\":1795326000,\"msg\":\"serving initial configuration\"}"),
            Line::Other
        );
    }

    #[test]
    fn the_json_of_nginx_is_read_by_the_names_of_its_variables() {
        let variables = format!(
            "{{\"time_iso8601\":\"2026-11-22T06:40:00+01:00\",\"request_method\":\"GET\",\"request_uri\":\"/ipfs/{CID}/a\",\
             \"status\":\"200\",\"body_bytes_sent\":\"12\",\"host\":\"example.org\"}}"
        );
        assert_eq!(read(&variables), of("a", Some(12), None));
        let request = format!(
            "{{\"msec\":\"1795326000.000\",\"request\":\"GET /ipfs/{CID}/a HTTP/1.1\",\"status\":206,\"body_bytes_sent\":12,\
             \"http_range\":\"bytes=100-\"}}"
        );
        assert_eq!(read(&request), of("a", Some(12), Some(100)));
    }

    /// As nginx 1.22 and Caddy 2.6 wrote them before the gateway of a Kubo: a file, its second half, a HEAD, a path that is not there, another
    /// HEAD, the file once more with a copy that is still good, the file through a subdomain (nginx was refused), a name, nonsense.
    #[test]
    fn logs_of_real_servers_are_read() {
        let reads = |name: &str| {
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/gateway_line").join(name);
            let log = std::fs::read_to_string(path).expect("a log");
            let read = |line: &str| match read(line) {
                Line::Read(read) => Some((read.named.path.unwrap_or_default(), read.bytes, read.offset)),
                Line::Other => None,
                Line::Wrong => panic!("{line}"),
            };
            log.lines().filter_map(read).collect::<Vec<_>>()
        };
        let path = || "sub/a b.txt".to_owned();
        let nginx = [(path(), Some(6), None), (path(), Some(2), None), (path(), Some(0), None)];
        assert_eq!(reads("nginx_combined"), nginx);
        assert_eq!(reads("nginx_host"), nginx);
        let ranged = [(path(), Some(6), None), (path(), Some(2), Some(2)), (path(), Some(0), None)];
        assert_eq!(reads("nginx_json"), ranged);
        let [first, second, third] = ranged;
        assert_eq!(reads("caddy_2_6"), [first.clone(), second, third, first]);
    }

    #[test]
    fn only_one_range_has_a_first_byte() {
        assert_eq!(
            ["bytes=0-1", "bytes=7-", "bytes=-5", "bytes=0-1,5-6", "x"].map(first_byte),
            [Some(0), Some(7), None, None, None]
        );
    }

    proptest! {
        #[test]
        fn no_line_is_too_odd_to_be_read(text in "\\PC*", status in 0u16..999) {
            let _ = read(&text);
            let _ = read(&line(&text, status));
            let _ = read(&format!("{{\"ts\":1,\"status\":{status},\"method\":\"GET\",\"uri\":{}}}", Value::from(text)));
        }

        #[test]
        fn a_read_is_read_whatever_else_the_line_has(path in "[a-zA-Z0-9._~-]{1,20}", agent in "[^\"\\\\\\p{C}]*") {
            let text = format!("192.0.2.7 - - [22/Nov/2026:05:40:00 +0000] \"GET /ipfs/{CID}/x{path} HTTP/1.1\" 200 12 \"-\" \"{agent}\"");
            prop_assert_eq!(read(&text), of(&format!("x{path}"), Some(12), None));
        }
    }
}
