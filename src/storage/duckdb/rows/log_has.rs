//! The SQL function that tests whether any text of a log has a value as a whole.

use std::error::Error;
use std::sync::Arc;

use ::duckdb::Connection;
use ::duckdb::arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use ::duckdb::arrow::datatypes::DataType;
use ::duckdb::vscalar::{ArrowFunctionSignature, VArrowScalar};
use chrono::DateTime;

use super::row_layout::Columns;
use super::template::{Known, Placeholders, Texts};
use crate::models::{Members, Needle, NeedleFinder};
use crate::storage::duckdb::sql::has::{COLUMN_TEXTS, LOG_HAS, Needles, TEXTS};
use crate::storage::duckdb::sql::in_network::texts;
use crate::storage::duckdb::sql::tokens::may_be_in_time;

pub(crate) fn register(connection: &Connection) -> ::duckdb::Result<()> {
    connection.register_scalar_function::<LogHas>(LOG_HAS)
}

struct LogHas;

impl VArrowScalar for LogHas {
    type State = ();

    fn invoke((): &(), input: RecordBatch) -> Result<ArrayRef, Box<dyn Error>> {
        let columns = input.columns().iter().map(texts);
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let mut needles = Needles::default();
        let mut memory = String::new();
        let found = (0..input.num_rows()).map(|row| {
            let mut of_row = columns.iter().map(|column| column.get(row).copied().flatten());
            let value = of_row.next().flatten().unwrap_or_default();
            let mut of_row = of_row.map(Option::unwrap_or_default);
            let log = StoredTexts::new(&std::array::from_fn(|_| of_row.next().unwrap_or_default()));
            Ok(Some(log.have(needles.of(value)?, &mut memory)?))
        });
        let found = found.collect::<Result<BooleanArray, Box<dyn Error>>>()?;
        Ok(Arc::new(found))
    }

    fn signatures() -> Vec<ArrowFunctionSignature> {
        let parameters = vec![DataType::Utf8; TEXTS + 1];
        vec![ArrowFunctionSignature::exact(parameters, DataType::Boolean)]
    }
}

/// Holds the texts of a log as they are stored; empty ones for those that are missing.
struct StoredTexts<'a> {
    layout: &'a str,
    raw: &'a str,
    normalized: &'a str,
    metadata: &'a str,
    /// Holds its templates together.
    templates: &'a str,
    variables: &'a str,
    identifiers: &'a str,
    /// Holds the event time in microseconds.
    micros: &'a str,
    columns: [&'a str; COLUMN_TEXTS],
}

impl<'a> StoredTexts<'a> {
    /// Takes the arguments of the function.
    fn new(texts: &[&'a str; TEXTS]) -> Self {
        let [
            layout,
            raw,
            normalized,
            metadata,
            templates,
            variables,
            identifiers,
            micros,
            columns @ ..,
        ] = *texts;
        Self {
            layout,
            raw,
            normalized,
            metadata,
            templates,
            variables,
            identifiers,
            micros,
            columns,
        }
    }

    /// Says whether a text of the log has the value. The memory is for texts that are put together.
    fn have(&self, finder: &NeedleFinder, memory: &mut String) -> Result<bool, Box<dyn Error>> {
        let needle = finder.needle();
        let has_templates = !self.templates.is_empty();
        let texts = self.columns.iter().chain([
            &self.layout,
            &self.raw,
            &self.normalized,
            &self.metadata,
            &self.templates,
            &self.variables,
            &self.identifiers,
        ]);
        let is_in_time = || has_templates && finder.may_be_part(may_be_in_time);
        let may_have = texts.into_iter().any(|text| finder.may_be_in(text)) || is_in_time();
        if !may_have {
            return Ok(false);
        }
        // The id, which comes last, is no text of the log. It is in one where a template refers to it.
        let [texts @ .., _id] = &self.columns;
        if texts.iter().chain([&self.raw]).any(|text| needle.is_in(text)) {
            return Ok(true);
        }
        if has_templates {
            return self
                .filled_have(needle, memory)
                .ok_or_else(|| "a template cannot be filled".into());
        }
        let rendered = match self.layout.is_empty() {
            true => None,
            false => {
                let rendered = self.layout_columns().render(self.layout, memory);
                Some(rendered.ok_or("a layout cannot be rendered")?)
            }
        };
        let (normalized, raw) = rendered
            .as_ref()
            .map_or((self.normalized, ""), |(normalized, raw)| (normalized, raw));
        Ok(needle.is_in(raw) || is_in_object(needle, normalized) || is_in_object(needle, self.metadata))
    }

    fn layout_columns(&self) -> Columns<'_> {
        let [
            message,
            timestamp,
            host,
            hostname,
            appname,
            file,
            source_type,
            procid,
            ..,
        ] = self.columns;
        let text = |text| Some(text).filter(|text: &&str| !text.is_empty());
        Columns {
            timestamp: text(timestamp),
            appname: text(appname),
            file: text(file),
            host: text(host),
            hostname: text(hostname),
            message: text(message),
            procid: procid.parse().ok(),
            source_type: text(source_type),
        }
    }

    /// Says whether a text of a log with templates, but no column, has the value; `None` if they are no templates.
    fn filled_have(&self, needle: &Needle, text: &mut String) -> Option<bool> {
        let [
            _,
            _,
            host,
            hostname,
            appname,
            file,
            source_type,
            procid,
            more @ ..,
        ] = self.columns;
        let [source_ip, dest_ip, user, source_port, dest_port, id] = more;
        let known = Known {
            columns: [
                appname,
                file,
                host,
                hostname,
                source_type,
                procid,
                source_ip,
                dest_ip,
                user,
                source_port,
                dest_port,
                id,
            ],
            event_time: DateTime::from_timestamp_micros(self.micros.parse().ok()?)?,
        };
        let templates = Texts::of_together(self.templates)?;
        let placeholders = Placeholders::new(self.variables, self.identifiers, &known);
        for template in [Some(templates.raw), templates.message, templates.timestamp] {
            text.clear();
            placeholders.fill_into(template.unwrap_or_default(), text)?;
            if needle.is_in(text) {
                return Some(true);
            }
        }
        text.clear();
        placeholders.fill_into(templates.normalized.unwrap_or_default(), text)?;
        Some(is_in_object(needle, text) || is_in_object(needle, self.metadata))
    }
}

/// Says whether a value in a stored object has the value.
fn is_in_object(needle: &Needle, text: &str) -> bool {
    // Without escapes, values are in the text as they are, between the bounds of words.
    let may_have =
        !text.is_empty() && (needle.is_in(text) || memchr::memchr(b'\\', text.as_bytes()).is_some());
    may_have
        && match serde_json::from_str::<Members<'_>>(text) {
            Ok(members) => members.any_text(&mut String::new(), &mut |text| needle.is_in(text)),
            // A text that another program wrote is one value: see `JsonObject`.
            Err(_) => needle.is_in(text),
        }
}
