//! The SQL function that tests whether a text is an address of a network.

use std::error::Error;
use std::sync::Arc;

use ::duckdb::Connection;
use ::duckdb::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use ::duckdb::arrow::datatypes::DataType;
use ::duckdb::vscalar::{ArrowFunctionSignature, VArrowScalar};
use ipnet::IpNet;

use crate::models::address::{canonical_network, is_in_network};

/// Names the SQL function `in_network(address, network)`.
pub(crate) const IN_NETWORK: &str = "in_network";

pub(crate) fn register(connection: &Connection) -> ::duckdb::Result<()> {
    connection.register_scalar_function::<InNetwork>(IN_NETWORK)
}

struct InNetwork;

impl VArrowScalar for InNetwork {
    type State = ();

    fn invoke((): &(), input: RecordBatch) -> Result<ArrayRef, Box<dyn Error>> {
        let (addresses, networks) = (texts(input.column(0))?, texts(input.column(1))?);
        // The network is almost always the same in every row.
        let mut parsed: Option<(String, IpNet)> = None;
        let mut found = Vec::with_capacity(input.num_rows());
        for (address, network) in addresses.into_iter().zip(networks) {
            let (Some(address), Some(network)) = (address, network) else {
                found.push(None);
                continue;
            };
            if parsed.as_ref().is_none_or(|(text, _)| *text != network) {
                parsed = Some((network.to_owned(), canonical_network(network.parse()?)));
            }
            found.push(
                parsed
                    .as_ref()
                    .map(|(_, network)| is_in_network(network, address)),
            );
        }
        Ok(Arc::new(BooleanArray::from(found)))
    }

    fn signatures() -> Vec<ArrowFunctionSignature> {
        let parameters = vec![DataType::Utf8, DataType::Utf8];
        vec![ArrowFunctionSignature::exact(parameters, DataType::Boolean)]
    }
}

pub(crate) fn texts(column: &ArrayRef) -> Result<Vec<Option<&str>>, String> {
    match column.data_type() {
        DataType::Utf8 => Ok(column.as_string::<i32>().iter().collect()),
        DataType::LargeUtf8 => Ok(column.as_string::<i64>().iter().collect()),
        other => Err(format!("a function of texts is given {other}")),
    }
}
