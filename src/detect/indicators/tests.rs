use chrono::{DateTime, Utc};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::models::JsonObject;

fn time() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

fn intel(indicator: &str, source: &str) -> ThreatIntel {
    ThreatIntel::new(indicator.parse().unwrap(), "c2", source)
}

fn set(indicators: &[&str]) -> IndicatorSet {
    let intel: Vec<ThreatIntel> = indicators.iter().map(|text| intel(text, "feed")).collect();
    IndicatorSet::new(&intel)
}

fn found(set: &IndicatorSet, log: &LogEntry) -> Vec<(String, String)> {
    let matches = set.matches(log).into_iter();
    matches.map(|found| (found.indicator, found.field)).collect()
}

fn in_text(indicator: &str, text: &str) -> bool {
    !set(&[indicator])
        .matches(&LogEntry::new(time()).with_message(text))
        .is_empty()
}

#[test]
fn observables_are_found_in_free_text() {
    for (indicator, text) in [
        ("198.51.100.4", "Failed password from 198.51.100.4 port 22 ssh2"),
        ("198.51.100.4", "connect to 198.51.100.4:8443."),
        ("198.51.100.4", "src=198.51.100.4,dst=x"),
        ("198.51.100.4", "GET http://198.51.100.4/a"),
        ("198.51.100.4", "peer ::ffff:198.51.100.4"),
        ("198.51.100.0/24", "from 198.51.100.4"),
        ("2001:db8::7", "from [2001:DB8:0::7]:443"),
        ("2001:db8::7", "fe80 2001:db8::7%eth0"),
        ("2001:db8::/32", "from 2001:db8::7"),
        ("bad.example", "query: www.BAD.example. IN A"),
        ("bad.example", "https://user@bad.example:8443/x?y"),
        ("bad.example", "from=<eve@bad.example>"),
        ("eve@bad.example", "from=<Eve@Bad.example>,"),
        ("http://bad.example/x?y=1", "GET \"HTTP://BAD.example/x?y=1\" 200"),
        ("http://bad.example", "see http://bad.example/."),
        (
            "0cc175b9c0f1b6a831c399e269772661",
            "Hashes=MD5=0CC175B9C0F1B6A831C399E269772661,SHA1=x",
        ),
        ("bad.zip", "GET https://bad.zip/"),
        ("198.51.100.4", "from 64:ff9b::198.51.100.4 and 2002:c633:6404::1"),
        ("198.51.100.4", "dev 198.51.100.4%eth0"),
        ("198.51.100.9", "range 198.51.100.4-198.51.100.9"),
        ("http://bad.example/x", "GET http://user:pw@BAD.example.:80/x#top"),
        (
            "http://bad.example/x",
            "/go?to=http://ok.example/?u=http://bad.example/x",
        ),
        ("bad.example", "GET /go?to=http%3A%2F%2Fbad.example%2Fx&y=1"),
        (
            "http://bad.example/x",
            "GET /go?to=http%3a%2f%2fbad.example%2fx&y=1",
        ),
        ("45.66.77.88", "GET /go?to=https%3A%2F%2F0x2d424d58%2F"),
        ("198.51.100.4", "GET /?ip=%3A%3Affff%3A198.51.100.4&y=1"),
        ("198.51.100.0/24", "GET /?ip%3D198%2E51%2E100%2E4%26y"),
        ("198.51.100.4", "GET /go?to=%2Fwho%253Fip%253D198.51.100.4%2526y"),
        ("2001:db8::7", "GET /?ip=2001%3Adb8%3A%3A7"),
        ("eve@bad.example", "GET /?mail=eve%40bad.example"),
        ("bad.example", "GET /?q=www.b%61d.example"),
        (
            "http://bad.example/x",
            "GET /go?to=%252Fgo%253Fto%253Dhttp%253A%252F%252Fbad.example%252Fx",
        ),
        ("xn--bcher-kva.example", "GET /?host%3Db%C3%BCcher.example"),
        (
            "0cc175b9c0f1b6a831c399e269772661",
            "GET /?file%3D0cc175b9c0f1b6a831c399e269772661",
        ),
        (
            "198.51.100.4",
            "IP 192.0.2.1.51234 > 198.51.100.4.443: Flags [S], seq 1",
        ),
        (
            "198.51.100.0/24",
            "IP 198.51.100.4.443 > 192.0.2.1.51234: Flags [.]",
        ),
    ] {
        assert!(in_text(indicator, text), "{indicator} in {text}");
    }
}

#[test]
fn what_only_looks_alike_is_not_found() {
    for (indicator, text) in [
        ("198.51.100.4", "from 198.51.100.44 and 1198.51.100.4"),
        ("198.51.100.4", "version 198.51.100.4.5"),
        ("198.51.100.4", "198.51.100.4.0 > 198.51.100.4.65536"),
        ("198.51.100.4", "upgraded 198.51.100.4.5->198.51.100.4.6"),
        ("198.51.100.4", "198.51.100.4.1.2 > 1.198.51.100.4.1"),
        ("bad.example", "GET /%3A%2F%2Fx?notbad.example%2F"),
        ("198.51.100.4", "Mozilla/5.0 (rv:198.51.100.4)"),
        ("198.51.100.0/24", "from 198.51.101.4"),
        ("198.51.100.4", "GET /?ip%3D198.51.100.44"),
        ("198.51.100.4", "three times: ip%25253D198.51.100.4%252526"),
        ("bad.example", "notbad.example bad.example.org"),
        ("bad.zip", "wrote C:\\temp\\bad.zip"),
        ("http://bad.example/x", "http://bad.example/xy"),
        (
            "0cc175b9c0f1b6a831c399e269772661",
            "x0cc175b9c0f1b6a831c399e269772661",
        ),
    ] {
        assert!(!in_text(indicator, text), "{indicator} in {text}");
    }
}

#[test]
fn a_field_comes_before_free_text_and_each_counts_once() {
    let log = LogEntry::new(time())
        .with_field("source_ip", "198.51.100.4")
        .with_field(
            "dns",
            json!({"question": [{"name": "a"}, {"query": "x.bad.zip"}]}),
        )
        .with_message("198.51.100.4 198.51.100.4");
    let found = found(&set(&["198.51.100.4", "198.51.100.0/24", "bad.zip"]), &log);
    let expected = [
        ("198.51.100.4", "source_ip"),
        ("198.51.100.0/24", "source_ip"),
        ("bad.zip", "dns.question.query"),
    ];
    assert_eq!(found, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
}

#[test]
fn two_sources_are_one_match() {
    let one = intel("198.51.100.4", "a").with_confidence(0.3).unwrap();
    let other = intel("198.51.100.4", "b").with_confidence(0.9).unwrap();
    let set = IndicatorSet::new([&one, &other]);
    let found = set.matches(&LogEntry::new(time()).with_message("198.51.100.4"));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].sources, ["b", "a"]);
    assert_eq!(found[0].severity(), Severity::High);
}

#[test]
fn what_is_benign_is_never_found() {
    let mut benign = intel("192.0.2.0/24", "allowed");
    benign.threat_type = BENIGN.to_owned();
    let set = IndicatorSet::new([
        &intel("192.0.2.1", "feed"),
        &benign,
        &intel("198.51.100.4", "feed"),
    ]);
    let log = LogEntry::new(time()).with_message("192.0.2.1 198.51.100.4");
    assert_eq!(
        found(&set, &log),
        [("198.51.100.4".to_owned(), "message".to_owned())]
    );
}

#[test]
fn an_indicator_counts_for_logs_from_before_its_expiry() {
    let set = IndicatorSet::new([&intel("198.51.100.4", "feed").valid_until(time())]);
    let log = |seconds| LogEntry::new(time() + TimeDelta::seconds(seconds)).with_message("198.51.100.4");
    assert_eq!(set.matches(&log(0)), []);
    assert_eq!(set.matches(&log(-1)).len(), 1);
}

#[test]
fn a_clock_that_is_ahead_lets_no_log_escape_an_indicator_that_expires() {
    let set = IndicatorSet::new([&intel("198.51.100.4", "feed").valid_until(time())]);
    let mut log = LogEntry::new(time() + TimeDelta::days(400)).with_message("198.51.100.4");
    log.ingestion_time = time() - TimeDelta::seconds(1);
    assert_eq!(set.matches(&log).len(), 1);
    log.ingestion_time = time();
    assert_eq!(set.matches(&log), []);
}

#[test]
fn confidence_decays_with_the_age_of_the_report() {
    let half_lives = HalfLives::default().with(IndicatorType::Ip, TimeDelta::days(30));
    let ip = intel("198.51.100.4", "old").with_confidence(0.8).unwrap();
    let ip = ip.with_created_at(time() - TimeDelta::days(60));
    let fresh = intel("198.51.100.4", "fresh").with_confidence(0.4).unwrap();
    let fresh = fresh.with_created_at(time());
    let domain = intel("bad.example", "old").with_confidence(0.8).unwrap();
    let domain = domain.with_created_at(time() - TimeDelta::days(60));
    let set = IndicatorSet::new([&ip, &fresh, &domain]).with_half_lives(half_lives);
    let log = |seconds| {
        let mut log = LogEntry::new(time() + TimeDelta::seconds(seconds));
        log.ingestion_time = log.event_time;
        log.with_message("198.51.100.4 bad.example")
    };
    let found = set.matches(&log(0));
    assert_eq!(found[0].sources, ["fresh", "old"], "the surest is the fresh one");
    assert!(
        (found[0].confidence - 0.4).abs() < 1e-6,
        "{}",
        found[0].confidence
    );
    assert_eq!(found[0].severity(), Severity::Medium);
    assert!((found[1].confidence - 0.8).abs() < 1e-6, "domains do not decay");
    let before = set.matches(&log(-60 * 86_400));
    assert!(
        (before[0].confidence - 0.8).abs() < 1e-6,
        "{}",
        before[0].confidence
    );
    assert_eq!(set.matches(&log(7)), set.matches(&log(7)));
}

#[test]
fn other_spellings_are_found() {
    for (indicator, text) in [
        ("bücher.example", "query for xn--bcher-kva.example IN A"),
        ("xn--bcher-kva.example", "query for Bücher.example IN A"),
        ("xn--bcher-kva.example", "query for “www.bücher。example”"),
        ("bücher.example", "query for bu\u{308}cher.example IN A"),
        ("bu\u{308}cher.example", "query for Bücher.example IN A"),
        ("http://bücher.example/x", "GET http://xn--bcher-kva.example/x"),
        ("eve@bücher.example", "from=<Eve@XN--bcher-kva.example>"),
        ("45.66.77.88", "GET http://0x2d424d58/x"),
        ("45.66.77.88", "GET http://055.0102.0115.0130:8080/x"),
        ("45.66.77.88", "GET http://user@759319896"),
        ("45.66.77.0/24", "GET http://759319896/"),
        ("http://45.66.77.88/x", "GET http://0x2d424d58/x"),
        ("http://0x2d424d58/x", "GET http://45.66.77.88/x"),
        ("::ffff:45.66.77.88", "from 45.66.77.88 port 22"),
        ("::ffff:45.66.77.0/120", "from 45.66.77.88 port 22"),
        ("45.66.77.88", "from ::ffff:2d42:4d58"),
        ("http://[2001:db8::7]/x", "GET http://[2001:DB8:0::7]:80/x"),
    ] {
        assert!(in_text(indicator, text), "{indicator} in {text}");
    }
    for (indicator, text) in [
        ("45.66.77.88", "number 759319896 and 0x2d424d58"),
        ("bücher.example", "buecher.example bucher.example"),
    ] {
        assert!(!in_text(indicator, text), "{indicator} in {text}");
    }
}

#[test]
fn what_a_damaged_line_says_after_its_object_is_found() {
    let line = "{\"a\": 1} 198.51.100.4";
    let set = set(&["198.51.100.4"]);
    let mut log = LogEntry::new(time()).with_raw(line).with_field("a", 1);
    assert_eq!(set.matches(&log), [], "the fields say all of a whole object");
    let alone = LogEntry::new(time()).with_raw(line);
    assert_eq!(set.matches(&alone).len(), 1, "there are no fields");
    log.metadata.insert(PARSE_ERROR.to_owned(), json!("more follows"));
    assert_eq!(set.matches(&log).len(), 1);
}

#[test]
fn a_set_holds_each_indicator_once_and_all_that_is_said() {
    let said: Vec<ThreatIntel> = (0..500)
        .map(|number| intel(&format!("198.51.{}.0/24", number % 100), &format!("s{number}")))
        .collect();
    let set = IndicatorSet::new(&said);
    assert_eq!(set.len(), 500);
    let found = set.matches(&LogEntry::new(time()).with_message("198.51.7.1"));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].sources, ["s107", "s207", "s307", "s407", "s7"]);
    assert!(set.contains(&"198.51.7.9/24".parse().unwrap()));
    assert!(!set.contains(&"198.51.7.0/25".parse().unwrap()));
}

#[test]
fn an_alert_is_for_an_indicator_and_a_host() {
    let mut log = LogEntry::new(time()).with_message("198.51.100.4 and bad.example");
    log.host = Some("web1".to_owned());
    let set = set(&["198.51.100.4", "bad.example"]);
    let alerts = set.alerts(&Event::from_log(&log), &log);
    assert_eq!(alerts.len(), 2);
    let group = alerts[0].group.clone().unwrap();
    assert_eq!(
        (group["indicator"].as_str(), group["host"].as_str()),
        ("198.51.100.4", "web1")
    );
    assert_eq!(alerts[0].window, TimeDelta::days(1));
}

#[test]
fn a_line_that_is_full_of_urls_has_its_hosts_found() {
    let text = format!("{}http://bad.example/", "http://".repeat(100_000));
    assert!(in_text("bad.example", &text));
}

#[test]
fn the_urls_of_a_line_that_are_looked_at_are_bounded() {
    let text = format!(
        "{}http://0x2d424d58/ http://bad.example/",
        "http://".repeat(20_000)
    );
    assert!(in_text("bad.example", &text), "it is a word");
    assert!(!in_text("45.66.77.88", &text));
}

#[test]
fn what_is_benign_until_it_expires_is_found_from_then_on() {
    let benign = intel("198.51.100.4", "allowed").valid_until(time());
    let benign = ThreatIntel {
        threat_type: BENIGN.to_owned(),
        ..benign
    };
    let set = IndicatorSet::new([&intel("198.51.100.4", "feed"), &benign]);
    let log = |seconds| LogEntry::new(time() + TimeDelta::seconds(seconds)).with_message("198.51.100.4");
    assert_eq!(set.matches(&log(-1)), []);
    assert_eq!(set.matches(&log(0))[0].sources, ["feed"]);
}

#[test]
fn a_line_with_a_whole_feed_has_a_bounded_number_of_matches() {
    let addresses: Vec<String> = (0..200).map(|octet| format!("198.51.100.{octet}")).collect();
    let texts: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let log = LogEntry::new(time()).with_message(addresses.join(" "));
    assert_eq!(set(&texts).matches(&log).len(), 100);
}

#[test]
fn an_indicator_is_written_as_it_was() {
    for text in [
        "198.51.100.4",
        "2001:db8::7",
        "198.51.100.0/25",
        "2001:db8::/32",
        "www.bad.example",
        "http://bad.example/x?y",
        "eve@bad.example",
        "0cc175b9c0f1b6a831c399e269772661",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ] {
        let indicator: Indicator = text.parse().unwrap();
        let mut table = TableBuilder::default();
        let intel = intel(text, "feed");
        let place = table.push(&IntelSummary::from(&intel)).unwrap();
        let table = table.finish();
        let written = (indicator.indicator_type(), text.to_owned());
        assert_eq!(table.indicator(place), written);
        assert_eq!(table.find(&Key::of(&indicator)), Some(place));
    }
}

#[test]
fn what_is_decoded_is_never_longer_and_decoded_twice_at_most() {
    for text in [
        "100%",
        "100%25",
        "%2525",
        "%252525",
        "%ff%FE%25ff",
        "%25ff%25fe",
        "%%%25%25",
    ] {
        let mut lengths = Vec::new();
        observables::each_decoding(text, |text| lengths.push(text.len()));
        assert!(lengths.len() <= 3, "{text}: {lengths:?}");
        assert!(
            lengths.windows(2).all(|pair| pair[1] <= pair[0]),
            "{text}: {lengths:?}"
        );
    }
}

/// Makes texts that may hold an indicator.
fn texts() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("198.51.100.4".to_owned()),
        Just("198.51.100.4.443 > ".to_owned()),
        Just("http://bad.example/x".to_owned()),
        Just("bad.sh".to_owned()),
        Just("bad.example".to_owned()),
        "[ >%\"\\\\\n:./a-c0-9]{0,3}",
        "%[23][0-9A]",
    ];
    proptest::collection::vec(part, 0..4).prop_map(|parts| parts.concat())
}

proptest::proptest! {
    #[test]
    fn the_first_look_at_a_log_loses_no_match(
        fields in proptest::collection::vec(texts(), 0..4),
        data in proptest::collection::vec(texts(), 0..3),
        message in proptest::option::of(texts()),
        raw in proptest::option::of(texts()),
    ) {
        let set = set(&["198.51.100.0/24", "http://bad.example/x", "bad.sh"]);
        let object = json!({"Event": {"EventData": {"Data": data}}, "dns": {"query": fields}});
        let mut log = LogEntry::new(time());
        log.normalized = JsonObject::from_text(&object.to_string()).unwrap();
        (log.message, log.raw) = (message, raw);
        let all = set.matches_of(&Event::from_log(&log), &log);
        proptest::prop_assert!(all.is_empty() || set.may_match(&log));
        proptest::prop_assert_eq!(set.matches(&log), all);
    }

    #[test]
    fn any_text_is_searched(text in r#"[\[\]{}'"|:.,;#/=*^@()<>% \\0-9a-fx-zé-]{0,200}"#) {
        let set = set(&["198.51.100.4", "bad.example"]);
        set.matches(&LogEntry::new(time()).with_message(text));
    }

    #[test]
    fn an_address_between_any_words_is_found(before in "[ ,;(=\"]", after in "[ ,;)\"]", octet in 0..=255_u8) {
        let address = format!("198.51.{octet}.4");
        let in_words = in_text(&address, &format!("x{before}{address}{after}y"));
        proptest::prop_assert!(in_words);
    }
}
