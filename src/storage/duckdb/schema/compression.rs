//! Lets the engine choose the compression of texts that few logs have.
//!
//! The columns were made for zstd, which takes four bytes even for a row without a text. Most logs have templates
//! instead of these texts. The engine chooses for each row group.

use ::duckdb::Connection;

use crate::storage::Result;
use crate::storage::duckdb::error;
use crate::storage::duckdb::sql::statement;

pub(crate) const ACTION: &str = "compress columns";

/// Returns the columns that are still compressed with zstd. They come before `uuid`, as they did when they were made.
pub(crate) fn columns_of_zstd(connection: &Connection) -> Result<Vec<String>> {
    const SQL: &str = "WITH columns AS (
            SELECT column_name AS name, column_index AS place FROM duckdb_columns()
            WHERE database_name = current_database() AND schema_name = 'main' AND table_name = 'log_rows')
        SELECT name FROM columns
        WHERE name IN ('layout', 'message', 'timestamp') AND place < (SELECT place FROM columns WHERE name = 'uuid')
        ORDER BY name";
    let columns = statement::query_all(connection, SQL, [], |row| row.get(0));
    columns.map_err(|error| error::engine(ACTION, error))
}

/// Lets the engine compress a column as it chooses. All rows of the column are read and written.
pub(crate) fn choose(connection: &Connection, column: &str) -> Result<()> {
    let sql = format!(
        "ALTER TABLE log_rows ADD COLUMN chosen VARCHAR;
        ALTER TABLE log_rows ALTER COLUMN chosen TYPE VARCHAR USING \"{column}\";
        ALTER TABLE log_rows DROP COLUMN \"{column}\";
        ALTER TABLE log_rows RENAME COLUMN chosen TO \"{column}\""
    );
    let chosen = connection.execute_batch(&sql);
    chosen.map_err(|error| error::engine(ACTION, error))
}
