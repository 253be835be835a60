//! Files into a store by a program of one's own.

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::time::Duration;

use logstore::ingest::{IngestOptions, LogReader};
use logstore::load::{LoadOptions, LoadProgress, LoadReport};
use logstore::{DuckDbStore, Error, Loader, LogQuery, LogStore as _};

use crate::exactly_once::{append, lines};
use crate::support::PATIENCE;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn store(&self) -> DuckDbStore {
        DuckDbStore::options()
            .lock_timeout(PATIENCE)
            .open(self.path().join("soc.duckdb"))
            .unwrap()
    }
}

/// Returns the names of the files in a list of paths.
fn names<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> Vec<String> {
    let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    paths.into_iter().map(name).collect()
}

#[test]
fn a_load_goes_on_where_the_last_one_ended() {
    let folder = Folder::new();
    let file = folder.write("app.log", lines(0..5_000));
    let store = folder.store();
    let load = || {
        // Many batches of one file.
        let options = LoadOptions::new().with_batch_size(1_000);
        Loader::new(&store).options(options).run(&[&file]).unwrap()
    };
    let first = load();
    assert_eq!((first.sources, first.known_sources), (1, 0));
    assert_eq!((first.logs, first.stored, first.duplicates), (5_000, 5_000, 0));
    append(&file, &lines(5_000..5_003));
    let second = load();
    assert_eq!((second.known_sources, second.logs, second.stored), (1, 3, 3));
    let third = load();
    assert_eq!((third.known_sources, third.logs), (1, 0));
    assert_eq!(store.count_logs(&LogQuery::new()).unwrap(), 5_003);
}

#[test]
fn a_report_names_the_sources_that_were_not_read_as_they_should_be() {
    let folder = Folder::new();
    let cut = folder.write("cut.log", lines(0..200));
    folder.write("timeless.log", "one\ntwo\n");
    folder.write("program", b"\x7fELF\x02\x01\x01\0\0\0\0\0");
    folder.write(
        "broken.json.gz",
        b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xff\xff\xff\xff\xff\xff",
    );
    folder.write("broken.json", "{\"a\": \n");
    let store = folder.store();
    // The store is in the folder as well, and no source.
    let first = Loader::new(&store).run(&[folder.path()]).unwrap();
    assert_eq!((first.skipped_sources, first.failed_sources), (1, 1));
    assert_eq!(names(first.skipped.iter().map(|error| &error.name)), ["program"]);
    assert_eq!(
        names(first.failed.iter().map(|error| &error.name)),
        ["broken.json.gz"]
    );
    assert_eq!(first.cut, []);
    assert_eq!((first.parse_errors, first.without_time), (1, 3));
    let timeless: Vec<_> = first.without_time_by_source.values().collect();
    assert_eq!(
        (names(first.without_time_by_source.keys()), timeless),
        (
            vec!["broken.json".to_owned(), "timeless.log".to_owned()],
            vec![&1, &2]
        )
    );

    let length = std::fs::metadata(&cut).unwrap().len();
    let short = lines(0..100);
    std::fs::write(&cut, &short).unwrap();
    let second = Loader::new(&store).run(&[&cut]).unwrap();
    let found: Vec<_> = second.cut.iter().map(|cut| (cut.was, cut.is)).collect();
    assert_eq!(found, [(length, short.len() as u64)]);
    assert_eq!(
        (names(second.cut.iter().map(|cut| &cut.path)), second.logs),
        (vec!["cut.log".to_owned()], 0)
    );
}

#[test]
fn progress_ends_with_all_bytes() {
    let folder = Folder::new();
    let file = folder.write("app.log", lines(0..5_000));
    let length = std::fs::metadata(&file).unwrap().len();
    let mut seen: Vec<LoadProgress> = Vec::new();
    let store = folder.store();
    let loader = Loader::new(&store).on_progress(|progress| seen.push(progress));
    assert_eq!(loader.run(&[&file]).unwrap().bytes, length);
    assert!(seen.len() > 2 && seen.is_sorted_by_key(|progress| progress.bytes));
    assert!(seen.iter().all(|progress| progress.total_bytes == Some(length)));
    assert_eq!((seen[0].bytes, seen.last().unwrap().bytes), (0, length));
}

#[test]
fn files_are_followed_until_the_load_is_stopped() {
    let folder = Folder::new();
    let file = folder.write("app.log", lines(0..3));
    let store = folder.store();
    let options = LoadOptions::new().with_interval(Duration::from_millis(10));
    let loader = Loader::new(&store).options(options);
    let stop = loader.stop_handle();
    let wait_for = |logs: u64| {
        while store.count_logs(&LogQuery::new()).unwrap() < logs {
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    let report: LoadReport = std::thread::scope(|scope| {
        let following = scope.spawn(|| loader.follow(&[&file, &folder.path().join("later.log")]));
        wait_for(3);
        append(&file, &lines(3..4));
        wait_for(4);
        folder.write("later.log", lines(4..6));
        wait_for(6);
        stop.stop();
        following.join().unwrap().unwrap()
    });
    assert_eq!((report.stored, report.failed_sources), (6, 0));
}

#[test]
fn a_load_that_is_stopped_before_it_begins_reads_nothing() {
    let folder = Folder::new();
    let files = [
        folder.write("a.log", lines(0..3)),
        folder.write("b.log", lines(3..6)),
    ];
    let store = folder.store();
    let loader = Loader::new(&store);
    loader.stop_handle().stop();
    let report = loader.run(&files).unwrap();
    assert_eq!((report.logs, report.unfinished_sources), (0, 2));
}

#[test]
fn an_open_input_is_loaded_to_its_end() {
    let store = DuckDbStore::open(":memory:").unwrap();
    let load = || {
        let reader = LogReader::new(Cursor::new(lines(0..5_000)), &IngestOptions::new());
        Loader::new(&store).run_reader(reader).unwrap()
    };
    let report = load();
    assert_eq!(
        (report.sources, report.stored, report.failed_sources),
        (1, 5_000, 0)
    );
    // It cannot be known again, so that its logs are new each time.
    assert_eq!((load().known_sources, load().stored), (0, 5_000));
}

#[test]
fn standard_input_cannot_be_followed() {
    let store = DuckDbStore::open(":memory:").unwrap();
    let error = Loader::new(&store).follow(&["-"]).unwrap_err();
    assert!(matches!(error, Error::InvalidInput(_)), "{error}");
}
