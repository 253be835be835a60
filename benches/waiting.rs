//! For how long operations of several processes wait for one file: each process does the same again and again without
//! a pause, or one of them stores alerts next to five that poll, read and append.
//!
//! `cargo bench --bench waiting` measures a store of 2,000,000 logs; `-- --rows 200000` another number, `--runs 1` and
//! `--seconds 5` take less time; `-- --quick` only shows that everything works.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use logstore::{
    Alert, AlertStore as _, Cursor, DuckDbStore, LogEntry, LogQuery, LogStore as _, Severity, StoreExt as _,
};

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    match arguments.first().map(String::as_str) {
        Some("work") => work(&arguments[1..]),
        _ => measure_all(&arguments),
    }
}

/// What the processes of a row do at the same time.
const MIXED: [&str; 6] = ["alert", "append 1000", "poll", "poll", "newest", "count"];

fn measure_all(arguments: &[String]) {
    let is_quick = arguments.iter().any(|argument| argument == "--quick");
    let rows = number(arguments, "--rows").unwrap_or(if is_quick { 1_000 } else { 2_000_000 });
    let runs = number(arguments, "--runs").unwrap_or(if is_quick { 1 } else { 3 });
    let span = match number(arguments, "--seconds") {
        Some(seconds) => Duration::from_secs(seconds),
        None => Duration::from_millis(if is_quick { 200 } else { 10_000 }),
    };
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary folder");
    let path = folder.path().join("logstore.duckdb");
    fill(&path, rows);
    println!("a store of {rows} logs, {span:?} a run\n");
    println!(
        "| work | processes | median | p99 | longest | p99 / median | a second |\n|---|---|---|---|---|---|---|"
    );
    for processes in [1, 2, 4, 8] {
        for _ in 0..runs {
            let times = together(&path, &vec!["append 1"; processes], span);
            line("append 1 log", processes, times.concat(), span);
        }
    }
    for _ in 0..runs {
        let alerts = together(&path, &MIXED, span).swap_remove(0);
        line(
            "store an alert next to readers and a writer",
            MIXED.len(),
            alerts,
            span,
        );
    }
}

fn number(arguments: &[String], name: &str) -> Option<u64> {
    let place = arguments.iter().position(|argument| argument == name)?;
    arguments.get(place + 1)?.parse().ok()
}

fn line(work: &str, processes: usize, mut times: Vec<Duration>, span: Duration) {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    let (median, p99, longest) = (at(50), at(99), at(100));
    let count = u32::try_from(times.len()).expect("a number of operations");
    println!(
        "| {work} | {processes} | {median:.1?} | {p99:.1?} | {longest:.1?} | {:.1} | {:.1} |",
        p99.as_secs_f64() / median.as_secs_f64(),
        f64::from(count) / span.as_secs_f64(),
    );
}

/// Lets each process do its work for a while, all from the same moment on; gives the times of each.
fn together(path: &Path, works: &[&str], span: Duration) -> Vec<Vec<Duration>> {
    let mut workers: Vec<Worker> = works.iter().map(|work| Worker::start(path, work, span)).collect();
    for worker in &mut workers {
        worker.go();
    }
    workers.into_iter().map(Worker::times).collect()
}

/// A process that waits for a line before it begins, and says the microseconds of each operation when it ends.
struct Worker {
    process: Child,
    input: ChildStdin,
    output: BufReader<std::process::ChildStdout>,
}

impl Worker {
    fn start(path: &Path, work: &str, span: Duration) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut process = Command::new(program)
            .args(["work", work, &span.as_millis().to_string()])
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let input = process.stdin.take().expect("its input");
        let mut output = BufReader::new(process.stdout.take().expect("its output"));
        let mut ready = String::new();
        output.read_line(&mut ready).expect("a line");
        assert_eq!(ready, "ready\n");
        Self {
            process,
            input,
            output,
        }
    }

    fn go(&mut self) {
        self.input.write_all(b"go\n").expect("it takes a line");
    }

    fn times(mut self) -> Vec<Duration> {
        let micros = self
            .output
            .lines()
            .map(|line| line.expect("a line").parse().expect("a number"));
        let times = micros.map(Duration::from_micros).collect();
        assert!(self.process.wait().expect("its end").success());
        times
    }
}

/// What a process of its own does.
fn work(arguments: &[String]) {
    let [work, millis, path] = arguments else {
        panic!("work WHAT MILLISECONDS PATH, not {arguments:?}");
    };
    let options = DuckDbStore::options().lock_timeout(Duration::from_secs(120));
    let store = options.open(path).expect("a store");
    let span = Duration::from_millis(millis.parse().expect("a number"));
    let mut cursor = store.end_cursor().expect("the end");
    println!("ready");
    std::io::stdin().read_line(&mut String::new()).expect("a line");
    let (started, mut times) = (Instant::now(), Vec::new());
    while started.elapsed() < span {
        let begun = Instant::now();
        let pause = operate(&store, work, &mut cursor);
        times.push(begun.elapsed());
        std::thread::sleep(Duration::from_millis(pause));
    }
    for time in times {
        println!("{}", time.as_micros());
    }
}

/// Does something once; says for how many milliseconds to pause after it.
fn operate(store: &DuckDbStore, work: &str, cursor: &mut Cursor) -> u64 {
    match work {
        "append 1" => append(store, 1),
        "append 1000" => {
            append(store, 1_000);
            return 50;
        }
        "alert" => {
            let alert = Alert::new("brute_force", "rule", Severity::High);
            store.store_alerts(&[alert]).expect("an alert is stored");
            return 20;
        }
        "poll" => {
            *cursor = store.read_after(*cursor, 10_000).expect("a page").next;
            return 100;
        }
        "newest" => drop(store.fetch_logs(&LogQuery::new().limit(100)).expect("logs")),
        "count" => drop(store.count_logs(&LogQuery::new()).expect("a count")),
        other => panic!("{other} is no work"),
    }
    0
}

fn append(store: &DuckDbStore, count: u64) {
    let logs: Vec<LogEntry> = (0..count).map(|number| log(Utc::now(), number)).collect();
    store.append_logs(&logs).expect("logs are appended");
}

fn log(start: DateTime<Utc>, number: u64) -> LogEntry {
    let text = format!(
        "Failed password for user{} from 10.0.0.{} port {number} ssh2",
        number % 97,
        number % 251
    );
    LogEntry::new(start + TimeDelta::microseconds(number.cast_signed()))
        .with_appname("sshd")
        .with_raw(&text)
        .with_message(text)
        .with_field("source_ip", format!("10.0.0.{}", number % 251))
}

/// Makes a store with logs of yesterday.
fn fill(path: &Path, rows: u64) {
    const BATCH: usize = 100_000;
    let store = DuckDbStore::open(path).expect("a store");
    let start = Utc::now() - TimeDelta::days(1);
    let mut logs = (0..rows).map(|number| log(start, number)).peekable();
    while logs.peek().is_some() {
        let batch: Vec<LogEntry> = logs.by_ref().take(BATCH).collect();
        store.append_logs(&batch).expect("logs are appended");
    }
}
