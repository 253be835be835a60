//! Word filters: which words and addresses each block of logs holds, so that a search reads few of the others.

pub(crate) mod collected;
pub(crate) mod filter;
pub(crate) mod keys;
pub(crate) mod needs;
pub(crate) mod observables;
pub(crate) mod trigrams;

/// Counts the ways in which keys were made so far. Blocks of another version are read as if they had no filter.
pub(crate) const VERSION: i64 = 6;
