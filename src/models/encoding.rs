//! The names of character encodings.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::InvalidValue;

/// Names the character encoding of a text.
///
/// It is UTF-8, UTF-16 of either byte order, or one whose characters have one byte each. Names are those of the web
/// (<https://encoding.spec.whatwg.org/#names-and-labels>), so that `latin1` means windows-1252.
///
/// ```
/// use logstore::ingest::Encoding;
///
/// let encoding: Encoding = "latin1".parse()?;
/// assert_eq!(encoding.to_string(), "windows-1252");
/// assert!("gb18030".parse::<Encoding>().is_err());
/// # Ok::<(), logstore::InvalidValue>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoding(Kind);

/// Says how a character is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Utf8,
    Utf16Le,
    Utf16Be,
    /// Means one byte for each character.
    Single(&'static encoding_rs::Encoding),
}

impl Encoding {
    /// Names UTF-8.
    pub const UTF_8: Self = Self(Kind::Utf8);

    /// Names UTF-16 whose first byte of two is the lower one, as Windows writes it.
    pub const UTF_16LE: Self = Self(Kind::Utf16Le);

    /// Names UTF-16 whose first byte of two is the higher one.
    pub const UTF_16BE: Self = Self(Kind::Utf16Be);

    pub(crate) fn kind(self) -> Kind {
        self.0
    }

    fn name(self) -> &'static str {
        match self.0 {
            Kind::Utf8 => "UTF-8",
            Kind::Utf16Le => "UTF-16LE",
            Kind::Utf16Be => "UTF-16BE",
            Kind::Single(encoding) => encoding.name(),
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Encoding {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let named = encoding_rs::Encoding::for_label(text.as_bytes());
        let kind = match named {
            Some(named) if named == encoding_rs::UTF_8 => Kind::Utf8,
            Some(named) if named == encoding_rs::UTF_16LE => Kind::Utf16Le,
            Some(named) if named == encoding_rs::UTF_16BE => Kind::Utf16Be,
            Some(named) if named.is_single_byte() => Kind::Single(named),
            _ => {
                let known =
                    "use utf-8, utf-16le, utf-16be, or a name such as windows-1252, iso-8859-2 or koi8-r";
                return Err(InvalidValue::new("encoding", text, known));
            }
        };
        Ok(Self(kind))
    }
}

impl Serialize for Encoding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Encoding {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_have_the_names_of_the_web() {
        for (name, known) in [
            ("UTF8", "UTF-8"),
            ("utf-16", "UTF-16LE"),
            ("Latin1", "windows-1252"),
            ("cp1251", "windows-1251"),
        ] {
            assert_eq!(name.parse::<Encoding>().unwrap().to_string(), known);
        }
        let error = "shift_jis".parse::<Encoding>().unwrap_err().to_string();
        assert!(error.contains("utf-16le"), "{error}");
    }
}
