//! Which logs feed which log sources of rules.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::OnceLock;

use serde::Deserialize;

use super::event::{Event, Scalar, field_key, write_key};
use crate::models::{InvalidValue, LogSource};

/// Limits the length of the names of channels and providers: routes are remembered, and the writer of a log chooses them.
const LONGEST_NAME: usize = 256;

/// Holds the table of the process, once it is in use.
static TABLE: OnceLock<Table> = OnceLock::new();

fn table() -> &'static Table {
    TABLE.get_or_init(|| Table::built_in(include_str!("routes.toml")))
}

/// Says which logs feed which log sources of rules, besides those that are built in.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct RouteOptions<'a> {
    /// Holds a table in the form of `src/detect/routes.toml`, whose rows are added.
    pub own: Option<&'a str>,
    /// Says whether event 4688 of the security log feeds `process_creation`. Where Sysmon runs too, each alert comes
    /// twice.
    pub security_4688: bool,
}

impl RouteOptions<'_> {
    /// Sets the routes of this process. Call it before rules are read or applied.
    ///
    /// # Errors
    ///
    /// If the table cannot be used, or if other routes are in use already.
    pub fn set(self) -> Result<(), InvalidValue> {
        let mut table = Table::built_in(include_str!("routes.toml"));
        if let Some(own) = self.own {
            table.add(
                Table::read(own).map_err(|reason| InvalidValue::new("table of log sources", own, reason))?,
            );
        }
        if self.security_4688 {
            table.add(Table::built_in(include_str!("security_4688.toml")));
            table.has_security_4688 = true;
        }
        let reason = "other routes are in use already: set them first";
        let used = TABLE.set(table);
        used.map_err(|_| InvalidValue::new("table of log sources", self.own.unwrap_or_default(), reason))
    }
}

/// Returns whether event 4688 of the security log feeds `process_creation`.
pub(crate) fn has_security_4688() -> bool {
    table().has_security_4688
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default)]
    windows: Vec<WindowsSource>,
    #[serde(default)]
    source: Vec<OtherSource>,
    #[serde(skip)]
    has_security_4688: bool,
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

/// Names the parts of a route that an event itself holds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RoutePart {
    Channel,
    Provider,
    EventId,
}

/// Lists the keys of the names that these parts have, the best name of each first.
pub(crate) const ROUTE_NAMES: [(&str, RoutePart, u8); 9] = [
    ("channel", RoutePart::Channel, 0),
    ("logname", RoutePart::Channel, 1),
    ("provider_name", RoutePart::Provider, 0),
    ("sourcename", RoutePart::Provider, 1),
    ("providername", RoutePart::Provider, 2),
    ("source_name", RoutePart::Provider, 3),
    ("eventid", RoutePart::EventId, 0),
    ("event_id", RoutePart::EventId, 1),
    ("eventcode", RoutePart::EventId, 2),
];

/// Holds what decides about the route of an event, as the event has it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct RouteParts<'e> {
    source: Cow<'e, LogSource>,
    channel: Option<Cow<'e, str>>,
    provider: Option<Cow<'e, str>>,
    event_id: Option<u32>,
}

/// Holds the value of the best name that has been seen, with the place of the name.
type Best<'e> = Option<(u8, &'e Scalar<'e>)>;

impl<'e> RouteParts<'e> {
    /// Takes the parts of an event. `name_of` gives the place of the name of a value in [`ROUTE_NAMES`], if it is there.
    pub(crate) fn of(event: &'e Event<'_>, mut name_of: impl FnMut(usize, &str) -> Option<usize>) -> Self {
        // A text line that holds such names is no event of Windows: its writer chose them.
        let may_be_of_windows = event.text.is_none() || event.source.product.as_deref() == Some("windows");
        let (mut channel, mut provider, mut event_id): (Best<'_>, Best<'_>, Best<'_>) = (None, None, None);
        for (place, leaf) in event.leaves.iter().enumerate() {
            let Some((_, part, rank)) = name_of(place, &leaf.name).and_then(|name| ROUTE_NAMES.get(name))
            else {
                continue;
            };
            let best = match part {
                RoutePart::Channel => &mut channel,
                RoutePart::Provider => &mut provider,
                RoutePart::EventId => &mut event_id,
            };
            let is_better = best.is_none_or(|(known, _)| *rank < known);
            if may_be_of_windows && is_better && leaf.value != Scalar::Null {
                *best = Some((*rank, &leaf.value));
            }
        }
        let name = |best: Best<'e>| best?.1.to_text().filter(|text| text.len() <= LONGEST_NAME);
        Self {
            source: Cow::Borrowed(&event.source),
            channel: name(channel),
            provider: name(provider),
            event_id: event_id.and_then(|(_, id)| id.to_text()?.trim().parse().ok()),
        }
    }

    pub(crate) fn into_owned(self) -> RouteParts<'static> {
        let owned = |text: Option<Cow<'_, str>>| text.map(|text| Cow::Owned(text.into_owned()));
        RouteParts {
            source: Cow::Owned(self.source.into_owned()),
            channel: owned(self.channel),
            provider: owned(self.provider),
            event_id: self.event_id,
        }
    }
}

impl Route {
    pub(crate) fn of(event: &Event<'_>) -> Self {
        let mut key = String::new();
        let parts = RouteParts::of(event, |_, name| {
            write_key(name, &mut key);
            ROUTE_NAMES.iter().position(|(known, ..)| *known == key)
        });
        Self::from(&parts)
    }

    /// Returns the channel, if the event is one of Windows.
    pub(crate) fn into_channel(self) -> Option<String> {
        match self.is_of_windows() {
            true => self.channel,
            false => None,
        }
    }

    /// Returns whether the event is the security log's record of a new process.
    pub(crate) fn is_security_4688(&self) -> bool {
        self.channel.as_deref() == Some("security") && self.event_id == Some(4688)
    }

    fn is_of_windows(&self) -> bool {
        let named = self.source.product.as_deref();
        named == Some("windows") || (named.is_none() && self.channel.is_some() && self.event_id.is_some())
    }

    /// Returns whether events of this route feed a log source of rules.
    pub(crate) fn feeds(&self, source: &LogSource) -> bool {
        let asks_windows = source.product.as_deref() == Some("windows")
            || (source.product.is_none() && table().windows_source(source).is_some());
        match asks_windows && self.is_of_windows() && (self.channel.is_some() || self.provider.is_some()) {
            true => self.feeds_windows(source),
            false => self.feeds_by_words(source),
        }
    }

    /// Channel, provider and id decide about events of Windows, whatever their format calls them.
    fn feeds_windows(&self, source: &LogSource) -> bool {
        table().has_rows_for(source, |row| row.is_fed_by(self))
    }

    fn feeds_by_words(&self, source: &LogSource) -> bool {
        let rows = table().source.iter().filter(|row| row.of == *source);
        source.covers(&self.source)
            || rows
                .flat_map(|row| &row.fed_by)
                .any(|feed| feed.covers(&self.source))
    }
}

impl From<&RouteParts<'_>> for Route {
    fn from(parts: &RouteParts<'_>) -> Self {
        let folded = |text: &Option<Cow<'_, str>>| text.as_ref().map(|text| text.to_lowercase());
        Self {
            source: parts.source.clone().into_owned(),
            channel: folded(&parts.channel),
            provider: folded(&parts.provider),
            event_id: parts.event_id,
        }
    }
}

impl OtherSource {
    fn check(&self) -> Result<(), &'static str> {
        let empty = LogSource::default();
        match self {
            Self { of, .. } if *of == empty => {
                Err("is of no log source: give `of` a product, category or service")
            }
            Self { fed_by, .. } if fed_by.contains(&empty) => {
                Err("is fed by a log source without a product, category or service")
            }
            Self { fed_by, fields, .. } if fed_by.is_empty() && fields.is_empty() => {
                Err("says nothing: give it `fed_by` or `fields`")
            }
            Self { fields, .. } if fields.values().any(Vec::is_empty) => {
                Err("has a field without names in logs")
            }
            _ => Ok(()),
        }
    }
}

impl WindowsSource {
    fn check(&self) -> Result<(), &'static str> {
        if self.category.is_some() == self.service.is_some() {
            return Err("is for either a category or a service: give it one of them");
        }
        match self.channels.is_empty() && self.providers.is_empty() {
            true => Err("names no channels and no providers"),
            false => Ok(()),
        }
    }

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
    fn built_in(text: &str) -> Self {
        Self::read(text).expect("tests read the tables that are built in")
    }

    /// Reads a table. The error says what is wrong with it.
    fn read(text: &str) -> Result<Self, String> {
        let table: Self =
            toml::from_str(text).map_err(|error| error.to_string().trim().replace('\n', " "))?;
        for (number, row) in (1..).zip(&table.windows) {
            row.check()
                .map_err(|reason| format!("[[windows]] number {number} {reason}"))?;
        }
        for (number, row) in (1..).zip(&table.source) {
            row.check()
                .map_err(|reason| format!("[[source]] number {number} {reason}"))?;
        }
        Ok(table)
    }

    /// Adds the rows of another table.
    fn add(&mut self, other: Self) {
        self.windows.extend(other.windows);
        self.source.extend(other.source);
    }

    /// Returns whether a row for the category of a source, and one for its service, is as it should be. A part that the
    /// source does not name needs none.
    fn has_rows_for(&self, source: &LogSource, is_right: impl Fn(&WindowsSource) -> bool) -> bool {
        let has_row = |part: &Option<String>, of: fn(&WindowsSource) -> &Option<String>| {
            part.is_none() || self.windows.iter().any(|row| of(row) == part && is_right(row))
        };
        has_row(&source.category, |row| &row.category) && has_row(&source.service, |row| &row.service)
    }

    fn windows_source(&self, source: &LogSource) -> Option<&WindowsSource> {
        self.windows.iter().find(|row| {
            (source.category.is_some() && row.category == source.category && source.service.is_none())
                || (source.service.is_some() && row.service == source.service && source.category.is_none())
        })
    }
}

/// Returns the channels and providers of Windows that feed a log source of rules, with the ids of their events: none
/// stands for all of them.
pub(crate) fn windows_logs(source: &LogSource) -> impl Iterator<Item = (&'static String, &'static [u32])> {
    let is_windows = source.product.as_deref() == Some("windows")
        || (source.product.is_none() && table().windows_source(source).is_some());
    // A category is narrower than the service that it is written by.
    let feeds = |row: &&WindowsSource| match &source.category {
        Some(_) => row.category == source.category,
        None => source.service.is_none() || row.service == source.service,
    };
    let rows = table().windows.iter().filter(move |_| is_windows).filter(feeds);
    let rows: Vec<&'static WindowsSource> = rows.collect();
    rows.into_iter().flat_map(|row| {
        let logs = row.channels.iter().chain(&row.providers);
        logs.map(|log| (log, row.events.as_slice()))
    })
}

/// Returns whether any log feeds a log source of rules: an event of Windows that is known, or a log of one of `formats`.
pub(crate) fn is_fed(source: &LogSource, formats: &BTreeSet<LogSource>) -> bool {
    let is_windows = source.product.as_deref() == Some("windows");
    let by_channel = is_windows && table().has_rows_for(source, |_| true);
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
    let rows = table().source.iter().filter(|row| row.of.covers(source));
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

    #[test]
    fn tables_of_users_are_checked() {
        for (text, expected) in [
            (
                "[[windows]]\nchannels = ['x']\n",
                "[[windows]] number 1 is for either a category or a service",
            ),
            (
                "[[windows]]\nservice = 'x'\n",
                "names no channels and no providers",
            ),
            (
                "[[source]]\nof = {}\nfed_by = [{product = 'x'}]\n",
                "is of no log source",
            ),
            ("[[source]]\nof = {product = 'x'}\n", "says nothing"),
            (
                "[[source]]\nof = {product = 'x'}\nfed_by = [{}]\n",
                "without a product, category or service",
            ),
            (
                "[[source]]\nof = {product = 'x'}\nfields = {a = []}\n",
                "a field without names",
            ),
            ("[[sources]]\n", "unknown field"),
        ] {
            let reason = Table::read(text).unwrap_err();
            assert!(reason.contains(expected), "{text}: {reason}");
        }
        Table::read(include_str!("security_4688.toml")).unwrap();
    }

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
    fn the_channel_of_the_system_decides() {
        let event =
            r#"{"EventData": {"Channel": "Security"}, "System": {"Channel": "System", "EventID": 104}}"#;
        let event = Event::from_json(event).unwrap();
        let route = Route::of(&event);
        assert!(route.feeds(&source("windows/*/system")) && !route.feeds(&source("windows/*/security")));
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
