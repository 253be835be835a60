//! The data files of a lake: damaged, lost, on a full disk, under a path that is taken.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use chrono::{TimeDelta, Utc};
use logstore::duckdb::{DataFileState, MaintenanceOptions, MaintenanceStep};
use logstore::ingest::{FilePosition, FileProgress, ResumePoint};
use logstore::{
    Alert, AlertStore as _, ConsumerStore as _, Cursor, DuckDbStore, Error, IngestStore as _, LogEntry,
    LogQuery, LogStore as _, Severity,
};

use crate::support::{Cli, alert, at, log};
use crate::test_lake::{self, EXTENSIONS, S3_FOLDER, TestLake, given, options};

const DAY: i64 = 86_400;

/// Too many to be kept in the catalog.
fn logs_of_day(day: i64, count: i64) -> Vec<LogEntry> {
    let seconds = (0..count).map(|n| day * DAY + n);
    seconds
        .map(|second| log(second, "sshd", "Failed password"))
        .collect()
}

/// The data files below a folder, in the order of their paths.
fn data_files(folder: &Path) -> Vec<PathBuf> {
    let files = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter();
    let files = files.map(|entry| entry.unwrap().into_path());
    files
        .filter(|path| path.extension().is_some_and(|extension| extension == "parquet"))
        .collect()
}

fn folder_of(store: &DuckDbStore) -> PathBuf {
    store.stats().unwrap().data_path.unwrap().into()
}

/// The problems of the data files, as `check` and `check --data` find them.
fn problems(store: &DuckDbStore) -> Vec<String> {
    store.check_data(|_| ()).unwrap().problems
}

/// Flips a bit; a second time, flips it back.
fn flip_a_bit(file: &Path, place: usize) {
    let mut content = fs::read(file).unwrap();
    content[place] ^= 1 << (place % 8);
    fs::write(file, content).unwrap();
}

const STRICT: MaintenanceOptions = MaintenanceOptions {
    retention: None,
    snapshot_retention: TimeDelta::zero(),
    unused_file_retention: TimeDelta::zero(),
    delete_orphaned_files: false,
};

/// Runs all steps: the outcome of each, and the errors of those that failed.
fn maintain(store: &DuckDbStore, plan: &MaintenanceOptions) -> (Vec<MaintenanceStep>, Vec<Error>) {
    let (mut steps, mut errors) = (Vec::new(), Vec::new());
    for step in store.maintain(plan).unwrap() {
        match step {
            Ok(step) => steps.push(step),
            Err(error) => errors.push(error),
        }
    }
    (steps, errors)
}

fn count(steps: &[MaintenanceStep], name: &str) -> u64 {
    steps.iter().find(|step| step.name == name).unwrap().count
}

fn keeping(days: i64) -> MaintenanceOptions {
    MaintenanceOptions {
        retention: Some(Utc::now() - at(days * DAY)),
        ..STRICT
    }
}

#[test]
fn a_flipped_bit_in_any_data_file_is_found() {
    let Some(lake) = TestLake::in_file() else {
        return;
    };
    let store = lake.open();
    for day in 0..3 {
        store.append_logs(&logs_of_day(day, 300)).unwrap();
    }
    let folder = folder_of(&store);
    let files = data_files(&folder);
    assert_eq!(files.len(), 3);
    assert_eq!(problems(&store), [""; 0]);
    for (day, file) in files.iter().enumerate() {
        let whole = fs::read(file).unwrap();
        // In the mark of the format, in pages, in statistics.
        let places = [
            1,
            whole.len() / 3,
            whole.len() / 2,
            whole.len() - 60,
            whole.len() - 2,
        ];
        for place in places {
            flip_a_bit(file, place);
            let found = problems(&store);
            assert_eq!(found.len(), 1, "{file:?} at {place}: {found:?}");
            for part in [
                file.to_str().unwrap(),
                "is damaged",
                &format!("300 rows of log_rows of 2024-01-0{}", day + 1),
                "restore this file from a backup",
                "--drop-lost",
            ] {
                assert!(found[0].contains(part), "{part} in {found:?}");
            }
            fs::write(file, &whole).unwrap();
        }
        fs::remove_file(file).unwrap();
        assert!(problems(&store)[0].contains("is missing"));
        fs::write(file, &whole).unwrap();
    }
    flip_a_bit(&files[0], 100);
    let checks = store.check().unwrap();
    let data = checks.iter().find(|check| check.table == "data files").unwrap();
    assert_eq!((data.rows, data.problems.len()), (Some(3), 1));
    flip_a_bit(&files[0], 100);
}

#[test]
fn files_that_upkeep_writes_have_checksums_and_damage_is_not_merged() {
    let Some(lake) = TestLake::in_postgres() else {
        return;
    };
    let store = lake.open();
    for n in 0..3 {
        store.append_logs(&logs_of_day(n * 10, 300)).unwrap();
        store.append_logs(&logs_of_day(n * 10, 30)).unwrap();
        // Small commits, which the catalog keeps until they are flushed.
        store.append_logs(&[log(n * 10 * DAY, "cron", "tick")]).unwrap();
    }
    let alerts: Vec<Alert> = (0..150)
        .map(|n| alert(&n.to_string(), Severity::Low, n))
        .collect();
    store.store_alerts(&alerts).unwrap();
    let (steps, errors) = maintain(&store, &STRICT);
    assert!(errors.is_empty(), "{errors:?}");
    assert!(count(&steps, "merge files") > 0, "{steps:?}");
    assert!(count(&steps, "record checksums") > 3, "{steps:?}");
    let states = |store: &DuckDbStore| -> Vec<DataFileState> {
        let checks = store.check_data_files().unwrap();
        checks.map(|file| file.unwrap().state).collect()
    };
    assert!(
        states(&store).iter().all(|state| *state == DataFileState::Whole),
        "{:?}",
        states(&store)
    );
    // Another process has made a file next to one that is damaged since.
    store.append_logs(&logs_of_day(10, 290)).unwrap();
    let more: Vec<LogEntry> = (0..200).map(|n| log(10 * DAY + 1_000 + n, "web", "x")).collect();
    store.append_logs(&more).unwrap();
    let mut files = store.check_data_files().unwrap().map(Result::unwrap);
    let file = files.find(|file| file.file.contains("day=11")).unwrap();
    let file = PathBuf::from(file.file);
    let whole = fs::read(&file).unwrap();
    flip_a_bit(&file, whole.len() / 2);
    let (steps, errors) = maintain(&store, &STRICT);
    assert_eq!(errors.len(), 1, "{errors:?}");
    let source = std::error::Error::source(&errors[0]).unwrap().to_string();
    assert!(source.contains(file.to_str().unwrap()), "{source}");
    assert!(steps.iter().any(|step| step.name == "record checksums"));
    fs::write(&file, whole).unwrap();
    assert!(maintain(&store, &STRICT).1.is_empty());
    assert!(problems(&store).is_empty());
    assert_eq!(store.count_logs(&LogQuery::new()).unwrap(), 3 * 331 + 290 + 200);
}

#[test]
fn a_damaged_file_is_not_copied() {
    let Some(folder) = given(EXTENSIONS) else {
        return;
    };
    let cli = Cli::new();
    cli.write(
        "logstore.toml",
        format!("[store]\nextension_directory = \"{folder}\"\n"),
    );
    let lines: String = (0..500)
        .map(|n| format!("2024-01-01T00:00:00Z web1 app[{n}]: hello\n"))
        .collect();
    cli.write("app.log", lines);
    cli.output(&["-d", "ducklake:a", "ingest", "app.log"]);
    cli.output(&["-d", "ducklake:a", "check", "--data"]);
    cli.output(&["copy", "ducklake:a", "good.duckdb"]);
    let file = data_files(&cli.path("a.files")).remove(0);
    let whole = fs::read(&file).unwrap();
    flip_a_bit(&file, whole.len() / 2);
    let (code, error) = cli.failure(&["copy", "ducklake:a", "bad.duckdb"]);
    let named = file.file_name().unwrap().to_str().unwrap();
    assert!(code == 3 && error.contains(named), "{error}");
    let output = cli
        .command(&["-d", "ducklake:a", "check", "--data"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8(output.stdout).unwrap().contains(named));

    // The loss is shown before anything is dropped.
    let path = file.canonicalize().unwrap().display().to_string();
    let maintain = |arguments: &[&str]| {
        let arguments = [
            &["-d", "ducklake:a", "maintain", "--drop-lost", &path][..],
            arguments,
        ]
        .concat();
        let output = cli.command(&arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, shown) = maintain(&[]);
    assert_eq!(code, Some(2), "{shown}");
    assert!(
        shown.contains("500 rows of log_rows of 2024-01-01") && shown.contains("--yes"),
        "{shown}"
    );
    fs::write(&file, whole).unwrap();
    let (code, shown) = maintain(&["--yes"]);
    assert_eq!(code, Some(2), "{shown}");
    assert!(shown.contains("only a file that is lost"), "{shown}");
    fs::remove_file(&file).unwrap();
    let (code, shown) = maintain(&["--yes"]);
    assert_eq!(code, Some(0), "{shown}");
    assert_eq!(cli.rows(&["-d", "ducklake:a", "count"])[0]["count"], 0);
    cli.output(&["-d", "ducklake:a", "check"]);
}

/// `lose` removes one or more of the files that it is given, and returns these.
fn upkeep_goes_on_around_a_lost_file(store: &DuckDbStore, lose: impl Fn(Vec<String>) -> Vec<String>) {
    for day in 0..6 {
        for _ in 0..2 {
            store.append_logs(&logs_of_day(day, 200)).unwrap();
        }
    }
    let read = store.read_after(Cursor::BEGINNING, 150).unwrap().next;
    store.commit("slow", None, read, &[]).unwrap();
    store
        .commit("done", None, store.end_cursor().unwrap(), &[])
        .unwrap();
    let of_day = |day: u32| {
        let is_of_day = |date: chrono::NaiveDate| date.to_string().ends_with(&day.to_string());
        let files = store.check_data_files().unwrap().map(Result::unwrap);
        let files = files.filter(|file| file.first_day.is_some_and(is_of_day));
        files.map(|file| file.file).collect::<Vec<_>>()
    };
    let lost = lose(of_day(2));
    let kept = of_day(6).remove(0);

    let (steps, errors) = maintain(store, &keeping(4));
    for name in ["expire snapshots", "delete unused files", "record checksums"] {
        assert!(
            steps.iter().any(|step| step.name == name),
            "{name}: {errors:?} {steps:?}"
        );
    }
    assert!(count(&steps, "expire snapshots") > 0, "{steps:?}");
    assert!(!errors.is_empty());
    // The days around the lost one are gone.
    let days = store
        .execute_query("SELECT DISTINCT day(event_time) AS d FROM logs WHERE event_time > TIMESTAMP '2024-01-03' ORDER BY d", &[])
        .unwrap();
    assert_eq!(serde_json::json!(days.rows), serde_json::json!([[5], [6]]));

    let shown = store.lost_file(&lost[0]).unwrap();
    assert_eq!((shown.rows, shown.state), (200, DataFileState::Missing));
    assert_eq!(shown.first_day.unwrap().to_string(), "2024-01-02");
    assert!(matches!(store.drop_lost_file(&kept), Err(Error::InvalidInput(_))));
    assert!(matches!(store.lost_file("nosuch"), Err(Error::NotFound { .. })));
    for file in &lost {
        assert_eq!(store.drop_lost_file(file).unwrap(), 200);
    }
    let missed = |name: &str| {
        let position = store.position(name).unwrap();
        let to = position.unwrap();
        store.commit(name, position, to, &[]).unwrap().missed
    };
    assert!(missed("slow") >= 200);
    assert_eq!(missed("done"), 0);

    let (_, errors) = maintain(store, &keeping(4));
    assert!(errors.is_empty(), "{errors:?}");
    let (steps, errors) = maintain(store, &STRICT);
    assert!(errors.is_empty(), "{errors:?}");
    assert!(count(&steps, "delete unused files") > 0, "{steps:?}");
    assert!(problems(store).is_empty());
    assert_eq!(store.count_logs(&LogQuery::new()).unwrap(), 2 * 2 * 200);
    store.append_logs(&logs_of_day(5, 300)).unwrap();
    assert_eq!(store.count_logs(&LogQuery::new()).unwrap(), 2 * 2 * 200 + 300);
}

#[test]
fn upkeep_goes_on_around_a_lost_file_in_a_folder() {
    if let Some(lake) = TestLake::in_postgres() {
        upkeep_goes_on_around_a_lost_file(&lake.open(), |mut files| {
            files.truncate(1);
            fs::remove_file(&files[0]).unwrap();
            files
        });
    }
}

#[test]
fn upkeep_goes_on_around_a_lost_object_in_s3() {
    let Some((lake, options)) = TestLake::in_s3() else {
        return;
    };
    let store = options.open(&lake.location).unwrap();
    upkeep_goes_on_around_a_lost_file(&store, |files| {
        let (folder, _) = files[0].rsplit_once('/').unwrap();
        test_lake::remove_objects(folder);
        files
    });
}

#[test]
fn damage_of_objects_in_s3_is_found() {
    let (Some((lake, options)), Some(folder)) = (TestLake::in_s3(), given(S3_FOLDER)) else {
        return;
    };
    let store = options.open(&lake.location).unwrap();
    store.append_logs(&logs_of_day(0, 300)).unwrap();
    store.append_logs(&logs_of_day(1, 300)).unwrap();
    let (steps, errors) = maintain(&store, &STRICT);
    assert!(
        errors.is_empty() && count(&steps, "record checksums") >= 2,
        "{steps:?} {errors:?}"
    );
    let first = store.check_data_files().unwrap().next().unwrap().unwrap();
    assert_eq!(first.state, DataFileState::Whole);
    let path = Path::new(&folder).join(first.file.strip_prefix("s3://logs/").unwrap());
    let middle = fs::metadata(&path).unwrap().len() / 2;
    flip_a_bit(&path, usize::try_from(middle).unwrap());
    // Another process, which has read nothing of the object yet.
    let again = problems(&options.open(&lake.location).unwrap());
    assert!(again.len() == 1 && again[0].contains(&first.file), "{again:?}");
}

/// A small disk of its own, gone when it is dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// Makes a disk; `None`, with a line that says so, where that is not allowed.
    fn of(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]);
        let is_mounted = mount
            .arg(folder.path())
            .status()
            .is_ok_and(|status| status.success());
        if !is_mounted {
            eprintln!("skipped: no disk can be mounted");
        }
        is_mounted.then_some(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount")
            .arg("--lazy")
            .arg(self.0.path())
            .status()
            .ok();
    }
}

#[test]
fn a_full_disk_is_freed_and_failed_writes_leave_no_parts() {
    let Some(disk) = SmallDisk::of("4m") else { return };
    let data_path = disk.0.path().join("data");
    let Some(lake) = TestLake::with_data_in(None, data_path.to_str().unwrap()) else {
        return;
    };
    let store = lake.open();
    let mut day = 0;
    let failed = loop {
        let logs: Vec<LogEntry> = (0..4_000)
            .map(|n| {
                log(
                    day * DAY + n,
                    "app",
                    &format!("{:x} {:x}", fastrand::u64(..), fastrand::u64(..)),
                )
            })
            .collect();
        match store.append_logs(&logs) {
            Ok(_) => day += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(failed, Error::DiskFull { .. }), "{failed:?}");
    // Each commit has a file of logs and one of their filters.
    assert_eq!(data_files(&data_path).len(), 2 * usize::try_from(day).unwrap());
    // To the last byte.
    fs::write(disk.0.path().join("filler"), vec![0; 1 << 22]).unwrap_err();
    // A process that was killed two days ago left the first of these. Another one is writing the second.
    let parts =
        ["killed", "writing"].map(|name| data_path.join(format!("main/log_rows/ducklake-{name}.parquet")));
    let ages = [Duration::from_secs(2 * 86_400), Duration::ZERO];
    for (part, age) in parts.iter().zip(ages) {
        let file = fs::File::create(part).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    }

    let (steps, errors) = maintain(&store, &keeping(day - 1));
    assert_eq!(count(&steps, "delete old logs"), 4_000 * (day.unsigned_abs() - 1));
    assert!(count(&steps, "delete unused files") > 0, "{steps:?} {errors:?}");
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(parts.map(|part| part.exists()), [false, true]);
    assert!(store.append_logs(&logs_of_day(day, 2_000)).unwrap().stored == 2_000);
    assert!(problems(&store).is_empty());
}

#[test]
fn a_data_path_is_of_one_lake_only() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("soc")).unwrap();
    let place = folder.path().join("soc/data").display().to_string();
    let (Some(first), Some(second)) = (
        TestLake::with_data_in(None, &place),
        TestLake::with_data_in(None, &place),
    ) else {
        return;
    };
    one_lake_only(&options(), &first, &second, &place);
    let store = options().open(&first.location).unwrap();
    store.append_logs(&logs_of_day(0, 5_000)).unwrap();

    // Lakes that an earlier version made have no marks until they are maintained.
    let marks = Path::new(&place).join("logstore-lakes");
    fs::rename(&marks, folder.path().join("marks")).unwrap();
    let other = options().open(&second.location).unwrap();
    other.append_logs(&logs_of_day(1, 200)).unwrap();
    fs::remove_dir_all(&marks).unwrap();
    let (_, errors) = maintain(&store, &STRICT);
    assert!(errors.is_empty(), "{errors:?}");
    let greedy = MaintenanceOptions {
        delete_orphaned_files: true,
        ..STRICT
    };
    let (steps, errors) = maintain(&other, &greedy);
    assert!(matches!(&errors[..], [Error::InvalidInput(_)]), "{errors:?}");
    assert!(steps.iter().any(|step| step.name == "merge files"));
    assert_eq!(store.count_logs(&LogQuery::new()).unwrap(), 5_000);
    assert!(problems(&store).is_empty());
    let (_, errors) = maintain(&store, &greedy);
    assert!(matches!(&errors[..], [Error::InvalidInput(_)]), "{errors:?}");
    assert!(problems(&other).is_empty());
}

#[test]
fn a_data_path_in_s3_is_of_one_lake_only() {
    let (Some((first, options)), Some((second, _))) = (TestLake::in_s3(), TestLake::in_s3()) else {
        return;
    };
    let (_, place) = first.location.split_once("?data_path=").unwrap();
    one_lake_only(&options, &first, &second, place);
    let store = options.open(&first.location).unwrap();
    store.append_logs(&logs_of_day(0, 500)).unwrap();
    let greedy = MaintenanceOptions {
        delete_orphaned_files: true,
        ..STRICT
    };
    let (_, errors) = maintain(&store, &greedy);
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(store.count_logs(&LogQuery::new()).unwrap(), 500);
}

fn one_lake_only(options: &logstore::OpenOptions, first: &TestLake, second: &TestLake, place: &str) {
    drop(options.open(&first.location).unwrap());
    // A second time it is its own.
    drop(options.open(&first.location).unwrap());
    let (catalog, _) = second.location.split_once("?data_path=").unwrap();
    let (parent, _) = place.rsplit_once('/').unwrap();
    let mut places = vec![place.to_owned(), format!("{place}/"), format!("{place}/inner")];
    // The bucket holds the lakes of other tests.
    places.extend((!place.contains("://")).then(|| parent.to_owned()));
    for taken in places {
        if !taken.contains("://") {
            fs::create_dir_all(&taken).unwrap();
        }
        let refused = options.open(format!("{catalog}?data_path={taken}"));
        let text = refused.unwrap_err().to_string();
        assert!(text.contains("of another lake"), "{taken}: {text}");
    }
}

#[test]
#[cfg(unix)]
fn files_of_a_lake_are_for_their_owner_or_as_its_folder_says() {
    use std::os::unix::fs::PermissionsExt as _;
    let Some(lake) = TestLake::in_file() else {
        return;
    };
    let store = lake.open();
    store.append_logs(&logs_of_day(0, 300)).unwrap();
    let folder = folder_of(&store);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&folder), 0o700);
    let catalog = lake.location.strip_prefix("ducklake:").unwrap();
    assert_eq!(mode(Path::new(catalog)), 0o600);
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o2750)).unwrap();
    assert!(maintain(&store, &STRICT).1.is_empty());
    store.append_logs(&logs_of_day(1, 300)).unwrap();
    assert_eq!(mode(&folder), 0o2750);
}

#[test]
#[cfg(unix)]
fn files_of_a_lake_are_for_the_group_of_its_folder() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
    let Some(extensions) = given(EXTENSIONS) else {
        return;
    };
    let cli = Cli::new();
    let settings = format!("[store]\nextension_directory = \"{extensions}\"\n");
    cli.write("logstore.toml", settings);
    let lines: String = (0..500)
        .map(|n| format!("2024-01-01T00:00:00Z web1 app[{n}]: hello\n"))
        .collect();
    cli.write("app.log", lines);
    let folder = cli.path("data");
    fs::create_dir(&folder).unwrap();
    // Only root can give a folder to any group.
    chown(&folder, None, Some(65_534)).ok();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o2750)).unwrap();
    let group = folder.metadata().unwrap().gid();
    let program = assert_cmd::cargo::cargo_bin!("logstore").display().to_string();
    let ingest = format!(
        "umask 027 && {program} -d 'ducklake:catalog?data_path={}' ingest app.log",
        folder.display()
    );
    let output = cli.other_program("sh").args(["-c", &ingest]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(data_files(&folder).len(), 1);
    for entry in walkdir::WalkDir::new(&folder) {
        let entry = entry.unwrap();
        let found = entry.metadata().unwrap();
        let expected = if found.is_dir() { 0o2750 } else { 0o640 };
        assert_eq!(
            (found.mode() & 0o7777, found.gid()),
            (expected, group),
            "{entry:?}"
        );
    }
}

fn position(id: &str, last_second: i64) -> FilePosition {
    FilePosition {
        id: id.into(),
        path: format!("/var/log/{id}"),
        bytes: 10,
        head_fingerprint: "00".into(),
        tail_fingerprint: "00".into(),
        resume: ResumePoint::LineStart,
        last_time: Some(at(last_second)),
    }
}

#[test]
fn positions_of_files_long_gone_are_forgotten() {
    let Some(lake) = TestLake::in_postgres() else {
        return;
    };
    let store = lake.open();
    let ids = |store: &DuckDbStore| -> Vec<String> {
        let positions = store.file_positions().unwrap().into_iter();
        positions.map(|position| position.id).collect()
    };
    let moves = ["a-old", "b-moves", "c-new-logs"].map(|id| FileProgress {
        from: None,
        to: position(id, if id == "c-new-logs" { 1_000_000_000 } else { 0 }),
    });
    store.append_logs_from_files(&logs_of_day(0, 10), &moves).unwrap();
    maintain(&store, &keeping(2));
    assert_eq!(ids(&store).len(), 3);
    // As if 40 days had passed since.
    lake.on_database("UPDATE logstore_idle_positions SET since = since - INTERVAL '40 days'");
    let moved = FileProgress {
        from: Some(10),
        to: FilePosition {
            bytes: 20,
            ..position("b-moves", 0)
        },
    };
    store.append_logs_from_files(&[], &[moved]).unwrap();
    // Logs that are kept for ever keep their positions.
    maintain(&store, &STRICT);
    assert_eq!(ids(&store).len(), 3);
    let (steps, errors) = maintain(&store, &keeping(2));
    assert!(errors.is_empty(), "{errors:?}");
    // The logs are kept for longer than that, because their times are in 2024.
    assert_eq!(count(&steps, "forget file positions"), 0, "{steps:?}");
    lake.on_database(
        "UPDATE logstore_idle_positions SET since = since - INTERVAL '100 years' WHERE bytes = 10",
    );
    let (steps, _) = maintain(&store, &keeping(2));
    assert_eq!(count(&steps, "forget file positions"), 1, "{steps:?}");
    assert_eq!(ids(&store), ["b-moves", "c-new-logs"]);
}
