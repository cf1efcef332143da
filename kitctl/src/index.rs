//! `index`: the refresh cycle.

use crate::args;
use crate::ask::Ask;
use crate::exit;
use crate::output::{Failure, Format, Out};
use proto_msgs::daemon::{IndexPause, IndexRefresh, IndexResume};

pub(crate) fn run(ask: &mut Ask, out: &mut Out, what: args::Index) -> Result<u8, Failure> {
    match what {
        args::Index::Refresh { wait, names } => return refresh(ask, out, IndexRefresh { wait, names }),
        args::Index::Pause => {
            let paused = ask.call(IndexPause {})?;
            match out.format {
                Format::Table => out.line("no refresh begins by itself until `ipfs-kitctl index resume`")?,
                _ => out.answer(&paused)?,
            }
        }
        args::Index::Resume => {
            let paused = ask.call(IndexResume {})?;
            match out.format {
                Format::Table => out.line("refreshes begin by themselves again")?,
                _ => out.answer(&paused)?,
            }
        }
    }
    Ok(exit::OK)
}

fn refresh(ask: &mut Ask, out: &mut Out, verb: IndexRefresh) -> Result<u8, Failure> {
    let refreshed = ask.call(verb)?;
    match out.format {
        Format::Table if !refreshed.done => out.line("a refresh was asked for")?,
        Format::Table => out.line(format!(
            "refreshed: {} added, {} removed, {} changed; generation {}",
            refreshed.added, refreshed.removed, refreshed.changed, refreshed.generation
        ))?,
        _ => out.answer(&refreshed)?,
    }
    Ok(exit::OK)
}
