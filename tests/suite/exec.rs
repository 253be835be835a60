//! New alerts, handed to a command by `detect --exec`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::Cli;

const RULES: &str = "\
title: Tool
id: tool
logsource: {product: windows, category: process_creation}
detection:
  selection: {Image|endswith: '\\tool.exe'}
  condition: selection
level: high
";

/// Events of the tool on hosts, one alert each.
fn events(hosts: std::ops::Range<usize>) -> String {
    let event = |host: usize| {
        json!({"Event": {
            "System": {
                "Channel": "Microsoft-Windows-Sysmon/Operational",
                "EventID": 1,
                "EventRecordID": host,
                "Computer": format!("ws{host}"),
            },
            "EventData": {"UtcTime": "2024-05-01 10:00:00", "Image": r"C:\\tool.exe"},
        }})
    };
    hosts.map(|host| format!("{}\n", event(host))).collect()
}

fn with_events(count: usize) -> Cli {
    let cli = Cli::new();
    cli.write("rules.yml", RULES);
    cli.output(&["rules", "import", "rules.yml"]);
    cli.write("events.json", events(0..count));
    cli.output(&["ingest", "events.json"]);
    std::fs::create_dir(cli.path("out")).unwrap();
    cli
}

fn alert_ids(cli: &Cli) -> BTreeSet<String> {
    let alerts = cli.rows(&["alerts", "list", "--limit", "0"]);
    alerts
        .iter()
        .map(|alert| alert["id"].as_str().unwrap().to_owned())
        .collect()
}

/// How often each alert was delivered, by the files that the command wrote.
fn delivered(cli: &Cli) -> BTreeMap<String, usize> {
    let mut times = BTreeMap::new();
    for file in std::fs::read_dir(cli.path("out")).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        // A command that was killed may have written a part.
        let Ok(alert) = serde_json::from_str::<Value>(&text) else {
            continue;
        };
        *times.entry(alert["id"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    times
}

/// Writes each alert into a file of its own.
const WRITE: &str = "f=$(mktemp out/XXXXXXXX) && cat > $f";

fn actions(cli: &Cli, id: &str) -> Vec<String> {
    let alert: Value = serde_json::from_str(&cli.output(&["alerts", "show", id])).unwrap();
    let events = alert["events"].as_array().unwrap().iter();
    events
        .map(|event| event["action"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn each_new_alert_is_delivered_once_with_its_logs() {
    let cli = with_events(6);
    cli.output(&[
        "alerts",
        "suppress",
        "add",
        "--filter",
        "host = ws5",
        "--reason",
        "a test host",
    ]);
    cli.output(&["detect", "--exec", WRITE]);
    let expected: BTreeMap<String, usize> = alert_ids(&cli).into_iter().map(|id| (id, 1)).collect();
    assert_eq!(expected.len(), 5);
    assert_eq!(delivered(&cli), expected);
    let file = std::fs::read_dir(cli.path("out"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let alert: Value = serde_json::from_slice(&std::fs::read(file.path()).unwrap()).unwrap();
    assert_eq!(
        (&alert["rule_id"], &alert["logs"][0]["log"]["hostname"]),
        (&json!("tool"), &alert["host"])
    );

    // More logs of alerts that were delivered, and of a new one.
    cli.write("more.json", events(0..7).replace("10:00:00", "10:00:01"));
    cli.output(&["ingest", "more.json"]);
    cli.output(&["detect", "--exec", WRITE]);
    assert_eq!(delivered(&cli).len(), 6);
    assert!(delivered(&cli).values().all(|times| *times == 1));
    let id = alert["id"].as_str().unwrap();
    assert_eq!(actions(&cli, id), ["await_delivery", "deliver"]);
}

#[test]
fn a_command_that_fails_stops_no_detection_and_is_tried_again() {
    let cli = with_events(3);
    let output = cli.command(&["detect", "--exec", "exit 7"]).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{errors}");
    let done: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(done["alerts"], 3);
    assert_eq!(errors.matches("exit status: 7").count(), 3, "{errors}");
    cli.output(&["detect", "--exec", WRITE]);
    let times = delivered(&cli);
    assert_eq!(times.keys().cloned().collect::<BTreeSet<_>>(), alert_ids(&cli));
    for id in times.keys() {
        assert_eq!(
            actions(&cli, id),
            ["await_delivery", "fail_to_deliver", "deliver"]
        );
    }
}

#[test]
fn a_detector_that_is_killed_while_its_command_hangs_delivers_in_the_next_run() {
    let cli = with_events(1);
    let hang = "echo $$ > pid.new && mv pid.new pid && exec sleep 1000";
    let mut detector = cli.program(&["detect", "--exec", hang]).spawn().unwrap();
    while !cli.path("pid").exists() {
        std::thread::sleep(Duration::from_millis(10));
        assert!(detector.try_wait().unwrap().is_none(), "it waits for its command");
    }
    detector.kill().unwrap();
    detector.wait().unwrap();
    let command: i32 = std::fs::read_to_string(cli.path("pid"))
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let command = rustix::process::Pid::from_raw(command).unwrap();
    rustix::process::kill_process(command, rustix::process::Signal::KILL).unwrap();
    let done: Value = serde_json::from_str(&cli.output(&["detect", "--exec", WRITE])).unwrap();
    assert_eq!((&done["logs"], &done["alerts"]), (&json!(0), &json!(0)));
    assert_eq!(delivered(&cli).len(), 1);
}

#[test]
fn a_detector_that_is_killed_anywhere_delivers_each_alert_in_the_end() {
    let cli = with_events(40);
    for round in 0..6 {
        let mut detector = cli.program(&["detect", "--exec", WRITE]).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(120 * round));
        detector.kill().unwrap();
        detector.wait().unwrap();
    }
    cli.output(&["detect", "--exec", WRITE]);
    let ids = alert_ids(&cli);
    assert_eq!(ids.len(), 40);
    assert_eq!(delivered(&cli).keys().cloned().collect::<BTreeSet<_>>(), ids);
    cli.output(&["detect", "--exec", "touch again"]);
    assert!(!cli.path("again").exists());
}
