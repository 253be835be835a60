//! Filters as text, as a user types them and as they are printed again.
//!
//! ```text
//! filter    = group { "or" group }
//! group     = part { "and" part }
//! part      = { "not" } ( "(" filter ")" | "true" | "false" | condition )
//! condition = field ( "=" | "!=" | "~" ) value [ "i" ]
//!           | field ( "<" | "<=" | ">" | ">=" ) value
//!           | field [ "not" ] ( "contains" | "startswith" | "endswith" ) value [ "i" ]
//!           | field [ "not" ] "has" value
//!           | field [ "not" ] "in" ( "(" [ value { "," value } ] ")" [ "i" ] | network )
//!           | field [ "not" ] "exists"
//! ```
//!
//! Words are read in any letter case. An `i` after a value ignores the letter case of the value. A value is a word, or
//! a text in quotes. In single quotes only a quote is special, and is written twice. In double quotes a backslash
//! escapes. A field that is no word is put into backquotes.

mod parser;
mod place;
mod writer;

use super::field::is_name_character;

/// Lists words that divide conditions, and cannot be values without quotes.
const RESERVED: [&str; 3] = ["and", "or", "not"];

fn is_reserved(word: &str) -> bool {
    RESERVED
        .iter()
        .any(|reserved| reserved.eq_ignore_ascii_case(word))
}

/// Says whether a value may hold a character without quotes around it.
fn is_value_character(character: char) -> bool {
    !matches!(character, '(' | ')' | ',' | '\'' | '"' | '`')
        && !character.is_whitespace()
        && !character.is_control()
}

/// Says whether a character begins an operator, and so cannot begin a value without quotes.
fn begins_operator(character: char) -> bool {
    matches!(character, '=' | '!' | '<' | '>' | '~')
}

/// Returns the length of the field that a text begins with. Its parts in double quotes may hold any character.
fn field_length(text: &str) -> usize {
    let mut is_quoted = false;
    let end = text.char_indices().find(|(_, character)| {
        is_quoted ^= *character == '"';
        *character != '"' && !is_quoted && !is_name_character(*character)
    });
    end.map_or(text.len(), |(end, _)| end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::models::query::condition::{Case, Operator};
    use crate::models::query::filter::Filter;

    fn condition(field: &str, operator: Operator) -> Filter {
        Filter::condition(field, operator).unwrap()
    }

    fn read(text: &str) -> Filter {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    /// The reason without the line and the caret.
    fn reason(text: &str) -> String {
        let error = text.parse::<Filter>().unwrap_err();
        error.reason.lines().next().unwrap().to_owned()
    }

    #[test]
    fn every_operator_is_read() {
        let ignoring = |value: &str| (value.to_owned(), Case::Ignored);
        let (root, start, end) = (ignoring("root"), ignoring("ro"), ignoring("ot"));
        for (text, operator) in [
            ("user=root", Operator::equals("root")),
            ("user = 'root' i", Operator::Equals(root.0.clone(), root.1)),
            ("user < m", Operator::Less("m".into())),
            ("user<=m", Operator::LessOrEqual("m".into())),
            ("user > m", Operator::Greater("m".into())),
            ("user>=m", Operator::GreaterOrEqual("m".into())),
            ("user in (root, 'a b')", Operator::one_of(["root", "a b"])),
            ("user IN (root,)I", Operator::OneOf(vec![root.0], Case::Ignored)),
            ("user in ()", Operator::one_of([""; 0])),
            ("user contains oo", Operator::contains("oo")),
            ("user StartsWith ro i", Operator::StartsWith(start.0, start.1)),
            ("user endswith \"ot\"i", Operator::EndsWith(end.0, end.1)),
            (r"user ~ '^\w+$'", Operator::Matches(r"^\w+$".parse().unwrap())),
            ("user ~ a i", Operator::Matches("(?i)a".parse().unwrap())),
            ("user has Root", Operator::has("Root")),
            ("user exists", Operator::Exists),
            ("user in 10.0.0.0/8", Operator::in_network("10.0.0.0/8").unwrap()),
            (
                "user in ::ffff:10.0.0.1",
                Operator::in_network("10.0.0.1").unwrap(),
            ),
        ] {
            assert_eq!(read(text), condition("user", operator), "{text}");
        }
    }

    #[test]
    fn and_binds_before_or_and_not_before_both() {
        let [a, b, c] = ["a", "b", "c"].map(|name| condition(name, Operator::equals("1")));
        let not = |filter: &Filter| filter.clone().negated().unwrap();
        let all = |filters: &[&Filter]| Filter::all(filters.iter().copied().cloned()).unwrap();
        let any = |filters: &[&Filter]| Filter::any(filters.iter().copied().cloned()).unwrap();
        for (text, expected) in [
            ("a=1 or b=1 and c=1", any(&[&a, &all(&[&b, &c])])),
            ("(a=1 or b=1)and(c=1)", all(&[&any(&[&a, &b]), &c])),
            ("not a=1 and b=1", all(&[&not(&a), &b])),
            ("NOT(a=1 AND b=1)", not(&all(&[&a, &b]))),
            ("not not not a=1", not(&a)),
            ("a != 1", not(&a)),
            ("a not in (1)", not(&condition("a", Operator::one_of(["1"])))),
            ("a not exists", not(&condition("a", Operator::Exists))),
            ("a=1 or false", any(&[&a, &Filter::any([]).unwrap()])),
            ("\n\ta=1\r\nand true ", a.clone()),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn values_and_fields_are_written_with_and_without_quotes() {
        for (text, expected) in [
            ("a=b=c", condition("a", Operator::equals("b=c"))),
            ("a='it''s'", condition("a", Operator::equals("it's"))),
            (r"a='\d'", condition("a", Operator::equals(r"\d"))),
            (
                r#"a="\"\\\n\u{1f986}""#,
                condition("a", Operator::equals("\"\\\n\u{1f986}")),
            ),
            ("a=''", condition("a", Operator::equals(""))),
            ("a='and'", condition("a", Operator::equals("and"))),
            ("a=i", condition("a", Operator::equals("i"))),
            (
                "normalized.\"a.b\".c=1",
                condition("normalized.\"a.b\".c", Operator::equals("1")),
            ),
            (
                "\"a b\".c=1",
                condition("normalized.\"a b\".c", Operator::equals("1")),
            ),
            (
                "`normalized.a b`=1",
                condition("normalized.a b", Operator::equals("1")),
            ),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn a_list_of_addresses_may_hold_networks() {
        let expected = read("source_ip in ('1.1.1.1') or source_ip in 10.0.0.0/8");
        assert_eq!(read("source_ip in (10.0.0.0/8, 1.1.1.1)"), expected);
        assert_eq!(read("source_ip in (10.0.0.0/8)"), read("source_ip in 10.0.0.0/8"));
        assert_eq!(
            read("source_ip in (a/b)"),
            condition("source_ip", Operator::one_of(["a/b"]))
        );
        assert!(reason("source_ip = 10.0.0.0/8").contains("write source_ip in 10.0.0.0/8"));
        assert_eq!(
            read("file in (/a, /b)"),
            condition("file", Operator::one_of(["/a", "/b"]))
        );
    }

    #[test]
    fn a_pattern_in_any_case_is_a_pattern_of_its_own() {
        let refused = "user ~ 'zz)|(^roo' i".parse::<Filter>().unwrap_err().to_string();
        assert!(
            refused.contains("zz)|(^roo") && !refused.contains("(?i"),
            "{refused}"
        );
        let log = crate::LogEntry::new(chrono::Utc::now()).with_field("user", "ROOT");
        let filter: Filter = "user ~ 'zz|^roo' i".parse().unwrap();
        assert!(filter.matches(&log));
    }

    #[test]
    fn an_error_says_where_and_what_was_expected() {
        for (text, expected) in [
            ("", "column 1: expected a field, not or (, found the end"),
            ("user", "column 5: expected =, !=, <"),
            ("user root", "column 6: expected =, !=, <"),
            ("user ! root", "column 6: expected =, !=, <"),
            ("user =", "column 7: expected a value"),
            ("user == root", "column 7: expected a value"),
            (
                "user=root an host=x",
                "column 11: expected and, or or the end, found \"an\"",
            ),
            ("user=root and", "column 14: expected a field"),
            ("user=root and or x=1", "column 15: expected a field"),
            ("(user=root", "column 11: expected and, or or ), found the end"),
            (
                "user=root)",
                "column 10: expected and, or or the end, found \")\"",
            ),
            ("user in (a b)", "column 12: expected , or )"),
            ("user in (a", "column 11: expected , or )"),
            ("user in web1", "column 9: network \"web1\" is not valid"),
            ("user ~ '('", "column 8: regular expression \"(\" is not valid"),
            ("user = 'a", "column 8: the quote ' is not closed"),
            ("user = \"\\d\"", "column 9: expected \\\","),
            (
                "procid = x",
                "column 10: value \"x\" is not valid: procid is a whole number",
            ),
            ("level >= loud", "column 10: value \"loud\" is not valid"),
            (
                "user =\n root\n, x",
                "line 3, column 1: expected and, or or the end",
            ),
            ("\nuser", "line 2, column 5: expected ="),
        ] {
            let reason = reason(text);
            assert!(reason.starts_with(expected), "{text}: {reason}");
        }
    }

    #[test]
    fn a_caret_points_at_the_place() {
        let reason = |text: &str| text.parse::<Filter>().unwrap_err().reason;
        let lines = |text: &str| {
            reason(text)
                .lines()
                .skip(1)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(lines("é=1 an b=2"), ["é=1 an b=2", "    ^^"]);
        assert_eq!(lines("a=1 and\n\tb=\u{202e}'x"), [" b=\u{fffd}'x", "    ^"]);
        let long = lines(&format!("{} !", "a=1 and ".repeat(100) + "b=1"));
        assert!(long.iter().all(|line| line.chars().count() <= 110), "{long:?}");
    }

    #[test]
    fn depth_and_size_are_bounded() {
        let deep = |depth: usize| "(".repeat(depth) + "a=1" + &")".repeat(depth);
        assert_eq!(read(&deep(32)), read("a=1"));
        assert!(reason(&deep(33)).starts_with("column 33: put at most 32"));
        assert!(deep(100_000).parse::<Filter>().is_err());
        assert_eq!(read(&format!("{}a=1", "not ".repeat(100_000))), read("a=1"));
        let wide = vec!["a=1"; 1_001].join(" or ");
        assert!(wide.parse::<Filter>().is_err());
    }

    proptest! {
        #[test]
        fn no_text_is_too_much(text in any::<String>()) {
            check(&text)?;
        }

        #[test]
        fn no_text_of_the_language_is_too_much(
            text in "((a|user|level|`b|\"c\"|=|!|<|>|~|\\(|\\)|,|'|in|not|and|or|exists|contains|i|7|10\\.0\\.0\\.0/8|\\\\u|\\{|é|\n) ?){0,24}"
        ) {
            check(&text)?;
        }
    }

    /// A text is refused, or is a filter that is printed as text of the same filter.
    fn check(text: &str) -> Result<(), TestCaseError> {
        if let Ok(filter) = text.parse::<Filter>() {
            let printed = filter.to_string();
            prop_assert_eq!(printed.parse::<Filter>(), Ok(filter), "{}", printed);
        }
        Ok(())
    }
}
