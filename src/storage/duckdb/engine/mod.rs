//! The engine as a program on this machine: its files, its locks and its start.

pub(super) mod conninfo;
pub(super) mod deadline;
pub(super) mod extensions;
pub(super) mod files;
pub(super) mod gate;
pub(super) mod location;
pub(super) mod mode;
pub(super) mod private_folder;
pub(super) mod queue;
pub(super) mod repair;
pub(super) mod s3;
pub(super) mod settings;
pub(super) mod spill_folder;
pub(super) mod verified;
pub(super) mod waiter;
