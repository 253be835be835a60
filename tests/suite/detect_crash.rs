//! Detectors killed at any moment, over late and doubled logs: the alerts are those of a detector that nobody killed.
//!
//! The test kills 25 times, or as often as `LOGSTORE_TEST_KILLS` says.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::Cli;

const RULES: &str = r"
title: Encoded command
id: encoded
name: encoded
logsource: {product: windows, category: process_creation}
detection: {s: {CommandLine|contains: ' -enc '}, condition: s}
level: high
---
title: Many encoded commands
id: many
correlation: {type: event_count, rules: [encoded], group-by: [User], timespan: 10m, condition: {gte: 5}, generate: true}
level: critical
";

/// Returns how many files there are: one for each kill.
fn kills() -> usize {
    std::env::var("LOGSTORE_TEST_KILLS").map_or(25, |times| times.parse().unwrap())
}

fn process(number: usize) -> String {
    // Neighbours are minutes apart, so that later logs fall into the windows of earlier ones.
    let second = number * 7 % 3_600;
    let time = format!(
        "2024-05-01T{:02}:{:02}:{:02}Z",
        number % 3 + 10,
        second / 60,
        second % 60
    );
    json!({
        "Event": {
            "System": {
                "Channel": "Microsoft-Windows-Sysmon/Operational",
                "Provider": {"#attributes": {"Name": "Microsoft-Windows-Sysmon"}},
                "EventID": 1,
                "EventRecordID": number,
                "Computer": format!("ws{}", number % 2),
                "TimeCreated": {"#attributes": {"SystemTime": time}},
            },
            "EventData": {
                "Image": r"C:\Windows\System32\cmd.exe",
                "CommandLine": format!("cmd{}{number}", [" -enc ", " /c "][usize::from(number.is_multiple_of(4))]),
                "User": format!(r"CORP\user{}", number % 5),
            },
        }
    })
    .to_string()
}

/// Writes a file of new events, and of some that were in files before.
fn write_events(cli: &Cli, file: usize) -> String {
    let mut lines = String::new();
    for number in file * 20..(file + 1) * 20 {
        writeln!(lines, "{}", process(number)).unwrap();
    }
    for number in (0..file * 20).step_by(7).take(10) {
        writeln!(lines, "{}", process(number)).unwrap();
    }
    let name = format!("{file}.json");
    cli.write(&name, lines);
    name
}

fn ingest(cli: &Cli, file: usize) {
    let name = write_events(cli, file);
    cli.output(&[
        "ingest",
        "--id-field",
        "Event.System.Computer,Event.System.EventRecordID",
        &name,
    ]);
}

fn with_rules() -> Cli {
    let cli = Cli::new();
    cli.write("rules.yml", RULES);
    cli.output(&["rules", "import", "rules.yml"]);
    cli
}

/// Returns all that a detector has stored, without the times at which it did.
fn stored(cli: &Cli) -> [Vec<Value>; 4] {
    [
        "SELECT id, rule_id, fingerprint, status, count, first_seen, last_seen, severity, \"user\", host FROM alerts ORDER BY ALL",
        "SELECT alert_id, log_id FROM alert_logs ORDER BY ALL",
        "SELECT correlation_id, group_key, event_time, log_id, rule_id FROM hits ORDER BY ALL",
        "SELECT name, position FROM consumers ORDER BY ALL",
    ]
    .map(|sql| cli.rows(&["query", sql]))
}

#[test]
fn a_detector_killed_at_any_moment_leaves_what_one_leaves_that_ran_through() {
    let (calm, attacked) = (with_rules(), with_rules());
    ingest(&calm, 0);
    ingest(&attacked, 0);
    let started = Instant::now();
    calm.output(&["detect"]);
    // Most kills come while a detector works, however fast the machine is.
    let longest = u64::try_from(started.elapsed().as_micros()).unwrap();
    for file in 1..=kills() {
        let mut detector = attacked.program(&["detect"]).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(fastrand::u64(0..longest)));
        detector.kill().unwrap();
        detector.wait().unwrap();
        ingest(&attacked, file);
        ingest(&calm, file);
    }
    attacked.output(&["detect"]);
    calm.output(&["detect"]);
    let [alerts, logs, hits, positions] = stored(&attacked);
    assert!(
        alerts.iter().any(|alert| alert["rule_id"] == "many"),
        "{alerts:?}"
    );
    let expected = stored(&calm);
    for (found, expected) in [alerts, logs, hits, positions].iter().zip(&expected) {
        assert!(!expected.is_empty());
        let other = found
            .iter()
            .zip(expected)
            .find(|(found, expected)| found != expected);
        assert!(
            found == expected,
            "{} rows, not {}: {other:?}",
            found.len(),
            expected.len()
        );
    }
    // Another detector finds the same matches again, and counts none twice.
    attacked.output(&["detect", "--consumer", "another"]);
    let [alerts, logs, hits, _] = stored(&attacked);
    assert!([alerts, logs, hits][..] == expected[..3]);
}
