//! Access logs of Apache and nginx: the common and the combined log format, with or without a virtual host.

use std::borrow::Cow;
use std::net::IpAddr;

use super::fields::{Fields, Outcome, present};
use crate::models::{Members, TimeContext, time_at_start};

pub(super) fn access_log<'a>(line: &'a str, context: &TimeContext) -> Outcome<'a> {
    // The request is in quotes, and most lines have none.
    if memchr::memchr(b'"', line.as_bytes()).is_none() {
        return Outcome::Other;
    }
    let Some((before, rest)) = line.split_once(" [") else {
        return Outcome::Other;
    };
    let Some((time, request)) = rest.split_once("] \"") else {
        return Outcome::Other;
    };
    let Some(located) = time_at_start(time, context).filter(|located| located.end == time.len()) else {
        return Outcome::Other;
    };
    let Some(mut fields) = request_fields(before, request) else {
        return Outcome::Other;
    };
    fields.message = Some(line);
    fields.with_time(time, &located).into()
}

/// The fields of an access log line inside another format, without its time.
pub(super) fn inside(message: &str) -> Option<Members<'_>> {
    let (before, rest) = message.split_once(" [").unwrap_or((message, ""));
    let fields = match rest.split_once("] \"") {
        Some((_, request)) => request_fields(before, request),
        // Some write no time where syslog has one.
        None => {
            let (before, request) = message.split_once(" \"")?;
            request_fields(before, request)
        }
    };
    Some(fields?.normalized)
}

/// `before` is what precedes the time, `request` what follows the quote after it.
fn request_fields<'a>(before: &'a str, request: &'a str) -> Option<Fields<'a>> {
    let (host, client, user) = client_and_user(before)?;
    let (request, rest) = split_quoted(request)?;
    let mut numbers = rest.trim_start().splitn(3, ' ');
    let status: u16 = numbers.next()?.parse().ok()?;
    let bytes = numbers.next().unwrap_or_default();
    if !(100..600).contains(&status) || !(bytes == "-" || bytes.parse::<u64>().is_ok()) {
        return None;
    }
    let mut fields = Fields::new("access_log");
    let name = if client.parse::<IpAddr>().is_ok() {
        "source_ip"
    } else {
        "source.address"
    };
    fields.insert(name, client);
    if let Some(user) = present(user) {
        fields.insert("user", user);
    }
    fields.insert("action", "http_request");
    fields.insert("outcome", if status < 400 { "success" } else { "failure" });
    if let Some((domain, _)) = host.map(|host| host.split_once(':').unwrap_or((host, ""))) {
        fields.insert("url.domain", domain);
    }
    let mut response = Members::default();
    response.insert("status_code", status);
    if let Ok(bytes) = bytes.parse::<u64>() {
        let mut body = Members::default();
        body.insert("bytes", bytes);
        response.insert("body", body);
    }
    let mut http = Members::default();
    http.insert("response", response);
    let mut described = Members::default();
    insert_request(request, &mut described, &mut http, &mut fields);
    insert_agent(numbers.next().unwrap_or_default(), &mut described, &mut fields);
    if !described.is_empty() {
        http.insert("request", described);
    }
    fields.insert("http", http);
    Some(fields)
}

/// `client identity user`, with the virtual host before them where there is one.
fn client_and_user(before: &str) -> Option<(Option<&str>, &str, &str)> {
    let words: Vec<&str> = before.split(' ').filter(|word| !word.is_empty()).collect();
    match words[..] {
        [client, _identity, user] => Some((None, client, user)),
        [host, client, _identity, user] => Some((Some(host), client, user)),
        _ => None,
    }
}

/// `GET /path HTTP/1.1`; anything else that a client sent stays whole.
fn insert_request<'a>(
    request: Cow<'a, str>,
    described: &mut Members<'a>,
    http: &mut Members<'a>,
    fields: &mut Fields<'a>,
) {
    let parts: Option<[Cow<'a, str>; 3]> = match &request {
        Cow::Borrowed(text) => request_line(text).map(|parts| parts.map(Cow::Borrowed)),
        Cow::Owned(text) => request_line(text).map(|parts| parts.map(|part| Cow::Owned(part.to_owned()))),
    };
    match parts {
        Some([method, target, version]) => {
            described.insert("method", method);
            http.insert("version", version);
            fields.insert("url.original", target);
        }
        None => fields.insert("url.original", request),
    }
}

/// Method, target and version of HTTP.
fn request_line(text: &str) -> Option<[&str; 3]> {
    let mut words = text.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next_back()?);
    let version = version.strip_prefix("HTTP/")?;
    words.next().is_none().then_some([method, target, version])
}

/// `"referrer" "agent"`, as the combined format has them.
fn insert_agent<'a>(rest: &'a str, described: &mut Members<'a>, fields: &mut Fields<'a>) {
    let mut quoted = Vec::new();
    let mut rest = rest;
    while let Some((text, after)) = rest.trim_start().strip_prefix('"').and_then(split_quoted) {
        quoted.push(text);
        rest = after;
    }
    let mut quoted = quoted.into_iter();
    let is_present = |text: &Cow<'_, str>| present(text).is_some();
    if let Some(referrer) = quoted.next().filter(is_present) {
        described.insert("referrer", referrer);
    }
    if let Some(agent) = quoted.next().filter(is_present) {
        fields.insert("user_agent.original", agent);
    }
}

/// The text up to the closing quote, and what follows it. A quote inside is written `\"`.
fn split_quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'"' if !is_escaped => return Some((unescaped(&text[..at]), &text[at + 1..])),
            b'\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
    }
    None
}

fn unescaped(text: &str) -> Cow<'_, str> {
    match text.contains("\\\"") {
        true => text.replace("\\\"", "\"").into(),
        false => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn reads_the_combined_format() {
        let line = r#"203.0.113.9 - alice [17/May/2015:10:05:03 +0200] "GET /a%20b?c=\"d\" HTTP/1.1" 404 12 "http://x/" "curl \"7\"" 0.1"#;
        let Outcome::Fields(fields) = access_log(line, &TimeContext::default()) else {
            panic!("not recognised");
        };
        let expected = json!({
            "source_ip": "203.0.113.9", "user": "alice", "action": "http_request", "outcome": "failure",
            "url.original": "/a%20b?c=\"d\"", "user_agent.original": "curl \"7\"",
            "http": {
                "response": {"status_code": 404, "body": {"bytes": 12}},
                "version": "1.1",
                "request": {"method": "GET", "referrer": "http://x/"},
            },
        });
        assert_eq!(serde_json::to_value(fields.normalized).unwrap(), expected);
        assert_eq!(
            fields.time.unwrap().time.to_rfc3339(),
            "2015-05-17T08:05:03+00:00"
        );
    }

    #[test]
    fn reads_hosts_and_requests_that_are_none() {
        let line = "www.example:80 ::1 - - [17/May/2015:10:05:03 +0000] \"\\x16\\x03\" 400 -";
        let Outcome::Fields(fields) = access_log(line, &TimeContext::default()) else {
            panic!("not recognised");
        };
        let normalized: Value = serde_json::to_value(fields.normalized).unwrap();
        assert_eq!(normalized["url.domain"], "www.example");
        assert_eq!(normalized["source_ip"], "::1");
        assert_eq!(normalized["url.original"], "\\x16\\x03");
    }
}
