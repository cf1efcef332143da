//! Why Kubo gave no usable answer, and what that is to a client.

use proto_msgs::{Fault, FaultKind};
use std::io;
use std::time::Duration;

/// Why Kubo gave no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum RpcError {
    /// Nobody answers at the socket.
    #[error("Kubo's RPC cannot be reached")]
    Unreachable(#[source] io::Error),
    /// The connection failed.
    #[error("the connection to Kubo's RPC failed")]
    Connection(#[source] hyper::Error),
    /// Too slow.
    #[error("Kubo did not answer within {} s", .0.as_secs())]
    Deadline(Duration),
    /// Kubo said no.
    #[error("Kubo: {message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Kubo's own words.
        message: String,
    },
    /// The answer began well and ended with an error or not at all.
    #[error("Kubo's answer was cut: {0}")]
    Cut(String),
    /// More than was expected.
    #[error("Kubo's answer is longer than {limit} bytes")]
    TooLarge {
        /// In bytes.
        limit: usize,
    },
    /// Not what Kubo answers.
    #[error("Kubo's answer to {call} is not what was expected: {detail}")]
    Malformed {
        /// The call.
        call: &'static str,
        /// Why.
        detail: String,
    },
}

impl RpcError {
    /// Whether it speaks of this process, and says nothing of Kubo.
    pub fn is_our_own(&self) -> bool {
        use rustix::io::Errno;
        let RpcError::Unreachable(error) = self else { return false };
        // The last two: the queue of a listener that lives is full, and no port of ours is free.
        let ours = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS, Errno::AGAIN, Errno::ADDRNOTAVAIL];
        let ours = ours.map(Errno::raw_os_error);
        error.raw_os_error().is_some_and(|error| ours.contains(&error))
    }
}

impl RpcError {
    /// Whether the conversation broke off, which says nothing of what Kubo has done by then.
    pub fn broke_off(&self) -> bool {
        matches!(self, RpcError::Connection(_) | RpcError::Cut(_))
    }

    /// Whether Kubo lacks a block for the answer and was not to fetch it.
    pub fn is_missing_block(&self) -> bool {
        let (RpcError::Refused { message: words, .. } | RpcError::Cut(words)) = self else { return false };
        words.contains("not found locally") || words.contains("could not find")
    }

    /// Whether Kubo could read the block, and it is no UnixFS.
    pub fn is_no_unixfs(&self) -> bool {
        let RpcError::Refused { message, .. } = self else { return false };
        ["not unixfs", "proto: ", "unrecognized node type"].iter().any(|words| message.starts_with(words))
    }
}

impl RpcError {
    /// Whether Kubo says that what is asked for is not pinned, or not in this way.
    pub fn is_not_pinned(&self) -> bool {
        let RpcError::Refused { message, .. } = self else { return false };
        ["not pinned", "not recursively pinned"].iter().any(|words| message.contains(words))
    }
}

impl From<RpcError> for Fault {
    fn from(error: RpcError) -> Fault {
        let (detail, not_pinned) = (error.to_string(), error.is_not_pinned());
        match error {
            RpcError::Unreachable(_) | RpcError::Connection(_) => Fault::new(FaultKind::KuboDown, detail)
                .hint("Kubo ended, is being restarted, or hung up; `ipfs-kitctl kubo status` says which"),
            RpcError::Deadline(_) => Fault::new(FaultKind::Timeout, detail),
            RpcError::Refused { .. } if not_pinned => {
                Fault::new(FaultKind::NotFound, detail).hint("`ipfs-kitctl pin ls` shows what is pinned")
            }
            RpcError::Refused { status: 400, .. } => Fault::new(FaultKind::Invalid, detail),
            RpcError::Refused { .. } | RpcError::Cut(_) | RpcError::TooLarge { .. } | RpcError::Malformed { .. } => {
                Fault::new(FaultKind::Kubo, detail)
            }
        }
    }
}
