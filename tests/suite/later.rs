//! New intelligence over old logs: `detect` looks back by itself, and processes killed meanwhile lose and double nothing.

use std::fmt::Write as _;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat};
use serde_json::{Value, json};

use crate::support::Cli;

/// Logs of some hosts, each of which names an address, a domain or nothing bad.
fn logs(count: usize) -> String {
    let mut logs = String::new();
    for number in 0..count {
        let message = match number % 3 {
            0 => format!("from 198.51.100.{} port 22", number % 7),
            1 => "query for www.bad.example. IN A".to_owned(),
            _ => "nothing".to_owned(),
        };
        let time = 1_772_359_200 + number;
        writeln!(
            logs,
            "{{\"timestamp\":{time},\"host\":\"web{}\",\"message\":\"{message}\",\"n\":{number}}}",
            number % 5
        )
        .unwrap();
    }
    logs
}

const FEED: &str = "198.51.100.0/30\nbad[.]example\n";

/// A store that looks back for ten years, as the logs are of another one.
fn store_with_logs(count: usize) -> Cli {
    let cli = Cli::new();
    cli.write("logstore.toml", "[intel]\nlookback = '10years'\n");
    cli.write("logs.jsonl", logs(count));
    cli.output(&["ingest", "logs.jsonl"]);
    cli
}

/// What of the alerts depends on logs and indicators alone.
fn alerts(cli: &Cli) -> Vec<Value> {
    let mut alerts = cli.rows(&["alerts", "list", "--status", "any", "--limit", "0"]);
    for alert in &mut alerts {
        for member in ["created_at", "updated_at", "found_later", "log_id"] {
            alert.as_object_mut().unwrap().remove(member);
        }
    }
    alerts.sort_by_key(|alert| alert["id"].to_string());
    alerts
}

fn found_later(cli: &Cli) -> Vec<bool> {
    let alerts = cli.rows(&["alerts", "list", "--status", "any", "--limit", "0"]);
    alerts.iter().map(|alert| alert["found_later"] == true).collect()
}

/// The alerts of a store that had the intelligence before the logs.
fn alerts_of_new_logs(count: usize) -> Vec<Value> {
    let cli = store_with_logs(count);
    cli.write("feed.txt", FEED);
    cli.output(&["intel", "import", "feed.txt"]);
    cli.output(&["detect"]);
    assert!(found_later(&cli).iter().all(|later| !later));
    alerts(&cli)
}

#[test]
fn what_is_imported_is_looked_for_in_the_logs_that_were_read() {
    let cli = store_with_logs(300);
    cli.output(&["detect"]);
    assert_eq!(alerts(&cli), <[Value; 0]>::default());
    cli.write("feed.txt", FEED);
    cli.output(&["intel", "import", "feed.txt"]);
    let totals = cli.rows(&["detect"]);
    let expected = alerts_of_new_logs(300);
    assert_eq!(alerts(&cli), expected);
    assert!(found_later(&cli).iter().all(|later| *later));
    assert_eq!(
        (&totals[0]["logs"], &totals[0]["alerts"]),
        (&json!(0), &json!(expected.len()))
    );
    cli.output(&["intel", "import", "feed.txt"]);
    assert_eq!(cli.rows(&["detect"])[0]["matches"], 0, "the same feed once more");
    assert_eq!(alerts(&cli), expected);
}

#[test]
fn a_consumer_looks_back_once_and_only_so_far() {
    let cli = store_with_logs(30);
    cli.output(&["detect"]);
    cli.write("feed.txt", "bad.example\n");
    cli.output(&["intel", "import", "feed.txt"]);
    cli.write("allowed.txt", "other.example\n");
    cli.output(&["intel", "import", "allowed.txt", "--allow"]);
    let mut detect = cli.command(&["detect"]);
    let output = detect.env("LOGSTORE_INTEL__LOOKBACK", "90d").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(alerts(&cli), <[Value; 0]>::default(), "the logs are older");
    cli.output(&["detect"]);
    assert_eq!(alerts(&cli), <[Value; 0]>::default(), "it has looked");
    cli.write("late.txt", "198.51.100.1\n");
    cli.output(&["intel", "import", "late.txt"]);
    cli.output(&["detect"]);
    assert_eq!(alerts(&cli).len(), 1, "only what was imported since");
}

/// Many logs of one time, and of one second, are in several pieces.
#[test]
fn every_log_is_looked_back_at_however_many_match_at_once() {
    let cli = Cli::new();
    cli.write("logstore.toml", "[intel]\nlookback = '10years'\n");
    let mut logs = String::new();
    for number in 0..9_000 {
        let micros = match number % 3 {
            0 => 0,
            1 => number,
            _ => number * 60_000_000,
        };
        let address = if number % 10 == 0 {
            "192.0.2.1"
        } else {
            "198.51.100.1"
        };
        let time = DateTime::from_timestamp_micros(1_772_359_200_000_000 + micros).unwrap();
        let time = time.to_rfc3339_opts(SecondsFormat::Micros, true);
        writeln!(
            logs,
            "{{\"timestamp\":\"{time}\",\"message\":\"from {address}\",\"n\":{number}}}"
        )
        .unwrap();
    }
    cli.write("logs.jsonl", logs);
    cli.output(&["ingest", "logs.jsonl"]);
    cli.output(&["detect"]);
    cli.write("feed.txt", "198.51.100.1\n");
    cli.output(&["intel", "import", "feed.txt"]);
    assert_eq!(cli.rows(&["detect"])[0]["matches"], 8_100);
    let counts = alerts(&cli)
        .iter()
        .map(|alert| alert["count"].as_u64().unwrap())
        .sum::<u64>();
    assert_eq!(counts, 8_100);
}

#[test]
fn a_follower_looks_back_while_it_runs() {
    let cli = store_with_logs(30);
    cli.output(&["detect"]);
    let mut follower = cli.program(&["detect", "--follow"]).spawn().unwrap();
    cli.write("feed.txt", FEED);
    cli.output(&["intel", "import", "feed.txt"]);
    let expected = alerts_of_new_logs(30);
    while alerts(&cli) != expected {
        assert!(follower.try_wait().unwrap().is_none(), "it has ended");
        std::thread::sleep(Duration::from_millis(200));
    }
    follower.kill().unwrap();
    follower.wait().unwrap();
}

/// 20, or as often as `LOGSTORE_TEST_KILLS` says.
fn kills() -> usize {
    std::env::var("LOGSTORE_TEST_KILLS").map_or(20, |times| times.parse().unwrap())
}

/// Starts a command and kills it at a random moment, if it has not ended by then.
fn kill(cli: &Cli, arguments: &[&str], most: u64) {
    let mut process = cli
        .program(arguments)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_micros(fastrand::u64(0..most * 1_000)));
    process.kill().unwrap();
    process.wait().unwrap();
}

#[test]
fn a_killed_detector_looks_back_for_all_of_it_once() {
    // Each piece ends after 2,000 matches.
    let count = 15_000;
    let expected = alerts_of_new_logs(count);
    let cli = store_with_logs(count);
    cli.output(&["detect"]);
    cli.write("feed.txt", FEED);
    cli.output(&["intel", "import", "feed.txt"]);
    for _ in 0..kills() {
        kill(&cli, &["detect"], 1_500);
    }
    cli.output(&["detect"]);
    assert_eq!(alerts(&cli), expected);
}

#[test]
fn a_killed_import_leaves_the_old_feed_or_the_new_one() {
    let cli = Cli::new();
    let feed = |version: usize| {
        (0..2_000)
            .map(|number| format!("bad{version}-{}.example\n", number % 2_000))
            .collect::<String>()
    };
    let valid = |cli: &Cli| {
        let valid = cli.rows(&["intel", "list", "--valid", "--source", "feed", "--limit", "0"]);
        let mut values: Vec<String> = valid
            .iter()
            .map(|intel| intel["indicator_value"].as_str().unwrap().to_owned())
            .collect();
        values.sort();
        values
    };
    let lines = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let mut held = 0;
    let file = |version: usize| format!("feed{version}.txt");
    cli.write(&file(0), feed(0));
    cli.output(&["intel", "import", &file(0), "--source", "feed", "--replace"]);
    for version in 1..=kills() {
        cli.write(&file(version), feed(version));
        kill(
            &cli,
            &["intel", "import", &file(version), "--source", "feed", "--replace"],
            800,
        );
        let valid = valid(&cli);
        if valid == lines(&feed(version)) {
            held = version;
        }
        assert_eq!(
            valid,
            lines(&feed(held)),
            "killed while {version} replaced {held}"
        );
    }
    let (import, all) = (feed(99), cli.rows(&["intel", "list", "--limit", "0"]).len());
    assert_eq!(all % 2_000, 0, "nothing is stored in part");
    cli.write("plain.txt", import);
    for _ in 0..5 {
        kill(&cli, &["intel", "import", "plain.txt"], 800);
        let count = cli
            .rows(&["intel", "list", "--source", "plain.txt", "--limit", "0"])
            .len();
        assert!(count == 0 || count == 2_000, "{count}");
    }
}

#[test]
fn a_killed_match_stores_all_alerts_or_none_and_counts_no_log_twice() {
    let count = 3_000;
    let cli = store_with_logs(count);
    cli.write("feed.txt", FEED);
    cli.output(&["intel", "import", "feed.txt"]);
    let expected = alerts_of_new_logs(count);
    for _ in 0..kills() {
        kill(&cli, &["intel", "match", "--alerts"], 800);
        let alerts = alerts(&cli);
        assert!(alerts.is_empty() || alerts == expected, "{alerts:?}");
    }
    cli.output(&["intel", "match", "--alerts"]);
    assert_eq!(alerts(&cli), expected);
}
