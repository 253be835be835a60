//! The SQL function that puts a text of a log together from its template.

use std::error::Error;
use std::sync::Arc;

use ::duckdb::Connection;
use ::duckdb::arrow::array::{ArrayRef, AsArray as _, RecordBatch, StringBuilder};
use ::duckdb::arrow::datatypes::{DataType, Int64Type};
use ::duckdb::vscalar::{ArrowFunctionSignature, VArrowScalar};
use chrono::DateTime;

use super::template::Placeholders;
use crate::storage::duckdb::sql::in_network::texts;

/// Names the SQL function `fill_template(template, values, event_time)`, which views of the store call.
///
/// The values are the columns, in the order of their placeholders, and the variables, with chr(31) between them; then
/// chr(30) and the identifiers. The driver copies each argument of each row, so that they are one. The time is in
/// microseconds.
const FILL_TEMPLATE: &str = "fill_template";

pub(crate) fn register(connection: &Connection) -> ::duckdb::Result<()> {
    connection.register_scalar_function::<FillTemplate>(FILL_TEMPLATE)
}

struct FillTemplate;

impl VArrowScalar for FillTemplate {
    type State = ();

    fn invoke((): &(), input: RecordBatch) -> Result<ArrayRef, Box<dyn Error>> {
        let [templates, values, times] = input.columns() else {
            return Err("there are three arguments".into());
        };
        let (templates, values) = (texts(templates)?, texts(values)?);
        let times = times
            .as_primitive_opt::<Int64Type>()
            .ok_or("a time is no number")?;
        let (mut text, mut filled) = (String::new(), StringBuilder::new());
        for row in 0..input.num_rows() {
            let Some(template) = at(&templates, row) else {
                filled.append_null();
                continue;
            };
            let event_time =
                DateTime::from_timestamp_micros(times.value(row)).ok_or("a time is out of range")?;
            let values = at(&values, row).unwrap_or_default();
            text.clear();
            Placeholders::of_values(values, event_time)
                .fill_into(template, &mut text)
                .ok_or("a template cannot be filled")?;
            filled.append_value(&text);
        }
        Ok(Arc::new(filled.finish()))
    }

    fn signatures() -> Vec<ArrowFunctionSignature> {
        let parameters = vec![DataType::Utf8, DataType::Utf8, DataType::Int64];
        vec![ArrowFunctionSignature::exact(parameters, DataType::Utf8)]
    }
}

fn at<'a>(column: &[Option<&'a str>], row: usize) -> Option<&'a str> {
    column.get(row).copied().flatten()
}
