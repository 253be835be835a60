use super::*;
use crate::models::IndicatorType;

fn feed(text: &str) -> Feed {
    read(text, &FeedOptions::new("test")).unwrap()
}

/// The indicators of a feed, each after its type.
fn indicators(text: &str) -> Vec<String> {
    let feed = feed(text);
    let named = |intel: &ThreatIntel| format!("{} {}", intel.indicator.indicator_type(), intel.indicator);
    feed.intel.iter().map(named).collect()
}

fn reason(text: &str) -> String {
    let feed = feed(text);
    assert_eq!(feed.intel, [], "{text}");
    feed.refused[0].reason.clone()
}

#[test]
fn values_are_read_as_people_write_them() {
    for (line, expected) in [
        ("hxxps[:]//bad[.]example/a?b=1", "url https://bad.example/a?b=1"),
        ("hXXp://198.51.100[.]4/x", "url http://198.51.100.4/x"),
        ("198.51.100(.)4", "ip 198.51.100.4"),
        ("198[.51[.100[.4", "ip 198.51.100.4"),
        ("bad[dot]example", "domain bad.example"),
        ("Eve[at]Bad[.]Example", "email eve@bad.example"),
        ("198.51.100.4:8443", "ip 198.51.100.4"),
        ("[2001:db8::7]:443", "ip 2001:db8::7"),
        ("[2001:db8::7]", "ip 2001:db8::7"),
        ("::ffff:198.51.100.0/120", "cidr 198.51.100.0/24"),
        ("bücher.example", "domain xn--bcher-kva.example"),
        ("http://0xc6336404/x", "url http://198.51.100.4/x"),
        ("::ffff:198.51.100.4", "ip 198.51.100.4"),
        ("198.51.100.4/32", "ip 198.51.100.4"),
        ("198.51.100.128-198.51.100.255", "cidr 198.51.100.128/25"),
        ("198.51.100.0 - 198.51.100.255", "cidr 198.51.100.0/24"),
        ("||bad.example^$important", "domain bad.example"),
        ("*.bad.example", "domain bad.example"),
        ("198.51.100.4\t9", "ip 198.51.100.4"),
        ("198.51.100.0/24 ; SBL1", "cidr 198.51.100.0/24"),
        ("198.51.100.4#3#2#Scanning Host#FR##1,2", "ip 198.51.100.4"),
    ] {
        assert_eq!(indicators(line), [expected], "{line}");
    }
}

#[test]
fn a_range_that_is_no_network_becomes_several() {
    let expected = ["ip 198.51.100.1", "cidr 198.51.100.2/31", "ip 198.51.100.4"];
    assert_eq!(indicators("198.51.100.1 - 198.51.100.4"), expected);
}

#[test]
fn the_sink_of_a_hosts_file_is_no_indicator() {
    let hosts = "127.0.0.1 localhost\n::1 localhost ip6-localhost\nfe80::1%lo0 localhost\n\
                 0.0.0.0 bad.example worse.example # both\n:: third.example\n";
    let expected = [
        "domain bad.example",
        "domain worse.example",
        "domain third.example",
    ];
    assert_eq!(indicators(hosts), expected);
    assert_eq!(feed(hosts).refused, []);
}

#[test]
fn comments_are_no_entries() {
    let list = "\u{feff}# one\n; two\n! three\n//198.51.100.1/24\n[Adblock Plus 2.0]\n\n";
    assert_eq!((feed(list).entries, feed(list).refused.len()), (0, 0));
}

#[test]
fn values_that_cannot_be_signs_of_a_threat_are_refused() {
    for line in [
        "10.1.2.3",
        "127.0.0.1",
        "169.254.1.1",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "0.0.0.0",
        "::",
        "fe80::1",
        "fd00::1",
        "::ffff:192.168.1.1",
        "192.168.0.0/24",
        "0.0.0.0/0",
        "64.0.0.0/7",
        "2000::/3",
        "１０.０.０.１",
        "co.uk",
        "com",
        "localhost",
        "http://192.168.1.1/admin",
        "http://[::1]:80/",
        "d41d8cd98f00b204e9800998ecf8427e",
    ] {
        assert_ne!(reason(line), "", "{line}");
    }
    for line in [
        "192.0.2.1",
        "198.51.100.0/24",
        "2001:db8::1",
        "bad.github.io",
        "8.8.8.8",
    ] {
        assert_eq!(indicators(line).len(), 1, "{line}");
    }
    let mut options = FeedOptions::new("test");
    options.keep_all = true;
    assert_eq!(read("10.1.2.3", &options).unwrap().intel.len(), 1);
}

#[test]
fn tables_are_read_by_the_names_of_their_columns() {
    let table = "# made today\n\
        # first_seen_utc, ioc_value, ioc_type, threat_type, malware, confidence_level, tags\n\
        \"2026-01-02 03:04:05\", \"198.51.100.4:443\", \"ip:port\", \"botnet_cc\", \"X\", \"75\", \"a,b\"\n\
        \"2026-01-02 03:04:05\", \"bad.example\", \"domain\", \"botnet_cc\", \"X\", \"100\", \"None\"\n";
    let feed = feed(table);
    let [first, second] = &feed.intel[..] else {
        panic!("{feed:?}");
    };
    assert_eq!(feed.format, FeedFormat::Csv);
    assert_eq!(first.indicator.to_string(), "198.51.100.4");
    assert_eq!(
        (first.threat_type.as_str(), first.confidence),
        ("botnet_cc", 0.75)
    );
    assert_eq!(
        (&first.metadata["malware"], &first.metadata["tags"]),
        (&"X".into(), &"a,b".into())
    );
    assert_eq!(
        (second.indicator.to_string().as_str(), second.confidence),
        ("bad.example", 1.0)
    );
    assert_eq!(second.metadata.get("tags"), None);
}

#[test]
fn a_row_of_digests_gives_each() {
    let md5 = "0cc175b9c0f1b6a831c399e269772661";
    let sha256 = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb";
    let table = format!("first_seen,sha256_hash,md5_hash,file_name\n2026-01-02,{sha256},{md5},a.exe\n");
    assert_eq!(
        indicators(&table),
        [format!("file_hash {sha256}"), format!("file_hash {md5}")]
    );
}

#[test]
fn a_table_without_names_needs_them() {
    let mut options = FeedOptions::new("test");
    options.format = Some(FeedFormat::Csv);
    let error = read("a,198.51.100.4\n", &options).unwrap_err().to_string();
    assert!(error.contains("--columns"), "{error}");
    options.columns = vec!["name".to_owned(), "ip".to_owned()];
    assert_eq!(read("a,198.51.100.4\n", &options).unwrap().intel.len(), 1);
}

#[test]
fn unbalanced_quotes_are_refused_by_line() {
    let feed = feed("ip,name\n198.51.100.4,a\n198.51.100.5,\"b\n");
    assert_eq!(feed.intel.len(), 1);
    assert_eq!(feed.refused[0].line, Some(3));
}

#[test]
fn stix_patterns_of_one_value_are_read() {
    for (pattern, expected) in [
        ("[ipv4-addr:value = '198.51.100.4']", vec!["ip 198.51.100.4"]),
        (
            "[ipv4-addr:value ISSUBSET '198.51.100.0/24']",
            vec!["cidr 198.51.100.0/24"],
        ),
        (
            "[domain-name:value='bad.example' OR url:value = 'http://bad.example/'] OR [ipv4-addr:value = '198.51.100.4']",
            vec!["domain bad.example", "url http://bad.example/", "ip 198.51.100.4"],
        ),
        (
            "[ipv4-addr:value IN ('198.51.100.4', '198.51.100.5')]",
            vec!["ip 198.51.100.4", "ip 198.51.100.5"],
        ),
        (
            "[file:hashes.'MD5' = '0cc175b9c0f1b6a831c399e269772661']",
            vec!["file_hash 0cc175b9c0f1b6a831c399e269772661"],
        ),
        (
            "[ipv4-addr:value = '198.51.100.4' AND url:value = 'http://a.example/']",
            vec![],
        ),
        ("[process:name = 'a']", vec![]),
        ("[ipv4-addr:value != '198.51.100.4']", vec![]),
        ("[ipv4-addr:value = '198.51.100.4'", vec![]),
        ("[", vec![]),
    ] {
        let bundle = serde_json::json!({"type": "bundle", "objects": [
            {"type": "indicator", "pattern": pattern, "pattern_type": "stix"},
        ]});
        assert_eq!(indicators(&bundle.to_string()), expected, "{pattern}");
        assert_eq!(
            feed(&bundle.to_string()).refused.len(),
            usize::from(expected.is_empty()),
            "{pattern}"
        );
    }
}

#[test]
fn stix_says_validity_confidence_and_marking() {
    let indicator = serde_json::json!({
        "type": "indicator", "id": "indicator--1", "pattern": "[ipv4-addr:value = '198.51.100.4']",
        "valid_until": "2027-01-01T00:00:00Z", "confidence": 85, "indicator_types": ["malicious-activity"],
        "object_marking_refs": ["marking-definition--f88d31f6-486f-44da-b317-01333bde0b82"],
    });
    // TAXII's envelope has no type.
    let feed = feed(&serde_json::json!({"more": false, "objects": [indicator]}).to_string());
    let intel = &feed.intel[0];
    assert_eq!(feed.format, FeedFormat::Stix);
    assert_eq!(
        (intel.confidence, intel.threat_type.as_str()),
        (0.85, "malicious-activity")
    );
    assert_eq!(
        intel.expires_at.unwrap().to_rfc3339(),
        "2027-01-01T00:00:00+00:00"
    );
    assert_eq!(intel.metadata["tlp"], "amber");
}

#[test]
fn a_revoked_indicator_is_refused() {
    let object = r#"{"type": "indicator", "pattern": "[ipv4-addr:value = '198.51.100.4']", "revoked": true}"#;
    assert!(reason(&format!(r#"{{"type": "bundle", "objects": [{object}]}}"#)).contains("revoked"));
}

#[test]
fn attributes_of_misp_for_detection_are_taken() {
    let event = serde_json::json!({"response": [{"Event": {
        "info": "a campaign", "uuid": "u", "Tag": [{"name": "tlp:green"}, {"name": "botnet"}],
        "Attribute": [
            {"type": "domain|ip", "value": "bad.example|198.51.100.4", "to_ids": true},
            {"type": "ip-dst|port", "value": "198.51.100.5|443", "to_ids": true},
            {"type": "ip-dst", "value": "198.51.100.6", "to_ids": false},
        ],
        "Object": [{"Attribute": [
            {"type": "filename|md5", "value": "a.exe|0cc175b9c0f1b6a831c399e269772661", "to_ids": true},
        ]}],
    }}]});
    let feed = feed(&event.to_string());
    let expected = [
        "domain bad.example",
        "ip 198.51.100.4",
        "ip 198.51.100.5",
        "file_hash 0cc175b9c0f1b6a831c399e269772661",
    ];
    assert_eq!(indicators(&event.to_string()), expected);
    assert_eq!(feed.intel[0].metadata["tlp"], "green");
    assert_eq!(feed.intel[0].metadata["event"], "a campaign");
    assert_eq!(feed.refused.len(), 1);
}

#[test]
fn composite_attributes_of_misp_are_taken_apart() {
    let sha256 = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb";
    for (type_name, value, expected) in [
        ("ip-dst|port", "198.51.100.4|443", vec!["ip 198.51.100.4"]),
        ("ip-src|port", "2001:db8::7|443", vec!["ip 2001:db8::7"]),
        ("hostname|port", "bad.example|80", vec!["domain bad.example"]),
        (
            "domain|ip",
            "bad.example|198.51.100.4",
            vec!["domain bad.example", "ip 198.51.100.4"],
        ),
        (
            "filename|sha256",
            &format!("a|b.exe|{sha256}"),
            vec![&format!("file_hash {sha256}")],
        ),
        (
            "malware-sample",
            "a|0cc175b9c0f1b6a831c399e269772661",
            vec!["file_hash 0cc175b9c0f1b6a831c399e269772661"],
        ),
        ("regkey|value", "HKLM|x", vec![]),
        (
            "filename|imphash",
            "a.exe|0cc175b9c0f1b6a831c399e269772661",
            vec![],
        ),
    ] {
        // As `attributes/restSearch` answers, with what it says of the event of each.
        let attribute =
            serde_json::json!({"type": type_name, "value": value, "to_ids": 1, "Event": {"info": "e"}});
        for answer in [
            serde_json::json!({"response": {"Attribute": [attribute]}}),
            serde_json::json!([attribute]),
        ] {
            let feed = feed(&answer.to_string());
            assert_eq!(indicators(&answer.to_string()), expected, "{type_name}");
            assert!(feed.intel.iter().all(|intel| intel.metadata["event"] == "e"));
            assert_eq!(
                feed.refused.len(),
                usize::from(expected.is_empty()),
                "{type_name}"
            );
        }
    }
    let deleted = r#"[{"type": "ip-dst", "value": "198.51.100.4", "to_ids": true, "deleted": true}]"#;
    assert!(reason(deleted).contains("deleted"));
}

#[test]
fn objects_of_stix_are_found_in_any_envelope() {
    let indicator =
        serde_json::json!({"type": "indicator", "pattern": "[domain-name:value = 'bad.example']"});
    let of_opencti = serde_json::json!({"entity_type": "Indicator", "pattern_type": "stix",
        "pattern": "[domain-name:value = 'bad.example']"});
    for envelope in [
        serde_json::json!({"more": true, "next": "x", "objects": [indicator]}),
        serde_json::json!({"data": {"indicators": {"edges": [{"node": of_opencti}]}}}),
        serde_json::json!({"version": "4", "type": "create", "data": indicator}),
        serde_json::json!([indicator]),
        indicator.clone(),
    ] {
        assert_eq!(feed(&envelope.to_string()).format, FeedFormat::Stix, "{envelope}");
        assert_eq!(
            indicators(&envelope.to_string()),
            ["domain bad.example"],
            "{envelope}"
        );
    }
    let lines = format!(
        "{indicator}\n{}\n",
        indicator.to_string().replace("domain-name", "process")
    );
    assert_eq!(indicators(&lines), ["domain bad.example"]);
    assert_eq!(feed(&lines).refused[0].line, Some(2));
}

#[test]
fn words_of_confidence_are_read_and_others_are_told() {
    let table =
        "ip,confidence,expires\n198.51.100.4,high,2027-01-01\n198.51.100.5,sure,soon\n198.51.100.6,,\n";
    let read = feed(table);
    let confidences: Vec<f64> = read.intel.iter().map(|intel| intel.confidence).collect();
    assert_eq!(confidences, [0.85, 0.5, 0.5]);
    let percents = feed("ipAddress,abuseConfidenceScore\n198.51.100.4,100\n198.51.100.5,1\n198.51.100.6,0\n");
    let confidences: Vec<f64> = percents.intel.iter().map(|intel| intel.confidence).collect();
    assert_eq!(confidences, [1.0, 0.01, 0.0]);
    let told: Vec<String> = read.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    for (warning, part) in told.iter().zip(["confidence \"sure\"", "expiry \"soon\""]) {
        assert!(
            warning.starts_with("line 3: \"198.51.100.5\": ") && warning.contains(part),
            "{warning}"
        );
    }
    let stix = serde_json::json!({"type": "indicator", "pattern": "[ipv4-addr:value = '198.51.100.4']",
        "confidence": "Med", "valid_until": "never"});
    let read = feed(&stix.to_string());
    assert!((read.intel[0].confidence - 0.5).abs() < f64::EPSILON);
    assert_eq!(read.warnings.len(), 1);
}

#[test]
fn a_page_is_no_feed() {
    let page = "<html>\n503 Service Unavailable\ncdn.example\n";
    assert!(matches!(
        read(page, &FeedOptions::new("test")),
        Err(FeedError::Page)
    ));
}

#[test]
fn one_indicator_may_be_defanged() {
    assert_eq!(
        indicator("198[.]51[.]100[.]4").unwrap().to_string(),
        "198.51.100.4"
    );
    assert!(indicator("198.51.100.1-198.51.100.4").is_err());
    assert!(indicator("nonsense").is_err());
}

#[test]
fn a_warning_list_is_taken_only_as_what_is_harmless() {
    let list = r#"{"name": "resolvers", "type": "string", "list": ["9.9.9.9", "10.0.0.1", ".dns.example"]}"#;
    let error = read(list, &FeedOptions::new("test")).unwrap_err();
    assert!(matches!(error, FeedError::NamesTheHarmless));
    let mut options = FeedOptions::new("test");
    options.allow = true;
    let feed = read(list, &options).unwrap();
    assert_eq!(feed.intel.len(), 3);
    assert!(feed.intel.iter().all(|intel| intel.threat_type == BENIGN));
}

#[test]
fn lines_of_objects_are_read() {
    let lines = "{\"cidr\":\"198.51.100.0/24\",\"sblid\":\"SBL1\"}\n\
        {\"indicator_value\":\"bad.example\",\"threat_type\":\"phishing\",\"confidence\":0.9}\n\
        {\"type\":\"metadata\",\"records\":2}\n{\"a\":1}\n{broken\n";
    let feed = feed(lines);
    assert_eq!(feed.intel[0].metadata["sblid"], "SBL1");
    assert_eq!(
        (feed.intel[1].threat_type.as_str(), feed.intel[1].confidence),
        ("phishing", 0.9)
    );
    let refused: Vec<_> = feed.refused.iter().map(|refused| refused.line).collect();
    assert_eq!(refused, [Some(4), Some(5)]);
}

#[test]
fn pulses_are_read() {
    let pulse = serde_json::json!({"results": [{"id": "p", "name": "a pulse", "indicators": [
        {"type": "IPv4", "indicator": "198.51.100.4", "expiration": "2027-01-01T00:00:00"},
        {"type": "FileHash-MD5", "indicator": "0cc175b9c0f1b6a831c399e269772661"},
        {"type": "CVE", "indicator": "CVE-2026-1"},
    ]}]});
    let feed = feed(&pulse.to_string());
    assert_eq!(
        (feed.format, feed.intel.len(), feed.refused.len()),
        (FeedFormat::Otx, 2, 1)
    );
    assert_eq!(feed.intel[0].metadata["pulse"], "a pulse");
    assert!(feed.intel[0].expires_at.is_some());
}

#[test]
fn objects_with_named_members_are_read_wherever_they_are() {
    let export =
        r#"{"1201": [{"ioc_value": "bad.example", "ioc_type": "domain", "confidence_level": 50}], "n": 1}"#;
    let feed = feed(export);
    assert_eq!(feed.intel[0].indicator.indicator_type(), IndicatorType::Domain);
    assert!((feed.intel[0].confidence - 0.5).abs() < f64::EPSILON);
}

proptest::proptest! {
    #[test]
    fn any_text_is_read(text in r#"[\[\]{}'"|:.,;#/=*^@()<> \t\n0-9a-fORINx-]{0,200}"#) {
        for format in std::iter::once(None).chain(FeedFormat::ALL.map(Some)) {
            let mut options = FeedOptions::new("test");
            options.format = format;
            if let Ok(feed) = read(&text, &options) {
                let told = feed.intel.len() + feed.refused.len();
                proptest::prop_assert!(told as u64 >= feed.entries);
            }
        }
    }
}

#[test]
fn a_cell_in_quotes_may_have_line_breaks() {
    let text = "ip,comment\n192.0.2.1,\"seen at\nthe gateway, \"\"twice\"\"\"\r\n198.51.100.4,x\nbad,\"y\nz\"\n\n203.0.113.9,\n";
    let feed = read(text, &FeedOptions::new("feed")).unwrap();
    let values: Vec<String> = feed
        .intel
        .iter()
        .map(|intel| intel.indicator.to_string())
        .collect();
    assert_eq!(values, ["192.0.2.1", "198.51.100.4", "203.0.113.9"]);
    assert_eq!(
        feed.intel[0].metadata["comment"],
        "seen at\nthe gateway, \"twice\""
    );
    assert_eq!((feed.refused.len(), feed.refused[0].line), (1, Some(5)));
}

#[test]
fn a_quote_that_is_not_closed_hides_no_other_line() {
    let text = format!("ip,comment\n192.0.2.1,\"open\n{}", "198.51.100.4,x\n".repeat(300));
    let feed = read(&text, &FeedOptions::new("feed")).unwrap();
    assert_eq!((feed.intel.len(), feed.refused.len()), (300, 1));
    assert_eq!(feed.refused[0].line, Some(2));
}

#[test]
fn a_quote_within_a_cell_is_plain() {
    let text = "ip,comment\n192.0.2.1,5\" disk\n198.51.100.4,x\n203.0.113.9,3\" disk\n";
    let feed = read(text, &FeedOptions::new("feed")).unwrap();
    assert_eq!((feed.intel.len(), feed.refused.len()), (3, 0));
}

#[test]
fn a_binary_file_is_no_feed() {
    for text in ["\u{1f}\u{8b}\0x", "PK\u{3}\u{4}\n192.0.2.1\n\0"] {
        let error = read(text, &FeedOptions::new("feed")).unwrap_err();
        assert!(error.to_string().contains("binary file"), "{error}");
    }
    let late = format!("{}\0", "198.51.100.4\n".repeat(1_000));
    assert!(read(&late, &FeedOptions::new("feed")).is_ok());
}

#[test]
fn a_confidence_that_stix_does_not_have_is_a_warning_with_its_object() {
    for confidence in ["150", "-1", "\"certain\""] {
        let text = format!(
            r#"{{"type": "bundle", "objects": [{{"type": "indicator", "id": "indicator--1",
                "pattern": "[ipv4-addr:value = '198.51.100.4']", "pattern_type": "stix", "confidence": {confidence}}}]}}"#
        );
        let feed = read(&text, &FeedOptions::new("feed")).unwrap();
        assert_eq!(feed.intel[0].confidence.to_string(), "0.5");
        let reason = &feed.warnings[0].reason;
        assert!(
            reason.contains(confidence) && reason.contains("indicator--1"),
            "{reason}"
        );
    }
}
