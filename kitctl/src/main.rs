//! `ipfs-kitctl`: the command line of `ipfs-kitd`. Arguments in, one conversation over the socket, data on stdout, everything
//! else on stderr, an exit code that a script can act on.

mod access;
mod analytics;
mod args;
mod ask;
mod bulk;
mod bundle;
mod cell;
mod command;
mod complete;
mod daemon;
mod doctor;
mod event;
mod exit;
mod history;
mod import;
mod index;
mod kubo;
mod list;
mod lock;
mod log;
mod man;
mod mark;
mod offline;
mod output;
mod parse;
mod pin;
mod plot;
mod process;
mod record;
mod snapshot;
mod socket;
mod sql;
mod state;
mod vfs;
mod watch;
mod weblog;

use args::{Args, Command, Format};
use ask::Ask;
use clap::{CommandFactory, Parser};
use clap_complete::CompleteEnv;
use exit::Failure;
use output::Out;
use proto_msgs::log::Log;
use std::process::ExitCode;

/// A long list is thousands of short texts; with that of the C library a third of its time goes into making and freeing them.
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // A shell asks at a TAB; then this answers and ends.
    if let Some(shell) = std::env::var_os(complete::VARIABLE) {
        complete::of_shell(&shell);
        CompleteEnv::with_factory(Args::command).var(complete::VARIABLE).shells(complete::SHELLS).complete();
    }
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return exit::usage(&error),
    };
    let json_errors = args.global.format().is_json();
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
    let whole = args.global.format().bulk().is_some() || args.global.format() == Format::Html;
    if whole && out.is_terminal() {
        let detail = "this format is for programs, and standard output is a terminal; send it into a file or a pipe";
        return Err(Failure::Usage(detail.to_owned()));
    }
    if args.global.max_age.is_some() && !args.command.has_age() {
        return Err(Failure::Usage("what this command answers has no age; leave out --max-age".to_owned()));
    }
    let reader = args.command.offline();
    let apart = args.command.is_apart();
    if args.global.offline && reader.is_none() && !apart {
        return Err(Failure::Usage("a snapshot does not answer this command; leave out --offline".to_owned()));
    }
    if !args.global.offline && !apart && args.global.data_dir.is_some() {
        return Err(Failure::Usage("--data-dir says where --offline looks".to_owned()));
    }
    if args.global.watch.is_some() && (args.global.offline || !args.command.can_be_watched()) {
        let which = "status, pin ls, history, kubo status, config, index info, metrics, analytics but unpin-first, lock check, \
                     snapshot ls, state, vfs, access log, doctor and config show can be watched";
        return Err(Failure::Usage(format!("{which}, without --offline and --check")));
    }
    if args.global.watch.is_some() && whole {
        return Err(Failure::Usage("this format is for one answer; leave out --watch, or take -o ndjson".to_owned()));
    }
    let mut ask = Ask::new(args.global.clone(), reader);
    match args.global.watch {
        Some(every) => watch::run(&args, &mut ask, out, every, |ask, out| answer(args.command.clone(), ask, out)),
        None => answer(args.command, &mut ask, out),
    }
}

/// One question and its answer.
fn answer(command: Command, ask: &mut Ask, out: &mut Out) -> Result<u8, Failure> {
    match command {
        Command::Status { check } => daemon::status(ask, out, check),
        Command::Pin(verb) => pin::run(ask, out, verb),
        Command::Kubo(verb) => kubo::run(ask, out, verb),
        Command::Lock(verb) => lock::run(ask, out, verb),
        Command::Index(what) => index::run(ask, out, what),
        Command::Snapshot(verb) => snapshot::run(ask, out, verb),
        Command::State(what) => state::run(ask, out, what),
        Command::Vfs(verb) => vfs::run(ask, out, verb),
        Command::Access(verb) => access::run(ask, out, verb),
        Command::Log { lines, since, level, follow } => {
            log::log(ask, out, Log { lines, since: since.map(|since| since.to_string()), level, follow })
        }
        Command::Events(wanted) => event::events(ask, out, wanted),
        Command::Doctor { bundle: Some(file), .. } => bundle::run(ask, out, file),
        Command::Doctor { show, bundle: None } => doctor::doctor(ask, out, &show),
        Command::Analytics(args::Deferred(verb)) => analytics::run(ask, out, verb),
        Command::Sql(query) => sql::run(ask, out, &query),
        Command::Metrics => daemon::metrics(ask, out),
        Command::Wait { condition } => daemon::wait(ask, out, condition),
        // `--effective` says what it shows; there is nothing else to show.
        Command::Config(args::Config::Show { effective: _, show }) => daemon::config_show(ask, out, &show),
        Command::Completion { shell } => complete::script(out, &shell),
        Command::Man { dir } => man::man(out, dir.as_deref()),
        Command::Shutdown => daemon::shutdown(ask, out),
    }
}
