//! The fields that logs of a log source have, and rules that need others: they would be dead in silence.

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use serde::Deserialize;

use super::event::{Scalar, field_key};
use super::routes;
use super::sigma::SigmaRule;
use super::sigma::expression::{Condition, Expression, Test};
use crate::models::LogSource;

/// Holds the table that is built into the program.
static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let table = toml::from_str(include_str!("fields.toml"));
    table.expect("a test reads the table of fields")
});

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    every: Every,
    windows: Vec<WindowsLog>,
    source: Vec<SourceFields>,
}

/// Holds the fields of every event of a system.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Every {
    windows: Names,
}

/// Holds the fields of the events of a channel, or of a provider.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WindowsLog {
    logs: Vec<String>,
    #[serde(default)]
    open: bool,
    /// Holds the fields of all events but those that follow.
    fields: Option<Names>,
    #[serde(default)]
    events: HashMap<String, Names>,
}

/// Holds the fields of the logs of another log source.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceFields {
    of: LogSource,
    #[serde(default)]
    open: bool,
    fields: Names,
}

/// Holds names of fields by their keys.
#[derive(Debug, Deserialize)]
#[serde(from = "String")]
struct Names {
    by_key: HashMap<String, String>,
    /// Holds the starts of names that end with `*`.
    starts: Vec<String>,
}

impl From<String> for Names {
    fn from(text: String) -> Self {
        let mut names = Self {
            by_key: HashMap::new(),
            starts: Vec::new(),
        };
        for name in text.split_whitespace() {
            match name.strip_suffix('*') {
                Some(start) => names.starts.push(field_key(start)),
                None => drop(names.by_key.insert(field_key(name), name.to_owned())),
            }
        }
        names
    }
}

impl Names {
    fn have(&self, key: &str) -> bool {
        self.by_key.contains_key(key) || self.starts.iter().any(|start| key.starts_with(start))
    }
}

/// Holds the fields of some logs of a log source: those of one event of Windows, or of one product.
struct Shape<'t> {
    names: Vec<&'t Names>,
    /// Says whether the writers of these logs add fields of their own.
    is_open: bool,
    event: Option<EventId<'t>>,
}

/// Says which events of Windows have the fields of a shape.
enum EventId<'t> {
    Is(u32),
    /// The ids that are none of these.
    Other(&'t HashMap<String, Names>),
}

/// Says what a rule asks of fields that no log of its log source has.
#[derive(Debug, Default, PartialEq)]
pub(super) struct FieldCheck {
    /// Says whether the rule matches no log at all for that reason.
    pub(super) never_matches: bool,
    /// Holds a sentence for each fault.
    pub(super) faults: Vec<String>,
}

/// Looks for fields that no log of a rule's log source has. Log sources without a list of fields have no faults.
pub(super) fn check(rule: &SigmaRule) -> FieldCheck {
    let source = &rule.log_source;
    let asked = fields_of(&rule.detection);
    let shapes = shapes(source);
    // Without the ids of events, each shape would do.
    let may_hold = |shape: &&Shape<'_>| {
        let has = |field: &str| !is_event_id(field) || shape.has(field, source);
        can(&rule.detection, shape, &has).hold
    };
    let fitting: Vec<&Shape<'_>> = shapes.iter().filter(may_hold).collect();
    if fitting.is_empty() {
        let faults = match shapes.is_empty() {
            true => Vec::new(),
            false => vec![format!("no event of {source} has an id that the rule asks for")],
        };
        return FieldCheck {
            never_matches: !faults.is_empty(),
            faults,
        };
    }
    let is_known = |shape: &Shape<'_>, field: &str| shape.has(field, source);
    let never_matches = !fitting.iter().any(|shape| shape.may_match(rule));
    let unknown = asked
        .iter()
        .filter(|field| !fitting.iter().any(|shape| is_known(shape, field)));
    let mut faults: Vec<String> = unknown.map(|field| fault(field, source, &fitting)).collect();
    if never_matches && faults.is_empty() {
        let names: Vec<&str> = asked.iter().map(String::as_str).collect();
        faults.push(format!(
            "no log of {source} has all the fields that the rule needs of {}",
            names.join(", ")
        ));
    }
    FieldCheck {
        never_matches,
        faults,
    }
}

/// Says that no log in which a rule may match has a field; `None` if one has it, or if nothing is known of them.
pub(super) fn unknown(rule: &SigmaRule, field: &str) -> Option<String> {
    let source = &rule.log_source;
    let shapes = shapes(source);
    let fitting: Vec<&Shape<'_>> = shapes.iter().filter(|shape| shape.may_match(rule)).collect();
    let is_known = fitting.is_empty() || fitting.iter().any(|shape| shape.has(field, source));
    (!is_known).then(|| fault(field, source, &fitting))
}

fn fault(field: &str, source: &LogSource, shapes: &[&Shape<'_>]) -> String {
    let mut text = format!("unknown field {field}: no log of {source} has it");
    if let Some(name) = similar(field, shapes) {
        text += &format!(", did you mean {name}?");
    }
    text
}

fn is_event_id(field: &str) -> bool {
    field_key(field) == "eventid"
}

/// Returns the known name that is most like an unknown one.
fn similar<'t>(field: &str, shapes: &[&Shape<'t>]) -> Option<&'t str> {
    let key = field_key(field);
    let names = shapes.iter().flat_map(|shape| &shape.names);
    let names: BTreeSet<(&str, &str)> = names
        .flat_map(|names| &names.by_key)
        .map(|(key, name)| (key.as_str(), name.as_str()))
        .collect();
    let likeness = |known: &str| strsim::jaro_winkler(known, &key);
    let best = names
        .into_iter()
        .max_by(|(left, _), (right, _)| likeness(left).total_cmp(&likeness(right)));
    best.filter(|(known, _)| likeness(known) > 0.93)
        .map(|(_, name)| name)
}

/// Returns the fields that an expression asks for.
fn fields_of(expression: &Expression) -> BTreeSet<String> {
    let mut fields = BTreeSet::new();
    expression.for_each_condition(&mut |condition| {
        fields.extend(condition.field.as_deref().map(str::to_owned));
        if let Test::Field { name, .. } = &condition.test {
            fields.insert(name.to_string());
        }
    });
    fields
}

/// Returns the shapes of the logs of a log source. None at all means that the table does not know them.
fn shapes(source: &LogSource) -> Vec<Shape<'static>> {
    let table = &*TABLE;
    let mut shapes = Vec::new();
    for (log, events) in routes::windows_logs(source) {
        let Some(known) = table.windows.iter().find(|known| known.logs.contains(log)) else {
            // The table says nothing about this log, so nothing can be said about the rule.
            return Vec::new();
        };
        shapes.extend(known.shapes(&table.every.windows, events));
    }
    for row in &table.source {
        let (is_whole, is_part) = (row.of.covers(source), source.covers(&row.of));
        if is_whole || is_part {
            shapes.push(Shape {
                names: vec![&row.fields],
                is_open: row.open || !is_whole,
                event: None,
            });
        }
    }
    shapes
}

impl WindowsLog {
    /// Returns the shapes of the events with some ids; none stands for all events.
    fn shapes<'t>(&'t self, every: &'t Names, ids: &[u32]) -> Vec<Shape<'t>> {
        let is_wider = ids.is_empty() || self.listed(ids).len() < ids.len();
        let others = self.fields.iter().filter(|_| is_wider);
        let mut shapes: Vec<Shape<'t>> = others
            .map(|names| Shape {
                names: vec![names, every],
                is_open: self.open,
                event: Some(EventId::Other(&self.events)),
            })
            .collect();
        shapes.extend(self.listed(ids).into_iter().map(|(id, names)| Shape {
            names: vec![names, every],
            is_open: self.open,
            event: Some(EventId::Is(id)),
        }));
        shapes
    }

    /// Returns the events among some ids that have a list of their own.
    fn listed(&self, ids: &[u32]) -> Vec<(u32, &Names)> {
        let listed = self
            .events
            .iter()
            .filter_map(|(id, names)| Some((id.parse().ok()?, names)));
        listed
            .filter(|(id, _)| ids.is_empty() || ids.contains(id))
            .collect()
    }
}

impl Shape<'_> {
    /// Returns whether a log with these fields may match a rule.
    fn may_match(&self, rule: &SigmaRule) -> bool {
        let has = |field: &str| self.has(field, &rule.log_source);
        can(&rule.detection, self, &has).hold
    }

    fn has(&self, field: &str, source: &LogSource) -> bool {
        let keys = routes::names_of(field, source);
        // A field that the table of log sources maps is one of the log source.
        let is_mapped = self.event.is_none() && keys.len() > 1 && !is_event_id(field);
        if is_mapped
            || keys
                .iter()
                .any(|key| self.names.iter().any(|names| names.have(key)))
        {
            return true;
        }
        let is_windows = self.event.is_some();
        match keys.first() {
            // Programs that ship events of Windows add fields of ECS.
            Some(key) if is_windows && key.contains('.') => true,
            Some(key) => self.is_open && !self.is_nearly_known(key),
            None => false,
        }
    }

    /// Returns whether a name differs from a known one by a single slip of a finger.
    fn is_nearly_known(&self, key: &str) -> bool {
        const SHORTEST: usize = 5;
        let base = |name: &str| {
            let digits = |letter: char| letter.is_ascii_digit();
            name.replace(digits, "").trim_end_matches('s').to_owned()
        };
        let mut known = self.names.iter().flat_map(|names| names.by_key.keys());
        key.len() >= SHORTEST
            && known.any(|known| strsim::damerau_levenshtein(known, key) == 1 && base(known) != base(key))
    }
}

/// Says how an expression may turn out for logs of a shape.
#[derive(Debug, Clone, Copy)]
struct Outcomes {
    hold: bool,
    fail: bool,
}

const EITHER: Outcomes = Outcomes {
    hold: true,
    fail: true,
};
const NEVER: Outcomes = Outcomes {
    hold: false,
    fail: true,
};
const ALWAYS: Outcomes = Outcomes {
    hold: true,
    fail: false,
};

/// Returns how an expression may turn out, where a missing field is null. Conditions are taken as independent.
fn can(expression: &Expression, shape: &Shape<'_>, is_known: &dyn Fn(&str) -> bool) -> Outcomes {
    let each = |parts: &[Expression]| -> Vec<Outcomes> {
        parts.iter().map(|part| can(part, shape, is_known)).collect()
    };
    match expression {
        Expression::All(parts) => {
            let parts = each(parts);
            Outcomes {
                hold: parts.iter().all(|part| part.hold),
                fail: parts.iter().any(|part| part.fail),
            }
        }
        Expression::Any(parts) => {
            let parts = each(parts);
            Outcomes {
                hold: parts.iter().any(|part| part.hold),
                fail: parts.iter().all(|part| part.fail),
            }
        }
        Expression::Not(inner) => {
            let inner = can(inner, shape, is_known);
            Outcomes {
                hold: inner.fail,
                fail: inner.hold,
            }
        }
        Expression::Condition(condition) => shape.outcomes(condition, is_known),
    }
}

impl Shape<'_> {
    fn outcomes(&self, condition: &Condition, is_known: &dyn Fn(&str) -> bool) -> Outcomes {
        let Some(field) = condition.field.as_deref() else {
            return EITHER;
        };
        if let Some(event) = self.event.as_ref().filter(|_| is_event_id(field)) {
            return event.outcomes(&condition.test);
        }
        match (&condition.test, is_known(field)) {
            (Test::Field { name, .. }, true) if !is_known(name) => NEVER,
            (_, true) => EITHER,
            (Test::Null, false) => ALWAYS,
            (_, false) => NEVER,
        }
    }
}

impl EventId<'_> {
    fn outcomes(&self, test: &Test) -> Outcomes {
        match (self, test) {
            (Self::Is(id), _) => {
                match test.holds_for(&Scalar::Int(i64::from(*id))) || *test == Test::Exists {
                    true => ALWAYS,
                    false => NEVER,
                }
            }
            (Self::Other(listed), Test::Text { glob, .. }) => match glob.as_plain() {
                Some(id) if listed.contains_key(id) => NEVER,
                _ => EITHER,
            },
            (Self::Other(_), _) => EITHER,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::sigma::{Document, read_yaml};

    fn checked(source: &str, detection: &str) -> FieldCheck {
        let text = format!("title: t\nlogsource: {{{source}}}\ndetection:\n{detection}\n");
        let value = read_yaml(&text).remove(0).unwrap().value;
        let Document::Rule(rule) = Document::from_json(&value, &|_| None).unwrap() else {
            panic!("it is a rule")
        };
        check(&rule)
    }

    const PROCESS: &str = "product: windows, category: process_creation";

    #[test]
    fn a_rule_that_needs_an_unknown_field_never_matches() {
        let found = checked(PROCESS, "  s: {CommandLin|contains: x}\n  condition: s");
        assert!(found.never_matches);
        assert_eq!(
            found.faults,
            [
                "unknown field CommandLin: no log of windows/process_creation/* has it, did you mean CommandLine?"
            ]
        );
    }

    #[test]
    fn an_unknown_field_that_a_rule_can_do_without_is_a_fault_only() {
        for detection in [
            "  s: [{CommandLin: x}, {CommandLine: x}]\n  condition: s",
            "  s: {Image: x}\n  f: {CommandLin: x}\n  condition: s and not f",
            "  s: {Image: x, CommandLin: null}\n  condition: s",
        ] {
            let found = checked(PROCESS, detection);
            assert_eq!(
                (found.never_matches, found.faults.len()),
                (false, 1),
                "{detection}"
            );
        }
        let found = checked(PROCESS, "  s: {CommandLin|exists: true}\n  condition: s");
        assert!(found.never_matches);
    }

    #[test]
    fn fields_are_those_of_the_events_that_a_rule_asks_for() {
        let security = "product: windows, service: security";
        let found = checked(security, "  s: {EventID: 4624, CommandLine: x}\n  condition: s");
        assert!(found.never_matches, "{found:?}");
        let found = checked(
            security,
            "  s: {EventID: [4624, 4688], CommandLine: x}\n  condition: s",
        );
        assert_eq!(found, FieldCheck::default());
        let found = checked(PROCESS, "  s: {EventID: 3, Image: x}\n  condition: s");
        assert!(found.never_matches, "{found:?}");
        let found = checked(
            "product: windows, category: dns_query",
            "  s: {EventID: 3, Image: x}\n  condition: s",
        );
        assert_eq!(
            found.faults,
            ["no event of windows/dns_query/* has an id that the rule asks for"]
        );
    }

    #[test]
    fn logs_with_fields_of_their_writers_are_open_but_for_slips() {
        let system = "product: windows, service: system";
        let found = checked(system, "  s: {EventID: 7045, VendorThing: x}\n  condition: s");
        assert_eq!(found, FieldCheck::default());
        let found = checked(system, "  s: {EventID: 7045, ServceName: x}\n  condition: s");
        assert!(found.never_matches, "{found:?}");
        let found = checked("product: myapp", "  s: {anything: x}\n  condition: s");
        assert_eq!(found, FieldCheck::default());
    }

    #[test]
    fn the_table_names_logs_of_windows_as_the_table_of_log_sources_does() {
        let every: LogSource = "windows/*/*".parse().unwrap();
        let routed: BTreeSet<&String> = routes::windows_logs(&every).map(|(log, _)| log).collect();
        let named = TABLE.windows.iter().flat_map(|log| &log.logs);
        let lost: Vec<&String> = named.filter(|log| !routed.contains(log)).collect();
        assert!(lost.is_empty(), "{lost:?}");
    }
}
