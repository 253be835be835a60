//! Syslog: RFC 5424, RFC 3164, and the lines that daemons write to files.

use std::borrow::Cow;

use super::fields::{Fields, FoundTime, Outcome, present};
use super::text;
use crate::models::{Json, Members, TimeContext, find_time_at_start};

/// Limits the priority (RFC 5424, section 6).
const HIGHEST_PRIORITY: u16 = 191;

/// Lists the severities of RFC 5424, table 2, under their usual keywords.
const LEVELS: [&str; 8] = [
    "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug",
];

/// Holds the priority of a line: `<34>` at its start.
#[derive(Debug, Clone, Copy)]
enum Priority {
    Missing,
    Is(u16),
}

impl Priority {
    fn insert_into(self, fields: &mut Fields<'_>) {
        if let Self::Is(value) = self {
            fields.insert("facility", value / 8);
            fields.insert("severity", value % 8);
            fields.insert("level", LEVELS[usize::from(value % 8)]);
        }
    }
}

/// Splits the priority off a line. The error says why the priority is not valid.
fn priority(line: &str) -> Result<(Priority, &str), String> {
    let digits_and_rest = line.strip_prefix('<').and_then(|rest| rest.split_once('>'));
    let Some((digits, rest)) = digits_and_rest else {
        return Ok((Priority::Missing, line));
    };
    if digits.is_empty() || digits.len() > 5 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok((Priority::Missing, line));
    }
    match digits.parse::<u16>() {
        Ok(value) if value <= HIGHEST_PRIORITY => Ok((Priority::Is(value), rest)),
        _ => Err(format!(
            "syslog priority {digits} is above {HIGHEST_PRIORITY} (RFC 5424, section 6.2.1)"
        )),
    }
}

pub(crate) fn rfc5424<'a>(line: &'a str, context: &TimeContext) -> Outcome<'a> {
    let (priority, rest) = match priority(line) {
        Ok(split) => split,
        Err(reason) => return Outcome::Malformed(reason),
    };
    match (priority, version(rest)) {
        (Priority::Is(_), Some(rest)) => match header(rest, context) {
            Ok(fields) => with_priority(fields, priority),
            Err(reason) => Outcome::Malformed(reason),
        },
        (Priority::Is(_), None) => Outcome::Other,
        // Some daemons write it so to files.
        (Priority::Missing, rest_of_version) => {
            without_priority(rest_of_version.unwrap_or(rest), context).into()
        }
    }
}

/// Reads a line without a priority. Only a whole header then tells that this is syslog.
fn without_priority<'a>(line: &'a str, context: &TimeContext) -> Option<Fields<'a>> {
    if !has_iso_time(line) {
        return None;
    }
    let tokens: Vec<&str> = line.splitn(6, ' ').collect();
    let [_, _, _, process, message_id, data] = tokens[..] else {
        return None;
    };
    let is_process = process == "-" || process.parse::<u32>().is_ok();
    let is_data = data == "-" || data.starts_with("- ") || data.starts_with('[');
    let is_header = is_process && !message_id.is_empty() && is_data;
    is_header.then(|| header(line, context).ok())?
}

fn with_priority(mut fields: Fields<'_>, priority: Priority) -> Outcome<'_> {
    if let Priority::Missing = priority {
        return fields.into();
    }
    let rest = std::mem::take(&mut fields.normalized);
    priority.insert_into(&mut fields);
    for (name, value) in rest {
        fields.insert(name, value);
    }
    fields.into()
}

/// Returns what follows `1 ` before a time or `-`; `None` if there is no version.
fn version(rest: &str) -> Option<&str> {
    let (version, rest) = rest.split_once(' ')?;
    let is_version = (1..=3).contains(&version.len())
        && !version.starts_with('0')
        && version.bytes().all(|byte| byte.is_ascii_digit());
    // Meraki's devices write seconds since 1970 for a time, and no header of RFC 5424 after it.
    let is_time = || rest.starts_with("- ") || rest.as_bytes().get(4) == Some(&b'-');
    (is_version && is_time()).then_some(rest)
}

/// Returns whether a text starts with a time such as `2003-10-11T22:14:15`.
fn has_iso_time(rest: &str) -> bool {
    rest.as_bytes().get(10) == Some(&b'T') && rest.as_bytes().get(4) == Some(&b'-')
}

/// Reads everything after the version.
fn header<'a>(rest: &'a str, context: &TimeContext) -> Result<Fields<'a>, String> {
    let whole = rest;
    let mut tokens = rest.splitn(6, ' ');
    let mut token = |name: &str| {
        tokens
            .next()
            .ok_or_else(|| format!("RFC 5424 header ends before its {name}"))
    };
    let mut fields = Fields::new("syslog");
    let timestamp = token("timestamp")?;
    if timestamp != "-" {
        let located = find_time_at_start(timestamp, context)
            .filter(|located| located.start == 0 && located.end == timestamp.len());
        let located = located
            .filter(|_| fraction_digits(timestamp) <= 9)
            .ok_or_else(|| format!("RFC 5424 timestamp {timestamp:?} is not valid"))?;
        fields = fields.with_time(timestamp, &located);
    }
    fields.hostname = present(token("hostname")?);
    // CyberArk's vault writes an object after its host, firewalls of Palo Alto write columns.
    let is_message =
        |rest: &&str| rest.starts_with('{') || rest.split(' ').next().is_some_and(|name| name.contains(','));
    if let Some(message) = whole.splitn(3, ' ').nth(2).filter(is_message) {
        fields.message = Some(message);
        return Ok(fields);
    }
    fields.appname = present(token("app-name")?);
    fields.procid = present(token("procid")?);
    if let Some(message_id) = present(token("msgid")?) {
        fields.insert("msgid", message_id);
    }
    let rest = token("structured data")?;
    let rest = match (rest.strip_prefix('-'), structured_data(rest)) {
        (Some(after), _) if after.is_empty() || after.starts_with(' ') => after,
        (_, Some((data, after))) => {
            fields.insert("structured_data", data);
            after
        }
        // The header is sound, so all that follows it is the message.
        _ => {
            fields.problem = Some("RFC 5424 structured data is not well-formed".to_owned());
            rest
        }
    };
    let message = rest.strip_prefix(' ').unwrap_or(rest);
    let message = message.strip_prefix('\u{feff}').unwrap_or(message);
    fields.message = match message.is_empty() {
        true => {
            let event = junos_event(whole);
            fields.is_event_in_header = event.is_some();
            event
        }
        false => Some(message),
    };
    Ok(fields)
}

/// Returns `RT_FLOW_SESSION_DENY [junos@2636.1.1.1.2.142 source-address="203.0.113.9" ...]`, which Juniper's devices
/// write for a message.
fn junos_event(header: &str) -> Option<&str> {
    let event = header.splitn(5, ' ').nth(4)?;
    let (_, data) = event.split_once(' ')?;
    data.starts_with("[junos@").then_some(event)
}

fn fraction_digits(timestamp: &str) -> usize {
    let fraction = timestamp.split_once('.').map_or("", |(_, fraction)| fraction);
    fraction.bytes().take_while(u8::is_ascii_digit).count()
}

/// Reads `[id name="value" ...][id ...]` at the start of a text, and returns what follows.
///
/// Values may hold `\"`, `\\` and `\]` (RFC 5424, section 6.3.3).
fn structured_data(text: &str) -> Option<(Members<'_>, &str)> {
    let mut data = Members::default();
    let mut rest = text;
    while let Some(element) = rest.strip_prefix('[') {
        let (id, parameters, after) = element_of(element)?;
        data.insert_beside(id.into(), parameters.into());
        rest = after;
    }
    (!data.is_empty()).then_some((data, rest))
}

fn element_of(text: &str) -> Option<(&str, Members<'_>, &str)> {
    let end = text.find([' ', ']', '=', '"'])?;
    let (id, mut rest) = text.split_at(end);
    if id.is_empty() || rest.starts_with(['=', '"']) {
        return None;
    }
    let mut parameters = Members::default();
    loop {
        rest = rest.trim_start_matches(' ');
        if let Some(after) = rest.strip_prefix(']') {
            return Some((id, parameters, after));
        }
        let (name, after) = rest.split_once('=')?;
        if name.is_empty() || name.contains([' ', ']', '"']) {
            return None;
        }
        let (value, after) = quoted(after.trim_start_matches(' '))?;
        parameters.insert_beside(name.into(), value.into());
        rest = after;
    }
}

fn quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let text = text.strip_prefix('"')?;
    let end = text.find(['"', '\\'])?;
    if text[end..].starts_with('"') {
        return Some((text[..end].into(), &text[end + 1..]));
    }
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value.into(), &text[at + 1..])),
            '\\' => match characters.next()?.1 {
                escaped @ ('"' | '\\' | ']') => value.push(escaped),
                other => value.extend(['\\', other]),
            },
            other => value.push(other),
        }
    }
    None
}

pub(crate) fn rfc3164<'a>(line: &'a str, context: &TimeContext) -> Outcome<'a> {
    let (priority, rest) = match priority(line) {
        Ok(split) => split,
        Err(reason) => return Outcome::Malformed(reason),
    };
    let has_priority = matches!(priority, Priority::Is(_));
    if let Some(fields) = cisco(rest, context, has_priority) {
        return with_priority(fields, priority);
    }
    let located = find_time_at_start(rest, context).filter(|located| located.start == 0 && located.has_date);
    let Some(located) = located else {
        if !has_priority {
            return Outcome::Other;
        }
        // There is a priority and no time: the rest is the message (RFC 3164, section 4.3.3).
        let mut fields = Fields::new("syslog");
        fields.message = Some(rest);
        return with_priority(fields, priority);
    };
    let after_time = &rest[located.end..];
    let Some(after_time) = after_time.strip_prefix(' ') else {
        return Outcome::Other;
    };
    let mut fields = Fields::new("syslog").with_time(rest, &located);
    let evidence = Evidence {
        has_priority,
        has_bsd_time: rest.starts_with(|c: char| c.is_ascii_alphabetic()),
        has_rfc3339_time: has_iso_time(rest) && has_zone(&rest[..located.end]),
    };
    if !host_and_tag(after_time, evidence, &mut fields) {
        return Outcome::Other;
    }
    if let Some(inner) = relayed_cisco(after_time, context) {
        fields = inner.with_outer(fields);
    }
    with_priority(fields, priority)
}

/// Reads `2361044: sw01: *Jan  6 2022 22:11:43.398 UTC: %SYS-6-LOGOUT: ...`, as Cisco's devices write: a number, a host
/// and a time may precede the mark.
fn cisco<'a>(rest: &'a str, context: &TimeContext, has_priority: bool) -> Option<Fields<'a>> {
    let Some((mut head, message)) = before_mark(rest) else {
        return nexus(rest, context);
    };
    let mut fields = Fields::new("syslog");
    let whole = head.len();
    while let Some((word, after)) = head.split_once(':') {
        let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
        let is_host = is_host_name(word) && word.contains(|c: char| c.is_ascii_alphabetic() || c == '.');
        // The colon of `22:11:43` is followed by a digit.
        if word.is_empty() && head.len() < whole || after.starts_with(|c: char| c.is_ascii_digit()) {
            break;
        }
        match (is_number, is_host) {
            (true, _) if word.is_empty() => {}
            (true, _) => fields.insert("sequence", word),
            (false, true) if fields.hostname.is_none() => fields.hostname = Some(word),
            _ => return None,
        }
        head = after.trim_start();
    }
    let time = head.trim_start_matches(['*', '.']);
    if !time.is_empty() {
        let found = cisco_time(time, context)?;
        // A time without a date is how long the device has been up.
        if found.has_date {
            fields.time = Some(found);
            fields.timestamp = Some(time);
        }
    }
    let is_syslog = has_priority || fields.time.is_some() || fields.hostname.is_some();
    fields.message = Some(message);
    is_syslog.then_some(fields)
}

/// Reads `2022 Jan  6 22:11:43 sw01 %LLDP-3-DETECT: ...`, as the files of NX-OS have it.
fn nexus<'a>(rest: &'a str, context: &TimeContext) -> Option<Fields<'a>> {
    let [b'1' | b'2', _, _, _, b' ', b'A'..=b'Z', ..] = rest.as_bytes() else {
        return None;
    };
    let (head, _) = rest.split_once(" %")?;
    let (time, host) = head.rsplit_once(' ')?;
    let found = cisco_time(time, context).filter(|found| found.has_date && is_host_name(host))?;
    let mut fields = Fields::new("syslog");
    fields.time = Some(found);
    fields.timestamp = Some(time);
    fields.hostname = Some(host);
    fields.message = rest.get(head.len() + 1..);
    Some(fields)
}

/// Reads `Jan  6 2022 22:11:43.398 UTC`, or with the year first, as NX-OS writes.
fn cisco_time(text: &str, context: &TimeContext) -> Option<FoundTime> {
    let year = text
        .get(..4)
        .filter(|year| year.bytes().all(|byte| byte.is_ascii_digit()));
    let year_first = year.and_then(|year| {
        let mut parts = text.get(5..)?.split_ascii_whitespace();
        let (month, day, rest) = (parts.next()?, parts.next()?, parts.collect::<Vec<_>>());
        let is_name = month.bytes().all(|byte| byte.is_ascii_alphabetic());
        is_name.then(|| format!("{month} {day} {year} {}", rest.join(" ")))
    });
    let text = year_first.as_deref().map_or(text, str::trim_end);
    let located = find_time_at_start(text, context).filter(|located| located.start == 0)?;
    // A zone that is not known may follow. A host has a space before the colon.
    let zone = text[located.end..].trim_start();
    let is_zone = zone.len() <= 5 && zone.bytes().all(|byte| byte.is_ascii_uppercase());
    is_zone.then_some(FoundTime {
        time: located.time,
        has_date: located.has_date,
    })
}

/// Reads what Cisco's device wrote after the header of a relay.
fn relayed_cisco<'a>(after_time: &'a str, context: &TimeContext) -> Option<Fields<'a>> {
    let (_relay, after_host) = after_time.trim_start().split_once(' ')?;
    cisco(after_host.trim_start(), context, false)
}

/// Splits a text before the mark of Cisco's devices, such as `%SYS-6-LOGOUT: `, that a colon and a space precede.
fn before_mark(text: &str) -> Option<(&str, &str)> {
    const LATEST: usize = 128;
    let head = text.as_bytes().get(..text.len().min(LATEST))?;
    let is_after_colon = |percent: &usize| head.get(..*percent).is_some_and(|head| head.ends_with(b": "));
    let percent = memchr::memchr_iter(b'%', head).find(is_after_colon)?;
    let (head, message) = (text.get(..percent)?.strip_suffix(": ")?, text.get(percent..)?);
    let (facility, rest) = message.strip_prefix('%')?.split_once('-')?;
    let is_upper = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    let is_mark = !facility.is_empty() && facility.bytes().all(is_upper) && !rest.starts_with(' ');
    is_mark.then_some((head, message))
}

/// Tells which signs of syslog the start of a line has.
#[derive(Clone, Copy)]
struct Evidence {
    has_priority: bool,
    has_bsd_time: bool,
    /// Says whether it has a time as rsyslog writes by default since Debian 12 and Ubuntu 24.04.
    has_rfc3339_time: bool,
}

impl Evidence {
    /// Returns whether a tag after the host tells that a line is syslog.
    fn fits(self, tag: &Tag<'_>, host: &str) -> bool {
        self.has_priority
            || self.has_bsd_time
            || tag.process.is_some()
            || self.has_rfc3339_time && is_host_name(host) && is_program_name(tag.program)
    }
}

fn is_host_name(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
    text.bytes().all(is_part)
}

fn is_program_name(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/@()".contains(&byte);
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '(')
        && text.bytes().all(is_part)
        && text::level_word(text).is_none()
}

/// Returns whether a time ends with `Z` or an offset.
fn has_zone(time: &str) -> bool {
    let clock = time.get(11..).unwrap_or_default();
    clock.ends_with('Z') || clock.contains(['+', '-'])
}

/// Fills host, program, process and message from the text after the time. Returns `false` if that is no syslog.
fn host_and_tag<'a>(text: &'a str, evidence: Evidence, fields: &mut Fields<'a>) -> bool {
    let Evidence {
        has_priority,
        has_bsd_time,
        ..
    } = evidence;
    let text = without_named_priority(text.trim_start_matches(' '), fields);
    if let Some((program, message)) = bracketed_program(text).filter(|_| has_bsd_time) {
        fields.appname = Some(program);
        fields.message = Some(message);
        return true;
    }
    let (host, after_host) = text.split_once(' ').unwrap_or((text, ""));
    if let Some(host) = host
        .strip_suffix(':')
        .filter(|host| is_host_name(host) && is_cisco_mark(after_host))
    {
        fields.hostname = present(host);
        fields.message = Some(after_host.trim_start_matches(' '));
        return true;
    }
    if host.ends_with(':') {
        // A local daemon names no host: `haproxy[73411]: ...`.
        return match tag(text) {
            Some(found) => {
                found.fill(fields);
                has_priority || fields.procid.is_some()
            }
            None => false,
        };
    }
    if !is_host(host) {
        return false;
    }
    let after_host = after_host.trim_start_matches(' ');
    // Cisco's firewalls write `fw1 : %ASA-6-302013: ...`.
    let after_host = match after_host.strip_prefix(": ") {
        Some(message) if message.starts_with('%') => message,
        _ => after_host,
    };
    let found = tag(after_host).or_else(|| tag_of_words(after_host));
    let found = found.filter(|found| evidence.fits(found, host));
    match found {
        Some(found) => found.fill(fields),
        // Without a priority, only the old time says that this is syslog.
        None if !has_priority && !has_bsd_time && !is_cisco_mark(after_host) => return false,
        None => {
            let word = after_host.split_once(' ').filter(|(word, _)| {
                // A program, not the first of some columns or pairs.
                has_priority
                    && word.starts_with(|c: char| c.is_alphanumeric() || c == '/' || c == '_')
                    && !word.contains([',', '=', '"', '|', '<', ';', '\t'])
            });
            let (program, message) = word.map_or((None, after_host), |(word, rest)| (Some(word), rest));
            fields.appname = program;
            fields.message = Some(message);
        }
    }
    fields.hostname = present(host);
    true
}

/// Returns whether a message starts with a mark of Cisco, such as `%FTD-6-302013: `.
fn is_cisco_mark(text: &str) -> bool {
    let mark = text.trim_start_matches(' ').strip_prefix('%');
    mark.is_some_and(|mark| {
        mark.starts_with(|c: char| c.is_ascii_uppercase()) && mark.contains('-') && mark.contains(": ")
    })
}

/// Reads `<mail.info> `, which syslogd of the BSDs writes with -v, and returns what follows it.
fn without_named_priority<'a>(text: &'a str, fields: &mut Fields<'a>) -> &'a str {
    let named = text.strip_prefix('<').and_then(|rest| rest.split_once("> "));
    let Some((facility, level, rest)) = named.and_then(|(name, rest)| {
        name.split_once('.')
            .map(|(facility, level)| (facility, level, rest))
    }) else {
        return text;
    };
    let is_name = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    if !is_name(facility) || text::level_word(level).is_none() {
        return text;
    }
    fields.insert("level", level);
    rest
}

/// Reads `[sshd] message`, as metalog writes, with no host.
fn bracketed_program(text: &str) -> Option<(&str, &str)> {
    let (program, rest) = text.strip_prefix('[')?.split_once(']')?;
    let message = rest.strip_prefix(": ").or_else(|| rest.strip_prefix(' '))?;
    is_program_name(program).then_some((program, message))
}

fn is_host(text: &str) -> bool {
    !text.is_empty()
        && !text.contains(['[', ']', '(', ')', '"', '=', ',', '|', '{', '<'])
        && text::level_word(text).is_none()
}

/// Holds the tag of RFC 3164: program, process, and the message after them.
struct Tag<'a> {
    program: &'a str,
    process: Option<&'a str>,
    message: &'a str,
}

impl<'a> Tag<'a> {
    fn fill(&self, fields: &mut Fields<'a>) {
        fields.appname = present(self.program);
        fields.procid = self.process;
        // rsyslog puts structured data in front of the message.
        let message = self.message.strip_prefix(' ').unwrap_or(self.message);
        let message = without_solaris_id(message);
        match structured_data(message.trim_start()) {
            Some((data, rest)) if data.iter().all(|(_, element)| has_parameters(element)) => {
                fields.insert("structured_data", data);
                fields.message = Some(rest.trim_start());
            }
            _ => fields.message = Some(message.trim_start_matches(' ')),
        }
    }
}

/// Removes `[ID 800047 auth.info] `, which syslogd of Solaris writes before a message.
fn without_solaris_id(message: &str) -> &str {
    let id = message.trim_start().strip_prefix("[ID ");
    let split = id.and_then(|id| id.split_once("] "));
    match split {
        Some((id, rest)) if id.starts_with(|c: char| c.is_ascii_digit()) && id.contains('.') => rest,
        _ => message,
    }
}

fn has_parameters(element: &Json<'_>) -> bool {
    matches!(element, Json::Object(parameters) if !parameters.is_empty())
}

/// Reads `sshd[42]: message`, `kernel: message`, `syslogd 1.4.1: restart.`, ` -- root[42]: message`.
fn tag(text: &str) -> Option<Tag<'_>> {
    let end = text.find([' ', '[', ':'])?;
    if text[end..].starts_with(' ') {
        let second = &text[end + 1..];
        let is_part = text.starts_with('-') || second.starts_with(|c: char| c.is_ascii_digit());
        let second_end = second.find([' ', '[', ':'])?;
        if !is_part || second[second_end..].starts_with(' ') {
            return None;
        }
        return tag_ending_at(text, end + 1 + second_end);
    }
    tag_ending_at(text, end)
}

/// Reads `Google Chrome[42]: message`: words with capitals, and a process. Sentences have other words.
fn tag_of_words(text: &str) -> Option<Tag<'_>> {
    const MOST_WORDS: usize = 4;
    let end = text.find('[')?;
    let words = || text.get(..end).unwrap_or_default().split(' ');
    let is_name = |word: &str| word.starts_with(|c: char| c.is_ascii_uppercase()) && is_program_name(word);
    if words().count() > MOST_WORDS || !words().all(is_name) {
        return None;
    }
    let is_number = |process: &str| process.bytes().all(|byte| byte.is_ascii_digit());
    tag_ending_at(text, end).filter(|tag| tag.process.is_some_and(is_number))
}

/// Splits off the tag that a message starts with, if no other text would look like it.
pub(crate) fn own_tag(message: &str) -> Option<(&str, &str)> {
    const DAEMONS: [&str; 5] = ["sshd", "sshd-session", "sudo", "su", "login"];
    let tag = tag(message)?;
    let is_own = tag.process.is_some() || DAEMONS.contains(&tag.program);
    is_own.then(|| (tag.program, tag.message.trim_start()))
}

fn tag_ending_at(text: &str, end: usize) -> Option<Tag<'_>> {
    let (program, rest) = text.split_at(end);
    let is_other = program.contains(['"', '=', '(', '{', '\t']) && !program.ends_with(')');
    // Cisco's devices begin their messages with a mark such as `%ASA-6-302013: `.
    if program.is_empty() || program.starts_with('%') || is_other {
        return None;
    }
    if let Some(rest) = rest.strip_prefix('[') {
        let (process, message) = rest.split_once(']')?;
        let is_process = !process.is_empty() && !process.contains([' ', '"', '=', '[']);
        let message = match message.strip_prefix(':') {
            Some(message) => message,
            None if message.is_empty() || message.starts_with(' ') => message,
            None => return None,
        };
        return is_process.then_some(Tag {
            program,
            process: Some(process),
            message,
        });
    }
    // The colon of `10:00` or of `http://` ends no tag.
    let message = rest.strip_prefix(':')?;
    (message.is_empty() || message.starts_with(' ')).then_some(Tag {
        program,
        process: None,
        message,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(outcome: Outcome<'_>) -> Fields<'_> {
        match outcome {
            Outcome::Fields(fields) => *fields,
            Outcome::Malformed(reason) => panic!("malformed: {reason}"),
            Outcome::Other => panic!("not recognised"),
        }
    }

    #[test]
    fn reads_every_part_of_rfc_5424() {
        let line = "<165>1 2003-10-11T22:14:15.003Z host evntslog 7 ID47 [x@1 a=\"\\\"\\]\" b=\"\"][y@1] \u{feff}text";
        let found = fields(rfc5424(line, &TimeContext::default()));
        assert_eq!(found.hostname, Some("host"));
        assert_eq!(found.appname, Some("evntslog"));
        assert_eq!(found.procid, Some("7"));
        assert_eq!(found.message, Some("text"));
        let expected = serde_json::json!({
            "facility": 20, "severity": 5, "level": "notice", "msgid": "ID47",
            "structured_data": {"x@1": {"a": "\"]", "b": ""}, "y@1": {}},
        });
        assert_eq!(serde_json::to_value(found.normalized).unwrap(), expected);
        assert_eq!(found.timestamp, Some("2003-10-11T22:14:15.003Z"));
    }

    #[test]
    fn a_word_with_a_tab_is_no_program() {
        let line = "<13>May  1 10:00:15 dc1 MSWinEventLog\t1\tSecurity\t7\tWed May 01 10:00:14 2024\t4625";
        let found = fields(rfc3164(line, &TimeContext::default()));
        assert_eq!((found.hostname, found.appname), (Some("dc1"), None));
        assert!(
            found
                .message
                .is_some_and(|message| message.starts_with("MSWinEventLog\t"))
        );
    }

    #[test]
    fn says_what_breaks_the_rules() {
        for line in [
            "<4096>1 - - - - - -",
            "<1>1 2003-08-24T05:14:15.1122334455+07:00 host - - - -",
            "<1>1 2003-08-24T05:14:15Z host - -",
        ] {
            assert!(
                matches!(rfc5424(line, &TimeContext::default()), Outcome::Malformed(_)),
                "{line}"
            );
        }
    }

    #[test]
    fn an_object_after_the_host_is_the_message() {
        let line = r#"<5>1 2024-05-01T10:00:14Z VAULT1 {"a": "b c", "d": 1}"#;
        let found = fields(rfc5424(line, &TimeContext::default()));
        assert_eq!((found.hostname, found.appname), (Some("VAULT1"), None));
        assert_eq!(found.message, Some(r#"{"a": "b c", "d": 1}"#));
        assert!(found.problem.is_none());
    }

    #[test]
    fn a_sound_header_counts_though_the_structured_data_is_broken() {
        for (data, message) in [
            ("State changed", "State changed"),
            ("[unclosed a=\"b\"", "[unclosed a=\"b\""),
            (
                "[action:\"Drop\"; src:\"203.0.113.9\"]",
                "[action:\"Drop\"; src:\"203.0.113.9\"]",
            ),
        ] {
            let line = format!("<40>1 2012-11-30T06:45:29Z host app 7 - {data}");
            let found = fields(rfc5424(&line, &TimeContext::default()));
            assert_eq!(found.hostname, Some("host"), "{data}");
            assert_eq!(found.procid, Some("7"), "{data}");
            assert_eq!(found.message, Some(message), "{data}");
            assert!(found.problem.is_some(), "{data}");
        }
    }

    #[test]
    fn cisco_devices_write_a_number_a_host_and_a_time_before_their_mark() {
        for (line, host, time, message) in [
            (
                "<189>2361044: sw01: *Jan  6 2022 22:11:43.398 UTC: %SYS-5-CONFIG_I: x",
                Some("sw01"),
                Some("2022-01-06T22:11:43.398Z"),
                "%SYS-5-CONFIG_I: x",
            ),
            (
                "2024 May  1 10:00:14 UTC: %VSHD-5-X: y",
                None,
                Some("2024-05-01T10:00:14Z"),
                "%VSHD-5-X: y",
            ),
            (
                "<189>82: 192.0.2.36: 2024 May  1 10:00:14 UTC: %ETHPORT-5-IF_UP: y",
                Some("192.0.2.36"),
                Some("2024-05-01T10:00:14Z"),
                "%ETHPORT-5-IF_UP: y",
            ),
            (
                "<189>: 2024 May  1 10:00:14 UTC: %ETHPORT-5-IF_UP: y",
                None,
                Some("2024-05-01T10:00:14Z"),
                "%ETHPORT-5-IF_UP: y",
            ),
            (
                "<189>82: 00:20:10: %SYS-5-CONFIG_I: z",
                None,
                None,
                "%SYS-5-CONFIG_I: z",
            ),
            (
                "<166>May  1 2024 10:00:14 fw1 : %ASA-6-302013: Built",
                Some("fw1"),
                Some("2024-05-01T10:00:14Z"),
                "%ASA-6-302013: Built",
            ),
        ] {
            let found = fields(rfc3164(line, &TimeContext::default()));
            assert_eq!(found.hostname, host, "{line}");
            assert_eq!(found.appname, None, "{line}");
            assert_eq!(found.message, Some(message), "{line}");
            let time = time.map(|time| time.parse::<chrono::DateTime<chrono::Utc>>().unwrap());
            assert_eq!(found.time.map(|found| found.time), time, "{line}");
        }
    }

    #[test]
    fn reads_the_tags_that_daemons_write() {
        for (text, program, process) in [
            ("host sshd[42]: hi", "sshd", Some("42")),
            ("host kernel: hi", "kernel", None),
            ("host syslogd 1.4.1: hi", "syslogd 1.4.1", None),
            ("host  -- root[7]: hi", "-- root", Some("7")),
            ("host sshd(pam_unix)[42]: hi", "sshd(pam_unix)", Some("42")),
            ("host postfix/smtpd[42]: hi", "postfix/smtpd", Some("42")),
            ("host Google Chrome[42]: hi", "Google Chrome", Some("42")),
        ] {
            let line = format!("Jun  9 06:06:20 {text}");
            let found = fields(rfc3164(&line, &TimeContext::default()));
            assert_eq!(found.hostname, Some("host"), "{text}");
            assert_eq!(found.appname, Some(program), "{text}");
            assert_eq!(found.procid, process, "{text}");
            assert_eq!(found.message, Some("hi"), "{text}");
        }
    }

    #[test]
    fn a_sentence_is_no_tag() {
        for text in [
            "Failed password for Bob[42]: hi",
            "Login Failed[x]: hi",
            "A B C D E[42]: hi",
        ] {
            let line = format!("Jun  9 06:06:20 host {text}");
            let found = fields(rfc3164(&line, &TimeContext::default()));
            assert_eq!((found.appname, found.message), (None, Some(text)), "{text}");
        }
    }

    #[test]
    fn reads_the_headers_of_other_daemons_of_syslog() {
        for (text, host, program, message) in [
            ("<mail.info> robin sm-mta[7]: hi", Some("robin"), "sm-mta", "hi"),
            ("[sshd] hi", None, "sshd", "hi"),
            (
                "host sshd[7]: [ID 800047 auth.info] hi",
                Some("host"),
                "sshd",
                "hi",
            ),
        ] {
            let line = format!("Jun  9 06:06:20 {text}");
            let found = fields(rfc3164(&line, &TimeContext::default()));
            assert_eq!(found.hostname, host, "{text}");
            assert_eq!(found.appname, Some(program), "{text}");
            assert_eq!(found.message, Some(message), "{text}");
        }
    }

    #[test]
    fn leaves_other_formats_alone() {
        for line in [
            "2024-01-01 10:00:00 INFO main: started",
            "2025-01-24T07:00:30,139 INFO [main     ] FarmApplication  : Starting",
            "2024-01-01T10:00:00Z something happened at 10:00",
            "2024-01-01T10:00:00Z app INFO: started",
            "2024-01-01T10:00:00 worker started: x",
            "no time at all",
        ] {
            assert!(
                matches!(rfc3164(line, &TimeContext::default()), Outcome::Other),
                "{line}"
            );
        }
    }
}
