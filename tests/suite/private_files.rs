//! What lies around a store: for its owner alone, gone when it is not needed, and nothing that passes for the store.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use logstore::duckdb::Access;
use logstore::{DuckDbStore, Error, LogQuery, LogStore as _};

use crate::processes::terminate;
use crate::support::{Cli, log, make_large_store};

fn is_open_to_others(metadata: &fs::Metadata) -> bool {
    const OTHERS: u32 = 0o077;
    metadata.permissions().mode() & OTHERS > 0
}

/// Every file and folder below one, with what others may do with it.
fn readable_by_others(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else {
        return found;
    };
    for entry in entries.filter_map(Result::ok) {
        let Ok(metadata) = entry.metadata() else { continue };
        let is_closed = !is_open_to_others(&metadata);
        if !is_closed {
            found.push(entry.path());
        }
        // What is in a closed folder is out of reach.
        if metadata.is_dir() && !is_closed {
            found.extend(readable_by_others(&entry.path()));
        }
    }
    found
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Waits until another process has stored one log.
fn wait_for_a_log(cli: &Cli) {
    let is_stored = || {
        let output = cli.command(&["count", "--format", "csv"]).output().unwrap();
        output.stdout.ends_with(b"\n1\n")
    };
    while !is_stored() {
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Starts a command, and waits until it has made something that a name begins with.
fn start_until(cli: &Cli, arguments: &[&str], appears: impl Fn(&str) -> bool) -> Child {
    let mut child = cli.program(arguments).stdout(Stdio::null()).spawn().unwrap();
    while !names(cli.folder.path()).iter().any(|name| appears(name)) {
        assert!(child.try_wait().unwrap().is_none(), "{arguments:?} ended before");
        std::thread::sleep(Duration::from_millis(1));
    }
    child
}

#[test]
fn nobody_else_can_read_what_holds_logs() {
    let cli = Cli::new();
    let store = cli.path("logstore.duckdb");
    make_large_store(&store, 300_000);
    for (arguments, folder) in [
        (&["backup", "copy.duckdb"][..], ".logstore-"),
        (&["export", "logs.csv"], ".logstore-"),
        (&["export", "logs.parquet"], ".logstore-"),
        (&["count", "--by", "raw"], "logstore.duckdb.tmp"),
    ] {
        let child = start_until(&cli, arguments, |name| name.starts_with(folder));
        assert_eq!(
            readable_by_others(cli.folder.path()),
            Vec::<PathBuf>::new(),
            "{arguments:?}"
        );
        kill(child);
        assert_eq!(
            readable_by_others(cli.folder.path()),
            Vec::<PathBuf>::new(),
            "{arguments:?}"
        );
    }
    // What the killed ones left is gone with the next of each kind.
    cli.output(&["export", "logs.jsonl", "-n", "1"]);
    cli.output(&["count"]);
    assert_eq!(names(cli.folder.path()), ["logs.jsonl", "logstore.duckdb"]);
    assert_eq!(readable_by_others(cli.folder.path()), Vec::<PathBuf>::new());
}

#[test]
fn what_the_engine_spills_is_private() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("soc.duckdb");
    make_large_store(&path, 600_000);
    let options = DuckDbStore::options().memory_limit("64MiB").threads(1);
    let store = options.access(Access::Exclusive).open(&path).unwrap();
    let temp = folder.path().join("soc.duckdb.tmp");
    let is_spilled = || {
        let folders = fs::read_dir(&temp).into_iter().flatten().filter_map(Result::ok);
        folders
            .filter_map(|folder| fs::read_dir(folder.path()).ok())
            .any(|mut files| files.next().is_some())
    };
    std::thread::scope(|scope| {
        let sort = "SELECT count(*) FROM (SELECT id, raw FROM logs ORDER BY id, raw LIMIT 500000)";
        let query = scope.spawn(|| store.execute_query(sort, &[]));
        while !is_spilled() && !query.is_finished() {
            assert_eq!(readable_by_others(folder.path()), Vec::<PathBuf>::new());
        }
        assert!(is_spilled() || query.is_finished());
        assert_eq!(fs::metadata(&temp).unwrap().mode() & 0o777, 0o700);
        query.join().unwrap().unwrap();
    });
    drop(store);
    assert_eq!(names(folder.path()), ["soc.duckdb"]);
}

#[test]
fn a_failed_export_leaves_nothing() {
    let cli = Cli::new();
    cli.write("app.log", "one\n");
    cli.output(&["ingest", "app.log"]);
    cli.write("logs.csv", "mine");
    cli.failure(&["export", "logs.csv"]);
    cli.failure(&["export", "missing/logs.csv"]);
    cli.failure(&["export", "new.csv", "--where", "nonsense..=1"]);
    assert_eq!(
        names(cli.folder.path()),
        ["app.log", "logs.csv", "logstore.duckdb"]
    );
    assert_eq!(fs::read_to_string(cli.path("logs.csv")).unwrap(), "mine");
}

#[test]
fn a_store_that_is_moved_away_is_not_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("soc.duckdb");
    let store = DuckDbStore::open(&path).unwrap();
    store.append_logs(&[log(0, "a", "one")]).unwrap();
    fs::rename(&path, folder.path().join("moved.duckdb")).unwrap();
    for outcome in [
        store.append_logs(&[log(1, "a", "two")]).map(drop),
        store.count_logs(&LogQuery::new()).map(drop),
    ] {
        let error = outcome.unwrap_err();
        assert!(matches!(error, Error::NoStore { .. }), "{error:?}");
        assert!(error.to_string().contains("moved or deleted"), "{error}");
    }
    assert!(!path.exists());
    fs::rename(folder.path().join("moved.duckdb"), &path).unwrap();
    store.append_logs(&[log(1, "a", "two")]).unwrap();
    assert_eq!(store.count_logs(&LogQuery::new()).unwrap(), 2);
}

#[test]
fn following_ends_with_an_error_when_the_store_is_gone() {
    let cli = Cli::new();
    let file = cli.write("app.log", "one\n");
    let mut child = cli
        .program(&["ingest", "--follow", "app.log", "--interval", "50ms"])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait_for_a_log(&cli);
    fs::rename(cli.path("logstore.duckdb"), cli.path("moved.duckdb")).unwrap();
    fs::write(&file, "one\ntwo\n").unwrap();
    let output = child.wait().and_then(|_| child.wait_with_output()).unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("moved or deleted"), "{text}");
    assert!(!cli.path("logstore.duckdb").exists());
}

#[test]
fn a_store_with_two_names_is_refused() {
    let cli = Cli::new();
    cli.write("app.log", "one\n");
    cli.output(&["ingest", "app.log"]);
    fs::hard_link(cli.path("logstore.duckdb"), cli.path("other.duckdb")).unwrap();
    for name in ["logstore.duckdb", "other.duckdb"] {
        for command in [&["count"][..], &["--read-only", "count"], &["ingest", "app.log"]] {
            let (code, text) = cli.failure(&[&["-d", name][..], command].concat());
            assert!(
                code == 3 && text.contains("2 names") && text.contains("keep one"),
                "{text}"
            );
        }
    }
    fs::remove_file(cli.path("other.duckdb")).unwrap();
    assert_eq!(cli.rows(&["count"])[0]["count"], 1);
    // A symbolic link is another name of the same file, not another file name of the same content.
    std::os::unix::fs::symlink("logstore.duckdb", cli.path("link.duckdb")).unwrap();
    assert_eq!(cli.rows(&["-d", "link.duckdb", "count"])[0]["count"], 1);
}

#[test]
fn a_planted_link_is_not_followed() {
    let cli = Cli::new();
    cli.write("app.log", "one\n");
    let victim = cli.write("victim/file", "important");
    cli.write("victim/.logstore-x/file", "important");
    std::os::unix::fs::symlink(&victim, cli.path("new.duckdb.wal")).unwrap();
    // A new store is put in its place without looking, but nothing is written to it then.
    let (code, text) = cli.failure(&["-d", "new.duckdb", "ingest", "app.log"]);
    assert!(code == 3 && text.contains("cannot be trusted"), "{text}");
    cli.output(&["ingest", "app.log"]);
    std::os::unix::fs::symlink(cli.path("missing"), cli.path("logstore.duckdb.wal")).unwrap();
    for command in [&["count"][..], &["ingest", "app.log"], &["--read-only", "count"]] {
        let (code, text) = cli.failure(command);
        assert!(code == 3 && text.contains("cannot be trusted"), "{text}");
    }
    fs::remove_file(cli.path("logstore.duckdb.wal")).unwrap();
    // Spilling goes elsewhere, and nothing is removed there.
    std::os::unix::fs::symlink(cli.path("victim"), cli.path("logstore.duckdb.tmp")).unwrap();
    assert_eq!(cli.rows(&["count"])[0]["count"], 1);
    assert!(cli.path("victim/.logstore-x/file").exists() && !cli.path("missing").exists());
    assert_eq!(fs::read_to_string(&victim).unwrap(), "important");
}

/// The engine would write its WAL beside the other file, readable for all.
#[test]
fn a_link_that_takes_the_place_of_an_open_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let [path, moved] = ["soc.duckdb", "moved.duckdb"].map(|name| folder.path().join(name));
    let store = DuckDbStore::open(&path).unwrap();
    store.append_logs(&[log(0, "sshd", "one")]).unwrap();
    fs::rename(&path, &moved).unwrap();
    std::os::unix::fs::symlink(&moved, &path).unwrap();
    for refused in [
        store.count_logs(&LogQuery::new()).map(drop),
        store.append_logs(&[log(1, "sshd", "two")]).map(drop),
    ] {
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("a link has taken its place"), "{refused}");
    }
    let again = DuckDbStore::open(&path).unwrap();
    assert_eq!(again.append_logs(&[log(1, "sshd", "two")]).unwrap().stored, 1);
    assert_eq!(again.count_logs(&LogQuery::new()).unwrap(), 2);
}

#[test]
fn a_pipe_is_no_store() {
    let cli = Cli::new();
    let made = std::process::Command::new("mkfifo")
        .arg(cli.path("pipe"))
        .status()
        .unwrap();
    assert!(made.success());
    cli.write("app.log", "one\n");
    for arguments in [
        &["-d", "pipe", "count"][..],
        &["-d", "pipe", "ingest", "app.log"],
        &["-d", "/dev/null", "count"],
    ] {
        let (code, text) = cli.failure(arguments);
        assert!(code == 3 && text.contains("name a file"), "{text}");
    }
}

#[test]
fn a_backup_put_beside_another_log_is_told_apart_from_damage() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("soc.duckdb");
    let backup = folder.path().join("backup.duckdb");
    let store = DuckDbStore::open(&path).unwrap();
    store.append_logs(&[log(0, "a", "one")]).unwrap();
    store.backup(&backup).unwrap();
    drop(store);
    // A log that its writer had no time to write back.
    let connection = duckdb::Connection::open(&path).unwrap();
    connection
        .execute_batch("SET wal_autocheckpoint = '1TB'; PRAGMA disable_checkpoint_on_shutdown; INSERT INTO consumers (name, position) VALUES ('x', 0)")
        .unwrap();
    connection.close().unwrap();
    let wal = folder.path().join("soc.duckdb.wal");
    assert!(wal.exists());
    fs::copy(&backup, &path).unwrap();
    let error = DuckDbStore::open(&path).map(drop).unwrap_err();
    assert!(matches!(error, Error::NotAStore { .. }), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains("soc.duckdb.wal") && text.contains("move that log away"),
        "{text}"
    );
    fs::rename(&wal, folder.path().join("kept")).unwrap();
    let store = DuckDbStore::open(&path).unwrap();
    assert_eq!(store.stats().unwrap().logs, 1);
}

#[test]
fn stopping_leaves_only_the_store() {
    let cli = Cli::new();
    cli.write("app.log", "one\n");
    let mut child = cli
        .program(&["ingest", "--follow", "app.log", "--interval", "50ms"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait_for_a_log(&cli);
    terminate(&mut child);
    assert_eq!(names(cli.folder.path()), ["app.log", "logstore.duckdb"]);
}
