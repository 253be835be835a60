//! Behaviour through the public face, in one binary: linking the engine takes longer than most tests.

mod agreement;
mod alerts;
mod backup;
mod bad_input;
mod cli;
mod conformance;
mod copying;
mod crash;
mod cut_connections;
mod deliveries;
mod detect_crash;
mod detection;
mod documents;
mod encodings;
#[cfg(feature = "evtx")]
mod event_logs;
mod exactly_once;
#[cfg(unix)]
mod exec;
#[cfg(unix)]
mod extensions;
mod faults;
mod fencing;
mod fields;
mod first_use;
mod foreign;
mod forgery;
mod formats;
mod headers;
mod hostile;
mod indicator_hunts;
mod ingest;
mod intel;
mod invariants;
mod lake_data;
mod lakes;
mod later;
mod layers;
mod layouts;
mod loading;
mod long_texts;
mod machines;
mod migrations;
mod multiline;
mod outages;
mod own_sql;
#[cfg(unix)]
mod private_files;
mod processes;
mod queue;
mod real_data;
mod reparse;
mod repeated_texts;
mod restored;
mod rotation;
mod routes;
mod rule_files;
mod rule_stats;
mod scale_out;
mod scans;
mod searching;
mod secrets;
mod sharing;
#[cfg(unix)]
mod sigma;
mod signals;
mod sources;
#[cfg(unix)]
mod stalls;
mod support;
#[cfg(unix)]
mod terminal;
mod test_lake;
mod timeouts;
mod times;
