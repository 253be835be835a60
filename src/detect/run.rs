//! New logs: batches of a fetcher in, alerts, hits and the position committed together.

use super::Detector;
use crate::models::Detections;
use crate::storage::{AlertStore, CommitResult, ConsumerStore, DetectionStore, LogBatch, Result};

impl Detector {
    /// Applies the rules to a batch of new logs, commits what was found with the consumer's position, and returns both.
    ///
    /// ```
    /// use logstore::detect::{Detector, SIGMA};
    /// use logstore::{AlertQuery, AlertStore, DetectionRule, Fetcher, LogEntry, LogStore, MemoryStore};
    /// use serde_json::json;
    ///
    /// let store = MemoryStore::new();
    /// let mut log = LogEntry::new(chrono::Utc::now()).with_field("name", "/etc/shadow");
    /// log.metadata.insert("logsource".into(), json!({"product": "linux", "service": "auditd"}));
    /// store.append_logs(&[log])?;
    ///
    /// let rule = DetectionRule::new("Shadow file read", SIGMA, json!({
    ///     "title": "Shadow file read",
    ///     "logsource": {"product": "linux", "service": "auditd"},
    ///     "detection": {"selection": {"name": "/etc/shadow"}, "condition": "selection"},
    /// }));
    /// let (detector, _) = Detector::new(&[rule], &|_| None);
    /// let fetcher = Fetcher::new(&store).consumer("sigma");
    /// let stop = fetcher.stop_handle();
    /// for batch in fetcher {
    ///     detector.commit(&store, &batch?)?;
    ///     stop.stop();
    /// }
    /// assert_eq!(store.fetch_alerts(&AlertQuery::new())?.len(), 1);
    /// # Ok::<(), logstore::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`LogBatch::commit_detections`]. Nothing was stored then.
    pub fn commit<S, B>(&self, store: &S, batch: &LogBatch<B>) -> Result<(Detections, CommitResult)>
    where
        S: DetectionStore + ?Sized,
        B: ConsumerStore + AlertStore + DetectionStore,
    {
        let detections = self.detect(batch.logs(), |ranges| store.hits(ranges))?;
        let committed = batch.commit_detections(&detections)?;
        Ok((detections, committed))
    }
}
