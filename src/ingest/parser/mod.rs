//! Makes a log of a line: finds its format, completes its time and fills its fields.

mod draft;

use std::borrow::Cow;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::ingest::formats::continued::{self, Joint};
use crate::ingest::formats::envelope::{self, Delivery};
use crate::ingest::formats::fields::{Fields, FoundTime, Outcome};
use crate::ingest::formats::header::Header;
use crate::ingest::formats::library::Library;
use crate::ingest::formats::{
    access_log, error_log, event_xml, exported, json, mended, record_id, syslog, text,
};
use crate::ingest::input_format::InputFormat;
use crate::ingest::options::IngestOptions;
use crate::models::{
    BorrowedLog, ContinuationLines, DateOrder, Encoding, Ids, Json, LogEntry, Members, PARSE_ERROR,
    PRIVATE_NETWORKS, RawText, TIME_SOURCE, TimeContext, Zone, deciding_order,
};
use chrono::{DateTime, TimeDelta, Utc};
use ipnet::IpNet;

use draft::Draft;

/// Names the key of [`LogEntry::metadata`](crate::LogEntry::metadata) that lists the ambiguous fields of a line.
///
/// The line can be read to say different things for such a field. A client has made its text look like the daemon's.
/// Ambiguous fields stay empty.
pub const AMBIGUOUS: &str = "ambiguous";

/// Names the key of [`LogEntry::metadata`](crate::LogEntry::metadata) that holds what the records of a delivery share.
pub const ENVELOPE: &str = "envelope";

/// Names the key of [`LogEntry::metadata`](crate::LogEntry::metadata) that counts the NULs before a line.
///
/// They are not part of the line. They are left where a file was emptied under its writer, or lost in a crash.
pub const SKIPPED_NULS: &str = "skipped_nuls";

/// Names the key of [`LogEntry::metadata`](crate::LogEntry::metadata) for the kind of header that names the columns of a
/// line: `w3c`, `zeek` or `csv`.
///
/// Without the header, the line alone does not say what its columns are.
pub const HEADER: &str = "header";

/// Names the key of the metadata that says which part of a long line a log is, from 1.
pub(crate) const LINE_PART: &str = "line_part";

/// Names the member of `normalized` that holds what a record has in another way than its envelope.
pub(in crate::ingest) const OUTER: &str = "outer";

/// Takes the logs, each while its line is in memory.
pub(in crate::ingest) type Take<'t> = dyn FnMut(BorrowedLog<'_>) + 't;

/// Holds a line, or a part of a line that is too long.
#[derive(Debug, Clone, Copy)]
pub(in crate::ingest) struct RawLine<'t> {
    pub(in crate::ingest) bytes: &'t [u8],
    /// Says which part of a long line it is, from 1; `None` for a whole line.
    pub(in crate::ingest) part: Option<u64>,
}

impl<'t> RawLine<'t> {
    /// Makes a whole line.
    pub(in crate::ingest) fn whole(bytes: &'t [u8]) -> Self {
        Self { bytes, part: None }
    }
}

/// Turns the lines of one source into logs. It remembers the last time, for lines without a time.
pub(in crate::ingest) struct Parser {
    options: IngestOptions,
    file: Option<String>,
    modified: Option<DateTime<Utc>>,
    /// Holds the time when reading began.
    opened: DateTime<Utc>,
    last_time: LastTime,
    /// Holds the order of dates of numbers that both ends of the file have decided.
    decided_order: DateOrder,
    ids: Ids,
    formats: &'static Library,
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
    pub(in crate::ingest) fn new(
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
            formats: options.formats.0,
        }
    }

    /// Lets the ends of a file decide whether day or month comes first in its dates.
    ///
    /// The order then does not depend on which of its lines are parsed first.
    pub(in crate::ingest) fn decide_order(&mut self, ends: [&[u8]; 2]) {
        let decides = |line: &&[u8]| deciding_order(line).is_some();
        let mut orders = Vec::new();
        let mut probe = Self::new(&self.options, None, self.modified, self.opened);
        let lines = ends.into_iter().flat_map(|end| end.split(|byte| *byte == b'\n'));
        for bytes in lines.filter(decides) {
            // Only the time of a line counts: a client may have written the rest of it.
            probe.line(&RawLine::whole(bytes), &mut |log| {
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
    pub(in crate::ingest) fn for_next(&mut self) -> (Self, SyncSender<Option<DateTime<Utc>>>) {
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
    pub(in crate::ingest) fn start_now(&mut self) {
        self.ids.advance(crate::models::now());
    }

    /// Goes on after lines whose last time was this one.
    pub(in crate::ingest) fn resume(&mut self, last_time: Option<DateTime<Utc>>) {
        self.last_time = LastTime::Known(last_time);
    }

    /// Returns the time of the last line that has one.
    pub(in crate::ingest) fn last_time(&mut self) -> Option<DateTime<Utc>> {
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

    /// Returns the encoding that the options name.
    pub(in crate::ingest) fn encoding(&self) -> Option<Encoding> {
        self.options.encoding
    }

    /// Returns whether lines may be Windows events.
    pub(in crate::ingest) fn reads_events(&self) -> bool {
        self.options.format.is_none()
    }

    /// Returns whether lines may name the columns of the lines after them.
    pub(in crate::ingest) fn reads_headers(&self) -> bool {
        matches!(self.options.format, None | Some(InputFormat::Export))
    }

    /// Returns whether lines that continue an event are joined with it.
    pub(in crate::ingest) fn joins_lines(&self) -> bool {
        self.options.format.is_none() && self.options.continuation_lines == ContinuationLines::Join
    }

    pub(in crate::ingest) fn reads_json(&self) -> bool {
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
    pub(in crate::ingest) fn line(&mut self, line: &RawLine<'_>, take: &mut Take<'_>) {
        if self.options.format == Some(InputFormat::Export) {
            self.exported(line, take);
        } else if line.part.is_some() {
            self.part_of_line(line, take);
        } else if !self.reads_json() || !json::may_be_objects(line.bytes) {
            self.log_of_line(line, None, take);
        } else if let Err(error) = self.json(line.bytes, take) {
            self.broken_json(line, &error.to_string(), take);
        }
    }

    /// Gives the log of a part of a long line to `take`. The first part of an object is read as far as it goes.
    fn part_of_line(&mut self, line: &RawLine<'_>, take: &mut Take<'_>) {
        let begins_object = line.part == Some(1) && self.reads_json() && json::may_be_object(line.bytes);
        let read = begins_object.then(|| {
            self.json(line.bytes, &mut |mut log| {
                log.note(LINE_PART, 1_u64);
                take(log);
            })
        });
        if !matches!(read, Some(Ok(()))) {
            self.log_of_line(line, None, take);
        }
    }

    /// Gives the log of a line that should have been JSON to `take`.
    pub(in crate::ingest) fn broken_json(&mut self, line: &RawLine<'_>, reason: &str, take: &mut Take<'_>) {
        self.broken(line, &format!("not valid JSON: {reason}"), take);
    }

    /// Gives the log of a line that is not what it seems to be to `take`.
    pub(in crate::ingest) fn broken(&mut self, line: &RawLine<'_>, problem: &str, take: &mut Take<'_>) {
        self.log_of_line(line, Some(problem.to_owned()), take);
    }

    /// Gives the log of an event over several lines to `take`.
    pub(in crate::ingest) fn joined(&mut self, bytes: &[u8], joint: Joint, take: &mut Take<'_>) {
        let raw = RawText::of(bytes);
        match joint {
            Joint::Lines => self.log_of_lines(&raw, take),
            Joint::Xml | Joint::Record => self.log_of_text(&raw.text, &raw, None, take),
            Joint::Container => match continued::whole_container_line(bytes) {
                Some(whole) => self.log_of_text(&String::from_utf8_lossy(&whole), &raw, None, take),
                None => self.log_of_lines(&raw, take),
            },
            Joint::Docker => match whole_docker_line(&raw.text) {
                Some(members) => self.log_of_json(members, &raw, None, take),
                None => self.log_of_lines(&raw, take),
            },
        }
    }

    /// Gives the log of lines to `take`. The first one says what the event is, and the others belong to its message.
    fn log_of_lines(&mut self, raw: &RawText<'_>, take: &mut Take<'_>) {
        let (first, others) = raw.text.split_once('\n').unwrap_or((&raw.text, ""));
        self.log_of_text(first, raw, None, &mut |mut log| {
            if let Some(message) = &log.message {
                log.message = Some(format!("{message}\n{others}").into());
            }
            take(log);
        });
    }

    /// Returns whether a line has a time of its own.
    pub(in crate::ingest) fn has_own_time(&self, line: &[u8]) -> bool {
        let mut probe = Self::new(&self.options, None, self.modified, self.opened);
        let mut has_time = false;
        probe.line(&RawLine::whole(line), &mut |log| {
            has_time = !log.has_metadata(TIME_SOURCE);
        });
        has_time
    }

    /// Gives the log of a Windows event as XML to `take`.
    pub(in crate::ingest) fn event(&mut self, line: &RawLine<'_>, take: &mut Take<'_>) {
        let raw = RawText::of(line.bytes);
        match event_xml::read(&raw.text) {
            Some(members) => self.log_of_members(members, "windows_event", &raw, None, take),
            None => self.broken(line, "not a whole Windows event", take),
        }
    }

    /// Gives the log that an export has written on a line to `take`.
    fn exported(&mut self, line: &RawLine<'_>, take: &mut Take<'_>) {
        let text = RawText::of(line.bytes).text;
        let text = without_mark(&text);
        if exported::is_csv_header(text) {
            return;
        }
        match exported::of_json(text) {
            Some(log) => {
                self.take_exported(&log, take);
            }
            None => self.broken(line, "not a log that logstore has exported", take),
        }
    }

    fn take_exported(&mut self, log: &LogEntry, take: &mut Take<'_>) -> bool {
        self.last_time = LastTime::Known(Some(log.event_time));
        take(BorrowedLog::of_entry(log));
        true
    }

    fn log_of_line(&mut self, line: &RawLine<'_>, problem: Option<String>, take: &mut Take<'_>) {
        let raw = RawText::of(line.bytes);
        match line.part {
            None => self.log_of_text(&raw.text, &raw, problem, take),
            Some(part) => self.log_of_text(&raw.text, &raw, problem, &mut |mut log| {
                log.metadata_mut().insert(LINE_PART, part);
                take(log);
            }),
        }
    }

    /// Gives the log of a line, whose text says the same as `raw`, to `take`.
    fn log_of_text(&mut self, text: &str, raw: &RawText<'_>, problem: Option<String>, take: &mut Take<'_>) {
        let readable = readable(text);
        let (fields, error) = self.recognise(&readable);
        let source_type = fields.source_type;
        let draft = self.draft_of_line(fields, &readable);
        let mut log = self.dated(draft);
        self.finish(&mut log, source_type, raw);
        if let Some(problem) = problem.or(error) {
            log.note(PARSE_ERROR, problem);
        }
        if let Some(id) = self.id_of(log.normalized()) {
            log.id = id.into();
        }
        take(log);
    }

    /// Gives the logs of a JSON text to `take`. The error says why the text is not JSON.
    pub(in crate::ingest) fn json(
        &mut self,
        bytes: &[u8],
        take: &mut Take<'_>,
    ) -> Result<(), serde_json::Error> {
        let line = RawText::of(bytes);
        let text = without_mark(&line.text);
        let error = match json::objects(text) {
            Ok(objects) => {
                self.objects(objects, &line, &|part, _| line.part(part), take);
                return Ok(());
            }
            Err(error) => error,
        };
        let Some(mended) = mended::mend(text) else {
            return Err(error);
        };
        let Ok(objects) = json::mended_objects(&mended) else {
            return Err(error);
        };
        let take = &mut |mut log: BorrowedLog<'_>| {
            if let Some(problem) = &mended.problem {
                log.note(PARSE_ERROR, problem.clone());
            }
            take(log);
        };
        self.objects(
            objects,
            &line,
            &|part, is_last| line.part(mended.original_of(part, is_last)),
            take,
        );
        Ok(())
    }

    /// Gives the logs of the objects of a line to `take`. `raw` returns what an object, maybe the last, is in the line.
    fn objects<'a>(
        &mut self,
        objects: Vec<json::Element<'a>>,
        line: &RawText<'_>,
        raw: &dyn Fn(&'a str, bool) -> RawText<'a>,
        take: &mut Take<'_>,
    ) {
        // One object has the whole line for its text, with what surrounds it.
        let whole = objects.len() == 1 && !without_mark(&line.text).trim_start().starts_with('[');
        let mut objects = objects.into_iter();
        while let Some(object) = objects.next() {
            let is_last = objects.len() == 0;
            match envelope::delivery(object) {
                Ok(delivery) => self.delivery(delivery, &|text, last| raw(text, last && is_last), take),
                Err((_, object)) if whole => self.log_of_json(object, line, None, take),
                Err((text, object)) => self.log_of_json(object, &raw(text, is_last), None, take),
            }
        }
    }

    /// Gives the log of a line with columns to `take`. Returns `false` if the line does not fit the header.
    pub(in crate::ingest) fn columns(&mut self, bytes: &[u8], header: &Header, take: &mut Take<'_>) -> bool {
        let line = RawText::of(bytes);
        if self.options.format == Some(InputFormat::Export) {
            let log = header.columns(&line.text).and_then(exported::of_columns);
            return log.is_some_and(|log| self.take_exported(&log, take));
        }
        let Some(members) = header.members(&line.text) else {
            return false;
        };
        self.log_of_columns(members, header.format(), &line, take);
        true
    }

    /// Gives the log of a stored line to `take`, by the members that its columns have made.
    pub(in crate::ingest) fn stored_columns(
        &mut self,
        members: Members<'_>,
        format: &'static str,
        line: &[u8],
        take: &mut Take<'_>,
    ) {
        self.log_of_columns(members, format, &RawText::of(line), take);
    }

    fn log_of_columns(
        &mut self,
        members: Members<'_>,
        format: &'static str,
        line: &RawText<'_>,
        take: &mut Take<'_>,
    ) {
        self.log_of_members(members, format, line, None, &mut |mut log| {
            log.note(HEADER, format);
            take(log);
        });
    }

    fn delivery<'a>(
        &mut self,
        delivery: Delivery<'a>,
        raw: &dyn Fn(&'a str, bool) -> RawText<'a>,
        take: &mut Take<'_>,
    ) {
        let mut records = delivery.records.into_iter();
        while let Some(record) = records.next() {
            let text = raw(record.text, records.len() == 0);
            self.log_of_json(record.members, &text, Some(record.shared), take);
        }
    }

    fn log_of_json(
        &mut self,
        object: Members<'_>,
        raw: &RawText<'_>,
        shared: Option<Members<'_>>,
        take: &mut Take<'_>,
    ) {
        self.log_of_members(object, InputFormat::Json.as_str(), raw, shared, take);
    }

    /// Gives the log of members, which a record in this format has, to `take`.
    fn log_of_members(
        &mut self,
        object: Members<'_>,
        format: &'static str,
        raw: &RawText<'_>,
        shared: Option<Members<'_>>,
        take: &mut Take<'_>,
    ) {
        let id = self.id_of(&object);
        let levels = envelope::unwrap(object);
        let line = envelope::object_in_line(&levels);
        let inner = line
            .as_ref()
            .and_then(|line| Some(((line.level, line.name), json::object(&line.text)?)));
        let mut draft = match inner {
            Some((place, inner)) => self.draft_with_line(levels, place, inner),
            None => self.draft_of_levels(levels),
        };
        if let Some(shared) = shared.filter(|shared| !shared.is_empty()) {
            draft.log.note(ENVELOPE, Json::Object(shared));
        }
        // The fields borrow the message and the program.
        let (message, program) = (draft.log.message.take(), draft.log.appname.take());
        draft.log.message = message.as_deref().map(Cow::Borrowed);
        draft.log.appname = program.as_deref().map(Cow::Borrowed);
        let draft = match message.as_deref() {
            Some(message) => self.with_message(draft, program.as_deref(), message),
            None => draft,
        };
        let mut log = self.dated(draft);
        if let Some(proxies) = &self.options.trusted_proxies {
            log.follow_proxies(proxies);
        }
        self.finish(&mut log, format, raw);
        if let Some(id) = id.or_else(|| self.id_of(log.normalized())) {
            log.id = id.into();
        }
        take(log);
    }

    /// Returns the id that a log has of its source, if the options name a field of it.
    fn id_of(&self, members: &Members<'_>) -> Option<String> {
        let names = self.options.id_field.as_deref()?;
        record_id::of_fields(names, self.options.source_type.as_deref(), members)
    }

    /// Returns the fields of a line, and says why it does not have the format that it should have.
    fn recognise<'a>(&self, line: &'a str) -> (Fields<'a>, Option<String>) {
        let context = self.context();
        if self.options.format.is_none()
            && let Some(container) = envelope::container_line(line)
        {
            let (inner, _) = self.recognise(container.line);
            return (inner.in_container(&container, &context), None);
        }
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
                InputFormat::Json | InputFormat::Text | InputFormat::Export => Outcome::Other,
            };
            match outcome {
                Outcome::Fields(mut fields) => {
                    let problem = fields.problem.take();
                    return (*fields, problem);
                }
                Outcome::Malformed(reason) => return (text::text(line, &context), Some(reason)),
                Outcome::Other => {}
            }
        }
        let unmet = self.options.format.filter(|format| *format != InputFormat::Text);
        let error = unmet.map(|format| format!("not in the format {format}"));
        if self.options.format.is_none()
            && let Some(reading) = self.formats.read_text(None, line)
        {
            return (Fields::of_reading(line, reading), None);
        }
        (text::text(line, &context), error)
    }

    /// Sets the fields that definitions set, and the time: that of the text, else that of the log before.
    fn dated<'a>(&mut self, draft: Draft<'a>) -> BorrowedLog<'a> {
        let Draft { mut log, time, set } = draft;
        for (field, value) in set {
            log.set_field(field, value);
        }
        match time {
            Some(time) => {
                log.event_time = time;
                self.last_time = LastTime::Known(Some(time));
            }
            None => self.carry_time(&mut log),
        }
        log
    }

    /// Gives a log the time of the one before it, else of its file, else of the reading.
    fn carry_time(&mut self, log: &mut BorrowedLog<'_>) {
        let (time, source) = match (self.last_time(), self.modified) {
            (Some(previous), _) => (previous, "previous_line"),
            (None, Some(modified)) => (crate::models::to_micros(modified), "file_modified"),
            (None, None) => (crate::models::to_micros(self.opened), "ingestion"),
        };
        log.event_time = time;
        log.note(TIME_SOURCE, source);
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

/// Says which fields of a log stay empty because its line can be read in several ways.
fn note_ambiguous(names: Vec<&'static str>, log: &mut BorrowedLog<'_>) {
    if !names.is_empty() {
        let names = names.into_iter().map(Json::from);
        log.note(AMBIGUOUS, Json::Array(names.collect()));
    }
}

/// Returns the object of a line that Docker has cut into these.
fn whole_docker_line(lines: &str) -> Option<Members<'_>> {
    let mut parts = lines.split('\n').map(json::object);
    let mut whole = parts.next()??.members;
    let mut text = whole.get("log")?.as_str()?.to_owned();
    for part in parts {
        text.push_str(part?.members.get("log")?.as_str()?);
    }
    whole.insert("log", text);
    Some(whole)
}

/// Fails if [`Parser::json`] does not take these bytes as a whole.
pub(in crate::ingest) fn check_json(bytes: &[u8]) -> Result<(), serde_json::Error> {
    let text = RawText::of(bytes).text;
    let text = without_mark(&text);
    match json::objects(text) {
        Ok(_) => Ok(()),
        Err(_) if mended::mend(text).is_some_and(|mended| !mended.is_cut) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Returns whether these bytes are the beginning of an object.
pub(in crate::ingest) fn is_cut_json(bytes: &[u8]) -> bool {
    let text = RawText::of(bytes).text;
    let text = without_mark(&text);
    match json::objects(text) {
        Ok(_) => false,
        Err(error) => error.is_eof() || mended::mend(text).is_some_and(|mended| mended.is_cut),
    }
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
