//! A rule over questions that have numbers.

/// Combines the answers to questions.
#[derive(Debug)]
pub(super) enum Tree {
    All(Box<[Tree]>),
    Any(Box<[Tree]>),
    Not(Box<Tree>),
    /// Takes the answer to a question that was asked of every value.
    Known(u32),
    /// Asks now.
    Asked(u32),
}

impl Tree {
    /// Returns whether the rule holds.
    pub(super) fn holds(&self, known: &impl Fn(u32) -> bool, ask: &impl Fn(u32) -> bool) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(known, ask)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(known, ask)),
            Self::Not(inner) => !inner.holds(known, ask),
            Self::Known(question) => known(*question),
            Self::Asked(question) => ask(*question),
        }
    }
}
