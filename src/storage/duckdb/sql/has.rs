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

/// Counts the texts of [`arguments`].
pub(crate) const TEXTS: usize = BEFORE_COLUMNS.len() + COLUMN_TEXTS;

/// Counts those of them that are columns, which come last.
pub(crate) const COLUMN_TEXTS: usize = LAID_OUT.len() - 1 + MORE.len();

/// Holds SQL for what has all texts of a log but its columns, over `log_texts`.
const BEFORE_COLUMNS: [&str; 8] = [
    "CASE WHEN variables IS NULL THEN layout END",
    "stored_raw",
    "stored_normalized",
    "metadata",
    "CASE WHEN variables IS NULL THEN NULL WHEN template IS NULL THEN layout ELSE concat(normalized_template, chr(30),
        message_template, chr(30), timestamp_template, chr(30), template) END",
    "variables",
    "identifiers",
    "epoch_us(event_time)",
];

/// Holds SQL for the texts that a row layout is filled from: itself, and the columns whose values it leaves out.
pub(crate) const LAID_OUT: [&str; 9] = [
    "layout",
    "stored_message",
    "stored_timestamp",
    "host",
    "hostname",
    "appname",
    "file",
    "source_type",
    "CAST(procid AS VARCHAR)",
];

/// Holds SQL for the other columns whose values a template leaves out.
const MORE: [&str; 6] = [
    "source_ip",
    "dest_ip",
    "\"user\"",
    "CAST(source_port AS VARCHAR)",
    "CAST(dest_port AS VARCHAR)",
    "stored_id",
];

/// Holds SQL for what the texts of a log with templates are made of, besides these, identifiers, addresses and numbers.
/// Templates that do not repeat are in the layout.
pub(crate) const IN_TEMPLATES: [&str; 9] = [
    "layout",
    "variables",
    "host",
    "hostname",
    "appname",
    "file",
    "source_type",
    "\"user\"",
    "stored_id",
];

/// Holds SQL for the addresses that a template is filled from.
pub(crate) const ADDRESSES: [&str; 2] = ["source_ip", "dest_ip"];

/// Holds SQL for the numbers that a template is filled from.
pub(crate) const NUMBERS: [&str; 3] = [
    "CAST(procid AS VARCHAR)",
    "CAST(source_port AS VARCHAR)",
    "CAST(dest_port AS VARCHAR)",
];

/// Returns SQL for the stored texts of a log that may have an address as it is written: identifiers have no dots and no
/// colons.
pub(crate) fn texts_of_addresses() -> impl Iterator<Item = &'static str> {
    let others = [
        "stored_raw",
        "stored_normalized",
        "metadata",
        "stored_message",
        "stored_timestamp",
        "template",
        "normalized_template",
        "message_template",
        "timestamp_template",
    ];
    others.into_iter().chain(IN_TEMPLATES).chain(ADDRESSES)
}

/// Returns SQL for the texts of a log as arguments. None of them is NULL, as the engine would not ask the function then.
pub(crate) fn arguments() -> String {
    let [_, columns @ ..] = LAID_OUT;
    let texts = BEFORE_COLUMNS.into_iter().chain(columns).chain(MORE);
    let arguments = texts.map(|text| format!("coalesce(CAST({text} AS VARCHAR), '')"));
    arguments.collect::<Vec<_>>().join(", ")
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
