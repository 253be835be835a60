//! The SQL function that tests whether a text has a value as a whole, and what the one for logs shares with it.

use std::error::Error;
use std::sync::Arc;

use ::duckdb::Connection;
use ::duckdb::arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use ::duckdb::arrow::datatypes::DataType;
use ::duckdb::vscalar::{ArrowFunctionSignature, VArrowScalar};

use super::in_network::texts;
use crate::models::{Needle, NeedleFinder};

/// Names the SQL function `has(text, value)`.
pub(crate) const HAS: &str = "has";

/// Names the SQL function `log_has(value, ...)`, whose other arguments are [`arguments`].
pub(crate) const LOG_HAS: &str = "log_has";

/// Holds SQL for the texts of a log as they are stored, over `log_texts`: the layout, those that it replaces, the
/// metadata, and the columns whose values it leaves out.
pub(crate) const TEXTS: [&str; 12] = [
    "layout",
    "stored_raw",
    "stored_normalized",
    "metadata",
    "message",
    "\"timestamp\"",
    "host",
    "hostname",
    "appname",
    "file",
    "source_type",
    "CAST(procid AS VARCHAR)",
];

/// Counts the texts that are no columns whose values a row layout leaves out.
const BEFORE_COLUMNS: usize = 4;

/// Returns SQL for the columns whose values a row layout leaves out.
pub(crate) fn layout_columns() -> &'static [&'static str] {
    TEXTS.get(BEFORE_COLUMNS..).unwrap_or_default()
}

/// Returns SQL for [`TEXTS`] as arguments. None of them is NULL, as the engine would not ask the function then.
pub(crate) fn arguments() -> String {
    TEXTS
        .map(|text| format!("coalesce(CAST({text} AS VARCHAR), '')"))
        .join(", ")
}

pub(crate) fn register(connection: &Connection) -> ::duckdb::Result<()> {
    connection.register_scalar_function::<Has>(HAS)
}

struct Has;

impl VArrowScalar for Has {
    type State = ();

    fn invoke((): &(), input: RecordBatch) -> Result<ArrayRef, Box<dyn Error>> {
        let (searched, values) = (texts(input.column(0))?, texts(input.column(1))?);
        let mut needles = Needles::default();
        let found = searched.into_iter().zip(values).map(|(text, value)| {
            let Some((text, value)) = text.zip(value) else {
                return Ok(None);
            };
            Ok(Some(needles.of(value)?.needle().is_in(text)))
        });
        let found = found.collect::<Result<BooleanArray, Box<dyn Error>>>()?;
        Ok(Arc::new(found))
    }

    fn signatures() -> Vec<ArrowFunctionSignature> {
        let parameters = vec![DataType::Utf8; 2];
        vec![ArrowFunctionSignature::exact(parameters, DataType::Boolean)]
    }
}

/// Keeps the needle of the last value, which is almost always the same in every row.
#[derive(Default)]
pub(crate) struct Needles {
    last: Option<(String, NeedleFinder)>,
}

impl Needles {
    pub(crate) fn of(&mut self, value: &str) -> Result<&NeedleFinder, Box<dyn Error>> {
        let last = match self.last.take() {
            Some(last) if last.0 == value => last,
            _ => (value.to_owned(), NeedleFinder::new(Needle::new(value)?)),
        };
        Ok(&self.last.insert(last).1)
    }
}
