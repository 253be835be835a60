//! Passwords are never shown.

use crate::support::Cli;

const PASSWORD: &str = "hunter2";

/// Runs a command that fails, and looks for the password in what it prints.
fn fails_silently(cli: &Cli, arguments: &[&str]) -> String {
    let (code, problem) = cli.failure(arguments);
    assert!(matches!(code, 2 | 3), "{arguments:?}: {code} {problem}");
    assert!(!problem.contains(PASSWORD), "{arguments:?}: {problem}");
    problem
}

#[test]
fn no_spelling_of_a_password_in_a_location_is_shown_or_made_a_file() {
    let cli = Cli::new();
    cli.write("app.log", "one\n");
    cli.output(&["ingest", "app.log"]);
    for location in [
        "ducklake:postgres:host=127.0.0.1 port=1 PASSWORD=s3cr3t",
        "ducklake:postgres:host=127.0.0.1 port=1 passwd=s3cr3t",
        "ducklake:postgres:host=127.0.0.1 port=1 sslpassword = 's3cr3t x'",
        "ducklake:postgres:host=127.0.0.1 port=1 pasword=s3cr3t",
        "ducklake:postgres://me@127.0.0.1:1/soc?pw=s3cr3t",
        "ducklake:host=127.0.0.1 password=s3cr3t",
        "ducklake:host=127.0.0.1 passwort=s3cr3t",
        "DUCKLAKE:postgres:host=127.0.0.1 password=s3cr3t",
        "host=127.0.0.1 password=s3cr3t",
        "md:x?motherduck_token=s3cr3t",
    ] {
        for arguments in [
            &["-d", location, "config", "show"][..],
            &["-d", location, "count"],
            &["copy", "logstore.duckdb", location],
            &["backup", location],
        ] {
            let output = cli.command(arguments).output().unwrap();
            let text = [output.stdout, output.stderr].concat();
            let text = String::from_utf8_lossy(&text).into_owned();
            assert!(!text.contains("s3cr3t"), "{arguments:?}: {text}");
        }
    }
    let names = std::fs::read_dir(cli.folder.path()).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn a_file_of_settings_that_is_wrong_is_not_shown() {
    let cli = Cli::new();
    for (name, content) in [
        ("a.toml", "[store]\ncatalog_pasword = \"hunter2\"\n"),
        ("a.toml", "[store]\ncatalog_password = \"hunter2\n"),
        ("a.toml", "[store]\ncatalog_password = hunter2\n"),
        ("a.toml", "[store]\ncatalog_password = [\"hunter2\"]\n"),
        ("a.toml", "[store]\ncatalog_password = { x = \"hunter2\" }\n"),
        ("a.toml", "[store.s3]\nsecret_acess_key = \"hunter2\"\n"),
        ("a.toml", "catalog_password = \"hunter2\"\n"),
        ("a.toml", "store = \"hunter2\"\n"),
        ("a.toml", "[store]\ns3 = \"hunter2\"\n"),
        ("a.toml", "[stroe]\ncatalog_password = \"hunter2\"\n"),
        (
            "a.toml",
            "[store]\ncatalog_password = \"hunter2\"\ncatalog_password = \"hunter2\"\n",
        ),
        ("a.yaml", "store:\n  catalog_password: [hunter2]\n"),
        ("a.yaml", "store:\n  catalog_password: hunter2: x\n"),
        ("a.yaml", "store: hunter2\n"),
        ("a.yaml", "hunter2\n"),
        ("a.yaml", "store:\n\tcatalog_password: hunter2\n"),
    ] {
        cli.write(name, content);
        let problem = fails_silently(&cli, &["--config", name, "config", "show"]);
        assert!(problem.contains(name), "{content}: {problem}");
    }
    let misspelt = "[store]\ncatalog_pasword = \"x\"\n";
    cli.write("a.toml", misspelt);
    let problem = fails_silently(&cli, &["--config", "a.toml", "stats"]);
    assert!(
        problem.contains("setting \"store.catalog_pasword\" from a.toml: there is no such"),
        "{problem}"
    );
}

#[test]
fn a_password_may_look_like_a_number() {
    let cli = Cli::new();
    for written in ["12345", "\"12345\"", "\"007\""] {
        cli.write("a.toml", format!("[store]\ncatalog_password = {written}\n"));
        let shown = cli.output(&["--config", "a.toml", "config", "get", "store.catalog_password"]);
        assert_eq!(shown, "[hidden]\n");
    }
    for value in ["12345", "007", "true", "[x", "{}", "\"quoted\"", "1.50"] {
        for (variable, key) in [
            ("LOGSTORE_STORE__CATALOG_PASSWORD", "store.catalog_password"),
            (
                "LOGSTORE_STORE__S3__SECRET_ACCESS_KEY",
                "store.s3.secret_access_key",
            ),
            ("LOGSTORE_STORE__S3__ACCESS_KEY_ID", "store.s3.access_key_id"),
            ("LOGSTORE_DATABASE", "database"),
        ] {
            let mut command = cli.command(&["config", "get", key]);
            let output = command.env(variable, value).output().unwrap();
            let shown = String::from_utf8(output.stdout).unwrap();
            let is_hidden = variable.contains("PASSWORD") || variable.contains("SECRET");
            let expected = if is_hidden { "[hidden]" } else { value };
            assert_eq!(shown.trim_end(), expected, "{variable}={value}");
        }
    }
    let mut threads = cli.command(&["config", "get", "store.threads"]);
    let output = threads.env("LOGSTORE_STORE__THREADS", "3").output().unwrap();
    assert_eq!(output.stdout, b"3\n");
}

#[test]
fn a_server_is_no_file() {
    let cli = Cli::new();
    cli.write("a.log", "hello\n");
    cli.output(&["ingest", "a.log"]);
    for server in [
        "postgres://me:hunter2@db/soc",
        "postgresql://me:hunter2@db/soc",
        "postgres:host=db password=hunter2",
        "https://me:hunter2@example.org/logs",
        "s3://hunter2/logs",
    ] {
        for arguments in [
            &["--database", server, "stats"][..],
            &["--database", server, "ingest", "a.log"],
            &["copy", "logstore.duckdb", server],
            &["copy", server, "b.duckdb"],
            &["--database", server, "--log-level", "trace", "query", "SELECT 1"],
        ] {
            let problem = fails_silently(&cli, arguments);
            assert!(problem.contains("ducklake:postgres://"), "{problem}");
        }
        let shown = cli.output(&["--database", server, "config", "show"]);
        assert!(!shown.contains(PASSWORD), "{shown}");
    }
    let mut names: Vec<_> = std::fs::read_dir(cli.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["a.log", "logstore.duckdb"]);
}
