//! Memory that is used again for each event.

/// Holds what is found out about one event.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// Counts events, so that answers to earlier ones need not be wiped.
    round: u32,
    answers: Vec<u32>,
    chosen: Vec<u32>,
    pub(super) candidates: Vec<u32>,
    /// Holds the number of the name of each value.
    pub(super) names: Vec<u32>,
    /// Holds the values of fields that rules ask for: the field, and the place of the value.
    pub(super) values: Vec<(u32, u32)>,
    /// Holds a value as it is, and without letter case.
    pub(super) exact: String,
    pub(super) folded: String,
    pub(super) matched: Vec<usize>,
}

impl Work {
    /// Makes room for an event of a class with so many questions and rules.
    pub(super) fn begin(&mut self, questions: usize, rules: usize) {
        if self.round == u32::MAX {
            self.answers.fill(0);
            self.chosen.fill(0);
            self.round = 0;
        }
        self.round += 1;
        if self.answers.len() < questions {
            self.answers.resize(questions, 0);
        }
        if self.chosen.len() < rules {
            self.chosen.resize(rules, 0);
        }
        self.candidates.clear();
        self.values.clear();
        self.matched.clear();
    }

    /// Notes that a question holds. Returns whether that is new.
    pub(super) fn answer(&mut self, question: u32) -> bool {
        let round = self.round;
        self.answers
            .get_mut(question as usize)
            .is_some_and(|answer| std::mem::replace(answer, round) != round)
    }

    pub(super) fn holds(&self, question: u32) -> bool {
        self.answers.get(question as usize) == Some(&self.round)
    }

    /// Notes that a rule is to be looked at.
    pub(super) fn choose(&mut self, rule: u32) {
        let round = self.round;
        let is_new = self.chosen.get_mut(rule as usize);
        if is_new.is_some_and(|chosen| std::mem::replace(chosen, round) != round) {
            self.candidates.push(rule);
        }
    }
}
