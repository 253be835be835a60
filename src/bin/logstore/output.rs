//! Results on standard output: a table for people, JSON and CSV for programs.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Write};

use comfy_table::{ColumnConstraint, ContentArrangement, Row as TableRow, Table, presets};
use logstore::ExportFormat;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::Result;
use crate::args::{Color, Format, Global};

/// What is printed in rows.
pub(crate) trait Row: Serialize {
    /// The cells of the table, one for each of its headers.
    fn cells(&self) -> Vec<String>;

    /// How much attention the row asks for.
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

/// The names of the columns.
pub(crate) struct Columns<'a> {
    /// Of the table; the last one is cut where the terminal is too narrow.
    pub(crate) table: &'a [&'a str],
    /// Of CSV: keys of the JSON object.
    pub(crate) csv: &'a [&'a str],
}

impl<'a> Columns<'a> {
    /// The same for people and for programs.
    pub(crate) const fn named(names: &'a [&'a str]) -> Self {
        Self {
            table: names,
            csv: names,
        }
    }
}

/// Values under the names of columns that are only known now.
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

fn table_cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

impl Row for NamedRow {
    fn cells(&self) -> Vec<String> {
        self.cells.clone()
    }
}

/// Where results go, and how.
pub(crate) struct Output {
    format: Format,
    is_terminal: bool,
    has_color: bool,
    out: io::BufWriter<Box<dyn Write>>,
}

/// Rows of one table; a longer result gets several, so that the first rows come soon.
const TABLE_ROWS: usize = 1_000;

impl Output {
    pub(crate) fn new(global: &Global) -> Self {
        let is_terminal = io::stdout().is_terminal();
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let has_color = match global.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => is_terminal && !no_color,
        };
        // Understands escape sequences where the terminal does not.
        let choice = match has_color {
            true => anstream::ColorChoice::Always,
            false => anstream::ColorChoice::Never,
        };
        let stdout: Box<dyn Write> = match is_terminal {
            true => Box::new(anstream::AutoStream::new(io::stdout(), choice)),
            false => Box::new(io::stdout()),
        };
        Self {
            format: global
                .format
                .unwrap_or(if is_terminal { Format::Table } else { Format::Jsonl }),
            is_terminal,
            has_color,
            out: io::BufWriter::with_capacity(1 << 16, stdout),
        }
    }

    /// A limit as it was given: 0 for none, and if nothing was given, as many as a person can read.
    pub(crate) fn limit(&self, given: Option<u64>) -> Option<u64> {
        match given {
            Some(0) => None,
            Some(limit) => Some(limit),
            None => self.is_terminal.then_some(100),
        }
    }

    pub(crate) fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    pub(crate) fn is_table(&self) -> bool {
        self.format == Format::Table
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
        Ok(printed)
    }

    /// Prints rows below those of the last call, without another header.
    pub(crate) fn more_rows<R: Row>(&mut self, columns: &Columns<'_>, rows: Vec<R>) -> Result {
        match self.format {
            Format::Table => self.table(columns, &rows, false)?,
            Format::Json | Format::Jsonl => drop(self.lines(rows.into_iter().map(Ok))?),
            Format::Csv => {
                let mut writer = csv::Writer::from_writer(&mut self.out);
                for row in &rows {
                    write_record(&mut writer, columns.csv, row, self.is_terminal)?;
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
            write_json(&mut self.out, &row?)?;
            printed += 1;
        }
        self.out.write_all(if printed == 0 { b"]\n" } else { b"\n]\n" })?;
        Ok(printed)
    }

    fn lines<R: Row>(&mut self, rows: impl IntoIterator<Item = Result<R>>) -> Result<u64> {
        let mut printed = 0;
        for row in rows {
            write_json(&mut self.out, &row?)?;
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
        writer.write_record(columns.csv).map_err(csv_error)?;
        let mut printed = 0;
        for row in rows {
            write_record(&mut writer, columns.csv, &row?, self.is_terminal)?;
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
        let mut printed = 0;
        let mut waiting = Vec::new();
        for row in rows {
            waiting.push(row?);
            if waiting.len() == TABLE_ROWS {
                self.table(columns, &waiting, printed == 0)?;
                printed += waiting.len() as u64;
                waiting.clear();
            }
        }
        if !waiting.is_empty() {
            self.table(columns, &waiting, printed == 0)?;
            printed += waiting.len() as u64;
        }
        Ok(printed)
    }

    fn table<R: Row>(&mut self, columns: &Columns<'_>, rows: &[R], has_header: bool) -> Result {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING);
        table.set_truncation_indicator("…");
        table.add_row(columns.table.iter().map(|name| name.to_uppercase()));
        for row in rows {
            let cells = row.cells().into_iter().map(|cell| printable(&cell).into_owned());
            let mut line = TableRow::from(cells);
            line.max_height(1);
            table.add_row(line);
        }
        for column in table.column_iter_mut().take(columns.table.len() - 1) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        table.set_content_arrangement(ContentArrangement::Disabled);
        if let (true, Some((width, _))) = (self.is_terminal, terminal_size::terminal_size()) {
            table.set_content_arrangement(ContentArrangement::Dynamic);
            table.set_width(width.0);
        }
        let emphases = rows.iter().map(Row::emphasis);
        let styles = std::iter::once(HEADER).chain(emphases.map(style));
        for (index, (line, style)) in table.lines().zip(styles).enumerate() {
            if index == 0 && !has_header {
                continue;
            }
            let line = line.trim_end();
            match (self.has_color, style) {
                (true, Some(style)) => writeln!(self.out, "{style}{line}{RESET}")?,
                _ => writeln!(self.out, "{line}")?,
            }
        }
        Ok(())
    }
}

const HEADER: Option<&str> = Some("\x1b[1m");
const RESET: &str = "\x1b[0m";

fn style(emphasis: Emphasis) -> Option<&'static str> {
    match emphasis {
        Emphasis::None => None,
        Emphasis::Notable => Some("\x1b[33m"),
        Emphasis::Urgent => Some("\x1b[31m"),
    }
}

/// JSON whose characters a terminal would act on are escaped: their value stays the same.
fn write_json<R: Serialize>(out: &mut impl Write, row: &R) -> Result {
    let text = serde_json::to_string(row).map_err(io::Error::from)?;
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

fn write_record<R: Row, W: Write>(
    writer: &mut csv::Writer<W>,
    names: &[&str],
    row: &R,
    is_terminal: bool,
) -> Result {
    let values = serde_json::to_value(row).map_err(io::Error::from)?;
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

/// Text that a terminal shows as it is: what would act on it is written out.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            '\n' => shown.push_str("\\n"),
            '\t' => shown.push(' '),
            '\r' => shown.push_str("\\r"),
            unsafe_one if is_unsafe(unsafe_one) => {
                shown.push_str(&format!("\\u{{{:x}}}", u32::from(unsafe_one)));
            }
            other => shown.push(other),
        }
    }
    Cow::Owned(shown)
}

/// Control characters, and those that hide or turn around what stands beside them.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}
