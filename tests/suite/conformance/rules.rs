use logstore::{DetectionRule, Error, RuleQuery, Store, StoreExt as _};
use serde_json::json;

use crate::support::at;

fn rule(id: &str, rule_type: &str) -> DetectionRule {
    let mut rule = DetectionRule::new("name", rule_type, json!({"it's": ["\0", null, 1.5]}));
    id.clone_into(&mut rule.id);
    rule.created_at = at(0);
    rule.updated_at = at(0);
    rule
}

fn ids(store: &dyn Store, query: &RuleQuery) -> Vec<String> {
    let rules = store.fetch_rules(query).unwrap();
    rules.into_iter().map(|rule| rule.id).collect()
}

pub(super) fn rules_keep_their_creation_time(store: &dyn Store) {
    store.upsert_rules(&[rule("1", "sigma")]).unwrap();
    let mut changed = rule("1", "threshold");
    changed.created_at = at(9);
    changed.updated_at = at(9);
    changed.rule_definition = json!("text");
    store
        .upsert_rules(&[rule("1", "sigma"), changed.clone()])
        .unwrap();
    changed.created_at = at(0);
    assert_eq!(store.fetch_rules(&RuleQuery::new()).unwrap(), [changed]);
}

pub(super) fn fetches_rules_by_condition(store: &dyn Store) {
    let mut disabled = rule("2", "sigma");
    disabled.enabled = false;
    store
        .upsert_rules(&[rule("3", "threshold"), disabled, rule("1", "sigma")])
        .unwrap();
    assert_eq!(ids(store, &RuleQuery::new()), ["1", "2", "3"]);
    assert_eq!(ids(store, &RuleQuery::new().rule_type("sigma")), ["1", "2"]);
    assert_eq!(ids(store, &RuleQuery::new().enabled(false)), ["2"]);
}

pub(super) fn finds_a_rule_by_the_beginning_of_its_id(store: &dyn Store) {
    let rules = ["abcd-1", "abce-2", "abc"].map(|id| rule(id, "sigma"));
    store.upsert_rules(&rules).unwrap();
    for (typed, id) in [("abcd", "abcd-1"), ("abce-2", "abce-2"), ("abc", "abc")] {
        assert_eq!(store.find_rule(typed).unwrap().id, id, "{typed}");
    }
    assert!(matches!(store.find_rule("ab"), Err(Error::InvalidInput(_))));
    assert!(matches!(store.find_rule("%___"), Err(Error::NotFound { .. })));
    assert_eq!(ids(store, &RuleQuery::new().id_prefix("abce")), ["abce-2"]);
}

pub(super) fn switches_rules(store: &dyn Store) {
    store.upsert_rules(&[rule("1", "sigma")]).unwrap();
    let before = chrono::Utc::now() - chrono::TimeDelta::microseconds(1);
    store.disable_rules(&["1", "1"]).unwrap();
    let held = &store.fetch_rules(&RuleQuery::new()).unwrap()[0];
    assert_eq!((held.enabled, held.created_at), (false, at(0)));
    assert!(held.updated_at >= before, "{}", held.updated_at);
    store.enable_rules(&["1"]).unwrap();
    assert_eq!(ids(store, &RuleQuery::new().enabled(true)), ["1"]);
    let unknown = store.disable_rules(&["1", "nosuch"]);
    assert!(matches!(unknown, Err(Error::NotFound { .. })));
    assert_eq!(ids(store, &RuleQuery::new().enabled(true)), ["1"], "all or none");
}

pub(super) fn refuses_incomplete_rules_as_a_whole(store: &dyn Store) {
    let rules = [rule("1", "sigma"), rule("2", "")];
    assert!(matches!(store.upsert_rules(&rules), Err(Error::InvalidInput(_))));
    assert!(ids(store, &RuleQuery::new()).is_empty());
}
