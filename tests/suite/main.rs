//! Behaviour through the public face, in one binary: linking the engine takes longer than most tests.

mod agreement;
mod bad_input;
mod cli;
mod conformance;
mod exactly_once;
mod foreign;
mod ingest;
mod migrations;
mod real_data;
mod sharing;
mod support;
