//! Formats: the command, definitions of a user, and the list in docs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use logstore::ingest::FormatLibrary;
use sha2::{Digest as _, Sha256};

use crate::support::Cli;

const GATEWAY: &str = r#"
name = "example-gateway"
version = 1
title = "Example Gateway"
structure = "key_value"
time = ["date time tz"]

[logsource]
product = "example"
category = "firewall"

[recognise]
contains = ["gwid="]

[fields]
user = ["login"]

[[sample]]
line = 'May  1 10:00:00 gw gwid=7 date=2024-05-01 time=12:00:00 tz=+0200 srcip=203.0.113.9 login=bob'
gives = { event_time = "2024-05-01T10:00:00Z", host = "gw", source_ip = "203.0.113.9", user = "bob" }
"#;

#[test]
fn a_definition_of_a_user_reads_logs() {
    let cli = Cli::new();
    let folder = cli.path("formats");
    std::fs::create_dir(&folder).unwrap();
    let file = folder.join("example-gateway.toml");
    std::fs::write(&file, GATEWAY).unwrap();
    cli.output(&["formats", "check", file.to_str().unwrap()]);
    std::fs::write(
        cli.path("logstore.toml"),
        format!("[ingest]\nformats = {folder:?}\n"),
    )
    .unwrap();
    std::fs::write(
        cli.path("gw.log"),
        "gwid=8 date=2024-05-02 time=12:00:00 tz=+0200 srcip=203.0.113.8 login=eve\n",
    )
    .unwrap();
    cli.output(&["ingest", "gw.log"]);
    let rows = cli.rows(&["fetch"]);
    assert_eq!(rows[0]["source_type"], "example-gateway");
    assert_eq!(rows[0]["event_time"], "2024-05-02T10:00:00Z");
    assert_eq!(rows[0]["user"], "eve");
    assert_eq!(rows[0]["metadata"]["format"], "example-gateway/1");
    assert_eq!(rows[0]["metadata"]["logsource"]["product"], "example");
    let listed = cli.rows(&["formats", "list"]);
    assert!(listed.iter().any(|format| format["name"] == "example-gateway"));
}

/// A definition as a stranger writes it of the documents alone.
const SWITCH: &str = r#"
name = "example-switch"
version = 1
title = "Example switch"
structure = "pattern"
head = '%(?<facility>[A-Z0-9_]+)-(?<level>[0-7])-(?<event>[A-Z0-9_]+): %{REST:rest}'

[recognise]
program = ["Aaa"]

[values.level]
from = ["level"]
warning = ["4"]
notice = ["5"]

[[pattern]]
match = 'user %{USER:user} logged in \[from: %{IP:source_ip}\].*'
set = { action = "login", outcome = "success" }

[[sample]]
line = 'May  1 10:00:14 sw1 Aaa: %AAA-5-LOGIN: user bob logged in [from: 203.0.113.9] [service: sshd]'
gives = { host = "sw1", program = "Aaa", user = "bob", source_ip = "203.0.113.9", outcome = "success", level = "notice" }
"#;

#[test]
fn a_pattern_that_does_not_match_or_is_none_says_so() {
    let cli = Cli::new();
    for (definition, problem) in [
        (SWITCH.to_owned(), ""),
        (
            SWITCH.replace("logged in", "has logged in"),
            "no [[pattern]] matches",
        ),
        (
            SWITCH.replace("%{USER:user}", "%{USER:user"),
            "a part cannot have the name",
        ),
        (
            SWITCH.replace("%{USER:user}", "%{PERSON:user}"),
            "there is no part %{PERSON}",
        ),
    ] {
        // The line stays as it is.
        let definition = definition.replace("bob has logged in", "bob logged in");
        cli.write("example-switch.toml", &definition);
        let checked = cli
            .command(&["formats", "check", "example-switch.toml"])
            .output()
            .unwrap();
        let text = String::from_utf8(checked.stdout).unwrap();
        assert_eq!(checked.status.success(), problem.is_empty(), "{text}");
        assert!(text.contains(problem), "{text}");
    }
}

#[test]
fn a_sample_that_does_not_hold_is_named() {
    let cli = Cli::new();
    let file = cli.path("example-gateway.toml");
    std::fs::write(&file, GATEWAY.replace("user = \"bob\"", "user = \"eve\"")).unwrap();
    let (code, failed) = cli.failure(&["formats", "check", "example-gateway.toml"]);
    assert_eq!(code, 3);
    assert!(failed.contains("1 problem:"), "{failed}");
    for (broken, reason) in [
        (
            GATEWAY.replace("contains = [\"gwid=\"]", ""),
            "nothing in [recognise]",
        ),
        (
            GATEWAY.replace("structure = \"key_value\"", "structure = \"xml2\""),
            "unknown variant",
        ),
        (
            GATEWAY.replace("[fields]", "[fields]\nnope = [\"x\"]"),
            "unknown variant `nope`",
        ),
    ] {
        std::fs::write(&file, broken).unwrap();
        let arguments = ["--format", "jsonl", "formats", "check", "example-gateway.toml"];
        let output = cli.command(&arguments).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains(reason), "{text}");
    }
}

#[test]
fn a_line_is_tried_on_a_definition() {
    let cli = Cli::new();
    std::fs::write(cli.path("example-gateway.toml"), GATEWAY).unwrap();
    let rows = cli.rows(&[
        "formats",
        "try",
        "example-gateway.toml",
        "gwid=1 srcip=203.0.113.1 login=x",
    ]);
    assert_eq!(rows[0]["source_ip"], "203.0.113.1");
    assert_eq!(rows[0]["user"], "x");
}

/// Returns the list of formats as docs/format-list.md has it.
fn list() -> String {
    let mut text = String::from(
        "# Formats that are built in\n\nThis list is made from the definitions: `UPDATE_FORMAT_LIST=1 scripts/test formats::`.\n\n\
         | format | product | structure | log source | fields of its own |\n|---|---|---|---|---|\n",
    );
    for format in FormatLibrary::built_in().formats() {
        let source = [&format.product, &format.category, &format.service];
        let words: Vec<&str> = source.iter().filter_map(|word| word.as_deref()).collect();
        let (name, title, structure) = (&format.name, &format.title, format.structure);
        let (words, fields) = (words.join(" "), format.fields.join(", "));
        writeln!(text, "| `{name}` | {title} | {structure} | {words} | {fields} |").unwrap();
    }
    text
}

#[test]
fn the_list_in_the_documents_is_that_of_the_library() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/format-list.md");
    if std::env::var_os("UPDATE_FORMAT_LIST").is_some() {
        std::fs::write(&path, list()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written, list(), "run UPDATE_FORMAT_LIST=1 scripts/test formats::");
}

/// The version of a definition, and the digest of what it says.
type Record = (i64, String);

fn library_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ingest/formats/library")
}

/// Returns the record of a definition. Its samples and its title do not change how it reads.
fn record_of(path: &Path) -> (String, Record) {
    let mut table: toml::Table = std::fs::read_to_string(path).unwrap().parse().unwrap();
    let name = table["name"].as_str().unwrap().to_owned();
    let version = table.remove("version").unwrap().as_integer().unwrap();
    table.remove("sample");
    table.remove("title");
    let digest = Sha256::digest(table.to_string());
    let digest = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    (name, (version, digest))
}

fn records() -> BTreeMap<String, Record> {
    let paths = std::fs::read_dir(library_folder())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let definitions = paths.filter(|path| path.extension().is_some_and(|end| end == "toml"));
    definitions.map(|path| record_of(&path)).collect()
}

/// Reads `name version digest` of each line.
fn read_records(text: &str) -> BTreeMap<String, Record> {
    let record = |line: &str| {
        let mut words = line.split(' ').map(str::to_owned);
        let (name, version) = (words.next()?, words.next()?.parse().ok()?);
        Some((name, (version, words.next()?)))
    };
    text.lines().filter_map(record).collect()
}

#[test]
fn a_definition_that_reads_otherwise_has_another_version() {
    let path = library_folder().join("versions.txt");
    let known = read_records(&std::fs::read_to_string(&path).unwrap_or_default());
    let today = records();
    for (name, (version, digest)) in &today {
        if let Some((before, was)) = known.get(name) {
            assert!(
                version > before || version == before && digest == was,
                "{name}: the definition has changed since version {before}: count its version up"
            );
        }
    }
    if std::env::var_os("UPDATE_FORMAT_VERSIONS").is_some() {
        let lines = today
            .iter()
            .map(|(name, (version, digest))| format!("{name} {version} {digest}\n"));
        std::fs::write(&path, lines.collect::<String>()).unwrap();
        return;
    }
    assert_eq!(
        known, today,
        "run UPDATE_FORMAT_VERSIONS=1 scripts/test formats::"
    );
}
