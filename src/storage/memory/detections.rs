//! Matches, hits and suppressions.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::{DateTime, NaiveDate, Utc};

use super::{MemoryStore, State};
use crate::models::{
    AlertLog, Detections, Found, Hit, HitRange, Lookback, RuleDay, Series, Suppression, Tally, kept_logs,
    now, to_micros,
};
use crate::storage::{CommitResult, Cursor, DetectionStore, Error, Result, lookback_conflict};

impl DetectionStore for MemoryStore {
    fn commit_detections(
        &self,
        consumer: &str,
        from: Option<Cursor>,
        to: Cursor,
        detections: &Detections,
    ) -> Result<CommitResult> {
        detections.validate()?;
        let mut state = self.state();
        let missed = state.move_consumer(consumer, from, to)?;
        let stored = state.store_detections(detections, Found::Live);
        Ok(CommitResult { missed, ..stored })
    }

    fn store_detections(&self, detections: &Detections) -> Result<CommitResult> {
        detections.validate()?;
        Ok(self.state().store_detections(detections, Found::Later))
    }

    fn lookback(&self, consumer: &str) -> Result<Option<Lookback>> {
        Ok(self.state().lookbacks.get(consumer).cloned())
    }

    fn commit_lookback(
        &self,
        consumer: &str,
        from: Option<&Lookback>,
        to: &Lookback,
        detections: &Detections,
    ) -> Result<CommitResult> {
        detections.validate()?;
        let mut state = self.state();
        let actual = state.lookbacks.get(consumer);
        if actual != from {
            return Err(lookback_conflict(consumer, from, actual));
        }
        state.lookbacks.insert(consumer.to_owned(), to.clone());
        Ok(state.store_detections(detections, Found::Later))
    }

    fn hits(&self, ranges: &[HitRange]) -> Result<Vec<Hit>> {
        let state = self.state();
        let is_wanted = |hit: &&Hit| ranges.iter().any(|range| range.contains(hit));
        Ok(state.hits.iter().filter(is_wanted).cloned().collect())
    }

    fn hits_since(&self, since: Option<DateTime<Utc>>, limit: u64) -> Result<Vec<Hit>> {
        let state = self.state();
        let hits = state
            .hits
            .iter()
            .filter(|hit| since.is_none_or(|since| hit.log.event_time >= since));
        let mut hits: Vec<Hit> = hits.cloned().collect();
        hits.sort_by(|a, b| (&a.log, a).cmp(&(&b.log, b)));
        hits.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(hits)
    }

    fn detected_logs(&self, alerts: &[&str]) -> Result<Vec<AlertLog>> {
        let state = self.state();
        let logs = state.alert_logs.iter();
        Ok(logs
            .filter(|log| alerts.contains(&log.alert_id.as_str()))
            .cloned()
            .collect())
    }

    fn store_detected_logs(&self, logs: &[AlertLog]) -> Result<()> {
        self.state().alert_logs.extend(logs.iter().cloned());
        Ok(())
    }

    fn rule_days(&self, since: Option<DateTime<Utc>>) -> Result<Vec<RuleDay>> {
        let state = self.state();
        let mut days: BTreeMap<(String, NaiveDate), RuleDay> = BTreeMap::new();
        let is_wanted = |at: DateTime<Utc>| since.is_none_or(|since| at >= since);
        let mut day = |rule: &str, at: DateTime<Utc>, count: &dyn Fn(&mut RuleDay)| {
            let day = at.date_naive();
            let key = (rule.to_owned(), day);
            count(days.entry(key).or_insert_with(|| RuleDay::new(rule, day)));
        };
        for alert in state.alerts.values() {
            let at = alert.first_seen.unwrap_or(alert.created_at);
            if let Some(rule) = alert.rule_id.as_ref().filter(|_| is_wanted(at)) {
                day(rule, at, &|day| {
                    day.alerts += 1;
                    day.matches += alert.count;
                });
            }
        }
        let hits: BTreeSet<_> = state.hits.iter().map(|hit| (&hit.rule_id, &hit.log)).collect();
        for (rule, log) in hits.into_iter().filter(|(_, log)| is_wanted(log.event_time)) {
            day(rule, log.event_time, &|day| day.hits += 1);
        }
        Ok(days.into_values().collect())
    }

    fn delete_hits_before(&self, time: DateTime<Utc>) -> Result<u64> {
        let state = &mut *self.state();
        let before = state.hits.len();
        state.hits.retain(|hit| hit.log.event_time >= time);
        for alert in state.alerts.values_mut() {
            if alert.window_end.is_some_and(|end| end <= time) && !alert.is_settled {
                alert.is_settled = true;
                forget_logs(&mut state.alert_logs, &alert.id);
            }
        }
        Ok((before - state.hits.len()) as u64)
    }

    fn add_suppression(&self, suppression: &Suppression) -> Result<()> {
        suppression.validate()?;
        let mut suppression = suppression.clone();
        suppression.created_at = to_micros(suppression.created_at);
        let mut state = self.state();
        state
            .suppressions
            .entry(suppression.id.clone())
            .or_insert(suppression);
        Ok(())
    }

    fn suppressions(&self) -> Result<Vec<Suppression>> {
        Ok(self.state().suppressions_in_order())
    }

    fn remove_suppressions(&self, ids: &[&str]) -> Result<()> {
        let mut state = self.state();
        if let Some(unknown) = ids.iter().find(|id| !state.suppressions.contains_key(**id)) {
            return Err(Error::NotFound {
                what: "suppression",
                name: (*unknown).to_owned(),
            });
        }
        for id in ids {
            state.suppressions.remove(*id);
        }
        Ok(())
    }
}

/// Forgets the logs of an alert but for those that it keeps.
fn forget_logs(logs: &mut BTreeSet<AlertLog>, id: &str) {
    let of_alert = |log: &&AlertLog| log.alert_id == id;
    let kept: HashSet<_> = kept_logs(logs.iter().filter(of_alert).map(|log| log.log.clone()))
        .into_iter()
        .collect();
    logs.retain(|log| log.alert_id != id || kept.contains(&log.log));
}

impl State {
    fn suppressions_in_order(&self) -> Vec<Suppression> {
        let mut suppressions: Vec<_> = self.suppressions.values().cloned().collect();
        suppressions.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        suppressions
    }

    fn store_detections(&mut self, detections: &Detections, found: Found) -> CommitResult {
        let suppressions = self.suppressions_in_order();
        let series: HashSet<Series> = detections.matches.iter().map(Series::of).collect();
        let is_touched =
            |alert: &&crate::models::Alert| Series::of_alert(alert).is_some_and(|of| series.contains(&of));
        let alerts: Vec<_> = self.alerts.values().filter(is_touched).cloned().collect();
        let ids: HashSet<&str> = alerts.iter().map(|alert| alert.id.as_str()).collect();
        let logs = self.alert_logs.iter();
        let logs: Vec<_> = logs
            .filter(|log| ids.contains(log.alert_id.as_str()))
            .cloned()
            .collect();
        let tally = Tally::new(to_micros(now()), found, alerts, logs);
        let mut tally = tally.awaiting(detections.receiver.as_deref());
        for found in &detections.matches {
            tally.count(found, &suppressions);
        }
        let tallied = tally.finish();
        let alerts = tallied.raised.iter().cloned().chain(tallied.changed);
        self.alerts.extend(alerts.map(|alert| (alert.id.clone(), alert)));
        self.alert_logs.extend(tallied.logs);
        self.alert_events.extend(tallied.events);
        self.hits.extend(detections.hits.iter().cloned());
        CommitResult::of_counts(tallied.counts, tallied.raised)
    }
}
