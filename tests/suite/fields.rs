//! What was read can be looked at: the fields of logs, and the logs of each file.

use serde_json::{Value, json};

use crate::exactly_once::ingest;
use crate::support::Cli;

fn field<'a>(rows: &'a [Value], name: &str) -> Option<&'a Value> {
    rows.iter().find(|row| row["field"] == name)
}

#[test]
fn fields_are_listed_with_types_and_examples() {
    let cli = Cli::new();
    cli.write(
        "app.log",
        "{\"time\": \"2024-01-01T00:00:00Z\", \"user\": \"bob\", \"http\": {\"status\": 200}}\n\
        {\"time\": \"2024-01-02T00:00:00Z\", \"user\": \"eve\", \"http\": {\"status\": \"none\"}}\n\
        {\"time\": \"2024-01-03T00:00:00Z\", \"ok\": true}\n",
    );
    ingest(&cli, &["app.log"]);
    let rows = cli.rows(&["fields"]);
    let status = field(&rows, "normalized.http.status").unwrap();
    assert_eq!(status["types"], json!(["number", "text"]));
    assert_eq!((&status["logs"], &status["percent"]), (&json!(2), &json!(66)));
    assert_eq!(field(&rows, "user").unwrap()["examples"], json!(["eve", "bob"]));
    assert_eq!(
        field(&rows, "normalized.ok").unwrap()["types"],
        json!(["boolean"])
    );
    assert_eq!(field(&rows, "source_type").unwrap()["logs"], 3);
    let rows = cli.rows(&["fields", "--filter", "user = bob"]);
    assert!(field(&rows, "normalized.ok").is_none());
    assert_eq!(field(&rows, "user").unwrap()["logs"], 1);
    let rows = cli.rows(&["fields", "--limit", "1"]);
    assert!(field(&rows, "user").is_none(), "{rows:?}");
    let notes = |limit: &str| {
        let output = cli.command(&["fields", "--limit", limit]).output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(
        notes("1"),
        "Only the newest logs were looked at: 1; --limit 0 looks at all.\n"
    );
    assert_eq!(notes("4"), "");
    cli.finds_nothing(&["fields", "--since", "2030-01-01"]);
    assert!(
        cli.output(&["fields", "--format", "table"])
            .contains("number, text")
    );
}

#[test]
fn a_report_counts_the_logs_of_each_file() {
    let cli = Cli::new();
    cli.write("logs/a.log", "2024-01-01 10:00:00 x\nno time\n{\"broken\": \n");
    cli.write("logs/b.log", "2024-01-01 10:00:00 y\n");
    let rows = cli.rows(&["ingest", "--report", "logs"]);
    let counts: Vec<_> = rows
        .iter()
        .map(|row| {
            (
                row["source"].as_str().unwrap(),
                ["logs", "without_time", "parse_errors"].map(|name| row[name].as_u64()),
            )
        })
        .collect();
    let expected = [
        ("logs/a.log", [Some(3), Some(2), Some(1)]),
        ("logs/b.log", [Some(1), Some(0), Some(0)]),
    ];
    assert_eq!(counts, expected);
    assert!(cli.rows(&["ingest", "--report", "logs"]).is_empty());
}
