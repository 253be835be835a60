//! The messages of OpenSSH.
//!
//! The client chooses the user's name, the text of its disconnect, and its identification. They may hold blanks,
//! addresses and whole messages. The daemon writes the address after the name, and the name after the address nowhere.

use super::marked::Marked;
use super::readings::{Readings, Values};

/// Reads `password for invalid user alice from 203.0.113.9 port 4242 ssh2`.
pub(crate) fn login<'a>(marked: &Marked<'a>) -> Option<Readings<'a>> {
    let (method, rest) = marked.after.split_once(' ')?;
    let text = rest.strip_prefix("for ").filter(|_| marked.is_first())?;
    let readings = user_from(text, information(method))?;
    Some(match method {
        // The client asks in this way which methods there are.
        "none" => readings.without_outcome(),
        _ => readings,
    })
}

/// Tells which text a method of authentication adds after `ssh2: `.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Information {
    Nothing,
    /// Means `RSA SHA256:...`, and of a certificate its names, which its owner may have chosen.
    Key,
    /// Means the name of a principal.
    Any,
}

fn information(method: &str) -> Information {
    match method {
        "publickey" | "hostbased" => Information::Key,
        _ if method.starts_with("gssapi") => Information::Any,
        _ => Information::Nothing,
    }
}

impl Information {
    /// Returns whether this text follows the port, from the protocol on.
    fn is_end(self, text: &str) -> bool {
        let text = text.strip_prefix(" ssh2").unwrap_or(text);
        let Some(text) = text.strip_prefix(": ") else {
            return text.is_empty();
        };
        match self {
            Self::Nothing => false,
            Self::Any => true,
            Self::Key => is_key(text),
        }
    }
}

/// Returns whether a text is `ED25519 SHA256:...`. It may go on with ` ID name (serial 1) CA ...` or `, client user
/// "alice"...`.
fn is_key(text: &str) -> bool {
    let Some((kind, rest)) = text.split_once(' ') else {
        return false;
    };
    let is_kind = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-';
    let end = rest.find([' ', ',']).unwrap_or(rest.len());
    let names = &rest[end..];
    kind.bytes().all(is_kind)
        && (names.is_empty() || names.starts_with(" ID ") || names.starts_with(", client user \""))
}

/// Reads `error: maximum authentication attempts exceeded for invalid user alice from 203.0.113.9 port 4242 ssh2
/// [preauth]`.
pub(crate) fn too_many_attempts<'a>(marked: &Marked<'a>) -> Option<Readings<'a>> {
    marked
        .is_first()
        .then(|| user_from(marked.after, Information::Nothing))?
}

/// Reads `invalid user alice from 203.0.113.9 port 4242 ssh2`.
fn user_from(text: &str, information: Information) -> Option<Readings<'_>> {
    let text = without_preauth(text);
    let text = text.strip_prefix("invalid user ").unwrap_or(text);
    let readings = text.match_indices(" from ").filter_map(|(at, from)| {
        // Splits at the next blank only: a line may have room for many of these.
        let (address, rest) = text[at + from.len()..].split_once(' ')?;
        let (port, rest) = digits(rest.strip_prefix("port ")?)?;
        let is_source = !address.is_empty() && information.is_end(rest);
        is_source.then_some(Values {
            user: Some(&text[..at]),
            source: Some(address),
            source_port: Some(port),
            ..Values::default()
        })
    });
    Readings::any(readings)
}

/// Reads `alice from 203.0.113.9 port 4242`, of which only the name must be there.
pub(crate) fn invalid_user<'a>(marked: &Marked<'a>) -> Option<Readings<'a>> {
    let text = without_preauth(marked.after);
    let user_alone = Values {
        user: Some(text),
        ..Values::default()
    };
    let values = match marked.before {
        "I" | "i" => user_before_source(text).unwrap_or(user_alone),
        // All that follows is the name.
        "input_userauth_request: i" => user_alone,
        _ => return None,
    };
    Some(Readings::one(values))
}

/// Reads `Authentication failure for illegal user alice from 203.0.113.9`.
pub(crate) fn refused_by_pam<'a>(marked: &Marked<'a>) -> Option<Readings<'a>> {
    let (_reason, text) = marked.after.split_once(" for ")?;
    let is_error = marked.before == "error: ";
    let text = without_preauth(text);
    let named = ["illegal user ", "invalid user "]
        .iter()
        .find_map(|prefix| text.strip_prefix(prefix));
    let values = user_before_source(named.unwrap_or(text)).filter(|_| is_error)?;
    Some(Readings::one(values))
}

/// Reads `alice from 203.0.113.9 port 4242` with nothing after it: the daemon wrote the end.
fn user_before_source(text: &str) -> Option<Values<'_>> {
    let (user, source) = text.rsplit_once(" from ")?;
    let (source, port) = match source.split_once(" port ") {
        Some((source, port)) => (source, Some(digits(port).filter(|(_, rest)| rest.is_empty())?.0)),
        None => (source, None),
    };
    is_word(source).then_some(Values {
        user: Some(user),
        source: Some(source),
        source_port: port,
        ..Values::default()
    })
}

/// Reads `getaddrinfo for host.example [203.0.113.9] failed - POSSIBLE BREAK-IN ATTEMPT!`.
pub(crate) fn reverse_mapping<'a>(marked: &Marked<'a>) -> Option<Readings<'a>> {
    let (_, text) = marked.after.split_once("for ").filter(|_| marked.is_first())?;
    let (text, _) = text.rsplit_once("] failed")?;
    let (domain, address) = text.rsplit_once(" [")?;
    is_word(domain).then(|| {
        Readings::one(Values {
            source: Some(address),
            source_domain: Some(domain),
            ..Values::default()
        })
    })
}

/// Reads `203.0.113.9 [preauth]`, `invalid user alice 203.0.113.9 port 4242`. Only its port follows the address.
pub(crate) fn ended<'a>(marked: &Marked<'a>) -> Option<Readings<'a>> {
    let text = without_preauth(marked.after);
    let values = match named_user(text).filter(|_| marked.is_first()) {
        // A message has no user if the client gave none.
        Some(rest) => user_and_address(rest).or_else(|| source(rest))?,
        None if marked.is_first() => source(text)?,
        None => return None,
    };
    Some(Readings::one(values))
}

/// Reads `203.0.113.9 port 4242:11: any text of the client`. Nothing of the client is before the address.
pub(crate) fn source_first<'a>(marked: &Marked<'a>) -> Option<Readings<'a>> {
    let values = source(marked.after).filter(|_| marked.is_first())?;
    Some(Readings::one(values))
}

/// Reads `banner exchange: Connection from 203.0.113.9 port 4242: invalid format`.
pub(crate) fn connection<'a>(marked: &Marked<'a>) -> Option<Readings<'a>> {
    let is_known = matches!(marked.before, "banner exchange: " | "ssh_dispatch_run_fatal: ");
    let is_sshd = marked.program.is_some_and(|program| program.starts_with("sshd"));
    let is_own = is_known || marked.before.is_empty() && is_sshd;
    let has_port = marked.after.contains(" port ");
    let ended = Marked {
        before: "",
        ..*marked
    };
    (is_own && has_port).then(|| ended_by_us(&ended))?
}

/// Reads `invalid user alice 203.0.113.9 port 4242: Too many authentication failures [preauth]`.
pub(crate) fn ended_by_us<'a>(marked: &Marked<'a>) -> Option<Readings<'a>> {
    if !marked.is_first() {
        return None;
    }
    let Some(text) = named_user(marked.after) else {
        return source_first(marked);
    };
    let readings = text.match_indices(" port ").filter_map(|(at, port)| {
        let (digits, rest) = digits(&text[at + port.len()..])?;
        let reason = rest.strip_prefix(": ")?;
        is_reason(reason).then(|| user_and_address(&text[..at + port.len() + digits.len()]))?
    });
    Readings::any(readings)
}

/// Returns whether a text is a reason of the daemon. Only one reason holds a text of the client.
fn is_reason(text: &str) -> bool {
    text.starts_with("Change of username or service not allowed: (")
        || text.starts_with("no matching ")
        || !text.contains(" port ")
}

/// Reads `any text of the client' from 203.0.113.9 port 4242`.
pub(crate) fn bad_identification<'a>(marked: &Marked<'a>) -> Option<Readings<'a>> {
    let (_, text) = marked
        .after
        .rsplit_once("' from ")
        .filter(|_| marked.is_first())?;
    source(text).map(Readings::one)
}

/// Returns the text after the words that announce a user's name.
fn named_user(text: &str) -> Option<&str> {
    ["authenticating user ", "invalid user ", "illegal user ", "user "]
        .iter()
        .find_map(|prefix| text.strip_prefix(prefix))
}

/// Reads `alice 203.0.113.9 port 4242` with nothing after it.
fn user_and_address(text: &str) -> Option<Values<'_>> {
    let (before_port, port) = text.rsplit_once(" port ")?;
    let (user, address) = before_port.rsplit_once(' ')?;
    let is_whole = digits(port).is_some_and(|(_, rest)| rest.is_empty());
    (is_whole && is_address(address)).then_some(Values {
        user: Some(user),
        source: Some(address),
        source_port: Some(port),
        ..Values::default()
    })
}

/// Reads an address, and the port if it follows: `203.0.113.9 port 4242`.
fn source(text: &str) -> Option<Values<'_>> {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let address = word.strip_suffix(':').unwrap_or(word);
    let port = rest.strip_prefix("port ").and_then(digits).map(|(port, _)| port);
    is_address(address).then_some(Values {
        source: Some(address),
        source_port: port,
        ..Values::default()
    })
}

/// Removes the words that say that the process has no user yet.
fn without_preauth(text: &str) -> &str {
    let text = text.trim_end();
    text.strip_suffix(" [preauth]").unwrap_or(text)
}

/// Splits a text after the digits that it starts with, at least one.
fn digits(text: &str) -> Option<(&str, &str)> {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit());
    let (digits, rest) = text.split_at(end.unwrap_or(text.len()));
    (!digits.is_empty()).then_some((digits, rest))
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_whitespace)
}

/// Returns whether a text may be an address: digits and what separates them.
fn is_address(text: &str) -> bool {
    let is_of_address = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':');
    !text.is_empty() && text.bytes().all(is_of_address)
}
