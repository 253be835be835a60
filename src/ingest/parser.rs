//! Makes a log of a line: finds its format, completes its time and fills its fields.

use std::borrow::Cow;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::formats::fields::{Fields, FoundTime, Outcome};
use super::formats::library::{Definition, Field, Library, LogSource, Reading, Structure};
use super::formats::{access_log, error_log, extract, json, syslog, text};
use super::input_format::InputFormat;
use super::options::IngestOptions;
use crate::models::{
    BorrowedLog, DateOrder, Ids, Json, Members, Origin, PRIVATE_NETWORKS, RawText, TIME_SOURCE, TimeContext,
    Zone, deciding_order, parse_stated_time,
};
use chrono::{DateTime, TimeDelta, Utc};
use ipnet::IpNet;

/// Names the key of [`LogEntry::metadata`](crate::LogEntry::metadata) that says why a line could not be parsed.
pub const PARSE_ERROR: &str = "parse_error";

/// Names the key of [`LogEntry::metadata`](crate::LogEntry::metadata) that lists the ambiguous fields of a line.
///
/// The line can be read to say different things for such a field. A client has made its text look like the daemon's.
/// Ambiguous fields stay empty.
pub const AMBIGUOUS: &str = "ambiguous";

/// Takes the logs, each while its line is in memory.
pub(super) type Take<'t> = dyn FnMut(BorrowedLog<'_>) + 't;

/// Holds a line, or a part of a line that is too long.
#[derive(Debug, Clone, Copy)]
pub(super) struct RawLine<'t> {
    pub(super) bytes: &'t [u8],
    /// Says which part of a long line it is, from 1; `None` for a whole line.
    pub(super) part: Option<u64>,
}

/// Turns the lines of one source into logs. It remembers the last time, for lines without a time.
pub(super) struct Parser {
    options: IngestOptions,
    file: Option<String>,
    modified: Option<DateTime<Utc>>,
    /// Holds the time when reading began.
    opened: DateTime<Utc>,
    last_time: LastTime,
    /// Holds the order of dates of numbers that both ends of the file have decided.
    decided_order: DateOrder,
    ids: Ids,
    library: &'static Library,
}

/// Holds the time of the last line that has one.
enum LastTime {
    Known(Option<DateTime<Utc>>),
    /// Means that the parser of the block before sends the time.
    Awaited(Receiver<Option<DateTime<Utc>>>),
}

/// Limits how much later than its file a line may be, as clocks and zones differ.
const TOLERANCE: TimeDelta = TimeDelta::days(1);

impl Parser {
    pub(super) fn new(
        options: &IngestOptions,
        file: Option<String>,
        modified: Option<DateTime<Utc>>,
        opened: DateTime<Utc>,
    ) -> Self {
        Self {
            options: options.clone(),
            file,
            modified,
            opened,
            last_time: LastTime::Known(None),
            decided_order: DateOrder::Auto,
            ids: Ids::many(),
            library: Library::built_in(),
        }
    }

    /// Lets the ends of a file decide whether day or month comes first in its dates.
    ///
    /// The order then does not depend on which of its lines are parsed first.
    pub(super) fn decide_order(&mut self, ends: [&[u8]; 2]) {
        let decides = |line: &&[u8]| deciding_order(line).is_some();
        let mut orders = Vec::new();
        let mut probe = Self::new(&self.options, None, self.modified, self.opened);
        let lines = ends.into_iter().flat_map(|end| end.split(|byte| *byte == b'\n'));
        for bytes in lines.filter(decides) {
            // Only the time of a line counts: a client may have written the rest of it.
            probe.line(&RawLine { bytes, part: None }, &mut |log| {
                let text = log.timestamp.as_deref().unwrap_or_default();
                orders.extend(deciding_order(text.as_bytes()));
            });
        }
        if let Some((first, others)) = orders.split_first()
            && others.iter().all(|other| other == first)
        {
            self.decided_order = *first;
        }
    }

    /// Returns a parser for the next block.
    ///
    /// This parser is then for the block after that, and waits for the time that is sent.
    pub(super) fn for_next(&mut self) -> (Self, SyncSender<Option<DateTime<Utc>>>) {
        let (sender, receiver) = sync_channel(1);
        let next = Self {
            options: self.options.clone(),
            file: self.file.clone(),
            last_time: std::mem::replace(&mut self.last_time, LastTime::Awaited(receiver)),
            ids: Ids::many(),
            ..*self
        };
        (next, sender)
    }

    /// Makes the ids of the logs that come say that they are read now.
    pub(super) fn start_now(&mut self) {
        self.ids.advance(crate::models::now());
    }

    /// Goes on after lines whose last time was this one.
    pub(super) fn resume(&mut self, last_time: Option<DateTime<Utc>>) {
        self.last_time = LastTime::Known(last_time);
    }

    /// Returns the time of the last line that has one.
    pub(super) fn last_time(&mut self) -> Option<DateTime<Utc>> {
        match &self.last_time {
            LastTime::Known(time) => *time,
            LastTime::Awaited(before) => {
                // A block that is never parsed sends no time to go on from.
                let time = before.recv().unwrap_or_default();
                self.last_time = LastTime::Known(time);
                time
            }
        }
    }

    pub(super) fn reads_json(&self) -> bool {
        matches!(self.options.format, None | Some(InputFormat::Json))
    }

    fn context(&self) -> TimeContext {
        let latest = || {
            let modified = self.modified.unwrap_or(self.opened);
            modified.checked_add_signed(TOLERANCE).unwrap_or(modified)
        };
        let reference = self.options.reference.unwrap_or_else(latest);
        let date_order = match self.options.date_order {
            DateOrder::Auto => self.decided_order,
            order => order,
        };
        TimeContext::new(reference)
            .with_zone(self.options.zone.unwrap_or(Zone::UTC))
            .with_date_order(date_order)
    }

    fn proxies(&self) -> &[IpNet] {
        let named = self.options.trusted_proxies.as_deref();
        named.unwrap_or(&PRIVATE_NETWORKS)
    }

    /// Parses a line, and gives its logs to `take`.
    pub(super) fn line(&mut self, line: &RawLine<'_>, take: &mut Take<'_>) {
        if !self.reads_json() || line.part.is_some() || !json::may_be_objects(line.bytes) {
            self.log_of_line(line, None, take);
        } else if let Err(error) = self.json(line.bytes, take) {
            self.broken_json(line, &error.to_string(), take);
        }
    }

    /// Gives the log of a line that should have been JSON to `take`.
    pub(super) fn broken_json(&mut self, line: &RawLine<'_>, reason: &str, take: &mut Take<'_>) {
        self.log_of_line(line, Some(format!("not valid JSON: {reason}")), take);
    }

    fn log_of_line(&mut self, line: &RawLine<'_>, problem: Option<String>, take: &mut Take<'_>) {
        let raw = RawText::of(line.bytes);
        let readable = readable(&raw.text);
        let (fields, error) = self.recognise(&readable);
        let mut log = self.log_of_fields(fields, &readable, &raw);
        if let Some(problem) = problem.or(error) {
            log.metadata_mut().insert(PARSE_ERROR, problem);
        }
        if let Some(part) = line.part {
            log.metadata_mut().insert("line_part", part);
        }
        take(log);
    }

    /// Gives the logs of a JSON text to `take`. The error says why the text is not JSON.
    pub(super) fn json(&mut self, bytes: &[u8], take: &mut Take<'_>) -> Result<(), serde_json::Error> {
        let line = RawText::of(bytes);
        let text = without_mark(&line.text);
        let objects = json::objects(text)?;
        // One object has the whole line for its text, with what surrounds it.
        let whole =
            objects.len() == 1 && !text.trim_start().starts_with('[') && objects[0].0.len() == text.len();
        for (text, object) in objects {
            match whole {
                true => self.log_of_json(object, &line, take),
                false => self.log_of_json(object, &text.into(), take),
            }
        }
        Ok(())
    }

    fn log_of_json(&mut self, object: Members<'_>, raw: &RawText<'_>, take: &mut Take<'_>) {
        let context = self.context();
        let reading = self.library.read_object(&object);
        let (mut log, mut has_time) = BorrowedLog::from_json(object, Origin::Source, &context, &mut self.ids);
        let time = reading.as_ref().and_then(|reading| reading.time.as_deref());
        if let Some((time, _)) = time.and_then(|text| parse_stated_time(text, &context)) {
            log.event_time = time;
            has_time = true;
        }
        let format = reading
            .as_ref()
            .map_or(InputFormat::Json.as_str(), Reading::format);
        if let Some(reading) = reading {
            apply(reading, &mut log);
        }
        if has_time {
            self.last_time = LastTime::Known(Some(log.event_time));
        } else {
            self.carry_time(&mut log);
        }
        // The fields borrow the message and the program.
        let (message, program) = (log.message.take(), log.appname.take());
        log.message = message.as_deref().map(Cow::Borrowed);
        log.appname = program.as_deref().map(Cow::Borrowed);
        log.keep_core_fields();
        let is_known = log.with_core_fields(|found| found.source_ip.is_some() || found.user.is_some());
        if let (false, Some(message)) = (is_known, &message) {
            let program = program.as_deref();
            let ambiguous = extract::extract(program, message, self.proxies(), log.normalized_mut());
            note_ambiguous(ambiguous, &mut log);
        }
        if let Some(proxies) = &self.options.trusted_proxies {
            log.follow_proxies(proxies);
        }
        self.finish(&mut log, format, raw);
        take(log);
    }

    /// Returns the fields of a line, and says why it does not have the format that it should have.
    fn recognise<'a>(&self, line: &'a str) -> (Fields<'a>, Option<String>) {
        let context = self.context();
        let formats: &[InputFormat] = match &self.options.format {
            None => &[
                InputFormat::Rfc5424,
                InputFormat::ErrorLog,
                InputFormat::AccessLog,
                InputFormat::Rfc3164,
            ],
            Some(format) => std::slice::from_ref(format),
        };
        for format in formats {
            let outcome = match format {
                InputFormat::Rfc5424 => syslog::rfc5424(line, &context),
                InputFormat::Rfc3164 => syslog::rfc3164(line, &context),
                InputFormat::AccessLog => access_log::access_log(line, &context, self.proxies()),
                InputFormat::ErrorLog => error_log::error_log(line, &context),
                InputFormat::Json | InputFormat::Text => Outcome::Other,
            };
            match outcome {
                Outcome::Fields(fields) => return (*fields, None),
                Outcome::Malformed(reason) => return (text::text(line, &context), Some(reason)),
                Outcome::Other => {}
            }
        }
        let unmet = self.options.format.filter(|format| *format != InputFormat::Text);
        let error = unmet.map(|format| format!("not in the format {format}"));
        if self.options.format.is_none()
            && let Some(reading) = self.library.read_text(None, line)
        {
            return (Fields::of_reading(line, reading), None);
        }
        (text::text(line, &context), error)
    }

    /// Lets the library read the message of a line whose header was read.
    fn read_message<'a>(&self, fields: &Fields<'a>, line: &str) -> Option<Reading<'a, 'a>> {
        let structure = match fields.source_type {
            "access_log" => Some(Structure::AccessLog),
            "error_log" => Some(Structure::ErrorLog),
            _ => None,
        };
        if let Some(structure) = structure {
            return self.library.of_structure(structure).map(Reading::new);
        }
        let message = fields
            .message
            .filter(|message| message.len() < line.len() || fields.appname.is_some())?;
        self.library.read_text(fields.appname, message)
    }

    fn log_of_fields<'a>(
        &'a mut self,
        mut fields: Fields<'a>,
        line: &str,
        raw: &'a RawText<'_>,
    ) -> BorrowedLog<'a> {
        let reading = fields.reading.take().or_else(|| self.read_message(&fields, line));
        let outer = fields.time.map(|found| self.complete(found));
        let inner = reading.as_ref().and_then(|reading| reading.time.as_deref());
        let time = self.time_of(outer, fields.timestamp, inner);
        let mut log = BorrowedLog::new(time.unwrap_or(self.opened), &mut self.ids);
        if time.is_some() {
            self.last_time = LastTime::Known(time);
        } else {
            self.carry_time(&mut log);
        }
        log.timestamp = fields.timestamp.map(Cow::Borrowed);
        log.hostname = fields.hostname.map(Cow::Borrowed);
        log.appname = fields.appname.map(Cow::Borrowed);
        log.message = fields.message.map(Cow::Borrowed);
        *log.normalized_mut() = fields.normalized;
        match fields.procid.map(|process| process.parse().map_err(|_| process)) {
            Some(Ok(process)) => log.procid = Some(process),
            Some(Err(name)) => log.normalized_mut().insert_beside("procid".into(), name.into()),
            None => {}
        }
        let mut ambiguous = fields.ambiguous;
        // The other formats may have a client's text anywhere in them.
        let is_of_daemon = matches!(fields.source_type, "syslog" | "text");
        let mut format = fields.source_type;
        if let Some(reading) = reading {
            format = reading.format();
            apply(reading, &mut log);
        } else if let Some(message) = fields.message.filter(|_| is_of_daemon) {
            let found = extract::extract(fields.appname, message, self.proxies(), log.normalized_mut());
            ambiguous.extend(found);
        }
        note_ambiguous(ambiguous, &mut log);
        self.finish(&mut log, format, raw);
        log
    }

    /// Chooses between the time of a header and that of the record in it.
    ///
    /// The time of the record counts where it states an instant, or where the header states none either. Where both
    /// agree to the second, the finer one is kept.
    fn time_of(
        &self,
        outer: Option<DateTime<Utc>>,
        outer_text: Option<&str>,
        inner: Option<&str>,
    ) -> Option<DateTime<Utc>> {
        let context = self.context();
        let Some((inner, is_instant)) = inner.and_then(|text| parse_stated_time(text, &context)) else {
            return outer;
        };
        let Some(outer) = outer else {
            return Some(inner);
        };
        if inner.timestamp() == outer.timestamp() {
            return Some(inner.max(outer));
        }
        let outer_states_instant = || {
            let stated = outer_text.and_then(|text| parse_stated_time(text, &context));
            stated.is_some_and(|(_, is_instant)| is_instant)
        };
        match is_instant || !outer_states_instant() {
            true => Some(inner),
            false => Some(outer),
        }
    }

    /// Gives a log the time of the one before it, else of its file, else of the reading.
    fn carry_time(&mut self, log: &mut BorrowedLog<'_>) {
        let (time, source) = match (self.last_time(), self.modified) {
            (Some(previous), _) => (previous, "previous_line"),
            (None, Some(modified)) => (crate::models::to_micros(modified), "file_modified"),
            (None, None) => (crate::models::to_micros(self.opened), "ingestion"),
        };
        log.event_time = time;
        log.metadata_mut().insert(TIME_SOURCE, source);
    }

    /// Completes a time of day by the day that puts it nearest to the line before.
    ///
    /// The first one in a file is not later than the file.
    fn complete(&mut self, found: FoundTime) -> DateTime<Utc> {
        if found.has_date {
            return found.time;
        }
        let latest = self.options.reference.or(self.modified).unwrap_or(self.opened);
        let day = TimeDelta::days(1);
        let mut time = found.time;
        match self.last_time() {
            Some(previous) => {
                const HALF_A_DAY: TimeDelta = TimeDelta::hours(12);
                let days = (previous - time).num_days();
                time = time.checked_add_signed(TimeDelta::days(days)).unwrap_or(time);
                if time < previous - HALF_A_DAY {
                    time += day;
                } else if time > previous + HALF_A_DAY {
                    time -= day;
                }
            }
            None if time > latest => time -= day,
            None => {}
        }
        time
    }

    /// Fills the fields that the source gives and the line does not, and keeps the line.
    fn finish<'a>(&'a self, log: &mut BorrowedLog<'a>, format: &'a str, raw: &'a RawText<'_>) {
        log.set_raw(raw);
        if log.host.is_none() {
            log.host.clone_from(&log.hostname);
        } else if log.hostname.is_none() {
            log.hostname.clone_from(&log.host);
        }
        log.file = self.file.as_deref().map(Cow::Borrowed);
        if let Some(name) = &self.options.source_type {
            if let Some(own) = log.source_type.replace(name.as_str().into()) {
                log.normalized_mut()
                    .insert_beside("source_type".into(), own.into());
            }
        } else if log.source_type.is_none() {
            log.source_type = Some(format.into());
        }
    }
}

/// Gives a log what a definition found in its text.
fn apply<'a>(mut reading: Reading<'a, 'a>, log: &mut BorrowedLog<'a>) {
    let mut header = Members::default();
    if let Some(host) = reading.take(Field::Host) {
        let outer = log.hostname.replace(host.clone());
        log.host = Some(host);
        keep_outer("hostname", outer, log.hostname.as_deref(), &mut header);
    }
    if let Some(program) = reading.take(Field::Program) {
        let outer = log.appname.replace(program);
        keep_outer("appname", outer, log.appname.as_deref(), &mut header);
    }
    if let Some(process) = reading.take(Field::Pid) {
        log.procid = process.parse().ok().or(log.procid);
    }
    if let Some(message) = reading.take(Field::Message) {
        log.message = Some(message);
    }
    if log.timestamp.is_none() {
        log.timestamp = reading.time;
    }
    let normalized = log.normalized_mut();
    for (name, value) in reading.members {
        normalized.insert_beside(name, value);
    }
    if !header.is_empty() {
        normalized.insert_beside("syslog".into(), Json::Object(header));
    }
    for (field, value) in reading.set {
        if let Some(value) = value {
            normalized.insert_if_missing(field.as_str(), value);
        }
    }
    note_format(reading.definition, log);
}

/// Keeps a value of the header that the record in it replaces by another one.
fn keep_outer<'a>(
    name: &'static str,
    outer: Option<Cow<'a, str>>,
    inner: Option<&str>,
    header: &mut Members<'a>,
) {
    if let Some(outer) = outer.filter(|outer| Some(&**outer) != inner) {
        header.insert(name, outer);
    }
}

/// Says of a log which definition read it, and what kind of source it has.
fn note_format<'a>(definition: &'a Definition, log: &mut BorrowedLog<'a>) {
    let metadata = log.metadata_mut();
    metadata.insert("format", definition.label());
    let LogSource {
        product,
        category,
        service,
    } = &definition.logsource;
    let mut source = Members::default();
    for (name, value) in [("product", product), ("category", category), ("service", service)] {
        if let Some(value) = value {
            source.insert(name, value.as_str());
        }
    }
    if !source.is_empty() {
        metadata.insert("logsource", Json::Object(source));
    }
}

/// Says which fields of a log stay empty because its line can be read in several ways.
fn note_ambiguous(names: Vec<&'static str>, log: &mut BorrowedLog<'_>) {
    if !names.is_empty() {
        let names = names.into_iter().map(Json::from);
        log.metadata_mut().insert(AMBIGUOUS, Json::Array(names.collect()));
    }
}

/// Fails if [`Parser::json`] does not take these bytes.
pub(super) fn check_json(bytes: &[u8]) -> Result<(), serde_json::Error> {
    json::objects(without_mark(&RawText::of(bytes).text)).map(drop)
}

/// Returns a text without byte order marks.
fn without_mark(text: &str) -> &str {
    text.trim_start_matches('\u{feff}')
}

/// Returns a line without its byte order mark, and without escape sequences, which colour terminals.
fn readable(line: &str) -> Cow<'_, str> {
    let line = line.strip_prefix('\u{feff}').unwrap_or(line);
    if !line.contains('\u{1b}') {
        return Cow::Borrowed(line);
    }
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        text.push_str(before);
        // A control sequence ends with its first letter (ECMA-48, section 5.4).
        rest = match after.find(|c: char| ('\u{40}'..='\u{7e}').contains(&c)) {
            Some(end) => &after[end + 1..],
            None => "",
        };
    }
    text.push_str(rest);
    Cow::Owned(text)
}
