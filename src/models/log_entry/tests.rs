use proptest::prelude::*;
use serde_json::{Map, json};

use super::*;
use crate::models::LogSource;
use crate::models::TimeContext;
use crate::models::to_micros;

fn log(object: Value) -> LogEntry {
    let context = TimeContext::new("2024-01-01T00:00:00Z".parse().unwrap());
    LogEntry::from_json(object.as_object().unwrap().clone(), &context)
}

#[test]
fn aliases_fill_the_fields() {
    let log = log(json!({
        "_time": 1_431_857_103, "program": "cron", "pid": "77", "msg": "run", "Hostname": "ws5", "sourcetype": "x",
    }));
    assert_eq!(log.event_time.timestamp(), 1_431_857_103);
    assert_eq!(log.timestamp.as_deref(), Some("1431857103"));
    assert_eq!(
        (
            log.appname.as_deref(),
            log.procid,
            log.message.as_deref(),
            log.hostname.as_deref(),
            log.source_type.as_deref()
        ),
        (Some("cron"), Some(77), Some("run"), Some("ws5"), Some("x"))
    );
    assert_eq!(
        Value::from(log.normalized),
        json!({"_time": 1_431_857_103, "program": "cron", "pid": "77", "msg": "run", "Hostname": "ws5",
            "sourcetype": "x"})
    );
}

#[test]
fn a_second_alias_and_an_unfit_value_stay() {
    let log = log(json!({
        "@timestamp": "2023-05-05T05:05:05Z", "time": "12ms", "message": {"deep": 1}, "msg": "text", "pid": "0042",
        "host": {"name": "web1", "os": "linux"}, "id": 7, "metadata": "m",
    }));
    assert_eq!(log.message.as_deref(), Some("text"));
    assert_eq!(log.host.as_deref(), Some("web1"));
    assert_eq!(log.procid, None);
    assert_eq!(
        Value::from(log.normalized),
        json!({"@timestamp": "2023-05-05T05:05:05Z", "time": "12ms", "msg": "text", "message": {"deep": 1}, "pid": "0042", "host": {"name": "web1", "os": "linux"}, "id": 7,
            "metadata": "m"})
    );
}

#[test]
fn finds_nested_times() {
    for (object, expected) in [
        (
            json!({"t": {"$date": "2026-03-10T20:58:09.401+00:00"}}),
            "2026-03-10T20:58:09.401Z",
        ),
        (
            json!({"instant": {"epochSecond": 1_663_977_619, "nanoOfSecond": 222_000_123}}),
            "2022-09-24T00:00:19.222Z",
        ),
        (
            json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": "1700000000000000000"}]}]}]}),
            "2023-11-14T22:13:20Z",
        ),
        (json!({"ts": 3.5}), "2024-01-01T00:00:00Z"),
    ] {
        let expected: DateTime<Utc> = expected.parse().unwrap();
        assert_eq!(log(object.clone()).event_time, expected, "{object}");
    }
}

#[test]
fn finds_addresses_and_users_under_every_convention() {
    for (object, source, dest, user) in [
        (
            json!({"source": {"ip": "10.0.0.1"}, "destination.ip": "10.0.0.2", "user": {"name": "ecs"}}),
            "10.0.0.1",
            "10.0.0.2",
            "ecs",
        ),
        (
            json!({"src_endpoint": {"ip": "10.0.0.1"}, "dst_endpoint": {"ip": "10.0.0.2"}, "actor": {"user": {"name": "ocsf"}}}),
            "10.0.0.1",
            "10.0.0.2",
            "ocsf",
        ),
        (
            json!({"attributes": [
                {"key": "client.address", "value": {"stringValue": "10.0.0.1"}},
                {"key": "server.address", "value": {"stringValue": "10.0.0.2"}},
                {"key": "enduser.id", "value": {"stringValue": "otel"}},
            ]}),
            "10.0.0.1",
            "10.0.0.2",
            "otel",
        ),
        (
            json!({"EventID": 4624, "IpAddress": "10.0.0.1", "DestAddress": "10.0.0.2", "SubjectUserName": "SYSTEM",
                "TargetUserName": "win"}),
            "10.0.0.1",
            "10.0.0.2",
            "win",
        ),
        (
            json!({"EventID": 4688, "SourceIp": "10.0.0.1", "DestinationIp": "10.0.0.2", "SubjectUserName": "win",
                "TargetUserName": "-"}),
            "10.0.0.1",
            "10.0.0.2",
            "win",
        ),
        (
            json!({"id.orig_h": "10.0.0.1", "id.resp_h": "10.0.0.2", "username": "zeek", "src": "9.9.9.9"}),
            "10.0.0.1",
            "10.0.0.2",
            "zeek",
        ),
        (
            json!({"src_ip": "10.0.0.1", "dest_ip": "10.0.0.2", "user": "suricata"}),
            "10.0.0.1",
            "10.0.0.2",
            "suricata",
        ),
        (
            json!({"sourceIPAddress": "10.0.0.1", "dst": "10.0.0.2", "userIdentity": {"type": "AssumedRole",
                "principalId": "A:b", "sessionContext": {"sessionIssuer": {"userName": "role"}}}}),
            "10.0.0.1",
            "10.0.0.2",
            "role",
        ),
    ] {
        let log = log(object.clone());
        assert_eq!(
            (log.source_ip().as_deref(), log.dest_ip().as_deref(), log.user()),
            (Some(source), Some(dest), Some(user)),
            "{object}"
        );
    }
}

#[test]
fn only_addresses_are_addresses_and_a_dash_is_nothing() {
    for (object, expected) in [
        (json!({"sourceIPAddress": "ec2.amazonaws.com"}), None),
        (json!({"src_ip": "unknown"}), None),
        (
            json!({"source_ip": "gateway", "clientip": "10.0.0.1"}),
            Some("10.0.0.1"),
        ),
        (json!({"src_ip": "203.0.113.4:49713"}), Some("203.0.113.4")),
        (json!({"client_ip": "[2001:DB8:0::1]:443"}), Some("2001:db8::1")),
        (json!({"src_ip": "::ffff:203.0.113.4"}), Some("203.0.113.4")),
    ] {
        let log = log(object.clone());
        assert_eq!(log.source_ip().as_deref(), expected, "{object}");
        assert_eq!(Value::from(log.normalized), object);
    }
    assert_eq!(log(json!({"dest": "[::1]:53"})).dest_ip().as_deref(), Some("::1"));
    assert_eq!(log(json!({"user": "-", "username": ""})).user(), None);
}

#[test]
fn the_client_is_behind_its_proxies() {
    for (object, expected) in [
        (
            json!({"client_ip": "127.0.0.1, 203.0.113.4, 10.0.0.1"}),
            "203.0.113.4",
        ),
        (
            json!({"remote_addr": "10.0.0.2", "x_forwarded_for": "1.1.1.1, 203.0.113.4"}),
            "203.0.113.4",
        ),
        (
            json!({"remote_addr": "203.0.113.9", "x_forwarded_for": "127.0.0.1"}),
            "203.0.113.9",
        ),
        (
            json!({"request": {"remote_ip": "10.0.0.2", "headers": {"X-Forwarded-For": ["1.1.1.1", "203.0.113.4, 10.0.0.1"]}}}),
            "203.0.113.4",
        ),
        (
            json!({"remote_addr": "10.0.0.2", "x_forwarded_for": "unknown"}),
            "10.0.0.2",
        ),
        (json!({"x-forwarded-for": "10.0.0.3, 10.0.0.2"}), "10.0.0.3"),
        (
            json!({"src_ip": "1.1.1.1", "metadata": {"source_ip": "203.0.113.4"}}),
            "203.0.113.4",
        ),
    ] {
        let log = log(object.clone());
        assert_eq!(log.source_ip().as_deref(), Some(expected), "{object}");
        assert_eq!(log.core_fields().source_ip.as_deref(), Some(expected), "{object}");
    }
}

#[test]
fn a_member_with_the_name_of_its_column_is_moved_and_any_other_is_copied() {
    let own = json!({"timestamp": "2024-01-01T00:00:00Z", "host": "a", "hostname": "b", "appname": "c", "procid": 4,
        "message": "d", "source_type": "e", "file": "/f"});
    let log = log(own);
    assert!(log.normalized.is_empty(), "{log:?}");
    assert_eq!(
        (log.host.as_deref(), log.hostname.as_deref(), log.file.as_deref()),
        (Some("a"), Some("b"), Some("/f"))
    );
    let other = json!({"Timestamp": "2024-01-01T00:00:00Z", "HOST": "a", "Message": "d", "PID": 4,
        "winlog": {"computer_name": "w"}});
    let log = self::log(other.clone());
    assert_eq!(log.message.as_deref(), Some("d"));
    assert_eq!((log.procid, log.hostname.as_deref()), (Some(4), Some("w")));
    assert_eq!(Value::from(log.normalized), other);
}

#[test]
fn names_are_compared_without_case_and_separators_at_any_nesting() {
    for object in [
        json!({"srcip": "10.0.0.1", "srcport": 7}),
        json!({"SRC-IP": "10.0.0.1", "Src Port": "7"}),
        json!({"source": {"ip": "10.0.0.1", "port": 7}}),
        json!({"properties": {"SourceIP": "10.0.0.1", "SourcePort": "7"}}),
        json!({"Event": {"EventData": {"SourceIp": "10.0.0.1", "SourcePort": "7"}}}),
        json!({"protoPayload": {"requestMetadata": {"callerIp": "10.0.0.1"}}, "client": [{"port": 7}]}),
    ] {
        let log = log(object.clone());
        assert_eq!(
            (log.source_ip().as_deref(), log.source_port()),
            (Some("10.0.0.1"), Some(7)),
            "{object}"
        );
    }
    for object in [
        json!({"unknown": {"src_ip": "10.0.0.1"}}),
        json!({"name": "root", "id": "root"}),
        json!({"src_ip_count": "10.0.0.1"}),
    ] {
        let log = log(object.clone());
        assert_eq!(log.core_fields(), CoreFields::default(), "{object}");
    }
}

#[test]
fn the_better_name_and_the_nearer_object_fill_a_field() {
    let object = json!({
        "properties": {"src_ip": "10.0.0.1", "user": "inner"}, "ip": "10.0.0.2", "clientip": "10.0.0.3",
        "user_id": "1001", "cs-username": "outer",
    });
    let log = log(object);
    assert_eq!(log.source_ip().as_deref(), Some("10.0.0.3"));
    assert_eq!(log.user(), Some("outer"));
}

#[test]
fn a_value_of_another_kind_fills_no_field() {
    for (object, expected) in [
        (
            json!({"src_port": 65535, "dst_port": "0"}),
            (Some(65_535), Some(0)),
        ),
        (json!({"src_port": 65536, "dst_port": "https"}), (None, None)),
        (json!({"src_port": -1, "dst_port": "+7"}), (None, None)),
        (json!({"src_port": 1.5, "dst_port": ""}), (None, None)),
        (json!({"sport": "1", "s-port": "2"}), (Some(1), Some(2))),
    ] {
        let log = log(object.clone());
        assert_eq!((log.source_port(), log.dest_port()), expected, "{object}");
    }
    let empty = log(json!({"user": "N/A", "process": "-", "action": "(null)"}));
    assert_eq!(empty.core_fields(), CoreFields::default());
    assert_eq!(log(json!({"user": "1001"})).user(), Some("1001"));
    assert_eq!(log(json!({"user": "1001", "login": "root"})).user(), Some("root"));
}

#[test]
fn a_level_is_a_word_of_syslog() {
    for (object, expected) in [
        (json!({"level": "ERROR"}), Some("err")),
        (json!({"level": "warn"}), Some("warning")),
        (json!({"level": "Critical"}), Some("crit")),
        (json!({"level": "trace"}), Some("debug")),
        (json!({"log": {"level": "Information"}}), Some("info")),
        (json!({"level": 3}), None),
        (json!({"level": "3"}), None),
        (json!({"level": "loud"}), None),
        (json!({"level": "loud", "severity": "high"}), Some("err")),
        (
            json!({"level": "error", "metadata": {"fields": {"level": "4"}}}),
            Some("warning"),
        ),
        (json!({"metadata": {"fields": {"level": 7}}}), Some("debug")),
    ] {
        assert_eq!(log(object.clone()).level(), expected, "{object}");
    }
}

#[test]
fn an_outcome_is_success_or_failure_and_no_state_of_an_alert() {
    for (value, expected) in [
        (json!("SUCCESS"), Some("success")),
        (json!("Succeeded"), Some("success")),
        (json!("ok"), Some("success")),
        (json!("Failure"), Some("failure")),
        (json!("denied"), Some("failure")),
        (json!(["Audit Failure"]), Some("failure")),
        (json!("new"), None),
        (json!("RESOLVED"), None),
        (json!("closed"), None),
        (json!("200"), None),
        (json!(401), None),
        (json!(true), None),
    ] {
        let object = json!({"status": value});
        assert_eq!(log(object.clone()).outcome(), expected, "{object}");
    }
}

#[test]
fn date_time_and_zone_of_an_object_are_put_together() {
    for (object, expected) in [
        (
            json!({"date": "2024-07-17", "time": "09:08:27"}),
            "2024-07-17T09:08:27Z",
        ),
        (
            json!({"time": "12:34:56", "date": "17/Jul/2024"}),
            "2024-07-17T12:34:56Z",
        ),
        (
            json!({"date": "2024-07-17", "time": "09:08:27", "tz": "+0200"}),
            "2024-07-17T07:08:27Z",
        ),
        (
            json!({"ts": "2024-07-17 09:08:27", "timezone": "Europe/Paris"}),
            "2024-07-17T07:08:27Z",
        ),
        (
            json!({"ts": "2024-07-17T09:08:27Z", "timezone": "Europe/Paris"}),
            "2024-07-17T09:08:27Z",
        ),
        (
            json!({"EventTime": "2024-07-17 11:08:27", "UtcTime": "2024-07-17 09:08:27.123"}),
            "2024-07-17T09:08:27.123Z",
        ),
        (
            json!({"timestamp": {"seconds": "1721207307", "nanos": 5_000_000}}),
            "2024-07-17T09:08:27.005Z",
        ),
        (
            json!({"TimeCreated": "/Date(1721207307123)/"}),
            "2024-07-17T09:08:27.123Z",
        ),
        (json!({"time": "12:34:56"}), "2024-01-01T00:00:00Z"),
    ] {
        let log = log(object.clone());
        let expected: DateTime<Utc> = expected.parse().unwrap();
        assert_eq!(log.event_time, expected, "{object}");
        assert_eq!(Value::from(log.normalized), object, "nothing is taken");
    }
}

#[test]
fn the_host_header_of_a_request_is_not_the_host_that_logs() {
    let object = json!({"host": "www.example.com", "remote_addr": "203.0.113.9", "request_method": "GET"});
    let object = object.as_object().unwrap();
    let read = |origin| {
        let (log, _) = id::with_own(|ids| {
            BorrowedLog::from_json(Members::from(object), origin, &TimeContext::default(), ids)
        });
        log.host.map(Cow::into_owned)
    };
    assert_eq!(read(Origin::Source), None);
    assert_eq!(read(Origin::Store).as_deref(), Some("www.example.com"));
}

#[test]
fn the_reader_of_a_log_sets_its_fields() {
    let object = json!({"src_ip": "10.0.0.1", "user": "root", "dst_port": 22, "metadata": {"fields": {"user": "forged"}}});
    let text = object.to_string();
    let context = TimeContext::default();
    let read = |set: &[(Role, Option<&'static str>)]| {
        id::with_own(|ids| {
            let members = serde_json::from_str(&text).unwrap();
            let (mut log, _) = BorrowedLog::from_json(members, Origin::Source, &context, ids);
            for (field, value) in set {
                log.set_field(*field, value.map(Cow::Borrowed));
            }
            let fields = log.with_core_fields(|fields| format!("{fields:?}"));
            let log = log.into_entry();
            assert_eq!(
                format!("{:?}", log.core_fields()),
                fields,
                "the stored log gives the same"
            );
            log
        })
    };
    let same = read(&[
        (Role::SourceIp, Some("10.0.0.1")),
        (Role::DestPort, Some("22")),
        (Role::Action, None),
        (Role::DestIp, Some("no address")),
    ]);
    assert!(same.metadata.is_empty(), "{same:?}");
    assert_eq!(same.user(), Some("root"));
    let log = read(&[
        (Role::SourceIp, None),
        (Role::DestPort, Some("443")),
        (Role::Process, Some("/bin/sh")),
        (Role::User, Some("alice")),
        (Role::User, Some("bob")),
    ]);
    assert_eq!(
        Value::from(log.metadata.clone()),
        json!({"fields": {"source_ip": null, "dest_port": 443, "process": "/bin/sh", "user": "bob"}})
    );
    assert_eq!((log.source_ip(), log.dest_port()), (None, Some(443)));
    assert_eq!((log.process(), log.user()), (Some("/bin/sh"), Some("bob")));
}

/// Returns what a definition says of its logs.
fn format_note() -> FormatNote {
    let source = LogSource {
        product: Some("fortios".into()),
        service: Some("traffic \"a\"".into()),
        ..LogSource::default()
    };
    FormatNote::new("fortigate/1".into(), source)
}

#[test]
fn the_reader_of_a_log_names_its_format_and_source() {
    let note = format_note();
    let other = FormatNote::new("other/1".into(), LogSource::default());
    let metadata = |change: fn(&mut BorrowedLog<'_>), note, again: Option<_>| {
        id::with_own(|ids| {
            let mut log = BorrowedLog::new(DateTime::UNIX_EPOCH, ids);
            log.set_format(note);
            change(&mut log);
            if let Some(again) = again {
                log.set_format(again);
            }
            let text = log.metadata_text(&mut String::new()).map(str::to_owned);
            assert_eq!(
                log.has_metadata("logsource"),
                text.as_ref().is_some_and(|text| text.contains("logsource"))
            );
            let log = log.into_entry();
            assert_eq!(log.metadata.to_text().as_deref(), text.as_deref());
            text.unwrap_or_default()
        })
    };
    let unchanged = |_: &mut BorrowedLog<'_>| {};
    let whole = r#""format":"fortigate/1","logsource":{"product":"fortios","service":"traffic \"a\""}"#;
    assert_eq!(metadata(unchanged, &note, None), format!("{{{whole}}}"));
    assert_eq!(metadata(unchanged, &other, None), r#"{"format":"other/1"}"#);
    assert_eq!(metadata(unchanged, &other, Some(&note)), format!("{{{whole}}}"));
    assert_eq!(
        metadata(unchanged, &note, Some(&other)),
        format!("{{{}}}", whole.replace("fortigate/1", "other/1"))
    );
    let noted = |log: &mut BorrowedLog<'_>| log.note("time_source", "ingestion");
    assert_eq!(
        metadata(noted, &note, None),
        format!(r#"{{{whole},"time_source":"ingestion"}}"#)
    );
    let set = |log: &mut BorrowedLog<'_>| log.set_field(Role::User, Some("root".into()));
    assert_eq!(
        metadata(set, &note, None),
        format!(r#"{{{whole},"fields":{{"user":"root"}}}}"#)
    );
}

#[test]
fn what_a_definition_says_of_a_log_fills_no_field() {
    let note = format_note();
    id::with_own(|ids| {
        let mut log = BorrowedLog::new(DateTime::UNIX_EPOCH, ids);
        log.set_format(&note);
        assert_eq!(log.into_entry().core_fields(), CoreFields::default());
    });
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        prop::sample::select(vec!["10.0.0.1", "203.0.113.9", "root"]).prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e18f64..1e18).prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z.@_]{1,6}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn any_object() -> impl Strategy<Value = Map<String, Value>> {
    let key = prop_oneof![
        "[a-zA-Z@_.]{1,8}".boxed(),
        prop::sample::select(vec![
            "id",
            "timestamp",
            "@timestamp",
            "time",
            "event_time",
            "ingestion_time",
            "host",
            "hostname",
            "msg",
            "message",
            "pid",
            "raw",
            "normalized",
            "metadata",
            "file",
            "app",
            "level",
            "src_ip",
            "src",
            "ip",
            "port",
            "user",
            "name",
            "properties",
            "X-Forwarded-For",
        ])
        .prop_map(str::to_owned)
        .boxed(),
    ];
    prop::collection::btree_map(key, json_value(), 0..8).prop_map(|map| map.into_iter().collect())
}

/// Every value that is not an object or array, as text.
fn leaves(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| leaves(value, into)),
        Value::Object(map) => map.values().for_each(|value| leaves(value, into)),
        Value::String(text) => into.push(text.clone()),
        other => into.push(other.to_string()),
    }
}

proptest! {
    #[test]
    fn any_object_is_a_log_and_loses_nothing(object in any_object()) {
        let log = LogEntry::from_json(object.clone(), &TimeContext::default());
        let mut kept = Vec::new();
        leaves(&serde_json::to_value(&log).unwrap(), &mut kept);
        let mut given = Vec::new();
        leaves(&Value::Object(object), &mut given);
        for value in given {
            prop_assert!(kept.contains(&value), "{value:?} is lost in {log:?}");
        }
    }

    #[test]
    fn the_summary_kept_while_reading_is_that_of_the_stored_log(object in any_object()) {
        id::with_own(|ids| {
            for origin in [Origin::Source, Origin::Store] {
                let members = Members::from(&object);
                let (log, _) = BorrowedLog::from_json(members, origin, &TimeContext::default(), ids);
                let kept = log.with_core_fields(|fields| format!("{fields:?}"));
                let found = log.clone().into_entry();
                assert_eq!(kept, format!("{:?}", found.core_fields()));
            }
        });
    }

    #[test]
    fn a_log_survives_json(object in any_object(), seconds in -62_000_000_000i64..200_000_000_000, nanos in 0u32..1_000_000_000) {
        let mut log = LogEntry::from_json(object, &TimeContext::default());
        log.event_time = to_micros(DateTime::from_timestamp(seconds, nanos).unwrap());
        let text = serde_json::to_string(&log).unwrap();
        let read: LogEntry = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(read, log, "{}", text);
    }
}
