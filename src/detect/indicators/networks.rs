//! Finds the networks that hold an address, by numbers.

use std::net::IpAddr;

use ipnet::IpNet;

/// Holds networks of one version of IP in the order of their first addresses, the widest first.
#[derive(Debug, Default)]
pub(super) struct Networks {
    networks: Vec<Network>,
    /// Counts for each number of 16 bits the networks whose first address begins with less. An address is looked for among
    /// few networks then.
    starts: Vec<u32>,
}

#[derive(Debug, Clone, Copy)]
struct Network {
    /// Holds the first address in the upper bits.
    start: u128,
    length: u8,
    /// Names the record of the network.
    place: u32,
    /// Names the narrowest network that holds this one; itself if there is none.
    outer: u32,
}

impl Network {
    fn holds(&self, bits: u128) -> bool {
        let shift = 128 - u32::from(self.length);
        // A shift by 128 bits leaves nothing of an address.
        let prefix = |bits: u128| bits.checked_shr(shift).unwrap_or_default();
        prefix(bits) == prefix(self.start)
    }
}

impl Networks {
    /// Adds a network that is not among them. [`finish`](Self::finish) comes after the last one.
    pub(super) fn push(&mut self, network: IpNet, place: u32) {
        self.networks.push(Network {
            start: bits(network.network()),
            length: network.prefix_len(),
            place,
            outer: 0,
        });
    }

    /// Finds for each network the one that holds it. Networks overlap only if one holds the other.
    pub(super) fn finish(&mut self) {
        self.networks
            .sort_unstable_by_key(|network| (network.start, network.length));
        self.networks.shrink_to_fit();
        let mut open: Vec<(u32, Network)> = Vec::new();
        for (index, network) in (0..).zip(&mut self.networks) {
            while open.pop_if(|(_, outer)| !outer.holds(network.start)).is_some() {}
            network.outer = open.last().map_or(index, |(outer, _)| *outer);
            open.push((index, *network));
        }
        self.starts = starts(&self.networks);
    }

    /// Gives the records of all networks that hold an address to `take`, the narrowest first.
    pub(super) fn each_holding(&self, address: IpAddr, mut take: impl FnMut(u32)) {
        let bits = bits(address);
        // Each network that holds the address begins before it, and holds the last one that does.
        let mut next = self.count_until(bits).checked_sub(1);
        while let Some(index) = next
            && let Some(network) = self.networks.get(index)
        {
            if network.holds(bits) {
                take(network.place);
            }
            next = Some(network.outer as usize).filter(|outer| *outer != index);
        }
    }

    /// Counts the networks whose first address is not after an address.
    fn count_until(&self, bits: u128) -> usize {
        let start_of = |number: usize| self.starts.get(number).map_or(0, |start| *start as usize);
        let number = first_number(bits);
        let (start, end) = (start_of(number), start_of(number + 1));
        let same = self.networks.get(start..end).unwrap_or_default();
        start + same.partition_point(|network| network.start <= bits)
    }
}

/// Returns the first 16 bits of an address.
fn first_number(bits: u128) -> usize {
    usize::try_from(bits >> 112).unwrap_or_default()
}

/// Counts for each number of 16 bits, and the one after the last, the networks whose first address begins with less.
fn starts(networks: &[Network]) -> Vec<u32> {
    let mut starts = Vec::new();
    for (index, network) in (0..).zip(networks) {
        starts.resize(first_number(network.start) + 1, index);
    }
    let count = u32::try_from(networks.len()).unwrap_or(u32::MAX);
    starts.resize((1 << 16) + 1, count);
    starts
}

/// Returns an address as a number, in the upper bits.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn holding(networks: &[IpNet], address: IpAddr) -> Vec<u32> {
        let mut set = Networks::default();
        for (place, network) in (0..).zip(networks) {
            set.push(*network, place);
        }
        set.finish();
        let mut found = Vec::new();
        set.each_holding(address, |place| found.push(place));
        found
    }

    #[test]
    fn all_networks_that_hold_an_address_are_found_the_narrowest_first() {
        let networks = [
            "0.0.0.0/0",
            "192.0.2.0/24",
            "192.0.2.128/25",
            "192.0.2.0/25",
            "198.51.100.0/24",
        ];
        let networks = networks.map(|text| text.parse().unwrap());
        assert_eq!(holding(&networks, "192.0.2.200".parse().unwrap()), [2, 1, 0]);
        assert_eq!(holding(&networks, "192.0.2.0".parse().unwrap()), [3, 1, 0]);
        assert_eq!(holding(&networks, "203.0.113.1".parse().unwrap()), [0]);
        assert_eq!(holding(&networks[1..], "203.0.113.1".parse().unwrap()).len(), 0);
    }

    fn of_v4(bits: u32, length: u8) -> IpNet {
        IpNet::new(std::net::Ipv4Addr::from_bits(bits).into(), length)
            .unwrap()
            .trunc()
    }

    fn of_v6(bits: u32, length: u8) -> IpNet {
        let bits = u128::from(bits) << 96 | u128::from(bits);
        IpNet::new(std::net::Ipv6Addr::from_bits(bits).into(), length)
            .unwrap()
            .trunc()
    }

    proptest! {
        #[test]
        fn the_networks_are_those_that_contain_the_address(
            networks in prop_oneof![
                prop::collection::vec((0..0x0f0f_u32, 0..=32_u8).prop_map(|(bits, length)| of_v4(bits << 16, length)), 0..40),
                prop::collection::vec((0..0x0f0f_u32, 0..=128_u8).prop_map(|(bits, length)| of_v6(bits << 16, length)), 0..40),
            ],
            bits in 0..0x0f0f_u32,
        ) {
            let networks: Vec<IpNet> = networks.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
            let is_v6 = networks.first().is_some_and(|network| network.addr().is_ipv6());
            let address = match is_v6 {
                true => of_v6(bits << 16, 128).addr(),
                false => of_v4(bits << 16, 32).addr(),
            };
            let found: BTreeSet<u32> = holding(&networks, address).into_iter().collect();
            let expected = (0..).zip(&networks).filter(|(_, network)| network.contains(&address));
            prop_assert_eq!(found, expected.map(|(place, _)| place).collect::<BTreeSet<u32>>());
        }
    }
}
