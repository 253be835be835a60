//! Logs as the engine takes and gives them: Arrow columns.

use std::sync::Arc;

use ::duckdb::arrow::array::{
    Array, ArrayRef, AsArray, Int64Builder, LargeStringArray, RecordBatch, StringArray, StringBuilder,
    StructArray, TimestampMicrosecondArray, TimestampMicrosecondBuilder,
};
use ::duckdb::arrow::datatypes::{DataType, Field, Int64Type, Schema, TimeUnit, TimestampMicrosecondType};
use ::duckdb::{Appender, Connection, Params, Row};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::error;
use crate::models::{LogEntry, to_micros};
use crate::storage::{Error, Result};

/// What [`logs`] reads, in its order.
pub(super) const LOG_COLUMNS: &str = "seq, event_time, id, \"timestamp\", raw, appname, file, host, hostname, message, \
                                      procid, source_type, normalized, metadata, ingestion_time";

/// The columns of the table, in its order.
pub(super) const TABLE_COLUMNS: [(&str, DataType); 21] = [
    ("seq", DataType::Int64),
    ("event_time", DataType::Timestamp(TimeUnit::Microsecond, None)),
    ("id", DataType::Utf8),
    ("timestamp", DataType::Utf8),
    ("raw", DataType::Utf8),
    ("appname", DataType::Utf8),
    ("file", DataType::Utf8),
    ("host", DataType::Utf8),
    ("hostname", DataType::Utf8),
    ("message", DataType::Utf8),
    ("procid", DataType::Int64),
    ("source_type", DataType::Utf8),
    ("normalized", DataType::Utf8),
    ("metadata", DataType::Utf8),
    ("ingestion_time", DataType::Timestamp(TimeUnit::Microsecond, None)),
    ("source_ip", DataType::Utf8),
    ("dest_ip", DataType::Utf8),
    ("user", DataType::Utf8),
    ("action", DataType::Utf8),
    ("outcome", DataType::Utf8),
    ("level", DataType::Utf8),
];

/// Bytes of text in one batch: well below the 2 GiB that its offsets can count.
const BATCH_BYTES: usize = 64 << 20;
const BATCH_ROWS: usize = 16 * 2048;

/// Appends logs with ascending sequence numbers. Nothing is checked for duplicates here.
pub(super) fn append<'a>(
    connection: &Connection,
    table: &str,
    logs: impl IntoIterator<Item = &'a LogEntry>,
    first_seq: i64,
) -> Result<()> {
    let failed = |error| error::engine("append logs", error);
    let mut appender = connection.appender(table).map_err(failed)?;
    let mut batch = BatchBuilder::default();
    for (seq, log) in (first_seq..).zip(logs) {
        batch.push(seq, log);
        if batch.rows >= BATCH_ROWS || batch.bytes >= BATCH_BYTES {
            flush(&mut appender, &mut batch)?;
        }
    }
    flush(&mut appender, &mut batch)?;
    // Dropping the appender would swallow what it could not write.
    appender.flush().map_err(failed)
}

fn flush(appender: &mut Appender<'_>, batch: &mut BatchBuilder) -> Result<()> {
    let batch = std::mem::take(batch).finish()?;
    let appended = appender.append_record_batch(batch);
    appended.map_err(|error| error::engine("append logs", error))
}

#[derive(Default)]
struct BatchBuilder {
    rows: usize,
    bytes: usize,
    seq: Int64Builder,
    event_time: TimestampMicrosecondBuilder,
    /// `id` to `message`.
    texts: [StringBuilder; 8],
    procid: Int64Builder,
    source_type: StringBuilder,
    normalized: StringBuilder,
    metadata: StringBuilder,
    ingestion_time: TimestampMicrosecondBuilder,
    /// `source_ip` to `level`.
    summary: [StringBuilder; 6],
}

impl BatchBuilder {
    fn push(&mut self, seq: i64, log: &LogEntry) {
        self.rows += 1;
        self.seq.append_value(seq);
        self.event_time.append_value(log.event_time.timestamp_micros());
        let texts = [
            Some(log.id.as_str()),
            log.timestamp.as_deref(),
            log.raw.as_deref(),
            log.appname.as_deref(),
            log.file.as_deref(),
            log.host.as_deref(),
            log.hostname.as_deref(),
            log.message.as_deref(),
        ];
        for (builder, text) in self.texts.iter_mut().zip(texts) {
            self.bytes += text.map_or(0, str::len);
            builder.append_option(text);
        }
        self.procid.append_option(log.procid);
        self.source_type.append_option(log.source_type.as_deref());
        for (builder, map) in [
            (&mut self.normalized, &log.normalized),
            (&mut self.metadata, &log.metadata),
        ] {
            let json = json_text(map);
            self.bytes += json.as_ref().map_or(0, String::len);
            builder.append_option(json);
        }
        self.ingestion_time
            .append_value(log.ingestion_time.timestamp_micros());
        let found = log.summary();
        let summary = [
            found.source_ip,
            found.dest_ip,
            found.user,
            found.action,
            found.outcome,
            found.level,
        ];
        for (builder, text) in self.summary.iter_mut().zip(summary) {
            builder.append_option(text);
        }
    }

    fn finish(mut self) -> Result<RecordBatch> {
        let mut columns: Vec<ArrayRef> =
            vec![Arc::new(self.seq.finish()), Arc::new(self.event_time.finish())];
        columns.extend(self.texts.iter_mut().map(finish_texts));
        columns.push(Arc::new(self.procid.finish()));
        for builder in [&mut self.source_type, &mut self.normalized, &mut self.metadata] {
            columns.push(finish_texts(builder));
        }
        columns.push(Arc::new(self.ingestion_time.finish()));
        columns.extend(self.summary.iter_mut().map(finish_texts));
        let fields: Vec<Field> = TABLE_COLUMNS
            .into_iter()
            .map(|(name, data_type)| Field::new(name, data_type, true))
            .collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(|error| Error::Backend {
            action: "append logs",
            source: error.into(),
        })
    }
}

fn finish_texts(builder: &mut StringBuilder) -> ArrayRef {
    Arc::new(builder.finish())
}

/// An object as JSON text; nothing for an empty one.
pub(super) fn json_text(map: &Map<String, Value>) -> Option<String> {
    (!map.is_empty()).then(|| serde_json::to_string(map).expect("an object with text keys is JSON"))
}

/// An object from JSON text; an empty one for nothing.
pub(super) fn json_object(text: Option<&str>, what: &str) -> Result<Map<String, Value>> {
    text.map_or(Ok(Map::new()), |text| {
        serde_json::from_str(text)
            .map_err(|error| error::corrupt(format!("{what} is not a JSON object: {error}")))
    })
}

/// The logs of a chunk that holds [`LOG_COLUMNS`], with their sequence numbers.
pub(super) fn logs(chunk: &StructArray) -> Result<Vec<(i64, LogEntry)>> {
    let seq = integers(chunk, 0)?;
    let event_time = times(chunk, 1)?;
    let texts: Vec<Texts> = (2..10)
        .map(|index| Texts::of(chunk, index))
        .collect::<Result<_>>()?;
    let procid = integers(chunk, 10)?;
    let source_type = Texts::of(chunk, 11)?;
    let normalized = Texts::of(chunk, 12)?;
    let metadata = Texts::of(chunk, 13)?;
    let ingestion_time = times(chunk, 14)?;
    let text = |column: usize, row| texts[column].get(row).map(str::to_owned);
    (0..chunk.len())
        .map(|row| {
            let log = LogEntry {
                id: text(0, row).ok_or_else(|| error::corrupt("a log has no id"))?,
                event_time: time(event_time.value(row))?,
                timestamp: text(1, row),
                raw: text(2, row),
                appname: text(3, row),
                file: text(4, row),
                host: text(5, row),
                hostname: text(6, row),
                message: text(7, row),
                procid: procid.is_valid(row).then(|| procid.value(row)),
                source_type: source_type.get(row).map(str::to_owned),
                normalized: json_object(normalized.get(row), "a log's normalized")?,
                metadata: json_object(metadata.get(row), "a log's metadata")?,
                ingestion_time: time(ingestion_time.value(row))?,
            };
            Ok((seq.value(row), log))
        })
        .collect()
}

/// Runs a query and reads all of its rows.
pub(super) fn query_all<T>(
    connection: &Connection,
    sql: &str,
    parameters: impl Params,
    read: impl FnMut(&Row<'_>) -> ::duckdb::Result<T>,
) -> ::duckdb::Result<Vec<T>> {
    connection
        .prepare_cached(sql)?
        .query_map(parameters, read)?
        .collect()
}

/// A time from the engine's microseconds.
pub(super) fn time(micros: i64) -> Result<DateTime<Utc>> {
    DateTime::from_timestamp_micros(micros)
        .map(to_micros)
        .ok_or_else(|| error::corrupt(format!("{micros} microseconds since 1970 are no time")))
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

/// A column of texts, with short or long offsets.
enum Texts<'a> {
    Short(&'a StringArray),
    Long(&'a LargeStringArray),
}

impl<'a> Texts<'a> {
    fn of(chunk: &'a StructArray, index: usize) -> Result<Self> {
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
