//! `ipfs-kitctl`: the command line of `ipfs-kitd`. Arguments in, one conversation over the socket, data on stdout, everything
//! else on stderr, an exit code that a script can act on.

mod args;
mod ask;
mod command;
mod daemon;
mod doctor;
mod event;
mod exit;
mod history;
mod import;
mod index;
mod kubo;
mod lock;
mod mark;
mod offline;
mod output;
mod parse;
mod pin;
mod snapshot;
mod socket;
mod state;
mod vfs;

use args::{Args, Command};
use ask::Ask;
use clap::Parser;
use exit::Failure;
use output::Out;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return exit::usage(&error),
    };
    let json_errors = args.global.format() == args::Format::Json;
    let mut out = Out::new(args.global.format());
    let done = run(args, &mut out);
    // What is known stands before what failed.
    let written = out.finish();
    match done.and_then(|code| written.map(|()| code)) {
        Ok(code) => ExitCode::from(code),
        // Whoever reads our output has enough of it.
        Err(Failure::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::from(exit::OK),
        Err(failure) => {
            failure.show(json_errors);
            ExitCode::from(failure.code())
        }
    }
}

fn run(args: Args, out: &mut Out) -> Result<u8, Failure> {
    // Before anything is asked: a command that can't show its answer must not have had its effect.
    let formats = args.command.formats();
    if !formats.contains(&args.global.format()) {
        let names = formats.iter().map(|format| format!("{format:?}").to_lowercase()).collect::<Vec<_>>();
        return Err(Failure::Usage(format!("this command has no such format; it has {}", names.join(", "))));
    }
    if args.global.max_age.is_some() && !args.command.has_age() {
        return Err(Failure::Usage("what this command answers has no age; leave out --max-age".to_owned()));
    }
    let reader = args.command.offline();
    if args.global.offline && reader.is_none() {
        return Err(Failure::Usage("a snapshot does not answer this command; leave out --offline".to_owned()));
    }
    if !args.global.offline && args.global.data_dir.is_some() {
        return Err(Failure::Usage("--data-dir says where --offline looks".to_owned()));
    }
    let mut ask = Ask::new(args.global, reader);
    match args.command {
        Command::Status { check } => daemon::status(&mut ask, out, check),
        Command::Pin(verb) => pin::run(&mut ask, out, verb),
        Command::Kubo(verb) => kubo::run(&mut ask, out, verb),
        Command::Lock(verb) => lock::run(&mut ask, out, verb),
        Command::Index(what) => index::run(&mut ask, out, what),
        Command::Snapshot(verb) => snapshot::run(&mut ask, out, verb),
        Command::State(what) => state::run(&mut ask, out, what),
        Command::Vfs(verb) => vfs::run(&mut ask, out, verb),
        Command::Events { since, follow } => event::events(&mut ask, out, since, follow),
        Command::Doctor => doctor::doctor(&mut ask, out),
        Command::Metrics => daemon::metrics(&mut ask, out),
        Command::Wait { condition } => daemon::wait(&mut ask, out, condition),
        // `--effective` says what it shows; there is nothing else to show.
        Command::Config(args::Config::Show { effective: _ }) => daemon::config_show(&mut ask, out),
        Command::Shutdown => daemon::shutdown(ask, out),
    }
}
