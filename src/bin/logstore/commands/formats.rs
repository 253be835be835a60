//! `logstore formats`: how lines are read, and definitions of one's own.

use std::borrow::Cow;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use logstore::LogEntry;
use logstore::ingest::{Format, FormatLibrary};
use logstore::time::Zone;
use serde::Serialize;

use super::fetch::LogRow;
use crate::context::Context;
use crate::output::{Columns, Row, counted, note};
use crate::table::Column;
use crate::{Failure, Result};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the formats that are known
    List,
    /// Print a format
    Show {
        /// The name of the format
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Run the samples of definitions, and list those that do not give what they say
    Check {
        /// Files with definitions, or folders of them
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Print the log that a line becomes with a definition
    Try {
        /// A file with a definition
        #[arg(value_name = "FILE")]
        file: PathBuf,

        /// The line, or - for standard input
        #[arg(value_name = "LINE", allow_hyphen_values = true)]
        line: String,
    },
}

#[derive(Serialize)]
#[serde(transparent)]
struct FormatRow(Format);

impl Row for FormatRow {
    fn cells(&self, _: Zone) -> Vec<String> {
        let format = &self.0;
        let source = [&format.product, &format.category, &format.service];
        let words: Vec<&str> = source.iter().filter_map(|word| word.as_deref()).collect();
        vec![
            format.name.clone(),
            format.version.to_string(),
            format.structure.to_owned(),
            words.join(" "),
            format.title.clone(),
        ]
    }
}

const COLUMNS: Columns<'static> = Columns {
    table: Cow::Borrowed(&[
        Column::whole("format"),
        Column::whole("version").spare(),
        Column::whole("structure"),
        Column::cut_to(12, "log source"),
        Column::cut_to(12, "product"),
    ]),
    csv: &[
        "name",
        "version",
        "structure",
        "product",
        "category",
        "service",
        "title",
        "fields",
    ],
};

#[derive(Serialize)]
struct CheckRow {
    file: String,
    problem: String,
}

impl Row for CheckRow {
    fn cells(&self, _: Zone) -> Vec<String> {
        vec![self.file.clone(), self.problem.clone()]
    }
}

const PROBLEMS: Columns<'static> = Columns {
    table: Cow::Borrowed(&[Column::cut_to(12, "file"), Column::cut_to(20, "problem")]),
    csv: &["file", "problem"],
};

pub(crate) fn run(args: &Args, context: &mut Context) -> Result {
    match &args.command {
        Command::List => {
            let formats = library(context)?.formats().map(|format| Ok(FormatRow(format)));
            context.output.rows(&COLUMNS, formats).map(drop)
        }
        Command::Show { name } => show(name, context),
        Command::Check { files } => check(files, context),
        Command::Try { file, line } => try_line(file, line, context),
    }
}

/// Returns the formats that are built in, and those of the setting `ingest.formats`.
pub(crate) fn library(context: &Context) -> Result<FormatLibrary> {
    match &context.settings().ingest.formats {
        Some(folder) => {
            FormatLibrary::with_folder(folder).map_err(|error| Failure::Failed(error.to_string()))
        }
        None => Ok(FormatLibrary::built_in()),
    }
}

fn show(name: &str, context: &mut Context) -> Result {
    let format = library(context)?.formats().find(|format| format.name == name);
    let format = format.ok_or_else(|| {
        let text = format!("no format {name:?}: logstore formats list shows those that are known");
        Failure::Nothing(Some(text))
    })?;
    context.output.records(vec![FormatRow(format)])
}

fn check(paths: &[PathBuf], context: &mut Context) -> Result {
    let mut rows = Vec::new();
    let mut count = 0;
    for path in paths {
        let files = FormatLibrary::files(path).map_err(|error| Failure::Failed(error.to_string()))?;
        count += files.len();
        for file in files {
            let problems = FormatLibrary::check(&file).unwrap_or_else(|error| vec![error.reason]);
            rows.extend(problems.into_iter().map(|problem| CheckRow {
                file: file.display().to_string(),
                problem,
            }));
        }
        if path.is_dir() && rows.is_empty() {
            // What the files say together, such as one name twice.
            FormatLibrary::with_folder(path).map_err(|error| Failure::Failed(error.to_string()))?;
        }
    }
    match (rows.len(), count) {
        (0, 0) => return Err(Failure::Nothing(Some("no file *.toml there".to_owned()))),
        (0, count) => {
            note(format_args!(
                "{} checked: no difference from the samples",
                counted(count as u64, "definition")
            ));
            return Ok(());
        }
        _ => {}
    }
    let count = rows.len();
    context.output.rows(&PROBLEMS, rows.into_iter().map(Ok))?;
    let problems = if count == 1 { "problem" } else { "problems" };
    Err(Failure::Failed(format!(
        "{count} {problems}: see the guide in docs/formats.md"
    )))
}

fn try_line(file: &Path, line: &str, context: &mut Context) -> Result {
    let library = FormatLibrary::with_file(file).map_err(|error| Failure::Failed(error.to_string()))?;
    let mut text = line.to_owned();
    if line == "-" {
        text.clear();
        std::io::stdin().read_to_string(&mut text)?;
    }
    let logs: Vec<LogEntry> = library.read(&text);
    if logs.is_empty() {
        return Err(Failure::Nothing(Some("the line is empty".to_owned())));
    }
    let own = library.formats().next().map(|format| format.name);
    let is_own = |log: &LogEntry| library.format_of(log) == own.as_deref();
    if let (Some(name), false) = (&own, logs.iter().any(is_own)) {
        note(format_args!(
            "logstore: the format {name} reads none of it: see [recognise] in docs/formats.md"
        ));
    }
    for rest in logs.iter().filter_map(|log| library.unmatched(log)) {
        note(format_args!(
            "logstore: no [[pattern]] of its format matches {rest:?}"
        ));
    }
    context.output.records(logs.into_iter().map(LogRow).collect())
}
