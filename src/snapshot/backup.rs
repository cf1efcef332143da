//! A backup: one tar file with `manifest.json`, the tables as Parquet, and `SHA256SUMS` of all of them, so that `tar` and
//! `sha256sum` are enough to look into it. Nothing of it is believed before every byte was read.

use super::atomic::NewFile;
use super::output;
use super::place::{MANIFEST, check_numbers};
use crate::fault;
use crate::index::schema;
use proto_msgs::snapshot::{SNAPSHOT_FORMAT_VERSION, SnapshotFile, SnapshotManifest};
use proto_msgs::upkeep::BACKUP_FORMAT;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Component, Path};

const SUMS: &str = "SHA256SUMS";
/// The longest manifest that is read.
const LONGEST: u64 = 1 << 20;

/// Packs the files that the manifest names, and reads the whole again before it gets its name; its length.
pub(super) fn pack(dir: &Path, manifest: &SnapshotManifest, to: &Path, replace: bool) -> io::Result<u64> {
    let new = NewFile::create(to)?;
    let mut tar = tar::Builder::new(BufWriter::new(new.file()));
    let text = serde_json::to_vec_pretty(manifest)?;
    let sums = sums(&text, &manifest.files)?;
    append(&mut tar, MANIFEST, text.len() as u64, &text[..])?;
    for file in &manifest.files {
        append(&mut tar, &file.name, file.bytes, File::open(dir.join(&file.name))?)?;
    }
    append(&mut tar, SUMS, sums.len() as u64, sums.as_bytes())?;
    tar.into_inner()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    new.file().rewind()?;
    let read = read(new.file(), |_| Ok(Box::new(io::sink())));
    let same = read.map_err(|why| match why {
        Refused::Disk(error) => error,
        unfit @ Refused::Unfit(_) => io::Error::new(io::ErrorKind::InvalidData, unfit),
    })? == *manifest;
    if !same {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it does not read as it was written"));
    }
    let bytes = new.file().metadata()?.len();
    if replace {
        new.commit(0o600)?
    } else {
        new.commit_first(0o600)?
    }
    Ok(bytes)
}

fn append(tar: &mut tar::Builder<impl Write>, name: &str, bytes: u64, from: impl Read) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes);
    header.set_mode(0o600);
    tar.append_data(&mut header, name, from.take(bytes))
}

/// In the form of `sha256sum`.
fn sums(manifest: &[u8], files: &[SnapshotFile]) -> io::Result<String> {
    let (_, digest) = output::digest(manifest)?;
    let files = files.iter().map(|file| (file.sha256.as_str(), file.name.as_str()));
    let lines = std::iter::once((digest.as_str(), MANIFEST)).chain(files);
    Ok(lines.map(|(digest, name)| format!("{digest}  {name}\n")).collect())
}

/// Why a backup is not unpacked.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// What is wrong with it.
    #[error("{0}")]
    Unfit(String),
    /// The disk, its own or that of the directory, refuses.
    #[error(transparent)]
    Disk(io::Error),
}

impl From<String> for Refused {
    fn from(why: String) -> Refused {
        Refused::Unfit(fault::brief(&why))
    }
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Refused {
        // What the reader of archives says is no error of the kernel.
        match error.raw_os_error() {
            Some(_) => Refused::Disk(error),
            None => Refused::from(format!("it is no whole backup: {error}")),
        }
    }
}

/// Puts what a backup holds into a directory.
pub fn unpack(file: &File, into: &Path) -> Result<SnapshotManifest, Refused> {
    let manifest = read(file, |name| Ok(Box::new(File::create_new(into.join(name))?)))?;
    let known = schema::VERSION;
    match manifest.schema_version {
        version if version > known => Err(Refused::from(format!(
            "it was made by a newer version: its tables have version {version}, this program knows {known}"
        ))),
        _ => Ok(manifest),
    }
}

/// Reads a backup to its end.
fn read(file: &File, mut put: impl FnMut(&str) -> io::Result<Box<dyn Write>>) -> Result<SnapshotManifest, Refused> {
    let refuse = |why: String| Err(Refused::from(why));
    let mut archive = tar::Archive::new(BufReader::new(file));
    let (mut manifest, mut said, mut found) = (None::<(SnapshotManifest, Vec<u8>)>, None, BTreeMap::new());
    // As they are: what stands for the next one's name would be read whole, however long, and ours have none.
    for entry in archive.entries()?.raw(true) {
        let mut entry = entry?;
        let name = plain(&entry.path()?).filter(|_| entry.header().entry_type().is_file());
        let Some(name) = name else { return refuse("a name in it is none of ours".to_owned()) };
        let known = manifest.as_ref().and_then(|(manifest, _)| manifest.files.iter().find(|file| file.name == name));
        match (name.as_str(), known) {
            (MANIFEST, _) if manifest.is_none() => {
                let bytes = short(&mut entry)?;
                manifest = Some((parse(&bytes)?, bytes));
            }
            (SUMS, _) if said.is_none() => said = Some(short(&mut entry)?),
            (_, Some(file)) if entry.size() == file.bytes && !found.contains_key(&name) => {
                let (bytes, digest) = output::digest(Tee(&mut entry, put(&name)?))?;
                if (bytes, &digest) != (file.bytes, &file.sha256) {
                    return refuse(format!("{name} is not what was written: its digest differs"));
                }
                found.insert(name, bytes);
            }
            _ => return refuse(format!("it has a file {name:?} that its manifest does not know so")),
        }
    }
    let Some((manifest, bytes)) = manifest else { return refuse("it has no manifest".to_owned()) };
    if let Some(missing) = manifest.files.iter().find(|file| !found.contains_key(&file.name)) {
        return refuse(format!("{} is missing", missing.name));
    }
    if said.as_deref() != Some(sums(&bytes, &manifest.files)?.as_bytes()) {
        return refuse(format!("{SUMS} and what is in it differ"));
    }
    Ok(manifest)
}

fn short(entry: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    entry.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn parse(bytes: &[u8]) -> Result<SnapshotManifest, String> {
    let manifest: SnapshotManifest =
        serde_json::from_slice(bytes).map_err(|error| format!("its manifest is none: {error}"))?;
    if manifest.format != BACKUP_FORMAT || manifest.format_version > SNAPSHOT_FORMAT_VERSION {
        let SnapshotManifest { format, format_version, .. } = manifest;
        return Err(format!("it has the form {format:?} {format_version}, which this program does not know"));
    }
    check_numbers(&manifest).map_err(|why| format!("its manifest is none: {why}"))?;
    Ok(manifest)
}

/// A name without any directory.
fn plain(path: &Path) -> Option<String> {
    let mut parts = path.components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(name)), None) => name.to_str().map(str::to_owned),
        _ => None,
    }
}

/// What is read from the first is written into the second.
struct Tee<R, W>(R, W);

impl<R: Read, W: Write> Read for Tee<R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.0.read(buffer)?;
        self.1.write_all(&buffer[..bytes])?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header of this kind and name, and nothing behind it but what a sparse file has.
    fn huge(kind: tar::EntryType, name: &str) -> File {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_path(name).expect("a name");
        header.set_size(8 << 30);
        header.set_cksum();
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(header.as_bytes()).expect("written");
        file.set_len(9 << 30).expect("long");
        file.rewind().expect("rewound");
        file
    }

    #[test]
    fn an_entry_that_is_none_of_ours_is_refused_before_it_is_read() {
        let into = tempfile::tempdir().expect("a temp dir");
        for (kind, name) in [
            (tar::EntryType::GNULongName, "LongLink"),
            (tar::EntryType::GNULongLink, MANIFEST),
            (tar::EntryType::XHeader, MANIFEST),
            (tar::EntryType::Symlink, MANIFEST),
        ] {
            let mut file = huge(kind, name);
            let refused = unpack(&file, into.path());
            assert!(matches!(refused, Err(Refused::Unfit(ref why)) if why.contains("none of ours")), "{refused:?}");
            assert!(file.stream_position().expect("a place") < 1 << 20, "{kind:?}");
        }
    }

    #[test]
    fn a_disk_that_refuses_is_no_fault_of_the_backup() {
        let (mut text, part) = (Vec::new(), b"part");
        let (bytes, sha256) = output::digest(&part[..]).expect("a digest");
        let manifest = SnapshotManifest {
            format: BACKUP_FORMAT.to_owned(),
            files: vec![SnapshotFile { name: "pins.parquet".to_owned(), rows: 0, bytes, sha256 }],
            ..SnapshotManifest::default()
        };
        let said = serde_json::to_vec(&manifest).expect("JSON");
        let mut tar = tar::Builder::new(&mut text);
        append(&mut tar, MANIFEST, said.len() as u64, &said[..]).expect("appended");
        append(&mut tar, "pins.parquet", bytes, &part[..]).expect("appended");
        tar.into_inner().expect("ended");
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&text).expect("written");
        file.rewind().expect("rewound");
        let full = read(&file, |_| Ok(Box::new(File::options().write(true).open("/dev/full")?)));
        assert!(
            matches!(full, Err(Refused::Disk(ref error)) if error.kind() == io::ErrorKind::StorageFull),
            "{full:?}"
        );
    }

    #[test]
    fn what_is_wrong_with_a_backup_is_said_in_words_that_can_be_shown() {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&[0x1b; 4096]).expect("written");
        file.rewind().expect("rewound");
        let said = unpack(&file, Path::new("/nowhere")).expect_err("no archive").to_string();
        assert!(!said.contains(char::is_control) && said.chars().count() <= 203, "{said:?}");
    }
}
