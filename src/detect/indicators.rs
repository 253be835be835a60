//! Finds indicators of threat intelligence in logs: in their columns, in their fields and in free text.

mod observables;

use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::net::IpAddr;

use chrono::TimeDelta;
use foldhash::fast::RandomState;
use ipnet::IpNet;
use serde_json::Value;

use crate::models::{BENIGN, Indicator, IndicatorType, LogEntry, Match, Severity, ThreatIntel};

use observables::{Observable, Surroundings};

/// Names the rule of alerts about indicators, and the type of such alerts.
pub const THREAT_INTEL: &str = "threat_intel";

/// Holds indicators so that what a log says is compared with all of them at once.
///
/// ```
/// use logstore::detect::IndicatorSet;
/// use logstore::{LogEntry, ThreatIntel};
///
/// let intel = ThreatIntel::new("bad.example".parse()?, "phishing", "a feed");
/// let set = IndicatorSet::new([&intel]);
/// let log = LogEntry::new(chrono::Utc::now()).with_message("query for www.bad.example. from 192.0.2.1");
/// let found = set.matches(&log);
/// assert_eq!((found[0].indicator.as_str(), found[0].field.as_str()), ("bad.example", "message"));
/// # Ok::<(), logstore::InvalidValue>(())
/// ```
#[derive(Debug, Default)]
pub struct IndicatorSet {
    /// Holds the first record of each indicator, by the fingerprint of its type and text.
    ///
    /// The seed is random, so that nobody can write an indicator or a log whose fingerprint is that of another.
    first: HashMap<u64, u32, foldhash::fast::FixedState>,
    hasher: RandomState,
    /// Holds the records in the order of their types and texts.
    records: Vec<Record>,
    /// Holds the texts of the records, one after the other.
    texts: String,
    /// Holds names of sources and threat types, each once.
    names: Vec<String>,
    /// Lists the lengths of the prefixes of networks, of IPv4 and of IPv6.
    prefixes: [Vec<u8>; 2],
}

/// Holds what one source says of an indicator.
#[derive(Debug, Clone, Copy)]
struct Record {
    indicator_type: IndicatorType,
    /// Holds the end of its text. The text begins where that of the record before ends.
    end: u32,
    source: u32,
    threat_type: u32,
    confidence: f32,
    /// Holds the expiry in microseconds since 1970.
    expires_at: i64,
}

/// Describes an indicator that was found in a log.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct IndicatorMatch {
    /// Holds the indicator as it is stored.
    pub indicator: String,
    /// Holds the type of the indicator.
    pub indicator_type: IndicatorType,
    /// Names the field of the log that holds it.
    pub field: String,
    /// Lists the sources that name the indicator, the surest first.
    pub sources: Vec<String>,
    /// Holds the threat type that the surest source gives it.
    pub threat_type: String,
    /// Holds the highest confidence of the sources.
    pub confidence: f64,
}

impl IndicatorSet {
    /// Makes a set of threat intelligence.
    ///
    /// An indicator counts for logs from before its expiry. What a source calls [benign](BENIGN) is never found,
    /// whatever others say of it.
    pub fn new<'i>(intel: impl IntoIterator<Item = &'i ThreatIntel>) -> Self {
        let mut said: Vec<(IndicatorType, String, &ThreatIntel)> = intel
            .into_iter()
            .map(|intel| (intel.indicator.indicator_type(), key_of(&intel.indicator), intel))
            .collect();
        said.sort_unstable_by(|(a_type, a, a_intel), (b_type, b, b_intel)| {
            let by_confidence = || b_intel.confidence.total_cmp(&a_intel.confidence);
            let by_source = || a_intel.source.cmp(&b_intel.source);
            let by_text = (a_type.as_str(), a).cmp(&(b_type.as_str(), b));
            by_text.then_with(by_confidence).then_with(by_source)
        });
        let mut set = Self::default();
        let mut places = HashMap::new();
        for (indicator_type, text, intel) in said {
            set.push(indicator_type, &text, intel, &mut places);
        }
        set
    }

    fn push(
        &mut self,
        indicator_type: IndicatorType,
        text: &str,
        intel: &ThreatIntel,
        places: &mut HashMap<String, u32>,
    ) {
        // Four billion records take more memory than any machine has.
        let (Ok(place), Ok(end)) = (
            u32::try_from(self.records.len()),
            u32::try_from(self.texts.len() + text.len()),
        ) else {
            log::warn!("the indicator {text:?} is left out: there are too many");
            return;
        };
        if let Indicator::Cidr(network) = intel.indicator {
            let prefixes = &mut self.prefixes[usize::from(network.addr().is_ipv6())];
            if !prefixes.contains(&network.prefix_len()) {
                prefixes.push(network.prefix_len());
            }
        }
        let fingerprint = self.fingerprint(indicator_type, text);
        self.first.entry(fingerprint).or_insert(place);
        self.texts.push_str(text);
        let source = self.name(&intel.source, places);
        let threat_type = self.name(&intel.threat_type, places);
        self.records.push(Record {
            indicator_type,
            end,
            source,
            threat_type,
            #[expect(clippy::cast_possible_truncation, reason = "seven digits are enough")]
            confidence: intel.confidence as f32,
            expires_at: intel.expires_at.map_or(i64::MAX, |time| time.timestamp_micros()),
        });
    }

    fn name(&mut self, name: &str, places: &mut HashMap<String, u32>) -> u32 {
        if let Some(place) = places.get(name) {
            return *place;
        }
        let place = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.push(name.to_owned());
        places.insert(name.to_owned(), place);
        place
    }

    fn fingerprint(&self, indicator_type: IndicatorType, text: &str) -> u64 {
        self.hasher.hash_one((indicator_type.as_str(), text))
    }

    /// Returns whether there are no indicators.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Counts what sources say of indicators.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Finds the indicators that a log holds, each once: the first 100.
    ///
    /// A field that says what its value is comes before free text. Networks are found by their addresses, and domains
    /// by those below them.
    pub fn matches(&self, log: &LogEntry) -> Vec<IndicatorMatch> {
        let mut found = Found {
            set: self,
            time: log.event_time.timestamp_micros(),
            matches: Vec::new(),
        };
        if self.is_empty() {
            return found.matches;
        }
        for (field, value) in [("source_ip", log.source_ip()), ("dest_ip", log.dest_ip())] {
            found.look(field, value.as_deref(), Surroundings::Field);
        }
        found.look("user", log.user(), Surroundings::FreeText);
        for (name, value) in &log.normalized {
            found.look_in(name, value);
        }
        let text = log.message.as_deref().map(|message| ("message", message));
        let text = text.or_else(|| log.raw.as_deref().map(|raw| ("raw", raw)));
        if let Some((field, text)) = text {
            found.look(field, Some(text), Surroundings::FreeText);
        }
        found.matches
    }

    /// Finds the indicators of a log as matches for alerts: one for each indicator, host and day of event time.
    pub(super) fn alerts<'a>(&'a self, log: &'a LogEntry) -> impl Iterator<Item = Match> + 'a {
        self.matches(log).into_iter().map(|found| found.alert(log))
    }

    /// Returns the records of an indicator.
    fn records_of(&self, indicator_type: IndicatorType, text: &str) -> &[Record] {
        let Some(first) = self.first.get(&self.fingerprint(indicator_type, text)) else {
            return &[];
        };
        let first = *first as usize;
        let is_same = |place: &usize| {
            let record = self.records.get(*place);
            record.is_some_and(|record| record.indicator_type == indicator_type) && self.text(*place) == text
        };
        let count = (first..self.records.len()).take_while(is_same).count();
        self.records.get(first..first + count).unwrap_or_default()
    }

    fn text(&self, place: usize) -> &str {
        let end_of = |place: usize| self.records.get(place).map_or(0, |record| record.end as usize);
        let start = place.checked_sub(1).map_or(0, end_of);
        self.texts.get(start..end_of(place)).unwrap_or_default()
    }
}

/// Returns the text by which an indicator is looked for.
fn key_of(indicator: &Indicator) -> String {
    match indicator {
        Indicator::Ip(address) => address.to_canonical().to_string(),
        Indicator::Cidr(network) => network.trunc().to_string(),
        other => other.to_string(),
    }
}

/// Limits the indicators of a log. A line may hold a whole feed, and each is an alert.
const MOST_MATCHES: usize = 100;

/// Collects the indicators of a log.
struct Found<'s> {
    set: &'s IndicatorSet,
    /// Holds the time of the log in microseconds since 1970.
    time: i64,
    matches: Vec<IndicatorMatch>,
}

impl Found<'_> {
    /// Looks for indicators in the texts of a field, whatever is nested in it.
    fn look_in(&mut self, name: &str, value: &Value) {
        match value {
            Value::String(text) => {
                let surroundings = Surroundings::of_field(name);
                self.look(name, Some(text), surroundings);
            }
            Value::Array(values) => values.iter().for_each(|value| self.look_in(name, value)),
            Value::Object(members) => {
                for (member, value) in members {
                    self.look_in(&format!("{name}.{member}"), value);
                }
            }
            _ => {}
        }
    }

    fn look(&mut self, field: &str, text: Option<&str>, surroundings: Surroundings) {
        let Some(text) = text else {
            return;
        };
        observables::each(text, surroundings, &mut |observable| {
            self.compare(field, &observable);
        });
    }

    fn compare(&mut self, field: &str, observable: &Observable<'_>) {
        match observable {
            Observable::Ip(address) => self.compare_address(field, *address),
            Observable::Domain(name) => self.compare_domain(field, name),
            Observable::Url(url) => self.compare_texts(field, &[(IndicatorType::Url, url)]),
            Observable::Email(address) => self.compare_texts(field, &[(IndicatorType::Email, address)]),
            Observable::FileHash(digest) => self.compare_texts(field, &[(IndicatorType::FileHash, digest)]),
        }
    }

    fn compare_address(&mut self, field: &str, address: IpAddr) {
        let text = address.to_string();
        let prefixes = &self.set.prefixes[usize::from(address.is_ipv6())];
        let networks: Vec<String> = prefixes
            .iter()
            .filter_map(|length| Some(IpNet::new(address, *length).ok()?.trunc().to_string()))
            .collect();
        let mut texts = vec![(IndicatorType::Ip, text.as_str())];
        texts.extend(
            networks
                .iter()
                .map(|network| (IndicatorType::Cidr, network.as_str())),
        );
        self.compare_texts(field, &texts);
    }

    /// Compares a name and the names above it, down to two labels.
    fn compare_domain(&mut self, field: &str, name: &str) {
        let mut names = vec![(IndicatorType::Domain, name)];
        let mut rest = name;
        while let Some((_, above)) = rest.split_once('.')
            && above.contains('.')
        {
            names.push((IndicatorType::Domain, above));
            rest = above;
        }
        self.compare_texts(field, &names);
    }

    /// Compares the texts of one observable. If a source calls one of them benign, none counts.
    fn compare_texts(&mut self, field: &str, texts: &[(IndicatorType, &str)]) {
        let set = self.set;
        let is_benign = |record: &Record| {
            set.names
                .get(record.threat_type as usize)
                .is_some_and(|name| name == BENIGN)
        };
        let believed = |(indicator_type, text): &(IndicatorType, &'_ str)| {
            let records = set.records_of(*indicator_type, text).iter();
            let records = records.filter(|record| self.time < record.expires_at);
            records.copied().collect::<Vec<Record>>()
        };
        let known: Vec<_> = texts
            .iter()
            .map(|observable| (observable.0, observable.1, believed(observable)))
            .filter(|(_, _, records)| !records.is_empty())
            .collect();
        if known.iter().any(|(_, _, records)| records.iter().any(is_benign)) {
            return;
        }
        for (indicator_type, text, records) in known {
            if self.matches.len() >= MOST_MATCHES {
                return;
            }
            let is_found = self
                .matches
                .iter()
                .any(|found| found.indicator_type == indicator_type && found.indicator == text);
            if !is_found {
                self.matches
                    .push(set.found(field, indicator_type, text, &records));
            }
        }
    }
}

impl IndicatorSet {
    fn found(
        &self,
        field: &str,
        indicator_type: IndicatorType,
        text: &str,
        records: &[Record],
    ) -> IndicatorMatch {
        let name = |place: u32| self.names.get(place as usize).cloned().unwrap_or_default();
        let surest = records.first();
        IndicatorMatch {
            indicator: text.to_owned(),
            indicator_type,
            field: field.to_owned(),
            sources: records.iter().map(|record| name(record.source)).collect(),
            threat_type: surest.map(|record| name(record.threat_type)).unwrap_or_default(),
            confidence: surest.map_or(0.0, |record| f64::from(record.confidence)),
        }
    }
}

impl IndicatorMatch {
    /// Returns the severity that the confidence of the sources gives.
    fn severity(&self) -> Severity {
        match self.confidence {
            sure if sure >= 0.75 => Severity::High,
            likely if likely >= 0.4 => Severity::Medium,
            _ => Severity::Low,
        }
    }

    fn alert(self, log: &LogEntry) -> Match {
        let title = format!(
            "{} {} of {} (confidence {:.2}) in {}",
            self.threat_type,
            self.indicator,
            self.sources.join(", "),
            self.confidence,
            self.field
        );
        let mut found = Match::new(THREAT_INTEL, self.severity(), log)
            .with_title(title)
            .with_window(TimeDelta::days(1));
        THREAT_INTEL.clone_into(&mut found.alert_type);
        "indicator".clone_into(&mut found.detection_method);
        let host = found.host.clone().map(|host| ("host".to_owned(), host));
        let indicator = ("indicator".to_owned(), self.indicator);
        found.group = Some(std::iter::once(indicator).chain(host).collect());
        found
    }
}

#[cfg(test)]
mod tests;
