//! Routes from the settings: logs for log sources of rules that are not built in.

use serde_json::{Value, json};

use crate::support::Cli;

const WINDOWS: &str = "{product: windows, category: process_creation}";

fn rule(id: &str, source: &str, selection: &str) -> String {
    format!(
        "title: Rule {id}\nid: {id}\nlogsource: {source}\n\
         detection:\n  selection: {selection}\n  condition: selection\nlevel: high\n---\n"
    )
}

#[test]
fn a_file_of_routes_feeds_other_log_sources() {
    let cli = Cli::new();
    cli.write(
        "rules.yml",
        rule("hot", "{product: toaster}", "{Heat|contains: hot}"),
    );
    cli.write("auth.log", "<38>May  1 10:00:00 kitchen sshd[7]: too hot\n");
    cli.output(&["ingest", "auth.log"]);
    let (_, errors) = cli.failure(&["hunt", "--rules", "rules.yml"]);
    assert!(errors.contains("no logs matched"), "{errors}");
    let before = cli
        .program(&["-d", "other.duckdb", "rules", "import", "rules.yml"])
        .output()
        .unwrap();
    let errors = String::from_utf8(before.stderr).unwrap();
    assert!(
        errors.contains("Never routed") && errors.contains("\"Rule hot\"; to list them"),
        "{errors}"
    );
    cli.write(
        "routes.toml",
        "[[source]]\nof = {product = 'toaster'}\nfed_by = [{product = 'linux'}]\nfields = {Heat = ['@message']}\n",
    );
    cli.write("logstore.toml", "[detect]\nroutes = 'routes.toml'\n");
    let imported: Value = serde_json::from_str(&cli.output(&["rules", "import", "rules.yml"])).unwrap();
    assert_eq!(
        (&imported["works"], &imported["never_routed"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(cli.rows(&["hunt"]).len(), 1);
    assert_eq!(cli.rows(&["rules", "test", "rules.yml", "auth.log"]).len(), 1);

    cli.write("routes.toml", "[[source]]\nof = {product = 'toaster'}\n");
    let (_, errors) = cli.failure(&["detect"]);
    assert!(
        errors.contains("routes.toml") && errors.contains("says nothing"),
        "{errors}"
    );
    cli.write("logstore.toml", "[detect]\nroutes = 'none.toml'\n");
    let (_, errors) = cli.failure(&["rules", "check", "rules.yml"]);
    assert!(errors.contains("none.toml"), "{errors}");
}

#[test]
fn a_setting_lets_the_security_log_feed_process_creation() {
    let cli = Cli::new();
    let rules = [
        rule(
            "all",
            WINDOWS,
            r"{Image|endswith: '\tool.exe', ParentImage|endswith: '\cmd.exe', IntegrityLevel: High, User: ann}",
        ),
        rule(
            "security",
            "{product: windows, service: security}",
            "{EventID: 4688}",
        ),
    ];
    cli.write("rules.yml", rules.concat());
    let event = json!({"Event": {
        "System": {
            "Provider": {"#attributes": {"Name": "Microsoft-Windows-Security-Auditing"}},
            "Channel": "Security",
            "EventID": 4688,
            "Computer": "ws1",
            "TimeCreated": {"#attributes": {"SystemTime": "2024-05-01T10:00:00Z"}},
        },
        "EventData": {
            "NewProcessName": r"C:\tool.exe",
            "ParentProcessName": r"C:\cmd.exe",
            "SubjectUserName": "ann",
            "MandatoryLabel": "S-1-16-12288",
        },
    }});
    cli.write("events.json", format!("{event}\n"));
    cli.output(&["rules", "import", "rules.yml"]);
    cli.output(&["ingest", "events.json"]);
    let found = cli.rows(&["hunt"]);
    assert_eq!((found.len(), &found[0]["rule_id"]), (1, &json!("security")));
    cli.write("logstore.toml", "[detect]\nsecurity_4688 = true\n");
    cli.output(&["detect"]);
    let alerts = cli.rows(&["alerts", "list", "--rule", "all"]);
    assert_eq!(alerts[0]["description"], "Rule all (security event 4688)");
    let alerts = cli.rows(&["alerts", "list", "--rule", "security"]);
    assert_eq!(alerts[0]["description"], "Rule security");
}
