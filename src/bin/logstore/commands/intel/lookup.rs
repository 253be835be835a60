//! `logstore intel lookup`: what is known of a value, and where logs have it.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::io::BufRead;
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use logstore::detect::IndicatorSet;
use logstore::feeds;
use logstore::time::Zone;
use logstore::{
    DuckDbStore, Indicator, IndicatorType, IntelQuery, IntelStore as _, InvalidValue, LogEntry, LogQuery,
    LogStore as _, Order, ThreatIntel,
};
use serde::Serialize;

use crate::context::Context;
use crate::output::{Columns, Row, counted};
use crate::table::Column;
use crate::{Failure, Result};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Addresses, networks, domains, URLs, e-mail addresses or file hashes; they may be defanged, encoded, or numbers;
    /// `-` reads them from standard input, one on each line; lines that begin with `#` are comments
    #[arg(required = true, value_parser = named)]
    values: Vec<Named>,
}

/// Says where a value is named.
#[derive(Debug, Clone)]
enum Named {
    Here(Asked),
    OnStandardInput,
}

fn named(text: &str) -> Result<Named, String> {
    match text {
        "-" => Ok(Named::OnStandardInput),
        _ => value(text).map(|value| Named::Here(Asked::new(value, text))),
    }
}

/// Holds a value that is looked up.
#[derive(Debug, Clone)]
struct Asked {
    value: Indicator,
    /// Lists the other notations in which it was named.
    notations: BTreeSet<String>,
}

impl Asked {
    fn new(value: Indicator, text: &str) -> Self {
        let other = (value.to_string() != text).then(|| text.to_owned());
        Self {
            value,
            notations: other.into_iter().collect(),
        }
    }
}

impl Args {
    /// Returns all values, each once.
    fn asked(&self) -> Result<Vec<Asked>> {
        let mut all = Vec::new();
        for named in &self.values {
            match named {
                Named::Here(asked) => all.push(asked.clone()),
                Named::OnStandardInput => all.extend(values_of(std::io::stdin().lock())?),
            }
        }
        if all.is_empty() {
            return Err(Failure::Usage("there is no value on standard input".into()));
        }
        Ok(each_once(all))
    }
}

/// Returns each value once, with all of its notations.
fn each_once(all: Vec<Asked>) -> Vec<Asked> {
    let mut values: Vec<Asked> = Vec::new();
    let mut places = HashMap::new();
    for asked in all {
        let place = *places.entry(asked.value.clone()).or_insert(values.len());
        match values.get_mut(place) {
            Some(value) => value.notations.extend(asked.notations),
            None => values.push(asked),
        }
    }
    values
}

/// Reads a value from each line that is neither blank nor a comment. A line that is no value is left out with a warning.
fn values_of(lines: impl BufRead) -> Result<Vec<Asked>> {
    /// Limits the lines that are named, as a list may be of something else. The others are counted.
    const MOST_NAMED: u64 = 10;
    let (mut values, mut left_out) = (Vec::new(), 0);
    for (number, line) in (1_u64..).zip(lines.split(b'\n')) {
        let line = line.map_err(|error| Failure::Failed(format!("cannot read standard input: {error}")))?;
        let line = String::from_utf8_lossy(&line);
        let text = line.trim().trim_start_matches('\u{feff}');
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        match feeds::indicator_of_any_notation(text) {
            Ok(value) => values.push(Asked::new(value, text)),
            Err(InvalidValue { value, reason, .. }) => {
                left_out += 1;
                if left_out <= MOST_NAMED {
                    log::warn!("line {number} of standard input is left out: {value:?}: {reason}");
                }
            }
        }
    }
    if left_out > MOST_NAMED {
        let others = counted(left_out - MOST_NAMED, "more line");
        log::warn!("left out of standard input: {others}");
    }
    Ok(values)
}

/// Reads a value. Other words of logs, such as users, are no indicators, and are found in another way.
fn value(text: &str) -> Result<Indicator, String> {
    feeds::indicator_of_any_notation(text).map_err(|error| {
        const MOST_SHOWN: usize = 200;
        let is_value = |part: &str| feeds::indicator_of_any_notation(part.trim()).is_ok();
        if text.contains(',') && text.split(',').all(is_value) {
            return "these are several values: type blanks between them, not commas".to_owned();
        }
        let reason = error.reason;
        match text.len() {
            ..MOST_SHOWN => {
                let quoted = text.replace('\'', r"'\''");
                format!("{reason}; for any other word, such as the name of a user: logstore fetch --has '{quoted}'")
            }
            _ => format!("{reason}; for any other word, such as the name of a user, there is logstore fetch --has"),
        }
    })
}

/// Says what is known of a value, and when logs had it.
#[derive(Debug, Serialize)]
struct Answer {
    #[serde(skip)]
    indicator: Indicator,
    value: String,
    #[serde(rename = "type")]
    indicator_type: IndicatorType,
    logs: u64,
    first_seen: Option<DateTime<Utc>>,
    last_seen: Option<DateTime<Utc>>,
    hosts: BTreeSet<String>,
    intel: Vec<ThreatIntel>,
    /// Lists what was asked for, where it is not the value itself.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    asked_as: BTreeSet<String>,
}

impl Row for Answer {
    const TIMES: &'static [&'static str] = &["first_seen", "last_seen"];

    fn cells(&self, zone: Zone) -> Vec<String> {
        let time = |time: Option<DateTime<Utc>>| time.map(|time| zone.format(time, SecondsFormat::Secs));
        let now = Utc::now();
        let known = self.intel.iter().map(|intel| {
            let expired = match intel.expires_at {
                Some(expiry) if expiry <= now => ", expired",
                _ => "",
            };
            match intel.indicator.to_string() {
                same if same == self.value => format!("{} ({}{expired})", intel.threat_type, intel.source),
                other => format!("{} {other} ({}{expired})", intel.threat_type, intel.source),
            }
        });
        vec![
            self.value.clone(),
            self.logs.to_string(),
            time(self.first_seen).unwrap_or_default(),
            time(self.last_seen).unwrap_or_default(),
            self.hosts_shown(),
            known.collect::<Vec<_>>().join(", "),
        ]
    }
}

const COLUMNS: Columns<'static> = Columns {
    table: Cow::Borrowed(&[
        Column::cut_to(12, "value"),
        Column::whole("logs"),
        Column::whole("first seen"),
        Column::whole("last seen"),
        Column::cut_to(12, "hosts"),
        Column::cut_to(12, "known as"),
    ]),
    csv: &[
        "value",
        "type",
        "logs",
        "first_seen",
        "last_seen",
        "hosts",
        "intel",
        "asked_as",
    ],
};

pub(super) fn run(args: &Args, context: &mut Context) -> Result {
    let asked = args.asked()?;
    let store = context.existing_store()?;
    let known = Known::new(&store, &asked)?;
    let mut answers: Vec<Answer> = asked
        .into_iter()
        .map(|asked| Answer::new(asked, &known))
        .collect();
    // A network has many addresses.
    let is_network = |answer: &&mut Answer| matches!(answer.indicator, Indicator::Cidr(_));
    let (mut networks, mut others): (Vec<_>, Vec<_>) = answers.iter_mut().partition(is_network);
    see(&mut networks, &store)?;
    see(&mut others, &store)?;
    context
        .output
        .rows(&COLUMNS, answers.into_iter().map(Ok))
        .map(drop)
}

/// Adds the logs to the answers of which they hold the value.
fn see(answers: &mut [&mut Answer], store: &DuckDbStore) -> Result<()> {
    if answers.is_empty() {
        return Ok(());
    }
    let intel: Vec<ThreatIntel> = answers
        .iter()
        .map(|answer| ThreatIntel::new(answer.indicator.clone(), "lookup", "lookup"))
        .collect();
    let set = Arc::new(IndicatorSet::new(&intel));
    let mut answers: HashMap<(IndicatorType, String), &mut Answer> = answers
        .iter_mut()
        .map(|answer| ((answer.indicator_type, answer.value.clone()), &mut **answer))
        .collect();
    for log in store.scan_logs_with_observables(&LogQuery::new().order(Order::Any), &set.sought())? {
        let log = log?;
        for found in set.matches(&log) {
            if let Some(answer) = answers.get_mut(&(found.indicator_type, found.indicator)) {
                answer.add(&log);
            }
        }
    }
    Ok(())
}

impl Answer {
    fn new(asked: Asked, known: &Known) -> Self {
        let value = asked.value;
        Self {
            value: value.to_string(),
            indicator_type: value.indicator_type(),
            logs: 0,
            first_seen: None,
            last_seen: None,
            hosts: BTreeSet::new(),
            intel: known.of(&value),
            asked_as: asked.notations,
            indicator: value,
        }
    }

    /// Returns the hosts for people: of many, the first ones and the number of the others.
    fn hosts_shown(&self) -> String {
        const SHOWN: usize = 10;
        let shown: Vec<&str> = self.hosts.iter().take(SHOWN).map(String::as_str).collect();
        let others = self.hosts.len().saturating_sub(SHOWN);
        match others {
            0 => shown.join(", "),
            _ => format!("{} and {others} more", shown.join(", ")),
        }
    }

    fn add(&mut self, log: &LogEntry) {
        self.logs += 1;
        let time = log.event_time;
        self.first_seen = Some(self.first_seen.map_or(time, |first| first.min(time)));
        self.last_seen = Some(self.last_seen.map_or(time, |last| last.max(time)));
        self.hosts.extend(log.host.clone());
    }
}

/// Knows what sources say of values, of the networks that hold them, of the domains above them and of the hosts of URLs.
struct Known {
    named: HashMap<Indicator, Vec<ThreatIntel>>,
    networks: Vec<ThreatIntel>,
}

impl Known {
    fn new(store: &DuckDbStore, asked: &[Asked]) -> Result<Self> {
        /// Limits the indicators that one query names. Of more, those that are stored are found first.
        const MOST_NAMED: usize = 1_000;
        let mut sought: HashSet<Indicator> = asked.iter().flat_map(|asked| around(&asked.value)).collect();
        let has_addresses = sought.iter().any(|value| matches!(value, Indicator::Ip(_)));
        if sought.len() > MOST_NAMED {
            let mut stored = HashSet::new();
            store.read_intel(0, &mut |intel| {
                if sought.contains(&intel.indicator) {
                    stored.insert(intel.indicator);
                }
            })?;
            sought = stored;
        }
        let mut named: HashMap<Indicator, Vec<ThreatIntel>> = HashMap::new();
        for sought in sought.into_iter().collect::<Vec<_>>().chunks(MOST_NAMED) {
            let query = sought
                .iter()
                .cloned()
                .fold(IntelQuery::new(), IntelQuery::indicator);
            for intel in store.fetch_intel(&query)? {
                named.entry(intel.indicator.clone()).or_default().push(intel);
            }
        }
        let networks = match has_addresses {
            true => store.fetch_intel(&IntelQuery::new().indicator_type(IndicatorType::Cidr))?,
            false => Vec::new(),
        };
        Ok(Self { named, networks })
    }

    fn of(&self, value: &Indicator) -> Vec<ThreatIntel> {
        let mut known = Vec::new();
        for indicator in around(value) {
            known.extend(self.named.get(&indicator).into_iter().flatten().cloned());
            if let Indicator::Ip(address) = indicator {
                let holds = |intel: &&ThreatIntel| matches!(intel.indicator, Indicator::Cidr(network) if network.contains(&address));
                known.extend(self.networks.iter().filter(holds).cloned());
            }
        }
        known
    }
}

/// Returns a value, the domains above it, and the host of a URL with the domains above that.
fn around(value: &Indicator) -> Vec<Indicator> {
    let mut all = vec![value.clone()];
    match value {
        Indicator::Domain(name) => {
            let mut rest = name.as_str();
            while let Some((_, above)) = rest.split_once('.')
                && let Ok(domain) = above.parse::<Indicator>()
            {
                all.push(domain);
                rest = above;
            }
        }
        Indicator::Url(_) => {
            if let Some(Ok(host)) = value.host().map(feeds::indicator) {
                all.extend(around(&host));
            }
        }
        _ => {}
    }
    all
}
