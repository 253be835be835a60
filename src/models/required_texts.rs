//! Texts that must be in everything that a regular expression matches.

use regex_syntax::hir::{Hir, HirKind};

/// Returns the texts that are in all that an expression matches, in their order.
///
/// To look for them takes less time than to try the expression.
pub(crate) fn required_texts(expression: &Hir) -> Vec<&str> {
    let mut texts = Vec::new();
    add(expression, &mut texts);
    texts
}

fn add<'h>(expression: &'h Hir, texts: &mut Vec<&'h str>) {
    match expression.kind() {
        HirKind::Literal(literal) => texts.extend(str::from_utf8(&literal.0).ok()),
        HirKind::Capture(group) => add(&group.sub, texts),
        HirKind::Repetition(repeated) if repeated.min > 0 => add(&repeated.sub, texts),
        HirKind::Concat(parts) => parts.iter().for_each(|part| add(part, texts)),
        HirKind::Repetition(_)
        | HirKind::Alternation(_)
        | HirKind::Class(_)
        | HirKind::Look(_)
        | HirKind::Empty => {}
    }
}
