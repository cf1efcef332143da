//! Followers of logs against a real index.

use super::*;
use crate::analytics::cycle::Desk;
use crate::analytics::evidence::recorder::Recorder;
use crate::board::Board;
use crate::config::{Config, Flags};
use crate::index::actor::{Index, IndexArgs};
use crate::index::store::Store;
use crate::supervisor::Life;
use clap::Parser;
use kameo::actor::Spawn;
use std::fs;
use tokio::sync::watch;

const CID: &str = "bafkqaaa";

struct Rig {
    dir: tempfile::TempDir,
    args: AnalyticsArgs,
    all: Arc<All>,
}

impl Rig {
    fn new() -> Rig {
        let dir = tempfile::tempdir().expect("a temp dir");
        let flags = Flags::parse_from(["ipfs-kitd", "--data-dir", "/d", "--runtime-dir", "/r", "--ipfs-path", "/i"]);
        let config = Arc::new(Config::load(&flags).expect("a configuration"));
        let store =
            Store::open(dir.path(), &dir.path().join("journal"), &dir.path().join("snapshots")).expect("an index");
        let board = Arc::new(Board::new(crate::kubo::memory::before_start(&config), store.state()));
        let config = watch::Sender::new(config).subscribe();
        let index = IndexArgs { life: Life::new("index", &board), board: board.clone(), store: store.clone() };
        let args = AnalyticsArgs {
            life: Life::new("analytics", &board),
            recorder: Recorder::start(store, board.clone(), config.clone()),
            index: Index::spawn(index),
            desk: Desk::default(),
            turns: Turns::default(),
            board,
            config,
        };
        Rig { dir, args, all: Arc::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn follower(&self, rank: usize, log: &Path) -> Follower {
        Follower::new(&self.args, &self.all, rank, log)
    }

    /// Writes a log of these requests.
    fn log(&self, name: &str, requests: &[&str]) -> PathBuf {
        let line = |request: &&str| {
            format!("192.0.2.7 - - [22/Nov/2025:05:40:00 +0000] \"GET /ipfs/{CID}/{request} HTTP/1.1\" 200 21\n")
        };
        let path = self.path(name);
        fs::write(&path, requests.iter().map(line).collect::<String>()).expect("written");
        path
    }

    fn counted(&self) -> u64 {
        self.args.recorder.heard(AccessSource::Gateway).accesses
    }
}

#[tokio::test]
async fn a_rotated_log_that_cannot_be_read_any_more_is_told_of_and_holds_up_nobody() {
    let rig = Rig::new();
    let log = rig.log("access.log", &["1", "2"]);
    let mut follower = rig.follower(0, &log);
    let stale = follower.begin(LogFile::stale(&log)).await.expect("begun");
    follower.open.push(stale);
    let (_, failed) = follower.look().await;
    assert!(failed.is_some_and(|error| error.contains("access.log: ")));
    assert_eq!((rig.counted(), follower.open.len()), (2, 2));
    follower.open[0].moved -= QUIET;
    assert!(follower.look().await.1.is_some());
    assert_eq!((follower.look().await, follower.open.len()), ((0, None), 1), "it is let go");
}

#[tokio::test]
async fn of_two_logs_with_the_same_first_line_the_first_is_followed_and_the_other_is_told_of() {
    let rig = Rig::new();
    let (first, second) = (rig.log("a.log", &["1", "2"]), rig.log("b.log", &["1", "3", "4", "5"]));
    let mut followers = [rig.follower(0, &first), rig.follower(1, &second)];
    join_all(followers.iter_mut().map(Follower::find)).await;
    let failed = followers[1].look().await.1.expect("it is told of");
    assert!(failed.contains("b.log is not followed") && failed.ends_with("a.log"), "{failed}");
    assert_eq!(followers[0].look().await, (0, None));
    assert_eq!(rig.counted(), 2);

    // Another name of the same file is the same log.
    std::os::unix::fs::symlink(&first, rig.path("c.log")).expect("linked");
    assert_eq!(rig.follower(2, &rig.path("c.log")).look().await, (0, None));
    assert_eq!(rig.counted(), 2);

    // Until it has another beginning.
    fs::rename(&second, rig.path("b.log.1")).expect("renamed");
    rig.log("b.log", &["6"]);
    assert_eq!(followers[1].look().await, (0, None));
    assert_eq!(rig.counted(), 3);
}
