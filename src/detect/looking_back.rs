//! New intelligence over old logs: what was imported is compared with the logs that were stored before, in pieces.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::indicators::{IndicatorSet, IndicatorSetBuilder};
use crate::models::{BENIGN, Detections, IntelSummary, LogEntry, LogKey, LogQuery, Lookback, Order};
use crate::storage::{CommitResult, ConsumerStore, DetectionStore, IntelStore, LogStore, Result};

/// Limits the logs of a piece. Others wait for the store while one is read.
const MOST_LOGS: u64 = 20_000;

/// Limits the matches of a piece, each of which holds its log.
const MOST_MATCHES: usize = 2_000;

/// Compares the intelligence that was imported since a consumer looked last with the logs that were stored before.
///
/// It goes from the newest log back to the oldest one that counts, in pieces. Each piece commits its alerts, marked as
/// found later, together with its position. So a process that was killed goes on where it was. A repeated piece
/// changes nothing, as the alerts are functions of the logs and the indicators.
///
/// ```
/// use std::sync::Arc;
/// use chrono::TimeDelta;
/// use logstore::detect::{IndicatorSet, LookingBack};
/// use logstore::{AlertQuery, AlertStore, IntelQuery, IntelStore, LogEntry, LogStore, MemoryStore, ThreatIntel};
///
/// let store = MemoryStore::new();
/// let mut looking = LookingBack::new(&store, "sigma", TimeDelta::days(90));
/// let indicators = || Ok(Arc::new(IndicatorSet::new(&store.fetch_intel(&IntelQuery::new())?)));
/// looking.begin()?;
///
/// store.append_logs(&[LogEntry::new(chrono::Utc::now()).with_message("query for bad.example")])?;
/// store.upsert_intel(&[ThreatIntel::new("bad.example".parse()?, "phishing", "a feed")])?;
/// while looking.next(indicators)?.is_some() {}
/// assert!(store.fetch_alerts(&AlertQuery::new())?[0].found_later);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct LookingBack<S> {
    store: S,
    consumer: String,
    length: TimeDelta,
    receiver: Option<String>,
    /// Holds the indicators that were imported after `done`, up to a target.
    new: Option<(Lookback, IndicatorSet)>,
}

impl<S: LogStore + IntelStore + ConsumerStore + DetectionStore> LookingBack<S> {
    /// Looks back for a consumer, at logs that are at most as old as `length`.
    pub fn new(store: S, consumer: impl Into<String>, length: TimeDelta) -> Self {
        Self {
            store,
            consumer: consumer.into(),
            length,
            receiver: None,
            new: None,
        }
    }

    /// Lets new alerts wait for their delivery to a receiver.
    #[must_use]
    pub fn deliver_to(self, receiver: impl Into<String>) -> Self {
        Self {
            receiver: Some(receiver.into()),
            ..self
        }
    }

    /// Notes where the consumer begins, unless it has begun. The caller does so before the consumer reads its first log.
    ///
    /// A consumer without a position is about to see all logs itself. It looks back for the imports that come later.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub fn begin(&self) -> Result<()> {
        self.state().map(drop)
    }

    fn state(&self) -> Result<Lookback> {
        if let Some(known) = self.store.lookback(&self.consumer)? {
            return Ok(known);
        }
        let begin = match self.store.position(&self.consumer)? {
            Some(_) => Lookback::default(),
            None => Lookback::done(self.store.last_import()?),
        };
        self.commit(None, &begin, &Detections::default())?;
        Ok(begin)
    }

    /// Compares and commits the next piece; returns `None` if all imports are compared with all logs.
    ///
    /// `indicators` returns the intelligence of the store as it is then. From then on, new logs must be compared with
    /// it: logs that are stored meanwhile are not looked back at.
    ///
    /// # Errors
    ///
    /// Those of the store and of `indicators`. [`Error::Conflict`](crate::Error::Conflict) if another process looks
    /// back for the consumer. Nothing of the piece was stored then.
    pub fn next(
        &mut self,
        indicators: impl FnOnce() -> Result<Arc<IndicatorSet>>,
    ) -> Result<Option<CommitResult>> {
        let from = self.state()?;
        let mut to = from.clone();
        if from.done == from.target {
            to.target = self.store.last_import()?;
            if to.target <= from.done {
                return Ok(None);
            }
        }
        // The imports up to the target are in the set before the first log is looked at.
        let all = indicators()?;
        let since = Utc::now().checked_sub_signed(self.length);
        self.read_new(&to, since)?;
        let (detections, position) = self.compare(&all, &to, since)?;
        let to = match position {
            Some(_) => Lookback { position, ..to },
            None => Lookback::done(to.target),
        };
        self.commit(Some(&from), &to, &detections).map(Some)
    }

    /// Reads the indicators that are looked for, unless they are those of the last piece.
    fn read_new(&mut self, wanted: &Lookback, since: Option<DateTime<Utc>>) -> Result<()> {
        let is_same = |new: &Lookback| (new.done, new.target) == (wanted.done, wanted.target);
        if self.new.as_ref().is_some_and(|(new, _)| is_same(new)) {
            return Ok(());
        }
        let mut builder = IndicatorSetBuilder::default();
        // What is harmless, or has expired before the first log, is found in no log.
        let may_be_found = |intel: &IntelSummary<'_>| {
            let expiry = intel.expires_at.zip(since);
            intel.threat_type != BENIGN && expiry.is_none_or(|(expiry, since)| expiry > since)
        };
        self.store.read_intel(wanted.done, &mut |intel| {
            if may_be_found(&intel) {
                builder.push(&intel);
            }
        })?;
        self.new = Some((wanted.clone(), builder.finish()));
        Ok(())
    }

    /// Compares the next logs. Returns the last one; `None` if there are no more.
    fn compare(
        &self,
        all: &IndicatorSet,
        wanted: &Lookback,
        since: Option<DateTime<Utc>>,
    ) -> Result<(Detections, Option<LogKey>)> {
        let mut detections = Detections {
            receiver: self.receiver.clone(),
            ..Detections::default()
        };
        let Some((_, new)) = self.new.as_ref().filter(|(_, new)| !new.is_empty()) else {
            return Ok((detections, None));
        };
        let mut query = LogQuery::new().order(Order::NewestFirst).limit(MOST_LOGS);
        query.since = since;
        query.after.clone_from(&wanted.position);
        let mut last = None;
        let mut count = 0;
        for log in self.store.scan_logs(&query)? {
            let log = log?;
            count += 1;
            detections.matches.extend(all.later_alerts(new, &log));
            last = Some(log);
            if detections.matches.len() >= MOST_MATCHES {
                return Ok((detections, last.as_ref().map(LogEntry::key)));
            }
        }
        let is_full = count >= MOST_LOGS;
        Ok((detections, last.filter(|_| is_full).as_ref().map(LogEntry::key)))
    }

    fn commit(
        &self,
        from: Option<&Lookback>,
        to: &Lookback,
        detections: &Detections,
    ) -> Result<CommitResult> {
        let committed = self.store.commit_lookback(&self.consumer, from, to, detections)?;
        log::info!(
            "looked back for {:?}, {to}: {} matches, {} new alerts",
            self.consumer,
            committed.counted,
            committed.stored
        );
        Ok(committed)
    }
}
