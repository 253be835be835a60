//! The data: logs, alerts, threat intelligence, detection rules, and the questions asked of them.
//! Plain values; nothing here reads or writes anything.

pub(crate) mod address;
mod alert;
mod detection_rule;
mod field;
mod file_position;
mod invalid;
mod json;
mod json_object;
mod log_entry;
mod log_query;
mod nesting;
mod pattern;
mod secret;
mod severity;
mod threat_intel;
mod time;

pub(crate) use address::{PRIVATE_NETWORKS, endpoint};
pub use alert::{Alert, AlertQuery, RiskFactor, priority_score};
pub use detection_rule::{DetectionRule, RuleQuery};
pub use field::Field;
pub(crate) use field::{Column, ColumnType, Place};
pub use file_position::{FilePosition, FileProgress, Inside};
pub use invalid::InvalidValue;
pub(crate) use json::{Json, Members};
pub use json_object::JsonObject;
pub use log_entry::{BorrowedLog, LogEntry, Summary, TIME_SOURCE};
pub(crate) use log_entry::{Ids, Origin, RawText};
pub use log_query::{Condition, LogQuery, Order, Test, TimeBound};
pub(crate) use log_query::{Subject, in_network};
pub(crate) use nesting::{check_depth, check_nesting};
pub use pattern::Pattern;
pub(crate) use pattern::longest_word;
pub use secret::Secret;
pub use severity::Severity;
pub use threat_intel::{Indicator, IndicatorType, IntelQuery, ThreatIntel};
pub use time::{
    DateOrder, LocatedTime, TimeContext, Zone, parse_time, time_at_start, time_within, to_micros,
};
pub(crate) use time::{deciding_order, now};
