//! Verdicts on rules that name other rules: correlations and filters.

use std::collections::{BTreeSet, HashMap};

use super::correlate::{Compiled, Correlations, Named};
use super::definition::SIGMA;
use super::fields;
use super::reading::{ReadRule, Verdict, verdict};
use super::sigma::{Document, Placeholders, SigmaFilter, SigmaRule};
use crate::models::{DetectionRule, LogSource};

/// Returns the verdict on each of some rules, in their order. Correlations and filters find the rules that they name
/// among them. Rules of other types than [`SIGMA`] are refused.
///
/// `formats` are the log sources of the logs that a store may hold.
pub fn verdicts(
    rules: &[DetectionRule],
    formats: &BTreeSet<LogSource>,
    placeholders: &Placeholders<'_>,
) -> Vec<Verdict> {
    let mut review = Review::default();
    for rule in rules {
        review.read(rule, formats, placeholders);
    }
    review.judge_filters();
    review.judge_correlations();
    let verdicts = rules.iter().map(|rule| review.verdicts.remove(&rule.id));
    verdicts
        .map(|verdict| verdict.unwrap_or_else(|| Verdict::Refused("another rule has its id".to_owned())))
        .collect()
}

/// Judges the correlations and filters among rules that were read. `held` are the rules of a store, which they may name.
pub fn review<'r>(
    read: impl IntoIterator<Item = &'r mut ReadRule>,
    held: &[DetectionRule],
    formats: &BTreeSet<LogSource>,
    placeholders: &Placeholders<'_>,
) {
    let mut read: Vec<&mut ReadRule> = read.into_iter().filter(|read| read.is_usable()).collect();
    if !read.iter().any(|read| read.names_rules()) {
        return;
    }
    let mut rules: Vec<DetectionRule> = read.iter().filter_map(|read| read.rule.clone()).collect();
    let ids: BTreeSet<&str> = read
        .iter()
        .filter_map(|read| Some(read.rule.as_ref()?.id.as_str()))
        .collect();
    let others = held.iter().filter(|rule| !ids.contains(rule.id.as_str()));
    rules.extend(others.cloned());
    let verdicts = verdicts(&rules, formats, placeholders);
    for (read, verdict) in read.iter_mut().zip(verdicts) {
        if read.names_rules() {
            read.set_verdict(verdict);
        }
    }
}

#[derive(Default)]
struct Review {
    verdicts: HashMap<String, Verdict>,
    singles: Vec<(Named, SigmaRule)>,
    filters: Vec<(String, SigmaFilter)>,
    correlations: Vec<(Named, super::sigma::Correlation)>,
}

impl Review {
    fn read(&mut self, rule: &DetectionRule, formats: &BTreeSet<LogSource>, placeholders: &Placeholders<'_>) {
        if rule.rule_type != SIGMA {
            let reason = format!("no detector applies rules of the type {:?}", rule.rule_type);
            self.verdicts.insert(rule.id.clone(), Verdict::Refused(reason));
            return;
        }
        let document = match Document::from_json(&rule.rule_definition, placeholders) {
            Ok(document) => document,
            Err(refusal) => {
                self.verdicts
                    .insert(rule.id.clone(), Verdict::Refused(refusal.reason));
                return;
            }
        };
        self.verdicts
            .insert(rule.id.clone(), verdict(&document, formats).0);
        let named = Named {
            id: rule.id.clone(),
            name: document.about().name.clone(),
            version: String::new(),
        };
        match document {
            Document::Rule(rule) => self.singles.push((named, rule)),
            Document::Correlation(correlation) => self.correlations.push((named, correlation)),
            Document::Filter(filter) => self.filters.push((named.id, filter)),
        }
    }

    fn judge_filters(&mut self) {
        for (id, filter) in &self.filters {
            if self.singles.iter().any(|(_, rule)| filter.applies_to(rule)) {
                continue;
            }
            let source = &filter.log_source;
            let reason = match &*filter.rules {
                [] => format!("the filter narrows no rule: none is for {source}"),
                rules => format!(
                    "the filter narrows no rule: none for {source} has the id or name {}",
                    rules.join(", ")
                ),
            };
            self.verdicts.insert(id.clone(), Verdict::NeverMatches(reason));
        }
    }

    fn judge_correlations(&mut self) {
        let names: Vec<Named> = self.singles.iter().map(|(named, _)| named.clone()).collect();
        let (correlations, lost) = Correlations::new(std::mem::take(&mut self.correlations), &names);
        for (id, refusal) in lost {
            self.verdicts.insert(id, Verdict::Refused(refusal.reason));
        }
        // Each comes after those that it names.
        for correlation in correlations.list() {
            if let Some(verdict) = self.verdict_on(correlation) {
                self.verdicts.insert(correlation.id.clone(), verdict);
            }
        }
    }

    /// Returns the verdict on a correlation that too few of its rules can ever serve.
    fn verdict_on(&self, correlation: &Compiled) -> Option<Verdict> {
        let verdict = |rule: &Named| match self.verdicts.get(&rule.id)? {
            Verdict::Works => {
                let fault = self.missing_field(correlation, rule)?;
                Some(Verdict::NeverMatches(format!(
                    "it groups or counts by a field that no match of its rule {} has: {fault}",
                    rule.id
                )))
            }
            verdict => {
                let reason = verdict.reason().unwrap_or_default();
                let reason = format!("its rule {} finds nothing ({verdict}): {reason}", rule.id);
                Some(match verdict {
                    Verdict::NeverRouted(_) => Verdict::NeverRouted(reason),
                    _ => Verdict::NeverMatches(reason),
                })
            }
        };
        let ids: BTreeSet<&str> = correlation.rules.iter().map(|rule| rule.id.as_str()).collect();
        let rules = correlation.rules.iter();
        let dead: Vec<(&str, Verdict)> = rules
            .filter_map(|rule| Some((rule.id.as_str(), verdict(rule)?)))
            .collect();
        let dead_ids: BTreeSet<&str> = dead.iter().map(|(id, _)| *id).collect();
        match correlation.correlation.can_hold_with(ids.len() - dead_ids.len()) {
            true => None,
            false => dead.into_iter().next().map(|(_, verdict)| verdict),
        }
    }

    /// Says which field that a correlation groups by or counts is in no log of a rule.
    fn missing_field(&self, correlation: &Compiled, named: &Named) -> Option<String> {
        let (_, rule) = self.singles.iter().find(|(single, _)| single.id == named.id)?;
        correlation
            .needed_fields(&named.id)
            .find_map(|field| fields::unknown(rule, field))
    }
}
