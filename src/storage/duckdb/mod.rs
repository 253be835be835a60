//! The store on `DuckDB`: the only module that knows the engine.
//!
//! A module imports only from those above it here.

mod error;
mod seq;
mod transaction;

mod sql;
mod words;

mod engine;

mod rows;
mod schema;

mod functions;

mod adopt;

mod lake;

mod commit_order;

mod options;
mod store;

mod tables;

mod logs;

mod open;

mod data_files;

mod backup;
mod check;
mod export;
mod exported;
mod maintain;
mod query;

pub use crate::models::Secret;
pub use check::{CheckProgress, TableCheck};
pub use data_files::{DataFileCheck, DataFileChecks, DataFileState};
pub use engine::extensions::Extension;
pub(crate) use engine::location::without_password;
pub use engine::s3::S3Options;
pub use engine::settings::DEFAULT_MEMORY_LIMIT;
pub use export::ExportFormat;
pub(crate) use exported::exported_lines;
pub(crate) use logs::rewrite::Change;
pub use maintain::{MaintenanceOptions, MaintenanceStep};
pub use open::open_guard::OpenGuard;
pub use options::{Access, OpenOptions};
pub use query::{QueryRows, QueryStream};
pub(crate) use rows::encode::{LogRows, LogRowsBuilder};
pub use store::DuckDbStore;
