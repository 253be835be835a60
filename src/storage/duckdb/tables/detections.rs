//! Detections: matches of rules, which are counted into alerts, and hits for correlations.
//!
//! The rule of counting is in `models/alert/lifecycle.rs`. Here a commit loads the alerts that its matches touch, counts,
//! and writes what has changed.

use std::collections::BTreeSet;

use ::duckdb::Connection;
use chrono::{DateTime, Utc};

use super::alert_rows::{self, READ};
use super::{alert_events, alert_logs, alerts, consumers, hits, lookbacks, rule_days, suppressions};
use crate::models::{
    Alert, AlertLog, Detections, Found, Hit, HitRange, Lookback, Match, RuleDay, Series, Suppression, Tally,
    now, to_micros,
};
use crate::storage::duckdb::sql::staged::StagedRows;
use crate::storage::duckdb::sql::statement::{self, Sql, time_value};
use crate::storage::duckdb::store::DuckDbStore;
use crate::storage::{CommitResult, Cursor, DetectionStore, Result};

const STORE: &str = "store detections";

impl DetectionStore for DuckDbStore {
    fn commit_detections(
        &self,
        consumer: &str,
        from: Option<Cursor>,
        to: Cursor,
        detections: &Detections,
    ) -> Result<CommitResult> {
        detections.validate()?;
        self.write("commit detections", |connection| {
            let missed = consumers::move_on(connection, consumer, from, to)?;
            let stored = store(connection, detections, Found::Live)?;
            Ok(CommitResult { missed, ..stored })
        })
    }

    fn store_detections(&self, detections: &Detections) -> Result<CommitResult> {
        detections.validate()?;
        self.write(STORE, |connection| store(connection, detections, Found::Later))
    }

    fn lookback(&self, consumer: &str) -> Result<Option<Lookback>> {
        if self.is_of_earlier_version() {
            return Ok(None);
        }
        self.read(|connection| lookbacks::read(connection, consumer))
    }

    fn commit_lookback(
        &self,
        consumer: &str,
        from: Option<&Lookback>,
        to: &Lookback,
        detections: &Detections,
    ) -> Result<CommitResult> {
        detections.validate()?;
        self.write("commit what was found later", |connection| {
            lookbacks::move_on(connection, consumer, from, to)?;
            store(connection, detections, Found::Later)
        })
    }

    fn hits(&self, ranges: &[HitRange]) -> Result<Vec<Hit>> {
        if self.is_of_earlier_version() {
            return Ok(Vec::new());
        }
        self.read(|connection| hits::in_ranges(connection, ranges))
    }

    fn hits_since(&self, since: Option<DateTime<Utc>>, limit: u64) -> Result<Vec<Hit>> {
        if self.is_of_earlier_version() {
            return Ok(Vec::new());
        }
        self.read(|connection| hits::since(connection, since, limit))
    }

    fn detected_logs(&self, alerts: &[&str]) -> Result<Vec<AlertLog>> {
        if self.is_of_earlier_version() {
            return Ok(Vec::new());
        }
        self.read(|connection| alert_logs::of_alerts(connection, alerts))
    }

    fn store_detected_logs(&self, logs: &[AlertLog]) -> Result<()> {
        self.write("store the logs of alerts", |connection| {
            alert_logs::insert_new(connection, logs)
        })
    }

    fn rule_days(&self, since: Option<DateTime<Utc>>) -> Result<Vec<RuleDay>> {
        if self.is_of_earlier_version() {
            return Ok(Vec::new());
        }
        self.read(|connection| rule_days::since(connection, since))
    }

    fn delete_hits_before(&self, time: DateTime<Utc>) -> Result<u64> {
        self.write("delete hits", |connection| {
            alert_logs::settle_before(connection, time)?;
            hits::delete_before(connection, time)
        })
    }

    fn add_suppression(&self, suppression: &Suppression) -> Result<()> {
        suppression.validate()?;
        self.write("add a suppression", |connection| {
            suppressions::insert(connection, suppression)
        })
    }

    fn suppressions(&self) -> Result<Vec<Suppression>> {
        if self.is_of_earlier_version() {
            return Ok(Vec::new());
        }
        self.read(suppressions::all)
    }

    fn remove_suppressions(&self, ids: &[&str]) -> Result<()> {
        self.write("remove suppressions", |connection| {
            suppressions::remove(connection, ids)
        })
    }
}

/// Counts matches and stores hits in the open transaction.
fn store(connection: &Connection, detections: &Detections, found: Found) -> Result<CommitResult> {
    hits::insert(connection, &detections.hits)?;
    if detections.matches.is_empty() {
        return Ok(CommitResult::default());
    }
    let suppressions = suppressions::all(connection)?;
    let known = alerts_of(connection, &detections.matches)?;
    let logs = alert_logs::known(connection, &known, &detections.matches)?;
    let tally = Tally::new(to_micros(now()), found, known, logs);
    let mut tally = tally.awaiting(detections.receiver.as_deref());
    for found in &detections.matches {
        tally.count(found, &suppressions);
    }
    let tallied = tally.finish();
    alerts::insert_raised(connection, &tallied.raised)?;
    alert_rows::update(connection, &tallied.changed.iter().collect::<Vec<_>>())?;
    alert_logs::insert(connection, &tallied.logs)?;
    alert_events::insert(connection, &tallied.events)?;
    Ok(CommitResult::of_counts(tallied.counts, tallied.raised))
}

/// Returns all alerts of the fingerprints and windows of some matches, and a few others.
fn alerts_of(connection: &Connection, matches: &[Match]) -> Result<Vec<Alert>> {
    let series: BTreeSet<Series> = matches.iter().map(Series::of).collect();
    let starts = || series.iter().map(|series| series.window.start);
    let (Some(first), Some(last)) = (starts().min(), starts().max()) else {
        return Ok(Vec::new());
    };
    let fingerprints = series.iter().map(|series| series.fingerprint.as_str());
    let staged = StagedRows::of_texts(STORE, "fingerprint", fingerprints)?;
    let mut sql = Sql::new(format!(
        "SELECT {READ}\nFROM alerts\nWHERE fingerprint IN (SELECT fingerprint FROM {})",
        staged.sql()
    ));
    sql.and("window_start", ">=", Some(time_value(first)));
    sql.and("window_start", "<=", Some(time_value(last)));
    statement::fetch_all(connection, &sql, STORE, alert_rows::alert)
}
