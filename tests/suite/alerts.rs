//! The life of alerts: matches in any order, and the commands of an analyst.

use chrono::TimeDelta;
use logstore::alerts::{Detections, Match};
use logstore::{
    Alert, AlertQuery, AlertStore as _, ConsumerStore as _, DetectionStore as _, DuckDbStore, LogEntry,
    LogKey, LogStore as _, MemoryStore, Severity, Store,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{Cli, at};

fn detections(matches: impl IntoIterator<Item = Match>) -> Detections {
    Detections {
        matches: matches.into_iter().collect(),
        ..Detections::default()
    }
}

/// A few logs in a few windows, of a few rules and hosts.
fn any_match() -> impl Strategy<Value = Match> {
    (0..3_u8, 0..2_u8, -3..60_i64, 0..3_u8).prop_map(|(rule, host, minutes, id)| {
        let time = at(minutes * 300);
        let log = LogEntry::new(time)
            .with_id(format!("{id}-{minutes}"))
            .with_host(format!("web{host}"))
            .with_field("process", format!("process{id}"));
        let severity = Severity::ALL[usize::from(id) + 1];
        Match::new(format!("rule{rule}"), severity, &log)
            .with_title(format!("title{id}"))
            .with_related([LogKey::new(time - TimeDelta::seconds(1), "before")])
    })
}

/// Matches, the same ones in another order, and the lengths of batches.
fn any_deliveries() -> impl Strategy<Value = (Vec<Match>, Vec<Match>, Vec<usize>)> {
    proptest::collection::vec(any_match(), 1..80).prop_flat_map(|matches| {
        let repeated = matches
            .iter()
            .chain(matches.iter().step_by(3))
            .cloned()
            .collect::<Vec<_>>();
        let shuffled = Just(repeated).prop_shuffle();
        (
            Just(matches),
            shuffled,
            proptest::collection::vec(1..20_usize, 1..20),
        )
    })
}

/// Delivers matches in batches, by a consumer that commits each.
fn deliver(store: &dyn Store, matches: &[Match], lengths: &[usize]) -> u64 {
    let mut position = None;
    let mut counted = 0;
    let mut rest = matches;
    for length in lengths.iter().cycle() {
        let (batch, others) = rest.split_at((*length).min(rest.len()));
        let to = store.end_cursor().unwrap();
        let committed = store
            .commit_detections("detect", position, to, &detections(batch.iter().cloned()))
            .unwrap();
        counted += committed.counted;
        position = Some(to);
        rest = others;
        if rest.is_empty() {
            return counted;
        }
    }
    counted
}

/// What of alerts depends on their matches alone.
fn essence(store: &dyn Store) -> Vec<(Alert, Vec<LogKey>)> {
    let mut alerts = store.fetch_alerts(&AlertQuery::new()).unwrap();
    alerts.sort_by(|a, b| a.id.cmp(&b.id));
    let with_logs = alerts.into_iter().map(|alert| {
        let logs = store.alert_logs(&[&alert.id]).unwrap().into_iter();
        (alert.with_created_at(at(0)), logs.map(|(_, log)| log).collect())
    });
    with_logs.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_order_and_any_batches_give_the_same_alerts((matches, shuffled, lengths) in any_deliveries()) {
        let at_once = MemoryStore::new();
        let counted = deliver(&at_once, &matches, &[matches.len()]);
        let in_batches = MemoryStore::new();
        prop_assert_eq!(deliver(&in_batches, &shuffled, &lengths), counted);
        prop_assert_eq!(essence(&in_batches), essence(&at_once));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn the_engine_counts_as_the_store_in_memory((matches, shuffled, lengths) in any_deliveries()) {
        let plain = MemoryStore::new();
        let counted = deliver(&plain, &matches, &[matches.len()]);
        let engine = DuckDbStore::open(":memory:").unwrap();
        prop_assert_eq!(deliver(&engine, &shuffled, &lengths), counted);
        prop_assert_eq!(essence(&engine), essence(&plain));
    }
}

#[test]
fn json_of_earlier_versions_is_read() {
    let alert: Alert = serde_json::from_value(json!({
        "id": "1", "alert_type": "brute_force", "detection_method": "heuristic", "severity": "high",
        "description": "", "metadata": {}, "created_at": "2024-01-01T12:00:00Z", "acknowledged": true,
        "priority_score": 75.0,
    }))
    .unwrap();
    assert_eq!(
        (alert.status.as_str(), alert.count, alert.generation),
        ("in_progress", 1, 1)
    );
    assert_eq!(alert.updated_at, alert.created_at);
    let written = serde_json::to_value(&alert).unwrap();
    assert_eq!(
        (&written["acknowledged"], &written["status"]),
        (&json!(true), &json!("in_progress"))
    );
    assert_eq!(serde_json::from_value::<Alert>(written).unwrap(), alert);
    // The status decides where both are written.
    let both = json!({"alert_type": "a", "detection_method": "b", "severity": "low", "acknowledged": true, "status": "new"});
    assert!(!serde_json::from_value::<Alert>(both).unwrap().acknowledged);
}

/// A store with an alert of three logs, one of which is deleted, and another alert.
pub(crate) fn with_alerts() -> (Cli, Vec<String>) {
    let cli = Cli::new();
    let store = DuckDbStore::open(cli.path("logstore.duckdb")).unwrap();
    let logs: Vec<LogEntry> = (0..3)
        .map(|number| {
            LogEntry::new(at(number))
                .with_id(format!("log-{number}"))
                .with_host("web1")
                .with_raw(format!(
                    "Jan  1 12:00:0{number} web1 sudo: mallory : command not allowed : a long line"
                ))
                .with_field("user", "mallory")
        })
        .collect();
    store.append_logs(&logs[..2]).unwrap();
    let tags = ["attack.privilege-escalation", "attack.t1548.003"];
    let sudo = logs.iter().map(|log| {
        let found = Match::new("5013c332-8a70-4d91-8e1a-cde29a5d2a54", Severity::High, log);
        found.with_title("Sudo Privilege Escalation").with_tags(tags)
    });
    let other = Match::new("9b1c3f5e", Severity::Low, &logs[0]).with_title("Command Of A User");
    let found = detections(sudo.chain([other]));
    let end = store.end_cursor().unwrap();
    store.commit_detections("detect", None, end, &found).unwrap();
    assert_eq!(store.position("detect").unwrap(), Some(end));
    let mut alerts = store.fetch_alerts(&AlertQuery::new()).unwrap();
    alerts.sort_by_key(|alert| std::cmp::Reverse(alert.severity));
    (cli, alerts.into_iter().map(|alert| alert.id).collect())
}

#[test]
fn an_analyst_works_on_an_alert() {
    let (cli, ids) = with_alerts();
    let prefix = &ids[0][..8];
    let listed = cli.rows(&["alerts", "list"]);
    assert_eq!(
        (listed[0]["id"].as_str(), listed.len()),
        (Some(ids[0].as_str()), 2)
    );
    for tag in ["attack.T1548.003", "T1548.003", "t1548.003"] {
        assert_eq!(cli.rows(&["alerts", "list", "--tag", tag]).len(), 1, "{tag}");
    }
    assert_eq!(
        cli.rows(&["alerts", "list", "--rule", "9b1c3f5e"])[0]["severity"],
        "low"
    );
    cli.output(&["alerts", "ack", prefix]);
    cli.output(&["alerts", "note", prefix, "asked mallory"]);
    assert_eq!(cli.rows(&["alerts", "list", "--status", "in_progress"]).len(), 1);
    let shown = cli.rows(&["alerts", "show", prefix]).remove(0);
    assert_eq!(
        (&shown["count"], &shown["techniques"]),
        (&json!(3), &json!(["T1548.003"]))
    );
    let logs = shown["logs"].as_array().unwrap();
    assert_eq!(logs.len(), 3);
    assert_eq!(logs[0]["key"], "2024-01-01T12:00:00Z_log-0");
    assert_eq!(
        (&logs[0]["log"]["id"], &logs[2]["log"]),
        (&json!("log-0"), &json!(null))
    );
    assert_eq!(shown["events"][0]["action"], "status");
    assert_eq!(shown["events"][1]["note"], "asked mallory");
    cli.output(&["alerts", "close", prefix, "--verdict", "true-positive"]);
    assert_eq!(cli.rows(&["alerts", "list"]).len(), 1);
    assert_eq!(cli.rows(&["alerts", "list", "--status", "any"]).len(), 2);
    assert_eq!(
        cli.rows(&["alerts", "list", "--status", "resolved"])[0]["verdict"],
        "true_positive"
    );
    cli.finds_nothing(&["alerts", "list", "--status", "suppressed"]);
    let pruned = cli
        .rows(&["prune", "--alerts", "--before", "1h", "--yes"])
        .remove(0);
    assert_eq!((&pruned["matched"], &pruned["deleted"]), (&json!(0), &json!(0)));
    let pruned = cli
        .rows(&["prune", "--alerts", "--before", "now", "--dry-run"])
        .remove(0);
    assert_eq!((&pruned["matched"], &pruned["deleted"]), (&json!(1), &json!(0)));
    let pruned = cli
        .rows(&["prune", "--alerts", "--before", "now", "--yes"])
        .remove(0);
    assert_eq!(pruned["deleted"], 1);
    assert_eq!(cli.rows(&["alerts", "list", "--status", "any"]).len(), 1);
    assert_eq!(cli.rows(&["fetch"]).len(), 2, "no log is deleted");
}

#[test]
fn an_alert_that_no_id_or_several_name() {
    let (cli, ids) = with_alerts();
    for command in ["show", "ack"] {
        let (code, text) = cli.failure(&["alerts", command, "nosuch"]);
        assert!(code == 1 && text.contains("no alert \"nosuch\""), "{text}");
    }
    let store = DuckDbStore::open(cli.path("logstore.duckdb")).unwrap();
    let twin = store
        .alert(&ids[0])
        .unwrap()
        .unwrap()
        .with_id(format!("{}-twin", &ids[0]));
    store.store_alerts(&[twin]).unwrap();
    drop(store);
    let (code, text) = cli.failure(&["alerts", "ack", &ids[0][..8]]);
    assert!(code == 2 && text.contains("several alerts begin so"), "{text}");
    // A whole id names its alert, though another one begins so.
    cli.output(&["alerts", "ack", &ids[0]]);
    let (code, _) = cli.failure(&["alerts", "ack", &ids[0], "nosuch"]);
    assert_eq!(code, 1);
}

#[test]
fn each_change_of_an_alert_is_said_and_a_closed_one_stays_closed() {
    let (cli, ids) = with_alerts();
    let prefix = &ids[0][..8];
    let said = |arguments: &[&str]| {
        let output = cli.command(&[&["alerts"], arguments].concat()).output().unwrap();
        assert!(
            output.status.success() && output.stdout.is_empty(),
            "{arguments:?}: {output:?}"
        );
        String::from_utf8(output.stderr).unwrap()
    };
    for (arguments, expected) in [
        (
            vec!["assign", prefix, "ann"],
            "is assigned to ann: Sudo Privilege Escalation",
        ),
        (vec!["ack", prefix], "is in progress"),
        (vec!["note", prefix, "asked"], "has a new note"),
        (vec!["close", prefix, "--verdict", "benign"], "is closed (benign)"),
    ] {
        let text = said(&arguments);
        assert!(text.contains(&ids[0]) && text.contains(expected), "{text}");
    }
    let shown = cli.rows(&["alerts", "show", prefix]).remove(0);
    assert_eq!(
        (&shown["assignee"], &shown["events"][0]["action"]),
        (&json!("ann"), &json!("assign"))
    );
    let ann = ["alerts", "list", "--status", "any", "--assignee", "ann"];
    assert_eq!(cli.rows(&ann).len(), 1);
    let (code, text) = cli.failure(&["alerts", "ack", &ids[1], prefix]);
    assert!(
        code == 3 && text.contains("is closed (benign), and stays so"),
        "{text}"
    );
    assert_eq!(cli.rows(&["alerts", "list", "--status", "in_progress"]).len(), 0);
    assert!(said(&["assign", prefix, ""]).contains("is assigned to no person"));
    cli.finds_nothing(&ann);
}

#[test]
fn a_change_that_changes_nothing_is_said_and_leaves_no_event() {
    let (cli, ids) = with_alerts();
    let prefix = &ids[0][..8];
    let events = || {
        let shown = cli.rows(&["alerts", "show", prefix]).remove(0);
        let events = shown["events"].as_array().unwrap().len();
        (events, shown["verdict"].as_str().map(str::to_owned))
    };
    let said = |arguments: &[&str]| {
        let output = cli.command(&[&["alerts"], arguments].concat()).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let close_as = |verdict: &'static str| ["close", prefix, "--verdict", verdict];
    for (arguments, first, second) in [
        (&["ack", prefix][..], "is in progress", "is already in progress"),
        (
            &["assign", prefix, "ann"],
            "is assigned to ann",
            "is already assigned to ann",
        ),
        (
            &close_as("benign"),
            "is closed (benign)",
            "is already closed (benign)",
        ),
        (
            &close_as("true_positive"),
            "was closed (benign), and is closed (true_positive) now",
            "is already closed (true_positive)",
        ),
    ] {
        let text = said(arguments);
        assert!(text.contains(first), "{text}");
        let before = events();
        let text = said(arguments);
        assert!(text.contains(second), "{text}");
        assert_eq!(events(), before, "{arguments:?}");
    }
    assert_eq!(events(), (4, Some("true_positive".to_owned())));
    // Of several alerts, those that are not so yet are changed.
    let text = said(&["close", prefix, &ids[1], "--verdict", "true_positive"]);
    assert!(
        text.contains("is already closed") && text.contains(&ids[1]),
        "{text}"
    );
    cli.finds_nothing(&["alerts", "list"]);
}

#[test]
fn rules_of_alerts_are_named_by_the_beginnings_of_their_ids() {
    let (cli, _) = with_alerts();
    let id = "9b1c3f5e-0000-4000-8000-000000000000";
    let rule = |id: &str| {
        let names = ["--name", "x", "--type", "threshold", "--definition", "{}"];
        cli.output(&[&["rules", "add", "--id", id], &names[..]].concat());
    };
    rule(id);
    let store = DuckDbStore::open(cli.path("logstore.duckdb")).unwrap();
    let found = Match::new(id, Severity::Low, &LogEntry::new(at(7_200)));
    store.store_detections(&detections([found])).unwrap();
    drop(store);
    let listed = cli.rows(&["alerts", "list", "--rule", "9b1c"]);
    assert_eq!((listed.len(), &listed[0]["rule_id"]), (1, &json!(id)));
    let add = [
        "alerts", "suppress", "add", "--rule", "9b1c3", "--reason", "audit",
    ];
    assert_eq!(cli.rows(&add)[0]["rule_id"], id);
    rule("9b1d");
    let (code, text) = cli.failure(&["alerts", "list", "--rule", "9b1"]);
    assert!(code == 2 && text.contains("its first 4 characters"), "{text}");
    let (code, text) = cli.failure(&["rules", "show", "9b1"]);
    assert!(code == 2 && text.contains("its first 4 characters"), "{text}");
}

#[test]
fn suppressions_that_cover_less_than_they_seem_to_are_told() {
    let (cli, _) = with_alerts();
    let added = |arguments: &[&str]| {
        let add = [&["alerts", "suppress", "add", "--reason", "x"], arguments].concat();
        let output = cli.command(&add).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let row: Value = serde_json::from_slice(&output.stdout).unwrap();
        (
            row["id"].as_str().unwrap().to_owned(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (_, text) = added(&["--rule", "nosuch"]);
    assert!(text.contains("the store has no rule \"nosuch\""), "{text}");
    let (_, text) = added(&["--filter", "host = web1"]);
    assert!(text.is_empty(), "{text}");
    cli.write(
        "a.json",
        "{\"time\": \"2024-05-01T10:00:00Z\", \"zone\": \"dmz\"}\n",
    );
    cli.output(&["ingest", "a.json"]);
    let (_, text) = added(&["--filter", "zome = dmz"]);
    assert!(
        text.contains("has the field normalized.zome: did you mean zone?"),
        "{text}"
    );
    cli.write(
        "rules.yml",
        "title: A\nid: a\nlogsource: {product: linux}\ndetection: {s: [x], condition: s}\n---\ntitle: B\nid: b\n\
         correlation: {type: event_count, rules: [a], timespan: 1m, condition: {gte: 2}}\n",
    );
    cli.output(&["rules", "import", "rules.yml"]);
    for arguments in [
        &["--filter", "host = web2"][..],
        &["--rule", "b", "--filter", "host = web2"],
    ] {
        let (_, text) = added(arguments);
        assert!(text.contains("only the fields of their groups"), "{text}");
    }
    let (id, text) = added(&["--rule", "b"]);
    assert!(text.is_empty(), "{text}");
    let all = cli.rows(&["alerts", "suppress", "list"]).len();
    assert_eq!(cli.rows(&["alerts", "suppress", "list", "--limit", "2"]).len(), 2);
    let (code, text) = cli.failure(&["alerts", "suppress", "remove", &id[..3]]);
    assert!(code == 2 && text.contains("its first 4 characters"), "{text}");
    let (code, text) = cli.failure(&["alerts", "suppress", "remove", &id[..4]]);
    assert!(
        code == 2 && text.contains("several suppressions begin so"),
        "{text}"
    );
    let (code, text) = cli.failure(&["alerts", "suppress", "remove", "nosuch"]);
    assert!(code == 1 && text.contains("no suppression \"nosuch\""), "{text}");
    cli.output(&["alerts", "suppress", "remove", &id[..id.len() - 1]]);
    assert_eq!(cli.rows(&["alerts", "suppress", "list"]).len(), all - 1);
    assert_eq!(cli.rows(&["rules", "list", "--limit", "1"]).len(), 1);
}

#[test]
fn a_suppression_that_this_version_refuses_is_named_and_can_be_removed() {
    let (cli, _) = with_alerts();
    let add = [
        "alerts",
        "suppress",
        "add",
        "--filter",
        "host = web1",
        "--reason",
        "x",
    ];
    let id = cli.rows(&add).remove(0)["id"].as_str().unwrap().to_owned();
    let connection = duckdb::Connection::open(cli.path("logstore.duckdb")).unwrap();
    connection
        .execute("UPDATE suppressions SET filter = $$any has '.'$$", [])
        .unwrap();
    connection.close().unwrap();
    let (code, text) = cli.failure(&["alerts", "suppress", "list"]);
    assert!(
        code != 0 && text.contains(&id) && text.contains("a letter or digit"),
        "{text}"
    );
    assert!(
        text.contains("suppress remove") && !text.contains("damaged"),
        "{text}"
    );
    cli.output(&["alerts", "suppress", "remove", &id]);
    cli.finds_nothing(&["alerts", "suppress", "list"]);
}

#[test]
fn suppressions_by_commands() {
    let (cli, _) = with_alerts();
    let add = [
        "alerts",
        "suppress",
        "add",
        "--rule",
        "9b1c3f5e",
        "--filter",
        "host = web1",
    ];
    let add = [&add[..], &["--reason", "the audit", "--expires", "30d"]].concat();
    let added = cli.rows(&add).remove(0);
    assert_eq!(added["reason"], "the audit");
    let listed = cli.rows(&["alerts", "suppress", "list"]);
    assert_eq!(listed, std::slice::from_ref(&added));
    let store = DuckDbStore::open(cli.path("logstore.duckdb")).unwrap();
    let log = LogEntry::new(at(7_200)).with_host("web1");
    let found = Match::new("9b1c3f5e", Severity::Low, &log);
    assert_eq!(
        store.store_detections(&detections([found])).unwrap().suppressed,
        1
    );
    drop(store);
    assert_eq!(cli.rows(&["alerts", "list", "--status", "suppressed"]).len(), 1);
    cli.output(&["alerts", "suppress", "remove", added["id"].as_str().unwrap()]);
    cli.finds_nothing(&["alerts", "suppress", "list"]);
    let (code, text) = cli.failure(&["alerts", "suppress", "add", "--reason", "all"]);
    assert!(
        code == 2 && text.contains("--rule <ID>|--filter <FILTER>"),
        "{text}"
    );
    let wrong = [
        "alerts",
        "suppress",
        "add",
        "--rule",
        "r",
        "--reason",
        "x",
        "--expires",
        "soon",
    ];
    assert_eq!(cli.failure(&wrong).0, 2);
}

#[test]
fn alerts_are_exported_as_findings() {
    let (cli, ids) = with_alerts();
    cli.output(&["alerts", "close", &ids[1], "--verdict", "benign"]);
    let findings = cli.rows(&["alerts", "export", "--schema", "ocsf"]);
    assert_eq!(findings.len(), 2, "closed ones too");
    for finding in &findings {
        assert_eq!(
            (&finding["class_uid"], &finding["category_uid"]),
            (&json!(2004), &json!(2))
        );
    }
    let of_high = cli.rows(&[
        "alerts",
        "export",
        "--schema",
        "ocsf",
        "--severity",
        "high",
        "--format",
        "table",
    ]);
    let info = &of_high[0]["finding_info"];
    assert_eq!(info["uid"], ids[0].as_str());
    assert_eq!(info["related_events"].as_array().unwrap().len(), 3);
    assert_eq!(info["attacks"][0]["sub_technique"]["uid"], "T1548.003");
    cli.finds_nothing(&["alerts", "export", "--schema", "ocsf", "--severity", "critical"]);
}
