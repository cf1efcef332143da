//! `man`: the pages, made of the same words as the help.

use crate::args::Args;
use crate::exit::{self, Failure};
use crate::output::Out;
use clap::CommandFactory;
use std::path::Path;

/// The page of the program, or a page a command in a directory.
pub(crate) fn man(out: &mut Out, dir: Option<&Path>) -> Result<u8, Failure> {
    match dir {
        Some(dir) => clap_mangen::generate_to(Args::command(), dir)
            .map_err(|error| Failure::Usage(format!("{}: {error}", dir.display())))?,
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Args::command()).render(&mut page)?;
            out.raw(&String::from_utf8_lossy(&page))?;
        }
    }
    Ok(exit::OK)
}
