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
    let args = match Args::try_parse() {
        Ok(args) => args,
        // Help and the version are no errors.
        Err(error) if error.use_stderr() => refuse(error),
        Err(error) => error.exit(),
    };
    match commands::run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print();
            ExitCode::from(failure.code())
        }
    }
}

/// Says what is wrong with the arguments, which it repeats, without the characters that a terminal would act on.
fn refuse(error: clap::Error) -> ! {
    let shown: Vec<String> = std::env::args_os()
        .map(|argument| printable(&argument.to_string_lossy()).into_owned())
        .collect();
    let error = Args::try_parse_from(shown).err().unwrap_or(error);
    if logging::is_json_asked_for() {
        logging::print_json_error(error.to_string().trim_end());
        std::process::exit(Failure::Usage(String::new()).code().into());
    }
    error.exit()
}

/// What a command returns.
type Result<T = (), E = Failure> = std::result::Result<T, E>;
