//! A file under way that counts and hashes what is written into it.

use proto_msgs::snapshot::SnapshotFile;
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// What others may do with a snapshot's files.
pub(super) const FILE_MODE: u32 = 0o640;
/// Bytes that go to the file at a time.
const BUFFER: usize = 256 << 10;

/// The file and what was written into it.
pub struct Output {
    name: String,
    file: BufWriter<File>,
    digest: Sha256,
    bytes: u64,
}

impl Output {
    /// A new file; one that is there already is an error.
    pub fn create(path: &Path) -> io::Result<Output> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
        // Not at creation, where the umask has a say.
        file.set_permissions(Permissions::from_mode(FILE_MODE))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Output { name, file: BufWriter::with_capacity(BUFFER, file), digest: Sha256::new(), bytes: 0 })
    }

    /// Ends the writing: nothing is kept back any more, which is not yet to say that it is on disk.
    pub fn finish(self, rows: u64) -> io::Result<Finished> {
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        let sha256 = hex(&self.digest.finalize());
        Ok(Finished { file, entry: SnapshotFile { name: self.name, rows, bytes: self.bytes, sha256 } })
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.digest.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A file that was written to its end.
pub struct Finished {
    file: File,
    entry: SnapshotFile,
}

impl Finished {
    /// Puts it on disk and looks whether it has the rows that went into it.
    pub fn seal(self) -> io::Result<SnapshotFile> {
        self.file.sync_all()?;
        let (rows, length) = (count(&self.entry.name, self.file.try_clone()?)?, self.file.metadata()?.len());
        if (rows, length) != (self.entry.rows, self.entry.bytes) {
            let SnapshotFile { name, rows: wanted, bytes, .. } = &self.entry;
            let detail = format!("{name} has {rows} rows in {length} bytes where {wanted} in {bytes} were written");
            return Err(io::Error::new(io::ErrorKind::InvalidData, detail));
        }
        Ok(self.entry)
    }
}

/// Rows of a file of this name, as the file itself says.
pub(super) fn count(name: &str, file: File) -> io::Result<u64> {
    match Path::new(name).extension().and_then(|extension| extension.to_str()) {
        Some("parquet") => super::parquet::rows(file),
        Some("arrow") => super::arrow::rows(file),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, format!("{name} is no file of a snapshot"))),
    }
}

/// The digest of what can be read, and how much that is.
pub(crate) fn digest(mut from: impl io::Read) -> io::Result<(u64, String)> {
    let mut digest = Sha256::new();
    let bytes = io::copy(&mut from, &mut digest)?;
    Ok((bytes, hex(&digest.finalize())))
}

/// In hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
