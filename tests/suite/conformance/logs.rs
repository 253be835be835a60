use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use logstore::storage::{GroupCount, SoughtObservables};
use logstore::{
    Cursor, Error, Field, Filter, LogEntry, LogKey, LogQuery, Operator, Order, Pattern, Store, StoreExt as _,
};
use serde_json::json;

use crate::support::{at, log, messages};

fn field(name: &str) -> Field {
    name.parse().unwrap()
}

fn found(store: &dyn Store, query: LogQuery) -> Vec<String> {
    let logs = store.fetch_logs(&query.order(Order::OldestFirst)).unwrap();
    messages(&logs).into_iter().map(str::to_owned).collect()
}

fn passing(store: &dyn Store, name: &str, operator: Operator) -> Vec<String> {
    found(
        store,
        LogQuery::new().filter(Filter::condition(name, operator).unwrap()),
    )
}

fn not_equal(store: &dyn Store, name: &str, value: &str) -> Vec<String> {
    let equal = Filter::condition(name, Operator::equals(value)).unwrap();
    found(store, LogQuery::new().filter(equal.negated().unwrap()))
}

pub(super) fn gives_back_what_was_appended(store: &dyn Store) {
    let full = log(0, "sshd", "Failed password")
        .with_host("web1")
        .with_procid(42)
        .with_raw("<38>Failed password")
        .with_field("source", json!({"ip": "203.0.113.9", "port": 4}))
        .with_field("score", 0.1)
        .with_field("list", json!([1, null, "x"]));
    let empty = LogEntry::new(at(1));
    let appended = store.append_logs(&[full.clone(), empty.clone()]).unwrap();
    assert_eq!((appended.stored, appended.duplicates), (2, 0));
    let logs = store
        .fetch_logs(&LogQuery::new().order(Order::OldestFirst))
        .unwrap();
    assert_eq!(logs, [full, empty]);
}

pub(super) fn appending_again_changes_nothing(store: &dyn Store) {
    let first = log(0, "a", "first");
    store.append_logs(&[first.clone(), first.clone()]).unwrap();
    let changed = LogEntry::new(at(0)).with_id(&first.id).with_message("changed");
    let appended = store.append_logs(&[changed, log(1, "a", "second")]).unwrap();
    assert_eq!((appended.stored, appended.duplicates), (1, 1));
    assert_eq!(found(store, LogQuery::new()), ["first", "second"]);
    assert_eq!(store.append_logs(&[]).unwrap().stored, 0);
}

pub(super) fn what_is_stored_is_found_wherever_it_overlaps(store: &dyn Store) {
    let logs: Vec<_> = (0..10)
        .map(|second| log(second, "a", &second.to_string()))
        .collect();
    store.append_logs(&logs[4..6]).unwrap();
    // At the end of what is appended, at its start, all around it, apart from it, and in between.
    for (from, to, stored, duplicates) in [
        (3, 5, 1, 1),
        (5, 7, 1, 1),
        (2, 8, 2, 4),
        (0, 1, 1, 0),
        (0, 10, 3, 7),
    ] {
        let appended = store.append_logs(&logs[from..to]).unwrap();
        assert_eq!(
            (appended.stored, appended.duplicates),
            (stored, duplicates),
            "{from}..{to}"
        );
    }
    let between = [logs[0].clone(), log(5, "b", "new"), logs[9].clone()];
    assert_eq!(store.append_logs(&between).unwrap().stored, 1);
    let around = [log(0, "b", "first"), log(9, "b", "last")];
    assert_eq!(store.append_logs(&around).unwrap().stored, 2);
    assert_eq!(store.count_logs(&LogQuery::new()).unwrap(), 13);
}

pub(super) fn same_id_at_another_time_is_another_log(store: &dyn Store) {
    let logs = [log(0, "a", "x").with_id("same"), log(1, "a", "y").with_id("same")];
    assert_eq!(store.append_logs(&logs).unwrap().stored, 2);
}

/// A UUID may be stored in another way than a text, but only the one that is written in the usual way.
pub(super) fn an_id_is_kept_as_it_is_written(store: &dyn Store) {
    const UUID: &str = "01a22561-5a93-735a-964e-a8d130be1da5";
    let ids = [
        UUID.to_owned(),
        UUID.to_uppercase(),
        UUID.replace('-', ""),
        format!("{{{UUID}}}"),
        format!("urn:uuid:{UUID}"),
        "00000000-0000-0000-0000-000000000000".to_owned(),
        "ffffffff-ffff-ffff-ffff-ffffffffffff".to_owned(),
        "no uuid\0".to_owned(),
        String::new(),
    ];
    let logs: Vec<LogEntry> = ids.iter().map(|id| log(0, "a", "x").with_id(id)).collect();
    assert_eq!(store.append_logs(&logs).unwrap().stored, 9);
    assert_eq!(store.append_logs(&logs).unwrap().duplicates, 9);
    let read = store
        .fetch_logs(&LogQuery::new().order(Order::OldestFirst))
        .unwrap();
    assert_eq!(read, logs);
    for log in &logs {
        let key = log.key();
        assert_eq!(store.log(&key).unwrap().as_ref(), Some(log), "{:?}", log.id);
        let by_id = LogQuery::new().equals("id", &log.id).unwrap();
        assert_eq!(
            store.fetch_logs(&by_id).unwrap(),
            std::slice::from_ref(log),
            "{:?}",
            log.id
        );
    }
    let more = [LogEntry::new(at(0)), log(0, "b", "y").with_id(UUID)];
    assert_eq!(store.append_logs(&more).unwrap().stored, 1);
    let of_uuid: Filter = format!("id = \"{UUID}\" OR id = \"{}\"", UUID.to_uppercase())
        .parse()
        .unwrap();
    assert_eq!(store.delete_matching_logs_before(at(1), &of_uuid).unwrap(), 2);
    assert_eq!(store.count_logs(&LogQuery::new()).unwrap(), 8);
}

pub(super) fn an_append_is_seen_by_open_scans_only_later(store: &dyn Store) {
    store.append_logs(&[log(0, "a", "before")]).unwrap();
    let scan = store.scan_logs(&LogQuery::new()).unwrap();
    let seen: Vec<_> = scan.map(|log| log.unwrap()).collect();
    store.append_logs(&[log(1, "a", "after")]).unwrap();
    assert_eq!(messages(&seen), ["before"]);
    assert_eq!(store.count_logs(&LogQuery::new()).unwrap(), 2);
}

pub(super) fn newest_first_reverses_oldest_first(store: &dyn Store) {
    let seconds = [3, 1, 2, 1, 3, 0];
    let logs: Vec<_> = seconds
        .iter()
        .enumerate()
        .map(|(i, s)| log(*s, "a", &i.to_string()))
        .collect();
    store.append_logs(&logs).unwrap();
    let oldest = found(store, LogQuery::new());
    assert_eq!(oldest, ["5", "1", "3", "2", "0", "4"]);
    let newest = store.fetch_logs(&LogQuery::new()).unwrap();
    assert!(
        messages(&newest)
            .into_iter()
            .rev()
            .eq(oldest.iter().map(String::as_str))
    );
}

pub(super) fn equal_times_keep_the_order_of_commits(store: &dyn Store) {
    // Ids that sort against the order of arrival.
    for id in ["z", "m", "a"] {
        store.append_logs(&[log(0, "a", id).with_id(id)]).unwrap();
    }
    assert_eq!(found(store, LogQuery::new()), ["z", "m", "a"]);
}

pub(super) fn limits_after_ordering(store: &dyn Store) {
    store
        .append_logs(&[log(0, "a", "old"), log(1, "a", "new")])
        .unwrap();
    assert_eq!(
        messages(&store.fetch_logs(&LogQuery::new().limit(1)).unwrap()),
        ["new"]
    );
    assert_eq!(found(store, LogQuery::new().limit(1)), ["old"]);
    assert!(found(store, LogQuery::new().limit(0)).is_empty());
    assert_eq!(store.count_logs(&LogQuery::new().limit(1)).unwrap(), 2);
}

pub(super) fn finds_logs_by_their_keys(store: &dyn Store) {
    let logs = [
        log(0, "a", "one").with_id("same"),
        log(1, "a", "two").with_id("same"),
        log(1, "a", "odd").with_id("nul\0 _%é"),
    ];
    store.append_logs(&logs).unwrap();
    for expected in &logs {
        let key: LogKey = expected.key().to_string().parse().unwrap();
        assert_eq!(store.log(&key).unwrap().as_ref(), Some(expected));
        assert_eq!(
            &store.find_logs(&key.to_string()).unwrap(),
            std::slice::from_ref(expected)
        );
    }
    assert_eq!(store.log(&LogKey::new(at(2), "same")).unwrap(), None);
    assert_eq!(store.log(&LogKey::new(at(0), "other")).unwrap(), None);
    assert_eq!(messages(&store.find_logs("same").unwrap()), ["two", "one"]);
    assert!(store.find_logs("2024-01-01T12:00:00Z_other").unwrap().is_empty());
}

pub(super) fn pages_go_on_where_they_ended(store: &dyn Store) {
    let logs: Vec<_> = [3, 1, 2, 1, 1, 3, 0]
        .iter()
        .zip(0..)
        .map(|(second, id)| log(*second, "a", &id.to_string()).with_id(format!("id {id}")))
        .collect();
    store.append_logs(&logs).unwrap();
    for order in [Order::NewestFirst, Order::OldestFirst] {
        let query = LogQuery::new().equals("appname", "a").unwrap().order(order);
        let all = store.fetch_logs(&query).unwrap();
        let mut page = query.clone().limit(2);
        let mut paged = Vec::new();
        loop {
            let logs = store.fetch_logs(&page).unwrap();
            let Some(last) = logs.last() else { break };
            page = page.after(last.key());
            paged.extend(logs);
            // What is stored meanwhile is no part of what was there.
            let number = paged.len();
            let new = log(i64::try_from(number).unwrap() % 4, "b", "new");
            store.append_logs(&[new]).unwrap();
        }
        assert_eq!(messages(&paged), messages(&all), "{order:?}");
        // Without a limit, the rest comes at once; a range and a filter still hold.
        let rest = store.fetch_logs(&query.clone().after(all[2].key())).unwrap();
        assert_eq!(messages(&rest), messages(&all[3..]), "{order:?}");
        let one = query.clone().since(at(1)).until(at(2)).after(all[2].key());
        let expected: Vec<_> = all[3..]
            .iter()
            .filter(|log| log.event_time == at(1))
            .cloned()
            .collect();
        assert_eq!(messages(&store.fetch_logs(&one).unwrap()), messages(&expected));
        assert_eq!(store.count_logs(&one).unwrap(), 3);
    }
}

pub(super) fn logs_in_any_order_are_the_same(store: &dyn Store) {
    let logs: Vec<_> = [3, 1, 2, 1, 0]
        .iter()
        .zip(0..)
        .map(|(second, id)| log(*second, "a", &id.to_string()))
        .collect();
    store.append_logs(&logs[..2]).unwrap();
    store.append_logs(&logs[2..]).unwrap();
    let query = LogQuery::new().since(at(1)).order(Order::Any);
    let mut found = store.fetch_logs(&query).unwrap();
    found.sort_by(|left, right| left.message.cmp(&right.message));
    assert_eq!(messages(&found), ["0", "1", "2", "3"]);
    // A limit and a page need an order.
    let page = query.clone().limit(3);
    let first = store.fetch_logs(&page).unwrap();
    assert_eq!(messages(&first), ["0", "2", "3"]);
    let rest = store.fetch_logs(&query.after(first[2].key())).unwrap();
    assert_eq!(messages(&rest), ["1"]);
}

pub(super) fn a_page_after_a_deleted_log_starts_at_another_time(store: &dyn Store) {
    let logs: Vec<_> = (0..4)
        .map(|second| log(second / 2, "a", &second.to_string()))
        .collect();
    store.append_logs(&logs).unwrap();
    let missing = |second| LogKey::new(at(second), "missing");
    let query = LogQuery::new().after(missing(1));
    assert_eq!(messages(&store.fetch_logs(&query).unwrap()), ["1", "0"]);
    assert_eq!(found(store, LogQuery::new().after(missing(0))), ["2", "3"]);
    assert!(found(store, LogQuery::new().after(missing(1))).is_empty());
}

pub(super) fn ranges_are_half_open(store: &dyn Store) {
    let moment = at(0) + TimeDelta::microseconds(1);
    let logs = [
        log(0, "a", "0"),
        LogEntry::new(moment).with_message("1us"),
        log(1, "a", "1"),
    ];
    store.append_logs(&logs).unwrap();
    assert_eq!(found(store, LogQuery::new().since(moment).until(at(1))), ["1us"]);
    assert_eq!(found(store, LogQuery::new().until(at(0))), [""; 0]);
}

pub(super) fn tests_columns(store: &dyn Store) {
    let logs = [
        log(0, "sshd", "one").with_procid(7),
        log(1, "sudo", "two").with_procid(-7),
        LogEntry::new(at(2)).with_message("three"),
    ];
    store.append_logs(&logs).unwrap();
    assert_eq!(passing(store, "appname", Operator::equals("sshd")), ["one"]);
    assert_eq!(not_equal(store, "appname", "sshd"), ["two", "three"]);
    assert_eq!(
        passing(store, "appname", Operator::one_of(["sudo", "x"])),
        ["two"]
    );
    assert!(passing(store, "appname", Operator::one_of([""; 0])).is_empty());
    assert_eq!(passing(store, "appname", Operator::contains("u")), ["two"]);
    assert_eq!(
        passing(store, "appname", Operator::Matches("^s.+[do]$".parse().unwrap())),
        ["one", "two"]
    );
    assert_eq!(passing(store, "procid", Operator::equals("-7")), ["two"]);
    assert_eq!(not_equal(store, "procid", "7"), ["two", "three"]);
    assert_eq!(
        passing(store, "event_time", Operator::equals("2024-01-01T12:00:02Z")),
        ["three"]
    );
    assert_eq!(passing(store, "id", Operator::equals(&logs[0].id)), ["one"]);
}

pub(super) fn tests_paths(store: &dyn Store) {
    let logs = [
        log(0, "a", "nested").with_field("http", json!({"status": 404, "ok": false, "tags": ["x", 1]})),
        log(1, "a", "flat")
            .with_field("http.status", "404")
            .with_field("odd \"k/e~y", "here"),
        log(2, "a", "null").with_field("http", json!({"status": null})),
    ];
    store.append_logs(&logs).unwrap();
    let equals = |name: &str, value: &str| passing(store, name, Operator::equals(value));
    assert_eq!(equals("normalized.http.status", "404"), ["nested", "flat"]);
    assert_eq!(equals("normalized.http.ok", "false"), ["nested"]);
    assert_eq!(equals("normalized.http.tags", "[\"x\",1]"), ["nested"]);
    assert_eq!(equals("normalized.\"odd \"\"k/e~y\"", "here"), ["flat"]);
    assert_eq!(not_equal(store, "normalized.http.status", "404"), ["null"]);
    assert!(equals("metadata.http.status", "404").is_empty());
}

pub(super) fn tests_addresses(store: &dyn Store) {
    let addresses = [
        "10.1.2.3",
        "11.1.2.3",
        "::ffff:10.9.9.9",
        "2001:db8::1",
        "not an address",
        "10.1.2.3.4",
    ];
    let logs: Vec<_> = addresses
        .iter()
        .zip(0..)
        .map(|(address, second)| log(second, "a", address).with_field("src_ip", *address))
        .collect();
    store.append_logs(&logs).unwrap();
    let within = |network: &str| passing(store, "source_ip", Operator::InNetwork(network.parse().unwrap()));
    assert_eq!(within("10.0.0.0/8"), ["10.1.2.3", "::ffff:10.9.9.9"]);
    assert_eq!(within("2001:db8::/32"), ["2001:db8::1"]);
    assert_eq!(within("0.0.0.0/0").len(), 3);
    assert_eq!(
        passing(
            store,
            "normalized.src_ip",
            Operator::InNetwork("11.0.0.0/8".parse().unwrap())
        ),
        ["11.1.2.3"]
    );
}

pub(super) fn tests_text(store: &dyn Store) {
    let logs = [
        log(0, "a", "Failed 100%"),
        log(1, "a", "failed_x"),
        log(2, "a", "shadowed").with_raw("the line\nof two"),
    ];
    store.append_logs(&logs).unwrap();
    let pattern = |source: &str| source.parse::<Pattern>().unwrap();
    assert_eq!(
        found(store, LogQuery::new().contains("ailed")),
        ["Failed 100%", "failed_x"]
    );
    assert_eq!(found(store, LogQuery::new().contains("%")), ["Failed 100%"]);
    assert_eq!(found(store, LogQuery::new().contains("_")), ["failed_x"]);
    assert!(found(store, LogQuery::new().contains("shadowed")).is_empty());
    assert_eq!(found(store, LogQuery::new().pattern(pattern("line.of"))), [""; 0]);
    assert_eq!(
        found(store, LogQuery::new().pattern(pattern("(?s)line.of"))),
        ["shadowed"]
    );
    assert_eq!(
        found(store, LogQuery::new().contains("ailed").pattern(pattern("^F"))),
        ["Failed 100%"]
    );
}

pub(super) fn finds_whole_words_and_addresses(store: &dyn Store) {
    // A block is as many logs as need a filter; the others have none.
    let others = (0..2_100).map(|second| log(second, "cron", "nothing of interest"));
    let wanted = [
        log(
            3_000,
            "sshd",
            "Failed password for Alice from 198.51.100.4 port 22",
        ),
        log(3_001, "sshd", "peer ::ffff:c633:6404 of malice"),
        log(3_002, "nginx", "GET /?u=http%3A%2F%2Fbad.example%2F").with_field("owner", "DOM\\alice"),
        log(3_003, "app", "198.51.100.41"),
    ];
    store
        .append_logs(&others.chain(wanted.clone()).collect::<Vec<_>>())
        .unwrap();
    for (value, expected) in [
        ("198.51.100.4", &[0, 1][..]),
        ("::ffff:198.51.100.4", &[0, 1]),
        ("ALICE", &[0, 2]),
        ("failed password", &[0]),
        ("bad.example", &[2]),
        ("mal", &[]),
        ("nowhere", &[]),
    ] {
        let query = LogQuery::new().has(value).unwrap().order(Order::OldestFirst);
        let expected: Vec<LogEntry> = expected.iter().map(|place| wanted[*place].clone()).collect();
        assert_eq!(
            store.count_logs(&query).unwrap(),
            expected.len() as u64,
            "{value}"
        );
        assert_eq!(store.fetch_logs(&query).unwrap(), expected, "{value}");
    }
}

pub(super) fn ignores_case_beyond_ascii(store: &dyn Store) {
    let words = [
        "STRASSE",
        "straße",
        "STRAẞE",
        "İstanbul",
        "istanbul",
        "ΣΊΣΥΦΟΣ",
        "σίσυφος",
        "K (kelvin)",
        "k",
    ];
    let logs: Vec<_> = words
        .iter()
        .zip(0..)
        .map(|(word, second)| log(second, "a", word))
        .collect();
    store.append_logs(&logs).unwrap();
    let ignoring = |text: &str| {
        let pattern = Pattern::literal_ignoring_case(text).unwrap();
        found(store, LogQuery::new().pattern(pattern))
    };
    assert_eq!(ignoring("STRAße"), ["straße", "STRAẞE"]);
    assert_eq!(ignoring("ISTANBUL"), ["istanbul"]);
    assert_eq!(ignoring("σίσυφοσ"), ["ΣΊΣΥΦΟΣ", "σίσυφος"]);
    assert_eq!(ignoring("(KELVIN)"), ["K (kelvin)"]);
}

pub(super) fn counts(store: &dyn Store) {
    assert_eq!(store.count_logs(&LogQuery::new()).unwrap(), 0);
    store
        .append_logs(&[log(0, "a", "x"), log(1, "b", "x"), log(2, "a", "y")])
        .unwrap();
    assert_eq!(
        store
            .count_logs(&LogQuery::new().equals("appname", "a").unwrap())
            .unwrap(),
        2
    );
}

pub(super) fn counts_by_fields(store: &dyn Store) {
    let logs = [
        log(0, "a", "x").with_procid(1),
        log(1, "b", "x").with_field("k", 5),
        log(2, "a", "x"),
        LogEntry::new(at(3)),
    ];
    store.append_logs(&logs).unwrap();
    let group = |values: &[Option<&str>], count| GroupCount {
        values: values.iter().map(|value| value.map(str::to_owned)).collect(),
        count,
    };
    let by = |names: &[&str]| {
        let fields: Vec<_> = names.iter().map(|name| field(name)).collect();
        store.count_logs_by(&LogQuery::new().limit(1), &fields).unwrap()
    };
    assert_eq!(
        by(&["appname"]),
        [group(&[Some("a")], 2), group(&[None], 1), group(&[Some("b")], 1)]
    );
    assert_eq!(by(&["normalized.k", "procid"])[0], group(&[None, None], 2));
    assert_eq!(
        by(&["event_time"])[0],
        group(&[Some("2024-01-01T12:00:00.000000Z")], 1)
    );
    assert_eq!(by(&[]), [group(&[], 4)]);
    let none = LogQuery::new().contains("nothing holds this");
    assert!(store.count_logs_by(&none, &[]).unwrap().is_empty());
    let all_texts = store.count_logs_by(&none, &[field("host"), field("any")]);
    let error = all_texts.unwrap_err();
    assert!(matches!(error, Error::InvalidInput(_)), "{error:?}");
    assert!(error.to_string().contains("name one field"), "{error}");
}

pub(super) fn histogram_counts_stretches(store: &dyn Store) {
    let before_1970: DateTime<Utc> = "1969-12-31T23:59:59.999999Z".parse().unwrap();
    let logs = [
        LogEntry::new(before_1970),
        log(0, "a", "x"),
        log(59, "a", "x"),
        log(60, "a", "x"),
    ];
    store.append_logs(&logs).unwrap();
    let buckets = store.histogram(&LogQuery::new(), TimeDelta::minutes(1)).unwrap();
    let buckets: Vec<_> = buckets
        .iter()
        .map(|bucket| (bucket.start.to_rfc3339(), bucket.count))
        .collect();
    let expected = [
        ("1969-12-31T23:59:00+00:00".to_owned(), 1),
        ("2024-01-01T12:00:00+00:00".to_owned(), 2),
        ("2024-01-01T12:01:00+00:00".to_owned(), 1),
    ];
    assert_eq!(buckets, expected);
}

pub(super) fn refuses_a_histogram_of_no_width(store: &dyn Store) {
    for width in [
        TimeDelta::zero(),
        TimeDelta::nanoseconds(1),
        TimeDelta::seconds(-1),
        TimeDelta::MAX,
    ] {
        let outcome = store.histogram(&LogQuery::new(), width);
        assert!(matches!(outcome, Err(Error::InvalidInput(_))), "{width}");
    }
}

pub(super) fn reads_after_cursors_in_commit_order(store: &dyn Store) {
    let empty = store.read_after(store.end_cursor().unwrap(), 10).unwrap();
    assert!(empty.logs.is_empty());
    store
        .append_logs(&[log(5, "a", "late"), log(1, "a", "early")])
        .unwrap();
    store.append_logs(&[log(3, "a", "later")]).unwrap();
    let page = store.read_after(Cursor::BEGINNING, 2).unwrap();
    assert_eq!(messages(&page.logs), ["late", "early"]);
    let rest = store.read_after(page.next, 10).unwrap();
    assert_eq!(messages(&rest.logs), ["later"]);
    assert_eq!(rest.next, store.end_cursor().unwrap());
    let nothing = store.read_after(rest.next, 10).unwrap();
    assert_eq!((nothing.logs.len(), nothing.next), (0, rest.next));
    let kept: Cursor = page.next.to_string().parse().unwrap();
    assert_eq!(messages(&store.read_after(kept, 1).unwrap().logs), ["later"]);
}

pub(super) fn cursors_survive_deletion(store: &dyn Store) {
    store.append_logs(&[log(0, "a", "x"), log(1, "a", "y")]).unwrap();
    let cursor = store.end_cursor().unwrap();
    store.delete_logs_before(at(100)).unwrap();
    assert!(store.end_cursor().unwrap() >= cursor);
    assert!(store.read_after(Cursor::BEGINNING, 10).unwrap().logs.is_empty());
    store.append_logs(&[log(0, "a", "new")]).unwrap();
    assert_eq!(messages(&store.read_after(cursor, 10).unwrap().logs), ["new"]);
}

pub(super) fn deletes_before_a_time(store: &dyn Store) {
    let deleted = log(0, "a", "gone");
    store
        .append_logs(&[deleted.clone(), log(1, "a", "kept")])
        .unwrap();
    assert_eq!(store.delete_logs_before(at(1)).unwrap(), 1);
    assert_eq!(found(store, LogQuery::new()), ["kept"]);
    assert_eq!(store.delete_logs_before(at(1)).unwrap(), 0);
    assert_eq!(store.append_logs(&[deleted]).unwrap().stored, 1);
}

pub(super) fn deletes_what_passes_a_filter(store: &dyn Store) {
    let deleted = log(0, "a", "gone").with_field("k", 1);
    let logs = [
        deleted.clone(),
        log(0, "a", "another").with_field("k", 2),
        log(1, "a", "without"),
        log(2, "a", "later").with_field("k", 1),
    ];
    store.append_logs(&logs).unwrap();
    store.commit("c", None, Cursor::BEGINNING, &[]).unwrap();
    let filter: Filter = "k = 1 and text = gone".parse().unwrap();
    assert_eq!(store.delete_matching_logs_before(at(2), &filter).unwrap(), 1);
    assert_eq!(found(store, LogQuery::new()), ["another", "without", "later"]);
    assert_eq!(store.delete_matching_logs_before(at(2), &filter).unwrap(), 0);
    let none = Filter::any([]).unwrap();
    assert_eq!(store.delete_matching_logs_before(at(9), &none).unwrap(), 0);
    let other: Filter = "k != 2".parse().unwrap();
    assert_eq!(store.delete_matching_logs_before(at(2), &other).unwrap(), 1);
    assert_eq!(found(store, LogQuery::new()), ["another", "later"]);
    let from = Some(Cursor::BEGINNING);
    assert_eq!(store.commit("c", from, Cursor::BEGINNING, &[]).unwrap().missed, 2);
    assert_eq!(store.append_logs(&[deleted]).unwrap().stored, 1);
}

pub(super) fn filters_combine(store: &dyn Store) {
    let logs = [
        log(0, "sshd", "one")
            .with_field("user", "root")
            .with_field("level", "err"),
        log(1, "sshd", "two")
            .with_field("user", "Root")
            .with_field("bytes", 900),
        log(2, "cron", "three")
            .with_field("bytes", "-")
            .with_field("level", "debug"),
        log(3, "cron", "four")
            .with_field("bytes", 10_000)
            .with_field("level", "loud"),
    ];
    store.append_logs(&logs).unwrap();
    for (filter, expected) in [
        ("user = root or appname = cron", &["one", "three", "four"][..]),
        ("not (user = root or appname = cron)", &["two"]),
        ("user = ROOT i and not level exists", &["two"]),
        ("user != root", &["two", "three", "four"]),
        ("not user contains o", &["three", "four"]),
        ("user not in (root, x)", &["two", "three", "four"]),
        ("bytes > 899", &["two", "four"]),
        ("bytes <= 900.0", &["two"]),
        ("not bytes > 900", &["one", "two", "three"]),
        ("level >= warning", &["one"]),
        ("level = error", &["one"]),
        ("level in (error, trace)", &["one", "three"]),
        ("level < err", &["three"]),
        ("not level >= debug", &["two", "four"]),
        ("appname startswith s and text endswith o", &["two"]),
        ("text startswith T i", &["two", "three"]),
        (
            "event_time >= 2024-01-01T12:00:02Z and event_time < 2024-01-01T12:00:03Z",
            &["three"],
        ),
        ("appname > d", &["one", "two"]),
        ("false or true and not false", &["one", "two", "three", "four"]),
    ] {
        let query = LogQuery::new().filter(filter.parse().unwrap());
        assert_eq!(found(store, query), expected, "{filter}");
    }
}

pub(super) fn keeps_odd_text(store: &dyn Store) {
    let texts = [
        "",
        " ",
        "nul\0inside",
        "\u{feff}bom",
        "emoji 🦆",
        "\u{202e}turned",
        "line\r\nend",
        "'\"\\;--",
        "\u{10ffff}",
    ];
    let mut logs: Vec<_> = texts
        .iter()
        .zip(0..)
        .map(|(text, second)| log(second, text, text).with_field(*text, *text).with_raw(text))
        .collect();
    logs.push(LogEntry::new(at(100)).with_raw(b"\xff\xfe\0caf\xe9"));
    logs.push(log(101, "a", &"long ".repeat(100_000)));
    store.append_logs(&logs).unwrap();
    let read = store
        .fetch_logs(&LogQuery::new().order(Order::OldestFirst))
        .unwrap();
    assert_eq!(read, logs);
    assert_eq!(read[texts.len()].raw_bytes().unwrap(), b"\xff\xfe\0caf\xe9");
    for text in texts {
        assert_eq!(passing(store, "message", Operator::equals(text)), [text]);
    }
}

pub(super) fn keeps_what_many_logs_have_in_common(store: &dyn Store) {
    let mut stored = Vec::new();
    for (text, minute) in ["web1", "", "nul\0 ' \"? {}", "\u{10ffff}"].iter().zip(0..) {
        let logs: Vec<_> = (0..2_500)
            .map(|n| {
                let mut log = log(minute * 60 + n / 100, text, text)
                    .with_host(*text)
                    .with_raw(text)
                    .with_procid(n)
                    .with_field("user", *text);
                log.hostname.clone_from(&log.host);
                log
            })
            .collect();
        store.append_logs(&logs).unwrap();
        stored.extend(logs);
    }
    let mut read = store.fetch_logs(&LogQuery::new()).unwrap();
    read.sort_by_key(|log| (log.event_time, log.procid));
    assert!(read == stored, "they differ");
    let of_user = LogQuery::new().equals("user", "web1").unwrap();
    assert_eq!(store.count_logs(&of_user).unwrap(), 2_500);
}

pub(super) fn keeps_times_at_the_edges(store: &dyn Store) {
    let times = [
        "0001-01-01T00:00:00Z",
        "1969-12-31T23:59:59.999999Z",
        "2038-01-19T03:14:08.000001Z",
        "9999-12-31T23:59:59.999999Z",
    ];
    let logs: Vec<_> = times
        .iter()
        .map(|time| LogEntry::new(time.parse().unwrap()).with_message(*time))
        .collect();
    store.append_logs(&logs).unwrap();
    assert_eq!(
        store
            .fetch_logs(&LogQuery::new().order(Order::OldestFirst))
            .unwrap(),
        logs
    );
    for log in &logs {
        let query = LogQuery::new()
            .since(log.event_time)
            .until(log.event_time + TimeDelta::microseconds(1));
        assert_eq!(store.count_logs(&query).unwrap(), 1);
    }
}

pub(super) fn takes_sql_for_text(store: &dyn Store) {
    let hostile = "x'); DROP TABLE logs; --";
    store
        .append_logs(&[log(0, hostile, hostile).with_field(hostile, hostile)])
        .unwrap();
    assert_eq!(passing(store, "appname", Operator::equals(hostile)), [hostile]);
    assert_eq!(passing(store, "appname", Operator::one_of([hostile])), [hostile]);
    assert_eq!(found(store, LogQuery::new().contains(hostile)), [hostile]);
    let path = format!("normalized.\"{hostile}\"");
    assert_eq!(passing(store, &path, Operator::equals(hostile)), [hostile]);
    assert!(hostile.parse::<Field>().is_err());
    assert_eq!(store.count_logs(&LogQuery::new()).unwrap(), 1);
}

pub(super) fn statistics_count(store: &dyn Store) {
    let stats = store.stats().unwrap();
    assert_eq!((stats.logs, stats.oldest_log, stats.newest_log), (0, None, None));
    store.append_logs(&[log(0, "a", "x"), log(9, "a", "y")]).unwrap();
    store
        .store_alert(&crate::support::alert("1", logstore::Severity::Low, 0))
        .unwrap();
    let stats = store.stats().unwrap();
    assert_eq!(
        (stats.logs, stats.oldest_log, stats.newest_log),
        (2, Some(at(0)), Some(at(9)))
    );
    assert_eq!((stats.alerts, stats.unacknowledged_alerts), (1, 1));
    store.acknowledge_alerts(&["1"]).unwrap();
    assert_eq!(store.stats().unwrap().unacknowledged_alerts, 0);
}

pub(super) fn statistics_say_which_logs_have_no_time(store: &dyn Store) {
    let without = |second: i64, file: Option<&str>| {
        let mut log = log(second, "a", "x");
        log.file = file.map(str::to_owned);
        log.metadata
            .insert(logstore::ingest::TIME_SOURCE.to_owned(), "previous_line".into());
        log
    };
    let mut other = log(8, "a", "time_source");
    other
        .metadata
        .insert("note".to_owned(), "\"time_source\": 1".into());
    let mut logs = vec![log(7, "a", "x"), other];
    logs.extend((0..9).map(|number| without(number, Some(&format!("{}.log", number % 3 % 2)))));
    logs.push(without(9, None));
    store.append_logs(&logs).unwrap();
    let stats = store.stats().unwrap();
    let files: Vec<_> = stats
        .files_without_time
        .iter()
        .map(|file| (file.file.as_deref(), file.logs))
        .collect();
    assert_eq!(stats.logs_without_time, 10);
    assert_eq!(files, [(Some("0.log"), 6), (Some("1.log"), 3), (None, 1)]);
}

pub(super) fn logs_that_may_hold_a_word_are_found(store: &dyn Store) {
    let logs = [
        log(0, "sshd", "a MimiKatz ran"),
        log(1, "sshd", "nested").with_field("a", json!({"b": ["x", "C:\\mimikatz.exe"]})),
        log(2, "sshd", "line").with_raw("<38>sshd: mimikatz"),
        log(3, "mimikatz", "program"),
        log(4, "sshd", "folded").with_field("a", "m\u{130}mi mim\u{130}\u{212a}atz"),
        log(5, "sshd", "other"),
    ];
    store.append_logs(&logs).unwrap();
    let found = |words: &[&str]| {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let query = LogQuery::new().order(Order::OldestFirst);
        let logs = store.scan_logs_with_words(&query, &words).unwrap();
        let logs: Vec<LogEntry> = logs.collect::<Result<_, _>>().unwrap();
        messages(&logs).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let mimikatz = found(&["absent", "mimikatz"]);
    for message in ["a MimiKatz ran", "nested", "line", "program", "folded"] {
        assert!(
            mimikatz.contains(&message.to_owned()),
            "{message} in {mimikatz:?}"
        );
    }
}

pub(super) fn logs_that_may_hold_an_observable_are_found(store: &dyn Store) {
    let mut logs: Vec<LogEntry> = (0..20)
        .map(|number| {
            log(
                number,
                "sshd",
                &format!("login from 192.0.2.{} by {number}", number % 4),
            )
        })
        .collect();
    logs.extend([
        log(20, "sshd", "nested").with_field("a", json!({"b": ["x", "192.0.2.3"]})),
        log(21, "sshd", "line").with_raw("<38>sshd: from 192.0.2.3:22"),
        log(22, "sshd", "escaped").with_field("a", "C:\\192.0.2.3"),
        log(23, "sshd", "encoded").with_field("a", "192%2E0.2.3"),
    ]);
    store.append_logs(&logs).unwrap();
    let is_sought = |text: &str| text.contains("192.0.2.3") || text.contains("192%2E0.2.3");
    let sought = SoughtObservables::new(is_sought);
    let named = sought.clone().named(vec!["192.0.2.3".parse().unwrap()]);
    let query = LogQuery::new().order(Order::Any);
    for query in [
        &query,
        &query.clone().since(at(3)).contains("from"),
        &query.clone().limit(24),
    ] {
        let [found, found_by_name] = [&sought, &named].map(|sought| {
            let found = store.scan_logs_with_observables(query, sought).unwrap();
            found.map(|log| log.unwrap().key()).collect::<BTreeSet<LogKey>>()
        });
        for log in store.scan_logs(query).unwrap() {
            let log = log.unwrap();
            let texts = [&log.message, &log.raw].into_iter().flatten().cloned();
            let fields = serde_json::to_string(&*log.normalized).unwrap();
            if texts.chain([fields]).any(|text| is_sought(&text)) {
                assert!(found.contains(&log.key()), "{log:?}");
                assert!(found_by_name.contains(&log.key()), "{log:?}");
            }
        }
    }
}
