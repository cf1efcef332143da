//! Limits for a process of ours that does something apart, for one parent.

use landlock::{
    ABI, Access, AccessFs, AccessNet, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus,
    Scope,
};
use rustix::process::{Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit};
use std::io;
use std::path::Path;

/// Has this process end with its parent, and never take more than this.
pub(crate) fn confine(limits: &[(Resource, u64)]) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    for (resource, limit) in limits {
        setrlimit(*resource, Rlimit { current: Some(*limit), maximum: Some(*limit) })?;
    }
    Ok(())
}

/// From now on this thread opens no file but those below `dir`, and those for reading alone; it connects to nothing and signals
/// nobody, as far as the kernel knows how to hold it to that. `false`: the kernel has no Landlock.
pub(crate) fn wall(dir: &Path) -> io::Result<bool> {
    let raise = || {
        let reading = AccessFs::ReadFile | AccessFs::ReadDir;
        let dir = PathFd::new(dir).map_err(|error| error.to_string())?;
        let rules = Ruleset::default()
            .handle_access(AccessFs::from_all(ABI::V6))
            .and_then(|rules| rules.handle_access(AccessNet::from_all(ABI::V6)))
            .and_then(|rules| rules.scope(Scope::from_all(ABI::V6)))
            .and_then(Ruleset::create)
            .and_then(|rules| rules.add_rule(PathBeneath::new(dir, reading)))
            .and_then(|rules| rules.restrict_self());
        rules.map(|status| status.ruleset != RulesetStatus::NotEnforced).map_err(|error| error.to_string())
    };
    raise().map_err(io::Error::other)
}
