//! What a reader of objects tells of them.

use std::borrow::Cow;

use super::Scalar;

/// Says how the members of an object are named.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scope {
    /// By their own names.
    Flat,
    /// By their own names, and so are the members of their objects: `UserData`.
    Outer,
    /// By the names of their containers as well, joined by `_`: `System`.
    Joined,
    /// By the names of their containers as well, joined by a dot.
    Dotted,
}

/// Takes what a reader finds in an object.
pub(super) trait Visit<'a>: Sized {
    /// Counts the values so far.
    fn len(&self) -> usize;

    /// Takes the value of a member, or an element of a list.
    fn push_member(&mut self, scope: Scope, name: Cow<'a, str>, value: Scalar<'a>);

    /// Lets `read` read the members of an object that is a member itself.
    fn inside<T>(&mut self, scope: Scope, name: &str, read: impl FnOnce(&mut Self, Scope) -> T) -> T;

    /// Takes the end of a list whose first element was the value at `start`.
    fn end_list(&mut self, start: usize, name: &str, scope: Scope);
}
