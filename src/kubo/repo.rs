//! The repo and whose it is. A data dir belongs to one node: `node.json` in it says which, from before the first `ipfs init`.
//!
//! `ipfs init` runs only for a data dir that never saw a repo. A repo that has vanished (an unmounted disk looks like an empty
//! directory) and a repo of another node are held, never initialised and never taken for "all pins removed". A repo that was
//! there before the daemon is never changed.

use super::address::Address;
use super::attach;
use super::care;
use super::command;
use super::memory::rpc_socket;
use super::process::clean;
use super::rpc::Rpc;
use crate::config::Config;
use crate::janitor::evidence::Looks;
use crate::janitor::start;
use crate::outside::{self, Unanswered};
use crate::snapshot::atomic;
use proto_msgs::doctor::Finding;
use proto_msgs::kubo::Held;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// For a look at the repo; a file system that takes longer, such as a network one that is gone, may never answer.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);
/// For `ipfs init`.
const INIT_DEADLINE: Duration = Duration::from_secs(120);

/// `node.json`.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Node {
    /// `null` from before the first `ipfs init` until it has succeeded.
    peer_id: Option<String>,
    /// `null` when somebody else runs the node.
    repo: Option<PathBuf>,
}

/// A node that may be started, or followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repo {
    /// Its identity.
    pub peer_id: String,
    /// Kubo's program; `None` when somebody else runs it.
    pub program: Option<PathBuf>,
    /// The way to its RPC.
    pub rpc: Rpc,
    /// Where its repo is, as far as that is known.
    pub repo: Option<PathBuf>,
    /// Where its own config says that its RPC is.
    pub api: Vec<String>,
    /// What in its config breaks it, or can harm.
    pub warnings: Vec<Finding>,
}

/// What a look has found: a repo that may be started, or made.
#[derive(Debug)]
pub struct Found {
    program: PathBuf,
    rpc: Rpc,
    plan: Plan,
}

#[derive(Debug)]
enum Plan {
    /// The repo of this node is there.
    Take(String),
    /// There is to be one.
    Init,
    /// Our own init was cut short by the end of the daemon or of the machine, before the repo was complete ...
    InitAgain,
    /// ... or after that.
    Finish,
}

impl Found {
    /// How long [`ready`] may take.
    pub fn deadline(&self) -> Duration {
        match self.plan {
            Plan::Take(_) => DEADLINE,
            Plan::Init | Plan::InitAgain | Plan::Finish => INIT_DEADLINE + DEADLINE,
        }
    }
}

/// Checks program, repo and lock. Blocks. `index_peer` is the node that the index remembers; `looks` what former looks saw.
pub fn look(config: &Config, index_peer: Option<&str>, looks: &mut Looks) -> Result<Found, Held> {
    let program = find_program(&config.kubo)?;
    let repo = config.ipfs_path.as_path();
    let (node, present) = whose(config, index_peer)?;
    start::clear(repo, looks)?;
    let half_made = is_half_made(node.as_ref(), repo);
    let plan = match present {
        Some(_) if half_made && !is_complete(repo) => Plan::InitAgain,
        Some(_) if half_made => Plan::Finish,
        Some(peer_id) => {
            note(config, node, &peer_id, Some(repo.to_owned()))?;
            Plan::Take(peer_id)
        }
        None if half_made || is_empty(repo) => Plan::Init,
        None => return Err(unknown(repo)),
    };
    // Also on our own socket: API.Authorizations of the repo's config hold for every listener.
    let rpc = attach::with_secret(config, Rpc::new(Address::Unix(rpc_socket(config))))?;
    Ok(Found { program, rpc, plan })
}

/// Makes the repo, where there is to be one, and says how its Kubo is started. Blocks: `ipfs init` takes a moment.
pub fn ready(config: &Config, Found { program, rpc, plan }: Found) -> Result<Repo, Held> {
    let repo = config.ipfs_path.as_path();
    let peer_id = match plan {
        Plan::Take(peer_id) => peer_id,
        Plan::Init => init(config, &program)?,
        Plan::InitAgain => {
            // Aside and not away: it holds a private key, though one that never was in use.
            let aside = std::fs::rename(repo.join("config"), repo.join("config.unfinished"));
            aside.map_err(|error| init_failed(repo, &format!("cannot set its unfinished config aside: {error}")))?;
            init(config, &program)?
        }
        Plan::Finish => finish(config)?,
    };
    let (found, version) = settings(repo);
    Ok(Repo {
        peer_id,
        program: Some(program),
        rpc,
        repo: Some(repo.to_owned()),
        api: care::api(&found),
        warnings: care::warnings(repo, &found, version, Some(&config.kubo_args), config.stop_grace),
    })
}

/// What this data dir and the repo remember of their node, if they agree and the repo is ours; by reading alone.
fn whose(config: &Config, index_peer: Option<&str>) -> Result<(Option<Node>, Option<String>), Held> {
    let node = read_node(&config.node_file())?;
    owned_by_us(&config.ipfs_path)?;
    let present = read_peer(&config.ipfs_path)?;
    remembered(config, node.as_ref(), index_peer, present.as_deref())?;
    Ok((node, present))
}

/// Whether the repo is one that [`look`] would take or make, by reading alone.
pub(super) fn identity(config: &Config, index_peer: Option<&str>) -> Result<(), Held> {
    let repo = config.ipfs_path.as_path();
    let (node, present) = whose(config, index_peer)?;
    let may_be_made = || is_half_made(node.as_ref(), repo) || is_empty(repo);
    if present.is_some() || may_be_made() { Ok(()) } else { Err(unknown(repo)) }
}

/// Whether what is there is the node that this data dir belongs to, should it belong to one.
fn remembered(
    config: &Config,
    node: Option<&Node>,
    index_peer: Option<&str>,
    present: Option<&str>,
) -> Result<(), Held> {
    let known = node.and_then(|node| node.peer_id.as_deref());
    for remembered in [known, index_peer].into_iter().flatten() {
        match present {
            None => return Err(missing(config, remembered)),
            Some(present) if present != remembered => {
                return Err(changed(&config.ipfs_path.display().to_string(), remembered, present));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Our own init was cut short by the end of the daemon or of the machine.
fn is_half_made(node: Option<&Node>, repo: &Path) -> bool {
    node.is_some_and(|node| node.peer_id.is_none() && node.repo.as_deref() == Some(repo))
}

/// The repo's config and its version, as far as they can be read.
pub(crate) fn settings(repo: &Path) -> (serde_json::Value, u32) {
    let config = outside::read(&repo.join("config")).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let version = outside::read_text(&repo.join("version")).ok().and_then(|text| text.trim().parse().ok());
    (config.unwrap_or_default(), version.unwrap_or(0))
}

/// Whether this data dir may belong to the node that somebody else runs; from here on it does. Blocks.
pub(super) fn belongs_here(config: &Config, present: &str, index_peer: Option<&str>) -> Result<(), Held> {
    let node = read_node(&config.node_file())?;
    let known = node.as_ref().and_then(|node| node.peer_id.as_deref());
    if let Some(other) = [known, index_peer].into_iter().flatten().find(|remembered| *remembered != present) {
        return Err(changed("the Kubo that answers", other, present));
    }
    note(config, node, present, None)
}

fn note(config: &Config, node: Option<Node>, peer_id: &str, repo: Option<PathBuf>) -> Result<(), Held> {
    let new = Node { peer_id: Some(peer_id.to_owned()), repo };
    if node.as_ref() == Some(&new) { Ok(()) } else { write_node(config, &new) }
}

fn is_empty(repo: &Path) -> bool {
    match std::fs::read_dir(repo) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// `ipfs init` writes `version` last of what a start needs.
fn is_complete(repo: &Path) -> bool {
    std::fs::metadata(repo.join("version")).is_ok_and(|found| found.len() > 0)
}

/// A reason to hold.
pub fn held(cause: &str, detail: impl Into<String>, hint: impl Into<String>) -> Held {
    Held { cause: cause.to_owned(), detail: detail.into(), hint: hint.into() }
}

/// Why a look, or the making of a repo, has brought nothing.
pub(super) fn unanswered(config: &Config, error: Unanswered) -> Held {
    let repo = config.ipfs_path.display();
    match error {
        Unanswered::Late(_) => held(
            "repo_unresponsive",
            format!("looking at the repo {repo} brought {error}"),
            "see whether the file systems of the repo, the data dir and Kubo's program are mounted and alive; the start follows by itself",
        ),
        Unanswered::Failed(error) => held("internal", format!("looking at the repo failed: {error}"), "see the log"),
    }
}

/// Whether it is a file that somebody may execute.
pub fn is_program(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

pub(super) fn find_program(kubo: &Path) -> Result<PathBuf, Held> {
    let found = if kubo.components().count() > 1 {
        Some(kubo.to_owned()).filter(|path| is_program(path))
    } else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).map(|dir| dir.join(kubo)).find(|path| is_program(path))
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
            "if the repo is the one that this data dir was made with, remove the file, and it is written anew; otherwise restore it",
        )
    };
    match outside::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| unreadable(e.to_string())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(error.to_string())),
    }
}

fn write_node(config: &Config, node: &Node) -> Result<(), Held> {
    let path = config.node_file();
    let written =
        serde_json::to_vec_pretty(node).map_err(io::Error::from).and_then(|bytes| atomic::replace(&path, &bytes));
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
    let config: KuboConfig = match outside::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| unreadable(&path, &e.into()))?,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(unreadable(&path, &error)),
    };
    // Kubo waits at a pipe without end.
    let version = repo.join("version");
    match outside::read(&version) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unreadable(&version, &error)),
        _ => Ok(Some(config.identity.peer_id)),
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Held {
    held(
        "repo_unreadable",
        format!("cannot read {}: {error}", path.display()),
        "mend that file of the repo, or its permissions",
    )
}

fn missing(config: &Config, remembered: &str) -> Held {
    held(
        "repo_missing",
        format!("{} holds no repo, and this data dir belongs to node {remembered}", config.ipfs_path.display()),
        "mount or restore the repo; for a new node use a new --data-dir",
    )
}

fn changed(what: &str, remembered: &str, present: &str) -> Held {
    held(
        "repo_changed",
        format!("{what} is node {present}, and this data dir belongs to node {remembered}"),
        "put the old repo back, or give this one a --data-dir of its own",
    )
}

fn unknown(repo: &Path) -> Held {
    held(
        "repo_unknown",
        format!("{} is not empty and has no Kubo config", repo.display()),
        "name another --ipfs-path, or put the repo's config file back",
    )
}

fn init_failed(repo: &Path, why: &str) -> Held {
    let detail = format!("`ipfs init` in {} failed: {why}", repo.display());
    held("init_failed", detail, "mend what it says; the start is tried again by itself")
}

fn unfinished(repo: &Path) -> Node {
    Node { peer_id: None, repo: Some(repo.to_owned()) }
}

fn init(config: &Config, program: &Path) -> Result<String, Held> {
    let repo = config.ipfs_path.as_path();
    // First of all: from here on this data dir has seen a repo.
    write_node(config, &unfinished(repo))?;
    let mut command = Command::new(program);
    clean(&mut command).arg("init").env("IPFS_PATH", repo);
    if !config.init_profiles.is_empty() {
        command.arg("--profile").arg(config.init_profiles.join(","));
    }
    tracing::info!(repo = %repo.display(), profiles = config.init_profiles.join(","), "making a new repo");
    if let Err(why) = command::run(command, INIT_DEADLINE, None) {
        if is_empty(repo) {
            // It made nothing, so this data dir has seen no repo after all. Where that can't be noted, the next try notes it.
            let _ = std::fs::remove_file(config.node_file());
        }
        return Err(init_failed(repo, &why));
    }
    finish(config)
}

/// The rest of the making of a repo, after `ipfs init` and again when the daemon was cut short there.
fn finish(config: &Config) -> Result<String, Held> {
    let repo = config.ipfs_path.as_path();
    let failed = |what: &str, error: io::Error| init_failed(repo, &format!("cannot {what}: {error}"));
    // Our own socket serves the RPC; on TCP it would be open to every local user.
    rpc_off_tcp(repo).map_err(|error| failed("adjust its config", error))?;
    // `node.json` must not outlive the repo that it speaks of in a power cut.
    let synced = File::open(repo).and_then(|dir| Ok(rustix::fs::syncfs(dir)?));
    synced.map_err(|error| failed("put it on disk", error))?;
    let peer_id = read_peer(repo)?.ok_or_else(|| init_failed(repo, "it made no config"))?;
    note(config, None, &peer_id, Some(repo.to_owned()))?;
    Ok(peer_id)
}

fn rpc_off_tcp(repo: &Path) -> io::Result<()> {
    let path = repo.join("config");
    let mut config: serde_json::Value = serde_json::from_slice(&outside::read(&path)?)?;
    if let Some(addresses) = config.get_mut("Addresses").and_then(serde_json::Value::as_object_mut) {
        addresses.insert("API".into(), serde_json::Value::Array(Vec::new()));
    }
    atomic::replace(&path, &serde_json::to_vec_pretty(&config)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    /// A data dir, a repo path, and the stand-in for Kubo, whose `init` makes a node called `New`.
    fn place() -> (tempfile::TempDir, Config) {
        let dir = tempfile::tempdir().expect("a temp dir");
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts/ipfs").display().to_string();
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
            &program,
        ];
        let config = Config::load(&crate::config::Flags::parse_from(flags)).expect("a configuration");
        (dir, config)
    }

    fn repo_of(config: &Config, peer: &str) {
        std::fs::create_dir_all(&config.ipfs_path).expect("made");
        let text = format!("{{\"Identity\":{{\"PeerID\":\"{peer}\"}}}}");
        std::fs::write(config.ipfs_path.join("config"), text).expect("written");
    }

    fn prepare(config: &Config, index_peer: Option<&str>) -> Result<Repo, Held> {
        ready(config, look(config, index_peer, &mut Looks::default())?)
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
        write_node(&config, &unfinished(&config.ipfs_path)).expect("written");
        std::fs::create_dir(&config.ipfs_path).expect("made");
        std::fs::write(config.ipfs_path.join("config123"), "{").expect("written");
        assert_eq!(prepare(&config, None).expect("made").peer_id, "New");
    }

    #[test]
    fn an_init_that_was_cut_short_after_its_config_is_done_again_and_the_key_is_kept() {
        let (_dir, config) = place();
        write_node(&config, &unfinished(&config.ipfs_path)).expect("written");
        repo_of(&config, "Half");
        assert_eq!(prepare(&config, None).expect("made").peer_id, "New");
        let aside = std::fs::read_to_string(config.ipfs_path.join("config.unfinished")).expect("kept");
        assert!(aside.contains("Half"));
    }

    #[test]
    fn an_init_that_was_cut_short_at_its_very_end_is_finished() {
        let (_dir, config) = place();
        write_node(&config, &unfinished(&config.ipfs_path)).expect("written");
        let text = r#"{"Identity":{"PeerID":"Made"},"Addresses":{"API":"/ip4/127.0.0.1/tcp/5001"}}"#;
        std::fs::create_dir(&config.ipfs_path).expect("made");
        std::fs::write(config.ipfs_path.join("config"), text).expect("written");
        std::fs::write(config.ipfs_path.join("version"), "18\n").expect("written");
        assert_eq!(prepare(&config, None).expect("finished").peer_id, "Made");
        let text = std::fs::read_to_string(config.ipfs_path.join("config")).expect("read");
        assert!(!text.contains("5001"), "{text}");
        assert_eq!(read_node(&config.node_file()).expect("read").expect("there").peer_id.as_deref(), Some("Made"));
    }

    #[test]
    fn an_init_that_fails_is_told_in_its_words_and_leaves_the_data_dir_new() {
        let (_dir, mut config) = place();
        config.init_profiles = vec!["wrong".into()];
        let held = prepare(&config, None).expect_err("held");
        assert_eq!(held.cause, "init_failed");
        assert!(held.detail.ends_with("failed: Error: invalid configuration profile: wrong"), "{}", held.detail);
        repo_of(&config, "Theirs");
        let before = std::fs::read(config.ipfs_path.join("config")).expect("read");
        assert_eq!(prepare(&config, None).expect("taken").peer_id, "Theirs");
        assert_eq!(std::fs::read(config.ipfs_path.join("config")).expect("read"), before);
    }

    #[test]
    fn an_init_that_was_cut_short_elsewhere_gives_no_right_to_another_repo() {
        let (_dir, config) = place();
        let elsewhere = unfinished(Path::new("/some/where/else"));
        let unfinished = serde_json::to_vec(&elsewhere).expect("JSON");
        std::fs::create_dir_all(&config.data_dir).expect("made");
        std::fs::write(config.node_file(), &unfinished).expect("written");
        repo_of(&config, "Theirs");
        let before = std::fs::read(config.ipfs_path.join("config")).expect("read");
        assert_eq!(prepare(&config, None).expect("taken").peer_id, "Theirs");
        assert_eq!(std::fs::read(config.ipfs_path.join("config")).expect("read"), before);

        std::fs::write(config.node_file(), &unfinished).expect("written");
        std::fs::remove_dir_all(&config.ipfs_path).expect("removed");
        std::fs::create_dir(&config.ipfs_path).expect("made");
        std::fs::write(config.ipfs_path.join("letter.txt"), "dear").expect("written");
        assert_eq!(cause(prepare(&config, None)), "repo_unknown");
    }

    #[test]
    fn a_lock_that_somebody_holds_comes_before_an_init() {
        let (_dir, config) = place();
        std::fs::create_dir(&config.ipfs_path).expect("made");
        std::fs::write(config.ipfs_path.join("repo.lock"), "{\"OwnerPID\":1}\n").expect("written");
        assert_eq!(cause(prepare(&config, None)), "lock_unknown");
        assert_eq!(read_node(&config.node_file()).expect("read"), None);
    }

    #[test]
    fn a_pipe_in_a_files_place_is_told_and_not_waited_for() {
        for name in ["config", "version"] {
            let (_dir, config) = place();
            repo_of(&config, "Old");
            let pipe = config.ipfs_path.join(name);
            let _ = std::fs::remove_file(&pipe);
            nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("made");
            let held = prepare(&config, None).expect_err("held");
            let detail = format!("cannot read {}: it is a pipe and no regular file", pipe.display());
            assert_eq!((held.cause.as_str(), held.detail), ("repo_unreadable", detail));
        }
        let (_dir, mut config) = place();
        let pipe = config.data_dir.join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("made");
        config.api_auth_file = Some(pipe.clone());
        let held = prepare(&config, None).expect_err("held");
        assert!(held.cause == "secret_unusable" && held.detail.contains("it is a pipe"), "{}", held.detail);
        // A repo that is one.
        (config.api_auth_file, config.ipfs_path) = (None, pipe);
        assert_eq!(cause(prepare(&config, None)), "repo_unknown");
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
