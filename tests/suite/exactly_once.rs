//! Files are read once, whatever becomes of them and of who reads them.

use std::fs::{self, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use logstore::DuckDbStore;
use logstore::duckdb::Access;

use crate::processes::terminate;
use crate::rotation::wait_for_error;
use crate::support::{Cli, PATIENCE};

pub(crate) fn lines(range: std::ops::Range<u32>) -> String {
    range
        .map(|n| {
            format!(
                "2024-01-01T00:00:00Z web1 app[{n}]: line {n} of a file that is long enough to be known\n"
            )
        })
        .collect()
}

pub(crate) fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// Ingests, and says how many logs were stored.
pub(crate) fn ingest(cli: &Cli, names: &[&str]) -> u64 {
    let mut arguments = vec!["ingest"];
    arguments.extend(names);
    cli.rows(&arguments)[0]["stored"].as_u64().unwrap()
}

/// The store holds each of these lines once.
pub(crate) fn assert_lines(cli: &Cli, count: u32) {
    let rows = cli.rows(&[
        "query",
        "SELECT procid, count(*) AS n FROM logs GROUP BY procid ORDER BY procid",
    ]);
    let found: Vec<_> = rows
        .iter()
        .map(|row| (row["procid"].as_u64(), row["n"].as_u64()))
        .collect();
    let expected: Vec<_> = (0..count).map(|n| (Some(u64::from(n)), Some(1))).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_file_is_read_once_and_then_what_is_new() {
    let cli = Cli::new();
    let path = cli.write("app.log", lines(0..50));
    assert_eq!(ingest(&cli, &["app.log"]), 50);
    assert_eq!(ingest(&cli, &["app.log"]), 0);
    append(&path, &lines(50..60));
    assert_eq!(ingest(&cli, &["./app.log", "app.log"]), 10);
    assert_lines(&cli, 60);
    let summary = &cli.rows(&["ingest", "app.log"])[0];
    assert_eq!(
        (&summary["sources"], &summary["known_sources"]),
        (&1.into(), &1.into())
    );
}

#[test]
fn rotated_files_are_known_again() {
    for size in [2, 50] {
        let cli = Cli::new();
        let path = cli.write("app.log", lines(0..size));
        assert_eq!(ingest(&cli, &["app.log"]), u64::from(size));
        // Renamed, with a few more lines, and a new one in its place.
        append(&path, &lines(size..size + 5));
        fs::rename(&path, cli.path("app.log.1")).unwrap();
        append(&path, &lines(size + 5..size + 10));
        assert_eq!(ingest(&cli, &["app.log", "app.log.1"]), 10, "{size}");
        // Copied and truncated.
        fs::copy(&path, cli.path("app.log.2")).unwrap();
        fs::write(&path, lines(size + 10..size + 12)).unwrap();
        assert_eq!(ingest(&cli, &["."]), 2, "{size}");
        // Compressed.
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(&fs::read(cli.path("app.log.1")).unwrap()).unwrap();
        cli.write("app.log.1.gz", gzip.finish().unwrap());
        fs::remove_file(cli.path("app.log.1")).unwrap();
        assert_eq!(ingest(&cli, &["app.log.1.gz"]), 0, "{size}");
        assert_lines(&cli, size + 12);
    }
}

#[test]
fn files_that_begin_alike_are_told_apart() {
    let cli = Cli::new();
    cli.write("a.log", "started\n");
    cli.write("b.log", "started\nlistening\n");
    assert_eq!(ingest(&cli, &["a.log", "b.log"]), 3);
    assert_eq!(ingest(&cli, &["a.log", "b.log"]), 0);
    let header = "#".repeat(2_000);
    cli.write("c.log", format!("{header}\none\n"));
    cli.write("d.log", format!("{header}\ntwo\n"));
    assert_eq!(ingest(&cli, &["c.log", "d.log"]), 4);
    // A file that is made again with other content is another one.
    cli.write("c.log", format!("{header}\nother\nthree\n"));
    assert_eq!(ingest(&cli, &["c.log"]), 3);
}

#[test]
fn arrays_and_objects_go_on_where_they_were_left() {
    let cli = Cli::new();
    cli.write("logstore.toml", "[ingest]\nbatch_size = 4\n");
    let objects: Vec<String> = (0..10).map(|n| format!("{{\n  \"pid\": {n}\n}}")).collect();
    let array = format!("[\n{}\n]\n", objects.join(",\n"));
    let path = cli.write("array.json", &array);
    assert_eq!(ingest(&cli, &["array.json"]), 10);
    append(&path, "{\"pid\": 10}\n");
    assert_eq!(ingest(&cli, &["array.json"]), 1);
    // Between two elements, as a run that was killed leaves it.
    let cut = array.find("\"pid\": 6").unwrap();
    let cut = cut + array[cut..].find('}').unwrap() + 1;
    let other = Cli::new();
    other.write("array.json", &array);
    assert_eq!(ingest(&other, &["array.json"]), 10);
    let digest = |bytes: &str| {
        use sha2::Digest as _;
        let digest = sha2::Sha256::digest(bytes.as_bytes());
        digest
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let (head, connection) = (
        &array[..cut],
        duckdb::Connection::open(other.path("logstore.duckdb")).unwrap(),
    );
    connection
        .execute_batch("DELETE FROM log_rows WHERE procid > 6")
        .unwrap();
    let sql = "UPDATE file_positions SET bytes = ?, head = ?, tail = ?, in_array = true";
    connection
        .execute(sql, duckdb::params![cut, digest(head), digest(head)])
        .unwrap();
    connection.close().unwrap();
    assert_eq!(ingest(&other, &["array.json"]), 3);
    assert_lines(&other, 10);
}

#[test]
fn a_damaged_archive_is_read_on_when_it_is_whole() {
    let cli = Cli::new();
    let text = lines(0..5_000);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(text.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    cli.write("app.gz", &gzip[..gzip.len() / 2]);
    assert_eq!(cli.failure(&["ingest", "app.gz"]).0, 3);
    let before = cli.rows(&["count"])[0]["count"].as_u64().unwrap();
    assert!(before > 0);
    assert_eq!(cli.failure(&["ingest", "app.gz"]).0, 3);
    assert_eq!(cli.rows(&["count"])[0]["count"], before);
    // The last line was cut, and its rest is a line of its own.
    cli.write("app.gz", &gzip);
    let stored = ingest(&cli, &["app.gz"]);
    assert!(
        (5_000..=5_001).contains(&(before + stored)),
        "{before} + {stored}"
    );
}

#[test]
fn of_two_that_read_a_file_at_once_one_is_told() {
    let cli = Cli::new();
    cli.write("logstore.toml", "[ingest]\nbatch_size = 500\n");
    cli.write("app.log", lines(0..20_000));
    let runs: Vec<Child> = (0..3)
        .map(|_| {
            Command::new(assert_cmd::cargo::cargo_bin!("logstore"))
                .args(["ingest", "app.log"])
                .current_dir(&cli.folder)
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for run in runs {
        let output = run.wait_with_output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(
            output.status.success() || text.contains("another process"),
            "{text}"
        );
    }
    ingest(&cli, &["app.log"]);
    assert_lines(&cli, 20_000);
}

#[test]
fn a_file_is_the_same_to_a_process_that_knows_other_files() {
    let cli = Cli::new();
    cli.write("other.log", "started\n");
    cli.write("app.log", lines(0..50));
    DuckDbStore::open(cli.path("logstore.duckdb")).unwrap();
    // This one has looked at what is known, and waits for its first source.
    let mut waiting = cli.program(&["ingest", "-", "app.log"]);
    let waiting = waiting
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut waiting = waiting.spawn().unwrap();
    waiting.stdin.as_mut().unwrap().write_all(b"one line\n").unwrap();
    wait_for(&cli, 1);
    assert_eq!(ingest(&cli, &["other.log", "app.log"]), 51);
    drop(waiting.stdin.take());
    let output = waiting.wait_with_output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("another process"), "{text}");
    let rows = cli.rows(&["count", "--contains", "long enough to be known"]);
    assert_eq!(rows[0]["count"], 50);
}

/// The program, following a file until it is told to stop.
pub(crate) struct Following(pub(crate) Child);

impl Following {
    pub(crate) fn start(cli: &Cli, names: &[&str]) -> Self {
        Self::start_with(cli, "20ms", names)
    }

    /// The same with an interval, and more flags before the names.
    pub(crate) fn start_with(cli: &Cli, interval: &str, names: &[&str]) -> Self {
        let mut command = cli.program(&["ingest", "--follow", "--interval", interval]);
        command.args(names);
        // So that what it stores can be counted from now on.
        drop(DuckDbStore::open(cli.path("logstore.duckdb")).unwrap());
        let errors = fs::File::create(cli.path("errors")).unwrap();
        Self(command.stdout(Stdio::piped()).stderr(errors).spawn().unwrap())
    }

    /// Stops it, and leaves its summary.
    pub(crate) fn end(mut self) {
        terminate(&mut self.0);
    }

    pub(crate) fn stop(mut self) {
        terminate(&mut self.0);
        let summary = BufReader::new(self.0.stdout.take().unwrap()).lines().next();
        assert!(summary.unwrap().unwrap().contains("stored"));
    }
}

/// Waits until the store holds so many logs.
pub(crate) fn wait_for(cli: &Cli, count: u64) {
    let started = Instant::now();
    let stored = || cli.rows(&["count", "--lock-timeout", "10m"]).remove(0);
    while stored()["count"] != count {
        assert!(started.elapsed() < PATIENCE, "{}", stored());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn following_goes_on_through_rotation() {
    let cli = Cli::new();
    let path = cli.write("app.log", lines(0..50));
    ingest(&cli, &["app.log"]);
    append(&path, &lines(50..55));
    let following = Following::start(&cli, &["app.log"]);
    wait_for(&cli, 55);
    // Renamed while its writer has it open and goes on with it.
    let mut writer = OpenOptions::new().append(true).open(&path).unwrap();
    fs::rename(&path, cli.path("app.log.1")).unwrap();
    writer.write_all(lines(55..58).as_bytes()).unwrap();
    append(&path, &lines(58..60));
    wait_for(&cli, 60);
    // Copied and truncated.
    fs::copy(&path, cli.path("app.log.2")).unwrap();
    fs::File::create(&path).unwrap();
    append(&path, &lines(60..62));
    wait_for(&cli, 62);
    // A line is read when it has its end.
    let line = lines(62..63);
    append(&path, &line[..30]);
    append(&cli.path("app.log.1"), &lines(63..64));
    wait_for(&cli, 63);
    append(&path, &line[30..]);
    wait_for(&cli, 64);
    following.stop();
    append(&path, &lines(64..65));
    // Not the file with what the follower said, which may have lines.
    assert_eq!(ingest(&cli, &["app.log*"]), 1);
    assert_lines(&cli, 65);
}

#[test]
fn a_follower_knows_files_that_others_have_read_since_it_began() {
    let cli = Cli::new();
    fs::create_dir(cli.path("followed")).unwrap();
    cli.write("followed/first.log", "started\n");
    let following = Following::start(&cli, &["followed"]);
    wait_for(&cli, 1);
    let path = cli.write("app.log", lines(0..50));
    assert_eq!(ingest(&cli, &["app.log"]), 50);
    append(&path, &lines(50..60));
    fs::rename(&path, cli.path("followed/app.log")).unwrap();
    wait_for(&cli, 61);
    cli.write("followed/last.log", "ended\n");
    wait_for(&cli, 62);
    following.stop();
}

#[test]
fn following_waits_for_whoever_holds_the_store() {
    let cli = Cli::new();
    let path = cli.write("app.log", lines(0..5));
    cli.write("logstore.toml", "[store]\nlock_timeout = \"300ms\"\n");
    ingest(&cli, &["app.log"]);
    let changed = || {
        cli.path("logstore.duckdb")
            .metadata()
            .unwrap()
            .modified()
            .unwrap()
    };
    let before = changed();
    let mut following = Following::start(&cli, &["app.log"]);
    // What it stores shows that it has opened the store, which must be free for that.
    append(&path, &lines(5..6));
    while changed() == before {
        assert!(following.0.try_wait().unwrap().is_none(), "it ended");
        std::thread::sleep(Duration::from_millis(5));
    }
    let holder = DuckDbStore::options()
        .access(Access::Exclusive)
        .lock_timeout(PATIENCE)
        .open(cli.path("logstore.duckdb"))
        .unwrap();
    append(&path, &lines(6..10));
    wait_for_error(&cli, "trying again");
    drop(holder);
    wait_for(&cli, 10);
    following.stop();
    assert_lines(&cli, 10);
}

#[test]
fn a_pipe_is_stored_as_it_comes() {
    let cli = Cli::new();
    cli.write("empty.log", "");
    ingest(&cli, &["empty.log"]);
    let mut child = Command::new(assert_cmd::cargo::cargo_bin!("logstore"))
        .args(["ingest", "-"])
        .current_dir(&cli.folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    for n in 0..3 {
        input.write_all(lines(n..n + 1).as_bytes()).unwrap();
        input.flush().unwrap();
        wait_for(&cli, u64::from(n) + 1);
    }
    drop(input);
    assert!(child.wait().unwrap().success());
    assert_lines(&cli, 3);
}
