//! The watchdog of the service manager, which ends this process and starts a new one when it does not hear of it in time.
//!
//! It hears of it only when the main task and the supervisor have taken a message, the index and its writer have answered, and a
//! call has come back over the socket, all since the last time. Those who have to answer share a runtime, which one of them that
//! blocks can hold up altogether; who asks them has a thread and a runtime of its own, so whoever is silent is named while there
//! is still time to write it down.

use crate::board::Board;
use crate::index::actor::Index;
use crate::server::actor::Home;
use crate::supervisor::Supervisor;
use crate::{index, supervisor, systemd};
use kameo::actor::ActorRef;
use proto_msgs::daemon::Status;
use proto_msgs::json;
use proto_msgs::verb::{Call, Request};
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

/// Until an actor that is just being restarted, or a socket that is just being bound again, is asked anew.
const AGAIN: Duration = Duration::from_millis(100);

/// A question to the main task, which drops it.
pub type Question = oneshot::Sender<()>;

/// Those who have to answer.
pub struct Watchdog {
    /// For the word about who is silent; and it says when the daemon stops, which has a time of its own.
    pub board: Arc<Board>,
    /// Takes signals and everybody's word that the daemon is to stop.
    pub main: mpsc::Sender<Question>,
    /// Asked for its mailbox.
    pub supervisor: ActorRef<Supervisor>,
    /// Asked for its mailbox and the thread behind it.
    pub index: ActorRef<Index>,
    /// Its socket is called as a client does.
    pub home: Home,
}

impl Watchdog {
    /// Begins to ask everybody and to tell the service manager, twice within the time that it gives, until the daemon stops.
    pub fn start(self, within: Duration) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let ask = move || {
            runtime.block_on(async {
                tokio::select! {
                    () = self.rounds(within) => {}
                    () = self.board.stopped() => {}
                }
            });
        };
        thread::Builder::new().name("watchdog".to_owned()).spawn(ask).map(drop)
    }

    async fn rounds(&self, within: Duration) {
        let mut turns = interval(within / 2);
        // Rounds that a slow one has held up are not made up for.
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // In time for the log: the service manager acts a half after the round's begin.
        let soon = within / 4;
        loop {
            turns.tick().await;
            tokio::join!(
                self.heard("main task", soon, async || self.main_answers().await),
                self.heard("supervisor", soon, async || self.supervisor.ask(supervisor::Probe).await.is_ok()),
                self.heard("index", soon, async || self.index.ask(index::actor::Probe).await.is_ok()),
                self.heard("server", soon, async || self.server_answers().await),
            );
            systemd::alive();
        }
    }

    /// Returns when it has answered, however long that takes.
    async fn heard(&self, who: &str, soon: Duration, answers: impl AsyncFn() -> bool) {
        let mut asked = pin!(async {
            while !answers().await {
                sleep(AGAIN).await;
            }
        });
        if timeout(soon, &mut asked).await.is_err() {
            let words = "and the service manager's watchdog is not told that all is well before it does";
            self.board.error("watchdog", format!("the {who} has not answered for {} s, {words}", soon.as_secs_f32()));
            asked.await;
        }
    }

    async fn main_answers(&self) -> bool {
        let (question, answer) = oneshot::channel();
        let taken = self.main.send(question).await.is_ok();
        // To drop it is to answer.
        let _ = answer.await;
        taken
    }

    /// One call as any client makes it. Every answer counts, `busy` too, and so does the end of a connection: those who are
    /// asked have accepted and closed it.
    async fn server_answers(&self) -> bool {
        let mut stream = match UnixStream::connect(self.home.path()).await {
            Ok(stream) => stream,
            // No client reaches us, and a new process would not change that.
            Err(error) => return error.kind() == ErrorKind::NotFound && self.home.is_passed(),
        };
        let request = Request { id: 1, deadline_ms: None, call: Call::Status(Status {}) };
        // A refused connection may be closed before it is written to.
        let _ = stream.write_all(&json::request_line(&request)).await;
        let _ = stream.read(&mut [0]).await;
        true
    }
}
