//! A lake: tables whose catalog is a database and whose data are Parquet files, by the engine's extension `DuckLake`.
//!
//! Many machines write to a lake at once. The catalog gives each commit a number, the snapshot; `DuckLake` refuses a
//! commit that changes rows which another one has changed since it began, but not one that adds rows. What must be
//! there once (logs, alerts, positions) is therefore looked for and committed by one writer at a time: see
//! [`CommitLock`](commit_lock::CommitLock).

pub(super) mod attach;
pub(super) mod commit_lock;
pub(super) mod create;
pub(super) mod data;
pub(super) mod snapshot;
pub(super) mod upkeep;

/// What the lake is called within the engine.
pub(super) const NAME: &str = "lake";
