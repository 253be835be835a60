//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Parser, Subcommand, ValueEnum};

use crate::commands::{
    alerts, backup, check, completions, config, copy, count, export, extensions, fetch, ingest, intel,
    maintain, prune, query, rules, show, stats,
};

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

/// Flags of every command.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The store: a file, :memory:, or ducklake:CATALOG?data_path=PATH [default: $LOGSTORE_DATABASE, the configuration, logstore.duckdb]
    #[arg(short, long, global = true, value_name = "PATH")]
    pub(crate) database: Option<String>,

    /// Read settings from this file in place of the usual ones
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// How to print results [default: table on a terminal, jsonl in a pipe]
    #[arg(long, global = true, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,

    /// When to use colour
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,

    /// The zone of times that are typed and shown, such as Europe/Paris [default: the setting time_zone, UTC]
    #[arg(long, global = true, value_name = "ZONE")]
    pub(crate) time_zone: Option<String>,

    /// Never write to the store, not even to bring it up to date
    #[arg(long, global = true)]
    pub(crate) read_only: bool,

    /// Take turns with other processes (shared) or keep the store (exclusive)
    #[arg(long, global = true, value_name = "ACCESS")]
    pub(crate) access: Option<String>,

    /// How long to wait for other processes, such as 10s
    #[arg(long, global = true, value_name = "TIME")]
    pub(crate) lock_timeout: Option<String>,

    /// What to say on standard error: off, error, warn, info, debug or trace
    #[arg(long, global = true, value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,

    /// How to say it: text or json
    #[arg(long, global = true, value_name = "FORMAT")]
    pub(crate) log_format: Option<String>,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns, cut to the terminal
    Table,
    /// One JSON array
    Json,
    /// One JSON object a line
    Jsonl,
    /// Comma-separated values with a header (RFC 4180)
    Csv,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    Always,
    Never,
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
    /// List, add and acknowledge alerts
    Alerts(alerts::Args),
    /// List, add and import threat intelligence
    Intel(intel::Args),
    /// List, add, enable and disable detection rules
    Rules(rules::Args),
    /// Run a SELECT of your own
    Query(query::Args),
    /// Say what the store holds
    Stats(stats::Args),
    /// Delete old logs
    Prune(prune::Args),
    /// Do the upkeep of the store: delete old logs, and keep a lake small and fast
    Maintain(maintain::Args),
    /// Copy the store to a new file, while others use it
    Backup(backup::Args),
    /// Copy a store into another one, from a file to a lake or back, and verify the copy
    Copy(copy::Args),
    /// Verify the store, and say what is wrong with it
    Check(check::Args),
    /// Write logs to a Parquet, CSV or JSON lines file
    Export(export::Args),
    /// List and install the engine's extensions, which lakes need
    Extensions(extensions::Args),
    /// Show settings and where they come from
    Config(config::Args),
    /// Print a completion script for a shell
    Completions(completions::Args),
    /// Print the manual page
    Man(completions::ManArgs),
}

/// A number of results, 0 for all.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Limit {
    /// Print at most so many, 0 for all [default: 100 on a terminal, all in a pipe]
    #[arg(short = 'n', long, value_name = "N", action = ArgAction::Set)]
    pub(crate) limit: Option<u64>,
}

/// How long a query may run.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct TimeLimit {
    /// End with an error when the query has run for so long, such as 30s [default: the setting store.query_timeout]
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub(crate) timeout: Option<Duration>,
}

/// A length of time, such as `5m`.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|error| format!("{error}; use a length of time such as 30s, 5m or 7d"))
}
