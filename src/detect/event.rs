//! An event as rules see it: a list of named values.

mod walk;

use std::borrow::Cow;

use crate::models::{LogEntry, LogSource};

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
        walk::text(text, &mut event.leaves)?;
        Ok(event)
    }

    /// Takes the values of a log, and the log source that its format gives it.
    pub fn from_log(log: &'a LogEntry) -> Self {
        let mut event = Self::default();
        let text = log.normalized.as_text();
        if text.is_none_or(|text| walk::text(text, &mut event.leaves).is_err()) {
            event.leaves.clear();
            if let Err(error) = walk::object(&*log.normalized, &mut event.leaves) {
                log::warn!("rules do not see all fields of the log {:?}: {error}", log.id);
            }
        }
        event.source = log.log_source();
        event.add_core_fields(log);
        event.text = log.raw.as_deref().filter(|raw| !is_structured(raw));
        event
    }

    /// Adds the fields that a log has whatever its format calls them. Their names begin with `@`, so that no rule takes
    /// them for fields of its own; the table of log sources maps its names to them.
    fn add_core_fields(&mut self, log: &'a LogEntry) {
        let fields = log.core_fields();
        for (name, address) in [("@source_ip", fields.source_ip), ("@dest_ip", fields.dest_ip)] {
            if let Some(address) = address {
                self.push(name, Scalar::Text(address));
            }
        }
        for (name, port) in [
            ("@source_port", fields.source_port),
            ("@dest_port", fields.dest_port),
        ] {
            if let Some(port) = port {
                self.push(name, Scalar::Int(port.into()));
            }
        }
        for (name, text) in [
            ("@user", fields.user),
            ("@process", fields.process),
            ("@action", fields.action),
            ("@outcome", fields.outcome),
            ("@program", log.appname.as_deref()),
            ("@host", log.hostname.as_deref()),
            ("@message", log.message.as_deref()),
            ("@level", fields.level),
        ] {
            if let Some(text) = text {
                self.push(name, Scalar::Text(text.into()));
            }
        }
    }

    /// Returns the values that keywords are looked for in: those that the source wrote, and the line.
    pub(crate) fn written_values(&self) -> impl Iterator<Item = Cow<'_, Scalar<'a>>> {
        let leaves = self.leaves.iter();
        let written = leaves.filter(|leaf| !leaf.name.starts_with('@') || leaf.name == "@message");
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
        let leaves = self
            .leaves
            .iter()
            .filter(move |leaf| has_key(&leaf.name, &wanted));
        leaves.filter_map(|leaf| leaf.value.to_text())
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
        Some(rest) => rest.to_owned(),
        None => key,
    }
}

/// Returns whether a line is JSON or XML, whose values are all in the log's fields.
fn is_structured(line: &str) -> bool {
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
        });
        let Value::Object(map) = &object else {
            panic!("it is an object")
        };
        let (mut of_map, mut of_text) = (Vec::new(), Vec::new());
        walk::object(map, &mut of_map).unwrap();
        let text = object.to_string();
        walk::text(&text, &mut of_text).unwrap();
        assert_eq!(of_map, of_text);
        let event = Event::from_json(&text).unwrap();
        assert_eq!(event.values("Provider_Name").collect::<Vec<_>>(), ["p"]);
        assert_eq!(event.values("Data").collect::<Vec<_>>(), ["a 2 true"]);
        assert_eq!(event.values("list.a").collect::<Vec<_>>(), ["-1", "x\ny"]);
        assert_eq!(event.values("@user").count(), 0);
    }
}
