//! Reads a value as analysts and feeds write it: defanged, with a port, as a range, as the rule of an ad blocker.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};
use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};

use crate::models::{Indicator, IndicatorType};

/// Returns the indicators that a value names: several for a range of addresses.
///
/// The error says why there is none.
pub(super) fn indicators(
    written: &str,
    indicator_type: Option<IndicatorType>,
) -> Result<Vec<Indicator>, String> {
    let text = refanged(written.trim().trim_matches(['"', '\'', '`']));
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    let text = match text.strip_prefix("||") {
        Some(rule) => of_blocking_rule(rule)?,
        None if text.starts_with("@@") => return Err("it is an exception of a blocking list".to_owned()),
        None => text
            .strip_prefix("*.")
            .or_else(|| text.strip_prefix('.'))
            .unwrap_or(&text),
    };
    let typed = indicator_type.and_then(|given| Indicator::new(given, text).ok());
    if let Some(indicator) = typed.or_else(|| text.parse().ok()) {
        return Ok(vec![canonical(indicator)]);
    }
    if let Some(networks) = range(text) {
        return Ok(networks);
    }
    if let Some(host) = in_brackets(text).or_else(|| host_before_port(text))
        && let Ok(indicator) = host.parse::<Indicator>()
    {
        return Ok(vec![canonical(indicator)]);
    }
    Err(reason(text, indicator_type))
}

fn reason(text: &str, indicator_type: Option<IndicatorType>) -> String {
    let (host, path) = text.split_once('/').unwrap_or((text, ""));
    if !path.is_empty() && host.parse::<Indicator>().is_ok() {
        return "it is a URL without a scheme".to_owned();
    }
    match indicator_type {
        Some(given) => format!("it is no {given}"),
        None => "it is no address, network, domain, URL, e-mail address or file hash".to_owned(),
    }
}

/// Returns an indicator in the form in which others name the same thing.
fn canonical(indicator: Indicator) -> Indicator {
    match indicator {
        Indicator::Ip(address) => Indicator::Ip(address.to_canonical()),
        Indicator::Cidr(network) if network.prefix_len() == network.max_prefix_len() => {
            Indicator::Ip(network.addr().to_canonical())
        }
        other => other,
    }
}

/// Undoes what keeps people from following an indicator by accident, such as `hxxp` and `[.]`.
fn refanged(text: &str) -> Cow<'_, str> {
    const DEFANGED: [(&str, &str); 19] = [
        ("[.]", "."),
        ("(.)", "."),
        ("{.}", "."),
        ("[.", "."),
        (".]", "."),
        ("\\.", "."),
        ("[dot]", "."),
        ("(dot)", "."),
        ("{dot}", "."),
        (" dot ", "."),
        ("[://]", "://"),
        ("[:]//", "://"),
        ("[:]", ":"),
        ("[/]", "/"),
        ("[@]", "@"),
        ("(@)", "@"),
        ("[at]", "@"),
        ("(at)", "@"),
        ("{at}", "@"),
    ];
    static FINDER: LazyLock<AhoCorasick> = LazyLock::new(|| {
        AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::LeftmostLongest)
            .build(DEFANGED.map(|(defanged, _)| defanged))
            .expect("the texts are short")
    });
    let text = match FINDER.is_match(text) {
        true => Cow::Owned(FINDER.replace_all(text, &DEFANGED.map(|(_, plain)| plain))),
        false => Cow::Borrowed(text),
    };
    with_scheme(&text).map_or(text, Cow::Owned)
}

/// Returns a URL with the scheme that was defanged: `hxxp`, `h**p`, `meow` and `fxp`.
fn with_scheme(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "hxxp" | "htxp" | "hxtp" | "h**p" | "hxp" | "meow" => "http",
        "hxxps" | "htxps" | "hxtps" | "h**ps" | "hxps" | "meows" => "https",
        "fxp" | "fxtp" => "ftp",
        _ => return None,
    };
    Some(format!("{scheme}://{rest}"))
}

/// Returns the name in the rule of an ad blocker, such as `evil.example^$important`.
fn of_blocking_rule(rule: &str) -> Result<&str, String> {
    let end = rule.find(['^', '$', '|']).unwrap_or(rule.len());
    let name = &rule[..end];
    match name.contains(['/', '*']) {
        true => Err("it is a rule about a part of URLs".to_owned()),
        false => Ok(name),
    }
}

/// Returns the host of `203.0.113.9:8080`, `[2001:db8::1]:443` or `evil.example:80`.
fn host_before_port(text: &str) -> Option<&str> {
    let (host, port) = text.rsplit_once(':')?;
    port.parse::<u16>().ok()?;
    Some(in_brackets(host).unwrap_or(host))
}

/// Returns the address of `[2001:db8::1]`.
fn in_brackets(text: &str) -> Option<&str> {
    text.strip_prefix('[')?.strip_suffix(']')
}

/// Returns the networks of `203.0.113.0 - 203.0.113.255`.
fn range(text: &str) -> Option<Vec<Indicator>> {
    let (first, last) = text.split_once('-')?;
    let parse = |text: &str| text.trim().parse::<IpAddr>().ok();
    let networks: Vec<IpNet> = match (parse(first)?, parse(last)?) {
        (IpAddr::V4(first), IpAddr::V4(last)) if first <= last => v4_networks(first, last),
        (IpAddr::V6(first), IpAddr::V6(last)) if first <= last => v6_networks(first, last),
        _ => return None,
    };
    Some(
        networks
            .into_iter()
            .map(|network| canonical(network.into()))
            .collect(),
    )
}

fn v4_networks(first: Ipv4Addr, last: Ipv4Addr) -> Vec<IpNet> {
    Ipv4Subnets::new(first, last, 0).map(IpNet::V4).collect()
}

fn v6_networks(first: Ipv6Addr, last: Ipv6Addr) -> Vec<IpNet> {
    Ipv6Subnets::new(first, last, 0).map(IpNet::V6).collect()
}
