//! Sigma's rules on events whose matches are known.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use logstore::detect::{
    Detector, Document, Event, RuleSet, Scratch, SigmaRule, Verdict, read_rules, read_yaml,
};
use logstore::ingest::{FormatLibrary, IngestOptions, Source};
use logstore::{
    AlertQuery, AlertStore as _, DetectionRule, Fetcher, LogEntry, LogKey, LogStore as _, MemoryStore,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::shared_data;

/// Reads all rules in a folder. The refusals name the file, the line and the reason.
fn rules_in(folder: &Path) -> (Vec<SigmaRule>, Vec<String>) {
    let mut rules = Vec::new();
    let mut refusals = Vec::new();
    for file in walkdir::WalkDir::new(folder).sort_by_file_name() {
        let file = file.unwrap();
        if file.path().extension().is_none_or(|end| end != "yml") {
            continue;
        }
        let text = std::fs::read_to_string(file.path()).unwrap();
        for document in read_yaml(&text) {
            let read = document.and_then(|document| {
                Document::from_json(&document.value, &|_| None).map_err(|refusal| document.locate(refusal))
            });
            match read {
                Ok(Document::Rule(rule)) => rules.push(rule),
                Ok(_) => {}
                Err(refusal) => refusals.push(format!(
                    "{}:{}: {refusal}",
                    file.path().strip_prefix(folder).unwrap().display(),
                    refusal.line.unwrap_or_default()
                )),
            }
        }
    }
    (rules, refusals)
}

fn all_rules(sigma: &Path) -> Vec<SigmaRule> {
    let folders = ["rules", "rules-emerging-threats", "rules-threat-hunting"];
    folders
        .iter()
        .flat_map(|folder| rules_in(&sigma.join(folder)).0)
        .collect()
}

fn logs_of(file: &Path) -> Vec<LogEntry> {
    let parts = Source::file(file).into_parts().unwrap();
    // Archives made on a Mac hold binary files next to the logs.
    let readers = parts
        .into_iter()
        .filter_map(|source| source.unwrap().open(&IngestOptions::new()).ok());
    readers.flatten().map(Result::unwrap).collect()
}

fn numbers_in(list: &Value) -> BTreeSet<usize> {
    let numbers = list.as_array().unwrap().iter();
    numbers
        .map(|number| usize::try_from(number.as_u64().unwrap()).unwrap())
        .collect()
}

/// Returns the ids of the rules that match each of the logs.
fn matches(rules: &RuleSet, logs: &[LogEntry]) -> BTreeMap<String, BTreeSet<usize>> {
    let mut scratch = Scratch::default();
    let mut found: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    for (number, log) in logs.iter().enumerate() {
        for place in rules.matches_with(&Event::from_log(log), &mut scratch) {
            let id = rules.rules()[*place].about.id.clone().unwrap();
            found.entry(id).or_default().insert(number);
        }
    }
    found
}

#[test]
fn all_rules_but_those_with_placeholders_are_read() {
    let Some(sigma) = shared_data("data/sigma") else {
        return;
    };
    let folders = ["rules", "rules-emerging-threats", "rules-threat-hunting"];
    let read = folders.map(|folder| rules_in(&sigma.join(folder)));
    let refusals: Vec<&String> = read.iter().flat_map(|(_, refusals)| refusals).collect();
    let rules: usize = read.iter().map(|(rules, _)| rules.len()).sum();
    assert_eq!(rules + refusals.len(), 3754);
    assert!(
        refusals.len() == 2 && refusals.iter().all(|refusal| refusal.contains("placeholder %")),
        "{refusals:#?}"
    );
}

#[test]
fn each_regression_sample_is_matched_by_its_rule() {
    let Some(sigma) = shared_data("data/sigma") else {
        return;
    };
    let rules = RuleSet::new(all_rules(&sigma));
    let key: BTreeMap<String, Value> =
        serde_json::from_str(&std::fs::read_to_string(sigma.join("key_regression.json")).unwrap()).unwrap();
    let mut wrong = Vec::new();
    for (id, expected) in &key {
        let file = sigma.join(expected["json"].as_str().unwrap());
        let logs = logs_of(&file);
        assert_eq!(
            logs.len() as u64,
            expected["events"].as_u64().unwrap(),
            "{}",
            file.display()
        );
        let found = matches(&rules, &logs).remove(id).unwrap_or_default();
        let numbers = numbers_in(&expected["ref_matches"]);
        if found != numbers {
            wrong.push(format!("{}: {found:?}, not {numbers:?}", expected["rule"]));
        }
    }
    assert!(wrong.is_empty(), "{} of {}: {wrong:#?}", wrong.len(), key.len());
}

#[test]
fn recorded_attacks_are_matched_as_the_reference_says() {
    let Some(sigma) = shared_data("data/sigma") else {
        return;
    };
    let Some(otrf) = shared_data("data/json/otrf") else {
        return;
    };
    let rules = RuleSet::new(all_rules(&sigma));
    let key: Value =
        serde_json::from_str(&std::fs::read_to_string(otrf.join("key_sigma.json")).unwrap()).unwrap();
    let mut wrong = Vec::new();
    for (name, expected) in key["datasets"].as_object().unwrap() {
        let archive: PathBuf = name.split('!').next().unwrap().into();
        let file = otrf.join(archive.file_name().unwrap());
        let logs = logs_of(&file);
        assert_eq!(logs.len() as u64, expected["events"].as_u64().unwrap(), "{name}");
        let found = matches(&rules, &logs);
        let expected: BTreeMap<String, BTreeSet<usize>> = expected["matches"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(id, lines)| {
                let lines = numbers_in(lines).into_iter();
                (id.clone(), lines.map(|line| line - 1).collect())
            })
            .collect();
        for (id, lines) in &expected {
            let missing: Vec<_> = lines
                .difference(found.get(id).unwrap_or(&BTreeSet::new()))
                .copied()
                .collect();
            if !missing.is_empty() {
                wrong.push(format!("{name}: {id} misses {missing:?}"));
            }
        }
        for (id, lines) in &found {
            let extra: Vec<_> = lines
                .difference(expected.get(id).unwrap_or(&BTreeSet::new()))
                .copied()
                .collect();
            if !extra.is_empty() {
                wrong.push(format!("{name}: {id} also matches {extra:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_rule_that_matches_is_called_dead() {
    let (Some(sigma), Some(otrf)) = (shared_data("data/sigma"), shared_data("data/json/otrf")) else {
        return;
    };
    let key =
        |file: &Path| -> Value { serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap() };
    let samples = key(&sigma.join("key_regression.json"));
    let mut matching: BTreeSet<String> = samples.as_object().unwrap().keys().cloned().collect();
    let attacks = key(&otrf.join("key_sigma.json"));
    for set in attacks["datasets"].as_object().unwrap().values() {
        matching.extend(set["matches"].as_object().unwrap().keys().cloned());
    }
    let formats = FormatLibrary::built_in().log_sources();
    let mut dead = Vec::new();
    for file in walkdir::WalkDir::new(&sigma) {
        let file = file.unwrap();
        if file.path().extension().is_none_or(|end| end != "yml") {
            continue;
        }
        let text = std::fs::read_to_string(file.path()).unwrap();
        for read in read_rules("rules.yml", &text, &formats, &|_| None) {
            if let (Verdict::NeverMatches(reason), Some(rule)) = (read.verdict, read.rule) {
                dead.push((rule.id, reason));
            }
        }
    }
    let wrong: Vec<_> = dead.iter().filter(|(id, _)| matching.contains(id)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(dead.len(), 4, "{dead:#?}");
}

/// Logs of `failed` logins of users on hosts, with a login at the end of some.
fn logins(events: &[(u8, u8, bool)]) -> Vec<LogEntry> {
    let start: DateTime<Utc> = "2024-05-01T10:00:00Z".parse().unwrap();
    let logs = events.iter().enumerate().map(|(number, (minute, user, failed))| {
        let mut log = LogEntry::new(start + TimeDelta::minutes((*minute).into()))
            .with_id(format!("log-{number}"))
            .with_host("web1")
            .with_field("user", format!("user{user}"))
            .with_field("result", if *failed { "failed" } else { "passed" })
            .with_field("number", number as u64);
        log.metadata
            .insert("logsource".into(), json!({"product": "test"}));
        log
    });
    logs.collect()
}

const CORRELATIONS: &str = "
title: Failed login
id: failed
name: failed_login
logsource: {product: test}
detection:
  selection: {result: failed}
  condition: selection
level: low
---
title: Login
id: passed
name: login
logsource: {product: test}
detection:
  selection: {result: passed}
  condition: selection
level: informational
---
title: Many failed logins
id: many
name: many_failed
correlation:
  type: event_count
  rules: [failed_login]
  group-by: [user]
  timespan: 10m
  condition: {gte: 3}
level: medium
---
title: Failed logins of many users
id: users
correlation:
  type: value_count
  rules: [failed_login]
  group-by: [host]
  aliases:
    host: {failed_login: '@host'}
  timespan: 10m
  condition: {field: user, gte: 3}
level: medium
---
title: Login after many failed ones
id: guessed
correlation:
  type: temporal_ordered
  rules: [many_failed, login]
  group-by: [user]
  timespan: 15m
level: high
";

fn stored_rules(text: &str) -> Vec<DetectionRule> {
    let read = read_rules("test.yml", text, &["test/*/*".parse().unwrap()].into(), &|_| None);
    read.into_iter().map(|read| read.rule.unwrap()).collect()
}

type AlertSummary = (
    String,
    String,
    u64,
    Option<DateTime<Utc>>,
    Option<DateTime<Utc>>,
    Vec<LogKey>,
);

/// Applies the rules to logs that come in batches, and returns what an analyst sees in the end.
fn alerts_of(batches: &[&[LogEntry]]) -> Vec<AlertSummary> {
    let store = MemoryStore::new();
    let (detector, refused) = Detector::new(&stored_rules(CORRELATIONS), &|_| None);
    assert!(refused.is_empty(), "{refused:?}");
    for batch in batches {
        store.append_logs(batch).unwrap();
        for batch in Fetcher::new(&store).consumer("sigma").once() {
            detector.commit(&store, &batch.unwrap()).unwrap();
        }
    }
    let mut alerts: Vec<AlertSummary> = store
        .fetch_alerts(&AlertQuery::new())
        .unwrap()
        .into_iter()
        .map(|alert| {
            let logs = store.alert_logs(&[&alert.id]).unwrap();
            let logs = logs.into_iter().map(|(_, log)| log).collect();
            let rule = alert.rule_id.unwrap_or_default();
            (
                alert.id,
                rule,
                alert.count,
                alert.first_seen,
                alert.last_seen,
                logs,
            )
        })
        .collect();
    alerts.sort();
    alerts
}

#[test]
fn a_login_after_many_failed_ones_is_an_alert() {
    let logs = logins(&[
        (0, 1, true),
        (1, 1, true),
        (2, 2, true),
        (3, 1, true),
        (9, 1, false),
    ]);
    let alerts = alerts_of(&[&logs]);
    let rules: Vec<(&str, u64)> = alerts.iter().map(|alert| (alert.1.as_str(), alert.2)).collect();
    assert_eq!(rules, [("guessed", 1)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_order_and_any_batches_give_the_same_alerts(
        events in proptest::collection::vec((0..60_u8, 0..4_u8, any::<bool>()), 1..40),
        shuffled in any::<u64>(),
        size in 1..10_usize,
    ) {
        let logs = logins(&events);
        let expected = alerts_of(&[&logs]);
        let mut mixed = logs.clone();
        let mut random = fastrand::Rng::with_seed(shuffled);
        random.shuffle(&mut mixed);
        let batches: Vec<&[LogEntry]> = mixed.chunks(size).collect();
        prop_assert_eq!(alerts_of(&batches), expected);
    }
}
