//! Networks as settings write them: `10.0.0.0/8`, or an address for a network of one host.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::de::{Deserialize as _, Deserializer, Error};

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<IpNet>>, D::Error> {
    let texts: Option<Vec<String>> = Option::deserialize(deserializer)?;
    let networks = texts.map(|texts| texts.iter().map(|text| network(text)).collect());
    networks.transpose()
}

fn network<E: Error>(text: &str) -> Result<IpNet, E> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse::<IpNet>().or_else(|_| address()).map_err(|_| {
        let problem = format!("{text:?} is no network: write it as 10.0.0.0/8, or write an address");
        E::custom(problem)
    })
}
