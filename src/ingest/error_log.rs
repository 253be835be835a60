//! Error logs of Apache and nginx.

use super::fields::{Fields, Outcome};
use super::text;
use crate::models::{TimeContext, time_at_start};

pub(super) fn error_log<'a>(line: &'a str, context: &TimeContext) -> Outcome<'a> {
    if line.starts_with('[') {
        apache(line, context).into()
    } else {
        nginx(line, context).into()
    }
}

/// `[time] [module:level] [pid 7:tid 8] [client 203.0.113.9:80] message`, each part but the first two
/// optional.
fn apache<'a>(line: &'a str, context: &TimeContext) -> Option<Fields<'a>> {
    let located = time_at_start(line, context).filter(|located| located.start == 1)?;
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
        if let Some(process) = part.strip_prefix("pid ") {
            let process = process.split_once(':').map_or(process, |(process, _)| process);
            fields.procid = Some(process);
        } else if let Some(client) = part.strip_prefix("client ") {
            fields.insert("source_ip", address(client));
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

/// An address without its port. What has several colons and no brackets is IPv6 without a port.
fn address(client: &str) -> &str {
    match client.rsplit_once(':') {
        Some((address, _)) if client.parse::<std::net::IpAddr>().is_err() => address.trim_matches(['[', ']']),
        _ => client,
    }
}

/// `2024/01/02 03:04:05 [error] 7#8: *9 message, client: 203.0.113.9, server: x`.
fn nginx<'a>(line: &'a str, context: &TimeContext) -> Option<Fields<'a>> {
    // To look for the mark between process and thread takes less than to read a time, which most lines have.
    memchr::memchr(b'#', line.as_bytes())?;
    let located = time_at_start(line, context).filter(|located| located.start == 0)?;
    let (level, rest) = bracketed(line[located.end..].trim_start())?;
    text::level_word(level)?;
    let (process, message) = rest.split_once(": ")?;
    let (process, _thread) = process.split_once('#')?;
    process.parse::<u32>().ok()?;
    let mut fields = Fields::new("error_log").with_time(line, &located);
    fields.appname = Some("nginx");
    fields.procid = Some(process);
    fields.insert("level", level);
    for (label, name) in [("client", "source_ip"), ("server", "url.domain")] {
        let found = message.split_once(&format!(", {label}: "));
        if let Some(value) = found.and_then(|(_, rest)| rest.split([',', ' ']).next()) {
            fields.insert(name, value);
        }
    }
    fields.message = Some(message);
    Some(fields)
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
