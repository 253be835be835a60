//! Correlations as pure functions of stored hits: no state is kept between batches.
//!
//! A hit is a match of a rule that a correlation names. For each batch, the groups of its new hits are looked at again,
//! with the hits that are stored around them. So a late log is seen in the windows of earlier and later ones, and a
//! restart has nothing to restore. See the [specification] of correlation rules.
//!
//! [specification]: https://github.com/SigmaHQ/sigma-specification

mod exact_sum;
mod numbers;
mod sliding;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, TimeDelta, Utc};

use sliding::Sliding;

use super::event::Event;
use super::meaning;
use super::sigma::{Correlation, CorrelationKind, Refusal};
use crate::models::{Hit, HitRange, LogKey, LogSource, hexadecimal};

/// Limits how many logs of its window a match of a correlation names.
const MOST_RELATED: usize = 100;

/// Holds correlations in an order in which each comes after those that it names.
#[derive(Debug, Default)]
pub(super) struct Correlations {
    list: Vec<Compiled>,
    /// Holds the places of the correlations that name a rule, by the id of the rule.
    by_rule: HashMap<String, Vec<usize>>,
}

#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) correlation: Correlation,
    pub(super) id: String,
    /// Tells versions of the correlation apart, those of its rules included.
    version: String,
    /// Holds the rules that it names, in its order.
    pub(super) rules: Vec<Named>,
}

/// Names a rule that a correlation may name.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) version: String,
}

/// Holds a window of hits in which a correlation holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    /// Names the last log of the window.
    pub(super) log: LogKey,
    pub(super) related: Vec<LogKey>,
    pub(super) group: BTreeMap<String, String>,
}

impl Correlations {
    /// Takes correlations in. Those that name what is not there, or themselves, are refused.
    pub(super) fn new(
        correlations: Vec<(Named, Correlation)>,
        rules: &[Named],
    ) -> (Self, Vec<(String, Refusal)>) {
        let mut waiting = correlations;
        let mut known: Vec<Named> = rules.to_vec();
        let mut made = Self::default();
        let mut refused = Vec::new();
        loop {
            let before = waiting.len();
            let mut left = Vec::new();
            for (mut named, correlation) in waiting {
                let found: Option<Vec<&Named>> = correlation
                    .rules
                    .iter()
                    .map(|wanted| known.iter().find(|rule| rule.is(wanted)))
                    .collect();
                match found {
                    Some(rules) if !correlation.has_known_aliases(&rules) => {
                        let reason = "an alias names a rule that the correlation does not";
                        refused.push((named.id, Refusal::at("aliases", reason)));
                    }
                    Some(rules) => {
                        let rules: Vec<Named> = rules.into_iter().cloned().collect();
                        for rule in &rules {
                            named.version = version_of(&[&named.version, &rule.version]);
                        }
                        made.add(named.clone(), correlation, rules);
                        known.push(named);
                    }
                    None => left.push((named, correlation)),
                }
            }
            waiting = left;
            if waiting.is_empty() || waiting.len() == before {
                break;
            }
        }
        let lost = waiting.into_iter().map(|(named, correlation)| {
            let missing = correlation
                .rules
                .iter()
                .find(|wanted| !known.iter().any(|rule| rule.is(wanted)));
            let reason = format!(
                "the correlation names the rule {:?}, which is not there, is refused, or names it back",
                missing.map_or("", String::as_str)
            );
            (named.id, Refusal::at("rules", reason))
        });
        refused.extend(lost);
        (made, refused)
    }

    fn add(&mut self, named: Named, correlation: Correlation, rules: Vec<Named>) {
        let place = self.list.len();
        for rule in &rules {
            self.by_rule.entry(rule.id.clone()).or_default().push(place);
        }
        self.list.push(Compiled {
            correlation,
            id: named.id,
            version: named.version,
            rules,
        });
    }

    pub(super) fn list(&self) -> &[Compiled] {
        &self.list
    }

    /// Returns whether a rule only serves correlations: some name it, and none wants it to raise alerts of its own.
    pub(super) fn are_served_by(&self, rule: &str) -> bool {
        let mut naming = self.of_rule(rule).peekable();
        naming.peek().is_some() && naming.all(|compiled| !compiled.correlation.generate)
    }

    /// Returns the correlations that name a rule.
    pub(super) fn of_rule(&self, rule: &str) -> impl Iterator<Item = &Compiled> {
        let places = self.by_rule.get(rule).into_iter().flatten();
        places.filter_map(|place| self.list.get(*place))
    }
}

impl Correlation {
    /// Returns whether each alias is of rules that the correlation names.
    fn has_known_aliases(&self, rules: &[&Named]) -> bool {
        let fields = self.aliases.iter().flat_map(|(_, fields)| fields);
        let mut names = fields.map(|field| &field.rule);
        names.all(|name| rules.iter().any(|rule| rule.is(name)))
    }
}

impl Named {
    fn is(&self, wanted: &str) -> bool {
        self.id == wanted || self.name.as_deref() == Some(wanted)
    }
}

impl Compiled {
    /// Returns the hit that a match of a rule is; `None` without a field that the correlation groups by or compares.
    pub(super) fn hit(&self, rule: &str, event: &Event<'_>, source: &LogSource, log: LogKey) -> Option<Hit> {
        let value_of = |field: &str| {
            let values = meaning::values(event, field, source);
            values
                .iter()
                .find_map(|leaf| leaf.value.to_text())
                .map(Cow::into_owned)
        };
        self.hit_with(rule, &value_of, log)
    }

    /// Returns the hit that a window of another correlation is.
    pub(super) fn hit_of(&self, other: &Self, found: &Found) -> Option<Hit> {
        let value_of = |field: &str| found.group.get(field).cloned();
        self.hit_with(&other.id, &value_of, found.log.clone())
    }

    fn hit_with(&self, rule: &str, value_of: &dyn Fn(&str) -> Option<String>, log: LogKey) -> Option<Hit> {
        let field = |name: &str| value_of(self.field_of(name, rule).unwrap_or(name));
        let group: Option<Vec<String>> = self.correlation.group_by.iter().map(|name| field(name)).collect();
        let value = match &*self.correlation.fields {
            [] => None,
            fields => {
                let values: Option<Vec<String>> = fields.iter().map(|name| field(name)).collect();
                let mut values = values?;
                Some(match values.len() {
                    1 => values.remove(0),
                    _ => serde_json::Value::from(values).to_string(),
                })
            }
        };
        Some(Hit {
            correlation_id: self.id.clone(),
            group_key: serde_json::Value::from(group?).to_string(),
            log,
            rule_id: rule.to_owned(),
            rule_version: self.version.clone(),
            value,
        })
    }

    /// Returns the fields of the events of a rule that its hits must have: those that group, and those that count.
    pub(super) fn needed_fields(&self, rule: &str) -> impl Iterator<Item = &str> {
        let names = self.correlation.group_by.iter().chain(&self.correlation.fields);
        names.map(move |name| self.field_of(name, rule).unwrap_or(name))
    }

    /// Returns the field that an alias stands for in the events of a rule.
    fn field_of(&self, alias: &str, rule: &str) -> Option<&str> {
        let (_, fields) = self.correlation.aliases.iter().find(|(name, _)| name == alias)?;
        let named = self.rules.iter().find(|named| named.id == rule)?;
        let field = fields.iter().find(|field| named.is(&field.rule))?;
        Some(&field.field)
    }

    /// Returns the ranges of hits that decide about windows which hold one of the new hits.
    pub(super) fn ranges(&self, new: &[Hit]) -> Vec<HitRange> {
        let ranges = new.iter().map(|hit| {
            let (since, until) = around(hit.log.event_time, self.correlation.timespan);
            HitRange {
                correlation_id: self.id.clone(),
                group_key: hit.group_key.clone(),
                since,
                until,
            }
        });
        HitRange::merged(&ranges.collect::<Vec<_>>())
    }

    /// Finds the windows that end at a hit, hold one of the new hits, and meet the condition.
    pub(super) fn windows(&self, stored: Vec<Hit>, new: &[Hit]) -> Vec<Found> {
        let mut groups: BTreeMap<String, BTreeSet<Hit>> = BTreeMap::new();
        for hit in stored.into_iter().chain(new.iter().cloned()) {
            if hit.rule_version == self.version {
                groups.entry(hit.group_key.clone()).or_default().insert(hit);
            }
        }
        let mut changed: BTreeMap<&str, BTreeSet<DateTime<Utc>>> = BTreeMap::new();
        for hit in new {
            changed
                .entry(&hit.group_key)
                .or_default()
                .insert(hit.log.event_time);
        }
        let mut found = Vec::new();
        for (group, hits) in &groups {
            let Some(changed) = changed.get(group.as_str()) else {
                continue;
            };
            // One log may match several rules: all of them belong to the windows that end at it.
            let mut hits: Vec<&Hit> = hits.iter().collect();
            hits.sort_by(|left, right| (&left.log, &left.rule_id).cmp(&(&right.log, &right.rule_id)));
            self.windows_of_group(&hits, changed, &mut found);
        }
        found
    }

    fn windows_of_group(&self, hits: &[&Hit], changed: &BTreeSet<DateTime<Utc>>, found: &mut Vec<Found>) {
        let span = self.correlation.timespan;
        let sliding = Sliding::new(hits, self.key(), self.order());
        let mut sliding = match self.correlation.kind.compares_numbers() {
            true => sliding.with_numbers(),
            false => sliding,
        };
        for (place, last) in hits.iter().enumerate() {
            let end = last.log.event_time;
            sliding.add();
            while sliding
                .window()
                .first()
                .is_some_and(|hit| hit.log.event_time <= end - span)
            {
                sliding.remove();
            }
            let before = changed.range(..=end).next_back();
            let is_changed = before.is_some_and(|time| *time > end - span);
            // The window ends at the last hit of the log.
            let is_last = hits.get(place + 1).is_none_or(|next| next.log != last.log);
            if is_changed && is_last && self.holds(&sliding) {
                found.push(self.found(sliding.window(), last));
            }
        }
    }

    /// Returns the values that are counted once each.
    fn key(&self) -> fn(&Hit) -> Option<&str> {
        match self.correlation.kind {
            CorrelationKind::ValueCount => |hit| hit.value.as_deref(),
            _ => |hit| Some(&hit.rule_id),
        }
    }

    fn order(&self) -> Vec<&str> {
        match self.correlation.kind {
            CorrelationKind::TemporalOrdered => self.rules.iter().map(|rule| rule.id.as_str()).collect(),
            _ => Vec::new(),
        }
    }

    fn found(&self, window: &[&Hit], last: &Hit) -> Found {
        let values: Vec<String> = serde_json::from_str(&last.group_key).unwrap_or_default();
        let names = self.correlation.group_by.iter().cloned();
        let mut related: Vec<LogKey> = Vec::new();
        for hit in window.iter().rev() {
            if related.len() < MOST_RELATED && related.last() != Some(&hit.log) {
                related.push(hit.log.clone());
            } else if related.len() == MOST_RELATED {
                break;
            }
        }
        Found {
            log: last.log.clone(),
            related,
            group: names.zip(values).collect(),
        }
    }

    /// Returns whether the hits of a window meet the condition.
    fn holds(&self, sliding: &Sliding<'_>) -> bool {
        let result = self.result(sliding);
        sliding.is_in_order()
            && result.is_some_and(|result| {
                let mut thresholds = self.correlation.thresholds.iter();
                thresholds.all(|threshold| threshold.holds(result))
            })
    }

    /// Returns the number that the condition compares.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a window holds fewer hits than a number is exact to"
    )]
    fn result(&self, sliding: &Sliding<'_>) -> Option<f64> {
        let numbers = || sliding.numbers();
        match self.correlation.kind {
            CorrelationKind::EventCount => Some(sliding.logs() as f64),
            CorrelationKind::ValueCount | CorrelationKind::Temporal | CorrelationKind::TemporalOrdered => {
                Some(sliding.keys() as f64)
            }
            CorrelationKind::ValueSum => numbers()?.0.sum(),
            CorrelationKind::ValueAverage => numbers()?.0.mean(),
            CorrelationKind::ValueMedian => numbers()?.0.median(),
            CorrelationKind::ValuePercentile => {
                let (numbers, last) = numbers()?;
                numbers.percentile(last)
            }
        }
    }
}

/// Returns the times of hits that may share a window with one at a time: from since on, and before until.
fn around(time: DateTime<Utc>, span: TimeDelta) -> (DateTime<Utc>, DateTime<Utc>) {
    // A window that ends just before `time + span` begins just after `time`, so hits of twice the span do not matter.
    let since = time.checked_sub_signed(span).unwrap_or(DateTime::<Utc>::MIN_UTC);
    let until = time.checked_add_signed(span).unwrap_or(DateTime::<Utc>::MAX_UTC);
    (since, until)
}

/// Returns a text that is another one for other parts.
pub(super) fn version_of(parts: &[&str]) -> String {
    use sha2::{Digest as _, Sha256};
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let mut version = hexadecimal(&hash.finalize());
    version.truncate(16);
    version
}
