//! The `logstore` command: a thin line over the library.

mod args;
mod commands;
mod failure;
mod filters;
mod logging;
mod output;

use std::process::ExitCode;

use clap::Parser as _;

use args::Args;
use failure::Failure;

fn main() -> ExitCode {
    let args = Args::parse();
    match commands::run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(text) = failure.text() {
                eprintln!("logstore: {}", output::printable(text));
            }
            ExitCode::from(failure.code())
        }
    }
}

/// What a command returns.
type Result<T = (), E = Failure> = std::result::Result<T, E>;
