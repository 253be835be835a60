//! A lake: tables whose catalog is a database and whose data are Parquet files, by the engine's extension `DuckLake`.
//!
//! Many machines write to a lake at the same time. The catalog gives each commit a number, the snapshot. `DuckLake`
//! refuses a commit that changes rows which another one has changed since it began, but not one that adds rows. Logs,
//! alerts and positions must be there once. So one writer at a time looks for them and commits: see
//! [`CommitLock`](commit_lock::CommitLock). The [`fence`] refuses the commit of a writer that lost its turn.

pub(super) mod attach;
pub(super) mod checksums;
pub(super) mod commit_lock;
pub(super) mod create;
pub(super) mod data;
pub(super) mod data_files;
pub(super) mod digest;
pub(super) mod fence;
pub(super) mod heartbeat;
pub(super) mod history;
pub(super) mod mark;
pub(super) mod parts;
pub(super) mod snapshot;
pub(super) mod upkeep;

/// The name of the lake within the engine.
pub(super) const NAME: &str = "lake";

/// The name of the catalog's database within the engine, as `DuckLake` gives it.
pub(super) const CATALOG: &str = "__ducklake_metadata_lake";
