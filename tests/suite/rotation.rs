//! Files that are followed are read to their ends, whatever logrotate does with them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::exactly_once::{Following, append, assert_lines, ingest, lines, wait_for};
use crate::support::{Cli, PATIENCE};

/// Waits until the program that follows has said this, and gives all that it has said.
pub(crate) fn wait_for_error(cli: &Cli, text: &str) -> String {
    let started = Instant::now();
    loop {
        let errors = fs::read_to_string(cli.path("errors")).unwrap();
        if errors.contains(text) {
            return errors;
        }
        assert!(started.elapsed() < PATIENCE, "{errors}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

const ROTATIONS: u32 = 4;

/// How many lines are written between two rotations, in bursts.
const BURSTS: u32 = 5;
const LINES: u32 = 40;

/// The program; `None`, with a line that says so, where it is absent.
fn logrotate() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&folders).chain(["/usr/sbin".into(), "/opt/homebrew/sbin".into()]);
    let found = folders
        .map(|folder| folder.join("logrotate"))
        .find(|program| program.exists());
    if found.is_none() {
        eprintln!("skipped: logrotate is not installed");
    }
    found
}

/// Rotates `logs/app.log` at once.
fn rotate(program: &Path, cli: &Cli, directives: &str) {
    let log = cli.path("logs/app.log");
    let configuration = format!(
        "{} {{\n  rotate 20\n  {}\n}}\n",
        log.display(),
        directives.replace("; ", "\n  ")
    );
    let file = cli.write("rotate.conf", configuration);
    let state = cli.path("state");
    let output = Command::new(program)
        .arg("--force")
        .arg("--state")
        .args([state, file])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Follows a log of which logrotate takes away what was written, while the writer pauses: what it writes between a copy
/// and the truncation after it is lost to everybody.
fn assert_read_once(program: &Path, directives: &str, followed: &str, interval: &str) {
    let cli = Cli::new();
    let log = cli.write("logs/app.log", lines(0..1));
    let following = Following::start_with(&cli, interval, &[followed]);
    wait_for(&cli, 1);
    let mut written = 1;
    for rotation in 0..=ROTATIONS {
        for _ in 0..BURSTS {
            append(&log, &lines(written..written + LINES));
            written += LINES;
        }
        if rotation < ROTATIONS {
            rotate(program, &cli, directives);
        }
    }
    wait_for(&cli, written.into());
    following.stop();
    let errors = fs::read_to_string(cli.path("errors")).unwrap();
    assert_eq!(errors, "", "{directives} {followed} {interval}");
    assert_lines(&cli, written);
    // Nothing is read again under the names that the files have now.
    assert_eq!(ingest(&cli, &["logs"]), 0, "{directives} {followed} {interval}");
}

fn assert_all_read_once(directives: &str, intervals: &[&str]) {
    let Some(program) = logrotate() else { return };
    std::thread::scope(|scope| {
        for interval in intervals {
            for followed in ["logs/app.log", "logs/app.log*", "logs"] {
                let program = &program;
                scope.spawn(move || assert_read_once(program, directives, followed, interval));
            }
        }
    });
}

#[test]
fn logrotate_renames() {
    assert_all_read_once("create", &["1s", "100ms"]);
}

#[test]
fn logrotate_copies_and_truncates() {
    assert_all_read_once("copytruncate", &["1s", "100ms"]);
}

#[test]
fn logrotate_compresses() {
    assert_all_read_once("copytruncate; compress", &["100ms"]);
    assert_all_read_once("create; compress; delaycompress", &["100ms"]);
}

#[test]
fn logrotate_dates_its_files() {
    let Some(program) = logrotate() else { return };
    let cli = Cli::new();
    let log = cli.write("logs/app.log", lines(0..40));
    let following = Following::start(&cli, &["logs/app.log"]);
    wait_for(&cli, 40);
    append(&log, &lines(40..60));
    rotate(&program, &cli, "copytruncate; dateext; extension .log");
    append(&log, &lines(60..80));
    wait_for(&cli, 80);
    following.stop();
    assert_lines(&cli, 80);
}

#[test]
fn what_was_rotated_while_nothing_followed_is_read() {
    let cli = Cli::new();
    let log = cli.write("logs/app.log", lines(0..50));
    cli.write("logs/app.log.7", "an archive of before\n");
    let following = Following::start(&cli, &["logs/app.log"]);
    wait_for(&cli, 50);
    following.stop();
    // Copied and truncated twice, and renamed.
    append(&log, &lines(50..60));
    fs::copy(&log, cli.path("logs/app.log.3")).unwrap();
    fs::write(&log, lines(60..80)).unwrap();
    fs::copy(&log, cli.path("logs/app.log.2")).unwrap();
    fs::write(&log, lines(80..100)).unwrap();
    fs::rename(&log, cli.path("logs/app.log.1")).unwrap();
    append(&log, &lines(100..120));
    // Other programs' files are none of its business.
    cli.write("logs/app-debug.log", "other\n");
    cli.write("logs/app.log.old", "other\n");
    let following = Following::start(&cli, &["logs/app.log"]);
    wait_for(&cli, 120);
    following.stop();
    assert_lines(&cli, 120);
}

#[test]
fn a_warning_says_what_is_lost_with_a_file_that_is_emptied() {
    let cli = Cli::new();
    let log = cli.write("app.log", lines(0..50));
    let following = Following::start(&cli, &["app.log"]);
    wait_for(&cli, 50);
    fs::write(&log, lines(50..60)).unwrap();
    wait_for(&cli, 60);
    let errors = wait_for_error(&cli, "0 bytes are known to be missed");
    assert!(
        errors.contains("app.log") && errors.lines().count() == 1,
        "{errors}"
    );
    following.stop();
    assert_lines(&cli, 60);
}

#[test]
fn a_copy_in_progress_is_not_read_as_a_file_of_its_own() {
    let cli = Cli::new();
    let text = lines(0..200);
    let log = cli.write("logs/app.log", &text);
    let following = Following::start(&cli, &["logs"]);
    wait_for(&cli, 200);
    // As a copy that comes to half of the file before the next poll.
    let half = text[..text.len() / 2].rfind('\n').unwrap() + 1;
    let copy = cli.write("logs/app.log.1", &text[..half]);
    append(&log, &lines(200..210));
    wait_for(&cli, 210);
    append(&copy, &text[half..]);
    append(&copy, &lines(200..210));
    fs::write(&log, lines(210..220)).unwrap();
    wait_for(&cli, 220);
    following.stop();
    assert_lines(&cli, 220);
}

#[test]
fn what_begins_as_before_in_an_emptied_file_is_new() {
    let cli = Cli::new();
    let log = cli.write("app.log", "started\n");
    let following = Following::start(&cli, &["--log-level", "debug", "app.log"]);
    wait_for(&cli, 1);
    fs::write(&log, "").unwrap();
    wait_for_error(&cli, "new content");
    append(&log, "started\nlistening\n");
    wait_for(&cli, 3);
    following.stop();
}
