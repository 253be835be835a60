//! The queue of all operations of a machine that want to open a store's file: first come, first served.
//!
//! `DuckDB` locks the file while it is open, but its lock has no queue. A waiting process has to retry again and again,
//! and gets in by luck. So a process takes a [`Place`] in the queue before it opens the file, and keeps the place until
//! it has closed the file. It tries to open the file when no other place is before its own.
//!
//! A place is a shared `fcntl` lock on one byte of the store's *folder*. The number of the byte encodes the store, the
//! mode, which is to read or to write, and the number of the place. The kernel lets a process lock a folder that it may
//! only read. It shows the locks of others (`F_OFD_GETLK`), and removes the locks of a process that dies. Nothing is
//! left behind.
//!
//! Places order processes, and keep no process out: that remains the task of `DuckDB`'s lock. Two processes that draw
//! the same number at the same moment both try to open the file, and one of them tries again.

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use super::files;
use super::mode::Mode;

/// Numbers a place: the number is smaller than those of all places that were taken later.
pub(crate) type Number = i64;

/// Counts the low bits of a byte's number, which hold the place. There are 63 bits: a byte has no negative number.
const NUMBER_BITS: u32 = 40;
const STORE_BITS: u32 = 22;
const NUMBERS: Number = 1 << NUMBER_BITS;
const MOST_PLACES: usize = 4_096;

/// Remembers a place that an operation of this process overtook, because the place's process did not use it.
#[derive(Clone, Copy)]
pub(crate) struct Passed {
    number: Number,
    since: Instant,
}

impl Passed {
    pub(crate) fn now(number: Number) -> Self {
        let since = Instant::now();
        Self { number, since }
    }

    /// Returns whether to wait for the place again, as its process may have been slow or may go on.
    fn is_old(&self) -> bool {
        const MEMORY: Duration = Duration::from_secs(10);
        self.since.elapsed() > MEMORY
    }
}

/// Holds a place in the queue of a store, until it is dropped.
pub(crate) struct Place {
    folder: File,
    queue: Queue,
    mode: Mode,
    number: Number,
    /// Holds the first number that counts: places with smaller numbers are ignored.
    start: Number,
}

impl Place {
    /// Takes the last place. `None` if the system has no such locks, or the folder may not be read.
    ///
    /// Places up to the one that was passed do not count while it is still there.
    pub(crate) fn take(store: &Path, mode: Mode, passed: &mut Option<Passed>) -> Option<Self> {
        let folder = File::open(files::folder_of(store)).ok()?;
        let queue = Queue::for_store(store)?;
        *passed = passed.filter(|passed| {
            let is_there = |number| queue.first(&folder, &BOTH, number..number + 1).is_some();
            !passed.is_old() && is_there(passed.number)
        });
        let number = queue.last(&folder).map_or(0, |last| last + 1);
        if number >= NUMBERS || !locks::lock(&folder, queue.byte(mode, number)) {
            return None;
        }
        Some(Self {
            folder,
            queue,
            mode,
            number,
            start: passed.map_or(0, |passed| passed.number + 1),
        })
    }

    pub(crate) fn number(&self) -> Number {
        self.number
    }

    /// Returns the oldest place before this one that cannot use the file together with it.
    ///
    /// Readers do not wait for each other.
    pub(crate) fn predecessor(&self) -> Option<Number> {
        self.first(self.start..self.number)
    }

    /// Returns whether another process waits for the holder of this place, which has the file open.
    pub(crate) fn has_waiters(&self) -> bool {
        self.first(self.start..NUMBERS).is_some()
    }

    fn first(&self, numbers: Range<Number>) -> Option<Number> {
        let others: &[Mode] = match self.mode {
            Mode::Read => &[Mode::Write],
            Mode::Write => &BOTH,
        };
        self.queue.first(&self.folder, others, numbers)
    }
}

const BOTH: [Mode; 2] = [Mode::Read, Mode::Write];

/// Says which bytes of a folder belong to a store.
#[derive(Clone, Copy)]
struct Queue(i64);

impl Queue {
    /// Returns the queue of a store. Stores whose names have the same hash share a queue, and wait for each other
    /// needlessly.
    fn for_store(store: &Path) -> Option<Self> {
        let hash = Sha256::digest(store.file_name()?.as_encoded_bytes());
        let (first, _) = hash.split_first_chunk::<4>()?;
        Some(Self(i64::from(u32::from_be_bytes(*first) >> (32 - STORE_BITS))))
    }

    fn byte(self, mode: Mode, number: Number) -> i64 {
        ((self.0 << 1 | i64::from(mode == Mode::Write)) << NUMBER_BITS) + number
    }

    /// Returns the oldest place among these numbers that others hold.
    ///
    /// If both readers and writers hold one, returns the smaller number.
    fn first(self, folder: &File, modes: &[Mode], numbers: Range<Number>) -> Option<Number> {
        let first = |mode: &Mode| {
            let start = self.byte(*mode, 0);
            let found = locks::find(folder, start + numbers.start..start + numbers.end)?;
            Some(found - start)
        };
        modes.iter().filter_map(first).min()
    }

    /// Returns the greatest number that others hold.
    fn last(self, folder: &File) -> Option<Number> {
        let mut last = None;
        // Every process that may read the folder can lock bytes of it. This limits how many places are looked at.
        for _ in 0..MOST_PLACES {
            let after = last.map_or(0, |last| last + 1);
            match self.first(folder, &BOTH, after..NUMBERS) {
                Some(found) => last = Some(found),
                None => break,
            }
        }
        last
    }
}

/// Locks bytes of a folder, on systems where the layout of a lock's description is known.
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")
))]
mod locks {
    use std::fs::File;
    use std::ops::Range;

    use nix::fcntl::{FcntlArg, fcntl};
    use nix::libc::{self, c_int, c_short};

    /// Takes a shared lock on a byte; returns whether the system and the file system can do that.
    pub(crate) fn lock(folder: &File, byte: i64) -> bool {
        lock_range(folder, byte..byte + 1)
    }

    pub(crate) fn lock_range(folder: &File, bytes: Range<i64>) -> bool {
        let lock = describe(libc::F_RDLCK, &bytes);
        fcntl(folder, FcntlArg::F_OFD_SETLK(&lock)).is_ok()
    }

    /// Returns the first byte of the oldest lock that others hold on some of the bytes.
    pub(crate) fn find(folder: &File, bytes: Range<i64>) -> Option<i64> {
        if bytes.is_empty() {
            return None;
        }
        // Only an exclusive lock conflicts with all the others. The call tests for it without taking it.
        let mut lock = describe(libc::F_WRLCK, &bytes);
        fcntl(folder, FcntlArg::F_OFD_GETLK(&mut lock)).ok()?;
        // A place is one byte. A lock on more bytes is another program's, and is ignored.
        (c_int::from(lock.l_type) != libc::F_UNLCK && lock.l_len == 1).then_some(lock.l_start)
    }

    #[expect(clippy::cast_possible_truncation, reason = "both are small constants")]
    fn describe(kind: c_int, bytes: &Range<i64>) -> libc::flock {
        libc::flock {
            l_type: kind as c_short,
            l_whence: libc::SEEK_SET as c_short,
            l_start: bytes.start,
            l_len: bytes.end - bytes.start,
            l_pid: 0,
        }
    }
}

/// Locks nothing: other systems have no byte locks that belong to an open file rather than to the whole process.
#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")
)))]
mod locks {
    use std::fs::File;
    use std::ops::Range;

    pub(crate) fn lock(_: &File, _: i64) -> bool {
        false
    }

    pub(crate) fn find(_: &File, _: Range<i64>) -> Option<i64> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(store: &Path, mode: Mode) -> Place {
        Place::take(store, mode, &mut None).expect("this system has such locks")
    }

    #[test]
    fn places_are_in_the_order_in_which_they_were_taken() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("soc.duckdb");
        let places = [(); 5].map(|()| take(&store, Mode::Write));
        let before = places.each_ref().map(Place::predecessor);
        assert_eq!(before, [None, Some(0), Some(0), Some(0), Some(0)]);
        let [first, second, third, fourth, fifth] = places;
        drop((first, third));
        assert_eq!(second.predecessor(), None);
        assert_eq!(fourth.predecessor(), Some(1));
        drop((second, fourth));
        assert_eq!(fifth.predecessor(), None);
        assert!(!fifth.has_waiters());
        drop(fifth);
        assert_eq!(take(&store, Mode::Write).number(), 0);
    }

    #[test]
    fn those_who_read_do_not_wait_for_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("soc.duckdb");
        let [first, second] = [(); 2].map(|()| take(&store, Mode::Read));
        assert_eq!((first.predecessor(), second.predecessor()), (None, None));
        assert!(!first.has_waiters());
        let writer = take(&store, Mode::Write);
        let late = take(&store, Mode::Read);
        assert_eq!((writer.predecessor(), late.predecessor()), (Some(0), Some(2)));
        assert!(first.has_waiters() && second.has_waiters());
        drop(first);
        assert_eq!(writer.predecessor(), Some(1));
        drop(second);
        assert_eq!(writer.predecessor(), None);
        assert!(writer.has_waiters());
    }

    #[test]
    fn a_lock_of_another_program_on_the_whole_folder_holds_up_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("soc.duckdb");
        let all = File::open(folder.path()).unwrap();
        assert!(locks::lock_range(&all, 0..i64::MAX));
        let place = take(&store, Mode::Write);
        assert_eq!((place.number(), place.predecessor()), (0, None));
    }

    #[test]
    fn stores_in_one_folder_have_queues_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second] =
            ["a.duckdb", "b.duckdb"].map(|name| take(&folder.path().join(name), Mode::Write));
        assert_eq!((first.number(), second.number()), (0, 0));
        assert!(!first.has_waiters() && !second.has_waiters());
    }

    #[test]
    fn a_place_that_was_passed_counts_no_more_while_it_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("soc.duckdb");
        let stopped = take(&store, Mode::Read);
        let mut passed = Some(Passed::now(stopped.number()));
        let place = Place::take(&store, Mode::Write, &mut passed).unwrap();
        assert_eq!((place.predecessor(), place.has_waiters()), (None, false));
        drop(stopped);
        drop(Place::take(&store, Mode::Write, &mut passed).unwrap());
        assert!(passed.is_none());
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_may_only_be_read_has_places() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o500)).unwrap();
        let store = folder.path().join("soc.duckdb");
        let [_first, second] = [(); 2].map(|()| take(&store, Mode::Write));
        assert_eq!(second.predecessor(), Some(0));
    }
}
