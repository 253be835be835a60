//! Access logs of Apache and nginx: the common and the combined log format, with or without a virtual host.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

use super::fields::{Fields, Outcome, present};
use crate::models::{TimeContext, time_at_start};

pub(super) fn access_log(line: &str, context: &TimeContext) -> Outcome {
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
    fields.message = Some(line.to_owned());
    fields.with_time(time, &located).into()
}

/// The fields of an access log line inside another format, without its time.
pub(super) fn inside(message: &str) -> Option<Map<String, Value>> {
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
fn request_fields(before: &str, request: &str) -> Option<Fields> {
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
    let mut response = json!({"status_code": status});
    if let Ok(bytes) = bytes.parse::<u64>() {
        response["body"] = json!({"bytes": bytes});
    }
    let mut http = Map::from_iter([("response".to_owned(), response)]);
    insert_request(&request, &mut http, &mut fields);
    insert_agent(numbers.next().unwrap_or_default(), &mut http, &mut fields);
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
fn insert_request(request: &str, http: &mut Map<String, Value>, fields: &mut Fields) {
    let mut words = request.split(' ');
    let (method, target, version) = (words.next(), words.next(), words.next_back());
    let version = version.and_then(|version| version.strip_prefix("HTTP/"));
    match (method, target, version) {
        (Some(method), Some(target), Some(version)) if words.next().is_none() => {
            http.insert("request".into(), json!({"method": method}));
            http.insert("version".into(), version.into());
            fields.insert("url.original", target);
        }
        _ => fields.insert("url.original", request),
    }
}

/// `"referrer" "agent"`, as the combined format has them.
fn insert_agent(rest: &str, http: &mut Map<String, Value>, fields: &mut Fields) {
    let mut quoted = Vec::new();
    let mut rest = rest;
    while let Some((text, after)) = rest.trim_start().strip_prefix('"').and_then(split_quoted) {
        quoted.push(text);
        rest = after;
    }
    let mut quoted = quoted.into_iter();
    let referrer = quoted.next().as_deref().and_then(present);
    if let Some(referrer) = referrer {
        let request = http.entry("request").or_insert_with(|| json!({}));
        request["referrer"] = referrer.into();
    }
    if let Some(agent) = quoted.next().as_deref().and_then(present) {
        fields.insert("user_agent.original", agent);
    }
}

/// The text up to the closing quote, and what follows it. A quote inside is written `\"`.
fn split_quoted(text: &str) -> Option<(String, &str)> {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'"' if !is_escaped => return Some((text[..at].replace("\\\"", "\""), &text[at + 1..])),
            b'\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
    }
    None
}

#[cfg(test)]
mod tests {
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
        assert_eq!(Value::from(fields.normalized), expected);
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
        assert_eq!(fields.normalized["url.domain"], "www.example");
        assert_eq!(fields.normalized["source_ip"], "::1");
        assert_eq!(fields.normalized["url.original"], "\\x16\\x03");
    }
}
