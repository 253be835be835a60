//! The modifiers of a field: `CommandLine|windash|contains|all`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regex::RegexBuilder;
use serde_json::Value;

use super::expression::{Case, Comparison, Condition, Decimal, Expression, Test, TimePart};
use super::glob::Glob;
use crate::models::address;

/// Limits how many values one field of a rule may have, lists of placeholders included.
const MOST_VALUES: usize = 100_000;

/// Limits how many values one value may come to.
const MOST_FORMS: usize = 10_000;

/// Limits the memory of one compiled regular expression, in bytes.
pub(crate) const REGEX_SIZE: usize = 4 << 20;

/// Gives the values of a placeholder such as `%Servers%`, by its name without the signs.
pub(crate) type Placeholders<'a> = dyn Fn(&str) -> Option<Vec<String>> + 'a;

/// Reads what a rule asks of one field: its name with modifiers, and its values.
pub(crate) fn parse(
    key: &str,
    values: &Value,
    placeholders: &Placeholders<'_>,
) -> Result<Expression, String> {
    let mut words = key.split('|');
    let name = words.next().unwrap_or_default();
    let field: Option<Box<str>> = (!name.is_empty()).then(|| name.into());
    let modifiers = Modifiers::parse(key, words)?;
    let values: &[Value] = match values {
        Value::Array(list) => list,
        single => std::slice::from_ref(single),
    };
    if values.len() > MOST_VALUES {
        return Err(format!("the field {key:?} has more than {MOST_VALUES} values"));
    }
    let questions = values.iter().map(|value| {
        let question = modifiers.question(field.as_deref(), value, placeholders);
        question.map_err(|reason| format!("{key:?}: {reason}"))
    });
    let mut parts = Vec::with_capacity(values.len());
    let mut forms = 0_usize;
    for question in questions {
        let question = question?;
        question.for_each_condition(&mut |_| forms += 1);
        if forms > MOST_VALUES {
            return Err(format!(
                "the field {key:?} comes to more than {MOST_VALUES} values"
            ));
        }
        parts.push(question);
    }
    let combined = match modifiers.all {
        true => Expression::all(parts),
        false => Expression::any(parts),
    };
    Ok(match modifiers.negated {
        true => combined.not(),
        false => combined,
    })
}

/// Holds the modifiers of a field: what is done to each value, and how it is compared.
#[derive(Default)]
struct Modifiers {
    steps: Vec<Step>,
    kind: Kind,
    all: bool,
    negated: bool,
    cased: bool,
    wildcards: Wildcards,
    flags: String,
}

/// Says where a value has wildcards that are not written.
#[derive(Default, Clone, Copy)]
struct Wildcards {
    before: bool,
    after: bool,
}

/// Changes a value before it is compared.
#[derive(Clone, Copy)]
enum Step {
    WindowsDash,
    Utf16 { big_endian: bool, marked: bool },
    Base64,
    Base64Offset,
    Expand,
}

/// Says how a value is compared.
#[derive(Default, Clone, Copy, PartialEq)]
enum Kind {
    #[default]
    Text,
    Regex,
    Network,
    Number(Comparison),
    Exists,
    FieldReference,
    Time(TimePart, Comparison),
}

impl Modifiers {
    fn parse<'a>(key: &str, words: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let mut modifiers = Self::default();
        for word in words {
            modifiers
                .add(word)
                .map_err(|reason| format!("{key:?}: {reason}"))?;
        }
        Ok(modifiers)
    }

    fn add(&mut self, word: &str) -> Result<(), String> {
        match word {
            "contains" => {
                self.wildcards = Wildcards {
                    before: true,
                    after: true,
                };
            }
            "startswith" => self.wildcards.after = true,
            "endswith" => self.wildcards.before = true,
            "all" => self.all = true,
            "neq" => self.negated = true,
            "cased" => self.cased = true,
            "windash" => self.steps.push(Step::WindowsDash),
            "wide" | "utf16le" => self.steps.push(Step::Utf16 {
                big_endian: false,
                marked: false,
            }),
            "utf16be" => self.steps.push(Step::Utf16 {
                big_endian: true,
                marked: false,
            }),
            "utf16" => self.steps.push(Step::Utf16 {
                big_endian: false,
                marked: true,
            }),
            "base64" => self.steps.push(Step::Base64),
            "base64offset" => self.steps.push(Step::Base64Offset),
            "expand" => self.steps.push(Step::Expand),
            "i" | "m" | "s" if self.kind == Kind::Regex => self.flags.push_str(word),
            _ => return self.set_kind(word),
        }
        Ok(())
    }

    fn set_kind(&mut self, word: &str) -> Result<(), String> {
        let kind = match word {
            "re" => Kind::Regex,
            "cidr" => Kind::Network,
            "exists" => Kind::Exists,
            "fieldref" => Kind::FieldReference,
            "lt" => self.compared(Comparison::Less),
            "lte" => self.compared(Comparison::AtMost),
            "gt" => self.compared(Comparison::Greater),
            "gte" => self.compared(Comparison::AtLeast),
            "minute" => Kind::Time(TimePart::Minute, Comparison::Equal),
            "hour" => Kind::Time(TimePart::Hour, Comparison::Equal),
            "day" => Kind::Time(TimePart::Day, Comparison::Equal),
            "week" => Kind::Time(TimePart::Week, Comparison::Equal),
            "month" => Kind::Time(TimePart::Month, Comparison::Equal),
            "year" => Kind::Time(TimePart::Year, Comparison::Equal),
            "i" | "m" | "s" => return Err(format!("the modifier {word} belongs after re")),
            unknown => return Err(format!("{unknown:?} is no modifier of Sigma{}", similar(unknown))),
        };
        let is_narrowed = matches!((self.kind, kind), (Kind::Time(..), Kind::Time(..)));
        if self.kind != Kind::Text && !is_narrowed {
            return Err(format!("the modifier {word} does not go with the one before it"));
        }
        self.kind = kind;
        Ok(())
    }

    fn compared(&self, comparison: Comparison) -> Kind {
        match self.kind {
            Kind::Time(part, _) => Kind::Time(part, comparison),
            _ => Kind::Number(comparison),
        }
    }

    fn case(&self) -> Case {
        match self.cased {
            true => Case::Exact,
            false => Case::Folded,
        }
    }

    /// Returns the question of one value: one of its tests must hold.
    fn question(
        &self,
        field: Option<&str>,
        value: &Value,
        placeholders: &Placeholders<'_>,
    ) -> Result<Expression, String> {
        let tests = self
            .tests(value, placeholders)?
            .into_iter()
            .map(|test| match (field, test) {
                (Some(_), test) => Ok(test),
                (None, Test::Text { glob, case }) => Ok(Test::Text {
                    glob: glob.after_any().before_any(),
                    case,
                }),
                (None, Test::Regex(pattern)) => Ok(Test::Regex(pattern)),
                (None, _) => {
                    Err("keywords are texts or regular expressions: name a field for this".to_owned())
                }
            });
        let ask = |test| {
            Expression::Condition(Condition {
                field: field.map(Into::into),
                test,
            })
        };
        let asked = tests.map(|test| test.map(ask)).collect::<Result<_, _>>()?;
        let question = Expression::any(asked);
        Ok(match (self.kind, value) {
            (Kind::Exists, Value::Bool(false)) => question.not(),
            _ => question,
        })
    }

    /// Returns the tests of one value, of which one must hold.
    fn tests(&self, value: &Value, placeholders: &Placeholders<'_>) -> Result<Vec<Test>, String> {
        match (self.kind, value) {
            (Kind::Exists, Value::Bool(_)) => Ok(vec![Test::Exists]),
            (Kind::Exists, _) => Err("exists takes true or false".into()),
            (Kind::Number(comparison), _) => Ok(vec![number(value, comparison)?]),
            (Kind::Time(part, comparison), _) => Ok(vec![time(value, part, comparison)?]),
            (Kind::Text, Value::Null) => Ok(vec![Test::Null]),
            (_, Value::Null) => Err("null goes with no modifier".into()),
            _ => self.of_text(&scalar(value)?, placeholders),
        }
    }

    fn of_text(&self, text: &str, placeholders: &Placeholders<'_>) -> Result<Vec<Test>, String> {
        match self.kind {
            Kind::Regex => Ok(vec![self.regex(text)?]),
            Kind::Network => {
                let network = address::network(text).map_err(|invalid| invalid.to_string())?;
                Ok(vec![Test::InNetwork(network)])
            }
            Kind::FieldReference => Ok(vec![Test::Field {
                name: text.into(),
                starts: self.wildcards.after,
                ends: self.wildcards.before,
                case: self.case(),
            }]),
            _ => {
                let globs = self
                    .steps
                    .iter()
                    .try_fold(vec![Glob::parse(text)], |globs, step| {
                        step.apply(globs, placeholders)
                    })?;
                Ok(globs.into_iter().map(|glob| self.text(glob)).collect())
            }
        }
    }

    fn text(&self, mut glob: Glob) -> Test {
        if self.wildcards.before {
            glob = glob.after_any();
        }
        if self.wildcards.after {
            glob = glob.before_any();
        }
        let case = self.case();
        if case == Case::Folded {
            glob = glob.folded();
        }
        Test::Text { glob, case }
    }

    fn regex(&self, text: &str) -> Result<Test, String> {
        let pattern = match &*self.flags {
            "" => text.to_owned(),
            flags => format!("(?{flags}){text}"),
        };
        let built = RegexBuilder::new(&pattern).size_limit(REGEX_SIZE).build();
        match built {
            Ok(_) => Ok(Test::Regex(pattern.into())),
            Err(regex::Error::CompiledTooBig(_)) => Err(format!(
                "the regular expression needs more than {} MiB",
                REGEX_SIZE >> 20
            )),
            Err(error) => Err(format!(
                "the regular expression cannot be used: {}",
                in_one_line(&error)
            )),
        }
    }
}

/// Returns the last line of an error of the expressions' parser, which says what is wrong.
fn in_one_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.trim_start_matches("error: ").to_owned()
}

fn similar(word: &str) -> String {
    const KNOWN: [&str; 28] = [
        "all",
        "startswith",
        "endswith",
        "contains",
        "exists",
        "cased",
        "neq",
        "windash",
        "re",
        "base64",
        "base64offset",
        "utf16le",
        "utf16be",
        "utf16",
        "wide",
        "lt",
        "lte",
        "gt",
        "gte",
        "minute",
        "hour",
        "day",
        "week",
        "month",
        "year",
        "cidr",
        "expand",
        "fieldref",
    ];
    let likeness = |known: &&str| strsim::jaro_winkler(known, word);
    let best = KNOWN
        .into_iter()
        .max_by(|left, right| likeness(left).total_cmp(&likeness(right)));
    best.filter(|best| likeness(best) > 0.8)
        .map(|best| format!(": did you mean {best}?"))
        .unwrap_or_default()
}

/// Returns the text of a value, as rules compare numbers and truth values as text.
fn scalar(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            Err("a value is a text, a number, true, false or null".into())
        }
    }
}

fn number(value: &Value, comparison: Comparison) -> Result<Test, String> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let number = number.and_then(Decimal::new);
    number
        .map(|value| Test::Number { comparison, value })
        .ok_or_else(|| "lt, lte, gt and gte take a number".into())
}

fn time(value: &Value, part: TimePart, comparison: Comparison) -> Result<Test, String> {
    let number = match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number
        .map(|value| Test::Time {
            part,
            comparison,
            value,
        })
        .ok_or_else(|| "a part of a time is compared with a whole number".into())
}

impl Step {
    fn apply(self, globs: Vec<Glob>, placeholders: &Placeholders<'_>) -> Result<Vec<Glob>, String> {
        let mut changed = Vec::new();
        for glob in globs {
            match self {
                Self::WindowsDash => {
                    let forms = glob.expand_texts(dashes, MOST_FORMS);
                    changed.extend(forms.ok_or_else(|| {
                        format!("with windash it comes to more than {MOST_FORMS} values: name fewer dashes")
                    })?);
                }
                Self::Utf16 { big_endian, marked } => {
                    changed.push(glob.map_texts(|text| as_text(&utf16(text, big_endian, marked))));
                }
                Self::Base64 => {
                    let text = plain(&glob, "base64")?;
                    let encoded = STANDARD.encode(bytes(text));
                    changed.push(Glob::plain(encoded));
                }
                Self::Base64Offset => {
                    let bytes = bytes(plain(&glob, "base64offset")?);
                    let forms = (0..3).map(|offset| at_offset(&bytes, offset));
                    let forms: Vec<String> = forms.collect();
                    if forms.iter().any(String::is_empty) {
                        return Err("base64offset takes a text of at least three bytes".into());
                    }
                    changed.extend(forms.into_iter().map(Glob::plain));
                }
                Self::Expand => changed.extend(expand(&glob, placeholders)?),
            }
            if changed.len() > MOST_VALUES {
                return Err(format!("it comes to more than {MOST_VALUES} values"));
            }
        }
        Ok(changed)
    }
}

fn plain<'a>(glob: &'a Glob, modifier: &str) -> Result<&'a str, String> {
    glob.as_plain()
        .ok_or_else(|| format!("{modifier} takes no wildcards: escape them with a backslash"))
}

/// Returns all forms of a text whose dashes before words are written in each way that Windows programs take.
fn dashes(text: &str) -> Vec<String> {
    const DASHES: [char; 5] = ['-', '/', '\u{2013}', '\u{2014}', '\u{2015}'];
    /// More dashes come to more forms than a value may have, so these are enough to refuse them.
    const VARIED: usize = 6;
    let characters: Vec<char> = text.chars().collect();
    let is_word = |place: usize| {
        let character = characters.get(place);
        character.is_some_and(|character| character.is_alphanumeric() || *character == '_')
    };
    let is_dash = |place: usize| {
        matches!(characters.get(place), Some('-' | '/'))
            && is_word(place + 1)
            && (place == 0 || !is_word(place - 1))
    };
    let places: Vec<usize> = (0..characters.len())
        .filter(|place| is_dash(*place))
        .take(VARIED)
        .collect();
    let mut forms = vec![characters.clone()];
    for place in places {
        forms = forms
            .into_iter()
            .flat_map(|form| {
                DASHES.map(|dash| {
                    let mut form = form.clone();
                    if let Some(character) = form.get_mut(place) {
                        *character = dash;
                    }
                    form
                })
            })
            .collect();
    }
    forms.into_iter().map(|form| form.into_iter().collect()).collect()
}

fn utf16(text: &str, big_endian: bool, marked: bool) -> Vec<u8> {
    let mark = marked.then_some(0xFEFF);
    let units = mark.into_iter().chain(text.encode_utf16());
    units
        .flat_map(|unit| match big_endian {
            true => unit.to_be_bytes(),
            false => unit.to_le_bytes(),
        })
        .collect()
}

/// Returns bytes as a text with one character for each. [`bytes`] takes it back.
fn as_text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// Returns the bytes of a text to encode: those of UTF-16 if an earlier modifier made it so, else those of UTF-8.
fn bytes(text: &str) -> Vec<u8> {
    let is_utf16 = text.contains('\0');
    let narrow: Option<Vec<u8>> = text
        .chars()
        .map(|character| u8::try_from(character).ok())
        .collect();
    match narrow {
        Some(narrow) if is_utf16 => narrow,
        _ => text.as_bytes().to_vec(),
    }
}

/// Returns the part of an encoded text that is the same whatever surrounds it, if it begins `offset` bytes after a
/// multiple of three.
fn at_offset(bytes: &[u8], offset: usize) -> String {
    const STARTS: [usize; 3] = [0, 2, 3];
    const ENDS: [usize; 3] = [0, 3, 2];
    let mut padded = vec![b' '; offset];
    padded.extend_from_slice(bytes);
    let encoded = STANDARD.encode(&padded);
    let start = STARTS.get(offset).copied().unwrap_or_default();
    let cut = ENDS.get(padded.len() % 3).copied().unwrap_or_default();
    let end = encoded.len().saturating_sub(cut);
    encoded.get(start..end).unwrap_or_default().to_owned()
}

/// Replaces `%name%` in a text by the values of the placeholder. A backslash makes a sign plain.
fn expand(glob: &Glob, placeholders: &Placeholders<'_>) -> Result<Vec<Glob>, String> {
    let mut made = vec![String::new()];
    let mut rest = plain(glob, "expand")?;
    while let Some((before, after)) = rest.split_once('%') {
        if let Some(before) = before.strip_suffix('\\') {
            for text in &mut made {
                *text += &format!("{before}%");
            }
            rest = after;
            continue;
        }
        let Some((name, after)) = after.split_once('%') else {
            break;
        };
        let values = placeholders(name).ok_or_else(|| {
            format!("the placeholder %{name}% has no values: set detect.placeholders.{name}")
        })?;
        made = made
            .iter()
            .flat_map(|start| values.iter().map(move |value| format!("{start}{before}{value}")))
            .take(MOST_VALUES + 1)
            .collect();
        rest = after;
    }
    Ok(made
        .into_iter()
        .map(|start| Glob::parse(&format!("{start}{rest}")))
        .collect())
}
