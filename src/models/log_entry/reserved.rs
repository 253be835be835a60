//! The members of `metadata` that an ingest sets.

/// Names the key of [`LogEntry::metadata`](super::LogEntry::metadata) for the source of a time, if the line has no time
/// of its own. The value is `previous_line`, `file_modified` or `ingestion`.
pub const TIME_SOURCE: &str = "time_source";

/// Names the key of [`LogEntry::metadata`](super::LogEntry::metadata) that says why a line could not be parsed.
pub const PARSE_ERROR: &str = "parse_error";

/// Names the key that holds the bytes of a line that is not UTF-8, in Base64.
pub(crate) const RAW_BYTES: &str = "raw_base64";

/// Names the key that holds the source address, whatever the log's own fields say.
pub(crate) const KNOWN_SOURCE: &str = "source_ip";

/// Names the key that holds the core fields that the reader of the log set. A `null` says that a field is empty.
pub(crate) const FIELDS: &str = "fields";

/// Names the key of the definition that read the log, with its version, such as `fortigate/1`.
pub(crate) const FORMAT: &str = "format";

/// Names the key of the log source in the words of Sigma: an object of `product`, `category` and `service`.
pub(crate) const LOGSOURCE: &str = "logsource";
