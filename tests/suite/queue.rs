//! The queue of processes that want one file: first come, first served, whatever becomes of those before.

use std::path::{Path, PathBuf};
use std::time::Duration;

use logstore::duckdb::Access;
use logstore::{Cursor, DuckDbStore, Error, LogQuery, LogStore as _};

use crate::processes::{Process, given, given_store};
use crate::support::{PATIENCE, log};

fn open(path: &Path) -> DuckDbStore {
    let options = DuckDbStore::options().lock_timeout(PATIENCE);
    options.open(path).unwrap()
}

/// Keeps all others out until it is dropped.
fn hold(path: &Path) -> DuckDbStore {
    let options = DuckDbStore::options().lock_timeout(PATIENCE);
    options.access(Access::Exclusive).open(path).unwrap()
}

fn new_store() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("soc.duckdb");
    drop(open(&path));
    (folder, path)
}

fn wait_until(is_so: impl Fn() -> bool) {
    while !is_so() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// How many places in queues of its folder are taken, by those who have the store or wait for it.
#[cfg(target_os = "linux")]
fn places(store: &Path) -> usize {
    use std::os::unix::fs::MetadataExt as _;
    let inode = store.parent().unwrap().metadata().unwrap().ino();
    let locks = std::fs::read_to_string("/proc/locks").unwrap();
    let is_place = |line: &&str| line.contains("OFDLCK") && line.contains(&format!(":{inode} "));
    locks.lines().filter(is_place).count()
}

fn signal(store: &Path, number: i64) -> PathBuf {
    store.with_file_name(format!("go-{number}"))
}

/// Appends a log with its number when it is told to.
#[test]
#[ignore = "run in a process of its own"]
fn taker() {
    let (store, number) = (open(&given_store()), given("LOGSTORE_TEST_NUMBER"));
    println!("\nready=1");
    wait_until(|| signal(&given_store(), number).exists());
    let entry = log(number, "taker", "x").with_procid(number);
    store.append_logs(&[entry]).unwrap();
}

/// Processes that wait for nothing but to be told to append a log.
fn takers(path: &Path, count: i64) -> Vec<Process> {
    let start = |number: i64| {
        let variables = [("LOGSTORE_TEST_NUMBER", number.to_string())];
        Process::start("queue::taker", path, &variables)
    };
    let mut takers: Vec<Process> = (0..count).map(start).collect();
    for taker in &mut takers {
        taker.expect("ready");
    }
    takers
}

/// Tells a process to append its log, and waits until it is in the queue behind others.
#[cfg(target_os = "linux")]
fn send(path: &Path, number: i64, others: usize) {
    std::fs::write(signal(path, number), "").unwrap();
    wait_until(|| places(path) == others + 1);
}

/// The numbers of the logs in the order in which they were stored.
fn numbers(path: &Path) -> Vec<i64> {
    let store = open(path);
    let page = store.read_after(Cursor::BEGINNING, 1_000).unwrap();
    page.logs.iter().filter_map(|log| log.procid).collect()
}

#[cfg(target_os = "linux")]
#[test]
fn who_comes_first_is_served_first() {
    let (_folder, path) = new_store();
    let takers = takers(&path, 6);
    let holder = hold(&path);
    let order = [3, 0, 5, 1, 4, 2];
    for (others, number) in order.into_iter().enumerate() {
        send(&path, number, others + 1);
    }
    drop(holder);
    for taker in takers {
        taker.finish();
    }
    assert_eq!(numbers(&path), order);
}

#[cfg(target_os = "linux")]
#[test]
fn who_is_killed_in_the_queue_holds_up_nobody() {
    let (_folder, path) = new_store();
    let mut takers = takers(&path, 4);
    let holder = hold(&path);
    for number in 0..4 {
        send(&path, number, usize::try_from(number).unwrap() + 1);
    }
    takers.remove(2).kill("");
    takers.remove(0).kill("");
    drop(holder);
    for taker in takers {
        taker.finish();
    }
    assert_eq!(numbers(&path), [1, 3]);
    assert_eq!(places(&path), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn who_is_stopped_in_the_queue_does_not_hold_up_the_others_for_ever() {
    let (_folder, path) = new_store();
    let mut takers = takers(&path, 3);
    let holder = hold(&path);
    for number in 0..3 {
        send(&path, number, usize::try_from(number).unwrap() + 1);
    }
    let stopped = takers.remove(0);
    stopped.stop();
    drop(holder);
    for taker in takers {
        taker.finish();
    }
    // Both go before it after the same time: a busy machine decides which of them is first.
    let mut others = numbers(&path);
    others.sort_unstable();
    assert_eq!(others, [1, 2]);
    stopped.signal("CONT");
    stopped.finish();
    assert_eq!(numbers(&path).last(), Some(&0));
}

/// Appends without a pause.
#[test]
#[ignore = "run in a process of its own"]
fn hammer() {
    let (store, number) = (open(&given_store()), given("LOGSTORE_TEST_NUMBER"));
    for second in 0.. {
        store
            .append_logs(&[log(second, &format!("hammer {number}"), "x")])
            .unwrap();
        println!("\nstored={second}");
    }
}

/// Whether it has the file, waits for it or is about to.
#[test]
fn who_is_killed_at_any_moment_holds_up_nobody() {
    const KILLS: i64 = 30;
    let (_folder, path) = new_store();
    let start = |number: i64| {
        let variables = [("LOGSTORE_TEST_NUMBER", number.to_string())];
        (number, Process::start("queue::hammer", &path, &variables))
    };
    let mut hammers: Vec<(i64, Process)> = (0..4).map(start).collect();
    let mut stored = Vec::new();
    for kill in 0..KILLS {
        let (number, victim) = hammers.swap_remove(fastrand::usize(..hammers.len()));
        stored.push((number, victim.kill("stored")));
        for (_, hammer) in &mut hammers {
            hammer.skip_said();
            hammer.expect("stored");
        }
        hammers.push(start(4 + kill));
    }
    stored.extend(
        hammers
            .into_iter()
            .map(|(number, hammer)| (number, hammer.kill("stored"))),
    );
    let store = open(&path);
    for (number, said) in stored {
        let query = LogQuery::new()
            .equals("appname", format!("hammer {number}"))
            .unwrap();
        let count = store.count_logs(&query).unwrap();
        let last = said.last().map_or(0, |last| last + 1);
        assert!(count >= last, "{number} stored {last} logs, there are {count}");
    }
}

/// Has the store until it is killed.
#[test]
#[ignore = "run in a process of its own"]
fn holder() {
    let _store = hold(&given_store());
    println!("\nholds=1");
    loop {
        std::thread::park();
    }
}

/// Has the file until it is killed, and no place in the queue.
#[test]
#[ignore = "run in a process of its own"]
fn stranger() {
    let _connection = duckdb::Connection::open(given_store()).unwrap();
    println!("\nholds=1");
    loop {
        std::thread::park();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_program_that_knows_no_queue_is_waited_for() {
    let (_folder, path) = new_store();
    let takers = takers(&path, 3);
    let mut stranger = Process::start::<&str>("queue::stranger", &path, &[]);
    stranger.expect("holds");
    for number in 0..3 {
        send(&path, number, usize::try_from(number).unwrap());
    }
    stranger.kill("");
    for taker in takers {
        taker.finish();
    }
    let mut stored = numbers(&path);
    stored.sort_unstable();
    assert_eq!(stored, [0, 1, 2]);
}

#[test]
fn who_gives_up_learns_which_process_has_the_store() {
    let (_folder, path) = new_store();
    let store = open(&path);
    let impatient = DuckDbStore::options().lock_timeout(Duration::from_millis(50));
    let impatient = impatient.open(&path).unwrap();
    let mut holder = Process::start::<&str>("queue::holder", &path, &[]);
    holder.expect("holds");
    let refused = std::thread::scope(|scope| {
        // One who is first in the queue is not one who has the store.
        let first = scope.spawn(|| store.append_logs(&[log(0, "sshd", "x")]).unwrap());
        #[cfg(target_os = "linux")]
        wait_until(|| places(&path) == 2);
        let refused = impatient.append_logs(&[log(1, "sshd", "x")]).unwrap_err();
        let id = holder.id();
        holder.kill("");
        first.join().unwrap();
        (refused, id)
    });
    let (Error::Locked { holder, .. }, id) = refused else {
        panic!("{refused:?}");
    };
    assert!(holder.contains(&format!("(PID {id})")), "{holder}");
    assert_eq!(store.count_logs(&LogQuery::new()).unwrap(), 1);
}

/// Readers of one process that follow one another without a gap, so that it always has the store open.
#[test]
#[ignore = "run in a process of its own"]
fn readers() {
    let store = open(&given_store());
    println!("\nready=1");
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    store.count_logs(&LogQuery::new()).unwrap();
                }
            });
        }
    });
}

#[test]
fn readers_without_pause_let_writers_of_other_processes_in() {
    let (_folder, path) = new_store();
    let mut readers = [(); 2].map(|()| Process::start::<&str>("queue::readers", &path, &[]));
    for readers in &mut readers {
        readers.expect("ready");
    }
    let store = open(&path);
    for second in 0..20 {
        store.append_logs(&[log(second, "sshd", "x")]).unwrap();
    }
    for readers in readers {
        readers.kill("");
    }
    assert_eq!(store.count_logs(&LogQuery::new()).unwrap(), 20);
}
