//! Reads the patterns of indicators that are comparisons of one value, or several of them joined by OR.
//!
//! Section 9 of [STIX 2.1](https://docs.oasis-open.org/cti/stix/v2.1/stix-v2.1.html) has the grammar. A pattern that
//! needs more than one value at once says less of each, and is refused.

use crate::models::IndicatorType;

/// Returns the values of which one makes a pattern match, each with its type. The error says why there are none.
pub(super) fn values(pattern: &str) -> Result<Vec<(String, IndicatorType)>, String> {
    let mut rest = pattern.trim();
    let mut found = Vec::new();
    loop {
        let inside = rest.strip_prefix('[').ok_or_else(|| unknown(rest))?;
        rest = comparisons(inside, &mut found)?.trim_start();
        if rest.is_empty() {
            return Ok(found);
        }
        rest = word(rest, "OR").ok_or_else(|| unknown(rest))?;
    }
}

fn unknown(rest: &str) -> String {
    let shown: String = rest.chars().take(40).collect();
    format!("only comparisons that are joined by OR are read, not {shown:?}")
}

/// Reads comparisons up to the bracket that ends them, and returns what follows it.
fn comparisons<'p>(mut rest: &'p str, found: &mut Vec<(String, IndicatorType)>) -> Result<&'p str, String> {
    loop {
        rest = comparison(rest.trim_start(), found)?.trim_start();
        if let Some(after) = rest.strip_prefix(']') {
            return Ok(after);
        }
        rest = word(rest, "OR").ok_or_else(|| unknown(rest))?;
    }
}

/// Reads `ipv4-addr:value = '203.0.113.9'`, or with `IN` and `ISSUBSET`.
fn comparison<'p>(text: &'p str, found: &mut Vec<(String, IndicatorType)>) -> Result<&'p str, String> {
    let end = path_end(text).ok_or_else(|| unknown(text))?;
    let (path, rest) = text.split_at(end);
    let indicator_type = type_of(path).ok_or_else(|| format!("logs are compared with no {path}"))?;
    let rest = rest.trim_start();
    if let Some(after) = word(rest, "IN") {
        let mut rest = after.strip_prefix('(').ok_or_else(|| unknown(after))?;
        loop {
            let (value, after) = literal(rest.trim_start()).ok_or_else(|| unknown(rest))?;
            found.push((value, indicator_type));
            let after = after.trim_start();
            match (after.strip_prefix(','), after.strip_prefix(')')) {
                (Some(next), _) => rest = next,
                (_, Some(next)) => return Ok(next),
                _ => return Err(unknown(after)),
            }
        }
    }
    let after = rest.strip_prefix('=').or_else(|| word(rest, "ISSUBSET"));
    let after = after.ok_or_else(|| unknown(rest))?;
    let (value, after) = literal(after.trim_start()).ok_or_else(|| unknown(after))?;
    found.push((value, indicator_type));
    Ok(after)
}

/// Returns the end of an object path. A blank in quotes belongs to it, as in `file:hashes.'SHA-256'`.
fn path_end(text: &str) -> Option<usize> {
    let mut is_quoted = false;
    let end = text.find(|c: char| {
        is_quoted ^= c == '\'';
        !is_quoted && (c.is_whitespace() || c == '=')
    })?;
    (end > 0).then_some(end)
}

/// Returns what follows a word, which a blank or a parenthesis ends.
fn word<'t>(text: &'t str, word: &str) -> Option<&'t str> {
    let rest = text.strip_prefix(word)?;
    let is_end = rest.starts_with(|c: char| c.is_whitespace() || "('[".contains(c));
    is_end.then(|| rest.trim_start())
}

/// Splits off a text in single quotes. A backslash takes the next character as it is.
fn literal(text: &str) -> Option<(String, &str)> {
    let text = text.strip_prefix('\'')?;
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\'' => return Some((value, &text[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

fn type_of(path: &str) -> Option<IndicatorType> {
    let (object, property) = path.split_once(':')?;
    Some(match (object, property) {
        ("ipv4-addr" | "ipv6-addr", "value") | ("network-traffic", "dst_ref.value" | "src_ref.value") => {
            IndicatorType::Ip
        }
        ("domain-name", "value") => IndicatorType::Domain,
        ("url", "value") => IndicatorType::Url,
        ("email-addr", "value") | ("email-message", "from_ref.value" | "sender_ref.value") => {
            IndicatorType::Email
        }
        ("file" | "artifact", hash) if hash.starts_with("hashes.") => IndicatorType::FileHash,
        _ => return None,
    })
}
