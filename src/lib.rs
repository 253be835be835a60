//! x
mod config;
mod ingest;
mod models;
mod storage;
pub use config::*;
pub use ingest::*;
pub use models::*;
pub use storage::*;
