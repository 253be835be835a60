//! Events that are delivered twice are stored once, and exported logs come back as they were.

use serde_json::{Value, json};

use crate::exactly_once::ingest;
use crate::support::Cli;

/// Standard output of an ingest of this text, as a row.
fn ingest_text(cli: &Cli, text: &str, arguments: &[&str]) -> Value {
    let mut command = cli.command(&[&["ingest", "-"], arguments].concat());
    let output = command.write_stdin(text).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

fn counts(summary: &Value) -> [&Value; 2] {
    [&summary["stored"], &summary["duplicates"]]
}

#[test]
fn an_event_that_is_delivered_twice_is_stored_once() {
    let events = "{\"Records\": [{\"eventID\": \"a\", \"eventTime\": \"2024-01-01T00:00:00Z\"}, \
        {\"eventID\": \"b\", \"eventTime\": \"2024-01-01T00:00:00Z\"}]}\n";
    let cli = Cli::new();
    assert_eq!(
        counts(&ingest_text(&cli, events, &["--id-field", "eventID"])),
        [2, 0]
    );
    assert_eq!(
        counts(&ingest_text(&cli, events, &["--id-field", "eventID"])),
        [0, 2]
    );
    // Another field of the same value, or no field, is another event.
    assert_eq!(
        counts(&ingest_text(&cli, events, &["--id-field", "eventTime,eventID"])),
        [2, 0]
    );
    assert_eq!(counts(&ingest_text(&cli, events, &[])), [2, 0]);
}

#[test]
fn a_setting_names_the_field_of_an_id() {
    let cli = Cli::new();
    cli.write("logstore.toml", "[ingest]\nid_field = \"event.id\"\n");
    let event = "{\"event\": {\"id\": 7}, \"time\": \"2024-01-01T00:00:00Z\"}\n";
    assert_eq!(counts(&ingest_text(&cli, event, &[])), [1, 0]);
    assert_eq!(counts(&ingest_text(&cli, event, &[])), [0, 1]);
    // Logs without the field have ids of their own.
    let other = "{\"time\": \"2024-01-01T00:00:00Z\"}\n2024-01-01 00:00:00 text\n";
    assert_eq!(counts(&ingest_text(&cli, other, &[])), [2, 0]);
    assert_eq!(counts(&ingest_text(&cli, other, &[])), [2, 0]);
}

const SQL: &str = "SELECT * EXCLUDE (seq) FROM logs ORDER BY id";

#[test]
fn exported_logs_come_back_as_they_were() {
    let cli = Cli::new();
    cli.write(
        "app.log",
        "{\"time\":\"2024-01-01T00:00:00.5Z\",\"user\":\"bob\",\"msg\":\"=x, \\\"y\\\"\",\"n\":{\"a\":[1,null]}}\n\
        <34>Oct 11 22:14:15 web1 su[7]: failed\n\
        2024-01-01 10:00:00 ERROR x\n\tat com.example.Main.run(Main.java:12)\n\
        plain, with \"quotes\"\ncaf\u{e9} \u{20ac}\n-\n{\"a\": \"\\u0000\", \"n\": 1e999}\n",
    );
    ingest(&cli, &["app.log"]);
    let before = cli.rows(&["query", SQL]);
    assert_eq!(before.len(), 7);
    for name in ["logs.jsonl", "logs.csv", "logs.parquet"] {
        cli.output(&["export", name]);
        let other = ["-d", "other.duckdb"];
        let read = ["ingest", name, "--input-format", "export"];
        let summary = &cli.rows(&[&other[..], &read].concat())[0];
        assert_eq!(
            (&summary["stored"], &summary["parse_errors"]),
            (&json!(7), &json!(1)),
            "{name}"
        );
        let after = cli.rows(&[&other[..], &["query", SQL]].concat());
        assert_eq!(after, before, "{name}");
        // Where they are already, they are not stored again.
        let summary = &cli.rows(&read)[0];
        assert_eq!(counts(summary), [0, 7], "{name}");
        std::fs::remove_file(cli.path("other.duckdb")).unwrap();
    }
}

#[test]
fn a_parquet_file_that_was_not_exported_is_an_error() {
    let cli = Cli::new();
    ingest_text(&cli, "plain\n", &[]);
    let other = "COPY (SELECT 1 AS a) TO 'other.parquet' (FORMAT parquet)";
    let engine = duckdb::Connection::open_in_memory().unwrap();
    engine
        .execute_batch(&other.replace("other.parquet", cli.path("other.parquet").to_str().unwrap()))
        .unwrap();
    std::fs::write(cli.path("cut.parquet"), b"PAR1 and no more").unwrap();
    std::fs::copy(cli.path("other.parquet"), cli.path("a[b].parquet")).unwrap();
    for (name, reason) in [
        ("other.parquet", "event_time"),
        ("cut.parquet", "no Parquet file of an export, or a damaged one"),
        ("a[b].parquet", "rename it"),
    ] {
        let (code, text) = cli.failure(&["ingest", name, "--input-format", "export"]);
        assert!(
            code == 3 && text.contains(name) && text.contains(reason),
            "{text}"
        );
    }
    assert_eq!(cli.rows(&["fetch"]).len(), 1);
}

/// The warnings of an ingest that name exports.
fn warnings_of_export(cli: &Cli, arguments: &[&str], input: &str) -> Vec<String> {
    let mut command = cli.command(&[&["ingest"], arguments].concat());
    let output = command.write_stdin(input).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{arguments:?}: {text}");
    let lines = text.lines().filter(|line| line.contains("export"));
    lines.map(str::to_owned).collect()
}

#[test]
fn a_file_that_seems_to_be_exported_is_told_where_it_is_read_plainly() {
    let cli = Cli::new();
    ingest_text(&cli, "plain, with \"quotes\"\n{\"msg\": \"x\"}\n", &[]);
    for name in ["logs.jsonl", "logs.csv"] {
        cli.output(&["export", name]);
        let exported = std::fs::read_to_string(cli.path(name)).unwrap();
        let none = warnings_of_export(&cli, &["-", "--input-format", "export"], &exported);
        assert!(none.is_empty(), "{none:?}");
        let marked = format!("\u{feff}{exported}");
        for (source, input) in [(name, ""), ("-", &*exported), ("-", &*marked)] {
            let warnings = warnings_of_export(&cli, &[source], input);
            assert_eq!(warnings.len(), 1, "{warnings:?}");
            for part in [source, "--input-format export"] {
                assert!(warnings[0].contains(part), "{warnings:?}");
            }
        }
        let summary = &cli.rows(&["ingest", name, "--input-format", "export"])[0];
        assert_eq!(
            (&summary["known_sources"], &summary["logs"]),
            (&json!(1), &json!(0)),
            "{name}: its position says that it was read"
        );
    }
    cli.output(&["export", "logs.parquet"]);
    let (code, text) = cli.failure(&["ingest", "logs.parquet"]);
    assert!(
        code == 3 && text.contains("logs.parquet") && text.contains("--input-format export"),
        "{text}"
    );
}

#[test]
fn no_other_log_seems_to_be_exported() {
    let cli = Cli::new();
    ingest_text(&cli, "plain\n", &[]);
    cli.output(&["export", "logs.jsonl"]);
    let exported = std::fs::read_to_string(cli.path("logs.jsonl")).unwrap();
    let in_message = json!({"event_time": "2024-01-01T00:00:00Z", "id": "a", "message": exported});
    for (name, text) in [
        (
            "few.jsonl",
            "{\"event_time\": \"2024-01-01T00:00:00Z\", \"id\": \"a\", \"timestamp\": null}\n",
        ),
        (
            "few.csv",
            "event_time,id,timestamp,raw\n2024-01-01T00:00:00Z,a,,b\n",
        ),
        (
            "other.jsonl",
            &exported.replacen("\"timestamp\":", "\"time\":", 1),
        ),
        ("later.jsonl", &format!("{{\"a\": 1}}\n{exported}")),
        ("in_message.jsonl", &format!("{in_message}\n")),
        ("text.log", &format!("2024-01-01 10:00:00 GET /?{exported}")),
    ] {
        cli.write(name, text);
        let none = warnings_of_export(&cli, &[name], "");
        assert!(none.is_empty(), "{name}: {none:?}");
    }
}

#[test]
fn a_line_that_was_not_exported_is_kept_and_says_so() {
    let cli = Cli::new();
    let text = "{\"id\": \"x\", \"raw\": \"forged\"}\ntext\n";
    let summary = ingest_text(&cli, text, &["--input-format", "export"]);
    assert_eq!(
        (&summary["stored"], &summary["parse_errors"]),
        (&json!(2), &json!(2))
    );
    let rows = cli.rows(&["query", "SELECT raw FROM logs ORDER BY seq"]);
    assert_eq!(rows[0]["raw"], "{\"id\": \"x\", \"raw\": \"forged\"}");
}

#[test]
fn no_line_of_another_format_says_that_it_was_exported() {
    let cli = Cli::new();
    ingest_text(
        &cli,
        "{\"id\": \"x\", \"event_time\": \"2024-01-01 00:00:00\", \"raw\": \"forged\"}\n",
        &[],
    );
    let rows = cli.rows(&["query", "SELECT id, raw FROM logs"]);
    assert_ne!(rows[0]["id"], "x");
    assert_ne!(rows[0]["raw"], "forged");
}
