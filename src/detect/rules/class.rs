//! The rules for one class of events.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::field::{FieldBuilder, FieldTests};
use super::lazy_regex::LazyRegex;
use super::lists::Lists;
use super::names::Names;
use super::tree::Tree;
use super::witness::{self, Witness};
use super::work::Work;
use crate::detect::event::{CORE_NAMES, Event, Leaf, Scalar, field_key};
use crate::detect::routes;
use crate::detect::sigma::SigmaRule;
use crate::detect::sigma::expression::{Condition, Expression, Test};
use crate::models::LogSource;

/// Holds the rules for events that feed the same log sources.
#[derive(Debug, Default)]
pub(super) struct Class {
    rules: Vec<ClassRule>,
    /// Holds the fields that have a name, by the number of the name.
    names: Lists,
    asks_for_core: bool,
    fields: Vec<FieldTests>,
    /// Holds the questions about every value.
    keywords: Option<FieldTests>,
    /// Holds, for each question, the rules that it is a witness of.
    watchers: Lists,
    questions: usize,
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
    regex: Option<LazyRegex>,
}

impl Class {
    pub(super) fn new<'r>(rules: impl Iterator<Item = (usize, &'r SigmaRule)>, names: &Names) -> Self {
        let mut builder = Builder::default();
        for (place, rule) in rules {
            builder.add(place, rule);
        }
        builder.build(names)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.rules.len()
    }

    /// Returns whether a rule asks for a field of [`Event::core`].
    pub(super) fn asks_for_core(&self) -> bool {
        self.asks_for_core
    }

    /// Finds the rules that match an event, of whose values the names are known by their numbers.
    pub(super) fn evaluate<'s>(&self, event: &Event<'_>, work: &'s mut Work) -> &'s [usize] {
        work.begin(self.questions, self.rules.len());
        if !self.is_empty() {
            self.answer_values(event, work);
            for rule in &self.always {
                work.choose(*rule);
            }
            self.look(event, work);
        }
        &work.matched
    }

    /// Answers the questions about all values, each in one pass.
    fn answer_values(&self, event: &Event<'_>, work: &mut Work) {
        let names = std::mem::take(&mut work.names);
        let core = if self.asks_for_core { event.core() } else { &[] };
        for (place, (leaf, name)) in (0..).zip(event.leaves.iter().chain(core).zip(&names)) {
            let fields = self.names.get(*name);
            for field in fields {
                work.values.push((*field, place));
            }
            self.answer(fields, &leaf.value, leaf.is_written(), work);
        }
        work.names = names;
        if let (Some(text), Some(_)) = (event.text, &self.keywords) {
            self.answer(&[], &Scalar::Text(text.into()), true, work);
        }
    }

    /// Answers the questions about the value of some fields, and those about all values if it is one that the source
    /// wrote. The value is folded once for all of them.
    fn answer(&self, fields: &[u32], value: &Scalar<'_>, is_written: bool, work: &mut Work) {
        let fields = fields.iter().filter_map(|field| self.fields.get(*field as usize));
        for question in fields.clone().filter_map(|tests| tests.present) {
            self.yes(question, work);
        }
        let keywords = self.keywords.iter().filter(|_| is_written);
        let mut asking = fields
            .chain(keywords)
            .filter(|tests| !tests.asks_for_presence_only())
            .peekable();
        if *value == Scalar::Null || asking.peek().is_none() {
            return;
        }
        let (mut exact, mut folded) = (std::mem::take(&mut work.exact), std::mem::take(&mut work.folded));
        let text = match value {
            Scalar::Text(text) => text,
            _ => {
                value.write(&mut exact);
                exact.as_str()
            }
        };
        fold(text, &mut folded);
        for tests in asking {
            tests.answer(&folded, text, &mut |question| self.yes(question, work));
        }
        (work.exact, work.folded) = (exact, folded);
    }

    fn yes(&self, question: u32, work: &mut Work) {
        if work.answer(question) {
            for rule in self.watchers.get(question) {
                work.choose(*rule);
            }
        }
    }

    /// Looks at the rules of which a witness holds.
    fn look(&self, event: &Event<'_>, work: &mut Work) {
        let candidates = std::mem::take(&mut work.candidates);
        let mut matched = std::mem::take(&mut work.matched);
        for rule in candidates
            .iter()
            .filter_map(|rule| self.rules.get(*rule as usize))
        {
            let known = |question| work.holds(question);
            let ask = |place: u32| self.ask(place, event, work);
            if rule.tree.holds(&known, &ask) {
                matched.push(rule.place);
            }
        }
        matched.sort_unstable();
        work.matched = matched;
        work.candidates = candidates;
    }

    fn ask(&self, place: u32, event: &Event<'_>, work: &Work) -> bool {
        let Some(asked) = self.asked.get(place as usize) else {
            return false;
        };
        let Some(field) = asked.field else {
            return event.written_values().any(|value| asked.holds_for(&value));
        };
        let values = |field: u32| {
            let places = work.values.iter().filter(move |(held, _)| *held == field);
            places.filter_map(|(_, place)| event.leaf(*place as usize))
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

/// Writes a text without letter case in place of another text.
fn fold(text: &str, folded: &mut String) {
    folded.clear();
    match text.is_ascii() {
        true => {
            folded.push_str(text);
            folded.make_ascii_lowercase();
        }
        false => folded.push_str(&text.to_lowercase()),
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
            // Rules often ask for what is often there.
            if let Some(cost) = self.costs.get_mut(*question as usize) {
                *cost += self::cost(condition);
            }
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
                    Test::Regex(pattern) => Some(LazyRegex::new(pattern)),
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

    fn build(mut self, names: &Names) -> Class {
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
        let asks_for_core = CORE_NAMES.iter().any(|name| self.names.contains_key(*name));
        let mut fields_of = vec![Vec::new(); names.len()];
        for (key, fields) in self.names {
            if let Some(list) = names
                .of_key(&key)
                .and_then(|name| fields_of.get_mut(name as usize))
            {
                *list = fields;
            }
        }
        Class {
            rules: self.rules,
            asks_for_core,
            names: fields_of.iter().map(Vec::as_slice).collect(),
            fields: self.fields.into_iter().map(FieldBuilder::build).collect(),
            keywords: (!keywords.asks_for_presence_only()).then_some(keywords),
            questions: watchers.len(),
            watchers: watchers.iter().map(Vec::as_slice).collect(),
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
