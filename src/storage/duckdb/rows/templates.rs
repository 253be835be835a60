//! The templates of logs that are about to be stored: which of them repeat.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::template::repeated::{RepeatedTemplates, shape};
use super::template::{COLUMNS, Grain, Known, Split, Splitter, Texts, can_have_templates, number_text};
use crate::models::{BorrowedLog, CoreFields};
use crate::storage::duckdb::sql::log_id::LogId;
use crate::storage::duckdb::words::collected::{KeyCollector, LogParts};

/// Counts how often a template is met before it counts as one that repeats. The engine keeps a list of those.
pub(crate) const OFTEN: u8 = 8;

/// Counts the logs of which one may have a template that does not repeat as if it did. To keep very few apart would take
/// more room: the engine gives a compressed column a whole block.
const OF_WHICH_ONE: u64 = 256;

/// Limits the templates that are known. More would be those of texts that never repeat.
pub(crate) const MOST: usize = 1 << 16;

/// Finds the templates of logs.
#[derive(Debug, Default)]
pub(super) struct Templates {
    finder: Finder,
    numbers: [String; 3],
}

impl Templates {
    /// Returns the templates of a log, if it has any.
    pub(super) fn of<'l>(
        &'l mut self,
        log: &'l BorrowedLog<'_>,
        normalized: Option<&str>,
        found: &'l CoreFields<'_>,
    ) -> Option<Templated<'l>> {
        let integers = [
            log.procid,
            found.source_port.map(i64::from),
            found.dest_port.map(i64::from),
        ];
        for (text, number) in self.numbers.iter_mut().zip(integers) {
            number_text(number, text);
        }
        let [procid, source_port, dest_port] = &self.numbers;
        let id = LogId::new(&log.id);
        let columns = [
            log.appname.as_deref(),
            log.file.as_deref(),
            log.host.as_deref(),
            log.hostname.as_deref(),
            log.source_type.as_deref(),
            Some(procid.as_str()),
            found.source_ip.as_deref(),
            found.dest_ip.as_deref(),
            found.user,
            Some(source_port.as_str()),
            Some(dest_port.as_str()),
            id.text(),
        ];
        let known = Known {
            columns: columns.map(Option::unwrap_or_default),
            event_time: as_stored(log.event_time),
        };
        let texts = Texts {
            normalized,
            message: log.message.as_deref(),
            timestamp: log.timestamp.as_deref(),
            raw: log.raw.as_deref()?,
        };
        let (hash, do_repeat) = self.finder.find(&texts, &known)?;
        Some(Templated {
            split: self.finder.splitter.last(),
            do_repeat,
            hash,
            columns: known.columns,
        })
    }
}

/// Finds the templates of texts.
#[derive(Debug, Default)]
struct Finder {
    splitter: Splitter,
    repeated: RepeatedTemplates,
    met: Met,
    logs: u64,
    /// Counts the logs whose templates did not repeat, but are stored as if they did.
    excused: u64,
}

impl Finder {
    /// Leaves the templates of a log in the splitter. Returns their hash, and whether they count as ones that repeat;
    /// `None` if the log can have none.
    fn find(&mut self, texts: &Texts<'_>, known: &Known<'_>) -> Option<(u64, bool)> {
        self.logs += 1;
        if !can_have_templates(texts, known) {
            return None;
        }
        let shape = shape(texts);
        let repeated = self.repeated.split(shape, texts, known, &mut self.splitter);
        Some(match repeated {
            Some(hash) => (hash, true),
            None => self.split(shape, texts, known),
        })
    }

    fn split(&mut self, shape: u64, texts: &Texts<'_>, known: &Known<'_>) -> (u64, bool) {
        let fine = self.splitter.split(texts, known, Grain::Fine);
        let hash = fine.hash();
        if self.met.meet(hash) {
            self.repeated.add(shape, fine.together, hash);
            return (hash, true);
        }
        // Another template may repeat nevertheless.
        let hash = self.splitter.split(texts, known, Grain::Coarse).hash();
        let do_repeat = self.met.meet(hash);
        if !do_repeat && self.excused < self.logs / OF_WHICH_ONE {
            self.excused += 1;
            return (hash, true);
        }
        (hash, do_repeat)
    }
}

/// Returns a time as it is read again: a leap second is the one after it.
fn as_stored(time: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(time.timestamp_micros()).unwrap_or(time)
}

/// Counts how often templates were met, by their hashes.
#[derive(Debug, Default)]
struct Met(HashMap<u64, u8>);

impl Met {
    /// Counts a template, and returns whether it repeats.
    fn meet(&mut self, hash: u64) -> bool {
        let has_room = self.0.len() < MOST;
        match self.0.get_mut(&hash) {
            Some(met) => {
                *met = met.saturating_add(1);
                *met > OFTEN
            }
            None => {
                if has_room {
                    self.0.insert(hash, 1);
                }
                false
            }
        }
    }
}

/// Holds the templates of a log.
pub(super) struct Templated<'a> {
    pub(super) split: Split<'a>,
    /// Says whether they repeat.
    pub(super) do_repeat: bool,
    hash: u64,
    columns: [&'a str; COLUMNS],
}

impl<'a> Templated<'a> {
    /// Collects the keys of the log, and returns whether these are all.
    pub(super) fn add_keys(
        &self,
        found: &'a CoreFields<'_>,
        metadata: Option<&str>,
        keys: &mut KeyCollector,
    ) -> bool {
        let more = [found.process, found.action, found.outcome, found.level];
        let parts = LogParts {
            templates: self.split.together,
            hash: self.hash,
            variables: self.split.variables,
            identifiers: self.split.identifiers.unwrap_or_default(),
            columns: self
                .columns
                .into_iter()
                .chain(more.map(Option::unwrap_or_default)),
            times: self.split.times.with_placeholders(),
        };
        keys.add_parts(parts, metadata)
    }
}
