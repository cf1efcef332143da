//! What the evidence about one file means, and what may be done about it. Pure.
//!
//! Only the kernel says "live"; a PID in a file is one piece of evidence among several. What is not proven is unknown, and unknown
//! counts as live. Reasons name points in time and not ages, so that the same evidence reads the same at every look.

use super::facts::{Answer, CONTENT, Content, Directory, Evidence, Holder, Kernel, Kind, Openers, Process, Signs};
use jiff::{SignedDuration, Timestamp};
use proto_msgs::lock::{LockAction, LockRole, Verdict};
use std::time::Duration;

/// js-ipfs gives up a lock that was not renewed for so long; it renews its own every 10 s.
pub const JS_STALE: Duration = Duration::from_secs(20);
/// A directory has to be unchanged for so long before its owner can be dead: several times the above.
const JS_OLD: Duration = Duration::from_secs(100);
/// The kernel counts a process's start in hundredths of a second, and clocks are slewed meanwhile.
const CLOCKS: SignedDuration = SignedDuration::from_secs(2);
/// As much of it as is shown.
const SHOWN: usize = 80;

/// What the evidence means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// Whether Kubo's start is refused because of it.
    pub blocks: bool,
    /// What may be done ...
    pub action: LockAction,
    /// ... but only with force.
    pub needs_force: bool,
    /// What all of this rests on.
    pub reasons: Vec<String>,
    /// Those of the reasons for which the owner is not proven dead.
    pub doubts: Vec<String>,
}

impl Judgement {
    /// Whether it is to be cleaned.
    pub fn acts(&self, force: bool) -> bool {
        self.action != LockAction::None && (force || !self.needs_force)
    }

    fn new(role: LockRole, verdict: Verdict, reason: impl Into<String>) -> Judgement {
        let (reason, doubtful) = (reason.into(), verdict == Verdict::Unknown);
        Judgement {
            verdict,
            blocks: blocks(role, verdict),
            action: LockAction::None,
            needs_force: false,
            doubts: doubtful.then(|| reason.clone()).into_iter().collect(),
            reasons: vec![reason],
        }
    }

    fn and(mut self, reason: impl Into<String>) -> Judgement {
        self.reasons.push(reason.into());
        self
    }
}

/// Kubo's start is refused by what stands at the place of its own lock or sockets, and by whoever has the repo in use.
fn blocks(role: LockRole, verdict: Verdict) -> bool {
    match (role, verdict) {
        (_, Verdict::Idle) => false,
        (LockRole::RepoLock | LockRole::Socket, _) => true,
        // Presence of these stops nobody, and Kubo asks the kernel for its datastore's lock itself.
        (LockRole::OldLock | LockRole::Datastore | LockRole::Unknown, verdict) => verdict == Verdict::Live,
        (LockRole::ClusterLock | LockRole::Address | LockRole::Leftover | LockRole::OwnSocket, _) => false,
    }
}

/// The case for an owner's death: dead when there is no doubt; some doubts a person may settle, others nobody.
#[derive(Default)]
struct Case {
    reasons: Vec<String>,
    doubts: Vec<String>,
    hopeless: bool,
}

impl Case {
    fn proves(&mut self, reason: impl Into<String>) {
        self.reasons.push(reason.into());
    }

    fn doubts(&mut self, reason: impl Into<String>) {
        let reason = reason.into();
        self.doubts.push(reason.clone());
        self.reasons.push(reason);
    }

    fn forbids(&mut self, reason: impl Into<String>) {
        self.doubts(reason);
        self.hopeless = true;
    }

    fn close(self, role: LockRole, action: LockAction) -> Judgement {
        let verdict = if self.doubts.is_empty() { Verdict::Dead } else { Verdict::Unknown };
        Judgement {
            verdict,
            blocks: blocks(role, verdict),
            action: if self.hopeless { LockAction::None } else { action },
            needs_force: !self.hopeless && !self.doubts.is_empty(),
            reasons: self.reasons,
            doubts: self.doubts,
        }
    }
}

/// Judges one file.
pub fn judge(seen: &Evidence) -> Judgement {
    let role = seen.role;
    let unknown = |reason: String| Judgement::new(role, Verdict::Unknown, reason);
    match (&seen.kind, &seen.kernel) {
        (Kind::Unreadable(why), _) => unknown(format!("it cannot be looked at: {why}")),
        (Kind::Absent, Kernel::Held(_)) => Judgement::new(role, Verdict::Live, held_by(&seen.kernel)),
        (Kind::Absent, _) => Judgement::new(role, Verdict::Idle, "the file is absent"),
        (Kind::Other(what), _) => unknown(format!("it is {what}, which no version of Kubo makes")),
        (_, Kernel::Held(_)) => Judgement::new(role, Verdict::Live, held_by(&seen.kernel)),
        (_, Kernel::Unknown(why)) => unknown(format!("the kernel cannot say whether it is held: {why}")),
        (Kind::File(content), Kernel::Free | Kernel::NotAsked) => match role {
            LockRole::RepoLock | LockRole::ClusterLock => lock_file(seen, content),
            LockRole::OldLock => free(seen).and("no Kubo since 0.3 looks at it"),
            LockRole::Datastore => free(seen).and("its presence is in nobody's way"),
            LockRole::Address => beside(seen, |case| address(seen, case)),
            LockRole::Leftover => beside(seen, |case| case.proves("it is half of an address that was being written")),
            LockRole::Socket | LockRole::OwnSocket => unknown("it is a file where a socket belongs".to_owned()),
            LockRole::Unknown => unknown("it is a file of no known kind".to_owned()),
        },
        (Kind::Socket, _) => match role {
            LockRole::Socket => beside(seen, |case| case.proves("nobody listens on it")),
            LockRole::OwnSocket => {
                Judgement::new(role, Verdict::Idle, "nobody listens on it").and("whoever listens next replaces it")
            }
            _ => unknown("it is a socket, which no version of Kubo makes".to_owned()),
        },
        (Kind::Directory(directory), _) => match role {
            LockRole::RepoLock => js_lock(seen, directory),
            LockRole::OldLock => Judgement::new(role, Verdict::Idle, "it is a directory").and("no Kubo looks at it"),
            _ => unknown("it is a directory, which no version of Kubo makes".to_owned()),
        },
    }
}

/// The same if the datastores of which a look cannot say turn out to be free: cleaning tries that.
pub fn hope(seen: &Evidence) -> Judgement {
    let mut hoped = seen.clone();
    for (_, kernel) in &mut hoped.stores {
        if matches!(kernel, Kernel::Unknown(_)) {
            *kernel = Kernel::Free;
        }
    }
    judge(&hoped)
}

fn held_by(kernel: &Kernel) -> String {
    match kernel {
        Kernel::Held(Holder::Pid(pid)) => format!("the kernel says that PID {pid} holds it"),
        Kernel::Held(Holder::Outside) => "the kernel says that a process of another PID namespace holds it".to_owned(),
        Kernel::Held(Holder::Description) => {
            "the kernel says that it is held through an open file description".to_owned()
        }
        _ => "the kernel says that somebody holds it".to_owned(),
    }
}

fn free(seen: &Evidence) -> Judgement {
    let judgement = Judgement::new(seen.role, Verdict::Idle, "the kernel says that nobody holds it");
    match seen.remote_fs {
        // Kubo's own lock is worth no more there, and holding every start would make such repos useless.
        Some(fs) => judgement.and(format!("it lies on {fs}, where this kernel may not see what another host holds")),
        None => judgement,
    }
}

/// An empty file is what Kubo makes and takes; any content stops it.
fn lock_file(seen: &Evidence, content: &Content) -> Judgement {
    if content.size == 0 {
        return free(seen).and("it is empty, as Kubo leaves it, and in nobody's way");
    }
    let mut case = Case::default();
    case.proves("the kernel says that nobody holds it");
    case.proves(format!("it holds {} bytes, and Kubo starts only over an empty one", content.size));
    surroundings(seen, &mut case);
    match &seen.signs {
        Some(signs) => {
            openers(&signs.openers, &mut case);
            api(&signs.api, &mut case);
            owner(content, signs, &mut case);
        }
        None => case.forbids("nothing else was looked at"),
    }
    case.close(seen.role, LockAction::Truncate)
}

/// The directory of js-ipfs has no lock in the kernel. Its owner renews it, so it is judged by two looks that lie apart.
fn js_lock(seen: &Evidence, directory: &Directory) -> Judgement {
    let mut case = Case::default();
    case.proves("it is a directory, the lock of js-ipfs, which no kernel lock backs");
    surroundings(seen, &mut case);
    match &seen.signs {
        Some(signs) => api(&signs.api, &mut case),
        None => case.forbids("nothing else was looked at"),
    }
    if !directory.empty {
        case.forbids("it is not empty, so js-ipfs has not made it");
    }
    let (written, since) = (short(directory.written), short(directory.since));
    // A time that is yet to come is another clock's and shows no life, nor does a clock that was set back meanwhile: what looks
    // have seen counts as well.
    let by_clock = Duration::try_from(seen.now.duration_since(directory.written)).unwrap_or_default();
    let unchanged = by_clock.max(directory.known);
    let ahead = if directory.written > seen.now { ", which is yet to come" } else { "" };
    let changed = format!("it says that it was changed at {written}{ahead}");
    if unchanged <= JS_STALE {
        case.forbids(format!("{changed}, and a js-ipfs that lives changes it every 10 s"));
    } else if unchanged <= JS_OLD {
        case.doubts(format!("{changed}, and it has to be unchanged for {} s", JS_OLD.as_secs()));
    } else {
        case.proves(changed);
    }
    if directory.known > JS_STALE {
        case.proves(format!("it has not changed since {since}, the first look at it"));
    } else {
        let wait = JS_STALE.as_secs() + 1;
        case.doubts(format!("the first look at it was at {since}; another one {wait} s later can tell more"));
    }
    case.close(seen.role, LockAction::Rmdir)
}

/// What Kubo keeps beside its lock and changes only while it holds that.
fn beside(seen: &Evidence, own: impl FnOnce(&mut Case)) -> Judgement {
    let mut case = Case::default();
    match &seen.guard {
        Kernel::Held(_) if seen.role == LockRole::Socket => case.forbids("repo.lock is held"),
        Kernel::Held(_) => {
            return Judgement::new(seen.role, Verdict::Live, "it belongs to the Kubo that holds repo.lock");
        }
        Kernel::Unknown(why) => case.forbids(format!("whether a Kubo runs is not known: {why}")),
        Kernel::Free | Kernel::NotAsked => case.proves("the kernel says that nobody holds repo.lock"),
    }
    surroundings(seen, &mut case);
    own(&mut case);
    case.close(seen.role, LockAction::Unlink)
}

fn surroundings(seen: &Evidence, case: &mut Case) {
    if let Some(fs) = seen.remote_fs {
        case.forbids(format!("it lies on {fs}, where this kernel may not see what another host holds"));
    }
    for (store, kernel) in &seen.stores {
        match kernel {
            Kernel::Free | Kernel::NotAsked => case.proves(format!("nobody holds {store}")),
            Kernel::Held(_) => case.forbids(format!("{store} is in use: {}", held_by(kernel))),
            Kernel::Unknown(why) => case.forbids(format!("whether somebody holds {store} is not known: {why}")),
        }
    }
}

fn openers(openers: &Openers, case: &mut Case) {
    match openers {
        Openers::Known(open, hidden) if open.is_empty() => {
            let hidden = if *hidden == 0 { String::new() } else { format!(" ({hidden} could not be looked at)") };
            case.proves(format!("no process of our PID namespace has it open{hidden}"));
        }
        Openers::Known(open, _) => {
            let names: Vec<_> = open.iter().map(|(pid, program)| format!("PID {pid} ({program})")).collect();
            case.forbids(format!("{} has it open", names.join(", ")));
        }
        Openers::Unknown(why) => case.forbids(format!("whether a process has it open is not known: {why}")),
    }
}

fn api(answer: &Answer, case: &mut Case) {
    match answer {
        Answer::NoAddress => case.proves("there is no api address"),
        Answer::Refused(address) => case.proves(format!("nobody listens at the api address {address}")),
        Answer::Accepted(address) => case.doubts(format!("somebody listens at the api address {address}")),
        Answer::Unknown(address, why) => case.doubts(format!("the api address {address} gives no answer: {why}")),
        Answer::Elsewhere(address) => case.doubts(format!("the api address {address} is not on this host")),
        Answer::Malformed(text) => case.doubts(format!("the api address {text} is none")),
    }
}

fn address(seen: &Evidence, case: &mut Case) {
    match &seen.answer {
        Answer::Refused(address) => case.proves(format!("nobody listens at {address}")),
        Answer::Accepted(address) => case.forbids(format!("somebody listens at {address}")),
        Answer::Unknown(address, why) => case.forbids(format!("{address} gives no answer: {why}")),
        Answer::Elsewhere(address) => case.forbids(format!("{address} is not on this host, so somebody has chosen it")),
        Answer::Malformed(text) => case.doubts(format!("it holds {text}, which is no address")),
        Answer::NoAddress => case.forbids("it was not read"),
    }
}

/// Whether the process that wrote the content is dead. PIDs are numbers of our own PID namespace; the content may come from
/// another one, which is why this is never the only evidence.
fn owner(content: &Content, signs: &Signs, case: &mut Case) {
    let (written, boot) = (content.written, signs.boot);
    let since = |earlier: Timestamp, later: Timestamp| later.duration_since(earlier) > CLOCKS;
    // Content that names nobody is nobody's lock for certain: a person has to look at it.
    if signs.owner.is_some() && since(written, boot) {
        let (written, boot) = (short(written), short(boot));
        return case.proves(format!("it was written at {written}, before this machine started at {boot}"));
    }
    let written_at = short(written);
    match &signs.owner {
        None => case.doubts(format!("it says {}, which names no owner", excerpt(content))),
        Some((pid, Process::Absent)) => {
            case.proves(format!("PID {pid}, which it names, is not there (in our PID namespace)"));
        }
        Some((pid, Process::Started(at))) if since(written, *at) => {
            let at = short(*at);
            case.proves(format!(
                "PID {pid}, which it names, runs since {at}, and it was written before, at {written_at}"
            ));
        }
        Some((pid, Process::Started(at))) => {
            let at = short(*at);
            case.doubts(format!(
                "PID {pid}, which it names, runs since {at}, and it was written later, at {written_at}"
            ));
        }
        Some((pid, Process::Unknown(why))) => {
            case.doubts(format!("PID {pid}, which it names, cannot be looked at: {why}"));
        }
    }
}

/// The process that the content of a lock names: `{"OwnerPID":N}` of go4's portable lock, or a decimal number.
pub fn owner_of(content: &Content) -> Option<u32> {
    #[derive(serde::Deserialize)]
    struct Portable {
        #[serde(rename = "OwnerPID")]
        owner: u32,
    }
    if content.size > CONTENT as u64 {
        return None;
    }
    let text = std::str::from_utf8(&content.text).ok()?.trim();
    let pid = match serde_json::from_str::<Portable>(text) {
        Ok(portable) => portable.owner,
        Err(_) => text.parse().ok()?,
    };
    (1..=i32::MAX.cast_unsigned()).contains(&pid).then_some(pid)
}

/// The beginning of a content, as it can be shown and logged.
pub fn excerpt(content: &Content) -> String {
    let shown = &content.text[..content.text.len().min(SHOWN)];
    let more = if content.size > shown.len() as u64 { " …" } else { "" };
    format!("\"{}\"{more}", shown.escape_ascii())
}

/// All of it that was read, for the log.
pub fn whole(content: &Content) -> String {
    let more = if content.size > content.text.len() as u64 { " …" } else { "" };
    format!("\"{}\"{more}", content.text.escape_ascii())
}

/// A time to the second.
fn short(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Seconds since the machine started.
    fn at(seconds: i64) -> Timestamp {
        Timestamp::new(1_700_000_000 + seconds, 0).expect("a time")
    }

    fn content(text: &str, written: i64) -> Kind {
        Kind::File(Content { size: text.len() as u64, text: text.into(), written: at(written) })
    }

    fn seen(role: LockRole, kind: Kind, kernel: Kernel) -> Evidence {
        let guard = Kernel::NotAsked;
        let stores = vec![("LOCK".to_owned(), Kernel::Free)];
        let (signs, answer) = (None, Answer::NoAddress);
        Evidence { role, kind, kernel, guard, stores, remote_fs: None, signs, answer, now: at(5000) }
    }

    /// A lock that PID 77 wrote 1000 s after the start of the machine, and that is dead for every reason.
    fn dead() -> Evidence {
        let lock = seen(LockRole::RepoLock, content("{\"OwnerPID\":77}\n", 1000), Kernel::Free);
        let signs = Signs {
            openers: Openers::Known(Vec::new(), 0),
            api: Answer::Refused("/ip4/127.0.0.1/tcp/5001".into()),
            owner: Some((77, Process::Absent)),
            boot: at(0),
        };
        Evidence { signs: Some(signs), ..lock }
    }

    fn js(empty: bool, age: i64, known: u64) -> Evidence {
        let directory = directory(empty, age, known);
        Evidence { kind: Kind::Directory(directory), kernel: Kernel::NotAsked, ..dead() }
    }

    fn directory(empty: bool, age: i64, known: u64) -> Directory {
        let since = at(5000 - known.cast_signed());
        Directory { empty, written: at(5000 - age), since, known: Duration::from_secs(known) }
    }

    fn signs(change: impl FnOnce(&mut Signs)) -> Evidence {
        let mut evidence = dead();
        change(evidence.signs.as_mut().expect("there"));
        evidence
    }

    /// Verdict, whether it is cleaned, and whether it is with force.
    fn judged(evidence: &Evidence) -> (Verdict, bool, bool) {
        let judged = judge(evidence);
        (judged.verdict, judged.acts(false), judged.acts(true))
    }

    const DEAD: (Verdict, bool, bool) = (Verdict::Dead, true, true);
    const ASKS: (Verdict, bool, bool) = (Verdict::Unknown, false, true);
    const NEVER: (Verdict, bool, bool) = (Verdict::Unknown, false, false);

    #[test]
    fn only_the_kernel_makes_a_lock_live() {
        for holder in [Holder::Pid(1234), Holder::Outside, Holder::Description, Holder::Unnamed] {
            for text in ["", "{\"OwnerPID\":77}"] {
                let evidence = Evidence { kind: content(text, 1000), kernel: Kernel::Held(holder), ..dead() };
                assert_eq!(judged(&evidence), (Verdict::Live, false, false));
                assert!(judge(&evidence).blocks);
            }
        }
        assert_eq!(judged(&Evidence { kind: content("", 0), ..dead() }).0, Verdict::Idle);
        assert_eq!(judged(&Evidence { kind: Kind::Absent, kernel: Kernel::NotAsked, ..dead() }).0, Verdict::Idle);
    }

    #[test]
    fn content_is_dead_only_if_everything_says_so() {
        assert_eq!(judged(&dead()), DEAD);
        let somebody = || Kernel::Held(Holder::Pid(9));
        for (evidence, expected) in [
            (Evidence { kernel: Kernel::Unknown("ENOLCK".into()), ..dead() }, NEVER),
            (Evidence { remote_fs: Some("NFS"), ..dead() }, NEVER),
            (Evidence { signs: None, ..dead() }, NEVER),
            (Evidence { stores: vec![("LOCK".into(), somebody())], ..dead() }, NEVER),
            (Evidence { stores: vec![("LOCK".into(), Kernel::Unknown("hidden".into()))], ..dead() }, NEVER),
            (signs(|s| s.openers = Openers::Known(vec![(9, "vim".into())], 0)), NEVER),
            (signs(|s| s.openers = Openers::Unknown("EACCES".into())), NEVER),
            (signs(|s| s.openers = Openers::Known(Vec::new(), 3)), DEAD),
            (signs(|s| s.api = Answer::NoAddress), DEAD),
            (signs(|s| s.api = Answer::Accepted("a".into())), ASKS),
            (signs(|s| s.api = Answer::Unknown("a".into(), "timeout".into())), ASKS),
            (signs(|s| s.api = Answer::Elsewhere("a".into())), ASKS),
            (signs(|s| s.api = Answer::Malformed("a".into())), ASKS),
            (signs(|s| s.owner = None), ASKS),
            (signs(|s| s.owner = Some((77, Process::Unknown("EACCES".into())))), ASKS),
            (signs(|s| s.owner = Some((77, Process::Started(at(900))))), ASKS),
            // Within what the clocks are worth.
            (signs(|s| s.owner = Some((77, Process::Started(at(1002))))), ASKS),
            (signs(|s| s.owner = Some((77, Process::Started(at(1003))))), DEAD),
            // Written before the machine started.
            (signs(|s| (s.owner, s.boot) = (Some((77, Process::Unknown("EACCES".into()))), at(1003))), DEAD),
            (signs(|s| (s.owner, s.boot) = (Some((77, Process::Unknown("EACCES".into()))), at(1002))), ASKS),
            // What names nobody may be anything.
            (signs(|s| (s.owner, s.boot) = (None, at(1003))), ASKS),
        ] {
            assert_eq!(judged(&evidence), expected, "{evidence:?}");
            assert!(judge(&evidence).blocks);
        }
    }

    #[test]
    fn what_no_kubo_makes_is_never_touched() {
        for kind in [Kind::Other("a symbolic link"), Kind::Unreadable("EACCES".into()), Kind::Socket] {
            let evidence = Evidence { kind, kernel: Kernel::NotAsked, ..dead() };
            assert_eq!(judged(&evidence), NEVER);
            assert!(judge(&evidence).blocks);
        }
    }

    #[test]
    fn a_js_directory_is_dead_when_it_is_old_and_two_looks_find_it_unchanged() {
        assert_eq!(judged(&js(true, 101, 21)), DEAD);
        assert_eq!(judged(&js(true, 101, 20)), ASKS);
        assert_eq!(judged(&js(true, 101, 0)), ASKS);
        assert_eq!(judged(&js(true, 100, 21)), ASKS);
        assert_eq!(judged(&js(true, 20, 20)), NEVER, "js-ipfs may have renewed it");
        assert_eq!(judged(&js(false, 101, 21)), NEVER);
        let first = judge(&js(true, 101, 0)).doubts.join(" ");
        assert!(first.contains("another one 21 s later"), "{first}");
    }

    #[test]
    fn a_js_directory_whose_time_is_yet_to_come_is_judged_by_the_looks_alone() {
        for ahead in [-50, -100_000_000] {
            assert_eq!(judged(&js(true, ahead, 0)), NEVER);
            assert_eq!(judged(&js(true, ahead, 20)), NEVER);
            assert_eq!(judged(&js(true, ahead, 21)), ASKS, "force settles it");
            assert_eq!(judged(&js(true, ahead, 101)), DEAD);
        }
    }

    #[test]
    fn what_lies_beside_a_lock_is_dead_with_its_kubo() {
        let beside =
            |role, kind, kernel, guard, answer| judged(&Evidence { guard, answer, ..seen(role, kind, kernel) });
        let refused = || Answer::Refused("a".into());
        let api = |guard, answer| beside(LockRole::Address, content("a", 0), Kernel::NotAsked, guard, answer);
        let held = || Kernel::Held(Holder::Pid(9));
        assert_eq!(api(Kernel::Free, refused()), DEAD);
        assert_eq!(api(held(), refused()).0, Verdict::Live);
        assert_eq!(api(Kernel::Unknown("not settled".into()), refused()), NEVER);
        assert_eq!(api(Kernel::Free, Answer::Accepted("a".into())), NEVER);
        assert_eq!(api(Kernel::Free, Answer::Elsewhere("a".into())), NEVER);
        assert_eq!(api(Kernel::Free, Answer::Malformed("a".into())), ASKS);

        let socket = |kernel, guard| beside(LockRole::Socket, Kind::Socket, kernel, guard, Answer::NoAddress);
        assert_eq!(socket(Kernel::Free, Kernel::Free), DEAD);
        assert_eq!(socket(held(), Kernel::Free).0, Verdict::Live);
        assert_eq!(socket(Kernel::Unknown("EACCES".into()), Kernel::Free), NEVER);
        assert_eq!(socket(Kernel::Free, held()), NEVER, "it may be about to listen");
        let file = beside(LockRole::Socket, content("precious", 0), Kernel::Free, Kernel::Free, Answer::NoAddress);
        assert_eq!(file, NEVER);

        let leftover =
            |guard| beside(LockRole::Leftover, content("/ip", 0), Kernel::NotAsked, guard, Answer::NoAddress);
        assert_eq!((leftover(Kernel::Free), leftover(held()).0), (DEAD, Verdict::Live));
    }

    #[test]
    fn only_what_stops_a_kubo_blocks_its_start() {
        let blocks = |role, kind, kernel| judge(&seen(role, kind, kernel)).blocks;
        let held = || Kernel::Held(Holder::Pid(9));
        for role in [LockRole::Datastore, LockRole::OldLock] {
            assert!(blocks(role, content("", 0), held()));
            assert!(!blocks(role, content("57\n", 0), Kernel::Free), "the content means nothing");
            assert!(!blocks(role, content("", 0), Kernel::Unknown("hidden".into())), "Kubo asks itself");
        }
        for role in [LockRole::ClusterLock, LockRole::OwnSocket] {
            assert!(!blocks(role, content("", 0), held()));
            assert!(!blocks(role, content("{", 0), Kernel::Free));
        }
        assert!(blocks(LockRole::RepoLock, content("", 0), Kernel::Unknown("ENOLCK".into())));
    }

    #[test]
    fn a_repo_on_a_network_file_system_can_be_started_and_the_doubt_is_told() {
        let nfs = |text| Evidence { kind: content(text, 0), remote_fs: Some("NFS"), ..dead() };
        let empty = judge(&nfs(""));
        assert_eq!(empty.verdict, Verdict::Idle);
        assert!(empty.reasons.iter().any(|reason| reason.contains("NFS")), "{empty:?}");
        assert_eq!(judged(&nfs("{\"OwnerPID\":77}")), NEVER);
    }

    #[test]
    fn an_owner_is_a_number_alone_or_in_go4s_form_and_nothing_else() {
        let owner = |text: &str| match content(text, 0) {
            Kind::File(content) => owner_of(&content),
            _ => None,
        };
        assert_eq!((owner("{\"OwnerPID\":57}\n"), owner("57\n"), owner(" 57 ")), (Some(57), Some(57), Some(57)));
        for text in ["", "0", "-1", "4294967295", "pid 57", "{\"pid\":57}", "57 58", "{\"OwnerPID\":0}", "\0\0"] {
            assert_eq!(owner(text), None, "{text}");
        }
        assert_eq!(owner_of(&Content { size: 1 << 30, text: b"57".to_vec(), written: at(0) }), None, "cut off");
        let binary = Content { size: 1 << 30, text: b"\x1b[2J\0".to_vec(), written: at(0) };
        assert_eq!(excerpt(&binary), "\"\\x1b[2J\\x00\" …");
    }

    fn any_kernel() -> impl Strategy<Value = Kernel> {
        let holder = prop_oneof![
            any::<u32>().prop_map(Holder::Pid),
            Just(Holder::Outside),
            Just(Holder::Description),
            Just(Holder::Unnamed)
        ];
        prop_oneof![
            Just(Kernel::NotAsked),
            Just(Kernel::Free),
            holder.prop_map(Kernel::Held),
            Just(Kernel::Unknown("ENOLCK".to_owned()))
        ]
    }

    fn any_answer() -> impl Strategy<Value = Answer> {
        let some = || "a".to_owned();
        prop::sample::select(vec![
            Answer::NoAddress,
            Answer::Refused(some()),
            Answer::Accepted(some()),
            Answer::Unknown(some(), some()),
            Answer::Elsewhere(some()),
            Answer::Malformed(some()),
        ])
    }

    fn any_kind() -> impl Strategy<Value = Kind> {
        let file = (prop_oneof![Just(0), 1..2_u64 << 30], -9000..9000_i64)
            .prop_map(|(size, written)| Kind::File(Content { size, text: Vec::new(), written: at(written) }));
        let directory = (any::<bool>(), -200..400_i64, 0..200_u64)
            .prop_map(|(empty, age, known)| Kind::Directory(directory(empty, age, known)));
        let rest = vec![Kind::Absent, Kind::Socket, Kind::Other("a pipe"), Kind::Unreadable("EACCES".to_owned())];
        prop_oneof![file, directory, prop::sample::select(rest)]
    }

    prop_compose! {
        fn any_signs()(
            openers in prop::sample::select(vec![
                Openers::Known(Vec::new(), 0), Openers::Known(Vec::new(), 2), Openers::Known(vec![(1, "x".into())], 0),
                Openers::Unknown("EACCES".into()),
            ]),
            api in any_answer(),
            started in -9000..9000_i64,
            owner in 0..4_u8,
            boot in -9000..9000_i64,
        ) -> Signs {
            let owner = match owner {
                0 => None,
                1 => Some((77, Process::Absent)),
                2 => Some((77, Process::Unknown("EACCES".into()))),
                _ => Some((77, Process::Started(at(started)))),
            };
            Signs { openers, api, owner, boot: at(boot) }
        }
    }

    prop_compose! {
        fn any_evidence()(
            role in prop::sample::select(vec![
                LockRole::RepoLock, LockRole::OldLock, LockRole::ClusterLock, LockRole::Datastore, LockRole::Address,
                LockRole::Leftover, LockRole::Socket, LockRole::OwnSocket,
            ]),
            kind in any_kind(),
            kernel in any_kernel(),
            guard in any_kernel(),
            stores in prop::collection::vec(any_kernel(), 0..3),
            remote in prop::bool::weighted(0.2),
            signs in prop::option::weighted(0.9, any_signs()),
            answer in any_answer(),
        ) -> Evidence {
            let stores = stores.into_iter().map(|kernel| ("LOCK".to_owned(), kernel)).collect();
            let remote_fs = remote.then_some("NFS");
            // Nothing guards a lock.
            let lock = matches!(role, LockRole::RepoLock | LockRole::OldLock | LockRole::ClusterLock);
            let guard = if lock { Kernel::NotAsked } else { guard };
            Evidence { role, kind, kernel, guard, stores, remote_fs, signs, answer, now: at(5000) }
        }
    }

    /// The rules once more, as one condition.
    fn is_proven_dead(seen: &Evidence) -> bool {
        let free = |kernel: &Kernel| matches!(kernel, Kernel::Free | Kernel::NotAsked);
        let quiet = |answer: &Answer| matches!(answer, Answer::NoAddress | Answer::Refused(_));
        let around = free(&seen.kernel)
            && free(&seen.guard)
            && seen.remote_fs.is_none()
            && seen.stores.iter().all(|(_, kernel)| free(kernel));
        around
            && match (&seen.kind, seen.role, &seen.signs) {
                (Kind::File(content), LockRole::RepoLock | LockRole::ClusterLock, Some(signs)) => {
                    let later = |at: Timestamp| at.duration_since(content.written) > SignedDuration::from_secs(2);
                    let owner = match &signs.owner {
                        Some((_, Process::Absent)) => true,
                        Some((_, Process::Started(at))) => later(*at),
                        _ => false,
                    };
                    content.size > 0
                        && matches!(&signs.openers, Openers::Known(open, _) if open.is_empty())
                        && quiet(&signs.api)
                        && (owner || signs.owner.is_some() && later(signs.boot))
                }
                (Kind::Directory(directory), LockRole::RepoLock, Some(signs)) => {
                    directory.empty
                        && quiet(&signs.api)
                        && (directory.written < at(4900) || directory.known > Duration::from_secs(100))
                        && directory.known > Duration::from_secs(20)
                }
                (Kind::File(_), LockRole::Address, _) => matches!(seen.answer, Answer::Refused(_)),
                (Kind::File(_), LockRole::Leftover, _) | (Kind::Socket, LockRole::Socket, _) => true,
                _ => false,
            }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn live_is_what_the_kernel_says_dead_is_what_everything_says_and_force_changes_neither(seen in any_evidence()) {
            let judged = judge(&seen);
            let is_there = !matches!(seen.kind, Kind::Unreadable(_) | Kind::Other(_));
            let held = |kernel: &Kernel| matches!(kernel, Kernel::Held(_));
            let unknown = |kernel: &Kernel| matches!(kernel, Kernel::Unknown(_));
            let by_guard = matches!(seen.role, LockRole::Address | LockRole::Leftover)
                && matches!(seen.kind, Kind::File(_))
                && held(&seen.guard)
                && !unknown(&seen.kernel);
            prop_assert_eq!(judged.verdict == Verdict::Live, is_there && held(&seen.kernel) || by_guard);
            prop_assert_eq!(judged.verdict == Verdict::Dead, is_proven_dead(&seen));
            prop_assert_eq!(judged.acts(false), judged.verdict == Verdict::Dead);
            if judged.acts(true) && judged.verdict != Verdict::Dead {
                prop_assert_eq!(judged.verdict, Verdict::Unknown);
                let all = seen.stores.iter().map(|(_, kernel)| kernel).chain([&seen.kernel, &seen.guard]);
                prop_assert!(all.into_iter().all(|kernel| !held(kernel) && !unknown(kernel)));
                prop_assert!(seen.remote_fs.is_none());
            }
            prop_assert_eq!(judged.doubts.is_empty(), judged.verdict != Verdict::Unknown);
            prop_assert!(!judged.reasons.is_empty() && judged.doubts.iter().all(|doubt| judged.reasons.contains(doubt)));
        }
    }
}
