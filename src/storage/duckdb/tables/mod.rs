//! The small tables: one file for each.

pub(super) mod alerts;
pub(super) mod consumers;
pub(super) mod detection_rules;
pub(super) mod file_positions;
pub(super) mod idle_positions;
pub(super) mod threat_intel;
