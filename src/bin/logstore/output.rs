//! Results on standard output: a table for people, JSON and CSV for programs.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, IsTerminal as _, Write};

use chrono::SecondsFormat;
use indicatif::HumanCount;
use logstore::duckdb::ExportFormat;
use logstore::time::Zone;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::Result;
use crate::flags::{Color, Format, Global};
use crate::printable::{is_unsafe, printable};
use crate::table::{Column, Layout, Style};

/// Describes a result that is printed as a row.
pub(crate) trait Row: Serialize {
    /// Lists the keys of the JSON object whose values are times.
    const TIMES: &'static [&'static str] = &[];

    /// Returns the cells of the table, one for each of its columns, with times in this zone.
    fn cells(&self, zone: Zone) -> Vec<String>;

    /// Returns how much attention the row asks for.
    fn emphasis(&self) -> Emphasis {
        Emphasis::None
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Emphasis {
    None,
    Notable,
    Urgent,
}

/// Describes the columns of a result.
pub(crate) struct Columns<'a> {
    pub(crate) table: Cow<'a, [Column<'a>]>,
    /// Lists the columns of CSV: keys of the JSON object.
    pub(crate) csv: &'a [&'a str],
}

impl<'a> Columns<'a> {
    /// Names columns whose types are not known. A cut leaves room for a time, a number or an address.
    pub(crate) fn named(names: &'a [&'a str]) -> Self {
        const LEAST: usize = 20;
        Self {
            table: names.iter().map(|name| Column::cut_to(LEAST, name)).collect(),
            csv: names,
        }
    }

    /// Keeps the column of this name from being left out.
    pub(crate) fn keeping(&self, name: &str) -> Self {
        let columns = self.table.iter().map(|column| match column.name == name {
            true => column.kept(),
            false => *column,
        });
        Self {
            table: columns.collect(),
            csv: self.csv,
        }
    }
}

/// Holds values under the names of columns that are only known now.
#[derive(Serialize)]
#[serde(transparent)]
pub(crate) struct NamedRow {
    values: Map<String, Value>,
    #[serde(skip)]
    cells: Vec<String>,
}

impl NamedRow {
    pub(crate) fn new(names: &[&str], values: Vec<Value>) -> Self {
        let cells = values.iter().map(table_cell).collect();
        let names = names.iter().map(|name| (*name).to_owned());
        Self {
            values: names.zip(values).collect(),
            cells,
        }
    }
}

impl NamedRow {
    /// Holds the members of an object.
    fn of_json(object: Value) -> Self {
        let values = match object {
            Value::Object(values) => values,
            other => Map::from_iter([("value".to_owned(), other)]),
        };
        Self {
            values,
            cells: Vec::new(),
        }
    }
}

/// Writes a note to standard error. Where its reader is gone, nobody misses it.
pub(crate) fn note(text: impl fmt::Display) {
    writeln!(io::stderr(), "{text}").ok();
}

/// Returns standard output, which every call flushes at its end.
fn stdout(is_terminal: bool, has_color: bool) -> io::BufWriter<Box<dyn Write + Send>> {
    // The stream understands escape sequences where the terminal does not.
    let choice = match has_color {
        true => anstream::ColorChoice::Always,
        false => anstream::ColorChoice::Never,
    };
    let stdout: Box<dyn Write + Send> = match is_terminal {
        true => Box::new(anstream::AutoStream::new(io::stdout(), choice)),
        false => Box::new(io::stdout()),
    };
    io::BufWriter::with_capacity(1 << 16, stdout)
}

/// Returns a number with the noun for what it counts: `1 rule`, `2,000 rules`.
pub(crate) fn counted(count: u64, one: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        _ => format!("{} {one}s", HumanCount(count)),
    }
}

fn table_cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

impl Row for NamedRow {
    fn cells(&self, _: Zone) -> Vec<String> {
        self.cells.clone()
    }
}

/// Prints results in one format to standard output.
pub(crate) struct Output {
    format: Format,
    /// Holds the zone of the times that are shown.
    zone: Zone,
    is_terminal: bool,
    has_color: bool,
    out: io::BufWriter<Box<dyn Write + Send>>,
    /// Holds the layout of the table that is being printed.
    layout: Option<Layout>,
}

/// Counts the rows that are laid out together.
///
/// A longer result is printed in several parts, so that the first rows come soon.
const TABLE_ROWS: usize = 1_000;

impl Output {
    pub(crate) fn new(global: &Global, zone: Zone) -> Self {
        let is_terminal = io::stdout().is_terminal();
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let has_color = match global.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => is_terminal && !no_color,
        };
        Self {
            format: global
                .format
                .unwrap_or(if is_terminal { Format::Table } else { Format::Jsonl }),
            zone,
            is_terminal,
            has_color,
            out: stdout(is_terminal, has_color),
            layout: None,
        }
    }

    /// Returns another output in the same format, for a table of its own or another thread.
    pub(crate) fn another(&self) -> Self {
        Self {
            out: stdout(self.is_terminal, self.has_color),
            layout: None,
            ..*self
        }
    }

    /// Returns the limit that was given, where 0 means none. Without one, a terminal gets as many as a person can read.
    pub(crate) fn limit(&self, given: Option<u64>) -> Option<u64> {
        match given {
            Some(0) => None,
            Some(limit) => Some(limit),
            None => self.is_terminal.then_some(100),
        }
    }

    pub(crate) fn is_table(&self) -> bool {
        self.format == Format::Table
    }

    pub(crate) fn is_csv(&self) -> bool {
        self.format == Format::Csv
    }

    /// Returns the zone of the times that are shown.
    pub(crate) fn zone(&self) -> Zone {
        self.zone
    }

    /// Prints rows as they come, and says how many there were.
    pub(crate) fn rows<R: Row>(
        &mut self,
        columns: &Columns<'_>,
        rows: impl IntoIterator<Item = Result<R>>,
    ) -> Result<u64> {
        let printed = match self.format {
            Format::Table => self.tables(columns, rows)?,
            Format::Json => self.array(rows)?,
            Format::Jsonl => self.lines(rows)?,
            Format::Csv => self.csv(columns, rows)?,
        };
        self.out.flush()?;
        if let Some(layout) = &self.layout {
            let left_out = layout.left_out(&columns.table);
            if !left_out.is_empty() {
                note(format_args!(
                    "No room for {}: see --format jsonl",
                    left_out.join(", ")
                ));
            }
        }
        Ok(printed)
    }

    /// Prints rows below those of the last call, without another header.
    pub(crate) fn more_rows<R: Row>(&mut self, columns: &Columns<'_>, rows: Vec<R>) -> Result {
        match self.format {
            Format::Table => self.table(columns, &rows)?,
            Format::Json | Format::Jsonl => drop(self.lines(rows.into_iter().map(Ok))?),
            Format::Csv => {
                let mut writer = csv::Writer::from_writer(&mut self.out);
                for row in &rows {
                    write_record(
                        &mut writer,
                        columns.csv,
                        &shown(row, self.zone)?,
                        self.is_terminal,
                    )?;
                }
            }
        }
        self.out.flush()?;
        Ok(())
    }

    /// Prints the one row of a result.
    pub(crate) fn row(&mut self, names: &[&str], values: Vec<Value>) -> Result {
        let row = NamedRow::new(names, values);
        self.rows(&Columns::named(names), [Ok(row)]).map(drop)
    }

    /// Prints rows of different kinds with all their members: in a table and in CSV, one member a line.
    pub(crate) fn records<R: Row>(&mut self, rows: Vec<R>) -> Result {
        const NAMES: [&str; 2] = ["name", "value"];
        if matches!(self.format, Format::Json | Format::Jsonl) {
            let columns = Columns::named(&NAMES);
            return self.rows(&columns, rows.into_iter().map(Ok)).map(drop);
        }
        let objects = rows.iter().map(|row| shown(row, self.zone));
        let objects: Vec<Value> = objects.collect::<Result<_>>()?;
        if self.format == Format::Csv {
            let members = objects.iter().filter_map(Value::as_object).flatten();
            let rows = members
                .map(|(name, value)| Ok(NamedRow::new(&NAMES, vec![name.as_str().into(), value.clone()])));
            return self.rows(&Columns::named(&NAMES), rows).map(drop);
        }
        let texts: Vec<String> = objects
            .iter()
            .filter_map(Value::as_object)
            .map(lines_of)
            .collect();
        self.text(&texts.join("\n"))
    }

    /// Prints values as JSON lines, whatever the format of other results is, and says how many there were.
    pub(crate) fn json_lines(&mut self, values: impl IntoIterator<Item = Value>) -> Result<u64> {
        let rows = values.into_iter().map(|value| Ok(NamedRow::of_json(value)));
        let printed = self.lines(rows)?;
        self.out.flush()?;
        Ok(printed)
    }

    /// Prints text that is for people only.
    pub(crate) fn text(&mut self, text: &str) -> Result {
        self.out.write_all(text.as_bytes())?;
        self.out.flush()?;
        Ok(())
    }

    fn array<R: Row>(&mut self, rows: impl IntoIterator<Item = Result<R>>) -> Result<u64> {
        let mut printed = 0;
        self.out.write_all(b"[")?;
        for row in rows {
            self.out.write_all(if printed == 0 { b"\n" } else { b",\n" })?;
            write_json(&mut self.out, &row?, self.zone)?;
            printed += 1;
        }
        self.out.write_all(if printed == 0 { b"]\n" } else { b"\n]\n" })?;
        Ok(printed)
    }

    fn lines<R: Row>(&mut self, rows: impl IntoIterator<Item = Result<R>>) -> Result<u64> {
        let mut printed = 0;
        for row in rows {
            write_json(&mut self.out, &row?, self.zone)?;
            self.out.write_all(b"\n")?;
            printed += 1;
        }
        Ok(printed)
    }

    fn csv<R: Row>(
        &mut self,
        columns: &Columns<'_>,
        rows: impl IntoIterator<Item = Result<R>>,
    ) -> Result<u64> {
        let mut writer = csv::Writer::from_writer(&mut self.out);
        let names = columns.csv.iter().map(|name| match self.is_terminal {
            true => printable(name),
            false => Cow::Borrowed(*name),
        });
        let names: Vec<Cow<'_, str>> = names.collect();
        writer
            .write_record(names.iter().map(|name| name.as_bytes()))
            .map_err(csv_error)?;
        let mut printed = 0;
        for row in rows {
            write_record(
                &mut writer,
                columns.csv,
                &shown(&row?, self.zone)?,
                self.is_terminal,
            )?;
            printed += 1;
        }
        writer.flush()?;
        Ok(printed)
    }

    fn tables<R: Row>(
        &mut self,
        columns: &Columns<'_>,
        rows: impl IntoIterator<Item = Result<R>>,
    ) -> Result<u64> {
        self.layout = None;
        let mut printed = 0;
        let mut waiting = Vec::new();
        for row in rows {
            waiting.push(row?);
            if waiting.len() == TABLE_ROWS {
                self.table(columns, &waiting)?;
                printed += waiting.len() as u64;
                waiting.clear();
            }
        }
        self.table(columns, &waiting)?;
        Ok(printed + waiting.len() as u64)
    }

    /// Prints rows below those before them. Prints a new header first if the old one would leave out values.
    fn table<R: Row>(&mut self, columns: &Columns<'_>, rows: &[R]) -> Result {
        if rows.is_empty() {
            return Ok(());
        }
        let cells: Vec<Vec<String>> = rows
            .iter()
            .map(|row| row.cells(self.zone))
            .map(|cells| cells.iter().map(|cell| printable(cell).into_owned()).collect())
            .collect();
        let layout = match self.layout.take() {
            Some(layout) if !layout.misses_values(&cells) => layout,
            _ => {
                let layout = Layout::new(&columns.table, &cells, self.width());
                let style = self.style(HEADER);
                layout.write_header(&mut self.out, &columns.table, &style)?;
                layout
            }
        };
        for (row, cells) in rows.iter().zip(&cells) {
            let style = self.style(style(row.emphasis()));
            layout.write_row(&mut self.out, &columns.table, cells, &style)?;
        }
        self.layout = Some(layout);
        Ok(())
    }

    /// Returns the terminal's width. A terminal that does not tell has the usual one.
    pub(crate) fn width(&self) -> Option<usize> {
        const USUAL: usize = 80;
        let told = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
        self.is_terminal
            .then(|| told.filter(|width| *width > 0).unwrap_or(USUAL))
    }

    fn style(&self, style: Option<&'static str>) -> Style {
        Style(style.filter(|_| self.has_color))
    }
}

/// Returns the members of an object, one a line, with their values below one another. An object among them comes as
/// YAML in lines of its own, as rules are written.
fn lines_of(object: &Map<String, Value>) -> String {
    let width = object
        .keys()
        .map(|name| name.chars().count())
        .max()
        .unwrap_or_default();
    let lines = object.iter().map(|(name, value)| match yaml_of(value) {
        Some(yaml) => {
            let lines = yaml.lines().map(|line| format!("  {}\n", printable(line)));
            format!("{name}\n{}", lines.collect::<String>())
        }
        None => format!("{name:width$}  {}\n", printable(&table_cell(value))),
    });
    lines.collect()
}

/// Returns the YAML of an object that has members.
fn yaml_of(value: &Value) -> Option<String> {
    let has_members = value.as_object().is_some_and(|members| !members.is_empty());
    has_members.then(|| serde_norway::to_string(value).ok())?
}

const HEADER: Option<&str> = Some("\x1b[1m");

fn style(emphasis: Emphasis) -> Option<&'static str> {
    match emphasis {
        Emphasis::None => None,
        Emphasis::Notable => Some("\x1b[33m"),
        Emphasis::Urgent => Some("\x1b[31m"),
    }
}

/// Returns a row as a JSON object with its times in a zone.
fn shown<R: Row>(row: &R, zone: Zone) -> Result<Value> {
    let mut object = serde_json::to_value(row).map_err(io::Error::from)?;
    for name in R::TIMES {
        let Some(value) = object.get_mut(*name) else {
            continue;
        };
        let time = value.as_str().and_then(|text| text.parse().ok());
        if let Some(time) = time {
            *value = zone.format(time, SecondsFormat::AutoSi).into();
        }
    }
    Ok(object)
}

/// Writes JSON. Characters that a terminal would act on are escaped: their value stays the same.
fn write_json<R: Row>(out: &mut impl Write, row: &R, zone: Zone) -> Result {
    let text = match zone == Zone::UTC || R::TIMES.is_empty() {
        true => serde_json::to_string(row),
        false => serde_json::to_string(&shown(row, zone)?),
    };
    let text = text.map_err(io::Error::from)?;
    if text.is_ascii() && !text.contains('\x7f') {
        out.write_all(text.as_bytes())?;
        return Ok(());
    }
    let mut start = 0;
    for (at, character) in text.char_indices().filter(|(_, character)| is_unsafe(*character)) {
        out.write_all(&text.as_bytes()[start..at])?;
        let mut units = [0; 2];
        for unit in character.encode_utf16(&mut units) {
            write!(out, "\\u{unit:04x}")?;
        }
        start = at + character.len_utf8();
    }
    out.write_all(&text.as_bytes()[start..])?;
    Ok(())
}

fn write_record<W: Write>(
    writer: &mut csv::Writer<W>,
    names: &[&str],
    values: &Value,
    is_terminal: bool,
) -> Result {
    let cells = names.iter().map(|name| {
        let cell = csv_cell(values.get(*name));
        match is_terminal {
            true => printable(&cell).into_owned(),
            false => cell,
        }
    });
    writer.write_record(cells).map_err(csv_error)
}

fn csv_cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) if text.starts_with(ExportFormat::FORMULA_STARTS) => format!("'{text}"),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn csv_error(error: csv::Error) -> crate::Failure {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error.into(),
        other => crate::Failure::Failed(format!("cannot write CSV: {other:?}")),
    }
}
