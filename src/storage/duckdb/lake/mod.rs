//! Lakes: tables whose catalog is a database and whose data are Parquet files.

pub(super) mod attach;
pub(super) mod commit_lock;
