//! Leaves out logs that hold none of some words, before anything else of them is made.

use ::duckdb::arrow::array::{Array as _, AsArray as _, BooleanArray, StructArray};
use ::duckdb::arrow::compute;
use aho_corasick::AhoCorasick;

use super::columns::{LogColumn, READ};
use super::decode;
use crate::models::InvalidValue;
use crate::storage::duckdb::error;
use crate::storage::duckdb::sql::tokens::may_be_in_time;
use crate::storage::{Error, Result};

/// Lists the columns that hold all texts of a log. What a row layout or a template leaves out is in the others, and
/// starts and ends at the bounds of words.
const TEXTS: [LogColumn; 21] = [
    LogColumn::Layout,
    LogColumn::Normalized,
    LogColumn::Raw,
    LogColumn::Message,
    LogColumn::Metadata,
    LogColumn::Timestamp,
    LogColumn::Appname,
    LogColumn::File,
    LogColumn::Host,
    LogColumn::Hostname,
    LogColumn::SourceType,
    LogColumn::Template,
    LogColumn::Variables,
    LogColumn::Identifiers,
    LogColumn::NormalizedTemplate,
    LogColumn::MessageTemplate,
    LogColumn::TimestampTemplate,
    LogColumn::SourceIp,
    LogColumn::DestIp,
    LogColumn::User,
    LogColumn::Id,
];

/// Holds words of ASCII letters and digits.
pub(crate) struct Words {
    words: AhoCorasick,
    /// Says whether a word may be a number or a part of a time, which are in no text that is stored.
    may_be_numbers: bool,
}

impl Words {
    pub(crate) fn new(words: &[String]) -> Result<Self> {
        let is_word =
            |word: &&String| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if let Some(word) = words.iter().find(|word| !is_word(word)) {
            let reason = "a word consists of letters and digits of ASCII";
            return Err(InvalidValue::new("word", word, reason).into());
        }
        let automaton = AhoCorasick::builder().ascii_case_insensitive(true).build(words);
        Ok(Self {
            words: automaton
                .map_err(|error| Error::from(InvalidValue::new("words", "...", error.to_string())))?,
            may_be_numbers: words
                .iter()
                .any(|word| word.bytes().all(|byte| byte.is_ascii_digit()) || may_be_in_time(word)),
        })
    }

    /// Returns the logs of a chunk, with the columns of [`READ`], that may hold a word.
    pub(crate) fn keep(&self, chunk: &StructArray) -> Result<StructArray> {
        let mut kept = vec![self.may_be_numbers; chunk.len()];
        for column in TEXTS {
            let index = READ.iter().position(|read| *read == column);
            let index =
                index.ok_or_else(|| error::corrupt(format!("the column {} is not read", column.name())))?;
            for (kept, text) in kept.iter_mut().zip(decode::texts(chunk, index)?) {
                *kept = *kept || text.is_some_and(|text| self.may_be_in(text));
            }
        }
        let filtered = compute::filter(chunk, &BooleanArray::from(kept));
        let filtered =
            filtered.map_err(|error| error::corrupt(format!("logs cannot be left out: {error}")))?;
        Ok(filtered.as_struct().clone())
    }

    fn may_be_in(&self, text: &str) -> bool {
        /// Lists the letters whose lower case is, or begins with, a letter of ASCII.
        const FOLDED: [char; 2] = ['\u{130}', '\u{212a}'];
        self.words.is_match(text) || (!text.is_ascii() && text.contains(FOLDED))
    }
}
