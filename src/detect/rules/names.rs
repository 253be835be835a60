//! Numbers for the names that rules have for fields.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::detect::event::write_key;
use crate::detect::routes::{self, ROUTE_NAMES};
use crate::detect::sigma::SigmaRule;
use crate::detect::sigma::expression::Test;

/// Numbers a name that no rule has.
pub(super) const UNKNOWN: u32 = u32::MAX;

/// Limits how many names of fields are remembered: the writer of a log chooses them.
const MOST_NAMES: usize = 10_000;

/// Holds a number for each name that decides about the route of an event, or that a field of a rule may have.
#[derive(Debug)]
pub(super) struct Names {
    /// Holds numbers by the key of the name. The names of routes come first.
    numbers: HashMap<Box<str>, u32, RandomState>,
}

impl Names {
    pub(super) fn new(rules: &[SigmaRule]) -> Self {
        let mut names = Self {
            numbers: HashMap::default(),
        };
        for (key, ..) in ROUTE_NAMES {
            names.add(key);
        }
        for rule in rules {
            rule.detection.for_each_condition(&mut |condition| {
                let other = match &condition.test {
                    Test::Field { name, .. } => Some(name),
                    _ => None,
                };
                for field in condition.field.iter().chain(other) {
                    for key in routes::names_of(field, &rule.log_source) {
                        names.add(&key);
                    }
                }
            });
        }
        names
    }

    fn add(&mut self, key: &str) {
        let next = u32::try_from(self.numbers.len()).expect("the limits of rules allow fewer names");
        if !self.numbers.contains_key(key) {
            self.numbers.insert(key.into(), next);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Returns the number of a name by its key.
    pub(super) fn of_key(&self, key: &str) -> Option<u32> {
        self.numbers.get(key).copied()
    }
}

/// Remembers the numbers of names as events have them.
#[derive(Debug, Default)]
pub(super) struct SeenNames {
    numbers: HashMap<Box<str>, u32, RandomState>,
    key: String,
}

impl SeenNames {
    pub(super) fn number(&mut self, name: &str, names: &Names) -> u32 {
        match self.numbers.get(name) {
            Some(number) => *number,
            None => self.look_up(name, names),
        }
    }

    fn look_up(&mut self, name: &str, names: &Names) -> u32 {
        write_key(name, &mut self.key);
        let number = names.of_key(&self.key).unwrap_or(UNKNOWN);
        if self.numbers.len() < MOST_NAMES {
            self.numbers.insert(name.into(), number);
        }
        number
    }
}
