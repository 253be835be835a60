use logstore::{Alert, AlertQuery, Error, Severity, Store, StoreExt as _};
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
            .with_created_at(at(2)),
    ];
    store.store_alerts(&alerts).unwrap();
    for (query, expected) in [
        (AlertQuery::new().source_ip("10.0.0.1"), "1"),
        (AlertQuery::new().dest_ip("10.0.0.1"), "2"),
        (AlertQuery::new().user("root"), "1"),
        (AlertQuery::new().host("web1"), "2"),
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
    full.metadata.insert("nested".into(), json!({"a": [1, null]}));
    store.store_alert(&full).unwrap();
    assert_eq!(store.fetch_alerts(&AlertQuery::new()).unwrap(), [full]);
}
