use std::sync::mpsc;
use std::time::Duration;

use logstore::alerts::{Detections, Match};
use logstore::{
    AlertQuery, Cursor, Error, Fetcher, LogBatch, LogEntry, LogQuery, Severity, StartPosition, StopHandle,
    Store,
};

use crate::support::{alert, log, messages};

const NO_WAIT: Duration = Duration::ZERO;

fn append(store: &dyn Store, names: &[&str]) {
    let logs: Vec<LogEntry> = names.iter().map(|name| log(0, "a", name)).collect();
    store.append_logs(&logs).unwrap();
}

fn next(fetcher: &mut Fetcher<&dyn Store>) -> Vec<String> {
    let batch = fetcher.next().unwrap().unwrap();
    messages(batch.logs()).into_iter().map(str::to_owned).collect()
}

pub(super) fn yields_each_log_once_in_commit_order(store: &dyn Store) {
    let mut fetcher = Fetcher::new(store).every(NO_WAIT).batch_size(2);
    append(store, &["1", "2", "3"]);
    assert_eq!(next(&mut fetcher), ["1", "2"]);
    assert_eq!(next(&mut fetcher), ["3"]);
    append(store, &["4"]);
    assert_eq!(next(&mut fetcher), ["4"]);
}

pub(super) fn starts_where_it_is_told(store: &dyn Store) {
    append(store, &["1", "2"]);
    let first = store.read_after(Cursor::BEGINNING, 1).unwrap().next;
    let mut after = Fetcher::new(store).start(StartPosition::After(first));
    assert_eq!(next(&mut after), ["2"]);
    // The writer goes on until the fetcher has seen one of its logs, whenever its first poll was.
    let mut now = Fetcher::new(store).start(StartPosition::Latest).every(NO_WAIT);
    let ends_fetcher = StopOnDrop(now.stop_handle());
    let (done, is_done) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let _ends_fetcher = ends_fetcher;
            while is_done.try_recv() == Err(mpsc::TryRecvError::Empty) {
                append(store, &["new"]);
            }
        });
        assert!(next(&mut now).iter().all(|message| message == "new"));
        drop(done);
    });
}

/// Stops a fetcher that would wait for ever for the logs of a thread that has failed.
struct StopOnDrop(StopHandle);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

pub(super) fn a_consumer_goes_on_where_it_stopped(store: &dyn Store) {
    append(store, &["1", "2"]);
    let mut first = Fetcher::new(store).consumer("c").batch_size(1);
    let batch = first.next().unwrap().unwrap();
    batch.commit(&[alert("1", Severity::Low, 0)]).unwrap();
    // Read, but never committed: it comes again.
    assert_eq!(next(&mut first), ["2"]);
    let mut second = Fetcher::new(store).consumer("c").start(StartPosition::Latest);
    assert_eq!(next(&mut second), ["2"]);
    let mut other = Fetcher::new(store).consumer("other");
    assert_eq!(next(&mut other), ["1", "2"]);
    assert_eq!(store.fetch_alerts(&AlertQuery::new()).unwrap().len(), 1);
}

pub(super) fn the_slower_of_two_is_told(store: &dyn Store) {
    append(store, &["1", "2"]);
    let mut fast = Fetcher::new(store).consumer("c").batch_size(1);
    let mut slow = Fetcher::new(store).consumer("c").batch_size(1);
    let (first, same) = (fast.next().unwrap().unwrap(), slow.next().unwrap().unwrap());
    first.commit(&[alert("1", Severity::Low, 0)]).unwrap();
    let outcome = same.commit(&[alert("other", Severity::Low, 0)]);
    assert!(matches!(outcome, Err(Error::Conflict { .. })));
    assert_eq!(store.fetch_alerts(&AlertQuery::new()).unwrap().len(), 1);
    // It goes on where the faster one stands.
    assert_eq!(next(&mut slow), ["2"]);
    assert!(matches!(first.commit(&[]), Err(Error::Conflict { .. })));
}

pub(super) fn yields_only_what_matches(store: &dyn Store) {
    append(store, &["1", "no", "2", "no"]);
    let query = LogQuery::new().filter("message != no".parse().unwrap());
    let mut fetcher = Fetcher::new(store).matching(query).batch_size(1);
    assert_eq!(next(&mut fetcher), ["1"]);
    assert_eq!(next(&mut fetcher), ["2"]);
}

pub(super) fn stops_while_it_waits(store: &dyn Store) {
    let mut fetcher = Fetcher::new(store).every(Duration::from_secs(3600));
    let stop = fetcher.stop_handle();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(move || fetcher.next().is_none());
        stop.stop();
        assert!(waiting.join().unwrap());
    });
}

pub(super) fn calls_back(store: &dyn Store) {
    append(store, &["1", "2"]);
    let (sender, seen) = mpsc::channel();
    let errors = sender.clone();
    let fetcher = Fetcher::new(store).every(NO_WAIT).batch_size(1);
    let stop = fetcher.stop_handle();
    let fetcher = fetcher
        .on_batch(move |batch| {
            let message = messages(batch.logs())[0].to_owned();
            let fails = message == "1";
            sender.send(message).unwrap();
            if fails {
                return Err(Error::NotFound {
                    what: "thing",
                    name: "x".into(),
                });
            }
            stop.stop();
            Ok(())
        })
        .on_error(move |error| errors.send(error.to_string()).unwrap());
    fetcher.run();
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["1", "no thing \"x\"", "2"]);
}

pub(super) fn a_batch_commits_detections(store: &dyn Store) {
    let detections = |batch: &LogBatch<&dyn Store>| Detections {
        matches: batch
            .logs()
            .iter()
            .map(|log| Match::new("r", Severity::Low, log))
            .collect(),
        ..Detections::default()
    };
    append(store, &["1", "2"]);
    let fetcher = || Fetcher::new(store).every(NO_WAIT).batch_size(1);
    let (mut first, mut second) = (fetcher().consumer("c"), fetcher().consumer("c"));
    let batch = first.next().unwrap().unwrap();
    let late = second.next().unwrap().unwrap();
    assert_eq!(batch.commit_detections(&detections(&batch)).unwrap().counted, 1);
    assert_eq!(store.position("c").unwrap(), Some(batch.next_cursor()));
    let conflict = late.commit_detections(&detections(&late));
    assert!(matches!(conflict, Err(Error::Conflict { .. })));
    assert_eq!(
        next(&mut second),
        ["2"],
        "it goes on from the other one's position"
    );
    // Without a name the matches are stored, as those of a hunt.
    let batch = fetcher().next().unwrap().unwrap();
    assert_eq!(batch.commit_detections(&detections(&batch)).unwrap().repeated, 1);
    assert_eq!(store.fetch_alerts(&AlertQuery::new()).unwrap()[0].count, 1);
}
