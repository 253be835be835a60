//! Error logs of Apache and nginx.

use super::fields::{Fields, Outcome};
use super::readings::{Readings, Values, insert_source};
use super::text;
use crate::models::{TimeContext, endpoint, find_time_at_start};

pub(crate) fn error_log<'a>(line: &'a str, context: &TimeContext) -> Outcome<'a> {
    if line.starts_with('[') {
        apache(line, context).into()
    } else {
        nginx(line, context).into()
    }
}

/// Reads `[time] [module:level] [pid 7:tid 8] [client 203.0.113.9:80] message`. Each part but the first two is
/// optional.
fn apache<'a>(line: &'a str, context: &TimeContext) -> Option<Fields<'a>> {
    let located = find_time_at_start(line, context).filter(|located| located.start == 1)?;
    let mut rest = line[located.end..].strip_prefix(']')?.trim_start();
    let (level, after) = bracketed(rest)?;
    let (module, level) = level.rsplit_once(':').unwrap_or(("", level));
    text::level_word(level)?;
    rest = after;
    let mut fields = Fields::new("error_log").with_time(line, &located);
    fields.insert("level", level);
    if !module.is_empty() && module != "-" {
        fields.insert("module", module);
    }
    while let Some((part, after)) = bracketed(rest) {
        let is_new = !module.is_empty() || fields.procid.is_some();
        if let Some(process) = part.strip_prefix("pid ") {
            let process = process.split_once(':').map_or(process, |(process, _)| process);
            fields.procid = Some(process);
        } else if let Some(client) = part
            .strip_prefix("client ")
            .or_else(|| part.strip_prefix("remote "))
        {
            insert_client(client, is_new, &mut fields);
            rest = after;
            // All that follows may be a client's text.
            break;
        } else {
            break;
        }
        rest = after;
    }
    fields.message = Some(rest);
    Some(fields)
}

fn bracketed(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix('[')?;
    // An IPv6 address has brackets of its own.
    let (inside, rest) = text
        .split_once("] ")
        .or_else(|| Some((text.strip_suffix(']')?, "")))?;
    Some((inside, rest.trim_start()))
}

/// Reads `203.0.113.9:80`. Since Apache 2.4 the port is always there, and IPv6 addresses have no brackets.
fn insert_client<'a>(client: &'a str, has_port: bool, fields: &mut Fields<'a>) {
    let split = client.rsplit_once(':').filter(|_| has_port);
    let (client, port) = match split {
        Some((address, port)) if endpoint(address).is_some() => (address, Some(port)),
        _ => (client, None),
    };
    let port = insert_source(client, &mut fields.normalized).or(port);
    if let Some(Ok(port)) = port.map(str::parse::<u16>) {
        fields.insert("source.port", port);
    }
}

/// Reads `2024/01/02 03:04:05 [error] 7#8: *9 message, client: 203.0.113.9, server: x`.
fn nginx<'a>(line: &'a str, context: &TimeContext) -> Option<Fields<'a>> {
    // To search for the mark between process and thread takes less than to read a time, which most lines have.
    memchr::memchr(b'#', line.as_bytes())?;
    let located = find_time_at_start(line, context).filter(|located| located.start == 0)?;
    let (level, rest) = bracketed(line[located.end..].trim_start())?;
    text::level_word(level)?;
    let (process, message) = rest.split_once(": ")?;
    let (process, _thread) = process.split_once('#')?;
    process.parse::<u32>().ok()?;
    let mut fields = Fields::new("error_log").with_time(line, &located);
    fields.appname = Some("nginx");
    fields.procid = Some(process);
    fields.insert("level", level);
    fields.ambiguous = peers(message).insert_into(&mut fields.normalized);
    fields.message = Some(message);
    Some(fields)
}

/// Reads which client was connected to which server, as nginx adds to a message.
///
/// It writes `, client: A, server: S, request: "R", host: "H"`. The message before it may hold a user's name. A request
/// or a referrer after it may hold any text of a client, quotes as well.
fn peers(message: &str) -> Readings<'_> {
    const CLIENT: &str = ", client: ";
    let places = message.match_indices(CLIENT).take(MOST + 1);
    let readings = places.filter_map(|(at, mark)| {
        if !is_after_stderr(&message[..at]) {
            return None;
        }
        let text = &message[at + mark.len()..];
        let (client, rest) = text.split_at(text.find(',').unwrap_or(text.len()));
        let (server, rest) = server_and_rest(rest)?;
        is_request_end(rest, message[..at].contains("client sent ")).then_some(Values {
            source: Some(client),
            server,
            ..Values::default()
        })
    });
    Readings::any(readings).unwrap_or_default()
}

/// Returns whether a text that a FastCGI program wrote has ended. After its quote, nginx says what it was doing.
fn is_after_stderr(before: &str) -> bool {
    before
        .split_once("sent in stderr: \"")
        .is_none_or(|(_, text)| text.contains("\" while "))
}

/// Limits the readings of a message that are tried; real ones have two at most.
const MOST: usize = 16;

/// Splits `, server: x.example`, which may be missing, from what follows it.
fn server_and_rest(rest: &str) -> Option<(Option<&str>, &str)> {
    let Some(text) = rest.strip_prefix(", server: ") else {
        return Some((None, rest));
    };
    let (server, rest) = text.split_at(text.find(',').unwrap_or(text.len()));
    (!server.contains([' ', '"'])).then_some((Some(server), rest))
}

/// Returns whether a message may end like this: nothing, or a request and what is known of it.
fn is_request_end(rest: &str, is_refused: bool) -> bool {
    let Some(text) = rest.strip_prefix(", request: \"") else {
        return is_end(rest);
    };
    let ends = text
        .match_indices('"')
        .map(|(at, _)| (&text[..at], &text[at + 1..]));
    ends.take(MOST)
        .any(|(request, rest)| (is_refused || is_request(request)) && is_end(rest))
}

/// Returns whether nginx takes a text for a request. It would have refused one that goes on after the version.
fn is_request(text: &str) -> bool {
    match text.split_once(" HTTP/") {
        Some((_, version)) => version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'),
        None => !text.contains('"'),
    }
}

/// Returns whether a text is `, upstream: "U", host: "H", referrer: "R"`, of which any may be missing.
///
/// Only a referrer, and the name of a user of mail, may hold quotes.
fn is_end(mut rest: &str) -> bool {
    const NAMED: [&str; 3] = [", subrequest: \"", ", upstream: \"", ", host: \""];
    while let Some(value) = NAMED.iter().find_map(|name| rest.strip_prefix(name)) {
        let Some((_, after)) = value.split_once('"') else {
            return false;
        };
        rest = after;
    }
    let quoted = [", referrer: \"", ", login: \""];
    match quoted.iter().find_map(|name| rest.strip_prefix(name)) {
        Some(text) => text.ends_with('"'),
        None => {
            rest.is_empty()
                || rest
                    .strip_prefix(", bytes from/to client:")
                    .is_some_and(is_traffic)
        }
    }
}

/// Returns whether a text is `12/34, bytes from/to upstream:56/78`, at the end of a message.
fn is_traffic(text: &str) -> bool {
    let counts = text.replacen(", bytes from/to upstream:", "/", 1);
    counts.bytes().all(|byte| byte.is_ascii_digit() || byte == b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(line: &str) -> Fields<'_> {
        match error_log(line, &TimeContext::default()) {
            Outcome::Fields(fields) => *fields,
            _ => panic!("not recognised: {line}"),
        }
    }

    #[test]
    fn reads_apache() {
        let old =
            fields("[Sun Dec 04 04:47:44 2005] [error] [client 222.166.160.184] Directory index forbidden");
        assert_eq!(
            old.normalized.get("source_ip").unwrap().as_str().unwrap(),
            "222.166.160.184"
        );
        assert_eq!(old.normalized.get("level").unwrap().as_str().unwrap(), "error");
        assert_eq!(old.message, Some("Directory index forbidden"));
        let new = fields(
            "[Wed Oct 11 14:32:52.123456 2023] [core:warn] [pid 35:tid 43] [client [2001:db8::1]:80] x",
        );
        assert_eq!(new.procid, Some("35"));
        assert_eq!(
            new.normalized.get("source_ip").unwrap().as_str().unwrap(),
            "2001:db8::1"
        );
        assert_eq!(new.normalized.get("module").unwrap().as_str().unwrap(), "core");
    }

    #[test]
    fn reads_nginx() {
        let found = fields(
            "2024/01/02 03:04:05 [error] 7#8: *9 open() failed, client: 203.0.113.9, server: x.example",
        );
        assert_eq!(found.appname, Some("nginx"));
        assert_eq!(found.procid, Some("7"));
        assert_eq!(
            found.normalized.get("source_ip").unwrap().as_str().unwrap(),
            "203.0.113.9"
        );
    }
}
