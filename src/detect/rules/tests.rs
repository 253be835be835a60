//! The compiled form of rules agrees with their meaning.

use proptest::prelude::*;

use super::*;
use crate::detect::event::Scalar;
use crate::detect::sigma::About;
use crate::detect::sigma::expression::{Case, Comparison, Condition, Decimal, Expression, Test};
use crate::detect::sigma::glob::Glob;
use crate::models::LogSource;

fn field() -> impl Strategy<Value = Option<Box<str>>> {
    prop_oneof![
        1 => Just(None),
        6 => prop_oneof![Just("Image"), Just("New Value"), Just("EventID")].prop_map(|name| Some(name.into())),
    ]
}

fn text() -> impl Strategy<Value = String> {
    proptest::string::string_regex("[abABkKs\u{212a}\u{17f}\u{130}-]{0,6}").unwrap()
}

fn test() -> impl Strategy<Value = Test> {
    let case = prop_oneof![Just(Case::Folded), Just(Case::Exact)];
    let glob = proptest::string::string_regex("[abAkS*?-]{0,5}").unwrap();
    let glob = (glob, case).prop_map(|(text, case)| {
        let glob = Glob::parse(&text);
        let glob = if case == Case::Folded { glob.folded() } else { glob };
        Test::Text { glob, case }
    });
    let regex = prop_oneof![
        Just("ab+"),
        Just("(?i)sk-"),
        Just("^a"),
        Just("(?i)ask"),
        Just("b{2}k?")
    ];
    let number = (0..3_i32).prop_map(|number| Test::Number {
        comparison: Comparison::AtLeast,
        value: Decimal::new(number.into()).unwrap(),
    });
    let other = (any::<bool>(), any::<bool>()).prop_map(|(starts, ends)| Test::Field {
        name: "Image".into(),
        starts,
        ends,
        case: Case::Folded,
    });
    prop_oneof![
        6 => glob,
        2 => regex.prop_map(|pattern| Test::Regex(pattern.into())),
        1 => number,
        1 => Just(Test::Exists),
        1 => Just(Test::Null),
        1 => other,
        1 => Just(Test::InNetwork("10.0.0.0/8".parse().unwrap())),
    ]
}

fn condition() -> impl Strategy<Value = Expression> {
    (field(), test()).prop_map(|(field, test)| {
        // Keywords are texts and expressions only.
        let field = match test {
            Test::Text { .. } | Test::Regex(_) => field,
            _ => field.or(Some("Image".into())),
        };
        Expression::Condition(Condition { field, test })
    })
}

fn expression() -> impl Strategy<Value = Expression> {
    condition().prop_recursive(3, 12, 3, |inner| {
        let parts = proptest::collection::vec(inner.clone(), 1..4);
        prop_oneof![
            parts.clone().prop_map(Expression::all),
            parts.prop_map(Expression::any),
            inner.prop_map(Expression::not),
        ]
    })
}

fn value() -> impl Strategy<Value = Scalar<'static>> {
    prop_oneof![
        5 => text().prop_map(|text| Scalar::Text(text.into())),
        1 => (0..3_i64).prop_map(Scalar::Int),
        1 => Just(Scalar::Null),
        1 => Just(Scalar::Text("10.1.2.3".into())),
    ]
}

fn event() -> impl Strategy<Value = Event<'static>> {
    let name = prop_oneof![Just("Image"), Just("NewValue"), Just("eventid"), Just("other")];
    proptest::collection::vec((name, value()), 0..5).prop_map(|values| {
        let mut event = Event::new("linux/*/*".parse().unwrap());
        for (name, value) in values {
            event.push(name, value);
        }
        event
    })
}

fn rule(detection: Expression, source: &LogSource) -> SigmaRule {
    SigmaRule {
        about: About::default(),
        log_source: source.clone(),
        detection,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn rules_match_what_their_expressions_mean(
        expressions in proptest::collection::vec(expression(), 1..6),
        events in proptest::collection::vec(event(), 1..4),
    ) {
        let source: LogSource = "linux/*/*".parse().unwrap();
        let rules = RuleSet::new(expressions.into_iter().map(|expression| rule(expression, &source)));
        let mut scratch = Scratch::default();
        for event in &events {
            let expected: Vec<usize> = (0..)
                .zip(rules.rules())
                .filter(|(_, rule)| rule.detection.holds(event, &source))
                .map(|(place, _)| place)
                .collect();
            prop_assert_eq!(rules.matches_with(event, &mut scratch), &expected[..]);
        }
    }

    #[test]
    fn one_of_the_words_of_a_rule_is_in_each_event_that_it_matches(
        expression in expression(),
        events in proptest::collection::vec(event(), 1..4),
    ) {
        let source: LogSource = "linux/*/*".parse().unwrap();
        let rule = rule(expression, &source);
        if let Some(words) = rule.words() {
            for event in events.iter().filter(|event| rule.detection.holds(event, &source)) {
                let texts = event.leaves.iter().filter_map(|leaf| leaf.value.to_text());
                let text = texts.collect::<Vec<_>>().join(" ").to_lowercase();
                prop_assert!(words.iter().any(|word| text.contains(word.as_str())), "{words:?} in {text:?}");
            }
        }
    }
}
