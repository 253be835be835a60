//! `rules coverage`: which rules can fire, by product and by technique of ATT&CK.

use std::borrow::Cow;
use std::collections::BTreeMap;

use logstore::detect::{SIGMA, Verdict, verdicts};
use logstore::time::Zone;
use logstore::{DetectionRule, RuleQuery, RuleStore as _};
use serde::Serialize;
use serde_json::{Value, json};

use super::files::sources_of;
use crate::Result;
use crate::context::Context;
use crate::filters::matched;
use crate::output::{Columns, Row};
use crate::table::Column;

#[derive(Debug, clap::Args)]
pub(super) struct CoverageArgs {
    /// Write a layer for the ATT&CK Navigator: techniques, with the numbers of enabled rules that can fire
    #[arg(long)]
    navigator: bool,
}

/// Counts the rules for a product, and says why some of them cannot fire.
#[derive(Debug, Default, Serialize)]
struct ProductRow {
    product: String,
    rules: u64,
    can_fire: u64,
    disabled: u64,
    refused: u64,
    never_routed: u64,
    never_matches: u64,
    /// Holds the reasons, each with the number of rules.
    reasons: BTreeMap<String, u64>,
}

impl Row for ProductRow {
    fn cells(&self, _: Zone) -> Vec<String> {
        let mut reasons: Vec<(&String, &u64)> = self.reasons.iter().collect();
        reasons.sort_by_key(|(_, rules)| std::cmp::Reverse(**rules));
        let reasons: Vec<String> = reasons
            .iter()
            .map(|(reason, rules)| format!("{rules}: {reason}"))
            .collect();
        vec![
            self.product.clone(),
            self.rules.to_string(),
            self.can_fire.to_string(),
            self.disabled.to_string(),
            self.refused.to_string(),
            self.never_routed.to_string(),
            self.never_matches.to_string(),
            reasons.join("; "),
        ]
    }
}

const COLUMNS: Columns<'static> = Columns {
    table: Cow::Borrowed(&[
        Column::cut_to(8, "product"),
        Column::whole("rules"),
        Column::whole("can fire"),
        Column::whole("disabled"),
        Column::whole("refused"),
        Column::whole("never routed"),
        Column::whole("never match"),
        Column::cut_to(12, "reasons").spare(),
    ]),
    csv: &[
        "product",
        "rules",
        "can_fire",
        "disabled",
        "refused",
        "never_routed",
        "never_matches",
        "reasons",
    ],
};

pub(super) fn coverage(args: &CoverageArgs, context: &mut Context) -> Result {
    let rules = context
        .existing_store()?
        .fetch_rules(&RuleQuery::new().rule_type(SIGMA))?;
    let verdicts = verdicts_on(&rules, context)?;
    if args.navigator {
        return context.output.json_lines([layer(&rules, &verdicts)]).map(drop);
    }
    let rows = by_product(&rules, &verdicts).into_iter().map(Ok);
    let printed = context.output.rows(&COLUMNS, rows)?;
    matched(printed, "rules", (None, None), context.output.zone())
}

/// Returns the verdicts on rules of the store, with the formats and settings of now.
pub(super) fn verdicts_on(rules: &[DetectionRule], context: &Context) -> Result<Vec<Verdict>> {
    let settings = &context.settings().detect;
    Ok(verdicts(rules, &sources_of(context)?, &|name| {
        settings.placeholder(name)
    }))
}

fn by_product(rules: &[DetectionRule], verdicts: &[Verdict]) -> Vec<ProductRow> {
    let mut rows: BTreeMap<&str, ProductRow> = BTreeMap::new();
    for (rule, verdict) in rules.iter().zip(verdicts) {
        let product = product_of(rule);
        let row = rows.entry(product).or_insert_with(|| ProductRow {
            product: product.to_owned(),
            ..ProductRow::default()
        });
        row.rules += 1;
        match verdict {
            Verdict::Refused(_) => row.refused += 1,
            Verdict::NeverRouted(_) => row.never_routed += 1,
            Verdict::NeverMatches(_) => row.never_matches += 1,
            _ if !rule.enabled => row.disabled += 1,
            _ => row.can_fire += 1,
        }
        if let Some(reason) = verdict.reason() {
            *row.reasons.entry(reason.to_owned()).or_default() += 1;
        }
    }
    rows.into_values().collect()
}

/// Returns the product that a rule is for, else its category or service.
fn product_of(rule: &DetectionRule) -> &str {
    if rule.rule_definition.get("correlation").is_some() {
        return "(correlation)";
    }
    let source = rule.rule_definition.get("logsource");
    let parts = ["product", "category", "service"].into_iter();
    let mut parts = parts.filter_map(|part| source?.get(part)?.as_str());
    parts.next().unwrap_or("(none)")
}

/// Returns a layer of the ATT&CK Navigator in format 4.5. A technique has the number of enabled rules that can fire.
fn layer(rules: &[DetectionRule], verdicts: &[Verdict]) -> Value {
    let mut scores: BTreeMap<String, u64> = BTreeMap::new();
    let able = rules
        .iter()
        .zip(verdicts)
        .filter(|(rule, verdict)| rule.enabled && **verdict == Verdict::Works);
    for (rule, _) in able {
        for technique in techniques(rule) {
            *scores.entry(technique).or_default() += 1;
        }
    }
    let most = scores.values().max().copied().unwrap_or(1);
    let techniques = scores
        .iter()
        .map(|(technique, rules)| json!({"techniqueID": technique, "score": rules, "enabled": true}));
    json!({
        "name": "logstore",
        "versions": {"layer": "4.5", "navigator": "4.9.1"},
        "domain": "enterprise-attack",
        "description": "Enabled rules of logstore that can fire, by technique",
        "techniques": techniques.collect::<Vec<Value>>(),
        "gradient": {"colors": ["#ffffff", "#66b1ff"], "minValue": 0, "maxValue": most},
    })
}

/// Returns the techniques that the tags of a rule name, each once.
fn techniques(rule: &DetectionRule) -> std::collections::BTreeSet<String> {
    let tags = rule.rule_definition.get("tags").and_then(Value::as_array);
    let tags = tags.into_iter().flatten().filter_map(Value::as_str);
    let names = tags.filter_map(|tag| Some(tag.to_uppercase().strip_prefix("ATTACK.")?.to_owned()));
    let is_technique = |name: &String| {
        let number = name.strip_prefix('T').unwrap_or_default();
        number.len() >= 4
            && number
                .chars()
                .all(|letter| letter.is_ascii_digit() || letter == '.')
    };
    names.filter(is_technique).collect()
}
