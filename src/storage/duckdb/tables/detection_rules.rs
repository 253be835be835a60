//! Detection rules.

use std::collections::HashMap;

use ::duckdb::{Row, params};
use serde::Serialize;
use serde_json::Value;

use crate::models::{DetectionRule, RuleQuery, now, to_micros};
use crate::storage::duckdb::error;
use crate::storage::duckdb::sql::statement::{self, Sql};
use crate::storage::duckdb::store::DuckDbStore;
use crate::storage::{Error, Result, RuleStore};

/// Holds a rule as [`UPSERT`] reads it.
#[derive(Serialize)]
struct RuleRow<'a> {
    id: &'a str,
    rule_name: &'a str,
    rule_type: &'a str,
    /// Holds the definition as text, because it may be any JSON value, even null.
    rule_definition: String,
    enabled: bool,
    created_at: i64,
    updated_at: i64,
}

const UPSERT: &str = r#"
MERGE INTO detection_rules AS known
USING (
    SELECT r.id, r.rule_name, r.rule_type, CAST(r.rule_definition AS JSON) AS rule_definition, r.enabled,
        make_timestamp(r.created_at) AS created_at, make_timestamp(r.updated_at) AS updated_at
    FROM (
        SELECT unnest(from_json(?, '[{"id": "VARCHAR", "rule_name": "VARCHAR", "rule_type": "VARCHAR",
            "rule_definition": "VARCHAR", "enabled": "BOOLEAN", "created_at": "BIGINT", "updated_at": "BIGINT"}]')) AS r
    )
) AS new
ON known.id = new.id
WHEN MATCHED THEN UPDATE SET rule_name = new.rule_name, rule_type = new.rule_type,
    rule_definition = new.rule_definition, enabled = new.enabled, updated_at = new.updated_at
WHEN NOT MATCHED THEN INSERT (id, rule_name, rule_type, rule_definition, enabled, created_at, updated_at)
    VALUES (new.id, new.rule_name, new.rule_type, new.rule_definition, new.enabled, new.created_at, new.updated_at)"#;

const SELECT: &str = "
SELECT id, rule_name, rule_type, CAST(rule_definition AS VARCHAR), enabled, epoch_us(created_at), epoch_us(updated_at)
FROM detection_rules
WHERE true";

impl RuleStore for DuckDbStore {
    fn upsert_rules(&self, rules: &[DetectionRule]) -> Result<()> {
        rules.iter().try_for_each(DetectionRule::validate)?;
        if rules.is_empty() {
            return Ok(());
        }
        let last: HashMap<&str, &DetectionRule> = rules.iter().map(|rule| (rule.id.as_str(), rule)).collect();
        let records: Vec<RuleRow<'_>> = last.into_values().map(row_of).collect();
        let json = statement::json_array(&records);
        self.write("store rules", |connection| {
            let stored = connection.execute(UPSERT, [&json]);
            stored
                .map_err(|error| error::engine("store rules", error))
                .map(drop)
        })
    }

    fn fetch_rules(&self, query: &RuleQuery) -> Result<Vec<DetectionRule>> {
        let mut sql = Sql::new(SELECT);
        sql.and_equals("id", query.id.clone());
        if let Some(prefix) = &query.id_prefix {
            sql.push("\nAND starts_with(id, ");
            sql.bind(prefix.clone());
            sql.push(")");
        }
        sql.and_equals("rule_type", query.rule_type.clone());
        sql.and_equals("enabled", query.enabled);
        sql.push("\nORDER BY id");
        self.read(|connection| statement::fetch_all(connection, &sql, "fetch rules", rule))
    }

    fn enable_rules(&self, ids: &[&str]) -> Result<()> {
        self.switch_rules("enable rules", ids, true)
    }

    fn disable_rules(&self, ids: &[&str]) -> Result<()> {
        self.switch_rules("disable rules", ids, false)
    }
}

impl DuckDbStore {
    fn switch_rules(&self, action: &'static str, ids: &[&str], enabled: bool) -> Result<()> {
        const SQL: &str =
            "UPDATE detection_rules SET enabled = ?, updated_at = make_timestamp(?) WHERE id = ?";
        let micros = to_micros(now()).timestamp_micros();
        self.write(action, |connection| {
            for id in ids {
                let changed = connection.execute(SQL, params![enabled, micros, id]);
                if changed.map_err(|error| error::engine(action, error))? == 0 {
                    return Err(Error::NotFound {
                        what: "rule",
                        name: (*id).to_owned(),
                    });
                }
            }
            Ok(())
        })
    }
}

fn row_of(rule: &DetectionRule) -> RuleRow<'_> {
    RuleRow {
        id: &rule.id,
        rule_name: &rule.rule_name,
        rule_type: &rule.rule_type,
        rule_definition: rule.rule_definition.to_string(),
        enabled: rule.enabled,
        created_at: to_micros(rule.created_at).timestamp_micros(),
        updated_at: to_micros(rule.updated_at).timestamp_micros(),
    }
}

fn rule(row: &Row<'_>) -> Result<DetectionRule> {
    let failed = |error| error::engine("fetch rules", error);
    let text = |index: usize| {
        let text: Option<String> = row.get(index).map_err(failed)?;
        Ok::<_, Error>(text.unwrap_or_default())
    };
    let id = text(0)?;
    let definition: Value = serde_json::from_str(&text(3)?)
        .map_err(|error| error::corrupt(format!("the definition of rule {id:?} is not JSON: {error}")))?;
    let mut rule = DetectionRule::new(text(1)?, text(2)?, definition).with_id(id);
    rule.enabled = row.get(4).map_err(failed)?;
    rule.created_at = statement::time(row.get(5).map_err(failed)?)?;
    rule.updated_at = statement::time(row.get(6).map_err(failed)?)?;
    Ok(rule)
}
