//! Regular expressions that mean the same to every store.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use regex_syntax::ast::{
    self, AssertionKind, Ast, ClassPerlKind, ClassSetItem, FlagsItemKind, HexLiteralKind, Span,
};
use regex_syntax::hir::Hir;

use crate::models::{InvalidValue, required_texts};

/// Holds a regular expression, which is searched for anywhere in a text.
///
/// The syntax is [RE2's]: `\d`, `\w`, `\s` and `\b` are about ASCII, and `.` does not match a line end. `(?i)` at the
/// start makes it match any letter case. Syntax that other engines read differently (look-around, back references, set
/// operations in classes) is refused.
///
/// ```
/// use logstore::Pattern;
///
/// let pattern: Pattern = r"(?i)failed \w+ for (root|admin)".parse()?;
/// assert!(pattern.is_match("Failed password for root from 203.0.113.9"));
/// assert!("(unclosed".parse::<Pattern>().is_err());
/// # Ok::<(), logstore::InvalidValue>(())
/// ```
///
/// [RE2's]: https://github.com/google/re2/wiki/Syntax
#[derive(Debug, Clone)]
pub struct Pattern {
    source: String,
    regex: regex::Regex,
}

impl Pattern {
    /// Makes a pattern that finds `text` itself, in any letter case: the simple case folding of Unicode.
    ///
    /// # Errors
    ///
    /// If the text is too long for a pattern.
    pub fn literal_ignoring_case(text: &str) -> Result<Self, InvalidValue> {
        Self::ignoring_case("", text, "")
    }

    /// Makes a pattern that finds `text` itself between two assertions, in any letter case.
    pub(crate) fn ignoring_case(start: &str, text: &str, end: &str) -> Result<Self, InvalidValue> {
        format!("(?i){start}{}{end}", escape(text)).parse()
    }

    /// Makes the pattern match in any letter case, but for parts that say otherwise.
    pub(crate) fn in_any_case(&self) -> Result<Self, InvalidValue> {
        format!("(?i){}", self.source).parse()
    }

    /// Says whether the pattern is found in `text`.
    pub fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// Returns where the pattern is first found from a byte of a text on.
    pub(super) fn find_at(&self, text: &str, from: usize) -> Option<Range<usize>> {
        self.regex.find_at(text, from).map(|found| found.range())
    }

    /// Returns the pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// Returns the pattern as an expression.
    pub(crate) fn expression(&self) -> Option<Hir> {
        regex_syntax::parse(self.regex.as_str()).ok()
    }

    /// Returns texts that are in every text in which the pattern is found.
    pub(crate) fn required_texts(&self) -> Vec<String> {
        let expression = self.expression();
        let texts = expression.as_ref().map(required_texts).unwrap_or_default();
        texts.into_iter().map(str::to_owned).collect()
    }
}

/// Returns the longest run of letters and digits of ASCII.
pub(crate) fn longest_word(text: &str) -> Option<&str> {
    let words = text.split(|character: char| !character.is_ascii_alphanumeric());
    words
        .max_by_key(|word| word.len())
        .filter(|word| !word.is_empty())
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl FromStr for Pattern {
    type Err = InvalidValue;

    fn from_str(source: &str) -> Result<Self, InvalidValue> {
        let invalid = |reason: String| InvalidValue::new("regular expression", source, reason);
        let ast = ast::parse::Parser::new()
            .parse(source)
            .map_err(|error| invalid(error.kind().to_string()))?;
        let replacements =
            ast::visit(&ast, Translation::default()).map_err(|reason| invalid(reason.to_owned()))?;
        let regex =
            regex::Regex::new(&replace(source, replacements)).map_err(|error| invalid(last_line(&error)))?;
        Ok(Self {
            source: source.to_owned(),
            regex,
        })
    }
}

/// Escapes by code point where a backslash could mean something: both engines read `\x{..}`.
fn escape(text: &str) -> String {
    let escaped = |character: char| {
        if character.is_alphanumeric() {
            character.to_string()
        } else {
            format!("\\x{{{:x}}}", u32::from(character))
        }
    };
    text.chars().map(escaped).collect()
}

fn last_line(error: &regex::Error) -> String {
    let text = error.to_string();
    text.lines().last().unwrap_or_default().trim().to_owned()
}

fn replace(source: &str, mut replacements: Vec<Replacement>) -> String {
    replacements.sort_by_key(|(span, _)| span.start.offset);
    let mut text = String::with_capacity(source.len());
    let mut copied = 0;
    for (span, replacement) in replacements {
        text.push_str(&source[copied..span.start.offset]);
        text.push_str(replacement);
        copied = span.end.offset;
    }
    text.push_str(&source[copied..]);
    text
}

/// RE2 refuses higher counts, also where repetitions within one another multiply to more.
const MAX_REPETITION: u32 = 1_000;

type Replacement = (Span, &'static str);

/// Holds the replacements that give a pattern RE2's meaning in the `regex` crate. Refuses syntax that has no common
/// meaning.
struct Translation {
    replacements: Vec<Replacement>,
    /// Counts how often a part may still be repeated, for each repetition around it.
    most: Vec<u32>,
}

impl Default for Translation {
    fn default() -> Self {
        Self {
            replacements: Vec::new(),
            most: vec![MAX_REPETITION],
        }
    }
}

impl Translation {
    fn perl_class(&mut self, class: &ast::ClassPerl) {
        let ascii = match (&class.kind, class.negated) {
            (ClassPerlKind::Digit, false) => "[0-9]",
            (ClassPerlKind::Digit, true) => "[^0-9]",
            (ClassPerlKind::Space, false) => r"[\t\n\f\r ]",
            (ClassPerlKind::Space, true) => r"[^\t\n\f\r ]",
            (ClassPerlKind::Word, false) => "[0-9A-Za-z_]",
            (ClassPerlKind::Word, true) => "[^0-9A-Za-z_]",
        };
        self.replacements.push((class.span, ascii));
    }

    fn enter(&mut self, repetition: &ast::Repetition) -> Result<(), &'static str> {
        if let Ast::Repetition(_) = *repetition.ast {
            return Err("put what is repeated twice into a group");
        }
        let count = match &repetition.op.kind {
            ast::RepetitionKind::Range(
                ast::RepetitionRange::Exactly(most)
                | ast::RepetitionRange::AtLeast(most)
                | ast::RepetitionRange::Bounded(_, most),
            ) => (*most).max(1),
            _ => 1,
        };
        let most = self.most.last().map_or(0, |most| most / count);
        self.most.push(most);
        match most {
            0 => Err("a repetition count may be 1000 at most, within one another their product"),
            _ => Ok(()),
        }
    }
}

impl ast::Visitor for Translation {
    type Output = Vec<Replacement>;
    type Err = &'static str;

    fn finish(self) -> Result<Vec<Replacement>, Self::Err> {
        Ok(self.replacements)
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), Self::Err> {
        match ast {
            Ast::ClassPerl(class) => self.perl_class(class),
            Ast::Flags(set) => check_flags(&set.flags)?,
            Ast::Group(group) => check_group(&group.kind)?,
            Ast::ClassUnicode(class) => check_unicode_class(class)?,
            Ast::Literal(literal) => check_literal(literal)?,
            Ast::Assertion(assertion) => match assertion.kind {
                AssertionKind::WordBoundary => self.replacements.push((assertion.span, r"(?-u:\b)")),
                AssertionKind::NotWordBoundary => self.replacements.push((assertion.span, r"(?-u:\B)")),
                AssertionKind::StartLine
                | AssertionKind::EndLine
                | AssertionKind::StartText
                | AssertionKind::EndText => {}
                _ => return Err(r"of the word boundaries only \b and \B are supported"),
            },
            Ast::Repetition(repetition) => self.enter(repetition)?,
            _ => {}
        }
        Ok(())
    }

    fn visit_post(&mut self, ast: &Ast) -> Result<(), Self::Err> {
        if let Ast::Repetition(_) = ast {
            self.most.pop();
        }
        Ok(())
    }

    fn visit_class_set_item_pre(&mut self, item: &ClassSetItem) -> Result<(), Self::Err> {
        match item {
            ClassSetItem::Perl(class) => self.perl_class(class),
            ClassSetItem::Unicode(class) => check_unicode_class(class)?,
            ClassSetItem::Literal(literal) => check_literal(literal)?,
            ClassSetItem::Range(range) => {
                check_literal(&range.start)?;
                check_literal(&range.end)?;
            }
            ClassSetItem::Bracketed(_) => return Err("a class inside of a class is not supported"),
            _ => {}
        }
        Ok(())
    }

    fn visit_class_set_binary_op_pre(&mut self, _: &ast::ClassSetBinaryOp) -> Result<(), Self::Err> {
        Err("set operations in a class are not supported")
    }
}

fn check_group(kind: &ast::GroupKind) -> Result<(), &'static str> {
    match kind {
        ast::GroupKind::NonCapturing(flags) => check_flags(flags),
        ast::GroupKind::CaptureName { starts_with_p, name } => {
            let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            match *starts_with_p && name.name.bytes().all(is_word) {
                true => Ok(()),
                false => Err("name a group (?P<name>...), in ASCII letters, digits and _"),
            }
        }
        ast::GroupKind::CaptureIndex(_) => Ok(()),
    }
}

/// Lists the general categories of Unicode that both engines write alike and with the same members; `C` has others.
const CATEGORIES: [&str; 34] = [
    "L", "Ll", "Lm", "Lo", "Lt", "Lu", "M", "Mc", "Me", "Mn", "N", "Nd", "Nl", "No", "P", "Pc", "Pd", "Pe",
    "Pf", "Pi", "Po", "Ps", "S", "Sc", "Sk", "Sm", "So", "Z", "Zl", "Zp", "Zs", "Cc", "Cf", "Co",
];

/// Lists scripts of Unicode that logs are written in.
const SCRIPTS: [&str; 24] = [
    "Arabic",
    "Armenian",
    "Bengali",
    "Cyrillic",
    "Devanagari",
    "Ethiopic",
    "Georgian",
    "Greek",
    "Gujarati",
    "Gurmukhi",
    "Han",
    "Hangul",
    "Hebrew",
    "Hiragana",
    "Kannada",
    "Katakana",
    "Khmer",
    "Lao",
    "Latin",
    "Malayalam",
    "Myanmar",
    "Tamil",
    "Telugu",
    "Thai",
];

fn check_unicode_class(class: &ast::ClassUnicode) -> Result<(), &'static str> {
    let is_known = match &class.kind {
        ast::ClassUnicodeKind::OneLetter(letter) => CATEGORIES.iter().any(|name| name.chars().eq([*letter])),
        ast::ClassUnicodeKind::Named(name) => {
            CATEGORIES.contains(&name.as_str()) || SCRIPTS.contains(&name.as_str())
        }
        ast::ClassUnicodeKind::NamedValue { .. } => false,
    };
    match is_known {
        true => Ok(()),
        false => Err(
            r"of the Unicode classes, categories such as \p{Lu} (but not C) and common scripts such as \p{Cyrillic} are supported",
        ),
    }
}

fn check_flags(flags: &ast::Flags) -> Result<(), &'static str> {
    let supported = |kind: &FlagsItemKind| {
        matches!(
            kind,
            FlagsItemKind::Negation
                | FlagsItemKind::Flag(
                    ast::Flag::CaseInsensitive
                        | ast::Flag::MultiLine
                        | ast::Flag::DotMatchesNewLine
                        | ast::Flag::SwapGreed
                )
        )
    };
    if flags.items.iter().all(|item| supported(&item.kind)) {
        Ok(())
    } else {
        Err("of the flags only i, m, s and U are supported")
    }
}

fn check_literal(literal: &ast::Literal) -> Result<(), &'static str> {
    use ast::LiteralKind::{HexBrace, HexFixed};
    match literal.kind {
        HexBrace(HexLiteralKind::X) | HexFixed(HexLiteralKind::X) => Ok(()),
        HexBrace(_) | HexFixed(_) => Err(r"write a code point as \x{...}"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_every_match_holds_are_found() {
        for (pattern, word) in [
            ("port 42[0-9]+ ssh2", Some("ssh2")),
            ("(Failed|Accepted) (password)+ for", Some("password")),
            ("(password)* x?", None),
            ("a|b", None),
            ("(?i)failed 4242", Some("4242")),
            ("..", None),
            ("\\x{e9}t\\x{e9}", Some("t")),
        ] {
            let pattern: Pattern = pattern.parse().unwrap();
            let texts = pattern.required_texts();
            let words = texts.iter().filter_map(|text| longest_word(text));
            assert_eq!(words.max_by_key(|word| word.len()), word, "{pattern}");
        }
    }

    fn finds(pattern: &str, text: &str) -> bool {
        pattern.parse::<Pattern>().unwrap().is_match(text)
    }

    #[test]
    fn classes_and_boundaries_are_ascii() {
        assert!(finds(r"^\d+$", "042") && !finds(r"^\d+$", "٠٤٢"));
        assert!(!finds(r"\w", "é") && finds(r"[^\w]", "é") && finds(r"\W", "é"));
        assert!(finds(r"\bx", "éx") && finds(r"a\Bb", "ab"));
        assert!(finds(r"[\d.]+", "1.2"));
    }

    #[test]
    fn refuses_what_engines_read_differently() {
        for source in [
            "(unclosed",
            "(?=a)",
            r"(a)\1",
            "[a&&b]",
            "[a[b]]",
            r"\u{41}",
            "(?x)a b",
            "(?-u)a",
            r"\b{start}",
            "a{1001}",
            "(a{50}){50}",
            "a**",
            "a{2}{3}",
            "a????",
            "(?<n>a)",
            r"\p{Letter}",
            r"\p{lu}",
            r"\pC",
            r"[\p{Script=Greek}]",
            r"\Qa\E",
        ] {
            assert!(source.parse::<Pattern>().is_err(), "{source}");
        }
    }

    #[test]
    fn ignoring_case_takes_text_literally() {
        let pattern = Pattern::literal_ignoring_case("A.b*[ß").unwrap();
        assert!(pattern.is_match("xa.B*[ẞy") && !pattern.is_match("aab[ß"));
    }
}
