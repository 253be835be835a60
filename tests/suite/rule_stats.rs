//! What rules found, what they can find, and rules that name others: `rules stats`, `rules coverage`, `rules check`.

use serde_json::{Value, json};

use crate::support::Cli;

fn rule(id: &str, source: &str, field: &str, tags: &str) -> String {
    format!(
        "title: Rule {id}\nid: {id}\nname: name_of_{id}\ntags: [{tags}]\nlogsource: {source}\n\
         detection:\n  selection: {{{field}}}\n  condition: selection\nlevel: high\n---\n"
    )
}

const WINDOWS: &str = "{product: windows, category: process_creation}";

/// A store with four rules, of which one finds two logs on one day and one on another, and a line of a web server.
fn with_findings() -> Cli {
    let cli = Cli::new();
    let rules = [
        rule(
            "tool",
            WINDOWS,
            r"Image|endswith: '\tool.exe'",
            "attack.t1059.001, attack.execution, attack.s0002",
        ),
        rule(
            "silent",
            WINDOWS,
            r"Image|endswith: '\none.exe'",
            "attack.t1059.001, attack.t1105",
        ),
        rule("dead", WINDOWS, "Imagine: x", "attack.t1003"),
        rule("lost", "{product: toaster}", "a: x", ""),
    ];
    cli.write("rules.yml", rules.concat());
    cli.output(&["rules", "import", "rules.yml"]);
    let event = |id: u32, time: &str| {
        json!({"Event": {
            "System": {"Channel": "Microsoft-Windows-Sysmon/Operational", "EventID": id, "Computer": "ws1"},
            "EventData": {"UtcTime": time, "Image": r"C:\tool.exe"},
        }})
    };
    let events = [
        event(1, "2024-05-01 10:00:00"),
        event(1, "2024-05-01 10:00:01"),
        event(1, "2024-05-02 10:00:00"),
        event(5, "2024-05-02 10:00:00"),
    ];
    cli.write("events.json", events.map(|event| format!("{event}\n")).concat());
    cli.write(
        "access.log",
        "10.0.0.1 - - [02/May/2024:10:00:00 +0000] \"GET / HTTP/1.1\" 200 10 \"-\" \"curl/8\"\n",
    );
    cli.output(&["ingest", "events.json", "access.log"]);
    cli.output(&["detect"]);
    cli
}

#[test]
fn rules_are_counted_by_day_and_logs_without_rules_are_named() {
    let cli = with_findings();
    let stats: Value = serde_json::from_str(&cli.output(&["rules", "stats"])).unwrap();
    let loudest = &stats["rules"][0];
    assert_eq!(
        (
            &loudest["rule_id"],
            &loudest["matches"],
            &loudest["alerts"],
            &loudest["title"]
        ),
        (&json!("tool"), &json!(3), &json!(2), &json!("Rule tool"))
    );
    let days: Vec<(&Value, &Value)> = stats["days"]
        .as_array()
        .unwrap()
        .iter()
        .map(|day| (&day["day"], &day["matches"]))
        .collect();
    assert_eq!(
        days,
        [
            (&json!("2024-05-01"), &json!(2)),
            (&json!("2024-05-02"), &json!(1))
        ]
    );
    assert_eq!(
        stats["never_fired"],
        json!([{"rule_id": "silent", "title": "Rule silent"}])
    );
    assert_eq!(
        (&stats["logs"], &stats["logs_without_rules"]),
        (&json!(5), &json!(2))
    );
    let sources = stats["sources"].as_array().unwrap();
    let web = sources
        .iter()
        .find(|row| row["source"]["category"] == "webserver")
        .unwrap();
    assert_eq!((&web["logs"], &web["rules"]), (&json!(1), &json!(0)));

    let later: Value =
        serde_json::from_str(&cli.output(&["rules", "stats", "--since", "2024-05-02"])).unwrap();
    assert_eq!(
        (&later["rules"][0]["matches"], &later["logs"]),
        (&json!(1), &json!(3))
    );
    let table = cli.output(&["rules", "stats", "--format", "table"]);
    assert!(table.contains("logs without a rule: 2 of 5"), "{table}");
}

#[test]
fn coverage_says_which_rules_can_fire_and_why_others_cannot() {
    let cli = with_findings();
    let rows = cli.rows(&["rules", "coverage"]);
    let windows = rows.iter().find(|row| row["product"] == "windows").unwrap();
    assert_eq!(
        (&windows["rules"], &windows["can_fire"], &windows["never_matches"]),
        (&json!(3), &json!(2), &json!(1))
    );
    let toaster = rows.iter().find(|row| row["product"] == "toaster").unwrap();
    assert_eq!(
        toaster["reasons"],
        json!({"no format gives logs the log source toaster/*/*": 1})
    );

    cli.output(&["rules", "disable", "tool"]);
    let layer: Value = serde_json::from_str(&cli.output(&["rules", "coverage", "--navigator"])).unwrap();
    assert_eq!(layer["versions"]["layer"], "4.5");
    let techniques: Vec<(&Value, &Value)> = layer["techniques"]
        .as_array()
        .unwrap()
        .iter()
        .map(|technique| (&technique["techniqueID"], &technique["score"]))
        .collect();
    assert_eq!(
        techniques,
        [(&json!("T1059.001"), &json!(1)), (&json!("T1105"), &json!(1))]
    );
}

fn correlation(id: &str, kind: &str, rules: &str) -> String {
    format!(
        "title: Correlation {id}\nid: {id}\ncorrelation:\n  type: {kind}\n  rules: [{rules}]\n  timespan: 5m\n{}---\n",
        if kind == "temporal" {
            ""
        } else {
            "  condition: {gte: 3}\n"
        }
    )
}

#[test]
fn rules_that_name_others_are_judged_by_them() {
    let cli = Cli::new();
    let filter = |id: &str, rules: &str| {
        format!(
            "title: Filter {id}\nid: {id}\nlogsource: {WINDOWS}\nfilter:\n  rules: {rules}\n  a: {{User: x}}\n  condition: not a\n---\n"
        )
    };
    let rules = [
        rule("tool", WINDOWS, "Image: x", ""),
        rule("lost", "{product: toaster}", "a: x", ""),
        correlation("both", "temporal", "tool, lost"),
        correlation("some", "event_count", "tool, lost"),
        correlation("none", "event_count", "name_of_lost"),
        correlation("chain", "event_count", "none"),
        correlation("missing", "event_count", "nothing"),
        correlation("left", "event_count", "right"),
        correlation("right", "event_count", "left"),
        filter("good", "[tool]"),
        filter("bad", "[tol]"),
    ];
    cli.write("rules.yml", rules.concat());
    let output = cli.command(&["rules", "check", "rules.yml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let rows: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let verdict = |title: &str| {
        let row = rows.iter().find(|row| row["title"] == title);
        row.map(|row| (row["verdict"].as_str().unwrap(), row["reason"].as_str().unwrap()))
    };
    for (id, expected) in [
        ("both", "never_routed"),
        ("none", "never_routed"),
        ("chain", "never_routed"),
    ] {
        assert_eq!(verdict(&format!("Correlation {id}")).unwrap().0, expected, "{id}");
    }
    assert_eq!(verdict("Correlation some"), None);
    assert!(
        verdict("Correlation both").unwrap().1.contains("toaster"),
        "{rows:?}"
    );
    for id in ["missing", "left", "right"] {
        let (verdict, reason) = verdict(&format!("Correlation {id}")).unwrap();
        assert_eq!(verdict, "refused", "{id}");
        assert!(reason.contains("names the rule"), "{id}: {reason}");
    }
    assert_eq!(verdict("Filter good"), None);
    let (filter, reason) = verdict("Filter bad").unwrap();
    assert_eq!(filter, "never_matches");
    assert!(reason.contains("the filter narrows no rule"), "{reason}");

    // A correlation may name rules that were imported before.
    cli.write("first.yml", rule("tool", WINDOWS, "Image: x", ""));
    cli.write("second.yml", correlation("later", "event_count", "tool"));
    cli.output(&["rules", "import", "first.yml"]);
    let imported: Value = serde_json::from_str(&cli.output(&["rules", "import", "second.yml"])).unwrap();
    assert_eq!((&imported["works"], &imported["refused"]), (&json!(1), &json!(0)));
}

#[test]
fn a_word_that_a_flag_does_not_know_is_an_error_that_lists_the_words() {
    let cli = with_findings();
    for (flag, words) in [
        ("--verdict", "works, refused, never_routed, never_matches"),
        ("--status", "stable, test, experimental, deprecated, unsupported"),
        ("--level", "informational, low, medium, high or critical"),
    ] {
        for command in ["list", "disable"] {
            let (code, error) = cli.failure(&["rules", command, flag, "nonsense"]);
            assert_eq!(code, 2, "{error}");
            assert!(error.contains(words), "{error}");
        }
    }
    let rows = cli.rows(&["rules", "list", "--verdict", "never_matches"]);
    assert_eq!((rows.len(), &rows[0]["id"]), (1, &json!("dead")));
}
