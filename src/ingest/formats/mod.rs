//! The formats of lines: each takes one line apart, and knows nothing of files.
//!
//! A format gives [`Fields`](fields::Fields), or says that a line is of another one. The modules `sshd`, `pam` and `su`
//! read the messages of daemons, which [`extract`] finds by their marks.

pub(super) mod access_log;
pub(super) mod brackets;
mod columns;
pub(super) mod continued;
pub(super) mod envelope;
pub(super) mod error_log;
pub(super) mod event_xml;
pub(super) mod exported;
pub(super) mod extract;
pub(super) mod fields;
pub(super) mod header;
pub(super) mod json;
pub(super) mod library;
mod marked;
pub(super) mod mended;
mod pam;
mod readings;
pub(super) mod record_id;
mod sshd;
mod su;
pub(super) mod syslog;
pub(super) mod text;
