//! The columns of logs, as they are stored and as they are read.

use ::duckdb::arrow::datatypes::{DataType, TimeUnit};

/// What [`logs`] reads, in its order.
pub(crate) const LOG_COLUMNS: &str = "seq, event_time, id, \"timestamp\", stored_raw, appname, file, host, hostname, \
    message, procid, source_type, stored_normalized, metadata, ingestion_time, layout";

/// The columns of `logs`, in their order.
pub(crate) const LOGS_COLUMNS: [(&str, DataType); 21] = [
    ("seq", DataType::Int64),
    ("event_time", DataType::Timestamp(TimeUnit::Microsecond, None)),
    ("id", DataType::Utf8),
    ("timestamp", DataType::Utf8),
    ("raw", DataType::Utf8),
    ("appname", DataType::Utf8),
    ("file", DataType::Utf8),
    ("host", DataType::Utf8),
    ("hostname", DataType::Utf8),
    ("message", DataType::Utf8),
    ("procid", DataType::Int64),
    ("source_type", DataType::Utf8),
    ("normalized", DataType::Utf8),
    ("metadata", DataType::Utf8),
    ("ingestion_time", DataType::Timestamp(TimeUnit::Microsecond, None)),
    ("source_ip", DataType::Utf8),
    ("dest_ip", DataType::Utf8),
    ("user", DataType::Utf8),
    ("action", DataType::Utf8),
    ("outcome", DataType::Utf8),
    ("level", DataType::Utf8),
];
