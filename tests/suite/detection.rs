//! Rules on stored logs, as the users of the program see them.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use crate::processes::terminate;
use crate::support::Cli;

const RULES: &str = "\
title: Encoded command
id: encoded
status: test
author: A. Nonymous
tags: [attack.execution, attack.t1059.001]
logsource: {product: windows, category: process_creation}
detection:
  selection:
    Image|endswith: '\\powershell.exe'
    CommandLine|contains|windash: ' -enc '
  condition: selection
level: high
---
title: Any process
id: any-process
logsource: {product: windows, category: process_creation}
detection:
  selection: {EventID: 1}
  condition: selection
level: informational
";

fn process(number: usize, command: &str) -> String {
    let minute = number / 60 % 60;
    let second = number % 60;
    json!({
        "Event": {
            "System": {
                "Channel": "Microsoft-Windows-Sysmon/Operational",
                "Provider": {"#attributes": {"Name": "Microsoft-Windows-Sysmon"}},
                "EventID": 1,
                "EventRecordID": number,
                "Computer": "ws1",
                "TimeCreated": {"#attributes": {"SystemTime": format!("2024-05-01T10:{minute:02}:{second:02}Z")}},
            },
            "EventData": {
                "Image": r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe",
                "CommandLine": format!("powershell{command}{number}"),
                "User": r"CORP\ann",
                "ProcessId": 7,
            },
        }
    })
    .to_string()
}

fn processes(count: usize) -> String {
    let commands = [" -enc ", " /enc ", " -File "];
    let lines = (0..count).map(|number| process(number, commands[number % 3]) + "\n");
    lines.collect()
}

fn with_rules() -> Cli {
    let cli = Cli::new();
    cli.write("rules/windows.yml", RULES);
    let imported: Value = serde_json::from_str(&cli.output(&["rules", "import", "rules"])).unwrap();
    assert_eq!((&imported["works"], &imported["refused"]), (&json!(2), &json!(0)));
    cli
}

#[test]
fn a_store_without_rules_and_indicators_says_so() {
    let cli = Cli::new();
    cli.write("events.json", processes(3));
    cli.output(&["ingest", "events.json"]);
    for (command, missing) in [
        (&["detect"][..], "rules import"),
        (&["hunt"], "rules import"),
        (&["intel", "match"], "intel import"),
    ] {
        let output = cli.command(command).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            stderr.starts_with("warn: ") && stderr.contains(missing),
            "{stderr}"
        );
    }
}

#[test]
fn new_logs_become_alerts_and_a_hunt_finds_the_same() {
    let cli = with_rules();
    cli.write("events.json", processes(9));
    cli.output(&["ingest", "events.json"]);
    let done: Value = serde_json::from_str(&cli.output(&["detect"])).unwrap();
    assert_eq!(
        done,
        json!({"logs": 9, "matches": 6, "suppressed": 0, "alerts": 1, "hits": 9, "late": 0})
    );
    let again: Value = serde_json::from_str(&cli.output(&["detect"])).unwrap();
    assert_eq!(again["logs"], 0);

    let alerts = cli.rows(&["alerts", "list"]);
    assert_eq!(alerts.len(), 1);
    let alert = &alerts[0];
    assert_eq!(
        (&alert["count"], &alert["rule_id"]),
        (&json!(6), &json!("encoded"))
    );
    assert_eq!(
        (&alert["user"], &alert["host"]),
        (&json!(r"CORP\ann"), &json!("ws1"))
    );
    assert!(
        alert["tags"]
            .as_array()
            .unwrap()
            .contains(&json!("attack.t1059.001"))
    );

    let found = cli.rows(&["hunt", "--min-level", "low"]);
    let logs: BTreeSet<&str> = found.iter().map(|row| row["log"].as_str().unwrap()).collect();
    assert_eq!((found.len(), logs.len()), (6, 6));
    assert_eq!(cli.rows(&["hunt", "--rules", "any-process"]).len(), 9);
    assert_eq!(
        cli.rows(&["hunt", "--rules", "rules/windows.yml", "--min-level", "high"])
            .len(),
        6
    );
    cli.output(&["hunt", "--alerts"]);
    assert_eq!(cli.rows(&["alerts", "list", "--rule", "encoded"])[0]["count"], 6);
}

#[test]
fn a_rule_that_is_disabled_or_changed_is_not_what_it_was() {
    let cli = with_rules();
    cli.write("events.json", processes(3));
    cli.output(&["ingest", "events.json"]);
    cli.output(&["rules", "disable", "--tag", "T1059.001"]);
    cli.write(
        "rules/windows.yml",
        RULES.replace("level: high", "level: critical"),
    );
    let imported: Value = serde_json::from_str(&cli.output(&["rules", "import", "rules"])).unwrap();
    assert_eq!(
        imported["imported"],
        json!({"new": 0, "changed": 1, "unchanged": 1, "vanished": 0})
    );
    let rule = &cli.rows(&["rules", "list", "--level", "critical", "--author", "nonymous"])[0];
    assert_eq!(
        (&rule["id"], &rule["enabled"]),
        (&json!("encoded"), &json!(false))
    );
    let done: Value = serde_json::from_str(&cli.output(&["detect"])).unwrap();
    assert_eq!(done["matches"], 0);
    let file = cli.write(
        "rules/windows.yml",
        "title: Another\nid: other\nlogsource: {product: windows}\ndetection: {a: [x], condition: a}\n",
    );
    let output = cli
        .command(&["rules", "import", file.to_str().unwrap()])
        .output()
        .unwrap();
    let warnings = String::from_utf8(output.stderr).unwrap();
    assert!(
        warnings.contains("the rule encoded (Encoded command) is not in its files any more"),
        "{warnings}"
    );
}

#[test]
fn a_rule_is_explained_on_a_log() {
    let cli = with_rules();
    cli.write("events.json", processes(3));
    cli.output(&["ingest", "events.json"]);
    let logs = cli.rows(&["fetch", "--where", "Event.System.EventRecordID=2"]);
    let answers = cli.rows(&["rules", "explain", "encoded", logs[0]["id"].as_str().unwrap()]);
    let first = &answers[0];
    assert_eq!(
        (&first["question"], &first["holds"]),
        (&json!("all of"), &json!(false))
    );
    assert_eq!(answers[1]["question"], r"Image like *\powershell.exe");
    assert_eq!(answers[1]["holds"], true);
    let matched = cli.rows(&["rules", "test", "rules/windows.yml", "events.json"]);
    let rules: Vec<&Value> = matched.iter().map(|row| &row["rules"]).collect();
    let both = json!(["Encoded command", "Any process"]);
    assert_eq!(rules, [&both, &both, &json!(["Any process"])]);
}

#[test]
fn each_rule_that_cannot_work_gets_a_sentence_and_harms_no_other() {
    let cli = Cli::new();
    cli.write("rules/0.yml", RULES);
    let rule = |title: &str, source: &str, detection: &str| {
        format!(
            "title: {title}\nlogsource: {source}\ndetection:\n  selection: {detection}\n  condition: selection\n"
        )
    };
    let windows = "{product: windows}";
    let faults = [
        (rule("Modifier", windows, "{Image|endwith: x}"), "did you mean endswith?"),
        (rule("Source", "{product: toaster}", "{Image: x}"), "no format gives logs the log source toaster/*/*"),
        (rule("Dashes", windows, "{Image|windash: '-a -b -c -d -e -f'}"), "name fewer dashes"),
        (rule("Lookahead", windows, "{Image|re: '(?=a)b'}"), "look-around"),
        (rule("Large", windows, "{Image|re: '(a{1000}){1000}'}"), "needs more than 4 MiB"),
        (rule("Placeholder", windows, "{Image|expand: '%Servers%'}"), "%Servers% has no values"),
        (rule("Condition", windows, "{Image: x}").replace("condition: selection", "condition: selektion"), "selektion"),
        ("title: Bomb\na: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f]\n".to_owned(), "repetition limit"),
        (rule("Values", windows, &format!("{{Image: [{}]}}", "x, ".repeat(100_001))), "more than 100000 values"),
        (rule("Nested", windows, "{Image: x}").replace("condition: selection", &format!("condition: {}selection{}", "(".repeat(200), ")".repeat(200))), "levels deep"),
        ("title: [".to_owned(), "no YAML"),
    ];
    for (number, (text, _)) in faults.iter().enumerate() {
        cli.write(&format!("rules/{}.yml", number + 1), text);
    }
    let output = cli
        .command(&["rules", "check", "rules", "--format", "jsonl"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let rows: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for (number, (_, expected)) in faults.iter().enumerate() {
        let name = format!("/{}.yml", number + 1);
        let row = rows
            .iter()
            .find(|row| row["file"].as_str().unwrap().ends_with(&name));
        let reason = row.unwrap_or_else(|| panic!("{name} is not reported"))["reason"]
            .as_str()
            .unwrap();
        assert!(reason.contains(expected), "{name}: {reason}");
    }
    let output = cli.command(&["rules", "import", "rules"]).output().unwrap();
    let imported: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&imported["works"], &imported["rules"]), (&json!(2), &json!(13)));
    cli.write("events.json", processes(3));
    cli.output(&["ingest", "events.json"]);
    let done: Value = serde_json::from_str(&cli.output(&["detect"])).unwrap();
    assert_eq!(done["matches"], 2);
}

#[test]
fn a_rule_that_needs_an_unknown_field_is_said_to_match_never() {
    let cli = Cli::new();
    cli.write(
        "rules/windows.yml",
        RULES.replace("CommandLine|contains", "CommandLin|contains"),
    );
    let sentence =
        "unknown field CommandLin: no log of windows/process_creation/* has it, did you mean CommandLine?";
    let checked = cli.command(&["rules", "check", "rules"]).output().unwrap();
    let fault: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!(
        (checked.status.code(), &fault["verdict"], &fault["reason"]),
        (Some(0), &json!("never_matches"), &json!(sentence))
    );
    let output = cli.command(&["rules", "import", "rules"]).output().unwrap();
    let imported: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(imported["never_matches"], 1);
    assert!(String::from_utf8_lossy(&output.stderr).contains(sentence));
    let listed = cli.rows(&["rules", "list", "--verdict", "never_matches"]);
    assert_eq!(listed[0]["rule_definition"]["logstore"]["reason"], sentence);
    cli.write("events.json", processes(3));
    let output = cli
        .command(&["rules", "test", "rules/windows.yml", "events.json"])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains(sentence));
}

#[test]
fn a_correlation_by_a_field_that_no_log_has_is_said_to_match_never() {
    let cli = Cli::new();
    let grouped_by = |field: &str| {
        format!(
            "{RULES}---\ntitle: Many\nid: many\ncorrelation: {{type: event_count, rules: [encoded], \
             group-by: [{field}], timespan: 1m, condition: {{gte: 3}}}}\n"
        )
    };
    cli.write("rules.yml", grouped_by("Computr"));
    let checked = cli.command(&["rules", "check", "rules.yml"]).output().unwrap();
    let fault: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!(fault["verdict"], "never_matches");
    let reason = fault["reason"].as_str().unwrap();
    assert!(reason.contains("unknown field Computr"), "{reason}");
    cli.write("rules.yml", grouped_by("Computer"));
    assert_eq!(cli.output(&["rules", "check", "rules.yml"]), "");
}

#[test]
fn a_killed_detector_stores_the_alerts_of_each_log_once() {
    let cli = with_rules();
    cli.write("events.json", processes(4_000));
    cli.output(&["ingest", "events.json"]);
    for round in 0..8 {
        let mut process = cli.program(&["detect"]).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(40 * round));
        process.kill().unwrap();
        process.wait().unwrap();
    }
    // What comes twice is not counted twice, whoever reads it.
    cli.output(&["detect"]);
    cli.output(&["detect", "--consumer", "another"]);
    let counts: Vec<u64> = cli
        .rows(&["alerts", "list", "--status", "any"])
        .iter()
        .map(|alert| alert["count"].as_u64().unwrap())
        .collect();
    let expected = (0..4_000).filter(|number| number % 3 < 2).count() as u64;
    assert_eq!(counts.iter().sum::<u64>(), expected, "{counts:?}");
}

#[test]
fn placeholders_of_the_settings_are_filled_in() {
    let cli = Cli::new();
    cli.write(
        "logstore.toml",
        "[detect.placeholders]\nShells = ['*\\powershell.exe']\n",
    );
    cli.write("rule.yml", "title: Shell\nid: shell\nlogsource: {product: windows}\ndetection: {a: {Image|expand: '%Shells%'}, condition: a}\n");
    cli.write("events.json", processes(3));
    assert_eq!(cli.rows(&["rules", "test", "rule.yml", "events.json"]).len(), 3);
    cli.write("logstore.toml", "");
    let (code, errors) = cli.failure(&["rules", "check", "rule.yml"]);
    assert_eq!(code, 1, "{errors}");
}

#[test]
fn upkeep_deletes_hits_that_no_late_log_can_belong_to() {
    let cli = with_rules();
    cli.write("events.json", processes(9));
    cli.output(&["ingest", "events.json"]);
    cli.output(&["detect"]);
    let hits = || cli.rows(&["query", "SELECT count(*) AS hits FROM hits"])[0]["hits"].clone();
    assert_eq!(hits(), 9);
    cli.output(&["maintain"]);
    assert_eq!(hits(), 9);
    cli.write("logstore.toml", "[detect]\nlateness = '4s'\n");
    cli.output(&["maintain"]);
    // The newest log is of second 8: those from second 4 on are not too old.
    assert_eq!(hits(), 5);
}

#[test]
fn no_flaw_of_an_object_hides_it_from_rules() {
    let process = process(1, " -enc ");
    let with = |member: &str| process.replacen('{', &format!("{{{member}, "), 1);
    let deep = format!("\"x\": {}1{}", "[".repeat(300), "]".repeat(300));
    let long = format!("\"{}\": 1", "k".repeat(1 << 20));
    let user = r#""User":"CORP\\ann""#;
    assert!(process.contains(user));
    let flawed = [
        with("\"x\": 1e999"),
        with("\"x\": NaN"),
        with(r#""x": "\ud800""#),
        with(r#""x": "C:\Users\bob""#),
        with("\"x\": \"a\u{1}b\""),
        with(&deep),
        with(r#""Event": 1, "Event": 2"#),
        process.replace(r#""CommandLine":"#, r#""CommandLine": "cmd", "CommandLine":"#),
        process.replace(user, r#""User": 1e999, "CommandLine": "cmd""#),
        with(r#""a\u0000b": {"\u0000": "\u0000"}"#),
        with(&long),
        format!("\u{feff}{process}"),
        format!("{process},"),
        format!("{process}\0"),
        format!("{process} and more"),
        with(r#""records": [{"a": "b"}]"#),
        process.trim_end_matches('}').to_owned(),
        format!("May  1 10:00:00 ws1 agent: {}", with("\"x\": 1e999")),
        json!({"time": "2024-05-01T10:00:00Z", "log": with("\"x\": 1e999")}).to_string(),
        format!("[{}, {}]", with("\"x\": 1e999"), r#"{"EventID": 0}"#),
        format!("{process}{}", r#"{"EventID": 0}"#),
        format!(r#"{{"Records": [{}]}}"#, with("\"x\": 1e999")),
    ];
    for line in &flawed {
        let cli = Cli::new();
        cli.write("rules.yml", RULES);
        cli.output(&["rules", "import", "rules.yml"]);
        cli.write("events.json", format!("{line}\n"));
        cli.output(&["ingest", "events.json"]);
        cli.output(&["detect"]);
        let alerts = cli.rows(&["alerts", "list"]);
        let name = line.chars().take(90).collect::<String>();
        assert!(
            alerts.iter().any(|alert| alert["rule_id"] == "encoded"),
            "{name}: {alerts:?}"
        );
    }
}

/// Programs without whole numbers, such as those in JavaScript and Lua, write 1 as `1.0`.
#[test]
fn an_event_id_that_is_written_as_a_fraction_keeps_its_category() {
    let cli = with_rules();
    let event = process(0, " -enc ").replace("\"EventID\":1,", "\"EventID\":1.0,");
    assert!(event.contains("1.0"), "{event}");
    cli.write("events.json", event);
    cli.output(&["ingest", "events.json"]);
    assert_eq!(cli.rows(&["hunt", "--rules", "encoded"]).len(), 1);
    assert_eq!(cli.rows(&["hunt", "--rules", "any-process"]).len(), 1);
}

/// `contains` puts `*` around a value, so that nothing is left of an empty one but `*`, as in pySigma.
#[test]
fn an_empty_value_with_a_wildcard_matches_every_value() {
    let cli = Cli::new();
    let event = |number: usize, members: &str| {
        format!(
            r#"{{"Event": {{"System": {{"Channel": "Microsoft-Windows-Sysmon/Operational", "EventID": 1, "EventRecordID": {number}}}, "EventData": {{{members}}}}}}}"#
        ) + "\n"
    };
    let events = [
        r#""CommandLine": "x""#,
        r#""CommandLine": """#,
        r#""CommandLine": null"#,
        r#""Image": "x""#,
    ];
    let events: String = (0..)
        .zip(events)
        .map(|(number, members)| event(number, members))
        .collect();
    cli.write("events.json", events);
    cli.output(&["ingest", "events.json"]);
    for (modifier, expected) in [("|contains", 2), ("|startswith", 2), ("|endswith", 2), ("", 1)] {
        let rule = format!(
            "title: Empty\nlogsource: {{product: windows, category: process_creation}}\n\
             detection:\n  selection: {{'CommandLine{modifier}': ''}}\n  condition: selection\n"
        );
        cli.write("rule.yml", rule);
        assert_eq!(
            cli.rows(&["hunt", "--rules", "rule.yml"]).len(),
            expected,
            "{modifier:?}"
        );
    }
}

#[test]
fn a_follower_prints_each_new_alert() {
    let cli = with_rules();
    cli.output(&[
        "alerts",
        "suppress",
        "add",
        "--filter",
        "user endswith bob",
        "--reason",
        "an audit",
    ]);
    let follow = |flags: &[&str]| {
        let arguments = [&["detect", "--follow", "--interval", "50ms"], flags].concat();
        let mut child = cli.program(&arguments).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        (
            child,
            lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap()),
        )
    };
    let (mut child, mut lines) = follow(&[]);
    for (number, host) in [(0, "ws1"), (3, "ws2")] {
        let suppressed = process(number + 9, " -enc ").replace(r"\\ann", r"\\bob");
        let line = process(number, " -enc ") + "\n" + &process(number + 6, " -enc ") + "\n" + &suppressed;
        cli.write("events.json", line.replace("ws1", host));
        cli.output(&["ingest", "events.json"]);
        let alert = lines.next().unwrap();
        assert_eq!(
            (
                &alert["rule_id"],
                &alert["severity"],
                &alert["host"],
                &alert["user"]
            ),
            (
                &json!("encoded"),
                &json!("high"),
                &json!(host),
                &json!(r"CORP\ann")
            )
        );
        assert_eq!(
            cli.rows(&["alerts", "show", alert["id"].as_str().unwrap()]).len(),
            1
        );
    }
    terminate(&mut child);
    let totals = lines.next().unwrap();
    assert_eq!((&totals["matches"], &totals["alerts"]), (&json!(6), &json!(4)));
    assert_eq!(lines.next(), None);

    let (mut child, mut lines) = follow(&["--quiet", "--consumer", "other"]);
    while cli.rows(&["query", "SELECT name FROM consumers"]).len() < 2 {
        assert!(child.try_wait().unwrap().is_none(), "it has ended");
    }
    terminate(&mut child);
    assert!(lines.next().unwrap()["logs"].is_number());
}
