//! What signals do to a command.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use crate::exactly_once::{append, assert_lines, lines, wait_for};
use crate::rotation::wait_for_error;
use crate::support::Cli;

fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    assert!(
        Command::new("kill")
            .args([&format!("-{name}"), &pid])
            .status()
            .unwrap()
            .success()
    );
}

/// Starts the program by a command, such as nohup; without one, it does not ignore SIGHUP even if the tests do.
fn start(cli: &Cli, by: &[&str], arguments: &[&str]) -> Child {
    let by = match by {
        [] if cfg!(target_os = "linux") => &["env", "--default-signal=HUP"],
        by => by,
    };
    let program = assert_cmd::cargo::cargo_bin!("logstore").display().to_string();
    let all: Vec<&str> = [by, &[&program], arguments].concat();
    cli.other_program(all[0])
        .args(&all[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(cli.path("errors")).unwrap())
        .spawn()
        .unwrap()
}

/// Waits for the end, within a time that no machine needs; the exit code.
fn end(child: &mut Child) -> Option<i32> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().or(status.signal().map(|signal| 128 + signal));
        }
        if started.elapsed() > Duration::from_secs(300) {
            child.kill().unwrap();
            panic!("it does not end");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A store, so that what is stored can be counted while the program starts.
fn with_store() -> Cli {
    let cli = Cli::new();
    cli.write("empty.log", "");
    cli.output(&["ingest", "empty.log"]);
    cli
}

#[test]
fn a_silent_pipe_is_left_when_a_signal_comes() {
    for (name, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let cli = with_store();
        let mut child = start(&cli, &[], &["ingest", "-"]);
        // Its writer keeps it open.
        let mut input: ChildStdin = child.stdin.take().unwrap();
        input.write_all(lines(0..3).as_bytes()).unwrap();
        wait_for(&cli, 3);
        // A line that has no end yet is stored with the others.
        input.write_all(lines(3..4).trim_end().as_bytes()).unwrap();
        signal(&child, name);
        assert_eq!(end(&mut child), Some(code));
        let summary = BufReader::new(child.stdout.take().unwrap()).lines().next();
        assert!(summary.unwrap().unwrap().contains("\"stored\":4"));
        assert_lines(&cli, 4);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_named_pipe_without_a_writer_is_left_when_a_signal_comes() {
    let cli = with_store();
    assert!(
        Command::new("mkfifo")
            .arg(cli.path("pipe"))
            .status()
            .unwrap()
            .success()
    );
    let mut child = start(&cli, &[], &["ingest", "first.log", "pipe"]);
    // Past the one that is not there, it waits for the other.
    wait_for_error(&cli, "first.log");
    signal(&child, "TERM");
    assert_eq!(end(&mut child), Some(143));
    // With a writer it is read as a pipe is.
    let mut child = start(&cli, &[], &["ingest", "pipe"]);
    std::fs::write(cli.path("pipe"), lines(0..3)).unwrap();
    assert_eq!(end(&mut child), Some(0));
    assert_lines(&cli, 3);
}

#[test]
fn following_ends_well_but_for_a_hang_up() {
    for (name, code) in [("INT", 0), ("TERM", 0), ("HUP", 129)] {
        let cli = with_store();
        let path = cli.write("app.log", lines(0..3));
        let mut child = start(
            &cli,
            &[],
            &["ingest", "--follow", "--interval", "20ms", "app.log"],
        );
        wait_for(&cli, 3);
        append(&path, &lines(3..4));
        wait_for(&cli, 4);
        signal(&child, name);
        assert_eq!(end(&mut child), Some(code), "{name}");
        assert_lines(&cli, 4);
        let mut child = start(&cli, &[], &["fetch", "--follow", "--interval", "20ms"]);
        let mut printed = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(printed.by_ref().take(4).flatten().count(), 4);
        append(&path, &lines(4..5));
        cli.output(&["ingest", "app.log"]);
        assert!(printed.next().unwrap().unwrap().contains("line 4 "));
        signal(&child, name);
        assert_eq!(end(&mut child), Some(code), "{name}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_hang_up_that_is_ignored_stays_ignored() {
    let cli = with_store();
    let path = cli.write("app.log", lines(0..3));
    let mut child = start(
        &cli,
        &["nohup"],
        &["ingest", "--follow", "--interval", "20ms", "app.log"],
    );
    wait_for(&cli, 3);
    signal(&child, "HUP");
    append(&path, &lines(3..4));
    wait_for(&cli, 4);
    signal(&child, "TERM");
    assert_eq!(end(&mut child), Some(0));
}

#[test]
fn an_ingest_that_is_stopped_says_that_the_next_one_goes_on() {
    let cli = with_store();
    cli.write("logstore.toml", "[ingest]\nbatch_size = 2048\n");
    cli.write("app.log", lines(0..200_000));
    let mut child = start(&cli, &[], &["ingest", "app.log"]);
    let started = Instant::now();
    while cli.rows(&["count"])[0]["count"] == 0 && started.elapsed() < Duration::from_secs(300) {}
    signal(&child, "TERM");
    let code = end(&mut child);
    let errors = std::fs::read_to_string(cli.path("errors")).unwrap();
    if code == Some(0) {
        eprintln!("skipped: it was faster than the signal");
    } else {
        assert_eq!(code, Some(143), "{errors}");
        assert!(
            errors.contains("the same command goes on where this one stopped"),
            "{errors}"
        );
    }
    cli.output(&["ingest", "app.log"]);
    assert_lines(&cli, 200_000);
}
