//! Reads lists with an indicator on each line, hosts files and the lists of ad blockers.

use std::net::IpAddr;

use serde_json::{Map, Value};

use super::entry::{Collector, Entry};
use super::{FeedFormat, value};
use crate::models::Indicator;

pub(super) fn read(text: &str, collector: &mut Collector<'_>) -> FeedFormat {
    for (number, line) in (1..).zip(text.lines()) {
        self::line(number, line.trim(), collector);
    }
    FeedFormat::List
}

fn line(number: u64, line: &str, collector: &mut Collector<'_>) {
    if is_comment(line) {
        return;
    }
    let line = without_comment(line);
    if let Some(names) = names_of_hosts_line(line) {
        for name in names {
            collector.take(Some(number), of_value(name));
        }
    } else if value::indicators(line, None).is_ok() {
        // A range has blanks around its hyphen.
        collector.take(Some(number), of_value(line));
    } else {
        let (first, rest) = split_first(line);
        let score = rest.trim().parse::<u64>().ok();
        let mut entry = of_value(first);
        entry.metadata = Map::from_iter(score.map(|score| ("score".to_owned(), Value::from(score))));
        collector.take(Some(number), entry);
    }
}

fn of_value(value: &str) -> Entry<'_> {
    Entry {
        value,
        ..Entry::default()
    }
}

/// Returns whether a line is empty or a comment. `[Adblock Plus 2.0]` is the header of a list of ad blockers.
pub(super) fn is_comment(line: &str) -> bool {
    let is_header = || line.starts_with("[A") && line.ends_with(']');
    line.is_empty()
        || ["#", ";", "//", "!", "<!--"]
            .iter()
            .any(|mark| line.starts_with(mark))
        || is_header()
}

/// Cuts off what follows a blank and the mark of a comment.
fn without_comment(line: &str) -> &str {
    let marks = [" #", "\t#", " ;", "\t;", " //", "\t//"];
    let end = marks.iter().filter_map(|mark| line.find(mark)).min();
    line[..end.unwrap_or(line.len())].trim_end()
}

/// Splits off the first word. Counts, places and comments follow it.
fn split_first(line: &str) -> (&str, &str) {
    let end = line.find([' ', '\t', ',', ';', '#']).unwrap_or(line.len());
    let (first, rest) = line.split_at(end);
    (first, rest.trim_start_matches([' ', '\t', ',', ';', '#']))
}

/// Returns the names after the address of a line in a hosts file, such as `0.0.0.0 evil.example`.
///
/// The address is a sink, and no indicator. Names of the machine itself are left out.
fn names_of_hosts_line(line: &str) -> Option<impl Iterator<Item = &str>> {
    const OWN: [&str; 9] = [
        "localhost",
        "localhost.localdomain",
        "localhost6",
        "localhost6.localdomain6",
        "local",
        "broadcasthost",
        "ip6-localhost",
        "ip6-loopback",
        "0.0.0.0",
    ];
    let mut words = line.split_ascii_whitespace();
    let address = words.next()?;
    let address: IpAddr = address
        .split_once('%')
        .map_or(address, |(address, _)| address)
        .parse()
        .ok()?;
    let is_sink = address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || matches!(address, IpAddr::V4(v4) if v4.is_broadcast())
        || matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
    let is_own = |name: &&str| OWN.contains(name) || name.starts_with("ip6-");
    let has_name = words
        .clone()
        .next()
        .is_some_and(|name| is_own(&name) || is_name(name));
    (is_sink && has_name).then(|| words.filter(move |name| !is_own(name)))
}

fn is_name(word: &str) -> bool {
    matches!(word.parse(), Ok(Indicator::Domain(_)))
}
