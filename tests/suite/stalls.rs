//! Processes on one lake that are stopped and let go at random moments, and whose connections to the catalog are ended:
//! ingests of the same files, followers of the same files, consumers and upkeep. Every log once, every position right.
//!
//! `scripts/stalls` lets this take longer, with stalls that outlast every timeout.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use logstore::{ConsumerStore as _, DuckDbStore, Error, IngestStore as _};

use crate::fencing::{Catalog, LOCK_HOLDERS};
use crate::processes::given_store;
use crate::scale_out::{assert_alerts, consume};
use crate::support::{PATIENCE, at, patiently};
use crate::test_lake::{EXTENSIONS, TestLake, given, options};

/// Names how many seconds all of this takes. Without it, stalls are short, and the connections of a stopped process are
/// ended instead.
const SECONDS: &str = "LOGSTORE_TEST_STALLS_SECONDS";

/// Reads what is new as the consumer `detector`, and goes on through all failures.
#[test]
#[ignore = "run in a process of its own"]
fn consumer() {
    let store: DuckDbStore = patiently(|| options().threads(1).open(given_store()));
    loop {
        let read = patiently(|| match consume(&store, "detector") {
            Err(Error::Conflict { .. }) => Ok(0),
            outcome => outcome,
        });
        if read == 0 {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Holds the processes that are running, and what became of them.
struct Herd<'a> {
    folder: &'a Path,
    location: &'a str,
    extensions: &'a str,
    members: Mutex<HashMap<u32, Child>>,
    is_over: AtomicBool,
    runs: AtomicU64,
    stalls: AtomicU64,
    ended: AtomicU64,
}

impl Herd<'_> {
    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// Returns the program with a command, which says what goes wrong in a file.
    fn program(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("logstore"));
        command
            .args(arguments)
            .current_dir(self.folder)
            .env("LOGSTORE_DATABASE", self.location)
            .env("LOGSTORE_STORE__EXTENSION_DIRECTORY", self.extensions)
            .env("LOGSTORE_STORE__THREADS", "1");
        command
    }

    fn consumer(&self) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["stalls::consumer", "--exact", "--ignored", "--nocapture"])
            .env("LOGSTORE_TEST_STORE", self.location);
        command
    }

    /// Runs a command to its end.
    fn run(&self, mut command: Command) -> ExitStatus {
        let diagnostics = || {
            let path = self.folder.join("diagnostics");
            OpenOptions::new().append(true).create(true).open(path).unwrap()
        };
        command.stdout(Stdio::null()).stderr(diagnostics());
        self.runs.fetch_add(1, Ordering::Relaxed);
        let child = command.spawn().unwrap();
        let id = child.id();
        self.members.lock().unwrap().insert(id, child);
        loop {
            std::thread::sleep(Duration::from_millis(10));
            // A process that is stopped is not forgotten meanwhile: its number cannot become another one's.
            let mut members = self.members.lock().unwrap();
            if let Some(status) = members.get_mut(&id).unwrap().try_wait().unwrap() {
                members.remove(&id);
                return status;
            }
        }
    }

    fn run_again_and_again(&self, command: impl Fn() -> Command) {
        while !self.is_over() {
            self.run(command());
        }
    }

    /// Sends a signal to a process, if it still runs.
    fn signal(&self, id: u32, name: &str) -> bool {
        let members = self.members.lock().unwrap();
        members.contains_key(&id) && send(id, name)
    }

    fn any_member(&self) -> Option<u32> {
        let members = self.members.lock().unwrap();
        fastrand::choice(members.keys().copied().collect::<Vec<_>>())
    }

    /// Stops a process for a time, in the middle of what it does.
    fn stall(&self, time: Duration) {
        if let Some(id) = self.any_member()
            && self.signal(id, "STOP")
        {
            self.stalls.fetch_add(1, Ordering::Relaxed);
            self.wait(time);
            self.signal(id, "CONT");
        }
    }

    fn wait(&self, time: Duration) {
        let started = Instant::now();
        while started.elapsed() < time && !self.is_over() {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends the connections of a writer that has its turn, or one of those of all processes.
    fn end_backends(&self, catalog: &Catalog) {
        const ANY: &str = "SELECT pid FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = 'logstore'
            ORDER BY random() LIMIT 1";
        let selected = if fastrand::u8(..4) > 0 { LOCK_HOLDERS } else { ANY };
        self.ended
            .fetch_add(catalog.end_backends(selected).unsigned_abs(), Ordering::Relaxed);
    }

    /// Lets everything go, and ends what would not end by itself.
    fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        for id in self.members.lock().unwrap().keys() {
            send(*id, "CONT");
            send(*id, "KILL");
        }
    }
}

fn send(id: u32, name: &str) -> bool {
    let arguments = [format!("-{name}"), id.to_string()];
    Command::new("kill").args(arguments).status().unwrap().success()
}

/// The files that ingests read at the same time. A new one comes when one of them has read the last one.
struct Files<'a> {
    folder: &'a Path,
    made: Mutex<u64>,
}

const LINES: u64 = 400;

fn write_line(file: &mut impl Write, name: &str, number: u64) {
    let time = at(number.cast_signed()).to_rfc3339();
    writeln!(file, "{time} web1 sshd[42]: file {name} line {number}").unwrap();
}

impl Files<'_> {
    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number}.log"))
    }

    fn make(&self, number: u64) {
        let mut text = Vec::new();
        (0..LINES).for_each(|line| write_line(&mut text, &number.to_string(), line));
        std::fs::write(self.path(number), text).unwrap();
    }

    fn last(&self) -> u64 {
        *self.made.lock().unwrap()
    }

    fn go_on(&self, read: u64) {
        let mut made = self.made.lock().unwrap();
        if *made == read {
            self.make(read + 1);
            *made = read + 1;
        }
    }
}

/// Reads the last file again and again.
fn ingest(herd: &Herd<'_>, files: &Files<'_>) {
    while !herd.is_over() {
        let number = files.last();
        let path = files.path(number).display().to_string();
        if herd.run(herd.program(&["ingest", &path])).success() {
            files.go_on(number);
        }
    }
}

/// Writes lines to files that are followed, and returns how many each has.
fn grow(herd: &Herd<'_>, paths: &[PathBuf]) -> u64 {
    let mut files: Vec<File> = paths.iter().map(|path| File::create(path).unwrap()).collect();
    let mut lines = 0;
    while !herd.is_over() {
        for (file, path) in files.iter_mut().zip(paths) {
            let name = path.file_stem().unwrap().to_str().unwrap();
            (lines..lines + 10).for_each(|line| write_line(file, name, line));
        }
        lines += 10;
        std::thread::sleep(Duration::from_millis(100));
    }
    lines
}

/// Stops processes, and ends connections, until the time is over.
fn disturb(herd: &Herd<'_>, catalog: &Catalog, seconds: Option<u64>) {
    let started = Instant::now();
    let time = Duration::from_secs(seconds.unwrap_or(20));
    std::thread::scope(|scope| {
        while started.elapsed() < time {
            std::thread::sleep(Duration::from_millis(fastrand::u64(50..500)));
            herd.end_backends(catalog);
            let stall = match seconds {
                Some(_) => Duration::from_millis(fastrand::u64(10_000..120_000)),
                None => Duration::from_millis(fastrand::u64(200..2_000)),
            };
            if fastrand::u8(..4) == 0 {
                scope.spawn(move || herd.stall(stall));
            }
        }
        herd.end();
    });
}

/// Reads to their ends the files of an interrupted work, and checks that every log is there once.
fn check(store: &DuckDbStore, lines: &[(String, u64)]) {
    let sql =
        "SELECT regexp_extract(message, 'file (\\w+) line', 1) AS file, count(*), count(DISTINCT message)
        FROM logs GROUP BY ALL";
    let rows = patiently(|| store.execute_query(sql, &[])).rows;
    let found: HashMap<String, (u64, u64)> = rows
        .iter()
        .map(|row| {
            let number = |index: usize| row[index].as_u64().unwrap();
            (row[0].as_str().unwrap().to_owned(), (number(1), number(2)))
        })
        .collect();
    let wrong: Vec<_> = lines
        .iter()
        .filter(|(name, count)| found.get(name) != Some(&(*count, *count)))
        .map(|(name, count)| format!("{name} has {count} lines, there are {:?}", found.get(name)))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    for position in store.file_positions().unwrap() {
        assert_eq!(position.bytes, std::fs::metadata(&position.path).unwrap().len());
    }
    while patiently(|| consume(store, "detector")) > 0 {}
    assert_alerts(
        store,
        &["detector"],
        lines.iter().map(|(_, count)| count.cast_signed()).sum(),
    );
    assert_eq!(store.positions().unwrap().len(), 1);
}

#[test]
fn processes_that_stall_lose_nothing_and_double_nothing() {
    let (Some(extensions), Some(lake)) = (given(EXTENSIONS), TestLake::in_postgres()) else {
        return;
    };
    let seconds = std::env::var(SECONDS)
        .ok()
        .map(|seconds| seconds.parse().unwrap());
    let store = options().lock_timeout(PATIENCE).open(&lake.location).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let herd = &Herd {
        folder: folder.path(),
        location: &lake.location,
        extensions: &extensions,
        members: Mutex::default(),
        is_over: AtomicBool::new(false),
        runs: AtomicU64::new(0),
        stalls: AtomicU64::new(0),
        ended: AtomicU64::new(0),
    };
    let files = &Files {
        folder: folder.path(),
        made: Mutex::new(0),
    };
    files.make(0);
    let followed = &["a", "b"].map(|name| folder.path().join(format!("{name}.log")));
    let [a, b] = followed.each_ref().map(|path| path.display().to_string());
    let grown = std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(move || ingest(herd, files));
        }
        let growing = scope.spawn(move || grow(herd, followed));
        for names in [[&a, &b], [&b, &a]] {
            let follow =
                move || herd.program(&["ingest", "--follow", names[0], names[1], "--interval", "50ms"]);
            scope.spawn(move || herd.run_again_and_again(follow));
            scope.spawn(move || herd.run_again_and_again(|| herd.consumer()));
        }
        let upkeep = move || {
            let arguments = ["maintain", "--keep-snapshots", "0s", "--keep-unused-files", "10m"];
            herd.program(&arguments)
        };
        scope.spawn(move || herd.run_again_and_again(upkeep));
        disturb(herd, &Catalog::of(&lake), seconds);
        growing.join().unwrap()
    });
    let last = files.last();
    let mut lines: Vec<(String, u64)> = (0..=last).map(|number| (number.to_string(), LINES)).collect();
    lines.extend(["a", "b"].map(|name| (name.to_owned(), grown)));
    let paths: Vec<String> = lines
        .iter()
        .map(|(name, _)| folder.path().join(format!("{name}.log")).display().to_string())
        .collect();
    let arguments: Vec<&str> = ["ingest", "--lock-timeout", "10m"]
        .into_iter()
        .chain(paths.iter().map(String::as_str))
        .collect();
    assert!(herd.run(herd.program(&arguments)).success());
    check(&store, &lines);
    eprintln!(
        "{} stalls, {} ended connections, {} processes, {} files, {} logs",
        herd.stalls.load(Ordering::Relaxed),
        herd.ended.load(Ordering::Relaxed),
        herd.runs.load(Ordering::Relaxed),
        lines.len(),
        lines.iter().map(|(_, count)| count).sum::<u64>()
    );
}
