//! `lock check`, `lock clean`, `lock wait`.

use crate::args::{Format, Lock};
use crate::ask::Ask;
use crate::exit::{self, Failure};
use crate::output::{Out, Table};
use proto_msgs::lock::{LockAction, LockCheck, LockClean, LockFile, LockWait};

pub(crate) fn run(ask: &mut Ask, out: &mut Out, verb: Lock) -> Result<u8, Failure> {
    match verb {
        Lock::Check => check(ask, out),
        Lock::Clean { dry_run, force } => clean(ask, out, LockClean { dry_run, force }),
        Lock::Wait => wait(ask, out),
    }
}

fn check(ask: &mut Ask, out: &mut Out) -> Result<u8, Failure> {
    let report = ask.call(LockCheck {})?;
    match out.format {
        Format::Table => {
            let mut table = Table::new(Some(&["verdict", "file", "holder", "evidence"]));
            for lock in &report.locks {
                let evidence = lock.evidence.join("; ");
                table.row(out, vec![lock.verdict.name().to_owned(), lock.path.clone(), holder(lock), evidence])?;
            }
            table.finish(out)?;
        }
        Format::Ndjson => report.locks.iter().try_for_each(|lock| out.json(lock))?,
        _ => out.answer(&report)?,
    }
    Ok(exit::OK)
}

fn holder(lock: &LockFile) -> String {
    let ours = if lock.ours { " (ours)" } else { "" };
    lock.holder_pid.map_or_else(|| "-".to_owned(), |pid| format!("{pid}{ours}"))
}

fn clean(ask: &mut Ask, out: &mut Out, verb: LockClean) -> Result<u8, Failure> {
    let cleaned = ask.call(verb)?;
    match out.format {
        Format::Table => {
            let mut table = Table::new(Some(&["verdict", "file", "result"]));
            for file in &cleaned.files {
                let verdict = file.verdict.name().to_owned();
                table.row(out, vec![verdict, file.path.clone(), file.detail.clone()])?;
            }
            table.finish(out)?;
        }
        Format::Ndjson => cleaned.files.iter().try_for_each(|file| out.json(file))?,
        _ => out.answer(&cleaned)?,
    }
    // The rows say what and why. What a dry run would clean is no failure of it.
    let left = cleaned.files.iter().any(|file| file.blocks && file.action == LockAction::None);
    Ok(if left { exit::FAILED } else { exit::OK })
}

fn wait(ask: &mut Ask, out: &mut Out) -> Result<u8, Failure> {
    let free = ask.patiently().call(LockWait {})?;
    match out.format {
        // It is so: the exit code says it.
        Format::Table => {}
        _ => out.answer(&free)?,
    }
    Ok(exit::OK)
}
