//! Flags that several commands have.

use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, ValueEnum};

/// Flags of every command.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The store: a file, :memory:, or ducklake:CATALOG?data_path=PATH [default: $LOGSTORE_DATABASE, the configuration, logstore.duckdb]
    #[arg(short, long, global = true, value_name = "PATH")]
    pub(crate) database: Option<String>,

    /// Read settings from this file instead of the usual ones
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Output format [default: table on a terminal, jsonl in a pipe]
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

    /// Time to wait for other processes, such as 10s
    #[arg(long, global = true, value_name = "TIME")]
    pub(crate) lock_timeout: Option<String>,

    /// Log level on standard error: off, error, warn, info, debug or trace
    #[arg(long, global = true, value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,

    /// Log format on standard error: text or json
    #[arg(long, global = true, value_name = "FORMAT")]
    pub(crate) log_format: Option<String>,
}

/// Says how results are printed.
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

/// A number of results, 0 for all.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Limit {
    /// Limit of rows, 0 for all [default: 100 on a terminal, all in a pipe]
    #[arg(short = 'n', long, value_name = "N", action = ArgAction::Set, allow_negative_numbers = true)]
    pub(crate) limit: Option<u64>,
}

/// Limits the time of a query.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct TimeLimit {
    /// End with an error when the query has run for so long, such as 30s [default: the setting store.query_timeout]
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub(crate) timeout: Option<Duration>,
}

/// Reads a tag of rules, which are in lower case: `T1059.001` is the tag `attack.t1059.001` of this technique.
#[expect(clippy::unnecessary_wraps, reason = "clap takes parsers that may fail")]
pub(crate) fn tag(text: &str) -> Result<String, Infallible> {
    let tag = text.to_lowercase();
    let is_technique = tag
        .strip_prefix('t')
        .is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit()));
    Ok(match is_technique {
        true => format!("attack.{tag}"),
        false => tag,
    })
}

/// A length of time, such as `5m`.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|error| format!("{error}; use a length of time such as 30s, 5m or 7d"))
}
