//! New intelligence over old logs: what was imported is compared with the logs that were stored before, in pieces.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::indicators::{IndicatorSet, IndicatorSetBuilder};
use crate::models::{
    BENIGN, Detections, IntelSummary, LogKey, LogQuery, Lookback, Match, Order, SoughtObservables,
};
use crate::storage::{CommitResult, ConsumerStore, DetectionStore, IntelStore, LogStore, Result, TimeBucket};

/// Limits the logs of a piece, unless more are of one second. Others wait for the store while one is read.
const MOST_LOGS: u64 = 200_000;

/// Limits the matches of a piece, each of which holds its log. With more, the logs are read in their order.
const MOST_MATCHES: usize = 2_000;

/// Limits the logs of a piece that is read in order.
const MOST_IN_ORDER: u64 = 20_000;

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
    new: Option<New>,
}

/// Holds what a consumer looks back for.
#[derive(Debug)]
struct New {
    wanted: Lookback,
    /// Holds the indicators that were imported after `done`, up to a target.
    indicators: Arc<IndicatorSet>,
    /// Describes them to the store.
    sought: SoughtObservables,
    /// Counts the logs of each day, oldest first.
    days: Vec<TimeBucket>,
}

/// Describes what was found in a piece.
#[derive(Default)]
struct Piece {
    matches: Vec<Match>,
    /// Names the place to go on from; `None` if there are no more logs.
    position: Option<LogKey>,
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
        let is_same = |new: &New| (new.wanted.done, new.wanted.target) == (wanted.done, wanted.target);
        if self.new.as_ref().is_some_and(is_same) {
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
        let indicators = Arc::new(builder.finish());
        let query = LogQuery {
            since,
            ..LogQuery::new()
        };
        let days = match indicators.is_empty() {
            true => Vec::new(),
            false => self.store.histogram(&query, TimeDelta::days(1))?,
        };
        self.new = Some(New {
            wanted: wanted.clone(),
            sought: indicators.sought(),
            indicators,
            days,
        });
        Ok(())
    }

    /// Compares the next logs.
    fn compare(
        &self,
        all: &IndicatorSet,
        wanted: &Lookback,
        since: Option<DateTime<Utc>>,
    ) -> Result<(Detections, Option<LogKey>)> {
        let piece = match self.new.as_ref().filter(|new| !new.indicators.is_empty()) {
            Some(new) => self.next_piece(all, new, wanted.position.as_ref(), since)?,
            None => Piece::default(),
        };
        let detections = Detections {
            receiver: self.receiver.clone(),
            matches: piece.matches,
            ..Detections::default()
        };
        Ok((detections, piece.position))
    }

    fn next_piece(
        &self,
        all: &IndicatorSet,
        new: &New,
        position: Option<&LogKey>,
        since: Option<DateTime<Utc>>,
    ) -> Result<Piece> {
        let mut query = LogQuery {
            since,
            until: position.map(|position| position.event_time),
            ..LogQuery::new()
        };
        if let Some(position) = position.filter(|position| !position.id.is_empty()) {
            // The logs of one time may be in several pieces.
            query.since = Some(position.event_time);
            query.until = position.event_time.checked_add_signed(TimeDelta::microseconds(1));
            query.after = Some(position.clone());
            let rest = self.in_order(all, new, query)?;
            let position = rest.position.unwrap_or_else(|| before(position.event_time));
            return Ok(Piece {
                position: Some(position),
                ..rest
            });
        }
        let Some(start) = self.start_of_piece(new, &query)? else {
            return Ok(Piece::default());
        };
        query.since = query.since.max(Some(start));
        query.order = Order::Any;
        let piece = match self.few_matches(all, new, &query)? {
            Some(matches) => Piece {
                matches,
                position: None,
            },
            None => self.in_order(all, new, query)?,
        };
        Ok(Piece {
            position: piece.position.or_else(|| Some(before(start))),
            ..piece
        })
    }

    /// Returns the matches of a query's logs; `None` if they are too many.
    fn few_matches(&self, all: &IndicatorSet, new: &New, query: &LogQuery) -> Result<Option<Vec<Match>>> {
        let mut matches = Vec::new();
        for log in self.store.scan_logs_with_observables(query, &new.sought)? {
            matches.extend(all.later_alerts(&new.indicators, &log?));
            if matches.len() > MOST_MATCHES {
                return Ok(None);
            }
        }
        Ok(Some(matches))
    }

    /// Returns the first time of the next piece, which ends where the query does; `None` if there are no more logs.
    fn start_of_piece(&self, new: &New, query: &LogQuery) -> Result<Option<DateTime<Utc>>> {
        let is_next = |day: &TimeBucket| query.until.is_none_or(|until| day.start < until);
        let days = new.days.partition_point(is_next);
        let Some((newest, _)) = new.days.get(..days).and_then(<[_]>::split_last) else {
            return Ok(None);
        };
        if let Some(start) = new.days.get(..days).and_then(start_of_few) {
            return Ok(Some(start));
        }
        let mut start = newest.start;
        for width in [TimeDelta::hours(1), TimeDelta::minutes(1), TimeDelta::seconds(1)] {
            let of_start = LogQuery {
                since: query.since.max(Some(start)),
                ..query.clone()
            };
            let parts = self.store.histogram(&of_start, width)?;
            if let Some(start) = start_of_few(&parts) {
                return Ok(Some(start));
            }
            start = parts.last().map_or(start, |newest| newest.start);
        }
        Ok(Some(start))
    }

    /// Compares the first logs of a query, newest first.
    fn in_order(&self, all: &IndicatorSet, new: &New, query: LogQuery) -> Result<Piece> {
        let query = query.order(Order::NewestFirst).limit(MOST_IN_ORDER);
        let (mut matches, mut count) = (Vec::new(), 0);
        for log in self.store.scan_logs(&query)? {
            let log = log?;
            count += 1;
            matches.extend(all.later_alerts(&new.indicators, &log));
            if matches.len() >= MOST_MATCHES || count >= MOST_IN_ORDER {
                let position = Some(log.key());
                return Ok(Piece { matches, position });
            }
        }
        Ok(Piece {
            matches,
            position: None,
        })
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

/// Returns the place before which all logs are older than a time.
fn before(time: DateTime<Utc>) -> LogKey {
    LogKey::new(time, "")
}

/// Returns the start of the first stretch from which on there are few enough logs for a piece; `None` if the last one
/// has more.
fn start_of_few(stretches: &[TimeBucket]) -> Option<DateTime<Utc>> {
    let mut logs = 0;
    let few = stretches.iter().rev().take_while(|stretch| {
        logs += stretch.count;
        logs <= MOST_LOGS
    });
    few.last().map(|stretch| stretch.start)
}
