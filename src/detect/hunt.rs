//! Old logs: the same rules over everything that a query wants.

use std::thread;

use crossbeam_channel::{Receiver, bounded};

use super::Detector;
use super::rules::Scratch;
use crate::models::{Detections, LogEntry, LogQuery, Order};
use crate::storage::{Error, LogStore, Result};

/// Holds how many logs a thread takes at a time.
const CHUNK: usize = 1024;

impl Detector {
    /// Applies the rules to all logs that a query wants, on a number of threads. `progress` is told the number of logs
    /// that were read, again and again.
    ///
    /// Correlations see the hits of these logs, and no others. If each rule needs one of a few words, the store is asked only
    /// for the logs that may hold one.
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
        let logs = match self.words() {
            Some(words) => store.scan_logs_with_words(&query, &words)?,
            None => store.scan_logs(&query)?,
        };
        let (send, receive) = bounded::<Vec<LogEntry>>(2 * threads.max(1));
        let mut detections = thread::scope(|scope| {
            let receive = &receive;
            let workers: Vec<_> = (0..threads.max(1))
                .map(|_| scope.spawn(move || self.apply_all(receive)))
                .collect();
            let outcome = feed(logs, &mut progress, |chunk| send.send(chunk).is_ok());
            drop(send);
            let mut found = Detections::default();
            for worker in workers {
                let part = worker.join().expect("only a caller's own detector can panic");
                found.matches.extend(part.matches);
                found.hits.extend(part.hits);
            }
            outcome.map(|()| found)
        })?;
        self.correlate(&mut detections, |_| Ok::<_, Error>(Vec::new()))?;
        detections
            .matches
            .sort_by(|left, right| (&left.log, &left.rule_id).cmp(&(&right.log, &right.rule_id)));
        Ok(detections)
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
