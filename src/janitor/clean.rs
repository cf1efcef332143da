//! Cleans what is proven dead, or vouched for: locks in place, what lies beside them by removing it. Everything happens while the
//! lock is held that it belongs to, after its content went to the log, and only if it still is what was judged.

use super::evidence::{self, Found, Identity, Looks};
use super::facts::{Holder, Kernel, Kind};
use super::hold::{self, Hold, HoldError};
use super::kernel;
use super::places::{Places, Site};
use super::verdict::{self, Judgement};
use proto_msgs::lock::{LockAction, LockOutcome, LockRole, Verdict};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// How to clean.
#[derive(Clone, Copy, Debug, Default)]
pub struct How {
    /// Only find out what would be done.
    pub dry_run: bool,
    /// Somebody vouches for what cannot be judged.
    pub force: bool,
}

/// What became of one file.
#[derive(Debug)]
pub struct Outcome {
    /// What was seen last.
    pub found: Found,
    /// What that meant.
    pub judged: Judgement,
    deed: Deed,
}

#[derive(Debug)]
enum Deed {
    Left,
    Would,
    Done,
    Failed(String),
}

impl Outcome {
    fn new(found: Found, deed: Deed) -> Outcome {
        Outcome { judged: found.judge(), found, deed }
    }

    /// Whether Kubo's start is refused because of it now.
    pub fn blocks(&self) -> bool {
        self.judged.blocks && !matches!(self.deed, Deed::Done)
    }

    /// Why it is as it is: what failed, else what is in doubt, else what is known.
    pub fn why(&self) -> String {
        match &self.deed {
            Deed::Failed(error) => error.clone(),
            _ if self.judged.doubts.is_empty() => self.judged.reasons.join("; "),
            _ => self.judged.doubts.join("; "),
        }
    }

    /// Whether it is out of the way, or would be.
    fn is_cleaned(&self) -> bool {
        matches!(self.deed, Deed::Done | Deed::Would)
    }

    /// For the client; `kubo` is the daemon's own child.
    pub fn report(&self, kubo: Option<u32>) -> LockOutcome {
        let judged = &self.judged;
        let what = match judged.action {
            LockAction::None | LockAction::Unknown => "left alone",
            LockAction::Truncate => "emptied",
            LockAction::Unlink | LockAction::Rmdir => "removed",
        };
        let why = self.why();
        let (action, detail) = match &self.deed {
            Deed::Done => (judged.action, format!("{what}: {why}")),
            Deed::Would => (judged.action, format!("would be {what}: {why}")),
            Deed::Failed(_) => (LockAction::None, format!("not {what}: {why}")),
            Deed::Left if judged.needs_force => (LockAction::None, format!("left alone without --force: {why}")),
            Deed::Left if judged.verdict == Verdict::Idle => (LockAction::None, format!("nothing to do: {why}")),
            Deed::Left => (LockAction::None, format!("left alone: {why}")),
        };
        LockOutcome {
            path: self.found.path.display().to_string(),
            role: self.found.evidence.role,
            verdict: judged.verdict,
            action,
            done: matches!(self.deed, Deed::Done),
            detail,
            blocks: self.blocks() && !self.found.ours(kubo),
        }
    }
}

/// Cleans everywhere. `between` is called between judging a lock and taking it; nothing of use happens there but in tests.
pub fn clean(places: &Places, looks: &mut Looks, how: How, between: &dyn Fn()) -> Vec<Outcome> {
    places.sites.iter().flat_map(|site| clean_site(site, looks, how, between)).collect()
}

/// One repo at a time: the start of Kubo and the timer would take each other's work for somebody else's.
static CLEANING: Mutex<()> = Mutex::new(());

fn clean_site(site: &Site, looks: &mut Looks, how: How, between: &dyn Fn()) -> Vec<Outcome> {
    // A start waits for nothing but the repo.
    let _one = (site.role == LockRole::RepoLock).then(|| CLEANING.lock().unwrap_or_else(PoisonError::into_inner));
    let found = evidence::lock(site, looks);
    let foreign = foreign(&site.lock);
    let lock = match &foreign {
        None => clean_lock(site, found, how, between),
        Some(why) => not_ours(found, how, why),
    };
    let guard = if lock.is_cleaned() { Kernel::Free } else { evidence::guard(&lock.found, &lock.judged) };
    let stores = lock.found.evidence.stores.clone();
    let mut outcomes = vec![lock];
    let locks = evidence::datastores(site, &stores).into_iter();
    outcomes.extend(locks.map(|found| Outcome::new(found, Deed::Left)));
    let beside = site.beside.iter().filter_map(|(path, role)| evidence::beside(path, *role, &guard, &stores)).collect();
    match &foreign {
        None => outcomes.extend(clean_beside(site, beside, how)),
        Some(why) => outcomes.extend(beside.into_iter().map(|found| not_ours(found, how, why))),
    }
    outcomes
}

/// Why files in another user's directory are left alone. Root could, and what it left there would be in the owner's way.
fn foreign(lock: &Path) -> Option<String> {
    let owner = lock.parent()?.metadata().ok()?.uid();
    let us = nix::unistd::geteuid().as_raw();
    (owner != us).then(|| format!("its directory belongs to uid {owner}, and ipfs-kitd runs as uid {us}"))
}

fn not_ours(found: Found, how: How, why: &str) -> Outcome {
    let deed = if verdict::hope(&found.evidence).acts(how.force) { Deed::Failed(why.to_owned()) } else { Deed::Left };
    Outcome::new(found, deed)
}

/// Asks each datastore by taking its lock for a moment, which only a starting Kubo would notice, and none can be.
fn ask_stores(site: &Site) -> Vec<(String, Kernel)> {
    evidence::stores(site, &|dir| evidence::store(dir, kernel::try_flock))
}

fn clean_lock(site: &Site, mut found: Found, how: How, between: &dyn Fn()) -> Outcome {
    if !verdict::hope(&found.evidence).acts(how.force) {
        return Outcome::new(found, Deed::Left);
    }
    between();
    if let Kind::Directory(_) = found.evidence.kind {
        // While it is there, neither Kubo nor js-ipfs comes as far as a datastore.
        let _turn = hold::turn();
        found.evidence.stores = ask_stores(site);
        return act(found, how, |path, _| std::fs::remove_dir(path));
    }
    let hold = match Hold::take(&site.lock, false) {
        Ok(hold) => hold,
        Err(HoldError::Taken) => {
            // Live after all.
            found.evidence.kernel = Kernel::Held(Holder::Unnamed);
            let now = evidence::lock(site, &mut Looks::default());
            return Outcome::new(if now.judge().verdict == Verdict::Live { now } else { found }, Deed::Left);
        }
        Err(error) => return Outcome::new(found, Deed::Failed(error.to_string())),
    };
    found.evidence.stores = ask_stores(site);
    act(found, how, |_, identity| {
        if hold.content()?.0 != identity {
            return Err(changed());
        }
        hold.empty()?;
        hold.check().map_err(io::Error::other)
    })
}

/// What Kubo writes only while it holds the lock is safe from it while we do.
fn clean_beside(site: &Site, beside: Vec<Found>, how: How) -> Vec<Outcome> {
    let (mut dead, rest): (Vec<_>, Vec<_>) =
        beside.into_iter().partition(|found| verdict::hope(&found.evidence).acts(how.force));
    let mut outcomes: Vec<_> = rest.into_iter().map(|found| Outcome::new(found, Deed::Left)).collect();
    if dead.is_empty() {
        return outcomes;
    }
    let hold = Hold::take(&site.lock, !how.dry_run);
    match &hold {
        Ok(_) => {
            let stores = ask_stores(site);
            dead.iter_mut().for_each(|found| found.evidence.stores.clone_from(&stores));
        }
        // There is no lock, or no file yet that could be one, and a dry run makes none.
        Err(HoldError::Gone | HoldError::Io(_)) if how.dry_run => {}
        Err(HoldError::Taken) => {
            dead.iter_mut().for_each(|found| found.evidence.guard = Kernel::Held(Holder::Unnamed));
        }
        Err(error) => {
            let failed = |found| Outcome::new(found, Deed::Failed(format!("repo.lock cannot be held: {error}")));
            outcomes.extend(dead.into_iter().map(failed));
            return outcomes;
        }
    }
    outcomes.extend(dead.into_iter().map(|mut found| {
        if found.evidence.role == LockRole::Socket {
            found.evidence.kernel = kernel::ask_socket(&found.path);
        }
        act(found, how, |path, _| std::fs::remove_file(path))
    }));
    outcomes
}

/// Does it, if it still is to be done to what still is the same file.
fn act(found: Found, how: How, deed: impl FnOnce(&Path, Identity) -> io::Result<()>) -> Outcome {
    let judged = found.judge();
    if !judged.acts(how.force) {
        return Outcome::new(found, Deed::Left);
    }
    if how.dry_run {
        return Outcome::new(found, Deed::Would);
    }
    let content = match &found.evidence.kind {
        Kind::File(content) => verdict::whole(content),
        _ => String::new(),
    };
    let action = judged.action.name();
    tracing::warn!(path = %found.path.display(), action, content, forced = judged.needs_force, "cleaning what a dead process left");
    let done = found.identity.ok_or_else(changed).and_then(|identity| {
        if Identity::of(&found.path.symlink_metadata()?) != identity {
            return Err(changed());
        }
        deed(&found.path, identity)
    });
    match done {
        Ok(()) => Outcome::new(found, Deed::Done),
        Err(error) => Outcome::new(found, Deed::Failed(error.to_string())),
    }
}

fn changed() -> io::Error {
    io::Error::other("it is not the same any more; look again")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file_lock;
    use crate::janitor::soon;
    use std::fs::File;
    use std::path::PathBuf;
    use std::time::{Duration, SystemTime};

    /// A repo of Kubo's default kind.
    fn repo() -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a temp dir");
        let path = |name| dir.path().join(name);
        std::fs::write(path("config"), "{}").expect("written");
        std::fs::write(path("datastore_spec"), r#"{"type":"levelds","path":"datastore"}"#).expect("written");
        std::fs::create_dir(path("datastore")).expect("made");
        std::fs::write(path("datastore/LOCK"), "").expect("written");
        dir
    }

    /// With a lock whose owner is gone.
    fn dead_repo() -> (tempfile::TempDir, PathBuf) {
        let dir = repo();
        let lock = dir.path().join("repo.lock");
        std::fs::write(&lock, dead_owner()).expect("written");
        (dir, lock)
    }

    /// Names a process that was there and is not any more.
    fn dead_owner() -> String {
        let mut child = std::process::Command::new("/bin/true").spawn().expect("it starts");
        child.wait().expect("waited for");
        format!("{{\"OwnerPID\":{}}}\n", child.id())
    }

    fn cleaned(dir: &tempfile::TempDir, how: How, between: &dyn Fn()) -> Vec<LockOutcome> {
        let outcomes = clean(&Places::of_repo(dir.path()), &mut Looks::default(), how, between);
        outcomes.iter().map(|outcome| outcome.report(None)).collect()
    }

    const FORCE: How = How { dry_run: false, force: true };

    #[test]
    fn a_dead_lock_is_emptied_in_place_once() {
        let (dir, lock) = dead_repo();
        let inode = lock.metadata().expect("there").ino();
        let dry = &cleaned(&dir, How { dry_run: true, force: false }, &|| ())[0];
        assert_eq!((dry.action, dry.done, dry.blocks), (LockAction::Truncate, false, true), "{}", dry.detail);
        assert!(lock.metadata().expect("there").len() > 0);
        let done = &cleaned(&dir, How::default(), &|| ())[0];
        assert_eq!((done.action, done.done, done.blocks), (LockAction::Truncate, true, false), "{}", done.detail);
        let found = lock.metadata().expect("there");
        assert_eq!((found.ino(), found.len()), (inode, 0));
        let again = &cleaned(&dir, How::default(), &|| ())[0];
        assert_eq!((again.verdict, again.action, again.done), (Verdict::Idle, LockAction::None, false));
    }

    #[test]
    fn s18_a_lock_that_is_taken_between_the_look_and_the_act_is_live_and_stays() {
        let (dir, lock) = dead_repo();
        let before = std::fs::read(&lock).expect("read");
        let holder = File::options().write(true).open(&lock).expect("opened");
        let outcome = &cleaned(&dir, FORCE, &|| file_lock::take(&holder).expect("free"))[0];
        assert_eq!((outcome.verdict, outcome.done, outcome.blocks), (Verdict::Live, false, true), "{}", outcome.detail);
        assert_eq!(std::fs::read(&lock).expect("read"), before);
    }

    #[test]
    fn a_lock_that_changes_between_the_look_and_the_act_is_left_alone() {
        let (dir, lock) = dead_repo();
        let other = dir.path().join("other");
        let owner = dead_owner();
        let replace = || {
            std::fs::write(&other, "precious").expect("written");
            std::fs::rename(&other, &lock).expect("renamed");
        };
        let write = || std::fs::write(&lock, &owner).expect("written");
        let remove = || std::fs::remove_file(&lock).expect("removed");
        for change in [&replace as &dyn Fn(), &write, &remove] {
            let outcome = &cleaned(&dir, FORCE, change)[0];
            assert!(!outcome.done && outcome.action == LockAction::None, "{outcome:?}");
            assert!(lock.metadata().map_or(1, |found| found.len()) > 0);
            write();
        }
    }

    #[test]
    fn a_datastore_that_is_in_use_keeps_everything_as_it_is_even_by_force() {
        let (dir, lock) = dead_repo();
        std::fs::write(dir.path().join("api"), "nonsense").expect("written");
        let store = File::open(dir.path().join("datastore/LOCK")).expect("opened");
        let outcomes = cleaned(&dir, FORCE, &|| store.lock().expect("flock"));
        assert!(outcomes.iter().all(|outcome| !outcome.done), "{outcomes:?}");
        assert!(lock.metadata().expect("there").len() > 0 && dir.path().join("api").exists());
        store.unlock().expect("unlocked");
        let outcomes = cleaned(&dir, FORCE, &|| ());
        assert_eq!(outcomes.iter().filter(|outcome| outcome.done).count(), 2, "{outcomes:?}");
    }

    #[test]
    fn a_lock_that_has_another_name_is_nobodys_to_empty() {
        let (dir, lock) = dead_repo();
        let before = std::fs::read(&lock).expect("read");
        std::fs::hard_link(&lock, dir.path().join("precious")).expect("linked");
        let outcome = &cleaned(&dir, FORCE, &|| ())[0];
        assert!(!outcome.done && outcome.blocks && outcome.detail.contains("hard links"), "{outcome:?}");
        assert_eq!(std::fs::read(&lock).expect("read"), before);
    }

    #[test]
    fn a_gigabyte_of_nothing_is_emptied_by_force_alone_and_at_once() {
        let dir = repo();
        let lock = dir.path().join("repo.lock");
        File::create(&lock).and_then(|file| file.set_len(1 << 30)).expect("made");
        assert!(!cleaned(&dir, How::default(), &|| ())[0].done);
        assert_eq!(lock.metadata().expect("there").len(), 1 << 30);
        assert!(cleaned(&dir, FORCE, &|| ())[0].done);
        assert_eq!(lock.metadata().expect("there").len(), 0);
    }

    #[test]
    fn a_js_directory_goes_after_two_looks_or_by_force_and_never_with_something_in_it() {
        let dir = repo();
        let lock = dir.path().join("repo.lock");
        let plant = |age: u64| {
            std::fs::create_dir(&lock).expect("made");
            let times = std::fs::FileTimes::new().set_modified(SystemTime::now() - Duration::from_secs(age));
            File::open(&lock).and_then(|dir| dir.set_times(times)).expect("aged");
        };
        plant(5);
        assert!(!cleaned(&dir, FORCE, &|| ())[0].done, "js-ipfs may live");
        std::fs::remove_dir(&lock).expect("removed");
        plant(200);
        let mut looks = Looks::default();
        let mut look = || clean(&Places::of_repo(dir.path()), &mut looks, How::default(), &|| ())[0].report(None);
        assert!(!look().done, "one look is not enough");
        assert!(!look().done, "nor are two at once");
        looks.age(Duration::from_secs(21));
        let second = clean(&Places::of_repo(dir.path()), &mut looks, How::default(), &|| ())[0].report(None);
        assert_eq!((second.action, second.done), (LockAction::Rmdir, true), "{second:?}");
        plant(200);
        let inside = lock.join("x");
        let outcome = &cleaned(&dir, FORCE, &|| std::fs::write(&inside, "").expect("written"))[0];
        assert!(!outcome.done && inside.exists(), "{outcome:?}");
        std::fs::remove_dir_all(&lock).expect("removed");
        plant(200);
        let outcome = &cleaned(&dir, FORCE, &|| ())[0];
        assert_eq!((outcome.action, outcome.done), (LockAction::Rmdir, true), "{outcome:?}");
        assert!(!lock.exists());
    }

    #[test]
    fn dead_addresses_leftovers_and_sockets_go_while_the_lock_is_held_and_what_was_replaced_stays() {
        let dir = repo();
        let path = |name: &str| dir.path().join(name);
        let socket = path("api.sock");
        let config = serde_json::json!({"Addresses": {"API": format!("/unix{}", socket.display())}});
        std::fs::write(path("config"), config.to_string()).expect("written");
        drop(std::os::unix::net::UnixListener::bind(&socket).expect("bound"));
        assert!(soon(|| kernel::ask_socket(&socket) == Kernel::Free));
        std::fs::write(path("api"), format!("/unix{}", socket.display())).expect("written");
        std::fs::write(path(".api.tmp"), "/ip4").expect("written");
        std::fs::write(path("gateway"), "http://192.0.2.1:80").expect("written");
        let dry = cleaned(&dir, How { dry_run: true, force: false }, &|| ());
        assert_eq!(dry.iter().filter(|outcome| outcome.action == LockAction::Unlink).count(), 3, "{dry:?}");
        assert!(!path("repo.lock").exists(), "a dry run makes nothing");
        let done = cleaned(&dir, How::default(), &|| ());
        assert_eq!(done.iter().filter(|outcome| outcome.done).count(), 3, "{done:?}");
        assert!(!socket.exists() && !path("api").exists() && !path(".api.tmp").exists());
        assert!(path("gateway").exists(), "it is of another host");
        let listener = std::os::unix::net::UnixListener::bind(&socket).expect("bound");
        std::fs::write(path("api"), format!("/unix{}", socket.display())).expect("written");
        // A listener of our own process shows no Kubo, and still is a listener.
        let live = cleaned(&dir, FORCE, &|| ());
        let done = |role| live.iter().any(|outcome| outcome.role == role && outcome.done);
        assert!(done(LockRole::Address) && !done(LockRole::Socket) && socket.exists(), "{live:?}");
        drop(listener);
    }

    #[test]
    fn an_api_file_without_a_config_is_left_alone() {
        let dir = tempfile::tempdir().expect("a temp dir");
        std::fs::write(dir.path().join("api"), "nonsense").expect("written");
        assert_eq!(cleaned(&dir, FORCE, &|| ()).len(), 1);
        assert!(dir.path().join("api").exists() && !dir.path().join("repo.lock").exists());
    }
}
