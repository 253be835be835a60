//! An event as rules see it: a list of named values.

mod scan;
mod visit;
mod walk;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::OnceLock;

use crate::models::{BorrowedLog, LogEntry, LogSource};
pub(crate) use scan::each_value;

/// Holds an event: its log source, its values by name, and its text.
///
/// Names are those that Sigma gives them. The containers of Windows events (`Event.EventData`, `winlog.event_data` and
/// their kin) have no names of their own, attributes of `System` are joined by `_`, and members of other objects by a
/// dot.
///
/// ```
/// use logstore::detect::Event;
///
/// let event = Event::from_json(r#"{"Event": {"System": {"EventID": 1}, "EventData": {"Image": "C:\\cmd.exe"}}}"#)?;
/// assert_eq!(event.values("Image").collect::<Vec<_>>(), [r"C:\cmd.exe"]);
/// assert_eq!(event.values("EventID").collect::<Vec<_>>(), ["1"]);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Event<'a> {
    pub(crate) source: LogSource,
    pub(crate) leaves: Vec<Leaf<'a>>,
    /// Holds the line, if it is not the same values again in JSON or XML.
    pub(crate) text: Option<&'a str>,
    log: Option<&'a LogEntry>,
    /// Holds the fields of the log that its format names, once they were asked for: to find them takes longer than all
    /// rules for events of Windows, which do not ask for them.
    core: OnceLock<Vec<Leaf<'a>>>,
}

/// Holds a value with its name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Leaf<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) value: Scalar<'a>,
}

/// Holds a value that is neither a list nor an object.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scalar<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Unsigned(u64),
    Float(f64),
    Text(Cow<'a, str>),
    /// Holds a text of JSON with escapes, each of them one character after a backslash.
    Escaped(&'a str),
}

impl Leaf<'_> {
    /// Returns whether the source wrote the value, so that keywords are looked for in it.
    pub(crate) fn is_written(&self) -> bool {
        !self.name.starts_with('@') || self.name == "@message"
    }
}

impl Scalar<'_> {
    /// Returns the value as text, as rules compare it; `None` for null.
    pub(crate) fn to_text(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::Null => return None,
            Self::Bool(true) => "true".into(),
            Self::Bool(false) => "false".into(),
            Self::Int(number) => number.to_string().into(),
            Self::Unsigned(number) => number.to_string().into(),
            // As JSON writes it: 1.0 is not 1.
            Self::Float(number) => serde_json::Number::from_f64(*number)?.to_string().into(),
            Self::Text(text) => Cow::Borrowed(text),
            Self::Escaped(text) => scan::decoded(text).into(),
        })
    }

    /// Returns the value as a number, if it is one or reads as one.
    pub(crate) fn to_number(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "rules compare numbers as JSON does")]
        match self {
            Self::Null | Self::Bool(_) => None,
            Self::Int(number) => Some(*number as f64),
            Self::Unsigned(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
            // A number has no escapes but blanks.
            Self::Escaped(text) => Scalar::Text(scan::decoded(text).into()).to_number(),
        }
    }

    /// Writes the value as text, as rules compare it, in place of another text.
    pub(crate) fn write(&self, text: &mut String) {
        text.clear();
        match self {
            Self::Text(value) => text.push_str(value),
            Self::Escaped(value) => scan::decode(value, text),
            Self::Int(number) => write!(text, "{number}").expect("a text takes any text"),
            other => text.push_str(&other.to_text().unwrap_or_default()),
        }
    }
}

impl<'a> Event<'a> {
    /// Makes an event without values.
    pub fn new(source: LogSource) -> Self {
        Self {
            source,
            ..Self::default()
        }
    }

    /// Takes the values of a JSON object.
    ///
    /// # Errors
    ///
    /// If the text is not one JSON object.
    pub fn from_json(text: &'a str) -> Result<Self, serde_json::Error> {
        let mut event = Self::default();
        take_apart(text, &mut event.leaves)?;
        Ok(event)
    }

    /// Takes the values of a log, and the log source that its format gives it.
    pub fn from_log(log: &'a LogEntry) -> Self {
        let mut event = Self::default();
        let text = log.normalized.as_text();
        if text.is_none_or(|text| take_apart(text, &mut event.leaves).is_err()) {
            event.leaves.clear();
            if let Err(error) = walk::object(&*log.normalized, &mut event.leaves) {
                log::warn!("rules do not see all fields of the log {:?}: {error}", log.id);
            }
        }
        event.source = log.log_source();
        event.log = Some(log);
        for (name, text) in [
            ("@program", &log.appname),
            ("@host", &log.hostname),
            ("@message", &log.message),
        ] {
            if let Some(text) = text {
                event.push(name, Scalar::Text(text.into()));
            }
        }
        if event.source.service.as_deref() == Some("security") {
            event.add_integrity_level();
        }
        event.text = log.raw.as_deref().filter(|raw| !is_structured(raw));
        event
    }

    /// Returns the fields that a log has whatever its format calls them. Their names begin with `@`, so that no rule takes
    /// them for fields of its own; the table of log sources maps its names to them.
    pub(crate) fn core(&self) -> &[Leaf<'a>] {
        self.log
            .map(|log| self.core.get_or_init(|| core(log)).as_slice())
            .unwrap_or_default()
    }

    /// Returns all values.
    pub(crate) fn all_leaves(&self) -> impl Iterator<Item = &Leaf<'a>> {
        self.leaves.iter().chain(self.core())
    }

    /// Returns the value at a place in [`all_leaves`](Self::all_leaves).
    pub(crate) fn leaf(&self, place: usize) -> Option<&Leaf<'a>> {
        match place.checked_sub(self.leaves.len()) {
            None => self.leaves.get(place),
            Some(place) => self.core().get(place),
        }
    }

    /// Adds the integrity level that the label of a new process stands for, in the words of Sysmon. See
    /// `security_4688.toml`.
    fn add_integrity_level(&mut self) {
        let label = self
            .leaves
            .iter()
            .find(|leaf| has_key(&leaf.name, "mandatorylabel"));
        let label = label.and_then(|leaf| leaf.value.to_text());
        let level = match label.as_deref() {
            Some("S-1-16-4096") => "Low",
            Some("S-1-16-8192" | "S-1-16-8448") => "Medium",
            Some("S-1-16-12288") => "High",
            Some("S-1-16-16384") => "System",
            _ => return,
        };
        self.push("@integrity_level", Scalar::Text(level.into()));
    }

    /// Returns the values that keywords are looked for in: those that the source wrote, and the line.
    pub(crate) fn written_values(&self) -> impl Iterator<Item = Cow<'_, Scalar<'a>>> {
        let leaves = self.leaves.iter();
        let written = leaves.filter(|leaf| leaf.is_written());
        let line = self.text.map(|text| Cow::Owned(Scalar::Text(text.into())));
        written.map(|leaf| Cow::Borrowed(&leaf.value)).chain(line)
    }

    /// Adds a value.
    pub(crate) fn push(&mut self, name: impl Into<Cow<'a, str>>, value: Scalar<'a>) {
        self.leaves.push(Leaf {
            name: name.into(),
            value,
        });
    }

    /// Adds a value under a name of Sigma.
    #[must_use]
    pub fn with(mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) -> Self {
        self.push(name, Scalar::Text(value.into()));
        self
    }

    /// Sets the log source.
    #[must_use]
    pub fn with_source(self, source: LogSource) -> Self {
        Self { source, ..self }
    }

    /// Returns the values of a field as text. Letter case and blanks of the name do not count.
    pub fn values(&self, name: &str) -> impl Iterator<Item = Cow<'_, str>> {
        let wanted = field_key(name);
        let leaves = self.all_leaves().filter(move |leaf| has_key(&leaf.name, &wanted));
        leaves.filter_map(|leaf| leaf.value.to_text())
    }
}

/// Lists the names of the fields that [`Event::core`] may return.
pub(crate) const CORE_NAMES: [&str; 9] = [
    "@source_ip",
    "@dest_ip",
    "@source_port",
    "@dest_port",
    "@user",
    "@process",
    "@action",
    "@outcome",
    "@level",
];

fn core(log: &LogEntry) -> Vec<Leaf<'static>> {
    let port = |port: Option<u16>| port.map(|port| Scalar::Int(port.into()));
    let text = |text: Option<&str>| text.map(|text| Scalar::Text(text.to_owned().into()));
    let values = BorrowedLog::of_entry(log).with_core_fields(|fields| {
        [
            text(fields.source_ip.as_deref()),
            text(fields.dest_ip.as_deref()),
            port(fields.source_port),
            port(fields.dest_port),
            text(fields.user),
            text(fields.process),
            text(fields.action),
            text(fields.outcome),
            text(fields.level),
        ]
    });
    let named = CORE_NAMES.into_iter().zip(values);
    let leaves = named.filter_map(|(name, value)| {
        Some(Leaf {
            name: name.into(),
            value: value?,
        })
    });
    leaves.collect()
}

/// Takes apart the object that a text holds.
fn take_apart<'a>(text: &'a str, leaves: &mut Vec<Leaf<'a>>) -> Result<(), serde_json::Error> {
    match scan::text(text, leaves) {
        Some(()) => Ok(()),
        None => {
            leaves.clear();
            walk::text(text, leaves)
        }
    }
}

/// Returns whether a name has a key, without making the key of plain names.
fn has_key(name: &str, key: &str) -> bool {
    match is_plain(name) {
        true => name.eq_ignore_ascii_case(key),
        false => field_key(name) == key,
    }
}

/// Writes the key of a name in place of a text, without making the key of plain names.
pub(crate) fn write_key(name: &str, key: &mut String) {
    key.clear();
    match is_plain(name) {
        true => {
            key.push_str(name);
            key.make_ascii_lowercase();
        }
        false => key.push_str(&field_key(name)),
    }
}

/// Returns whether the key of a name is the name in lower case: without blanks, and without containers.
fn is_plain(name: &str) -> bool {
    let may_have_containers = name.starts_with(['w', 'W', 'e', 'E']) && name.contains('.');
    !may_have_containers && name.bytes().all(|byte| byte > b' ' && byte.is_ascii())
}

/// Returns the name of a field in the form in which names are compared: without blanks, in lower case, and without the
/// containers of Windows events.
pub(crate) fn field_key(name: &str) -> String {
    const CONTAINERS: [&str; 8] = [
        "winlog.event_data.",
        "winlog.user_data.",
        "winlog.",
        "event.eventdata.",
        "event.system.",
        "event.userdata.",
        "eventdata.",
        "event_data.",
    ];
    let mut key: String = name
        .chars()
        .filter(|character| !character.is_whitespace())
        .collect();
    key.make_ascii_lowercase();
    match CONTAINERS
        .iter()
        .find_map(|container| key.strip_prefix(container))
    {
        // A source may not pass for the event itself through the name of a container.
        Some(rest) if !rest.starts_with('@') => rest.to_owned(),
        _ => key,
    }
}

/// Returns whether a line is JSON or XML, whose values are all in the log's fields.
pub(crate) fn is_structured(line: &str) -> bool {
    let mut characters = line.trim_start().chars();
    match characters.next() {
        Some('{') => true,
        // A digit is the priority of a syslog line.
        Some('<') => characters.next().is_some_and(|next| !next.is_ascii_digit()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn an_object_gives_the_same_values_as_text_and_as_a_map() {
        let object = json!({
            "Event": {
                "System": {"Provider": {"#attributes": {"Name": "p"}}, "EventID": {"#text": 1}, "Level": null},
                "EventData": {"Data": ["a", 2, true], "Big": u64::MAX, "Half": 0.5},
            },
            "list": [{"a": -1}, {"a": "x\ny"}],
            "@user": "root",
            "Event.EventData.@user": "root",
            "winlog. @user": "root",
        });
        let Value::Object(map) = &object else {
            panic!("it is an object")
        };
        let (mut of_map, mut of_text) = (Vec::new(), Vec::new());
        walk::object(map, &mut of_map).unwrap();
        let text = object.to_string();
        take_apart(&text, &mut of_text).unwrap();
        let plain = |leaves: &[Leaf<'_>]| {
            let values = leaves
                .iter()
                .map(|leaf| (leaf.name.to_string(), leaf.value.to_text().map(Cow::into_owned)));
            values.collect::<Vec<_>>()
        };
        assert_eq!(plain(&of_map), plain(&of_text));
        let event = Event::from_json(&text).unwrap();
        assert_eq!(event.values("Provider_Name").collect::<Vec<_>>(), ["p"]);
        assert_eq!(event.values("Data").collect::<Vec<_>>(), ["a 2 true"]);
        assert_eq!(event.values("list.a").collect::<Vec<_>>(), ["-1", "x\ny"]);
        assert_eq!(event.values("@user").count(), 0);
    }
}
