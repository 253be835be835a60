//! Finds what may be an indicator in a text: addresses, domains, URLs, e-mail addresses and digests of files.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use memchr::memmem;

/// Holds something in a text that may be an indicator, in the form in which indicators are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Observable<'t> {
    Ip(IpAddr),
    Domain(Cow<'t, str>),
    Url(Cow<'t, str>),
    Email(Cow<'t, str>),
    FileHash(Cow<'t, str>),
}

/// Says what is known of the place of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Surroundings {
    /// Means a field whose values are addresses or names of hosts.
    Field,
    /// Means text in which names of files may be as well.
    FreeText,
}

impl Surroundings {
    /// Tells by the name of a field whether its values are names of hosts.
    pub(super) fn of_field(name: &str) -> Self {
        const OF_HOSTS: [&str; 10] = [
            "domain",
            "host",
            "dns",
            "query",
            "fqdn",
            "url",
            "server_name",
            "sni",
            "referer",
            "referrer",
        ];
        let last = name.rsplit('.').next().unwrap_or(name).to_ascii_lowercase();
        match OF_HOSTS.iter().any(|word| last.contains(word)) {
            true => Self::Field,
            false => Self::FreeText,
        }
    }
}

/// Lists the top-level domains that are endings of files as well. From free text, `setup.zip` is a file.
const FILE_ENDINGS: [&str; 18] = [
    "ai", "app", "bat", "cab", "com.br", "gz", "java", "mov", "md", "pl", "ps", "pub", "py", "rs", "sh",
    "so", "tar", "zip",
];

/// Gives each observable of a text to `take`.
pub(super) fn each<'t>(text: &'t str, surroundings: Surroundings, take: &mut dyn FnMut(Observable<'t>)) {
    for at in memmem::find_iter(text.as_bytes(), b"://") {
        if let Some(url) = url_at(text, at) {
            take(Observable::Url(url_key(url).into()));
            if let Some(host) = host_of(url) {
                token(host, Surroundings::Field, take);
            }
        }
    }
    for word in text.split(|c: char| !is_of_token(c)) {
        if word.len() >= SHORTEST {
            token(word, surroundings, take);
        }
    }
}

/// Counts the letters of the shortest observable: `a.b`, and `::1`.
const SHORTEST: usize = 3;

fn is_of_token(c: char) -> bool {
    matches!(c, '.' | '-' | '_' | ':' | '@' | '+' | '%') || c.is_alphanumeric()
}

/// Returns the URL whose `://` is at a place.
fn url_at(text: &str, at: usize) -> Option<&str> {
    let before = &text[..at];
    let scheme = before.rfind(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '+' | '-' | '.'));
    let start = scheme.map_or(0, |place| {
        place + before[place..].chars().next().map_or(1, char::len_utf8)
    });
    let is_end =
        |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '`' | '|' | '{' | '}' | '\\');
    let end = text[at..].find(is_end).map_or(text.len(), |length| at + length);
    let url = text.get(start..end)?;
    let url = url.trim_end_matches(['.', ',', ';', ':', ')', ']', '!', '?']);
    (start < at && url.len() > at - start + 3).then_some(url)
}

/// Returns the form in which a URL is compared: scheme and host in lower case (RFC 3986, section 6.2.2.1).
pub(super) fn url_key(url: &str) -> String {
    let host_end = url.find("://").map_or(0, |at| {
        let rest = &url[at + 3..];
        at + 3 + rest.find(['/', '?', '#']).unwrap_or(rest.len())
    });
    let (host, path) = url.split_at(host_end);
    // Without a path, a URL means the root.
    let path = if path.is_empty() { "/" } else { path };
    host.to_lowercase() + path
}

/// Returns the host of a URL, with its port.
fn host_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    Some(authority.rsplit_once('@').map_or(authority, |(_, host)| host))
}

/// Gives what a word is to `take`.
fn token<'t>(word: &'t str, surroundings: Surroundings, take: &mut dyn FnMut(Observable<'t>)) {
    let word = word.trim_matches(['[', ']', '.', '-', '+', '%', '@']);
    let colons = word.bytes().filter(|byte| *byte == b':').count();
    if colons >= 2
        && let Some(address) = v6(word)
    {
        return take(Observable::Ip(address));
    }
    if colons > 0 {
        for part in word.split(':').filter(|part| part.len() >= SHORTEST) {
            // As in `rv:1.9.2.13`, which is the version of a browser.
            if !(part.starts_with(|c: char| c.is_ascii_digit()) && word.starts_with("rv:")) {
                token(part, surroundings, take);
            }
        }
        return;
    }
    if let Some((local, domain)) = word.rsplit_once('@') {
        if !local.is_empty() && is_domain(domain) {
            take(Observable::Email(lower(word)));
        }
        return token(domain, Surroundings::Field, take);
    }
    if let Ok(address) = word.parse::<Ipv4Addr>() {
        return take(Observable::Ip(address.into()));
    }
    if matches!(word.len(), 32 | 40 | 64 | 128) && word.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return take(Observable::FileHash(lower(word)));
    }
    if is_domain(word) && (surroundings == Surroundings::Field || !is_file(word)) {
        take(Observable::Domain(lower(word)));
    }
}

/// Reads an address of IPv6. It may have a zone, or a port after brackets.
fn v6(word: &str) -> Option<IpAddr> {
    let word = word.split('%').next().unwrap_or(word);
    let address: Ipv6Addr = word
        .trim_end_matches(':')
        .parse()
        .or_else(|_| word.parse())
        .ok()?;
    Some(IpAddr::V6(address).to_canonical())
}

fn lower(text: &str) -> Cow<'_, str> {
    match text.chars().any(char::is_uppercase) {
        true => Cow::Owned(text.to_lowercase()),
        false => Cow::Borrowed(text),
    }
}

fn is_domain(word: &str) -> bool {
    let Some((_, last)) = word.rsplit_once('.') else {
        return false;
    };
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_')
    };
    let is_top = last.len() >= 2 && !last.starts_with(|c: char| c.is_ascii_digit());
    is_top && word.len() <= 253 && word.split('.').all(is_label)
}

fn is_file(word: &str) -> bool {
    let (_, ending) = word.rsplit_once('.').unwrap_or_default();
    FILE_ENDINGS
        .iter()
        .any(|known| ending.eq_ignore_ascii_case(known))
}
