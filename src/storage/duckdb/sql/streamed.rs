//! Presents rows that another thread reads as a table of the engine.
//!
//! The engine writes the rows to a file in the order in which they come.

use std::error::Error;
use std::sync::{Arc, Mutex};

use ::duckdb::Connection;
use ::duckdb::arrow::array::RecordBatch;
use ::duckdb::arrow::datatypes::{Schema, SchemaRef};
use ::duckdb::core::{DataChunkHandle, LogicalTypeHandle, LogicalTypeId};
use ::duckdb::vtab::{BindInfo, InitInfo, TableFunctionInfo, VTab, record_batch_to_duckdb_data_chunk};
use crossbeam_channel::Receiver;

use super::registry::{Registered, Registry};
use super::staged::{add_columns, as_json};
use crate::sync::lock;

/// Names the SQL function `streamed(key)`.
const STREAMED: &str = "streamed";

pub(crate) fn register(connection: &Connection) -> ::duckdb::Result<()> {
    connection.register_table_function::<Streamed>(STREAMED)
}

/// Holds rows that the engine can take once, until this is dropped.
pub(crate) struct StreamedRows(Registered<Source>);

/// Holds the source of the rows.
#[derive(Clone)]
pub(crate) struct Source {
    schema: SchemaRef,
    /// Holds the chunk to take before the others.
    first: Arc<Mutex<Option<RecordBatch>>>,
    chunks: Receiver<Option<RecordBatch>>,
}

static SOURCES: Registry<Source> = Registry::new();

impl StreamedRows {
    /// Returns the rows of a first chunk and of the chunks from a channel.
    ///
    /// A chunk has at most 2,048 rows. `None` means that the next rows cannot be read.
    pub(crate) fn new(first: RecordBatch, chunks: Receiver<Option<RecordBatch>>) -> Self {
        Self(SOURCES.add(Source {
            schema: schema_of(&first),
            first: Arc::new(Mutex::new(Some(first))),
            chunks,
        }))
    }

    /// Returns SQL that names these rows like a table.
    pub(crate) fn sql(&self) -> String {
        format!("{STREAMED}({})", self.0.key())
    }
}

/// Returns the columns of a chunk with the types of the tables, where some texts are JSON.
fn schema_of(chunk: &RecordBatch) -> SchemaRef {
    let schema = chunk.schema();
    let fields = schema.fields().iter().map(|field| {
        let field = field.as_ref().clone();
        match field.name().as_str() {
            "normalized" | "metadata" => as_json(field),
            _ => field,
        }
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

struct Streamed;

impl VTab for Streamed {
    type InitData = ();
    type BindData = Source;

    fn bind(bind: &BindInfo) -> Result<Self::BindData, Box<dyn Error>> {
        let key = bind.get_parameter(0).to_int64();
        let source = SOURCES.get(key).ok_or("there are no such rows")?;
        add_columns(bind, &source.schema)?;
        Ok(source)
    }

    fn init(init: &InitInfo) -> Result<(), Box<dyn Error>> {
        init.set_max_threads(1);
        Ok(())
    }

    fn func(function: &TableFunctionInfo<Self>, output: &mut DataChunkHandle) -> Result<(), Box<dyn Error>> {
        let source = function.get_bind_data();
        let first = lock(&source.first).take();
        match first.map_or_else(|| source.chunks.recv(), |first| Ok(Some(first))) {
            Ok(Some(chunk)) => record_batch_to_duckdb_data_chunk(&chunk, output),
            Ok(None) => Err("the rows cannot be read to their end".into()),
            Err(_) => {
                output.set_len(0);
                Ok(())
            }
        }
    }

    fn parameters() -> Option<Vec<LogicalTypeHandle>> {
        Some(vec![LogicalTypeId::Bigint.into()])
    }
}
