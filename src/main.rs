//! The program: arguments in, exit code out. Also the hidden modes in which it becomes Kubo (`kubo/launch.rs`), reads a file of
//! the old system (`index/legacy/worker.rs`), and answers from a snapshot (`offline.rs`, `sql/`).

use clap::Parser;
use ipfs_kitd::config::{Config, Flags};
use ipfs_kitd::index::legacy::worker;
use ipfs_kitd::{app, check, exit, fault, kubo, log, offline, sql};
use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    match args.next() {
        Some(first) if first == kubo::launch::MODE => return kubo::launch::run(args),
        Some(first) if first == worker::MODE => return worker::run(args),
        Some(first) if first == offline::MODE => return offline::run(args),
        Some(first) if first == sql::MODE => return sql::run(args),
        _ => {}
    }
    let flags = Flags::parse();
    if flags.check_config || flags.print_config {
        return match Config::load(&flags) {
            Ok(config) if flags.print_config => print(&config.listing()),
            Ok(config) => match check::paths(&config).map_err(app::AppError::from) {
                Ok(warnings) => checked(&warnings),
                Err(error) => refuse(&error, error.code()),
            },
            Err(error) => refuse(&error, exit::CONFIG),
        };
    }
    // To its end: what ends in a panic is written, too.
    let _log = match log::begin() {
        Ok(log) => log,
        Err(error) => return refuse(&error, exit::FAILED),
    };
    match Config::load(&flags).map_err(app::AppError::from).and_then(|config| app::run(&flags, config)) {
        Ok(()) => ExitCode::from(exit::OK),
        Err(error) => {
            let code = error.code();
            refuse(&error, code)
        }
    }
}

fn print(text: &str) -> ExitCode {
    let written = std::io::stdout().write_all(text.as_bytes());
    ExitCode::from(if written.is_ok() { exit::OK } else { exit::FAILED })
}

/// The daemon would run with it; what it would complain of goes to stderr.
fn checked(warnings: &[String]) -> ExitCode {
    for warning in warnings {
        let _ = writeln!(std::io::stderr(), "ipfs-kitd: warning: {warning}");
    }
    match warnings.len() {
        0 => print("the configuration is good\n"),
        n => print(&format!("the configuration can be used, with {n} warning{}\n", if n == 1 { "" } else { "s" })),
    }
}

/// One sentence with its causes on stderr, in the log's place: whoever starts the daemon by hand reads it there.
fn refuse(error: &dyn Error, code: u8) -> ExitCode {
    log::last_words(&format!("ipfs-kitd: {}", fault::chain(error)));
    ExitCode::from(code)
}
