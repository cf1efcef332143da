//! Its RPC: POST only, chunked bodies, errors as Kubo words them, late errors in the trailer `X-Stream-Error`.

use crate::pins::{self, Pins};
use crate::script::{self, Held, Script};
use serde_json::{Value, json};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// How often its log of requests was asked for.
static QUESTIONS: AtomicU64 = AtomicU64::new(0);

const OFFLINE: &str = "this action must be run in online mode, try running 'ipfs daemon' first";

pub(crate) fn serve(listener: &UnixListener, pins: &Arc<Pins>, peer: &str) {
    while let Ok((stream, _)) = listener.accept() {
        let (pins, peer) = (pins.clone(), peer.to_owned());
        thread::spawn(move || {
            let _ = answer(stream, &pins, &peer);
        });
    }
}

/// One connection; further requests on it are answered in turn.
fn answer(stream: UnixStream, pins: &Pins, peer: &str) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header)? <= 2 {
                break;
            }
        }
        let mut words = line.split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if method != "POST" {
            write!(stream, "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")?;
            continue;
        }
        let script = script::read();
        if script.hang {
            io::copy(&mut reader, &mut io::sink())?;
            return Ok(());
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let about = |cid: &String| query.contains(cid) && (path.ends_with("/stat") || query.contains("type=indirect"));
        if script.panics_at.as_ref().is_some_and(about) {
            return Ok(());
        }
        let reply = route(path.trim_start_matches("/api/v0/"), &Query::parse(query), query, pins, peer, &script);
        match reply {
            Err(message) => {
                let body = json!({"Message": message, "Code": 0, "Type": "error"}).to_string();
                write!(stream, "HTTP/1.1 500 Internal Server Error\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
            }
            Ok(body) => {
                let listing = path.ends_with("pin/ls");
                let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Stream-Error\r\n\r\n";
                write!(stream, "{head}")?;
                let cut = listing && script.cut_listing || path.ends_with("repo/gc") && script.cut_gc;
                if cut {
                    let half = &body[..body.len() / 2];
                    write!(stream, "{:x}\r\n{half}\r\n", half.len().max(1))?;
                    return Ok(());
                }
                write!(stream, "{:x}\r\n{body}\r\n0\r\n", body.len())?;
                if let Some(error) = script.stream_error.as_ref().filter(|_| listing) {
                    write!(stream, "X-Stream-Error: {error}\r\n")?;
                }
                write!(stream, "\r\n")?;
            }
        }
    }
}

fn route(call: &str, query: &Query, raw: &str, pins: &Pins, peer: &str, script: &Script) -> Result<String, String> {
    let line = |value: Value| Ok(format!("{value}\n"));
    match call {
        "id" => line(json!({"ID": script.peer_id.as_deref().unwrap_or(peer), "AgentVersion": "kubo/0.43.1/"})),
        "diag/healthy" if script.unhealthy => Err("daemon is shutting down".to_owned()),
        "diag/healthy" => line(json!("ok")),
        "swarm/peers" => match script.peers {
            None => Err(OFFLINE.to_owned()),
            Some(peers) => line(json!({"Peers": vec![json!({"Peer": "12D3KooWPeer"}); peers]})),
        },
        "stats/bw" => {
            script.hold(Held::Traffic, raw);
            let (bytes_in, bytes_out) = script.traffic.ok_or_else(|| OFFLINE.to_owned())?;
            line(json!({"TotalIn": bytes_in, "TotalOut": bytes_out, "RateIn": 1.5, "RateOut": 2.5}))
        }
        "repo/stat" => {
            let limit = script.storage_max.unwrap_or(10_000_000_000);
            line(json!({"RepoSize": 1000 * pins.get().len(), "StorageMax": limit}))
        }
        // An empty MFS.
        "files/stat" if query.get("arg") == "/" => {
            line(json!({"Hash": "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn", "CumulativeSize": 4}))
        }
        "repo/gc" => {
            let removed = json!({"Key": {"/": "bafkqaaa"}});
            let failed = json!({"Error": "could not remove bafkqaba"});
            Ok(format!("{removed}\n{removed}\n{failed}\n"))
        }
        "version" => line(json!({"Version": "0.43.1", "Repo": "18"})),
        "ls" => Ok(String::new()),
        "diag/cmds" => {
            let mut log = script.requests.clone();
            // Rises with each question, as Kubo's numbers do.
            let number = 1_000_000 + QUESTIONS.fetch_add(1, Ordering::Relaxed);
            let (began, ended) = ("2026-01-01T00:00:00Z", "0001-01-01T00:00:00Z");
            log.push(
                json!({"ID": number, "Command": call, "Options": {"encoding": "json"}, "Args": [], "StartTime": began,
                "EndTime": ended, "Active": true}),
            );
            line(json!(log))
        }
        "diag/cmds/set-time" => {
            script::record(&format!("keep requests {}", query.get("arg")));
            Ok(String::new())
        }
        "pin/ls" => pin_ls(query, raw, pins, script),
        "files/stat" | "dag/stat" => {
            script::record(&format!("{call} {raw}"));
            if call == "dag/stat" {
                script.hold(Held::Whole, raw);
            }
            line(content(call, query, script)?)
        }
        "pin/add" => {
            let cid = canonical(query.get("arg"))?;
            let recursive = query.get("recursive") != "false";
            if !recursive && pins.get().get(&cid).is_some_and(|(of, _)| of == "recursive") {
                return Err(format!("{cid} already pinned recursively"));
            }
            pins.add(&cid, if recursive { "recursive" } else { "direct" }, query.get("name"));
            script.hold(Held::Add, raw);
            Ok(format!("{}\n{}\n", json!({"Progress": 1, "Bytes": 10}), json!({ "Pins": [cid] })))
        }
        "pin/update" => {
            let cids = query.all("arg").map(canonical).collect::<Result<Vec<_>, _>>()?;
            let [from, to] = &cids[..] else { return Err("argument \"to-path\" is required".to_owned()) };
            let now = pins.get();
            let Some((_, name)) = now.get(from).filter(|(of, _)| of == "recursive") else {
                return Err("'from' cid was not recursively pinned already".to_owned());
            };
            pins.add(to, "recursive", name);
            if query.get("unpin") != "false" {
                pins.remove(from);
            }
            line(json!({ "Pins": [from, to] }))
        }
        "pin/verify" => {
            let now = pins.get();
            let lines =
                now.iter().filter(|(_, (of, _))| of == "recursive").map(|(cid, _)| match script.broken.as_ref() {
                    Some(broken) if broken == cid => {
                        let bad = json!([{"Cid": "bafkqaaa", "Err": "block was not found locally"}]);
                        json!({"Cid": cid, "BadNodes": bad}).to_string() + "\n"
                    }
                    _ => json!({"Cid": cid, "Ok": true}).to_string() + "\n",
                });
            Ok(lines.collect())
        }
        "config/show" => {
            line(json!({"Identity": {"PeerID": peer}, "API": {"Authorizations": {"a": {"AuthSecret": "hunter2"}}}}))
        }
        "pin/rm" => {
            let cid = canonical(query.get("arg"))?;
            let was = pins.remove(&cid);
            script::record(&format!("rm {cid}"));
            if was { line(json!({ "Pins": [cid] })) } else { Err("not pinned or pinned indirectly".to_owned()) }
        }
        _ => Err(format!("fake-kubo has no {call}")),
    }
}

fn pin_ls(query: &Query, raw: &str, pins: &Pins, script: &Script) -> Result<String, String> {
    let now = pins.get();
    let (pin_type, names) = (query.get("type"), query.get("names") == "true");
    let cids = query.all("arg").map(canonical).collect::<Result<Vec<_>, _>>()?;
    if let ("indirect", [cid]) = (pin_type, &cids[..]) {
        script::record(&format!("indirect {cid}"));
        return match script.within.get(cid) {
            Some(pin) => {
                let key = json!({"Type": format!("indirect through {pin}"), "Name": ""});
                Ok(json!({ "Keys": { cid: key } }).to_string() + "\n")
            }
            None => Err(format!("path '{cid}' is not pinned")),
        };
    }
    if !cids.is_empty() {
        script.hold(Held::Look, raw);
        let mut keys = serde_json::Map::new();
        for cid in cids {
            let Some((of, name)) = now.get(&cid).filter(|(of, _)| of == pin_type) else {
                return Err(format!("path '/ipfs/{cid}' is not pinned"));
            };
            keys.insert(cid, json!({"Type": of, "Name": if names { name } else { "" }}));
        }
        return Ok(json!({ "Keys": keys }).to_string() + "\n");
    }
    script::record(&format!("listing {pin_type}"));
    script.hold(Held::Listing, raw);
    Ok(pins::listing(&now, pin_type, names).to_string() + "\n")
}

fn content(call: &str, query: &Query, script: &Script) -> Result<Value, String> {
    let cid = canonical(query.get("arg").trim_start_matches("/ipfs/"))?;
    let missing = || format!("block was not found locally (offline): ipld: could not find {cid}");
    let of = script.content.get(&cid).ok_or_else(missing)?;
    if call == "files/stat" {
        let kind = if of.directory { "directory" } else { "file" };
        return Ok(json!({"Hash": cid, "Size": 0, "CumulativeSize": of.cumulative, "Blocks": of.links, "Type": kind}));
    }
    let whole = of.whole.ok_or_else(|| format!("error traversing DAG: {}", missing()))?;
    let dag = json!({"Cid": cid, "Size": whole, "NumBlocks": 1});
    Ok(json!({"UniqueBlocks": 1, "TotalSize": whole, "Ratio": 1, "DagStats": [dag]}))
}

fn canonical(text: &str) -> Result<String, String> {
    let cid = cid::Cid::try_from(text).map_err(|error| format!("invalid path {text:?}: {error}"))?;
    Ok(cid.to_string())
}

struct Query(Vec<(String, String)>);

impl Query {
    fn parse(query: &str) -> Query {
        let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        Query(pairs.map(|(key, value)| (key.to_owned(), decoded(value))).collect())
    }

    fn get(&self, key: &str) -> &str {
        self.all(key).next().unwrap_or_default()
    }

    fn all(&self, key: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(of, _)| of == key).map(|(_, value)| value.as_str())
    }
}
