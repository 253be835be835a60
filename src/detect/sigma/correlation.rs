//! Rules on several events that belong together.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use serde_json::{Map, Value};

use super::Refusal;
use super::about::{About, text, texts};
use super::expression::{Comparison, Decimal};

/// Holds a rule that looks for several matches of other rules within a time.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Correlation {
    /// Holds what the rule says about itself.
    pub about: About,
    /// Says how the matches are put together.
    pub kind: CorrelationKind,
    /// Holds the ids or names of the rules whose matches are put together.
    pub rules: Vec<String>,
    /// Names the fields, or aliases of fields, whose values must agree.
    pub group_by: Vec<String>,
    /// Holds the length of the time in which the matches must happen.
    pub timespan: TimeDelta,
    /// Says whether the rules that it names give alerts of their own.
    pub generate: bool,
    pub(crate) aliases: Vec<(String, Vec<FieldOfRule>)>,
    pub(crate) fields: Vec<String>,
    pub(crate) thresholds: Vec<Threshold>,
}

/// Says how a correlation puts matches together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CorrelationKind {
    /// Counts matches.
    EventCount,
    /// Counts distinct values of a field.
    ValueCount,
    /// Asks for a match of each rule.
    Temporal,
    /// Asks for a match of each rule, in the order of the rules.
    TemporalOrdered,
    /// Adds the values of a field.
    ValueSum,
    /// Takes the mean of the values of a field.
    ValueAverage,
    /// Takes the share of matches, in percent, whose value of a field is at most that of the newest one.
    ValuePercentile,
    /// Takes the median of the values of a field.
    ValueMedian,
}

/// Names the field that an alias has in the matches of one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldOfRule {
    pub(crate) rule: String,
    pub(crate) field: String,
}

/// Compares the result of a correlation with a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Threshold {
    pub(crate) comparison: Option<Comparison>,
    pub(crate) value: Decimal,
}

impl Threshold {
    /// Returns whether a result passes. No comparison stands for `neq`.
    pub(crate) fn holds(self, result: f64) -> bool {
        match self.comparison {
            Some(comparison) => comparison.holds(result, self.value.get()),
            None => (result - self.value.get()).abs() > f64::EPSILON,
        }
    }
}

impl CorrelationKind {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "event_count" => Self::EventCount,
            "value_count" => Self::ValueCount,
            "temporal" => Self::Temporal,
            "temporal_ordered" => Self::TemporalOrdered,
            "value_sum" => Self::ValueSum,
            "value_avg" => Self::ValueAverage,
            "value_percentile" => Self::ValuePercentile,
            "value_median" => Self::ValueMedian,
            _ => return None,
        })
    }

    /// Returns whether the correlation reads the values of a field as numbers.
    pub(crate) fn compares_numbers(self) -> bool {
        matches!(
            self,
            Self::ValueSum | Self::ValueAverage | Self::ValuePercentile | Self::ValueMedian
        )
    }

    /// Returns whether the correlation asks for a match of each rule.
    pub(crate) fn is_temporal(self) -> bool {
        matches!(self, Self::Temporal | Self::TemporalOrdered)
    }
}

impl Correlation {
    pub(super) fn from_json(members: &Map<String, Value>) -> Result<Self, Refusal> {
        let Some(Value::Object(body)) = members.get("correlation") else {
            return Err(Refusal::at(
                "correlation",
                "a correlation is a map of type, rules, timespan and others",
            ));
        };
        let kind = text(body, "type")?.unwrap_or_default();
        let kind = CorrelationKind::parse(&kind)
            .ok_or_else(|| Refusal::at("type", format!("{kind:?} is no type of correlation")))?;
        let rules = texts(body, "rules");
        if rules.is_empty() {
            return Err(Refusal::at("rules", "the correlation names no rules"));
        }
        let (fields, thresholds) = condition(body, kind, rules.iter().collect::<BTreeSet<_>>().len())?;
        Ok(Self {
            about: About::from_json(members)?,
            kind,
            group_by: texts(body, "group-by"),
            timespan: timespan(body)?,
            generate: matches!(
                body.get("generate").or(members.get("generate")),
                Some(Value::Bool(true))
            ),
            aliases: aliases(body)?,
            rules,
            fields,
            thresholds,
        })
    }
}

fn timespan(body: &Map<String, Value>) -> Result<TimeDelta, Refusal> {
    let wrong = || {
        Refusal::at(
            "timespan",
            "timespan is a whole number with s, m, h or d, such as 10m",
        )
    };
    let text = text(body, "timespan")?.ok_or_else(wrong)?;
    let unit = text.chars().last().ok_or_else(wrong)?;
    let number: i64 = text
        .strip_suffix(unit)
        .unwrap_or_default()
        .parse()
        .map_err(|_| wrong())?;
    let span = match unit {
        's' => TimeDelta::try_seconds(number),
        'm' => TimeDelta::try_minutes(number),
        'h' => TimeDelta::try_hours(number),
        'd' => TimeDelta::try_days(number),
        _ => None,
    };
    span.filter(|span| *span > TimeDelta::zero() && *span <= TimeDelta::days(3660))
        .ok_or_else(wrong)
}

fn aliases(body: &Map<String, Value>) -> Result<Vec<(String, Vec<FieldOfRule>)>, Refusal> {
    let Some(Value::Object(aliases)) = body.get("aliases") else {
        return match body.get("aliases") {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(_) => Err(Refusal::at(
                "aliases",
                "aliases is a map of names to fields of rules",
            )),
        };
    };
    let read = aliases.iter().map(|(alias, fields)| {
        let fields = fields
            .as_object()
            .ok_or_else(|| Refusal::at(alias, format!("the alias {alias:?} is a map of rules to fields")))?;
        let fields = fields.iter().filter_map(|(rule, field)| {
            Some(FieldOfRule {
                rule: rule.clone(),
                field: field.as_str()?.into(),
            })
        });
        Ok((alias.clone(), fields.collect()))
    });
    read.collect()
}

/// Reads the condition over a number of different rules: fields, and numbers to compare with. Conditions that hold for no match at all are refused, as
/// nothing happens that could be looked at.
fn condition(
    body: &Map<String, Value>,
    kind: CorrelationKind,
    rules: usize,
) -> Result<(Vec<String>, Vec<Threshold>), Refusal> {
    let at = |reason: String| Refusal::at("condition", reason);
    let members = match body.get("condition") {
        Some(Value::Object(members)) => members,
        None if kind.is_temporal() => {
            #[expect(clippy::cast_precision_loss, reason = "no correlation names that many rules")]
            let all = Decimal::new(rules as f64).map(|value| Threshold {
                comparison: Some(Comparison::AtLeast),
                value,
            });
            return Ok((Vec::new(), all.into_iter().collect()));
        }
        Some(Value::String(_)) => {
            return Err(at(
                "a condition in words is not supported: name the rules, or chain correlations".into(),
            ));
        }
        _ => return Err(at("the correlation has no condition, such as gte: 10".into())),
    };
    let mut thresholds = Vec::new();
    for (name, value) in members.iter().filter(|(name, _)| *name != "field") {
        let comparison = match name.as_str() {
            "lt" => Some(Comparison::Less),
            "lte" => Some(Comparison::AtMost),
            "eq" => Some(Comparison::Equal),
            "gte" => Some(Comparison::AtLeast),
            "gt" => Some(Comparison::Greater),
            "neq" => None,
            other => {
                return Err(at(format!(
                    "{other:?} is no comparison: use gt, gte, lt, lte, eq or neq"
                )));
            }
        };
        let value = value.as_f64().and_then(Decimal::new);
        let value = value.ok_or_else(|| at(format!("{name} takes a number")))?;
        thresholds.push(Threshold { comparison, value });
    }
    if thresholds.is_empty() {
        return Err(at(
            "the condition compares nothing: add gte or another comparison".into(),
        ));
    }
    let counts =
        matches!(kind, CorrelationKind::EventCount | CorrelationKind::ValueCount) || kind.is_temporal();
    if kind.is_temporal()
        && !(1..=rules).any(|count| {
            let count = f64::from(u32::try_from(count).unwrap_or(u32::MAX));
            thresholds.iter().all(|threshold| threshold.holds(count))
        })
    {
        return Err(at(format!(
            "the condition cannot hold: the correlation names {rules} different rules"
        )));
    }
    if counts && !thresholds.iter().all(|threshold| threshold.holds_for_some()) {
        return Err(at(
            "the condition holds only if nothing happens, which no match can show".into(),
        ));
    }
    let fields = texts(members, "field");
    let needs_field = !kind.is_temporal() && kind != CorrelationKind::EventCount;
    match needs_field && fields.is_empty() {
        true => Err(at(
            "this type of correlation needs a field in its condition".into()
        )),
        false => Ok((fields, thresholds)),
    }
}

impl Correlation {
    /// Returns whether the correlation can hold if so many of its rules find anything.
    pub(crate) fn can_hold_with(&self, rules: usize) -> bool {
        let holds = |count: usize| {
            let count = f64::from(u32::try_from(count).unwrap_or(u32::MAX));
            self.thresholds.iter().all(|threshold| threshold.holds(count))
        };
        match self.kind.is_temporal() {
            true => (1..=rules).any(holds),
            false => rules > 0,
        }
    }
}

impl Threshold {
    /// Returns whether a count of one or more can pass.
    fn holds_for_some(self) -> bool {
        let value = self.value.get();
        match self.comparison {
            Some(Comparison::Less) => value > 1.0,
            Some(Comparison::AtMost | Comparison::Equal) => value >= 1.0,
            Some(Comparison::AtLeast | Comparison::Greater) | None => true,
        }
    }
}
