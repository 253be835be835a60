//! Finds what may be an indicator in a text: addresses, domains, URLs, e-mail addresses and digests of files.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use memchr::{memchr_iter, memchr2_iter, memmem};
use percent_encoding::percent_decode_str;

use super::{Indicator, canonical_domain, canonical_host, canonical_url, has_labels, host_of_url};

/// Describes the observables that a scan of logs seeks.
///
/// ```
/// use logstore::storage::SoughtObservables;
///
/// let sought = SoughtObservables::new(|text| text.contains("198.51.100.4"));
/// let sought = sought.named(vec!["198.51.100.4".parse()?]);
/// assert!(sought.may_be_in("from 198.51.100.4 port 22"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct SoughtObservables {
    test: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    names: Vec<Indicator>,
}

impl SoughtObservables {
    /// Seeks the observables for which a test is true.
    ///
    /// The test is asked of whole texts and of parts of texts. It must be true of each text in which one of the sought
    /// observables stands alone, and of each longer one.
    pub fn new(test: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self {
            test: Arc::new(test),
            names: Vec::new(),
        }
    }

    /// Names all that is sought. A store with filters of blocks then reads only the blocks that may hold one of them.
    #[must_use]
    pub fn named(self, names: Vec<Indicator>) -> Self {
        Self { names, ..self }
    }

    /// Returns whether a text may hold a sought observable.
    pub fn may_be_in(&self, text: &str) -> bool {
        (self.test)(text)
    }

    /// Returns all that is sought; nothing if it was not named.
    pub fn names(&self) -> &[Indicator] {
        &self.names
    }
}

impl std::fmt::Debug for SoughtObservables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = &self.names;
        f.debug_struct("SoughtObservables")
            .field("names", names)
            .finish_non_exhaustive()
    }
}

/// Holds something in a text that may be an indicator, in the form in which indicators are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Observable<'t> {
    Ip(IpAddr),
    Domain(Cow<'t, str>),
    Url(Cow<'t, str>),
    Email(Cow<'t, str>),
    /// Holds hexadecimal digits, in any letter case.
    FileHash(&'t str),
}

/// Says what is known of the place of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Surroundings<'n> {
    /// Means the host of a URL or of an e-mail address.
    Host,
    /// Means a field of this name.
    Field(&'n str),
    /// Means text in which names of files may be as well.
    FreeText,
    /// Means that nothing is known of the place. All is found that is found in any other place, or with colons and dots
    /// before the text and after it.
    Unknown,
}

impl Surroundings<'_> {
    /// Returns whether the values are names of hosts, as the name of the field tells.
    fn are_hosts(self) -> bool {
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
        match self {
            Self::Host | Self::Unknown => true,
            Self::FreeText => false,
            Self::Field(name) => {
                let last = name.rsplit('.').next().unwrap_or(name).to_ascii_lowercase();
                OF_HOSTS.iter().any(|word| last.contains(word))
            }
        }
    }
}

/// Lists the top-level domains that are endings of files as well. From free text, `setup.zip` is a file.
const FILE_ENDINGS: [&str; 17] = [
    "ai", "app", "bat", "cab", "gz", "java", "mov", "md", "pl", "ps", "pub", "py", "rs", "sh", "so", "tar",
    "zip",
];

/// Says whether the words and observables of a text that is cut between tokens, with this part, are those of the parts.
///
/// Addresses in short forms start and end with what is between tokens. URLs have several tokens, and what is encoded
/// may have any. A backslash at the end may be a part of an escape that the next part ends.
pub(crate) fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    let starts_more = |colon: usize| matches!(bytes.get(colon + 1..), Some([b':', ..] | [b'/', b'/', ..]));
    text.is_ascii()
        && memchr::memchr(b'%', bytes).is_none()
        && !memchr::memchr_iter(b':', bytes).any(starts_more)
        && !text.ends_with('\\')
}

/// Says whether a text may have escapes of JSON, and so other words than the values that it stands for.
///
/// Those of a backslash and of a quote end words, as these do. That of a slash may be one of a URL.
pub(crate) fn has_escapes(text: &str) -> bool {
    let mut rest = text.as_bytes();
    while let Some(at) = memchr::memchr(b'\\', rest) {
        match rest.get(at + 1..) {
            Some([b'\\' | b'"', after @ ..]) => rest = after,
            _ => return true,
        }
    }
    false
}

/// Says whether a value of a column may be in JSON as a text that stands for another one: its backslashes all begin
/// escapes, and one of these ends no word.
pub(crate) fn may_be_escaped(value: &str) -> bool {
    let (mut rest, mut is_escaped) = (value.as_bytes(), false);
    while let Some(at) = memchr::memchr(b'\\', rest) {
        match rest.get(at + 1..) {
            Some([b'\\' | b'"', after @ ..]) => rest = after,
            Some([b'/' | b'b' | b'f' | b'n' | b'r' | b't' | b'u', after @ ..]) => {
                (rest, is_escaped) = (after, true);
            }
            _ => return false,
        }
    }
    is_escaped
}

/// Takes what is found in a text.
type Take<'a> = dyn FnMut(Observable<'_>) + 'a;

/// Gives each observable of a text to `take`.
pub(crate) fn each(text: &str, surroundings: Surroundings<'_>, take: &mut Take<'_>) {
    if !may_hold_observable(text.as_bytes()) {
        return;
    }
    each_in_urls(text, take);
    each_word(text, &mut |place, seen| {
        // Bytes of one character are all in the word or all outside.
        let Some(word) = text.get(place.clone()) else {
            return;
        };
        words(word, seen, surroundings, take);
        if (surroundings == Surroundings::Unknown || is_end_of_connection(text, place))
            && let Some(address) = before_port(word)
        {
            take(Observable::Ip(address.into()));
        }
    });
}

/// Returns whether a text has what each observable has: a byte that is rare elsewhere, or the length of a digest.
fn may_hold_observable(bytes: &[u8]) -> bool {
    bytes.len() >= SHORTEST_DIGEST || bytes.iter().any(|byte| class(*byte) & (MARKS | PERCENT) != 0)
}

/// Gives the place of each word that may hold an observable to `take`, with the classes of its bytes.
fn each_word(text: &str, take: &mut dyn FnMut(Range<usize>, u8)) {
    let (mut start, mut seen) = (0, 0);
    let mut end = |word: Range<usize>, seen: u8| {
        let is_long = word.len() >= SHORTEST_DIGEST;
        if is_long
            || seen & MARKS != 0
                && text
                    .get(word.clone())
                    .is_some_and(|text| may_be_observable(text, seen))
        {
            take(word, seen);
        }
    };
    for (place, byte) in text.bytes().enumerate() {
        match class(byte) {
            0 => {
                end(start..place, seen);
                (start, seen) = (place + 1, 0);
            }
            class => seen |= class,
        }
    }
    end(start..text.len(), seen);
}

/// Gives each address of a text to `take`: those that [`each`] finds, at less cost.
pub(crate) fn each_address(text: &str, take: &mut dyn FnMut(IpAddr)) {
    let has_port = |word| is_end_of_connection(text, word);
    in_urls_and_addresses(text, Surroundings::FreeText, &has_port, &mut |observable, _| {
        if let Observable::Ip(address) = observable {
            take(address);
        }
    });
}

/// Gives what the URLs of a text hold to `take`, and each address, with whether the word that it is in has it as it is
/// printed.
///
/// What else a text of ASCII has are words of it, in any letter case. Five numbers are an address and a port here,
/// whatever is around them: it may be a part of a line that ends there.
pub(crate) fn each_in_urls_and_addresses(text: &str, take: &mut dyn FnMut(Observable<'_>, bool)) {
    in_urls_and_addresses(text, Surroundings::Unknown, &|_| true, take);
}

fn in_urls_and_addresses(
    text: &str,
    surroundings: Surroundings<'_>,
    has_port: &dyn Fn(Range<usize>) -> bool,
    take: &mut dyn FnMut(Observable<'_>, bool),
) {
    each_in_urls(text, &mut |observable| take(observable, false));
    let bytes = text.as_bytes();
    let mut end = 0;
    for mark in memchr2_iter(b'.', b':', bytes) {
        if mark < end || !may_be_in_address(bytes, mark) {
            continue;
        }
        let is_outside = |byte: &u8| class(*byte) == 0;
        let (before, after) = bytes.split_at(mark);
        let start = before.iter().rposition(is_outside).map_or(0, |last| last + 1);
        end = after
            .iter()
            .position(is_outside)
            .map_or(bytes.len(), |length| mark + length);
        let Some(word) = text.get(start..end).filter(|word| may_be_address(word)) else {
            continue;
        };
        if let Ok(address) = word.parse::<Ipv4Addr>() {
            take(Observable::Ip(address.into()), true);
        } else {
            let seen = classes(word);
            let mut give = |observable: Observable<'_>| {
                if let Observable::Ip(address) = observable {
                    take(observable, word.contains(&address.to_string()));
                }
            };
            words(word, seen, surroundings, &mut give);
            if let Some(address) = before_port(word).filter(|_| has_port(start..end)) {
                give(Observable::Ip(address.into()));
            }
        }
    }
}

/// Returns whether a dot or colon may be one of an address: a dot between digits, a colon between digits or colons.
fn may_be_in_address(bytes: &[u8], mark: usize) -> bool {
    let next = bytes.get(mark + 1);
    let before = mark.checked_sub(1).and_then(|before| bytes.get(before));
    match bytes.get(mark) {
        Some(b'.') => before.is_some_and(u8::is_ascii_digit) && next.is_some_and(u8::is_ascii_digit),
        _ => {
            next == Some(&b':')
                || before.is_some_and(u8::is_ascii_hexdigit) && next.is_some_and(u8::is_ascii_hexdigit)
        }
    }
}

/// Returns whether a word has the dots or colons of an address.
fn may_be_address(word: &str) -> bool {
    let bytes = word.as_bytes();
    let count = |mark: u8| memchr::memchr_iter(mark, bytes).count();
    let is_double = |pair: &[u8]| pair == b"::";
    word.len() >= SHORTEST && (count(b'.') >= 3 || count(b':') >= 7 || bytes.windows(2).any(is_double))
}

/// Returns the address of `198.51.100.4.443`, as tcpdump writes an address and a port.
fn before_port(word: &str) -> Option<Ipv4Addr> {
    let word = word.strip_suffix(':').unwrap_or(word);
    let (address, port) = word.rsplit_once('.')?;
    let is_port = port.parse::<u16>().is_ok_and(|port| port > 0);
    address.parse().ok().filter(|_| is_port)
}

/// Returns whether a word is one end of `A > B`. Elsewhere, five numbers are a version.
fn is_end_of_connection(text: &str, word: Range<usize>) -> bool {
    let (before, after) = (text.get(..word.start), text.get(word.end..));
    before.is_some_and(|before| before.ends_with(" > "))
        || after.is_some_and(|after| after.starts_with(" > "))
}

/// Means that a byte may be in an observable.
const PART: u8 = 1;
/// Means a dot.
const DOT: u8 = 2;
/// Means a colon.
const COLON: u8 = 4;
/// Means a part of a character that is not ASCII.
const WIDE: u8 = 8;
/// Means an `@`.
const AT: u8 = 16;
/// Means a `%`.
const PERCENT: u8 = 32;

/// Holds the classes of which each observable has one, unless it is a digest.
const MARKS: u8 = DOT | COLON | WIDE;

/// Says what each byte may be; 0 means that it ends a word.
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte: u8 = 0;
    loop {
        classes[byte as usize] = match byte {
            b'.' => PART | DOT,
            b':' => PART | COLON,
            b'@' => PART | AT,
            b'%' => PART | PERCENT,
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'_' | b'+' => PART,
            0x80.. => PART | WIDE,
            _ => 0,
        };
        if byte == u8::MAX {
            break classes;
        }
        byte += 1;
    }
};

fn class(byte: u8) -> u8 {
    // A byte is always a place of the list.
    CLASSES.get(usize::from(byte)).copied().unwrap_or_default()
}

/// Counts the digits of the shortest digest.
const SHORTEST_DIGEST: usize = 32;

/// Says whether a digest of MD5, SHA-1, SHA-256 or SHA-512 has so many digits.
pub(crate) fn is_length_of_digest(digits: usize) -> bool {
    matches!(digits, 32 | 40 | 64 | 128)
}

/// Returns the classes of the bytes of a word.
fn classes(word: &str) -> u8 {
    word.bytes().fold(0, |seen, byte| seen | class(byte))
}

/// Returns whether a word may hold an observable, by the classes of its bytes. Most words do not.
fn may_be_observable(word: &str, seen: u8) -> bool {
    match word.len() {
        ..SHORTEST => false,
        _ if seen & (DOT | WIDE) != 0 => true,
        SHORTEST_DIGEST.. => true,
        // An address of IPv6 has `::`, or seven colons.
        _ => seen & COLON != 0 && (word.contains("::") || word.matches(':').count() >= 7),
    }
}

/// Gives the observables of a word to `take`.
fn words(word: &str, seen: u8, surroundings: Surroundings<'_>, take: &mut Take<'_>) {
    if seen & WIDE == 0 {
        return token(word, seen, surroundings, take);
    }
    for part in word.split(|c: char| !is_of_token(c)) {
        if part.len() >= SHORTEST {
            token(part, seen, surroundings, take);
        }
    }
}

/// Counts the letters of the shortest observable: `a.b`, and `::1`.
const SHORTEST: usize = 3;

fn is_of_token(c: char) -> bool {
    matches!(c, '.' | '-' | '_' | ':' | '@' | '+' | '%')
        || c.is_alphanumeric()
        || is_wide_dot(c)
        || is_mark(c)
}

/// Returns whether a character is a mark on the letter before it, as in the decomposed spelling of `bücher`.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{1dc0}'..='\u{1dff}' | '\u{3099}' | '\u{309a}')
}

/// Returns whether a character separates labels of a domain as a dot does (UTS 46).
fn is_wide_dot(c: char) -> bool {
    matches!(c, '\u{3002}' | '\u{ff0e}' | '\u{ff61}')
}

/// Limits the bytes of a URL that is compared.
const LONGEST_URL: usize = 2_048;

/// Limits the bytes of all URLs of a text that are compared. A line may hold the start of a URL at each of its places.
const MOST_URL_BYTES: usize = 64 * LONGEST_URL;

/// Limits the bytes of a scheme.
const LONGEST_SCHEME: usize = 32;

/// Finds what is between the scheme and the host of a URL.
static AFTER_SCHEME: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new("://"));

/// Limits the URLs of a text that are looked at. Of the others, plain hosts are found as words.
const MOST_URLS: usize = 10_000;

/// Says whether a text may have a URL that is not encoded.
pub(crate) fn has_url(text: &str) -> bool {
    AFTER_SCHEME.find(text.as_bytes()).is_some()
}

/// Gives the URLs of a text and their hosts to `take`. Of URLs that are too long or too many, it gives only the hosts.
fn each_in_urls(text: &str, take: &mut Take<'_>) {
    let mut compared = 0;
    let mut starts = starts_of_urls(text);
    for (at, is_encoded) in starts.by_ref().take(MOST_URLS) {
        let longest = match compared < MOST_URL_BYTES {
            true => LONGEST_URL,
            false => LONGEST_HOST,
        };
        let Some(url) = url_at(text, at, longest) else {
            continue;
        };
        compared += url.len();
        let is_whole = longest == LONGEST_URL && url.len() <= longest;
        let url = match is_encoded {
            true => decoded_parameter(url),
            false => Cow::Borrowed(url),
        };
        if let Some(host) = host_of_url(&url) {
            let host = canonical_host(host);
            token(&host, classes(&host), Surroundings::Host, take);
        }
        if is_whole {
            take(Observable::Url(canonical_url(&url)));
        }
    }
    let left = starts.count();
    if left > 0 {
        log::debug!("{left} URLs of a line are not compared: it has more than {MOST_URLS}");
    }
}

/// Returns the places after the schemes of URLs, and whether the URL is encoded, as in the parameter of another URL.
fn starts_of_urls(text: &str) -> impl Iterator<Item = (usize, bool)> {
    const PLAIN: &[u8] = b"://";
    const ENCODED: &[u8] = b"%3A%2F%2F";
    let bytes = text.as_bytes();
    let is_plain = |at: &usize| bytes.get(*at..*at + PLAIN.len()) == Some(PLAIN);
    let plain = memchr_iter(b':', bytes).filter(is_plain).map(|at| (at, false));
    let encoded = memchr_iter(b'%', bytes).filter(|at| {
        let found = bytes.get(*at..*at + ENCODED.len());
        found.is_some_and(|found| found.eq_ignore_ascii_case(ENCODED))
    });
    plain.chain(encoded.map(|at| (at, true)))
}

/// Returns a text with its percent-encoding decoded (RFC 3986); `None` if it has none.
pub(crate) fn percent_decoded(text: &str) -> Option<Cow<'_, str>> {
    let is_encoded = |at: usize| {
        let digits = text.as_bytes().get(at + 1..at + 3);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    let mut marks = memchr::memchr_iter(b'%', text.as_bytes());
    marks
        .any(is_encoded)
        .then(|| percent_decode_str(text).decode_utf8_lossy())
}

/// Gives a text to `take`, and what it is with its percent-encoding decoded: once, and twice for the parameter of a URL
/// that is a parameter itself. A text cannot ask for more work than that, as a decoded one is never longer.
pub(crate) fn each_decoding(text: &str, mut take: impl FnMut(&str)) {
    take(text);
    if let Some(once) = percent_decoded(text) {
        take(&once);
        if let Some(twice) = percent_decoded(&once) {
            take(&twice);
        }
    }
}

/// Returns the URL of a parameter, which ends where the next parameter begins.
fn decoded_parameter(encoded: &str) -> Cow<'_, str> {
    let end = encoded.find(['&', ';']).unwrap_or(encoded.len());
    let (parameter, _) = encoded.split_at(end);
    percent_decode_str(parameter).decode_utf8_lossy()
}

/// Limits the bytes of scheme, user, host and port of a URL of which only the host is compared.
const LONGEST_HOST: usize = 512;

/// Returns the URL whose `://` is at a place, or the beginning of it if it is longer than `longest`.
fn url_at(text: &str, at: usize, longest: usize) -> Option<&str> {
    let is_of_scheme = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    let before = text.as_bytes().get(..at)?;
    let scheme = before
        .iter()
        .rev()
        .take(LONGEST_SCHEME)
        .take_while(|byte| is_of_scheme(byte))
        .count();
    let rest = text.get(at - scheme..)?;
    let mut end = rest.len().min(longest + 1);
    while !rest.is_char_boundary(end) {
        end -= 1;
    }
    let rest = rest.get(..end)?;
    let is_end =
        |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '`' | '|' | '{' | '}' | '\\');
    let url = rest.split(is_end).next()?;
    let url = url.trim_end_matches(['.', ',', ';', ':', ')', ']', '!', '?']);
    (scheme > 0 && url.len() > scheme + 3).then_some(url)
}

/// Gives what a word is to `take`. Its bytes have no classes but those that were seen.
fn token(word: &str, seen: u8, surroundings: Surroundings<'_>, take: &mut Take<'_>) {
    let word = word.trim_matches(|c| matches!(c, '[' | ']' | '.' | '-' | '+' | '%' | '@'));
    if seen & COLON != 0 && word.contains(':') {
        return parts_between_colons(word, seen, surroundings, take);
    }
    if seen & AT != 0
        && let Some((local, domain)) = word.rsplit_once('@')
    {
        if !local.is_empty()
            && let Some(domain) = domain_of(domain, Surroundings::Host)
        {
            take(Observable::Email(format!("{}@{domain}", lower(local)).into()));
        }
        return token(domain, seen, Surroundings::Host, take);
    }
    if word.starts_with(|c: char| c.is_ascii_digit()) && addresses(word, take) {
        return;
    }
    if is_length_of_digest(word.len()) && word.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return take(Observable::FileHash(word));
    }
    if let Some(domain) = domain_of(word, surroundings) {
        take(Observable::Domain(domain));
    }
}

/// Gives the address of IPv6 that a word is to `take`, or what the parts between its colons are.
fn parts_between_colons(word: &str, seen: u8, surroundings: Surroundings<'_>, take: &mut Take<'_>) {
    if memchr_iter(b':', word.as_bytes()).nth(1).is_some()
        && let Some(address) = v6(word)
    {
        take(Observable::Ip(address));
        if let Some(address) = embedded(address) {
            take(Observable::Ip(address));
        }
        // With a colon before it, the word would be no address.
        if surroundings != Surroundings::Unknown {
            return;
        }
    }
    // As in `rv:1.9.2.13`, which is the version of a browser.
    let has_version = word.starts_with("rv:") && surroundings != Surroundings::Unknown;
    for part in word.split(':').filter(|part| part.len() >= SHORTEST) {
        if !(has_version && part.starts_with(|c: char| c.is_ascii_digit())) {
            token(part, seen & !COLON, surroundings, take);
        }
    }
}

/// Gives the address of IPv4 that a word is, or the two of a range, to `take`. Returns whether it is one.
fn addresses(word: &str, take: &mut Take<'_>) -> bool {
    // As in `192.0.2.1%eth0`.
    let address = word.split('%').next().unwrap_or(word);
    if let Ok(address) = address.parse::<Ipv4Addr>() {
        take(Observable::Ip(address.into()));
        return true;
    }
    if let Some((first, last)) = word.split_once('-')
        && let (Ok(first), Ok(last)) = (first.parse::<Ipv4Addr>(), last.parse::<Ipv4Addr>())
    {
        take(Observable::Ip(first.into()));
        take(Observable::Ip(last.into()));
        return true;
    }
    false
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

/// Returns the domain that a word is, in the form in which domains are stored.
fn domain_of<'w>(word: &'w str, surroundings: Surroundings<'_>) -> Option<Cow<'w, str>> {
    let ending = ending_of(word);
    let is_file = |ending| is_of_file(ending) && !surroundings.are_hosts();
    if !word.is_ascii() {
        let is_domain = |name: &Cow<'_, str>| ending_of(name).is_some_and(is_top) && has_labels(name);
        return canonical_domain(word).filter(|name| !ending.is_some_and(is_file) && is_domain(name));
    }
    let is_domain = ending.is_some_and(|ending| is_top(ending) && !is_file(ending)) && has_labels(word);
    is_domain.then(|| canonical_domain(word))?
}

/// Returns what follows the last dot of a word.
fn ending_of(word: &str) -> Option<&str> {
    let dot = word.bytes().rposition(|byte| byte == b'.')?;
    word.get(dot + 1..)
}

/// Returns whether a label may be a top-level domain.
fn is_top(label: &str) -> bool {
    label.len() >= 2 && !label.starts_with(|c: char| c.is_ascii_digit())
}

fn is_of_file(ending: &str) -> bool {
    const LONGEST: usize = 4;
    let is = |known: &&str| ending.eq_ignore_ascii_case(known);
    ending.len() <= LONGEST && FILE_ENDINGS.iter().any(is)
}
