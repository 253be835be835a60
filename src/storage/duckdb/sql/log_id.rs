//! Ids of logs as the engine stores them: most are UUIDs, which are 16 bytes, and those of one writer ascend.

use uuid::Uuid;

/// Counts the bytes of a UUID.
pub(crate) const LENGTH: i32 = 16;

/// Holds the id of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum LogId<'a> {
    /// Holds a UUID whose text is the one that RFC 9562 tells programs to write.
    Uuid(Uuid),
    /// Holds any other text, such as a UUID in capital letters, in braces or without hyphens.
    Text(&'a str),
}

impl<'a> LogId<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let is_canonical = text.len() == uuid::fmt::Hyphenated::LENGTH
            && text
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-'));
        match is_canonical.then(|| Uuid::try_parse(text)) {
            Some(Ok(uuid)) => Self::Uuid(uuid),
            _ => Self::Text(text),
        }
    }

    pub(crate) fn uuid(self) -> Option<Uuid> {
        match self {
            Self::Uuid(uuid) => Some(uuid),
            Self::Text(_) => None,
        }
    }

    pub(crate) fn text(self) -> Option<&'a str> {
        match self {
            Self::Uuid(_) => None,
            Self::Text(text) => Some(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CANONICAL: &str = "01a22561-5a93-735a-964e-a8d130be1da5";

    #[test]
    fn only_a_text_that_a_uuid_is_written_as_is_one() {
        assert_eq!(
            LogId::new(CANONICAL)
                .uuid()
                .map(|uuid| uuid.to_string())
                .as_deref(),
            Some(CANONICAL)
        );
        for text in [
            "",
            "a",
            &CANONICAL.to_uppercase(),
            &CANONICAL.replace('-', ""),
            &format!("{{{CANONICAL}}}"),
            &format!("urn:uuid:{CANONICAL}"),
            &format!("{CANONICAL} "),
            &CANONICAL.replacen('-', "0", 1),
            &CANONICAL.replacen('a', "-", 1),
            &CANONICAL.replacen('a', "g", 1),
        ] {
            assert_eq!(LogId::new(text), LogId::Text(text));
        }
    }

    proptest! {
        #[test]
        fn an_id_is_written_as_it_was(text in "[0-9a-fA-F-]{36}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|.*") {
            let id = LogId::new(&text);
            let written = id.uuid().map(|uuid| uuid.to_string());
            prop_assert_eq!(written.as_deref().or(id.text()), Some(text.as_str()));
        }
    }
}
