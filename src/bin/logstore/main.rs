//! The `logstore` command: a thin layer over the library.

mod cli;
mod commands;
mod confirm;
mod context;
mod failure;
mod filters;
mod flags;
mod ids;
mod logging;
mod output;
mod printable;
mod signals;
mod table;
mod typed_time;

use std::process::ExitCode;
use std::time::SystemTime;

use clap::Parser as _;

use cli::Args;
use context::Context;
use failure::Failure;
use printable::printable;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        // Help and the version are no errors.
        Err(error) if error.use_stderr() => refuse(error),
        Err(error) => error.exit(),
    };
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print();
            ExitCode::from(failure.code())
        }
    }
}

fn run(args: &Args) -> Result {
    if SystemTime::now() < SystemTime::UNIX_EPOCH {
        let text = "the clock of this machine is before 1970: set it, for logs are stored with the time";
        return Err(Failure::Failed(text.to_owned()));
    }
    args.command.run(&mut Context::new(&args.global)?)
}

/// Prints the error of the arguments, and ends the program. Control characters of the arguments are escaped.
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

/// The result of a command.
type Result<T = (), E = Failure> = std::result::Result<T, E>;
