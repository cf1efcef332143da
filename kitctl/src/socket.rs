//! Which socket: the one that was named (by flag or environment), or the first of the usual places where somebody answers:
//! the user's runtime directory, the user's data directory, the system's. Refuses nothing; what failed is told path by path.

use crate::exit::Failure;
use proto_msgs::{Client, ClientError, SOCKET_NAME};
use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

const PROGRAM: &str = concat!("ipfs-kitctl ", env!("CARGO_PKG_VERSION"));

/// Connects. A socket that was named is the only one tried. `offline`: a snapshot could answer instead.
pub(crate) fn connect(named: Option<&Path>, within: Option<Duration>, offline: bool) -> Result<Client, Failure> {
    let mut tried = Vec::new();
    for path in candidates(named) {
        match Client::connect_within(&path, PROGRAM, within.unwrap_or(Duration::MAX)) {
            Err(ClientError::Unreachable { path, source }) => tried.push((path, source)),
            connected => return connected.map_err(Failure::from),
        }
    }
    Err(Failure::Unreachable { tried, offline })
}

fn candidates(named: Option<&Path>) -> Vec<PathBuf> {
    let dir = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(path) = named.map(Path::to_owned).or_else(|| dir("IPFS_KITD_SOCKET")) {
        return vec![path];
    }
    let user = dir("XDG_RUNTIME_DIR").map(|dir| dir.join("ipfs-kitd"));
    let data = dir("HOME").map(|home| home.join(".ipfs_kit/run"));
    let system = Some(PathBuf::from("/run/ipfs-kitd"));
    [user, data, system].into_iter().flatten().map(|dir| dir.join(SOCKET_NAME)).collect()
}
