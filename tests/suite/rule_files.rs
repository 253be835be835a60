//! Rules in files and archives, as the users of the program see them.

use serde_json::{Value, json};

use crate::sources::zip;
use crate::support::Cli;

/// A rule on processes of Windows.
fn rule(id: &str, image: &str) -> String {
    format!(
        "title: Rule {id}\nid: {id}\nlogsource: {{product: windows, category: process_creation}}\n\
         detection:\n  selection: {{Image|endswith: '{image}'}}\n  condition: selection\nlevel: high\n"
    )
}

/// A tar archive of these members, compressed by gzip.
fn tar_gz(members: &[(&str, &[u8])]) -> Vec<u8> {
    let encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let mut archive = tar::Builder::new(encoder);
    for (name, content) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        archive.append_data(&mut header, name, *content).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

fn import(cli: &Cli, name: &str) -> (Value, String) {
    let output = cli.command(&["rules", "import", name]).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{errors}");
    (serde_json::from_slice(&output.stdout).unwrap(), errors)
}

#[test]
fn a_file_that_cannot_be_read_does_no_harm_to_others() {
    let cli = Cli::new();
    cli.write("rules/a.yml", b"\xff\xfe");
    cli.write("rules/b.yml", format!("x: {}", "[".repeat(100_000)));
    cli.write("rules/c.yml", rule("one", r"\one.exe"));
    let (counts, errors) = import(&cli, "rules");
    assert_eq!((&counts["works"], &counts["refused"]), (&json!(1), &json!(2)));
    assert!(
        errors.contains("not UTF-8") && errors.contains("1,000 deep"),
        "{errors}"
    );
}

#[test]
fn an_import_fails_if_all_rules_are_refused() {
    let cli = Cli::new();
    cli.write("rules/b.yml", "title: x");
    let output = cli.command(&["rules", "import", "rules"]).output().unwrap();
    let counts: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&counts["rules"], &counts["refused"]), (&json!(1), &json!(1)));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("all rules are refused"), "{errors}");
}

#[test]
fn archives_of_rules_are_read_and_a_later_release_replaces_them() {
    let cli = Cli::new();
    let (one, two) = (rule("one", r"\one.exe"), rule("two", r"\two.exe"));
    let other = ("sigma/LICENSE.txt", b"title: no rule\n".as_slice());
    cli.write(
        "sigma.zip",
        zip(&[
            other,
            ("sigma/rules/one.yml", one.as_bytes()),
            ("sigma/rules/two.YAML", two.as_bytes()),
        ]),
    );
    let (imported, _) = import(&cli, "sigma.zip");
    assert_eq!((&imported["rules"], &imported["works"]), (&json!(2), &json!(2)));
    let file = cli.rows(&["rules", "list"])[0]["rule_definition"]["logstore"]["file"].clone();
    assert!(
        file.as_str().unwrap().contains("sigma.zip/sigma/rules/"),
        "{file}"
    );

    let changed = rule("one", r"\uno.exe");
    cli.write(
        "sigma.zip",
        zip(&[other, ("sigma/rules/one.yml", changed.as_bytes())]),
    );
    let (imported, errors) = import(&cli, "sigma.zip");
    assert_eq!(
        imported["imported"],
        json!({"new": 0, "changed": 1, "unchanged": 0, "vanished": 1})
    );
    assert!(errors.contains("two"), "{errors}");

    cli.write(
        "sigma.tar.gz",
        tar_gz(&[
            ("sigma-2/rules/one.yml", changed.as_bytes()),
            ("sigma-2/rules/two.yml", two.as_bytes()),
        ]),
    );
    let (imported, _) = import(&cli, "sigma.tar.gz");
    assert_eq!(
        imported["imported"],
        json!({"new": 0, "changed": 0, "unchanged": 2, "vanished": 0})
    );
}

#[test]
fn a_hunt_takes_the_rules_of_an_archive() {
    let cli = Cli::new();
    cli.write(
        "rules.tar.gz",
        tar_gz(&[("rules/one.yml", rule("one", r"\one.exe").as_bytes())]),
    );
    let event = json!({"Event": {
        "System": {"Channel": "Microsoft-Windows-Sysmon/Operational", "EventID": 1, "Computer": "ws1"},
        "EventData": {"UtcTime": "2024-05-01 10:00:00", "Image": r"C:\one.exe"},
    }});
    cli.write("events.json", format!("{event}\n"));
    cli.output(&["ingest", "events.json"]);
    assert_eq!(cli.rows(&["hunt", "--rules", "rules.tar.gz"]).len(), 1);
}

#[test]
fn what_has_no_rules_or_too_long_ones_gets_a_sentence() {
    let cli = Cli::new();
    cli.write("none.zip", zip(&[("readme.txt", b"x")]));
    let (code, errors) = cli.failure(&["rules", "import", "nosuch.yml"]);
    assert_eq!(code, 3);
    assert!(
        errors.contains("cannot read rules from \"nosuch.yml\": No such file"),
        "{errors}"
    );
    let (_, errors) = cli.failure(&["rules", "check", "none.zip"]);
    assert!(
        errors.contains("the archive has no files *.yml or *.yaml"),
        "{errors}"
    );
    let long = vec![b'#'; (16 << 20) + 1];
    cli.write("long.zip", zip(&[("long.yml", &long)]));
    cli.write("long.tar.gz", tar_gz(&[("long.yml", &long)]));
    for name in ["long.zip", "long.tar.gz"] {
        let (_, errors) = cli.failure(&["rules", "import", name]);
        assert!(errors.contains("is longer than 16 MiB"), "{name}: {errors}");
    }
    cli.write("cut.tar.gz", &tar_gz(&[("a.yml", &long[..100_000])])[..60]);
    let (_, errors) = cli.failure(&["rules", "import", "cut.tar.gz"]);
    assert!(errors.contains("cannot read rules from"), "{errors}");
}
