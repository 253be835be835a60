//! Threat intelligence from a feed to alerts: in new logs, in stored ones, and for one value.

use serde_json::{Value, json};

use crate::support::Cli;

const LOGS: &str = "\
{\"timestamp\":\"2026-03-01T10:00:00Z\",\"host\":\"web1\",\"source_ip\":\"198.51.100.4\",\"message\":\"login\"}
{\"timestamp\":\"2026-03-01T11:00:00Z\",\"host\":\"web1\",\"message\":\"query for www.bad.example. and 198.51.100.4\"}
{\"timestamp\":\"2026-03-01T12:00:00Z\",\"host\":\"web2\",\"message\":\"answer from [::ffff:198.51.100.4]:443\"}
{\"timestamp\":\"2026-03-01T13:00:00Z\",\"host\":\"web2\",\"message\":\"198.51.100.44 notbad.example 192.0.2.7\"}
";

fn store_with_intel() -> Cli {
    let cli = Cli::new();
    cli.write(
        "feed.csv",
        "ip,threat_type,confidence\n198.51.100.4,botnet_cc,90\n192.0.2.7,scanner,20\n",
    );
    cli.write("domains.txt", "bad[.]example\n");
    cli.write("allowed.txt", "192.0.2.0/24\n");
    cli.output(&["intel", "import", "feed.csv"]);
    cli.output(&["intel", "import", "domains.txt", "--threat-type", "phishing"]);
    cli.output(&["intel", "import", "allowed.txt", "--allow"]);
    cli.write("logs.jsonl", LOGS);
    cli
}

/// The alerts of a store, each as its title up to its sources, its host and its count.
fn alerts(cli: &Cli) -> Vec<Value> {
    let mut alerts: Vec<Value> = cli
        .rows(&["alerts", "list", "--status", "any"])
        .iter()
        .map(|alert| {
            let title = alert["description"].as_str().unwrap_or_default();
            let title = title.split(" of ").next().unwrap_or_default();
            json!([title, alert["host"], alert["count"]])
        })
        .collect();
    alerts.sort_by_key(ToString::to_string);
    alerts
}

#[test]
fn new_logs_are_compared_with_intelligence() {
    let cli = store_with_intel();
    cli.output(&["ingest", "logs.jsonl"]);
    cli.output(&["detect"]);
    let expected = [
        json!(["botnet_cc 198.51.100.4", "web1", 2]),
        json!(["botnet_cc 198.51.100.4", "web2", 1]),
        json!(["phishing bad.example", "web1", 1]),
    ];
    assert_eq!(alerts(&cli), expected);
    cli.output(&["detect"]);
    assert_eq!(alerts(&cli), expected, "a second run finds nothing more");
    cli.output(&["intel", "match", "--alerts"]);
    assert_eq!(alerts(&cli), expected, "the same logs count once");
}

#[test]
fn an_alert_says_which_source_and_where() {
    let cli = store_with_intel();
    cli.output(&["ingest", "logs.jsonl"]);
    let found = cli.rows(&["intel", "match", "--filter", "host = web2"]);
    assert_eq!(found.len(), 1);
    let title = found[0]["title"].as_str().unwrap();
    for part in ["feed.csv", "0.90", "message"] {
        assert!(title.contains(part), "{title}");
    }
    assert_eq!(found[0]["severity"], "high");
}

#[test]
fn stored_logs_are_compared_with_what_came_later() {
    let cli = Cli::new();
    cli.write("logs.jsonl", LOGS);
    cli.output(&["ingest", "logs.jsonl"]);
    cli.output(&["detect"]);
    cli.write("late.txt", "198.51.100.0/25\n");
    cli.output(&["intel", "import", "late.txt"]);
    assert_eq!(cli.rows(&["intel", "match"]).len(), 4);
    cli.finds_nothing(&["intel", "match", "--since", "2026-03-02"]);
}

#[test]
fn a_lookup_says_when_and_where_a_value_was_seen() {
    let cli = store_with_intel();
    cli.output(&["ingest", "logs.jsonl"]);
    let found = cli.rows(&[
        "intel",
        "lookup",
        "198.51.100.4",
        "www.bad.example",
        "203.0.113.1",
    ]);
    assert_eq!(
        (&found[0]["logs"], &found[0]["hosts"]),
        (&json!(3), &json!(["web1", "web2"]))
    );
    assert_eq!(found[0]["first_seen"], "2026-03-01T10:00:00Z");
    assert_eq!(found[0]["last_seen"], "2026-03-01T12:00:00Z");
    assert_eq!(found[0]["intel"][0]["threat_type"], "botnet_cc");
    assert_eq!(found[1]["logs"], 1);
    assert_eq!(found[1]["intel"][0]["indicator_value"], "bad.example");
    assert_eq!((&found[2]["logs"], &found[2]["intel"]), (&json!(0), &json!([])));
}

#[test]
fn a_lookup_takes_any_spelling() {
    let cli = Cli::new();
    cli.write("feed.txt", "hxxp://bad[.]example/x\nworse.example\n");
    cli.output(&["intel", "import", "feed.txt"]);
    cli.write("log.txt", "GET HTTP://BAD.example:80/x 200\n");
    cli.output(&["ingest", "log.txt"]);
    let found = cli.rows(&[
        "intel",
        "lookup",
        "hxxp://bad[.]example/x",
        "http://a.worse.example/y",
    ]);
    assert_eq!(found[0]["logs"], 1);
    assert_eq!(found[0]["intel"].as_array().unwrap().len(), 1);
    assert_eq!(found[1]["intel"][0]["indicator_value"], "worse.example");
    cli.output(&["intel", "add", "hxxp://third[.]example/"]);
    assert_eq!(
        cli.rows(&["intel", "list", "--indicator", "http://third.example/"])
            .len(),
        1
    );
}

#[test]
fn a_match_says_what_it_counts_only_if_it_found_something() {
    let cli = store_with_intel();
    cli.write("clean.jsonl", "{\"message\":\"203.0.113.1\"}\n");
    cli.output(&["ingest", "clean.jsonl"]);
    let said = || {
        let output = cli.program(&["intel", "match", "--alerts"]).output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(said(), "logstore: no logs matched\n");
    cli.output(&["ingest", "logs.jsonl"]);
    for counts in [
        "Matches counted in alerts: 4, counted before: 0, new alerts: 3\n",
        "Matches counted in alerts: 0, counted before: 4, new alerts: 0\n",
    ] {
        assert_eq!(said(), counts);
    }
}

#[test]
fn an_alert_is_listed_by_the_address_and_the_user_of_its_earliest_log() {
    let cli = store_with_intel();
    let log = |minute: u8, address: &str, user: &str| {
        json!({"timestamp": format!("2026-03-01T10:0{minute}:00Z"), "host": "web1", "source_ip": address,
            "user": user, "message": "to bad.example"})
        .to_string()
            + "\n"
    };
    cli.write(
        "two.jsonl",
        log(0, "203.0.113.1", "ann") + &log(1, "203.0.113.2", "bob"),
    );
    cli.output(&["ingest", "two.jsonl"]);
    cli.output(&["detect"]);
    let list = |flag, value| cli.rows(&["alerts", "list", flag, value]);
    for (flag, earliest, later) in [
        ("--source-ip", "203.0.113.1", "203.0.113.2"),
        ("--user", "ann", "bob"),
    ] {
        assert_eq!(list(flag, earliest)[0]["count"], 2);
        assert!(list(flag, later).is_empty(), "{flag}");
    }
    let help = cli.output(&["alerts", "list", "--help"]);
    for flag in ["--source-ip", "--dest-ip", "--user", "--host"] {
        let (_, text) = help.split_once(flag).unwrap();
        let text: Vec<&str> = text.lines().take(2).collect();
        assert!(text[1].contains("of its earliest log"), "{flag}: {text:?}");
    }
}

/// The answers about values on standard input.
fn looked_up(cli: &Cli, lines: String) -> Vec<Value> {
    let mut lookup = cli.command(&["intel", "lookup", "-"]);
    let asked = lookup.write_stdin(lines).assert().success();
    let answers = serde_json::Deserializer::from_slice(&asked.get_output().stdout).into_iter();
    answers.collect::<Result<_, _>>().unwrap()
}

#[test]
fn a_lookup_of_many_values_answers_as_one_of_each() {
    let cli = store_with_intel();
    cli.output(&["ingest", "logs.jsonl"]);
    let values = [
        "198.51.100.4",
        "www.bad.example",
        "203.0.113.1",
        "198.51.100.0/24",
        "http://bad.example/x",
    ];
    let one_by_one: Vec<Value> = values
        .iter()
        .flat_map(|value| cli.rows(&["intel", "lookup", value]))
        .collect();
    assert_eq!(
        cli.rows(&[&["intel", "lookup"][..], &values].concat()),
        one_by_one
    );
    let others = (0..200).map(|number| format!("192.0.2.{number}\n"));
    let lines: String = values
        .iter()
        .map(|value| format!("{value}\n\n"))
        .chain(others)
        .collect();
    let found = looked_up(&cli, lines);
    assert_eq!(found.len(), values.len() + 200);
    assert_eq!(found[..values.len()], one_by_one);
}

/// Standard error and the exit code of a lookup of values on standard input.
fn lookup_of_lines(cli: &Cli, lines: &str) -> (Option<i32>, String) {
    let mut lookup = cli.command(&["intel", "lookup", "-"]);
    let output = lookup.write_stdin(lines).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_lookup_leaves_out_lines_that_are_no_values() {
    let cli = store_with_intel();
    cli.output(&["ingest", "logs.jsonl"]);
    let values = "\u{feff}address\n\n# a comment\n198.51.100.4\r\n  #another\nalice\nbad[.]example\n";
    let found = looked_up(&cli, values.to_owned());
    let known: Vec<_> = found.iter().map(|answer| &answer["value"]).collect();
    assert_eq!(known, ["198.51.100.4", "bad.example"]);
    let (code, warnings) = lookup_of_lines(&cli, values);
    assert_eq!(code, Some(0), "{warnings}");
    let lines: Vec<&str> = warnings.lines().collect();
    assert_eq!(lines.len(), 2, "{warnings}");
    for (line, parts) in [
        (0, ["line 1 ", "\"address\"", "it is no address"]),
        (1, ["line 6 ", "\"alice\"", "it is no address"]),
    ] {
        assert!(parts.iter().all(|part| lines[line].contains(part)), "{warnings}");
    }
    let (code, warnings) = lookup_of_lines(&cli, &("word\n".repeat(1_000) + "bad.example\n"));
    assert_eq!(code, Some(0), "{warnings}");
    assert_eq!(warnings.lines().count(), 11, "{warnings}");
    assert!(warnings.contains("990 more lines"), "{warnings}");
}

#[test]
fn a_lookup_says_how_a_value_was_asked_for() {
    let cli = store_with_intel();
    cli.output(&["ingest", "logs.jsonl"]);
    let lines = "3325256708\n198.51.100.4\n198.51.100[.]4\n3325256708\nbad.example\nhxxp://bad[.]example\n";
    let found = looked_up(&cli, lines.to_owned());
    let asked: Vec<_> = found
        .iter()
        .map(|answer| (&answer["value"], &answer["asked_as"]))
        .collect();
    assert_eq!(
        asked,
        [
            (&json!("198.51.100.4"), &json!(["198.51.100[.]4", "3325256708"])),
            (&json!("bad.example"), &Value::Null),
            (&json!("http://bad.example/"), &json!(["hxxp://bad[.]example"])),
        ]
    );
    assert_eq!(found[0]["logs"], 3);
    let argument = &cli.rows(&["intel", "lookup", "198.51.100[.]4"])[0];
    assert_eq!(argument["asked_as"], json!(["198.51.100[.]4"]));
}

#[test]
fn a_lookup_without_a_value_is_refused() {
    let cli = store_with_intel();
    for (lines, left_out) in [("\n", 0), ("# a comment\n", 0), ("address\nalice\n", 2)] {
        let (code, text) = lookup_of_lines(&cli, lines);
        assert_eq!(code, Some(2), "{lines:?}: {text}");
        assert_eq!(text.matches("is left out").count(), left_out, "{text}");
        assert!(text.contains("there is no value on standard input"), "{text}");
    }
    assert_eq!(cli.failure(&["intel", "lookup", "198.51.100.4", "alice"]).0, 2);
    let (code, text) = cli.failure(&["intel", "lookup", "198.51.100.4,bad.example"]);
    assert!(code == 2 && text.contains("type blanks between them"), "{text}");
}

#[test]
fn an_answer_without_indicators_replaces_no_feed() {
    let cli = Cli::new();
    cli.write("feed.txt", "bad.example\n");
    cli.output(&["intel", "import", "feed.txt"]);
    for answer in [
        "",
        "# nothing\n",
        "[]",
        "{\"error\": \"quota exceeded\"}",
        "<html>\nbad.example\n",
    ] {
        cli.write("feed.txt", answer);
        let (code, text) = cli.failure(&["intel", "import", "feed.txt", "--replace"]);
        assert_eq!(code, 3, "{answer}: {text}");
    }
    assert_eq!(cli.rows(&["intel", "list", "--valid"]).len(), 1);
}

#[test]
fn a_feed_may_be_utf_16() {
    let cli = Cli::new();
    let units = "\u{feff}bad.example\r\n".encode_utf16();
    cli.write("feed.txt", units.flat_map(u16::to_le_bytes).collect::<Vec<u8>>());
    cli.output(&["intel", "import", "feed.txt"]);
    assert_eq!(cli.rows(&["intel", "list"])[0]["indicator_value"], "bad.example");
}

#[test]
fn a_lookup_finds_both_spellings_of_an_international_domain() {
    let cli = Cli::new();
    cli.write(
        "log.jsonl",
        "{\"message\":\"query for Bücher.example\"}\n{\"message\":\"query for www.xn--bcher-kva.example\"}\n",
    );
    cli.output(&["ingest", "log.jsonl"]);
    for value in [
        "bücher.example",
        "xn--bcher-kva[.]example",
        "http://bücher.example/x",
    ] {
        let found = cli.rows(&["intel", "lookup", value]);
        let logs = if value.contains("://") { 0 } else { 2 };
        assert_eq!(found[0]["logs"], logs, "{value}");
    }
    cli.output(&["intel", "add", "bücher.example"]);
    assert_eq!(cli.rows(&["intel", "match"]).len(), 2);
}

#[test]
fn a_lookup_is_printed_in_every_format() {
    let cli = store_with_intel();
    cli.output(&["ingest", "logs.jsonl"]);
    let time = regex::Regex::new(r#"created_at":"[^"]*|created_at"":""[^"]*"#).unwrap();
    for format in ["table", "csv", "jsonl"] {
        let values = ["198.51.100.4", "www.bad.example", "203.0.113.1"];
        let lookup = [&["intel", "lookup", "--format", format][..], &values].concat();
        let output = cli.output(&lookup);
        let output = time.replace_all(&output, "created_at: now");
        insta::assert_snapshot!(format!("a_lookup_as_{format}"), output);
    }
}

#[test]
fn words_of_confidence_that_no_scale_has_are_told() {
    let cli = Cli::new();
    cli.write(
        "feed.csv",
        "ip,confidence\n198.51.100.4,High\n198.51.100.5,sure\n",
    );
    let output = cli.program(&["intel", "import", "feed.csv"]).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{errors}");
    assert!(
        errors.contains("line 3") && errors.contains("\"sure\""),
        "{errors}"
    );
    let found = cli.rows(&["intel", "list", "--min-confidence", "0.8"]);
    assert_eq!(found.len(), 1);
}

#[test]
fn confidence_decays_if_asked() {
    let cli = Cli::new();
    cli.write("logstore.toml", "[intel.half_life]\nip = '30d'\n");
    let now = chrono::Utc::now();
    let created = (now - chrono::TimeDelta::days(60)).to_rfc3339();
    let intel = |value: &str| {
        format!("{{\"indicator_value\":\"{value}\",\"confidence\":0.8,\"created_at\":\"{created}\"}}\n")
    };
    cli.write("feed.jsonl", intel("198.51.100.4") + &intel("bad.example"));
    cli.output(&["intel", "import", "feed.jsonl"]);
    let log = format!(
        "{{\"timestamp\":\"{}\",\"message\":\"198.51.100.4 bad.example\"}}\n",
        now.to_rfc3339()
    );
    cli.write("log.jsonl", log);
    cli.output(&["ingest", "log.jsonl"]);
    let found = cli.rows(&["intel", "match"]);
    let severity = |indicator: &str| {
        let of = |found: &&Value| found["title"].as_str().unwrap().contains(indicator);
        found.iter().find(of).unwrap()["severity"].clone()
    };
    assert_eq!(severity("198.51.100.4"), "low", "0.2 is left");
    assert_eq!(severity("bad.example"), "high");
    assert_eq!(
        cli.rows(&["intel", "list", "--min-confidence", "0.8"]).len(),
        2,
        "the stored value stays"
    );
}

/// What `match` finds in a text is what `lookup` finds, in whatever notation either is asked for.
#[test]
fn a_lookup_finds_what_a_match_finds() {
    let texts = [
        "from 45.66.77.88 port 22",
        "GET http://0x2d424d58/x",
        "GET http://0x2d.66.0115.88/x",
        "GET http://%34%35.66.77.88/x",
        "GET http://055.0102.0115.0130/x",
        "GET http://759319896/x",
        "GET http://0X2D.0x42.0x4D.0x58/x",
        "GET http://45.66.19800/x",
        "GET http://45.4345176/x",
        "peer ::ffff:45.66.77.88 and nothing",
        "peer ::ffff:2d42:4d58 and nothing",
        "peer 0:0:0:0:0:ffff:2d42:4d58 and nothing",
        "via 64:ff9b::2d42:4d58",
        "via 2002:2d42:4d58::1",
        "GET /go?to=http%3A%2F%2F759319896%2F",
        "GET /?ip=%3A%3Affff%3A45.66.77.88&y=1",
        "GET /?ip%3D45%2E66%2E77%2E88%26host%3Dwww.b%61d.example",
        "IP 45.66.77.88.443 > 192.0.2.1.5000: Flags [.]",
        "query for bad.example and eve@bücher.example",
        "query for bücher.example",
        "query for bu\u{308}cher.example",
        "query for XN--bcher-kva.example.",
        "GET http://b%C3%BCcher.example/",
        "nothing 45.66.77.8 0x2d424d58",
    ];
    let line = |text: &&str| json!({"timestamp": 1_772_359_200, "message": text}).to_string() + "\n";
    let logs: String = texts.iter().map(line).collect();
    for (indicator, spellings) in [
        (
            "45.66.77.88",
            &[
                "45.66.77.88",
                "0x2d424d58",
                "759319896",
                "055.0102.0115.0130",
                "::ffff:2d42:4d58",
                "[::ffff:45.66.77.88]:80",
            ][..],
        ),
        (
            "bücher.example",
            &[
                "bücher.example",
                "bu\u{308}cher.example",
                "xn--bcher-kva.example",
                "b%C3%BCcher.example",
            ],
        ),
        ("bad.example", &["bad.example", "b%61d.example", "BAD[.]example"]),
        (
            "http://45.66.77.88/x",
            &[
                "http://45.66.77.88/x",
                "http://0x2d424d58/x",
                "http%3A%2F%2F759319896%2Fx",
            ],
        ),
    ] {
        let cli = Cli::new();
        cli.write("logs.jsonl", &logs);
        cli.output(&["ingest", "logs.jsonl"]);
        cli.output(&["intel", "add", indicator]);
        let expected = cli.rows(&["intel", "match"]).len();
        assert!(expected > 0, "{indicator}");
        for spelling in spellings {
            let found = cli.rows(&["intel", "lookup", spelling]);
            assert_eq!(found[0]["logs"], expected, "{spelling}");
            assert_eq!(found[0]["intel"].as_array().unwrap().len(), 1, "{spelling}");
        }
    }
}

/// Nothing was seen of 203.0.0.113, which nobody means.
#[test]
fn a_lookup_of_a_part_of_an_address_is_refused() {
    let cli = Cli::new();
    cli.write("log.txt", "from 203.0.113.7 port 22\n");
    cli.output(&["ingest", "log.txt"]);
    for part in ["203.0.113", "203.0.113.", "10.47", "22"] {
        let output = cli.program(&["intel", "lookup", part]).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{part}: {said}");
        assert!(said.contains(&format!("logstore fetch --has '{part}'")), "{said}");
    }
}

#[test]
fn a_lookup_takes_hosts_without_letters_and_very_long_ones() {
    let cli = Cli::new();
    let long = format!("http://{}/x", "x".repeat(1_001));
    cli.write(
        "log.jsonl",
        format!("{{\"message\":\"GET http://-/x\"}}\n{{\"message\":\"GET {long}\"}}\n"),
    );
    cli.output(&["ingest", "log.jsonl"]);
    for url in ["http://-/x", &long] {
        assert_eq!(cli.rows(&["intel", "lookup", url])[0]["logs"], 1, "{url}");
    }
}

#[test]
fn a_lookup_shows_the_networks_of_an_address() {
    let cli = Cli::new();
    cli.write("feed.txt", "198.51.100.0/24\n198.51.100.0/30\n192.0.2.0/24\n");
    cli.output(&["intel", "import", "feed.txt", "--threat-type", "scanner"]);
    let table = cli.output(&["intel", "lookup", "0xc6336402", "--format", "table"]);
    for known in [
        "scanner 198.51.100.0/24 (feed.txt)",
        "scanner 198.51.100.0/30 (feed.txt)",
    ] {
        assert!(table.contains(known), "{table}");
    }
    assert!(!table.contains("192.0.2.0"), "{table}");
}

#[test]
fn a_lookup_of_very_many_values_knows_each() {
    let cli = Cli::new();
    let feed: String = (0..2_500)
        .map(|number| format!("name{number}.example\n"))
        .collect();
    cli.write("feed.txt", &feed);
    cli.output(&["intel", "import", "feed.txt"]);
    let lines = format!("{feed}other.example\n");
    let answers = looked_up(&cli, lines).into_iter();
    let known = answers.map(|answer| answer["intel"].as_array().unwrap().len());
    let known: Vec<usize> = known.collect();
    assert_eq!(known.len(), 2_501);
    assert_eq!(known.iter().sum::<usize>(), 2_500);
}

#[test]
fn a_lookup_says_what_has_expired() {
    let cli = Cli::new();
    let bundle = json!({"type": "bundle", "objects": [{"type": "indicator", "name": "x",
        "pattern": "[ipv4-addr:value = '203.0.113.9']", "pattern_type": "stix",
        "valid_from": "2020-01-01T00:00:00Z", "valid_until": "2021-01-01T00:00:00Z"}]});
    cli.write("bundle.json", bundle.to_string());
    cli.output(&["intel", "import", "bundle.json", "--source", "us"]);
    let table = cli.output(&["intel", "lookup", "203.0.113.9", "--format", "table"]);
    assert!(table.contains("us, expired"), "{table}");
}
