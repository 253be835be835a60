//! Exports logs to files for other programs.

use std::panic::resume_unwind;
use std::path::Path;
use std::thread;

use ::duckdb::arrow::array::RecordBatch;
use ::duckdb::params_from_iter;
use crossbeam_channel::{Receiver, Sender, bounded};

use super::engine::deadline::Deadline;
use super::engine::files::NewFile;
use super::engine::gate::Lease;
use super::engine::mode::Mode;
use super::error;
use super::logs::long_texts;
use super::rows::columns::LogColumn;
use super::sql::predicate;
use super::sql::statement::{self, Sql, for_each_chunk};
use super::sql::streamed::StreamedRows;
use super::store::DuckDbStore;
use super::transaction::read_transaction;
use crate::models::LogQuery;
use crate::storage::Result;

/// Names a file format that [`DuckDbStore::export_logs`] writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// Writes Apache Parquet, compressed with zstd.
    Parquet,
    /// Writes CSV with a header.
    ///
    /// Text that a spreadsheet would take for a formula is prefixed with `'`, as OWASP advises against
    /// [CSV injection]. The other formats hold such text as it is.
    ///
    /// [CSV injection]: https://owasp.org/www-community/attacks/CSV_Injection
    Csv,
    /// Writes a JSON object on each line.
    JsonLines,
}

impl ExportFormat {
    /// Lists the first characters of text that a spreadsheet takes for a formula.
    pub const FORMULA_STARTS: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

    /// Returns the options of COPY.
    fn options(self) -> &'static str {
        match self {
            // The engine keeps the rows of a row group in memory.
            Self::Parquet => "FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE_BYTES '64MB'",
            Self::Csv => "FORMAT csv, HEADER",
            Self::JsonLines => "FORMAT json",
        }
    }

    /// Returns SQL for the value of a column in this format, over `log_texts`.
    fn value(self, column: LogColumn) -> String {
        let name = format!("\"{}\"", column.name());
        match (self, column) {
            (Self::Csv, _) if column.is_text() => Self::text_in_csv(&name),
            // The engine would leave out the zone.
            (Self::Csv | Self::JsonLines, _) if column.is_time() => {
                format!("strftime({name}, '%Y-%m-%dT%H:%M:%S.%fZ') AS {name}")
            }
            // The view has it as text.
            (_, LogColumn::Normalized) => format!("CAST({name} AS JSON) AS {name}"),
            _ => name,
        }
    }

    fn text_in_csv(column: &str) -> String {
        // DuckDB 1.5.5 turns IN into a join for each column, and each join collects rows, however long they are.
        let starts = statement::literal(&String::from_iter(Self::FORMULA_STARTS));
        let first = format!("left({column}, 1)");
        let is_formula = format!("{first} <> '' AND contains({starts}, {first})");
        format!("CASE WHEN {is_formula} THEN chr(39) || {column} ELSE {column} END AS {column}")
    }
}

impl DuckDbStore {
    /// Writes the logs that a query wants to a file, in its order, and returns their number.
    ///
    /// Only its owner can read the file, which appears only when it is complete. The store must be opened with
    /// [`external_access`](crate::OpenOptions::external_access).
    ///
    /// # Errors
    ///
    /// [`Error::WriteFailed`](crate::Error::WriteFailed) if the file exists already: nothing is overwritten.
    pub fn export_logs(&self, query: &LogQuery, file: &Path, format: ExportFormat) -> Result<u64> {
        let exists = || error::not_written(file, "the file exists already: remove it or name another");
        if file.exists() {
            return Err(exists());
        }
        let new = NewFile::beside(file)?;
        let path = new.path();
        let name = path
            .to_str()
            .ok_or_else(|| error::not_written(file, "its name is not UTF-8"))?;
        let order = self.commit_order();
        let is_measured =
            self.read(|connection| Ok(long_texts::need_measuring(order, connection, self.log_texts)))?;
        let columns: Vec<String> = LogColumn::all()
            .filter(|column| !column.is_of_row())
            .map(|column| format.value(column))
            .collect();
        let columns = columns.join(", ");
        let to = format!("TO {} ({})", statement::literal(name), format.options());
        let written = match is_measured {
            true => self.export_in_parts(query, &columns, file, &to),
            false => self.export_at_once(query, &columns, file, &to),
        }?;
        match new.persist()? {
            true => Ok(written),
            false => Err(exists()),
        }
    }

    fn export_at_once(&self, query: &LogQuery, columns: &str, file: &Path, to: &str) -> Result<u64> {
        let mut sql = Sql::new(format!("COPY (SELECT {columns} FROM {}", self.log_texts));
        sql.append(predicate::page_clause(query));
        sql.append(predicate::order_and_limit(query));
        sql.push(&format!(") {to}"));
        self.read_in_time(|connection| {
            let copied = connection.execute(&sql.text, params_from_iter(&sql.values));
            let copied = copied.map_err(|error| error::export_failure(file, error))?;
            Ok(copied as u64)
        })
    }

    /// Exports logs whose texts are too long to be sorted together. Another connection reads them in their order.
    fn export_in_parts(&self, query: &LogQuery, columns: &str, file: &Path, to: &str) -> Result<u64> {
        let reading = self.lease(Mode::Read)?.for_one_use();
        let (sender, chunks) = bounded(1);
        let running = reading.connection().interrupt_handle();
        let deadline = Deadline::start(self.query_timeout, move || running.interrupt())?;
        thread::scope(|scope| {
            let reader = scope.spawn(move || {
                let read = read_in_parts(&reading, query, columns, self.log_texts, &sender);
                let read = Deadline::judge(deadline, read);
                if read.is_err() {
                    // A writer that has failed is gone.
                    sender.send(None).ok();
                }
                read
            });
            let written = self.export_from(chunks, columns, file, to);
            let read = reader.join().unwrap_or_else(|panic| resume_unwind(panic));
            // The first error is the cause.
            read.and(written)
        })
    }

    fn export_from(
        &self,
        chunks: Receiver<Option<RecordBatch>>,
        columns: &str,
        file: &Path,
        to: &str,
    ) -> Result<u64> {
        let Ok(Some(first)) = chunks.recv() else {
            return self.export_at_once(&LogQuery::new().limit(0), columns, file, to);
        };
        let rows = StreamedRows::new(first, chunks);
        self.read(|connection| {
            let copied = connection.execute(&format!("COPY (FROM {}) {to}", rows.sql()), []);
            let copied = copied.map_err(|error| error::export_failure(file, error))?;
            Ok(copied as u64)
        })
    }
}

/// Sends the logs that a query finds, in its order, until the receiver is gone.
fn read_in_parts(
    reading: &Lease,
    query: &LogQuery,
    columns: &str,
    log_texts: &str,
    taker: &Sender<Option<RecordBatch>>,
) -> Result<()> {
    read_transaction(reading.connection(), "export logs", |connection| {
        for part in long_texts::cut(connection, query, columns, log_texts)? {
            let mut is_wanted = true;
            for_each_chunk(connection, &part, |chunk| {
                let mut pieces = long_texts::pieces(chunk).map(RecordBatch::from);
                is_wanted = pieces.all(|piece| taker.send(Some(piece)).is_ok());
                Ok(is_wanted)
            })?;
            if !is_wanted {
                break;
            }
        }
        Ok(())
    })
}
