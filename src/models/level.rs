//! Levels of logs: one scale for the words of syslog, of loggers and of alerts.

/// Holds the place of a level in the scale of syslog (RFC 5424). 0 is an emergency and 7 is debugging, as is all that
/// loggers write below that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Level(u8);

/// Lists the words of each place, syslog's own word first. Loggers say `fatal` and `trace`. Each level of the Sigma
/// specification is next to the levels that it is treated as.
const WORDS: [&[&str]; 8] = [
    &["emerg", "emergency", "panic", "fatal"],
    &["alert"],
    &["crit", "critical"],
    &["err", "error", "severe", "high"],
    &["warning", "warn", "medium"],
    &["notice", "low"],
    &["info", "information", "informational"],
    &["debug", "trace", "verbose"],
];

impl Level {
    /// Reads a word of the scale in any letter case.
    pub(crate) fn from_word(text: &str) -> Option<Self> {
        let is_named = |words: &&[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
        let place = WORDS.iter().position(is_named)?;
        u8::try_from(place).ok().map(Self)
    }

    /// Reads a word of the scale, or a severity of syslog as a digit.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text.as_bytes() {
            [digit @ b'0'..=b'7'] => Some(Self(digit - b'0')),
            _ => Self::from_word(text),
        }
    }

    /// Returns the word of syslog for the level.
    pub(crate) fn word(self) -> &'static str {
        let words = WORDS.get(usize::from(self.0)).copied().unwrap_or_default();
        words.first().copied().unwrap_or_default()
    }

    /// Returns a number that is greater the more serious the level is.
    pub(crate) fn seriousness(self) -> u8 {
        u8::MAX - self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_is_that_of_syslog() {
        let words = [
            "debug", "info", "notice", "warn", "ERROR", "Critical", "alert", "fatal",
        ];
        let levels = words.map(|word| Level::parse(word).unwrap().seriousness());
        assert!(levels.is_sorted_by(|a, b| a < b), "{levels:?}");
        assert_eq!(Level::parse("3"), Level::from_word("err"));
        assert_eq!(Level::parse("trace"), Level::from_word("debug"));
        for text in ["8", "-1", "03", "", "errors", "\u{661}", "default"] {
            assert_eq!(Level::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_level_is_read_from_its_word() {
        for digit in b'0'..=b'7' {
            let level = Level::parse(&char::from(digit).to_string()).unwrap();
            assert_eq!(Level::from_word(level.word()), Some(level));
        }
    }
}
