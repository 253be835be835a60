//! The binary, as its users see it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;

use serde_json::json;

use crate::processes::terminate;
use crate::support::Cli;

const AUTH_LOG: &str = "\
Oct 11 22:14:15 web1 sshd[42]: Failed password for root from 203.0.113.9 port 4 ssh2
Oct 11 22:14:16 web1 sshd[43]: Failed password for invalid user bob from 203.0.113.9 port 5 ssh2
Oct 11 22:20:00 db1 sshd[44]: Accepted publickey for alice from 198.51.100.7 port 6 ssh2
Oct 11 23:00:00 db1 kernel: nothing to see
";

fn with_auth_log() -> Cli {
    let cli = Cli::new();
    cli.write("auth.log", AUTH_LOG);
    cli.output(&["ingest", "auth.log", "--reference-time", "2024-01-01T00:00:00Z"]);
    cli
}

#[test]
fn logs_as_a_table() {
    let cli = with_auth_log();
    insta::assert_snapshot!(cli.output(&["fetch", "--format", "table"]));
    insta::assert_snapshot!(cli.output(&[
        "fetch",
        "--format",
        "table",
        "--where",
        "outcome=failure",
        "-n",
        "1"
    ]));
}

#[test]
fn logs_in_every_order() {
    let cli = with_auth_log();
    let processes = |arguments: &[&str]| -> Vec<i64> {
        cli.rows(arguments)
            .iter()
            .map(|row| row["procid"].as_i64().unwrap_or(0))
            .collect()
    };
    assert_eq!(processes(&["fetch"]), [42, 43, 44, 0]);
    assert_eq!(processes(&["fetch", "--order", "newest"]), [0, 44, 43, 42]);
    assert_eq!(processes(&["fetch", "--limit", "2"]), [44, 0]);
    assert_eq!(
        processes(&["fetch", "--limit", "2", "--order", "oldest"]),
        [42, 43]
    );
    assert_eq!(processes(&["fetch", "--limit", "0"]), [42, 43, 44, 0]);
}

#[test]
fn logs_by_every_filter() {
    let cli = with_auth_log();
    for (arguments, expected) in [
        (
            &["--where", "source_ip=203.0.113.9", "--where", "user!=root"][..],
            1,
        ),
        (&["--in", "user=root,alice"], 2),
        (&["--in", "user= root, alice"], 2),
        (&["--match", "user=^b"], 1),
        (&["--cidr", "source_ip=198.51.100.0/24"], 1),
        (&["--contains", "PASSWORD", "--ignore-case"], 2),
        (&["--regex", "port [45] "], 2),
        (
            &["--since", "2023-10-11 22:20", "--until", "2023-10-11T23:00:00Z"],
            1,
        ),
        (&["--since", "@1697062800"], 2),
        (&["--where", "normalized.\"source.port\"=6"], 1),
    ] {
        let mut all = vec!["fetch"];
        all.extend(arguments);
        assert_eq!(cli.rows(&all).len(), expected, "{arguments:?}");
    }
    cli.finds_nothing(&["fetch", "--since", "1m"]);
}

#[test]
fn what_is_not_shown_or_not_there_is_said() {
    let cli = with_auth_log();
    let empty = cli.write("empty.txt", "# nothing today\n");
    let said = |arguments: &[&str]| {
        let output = cli.command(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let counted = said(&["count", "--by", "user", "--limit", "1"]);
    assert!(counted.starts_with("1 of 4 groups are shown"), "{counted}");
    let pruned = said(&["prune", "--before", "0s", "--filter", "lvl != err", "--dry-run"]);
    assert!(pruned.contains("has the field normalized.lvl"), "{pruned}");
    let imported = said(&["intel", "import", empty.to_str().unwrap()]);
    assert!(imported.contains("has no indicators"), "{imported}");
    let (code, refused) = cli.failure(&["export", "-", "--as", "csv"]);
    assert_eq!((code, refused.contains("logstore fetch")), (2, true), "{refused}");
    assert!(!cli.path("-").exists());
}

#[test]
fn logs_by_the_language_of_filters() {
    let cli = with_auth_log();
    for (filters, expected) in [
        (&["user = root or user = alice"][..], 2),
        (&["not user exists"], 1),
        (&["source_ip in 203.0.113.0/24 and not user = root"], 1),
        (&["host startswith web", "text contains BOB i"], 1),
        (&["source.port > 4"], 2),
        (&["\"source.port\" > 4"], 2),
        (&["appname=kernel OR NOT(outcome=failure)"], 2),
    ] {
        let mut all = vec!["count"];
        all.extend(filters.iter().flat_map(|filter| ["--filter", filter]));
        let output = cli.command(&all).output().unwrap();
        let count = format!("{{\"count\":{expected}}}\n");
        assert_eq!(String::from_utf8_lossy(&output.stdout), count, "{filters:?}");
    }
    let filter = ["--filter", "outcome = failure", "--where", "user=root"];
    assert_eq!(cli.rows(&[&["fetch"], &filter[..]].concat()).len(), 1);
    let exported = cli.rows(&[&["export", "some.csv"], &filter[..]].concat());
    assert_eq!(exported[0]["logs"], 1);
    insta::assert_snapshot!(
        cli.failure(&["fetch", "--filter", "user=root an outcome=failure"])
            .1
    );
}

#[test]
fn a_field_that_no_log_has_is_noted() {
    let cli = with_auth_log();
    for (arguments, expected) in [
        (
            &["fetch", "--where", "usr=root"][..],
            "logstore: no logs matched\n   none of the newest 4 logs has the field normalized.usr: did you mean user?\n",
        ),
        (
            &[
                "count",
                "--every",
                "1h",
                "--filter",
                "src_ip exists and qqqqq = 1",
            ],
            "logstore: no logs matched\n   none of the newest 4 logs has the field normalized.qqqqq\n   \
             none of the newest 4 logs has the field normalized.src_ip: did you mean source_ip?\n",
        ),
        (
            &["fetch", "--filter", "user = nobody or source.port = 9"],
            "logstore: no logs matched\n",
        ),
    ] {
        assert_eq!(cli.failure(arguments), (1, expected.to_owned()), "{arguments:?}");
    }
    for arguments in [
        &["count", "--by", "outcme,user"][..],
        &["export", "none.csv", "--filter", "outcme = failure"],
        &[
            "prune",
            "--before",
            "1s",
            "--dry-run",
            "--filter",
            "outcme = failure",
        ],
    ] {
        let output = cli.command(arguments).output().unwrap();
        assert!(output.status.success());
        let of_export = match arguments {
            ["export", ..] => "warn: no logs matched, so \"none.csv\" has none\n",
            _ => "",
        };
        assert_eq!(
            String::from_utf8_lossy(&output.stderr),
            of_export.to_owned()
                + "none of the newest 4 logs has the field normalized.outcme: did you mean outcome?\n"
        );
    }
}

#[test]
fn shows_logs_and_alerts_by_their_keys() {
    let cli = Cli::new();
    let log =
        json!({"id": "log 1", "event_time": "2024-01-01T12:00:00.5Z", "message": "hello", "user": "root"});
    cli.write("a.jsonl", format!("{log}\n"));
    cli.output(&["ingest", "a.jsonl"]);
    let alert = json!({"id": "alert-1", "alert_type": "x", "detection_method": "y", "severity": "high"});
    let mut add = cli.command(&["alerts", "add"]);
    add.write_stdin(format!("{alert}\n")).assert().success();
    let stored = cli.rows(&["fetch"]).remove(0);
    let id = stored["id"].as_str().unwrap();
    let key = format!("2024-01-01T12:00:00.500Z_{}", id.replace(' ', "%20"));
    assert_eq!(cli.rows(&["show", id]), std::slice::from_ref(&stored));
    assert_eq!(cli.rows(&["show", &key]), std::slice::from_ref(&stored));
    let both = cli.rows(&["show", &key, "alert-1"]);
    assert_eq!((both.len(), &both[1]["severity"]), (2, &json!("high")));
    assert_eq!(cli.rows(&["show", "aler"])[0]["severity"], "high");
    let table = cli.output(&["show", id, "--format", "table", "--time-zone", "Europe/Paris"]);
    assert!(
        table.contains("event_time      2024-01-01T13:00:00.500+01:00\n"),
        "{table}"
    );
    assert!(
        cli.output(&["show", "alert-1", "--format", "csv"])
            .contains("severity,high\n")
    );
    assert_eq!(
        cli.failure(&["show", "nosuch", id]),
        (1, "logstore: no log or alert \"nosuch\"\n".to_owned())
    );
}

#[test]
fn a_row_has_every_field() {
    let cli = with_auth_log();
    let mut row = cli
        .rows(&["fetch", "--limit", "1", "--order", "oldest"])
        .remove(0);
    for name in ["id", "ingestion_time"] {
        assert!(row.as_object_mut().unwrap().remove(name).is_some());
    }
    let expected = json!({
        "event_time": "2023-10-11T22:14:15Z", "timestamp": "Oct 11 22:14:15", "host": "web1", "hostname": "web1",
        "appname": "sshd", "procid": 42, "message": "Failed password for root from 203.0.113.9 port 4 ssh2",
        "source_type": "openssh", "file": "auth.log", "raw": AUTH_LOG.lines().next().unwrap(),
        "metadata": {"format": "openssh/1", "logsource": {"product": "linux", "service": "sshd"}},
        "normalized": {
            "user": "root", "source_ip": "203.0.113.9", "source.port": 4, "action": "ssh_login", "outcome": "failure",
        },
        "source_ip": "203.0.113.9", "source_port": 4, "user": "root", "action": "ssh_login", "outcome": "failure",
    });
    assert_eq!(row, expected);
}

#[test]
fn counts() {
    let cli = with_auth_log();
    assert_eq!(cli.rows(&["count"]), [json!({"count": 4})]);
    assert_eq!(cli.output(&["count", "--format", "table"]), "4\n");
    insta::assert_snapshot!(cli.output(&["count", "--by", "host,outcome", "--format", "table"]));
    insta::assert_snapshot!(cli.output(&["count", "--every", "15m", "--format", "table"]));
    assert_eq!(
        cli.output(&["count", "--by", "user", "--format", "csv"]),
        "count,user\n1,\n1,alice\n1,bob\n1,root\n"
    );
}

#[test]
fn one_rule_says_that_nothing_matched() {
    let cli = with_auth_log();
    for arguments in [
        &["fetch", "--since", "1m"][..],
        &["fetch", "--where", "user=nobody"],
        &["count", "--by", "user", "--since", "1m", "--format", "jsonl"],
        &["count", "--every", "1h", "--since", "1m"],
        &["alerts", "list"],
        &["intel", "list"],
        &["rules", "list"],
    ] {
        cli.finds_nothing(arguments);
    }
    // A number is an answer; the code is that of `grep --count`.
    let output = cli.command(&["count", "--since", "1m"]).output().unwrap();
    assert_eq!(
        (output.status.code(), &output.stdout[..]),
        (Some(1), &b"{\"count\":0}\n"[..])
    );
    let (code, text) = cli.failure(&["fetch", "--since", "2024-01-02", "--until", "2024-01-01"]);
    assert_eq!(
        (code, text.as_str()),
        (
            1,
            "logstore: no logs matched: the range is empty, as --since 2024-01-02T00:00:00Z is not before --until \
             2024-01-01T00:00:00Z\n"
        )
    );
    let (code, text) = cli.failure(&["fetch", "--since", "2024-01-02"]);
    assert_eq!(
        (code, text.as_str()),
        (
            1,
            "logstore: no logs matched\n   the newest log is of 2023-10-11T23:00:00Z, before --since \
             2024-01-02T00:00:00Z\n"
        )
    );
}

#[test]
fn a_note_that_nobody_reads_is_no_error() {
    let cli = with_auth_log();
    let mut command = cli.program(&["count", "--by", "nosuch"]);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn times_are_typed_and_shown_in_a_zone() {
    let cli = with_auth_log();
    let zone = ["--time-zone", "Asia/Tokyo"];
    // 22:14 UTC is 07:14 of the next day there.
    let fetch = |since: &str, until: &str| {
        cli.rows(&[&["fetch", "--since", since, "--until", until][..], &zone].concat())
    };
    let rows = fetch("2023-10-12 07:14:15", "2023-10-12 07:14:16");
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["event_time"], "2023-10-12T07:14:15+09:00");
    assert_eq!(fetch("2023-10-12", "2023-10-13").len(), 4);
    let table = cli.output(&[&["fetch", "--format", "table", "-n", "1"][..], &zone].concat());
    assert!(table.contains("2023-10-12T08:00:00+09:00"), "{table}");
    let csv = cli.output(&[&["count", "--every", "1h", "--format", "csv"][..], &zone].concat());
    assert_eq!(
        csv,
        "start,count\n2023-10-12T07:00:00+09:00,3\n2023-10-12T08:00:00+09:00,1\n"
    );
    // That of times in logs is another one.
    cli.write("local.log", "2024-05-01 12:00:00 hello\n");
    cli.output(&[&["ingest", "local.log", "--zone", "Europe/Paris"][..], &zone].concat());
    let rows = cli.rows(&["fetch", "--since", "2024-05-01", "--until", "2024-05-02"]);
    assert_eq!(rows[0]["event_time"], "2024-05-01T10:00:00Z");
    cli.write("logstore.toml", "time_zone = \"America/New_York\"\n");
    let rows = cli.rows(&["fetch", "--since", "2024-05-01", "--until", "2024-05-02"]);
    assert_eq!(rows[0]["event_time"], "2024-05-01T06:00:00-04:00");
    for since in ["yesterday", "today", "10:00", "-1h", "2 hours ago", "@1697062800"] {
        let output = cli.command(&["count", "--since", since]).output().unwrap();
        assert!(output.status.code() < Some(2), "{since}: {output:?}");
    }
    let (code, text) = cli.failure(&["fetch", "--since", "soon"]);
    assert!(code == 2 && text.contains("2 hours ago"), "{text}");
}

#[test]
fn errors_repeat_no_control_character() {
    let cli = with_auth_log();
    for bad in [
        "\u{1b}[31mred",
        "\u{202e}x",
        "\u{115f}x",
        "a\nlogstore: all is well",
        "\u{9b}2J",
    ] {
        for arguments in [
            vec!["--nonsense", bad],
            vec![bad],
            vec!["fetch", bad],
            vec!["fetch", "--since", bad],
            vec!["fetch", "--where", bad],
            vec!["fetch", "--format", bad],
            vec!["fetch", "--limit", bad],
            vec!["-d", bad, "fetch"],
            vec!["--lock-timeout", bad, "fetch"],
            vec!["--config", bad, "fetch"],
            vec!["ingest", bad],
            vec!["alerts", "ack", bad],
            vec!["alerts", "list", "--severity", bad],
            vec!["intel", "add", bad, "--confidence", bad],
            vec!["rules", "add", "--name", bad, "--type", "x", "--definition", bad],
            vec!["query", bad],
            vec!["export", bad],
            vec!["config", "get", bad],
        ] {
            let (_, text) = cli.failure(&arguments);
            let is_forged = text.lines().any(|line| line.starts_with("logstore: all is well"));
            let is_safe = |c: char| c == '\n' || !c.is_control() && !matches!(c, '\u{202e}' | '\u{115f}');
            assert!(text.chars().all(is_safe) && !is_forged, "{arguments:?}: {text:?}");
        }
    }
}

#[test]
fn alerts() {
    let cli = Cli::new();
    let add = [
        "alerts",
        "add",
        "--type",
        "brute_force",
        "--method",
        "heuristic",
        "--severity",
        "high",
        "--description",
        "many",
        "--source-ip",
        "203.0.113.9",
        "--confidence",
        "0.9",
        "--risk-factor",
        "known_indicator",
    ];
    let added = cli.rows(&add).remove(0);
    assert_eq!(added["priority_score"], 75.0 * 0.95 + 5.0);
    let mut command = cli.command(&["alerts", "add"]);
    let lines = "{\"alert_type\": \"x\", \"detection_method\": \"y\", \"severity\": \"low\"}\n\n";
    command.write_stdin(lines).assert().success();
    assert_eq!(
        cli.rows(&["alerts", "list", "--severity", "high"]),
        std::slice::from_ref(&added)
    );
    assert_eq!(cli.rows(&["alerts", "list", "--min-severity", "low"]).len(), 2);
    assert_eq!(
        cli.rows(&["alerts", "list", "--source-ip", "203.0.113.9", "--since", "1m"])
            .len(),
        1
    );
    cli.output(&["alerts", "ack", added["id"].as_str().unwrap()]);
    assert_eq!(cli.rows(&["alerts", "list", "--open"]).len(), 1);
    assert_eq!(
        cli.rows(&["alerts", "list", "--acknowledged"])[0]["id"],
        added["id"]
    );
}

#[test]
fn an_alert_on_standard_input_has_the_score_that_flags_give() {
    let cli = Cli::new();
    let mut command = cli.command(&["alerts", "add"]);
    let start = "\"alert_type\": \"x\", \"detection_method\": \"y\", \"severity\": \"high\"";
    let lines = format!(
        "{{\"id\": \"1\", {start}}}\n{{\"id\": \"2\", {start}, \"metadata\": {{\"confidence\": 0.9, \"risk_factors\": [\"known_indicator\"]}}}}\n{{\"id\": \"3\", {start}, \"priority_score\": 7.5}}\n"
    );
    command.write_stdin(lines).assert().success();
    let rows = cli.rows(&[
        "query",
        "SELECT priority_score FROM alerts ORDER BY id",
        "--format",
        "jsonl",
    ]);
    let scores: Vec<_> = rows
        .iter()
        .map(|row| row["priority_score"].as_f64().unwrap())
        .collect();
    assert_eq!(scores, [75.0, 75.0 * 0.95 + 5.0, 7.5]);
}

#[test]
fn an_alert_names_addresses_or_none() {
    let cli = Cli::new();
    let alert = [
        "alerts",
        "add",
        "--type",
        "x",
        "--method",
        "y",
        "--severity",
        "high",
    ];
    let added = cli.rows(
        &[
            &alert[..],
            &["--source-ip", "2001:DB8:0::1", "--dest-ip", "::ffff:10.0.0.1"],
        ]
        .concat(),
    );
    assert_eq!(
        (&added[0]["source_ip"], &added[0]["dest_ip"]),
        (&"2001:db8::1".into(), &"10.0.0.1".into())
    );
    for address in ["999.1.1.1", "web1"] {
        let refused = cli
            .command(&[&alert[..], &["--source-ip", address]].concat())
            .assert()
            .code(2);
        assert!(String::from_utf8_lossy(&refused.get_output().stderr).contains(address));
        let line = format!(
            "{{\"alert_type\": \"x\", \"detection_method\": \"y\", \"severity\": \"high\", \"dest_ip\": \"{address}\"}}"
        );
        let mut command = cli.command(&["alerts", "add"]);
        let refused = command.write_stdin(line).assert().failure();
        let errors = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
        assert!(
            errors.contains(address) && errors.contains("is no IP address"),
            "{errors}"
        );
    }
    assert_eq!(cli.rows(&["alerts", "list"]).len(), 1);
}

#[test]
fn threat_intelligence() {
    let cli = Cli::new();
    cli.output(&[
        "intel",
        "add",
        "EVIL.example",
        "--threat-type",
        "c2",
        "--confidence",
        "0.9",
        "--expires",
        "30d",
    ]);
    cli.write("list.txt", "# comment\n203.0.113.9\t3\n198.51.100.0/24\n");
    assert_eq!(
        cli.rows(&["intel", "import", "list.txt"]),
        [json!({"format": "list", "entries": 2, "stored": 2, "refused": 0, "expired": 0})]
    );
    cli.write(
        "misp.json",
        json!({"name": "x", "list": [".dyn.example", "198.51.100.7"]}).to_string(),
    );
    let (code, text) = cli.failure(&["intel", "import", "misp.json", "--source", "misp"]);
    assert!(code == 3 && text.contains("--allow"), "{text}");
    cli.output(&["intel", "import", "misp.json", "--source", "misp", "--allow"]);
    assert_eq!(cli.rows(&["intel", "list"]).len(), 5);
    assert_eq!(
        cli.rows(&["intel", "list", "--type", "domain", "--min-confidence", "0.8"])[0]["indicator_value"],
        "evil.example"
    );
    assert_eq!(cli.rows(&["intel", "list", "--source", "misp"]).len(), 2);
    cli.output(&["intel", "import", "list.txt"]);
    assert_eq!(
        cli.rows(&["intel", "list"]).len(),
        5,
        "importing again doubles nothing"
    );
}

#[test]
fn a_feed_is_taken_without_what_cannot_be_a_threat() {
    let cli = Cli::new();
    cli.write("feed.txt", "203.0.113.10\nnonsense\n10.0.0.1\n");
    let output = cli.program(&["intel", "import", "feed.txt"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("line 2: \"nonsense\"") && said.contains("line 3: \"10.0.0.1\""),
        "{said}"
    );
    assert_eq!(cli.rows(&["intel", "list"]).len(), 1);
    cli.output(&["intel", "import", "feed.txt", "--keep-all"]);
    assert_eq!(cli.rows(&["intel", "list"]).len(), 2);
    cli.write("none.txt", "nonsense\n");
    let (code, text) = cli.failure(&["intel", "import", "none.txt"]);
    assert!(code == 3 && text.contains("has no indicators"), "{text}");
    cli.write("bad.json", "{\"a\": ");
    let (code, text) = cli.failure(&["intel", "import", "bad.json", "--input-format", "stix"]);
    assert!(code == 3 && text.contains("not valid JSON"), "{text}");
}

#[test]
fn a_replaced_feed_lets_the_rest_expire() {
    let cli = Cli::new();
    cli.write("feed.txt", "203.0.113.10\n203.0.113.11\n");
    cli.output(&["intel", "import", "feed.txt"]);
    cli.write("feed.txt", "203.0.113.11\n203.0.113.12\n");
    let counts = cli.rows(&["intel", "import", "feed.txt", "--replace"]);
    assert_eq!(counts[0]["expired"], 1);
    assert_eq!(cli.rows(&["intel", "list"]).len(), 3);
    let valid = cli.rows(&["intel", "list", "--valid"]);
    let values: Vec<_> = valid
        .iter()
        .map(|row| row["indicator_value"].as_str().unwrap())
        .collect();
    assert!(
        values.len() == 2 && !values.contains(&"203.0.113.10"),
        "{values:?}"
    );
}

#[test]
fn rules() {
    let cli = Cli::new();
    cli.output(&[
        "rules",
        "add",
        "--id",
        "r1",
        "--name",
        "Failed",
        "--type",
        "threshold",
        "--definition",
        "{\"count\": 5}",
    ]);
    cli.output(&["rules", "disable", "r1"]);
    assert_eq!(
        cli.rows(&["rules", "list", "--disabled"])[0]["rule_definition"],
        json!({"count": 5})
    );
    cli.output(&["rules", "enable", "r1"]);
    cli.finds_nothing(&["rules", "list", "--disabled"]);
}

#[test]
fn queries_with_parameters() {
    let cli = with_auth_log();
    let sql =
        "SELECT host, count(*) AS n FROM logs WHERE appname = ? AND procid > ? GROUP BY host ORDER BY host";
    let rows = cli.rows(&["query", sql, "--param", "sshd", "--param", "42"]);
    assert_eq!(
        rows,
        [json!({"host": "db1", "n": 1}), json!({"host": "web1", "n": 1})]
    );
    insta::assert_snapshot!(cli.output(&[
        "query",
        "SELECT event_time, message FROM logs ORDER BY seq",
        "--format",
        "table"
    ]));
}

#[test]
fn query_keeps_what_json_has_no_number_for() {
    let cli = with_auth_log();
    let sql = "SELECT 'nan'::DOUBLE AS a, '-infinity'::FLOAT AS b, 1.5 AS c, 170141183460469231731687303715884105727 AS d, \
               sum(procid) AS e FROM logs";
    let expected =
        json!({"a": "nan", "b": "-inf", "c": 1.5, "d": "170141183460469231731687303715884105727", "e": 129});
    assert_eq!(cli.rows(&["query", sql]), [expected]);
    let (code, text) = cli.failure(&["query", "SELECT ['nan'::DOUBLE]"]);
    assert!(code == 2 && text.contains("cast it to VARCHAR"), "{text}");
}

#[test]
fn pruning_asks_first() {
    let cli = with_auth_log();
    assert_eq!(
        cli.rows(&["prune", "--before", "2023-10-11T22:20:00Z", "--dry-run"])[0]["matched"],
        2
    );
    assert_eq!(cli.rows(&["count"])[0]["count"], 4);
    let filter = ["--before", "2023-10-11T22:20:00Z", "--filter", "user = root"];
    assert_eq!(
        cli.rows(&[&["prune", "--dry-run"], &filter[..]].concat())[0]["matched"],
        1
    );
    let (code, text) = cli.failure(&[&["prune"], &filter[..]].concat());
    assert!(
        code == 2 && text.contains("that pass user = root? Say --yes"),
        "{text}"
    );
    assert_eq!(
        cli.rows(&[&["prune", "--yes"], &filter[..]].concat())[0]["deleted"],
        1
    );
    assert_eq!(cli.rows(&["count"])[0]["count"], 3);
    for (flags, matched) in [
        (&["--has", "FAILED"][..], 1),
        (&["--contains", "ailed pass"], 1),
        (&["--contains", "FAILED"], 0),
        (&["--has", "sshd", "--contains", "no such"], 0),
    ] {
        let prune = ["prune", "--before", "now", "--dry-run"];
        assert_eq!(
            cli.rows(&[&prune, flags].concat())[0]["matched"],
            matched,
            "{flags:?}"
        );
    }
    assert_eq!(
        cli.rows(&["prune", "--before", "2023-10-11T22:20:00Z", "--yes"])[0]["deleted"],
        1
    );
    assert_eq!(cli.rows(&["count"])[0]["count"], 2);
}

#[test]
fn exports_in_every_format() {
    let cli = with_auth_log();
    for name in ["logs.parquet", "logs.csv", "it's.jsonl"] {
        assert_eq!(
            cli.rows(&["export", name, "--where", "outcome=failure"])[0]["logs"],
            2
        );
    }
    let lines = std::fs::read_to_string(cli.path("it's.jsonl")).unwrap();
    let first: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    for time in ["event_time", "ingestion_time"] {
        let time = first[time].as_str().unwrap();
        assert!(
            chrono::DateTime::parse_from_rfc3339(time).is_ok() && time.ends_with('Z'),
            "{time}"
        );
    }
    assert_eq!(lines.lines().count(), 2);
    assert!(
        std::fs::read(cli.path("logs.parquet"))
            .unwrap()
            .starts_with(b"PAR1")
    );
    assert!(
        std::fs::read_to_string(cli.path("logs.csv"))
            .unwrap()
            .starts_with("event_time,id")
    );
    let (code, text) = cli.failure(&["export", "logs.csv"]);
    assert!(code == 3 && text.contains("exists already"), "{text}");
}

#[test]
fn settings_come_from_every_layer() {
    let cli = Cli::new();
    cli.write(
        "logstore.toml",
        "database = \"project.duckdb\"\n[ingest]\nzone = \"Europe/Paris\"\n",
    );
    std::fs::create_dir_all(cli.path(".config/logstore")).unwrap();
    cli.write(
        ".config/logstore/logstore.yaml",
        "ingest:\n  zone: Asia/Tokyo\n  batch_size: 7\n",
    );
    let mut command = cli.command(&["config", "show", "--format", "table", "--lock-timeout", "1m"]);
    command.env("LOGSTORE_FETCH__INTERVAL", "5s");
    let output = String::from_utf8(command.output().unwrap().stdout).unwrap();
    insta::assert_snapshot!(output.replace(cli.folder.path().to_str().unwrap(), "~"));
    assert_eq!(cli.output(&["config", "get", "ingest.batch_size"]), "7\n");
    let mut command = cli.command(&["config", "get", "database"]);
    command.env("LOGSTORE_DATABASE", "environment.duckdb");
    assert_eq!(command.output().unwrap().stdout, b"environment.duckdb\n");
}

#[test]
fn the_log_is_for_people_or_for_machines() {
    let cli = with_auth_log();
    let output = cli
        .command(&["stats", "--log-format", "json"])
        .env("LOGSTORE_X", "1")
        .output()
        .unwrap();
    let line: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!((&line["level"], line["time"].is_string()), (&json!("warn"), true));
    assert!(line["message"].as_str().unwrap().contains("LOGSTORE_X"));
    let output = cli.command(&["stats"]).env("LOGSTORE_X", "1").output().unwrap();
    assert!(output.stderr.starts_with(b"warn: "));
    let quiet = cli
        .command(&["stats", "--log-level", "error"])
        .env("LOGSTORE_X", "1")
        .output()
        .unwrap();
    assert!(quiet.stderr.is_empty());
}

#[test]
fn colour_only_where_it_is_wanted() {
    let cli = with_auth_log();
    assert!(!cli.output(&["fetch", "--format", "table"]).contains('\u{1b}'));
    assert!(
        cli.output(&["fetch", "--format", "table", "--color", "always"])
            .contains('\u{1b}')
    );
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let cli = Cli::new();
    let lines: String = (0..20_000).map(|n| format!("line {n}\n")).collect();
    cli.write("many.log", lines);
    cli.output(&["ingest", "many.log"]);
    let mut child = cli
        .program(&["fetch"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut first)
        .unwrap();
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert_eq!((child.wait().unwrap().code(), errors.as_str()), (Some(0), ""));
}

#[test]
fn following_shows_what_other_processes_store() {
    let cli = with_auth_log();
    let mut child = cli
        .program(&["fetch", "--follow", "--interval", "50ms", "--where", "host=web1"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || {
        let line: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        line["procid"].as_i64().unwrap()
    };
    assert_eq!([next(), next()], [42, 43]);
    for process in 100..103 {
        let line = format!("Oct 11 23:00:00 web1 sshd[{process}]: new\nOct 11 23:00:00 db1 sshd[1]: other\n");
        let mut command = cli.command(&["ingest", "-"]);
        command.write_stdin(line).assert().success();
        assert_eq!(next(), process);
    }
    terminate(&mut child);
}

#[test]
fn every_command_has_help() {
    let cli = Cli::new();
    insta::assert_snapshot!(cli.output(&["--help"]));
    for command in [
        "ingest",
        "fetch",
        "show",
        "count",
        "alerts",
        "intel",
        "rules",
        "query",
        "stats",
        "prune",
        "export",
        "config",
        "completions",
        "man",
    ] {
        assert!(
            cli.output(&[command, "--help"]).contains("Usage: logstore"),
            "{command}"
        );
    }
    assert!(cli.output(&["completions", "bash"]).contains("_logstore"));
    assert!(cli.output(&["man"]).starts_with(".ie"));
}

#[test]
fn alerts_of_no_address_are_refused() {
    let cli = Cli::new();
    for flag in ["--source-ip", "--dest-ip"] {
        let (code, text) = cli.failure(&["alerts", "list", flag, "nonsense"]);
        assert!(code == 2 && text.contains("nonsense"), "{text}");
    }
}
