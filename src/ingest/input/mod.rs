//! The bytes of a source: opened, decompressed, cut into lines, and known again. Nothing here knows a format of lines.

pub(super) mod archive;
pub(super) mod binary;
pub(super) mod checkpoints;
pub(super) mod compression;
pub(super) mod decoder;
pub(super) mod encoding;
#[cfg(feature = "evtx")]
mod event_log;
pub(super) mod file_id;
pub(super) mod interruptible;
pub(super) mod lines;
pub(super) mod opened;
pub(super) mod rotated;
pub(super) mod tracked;
