//! An embedded store for security logs, alerts, threat intelligence and detection rules, on `DuckDB`.
//!
//! Collectors append logs. Detectors poll them and store alerts. Analysts and services query all of it. Many processes
//! share one file. Logs are appended once, by time and id. A named consumer's alerts and its position are committed
//! together.
//!
//! ```
//! use std::time::Duration;
//! use chrono::{TimeDelta, Utc};
//! use logstore::{Alert, DuckDbStore, Fetcher, LogEntry, LogQuery, LogStore, Severity, StoreExt};
//!
//! let store = DuckDbStore::open(":memory:")?; // or a file
//! store.append_logs(&[LogEntry::new(Utc::now())
//!     .with_appname("sshd")
//!     .with_message("Failed password for root from 203.0.113.9 port 22 ssh2")
//!     .with_field("src_ip", "203.0.113.9")])?;
//!
//! let query = LogQuery::new().since(TimeDelta::minutes(1)).equals("appname", "sshd")?.contains("Failed").limit(100);
//! for log in store.fetch_logs(&query)? {
//!     println!("{} {:?} {:?}", log.event_time, log.source_ip(), log.message);
//! }
//!
//! let fetcher = Fetcher::new(&store).consumer("brute-force").every(Duration::from_secs(60));
//! let stop = fetcher.stop_handle();
//! for batch in fetcher {
//!     let batch = batch?;
//!     let alerts = [Alert::new("brute_force", "heuristic", Severity::High).with_source_ip("203.0.113.9")];
//!     batch.commit(&alerts)?; // alerts and position, both or neither
//!     stop.stop();
//! }
//! # Ok::<(), logstore::Error>(())
//! ```
//!
//! - Models: [`LogEntry`], [`Alert`], [`ThreatIntel`], [`DetectionRule`], and the queries over them.
//! - Stores: the [`Store`] trait, [`DuckDbStore`], and [`MemoryStore`] for tests.
//! - Polling: [`Fetcher`].
//! - Files in: [`Loader`], which does all that `logstore ingest` does; [`ingest::LogReader`] only reads text.
//! - Settings: [`Settings`], [`config::SettingsLoader`].
//!
//! The crates whose types appear in signatures are re-exported: [`chrono`], [`ipnet`] and [`serde_json`].
//!
//! # With tokio
//!
//! The methods of a store block their thread, as those of a file do. Call them by `spawn_blocking` on a clone of the
//! store. A clone of a [`DuckDbStore`], or of an `Arc<dyn Store>`, is the same store.
//!
//! ```ignore
//! let store = store.clone();
//! let count = tokio::task::spawn_blocking(move || store.count_logs(&query)).await??;
//! ```
//!
//! A scan reads its logs as they are asked for. A channel turns them into the body of a response:
//!
//! ```ignore
//! let (sender, receiver) = tokio::sync::mpsc::channel(16);
//! tokio::task::spawn_blocking(move || {
//!     let send = |line| sender.blocking_send(line).is_ok();
//!     match store.scan_logs(&query) {
//!         // The scan ends when it is dropped, as soon as the client has gone.
//!         Ok(logs) => drop(logs.map(|log| log.map(json_line)).all(send)),
//!         Err(error) => drop(send(Err(error))),
//!     }
//! });
//! let body = axum::body::Body::from_stream(tokio_stream::wrappers::ReceiverStream::new(receiver));
//! ```
//!
//! A [`Fetcher`] and a [`Loader`] are loops. Give each a thread of its own. Stop it by its [`StopHandle`] when the
//! service shuts down.

mod backoff;
pub mod config;
pub mod detect;
pub mod feeds;
pub mod ingest;
pub mod load;
mod models;
mod stop;
pub mod storage;
mod sync;

pub use {chrono, ipnet, serde_json};

#[doc(inline)]
pub use config::Settings;
#[doc(inline)]
pub use load::Loader;
pub use models::{
    AddressText, Alert, AlertQuery, AlertStatus, Case, Condition, CoreFields, DetectionRule, Field, Filter,
    Indicator, IndicatorType, IntelQuery, IntelSummary, InvalidValue, JsonObject, LogEntry, LogKey, LogQuery,
    LogSource, Operator, Order, Pattern, RiskFactor, RuleQuery, Severity, ThreatIntel, Verdict,
    priority_score,
};
pub use stop::StopHandle;
#[doc(inline)]
pub use storage::duckdb::{self, DuckDbStore, OpenOptions};
#[doc(inline)]
pub use storage::{
    AlertStore, ConsumerStore, Cursor, DetectionStore, Error, Fetcher, IngestStore, IntelStore, LogBatch,
    LogStore, MemoryStore, Result, RuleStore, StartPosition, Store, StoreExt,
};

pub mod alerts {
    //! The life of an alert: matches that are counted, events of its history, and suppressions.

    pub use crate::models::{
        AlertAction, AlertEvent, AlertLog, AlertOrder, Detections, Hit, HitRange, LogRole, Lookback, Match,
        RuleDay, Suppression,
    };
}

pub mod time {
    //! Times as people and logs write them.

    pub use crate::models::{
        DateOrder, TimeBound, TimeContext, TimeMatch, Zone, find_time, find_time_at_start, parse_time,
    };
}
