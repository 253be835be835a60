//! Messages of daemons that are known by a mark, such as `Failed password for `.

/// Holds a message that has a mark, without the mark.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Marked<'a> {
    /// Names the program that logged the message, where it is known.
    pub(crate) program: Option<&'a str>,
    pub(crate) before: &'a str,
    pub(crate) after: &'a str,
}

impl Marked<'_> {
    /// Returns whether the message starts with the mark. A mark further in may be in a client's text.
    pub(crate) fn is_first(&self) -> bool {
        matches!(self.before, "" | "error: " | "fatal: ")
    }
}
