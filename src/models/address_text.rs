//! Arguments that are addresses.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Holds an address, or the text of one as a source wrote it.
///
/// ```
/// use std::net::Ipv4Addr;
/// use logstore::{Alert, Severity};
///
/// let alert = Alert::new("brute_force", "heuristic", Severity::High).with_source_ip(Ipv4Addr::new(203, 0, 113, 9));
/// assert_eq!(alert.source_ip.as_deref(), Some("203.0.113.9"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressText(pub(super) String);

macro_rules! from_text {
    ($($text:ty),*) => { $(
        impl From<$text> for AddressText {
            fn from(text: $text) -> Self {
                Self(text.into())
            }
        }
    )* };
}

macro_rules! from_address {
    ($($address:ty),*) => { $(
        impl From<$address> for AddressText {
            fn from(address: $address) -> Self {
                Self(address.to_string())
            }
        }
    )* };
}

from_text!(&str, &String, String, Cow<'_, str>);
from_address!(IpAddr, Ipv4Addr, Ipv6Addr);
