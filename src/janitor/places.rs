//! What there is to judge: a node's lock, its datastores, and what lies beside them, as the repo's own files name it.

use super::address;
use crate::config::Config;
use crate::kubo::{care, memory};
use crate::outside;
use proto_msgs::lock::LockRole;
use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};

/// Directories of a cluster that are looked at.
const STORES: usize = 64;

/// A lock and what is written under it.
#[derive(Clone, Debug)]
pub struct Site {
    /// The lock.
    pub lock: PathBuf,
    /// What it is.
    pub role: LockRole,
    /// The directories of its datastores; why they are not known, where they are not.
    pub stores: Result<Vec<PathBuf>, String>,
    /// The file with its API's address.
    pub api: Option<PathBuf>,
    /// Everything else.
    pub beside: Vec<(PathBuf, LockRole)>,
}

/// Everything that is looked at.
#[derive(Clone, Debug)]
pub struct Places {
    /// The repo first, where there is one.
    pub sites: Vec<Site>,
    /// Sockets of the daemon's own.
    pub own: Vec<PathBuf>,
}

impl Places {
    /// What can be in the way of a start of Kubo on this repo. Reads the repo's files.
    pub fn of_repo(repo: &Path) -> Places {
        Places { sites: vec![repo_site(repo)], own: Vec::new() }
    }

    /// The same, and what else people ask about. `with_repo`: whether the configured repo is any business of ours.
    pub fn all(config: &Config, with_repo: bool) -> Places {
        let repo = with_repo.then(|| repo_site(&config.ipfs_path));
        Places {
            sites: repo.into_iter().chain(cluster_site()).collect(),
            own: std::iter::once(config.socket()).chain(memory::sockets(config)).collect(),
        }
    }
}

fn repo_site(repo: &Path) -> Site {
    let config = json(&repo.join("config"));
    let mut beside = vec![(repo.join("daemon.lock"), LockRole::OldLock)];
    // Without a config it is no repo: an `api` alone is how people point the command line at another host.
    if let Ok(Some(config)) = &config {
        let named = |name: &str, role| (repo.join(name), role);
        beside.extend(["api", "gateway"].map(|name| named(name, LockRole::Address)));
        beside.extend([".api.tmp", ".gateway.tmp"].map(|name| named(name, LockRole::Leftover)));
        beside.extend(sockets(config).into_iter().map(|path| (path, LockRole::Socket)));
    }
    let stores = match (&config, json(&repo.join("datastore_spec"))) {
        (_, Ok(Some(spec))) => {
            let mut dirs = Vec::new();
            stores(&spec, repo, &mut dirs);
            Ok(dirs)
        }
        // No repo yet.
        (Ok(None), Ok(None)) => Ok(Vec::new()),
        (_, Ok(None)) => Err("the repo has no datastore_spec".to_owned()),
        (_, Err(error)) => Err(format!("datastore_spec cannot be read: {error}")),
    };
    Site { lock: repo.join("repo.lock"), role: LockRole::RepoLock, stores, api: Some(repo.join("api")), beside }
}

/// `$IPFS_CLUSTER_PATH`, else `~/.ipfs-cluster`, where there is a lock.
fn cluster_site() -> Option<Site> {
    let named = std::env::var_os("IPFS_CLUSTER_PATH").filter(|path| !path.is_empty()).map(PathBuf::from);
    let dir = named.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".ipfs-cluster")))?;
    let lock = dir.join("cluster.lock");
    lock.symlink_metadata().ok()?;
    let below = std::fs::read_dir(&dir).map_err(|error| format!("{} cannot be read: {error}", dir.display()));
    let stores = below.map(|entries| {
        let dirs = entries.filter_map(Result::ok).map(|entry| entry.path()).filter(|path| path.join("LOCK").exists());
        dirs.take(STORES).collect()
    });
    Some(Site { lock, role: LockRole::ClusterLock, stores, api: None, beside: Vec::new() })
}

/// The Unix sockets on which Kubo is to listen; one that is there already keeps it from starting (kubo#6856).
fn sockets(config: &Value) -> Vec<PathBuf> {
    let of = |listener| care::addresses(config, listener);
    ["API", "Gateway"].into_iter().flat_map(of).filter_map(|address| address::socket(&address)).collect()
}

/// The directories with a lock of their own. flatfs has none.
fn stores(spec: &Value, repo: &Path, found: &mut Vec<PathBuf>) {
    if let (Some(kind), Some(path)) = (spec["type"].as_str(), spec["path"].as_str())
        && kind != "flatfs"
    {
        found.push(repo.join(path));
    }
    for child in spec["mounts"].as_array().into_iter().flatten().chain(spec.get("child")) {
        stores(child, repo, found);
    }
}

fn json(path: &Path) -> io::Result<Option<Value>> {
    match outside::read(path) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        read => Ok(Some(serde_json::from_slice(&read?)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_sockets_of_the_config_are_found_whether_it_names_one_or_several() {
        let config = json!({"Addresses": {
            "API": ["/ip4/127.0.0.1/tcp/5001", "/unix/run/ipfs/api.sock"], "Gateway": "/unix/run/ipfs/gw.sock", "Swarm": [],
        }});
        assert_eq!(sockets(&config), [Path::new("/run/ipfs/api.sock"), Path::new("/run/ipfs/gw.sock")]);
        assert_eq!(sockets(&json!({"Addresses": {"API": 5}})), Vec::<PathBuf>::new());
        assert_eq!(sockets(&json!(null)), Vec::<PathBuf>::new());
    }

    #[test]
    fn datastores_are_those_of_the_spec_however_deep_but_not_flatfs() {
        let spec = json!({"type": "mount", "mounts": [
            {"type": "measure", "child": {"type": "flatfs", "path": "blocks"}},
            {"type": "measure", "child": {"type": "pebbleds", "path": "pebbleds"}},
            {"type": "levelds", "path": "datastore"},
        ]});
        let mut found = Vec::new();
        stores(&spec, Path::new("/r"), &mut found);
        assert_eq!(found, [Path::new("/r/pebbleds"), Path::new("/r/datastore")]);
    }

    #[test]
    fn without_a_config_an_api_file_is_nobodys_business_and_without_a_spec_the_stores_are_not_known() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let site = || Places::of_repo(dir.path()).sites.remove(0);
        std::fs::write(dir.path().join("api"), "/ip4/192.0.2.1/tcp/5001").expect("written");
        assert!(site().beside.iter().all(|(_, role)| *role == LockRole::OldLock));
        assert_eq!(site().stores, Ok(Vec::new()));
        std::fs::write(dir.path().join("config"), "{}").expect("written");
        assert!(site().beside.iter().any(|(path, _)| path.ends_with("api")));
        assert!(site().stores.is_err());
        nix::unistd::mkfifo(&dir.path().join("datastore_spec"), nix::sys::stat::Mode::S_IRWXU).expect("made");
        assert!(site().stores.is_err(), "and nobody waits for a pipe");
    }
}
