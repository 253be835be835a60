//! Says which indicators cannot be signs of a threat, whatever a feed says.
//!
//! Mistakes in feeds are common, and one private address in a feed makes an alert of every log.

use std::net::IpAddr;
use std::sync::LazyLock;

use ipnet::IpNet;

use crate::models::Indicator;

/// Lists the ranges of which no address is a peer on the internet, each with its name.
///
/// The ranges of documentation (RFC 5737, RFC 3849) are not among them.
const NO_PEERS: [(&str, &str); 17] = [
    // RFC 6890 and the registries of special-purpose addresses that it makes.
    ("0.0.0.0/8", "an address of this network"),
    ("10.0.0.0/8", "a private address"),
    ("100.64.0.0/10", "a shared address of providers"),
    ("127.0.0.0/8", "a loopback address"),
    ("169.254.0.0/16", "a link-local address"),
    ("172.16.0.0/12", "a private address"),
    ("192.168.0.0/16", "a private address"),
    ("224.0.0.0/4", "a multicast address"),
    ("240.0.0.0/4", "a reserved address"),
    ("::/128", "the unspecified address"),
    ("::1/128", "the loopback address"),
    ("fc00::/7", "a private address"),
    ("fe80::/10", "a link-local address"),
    ("fec0::/10", "a private address"),
    ("ff00::/8", "a multicast address"),
    ("64:ff9b:1::/48", "a private address"),
    ("100::/64", "an address of discarded traffic"),
];

/// Lists the digests of a file without bytes: MD5, SHA-1, SHA-256 and SHA-512.
const EMPTY_FILE: [&str; 4] = [
    "d41d8cd98f00b204e9800998ecf8427e",
    "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e",
];

/// Returns why an indicator cannot be the sign of a threat.
pub(super) fn reason_against(indicator: &Indicator) -> Option<String> {
    match indicator {
        Indicator::Ip(address) => no_peer(*address),
        Indicator::Cidr(network) => no_peers(network),
        Indicator::Domain(name) => public_suffix(name),
        Indicator::Url(_) | Indicator::Email(_) => indicator.host().and_then(of_host),
        Indicator::FileHash(digest) => EMPTY_FILE
            .contains(&digest.as_str())
            .then(|| "the digest of an empty file".to_owned()),
        #[expect(unreachable_patterns, reason = "more types may come")]
        _ => None,
    }
}

fn ranges() -> &'static [(IpNet, &'static str)] {
    static RANGES: LazyLock<Vec<(IpNet, &str)>> = LazyLock::new(|| {
        let parse = |(range, name): (&str, _)| range.parse().ok().map(|range| (range, name));
        NO_PEERS.into_iter().filter_map(parse).collect()
    });
    &RANGES
}

fn no_peer(address: IpAddr) -> Option<String> {
    if address == IpAddr::from([255, 255, 255, 255]) {
        return Some("the broadcast address is no peer on the internet".to_owned());
    }
    let range = ranges().iter().find(|(range, _)| range.contains(&address));
    range.map(|(_, name)| format!("{name} is no peer on the internet"))
}

/// Limits how wide a network may be: more of the internet is no sign of a threat. Holds the least lengths of prefixes.
const WIDEST: [u8; 2] = [8, 16];

fn no_peers(network: &IpNet) -> Option<String> {
    let widest = WIDEST[usize::from(network.addr().is_ipv6())];
    if network.prefix_len() < widest {
        return Some(format!("the network is wider than /{widest}"));
    }
    let overlapping = ranges()
        .iter()
        .find(|(range, _)| range.contains(network) || network.contains(range));
    overlapping.map(|(range, name)| match range.contains(network) {
        true => format!("{name} is no peer on the internet"),
        false => format!("the network holds {range}, whose addresses are no peers on the internet"),
    })
}

/// Returns a reason if a name is that of a registry, such as `co.uk`, under which others have their domains.
fn public_suffix(name: &str) -> Option<String> {
    let suffix = psl::suffix(name.as_bytes())?;
    let is_registry = suffix.typ() == Some(psl::Type::Icann) && suffix.as_bytes() == name.as_bytes();
    is_registry.then(|| "the domain of a registry, under which others have their domains".to_owned())
}

fn of_host(host: &str) -> Option<String> {
    match host.parse() {
        Ok(address) => no_peer(address),
        Err(_) if host.eq_ignore_ascii_case("localhost") => {
            Some("this host is no peer on the internet".to_owned())
        }
        Err(_) => None,
    }
}
