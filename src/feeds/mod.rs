//! Reads threat intelligence in the forms in which it is published: lists, tables, STIX, MISP and OTX.
//!
//! ```
//! use logstore::feeds::{FeedOptions, read};
//!
//! let feed = read("# a list\n198.51.100[.]7:8080\n10.0.0.1\n", &FeedOptions::new("example"))?;
//! assert_eq!(feed.intel[0].indicator.to_string(), "198.51.100.7");
//! assert_eq!(feed.refused[0].line, Some(3));
//! assert!(feed.refused[0].reason.contains("private"));
//! # Ok::<(), logstore::feeds::FeedError>(())
//! ```

mod confidence;
mod entry;
mod json;
mod list;
mod misp;
mod otx;
mod row;
mod stix;
mod table;
mod unlikely;
mod value;

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};

pub use crate::models::BENIGN;
use crate::models::{Indicator, InvalidValue, ThreatIntel, checked_confidence};

use entry::Collector;

/// Names the forms of feeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FeedFormat {
    /// Means one indicator on a line, with comments; also hosts files and the lists of ad blockers.
    List,
    /// Means a table whose first line or comment names its columns.
    Csv,
    /// Means objects with named members: this crate's own, or those of any producer.
    Json,
    /// Means the indicators of [STIX 2.1](https://docs.oasis-open.org/cti/stix/v2.1/stix-v2.1.html), in a bundle or in
    /// the answer of a TAXII server.
    Stix,
    /// Means the events or attributes of [MISP](https://www.misp-standard.org/rfc/misp-standard-core.html).
    Misp,
    /// Means a warning list of MISP. It names what is harmless.
    WarningList,
    /// Means the pulses of Open Threat Exchange.
    Otx,
}

impl FeedFormat {
    /// Lists every format.
    pub const ALL: [Self; 7] = [
        Self::List,
        Self::Csv,
        Self::Json,
        Self::Stix,
        Self::Misp,
        Self::WarningList,
        Self::Otx,
    ];

    /// Returns the format's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Stix => "stix",
            Self::Misp => "misp",
            Self::WarningList => "warning-list",
            Self::Otx => "otx",
        }
    }
}

impl fmt::Display for FeedFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for FeedFormat {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let known = Self::ALL.into_iter().find(|format| format.as_str() == text);
        known.ok_or_else(|| {
            let reason = "use list, csv, json, stix, misp, warning-list or otx";
            InvalidValue::new("format of a feed", text, reason)
        })
    }
}

/// Says how a feed is read, and what holds for entries that say nothing themselves.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FeedOptions {
    /// Names the source of the intelligence.
    pub source: String,
    /// Holds the format; `None` lets the text tell it.
    pub format: Option<FeedFormat>,
    /// Names the columns of a table; none lets the table name them.
    pub columns: Vec<String>,
    /// Holds the threat type of entries without one. Default: `unknown`.
    pub threat_type: String,
    /// Holds the confidence of entries without one, from 0 to 1. Default: 0.5.
    pub confidence: f64,
    /// Holds the expiry of entries without one; `None` means never.
    pub expires_at: Option<DateTime<Utc>>,
    /// Says whether values are kept that cannot be signs of a threat, such as private addresses.
    pub keep_all: bool,
    /// Says whether the feed names what is harmless. Its entries get the threat type [`BENIGN`].
    pub allow: bool,
}

impl FeedOptions {
    /// Makes the options of a source. The text of a feed tells its format.
    pub fn new(source: impl Into<String>) -> Self {
        Self {
            source: source.into(),
            format: None,
            columns: Vec::new(),
            threat_type: "unknown".to_owned(),
            confidence: 0.5,
            expires_at: None,
            keep_all: false,
            allow: false,
        }
    }

    /// Sets the confidence of entries without one.
    ///
    /// # Errors
    ///
    /// If the confidence is not from 0 to 1.
    pub fn with_confidence(self, confidence: f64) -> Result<Self, InvalidValue> {
        let confidence = checked_confidence(confidence)?;
        Ok(Self { confidence, ..self })
    }
}

/// Holds what a feed says.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Feed {
    /// Holds the format in which the feed was read.
    pub format: FeedFormat,
    /// Counts the entries, those included that were refused.
    pub entries: u64,
    /// Holds the intelligence in the order of the feed.
    pub intel: Vec<ThreatIntel>,
    /// Lists the entries that were not taken.
    pub refused: Vec<RefusedEntry>,
    /// Lists what could not be read of entries that were taken, such as a confidence in words of another language.
    pub warnings: Vec<EntryWarning>,
}

/// Describes what could not be read of an entry that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EntryWarning {
    /// Holds the number of its line from 1; `None` in a document of objects.
    pub line: Option<u64>,
    /// Holds the beginning of its text.
    pub entry: String,
    /// Says what could not be read.
    pub reason: String,
}

/// Describes an entry of a feed that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefusedEntry {
    /// Holds the number of its line from 1; `None` in a document of objects.
    pub line: Option<u64>,
    /// Holds the beginning of its text.
    pub entry: String,
    /// Says why it was not taken.
    pub reason: String,
}

impl fmt::Display for RefusedEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_entry(f, self.line, &self.entry, &self.reason)
    }
}

impl fmt::Display for EntryWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_entry(f, self.line, &self.entry, &self.reason)
    }
}

fn write_entry(f: &mut fmt::Formatter<'_>, line: Option<u64>, entry: &str, reason: &str) -> fmt::Result {
    if let Some(line) = line {
        write!(f, "line {line}: ")?;
    }
    write!(f, "{entry:?}: {reason}")
}

/// Says why a feed cannot be read at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FeedError {
    /// Means that the text does not have the format that was asked for.
    #[error("the feed is not of the format {format}: {reason}")]
    Format {
        /// Holds the format that was asked for.
        format: FeedFormat,
        /// Says what is wrong.
        reason: String,
    },
    /// Means that the text is a page for people, such as the error of a server.
    #[error("this is a page of HTML or XML, and no feed")]
    Page,
    /// Means that the feed is no text.
    #[error("this is a binary file: unpack it first, or convert it to UTF-8")]
    Binary,
    /// Means that the feed names what is harmless, and was not read as such.
    #[error(
        "this is a warning list, which names what is harmless: read it as a list of allowed values (--allow)"
    )]
    NamesTheHarmless,
}

/// Limits the bytes in which a NUL byte tells a binary file from a text.
const BINARY_WITHIN: usize = 8 * 1024;

/// Reads a feed.
///
/// An entry that cannot be read, or that cannot be the sign of a threat, is refused with its reason. The others are
/// taken.
///
/// # Errors
///
/// If the text is not of the format that the options name, if it has a NUL byte among its first 8 KiB, or if it is a
/// warning list and the options do not say that the feed names what is harmless.
pub fn read(text: &str, options: &FeedOptions) -> Result<Feed, FeedError> {
    let text = text.trim_start_matches('\u{feff}');
    if text.trim_start().starts_with('<') {
        return Err(FeedError::Page);
    }
    if text.bytes().take(BINARY_WITHIN).any(|byte| byte == 0) {
        return Err(FeedError::Binary);
    }
    let mut collector = Collector::new(options);
    let format = match options.format {
        Some(FeedFormat::List) => list::read(text, &mut collector),
        Some(FeedFormat::Csv) => table::read(text, &mut collector)?,
        Some(format) => json::read(text, Some(format), &mut collector)?,
        None if json::may_be(text) => json::read(text, None, &mut collector)?,
        None if table::may_be(text, options) => table::read(text, &mut collector)?,
        None => list::read(text, &mut collector),
    };
    Ok(collector.into_feed(format))
}

/// Reads one indicator as analysts write it: it may be defanged, or have a port.
///
/// ```
/// use logstore::feeds::indicator;
///
/// assert_eq!(indicator("hxxp://Bad[.]example:80")?.to_string(), "http://bad.example/");
/// # Ok::<(), logstore::InvalidValue>(())
/// ```
///
/// # Errors
///
/// If the text is no indicator, or a range of addresses that takes several networks.
pub fn indicator(text: &str) -> Result<Indicator, InvalidValue> {
    let invalid = |reason: &str| InvalidValue::new("indicator", text, reason);
    match value::indicators(text, None) {
        Ok(found) => match <[Indicator; 1]>::try_from(found) {
            Ok([indicator]) => Ok(indicator),
            Err(_) => Err(invalid("it is a range of several networks")),
        },
        Err(reason) => Err(invalid(&reason)),
    }
}

/// Reads one indicator in any notation in which logs are searched for it: as [`indicator`] does, encoded as in a URL, or an
/// address of IPv4 as browsers read it, but for what may be a part of one.
///
/// ```
/// use logstore::feeds::indicator_of_any_notation;
///
/// for text in ["0xc6336404", "3325256708", "0306.063.0144.04", "198.51.25604", "[::ffff:c633:6404]:80"] {
///     assert_eq!(indicator_of_any_notation(text)?.to_string(), "198.51.100.4");
/// }
/// assert_eq!(indicator_of_any_notation("http%3A%2F%2Fbad.example")?.to_string(), "http://bad.example/");
/// assert!(indicator_of_any_notation("203.0.113").is_err());
/// # Ok::<(), logstore::InvalidValue>(())
/// ```
///
/// # Errors
///
/// Those of [`indicator`].
pub fn indicator_of_any_notation(text: &str) -> Result<Indicator, InvalidValue> {
    indicator(text).or_else(|error| {
        let decoded = percent_encoding::percent_decode_str(text).decode_utf8_lossy();
        if may_be_part_of_address(&decoded) {
            return Err(error);
        }
        let host = crate::models::canonical_host(decoded.trim());
        let read = indicator(&decoded).or_else(|_| indicator(&host));
        read.map_err(|_| error)
    })
}

/// Says whether a text is a number too small for an address, or two or three of one. A browser would take `203.0.113`
/// for 203.0.0.113, where most people mean the addresses that begin so.
fn may_be_part_of_address(text: &str) -> bool {
    let parts = text.trim().trim_end_matches('.').split('.').map(str::parse);
    match parts.collect::<Result<Vec<u32>, _>>().as_deref() {
        Ok([number]) => *number < 1 << 24,
        Ok([_, last] | [_, _, last]) => *last <= 255,
        _ => false,
    }
}

/// Returns why an indicator cannot be the sign of a threat, as feeds are checked; `None` if it can.
pub fn reason_against(indicator: &Indicator) -> Option<String> {
    unlikely::reason_against(indicator)
}

#[cfg(test)]
mod tests;
