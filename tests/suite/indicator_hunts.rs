//! A hunt for indicators finds in a store what it finds in all of its logs, however these are stored.

use std::sync::Arc;

use logstore::detect::{Detector, IndicatorSet};
use logstore::{DuckDbStore, LogEntry, LogKey, LogQuery, LogStore, MemoryStore, ThreatIntel};
use proptest::prelude::*;
use serde_json::json;

use crate::support::at;

/// Parts of what is sought, in spellings that a log may have, and what may be around them.
fn text() -> impl Strategy<Value = String> {
    const PARTS: [&str; 52] = [
        "192.0.2.7",
        "198.51.100.4",
        "198.51.100.4.443",
        "2001:db8::7",
        "2001:0db8:0:0:0:0:0:7",
        "2001:db8:",
        ":7",
        "::ffff:192.0.2.7",
        "203.0.113.9",
        "evil.example",
        "www.evil.example",
        "EVIL.example.",
        "evil",
        "http:",
        "//",
        "http://evil.example/drop?id=7",
        "http://bad.example/a",
        "drop?id=7",
        "http%3A%2F%2Fbad.example%2Fa",
        "evil%2Eexample",
        "mallory@evil.example",
        "mallory@",
        "evil\u{3002}example",
        "b\u{fc}cher.example",
        "xn--bcher-kva.example",
        "d41d8cd98f00b204e9800998ecf8427e",
        "275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f",
        "275A021BBFB6489E54D471899F7DB9D1",
        "663fc695ec2fe2a2c4538aabf651fd0f",
        "rv:",
        "1:2:3:4:5:6:",
        "\\tevil.example",
        "\tevil.example",
        "7",
        "x1",
        "is up",
        " ",
        " ",
        " > ",
        ".",
        ":",
        "=",
        "\"",
        "\\",
        "\\\\",
        "\\n",
        "\n",
        "/",
        "[",
        "]",
        ",",
        "-",
    ];
    let part = prop::sample::select(&PARTS[..]).prop_map(str::to_owned);
    prop::collection::vec(part, 0..7).prop_map(|parts| parts.concat())
}

fn indicators() -> Arc<IndicatorSet> {
    let intel: Vec<ThreatIntel> = [
        "192.0.2.7",
        "198.51.100.0/28",
        "2001:db8::7",
        "evil.example",
        "b\u{fc}cher.example",
        "http://evil.example/drop?id=7",
        "http://bad.example/a",
        "mallory@evil.example",
        "275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f",
    ]
    .iter()
    .map(|indicator| ThreatIntel::new(indicator.parse().unwrap(), "c2", "a feed"))
    .collect();
    Arc::new(IndicatorSet::new(&intel))
}

fn log(number: i64, [program, host, first, second]: &[String; 4], form: u8) -> LogEntry {
    let log = LogEntry::new(at(number)).with_appname(program).with_host(host);
    let line = match form {
        0 => format!("{host} {program}[7]: {first} {second}"),
        1 => json!({"host": host, "app": program, "msg": first, "more": [second]}).to_string(),
        2 => format!("{host}{first}{second}"),
        _ => first.clone(),
    };
    let log = log.with_raw(line).with_field("first", first.as_str());
    match form {
        0 => log.with_message(format!("{first} {second}")),
        1 => log.with_field("more", json!({"list": [second, 7], "host": host})),
        _ => log.with_field("source.ip", second.as_str()),
    }
}

fn logs() -> impl Strategy<Value = Vec<LogEntry>> {
    let parts = ([text(), text(), text(), text()], 0..4_u8);
    let logs = prop::collection::vec(parts, 1..12);
    // Texts that repeat are stored in another way.
    (logs, prop_oneof![Just(1_usize), Just(12)]).prop_map(|(logs, times)| {
        let numbered = (0..).zip(logs.iter().cycle().take(logs.len() * times));
        numbered
            .map(|(number, (texts, form))| log(number, texts, *form))
            .collect()
    })
}

/// Returns the logs and titles of all matches.
fn hunted(store: &dyn LogStore, query: &LogQuery) -> Vec<(LogKey, String)> {
    let (mut detector, _) = Detector::new(&[], &|_| None);
    detector.set_indicators(indicators());
    let found = detector.hunt(store, query, 2, |_| ()).unwrap();
    let matches = found.matches.into_iter();
    let mut matches: Vec<_> = matches.map(|found| (found.log, found.title)).collect();
    matches.sort();
    matches
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_way_to_store_a_log_hides_an_indicator(logs in logs()) {
        let (all, store) = (MemoryStore::new(), DuckDbStore::open(":memory:").unwrap());
        all.append_logs(&logs).unwrap();
        store.append_logs(&logs).unwrap();
        let expected = hunted(&all, &LogQuery::new());
        prop_assert_eq!(&hunted(&store, &LogQuery::new()), &expected);
        let some = LogQuery::new().since(at(3)).contains("e");
        prop_assert_eq!(hunted(&store, &some), hunted(&all, &some));
    }
}

/// What a client chose makes a part of a text say less than the text does: colons at its ends, or half an escape.
#[test]
fn no_part_of_a_text_hides_what_the_text_holds() {
    let line = |text: &str| LogEntry::new(at(0)).with_message(text).with_raw(text);
    let field = |host: &str, text: &str| {
        let log = LogEntry::new(at(0)).with_host(host).with_field("first", text);
        log.with_raw(json!({"first": text}).to_string())
    };
    for (sought, log) in [
        ("192.0.2.7", line("look :rv:192.0.2.7 end")),
        ("192.0.2.7", line("x=:rv:192.0.2.7:443")),
        ("192.0.2.7", line("look :1:2:3:4:5:6:192.0.2.7 end")),
        ("192.0.2.7", line("look 1:2:3:4:5:6:192.0.2.7.: end")),
        ("evil.example", field("x\\tevil.example", "x\tevil.example")),
        ("evil.example", field("x7\\", "x7\\\nevil.example")),
    ] {
        let logs: Vec<LogEntry> = (0..2_200)
            .map(|number| {
                let mut log = log.clone();
                log.id = format!("{number}");
                log
            })
            .collect();
        let store = DuckDbStore::open(":memory:").unwrap();
        store.append_logs(&logs).unwrap();
        assert_eq!(hunted(&store, &LogQuery::new()).len(), logs.len(), "{log:?}");
        let query = LogQuery::new().has(sought).unwrap();
        let expected = logs.iter().filter(|log| query.matches(log)).count() as u64;
        assert_eq!(store.count_logs(&query).unwrap(), expected, "{log:?}");
    }
}
