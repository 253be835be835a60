//! The messages of su and sudo.
//!
//! The user chooses the account to become, the command and its folder. The user's own name is an account's.

use super::marked::Marked;
use super::readings::{Readings, Values};

/// Reads `alice : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh`, around `PWD=`.
///
/// The reason of a refusal comes first: `alice : 3 incorrect password attempts ; TTY=pts/0 ; ...`
pub(crate) fn sudo<'a>(marked: &Marked<'a>) -> Option<Readings<'a>> {
    let (user, rest) = marked.before.trim_start().split_once(" : ")?;
    let mut parts = rest.split(" ; ").filter(|part| !part.is_empty()).peekable();
    let is_refused = parts.next_if(|part| is_refusal(part)).is_some();
    let is_start = |part: &str| part.starts_with("HOST=") || part.starts_with("TTY=");
    if !is_word(user) || !parts.all(is_start) {
        return None;
    }
    let readings = Readings::any(sudo_commands(user, marked.after))?;
    Some(match is_refused {
        true => readings.of_failure(),
        false => readings,
    })
}

fn is_refusal(part: &str) -> bool {
    const REFUSALS: [&str; 6] = [
        "user NOT in sudoers",
        "user NOT authorized on host",
        "command not allowed",
        "a password is required",
        "a terminal is required to read the password",
        "no tty present and no askpass program specified",
    ];
    let attempts = part.split_once(" incorrect password attempt");
    let is_count = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    REFUSALS.iter().any(|refusal| part.starts_with(refusal))
        || attempts.is_some_and(|(count, _)| is_count(count))
}

/// Limits the readings of a message that are tried; real ones have two at most.
const MOST: usize = 16;

/// Reads `/any folder ; USER=root ; GROUP=wheel ; ENV=any text ; COMMAND=any text`.
///
/// A folder may be named like the rest of a message, and so may the arguments of a command.
fn sudo_commands<'a>(user: &'a str, text: &'a str) -> impl Iterator<Item = Values<'a>> {
    const USER: &str = " ; USER=";
    text.match_indices(USER).take(MOST).flat_map(move |(at, _)| {
        let after = &text[at + USER.len()..];
        let (effective_user, rest) = word_before_mark(after).unwrap_or_default();
        commands(rest).map(move |command| Values {
            user: Some(user),
            effective_user: Some(effective_user),
            command_line: Some(command),
            ..Values::default()
        })
    })
}

/// Finds ` COMMAND=...` after what may come before it. With variables before it there may be two of them.
fn commands(rest: &str) -> impl Iterator<Item = &str> {
    const COMMAND: &str = " ; COMMAND=";
    let mut rest = rest;
    for name in [" GROUP=", " TSID="] {
        if let Some((_, after)) = rest.strip_prefix(name).and_then(word_before_mark) {
            rest = after;
        }
    }
    let command = rest.strip_prefix(" COMMAND=");
    let variables = rest.strip_prefix(" ENV=").unwrap_or_default();
    let after_variables = variables.match_indices(COMMAND).take(2);
    let commands = after_variables.map(|(at, _)| &variables[at + COMMAND.len()..]);
    command.into_iter().chain(commands)
}

/// Splits `root ; ...` into the word and the text after ` ;`.
fn word_before_mark(text: &str) -> Option<(&str, &str)> {
    let (word, rest) = text.split_once(' ')?;
    let rest = rest.strip_prefix(';').filter(|_| !word.is_empty())?;
    Some((word, rest))
}

/// Reads `root by alice`.
pub(crate) fn by<'a>(marked: &Marked<'a>) -> Option<Readings<'a>> {
    let (effective_user, user) = marked.after.trim_end().rsplit_once(" by ")?;
    su(marked, user, effective_user)
}

/// Reads `root) alice on /dev/pts/8`.
pub(crate) fn on<'a>(marked: &Marked<'a>) -> Option<Readings<'a>> {
    let (effective_user, user) = before_terminal(marked.after)?.rsplit_once(") ")?;
    su(marked, user, effective_user)
}

/// Reads `root' failed for alice on /dev/pts/8`.
pub(crate) fn failed_for<'a>(marked: &Marked<'a>) -> Option<Readings<'a>> {
    let (effective_user, user) = before_terminal(marked.after)?.rsplit_once("' failed for ")?;
    su(marked, user, effective_user)
}

/// Cuts ` on /dev/pts/8` off the end.
fn before_terminal(text: &str) -> Option<&str> {
    let (before, terminal) = text.trim_end().rsplit_once(" on ")?;
    is_word(terminal).then_some(before)
}

fn su<'a>(marked: &Marked<'a>, user: &'a str, effective_user: &'a str) -> Option<Readings<'a>> {
    (marked.is_first() && is_word(user) && !effective_user.is_empty()).then(|| {
        Readings::one(Values {
            user: Some(user),
            effective_user: Some(effective_user),
            ..Values::default()
        })
    })
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_whitespace)
}
