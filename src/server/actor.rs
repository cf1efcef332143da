//! The server actor: accepts connections and hands each to its own task.
//!
//! The listener, the task that accepts and the connection tasks live in [`Home`], which is as old as the process: after a
//! restart the actor goes on with the connections that came meanwhile, and clients notice nothing.

use super::authority::{self, Peer};
use super::connection;
use super::places::{Full, Place, Places};
use super::route::Routes;
use crate::config::Config;
use crate::instance::{self, Claim, InstanceError};
use crate::janitor::kernel;
use crate::supervisor::Life;
use crate::systemd::Passed;
use futures_util::FutureExt;
use interprocess::local_socket::tokio::{Listener, Stream};
use interprocess::local_socket::traits::tokio::Listener as _;
use interprocess::local_socket::{GenericFilePath, ListenerOptions, ToFsName};
use interprocess::os::unix::local_socket::ListenerOptionsExt;
use interprocess::os::unix::uds_local_socket::tokio::Listener as PassedListener;
use kameo::actor::{ActorRef, WeakActorRef};
use kameo::error::{ActorStopReason, Infallible, PanicError};
use kameo::message::{Context, Message};
use kameo::prelude::Actor;
use nix::libc::{EMFILE, ENFILE};
use proto_msgs::{Fault, FaultKind};
use std::fs::{File, Permissions};
use std::io;
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, watch};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

/// Connections at a time that are told why they are refused.
const REFUSALS: usize = 16;
/// Between two tries to accept when there are no descriptors left.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);
/// How long the socket of a killed daemon may outlive its lock, and between two looks whether it does.
const DYING: Duration = Duration::from_millis(500);
const ASK_AGAIN: Duration = Duration::from_millis(10);
/// Between two looks whether the socket is still there: somebody may clean up the directory that it is in.
const LOOK: Duration = Duration::from_secs(2);

/// Mode of a socket that only the daemon's own uid and root can reach.
const CLOSED: u32 = 0o600;

/// What outlives a restart of the actor.
#[derive(Clone)]
pub struct Home {
    listener: Arc<Listener>,
    connections: TaskTracker,
    places: Places,
    refusals: Arc<Semaphore>,
    accepting: Arc<Mutex<Option<AbortOnDropHandle<()>>>>,
    path: PathBuf,
    /// Whether the socket is the service manager's, which made it and takes it away.
    passed: bool,
    claim: Arc<Mutex<Claim>>,
}

impl Home {
    /// Takes over the socket that the service manager has passed, or binds one with mode 0600. The caller holds the runtime
    /// dir's lock, so a socket file that is there, was not passed and has no listener is a dead daemon's and is replaced; one with
    /// a listener, and anything that is no socket, is left alone.
    pub fn open(path: &Path, passed: Option<Passed>, claim: Claim) -> Result<Home, InstanceError> {
        let (path, listener, passed) = match passed {
            Some(there) => {
                if there.path != path {
                    let (there, here) = (there.path.display(), path.display());
                    tracing::warn!("the service manager's socket is {there}, and clients look for it at {here}");
                }
                let io = |source| InstanceError::Io { action: "take over", path: there.path.clone(), source };
                let listener = PassedListener::try_from(OwnedFd::from(there.listener)).map_err(io)?;
                (there.path, listener.into(), true)
            }
            None => (path.to_owned(), listen(path)?, false),
        };
        Ok(Home {
            listener: Arc::new(listener),
            connections: TaskTracker::new(),
            places: Places::new(),
            refusals: Arc::new(Semaphore::new(REFUSALS)),
            accepting: Arc::default(),
            claim: Arc::new(Mutex::new(claim)),
            path,
            passed,
        })
    }

    /// Where the socket is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the socket is the service manager's.
    pub fn is_passed(&self) -> bool {
        self.passed
    }

    /// Accepts nobody any more and takes the socket away, if it is ours. Connections stay until the process ends, whose end
    /// tells their clients.
    pub fn close(&self) {
        *self.accepting() = None;
        if !self.passed
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::warn!(%error, socket = %self.path.display(), "cannot remove the socket");
        }
    }

    /// Makes what somebody has removed anew: the socket, and where it was removed too, the directory with its lock.
    fn listen_again(&self) -> Result<Listener, InstanceError> {
        if let Some(dir) = self.path.parent() {
            let mut claim = self.claim.lock().unwrap_or_else(PoisonError::into_inner);
            // A lock on a file without a name keeps nobody out.
            if !claim.holds(dir) {
                *claim = instance::claim(dir)?;
            }
        }
        listen(&self.path)
    }

    /// Lets others than the daemon's uid reach the socket, or keeps them from it. Each is asked for by name afterwards. The service
    /// manager's socket is as its unit says.
    fn let_others_in(&self, open: bool) -> io::Result<()> {
        let wanted = if open { 0o666 } else { CLOSED };
        let found = std::fs::symlink_metadata(&self.path)?;
        if self.passed || !found.file_type().is_socket() || found.permissions().mode() & 0o777 == wanted {
            return Ok(());
        }
        if let Some(dir) = self.path.parent().filter(|_| open) {
            let mode = std::fs::metadata(dir)?.permissions().mode();
            std::fs::set_permissions(dir, Permissions::from_mode(mode | 0o011))?;
        }
        std::fs::set_permissions(&self.path, Permissions::from_mode(wanted))
    }

    fn accepting(&self) -> MutexGuard<'_, Option<AbortOnDropHandle<()>>> {
        self.accepting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn listen(path: &Path) -> Result<Listener, InstanceError> {
    let io = |action, source| InstanceError::Io { action, path: path.to_owned(), source };
    if let Ok(found) = std::fs::symlink_metadata(path) {
        if !found.file_type().is_socket() {
            return Err(InstanceError::Unsafe { path: path.to_owned(), why: "is in the way and no socket".into() });
        }
        refuse_to_rob(path)?;
        std::fs::remove_file(path).map_err(|e| io("remove the dead socket", e))?;
    }
    let name = path.to_fs_name::<GenericFilePath>().map_err(|e| io("name the socket", e))?;
    let listener = ListenerOptions::new().name(name).mode(CLOSED as _).reclaim_name(false).create_tokio();
    listener.map_err(|e| io("listen on", e))
}

/// Nobody else's daemon has the directory, so who listens there is no daemon: a service manager, most likely, whose clients would
/// never reach it again. A daemon that is just being killed may lose its lock a moment before its socket.
fn refuse_to_rob(path: &Path) -> Result<(), InstanceError> {
    let began = Instant::now();
    while kernel::is_listening(path) {
        if began.elapsed() > DYING {
            return Err(InstanceError::Listening { path: path.to_owned() });
        }
        std::thread::sleep(ASK_AGAIN);
    }
    Ok(())
}

/// What the actor is made from.
#[derive(Clone)]
pub struct ServerArgs {
    /// Its life.
    pub life: Arc<Life>,
    /// The socket.
    pub home: Home,
    /// Where answers come from.
    pub routes: Arc<Routes>,
}

/// The actor.
pub struct Server {
    args: ServerArgs,
    refusing: bool,
}

struct Accepted(Stream);

impl Actor for Server {
    type Args = ServerArgs;
    type Error = Infallible;

    async fn on_start(args: ServerArgs, me: ActorRef<Self>) -> Result<Self, Infallible> {
        args.life.begin().await;
        // Once: the reference and its mailbox outlive a restart, so connections that come meanwhile wait there.
        let (home, life, config) = (args.home.clone(), args.life.clone(), args.routes.config.clone());
        args.home
            .accepting()
            .get_or_insert_with(|| AbortOnDropHandle::new(tokio::spawn(accept(home, life, config, me))));
        args.life.runs();
        Ok(Server { args, refusing: false })
    }

    async fn on_panic(
        &mut self,
        _: WeakActorRef<Self>,
        error: PanicError,
    ) -> Result<ControlFlow<ActorStopReason>, Infallible> {
        self.args.life.panicked(error)
    }
}

async fn accept(home: Home, life: Arc<Life>, config: watch::Receiver<Arc<Config>>, server: ActorRef<Server>) {
    let mut listener = home.listener.clone();
    let (mut failing, mut told) = (false, false);
    let mut look = tokio::time::interval(LOOK);
    // Kept, so that there is one to tell a client with that there are none.
    let mut spare = None;
    loop {
        spare = spare.or_else(|| File::open("/dev/null").ok());
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = look.tick() => {
                let gone = !home.path.exists();
                let open = config.borrow().access.is_open();
                if let Err(error) = home.let_others_in(open)
                    && !gone
                {
                    life.error(format!("cannot change who reaches {}: {error}", home.path.display()));
                }
                let path = home.path.display();
                if gone && home.passed {
                    let once = !std::mem::replace(&mut told, true);
                    let words = "is gone; restart the socket unit together with the service, which can't bind it";
                    once.then(|| life.error(format!("{path} {words}")));
                } else if gone {
                    match home.listen_again() {
                        Ok(new) => {
                            life.error(format!("{path} was gone; it is there again"));
                            listener = Arc::new(new);
                        }
                        Err(error) => life.error(format!("{path} is gone, and {error}")),
                    }
                }
                continue;
            }
        };
        match accepted {
            Ok(stream) => {
                failing = false;
                if server.tell(Accepted(stream)).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                // Once for as long as it lasts.
                if !std::mem::replace(&mut failing, true) {
                    life.error(format!("cannot accept connections: {error}"));
                }
                // Whoever waits is not to wait for ever: one at a time is told.
                let none_left = matches!(error.raw_os_error(), Some(EMFILE | ENFILE)) && spare.take().is_some();
                if none_left && let Some(Ok(stream)) = listener.accept().now_or_never() {
                    let fault = Fault::new(FaultKind::Busy, "ipfs-kitd has no descriptors left");
                    connection::turn_away(stream, fault.hint("ask again in some seconds"));
                }
                tokio::time::sleep(ACCEPT_BACKOFF).await;
            }
        }
    }
}

impl Server {
    /// A place with its caller, or why there is none.
    fn admit(&mut self, stream: &Stream) -> Result<(Peer, Place), Fault> {
        let peer = authority::identify(stream, &self.args.routes.config.borrow().access)?;
        let places = &self.args.home.places;
        let detail = match places.take((!peer.is_own()).then_some(peer.uid)) {
            Ok(place) => {
                self.refusing = false;
                return Ok((peer, place));
            }
            Err(Full::OfOne(most)) => format!("{most} connections of uid {} are open", peer.uid),
            Err(Full::All(most)) => format!("{most} connections are open"),
        };
        // Once for as long as it lasts.
        if !std::mem::replace(&mut self.refusing, true) {
            self.args.life.error(format!("clients are refused: {detail}"));
        }
        Err(Fault::new(FaultKind::Busy, detail).hint("ask again in some seconds"))
    }
}

impl Message<Accepted> for Server {
    type Reply = ();

    async fn handle(&mut self, Accepted(stream): Accepted, _: &mut Context<Self, ()>) {
        match self.admit(&stream) {
            Ok((peer, place)) => {
                let serve = connection::serve(stream, peer, self.args.routes.clone(), place);
                drop(self.args.home.connections.spawn(serve));
            }
            Err(fault) => {
                // In a flood most go without a word.
                if let Ok(turn) = self.args.home.refusals.clone().try_acquire_owned() {
                    drop(self.args.home.connections.spawn(async move {
                        connection::refuse(stream, fault).await;
                        drop(turn);
                    }));
                }
            }
        }
        // Last, so that a test's panic costs no connection.
        self.args.life.fault_point("message");
    }
}
