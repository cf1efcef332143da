//! What can be seen of a file, of the kernel's locks and of the processes around it. Plain values: `evidence` gathers them, `verdict`
//! judges them.

use jiff::Timestamp;
use proto_msgs::lock::LockRole;
use std::time::Duration;

/// As much of a file's content as is read: an owner is named in far fewer bytes.
pub(super) const CONTENT: usize = 4096;

/// What the path is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing is there.
    Absent,
    /// A regular file.
    File(Content),
    /// A directory, the form that js-ipfs used.
    Directory(Directory),
    /// A Unix socket.
    Socket,
    /// A link, a pipe, a device.
    Other(&'static str),
    /// It could not be looked at.
    Unreadable(String),
}

/// A regular file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// How many bytes it has.
    pub size: u64,
    /// Its first [`CONTENT`] bytes.
    pub text: Vec<u8>,
    /// When it was written last.
    pub written: Timestamp,
}

/// A directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// Whether nothing is in it.
    pub empty: bool,
    /// When it was changed last.
    pub written: Timestamp,
    /// Since when it has been known as it is: the first look ...
    pub since: Timestamp,
    /// ... and how long that is, by a clock that stands still while the machine sleeps and that nobody sets.
    pub known: Duration,
}

/// Who holds a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A process of our PID namespace.
    Pid(u32),
    /// A process of another PID namespace.
    Outside,
    /// Whoever has the open file description.
    Description,
    /// The kernel does not say.
    Unnamed,
}

/// What the kernel says about a lock, or about who listens on a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// It was not asked, because there is nothing to ask about.
    NotAsked,
    /// Nobody holds it.
    Free,
    /// Somebody does.
    Held(Holder),
    /// The kernel or the file system cannot say.
    Unknown(String),
}

/// The process with the number that a file names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Process {
    /// There is none in our PID namespace.
    Absent,
    /// It runs since then.
    Started(Timestamp),
    /// It cannot be looked at.
    Unknown(String),
}

/// Who has the file open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Openers {
    /// These processes, and how many could not be looked at.
    Known(Vec<(u32, String)>, usize),
    /// None could be looked at.
    Unknown(String),
}

/// Whether somebody listens at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// There is no address.
    NoAddress,
    /// Nobody: the connection was refused, or the socket is gone.
    Refused(String),
    /// Somebody.
    Accepted(String),
    /// Perhaps: no answer, or a failure of our own.
    Unknown(String, String),
    /// It is not on this host, so it was not asked.
    Elsewhere(String),
    /// It is no address.
    Malformed(String),
}

/// What else shows whether a node lives whose lock is in no process's hands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signs {
    /// Who has the lock file open.
    pub openers: Openers,
    /// Its `api` address.
    pub api: Answer,
    /// The process that the content names.
    pub owner: Option<(u32, Process)>,
    /// When this machine started.
    pub boot: Timestamp,
}

/// Everything that was seen of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// What it is to its node.
    pub role: LockRole,
    /// What the path is.
    pub kind: Kind,
    /// What the kernel says of this file.
    pub kernel: Kernel,
    /// What it says of the lock that this file is written under; for a lock [`Kernel::NotAsked`].
    pub guard: Kernel,
    /// The locks of the node's datastores.
    pub stores: Vec<(String, Kernel)>,
    /// The file system, where the kernel's answer is about this host only.
    pub remote_fs: Option<&'static str>,
    /// For content that no kernel lock backs.
    pub signs: Option<Signs>,
    /// For an address.
    pub answer: Answer,
    /// The time of the look.
    pub now: Timestamp,
}
