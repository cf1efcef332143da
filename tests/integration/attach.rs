//! A real Kubo that somebody else runs, followed and never touched.

use crate::kit::{Kit, eventually, identity_cid, ipfs, real_kubo};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use proto_msgs::FaultKind;
use proto_msgs::daemon::{Condition, IndexRefresh};
use proto_msgs::doctor::Doctor;
use proto_msgs::kubo::{KuboLogs, KuboMode, KuboRestart, KuboStart, KuboState, KuboStop};
use proto_msgs::lock::{LockCheck, LockRole, LockWait};
use proto_msgs::pin::{PinAdd, Source};
use std::process::{Child, Command, Stdio};

/// A Kubo of its own on the kit's repo, on a port of its choice.
struct Theirs {
    child: Child,
}

impl Theirs {
    fn start(kit: &Kit) -> Theirs {
        let mut command = Command::new(real_kubo());
        command.env_clear().env("HOME", kit.path("home")).env("IPFS_PATH", kit.repo()).args(["daemon", "--offline"]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
        eventually(|| kit.repo().join("api").exists(), || "their Kubo serves no API".to_owned());
        Theirs { child }
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn end(mut self, signal: Signal) {
        kill(Pid::from_raw(self.pid().cast_signed()), signal).expect("it is there");
        self.child.wait().expect("waited for");
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn kit() -> Kit {
    let mut kit = Kit::real();
    kit.arg("--attach").arg("repo");
    std::fs::create_dir(kit.repo()).expect("made");
    ipfs(&kit, &["init", "--profile=test"], b"");
    kit
}

#[test]
fn somebody_elses_kubo_is_followed_asked_and_never_stopped() {
    let mut kit = kit();
    let theirs = Theirs::start(&kit);
    kit.start_whole();
    let kubo = kit.status().kubo;
    let api = std::fs::read_to_string(kit.repo().join("api")).expect("there");
    assert_eq!((kubo.mode, kubo.pid, kubo.binary, kubo.rpc), (KuboMode::Attach, None, None, api));
    assert_eq!(kubo.version.as_deref(), Some("0.43.1"));

    let cid = identity_cid("theirs");
    kit.call(PinAdd { cid: cid.clone(), name: None, direct: false });
    assert!(ipfs(&kit, &["pin", "ls", "--type=recursive", "-q"], b"").contains(&cid));
    assert_eq!(kit.call(IndexRefresh { wait: true, names: false }).source, Source::Live);
    for fault in [kit.fault(KuboStart {}), kit.fault(KuboStop {}), kit.fault(KuboRestart {})] {
        assert_eq!(fault.kind, FaultKind::NotOurs);
        assert!(fault.hint.is_some_and(|hint| hint.contains("systemctl")));
    }
    assert_eq!(kit.fault(KuboLogs::default()).kind, FaultKind::NotOurs);
    assert_eq!(kit.ctl(&["kubo", "stop"]).code, Some(1));
    assert!(!kit.path("data/kubo-stopped").exists());
    assert_eq!(kit.stop().code(), Some(0));
    assert!(ipfs(&kit, &["pin", "ls", "--type=recursive", "-q"], b"").contains(&cid), "it serves on");
    theirs.end(Signal::SIGTERM);
}

#[test]
fn when_somebody_elses_kubo_is_gone_the_index_answers_and_its_return_is_found() {
    let mut kit = kit();
    let theirs = Theirs::start(&kit);
    kit.start_whole();
    let pins = kit.pins();
    theirs.end(Signal::SIGKILL);
    let status = kit.until("held", |s| s.kubo.state == KuboState::Held);
    assert_eq!(status.kubo.held.expect("a cause").cause, "not_reachable");
    assert_eq!((kit.pins(), kit.status().index.source), (pins, Source::Index));
    let findings = kit.call(Doctor {}).findings;
    assert_eq!(findings[0].cause, "not_reachable");
    assert!(findings[0].command.is_some());
    // Its lock file, and the address of the dead one, are for its next start.
    std::fs::remove_file(kit.repo().join("api")).expect("its next start writes it anew");
    let theirs = Theirs::start(&kit);
    kit.wait(Condition::KuboRunning);
    kit.until("listed again", |s| s.index.source == Source::Live);
    theirs.end(Signal::SIGTERM);
    kit.until("held", |s| s.kubo.state == KuboState::Held);
}

#[test]
fn an_rpc_that_asks_for_a_secret_is_given_the_one_of_the_file() {
    let mut kit = kit();
    let users = r#"{"kitd": {"AuthSecret": "basic:kitd:s3cret", "AllowedPaths": ["/api/v0"]}}"#;
    ipfs(&kit, &["config", "--json", "API.Authorizations", users], b"");
    let _theirs = Theirs::start(&kit);
    let file = kit.path("secret");
    let path = file.display().to_string();
    kit.start();
    let held = |kit: &Kit, cause: &str| {
        kit.until(cause, |s| s.kubo.held.as_ref().is_some_and(|held| held.cause == cause));
    };
    held(&kit, "not_authorized");
    kit.stop();
    kit.arg("--api-auth-file").arg(&path).start();
    held(&kit, "secret_unusable");
    std::fs::write(&file, "basic:kitd:wrong\n").expect("written");
    held(&kit, "not_authorized");
    std::fs::write(&file, "basic:kitd:s3cret\n").expect("written");
    kit.wait(Condition::IndexComplete);
    assert!(!kit.log().contains("s3cret"));
    assert!(!kit.ctl(&["config", "show", "-o", "json"]).out.contains("s3cret"));
}

#[test]
fn a_kubo_of_another_node_at_the_same_place_is_held() {
    let mut kit = kit();
    let theirs = Theirs::start(&kit);
    kit.start_whole();
    let pins = kit.pins();
    theirs.end(Signal::SIGTERM);
    std::fs::remove_dir_all(kit.repo()).expect("removed");
    std::fs::create_dir(kit.repo()).expect("made");
    ipfs(&kit, &["init", "--profile=test"], b"");
    let _theirs = Theirs::start(&kit);
    kit.until("held", |s| s.kubo.held.as_ref().is_some_and(|held| held.cause == "repo_changed"));
    assert_eq!(kit.pins(), pins);
}

#[test]
fn beside_a_followed_kubo_an_unrelated_default_repo_is_not_spoken_of() {
    let mut kit = Kit::real();
    std::fs::create_dir(kit.repo()).expect("made");
    ipfs(&kit, &["init", "--profile=test"], b"");
    let _theirs = Theirs::start(&kit);
    let api = std::fs::read_to_string(kit.repo().join("api")).expect("there");
    kit.arg("--attach").arg(api.trim());
    let guess = kit.path("home/.ipfs");
    std::fs::create_dir_all(&guess).expect("made");
    std::fs::write(guess.join("repo.lock"), "{\"OwnerPID\":1}\n").expect("written");
    // As the kit starts it, without a repo by name.
    let named = kit.command();
    let mut command = Command::new(named.get_program());
    command.env_clear().envs(named.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let args: Vec<_> = named.get_args().collect();
    let at = args.iter().position(|arg| *arg == "--ipfs-path").expect("a repo by name");
    command.args(&args[..at]).args(&args[at + 2..]).stdin(Stdio::null());
    kit.spawn_by(command);
    kit.ready_again();
    kit.wait(Condition::IndexComplete);
    let locks = kit.call(LockCheck {}).locks;
    assert!(locks.iter().all(|lock| lock.role == LockRole::OwnSocket), "{locks:?}");
    let status = kit.status();
    assert_eq!((status.lock, status.kubo.repo), (None, None));
    let fault = kit.fault(LockWait {});
    assert_eq!(fault.kind, FaultKind::NotOurs);
    assert!(fault.hint.is_some_and(|hint| hint.contains("--ipfs-path")));
}
