//! Logs in the making: a record, the envelope around it, and what a definition says of both, become one log.

use std::borrow::Cow;

use chrono::{DateTime, Utc};

use super::{OUTER, Parser, note_ambiguous};
use crate::ingest::formats::extract::Extracted;
use crate::ingest::formats::fields::{Fields, Outcome};
use crate::ingest::formats::library::{Definition, Field, Reading, Structure};
use crate::ingest::formats::{envelope, error_log, extract, json};
use crate::models::{
    BorrowedLog, FormatNote, Json, Members, Origin, PARSE_ERROR, Role, TIME_SOURCE, TimeContext,
    parse_stated_time, parse_time,
};

/// Holds a log, and the time that its text gives. The text is the log's `timestamp`.
pub(super) struct Draft<'a> {
    pub(super) log: BorrowedLog<'a>,
    pub(super) time: Option<DateTime<Utc>>,
    /// Holds the fields that definitions set, whatever the names of members give.
    pub(super) set: Vec<(Role, Option<Cow<'a, str>>)>,
}

/// Holds a time and its text.
type Stated<'t> = (DateTime<Utc>, Option<&'t str>);

/// Returns whether the time of the envelope of a record counts, and not that of the record.
///
/// The time of the record counts where it states an instant, or where the envelope states none either. Where both agree
/// to the second, the finer one is kept.
fn is_outer_time(inner: Option<Stated<'_>>, outer: Option<Stated<'_>>, context: &TimeContext) -> bool {
    let (Some((inner, inner_text)), Some((outer, outer_text))) = (inner, outer) else {
        return inner.is_none();
    };
    if inner.timestamp() == outer.timestamp() {
        return inner.timestamp_subsec_nanos() == 0;
    }
    let states_instant = |text: Option<&str>| {
        let stated = text.and_then(|text| parse_stated_time(text, context));
        stated.is_some_and(|(_, states_instant)| states_instant)
    };
    !states_instant(inner_text) && states_instant(outer_text)
}

impl Parser {
    /// Makes a log of an object, and of the records that it wraps.
    fn draft_of_object<'a>(&mut self, object: Members<'a>) -> Draft<'a> {
        self.draft_of_levels(envelope::unwrap(object))
    }

    /// Makes a log of objects, each in the next one, and of an object in the line that a member of one holds.
    pub(super) fn draft_with_line<'a>(
        &mut self,
        mut levels: Vec<Members<'a>>,
        (level, name): (usize, &str),
        line: json::Object<'a>,
    ) -> Draft<'a> {
        if let Some(object) = levels.get_mut(level) {
            let place = object.place_of(name);
            object.remove(|at| Some(at) == place);
        }
        levels.splice(0..0, envelope::unwrap(line.members));
        let mut whole = self.draft_of_levels(levels);
        if let Some(problem) = line.problem {
            whole.log.note(PARSE_ERROR, problem);
        }
        whole
    }

    /// Makes a log of objects, each in the next one.
    pub(super) fn draft_of_levels<'a>(&mut self, mut levels: Vec<Members<'a>>) -> Draft<'a> {
        let outmost = levels.pop().unwrap_or_default();
        let mut whole = self.draft_of_members(outmost);
        while let Some(level) = levels.pop() {
            let inner = self.draft_of_members(level);
            whole = self.combine(inner, whole);
        }
        whole
    }

    fn draft_of_members<'a>(&mut self, members: Members<'a>) -> Draft<'a> {
        let reading = self.formats.read_object(&members);
        self.draft_of(members, reading)
    }

    /// Makes a log of members, and of what a definition says of them.
    fn draft_of<'a>(&mut self, members: Members<'a>, reading: Option<Reading<'a, 'a>>) -> Draft<'a> {
        let context = self.context();
        let (mut log, has_time) = BorrowedLog::from_json(members, Origin::Source, &context, &mut self.ids);
        let mut time = has_time.then_some(log.event_time);
        let mut set = Vec::new();
        if let Some(reading) = reading {
            let text = reading.time.clone();
            if let Some(stated) = text.as_deref().and_then(|text| parse_time(text, &context)) {
                time = Some(stated);
                log.timestamp = text;
            }
            set = apply(reading, &mut log);
        }
        Draft { log, time, set }
    }

    /// Makes a log of a line, and of what its message holds.
    pub(super) fn draft_of_line<'a>(&mut self, mut fields: Fields<'a>, line: &str) -> Draft<'a> {
        let read = fields.reading.take();
        let (source_type, message, program) = (fields.source_type, fields.message, fields.appname);
        let ambiguous = std::mem::take(&mut fields.ambiguous);
        let mut outer = self.draft_of_fields(fields);
        note_ambiguous(ambiguous, &mut outer.log);
        let structure = match source_type {
            "access_log" => Some(Structure::AccessLog),
            "error_log" => Some(Structure::ErrorLog),
            _ => None,
        };
        if let Some(structure) = structure {
            if let Some(definition) = self.formats.of_structure(structure) {
                note_format(definition, &definition.note, &mut outer.log);
            }
            return outer;
        }
        match (read, message) {
            (Some(reading), _) => self.with_reading(outer, reading),
            // The library has seen the line as a whole.
            (None, Some(message)) if message.len() < line.len() || program.is_some() => {
                self.with_text(outer, program, message)
            }
            (None, Some(message)) => match json::object_after_header(message) {
                Some(object) => self.with_object(outer, object),
                None => self.with_extract(outer, program, message),
            },
            (None, None) => outer,
        }
    }

    fn draft_of_fields<'a>(&mut self, fields: Fields<'a>) -> Draft<'a> {
        let context = self.context();
        let own = fields.time.map(|found| self.complete(found));
        let outer = fields.outer_time.map(|(time, text)| (time, Some(text)));
        let is_outer = is_outer_time(own.map(|time| (time, fields.timestamp)), outer, &context);
        let (time, timestamp) = match outer {
            Some((time, text)) if is_outer => (Some(time), text),
            _ => (own, fields.timestamp),
        };
        let mut log = BorrowedLog::new(context.reference, &mut self.ids);
        log.timestamp = timestamp.map(Cow::Borrowed);
        log.hostname = fields.hostname.map(Cow::Borrowed);
        log.appname = fields.appname.map(Cow::Borrowed);
        let message = fields.message.filter(|_| !fields.is_event_in_header);
        log.message = message.map(Cow::Borrowed);
        *log.normalized_mut() = fields.normalized;
        match fields.procid.map(|process| process.parse().map_err(|_| process)) {
            Some(Ok(process)) => log.procid = Some(process),
            Some(Err(name)) => log.normalized_mut().insert_beside("procid".into(), name.into()),
            None => {}
        }
        Draft {
            log,
            time,
            set: Vec::new(),
        }
    }

    /// Adds what the message of a line holds: an object, or a text that a definition reads.
    fn with_text<'a>(&mut self, outer: Draft<'a>, program: Option<&'a str>, message: &'a str) -> Draft<'a> {
        // In the messages of a known program, an object after some words may be the text of a client.
        let is_known = || program.is_some_and(|program| self.formats.knows(program));
        if let Some(object) = json::object_after_header(message)
            && (json::begins_with_object(message) || !is_known())
        {
            return self.with_object(outer, object);
        }
        if let Some(fields) = self.relayed_error_log(program, message) {
            let inner = self.draft_of_line(fields, message);
            return self.combine(inner, outer);
        }
        match self.formats.read_text(program, message) {
            Some(reading) => self.with_reading(outer, reading),
            None => self.with_extract(outer, program, message),
        }
    }

    /// Adds an object, and says which part of it could not be read.
    fn with_object<'a>(&mut self, outer: Draft<'a>, object: json::Object<'a>) -> Draft<'a> {
        let mut inner = self.draft_of_object(object.members);
        if let Some(problem) = object.problem {
            inner.log.note(PARSE_ERROR, problem);
        }
        self.combine(inner, outer)
    }

    /// Reads a line of nginx's error log that nginx sent to syslog.
    fn relayed_error_log<'a>(&self, program: Option<&str>, message: &'a str) -> Option<Fields<'a>> {
        if program != Some("nginx") {
            return None;
        }
        match error_log::error_log(message, &self.context()) {
            Outcome::Fields(fields) => Some(*fields),
            Outcome::Malformed(_) | Outcome::Other => None,
        }
    }

    /// Adds what the message of a daemon says that this crate takes apart by hand, else pairs of any program.
    fn with_extract<'a>(
        &mut self,
        mut draft: Draft<'a>,
        program: Option<&'a str>,
        message: &'a str,
    ) -> Draft<'a> {
        let normalized = draft.log.normalized_mut();
        let extracted = extract::extract(program, message, self.proxies(), normalized);
        if extracted.is_none()
            && let Some(mut reading) = self.formats.read_other(program, message)
        {
            // In a message, `host=` is mostly a peer or the host of a request. A header that names the program as well is
            // of the host itself, and not of a relay.
            let has = |name| reading.members.get(name).is_some();
            let is_peer = has("host") && !has("hostname") && !has("devname");
            if draft.log.hostname.is_some() && (program.is_some() || is_peer) {
                reading.put(Field::Host, None);
            }
            return self.with_reading(draft, reading);
        }
        let Extracted { format, ambiguous } = extracted.unwrap_or_default();
        if let Some(definition) = self.formats.of_message(format, program) {
            note_format(definition, &definition.note, &mut draft.log);
        }
        if !ambiguous.is_empty() {
            note_ambiguous(ambiguous, &mut draft.log);
        }
        draft
    }

    fn with_reading<'a>(&mut self, outer: Draft<'a>, mut reading: Reading<'a, 'a>) -> Draft<'a> {
        let members = std::mem::take(&mut reading.members);
        let problem = reading.problem.take();
        let is_of_header = is_program_of_header(&reading, &members);
        let mut inner = self.draft_of(members, Some(reading));
        if let Some(problem) = problem {
            inner.log.note(PARSE_ERROR, problem);
        }
        if is_of_header && outer.log.appname.is_some() {
            inner.log.appname = None;
        }
        self.combine(inner, outer)
    }

    /// Makes one log of a record and its envelope.
    fn combine<'a>(&self, inner: Draft<'a>, outer: Draft<'a>) -> Draft<'a> {
        let is_outer = is_outer_time(
            inner.time.map(|time| (time, inner.log.timestamp.as_deref())),
            outer.time.map(|time| (time, outer.log.timestamp.as_deref())),
            &self.context(),
        );
        let mut set = inner.set;
        let of_outer = outer.set.into_iter();
        set.extend(
            of_outer
                .filter(|(field, _)| set.iter().all(|(held, _)| held != field))
                .collect::<Vec<_>>(),
        );
        Draft {
            time: if is_outer { outer.time } else { inner.time },
            log: merged(inner.log, outer.log, is_outer),
            set,
        }
    }

    /// Adds what the message of an object holds, unless the object says as much itself.
    pub(super) fn with_message<'a>(
        &mut self,
        mut draft: Draft<'a>,
        program: Option<&'a str>,
        message: &'a str,
    ) -> Draft<'a> {
        draft.log.keep_core_fields();
        let is_known = draft
            .log
            .with_core_fields(|found| found.source_ip.is_some() || found.user.is_some());
        let is_told = |(field, value): &(Role, Option<_>)| {
            matches!(field, Role::SourceIp | Role::User) && value.is_some()
        };
        if is_known || draft.set.iter().any(is_told) {
            return draft;
        }
        let message = message.trim_end_matches(['\n', '\r']);
        // A program that is named has written no header.
        if program.is_some() {
            return self.with_text(draft, program, message);
        }
        let (fields, _) = self.recognise(message);
        if fields.source_type == "text" && fields.reading.is_none() {
            return self.with_extract(draft, program, message);
        }
        let inner = self.draft_of_line(fields, message);
        self.combine(inner, draft)
    }
}

/// Makes one log of a record and its envelope. The record's own fields count; those of the envelope stay as members.
fn merged<'a>(inner: BorrowedLog<'a>, outer: BorrowedLog<'a>, is_outer_time: bool) -> BorrowedLog<'a> {
    let (mut log, mut outer) = (inner, outer);
    let mut replaced = Members::default();
    for (name, own, other) in [
        ("host", &mut log.host, outer.host.take()),
        ("hostname", &mut log.hostname, outer.hostname.take()),
        ("appname", &mut log.appname, outer.appname.take()),
        ("message", &mut log.message, outer.message.take()),
        ("source_type", &mut log.source_type, outer.source_type.take()),
    ] {
        match (own.as_ref(), other) {
            (None, other) => *own = other,
            (Some(own), Some(other)) if *own != other && name != "message" => replaced.insert(name, other),
            _ => {}
        }
    }
    // A host of the record is the host of the log, under both names.
    if replaced.get("host").is_some() && log.hostname.as_ref() != log.host.as_ref() {
        log.hostname.clone_from(&log.host);
    } else if replaced.get("hostname").is_some() && log.host.is_none() {
        log.host.clone_from(&log.hostname);
    }
    log.procid = log.procid.or(outer.procid);
    let timestamp = outer.timestamp.take();
    if is_outer_time || log.timestamp.is_none() {
        log.timestamp = timestamp;
    }
    let members = std::mem::take(outer.normalized_mut());
    let normalized = log.normalized_mut();
    for (name, value) in members {
        normalized.insert_beside(name, value);
    }
    if !replaced.is_empty() {
        normalized.insert_beside(OUTER.into(), Json::Object(replaced));
    }
    let metadata = std::mem::take(outer.metadata_mut());
    for (name, value) in metadata {
        if &*name != TIME_SOURCE {
            log.metadata_mut().insert_if_missing(name, value);
        }
    }
    log
}

/// Returns whether the program of a header wrote a text. A service or an application in the text is that of a
/// connection, unless the definition or the text says that it is the program.
fn is_program_of_header(reading: &Reading<'_, '_>, members: &Members<'_>) -> bool {
    let is_program = |(field, value): &(Field, Option<_>)| *field == Field::Program && value.is_some();
    let is_named = ["appname", "program"]
        .iter()
        .any(|name| members.get(name).is_some());
    reading.definition.structure != Structure::Json && !is_named && !reading.set.iter().any(is_program)
}

/// Gives a log what a definition found in its text.
fn apply<'a>(mut reading: Reading<'a, 'a>, log: &mut BorrowedLog<'a>) -> Vec<(Role, Option<Cow<'a, str>>)> {
    let mut replaced = Members::default();
    // A definition may say that the host of a record is another thing.
    let is_no_host = |(field, value): &(Field, Option<_>)| *field == Field::Host && value.is_none();
    if reading.set.iter().any(is_no_host) {
        keep_replaced("hostname", log.hostname.take(), "", &mut replaced);
        keep_replaced("host", log.host.take(), "", &mut replaced);
    }
    if let Some(host) = reading.take_said(Field::Host) {
        keep_replaced(
            "hostname",
            log.hostname.replace(host.clone()),
            &host,
            &mut replaced,
        );
        keep_replaced("host", log.host.replace(host.clone()), &host, &mut replaced);
    }
    if let Some(program) = reading.take_said(Field::Program) {
        let old = log.appname.replace(program.clone());
        keep_replaced("appname", old, &program, &mut replaced);
    }
    if let Some(process) = reading.take_said(Field::Pid) {
        log.procid = process.parse().ok().or(log.procid);
    }
    if let Some(message) = reading.take_said(Field::Message) {
        let old = log.message.replace(message.clone());
        keep_replaced("message", old, &message, &mut replaced);
    }
    let members = std::mem::take(&mut reading.members);
    let normalized = log.normalized_mut();
    for (name, value) in members.into_iter().chain(replaced) {
        normalized.insert_beside(name, value);
    }
    note_format(reading.definition, reading.note, log);
    let core = reading.set.into_iter();
    core.filter_map(|(field, value)| Some((field.role()?, value)))
        .collect()
}

/// Keeps a value of the text that a definition replaces by another one.
fn keep_replaced<'a>(name: &'static str, old: Option<Cow<'a, str>>, new: &str, replaced: &mut Members<'a>) {
    if let Some(old) = old.filter(|old| old != new) {
        replaced.insert(name, old);
    }
}

/// Says of a log which definition read it, and what kind of source it has.
fn note_format<'a>(definition: &'a Definition, note: &'a FormatNote, log: &mut BorrowedLog<'a>) {
    if log.source_type.is_none() {
        log.source_type = Some(definition.name.as_str().into());
    }
    log.set_format(note);
}
