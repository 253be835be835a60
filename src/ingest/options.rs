//! The options of reading lines.

use std::time::Duration;

use chrono::{DateTime, Utc};
use ipnet::IpNet;

use super::format_library::FormatLibrary;
use super::input_format::InputFormat;
use crate::models::{ContinuationLines, DateOrder, Encoding, Zone};
use crate::stop::StopHandle;

/// Says how long an event at the end of a followed file waits for more lines, unless the options say otherwise.
pub(super) const MULTILINE_TIMEOUT: Duration = Duration::from_secs(1);

/// Says how lines are to be read.
///
/// ```
/// use std::io::Cursor;
/// use logstore::ingest::{IngestOptions, LogReader};
///
/// let lines = "<38>Oct 11 22:14:15 web1 sshd[42]: Failed password for root from 203.0.113.9 port 4 ssh2\n";
/// let mut reader = LogReader::new(Cursor::new(lines), &IngestOptions::new());
/// let log = reader.next().unwrap()?;
/// assert_eq!((log.hostname.as_deref(), log.appname.as_deref(), log.procid), (Some("web1"), Some("sshd"), Some(42)));
/// assert_eq!(log.source_ip().as_deref(), Some("203.0.113.9"));
/// assert_eq!((log.user(), log.outcome()), (Some("root"), Some("failure")));
/// # Ok::<(), logstore::ingest::IngestError>(())
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct IngestOptions {
    /// Names the format of every line; `None` detects it line by line.
    pub format: Option<InputFormat>,
    /// Names the character encoding; `None` means UTF-8, or UTF-16 where the first bytes of a source tell it.
    pub encoding: Option<Encoding>,
    /// Names the field, or several between commas, whose value makes the id of a log. An event that is delivered twice
    /// is then stored once, if it has a time of its own.
    pub id_field: Option<String>,
    /// Says whether stack traces and the like are joined with the event before them. They are by default.
    pub continuation_lines: ContinuationLines,
    /// Says how long an event of several lines at the end of a followed file waits for more of them; `None` means one
    /// second.
    pub multiline_timeout: Option<Duration>,
    /// Names the zone of times that have none; `None` means UTC.
    pub zone: Option<Zone>,
    /// Says whether day or month comes first in a date of numbers.
    ///
    /// With [`DateOrder::Auto`], the first and the last 64 KiB of a file decide, as they are when it is opened. A date
    /// that has only one order gives it to the others, unless dates of both orders are there. Of a compressed file only
    /// the first 64 KiB are read, and of a pipe none.
    pub date_order: DateOrder,
    /// Holds the time before which times without a year are; `None` means the time of each file.
    pub reference: Option<DateTime<Utc>>,
    /// Holds the name of the source, which replaces the name of its format.
    pub source_type: Option<String>,
    /// Holds the networks whose hosts are proxies. The client is the host behind them.
    ///
    /// `None` means the private, loopback, link-local and unique local networks.
    pub trusted_proxies: Option<Vec<IpNet>>,
    /// Holds the formats that are known.
    pub formats: FormatLibrary,
    /// Ends pipes once it is stopped.
    pub stop: Option<StopHandle>,
}

impl IngestOptions {
    /// Detects the format of each line, and reads times without a zone as UTC.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads every line in this format. A line that does not have it is taken as plain text.
    #[must_use]
    pub fn with_format(self, format: InputFormat) -> Self {
        Self {
            format: Some(format),
            ..self
        }
    }

    /// Reads every source in this character encoding.
    #[must_use]
    pub fn with_encoding(self, encoding: Encoding) -> Self {
        Self {
            encoding: Some(encoding),
            ..self
        }
    }

    /// Joins lines that continue an event with it, or keeps them apart.
    #[must_use]
    pub fn with_continuation_lines(self, continuation_lines: ContinuationLines) -> Self {
        Self {
            continuation_lines,
            ..self
        }
    }

    /// Makes the id of a log of this field, or of several between commas.
    #[must_use]
    pub fn with_id_field(self, id_field: impl Into<String>) -> Self {
        Self {
            id_field: Some(id_field.into()),
            ..self
        }
    }

    /// Lets an event of several lines at the end of a followed file wait this long for more of them.
    #[must_use]
    pub fn with_multiline_timeout(self, multiline_timeout: Duration) -> Self {
        Self {
            multiline_timeout: Some(multiline_timeout),
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

    /// Reads lines by the definitions of this library.
    #[must_use]
    pub fn with_formats(self, formats: FormatLibrary) -> Self {
        Self { formats, ..self }
    }

    /// Names the source.
    #[must_use]
    pub fn with_source_type(self, source_type: impl Into<String>) -> Self {
        Self {
            source_type: Some(source_type.into()),
            ..self
        }
    }

    /// Reads standard input and named pipes as if their writers closed them, once `stop` is stopped.
    ///
    /// The lines that were written before are read, the last one even if it has no end. Without this, a reader waits
    /// for a silent writer.
    #[must_use]
    pub fn with_stop(self, stop: StopHandle) -> Self {
        Self {
            stop: Some(stop),
            ..self
        }
    }
}
