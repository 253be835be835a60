//! x
mod models;
pub use models::*;
