//! Who may use a store's file when: between processes by the engine's lock on the file, within a process
//! by one [`Gate`] for each file.
//!
//! The engine locks a file for as long as it is open, once for a process: two engines on one file in one
//! process would not see each other's lock and damage the file. So every handle of a process goes through
//! the file's gate, which keeps at most one engine open.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use ::duckdb::{AccessMode, Config, Connection};

use super::error::{self, OpenFailure};
use super::{files, network, recovery, schema, staged};
use crate::storage::{Error, Result};

/// How the engine is to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EngineSettings {
    pub(super) memory_limit: String,
    pub(super) threads: Option<u32>,
    pub(super) external_access: bool,
}

/// How much memory the engine may use unless it is told otherwise. What does not fit is put aside on disk.
pub const DEFAULT_MEMORY_LIMIT: &str = "1GiB";

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            memory_limit: DEFAULT_MEMORY_LIMIT.to_owned(),
            threads: None,
            external_access: false,
        }
    }
}

impl EngineSettings {
    fn config(&self, mode: AccessMode) -> ::duckdb::Result<Config> {
        let mut config = Config::default()
            .access_mode(mode)?
            .enable_external_access(self.external_access)?
            .enable_autoload_extension(false)?
            .max_memory(&self.memory_limit)?
            .with("autoinstall_known_extensions", "false")?
            // What is read has an order of its own, and inserts keep to one thread otherwise.
            .with("preserve_insertion_order", "false")?
            // The first with all of the compression that the tables ask for; it holds for new files.
            .with("storage_compatibility_version", "v1.5.0")?;
        if let Some(threads) = self.threads {
            config = config.threads(threads.into())?;
        }
        Ok(config)
    }
}

/// What an operation does with the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Read,
    Write,
}

/// The one way to a store's engine in this process.
pub(super) struct Gate {
    /// `None` for a store in memory.
    path: Option<PathBuf>,
    settings: EngineSettings,
    state: Mutex<State>,
    changed: Condvar,
    /// Held by the one operation that writes.
    writing: Mutex<()>,
}

#[derive(Default)]
struct State {
    engine: Option<Engine>,
    /// Connections that are not leased. A statement with a plan that depends on what a table holds must not be kept
    /// on them: the engine (1.5.5) packs what it sorts by the statistics of the time when it made the plan, and gives
    /// garbage for rows that came later.
    idle: Vec<Connection>,
    /// Leases that are out.
    users: usize,
    /// Writers that wait for the readers of this process. Readers that come later let them go first:
    /// without that, one that polls without a pause would keep them out for ever.
    waiting_writers: usize,
}

enum Entry {
    Admitted(Lease),
    HeldBy(Holder),
}

/// Who keeps an operation from the engine.
enum Holder {
    Readers,
    Writers,
    Process(String),
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let this_process = std::process::id();
        match self {
            Self::Readers => write!(f, "readers of this process (PID {this_process})"),
            Self::Writers => write!(f, "writers of this process (PID {this_process})"),
            Self::Process(process) => f.write_str(process),
        }
    }
}

struct Engine {
    connection: Connection,
    writable: bool,
}

/// A connection to use for one operation. The last one to go closes the engine.
pub(super) struct Lease {
    connection: Option<Connection>,
    /// Whether nothing is left on the connection that its next user would notice.
    is_clean: bool,
    gate: Arc<Gate>,
}

/// How long readers let writers go first: a reader that never ends must not keep all others out as well.
const PATIENCE_OF_READERS: Duration = Duration::from_secs(1);

static GATES: LazyLock<Mutex<HashMap<PathBuf, Weak<Gate>>>> = LazyLock::new(Mutex::default);

/// No code that holds these locks panics halfway through a change.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gate {
    /// The gate of a file, the same for every handle of this process.
    pub(super) fn of_file(path: &Path, settings: &EngineSettings) -> Result<Arc<Self>> {
        let key = canonical(path)?;
        let mut gates = lock(&GATES);
        gates.retain(|_, gate| gate.strong_count() > 0);
        if let Some(gate) = gates.get(&key).and_then(Weak::upgrade) {
            if gate.settings == *settings {
                return Ok(gate);
            }
            return Err(error::unavailable(
                path,
                "this process has it open with other engine settings",
            ));
        }
        let gate = Arc::new(Self::new(Some(key.clone()), settings));
        gates.insert(key, Arc::downgrade(&gate));
        Ok(gate)
    }

    /// The gate of a new store in memory.
    pub(super) fn in_memory(settings: &EngineSettings) -> Arc<Self> {
        Arc::new(Self::new(None, settings))
    }

    fn new(path: Option<PathBuf>, settings: &EngineSettings) -> Self {
        Self {
            path,
            settings: settings.clone(),
            state: Mutex::default(),
            changed: Condvar::new(),
            writing: Mutex::default(),
        }
    }

    pub(super) fn settings(&self) -> &EngineSettings {
        &self.settings
    }

    pub(super) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Held by whoever writes, so that writers of this process follow one another.
    pub(super) fn writing(&self) -> MutexGuard<'_, ()> {
        lock(&self.writing)
    }

    /// A connection for one operation, waiting for other processes and for other uses in this one.
    pub(super) fn lease(self: &Arc<Self>, mode: Mode, timeout: Duration) -> Result<Lease> {
        let started = Instant::now();
        let mut state = lock(&self.state);
        loop {
            let waited = started.elapsed();
            let lets_writers_go =
                mode == Mode::Read && state.waiting_writers > 0 && waited < PATIENCE_OF_READERS;
            let holder = if lets_writers_go {
                Holder::Writers
            } else {
                match self.enter(&mut state, mode)? {
                    Entry::Admitted(lease) => return Ok(lease),
                    Entry::HeldBy(holder) => holder,
                }
            };
            if waited >= timeout {
                return Err(Error::Locked {
                    path: self.path.clone().unwrap_or_default(),
                    holder: holder.to_string(),
                    waited,
                });
            }
            let longest = timeout.saturating_sub(waited).min(retry_after(waited));
            let waits_for_readers = mode == Mode::Write && matches!(holder, Holder::Readers);
            state.waiting_writers += usize::from(waits_for_readers);
            state = self
                .changed
                .wait_timeout(state, longest)
                .map_or_else(|poisoned| poisoned.into_inner().0, |(state, _)| state);
            state.waiting_writers -= usize::from(waits_for_readers);
        }
    }

    /// Opens the engine where that is needed and possible.
    fn enter(self: &Arc<Self>, state: &mut State, mode: Mode) -> Result<Entry> {
        let engine = match &mut state.engine {
            Some(engine) if engine.writable || mode == Mode::Read => engine,
            Some(_) => return Ok(Entry::HeldBy(Holder::Readers)),
            none => match self.open(mode) {
                Ok(engine) => none.insert(engine),
                Err(OpenFailure::Locked(holder)) => return Ok(Entry::HeldBy(Holder::Process(holder))),
                Err(OpenFailure::NotWritable(error) | OpenFailure::Other(error)) => return Err(error),
            },
        };
        let connection = match state.idle.pop() {
            Some(connection) => connection,
            None => {
                let connection = engine.connection.try_clone();
                connection.map_err(|error| error::engine("connect to the store", error))?
            }
        };
        state.users += 1;
        Ok(Entry::Admitted(Lease {
            connection: Some(connection),
            is_clean: true,
            gate: Arc::clone(self),
        }))
    }

    fn open(&self, mode: Mode) -> Result<Engine, OpenFailure> {
        let (path, access) = match (&self.path, mode) {
            (None, _) => (Path::new(":memory:"), AccessMode::Automatic),
            (Some(path), Mode::Read) => (path.as_path(), AccessMode::ReadOnly),
            (Some(path), Mode::Write) => (path.as_path(), AccessMode::ReadWrite),
        };
        let writable = self.path.is_none() || mode == Mode::Write;
        // Whoever closes a store leaves no log behind: its last writer is at work, or was killed.
        if self.path.is_some() && files::has_write_ahead_log(path) {
            recovery::put_right(path, || {
                Connection::open_with_flags(path, self.settings.config(AccessMode::ReadOnly)?)
            })?;
        }
        let opened = self.settings.config(access).and_then(|config| {
            let connection = Connection::open_with_flags(path, config)?;
            network::register(&connection)?;
            staged::register(&connection)?;
            // Strings of one chunk can be longer than 2 GiB together.
            connection.execute_batch("SET arrow_large_buffer_size = true; SET lock_configuration = true")?;
            Ok(connection)
        });
        let connection = opened.map_err(|error| error::open_failure(path, error))?;
        schema::refuse_newer(&connection, path).map_err(OpenFailure::Other)?;
        Ok(Engine { connection, writable })
    }
}

/// Retries come quickly at first, then about ten times a second, not in step with other processes.
fn retry_after(waited: Duration) -> Duration {
    let base = (waited / 4).clamp(Duration::from_millis(2), Duration::from_millis(100));
    base.mul_f64(0.5 + fastrand::f64())
}

/// A path that is the same however it is written, for a file that may not be there yet.
pub(super) fn canonical(path: &Path) -> Result<PathBuf> {
    let canonical = canonical_as_far_as_it_exists(path)?;
    if canonical.as_os_str().as_encoded_bytes().contains(&b'?') {
        let reason = "the engine takes what follows a question mark for parameters: rename it or its folder";
        return Err(error::unavailable(path, reason));
    }
    Ok(canonical)
}

fn canonical_as_far_as_it_exists(path: &Path) -> Result<PathBuf> {
    if let Ok(path) = path.canonicalize() {
        return Ok(path);
    }
    let name = path
        .file_name()
        .ok_or_else(|| error::unavailable(path, "it is not the name of a file"))?;
    let parent = files::folder_of(path);
    let parent = parent.canonicalize().map_err(|io| {
        let problem = format!(
            "cannot use its folder {}: {io}; create it first",
            parent.display()
        );
        error::unavailable(path, problem)
    })?;
    Ok(parent.join(name))
}

impl Lease {
    pub(super) fn connection(&self) -> &Connection {
        self.connection
            .as_ref()
            .expect("a lease has its connection until it is dropped")
    }
}

impl Lease {
    /// Lets nobody else have the connection: what it does may be interrupted.
    pub(super) fn for_one_use(self) -> Self {
        let mut lease = self;
        lease.is_clean = false;
        lease
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut state = lock(&self.gate.state);
        state
            .idle
            .extend(self.connection.take().filter(|_| self.is_clean));
        state.users -= 1;
        // A store in memory would be gone.
        if state.users == 0 && self.gate.path.is_some() {
            state.idle.clear();
            state.engine = None;
        }
        self.gate.changed.notify_all();
    }
}
