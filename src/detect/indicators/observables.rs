//! Finds what may be an indicator in a text: addresses, domains, URLs, e-mail addresses and digests of files.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use memchr::memmem;

use crate::models::{canonical_url, host_of_url};

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
            if url.len() <= LONGEST_URL {
                take(Observable::Url(canonical_url(url).into()));
            }
            if let Some(host) = host_of_url(url) {
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

/// Limits the bytes of a URL that is compared. A line may hold the start of a URL at each of its places.
const LONGEST_URL: usize = 2_048;

/// Limits the bytes of a scheme.
const LONGEST_SCHEME: usize = 32;

/// Returns the URL whose `://` is at a place, or the beginning of it if it is too long.
fn url_at(text: &str, at: usize) -> Option<&str> {
    let is_of_scheme = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    let before = &text.as_bytes()[..at];
    let scheme = before
        .iter()
        .rev()
        .take(LONGEST_SCHEME)
        .take_while(|byte| is_of_scheme(byte))
        .count();
    let rest = text.get(at - scheme..)?;
    let mut end = rest.len().min(LONGEST_URL + 1);
    while !rest.is_char_boundary(end) {
        end -= 1;
    }
    let rest = &rest[..end];
    let is_end =
        |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '`' | '|' | '{' | '}' | '\\');
    let url = &rest[..rest.find(is_end).unwrap_or(rest.len())];
    let url = url.trim_end_matches(['.', ',', ';', ':', ')', ']', '!', '?']);
    (scheme > 0 && url.len() > scheme + 3).then_some(url)
}

/// Gives what a word is to `take`.
fn token<'t>(word: &'t str, surroundings: Surroundings, take: &mut dyn FnMut(Observable<'t>)) {
    let word = word.trim_matches(['[', ']', '.', '-', '+', '%', '@']);
    let colons = word.bytes().filter(|byte| *byte == b':').count();
    if colons >= 2
        && let Some(address) = v6(word)
    {
        take(Observable::Ip(address));
        return embedded(address)
            .into_iter()
            .for_each(|address| take(Observable::Ip(address)));
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
    // As in `192.0.2.1%eth0`.
    let address = word.split('%').next().unwrap_or(word);
    if let Ok(address) = address.parse::<Ipv4Addr>() {
        return take(Observable::Ip(address.into()));
    }
    if let Some((first, last)) = word.split_once('-')
        && let (Ok(first), Ok(last)) = (first.parse::<Ipv4Addr>(), last.parse::<Ipv4Addr>())
    {
        take(Observable::Ip(first.into()));
        return take(Observable::Ip(last.into()));
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

/// Returns the address of IPv4 in one of a translator (RFC 6052) or of 6to4 (RFC 3056).
fn embedded(address: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(address) = address else {
        return None;
    };
    let bits = address.to_bits();
    let v4 = |shift: u32| {
        let [.., a, b, c, d] = (bits >> shift).to_be_bytes();
        Some(Ipv4Addr::new(a, b, c, d).into())
    };
    if bits >> 32 == 0x0064_ff9b_0000_0000_0000_0000 {
        v4(0)
    } else if bits >> 112 == 0x2002 {
        v4(80)
    } else {
        None
    }
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
