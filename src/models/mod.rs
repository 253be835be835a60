//! The data: logs, alerts, threat intelligence, detection rules, and the questions asked of them.
//! Plain values; nothing here reads or writes anything.

mod invalid;
mod severity;
mod time;

pub use invalid::InvalidValue;
pub use severity::Severity;
pub use time::{LocatedTime, TimeContext, Zone, parse_time, time_at_start, time_within, to_micros};
