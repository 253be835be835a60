//! Which logs feed which log sources of rules.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use serde::Deserialize;

use super::event::{Event, field_key};
use crate::models::LogSource;

/// Limits the length of the names of channels and providers: routes are remembered, and the writer of a log chooses them.
const LONGEST_NAME: usize = 256;

/// Holds the table that is built into the program.
static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let table = toml::from_str(include_str!("routes.toml"));
    table.expect("a test reads the table of log sources")
});

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    windows: Vec<WindowsSource>,
    source: Vec<OtherSource>,
}

/// Says which events of Windows feed a category or a service.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WindowsSource {
    category: Option<String>,
    service: Option<String>,
    #[serde(default)]
    channels: Vec<String>,
    #[serde(default)]
    providers: Vec<String>,
    /// Holds the ids of events; none stands for all of them.
    #[serde(default)]
    events: Vec<u32>,
}

/// Says which logs feed another log source, and what its fields are called in them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OtherSource {
    of: LogSource,
    #[serde(default)]
    fed_by: Vec<LogSource>,
    #[serde(default)]
    fields: HashMap<String, Vec<String>>,
}

/// Holds what decides about the rules for an event.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Route {
    source: LogSource,
    channel: Option<String>,
    provider: Option<String>,
    event_id: Option<u32>,
}

fn short_name(text: Option<Cow<'_, str>>) -> Option<Cow<'_, str>> {
    text.filter(|text| text.len() <= LONGEST_NAME)
}

impl Route {
    pub(crate) fn of(event: &Event<'_>) -> Self {
        // A text line that holds such names is no event of Windows: its writer chose them.
        if event.text.is_some() && event.source.product.as_deref() != Some("windows") {
            return Self {
                source: event.source.clone(),
                ..Self::default()
            };
        }
        let channel = short_name(event.first(&["Channel", "LogName"]));
        let provider =
            short_name(event.first(&["Provider_Name", "SourceName", "ProviderName", "source_name"]));
        let event_id = event.first(&["EventID", "event_id", "EventCode"]);
        Self {
            source: event.source.clone(),
            channel: channel.map(|channel| channel.to_lowercase()),
            provider: provider.map(|provider| provider.to_lowercase()),
            event_id: event_id.and_then(|id| id.trim().parse().ok()),
        }
    }

    fn is_of_windows(&self) -> bool {
        let named = self.source.product.as_deref();
        named == Some("windows") || (named.is_none() && self.channel.is_some() && self.event_id.is_some())
    }

    /// Returns whether events of this route feed a log source of rules.
    pub(crate) fn feeds(&self, source: &LogSource) -> bool {
        let asks_windows = source.product.as_deref() == Some("windows")
            || (source.product.is_none() && TABLE.windows_source(source).is_some());
        match asks_windows && self.is_of_windows() && (self.channel.is_some() || self.provider.is_some()) {
            true => self.feeds_windows(source),
            false => self.feeds_by_words(source),
        }
    }

    /// Channel, provider and id decide about events of Windows, whatever their format calls them.
    fn feeds_windows(&self, source: &LogSource) -> bool {
        let category = source.category.as_deref();
        let service = source.service.as_deref();
        let by_category = category.is_none_or(|name| {
            TABLE
                .windows
                .iter()
                .any(|row| row.category.as_deref() == Some(name) && row.is_fed_by(self))
        });
        let by_service = service.is_none_or(|name| {
            TABLE
                .windows
                .iter()
                .any(|row| row.service.as_deref() == Some(name) && row.is_fed_by(self))
        });
        by_category && by_service
    }

    fn feeds_by_words(&self, source: &LogSource) -> bool {
        let rows = TABLE.source.iter().filter(|row| row.of == *source);
        source.covers(&self.source)
            || rows
                .flat_map(|row| &row.fed_by)
                .any(|feed| feed.covers(&self.source))
    }
}

impl WindowsSource {
    fn is_fed_by(&self, route: &Route) -> bool {
        let holds = |list: &[String], value: &Option<String>| {
            value
                .as_ref()
                .is_some_and(|value| list.iter().any(|name| name.to_lowercase() == *value))
        };
        let place = match (&*self.channels, &*self.providers) {
            ([], providers) => holds(providers, &route.provider),
            (channels, _) => holds(channels, &route.channel),
        };
        let is_event = self.events.is_empty() || route.event_id.is_some_and(|id| self.events.contains(&id));
        place && is_event
    }
}

impl Table {
    fn windows_source(&self, source: &LogSource) -> Option<&WindowsSource> {
        self.windows.iter().find(|row| {
            (source.category.is_some() && row.category == source.category && source.service.is_none())
                || (source.service.is_some() && row.service == source.service && source.category.is_none())
        })
    }
}

/// Returns whether any log feeds a log source of rules: an event of Windows that is known, or a log of one of `formats`.
pub(crate) fn is_fed(source: &LogSource, formats: &BTreeSet<LogSource>) -> bool {
    let is_windows = source.product.as_deref() == Some("windows");
    let rows = |part: &Option<String>, of: fn(&WindowsSource) -> &Option<String>| {
        part.is_none() || TABLE.windows.iter().any(|row| of(row) == part)
    };
    let by_channel = is_windows
        && rows(&source.category, |row| &row.category)
        && rows(&source.service, |row| &row.service);
    by_channel
        || formats.iter().any(|format| {
            let route = Route {
                source: format.clone(),
                ..Route::default()
            };
            route.feeds_by_words(source)
        })
}

/// Returns the names that a field of a rule may have in logs of its source, in the form in which names are compared.
pub(crate) fn names_of(field: &str, source: &LogSource) -> Vec<String> {
    let rows = TABLE.source.iter().filter(|row| row.of.covers(source));
    let own = field_key(field);
    let mapped = rows
        .flat_map(|row| &row.fields)
        .filter(|(name, _)| field_key(name) == own);
    let mapped = mapped.flat_map(|(_, names)| names);
    let mut names = vec![own.clone()];
    names.extend(mapped.map(|name| field_key(name)).filter(|name| *name != own));
    if source.product.as_deref() != Some("windows") {
        names.extend(
            CORE.iter()
                .filter(|(name, _)| *name == own)
                .map(|(_, core)| (*core).to_owned()),
        );
    }
    names.extend(
        GENERAL
            .iter()
            .filter(|(name, _)| *name == own)
            .map(|(_, other)| (*other).to_owned()),
    );
    names
}

/// Lists the names under which `fetch` shows the fields of every log, for rules on other logs than those of Windows.
const CORE: [(&str, &str); 14] = [
    ("source_ip", "@source_ip"),
    ("dest_ip", "@dest_ip"),
    ("source_port", "@source_port"),
    ("dest_port", "@dest_port"),
    ("user", "@user"),
    ("process", "@process"),
    ("action", "@action"),
    ("outcome", "@outcome"),
    ("level", "@level"),
    ("message", "@message"),
    ("host", "@host"),
    ("hostname", "@host"),
    ("appname", "@program"),
    ("program", "@program"),
];

/// Lists names that a field of Windows events has in other programs' forms of them.
const GENERAL: [(&str, &str); 7] = [
    ("eventid", "event_id"),
    ("eventid", "eventcode"),
    ("provider_name", "providername"),
    ("provider_name", "source_name"),
    ("channel", "logname"),
    ("computer", "computer_name"),
    ("computer", "computername"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> LogSource {
        text.parse().unwrap()
    }

    #[test]
    fn events_of_windows_are_routed_by_channel_and_id() {
        let event = Event::default()
            .with("Channel", "Microsoft-Windows-Sysmon/Operational")
            .with("EventID", "13");
        let route = Route::of(&event);
        assert!(route.feeds(&source("windows/registry_set/*")));
        assert!(route.feeds(&source("windows/registry_event/*")));
        assert!(route.feeds(&source("windows/*/sysmon")));
        assert!(route.feeds(&source("windows/*/*")));
        assert!(!route.feeds(&source("windows/registry_add/*")));
        assert!(!route.feeds(&source("windows/*/security")));
        assert!(!route.feeds(&source("linux/*/*")));
    }

    #[test]
    fn other_logs_are_routed_by_the_words_of_their_format() {
        let event = Event::new(source("apache/webserver/*"));
        let route = Route::of(&event);
        assert!(route.feeds(&source("*/webserver/*")));
        assert!(!route.feeds(&source("nginx/webserver/*")));
        assert!(route.feeds(&source("*/*/apache")));
    }
}
