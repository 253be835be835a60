//! The formats of lines, by name.

use std::fmt;
use std::str::FromStr;

use crate::models::InvalidValue;

/// Names a format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InputFormat {
    /// Reads JSON objects, one a line, one after another, or in an array.
    Json,
    /// Reads syslog as of RFC 5424.
    Rfc5424,
    /// Reads syslog as of RFC 3164, and as daemons write it to files.
    Rfc3164,
    /// Reads the access logs of Apache and nginx: common and combined log format.
    AccessLog,
    /// Reads the error logs of Apache and nginx.
    ErrorLog,
    /// Reads any text.
    Text,
    /// Reads logs as [`export_logs`](crate::DuckDbStore::export_logs) writes them to JSON lines and CSV.
    ///
    /// Each log has its own id, file and metadata. Nothing else may have written the file.
    Export,
}

impl InputFormat {
    /// Lists every format.
    pub const ALL: [Self; 7] = [
        Self::Json,
        Self::Rfc5424,
        Self::Rfc3164,
        Self::AccessLog,
        Self::ErrorLog,
        Self::Text,
        Self::Export,
    ];

    /// Returns the format's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Rfc5424 => "rfc5424",
            Self::Rfc3164 => "rfc3164",
            Self::AccessLog => "access_log",
            Self::ErrorLog => "error_log",
            Self::Text => "text",
            Self::Export => "export",
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
