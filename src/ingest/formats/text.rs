//! Reads lines of no known format: a time, a level and a program, if they are plain to see.

use super::fields::{Fields, present};
use crate::models::{TimeContext, TimeMatch, find_time, find_time_at_start};

/// Limits the bytes before a time: a line may name its thread and level there, but no whole sentence.
const LATEST_TIME: usize = 64;

/// Reads any text at all.
pub(crate) fn text<'a>(line: &'a str, context: &TimeContext) -> Fields<'a> {
    let Some(located) = own_time(line, context) else {
        let mut fields = Fields::new("text");
        fields.message = Some(line);
        return fields;
    };
    let mut fields = Fields::new("text").with_time(line, &located);
    let message = after_time(line, &located);
    fill(message, &mut fields);
    if let Some(level) = level_of(message) {
        fields.insert("level", level);
    }
    fields
}

/// Returns the time of a line: at its start, or after a text that may precede one.
fn own_time(line: &str, context: &TimeContext) -> Option<TimeMatch> {
    if let Some(located) = find_time_at_start(line, context) {
        return Some(located);
    }
    // A line that is indented goes on from the one before it.
    if line.starts_with([' ', '\t']) {
        return None;
    }
    let located = find_time(line, LATEST_TIME, context)?;
    let is_end = |rest: &str| {
        // As in `backup of 2019-12-12 12:00:00.sql`.
        !rest.starts_with('.') || !rest[1..].starts_with(|c: char| c.is_alphanumeric())
    };
    let (before, after) = (&line[..located.start], &line[located.end..]);
    // Brackets around it say that it is the time of the line. So does the mark of a Cisco device after it.
    let is_marked = before.ends_with('[') && after.starts_with(']') || after.starts_with(": %");
    (is_header(before, is_marked) && is_end(after)).then_some(located)
}

/// Returns whether a text before a time may be the header of a line, not a sentence with a time.
///
/// A header has no words of a language, other than levels, names for a time and protocols. One more word may precede a
/// time that is marked as one. A line that starts with `=====` is a header as a whole.
fn is_header(before: &str, is_marked: bool) -> bool {
    let kept = without_groups(before);
    let words = kept.split(' ').filter(|word| !is_of_header(word));
    before.starts_with("=====") || words.count() <= usize::from(is_marked)
}

fn is_of_header(word: &str) -> bool {
    const NAMES: [&str; 12] = [
        "time",
        "timestamp",
        "datetime",
        "date",
        "ts",
        "t",
        "logtime",
        // AWS's load balancers write these.
        "http",
        "https",
        "ws",
        "wss",
        "grpcs",
    ];
    let word = word.trim_matches(|c: char| c.is_ascii_punctuation());
    let has_sign = |c: char| c.is_ascii_digit() || c.is_ascii_punctuation() || c == '\t';
    word.is_empty()
        || level_word(word).is_some()
        || NAMES.iter().any(|name| word.eq_ignore_ascii_case(name))
        || word.contains(has_sign)
}

/// Removes brackets and quotes from a text, with their content.
fn without_groups(text: &str) -> String {
    let mut rest = text;
    let mut kept = String::new();
    while let Some(start) = rest.find(['[', '(', '<', '{', '"']) {
        let close = match rest.as_bytes()[start] {
            b'[' => ']',
            b'(' => ')',
            b'<' => '>',
            b'{' => '}',
            _ => '"',
        };
        kept.push_str(&rest[..start]);
        rest = &rest[start + 1..];
        if let Some(end) = rest.find(close) {
            rest = &rest[end + 1..];
        }
    }
    kept + rest
}

/// Returns the rest of a line after the time that it starts with.
fn after_time<'a>(line: &'a str, located: &TimeMatch) -> &'a str {
    let is_first = line[..located.start]
        .bytes()
        .all(|byte| !byte.is_ascii_alphanumeric());
    if is_first {
        let rest = &line[located.end..];
        let rest = rest.strip_prefix(": ").unwrap_or(rest);
        rest.trim_start_matches([']', ')', '"', ',', ' ', '\t'])
    } else {
        line
    }
}

/// Fills program, process and message, if a format in wide use says which is which.
fn fill<'a>(rest: &'a str, fields: &mut Fields<'a>) {
    let known = [
        proxifier,
        hadoop,
        component_based_servicing,
        postgres,
        log4j,
        vmware,
    ];
    for format in known {
        if let Some(found) = format(rest) {
            fields.appname = found.program.and_then(present);
            fields.procid = found.process;
            fields.message = Some(found.message);
            return;
        }
    }
    fields.message = Some(rest);
}

struct Found<'a> {
    program: Option<&'a str>,
    process: Option<&'a str>,
    message: &'a str,
}

/// Reads `chrome.exe - proxy.example:5070 open through proxy ...`, with a program's name and its width in bits.
fn proxifier(rest: &str) -> Option<Found<'_>> {
    let (program, message) = rest.split_once(" - ")?;
    let name = program.split_once(" *").map_or(program, |(name, _)| name);
    let is_program = name.contains('.') && !name.contains([' ', '[', ':', '/']);
    is_program.then_some(Found {
        program: Some(program),
        process: None,
        message,
    })
}

/// Reads `148 INFO dfs.DataNode$PacketResponder: message`, as Hadoop writes.
fn hadoop(rest: &str) -> Option<Found<'_>> {
    let (process, rest) = rest.split_once(' ')?;
    process.parse::<u32>().ok()?;
    let (level, rest) = rest.split_once(' ')?;
    level_word(level)?;
    let (program, message) = rest
        .split_once(": ")
        .or_else(|| Some((rest.strip_suffix(':')?, "")))?;
    (!program.contains(' ')).then_some(Found {
        program: Some(program),
        process: Some(process),
        message,
    })
}

/// Reads `Info                  CBS    message`, as Windows servicing writes.
fn component_based_servicing(rest: &str) -> Option<Found<'_>> {
    let (level, rest) = rest.split_once("  ")?;
    level_word(level)?;
    let (program, message) = rest
        .trim_start()
        .split_once("  ")
        .or_else(|| rest.trim_start().split_once(' '))?;
    let is_component =
        matches!(program.len(), 2..=8) && program.bytes().all(|byte| byte.is_ascii_uppercase());
    is_component.then_some(Found {
        program: Some(program),
        process: None,
        message: message.trim_start(),
    })
}

/// Reads `[1329108] ERROR:  message`.
fn postgres(rest: &str) -> Option<Found<'_>> {
    let (process, rest) = rest.strip_prefix('[')?.split_once("] ")?;
    process.parse::<u32>().ok()?;
    let (level, message) = rest.split_once(":  ")?;
    let is_level = level
        .bytes()
        .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    is_level.then_some(Found {
        program: None,
        process: Some(process),
        message,
    })
}

/// Reads `- INFO  [thread:Class@493] - message`.
fn log4j(rest: &str) -> Option<Found<'_>> {
    let (level, rest) = rest.strip_prefix("- ")?.split_once(' ')?;
    level_word(level)?;
    let (place, message) = rest.trim_start().strip_prefix('[')?.split_once("] - ")?;
    let (place, line) = place.rsplit_once('@')?;
    line.parse::<u32>().ok()?;
    let program = place.rsplit_once(':').map_or(place, |(_, class)| class);
    Some(Found {
        program: Some(program),
        process: None,
        message,
    })
}

/// Reads `info vpxd[45715] [Originator@6876 sub=vpxLro] message`.
fn vmware(rest: &str) -> Option<Found<'_>> {
    let (level, rest) = rest.split_once(' ')?;
    level_word(level)?;
    let (program, rest) = rest.split_once('[')?;
    let (process, message) = rest.split_once("] ")?;
    process.parse::<u32>().ok()?;
    let is_program = !program.is_empty() && program.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    is_program.then_some(Found {
        program: Some(program),
        process: Some(process),
        message,
    })
}

/// Returns the level among the first words of a message.
fn level_of(message: &str) -> Option<&str> {
    const WORDS: usize = 4;
    let words = message.split([' ', '\t', ':', '|', '[', ']', '<', '>', '(', ')', ',', '-']);
    words
        .filter(|word| !word.is_empty())
        .take(WORDS)
        .find_map(level_word)
}

/// Returns the word itself, if loggers use it as a level.
pub(crate) fn level_word(word: &str) -> Option<&str> {
    const LEVELS: [&str; 21] = [
        "trace",
        "verbose",
        "debug",
        "info",
        "information",
        "notice",
        "warn",
        "warning",
        "error",
        "err",
        "crit",
        "critical",
        "alert",
        "emerg",
        "emergency",
        "fatal",
        "severe",
        "fine",
        "finer",
        "finest",
        "panic",
    ];
    LEVELS
        .iter()
        .any(|level| word.eq_ignore_ascii_case(level))
        .then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_program_and_process() {
        for (line, program, process, message) in [
            (
                "081109 203615 148 INFO dfs.DataNode$X: hi",
                Some("dfs.DataNode$X"),
                Some("148"),
                "hi",
            ),
            (
                "[10.30 16:49:06] chrome.exe *64 - x:1 open",
                Some("chrome.exe *64"),
                None,
                "x:1 open",
            ),
            (
                "2016-09-28 04:30:30, Info                  CBS    Loaded",
                Some("CBS"),
                None,
                "Loaded",
            ),
            (
                "2025-04-12 00:14:12.837 CEST [13] ERROR:  no",
                None,
                Some("13"),
                "no",
            ),
            (
                "2015-07-29 19:04:12,394 - INFO  [/10.1.1.1:3888:Cnx$L@493] - hi",
                Some("Cnx$L"),
                None,
                "hi",
            ),
            (
                "2022-06-02T11:58:12.193Z info vpxd[45715] [O@1] x",
                Some("vpxd"),
                Some("45715"),
                "[O@1] x",
            ),
            ("2024-01-01 10:00:00 just - text", None, None, "just - text"),
        ] {
            let fields = text(line, &TimeContext::default());
            assert_eq!(fields.appname, program, "{line}");
            assert_eq!(fields.procid, process, "{line}");
            assert_eq!(fields.message, Some(message), "{line}");
            assert!(fields.time.is_some(), "{line}");
        }
    }

    #[test]
    fn a_sentence_that_mentions_a_time_has_none() {
        for line in [
            "Certificate for example.com expires on 2030-01-01 00:00:00",
            "order 2019-12-12 12:00 was cancelled by bob",
            "id=5 expires=2030-01-01T00:00:00Z",
            "valid (until 2030-01-01 00:00:00)",
            "valid until [2030-01-01 00:00:00]",
            "db1_2019 2019-12-12 12:00:00.sql",
        ] {
            assert_eq!(text(line, &TimeContext::default()).time, None, "{line}");
        }
        for line in [
            "a::ERROR::2011-12-05 07:04:56,101::b",
            "[http worker] INFO 2011-12-05 07:04:56 x",
            "level=info time=\"2011-12-05 07:04:56\" msg=x",
            "1,2011-12-05 07:04:56,016401002222,x",
            "\"a b\",\"c\",2011-12-05,07:04:56,2,,x",
            "bob\talice\t2011-12-05 07:04:56\tx",
            "web-1  | 2011-12-05 07:04:56 x",
            "172.17.0.1 - - 2011-12-05 07:04:56",
            "sw: Dec 5 2011 07:04:56.5: %LINK-3-UPDOWN: x",
            "https 2011-12-05T07:04:56Z app/x",
            "Event [111] [1-1] [2011-12-05T07:04:56Z] [vim.event] x",
        ] {
            let found = text(line, &TimeContext::default());
            let time = found.time.map(|found| found.time.timestamp());
            assert_eq!(time, Some(1_323_068_696), "{line}");
        }
    }

    #[test]
    fn a_continuation_has_no_time_of_its_own() {
        assert_eq!(
            text("  valid until 2030-01-01 00:00:00", &TimeContext::default()).time,
            None
        );
    }
}
