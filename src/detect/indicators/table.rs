//! Holds what sources say of indicators in little memory: each indicator by the bytes that tell it from others.

use std::hash::BuildHasher as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use ipnet::IpNet;

use crate::models::{Indicator, IndicatorType, IntelSummary, hexadecimal};

/// Holds the records of indicators, and finds them by what is looked for.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Holds the place of the first record of each indicator.
    places: HashTable<u32>,
    /// Mixes a random seed in, so that nobody can write a log whose observables all have one hash.
    hasher: RandomState,
    records: Vec<Record>,
    /// Holds the keys of the records, one after the other: the type and the bytes.
    keys: Vec<u8>,
    sayings: Vec<Saying>,
    /// Holds names of sources and threat types, each once.
    names: Vec<Box<str>>,
}

/// Holds what one source says of an indicator.
#[derive(Debug, Clone, Copy)]
struct Record {
    /// Holds the end of its key. The key begins where that of the record before ends. Only the first record of an
    /// indicator has one.
    end: u32,
    /// Names the next record of the indicator; [`NONE`] after the last one.
    next: u32,
    saying: u32,
}

/// Means that there is no record.
const NONE: u32 = u32::MAX;

/// Holds what a source says. Most sources say the same of many indicators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Saying {
    source: u32,
    threat_type: u32,
    /// Holds the bits of the confidence.
    confidence: u32,
    created_at: i64,
    expires_at: i64,
}

/// Describes what a source says of an indicator.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said<'t> {
    pub(super) source: &'t str,
    pub(super) threat_type: &'t str,
    pub(super) confidence: f64,
    /// Holds the time of the report in microseconds since 1970.
    pub(super) created_at: i64,
    /// Holds the expiry in microseconds since 1970.
    pub(super) expires_at: i64,
}

/// Holds the bytes that tell an indicator from others of its type.
pub(super) struct Key<'k> {
    indicator_type: IndicatorType,
    bytes: Bytes<'k>,
}

enum Bytes<'k> {
    Borrowed(&'k [u8]),
    /// Holds an address, a network or a digest in its first bytes.
    Binary([u8; 64], usize),
}

impl<'k> Key<'k> {
    pub(super) fn of(indicator: &'k Indicator) -> Self {
        match indicator {
            Indicator::Ip(address) => Self::of_address(address.to_canonical()),
            Indicator::Cidr(network) => Self::of_network(network),
            Indicator::FileHash(digest) => Self::of_digest(digest),
            Indicator::Domain(text) | Indicator::Url(text) | Indicator::Email(text) => {
                Self::of_text(indicator.indicator_type(), text)
            }
        }
    }

    pub(super) fn of_text(indicator_type: IndicatorType, text: &'k str) -> Self {
        let bytes = Bytes::Borrowed(text.as_bytes());
        Self {
            indicator_type,
            bytes,
        }
    }

    pub(super) fn of_address(address: IpAddr) -> Self {
        Self::of_bytes(IndicatorType::Ip, octets(&address).as_slice(), &[])
    }

    fn of_network(network: &IpNet) -> Self {
        let address = octets(&network.network());
        Self::of_bytes(IndicatorType::Cidr, address.as_slice(), &[network.prefix_len()])
    }

    /// Makes the key of hexadecimal digits.
    pub(super) fn of_digest(digits: &'k str) -> Self {
        let digit = |byte: u8| (byte as char).to_digit(16).unwrap_or_default();
        let pairs = digits.as_bytes().as_chunks::<2>().0.iter().take(64);
        let mut bytes = [0; 64];
        let mut length = 0;
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            #[expect(clippy::cast_possible_truncation, reason = "two digits are a byte")]
            {
                *byte = (digit(*high) << 4 | digit(*low)) as u8;
            }
            length += 1;
        }
        Self {
            indicator_type: IndicatorType::FileHash,
            bytes: Bytes::Binary(bytes, length),
        }
    }

    fn of_bytes(indicator_type: IndicatorType, first: &[u8], last: &[u8]) -> Self {
        let mut bytes = [0; 64];
        let both = first.iter().chain(last);
        let length = bytes
            .iter_mut()
            .zip(both)
            .map(|(byte, given)| *byte = *given)
            .count();
        Self {
            indicator_type,
            bytes: Bytes::Binary(bytes, length),
        }
    }

    fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Borrowed(bytes) => bytes,
            Bytes::Binary(bytes, length) => bytes.get(..*length).unwrap_or_default(),
        }
    }
}

/// Returns the bytes of an address.
fn octets(address: &IpAddr) -> Octets {
    match address {
        IpAddr::V4(address) => Octets::V4(address.octets()),
        IpAddr::V6(address) => Octets::V6(address.octets()),
    }
}

enum Octets {
    V4([u8; 4]),
    V6([u8; 16]),
}

impl Octets {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::V4(bytes) => bytes,
            Self::V6(bytes) => bytes,
        }
    }
}

impl Table {
    /// Counts the records.
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// Returns the first record of an indicator.
    pub(super) fn find(&self, key: &Key<'_>) -> Option<u32> {
        let bytes = key.bytes();
        let type_byte = key.indicator_type as u8;
        let hash = self.hasher.hash_one((type_byte, bytes));
        let found = self.places.find(hash, |place| {
            key_at(&self.records, &self.keys, *place).split_first() == Some((&type_byte, bytes))
        });
        found.copied()
    }

    /// Returns all that is said of the indicator whose first record is given.
    pub(super) fn said_of(&self, first: u32) -> impl Iterator<Item = Said<'_>> {
        let record = |place: u32| self.records.get(place as usize);
        let next = move |record: &&Record| self.records.get(record.next as usize);
        std::iter::successors(record(first), next)
            .filter_map(|record| self.sayings.get(record.saying as usize))
            .map(|saying| self.said(saying))
    }

    fn said(&self, saying: &Saying) -> Said<'_> {
        let name = |place: u32| self.names.get(place as usize).map_or("", AsRef::as_ref);
        Said {
            source: name(saying.source),
            threat_type: name(saying.threat_type),
            confidence: f64::from(f32::from_bits(saying.confidence)),
            created_at: saying.created_at,
            expires_at: saying.expires_at,
        }
    }

    /// Yields the type and the text of each indicator.
    pub(super) fn indicators(&self) -> impl Iterator<Item = (IndicatorType, String)> {
        self.places.iter().map(|first| self.indicator(*first))
    }

    /// Returns the type and the text of the indicator whose first record is given.
    pub(super) fn indicator(&self, first: u32) -> (IndicatorType, String) {
        let key = key_at(&self.records, &self.keys, first);
        let (type_byte, bytes) = key.split_first().unwrap_or((&0, &[]));
        let indicator_type = IndicatorType::ALL
            .into_iter()
            .find(|known| *known as u8 == *type_byte);
        let indicator_type = indicator_type.unwrap_or(IndicatorType::Domain);
        (indicator_type, text_of(indicator_type, bytes))
    }
}

/// Returns the key of a record.
fn key_at<'t>(records: &[Record], keys: &'t [u8], place: u32) -> &'t [u8] {
    let end_of = |place: usize| records.get(place).map_or(0, |record| record.end as usize);
    let place = place as usize;
    let start = place.checked_sub(1).map_or(0, end_of);
    keys.get(start..end_of(place)).unwrap_or_default()
}

/// Returns an indicator as its [`Indicator`] is written.
fn text_of(indicator_type: IndicatorType, bytes: &[u8]) -> String {
    match indicator_type {
        IndicatorType::Ip => address_of(bytes).map(|address| address.to_string()),
        IndicatorType::Cidr => bytes.split_last().and_then(|(length, address)| {
            let network = IpNet::new(address_of(address)?, *length).ok()?;
            Some(network.to_string())
        }),
        IndicatorType::FileHash => Some(hexadecimal(bytes)),
        IndicatorType::Domain | IndicatorType::Url | IndicatorType::Email => None,
    }
    .unwrap_or_else(|| String::from_utf8_lossy(bytes).into_owned())
}

fn address_of(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(|octets| Ipv4Addr::from(octets).into());
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(|octets| Ipv6Addr::from(octets).into()))
        .ok()
}

/// Fills a table, and remembers which names and sayings it has.
#[derive(Debug, Default)]
pub(super) struct TableBuilder {
    table: Table,
    sayings: HashTable<u32>,
    names: HashTable<u32>,
}

impl TableBuilder {
    /// Adds what a source says of an indicator, and returns the place of its record if it is the first of the
    /// indicator.
    pub(super) fn push(&mut self, intel: &IntelSummary<'_>) -> Option<u32> {
        let key = Key::of(&intel.indicator);
        // Four billion records take more memory than any machine has.
        let (Ok(place), Ok(end)) = (
            u32::try_from(self.table.records.len()),
            u32::try_from(self.table.keys.len() + 1 + key.bytes().len()),
        ) else {
            log::warn!(
                "the indicator {} is left out: there are too many",
                intel.indicator
            );
            return None;
        };
        let saying = self.saying(intel);
        let first = self.table.find(&key);
        let mut record = Record {
            end,
            next: NONE,
            saying,
        };
        if let Some(first) = first.and_then(|first| self.table.records.get_mut(first as usize)) {
            record.next = std::mem::replace(&mut first.next, place);
            record.end = end - 1 - u32::try_from(key.bytes().len()).unwrap_or_default();
        }
        self.table.records.push(record);
        if first.is_some() {
            return None;
        }
        let type_byte = key.indicator_type as u8;
        self.table.keys.push(type_byte);
        self.table.keys.extend_from_slice(key.bytes());
        let Table {
            places,
            hasher,
            records,
            keys,
            ..
        } = &mut self.table;
        let hash = hasher.hash_one((type_byte, key.bytes()));
        places.insert_unique(hash, place, |place| {
            match key_at(records, keys, *place).split_first() {
                Some((type_byte, bytes)) => hasher.hash_one((*type_byte, bytes)),
                None => 0,
            }
        });
        Some(place)
    }

    /// Returns the table, in no more memory than it needs.
    pub(super) fn finish(self) -> Table {
        let mut table = self.table;
        table.records.shrink_to_fit();
        table.keys.shrink_to_fit();
        table.sayings.shrink_to_fit();
        table
    }

    fn saying(&mut self, intel: &IntelSummary<'_>) -> u32 {
        let saying = Saying {
            source: self.name(intel.source),
            threat_type: self.name(intel.threat_type),
            #[expect(clippy::cast_possible_truncation, reason = "seven digits are enough")]
            confidence: (intel.confidence as f32).to_bits(),
            created_at: intel.created_at.timestamp_micros(),
            expires_at: intel.expires_at.map_or(i64::MAX, |time| time.timestamp_micros()),
        };
        let Table { sayings, hasher, .. } = &mut self.table;
        let hash = hasher.hash_one(saying);
        let is_same = |place: &u32| sayings.get(*place as usize) == Some(&saying);
        if let Some(place) = self.sayings.find(hash, is_same) {
            return *place;
        }
        let place = u32::try_from(sayings.len()).unwrap_or(NONE);
        sayings.push(saying);
        self.sayings.insert_unique(hash, place, |place| {
            sayings
                .get(*place as usize)
                .map_or(0, |saying| hasher.hash_one(saying))
        });
        place
    }

    fn name(&mut self, name: &str) -> u32 {
        let Table { names, hasher, .. } = &mut self.table;
        let hash = hasher.hash_one(name);
        let is_same = |place: &u32| names.get(*place as usize).is_some_and(|known| **known == *name);
        if let Some(place) = self.names.find(hash, is_same) {
            return *place;
        }
        let place = u32::try_from(names.len()).unwrap_or(NONE);
        names.push(name.into());
        self.names.insert_unique(hash, place, |place| {
            hasher.hash_one(names.get(*place as usize).map_or("", AsRef::as_ref))
        });
        place
    }
}
