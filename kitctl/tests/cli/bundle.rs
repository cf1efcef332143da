//! `doctor --bundle`.

use crate::stub::{Ran, Stub, V1, ago, fault, kitctl, status};
use proto_msgs::FaultKind;
use proto_msgs::daemon::{ConfigReport, ConfigShow, LastError, Setting, Status};
use proto_msgs::doctor::{Doctor, DoctorReport, Finding, Severity};
use proto_msgs::kubo::KuboState;
use proto_msgs::log::{Log, LogLevel, LogLine, LogPage};
use proto_msgs::verb::{Body, Call, Verb};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn files(tar: &Path) -> BTreeMap<String, String> {
    let mut archive = tar::Archive::new(File::open(tar).expect("a file"));
    let text = |entry: Result<tar::Entry<'_, File>, std::io::Error>| {
        let mut entry = entry.expect("a good entry");
        let mut text = String::new();
        entry.read_to_string(&mut text).expect("text");
        (entry.path().expect("a path").display().to_string(), text)
    };
    archive.entries().expect("a tar file").map(text).collect()
}

#[test]
fn a_bundle_has_what_there_is_and_says_what_is_missing_and_names_no_pin() {
    let stub = Stub::one(|call| match call {
        Call::Status(_) => {
            let mut report = status(KuboState::Running);
            let detail = format!("{V1} was lost in /srv/alice/x");
            report.last_error = Some(LastError { at: ago(1), actor: "index".to_owned(), detail });
            Body::Done(Status::done(report))
        }
        Call::Log(_) => {
            let line = |target: &str, text: &str| LogLine {
                at: ago(1),
                level: LogLevel::Info,
                target: target.to_owned(),
                text: text.to_owned(),
            };
            let lines = vec![line("audit", "name=holidays"), line("ipfs_kitd", "it began")];
            Body::Done(Log::done(LogPage { lines, dropped: 0 }))
        }
        Call::ConfigShow(_) => {
            let setting = |key: &str, value: &str| Setting {
                key: key.to_owned(),
                value: value.to_owned(),
                source: "default".to_owned(),
            };
            let settings = vec![setting("hook", r#"["/bin/h", "hunter2"]"#)];
            Body::Done(ConfigShow::done(ConfigReport { settings }))
        }
        Call::Doctor(_) => {
            let finding = Finding {
                cause: "hook_failed".to_owned(),
                severity: Severity::Warning,
                detail: "the hook failed".to_owned(),
                hint: "see why".to_owned(),
                command: Some("/bin/h hunter2".to_owned()),
            };
            Body::Done(Doctor::done(DoctorReport { as_of: ago(1), findings: vec![finding] }))
        }
        _ => fault(FaultKind::KuboDown, "Kubo is not running", None),
    });
    let dir = tempfile::tempdir().expect("a directory");
    let tar = dir.path().join("node.tar");
    let run = || {
        let mut command = stub.command(&["doctor", "--bundle", tar.to_str().expect("UTF-8")]);
        Ran::of(command.env("HOME", "/srv/alice").output().expect("it runs"))
    };
    let ran = run();
    assert_eq!((ran.code, ran.stdout.trim_end()), (Some(0), tar.to_str().expect("UTF-8")), "{ran:?}");
    assert_eq!(tar.metadata().expect("a file").permissions().mode() & 0o777, 0o600);
    let files = files(&tar);
    assert_eq!(
        files.keys().collect::<Vec<_>>(),
        ["CONTENTS", "config.json", "doctor.json", "log.json", "status.json", "versions.txt"]
    );
    assert!(!files.values().any(|text| text.contains("hunter2")), "{files:#?}");
    assert!(files["CONTENTS"].contains("kubo-config.json     is missing: Kubo is not running"), "{files:#?}");
    assert!(files["status.json"].contains("<cid> was lost in ~/x"), "{files:#?}");
    assert!(files["log.json"].contains("it began") && !files["log.json"].contains("holidays"), "{files:#?}");
    let again = run();
    assert!(again.code == Some(1) && again.stderr.contains("cannot write"), "never over what is there: {again:?}");
}

#[test]
fn a_bundle_is_made_without_a_daemon_too_and_the_exit_code_tells() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut command = kitctl(&["doctor", "--bundle", "--socket", "/nowhere/s", "--timeout", "5s"]);
    let ran = Ran::of(command.current_dir(dir.path()).output().expect("it runs"));
    let name = ran.stdout.trim_end();
    assert!(ran.code == Some(69) && name.starts_with("ipfs-kitd-") && name.ends_with("Z.tar"), "{ran:?}");
    let files = files(&dir.path().join(name));
    assert!(files["versions.txt"].starts_with("ipfs-kitctl "), "{files:#?}");
    assert!(files["CONTENTS"].contains("status.json          is missing: no ipfs-kitd answers"), "{files:#?}");
}
