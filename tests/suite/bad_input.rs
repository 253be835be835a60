//! Bad input gets a clear error, and nothing is lost.

use std::path::Path;

use duckdb::Connection;
use logstore::{DuckDbStore, Error, LogQuery, LogStore as _, StoreExt as _};

use crate::support::{Cli, log};

fn assert_failure(cli: &Cli, arguments: &[&str], code: i32, words: &[&str]) {
    let (found, text) = cli.failure(arguments);
    assert_eq!(found, code, "{arguments:?}: {text}");
    for word in words {
        assert!(
            text.contains(word),
            "{arguments:?}: {text:?} does not say {word:?}"
        );
    }
    assert!(!text.contains("panicked"), "{text}");
}

fn with_logs() -> Cli {
    let cli = Cli::new();
    cli.write(
        "a.log",
        "Oct 11 22:14:15 web1 sshd[42]: Failed password for root from 203.0.113.9 port 4 ssh2\n",
    );
    cli.output(&["ingest", "a.log"]);
    cli
}

#[test]
fn questions_that_make_no_sense() {
    let cli = with_logs();
    for (arguments, words) in [
        (
            &["fetch", "--where", "no such=1"][..],
            &["no such", "use one of", "source_ip"][..],
        ),
        (&["fetch", "--where", "appname"], &["appname", "FIELD=VALUE"]),
        (&["fetch", "--where", "procid=seven"], &["seven", "whole number"]),
        (
            &["fetch", "--filter", "user ="],
            &["column 7", "a value", "      ^"],
        ),
        (&["count", "--filter", ""], &["column 1", "a field"]),
        (
            &["prune", "--before", "1s", "--filter", "level >= loud"],
            &["column 10", "warning"],
        ),
        (&["fetch", "--since", "noon"], &["noon", "90s", "2024"]),
        (&["fetch", "--since", "5"], &["5", "90s"]),
        (&["fetch", "--regex", "("], &["regular expression", "unclosed"]),
        (&["fetch", "--regex", "(?=x)"], &["regular expression"]),
        (
            &["fetch", "--cidr", "source_ip=10.0.0.0/99"],
            &["10.0.0.0/99", "10.0.0.0/8"],
        ),
        (&["count", "--by", "x; DROP TABLE logs"], &["DROP TABLE"]),
        (&["count", "--every", "0s"], &["microsecond"]),
        (&["count", "--every", "1h", "-n", "3"], &["--every", "--limit"]),
        (
            &["alerts", "list", "--severity", "severe"],
            &["severe", "critical"],
        ),
        (
            &["alerts", "add", "--type", "x", "--method", "y"],
            &["--severity"],
        ),
        (
            &[
                "alerts",
                "add",
                "--type",
                " ",
                "--method",
                "y",
                "--severity",
                "low",
            ],
            &["alert type", "needs one"],
        ),
        (&["intel", "add", "not an indicator"], &["not an indicator"]),
        (
            &["intel", "add", "10.0.0.1", "--confidence", "7"],
            &["confidence", "7"],
        ),
        (
            &["rules", "add", "--name", "x", "--type", "y", "--definition", "{"],
            &["not JSON"],
        ),
        (&["query", "DROP TABLE logs"], &["SELECT"]),
        (&["query", "SELECT 1; DROP TABLE logs"], &["SELECT"]),
        (&["query", "SELEKT"], &["SELEKT"]),
        (
            &[
                "query",
                "WITH x AS (INSERT INTO logs SELECT * FROM logs RETURNING 1) SELECT 1",
            ],
            &["SELECT"],
        ),
        (
            &["query", "SELECT * FROM read_text('/etc/hostname')"],
            &["may not use the table function read_text"],
        ),
        (&["prune", "--before", "1s"], &["--yes", "Delete 1 log from"]),
        (&["count", "--by", "host,any"], &["any", "name one field"]),
        (&["fetch", "--has", " "], &["a letter or digit", "--contains"]),
        (&["count", "--has", "."], &["a letter or digit", "--contains"]),
        (
            &["count", "--filter", "any has '-'"],
            &["column 9", "letter or digit"],
        ),
        (
            &["fetch", "--filter", "any in 192.0.2.0/24"],
            &["source_ip in 192.0.2.0/24", "dest_ip"],
        ),
        (&["fetch", "--filter", "any = root"], &["any has VALUE"]),
        (
            &["intel", "lookup", "alice"],
            &["alice", "logstore fetch --has 'alice'"],
        ),
        (
            &["detect", "--from", "yesterday"],
            &["earliest or now", "hunt --since 'yesterday' --alerts"],
        ),
        (&["export", "logs.xlsx"], &[".parquet"]),
    ] {
        assert_failure(&cli, arguments, 2, words);
    }
    assert_eq!(cli.rows(&["fetch"]).len(), 1);
}

#[test]
fn conditions_that_are_typed_in_another_form_are_refused() {
    let cli = with_logs();
    for (condition, word) in [
        ("procid>7", "--filter"),
        ("appname= sshd", "blank"),
        ("appname!= sshd", "blank"),
    ] {
        assert_failure(&cli, &["fetch", "--where", condition], 2, &[condition, word]);
    }
}

#[test]
fn whole_values_that_logs_hardly_have_are_followed_by_a_hint() {
    let cli = with_logs();
    for (value, hint) in [
        (
            "192.0.2.0/24",
            "--filter 'source_ip in 192.0.2.0/24', or in all texts by logstore intel lookup 192.0.2.0/24",
        ),
        ("1[.]2[.]3[.]4", "did you mean 1.2.3.4?"),
        ("hxxp://bad[.]example/x", "did you mean http://bad.example/x?"),
        ("198.51.100.4:443", "did you mean 198.51.100.4?"),
        (
            "192.0.2.1,bad.example",
            "--filter 'any has 192.0.2.1 or any has bad.example'",
        ),
    ] {
        for command in ["fetch", "count"] {
            assert_failure(&cli, &[command, "--has", value], 1, &["no logs matched", hint]);
        }
    }
    for value in [
        "198.51.100.4",
        "::ffff:198.51.100.4",
        "Bad.Example",
        "http://bad.example",
        "alice",
    ] {
        let (code, text) = cli.failure(&["fetch", "--has", value]);
        assert_eq!(
            (code, text.as_str()),
            (1, "logstore: no logs matched\n"),
            "{value}"
        );
    }
}

#[test]
fn alerts_without_their_fields() {
    let cli = Cli::new();
    let mut command = cli.command(&["alerts", "add"]);
    let output = command
        .write_stdin("{\"alert_type\": \"x\", \"severity\": \"low\"}\n")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text.contains("line 1") && text.contains("detection_method"),
        "{text}"
    );
}

#[test]
fn what_is_not_there() {
    let cli = with_logs();
    assert_failure(&cli, &["alerts", "ack", "nosuch"], 1, &["no alert", "nosuch"]);
    assert_failure(&cli, &["rules", "disable", "nosuch"], 1, &["no rule", "nosuch"]);
    assert_failure(&cli, &["fetch", "--contains", "nothing holds this"], 1, &[]);
    assert_failure(
        &cli,
        &["ingest", "nosuch.log"],
        3,
        &["nosuch.log", "no such file"],
    );
    assert_failure(
        &cli,
        &["-d", "other.duckdb", "fetch"],
        3,
        &["other.duckdb", "no such file"],
    );
    assert!(!cli.path("other.duckdb").exists(), "reading makes no store");
}

#[test]
fn places_where_no_store_can_be() {
    let cli = Cli::new();
    cli.write("a.log", "x\n");
    cli.write("text.duckdb", "this is no database, however long the text may be");
    std::fs::create_dir(cli.path("folder")).unwrap();
    for (place, words) in [
        ("nosuch/store.duckdb", &["nosuch", "create it first"][..]),
        ("text.duckdb", &["text.duckdb", "not a DuckDB file"]),
        ("folder", &["folder", "name a file"]),
    ] {
        assert_failure(&cli, &["-d", place, "ingest", "a.log"], 3, words);
    }
    assert_eq!(std::fs::read(cli.path("text.duckdb")).unwrap().len(), 49);
}

#[test]
fn places_where_no_file_can_be_written() {
    let cli = with_logs();
    cli.write("there.csv", "x");
    for arguments in [["export", "there.csv"], ["backup", "there.csv"]] {
        assert_failure(
            &cli,
            &arguments,
            3,
            &["cannot write", "there.csv", "exists already"],
        );
    }
    assert_failure(
        &cli,
        &["export", "nosuch/out.csv"],
        3,
        &["cannot write \"nosuch/out.csv\"", "create it first"],
    );
    assert_eq!(std::fs::read(cli.path("there.csv")).unwrap(), b"x");
}

#[test]
fn a_store_of_a_newer_version() {
    let cli = with_logs();
    let connection = Connection::open(cli.path("logstore.duckdb")).unwrap();
    connection
        .execute_batch("UPDATE logstore SET schema_version = 999")
        .unwrap();
    connection.close().unwrap();
    assert_failure(&cli, &["fetch"], 3, &["999", "newer logstore"]);
    assert_failure(&cli, &["ingest", "a.log"], 3, &["999"]);
}

#[test]
fn a_database_without_logs() {
    let cli = Cli::new();
    let connection = Connection::open(cli.path("logstore.duckdb")).unwrap();
    connection
        .execute_batch("CREATE TABLE other (x INTEGER)")
        .unwrap();
    connection.close().unwrap();
    assert_failure(&cli, &["fetch"], 3, &["without a table logs"]);
}

#[test]
fn a_locked_store_says_who_holds_it() {
    let cli = with_logs();
    let path = cli.path("logstore.duckdb");
    let holder = DuckDbStore::options()
        .access(logstore::duckdb::Access::Exclusive)
        .open(&path)
        .unwrap();
    let pid = std::process::id().to_string();
    assert_failure(&cli, &["fetch", "--lock-timeout", "50ms"], 4, &["locked", &pid]);
    drop(holder);
    assert_eq!(cli.rows(&["fetch"]).len(), 1);
}

#[test]
fn settings_that_are_not_valid() {
    let cli = with_logs();
    cli.write("logstore.toml", "[store]\naccess = \"sharde\"\n");
    assert_failure(&cli, &["stats"], 3, &["store.access", "sharde", "logstore.toml"]);
    cli.write("logstore.toml", "[store]\nlock_timeout = \"soon\"\n");
    assert_failure(
        &cli,
        &["stats"],
        3,
        &["store.lock_timeout", "soon", "logstore.toml"],
    );
    cli.write("logstore.toml", "[store]\nlock = 1\n");
    assert_failure(
        &cli,
        &["stats"],
        3,
        &["store.lock", "no such setting", "lock_timeout"],
    );
    cli.write("logstore.toml", "not toml");
    assert_failure(&cli, &["stats"], 3, &["logstore.toml"]);
    std::fs::remove_file(cli.path("logstore.toml")).unwrap();
    assert_failure(&cli, &["stats", "--config", "nosuch.toml"], 3, &["nosuch.toml"]);
    assert_failure(
        &cli,
        &["stats", "--access", "both"],
        3,
        &["store.access", "both", "flag"],
    );
    let output = cli
        .command(&["stats"])
        .env("LOGSTORE_INGEST__BATCH_SIZE", "0")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("LOGSTORE_INGEST__BATCH_SIZE") && text.contains("at least one"),
        "{text}"
    );
    let output = cli
        .command(&["stats"])
        .env("LOGSTORE_STOER__ACCESS", "shared")
        .output()
        .unwrap();
    assert!(output.status.success());
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("LOGSTORE_STOER__ACCESS")
    );
}

#[test]
fn lines_of_100_megabytes() {
    let cli = Cli::new();
    let mut content = vec![b'x'; 100_000_000];
    content.extend_from_slice(b"\nshort\n");
    cli.write("long.log", &content);
    // In parts of 8 MiB.
    assert_eq!(cli.rows(&["ingest", "long.log"])[0]["stored"], 13);
    let rows = cli.rows(&["query", "SELECT length(raw) AS n FROM logs ORDER BY seq"]);
    let lengths: Vec<u64> = rows.iter().map(|row| row["n"].as_u64().unwrap()).collect();
    assert_eq!(lengths[..12].iter().sum::<u64>(), 100_000_000);
    assert!(lengths.iter().all(|length| *length <= (8 << 20) + 1));
    assert_eq!(lengths[12..], [5]);
}

#[test]
fn bytes_that_are_no_text() {
    let cli = Cli::new();
    cli.write("odd.log", b"caf\xe9 \0 nul\n\xff\xfe\n\n{\"a\": \"\xff\"}\n");
    cli.output(&["ingest", "odd.log"]);
    let store = DuckDbStore::open(cli.path("logstore.duckdb")).unwrap();
    let mut logs = store.fetch_logs(&LogQuery::new()).unwrap();
    logs.reverse();
    let raws: Vec<_> = logs.iter().map(|log| log.raw_bytes().unwrap()).collect();
    let expected: [&[u8]; 3] = [b"caf\xe9 \0 nul", b"\xff\xfe", b"{\"a\": \"\xff\"}"];
    assert_eq!(raws, expected);
}

#[test]
fn empty_and_damaged_files() {
    let cli = Cli::new();
    cli.write("empty.log", "");
    cli.write("cut.gz", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x4b");
    cli.write("whole.log", "one\ntwo\n");
    assert_eq!(cli.rows(&["ingest", "empty.log"])[0]["stored"], 0);
    let output = cli.command(&["ingest", "cut.gz", "whole.log"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8(output.stderr).unwrap().contains("cut.gz"));
    assert_eq!(cli.rows(&["fetch", "--where", "file=whole.log"]).len(), 2);
}

/// A full disk, as the engine meets it: no file may grow beyond a limit.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk() {
    let cli = with_logs();
    let lines: String = (0..200_000)
        .map(|n| format!("line {n} {}\n", n * 7919 % 100_003))
        .collect();
    cli.write("many.log", lines);
    let program = assert_cmd::cargo::cargo_bin!("logstore");
    // The limit counts blocks of 1,024 bytes; the signal that goes with it is turned into an error.
    let script = format!(
        "trap '' XFSZ; ulimit -f 2000; {} ingest many.log",
        program.display()
    );
    let mut shell = std::process::Command::new("bash");
    shell.args(["-c", &script]).current_dir(&cli.folder);
    let output = shell.output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("no space left"), "{text}");
    let rows = cli.rows(&["fetch"]);
    assert_eq!(rows.len() % 50_000, 1, "whole batches only");
    cli.output(&["ingest", "many.log"]);
    assert_eq!(cli.rows(&["count"])[0]["count"], 200_001);
}

#[test]
fn writing_to_a_store_for_reading() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.duckdb");
    let store = DuckDbStore::open(&path).unwrap();
    store.append_logs(&[log(0, "a", "x")]).unwrap();
    drop(store);
    let store = DuckDbStore::options().read_only(true).open(&path).unwrap();
    assert!(matches!(
        store.append_logs(&[log(1, "a", "y")]),
        Err(Error::ReadOnly { .. })
    ));
    assert_eq!(store.count_logs(&LogQuery::new()).unwrap(), 1);
    let missing = DuckDbStore::options()
        .read_only(true)
        .open(folder.path().join("nosuch"));
    assert!(matches!(missing, Err(Error::NoStore { .. })));
    assert!(!Path::new(&folder.path().join("nosuch")).exists());
}

#[test]
fn hostile_text_stays_text() {
    let cli = Cli::new();
    let hostile = "\u{1b}[31mred\u{7} \u{202e}turned \u{9b}31m =cmd|' /C calc'!A0 '; DROP TABLE logs; --";
    cli.write("a.log", format!("{hostile}\n"));
    cli.output(&["ingest", "a.log"]);
    let table = cli.output(&["fetch", "--format", "table"]);
    assert!(table.chars().all(|c| c == '\n' || !c.is_control()), "{table:?}");
    assert!(!table.contains('\u{202e}'));
    let line = cli.output(&["fetch", "--format", "jsonl"]);
    assert!(line.chars().all(|c| c == '\n' || !c.is_control()), "{line:?}");
    assert_eq!(cli.rows(&["fetch"])[0]["raw"], hostile);
    assert_eq!(cli.rows(&["fetch", "--contains", hostile]).len(), 1);
    cli.write("b.log", "{\"message\": \"=1+1\", \"user\": \"@x\"}\n");
    cli.output(&["ingest", "b.log"]);
    let csv = cli.output(&["fetch", "--where", "user=@x", "--format", "csv"]);
    assert!(csv.contains(",'=1+1,") && csv.contains(",'@x,"), "{csv}");
}
