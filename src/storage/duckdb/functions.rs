//! The functions that SQL of this store uses beyond those of the engine.

use ::duckdb::Connection;

use super::{comparison, network, staged, streamed};

/// Gives them to an engine.
pub(super) fn register(connection: &Connection) -> ::duckdb::Result<()> {
    network::register(connection)?;
    comparison::register(connection)?;
    staged::register(connection)?;
    streamed::register(connection)
}
