//! The root of the command line: its global flags, its commands, and which function runs each of them.

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::Result;
use crate::commands::{
    alerts, backup, check, completions, config, copy, count, detect, export, extensions, fetch, fields,
    formats, hunt, ingest, intel, maintain, prune, query, reparse, rules, show, stats,
};
use crate::context::Context;
use crate::flags::Global;

/// A store for security logs, alerts, threat intelligence and detection rules.
///
/// Times are relative (90s, 2h, "7 days ago"), days and times of day (yesterday, today, 10:00), or absolute
/// (2024-01-31T12:00:00Z, @1706702400). Tables on a terminal, JSON lines in a pipe.
///
/// Exit codes: 0 done; 1 nothing matched, of fetch, count and every list; 2 usage; 3 settings, store or file;
/// 4 the store is locked; 129, 130 and 143 ended by SIGHUP, SIGINT and SIGTERM.
#[derive(Debug, Parser)]
#[command(name = "logstore", version, max_term_width = 100)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Store logs from files, folders, patterns or standard input
    Ingest(ingest::Args),
    /// Print logs
    Fetch(fetch::Args),
    /// Print logs and alerts by their keys
    Show(show::Args),
    /// Count logs, by field or over time
    Count(count::Args),
    /// List the fields that logs have, with types and examples
    Fields(fields::Args),
    /// List, show, add, close and suppress alerts
    Alerts(alerts::Args),
    /// List, add and import threat intelligence
    Intel(intel::Args),
    /// Import, check, list, enable and disable detection rules
    Rules(rules::Args),
    /// Apply the rules to new logs, and store alerts
    Detect(detect::Args),
    /// Apply rules to the logs that are stored
    Hunt(hunt::Args),
    /// Run a SELECT of your own
    Query(query::Args),
    /// Show counts, times and sizes of the store
    Stats(stats::Args),
    /// Delete old logs
    Prune(prune::Args),
    /// Read stored lines again with the formats of today
    Reparse(reparse::Args),
    /// Do the upkeep of the store: delete old logs, and keep it small and fast
    Maintain(maintain::Args),
    /// Copy the store to a new file, while others use it
    Backup(backup::Args),
    /// Copy a store into another one, from a file to a lake or back, and verify the copy
    Copy(copy::Args),
    /// Verify the store, and list the damage
    Check(check::Args),
    /// Write logs to a Parquet, CSV or JSON lines file
    Export(export::Args),
    /// List, show, check and try definitions of log formats
    Formats(formats::Args),
    /// List and install the engine's extensions, which lakes need
    Extensions(extensions::Args),
    /// Show settings and where they come from
    Config(config::Args),
    /// Print a completion script for a shell
    Completions(completions::Args),
    /// Print the manual page
    Man(completions::ManArgs),
}

impl Command {
    /// Runs the command.
    pub(crate) fn run(&self, context: &mut Context) -> Result {
        match self {
            Self::Ingest(args) => ingest::run(args, context),
            Self::Fetch(args) => fetch::run(args, context),
            Self::Count(args) => count::run(args, context),
            Self::Fields(args) => fields::run(args, context),
            Self::Alerts(args) => alerts::run(args, context),
            Self::Intel(args) => intel::run(args, context),
            Self::Rules(args) => rules::run(args, context),
            Self::Detect(args) => detect::run(args, context),
            Self::Hunt(args) => hunt::run(args, context),
            Self::Query(args) => query::run(args, context),
            Self::Show(args) => show::run(args, context),
            Self::Stats(args) => stats::run(args, context),
            Self::Prune(args) => prune::run(args, context),
            Self::Reparse(args) => reparse::run(args, context),
            Self::Maintain(args) => maintain::run(args, context),
            Self::Backup(args) => backup::run(args, context),
            Self::Copy(args) => copy::run(args, context),
            Self::Check(args) => check::run(args, context),
            Self::Export(args) => export::run(args, context),
            Self::Formats(args) => formats::run(args, context),
            Self::Extensions(args) => extensions::run(args, context),
            Self::Config(args) => config::run(args, context),
            Self::Completions(args) => completions::run(args, Args::command(), context),
            Self::Man(args) => completions::run_man(args, Args::command(), context),
        }
    }
}
