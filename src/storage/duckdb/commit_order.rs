//! The order in which logs were committed, which is that of their sequence numbers.

use std::ops::RangeInclusive;

use ::duckdb::Connection;

use super::engine::location::Location;
use super::lake::snapshot;
use super::seq::LOGS_OF_SNAPSHOT;
use super::{error, seq};
use crate::models::InvalidValue;
use crate::storage::Result;

/// Names the source of sequence numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CommitOrder {
    /// Counts in the table `logstore`, as in a file or in memory, where one operation at a time writes.
    Counter,
    /// Uses the snapshots of a lake, one for each commit.
    ///
    /// A commit learns its snapshot only when it is done. So a log is stored with its place in the commit, and the
    /// view `log_texts` makes the sequence number from both.
    Snapshots,
}

impl CommitOrder {
    pub(super) fn of(location: &Location) -> Self {
        match location {
            Location::Memory | Location::File(_) => Self::Counter,
            Location::Lake(_) => Self::Snapshots,
        }
    }

    /// Returns SQL for a number that no log's sequence number exceeds.
    pub(super) fn end_sql(self) -> String {
        match self {
            Self::Counter => "(SELECT max(last_seq) FROM logstore)".to_owned(),
            Self::Snapshots => snapshot::end_seq_sql(),
        }
    }

    /// Returns SQL for the sequence number of which a row has a part in this column.
    ///
    /// In a lake, that is the place in the row's own commit, which is less than any sequence number of a log, or all of
    /// the number.
    pub(super) fn seq_sql(self, column: &str) -> String {
        match self {
            Self::Counter => column.to_owned(),
            Self::Snapshots => format!(
                "CASE WHEN {column} < {LOGS_OF_SNAPSHOT} THEN snapshot_id * {LOGS_OF_SNAPSHOT} + {column} \
                 ELSE {column} END"
            ),
        }
    }

    /// Returns SQL that is true of the logs with these sequence numbers, over `log_texts`. The engine reads few others.
    pub(super) fn is_within_sql(self, seqs: &RangeInclusive<i64>) -> String {
        let (first, last) = (*seqs.start(), *seqs.end());
        let is_within = format!("seq >= {first} AND seq <= {last}");
        let (from, to) = (seq::snapshot_of(first), seq::snapshot_of(last));
        match self {
            Self::Counter => is_within,
            Self::Snapshots if from == to => {
                let (first, last) = (seq::place_of(first), seq::place_of(last));
                format!("snapshot_id = {from} AND place >= {first} AND place <= {last}")
            }
            Self::Snapshots => format!("snapshot_id >= {from} AND snapshot_id <= {to} AND {is_within}"),
        }
    }

    /// Returns SQL that is true of all logs after a position, and of few others, as the engine's files allow.
    pub(super) fn is_after_sql(self, seq: i64) -> String {
        match self {
            Self::Counter => format!("seq > {seq}"),
            Self::Snapshots => format!("snapshot_id >= {}", seq::snapshot_of(seq)),
        }
    }

    /// Returns the number to store the first of some new logs with. The others count on from it.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if one commit cannot number that many logs.
    pub(super) fn first_seq(self, connection: &Connection, count: usize) -> Result<i64> {
        match self {
            Self::Counter => Ok(last_seq(connection)? + 1),
            Self::Snapshots if i64::try_from(count).is_ok_and(|count| count < LOGS_OF_SNAPSHOT) => Ok(1),
            Self::Snapshots => {
                let reason = "a lake takes 67,108,863 logs in one commit: append them in parts";
                Err(InvalidValue::new("number of logs", &count.to_string(), reason).into())
            }
        }
    }

    /// Counts logs that were stored, in the transaction that stores them.
    pub(super) fn count(self, connection: &Connection, stored: u64) -> Result<()> {
        match self {
            Self::Snapshots => Ok(()),
            Self::Counter => {
                let sql = "UPDATE logstore SET last_seq = last_seq + ?";
                let counted = connection.execute(sql, [stored]);
                counted
                    .map_err(|error| error::engine("append logs", error))
                    .map(drop)
            }
        }
    }
}

/// Reads the counter: the sequence number of the last log that was ever stored.
pub(super) fn last_seq(connection: &Connection) -> Result<i64> {
    let read = connection
        .prepare("SELECT last_seq FROM logstore")
        .and_then(|mut statement| statement.query_row([], |row| row.get(0)));
    read.map_err(|error| error::engine("read the last position", error))
}
