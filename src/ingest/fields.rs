//! What a line says, before it becomes a log.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::models::LocatedTime;

/// The fields that a format found in a line.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Fields {
    pub(super) source_type: &'static str,
    pub(super) time: Option<FoundTime>,
    pub(super) timestamp: Option<String>,
    pub(super) hostname: Option<String>,
    pub(super) appname: Option<String>,
    pub(super) procid: Option<String>,
    pub(super) message: Option<String>,
    pub(super) normalized: Map<String, Value>,
}

/// A time that a line gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FoundTime {
    pub(super) time: DateTime<Utc>,
    /// Without one it is only a time of day.
    pub(super) has_date: bool,
}

impl Fields {
    pub(super) fn new(source_type: &'static str) -> Self {
        Self {
            source_type,
            ..Self::default()
        }
    }

    /// Takes over the time that was found in `line`.
    pub(super) fn with_time(self, line: &str, located: &LocatedTime) -> Self {
        Self {
            time: Some(FoundTime {
                time: located.time,
                has_date: located.has_date,
            }),
            timestamp: line.get(located.start..located.end).map(str::to_owned),
            ..self
        }
    }

    pub(super) fn insert(&mut self, name: &str, value: impl Into<Value>) {
        self.normalized.insert(name.to_owned(), value.into());
    }
}

/// What a format makes of a line.
pub(super) enum Outcome {
    /// The line has this format.
    Fields(Box<Fields>),
    /// The line starts as in this format, but breaks its rules.
    Malformed(String),
    /// The line has another format.
    Other,
}

impl From<Fields> for Outcome {
    fn from(fields: Fields) -> Self {
        Self::Fields(Box::new(fields))
    }
}

impl From<Option<Fields>> for Outcome {
    fn from(fields: Option<Fields>) -> Self {
        fields.map_or(Self::Other, Self::from)
    }
}

/// A text that is there: `-` stands for nothing in syslog and access logs.
pub(super) fn present(text: &str) -> Option<String> {
    (!text.is_empty() && text != "-").then(|| text.to_owned())
}
