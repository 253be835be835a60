//! SQL: statements, conditions, and the functions of this crate that they call.

pub(super) mod comparison;
pub(super) mod has;
pub(super) mod in_network;
pub(super) mod log_id;
pub(super) mod predicate;
mod registry;
pub(super) mod sought;
pub(super) mod staged;
pub(super) mod statement;
pub(super) mod streamed;
pub(super) mod tokens;
