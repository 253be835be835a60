//! The data: logs, alerts, threat intelligence, detection rules, and the queries for them. All are plain values; this
//! module neither reads nor writes anything.

pub(crate) mod address;
mod address_text;
mod alert;
mod continuation_lines;
mod detection_rule;
mod edits;
mod encoding;
mod file_position;
mod half_lives;
mod hexadecimal;
mod host;
mod intel_summary;
mod invalid;
mod json;
mod level;
mod log_entry;
mod log_source;
mod lookback;
pub(crate) mod observables;
mod query;
mod required_texts;
mod secret;
mod severity;
mod threat_intel;
mod time;

pub(crate) use address::{PRIVATE_NETWORKS, canonical_of, endpoint};
pub use address_text::AddressText;
pub use alert::{
    Alert, AlertAction, AlertEvent, AlertLog, AlertOrder, AlertQuery, AlertStatus, Detections, Hit, HitRange,
    LogRole, Match, RiskFactor, RuleDay, Suppression, Verdict, priority_score,
};
pub(crate) use alert::{Counts, Found, Series, Tally, kept_logs};
pub use continuation_lines::ContinuationLines;
pub use detection_rule::{DetectionRule, RuleQuery};
pub(crate) use edits::Edits;
pub use encoding::Encoding;
pub(crate) use encoding::Kind as EncodingKind;
pub use file_position::{FilePosition, FileProgress, ResumePoint};
pub use half_lives::HalfLives;
pub(crate) use hexadecimal::hexadecimal;
pub(crate) use host::{canonical_domain, canonical_host, canonical_url, has_labels, host_of_url};
pub use intel_summary::IntelSummary;
pub use invalid::InvalidValue;
pub use json::JsonObject;
pub(crate) use json::{DEEPEST, Json, MemberName, Members, check_depth, check_nesting};
pub(crate) use level::Level;
pub(crate) use log_entry::BorrowedLog;
pub use log_entry::{CoreFields, LogEntry, LogKey, PARSE_ERROR, TIME_SOURCE};
pub(crate) use log_entry::{FIELDS, FORMAT, LOGSOURCE, RAW_BYTES};
pub(crate) use log_entry::{FormatNote, Role};
pub(crate) use log_entry::{Ids, Origin, RawText};
pub(crate) use log_entry::{OBJECT_COLUMNS, TEXT_COLUMNS, TIME_COLUMNS};
pub use log_source::LogSource;
pub use lookback::Lookback;
pub use observables::SoughtObservables;
pub use query::{Case, Condition, Field, Filter, LogQuery, Operator, Order, Pattern, TimeBound};
pub(crate) use query::{Column, ColumnType, Needle, NeedleFinder, Node, Operand, Place, Test, longest_word};
pub(crate) use required_texts::required_texts;
pub use secret::Secret;
pub use severity::Severity;
pub(crate) use threat_intel::checked_confidence;
pub use threat_intel::{BENIGN, Indicator, IndicatorType, IntelQuery, ThreatIntel};
pub use time::{DateOrder, TimeContext, TimeMatch, Zone, find_time, find_time_at_start, parse_time};
pub(crate) use time::{deciding_order, now, parse_stated_time, to_micros};
