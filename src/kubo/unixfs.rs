//! The root of MFS, and what a directory holds, by its CID and from the blocks that Kubo has. Nothing here asks the network.

use super::content::MOST;
use super::lines::Lines;
use super::requests::OURS;
use super::rpc::{Connection, Rpc, RpcError, encoded, in_time, late_error, parse};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use proto_msgs::pin::ContentKind;
use serde::Deserialize;
use std::collections::VecDeque;
use std::time::Duration;

/// What was measured of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// A file, a directory, sharded or not, or something else, such as a symbolic link.
    pub kind: ContentKind,
    /// Bytes of a file; `None` where it says more than can be.
    pub size: Option<u64>,
}

impl Measured {
    const DIRECTORY: Measured = Measured { kind: ContentKind::Directory, size: None };
    const OTHER: Measured = Measured { kind: ContentKind::Other, size: None };

    fn file(size: u64) -> Measured {
        Measured { kind: ContentKind::File, size: Some(size).filter(|size| *size <= MOST) }
    }
}

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its name there.
    pub name: String,
    /// As Kubo prints it.
    pub cid: String,
    /// `None` when nobody looked.
    pub measured: Option<Measured>,
}

/// A directory as Kubo reads it, entry by entry; whole when [`Directory::next`] says that there is no more.
pub struct Directory {
    body: Incoming,
    _connection: Connection,
    lines: Lines,
    links: VecDeque<Link>,
}

impl Rpc {
    /// What this CID is; `None` when its block is not here, or Kubo does not understand it.
    pub async fn look_at(&self, cid: &str, deadline: Duration) -> Result<Option<Measured>, RpcError> {
        match self.root_stat(cid, deadline).await {
            Ok(stat) if stat.symlink => Ok(Some(Measured::OTHER)),
            Ok(stat) if stat.kind == ContentKind::Directory => Ok(Some(Measured::DIRECTORY)),
            Ok(stat) => Ok(Some(Measured::file(stat.size))),
            Err(error) if error.is_no_unixfs() => Ok(Some(Measured::OTHER)),
            Err(RpcError::Refused { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Begins to read a directory. With `measure` Kubo looks into each entry's block, and the answer ends in an error at the
    /// first one that is not here; without, only entries whose CID tells it are measured.
    pub async fn directory(&self, cid: &str, measure: bool, deadline: Duration) -> Result<Directory, RpcError> {
        // Marked, since others who ask for this read something.
        let call = format!(
            "ls?arg={}&stream=true&resolve-type={measure}&size={measure}&offline=true&{OURS}=true",
            encoded(cid)
        );
        let (body, connection) = in_time(deadline, self.begin(&call)).await?;
        Ok(Directory { body, _connection: connection, lines: Lines::default(), links: VecDeque::new() })
    }
}

impl Directory {
    /// The next entry, in no order; `None` after the last one, when the answer came whole. `deadline` is for one piece of it.
    pub async fn next(&mut self, deadline: Duration) -> Result<Option<Link>, RpcError> {
        loop {
            if let Some(link) = self.links.pop_front() {
                return Ok(Some(link));
            }
            match in_time(deadline, async { Ok(self.body.frame().await) }).await? {
                None if self.lines.last().is_some() => {
                    return Err(RpcError::Cut("the last line has no end".to_owned()));
                }
                None => return Ok(None),
                Some(frame) => match frame.map_err(|error| RpcError::Cut(error.to_string()))?.into_data() {
                    Ok(data) => self.lines.feed(&data, |line| {
                        self.links.extend(links(line)?);
                        Ok(())
                    })?,
                    Err(frame) => late_error(&frame.into_trailers().unwrap_or_default())?,
                },
            }
        }
    }
}

/// What one line of `ls` says.
fn links(line: &[u8]) -> Result<impl Iterator<Item = Link> + use<>, RpcError> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(rename = "Objects")]
        objects: Vec<Object>,
    }
    #[derive(Deserialize)]
    struct Object {
        #[serde(rename = "Links", default)]
        links: Option<Vec<Entry>>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Entry {
        name: String,
        hash: String,
        #[serde(default)]
        size: u64,
        /// UnixFS's own number of its kind; 0 when nobody looked.
        #[serde(default)]
        r#type: i32,
    }
    let answer: Answer = parse("ls", line)?;
    Ok(answer.objects.into_iter().filter_map(|object| object.links).flatten().map(|entry| Link {
        name: entry.name,
        cid: entry.hash,
        measured: match entry.r#type {
            0 => None,
            1 | 5 => Some(Measured::DIRECTORY),
            2 => Some(Measured::file(entry.size)),
            _ => Some(Measured::OTHER),
        },
    }))
}
