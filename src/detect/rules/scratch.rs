//! What events taught about the rules for the next ones.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::class::Class;
use super::names::SeenNames;
use super::work::Work;
use crate::detect::routes::RouteParts;

/// Limits how many routes are remembered: the writer of a log chooses its channel.
pub(super) const MOST_ROUTES: usize = 10_000;

/// Holds what is found out about one event, and what was learnt from earlier ones. Its memory is used again for the next
/// event.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Names the set of rules that names and routes were learnt from; `None` before the first event.
    rules: Option<u64>,
    pub(super) names: SeenNames,
    pub(super) routes: SeenRoutes,
    pub(super) work: Work,
}

impl Scratch {
    /// Forgets what another set of rules made of names and routes.
    pub(super) fn begin(&mut self, rules: u64) {
        if self.rules != Some(rules) {
            *self = Self {
                rules: Some(rules),
                ..Self::default()
            };
        }
    }
}

/// Remembers the classes of routes.
#[derive(Debug, Default)]
pub(super) struct SeenRoutes {
    /// Holds the place of the class of each route.
    routes: HashMap<RouteParts<'static>, usize, RandomState>,
    classes: Vec<Arc<Class>>,
    /// Holds the class of a route that is not remembered.
    other: Arc<Class>,
}

impl SeenRoutes {
    /// Returns the class of a route, which a function finds if it is not known yet.
    pub(super) fn class(
        &mut self,
        parts: RouteParts<'_>,
        find: impl FnOnce(&RouteParts<'_>) -> Arc<Class>,
    ) -> &Class {
        let known = self.routes.get(&parts).copied();
        let place = known.unwrap_or_else(|| {
            let class = find(&parts);
            let next = self.classes.len();
            match next < MOST_ROUTES {
                true => {
                    self.routes.insert(parts.into_owned(), next);
                    self.classes.push(class);
                }
                false => self.other = class,
            }
            next
        });
        self.classes.get(place).unwrap_or(&self.other)
    }
}
