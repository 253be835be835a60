//! What rules found, by day.

use ::duckdb::{Connection, Row};
use chrono::{DateTime, Utc};

use crate::models::RuleDay;
use crate::storage::Result;
use crate::storage::duckdb::error;
use crate::storage::duckdb::sql::statement::{self, Sql, time_value};

const ACTION: &str = "count what rules found";

/// Counts alerts and hits of each rule on each day.
pub(super) fn since(connection: &Connection, since: Option<DateTime<Utc>>) -> Result<Vec<RuleDay>> {
    let mut sql = Sql::new(
        "SELECT rule_id, epoch_us(date_trunc('day', seen_at)) AS day, CAST(sum(alerts) AS BIGINT), CAST(sum(matches) AS BIGINT),
            CAST(sum(hits) AS BIGINT)
        FROM (
            SELECT rule_id, coalesce(first_seen, created_at) AS seen_at, 1 AS alerts, count AS matches, 0 AS hits
            FROM alerts
            WHERE rule_id IS NOT NULL
            UNION ALL
            SELECT rule_id, event_time AS seen_at, 0, 0, 1
            FROM (SELECT DISTINCT rule_id, event_time, log_id FROM hits)
        )
        WHERE true",
    );
    sql.and("seen_at", ">=", since.map(time_value));
    sql.push("\nGROUP BY rule_id, day\nORDER BY rule_id, day");
    statement::fetch_all(connection, &sql, ACTION, rule_day)
}

fn rule_day(row: &Row<'_>) -> Result<RuleDay> {
    let failed = |error| error::engine(ACTION, error);
    let rule: String = row.get(0).map_err(failed)?;
    let day = statement::time(row.get(1).map_err(failed)?)?;
    let count = |index| -> Result<u64> {
        let count: i64 = row.get(index).map_err(failed)?;
        u64::try_from(count).map_err(|_| error::corrupt(format!("the rule {rule:?} has {count} matches")))
    };
    let mut found = RuleDay::new(&rule, day.date_naive());
    (found.alerts, found.matches, found.hits) = (count(2)?, count(3)?, count(4)?);
    Ok(found)
}
