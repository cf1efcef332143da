//! Files that others make, on file systems that others run: nobody waits at a pipe that lies in a file's place, no file is read
//! without end, and a file system that never answers costs one thread and nobody's patience.

use std::fs::{Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Of what is read whole; a repo's own files are some kilobytes long.
const LIMIT: u64 = 1 << 20;

/// Reads a regular file whole. A link to one is as good.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Before the opening, which a device may take for a command, and after it: by then it may be something else.
    is_file(&path.metadata()?)?;
    let file = OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path)?;
    is_file(&file.metadata()?)?;
    let mut bytes = Vec::new();
    match file.take(LIMIT + 1).read_to_end(&mut bytes)? as u64 {
        0..=LIMIT => Ok(bytes),
        _ => Err(io::Error::other(format!("it is longer than {LIMIT} bytes"))),
    }
}

/// The same of a text.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?).map_err(|_| io::Error::other("it is no text"))
}

fn is_file(found: &Metadata) -> io::Result<()> {
    let kind = found.file_type();
    let what = match () {
        () if kind.is_file() => return Ok(()),
        () if kind.is_dir() => "a directory",
        () if kind.is_fifo() => "a pipe",
        () if kind.is_socket() => "a socket",
        () => "a device",
    };
    Err(io::Error::other(format!("it is {what} and no regular file")))
}

/// Who works at such files, one at a time: a job that hangs keeps its thread and its turn, and stays the only one.
#[derive(Clone, Debug)]
pub struct Turns(Arc<Semaphore>);

/// Why a job has brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    /// It hangs, or the one before it does.
    #[error("no answer within {} s", .0.as_secs())]
    Late(Duration),
    /// It failed.
    #[error(transparent)]
    Failed(#[from] tokio::task::JoinError),
}

impl Turns {
    /// Does a job on a thread of its own, in turn. Whoever stops waiting does not stop the job.
    pub async fn take<T: Send + 'static>(
        &self,
        deadline: Duration,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Unanswered> {
        let turn = self.0.clone().acquire_owned();
        let done = tokio::time::timeout(deadline, async {
            let turn = turn.await;
            tokio::task::spawn_blocking(move || {
                let _turn = turn;
                job()
            })
            .await
        });
        Ok(done.await.map_err(|_| Unanswered::Late(deadline))??)
    }
}

impl Default for Turns {
    fn default() -> Turns {
        Turns(Arc::new(Semaphore::new(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn only_a_regular_file_of_bearable_length_is_read_and_nobody_waits_for_anything_else() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let path = |name| dir.path().join(name);
        let why = |name| read(&path(name)).expect_err("refused").to_string();
        std::fs::write(path("file"), "text").expect("written");
        std::os::unix::fs::symlink("file", path("link")).expect("linked");
        assert_eq!(read_text(&path("link")).expect("read"), "text");
        nix::unistd::mkfifo(&path("pipe"), nix::sys::stat::Mode::S_IRWXU).expect("made");
        assert_eq!(why("pipe"), "it is a pipe and no regular file");
        assert_eq!(why("."), "it is a directory and no regular file");
        std::fs::File::create(path("long")).and_then(|file| file.set_len(1 << 40)).expect("made");
        assert_eq!(why("long"), "it is longer than 1048576 bytes");
        std::fs::write(path("file"), b"\xff").expect("written");
        assert!(read_text(&path("file")).is_err() && read(&path("none")).is_err());
    }

    #[tokio::test]
    async fn a_job_that_hangs_is_waited_for_until_the_deadline_and_stays_the_only_one() {
        let turns = Turns::default();
        let (end, ended) = mpsc::channel::<()>();
        let first = turns.take(Duration::from_millis(5), move || ended.recv()).await;
        assert!(matches!(first, Err(Unanswered::Late(_))));
        let second = turns.take(Duration::from_millis(5), || panic!("two at a time")).await;
        assert!(matches!(second, Err(Unanswered::Late(_))));
        end.send(()).expect("it hangs");
        assert_eq!(turns.take(Duration::from_secs(60), || 7).await.expect("free again"), 7);
        assert!(matches!(turns.take(Duration::from_secs(60), || panic!("it fails")).await, Err(Unanswered::Failed(_))));
    }
}
