//! The commands, one file each.

pub(crate) mod alerts;
pub(crate) mod backup;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod copy;
pub(crate) mod count;
pub(crate) mod detect;
pub(crate) mod export;
pub(crate) mod extensions;
pub(crate) mod fetch;
pub(crate) mod fields;
pub(crate) mod formats;
pub(crate) mod hunt;
pub(crate) mod ingest;
pub(crate) mod intel;
pub(crate) mod maintain;
pub(crate) mod prune;
pub(crate) mod query;
pub(crate) mod reparse;
pub(crate) mod rules;
pub(crate) mod show;
pub(crate) mod stats;
