//! Names of hosts in the one form in which they are compared.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use idna::AsciiDenyList;
use percent_encoding::percent_decode_str;

/// Limits the bytes of a name that is not ASCII. Names in ASCII have at most 253.
const LONGEST_NAME: usize = 1_024;

/// Returns a domain in lower case and in ASCII, without dots at its end; `None` if UTS 46 allows no such name.
///
/// An international name is written with `xn--`: both spellings of `bücher.example` are `xn--bcher-kva.example`.
pub(crate) fn canonical_domain(name: &str) -> Option<Cow<'_, str>> {
    let name = name.trim_end_matches('.');
    if name.is_ascii() {
        return Some(match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => Cow::Owned(name.to_ascii_lowercase()),
            false => Cow::Borrowed(name),
        });
    }
    if name.len() > LONGEST_NAME {
        return None;
    }
    let ascii = idna::domain_to_ascii_cow(name.as_bytes(), AsciiDenyList::EMPTY).ok()?;
    Some(match ascii.ends_with('.') {
        true => Cow::Owned(ascii.trim_end_matches('.').to_owned()),
        false => ascii,
    })
}

/// Returns whether a canonical name consists of labels as hosts have them, two at least (RFC 1035, section 2.3.4).
pub(crate) fn has_labels(name: &str) -> bool {
    const LONGEST: usize = 253;
    const LONGEST_LABEL: usize = 63;
    let (mut dots, mut length) = (0, 0);
    for byte in name.bytes() {
        match byte {
            b'.' if (1..=LONGEST_LABEL).contains(&length) => (dots, length) = (dots + 1, 0),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => length += 1,
            _ => return false,
        }
    }
    dots > 0 && (1..=LONGEST_LABEL).contains(&length) && name.len() <= LONGEST
}

/// Returns the host of a URL, without brackets, as browsers read it (WHATWG URL Standard, section 3.5).
///
/// An address of IPv4 may be one number, and its parts may be octal or hexadecimal. A host that is no valid one is
/// returned in lower case.
pub(crate) fn canonical_host(host: &str) -> Cow<'_, str> {
    if is_canonical_name(host) {
        return Cow::Borrowed(host);
    }
    if let Ok(address) = host.parse::<Ipv6Addr>() {
        return IpAddr::V6(address).to_canonical().to_string().into();
    }
    let decoded = percent_decode_str(host).decode_utf8();
    let decoded = decoded.unwrap_or(Cow::Borrowed(host));
    let is_forbidden = |c: char| c.is_control() || " #/:<>?@[\\]^|%".contains(c);
    let name = canonical_domain(&decoded).filter(|name| !name.contains(is_forbidden));
    match name {
        Some(name) => v4(&name).map_or_else(|| name.into_owned(), |address| address.to_string()),
        None => host.to_lowercase(),
    }
    .into()
}

/// Returns whether a host is plainly a name in its one form: in lower case, and no address.
fn is_canonical_name(host: &str) -> bool {
    let is_of_name = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
    let last = host.rsplit('.').next().unwrap_or_default();
    last.starts_with(|c: char| c.is_ascii_lowercase()) && host.bytes().all(is_of_name)
}

/// Reads an address of IPv4 in any notation that browsers take.
fn v4(host: &str) -> Option<Ipv4Addr> {
    let last = host.rsplit('.').next()?;
    last.starts_with(|c: char| c.is_ascii_digit()).then_some(())?;
    let mut parts = host.split('.').map(number);
    let mut bits: u32 = 0;
    let mut shift = 32;
    loop {
        let number = parts.next()??;
        if parts.clone().next().is_none() {
            // The last part fills the bytes that are left.
            let room = 1_u64.checked_shl(shift)?;
            let number = u32::try_from(number).ok().filter(|_| number < room)?;
            return Some(Ipv4Addr::from_bits(bits | number));
        }
        let byte = u8::try_from(number).ok()?;
        shift = shift.checked_sub(8).filter(|shift| *shift > 0)?;
        bits |= u32::from(byte) << shift;
    }
}

/// Reads a number that is decimal, octal after `0`, or hexadecimal after `0x`.
fn number(text: &str) -> Option<u64> {
    let lower = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let (digits, radix) = match (lower, text.strip_prefix('0')) {
        (Some(digits), _) => (digits, 16),
        (None, Some(digits)) if !digits.is_empty() => (digits, 8),
        _ => (text, 10),
    };
    if digits.is_empty() {
        return (radix == 16).then_some(0);
    }
    // A sign is no digit.
    let is_number = digits.chars().all(|c| c.is_digit(radix));
    is_number.then(|| u64::from_str_radix(digits, radix).ok())?
}

/// Returns a URL in the form in which equal ones are equal texts (RFC 3986, section 6.2).
///
/// Scheme and host are in lower case, and the host is as [`canonical_host`] returns it. User, fragment, the port of the
/// scheme and a dot after the host are left out, and a path is there.
pub(crate) fn canonical_url(url: &str) -> Cow<'_, str> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if is_canonical_name(authority)
        && path.starts_with('/')
        && !path.contains('#')
        && !scheme.is_empty()
        && scheme.bytes().all(|byte| byte.is_ascii_lowercase())
    {
        return Cow::Borrowed(url);
    }
    let scheme = scheme.to_ascii_lowercase();
    let path = path.split('#').next().unwrap_or(path);
    let (host, port) = host_and_port(authority);
    let host = canonical_host(host);
    let host = match host.parse::<Ipv6Addr>().is_ok() {
        true => format!("[{host}]").into(),
        false => host,
    };
    let usual = match scheme.as_str() {
        "http" | "ws" => "80",
        "https" | "wss" => "443",
        "ftp" => "21",
        _ => "",
    };
    let port = match port.trim_start_matches('0') {
        _ if port.is_empty() => String::new(),
        "" => ":0".to_owned(),
        digits if digits == usual => String::new(),
        digits => format!(":{digits}"),
    };
    let root = if path.starts_with('/') { "" } else { "/" };
    format!("{scheme}://{host}{port}{root}{path}").into()
}

/// Returns the host of a URL, without user, port and brackets (RFC 3986, section 3.2).
pub(crate) fn host_of_url(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    Some(host_and_port(authority).0)
}

/// Splits the authority of a URL into host and port. The user is left out.
fn host_and_port(authority: &str) -> (&str, &str) {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let bracketed = host.strip_prefix('[').and_then(|host| host.split_once(']'));
    if let Some((address, rest)) = bracketed.filter(|(address, _)| address.parse::<Ipv6Addr>().is_ok()) {
        return match rest.strip_prefix(':') {
            Some(port) if is_port(port) => (address, port),
            None if rest.is_empty() => (address, ""),
            _ => (host, ""),
        };
    }
    match host.split_once(':') {
        Some((name, port)) if is_port(port) => (name, port),
        _ => (host, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_of_an_international_domain_are_one() {
        for name in [
            "bücher.example",
            "BÜCHER.example.",
            "xn--bcher-kva.example",
            "XN--BCHER-KVA.Example",
            "bu\u{308}cher\u{3002}example",
        ] {
            assert_eq!(
                canonical_domain(name).as_deref(),
                Some("xn--bcher-kva.example"),
                "{name}"
            );
        }
        assert_eq!(canonical_domain("ｂａｄ.example").as_deref(), Some("bad.example"));
        assert_eq!(
            canonical_domain("_dmarc.Bad.example").as_deref(),
            Some("_dmarc.bad.example")
        );
        assert_eq!(canonical_domain(&"ü.".repeat(10_000)), None);
    }

    #[test]
    fn a_host_is_read_as_browsers_read_it() {
        for (host, expected) in [
            ("0x2d424d58", "45.66.77.88"),
            ("0X2D.0x42.0x4d.0x58", "45.66.77.88"),
            ("055.0102.0115.0130", "45.66.77.88"),
            ("759319896", "45.66.77.88"),
            ("45.66.19800", "45.66.77.88"),
            ("45.4345176", "45.66.77.88"),
            ("45.66.77.88.", "45.66.77.88"),
            ("%34%35.66.77.88", "45.66.77.88"),
            ("::ffff:45.66.77.88", "45.66.77.88"),
            ("2001:DB8:0::7", "2001:db8::7"),
            ("%62ad.Example", "bad.example"),
            ("bücher.example", "xn--bcher-kva.example"),
            // These are no addresses.
            ("45.66.77.256", "45.66.77.256"),
            ("4294967296", "4294967296"),
            ("1.2.3.4.5", "1.2.3.4.5"),
            ("0x2d.example", "0x2d.example"),
            ("08.1.1.1", "08.1.1.1"),
            ("1..2", "1..2"),
            ("", ""),
            ("%", "%"),
        ] {
            assert_eq!(canonical_host(host), expected, "{host}");
        }
    }

    #[test]
    fn equal_urls_are_equal_texts() {
        for (url, expected) in [
            ("HTTP://user:pw@BAD.example.:80/x#top", "http://bad.example/x"),
            ("http://bad.example", "http://bad.example/"),
            ("http://bad.example:8080?x", "http://bad.example:8080/?x"),
            ("https://[2001:DB8:0::7]:443/x", "https://[2001:db8::7]/x"),
            ("http://[::ffff:45.66.77.88]/x", "http://45.66.77.88/x"),
            ("http://0x2d424d58:0080/x", "http://45.66.77.88/x"),
            ("http://bücher.example/x", "http://xn--bcher-kva.example/x"),
            ("tcp://bad.example:1/", "tcp://bad.example:1/"),
            ("tcp://bad.example:/", "tcp://bad.example/"),
            ("a://[]A", "a://[]a/"),
            ("a://..", "a:///"),
            ("a://[:]/", "a://[:]/"),
        ] {
            assert_eq!(canonical_url(url), expected, "{url}");
            assert_eq!(canonical_url(expected), expected, "once more");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_canonical_url_stays_as_it_is(url in r"[a-z]{1,5}://[0-9a-zA-Zé.:@%\[\]/?#-]{0,40}") {
            let once = canonical_url(&url);
            proptest::prop_assert_eq!(canonical_url(&once), once.clone());
        }
    }
}
