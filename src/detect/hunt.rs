//! Old logs: the same rules over everything that a query wants.

use std::thread;

use crossbeam_channel::{Receiver, bounded};

use super::Detector;
use super::coverage::{SourceCounts, SourceCoverage};
use super::rules::Scratch;
use crate::models::{Detections, Field, Filter, LogEntry, LogQuery, LogSource, Operator, Order};
use crate::storage::{Error, LogStore, Result};

/// Holds how many logs a thread takes at a time.
const CHUNK: usize = 1024;

impl Detector {
    /// Applies the rules to all logs that a query wants, on a number of threads. `progress` is told the number of logs
    /// that were read, again and again.
    ///
    /// Correlations see the hits of these logs, and no others. If each rule needs one of a few words, or if there
    /// are only indicators, the store is asked only for the logs that may hold one.
    ///
    /// # Errors
    ///
    /// Those of [`LogStore::scan_logs`].
    ///
    /// # Panics
    ///
    /// If a detector of the caller's own panics.
    pub fn hunt<S: LogStore + ?Sized>(
        &self,
        store: &S,
        query: &LogQuery,
        threads: usize,
        mut progress: impl FnMut(u64),
    ) -> Result<Detections> {
        let query = in_any_order(query);
        let logs = match (self.words(), self.only_indicators()) {
            (Some(words), _) => store.scan_logs_with_words(&query, &words)?,
            (None, Some(indicators)) => store.scan_logs_with_observables(&query, &indicators.sought())?,
            (None, None) => store.scan_logs(&query)?,
        };
        let parts = in_threads(logs, threads, &mut progress, |chunks| self.apply_all(chunks))?;
        let mut detections = Detections::default();
        for part in parts {
            detections.matches.extend(part.matches);
            detections.hits.extend(part.hits);
        }
        self.correlate(&mut detections, |_| Ok::<_, Error>(Vec::new()))?;
        detections
            .matches
            .sort_by(|left, right| (&left.log, &left.rule_id).cmp(&(&right.log, &right.rule_id)));
        Ok(detections)
    }

    /// Counts the logs that a query wants by their log sources, and the rules for them, on a number of threads. Those with
    /// the most logs come first. `progress` is told the number of logs that were read, again and again.
    ///
    /// # Errors
    ///
    /// Those of [`LogStore::scan_logs`].
    pub fn coverage<S: LogStore + ?Sized>(
        &self,
        store: &S,
        query: &LogQuery,
        threads: usize,
        mut progress: impl FnMut(u64),
    ) -> Result<Vec<SourceCoverage>> {
        let mut counts = SourceCounts::default();
        for (source, logs) in sources(store, query)? {
            counts.count_all(self, source, logs);
        }
        let logs = store.scan_logs(&in_any_order(&query.clone().filter(may_be_of_windows()?)))?;
        let parts = in_threads(logs, threads, &mut progress, |chunks| {
            let mut counts = SourceCounts::default();
            for log in chunks.iter().flatten() {
                counts.count(self, &log);
            }
            counts
        })?;
        for part in parts {
            counts.merge(part);
        }
        Ok(counts.finish())
    }

    fn apply_all(&self, chunks: &Receiver<Vec<LogEntry>>) -> Detections {
        let mut scratch = Scratch::default();
        let mut detections = Detections::default();
        for log in chunks.iter().flatten() {
            self.apply(&log, &mut scratch, &mut detections);
        }
        detections
    }
}

/// Returns a query for the same logs, which a store need not sort.
fn in_any_order(query: &LogQuery) -> LogQuery {
    let query = query.clone();
    match (query.limit, &query.after) {
        (None, None) => query.order(Order::Any),
        _ => query,
    }
}

/// Names the product of the log source that a format gives a log.
const PRODUCT: &str = "metadata.logsource.product";

/// Counts the logs of sources that decide about rules alone: those of a product other than Windows.
fn sources<S: LogStore + ?Sized>(store: &S, query: &LogQuery) -> Result<Vec<(LogSource, u64)>> {
    let fields = [
        PRODUCT,
        "metadata.logsource.category",
        "metadata.logsource.service",
    ];
    let fields = fields
        .into_iter()
        .map(str::parse)
        .collect::<std::result::Result<Vec<Field>, _>>()?;
    let of_others = query.clone().filter(may_be_of_windows()?.negated()?);
    let groups = store.count_logs_by(&of_others, &fields)?.into_iter();
    let sources = groups.map(|group| {
        let mut values = group.values.into_iter();
        let mut part = || values.next().flatten();
        let source = LogSource {
            product: part(),
            category: part(),
            service: part(),
        };
        (source, group.count)
    });
    Ok(sources.collect())
}

/// Returns a filter for the logs of which channel, provider and id may decide about rules.
fn may_be_of_windows() -> Result<Filter> {
    let of_windows = Filter::condition(PRODUCT, Operator::equals("windows"))?;
    let of_none = Filter::condition(PRODUCT, Operator::Exists)?.negated()?;
    Ok(Filter::any([of_windows, of_none])?)
}

/// Hands logs out to a number of threads, and returns what each of them made of its logs.
fn in_threads<T: Send>(
    logs: impl Iterator<Item = Result<LogEntry>>,
    threads: usize,
    progress: &mut impl FnMut(u64),
    work: impl Fn(&Receiver<Vec<LogEntry>>) -> T + Sync,
) -> Result<Vec<T>> {
    let (send, receive) = bounded::<Vec<LogEntry>>(2 * threads.max(1));
    thread::scope(|scope| {
        let (receive, work) = (&receive, &work);
        let workers: Vec<_> = (0..threads.max(1))
            .map(|_| scope.spawn(move || work(receive)))
            .collect();
        let outcome = feed(logs, progress, |chunk| send.send(chunk).is_ok());
        drop(send);
        let parts = workers
            .into_iter()
            .map(|worker| worker.join().expect("only a caller's own detector can panic"));
        let parts = parts.collect();
        outcome.map(|()| parts)
    })
}

/// Hands logs out in chunks.
fn feed(
    logs: impl Iterator<Item = Result<LogEntry>>,
    progress: &mut impl FnMut(u64),
    mut send: impl FnMut(Vec<LogEntry>) -> bool,
) -> Result<()> {
    let mut read = 0;
    let mut chunk = Vec::with_capacity(CHUNK);
    for log in logs {
        chunk.push(log?);
        if chunk.len() == CHUNK {
            read += CHUNK as u64;
            progress(read);
            if !send(std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK))) {
                return Ok(());
            }
        }
    }
    progress(read + chunk.len() as u64);
    send(chunk);
    Ok(())
}
