//! The directory of the snapshots: which there are, which is the newest good one, what is wrong with one.
//!
//! ```text
//! snapshots/manifest.json            names the newest; replaced last
//! snapshots/gen-7.12/                generation 7, the twelfth snapshot; immutable
//! snapshots/.gen-13.tmp/             under way, or on its way out; removed at the next start
//! ```

use super::{atomic, output};
use jiff::Timestamp;
use nix::libc;
use proto_msgs::snapshot::{SNAPSHOT_FORMAT, SNAPSHOT_FORMAT_VERSION, SnapshotCheck, SnapshotManifest, SnapshotRow};
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The name of a manifest.
pub const MANIFEST: &str = "manifest.json";
/// The highest number of a generation, of a snapshot, of bytes: a reader of JSON may know no higher one.
const MOST: u64 = 1 << 53;
/// The longest manifest that is read.
const LONGEST: u64 = 1 << 20;
const DIR_MODE: u32 = 0o750;
/// How the name of a directory begins and ends that is no snapshot.
const ASIDE: (&str, &str) = (".gen-", ".tmp");

/// The name of a snapshot's directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    /// The generation of the pin set.
    pub generation: u64,
    /// The number of the snapshot.
    pub serial: u64,
}

impl Name {
    fn parse(text: &str) -> Option<Name> {
        let (generation, serial) = text.strip_prefix("gen-")?.split_once('.')?;
        let name = Name { generation: generation.parse().ok()?, serial: serial.parse().ok()? };
        // Not `gen-07.+1`, which would be a second name of the same.
        (name.to_string() == text && name.generation.max(name.serial) <= MOST).then_some(name)
    }

    /// Whether a person means it by these words: a generation, or the name with or without `gen-`.
    pub fn is_meant_by(self, words: &str) -> bool {
        let name = self.to_string();
        words == name || name.strip_prefix("gen-") == Some(words) || words == self.generation.to_string()
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "gen-{}.{}", self.generation, self.serial)
    }
}

/// The directory.
#[derive(Clone, Debug)]
pub struct Place {
    dir: PathBuf,
}

impl Place {
    /// Makes it where it is missing.
    pub fn open(dir: &Path) -> io::Result<Place> {
        make_dir(dir)?;
        Ok(Place { dir: dir.to_owned() })
    }

    /// The same without making it: where there is none, there are no snapshots.
    pub fn at(dir: &Path) -> Place {
        Place { dir: dir.to_owned() }
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where this snapshot is.
    pub fn path(&self, name: Name) -> PathBuf {
        self.dir.join(name.to_string())
    }

    /// A directory of its own for what is no snapshot, that goes with its owner or is removed at the next start.
    pub fn scratch(&self) -> io::Result<TempDir> {
        let owner_alone = Permissions::from_mode(0o700);
        tempfile::Builder::new().prefix(ASIDE.0).suffix(ASIDE.1).permissions(owner_alone).tempdir_in(&self.dir)
    }

    /// Where something is while it is no snapshot yet, or none any more.
    pub(super) fn aside(&self, serial: u64) -> PathBuf {
        self.dir.join(format!("{}{serial}{}", ASIDE.0, ASIDE.1))
    }

    /// Removes what a process that was killed has left under names of ours that are not in force. Nobody else writes here.
    pub fn sweep(&self) {
        atomic::clear(&self.dir, |name| {
            if name.starts_with(ASIDE.0) && name.ends_with(ASIDE.1) {
                Some(|path| std::fs::remove_dir_all(path))
            } else {
                atomic::remover(name)
            }
        });
    }

    /// Those that there are, newest first.
    pub fn names(&self) -> io::Result<Vec<Name>> {
        let named = |error| named(&self.dir, &error);
        let entries = match std::fs::read_dir(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(named)?,
        };
        let names = entries.map(|entry| Ok(Name::parse(&entry?.file_name().to_string_lossy())));
        let mut names: Vec<Name> = names.filter_map(io::Result::transpose).collect::<io::Result<_>>().map_err(named)?;
        names.sort_by_key(|name| std::cmp::Reverse(name.serial));
        Ok(names)
    }

    /// Fails where a snapshot, or which there are, cannot be read although it may be good. What is no file is no snapshot's either.
    pub fn reach(&self) -> io::Result<()> {
        let manifest = self.dir.join(MANIFEST);
        openable(&manifest)?;
        let names = match self.names() {
            Err(error) if is_none(&error) => return Ok(()),
            names => names?,
        };
        for name in names {
            let dir = self.path(name);
            let entries = match std::fs::read_dir(&dir) {
                Err(error) if is_none(&error) => continue,
                entries => entries.map_err(|error| named(&dir, &error))?,
            };
            for entry in entries {
                openable(&entry.map_err(|error| named(&dir, &error))?.path())?;
            }
        }
        Ok(())
    }

    /// What the manifest of the newest says; `None` where there is none.
    pub fn newest(&self) -> Result<Option<SnapshotManifest>, String> {
        read(&self.dir.join(MANIFEST))
    }

    /// The manifest of a snapshot whose files are there in the lengths that it says.
    pub fn look(&self, name: Name) -> Result<SnapshotManifest, String> {
        let manifest = read(&self.path(name).join(MANIFEST))?.ok_or("it has no manifest")?;
        if manifest.name != name.to_string() {
            return Err(format!("its manifest is that of {}", manifest.name));
        }
        for file in &manifest.files {
            let found = regular(&self.file(name, &file.name)?).and_then(|file| file.metadata());
            let length = found.map_err(|error| format!("{}: {error}", file.name))?.len();
            if length != file.bytes {
                return Err(format!("{} has {length} bytes where {} were written", file.name, file.bytes));
            }
        }
        Ok(manifest)
    }

    /// Reads every byte of a snapshot.
    pub fn verify(&self, name: Name) -> SnapshotCheck {
        let mut check = SnapshotCheck { name: name.to_string(), files: 0, bytes: 0, problems: Vec::new() };
        let manifest = match read(&self.path(name).join(MANIFEST)) {
            Ok(Some(manifest)) if manifest.name == check.name => manifest,
            Ok(Some(manifest)) => {
                check.problems.push(format!("its manifest is that of {}", manifest.name));
                return check;
            }
            Ok(None) => {
                check.problems.push("it has no manifest".to_owned());
                return check;
            }
            Err(problem) => {
                check.problems.push(problem);
                return check;
            }
        };
        for file in &manifest.files {
            let read = || -> Result<u64, String> {
                let text = |error: io::Error| format!("{}: {error}", file.name);
                let mut opened = regular(&self.file(name, &file.name)?).map_err(text)?;
                let (bytes, digest) = output::digest(&mut opened).map_err(text)?;
                if (bytes, &digest) != (file.bytes, &file.sha256) {
                    return Err(format!("{} is not what was written: its digest differs", file.name));
                }
                let rows = output::count(&file.name, opened).map_err(text)?;
                if rows != file.rows {
                    return Err(format!("{} has {rows} rows where {} were written", file.name, file.rows));
                }
                Ok(bytes)
            };
            check.files += 1;
            match read() {
                Ok(bytes) => check.bytes += bytes,
                Err(problem) => check.problems.push(problem),
            }
        }
        check
    }

    /// The same of those that there are: who goes away meanwhile is left out.
    pub fn verify_all(&self, names: Vec<Name>) -> Vec<SnapshotCheck> {
        let check =
            |name| Some(self.verify(name)).filter(|check| check.problems.is_empty() || self.path(name).exists());
        names.into_iter().filter_map(check).collect()
    }

    /// The newest good one by its digests, and why newer ones were passed over; `Err` with those reasons when none is good.
    pub fn choose(&self) -> Result<(Name, SnapshotManifest, Vec<String>), Vec<String>> {
        self.choose_before(u64::MAX)
    }

    /// The same among those with a lower serial.
    pub fn choose_before(&self, serial: u64) -> Result<(Name, SnapshotManifest, Vec<String>), Vec<String>> {
        let mut passed_over = Vec::new();
        let newest = self.newest().unwrap_or_else(|problem| {
            passed_over.push(problem);
            None
        });
        let names = self.names().map_err(|error| vec![format!("{}: {error}", self.dir.display())])?;
        // What is newer than the manifest says was not published to its end.
        let published = |name: &Name| newest.as_ref().is_none_or(|newest| name.serial <= newest.serial);
        if let Some(newest) = &newest
            && !names.iter().any(|name| name.to_string() == newest.name)
        {
            passed_over.push(format!("{} is not there", newest.name));
        }
        for name in names.into_iter().filter(|name| published(name) && name.serial < serial) {
            let problems = self.verify(name).problems;
            match self.look(name) {
                Ok(manifest) if problems.is_empty() => return Ok((name, manifest, passed_over)),
                looked => {
                    let problems = looked.err().into_iter().filter(|_| problems.is_empty()).chain(problems.clone());
                    passed_over.extend(problems.map(|problem| format!("{name}: {problem}")));
                }
            }
        }
        Err(passed_over)
    }

    /// Each with what a look shows, newest first.
    pub fn rows(&self) -> io::Result<Vec<SnapshotRow>> {
        let newest = self.newest().ok().flatten().map(|manifest| manifest.name);
        let row = |name: Name| {
            let looked = self.look(name);
            let problem = looked.as_ref().err().cloned();
            let manifest = looked.ok();
            SnapshotRow {
                name: name.to_string(),
                generation: name.generation,
                created_at: manifest.as_ref().map(|manifest| manifest.created_at.clone()),
                as_of: manifest.as_ref().and_then(|manifest| manifest.as_of.clone()),
                pins: manifest.as_ref().and_then(|manifest| manifest.rows("pins.parquet")),
                bytes: manifest.as_ref().map(SnapshotManifest::bytes),
                newest: newest.as_deref() == Some(&name.to_string()),
                problem,
            }
        };
        Ok(self.names()?.into_iter().map(row).collect())
    }

    /// When it was made: by its manifest, otherwise by its directory.
    pub(super) fn created(&self, name: Name) -> io::Result<(Timestamp, bool)> {
        if let Ok(manifest) = self.look(name)
            && let Ok(at) = manifest.created_at.parse()
        {
            return Ok((at, true));
        }
        let path = self.path(name);
        let modified = std::fs::metadata(&path).and_then(|found| found.modified());
        let modified = modified.map_err(|error| named(&path, &error))?;
        Ok((Timestamp::try_from(modified).unwrap_or(Timestamp::UNIX_EPOCH), false))
    }

    /// Takes a snapshot away; no reader ever finds a part of it.
    pub(super) fn remove(&self, name: Name) -> io::Result<()> {
        let (path, aside) = (self.path(name), self.aside(name.serial));
        std::fs::rename(&path, &aside)
            .and_then(|()| std::fs::remove_dir_all(aside))
            .map_err(|error| self::named(&path, &error))
    }

    fn file(&self, name: Name, file: &str) -> Result<PathBuf, String> {
        let plain = Path::new(file).file_name().is_some_and(|name| name == file);
        if plain { Ok(self.path(name).join(file)) } else { Err(format!("{file:?} is no name of a file")) }
    }
}

/// Makes a directory that others of our group may read.
pub(super) fn make_dir(dir: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(DIR_MODE).create(dir) {
        Ok(()) => std::fs::set_permissions(dir, Permissions::from_mode(DIR_MODE))?,
        Err(_) if dir.is_dir() => return Ok(()),
        Err(error) => return Err(io::Error::new(error.kind(), format!("cannot make {}: {error}", dir.display()))),
    }
    atomic::sync_parent(dir)
}

/// Makes the directories of this path below `base`.
pub(crate) fn make_dirs(base: &Path, below: &Path) -> io::Result<()> {
    let mut dirs = below.iter().scan(base.to_owned(), |dir, part| {
        dir.push(part);
        Some(dir.clone())
    });
    dirs.try_for_each(|dir| make_dir(&dir))
}

/// Opens a file, never waiting for anybody as a pipe would.
pub(crate) fn regular(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("not a regular file")) }
}

/// Whether there is nothing that could be good, whatever the machine allows later: no such name, a link, a socket.
fn is_none(error: &io::Error) -> bool {
    let odd = error.raw_os_error().is_some_and(|code| [libc::ELOOP, libc::ENXIO].contains(&code));
    odd || matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn openable(path: &Path) -> io::Result<()> {
    match File::options().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path) {
        Err(error) if !is_none(&error) => Err(named(path, &error)),
        _ => Ok(()),
    }
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn read(path: &Path) -> Result<Option<SnapshotManifest>, String> {
    let name = path.file_name().unwrap_or_default().display();
    let file = match regular(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{name}: {error}")),
    };
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes).map_err(|error| format!("{name}: {error}"))?;
    let manifest: SnapshotManifest =
        serde_json::from_slice(&bytes).map_err(|error| format!("{name} is no manifest: {error}"))?;
    if manifest.format != SNAPSHOT_FORMAT || manifest.format_version > SNAPSHOT_FORMAT_VERSION {
        let (format, version) = (manifest.format, manifest.format_version);
        return Err(format!("{name} has the form {format:?} {version}, which this program does not know"));
    }
    check_numbers(&manifest).map_err(|why| format!("{name} is no manifest: {why}"))?;
    Ok(Some(manifest))
}

/// Refuses numbers that no manifest of ours has, and from which none could be counted on.
pub(super) fn check_numbers(manifest: &SnapshotManifest) -> Result<(), String> {
    let files = || manifest.files.iter();
    let bytes = files().try_fold(0, |sum: u64, file| sum.checked_add(file.bytes)).unwrap_or(u64::MAX);
    let numbers = [
        ("generation", manifest.generation),
        ("serial", manifest.serial),
        ("journal_seq", manifest.journal_seq.unwrap_or_default()),
        ("bytes", bytes),
        ("rows", files().map(|file| file.rows).max().unwrap_or_default()),
    ];
    match numbers.into_iter().find(|(_, number)| *number > MOST) {
        Some((what, number)) => Err(format!("it says {what} {number}, which cannot be")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto_msgs::snapshot::SnapshotFile;

    #[test]
    fn names_are_read_in_one_form_only() {
        assert_eq!(Name::parse("gen-7.12"), Some(Name { generation: 7, serial: 12 }));
        for other in ["gen-7", "gen-07.12", "gen-7.+1", "7.12", ".gen-7.tmp", "gen-7.12.old", "gen--1.2"] {
            assert_eq!(Name::parse(other), None, "{other}");
        }
        for beyond in [MOST + 1, u64::MAX - 1, u64::MAX] {
            assert_eq!(Name::parse(&format!("gen-{beyond}.7")), None);
            assert_eq!(Name::parse(&format!("gen-7.{beyond}")), None);
        }
        let name = Name { generation: 7, serial: 12 };
        assert!(["7", "7.12", "gen-7.12"].iter().all(|words| name.is_meant_by(words)));
        assert!(["12", "gen-7", ""].iter().all(|words| !name.is_meant_by(words)));
    }

    #[test]
    fn a_manifest_with_numbers_that_cannot_be_counted_on_is_none() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let file = |bytes| SnapshotFile { name: "pins.parquet".to_owned(), bytes, ..SnapshotFile::default() };
        let sound = SnapshotManifest { format: SNAPSHOT_FORMAT.to_owned(), files: vec![file(7)], ..Default::default() };
        let read_back = |manifest: &SnapshotManifest| {
            std::fs::write(dir.path().join(MANIFEST), serde_json::to_vec(manifest).expect("JSON")).expect("written");
            read(&dir.path().join(MANIFEST))
        };
        assert_eq!(read_back(&sound), Ok(Some(sound.clone())));
        for (word, unsound) in [
            ("generation", SnapshotManifest { generation: u64::MAX, ..sound.clone() }),
            ("serial", SnapshotManifest { serial: u64::MAX, ..sound.clone() }),
            ("journal_seq", SnapshotManifest { journal_seq: Some(u64::MAX), ..sound.clone() }),
            ("bytes", SnapshotManifest { files: vec![file(u64::MAX)], ..sound.clone() }),
            ("bytes", SnapshotManifest { files: vec![file(1 << 63), file(1 << 63)], ..sound.clone() }),
        ] {
            assert!(read_back(&unsound).is_err_and(|why| why.contains(word)), "{word}");
        }
    }

    #[test]
    fn a_snapshot_that_is_retired_while_it_is_looked_at_is_left_out() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let place = Place::open(&dir.path().join("snapshots")).expect("made");
        let [gone, damaged] = [1, 2].map(|serial| Name { generation: 1, serial });
        std::fs::create_dir(place.path(damaged)).expect("made");
        let checks = place.verify_all(vec![damaged, gone]);
        assert_eq!(checks.iter().map(|check| &*check.name).collect::<Vec<_>>(), ["gen-1.2"]);
        assert_eq!(checks[0].problems, ["it has no manifest"]);
    }

    #[test]
    fn a_manifest_may_name_no_file_elsewhere() {
        let place = Place { dir: "/nowhere".into() };
        for file in ["../x", "/etc/passwd", "a/b", ".", ""] {
            assert!(place.file(Name { generation: 1, serial: 1 }, file).is_err(), "{file}");
        }
    }

    #[test]
    fn only_our_own_temporary_names_are_swept() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let place = Place::open(&dir.path().join("snapshots")).expect("made");
        for name in [".gen-3.tmp", "gen-1.1", ".gen-3.old", "gen-2.tmp", ".new-dir.tmp"] {
            std::fs::create_dir_all(place.dir().join(name).join("inner")).expect("made");
        }
        for name in [".new-abc.tmp", ".gen-99.tmp", "notes.tmp", MANIFEST] {
            std::fs::write(place.dir().join(name), "").expect("written");
        }
        place.sweep();
        let left = std::fs::read_dir(place.dir()).expect("listed").map(|entry| entry.expect("an entry").file_name());
        let mut left: Vec<_> = left.map(|name| name.into_string().expect("UTF-8")).collect();
        left.sort();
        // What is of another kind than its name says is in nobody's way.
        let expected = [".gen-3.old", ".gen-99.tmp", ".new-dir.tmp", "gen-1.1", "gen-2.tmp", MANIFEST, "notes.tmp"];
        assert_eq!(left, expected);
    }
}
