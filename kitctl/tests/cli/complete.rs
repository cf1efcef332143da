//! `completion` and `man`.

use crate::stub::{Ran, Speaks, Stub, V0, V1, fault, kitctl, page, pin};
use proto_msgs::FaultKind;
use proto_msgs::pin::{Pin, PinLs, PinRows};
use proto_msgs::verb::{Body, Call, Part, Verb};
use std::process::Command;

fn tagged() -> Stub {
    Stub::new(Speaks::Binary, |call| {
        let Call::PinLs(_) = call else { panic!("{call:?}") };
        let first = Pin { name: Some("holidays in may".to_owned()), tags: vec!["draft".to_owned()], ..pin(V0) };
        let rows = Body::Part(Part::PinLs(PinRows { pins: vec![first, pin(V1)] }));
        Box::new([rows, Body::Done(PinLs::done(page(2)))].into_iter())
    })
}

/// What is offered for the last of these words.
fn offered(stub: &Stub, words: &[&str]) -> Vec<String> {
    offered_to("fish", stub, words)
}

fn offered_to(shell: &str, stub: &Stub, words: &[&str]) -> Vec<String> {
    let mut command = stub.command(&[&["--", "ipfs-kitctl"], words].concat());
    command.env("IPFS_KITCTL_COMPLETE", shell).env("_CLAP_COMPLETE_INDEX", words.len().to_string());
    let ran = Ran::of(command.output().expect("it runs"));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    ran.stdout.lines().map(|line| line.split('\t').next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_tab_offers_what_the_daemon_knows() {
    let stub = tagged();
    assert_eq!(offered(&stub, &["pin", "info", "bafy"]), [V1]);
    assert_eq!(offered(&stub, &["pin", "info", "Qm"]), [V0]);
    assert_eq!(offered(&stub, &["pin", "ls", "--name", "h"]), ["holidays in may"]);
    assert_eq!(offered(&stub, &["pin", "ls", "--tag", ""]), ["draft"]);
    assert_eq!(offered(&stub, &["pin", "ls", "--sort", "si"]), ["size", "size_kind"]);
    assert_eq!(offered(&stub, &["pin", "ls", "--columns", "cid,si"]), ["cid,size", "cid,size_kind"]);
    assert_eq!(offered(&stub, &["lock", "check", "--sort", "ver"]), ["verdict"]);
    assert_eq!(offered(&stub, &["wait", "--for=kubo=r"]), ["--for=kubo=running"]);
    assert!(offered(&stub, &["pin", "ver"]).contains(&"verify".to_owned()));
}

#[test]
fn what_a_shell_would_not_quote_is_offered_only_where_it_means_itself() {
    for evil in
        ["x; touch pwned #", "$(touch pwned)", "`id`", "two words", "a'b", "a*", "-rf", "a&b", "a|b", "~root", "a\\b"]
    {
        let stub = Stub::new(Speaks::Binary, move |_| {
            let pin = Pin { name: Some(evil.to_owned()), ..pin(V0) };
            let rows = Body::Part(Part::PinLs(PinRows { pins: vec![pin] }));
            Box::new([rows, Body::Done(PinLs::done(page(1)))].into_iter())
        });
        for shell in ["bash", "elvish", "powershell"] {
            assert_eq!(offered_to(shell, &stub, &["pin", "ls", "--name", ""]), Vec::<String>::new(), "{shell}: {evil}");
        }
    }
}

#[test]
fn values_are_offered_behind_the_equals_sign_that_bash_makes_a_word() {
    let stub = tagged();
    let offered = |words| offered_to("bash", &stub, words);
    assert_eq!(offered(&["pin", "ls", "--columns", "=", "cid,si"]), ["cid,size", "cid,size_kind"]);
    // Bash has the value, and not the sign, as the word to be completed.
    assert_eq!(offered(&["pin", "ls", "--tag", ""]), ["draft"]);
    assert_eq!(offered(&["pin", "ls", "--tag", "=", "draft", "--sort", "=", "si"]), ["size", "size_kind"]);
}

#[test]
fn a_tab_asks_the_daemon_that_the_words_name() {
    let (other, stub) = (Stub::one(|call| panic!("asked {call:?}")), tagged());
    let socket = stub.socket().display().to_string();
    assert_eq!(offered(&other, &["--socket", &socket, "pin", "info", "bafy"]), [V1]);
    assert_eq!(offered(&other, &["pin", &format!("--socket={socket}"), "info", "bafy"]), [V1]);
    assert_eq!(offered(&other, &["pin", "info", "--socket", "=", &socket, "bafy"]), [V1]);
}

#[test]
fn a_tab_is_quiet_where_the_daemon_is_down_or_slow_or_refuses() {
    let refusing = Stub::one(|_| fault(FaultKind::Denied, "no", None));
    // One that never answers; the time that a TAB may take ends it.
    let slow = Stub::new(Speaks::Binary, |_| {
        Box::new(std::iter::from_fn(|| {
            loop {
                std::thread::park()
            }
        }))
    });
    for stub in [refusing, slow] {
        assert_eq!(offered(&stub, &["pin", "info", "b"]), Vec::<String>::new());
    }
    let mut down = kitctl(&["--", "ipfs-kitctl", "pin", "info", "b"]);
    let ran = Ran::of(
        down.env("IPFS_KITCTL_COMPLETE", "fish").env("IPFS_KITD_SOCKET", "/nowhere").output().expect("it runs"),
    );
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
}

#[test]
fn bash_completes_with_the_script_that_is_printed() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = kitctl(&["completion", shell]).output().map(Ran::of).expect("it runs");
        assert!(ran.code == Some(0) && ran.stdout.contains("ipfs-kitctl"), "{shell}: {ran:?}");
    }
    let ran = kitctl(&["completion", "tcsh"]).output().map(Ran::of).expect("it runs");
    assert!(ran.code == Some(2) && ran.stderr.contains("bash"), "{ran:?}");
    if !std::path::Path::new("/bin/bash").exists() {
        return;
    }
    let stub = tagged();
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_ipfs-kitctl"));
    let script = "source <(ipfs-kitctl completion bash); complete -p ipfs-kitctl >&2; \
                  f=$(complete -p ipfs-kitctl | sed 's/.*-F \\([^ ]*\\).*/\\1/'); \
                  COMP_WORDS=(ipfs-kitctl pin info baf); COMP_CWORD=3; COMP_TYPE=9; IFS=$'\\n'; $f ipfs-kitctl baf info; \
                  echo \"${COMPREPLY[*]}\"";
    let mut bash = Command::new("/bin/bash");
    bash.args(["-c", script]).env_clear().env("IPFS_KITD_SOCKET", stub.socket());
    let dir = program.parent().expect("a directory").display();
    let ran = Ran::of(bash.env("PATH", format!("{dir}:/usr/bin:/bin")).output().expect("bash runs"));
    assert_eq!(ran.stdout.trim(), V1, "{ran:?}");
}

#[test]
fn a_page_of_the_manual_is_printed_or_each_command_gets_one() {
    let ran = kitctl(&["man"]).output().map(Ran::of).expect("it runs");
    assert!(ran.code == Some(0) && ran.stdout.contains(".TH ipfs-kitctl 1"), "{ran:?}");
    assert!(ran.stdout.contains("\n.SH EXAMPLES\n") && !ran.stdout.contains("EXTRA"), "{ran:?}");
    let dir = tempfile::tempdir().expect("a directory");
    let ran = kitctl(&["man", &dir.path().display().to_string()]).output().map(Ran::of).expect("it runs");
    assert_eq!(ran.all(), (0, "", ""));
    for page in ["ipfs-kitctl.1", "ipfs-kitctl-pin-ls.1", "ipfs-kitctl-shutdown.1"] {
        assert!(dir.path().join(page).is_file(), "{page}");
    }
    // Where it can't be written nothing is wrong with the command line.
    let ran = kitctl(&["man", "/nowhere/at/all"]).output().map(Ran::of).expect("it runs");
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.starts_with("error: cannot write /nowhere/at/all/ipfs-kitctl-"), "{ran:?}");
}
