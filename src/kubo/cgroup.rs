//! A control group for Kubo, where the service manager has left ours to us (`Delegate=`). All that descends from Kubo stays in it,
//! also what has left its session and cleared its environment, and the kernel ends all of it at once.
//!
//! Elsewhere there is none: the process group and the mark in the environment (`orphans`) then find what Kubo leaves behind.

use rustix::fs::getxattr;
use std::io;
use std::path::{Path, PathBuf};

/// The variable that tells the launcher which file to enter the group by.
pub(super) const ENTER: &str = "IPFS_KITD_ENTER";

/// Its name below our own group.
const NAME: &str = "kubo";
/// How systemd says that a group is left to those in it.
const DELEGATED: &str = "user.delegate";

/// Kubo's control group.
#[derive(Debug)]
pub(super) struct Group(PathBuf);

impl Group {
    /// Makes it where it is missing; `None` where ours is not left to us.
    pub(super) fn make() -> Option<Group> {
        let own = own()?;
        if getxattr(&own, DELEGATED, &mut [0; 1]) != Ok(1) {
            return None;
        }
        let group = own.join(NAME);
        match std::fs::create_dir(&group) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                tracing::debug!(%error, group = %group.display(), "Kubo gets no control group of its own");
                None
            }
            _ => Some(Group(group)),
        }
    }

    /// Whoever writes a 0 here enters it.
    pub(super) fn entrance(&self) -> PathBuf {
        self.0.join("cgroup.procs")
    }

    /// Ends all that is in it.
    pub(super) fn end(&self) {
        if std::fs::read_to_string(self.entrance()).is_ok_and(|processes| !processes.is_empty()) {
            tracing::warn!(group = %self.0.display(), "ending what is left in Kubo's control group");
        }
        if let Err(error) = std::fs::write(self.0.join("cgroup.kill"), "1") {
            tracing::debug!(%error, group = %self.0.display(), "the kernel does not end what is in Kubo's control group");
        }
    }
}

/// Our own group.
pub(super) fn own() -> Option<PathBuf> {
    let read = |name| std::fs::read_to_string(Path::new("/proc/self").join(name)).unwrap_or_default();
    group_of(&read("cgroup"), &read("mountinfo"))
}

/// Where the group of a process with this `/proc/self/cgroup` is to be found, by its `/proc/self/mountinfo`.
fn group_of(cgroup: &str, mountinfo: &str) -> Option<PathBuf> {
    let path = Path::new(cgroup.lines().find_map(|line| line.strip_prefix("0::"))?);
    mountinfo.lines().find_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        let (root, mounted_on) = kind.starts_with("cgroup2 ").then(|| {
            let mut fields = place.split(' ').skip(3);
            Some((fields.next()?, fields.next()?))
        })??;
        Some(Path::new(mounted_on).join(path.strip_prefix(root).ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str = "35 24 0:29 / /sys/fs/cgroup/cpu rw,nosuid shared:12 - cgroup cgroup rw,cpu\n";
    const V2: &str = "42 32 0:39 / /sys/fs/cgroup rw,nosuid shared:10 - cgroup2 cgroup2 rw,nsdelegate\n";

    fn found(cgroup: &str, mountinfo: &str) -> Option<String> {
        group_of(cgroup, mountinfo).map(|path| path.display().to_string())
    }

    #[test]
    fn the_group_of_a_service_is_below_the_mount() {
        let service = "0::/system.slice/ipfs-kitd.service\n";
        assert_eq!(found(service, V2).as_deref(), Some("/sys/fs/cgroup/system.slice/ipfs-kitd.service"));
    }

    #[test]
    fn beside_the_groups_of_old_the_new_one_counts() {
        let cgroup = "2:cpu:/a\n1:name=systemd:/b\n0::/c\n";
        let mountinfo = format!("{V1}{}", V2.replace("/sys/fs/cgroup ", "/sys/fs/cgroup/unified "));
        assert_eq!(found(cgroup, &mountinfo).as_deref(), Some("/sys/fs/cgroup/unified/c"));
    }

    #[test]
    fn a_mount_of_a_part_is_taken_off_the_path() {
        let part = V2.replace("0:39 / ", "0:39 /outer ");
        assert_eq!(found("0::/outer/inner\n", &part).as_deref(), Some("/sys/fs/cgroup/inner"));
        assert_eq!(found("0::/elsewhere\n", &part), None);
        assert_eq!(found("0::/outerspace\n", &part), None);
    }

    #[test]
    fn without_the_new_kind_there_is_none() {
        assert_eq!(found("1:cpu:/a\n", V2), None);
        assert_eq!(found("0::/a\n", V1), None);
        assert_eq!(found("", ""), None);
        assert_eq!(found("0::/a\n", "nonsense - cgroup2"), None);
        assert_eq!(found("0::/a\n", "nonsense - cgroup2 x"), None);
    }
}
