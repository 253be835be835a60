//! `&S`, `Box<S>` and `Arc<S>` are stores where `S` is one.

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    AlertStore, AppendResult, CommitResult, ConsumerStore, Cursor, DetectionStore, GroupCount, IngestStore,
    IntelStore, LogPage, LogStore, LogStream, Result, RuleStore, SoughtObservables, Stats, TimeBucket,
};
use crate::models::{
    Alert, AlertEvent, AlertLog, AlertQuery, DetectionRule, Detections, Field, FilePosition, FileProgress,
    Filter, Hit, HitRange, IntelQuery, IntelSummary, LogEntry, LogKey, LogQuery, Lookback, RuleDay,
    RuleQuery, Suppression, ThreatIntel,
};

/// Implements every trait for a pointer to a store.
macro_rules! store_behind {
    ($($pointer:ty),*) => { $(
        impl<S: LogStore + ?Sized> LogStore for $pointer {
            fn append_logs(&self, logs: &[LogEntry]) -> Result<AppendResult> {
                (**self).append_logs(logs)
            }
            fn scan_logs(&self, query: &LogQuery) -> Result<LogStream> {
                (**self).scan_logs(query)
            }
            fn scan_logs_with_words(&self, query: &LogQuery, words: &[String]) -> Result<LogStream> {
                (**self).scan_logs_with_words(query, words)
            }
            fn scan_logs_with_observables(&self, query: &LogQuery, sought: &SoughtObservables) -> Result<LogStream> {
                (**self).scan_logs_with_observables(query, sought)
            }
            fn log(&self, key: &LogKey) -> Result<Option<LogEntry>> {
                (**self).log(key)
            }
            fn count_logs(&self, query: &LogQuery) -> Result<u64> {
                (**self).count_logs(query)
            }
            fn count_logs_by(&self, query: &LogQuery, fields: &[Field]) -> Result<Vec<GroupCount>> {
                (**self).count_logs_by(query, fields)
            }
            fn histogram(&self, query: &LogQuery, width: TimeDelta) -> Result<Vec<TimeBucket>> {
                (**self).histogram(query, width)
            }
            fn read_after(&self, cursor: Cursor, limit: usize) -> Result<LogPage> {
                (**self).read_after(cursor, limit)
            }
            fn end_cursor(&self) -> Result<Cursor> {
                (**self).end_cursor()
            }
            fn delete_logs_before(&self, time: DateTime<Utc>) -> Result<u64> {
                (**self).delete_logs_before(time)
            }
            fn delete_matching_logs_before(&self, time: DateTime<Utc>, filter: &Filter) -> Result<u64> {
                (**self).delete_matching_logs_before(time, filter)
            }
            fn stats(&self) -> Result<Stats> {
                (**self).stats()
            }
        }

        impl<S: AlertStore + ?Sized> AlertStore for $pointer {
            fn store_alerts(&self, alerts: &[Alert]) -> Result<u64> {
                (**self).store_alerts(alerts)
            }
            fn alert(&self, id: &str) -> Result<Option<Alert>> {
                (**self).alert(id)
            }
            fn fetch_alerts(&self, query: &AlertQuery) -> Result<Vec<Alert>> {
                (**self).fetch_alerts(query)
            }
            fn acknowledge_alerts(&self, ids: &[&str]) -> Result<()> {
                (**self).acknowledge_alerts(ids)
            }
            fn update_alerts(&self, ids: &[&str], event: &AlertEvent) -> Result<()> {
                (**self).update_alerts(ids, event)
            }
            fn alert_events(&self, ids: &[&str]) -> Result<Vec<(String, AlertEvent)>> {
                (**self).alert_events(ids)
            }
            fn undelivered_alerts(&self, receiver: &str) -> Result<Vec<String>> {
                (**self).undelivered_alerts(receiver)
            }
            fn alert_logs(&self, ids: &[&str]) -> Result<Vec<(String, LogKey)>> {
                (**self).alert_logs(ids)
            }
            fn delete_resolved_alerts_before(&self, time: DateTime<Utc>) -> Result<u64> {
                (**self).delete_resolved_alerts_before(time)
            }
        }

        impl<S: DetectionStore + ?Sized> DetectionStore for $pointer {
            fn commit_detections(
                &self,
                consumer: &str,
                from: Option<Cursor>,
                to: Cursor,
                detections: &Detections,
            ) -> Result<CommitResult> {
                (**self).commit_detections(consumer, from, to, detections)
            }
            fn store_detections(&self, detections: &Detections) -> Result<CommitResult> {
                (**self).store_detections(detections)
            }
            fn lookback(&self, consumer: &str) -> Result<Option<Lookback>> {
                (**self).lookback(consumer)
            }
            fn commit_lookback(
                &self,
                consumer: &str,
                from: Option<&Lookback>,
                to: &Lookback,
                detections: &Detections,
            ) -> Result<CommitResult> {
                (**self).commit_lookback(consumer, from, to, detections)
            }
            fn hits(&self, ranges: &[HitRange]) -> Result<Vec<Hit>> {
                (**self).hits(ranges)
            }
            fn hits_since(&self, since: Option<DateTime<Utc>>, limit: u64) -> Result<Vec<Hit>> {
                (**self).hits_since(since, limit)
            }
            fn detected_logs(&self, alerts: &[&str]) -> Result<Vec<AlertLog>> {
                (**self).detected_logs(alerts)
            }
            fn store_detected_logs(&self, logs: &[AlertLog]) -> Result<()> {
                (**self).store_detected_logs(logs)
            }
            fn rule_days(&self, since: Option<DateTime<Utc>>) -> Result<Vec<RuleDay>> {
                (**self).rule_days(since)
            }
            fn delete_hits_before(&self, time: DateTime<Utc>) -> Result<u64> {
                (**self).delete_hits_before(time)
            }
            fn add_suppression(&self, suppression: &Suppression) -> Result<()> {
                (**self).add_suppression(suppression)
            }
            fn suppressions(&self) -> Result<Vec<Suppression>> {
                (**self).suppressions()
            }
            fn remove_suppressions(&self, ids: &[&str]) -> Result<()> {
                (**self).remove_suppressions(ids)
            }
        }

        impl<S: ConsumerStore + ?Sized> ConsumerStore for $pointer {
            fn position(&self, consumer: &str) -> Result<Option<Cursor>> {
                (**self).position(consumer)
            }
            fn positions(&self) -> Result<Vec<(String, Cursor)>> {
                (**self).positions()
            }
            fn commit(
                &self,
                consumer: &str,
                from: Option<Cursor>,
                to: Cursor,
                alerts: &[Alert],
            ) -> Result<CommitResult> {
                (**self).commit(consumer, from, to, alerts)
            }
        }

        impl<S: IngestStore + ?Sized> IngestStore for $pointer {
            fn file_positions(&self) -> Result<Vec<FilePosition>> {
                (**self).file_positions()
            }
            fn append_logs_from_files(&self, logs: &[LogEntry], files: &[FileProgress]) -> Result<AppendResult> {
                (**self).append_logs_from_files(logs, files)
            }
        }

        impl<S: IntelStore + ?Sized> IntelStore for $pointer {
            fn upsert_intel(&self, intel: &[ThreatIntel]) -> Result<()> {
                (**self).upsert_intel(intel)
            }
            fn fetch_intel(&self, query: &IntelQuery) -> Result<Vec<ThreatIntel>> {
                (**self).fetch_intel(query)
            }
            fn read_intel(&self, after: u64, take: &mut dyn FnMut(IntelSummary<'_>)) -> Result<()> {
                (**self).read_intel(after, take)
            }
            fn last_import(&self) -> Result<u64> {
                (**self).last_import()
            }
            fn replace_intel(
                &self,
                source: &str,
                intel: &[ThreatIntel],
                time: DateTime<Utc>,
            ) -> Result<u64> {
                (**self).replace_intel(source, intel, time)
            }
            fn intel_version(&self) -> Result<u64> {
                (**self).intel_version()
            }
            fn expire_intel(&self, time: DateTime<Utc>) -> Result<u64> {
                (**self).expire_intel(time)
            }
        }

        impl<S: RuleStore + ?Sized> RuleStore for $pointer {
            fn upsert_rules(&self, rules: &[DetectionRule]) -> Result<()> {
                (**self).upsert_rules(rules)
            }
            fn fetch_rules(&self, query: &RuleQuery) -> Result<Vec<DetectionRule>> {
                (**self).fetch_rules(query)
            }
            fn enable_rules(&self, ids: &[&str]) -> Result<()> {
                (**self).enable_rules(ids)
            }
            fn disable_rules(&self, ids: &[&str]) -> Result<()> {
                (**self).disable_rules(ids)
            }
        }
    )* };
}

store_behind!(&S, Box<S>, std::sync::Arc<S>);
