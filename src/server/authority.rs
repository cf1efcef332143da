//! Who may call: the daemon's own uid and root. The kernel says who calls, once, at accept; a PID or a name that a client
//! sends decides nothing.

use interprocess::local_socket::tokio::Stream;
use interprocess::local_socket::traits::StreamCommon;
use proto_msgs::{Fault, FaultKind};

/// The caller, as of its `connect`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub(crate) uid: u32,
}

/// Asks the kernel who connected; refuses everybody but the daemon's own uid and root.
pub(crate) fn identify(stream: &Stream) -> Result<Peer, Fault> {
    let uid = stream.peer_creds().ok().and_then(|creds| creds.euid());
    let own = nix::unistd::geteuid().as_raw();
    match uid {
        Some(uid) if uid == own || uid == 0 => Ok(Peer { uid }),
        Some(uid) => Err(denied(format!("uid {uid} may not use this ipfs-kitd, which runs as uid {own}"))),
        None => Err(denied("the kernel does not say who connected, so the connection is refused".to_owned())),
    }
}

fn denied(detail: String) -> Fault {
    Fault::new(FaultKind::Denied, detail).hint("call it as the user that runs it, or as root")
}
