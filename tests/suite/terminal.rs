//! The binary in a terminal: a pseudo-terminal, and an emulator that draws what the program writes to it.

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::process::Stdio;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use logstore::alerts::{AlertAction, AlertEvent};
use logstore::{AlertStore as _, DuckDbStore};

use crate::exactly_once::lines;
use crate::support::{Cli, at};

/// More than any of these commands prints.
const ROWS: u16 = 500;

/// What a user sees.
struct Screen {
    code: i32,
    lines: Vec<String>,
    /// Lines that did not fit into the terminal.
    wrapped: Vec<String>,
}

impl Screen {
    fn text(&self) -> String {
        self.lines.join("\n").trim_end().to_owned()
    }
}

/// Runs the binary in a terminal of this width.
fn run(cli: &Cli, columns: u16, arguments: &[&str]) -> Screen {
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&controller).unwrap();
    unlockpt(&controller).unwrap();
    let size = Winsize {
        ws_row: ROWS,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&controller, size).unwrap();
    let name = ptsname(&controller, Vec::new()).unwrap();
    let terminal = OpenOptions::new()
        .read(true)
        .write(true)
        .open(name.to_str().unwrap())
        .unwrap();
    let mut command = cli.program(arguments);
    command
        .env("TERM", "xterm-256color")
        .stdin(Stdio::null())
        .stdout(terminal.try_clone().unwrap())
        .stderr(terminal);
    let mut child = command.spawn().unwrap();
    // With the last handle of the program's side gone, reading ends with an error.
    drop(command);
    let mut written = Vec::new();
    File::from(controller).read_to_end(&mut written).ok();
    let code = child.wait().unwrap().code().unwrap();
    let mut emulator = vt100::Parser::new(ROWS, columns, 0);
    emulator.process(&written);
    let screen = emulator.screen();
    let rows: Vec<String> = screen
        .rows(0, columns)
        .map(|row| row.trim_end().to_owned())
        .collect();
    let is_wrapped = |row: &usize| screen.row_wrapped(u16::try_from(*row).unwrap());
    Screen {
        code,
        wrapped: (0..rows.len())
            .filter(is_wrapped)
            .map(|row| rows[row].clone())
            .collect(),
        lines: rows,
    }
}

const WIDTHS: [u16; 5] = [40, 60, 80, 120, 200];

const LONG_HOST: &str = "a-host-with-a-name-of-fifty-three-characters.example.o";

fn with_data() -> Cli {
    let cli = Cli::new();
    let line = format!(
        "Oct 11 22:14:15 {LONG_HOST} sshd[42]: Failed password for root from 203.0.113.9 port 4 ssh2\n"
    );
    cli.write("auth.log", line.repeat(3));
    cli.output(&["ingest", "auth.log", "--reference-time", "2024-01-01T00:00:00Z"]);
    for severity in ["high", "informational"] {
        for _ in 0..2 {
            cli.output(&[
                "alerts",
                "add",
                "--type",
                "brute_force",
                "--method",
                "heuristic",
                "--severity",
                severity,
                "--source-ip",
                "2001:db8:1111:2222:3333:4444:5555:6666",
                "--user",
                "root",
                "--host",
                LONG_HOST,
                "--description",
                "20 failed logins in 4 minutes",
            ]);
        }
    }
    let suppress = [
        "alerts",
        "suppress",
        "add",
        "--rule",
        "5013c332-8a70-4d91-8e1a-cde29a5d2a54",
    ];
    cli.output(&[&suppress[..], &["--reason", "the audit of the year"]].concat());
    let url = format!("https://evil.example/{}", "x".repeat(150));
    cli.output(&["intel", "add", &url, "--threat-type", "phishing"]);
    let name = "Failed logins ".repeat(10);
    cli.output(&[
        "rules",
        "add",
        "--name",
        &name,
        "--type",
        "threshold",
        "--definition",
        "{\"count\": 5}",
    ]);
    cli
}

/// Every command that prints a table, and what each of its rows shows at any width.
fn tables() -> Vec<(Vec<&'static str>, &'static str)> {
    vec![
        (vec!["fetch"], "2023-10-11T22:14:15Z"),
        (vec!["fetch", "-n", "1"], "2023-10-11T22:14:15Z"),
        (vec!["count", "--by", "host"], "3"),
        (vec!["count", "--by", "host,source_ip,user,action"], "3"),
        (vec!["count", "--every", "1h"], "2023-10-11T22:00:00Z"),
        (vec!["alerts", "list"], "high"),
        (vec!["alerts", "list", "--severity", "high"], "high"),
        (vec!["alerts", "list", "-n", "1", "--severity", "high"], "high"),
        (vec!["alerts", "suppress", "list"], "audit"),
        (vec!["intel", "list"], "phishing"),
        (vec!["intel", "lookup", "203.0.113.9"], "2023-10-11T22:14:15Z"),
        (vec!["rules", "list"], "thresho"),
        (vec!["query", "SELECT * FROM logs"], "sshd"),
        (vec!["query", "SELECT host, source_ip FROM logs"], "203.0.113.9"),
        (vec!["query", "SELECT raw FROM logs"], "Oct 11 22:14:15"),
        (vec!["ingest", "auth.log"], "stored"),
        (vec!["stats"], "threat intel"),
        (vec!["check"], "log_rows"),
        (vec!["config", "show"], "store.lock_timeout"),
        (vec!["extensions", "list"], "ducklake"),
        (vec!["maintain", "--retention", "900000d"], "delete old logs"),
        (vec!["prune", "--before", "90d", "--dry-run"], "matched"),
    ]
}

#[test]
fn every_table_shows_its_rows_at_every_width() {
    let cli = with_data();
    for columns in WIDTHS {
        for (arguments, expected) in tables() {
            let screen = run(&cli, columns, &arguments);
            let text = screen.text();
            assert_eq!(screen.code, 0, "{arguments:?}: {text}");
            assert!(
                text.to_lowercase().contains(&expected.to_lowercase()),
                "{arguments:?} at {columns}: {text}"
            );
            // The name of a file, or a hint, may go on in the next line; a row of a table never does.
            let is_prose = |line: &String| line.starts_with("No room for") || text.contains("data_path");
            let wrapped: Vec<_> = screen.wrapped.iter().filter(|line| !is_prose(line)).collect();
            assert!(
                wrapped.is_empty() || arguments == ["stats"],
                "{arguments:?} at {columns}: {text}"
            );
            let letters = screen.lines.iter().filter(|line| line.trim().len() == 1).count();
            assert!(letters <= 1, "{arguments:?} at {columns}: {text}");
        }
    }
}

#[test]
fn alerts_in_a_terminal() {
    let cli = Cli::new();
    for (n, severity) in ["high", "medium"].into_iter().enumerate() {
        let alert = serde_json::json!({
            "id": format!("01900000-0000-7000-8000-00000000000{n}"), "alert_type": "brute_force",
            "detection_method": "heuristic", "severity": severity, "created_at": "2024-05-01T12:00:00Z",
            "source_ip": "203.0.113.9", "user": "root", "host": LONG_HOST, "priority_score": 50.0,
            "description": "20 failed logins in 4 minutes",
        });
        cli.command(&["alerts", "add"])
            .write_stdin(alert.to_string())
            .assert()
            .success();
    }
    for columns in WIDTHS {
        let screen = run(&cli, columns, &["alerts", "list", "--color", "never"]);
        let text = screen.text();
        insta::assert_snapshot!(format!("alerts_in_{columns}_columns"), text);
    }
}

#[test]
fn an_alert_in_a_terminal() {
    let (cli, ids) = crate::alerts::with_alerts();
    let store = DuckDbStore::open(cli.path("logstore.duckdb")).unwrap();
    let note = AlertEvent::new(AlertAction::Note);
    let mut note = note.by("ann").with_note("asked mallory");
    note.at = at(100);
    store.update_alerts(&[&ids[0]], &note).unwrap();
    drop(store);
    for columns in [60, 80] {
        let text = run(&cli, columns, &["alerts", "show", &ids[0]]).text();
        // The alert was raised by this run.
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("raised")).collect();
        insta::assert_snapshot!(format!("an_alert_in_{columns}_columns"), lines.join("\n"));
        let list = run(&cli, columns, &["alerts", "list", "--color", "never"]).text();
        insta::assert_snapshot!(format!("counted_alerts_in_{columns}_columns"), list);
    }
}

#[test]
fn what_matters_fits_into_80_columns() {
    let (cli, ids) = crate::alerts::with_alerts();
    cli.output(&["alerts", "close", &ids[1], "--verdict", "benign"]);
    let list = ["alerts", "list", "--status", "any", "--color", "never"];
    insta::assert_snapshot!("alerts_of_any_status", run(&cli, 80, &list).text());
    let rules = [
        "5013c332-8a70-4d91-8e1a-cde29a5d2a54",
        "5013c332-9000-4d91-8e1a-cde29a5d2a54",
    ]
    .map(|id| {
        format!(
            "title: Suspicious Download Of A Program By A Shell\nid: {id}\nlogsource: {{product: linux}}\n\
             detection: {{words: [curl, wget], condition: words}}\nlevel: informational\n"
        )
    });
    cli.write("rules.yml", rules.join("---\n"));
    cli.output(&["rules", "import", "rules.yml"]);
    cli.output(&["rules", "disable", "5013c332-8"]);
    let text = run(&cli, 80, &["rules", "list", "--color", "never"]).text();
    insta::assert_snapshot!("rules_in_80_columns", text);
    // The second one was changed at the time of this run, and is in a folder of this run.
    let text = run(&cli, 80, &["rules", "show", "5013c332-9"]).text();
    let (_, definition) = text.split_once("rule_definition").unwrap();
    let definition: Vec<&str> = definition
        .lines()
        .take_while(|line| !line.starts_with("enabled"))
        .collect();
    insta::assert_snapshot!(
        "a_rule",
        definition.join("\n").split("  logstore:").next().unwrap()
    );
}

#[test]
fn a_lookup_shows_hosts_in_80_columns() {
    let cli = with_data();
    let text = run(
        &cli,
        80,
        &[
            "intel",
            "lookup",
            "203.0.113.9",
            "203.0.113.10",
            "--color",
            "never",
        ],
    )
    .text();
    insta::assert_snapshot!("a_lookup_in_80_columns", text);
    let text = run(&cli, 160, &["intel", "lookup", "203.0.113.9", "--color", "never"]).text();
    assert!(text.contains("HOSTS") && text.contains("a-host-with"), "{text}");
}

#[test]
fn logs_in_a_terminal() {
    let cli = with_data();
    for columns in WIDTHS {
        let screen = run(&cli, columns, &["fetch", "--color", "never"]);
        let text = screen.text();
        insta::assert_snapshot!(format!("logs_in_{columns}_columns"), text);
    }
}

#[test]
fn names_of_columns_are_escaped() {
    let cli = with_data();
    let sql = "SELECT 1 AS \"\u{1b}]0;x\u{7}\u{202e}y\"";
    for format in ["table", "csv"] {
        let text = run(&cli, 80, &["query", sql, "--format", format, "--color", "never"]).text();
        assert!(
            text.contains("u{1b}") || text.contains("U{1B}"),
            "{format}: {text:?}"
        );
        assert!(!text.contains('\u{202e}'), "{format}: {text:?}");
    }
}

#[test]
fn a_search_that_finds_nothing_says_so() {
    let cli = with_data();
    let screen = run(&cli, 80, &["fetch", "--where", "user=nobody"]);
    assert_eq!(
        (screen.code, screen.text().as_str()),
        (1, "logstore: no logs matched")
    );
}

#[test]
fn a_warning_leaves_no_progress_bar_above_it() {
    let cli = Cli::new();
    cli.write("logs/a.log", lines(0..40_000));
    for n in 0..20 {
        cli.write(&format!("logs/b{n:02}.bin"), b"\x7fELF\x02\x01\x01\0\0\0\0\0");
    }
    cli.write("logs/c.log", lines(40_000..60_000));
    let screen = run(&cli, 80, &["ingest", "logs", "--color", "never"]);
    let text = screen.text();
    assert_eq!(screen.code, 0, "{text}");
    let warnings = screen.lines.iter().filter(|line| line.starts_with("warn: "));
    assert_eq!(warnings.count(), 20, "{text}");
    assert!(!text.contains(['█', '░']), "{text}");
}

#[test]
fn reasons_of_rules_are_not_cut() {
    let cli = Cli::new();
    let rule = "title: A\nid: a\nlogsource: {product: windows, category: process_creation}\ndetection:\n  \
                selection: {'Image|containz': x}\n  condition: selection\n";
    cli.write("rule.yml", rule);
    for columns in [70, 80, 120] {
        let screen = run(&cli, columns, &["rules", "check", "rule.yml"]);
        assert_eq!(screen.code, 1);
        assert_eq!(screen.wrapped, Vec::<String>::new());
        assert!(!screen.text().contains('…'), "{}", screen.text());
        let words: Vec<&str> = screen.text().leak().split_whitespace().collect();
        assert!(
            words
                .join(" ")
                .contains("no modifier of Sigma: did you mean contains?"),
            "{words:?}"
        );
    }
}
