//! Logs from the columns that the engine gives.

use ::duckdb::arrow::array::{
    Array, AsArray, LargeStringArray, StringArray, StructArray, TimestampMicrosecondArray,
};
use ::duckdb::arrow::datatypes::{Int64Type, TimestampMicrosecondType};

use super::row_layout::Columns;
use crate::models::{JsonObject, LogEntry};
use crate::storage::duckdb::error;
use crate::storage::duckdb::sql::statement;
use crate::storage::{Error, Result};

/// The logs of a chunk that holds [`LOG_COLUMNS`], with their sequence numbers.
pub(crate) fn logs(chunk: &StructArray) -> Result<Vec<(i64, LogEntry)>> {
    let seq = integers(chunk, 0)?;
    let event_time = times(chunk, 1)?;
    let texts: Vec<Texts> = (2..10)
        .map(|index| Texts::new(chunk, index))
        .collect::<Result<_>>()?;
    let procid = integers(chunk, 10)?;
    let source_type = Texts::new(chunk, 11)?;
    let normalized = Texts::new(chunk, 12)?;
    let metadata = Texts::new(chunk, 13)?;
    let ingestion_time = times(chunk, 14)?;
    let layout = Texts::new(chunk, 15)?;
    let owned = |text: Option<&str>| text.map(str::to_owned);
    (0..chunk.len())
        .map(|row| {
            let columns = Columns {
                timestamp: texts[1].get(row),
                appname: texts[3].get(row),
                file: texts[4].get(row),
                host: texts[5].get(row),
                hostname: texts[6].get(row),
                message: texts[7].get(row),
                procid: procid.is_valid(row).then(|| procid.value(row)),
                source_type: source_type.get(row),
            };
            let (normalized, raw) = match layout.get(row) {
                Some(layout) => {
                    let filled = columns.render(layout);
                    let (normalized, raw) =
                        filled.ok_or_else(|| error::corrupt("a log's layout cannot be filled"))?;
                    (Some(normalized), Some(raw))
                }
                None => (owned(normalized.get(row)), owned(texts[2].get(row))),
            };
            let log = LogEntry {
                id: owned(texts[0].get(row)).ok_or_else(|| error::corrupt("a log has no id"))?,
                event_time: statement::time(event_time.value(row))?,
                timestamp: owned(columns.timestamp),
                raw,
                appname: owned(columns.appname),
                file: owned(columns.file),
                host: owned(columns.host),
                hostname: owned(columns.hostname),
                message: owned(columns.message),
                procid: columns.procid,
                source_type: owned(columns.source_type),
                normalized: JsonObject::of_stored(normalized.unwrap_or_default()),
                metadata: JsonObject::of_stored(owned(metadata.get(row)).unwrap_or_default()),
                ingestion_time: statement::time(ingestion_time.value(row))?,
            };
            Ok((seq.value(row), log))
        })
        .collect()
}

fn integers(chunk: &StructArray, index: usize) -> Result<&::duckdb::arrow::array::Int64Array> {
    let column = chunk.column(index).as_primitive_opt::<Int64Type>();
    column.ok_or_else(|| wrong_type(chunk, index))
}

fn times(chunk: &StructArray, index: usize) -> Result<&TimestampMicrosecondArray> {
    let column = chunk.column(index).as_primitive_opt::<TimestampMicrosecondType>();
    column.ok_or_else(|| wrong_type(chunk, index))
}

fn wrong_type(chunk: &StructArray, index: usize) -> Error {
    let found = chunk.column(index).data_type();
    error::corrupt(format!("column {index} of logs has type {found}"))
}

/// The texts of a column.
pub(crate) fn texts(chunk: &StructArray, index: usize) -> Result<Vec<Option<&str>>> {
    let texts = Texts::new(chunk, index)?;
    Ok((0..chunk.len()).map(|row| texts.get(row)).collect())
}

/// A column of texts, with short or long offsets.
enum Texts<'a> {
    Short(&'a StringArray),
    Long(&'a LargeStringArray),
}

impl<'a> Texts<'a> {
    fn new(chunk: &'a StructArray, index: usize) -> Result<Self> {
        let column = chunk.column(index);
        column
            .as_string_opt::<i64>()
            .map(Self::Long)
            .or_else(|| column.as_string_opt::<i32>().map(Self::Short))
            .ok_or_else(|| wrong_type(chunk, index))
    }

    fn get(&self, row: usize) -> Option<&'a str> {
        match self {
            Self::Short(column) => column.is_valid(row).then(|| column.value(row)),
            Self::Long(column) => column.is_valid(row).then(|| column.value(row)),
        }
    }
}
