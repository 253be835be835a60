//! Gates decide which operation may use a store when.
//!
//! Between processes, the engine's lock on the file and a queue for it decide: see `queue`. Within a process, one
//! [`Gate`] for each store does. A lake with its catalog in a database has no file to lock: see `lake`.
//!
//! The engine locks a file while it is open, once for a process. Two engines on one file in one process would not see
//! each other's lock, and damage the file. So every handle of a process goes through the file's gate, which keeps at
//! most one engine open.

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Condvar, LazyLock, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use ::duckdb::Connection;

use super::location::Location;
use super::mode::Mode;
use super::queue::{Passed, Place};
use super::settings::EngineSettings;
use super::waiter::Waiter;
use crate::storage::duckdb::error::{self, OpenFailure};
use crate::storage::{Error, Result};
use crate::sync::lock;

/// Holds names and definitions of the views or macros that other programs have put into a store.
pub(crate) type Definitions = Vec<(String, String)>;

/// Opens the engine for a [`Gate`], which knows neither files nor lakes.
pub(crate) trait Opener: Send + Sync {
    /// Opens the engine on the store. The gate calls this while no engine of this process has the store open.
    fn open(&self, mode: Mode) -> Result<Opened, OpenFailure>;

    /// Lets a further connection of that engine find the tables of the store. The first one finds them.
    fn enter(&self, connection: &Connection) -> ::duckdb::Result<()>;

    /// Closes the store. The gate calls this with the last of its connections.
    fn close(&self, connection: Connection) {
        drop(connection);
    }
}

/// Holds an engine that was opened just now.
pub(crate) struct Opened {
    pub(crate) connection: Connection,
    /// Says whether the store has the tables of this version.
    pub(crate) is_current: bool,
    /// Names the place of a lake's data files.
    pub(crate) data_path: Option<String>,
}

/// Guards a store's engine, as the one way to it in this process.
pub(crate) struct Gate {
    location: Location,
    settings: EngineSettings,
    state: Mutex<State>,
    changed: Condvar,
    writers: Mutex<Writers>,
    writers_changed: Condvar,
    /// Holds the macros that other programs had put into the store when this process first ran a caller's own SQL.
    macros: OnceLock<Definitions>,
    /// Owns the engine's folder. It is dropped last, as the engine writes to its folder until it is closed.
    opener: Box<dyn Opener>,
}

#[derive(Default)]
struct State {
    engine: Option<Engine>,
    /// Holds connections that are not leased.
    ///
    /// They must not keep a prepared statement whose plan depends on the content of a table. DuckDB 1.5.5 packs sort
    /// keys by the statistics of the time when it made the plan, and returns garbage for rows that came later.
    idle: Vec<Connection>,
    /// Counts the leases in use.
    users: usize,
    /// Counts the leases that keep the engine open between operations.
    keepers: usize,
    /// Counts the leases that did not let waiting operations go first.
    overtakers: usize,
    /// Counts the writers that wait for the readers of this process.
    ///
    /// Readers that come later let them go first. Otherwise a reader that polls without a pause would keep them out for
    /// ever.
    waiting_writers: usize,
    /// Holds a place in the file's queue whose process does not use it.
    passed: Option<Passed>,
}

/// Holds the operations of this process that write or wait to write, in the order in which they came.
#[derive(Default)]
struct Writers {
    tickets: VecDeque<u64>,
    last_ticket: u64,
}

impl Writers {
    fn take_ticket(&mut self) -> u64 {
        self.last_ticket += 1;
        self.tickets.push_back(self.last_ticket);
        self.last_ticket
    }
}

/// Grants one operation of this process at a time the right to write, until it is dropped.
pub(crate) struct Writing<'a> {
    gate: &'a Gate,
    ticket: u64,
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        lock(&self.gate.writers)
            .tickets
            .retain(|ticket| *ticket != self.ticket);
        self.gate.writers_changed.notify_all();
    }
}

enum Entry {
    Admitted(Lease),
    HeldBy(Holder),
}

/// Names the holder of the engine, for which an operation waits.
enum Holder {
    Readers,
    Writers,
    /// Means operations of other processes that wait for this one to close the file.
    Waiters,
    /// Means operations of other processes that came first.
    Queue,
    Process(String),
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let this_process = std::process::id();
        match self {
            Self::Readers => write!(f, "readers of this process (PID {this_process})"),
            Self::Writers => write!(f, "writers of this process (PID {this_process})"),
            Self::Waiters | Self::Queue => f.write_str("processes that came first"),
            Self::Process(process) => f.write_str(process),
        }
    }
}

struct Engine {
    connection: Connection,
    /// Says whether the engine can write, or only read.
    mode: Mode,
    /// Says whether the tables were those of this version when it was opened.
    is_current: bool,
    /// Names the place of a lake's data files.
    data_path: Option<String>,
    /// Says whether the connection to the lake's catalog was lost. A new engine connects to it again.
    is_disconnected: bool,
    /// Says whether a fatal error has ended the engine, which DuckDB calls invalidated.
    is_invalidated: bool,
    /// Shows other processes that the file is in use. It is given up after the file is closed.
    place: Option<Place>,
}

impl Engine {
    fn has_waiters(&self) -> bool {
        self.place.as_ref().is_some_and(Place::has_waiters)
    }
}

/// Lends a connection to one operation. The last lease to go closes the engine.
pub(crate) struct Lease {
    connection: Option<Connection>,
    is_current: bool,
    /// Says whether another operation may use the connection next.
    is_clean: bool,
    manner: Manner,
    gate: Arc<Gate>,
}

/// Says how a lease behaves towards operations that wait.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// Means that the operation came when no other one waited.
    Polite,
    /// Means that the operation did not let those that waited go first.
    Overtaking,
    /// Means that the lease keeps the engine open between operations.
    Keeping,
}

/// Limits how long operations let writers or other processes go first. A slow reader must not keep all others out too.
const PATIENCE: Duration = Duration::from_secs(1);

static GATES: LazyLock<Mutex<HashMap<Location, Weak<Gate>>>> = LazyLock::new(Mutex::default);

impl Gate {
    /// Returns the gate of a store, the same for every handle of this process. `location` is a canonical one.
    pub(crate) fn shared(
        location: Location,
        settings: &EngineSettings,
        opener: impl Opener + 'static,
    ) -> Result<Arc<Self>> {
        let mut gates = lock(&GATES);
        gates.retain(|_, gate| gate.strong_count() > 0);
        if let Some(gate) = gates.get(&location).and_then(Weak::upgrade) {
            if gate.settings == *settings {
                return Ok(gate);
            }
            let reason = "this process has it open with other engine settings";
            return Err(error::engine_unavailable(location.to_string(), reason));
        }
        let gate = Self::new(location.clone(), settings, opener);
        gates.insert(location, Arc::downgrade(&gate));
        Ok(gate)
    }

    /// Makes a gate that no other handle finds, for a store in memory or a file that is being created.
    pub(crate) fn new(
        location: Location,
        settings: &EngineSettings,
        opener: impl Opener + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            location,
            settings: settings.clone(),
            state: Mutex::default(),
            changed: Condvar::new(),
            writers: Mutex::default(),
            writers_changed: Condvar::new(),
            macros: OnceLock::new(),
            opener: Box::new(opener),
        })
    }

    pub(crate) fn settings(&self) -> &EngineSettings {
        &self.settings
    }

    /// Returns the file that the engine locks while it has the store open.
    pub(crate) fn locked_file(&self) -> Option<&Path> {
        self.location.locked_file()
    }

    pub(crate) fn macros(&self) -> &OnceLock<Definitions> {
        &self.macros
    }

    pub(crate) fn location(&self) -> &Location {
        &self.location
    }

    /// Waits until no other operation of this process writes. `None` for a lake with many writers, which take turns by
    /// their [`CommitLock`](crate::storage::duckdb::lake::commit_lock::CommitLock).
    ///
    /// # Errors
    ///
    /// [`Error::Locked`] with the process that the other operation waits for, if it does.
    pub(crate) fn wait_to_write(self: &Arc<Self>, timeout: Duration) -> Result<Option<Writing<'_>>> {
        if self.location.has_many_writers() {
            return Ok(None);
        }
        let started = Instant::now();
        let mut writers = lock(&self.writers);
        let ticket = writers.take_ticket();
        // It is dropped if this operation's turn does not come, so that no other operation waits for it.
        let writing = Writing { gate: self, ticket };
        let is_later = |writers: &mut Writers| writers.tickets.front() != Some(&ticket);
        let (writers, waited) = self
            .writers_changed
            .wait_timeout_while(writers, timeout, is_later)
            .unwrap_or_else(PoisonError::into_inner);
        drop(writers);
        if !waited.timed_out() {
            return Ok(Some(writing));
        }
        // The other operation may wait for a process. A last try finds that out.
        let holder = match self.lease(Mode::Write, Duration::ZERO) {
            Err(Error::Locked { holder, .. }) => holder,
            Err(error) => return Err(error),
            Ok(_) => Holder::Writers.to_string(),
        };
        Err(Error::Locked {
            path: self.location.to_string().into(),
            holder,
            waited: started.elapsed(),
        })
    }

    /// Returns a connection for one operation, after other processes and the other operations of this one allow it.
    pub(crate) fn lease(self: &Arc<Self>, mode: Mode, timeout: Duration) -> Result<Lease> {
        self.try_lease(mode, timeout).map_err(OpenFailure::into_error)
    }

    /// Does the same as [`lease`](Self::lease), for callers that go on if there is no store yet.
    pub(crate) fn try_lease(self: &Arc<Self>, mode: Mode, timeout: Duration) -> Result<Lease, OpenFailure> {
        let mut waiter = Waiter::new(timeout);
        let mut state = lock(&self.state);
        loop {
            let is_last_try = waiter.is_out_of_time();
            let holder = match self.enter(&mut state, mode, &mut waiter)? {
                Entry::Admitted(lease) => return Ok(lease),
                Entry::HeldBy(holder) => holder,
            };
            if is_last_try {
                return Err(OpenFailure::Other(Error::Locked {
                    path: self.location.to_string().into(),
                    holder: holder.to_string(),
                    waited: waiter.waited(),
                }));
            }
            let longest = match holder {
                Holder::Queue | Holder::Process(_) => waiter.pause_for_others(),
                Holder::Readers | Holder::Writers | Holder::Waiters => waiter.pause_for_this_process(),
            };
            let waits_for_readers = mode == Mode::Write && matches!(holder, Holder::Readers);
            state.waiting_writers += usize::from(waits_for_readers);
            state = self
                .changed
                .wait_timeout(state, longest)
                .map_or_else(|poisoned| poisoned.into_inner().0, |(state, _)| state);
            state.waiting_writers -= usize::from(waits_for_readers);
        }
    }

    /// Admits an operation, or names the holder of the engine. Opens the engine if that is needed and possible.
    fn enter(
        self: &Arc<Self>,
        state: &mut State,
        mode: Mode,
        waiter: &mut Waiter,
    ) -> Result<Entry, OpenFailure> {
        let is_unused = state.users == 0;
        let is_over = |engine: &Engine| engine.is_invalidated || is_unused && engine.is_disconnected;
        if state.engine.as_ref().is_some_and(is_over) {
            self.close(state);
        }
        let first = state.goes_first(mode);
        let manner = match (&state.engine, &first) {
            (Some(_), Some(_)) => Manner::Overtaking,
            _ => Manner::Polite,
        };
        if let Some(holder) = first.filter(|first| !state.may_overtake(first, waiter)) {
            return Ok(Entry::HeldBy(holder));
        }
        let engine = match &mut state.engine {
            Some(engine) => engine,
            none => match self.open_in_turn(&mut state.passed, mode, waiter)? {
                Ok((engine, first)) => {
                    state.idle.push(first);
                    none.insert(engine)
                }
                Err(holder) => return Ok(Entry::HeldBy(holder)),
            },
        };
        let is_current = engine.is_current;
        let connection = match state.idle.pop() {
            Some(connection) => connection,
            None => self.connect(engine).inspect_err(|_| self.close_unused(state))?,
        };
        state.users += 1;
        state.count(manner, 1);
        Ok(Entry::Admitted(Lease {
            connection: Some(connection),
            is_current,
            is_clean: true,
            manner,
            gate: Arc::clone(self),
        }))
    }

    fn connect(&self, engine: &Engine) -> Result<Connection> {
        let cloned = engine.connection.try_clone().and_then(|connection| {
            self.opener.enter(&connection)?;
            Ok(connection)
        });
        cloned.map_err(|error| error::engine("connect to the store", error))
    }

    /// Closes a file that no operation uses, so that other processes can open it.
    ///
    /// A store in memory would be gone, and a lake may stay open.
    fn close_unused(&self, state: &mut State) {
        if state.users == 0 && self.locked_file().is_some() {
            self.close(state);
        }
    }

    /// Opens the engine unless other processes were first, or have the file. Returns the connection that opened it too:
    /// others would have to find a lake's tables first.
    fn open_in_turn(
        &self,
        passed: &mut Option<Passed>,
        mode: Mode,
        waiter: &mut Waiter,
    ) -> Result<Result<(Engine, Connection), Holder>, OpenFailure> {
        let file = self.locked_file();
        if let Some(path) = file {
            waiter.queue_up(path, mode, passed);
        }
        if !waiter.is_its_turn() {
            return Ok(Err(Holder::Queue));
        }
        match self.opener.open(mode) {
            Ok(opened) => {
                let connection = opened.connection.try_clone();
                let engine = Engine {
                    connection: connection.map_err(|error| error::engine("connect to the store", error))?,
                    is_current: opened.is_current,
                    data_path: opened.data_path,
                    mode: file.map_or(Mode::Write, |_| mode),
                    is_disconnected: false,
                    is_invalidated: false,
                    place: file.and_then(|path| waiter.give_place(path, mode, passed)),
                };
                Ok(Ok((engine, opened.connection)))
            }
            Err(OpenFailure::Locked(holder)) => {
                waiter.note_refusal();
                Ok(Err(Holder::Process(holder)))
            }
            Err(failure) => Err(failure),
        }
    }

    /// Returns whether a fatal error has invalidated an engine, which then takes no statement.
    ///
    /// In a lake that happens when the connection to the catalog breaks.
    fn is_invalidated(&self, connection: &Connection) -> bool {
        self.location.has_many_writers()
            && connection
                .execute_batch("SELECT 1")
                .is_err_and(|error| error::is_fatal(&error))
    }

    /// Closes the engine as soon as no operation uses it.
    pub(crate) fn close_when_unused(&self) {
        if let Some(engine) = &mut lock(&self.state).engine {
            engine.is_disconnected = true;
        }
    }

    fn close(&self, state: &mut State) {
        let (idle, engine) = (std::mem::take(&mut state.idle), state.engine.take());
        if engine.as_ref().is_some_and(|engine| engine.is_invalidated) {
            leak((idle, engine));
            return;
        }
        drop(idle);
        if let Some(Engine {
            connection, place, ..
        }) = engine
        {
            self.opener.close(connection);
            // Only when the file is closed may the place be given up.
            drop(place);
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let mut state = std::mem::take(self.state.get_mut().unwrap_or_else(PoisonError::into_inner));
        self.close(&mut state);
    }
}

impl State {
    /// Returns the holder that an operation has to wait for, in this process or in others.
    ///
    /// Operations that follow one another without a gap would otherwise keep other processes out for ever.
    fn goes_first(&self, mode: Mode) -> Option<Holder> {
        match &self.engine {
            Some(engine) if mode == Mode::Write && engine.mode == Mode::Read => Some(Holder::Readers),
            _ if mode == Mode::Read && self.waiting_writers > 0 => Some(Holder::Writers),
            Some(engine) if self.keepers == 0 && engine.has_waiters() => Some(Holder::Waiters),
            _ => None,
        }
    }

    /// Returns whether an operation may use the engine before those that should go first.
    ///
    /// It may if it has been patient, and a lease that does not overtake them keeps them waiting anyway. Otherwise
    /// overtaking operations would take turns for ever.
    fn may_overtake(&self, first: &Holder, waiter: &Waiter) -> bool {
        let is_patient = waiter.waited() < PATIENCE;
        match first {
            Holder::Writers | Holder::Waiters if !is_patient => {
                self.users > self.overtakers || self.engine.is_none() || waiter.is_out_of_time()
            }
            Holder::Waiters => waiter.is_out_of_time(),
            _ => false,
        }
    }

    /// Counts one lease more or less.
    fn count(&mut self, manner: Manner, change: isize) {
        let count = match manner {
            Manner::Polite => return,
            Manner::Overtaking => &mut self.overtakers,
            Manner::Keeping => &mut self.keepers,
        };
        *count = count.saturating_add_signed(change);
    }
}

/// Leaks what an invalidated engine holds: to close it in the middle of a transaction would end the process (1.5.5).
fn leak<T>(held: T) {
    std::mem::forget(held);
}

impl Lease {
    pub(crate) fn connection(&self) -> &Connection {
        self.connection
            .as_ref()
            .expect("a lease has its connection until it is dropped")
    }

    /// Returns whether the store had the tables of this version when the engine was opened.
    pub(crate) fn is_current(&self) -> bool {
        self.is_current
    }

    /// Returns the place of a lake's data files.
    pub(crate) fn data_path(&self) -> Option<String> {
        lock(&self.gate.state).engine.as_ref()?.data_path.clone()
    }

    /// Keeps the connection from later operations, as its statements may be interrupted.
    pub(crate) fn for_one_use(self) -> Self {
        let mut lease = self;
        lease.is_clean = false;
        lease
    }

    /// Keeps the engine open between operations, which then let no other process go first.
    pub(crate) fn keep(self) -> Self {
        let mut lease = self;
        let mut state = lock(&lease.gate.state);
        state.count(lease.manner, -1);
        state.count(Manner::Keeping, 1);
        drop(state);
        lease.manner = Manner::Keeping;
        lease
    }

    /// Returns whether other processes wait for the file.
    pub(crate) fn has_waiters(&self) -> bool {
        lock(&self.gate.state)
            .engine
            .as_ref()
            .is_some_and(Engine::has_waiters)
    }

    /// Returns whether other processes can show that they wait.
    pub(crate) fn can_see_waiters(&self) -> bool {
        lock(&self.gate.state)
            .engine
            .as_ref()
            .is_some_and(|engine| engine.place.is_some())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let connection = self.connection.take();
        let is_invalidated = connection
            .as_ref()
            .is_some_and(|connection| self.gate.is_invalidated(connection));
        let mut state = lock(&self.gate.state);
        if is_invalidated {
            leak(connection);
            // The gate may have opened another engine meanwhile.
            if let Some(engine) = &mut state.engine {
                engine.is_invalidated = self.gate.is_invalidated(&engine.connection);
            }
        } else {
            state.idle.extend(connection.filter(|_| self.is_clean));
        }
        state.users -= 1;
        state.count(self.manner, -1);
        self.gate.close_unused(&mut state);
        self.gate.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    /// Opens an engine in memory, after other processes had the file a few times.
    struct Refusing {
        refusals: usize,
        tries: Arc<AtomicUsize>,
    }

    impl Opener for Refusing {
        fn open(&self, _: Mode) -> Result<Opened, OpenFailure> {
            if self.tries.fetch_add(1, Ordering::SeqCst) < self.refusals {
                return Err(OpenFailure::Locked("another program (PID 7)".into()));
            }
            Ok(Opened {
                connection: Connection::open_in_memory().unwrap(),
                is_current: true,
                data_path: None,
            })
        }

        fn enter(&self, _: &Connection) -> ::duckdb::Result<()> {
            Ok(())
        }
    }

    /// Returns the gate of a file, and how often it was tried to open it.
    fn gate(folder: &Path, refusals: usize) -> (Arc<Gate>, Arc<AtomicUsize>) {
        let tries = Arc::new(AtomicUsize::new(0));
        let opener = Refusing {
            refusals,
            tries: Arc::clone(&tries),
        };
        let location = Location::File(folder.join("soc.duckdb"));
        (Gate::new(location, &EngineSettings::default(), opener), tries)
    }

    #[test]
    fn a_file_that_is_locked_is_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let (gate, tries) = gate(folder.path(), 2);
        drop(gate.lease(Mode::Write, LONG).unwrap());
        assert_eq!(tries.load(Ordering::SeqCst), 3);
    }

    #[test]
    fn the_holder_of_a_lock_is_named_when_time_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let (gate, _) = gate(folder.path(), usize::MAX);
        let refused = gate.lease(Mode::Read, Duration::ZERO).err();
        assert!(
            matches!(&refused, Some(Error::Locked { holder, .. }) if holder == "another program (PID 7)"),
            "{refused:?}"
        );
    }

    #[test]
    fn operations_at_the_same_time_share_an_engine_and_the_last_one_closes_it() {
        let folder = tempfile::tempdir().unwrap();
        let (gate, tries) = gate(folder.path(), 0);
        let leases = [(); 2].map(|()| gate.lease(Mode::Write, LONG).unwrap());
        assert_eq!(tries.load(Ordering::SeqCst), 1);
        drop(leases);
        drop(gate.lease(Mode::Read, LONG).unwrap());
        assert_eq!(tries.load(Ordering::SeqCst), 2);
    }
}
