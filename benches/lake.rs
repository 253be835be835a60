//! What a lake costs beside a file, by how many processes use it at once: the same work on a store of each kind in the
//! same run.
//!
//! `scripts/bench-lake` measures 2,000,000 logs and then 20,000,000; `-- --rows 200000` another number; `-- --quick` only
//! shows that everything works, `--ingest-only` leaves out what comes after. The lake has its catalog in a PostgreSQL server on this machine and its data on the
//! same disk as the file.

#[path = "../tests/suite/test_lake.rs"]
#[allow(dead_code, reason = "tests use more of it")]
mod test_lake;

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use logstore::duckdb::MaintenanceOptions;
use logstore::{Cursor, DuckDbStore, Field, LogEntry, LogQuery, LogStore as _, Order, StoreExt as _};
use test_lake::{TestLake, options};

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

/// What each process does again and again.
const WORKS: [&str; 9] = [
    "append 1 log",
    "append 100 logs",
    "append 1,000 logs",
    "fetch the last minute before upkeep",
    "fetch the last minute",
    "poll with nothing new",
    "poll 1,000 logs",
    "poll 20,000 logs",
    "count by source_ip",
];

/// How many of them come before the upkeep.
const BEFORE_UPKEEP: usize = 4;

fn measure_all(arguments: &[String]) {
    let is_quick = arguments.iter().any(|argument| argument == "--quick");
    let given = arguments.iter().position(|argument| argument == "--rows");
    let rows = given
        .and_then(|at| arguments.get(at + 1)?.parse().ok())
        .unwrap_or(if is_quick { 2_000 } else { 2_000_000 });
    let span = Duration::from_millis(if is_quick { 100 } else { 10_000 });
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary folder");
    let file = folder.path().join("logstore.duckdb").display().to_string();
    let Some(lake) = TestLake::with_data_in(None, &folder.path().join("lake").display().to_string()) else {
        return;
    };
    println!("{rows} logs\n\n| work | processes | file | lake |\n|---|---|---|---|");
    for processes in [1, 2, 4] {
        let [file, lake] = [&file, &lake.location].map(|location| ingest(location, rows, processes));
        println!("| ingest, 50,000 logs a commit | {processes} | {file} | {lake} |");
    }
    let bytes_before = bytes_on_disk(&file, &lake.location);
    for processes in [1, 2, 4] {
        let parts = json_lines(folder.path(), rows / 10, processes);
        let [file, lake] = [&file, &lake.location].map(|location| ingest_files(location, &parts));
        println!("| `logstore ingest` of JSON lines of 600 bytes | {processes} | {file} | {lake} |");
    }
    let bytes = bytes_on_disk(&file, &lake.location);
    let [file_bytes, lake_bytes] =
        [0, 1].map(|store| (bytes[store] - bytes_before[store]) * 10 / rows as u64 / 3);
    println!("| bytes on disk for each of those lines | | {file_bytes} | {lake_bytes} |");
    maintain(&lake.location);
    if arguments.iter().any(|argument| argument == "--ingest-only") {
        return;
    }
    for (number, work) in WORKS.into_iter().enumerate() {
        if number == BEFORE_UPKEEP {
            maintain(&lake.location);
        }
        for processes in [1, 2, 4] {
            let [file, lake] =
                [&file, &lake.location].map(|location| together(work, location, processes, span));
            println!("| {work} | {processes} | {file} | {lake} |");
        }
    }
}

fn bytes_on_disk(file: &str, lake: &str) -> [u64; 2] {
    [file, lake].map(|location| {
        let stats = open(location).stats().expect("statistics");
        stats.bytes_on_disk.unwrap_or_default()
    })
}

fn open(location: &str) -> DuckDbStore {
    let options = options().lock_timeout(Duration::from_secs(120));
    options.open(location).expect("a store")
}

/// The logs that a process of several appends: together they make up a third of all.
fn ingest(location: &str, rows: usize, processes: usize) -> String {
    drop(open(location));
    let started = Instant::now();
    let logs = rows / 3 / processes;
    let workers = (0..processes).map(|_| start(&["ingest", location, &logs.to_string()]));
    for worker in workers.collect::<Vec<_>>() {
        end(worker);
    }
    let rate = per_second(logs * processes, started.elapsed());
    format!("{rate} logs/s")
}

/// Files that make up so many lines together, and how many that are.
struct Parts {
    paths: Vec<PathBuf>,
    lines: usize,
}

fn json_lines(folder: &Path, lines: usize, parts: usize) -> Parts {
    let path = |part: usize| folder.join(format!("{parts}-{part}.ndjson"));
    let write = |part: usize| {
        let mut file = BufWriter::new(File::create(path(part)).expect("a file"));
        let start = Utc::now();
        for number in 0..lines / parts {
            let time = start + TimeDelta::microseconds(i64::try_from(number).expect("a number"));
            let line = json_line(time, number * parts + part);
            writeln!(file, "{line}").expect("a line");
        }
        path(part)
    };
    Parts {
        paths: (0..parts).map(write).collect(),
        lines: lines / parts * parts,
    }
}

fn json_line(time: DateTime<Utc>, number: usize) -> serde_json::Value {
    let (host, port) = (number % 97, 1_024 + number % 60_000);
    let mut line = serde_json::json!({
        "timestamp": time.to_rfc3339(),
        "host": format!("web{host}.example.org"),
        "program": "sshd",
        "pid": number % 32_768,
        "level": "notice",
        "src_ip": format!("10.{}.{}.{}", number % 7, number % 251, number % 13),
        "dst_ip": "192.0.2.1",
        "user": format!("user{}", number % 1_013),
        "action": "ssh_login",
        "outcome": if number.is_multiple_of(3) { "success" } else { "failure" },
        "session": format!("{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        "message": format!("Failed password for user{} from port {port} ssh2", number % 1_013),
    });
    let length = line.to_string().len();
    line["command"] = words(number, 586_usize.saturating_sub(length)).into();
    line
}

/// Text that compresses as text does.
fn words(number: usize, length: usize) -> String {
    const WORDS: &str = "session opened for user by uid closed request from port key accepted denied timeout while \
                         reading response header upstream client server connection reset peer cache miss policy rule";
    let words: Vec<&str> = WORDS.split(' ').collect();
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut text = String::new();
    while text.len() < length {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        text.push_str(words[(state >> 33) % words.len()]);
        text.push(' ');
    }
    text.truncate(length);
    text
}

/// Lets the program read each of the files in a process of its own.
fn ingest_files(location: &str, parts: &Parts) -> String {
    let started = Instant::now();
    let ingest = |path: &PathBuf| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_logstore"));
        // It warns of variables that are no settings.
        for name in std::env::vars_os().map(|(name, _)| name) {
            if name.to_string_lossy().starts_with("LOGSTORE_TEST_") {
                command.env_remove(name);
            }
        }
        command
            .args(["--database", location, "--lock-timeout", "120s", "ingest"])
            .arg(path);
        if let Some(folder) = std::env::var_os(test_lake::EXTENSIONS) {
            command.env("LOGSTORE_STORE__EXTENSION_DIRECTORY", folder);
        }
        command.stdout(Stdio::null()).spawn().expect("a process")
    };
    let programs: Vec<Child> = parts.paths.iter().map(ingest).collect();
    for mut program in programs {
        assert!(program.wait().expect("its end").success());
    }
    format!("{} logs/s", per_second(parts.lines, started.elapsed()))
}

fn maintain(location: &str) {
    let plan = MaintenanceOptions {
        snapshot_retention: TimeDelta::zero(),
        unused_file_retention: TimeDelta::zero(),
        ..MaintenanceOptions::default()
    };
    let store = open(location);
    let started = Instant::now();
    let mut done = String::new();
    for step in store.maintain(&plan).expect("upkeep") {
        let step = step.expect("a step");
        write!(done, "{}: {} {}; ", step.name, step.count, step.unit).expect("text");
    }
    eprintln!("maintain: {done}{:.1?}", started.elapsed());
}

/// Lets processes do the same for a while; says how long it took each time, and how often all of them did it.
fn together(work: &str, location: &str, processes: usize, span: Duration) -> String {
    let millis = span.as_millis().to_string();
    let workers: Vec<Child> = (0..processes)
        .map(|_| start(&[work, location, &millis]))
        .collect();
    let mut times: Vec<Duration> = workers.into_iter().flat_map(end).collect();
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    format!(
        "{:.1?}, p99 {:.1?}, {}/s",
        at(50),
        at(99),
        per_second(times.len(), span)
    )
}

fn per_second(count: usize, time: Duration) -> u128 {
    count as u128 * 1_000 / time.as_millis().max(1)
}

fn start(arguments: &[&str]) -> Child {
    let program = std::env::current_exe().expect("this program");
    let mut command = Command::new(program);
    command.arg("work").args(arguments).stdout(Stdio::piped());
    command.spawn().expect("a process")
}

/// The times that a process says.
fn end(worker: Child) -> Vec<Duration> {
    let output = worker.wait_with_output().expect("its output");
    assert!(output.status.success());
    let said = String::from_utf8(output.stdout).expect("text");
    let micros = said.lines().map(|line| line.parse().expect("a number"));
    micros.map(Duration::from_micros).collect()
}

/// What a process of its own does.
fn work(arguments: &[String]) {
    let [work, location, amount] = arguments else {
        panic!("work WHAT LOCATION AMOUNT, not {arguments:?}");
    };
    let store = open(location);
    let amount: u64 = amount.parse().expect("a number");
    if work == "ingest" {
        let mut left = amount;
        while left > 0 {
            let count = left.min(50_000);
            append(&store, count);
            left -= count;
        }
        return;
    }
    let (end, newest) = (store.end_cursor().expect("the end"), newest(&store));
    let mut cursor = Cursor::BEGINNING;
    let started = Instant::now();
    let mut times = Vec::new();
    while started.elapsed() < Duration::from_millis(amount) {
        let begun = Instant::now();
        match work.as_str() {
            "append 1 log" => append(&store, 1),
            "append 100 logs" => append(&store, 100),
            "append 1,000 logs" => append(&store, 1_000),
            "fetch the last minute" | "fetch the last minute before upkeep" => {
                let query = LogQuery::new().since(newest - TimeDelta::minutes(1)).limit(100);
                assert!(!store.fetch_logs(&query).expect("logs").is_empty());
            }
            "poll with nothing new" => {
                assert!(store.read_after(end, 1_000).expect("a page").logs.is_empty());
            }
            "poll 1,000 logs" => cursor = poll(&store, cursor, 1_000),
            "poll 20,000 logs" => cursor = poll(&store, cursor, 20_000),
            "count by source_ip" => {
                let field = "source_ip".parse::<Field>().expect("a field");
                store.count_logs_by(&LogQuery::new(), &[field]).expect("counts");
            }
            other => panic!("{other} is no work"),
        }
        times.push(begun.elapsed());
    }
    for time in times {
        println!("{}", time.as_micros());
    }
}

/// Reads a page; says where to go on, which is at the beginning again after the last page.
fn poll(store: &DuckDbStore, cursor: Cursor, limit: usize) -> Cursor {
    let page = store.read_after(cursor, limit).expect("a page");
    if page.logs.len() < limit {
        return Cursor::BEGINNING;
    }
    page.next
}

fn newest(store: &DuckDbStore) -> DateTime<Utc> {
    let query = LogQuery::new().order(Order::NewestFirst).limit(1);
    let logs = store.fetch_logs(&query).expect("logs");
    logs.first().map_or(Utc::now(), |log| log.event_time)
}

fn append(store: &DuckDbStore, count: u64) {
    let start = Utc::now();
    let log = |number: u64| {
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
    };
    let logs: Vec<LogEntry> = (0..count).map(log).collect();
    store.append_logs(&logs).expect("logs are appended");
}
