//! Files of the old system that lie where ours go. Ours takes such a name only when nothing is lost by it: the file is missing, is
//! our own, or a verified copy of it lies in `legacy-original/`, under the same path.

use crate::snapshot::output::digest;
use crate::snapshot::place::{make_dirs, regular};
use crate::snapshot::{atomic, parquet};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Where ours go, below the data dir, and where the old system has written too.
pub const PLACES: [&str; 5] = [
    "pin_metadata/parquet_storage/pins.parquet",
    "program_state/parquet/system_state.parquet",
    "program_state/parquet/network_state.parquet",
    "program_state/parquet/storage_state.parquet",
    "program_state/parquet/files_state.parquet",
];

const DIR: &str = "legacy-original";
/// A footer of ours at most.
const FOOTER: u64 = 8 << 20;

/// What lies in such a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// A file that ipfs-kitd has written.
    Ours,
    /// Somebody else's, of which a copy is kept.
    Kept,
    /// Somebody else's; it is to stay as it is.
    Foreign {
        /// There is a copy of another one: it was written again after it was imported.
        again: bool,
    },
}

/// Whether ours may take this place below the data dir.
pub fn may_replace(data_dir: &Path, place: &str) -> io::Result<bool> {
    Ok(!matches!(look(data_dir, place)?, Found::Foreign { .. }))
}

/// What lies there. Reads it, so it is nothing for a thread of the runtime.
pub fn look(data_dir: &Path, place: &str) -> io::Result<Found> {
    let mut file = match regular(&data_dir.join(place)) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Found::Nothing);
        }
        // A link, a directory, or one that we may not read.
        Err(_) => return Ok(Found::Foreign { again: false }),
    };
    if ours(&mut file)? {
        return Ok(Found::Ours);
    }
    file.rewind()?;
    let (_, is) = digest(file)?;
    let copies = copies(data_dir, place, &is);
    if copies.iter().any(|copy| has(copy, &is)) {
        return Ok(Found::Kept);
    }
    Ok(Found::Foreign { again: copies[0].symlink_metadata().is_ok() })
}

/// Keeps a copy of what lies there, if it is somebody else's and has this digest still; whether there is a copy now.
pub(super) fn keep(data_dir: &Path, place: &str, is: &str) -> io::Result<bool> {
    match look(data_dir, place)? {
        Found::Foreign { .. } => {}
        found => return Ok(found == Found::Kept),
    }
    let copies = copies(data_dir, place, is);
    let copy = copies.iter().find(|copy| copy.symlink_metadata().is_err());
    let copy = copy.ok_or_else(|| io::Error::other(format!("other files lie in {DIR} under its names")))?;
    make_dirs(data_dir, Path::new(DIR).join(place).parent().unwrap_or(Path::new(DIR)))?;
    let new = atomic::NewFile::create(copy)?;
    let mut file = new.file();
    io::copy(&mut regular(&data_dir.join(place))?, &mut file)?;
    file.rewind()?;
    if digest(file)?.1 != is {
        return Err(io::Error::other("it changed while it was imported"));
    }
    new.commit(0o600)?;
    Ok(has(copy, is))
}

/// Where a copy lies: under the same path, and of one that was written again with its digest behind its name.
fn copies(data_dir: &Path, place: &str, digest: &str) -> [PathBuf; 2] {
    let digest = digest.get(..12).unwrap_or(digest);
    ["".to_owned(), format!(".{digest}")].map(|end| data_dir.join(DIR).join(format!("{place}{end}")))
}

fn has(copy: &Path, is: &str) -> bool {
    regular(copy).and_then(digest).is_ok_and(|(_, digest)| digest == is)
}

/// Whether the end of this Parquet file says that ipfs-kitd has written it: its writer and not some key, which others keep when
/// they read and write. Only looked through, and not decoded: the file may be anybody's, and a damaged one must not end this process.
fn ours(file: &mut File) -> io::Result<bool> {
    let length = file.metadata()?.len();
    let mut end = [0; 8];
    if length < 12 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-8))?;
    file.read_exact(&mut end)?;
    let [a, b, c, d, mark @ ..] = end;
    let footer = u64::from(u32::from_le_bytes([a, b, c, d]));
    if &mark != b"PAR1" || footer > FOOTER || footer + 8 > length {
        return Ok(false);
    }
    file.seek(SeekFrom::Start(length - 8 - footer))?;
    let mut bytes = Vec::new();
    file.take(footer).read_to_end(&mut bytes)?;
    // A string, its length, its text, and a list next: in a footer only the writer's name stands so, before the orders of columns.
    let writer = |at: &[u8]| match at {
        [0x18, length, text @ ..] => {
            text.starts_with(parquet::WRITER.as_bytes()) && text.get(usize::from(*length)) == Some(&0x19)
        }
        _ => false,
    };
    Ok((0..bytes.len()).any(|from| writer(&bytes[from..])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::parquet::column::writer::ColumnWriter;
    use ::parquet::file::metadata::KeyValue;
    use ::parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
    use ::parquet::file::writer::SerializedFileWriter;
    use ::parquet::schema::parser::parse_message_type;
    use std::sync::Arc;

    /// A file with this name in it wherever a name may be but that of its writer.
    fn file(name: &str) -> Vec<u8> {
        written(name, WriterProperties::builder())
    }

    fn written(name: &str, properties: WriterPropertiesBuilder) -> Vec<u8> {
        let schema = Arc::new(parse_message_type("message m { required binary n; }").expect("a schema"));
        let pairs = vec![KeyValue::new(name.to_owned(), name.to_owned())];
        let properties = Arc::new(properties.set_key_value_metadata(Some(pairs)).build());
        let mut bytes = Vec::new();
        let mut writer = SerializedFileWriter::new(&mut bytes, schema, properties).expect("a writer");
        let mut group = writer.next_row_group().expect("a group");
        let mut column = group.next_column().expect("no error").expect("a column");
        if let ColumnWriter::ByteArrayColumnWriter(column) = column.untyped() {
            column.write_batch(&[name.into(), "a".into()], None, None).expect("written");
        }
        column.close().expect("closed");
        group.close().expect("closed");
        writer.close().expect("closed");
        bytes
    }

    #[test]
    fn a_name_may_be_taken_when_nothing_is_lost_by_it() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let path = dir.path().join(PLACES[0]);
        let found = || look(dir.path(), PLACES[0]).expect("looked");
        let keep = |is: &str| keep(dir.path(), PLACES[0], is);
        assert_eq!(found(), Found::Nothing);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        let by_us = WriterProperties::builder().set_created_by(format!("{}9.9", parquet::WRITER));
        std::fs::write(&path, written("x", by_us)).expect("written");
        assert_eq!((found(), keep("").expect("looked")), (Found::Ours, false));
        for other in [
            file("ipfs-kitd 1.0.0"),
            file("ipfs_kitd.snapshot"),
            b"updated=1753000000.0".to_vec(),
            Vec::new(),
            vec![0xff; 100],
        ] {
            std::fs::write(&path, &other).expect("written");
            assert_eq!(found(), Found::Foreign { again: false });
            assert!(!may_replace(dir.path(), PLACES[0]).expect("looked"));
        }
        let copy = dir.path().join(DIR).join(PLACES[0]);
        let mut kept = Vec::new();
        for content in [file("x"), file("pandas")] {
            std::fs::write(&path, &content).expect("written");
            assert_eq!(found(), Found::Foreign { again: !kept.is_empty() });
            let is = digest(content.as_slice()).expect("read").1;
            let changed = keep(&is.replace(|_| true, "0")).expect_err("another digest").to_string();
            assert_eq!(changed, "it changed while it was imported");
            assert!(keep(&is).expect("kept") && keep(&is).expect("kept before"));
            assert_eq!(found(), Found::Kept);
            assert_eq!(std::fs::read(&path).expect("there"), content);
            kept.push(content);
        }
        assert_eq!(std::fs::read(&copy).expect("kept"), kept[0], "the first stays under its own name");
        assert_eq!(std::fs::read_dir(copy.parent().expect("a parent")).expect("listed").count(), 2);
        std::fs::write(&copy, "damaged").expect("written");
        std::fs::write(&path, &kept[0]).expect("written");
        assert_eq!(found(), Found::Foreign { again: true }, "a copy that is another file is none");
        std::fs::remove_file(&path).expect("removed");
        std::os::unix::fs::symlink(&copy, &path).expect("linked");
        assert_eq!(found(), Found::Foreign { again: false });
    }
}
