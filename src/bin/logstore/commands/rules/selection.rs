//! The flags that choose rules.

use clap::ValueEnum;
use logstore::detect::import_note;
use logstore::{DetectionRule, Severity};
use serde_json::Value;

use crate::flags::tag;

/// Flags that choose rules. All of them must hold.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Which rules")]
pub(super) struct Selection {
    /// Whose name holds this text, in any letter case
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,

    /// Of this level
    #[arg(long, value_name = "LEVEL")]
    level: Option<Severity>,

    /// With just this tag, such as attack.t1059.001, or T1059.001 for short
    #[arg(long, value_name = "TAG", value_parser = tag)]
    tag: Option<String>,

    /// For this product, such as windows
    #[arg(long, value_name = "PRODUCT")]
    product: Option<String>,

    /// With this status
    #[arg(long, value_name = "STATUS")]
    status: Option<Status>,

    /// By an author whose name holds this text, in any letter case
    #[arg(long, value_name = "TEXT")]
    author: Option<String>,

    /// With this verdict of their import
    #[arg(long, value_name = "VERDICT")]
    verdict: Option<VerdictWord>,
}

/// Names how mature a rule is, in the words of the specification of Sigma.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Status {
    Stable,
    Test,
    Experimental,
    Deprecated,
    Unsupported,
}

/// Names what is to be expected of a rule.
#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum VerdictWord {
    Works,
    Refused,
    NeverRouted,
    NeverMatches,
}

/// Returns whether a text is the name of a value of a flag.
fn is_named(text: &str, value: &impl ValueEnum) -> bool {
    value
        .to_possible_value()
        .is_some_and(|named| named.matches(text, false))
}

impl Selection {
    /// Returns whether no flag is given.
    pub(super) fn is_empty(&self) -> bool {
        self.level.is_none()
            && self.status.is_none()
            && self.verdict.is_none()
            && [&self.name, &self.tag, &self.product, &self.author]
                .into_iter()
                .all(Option::is_none)
    }

    pub(super) fn chooses(&self, rule: &DetectionRule) -> bool {
        let definition = &rule.rule_definition;
        let text = |name: &str| definition.get(name).and_then(Value::as_str).unwrap_or_default();
        let tags = definition.get("tags").and_then(Value::as_array);
        let has_tag = |wanted: &String| {
            tags.is_some_and(|tags| {
                tags.iter()
                    .any(|tag| tag.as_str().is_some_and(|tag| tag.eq_ignore_ascii_case(wanted)))
            })
        };
        let product = definition.pointer("/logsource/product").and_then(Value::as_str);
        let holds = |held: &str, wanted: &String| held.to_lowercase().contains(&wanted.to_lowercase());
        self.name
            .as_ref()
            .is_none_or(|wanted| holds(&rule.rule_name, wanted))
            && self.level.is_none_or(|wanted| level_of(rule) == Some(wanted))
            && self.tag.as_ref().is_none_or(has_tag)
            && self.product.as_ref().is_none_or(|wanted| product == Some(wanted))
            && self.status.is_none_or(|wanted| is_named(text("status"), &wanted))
            && self
                .author
                .as_ref()
                .is_none_or(|wanted| holds(text("author"), wanted))
            && self.verdict.is_none_or(|wanted| {
                import_note(rule, "verdict").is_some_and(|verdict| is_named(verdict, &wanted))
            })
    }
}

/// Returns the level that the definition of a rule names.
pub(super) fn level_of(rule: &DetectionRule) -> Option<Severity> {
    rule.rule_definition.get("level")?.as_str()?.parse().ok()
}
