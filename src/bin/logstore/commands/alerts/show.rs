//! `alerts show`: an alert with its rule, its logs and its history.

use std::collections::HashMap;

use chrono::{SecondsFormat, TimeDelta};
use logstore::alerts::AlertEvent;
use logstore::time::Zone;
use logstore::{
    Alert, AlertStore as _, DetectionRule, DuckDbStore, Filter, LogEntry, LogKey, LogQuery, Operator, Order,
    RuleQuery, RuleStore as _, StoreExt as _,
};
use serde::Serialize;

use crate::Result;
use crate::context::Context;
use crate::output::Row;
use crate::printable::printable;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The ids of the alerts, or the beginnings of their ids
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
}

/// Holds an alert with all that belongs to it.
#[derive(Serialize)]
pub(crate) struct AlertRecord {
    #[serde(flatten)]
    alert: Alert,
    techniques: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<DetectionRule>,
    logs: Vec<AlertLog>,
    events: Vec<AlertEvent>,
}

/// Holds a log of an alert: its key, and the log unless it was deleted.
#[derive(Serialize)]
struct AlertLog {
    key: LogKey,
    log: Option<LogEntry>,
}

impl Row for AlertRecord {
    const TIMES: &'static [&'static str] = &["created_at", "updated_at", "first_seen", "last_seen"];

    fn cells(&self, _: Zone) -> Vec<String> {
        Vec::new()
    }
}

pub(super) fn run(args: &Args, context: &mut Context) -> Result {
    let store = context.existing_store()?;
    let records = args.ids.iter().map(|id| AlertRecord::read(id, &store));
    let records: Vec<AlertRecord> = records.collect::<Result<_>>()?;
    if !context.output.is_table() {
        return context.output.records(records);
    }
    let (zone, width) = (context.output.zone(), context.output.width());
    let texts: Vec<String> = records.iter().map(|record| record.text(zone, width)).collect();
    context.output.text(&texts.join("\n"))
}

impl AlertRecord {
    /// Reads the alert that an id or the beginning of an id names.
    pub(crate) fn read(typed: &str, store: &DuckDbStore) -> Result<Self> {
        let alert = store.find_alert(typed)?;
        let keys = store.alert_logs(&[&alert.id])?.into_iter().map(|(_, key)| key);
        let events = store
            .alert_events(&[&alert.id])?
            .into_iter()
            .map(|(_, event)| event);
        Ok(Self {
            techniques: alert.techniques(),
            rule: rule(&alert, store)?,
            logs: logs(&alert, keys.collect(), store)?,
            events: events.collect(),
            alert,
        })
    }

    /// Returns the record for people, in lines that are as wide as the terminal.
    fn text(&self, zone: Zone, width: Option<usize>) -> String {
        let mut lines = self.members(zone);
        lines.push(String::new());
        lines.extend(self.log_lines(zone));
        lines.push(String::new());
        lines.extend(self.history(zone));
        lines.iter().map(|line| fitted(line, width)).collect()
    }

    fn members(&self, zone: Zone) -> Vec<String> {
        let alert = &self.alert;
        let time = |time| zone.format(time, SecondsFormat::Secs);
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let status = match alert.verdict {
            Some(verdict) => format!("{}, {verdict}", alert.status),
            None => alert.status.to_string(),
        };
        let seen = match (alert.first_seen, alert.last_seen) {
            (Some(first), Some(last)) => format!("{} to {}", time(first), time(last)),
            _ => String::new(),
        };
        let later = alert.found_later.then_some("later, in logs stored before");
        let rule = match &self.rule {
            Some(rule) => format!("{}, {}", rule.id, rule.rule_name),
            None => text(&alert.rule_id),
        };
        let members = [
            ("alert", alert.description.clone()),
            ("id", alert.id.clone()),
            ("status", status),
            ("assignee", text(&alert.assignee)),
            (
                "severity",
                format!("{}, score {:.0}", alert.severity, alert.priority_score),
            ),
            (
                "type",
                format!("{}, found by {}", alert.alert_type, alert.detection_method),
            ),
            ("rule", rule),
            ("att&ck", self.techniques.join(", ")),
            ("tags", alert.tags.join(", ")),
            ("source", text(&alert.source_ip)),
            ("destination", text(&alert.dest_ip)),
            ("user", text(&alert.user)),
            ("host", text(&alert.host)),
            ("process", text(&alert.process)),
            ("count", alert.count.to_string()),
            ("seen", seen),
            ("raised", time(alert.created_at)),
            ("found", later.unwrap_or_default().to_owned()),
            ("follows", text(&alert.previous_id)),
        ];
        let members = members.into_iter().filter(|(_, value)| !value.is_empty());
        members
            .map(|(name, value)| format!("{name:11}  {value}"))
            .collect()
    }

    fn log_lines(&self, zone: Zone) -> Vec<String> {
        const SHOWN: usize = 10;
        let left_out = self.logs.len().saturating_sub(SHOWN + 1);
        let mut lines = vec![format!("Logs: {}", self.logs.len())];
        for (place, log) in self.logs.iter().enumerate() {
            match place {
                SHOWN if left_out > 0 => lines.push(format!("  {left_out} more: see --format json")),
                _ if place < SHOWN || place + 1 == self.logs.len() => lines.push(log.line(zone)),
                _ => {}
            }
        }
        lines
    }

    fn history(&self, zone: Zone) -> Vec<String> {
        let events = self.events.iter().map(|event| {
            let words = [
                Some(zone.format(event.at, SecondsFormat::Secs)),
                event.actor.clone(),
                Some(event.action.name().replace('_', " ")),
                event.action.value().map(str::to_owned),
                event.note.as_ref().map(|note| format!("\"{note}\"")),
            ];
            let words: Vec<String> = words.into_iter().flatten().collect();
            format!("  {}", words.join(" "))
        });
        let mut lines = vec![format!("History: {}", self.events.len())];
        lines.extend(events);
        lines
    }
}

impl AlertLog {
    fn line(&self, zone: Zone) -> String {
        let time = zone.format(self.key.event_time, SecondsFormat::Secs);
        let text = match &self.log {
            Some(log) => log.raw.as_deref().or(log.message.as_deref()).unwrap_or_default(),
            None => "(deleted)",
        };
        format!("  {time}  {text}")
    }
}

/// Returns a line that fits into the terminal.
fn fitted(line: &str, width: Option<usize>) -> String {
    let line = printable(line);
    let line = match width {
        Some(width) => crate::table::cut(&line, width),
        None => line,
    };
    format!("{line}\n")
}

fn rule(alert: &Alert, store: &DuckDbStore) -> Result<Option<DetectionRule>> {
    let Some(id) = &alert.rule_id else { return Ok(None) };
    let rules = store.fetch_rules(&RuleQuery::new().id(id))?;
    Ok(rules.into_iter().next())
}

/// Returns the logs of an alert. An alert of a detector that does not count names one log by its id.
fn logs(alert: &Alert, keys: Vec<LogKey>, store: &DuckDbStore) -> Result<Vec<AlertLog>> {
    let (Some(first), Some(last)) = (keys.first(), keys.last()) else {
        let found = alert.log_id.as_ref().map(|id| store.find_logs(id)).transpose()?;
        let found = found.into_iter().flatten().map(|log| AlertLog {
            key: log.key(),
            log: Some(log),
        });
        return Ok(found.collect());
    };
    let ids = Filter::condition("id", Operator::one_of(keys.iter().map(|key| key.id.as_str())))?;
    let query = LogQuery::new()
        .since(first.event_time)
        .until(last.event_time + TimeDelta::microseconds(1))
        .filter(ids)
        .order(Order::OldestFirst);
    let found = store.fetch_logs(&query)?.into_iter();
    let mut found: HashMap<LogKey, LogEntry> = found.map(|log| (log.key(), log)).collect();
    let logs = keys.into_iter().map(|key| AlertLog {
        log: found.remove(&key),
        key,
    });
    Ok(logs.collect())
}
