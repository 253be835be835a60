//! Logs in, matches and hits out.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use chrono::TimeDelta;

use super::correlate::{Compiled, Correlations, Found, Named, version_of};
use super::definition::{SIGMA, own_definition};
use super::event::Event;
use super::indicators::IndicatorSet;
use super::routes::{self, Route};
use super::rules::{RuleSet, Scratch};
use super::sigma::{Document, Placeholders, Refusal, SigmaFilter, SigmaRule};
use crate::models::{DetectionRule, Detections, Hit, HitRange, LogEntry, Match, Severity};

/// Finds a match in a log by a caller's own means.
type OwnDetector = Box<dyn Fn(&LogEntry) -> Option<Match> + Send + Sync>;

/// Applies rules to logs, and correlations to the hits of rules. It keeps nothing between calls.
///
/// ```
/// use logstore::detect::{Detector, SIGMA};
/// use logstore::{DetectionRule, LogEntry, Severity};
/// use serde_json::json;
///
/// let rule = DetectionRule::new("Shadow file read", SIGMA, json!({
///     "title": "Shadow file read",
///     "logsource": {"product": "linux", "service": "auditd"},
///     "detection": {"selection": {"name": "/etc/shadow"}, "condition": "selection"},
///     "level": "high",
/// }));
/// let (detector, refused) = Detector::new(&[rule], &|_| None);
/// assert!(refused.is_empty());
///
/// let mut log = LogEntry::new(chrono::Utc::now()).with_field("name", "/etc/shadow");
/// log.metadata.insert("logsource".into(), json!({"product": "linux", "service": "auditd"}));
/// let detections = detector.detect(&[log], |_| Ok::<_, std::convert::Infallible>(Vec::new()))?;
/// assert_eq!(detections.matches[0].severity, Severity::High);
/// # Ok::<(), std::convert::Infallible>(())
/// ```
pub struct Detector {
    rules: RuleSet,
    /// Holds what is to be done with the matches of each rule, at its place in the set.
    uses: Vec<RuleUse>,
    correlations: Correlations,
    min_level: Severity,
    window: TimeDelta,
    own: Vec<OwnDetector>,
    indicators: Arc<IndicatorSet>,
    receiver: Option<String>,
}

/// Says what is to be done with the matches of a rule.
#[derive(Debug)]
struct RuleUse {
    id: String,
    version: String,
    /// Says whether the rule only serves correlations.
    is_part: bool,
}

/// Says why a stored rule is not applied.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RefusedRule {
    /// Names the rule.
    pub id: String,
    /// Says why.
    pub refusal: Refusal,
}

impl Detector {
    /// Takes the rules of the type [`SIGMA`] in, and says which of them cannot be applied. Rules of other types are left
    /// out. `placeholders` gives the values of names for the modifier `expand`.
    pub fn new(rules: &[DetectionRule], placeholders: &Placeholders<'_>) -> (Self, Vec<RefusedRule>) {
        let mut refused = Vec::new();
        let (mut singles, mut correlations, mut filters) = (Vec::new(), Vec::new(), Vec::new());
        for rule in rules.iter().filter(|rule| rule.rule_type == SIGMA) {
            let version = version_of(&[&own_definition(&rule.rule_definition).to_string()]);
            match Document::from_json(&rule.rule_definition, placeholders) {
                Ok(document) => {
                    let name = document.about().name.clone();
                    let named = Named {
                        id: rule.id.clone(),
                        name,
                        version,
                    };
                    match document {
                        Document::Rule(rule) => singles.push((named, rule)),
                        Document::Correlation(correlation) => correlations.push((named, correlation)),
                        Document::Filter(filter) => filters.push(filter),
                    }
                }
                Err(refusal) => refused.push(RefusedRule {
                    id: rule.id.clone(),
                    refusal,
                }),
            }
        }
        let names: Vec<Named> = singles.iter().map(|(named, _)| named.clone()).collect();
        let (correlations, lost) = Correlations::new(correlations, &names);
        refused.extend(lost.into_iter().map(|(id, refusal)| RefusedRule { id, refusal }));
        (Self::of(singles, &filters, correlations), refused)
    }

    fn of(singles: Vec<(Named, SigmaRule)>, filters: &[SigmaFilter], correlations: Correlations) -> Self {
        let uses = singles.iter().map(|(named, _)| RuleUse {
            is_part: correlations.are_served_by(&named.id),
            id: named.id.clone(),
            version: named.version.clone(),
        });
        let uses = uses.collect();
        Self {
            rules: RuleSet::with_filters(singles.into_iter().map(|(_, rule)| rule), filters),
            uses,
            correlations,
            min_level: Severity::Low,
            window: TimeDelta::hours(1),
            own: Vec::new(),
            indicators: Arc::default(),
            receiver: None,
        }
    }

    /// Sets the least severity of alerts. Matches below leave hits only. By default, informational ones do.
    #[must_use]
    pub fn min_level(self, min_level: Severity) -> Self {
        Self { min_level, ..self }
    }

    /// Sets the length of the windows of event time in which matches that are alike are counted in one alert: 1 h.
    #[must_use]
    pub fn window(self, window: TimeDelta) -> Self {
        Self { window, ..self }
    }

    /// Lets new alerts wait for their delivery to a receiver: see
    /// [`AlertStore::undelivered_alerts`](crate::AlertStore::undelivered_alerts).
    #[must_use]
    pub fn deliver_to(self, receiver: impl Into<String>) -> Self {
        Self {
            receiver: Some(receiver.into()),
            ..self
        }
    }

    /// Adds a detector of the caller's own. It sees every log.
    #[must_use]
    pub fn with(mut self, detector: impl Fn(&LogEntry) -> Option<Match> + Send + Sync + 'static) -> Self {
        self.own.push(Box::new(detector));
        self
    }

    /// Sets the indicators that are looked for in every log. An alert is for an indicator, a host and a day.
    pub fn set_indicators(&mut self, indicators: Arc<IndicatorSet>) {
        self.indicators = indicators;
    }

    /// Returns the rules on single events.
    pub fn rules(&self) -> &RuleSet {
        &self.rules
    }

    /// Returns words of which one is in each log that a rule matches; `None` if there are no such words, or too many of
    /// them.
    pub(super) fn words(&self) -> Option<Vec<String>> {
        // More words take longer than the rules.
        const MOST_WORDS: usize = 64;
        if !self.own.is_empty() {
            return None;
        }
        let mut words = BTreeSet::new();
        for rule in self.rules.rules() {
            words.extend(rule.words()?);
        }
        (!words.is_empty() && words.len() <= MOST_WORDS).then(|| words.into_iter().collect())
    }

    /// Returns the indicators if nothing else is looked for.
    pub(super) fn only_indicators(&self) -> Option<&Arc<IndicatorSet>> {
        let is_alone = self.own.is_empty() && self.rules.rules().is_empty();
        is_alone.then_some(&self.indicators)
    }

    /// Finds what rules and correlations look for. `stored` gives the hits that a store holds in some ranges.
    ///
    /// # Errors
    ///
    /// Those of `stored`.
    pub fn detect<E>(
        &self,
        logs: &[LogEntry],
        stored: impl FnMut(&[HitRange]) -> Result<Vec<Hit>, E>,
    ) -> Result<Detections, E> {
        let mut detections = Detections {
            receiver: self.receiver.clone(),
            ..Detections::default()
        };
        let mut scratch = Scratch::default();
        for log in logs {
            self.apply(log, &mut scratch, &mut detections);
        }
        self.correlate(&mut detections, stored)?;
        Ok(detections)
    }

    /// Applies the rules to one log.
    pub(super) fn apply(&self, log: &LogEntry, scratch: &mut Scratch, detections: &mut Detections) {
        let own = self.own.iter().filter_map(|own| own(log));
        // Indicators alone need not name the fields of most logs.
        if self.rules.rules().is_empty() {
            detections.matches.extend(own);
            return detections.matches.extend(self.indicators.alerts_of(log));
        }
        let event = Event::from_log(log);
        self.apply_rules(&event, log, scratch, detections);
        detections.matches.extend(own);
        detections.matches.extend(self.indicators.alerts(&event, log));
    }

    fn apply_rules(
        &self,
        event: &Event<'_>,
        log: &LogEntry,
        scratch: &mut Scratch,
        detections: &mut Detections,
    ) {
        for place in self.rules.matches_with(event, scratch) {
            let (Some(rule), Some(used)) = (self.rules.rules().get(*place), self.uses.get(*place)) else {
                continue;
            };
            let correlations = self.correlations.of_rule(&used.id);
            let hits = correlations
                .filter_map(|correlation| correlation.hit(&used.id, event, &rule.log_source, log.key()));
            detections.hits.extend(hits);
            let severity = rule.about.severity();
            if severity >= self.min_level && !used.is_part {
                let found = Match::new(&used.id, severity, log).with_title(title(rule, event));
                let found = found.with_tags(&rule.about.tags).with_window(self.window);
                detections.matches.push(found);
            } else {
                detections.hits.push(hit_of_rule(used, log));
            }
        }
    }

    /// Applies the correlations to the hits of rules. The hits of one correlation may be those of another.
    pub(super) fn correlate<E>(
        &self,
        detections: &mut Detections,
        mut stored: impl FnMut(&[HitRange]) -> Result<Vec<Hit>, E>,
    ) -> Result<(), E> {
        if self.correlations.list().is_empty() {
            return Ok(());
        }
        let mut new: HashMap<String, BTreeSet<Hit>> = HashMap::new();
        for hit in &detections.hits {
            new.entry(hit.correlation_id.clone())
                .or_default()
                .insert(hit.clone());
        }
        for correlation in self.correlations.list() {
            let Some(hits) = new.remove(&correlation.id) else {
                continue;
            };
            let hits: Vec<Hit> = hits.into_iter().collect();
            let around = stored(&correlation.ranges(&hits))?;
            for found in correlation.windows(around, &hits) {
                for other in self.correlations.of_rule(&correlation.id) {
                    if let Some(hit) = other.hit_of(correlation, &found) {
                        detections.hits.push(hit.clone());
                        new.entry(hit.correlation_id.clone()).or_default().insert(hit);
                    }
                }
                self.report(correlation, found, detections);
            }
        }
        Ok(())
    }

    fn report(&self, correlation: &Compiled, found: Found, detections: &mut Detections) {
        let about = &correlation.correlation.about;
        let severity = about.severity();
        if severity < self.min_level || self.correlations.are_served_by(&correlation.id) {
            return;
        }
        let mut found_match = Match::of_key(&correlation.id, severity, found.log)
            .with_title(&about.title)
            .with_tags(&about.tags)
            .found_by("correlation", SIGMA)
            .with_related(found.related)
            .with_window(self.window);
        for (name, value) in &found.group {
            found_match = with_role(found_match, name, value);
        }
        detections.matches.push(found_match.with_group(found.group));
    }
}

/// Returns the title of an alert: it says whether the security log stands in for Sysmon.
fn title<'r>(rule: &'r SigmaRule, event: &Event<'_>) -> Cow<'r, str> {
    let title = &rule.about.title;
    let is_for_processes = rule.log_source.category.as_deref() == Some("process_creation");
    match is_for_processes && routes::has_security_4688() && Route::of(event).is_security_4688() {
        true => format!("{title} (security event 4688)").into(),
        false => title.into(),
    }
}

/// Sets the column of an alert that a field of the group is.
fn with_role(found: Match, name: &str, value: &str) -> Match {
    match name.to_ascii_lowercase().as_str() {
        "user" | "username" | "targetusername" | "subjectusername" | "user.name" => found.with_user(value),
        "computer" | "computername" | "host" | "hostname" | "host.name" => found.with_host(value),
        "src_ip" | "sourceip" | "source_ip" | "source.ip" | "ipaddress" | "c-ip" => {
            found.with_source_ip(value)
        }
        _ => found,
    }
}

/// Returns the hit by which a match without an alert is counted: under the rule's own id.
fn hit_of_rule(used: &RuleUse, log: &LogEntry) -> Hit {
    Hit {
        correlation_id: used.id.clone(),
        group_key: String::new(),
        log: log.key(),
        rule_id: used.id.clone(),
        rule_version: used.version.clone(),
        value: None,
    }
}

impl std::fmt::Debug for Detector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Detector")
            .field("rules", &self.rules)
            .field("correlations", &self.correlations.list().len())
            .finish_non_exhaustive()
    }
}
