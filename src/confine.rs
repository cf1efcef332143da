//! Limits for a process of ours that does something apart, for one parent.

use rustix::process::{Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit};
use std::io;

/// Has this process end with its parent, and never take more than this.
pub(crate) fn confine(limits: &[(Resource, u64)]) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    for (resource, limit) in limits {
        setrlimit(*resource, Rlimit { current: Some(*limit), maximum: Some(*limit) })?;
    }
    Ok(())
}
