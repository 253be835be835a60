//! Text in, logs out. Nothing here knows of a store.
//!
//! [`find_sources`] turns what a user names into [`Source`]s; a source opens as a [`LogReader`], an iterator
//! of logs. Nothing is lost on the way: every line that is not empty becomes a log whose
//! [`raw`](crate::LogEntry::raw) is that line.

mod block;
mod follow;
mod formats;
mod input;
mod parser;
mod reader;
mod source;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use ipnet::IpNet;

use crate::models::{DateOrder, InvalidValue, Zone};
use crate::stop::StopHandle;

pub(crate) use block::LogBlock;
pub(crate) use follow::{ChangedFile, Follower};
pub(crate) use input::checkpoints::KnownFiles;
pub use reader::LogReader;
pub use source::{Source, find_sources};

/// The key of [`LogEntry::metadata`](crate::LogEntry::metadata) that says why a line could not be parsed.
pub const PARSE_ERROR: &str = "parse_error";

/// The key of [`LogEntry::metadata`](crate::LogEntry::metadata) that lists the fields which a line can be read to say
/// different things for, because a client has made its text look like the daemon's. They stay empty.
pub const AMBIGUOUS: &str = "ambiguous";

/// How lines are to be read.
///
/// ```
/// use std::io::Cursor;
/// use logstore::{IngestOptions, LogReader};
///
/// let lines = "<38>Oct 11 22:14:15 web1 sshd[42]: Failed password for root from 203.0.113.9 port 4 ssh2\n";
/// let mut reader = LogReader::new(Cursor::new(lines), &IngestOptions::new());
/// let log = reader.next().unwrap()?;
/// assert_eq!((log.hostname.as_deref(), log.appname.as_deref(), log.procid), (Some("web1"), Some("sshd"), Some(42)));
/// assert_eq!(log.source_ip().as_deref(), Some("203.0.113.9"));
/// assert_eq!((log.user(), log.outcome()), (Some("root"), Some("failure")));
/// # Ok::<(), logstore::IngestError>(())
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct IngestOptions {
    /// The format of every line; `None` to detect it line by line.
    pub format: Option<InputFormat>,
    /// The zone of times that name none; `None` for UTC.
    pub zone: Option<Zone>,
    /// Whether day or month comes first in a date of numbers. Where it is [`DateOrder::Auto`], the first and the last
    /// 64 KiB of a file decide, as they are when it is opened: a date that has only one order gives it to the others,
    /// unless dates of both orders are there. Of a compressed file only the first are read, and of a pipe none.
    pub date_order: DateOrder,
    /// The time before which times without a year are; `None` for that of each file.
    pub reference: Option<DateTime<Utc>>,
    /// What to call the source, in place of the name of its format.
    pub source_type: Option<String>,
    /// The networks whose hosts are proxies: the client is the one behind them. `None` for the private, loopback,
    /// link-local and unique local networks.
    pub trusted_proxies: Option<Vec<IpNet>>,
    /// Ends pipes once it is stopped.
    pub stop: Option<StopHandle>,
}

impl IngestOptions {
    /// Detects the format of each line, and reads times without a zone as UTC.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads every line in this format; one that does not have it is taken as plain text.
    #[must_use]
    pub fn with_format(self, format: InputFormat) -> Self {
        Self {
            format: Some(format),
            ..self
        }
    }

    /// Reads times that name no zone as times in `zone`.
    #[must_use]
    pub fn with_zone(self, zone: Zone) -> Self {
        Self {
            zone: Some(zone),
            ..self
        }
    }

    /// Reads dates of numbers in this order.
    #[must_use]
    pub fn with_date_order(self, date_order: DateOrder) -> Self {
        Self { date_order, ..self }
    }

    /// Reads times without a year as the last ones before `reference`.
    #[must_use]
    pub fn with_reference(self, reference: DateTime<Utc>) -> Self {
        Self {
            reference: Some(reference),
            ..self
        }
    }

    /// Takes the hosts of these networks, and no others, for proxies.
    #[must_use]
    pub fn with_trusted_proxies(self, networks: impl Into<Vec<IpNet>>) -> Self {
        Self {
            trusted_proxies: Some(networks.into()),
            ..self
        }
    }

    /// Sets what to call the source.
    #[must_use]
    pub fn with_source_type(self, source_type: impl Into<String>) -> Self {
        Self {
            source_type: Some(source_type.into()),
            ..self
        }
    }

    /// Reads standard input and named pipes as if their writers closed them, once `stop` is stopped. The lines that were
    /// written before are read, the last one even if it has no end. Without this, a reader waits for a silent writer.
    #[must_use]
    pub fn with_stop(self, stop: StopHandle) -> Self {
        Self {
            stop: Some(stop),
            ..self
        }
    }
}

/// A format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InputFormat {
    /// JSON objects, one a line, one after another, or in an array.
    Json,
    /// Syslog as of RFC 5424.
    Rfc5424,
    /// Syslog as of RFC 3164, and as it is written to files.
    Rfc3164,
    /// The access logs of Apache and nginx: common and combined log format.
    AccessLog,
    /// The error logs of Apache and nginx.
    ErrorLog,
    /// Any text.
    Text,
}

impl InputFormat {
    /// Every format.
    pub const ALL: [Self; 6] = [
        Self::Json,
        Self::Rfc5424,
        Self::Rfc3164,
        Self::AccessLog,
        Self::ErrorLog,
        Self::Text,
    ];

    /// The format's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Rfc5424 => "rfc5424",
            Self::Rfc3164 => "rfc3164",
            Self::AccessLog => "access_log",
            Self::ErrorLog => "error_log",
            Self::Text => "text",
        }
    }
}

impl fmt::Display for InputFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for InputFormat {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        Self::ALL
            .into_iter()
            .find(|format| format.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| {
                let known = Self::ALL.map(Self::as_str).join(", ");
                InvalidValue::new("input format", text, format!("use one of {known}"))
            })
    }
}

/// Why a source could not be read, or not to its end.
#[derive(Debug, thiserror::Error)]
#[error("cannot read logs from {name:?}: {reason}")]
#[non_exhaustive]
pub struct IngestError {
    /// The source, as it was named.
    pub name: PathBuf,
    /// What was wrong, and where it helps, what to do.
    pub reason: String,
    /// What a caller may do about it.
    pub kind: IngestErrorKind,
}

/// Tells apart the reasons of an [`IngestError`] that a caller may want to treat in a way of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum IngestErrorKind {
    /// Nothing has the name, or matches the pattern, yet.
    Missing,
    /// The file holds no text.
    NotText,
    /// The symbolic link leads back to a folder that it is in, which is read anyway.
    Loop,
    /// The pattern is none.
    Pattern,
    /// The system or the decompression failed.
    Unreadable,
}

impl IngestError {
    fn new(name: impl Into<PathBuf>, reason: impl fmt::Display) -> Self {
        Self {
            name: name.into(),
            reason: reason.to_string(),
            kind: IngestErrorKind::Unreadable,
        }
    }

    fn of_kind(self, kind: IngestErrorKind) -> Self {
        Self { kind, ..self }
    }
}

/// A file that has become shorter than it was when it was last read. What is left of it was read before, so that reading
/// goes on from its new end.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CutFile {
    /// The absolute path of the file.
    pub path: PathBuf,
    /// How many bytes it had, after decompression.
    pub was: u64,
    /// How many bytes it has now.
    pub is: u64,
}
