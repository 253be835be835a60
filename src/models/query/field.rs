//! The fields of a log by name, which are checked before a store is asked.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::str::FromStr;

use serde::Serialize as _;
use serde_json::Value;

use crate::models::{InvalidValue, LogEntry};

/// Names a field of a log: one of its columns, its text, a path into `normalized` or `metadata`, or all of them.
///
/// The text is the line as it arrived, or if there is none, the message. `any` is the line, every column and every value
/// of the fields; only [`Has`](crate::Operator::Has) takes it. Dots divide a path's segments. A segment that
/// holds a dot is put into double quotes. If no object has the path, a key that is the whole path is looked for, as in
/// flattened JSON. Any other name is a path into `normalized`.
///
/// ```
/// use logstore::{Field, LogEntry};
///
/// let log = LogEntry::new(chrono::Utc::now()).with_appname("sshd").with_message("hi").with_field("id.orig_h", "10.0.0.1");
/// assert_eq!("appname".parse::<Field>()?.text_in(&log).as_deref(), Some("sshd"));
/// assert_eq!("text".parse::<Field>()?.text_in(&log).as_deref(), Some("hi"));
/// assert_eq!("normalized.id.orig_h".parse::<Field>()?.text_in(&log).as_deref(), Some("10.0.0.1"));
/// assert_eq!("id.orig_h".parse::<Field>()?.to_string(), "normalized.id.orig_h");
/// assert!("app name".parse::<Field>().is_err());
/// # Ok::<(), logstore::InvalidValue>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Field(pub(crate) Place);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    Column(Column),
    /// Names the line as it arrived, or if there is none, the message.
    Text,
    /// Names all texts of a log: its line, its columns and the values of its fields.
    Any,
    Path(Path),
}

/// Holds a path into one of the two JSON columns.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Path {
    pub(crate) root: Root,
    /// Holds JSON pointers (RFC 6901). The first one that leads to a value counts.
    pub(crate) pointers: Vec<String>,
    written: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Root {
    Normalized,
    Metadata,
}

/// Names the type of a column's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColumnType {
    Text,
    Integer,
    Time,
}

macro_rules! columns {
    ($($variant:ident $name:literal $kind:ident,)*) => {
        /// Names a column that a query may ask for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum Column { $($variant,)* }

        impl Column {
            pub(crate) const ALL: &'static [Self] = &[$(Self::$variant,)*];

            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            pub(crate) const fn column_type(self) -> ColumnType {
                match self { $(Self::$variant => ColumnType::$kind,)* }
            }
        }
    };
}

columns! {
    Id "id" Text,
    EventTime "event_time" Time,
    Timestamp "timestamp" Text,
    Raw "raw" Text,
    Appname "appname" Text,
    File "file" Text,
    Host "host" Text,
    Hostname "hostname" Text,
    Message "message" Text,
    Procid "procid" Integer,
    SourceType "source_type" Text,
    IngestionTime "ingestion_time" Time,
    SourceIp "source_ip" Text,
    DestIp "dest_ip" Text,
    SourcePort "source_port" Integer,
    DestPort "dest_port" Integer,
    User "user" Text,
    Process "process" Text,
    Action "action" Text,
    Outcome "outcome" Text,
    Level "level" Text,
}

/// Names the field that is a log's text.
pub(super) const TEXT: &str = "text";

/// Names all texts of a log.
pub(super) const ANY: &str = "any";

impl Field {
    /// Names the line as it arrived, or if there is none, the message.
    pub(crate) const TEXT: Self = Self(Place::Text);
    /// Names all texts of a log.
    pub(crate) const ANY: Self = Self(Place::Any);

    /// Returns the field's value in a log as text: numbers and times in their usual form, objects as JSON.
    ///
    /// The field `any`, which is many texts, has none.
    pub fn text_in<'a>(&self, log: &'a LogEntry) -> Option<Cow<'a, str>> {
        match &self.0 {
            Place::Column(column) => column.text_in(log),
            Place::Text => log.raw.as_deref().or(log.message.as_deref()).map(Cow::Borrowed),
            Place::Any => None,
            Place::Path(path) => path.text_in(log),
        }
    }

    /// Checks that the field has one value in a log, so that logs can be counted by it.
    pub(crate) fn check_single(&self) -> Result<(), InvalidValue> {
        match &self.0 {
            Place::Any => {
                let reason = "it is all texts of a log: name one field, such as host";
                Err(InvalidValue::new("field", ANY, reason))
            }
            Place::Column(_) | Place::Text | Place::Path(_) => Ok(()),
        }
    }

    pub(crate) fn column_type(&self) -> ColumnType {
        match &self.0 {
            Place::Column(column) => column.column_type(),
            Place::Text | Place::Any | Place::Path(_) => ColumnType::Text,
        }
    }

    /// Says whether the field holds addresses and nothing else.
    pub(crate) fn is_address(&self) -> bool {
        matches!(self.0, Place::Column(Column::SourceIp | Column::DestIp))
    }

    /// Says whether the field holds levels.
    pub(crate) fn is_level(&self) -> bool {
        matches!(self.0, Place::Column(Column::Level))
    }
}

impl Column {
    fn text_in(self, log: &LogEntry) -> Option<Cow<'_, str>> {
        let text = match self {
            Self::Id => Some(log.id.as_str()),
            Self::EventTime => return Some(time_text(&log.event_time)),
            Self::IngestionTime => return Some(time_text(&log.ingestion_time)),
            Self::Procid => return log.procid.map(|procid| procid.to_string().into()),
            Self::Timestamp => log.timestamp.as_deref(),
            Self::Raw => log.raw.as_deref(),
            Self::Appname => log.appname.as_deref(),
            Self::File => log.file.as_deref(),
            Self::Host => log.host.as_deref(),
            Self::Hostname => log.hostname.as_deref(),
            Self::Message => log.message.as_deref(),
            Self::SourceType => log.source_type.as_deref(),
            Self::SourceIp => return log.source_ip(),
            Self::DestIp => return log.dest_ip(),
            Self::SourcePort => return log.source_port().map(|port| port.to_string().into()),
            Self::DestPort => return log.dest_port().map(|port| port.to_string().into()),
            Self::User => log.user(),
            Self::Process => log.process(),
            Self::Action => log.action(),
            Self::Outcome => log.outcome(),
            Self::Level => log.level(),
        };
        text.map(Cow::Borrowed)
    }
}

fn time_text(time: &chrono::DateTime<chrono::Utc>) -> Cow<'static, str> {
    time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true).into()
}

impl Path {
    /// Returns the path as it is written within its root, or with it if that is not `normalized`.
    pub(super) fn name(&self) -> &str {
        let inside = self.written.strip_prefix(Root::Normalized.name());
        inside.map_or(&self.written, |path| path.trim_start_matches('.'))
    }

    fn text_in<'a>(&self, log: &'a LogEntry) -> Option<Cow<'a, str>> {
        let map = match self.root {
            Root::Normalized => &log.normalized,
            Root::Metadata => &log.metadata,
        };
        self.pointers.iter().find_map(|pointer| {
            let mut tokens = pointer.split('/').skip(1);
            let first = map.get(&unescape(tokens.next()?))?;
            let rest = tokens.fold(String::new(), |rest, token| rest + "/" + token);
            value_text(first.pointer(&rest)?)
        })
    }
}

/// Returns a value as text: a string as it is, anything else as JSON. Numbers are written as ECMAScript writes them
/// (ECMA-262, `Number::toString`), but with `.0` where there is no fraction.
pub(super) fn value_text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.into()),
        other => {
            let mut text = Vec::new();
            let mut serializer = serde_json::Serializer::with_formatter(&mut text, EcmaScriptNumbers);
            other.serialize(&mut serializer).ok()?;
            String::from_utf8(text).ok().map(Cow::from)
        }
    }
}

struct EcmaScriptNumbers;

impl serde_json::ser::Formatter for EcmaScriptNumbers {
    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        let magnitude = value.abs();
        let has_exponent = value != 0.0 && !(1e-6..1e21).contains(&magnitude);
        match (has_exponent, value.fract() == 0.0) {
            (true, _) => write!(writer, "{value:e}"),
            (false, true) => write!(writer, "{value}.0"),
            (false, false) => write!(writer, "{value}"),
        }
    }
}

fn escape(segment: &str) -> String {
    segment.replace('~', "~0").replace('/', "~1")
}

fn unescape(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}

impl Root {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Normalized => "normalized",
            Self::Metadata => "metadata",
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Column(column) => f.write_str(column.name()),
            Place::Text => f.write_str(TEXT),
            Place::Any => f.write_str(ANY),
            Place::Path(path) => f.write_str(&path.written),
        }
    }
}

impl FromStr for Field {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        if let Some(column) = Column::ALL.iter().find(|column| column.name() == text) {
            return Ok(Self(Place::Column(*column)));
        }
        match text {
            TEXT => return Ok(Self::TEXT),
            ANY => return Ok(Self::ANY),
            _ => {}
        }
        let roots = [Root::Normalized, Root::Metadata].into_iter();
        let mut path =
            roots.filter_map(|root| Some((root, text.strip_prefix(root.name())?.strip_prefix('.')?)));
        let (root, rest) = match path.next() {
            Some(path) => path,
            None => (Root::Normalized, bare_name(text)?),
        };
        let segments = segments(rest).ok_or_else(|| {
            invalid(
                text,
                "write the path as key.key, with \"...\" around a key that holds a dot or a quote (\"\")",
            )
        })?;
        let nested = segments
            .iter()
            .fold(String::new(), |path, segment| path + "/" + &escape(segment));
        let mut pointers = vec![nested];
        if segments.len() > 1 && !rest.contains('"') {
            pointers.push(format!("/{}", escape(rest)));
        }
        Ok(Self(Place::Path(Path {
            root,
            pointers,
            written: format!("{}.{rest}", root.name()),
        })))
    }
}

/// Reads the name of a member of `normalized` that is written without it.
fn bare_name(text: &str) -> Result<&str, InvalidValue> {
    let is_root = [Root::Normalized, Root::Metadata]
        .iter()
        .any(|root| root.name() == text);
    let is_name = !text.is_empty()
        && text
            .split('"')
            .step_by(2)
            .all(|part| part.chars().all(is_name_character));
    match is_name && !is_root {
        true => Ok(text),
        false => Err(unknown(text)),
    }
}

/// Says whether a name may hold a character without quotes around it.
pub(crate) fn is_name_character(character: char) -> bool {
    let is_operator = matches!(
        character,
        '=' | '!' | '<' | '>' | '~' | '(' | ')' | ',' | ';' | '\'' | '"' | '`'
    );
    !is_operator && !character.is_whitespace() && !character.is_control()
}

fn unknown(text: &str) -> InvalidValue {
    let names: Vec<_> = Column::ALL.iter().map(|column| column.name()).collect();
    let known = names.join(", ");
    invalid(
        text,
        format!("use one of {known}, text, or a path such as normalized.key"),
    )
}

fn invalid(text: &str, reason: impl Into<String>) -> InvalidValue {
    InvalidValue::new("field", text, reason)
}

/// Splits a dotted path into its segments. A quoted one may hold anything. A quote in it is written as two, as in SQL.
fn segments(path: &str) -> Option<Vec<String>> {
    let mut segments = Vec::new();
    let mut rest = path;
    loop {
        let (segment, after) = match rest.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let (segment, after) = rest.split_at(rest.find(['.', '"']).unwrap_or(rest.len()));
                (!segment.is_empty()).then(|| (segment.to_owned(), after))?
            }
        };
        segments.push(segment);
        if after.is_empty() {
            return Some(segments);
        }
        rest = after.strip_prefix('.')?;
    }
}

/// Splits a text at its closing quote.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut segment = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once('"')?;
        segment.push_str(before);
        match after.strip_prefix('"') {
            Some(doubled) => {
                segment.push('"');
                rest = doubled;
            }
            None => return Some((segment, after)),
        }
    }
}

impl TryFrom<&str> for Field {
    type Error = InvalidValue;

    fn try_from(text: &str) -> Result<Self, InvalidValue> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_columns_and_paths() {
        for text in [
            "user",
            "event_time",
            "text",
            "normalized.a",
            "metadata.a.b",
            "normalized.\"a.b\".c",
            "normalized.a b.c",
        ] {
            assert_eq!(text.parse::<Field>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn any_other_name_is_a_path() {
        for text in [
            "USER",
            "seq",
            "@timestamp",
            "id.orig_h",
            "\"a b\".c",
            "straße",
            "normalizedx.a",
        ] {
            let field: Field = text.parse().unwrap();
            assert_eq!(field, format!("normalized.{text}").parse().unwrap());
        }
    }

    #[test]
    fn refuses_everything_else() {
        for text in [
            "",
            "metadata",
            "normalized",
            "normalized.",
            "normalized..a",
            "metadata.\"a",
            "metadata.\"a\"b",
            "a; DROP TABLE logs",
            "a=b",
            ".a",
            "\"a",
        ] {
            assert!(text.parse::<Field>().is_err(), "{text}");
        }
    }

    #[test]
    fn finds_nested_before_flat_keys() {
        let log = LogEntry::new(chrono::Utc::now())
            .with_field("a", serde_json::json!({"b": 1, "c/~d": [true]}))
            .with_field("a.b", 2)
            .with_field("x.y", "flat");
        let text = |field: &str| field.parse::<Field>().unwrap().text_in(&log).map(Cow::into_owned);
        assert_eq!(text("normalized.a.b").as_deref(), Some("1"));
        assert_eq!(text("normalized.\"a.b\"").as_deref(), Some("2"));
        assert_eq!(text("normalized.x.y").as_deref(), Some("flat"));
        assert_eq!(text("normalized.a.c/~d").as_deref(), Some("[true]"));
        assert_eq!(text("normalized.a.z"), None);
    }
}
