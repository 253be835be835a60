//! What the stored texts of a log must hold to pass a condition: most logs are judged without putting texts together.

use super::has;
use super::statement::{Sql, literal};
use super::tokens::{longest_piece, may_be_in_time};
use crate::models::{Column, Condition, Filter, LogQuery, Node, Pattern, Place, Test, longest_word};

/// Says what the texts of a log must hold to pass a condition.
pub(crate) struct Hint {
    /// Says whether the line is sought in, and not the message.
    is_line: bool,
    /// Holds a word of ASCII letters and digits. A row layout leaves values out only at the bounds of words, so that each
    /// word is in the layout or in one of the columns.
    word: Option<String>,
    /// Holds a text that templates do not cut: see [`longest_piece`].
    piece: Option<String>,
    /// Holds a text whose logs pass if their template has it.
    pub(super) decides: Option<String>,
}

impl Hint {
    /// Returns what the texts of a log must hold; `None` if that is not known.
    pub(super) fn of(condition: &Condition) -> Option<Self> {
        let is_line = condition.field().0 == Place::Text;
        if !is_line && condition.field().0 != Place::Column(Column::Message) {
            return None;
        }
        let texts = match condition.test() {
            Test::Equals(text) | Test::Contains(text) | Test::StartsWith(text) | Test::EndsWith(text) => {
                vec![text.clone()]
            }
            Test::Matches(patterns) => match patterns.as_slice() {
                [pattern] => pattern.required_texts(),
                _ => return None,
            },
            _ => return None,
        };
        let longest = |part: fn(&str) -> Option<&str>| {
            let parts = texts.iter().filter_map(|text| part(text));
            parts.max_by_key(|part| part.len()).map(str::to_owned)
        };
        let hint = Self {
            is_line,
            word: longest(longest_word),
            piece: longest(longest_piece),
            decides: match condition.test() {
                Test::Contains(text) if is_line && is_plain(text) => Some(text.clone()),
                _ => None,
            },
        };
        (hint.word.is_some() || hint.piece.is_some()).then_some(hint)
    }

    /// Returns SQL over `log_texts` that is true of every log whose texts hold what they must.
    pub(super) fn may_pass(&self) -> Sql {
        let mut sql = Sql::new("((variables IS NULL AND (layout IS NULL OR ");
        match &self.word {
            Some(word) => sql.append(any_contains(&has::LAID_OUT, word)),
            None => sql.push("true"),
        }
        sql.push(")) OR (variables IS NOT NULL AND ");
        match self.searched() {
            Some((piece, texts)) => sql.append(any_contains(&texts, piece)),
            None => sql.push("true"),
        }
        sql.push("))");
        sql
    }

    /// Returns what a log with templates must hold, and SQL over `log_texts` for the texts that may hold it; `None` if most
    /// logs hold it.
    fn searched(&self) -> Option<(&str, Vec<&'static str>)> {
        let piece = self.piece.as_deref().filter(|piece| !may_be_in_time(piece))?;
        let mut texts = vec![match self.is_line {
            true => "template",
            false => "message_template",
        }];
        texts.extend(has::IN_TEMPLATES);
        // The others hold these characters only.
        let is_of = |other: &[u8]| {
            piece
                .bytes()
                .all(|byte| byte.is_ascii_hexdigit() || other.contains(&byte))
        };
        texts.extend(is_of(b"-").then_some("identifiers"));
        texts.extend(is_of(b".:").then_some(has::ADDRESSES).into_iter().flatten());
        let is_number = piece.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'-'));
        texts.extend(is_number.then_some(has::NUMBERS).into_iter().flatten());
        Some((piece, texts))
    }
}

/// Holds a condition of one column of `log_rows`, as SQL without values.
///
/// The engine asks it of each text of a dictionary once, and reads nothing else of the logs without it.
#[derive(Debug, Clone)]
pub(crate) struct ColumnCondition {
    column: String,
    pub(crate) sql: String,
}

impl ColumnCondition {
    pub(crate) fn new(column: &str, sql: String) -> Self {
        let column = column.to_owned();
        Self { column, sql }
    }

    /// Returns a condition for each of some conditions, of which a log meets at most one.
    ///
    /// No column is asked twice for a log: the engine would ask the second condition of each log, not of each text.
    pub(crate) fn apart(conditions: &[Self]) -> Vec<String> {
        let apart = conditions.iter().enumerate().map(|(place, condition)| {
            let earlier = conditions.iter().take(place);
            let earlier: Vec<&str> = earlier
                .filter(|earlier| earlier.column != condition.column)
                .map(|earlier| earlier.sql.as_str())
                .collect();
            match earlier.is_empty() {
                true => condition.sql.clone(),
                false => format!("{} AND ({}) IS NOT TRUE", condition.sql, earlier.join(" OR ")),
            }
        });
        apart.collect()
    }
}

/// Limits the bytes of a piece in a pattern. The engine refuses very long patterns.
const LONGEST_IN_PATTERN: usize = 256;

/// Holds conditions of which each log of a query meets one.
pub(crate) struct ColumnConditions<'a> {
    /// Holds the condition of logs that pass a filter, and this filter. The other conditions are not met where it is.
    pub(crate) decided: Option<(ColumnCondition, &'a Filter)>,
    pub(crate) others: Vec<ColumnCondition>,
}

impl<'a> ColumnConditions<'a> {
    /// Returns what the logs of a query must have; `None` if most logs may have it.
    pub(crate) fn of(query: &'a LogQuery) -> Option<Self> {
        let hints = query.filters().iter().filter_map(|filter| match filter.node() {
            Node::Condition(condition) => Some((filter, Hint::of(condition)?)),
            _ => None,
        });
        // Few logs have a long text.
        let (filter, hint) =
            hints.max_by_key(|(_, hint)| hint.searched().map_or(0, |(piece, _)| piece.len()))?;
        let (piece, texts) = hint.searched()?;
        let decides = hint.decides.as_deref();
        let template = decides.map(|whole| {
            let may_pass = match piece.len() {
                ..=LONGEST_IN_PATTERN => {
                    let pattern = literal(&in_template(whole, piece));
                    format!("regexp_matches(template, {pattern})")
                }
                _ => contains("template", piece),
            };
            let passes = contains("template", whole);
            format!("CASE WHEN {passes} THEN false ELSE {may_pass} END")
        });
        // A log without templates has a word in its layout or in a column, or its line as it is. No number has a letter.
        let has_letter = |word: &&str| !word.bytes().all(|byte| byte.is_ascii_digit());
        let of_piece = longest_word(piece).filter(has_letter);
        let word = of_piece.or(hint.word.as_deref().filter(has_letter));
        let is_number = |text: &&str| has::NUMBERS.contains(text);
        let of_layouts = || {
            has::LAID_OUT
                .into_iter()
                .chain(["stored_raw"])
                .filter(|text| !is_number(text))
        };
        let more = of_layouts().filter(|text| word.is_some() && !texts.contains(text));
        let others = texts.iter().copied().chain(more).map(|text| {
            let column = has::of_row(text);
            let has_piece = texts.contains(&text).then(|| contains(&column, piece));
            let has_word = word.filter(|_| of_layouts().any(|laid_out| laid_out == text));
            let has_word = has_word.map(|word| contains(&column, word));
            let any = match text {
                "template" => [template.clone().or(has_piece), None],
                "variables" if word.is_none() => [Some("variables IS NULL".to_owned()), has_piece],
                _ if has_word.is_some() && of_piece.is_some() => [has_word, None],
                _ => [has_piece, has_word],
            };
            let any: Vec<String> = any.into_iter().flatten().collect();
            ColumnCondition::new(&column, format!("({})", any.join(" OR ")))
        });
        let decided = decides.map(|whole| ColumnCondition::new("template", contains("template", whole)));
        Some(Self {
            others: others.collect(),
            decided: decided.map(|condition| (condition, filter)),
        })
    }

    /// Returns all of the conditions.
    pub(crate) fn all(&self) -> Vec<ColumnCondition> {
        let decided = self.decided.iter().map(|(condition, _)| condition);
        decided.chain(&self.others).cloned().collect()
    }
}

fn contains(column: &str, part: &str) -> String {
    format!("contains({column}, {})", literal(part))
}

/// Returns a pattern of the templates that have a piece of a text where the whole text may be.
///
/// Next to the piece, a template has what the text has, up to a placeholder.
fn in_template(text: &str, piece: &str) -> String {
    /// Limits the characters that are compared on each side.
    const MOST: usize = 16;
    let escaped = Pattern::escape;
    let Some((before, after)) = text.split_once(piece) else {
        return escaped(piece);
    };
    let before: Vec<char> = before.chars().rev().take(MOST).collect();
    let after: Vec<char> = after.chars().take(MOST).collect();
    let alternatives = |length: usize, at: &dyn Fn(usize) -> String| {
        let all: Vec<String> = (0..=length).map(at).collect();
        format!("(?:{})", all.join("|"))
    };
    let start = alternatives(before.len(), &|count| {
        let part: String = before.iter().take(count).rev().collect();
        let placeholder = if count < before.len() { r"\x{7d}" } else { "" };
        format!("{placeholder}{}", escaped(&part))
    });
    let end = alternatives(after.len(), &|count| {
        let part: String = after.iter().take(count).collect();
        let placeholder = if count < after.len() { r"\x{7b}" } else { "" };
        format!("{}{placeholder}", escaped(&part))
    });
    format!("{start}{}{end}", escaped(piece))
}

/// Says whether a text is in a template only where it is in its logs: a template doubles braces and has placeholders,
/// which are numbers. A log with a NUL has no template.
fn is_plain(text: &str) -> bool {
    !text.contains(['{', '}', '\0']) && text.bytes().any(|byte| !byte.is_ascii_digit())
}

/// Returns SQL that is true of a log if any of these texts contains a part.
fn any_contains(texts: &[&str], part: &str) -> Sql {
    let mut sql = Sql::new("(");
    for (index, text) in texts.iter().enumerate() {
        sql.push(if index == 0 { "" } else { " OR " });
        sql.push(&format!("contains({text}, "));
        sql.bind(part.to_owned());
        sql.push(")");
    }
    sql.push(")");
    sql
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_has_a_text_up_to_a_placeholder() {
        let finds = |text: &str, template: &str| {
            let piece = longest_piece(text).unwrap();
            let pattern: Pattern = in_template(text, piece).parse().unwrap();
            pattern.is_match(template)
        };
        let text = "Failed password for";
        for template in [
            "a Failed password for {3}",
            "{1} password for",
            "{1}d password {2}",
            "{1}password{2}",
        ] {
            assert!(finds(text, template), "{template}");
        }
        for template in [
            "Accepted password for {3}",
            "password",
            "Failed password of {3}",
            "{1}ed passwords",
        ] {
            assert!(!finds(text, template), "{template}");
        }
        let long = format!("{}password", "x ".repeat(50));
        assert!(finds(&long, &long) && finds(&long, "{1} x x password"));
    }

    #[test]
    fn no_log_meets_two_conditions() {
        let query = LogQuery::new().contains("Failed password");
        let conditions = ColumnConditions::of(&query).unwrap();
        let apart = ColumnCondition::apart(&conditions.all());
        assert_eq!(apart[0], "contains(template, 'Failed password')");
        assert!(!apart[1].contains("IS NOT TRUE"), "{}", apart[1]);
        let layout = apart
            .iter()
            .find(|sql| sql.starts_with("(contains(layout"))
            .unwrap();
        assert!(
            layout.contains(" AND (contains(template, 'Failed password') OR "),
            "{layout}"
        );
    }

    #[test]
    fn what_most_logs_have_is_asked_of_no_column() {
        for text in ["22", "Nov 30", "=", "12:00"] {
            assert!(
                ColumnConditions::of(&LogQuery::new().contains(text)).is_none(),
                "{text}"
            );
        }
        let without = LogQuery::new().filter("not text contains password".parse().unwrap());
        assert!(ColumnConditions::of(&without).is_none());
    }
}
