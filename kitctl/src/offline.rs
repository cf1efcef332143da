//! Answers without the daemon: a hidden mode of `ipfs-kitd` reads the newest good snapshot and answers over a socket pair, so that this
//! program needs neither DuckDB nor Parquet.

use crate::args::Format;
use crate::command::Offline;
use crate::exit::{self, Failure};
use crate::output::{ago, tame};
use crate::process::{self, cannot};
use proto_msgs::Client;
use proto_msgs::snapshot::SnapshotAt;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Stdio};

/// The first argument of that mode.
const MODE: &str = "__offline";

/// The process that answers. It ends with the connection, and with this process.
pub(crate) struct Reader(Child);

/// Starts it.
pub(crate) fn connect(named: Option<&Path>, what: Offline) -> Result<(Client, Reader), Failure> {
    let what = match what {
        Offline::Index => "index",
        Offline::Files => "files",
    };
    let (ours, theirs) = UnixStream::pair().map_err(|error| cannot("make a socket pair", &error))?;
    let child = process::daemon(|command| {
        command.arg(MODE).arg(what).args(named);
        command.stdin(OwnedFd::from(theirs.try_clone()?)).stdout(Stdio::null()).stderr(Stdio::piped());
        Ok(())
    })?;
    Ok((Client::over(ours), Reader(child)))
}

/// Says on stderr which snapshot answers, except beside a JSON document, which says so itself; and what is wrong with newer ones.
pub(crate) fn introduce(at: &SnapshotAt, format: Format) {
    let manifest = &at.manifest;
    let mut lines: Vec<String> =
        at.passed_over.iter().map(|reason| format!("warning: passed over: {}", tame(reason))).collect();
    if format != Format::Json {
        let as_of =
            manifest.as_of.as_deref().map_or_else(|| "of unknown age".to_owned(), |at| format!("as of {}", ago(at)));
        let dir = Path::new(&at.path).parent().unwrap_or(Path::new("")).display().to_string();
        let (name, generation) = (&manifest.name, manifest.generation);
        lines.push(format!("offline: snapshot {name}, generation {generation}, {as_of}, in {}", tame(&dir)));
    }
    for line in lines {
        // A warning that nobody reads is no failure.
        let _ = writeln!(io::stderr(), "{line}");
    }
}

impl Reader {
    /// Why it has ended.
    pub(crate) fn last_words(self) -> Failure {
        let output = match self.0.wait_with_output() {
            Ok(output) => output,
            Err(error) => return cannot("learn why the reader of snapshots ended", &error),
        };
        let said = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
        let code = output.status.code().and_then(|code| u8::try_from(code).ok());
        match code.filter(nothing_to_read) {
            Some(code) => Failure::Offline(code, said),
            None => {
                let why = if said.is_empty() { output.status.to_string() } else { said };
                Failure::Offline(exit::FAILED, format!("the reader of snapshots has ended: {why}"))
            }
        }
    }
}

/// Whether such an end says that there is no snapshot, or none that may be read.
pub(crate) fn nothing_to_read(code: &u8) -> bool {
    [exit::UNREACHABLE, exit::DENIED].contains(code)
}
