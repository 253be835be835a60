//! Reads a row of named values: a line of a table, or an object whose members are like one.

use serde_json::{Map, Value};

use super::confidence;
use super::entry::{Collector, Entry};
use crate::models::IndicatorType;

/// Lists the columns with a value of any type, the most telling first.
const ANY: [&str; 7] = [
    "ioc_value",
    "indicator_value",
    "indicator",
    "ioc",
    "observable",
    "value",
    "entry",
];

/// Lists the columns with values of one type. Those before the digests name the same thing, so that the first counts.
const TYPED: [(&str, IndicatorType); 27] = [
    ("url", IndicatorType::Url),
    ("uri", IndicatorType::Url),
    ("phish_url", IndicatorType::Url),
    ("malicious_url", IndicatorType::Url),
    ("dst_ip", IndicatorType::Ip),
    ("dest_ip", IndicatorType::Ip),
    ("ip_address", IndicatorType::Ip),
    ("ipaddress", IndicatorType::Ip),
    ("ip", IndicatorType::Ip),
    ("ipv4", IndicatorType::Ip),
    ("ipv6", IndicatorType::Ip),
    ("address", IndicatorType::Ip),
    ("src_ip", IndicatorType::Ip),
    ("cidr", IndicatorType::Cidr),
    ("network", IndicatorType::Cidr),
    ("prefix", IndicatorType::Cidr),
    ("netblock", IndicatorType::Cidr),
    ("domain", IndicatorType::Domain),
    ("fqdn", IndicatorType::Domain),
    ("hostname", IndicatorType::Domain),
    ("domain_name", IndicatorType::Domain),
    ("email", IndicatorType::Email),
    ("sha256_hash", IndicatorType::FileHash),
    ("sha256", IndicatorType::FileHash),
    ("sha1_hash", IndicatorType::FileHash),
    ("sha1", IndicatorType::FileHash),
    ("md5", IndicatorType::FileHash),
];

/// Lists further names of columns with digests.
const DIGESTS: [&str; 4] = ["md5_hash", "hash", "sha512", "file_hash"];

/// Holds the columns of a row that say something, by their names in lower case.
#[derive(Debug, Default)]
pub(super) struct Row {
    cells: Vec<(String, Value)>,
}

/// Returns whether a column holds indicators.
pub(super) fn is_for_indicators(column: &str) -> bool {
    let name = normal(column);
    ANY.contains(&name.as_str()) || type_of(&name).is_some()
}

fn type_of(name: &str) -> Option<IndicatorType> {
    let typed = TYPED.iter().find(|(typed, _)| *typed == name);
    typed
        .map(|(_, indicator_type)| *indicator_type)
        .or_else(|| DIGESTS.contains(&name).then_some(IndicatorType::FileHash))
}

fn normal(column: &str) -> String {
    column.trim().to_ascii_lowercase().replace([' ', '-'], "_")
}

impl Row {
    /// Makes a row of the members of an object.
    pub(super) fn of_object(object: &Map<String, Value>) -> Self {
        let mut row = Self::default();
        for (name, value) in object {
            row.cells.push((normal(name), value.clone()));
        }
        row
    }

    /// Adds a cell of a table. `None` and `null` mean that there is no value.
    pub(super) fn add(&mut self, column: &str, cell: &str) {
        let is_missing =
            cell.is_empty() || cell.eq_ignore_ascii_case("none") || cell.eq_ignore_ascii_case("null");
        if !is_missing {
            self.cells.push((normal(column), Value::from(cell)));
        }
    }

    /// Returns whether a column holds indicators.
    pub(super) fn has_indicators(&self) -> bool {
        self.cells
            .iter()
            .any(|(name, value)| value.is_string() && is_for_indicators(name))
    }

    /// Takes the indicators of the row.
    pub(super) fn take(&self, line: Option<u64>, text: &str, collector: &mut Collector<'_>) {
        let values = self.values();
        if values.is_empty() {
            return collector.refuse(line, text, "it has no value in a column with indicators");
        }
        for (column, value) in values {
            let mut entry = self.entry();
            entry.value = value;
            entry.indicator_type = type_of(column).or_else(|| self.named_type());
            entry.metadata = self.metadata();
            collector.take(line, entry);
        }
    }

    fn entry(&self) -> Entry<'_> {
        let threat_type = ["threat_type", "threat", "threattype", "category"];
        let mut entry = Entry {
            threat_type: self.text(&threat_type).map(str::to_owned),
            ..Entry::default()
        };
        if let Some(confidence) = self.first(&["confidence_level", "confidence"]) {
            entry.set_confidence(confidence::stated(confidence));
        } else if let Some(percent) = self.first(&["abuseconfidencescore", "abuse_confidence_score"]) {
            entry.set_confidence(confidence::of_percent(percent));
        }
        entry.set_expiry(self.text(&["expires_at", "valid_until", "expiration", "expires"]));
        entry
    }

    /// Returns the values that are indicators, each with its column.
    fn values(&self) -> Vec<(&str, &str)> {
        let texts: Vec<(&str, &str)> = self
            .cells
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
            .collect();
        let find = |column: &str| texts.iter().copied().find(|(name, _)| *name == column);
        if let Some(value) = ANY.into_iter().find_map(find) {
            return vec![value];
        }
        let is_digest = |name: &str| type_of(name) == Some(IndicatorType::FileHash);
        let named = TYPED.into_iter().filter(|(name, _)| !is_digest(name));
        let first = named.map(|(name, _)| name).find_map(find);
        let digests = texts.iter().copied().filter(|(name, _)| is_digest(name));
        first.into_iter().chain(digests).collect()
    }

    /// Returns the type that a column names. `ip:port` is an address.
    fn named_type(&self) -> Option<IndicatorType> {
        let name = self.text(&["ioc_type", "indicator_type", "type"])?;
        let name = name.split(':').next().unwrap_or(name);
        name.trim_end_matches("_hash").parse().ok()
    }

    /// Returns what else the row says.
    fn metadata(&self) -> Map<String, Value> {
        const SAID_ELSEWHERE: [&str; 11] = [
            "abuseconfidencescore",
            "abuse_confidence_score",
            "threat_type",
            "threattype",
            "confidence",
            "confidence_level",
            "expires_at",
            "valid_until",
            "ioc_type",
            "indicator_type",
            "type",
        ];
        let is_kept = |name: &str| !is_for_indicators(name) && !SAID_ELSEWHERE.contains(&name);
        let cells = self.cells.iter().filter(|(name, _)| is_kept(name));
        cells.cloned().collect()
    }

    fn first(&self, names: &[&str]) -> Option<&Value> {
        let find = |name: &&str| self.cells.iter().find(|(cell, _)| cell == name);
        names.iter().find_map(find).map(|(_, value)| value)
    }

    fn text(&self, names: &[&str]) -> Option<&str> {
        self.first(names)?.as_str()
    }
}
