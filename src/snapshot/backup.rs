//! A backup: one tar file with `manifest.json`, the tables as Parquet, and `SHA256SUMS` of all of them, so that `tar` and
//! `sha256sum` are enough to look into it. Nothing of it is believed before every byte was read.

use super::atomic::NewFile;
use super::output;
use super::place::MANIFEST;
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
    let same = read.map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why))? == *manifest;
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

/// Puts what a backup holds into a directory; `Err` says what is wrong with it.
pub fn unpack(file: &File, into: &Path) -> Result<SnapshotManifest, String> {
    let manifest = read(file, |name| Ok(Box::new(File::create_new(into.join(name))?)))?;
    let known = schema::VERSION;
    match manifest.schema_version {
        version if version > known => Err(format!(
            "it was made by a newer version: its tables have version {version}, this program knows {known}"
        )),
        _ => Ok(manifest),
    }
}

/// Reads a backup to its end.
fn read(file: &File, mut put: impl FnMut(&str) -> io::Result<Box<dyn Write>>) -> Result<SnapshotManifest, String> {
    let text = |error: io::Error| format!("it is no whole backup: {error}");
    let mut archive = tar::Archive::new(BufReader::new(file));
    let (mut manifest, mut said, mut found) = (None::<(SnapshotManifest, Vec<u8>)>, None, BTreeMap::new());
    for entry in archive.entries().map_err(text)? {
        let mut entry = entry.map_err(text)?;
        let name = plain(&entry.path().map_err(text)?).ok_or("a name in it is none of ours")?;
        let known = manifest.as_ref().and_then(|(manifest, _)| manifest.files.iter().find(|file| file.name == name));
        match (name.as_str(), known) {
            (MANIFEST, _) if manifest.is_none() => {
                let bytes = short(&mut entry).map_err(text)?;
                manifest = Some((parse(&bytes)?, bytes));
            }
            (SUMS, _) if said.is_none() => said = Some(short(&mut entry).map_err(text)?),
            (_, Some(file)) if entry.size() == file.bytes && !found.contains_key(&name) => {
                let (bytes, digest) = output::digest(Tee(&mut entry, put(&name).map_err(text)?)).map_err(text)?;
                if (bytes, &digest) != (file.bytes, &file.sha256) {
                    return Err(format!("{name} is not what was written: its digest differs"));
                }
                found.insert(name, bytes);
            }
            _ => return Err(format!("it has a file {name:?} that its manifest does not know so")),
        }
    }
    let (manifest, bytes) = manifest.ok_or("it has no manifest")?;
    if let Some(missing) = manifest.files.iter().find(|file| !found.contains_key(&file.name)) {
        return Err(format!("{} is missing", missing.name));
    }
    if said.as_deref() != Some(sums(&bytes, &manifest.files).map_err(text)?.as_bytes()) {
        return Err(format!("{SUMS} and what is in it differ"));
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
