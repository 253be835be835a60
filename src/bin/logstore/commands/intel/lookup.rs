//! `logstore intel lookup`: what is known of a value, and where logs have it.

use std::borrow::Cow;
use std::collections::BTreeSet;

use chrono::{DateTime, SecondsFormat, Utc};
use logstore::detect::IndicatorSet;
use logstore::feeds;
use logstore::time::Zone;
use logstore::{
    DuckDbStore, Filter, Indicator, IndicatorType, IntelQuery, IntelStore as _, LogEntry, LogQuery,
    LogStore as _, Operator, Pattern, ThreatIntel,
};
use serde::Serialize;

use crate::Result;
use crate::context::Context;
use crate::output::{Columns, Row};
use crate::table::Column;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Addresses, networks, domains, URLs, e-mail addresses or file hashes; they may be defanged, encoded, or numbers
    #[arg(required = true, value_parser = value)]
    values: Vec<Indicator>,
}

/// Reads a value. Other words of logs, such as users, are no indicators, and are found in another way.
fn value(text: &str) -> Result<Indicator, String> {
    feeds::indicator_of_any_notation(text).map_err(|error| {
        let reason = error.reason;
        format!("{reason}; for any other word, such as the name of a user: logstore fetch --has '{text}'")
    })
}

/// Says what is known of a value, and when logs had it.
#[derive(Debug, Serialize)]
struct Answer {
    value: String,
    #[serde(rename = "type")]
    indicator_type: IndicatorType,
    logs: u64,
    first_seen: Option<DateTime<Utc>>,
    last_seen: Option<DateTime<Utc>>,
    hosts: BTreeSet<String>,
    intel: Vec<ThreatIntel>,
}

impl Row for Answer {
    const TIMES: &'static [&'static str] = &["first_seen", "last_seen"];

    fn cells(&self, zone: Zone) -> Vec<String> {
        let time = |time: Option<DateTime<Utc>>| time.map(|time| zone.format(time, SecondsFormat::Secs));
        let known = self.intel.iter().map(|intel| match intel.indicator.to_string() {
            same if same == self.value => format!("{} ({})", intel.threat_type, intel.source),
            other => format!("{} {other} ({})", intel.threat_type, intel.source),
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
    ],
};

pub(super) fn run(args: &Args, context: &mut Context) -> Result {
    let store = context.existing_store()?;
    let answers = args.values.iter().map(|value| answer(value, &store));
    let answers = answers.collect::<Result<Vec<_>>>()?;
    context
        .output
        .rows(&COLUMNS, answers.into_iter().map(Ok))
        .map(drop)
}

fn answer(value: &Indicator, store: &DuckDbStore) -> Result<Answer> {
    let mut answer = Answer {
        value: value.to_string(),
        indicator_type: value.indicator_type(),
        logs: 0,
        first_seen: None,
        last_seen: None,
        hosts: BTreeSet::new(),
        intel: known(value, store)?,
    };
    let set = IndicatorSet::new([&ThreatIntel::new(value.clone(), "lookup", "lookup")]);
    for log in store.scan_logs(&may_hold(value)?)? {
        let log = log?;
        if !set.matches(&log).is_empty() {
            answer.add(log);
        }
    }
    Ok(answer)
}

impl Answer {
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

    fn add(&mut self, log: LogEntry) {
        self.logs += 1;
        let time = log.event_time;
        self.first_seen = Some(self.first_seen.map_or(time, |first| first.min(time)));
        self.last_seen = Some(self.last_seen.map_or(time, |last| last.max(time)));
        self.hosts.extend(log.host);
    }
}

/// Returns a query for all logs that may hold a value, in its usual notations.
///
/// `match` reads every log, and finds a few more: names in letters of full width.
fn may_hold(value: &Indicator) -> Result<LogQuery> {
    let host = value.host().and_then(|host| host.parse().ok());
    let name = match (value, &host) {
        // A network has many addresses.
        (Indicator::Cidr(_), _) => return Ok(LogQuery::new()),
        (Indicator::Ip(address), _) | (Indicator::Url(_), Some(Indicator::Ip(address))) => {
            return Ok(LogQuery::new().has(address.to_string())?);
        }
        (Indicator::Domain(name) | Indicator::Email(name), _)
        | (Indicator::Url(_), Some(Indicator::Domain(name))) => name.clone(),
        (Indicator::Url(url), _) => value.host().unwrap_or(url).to_owned(),
        (other, _) => other.to_string(),
    };
    Ok(LogQuery::new().filter(has_name(&name)?))
}

/// Returns a filter for the logs that may hold a domain, an e-mail address at one, or a file hash.
///
/// Of an international name, letters may be decomposed: its longest part in ASCII is in each spelling. Any log may hold a
/// name without letters and digits, such as the host of `http://-/`.
fn has_name(name: &str) -> Result<Filter> {
    if !name.contains(char::is_alphanumeric) {
        return Ok(Filter::default());
    }
    let has = |name: &str| Filter::condition("any", Operator::has(name));
    let (unicode, is_valid) = idna::domain_to_unicode(name);
    let parts = unicode.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let longest = parts.max_by_key(|part| part.len()).unwrap_or_default();
    if is_valid.is_err() || unicode.is_ascii() || longest.is_empty() {
        return Ok(has(name)?);
    }
    let part = Pattern::literal_ignoring_case(longest)?;
    let part = Filter::condition("text", Operator::Matches(part))?;
    Ok(Filter::any([has(name)?, has(&unicode)?, part])?)
}

/// Returns what sources say of a value, of the networks that hold it, of the domains above it and of the host of a URL.
fn known(value: &Indicator, store: &DuckDbStore) -> Result<Vec<ThreatIntel>> {
    let mut known = store.fetch_intel(&IntelQuery::new().indicator(value.clone()))?;
    match value {
        Indicator::Ip(address) => {
            let networks = store.fetch_intel(&IntelQuery::new().indicator_type(IndicatorType::Cidr))?;
            let holds = |intel: &ThreatIntel| matches!(intel.indicator, Indicator::Cidr(network) if network.contains(address));
            known.extend(networks.into_iter().filter(holds));
        }
        Indicator::Domain(name) => {
            let mut rest = name.as_str();
            while let Some((_, above)) = rest.split_once('.')
                && let Ok(domain) = above.parse::<Indicator>()
            {
                known.extend(store.fetch_intel(&IntelQuery::new().indicator(domain))?);
                rest = above;
            }
        }
        Indicator::Url(_) => {
            if let Some(Ok(host)) = value.host().map(feeds::indicator) {
                known.extend(self::known(&host, store)?);
            }
        }
        _ => {}
    }
    Ok(known)
}
