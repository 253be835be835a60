//! Real faults: a disk that is full, a folder that may not be written, files that are damaged, a clock that jumps.

use std::collections::HashSet;
use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::process::{Command, Output};

use logstore::{Alert, Cursor, DuckDbStore, Error, Fetcher, LogStore as _, Severity};

use crate::processes::Process;
use crate::support::{Cli, at, log};

/// Damage is met with an error that says so, or does no harm: the program neither panics nor is it killed, and it
/// prints nothing that was not stored.
fn assert_survives(output: &Output, known: &HashSet<String>) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        matches!(output.status.code(), Some(0 | 3)),
        "{:?} {errors}",
        output.status
    );
    assert!(!errors.contains("panicked"), "{errors}");
    assert_eq!(output.status.code() == Some(3), !errors.is_empty(), "{errors}");
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        assert!(known.contains(line), "{line}");
    }
}

/// A store with some thousand logs, and what it prints.
fn with_many_logs() -> (Cli, HashSet<String>) {
    let cli = Cli::new();
    let lines: String = (0..20_000)
        .map(|n| {
            format!(
                "2024-01-01T00:00:00Z web1 app[{n}]: {} {}\n",
                n * 7_919 % 10_007,
                n * 104_729 % 1_009
            )
        })
        .collect();
    cli.write("app.log", lines);
    cli.output(&["ingest", "app.log"]);
    let known = cli.output(&["fetch"]).lines().map(str::to_owned).collect();
    (cli, known)
}

fn overwrite(path: &Path, at: u64, bytes: &[u8]) {
    let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(bytes).unwrap();
}

#[test]
fn a_store_that_is_truncated() {
    let (cli, known) = with_many_logs();
    let path = cli.path("logstore.duckdb");
    let whole = fs::read(&path).unwrap();
    for part in 0..12 {
        fs::write(&path, &whole[..whole.len() * part / 12]).unwrap();
        assert_survives(&cli.command(&["fetch"]).output().unwrap(), &known);
        let check = cli.command(&["check"]).output().unwrap();
        assert_eq!(check.status.code(), Some(3), "{part} of 12");
    }
}

#[test]
fn a_store_that_is_overwritten_in_the_middle() {
    let (cli, known) = with_many_logs();
    let path = cli.path("logstore.duckdb");
    let whole = fs::read(&path).unwrap();
    let mut found = 0;
    for part in 0..24 {
        fs::write(&path, &whole).unwrap();
        overwrite(&path, whole.len() as u64 * part / 24 + 100, &[0xa5; 512]);
        assert_survives(&cli.command(&["fetch"]).output().unwrap(), &known);
        let check = cli.command(&["check"]).output().unwrap();
        assert!(
            matches!(check.status.code(), Some(0 | 3)),
            "{part} of 24: {:?}",
            check.status
        );
        found += u32::from(check.status.code() == Some(3));
    }
    // The rest is of blocks that are free.
    assert!(found > 12, "{found} of 24");
}

#[test]
fn a_write_ahead_log_that_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("soc.duckdb");
    let wal = folder.path().join("soc.duckdb.wal");
    let variables = [("LOGSTORE_TEST_START", "0"), ("LOGSTORE_TEST_EXCLUSIVE", "1")];
    let process = Process::start("crash::writer", &path, &variables);
    while process.wait_for("acknowledged").unwrap() < 200 {}
    process.kill("acknowledged");
    let (store, log) = (fs::read(&path).unwrap(), fs::read(&wal).unwrap());
    let mut counts = Vec::new();
    for part in 0..=20 {
        fs::write(&path, &store).unwrap();
        fs::write(&wal, &log[..log.len() * part / 20]).unwrap();
        let store = DuckDbStore::open(&path).unwrap();
        counts.push(crate::crash::assert_logs_are_whole(&store));
        store
            .append_logs(&[crate::support::log(0, "a", "goes on")])
            .unwrap();
    }
    assert!(
        counts.is_sorted() && counts[0] == 0 && counts[20] >= 200,
        "{counts:?}"
    );
    // Overwritten, it is either replayed up to there or refused.
    for part in 1..10 {
        fs::write(&path, &store).unwrap();
        fs::write(&wal, &log).unwrap();
        overwrite(&wal, log.len() as u64 * part / 10, &[0xa5; 64]);
        match DuckDbStore::open(&path) {
            Ok(store) => assert!(crate::crash::assert_logs_are_whole(&store) <= counts[20]),
            Err(error) => assert!(matches!(error, Error::Corrupt { .. }), "{error:?}"),
        }
    }
}

#[test]
fn a_clock_that_jumps_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = DuckDbStore::open(folder.path().join("soc.duckdb")).unwrap();
    let mut fetcher = Fetcher::new(&store)
        .consumer("c")
        .every(std::time::Duration::ZERO);
    for (round, seconds) in [1_000_000, 0, 1_000_000, -1_000_000].into_iter().enumerate() {
        let mut log = log(seconds, "a", &round.to_string());
        log.ingestion_time = at(seconds);
        store.append_logs(&[log]).unwrap();
        let batch = fetcher.next().unwrap().unwrap();
        assert_eq!(crate::support::messages(batch.logs()), [round.to_string()]);
        let alert = Alert::new("x", "y", Severity::Low).with_created_at(at(seconds));
        assert_eq!(batch.commit(&[alert]).unwrap().stored, 1);
    }
    assert_eq!(store.read_after(Cursor::BEGINNING, 10).unwrap().logs.len(), 4);
}

#[test]
fn a_clock_that_jumps_back_between_two_processes() {
    if Command::new("faketime").arg("--version").output().is_err() {
        eprintln!("skipped: faketime is not installed");
        return;
    }
    let cli = Cli::new();
    for (round, offset) in ["+1d", "-30d", "+0d"].into_iter().enumerate() {
        cli.write("app.log", format!("line {round}\n"));
        let status = Command::new("faketime")
            .args(["-f", offset])
            .arg(assert_cmd::cargo::cargo_bin!("logstore"))
            .args(["ingest", "app.log"])
            .current_dir(&cli.folder)
            .output()
            .unwrap();
        assert!(status.status.success(), "{status:?}");
    }
    let rows = cli.rows(&["query", "SELECT seq, raw FROM logs ORDER BY seq"]);
    let raws: Vec<_> = rows.iter().map(|row| row["raw"].as_str().unwrap()).collect();
    assert_eq!(raws, ["line 0", "line 1", "line 2"]);
}

#[test]
fn a_consumer_that_stops_for_longer_than_logs_are_kept() {
    let cli = Cli::new();
    let store = DuckDbStore::open(cli.path("logstore.duckdb")).unwrap();
    let fetcher = || {
        Fetcher::new(&store)
            .consumer("brute-force")
            .every(std::time::Duration::ZERO)
    };
    store.append_logs(&[log(0, "a", "read")]).unwrap();
    fetcher().next().unwrap().unwrap().commit(&[]).unwrap();
    store
        .append_logs(&[log(1, "a", "old"), log(2, "a", "old"), log(100, "a", "new")])
        .unwrap();
    let output = cli
        .command(&["prune", "--before", "2024-01-01T12:01:00Z", "--yes"])
        .output()
        .unwrap();
    let warning = String::from_utf8(output.stderr).unwrap();
    assert!(
        warning.contains("2 logs that consumer \"brute-force\" has not read"),
        "{warning}"
    );
    let batch = fetcher().next().unwrap().unwrap();
    assert_eq!(crate::support::messages(batch.logs()), ["new"]);
    assert_eq!(batch.commit(&[]).unwrap().missed, 2);
}

/// As an ordinary user, for whom alone permissions hold.
fn unprivileged(cli: &Cli) -> Option<Command> {
    let program = assert_cmd::cargo::cargo_bin!("logstore");
    let id = Command::new("id").arg("-u").output().ok()?;
    if id.stdout != b"0\n" {
        return Some(Command::new(program));
    }
    // What is in the home of root is out of reach for others.
    let library = std::env::var_os("DUCKDB_LIB_DIR").map(|folder| Path::new(&folder).join("libduckdb.so"));
    fs::copy(program, cli.path("program")).ok()?;
    if let Some(library) = library {
        fs::copy(library, cli.path("libduckdb.so")).ok()?;
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(cli.path("program"));
    command.env("LD_LIBRARY_PATH", cli.folder.path());
    let works = Command::new("setpriv").arg("--version").output().is_ok();
    works.then_some(command)
}

#[test]
#[cfg(target_os = "linux")]
fn a_folder_that_may_not_be_written() {
    use std::os::unix::fs::PermissionsExt as _;
    let cli = Cli::new();
    fs::set_permissions(&cli.folder, fs::Permissions::from_mode(0o755)).unwrap();
    cli.write("app.log", "one\n");
    cli.write("new.log", "two\n");
    cli.output(&["ingest", "app.log"]);
    fs::set_permissions(cli.path("logstore.duckdb"), fs::Permissions::from_mode(0o644)).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = unprivileged(&cli)?;
        Some(
            command
                .args(arguments)
                .current_dir(&cli.folder)
                .env("HOME", "/")
                .output()
                .unwrap(),
        )
    };
    let Some(fetched) = run(&["fetch"]) else {
        eprintln!("skipped: permissions do not hold for root, and setpriv is not there");
        return;
    };
    fs::set_permissions(&cli.folder, fs::Permissions::from_mode(0o555)).unwrap();
    assert!(
        fetched.status.success(),
        "{}",
        String::from_utf8_lossy(&fetched.stderr)
    );
    for arguments in [
        &["ingest", "new.log"][..],
        &["-d", "new.duckdb", "ingest", "new.log"],
        &["backup", "copy.duckdb"],
        &[
            "alerts",
            "add",
            "--type",
            "x",
            "--method",
            "y",
            "--severity",
            "low",
        ],
    ] {
        let output = run(arguments).unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{arguments:?}: {text}");
        assert!(text.contains("permission denied"), "{arguments:?}: {text}");
    }
    assert_eq!(run(&["count"]).unwrap().stdout, b"{\"count\":1}\n");
    fs::set_permissions(&cli.folder, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Where the machine has Debian's package `faketime`.
#[test]
fn a_clock_before_1970_is_an_error() {
    let cli = Cli::new();
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new("faketime");
        command
            .current_dir(&cli.folder)
            .arg("1969-06-01 00:00:00")
            .arg(assert_cmd::cargo::cargo_bin!("logstore"));
        command.args(arguments).output()
    };
    for arguments in [
        &["stats"][..],
        &["stats", "--log-format", "json"],
        &[
            "alerts",
            "add",
            "--type",
            "x",
            "--method",
            "y",
            "--severity",
            "low",
        ],
    ] {
        let Ok(output) = run(arguments) else {
            eprintln!("skipped: faketime is not installed");
            return;
        };
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{errors}");
        assert!(
            errors.contains("the clock of this machine is before 1970"),
            "{errors}"
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn too_little_memory_is_an_error() {
    let cli = Cli::new();
    cli.write("a.log", "hello\n");
    cli.output(&["ingest", "a.log"]);
    let sql = "SELECT count(*) FROM (SELECT n % 10000000 AS m FROM range(30000000) AS t(n) GROUP BY m)";
    let shell = "ulimit -v 600000; exec \"$0\" query \"$1\" --format csv";
    let output = std::process::Command::new("sh")
        .current_dir(&cli.folder)
        .args(["-c", shell])
        .arg(assert_cmd::cargo::cargo_bin!("logstore"))
        .arg(sql)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{errors}");
    assert!(errors.contains("Out of Memory"), "{errors}");
    assert_eq!(cli.rows(&["count"])[0]["count"], 1);
}
