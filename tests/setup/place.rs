//! A machine in a temp dir: what is on PATH, a cache, a checkout's `.deps`.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// What the scripts use beyond bash itself. npm, go, cc and ipfs are not among it: a test adds what it wants to be found.
const TOOLS: &[&str] = &[
    "awk",
    "bash",
    "cat",
    "chmod",
    "curl",
    "cut",
    "dirname",
    "env",
    "flock",
    "grep",
    "gzip",
    "head",
    "ln",
    "mkdir",
    "mktemp",
    "mv",
    "rm",
    "sed",
    "sha256sum",
    "sha512sum",
    "sleep",
    "sort",
    "stat",
    "sync",
    "tail",
    "tar",
    "timeout",
    "tr",
    "uname",
];

pub(crate) const GOARCH: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
pub(crate) const ARCH: &str = std::env::consts::ARCH;

pub(crate) struct Place {
    dir: tempfile::TempDir,
}

pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temp dir");
        let place = Self { dir };
        for sub in ["bin", "home", "files"] {
            fs::create_dir(place.path(sub)).expect("a folder in the temp dir");
        }
        for tool in TOOLS {
            place.real_program(tool);
        }
        place
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.dir.path().join(relative)
    }

    /// Puts this machine's own program on the PATH.
    pub(crate) fn real_program(&self, name: &str) {
        let path = std::env::var_os("PATH").expect("PATH");
        let real = std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file());
        let real = real.unwrap_or_else(|| panic!("{name} is not on PATH, and the set-up scripts need it"));
        symlink(real, self.path("bin").join(name)).expect("a link");
    }

    /// Puts a shell script on the PATH. `$FILES` in it is the folder `files`.
    pub(crate) fn program(&self, name: &str, body: &str) {
        let body = body.replace("$FILES", &self.path("files").display().to_string());
        self.executable(&format!("bin/{name}"), &body);
    }

    pub(crate) fn remove_program(&self, name: &str) {
        fs::remove_file(self.path("bin").join(name)).expect("the program was there");
    }

    pub(crate) fn executable(&self, relative: &str, body: &str) {
        self.file(relative, format!("#!/usr/bin/env bash\n{body}\n"));
        fs::set_permissions(self.path(relative), fs::Permissions::from_mode(0o755)).expect("chmod");
    }

    pub(crate) fn file(&self, relative: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(&path, content).expect("a file");
        path
    }

    /// A command of this project on this machine, with nothing of the real environment in it.
    pub(crate) fn command(&self, script: &str) -> Command {
        let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join(script));
        command
            .env_clear()
            .env("PATH", self.path("bin"))
            .env("HOME", self.path("home"))
            .env("TMPDIR", self.dir.path())
            .env("IPFS_KITD_CACHE", self.path("cache"))
            .env("IPFS_KITD_DEPS", self.path("deps"))
            .current_dir(self.path("home"))
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, script: &str, env: &[(&str, &str)]) -> Outcome {
        self.command(script).envs(env.iter().copied()).output().expect("the script starts").into()
    }

    /// Packs files of the folder `files`, as the publishers do.
    pub(crate) fn tar_gz(&self, members: &[&str]) -> Vec<u8> {
        // The same bytes whenever it is made: their checksum names the part of a download.
        let mut tar = Command::new("tar");
        let output =
            tar.args(["-cz", "--mtime=@0"]).args(members).current_dir(self.path("files")).output().expect("tar");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// What the cache holds, without the lock files.
    pub(crate) fn cached(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut dirs = vec![self.path("cache")];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
                if entry.path().is_dir() {
                    dirs.push(entry.path());
                } else if entry.file_name() != ".lock" {
                    let path = entry.path();
                    let relative = path.strip_prefix(self.path("cache")).expect("it is in the cache");
                    found.push(relative.display().to_string());
                }
            }
        }
        found.sort();
        found
    }
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }
}

impl Outcome {
    #[track_caller]
    pub(crate) fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self
    }

    /// It failed, in a way that its own message explains.
    #[track_caller]
    pub(crate) fn failed_saying(self, sentence: &str) -> Self {
        assert_eq!(self.code, Some(1), "{}", self.stderr);
        self.said(sentence)
    }

    #[track_caller]
    pub(crate) fn said(self, sentence: &str) -> Self {
        assert!(self.stderr.contains(sentence), "expected {sentence:?} in:\n{}", self.stderr);
        self
    }

    /// The result of a fetch script: the last line of stdout.
    pub(crate) fn result(&self) -> &Path {
        Path::new(self.stdout.lines().last().unwrap_or_default())
    }
}
