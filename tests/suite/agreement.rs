//! `DuckDbStore` does what `MemoryStore` does, whatever the logs and the questions.

use chrono::TimeDelta;
use logstore::duckdb::Access;
use logstore::{
    Case, Condition, Cursor, DuckDbStore, Field, Filter, LogEntry, LogKey, LogQuery, LogStore, MemoryStore,
    Operator, Order, Pattern, Store, StoreExt as _,
};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use crate::support::at;
use crate::test_lake::{TestLake, options};

const TEXTS: &[&str] = &[
    "",
    "a",
    "A",
    "ab",
    "%",
    "_",
    "a%b",
    "ß",
    "É",
    "é",
    "İ",
    "\0",
    "\n",
    "\"",
    "'",
    "\\",
    "10.0.0.1",
    "10.0.0.1/8",
    "10.0.0.1:80",
    "9.255.255.255",
    "::1",
    "::ffff:10.0.0.1",
    "7",
    "-7",
    "07",
    "7.0",
    "70",
    "1e3",
    "9223372036854775806",
    "err",
    "Error",
    "warning",
    "2024-01-01",
    "true",
    "null",
    "{}",
    "[1]",
    "2024-01-01T12:00:00.000000Z",
    "🦆",
    "\u{202e}",
    "ab 10.0.0.1: A",
    "{a} Err, ::FFFF:a00:1",
    "tÉst é",
    "%41b%20",
];

const FIELDS: &[&str] = &[
    "id",
    "event_time",
    "text",
    "timestamp",
    "raw",
    "appname",
    "host",
    "message",
    "procid",
    "source_ip",
    "user",
    "action",
    "level",
    "normalized.k",
    "normalized.k.a",
    "normalized.\"k.a\"",
    "normalized.\"\"",
    "normalized.\"\"\"\"",
    "metadata.k",
    "any",
];

const PATTERNS: &[&str] = &[
    "a",
    "^a",
    "(?i)A",
    "[^a]",
    r"\d+",
    ".",
    "(?s).",
    r"\bab?\b",
    "é|ß",
    "",
    "^$",
    "(?m)^$",
    r"\x{1f986}",
    "a{1,2}",
];

const NETWORKS: &[&str] = &["10.0.0.0/8", "0.0.0.0/0", "::/0", "::1/128", "::ffff:0:0/96"];

fn text() -> impl Strategy<Value = String> {
    select(TEXTS).prop_map(str::to_owned)
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        text().prop_map(Value::from),
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        select(&[0_i64, 7, -7, i64::MAX, i64::MIN][..]).prop_map(Value::from),
        Just(json!(u64::MAX)),
        select(&[0.5, -0.0, 1e300, -1.5e-7, 1e-6, 7.0, 1e16, 1e20, 1e21, 0.1][..])
            .prop_map(|number: f64| json!(number)),
    ];
    leaf.prop_recursive(2, 6, 2, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..2).prop_map(Value::from),
            prop::collection::vec((select(&["a", "", "k"][..]), inner), 0..2).prop_map(|pairs| pairs
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect()),
        ]
    })
}

prop_compose! {
    fn log()(
        second in 0..4_i64,
        micros in select(&[0_i64, 1, 999_999][..]),
        id in 0..20_u8,
        texts in prop::array::uniform5(prop::option::of(text())),
        procid in prop::option::of(select(&[0_i64, 7, -7, i64::MAX][..])),
        fields in prop::collection::vec((select(&["k", "k.a", "", "\"", "source_ip", "user", "src", "level"][..]), value()), 0..3),
    ) -> LogEntry {
        let mut log = LogEntry::new(at(second) + TimeDelta::microseconds(micros)).with_id(id.to_string());
        let [timestamp, raw, appname, host, message] = texts;
        (log.timestamp, log.raw, log.appname, log.host, log.message) = (timestamp, raw, appname, host, message);
        log.procid = procid;
        for (name, value) in fields {
            log = log.with_field(name, value);
        }
        log
    }
}

fn operator() -> impl Strategy<Value = Operator> {
    let case = || select(&[Case::Sensitive, Case::Ignored][..]);
    prop_oneof![
        3 => (text(), case()).prop_map(|(text, case)| Operator::Equals(text, case)),
        1 => (prop::collection::vec(text(), 0..3), case()).prop_map(|(texts, case)| Operator::OneOf(texts, case)),
        1 => (text(), case()).prop_map(|(text, case)| Operator::Contains(text, case)),
        1 => (text(), case()).prop_map(|(text, case)| Operator::StartsWith(text, case)),
        1 => (text(), case()).prop_map(|(text, case)| Operator::EndsWith(text, case)),
        1 => select(PATTERNS).prop_map(|source| Operator::Matches(source.parse().unwrap())),
        1 => text().prop_map(|text| Operator::Matches(Pattern::literal_ignoring_case(&text).unwrap())),
        2 => text().prop_filter_map("it has no letter or digit", |text| {
            text.contains(char::is_alphanumeric).then_some(Operator::Has(text))
        }),
        1 => select(NETWORKS).prop_map(|network| Operator::in_network(network).unwrap()),
        1 => Just(Operator::Exists),
        1 => text().prop_map(Operator::Less),
        1 => text().prop_map(Operator::LessOrEqual),
        1 => text().prop_map(Operator::Greater),
        1 => text().prop_map(Operator::GreaterOrEqual),
    ]
}

fn condition() -> impl Strategy<Value = Filter> {
    // An operator that does not fit its field is refused before it reaches a store.
    let condition = (field(), operator()).prop_map(|(field, operator)| Condition::new(field, operator));
    condition.prop_filter_map("it does not fit", |condition| condition.ok().map(Filter::from))
}

/// Conditions, and filters of filters.
pub(crate) fn filter() -> impl Strategy<Value = Filter> {
    condition().prop_recursive(5, 24, 4, |inner| {
        let several = || prop::collection::vec(inner.clone(), 0..4);
        prop_oneof![
            several().prop_filter_map("it is too large", |filters| Filter::all(filters).ok()),
            several().prop_filter_map("it is too large", |filters| Filter::any(filters).ok()),
            inner.clone().prop_map(|filter| filter.negated().unwrap()),
        ]
    })
}

fn field() -> impl Strategy<Value = Field> {
    select(FIELDS).prop_map(|name| name.parse().unwrap())
}

prop_compose! {
    fn query()(
        since in prop::option::of(-1..4_i64),
        until in prop::option::of(0..5_i64),
        nanos in select(&[0_i64, 1, 1_000][..]),
        filters in prop::collection::vec(filter(), 0..3),
        contains in prop::option::of(text()),
        order in select(&[Order::NewestFirst, Order::OldestFirst][..]),
        limit in prop::option::of(0..10_u64),
        after in prop::option::of((0..4_i64, 0..20_u8)),
    ) -> LogQuery {
        let time = |second: i64| at(second) + TimeDelta::nanoseconds(nanos);
        let mut query = LogQuery::new().order(order);
        (query.since, query.until, query.limit) = (since.map(time), until.map(time), limit);
        query.after = after.map(|(second, id)| LogKey::new(at(second), id.to_string()));
        for filter in filters {
            query = query.filter(filter);
        }
        match contains {
            Some(text) => query.contains(text),
            None => query,
        }
    }
}

/// A filter that is as deep as filters may be.
fn deepest() -> Filter {
    let condition = |text: &str| text.parse::<Filter>().unwrap();
    let mut filter = condition("user exists");
    loop {
        let deeper = Filter::all([condition("k = 7"), filter.clone()])
            .and_then(Filter::negated)
            .and_then(|filter| Filter::any([condition("level >= err"), filter]));
        match deeper {
            Ok(deeper) => filter = deeper,
            Err(_) => return filter,
        }
    }
}

fn assert_agreement(model: &MemoryStore, engine: &DuckDbStore, query: &LogQuery, fields: &[Field]) {
    assert_eq!(
        engine.fetch_logs(query).unwrap(),
        model.fetch_logs(query).unwrap(),
        "{query:?}"
    );
    assert_eq!(
        engine.count_logs(query).unwrap(),
        model.count_logs(query).unwrap(),
        "{query:?}"
    );
    // All texts of a log are no field to count by.
    let refused = |error: logstore::Error| error.to_string();
    assert_eq!(
        engine.count_logs_by(query, fields).map_err(refused),
        model.count_logs_by(query, fields).map_err(refused),
        "{query:?} by {fields:?}"
    );
    for width in [
        TimeDelta::microseconds(1),
        TimeDelta::milliseconds(700),
        TimeDelta::days(400),
    ] {
        assert_eq!(
            engine.histogram(query, width).unwrap(),
            model.histogram(query, width).unwrap()
        );
    }
}

/// What is done to both stores, and asked of both.
#[derive(Debug)]
struct Run {
    batches: Vec<Vec<LogEntry>>,
    questions: Vec<(LogQuery, Vec<Field>)>,
    delete_before: i64,
    limit: usize,
}

prop_compose! {
    fn run()(
        batches in prop::collection::vec(prop::collection::vec(log(), 0..12), 1..4),
        questions in prop::collection::vec((query(), prop::collection::vec(field(), 0..3)), 1..12),
        delete_before in 0..4_i64,
        limit in 0..8_usize,
    ) -> Run {
        Run { batches, questions, delete_before, limit }
    }
}

fn agree(engine: &DuckDbStore, run: &Run) {
    let model = MemoryStore::new();
    for batch in &run.batches {
        assert_eq!(
            engine.append_logs(batch).unwrap(),
            model.append_logs(batch).unwrap()
        );
    }
    let ask = || {
        for (query, fields) in &run.questions {
            assert_agreement(&model, engine, query, fields);
        }
    };
    ask();
    let before = at(run.delete_before);
    let filters = run.questions.iter().flat_map(|(query, _)| query.filters());
    for filter in filters.take(1) {
        assert_eq!(
            engine.delete_matching_logs_before(before, filter).unwrap(),
            model.delete_matching_logs_before(before, filter).unwrap(),
            "{filter}"
        );
        ask();
    }
    assert_eq!(
        engine.delete_logs_before(before).unwrap(),
        model.delete_logs_before(before).unwrap()
    );
    // A lake has cursors of its own.
    let (mut cursor, mut of_model) = (Cursor::BEGINNING, Cursor::BEGINNING);
    for _ in 0..4 {
        let page = engine.read_after(cursor, run.limit).unwrap();
        let expected = model.read_after(of_model, run.limit).unwrap();
        assert_eq!(page.logs, expected.logs);
        (cursor, of_model) = (page.next, expected.next);
    }
    for store in [engine as &dyn Store, &model] {
        assert!(
            store
                .read_after(store.end_cursor().unwrap(), 1)
                .unwrap()
                .logs
                .is_empty()
        );
    }
    ask();
}

#[test]
fn filters_as_deep_and_as_large_as_they_may_be_have_the_same_answers() {
    let (model, engine) = (MemoryStore::new(), DuckDbStore::open(":memory:").unwrap());
    let logs: Vec<_> = (0..100)
        .map(|number: i64| {
            let level = ["debug", "err", "crit"][usize::try_from(number % 3).unwrap()];
            LogEntry::new(at(number))
                .with_field("k", number)
                .with_field("level", level)
                .with_message(format!("number {number}"))
        })
        .collect();
    for store in [&engine as &dyn Store, &model] {
        store.append_logs(&logs).unwrap();
    }
    let condition = |text: String| text.parse::<Filter>().unwrap();
    let many = |text: fn(usize) -> String| (0..1_000).map(text).map(condition);
    let filters = [
        deepest(),
        deepest().negated().unwrap(),
        Filter::any(many(|number| format!("k = {}", number * 2))).unwrap(),
        Filter::all(many(|number| format!("k != {}", number * 2))).unwrap(),
        Filter::any(many(|number| format!("text contains 'number {number}7'"))).unwrap(),
        Filter::condition(
            "normalized.k",
            Operator::one_of((0..10_000).map(|number| number.to_string())),
        )
        .unwrap(),
    ];
    for filter in filters {
        assert_agreement(&model, &engine, &LogQuery::new().filter(filter), &[]);
    }
}

fn configured(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(configured(64))]

    #[test]
    fn both_stores_give_the_same_answers(run in run()) {
        agree(&DuckDbStore::open(":memory:").unwrap(), &run);
    }

    #[test]
    fn a_printed_filter_is_the_same_filter(filters in prop::collection::vec(filter(), 1..8)) {
        for filter in filters {
            let printed = filter.to_string();
            let read: Filter = printed.parse().unwrap();
            prop_assert_eq!(&read, &filter, "{}", printed);
            let written = serde_json::to_string(&filter).unwrap();
            prop_assert_eq!(serde_json::from_str::<Filter>(&written).unwrap(), filter, "{}", written);
        }
    }

    #[test]
    fn a_query_survives_json(query in query()) {
        let written = serde_json::to_string(&query).unwrap();
        prop_assert_eq!(serde_json::from_str::<LogQuery>(&written).unwrap(), query, "{}", written);
    }

    #[test]
    fn both_stores_give_the_same_cursors(run in run()) {
        let (model, engine) = (MemoryStore::new(), DuckDbStore::open(":memory:").unwrap());
        for store in [&engine as &dyn Store, &model] {
            for batch in &run.batches {
                store.append_logs(batch).unwrap();
            }
            store.delete_logs_before(at(run.delete_before)).unwrap();
        }
        let mut cursor = Cursor::BEGINNING;
        for _ in 0..4 {
            let page = engine.read_after(cursor, run.limit).unwrap();
            prop_assert_eq!(&page, &model.read_after(cursor, run.limit).unwrap());
            cursor = page.next;
        }
        prop_assert_eq!(engine.end_cursor().unwrap(), model.end_cursor().unwrap());
    }
}

proptest! {
    // Each has a lake of its own, which takes a second to make.
    #![proptest_config(configured(8))]

    #[test]
    fn a_lake_gives_the_same_answers(run in run()) {
        let Some(lake) = TestLake::in_file() else { return Ok(()) };
        agree(&options().access(Access::Exclusive).open(&lake.location).unwrap(), &run);
    }
}
