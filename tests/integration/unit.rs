//! The systemd files, as `make install` puts them: what systemd's own checks say of them.

use crate::kit::{said, skipped};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// What `systemd-analyze security` may find at most, in tenths.
const EXPOSURE: u32 = 13;

/// Installs them below a directory of its own.
pub(crate) fn install(prefix: &Path, destination: &Path, systemd: u32) {
    let mut install = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/install-units"));
    install.env("PREFIX", prefix).env("DESTDIR", destination).env("SYSTEMD_VERSION", systemd.to_string());
    let installed = said(&mut install);
    assert_eq!((installed.code, installed.err.as_str()), (Some(0), ""));
}

/// The version of this machine's systemd, or why there is none.
pub(crate) fn systemd_version() -> Result<u32, &'static str> {
    let output = Command::new("systemd-analyze").arg("--version").output();
    let output = output.map_err(|_| "systemd-analyze is not installed")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version =
        text.split_whitespace().nth(1).and_then(|version| version.split(['.', '~', '-']).next()?.parse().ok());
    version.ok_or("systemd-analyze does not say its version")
}

/// An installation with our program in it.
struct Installed {
    dir: TempDir,
}

impl Installed {
    fn new(systemd: u32) -> Installed {
        let dir = tempfile::tempdir().expect("a temp dir");
        install(dir.path(), Path::new(""), systemd);
        std::fs::create_dir(dir.path().join("bin")).expect("made");
        symlink(env!("CARGO_BIN_EXE_ipfs-kitd"), dir.path().join("bin/ipfs-kitd")).expect("linked");
        Installed { dir }
    }

    fn unit(&self, name: &str) -> PathBuf {
        self.dir.path().join("lib/systemd").join(name)
    }

    /// What `systemd-analyze` says of these units together.
    fn analyze(&self, options: &[&str], units: &[&str]) -> (Option<i32>, String) {
        let mut analyze = Command::new("systemd-analyze");
        analyze.args(options).args(units.iter().map(|unit| self.unit(unit)));
        let said = said(analyze.env("XDG_RUNTIME_DIR", self.dir.path()));
        (said.code, said.out + &said.err)
    }

    /// Changes an installed unit.
    fn replace(&self, name: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.unit(name)).expect("a unit");
        assert!(text.contains(from), "{name} has no {from}");
        std::fs::write(self.unit(name), text.replace(from, to)).expect("written");
    }
}

const VERIFY: [&str; 3] = ["verify", "--man=no", "--recursive-errors=yes"];
const SYSTEM: [&str; 4] =
    ["system/ipfs-kitd.service", "system/ipfs-kitd.socket", "system/ipfs-kitd@.service", "system/ipfs-kitd@.socket"];
const USER: [&str; 2] = ["user/ipfs-kitd.service", "user/ipfs-kitd.socket"];

#[test]
fn every_unit_is_accepted_by_systemd_with_the_drop_ins_that_it_knows() {
    let version = match systemd_version() {
        Ok(version) => version,
        Err(why) => return skipped("the check of the units", why),
    };
    let of_a_user = [&VERIFY[..], &["--user"]].concat();
    let units = SYSTEM.map(|unit| (&VERIFY[..], unit)).into_iter().chain(USER.map(|unit| (&of_a_user[..], unit)));
    for (options, unit) in units {
        let installed = Installed::new(version);
        assert_eq!(installed.analyze(options, &[unit]), (Some(0), String::new()), "{unit}");
        let section = if unit.ends_with("service") { "[Service]" } else { "[Socket]" };
        installed.replace(unit, section, &format!("{section}\nFrobnicate=yes"));
        assert_ne!(installed.analyze(options, &[unit]).0, Some(0), "{unit}: the check can fail");
    }
}

#[test]
fn the_services_are_as_little_exposed_as_they_can_be_with_kubo_in_them() {
    let version = match systemd_version() {
        Ok(version) => version,
        Err(why) => return skipped("the exposure of the units", why),
    };
    let installed = Installed::new(version);
    let threshold = format!("--threshold={EXPOSURE}");
    let check = ["security", "--offline=true", "--no-pager", &threshold];
    for unit in ["system/ipfs-kitd.service", "system/ipfs-kitd@.service"] {
        let (code, report) = installed.analyze(&check, &[unit]);
        assert_eq!(code, Some(0), "{report}");
        installed.replace(unit, "PrivateMounts=yes\n", "");
        assert_ne!(installed.analyze(&check, &[unit]).0, Some(0), "{unit}: the check can fail");
    }
}

#[test]
fn drop_ins_come_along_with_a_systemd_that_knows_them_and_go_with_it() {
    let stage = tempfile::tempdir().expect("a temp dir");
    let dirs = ["system/ipfs-kitd.service.d", "system/ipfs-kitd@.service.d", "user/ipfs-kitd.service.d"];
    for (systemd, expected) in [(254, 2), (253, 1), (252, 0), (255, 2)] {
        install(Path::new("/usr"), stage.path(), systemd);
        for dir in dirs {
            let drop_ins = std::fs::read_dir(stage.path().join("usr/lib/systemd").join(dir));
            assert_eq!(drop_ins.map_or(0, Iterator::count), expected, "{dir} for systemd {systemd}");
        }
    }
}

// An older systemd can't check what it doesn't know, so this looks at the form alone; `verify` above looks at the rest where the
// machine's systemd is new enough.
#[test]
fn drop_ins_for_a_newer_systemd_are_well_formed() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/newer");
    for drop_in in std::fs::read_dir(dir).expect("a directory") {
        let path = drop_in.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("a file");
        let mut lines = text.lines().skip_while(|line| line.starts_with('#'));
        assert_eq!(lines.next(), Some("[Service]"), "{}", path.display());
        let setting = |line: &str| {
            let name = line.split_once('=').map(|(name, _)| name);
            name.is_some_and(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphabetic()))
        };
        assert!(lines.clone().count() > 0 && lines.all(setting), "{}", path.display());
    }
}

#[test]
fn nothing_is_left_to_be_filled_in() {
    let stage = tempfile::tempdir().expect("a temp dir");
    install(Path::new("/usr"), stage.path(), u32::MAX);
    let mut found = 0;
    let mut dirs = vec![stage.path().to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                dirs.push(path);
                continue;
            }
            found += 1;
            let text = std::fs::read_to_string(&path).expect("a file");
            let open = |line: &&str| {
                line.split('@')
                    .skip(1)
                    .step_by(2)
                    .any(|word| !word.is_empty() && word.chars().all(|c| c.is_ascii_uppercase()))
            };
            assert_eq!(text.lines().find(open), None, "{}", path.display());
        }
    }
    assert_eq!(found, 6 + 2 + 6, "units, account and directory, drop-ins");
}
