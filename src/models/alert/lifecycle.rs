//! How matches become alerts: pure functions of the set of matches.
//!
//! Matches of one fingerprint in one window are a *series*. A series has one alert, and a further one each time that an
//! analyst has closed the last one and another match comes. These are its generations. The order of matches and their
//! batches do not matter, and a match that comes again changes nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{Alert, AlertAction, AlertEvent, AlertStatus, Match, Suppression};
use crate::models::{LogKey, hexadecimal, to_micros};

/// Counts the earliest logs that an alert keeps. It keeps the latest one too.
pub(crate) const EARLIEST_KEPT: usize = 100;

/// Names the member of an alert's metadata for the fields that tell alerts of one rule apart.
const GROUP: &str = "group";

/// Returns the logs that an alert keeps of all its logs: the 100 earliest and the latest, by time and id.
pub(crate) fn kept_logs(logs: impl IntoIterator<Item = LogKey>) -> Vec<LogKey> {
    let mut logs: Vec<LogKey> = logs.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    if logs.len() > EARLIEST_KEPT {
        let latest = logs.pop();
        logs.truncate(EARLIEST_KEPT);
        logs.extend(latest);
    }
    logs
}

/// Holds a stretch of event time whose matches are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Window {
    pub(crate) start: DateTime<Utc>,
    pub(crate) end: DateTime<Utc>,
}

impl Window {
    /// Returns the window that holds a time. Windows start at multiples of their length since 1970 in UTC.
    ///
    /// A window that depended on the alert's first match would depend on the order of matches.
    pub(crate) fn of(time: DateTime<Utc>, length: TimeDelta) -> Self {
        let length = length.num_microseconds().unwrap_or(i64::MAX).max(1);
        let micros = time.timestamp_micros();
        let start = micros.saturating_sub(micros.rem_euclid(length));
        let time = |micros| DateTime::from_timestamp_micros(micros);
        Self {
            start: time(start).unwrap_or(DateTime::<Utc>::MIN_UTC),
            end: time(start.saturating_add(length)).unwrap_or(to_micros(DateTime::<Utc>::MAX_UTC)),
        }
    }
}

/// Returns the SHA-256 of a rule and of the fields that tell its alerts apart, in hexadecimal.
pub(crate) fn fingerprint(rule_id: &str, group: &BTreeMap<&str, &str>) -> String {
    let mut digest = Sha256::new();
    let texts = group.iter().flat_map(|(name, value)| [*name, *value]);
    for text in std::iter::once(rule_id).chain(texts) {
        // The length keeps texts apart, whatever they hold.
        digest.update((text.len() as u64).to_be_bytes());
        digest.update(text);
    }
    hexadecimal(&digest.finalize())
}

/// Names the fingerprint and the window that matches share.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Series {
    pub(crate) fingerprint: String,
    pub(crate) window: Window,
}

impl Series {
    pub(crate) fn of(found: &Match) -> Self {
        Self {
            fingerprint: fingerprint(&found.rule_id, &found.group_fields()),
            window: Window::of(found.log.event_time, found.window),
        }
    }

    /// Returns the series of an alert; `None` for one that no detector of rules raised.
    pub(crate) fn of_alert(alert: &Alert) -> Option<Self> {
        Some(Self {
            fingerprint: alert.fingerprint.clone()?,
            window: Window {
                start: alert.window_start?,
                end: alert.window_end?,
            },
        })
    }

    /// Returns the id of the alert of a generation: the same one however often it is computed.
    pub(crate) fn alert_id(&self, generation: u32) -> String {
        /// Keeps these ids apart from those of other programs.
        const NAMESPACE: Uuid = Uuid::from_u128(0x6c6f_6773_746f_5265_8c0d_616c_6572_7473);
        let (start, end) = (self.window.start, self.window.end);
        let (start, end) = (start.timestamp_micros(), end.timestamp_micros());
        let name = format!("{} {start} {end} {generation}", self.fingerprint);
        Uuid::new_v5(&NAMESPACE, name.as_bytes()).to_string()
    }
}

/// Says how matches were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// Means that a consumer read new logs.
    Live,
    /// Means that a hunt searched stored logs.
    Later,
}

/// Says what a log is to an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogRole {
    /// Means that the log is counted.
    Counted,
    /// Means that the log led to one that is counted.
    Related,
}

/// Holds a log of an alert.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AlertLog {
    /// Names the alert.
    pub alert_id: String,
    /// Names the log.
    pub log: LogKey,
    /// Says whether the alert counts the log.
    pub role: LogRole,
}

/// Counts what a commit did with its matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    pub(crate) new: u64,
    pub(crate) counted: u64,
    pub(crate) suppressed: u64,
    pub(crate) repeated: u64,
    pub(crate) late: u64,
}

/// Counts matches into the alerts of a store. A store loads what it holds of them, and stores what has changed.
#[derive(Debug)]
pub(crate) struct Tally {
    now: DateTime<Utc>,
    found: Found,
    receiver: Option<String>,
    alerts: HashMap<Series, BTreeMap<u32, Alert>>,
    logs: HashSet<AlertLog>,
    raised: HashSet<String>,
    changed: HashSet<String>,
    new_logs: Vec<AlertLog>,
    events: Vec<(String, AlertEvent)>,
    counts: Counts,
}

/// Holds what a store has to write.
#[derive(Debug)]
pub(crate) struct Tallied {
    /// Holds the alerts that are new.
    pub(crate) raised: Vec<Alert>,
    /// Holds the alerts that the store has in another form.
    pub(crate) changed: Vec<Alert>,
    pub(crate) logs: Vec<AlertLog>,
    /// Holds events, each with the id of its alert.
    pub(crate) events: Vec<(String, AlertEvent)>,
    pub(crate) counts: Counts,
}

impl Tally {
    /// Begins with all alerts of the matches' series, and with those of their logs that these alerts have already.
    pub(crate) fn new(
        now: DateTime<Utc>,
        found: Found,
        alerts: impl IntoIterator<Item = Alert>,
        logs: impl IntoIterator<Item = AlertLog>,
    ) -> Self {
        let mut known: HashMap<Series, BTreeMap<u32, Alert>> = HashMap::new();
        for alert in alerts {
            if let Some(series) = Series::of_alert(&alert) {
                known.entry(series).or_default().insert(alert.generation, alert);
            }
        }
        Self {
            now,
            found,
            receiver: None,
            alerts: known,
            logs: logs.into_iter().collect(),
            raised: HashSet::new(),
            changed: HashSet::new(),
            new_logs: Vec::new(),
            events: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// Names the receiver that new alerts wait for.
    pub(crate) fn awaiting(self, receiver: Option<&str>) -> Self {
        Self {
            receiver: receiver.map(str::to_owned),
            ..self
        }
    }

    /// Counts a match, unless it was counted before.
    pub(crate) fn count(&mut self, found: &Match, suppressions: &[Suppression]) {
        let series = Series::of(found);
        let generations = self.alerts.entry(series.clone()).or_default();
        let counted_in = generations.values_mut().find(|alert| {
            self.logs.contains(&AlertLog {
                alert_id: alert.id.clone(),
                log: found.log.clone(),
                role: LogRole::Counted,
            })
        });
        if let Some(alert) = counted_in {
            self.counts.repeated += 1;
            if alert.found_later && self.found == Found::Live {
                alert.found_later = false;
                self.changed.insert(alert.id.clone());
            }
            // Late logs may lead to a match that is known.
            if !alert.is_settled {
                let id = alert.id.clone();
                self.note_related(&id, found);
            }
            return;
        }
        let latest = generations.values().next_back();
        if latest.is_some_and(|alert| alert.is_settled) {
            self.counts.late += 1;
            return;
        }
        let suppression = suppressions.iter().find(|suppression| suppression.covers(found));
        self.counts.counted += 1;
        self.counts.suppressed += u64::from(suppression.is_some());
        let id = match latest {
            Some(alert) if alert.status != AlertStatus::Resolved => {
                let (id, generation) = (alert.id.clone(), alert.generation);
                self.count_in(&series, generation, found, suppression);
                id
            }
            latest => {
                let previous = latest.map(|alert| (alert.generation, alert.id.clone()));
                self.raise(series, previous, found, suppression)
            }
        };
        self.note_log(&id, found.log.clone(), LogRole::Counted);
        self.note_related(&id, found);
    }

    fn note_related(&mut self, id: &str, found: &Match) {
        for log in &found.related {
            self.note_log(id, log.clone(), LogRole::Related);
        }
    }

    /// Raises the alert of the next generation, and returns its id.
    fn raise(
        &mut self,
        series: Series,
        previous: Option<(u32, String)>,
        found: &Match,
        suppression: Option<&Suppression>,
    ) -> String {
        let generation = previous
            .as_ref()
            .map_or(1, |(generation, _)| generation.saturating_add(1));
        let id = series.alert_id(generation);
        let mut alert = Alert::new(&found.alert_type, &found.detection_method, found.severity).with_id(&id);
        alert.look_like(found);
        let group = found.group_fields().into_iter();
        let group: Map<String, Value> = group
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        alert.metadata.insert(GROUP.to_owned(), group.into());
        alert.rule_id = Some(found.rule_id.clone());
        alert.fingerprint = Some(series.fingerprint.clone());
        (alert.window_start, alert.window_end) = (Some(series.window.start), Some(series.window.end));
        alert.first_seen = Some(found.log.event_time);
        alert.last_seen = Some(found.log.event_time);
        (alert.created_at, alert.updated_at) = (self.now, self.now);
        alert.generation = generation;
        alert.previous_id = previous.map(|(_, id)| id);
        alert.found_later = self.found == Found::Later;
        match suppression {
            Some(suppression) => {
                alert.set_status(AlertStatus::Suppressed);
                let status = AlertAction::Status(AlertStatus::Suppressed);
                self.note_event(&id, status, format!("{}: {}", suppression.id, suppression.reason));
            }
            None => self.await_delivery(&id),
        }
        self.raised.insert(id.clone());
        self.counts.new += 1;
        self.alerts.entry(series).or_default().insert(generation, alert);
        id
    }

    fn count_in(
        &mut self,
        series: &Series,
        generation: u32,
        found: &Match,
        suppression: Option<&Suppression>,
    ) {
        let alert = self
            .alerts
            .get_mut(series)
            .and_then(|known| known.get_mut(&generation));
        let Some(alert) = alert else { return };
        let time = found.log.event_time;
        let first = (alert.first_seen, alert.log_id.as_ref());
        if (Some(time), Some(&found.log.id)) < first {
            alert.look_like(found);
        }
        alert.count = alert.count.saturating_add(1);
        alert.first_seen = alert.first_seen.map(|first| first.min(time));
        alert.last_seen = alert.last_seen.map(|last| last.max(time));
        alert.updated_at = alert.updated_at.max(self.now);
        alert.found_later &= self.found == Found::Later;
        let id = alert.id.clone();
        if alert.status == AlertStatus::Suppressed && suppression.is_none() {
            alert.set_status(AlertStatus::New);
            let note = "a match that no suppression covers";
            self.note_event(&id, AlertAction::Status(AlertStatus::New), note);
            self.await_delivery(&id);
        }
        self.changed.insert(id);
    }

    fn note_log(&mut self, id: &str, log: LogKey, role: LogRole) {
        let log = AlertLog {
            alert_id: id.to_owned(),
            log,
            role,
        };
        if self.logs.insert(log.clone()) {
            self.new_logs.push(log);
        }
    }

    fn note_event(&mut self, id: &str, action: AlertAction, note: impl Into<String>) {
        let event = AlertEvent {
            at: self.now,
            ..AlertEvent::new(action)
        };
        self.events.push((id.to_owned(), event.with_note(note)));
    }

    fn await_delivery(&mut self, id: &str) {
        let Some(receiver) = &self.receiver else { return };
        let event = AlertEvent {
            at: self.now,
            ..AlertEvent::new(AlertAction::AwaitDelivery).by(receiver)
        };
        self.events.push((id.to_owned(), event));
    }

    /// Returns what the store has to write.
    pub(crate) fn finish(self) -> Tallied {
        let alerts = self.alerts.into_values().flat_map(BTreeMap::into_values);
        let (raised, others): (Vec<_>, Vec<_>) = alerts.partition(|alert| self.raised.contains(&alert.id));
        let changed = others
            .into_iter()
            .filter(|alert| self.changed.contains(&alert.id));
        Tallied {
            raised,
            changed: changed.collect(),
            logs: self.new_logs,
            events: self.events,
            counts: self.counts,
        }
    }
}

impl Alert {
    /// Takes over what a match says. An alert looks like its earliest match, whichever came first.
    fn look_like(&mut self, found: &Match) {
        self.log_id = Some(found.log.id.clone());
        self.alert_type.clone_from(&found.alert_type);
        self.detection_method.clone_from(&found.detection_method);
        self.severity = found.severity;
        self.description.clone_from(&found.title);
        self.tags.clone_from(&found.tags);
        self.source_ip.clone_from(&found.source_ip);
        self.dest_ip.clone_from(&found.dest_ip);
        self.user.clone_from(&found.user);
        self.host.clone_from(&found.host);
        self.process.clone_from(&found.process);
        self.update_score();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(micros).unwrap()
    }

    fn key(second: i64, id: &str) -> LogKey {
        LogKey::new(at(second * 1_000_000), id)
    }

    #[test]
    fn windows_are_aligned_to_the_epoch() {
        let hour = TimeDelta::hours(1);
        for (time, start) in [
            (0, 0),
            (3_599_999_999, 0),
            (3_600_000_000, 3_600_000_000),
            (-1, -3_600_000_000),
        ] {
            let window = Window::of(at(time), hour);
            assert_eq!(window.start, at(start), "{time}");
            assert_eq!(window.end, at(start + 3_600_000_000), "{time}");
        }
        let edge = Window::of(DateTime::<Utc>::MAX_UTC, TimeDelta::MAX);
        assert!(edge.start < edge.end);
    }

    #[test]
    fn fingerprints_keep_names_and_values_apart() {
        let of = |rule: &str, fields: &[(&'static str, &'static str)]| {
            fingerprint(rule, &fields.iter().copied().collect())
        };
        let all = [
            of("r", &[]),
            of("r", &[("user", "a")]),
            of("r", &[("usera", "")]),
            of("ruser", &[("a", "")]),
            of("r", &[("host", "a")]),
            of("r", &[("host", "a"), ("user", "a")]),
        ];
        let distinct: HashSet<&String> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
        assert_eq!(all[0].len(), 64);
    }

    #[test]
    fn an_alert_keeps_its_first_hundred_logs_and_the_latest() {
        let few = [key(2, "b"), key(1, "a"), key(2, "b")];
        assert_eq!(kept_logs(few), [key(1, "a"), key(2, "b")]);
        let many = (0..500).rev().map(|second| key(second, "a"));
        let kept = kept_logs(many);
        assert_eq!(kept.len(), 101);
        assert_eq!(
            (&kept[0], &kept[99], &kept[100]),
            (&key(0, "a"), &key(99, "a"), &key(499, "a"))
        );
        // To keep some of them first and then the rest makes no difference.
        let first = kept_logs((0..500).step_by(2).map(|second| key(second, "a")));
        let all = first
            .into_iter()
            .chain((0..500).skip(1).step_by(2).map(|second| key(second, "a")));
        assert_eq!(kept_logs(all), kept);
    }

    #[test]
    fn ids_depend_on_fingerprint_window_and_generation_only() {
        let series = |start, end| Series {
            fingerprint: "f".to_owned(),
            window: Window {
                start: at(start),
                end: at(end),
            },
        };
        assert_eq!(series(0, 1).alert_id(1), series(0, 1).alert_id(1));
        let all = [(0, 1, 1), (0, 1, 2), (0, 2, 1), (1, 2, 1)];
        let ids = all.map(|(start, end, generation)| series(start, end).alert_id(generation));
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
    }
}
