//! The systemd unit, as `make install` puts it.

use crate::kit::said;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

#[test]
fn the_unit_is_accepted_by_systemd_in_a_staged_install() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        return crate::kit::skipped("the check of the unit", "systemd-analyze is not installed");
    }
    let stage = tempfile::tempdir().expect("a temp dir");
    let prefix = stage.path().display().to_string();
    std::fs::create_dir(stage.path().join("bin")).expect("made");
    symlink(env!("CARGO_BIN_EXE_ipfs-kitd"), stage.path().join("bin/ipfs-kitd")).expect("linked");
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/ipfs-kitd.service");
    let text = std::fs::read_to_string(unit).expect("the unit").replace("@PREFIX@", &prefix);
    let staged = stage.path().join("ipfs-kitd.service");
    let verify = |text: &str| {
        std::fs::write(&staged, text).expect("written");
        said(Command::new("systemd-analyze").args(["verify", "--man=no", "--recursive-errors=yes"]).arg(&staged))
    };
    let good = verify(&text);
    assert_eq!((good.code, good.err.as_str()), (Some(0), ""), "{}", good.out);
    assert_ne!(verify(&text.replace("[Service]", "[Service]\nFrobnicate=yes")).code, Some(0), "the check can fail");
}
