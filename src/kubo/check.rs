//! What a start of Kubo would be held for, and what its config can harm, by a look that makes and changes nothing: for a configuration
//! that nobody runs yet, and for a node whose repo was changed while it runs. Blocks.

use super::attach;
use super::care;
use super::repo;
use crate::config::Config;
use crate::shell;
use proto_msgs::doctor::{Finding, Severity};
use proto_msgs::kubo::Held;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;

/// What is seen now.
#[derive(Debug, Default)]
pub struct Seen {
    /// What a start would be held for. Of locks and of whatever only a try shows, nothing is known here.
    pub held: Vec<Held>,
    /// What in the repo's config breaks Kubo or can harm, and a secret that is none.
    pub warnings: Vec<Finding>,
    /// Whether something that is no file and no directory stands in the place of the repo's lock.
    pub odd_lock: bool,
}

/// Looks. Of somebody else's Kubo the repo counts only when it is that of this node.
pub fn now(config: &Config, peer_id: Option<&str>) -> Seen {
    let repo = config.ipfs_path.as_path();
    let ours = config.attach.is_none();
    let mut held = Vec::new();
    if ours {
        held.extend(repo::find_program(&config.kubo).err());
        held.extend(repo::identity(config, peer_id).err());
    }
    held.extend(attach::secret(config).err());
    let (found, version) = repo::settings(repo);
    let its = ours || peer_id.is_some_and(|peer_id| found["Identity"]["PeerID"] == peer_id);
    let found = if its { found } else { Value::Null };
    let args = ours.then_some(config.kubo_args.as_slice());
    let mut warnings = care::warnings(repo, &found, version, args, config.stop_grace);
    warnings.extend(exposed(config));
    let lock = repo.join("repo.lock").symlink_metadata();
    let odd_lock = ours && lock.is_ok_and(|lock| !lock.is_file() && !lock.is_dir());
    Seen { held, warnings, odd_lock }
}

/// A secret that everybody on this machine may read, or change. A group may be the one of the service.
pub fn exposed(config: &Config) -> Option<Finding> {
    let file = config.api_auth_file.as_deref()?;
    let mode = std::fs::metadata(file).ok()?.permissions().mode() & 0o7777;
    (mode & 0o007 != 0).then(|| Finding {
        cause: "secret_exposed".to_owned(),
        severity: Severity::Warning,
        detail: format!(
            "{} holds the secret of Kubo's RPC and is open to every user (mode {mode:04o})",
            file.display()
        ),
        hint: "take it from them; who may have read it can do everything with the node, so a new secret is better"
            .to_owned(),
        command: Some(format!("chmod o= {}", shell::quoted(&file.display().to_string()))),
    })
}
