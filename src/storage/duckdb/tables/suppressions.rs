//! Suppressions.

use ::duckdb::{Connection, OptionalExt, Row, params};

use crate::models::{Filter, InvalidValue, Suppression, to_micros};
use crate::storage::duckdb::error;
use crate::storage::duckdb::sql::statement::{self, Sql, time_value};
use crate::storage::{Error, Result};

const ACTION: &str = "read the suppressions";

/// Returns all suppressions, the earliest first.
pub(super) fn all(connection: &Connection) -> Result<Vec<Suppression>> {
    const SQL: &str = "SELECT id, rule_id, filter, reason, owner, epoch_us(created_at), epoch_us(expires_at)
        FROM suppressions
        ORDER BY created_at, id";
    statement::fetch_all(connection, &Sql::new(SQL), ACTION, suppression)
}

/// Adds a suppression in the open transaction, unless there is one with its id.
pub(super) fn insert(connection: &Connection, suppression: &Suppression) -> Result<()> {
    const INSERT: &str =
        "INSERT INTO suppressions (id, rule_id, filter, reason, owner, created_at, expires_at)
        VALUES (?, ?, ?, ?, ?, ?, ?)";
    const ACTION: &str = "add a suppression";
    let failed = |error| error::engine(ACTION, error);
    if is_known(connection, &suppression.id).map_err(failed)? {
        return Ok(());
    }
    let values = params![
        suppression.id,
        suppression.rule_id,
        suppression.filter.to_string(),
        suppression.reason,
        suppression.owner,
        time_value(to_micros(suppression.created_at)),
        suppression.expires_at.map(|time| time_value(to_micros(time))),
    ];
    connection.execute(INSERT, values).map_err(failed).map(drop)
}

/// Removes suppressions in the open transaction.
pub(super) fn remove(connection: &Connection, ids: &[&str]) -> Result<()> {
    const ACTION: &str = "remove suppressions";
    let failed = |error| error::engine(ACTION, error);
    for id in ids {
        if !is_known(connection, id).map_err(failed)? {
            return Err(Error::NotFound {
                what: "suppression",
                name: (*id).to_owned(),
            });
        }
    }
    for id in ids {
        let deleted = connection.execute("DELETE FROM suppressions WHERE id = ?", [id]);
        deleted.map_err(failed)?;
    }
    Ok(())
}

fn is_known(connection: &Connection, id: &str) -> ::duckdb::Result<bool> {
    const SQL: &str = "SELECT 1 FROM suppressions WHERE id = ?";
    let found: Option<i64> = connection.query_row(SQL, [id], |row| row.get(0)).optional()?;
    Ok(found.is_some())
}

/// Returns the error of a suppression whose filter an earlier version took and this one does not.
fn refused(id: &str, error: &InvalidValue) -> InvalidValue {
    let reason = format!("{error}; remove it with logstore alerts suppress remove {id}, and add it anew");
    InvalidValue::new("suppression", id, reason)
}

fn suppression(row: &Row<'_>) -> Result<Suppression> {
    let failed = |error| error::engine(ACTION, error);
    let text = |index: usize| row.get::<_, Option<String>>(index).map_err(failed);
    let id = text(0)?.unwrap_or_default();
    let filter: Result<Filter, InvalidValue> = text(2)?.unwrap_or_default().parse();
    let filter = filter.map_err(|error| refused(&id, &error))?;
    let mut suppression = Suppression::new(text(3)?.unwrap_or_default(), filter);
    suppression.id = id;
    suppression.rule_id = text(1)?;
    suppression.owner = text(4)?;
    suppression.created_at = statement::time(row.get(5).map_err(failed)?)?;
    let expires: Option<i64> = row.get(6).map_err(failed)?;
    suppression.expires_at = expires.map(statement::time).transpose()?;
    Ok(suppression)
}
