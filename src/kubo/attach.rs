//! A Kubo that somebody else runs: found at the address of its RPC, held against the node that the data dir belongs to, followed,
//! and never signalled. What its repo is, only its owner knows for certain, so nothing in a repo is touched either.

use super::address::{Address, NoAddress};
use super::care;
use super::memory::rpc_socket;
use super::repo::{self, Repo, held};
use super::rpc::{Rpc, RpcError};
use super::signs::look;
use crate::config::{Attach, Config};
use crate::outside::{self, Turns, Unanswered};
use proto_msgs::kubo::Held;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Finds it. `index_peer` is the node that the index remembers.
pub(super) async fn find(
    config: Arc<Config>,
    attach: Attach,
    index_peer: Option<String>,
    turns: &Turns,
) -> Result<Repo, Held> {
    let unanswered = |error: Unanswered| repo::unanswered(&config, error);
    let rpc = {
        let config = config.clone();
        turns.take(repo::DEADLINE, move || way(&config, &attach)).await.map_err(unanswered)??
    };
    // As for ours: who answers, and whether it is well.
    let peer_id = look(&rpc).await.map_err(|error| not_reachable(&rpc, &error))?;
    let here = config.clone();
    let found = turns.take(repo::DEADLINE, move || {
        let config = here;
        repo::belongs_here(&config, &peer_id, index_peer.as_deref())?;
        // As far as its config can be read, it is the config of a repo that was named, and is that node's.
        let (found, version) = repo::settings(&config.ipfs_path);
        let same = found["Identity"]["PeerID"] == peer_id;
        let found = if same { found } else { serde_json::Value::Null };
        let warnings = care::warnings(&config.ipfs_path, &found, version, None, config.stop_grace);
        let repo = same.then(|| config.ipfs_path.clone());
        Ok(Repo { peer_id, program: None, rpc, repo, api: care::api(&found), warnings })
    });
    found.await.map_err(unanswered)?
}

/// Why a Kubo that somebody else runs is not to be reached.
pub(super) fn not_reachable(rpc: &Rpc, error: &RpcError) -> Held {
    let at = rpc.address();
    match error {
        RpcError::Refused { status: 401 | 403, message } => held(
            "not_authorized",
            format!("Kubo's RPC at {at} refuses us: {message}"),
            "put the secret of one of its API.Authorizations into the file that api_auth_file names",
        ),
        error => held(
            "not_reachable",
            format!("no Kubo answers at {at}: {}", crate::fault::chain(error)),
            "start it where it is run (for example `systemctl start ipfs`), or set attach to where its RPC is",
        ),
    }
}

fn way(config: &Config, attach: &Attach) -> Result<Rpc, Held> {
    let address = match attach {
        Attach::At(address) => address.clone(),
        Attach::Repo => api_file(&config.ipfs_path)?,
    };
    with_secret(config, Rpc::new(address))
}

/// The same with the secret that the RPC asks for, where one is configured.
pub(super) fn with_secret(config: &Config, rpc: Rpc) -> Result<Rpc, Held> {
    let Some(file) = &config.api_auth_file else { return Ok(rpc) };
    let unusable = |why: String| {
        let detail = format!("{} holds no secret for Kubo's RPC: {why}", file.display());
        held("secret_unusable", detail, "write one line into it, bearer:<token> or basic:<user>:<password>")
    };
    let secret = outside::read_text(file).map_err(|error| unusable(error.to_string()))?;
    rpc.with_secret(&secret).ok_or_else(|| unusable("it has another form".to_owned()))
}

/// Whether the file with the secret, where one is configured, can be read and holds one.
pub(super) fn secret(config: &Config) -> Result<(), Held> {
    with_secret(config, Rpc::new(Address::Unix(rpc_socket(config)))).map(drop)
}

/// The address that a running Kubo writes into its repo.
fn api_file(repo: &Path) -> Result<Address, Held> {
    let path = repo.join("api");
    let hint = "start that Kubo, or set attach to where its RPC is";
    match outside::read_text(&path) {
        Ok(text) => text.trim().parse().map_err(|wanted: NoAddress| {
            held("not_reachable", format!("{} says {:?}, and not {wanted}", path.display(), text.trim()), hint)
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let detail = format!("{} is not there, so no Kubo that serves its RPC runs on this repo", path.display());
            Err(held("not_reachable", detail, hint))
        }
        Err(error) => Err(held("not_reachable", format!("cannot read {}: {error}", path.display()), hint)),
    }
}
