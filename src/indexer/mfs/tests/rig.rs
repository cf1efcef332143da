//! A Kubo whose MFS is a tree in memory, and the lane with a real index.

use super::*;
use crate::config::Flags;
use crate::index::actor::IndexArgs;
use crate::index::apply::{BeginListing, Unchanged};
use crate::index::store::Store;
use crate::index::vfs::{Found, read as vfs};
use crate::kubo::address::Address;
use crate::supervisor::Life;
use clap::Parser;
use kameo::actor::Spawn;
use proto_msgs::vfs::VfsOp;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::task::AbortOnDropHandle;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    File(u64),
    Dir(BTreeMap<String, Node>),
}

impl Node {
    pub(super) fn dir() -> Node {
        Node::Dir(BTreeMap::new())
    }

    pub(super) fn cid(&self) -> String {
        let mut hasher = Sha256::new();
        match self {
            Node::File(size) => hasher.update(format!("file {size}")),
            Node::Dir(entries) => entries.iter().for_each(|(name, node)| {
                hasher.update(format!("{name:?} {};", node.cid()));
            }),
        }
        let hash = ::cid::multihash::Multihash::<128>::wrap(0x12, &hasher.finalize()).expect("32 bytes");
        cid::text(&Cid::new_v1(0x70, hash))
    }

    /// The directory or file at a path, made with what is above it.
    pub(super) fn at(&mut self, path: &str) -> &mut Node {
        path.split('/').filter(|name| !name.is_empty()).fold(self, |node, name| {
            if let Node::File(_) = node {
                *node = Node::dir();
            }
            let Node::Dir(entries) = node else { unreachable!() };
            entries.entry(name.to_owned()).or_insert_with(Node::dir)
        })
    }

    pub(super) fn remove(&mut self, path: &str) {
        let (parent, name) = path.rsplit_once('/').expect("a path");
        if let Node::Dir(entries) = self.at(parent) {
            entries.remove(name);
        }
    }

    /// Path, CID and bytes of everything.
    pub(super) fn flat(&self, path: &str, into: &mut BTreeMap<String, (String, Option<u64>)>) {
        let shown = if path.is_empty() { "/" } else { path };
        let size = if let Node::File(size) = self { Some(*size) } else { None };
        into.insert(shown.to_owned(), (self.cid(), size));
        if let Node::Dir(entries) = self {
            entries.iter().for_each(|(name, node)| node.flat(&format!("{path}/{name}"), into));
        }
    }
}

#[derive(Default)]
pub(super) struct Kubo {
    pub(super) root: String,
    /// All that ever was.
    pub(super) blocks: HashMap<String, Node>,
    pub(super) missing: HashSet<String>,
    /// Listings of these end without their end.
    pub(super) cut: HashSet<String>,
    /// Entries that listings of these have beside what the tree says: a name and a CID.
    pub(super) also: HashMap<String, (String, String)>,
    /// What was asked for.
    pub(super) asked: Vec<String>,
    /// Then nothing is answered any more.
    pub(super) answers_left: Option<usize>,
}

impl Kubo {
    pub(super) fn set(&mut self, root: &Node) {
        self.root = root.cid();
        self.keep(root);
    }

    pub(super) fn keep(&mut self, node: &Node) {
        if self.blocks.insert(node.cid(), node.clone()).is_none()
            && let Node::Dir(entries) = node
        {
            entries.values().for_each(|node| self.keep(node));
        }
    }

    pub(super) fn stat(&self, cid: &str) -> Result<String, String> {
        let node = self.blocks.get(cid).filter(|_| !self.missing.contains(cid));
        let (kind, size) = match node {
            None => return Err(format!("block was not found locally (offline): ipld: could not find {cid}")),
            Some(Node::File(size)) => ("file", *size),
            Some(Node::Dir(_)) => ("directory", 0),
        };
        let stat = serde_json::json!({"Hash": cid, "Type": kind, "Size": size, "CumulativeSize": size, "Blocks": 0});
        Ok(stat.to_string())
    }

    /// Lines, and how it ends; or why there is nothing.
    pub(super) fn ls(&self, cid: &str, measured: bool) -> Result<(String, Option<String>), String> {
        self.stat(cid)?;
        let Node::Dir(entries) = &self.blocks[cid] else { return Err("not a directory".to_owned()) };
        let line = |name: &str, child: &str, kind: u8, size: u64| {
            let link = serde_json::json!({"Name": name, "Hash": child, "Type": kind, "Size": size});
            format!("{}\n", serde_json::json!({"Objects": [{"Hash": cid, "Links": [link]}]}))
        };
        let mut lines = String::new();
        for (name, node) in entries {
            let child = node.cid();
            if measured && let Err(error) = self.stat(&child) {
                return Ok((lines, Some(error)));
            }
            lines += &match node {
                _ if !measured => line(name, &child, 0, 0),
                Node::File(size) => line(name, &child, 2, *size),
                Node::Dir(_) => line(name, &child, 1, 0),
            };
        }
        lines.extend(self.also.get(cid).map(|(name, child)| line(name, child, 1, 0)));
        Ok((lines, None))
    }

    pub(super) fn answer(&mut self, target: &str) -> Vec<u8> {
        let (call, query) = target.split_once('?').unwrap_or((target, ""));
        let words: HashMap<&str, &str> = query.split('&').filter_map(|word| word.split_once('=')).collect();
        let arg = words.get("arg").copied().unwrap_or_default();
        let reply = match call {
            "id" => Ok((r#"{"ID":"peer-a"}"#.to_owned(), None)),
            "files/stat" if arg == "/" => self.stat(&self.root).map(|stat| (stat, None)),
            "files/stat" => self.stat(arg.trim_start_matches("%2Fipfs%2F")).map(|stat| (stat, None)),
            _ => self.ls(arg, words.get("resolve-type") == Some(&"true")),
        };
        match reply {
            Err(message) => {
                let body = serde_json::json!({"Message": message, "Code": 0, "Type": "error"}).to_string();
                format!("HTTP/1.1 500 Error\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
            }
            Ok((body, late)) => {
                let mut text =
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Stream-Error\r\n\r\n".to_owned();
                if !body.is_empty() {
                    text += &format!("{:x}\r\n{body}\r\n", body.len());
                }
                if call == "ls" && self.cut.contains(arg) {
                    return text.into_bytes();
                }
                text += "0\r\n";
                if let Some(late) = late {
                    text += &format!("X-Stream-Error: {late}\r\n");
                }
                (text + "\r\n").into_bytes()
            }
        }
    }
}

pub(super) async fn serve(kubo: Arc<Mutex<Kubo>>, mut stream: UnixStream) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut piece = [0; 2048];
    while !request.ends_with(b"\r\n\r\n") {
        let n = stream.read(&mut piece).await?;
        request.extend_from_slice(&piece[..n]);
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let target = request.split(' ').nth(1).and_then(|path| path.strip_prefix("/api/v0/")).expect("a call").to_owned();
    let answer = {
        let mut kubo = kubo.lock().expect("not poisoned");
        kubo.asked.push(target.clone());
        match &mut kubo.answers_left {
            Some(0) => None,
            left => {
                left.iter_mut().for_each(|left| *left -= 1);
                Some(kubo.answer(&target))
            }
        }
    };
    match answer {
        Some(answer) => stream.write_all(&answer).await,
        None => std::future::pending().await,
    }
}

pub(super) struct Rig {
    pub(super) kubo: Arc<Mutex<Kubo>>,
    pub(super) rpc: Rpc,
    pub(super) lane: Lane,
    pub(super) memory: Memory,
    pub(super) store: Store,
    _serving: AbortOnDropHandle<()>,
    _dir: tempfile::TempDir,
}

impl Rig {
    pub(super) async fn new() -> Rig {
        Rig::of("peer-a").await
    }

    /// With the index of this node.
    pub(super) async fn of(peer_id: &str) -> Rig {
        let dir = tempfile::tempdir().expect("a temp dir");
        let kubo = Arc::new(Mutex::new(Kubo::default()));
        let socket = dir.path().join("s");
        let listener = UnixListener::bind(&socket).expect("bound");
        let serves = kubo.clone();
        let serving = AbortOnDropHandle::new(tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(serves.clone(), stream));
            }
        }));
        let flags = Flags::parse_from(["ipfs-kitd", "--data-dir", "/d", "--runtime-dir", "/r", "--ipfs-path", "/i"]);
        let config = Arc::new(Config::load(&flags).expect("a configuration"));
        let store =
            Store::open(dir.path(), &dir.path().join("journal"), &dir.path().join("snapshots")).expect("an index");
        let board = Arc::new(Board::new(crate::kubo::memory::before_start(&config), store.state()));
        let index = IndexArgs { life: Life::new("index", &board), board: board.clone(), store: store.clone() };
        let config = watch::Sender::new(config).subscribe();
        let life = Life::new("enricher", &board);
        let lane = Lane { life, board, config, index: Index::spawn(index), most: MOST };
        let (token, _) = ask(&lane.index, BeginListing).await.expect("a listing");
        let listed = Unchanged { token, as_of: Timestamp::now(), peer_id: peer_id.to_owned() };
        ask(&lane.index, listed).await.expect("noted");
        let rpc = Rpc::new(Address::Unix(socket));
        Rig { kubo, rpc, lane, memory: Memory::default(), store, _serving: serving, _dir: dir }
    }

    pub(super) fn kubo(&self) -> std::sync::MutexGuard<'_, Kubo> {
        self.kubo.lock().expect("not poisoned")
    }

    /// Sets the tree and looks; what was asked of Kubo.
    pub(super) async fn look(&mut self, root: &Node) -> Vec<String> {
        self.kubo().set(root);
        self.kubo().asked.clear();
        look(&self.lane, &self.rpc, &mut self.memory).await.expect("a look");
        std::mem::take(&mut self.kubo().asked)
    }

    /// A look of which nothing is left after so many answers but what it has written.
    pub(super) async fn crash(&mut self, root: &Node, answers: usize) {
        self.kubo().set(root);
        self.kubo().answers_left = Some(answers);
        self.kubo().asked.clear();
        let looked = {
            let mut memory = Memory::default();
            let look = look(&self.lane, &self.rpc, &mut memory);
            // Every batch of the index has been written by the time that Kubo is asked in vain.
            let dry = async {
                while self.kubo().asked.len() <= answers {
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! { looked = look => looked.is_ok(), () = dry => false }
        };
        self.kubo().answers_left = None;
        if !looked {
            self.memory = Memory::default();
        }
    }

    pub(super) async fn rows(&self) -> Vec<Found> {
        let walk = self.store.read(|connection| {
            let mut rows: Vec<Found> = vfs::entry(connection, &Place::root())?.into_iter().collect();
            let mut at = 0;
            while at < rows.len() {
                let path = rows[at].place.path();
                rows.extend(vfs::children(connection, &path, None, 1_000_000)?);
                at += 1;
            }
            assert_eq!(rows.len() as u64, vfs::counts(connection)?.entries, "no row is without a directory");
            Ok(rows)
        });
        walk.await.expect("rows")
    }

    pub(super) async fn flat(&self) -> BTreeMap<String, (String, Option<u64>)> {
        let rows = self.rows().await;
        let count = rows.len();
        let flat: BTreeMap<_, _> =
            rows.into_iter().map(|row| (row.place.path(), (cid::text(&row.put.cid), row.put.size))).collect();
        assert_eq!(flat.len(), count, "no path twice");
        flat
    }

    pub(super) async fn assert_equals(&self, root: &Node) {
        let mut model = BTreeMap::new();
        root.flat("", &mut model);
        assert_eq!(self.flat().await, model);
        assert!(self.rows().await.iter().all(|row| row.put.state == State::Whole));
        let replayed = self.replayed().await;
        assert_eq!(replayed, model.into_iter().map(|(path, (cid, _))| (path, cid)).collect());
    }

    pub(super) async fn told(&self) -> Vec<(VfsOp, String)> {
        let (told, _) = self.store.read(|connection| vfs::journal(connection, 0, 1_000_000)).await.expect("a journal");
        told.into_iter().map(|told| (told.op, told.path)).collect()
    }

    /// The tree as somebody has it who knows nothing but the journal, and what each CID is.
    pub(super) async fn replayed(&self) -> BTreeMap<String, String> {
        let (told, _) = self.store.read(|connection| vfs::journal(connection, 0, 1_000_000)).await.expect("a journal");
        let mut paths: BTreeMap<String, String> = BTreeMap::new();
        let blocks = &self.kubo().blocks;
        for told in told {
            let node = |cid: &Option<Cid>| cid.as_ref().map(|cid| &blocks[&cid::text(cid)]);
            let (now, before) = (node(&told.cid), node(&told.before));
            let bare = told.path.trim_end_matches('/').to_owned();
            if let (VfsOp::Changed, Some(now @ Node::Dir(_)), Some(Node::Dir(_))) = (told.op, now, before) {
                paths.insert(told.path, now.cid());
                continue;
            }
            paths.retain(|path, _| *path != told.path && !path.starts_with(&format!("{bare}/")));
            let mut new = BTreeMap::new();
            now.inspect(|node| node.flat(&bare, &mut new));
            paths.extend(new.into_iter().map(|(path, (cid, _))| (path, cid)));
        }
        paths
    }
}

pub(super) fn listed(asked: &[String]) -> usize {
    asked.iter().filter(|call| call.starts_with("ls?")).count()
}

pub(super) fn tree(files: &[(&str, u64)]) -> Node {
    let mut root = Node::dir();
    for (path, size) in files {
        *root.at(path) = Node::File(*size);
    }
    root
}
