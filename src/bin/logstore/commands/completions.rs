//! `logstore completions` and `logstore man`: the command line, written down for shells and for `man`.

use clap_complete::Shell;

use crate::Result;
use crate::context::Context;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ManArgs {}

pub(crate) fn run(args: &Args, mut root: clap::Command, context: &mut Context) -> Result {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut root, "logstore", &mut script);
    context.output.text(&String::from_utf8_lossy(&script))
}

/// Prints the page of the root command, then those of its subcommands.
pub(crate) fn run_man(_: &ManArgs, mut root: clap::Command, context: &mut Context) -> Result {
    let mut page = Vec::new();
    root.build();
    clap_mangen::Man::new(root.clone()).render(&mut page)?;
    for subcommand in root
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
