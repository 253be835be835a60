//! The cheapest questions of which one must hold in each event that a rule matches.

use super::tree::Tree;

/// Holds questions and how often one of them may hold, as a share of events.
pub(super) struct Witness {
    pub(super) questions: Vec<u32>,
    pub(super) cost: f64,
}

/// Returns the witness of a rule; `None` if the rule may match an event in which no question holds. `of_known` and
/// `of_asked` give the witness of a single question.
pub(super) fn of(
    tree: &Tree,
    of_known: &impl Fn(u32) -> Witness,
    of_asked: &impl Fn(u32) -> Option<Witness>,
) -> Option<Witness> {
    match tree {
        Tree::All(parts) => {
            let witnesses = parts.iter().filter_map(|part| of(part, of_known, of_asked));
            witnesses.min_by(|left, right| left.cost.total_cmp(&right.cost))
        }
        Tree::Any(parts) => parts.iter().try_fold(
            Witness {
                questions: Vec::new(),
                cost: 0.0,
            },
            |mut sum, part| {
                let witness = of(part, of_known, of_asked)?;
                sum.questions.extend(witness.questions);
                sum.cost += witness.cost;
                Some(sum)
            },
        ),
        Tree::Not(_) => None,
        Tree::Known(question) => Some(of_known(*question)),
        Tree::Asked(question) => of_asked(*question),
    }
}
