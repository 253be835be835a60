//! The `logstore` command: a thin line over the library.

mod args;
mod commands;
mod failure;
mod filters;
mod logging;
mod output;
mod printable;
mod signals;
mod table;
mod typed_time;

use std::process::ExitCode;

use clap::Parser as _;

use args::Args;
use failure::Failure;
use printable::printable;

fn main() -> ExitCode {
    let args = Args::try_parse().unwrap_or_else(|error| refuse(error));
    match commands::run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(text) = failure.text() {
                eprintln!("logstore: {}", printable(text));
            }
            ExitCode::from(failure.code())
        }
    }
}

/// Says what is wrong with the arguments, which it repeats, without the characters that a terminal would act on.
fn refuse(error: clap::Error) -> ! {
    let shown: Vec<String> = std::env::args_os()
        .map(|argument| printable(&argument.to_string_lossy()).into_owned())
        .collect();
    match error.use_stderr() {
        true => Args::try_parse_from(shown).err().unwrap_or(error).exit(),
        // What was asked for: the help, or the version.
        false => error.exit(),
    }
}

/// What a command returns.
type Result<T = (), E = Failure> = std::result::Result<T, E>;
