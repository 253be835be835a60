//! Input that was made to do harm: in `tests/hostile/`, a file for each kind.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use logstore::{
    DetectionRule, DuckDbStore, Error, LogEntry, LogQuery, LogStore as _, MemoryStore, Order, RuleQuery,
    Store, StoreExt as _,
};
use serde_json::json;

use crate::support::{Cli, assert_views_agree, log};

fn corpus(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/hostile")
        .join(name)
}

fn sql() -> Vec<String> {
    let text = fs::read_to_string(corpus("sql.txt")).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// The lines of a file, in the order in which they stand there, after they went through a store.
fn through_a_store(cli: &Cli, file: &Path) -> Vec<Vec<u8>> {
    cli.output(&["ingest", file.to_str().unwrap()]);
    let store = DuckDbStore::open(cli.path("logstore.duckdb")).unwrap();
    assert_views_agree(&store);
    let mut logs: Vec<_> = store
        .scan_logs(&LogQuery::new().order(Order::OldestFirst))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    // Their ids are made in their order.
    logs.sort_by(|a, b| a.id.cmp(&b.id));
    logs.iter().map(|log| log.raw_bytes().unwrap()).collect()
}

#[test]
fn every_line_comes_back_and_none_reaches_a_terminal_raw() {
    for entry in fs::read_dir(corpus("")).unwrap() {
        let path = entry.unwrap().path();
        let content = fs::read(&path).unwrap();
        let lines: Vec<&[u8]> = content
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .collect();
        let cli = Cli::new();
        assert_eq!(through_a_store(&cli, &path), lines, "{}", path.display());
        for format in ["table", "json", "jsonl"] {
            let shown = cli.output(&["fetch", "--limit", "0", "--format", format]);
            let unsafe_characters: String = shown.chars().filter(|c| is_unsafe(*c)).collect();
            assert_eq!(unsafe_characters, "", "{} as {format}", path.display());
        }
        for row in cli.rows(&["fetch", "--format", "jsonl"]) {
            assert!(row.is_object());
        }
    }
}

/// What acts on a terminal, or makes text read in another order than it is stored in.
fn is_unsafe(character: char) -> bool {
    let directions = ['\u{61c}', '\u{200e}', '\u{200f}'];
    character.is_control() && character != '\n'
        || directions.contains(&character)
        || ('\u{202a}'..='\u{202e}').contains(&character)
        || ('\u{2066}'..='\u{2069}').contains(&character)
}

#[test]
fn no_cell_of_a_csv_file_is_a_formula() {
    let cli = Cli::new();
    cli.output(&["ingest", corpus("csv_formulas.jsonl").to_str().unwrap()]);
    let printed = cli.output(&["fetch", "--format", "csv"]);
    cli.output(&["export", "logs.csv"]);
    for text in [printed, fs::read_to_string(cli.path("logs.csv")).unwrap()] {
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let records: Vec<_> = reader.records().map(Result::unwrap).collect();
        assert_eq!(records.len(), 8);
        for cell in records.iter().flatten() {
            assert!(
                !cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']),
                "{cell:?}"
            );
        }
    }
}

#[test]
fn nesting_has_no_bottom() {
    let cli = Cli::new();
    let objects = "{\"a\":".repeat(10_000) + "1" + &"}".repeat(10_000);
    let arrays = format!("{{\"a\": {}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let open = "{\"a\":[".repeat(10_000);
    let list = format!("[{arrays}]");
    let quoted = (0..12).fold("1".to_owned(), |text, _| {
        serde_json::to_string(&serde_json::json!({ "a": text })).unwrap()
    });
    let others = [open, "[".repeat(100_000), quoted];
    let lines = [&[objects.clone(), arrays.clone(), list][..], &others].concat();
    let file = cli.write("deep.json", lines.join("\n"));
    // An object in a list has its own text.
    let expected = [&[objects, arrays.clone(), arrays][..], &others].concat();
    let found = through_a_store(&cli, &file);
    assert!(
        found.iter().eq(expected.iter().map(String::as_bytes)),
        "a line was changed or lost"
    );
    let deep = format!("normalized{}", ".a".repeat(10_000));
    let output = cli.command(&["count", "--by", &deep]).output().unwrap();
    assert_harmless(&output, &[&deep]);
}

fn assert_harmless(output: &Output, arguments: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        matches!(output.status.code(), Some(0..=2)),
        "{arguments:?}: {:?} {text}",
        output.status
    );
    assert!(!text.contains("panicked"), "{arguments:?}: {text}");
}

/// Wherever a command takes a text; `@` stands for it.
const PLACES: &[&[&str]] = &[
    &["fetch", "--where", "@=x"],
    &["fetch", "--where", "user=@"],
    &["fetch", "--where", "event_time=@"],
    &["fetch", "--where", "procid=@"],
    &["fetch", "--where", "normalized.@=x"],
    &["fetch", "--where", "normalized.k=@"],
    &["fetch", "--where", "metadata.\"@\"=@"],
    &["show", "@"],
    &["show", "2024-01-01T12:00:00Z_@"],
    &["fetch", "--filter", "@"],
    &["fetch", "--filter", "user = '@'"],
    &["fetch", "--filter", "`normalized.@` = \"@\" or level > '@'"],
    &["fetch", "--in", "@=a,b"],
    &["fetch", "--in", "host=a,@"],
    &["fetch", "--match", "@=x"],
    &["fetch", "--match", "raw=@"],
    &["fetch", "--cidr", "@=10.0.0.0/8"],
    &["fetch", "--cidr", "source_ip=@"],
    &["fetch", "--contains", "@"],
    &["fetch", "--contains", "@", "--ignore-case"],
    &["fetch", "--regex", "@"],
    &["fetch", "--since", "@"],
    &["fetch", "--until", "@"],
    &["fetch", "--limit", "@"],
    &["fetch", "--order", "@"],
    &["count", "--by", "@"],
    &["count", "--by", "host,normalized.\"@\""],
    &["count", "--every", "@"],
    &["alerts", "list", "--severity", "@"],
    &["alerts", "list", "--type", "@"],
    &["alerts", "list", "--source-ip", "@"],
    &["alerts", "list", "--user", "@", "--host", "@"],
    &[
        "alerts",
        "add",
        "--type",
        "@",
        "--method",
        "@",
        "--severity",
        "low",
        "--description",
        "@",
        "--user",
        "@",
    ],
    &["alerts", "ack", "@"],
    &["intel", "add", "@", "--source", "@"],
    &[
        "intel",
        "add",
        "198.51.100.1",
        "--threat-type",
        "@",
        "--source",
        "@",
    ],
    &["intel", "list", "--type", "@"],
    &["intel", "list", "--indicator", "@"],
    &["intel", "list", "--source", "@"],
    &[
        "rules",
        "add",
        "--name",
        "@",
        "--type",
        "@",
        "--definition",
        "{}",
        "--id",
        "@",
    ],
    &["rules", "add", "--name", "x", "--type", "x", "--definition", "@"],
    &["rules", "list", "--type", "@"],
    &["rules", "enable", "@"],
    &["rules", "disable", "@"],
    &["prune", "--before", "@", "--yes"],
    &["prune", "--before", "1s", "--yes", "--filter", "@"],
];

#[test]
fn sql_is_text_wherever_a_command_takes_one() {
    let cli = Cli::new();
    cli.write(
        "a.log",
        "Oct 11 22:14:15 web1 sshd[42]: Failed password for root from 203.0.113.9 port 4 ssh2\n",
    );
    cli.output(&["ingest", "a.log"]);
    for text in sql() {
        for place in PLACES {
            let arguments: Vec<String> = place.iter().map(|part| part.replace('@', &text)).collect();
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            assert_harmless(&cli.command(&arguments).output().unwrap(), &arguments);
        }
    }
    assert_eq!(cli.rows(&["count"])[0]["count"], 1);
    cli.output(&["check"]);
    let values = |arguments: &[&str], key: &str| {
        let rows = cli.rows(arguments);
        let mut values: Vec<_> = rows
            .iter()
            .map(|row| row[key].as_str().unwrap().to_owned())
            .collect();
        values.sort_unstable();
        values
    };
    let mut expected = sql();
    expected.sort_unstable();
    assert_eq!(values(&["alerts", "list"], "user"), expected);
    assert_eq!(values(&["rules", "list"], "rule_name"), expected);
    assert_eq!(values(&["intel", "list"], "source"), expected);
}

#[test]
fn the_names_of_files_are_text_too() {
    let cli = Cli::new();
    cli.write("a.log", "line\n");
    for (n, text) in sql().into_iter().enumerate() {
        let name = |suffix: &str| format!("{n} {}.{suffix}", text.replace(['/', '?'], "_"));
        let [log, store, table, backup] = ["log", "duckdb", "parquet", "backup"].map(name);
        cli.write(&log, format!("line {n}\n"));
        cli.output(&["-d", &store, "ingest", &log]);
        cli.output(&["-d", &store, "export", &table]);
        cli.output(&["-d", &store, "backup", &backup]);
        assert_eq!(cli.rows(&["-d", &backup, "fetch"])[0]["file"], log);
        assert!(cli.path(&table).exists());
    }
    let (code, text) = cli.failure(&["-d", "a?b.duckdb", "ingest", "a.log"]);
    assert!(code == 3 && text.contains("question mark"), "{text}");
}

#[test]
fn a_store_may_have_the_name_of_a_database_of_the_engine() {
    let cli = Cli::new();
    cli.write("a.log", "line\n");
    for store in [
        "memory",
        "TEMP.duckdb",
        "main.db",
        "System.old.duckdb",
        "information_schema",
        "pg_catalog.duckdb",
        ".duckdb",
        "logs",
    ] {
        cli.output(&["-d", store, "ingest", "a.log"]);
        let rows = cli.rows(&["-d", store, "query", "SELECT message FROM logs"]);
        assert_eq!((rows.len(), &rows[0]["message"]), (1, &json!("line")), "{store}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_path_that_is_not_utf_8_is_refused() {
    use std::os::unix::ffi::OsStringExt as _;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join(std::ffi::OsString::from_vec(b"\xff".to_vec()));
    std::fs::create_dir(&folder).unwrap();
    let refused = DuckDbStore::open(folder.join("soc.duckdb"))
        .unwrap_err()
        .to_string();
    assert!(refused.contains("UTF-8 only"), "{refused}");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
}

#[test]
fn what_is_nested_too_deeply_is_refused_before_it_is_stored() {
    let nested = |levels: usize| (1..levels).fold(json!([1]), |inner, _| json!([inner]));
    let stores: [Box<dyn Store>; 2] = [
        Box::new(MemoryStore::new()),
        Box::new(DuckDbStore::open(":memory:").unwrap()),
    ];
    for store in stores {
        let log = |levels| log(0, "a", "x").with_field("k", nested(levels));
        assert!(matches!(
            store.append_logs(&[log(100)]),
            Err(Error::InvalidInput(_))
        ));
        assert_eq!(store.append_logs(&[log(99)]).unwrap().stored, 1);
        let read = store.fetch_logs(&LogQuery::new()).unwrap();
        let written = serde_json::to_string(&read).unwrap();
        assert_eq!(serde_json::from_str::<Vec<LogEntry>>(&written).unwrap(), read);
        let rule = |levels| DetectionRule::new("a", "b", nested(levels));
        assert!(store.upsert_rules(&[rule(101)]).is_err());
        store.upsert_rules(&[rule(99)]).unwrap();
        assert_eq!(store.fetch_rules(&RuleQuery::new()).unwrap().len(), 1);
    }
}
