//! The commands of README.md and of the pages in docs/, as their readers type them, on a real Kubo: each ends as its page says.

use crate::kit::{Kit, Said, built, eventually, ipfs, said, skipped};
use crate::legacy::files::by_pandas;
use proto_msgs::daemon::StatusReport;
use proto_msgs::kubo::KuboState;
use proto_msgs::pin::Source;
use proto_msgs::snapshot::SnapshotNow;
use proto_msgs::vfs::VfsInfo;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

/// What readers pin: the empty identity block.
const CID: &str = "bafkqaaa";

/// A page, by its path.
fn page(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect("readable")
}

/// The commands in blocks for a shell, and those behind the prompt of a session, that are one of ours.
fn typed(page: &str) -> Vec<&str> {
    let (mut lines, mut block) = (Vec::new(), None);
    for line in page.lines() {
        block = match (block, line.strip_prefix("```")) {
            (None, kind) => kind,
            (Some(_), Some(_)) => None,
            (Some("sh"), None) => {
                lines.push(line);
                block
            }
            (Some("console"), None) => {
                lines.extend(line.strip_prefix("$ "));
                block
            }
            (other, None) => other,
        };
    }
    lines
}

/// Those of them that are for this program.
fn of_ours<'a>(lines: impl IntoIterator<Item = &'a str>) -> impl Iterator<Item = &'a str> {
    lines.into_iter().filter(|line| line.starts_with("ipfs-kitctl ") || line.starts_with("ipfs-kitd "))
}

/// Whoever reads a page, and has something else in the place of its examples.
struct Reader<'a> {
    kit: &'a Kit,
    instead: &'a [(&'a str, &'a str)],
}

impl Reader<'_> {
    /// In one pass: what is put in may hold any letters.
    fn filled(&self, mut rest: &str) -> String {
        let mut line = String::new();
        while let Some(first) = rest.chars().next() {
            let letter = &rest[..first.len_utf8()];
            let example = self.instead.iter().find(|(of, _)| rest.starts_with(of));
            let (of, here) = example.copied().unwrap_or((letter, letter));
            line.push_str(here);
            rest = &rest[of.len()..];
        }
        line
    }

    fn shell(&self, line: &str) -> Command {
        let line = self.filled(line);
        let mut shell = self.kit.ctl_command(&[]);
        let ctl: Vec<_> =
            shell.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect();
        shell = Command::new("/bin/sh");
        let beside = built("ipfs-kitctl").parent().expect("a directory").display().to_string();
        let path = std::env::var("PATH").expect("a PATH");
        shell.env_clear().envs(ctl).env("PATH", format!("{beside}:{path}"));
        shell.envs(std::env::var_os("LD_LIBRARY_PATH").map(|libraries| ("LD_LIBRARY_PATH", libraries)));
        shell.env("IPFS_KITD_DATA_DIR", self.kit.path("data")).env("IPFS_PATH", self.kit.repo());
        shell.current_dir(self.kit.path("")).args(["-c", &line]).stdin(Stdio::null());
        shell
    }

    /// Types it. A command that goes on does so until its first line has come.
    fn types(&self, line: &str) -> Said {
        let words = line.split(" #").next().unwrap_or_default();
        if !words.split(' ').any(|word| word == "-f" || word == "--watch") {
            return said(&mut self.shell(line));
        }
        let line = format!("exec {}", words.replace("ipfs-kitctl ", "ipfs-kitctl --timeout 60s "));
        let mut child = self.shell(&line).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut out = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut out).expect("UTF-8");
        child.kill().expect("our own");
        child.wait().expect("it ends");
        Said { code: (!out.is_empty()).then_some(0), out, err: String::new() }
    }

    /// Types it, and it ends with 0, or with what the page says behind it: `3 when Kubo isn't running`.
    fn follows(&self, line: &str) {
        let comment = line.split_once(" #").map_or("", |(_, comment)| comment);
        let words: Vec<&str> = comment.split(' ').collect();
        let other = words.windows(2).filter(|two| two[1] == "when").filter_map(|two| two[0].parse().ok());
        let codes: Vec<i32> = other.chain([0]).collect();
        let ran = self.types(line);
        assert!(ran.code.is_some_and(|code| codes.contains(&code)), "{line}: {ran:#?}\n{}", self.kit.log());
    }
}

fn here(kit: &Kit, name: &str) -> String {
    kit.path(name).display().to_string()
}

#[test]
fn the_session_of_the_readme_goes_as_it_is_shown() {
    let mut kit = Kit::real();
    kit.start_whole();
    let page = page("README.md");
    let (_, session) = page.split_once("\n## What it looks like\n").expect("a session");
    let shown = session.split_once("\n```\n").expect("its end").0;
    let cid = ipfs(&kit, &["add", "--quiet", "--pin=false"], b"an album").trim().to_owned();
    let of_page = shown.split_once("pin add ").and_then(|(_, rest)| rest.split(' ').next()).expect("a pin");
    let old = shown.split_once("$ kill -9 ").and_then(|(_, rest)| rest.lines().next()).expect("a kill");
    let pid = kit.status().kubo.pid.expect("a child").to_string();
    let reader = Reader { kit: &kit, instead: &[(of_page, &cid), (old, &pid)] };
    for line in typed(&format!("{shown}\n```\n")) {
        let ran = reader.types(line);
        assert_eq!(ran.code, Some(0), "{line}: {ran:#?}\n{}", kit.log());
        let (_, output) = shown.split_once(&format!("$ {line}\n")).expect("it is there");
        let output = output.split("\n\n$ ").next().unwrap_or_default();
        match line {
            "ipfs-kitctl status" => same_lines(output, &ran.out),
            "ipfs-kitctl doctor" => same_lines(output, &ran.out),
            "ipfs-kitctl pin ls" => {
                let header = |text: &str| text.split_whitespace().take(6).map(str::to_owned).collect::<Vec<_>>();
                assert_eq!(header(&ran.out), header(output));
            }
            _ => {}
        }
        if line.starts_with("kill") {
            let back = |status: &StatusReport| status.kubo.restarts == 1 && status.kubo.state == KuboState::Running;
            kit.until("back", |status| {
                back(status) && status.index.source == Source::Live && status.index.snapshot.is_some()
            });
        }
    }
    kit.ended();
}

/// Each line that the page shows is one that there is, but for numbers, sizes, times and places.
fn same_lines(shown: &str, there: &str) {
    let form = |line: &str| {
        let plain = |word: &str| !word.contains(|c: char| c.is_ascii_digit() || c == '/');
        // How soon the next snapshot comes is nobody's promise.
        line.trim_end_matches(", behind the index")
            .split_whitespace()
            .filter(|word| plain(word))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let there: Vec<String> = there.lines().map(form).collect();
    for line in shown.lines() {
        assert!(there.contains(&form(line)), "{line:?} is not among\n{}", there.join("\n"));
    }
}

#[test]
fn what_the_readme_pipes_into_the_socket_is_answered() {
    for tool in ["socat", "jq"] {
        if Command::new(tool).arg("-h").output().is_err() {
            return skipped("the one-liner of README.md", &format!("there is no {tool}"));
        }
    }
    let mut kit = Kit::real();
    kit.start_whole();
    assert_eq!(kit.ctl(&["pin", "add", CID, "--name", "album"]).code, Some(0));
    let page = page("README.md");
    let line = typed(&page).into_iter().find(|line| line.contains("socat")).expect("it is there");
    let of_page = line.split_once("\"cid\":\"").and_then(|(_, rest)| rest.split('"').next()).expect("a CID");
    let socket = kit.socket().display().to_string();
    let instead = [(of_page, CID), ("$XDG_RUNTIME_DIR/ipfs-kitd/ipfs-kitd.sock", &socket)];
    let ran = Reader { kit: &kit, instead: &instead }.types(line);
    let expected = format!("{{\"cid\":\"{CID}\",\"name\":\"album\",\"type\":\"recursive\"}}\n");
    assert_eq!((ran.code, ran.out), (Some(0), expected), "{}", ran.err);
}

/// With files of the system of before, where its pages look for them.
fn with_old_files() -> Kit {
    let kit = Kit::real();
    let old = kit.path("home/.ipfs_kit/pin_metadata");
    fs::create_dir_all(&old).expect("made");
    by_pandas(&old.join("pins.parquet"));
    fs::create_dir(kit.path("backups")).expect("made");
    kit
}

#[test]
fn the_commands_on_the_page_of_migrating_end_as_it_says() {
    let mut kit = with_old_files();
    kit.start_whole();
    let page = page("docs/MIGRATING.md");
    let backups = here(&kit, "backups");
    let reader = Reader { kit: &kit, instead: &[("/var/backups", &backups)] };
    for line in of_ours(typed(&page)) {
        match line {
            // It was removed a line above, which is what the page calls not found.
            "ipfs-kitctl pin info bafkqaaa" => assert_eq!(reader.types(line).code, Some(4)),
            line => reader.follows(line),
        }
        if line.contains("--detach") {
            eventually(|| kit.pins().iter().any(|pin| pin == CID), || "it is not pinned".to_owned());
        }
    }
    kit.ended();
}

#[test]
fn what_the_commands_of_before_are_called_here_there_is() {
    let mut kit = Kit::real();
    kit.start_whole();
    let page = page("docs/MIGRATING.md");
    let (_, table) = page.split_once("\n| before | here |\n|---|---|\n").expect("a table");
    let table = table.split("\n\n").next().unwrap_or_default();
    // In the column on the right the words between backticks.
    let right = table.lines().filter_map(|row| row.trim_end_matches('|').rsplit('|').next());
    let spans = right.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let nouns = [
        "pin",
        "metrics",
        "index",
        "snapshot",
        "state",
        "shutdown",
        "status",
        "kubo",
        "config",
        "doctor",
        "log",
        "events",
        "vfs",
        "analytics",
    ];
    let mut spans: Vec<&str> =
        spans.filter(|span| span.split(' ').next().is_some_and(|noun| nouns.contains(&noun))).collect();
    // What others need comes first, and what they can't do without last.
    let turn = |span: &&str| match *span {
        span if span.starts_with("pin add") => 0,
        span if span.starts_with("pin rm") => 2,
        span if span.starts_with("index restore") => 3,
        "kubo stop" => 4,
        "shutdown" => 5,
        _ => 1,
    };
    spans.sort_by_key(turn);
    spans.dedup();
    assert!(spans.len() > 30, "only {spans:?}");
    let file = here(&kit, "kitd.tar");
    let instead = [
        ("CID", CID),
        ("NAME", "holidays"),
        ("FILE", &file),
        ("PATH", "/"),
        ("N", "20"),
        ("L ", "info "),
        ("T ", "1h "),
    ];
    let reader = Reader { kit: &kit, instead: &instead };
    for span in spans {
        match span {
            // Named, and not written out.
            "pin tier" => reader.follows("ipfs-kitctl pin tier CID"),
            // A file that is there stays.
            "index backup FILE" if Path::new(&file).exists() => {}
            span => reader.follows(&format!("ipfs-kitctl {span}")),
        }
    }
    kit.ended();
}

#[test]
fn the_commands_on_the_page_of_operations_end_as_it_says() {
    let mut kit = Kit::real();
    kit.start_whole();
    let page = page("docs/OPERATIONS.md");
    // Nobody holds the repo once Kubo is stopped.
    let log = here(&kit, "access.log.1");
    fs::write(&log, "::1 - - [22/Nov/2026:05:40:00 +0000] \"GET /ipfs/bafkqaaa HTTP/1.1\" 200 0\n").expect("written");
    let instead = [
        ("ipfs-kitctl lock wait", "ipfs-kitctl kubo stop && ipfs-kitctl lock wait"),
        ("/var/log/nginx/access.log.2.gz", &log),
    ];
    let reader = Reader { kit: &kit, instead: &instead };
    // The socket of a service's second instance is tested with the units.
    of_ours(typed(&page)).filter(|line| !line.contains("--socket")).for_each(|line| reader.follows(line));
}

#[test]
fn the_commands_on_the_page_of_data_end_as_it_says() {
    let mut kit = with_old_files();
    kit.arg("--interval").arg("100ms").env("IPFS_KITD_BUSY_SHARE", "1.0");
    kit.start_whole();
    ipfs(&kit, &["files", "mkdir", "--parents", "/photos/2026"], b"");
    let info = || kit.try_call(VfsInfo { path: "/photos/2026".to_owned() });
    eventually(|| info().is_ok(), || format!("{:?}", info()));
    for name in ["holidays", "draft"] {
        let cid = ipfs(&kit, &["add", "--quiet", "--pin=false"], name.as_bytes());
        assert_eq!(kit.ctl(&["pin", "add", cid.trim(), "--name", name]).code, Some(0));
        assert_eq!(kit.ctl(&["pin", "tag", cid.trim(), &format!("+{name}")]).code, Some(0));
    }
    assert_eq!(kit.ctl(&["pin", "add", CID]).code, Some(0));
    kit.call(SnapshotNow { arrow: true });
    fs::write(kit.path("kept.sql"), "SELECT cid FROM pins").expect("written");
    fs::write(kit.path("accesses.ndjson"), format!("{{\"cid\":\"{CID}\",\"op\":\"cat\"}}\n")).expect("written");
    let page = page("docs/DATA.md");
    let (data, backups) = (here(&kit, "data"), here(&kit, "backups"));
    let instead = [
        ("<CID>", CID),
        ("bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi", CID),
        ("pin diff 1200 1234", "pin diff 1 2"),
        ("/mnt/old/ipfs-kitd", &data),
        ("/srv/backup", &backups),
    ];
    let reader = Reader { kit: &kit, instead: &instead };
    for line in of_ours(typed(&page)) {
        let tool = ["jq", "python3"].into_iter().find(|tool| line.contains(&format!("| {tool} ")));
        let missing = match tool {
            Some("python3") => {
                Command::new("python3").args(["-c", "import pyarrow"]).output().is_ok_and(|ran| !ran.status.success())
            }
            tool => tool.is_some_and(|tool| Command::new(tool).arg("--version").output().is_err()),
        };
        match tool.filter(|_| missing) {
            Some(tool) => skipped(line, &format!("there is no {tool} for it")),
            None => reader.follows(line),
        }
    }
}
