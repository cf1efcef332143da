//! The daemon's life: what is started in which order, what happens on signals, and how everything ends.
//!
//! Start: locks, index file, socket, then the actors from the bottom up. Stop: calls are refused, then the actors end from
//! the top down, except that the socket goes last, so that `status` answers while Kubo takes its time. What hangs meanwhile, the
//! main task included, is for `last_resort.rs`.

use crate::analytics::actor::{Analytics, AnalyticsArgs};
use crate::analytics::cycle::Desk;
use crate::analytics::evidence::recorder::Recorder;
use crate::board::{Board, StopReason};
use crate::config::{Config, ConfigError, Flags};
use crate::index::actor::{Index, IndexArgs};
use crate::index::legacy::import::Importer;
use crate::index::open::OpenError;
use crate::index::store::Store;
use crate::indexer::actor::{Indexer, IndexerArgs};
use crate::indexer::enrich::actor::{Enricher, EnricherArgs};
use crate::indexer::node_state::actor::{NodeState, NodeStateArgs};
use crate::instance::{self, Claim, InstanceError};
use crate::janitor::actor::{Janitor, JanitorArgs};
use crate::kubo::actor::{Kubo, KuboArgs};
use crate::kubo::check;
use crate::kubo::hook::Hook;
use crate::kubo::memory::{self, Memory};
use crate::kubo::orphans;
use crate::kubo::process::Spawner;
use crate::kubo::wish;
use crate::last_resort::LastResort;
use crate::outside::Turns;
use crate::server::actor::{Home, Server, ServerArgs};
use crate::server::{Changes, LISTINGS, Refusals, Routes};
use crate::snapshot::actor::{Book, SnapshotArgs, Snapshots};
use crate::supervisor::{Life, Probe, Stop, Supervisor};
use crate::systemd::{Passed, PassedError, StatusLine};
use crate::watchdog::{Question, Watchdog};
use crate::{events, exit, fault, systemd};
use futures_util::StreamExt;
use kameo::actor::{ActorRef, Spawn};
use kameo::error::Infallible;
use kameo::message::Message;
use kameo::prelude::Actor;
use kameo::reply::Reply;
use kameo::supervision::RestartPolicy;
use proto_msgs::event::{Reloaded, What};
use rustix::process::{Resource, getrlimit, setrlimit};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook_tokio::SignalsInfo;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::interval;

/// For an actor's ordered end, Kubo's and the index's apart.
const STOP_DEADLINE: Duration = Duration::from_secs(5);
/// For the index's last checkpoint.
const CLOSE_DEADLINE: Duration = Duration::from_secs(15);

/// Why the daemon ends with something else than 0.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The configuration is of no use.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The directories are taken or unsafe.
    #[error(transparent)]
    Instance(#[from] InstanceError),
    /// The service manager has passed something else than our socket.
    #[error(transparent)]
    Passed(#[from] PassedError),
    /// The index cannot be opened.
    #[error(transparent)]
    Index(#[from] OpenError),
    /// The process cannot be set up.
    #[error("cannot {action}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// An actor failed too often.
    #[error("{0}")]
    GaveUp(String),
}

impl AppError {
    /// The exit code that tells a service manager whether a restart helps.
    pub fn code(&self) -> u8 {
        match self {
            AppError::Config(_) => exit::CONFIG,
            AppError::Instance(error) | AppError::Index(OpenError::Claim(error)) => match error {
                InstanceError::Owned { .. } | InstanceError::Listening { .. } => exit::OWNED,
                InstanceError::Unsafe { .. } => exit::CONFIG,
                InstanceError::ReadOnly { .. } | InstanceError::Io { .. } => exit::FAILED,
            },
            AppError::Passed(_) => exit::CONFIG,
            AppError::Index(error) if error.needs_newer_version() => exit::CONFIG,
            AppError::Index(_) | AppError::Io { .. } | AppError::GaveUp(_) => exit::FAILED,
        }
    }
}

/// Runs the daemon until it has stopped in order.
pub fn run(flags: &Flags, config: Config) -> Result<(), AppError> {
    let mut descriptors = getrlimit(Resource::Nofile);
    descriptors.current = descriptors.maximum;
    // With fewer we make do: what takes descriptors is bounded by a share of them.
    let _ = setrlimit(Resource::Nofile, descriptors);
    let passed = systemd::listener()?;
    let data = instance::claim(&config.data_dir)?;
    let runtime_claim = instance::claim(&config.runtime_dir)?;
    instance::private_dir(&config.private_dir(), false)?;
    instance::private_dir(&config.index_dir(), false)?;
    let store = Store::open(&config.index_dir(), &config.journal_dir(), &config.snapshot_dir())?;
    if let Some(exposed) = check::exposed(&config) {
        tracing::warn!("{}; {}", exposed.detail, exposed.hint);
    }
    let io = |action| move |source| AppError::Io { action, source };
    let program = std::env::current_exe().map_err(io("find my own program"))?;
    orphans::adopt().map_err(io("adopt what Kubo leaves behind"))?;
    // As old as the process, and before the runtime: the child's parent-death signal follows this thread.
    let spawner = Spawner::start(program.clone()).map_err(io("start the spawner thread"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(io("start the runtime"))?;
    let ended = runtime.block_on(live(flags, Arc::new(config), runtime_claim, passed, store, (spawner, program)));
    // Dropping the runtime would close the connections a moment before the process ends, and to a client of `shutdown` their
    // end is the end of the process. The kernel closes them, and lets go of the locks.
    std::mem::forget((runtime, data));
    ended
}

/// The actors that others talk to.
struct Actors {
    index: ActorRef<Index>,
    janitor: ActorRef<Janitor>,
    kubo: ActorRef<Kubo>,
    indexer: ActorRef<Indexer>,
    enricher: ActorRef<Enricher>,
    node_state: ActorRef<NodeState>,
    analytics: ActorRef<Analytics>,
    snapshots: ActorRef<Snapshots>,
}

/// What the actors are made from.
struct Parts {
    board: Arc<Board>,
    config: watch::Receiver<Arc<Config>>,
    store: Store,
    spawner: Spawner,
    home: Home,
    recorder: Recorder,
    importer: Arc<Importer>,
    changes: Changes,
    started: (Instant, jiff::Timestamp),
}

async fn live(
    flags: &Flags,
    config: Arc<Config>,
    runtime_claim: Claim,
    passed: Option<Passed>,
    store: Store,
    (spawner, program): (Spawner, PathBuf),
) -> Result<(), AppError> {
    let signals = SignalsInfo::<signal_hook::iterator::exfiltrator::WithOrigin>::new([SIGTERM, SIGINT, SIGHUP]);
    let mut signals = signals.map_err(|source| AppError::Io { action: "listen for signals", source })?;
    let started = (Instant::now(), jiff::Timestamp::now());
    let board = Arc::new(Board::new(memory::before_start(&config), store.state()));
    tokio::spawn(events::tell_of_pins(board.clone()));
    let (damaged, told) = (store.damaged(), board.clone());
    tokio::spawn(async move { told.stop(StopReason::GaveUp(format!("the index is damaged: {}", damaged.await))) });
    let home = Home::open(&config.socket(), passed, runtime_claim)?;
    let importer = Importer::new(store.clone(), board.clone(), config.data_dir.clone(), program);
    let importer = Arc::new(importer);
    let (configs, config) = watch::channel(config);
    let last_resort = LastResort { board: board.clone(), config: config.clone(), spawner: spawner.clone() };
    last_resort.start().map_err(|source| AppError::Io { action: "start the thread for the last resort", source })?;
    let changes = Changes::new();
    let recorder = Recorder::start(store.clone(), board.clone(), config.clone());
    let parts = Parts {
        board: board.clone(),
        config,
        store: store.clone(),
        spawner: spawner.clone(),
        home: home.clone(),
        recorder: recorder.clone(),
        importer: importer.clone(),
        changes: changes.clone(),
        started,
    };

    // Before anybody can ask for a stop: a receiver that comes later takes what is there for known.
    let mut stopping = board.stopping.subscribe();
    let (send, actors) = oneshot::channel();
    let life = Life::new("supervisor", &board);
    let recipe = Box::new(|supervisor| -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move { drop(send.send(start(&supervisor, parts).await)) })
    });
    let supervisor = Supervisor::spawn((life, recipe));
    let hook = Hook::start(board.clone(), configs.subscribe());
    let hook = hook.map_err(|source| AppError::Io { action: "make a pipe for the hook", source })?;
    let gone = |_| AppError::GaveUp("the supervisor ended before it had started the actors".to_owned());
    let actors = actors.await.map_err(gone)?;
    // Beside everything else: nobody waits for it, and who writes where those files lie asks `may_replace` first.
    tokio::spawn(async move { importer.at_start().await });

    let (main, mut questions) = mpsc::channel(1);
    let mut watchdog = Some(Watchdog {
        board: board.clone(),
        main,
        supervisor: supervisor.clone(),
        index: actors.index.clone(),
        home: home.clone(),
    });
    let mut line = StatusLine::default();
    let mut second = interval(Duration::from_secs(1));
    let mut states = board.actors.subscribe();
    let mut up = false;
    let reason = loop {
        tokio::select! {
            Ok(()) = stopping.changed() => {
                if let Some(reason) = stopping.borrow().clone() { break reason }
            }
            Some(signal) = signals.next() => {
                // On a terminal a hang-up means that the terminal is gone.
                if signal.signal == SIGHUP && !nix::unistd::isatty(io::stdin().as_fd()).unwrap_or(false) {
                    reload(flags, &configs, &board, up);
                } else {
                    let sender = signal.process.map(|p| format!(" from PID {}, uid {}", p.pid, p.uid));
                    let name = signal_hook::low_level::signal_name(signal.signal).unwrap_or("a signal");
                    board.stop(StopReason::Signal(format!("{name}{}", sender.unwrap_or_default())));
                }
            }
            // The socket has been there since `bind`; everybody takes work now, so it answers.
            Ok(()) = async { states.wait_for(|actors| actors.iter().all(|actor| actor.running)).await.map(drop) }, if !up => {
                up = true;
                systemd::ready();
                if let (Some(within), Some(watchdog)) = (systemd::watchdog(), watchdog.take())
                    && let Err(error) = watchdog.start(within)
                {
                    // The service manager will make a new process of this one.
                    tracing::error!(%error, "nobody can tell the watchdog that all is well");
                }
                tracing::info!(socket = %home.path().display(), pid = std::process::id(), "ready");
            }
            Some(question) = questions.recv() => drop::<Question>(question),
            _ = second.tick() => {
                line.say(summary(&board));
                // Also without a watchdog: a supervisor that fails at its work is found out here.
                let _ = supervisor.tell(Probe).try_send();
            }
        }
    };
    tracing::info!(%reason, "stopping");
    systemd::stopping();
    let config = configs.borrow().clone();
    stop(&board, actors, hook, (&changes, &recorder), &config, &spawner, &store).await;
    home.close();
    tracing::info!("stopped");
    match reason {
        StopReason::GaveUp(why) => Err(AppError::GaveUp(why)),
        StopReason::Signal(_) | StopReason::Asked(_) => Ok(()),
    }
}

/// The daemon in one line.
fn summary(board: &Board) -> String {
    let (pins, complete) = {
        let index = board.index.borrow();
        (index.set.len(), index.complete)
    };
    let kubo = board.kubo.borrow();
    let why = kubo.held.as_ref().map(|held| format!(" ({})", held.detail)).unwrap_or_default();
    let many = if pins == 1 { "" } else { "s" };
    let so_far = if complete { "" } else { " so far" };
    format!("Kubo {}{why}, {pins} pin{many}{so_far}", kubo.state.name())
}

/// The recipe: from the bottom up, each with the references that it may ask.
async fn start(supervisor: &ActorRef<Supervisor>, parts: Parts) -> Actors {
    let Parts { board, config, store, spawner, home, recorder, importer, changes, started } = parts;
    let life = |name| Life::new(name, &board);
    let index =
        child::<Index>(supervisor, IndexArgs { life: life("index"), board: board.clone(), store: store.clone() }).await;
    let args =
        JanitorArgs { life: life("janitor"), board: board.clone(), config: config.clone(), turns: Turns::default() };
    let janitor = child::<Janitor>(supervisor, args).await;
    let stopped = wish::stopped(&config.borrow());
    if let Some(at) = stopped.filter(|_| config.borrow().attach.is_none()) {
        tracing::info!("Kubo stays stopped, as somebody asked at {}", crate::time::text(at));
    }
    let args = KuboArgs {
        life: life("kubo"),
        board: board.clone(),
        config: config.clone(),
        spawner: spawner.clone(),
        memory: Memory::new(&config.borrow(), stopped),
    };
    let kubo = child::<Kubo>(supervisor, args).await;
    let args =
        IndexerArgs { life: life("indexer"), board: board.clone(), config: config.clone(), index: index.clone() };
    let indexer = child::<Indexer>(supervisor, args).await;
    let args =
        EnricherArgs { life: life("enricher"), board: board.clone(), config: config.clone(), index: index.clone() };
    let enricher = child::<Enricher>(supervisor, args).await;
    let args = NodeStateArgs {
        life: life("node_state"),
        board: board.clone(),
        config: config.clone(),
        index: index.clone(),
        turns: Turns::default(),
        told: Arc::new(AtomicBool::new(false)),
    };
    let node_state = child::<NodeState>(supervisor, args).await;
    let args = AnalyticsArgs {
        life: life("analytics"),
        board: board.clone(),
        config: config.clone(),
        index: index.clone(),
        recorder: recorder.clone(),
        desk: Desk::default(),
        turns: Turns::default(),
    };
    let analytics = child::<Analytics>(supervisor, args).await;
    let args = SnapshotArgs {
        life: life("snapshot"),
        board: board.clone(),
        config: config.clone(),
        store,
        book: Book::default(),
    };
    let snapshots = child::<Snapshots>(supervisor, args).await;
    let routes = Arc::new(Routes {
        board: board.clone(),
        config,
        started,
        index: index.clone(),
        indexer: indexer.clone(),
        listings: Semaphore::new(LISTINGS),
        kubo: kubo.clone(),
        spawner,
        changes,
        janitor: janitor.clone(),
        analytics: analytics.clone(),
        recorder,
        importer,
        turns: Turns::default(),
        snapshots: snapshots.clone(),
        refusals: Refusals::default(),
    });
    child::<Server>(supervisor, ServerArgs { life: life("server"), home, routes }).await;
    Actors { index, janitor, kubo, indexer, enricher, node_state, analytics, snapshots }
}

async fn child<A>(supervisor: &ActorRef<Supervisor>, args: A::Args) -> ActorRef<A>
where
    A: Actor,
    A::Args: Clone + Sync,
{
    // kameo's own limit would stop children without order; `Life` counts instead.
    A::supervise(supervisor, args)
        .restart_policy(RestartPolicy::Permanent)
        .restart_limit(u32::MAX, Duration::from_secs(1))
        .spawn()
        .await
}

async fn stop(
    board: &Board,
    actors: Actors,
    hook: Hook,
    (changes, recorder): (&Changes, &Recorder),
    config: &Config,
    spawner: &Spawner,
    store: &Store,
) {
    if tokio::time::timeout(STOP_DEADLINE, changes.done()).await.is_err() {
        tracing::warn!("Kubo does not say how changes of pins have ended; the next listing does");
    }
    end(board, &actors.snapshots, "snapshot", STOP_DEADLINE).await;
    end(board, &actors.analytics, "analytics", STOP_DEADLINE).await;
    recorder.end(STOP_DEADLINE).await;
    end(board, &actors.node_state, "node_state", STOP_DEADLINE).await;
    end(board, &actors.enricher, "enricher", STOP_DEADLINE).await;
    end(board, &actors.indexer, "indexer", STOP_DEADLINE).await;
    end(board, &actors.kubo, "kubo", config.stop_grace + STOP_DEADLINE).await;
    // For the case that the actor is gone.
    spawner.end(config.stop_grace).await;
    let rest = async {
        end(board, &actors.janitor, "janitor", STOP_DEADLINE).await;
        end(board, &actors.index, "index", CLOSE_DEADLINE).await;
        store.close(CLOSE_DEADLINE).await;
    };
    tokio::join!(hook.end(STOP_DEADLINE), rest);
    for socket in memory::sockets(config) {
        // Kubo may never have been started.
        let _ = std::fs::remove_file(socket);
    }
}

/// Has an actor end in order. One that is not running, because it failed and the daemon stops, has nothing left to end:
/// its tasks ended with it, and what outlives it has another owner.
async fn end<A>(board: &Board, actor: &ActorRef<A>, name: &str, deadline: Duration)
where
    A: Actor + Message<Stop>,
    <A as Message<Stop>>::Reply: Reply<Ok = (), Error = Infallible>,
{
    let mut states = board.actors.subscribe();
    tokio::select! {
        answer = tokio::time::timeout(deadline, actor.ask(Stop)) => match answer {
            Ok(Ok(())) => {}
            Ok(Err(error)) => board.error(name, format!("the {name} actor did not stop in order: {error}")),
            Err(_) => board.error(name, format!("the {name} actor did not stop within {} s", deadline.as_secs())),
        },
        _ = states.wait_for(|actors| actors.iter().any(|actor| actor.name == name && !actor.running)) => {}
    }
}

fn reload(flags: &Flags, configs: &watch::Sender<Arc<Config>>, board: &Board, up: bool) {
    if up {
        systemd::reloading();
    }
    match Config::load(flags) {
        Ok(new) => {
            let later = configs.borrow().needs_restart(&new);
            if !later.is_empty() {
                tracing::warn!(settings = later.join(", "), "changed settings that only a restart applies");
            }
            let old = configs.borrow().clone();
            configs.send_replace(Arc::new(old.with_live(new)));
            tracing::info!("the configuration was read again");
            board.events.push(What::Reload(Reloaded { later }));
        }
        Err(error) => {
            board.error("supervisor", format!("the configuration stays as it is: {}", fault::chain(&error)));
        }
    }
    if up {
        systemd::ready();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_that_another_daemon_owns_ends_as_a_data_dir_that_another_one_owns() {
        let owned = || InstanceError::Owned { path: "/data/index".into(), pid: Some(7) };
        assert_eq!(AppError::Index(OpenError::Claim(owned())).code(), exit::OWNED);
        assert_eq!(AppError::Instance(owned()).code(), exit::OWNED);
        assert_eq!(AppError::Instance(InstanceError::ReadOnly { path: "/data".into() }).code(), exit::FAILED);
    }
}
