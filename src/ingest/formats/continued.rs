//! Lines that continue the event before them: stack traces, details of PostgreSQL, parts of long lines of containers.

use memchr::memmem;

/// Says how a line continues the event before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Joint {
    /// Means lines of their own, such as a stack trace.
    Lines,
    /// Means the next part of a line that a container runtime has cut, as CRI writes it.
    Container,
    /// Means the next part of a line that Docker has cut.
    Docker,
    /// Means lines of one XML document, such as an event of ePolicy Orchestrator.
    Xml,
    /// Means lines of one record whose first line says so, such as one of Oracle's audit trail.
    Record,
}

/// Begins a line of Docker.
const DOCKER: &[u8] = b"{\"log\":\"";

/// Begins a stack trace of Python.
const TRACEBACK: &[u8] = b"Traceback (most recent call last):";

/// Returns whether the first bytes of a line allow that it continues an event. Most lines are told apart by them.
pub(crate) fn may_be(line: &[u8]) -> bool {
    match line.first() {
        Some(b'{') => line.starts_with(DOCKER),
        // A priority of syslog has a digit here.
        Some(b'<') => !line.get(1).is_some_and(u8::is_ascii_digit),
        Some(first) => first.is_ascii_alphanumeric() || matches!(first, b' ' | b'\t'),
        None => false,
    }
}

/// Returns how a line continues an event; `None` if it does not.
///
/// The event is all of its lines so far, and `last` the last one of them.
pub(crate) fn joint(event: &[u8], last: &[u8], line: &[u8]) -> Option<Joint> {
    if line.starts_with(b"<") && is_declaration(event) && !line.starts_with(b"<Event")
        || is_open_document(event, last)
    {
        return Some(Joint::Xml);
    }
    if is_of_record(event, line) {
        return Some(Joint::Record);
    }
    match line.first()? {
        b'0'..=b'9' => {
            let (part, before) = (container_part(line)?, container_part(last)?);
            (before.is_partial && before.stream == part.stream).then_some(Joint::Container)
        }
        b'{' if line.starts_with(DOCKER) => {
            let (part, before) = (docker_part(line)?, docker_part(last)?);
            (before.is_partial && before.stream == part.stream).then_some(Joint::Docker)
        }
        b' ' | b'\t' | b'A'..=b'Z' | b'a'..=b'z' => continues(event, last, line).then_some(Joint::Lines),
        _ => None,
    }
}

/// Returns whether a line is one that follows an event: of a stack trace, or of PostgreSQL.
fn continues(event: &[u8], last: &[u8], line: &[u8]) -> bool {
    let text = line.trim_ascii_start();
    match text.len() < line.len() {
        true => is_frame(text) || is_in_traceback(event, last),
        false => is_header(line) || is_indented(last) && is_in_traceback(event, last) && is_exception(line),
    }
}

/// Returns whether an event is only the line `<?xml ...?>` before an XML document.
fn is_declaration(event: &[u8]) -> bool {
    event.starts_with(b"<?xml ") && event.trim_ascii_end().ends_with(b"?>")
}

/// Returns whether an event is an XML document that has not ended. Windows events are read as such.
pub(crate) fn is_open_document(event: &[u8], last: &[u8]) -> bool {
    const OF_EPO: [&[u8]; 2] = [b"<EPO", b"<MSME"];
    let document = match event.strip_prefix(b"<?xml ") {
        Some(rest) => memmem::find(rest, b"?>").and_then(|end| rest.get(end + 2..)),
        None => Some(event).filter(|event| OF_EPO.iter().any(|start| event.starts_with(start))),
    };
    let root = document.and_then(|document| document.trim_ascii_start().strip_prefix(b"<"));
    let Some(root) = root
        .map(name_of)
        .filter(|root| !root.is_empty() && !root.starts_with(b"Event"))
    else {
        return false;
    };
    let ends = |tag: usize| last.get(tag + 2..).is_some_and(|name| name.starts_with(root));
    !memmem::find_iter(last, b"</").any(ends)
}

/// Limits the length of a record. A client that can write lines must not hide those after them.
const LONGEST_RECORD: usize = 1 << 16;

/// Returns whether a line is one of the record that an event begins.
fn is_of_record(event: &[u8], line: &[u8]) -> bool {
    let is_of_record = match event.first() {
        Some(b'0'..=b'9') => is_head_of_mq(event) && is_of_mq(event, line),
        Some(b'A'..=b'Z') if is_dated(event) => is_of_audit_trail(event, line),
        _ => false,
    };
    is_of_record && event.len() < LONGEST_RECORD
}

/// Returns whether a line goes on with a record of IBM MQ. The second line is indented, and a line of dashes is the end.
fn is_of_mq(event: &[u8], line: &[u8]) -> bool {
    let is_second = !event.contains(&b'\n');
    let is_end = is_head_of_mq(line) || line.starts_with(b"-----") || begins_with_time(line);
    !is_end && (!is_second || is_indented(line))
}

/// Returns whether a line begins with a time as those of other programs do: `May  1 10:00:14`, `2024-05-01 10:00:14`.
fn begins_with_time(line: &[u8]) -> bool {
    let has_clock = |at: usize| line.get(at) == Some(&b':') && line.get(at + 3) == Some(&b':');
    has_clock(9) || has_clock(13)
}

/// Returns whether a line begins a record of the error log of IBM MQ: `06/14/22 11:54:29 - Process(119.8) User(mqm)`.
fn is_head_of_mq(line: &[u8]) -> bool {
    const MARK: &[u8] = b" - Process(";
    // The date and the clock before the mark differ by language.
    const PLACES: std::ops::RangeInclusive<usize> = 15..=26;
    let mut places = PLACES.filter_map(|place| line.get(place..));
    places.any(|rest| rest.starts_with(MARK))
}

/// Returns whether a text begins as `Wed Oct  7 12:28:38 2020` does.
fn is_dated(text: &[u8]) -> bool {
    const SIGNS: [(usize, u8); 5] = [(3, b' '), (7, b' '), (13, b':'), (16, b':'), (19, b' ')];
    SIGNS.iter().all(|(place, sign)| text.get(*place) == Some(sign))
}

/// Returns whether a line goes on with a record of Oracle's audit trail: a line with its time, then one for each value.
///
/// A client chooses the text of `ACTION`, which may have any lines in it. Its length says where it ends.
fn is_of_audit_trail(event: &[u8], line: &[u8]) -> bool {
    let mut lines = event.splitn(3, |byte| *byte == b'\n');
    let (Some(_), second, rest) = (lines.next(), lines.next(), lines.next()) else {
        return false;
    };
    let begins = |line: &[u8]| line.starts_with(b"LENGTH") || line.starts_with(b"ACTION :[");
    let Some(second) = second else { return begins(line) };
    let mut values = [Some(second), rest].into_iter().flatten();
    let is_open = values.any(is_open_action);
    begins(second) && (is_open || !line.is_empty() && !begins_with_time(line))
}

/// Returns whether a text begins with a value of `ACTION` that does not end in it.
fn is_open_action(text: &[u8]) -> bool {
    let Some(rest) = text.strip_prefix(b"ACTION :[") else {
        return false;
    };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let length = rest
        .get(..digits)
        .and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    let value = rest.get(digits..).and_then(|rest| rest.strip_prefix(b"] '"));
    matches!((length, value), (Some(length), Some(value)) if value.len() < length)
}

fn is_indented(line: &[u8]) -> bool {
    line.starts_with(b" ") || line.starts_with(b"\t")
}

/// Returns whether an indented text is a line of a stack trace of Java, .NET or JavaScript.
fn is_frame(text: &[u8]) -> bool {
    let is_place = |text: &[u8]| text.contains(&b'(') || text.last().is_some_and(u8::is_ascii_digit);
    text.strip_prefix(b"at ").is_some_and(is_place)
        || text.starts_with(b"... ")
            && (text.ends_with(b" more") || text.ends_with(b" common frames omitted"))
        || text.starts_with(b"Caused by: ")
        || text.starts_with(b"Suppressed: ")
        || text.starts_with(b"--- End of ")
}

/// Returns whether a line without indentation begins a part of an event.
fn is_header(line: &[u8]) -> bool {
    const DETAILS: [&[u8]; 6] = [
        b"DETAIL:  ",
        b"HINT:  ",
        b"STATEMENT:  ",
        b"CONTEXT:  ",
        b"QUERY:  ",
        b"LOCATION:  ",
    ];
    line == TRACEBACK
        || line.starts_with(b"Caused by: ")
        || DETAILS.iter().any(|start| line.starts_with(start))
        || is_qualified(line) && is_exception(line)
}

/// Returns whether a line begins with a name in a package, such as `java.io.IOException`.
fn is_qualified(line: &[u8]) -> bool {
    let name = name_of(line);
    name.contains(&b'.')
        && name
            .first()
            .is_some_and(|first| first.is_ascii_lowercase() || *first == b'S')
}

/// Returns whether a line begins with the name of an exception.
fn is_exception(line: &[u8]) -> bool {
    const ENDS: [&[u8]; 5] = [b"Exception", b"Error", b"Warning", b"Exit", b"Interrupt"];
    let name = name_of(line);
    let rest = line.get(name.len()..).unwrap_or_default();
    (rest.is_empty() || rest.starts_with(b": ")) && ENDS.iter().any(|end| name.ends_with(end))
}

fn name_of(line: &[u8]) -> &[u8] {
    let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"._$".contains(byte);
    let end = line.iter().position(|byte| !is_of_name(byte));
    line.get(..end.unwrap_or(line.len())).unwrap_or_default()
}

/// Returns whether an event has a stack trace of Python that does not end before its last line.
fn is_in_traceback(event: &[u8], last: &[u8]) -> bool {
    (last == TRACEBACK || is_indented(last)) && memmem::find(event, TRACEBACK).is_some()
}

/// Holds a line of a container runtime: `2024-01-01T00:00:00.1Z stdout P text`.
#[derive(Debug, PartialEq, Eq)]
struct ContainerPart<'a> {
    /// Holds what is before the mark that says whether the line is a part.
    head: &'a [u8],
    stream: &'a [u8],
    is_partial: bool,
    text: &'a [u8],
}

fn container_part(line: &[u8]) -> Option<ContainerPart<'_>> {
    const LONGEST_TIME: usize = 40;
    let start = line.get(..LONGEST_TIME).unwrap_or(line);
    let time = memchr::memchr(b' ', start)? + 1;
    let rest = line.get(time..)?;
    let stream = [&b"stdout"[..], b"stderr"]
        .into_iter()
        .find(|stream| rest.starts_with(stream))?;
    let head = line.get(..time + stream.len() + 1)?;
    let (is_partial, text) = match line.get(head.len()..)? {
        [b'P', b' ', text @ ..] => (true, text),
        [b'F', b' ', text @ ..] => (false, text),
        [b'P'] => (true, &b""[..]),
        [b'F'] => (false, &b""[..]),
        _ => return None,
    };
    head.ends_with(b" ").then_some(ContainerPart {
        head,
        stream,
        is_partial,
        text,
    })
}

/// Returns whether a line is a part of a line whose next part is to come.
pub(crate) fn is_part(line: &[u8]) -> bool {
    container_part(line).is_some_and(|part| part.is_partial)
        || docker_part(line).is_some_and(|part| part.is_partial)
}

/// Returns the line that a container runtime has cut into these.
pub(crate) fn whole_container_line(lines: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    for line in lines.split(|byte| *byte == b'\n') {
        let part = container_part(line)?;
        if whole.is_empty() {
            whole = [part.head, b"F "].concat();
        }
        whole.extend_from_slice(part.text);
    }
    Some(whole)
}

#[derive(Debug, PartialEq, Eq)]
struct DockerPart<'a> {
    stream: &'a [u8],
    is_partial: bool,
}

/// Reads a line of Docker: `{"log":"text\n","stream":"stdout",...}`. A part of a line has no line end.
fn docker_part(line: &[u8]) -> Option<DockerPart<'_>> {
    const STREAM: &[u8] = b"\"stream\":\"";
    let text = line.strip_prefix(DOCKER)?;
    let mut is_escaped = false;
    let end = text.iter().position(|byte| {
        let is_end = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        is_end
    })?;
    let (text, rest) = text.split_at(end);
    let stream = rest.get(memmem::find(rest, STREAM)? + STREAM.len()..)?;
    Some(DockerPart {
        stream: stream.get(..memchr::memchr(b'"', stream)?)?,
        is_partial: !text.ends_with(b"\\n"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_stack_traces_continue_an_event() {
        let event = "2024-01-01 10:00:00 ERROR main: failed";
        for line in [
            "\tat com.example.Main.run(Main.java:12)",
            "    at Object.<anonymous> (/srv/app.js:1:2)",
            "   at file.js:1:2",
            "\t... 12 more",
            "Caused by: java.io.IOException: no",
            "java.lang.NullPointerException",
            "java.lang.IllegalStateException: no",
            "Traceback (most recent call last):",
            "DETAIL:  Key (id)=(1) exists.",
        ] {
            let found = joint(event.as_bytes(), event.as_bytes(), line.as_bytes());
            assert_eq!(found, Some(Joint::Lines), "{line}");
        }
        for line in [
            "",
            "  indented",
            "  at some.java.Line",
            "at night (all)",
            "2024-01-01 10:00:01 INFO x",
            "ValueError: no",
            "Dec 17 05:19:07 web1 sshd[7]: x",
            "DETAILS: none",
            "{\"log\":\"x\\n\",\"stream\":\"stdout\"}",
        ] {
            assert_eq!(
                joint(event.as_bytes(), event.as_bytes(), line.as_bytes()),
                None,
                "{line}"
            );
        }
    }

    #[test]
    fn a_traceback_ends_with_its_exception() {
        let event =
            b"2024-01-01 10:00:00 x\nTraceback (most recent call last):\n  File \"x.py\", line 1, in f";
        let last = b"  File \"x.py\", line 1, in f";
        for line in [&b"    f()"[..], b"ValueError: no", b"app.errors.NoError"] {
            assert_eq!(joint(event, last, line), Some(Joint::Lines));
        }
        assert_eq!(joint(event, last, b"started"), None);
        let ended = [event, &b"\nValueError: no"[..]].concat();
        assert_eq!(joint(&ended, b"ValueError: no", b"  text"), None);
    }

    #[test]
    fn parts_of_a_stream_make_one_line() {
        let part = b"2024-01-01T00:00:00.123456789Z stdout P one ";
        let end = b"2024-01-01T00:00:01.123456789Z stdout F two";
        let other = b"2024-01-01T00:00:01.123456789Z stderr F two";
        assert_eq!(joint(part, part, end), Some(Joint::Container));
        assert_eq!(joint(part, part, other), None);
        assert_eq!(joint(end, end, part), None);
        let whole = whole_container_line(&[&part[..], end].join(&b'\n')).unwrap();
        assert_eq!(whole, b"2024-01-01T00:00:00.123456789Z stdout F one two");
        let part = br#"{"log":"one \" ","stream":"stdout","time":"x"}"#;
        let end = br#"{"log":"two\n","stream":"stdout","time":"x"}"#;
        let other = br#"{"log":"two\n","stream":"stderr","time":"x"}"#;
        assert_eq!(joint(part, part, end), Some(Joint::Docker));
        assert_eq!(joint(part, part, other), None);
        assert_eq!(joint(end, end, part), None);
    }
}
