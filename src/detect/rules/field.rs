//! All texts that rules look for in one field.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::lazy_regex::LazyRegex;
use super::needles::Needles;
use crate::detect::literal;
use crate::detect::sigma::expression::{Case, Test};
use crate::detect::sigma::glob::{Anchor, Glob};

/// Holds the questions about one field whose answers a pass over its values gives.
#[derive(Debug, Default)]
pub(super) struct FieldTests {
    /// Holds the question that a value is there.
    pub(super) present: Option<u32>,
    equal: HashMap<Box<str>, Vec<u32>, RandomState>,
    /// Holds texts of four bytes and more, of two or three, and of one.
    long: Needles<4, Uses>,
    short: Needles<2, Uses>,
    single: Needles<1, Uses>,
}

/// Holds what one text in a value means.
#[derive(Debug)]
struct Uses(Box<[Use]>);

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
    Regex(Box<LazyRegex>),
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
    /// Holds what each text that is looked for is used for.
    texts: HashMap<String, Vec<Use>>,
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
            Test::Regex(pattern) => match literal::required(pattern) {
                Some(text) => {
                    let regex = Box::new(LazyRegex::new(pattern));
                    self.look_for(&text, Use::Closer(question, Closer::Regex(regex)))
                }
                None => false,
            },
            _ => false,
        }
    }

    fn look_for(&mut self, text: &str, used: Use) -> bool {
        self.texts.entry(text.to_owned()).or_default().push(used);
        true
    }

    pub(super) fn build(self) -> FieldTests {
        let (mut long, mut short, mut single) = (Vec::new(), Vec::new(), Vec::new());
        for (text, uses) in self.texts {
            // Each length has its own list.
            let list = match text.len() {
                0 | 1 => &mut single,
                2 | 3 => &mut short,
                _ => &mut long,
            };
            list.push((text, Uses(uses.into())));
        }
        FieldTests {
            present: self.present,
            equal: self.equal,
            long: Needles::new(long),
            short: Needles::new(short),
            single: Needles::new(single),
        }
    }
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
        // A text may be in a value many times, and to look closer once is enough.
        let mut looked = Vec::new();
        let mut found = |start: usize, end: usize, uses: &Uses| {
            for used in &uses.0 {
                match used {
                    Use::Anywhere(question) => yes(*question),
                    Use::Start(question) if start == 0 => yes(*question),
                    Use::End(question) if end == folded.len() => yes(*question),
                    Use::Closer(question, closer) if !looked.contains(question) => {
                        looked.push(*question);
                        if closer.holds(folded, value) {
                            yes(*question);
                        }
                    }
                    Use::Start(_) | Use::End(_) | Use::Closer(..) => {}
                }
            }
        };
        self.long.find(folded, &mut found);
        self.short.find(folded, &mut found);
        self.single.find(folded, &mut found);
    }

    /// Returns whether only the presence of the field is asked for.
    pub(super) fn asks_for_presence_only(&self) -> bool {
        self.equal.is_empty() && self.long.is_empty() && self.short.is_empty() && self.single.is_empty()
    }
}
