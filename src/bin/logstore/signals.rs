//! The signals that end a command, and the exit codes that they give it.
//!
//! SIGINT, SIGTERM and SIGHUP stop a command after the work that it has begun. It then ends with 128 plus the number of
//! the signal: 130, 143 or 129. Following ends only by SIGINT or SIGTERM, so that these are its success. SIGHUP is not:
//! a supervisor is to start it again. A second signal ends the process immediately.
//!
//! A SIGHUP that is ignored when the program starts, as under nohup, stays ignored. Only Linux says whether it is. On
//! other systems, the program leaves SIGHUP alone: the system ends the process, or ignores the signal.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use logstore::StopHandle;

use crate::{Failure, Result};

const HANGUP: i32 = 1;

/// Holds the signal that has come, if one has.
#[derive(Debug, Clone, Default)]
pub(crate) struct Signals {
    first: Arc<AtomicI32>,
}

impl Signals {
    /// Stops when the user or the system asks for it.
    ///
    /// Before a second signal ends the process, `clear` leaves the terminal as it should be.
    pub(crate) fn stopping(stop: &StopHandle, clear: impl Fn() + Send + 'static) -> Result<Self> {
        let signals = Self::default();
        let (noted, stop) = (signals.clone(), stop.clone());
        listen(move |signal| noted.note(signal, &stop, &clear))
            .map_err(|error| Failure::Failed(format!("cannot listen for signals: {error}")))?;
        Ok(signals)
    }

    fn note(&self, signal: i32, stop: &StopHandle, clear: &impl Fn()) {
        if self.first.swap(signal, Ordering::Relaxed) != 0 {
            clear();
            std::process::exit(128 + signal);
        }
        stop.stop();
    }

    /// Fails if a signal ended a command that has an end of its own.
    pub(crate) fn check(&self) -> Result {
        match self.first.load(Ordering::Relaxed) {
            0 => Ok(()),
            signal => Err(Failure::Signal(signal)),
        }
    }

    /// Fails if a command that only signals end was ended by another signal than SIGINT and SIGTERM.
    pub(crate) fn check_followed(&self) -> Result {
        match self.first.load(Ordering::Relaxed) {
            HANGUP => Err(Failure::Signal(HANGUP)),
            _ => Ok(()),
        }
    }
}

#[cfg(unix)]
fn listen(note: impl Fn(i32) + Send + 'static) -> std::io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let mut listened = vec![SIGINT, SIGTERM];
    if is_heard(SIGHUP) {
        listened.push(SIGHUP);
    }
    let mut signals = signal_hook::iterator::Signals::new(listened)?;
    let thread = std::thread::Builder::new().name("signals".to_owned());
    thread.spawn(move || signals.forever().for_each(note)).map(drop)
}

/// Returns whether the program is known to be started without ignoring a signal.
#[cfg(unix)]
fn is_heard(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & (1 << (signal - 1)) == 0)
}

#[cfg(not(unix))]
fn listen(note: impl Fn(i32) + Send + 'static) -> Result<(), ctrlc::Error> {
    const INTERRUPT: i32 = 2;
    ctrlc::set_handler(move || note(INTERRUPT))
}
