//! Measures: every question at once, each with a deadline, none of them in anybody's way.

use super::actor::NodeStateArgs;
use super::machine;
use super::rates::{Counters, Reading};
use super::shelf::Sample;
use crate::fault::chain;
use crate::kubo::content::MOST;
use crate::kubo::rpc::{Rpc, RpcError};
use crate::kubo::usage;
use crate::outside::Turns;
use jiff::{Timestamp, Unit};
use proto_msgs::state::{FilesState, NetworkState, StorageState, SystemState};
use rustix::fs::statvfs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// For one answer.
const DEADLINE: Duration = Duration::from_secs(5);
/// The longest version or CID.
const TEXT: usize = 200;

/// Measures for as long as it is not dropped.
pub(super) async fn run(args: NodeStateArgs) {
    let mut rpcs = args.board.rpc.subscribe();
    let mut sampler = Sampler { args, before: None, turns: Turns::default() };
    loop {
        // The board is as old as the process, so the sender can't be gone.
        let Ok(Some(rpc)) = rpcs.wait_for(Option::is_some).await.map(|rpc| rpc.clone()) else { return };
        tokio::select! {
            () = sampler.work(&rpc) => {}
            // What was under way is of no run.
            _ = rpcs.wait_for(|now| now.as_ref() != Some(&rpc)) => {}
        }
    }
}

struct Sampler {
    args: NodeStateArgs,
    before: Option<Counters>,
    /// For looks at the repo's file system, which may be gone.
    turns: Turns,
}

impl Sampler {
    async fn work(&mut self, rpc: &Rpc) {
        let mut config = self.args.config.clone();
        let mut began = None::<Instant>;
        loop {
            let interval = config.borrow_and_update().state_interval;
            let due = async {
                match began {
                    _ if interval.is_zero() => std::future::pending().await,
                    Some(began) => tokio::time::sleep_until((began + interval).into()).await,
                    None => {}
                }
            };
            tokio::select! {
                () = due => {}
                // A configuration that nobody can change stays.
                Ok(()) = config.changed() => continue,
            }
            self.args.life.fault_point("sample");
            began = Some(Instant::now());
            // Whole milliseconds, as everybody will see it.
            let now = Timestamp::now();
            let at = now.round(Unit::Millisecond).unwrap_or(now);
            if let Some(sample) = self.sample(rpc).await {
                self.args.board.state.send_modify(|shelf| shelf.add(at, sample, Instant::now()));
            }
        }
    }

    /// Looks at everything; `None` when another run of Kubo has begun meanwhile.
    async fn sample(&mut self, rpc: &Rpc) -> Option<Sample> {
        let (run, pid, repo) = {
            let kubo = self.args.board.kubo.borrow();
            (kubo.restarts, kubo.pid, kubo.repo.is_some())
        };
        let repo = repo.then(|| self.args.config.borrow().ipfs_path.clone());
        let traffic = async { rpc.traffic(DEADLINE).await.map(|traffic| (traffic, Instant::now())) };
        let (version, peers, traffic, stat, mfs, disk) = tokio::join!(
            rpc.version(DEADLINE),
            rpc.peers(DEADLINE),
            traffic,
            rpc.repo_stat(DEADLINE),
            rpc.mfs_root(DEADLINE),
            self.disk(repo),
        );
        let process = pid.and_then(usage::of).map(|usage| (usage, Instant::now()));
        if self.args.board.kubo.borrow().restarts != run {
            return None;
        }
        let (traffic, stat, mfs) = (known(traffic), known(stat), known(mfs));
        let bytes = |value: u64, at| Reading { at, value: value as f64 };
        let counters = Counters {
            run,
            began: process.map(|(usage, _)| usage.began),
            cpu: process.map(|(usage, at)| Reading { at, value: usage.cpu_s }),
            bytes_in: traffic.map(|(traffic, at)| bytes(traffic.bytes_in, at)),
            bytes_out: traffic.map(|(traffic, at)| bytes(traffic.bytes_out, at)),
        };
        let rates = counters.since(self.before.replace(counters));
        let machine = machine::look();
        let (index, tree) = (self.args.board.index.borrow(), self.args.board.mfs.borrow());
        Some(Sample {
            system: SystemState {
                at: String::new(),
                kubo_version: known(version).filter(|version| version.len() <= TEXT),
                kubo_cpu: rates.cpu,
                kubo_memory: process.map(|(usage, _)| usage.memory),
                kubo_uptime_s: process.map(|(usage, _)| usage.age_s()),
                load: machine.load,
                memory_total: machine.memory_total,
                memory_available: machine.memory_available,
            },
            network: NetworkState {
                at: String::new(),
                peers: known(peers).flatten(),
                bytes_in: traffic.and_then(|(traffic, _)| exact(traffic.bytes_in)),
                bytes_out: traffic.and_then(|(traffic, _)| exact(traffic.bytes_out)),
                rate_in: rates.bytes_in,
                rate_out: rates.bytes_out,
            },
            storage: StorageState {
                at: String::new(),
                repo_size: stat.and_then(|stat| exact(stat.size)),
                storage_max: stat.and_then(|stat| exact(stat.limit)),
                disk_total: disk.map(|(total, _)| total),
                disk_free: disk.map(|(_, free)| free),
                pins: index.complete.then(|| index.set.len()),
            },
            files: FilesState {
                at: String::new(),
                size: mfs.as_ref().and_then(|mfs| exact(mfs.cumulative)),
                entries: tree.complete().then_some(tree.entries),
                root: mfs.map(|mfs| mfs.cid).filter(|cid| cid.len() <= TEXT),
            },
        })
    }

    /// Bytes of the file system that this is on, and those of them that may still be written.
    async fn disk(&self, path: Option<PathBuf>) -> Option<(u64, u64)> {
        let path = path?;
        let looked = self.turns.take(DEADLINE, move || statvfs(&path)).await;
        let found = looked.inspect_err(|error| tracing::debug!("the repo's file system: {error}")).ok()?.ok()?;
        let bytes = |blocks: u64| blocks.checked_mul(found.f_frsize).and_then(exact);
        // One that counts nothing says 0.
        Some((bytes(found.f_blocks).filter(|total| *total > 0)?, bytes(found.f_bavail)?))
    }
}

/// What was answered; the rest is not known, and why is nobody's worry: Kubo may be offline, or too old, or about to stop.
fn known<T>(answer: Result<T, RpcError>) -> Option<T> {
    answer.inspect_err(|error| tracing::debug!("not measured: {}", chain(error))).ok()
}

/// What every reader of JSON gets back exactly. Nothing measured is more; Kubo's "no limit" is.
fn exact(number: u64) -> Option<u64> {
    Some(number).filter(|number| *number <= MOST)
}
