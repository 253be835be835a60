//! Text read as a filter, by descent from `or` to `and`, `not` and conditions.

use std::str::FromStr;

use super::place::Fault;
use super::{begins_operator, field_length, is_reserved, is_value_character};
use crate::models::query::condition::{Case, Condition, Operator};
use crate::models::query::field::{Field, is_name_character};
use crate::models::query::filter::{DEEPEST, Filter};
use crate::models::query::pattern::Pattern;
use crate::models::{InvalidValue, address};

type Result<T> = std::result::Result<T, Fault>;

impl FromStr for Filter {
    type Err = InvalidValue;

    /// Reads a filter such as `user = root and not source_ip in 10.0.0.0/8`.
    ///
    /// # Errors
    ///
    /// If the text is no filter. The error shows the place, and says what was expected there.
    fn from_str(text: &str) -> std::result::Result<Self, InvalidValue> {
        let mut parser = Parser {
            text,
            at: 0,
            depth: 0,
        };
        let parsed = parser.filter().and_then(|filter| parser.end().map(|()| filter));
        parsed.map_err(|fault| fault.in_text(text))
    }
}

struct Parser<'a> {
    text: &'a str,
    /// Holds the byte to go on from.
    at: usize,
    /// Counts the open brackets.
    depth: usize,
}

/// Holds a text that was read, and the byte where it starts.
struct Read<T> {
    value: T,
    start: usize,
}

const A_CONDITION: &str = "expected a field, not or (";
const AN_OPERATOR: &str =
    "expected =, !=, <, <=, >, >=, ~, in, has, contains, startswith, endswith or exists after the field";
const A_VALUE: &str =
    "expected a value, which is put into quotes if it is empty, has a space or starts with an operator";

impl<'a> Parser<'a> {
    fn filter(&mut self) -> Result<Filter> {
        let start = self.skip_space();
        let mut alternatives = vec![self.group()?];
        while self.takes_word("or") {
            alternatives.push(self.group()?);
        }
        self.checked(start, Filter::any(alternatives))
    }

    fn group(&mut self) -> Result<Filter> {
        let start = self.skip_space();
        let mut parts = vec![self.part()?];
        while self.takes_word("and") {
            parts.push(self.part()?);
        }
        self.checked(start, Filter::all(parts))
    }

    fn part(&mut self) -> Result<Filter> {
        let start = self.skip_space();
        let mut is_negated = false;
        while self.takes_word("not") {
            is_negated = !is_negated;
        }
        let part = if self.takes("(") {
            self.in_brackets(start)?
        } else if self.takes_word("true") {
            Filter::default()
        } else if self.takes_word("false") {
            self.checked(start, Filter::any([]))?
        } else {
            self.condition()?
        };
        self.negated(start, part, is_negated)
    }

    fn in_brackets(&mut self, start: usize) -> Result<Filter> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.fault(
                start,
                format!("put at most {DEEPEST} brackets within one another"),
            ));
        }
        let filter = self.filter()?;
        if !self.takes(")") {
            return Err(self.unexpected("expected and, or or )"));
        }
        self.depth -= 1;
        Ok(filter)
    }

    fn negated(&self, start: usize, filter: Filter, is_negated: bool) -> Result<Filter> {
        match is_negated {
            true => self.checked(start, filter.negated()),
            false => Ok(filter),
        }
    }

    fn condition(&mut self) -> Result<Filter> {
        let start = self.skip_space();
        let field = self.field()?;
        self.skip_space();
        let rest = self.rest();
        // Of two operators with the same start, the longer one comes first.
        let symbol = ["!=", "<=", ">=", "=", "<", ">", "~"]
            .into_iter()
            .find(|symbol| rest.starts_with(symbol));
        if let Some(symbol) = symbol {
            self.at += symbol.len();
            return self.comparison(start, field, symbol);
        }
        let is_negated = self.takes_word("not");
        let filter = self.condition_in_words(start, field)?;
        self.negated(start, filter, is_negated)
    }

    fn comparison(&mut self, start: usize, field: Field, symbol: &str) -> Result<Filter> {
        let value = self.value()?;
        let at = value.start;
        let operator = match symbol {
            "<" => Operator::Less(value.value),
            "<=" => Operator::LessOrEqual(value.value),
            ">" => Operator::Greater(value.value),
            ">=" => Operator::GreaterOrEqual(value.value),
            "~" => Operator::Matches(self.pattern(value)?),
            _ => Operator::Equals(value.value, self.case()),
        };
        let filter = self.made(at, field, operator)?;
        self.negated(start, filter, symbol == "!=")
    }

    fn condition_in_words(&mut self, start: usize, field: Field) -> Result<Filter> {
        if self.takes_word("in") {
            return self.membership(field);
        }
        if self.takes_word("exists") {
            return self.made(start, field, Operator::Exists);
        }
        if self.takes_word("has") {
            let Read { value, start } = self.value()?;
            return self.made(start, field, Operator::Has(value));
        }
        let Some(word) = ["contains", "startswith", "endswith"]
            .into_iter()
            .find(|word| self.takes_word(word))
        else {
            return Err(self.unexpected(AN_OPERATOR));
        };
        let Read { value, start } = self.value()?;
        let case = self.case();
        let operator = match word {
            "contains" => Operator::Contains(value, case),
            "startswith" => Operator::StartsWith(value, case),
            _ => Operator::EndsWith(value, case),
        };
        self.made(start, field, operator)
    }

    /// Reads what follows `in`: a list of values, or a network.
    fn membership(&mut self, field: Field) -> Result<Filter> {
        let start = self.skip_space();
        if !self.takes("(") {
            let network = self.value()?;
            let operator = self.checked(network.start, Operator::in_network(&network.value))?;
            return self.made(start, field, operator);
        }
        let mut values = Vec::new();
        while !self.takes(")") {
            values.push(self.value()?.value);
            if !self.takes(",") && !self.is_next(')') {
                return Err(self.unexpected("expected , or ) after a value of the list"));
            }
        }
        let case = self.case();
        self.list(start, field, values, case)
    }

    /// Makes a condition of a list. A network in the list of a field of addresses is read as a network.
    fn list(&self, start: usize, field: Field, values: Vec<String>, case: Case) -> Result<Filter> {
        let is_network = |value: &String| field.is_address() && address::is_network(value);
        let (networks, values): (Vec<String>, Vec<String>) = values.into_iter().partition(is_network);
        if networks.is_empty() {
            return self.made(start, field, Operator::OneOf(values, case));
        }
        let mut alternatives = Vec::new();
        if !values.is_empty() {
            alternatives.push(self.made(start, field.clone(), Operator::OneOf(values, case))?);
        }
        for network in networks {
            let operator = self.checked(start, Operator::in_network(&network))?;
            alternatives.push(self.made(start, field.clone(), operator)?);
        }
        self.checked(start, Filter::any(alternatives))
    }

    fn pattern(&mut self, source: Read<String>) -> Result<Pattern> {
        let pattern = match self.case() {
            Case::Sensitive => source.value.parse::<Pattern>(),
            Case::Ignored => source
                .value
                .parse()
                .and_then(|pattern: Pattern| pattern.in_any_case()),
        };
        pattern.map_err(|error: InvalidValue| self.fault(source.start, error.to_string()))
    }

    /// Reads the `i` that may follow a value.
    fn case(&mut self) -> Case {
        match self.takes_word("i") {
            true => Case::Ignored,
            false => Case::Sensitive,
        }
    }

    fn made(&self, start: usize, field: Field, operator: Operator) -> Result<Filter> {
        self.checked(start, Condition::new(field, operator).map(Filter::from))
    }

    /// Names the place of an error, from `start` up to here.
    fn checked<T>(&self, start: usize, made: std::result::Result<T, InvalidValue>) -> Result<T> {
        made.map_err(|error| self.fault(start, error.to_string()))
    }

    fn field(&mut self) -> Result<Field> {
        let start = self.skip_space();
        let name = match self.rest().strip_prefix('`') {
            Some(_) => self.quoted('`')?,
            None => {
                let length = field_length(self.rest());
                let name = self.rest().get(..length).unwrap_or_default().to_owned();
                if name.is_empty() || is_reserved(&name) {
                    return Err(self.unexpected(A_CONDITION));
                }
                self.at += length;
                name
            }
        };
        self.checked(start, name.parse())
    }

    fn value(&mut self) -> Result<Read<String>> {
        let start = self.skip_space();
        let value = match self.rest().chars().next() {
            Some('\'') => self.quoted('\'')?,
            Some('"') => self.escaped()?,
            Some(first) if begins_operator(first) => return Err(self.unexpected(A_VALUE)),
            _ => {
                let word = prefix(self.rest(), is_value_character);
                if word.is_empty() || is_reserved(word) {
                    return Err(self.unexpected(A_VALUE));
                }
                self.at += word.len();
                word.to_owned()
            }
        };
        Ok(Read { value, start })
    }

    /// Reads a text between two quotes, in which a quote is written twice.
    fn quoted(&mut self, quote: char) -> Result<String> {
        let start = self.at;
        let mut text = String::new();
        let mut rest = self.rest().chars();
        rest.next();
        loop {
            match rest.next() {
                Some(character) if character != quote => text.push(character),
                Some(_) if rest.as_str().starts_with(quote) => {
                    rest.next();
                    text.push(quote);
                }
                Some(_) => {
                    self.at = self.text.len() - rest.as_str().len();
                    return Ok(text);
                }
                None => return Err(self.unclosed(start, quote)),
            }
        }
    }

    /// Reads a text between double quotes, with escapes.
    fn escaped(&mut self) -> Result<String> {
        let start = self.at;
        let mut text = String::new();
        self.at += 1;
        loop {
            let Some(character) = self.rest().chars().next() else {
                return Err(self.unclosed(start, '"'));
            };
            self.at += character.len_utf8();
            match character {
                '"' => return Ok(text),
                '\\' => text.push(self.escape()?),
                character => text.push(character),
            }
        }
    }

    /// Reads what follows a backslash.
    fn escape(&mut self) -> Result<char> {
        let start = self.at - 1;
        let rest = self.rest();
        let first = rest.chars().next();
        let simple = match first {
            Some('n') => Some('\n'),
            Some('r') => Some('\r'),
            Some('t') => Some('\t'),
            Some('0') => Some('\0'),
            Some(same @ ('"' | '\'' | '\\')) => Some(same),
            _ => None,
        };
        if let Some(character) = simple {
            self.at += 1;
            return Ok(character);
        }
        if let Some((digits, after)) = rest.strip_prefix("u{").and_then(|rest| rest.split_once('}'))
            && let Some(character) = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32)
        {
            self.at = self.text.len() - after.len();
            return Ok(character);
        }
        self.at += first.map_or(0, char::len_utf8);
        let reason = r#"expected \", \', \\, \n, \r, \t, \0 or \u{...}: a text with many backslashes is easier in single quotes"#;
        Err(self.fault(start, reason.to_owned()))
    }

    fn unclosed(&mut self, start: usize, quote: char) -> Fault {
        self.at = self.text.len();
        self.fault(start, format!("the quote {quote} is not closed"))
    }

    fn end(&mut self) -> Result<()> {
        self.skip_space();
        match self.rest().is_empty() {
            true => Ok(()),
            false => Err(self.unexpected("expected and, or or the end")),
        }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip_space(&mut self) -> usize {
        self.at = self.text.len() - self.rest().trim_start().len();
        self.at
    }

    fn is_next(&mut self, character: char) -> bool {
        self.skip_space();
        self.rest().starts_with(character)
    }

    /// Goes on after a sign, if it comes next.
    fn takes(&mut self, sign: &str) -> bool {
        self.skip_space();
        let is_next = self.rest().starts_with(sign);
        self.at += if is_next { sign.len() } else { 0 };
        is_next
    }

    /// Goes on after a word, if it comes next, in any letter case.
    fn takes_word(&mut self, word: &str) -> bool {
        self.skip_space();
        let is_next = prefix(self.rest(), is_name_character).eq_ignore_ascii_case(word);
        self.at += if is_next { word.len() } else { 0 };
        is_next
    }

    /// Makes a fault at what comes next.
    fn unexpected(&mut self, expected: &str) -> Fault {
        let start = self.skip_space();
        let word = prefix(self.rest(), is_name_character);
        let found = match (word, self.rest().chars().next()) {
            ("", Some(sign)) => self.rest().get(..sign.len_utf8()).unwrap_or_default(),
            (word, _) => word,
        };
        let reason = match found {
            "" => format!("{expected}, found the end"),
            found => format!("{expected}, found {found:?}"),
        };
        Fault {
            start,
            end: start + found.len(),
            reason,
        }
    }

    /// Makes a fault that reaches from a place to here.
    fn fault(&self, start: usize, reason: String) -> Fault {
        Fault {
            start,
            end: self.at,
            reason,
        }
    }
}

/// Returns the characters that a text begins with.
fn prefix(text: &str, is_part: fn(char) -> bool) -> &str {
    let end = text.find(|character| !is_part(character)).unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}
