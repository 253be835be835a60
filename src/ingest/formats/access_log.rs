//! Access logs of Apache and nginx: the common and the combined log format, with or without a virtual host.

use std::borrow::Cow;

use ipnet::IpNet;

use super::fields::{Fields, Outcome, present};
use super::readings::insert_source;
use crate::models::address::{self, endpoint};
use crate::models::{Json, Members, TimeContext, find_time_at_start};

pub(crate) fn access_log<'a>(line: &'a str, context: &TimeContext, proxies: &[IpNet]) -> Outcome<'a> {
    // The request is in quotes, and most lines have none.
    if memchr::memchr(b'"', line.as_bytes()).is_none() {
        return Outcome::Other;
    }
    let Some((before, time, request)) = around_time(line) else {
        return Outcome::Other;
    };
    let Some(located) = find_time_at_start(time, context).filter(|located| located.end == time.len()) else {
        return Outcome::Other;
    };
    let Some(mut fields) = request_fields(before, request, proxies) else {
        return Outcome::Other;
    };
    fields.message = Some(line);
    fields.with_time(time, &located).into()
}

/// Splits `before [time] "request` around the time. Servers escape the quotes of a user's name, but not its brackets.
fn around_time(line: &str) -> Option<(&str, &str, &str)> {
    let (before, request) = split_at_quote(line, "] ")?;
    let (before, time) = before.rsplit_once(" [")?;
    Some((before, time, request))
}

/// Returns the fields of an access log line inside another format, without its time.
pub(crate) fn inside<'a>(message: &'a str, proxies: &[IpNet]) -> Option<Fields<'a>> {
    let (before, request) = match around_time(message) {
        Some((before, _, request)) => (before, request),
        // Some programs write no time where syslog has one.
        None => split_at_quote(message, " ")?,
    };
    request_fields(before, request, proxies)
}

/// Splits a text at the first quote that follows `before`.
fn split_at_quote<'a>(text: &'a str, before: &str) -> Option<(&'a str, &'a str)> {
    memchr::memchr_iter(b'"', text.as_bytes()).find_map(|quote| {
        let (head, rest) = text.split_at(quote);
        Some((head.strip_suffix(before)?, rest.get(1..)?))
    })
}

/// Returns the fields of a line: `before` precedes the time, `request` follows the quote after it.
fn request_fields<'a>(before: &'a str, request: &'a str, proxies: &[IpNet]) -> Option<Fields<'a>> {
    let peer = Peer::of(before)?;
    let (request, rest) = split_quoted(request)?;
    let mut numbers = rest.trim_start().splitn(3, ' ');
    let status: u16 = numbers.next()?.parse().ok()?;
    let bytes = numbers.next().unwrap_or_default();
    if !(100..600).contains(&status) || !(bytes == "-" || bytes.parse::<u64>().is_ok()) {
        return None;
    }
    let mut fields = Fields::new("access_log");
    let quoted = all_quoted(numbers.next().unwrap_or_default());
    peer.insert_into(&mut fields, quoted.get(2), proxies);
    fields.insert("action", "http_request");
    if has_another_status(rest) {
        fields.ambiguous.extend(["outcome", "url.original", "http"]);
        return Some(fields);
    }
    insert_exchange(request, status, bytes, quoted, &mut fields);
    Some(fields)
}

/// Returns whether another request line ends after the one that was read, with a quote and a status.
///
/// Then the server does not escape quotes, and the client has put them into its request, or the referrer.
fn has_another_status(rest: &str) -> bool {
    rest.match_indices("HTTP/").any(|(at, mark)| {
        let version = &rest[at + mark.len()..];
        let after = version.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let status = after.strip_prefix("\" ").and_then(|after| after.get(..4));
        status.is_some_and(|status| {
            let (digits, blank) = status.split_at(3);
            blank == " " && digits.bytes().all(|byte| byte.is_ascii_digit())
        })
    })
}

/// Adds the request and the response.
fn insert_exchange<'a>(
    request: Cow<'a, str>,
    status: u16,
    bytes: &str,
    quoted: Vec<Cow<'a, str>>,
    fields: &mut Fields<'a>,
) {
    fields.insert("outcome", if status < 400 { "success" } else { "failure" });
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
    insert_request(request, &mut described, &mut http, fields);
    insert_agent(quoted, &mut described, fields);
    if !described.is_empty() {
        http.insert("request", described);
    }
    fields.insert("http", http);
}

/// Holds who asks whom: the part of a line before its time.
#[derive(Debug, Default, PartialEq, Eq)]
struct Peer<'a> {
    host: Option<&'a str>,
    /// Holds an address, a name, or a list of addresses as proxies write it.
    client: &'a str,
    user: &'a str,
}

impl<'a> Peer<'a> {
    /// Reads `client identity user`, with or without the virtual host before them.
    ///
    /// The client has chosen the user's name, which may hold blanks.
    fn of(before: &'a str) -> Option<Self> {
        let before = before.trim();
        let (first, rest) = client_and_rest(before)?;
        let (second, after_second) = client_and_rest(rest)?;
        if is_client(second) {
            let (_identity, user) = after_second.split_once(' ')?;
            return Some(Self {
                host: Some(first),
                client: second,
                user: user.trim(),
            });
        }
        if is_client(first) || second == "-" {
            return Some(Self {
                host: None,
                client: first,
                user: after_second,
            })
            .filter(|peer| !peer.user.is_empty());
        }
        let words: Vec<&str> = before.split(' ').filter(|word| !word.is_empty()).collect();
        match words[..] {
            [client, _identity, user] => Some(Self {
                host: None,
                client,
                user,
            }),
            [host, client, _identity, user] => Some(Self {
                host: Some(host),
                client,
                user,
            }),
            _ => None,
        }
    }

    /// Returns whether the user's name may be the end of a list of proxies.
    fn is_ambiguous(&self) -> bool {
        let hops = self.user.split(", ").skip(1);
        let mut first_words = hops.filter_map(|hop| hop.split(' ').next());
        first_words.any(|word| endpoint(word).is_some())
    }

    /// Adds what is known of the two, with the proxies that the last field of nginx's default format names.
    fn insert_into(&self, fields: &mut Fields<'a>, forwarded: Option<&Cow<'a, str>>, proxies: &[IpNet]) {
        if self.is_ambiguous() {
            fields.ambiguous.extend(["source_ip", "user"]);
            return;
        }
        match client_behind(self.client, forwarded, proxies) {
            Some(address) => {
                fields.insert("source_ip", Json::String(address));
                fields.insert("source.address", self.client);
            }
            None => {
                if let Some(client) = present(self.client)
                    && let Some(port) = insert_source(client, &mut fields.normalized)
                    && let Ok(port) = port.parse::<u16>()
                {
                    fields.insert("source.port", port);
                }
            }
        }
        if let Some(user) = present(self.user) {
            fields.insert("user", user);
        }
        if let Some((domain, _)) = self.host.map(|host| host.split_once(':').unwrap_or((host, ""))) {
            fields.insert("url.domain", domain);
        }
    }
}

/// Returns the client of a list of proxies, or the one that a proxy was connected from. Returns `None` if the client is
/// no proxy.
fn client_behind<'a>(
    client: &'a str,
    forwarded: Option<&Cow<'a, str>>,
    proxies: &[IpNet],
) -> Option<Cow<'a, str>> {
    if client.contains(',') {
        return address::client(client, proxies);
    }
    let is_proxy = |address: &str| address::is_in(proxies, address);
    let forwarded = forwarded.filter(|_| endpoint(client).is_some_and(|found| is_proxy(&found.address)))?;
    address::client(forwarded, proxies).map(|address| address.into_owned().into())
}

/// Splits a client from what follows it. A list of proxies goes on where a word ends with a comma.
fn client_and_rest(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start_matches(' ');
    let mut blanks = text.match_indices(' ').map(|(at, _)| at);
    let end = blanks.find(|at| !text[..*at].ends_with(','))?;
    Some((&text[..end], text[end..].trim_start_matches(' ')))
}

fn is_client(text: &str) -> bool {
    let first = text.split_once(',').map_or(text, |(first, _)| first);
    endpoint(first).is_some()
}

/// Reads `GET /path HTTP/1.1`. Any other text that a client sent stays whole.
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

/// Returns method, target and version of HTTP.
fn request_line(text: &str) -> Option<[&str; 3]> {
    let mut words = text.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next_back()?);
    let version = version.strip_prefix("HTTP/")?;
    words.next().is_none().then_some([method, target, version])
}

/// Reads `"referrer" "agent" ...`, as the combined format has them.
fn all_quoted(rest: &str) -> Vec<Cow<'_, str>> {
    let mut quoted = Vec::new();
    let mut rest = rest;
    while let Some((text, after)) = rest.trim_start().strip_prefix('"').and_then(split_quoted) {
        quoted.push(text);
        rest = after;
    }
    quoted
}

fn insert_agent<'a>(quoted: Vec<Cow<'a, str>>, described: &mut Members<'a>, fields: &mut Fields<'a>) {
    let mut quoted = quoted.into_iter();
    let is_present = |text: &Cow<'_, str>| present(text).is_some();
    if let Some(referrer) = quoted.next().filter(is_present) {
        described.insert("referrer", referrer);
    }
    if let Some(agent) = quoted.next().filter(is_present) {
        fields.insert("user_agent.original", agent);
    }
}

/// Splits a text at the closing quote. A quote inside is written `\"`.
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
        let Outcome::Fields(fields) = access_log(line, &TimeContext::default(), &[]) else {
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
        let Outcome::Fields(fields) = access_log(line, &TimeContext::default(), &[]) else {
            panic!("not recognised");
        };
        let normalized: Value = serde_json::to_value(fields.normalized).unwrap();
        assert_eq!(normalized["url.domain"], "www.example");
        assert_eq!(normalized["source_ip"], "::1");
        assert_eq!(normalized["url.original"], "\\x16\\x03");
    }
}
