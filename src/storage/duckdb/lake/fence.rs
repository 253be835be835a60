//! The fence: the catalog refuses a commit if another one came after the writer looked.
//!
//! A writer loses the commit lock without notice if the connection that holds it ends. So a writer names the snapshot
//! that its commit is to get. A trigger in the catalog's database compares that with the snapshot that the commit
//! does get, within the transaction that commits.

use ::duckdb::Connection;

use super::{CATALOG, NAME};
use crate::storage::Result;
use crate::storage::duckdb::error;
use crate::storage::duckdb::sql::statement::literal;

/// Creates the trigger and its table.
const CREATE: &str = include_str!("fence.sql");

/// Asks the catalog's database whether there is a fence.
pub(super) const IS_THERE: &str = "SELECT EXISTS (
        SELECT FROM pg_trigger
        WHERE tgrelid = to_regclass('public.ducklake_snapshot_changes') AND tgname = 'logstore_fence'
    )";

/// Lets the transaction commit only as the next one after a snapshot.
///
/// The caller has looked at that snapshot for what its commit depends on. A refused commit is a
/// [`TransactionConflict`](crate::Error::TransactionConflict).
pub(crate) fn expect_next_after(connection: &Connection, snapshot: i64) -> Result<()> {
    let sql = format!(
        "CALL ducklake_set_commit_message('{NAME}', NULL, NULL, extra_info => 'logstore:{}')",
        snapshot.saturating_add(1)
    );
    let named = connection.execute_batch(&sql);
    named.map_err(|error| error::engine("name the next snapshot", error))
}

/// Creates the fence in the open transaction.
pub(super) fn create(connection: &Connection) -> ::duckdb::Result<()> {
    connection.execute_batch(&format!(
        "CALL postgres_execute('{CATALOG}', {})",
        literal(CREATE)
    ))
}
