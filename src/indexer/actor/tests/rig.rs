//! What the tests of the indexer stand on: the real index, and a Kubo that answers `id` and `pin/ls` as the test wants it.

use super::super::*;
use crate::cid;
use crate::fault;
use crate::index::actor::IndexArgs;
use crate::index::store::Store;
use crate::kubo::rpc::Rpc;
use crate::supervisor::Supervisor;
use kameo::actor::Spawn;
use proto_msgs::pin::PinInfo;
use std::collections::BTreeMap;
use std::sync::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};

pub(super) const DEADLINE: Duration = Duration::from_secs(20);

/// Fails when something that must come soon does not come.
pub(super) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, what).await.expect("in time")
}

/// The CID of the raw block whose digest is all `n`.
pub(super) fn cid_of(n: u8) -> cid::Cid {
    cid::Cid::new_v1(0x55, ::cid::multihash::Multihash::<128>::wrap(0x12, &[n; 32]).expect("32 bytes"))
}

#[derive(Clone, Default)]
pub(super) struct Answers {
    /// Answered once each, then the last one for ever.
    pub(super) peers: Vec<&'static str>,
    pub(super) recursive: BTreeMap<String, String>,
    pub(super) direct: BTreeMap<String, String>,
    pub(super) cut: bool,
    /// Listings of recursive pins so far.
    listings: u64,
    /// CIDs whose pins were asked for singly.
    looked_up: u64,
}

impl Answers {
    /// In one of the forms that the indexer asks for; a stream is an array of its lines.
    fn pin_ls(&mut self, request: &str) -> serde_json::Value {
        let query = request.split(' ').nth(1).and_then(|path| path.strip_prefix("/api/v0/pin/ls?")).expect("pin/ls");
        let words: Vec<&str> = query.split('&').collect();
        let pin_type = words[0].strip_prefix("type=").expect("a type");
        let mut pins = if pin_type == "direct" { self.direct.clone() } else { self.recursive.clone() };
        let args: Vec<&str> = words.iter().filter_map(|word| word.strip_prefix("arg=")).collect();
        if args.is_empty() {
            self.listings += u64::from(pin_type == "recursive");
        } else {
            pins.retain(|cid, _| args.contains(&cid.as_str()));
            self.looked_up += args.len() as u64;
        }
        if !words.contains(&"names=true") {
            pins.values_mut().for_each(String::clear);
        }
        if words.contains(&"stream=true") {
            let line =
                |(cid, name): (&String, &String)| serde_json::json!({"Cid": cid, "Name": name, "Type": pin_type});
            return pins.iter().map(line).collect();
        }
        keys(pin_type, &pins)
    }
}

/// Kubo, as far as the indexer sees it.
pub(super) struct FakeKubo {
    answers: Mutex<Answers>,
    /// Listings are answered, with what they were to say when they were asked for, while this is true.
    pub(super) open: watch::Sender<bool>,
    /// Says that a listing was asked for.
    asked: mpsc::UnboundedSender<()>,
}

impl FakeKubo {
    pub(super) fn change(&self, change: impl FnOnce(&mut Answers)) {
        change(&mut self.answers.lock().expect("not poisoned"));
    }

    pub(super) fn pin(&self, n: u8, name: &str) {
        self.change(|a| drop(a.recursive.insert(cid::text(&cid_of(n)), name.to_owned())));
    }

    pub(super) fn unpin(&self, n: u8) {
        self.change(|a| drop(a.recursive.remove(&cid::text(&cid_of(n)))));
    }

    pub(super) fn listings(&self) -> u64 {
        self.answers.lock().expect("not poisoned").listings
    }

    pub(super) fn looked_up(&self) -> u64 {
        self.answers.lock().expect("not poisoned").looked_up
    }

    async fn answer(self: Arc<Self>, mut stream: UnixStream) -> std::io::Result<()> {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await?);
        }
        let request = String::from_utf8_lossy(&request).into_owned();
        let (body, cut) = {
            let mut answers = self.answers.lock().expect("not poisoned");
            let body = if request.starts_with("POST /api/v0/id ") {
                let peer = if answers.peers.len() > 1 { answers.peers.remove(0) } else { answers.peers[0] };
                serde_json::json!({"ID": peer, "AgentVersion": "fake"})
            } else {
                answers.pin_ls(&request)
            };
            let body = match body {
                serde_json::Value::Array(lines) => lines.iter().map(|line| format!("{line}\n")).collect(),
                body => body.to_string(),
            };
            (body, answers.cut)
        };
        if request.contains("type=recursive") && !request.contains("arg=") {
            let _ = self.asked.send(());
            let _ = self.open.subscribe().wait_for(|open| *open).await;
        }
        let length = body.len() + usize::from(cut);
        stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}").as_bytes()).await
    }
}

fn keys(pin_type: &str, pins: &BTreeMap<String, String>) -> serde_json::Value {
    if pins.is_empty() {
        return serde_json::json!({});
    }
    let keys: serde_json::Map<_, _> =
        pins.iter().map(|(cid, name)| (cid.clone(), serde_json::json!({"Type": pin_type, "Name": name}))).collect();
    serde_json::json!({ "Keys": keys })
}

pub(super) type Waiting = tokio::task::JoinHandle<Result<IndexRefreshed, Fault>>;

/// Everything that a test needs, in a place of its own.
pub(super) struct Rig {
    pub(super) kubo: Arc<FakeKubo>,
    asked: mpsc::UnboundedReceiver<()>,
    rpc: Rpc,
    pub(super) board: Arc<Board>,
    pub(super) index: ActorRef<Index>,
    pub(super) indexer: ActorRef<Indexer>,
    pub(super) config: watch::Sender<Arc<Config>>,
    pub(super) store: Store,
    _serving: AbortOnDropHandle<()>,
    _supervisor: ActorRef<Supervisor>,
    _dir: tempfile::TempDir,
}

impl Rig {
    /// Kubo is not there yet; no refresh comes by itself within the time of a test.
    pub(super) async fn new() -> Rig {
        let dir = tempfile::tempdir().expect("a temp dir");
        let (tell, asked) = mpsc::unbounded_channel();
        let answers = Answers { peers: vec!["peer-a"], ..Answers::default() };
        let kubo = Arc::new(FakeKubo { answers: Mutex::new(answers), open: watch::Sender::new(true), asked: tell });
        let socket = dir.path().join("rpc.sock");
        let listener = UnixListener::bind(&socket).expect("bound");
        let serves = kubo.clone();
        let serving = AbortOnDropHandle::new(tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serves.clone().answer(stream));
            }
        }));
        let config = watch::Sender::new(Arc::new(Config {
            data_dir: dir.path().to_owned(),
            runtime_dir: dir.path().to_owned(),
            ipfs_path: dir.path().join("ipfs"),
            kubo: "ipfs".into(),
            kubo_args: Vec::new(),
            init_profiles: Vec::new(),
            interval: Duration::from_secs(3600),
            busy_share: 0.2,
            size_share: 0.0,
            state_interval: Duration::ZERO,
            state_keep: Duration::from_secs(3600),
            history_keep: Duration::from_secs(3600),
            access: crate::config::Access::default(),
            stop_grace: DEADLINE,
            start_timeout: DEADLINE,
            hang_limit: DEADLINE,
            attach: None,
            api_auth_file: None,
            hook: Vec::new(),
            analytics: crate::config::Analytics::default(),
            snapshot: crate::config::Snapshot::default(),
            settings: Vec::new(),
        }));
        let store =
            Store::open(dir.path(), &dir.path().join("journal"), &dir.path().join("snapshots")).expect("an index");
        let report = crate::kubo::memory::before_start(&config.borrow());
        let board = Arc::new(Board::new(report, store.state()));
        let index =
            Index::spawn(IndexArgs { life: Life::new("index", &board), board: board.clone(), store: store.clone() });
        let args = IndexerArgs {
            life: Life::new("indexer", &board),
            board: board.clone(),
            config: config.subscribe(),
            index: index.clone(),
        };
        let (send, started) = oneshot::channel();
        let recipe = Box::new(move |supervisor| -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
            Box::pin(async move { drop(send.send(Indexer::supervise(&supervisor, args).spawn().await)) })
        });
        let supervisor = Supervisor::spawn((Life::new("supervisor", &board), recipe));
        let indexer = soon(started).await.expect("started");
        let rpc = Rpc::new(crate::kubo::address::Address::Unix(socket));
        Rig {
            kubo,
            asked,
            rpc,
            board,
            index,
            indexer,
            config,
            store,
            _serving: serving,
            _supervisor: supervisor,
            _dir: dir,
        }
    }

    /// Kubo is there and its pins 1 to 5, the last one direct, are in the index.
    pub(super) async fn filled() -> Rig {
        let mut rig = Rig::new().await;
        for n in 1..5 {
            rig.kubo.pin(n, if n == 1 { "one" } else { "" });
        }
        rig.kubo.change(|a| drop(a.direct.insert(cid::text(&cid_of(5)), String::new())));
        rig.up();
        rig.finished(1).await;
        rig.listing_asked().await;
        assert_eq!(rig.pinned(), [1, 2, 3, 4, 5]);
        rig
    }

    pub(super) fn up(&self) {
        self.board.rpc.send_replace(Some(self.rpc.clone()));
    }

    pub(super) fn down(&self) {
        self.board.rpc.send_replace(None);
    }

    pub(super) async fn finished(&self, refreshes: u64) {
        soon(self.board.refresh.subscribe().wait_for(|r| r.finished >= refreshes)).await.expect("the board");
    }

    pub(super) async fn listing_asked(&mut self) {
        soon(self.asked.recv()).await.expect("a listing");
    }

    /// As `index refresh`, without `--wait`.
    pub(super) async fn refresh_soon(&self) {
        let done =
            soon(fault::ask(&self.indexer, IndexRefresh { wait: false, names: false })).await.expect("asked for");
        assert!(!done.done);
    }

    pub(super) async fn refresh(&self) -> Result<IndexRefreshed, Fault> {
        soon(fault::ask(&self.indexer, IndexRefresh { wait: true, names: false })).await
    }

    /// As `index refresh --wait`, while the test goes on.
    pub(super) fn waiter(&self) -> Waiting {
        let indexer = self.indexer.clone();
        tokio::spawn(async move { fault::ask(&indexer, IndexRefresh { wait: true, names: false }).await })
    }

    /// The same behind a refresh that is under way: returns when it waits.
    pub(super) async fn queued(&self) -> Waiting {
        let waiter = self.waiter();
        while soon(self.indexer.ask(Waiters).into_future()).await.expect("alive") == 0 {
            tokio::task::yield_now().await;
        }
        waiter
    }

    /// One refresh, without the actor.
    pub(super) async fn cycle(&self, plan: Plan) -> Result<Found, Fault> {
        let ends = Ends { rpc: self.rpc.clone(), index: self.index.clone(), state: self.board.index.clone() };
        soon(cycle::run(&ends, plan, &mut Suspects::default())).await
    }

    /// The name of a pin in the index.
    pub(super) async fn name(&self, n: u8) -> Option<String> {
        let info = PinInfo { cid: cid::text(&cid_of(n)) };
        soon(fault::ask(&self.index, info)).await.expect("pinned").pins[0].name.clone()
    }

    pub(super) fn pinned(&self) -> Vec<u8> {
        let set = self.board.index.borrow().set.clone();
        (0..=255).filter(|n| set.get(&cid::Key::of(&cid_of(*n))).is_some()).collect()
    }

    pub(super) fn generation(&self) -> u64 {
        self.board.index.borrow().generation
    }
}

/// How many wait for a refresh that has not begun.
struct Waiters;

impl Message<Waiters> for Indexer {
    type Reply = usize;

    async fn handle(&mut self, _: Waiters, _: &mut Context<Self, usize>) -> usize {
        self.waiting.len()
    }
}
