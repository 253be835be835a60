//! Finds what rules look for in logs: new logs and old ones, with the same evaluator.

mod event;
mod literal;
mod meaning;
mod routes;
mod rules;
mod sigma;

pub use event::Event;
pub use rules::{RuleSet, Scratch};
pub use sigma::{
    About, Correlation, CorrelationKind, Document, Refusal, RuleSource, SigmaFilter, SigmaRule, YamlDocument,
    read_yaml,
};
