//! The small tables: one file for each.

mod alert_events;
mod alert_logs;
mod alert_rows;
pub(super) mod alerts;
pub(super) mod consumers;
pub(super) mod detection_rules;
mod detections;
pub(super) mod file_positions;
mod hits;
pub(super) mod idle_positions;
mod lookbacks;
mod rule_days;
mod suppressions;
pub(super) mod threat_intel;
