//! The columns of logs: the one list by which logs are written, read and exported.

use std::sync::LazyLock;

use ::duckdb::arrow::datatypes::{DataType, Field, TimeUnit};

use crate::storage::duckdb::sql::log_id;
use crate::storage::duckdb::sql::staged::{as_json, as_uuid};

/// Names a column of the table `log_rows`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogColumn {
    Seq,
    EventTime,
    Id,
    Timestamp,
    Raw,
    Appname,
    File,
    Host,
    Hostname,
    Message,
    Procid,
    SourceType,
    Normalized,
    Metadata,
    IngestionTime,
    SourceIp,
    DestIp,
    User,
    Action,
    Outcome,
    Level,
    Layout,
    SourcePort,
    DestPort,
    Process,
    Uuid,
    Template,
    Variables,
    Identifiers,
    NormalizedTemplate,
    MessageTemplate,
    TimestampTemplate,
}

/// Names the kind of a column's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Integer,
    Time,
    Text,
    /// Means text that is known to be JSON.
    Json,
    Uuid,
}

/// Holds the name and kind of each column.
const TABLE: [(LogColumn, &str, Kind); 32] = [
    (LogColumn::Seq, "seq", Kind::Integer),
    (LogColumn::EventTime, "event_time", Kind::Time),
    (LogColumn::Id, "id", Kind::Text),
    (LogColumn::Timestamp, "timestamp", Kind::Text),
    (LogColumn::Raw, "raw", Kind::Text),
    (LogColumn::Appname, "appname", Kind::Text),
    (LogColumn::File, "file", Kind::Text),
    (LogColumn::Host, "host", Kind::Text),
    (LogColumn::Hostname, "hostname", Kind::Text),
    (LogColumn::Message, "message", Kind::Text),
    (LogColumn::Procid, "procid", Kind::Integer),
    (LogColumn::SourceType, "source_type", Kind::Text),
    (LogColumn::Normalized, "normalized", Kind::Json),
    (LogColumn::Metadata, "metadata", Kind::Json),
    (LogColumn::IngestionTime, "ingestion_time", Kind::Time),
    (LogColumn::SourceIp, "source_ip", Kind::Text),
    (LogColumn::DestIp, "dest_ip", Kind::Text),
    (LogColumn::User, "user", Kind::Text),
    (LogColumn::Action, "action", Kind::Text),
    (LogColumn::Outcome, "outcome", Kind::Text),
    (LogColumn::Level, "level", Kind::Text),
    (LogColumn::Layout, "layout", Kind::Text),
    (LogColumn::SourcePort, "source_port", Kind::Integer),
    (LogColumn::DestPort, "dest_port", Kind::Integer),
    (LogColumn::Process, "process", Kind::Text),
    (LogColumn::Uuid, "uuid", Kind::Uuid),
    (LogColumn::Template, "template", Kind::Text),
    (LogColumn::Variables, "variables", Kind::Text),
    (LogColumn::Identifiers, "identifiers", Kind::Text),
    (LogColumn::NormalizedTemplate, "normalized_template", Kind::Text),
    (LogColumn::MessageTemplate, "message_template", Kind::Text),
    (LogColumn::TimestampTemplate, "timestamp_template", Kind::Text),
];

/// Lists the columns that are read to rebuild a log, in the order in which they are read.
///
/// The other columns repeat a part of these.
pub(crate) const READ: [LogColumn; 27] = [
    LogColumn::Seq,
    LogColumn::EventTime,
    LogColumn::Id,
    LogColumn::Timestamp,
    LogColumn::Raw,
    LogColumn::Appname,
    LogColumn::File,
    LogColumn::Host,
    LogColumn::Hostname,
    LogColumn::Message,
    LogColumn::Procid,
    LogColumn::SourceType,
    LogColumn::Normalized,
    LogColumn::Metadata,
    LogColumn::IngestionTime,
    LogColumn::Layout,
    LogColumn::SourceIp,
    LogColumn::DestIp,
    LogColumn::User,
    LogColumn::SourcePort,
    LogColumn::DestPort,
    LogColumn::Template,
    LogColumn::Variables,
    LogColumn::Identifiers,
    LogColumn::NormalizedTemplate,
    LogColumn::MessageTemplate,
    LogColumn::TimestampTemplate,
];

/// Holds SQL for the columns of [`READ`] in the view `log_texts`.
pub(crate) static READ_SQL: LazyLock<String> = LazyLock::new(|| {
    let names = READ.map(|column| match column {
        // These are the texts as they are stored, which are empty if a template or a row layout has them.
        LogColumn::Raw | LogColumn::Normalized | LogColumn::Message | LogColumn::Timestamp => {
            format!("\"stored_{}\"", column.name())
        }
        _ => format!("\"{}\"", column.name()),
    });
    names.join(", ")
});

/// Holds the names of all columns as SQL. A store of an earlier version has them in another order.
pub(crate) static STORED_SQL: LazyLock<String> = LazyLock::new(|| {
    let names = LogColumn::all().map(|column| format!("\"{}\"", column.name()));
    names.collect::<Vec<_>>().join(", ")
});

/// Counts the columns that hold texts.
pub(crate) const TEXTS: usize = LogColumn::TimestampTemplate.place() + 1;
/// Counts the columns that hold times.
pub(crate) const TIMES: usize = LogColumn::IngestionTime.place() + 1;

/// Counts the columns that hold integers.
pub(crate) const INTEGERS: usize = LogColumn::DestPort.place() + 1;

/// Holds the place of each column among those of its kind.
const PLACES: [usize; TABLE.len()] = {
    let (mut places, mut column) = ([0; TABLE.len()], 0);
    let (mut texts, mut times, mut integers, mut uuids) = (0, 0, 0, 0);
    while column < TABLE.len() {
        let next = match TABLE[column].2 {
            Kind::Text | Kind::Json => &mut texts,
            Kind::Time => &mut times,
            Kind::Integer => &mut integers,
            Kind::Uuid => &mut uuids,
        };
        places[column] = *next;
        *next += 1;
        column += 1;
    }
    places
};

impl LogColumn {
    /// Returns all columns, in the order of the table.
    pub(crate) fn all() -> impl Iterator<Item = Self> + Clone {
        TABLE.into_iter().map(|(column, ..)| column)
    }

    pub(crate) const fn name(self) -> &'static str {
        TABLE[self as usize].1
    }

    /// Returns whether the column holds texts, JSON among them.
    pub(crate) const fn is_text(self) -> bool {
        matches!(TABLE[self as usize].2, Kind::Text | Kind::Json)
    }

    /// Returns whether the column says how a log is stored, and is no part of the log.
    pub(crate) const fn is_of_row(self) -> bool {
        matches!(
            self,
            Self::Seq
                | Self::Layout
                | Self::Uuid
                | Self::Template
                | Self::Variables
                | Self::Identifiers
                | Self::NormalizedTemplate
                | Self::MessageTemplate
                | Self::TimestampTemplate
        )
    }

    pub(crate) const fn is_time(self) -> bool {
        matches!(TABLE[self as usize].2, Kind::Time)
    }

    pub(crate) const fn is_uuid(self) -> bool {
        matches!(TABLE[self as usize].2, Kind::Uuid)
    }

    /// Returns the place of the column among those of its kind, such as the third of texts.
    pub(crate) const fn place(self) -> usize {
        PLACES[self as usize]
    }

    /// Returns the Arrow description of the column.
    pub(crate) fn field(self) -> Field {
        let data_type = match TABLE[self as usize].2 {
            Kind::Integer => DataType::Int64,
            Kind::Time => DataType::Timestamp(TimeUnit::Microsecond, None),
            Kind::Text | Kind::Json => DataType::Utf8,
            Kind::Uuid => DataType::FixedSizeBinary(log_id::LENGTH),
        };
        let field = Field::new(self.name(), data_type, true);
        match TABLE[self as usize].2 {
            Kind::Json => as_json(field),
            Kind::Uuid => as_uuid(field),
            _ => field,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_variants() {
        for (index, column) in LogColumn::all().enumerate() {
            assert_eq!(column as usize, index, "{column:?}");
        }
    }

    #[test]
    fn places_are_counted_for_each_kind() {
        assert_eq!(LogColumn::EventTime.place(), 0);
        assert_eq!(LogColumn::IngestionTime.place(), 1);
        assert_eq!(LogColumn::Id.place(), 0);
        assert_eq!(LogColumn::SourceType.place(), 8);
        assert_eq!(LogColumn::TimestampTemplate.place() + 1, TEXTS);
        assert_eq!(LogColumn::DestPort.place() + 1, INTEGERS);
    }
}
