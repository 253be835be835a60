//! How far a consumer has compared imported intelligence with the logs that were stored before.

use std::fmt;

use super::LogKey;

/// Says how far a consumer has looked back: which imports of intelligence it has compared with stored logs.
///
/// Imports are numbered: see [`IntelStore::last_import`](crate::IntelStore::last_import).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lookback {
    /// Names the last import that is compared with all logs.
    pub done: u64,
    /// Names the last import that is being compared: [`done`](Self::done) if none is.
    pub target: u64,
    /// Names the log up to which the imports after `done` are compared, from the newest log on; `None` at the start.
    pub position: Option<LogKey>,
}

impl Lookback {
    /// Says that all imports up to one are compared with all logs.
    pub fn done(import: u64) -> Self {
        Self {
            done: import,
            target: import,
            position: None,
        }
    }
}

impl fmt::Display for Lookback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "imports {} to {}", self.done, self.target)?;
        match &self.position {
            Some(log) => write!(f, " after log {log}"),
            None => Ok(()),
        }
    }
}
