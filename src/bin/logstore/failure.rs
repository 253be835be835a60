//! Errors of commands, and their exit codes.

use std::io::{self, Write as _};

use logstore::config::ConfigError;
use logstore::ingest::IngestError;
use logstore::{Error, InvalidValue};

use crate::logging;
use crate::printable::printable;

/// Says how a command ended other than in success.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Means that nothing matched.
    Nothing(Option<String>),
    /// Means that the caller asked for something that makes no sense.
    Usage(String),
    /// Means that settings, store or files are not as they should be.
    Failed(String),
    /// Means that another process holds the lock of the store, or that a transaction met a conflict.
    Locked(String),
    /// Means that a signal with this number stopped it.
    Signal(i32),
    /// Means that the reader of the output has gone.
    ClosedPipe,
}

impl Failure {
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::ClosedPipe => 0,
            Self::Nothing(_) => 1,
            Self::Usage(_) => 2,
            Self::Failed(_) => 3,
            Self::Locked(_) => 4,
            // Shells use the same code.
            Self::Signal(signal) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
        }
    }

    /// Prints the error on standard error.
    pub(crate) fn print(&self) {
        let Some(text) = self.text() else { return };
        if logging::is_json_asked_for() {
            return logging::print_json_error(text);
        }
        // The engine shows the place in SQL below its message. All lines but the first are indented, so that none looks
        // like another message.
        let lines = text.lines().enumerate().map(|(index, line)| {
            let start = if index == 0 { "logstore:" } else { "  " };
            format!("{start} {}", printable(line)).trim_end().to_owned() + "\n"
        });
        // The reader may have gone.
        io::stderr().write_all(lines.collect::<String>().as_bytes()).ok();
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Usage(text) | Self::Failed(text) | Self::Locked(text) => Some(text),
            Self::Nothing(text) => text.as_deref(),
            Self::Signal(_) | Self::ClosedPipe => None,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let text = error.with_causes();
        match error {
            Error::InvalidInput(_) => Self::Usage(text),
            Error::NotFound { .. } => Self::Nothing(Some(text)),
            Error::Locked { .. } | Error::TransactionConflict { .. } => Self::Locked(text),
            _ => Self::Failed(text),
        }
    }
}

impl From<InvalidValue> for Failure {
    fn from(error: InvalidValue) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<IngestError> for Failure {
    fn from(error: IngestError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::ClosedPipe,
            _ => Self::Failed(format!("cannot write the output: {error}")),
        }
    }
}
