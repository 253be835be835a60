//! Logs as rows: how a log is written into the columns of the engine, and read from them.

pub(super) mod columns;
pub(super) mod constant_columns;
pub(super) mod decode;
pub(super) mod encode;
pub(super) mod fill_template;
pub(super) mod log_has;
pub(super) mod row_layout;
pub(super) mod template;
pub(super) mod templates;
pub(crate) mod values;
pub(crate) mod words;
