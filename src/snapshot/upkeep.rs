//! `index backup`, `index restore`, `index verify`, `index compact`: answered by the actor of the snapshots, since a backup is made as
//! they are, and only one of them at a time.

use super::actor::{SnapshotArgs, Snapshots, begin, order};
use super::backup::{self, Refused};
use super::kept;
use super::place::{Place, regular};
use super::publish::{self, PublishError, Writing};
use crate::config::Config;
use crate::fault::blocking;
use crate::index;
use crate::index::error::IndexError;
use crate::index::restore::{self, Restore, Restored};
use jiff::Timestamp;
use kameo::message::{Context, Message};
use kameo::reply::DelegatedReply;
use proto_msgs::snapshot::SnapshotManifest;
use proto_msgs::upkeep::{
    IndexBackedUp, IndexBackup, IndexCompact, IndexCompacted, IndexRestore, IndexRestored, IndexVerified, IndexVerify,
};
use proto_msgs::{Fault, FaultKind};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

const RESTORE: &str = "restore the backup";

impl Message<IndexBackup> for Snapshots {
    type Reply = DelegatedReply<Result<IndexBackedUp, Fault>>;

    async fn handle(&mut self, ask: IndexBackup, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        self.args.life.fault_point("message");
        let args = self.args.clone();
        ctx.spawn(async move { back_up(&args, ask).await })
    }
}

impl Message<IndexRestore> for Snapshots {
    type Reply = DelegatedReply<Result<IndexRestored, Fault>>;

    async fn handle(&mut self, ask: IndexRestore, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        self.args.life.fault_point("message");
        let args = self.args.clone();
        ctx.spawn(async move { put_back(&args, ask).await })
    }
}

impl Message<IndexVerify> for Snapshots {
    type Reply = DelegatedReply<Result<IndexVerified, Fault>>;

    async fn handle(&mut self, _: IndexVerify, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        self.args.life.fault_point("message");
        let args = self.args.clone();
        ctx.spawn(async move {
            let found = args.store.verify().await.map_err(|error| fault(&args, "verify the index", &error))?;
            let dir = args.config.borrow().snapshot_dir();
            let snapshots = blocking(move || {
                let place = Place::at(&dir);
                Ok(place.verify_all(place.names()?))
            });
            let rows = |table| found.rows.iter().find(|(name, _)| *name == table).map(|(_, rows)| *rows);
            Ok(IndexVerified {
                generation: found.generation,
                pins: rows("pins"),
                gone: rows("gone"),
                changes: rows("changes"),
                marks: rows("marks"),
                journal_seq: found.journal_seq,
                snapshots: snapshots.await?.map_err(|error: io::Error| failed("verify the snapshots", &error))?,
                problems: found.problems,
            })
        })
    }
}

impl Message<IndexCompact> for Snapshots {
    type Reply = DelegatedReply<Result<IndexCompacted, Fault>>;

    async fn handle(&mut self, _: IndexCompact, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        self.args.life.fault_point("message");
        let args = self.args.clone();
        ctx.spawn(async move {
            let saved = args.store.compact().await.map_err(|error| fault(&args, "compact the index", &error))?;
            Ok(IndexCompacted {
                index_before: saved.index.0,
                index_after: saved.index.1,
                journal_before: saved.journal.0,
                journal_after: saved.journal.1,
                put_off: saved.put_off,
            })
        })
    }
}

async fn back_up(args: &SnapshotArgs, ask: IndexBackup) -> Result<IndexBackedUp, Fault> {
    const WHAT: &str = "make a backup";
    let config = args.config.borrow().clone();
    let (path, force) = (PathBuf::from(&ask.path), ask.force);
    let to = path.clone();
    blocking(move || may_write(&to, force, &config)).await??;
    begin(args).await.map_err(|error| failed(WHAT, &error))?;
    let turn = args.book.turn().await;
    // A mark that is in the journal alone would be missing.
    args.store.settle().await.map_err(|error| fault(args, WHAT, &error))?;
    let order = order(args, false).await.map_err(|error| failed(WHAT, &error))?;
    let made = publish::back_up(&args.store, order, turn, path, force).await;
    let (manifest, bytes) = made.map_err(|error| match &error {
        PublishError::Export(error) => fault(args, WHAT, error),
        PublishError::Seal(error) => failed(WHAT, error),
    })?;
    Ok(IndexBackedUp { path: ask.path, bytes, manifest })
}

async fn put_back(args: &SnapshotArgs, ask: IndexRestore) -> Result<IndexRestored, Fault> {
    let config = args.config.borrow().clone();
    begin(args).await.map_err(|error| failed(RESTORE, &error))?;
    let turn = Arc::new(args.book.turn().await);
    let (path, from) = (PathBuf::from(&ask.path), config.clone());
    let (unpacked, manifest) = blocking(move || unpack(&path, &from)).await??;
    let order = order(args, false).await.map_err(|error| failed(RESTORE, &error))?;
    let kept = kept::free(&config.backup_dir(), Timestamp::now());
    let (files, to, keep) = (manifest.clone(), kept.clone(), Writing::new(order, turn.clone()));
    let restored = args.store.write(move |connection, state| {
        // Nothing else is made, and the files are there, until the end of this job.
        let _turn = turn;
        let order = Restore { dir: unpacked.path().to_owned(), manifest: files, force: ask.force, keep };
        let restored = restore::restore(connection, state, order, |keep| keep.pack(&to, false).map(drop));
        match &restored {
            Ok(_) => kept::prune(to.parent().unwrap_or(&to)),
            // Nothing was changed, and nobody needs a second copy.
            Err(IndexError::Unfit(_)) => drop(std::fs::remove_file(&to)),
            Err(_) => {}
        }
        restored
    });
    let Restored { generation, pins, marks } = restored.await.map_err(|error| fault(args, RESTORE, &error))?;
    tracing::warn!(generation, pins, marks, kept = %kept.display(), "a backup was put in the place of the index");
    Ok(IndexRestored { manifest, kept: kept.display().to_string(), generation, pins, marks })
}

/// What belongs to the daemon or to Kubo is not for anybody's backups; `backups/` alone is. It is also all that a service may
/// write to.
fn may_write(path: &Path, force: bool, config: &Config) -> Result<(), Fault> {
    absolute(path)?;
    let backups = config.backup_dir();
    let parent = path.parent().unwrap_or(path);
    if parent == backups {
        crate::instance::private_dir(&backups, false).map_err(|error| invalid(crate::fault::chain(&error)))?;
    }
    let real = |path: &Path| path.canonicalize().map_err(|error| invalid(format!("{}: {error}", path.display())));
    let parent = real(parent)?;
    let ours = [&config.data_dir, &config.runtime_dir, &config.ipfs_path]
        .into_iter()
        .filter_map(|dir| dir.canonicalize().ok());
    let in_backups = backups.canonicalize().is_ok_and(|backups| parent.starts_with(backups));
    if ours.into_iter().any(|dir| parent.starts_with(dir)) && !in_backups {
        let detail = format!("{} is the daemon's own, or Kubo's", parent.display());
        return Err(invalid(detail).hint(format!("name a file in {}, or one elsewhere", backups.display())));
    }
    match path.symlink_metadata() {
        Ok(there) if !there.is_file() => Err(invalid(format!("{} is there, and no file", path.display()))),
        Ok(_) if !force => Err(Fault::new(FaultKind::Conflict, format!("{} is there already", path.display()))
            .hint("name another file, or replace it with --force")),
        _ => Ok(()),
    }
}

/// The files of a backup of which every byte is right, in a directory that goes with its owner.
fn unpack(path: &Path, config: &Config) -> Result<(TempDir, SnapshotManifest), Fault> {
    absolute(path)?;
    let text = |error: io::Error| invalid(format!("{}: {error}", path.display()));
    let path = path.canonicalize().map_err(text)?;
    // Not even to look into it: the first close of the index's file would drop its lock.
    let identity = |path: &Path| path.metadata().map(|found| (found.dev(), found.ino()));
    let found = identity(&path).map_err(text)?;
    let own = config.index_dir().read_dir().map_err(text)?.filter_map(Result::ok);
    if own.into_iter().any(|entry| identity(&entry.path()).is_ok_and(|own| own == found)) {
        return Err(invalid(format!("{} is the daemon's own", path.display())));
    }
    let file = regular(&path).map_err(text)?;
    crate::instance::private_dir(&config.backup_dir(), false).map_err(|error| invalid(crate::fault::chain(&error)))?;
    let place = Place::at(&config.snapshot_dir());
    let disk = |error: io::Error| {
        failed(RESTORE, &io::Error::new(error.kind(), format!("{}: {error}", place.dir().display())))
    };
    let into = place.scratch().map_err(disk)?;
    let manifest = backup::unpack(&file, into.path()).map_err(|why| match why {
        Refused::Disk(error) => disk(error),
        Refused::Unfit(why) => Fault::new(FaultKind::Conflict, format!("{} is not restored: {why}", path.display()))
            .hint("nothing was changed; another backup may be good"),
    })?;
    Ok((into, manifest))
}

fn absolute(path: &Path) -> Result<(), Fault> {
    if path.is_absolute() && path.file_name().is_some() {
        Ok(())
    } else {
        Err(invalid(format!("{} is no absolute path of a file", path.display())))
    }
}

fn invalid(detail: String) -> Fault {
    Fault::new(FaultKind::Invalid, detail)
}

fn failed(what: &str, error: &io::Error) -> Fault {
    let hint = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room there, then ask again",
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            "the daemon writes as its own user, and as a service only below its data dir: name a file in its `backups/`"
        }
        _ => "nothing was changed; the daemon's log says more",
    };
    Fault::new(FaultKind::Conflict, format!("cannot {what}: {error}")).hint(hint)
}

/// What a failure of the index means to whoever asked.
fn fault(args: &SnapshotArgs, what: &str, error: &IndexError) -> Fault {
    if let IndexError::Export(error) = error {
        return failed(what, error);
    }
    let fault = index::fault::fault(&args.board, "snapshot", what, error);
    match error {
        IndexError::OtherNode { .. } => {
            fault.hint("nothing was changed; with --force the index stays that of its node and takes the rest")
        }
        IndexError::Busy => fault.hint("ask again in a moment, or after `ipfs-kitctl index pause`"),
        _ => fault,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Flags;
    use crate::snapshot::output;
    use clap::Parser;
    use proto_msgs::snapshot::SnapshotFile;

    #[test]
    fn two_backups_that_are_unpacked_at_once_do_not_meet() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let [data, run, repo] = ["data", "run", "repo"].map(|name| dir.path().join(name).display().to_string());
        let flags = ["ipfs-kitd", "--data-dir", &data, "--runtime-dir", &run, "--ipfs-path", &repo];
        let config = Config::load(&Flags::parse_from(flags)).expect("a configuration");
        std::fs::create_dir_all(config.index_dir()).expect("made");
        std::fs::create_dir(config.snapshot_dir()).expect("made");
        let path = dir.path().join("backup.tar");
        std::fs::write(dir.path().join("pins.parquet"), "pins").expect("written");
        let (bytes, sha256) = output::digest(&b"pins"[..]).expect("a digest");
        let manifest = SnapshotManifest {
            format: proto_msgs::upkeep::BACKUP_FORMAT.to_owned(),
            files: vec![SnapshotFile { name: "pins.parquet".to_owned(), rows: 0, bytes, sha256 }],
            ..SnapshotManifest::default()
        };
        backup::pack(dir.path(), &manifest, &path, false).expect("packed");
        let (one, _) = unpack(&path, &config).expect("unpacked");
        let (two, _) = unpack(&path, &config).expect("beside the first");
        assert!(one.path() != two.path() && one.path().join("pins.parquet").exists());
        std::mem::forget((one, two));
        let place = Place::at(&config.snapshot_dir());
        place.sweep();
        assert_eq!(std::fs::read_dir(place.dir()).expect("listed").count(), 0, "as after a crash");
    }
}
