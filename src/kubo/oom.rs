//! Whether the kernel has killed for want of memory: its own count for the control group that this process and its children are in.

use std::path::{Path, PathBuf};

/// Where the file systems of control groups are found; the second is that of a machine that has both kinds.
const UNIFIED: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
const MEMORY: &str = "/sys/fs/cgroup/memory";

/// Processes of our control group, and of those below it, that the kernel has killed for want of memory, ever; `None` where it does
/// not say.
pub(super) fn kills() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    counters(&groups).into_iter().find_map(|path| count(&std::fs::read_to_string(path).ok()?))
}

/// The files that may have the count, for what `/proc/self/cgroup` says.
fn counters(groups: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let path = path.trim_start_matches('/');
        if controllers.is_empty() {
            found.extend(UNIFIED.map(|root| Path::new(root).join(path).join("memory.events")));
        } else if controllers.split(',').any(|controller| controller == "memory") {
            found.push(Path::new(MEMORY).join(path).join("memory.oom_control"));
        }
    }
    found
}

fn count(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_found_in_both_kinds_of_control_groups() {
        assert_eq!(
            counters("0::/system.slice/ipfs-kitd.service\n"),
            ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
                .map(|root| Path::new(root).join("system.slice/ipfs-kitd.service/memory.events"))
        );
        assert_eq!(
            counters("4:memory:/box\n3:cpuset:/\n")[0],
            Path::new("/sys/fs/cgroup/memory/box/memory.oom_control")
        );
        assert_eq!(count("low 0\nhigh 0\nmax 7\noom 2\noom_kill 3\noom_group_kill 0\n"), Some(3));
        assert_eq!(count("oom_kill_disable 0\nunder_oom 0\noom_kill 4\n"), Some(4));
        assert_eq!(count("low 0\n"), None);
    }
}
