//! Many rules, applied to one event after another.
//!
//! Each question of each rule is asked once. For each class of events and each field, one table holds all texts that
//! rules look for in it, so one pass over a value answers them all. A rule is looked at only if one of its
//! *witnesses* holds: questions of which at least one holds in each event that the rule matches.

mod class;
mod field;
mod lazy_regex;
mod lists;
mod names;
mod needles;
mod scratch;
#[cfg(test)]
mod tests;
mod tree;
mod witness;
mod work;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::event::Event;
use super::routes::{ROUTE_NAMES, Route, RouteParts};
use super::sigma::{SigmaFilter, SigmaRule};
use crate::models::LogSource;
use class::Class;
use names::Names;
use scratch::MOST_ROUTES;
pub use scratch::Scratch;

/// Holds the number of the next set of rules.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Holds rules in the form in which they are applied. It does not change, and threads may share it.
///
/// ```
/// use logstore::LogSource;
/// use logstore::detect::{Document, Event, RuleSet, read_yaml};
///
/// let text = "
/// title: Shadow file read
/// logsource: {product: linux, service: auditd}
/// detection:
///   selection: {name: /etc/shadow}
///   condition: selection
/// ";
/// let Document::Rule(rule) = Document::from_json(&read_yaml(text).remove(0)?.value, &|_| None)? else {
///     panic!("it is a rule")
/// };
/// let rules = RuleSet::new([rule]);
/// let source: LogSource = "linux/*/auditd".parse()?;
/// let event = Event::new(source).with("name", "/etc/shadow");
/// let matched: Vec<_> = rules.matches(&event).map(|rule| &*rule.about.title).collect();
/// assert_eq!(matched, ["Shadow file read"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RuleSet {
    /// Tells sets apart, so that a [`Scratch`] knows of which set it has learnt.
    number: u64,
    names: Names,
    rules: Vec<SigmaRule>,
    /// Holds each log source once, with the places of its rules.
    sources: Vec<(LogSource, Vec<usize>)>,
    routes: RwLock<Routes>,
}

#[derive(Default)]
struct Routes {
    by_route: HashMap<Route, Arc<Class>>,
    /// Holds each class once, by the places of its log sources.
    classes: HashMap<Vec<usize>, Arc<Class>>,
}

impl RuleSet {
    /// Takes rules in.
    pub fn new(rules: impl IntoIterator<Item = SigmaRule>) -> Self {
        Self::with_filters(rules, &[])
    }

    /// Takes rules in, and narrows them by filters.
    pub fn with_filters(rules: impl IntoIterator<Item = SigmaRule>, filters: &[SigmaFilter]) -> Self {
        let rules: Vec<SigmaRule> = rules.into_iter().map(|rule| rule.narrowed(filters)).collect();
        let mut places: HashMap<&LogSource, Vec<usize>> = HashMap::new();
        for (place, rule) in rules.iter().enumerate() {
            places.entry(&rule.log_source).or_default().push(place);
        }
        let mut sources: Vec<(LogSource, Vec<usize>)> = places
            .into_iter()
            .map(|(source, places)| (source.clone(), places))
            .collect();
        sources.sort();
        Self {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            names: Names::new(&rules),
            rules,
            sources,
            routes: RwLock::default(),
        }
    }

    /// Returns the rules, in the order in which they were given.
    pub fn rules(&self) -> &[SigmaRule] {
        &self.rules
    }

    /// Returns the rules that match an event. See [`matches_with`](Self::matches_with) for many events.
    pub fn matches(&self, event: &Event<'_>) -> impl Iterator<Item = &SigmaRule> {
        let mut scratch = Scratch::default();
        let places = self.matches_with(event, &mut scratch).to_vec();
        places.into_iter().filter_map(|place| self.rules.get(place))
    }

    /// Returns the places of the rules that match an event, in their order. The memory of `scratch` is used again for
    /// the next event; each thread needs its own.
    pub fn matches_with<'s>(&self, event: &Event<'_>, scratch: &'s mut Scratch) -> &'s [usize] {
        scratch.begin(self.number);
        let Scratch {
            names, routes, work, ..
        } = scratch;
        work.names.clear();
        let parts = RouteParts::of(event, |_, name| {
            let number = names.number(name, &self.names);
            work.names.push(number);
            Some(number as usize).filter(|number| *number < ROUTE_NAMES.len())
        });
        let class = routes.class(parts, |parts| self.class_of(Route::from(parts)));
        if class.asks_for_core() {
            let core = event
                .core()
                .iter()
                .map(|leaf| names.number(&leaf.name, &self.names));
            work.names.extend(core);
        }
        class.evaluate(event, work)
    }

    /// Returns whether any rule is for events of this route.
    pub fn has_rules_for(&self, event: &Event<'_>) -> bool {
        !self.class_of(Route::of(event)).is_empty()
    }

    /// Returns the number of rules for events of this route.
    pub(crate) fn count_for(&self, event: &Event<'_>) -> usize {
        self.class_of(Route::of(event)).len()
    }

    fn class_of(&self, route: Route) -> Arc<Class> {
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(class) = routes.by_route.get(&route) {
            return Arc::clone(class);
        }
        drop(routes);
        let fed = self
            .sources
            .iter()
            .enumerate()
            .filter(|(_, (source, _))| route.feeds(source));
        let fed: Vec<usize> = fed.map(|(place, _)| place).collect();
        let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        let class = match routes.classes.get(&fed) {
            Some(class) => Arc::clone(class),
            None => {
                let class = Arc::new(self.build(&fed));
                routes.classes.insert(fed, Arc::clone(&class));
                class
            }
        };
        if routes.by_route.len() < MOST_ROUTES {
            routes.by_route.insert(route, Arc::clone(&class));
        }
        class
    }

    fn build(&self, sources: &[usize]) -> Class {
        let places = sources.iter().filter_map(|place| self.sources.get(*place));
        let mut places: Vec<usize> = places.flat_map(|(_, places)| places).copied().collect();
        places.sort_unstable();
        let rules = places
            .into_iter()
            .filter_map(|place| Some((place, self.rules.get(place)?)));
        Class::new(rules, &self.names)
    }
}

impl fmt::Debug for RuleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuleSet")
            .field("rules", &self.rules.len())
            .finish_non_exhaustive()
    }
}
