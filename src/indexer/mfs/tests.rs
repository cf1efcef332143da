//! The lane of MFS against the real index and a Kubo whose MFS is a tree in memory.

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
use proptest::prelude::*;
use proto_msgs::vfs::VfsOp;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::task::AbortOnDropHandle;

#[derive(Clone, Debug, PartialEq)]
enum Node {
    File(u64),
    Dir(BTreeMap<String, Node>),
}

impl Node {
    fn dir() -> Node {
        Node::Dir(BTreeMap::new())
    }

    fn cid(&self) -> String {
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
    fn at(&mut self, path: &str) -> &mut Node {
        path.split('/').filter(|name| !name.is_empty()).fold(self, |node, name| {
            if let Node::File(_) = node {
                *node = Node::dir();
            }
            let Node::Dir(entries) = node else { unreachable!() };
            entries.entry(name.to_owned()).or_insert_with(Node::dir)
        })
    }

    fn remove(&mut self, path: &str) {
        let (parent, name) = path.rsplit_once('/').expect("a path");
        if let Node::Dir(entries) = self.at(parent) {
            entries.remove(name);
        }
    }

    /// Path, CID and bytes of everything.
    fn flat(&self, path: &str, into: &mut BTreeMap<String, (String, Option<u64>)>) {
        let shown = if path.is_empty() { "/" } else { path };
        let size = if let Node::File(size) = self { Some(*size) } else { None };
        into.insert(shown.to_owned(), (self.cid(), size));
        if let Node::Dir(entries) = self {
            entries.iter().for_each(|(name, node)| node.flat(&format!("{path}/{name}"), into));
        }
    }
}

#[derive(Default)]
struct Kubo {
    root: String,
    /// All that ever was.
    blocks: HashMap<String, Node>,
    missing: HashSet<String>,
    /// Listings of these end without their end.
    cut: HashSet<String>,
    /// Entries that listings of these have beside what the tree says: a name and a CID.
    also: HashMap<String, (String, String)>,
    /// What was asked for.
    asked: Vec<String>,
    /// Then nothing is answered any more.
    answers_left: Option<usize>,
}

impl Kubo {
    fn set(&mut self, root: &Node) {
        self.root = root.cid();
        self.keep(root);
    }

    fn keep(&mut self, node: &Node) {
        if self.blocks.insert(node.cid(), node.clone()).is_none()
            && let Node::Dir(entries) = node
        {
            entries.values().for_each(|node| self.keep(node));
        }
    }

    fn stat(&self, cid: &str) -> Result<String, String> {
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
    fn ls(&self, cid: &str, measured: bool) -> Result<(String, Option<String>), String> {
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

    fn answer(&mut self, target: &str) -> Vec<u8> {
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

async fn serve(kubo: Arc<Mutex<Kubo>>, mut stream: UnixStream) -> std::io::Result<()> {
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

struct Rig {
    kubo: Arc<Mutex<Kubo>>,
    rpc: Rpc,
    lane: Lane,
    memory: Memory,
    store: Store,
    _serving: AbortOnDropHandle<()>,
    _dir: tempfile::TempDir,
}

impl Rig {
    async fn new() -> Rig {
        Rig::of("peer-a").await
    }

    /// With the index of this node.
    async fn of(peer_id: &str) -> Rig {
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

    fn kubo(&self) -> std::sync::MutexGuard<'_, Kubo> {
        self.kubo.lock().expect("not poisoned")
    }

    /// Sets the tree and looks; what was asked of Kubo.
    async fn look(&mut self, root: &Node) -> Vec<String> {
        self.kubo().set(root);
        self.kubo().asked.clear();
        look(&self.lane, &self.rpc, &mut self.memory).await.expect("a look");
        std::mem::take(&mut self.kubo().asked)
    }

    /// A look of which nothing is left after so many answers but what it has written.
    async fn crash(&mut self, root: &Node, answers: usize) {
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

    async fn rows(&self) -> Vec<Found> {
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

    async fn flat(&self) -> BTreeMap<String, (String, Option<u64>)> {
        let rows = self.rows().await;
        let count = rows.len();
        let flat: BTreeMap<_, _> =
            rows.into_iter().map(|row| (row.place.path(), (cid::text(&row.put.cid), row.put.size))).collect();
        assert_eq!(flat.len(), count, "no path twice");
        flat
    }

    async fn assert_equals(&self, root: &Node) {
        let mut model = BTreeMap::new();
        root.flat("", &mut model);
        assert_eq!(self.flat().await, model);
        assert!(self.rows().await.iter().all(|row| row.put.state == State::Whole));
        let replayed = self.replayed().await;
        assert_eq!(replayed, model.into_iter().map(|(path, (cid, _))| (path, cid)).collect());
    }

    async fn told(&self) -> Vec<(VfsOp, String)> {
        let (told, _) = self.store.read(|connection| vfs::journal(connection, 0, 1_000_000)).await.expect("a journal");
        told.into_iter().map(|told| (told.op, told.path)).collect()
    }

    /// The tree as somebody has it who knows nothing but the journal, and what each CID is.
    async fn replayed(&self) -> BTreeMap<String, String> {
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

fn listed(asked: &[String]) -> usize {
    asked.iter().filter(|call| call.starts_with("ls?")).count()
}

fn tree(files: &[(&str, u64)]) -> Node {
    let mut root = Node::dir();
    for (path, size) in files {
        *root.at(path) = Node::File(*size);
    }
    root
}

#[tokio::test]
async fn an_unchanged_root_is_one_question_and_no_write() {
    let mut rig = Rig::new().await;
    let root = tree(&[("/a/b/f", 1), ("/a/g", 2), ("/h", 3)]);
    rig.look(&root).await;
    rig.assert_equals(&root).await;
    let state = rig.lane.board.mfs.borrow().clone();
    assert_eq!((state.entries, state.unread, state.whole), (6, 0, true));
    assert_eq!(rig.look(&root).await, ["files/stat?arg=/"]);
    assert!(rig.lane.board.mfs.borrow().as_of > state.as_of, "which moves the time");
    // Another process finds it whole, too, and lists nothing.
    rig.memory = Memory::default();
    assert_eq!(listed(&rig.look(&root).await), 0);
}

#[tokio::test]
async fn only_directories_that_have_changed_are_listed_and_only_new_entries_are_measured() {
    let mut rig = Rig::new().await;
    let mut root = Node::dir();
    for dir in 0..20 {
        for file in 0..50 {
            *root.at(&format!("/d{dir}/f{file}")) = Node::File(file);
        }
    }
    assert_eq!(listed(&rig.look(&root).await), 21);
    *root.at("/d7/new") = Node::File(99);
    let asked = rig.look(&root).await;
    assert_eq!(listed(&asked), 2, "the root and /d7: {asked:?}");
    // The root's new entry is /d7 itself.
    assert_eq!(asked.iter().filter(|call| call.starts_with("files/stat?arg=%2Fipfs%2F")).count(), 2);
    rig.assert_equals(&root).await;
    let told = rig.told().await;
    assert_eq!(told[0], (VfsOp::Added, "/".to_owned()), "the first walk is one line");
    let last: BTreeSet<_> = told[1..].iter().map(|(op, path)| (op.name(), path.as_str())).collect();
    assert_eq!(last, [("added", "/d7/new"), ("changed", "/"), ("changed", "/d7")].into());
}

#[tokio::test]
async fn what_comes_and_goes_with_a_directory_is_one_line_of_the_journal() {
    let mut rig = Rig::new().await;
    let mut root = tree(&[("/a/b/f", 1), ("/a/b/g", 2), ("/ab/f", 3), ("/a!/f", 4), ("/a0/f", 5)]);
    rig.look(&root).await;
    *root.at("/c") = root.at("/a").clone();
    root.remove("/a");
    rig.look(&root).await;
    rig.assert_equals(&root).await;
    let told: BTreeSet<_> = rig.told().await.split_off(1).into_iter().map(|(op, path)| (op.name(), path)).collect();
    assert_eq!(told, [("added", "/c"), ("changed", "/"), ("removed", "/a")].map(|(op, p)| (op, p.to_owned())).into());
    *root.at("/c") = Node::File(1);
    rig.look(&root).await;
    rig.assert_equals(&root).await;
}

#[tokio::test]
async fn an_entry_whose_block_is_not_here_is_shown_without_measures_and_hides_no_other() {
    let mut rig = Rig::new().await;
    let mut root = tree(&[("/a/f", 1), ("/a/gone", 2), ("/a/z", 3), ("/b/f", 4), ("/c/f", 5)]);
    let (file, dir) = (Node::File(2).cid(), root.at("/b").cid());
    rig.kubo().missing.extend([file.clone(), dir.clone()]);
    rig.look(&root).await;
    let rows = rig.rows().await;
    let row = |path: &str| rows.iter().find(|row| row.place.path() == path).map(|row| row.put.clone()).expect(path);
    assert_eq!((row("/a/gone").kind, row("/a/gone").state), (None, State::Unread));
    assert_eq!((row("/b").kind, row("/b").state), (None, State::Unread));
    assert_eq!((row("/a").state, row("/a/z").size, row("/c/f").size), (State::Whole, Some(3), Some(5)));
    assert_eq!(rig.lane.board.mfs.borrow().unread, 2);
    // They are back, and looked for when it is time for that.
    rig.kubo().missing.clear();
    assert_eq!(rig.look(&root).await.len(), 1, "not at once");
    rig.memory.again = None;
    rig.look(&root).await;
    rig.assert_equals(&root).await;
    assert_eq!(rig.lane.board.mfs.borrow().unread, 0);
}

#[tokio::test]
async fn a_listing_that_is_cut_removes_nothing_and_after_three_times_holds_the_rest_up_no_longer() {
    let mut rig = Rig::new().await;
    let mut root = tree(&[("/a/f", 1), ("/a/g", 2), ("/b/f", 3)]);
    rig.look(&root).await;
    let before = rig.flat().await;
    root.remove("/a/f");
    root.remove("/b/f");
    *root.at("/b/new") = Node::File(4);
    let cut = root.at("/a").cid();
    rig.kubo().set(&root);
    rig.kubo().cut.insert(cut);
    for _ in 0..2 {
        assert!(look(&rig.lane, &rig.rpc, &mut rig.memory).await.is_err());
        assert!(rig.flat().await.contains_key("/a/f"), "it came without its end");
        assert!(!rig.lane.board.mfs.borrow().whole);
    }
    rig.look(&root).await;
    let flat = rig.flat().await;
    assert!(flat.contains_key("/a") && !flat.contains_key("/a/g") && flat.contains_key("/b/new"), "{flat:?}");
    assert_eq!(rig.lane.board.mfs.borrow().unread, 1);
    assert!(rig.told().await.contains(&(VfsOp::Unread, "/a".to_owned())));
    rig.kubo().cut.clear();
    rig.memory.again = None;
    rig.look(&root).await;
    rig.assert_equals(&root).await;
    assert_ne!(rig.flat().await, before);
}

#[tokio::test]
async fn a_directory_of_a_hundred_thousand_is_walked_and_one_new_file_in_it_is_one_change() {
    let mut rig = Rig::new().await;
    let entries = (0..100_000).map(|n| (format!("file {n}"), Node::File(n % 100))).collect();
    let mut root = Node::dir();
    *root.at("/big") = Node::Dir(entries);
    rig.look(&root).await;
    assert_eq!(rig.lane.board.mfs.borrow().entries, 100_002);
    *root.at("/big/one more") = Node::File(7);
    root.remove("/big/file 500");
    rig.look(&root).await;
    let told: BTreeSet<_> = rig.told().await.split_off(1).into_iter().map(|(op, path)| (op.name(), path)).collect();
    let expected = [("added", "/big/one more"), ("changed", "/"), ("changed", "/big"), ("removed", "/big/file 500")];
    assert_eq!(told, expected.map(|(op, path)| (op, path.to_owned())).into());
    assert_eq!(rig.lane.board.mfs.borrow().entries, 100_002);
}

#[tokio::test]
async fn directories_in_each_other_without_end_are_read_up_to_a_limit_and_hide_no_other() {
    let mut rig = Rig::new().await;
    rig.lane.most = 200;
    // Twelve blocks, and 4,096 paths to the file.
    let mut bomb = Node::File(1);
    for _ in 0..12 {
        bomb = Node::Dir([("a", bomb.clone()), ("b", bomb)].map(|(name, node)| (name.to_owned(), node)).into());
    }
    let mut root = Node::dir();
    *root.at("/bomb") = bomb;
    rig.look(&root).await;
    let state = rig.lane.board.mfs.borrow().clone();
    assert!((200..230).contains(&state.entries) && state.unread > 0, "{state:?}");
    assert!(rig.lane.board.last_error.borrow().as_ref().is_some_and(|error| error.detail.contains("more than 200")));
    root.remove("/bomb");
    *root.at("/a/file") = Node::File(1);
    rig.look(&root).await;
    rig.assert_equals(&root).await;
    assert_eq!(rig.lane.board.mfs.borrow().unread, 0);
}

#[tokio::test]
async fn of_two_entries_with_one_name_the_first_counts_and_a_strange_cid_spoils_its_directory_alone() {
    let mut rig = Rig::new().await;
    let mut root = tree(&[("/twice/x", 1), ("/strange/f", 2), ("/z/f", 3)]);
    let (twice, strange) = (root.at("/twice").cid(), root.at("/strange").cid());
    let other = tree(&[("/y", 1)]);
    rig.kubo().keep(&other);
    rig.kubo().also.insert(twice, ("x".to_owned(), other.cid()));
    rig.kubo().also.insert(strange, ("s".to_owned(), "bnocid".to_owned()));
    rig.kubo().set(&root);
    for _ in 0..2 {
        assert!(look(&rig.lane, &rig.rpc, &mut rig.memory).await.is_err());
    }
    rig.look(&root).await;
    let flat = rig.flat().await;
    assert_eq!(flat["/twice/x"], (Node::File(1).cid(), Some(1)));
    assert!(!flat.contains_key("/twice/x/y") && !flat.contains_key("/strange/f") && flat.contains_key("/z/f"));
    assert_eq!(rig.lane.board.mfs.borrow().unread, 1);
}

#[tokio::test]
async fn the_tree_of_another_node_is_not_taken() {
    let mut rig = Rig::of("peer-b").await;
    rig.kubo().set(&Node::dir());
    assert!(look(&rig.lane, &rig.rpc, &mut rig.memory).await.is_err());
    assert_eq!(rig.rows().await.len(), 0);
}

/// One change of a tree.
#[derive(Clone, Debug)]
enum Change {
    Write(String, u64),
    Mkdir(String),
    Remove(String),
    Copy(String, String),
    Look,
    /// A look that ends after so many answers.
    Crash(usize),
    /// A look while the blocks of this path are not here.
    Missing(String),
}

fn change() -> impl Strategy<Value = Change> {
    let path = || proptest::collection::vec("[ab!]", 1..4).prop_map(|names| format!("/{}", names.join("/")));
    prop_oneof![
        4 => (path(), 0..5_u64).prop_map(|(path, size)| Change::Write(path, size)),
        1 => path().prop_map(Change::Mkdir),
        2 => path().prop_map(Change::Remove),
        2 => (path(), path()).prop_map(|(from, to)| Change::Copy(from, to)),
        2 => Just(Change::Look),
        3 => (2..12_usize).prop_map(Change::Crash),
        1 => path().prop_map(Change::Missing),
    ]
}

/// Makes the changes with looks between them, then one more: index and journal equal the tree.
async fn follow(changes: Vec<Change>) {
    let mut rig = Rig::new().await;
    let mut root = Node::dir();
    for change in changes {
        match change {
            Change::Write(path, size) => *root.at(&path) = Node::File(size),
            Change::Mkdir(path) => drop(root.at(&path)),
            Change::Remove(path) => root.remove(&path),
            Change::Copy(from, to) => {
                let from = root.at(&from).clone();
                *root.at(&to) = from;
            }
            Change::Look => drop(rig.look(&root).await),
            Change::Crash(answers) => rig.crash(&root, answers).await,
            Change::Missing(path) => {
                let cid = root.at(&path).cid();
                if cid != root.cid() {
                    rig.kubo().missing.insert(cid);
                    rig.look(&root).await;
                    rig.kubo().missing.clear();
                }
                rig.memory.again = None;
            }
        }
    }
    rig.memory.again = None;
    rig.look(&root).await;
    rig.assert_equals(&root).await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_walk_that_ends_anywhere_goes_on_until_index_and_journal_equal_the_tree(
        changes in proptest::collection::vec(change(), 1..25)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(follow(changes));
    }
}

/// Found by the test above.
#[tokio::test]
async fn a_directory_that_was_missing_and_has_changed_by_the_time_it_is_there_is_told_as_new() {
    let path = |path: &str| path.to_owned();
    follow(vec![Change::Missing(path("/!")), Change::Copy(path("/!/a"), path("/a"))]).await;
}
