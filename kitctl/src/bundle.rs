//! `doctor --bundle`: what somebody else needs to find a fault, in one file without what is nobody's business. Every part that can be
//! had is in it, and for the others why not.

use crate::args::Global;
use crate::ask::Ask;
use crate::command::Offline;
use crate::daemon::counted;
use crate::exit::{self, Failure};
use crate::output::{Out, say};
use jiff::Timestamp;
use proto_msgs::ClientError;
use proto_msgs::daemon::{ConfigShow, IndexInfo, Setting, Status};
use proto_msgs::doctor::Doctor;
use proto_msgs::event::Events;
use proto_msgs::kubo::{KuboConfig, KuboLogs, KuboStatus};
use proto_msgs::lock::LockCheck;
use proto_msgs::log::Log;
use proto_msgs::mask::masked_urls;
use proto_msgs::snapshot::SnapshotLs;
use proto_msgs::verb::Verb;
use serde::Serialize;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use tar::{Builder, Header};

const ABOUT: &str = "\
What ipfs-kitctl doctor --bundle has gathered. Left out or masked: secrets (everything that a configuration calls a key, a secret, a
token, a password and the like; users and queries of URLs; the arguments of the hook and of Kubo), CIDs, names, tags and notes of pins, and
home directories. Still in it: the node's PeerID and addresses, paths outside home directories, Kubo's own words, and what the log quotes.
Read it before you pass it on.

";

/// A file of the bundle.
struct Part {
    name: &'static str,
    text: String,
}

/// Gathers everything and writes it to `file`, or to a new one here.
pub(crate) fn run(ask: &mut Ask, out: &mut Out, file: Option<PathBuf>) -> Result<u8, Failure> {
    let at = Timestamp::now();
    let file = file.unwrap_or_else(|| PathBuf::from(at.strftime("ipfs-kitd-%Y%m%dT%H%M%SZ.tar").to_string()));
    // Before anything is asked: nobody waits for what can't be kept. For its owner alone.
    let mut open = OpenOptions::new();
    let open = open.write(true).create_new(true).mode(0o600).open(&file);
    let cannot = |error: io::Error| Failure::File(file.clone(), error);
    let mut tar = Builder::new(open.map_err(cannot)?);
    let global = ask.global().clone();
    let Bundle { parts, missing, failure } = gather(ask, &global);
    let mut contents = format!("{ABOUT}Made {at}\n\n");
    for part in &parts {
        // Writing to a string does not fail.
        let _ = writeln!(contents, "{:20} {} bytes", part.name, part.text.len());
    }
    for (name, why) in &missing {
        let _ = writeln!(contents, "{name:20} is missing: {}", masked(why, home().as_deref()));
    }
    if !missing.is_empty() {
        let are = if missing.len() == 1 { "is" } else { "are" };
        say(&format!("{} {are} missing; CONTENTS says why", counted(missing.len() as u64, "part")));
    }
    let written = entry(&mut tar, "CONTENTS", &contents, at)
        .and_then(|()| parts.iter().try_for_each(|part| entry(&mut tar, part.name, &part.text, at)))
        .and_then(|()| tar.into_inner()?.sync_all());
    written.map_err(cannot)?;
    out.line(file.display().to_string())?;
    // Nothing of the daemon is in it: whoever waits for the exit code is to know.
    failure.map_or(Ok(exit::OK), Err)
}

type Missing = Vec<(&'static str, String)>;

fn gather(ask: &mut Ask, global: &Global) -> Bundle {
    let parts = vec![Part { name: "versions.txt", text: versions() }];
    let mut bundle = Bundle { parts, missing: Vec::new(), failure: None };
    bundle.answer(ask, "status.json", Status {});
    let doctor = bundle.ask(ask, Doctor {}).map(|mut report| {
        // It is the hook with all of its arguments.
        report.findings.iter_mut().filter(|found| found.cause == "hook_failed").for_each(|found| found.command = None);
        report
    });
    bundle.add("doctor.json", doctor);
    let config = bundle.ask(ask, ConfigShow {}).map(|mut report| {
        report.settings.iter_mut().for_each(without_arguments);
        report
    });
    bundle.add("config.json", config);
    bundle.answer(ask, "index.json", IndexInfo {});
    bundle.answer(ask, "kubo.json", KuboStatus {});
    bundle.answer(ask, "kubo-config.json", KuboConfig {});
    bundle.answer(ask, "locks.json", LockCheck {});
    bundle.answer(ask, "events.json", Events::default());
    bundle.answer(ask, "kubo-logs.json", KuboLogs { lines: Some(2000), ..KuboLogs::default() });
    let log = bundle.ask(ask, Log { lines: Some(2000), ..Log::default() }).map(|mut page| {
        // Who has asked for what names pins.
        page.lines.retain(|line| line.target != "audit");
        page
    });
    bundle.add("log.json", log);
    if bundle.parts.len() > 1 {
        bundle.answer(ask, "snapshots.json", SnapshotLs {});
        bundle.failure = None;
    } else {
        let mut offline = global.clone();
        offline.offline = true;
        bundle.answer(&mut Ask::new(offline, Some(Offline::Files)), "snapshots.json", SnapshotLs {});
    }
    bundle
}

/// Secrets are given to programs so. Of the hook its program stays.
fn without_arguments(setting: &mut Setting) {
    let programs = match setting.key.as_str() {
        "hook" => 1,
        "kubo_args" => 0,
        _ => return,
    };
    setting.value = match serde_json::from_str::<Vec<String>>(&setting.value) {
        Ok(words) if words.len() <= programs => return,
        Ok(words) => {
            let arguments = format!("… {}", counted((words.len() - programs) as u64, "argument"));
            words.into_iter().take(programs).chain([arguments]).collect::<Vec<_>>().join(" ")
        }
        // TOML has more ways to quote a text than JSON.
        Err(_) => "…".to_owned(),
    };
}

struct Bundle {
    parts: Vec<Part>,
    missing: Missing,
    /// Why the daemon has answered nothing so far: the first one.
    failure: Option<Failure>,
}

impl Bundle {
    fn ask<V: Verb>(&self, ask: &mut Ask, verb: V) -> Result<V::Reply, Failure> {
        let answer = ask.call(verb);
        if answer.as_ref().is_err_and(|failure| !matches!(failure, Failure::Client(ClientError::Fault(_)))) {
            ask.hang_up();
        }
        answer
    }

    fn answer<V: Verb<Reply: Serialize>>(&mut self, ask: &mut Ask, name: &'static str, verb: V) {
        let answer = self.ask(ask, verb);
        self.add(name, answer);
    }

    fn add<T: Serialize>(&mut self, name: &'static str, answer: Result<T, Failure>) {
        match answer {
            Ok(reply) => {
                let text = serde_json::to_string_pretty(&reply).unwrap_or_default() + "\n";
                self.parts.push(Part { name, text: masked(&text, home().as_deref()) });
            }
            Err(failure) => {
                let why = failure.to_string().replace('\n', " ");
                self.missing.push((name, why.trim_start_matches("error: ").to_owned()));
                self.failure.get_or_insert(failure);
            }
        }
    }
}

/// Of this program and the machine.
fn versions() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let os = read("/etc/os-release");
    let os = os.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).unwrap_or("unknown");
    let (kernel, machine) = (read("/proc/sys/kernel/osrelease"), std::env::consts::ARCH);
    let (program, schema) = (env!("CARGO_PKG_VERSION"), proto_msgs::SCHEMA_HASH.trim());
    format!("ipfs-kitctl {program}\nschema {schema}\nsystem {os}\nkernel {} {machine}\n", kernel.trim())
}

fn home() -> Option<String> {
    std::env::var("HOME").ok().filter(|home| home.len() > 1)
}

/// Without CIDs, home directories and what URLs have of secrets.
fn masked(text: &str, home: Option<&str>) -> String {
    let text = without_users(&masked_urls(text));
    let text = home.map_or_else(|| text.clone(), |home| text.replace(home, "~"));
    let mut masked = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(begin) = rest.find(|c: char| c.is_ascii_alphanumeric()) {
        let (before, word) = rest.split_at(begin);
        let (word, after) = word.split_at(word.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(word.len()));
        masked.push_str(before);
        masked.push_str(if is_cid(word) { "<cid>" } else { word });
        rest = after;
    }
    masked + rest
}

/// `/home/…` in the place of each home there.
fn without_users(text: &str) -> String {
    let mut homes = text.split("/home/");
    let mut masked = homes.next().unwrap_or_default().to_owned();
    for home in homes {
        let end = home.find(|c: char| c.is_whitespace() || c == '/' || c == '"').unwrap_or(home.len());
        // In the text of JSON they belong to the quote.
        let name = home[..end].trim_end_matches('\\');
        masked.push_str(if name.is_empty() { "/home/" } else { "/home/…" });
        masked.push_str(&home[name.len()..]);
    }
    masked
}

/// Whether a word looks like a CID, in the forms that Kubo prints.
fn is_cid(word: &str) -> bool {
    let base58 = || word.bytes().all(|b| b.is_ascii_alphanumeric() && !b"0OIl".contains(&b));
    let base32 = || word.bytes().all(|b| b.is_ascii_lowercase() || (b'2'..=b'7').contains(&b));
    match word.as_bytes() {
        [b'Q', b'm', ..] => word.len() == 46 && base58(),
        [b'b', b'a', b'f', b'k' | b'y', ..] if word.len() >= 8 => base32(),
        [b'b', ..] => word.len() > 40 && base32(),
        [b'z', ..] => word.len() >= 46 && base58(),
        [b'f', b'0', b'1', ..] => word.len() >= 40 && word.bytes().all(|b| b.is_ascii_hexdigit()),
        _ => false,
    }
}

/// Adds a file, for its owner alone.
fn entry(tar: &mut Builder<File>, name: &str, text: &str, at: Timestamp) -> io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_size(text.len() as u64);
    header.set_mode(0o600);
    header.set_mtime(u64::try_from(at.as_second()).unwrap_or(0));
    tar.append_data(&mut header, name, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cids_and_homes_are_masked_and_nothing_else() {
        let text = "pin QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPBdG, \"bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi\" \
                    bafkqaaa /home/alice/repo /srv/me/x 12D3KooWPeer backup baffling z";
        let expected = "pin <cid>, \"<cid>\" <cid> /home/…/repo ~/x 12D3KooWPeer backup baffling z";
        assert_eq!(masked(text, Some("/srv/me")), expected);
        let text = r#""/home/jean-luc.p/x" "in /home/élodie" \"/home/jo\" https://u:p@h/x?k=1 /home/"#;
        let expected = r#""/home/…/x" "in /home/…" \"/home/…\" https://***@h/x?*** /home/"#;
        assert_eq!(masked(text, Some("/home/jean")), expected);
    }

    #[test]
    fn of_a_hook_and_of_kubos_arguments_only_their_number_is_told() {
        let shown = |key: &str, value: &str| {
            let mut setting = Setting { key: key.to_owned(), value: value.to_owned(), source: "default".to_owned() };
            without_arguments(&mut setting);
            setting.value
        };
        assert_eq!(shown("hook", r#"["/bin/h", "--token", "hunter2"]"#), "/bin/h … 2 arguments");
        assert_eq!(shown("kubo_args", r#"["hunter2"]"#), "… 1 argument");
        assert_eq!(shown("hook", "['hunter2']"), "…");
        assert_eq!(shown("hook", "[]"), "[]");
        assert_eq!(shown("init_profiles", r#"["server"]"#), r#"["server"]"#);
    }
}
