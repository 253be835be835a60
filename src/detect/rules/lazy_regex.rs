//! Regular expressions that are compiled when they are first needed.

use std::sync::OnceLock;

use regex::Regex;

use crate::detect::sigma::REGEX_SIZE;

/// Holds the regular expression of a rule. It is compiled when a value is first compared with it: most never are, and a
/// compiled one takes tens of kilobytes.
#[derive(Debug)]
pub(super) struct LazyRegex {
    pattern: Box<str>,
    compiled: OnceLock<Option<Regex>>,
}

impl LazyRegex {
    /// Takes the pattern of a rule, of which its reader knows that it can be compiled.
    pub(super) fn new(pattern: &str) -> Self {
        Self {
            pattern: pattern.into(),
            compiled: OnceLock::new(),
        }
    }

    pub(super) fn is_match(&self, value: &str) -> bool {
        let compiled = self.compiled.get_or_init(|| {
            let mut builder = regex::RegexBuilder::new(&self.pattern);
            builder.size_limit(REGEX_SIZE).build().ok()
        });
        compiled.as_ref().is_some_and(|regex| regex.is_match(value))
    }
}
