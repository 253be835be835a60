//! Network addresses as sources write them, in one form.
//!
//! The canonical form is that of RFC 5952. An IPv4 address that is written as IPv6 is an IPv4 address. The zone of a
//! link-local address is left out, because it means something on one host only.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::LazyLock;

use ipnet::IpNet;

use super::InvalidValue;

/// Lists the networks whose hosts are taken for proxies unless the caller names others. They are the private, loopback,
/// link-local and unique local ones.
pub(crate) static PRIVATE_NETWORKS: LazyLock<Vec<IpNet>> = LazyLock::new(|| {
    let networks = [
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "::1/128",
        "fe80::/10",
        "fc00::/7",
    ];
    networks.map(|text| text.parse().expect("a network")).to_vec()
});

/// Holds an address, and the port that follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint<'a> {
    /// Holds the address in the canonical form.
    pub(crate) address: Cow<'a, str>,
    pub(crate) port: Option<&'a str>,
}

/// Reads `203.0.113.9`, `203.0.113.9:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`; `None` for any other
/// text.
pub(crate) fn endpoint(text: &str) -> Option<Endpoint<'_>> {
    // Most texts are an IPv4 address, or no address.
    if !text.starts_with(|first: char| first.is_ascii_hexdigit() || matches!(first, '[' | ':')) {
        return None;
    }
    if let Some(address) = address(text) {
        return Some(Endpoint { address, port: None });
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (inside, rest) = rest.split_once(']')?;
        let port = match rest {
            "" => None,
            rest => Some(rest.strip_prefix(':').filter(|port| is_port(port))?),
        };
        let address = address(inside)?;
        return Some(Endpoint { address, port });
    }
    let (before, port) = text.rsplit_once(':').filter(|(_, port)| is_port(port))?;
    // The last group of an IPv6 address without brackets is no port, unless an IPv4 address is before it.
    let address = address(before).filter(|_| before.contains('.'))?;
    Some(Endpoint {
        address,
        port: Some(port),
    })
}

/// Reads an address in canonical form; a port is cut off.
pub(crate) fn canonical(text: &str) -> Option<Cow<'_, str>> {
    endpoint(text).map(|endpoint| endpoint.address)
}

/// Reads an address as [`canonical`] does, borrowed where it can be.
pub(crate) fn canonical_of(text: Cow<'_, str>) -> Option<Cow<'_, str>> {
    match text {
        Cow::Borrowed(text) => canonical(text),
        Cow::Owned(text) => match canonical(&text)? {
            Cow::Owned(address) => Some(address.into()),
            Cow::Borrowed(address) if address.len() == text.len() => Some(text.into()),
            Cow::Borrowed(address) => Some(address.to_owned().into()),
        },
    }
}

/// Reads an address without its port, brackets and zone. An IPv4 address that is written as IPv6 is an IPv4 address.
pub(crate) fn parse(text: &str) -> Option<IpAddr> {
    match text.parse::<IpAddr>() {
        Ok(address) => Some(address.to_canonical()),
        Err(_) => canonical(text)?.parse().ok(),
    }
}

/// Reads a network such as `10.0.0.0/8`, or an address as a network of one.
pub(crate) fn network(text: &str) -> Result<IpNet, InvalidValue> {
    let network = text.parse().ok().map(canonical_network);
    let network = network.or_else(|| parse(text).map(IpNet::from));
    network.ok_or_else(|| {
        let reason = "use an address, or a form such as 10.0.0.0/8 or 2001:db8::/32";
        InvalidValue::new("network", text, reason)
    })
}

/// Says whether a text is a network, and no address alone.
pub(crate) fn is_network(text: &str) -> bool {
    text.contains('/') && text.parse::<IpNet>().is_ok()
}

/// Clears the bits after the prefix. A network of IPv4 addresses that are written as IPv6 becomes one of IPv4.
pub(crate) fn canonical_network(network: IpNet) -> IpNet {
    const PREFIX_OF_IPV4: u8 = 96;
    let network = network.trunc();
    let of_ipv4 = || {
        let prefix = network.prefix_len().checked_sub(PREFIX_OF_IPV4)?;
        match network.addr().to_canonical() {
            address @ IpAddr::V4(_) => IpNet::new(address, prefix).ok(),
            IpAddr::V6(_) => None,
        }
    };
    match network {
        IpNet::V4(_) => network,
        IpNet::V6(_) => of_ipv4().unwrap_or(network),
    }
}

/// Says whether a text is an address of a network, which must be in the canonical form.
pub(crate) fn is_in_network(network: &IpNet, text: &str) -> bool {
    parse(text).is_some_and(|address| network.contains(&address))
}

fn address(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(':') {
        // There is one way to write an IPv4 address that is read.
        return text.parse::<std::net::Ipv4Addr>().ok().map(|_| text.into());
    }
    let without_zone = text.split_once('%').map_or(text, |(address, _)| address);
    let address: IpAddr = without_zone.parse().ok()?;
    let written = address.to_canonical().to_string();
    Some(match written == text {
        true => text.into(),
        false => written.into(),
    })
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Says whether an address in canonical form is in one of these networks.
pub(crate) fn is_in(networks: &[IpNet], address: &str) -> bool {
    let address = address.parse::<IpAddr>();
    address.is_ok_and(|address| networks.iter().any(|network| network.contains(&address)))
}

/// Returns the client of a list as `X-Forwarded-For` and `Forwarded` (RFC 7239) have it. Each proxy adds to the right
/// the address that it was connected from. So the client is the first address from the right that is no proxy. The
/// client may have written all addresses to the left of it. If all addresses are proxies, the client is the leftmost
/// one.
pub(crate) fn client<'a>(list: &'a str, proxies: &[IpNet]) -> Option<Cow<'a, str>> {
    let mut found = None;
    for hop in hops(list) {
        // A hop that is no address does not say who is behind it.
        let Some(address) = hop_address(hop.trim()) else {
            break;
        };
        let is_proxy = is_in(proxies, &address);
        found = Some(address);
        if !is_proxy {
            break;
        }
    }
    found
}

/// Returns the hops of a list from the right. A comma within quotes does not end a hop (RFC 7239, section 4). If a
/// quote is missing, the ends of hops are unknown, and there are none.
fn hops(list: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    let mut hops: Vec<&str> = list
        .split(|c| {
            is_quoted ^= c == '"';
            c == ',' && !is_quoted
        })
        .collect();
    if is_quoted {
        hops.clear();
    }
    hops.into_iter().rev()
}

/// Returns the address of a hop: `203.0.113.9`, or in `Forwarded`, `for="[2001:db8::1]:80";proto=http`.
fn hop_address(hop: &str) -> Option<Cow<'_, str>> {
    let pairs = hop.split(';').filter_map(|pair| pair.trim().split_once('='));
    let named = pairs
        .into_iter()
        .find_map(|(name, value)| name.eq_ignore_ascii_case("for").then_some(value));
    canonical(named.unwrap_or(hop).trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_have_one_form() {
        for (text, expected) in [
            ("203.0.113.9", Some("203.0.113.9")),
            ("203.0.113.9:49713", Some("203.0.113.9")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("2001:0DB8:0:0:0:0:0:1", Some("2001:db8::1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("[2001:db8::1]:443", Some("2001:db8::1")),
            ("[203.0.113.9]", Some("203.0.113.9")),
            ("::ffff:203.0.113.9", Some("203.0.113.9")),
            ("::ffff:203.0.113.9:80", Some("203.0.113.9")),
            ("[::ffff:cb00:7109]:80", Some("203.0.113.9")),
            ("fe80::1%eth0", Some("fe80::1")),
            ("[fe80::1%2]:80", Some("fe80::1")),
            ("::", Some("::")),
            ("203.000.113.009", None),
            ("203.0.113", None),
            ("203.0.113.9.", None),
            ("203.0.113.9:", None),
            ("203.0.113.9:http", None),
            ("203.0.113.9:+80", None),
            ("203.0.113.9:65536", None),
            ("203.0.113.9/24", None),
            ("2001:db8::1]", None),
            ("[2001:db8::1", None),
            ("[2001:db8::1]80", None),
            ("unknown", None),
            ("ec2.amazonaws.com", None),
            ("", None),
            ("-", None),
        ] {
            assert_eq!(canonical(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn networks_have_one_form() {
        for (text, expected) in [
            ("10.0.0.0/8", Some("10.0.0.0/8")),
            ("10.1.2.3/8", Some("10.0.0.0/8")),
            ("10.1.2.3", Some("10.1.2.3/32")),
            ("2001:DB8::1", Some("2001:db8::1/128")),
            ("::ffff:10.1.2.3", Some("10.1.2.3/32")),
            ("::ffff:10.0.0.0/104", Some("10.0.0.0/8")),
            ("::ffff:0:0/96", Some("0.0.0.0/0")),
            ("::/0", Some("::/0")),
            ("10.0.0.0/33", None),
            ("ten", None),
        ] {
            let network = network(text).ok().map(|network| network.to_string());
            assert_eq!(network.as_deref(), expected, "{text}");
        }
        let ipv4 = network("10.0.0.0/8").unwrap();
        for text in [
            "10.1.2.3",
            "::ffff:10.1.2.3",
            "10.1.2.3:80",
            "[::ffff:10.1.2.3]:80",
        ] {
            assert!(is_in_network(&ipv4, text), "{text}");
        }
        assert!(!is_in_network(&network("::/0").unwrap(), "::ffff:10.1.2.3"));
        assert!(!is_in_network(&ipv4, "10.1.2"));
    }

    #[test]
    fn the_client_is_the_first_from_the_right_that_is_no_proxy() {
        for (list, expected) in [
            ("203.0.113.44", Some("203.0.113.44")),
            ("203.0.113.44, 10.0.0.1", Some("203.0.113.44")),
            ("127.0.0.1, 203.0.113.44, 10.0.0.1", Some("203.0.113.44")),
            ("1.1.1.1, 203.0.113.44:5, [fd00::1]:80,::1", Some("203.0.113.44")),
            ("10.0.0.2, 10.0.0.1", Some("10.0.0.2")),
            ("203.0.113.44, unknown, 10.0.0.1", Some("10.0.0.1")),
            ("203.0.113.44, unknown", None),
            (
                "for=192.0.2.60;proto=http, For=\"[fd00::1]:80\"",
                Some("192.0.2.60"),
            ),
            ("", None),
            (",", None),
        ] {
            assert_eq!(client(list, &PRIVATE_NETWORKS).as_deref(), expected, "{list}");
        }
        let proxies = ["198.51.100.0/24".parse().unwrap()];
        assert_eq!(
            client("1.1.1.1, 10.0.0.1, 198.51.100.7", &proxies).as_deref(),
            Some("10.0.0.1")
        );
    }

    proptest! {
        #[test]
        fn the_form_of_an_address_stays(bits in any::<u128>(), has_few in any::<bool>()) {
            let bits = if has_few { bits & 0xffff_0000_0000_0000_0000_0000_ffff_ffff } else { bits };
            let text = std::net::Ipv6Addr::from_bits(bits).to_string();
            let once = canonical(&text).unwrap().into_owned();
            let again = canonical(&once);
            prop_assert_eq!(again.as_deref(), Some(once.as_str()));
        }

        #[test]
        fn never_panics(text in "[0-9a-f.:\\[\\]%,; =\"é]{0,40}") {
            canonical(&text);
            client(&text, &PRIVATE_NETWORKS);
        }
    }
}
