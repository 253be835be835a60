//! Threat intelligence.

use std::collections::HashMap;
use std::sync::Arc;

use ::duckdb::arrow::array::{Array as _, ArrayRef, Float64Array, StringArray, StructArray};
use ::duckdb::{Connection, Row, params, params_from_iter};
use chrono::{DateTime, Utc};

use crate::models::{Indicator, IndicatorType, IntelQuery, IntelSummary, ThreatIntel};
use crate::storage::duckdb::engine::mode::Mode;
use crate::storage::duckdb::error;
use crate::storage::duckdb::rows::decode;
use crate::storage::duckdb::sql::staged::{self, StagedRows};
use crate::storage::duckdb::sql::statement::{self, Sql, time_value};
use crate::storage::duckdb::store::DuckDbStore;
use crate::storage::{Error, IntelStore, Result};

/// Stores rows that are staged as `new`, with the number of their import.
const UPSERT: &str = "
MERGE INTO threat_intel AS known
USING (SELECT *, CAST(? AS BIGINT) AS import_number FROM {staged}) AS new
ON known.id = new.id
WHEN MATCHED THEN UPDATE SET
    -- The same as `ThreatIntel::adds_to`.
    import_number = CASE
        WHEN known.expires_at <= new.created_at
            OR known.threat_type = 'benign' AND new.threat_type <> 'benign'
            OR known.indicator_type <> new.indicator_type
            OR known.indicator_value <> new.indicator_value
        THEN new.import_number
        ELSE known.import_number
    END,
    indicator_type = new.indicator_type, indicator_value = new.indicator_value,
    threat_type = new.threat_type, confidence = new.confidence, source = new.source, metadata = new.metadata,
    created_at = new.created_at, expires_at = new.expires_at
WHEN NOT MATCHED THEN INSERT (id, indicator_type, indicator_value, threat_type, confidence, source, metadata,
    created_at, expires_at, import_number)
    VALUES (new.id, new.indicator_type, new.indicator_value, new.threat_type, new.confidence, new.source, new.metadata,
    new.created_at, new.expires_at, new.import_number)";

/// Returns a number that is greater than those of all imports before, also of those whose intelligence was deleted: no
/// consumer has looked back for it.
const NEXT_IMPORT: &str = "
SELECT greatest(
    coalesce((SELECT max(import_number) FROM threat_intel), 0),
    coalesce((SELECT max(target) FROM lookbacks), 0)
) + 1";

/// Lets the intelligence of a source expire at a time, unless it expires earlier.
const EXPIRE: &str = "
UPDATE threat_intel SET expires_at = $2 WHERE source = $1 AND coalesce(expires_at, 'infinity') > $2";

const SELECT: &str = "
SELECT id, indicator_type, indicator_value, threat_type, confidence, source, CAST(metadata AS VARCHAR),
    epoch_us(created_at), epoch_us(expires_at)
FROM threat_intel
WHERE true";

const SUMMARIES: &str = "
SELECT indicator_type, indicator_value, threat_type, source, confidence, epoch_us(created_at), epoch_us(expires_at)
FROM threat_intel";

impl IntelStore for DuckDbStore {
    fn upsert_intel(&self, intel: &[ThreatIntel]) -> Result<()> {
        const ACTION: &str = "store threat intelligence";
        intel.iter().try_for_each(ThreatIntel::validate)?;
        if intel.is_empty() {
            return Ok(());
        }
        let last = last_of_each_id(intel);
        self.write(ACTION, |connection| upsert(connection, &last))
    }

    fn replace_intel(&self, source: &str, intel: &[ThreatIntel], time: DateTime<Utc>) -> Result<u64> {
        const ACTION: &str = "replace threat intelligence";
        intel.iter().try_for_each(ThreatIntel::validate)?;
        let last = last_of_each_id(intel);
        self.write(ACTION, |connection| {
            upsert(connection, &last)?;
            let said = match intel {
                [] => None,
                _ => Some(StagedRows::of_texts(
                    ACTION,
                    "id",
                    intel.iter().map(|intel| intel.id.as_str()),
                )?),
            };
            let unsaid = said
                .as_ref()
                .map(|said| format!(" AND id NOT IN (SELECT id FROM {})", said.sql()));
            let sql = format!("{EXPIRE}{}", unsaid.unwrap_or_default());
            let expired = connection.execute(&sql, params![source, time_value(time)]);
            let expired = expired.map_err(|error| error::engine(ACTION, error))?;
            Ok(expired as u64)
        })
    }

    fn fetch_intel(&self, query: &IntelQuery) -> Result<Vec<ThreatIntel>> {
        let sql = select(query);
        self.read(|connection| statement::fetch_all(connection, &sql, "fetch threat intelligence", intel_of))
    }

    fn last_import(&self) -> Result<u64> {
        const SQL: &str = "SELECT coalesce(max(import_number), 0) FROM threat_intel";
        self.read(|connection| {
            let last = connection.query_row(SQL, [], |row| row.get(0));
            last.map_err(|error| error::engine("look at threat intelligence", error))
        })
    }

    fn read_intel(&self, after: u64, take: &mut dyn FnMut(IntelSummary<'_>)) -> Result<()> {
        const ACTION: &str = "read threat intelligence";
        // A retry would give pieces twice.
        let lease = self.lease(Mode::Read)?;
        let failed = |error| error::engine(ACTION, error);
        let mut sql = Sql::new(SUMMARIES);
        if after > 0 {
            sql.push("\nWHERE import_number > ");
            sql.bind(i64::try_from(after).unwrap_or(i64::MAX));
        }
        let read = statement::for_each_chunk_or(lease.connection(), &sql, failed, |chunk| {
            give_summaries(&chunk, take).map(|()| true)
        });
        self.after_failure(read)
    }

    fn intel_version(&self) -> Result<u64> {
        // Rows may come in any order, and none is there twice.
        const SQL: &str = "
            SELECT coalesce(bit_xor(hash(id, threat_type, confidence, created_at, expires_at)), 0)
            FROM threat_intel";
        self.read(|connection| {
            let version = connection.query_row(SQL, [], |row| row.get(0));
            version.map_err(|error| error::engine("look at threat intelligence", error))
        })
    }

    fn expire_intel(&self, time: DateTime<Utc>) -> Result<u64> {
        let mut sql = Sql::new("DELETE FROM threat_intel WHERE expires_at <= ");
        sql.bind(time_value(time));
        self.write("expire threat intelligence", |connection| {
            let deleted = connection.execute(&sql.text, params_from_iter(&sql.values));
            let deleted = deleted.map_err(|error| error::engine("expire threat intelligence", error))?;
            Ok(deleted as u64)
        })
    }
}

/// Limits the rows of a statement, which are in memory. Each statement looks for its ids among all that are stored.
const ROWS_OF_STATEMENT: usize = 200_000;

/// Returns the pieces to store: of several with one id the last counts.
fn last_of_each_id(intel: &[ThreatIntel]) -> Vec<&ThreatIntel> {
    let last: HashMap<&str, &ThreatIntel> = intel.iter().map(|intel| (intel.id.as_str(), intel)).collect();
    last.into_values().collect()
}

/// Stores pieces that have an id each. The rows of one statement at a time are in memory.
fn upsert(connection: &Connection, intel: &[&ThreatIntel]) -> Result<()> {
    const ACTION: &str = "store threat intelligence";
    let failed = |error| error::engine(ACTION, error);
    let import: i64 = connection
        .query_row(NEXT_IMPORT, [], |row| row.get(0))
        .map_err(failed)?;
    for intel in intel.chunks(ROWS_OF_STATEMENT) {
        let rows = StagedRows::of(ACTION, intel, columns)?;
        let stored = connection.execute(&UPSERT.replace("{staged}", &rows.sql()), [import]);
        stored.map_err(failed)?;
    }
    Ok(())
}

/// Returns the columns of threat intelligence as [`UPSERT`] reads them.
fn columns(intel: &[&ThreatIntel]) -> Vec<(&'static str, ArrayRef)> {
    let text = |text: fn(&ThreatIntel) -> &str| staged::texts(intel.iter().map(|intel| Some(text(intel))));
    let values: StringArray = intel
        .iter()
        .map(|intel| Some(intel.indicator.to_string()))
        .collect();
    let metadata: StringArray = intel
        .iter()
        .map(|intel| statement::json_text(&intel.metadata))
        .collect();
    let confidence: Float64Array = intel.iter().map(|intel| Some(intel.confidence)).collect();
    vec![
        ("id", text(|intel| &intel.id)),
        (
            "indicator_type",
            text(|intel| intel.indicator.indicator_type().as_str()),
        ),
        ("indicator_value", Arc::new(values)),
        ("threat_type", text(|intel| &intel.threat_type)),
        ("confidence", Arc::new(confidence)),
        ("source", text(|intel| &intel.source)),
        ("metadata", Arc::new(metadata)),
        (
            "created_at",
            staged::times(intel.iter().map(|intel| Some(intel.created_at))),
        ),
        (
            "expires_at",
            staged::times(intel.iter().map(|intel| intel.expires_at)),
        ),
    ]
}

fn select(query: &IntelQuery) -> Sql {
    let mut sql = Sql::new(SELECT);
    sql.and_equals("indicator_type", query.indicator_type.map(type_name));
    if !query.indicators.is_empty() {
        // The engine leaves out row groups by the values.
        sql.push("\nAND indicator_value IN (");
        sql.bind_all(query.indicators.iter().map(ToString::to_string));
        sql.push(") AND concat(indicator_type, ' ', indicator_value) IN (");
        sql.bind_all(query.indicators.iter().map(typed));
        sql.push(")");
    }
    sql.and_equals("source", query.source.clone());
    sql.and("confidence", ">=", query.min_confidence);
    // Intelligence that never expires is valid at any time.
    sql.and(
        "coalesce(expires_at, 'infinity')",
        ">",
        query.valid_at.map(time_value),
    );
    sql.push("\nORDER BY id");
    sql.limit(query.limit);
    sql
}

/// Gives the rows of a chunk of [`SUMMARIES`] to `take`.
fn give_summaries(chunk: &StructArray, take: &mut dyn FnMut(IntelSummary<'_>)) -> Result<()> {
    let [types, values, threat_types, sources] = [0, 1, 2, 3].map(|index| decode::Texts::new(chunk, index));
    let (types, values, threat_types, sources) = (types?, values?, threat_types?, sources?);
    let confidence = decode::doubles(chunk, 4)?;
    let (created, expires) = (decode::integers(chunk, 5)?, decode::integers(chunk, 6)?);
    for row in 0..chunk.len() {
        let value = values.get(row).unwrap_or_default();
        let damaged = |error| error::corrupt(format!("threat intelligence {value:?}: {error}"));
        let indicator_type: IndicatorType = types.get(row).unwrap_or_default().parse().map_err(damaged)?;
        let expires_at = expires.is_valid(row).then(|| statement::time(expires.value(row)));
        take(IntelSummary {
            indicator: Indicator::new(indicator_type, value).map_err(damaged)?,
            threat_type: threat_types.get(row).unwrap_or_default(),
            source: sources.get(row).unwrap_or_default(),
            confidence: confidence.value(row),
            created_at: statement::time(created.value(row))?,
            expires_at: expires_at.transpose()?,
        });
    }
    Ok(())
}

/// Returns an indicator with its type.
fn typed(indicator: &Indicator) -> String {
    format!("{} {indicator}", indicator.indicator_type().as_str())
}

fn type_name(indicator_type: IndicatorType) -> String {
    indicator_type.as_str().to_owned()
}

fn intel_of(row: &Row<'_>) -> Result<ThreatIntel> {
    let failed = |error| error::engine("fetch threat intelligence", error);
    let text = |index: usize| {
        let text: Option<String> = row.get(index).map_err(failed)?;
        Ok::<_, Error>(text.unwrap_or_default())
    };
    let id = text(0)?;
    let damaged = |error| error::corrupt(format!("threat intelligence {id:?}: {error}"));
    let indicator_type = text(1)?.parse().map_err(damaged)?;
    let indicator = Indicator::new(indicator_type, &text(2)?).map_err(damaged)?;
    let mut intel = ThreatIntel::new(indicator, text(3)?, text(5)?);
    intel.id.clone_from(&id);
    intel.confidence = row.get(4).map_err(failed)?;
    let metadata: Option<String> = row.get(6).map_err(failed)?;
    intel.metadata = statement::json_object(metadata.as_deref(), "the metadata of threat intelligence")?;
    intel.created_at = statement::time(row.get(7).map_err(failed)?)?;
    let expires_at: Option<i64> = row.get(8).map_err(failed)?;
    intel.expires_at = expires_at.map(statement::time).transpose()?;
    Ok(intel)
}
