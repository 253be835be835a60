//! What a block must hold so that a log of it can pass a query.

use ipnet::IpNet;
use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, Hir, HirKind};

use super::keys;
use super::observables::Stretches;
use crate::models::{
    Column, ColumnType, Condition, Field, Filter, Indicator, LogQuery, Needle, Node, Operator, Place, Test,
    canonical_host, observables,
};

/// Says which keys a block must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Need {
    /// Means that any block may do.
    Nothing,
    Key(u64),
    All(Vec<Need>),
    Any(Vec<Need>),
}

/// Limits the alternatives without an observable that are looked up. So many words are in every block, some of them by
/// chance.
const MOST_ALTERNATIVES: usize = 500;

impl Need {
    /// Returns what the logs of a query need.
    pub(crate) fn of_query(query: &LogQuery) -> Self {
        Self::all(query.filters().iter().map(of_filter).collect())
    }

    /// Returns what a log needs that holds one of some observables.
    pub(crate) fn of_indicators(indicators: &[Indicator]) -> Self {
        match indicators {
            [] => Self::Nothing,
            indicators => Self::any(indicators.iter().map(of_indicator).collect()),
        }
    }

    /// Returns both needs.
    pub(crate) fn and(self, other: Self) -> Self {
        Self::all(vec![self, other])
    }

    fn all(mut needs: Vec<Self>) -> Self {
        needs.retain(|need| *need != Self::Nothing);
        match needs.len() {
            0 => Self::Nothing,
            1 => needs.swap_remove(0),
            _ => Self::All(needs),
        }
    }

    fn any(needs: Vec<Self>) -> Self {
        let of_words = needs.iter().filter(|need| !need.has_observable()).count();
        match of_words > MOST_ALTERNATIVES || needs.contains(&Self::Nothing) {
            true => Self::Nothing,
            false => Self::Any(needs),
        }
    }

    /// Says whether a block may do, which may hold the keys that `holds` says.
    pub(crate) fn may_be_met(&self, holds: &impl Fn(u64) -> bool) -> bool {
        let stretches = |key| if holds(key) { Stretches::MAX } else { 0 };
        self.stretches(&stretches) != 0
    }

    /// Returns the stretches of a block that may do. `of_key` says which may hold a key.
    pub(crate) fn stretches(&self, of_key: &impl Fn(u64) -> Stretches) -> Stretches {
        match self {
            Self::Nothing => Stretches::MAX,
            Self::Key(key) => of_key(*key),
            Self::All(needs) => needs
                .iter()
                .fold(Stretches::MAX, |all, need| all & need.stretches(of_key)),
            Self::Any(needs) => needs.iter().fold(0, |all, need| all | need.stretches(of_key)),
        }
    }

    /// Says whether no block may do without the key of an observable.
    pub(crate) fn has_observable(&self) -> bool {
        match self {
            Self::Nothing => false,
            Self::Key(key) => keys::is_of_observable(*key),
            Self::All(needs) => needs.iter().any(Self::has_observable),
            Self::Any(needs) => !needs.is_empty() && needs.iter().all(Self::has_observable),
        }
    }

    /// Gives each key to `take`.
    pub(crate) fn each_key(&self, take: &mut impl FnMut(u64)) {
        match self {
            Self::Nothing => {}
            Self::Key(key) => take(*key),
            Self::All(needs) | Self::Any(needs) => needs.iter().for_each(|need| need.each_key(take)),
        }
    }
}

/// Returns the need of an observable. Blocks have the words of names in the form in which indicators are stored.
fn of_indicator(indicator: &Indicator) -> Need {
    match indicator {
        Indicator::Ip(address) => Need::Key(keys::of_address(*address)),
        Indicator::Cidr(network) => of_network(*network),
        Indicator::Url(_) => indicator.host().map_or(Need::Nothing, of_host),
        name => of_piece(&name.to_string(), Ends::BOTH),
    }
}

fn of_host(host: &str) -> Need {
    let host = canonical_host(host);
    match host.parse() {
        Ok(address) => Need::Key(keys::of_address(address)),
        Err(_) => of_piece(&host, Ends::BOTH),
    }
}

fn of_filter(filter: &Filter) -> Need {
    match filter.node() {
        Node::All(parts) => Need::all(parts.iter().map(of_filter).collect()),
        Node::Any(parts) => Need::any(parts.iter().map(of_filter).collect()),
        // What does not pass the part may hold anything.
        Node::Not(_) => Need::Nothing,
        Node::Condition(condition) => of_condition(condition),
    }
}

fn of_condition(condition: &Condition) -> Need {
    if !is_searched(condition) {
        return Need::Nothing;
    }
    match (condition.operator(), condition.test()) {
        (Operator::Equals(value, _), _) => of_value(condition.field(), value),
        (Operator::OneOf(values, _), _) => Need::any(
            values
                .iter()
                .map(|value| of_value(condition.field(), value))
                .collect(),
        ),
        // An object or a list has the names of its members as well, which are no words of a block.
        _ if matches!(condition.field().0, Place::Path(_)) => Need::Nothing,
        (_, Test::Has(needle)) => of_needle(needle),
        (Operator::Contains(text, _), _) => of_piece(text, Ends::NONE),
        (Operator::StartsWith(text, _), _) => of_piece(
            text,
            Ends {
                is_start: true,
                ..Ends::NONE
            },
        ),
        (Operator::EndsWith(text, _), _) => of_piece(
            text,
            Ends {
                is_end: true,
                ..Ends::NONE
            },
        ),
        (Operator::Matches(pattern), _) => pattern
            .expression()
            .map_or(Need::Nothing, |expression| of_expression(&expression)),
        (Operator::InNetwork(network), _) if condition.field().is_address() => of_network(*network),
        _ => Need::Nothing,
    }
}

/// Says whether the keys of a block are also those of a field.
fn is_searched(condition: &Condition) -> bool {
    let field = condition.field();
    match &field.0 {
        // Levels have several spellings, and are in every block.
        Place::Column(_) if field.is_level() => false,
        Place::Column(column) => *column != Column::Id && field.column_type() == ColumnType::Text,
        Place::Text | Place::Any | Place::Path(_) => true,
    }
}

fn of_needle(needle: &Needle) -> Need {
    match needle {
        Needle::Address(address) => Need::Key(keys::of_address(*address)),
        Needle::Words { text, .. } => of_piece(text, Ends::BOTH),
    }
}

fn of_network(network: IpNet) -> Need {
    match network.prefix_len() == network.max_prefix_len() {
        true => Need::all(addresses(&network.addr().to_string())),
        false => Need::Nothing,
    }
}

/// Returns the need of a field's whole value.
fn of_value(field: &Field, value: &str) -> Need {
    // A field that is an object or a list is compared as JSON, whose names are no words of a block. Numbers with a
    // fraction are compared in a form that may not be the stored one.
    let is_json = value.starts_with(['{', '[']);
    let is_fraction = value.parse::<f64>().is_ok() && !value.bytes().all(|byte| byte.is_ascii_digit());
    if matches!(field.0, Place::Path(_)) && (is_json || is_fraction) {
        return Need::Nothing;
    }
    let mut needs = addresses(value);
    needs.push(of_piece(value, Ends::BOTH));
    Need::all(needs)
}

fn addresses(value: &str) -> Vec<Need> {
    let mut needs = Vec::new();
    observables::each_address(value, &mut |address| {
        needs.push(Need::Key(keys::of_address(address)));
    });
    needs
}

/// Says which ends of a piece of text are bounds of words in every text that holds it.
#[derive(Debug, Clone, Copy)]
struct Ends {
    is_start: bool,
    is_end: bool,
}

impl Ends {
    const NONE: Self = Self {
        is_start: false,
        is_end: false,
    };
    const BOTH: Self = Self {
        is_start: true,
        is_end: true,
    };
}

/// Returns the need of a text that holds a piece. A word at an end of the piece may go on beyond it.
fn of_piece(text: &str, ends: Ends) -> Need {
    let mut inner = text;
    if !ends.is_start {
        inner = inner.trim_start_matches(char::is_alphanumeric);
    }
    if !ends.is_end {
        inner = inner.trim_end_matches(char::is_alphanumeric);
    }
    let mut folded = Vec::new();
    keys::fold(inner, &mut folded);
    let mut needs = Vec::new();
    keys::of_words(&folded, &mut |key| needs.push(Need::Key(key)));
    Need::all(needs)
}

/// Returns the need of all that an expression matches.
fn of_expression(expression: &Hir) -> Need {
    let mut pieces = Pieces::default();
    pieces.add(expression);
    pieces.end_piece();
    Need::all(pieces.needs)
}

/// Collects texts that are in all that an expression matches, in any letter case.
#[derive(Default)]
struct Pieces {
    piece: String,
    needs: Vec<Need>,
}

impl Pieces {
    fn add(&mut self, expression: &Hir) {
        match expression.kind() {
            HirKind::Literal(literal) => match str::from_utf8(&literal.0) {
                Ok(text) => self.piece.push_str(text),
                Err(_) => self.end_piece(),
            },
            HirKind::Class(Class::Unicode(class)) => match only_letter(class) {
                Some(letter) => self.piece.push(letter),
                None => self.end_piece(),
            },
            HirKind::Concat(parts) => {
                for part in parts {
                    self.add(part);
                }
            }
            HirKind::Capture(group) => self.add(&group.sub),
            HirKind::Repetition(repeated) if repeated.min > 0 => {
                self.end_piece();
                self.add(&repeated.sub);
                self.end_piece();
            }
            // These match no text.
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Class(_) | HirKind::Repetition(_) | HirKind::Alternation(_) => self.end_piece(),
        }
    }

    fn end_piece(&mut self) {
        self.needs.push(of_piece(&self.piece, Ends::NONE));
        self.piece.clear();
    }
}

/// Returns a letter if a class is this letter in any letter case.
fn only_letter(class: &ClassUnicode) -> Option<char> {
    let first = class.iter().next()?.start();
    let mut letter = ClassUnicode::new([ClassUnicodeRange::new(first, first)]);
    letter.case_fold_simple();
    (letter == *class).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(filter: &str) -> Need {
        Need::of_query(&LogQuery::new().filter(filter.parse().unwrap()))
    }

    fn words(words: &[&str]) -> Need {
        let key = |word: &&str| {
            let mut found = Vec::new();
            keys::of_words(word.as_bytes(), &mut |key| found.push(Need::Key(key)));
            found
        };
        Need::all(words.iter().flat_map(key).collect())
    }

    #[test]
    fn a_filter_needs_the_words_that_cannot_go_on() {
        for (filter, expected) in [
            ("any has 'Failed password'", words(&["failed", "password"])),
            (
                "text contains 'Failed password for root'",
                words(&["password", "for"]),
            ),
            (
                "text contains ' Failed password ' i",
                words(&["failed", "password"]),
            ),
            ("text startswith 'GET /a'", words(&["get"])),
            ("text endswith 'to web1' i", words(&["web1"])),
            ("text ~ 'user=(\\w+) from [0-9]+ port'", words(&["from"])),
            ("text ~ '=alice;' i", words(&["alice"])),
            ("text ~ 'x (one|two) y'", words(&[])),
            ("user = Bob", words(&["bob"])),
            ("normalized.k = 1.5", words(&[])),
            ("normalized.k = '{\"a\":1}'", words(&[])),
            ("level = err", words(&[])),
            ("normalized.k contains ' alice '", words(&[])),
            ("not any has root", words(&[])),
            ("any has root and not any has x1", words(&["root"])),
            ("any has root or level = err", words(&[])),
            ("procid = 4242", words(&[])),
        ] {
            assert_eq!(need(filter), expected, "{filter}");
        }
        let address = Need::Key(keys::of_address("198.51.100.4".parse().unwrap()));
        assert_eq!(need("any has ::ffff:198.51.100.4"), address);
        assert_eq!(need("source_ip in 198.51.100.4"), address);
        let of = |indicator: &str| of_indicator(&indicator.parse().unwrap());
        for indicator in ["198.51.100.4", "http://198.51.100.4/x", "http://0xc6336404/"] {
            assert_eq!(of(indicator), address, "{indicator}");
        }
        assert_eq!(of("evil.example"), need("any has evil.example"));
        assert_eq!(of("https://intranet:8443/a"), words(&["intranet"]));
        assert_eq!(of("http://-/x"), Need::Nothing);
        assert_eq!(of("198.51.100.0/24"), Need::Nothing);
        let either = Need::Any(vec![words(&["ab"]), words(&["cd"])]);
        assert_eq!(need("any has ab or any has cd"), either);
        assert_eq!(need("host in (ab, cd)"), either);
    }
}
