//! The command line that the daemon uses; also what makes cargo build the program for the other packages' tests.

use std::process::Command;

#[test]
fn init_makes_a_repo_with_the_peer_id_that_was_asked_for_and_not_twice() {
    let dir = std::env::temp_dir().join(format!("fake-kubo-{}", std::process::id()));
    let init = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fake-kubo"));
        command.args(["init", "--profile", "test"]).env("IPFS_PATH", &dir).env("FAKE_KUBO_PEER", "Peer");
        command.output().expect("it runs").status.success()
    };
    assert!(init());
    assert!(std::fs::read_to_string(dir.join("config")).expect("a config").contains("\"Peer\""));
    assert!(!init());
    std::fs::remove_dir_all(&dir).expect("removed");
}
