//! Presents rows that wait to be inserted as a table of the engine.
//!
//! All threads of the engine read them together, and each thread compresses and writes the rows that it has read.

use std::collections::HashMap;
use std::error::Error;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

use ::duckdb::Connection;
use ::duckdb::arrow::array::{
    Array as _, ArrayRef, BooleanArray, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use ::duckdb::arrow::datatypes::{Field, Schema};
use ::duckdb::arrow::error::ArrowError;
use ::duckdb::core::{DataChunkHandle, LogicalTypeHandle, LogicalTypeId};
use ::duckdb::vtab::{
    BindInfo, InitInfo, TableFunctionInfo, VTab, record_batch_to_duckdb_data_chunk,
    to_duckdb_logical_type_for_field,
};

use chrono::{DateTime, Utc};

use super::registry::{Registered, Registry};
use crate::storage::duckdb::error;
use crate::sync::lock;

/// Names the SQL function `staged(key)`.
const STAGED: &str = "staged";

/// Counts the rows that the engine takes at a time.
pub(crate) const CHUNK_ROWS: usize = 2_048;

/// Counts the rows that the engine compresses and writes as one.
pub(crate) const ROW_GROUP: usize = 122_880;

/// Counts the chunks of one row group. A thread takes them together, so that row groups span short times.
const RUN: usize = ROW_GROUP / CHUNK_ROWS;

/// Names the key in the metadata of a column for the engine's name of its type.
const TYPE_ALIAS: &str = "type_alias";

/// Holds the key and the value that Arrow's specification gives a column of UUIDs in its metadata.
const UUID_MARK: (&str, &str) = ("ARROW:extension:name", "arrow.uuid");

/// Returns a column of texts that are known to be JSON, so that the engine need not check them.
pub(crate) fn as_json(field: Field) -> Field {
    field.with_metadata(HashMap::from([(TYPE_ALIAS.into(), "JSON".into())]))
}

/// Returns a column of UUIDs, each as 16 bytes.
pub(crate) fn as_uuid(field: Field) -> Field {
    field.with_metadata(HashMap::from([(UUID_MARK.0.into(), UUID_MARK.1.into())]))
}

pub(crate) fn register(connection: &Connection) -> ::duckdb::Result<()> {
    connection.register_table_function::<Staged>(STAGED)
}

/// Holds rows that the engine can read until this is dropped.
pub(crate) struct StagedRows(Registered<Rows>);

type Rows = Arc<Vec<RecordBatch>>;

static ROWS: Registry<Rows> = Registry::new();

impl StagedRows {
    /// Stages one or more chunks of at most [`CHUNK_ROWS`] rows each.
    pub(crate) fn new(chunks: Vec<RecordBatch>) -> Self {
        Self(ROWS.add(Arc::new(chunks)))
    }

    /// Stages rows, of which there is at least one: `columns` returns the names and values of the columns of a chunk.
    ///
    /// The columns `metadata` and `tags` are known to be JSON.
    pub(crate) fn of<T>(
        action: &'static str,
        rows: &[T],
        columns: impl Fn(&[T]) -> Vec<(&'static str, ArrayRef)>,
    ) -> crate::storage::Result<Self> {
        let chunks = rows.chunks(CHUNK_ROWS).map(|chunk| record_batch(columns(chunk)));
        let chunks = chunks.collect::<Result<_, _>>();
        let chunks = chunks.map_err(|error| crate::storage::Error::Backend {
            action,
            source: error.into(),
        })?;
        Ok(Self::new(chunks))
    }

    /// Stages one column of texts, of which there is at least one.
    pub(crate) fn of_texts<'a>(
        action: &'static str,
        column: &'static str,
        values: impl Iterator<Item = &'a str>,
    ) -> crate::storage::Result<Self> {
        let values: Vec<&str> = values.collect();
        Self::of(action, &values, |values| {
            vec![(column, texts(values.iter().copied().map(Some)))]
        })
    }

    /// Inserts the rows into a table, whose columns have their names, in the open transaction.
    pub(crate) fn insert_into(
        &self,
        connection: &Connection,
        action: &'static str,
        table: &str,
        columns: &str,
    ) -> crate::storage::Result<()> {
        let sql = format!(
            "INSERT INTO {table} ({columns}) SELECT {columns} FROM {}",
            self.sql()
        );
        let inserted = connection.execute(&sql, []);
        inserted.map_err(|error| error::engine(action, error)).map(drop)
    }

    /// Returns SQL that names these rows like a table.
    pub(crate) fn sql(&self) -> String {
        format!("{STAGED}({})", self.0.key())
    }
}

fn record_batch(columns: Vec<(&str, ArrayRef)>) -> Result<RecordBatch, ArrowError> {
    let (fields, columns): (Vec<Field>, Vec<ArrayRef>) = columns
        .into_iter()
        .map(|(name, column)| {
            let field = Field::new(name, column.data_type().clone(), true);
            let is_json = ["metadata", "tags"].contains(&name);
            (if is_json { as_json(field) } else { field }, column)
        })
        .unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// Returns a column of texts.
pub(crate) fn texts<'a>(texts: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(texts.collect::<StringArray>())
}

/// Returns a column of flags.
pub(crate) fn flags(flags: impl Iterator<Item = bool>) -> ArrayRef {
    Arc::new(flags.map(Some).collect::<BooleanArray>())
}

/// Returns a column of times.
pub(crate) fn times(times: impl Iterator<Item = Option<DateTime<Utc>>>) -> ArrayRef {
    let micros = times.map(|time| time.map(|time| time.timestamp_micros()));
    Arc::new(micros.collect::<TimestampMicrosecondArray>())
}

/// Declares the columns of a table function.
pub(crate) fn add_columns(bind: &BindInfo, schema: &Schema) -> Result<(), Box<dyn Error>> {
    for field in schema.fields() {
        let mut column_type = to_duckdb_logical_type_for_field(field)?;
        if let Some(alias) = field.metadata().get(TYPE_ALIAS) {
            column_type.set_alias(alias);
        }
        bind.add_result_column(field.name(), column_type);
    }
    Ok(())
}

struct Staged;

/// Says which thread has which chunks.
#[derive(Default)]
struct Taken {
    runs: usize,
    of_thread: HashMap<ThreadId, Range<usize>>,
}

impl Taken {
    /// Returns the next chunk of this thread's run, else the first one of a run that no thread has.
    fn next(&mut self) -> usize {
        let run = self.of_thread.entry(thread::current().id()).or_default();
        run.next().unwrap_or_else(|| {
            let start = self.runs * RUN;
            self.runs += 1;
            *run = start + 1..start + RUN;
            start
        })
    }
}

impl VTab for Staged {
    type InitData = Mutex<Taken>;
    type BindData = Rows;

    fn bind(bind: &BindInfo) -> Result<Rows, Box<dyn Error>> {
        let key = bind.get_parameter(0).to_int64();
        let rows = ROWS.get(key).ok_or("there are no such rows")?;
        add_columns(bind, rows.first().ok_or("there are no rows")?.schema_ref())?;
        let count: usize = rows.iter().map(RecordBatch::num_rows).sum();
        bind.set_cardinality(count as u64, true);
        Ok(rows)
    }

    fn init(init: &InitInfo) -> Result<Mutex<Taken>, Box<dyn Error>> {
        // The engine sets a limit of its own.
        init.set_max_threads(u64::from(u16::MAX));
        Ok(Mutex::default())
    }

    fn func(function: &TableFunctionInfo<Self>, output: &mut DataChunkHandle) -> Result<(), Box<dyn Error>> {
        let next = lock(function.get_init_data()).next();
        match function.get_bind_data().get(next) {
            Some(chunk) => record_batch_to_duckdb_data_chunk(chunk, output),
            None => {
                output.set_len(0);
                Ok(())
            }
        }
    }

    fn parameters() -> Option<Vec<LogicalTypeHandle>> {
        Some(vec![LogicalTypeId::Bigint.into()])
    }
}
