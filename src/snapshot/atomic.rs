//! The one way a file is replaced: a new name in the same directory, every result checked, fsync, rename, fsync of the
//! directory. A reader opens the old file or the new one, whole, also after a power cut.

use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// How a name that is not in force yet begins and ends.
const NEW: (&str, &str) = (".new-", ".tmp");

/// A file on its way to its name. Dropped before, it is gone again.
pub struct NewFile {
    file: NamedTempFile,
    path: PathBuf,
}

impl NewFile {
    /// Begins it, in the directory of its future name, readable by its owner alone.
    pub fn create(path: &Path) -> io::Result<NewFile> {
        let dir = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
        let file = tempfile::Builder::new().prefix(NEW.0).suffix(NEW.1).tempfile_in(dir)?;
        Ok(NewFile { file, path: path.to_owned() })
    }

    /// The file, to write into it and to read it again.
    pub fn file(&self) -> &File {
        self.file.as_file()
    }

    /// Gives it its name; on return it is on disk. After an error of fsync the file that was there stays: what the kernel has
    /// dropped, a second fsync would not bring back.
    pub fn commit(self, mode: u32) -> io::Result<()> {
        self.put(mode, true)
    }

    /// The same where no file may be.
    pub fn commit_first(self, mode: u32) -> io::Result<()> {
        self.put(mode, false)
    }

    fn put(self, mode: u32, replace: bool) -> io::Result<()> {
        self.file.as_file().set_permissions(Permissions::from_mode(mode))?;
        self.file.as_file().sync_all()?;
        if replace {
            self.file.persist(&self.path)?
        } else {
            self.file.persist_noclobber(&self.path)?
        };
        sync_parent(&self.path)
    }
}

/// Removes what a process that was killed in the middle has left in this directory, if there is one. Only for who alone writes
/// there.
pub fn sweep(dir: &Path) {
    clear(dir, remover);
}

/// How something is removed.
pub type Remover = fn(&Path) -> io::Result<()>;

/// How what has this name is removed, if it is left over from [`NewFile`].
pub fn remover(name: &str) -> Option<Remover> {
    is_new(name).then_some(|path| std::fs::remove_file(path))
}

/// Removes what is left over by its name in this directory. What cannot be removed is in nobody's way: it is logged, and stays.
pub fn clear(dir: &Path, remover: impl Fn(&str) -> Option<Remover>) {
    let stays = |path: &Path, error: io::Error| {
        tracing::warn!(path = %path.display(), %error, "what an earlier process has left cannot be removed");
    };
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => return stays(dir, error),
        Ok(entries) => entries,
    };
    for entry in entries {
        match entry {
            Err(error) => stays(dir, error),
            Ok(entry) => {
                let remove = entry.file_name().to_str().and_then(&remover);
                let removed = remove.map_or(Ok(()), |remove| remove(&entry.path()));
                removed.unwrap_or_else(|error| stays(&entry.path(), error));
            }
        }
    }
}

/// Puts `bytes` at `path`; on return they are on disk. The file is readable by its owner alone.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_with(path, 0o600, |mut file| file.write_all(bytes))
}

/// Puts at `path` what `fill` writes; on return it is on disk.
pub fn replace_with(path: &Path, mode: u32, fill: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
    let new = NewFile::create(path)?;
    fill(new.file())?;
    new.commit(mode)
}

/// Makes what was done to the names in the directory of `path` last.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    sync_dir(path.parent().ok_or(io::ErrorKind::InvalidInput)?)
}

/// Makes what was done to the names in `dir` last.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Whether this name is one of [`NewFile`]'s. Where only one process writes, what has such a name is left over.
pub fn is_new(name: &str) -> bool {
    name.starts_with(NEW.0) && name.ends_with(NEW.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_nothing_else_is_left() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let path = dir.path().join("node.json");
        replace(&path, b"old").expect("written");
        replace(&path, b"new").expect("replaced");
        assert_eq!(std::fs::read(&path).expect("read"), b"new");
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        replace_with(&path, 0o640, |mut file| file.write_all(b"shared")).expect("replaced");
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o640);
        assert_eq!(std::fs::read_dir(dir.path()).expect("listed").count(), 1);
    }

    #[test]
    fn a_file_that_is_given_up_leaves_the_old_one() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let path = dir.path().join("manifest.json");
        replace(&path, b"old").expect("written");
        let new = NewFile::create(&path).expect("begun");
        new.file().write_all(b"half").expect("written");
        let names = || {
            std::fs::read_dir(dir.path())
                .expect("listed")
                .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        };
        assert_eq!(names().filter(|name| is_new(name)).count(), 1);
        drop(new);
        assert_eq!(names().collect::<Vec<_>>(), ["manifest.json"]);
        assert_eq!(std::fs::read(&path).expect("read"), b"old");
    }
}
