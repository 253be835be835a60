use logstore::alerts::{AlertAction, AlertEvent, AlertOrder};
use logstore::{Alert, AlertQuery, AlertStatus, Error, Severity, Store, StoreExt as _, Verdict};
use serde_json::json;

use crate::support::{alert, at};

fn ids(store: &dyn Store, query: &AlertQuery) -> Vec<String> {
    let alerts = store.fetch_alerts(query).unwrap();
    alerts.into_iter().map(|alert| alert.id).collect()
}

pub(super) fn stores_alerts_once(store: &dyn Store) {
    let first = alert("1", Severity::High, 0);
    assert_eq!(store.store_alerts(&[first.clone(), first.clone()]).unwrap(), 1);
    let changed = first.with_description("changed");
    assert_eq!(
        store
            .store_alerts(&[changed, alert("2", Severity::Low, 1)])
            .unwrap(),
        1
    );
    assert_eq!(ids(store, &AlertQuery::new()), ["2", "1"]);
    assert_eq!(store.fetch_alerts(&AlertQuery::new()).unwrap()[1].description, "");
    store.store_alert(&alert("3", Severity::Low, 1)).unwrap();
    assert_eq!(ids(store, &AlertQuery::new()), ["2", "3", "1"]);
    assert_eq!(store.store_alerts(&[]).unwrap(), 0);
}

pub(super) fn refuses_incomplete_alerts_as_a_whole(store: &dyn Store) {
    let alerts = [
        alert("1", Severity::High, 0),
        Alert::new(" ", "heuristic", Severity::Low),
    ];
    assert!(matches!(store.store_alerts(&alerts), Err(Error::InvalidInput(_))));
    assert!(ids(store, &AlertQuery::new()).is_empty());
}

pub(super) fn fetches_alerts_by_severity(store: &dyn Store) {
    let alerts: Vec<_> = Severity::ALL
        .into_iter()
        .zip(0..)
        .map(|(severity, second)| alert(severity.as_str(), severity, second))
        .collect();
    store.store_alerts(&alerts).unwrap();
    assert_eq!(ids(store, &AlertQuery::new().severity(Severity::High)), ["high"]);
    assert_eq!(
        ids(store, &AlertQuery::new().min_severity(Severity::High)),
        ["critical", "high"]
    );
    assert_eq!(
        ids(
            store,
            &AlertQuery::new().min_severity(Severity::Informational).limit(2)
        ),
        ["critical", "high"]
    );
}

pub(super) fn fetches_alerts_by_field(store: &dyn Store) {
    let alerts = [
        alert("1", Severity::Low, 0)
            .with_source_ip("10.0.0.1")
            .with_user("root"),
        alert("2", Severity::Low, 1)
            .with_dest_ip("10.0.0.1")
            .with_host("web1"),
        Alert::new("malware", "yara", Severity::Low)
            .with_id("3")
            .with_host("BÜRO")
            .with_created_at(at(2)),
    ];
    store.store_alerts(&alerts).unwrap();
    for (query, expected) in [
        (AlertQuery::new().source_ip("10.0.0.1"), "1"),
        (AlertQuery::new().dest_ip("10.0.0.1"), "2"),
        (AlertQuery::new().user("root"), "1"),
        (AlertQuery::new().host("web1"), "2"),
        (AlertQuery::new().host("WEB1"), "2"),
        (AlertQuery::new().host("büro"), "3"),
        (AlertQuery::new().alert_type("malware"), "3"),
        (AlertQuery::new().since(at(2)), "3"),
        (AlertQuery::new().until(at(1)), "1"),
        (AlertQuery::new().limit(1), "3"),
    ] {
        assert_eq!(ids(store, &query), [expected], "{query:?}");
    }
}

pub(super) fn finds_an_alert_by_its_id(store: &dyn Store) {
    let alerts = [
        alert("1", Severity::Low, 0),
        alert("it's é _%", Severity::High, 1),
    ];
    store.store_alerts(&alerts).unwrap();
    for expected in &alerts {
        assert_eq!(store.alert(&expected.id).unwrap().as_ref(), Some(expected));
    }
    assert_eq!(store.alert("nosuch").unwrap(), None);
}

pub(super) fn acknowledges_all_or_none(store: &dyn Store) {
    store
        .store_alerts(&[alert("1", Severity::Low, 0), alert("2", Severity::Low, 1)])
        .unwrap();
    let unknown = store.acknowledge_alerts(&["1", "nosuch"]);
    assert!(matches!(unknown, Err(Error::NotFound { .. })));
    assert_eq!(ids(store, &AlertQuery::new().acknowledged(false)), ["2", "1"]);
    store.acknowledge_alerts(&["1", "1"]).unwrap();
    store.acknowledge_alerts(&["1"]).unwrap();
    assert_eq!(ids(store, &AlertQuery::new().acknowledged(true)), ["1"]);
}

pub(super) fn alerts_keep_every_field(store: &dyn Store) {
    let mut full = alert("1", Severity::Critical, 0)
        .with_description("it's \"odd\"\0\n🦆")
        .with_log_id("log-1")
        .with_source_ip("::1")
        .with_dest_ip("10.0.0.1")
        .with_user("O'Brien")
        .with_host("web1")
        .with_confidence(0.75)
        .unwrap();
    full.process = Some("C:\\Windows\\cmd.exe".to_owned());
    (full.rule_id, full.tags) = (
        Some("r".to_owned()),
        vec!["attack.t1059".to_owned(), "it's\0".to_owned()],
    );
    (full.status, full.acknowledged) = (AlertStatus::Resolved, true);
    (full.verdict, full.assignee) = (Some(Verdict::TruePositive), Some("ann".to_owned()));
    (full.count, full.generation) = (7, 3);
    (full.first_seen, full.last_seen) = (Some(at(-5)), Some(at(5)));
    full.updated_at = at(9);
    full.fingerprint = Some("f".to_owned());
    (full.window_start, full.window_end) = (Some(at(-10)), Some(at(10)));
    full.previous_id = Some("0".to_owned());
    (full.found_later, full.is_settled) = (true, true);
    full.metadata.insert("nested".into(), json!({"a": [1, null]}));
    let many: Vec<Alert> = (0..20)
        .map(|number| full.clone().with_id(number.to_string()))
        .collect();
    store.store_alert(&full).unwrap();
    assert_eq!(
        store.fetch_alerts(&AlertQuery::new()).unwrap(),
        std::slice::from_ref(&full)
    );
    assert_eq!(store.store_alerts(&many).unwrap(), 19);
    for expected in &many {
        assert_eq!(store.alert(&expected.id).unwrap().as_ref(), Some(expected));
    }
}

pub(super) fn finds_an_alert_by_the_beginning_of_its_id(store: &dyn Store) {
    let alerts = ["abcd-1", "abce-2", "abc", "b"].map(|id| alert(id, Severity::Low, 0));
    store.store_alerts(&alerts).unwrap();
    for (typed, id) in [
        ("abcd", "abcd-1"),
        ("abce-2", "abce-2"),
        ("abc", "abc"),
        ("b", "b"),
    ] {
        assert_eq!(store.find_alert(typed).unwrap().id, id, "{typed}");
    }
    for typed in ["", "ab"] {
        assert!(
            matches!(store.find_alert(typed), Err(Error::InvalidInput(_))),
            "{typed}"
        );
    }
    assert!(matches!(store.find_alert("%"), Err(Error::NotFound { .. })));
    assert_eq!(ids(store, &AlertQuery::new().id_prefix("abce")), ["abce-2"]);
}

pub(super) fn orders_alerts_by_their_risk(store: &dyn Store) {
    let alerts = [
        alert("1", Severity::High, 0),
        alert("2", Severity::Low, 2),
        alert("3", Severity::High, 1),
        alert("4", Severity::Critical, 0),
        alert("5", Severity::High, 1),
    ];
    store.store_alerts(&alerts).unwrap();
    let riskiest = AlertQuery::new().order(AlertOrder::RiskiestFirst);
    assert_eq!(ids(store, &riskiest), ["4", "3", "5", "1", "2"]);
    assert_eq!(ids(store, &riskiest.limit(2)), ["4", "3"]);
}

pub(super) fn an_alert_has_a_history(store: &dyn Store) {
    let both = [alert("1", Severity::Low, 0), alert("2", Severity::Low, 1)];
    store.store_alerts(&both).unwrap();
    let event = |second: i64, action: AlertAction| {
        let mut event = AlertEvent::new(action).by("ann");
        event.at = at(second);
        event
    };
    let events = [
        event(10, AlertAction::Status(AlertStatus::InProgress)),
        event(11, AlertAction::Assign("O'Brien".to_owned())),
        event(12, AlertAction::Note).with_note("it's \"odd\"\0"),
        event(13, AlertAction::FailToDeliver),
        event(14, AlertAction::Deliver),
        event(15, AlertAction::Close(Verdict::FalsePositive)).with_note("the rule is wrong"),
    ];
    for event in &events {
        store.update_alerts(&["1"], event).unwrap();
    }
    let history = store.alert_events(&["2", "1"]).unwrap();
    assert!(history.iter().all(|(id, _)| id == "1"));
    assert_eq!(
        history.into_iter().map(|(_, event)| event).collect::<Vec<_>>(),
        events
    );
    assert!(store.alert_events(&["2"]).unwrap().is_empty());
    let closed = store.alert("1").unwrap().unwrap();
    assert_eq!(
        (closed.status, closed.verdict),
        (AlertStatus::Resolved, Some(Verdict::FalsePositive))
    );
    assert_eq!(
        (closed.assignee.as_deref(), closed.updated_at),
        (Some("O'Brien"), at(15))
    );
    assert_eq!(store.alert("2").unwrap().unwrap(), both[1]);
    // Another status takes the verdict away, and an empty name the person.
    store
        .update_alerts(&["1"], &event(16, AlertAction::Status(AlertStatus::New)))
        .unwrap();
    store
        .update_alerts(&["1"], &event(17, AlertAction::Assign(String::new())))
        .unwrap();
    let opened = store.alert("1").unwrap().unwrap();
    assert_eq!(
        (opened.status, opened.verdict, opened.assignee),
        (AlertStatus::New, None, None)
    );
    assert!(!opened.acknowledged);
}

pub(super) fn an_event_is_appended_once(store: &dyn Store) {
    store
        .store_alerts(&[alert("1", Severity::Low, 0), alert("2", Severity::Low, 1)])
        .unwrap();
    let close = AlertEvent::new(AlertAction::Close(Verdict::Benign));
    store.update_alerts(&["1"], &close).unwrap();
    store.update_alerts(&["1", "2", "1"], &close).unwrap();
    assert_eq!(store.alert_events(&["1"]).unwrap().len(), 1);
    assert_eq!(store.alert_events(&["2"]).unwrap().len(), 1);
    let unknown = store.update_alerts(&["2", "nosuch"], &AlertEvent::new(AlertAction::Deliver));
    assert!(matches!(unknown, Err(Error::NotFound { .. })));
    let empty = store.update_alerts(&["2"], &AlertEvent::new(AlertAction::Note).with_note(" "));
    assert!(matches!(empty, Err(Error::InvalidInput(_))));
    assert_eq!(store.alert_events(&["2"]).unwrap().len(), 1);
}

pub(super) fn a_status_and_its_flag_say_the_same(store: &dyn Store) {
    let mut flagged = alert("1", Severity::Low, 0);
    flagged.acknowledged = true;
    let mut closed = alert("2", Severity::Low, 1);
    closed.status = AlertStatus::Resolved;
    let mut many: Vec<Alert> = (3..20)
        .map(|number| flagged.clone().with_id(number.to_string()))
        .collect();
    many.push(closed.clone());
    store.store_alert(&flagged).unwrap();
    store.store_alerts(&many).unwrap();
    let in_progress = AlertQuery::new().statuses([AlertStatus::InProgress]);
    assert_eq!(store.fetch_alerts(&in_progress).unwrap().len(), 18);
    assert!(ids(store, &AlertQuery::new().acknowledged(false)).is_empty());
    // An alert that is closed stays closed.
    store.acknowledge_alerts(&["2"]).unwrap();
    assert_eq!(store.alert("2").unwrap().unwrap().status, AlertStatus::Resolved);
    assert_eq!(store.stats().unwrap().unacknowledged_alerts, 0);
}

pub(super) fn deletes_resolved_alerts(store: &dyn Store) {
    let alerts: Vec<Alert> = (1..=3)
        .map(|number| alert(&number.to_string(), Severity::Low, 0))
        .collect();
    store.store_alerts(&alerts).unwrap();
    for (id, second) in [("1", 10), ("2", 20)] {
        let mut close = AlertEvent::new(AlertAction::Close(Verdict::Benign));
        close.at = at(second);
        store.update_alerts(&[id], &close).unwrap();
    }
    assert_eq!(store.delete_resolved_alerts_before(at(20)).unwrap(), 1);
    assert_eq!(ids(store, &AlertQuery::new()), ["2", "3"]);
    assert!(store.alert_events(&["1"]).unwrap().is_empty());
    assert_eq!(store.alert_events(&["2"]).unwrap().len(), 1);
}
