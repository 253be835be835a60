//! x
mod models;
mod storage;
pub use models::*;
pub use storage::*;
