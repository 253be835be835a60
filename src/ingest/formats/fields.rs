//! The fields of a line, before it becomes a log.

use std::borrow::Cow;

use super::envelope::ContainerLine;
use super::library::Reading;
use crate::models::{Json, Members, TimeContext, TimeMatch, parse_time};
use chrono::{DateTime, Utc};

/// Holds the fields that a format found in a line.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Fields<'a> {
    pub(crate) source_type: &'static str,
    pub(crate) time: Option<FoundTime>,
    pub(crate) timestamp: Option<&'a str>,
    /// Holds the time of what is around the line, and its text.
    pub(crate) outer_time: Option<(DateTime<Utc>, &'a str)>,
    pub(crate) hostname: Option<&'a str>,
    pub(crate) appname: Option<&'a str>,
    pub(crate) procid: Option<&'a str>,
    pub(crate) message: Option<&'a str>,
    /// Says that the message is a part of the header, which definitions read and the log does not have for a message.
    pub(crate) is_event_in_header: bool,
    pub(crate) normalized: Members<'a>,
    /// Names the fields that the line can be read to say different things for.
    pub(crate) ambiguous: Vec<&'static str>,
    /// Says which part of the line could not be read, where the others could.
    pub(crate) problem: Option<String>,
    /// Holds what a definition of the library found.
    pub(crate) reading: Option<Reading<'a, 'a>>,
}

/// Holds a time that a line gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FoundTime {
    pub(crate) time: DateTime<Utc>,
    /// Says whether it has a date. Without one it is only a time of day.
    pub(crate) has_date: bool,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(source_type: &'static str) -> Self {
        Self {
            source_type,
            ..Self::default()
        }
    }

    /// Returns the fields of a line that a definition of the library has read as a whole.
    pub(crate) fn of_reading(line: &'a str, reading: Reading<'a, 'a>) -> Self {
        Self {
            message: Some(line),
            reading: Some(reading),
            ..Self::new("text")
        }
    }

    /// Adds what a container runtime wrote before a line.
    pub(crate) fn in_container(mut self, container: &ContainerLine<'a>, context: &TimeContext) -> Self {
        self.insert("stream", container.stream);
        if self.message.is_none() {
            self.message = Some(container.line);
        }
        self.outer_time = parse_time(container.time, context).map(|time| (time, container.time));
        self
    }

    /// Takes over the time that was found in `line`.
    pub(crate) fn with_time(self, line: &'a str, located: &TimeMatch) -> Self {
        Self {
            time: Some(FoundTime {
                time: located.time,
                has_date: located.has_date,
            }),
            timestamp: line.get(located.start..located.end),
            ..self
        }
    }

    /// Takes from the header of a relay what the line itself does not say.
    pub(crate) fn with_outer(self, outer: Self) -> Self {
        let has_time = self.time.is_some();
        let mut normalized = self.normalized;
        if let (Some(_), Some(relay)) = (self.hostname, outer.hostname) {
            normalized.insert("relay", relay);
        }
        Self {
            time: self.time.or(outer.time),
            timestamp: if has_time { self.timestamp } else { outer.timestamp },
            hostname: self.hostname.or(outer.hostname),
            normalized,
            ..self
        }
    }

    pub(crate) fn insert(&mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Json<'a>>) {
        self.normalized.insert(name, value);
    }
}

/// Says how the reading of a line in a format ended.
pub(crate) enum Outcome<'a> {
    /// Means that the line has this format.
    Fields(Box<Fields<'a>>),
    /// Means that the line starts as in this format, but breaks its rules.
    Malformed(String),
    /// Means that the line has another format.
    Other,
}

impl<'a> From<Fields<'a>> for Outcome<'a> {
    fn from(fields: Fields<'a>) -> Self {
        Self::Fields(Box::new(fields))
    }
}

impl<'a> From<Option<Fields<'a>>> for Outcome<'a> {
    fn from(fields: Option<Fields<'a>>) -> Self {
        fields.map_or(Self::Other, Self::from)
    }
}

/// Returns a text that is present: `-` means none in syslog and access logs.
pub(crate) fn present(text: &str) -> Option<&str> {
    (!text.is_empty() && text != "-").then_some(text)
}
