use logstore::alerts::{Detections, Lookback};
use logstore::{Indicator, IndicatorType, IntelQuery, Store, ThreatIntel};
use serde_json::json;

use crate::support::at;

fn intel(id: &str, indicator: &str) -> ThreatIntel {
    ThreatIntel::new(indicator.parse().unwrap(), "scanner", "list").with_id(id)
}

fn ids(store: &dyn Store, query: &IntelQuery) -> Vec<String> {
    let intel = store.fetch_intel(query).unwrap();
    intel.into_iter().map(|piece| piece.id).collect()
}

pub(super) fn upserts_replace(store: &dyn Store) {
    let first = intel("1", "10.0.0.1");
    let mut second = intel("1", "evil.example")
        .with_confidence(0.25)
        .unwrap()
        .valid_until(at(5));
    second
        .metadata
        .insert("note".into(), json!({"it's": ["\0", 1.5]}));
    store
        .upsert_intel(&[first.clone(), intel("2", "10.0.0.0/8")])
        .unwrap();
    store.upsert_intel(&[first, second.clone()]).unwrap();
    assert_eq!(ids(store, &IntelQuery::new()), ["1", "2"]);
    assert_eq!(store.fetch_intel(&IntelQuery::new().limit(1)).unwrap(), [second]);
    store.upsert_intel(&[]).unwrap();
}

pub(super) fn fetches_intel_by_condition(store: &dyn Store) {
    let hash = "d41d8cd98f00b204e9800998ecf8427e";
    let mut other = intel("3", hash).with_confidence(0.9).unwrap();
    other.source = "other".into();
    let pieces = [
        intel("1", "10.0.0.1"),
        intel("2", "http://evil.example/a?b").valid_until(at(5)),
        other,
    ];
    store.upsert_intel(&pieces).unwrap();
    let url: Indicator = "http://evil.example/a?b".parse().unwrap();
    for (query, expected) in [
        (
            IntelQuery::new().indicator_type(IndicatorType::FileHash),
            vec!["3"],
        ),
        (IntelQuery::new().indicator(url.clone()), vec!["2"]),
        (
            IntelQuery::new()
                .indicator(url)
                .indicator("10.0.0.1".parse().unwrap()),
            vec!["1", "2"],
        ),
        (IntelQuery::new().indicator("10.0.0.2".parse().unwrap()), vec![]),
        (IntelQuery::new().source("other"), vec!["3"]),
        (IntelQuery::new().min_confidence(0.9), vec!["3"]),
        (IntelQuery::new().valid_at(at(4)), vec!["1", "2", "3"]),
        (IntelQuery::new().valid_at(at(5)), vec!["1", "3"]),
    ] {
        assert_eq!(ids(store, &query), expected, "{query:?}");
    }
}

pub(super) fn replaces_what_a_source_said(store: &dyn Store) {
    let mut other = intel("4", "10.0.0.4");
    other.source = "other".into();
    let before = [
        intel("1", "10.0.0.1"),
        intel("2", "10.0.0.2"),
        intel("3", "10.0.0.3").valid_until(at(5)),
        other,
    ];
    store.upsert_intel(&before).unwrap();
    let now = [intel("2", "10.0.0.2").valid_until(at(9)), intel("5", "10.0.0.5")];
    assert_eq!(store.replace_intel("list", &now, at(7)).unwrap(), 1);
    let expiries: Vec<_> = store.fetch_intel(&IntelQuery::new()).unwrap();
    let expiries: Vec<_> = expiries.iter().map(|piece| piece.expires_at).collect();
    assert_eq!(expiries, [Some(at(7)), Some(at(9)), Some(at(5)), None, None]);
    assert_eq!(store.replace_intel("list", &now, at(8)).unwrap(), 0);
    assert_eq!(store.replace_intel("list", &[], at(8)).unwrap(), 2);
    assert_eq!(ids(store, &IntelQuery::new().valid_at(at(8))), ["4"]);
}

pub(super) fn the_version_of_intel_changes_with_it(store: &dyn Store) {
    let mut versions = vec![store.intel_version().unwrap()];
    let first = intel("1", "10.0.0.1").with_created_at(at(1));
    let sure = first.clone().with_confidence(0.9).unwrap();
    let second = intel("2", "10.0.0.2").with_created_at(at(1));
    for pieces in [[first], [sure], [second.clone()], [second.valid_until(at(5))]] {
        store.upsert_intel(&pieces).unwrap();
        let version = store.intel_version().unwrap();
        assert_eq!(store.intel_version().unwrap(), version);
        assert!(!versions.contains(&version), "{pieces:?}");
        versions.push(version);
    }
    store.expire_intel(at(5)).unwrap();
    assert_eq!(store.intel_version().unwrap(), versions[2]);
}

pub(super) fn expires_at_the_time(store: &dyn Store) {
    let pieces = [intel("1", "10.0.0.1"), intel("2", "10.0.0.2").valid_until(at(5))];
    store.upsert_intel(&pieces).unwrap();
    assert_eq!(store.expire_intel(at(4)).unwrap(), 0);
    assert_eq!(store.expire_intel(at(5)).unwrap(), 1);
    assert_eq!(ids(store, &IntelQuery::new()), ["1"]);
}

/// The ids of the indicators after an import, as texts in their order.
fn added_after(store: &dyn Store, import: u64) -> Vec<String> {
    let mut added = Vec::new();
    store
        .read_intel(import, &mut |intel| added.push(intel.indicator.to_string()))
        .unwrap();
    added.sort();
    added
}

pub(super) fn numbers_imports_by_what_they_add(store: &dyn Store) {
    assert_eq!(store.last_import().unwrap(), 0);
    let [one, two] =
        [intel("1", "10.0.0.1"), intel("2", "10.0.0.2")].map(|intel| intel.with_created_at(at(1)));
    store.upsert_intel(std::slice::from_ref(&one)).unwrap();
    let first = store.last_import().unwrap();
    assert!(first > 0);
    store.upsert_intel(std::slice::from_ref(&one)).unwrap();
    store
        .replace_intel("list", std::slice::from_ref(&one), at(2))
        .unwrap();
    assert_eq!(store.last_import().unwrap(), first, "nothing was added");

    store.upsert_intel(&[one.clone(), two.clone()]).unwrap();
    let second = store.last_import().unwrap();
    assert!(second > first);
    assert_eq!(added_after(store, 0), ["10.0.0.1", "10.0.0.2"]);
    assert_eq!(added_after(store, first), ["10.0.0.2"]);
    assert_eq!(added_after(store, second), <[String; 0]>::default());

    store
        .replace_intel("list", std::slice::from_ref(&two), at(7))
        .unwrap();
    assert_eq!(store.last_import().unwrap(), second);
    store.upsert_intel(&[one.clone().with_created_at(at(8))]).unwrap();
    assert_eq!(added_after(store, second), ["10.0.0.1"], "it had expired");

    let third = store.last_import().unwrap();
    let mut benign = two.clone();
    "benign".clone_into(&mut benign.threat_type);
    store.upsert_intel(&[benign]).unwrap();
    assert_eq!(store.last_import().unwrap(), third);
    store.upsert_intel(&[two]).unwrap();
    assert_eq!(added_after(store, third), ["10.0.0.2"], "it was benign");

    let last = store.last_import().unwrap();
    store
        .commit_lookback("c", None, &Lookback::done(last), &Detections::default())
        .unwrap();
    store
        .upsert_intel(&[
            intel("1", "10.0.0.1").valid_until(at(9)),
            intel("2", "10.0.0.2").valid_until(at(9)),
        ])
        .unwrap();
    store.expire_intel(at(9)).unwrap();
    assert_eq!(added_after(store, 0), <[String; 0]>::default());
    store.upsert_intel(&[one]).unwrap();
    assert_eq!(
        added_after(store, last),
        ["10.0.0.1"],
        "a consumer has seen none of it"
    );
}
