//! SQL of the caller's own.

use logstore::duckdb::Access;
use logstore::{DuckDbStore, Error, LogStore as _};
use serde_json::json;

use crate::support::{Cli, assert_views_agree, log};

fn refusal(store: &DuckDbStore, sql: &str) -> String {
    match store.execute_query(sql, &[]) {
        Err(Error::InvalidInput(error)) => error.reason,
        other => panic!("{sql}: {other:?}"),
    }
}

/// The table functions that may be used, with what they are given.
const ALLOWED: [(&str, &str); 18] = [
    ("duckdb_columns", ""),
    ("duckdb_constraints", ""),
    ("duckdb_functions", ""),
    ("duckdb_keywords", ""),
    ("duckdb_schemas", ""),
    ("duckdb_tables", ""),
    ("duckdb_types", ""),
    ("duckdb_views", ""),
    ("generate_series", "3"),
    ("json_each", "'[1]'"),
    ("json_tree", "'[1]'"),
    ("pragma_database_size", ""),
    ("pragma_storage_info", "'log_rows'"),
    ("pragma_table_info", "'logs'"),
    ("pragma_version", ""),
    ("range", "3"),
    ("repeat", "1, 3"),
    ("unnest", "[1, 2]"),
];

#[test]
fn of_the_engines_table_functions_only_those_from_a_list_can_be_used() {
    let store = DuckDbStore::open(":memory:").unwrap();
    let list = "SELECT DISTINCT function_name FROM duckdb_functions()
        WHERE function_type IN ('table', 'table_macro', 'pragma')";
    let functions = store.execute_query(list, &[]).unwrap().rows;
    assert!(functions.len() > 100);
    for function in functions.into_iter().flatten() {
        let name = function.as_str().unwrap();
        match ALLOWED.iter().find(|(allowed, _)| *allowed == name) {
            Some((_, arguments)) => {
                let sql = format!("SELECT * FROM {name}({arguments})");
                store.execute_query(&sql, &[]).unwrap();
            }
            None => {
                let expected = format!("a query may not use the table function {name}");
                assert_eq!(refusal(&store, &format!("SELECT * FROM \"{name}\"()")), expected);
                assert_eq!(
                    refusal(&store, &format!("FROM system.main.\"{name}\"('x', y => 1)")),
                    expected
                );
            }
        }
    }
}

#[test]
fn what_does_more_than_read_is_refused_wherever_it_stands() {
    let store = DuckDbStore::open(":memory:").unwrap();
    for sql in [
        "SELECT * FROM enable_logging(level = 'debug')",
        "SELECT * FROM (SELECT * FROM Enable_Logging())",
        "WITH c AS (FROM enable_logging()) SELECT 1",
        "SELECT 1 FROM logs, LATERAL (SELECT * FROM enable_logging()) AS t",
        "SELECT (SELECT count(*) FROM enable_logging())",
        "SELECT 1 WHERE EXISTS (FROM enable_logging())",
        "SELECT 1 UNION ALL SELECT 2 FROM enable_logging()",
        "SELECT * FROM (PIVOT (FROM enable_logging()) ON x IN (1) USING count(*))",
        "SUMMARIZE SELECT * FROM enable_logging()",
        "SELECT 1 ORDER BY (SELECT 1 FROM enable_logging())",
    ] {
        let expected = "a query may not use the table function enable_logging";
        assert_eq!(refusal(&store, sql), expected, "{sql}");
    }
    for (sql, name) in [
        ("SELECT getenv('HOME')", "getenv"),
        ("SELECT current_setting('memory_limit')", "current_setting"),
        ("SELECT main.nextval('s')", "nextval"),
        ("SELECT 1 LIMIT (SELECT setseed(0.5) IS NULL)", "setseed"),
        ("SELECT write_log('x')", "write_log"),
        ("SELECT sum(1) OVER (ORDER BY sleep_ms(9))", "sleep_ms"),
        (
            "SELECT json_serialize_plan('FROM enable_logging()')",
            "json_serialize_plan",
        ),
    ] {
        assert_eq!(
            refusal(&store, sql),
            format!("a query may not use the function {name}"),
            "{sql}"
        );
    }
    for sql in [
        "FROM duckdb_settings",
        "FROM duckdb_logs",
        "FROM pragma_database_list",
        "FROM pg_settings",
        "FROM pg_catalog.PG_DATABASE",
        "FROM 's.duckdb'",
        "FROM s.db",
        "FROM '/tmp/x.DDB?a'",
    ] {
        assert!(refusal(&store, sql).starts_with("a query may not use"), "{sql}");
    }
    for sql in [
        "CHECKPOINT",
        "SET threads = 1",
        "CALL enable_logging()",
        "SELECT 1; SELECT 2",
        "",
    ] {
        assert_eq!(refusal(&store, sql), "give one SELECT", "{sql}");
    }
    for sql in [
        "SHOW TABLES",
        "DESCRIBE logs",
        "SUMMARIZE logs",
        "VALUES (1)",
        "FROM information_schema.tables",
    ] {
        assert!(!store.execute_query(sql, &[]).unwrap().rows.is_empty(), "{sql}");
    }
}

#[test]
fn views_and_macros_of_other_programs_do_no_more_than_queries() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.duckdb");
    let store = DuckDbStore::open(&path).unwrap();
    store.append_logs(&[log(0, "sshd", "x")]).unwrap();
    let other = duckdb::Connection::open(&path).unwrap();
    other
        .execute_batch(
            r#"CREATE VIEW of_sshd AS SELECT * FROM logs WHERE appname = 'sshd';
            CREATE VIEW "x AS SELECT 1 --" (a) AS SELECT count(*) FROM duckdb_settings();
            CREATE VIEW indirect AS SELECT * FROM "x AS SELECT 1 --";
            CREATE MACRO twice(n) AS n * 2;
            CREATE MACRO told() AS (SELECT count(*) FROM duckdb_settings());
            CREATE MACRO range(n) AS TABLE SELECT * FROM duckdb_settings();"#,
        )
        .unwrap();
    other.close().unwrap();
    let rows = |sql| store.execute_query(sql, &[]).unwrap().rows;
    assert_eq!(
        rows("SELECT count(*), twice(4) FROM of_sshd"),
        [[json!(1), json!(8)]]
    );
    for sql in [
        r#"FROM "x AS SELECT 1 --""#,
        "SELECT 1 FROM Indirect",
        "SELECT told()",
        "FROM range(3)",
    ] {
        let expected = "a query may not use the table function duckdb_settings";
        assert_eq!(refusal(&store, sql), expected, "{sql}");
    }
}

#[test]
fn files_can_be_read_only_with_access_to_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.csv");
    std::fs::write(&file, "n\n41\n").unwrap();
    let sql = format!("SELECT n + 1 FROM read_csv('{}')", file.display());
    let without = DuckDbStore::open(":memory:").unwrap();
    assert_eq!(
        refusal(&without, &sql),
        "a query may not use the table function read_csv"
    );
    let with = DuckDbStore::options()
        .external_access(true)
        .open(":memory:")
        .unwrap();
    assert_eq!(with.execute_query(&sql, &[]).unwrap().rows, [[42]]);
    assert!(refusal(&with, "FROM enable_logging()").contains("enable_logging"));
}

#[test]
fn rows_come_before_a_query_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.duckdb");
    drop(DuckDbStore::open(&path).unwrap());
    for access in [Access::Shared, Access::Exclusive] {
        let store = DuckDbStore::options().access(access).open(&path).unwrap();
        // All of them would take for ever, and more memory than there is.
        let sql = "SELECT n, repeat('x', 100) FROM range(1_000_000_000_000) AS t(n)";
        let rows = store.stream_query(sql, &[]).unwrap();
        assert_eq!(rows.columns[0], "n");
        let first: Vec<_> = rows.take(3).map(|row| row.unwrap()[0].clone()).collect();
        assert_eq!(first, [0, 1, 2]);
        // The engine is free again.
        store.append_logs(&[log(0, "x", "y")]).unwrap();
    }
}

const ENDLESS: &str = "SELECT count(*) FROM range(1_000_000_000) AS a, range(1_000_000_000) AS b";

#[test]
fn a_query_ends_when_its_time_is_over() {
    let cli = Cli::new();
    cli.write("a.log", "hello\n");
    cli.output(&["ingest", "a.log"]);
    let (code, problem) = cli.failure(&["query", ENDLESS, "--timeout", "100ms"]);
    assert_eq!(code, 3, "{problem}");
    assert!(problem.contains("the query was ended after 100ms"), "{problem}");
    cli.write("logstore.toml", "[store]\nquery_timeout = \"100ms\"\n");
    let (code, problem) = cli.failure(&["query", ENDLESS]);
    assert_eq!((code, problem.contains("was ended")), (3, true), "{problem}");
    for arguments in [
        &["query", "SELECT count(*) AS count FROM logs"][..],
        &["count"],
        &["fetch"],
        &["export", "a.jsonl"],
    ] {
        let mut arguments = arguments.to_vec();
        arguments.extend(["--timeout", "1h"]);
        assert_eq!(cli.rows(&arguments).len(), 1, "{arguments:?}");
    }
    let store = DuckDbStore::options()
        .query_timeout(Some(std::time::Duration::from_millis(100)))
        .open(":memory:")
        .unwrap();
    let ended = store.execute_query(ENDLESS, &[]);
    assert!(matches!(ended, Err(Error::TimedOut { .. })), "{ended:?}");
    assert_eq!(store.execute_query("SELECT 1", &[]).unwrap().rows, [[1]]);
}

#[test]
fn an_error_shows_its_place() {
    let cli = Cli::new();
    cli.write("a.log", "hello\n");
    cli.output(&["ingest", "a.log"]);
    for (sql, shown) in [
        (
            "SELECT foo FROM logs",
            "\n\n   LINE 1: SELECT foo FROM logs\n                  ^\n",
        ),
        (
            "SELECT 1\n FORM x",
            "\n\n   LINE 2:  FORM x\n                 ^\n",
        ),
    ] {
        let (code, problem) = cli.failure(&["query", sql]);
        assert_eq!(code, 2);
        assert!(problem.ends_with(shown), "{problem}");
    }
    let (_, problem) = cli.failure(&["query", "SELECT CAST('\u{1b}[31m\r' AS INTEGER) AS a FROM logs"]);
    assert!(!problem.contains(['\u{1b}', '\r']), "{problem:?}");
    let (_, problem) = cli.failure(&["query", "SELECT CAST(message AS INTEGER) FROM logs"]);
    assert!(problem.contains("Could not convert string 'hello'"), "{problem}");
    assert!(!problem.contains("json_array"), "{problem}");
}

#[test]
fn the_last_error_is_json_where_the_log_is() {
    let cli = Cli::new();
    for (arguments, expected) in [
        (&["stats"][..], 3),
        (&["query", "SELECT", "--database", ":memory:"], 2),
        (&["no-such-command"], 2),
        (&["fetch", "--limit", "x"], 2),
        (&["stats", "--config", "missing.toml"], 3),
    ] {
        let mut with_flag = arguments.to_vec();
        with_flag.push("--log-format=json");
        let (code, problem) = cli.failure(&with_flag);
        assert_eq!(code, expected, "{problem}");
        let line: serde_json::Value = serde_json::from_str(&problem).unwrap();
        assert_eq!(line["level"], "error");
        assert!(!line["message"].as_str().unwrap().is_empty());
        assert!(line["time"].is_string());
        let mut by_variable = cli.command(arguments);
        let output = by_variable.env("LOGSTORE_LOG__FORMAT", "json").output().unwrap();
        assert_eq!(output.status.code(), Some(expected));
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(
            serde_json::from_str::<serde_json::Value>(&errors).is_ok(),
            "{errors}"
        );
    }
    assert!(cli.failure(&["stats"]).1.starts_with("logstore: "));
}

#[test]
fn times_are_written_as_rfc_3339_has_them() {
    let store = DuckDbStore::open(":memory:").unwrap();
    for (sql, expected) in [
        ("TIMESTAMP '2024-05-01 12:00:00'", "2024-05-01T12:00:00Z"),
        (
            "TIMESTAMP '2024-05-01 12:00:00.000001'",
            "2024-05-01T12:00:00.000001Z",
        ),
        ("TIMESTAMP '0001-05-01 12:00:00.5'", "0001-05-01T12:00:00.5Z"),
        (
            "TIMESTAMP_NS '2024-05-01 12:00:00.123456789'",
            "2024-05-01T12:00:00.123456789Z",
        ),
        ("TIMESTAMP_S '2024-05-01 12:00:00'", "2024-05-01T12:00:00Z"),
        ("TIMESTAMPTZ '2024-05-01 14:00:00+02'", "2024-05-01T12:00:00Z"),
        ("DATE '2024-05-01'", "2024-05-01"),
        // What RFC 3339 cannot hold is as the engine has it.
        ("TIMESTAMP 'infinity'", "infinity"),
        ("TIMESTAMPTZ '-infinity'", "-infinity"),
        ("TIMESTAMP '10000-01-01 00:00:00'", "10000-01-01 00:00:00"),
        ("TIMESTAMP '0044-03-15 (BC) 00:00:00'", "0044-03-15 (BC) 00:00:00"),
    ] {
        let answer = store
            .execute_query(&format!("SELECT {sql}, NULL::TIMESTAMP"), &[])
            .unwrap();
        assert_eq!(answer.rows, [[json!(expected), json!(null)]], "{sql}");
    }
}

#[test]
fn a_time_that_a_query_gives_can_be_asked_for() {
    let store = DuckDbStore::open(":memory:").unwrap();
    store
        .append_logs(&[log(0, "sshd", "first"), log(1, "sshd", "second")])
        .unwrap();
    let first = store
        .execute_query("SELECT min(event_time) FROM logs", &[])
        .unwrap();
    let time = first.rows[0].clone();
    let found = store
        .execute_query("SELECT message FROM logs WHERE event_time = ?", &time)
        .unwrap();
    assert_eq!(found.rows, [[json!("first")]]);
}

/// Queries of `logs` that name it in all kinds of ways.
const OF_LOGS: [&str; 8] = [
    "SELECT message FROM logs WHERE procid = 7",
    "SELECT logs.message FROM Logs WHERE procid = 7",
    "SELECT message FROM main.logs WHERE procid = 7",
    "SELECT main.logs.message FROM logs WHERE procid = 7",
    "WITH logs AS (SELECT * FROM logs WHERE procid = 7) SELECT message FROM logs -- mine",
    "SELECT a.message FROM logs a WHERE a.seq = (SELECT max(b.seq) FROM logs b WHERE b.appname = a.appname);",
    "SELECT b.message FROM logs a, LATERAL (SELECT * FROM logs WHERE seq = a.seq + 1) b",
    "WITH RECURSIVE last(seq) AS (SELECT 1 UNION SELECT logs.seq FROM logs, last WHERE logs.seq = last.seq + 1)
        SELECT message FROM logs WHERE seq = (SELECT max(seq) FROM last)",
];

#[test]
fn logs_are_read_however_a_query_names_them() {
    let store = DuckDbStore::open(":memory:").unwrap();
    store
        .append_logs(&[log(0, "sshd", "first"), log(1, "sshd", "second").with_procid(7)])
        .unwrap();
    for sql in OF_LOGS {
        assert_eq!(store.execute_query(sql, &[]).unwrap().rows, [["second"]], "{sql}");
    }
    assert_views_agree(&store);
    let types = |logs: &str| {
        let sql = format!("SELECT column_name, column_type FROM (DESCRIBE {logs})");
        store.execute_query(&sql, &[]).unwrap().rows
    };
    assert_eq!(types("logs"), types("main.logs"));
    let lists = [
        "SELECT count(*) FROM (SHOW TABLES) WHERE name = 'logs'",
        "SELECT count(*) FROM duckdb_views() WHERE view_name = 'logs'",
        "SELECT count(*) FROM information_schema.tables WHERE table_name = 'logs'",
    ];
    for sql in lists {
        assert_eq!(store.execute_query(sql, &[]).unwrap().rows, [[1]], "{sql}");
    }
}

#[test]
fn rows_become_values_of_the_callers_own_types() {
    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Row {
        message: String,
        procid: Option<u32>,
    }
    let store = DuckDbStore::open(":memory:").unwrap();
    store
        .append_logs(&[log(0, "sshd", "first"), log(1, "sshd", "second").with_procid(7)])
        .unwrap();
    let rows = || {
        store
            .stream_query("SELECT message, procid, seq FROM logs ORDER BY seq", &[])
            .unwrap()
    };
    let expected = [("first", None), ("second", Some(7))].map(|(message, procid)| Row {
        message: message.to_owned(),
        procid,
    });
    assert_eq!(
        rows()
            .deserialize::<Row>()
            .collect::<Result<Vec<_>, _>>()
            .unwrap(),
        expected
    );
    let tuples: Vec<(String, Option<u32>, u64)> = rows().deserialize().collect::<Result<_, _>>().unwrap();
    assert_eq!(tuples[1], ("second".to_owned(), Some(7), 2));
    let lists: Vec<Vec<serde_json::Value>> = rows().deserialize().collect::<Result<_, _>>().unwrap();
    assert_eq!(lists[0], [json!("first"), json!(null), json!(1)]);
    let count = store.execute_query("SELECT count(*) FROM logs", &[]).unwrap();
    assert_eq!(count.clone().deserialize::<u64>().unwrap(), [2]);
    assert_eq!(count.deserialize::<Option<u64>>().unwrap(), [Some(2)]);
    for (error, expected) in [
        (
            rows().deserialize::<(String,)>().next().unwrap().err(),
            "3 columns for 1 values",
        ),
        (
            rows().deserialize::<(u64, u64, u64)>().next().unwrap().err(),
            "invalid type: string",
        ),
        (
            rows().deserialize::<u64>().next().unwrap().err(),
            "3 columns for 1 value",
        ),
    ] {
        let error = error.unwrap();
        assert!(matches!(error, Error::InvalidInput(_)), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}
