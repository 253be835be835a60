//! The rules for one class of events.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use regex::Regex;

use super::field::{FieldBuilder, FieldTests, compiled};
use super::scratch::Scratch;
use super::tree::Tree;
use super::witness::{self, Witness};
use crate::detect::event::{Event, Leaf, Scalar, field_key, write_key};
use crate::detect::routes;
use crate::detect::sigma::SigmaRule;
use crate::detect::sigma::expression::{Condition, Expression, Test};
use crate::models::LogSource;

/// Holds the rules for events that feed the same log sources.
#[derive(Debug, Default)]
pub(super) struct Class {
    rules: Vec<ClassRule>,
    /// Holds the fields that have a name, by the name.
    names: HashMap<Box<str>, Vec<u32>, RandomState>,
    fields: Vec<FieldTests>,
    /// Holds the questions about every value.
    keywords: Option<FieldTests>,
    /// Holds, for each question, the rules that it is a witness of.
    watchers: Vec<Vec<u32>>,
    /// Holds the rules without a witness.
    always: Vec<u32>,
    asked: Vec<Asked>,
}

#[derive(Debug)]
struct ClassRule {
    place: usize,
    tree: Tree,
}

/// Holds a question that is asked only when a rule needs its answer.
#[derive(Debug)]
struct Asked {
    field: Option<u32>,
    other: Option<u32>,
    test: Test,
    regex: Option<Regex>,
}

impl Class {
    pub(super) fn new<'r>(rules: impl Iterator<Item = (usize, &'r SigmaRule)>) -> Self {
        let mut builder = Builder::default();
        for (place, rule) in rules {
            builder.add(place, rule);
        }
        builder.build()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Finds the rules that match an event.
    pub(super) fn evaluate<'s>(&self, event: &Event<'_>, scratch: &'s mut Scratch) -> &'s [usize] {
        scratch.begin(self.watchers.len(), self.rules.len());
        if !self.is_empty() {
            self.answer_fields(event, scratch);
            self.answer_keywords(event, scratch);
            for rule in &self.always {
                scratch.choose(*rule);
            }
            self.look(event, scratch);
        }
        &scratch.matched
    }

    fn answer_fields(&self, event: &Event<'_>, scratch: &mut Scratch) {
        for (place, leaf) in (0..).zip(&event.leaves) {
            write_key(&leaf.name, &mut scratch.key);
            let Some(fields) = self.names.get(scratch.key.as_str()) else {
                continue;
            };
            let mut is_folded = false;
            for field in fields {
                scratch.values.push((*field, place));
                let Some(tests) = self.fields.get(*field as usize) else {
                    continue;
                };
                if let Some(question) = tests.present {
                    self.yes(question, scratch);
                }
                if tests.asks_for_presence_only() {
                    continue;
                }
                self.answer(tests, &leaf.value, &mut is_folded, scratch);
            }
        }
    }

    fn answer_keywords(&self, event: &Event<'_>, scratch: &mut Scratch) {
        let Some(tests) = &self.keywords else { return };
        for value in event.written_values() {
            self.answer(tests, &value, &mut false, scratch);
        }
    }

    /// Answers the questions about one value. It is folded once for all fields that have it.
    fn answer(&self, tests: &FieldTests, value: &Scalar<'_>, is_folded: &mut bool, scratch: &mut Scratch) {
        if *value == Scalar::Null {
            return;
        }
        let mut folded = std::mem::take(&mut scratch.folded);
        if !*is_folded {
            fold(value, &mut folded);
            *is_folded = true;
        }
        let exact = match value {
            Scalar::Text(text) => text,
            _ => folded.as_str(),
        };
        tests.answer(&folded, exact, &mut |question| self.yes(question, scratch));
        scratch.folded = folded;
    }

    fn yes(&self, question: u32, scratch: &mut Scratch) {
        if scratch.answer(question)
            && let Some(rules) = self.watchers.get(question as usize)
        {
            for rule in rules {
                scratch.choose(*rule);
            }
        }
    }

    /// Looks at the rules of which a witness holds.
    fn look(&self, event: &Event<'_>, scratch: &mut Scratch) {
        let candidates = std::mem::take(&mut scratch.candidates);
        let mut matched = std::mem::take(&mut scratch.matched);
        for rule in candidates
            .iter()
            .filter_map(|rule| self.rules.get(*rule as usize))
        {
            let known = |question| scratch.holds(question);
            let ask = |place: u32| self.ask(place, event, scratch);
            if rule.tree.holds(&known, &ask) {
                matched.push(rule.place);
            }
        }
        matched.sort_unstable();
        scratch.matched = matched;
        scratch.candidates = candidates;
    }

    fn ask(&self, place: u32, event: &Event<'_>, scratch: &Scratch) -> bool {
        let Some(asked) = self.asked.get(place as usize) else {
            return false;
        };
        let Some(field) = asked.field else {
            return event.written_values().any(|value| asked.holds_for(&value));
        };
        let values = |field: u32| {
            let places = scratch.values.iter().filter(move |(held, _)| *held == field);
            places.filter_map(|(_, place)| event.leaves.get(*place as usize))
        };
        match (&asked.test, asked.other) {
            (Test::Exists, _) => values(field).next().is_some(),
            (Test::Null, _) => values(field).all(|leaf| leaf.value == Scalar::Null),
            (test @ Test::Field { .. }, Some(other)) => {
                let (own, others): (Vec<&Leaf<'_>>, Vec<&Leaf<'_>>) =
                    (values(field).collect(), values(other).collect());
                test.holds_between(&own, &others)
            }
            _ => values(field).any(|leaf| asked.holds_for(&leaf.value)),
        }
    }
}

impl Asked {
    fn holds_for(&self, value: &Scalar<'_>) -> bool {
        match &self.regex {
            Some(regex) => value.to_text().is_some_and(|text| regex.is_match(&text)),
            None => self.test.holds_for(value),
        }
    }
}

/// Writes a value as text without letter case.
fn fold(value: &Scalar<'_>, folded: &mut String) {
    folded.clear();
    match value {
        Scalar::Text(text) if text.is_ascii() => {
            folded.push_str(text);
            folded.make_ascii_lowercase();
        }
        Scalar::Text(text) => folded.push_str(&text.to_lowercase()),
        other => folded.push_str(&other.to_text().unwrap_or_default()),
    }
}

/// Collects the questions of rules.
#[derive(Default)]
struct Builder {
    rules: Vec<ClassRule>,
    names: HashMap<Box<str>, Vec<u32>, RandomState>,
    places_of_fields: HashMap<Vec<String>, u32>,
    fields: Vec<FieldBuilder>,
    keywords: FieldBuilder,
    known: HashMap<(Option<u32>, Test), u32>,
    /// Holds how often each question may hold, as a share of events.
    costs: Vec<f64>,
    asked: Vec<Asked>,
    places_of_asked: HashMap<(Option<u32>, Test), u32>,
}

impl Builder {
    fn add(&mut self, place: usize, rule: &SigmaRule) {
        let tree = self.tree(&rule.detection, &rule.log_source);
        self.rules.push(ClassRule { place, tree });
    }

    fn tree(&mut self, expression: &Expression, source: &LogSource) -> Tree {
        match expression {
            Expression::All(parts) => Tree::All(parts.iter().map(|part| self.tree(part, source)).collect()),
            Expression::Any(parts) => Tree::Any(parts.iter().map(|part| self.tree(part, source)).collect()),
            Expression::Not(inner) => Tree::Not(Box::new(self.tree(inner, source))),
            Expression::Condition(condition) => self.question(condition, source),
        }
    }

    fn question(&mut self, condition: &Condition, source: &LogSource) -> Tree {
        let field = condition.field.as_deref().map(|name| self.field(name, source));
        let key = (field, condition.test.clone());
        if let Some(question) = self.known.get(&key) {
            return Tree::Known(*question);
        }
        let question = self.next_question();
        let tests = match field {
            Some(field) => self.fields.get_mut(field as usize),
            None => Some(&mut self.keywords),
        };
        if tests.is_some_and(|tests| tests.add(question, &condition.test)) {
            self.costs.push(cost(condition));
            self.known.insert(key, question);
            return Tree::Known(question);
        }
        let other = match &condition.test {
            Test::Field { name, .. } => Some(self.field(name, source)),
            _ => None,
        };
        self.asked(key, other)
    }

    fn asked(&mut self, key: (Option<u32>, Test), other: Option<u32>) -> Tree {
        let asked = &mut self.asked;
        let place = *self
            .places_of_asked
            .entry(key)
            .or_insert_with_key(|(field, test)| {
                let regex = match test {
                    Test::Regex(pattern) => compiled(pattern),
                    _ => None,
                };
                asked.push(Asked {
                    field: *field,
                    other,
                    test: test.clone(),
                    regex,
                });
                number(asked.len() - 1)
            });
        Tree::Asked(place)
    }

    fn next_question(&self) -> u32 {
        number(self.costs.len())
    }

    fn field(&mut self, name: &str, source: &LogSource) -> u32 {
        let names = routes::names_of(name, source);
        if let Some(field) = self.places_of_fields.get(&names) {
            return *field;
        }
        let field = number(self.fields.len());
        self.fields.push(FieldBuilder::default());
        for name in &names {
            self.names.entry(name.as_str().into()).or_default().push(field);
        }
        self.places_of_fields.insert(names, field);
        field
    }

    /// Returns the question whether a field is there.
    fn presence(&mut self, field: u32) -> Option<u32> {
        let question = self.next_question();
        let tests = self.fields.get_mut(field as usize)?;
        if tests.present.is_none() {
            tests.present = Some(question);
            self.costs.push(1.0);
        }
        tests.present
    }

    fn build(mut self) -> Class {
        // A question that is asked has a witness: that its field is there.
        let mut presences = Vec::with_capacity(self.asked.len());
        for place in 0..self.asked.len() {
            let field = self
                .asked
                .get(place)
                .filter(|asked| asked.test != Test::Null)
                .and_then(|asked| asked.field);
            presences.push(field.and_then(|field| self.presence(field)));
        }
        let costs = &self.costs;
        let of_known = |question: u32| Witness {
            questions: vec![question],
            cost: costs.get(question as usize).copied().unwrap_or(1.0),
        };
        let of_asked = |place: u32| presences.get(place as usize).copied().flatten().map(&of_known);
        let mut watchers = vec![Vec::new(); self.costs.len()];
        let mut always = Vec::new();
        for (rule, held) in (0..).zip(&self.rules) {
            match witness::of(&held.tree, &of_known, &of_asked) {
                None => always.push(rule),
                Some(witness) => witness.questions.iter().for_each(|question| {
                    if let Some(rules) = watchers.get_mut(*question as usize) {
                        rules.push(rule);
                    }
                }),
            }
        }
        let keywords = self.keywords.build();
        Class {
            rules: self.rules,
            names: self.names,
            fields: self.fields.into_iter().map(FieldBuilder::build).collect(),
            keywords: (!keywords.asks_for_presence_only()).then_some(keywords),
            watchers,
            always,
            asked: self.asked,
        }
    }
}

/// Guesses how often a question holds, as a share of events: long texts are rare.
fn cost(condition: &Condition) -> f64 {
    const COMMON: [&str; 4] = ["eventid", "channel", "provider_name", "type"];
    let is_common = condition
        .field
        .as_deref()
        .is_some_and(|field| COMMON.contains(&&*field_key(field)));
    let length = match &condition.test {
        Test::Text { glob, .. } => glob.longest_text().map_or(0, str::len),
        _ => 4,
    };
    match (is_common, length) {
        (true, _) => 0.3,
        (false, 0..=2) => 0.2,
        (false, 3..=5) => 0.02,
        (false, 6..=9) => 0.005,
        (false, _) => 0.002,
    }
}

fn number(place: usize) -> u32 {
    u32::try_from(place).expect("the limits of rules allow fewer questions")
}
