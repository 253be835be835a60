//! Alerts and their histories.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::{DateTime, Utc};

use super::{MemoryStore, State, limited};
use crate::models::{Alert, AlertAction, AlertEvent, AlertQuery, AlertStatus, LogKey, kept_logs, to_micros};
use crate::storage::{AlertStore, Error, Result};

impl AlertStore for MemoryStore {
    fn store_alerts(&self, alerts: &[Alert]) -> Result<u64> {
        alerts.iter().try_for_each(Alert::validate)?;
        Ok(self.state().store_alerts(alerts))
    }

    fn alert(&self, id: &str) -> Result<Option<Alert>> {
        Ok(self.state().alerts.get(id).cloned())
    }

    fn fetch_alerts(&self, query: &AlertQuery) -> Result<Vec<Alert>> {
        let state = self.state();
        let alerts = state.alerts.values().filter(|alert| query.matches(alert));
        let mut alerts: Vec<_> = alerts.collect();
        alerts.sort_by(|a, b| query.compare(a, b));
        Ok(limited(alerts.into_iter().cloned(), query.limit))
    }

    fn acknowledge_alerts(&self, ids: &[&str]) -> Result<()> {
        let mut state = self.state();
        state.check_alerts(ids)?;
        let is_new = |id: &&str| state.alerts.get(*id).is_some_and(|alert| !alert.acknowledged);
        let new: Vec<&str> = ids.iter().copied().filter(is_new).collect();
        state.update_alerts(
            &new,
            &AlertEvent::new(AlertAction::Status(AlertStatus::InProgress)),
        );
        Ok(())
    }

    fn update_alerts(&self, ids: &[&str], event: &AlertEvent) -> Result<()> {
        event.validate()?;
        let mut state = self.state();
        state.check_alerts(ids)?;
        state.update_alerts(ids, event);
        Ok(())
    }

    fn alert_events(&self, ids: &[&str]) -> Result<Vec<(String, AlertEvent)>> {
        let state = self.state();
        let events = state.alert_events.iter();
        let mut events: Vec<_> = events
            .filter(|(id, _)| ids.contains(&id.as_str()))
            .cloned()
            .collect();
        events.sort_by(|(a_id, a), (b_id, b)| (a_id, a.at, &a.id).cmp(&(b_id, b.at, &b.id)));
        Ok(events)
    }

    fn undelivered_alerts(&self, receiver: &str) -> Result<Vec<String>> {
        let state = self.state();
        let mut waiting: BTreeMap<&str, Waiting> = BTreeMap::new();
        let by_receiver = |event: &AlertEvent| event.actor.as_deref() == Some(receiver);
        for (id, event) in state.alert_events.iter().filter(|(_, event)| by_receiver(event)) {
            waiting.entry(id).or_default().note(event);
        }
        let mut ids: Vec<_> = waiting
            .into_iter()
            .filter(|(_, waiting)| !waiting.is_delivered)
            .filter_map(|(id, waiting)| Some((waiting.failures, waiting.since?, id)))
            .collect();
        ids.sort_unstable();
        Ok(ids.into_iter().map(|(_, _, id)| id.to_owned()).collect())
    }

    fn alert_logs(&self, ids: &[&str]) -> Result<Vec<(String, LogKey)>> {
        let state = self.state();
        let ids: BTreeSet<&str> = ids.iter().copied().collect();
        let kept = ids.into_iter().flat_map(|id| {
            let logs = state.alert_logs.iter().filter(|log| log.alert_id == id);
            let kept = kept_logs(logs.map(|log| log.log.clone()));
            kept.into_iter().map(|log| (id.to_owned(), log))
        });
        Ok(kept.collect())
    }

    fn delete_resolved_alerts_before(&self, time: DateTime<Utc>) -> Result<u64> {
        let state = &mut *self.state();
        let is_old =
            |alert: &Alert| alert.status == AlertStatus::Resolved && alert.updated_at < to_micros(time);
        let old = state.alerts.values().filter(|alert| is_old(alert));
        let old: HashSet<String> = old.map(|alert| alert.id.clone()).collect();
        state.alerts.retain(|id, _| !old.contains(id));
        state.alert_logs.retain(|log| !old.contains(&log.alert_id));
        state.alert_events.retain(|(id, _)| !old.contains(id));
        Ok(old.len() as u64)
    }
}

/// Says how far the delivery of an alert has come.
#[derive(Default)]
struct Waiting {
    since: Option<DateTime<Utc>>,
    failures: usize,
    is_delivered: bool,
}

impl Waiting {
    fn note(&mut self, event: &AlertEvent) {
        match event.action {
            AlertAction::AwaitDelivery => {
                self.since = Some(self.since.map_or(event.at, |since| since.min(event.at)));
            }
            AlertAction::FailToDeliver => self.failures += 1,
            AlertAction::Deliver => self.is_delivered = true,
            _ => {}
        }
    }
}

impl State {
    pub(super) fn store_alerts(&mut self, alerts: &[Alert]) -> u64 {
        let mut stored = 0;
        for alert in alerts {
            self.alerts.entry(alert.id.clone()).or_insert_with(|| {
                stored += 1;
                let mut alert = alert.clone();
                alert.created_at = to_micros(alert.created_at);
                alert.updated_at = to_micros(alert.updated_at);
                alert.settle_status();
                alert
            });
        }
        stored
    }

    fn check_alerts(&self, ids: &[&str]) -> Result<()> {
        match ids.iter().find(|id| !self.alerts.contains_key(**id)) {
            None => Ok(()),
            Some(unknown) => Err(Error::NotFound {
                what: "alert",
                name: (*unknown).to_owned(),
            }),
        }
    }

    fn update_alerts(&mut self, ids: &[&str], event: &AlertEvent) {
        let event = AlertEvent {
            at: to_micros(event.at),
            ..event.clone()
        };
        for id in ids {
            let is_same = |(alert, known): &(String, AlertEvent)| alert == id && known.id == event.id;
            if self.alert_events.iter().any(is_same) {
                continue;
            }
            if let Some(alert) = self.alerts.get_mut(*id) {
                alert.apply(&event);
                self.alert_events.push(((*id).to_owned(), event.clone()));
            }
        }
    }
}
