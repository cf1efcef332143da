//! Looks at files without touching them: opened read-only, never followed, never created, never locked; judged by the descriptor.

use super::facts::{Answer, CONTENT, Content, Directory, Evidence, Holder, Kernel, Kind, Openers, Signs};
use super::hold;
use super::places::{Places, Site};
use super::verdict::{self, Judgement};
use super::{address, advice, kernel, processes};
use jiff::Timestamp;
use nix::libc;
use proto_msgs::lock::{LockFile, LockReport, LockRole, Verdict};
use std::collections::HashMap;
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What tells a file from another one, and from itself after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    place: (u64, u64),
    size: u64,
    written: (i64, i64),
    changed: (i64, i64),
}

impl Identity {
    /// Of a file as it is now.
    pub fn of(found: &Metadata) -> Identity {
        Identity {
            place: (found.dev(), found.ino()),
            size: found.size(),
            written: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }
}

/// The directories that were seen, and since when each has been as it is: a directory's owner shows by renewing it.
#[derive(Debug, Default)]
pub struct Looks(HashMap<PathBuf, Look>);

/// What the first look saw, and when it was.
#[derive(Debug)]
struct Look {
    identity: Identity,
    at: Instant,
    time: Timestamp,
}

impl Looks {
    /// Since when it has been known so, and how long that is.
    fn known(&mut self, path: &Path, identity: Identity) -> (Timestamp, Duration) {
        let new = || Look { identity, at: Instant::now(), time: Timestamp::now() };
        let first = self.0.entry(path.to_owned()).or_insert_with(new);
        if first.identity != identity {
            *first = new();
        }
        (first.time, first.at.elapsed())
    }

    fn forget(&mut self, path: &Path) {
        self.0.remove(path);
    }
}

/// One file and what was seen of it.
#[derive(Clone, Debug)]
pub struct Found {
    /// Where it is.
    pub path: PathBuf,
    /// Which it is, where there is something.
    pub identity: Option<Identity>,
    /// What was seen.
    pub evidence: Evidence,
}

impl Found {
    /// What it means.
    pub fn judge(&self) -> Judgement {
        verdict::judge(&self.evidence)
    }

    /// Whether the holder is `kubo`, our own, or the daemon itself.
    pub fn ours(&self, kubo: Option<u32>) -> bool {
        self.holder().is_some_and(|pid| Some(pid) == kubo || pid == std::process::id())
    }

    /// The holder, where the kernel names it.
    pub fn holder(&self) -> Option<u32> {
        match (&self.evidence.kernel, &self.evidence.guard) {
            (Kernel::Held(Holder::Pid(pid)), _) | (Kernel::NotAsked, Kernel::Held(Holder::Pid(pid))) => Some(*pid),
            _ => None,
        }
    }

    fn report(&self, kubo: Option<u32>) -> LockFile {
        let hope = verdict::hope(&self.evidence);
        // What cleaning would do, which finds out by itself what a look can't.
        let judged = Judgement { action: hope.action, needs_force: hope.needs_force, ..self.judge() };
        let (holder_pid, ours) = (self.holder(), self.ours(kubo));
        LockFile {
            path: self.path.display().to_string(),
            role: self.evidence.role,
            verdict: judged.verdict,
            blocks: judged.blocks && !ours,
            holder_pid,
            holder: holder_pid.and_then(processes::program),
            ours,
            evidence: judged.reasons.clone(),
            action: judged.action,
            needs_force: judged.needs_force,
            hint: advice::of(self, &judged).filter(|_| !ours),
        }
    }
}

/// Judges everything; `repo.lock` comes first. `kubo` is the daemon's own child.
pub fn look(places: &Places, kubo: Option<u32>, looks: &mut Looks) -> LockReport {
    let mut found = Vec::new();
    for site in &places.sites {
        let lock = lock(site, looks);
        let (guard, stores) = (guard(&lock, &lock.judge()), lock.evidence.stores.clone());
        found.push(lock);
        found.extend(datastores(site, &stores));
        found.extend(site.beside.iter().filter_map(|(path, role)| beside(path, *role, &guard, &stores)));
    }
    found.extend(places.own.iter().filter_map(|path| beside(path, LockRole::OwnSocket, &Kernel::NotAsked, &[])));
    LockReport { as_of: crate::time::now(), locks: found.iter().map(|found| found.report(kubo)).collect() }
}

/// Looks at the lock of a site, and where its content or form is in doubt, at whatever else shows life.
pub fn lock(site: &Site, looks: &mut Looks) -> Found {
    let opened = open(&site.lock);
    let mut found = opened.found(&site.lock, site.role);
    found.evidence.stores = {
        let _turn = found.evidence.remote_fs.is_none().then(hold::turn);
        stores(site, &|dir| store(dir, kernel::ask_flock))
    };
    match (&mut found.evidence.kind, found.identity) {
        (Kind::Directory(directory), Some(identity)) => {
            (directory.since, directory.known) = looks.known(&site.lock, identity);
        }
        _ => looks.forget(&site.lock),
    }
    let content = match &found.evidence.kind {
        Kind::File(content) if content.size > 0 => Some(content),
        Kind::Directory(_) => None,
        _ => return found,
    };
    // Slow and of no use where somebody has it, or nobody can know.
    if matches!(found.evidence.kernel, Kernel::Free | Kernel::NotAsked) && found.evidence.remote_fs.is_none() {
        let boot = processes::boot();
        let owner = content.and_then(verdict::owner_of).map(|pid| (pid, processes::process(pid, boot)));
        let api = site.api.as_deref().map_or(Answer::NoAddress, api);
        found.evidence.signs = Some(Signs { openers: opened.openers(), api, owner, boot });
    }
    found
}

/// What a lock is worth to whatever is written under it.
pub fn guard(lock: &Found, judged: &Judgement) -> Kernel {
    match (judged.verdict, &lock.evidence.kernel, lock.evidence.remote_fs) {
        (_, held @ Kernel::Held(_), _) => held.clone(),
        // Another host may have it.
        (_, _, Some(fs)) => Kernel::Unknown(format!("repo.lock lies on {fs}")),
        (Verdict::Idle | Verdict::Dead, _, None) => Kernel::Free,
        _ => Kernel::Unknown("repo.lock is not settled".to_owned()),
    }
}

/// Looks at a file that is written under a lock; `None` when it is not there.
pub fn beside(path: &Path, role: LockRole, guard: &Kernel, stores: &[(String, Kernel)]) -> Option<Found> {
    let mut found = open(path).found(path, role);
    let seen = &mut found.evidence;
    match &seen.kind {
        Kind::Absent => return None,
        Kind::Socket => seen.kernel = kernel::ask_socket(path),
        // Known by the lock alone; their own would mean nothing.
        Kind::File(content) if matches!(role, LockRole::Address | LockRole::Leftover) => {
            seen.kernel = Kernel::NotAsked;
            if role == LockRole::Address && matches!(guard, Kernel::Free) {
                seen.answer = address::ask(&content.text);
            }
        }
        _ => {}
    }
    seen.guard = guard.clone();
    seen.stores = stores.to_vec();
    Some(found)
}

/// The datastores' locks as files; what the kernel says of them is known already.
pub fn datastores(site: &Site, asked: &[(String, Kernel)]) -> Vec<Found> {
    let dirs = site.stores.iter().flatten().zip(asked);
    let found = dirs.map(|(dir, (_, kernel))| {
        let path = dir.join("LOCK");
        let mut found = open(&path).found(&path, LockRole::Datastore);
        found.evidence.kernel = kernel.clone();
        found
    });
    let is_there =
        |found: &Found| found.evidence.kind != Kind::Absent || matches!(found.evidence.kernel, Kernel::Held(_));
    found.filter(is_there).collect()
}

/// Asks each datastore of the site.
pub fn stores(site: &Site, ask: &dyn Fn(&Path) -> Kernel) -> Vec<(String, Kernel)> {
    match &site.stores {
        Ok(dirs) => dirs.iter().map(|dir| (dir.join("LOCK").display().to_string(), ask(dir))).collect(),
        Err(why) => vec![("its datastores".to_owned(), Kernel::Unknown(why.clone()))],
    }
}

/// Whether somebody holds a datastore: pebble by a record lock on `LOCK`, leveldb by a `flock` on it, badger by one on the
/// directory.
pub fn store(dir: &Path, flock: fn(&File) -> Kernel) -> Kernel {
    let lock = open(&dir.join("LOCK"));
    let mut answers = match (&lock.kind, &lock.file) {
        (_, Some(file)) => vec![kernel::ask_record(file), flock(file)],
        (Kind::Absent, _) => Vec::new(),
        _ => vec![Kernel::Unknown("it cannot be opened".to_owned())],
    };
    match directory(dir) {
        Ok(dir) => answers.push(flock(&dir)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => answers.push(Kernel::Unknown(error.to_string())),
    }
    let rank = |answer: &Kernel| match answer {
        Kernel::Held(_) => 2,
        Kernel::Unknown(_) => 1,
        Kernel::Free | Kernel::NotAsked => 0,
    };
    answers.into_iter().max_by_key(rank).unwrap_or(Kernel::Free)
}

/// Opens a directory, and nothing else: a pipe at its place would keep us waiting.
fn directory(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY).open(path)
}

fn api(path: &Path) -> Answer {
    match open(path).kind {
        Kind::Absent => Answer::NoAddress,
        Kind::File(content) => address::ask(&content.text),
        _ => Answer::Malformed("is no file, and".to_owned()),
    }
}

/// The beginning of a file, by the descriptor.
pub fn content(file: &File, found: &Metadata) -> io::Result<Content> {
    let mut text = vec![0; CONTENT];
    let mut length = 0;
    while let read @ 1.. = file.read_at(&mut text[length..], length as u64)? {
        length += read;
    }
    text.truncate(length);
    Ok(Content { size: found.size(), text, written: written(found) })
}

fn written(found: &Metadata) -> Timestamp {
    let nanos = i32::try_from(found.mtime_nsec()).unwrap_or(0);
    Timestamp::new(found.mtime(), nanos).unwrap_or(Timestamp::MAX)
}

/// What a path is, and a descriptor where it is a file.
struct Opened {
    kind: Kind,
    file: Option<File>,
    found: Option<Metadata>,
}

impl Opened {
    fn nothing(kind: Kind) -> Opened {
        Opened { kind, file: None, found: None }
    }

    fn failed(error: &io::Error) -> Opened {
        Opened::nothing(match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Kind::Absent,
            _ => Kind::Unreadable(error.to_string()),
        })
    }

    fn openers(&self) -> Openers {
        let unknown = || Openers::Unknown("it is gone".to_owned());
        self.found.as_ref().map_or_else(unknown, processes::openers)
    }

    fn found(&self, path: &Path, role: LockRole) -> Found {
        // Where the file system cannot even be named, nothing is said of it by this kernel.
        let remote_fs = match &self.file {
            Some(file) => kernel::remote_fs(file).unwrap_or(Some("an unknown file system")),
            None => path.parent().and_then(|dir| directory(dir).ok()).and_then(|dir| kernel::remote_fs(dir).ok()?),
        };
        let kernel = self.file.as_ref().map_or(Kernel::NotAsked, |file| {
            // Others of our threads hold nothing there, and the question may take for ever.
            let _turn = remote_fs.is_none().then(hold::turn);
            kernel::ask_record(file)
        });
        let evidence = Evidence {
            role,
            kind: self.kind.clone(),
            kernel,
            guard: Kernel::NotAsked,
            stores: Vec::new(),
            remote_fs,
            signs: None,
            answer: Answer::NoAddress,
            now: Timestamp::now(),
        };
        Found { path: path.to_owned(), identity: self.found.as_ref().map(Identity::of), evidence }
    }
}

fn open(path: &Path) -> Opened {
    let found = match path.symlink_metadata() {
        Ok(found) => found,
        Err(error) => return Opened::failed(&error),
    };
    let kind = found.file_type();
    let special = |kind| Opened { kind, file: None, found: Some(found.clone()) };
    if kind.is_dir() {
        return match path.read_dir() {
            Ok(mut entries) => {
                let (empty, written) = (entries.next().is_none(), written(&found));
                special(Kind::Directory(Directory { empty, written, since: Timestamp::now(), known: Duration::ZERO }))
            }
            Err(error) => Opened::failed(&error),
        };
    }
    if kind.is_symlink() {
        return special(Kind::Other("a symbolic link"));
    }
    if kind.is_socket() {
        return special(Kind::Socket);
    }
    if !kind.is_file() {
        return special(Kind::Other(if kind.is_fifo() { "a pipe" } else { "a device" }));
    }
    // By now it may be something else; the descriptor decides.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    match OpenOptions::new().read(true).custom_flags(flags).open(path).and_then(|file| Ok((file.metadata()?, file))) {
        Ok((found, file)) if found.is_file() => match content(&file, &found) {
            Ok(content) => Opened { kind: Kind::File(content), file: Some(file), found: Some(found) },
            Err(error) => Opened::failed(&error),
        },
        Ok(_) => Opened::nothing(Kind::Other("no regular file")),
        Err(error) => Opened::failed(&error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file_lock;
    use crate::janitor::soon;
    use proto_msgs::lock::LockAction;
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

    impl Looks {
        /// As if every first look lay so much further back.
        pub(in crate::janitor) fn age(&mut self, by: Duration) {
            self.0.values_mut().for_each(|look| look.at = look.at.checked_sub(by).expect("a clock that runs"));
        }
    }

    fn look_at(dir: &Path) -> LockReport {
        look(&Places::of_repo(dir), None, &mut Looks::default())
    }

    fn verdict_of(dir: &Path) -> Verdict {
        look_at(dir).locks[0].verdict
    }

    #[test]
    fn an_empty_repo_lock_that_nobody_holds_is_idle_like_none_at_all() {
        let dir = tempfile::tempdir().expect("a temp dir");
        assert_eq!(verdict_of(dir.path()), Verdict::Idle);
        std::fs::write(dir.path().join("repo.lock"), "").expect("written");
        assert_eq!(verdict_of(dir.path()), Verdict::Idle);
    }

    #[test]
    fn a_lock_through_an_open_file_description_is_live_until_that_is_closed() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let file = File::create(dir.path().join("repo.lock")).expect("made");
        file_lock::take(&file).expect("locked");
        assert_eq!(verdict_of(dir.path()), Verdict::Live);
        drop(file);
        assert!(soon(|| verdict_of(dir.path()) == Verdict::Idle));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_unknown() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let path = dir.path().join("repo.lock");
        std::fs::write(&path, "").expect("written");
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o000)).expect("chmod");
        // On a thread of its own, and for root too: there the permissions are those of everybody else.
        let looked = std::thread::spawn(move || {
            let mut sets = capabilities(None).expect("known");
            sets.effective.remove(CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH);
            set_capabilities(None, sets).expect("given up");
            look_at(dir.path()).locks.remove(0)
        });
        let lock = looked.join().expect("a look");
        assert_eq!((lock.verdict, lock.blocks), (Verdict::Unknown, true));
        assert!(lock.evidence[0].contains("ermission denied"), "{:?}", lock.evidence);
    }

    #[test]
    fn a_leveldb_lock_is_found_by_the_datastore_spec() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let spec =
            r#"{"type":"mount","mounts":[{"type":"flatfs","path":"blocks"},{"type":"levelds","path":"datastore"}]}"#;
        std::fs::write(dir.path().join("datastore_spec"), spec).expect("written");
        std::fs::create_dir(dir.path().join("datastore")).expect("made");
        let lock = File::create(dir.path().join("datastore/LOCK")).expect("made");
        // In a PID namespace below the first one nobody can say that it is idle.
        assert_ne!(look_at(dir.path()).locks[1].verdict, Verdict::Live);
        lock.lock().expect("flock");
        let live = look_at(dir.path()).locks.remove(1);
        assert_eq!((live.verdict, live.holder_pid), (Verdict::Live, Some(std::process::id())));
        // Badger locks the directory.
        drop(lock);
        let badger = File::open(dir.path().join("datastore")).expect("opened");
        badger.lock().expect("flock");
        assert_eq!(look_at(dir.path()).locks[1].verdict, Verdict::Live);
    }

    #[test]
    fn a_datastore_that_a_look_cannot_judge_is_left_to_the_cleaning_which_can() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let path = dir.path().join("repo.lock");
        let site = &Places::of_repo(dir.path()).sites[0];
        for (content, needs_force, helps) in [
            (format!("{}", i32::MAX), false, "lock clean` finds out"),
            ("nonsense".into(), true, "lock clean --force`"),
        ] {
            std::fs::write(&path, content).expect("written");
            let mut found = lock(site, &mut Looks::default());
            found.evidence.stores = vec![("LOCK".into(), Kernel::Unknown("it does not show".into()))];
            let file = found.report(None);
            assert_eq!(
                (file.verdict, file.action, file.needs_force),
                (Verdict::Unknown, LockAction::Truncate, needs_force)
            );
            assert!(file.hint.expect("advice").contains(helps));
            found.evidence.stores[0].1 = Kernel::Held(Holder::Unnamed);
            assert_eq!(found.report(None).action, LockAction::None);
        }
    }

    #[test]
    fn a_free_lock_proves_nothing_on_a_network_file_system() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let site = &Places::of_repo(dir.path()).sites[0];
        let mut found = lock(site, &mut Looks::default());
        assert_eq!(guard(&found, &found.judge()), Kernel::Free);
        found.evidence.remote_fs = Some("NFS");
        assert!(matches!(guard(&found, &found.judge()), Kernel::Unknown(why) if why.contains("NFS")));
        found.evidence.kernel = Kernel::Held(Holder::Unnamed);
        assert_eq!(guard(&found, &found.judge()), found.evidence.kernel);
    }

    #[test]
    fn a_directory_is_known_from_its_first_look_until_it_changes() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let path = dir.path().join("repo.lock");
        let identity = || Identity::of(&path.symlink_metadata().expect("there"));
        let mut looks = Looks::default();
        let day = Duration::from_secs(86400);
        std::fs::create_dir(&path).expect("made");
        assert!(looks.known(&path, identity()).1 < day);
        looks.age(day);
        assert!(looks.known(&path, identity()).1 >= day);
        let renewed = std::fs::FileTimes::new().set_modified(std::time::SystemTime::UNIX_EPOCH);
        File::open(&path).and_then(|dir| dir.set_times(renewed)).expect("renewed");
        assert!(looks.known(&path, identity()).1 < day);
        looks.age(day);
        looks.forget(&path);
        assert!(looks.known(&path, identity()).1 < day, "it was gone meanwhile");
    }
}
