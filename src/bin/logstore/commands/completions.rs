//! `logstore completions` and `logstore man`: the command line, written down for shells and for `man`.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::Context;
use crate::Result;
use crate::args::Args as AllArgs;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ManArgs {}

pub(crate) fn run(args: &Args, context: &mut Context) -> Result {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut AllArgs::command(), "logstore", &mut script);
    context.output.text(&String::from_utf8_lossy(&script))
}

/// The page of the command, then those of its subcommands.
pub(crate) fn run_man(_: &ManArgs, context: &mut Context) -> Result {
    let mut page = Vec::new();
    let mut command = AllArgs::command();
    command.build();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    for subcommand in command
        .get_subcommands()
        .filter(|command| command.get_name() != "help")
    {
        let name = format!("logstore {}", subcommand.get_name());
        let man = clap_mangen::Man::new(subcommand.clone().name(&*name.leak()));
        man.render_name_section(&mut page)?;
        man.render_synopsis_section(&mut page)?;
        man.render_options_section(&mut page)?;
    }
    context.output.text(&String::from_utf8_lossy(&page))
}
