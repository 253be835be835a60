//! The SQL function that puts a text of a log together from its template.

use std::error::Error;
use std::sync::Arc;

use ::duckdb::Connection;
use ::duckdb::arrow::array::{ArrayRef, AsArray as _, RecordBatch, StringBuilder};
use ::duckdb::arrow::datatypes::{DataType, Int64Type};
use ::duckdb::vscalar::{ArrowFunctionSignature, VArrowScalar};
use chrono::DateTime;

use super::template::{COLUMNS, Known, Placeholders, Times};
use crate::storage::duckdb::sql::in_network::texts;

/// Names the SQL function `fill_template(template, variables, identifiers, event_time, ...)`.
///
/// The time is in microseconds. The other arguments are the columns, in the order of their placeholders. Views of the
/// store call the function, so that the name is a part of the schema.
const FILL_TEMPLATE: &str = "fill_template";

pub(crate) fn register(connection: &Connection) -> ::duckdb::Result<()> {
    connection.register_scalar_function::<FillTemplate>(FILL_TEMPLATE)
}

struct FillTemplate;

/// Counts the arguments before the columns.
const BEFORE_COLUMNS: usize = 4;

impl VArrowScalar for FillTemplate {
    type State = ();

    fn invoke((): &(), input: RecordBatch) -> Result<ArrayRef, Box<dyn Error>> {
        let [templates, variables, identifiers, times, columns @ ..] = input.columns() else {
            return Err("there are too few arguments".into());
        };
        let (templates, variables, identifiers) = (texts(templates)?, texts(variables)?, texts(identifiers)?);
        let times = times
            .as_primitive_opt::<Int64Type>()
            .ok_or("a time is no number")?;
        let columns = columns.iter().map(texts).collect::<Result<Vec<_>, _>>()?;
        let (mut memory, mut filled) = (Times::default(), StringBuilder::new());
        for row in 0..input.num_rows() {
            let Some(template) = at(&templates, row) else {
                filled.append_null();
                continue;
            };
            let known = Known {
                columns: std::array::from_fn(|place| {
                    columns
                        .get(place)
                        .and_then(|column| at(column, row))
                        .unwrap_or_default()
                }),
                event_time: DateTime::from_timestamp_micros(times.value(row))
                    .ok_or("a time is out of range")?,
            };
            let placeholders = Placeholders::new(
                at(&variables, row).unwrap_or_default(),
                at(&identifiers, row).unwrap_or_default(),
                &known,
                &mut memory,
            );
            filled.append_value(placeholders.fill(template).ok_or("a template cannot be filled")?);
        }
        Ok(Arc::new(filled.finish()))
    }

    fn signatures() -> Vec<ArrowFunctionSignature> {
        let mut parameters = vec![DataType::Utf8; BEFORE_COLUMNS + COLUMNS];
        if let Some(time) = parameters.get_mut(BEFORE_COLUMNS - 1) {
            *time = DataType::Int64;
        }
        vec![ArrowFunctionSignature::exact(parameters, DataType::Utf8)]
    }
}

fn at<'a>(column: &[Option<&'a str>], row: usize) -> Option<&'a str> {
    column.get(row).copied().flatten()
}
