//! Whether the kernel has killed for want of memory: its own count for the control group that this process and its children are in.

use super::cgroup;
use std::path::{Path, PathBuf};

/// Where control groups of the first version are found, as far as they are about memory.
const MEMORY: &str = "/sys/fs/cgroup/memory";

/// Processes of our control group, and of those below it, that the kernel has killed for want of memory, ever; `None` where it does
/// not say.
pub(super) fn kills() -> Option<u64> {
    let unified = cgroup::own().map(|own| own.join("memory.events"));
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let counters = unified.into_iter().chain(first_version(&groups));
    counters.into_iter().find_map(|path| count(&std::fs::read_to_string(path).ok()?))
}

/// The file that has the count in the first version, for what `/proc/self/cgroup` says.
fn first_version(groups: &str) -> Option<PathBuf> {
    let path = groups.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        controllers.split(',').any(|controller| controller == "memory").then_some(path)
    })?;
    Some(Path::new(MEMORY).join(path.trim_start_matches('/')).join("memory.oom_control"))
}

fn count(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_found_in_both_versions() {
        let groups = "4:memory:/box\n3:cpuset:/\n0::/\n";
        assert_eq!(first_version(groups).as_deref(), Some(Path::new("/sys/fs/cgroup/memory/box/memory.oom_control")));
        assert_eq!(first_version("0::/system.slice/ipfs-kitd.service\n"), None);
        assert_eq!(count("low 0\nhigh 0\nmax 7\noom 2\noom_kill 3\noom_group_kill 0\n"), Some(3));
        assert_eq!(count("oom_kill_disable 0\nunder_oom 0\noom_kill 4\n"), Some(4));
        assert_eq!(count("low 0\n"), None);
    }
}
