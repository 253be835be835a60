//! Statistics.

use ::duckdb::Connection;

use crate::models::TIME_SOURCE;
use crate::storage::FileLogs;

/// Returns the number of logs without a time of their own, and the files that most of them are from.
pub(crate) fn without_time(connection: &Connection) -> ::duckdb::Result<(u64, Vec<FileLogs>)> {
    // Most metadata is NULL. JSON is parsed only if its text contains the name.
    let sql = format!(
        "SELECT file, count(*) AS logs, CAST(sum(count(*)) OVER () AS BIGINT) AS all_logs
        FROM logs
        WHERE contains(CAST(metadata AS VARCHAR), '\"{TIME_SOURCE}\"')
            AND json_extract(metadata, '$.{TIME_SOURCE}') IS NOT NULL
        GROUP BY file
        ORDER BY logs DESC, file NULLS FIRST
        LIMIT {}",
        FileLogs::MOST
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    let (mut all, mut files) = (0, Vec::new());
    while let Some(row) = rows.next()? {
        all = row.get(2)?;
        files.push(FileLogs {
            file: row.get(0)?,
            logs: row.get(1)?,
        });
    }
    Ok((all, files))
}
