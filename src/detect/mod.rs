//! Finds what rules look for in logs: new logs and old ones, with the same evaluator.

mod correlate;
mod coverage;
mod definition;
mod detector;
mod event;
mod explain;
mod fields;
mod hunt;
mod indicators;
mod literal;
mod looking_back;
mod meaning;
mod reading;
mod review;
mod routes;
mod rules;
mod run;
mod sigma;
mod words;

pub use crate::models::HalfLives;
pub use coverage::SourceCoverage;
pub use definition::{SIGMA, import_note, own_definition};
pub use detector::{Detector, RefusedRule};
pub use event::Event;
pub use explain::Answer;
pub use indicators::{IndicatorMatch, IndicatorSet, IndicatorSetBuilder, THREAT_INTEL};
pub use looking_back::LookingBack;
pub use reading::{ReadRule, Verdict, read_rules};
pub use review::{review, verdicts};
pub use routes::RouteOptions;
pub use rules::{RuleSet, Scratch};
pub use sigma::{
    About, Correlation, CorrelationKind, Document, Refusal, SigmaFilter, SigmaRule, YamlDocument, read_yaml,
};
