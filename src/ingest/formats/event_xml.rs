//! Windows events as XML, on one line or over several, as the Event Viewer and collectors write them.

use std::borrow::Cow;
use std::io::{self, BufRead};

use memchr::memmem;
use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use crate::models::{Json, Members};

/// Limits how deeply elements are nested. Those of events have few levels.
const DEEPEST: usize = 32;

const END: &[u8] = b"</Event>";

/// Reads an event; `None` if the text is none.
///
/// Members have the names that collectors give them in flat JSON: the elements and attributes of `System`, the named
/// data of `EventData`, and the leaves of `UserData`, each under its own name.
pub(crate) fn read(text: &str) -> Option<Members<'_>> {
    let mut reader = Reader::from_str(text);
    let mut found = Found::default();
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => found.open(&start)?,
            Event::Empty(start) => {
                found.open(&start)?;
                found.close();
            }
            Event::End(_) => found.close(),
            Event::Text(text) => found.add_text(text.into_inner()),
            Event::CData(text) => found.add_text(text.into_inner()),
            Event::GeneralRef(reference) => found.add_text(match reference.resolve_char_ref().ok()? {
                Some(character) => character.to_string().into(),
                None => resolve_predefined_entity(&reference)?.into(),
            }),
            // Entities of its own could make a short event long.
            Event::DocType(_) => return None,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof => return found.into_members(),
        }
    }
}

/// Holds an element that is open.
#[derive(Debug)]
struct Element<'a> {
    name: String,
    /// Holds the attribute `Name`.
    key: Option<String>,
    text: Cow<'a, str>,
    has_elements: bool,
}

#[derive(Debug, Default)]
struct Found<'a> {
    open: Vec<Element<'a>>,
    members: Members<'a>,
    /// Holds the data of `EventData` without a name.
    data: Vec<Json<'a>>,
    keywords: Vec<Json<'a>>,
    is_whole: bool,
}

impl<'a> Found<'a> {
    fn open(&mut self, start: &BytesStart<'_>) -> Option<()> {
        let name = start.local_name().as_ref().to_owned();
        let is_event = name == "Event";
        if self.open.len() >= DEEPEST || self.open.is_empty() && (!is_event || self.is_whole) {
            return None;
        }
        if let Some(outer) = self.open.last_mut() {
            outer.has_elements = true;
        }
        let mut key = None;
        for attribute in start.attributes() {
            let attribute = attribute.ok()?;
            let value = attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .ok()?
                .into_owned();
            let attribute = attribute.key.local_name().as_ref().to_owned();
            if self.is_in("System") {
                self.insert(
                    system_name(&name, &attribute).to_owned(),
                    number_or_text(value.into()),
                );
            } else if attribute == "Name" {
                key = Some(value);
            }
        }
        self.open.push(Element {
            name,
            key,
            text: Cow::Borrowed(""),
            has_elements: false,
        });
        Some(())
    }

    /// Returns whether the innermost open element is this part of an event.
    fn is_in(&self, part: &str) -> bool {
        self.open.len() == 2 && self.open.last().is_some_and(|element| element.name == part)
    }

    fn add_text(&mut self, text: Cow<'a, str>) {
        let Some(element) = self.open.last_mut() else {
            return;
        };
        match element.text.is_empty() {
            true => element.text = text,
            false => element.text.to_mut().push_str(&text),
        }
    }

    fn close(&mut self) {
        let Some(element) = self.open.pop() else { return };
        self.is_whole |= self.open.is_empty();
        let part = self.open.get(1).map(|part| part.name.clone());
        if element.has_elements {
            return;
        }
        let text = element.text;
        match (part.as_deref(), element.name.as_str(), element.key) {
            // An empty element of `System` has attributes.
            (Some("System"), _, _) if text.trim().is_empty() => {}
            (Some("System"), _, _) => self.insert(element.name, number_or_text(text)),
            (Some("EventData"), "Data", None) => self.data.push(Json::String(text)),
            (Some("EventData"), "Data", Some(key)) => self.insert(key, Json::String(text)),
            (Some("RenderingInfo"), "Keyword", _) => self.keywords.push(Json::String(text)),
            (Some("RenderingInfo"), name, _) => {
                self.insert(rendered_name(name).to_owned(), Json::String(text));
            }
            (Some(_), _, _) => self.insert(element.name, Json::String(text)),
            (None, _, _) => {}
        }
    }

    fn insert(&mut self, name: String, value: Json<'a>) {
        self.members.insert_beside(name.into(), value);
    }

    fn into_members(mut self) -> Option<Members<'a>> {
        for (name, list) in [("Data", self.data), ("KeywordsDisplayNames", self.keywords)] {
            if !list.is_empty() {
                self.members.insert_beside(name.into(), Json::Array(list));
            }
        }
        (self.is_whole && self.open.is_empty() && !self.members.is_empty()).then_some(self.members)
    }
}

/// Returns the name of an attribute of an element of `System`.
fn system_name<'n>(element: &str, attribute: &'n str) -> &'n str {
    match (element, attribute) {
        ("Provider", "Name") => "SourceName",
        ("Provider", "Guid") => "ProviderGuid",
        ("TimeCreated", "SystemTime") => "TimeCreated",
        (_, other) => other,
    }
}

/// Returns the name that PowerShell gives a text of `RenderingInfo`.
fn rendered_name(element: &str) -> &str {
    match element {
        "Level" => "LevelDisplayName",
        "Task" => "TaskDisplayName",
        "Opcode" => "OpcodeDisplayName",
        "Provider" => "ProviderDisplayName",
        "Channel" => "ChannelDisplayName",
        other => other,
    }
}

fn number_or_text(text: Cow<'_, str>) -> Json<'_> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u64>() {
        Ok(number) if is_number => number.into(),
        _ => Json::String(text),
    }
}

/// Says how an input goes on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Means that an event begins after this many bytes of white space.
    Event(usize),
    /// Means that the list of events ends after this many bytes.
    End(usize),
    Other,
    /// Means that more bytes tell.
    Unknown,
}

/// Says how a text goes on that was read only in part.
pub(crate) fn next(text: &[u8]) -> Next {
    const STARTS: [&[u8]; 2] = [b"<Event ", b"<Event>"];
    const LIST_END: &[u8] = b"</Events>";
    /// Limits the white space before an event.
    const LONGEST_SPACE: usize = 1 << 12;
    let space = text
        .iter()
        .take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r'))
        .count();
    let start = text.get(space..).unwrap_or_default();
    let may_be = |expected: &[u8]| expected.starts_with(start);
    match start {
        _ if space > LONGEST_SPACE => Next::Other,
        _ if STARTS.iter().any(|expected| start.starts_with(expected)) => Next::Event(space),
        _ if start.starts_with(LIST_END) => Next::End(space + LIST_END.len()),
        _ if may_be(STARTS[0]) || may_be(STARTS[1]) || may_be(LIST_END) => Next::Unknown,
        _ => Next::Other,
    }
}

/// Says whether a text that was read only in part is a list of events, as in `<?xml ...?><Events>`.
///
/// The bytes before the first event are counted. They may be none.
pub(crate) fn opening(text: &[u8]) -> Next {
    /// Limits the bytes before the first event.
    const LONGEST: usize = 1 << 12;
    let mut rest = text
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(text)
        .trim_ascii_start();
    for start in [&b"<?xml"[..], b"<Events"] {
        if let Some(inside) = rest.strip_prefix(start) {
            let end = memchr::memchr(b'>', inside).map_or(inside.len(), |end| end + 1);
            rest = inside.get(end..).unwrap_or_default().trim_ascii_start();
        } else if start.starts_with(rest) {
            rest = b"";
        }
    }
    match next(rest) {
        Next::Event(space) => Next::Event(text.len() - rest.len() + space),
        Next::Unknown if text.len() < LONGEST => Next::Unknown,
        _ => Next::Other,
    }
}

/// Reads an event up to its end. Returns its bytes, and whether it ends.
pub(crate) fn next_event(input: &mut impl BufRead, longest: usize) -> io::Result<(Vec<u8>, bool)> {
    let mut bytes = Vec::new();
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() || bytes.len() > longest {
            return Ok((bytes, false));
        }
        let end = end_of_event(&bytes, buffer);
        let taken = end.unwrap_or(buffer.len());
        bytes.extend_from_slice(buffer.get(..taken).unwrap_or(buffer));
        input.consume(taken);
        if end.is_some() {
            return Ok((bytes, true));
        }
    }
}

/// Returns how many bytes of a buffer end an event, given the bytes before it.
fn end_of_event(before: &[u8], buffer: &[u8]) -> Option<usize> {
    let overlap = END.len() - 1;
    let last = before
        .get(before.len().saturating_sub(overlap)..)
        .unwrap_or_default();
    let seam = [last, buffer.get(..overlap).unwrap_or(buffer)].concat();
    match memmem::find(&seam, END) {
        Some(at) => Some(at + END.len() - last.len()),
        None => memmem::find(buffer, END).map(|at| at + END.len()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    const SYSMON: &str = r#"<Event xmlns="http://schemas.microsoft.com/win/2004/08/events/event">
  <System>
    <Provider Name="Microsoft-Windows-Sysmon" Guid='{1}' /><EventID Qualifiers="0">3</EventID>
    <TimeCreated SystemTime="2023-07-24T18:10:39.1283657Z" />
    <Execution ProcessID="2564" ThreadID="10" /><Computer>DESKTOP-1</Computer><Security UserID="S-1-5-18"/>
  </System>
  <EventData>
    <Data Name="User">CORP\bob</Data><Data Name="ProcessID">7</Data><Data Name="Empty"></Data>
    <Data>one &lt;&#13;&amp; two</Data><Data/>
  </EventData>
  <RenderingInfo Culture="en-US"><Message>Network connection</Message><Level>Info</Level></RenderingInfo>
</Event>"#;

    #[test]
    fn members_have_their_own_names() {
        let members = read(SYSMON).unwrap().to_text().unwrap();
        assert_eq!(
            members,
            concat!(
                r#"{"SourceName":"Microsoft-Windows-Sysmon","ProviderGuid":"{1}","Qualifiers":0,"EventID":3,"#,
                r#""TimeCreated":"2023-07-24T18:10:39.1283657Z","ProcessID":2564,"ThreadID":10,"#,
                r#""Computer":"DESKTOP-1","UserID":"S-1-5-18","User":"CORP\\bob","ProcessID_2":"7","Empty":"","#,
                r#""Message":"Network connection","LevelDisplayName":"Info","Data":["one <\r& two",""]}"#
            )
        );
    }

    #[test]
    fn leaves_of_user_data_are_members() {
        let text = "<Event><System><Channel>Security</Channel></System><UserData><LogFileCleared xmlns='x'>\
            <SubjectUserName>bob</SubjectUserName></LogFileCleared></UserData></Event>";
        let members = read(text).unwrap().to_text().unwrap();
        assert_eq!(members, r#"{"Channel":"Security","SubjectUserName":"bob"}"#);
    }

    #[test]
    fn other_texts_are_no_events() {
        for text in [
            "",
            "<Event></Event>",
            "<Events><Event/></Events>",
            "<Event><System><Channel>x</Channel></System>",
            "<Event><System><Channel>&other;</Channel></System></Event>",
            "<!DOCTYPE x [<!ENTITY a 'b'>]><Event><System><Channel>x</Channel></System></Event>",
            "<Event><System><Channel>x</System></Channel></Event>",
            "<Event><System><Channel>x</Channel></System></Event><Event/>",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        let deep = format!("<Event>{}{}</Event>", "<a>".repeat(100), "</a>".repeat(100));
        assert_eq!(read(&deep), None);
    }

    #[test]
    fn events_end_wherever_the_input_is_cut() {
        let text = "<Event>one</Event><Event>two</Event>\n";
        for capacity in 1..20 {
            let mut input = BufReader::with_capacity(capacity, text.as_bytes());
            for expected in ["<Event>one</Event>", "<Event>two</Event>"] {
                let (bytes, has_end) = next_event(&mut input, 100).unwrap();
                assert_eq!((bytes.as_slice(), has_end), (expected.as_bytes(), true));
            }
            assert_eq!(next_event(&mut input, 100).unwrap(), (b"\n".to_vec(), false));
        }
    }

    #[test]
    fn what_comes_next_is_told_by_its_first_bytes() {
        assert_eq!(next(b"\t <Event x"), Next::Event(2));
        assert_eq!(next(b"<Event>"), Next::Event(0));
        assert_eq!(next(b" </Events>"), Next::End(10));
        assert_eq!(next(b"<Eve"), Next::Unknown);
        assert_eq!(next(b"<EventData>"), Next::Other);
        assert_eq!(next(b"<34>Oct"), Next::Other);
        let list = b"\xef\xbb\xbf<?xml version='1.0'?>\n<Events>\n<Event>";
        for length in 3..list.len() {
            assert_eq!(opening(&list[..length]), Next::Unknown, "{length}");
        }
        assert_eq!(opening(list), Next::Event(34));
        assert_eq!(opening(b"<?xml version='1.0'?><nessus>"), Next::Other);
        assert_eq!(opening(b"2024-01-01 10:00:00 a line"), Next::Other);
    }
}
