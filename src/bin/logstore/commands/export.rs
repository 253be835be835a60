//! `logstore export`: logs as a file for other programs.

use std::path::PathBuf;

use logstore::duckdb::ExportFormat;
use logstore::{Filter, Order};

use crate::context::Context;
use crate::filters::{Filters, note_unknown_fields};
use crate::flags::TimeLimit;
use crate::{Failure, Result};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file to write; it must not exist
    file: PathBuf,

    #[command(flatten)]
    filters: Filters,

    #[command(flatten)]
    time: TimeLimit,

    /// The format of the file [default: as its name ends]
    #[arg(long = "as", value_name = "FORMAT")]
    export_format: Option<FormatArg>,

    /// Write at most N logs, the oldest first
    #[arg(short = 'n', long, value_name = "N", allow_negative_numbers = true)]
    limit: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum FormatArg {
    Parquet,
    Csv,
    Jsonl,
}

pub(crate) fn run(args: &Args, context: &mut Context) -> Result {
    if args.file.as_os_str() == "-" {
        let text =
            "cannot export to standard output: name a file, or print logs with logstore fetch --format jsonl";
        return Err(Failure::Usage(text.to_owned()));
    }
    let format = match args.export_format.or_else(|| format_of_name(args)) {
        Some(FormatArg::Parquet) => ExportFormat::Parquet,
        Some(FormatArg::Csv) => ExportFormat::Csv,
        Some(FormatArg::Jsonl) => ExportFormat::JsonLines,
        None => {
            let text = "cannot tell the format: end the name in .parquet, .csv or .jsonl, or give --as";
            return Err(Failure::Usage(text.to_owned()));
        }
    };
    let mut query = args
        .filters
        .query(context.output.zone())?
        .order(Order::OldestFirst);
    query.limit = args.limit.filter(|limit| *limit > 0);
    let store = context.exporting_store(&args.time)?;
    let written = store.export_logs(&query, &args.file, format)?;
    if written == 0 {
        log::warn!("no logs matched, so {:?} has none", args.file);
        note_unknown_fields(query.filters().iter().flat_map(Filter::fields), &store);
    }
    let names = ["file", "logs"];
    let file = args.file.display().to_string();
    context.output.row(&names, vec![file.into(), written.into()])
}

fn format_of_name(args: &Args) -> Option<FormatArg> {
    match args.file.extension()?.to_str()? {
        "parquet" => Some(FormatArg::Parquet),
        "csv" => Some(FormatArg::Csv),
        "jsonl" | "ndjson" | "json" => Some(FormatArg::Jsonl),
        _ => None,
    }
}
