//! Rebuilds logs from the columns that the engine returns.

use ::duckdb::arrow::array::{
    Array, AsArray, Float64Array, Int64Array, LargeStringArray, StringArray, StructArray,
    TimestampMicrosecondArray,
};
use ::duckdb::arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};
use chrono::{DateTime, Utc};

use super::columns::{LogColumn, READ};
use super::row_layout::Columns;
use super::template::{self, Known, Placeholders};
use crate::models::{JsonObject, LogEntry};
use crate::storage::duckdb::error;
use crate::storage::duckdb::sql::log_id::LogId;
use crate::storage::duckdb::sql::statement;
use crate::storage::{Error, Result};

/// Returns the logs of a chunk with the columns of [`READ`], and their sequence numbers.
pub(crate) fn logs(chunk: &StructArray) -> Result<Vec<(i64, LogEntry)>> {
    let columns = LogColumns::new(chunk)?;
    let mut memory = Memory::default();
    (0..chunk.len())
        .map(|row| Ok((columns.seq.value(row), columns.log(row, &mut memory)?)))
        .collect()
}

/// Holds memory for the texts of a log.
#[derive(Default)]
struct Memory {
    text: String,
    numbers: [String; 3],
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
    source_ip: Texts<'a>,
    dest_ip: Texts<'a>,
    user: Texts<'a>,
    source_port: &'a Int64Array,
    dest_port: &'a Int64Array,
    template: Texts<'a>,
    variables: Texts<'a>,
    identifiers: Texts<'a>,
    normalized_template: Texts<'a>,
    message_template: Texts<'a>,
    timestamp_template: Texts<'a>,
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
            source_ip: texts(LogColumn::SourceIp)?,
            dest_ip: texts(LogColumn::DestIp)?,
            user: texts(LogColumn::User)?,
            source_port: integers(chunk, place(LogColumn::SourcePort)?)?,
            dest_port: integers(chunk, place(LogColumn::DestPort)?)?,
            template: texts(LogColumn::Template)?,
            variables: texts(LogColumn::Variables)?,
            identifiers: texts(LogColumn::Identifiers)?,
            normalized_template: texts(LogColumn::NormalizedTemplate)?,
            message_template: texts(LogColumn::MessageTemplate)?,
            timestamp_template: texts(LogColumn::TimestampTemplate)?,
        })
    }

    fn log(&self, row: usize, memory: &mut Memory) -> Result<LogEntry> {
        let owned = |texts: &Texts<'a>| texts.get(row).map(str::to_owned);
        let id = owned(&self.id).ok_or_else(|| error::corrupt("a log has no id"))?;
        let event_time = statement::time(self.event_time.value(row))?;
        let texts = self.texts_of(row, &id, event_time, memory)?;
        Ok(LogEntry {
            id,
            event_time,
            timestamp: texts.timestamp,
            raw: texts.raw,
            appname: owned(&self.appname),
            file: owned(&self.file),
            host: owned(&self.host),
            hostname: owned(&self.hostname),
            message: texts.message,
            procid: integer(self.procid, row),
            source_type: owned(&self.source_type),
            normalized: JsonObject::of_stored(texts.normalized.unwrap_or_default()),
            metadata: JsonObject::of_stored(owned(&self.metadata).unwrap_or_default()),
            ingestion_time: statement::time(self.ingestion_time.value(row))?,
        })
    }

    /// Returns the texts of a log: from its template or its row layout if it has one, else as they are stored.
    fn texts_of(
        &self,
        row: usize,
        id: &str,
        event_time: DateTime<Utc>,
        memory: &mut Memory,
    ) -> Result<StoredTexts> {
        let owned = |texts: &Texts<'a>| texts.get(row).map(str::to_owned);
        if let Some(variables) = self.variables.get(row) {
            let filled = self.filled(row, variables, id, event_time, memory);
            return filled.ok_or_else(|| error::corrupt("a log's template cannot be filled"));
        }
        let (normalized, raw) = match self.layout.get(row) {
            None => (owned(&self.normalized), owned(&self.raw)),
            Some(layout) => {
                let rendered = self.layout_columns(row).render(layout, &mut memory.text);
                let (normalized, raw) =
                    rendered.ok_or_else(|| error::corrupt("a log's layout cannot be rendered"))?;
                (Some(normalized), Some(raw))
            }
        };
        Ok(StoredTexts {
            normalized,
            message: owned(&self.message),
            timestamp: owned(&self.timestamp),
            raw,
        })
    }

    fn layout_columns(&self, row: usize) -> Columns<'a> {
        Columns {
            timestamp: self.timestamp.get(row),
            appname: self.appname.get(row),
            file: self.file.get(row),
            host: self.host.get(row),
            hostname: self.hostname.get(row),
            message: self.message.get(row),
            procid: integer(self.procid, row),
            source_type: self.source_type.get(row),
        }
    }

    /// Returns the templates of a log; `None` if it has none.
    fn templates(&self, row: usize) -> Option<template::Texts<'a>> {
        match self.template.get(row) {
            Some(raw) => Some(template::Texts {
                normalized: self.normalized_template.get(row),
                message: self.message_template.get(row),
                timestamp: self.timestamp_template.get(row),
                raw,
            }),
            None => template::Texts::of_together(self.layout.get(row)?),
        }
    }

    fn filled(
        &self,
        row: usize,
        variables: &str,
        id: &str,
        event_time: DateTime<Utc>,
        memory: &mut Memory,
    ) -> Option<StoredTexts> {
        let numbers = &mut memory.numbers;
        let integers = [self.procid, self.source_port, self.dest_port];
        for (text, column) in numbers.iter_mut().zip(integers) {
            template::number_text(integer(column, row), text);
        }
        let text = |texts: &Texts<'a>| texts.get(row).unwrap_or_default();
        let [procid, source_port, dest_port] = &*numbers;
        let known = Known {
            columns: [
                text(&self.appname),
                text(&self.file),
                text(&self.host),
                text(&self.hostname),
                text(&self.source_type),
                procid,
                text(&self.source_ip),
                text(&self.dest_ip),
                text(&self.user),
                source_port,
                dest_port,
                LogId::new(id).text().unwrap_or_default(),
            ],
            event_time,
        };
        let templates = self.templates(row)?;
        let placeholders = Placeholders::new(variables, text(&self.identifiers), &known);
        let fill = |template: Option<&str>| match template {
            Some(template) => placeholders.fill(template).map(Some),
            None => Some(None),
        };
        Some(StoredTexts {
            normalized: fill(templates.normalized)?,
            message: fill(templates.message)?,
            timestamp: fill(templates.timestamp)?,
            raw: fill(Some(templates.raw))?,
        })
    }
}

/// Holds the texts of a log.
struct StoredTexts {
    normalized: Option<String>,
    message: Option<String>,
    timestamp: Option<String>,
    raw: Option<String>,
}

fn integer(column: &Int64Array, row: usize) -> Option<i64> {
    column.is_valid(row).then(|| column.value(row))
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

/// Returns the bytes of a column.
pub(crate) fn bytes(chunk: &StructArray, index: usize) -> Result<Vec<Option<&[u8]>>> {
    let column = chunk.column(index);
    let long = column.as_binary_opt::<i64>().map(|long| long.iter().collect());
    long.or_else(|| column.as_binary_opt::<i32>().map(|short| short.iter().collect()))
        .ok_or_else(|| wrong_type(chunk, index))
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
