use std::collections::BTreeMap;

use chrono::TimeDelta;
use logstore::alerts::{
    AlertAction, AlertEvent, AlertOrder, Detections, Hit, HitRange, Lookback, Match, Suppression,
};
use logstore::{
    Alert, AlertQuery, AlertStatus, Cursor, DetectionStore as _, Error, LogEntry, LogKey, Severity, Store,
    StoreExt as _, Verdict,
};

use crate::support::at;

/// A match of a rule on a log that is known by its second.
fn found(rule: &str, second: i64) -> Match {
    let log = LogEntry::new(at(second))
        .with_id(format!("log-{second}"))
        .with_host("web1")
        .with_field("user", "root");
    Match::new(rule, Severity::High, &log).with_title(format!("title of {rule}"))
}

fn matches(matches: impl IntoIterator<Item = Match>) -> Detections {
    Detections {
        matches: matches.into_iter().collect(),
        ..Detections::default()
    }
}

/// What of an alert depends on its matches alone.
fn essence(store: &dyn Store) -> Vec<(Alert, Vec<LogKey>)> {
    let alerts = store.fetch_alerts(&AlertQuery::new()).unwrap().into_iter();
    let mut alerts: Vec<_> = alerts
        .map(|alert| {
            let logs = logs_of(store, &alert.id);
            let alert = alert.with_created_at(at(0));
            (alert, logs)
        })
        .collect();
    alerts.sort_by(|(a, _), (b, _)| a.id.cmp(&b.id));
    alerts
}

fn logs_of(store: &dyn Store, id: &str) -> Vec<LogKey> {
    let logs = store.alert_logs(&[id]).unwrap().into_iter();
    logs.map(|(alert, log)| {
        assert_eq!(alert, id);
        log
    })
    .collect()
}

fn only_alert(store: &dyn Store) -> Alert {
    let mut alerts = store.fetch_alerts(&AlertQuery::new()).unwrap();
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    alerts.remove(0)
}

pub(super) fn counts_matches_of_one_window_in_one_alert(store: &dyn Store) {
    let detections = matches([0, 10, 3_599, 3_600].map(|second| found("r", second)));
    let stored = store.store_detections(&detections).unwrap();
    assert_eq!((stored.stored, stored.counted, stored.repeated), (2, 4, 0));
    let alerts = store
        .fetch_alerts(&AlertQuery::new().order(AlertOrder::NewestFirst))
        .unwrap();
    let first = alerts.iter().find(|alert| alert.count == 3).unwrap();
    let second = alerts.iter().find(|alert| alert.count == 1).unwrap();
    assert_eq!(
        (first.first_seen, first.last_seen),
        (Some(at(0)), Some(at(3_599)))
    );
    assert_eq!(
        (second.window_start, second.window_end),
        (Some(at(3_600)), Some(at(7_200)))
    );
    assert_eq!(first.fingerprint, second.fingerprint);
    assert_eq!(
        (
            first.rule_id.as_deref(),
            first.host.as_deref(),
            first.user.as_deref()
        ),
        (Some("r"), Some("web1"), Some("root"))
    );
    assert_eq!(
        (first.description.as_str(), first.status),
        ("title of r", AlertStatus::New)
    );
    // Another rule, another group and another length of the windows are other alerts.
    let others = [
        found("s", 0),
        found("r", 0).with_host("web2"),
        found("r", 0).with_group(BTreeMap::from([("a".to_owned(), "b".to_owned())])),
        found("r", 0).with_window(TimeDelta::hours(24)),
    ];
    assert_eq!(store.store_detections(&matches(others)).unwrap().stored, 4);
}

pub(super) fn a_match_that_comes_again_is_not_counted(store: &dyn Store) {
    let all = [0, 10, 20].map(|second| found("r", second));
    let twice = matches(all.iter().chain(&all).cloned());
    let stored = store.store_detections(&twice).unwrap();
    assert_eq!((stored.stored, stored.counted, stored.repeated), (1, 3, 3));
    let before = essence(store);
    let again = store.store_detections(&matches(all)).unwrap();
    assert_eq!((again.stored, again.counted, again.repeated), (0, 0, 3));
    assert_eq!(essence(store), before);
    let odd = Match::of_key("odd", Severity::Low, LogKey::new(at(5), "it's \0"));
    let odd = matches([odd.with_host("web\0")]);
    assert_eq!(store.store_detections(&odd).unwrap().counted, 1);
    assert_eq!(store.store_detections(&odd).unwrap().repeated, 1);
    // A log with the same id at another time is another log.
    let mut other = found("r", 30);
    other.log = LogKey::new(at(30), "log-0");
    assert_eq!(store.store_detections(&matches([other])).unwrap().counted, 1);
    let of_rule = store.fetch_alerts(&AlertQuery::new().rule_id("r")).unwrap();
    assert_eq!((of_rule.len(), of_rule[0].count), (1, 4));
}

pub(super) fn order_and_batches_do_not_matter(store: &dyn Store) {
    let rules = ["r", "s"];
    let all = || {
        let all = rules
            .iter()
            .flat_map(|rule| (0..9).map(|number| found(rule, number * 700)));
        all.enumerate().map(|(number, found)| {
            let host = format!("web{}", number % 3);
            found
                .with_host(host)
                .with_related([LogKey::new(at(-5), "before")])
        })
    };
    let other = logstore::MemoryStore::new();
    other.store_detections(&matches(all())).unwrap();
    let mut reversed: Vec<Match> = all().collect();
    reversed.reverse();
    for batch in reversed.chunks(4) {
        // Each batch comes with some of the last one.
        store.store_detections(&matches(batch.iter().cloned())).unwrap();
        store
            .store_detections(&matches(batch.iter().take(2).cloned()))
            .unwrap();
    }
    assert_eq!(essence(store), essence(&other));
    assert!(essence(store).len() > 6);
}

pub(super) fn an_alert_looks_like_its_earliest_match(store: &dyn Store) {
    let group = BTreeMap::from([("host".to_owned(), "web1".to_owned())]);
    let named = |second: i64, title: &str, severity: Severity| {
        let mut found = found("r", second).with_title(title).with_group(group.clone());
        found.severity = severity;
        found
            .with_source_ip(format!("10.0.0.{second}"))
            .with_tags([format!("attack.t100{second}")])
    };
    for (second, title, severity) in [
        (5, "b", Severity::High),
        (9, "c", Severity::Critical),
        (2, "a", Severity::Low),
    ] {
        store
            .store_detections(&matches([named(second, title, severity)]))
            .unwrap();
    }
    let alert = only_alert(store);
    assert_eq!((alert.description.as_str(), alert.severity), ("a", Severity::Low));
    assert_eq!(alert.source_ip.as_deref(), Some("10.0.0.2"));
    assert_eq!(alert.log_id.as_deref(), Some("log-2"));
    assert_eq!(alert.techniques(), ["T1002"]);
    let score = logstore::priority_score(Severity::Low, 1.0, 0);
    assert!((alert.priority_score - score).abs() < 1e-9);
}

pub(super) fn an_alert_keeps_its_first_logs_and_the_latest(store: &dyn Store) {
    let related = (1..=3).map(|second| LogKey::new(at(-second), "before"));
    let first = found("r", 500).with_related(related);
    store.store_detections(&matches([first])).unwrap();
    for batch in [150..300, 0..150] {
        store
            .store_detections(&matches(batch.map(|second| found("r", second))))
            .unwrap();
    }
    let alert = only_alert(store);
    assert_eq!(alert.count, 301, "logs that led to a match are not counted");
    let logs = logs_of(store, &alert.id);
    assert_eq!(logs.len(), 101);
    assert_eq!(logs[0], LogKey::new(at(-3), "before"));
    assert_eq!((&logs[3], &logs[99]), (&found("r", 0).log, &found("r", 96).log));
    assert_eq!(logs[100], found("r", 500).log);
    assert!(store.alert_logs(&["nosuch"]).unwrap().is_empty());
}

pub(super) fn a_closed_alert_that_is_hit_again_has_a_successor(store: &dyn Store) {
    store.store_detections(&matches([found("r", 0)])).unwrap();
    let first = only_alert(store);
    let close = AlertEvent::new(AlertAction::Close(Verdict::Benign)).by("ann");
    store.update_alerts(&[&first.id], &close).unwrap();
    // The match that it has counted does not raise another one.
    let again = store.store_detections(&matches([found("r", 0)])).unwrap();
    assert_eq!((again.stored, again.repeated), (0, 1));
    let stored = store
        .store_detections(&matches([found("r", 0), found("r", 1), found("r", 2)]))
        .unwrap();
    assert_eq!((stored.stored, stored.counted, stored.repeated), (1, 2, 1));
    let alerts = store
        .fetch_alerts(&AlertQuery::new().statuses([AlertStatus::New]))
        .unwrap();
    assert_eq!((alerts[0].generation, alerts[0].count), (2, 2));
    assert_eq!(alerts[0].previous_id.as_ref(), Some(&first.id));
    let first = store.alert(&first.id).unwrap().unwrap();
    assert_eq!(
        (first.status, first.verdict),
        (AlertStatus::Resolved, Some(Verdict::Benign))
    );
    assert_eq!((first.generation, first.count), (1, 1));
}

pub(super) fn suppressed_matches_are_stored_and_counted(store: &dyn Store) {
    let filter = "user = root and host = web1".parse().unwrap();
    let suppression = Suppression::new("a test", filter).of_rule("r").with_owner("ann");
    store.add_suppression(&suppression).unwrap();
    let both = matches([found("r", 0), found("r", 1), found("s", 0)]);
    let stored = store.store_detections(&both).unwrap();
    assert_eq!((stored.stored, stored.counted, stored.suppressed), (2, 3, 2));
    let suppressed = AlertQuery::new().statuses([AlertStatus::Suppressed]);
    let alerts = store.fetch_alerts(&suppressed).unwrap();
    assert_eq!((alerts.len(), alerts[0].count), (1, 2));
    assert_eq!(alerts[0].rule_id.as_deref(), Some("r"));
    let events = store.alert_events(&[&alerts[0].id]).unwrap();
    let (_, event) = &events[0];
    assert_eq!(event.action, AlertAction::Status(AlertStatus::Suppressed));
    assert!(event.note.as_ref().unwrap().contains("a test"));
    // A match that is not suppressed needs an analyst.
    store.remove_suppressions(&[&suppression.id]).unwrap();
    store.store_detections(&matches([found("r", 2)])).unwrap();
    let alert = store.alert(&alerts[0].id).unwrap().unwrap();
    assert_eq!(
        (alert.status, alert.acknowledged, alert.count),
        (AlertStatus::New, false, 3)
    );
}

pub(super) fn suppressions_end_at_an_event_time(store: &dyn Store) {
    let suppression = Suppression::new("a test", "host = web1".parse().unwrap()).until(at(3_600));
    store.add_suppression(&suppression).unwrap();
    let stored = store
        .store_detections(&matches([found("r", 3_599), found("r", 3_600)]))
        .unwrap();
    assert_eq!((stored.stored, stored.counted, stored.suppressed), (2, 2, 1));
    // A match of which only the key is known is told by its fields.
    let of_key = Match::of_key("k", Severity::Low, LogKey::new(at(1), "x")).with_host("web1");
    let stored = store.store_detections(&matches([of_key])).unwrap();
    assert_eq!((stored.counted, stored.suppressed), (1, 1));
}

pub(super) fn keeps_suppressions(store: &dyn Store) {
    let mut first = Suppression::new("it's 'odd'", "message contains 'a\"b'".parse().unwrap())
        .with_owner("O'Brien")
        .until(at(100));
    first.created_at = at(0);
    let mut second = Suppression::new("rule", logstore::Filter::default()).of_rule("r");
    second.created_at = at(1);
    store.add_suppression(&second).unwrap();
    store.add_suppression(&first).unwrap();
    let changed = first.clone().of_rule("other");
    store.add_suppression(&changed).unwrap();
    assert_eq!(store.suppressions().unwrap(), [first.clone(), second]);
    for wrong in [
        Suppression::new(" ", "a = b".parse().unwrap()),
        Suppression::new("all", logstore::Filter::default()),
    ] {
        assert!(matches!(
            store.add_suppression(&wrong),
            Err(Error::InvalidInput(_))
        ));
    }
    let unknown = store.remove_suppressions(&[&first.id, "nosuch"]);
    assert!(matches!(unknown, Err(Error::NotFound { .. })));
    assert_eq!(store.suppressions().unwrap().len(), 2);
    store.remove_suppressions(&[&first.id]).unwrap();
    assert_eq!(store.suppressions().unwrap().len(), 1);
}

pub(super) fn hunts_mark_what_they_find(store: &dyn Store) {
    store
        .store_detections(&matches([found("r", 0), found("s", 0)]))
        .unwrap();
    let later = |rule: &str| {
        let alerts = store.fetch_alerts(&AlertQuery::new().rule_id(rule)).unwrap();
        alerts[0].found_later
    };
    assert!(later("r") && later("s"));
    // The same match, and another one, as a consumer finds them.
    let live = matches([found("r", 0), found("s", 1)]);
    let committed = store
        .commit_detections("c", None, Cursor::BEGINNING, &live)
        .unwrap();
    assert_eq!((committed.repeated, committed.counted), (1, 1));
    assert!(!later("r") && !later("s"));
    store.store_detections(&matches([found("r", 2)])).unwrap();
    assert!(!later("r"));
}

pub(super) fn detections_move_a_consumer_or_change_nothing(store: &dyn Store) {
    let end = store.end_cursor().unwrap();
    let both = Detections {
        matches: vec![found("r", 0)],
        hits: vec![hit("c", "g", 0)],
        ..Detections::default()
    };
    let elsewhere = store.commit_detections("d", Some(end), end, &both);
    assert!(matches!(elsewhere, Err(Error::Conflict { .. })));
    let mut incomplete = both.clone();
    incomplete.matches.push(found(" ", 1));
    let refused = store.commit_detections("d", None, end, &incomplete);
    assert!(matches!(refused, Err(Error::InvalidInput(_))));
    assert!(store.fetch_alerts(&AlertQuery::new()).unwrap().is_empty());
    assert!(store.hits(&[range("c", "g", 0, 10)]).unwrap().is_empty());
    assert_eq!(store.position("d").unwrap(), None);
    let committed = store.commit_detections("d", None, end, &both).unwrap();
    assert_eq!((committed.stored, committed.counted, committed.missed), (1, 1, 0));
    assert_eq!(store.position("d").unwrap(), Some(end));
    store
        .commit_detections("d", Some(end), end, &Detections::default())
        .unwrap();
    let again = store.commit_detections("d", None, end, &both);
    assert!(matches!(again, Err(Error::Conflict { .. })));
    assert_eq!(store.hits(&[range("c", "g", 0, 10)]).unwrap(), both.hits);
}

fn hit(correlation: &str, group: &str, second: i64) -> Hit {
    Hit {
        correlation_id: correlation.to_owned(),
        group_key: format!("{group}\0"),
        log: LogKey::new(at(second), format!("it's {second}\0")),
        rule_id: "r".to_owned(),
        rule_version: "1".to_owned(),
        value: (second % 2 == 0).then(|| "value".to_owned()),
    }
}

fn range(correlation: &str, group: &str, since: i64, until: i64) -> HitRange {
    HitRange {
        correlation_id: correlation.to_owned(),
        group_key: format!("{group}\0"),
        since: at(since),
        until: at(until),
    }
}

pub(super) fn keeps_hits_once(store: &dyn Store) {
    let hits = |hits: Vec<Hit>| Detections {
        hits,
        ..Detections::default()
    };
    let all: Vec<Hit> = (0..10).rev().map(|second| hit("c", "g", second)).collect();
    store.store_detections(&hits(all.clone())).unwrap();
    store
        .store_detections(&hits(all.iter().chain(&all).cloned().collect()))
        .unwrap();
    store
        .store_detections(&hits(vec![hit("c", "h", 1), hit("d", "g", 1)]))
        .unwrap();
    let expected: Vec<Hit> = (2..5).map(|second| hit("c", "g", second)).collect();
    assert_eq!(store.hits(&[range("c", "g", 2, 5)]).unwrap(), expected);
    // Ranges may overlap; each hit comes once.
    let ranges = [
        range("d", "g", 0, 9),
        range("c", "g", 0, 1),
        range("c", "g", 0, 2),
        range("x", "g", 0, 9),
    ];
    let expected = [hit("c", "g", 0), hit("c", "g", 1), hit("d", "g", 1)];
    assert_eq!(store.hits(&ranges).unwrap(), expected);
    assert!(store.hits(&[]).unwrap().is_empty());
    // Another version of a rule leaves other hits.
    let newer = Hit {
        rule_version: "2".to_owned(),
        ..hit("c", "g", 2)
    };
    store.store_detections(&hits(vec![newer.clone()])).unwrap();
    assert_eq!(
        store.hits(&[range("c", "g", 2, 3)]).unwrap(),
        [hit("c", "g", 2), newer]
    );
}

pub(super) fn forgets_old_hits_and_counts_late_matches(store: &dyn Store) {
    let detections = Detections {
        matches: (0..300)
            .map(|second| found("r", second))
            .chain([found("r", 3_600)])
            .collect(),
        hits: [0, 3_599, 3_600].map(|second| hit("c", "g", second)).into(),
        ..Detections::default()
    };
    store.store_detections(&detections).unwrap();
    let before = essence(store);
    assert_eq!(store.delete_hits_before(at(3_600)).unwrap(), 2);
    assert_eq!(store.delete_hits_before(at(3_600)).unwrap(), 0);
    assert_eq!(
        store.hits(&[range("c", "g", 0, 9_999)]).unwrap(),
        [hit("c", "g", 3_600)]
    );
    let of_old = |alert: &Alert| alert.window_start == Some(at(0));
    for ((before, logs), (after, kept)) in before.iter().zip(&essence(store)) {
        assert_eq!(
            (after.count, kept),
            (before.count, logs),
            "what an alert keeps stays"
        );
        assert_eq!(after.is_settled, of_old(after));
    }
    // A repeated match of a log that is kept is known as such. Others may have been counted or not.
    let again = matches([
        found("r", 0),
        found("r", 200),
        found("r", 3_000),
        found("r", 3_600),
        found("r", 3_700),
    ]);
    let stored = store.store_detections(&again).unwrap();
    assert_eq!((stored.repeated, stored.late, stored.counted), (2, 2, 1));
    // A window of which no alert is stored is not late, however old it is.
    assert_eq!(
        store
            .store_detections(&matches([found("r", -9_000)]))
            .unwrap()
            .counted,
        1
    );
}

pub(super) fn fetches_alerts_by_rule_tag_and_status(store: &dyn Store) {
    let tagged = [
        found("r", 0).with_tags(["attack.t1059.001", "attack.execution"]),
        found("s", 0).with_tags(["attack.t1059", "it's"]),
        found("t", 0),
    ];
    store.store_detections(&matches(tagged)).unwrap();
    let rules = |query: AlertQuery| -> Vec<String> {
        let alerts = store.fetch_alerts(&query).unwrap();
        for alert in &alerts {
            assert!(query.matches(alert));
        }
        let mut rules: Vec<String> = alerts.into_iter().filter_map(|alert| alert.rule_id).collect();
        rules.sort();
        rules
    };
    assert_eq!(rules(AlertQuery::new().rule_id("s")), ["s"]);
    assert_eq!(rules(AlertQuery::new().tag("attack.t1059")), ["s"]);
    assert_eq!(rules(AlertQuery::new().tag("it's")), ["s"]);
    assert_eq!(rules(AlertQuery::new().tag("attack.execution")), ["r"]);
    let of_s = store.fetch_alerts(&AlertQuery::new().rule_id("s")).unwrap();
    store.acknowledge_alerts(&[&of_s[0].id]).unwrap();
    assert_eq!(
        rules(AlertQuery::new().statuses([AlertStatus::InProgress])),
        ["s"]
    );
    let open = [AlertStatus::New, AlertStatus::InProgress];
    assert_eq!(rules(AlertQuery::new().statuses(open)), ["r", "s", "t"]);
    let prefix = &of_s[0].id[..8];
    assert_eq!(store.find_alert(prefix).unwrap().rule_id.as_deref(), Some("s"));
}

pub(super) fn keeps_which_alerts_wait_for_a_receiver(store: &dyn Store) {
    let quiet = Suppression::new("a test", "host = web1".parse().unwrap()).of_rule("quiet");
    store.add_suppression(&quiet).unwrap();
    let awaiting = |rules: &[&str]| Detections {
        receiver: Some("mail".to_owned()),
        ..matches(rules.iter().map(|rule| found(rule, 0)))
    };
    let waiting = || {
        let ids = store.undelivered_alerts("mail").unwrap();
        let rules = ids
            .iter()
            .map(|id| store.alert(id).unwrap().unwrap().rule_id.unwrap());
        rules.collect::<Vec<String>>()
    };
    store.store_detections(&matches([found("before", 0)])).unwrap();
    store
        .store_detections(&awaiting(&["a", "before", "quiet"]))
        .unwrap();
    store.store_detections(&awaiting(&["b"])).unwrap();
    assert_eq!(waiting(), ["a", "b"]);
    assert!(store.undelivered_alerts("chat").unwrap().is_empty());

    let ids = store.undelivered_alerts("mail").unwrap();
    let event = |action: AlertAction| AlertEvent::new(action).by("mail");
    store
        .update_alerts(&[&ids[0]], &event(AlertAction::FailToDeliver))
        .unwrap();
    assert_eq!(waiting(), ["b", "a"]);
    store
        .update_alerts(&[&ids[1]], &event(AlertAction::Deliver))
        .unwrap();
    store.store_detections(&awaiting(&["b"])).unwrap();
    assert_eq!(waiting(), ["a"]);

    store.remove_suppressions(&[&quiet.id]).unwrap();
    let later = Detections {
        receiver: Some("mail".to_owned()),
        ..matches([found("quiet", 1)])
    };
    store.store_detections(&later).unwrap();
    assert_eq!(waiting(), ["quiet", "a"]);
}

pub(super) fn counts_what_rules_found_by_day(store: &dyn Store) {
    const DAY: i64 = 86_400;
    let detections = Detections {
        hits: vec![hit("c", "g", 0), hit("d", "g", 0), hit("c", "g", DAY)],
        ..matches([
            found("r", 0),
            found("r", 1),
            found("r", 7_200),
            found("r", DAY),
            found("s", 0),
        ])
    };
    store.store_detections(&detections).unwrap();
    let days = |since| {
        let days = store.rule_days(since).unwrap().into_iter();
        days.map(|day| {
            let number = (day.day - at(0).date_naive()).num_days();
            (day.rule_id, number, [day.alerts, day.matches, day.hits])
        })
        .collect::<Vec<_>>()
    };
    let expected = [
        ("r".to_owned(), 0, [2, 3, 1]),
        ("r".to_owned(), 1, [1, 1, 1]),
        ("s".to_owned(), 0, [1, 1, 0]),
    ];
    let mut all = days(None);
    assert_eq!(all, expected);
    all.retain(|(_, day, _)| *day == 1);
    assert_eq!(days(Some(at(DAY))), all);
}

pub(super) fn a_lookback_moves_with_its_matches_or_not_at_all(store: &dyn Store) {
    assert_eq!(store.lookback("c").unwrap(), None);
    let begin = Lookback::done(3);
    store
        .commit_lookback("c", None, &begin, &Detections::default())
        .unwrap();
    let next = Lookback {
        done: 3,
        target: 5,
        position: Some(LogKey::new(at(7), "it's one")),
    };
    let committed = store
        .commit_lookback("c", Some(&begin), &next, &matches([found("r", 0)]))
        .unwrap();
    assert_eq!((committed.stored, committed.counted), (1, 1));
    assert!(only_alert(store).found_later);
    assert_eq!(store.lookback("c").unwrap(), Some(next.clone()));
    assert_eq!(store.lookback("d").unwrap(), None);
    assert_eq!(store.position("c").unwrap(), None, "it is no position");
    for from in [None, Some(&begin)] {
        let elsewhere = store.commit_lookback("c", from, &Lookback::done(5), &matches([found("s", 0)]));
        assert!(matches!(elsewhere, Err(Error::Conflict { .. })));
    }
    assert_eq!(store.lookback("c").unwrap(), Some(next.clone()));
    let repeated = store
        .commit_lookback("c", Some(&next), &Lookback::done(5), &matches([found("r", 0)]))
        .unwrap();
    assert_eq!((repeated.stored, repeated.repeated), (0, 1));
    assert_eq!(store.lookback("c").unwrap(), Some(Lookback::done(5)));
    assert_eq!(only_alert(store).count, 1);
}
