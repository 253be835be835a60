//! A connection to a lake's catalog that breaks at any byte of what is said over it, and is back soon.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use logstore::ingest::{FilePosition, FileProgress, ResumePoint};
use logstore::{Cursor, DuckDbStore, IngestStore as _, LogEntry, LogQuery, LogStore as _};

use crate::support::{PATIENCE, log, patiently};
use crate::test_lake::{TestLake, options};

/// Carries what clients and a server say to each other, until it is cut.
pub(crate) struct Wire {
    pub(crate) port: u16,
    state: Arc<WireState>,
}

struct WireState {
    /// How many bytes have gone either way.
    carried: AtomicU64,
    /// After how many it breaks.
    end: AtomicU64,
    /// Whether the server's answer to what it is asked of its tables is lost, and nothing but its end arrives.
    loses_answers: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl Wire {
    pub(crate) fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(WireState {
            carried: AtomicU64::new(0),
            end: AtomicU64::new(u64::MAX),
            loses_answers: AtomicBool::new(false),
            open: Mutex::default(),
        });
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if !shared.is_cut() {
                    shared.connect(&client, &TcpStream::connect(&server).unwrap());
                }
            }
        });
        Self { port, state }
    }

    /// Carries what is said to the catalog of a lake, and returns the location that goes over it.
    pub(crate) fn to_catalog_of(lake: &TestLake) -> (Self, String) {
        let (_, rest) = lake.location.split_once("port=").unwrap();
        let (port, _) = rest.split_once(' ').unwrap();
        let wire = Self::to(format!("127.0.0.1:{port}"));
        let location = lake
            .location
            .replace(&format!("port={port}"), &format!("port={}", wire.port));
        (wire, location)
    }

    /// Breaks for good, as if the server had ended.
    pub(crate) fn cut(&self) {
        self.state.end.store(0, Ordering::SeqCst);
        self.state.end_connections();
    }

    /// Breaks, after answers were lost or without, and is whole again.
    fn break_soon(&self) {
        let state = &self.state;
        std::thread::sleep(Duration::from_millis(fastrand::u64(300..1_200)));
        state.loses_answers.store(true, Ordering::SeqCst);
        let end = state.carried.load(Ordering::SeqCst) + fastrand::u64(..100_000);
        state.end.store(end, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(fastrand::u64(300..600)));
        state.end.store(u64::MAX, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(fastrand::u64(..200)));
        state.loses_answers.store(false, Ordering::SeqCst);
    }
}

impl WireState {
    fn is_cut(&self) -> bool {
        self.carried.load(Ordering::SeqCst) >= self.end.load(Ordering::SeqCst)
    }

    fn connect(self: &Arc<Self>, client: &TcpStream, server: &TcpStream) {
        for (from, to) in [(client, server), (server, client)] {
            let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
            self.open.lock().unwrap().push(from.try_clone().unwrap());
            let state = Arc::clone(self);
            std::thread::spawn(move || state.carry(from, to));
        }
    }

    fn end_connections(&self) {
        for stream in self.open.lock().unwrap().drain(..) {
            stream.shutdown(Shutdown::Both).ok();
        }
    }

    fn carry(&self, mut from: TcpStream, mut to: TcpStream) {
        /// That a statement is done, and that the server waits for the next one.
        const END_OF_ANSWER: &[u8] = b"C\0\0\0\x0aBEGIN\0Z\0\0\0\x05T";
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            let said = &buffer[..read];
            let asks_of_tables = || said.windows(7).any(|word| word == b"nspname");
            if self.loses_answers.load(Ordering::SeqCst) && asks_of_tables() {
                from.write_all(END_OF_ANSWER).ok();
                continue;
            }
            let before = self.carried.fetch_add(read as u64, Ordering::SeqCst);
            let left = self.end.load(Ordering::SeqCst).saturating_sub(before);
            let carried = &said[..read.min(usize::try_from(left).unwrap_or(read))];
            let is_sent = to.write_all(carried).is_ok();
            if carried.len() < read {
                self.end_connections();
            }
            if !is_sent {
                break;
            }
        }
        to.shutdown(Shutdown::Both).ok();
    }
}

/// In each batch: too many for the catalog.
const LOGS: usize = 200;

/// A file of a writer's, read up to a batch.
fn progress(writer: i64, from: u64) -> FileProgress {
    let to = FilePosition {
        id: writer.to_string(),
        path: format!("/var/log/{writer}.log"),
        bytes: from + 1,
        head_fingerprint: "00".into(),
        tail_fingerprint: "00".into(),
        resume: ResumePoint::LineStart,
        last_time: None,
    };
    let from = Some(from).filter(|from| *from > 0);
    FileProgress { from, to }
}

/// Appends batch after batch of a file until told to stop, and counts them.
fn write(store: &DuckDbStore, writer: i64, batches: &AtomicUsize, is_over: &AtomicBool) {
    let mut seconds = 1_000_000 * writer..;
    for from in 0.. {
        if is_over.load(Ordering::SeqCst) {
            return;
        }
        let logs: Vec<LogEntry> = seconds
            .by_ref()
            .take(LOGS)
            .map(|second| log(second, "sshd", "Failed password"))
            .collect();
        patiently(|| store.append_logs_from_files(&logs, &[progress(writer, from)]));
        batches.fetch_add(1, Ordering::SeqCst);
    }
}

/// The ids of all logs, read while others write.
fn read(store: &DuckDbStore, is_over: &AtomicBool) -> Vec<String> {
    let (mut cursor, mut ids) = (Cursor::BEGINNING, Vec::new());
    loop {
        let was_over = is_over.load(Ordering::SeqCst);
        let page = patiently(|| store.read_after(cursor, 1_000));
        if page.logs.is_empty() && was_over {
            return ids;
        }
        cursor = page.next;
        ids.extend(page.logs.into_iter().map(|log| log.id));
    }
}

#[test]
fn a_connection_that_breaks_again_and_again_loses_nothing_and_doubles_nothing() {
    let Some(lake) = TestLake::in_postgres() else {
        return;
    };
    drop(lake.open());
    let (wire, location) = Wire::to_catalog_of(&lake);
    let store = options().open(&location).unwrap();
    let (writers_end, readers_end) = (AtomicBool::new(false), AtomicBool::new(false));
    let batches = AtomicUsize::new(0);
    let mut ids = std::thread::scope(|scope| {
        let (store, batches, writers_end, readers_end) = (&store, &batches, &writers_end, &readers_end);
        let writers = [0, 1].map(|writer| scope.spawn(move || write(store, writer, batches, writers_end)));
        let reader = scope.spawn(move || read(store, readers_end));
        for breaks in 0.. {
            if breaks >= 12 && batches.load(Ordering::SeqCst) > 2 {
                break;
            }
            wire.break_soon();
        }
        writers_end.store(true, Ordering::SeqCst);
        for writer in writers {
            writer.join().unwrap();
        }
        readers_end.store(true, Ordering::SeqCst);
        reader.join().unwrap()
    });
    let batches = batches.into_inner();
    let read = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), read), (batches * LOGS, batches * LOGS));
    assert_eq!(store.count_logs(&LogQuery::new()).unwrap(), read as u64);
}

#[test]
fn a_command_waits_for_a_catalog_that_comes_back() {
    let Some(lake) = TestLake::in_postgres() else {
        return;
    };
    drop(lake.open());
    let (wire, location) = Wire::to_catalog_of(&lake);
    let count = || {
        wire.state.end.store(0, Ordering::SeqCst);
        let back = Arc::clone(&wire.state);
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(500));
            back.end.store(u64::MAX, Ordering::SeqCst);
        });
        let store = options().lock_timeout(PATIENCE).open(&location).unwrap();
        (
            store.append_logs(&[log(0, "sshd", "Failed password")]),
            store.count_logs(&LogQuery::new()),
        )
    };
    for expected in 1..3 {
        let (appended, counted) = count();
        assert_eq!((appended.unwrap().stored, counted.unwrap()), (1, expected));
    }
}

#[test]
fn a_mistake_in_a_location_is_not_tried_again() {
    let Some(lake) = TestLake::in_postgres() else {
        return;
    };
    let (before, _) = lake.location.split_once(" dbname=").unwrap();
    let patient = options().lock_timeout(PATIENCE);
    for (mistake, reason) in [
        (" dbname=nothing", "database \"nothing\" does not exist"),
        (" dbname=postgres user=stranger", "password authentication failed"),
        (
            " dbname=postgres host=nowhere.invalid",
            "could not translate host name",
        ),
        (
            " dbname=postgres pasword=geheim",
            "invalid connection option \"pasword\"",
        ),
    ] {
        let refused = patient
            .clone()
            .open(format!("{before}{mistake}"))
            .unwrap_err()
            .with_causes();
        assert!(
            refused.contains(reason) && !refused.contains("geheim"),
            "{refused}"
        );
    }
}
