//! Registers the SQL functions that this store uses beyond those of the engine.

use ::duckdb::Connection;

use super::rows::{fill_template, log_has};
use super::sql::{comparison, has, in_network, sought, staged, streamed};

/// Registers the functions in an engine.
pub(crate) fn register(connection: &Connection) -> ::duckdb::Result<()> {
    in_network::register(connection)?;
    comparison::register(connection)?;
    has::register(connection)?;
    log_has::register(connection)?;
    sought::register(connection)?;
    fill_template::register(connection)?;
    staged::register(connection)?;
    streamed::register(connection)
}
