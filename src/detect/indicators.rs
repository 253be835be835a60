//! Finds indicators of threat intelligence in logs: in their fields and in free text.

mod networks;
mod table;

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use chrono::TimeDelta;

use super::event::{Event, each_value, is_structured};
use crate::models::observables::{self, Observable, Surroundings};
use crate::models::{
    BENIGN, HalfLives, Indicator, IndicatorType, IntelSummary, LogEntry, Match, PARSE_ERROR, Severity,
    SoughtObservables, ThreatIntel,
};

use networks::Networks;
use table::{Key, Said, Table, TableBuilder};

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
    table: Table,
    /// Holds the networks of IPv4 and of IPv6.
    networks: [Networks; 2],
    half_lives: HalfLives,
}

/// Makes an [`IndicatorSet`] of intelligence that comes piece by piece, as a store gives it.
///
/// ```
/// use logstore::detect::IndicatorSetBuilder;
/// use logstore::{IntelStore, MemoryStore, ThreatIntel};
///
/// let store = MemoryStore::new();
/// store.upsert_intel(&[ThreatIntel::new("bad.example".parse()?, "phishing", "a feed")])?;
/// let mut builder = IndicatorSetBuilder::default();
/// store.read_intel(0, &mut |intel| builder.push(&intel))?;
/// assert_eq!(builder.finish().len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct IndicatorSetBuilder {
    table: TableBuilder,
    networks: [Networks; 2],
}

impl IndicatorSetBuilder {
    /// Adds what a source says of an indicator.
    pub fn push(&mut self, intel: &IntelSummary<'_>) {
        let first = self.table.push(intel);
        if let (Some(place), Indicator::Cidr(network)) = (first, &intel.indicator) {
            of_version(&mut self.networks, network.addr()).push(*network, place);
        }
    }

    /// Returns the set.
    pub fn finish(mut self) -> IndicatorSet {
        self.networks.iter_mut().for_each(Networks::finish);
        IndicatorSet {
            table: self.table.finish(),
            networks: self.networks,
            half_lives: HalfLives::default(),
        }
    }
}

fn of_version(networks: &mut [Networks; 2], address: IpAddr) -> &mut Networks {
    let [v4, v6] = networks;
    if address.is_ipv4() { v4 } else { v6 }
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
    /// Holds the highest confidence of the sources, as it was at the time of the log.
    pub confidence: f64,
}

impl IndicatorSet {
    /// Makes a set of threat intelligence.
    ///
    /// An indicator counts for logs from before its expiry, by their event time or the time of their ingestion, the
    /// earlier of the two. What a source calls [benign](BENIGN) is never found, whatever others say of it.
    pub fn new<'i>(intel: impl IntoIterator<Item = &'i ThreatIntel>) -> Self {
        let mut builder = IndicatorSetBuilder::default();
        for intel in intel {
            builder.push(&IntelSummary::from(intel));
        }
        builder.finish()
    }

    /// Lets confidence decay with the age of the report.
    #[must_use]
    pub fn with_half_lives(self, half_lives: HalfLives) -> Self {
        Self { half_lives, ..self }
    }

    /// Returns whether there are no indicators.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Counts what sources say of indicators.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Returns whether an indicator is in the set, expired or not. Domains above it and networks that hold it do not
    /// count.
    pub fn contains(&self, indicator: &Indicator) -> bool {
        self.table.find(&Key::of(indicator)).is_some()
    }

    /// Finds the indicators that a log holds, each once: the first 100.
    ///
    /// A field comes before free text. Networks are found by their addresses, and domains by those below them.
    pub fn matches(&self, log: &LogEntry) -> Vec<IndicatorMatch> {
        match self.may_match(log) {
            true => self.matches_of(&Event::from_log(log), log),
            false => Vec::new(),
        }
    }

    /// Returns whether a log may hold an indicator: whether one of its texts does, expired or not, whatever the name of
    /// its field. Most logs hold none, and to see that takes less time than to take them apart.
    fn may_match(&self, log: &LogEntry) -> bool {
        if self.is_empty() {
            return false;
        }
        let Some(fields) = log.normalized.as_text() else {
            return true;
        };
        let (mut may, mut has_fields) = (false, false);
        let mut look = |text: &str| may |= self.may_be_in(text);
        let mut decoded = String::new();
        let read = each_value(fields, |value| {
            has_fields = true;
            if let Some(text) = value.as_text(&mut decoded) {
                look(text);
            }
        });
        if let Some((_, text)) = beside_fields(log, has_fields) {
            look(text);
        }
        may || read.is_none()
    }

    /// Returns whether a text holds an indicator, expired or not, whatever is around it.
    fn may_be_in(&self, text: &str) -> bool {
        let mut may = false;
        observables::each_decoding(text, |text| {
            observables::each(text, Surroundings::Unknown, &mut |observable| {
                self.each_sign(&observable, |_| may = true);
            });
        });
        may
    }

    /// Returns what a store is told so that it leaves out logs without an indicator: see
    /// [`LogStore::scan_logs_with_observables`](crate::LogStore::scan_logs_with_observables).
    pub fn sought(self: &Arc<Self>) -> SoughtObservables {
        let set = Arc::clone(self);
        SoughtObservables::new(move |text| set.may_be_in(text)).named(self.names())
    }

    /// Returns the indicators; nothing if they are so many that most blocks of logs seem to hold one.
    fn names(&self) -> Vec<Indicator> {
        const MOST: usize = 100_000;
        if self.len() > MOST {
            return Vec::new();
        }
        let names = self.table.indicators();
        let names = names.map(|(indicator_type, text)| Indicator::new(indicator_type, &text));
        names.collect::<Result<_, _>>().unwrap_or_default()
    }

    /// Finds the indicators of a log as matches for alerts: one for each indicator, host and day of event time.
    pub(super) fn alerts_of(&self, log: &LogEntry) -> impl Iterator<Item = Match> {
        self.matches(log).into_iter().map(|found| found.alert(log))
    }

    /// Finds the indicators of a log whose event is at hand, as [`alerts_of`](Self::alerts_of) does.
    pub(super) fn alerts(&self, event: &Event<'_>, log: &LogEntry) -> Vec<Match> {
        if self.is_empty() {
            return Vec::new();
        }
        let found = self.matches_of(event, log).into_iter();
        found.map(|found| found.alert(log)).collect()
    }

    /// Finds the indicators of a log that are in another set as well, as matches for alerts. The alerts are those that
    /// this set raises for them.
    pub(super) fn later_alerts(&self, new: &Self, log: &LogEntry) -> Vec<Match> {
        if !new.may_match(log) {
            return Vec::new();
        }
        let event = Event::from_log(log);
        if new.matches_of(&event, log).is_empty() {
            return Vec::new();
        }
        let is_new = |found: &IndicatorMatch| {
            Indicator::new(found.indicator_type, &found.indicator).is_ok_and(|found| new.contains(&found))
        };
        let found = self.matches_of(&event, log).into_iter().filter(is_new);
        found.map(|found| found.alert(log)).collect()
    }

    fn matches_of(&self, event: &Event<'_>, log: &LogEntry) -> Vec<IndicatorMatch> {
        let mut found = Found {
            set: self,
            log,
            // A clock that is ahead lets no log escape an indicator that expires.
            time: log.event_time.min(log.ingestion_time).timestamp_micros(),
            firsts: Vec::new(),
            matches: Vec::new(),
        };
        let mut decoded = String::new();
        let fields = event.leaves.iter().filter(|leaf| !leaf.name.starts_with('@'));
        let has_fields = fields.clone().next().is_some();
        for leaf in fields {
            if let Some(text) = leaf.value.as_text(&mut decoded) {
                found.look_in(&leaf.name, text);
            }
        }
        if let Some((name, text)) = beside_fields(log, has_fields) {
            found.look(name, text, Surroundings::FreeText);
        }
        found.matches
    }
}

/// Returns the text of a log that its fields do not say, with its name.
fn beside_fields(log: &LogEntry, has_fields: bool) -> Option<(&'static str, &str)> {
    // The fields of a whole object say all of its line.
    let is_in_fields =
        |line: &str| has_fields && is_structured(line) && !log.metadata.contains_key(PARSE_ERROR);
    match (&log.message, &log.raw) {
        (Some(message), _) => Some(("message", message)),
        (None, Some(line)) if !is_in_fields(line) => Some(("raw", line)),
        _ => None,
    }
}

/// Limits the indicators of a log. A line may hold a whole feed, and each is an alert.
const MOST_MATCHES: usize = 100;

/// Collects the indicators of a log.
struct Found<'s> {
    set: &'s IndicatorSet,
    log: &'s LogEntry,
    /// Holds the time of the log in microseconds since 1970.
    time: i64,
    /// Holds the first records of the indicators that one observable is a sign of.
    firsts: Vec<u32>,
    matches: Vec<IndicatorMatch>,
}

impl Found<'_> {
    fn look_in(&mut self, name: &str, text: &str) {
        self.look(name, text, Surroundings::Field(name));
    }

    fn look(&mut self, field: &str, text: &str, surroundings: Surroundings<'_>) {
        observables::each_decoding(text, |text| {
            observables::each(text, surroundings, &mut |observable| {
                self.compare(field, &observable);
            });
        });
    }

    fn compare(&mut self, field: &str, observable: &Observable<'_>) {
        self.firsts.clear();
        self.set.each_sign(observable, |first| self.firsts.push(first));
        if !self.firsts.is_empty() {
            self.report(field, observable);
        }
    }

    /// Adds the indicators that one observable is a sign of. If a source calls one of them benign, none counts.
    fn report(&mut self, field: &str, observable: &Observable<'_>) {
        let set = self.set;
        let believed = |first: &u32| {
            let said = set.table.said_of(*first);
            said.filter(|said| self.time < said.expires_at)
                .collect::<Vec<_>>()
        };
        let known: Vec<(u32, Vec<Said<'_>>)> = self
            .firsts
            .iter()
            .map(|first| (*first, believed(first)))
            .filter(|(_, said)| !said.is_empty())
            .collect();
        let mut all = known.iter().flat_map(|(_, said)| said);
        if all.any(|said| said.threat_type == BENIGN) {
            return;
        }
        let field = self.column_of(observable).unwrap_or(field);
        for (first, said) in known {
            if self.matches.len() >= MOST_MATCHES {
                return;
            }
            let (indicator_type, text) = set.table.indicator(first);
            let is_found = self
                .matches
                .iter()
                .any(|found| found.indicator_type == indicator_type && found.indicator == text);
            if !is_found {
                let found = set.found(field, indicator_type, text, &said, self.time);
                self.matches.push(found);
            }
        }
    }

    /// Returns the name of the column that holds an address, whatever the source calls the field.
    fn column_of(&self, observable: &Observable<'_>) -> Option<&'static str> {
        let Observable::Ip(address) = observable else {
            return None;
        };
        let is = |text: Option<Cow<'_, str>>| text.is_some_and(|text| text.parse() == Ok(*address));
        match (is(self.log.source_ip()), is(self.log.dest_ip())) {
            (true, _) => Some("source_ip"),
            (false, true) => Some("dest_ip"),
            (false, false) => None,
        }
    }
}

impl IndicatorSet {
    /// Gives the first records of the indicators that an observable is a sign of to `take`.
    fn each_sign(&self, observable: &Observable<'_>, mut take: impl FnMut(u32)) {
        let mut find = |key: &Key<'_>| self.table.find(key).into_iter().for_each(&mut take);
        match observable {
            Observable::Ip(address) => {
                find(&Key::of_address(*address));
                let [v4, v6] = &self.networks;
                let networks = if address.is_ipv4() { v4 } else { v6 };
                networks.each_holding(*address, take);
            }
            Observable::Domain(name) => self.each_sign_of_domain(name, take),
            Observable::Url(url) => find(&Key::of_text(IndicatorType::Url, url)),
            Observable::Email(address) => find(&Key::of_text(IndicatorType::Email, address)),
            Observable::FileHash(digest) => find(&Key::of_digest(digest)),
        }
    }

    /// Finds a name and the names above it, down to two labels.
    fn each_sign_of_domain(&self, name: &str, mut take: impl FnMut(u32)) {
        let mut next = Some(name);
        while let Some(name) = next {
            let found = self.table.find(&Key::of_text(IndicatorType::Domain, name));
            found.into_iter().for_each(&mut take);
            let above = name.split_once('.').map(|(_, above)| above);
            next = above.filter(|above| above.contains('.'));
        }
    }

    fn found(
        &self,
        field: &str,
        indicator_type: IndicatorType,
        text: String,
        said: &[Said<'_>],
        time: i64,
    ) -> IndicatorMatch {
        let decayed = |said: &Said<'_>| {
            let age = time.saturating_sub(said.created_at);
            said.confidence * self.half_lives.share_after(indicator_type, age)
        };
        let mut said: Vec<(f64, &Said<'_>)> = said.iter().map(|said| (decayed(said), said)).collect();
        said.sort_by(|(a, a_said), (b, b_said)| {
            let by_source = || (a_said.source, a_said.threat_type).cmp(&(b_said.source, b_said.threat_type));
            b.total_cmp(a).then_with(by_source)
        });
        let surest = said.first();
        IndicatorMatch {
            indicator: text,
            indicator_type,
            field: field.to_owned(),
            sources: said.iter().map(|(_, said)| said.source.to_owned()).collect(),
            threat_type: surest
                .map(|(_, said)| said.threat_type.to_owned())
                .unwrap_or_default(),
            confidence: surest.map_or(0.0, |(confidence, _)| *confidence),
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
