//! x
mod ingest;
mod models;
mod storage;
pub use ingest::*;
pub use models::*;
pub use storage::*;
