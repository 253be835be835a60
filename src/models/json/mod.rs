//! JSON as logs hold it: values that borrow from a line, objects that keep their text, and a depth limit.

mod borrowed;
mod depth;
mod object;
mod text;

pub(crate) use borrowed::{Json, MemberName, Members};
pub(crate) use depth::{DEEPEST, check_depth, check_nesting};
pub use object::JsonObject;
