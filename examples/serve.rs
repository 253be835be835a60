//! Answers questions in a thread of its own, about any store: a file, a lake, or memory.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread;

use chrono::Utc;
use logstore::{DuckDbStore, Error, LogEntry, LogQuery, LogStore, Store};

/// A question, and where the answer goes.
struct Question {
    query: LogQuery,
    answer: SyncSender<Result<Vec<LogEntry>, Error>>,
}

fn serve(store: &Arc<dyn Store>, questions: &Receiver<Question>) {
    for question in questions {
        let store = Arc::clone(store);
        thread::spawn(move || {
            let logs = store.scan_logs(&question.query).and_then(Iterator::collect);
            question.answer.send(logs).ok(); // the caller may have gone
        });
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store: Arc<dyn Store> = Arc::new(DuckDbStore::open(":memory:")?);
    store.append_logs(&[LogEntry::new(Utc::now())
        .with_appname("sshd")
        .with_message("Failed password")])?;
    let (sender, questions) = channel();
    let service = thread::spawn(move || serve(&store, &questions));
    let (answer, logs) = sync_channel(1);
    let query = LogQuery::new().contains("Failed");
    sender.send(Question { query, answer })?;
    println!("{:?}", logs.recv()??);
    drop(sender);
    service.join().map_err(|_| "the service has panicked".into())
}
