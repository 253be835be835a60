//! Writes logs as the engine takes them: Arrow columns.

use std::num::NonZero;
use std::ops::RangeInclusive;
use std::panic::resume_unwind;
use std::sync::{Arc, LazyLock};
use std::thread;

use ::duckdb::arrow::array::{
    ArrayBuilder as _, ArrayRef, AsArray, BooleanArray, FixedSizeBinaryArray, Int64Array, Int64Builder,
    RecordBatch, StringArray, StringBuilder, TimestampMicrosecondBuilder,
};
use ::duckdb::arrow::compute::filter_record_batch;
use ::duckdb::arrow::datatypes::{Schema, TimestampMicrosecondType};
use ::duckdb::arrow::error::ArrowError;
use ::duckdb::{Connection, params_from_iter};
use uuid::Uuid;

use super::columns::{INTEGERS, LogColumn, STORED_SQL, TEXTS, TIMES};
use super::constant_columns::InsertColumns;
use super::row_layout;
use super::template::{Split, Texts};
use super::templates::{Templated, Templates};
use super::values;
use crate::models::{BorrowedLog, CoreFields, InvalidValue, LogEntry, Members};
use crate::storage::duckdb::error;
use crate::storage::duckdb::sql::log_id::{self, LogId};
use crate::storage::duckdb::sql::staged::{CHUNK_ROWS, ROW_GROUP, StagedRows};
use crate::storage::duckdb::words::collected::{ChunkWords, KeyCollector};
use crate::storage::duckdb::words::trigrams::Trigrams;
use crate::storage::{Error, Result};

/// Holds logs as rows of a [`DuckDbStore`](crate::DuckDbStore).
///
/// To make the rows is most of the work of appending logs. Any thread can do it without keeping other processes from
/// the store.
#[derive(Debug, Clone, Default)]
pub struct LogRows {
    /// Holds the columns of `log_rows` but for the first, the sequence number.
    chunks: Vec<RecordBatch>,
    /// Holds what filters have of each chunk; nothing if it was not collected.
    words: Vec<ChunkWords>,
}

impl LogRows {
    /// Counts the rows that a store in a file compresses and writes as one.
    ///
    /// Append multiples of it, or slightly fewer rows: they are written only once. Of slightly more rows, DuckDB 1.5.5
    /// rewrites the rest with each append that follows.
    pub const ROW_GROUP: usize = ROW_GROUP;

    /// Limits the bytes of text in 2,048 rows, after which the caller stores them: see
    /// [`length_at_end`](Self::length_at_end).
    pub const ENOUGH_TEXT: usize = 32 << 20;

    /// Makes rows from logs, on all cores if there are many, without what filters have of them.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if a log's fields are nested too deeply: see [`LogEntry::validate`].
    pub fn new(logs: &[LogEntry]) -> Result<Self> {
        Self::by(LogRowsBuilder::default, logs)
    }

    /// Makes rows from logs, with what filters have of them.
    ///
    /// # Errors
    ///
    /// See [`new`](Self::new).
    pub(crate) fn with_words(logs: &[LogEntry]) -> Result<Self> {
        Self::by(LogRowsBuilder::with_words, logs)
    }

    fn by(builder: fn() -> LogRowsBuilder, logs: &[LogEntry]) -> Result<Self> {
        for log in logs {
            log.validate()?;
        }
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let share = logs.len().div_ceil(CHUNK_ROWS).div_ceil(cores) * CHUNK_ROWS;
        if logs.len() <= share {
            return Ok(Self::of(builder(), logs));
        }
        thread::scope(|scope| {
            let threads: Vec<_> = logs
                .chunks(share)
                .map(|logs| scope.spawn(move || Self::of(builder(), logs)))
                .collect();
            let mut rows = Self::default();
            for thread in threads {
                rows.append(thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
            }
            Ok(rows)
        })
    }

    fn of(mut rows: LogRowsBuilder, logs: &[LogEntry]) -> Self {
        for log in logs {
            rows.push(&BorrowedLog::of_entry(log));
        }
        rows.finish()
    }

    /// Adds rows after these.
    pub fn append(&mut self, rows: Self) {
        self.chunks.extend(rows.chunks);
        self.words.extend(rows.words);
    }

    /// Returns the number of rows.
    pub fn len(&self) -> usize {
        self.chunks.iter().map(RecordBatch::num_rows).sum()
    }

    /// Returns whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Returns the bytes of text in the last 2,048 rows, or in slightly more rows.
    ///
    /// The caller stores the rows before this exceeds 32 MiB. The engine needs memory for these texts together,
    /// several times.
    pub fn length_at_end(&self) -> usize {
        length_at_end(&self.chunks)
    }

    /// Returns the bytes of text in all rows.
    pub(crate) fn length(&self) -> usize {
        self.chunks.iter().map(length_of).sum()
    }

    /// Refuses rows that the engine could not read again.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if the texts of 2,048 rows are too long together.
    pub(crate) fn check_length(&self) -> Result<()> {
        const MOST: usize = 2 * LogRows::ENOUGH_TEXT;
        let ends = 1..=self.chunks.len();
        let lengths = ends.map(|end| length_at_end(&self.chunks[..end]));
        match lengths.max() {
            Some(length) if length > MOST && self.len() > 1 => {
                let found = format!("{} MiB of text in 2,048 logs", length >> 20);
                let reason = format!("a store takes {} MiB at a time: append them in parts", MOST >> 20);
                Err(InvalidValue::new("number of logs", &found, reason).into())
            }
            _ => Ok(()),
        }
    }

    /// Returns the length of the longest text.
    pub(crate) fn longest_text(&self) -> usize {
        let columns = self.chunks.iter().flat_map(RecordBatch::columns);
        let texts = columns.filter_map(|column| column.as_string_opt::<i32>());
        texts.map(longest_of).max().unwrap_or_default()
    }

    /// Returns the event time in microseconds and the id of each row.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (i64, LogId<'_>)> {
        self.chunks
            .iter()
            .flat_map(|chunk| event_times(chunk).iter().copied().zip(ids(chunk)))
    }

    /// Returns the first and the last event time; `None` without rows.
    pub(crate) fn span(&self) -> Option<RangeInclusive<i64>> {
        let first = self
            .chunks
            .iter()
            .filter_map(|chunk| event_times(chunk).iter().min());
        let last = self
            .chunks
            .iter()
            .filter_map(|chunk| event_times(chunk).iter().max());
        Some(*first.min()?..=*last.max()?)
    }

    /// Returns the columns `id` and `uuid` of the rows with these times, staged for the engine to search.
    ///
    /// Returns `None` if there are no such rows.
    pub(crate) fn ids(&self, times: RangeInclusive<i64>) -> Result<Option<StagedRows>> {
        let keeps: Vec<bool> = self.keys().map(|(time, _)| times.contains(&time)).collect();
        let ids = self
            .chunks
            .iter()
            .map(|chunk| chunk.project(&[ID, UUID]).map_err(failed));
        let ids = filtered(&ids.collect::<Result<Vec<_>>>()?, &keeps)?;
        Ok((!ids.is_empty()).then(|| StagedRows::new(ids)))
    }

    /// Returns the rows for which `keeps` says so.
    pub(crate) fn filtered(&self, keeps: &[bool]) -> Result<Self> {
        // What filters have of a chunk may be of rows that are left out as well.
        let mut rest = keeps;
        let mut words = Vec::with_capacity(self.words.len());
        for (chunk, of_chunk) in self.chunks.iter().zip(&self.words) {
            let (kept, after) = rest.split_at(chunk.num_rows());
            rest = after;
            words.extend(kept.contains(&true).then(|| of_chunk.clone()));
        }
        filtered(&self.chunks, keeps).map(|chunks| Self { chunks, words })
    }

    /// Returns the number of rows of each chunk, with what filters have of them.
    pub(crate) fn words_of_chunks(&self) -> impl Iterator<Item = (usize, &ChunkWords)> {
        self.chunks.iter().map(RecordBatch::num_rows).zip(&self.words)
    }

    /// Inserts the rows with these sequence numbers. Nothing is checked for duplicates here.
    pub(crate) fn insert(&self, connection: &Connection, seqs: impl IntoIterator<Item = i64>) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        let mut seqs = seqs.into_iter();
        let numbered = self.chunks.iter().map(|chunk| {
            let seqs = Int64Array::from_iter_values(seqs.by_ref().take(chunk.num_rows()));
            let mut columns: Vec<ArrayRef> = vec![Arc::new(seqs)];
            columns.extend(chunk.columns().iter().cloned());
            RecordBatch::try_new(Arc::clone(&STORED_SCHEMA), columns).map_err(failed)
        });
        let numbered = numbered.collect::<Result<Vec<_>>>()?;
        let selection = InsertColumns::from_chunks(&numbered);
        let handed_over = numbered
            .iter()
            .map(|chunk| chunk.project(&selection.handed_over).map_err(failed));
        let staged = StagedRows::new(handed_over.collect::<Result<_>>()?);
        let inserted = connection.execute(
            &format!(
                "INSERT INTO log_rows ({}) SELECT {} FROM {}",
                *STORED_SQL,
                selection.sql,
                staged.sql()
            ),
            params_from_iter(selection.parameters),
        );
        inserted
            .map(drop)
            .map_err(|error| error::engine("append logs", error))
    }
}

// The places of columns in a chunk of [`LogRows`].
const EVENT_TIME: usize = LogColumn::EventTime as usize - 1;
const ID: usize = LogColumn::Id as usize - 1;
const UUID: usize = LogColumn::Uuid as usize - 1;

/// Returns the event times of a chunk.
fn event_times(chunk: &RecordBatch) -> &[i64] {
    chunk
        .column(EVENT_TIME)
        .as_primitive::<TimestampMicrosecondType>()
        .values()
}

/// Returns the ids of a chunk.
fn ids(chunk: &RecordBatch) -> impl Iterator<Item = LogId<'_>> {
    let texts = chunk.column(ID).as_string::<i32>();
    let uuids = chunk.column(UUID).as_fixed_size_binary();
    let uuids = uuids.iter().map(|uuid| Uuid::from_slice(uuid?).ok());
    uuids
        .zip(texts)
        .map(|(uuid, text)| uuid.map_or_else(|| LogId::Text(text.unwrap_or_default()), LogId::Uuid))
}

fn length_at_end(chunks: &[RecordBatch]) -> usize {
    let (mut rows, mut length) = (0, 0);
    for chunk in chunks.iter().rev() {
        if rows >= CHUNK_ROWS {
            break;
        }
        rows += chunk.num_rows();
        length += length_of(chunk);
    }
    length
}

/// Returns the bytes of text in a chunk.
fn length_of(chunk: &RecordBatch) -> usize {
    let columns = chunk.columns().iter();
    let texts = columns.filter_map(|column| column.as_string_opt::<i32>());
    texts.map(|texts| texts.value_data().len()).sum()
}

fn longest_of(texts: &StringArray) -> usize {
    let lengths = texts.value_offsets().windows(2).map(|ends| ends[1] - ends[0]);
    lengths
        .max()
        .and_then(|length| usize::try_from(length).ok())
        .unwrap_or_default()
}

fn filtered(chunks: &[RecordBatch], keeps: &[bool]) -> Result<Vec<RecordBatch>> {
    let mut rest = keeps;
    let mut filtered = Vec::with_capacity(chunks.len());
    for chunk in chunks {
        let (of_chunk, after) = rest.split_at(chunk.num_rows());
        rest = after;
        filtered.push(filter_record_batch(chunk, &BooleanArray::from(of_chunk.to_vec())).map_err(failed)?);
    }
    filtered.retain(|chunk| chunk.num_rows() > 0);
    Ok(filtered)
}

fn failed(error: ArrowError) -> Error {
    Error::Backend {
        action: "append logs",
        source: error.into(),
    }
}

/// Makes rows from logs that come one after another, by default without what filters have of them.
#[derive(Debug, Default)]
pub struct LogRowsBuilder {
    rows: LogRows,
    chunk: ChunkBuilder,
}

impl LogRowsBuilder {
    /// Makes a builder of rows for a store that has filters.
    pub(crate) fn with_words() -> Self {
        let mut builder = Self::default();
        builder.chunk.keys = Some(KeyCollector::default());
        builder
    }

    /// Adds the row of a log.
    pub fn push(&mut self, log: &BorrowedLog<'_>) {
        self.chunk.push(log);
        if self.chunk.columns.len() == CHUNK_ROWS || self.chunk.columns.bytes >= CHUNK_BYTES {
            self.finish_chunk();
        }
    }

    /// Returns the rows since the last call.
    pub fn finish(&mut self) -> LogRows {
        if self.chunk.columns.len() > 0 {
            self.finish_chunk();
        }
        std::mem::take(&mut self.rows)
    }

    fn finish_chunk(&mut self) {
        let chunk = self.chunk.finish();
        if let Some(keys) = &mut self.chunk.keys {
            self.rows.words.push(ChunkWords {
                keys: keys.finish(),
                trigrams: Arc::new(trigrams_of(&chunk)),
            });
        }
        self.rows.chunks.push(chunk);
    }
}

/// Limits the bytes of text in a chunk, well below the 2 GiB that a column's offsets can count.
const CHUNK_BYTES: usize = 64 << 20;

#[derive(Debug, Default)]
struct ChunkBuilder {
    columns: Columns,
    /// Collects the keys, if they are wanted.
    keys: Option<KeyCollector>,
    memory: Memory,
}

/// Holds memory for the texts of a row.
#[derive(Debug, Default)]
struct Memory {
    normalized: String,
    metadata: String,
    layout: String,
    templates: Templates,
}

impl ChunkBuilder {
    fn push(&mut self, log: &BorrowedLog<'_>) {
        let Self {
            columns,
            keys,
            memory,
        } = self;
        let normalized = object_text(log.normalized(), &mut memory.normalized);
        let metadata = log.metadata_text(&mut memory.metadata);
        columns.push_own(log, metadata);
        log.with_core_fields(|found| {
            columns.push_summary(&found);
            let templated = memory.templates.of(log, normalized, &found);
            if let Some(keys) = keys
                && !templated
                    .as_ref()
                    .is_some_and(|templated| templated.add_keys(&found, metadata, keys))
            {
                keys.add(log, metadata);
            }
            match templated {
                Some(Templated { split, do_repeat, .. }) => columns.push_templates(split, do_repeat),
                None => columns.push_layout(log, normalized, &mut memory.layout),
            }
        });
    }

    /// Returns the rows since the last call.
    fn finish(&mut self) -> RecordBatch {
        if self.columns.bytes >= CHUNK_BYTES {
            // The memory of very long lines, which are rare, is freed.
            self.memory = Memory {
                templates: std::mem::take(&mut self.memory.templates),
                ..Memory::default()
            };
        }
        self.columns.finish()
    }
}

/// Holds the columns of rows.
#[derive(Debug, Default)]
struct Columns {
    /// Counts the bytes of text.
    bytes: usize,
    /// Holds each column at its [`place`](LogColumn::place).
    texts: [StringBuilder; TEXTS],
    times: [TimestampMicrosecondBuilder; TIMES],
    integers: [Int64Builder; INTEGERS],
    uuids: Vec<Option<Uuid>>,
}

impl Columns {
    /// Returns the number of rows.
    fn len(&self) -> usize {
        self.times[LogColumn::EventTime.place()].len()
    }

    /// Adds what is stored of a log as it is.
    fn push_own(&mut self, log: &BorrowedLog<'_>, metadata: Option<&str>) {
        let id = LogId::new(&log.id);
        self.uuids.push(id.uuid());
        self.push_text(LogColumn::Id, id.text());
        self.push_text(LogColumn::Appname, log.appname.as_deref());
        self.push_text(LogColumn::File, log.file.as_deref());
        self.push_text(LogColumn::Host, log.host.as_deref());
        self.push_text(LogColumn::Hostname, log.hostname.as_deref());
        self.push_text(LogColumn::SourceType, log.source_type.as_deref());
        self.push_text(LogColumn::Metadata, metadata);
        for (column, time) in [
            (LogColumn::EventTime, log.event_time),
            (LogColumn::IngestionTime, log.ingestion_time),
        ] {
            self.times[column.place()].append_value(time.timestamp_micros());
        }
        self.integers[LogColumn::Procid.place()].append_option(log.procid);
    }

    fn push_text(&mut self, column: LogColumn, text: Option<&str>) {
        self.texts[column.place()].append_option(text);
        self.bytes += text.map_or(0, str::len);
    }

    fn push_summary(&mut self, found: &CoreFields<'_>) {
        self.push_text(LogColumn::SourceIp, found.source_ip.as_deref());
        self.push_text(LogColumn::DestIp, found.dest_ip.as_deref());
        self.push_text(LogColumn::User, found.user);
        self.push_text(LogColumn::Process, found.process);
        self.push_text(LogColumn::Action, found.action);
        self.push_text(LogColumn::Outcome, found.outcome);
        self.push_text(LogColumn::Level, found.level);
        for (column, port) in [
            (LogColumn::SourcePort, found.source_port),
            (LogColumn::DestPort, found.dest_port),
        ] {
            self.integers[column.place()].append_option(port.map(i64::from));
        }
    }

    /// Adds the texts of a log by its templates. Those that do not repeat are compressed as other texts are.
    fn push_templates(&mut self, split: Split<'_>, do_repeat: bool) {
        for column in [
            LogColumn::Timestamp,
            LogColumn::Raw,
            LogColumn::Message,
            LogColumn::Normalized,
        ] {
            self.push_text(column, None);
        }
        let templates = Texts::of_together(split.together).filter(|_| do_repeat);
        let of = |text: fn(Texts<'_>) -> Option<&str>| templates.and_then(text);
        self.push_text(LogColumn::NormalizedTemplate, of(|texts| texts.normalized));
        self.push_text(LogColumn::MessageTemplate, of(|texts| texts.message));
        self.push_text(LogColumn::TimestampTemplate, of(|texts| texts.timestamp));
        self.push_text(LogColumn::Template, of(|texts| Some(texts.raw)));
        self.push_text(LogColumn::Layout, templates.is_none().then_some(split.together));
        self.push_text(LogColumn::Variables, Some(split.variables));
        self.push_text(LogColumn::Identifiers, split.identifiers);
    }

    /// Adds the texts of a log that can have no template. Its identifiers are empty, which tells it from the logs of
    /// versions that made none.
    fn push_layout(&mut self, log: &BorrowedLog<'_>, normalized: Option<&str>, memory: &mut String) {
        let layout = layout_of(log, normalized, memory);
        let unless_laid_out = |text| if layout.is_none() { text } else { None };
        self.push_text(LogColumn::Timestamp, log.timestamp.as_deref());
        self.push_text(LogColumn::Raw, unless_laid_out(log.raw.as_deref()));
        self.push_text(LogColumn::Message, log.message.as_deref());
        self.push_text(LogColumn::Normalized, unless_laid_out(normalized));
        self.push_text(LogColumn::Layout, layout);
        for column in [
            LogColumn::NormalizedTemplate,
            LogColumn::MessageTemplate,
            LogColumn::TimestampTemplate,
            LogColumn::Template,
            LogColumn::Variables,
        ] {
            self.push_text(column, None);
        }
        self.push_text(LogColumn::Identifiers, Some(""));
    }

    /// Returns the rows since the last call.
    fn finish(&mut self) -> RecordBatch {
        let columns = stored_columns().map(|column| -> ArrayRef {
            if column.is_text() {
                return finish_texts(&mut self.texts[column.place()]);
            }
            if column.is_uuid() {
                return finish_uuids(&mut self.uuids);
            }
            match column.is_time() {
                true => Arc::new(self.times[column.place()].finish()),
                false => Arc::new(self.integers[column.place()].finish()),
            }
        });
        let columns = columns.collect();
        self.bytes = 0;
        RecordBatch::try_new(Arc::clone(&ROW_SCHEMA), columns).expect("the builders are those of the schema")
    }
}

/// Returns the trigrams of the values of a chunk.
fn trigrams_of(chunk: &RecordBatch) -> Trigrams {
    let mut trigrams = Trigrams::new();
    let added = values::add_trigrams(&chunk.clone().into(), stored_columns(), &mut trigrams);
    added.expect("a chunk has all columns of values");
    trigrams
}

/// Yields the columns of a chunk of [`LogRows`].
fn stored_columns() -> impl Iterator<Item = LogColumn> + Clone {
    LogColumn::all().filter(|column| *column != LogColumn::Seq)
}

/// Returns an object as JSON text; nothing for an empty one.
fn object_text<'t>(members: &Members<'_>, text: &'t mut String) -> Option<&'t str> {
    text.clear();
    members.write_to(text).then_some(&**text)
}

/// Returns the row layout, which is stored instead of `raw` and `normalized` if it can restore them.
fn layout_of<'t>(log: &BorrowedLog<'_>, normalized: Option<&str>, layout: &'t mut String) -> Option<&'t str> {
    let columns = row_layout::Columns {
        timestamp: log.timestamp.as_deref(),
        appname: log.appname.as_deref(),
        file: log.file.as_deref(),
        host: log.host.as_deref(),
        hostname: log.hostname.as_deref(),
        message: log.message.as_deref(),
        procid: log.procid,
        source_type: log.source_type.as_deref(),
    };
    layout.clear();
    let raw = log.raw.as_deref()?;
    columns
        .encode(normalized.unwrap_or_default(), raw, layout)
        .then_some(&**layout)
}

/// Holds the columns of a chunk of [`LogRows`].
static ROW_SCHEMA: LazyLock<Arc<Schema>> =
    LazyLock::new(|| Arc::new(Schema::new(STORED_SCHEMA.fields()[1..].to_vec())));

/// Holds the columns of `log_rows`, in the order of [`LogColumn`].
static STORED_SCHEMA: LazyLock<Arc<Schema>> = LazyLock::new(|| {
    let fields = LogColumn::all().map(LogColumn::field);
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
});

/// Returns the texts so far, and leaves the builder with room for as many more.
fn finish_texts(builder: &mut StringBuilder) -> ArrayRef {
    let bytes = builder.values_slice().len();
    let next = StringBuilder::with_capacity(builder.len(), bytes + bytes / 8);
    Arc::new(std::mem::replace(builder, next).finish())
}

/// Returns the UUIDs so far, and leaves room for as many more.
fn finish_uuids(uuids: &mut Vec<Option<Uuid>>) -> ArrayRef {
    let uuids = uuids.drain(..).map(|uuid| uuid.map(Uuid::into_bytes));
    let column = FixedSizeBinaryArray::try_from_sparse_iter_with_size(uuids, log_id::LENGTH);
    Arc::new(column.expect("all UUIDs have the same length"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_to_be_stored_before_they_are_too_many() {
        let log =
            LogEntry::new(chrono::DateTime::UNIX_EPOCH).with_message("x".repeat(LogRows::ENOUGH_TEXT / 2));
        let rows = |count: usize| LogRows::new(&vec![log.clone(); count]).unwrap();
        assert!(rows(1).length_at_end() < LogRows::ENOUGH_TEXT);
        assert!(rows(2).length_at_end() >= LogRows::ENOUGH_TEXT);
        assert!(rows(5).check_length().is_err());
    }
}
