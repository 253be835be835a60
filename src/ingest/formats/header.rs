//! Lines that name the columns of the lines after them: W3C (IIS, CloudFront), Zeek, CSV with a header, VPC flow logs.
//!
//! A client must not be able to name the columns of other lines. So a line in the middle of a source is a header only
//! where the source began with one. Directives such as `#Fields` need a source whose first line begins with `#`.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use super::columns::{Columns, split, split_plain};
use crate::models::{Json, Members};

/// Limits the length of a header. A longer line is a line of text.
const LONGEST: usize = 1 << 14;

/// Names the columns of lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    kind: Kind,
    names: Vec<String>,
    separator: char,
    /// Holds the types that Zeek gives its columns.
    types: Vec<String>,
    directives: Directives,
}

/// Names the family of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Means the [extended log file format](https://www.w3.org/TR/WD-logfile.html).
    W3c,
    Zeek,
    /// Means that the first line of the source names the columns.
    Csv,
}

impl Kind {
    const ALL: [Self; 3] = [Self::W3c, Self::Zeek, Self::Csv];

    const fn as_str(self) -> &'static str {
        match self {
            Self::W3c => "w3c",
            Self::Zeek => "zeek",
            Self::Csv => "csv",
        }
    }
}

/// Returns the name of a family of headers that a stored log has.
pub(crate) fn family(name: &str) -> Option<&'static str> {
    Kind::ALL.map(Kind::as_str).into_iter().find(|kind| *kind == name)
}

/// Holds what the lines before a header say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Directives {
    /// Holds the separator of Zeek.
    separator: Option<char>,
    unset: Option<String>,
    empty: Option<String>,
    /// Holds Zeek's name of the log, such as `conn`.
    path: Option<String>,
    /// Says whether times are local. Those of W3C are in UTC otherwise.
    is_local: bool,
}

impl Header {
    /// Returns the name of its family.
    pub(crate) fn format(&self) -> &'static str {
        self.kind.as_str()
    }

    /// Returns the members that a line has under the names of the columns; `None` if it does not fit the header.
    ///
    /// Columns without a value are left out.
    pub(crate) fn members<'a>(&'a self, line: &'a str) -> Option<Members<'a>> {
        if line.starts_with('#') && self.kind != Kind::Csv {
            return None;
        }
        let values = self.values(line)?;
        let is_header = self.names.iter().zip(&values).all(|(name, value)| name == value);
        if is_header {
            return None;
        }
        let mut members = Members::default();
        for (at, (name, value)) in self.names.iter().zip(values).enumerate() {
            if !self.is_absent(&value) {
                members.insert(name.as_str(), self.typed(at, value));
            }
        }
        if let Some(path) = &self.directives.path {
            members.insert_if_missing("_path", path.as_str());
        }
        self.join_date(&mut members);
        (!members.is_empty()).then_some(members)
    }

    /// Returns the columns of a line with their names; `None` if it does not fit the header.
    pub(crate) fn columns<'a>(
        &'a self,
        line: &'a str,
    ) -> Option<impl Iterator<Item = (&'a str, Cow<'a, str>)>> {
        let values = self.values(line)?;
        Some(self.names.iter().map(String::as_str).zip(values))
    }

    /// Returns whether a line begins a record that goes on in the next line.
    pub(crate) fn goes_on(&self, line: &str) -> bool {
        self.kind == Kind::Csv && split(line, self.separator).is_open
    }

    fn values<'a>(&self, line: &'a str) -> Option<Vec<Cow<'a, str>>> {
        let values = match self.kind {
            Kind::Zeek => split_plain(line, self.separator),
            // CloudFront names columns between spaces, and writes tabs between them.
            Kind::W3c if line.contains('\t') => split_plain(line, '\t'),
            Kind::W3c | Kind::Csv => {
                let Columns { values, is_open } = split(line, self.separator);
                if is_open {
                    return None;
                }
                values
            }
        };
        (values.len() == self.names.len()).then_some(values)
    }

    fn is_absent(&self, value: &str) -> bool {
        match self.kind {
            Kind::Zeek => {
                let unset = self.directives.unset.as_deref().unwrap_or("-");
                let empty = self.directives.empty.as_deref().unwrap_or("(empty)");
                value == unset || value == empty
            }
            Kind::W3c | Kind::Csv => value.is_empty() || value == "-",
        }
    }

    /// Makes a number of a column that Zeek says to be one.
    fn typed<'a>(&self, at: usize, value: Cow<'a, str>) -> Json<'a> {
        let kind = self.types.get(at).map(String::as_str);
        let number = matches!(kind, Some("count" | "int" | "port"))
            .then(|| value.parse::<u64>().ok())
            .flatten();
        match number {
            Some(number) => number.into(),
            None => value.into(),
        }
    }

    /// Puts the date of W3C before its time of day, so that the column `time` holds a whole time.
    fn join_date(&self, members: &mut Members<'_>) {
        if self.kind != Kind::W3c {
            return;
        }
        let text = |name| members.get(name).and_then(Json::as_str);
        let (Some(date), Some(time)) = (text("date"), text("time")) else {
            return;
        };
        let zone = if self.directives.is_local { "" } else { "Z" };
        let whole = format!("{date} {time}{zone}");
        if time.contains(':') && !time.contains(['-', 'T', 'Z']) {
            members.insert("time", whole);
        }
    }
}

/// Follows the headers of a source, line by line.
#[derive(Debug, Default)]
pub(crate) struct Headers {
    state: State,
}

#[derive(Debug, Default)]
enum State {
    /// Means that no line was read.
    #[default]
    Start,
    /// Means that the source began with a directive. Others may follow anywhere.
    Directives {
        directives: Directives,
        header: Option<Arc<Header>>,
    },
    /// Means that the first line may name columns. The next line tells.
    Named(Arc<Header>),
    Columns(Arc<Header>),
    /// Means that the source has no header.
    None,
}

impl Headers {
    /// Follows the headers of a source whose lines have no columns.
    pub(crate) fn none() -> Self {
        Self { state: State::None }
    }

    /// Returns the header of the line that was read last, and of those after it.
    pub(crate) fn current(&self) -> Option<&Arc<Header>> {
        match &self.state {
            State::Directives { header, .. } => header.as_ref(),
            State::Columns(header) => Some(header),
            State::Start | State::Named(_) | State::None => None,
        }
    }

    /// Returns whether a header may come in the middle of the source.
    pub(crate) fn may_change(&self) -> bool {
        matches!(self.state, State::Directives { .. })
    }

    /// Reads a line. Returns whether another header is valid from it on.
    pub(crate) fn read(&mut self, line: &[u8]) -> bool {
        match &mut self.state {
            State::None | State::Columns(_) => false,
            State::Directives { directives, header } => {
                line.first() == Some(&b'#') && read_directive(line, directives, header)
            }
            State::Start => {
                self.state = start(line);
                self.current().is_some()
            }
            State::Named(_) if line.is_empty() => false,
            State::Named(header) => {
                let fits = std::str::from_utf8(line).is_ok_and(|line| is_first_row(header, line));
                self.state = match fits {
                    true => State::Columns(Arc::clone(header)),
                    false => State::None,
                };
                fits
            }
        }
    }
}

/// Reads the first line of a source.
fn start(line: &[u8]) -> State {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    let Ok(line) = std::str::from_utf8(line) else {
        return State::None;
    };
    // PowerShell names a type, and Excel a separator, before the names of columns.
    if line.is_empty() || line.starts_with("#TYPE ") || line.starts_with("sep=") {
        return State::Start;
    }
    if line.starts_with('#') {
        let (mut directives, mut header) = (Directives::default(), None);
        read_directive(line.as_bytes(), &mut directives, &mut header);
        return State::Directives { directives, header };
    }
    match csv(line).or_else(|| flow_log(line)) {
        Some(header) => State::Named(Arc::new(header)),
        None => State::None,
    }
}

/// Returns whether a line is the first one below the names of its columns.
fn is_first_row(header: &Header, line: &str) -> bool {
    let values = split(line, header.separator).values;
    let is_name = |value: &str| header.names.iter().any(|name| name.eq_ignore_ascii_case(value));
    values.len() == header.names.len() && !values.iter().any(|value| is_name(value))
}

/// Reads a line that begins with `#`. Returns whether it changes the header.
fn read_directive(line: &[u8], directives: &mut Directives, header: &mut Option<Arc<Header>>) -> bool {
    let Some(line) = std::str::from_utf8(line)
        .ok()
        .filter(|line| line.len() <= LONGEST)
    else {
        return false;
    };
    if let Some(names) = line.strip_prefix("#Fields:") {
        *header = w3c(names, directives).map(Arc::new);
        return true;
    }
    let separator = directives.separator.unwrap_or('\t');
    match line.split_once(separator) {
        Some(("#fields", names)) => {
            *header = zeek(names, separator, directives).map(Arc::new);
            return true;
        }
        Some(("#types", types)) => return give_types(types, separator, header),
        Some(("#close", _)) => return header.take().is_some(),
        Some(("#unset_field", text)) => directives.unset = Some(text.to_owned()),
        Some(("#empty_field", text)) => directives.empty = Some(text.to_owned()),
        Some(("#path", text)) => directives.path = Some(text.to_owned()),
        _ if line.starts_with("#Time Format: Local") => directives.is_local = true,
        _ => {
            if let Some(text) = line.strip_prefix("#separator ") {
                directives.separator = zeek_separator(text);
            }
        }
    }
    false
}

/// Reads `\x09`, as Zeek writes a separator.
fn zeek_separator(text: &str) -> Option<char> {
    let digits = text.trim().strip_prefix("\\x")?;
    u8::from_str_radix(digits, 16)
        .ok()
        .filter(u8::is_ascii)
        .map(char::from)
}

fn w3c(names: &str, directives: &Directives) -> Option<Header> {
    let names = names.trim();
    let separator = if names.contains(',') { ',' } else { ' ' };
    let names = match separator {
        ',' => names.split(',').map(|name| name.trim().to_owned()).collect(),
        _ => names.split_ascii_whitespace().map(str::to_owned).collect(),
    };
    let header = Header {
        kind: Kind::W3c,
        names,
        separator,
        types: Vec::new(),
        directives: directives.clone(),
    };
    are_distinct(&header.names).then_some(header)
}

fn zeek(names: &str, separator: char, directives: &Directives) -> Option<Header> {
    let header = Header {
        kind: Kind::Zeek,
        names: names.split(separator).map(str::to_owned).collect(),
        separator,
        types: Vec::new(),
        directives: directives.clone(),
    };
    are_distinct(&header.names).then_some(header)
}

fn give_types(types: &str, separator: char, header: &mut Option<Arc<Header>>) -> bool {
    let Some(before) = header.as_deref() else {
        return false;
    };
    *header = Some(Arc::new(Header {
        types: types.split(separator).map(str::to_owned).collect(),
        ..before.clone()
    }));
    true
}

fn are_distinct(names: &[String]) -> bool {
    let mut seen = HashSet::new();
    names
        .iter()
        .all(|name| !name.is_empty() && seen.insert(name.as_str()))
}

/// Reads the names of the columns of a CSV file.
fn csv(line: &str) -> Option<Header> {
    const FEWEST: usize = 3;
    const FEWEST_KNOWN: usize = 2;
    if line.len() > LONGEST {
        return None;
    }
    [',', '\t', ';', '|'].into_iter().find_map(|separator| {
        let columns = split(line, separator);
        let mut names: Vec<String> = columns.values.into_iter().map(Cow::into_owned).collect();
        let are_names = names.len() >= FEWEST
            && !columns.is_open
            && names.iter().all(|name| is_name(name))
            && are_distinct(&names)
            && names.iter().filter(|name| is_known(name)).count() >= FEWEST_KNOWN;
        // The Event Viewer of Windows writes a last column that it does not name.
        if names == ["Level", "Date and Time", "Source", "Event ID", "Task Category"] {
            names.push("Message".to_owned());
        }
        are_names.then(|| Header {
            kind: Kind::Csv,
            names,
            separator,
            types: Vec::new(),
            directives: Directives::default(),
        })
    })
}

/// Returns whether a text looks like the name of a column: few words, which begin with a letter.
fn is_name(text: &str) -> bool {
    const LONGEST_NAME: usize = 64;
    let is_of_name = |c: char| c.is_alphanumeric() || "_-.:/()@ #%$".contains(c);
    let starts = text.starts_with(|c: char| c.is_alphabetic() || "_@$".contains(c));
    text.len() <= LONGEST_NAME && starts && text.chars().all(is_of_name) && !text.ends_with(' ')
}

/// Returns whether a name has a word that names a column of many logs.
///
/// The words of a line of text that happens to have commas have none.
fn is_known(name: &str) -> bool {
    const WORDS: [&str; 43] = [
        "account",
        "action",
        "addr",
        "address",
        "app",
        "appname",
        "application",
        "bytes",
        "category",
        "client",
        "computer",
        "date",
        "dest",
        "destination",
        "device",
        "dst",
        "duration",
        "event",
        "file",
        "host",
        "hostname",
        "id",
        "ip",
        "level",
        "log",
        "message",
        "msg",
        "name",
        "pid",
        "port",
        "process",
        "proto",
        "protocol",
        "raw",
        "severity",
        "source",
        "src",
        "status",
        "time",
        "timestamp",
        "type",
        "url",
        "user",
    ];
    let mut start = 0;
    let mut words = Vec::new();
    let characters: Vec<char> = name.chars().collect();
    // Words end at other characters, and at a capital letter after a small one.
    for at in 1..=characters.len() {
        let is_end = match (characters.get(at - 1), characters.get(at)) {
            (Some(before), Some(after)) => {
                !after.is_alphanumeric()
                    || !before.is_alphanumeric()
                    || before.is_lowercase() && after.is_uppercase()
            }
            _ => true,
        };
        if is_end {
            words.push(
                characters
                    .get(start..at)
                    .unwrap_or_default()
                    .iter()
                    .collect::<String>(),
            );
            start = at;
        }
    }
    words
        .iter()
        .any(|word| WORDS.contains(&word.to_ascii_lowercase().as_str()))
}

/// Reads the header of a flow log of AWS, which has spaces between the names of its columns.
fn flow_log(line: &str) -> Option<Header> {
    const NAMES: [&str; 14] = [
        "version",
        "account-id",
        "interface-id",
        "srcaddr",
        "dstaddr",
        "srcport",
        "dstport",
        "protocol",
        "packets",
        "bytes",
        "start",
        "end",
        "action",
        "log-status",
    ];
    const FEWEST: usize = 4;
    if line.len() > LONGEST {
        return None;
    }
    let names: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let is_of_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let are_names = names
        .iter()
        .all(|name| !name.is_empty() && name.bytes().all(is_of_name));
    let known = names.iter().filter(|name| NAMES.contains(&name.as_str())).count();
    (are_names && known >= FEWEST && are_distinct(&names)).then(|| Header {
        kind: Kind::Csv,
        names,
        separator: ' ',
        types: Vec::new(),
        directives: Directives::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads lines, and gives the members of the last one.
    fn last(lines: &str) -> Option<String> {
        let mut headers = Headers::default();
        let mut members = None;
        for line in lines.split('\n') {
            headers.read(line.as_bytes());
            let header = headers.current();
            members = header.and_then(|header| header.members(line)?.to_text());
        }
        members
    }

    #[test]
    fn headers_of_every_kind_name_columns() {
        for (lines, expected) in [
            (
                "#Software: IIS\n#Fields: date time c-ip cs(User-Agent) sc-status\n2022-08-09 20:25:27 ::1 a+b -",
                r#"{"date":"2022-08-09","time":"2022-08-09 20:25:27Z","c-ip":"::1","cs(User-Agent)":"a+b"}"#,
            ),
            (
                "#Version: 1.0\n#Fields: date time x y\n2022-08-09\t20:25:27\ta b\t-",
                r#"{"date":"2022-08-09","time":"2022-08-09 20:25:27Z","x":"a b"}"#,
            ),
            (
                "#separator \\x09\n#unset_field\t-\n#path\tconn\n#fields\tts\tuid\tid.resp_p\tservice\n#types\ttime\tstring\tport\tstring\n1.5\tC1\t443\t-",
                r#"{"ts":"1.5","uid":"C1","id.resp_p":443,"_path":"conn"}"#,
            ),
            (
                "time,source ip,user name\n10:00,10.0.0.1,bob",
                r#"{"time":"10:00","source ip":"10.0.0.1","user name":"bob"}"#,
            ),
            (
                "\u{feff}\"Time\";\"User\";\"Text\"\n1;bob;\"a;\"\"b\"",
                r#"{"Time":"1","User":"bob","Text":"a;\"b"}"#,
            ),
            (
                "#TYPE X\n\"Time\",\"UserName\",\"x\"\n1,bob,",
                r#"{"Time":"1","UserName":"bob"}"#,
            ),
            (
                "version account-id srcaddr dstaddr action\n2 1 10.0.0.1 10.0.0.2 REJECT",
                r#"{"version":"2","account-id":"1","srcaddr":"10.0.0.1","dstaddr":"10.0.0.2","action":"REJECT"}"#,
            ),
        ] {
            assert_eq!(last(lines).as_deref(), Some(expected), "{lines}");
        }
    }

    #[test]
    fn a_header_may_change_and_end() {
        let iis = "#Fields: date time c-ip\n2022-08-09 20:25:27 ::1\n#Fields: a b\n";
        assert_eq!(
            last(&format!("{iis}1 2")).as_deref(),
            Some(r#"{"a":"1","b":"2"}"#)
        );
        assert_eq!(last("#separator \\x09\n#fields\ta\tb\n#close\t2020\n1\t2"), None);
    }

    #[test]
    fn other_lines_are_no_headers() {
        for lines in [
            "started\n#Fields: a b\n1 2",
            "INFO,main,started\nWARN,worker,failed",
            "Error, the disk, of user name\na,b,c",
            "one two three four five\nsix seven eight nine ten",
            "time,user,host\n10:00,user,web1",
            "time,user,host\n10:00,web1",
            "time,user,user\n1,2,3",
            "time,user\n1,2",
            "1,2,3\n4,5,6",
        ] {
            assert_eq!(last(lines), None, "{lines}");
        }
        let iis = "#Fields: date time c-ip\n";
        for line in ["2022-08-09 20:25:27", "#Date: 1 2", "date time c-ip", "a b c d"] {
            assert_eq!(last(&format!("{iis}{line}")), None, "{line}");
        }
    }

    #[test]
    fn a_record_may_go_on() {
        let mut headers = Headers::default();
        headers.read(b"time,user,text");
        assert!(headers.read(b"1,bob,\"first"));
        assert!(headers.current().unwrap().goes_on("1,bob,\"first"));
        assert!(!headers.current().unwrap().goes_on("1,bob,5\" disk"));
    }
}
