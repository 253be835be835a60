//! Migrations: SQL with marks at the pieces that some databases take differently.
//!
//! A mark is written into the SQL as a comment: `id VARCHAR /*:key*/PRIMARY KEY/*:*/`. A database in a file takes the
//! SQL as it is. For any other, the marked pieces are replaced. Each migration states the number of its marks. So a
//! lost or misspelt mark is an error, and not a table without its keys.

use std::borrow::Cow;

use ::duckdb::Connection;

use crate::storage::Error;
use crate::storage::Result;
use crate::storage::duckdb::error;
use crate::storage::duckdb::seq::LOGS_OF_SNAPSHOT;

/// Describes a step from one version of the schema to the next.
pub(super) struct Migration {
    /// Names its file.
    pub(super) name: &'static str,
    pub(super) sql: &'static str,
    /// Counts how often each mark occurs in the SQL; a mark that is not named here does not occur.
    pub(super) marks: &'static [(Mark, usize)],
}

/// Marks a piece of a migration that some databases take differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// Marks the key of a table.
    Key,
    /// Marks the compression of a column.
    Compression,
    /// Marks the sequence number of a log, in a view.
    Seq,
    /// Marks the end of a view's columns, where a lake adds those that a sequence number is made of.
    Place,
}

impl Mark {
    const ALL: [Self; 4] = [Self::Key, Self::Compression, Self::Seq, Self::Place];

    fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Compression => "compression",
            Self::Seq => "seq",
            Self::Place => "place",
        }
    }
}

/// Names the kinds of databases, by the SQL that they take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    File,
    /// Means a file that DuckDB before 1.2 created. It keeps its format, which has no zstd.
    OldFile,
    /// Means a lake, which has no keys and no compression of single columns.
    ///
    /// The order of its commits is that of its snapshots.
    Lake,
}

impl Dialect {
    pub(super) fn of(connection: &Connection) -> ::duckdb::Result<Self> {
        const SQL: &str = "SELECT type, tags['storage_version']
            FROM duckdb_databases()
            WHERE database_name = current_database()";
        let read = connection.query_row(SQL, [], |row| Ok((row.get(0)?, row.get(1)?)));
        let (kind, format): (String, Option<String>) = read?;
        Ok(match (kind.as_str(), format.as_deref()) {
            ("ducklake", _) => Self::Lake,
            (_, Some("v1.0.0+")) => Self::OldFile,
            _ => Self::File,
        })
    }

    /// Returns the SQL that this database takes instead of a marked piece.
    fn piece(self, mark: Mark, piece: &str) -> Cow<'_, str> {
        match (self, mark) {
            (Self::OldFile | Self::Lake, Mark::Compression) => Cow::Borrowed(""),
            (Self::Lake, Mark::Key) => Cow::Borrowed("NOT NULL"),
            (Self::Lake, Mark::Seq) => {
                format!("snapshot_id * {LOGS_OF_SNAPSHOT} + log_rows.seq AS seq").into()
            }
            (Self::Lake, Mark::Place) => Cow::Borrowed(",\n    log_rows.seq AS place,\n    snapshot_id"),
            _ => piece.to_owned().into(),
        }
    }
}

impl Migration {
    /// Runs the migration in the open transaction.
    pub(super) fn run(&self, connection: &Connection, action: &'static str) -> Result<()> {
        let failed = |error| error::engine(action, error);
        let dialect = Dialect::of(connection).map_err(failed)?;
        let sql = self.sql_in(dialect).map_err(|problem| Error::Backend {
            action,
            source: problem.into(),
        })?;
        connection.execute_batch(&sql).map_err(failed)
    }

    /// Returns the SQL as a database takes it, or describes what is wrong with the marks.
    fn sql_in(&self, dialect: Dialect) -> Result<String, String> {
        let (mut sql, mut met) = (String::with_capacity(self.sql.len()), Vec::new());
        let mut rest = self.sql;
        while let Some((before, marked)) = rest.split_once("/*:") {
            let (mark, piece, after) = marked_piece(marked)
                .ok_or_else(|| format!("migration {}: a mark is unknown or does not end", self.name))?;
            sql.push_str(before);
            sql.push_str(&dialect.piece(mark, piece));
            met.push(mark);
            rest = after;
        }
        sql.push_str(rest);
        self.check(&met)?;
        Ok(sql)
    }

    fn check(&self, met: &[Mark]) -> Result<(), String> {
        for mark in Mark::ALL {
            let expected = self.marks.iter().find(|(known, _)| *known == mark);
            let expected = expected.map_or(0, |(_, count)| *count);
            let found = met.iter().filter(|other| **other == mark).count();
            if found != expected {
                let (name, mark) = (self.name, mark.name());
                return Err(format!(
                    "migration {name}: the mark {mark:?} is there {found} times, not {expected}"
                ));
            }
        }
        Ok(())
    }
}

/// Takes `key*/PRIMARY KEY/*:*/ and what follows` apart.
fn marked_piece(text: &str) -> Option<(Mark, &str, &str)> {
    let (name, rest) = text.split_once("*/")?;
    let (piece, after) = rest.split_once("/*:*/")?;
    let mark = Mark::ALL.into_iter().find(|mark| mark.name() == name)?;
    Some((mark, piece, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::duckdb::schema::MIGRATIONS;

    const DIALECTS: [Dialect; 3] = [Dialect::File, Dialect::OldFile, Dialect::Lake];

    #[test]
    fn every_mark_of_every_migration_is_met() {
        for dialect in DIALECTS {
            for migration in &MIGRATIONS {
                migration.sql_in(dialect).unwrap();
            }
        }
    }

    #[test]
    fn a_lake_is_given_nothing_that_it_does_not_have() {
        for migration in &MIGRATIONS {
            let sql = migration.sql_in(Dialect::Lake).unwrap();
            assert!(
                !sql.contains("PRIMARY KEY") && !sql.contains("COMPRESSION"),
                "{sql}"
            );
            assert_eq!(
                sql.contains("VIEW log_texts AS"),
                sql.contains("snapshot_id * 67108864")
            );
        }
    }

    #[test]
    fn a_mark_that_is_missing_unknown_or_open_is_an_error() {
        let migration = |sql| Migration {
            name: "006.sql",
            sql,
            marks: &[(Mark::Key, 1)],
        };
        let cases = [
            (
                "id VARCHAR /*:key*/PRIMARY KEY/*:*/ /*a*/",
                Ok("id VARCHAR NOT NULL /*a*/"),
            ),
            (
                "id VARCHAR PRIMARY KEY",
                Err("the mark \"key\" is there 0 times, not 1"),
            ),
            (
                "id VARCHAR /*:keys*/PRIMARY KEY/*:*/",
                Err("a mark is unknown or does not end"),
            ),
            (
                "id VARCHAR /*:key*/PRIMARY KEY",
                Err("a mark is unknown or does not end"),
            ),
            (
                "id /*:key*/PRIMARY KEY/*:*/ /*:compression*//*:*/",
                Err("the mark \"compression\" is there 1 times, not 0"),
            ),
        ];
        for (sql, expected) in cases {
            let expected = expected
                .map(str::to_owned)
                .map_err(|problem: &str| format!("migration 006.sql: {problem}"));
            assert_eq!(migration(sql).sql_in(Dialect::Lake), expected);
        }
    }
}
