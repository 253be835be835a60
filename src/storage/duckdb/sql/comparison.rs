//! The SQL function that orders values by their meaning: numbers, times, addresses and levels.

use std::cmp::Ordering;
use std::error::Error;
use std::sync::Arc;

use ::duckdb::Connection;
use ::duckdb::arrow::array::{ArrayRef, Int32Array, RecordBatch};
use ::duckdb::arrow::datatypes::DataType;
use ::duckdb::vscalar::{ArrowFunctionSignature, VArrowScalar};

use super::in_network;
use crate::models::Operand;

/// Names the SQL function `order_of(value, operand)`, which returns -1, 0 or 1.
///
/// It returns NULL for a value that is not of the operand's kind.
pub(crate) const ORDER_OF: &str = "order_of";

pub(crate) fn register(connection: &Connection) -> ::duckdb::Result<()> {
    connection.register_scalar_function::<OrderOf>(ORDER_OF)
}

struct OrderOf;

impl VArrowScalar for OrderOf {
    type State = ();

    fn invoke((): &(), input: RecordBatch) -> Result<ArrayRef, Box<dyn Error>> {
        let (values, operands) = (
            in_network::texts(input.column(0))?,
            in_network::texts(input.column(1))?,
        );
        // The operand is the same in every row of a query.
        let mut parsed: Option<(&str, Operand)> = None;
        let mut orders = Vec::with_capacity(input.num_rows());
        for (value, operand) in values.into_iter().zip(operands) {
            let (Some(value), Some(operand)) = (value, operand) else {
                orders.push(None);
                continue;
            };
            if parsed.as_ref().is_none_or(|(text, _)| *text != operand) {
                parsed = Some((operand, operand.parse()?));
            }
            let order = parsed.as_ref().and_then(|(_, operand)| operand.order_of(value));
            orders.push(order.map(number));
        }
        Ok(Arc::new(Int32Array::from(orders)))
    }

    fn signatures() -> Vec<ArrowFunctionSignature> {
        let parameters = vec![DataType::Utf8, DataType::Utf8];
        vec![ArrowFunctionSignature::exact(parameters, DataType::Int32)]
    }
}

fn number(order: Ordering) -> i32 {
    match order {
        Ordering::Less => -1,
        Ordering::Equal => 0,
        Ordering::Greater => 1,
    }
}
