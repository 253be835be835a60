//! All texts that rules look for in one field.

use std::collections::HashMap;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, AhoCorasickKind, MatchKind};
use foldhash::fast::RandomState;
use regex::Regex;

use crate::detect::literal;
use crate::detect::sigma::REGEX_SIZE;
use crate::detect::sigma::expression::{Case, Test};
use crate::detect::sigma::glob::{Anchor, Glob};

/// Holds the questions about one field whose answers a pass over its values gives.
#[derive(Debug, Default)]
pub(super) struct FieldTests {
    /// Holds the question that a value is there.
    pub(super) present: Option<u32>,
    equal: HashMap<Box<str>, Vec<u32>, RandomState>,
    texts: Option<AhoCorasick>,
    uses: Vec<Vec<Use>>,
}

/// Says what a text in a value means.
#[derive(Debug)]
enum Use {
    Anywhere(u32),
    Start(u32),
    End(u32),
    /// The text is only a part of what is asked: look closer.
    Closer(u32, Closer),
}

#[derive(Debug)]
enum Closer {
    Glob(Glob),
    Exact(Glob),
    Regex(Box<Regex>),
}

impl Closer {
    fn holds(&self, folded: &str, value: &str) -> bool {
        match self {
            Self::Glob(glob) => glob.matches(folded),
            Self::Exact(glob) => glob.matches(value),
            Self::Regex(regex) => regex.is_match(value),
        }
    }
}

/// Collects the questions about a field.
#[derive(Default)]
pub(super) struct FieldBuilder {
    pub(super) present: Option<u32>,
    equal: HashMap<Box<str>, Vec<u32>, RandomState>,
    places: HashMap<String, usize>,
    needles: Vec<String>,
    uses: Vec<Vec<Use>>,
}

impl FieldBuilder {
    /// Takes a question in. Returns false if a pass over values cannot answer it: it must be asked.
    pub(super) fn add(&mut self, question: u32, test: &Test) -> bool {
        match test {
            Test::Text {
                glob,
                case: Case::Folded,
            } => match glob.as_anchored() {
                Some((Anchor::Whole, text)) => {
                    self.equal.entry(text.into()).or_default().push(question);
                    true
                }
                Some((Anchor::Start, text)) => self.look_for(text, Use::Start(question)),
                Some((Anchor::End, text)) => self.look_for(text, Use::End(question)),
                Some((Anchor::Anywhere, text)) => self.look_for(text, Use::Anywhere(question)),
                None => match glob.longest_text() {
                    Some(text) => self.look_for(text, Use::Closer(question, Closer::Glob(glob.clone()))),
                    None => false,
                },
            },
            Test::Text {
                glob,
                case: Case::Exact,
            } => match glob.longest_text() {
                Some(text) => self.look_for(
                    &text.to_lowercase(),
                    Use::Closer(question, Closer::Exact(glob.clone())),
                ),
                None => false,
            },
            Test::Regex(pattern) => match (literal::required(pattern), compiled(pattern)) {
                (Some(text), Some(regex)) => {
                    self.look_for(&text, Use::Closer(question, Closer::Regex(Box::new(regex))))
                }
                _ => false,
            },
            _ => false,
        }
    }

    fn look_for(&mut self, text: &str, used: Use) -> bool {
        let place = *self.places.entry(text.to_owned()).or_insert_with(|| {
            self.needles.push(text.to_owned());
            self.uses.push(Vec::new());
            self.needles.len() - 1
        });
        if let Some(uses) = self.uses.get_mut(place) {
            uses.push(used);
        }
        true
    }

    pub(super) fn build(self) -> FieldTests {
        let texts = (!self.needles.is_empty())
            .then(|| automaton(&self.needles))
            .flatten();
        FieldTests {
            present: self.present,
            equal: self.equal,
            texts,
            uses: self.uses,
        }
    }
}

pub(super) fn compiled(pattern: &str) -> Option<Regex> {
    regex::RegexBuilder::new(pattern)
        .size_limit(REGEX_SIZE)
        .build()
        .ok()
}

fn automaton(needles: &[String]) -> Option<AhoCorasick> {
    AhoCorasickBuilder::new()
        .match_kind(MatchKind::Standard)
        .kind(Some(AhoCorasickKind::ContiguousNFA))
        .build(needles)
        .ok()
}

impl FieldTests {
    /// Calls a function with each question that a value answers with yes.
    pub(super) fn answer(&self, folded: &str, value: &str, yes: &mut impl FnMut(u32)) {
        if !self.equal.is_empty()
            && let Some(questions) = self.equal.get(folded)
        {
            for question in questions {
                yes(*question);
            }
        }
        let Some(texts) = &self.texts else { return };
        // A text may be in a value many times, and to look closer once is enough.
        let mut looked = Vec::new();
        for found in texts.find_overlapping_iter(folded) {
            for used in &self.uses[found.pattern().as_usize()] {
                match used {
                    Use::Anywhere(question) => yes(*question),
                    Use::Start(question) if found.start() == 0 => yes(*question),
                    Use::End(question) if found.end() == folded.len() => yes(*question),
                    Use::Closer(question, closer) if !looked.contains(question) => {
                        looked.push(*question);
                        if closer.holds(folded, value) {
                            yes(*question);
                        }
                    }
                    Use::Start(_) | Use::End(_) | Use::Closer(..) => {}
                }
            }
        }
    }

    /// Returns whether only the presence of the field is asked for.
    pub(super) fn asks_for_presence_only(&self) -> bool {
        self.equal.is_empty() && self.texts.is_none()
    }
}
