//! `man`: the pages, made of the same words as the help.

use crate::args::Args;
use crate::exit::{self, Failure};
use crate::output::Out;
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use std::fs;
use std::path::Path;

/// The page of the program, or a page a command in a directory.
pub(crate) fn man(out: &mut Out, dir: Option<&Path>) -> Result<u8, Failure> {
    match dir {
        Some(dir) => {
            let mut program = Args::command().disable_help_subcommand(true);
            program.build();
            write(&program, dir)?;
        }
        None => out.raw(&page(Args::command())?.1)?,
    }
    Ok(exit::OK)
}

fn write(command: &Command, dir: &Path) -> Result<(), Failure> {
    command.get_subcommands().try_for_each(|command| write(command, dir))?;
    let (name, text) = page(command.clone())?;
    let path = dir.join(name);
    fs::write(&path, text).map_err(|error| Failure::File(path, error))
}

/// The name of its file, and its text.
fn page(command: Command) -> Result<(String, String), Failure> {
    let (man, mut page) = (Man::new(command), Vec::new());
    man.render(&mut page)?;
    // What stands behind the options has a heading that says nothing. Each of ours has examples.
    let text = String::from_utf8_lossy(&page).replace("\n.SH EXTRA\n", "\n.SH EXAMPLES\n");
    Ok((man.get_filename(), text))
}
