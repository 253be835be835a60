//! The condition of a rule: names of searches with `and`, `or`, `not`, brackets and quantifiers.

use std::iter::Peekable;

use super::expression::Expression;
use super::glob::Glob;

/// Limits how deeply brackets and `not` may be nested.
const DEEPEST: usize = 100;

/// Limits how many questions a condition may come to: a short text can name a long search many times.
const MOST_QUESTIONS: usize = 200_000;

/// Reads a condition over named searches. The error says what is wrong, without the rule's name.
pub(crate) fn parse(text: &str, searches: &[(String, Expression)]) -> Result<Expression, String> {
    let mut parser = Parser {
        words: words(text)?.into_iter().peekable(),
        searches,
        depth: 0,
        questions: 0,
    };
    let expression = parser.any()?;
    match parser.words.next() {
        None => Ok(expression),
        Some(word) => Err(format!("the condition goes on with {word:?} after its end")),
    }
}

fn words(text: &str) -> Result<Vec<String>, String> {
    if text.contains('|') {
        return Err("the condition aggregates with |: write a correlation rule for that".into());
    }
    let spaced = text.replace('(', " ( ").replace(')', " ) ");
    Ok(spaced.split_whitespace().map(str::to_owned).collect())
}

struct Parser<'a> {
    words: Peekable<std::vec::IntoIter<String>>,
    searches: &'a [(String, Expression)],
    depth: usize,
    questions: usize,
}

impl Parser<'_> {
    fn take(&mut self, word: &str) -> bool {
        self.words
            .next_if(|next| next.eq_ignore_ascii_case(word))
            .is_some()
    }

    fn any(&mut self) -> Result<Expression, String> {
        let mut parts = vec![self.all()?];
        while self.take("or") {
            parts.push(self.all()?);
        }
        Ok(Expression::any(parts))
    }

    fn all(&mut self) -> Result<Expression, String> {
        let mut parts = vec![self.not()?];
        while self.take("and") {
            parts.push(self.not()?);
        }
        Ok(Expression::all(parts))
    }

    fn not(&mut self) -> Result<Expression, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!("the condition is nested more than {DEEPEST} levels deep"));
        }
        let expression = match self.take("not") {
            true => self.not()?.not(),
            false => self.operand()?,
        };
        self.depth -= 1;
        Ok(expression)
    }

    fn operand(&mut self) -> Result<Expression, String> {
        let Some(word) = self.words.next() else {
            return Err("the condition ends where the name of a search should be".into());
        };
        if word == "(" {
            let inner = self.any()?;
            return match self.take(")") {
                true => Ok(inner),
                false => Err("the condition has a bracket that is not closed".into()),
            };
        }
        let is_counted = self
            .words
            .peek()
            .is_some_and(|next| next.eq_ignore_ascii_case("of"));
        match Quantity::parse(&word).filter(|_| is_counted) {
            Some(quantity) => {
                self.words.next();
                self.counted(quantity)
            }
            None => self.named(&word),
        }
    }

    fn named(&mut self, name: &str) -> Result<Expression, String> {
        match self.searches.iter().find(|(search, _)| search == name) {
            Some((_, search)) => self.copy(search),
            None => {
                let names: Vec<&str> = self.searches.iter().map(|(name, _)| name.as_str()).collect();
                Err(format!(
                    "the condition names the search {name:?}, which the rule does not have: it has {}",
                    names.join(", ")
                ))
            }
        }
    }

    fn copy(&mut self, search: &Expression) -> Result<Expression, String> {
        search.for_each_condition(&mut |_| self.questions += 1);
        match self.questions > MOST_QUESTIONS {
            true => Err(format!(
                "the condition comes to more than {MOST_QUESTIONS} comparisons"
            )),
            false => Ok(search.clone()),
        }
    }

    fn counted(&mut self, quantity: Quantity) -> Result<Expression, String> {
        let Some(pattern) = self.words.next() else {
            return Err("the condition ends after `of`: name searches, or `them`".into());
        };
        let is_all = pattern.eq_ignore_ascii_case("them");
        let glob = Glob::parse(&pattern);
        let is_chosen = |name: &str| match is_all {
            true => !name.starts_with('_'),
            false => glob.matches(name),
        };
        let searches = self.searches.iter().filter(|(name, _)| is_chosen(name));
        let chosen: Vec<Expression> = searches
            .map(|(_, search)| self.copy(search))
            .collect::<Result<_, _>>()?;
        if chosen.is_empty() {
            return Err(format!(
                "the condition counts searches like {pattern:?}, and the rule has none"
            ));
        }
        match quantity {
            Quantity::All => Ok(Expression::all(chosen)),
            Quantity::AtLeast(1) => Ok(Expression::any(chosen)),
            Quantity::AtLeast(number) if number > chosen.len() => Err(format!(
                "the condition wants {number} of {pattern:?}, and the rule has {}",
                chosen.len()
            )),
            Quantity::AtLeast(number) => at_least(number, &chosen),
        }
    }
}

/// Says that at least a number of searches hold, as a choice of all sets of that size.
fn at_least(number: usize, searches: &[Expression]) -> Result<Expression, String> {
    const MOST: usize = 1000;
    let mut sets: Vec<Vec<usize>> = vec![Vec::new()];
    for place in 0..searches.len() {
        let longer: Vec<Vec<usize>> = sets
            .iter()
            .filter(|set| set.len() < number)
            .map(|set| set.iter().copied().chain([place]).collect())
            .collect();
        sets.extend(longer);
        if sets.len() > MOST {
            return Err(format!(
                "the condition chooses {number} of {} searches, which are too many",
                searches.len()
            ));
        }
    }
    let mut sizes = vec![0_usize; searches.len()];
    for (size, search) in sizes.iter_mut().zip(searches) {
        search.for_each_condition(&mut |_| *size += 1);
    }
    let all = sets.iter().filter(|set| set.len() == number).flatten();
    if all.filter_map(|place| sizes.get(*place)).sum::<usize>() > MOST_QUESTIONS {
        return Err(format!(
            "the condition comes to more than {MOST_QUESTIONS} comparisons"
        ));
    }
    let chosen = sets.into_iter().filter(|set| set.len() == number).map(|set| {
        let held = set.into_iter().filter_map(|place| searches.get(place).cloned());
        Expression::all(held.collect())
    });
    Ok(Expression::any(chosen.collect()))
}

enum Quantity {
    All,
    AtLeast(usize),
}

impl Quantity {
    fn parse(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "all" => Some(Self::All),
            "any" => Some(Self::AtLeast(1)),
            number => number
                .parse()
                .ok()
                .filter(|number| *number > 0)
                .map(Self::AtLeast),
        }
    }
}
