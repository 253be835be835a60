//! Connection strings of libpq: URIs, parameters, passwords and timeouts.

use std::time::Duration;

use crate::models::Secret;

/// Limits the time until each side notices that the other one is gone.
///
/// A writer that is cut off while it holds the commit lock keeps others from committing until the database notices.
const TIMEOUTS: [(&str, &str); 6] = [
    ("application_name", "logstore"),
    ("connect_timeout", "10"),
    ("keepalives_idle", "5"),
    ("keepalives_interval", "5"),
    ("keepalives_count", "2"),
    ("tcp_user_timeout", "15000"),
];

/// Limits how long the server waits for a client that is cut off, or stopped within a transaction.
///
/// A query reads its files within one transaction, so that this must be longer than any query.
const OF_SERVER: &str = "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=2 \
    -c tcp_user_timeout=15000 -c idle_in_transaction_session_timeout=24h";

/// Returns the connection parameters for libpq, with timeouts that the caller has not set.
///
/// A statement waits for locks of other processes for `lock_timeout`. `options` of the caller replace what is set for
/// the server.
pub(crate) fn with_timeouts(connection: &str, lock_timeout: Duration) -> String {
    let connection = parameters(connection);
    let options = format!("{OF_SERVER} -c lock_timeout={}", millis(lock_timeout));
    let timeouts = TIMEOUTS.into_iter().chain([("options", options.as_str())]);
    let missing = timeouts.filter(|(name, _)| !connection.contains(&format!("{name}=")));
    let timeouts: String = missing
        .map(|(name, value)| format!("{name}='{value}' "))
        .collect();
    timeouts + &connection
}

/// Returns a time to wait for locks in milliseconds. PostgreSQL would take zero for no limit.
pub(crate) fn millis(lock_timeout: Duration) -> u128 {
    lock_timeout.as_millis().clamp(1, i32::MAX as u128)
}

/// Returns the connection as parameters for libpq: the engine can add a password to those, but not to a URI.
fn parameters(connection: &str) -> String {
    let Some((_, rest)) = connection.split_once("://") else {
        return connection.to_owned();
    };
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = place.split_once('/').unwrap_or((place, ""));
    let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (hosts, ports): (Vec<&str>, Vec<&str>) = hosts.split(',').map(host_and_port).unzip();
    let (hosts, ports) = (hosts.join(","), ports.join(","));
    let named = [
        ("user", user),
        ("host", &hosts),
        ("port", &ports),
        ("dbname", database),
    ];
    let more = query.split('&').filter_map(|parameter| parameter.split_once('='));
    let parameters = named
        .into_iter()
        .chain(more)
        .filter(|(_, value)| value.contains(|c| c != ','))
        .map(|(name, value)| format!("{name}={}", quoted(&percent_decoded(value))));
    parameters.collect::<Vec<_>>().join(" ")
}

/// Takes host and port apart. An address of IPv6 is in brackets.
fn host_and_port(text: &str) -> (&str, &str) {
    match text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':').unwrap_or(port)),
        None => text.split_once(':').unwrap_or((text, "")),
    }
}

/// Returns a value quoted for libpq.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\\', r"\\").replace('\'', r"\'"))
}

/// Takes the password out of `postgres://user:password@host/name?password=...`.
pub(crate) fn without_password_of_uri(uri: &str) -> (String, Option<Secret>) {
    let (before, parameters) = uri
        .split_once('?')
        .map_or((uri, ""), |(before, rest)| (before, rest));
    let (scheme, rest) = before.split_once("://").unwrap_or(("postgres", before));
    let host = rest.find('/').unwrap_or(rest.len());
    let (mut password, mut address) = (None, rest.to_owned());
    if let Some((user, place)) = rest[..host].rsplit_once('@')
        && let Some((user, secret)) = user.split_once(':')
    {
        password = Some(percent_decoded(secret));
        address = format!("{user}@{place}{}", &rest[host..]);
    }
    let mut kept = Vec::new();
    for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
        match parameter.strip_prefix("password=") {
            Some(secret) => password = Some(percent_decoded(secret)),
            None => kept.push(parameter),
        }
    }
    let query = if kept.is_empty() {
        String::new()
    } else {
        format!("?{}", kept.join("&"))
    };
    (format!("{scheme}://{address}{query}"), password.map(Secret::from))
}

/// Takes the password out of `host=... password='...' dbname=...`, which has libpq's syntax.
pub(crate) fn without_password_of_parameters(text: &str) -> (String, Option<Secret>) {
    let mut password = None;
    let mut kept = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (parameter, after) = rest.split_at(end_of_parameter(rest));
        match parameter.split_once('=') {
            Some((name, value)) if name.trim() == "password" => password = Some(unquoted(value.trim())),
            _ => kept.push(parameter.trim()),
        }
        rest = after.trim_start();
    }
    (kept.join(" "), password.map(Secret::from))
}

/// Returns the end of the first `name = value`.
fn end_of_parameter(text: &str) -> usize {
    let Some(equals) = text.find('=') else {
        return text.len();
    };
    let value = text.len() - text[equals + 1..].trim_start().len();
    let is_quoted = text[value..].starts_with('\'');
    let mut is_escaped = false;
    for (index, character) in text
        .char_indices()
        .skip_while(|(index, _)| *index < value + usize::from(is_quoted))
    {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '\'' if is_quoted => return index + 1,
            _ if !is_quoted && character.is_whitespace() => return index,
            _ => {}
        }
    }
    text.len()
}

fn unquoted(value: &str) -> String {
    let inner = value
        .strip_prefix('\'')
        .map_or(value, |inner| inner.strip_suffix('\'').unwrap_or(inner));
    let mut text = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => text.extend(characters.next()),
            _ => text.push(character),
        }
    }
    text
}

fn percent_decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text)
        .decode_utf8_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_parameters() {
        let cases = [
            ("host=db dbname=soc", "host=db dbname=soc"),
            ("postgres://db", "host='db'"),
            (
                "postgresql://me@db:5433/soc?sslmode=require",
                "user='me' host='db' port='5433' dbname='soc' sslmode='require'",
            ),
            (
                "postgres://[::1]:5433,b/it%27s%5Cin?options=-c%20a%3Db",
                r"host='::1,b' port='5433,' dbname='it\'s\\in' options='-c a=b'",
            ),
            ("postgres:///soc?host=/run/pg", "dbname='soc' host='/run/pg'"),
        ];
        for (connection, expected) in cases {
            assert_eq!(parameters(connection), expected, "{connection}");
        }
    }
}
