//! What the block store is on, by what the kernel says of its device.
//!
//! A partition is of its disk; a mapped, striped or looped device is what the one device or file below it is. Whether a disk of a
//! virtual machine turns is what its host says, which need not be true.

use rustix::fs::{statfs, statvfs};
use serde_json::Value;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// `f_type` of a file system in memory.
const TMPFS: i64 = 0x0102_1994;
/// Devices on devices.
const DEPTH: usize = 8;

/// A measured tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measured {
    /// `nvme`, `ssd`, `hdd`, `tmpfs`, or `unknown`.
    pub tier: &'static str,
    /// The device, in words.
    pub what: String,
    /// Bytes that may still be written.
    pub free: Option<u64>,
}

/// Where Kubo keeps blocks, below its repo or anywhere, by its `Datastore.Spec`.
pub fn blocks(config: &Value) -> PathBuf {
    let spec = &config["Datastore"]["Spec"];
    let mounts = spec["mounts"].as_array();
    let blocks = mounts.and_then(|mounts| mounts.iter().find(|mount| mount["mountpoint"] == "/blocks"));
    path(blocks.unwrap_or(spec), DEPTH).unwrap_or("blocks").into()
}

fn path(spec: &Value, depth: usize) -> Option<&str> {
    let within = || spec.as_object()?.values().find_map(|value| path(value, depth.checked_sub(1)?));
    spec["path"].as_str().or_else(within)
}

/// Names of the remote pinning services that Kubo knows; never their keys.
pub fn services(config: &Value) -> Vec<String> {
    let services = config["Pinning"]["RemoteServices"].as_object();
    services.into_iter().flat_map(|services| services.keys().cloned()).collect()
}

/// Looks at a directory. Blocks.
pub fn look(dir: &Path) -> Measured {
    let free = statvfs(dir).ok().and_then(|found| found.f_bavail.checked_mul(found.f_frsize));
    let found = device(dir, Path::new("/sys"), DEPTH);
    let (tier, what) = found.unwrap_or_else(|| ("unknown", "the kernel does not tell".to_owned()));
    Measured { tier, what, free }
}

fn device(dir: &Path, sys: &Path, depth: usize) -> Option<(&'static str, String)> {
    if statfs(dir).is_ok_and(|found| i128::from(found.f_type) == i128::from(TMPFS)) {
        return Some(("tmpfs", "memory".to_owned()));
    }
    let number = dir.metadata().ok()?.dev();
    let found = block(&sys.join("dev/block").join(numbered(number)), sys, depth);
    // A file system of many devices, or of none, has a number of its own.
    found.or_else(|| {
        let source = source(&std::fs::read_to_string("/proc/self/mountinfo").ok()?, &numbered(number))?;
        let number = Path::new(&source).metadata().ok()?.rdev();
        block(&sys.join("dev/block").join(numbered(number)), sys, depth)
    })
}

fn numbered(number: u64) -> String {
    format!("{}:{}", rustix::fs::major(number), rustix::fs::minor(number))
}

/// The device that is mounted there, by `mountinfo`: what stands behind the type of the file system.
fn source(mounts: &str, number: &str) -> Option<String> {
    let line = mounts.lines().find(|line| line.split(' ').nth(2) == Some(number))?;
    let (_, rest) = line.split_once(" - ")?;
    rest.split(' ').nth(1).filter(|source| source.starts_with("/dev/")).map(str::to_owned)
}

fn block(place: &Path, sys: &Path, depth: usize) -> Option<(&'static str, String)> {
    let depth = depth.checked_sub(1)?;
    let mut place = place.canonicalize().ok()?;
    if place.join("partition").exists() {
        place.pop();
    }
    let name = place.file_name()?.to_str()?.to_owned();
    let below: Vec<PathBuf> =
        std::fs::read_dir(place.join("slaves")).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    let (tier, what) = match below.as_slice() {
        [one] => block(one, sys, depth)?,
        [] => match std::fs::read_to_string(place.join("loop/backing_file")) {
            Ok(file) => device(Path::new(file.trim()), sys, depth)?,
            Err(_) => return Some((kind(&place, &name)?, name)),
        },
        _ => return None,
    };
    Some((tier, format!("{name} on {what}")))
}

fn kind(place: &Path, name: &str) -> Option<&'static str> {
    let turns = std::fs::read_to_string(place.join("queue/rotational")).ok()?;
    Some(match turns.trim() {
        _ if name.starts_with("nvme") => "nvme",
        "0" => "ssd",
        _ => "hdd",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::fs;

    #[test]
    fn blocks_are_where_the_spec_says() {
        let usual = json!({"Datastore": {"Spec": {"type": "mount", "mounts": [
            {"mountpoint": "/", "type": "measure", "child": {"type": "levelds", "path": "datastore"}},
            {"mountpoint": "/blocks", "type": "measure", "child": {"type": "flatfs", "path": "/mnt/blocks"}},
        ]}}});
        assert_eq!(blocks(&usual), Path::new("/mnt/blocks"));
        let badger =
            json!({"Datastore": {"Spec": {"type": "measure", "child": {"type": "badgerds", "path": "badgerds"}}}});
        assert_eq!(blocks(&badger), Path::new("badgerds"));
        assert_eq!((blocks(&json!({})), blocks(&Value::Null)), ("blocks".into(), "blocks".into()));
    }

    #[test]
    fn of_remote_services_the_names_are_told_and_no_key() {
        let config =
            json!({"Pinning": {"RemoteServices": {"far": {"API": {"Endpoint": "https://far", "Key": "secret"}}}}});
        assert_eq!((services(&config), services(&Value::Null)), (vec!["far".to_owned()], vec![]));
    }

    #[test]
    fn a_device_is_what_lies_below_it() {
        let sys = tempfile::tempdir().expect("a temp dir");
        let disk = |name: &str, turns: &str| {
            fs::create_dir_all(sys.path().join(name).join("queue")).expect("made");
            fs::write(sys.path().join(name).join("queue/rotational"), turns).expect("written");
        };
        let looked = |name: &str| block(&sys.path().join(name), sys.path(), DEPTH);
        let known = |tier, what: &str| Some((tier, what.to_owned()));
        disk("sda", "1\n");
        disk("vdb", "0\n");
        disk("nvme0n1", "0\n");
        fs::create_dir_all(sys.path().join("nvme0n1/nvme0n1p2")).expect("made");
        fs::write(sys.path().join("nvme0n1/nvme0n1p2/partition"), "2").expect("written");
        assert_eq!((looked("sda"), looked("vdb")), (known("hdd", "sda"), known("ssd", "vdb")));
        assert_eq!(looked("nvme0n1/nvme0n1p2"), known("nvme", "nvme0n1"));
        disk("dm-0", "0\n");
        fs::create_dir_all(sys.path().join("dm-0/slaves")).expect("made");
        std::os::unix::fs::symlink(sys.path().join("nvme0n1/nvme0n1p2"), sys.path().join("dm-0/slaves/nvme0n1p2"))
            .expect("linked");
        assert_eq!(looked("dm-0"), known("nvme", "dm-0 on nvme0n1"));
        std::os::unix::fs::symlink(sys.path().join("sda"), sys.path().join("dm-0/slaves/sda")).expect("linked");
        assert_eq!((looked("dm-0"), looked("none")), (None, None), "two of them, and none");
    }

    #[test]
    fn a_mount_names_its_device() {
        let mounts =
            "36 35 0:42 / /mnt rw,noatime shared:1 - btrfs /dev/sdb1 rw\n37 35 0:43 / /x rw - overlay overlay rw\n";
        assert_eq!(source(mounts, "0:42").as_deref(), Some("/dev/sdb1"));
        assert_eq!((source(mounts, "0:43"), source(mounts, "8:1"), source("", "")), (None, None, None));
    }

    #[test]
    fn whatever_the_tests_lie_on_is_one_of_the_tiers_and_has_room() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let seen = look(dir.path());
        assert!(["nvme", "ssd", "hdd", "tmpfs", "unknown"].contains(&seen.tier) && seen.free.is_some());
        assert_eq!(look(&dir.path().join("none")).free, None);
    }
}
