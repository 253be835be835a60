//! Rebuilds logs from the columns that the engine returns.

use ::duckdb::arrow::array::{
    Array, AsArray, Float64Array, Int64Array, LargeStringArray, StringArray, StructArray,
    TimestampMicrosecondArray,
};
use ::duckdb::arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};

use super::columns::{LogColumn, READ};
use super::row_layout::Columns;
use crate::models::{JsonObject, LogEntry};
use crate::storage::duckdb::error;
use crate::storage::duckdb::sql::statement;
use crate::storage::{Error, Result};

/// Returns the logs of a chunk with the columns of [`READ`], and their sequence numbers.
pub(crate) fn logs(chunk: &StructArray) -> Result<Vec<(i64, LogEntry)>> {
    let columns = LogColumns::new(chunk)?;
    let mut memory = String::new();
    (0..chunk.len())
        .map(|row| Ok((columns.seq.value(row), columns.log(row, &mut memory)?)))
        .collect()
}

/// Holds the columns of a chunk of logs.
struct LogColumns<'a> {
    seq: &'a Int64Array,
    event_time: &'a TimestampMicrosecondArray,
    id: Texts<'a>,
    timestamp: Texts<'a>,
    raw: Texts<'a>,
    appname: Texts<'a>,
    file: Texts<'a>,
    host: Texts<'a>,
    hostname: Texts<'a>,
    message: Texts<'a>,
    procid: &'a Int64Array,
    source_type: Texts<'a>,
    normalized: Texts<'a>,
    metadata: Texts<'a>,
    ingestion_time: &'a TimestampMicrosecondArray,
    layout: Texts<'a>,
}

impl<'a> LogColumns<'a> {
    fn new(chunk: &'a StructArray) -> Result<Self> {
        let texts = |column| Texts::new(chunk, place(column)?);
        Ok(Self {
            seq: integers(chunk, place(LogColumn::Seq)?)?,
            event_time: times(chunk, place(LogColumn::EventTime)?)?,
            id: texts(LogColumn::Id)?,
            timestamp: texts(LogColumn::Timestamp)?,
            raw: texts(LogColumn::Raw)?,
            appname: texts(LogColumn::Appname)?,
            file: texts(LogColumn::File)?,
            host: texts(LogColumn::Host)?,
            hostname: texts(LogColumn::Hostname)?,
            message: texts(LogColumn::Message)?,
            procid: integers(chunk, place(LogColumn::Procid)?)?,
            source_type: texts(LogColumn::SourceType)?,
            normalized: texts(LogColumn::Normalized)?,
            metadata: texts(LogColumn::Metadata)?,
            ingestion_time: times(chunk, place(LogColumn::IngestionTime)?)?,
            layout: texts(LogColumn::Layout)?,
        })
    }

    fn log(&self, row: usize, memory: &mut String) -> Result<LogEntry> {
        let owned = |texts: &Texts<'a>| texts.get(row).map(str::to_owned);
        let (normalized, raw) = self.texts_of(row, memory)?;
        Ok(LogEntry {
            id: owned(&self.id).ok_or_else(|| error::corrupt("a log has no id"))?,
            event_time: statement::time(self.event_time.value(row))?,
            timestamp: owned(&self.timestamp),
            raw,
            appname: owned(&self.appname),
            file: owned(&self.file),
            host: owned(&self.host),
            hostname: owned(&self.hostname),
            message: owned(&self.message),
            procid: self.procid(row),
            source_type: owned(&self.source_type),
            normalized: JsonObject::of_stored(normalized.unwrap_or_default()),
            metadata: JsonObject::of_stored(owned(&self.metadata).unwrap_or_default()),
            ingestion_time: statement::time(self.ingestion_time.value(row))?,
        })
    }

    fn procid(&self, row: usize) -> Option<i64> {
        self.procid.is_valid(row).then(|| self.procid.value(row))
    }

    /// Returns `normalized` and `raw`: from the row layout if the log has one, else as they are stored.
    fn texts_of(&self, row: usize, memory: &mut String) -> Result<(Option<String>, Option<String>)> {
        let Some(layout) = self.layout.get(row) else {
            let owned = |texts: &Texts<'a>| texts.get(row).map(str::to_owned);
            return Ok((owned(&self.normalized), owned(&self.raw)));
        };
        let columns = Columns {
            timestamp: self.timestamp.get(row),
            appname: self.appname.get(row),
            file: self.file.get(row),
            host: self.host.get(row),
            hostname: self.hostname.get(row),
            message: self.message.get(row),
            procid: self.procid(row),
            source_type: self.source_type.get(row),
        };
        let rendered = columns.render(layout, memory);
        let (normalized, raw) =
            rendered.ok_or_else(|| error::corrupt("a log's layout cannot be rendered"))?;
        Ok((Some(normalized), Some(raw)))
    }
}

/// Returns the place of a column in [`READ`].
fn place(column: LogColumn) -> Result<usize> {
    let place = READ.iter().position(|read| *read == column);
    place.ok_or_else(|| error::corrupt(format!("the column {} is not read", column.name())))
}

pub(crate) fn integers(chunk: &StructArray, index: usize) -> Result<&Int64Array> {
    let column = chunk.column(index).as_primitive_opt::<Int64Type>();
    column.ok_or_else(|| wrong_type(chunk, index))
}

pub(crate) fn doubles(chunk: &StructArray, index: usize) -> Result<&Float64Array> {
    let column = chunk.column(index).as_primitive_opt::<Float64Type>();
    column.ok_or_else(|| wrong_type(chunk, index))
}

fn times(chunk: &StructArray, index: usize) -> Result<&TimestampMicrosecondArray> {
    let column = chunk.column(index).as_primitive_opt::<TimestampMicrosecondType>();
    column.ok_or_else(|| wrong_type(chunk, index))
}

fn wrong_type(chunk: &StructArray, index: usize) -> Error {
    let found = chunk.column(index).data_type();
    error::corrupt(format!("column {index} has type {found}"))
}

/// Returns the texts of a column.
pub(crate) fn texts(chunk: &StructArray, index: usize) -> Result<Vec<Option<&str>>> {
    let texts = Texts::new(chunk, index)?;
    Ok((0..chunk.len()).map(|row| texts.get(row)).collect())
}

/// Holds a column of texts, with short or long offsets.
pub(crate) enum Texts<'a> {
    Short(&'a StringArray),
    Long(&'a LargeStringArray),
}

impl<'a> Texts<'a> {
    pub(crate) fn new(chunk: &'a StructArray, index: usize) -> Result<Self> {
        let column = chunk.column(index);
        column
            .as_string_opt::<i64>()
            .map(Self::Long)
            .or_else(|| column.as_string_opt::<i32>().map(Self::Short))
            .ok_or_else(|| wrong_type(chunk, index))
    }

    pub(crate) fn get(&self, row: usize) -> Option<&'a str> {
        match self {
            Self::Short(column) => column.is_valid(row).then(|| column.value(row)),
            Self::Long(column) => column.is_valid(row).then(|| column.value(row)),
        }
    }
}
