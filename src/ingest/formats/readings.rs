//! Messages that can be read in more ways than one.

use crate::models::{Members, endpoint};

/// Holds the fields of a message, as it writes them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Values<'a> {
    pub(crate) user: Option<&'a str>,
    /// Holds an address, or the text that a daemon writes for one.
    pub(crate) source: Option<&'a str>,
    pub(crate) source_port: Option<&'a str>,
    pub(crate) source_domain: Option<&'a str>,
    pub(crate) effective_user: Option<&'a str>,
    pub(crate) command_line: Option<&'a str>,
    pub(crate) server: Option<&'a str>,
}

/// Lists the fields of a [`Values`], each under its name in a log.
type Slots<'v, 'a> = [(&'static str, &'v mut Option<&'a str>); 7];

impl<'a> Values<'a> {
    fn slots(&mut self) -> Slots<'_, 'a> {
        [
            ("user", &mut self.user),
            ("source_ip", &mut self.source),
            ("source.port", &mut self.source_port),
            ("source.domain", &mut self.source_domain),
            ("user.effective.name", &mut self.effective_user),
            ("process.command_line", &mut self.command_line),
            ("url.domain", &mut self.server),
        ]
    }
}

/// Collects the ways in which the format of a message lets it be read.
///
/// A client may have written parts of the message so that they look like the rest of it. If that leaves several ways to
/// read a field, the field stays empty, and its name is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Readings<'a> {
    values: Option<Values<'a>>,
    ambiguous: Vec<&'static str>,
    verdict: Verdict,
}

/// Tells the outcome that a message gives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Verdict {
    /// Means the outcome of all messages with its mark.
    #[default]
    Usual,
    Nothing,
    Failure,
}

impl<'a> Readings<'a> {
    /// Describes a message that can be read in one way only.
    pub(crate) fn one(values: Values<'a>) -> Self {
        Self {
            values: Some(values),
            ..Self::default()
        }
    }

    /// Returns the readings, if there is any.
    pub(crate) fn any(readings: impl IntoIterator<Item = Values<'a>>) -> Option<Self> {
        let mut all = Self::default();
        for values in readings {
            all.add(values);
        }
        all.values.is_some().then_some(all)
    }

    fn add(&mut self, mut values: Values<'a>) {
        let Some(held) = &mut self.values else {
            self.values = Some(values);
            return;
        };
        for ((name, held), (_, other)) in held.slots().into_iter().zip(values.slots()) {
            if held != other && !self.ambiguous.contains(&name) {
                *held = None;
                self.ambiguous.push(name);
            }
        }
    }

    /// Says nothing of the outcome.
    #[must_use]
    pub(crate) fn without_outcome(self) -> Self {
        Self {
            verdict: Verdict::Nothing,
            ..self
        }
    }

    /// Says that the attempt failed.
    #[must_use]
    pub(crate) fn of_failure(self) -> Self {
        Self {
            verdict: Verdict::Failure,
            ..self
        }
    }

    pub(crate) fn outcome_or(&self, usual: Option<&'static str>) -> Option<&'static str> {
        match self.verdict {
            Verdict::Usual => usual,
            Verdict::Nothing => None,
            Verdict::Failure => Some("failure"),
        }
    }

    /// Adds the fields to those of a log. Fields that the log has already stay.
    ///
    /// Returns the names of the fields that are missing because there are several readings.
    pub(crate) fn insert_into(self, normalized: &mut Members<'a>) -> Vec<&'static str> {
        let mut ambiguous = self.ambiguous;
        ambiguous.retain(|name| normalized.get(name).is_none());
        let values = self.values.unwrap_or_default();
        let texts = [
            ("user", values.user),
            ("source.domain", values.source_domain),
            ("user.effective.name", values.effective_user),
            ("process.command_line", values.command_line),
            ("url.domain", values.server),
        ];
        for (name, text) in texts {
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                normalized.insert_if_missing(name, text);
            }
        }
        let source = values.source.filter(|source| !source.is_empty());
        let mut port = values.source_port;
        if let Some(source) = source {
            port = port.or(insert_source(source, normalized));
        }
        match port.map(|port| port.parse::<u16>().map_err(|_| port)) {
            Some(Ok(port)) => normalized.insert_if_missing("source.port", port),
            Some(Err(text)) => normalized.insert_if_missing("source.port", text),
            None => {}
        }
        ambiguous
    }
}

/// Adds a source: its address, or its name if it is no address. Returns the port that is written with it.
pub(crate) fn insert_source<'a>(source: &'a str, normalized: &mut Members<'a>) -> Option<&'a str> {
    match endpoint(source) {
        Some(endpoint) => {
            normalized.insert_if_missing("source_ip", endpoint.address);
            endpoint.port
        }
        None => {
            normalized.insert_if_missing("source.address", source);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_all_readings_agree_on_is_said() {
        let reading = |user, source| Values {
            user: Some(user),
            source: Some(source),
            ..Values::default()
        };
        let readings = Readings::any([
            reading("a", "1.1.1.1"),
            reading("a", "1.1.1.2"),
            reading("a", "1.1.1.1"),
        ]);
        let mut normalized = Members::default();
        assert_eq!(readings.unwrap().insert_into(&mut normalized), ["source_ip"]);
        assert_eq!(normalized.to_text().as_deref(), Some(r#"{"user":"a"}"#));
        assert_eq!(Readings::any([]), None);
    }
}
