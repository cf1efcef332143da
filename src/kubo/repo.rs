//! The repo and whose it is. A data dir belongs to one node: `node.json` in it says which, from before the first `ipfs init`.
//!
//! `ipfs init` runs only for a data dir that never saw a repo. A repo that has vanished (an unmounted disk looks like an empty
//! directory) and a repo of another node are held, never initialised and never taken for "all pins removed".

use super::state::Event;
use crate::config::Config;
use crate::snapshot::atomic;
use proto_msgs::kubo::Held;
use serde::{Deserialize, Serialize};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

/// `node.json`.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Node {
    /// `null` from before the first `ipfs init` until it has succeeded.
    peer_id: Option<String>,
    repo: PathBuf,
}

/// A repo that may be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repo {
    /// Its node.
    pub peer_id: String,
    /// Kubo's program.
    pub program: PathBuf,
}

/// Checks program and repo, and makes the repo where that is allowed. Blocks: `ipfs init` takes a moment.
/// `index_peer` is the node that the index remembers.
pub fn prepare(config: &Config, index_peer: Option<&str>) -> Result<Repo, Held> {
    let program = find_program(&config.kubo)?;
    let repo = config.ipfs_path.as_path();
    let known = read_node(&config.node_file())?;
    owned_by_us(repo)?;
    let present = read_peer(repo)?;
    let remembered = known.as_ref().and_then(|node| node.peer_id.as_deref()).or(index_peer);
    let peer_id = match (present, remembered) {
        (Some(present), Some(remembered)) if present != remembered => {
            return Err(changed(config, remembered, &present));
        }
        (Some(present), _) => present,
        (None, Some(remembered)) => return Err(missing(config, remembered)),
        (None, None) => {
            let empty = std::fs::read_dir(repo).map_or(true, |mut entries| entries.next().is_none());
            // Half-made: our own init was cut short, so node.json is there without a PeerID.
            if !empty && known.is_none() {
                return Err(held(
                    "repo_unknown",
                    format!("{} is not empty and has no Kubo config", repo.display()),
                    "name another --ipfs-path, or put the repo's config file back",
                ));
            }
            init(config, &program)?
        }
    };
    if known.as_ref().is_none_or(|node| node.peer_id.as_deref() != Some(&peer_id) || node.repo != repo) {
        write_node(config, Some(peer_id.clone()))?;
    }
    if let Some(index) = index_peer.filter(|index| *index != peer_id) {
        return Err(changed(config, index, &peer_id));
    }
    Ok(Repo { peer_id, program })
}

/// What the end of a run means when Kubo could not even be launched.
pub fn not_launched(program: &Path, last_words: &str) -> Event {
    let detail =
        if last_words.is_empty() { format!("{} cannot be started", program.display()) } else { last_words.into() };
    Event::Exited {
        permanent: Some(held("binary_unusable", detail, "install Kubo for this machine, or name it with --kubo")),
    }
}

/// A reason to hold.
pub fn held(cause: &str, detail: impl Into<String>, hint: impl Into<String>) -> Held {
    Held { cause: cause.to_owned(), detail: detail.into(), hint: hint.into() }
}

fn find_program(kubo: &Path) -> Result<PathBuf, Held> {
    let executable = |path: &Path| {
        std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    let found = if kubo.components().count() > 1 {
        Some(kubo.to_owned()).filter(|path| executable(path))
    } else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).map(|dir| dir.join(kubo)).find(|path| executable(path))
    };
    found.ok_or_else(|| {
        let detail = match std::fs::metadata(kubo) {
            Ok(_) => format!("{} is not an executable file", kubo.display()),
            Err(_) => format!("Kubo's program {:?} is not there", kubo.display().to_string()),
        };
        held(
            "binary_missing",
            detail,
            "install Kubo (https://docs.ipfs.tech/install/command-line/) or name it with --kubo",
        )
    })
}

fn read_node(path: &Path) -> Result<Option<Node>, Held> {
    let unreadable = |why: String| {
        held(
            "node_file_unreadable",
            format!("{} says which node this data dir belongs to, and cannot be read: {why}", path.display()),
            "restore it from a backup; without it nobody knows whose index this is",
        )
    };
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| unreadable(e.to_string())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(error.to_string())),
    }
}

fn write_node(config: &Config, peer_id: Option<String>) -> Result<(), Held> {
    let node = Node { peer_id, repo: config.ipfs_path.clone() };
    let path = config.node_file();
    let written =
        serde_json::to_vec_pretty(&node).map_err(io::Error::from).and_then(|bytes| atomic::replace(&path, &bytes));
    written.map_err(|error| {
        held(
            "data_dir_unwritable",
            format!("cannot write {}: {error}", path.display()),
            "make room, or mend the data dir's permissions",
        )
    })
}

fn owned_by_us(repo: &Path) -> Result<(), Held> {
    let us = nix::unistd::geteuid().as_raw();
    match std::fs::metadata(repo) {
        Ok(found) if found.uid() != us => {
            let owner = nix::unistd::User::from_uid(found.uid().into()).ok().flatten();
            let owner = owner.map_or_else(|| format!("uid {}", found.uid()), |user| user.name);
            Err(held(
                "not_owner",
                format!("{} belongs to {owner}, and ipfs-kitd runs as uid {us}", repo.display()),
                format!("run ipfs-kitd as that user (User={owner} in the unit)"),
            ))
        }
        _ => Ok(()),
    }
}

/// The node of the repo that is there; `None` when there is none.
fn read_peer(repo: &Path) -> Result<Option<String>, Held> {
    #[derive(Deserialize)]
    struct KuboConfig {
        #[serde(rename = "Identity")]
        identity: Identity,
    }
    #[derive(Deserialize)]
    struct Identity {
        #[serde(rename = "PeerID")]
        peer_id: String,
    }
    let path = repo.join("config");
    let unreadable = |why: String| {
        held(
            "repo_unreadable",
            format!("cannot read {}: {why}", path.display()),
            "mend the repo's config file or its permissions",
        )
    };
    match std::fs::read(&path) {
        Ok(bytes) => {
            let config: KuboConfig = serde_json::from_slice(&bytes).map_err(|e| unreadable(e.to_string()))?;
            Ok(Some(config.identity.peer_id))
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(unreadable(error.to_string())),
    }
}

fn missing(config: &Config, remembered: &str) -> Held {
    held(
        "repo_missing",
        format!("{} holds no repo, and this data dir belongs to node {remembered}", config.ipfs_path.display()),
        "mount or restore the repo; for a new node use a new --data-dir",
    )
}

fn changed(config: &Config, remembered: &str, present: &str) -> Held {
    held(
        "repo_changed",
        format!("{} is node {present}, and this data dir belongs to node {remembered}", config.ipfs_path.display()),
        "put the old repo back, or give this one a --data-dir of its own",
    )
}

fn init(config: &Config, program: &Path) -> Result<String, Held> {
    let repo = config.ipfs_path.as_path();
    // First of all: from here on this data dir has seen a repo.
    write_node(config, None)?;
    let failed = |why: String| {
        let detail = format!("`ipfs init` in {} failed: {why}", repo.display());
        held("init_failed", detail, "mend what it says; the start is tried again by itself")
    };
    let mut command = Command::new(program);
    command.arg("init").env("IPFS_PATH", repo).stdin(std::process::Stdio::null());
    if !config.init_profiles.is_empty() {
        command.arg("--profile").arg(config.init_profiles.join(","));
    }
    tracing::info!(repo = %repo.display(), profiles = config.init_profiles.join(","), "making a new repo");
    let output = command.output().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        return Err(failed(words.trim().lines().last().unwrap_or("it said nothing").to_owned()));
    }
    // Our own socket serves the RPC; on TCP it would be open to every local user.
    rpc_off_tcp(repo).map_err(|error| failed(format!("cannot adjust its config: {error}")))?;
    read_peer(repo)?.ok_or_else(|| failed("it made no config".to_owned()))
}

fn rpc_off_tcp(repo: &Path) -> io::Result<()> {
    let path = repo.join("config");
    let mut config: serde_json::Value = serde_json::from_slice(&std::fs::read(&path)?)?;
    if let Some(addresses) = config.get_mut("Addresses").and_then(serde_json::Value::as_object_mut) {
        addresses.insert("API".into(), serde_json::Value::Array(Vec::new()));
    }
    atomic::replace(&path, &serde_json::to_vec_pretty(&config)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    /// A data dir, a repo path, and an `ipfs` whose `init` makes a node called `New`.
    fn place() -> (tempfile::TempDir, Config) {
        let dir = tempfile::tempdir().expect("a temp dir");
        let program = dir.path().join("ipfs");
        let script = "#!/bin/sh\nmkdir -p \"$IPFS_PATH\"\nprintf '{\"Identity\":{\"PeerID\":\"New\"},\"Addresses\":{\"API\":\"x\"}}' > \"$IPFS_PATH/config\"\n";
        std::fs::write(&program, script).expect("written");
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).expect("chmod");
        let arg = |name: &str| dir.path().join(name).display().to_string();
        std::fs::create_dir(dir.path().join("data")).expect("made");
        let flags = [
            "x",
            "--data-dir",
            &arg("data"),
            "--runtime-dir",
            "/tmp/r",
            "--ipfs-path",
            &arg("repo"),
            "--kubo",
            &arg("ipfs"),
        ];
        let config = Config::load(&crate::config::Flags::parse_from(flags)).expect("a configuration");
        (dir, config)
    }

    fn repo_of(config: &Config, peer: &str) {
        std::fs::create_dir_all(&config.ipfs_path).expect("made");
        let text = format!("{{\"Identity\":{{\"PeerID\":\"{peer}\"}}}}");
        std::fs::write(config.ipfs_path.join("config"), text).expect("written");
    }

    fn cause(result: Result<Repo, Held>) -> String {
        result.expect_err("held").cause
    }

    #[test]
    fn a_data_dir_that_never_saw_a_repo_gets_one_without_rpc_on_tcp() {
        let (_dir, config) = place();
        assert_eq!(prepare(&config, None).expect("made").peer_id, "New");
        let text = std::fs::read_to_string(config.ipfs_path.join("config")).expect("read");
        let made: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(made["Addresses"]["API"], serde_json::json!([]));
        assert_eq!(prepare(&config, Some("New")).expect("the same").peer_id, "New");
    }

    #[test]
    fn an_existing_repo_is_taken_as_it_is() {
        let (_dir, config) = place();
        repo_of(&config, "Old");
        let before = std::fs::read(config.ipfs_path.join("config")).expect("read");
        assert_eq!(prepare(&config, None).expect("taken").peer_id, "Old");
        assert_eq!(std::fs::read(config.ipfs_path.join("config")).expect("read"), before);
    }

    #[test]
    fn a_vanished_repo_is_held_with_and_without_the_index() {
        let (_dir, config) = place();
        prepare(&config, None).expect("made");
        std::fs::remove_file(config.ipfs_path.join("config")).expect("removed");
        assert_eq!(cause(prepare(&config, None)), "repo_missing");
        std::fs::remove_dir_all(&config.ipfs_path).expect("removed");
        assert_eq!(cause(prepare(&config, None)), "repo_missing");
        std::fs::remove_file(config.node_file()).expect("removed");
        assert_eq!(cause(prepare(&config, Some("New"))), "repo_missing");
        assert!(!config.ipfs_path.exists(), "no init");
    }

    #[test]
    fn another_node_is_held() {
        let (_dir, config) = place();
        prepare(&config, None).expect("made");
        repo_of(&config, "Other");
        assert_eq!(cause(prepare(&config, None)), "repo_changed");
        std::fs::remove_file(config.node_file()).expect("removed");
        assert_eq!(cause(prepare(&config, Some("New"))), "repo_changed");
    }

    #[test]
    fn an_init_that_was_cut_short_is_done_again() {
        let (_dir, config) = place();
        write_node(&config, None).expect("written");
        std::fs::create_dir(&config.ipfs_path).expect("made");
        std::fs::write(config.ipfs_path.join("version"), "18").expect("written");
        assert_eq!(prepare(&config, None).expect("made").peer_id, "New");
    }

    #[test]
    fn a_directory_with_foreign_files_is_not_made_a_repo() {
        let (_dir, config) = place();
        std::fs::create_dir(&config.ipfs_path).expect("made");
        std::fs::write(config.ipfs_path.join("thesis.txt"), "precious").expect("written");
        assert_eq!(cause(prepare(&config, None)), "repo_unknown");
    }

    #[test]
    fn a_missing_program_is_named() {
        let (_dir, mut config) = place();
        config.kubo = "/nonexistent/ipfs".into();
        let held = prepare(&config, None).expect_err("held");
        assert_eq!(held.cause, "binary_missing");
        assert!(held.detail.contains("/nonexistent/ipfs"));
    }
}
