//! Reads Parquet files that an export wrote.

use std::io::{self, Read};
use std::path::Path;
use std::thread;

use ::duckdb::arrow::array::{Array as _, AsArray as _, StructArray};
use ::duckdb::{Config, Connection};
use crossbeam_channel::{Receiver, Sender, bounded};

use super::sql::statement::{Sql, for_each_chunk, literal};
use crate::models::{OBJECT_COLUMNS, TEXT_COLUMNS, TIME_COLUMNS};
use crate::storage::Error;

/// Limits the memory of the engine that reads a file. An export writes row groups of up to 64 MB.
const MEMORY_LIMIT: &str = "1GB";

/// Reads the logs of a Parquet file as the lines that an export to JSON lines writes of them.
///
/// A file without the columns of an export fails when it is read.
pub(crate) fn exported_lines(file: &Path) -> io::Result<impl Read + Send + use<>> {
    let name = name_of(file).map_err(io::Error::other)?;
    let connection = Config::default()
        .max_memory(MEMORY_LIMIT)
        .and_then(|config| config.threads(1))
        .and_then(Connection::open_in_memory_with_flags)
        .map_err(|error| io::Error::other(format!("cannot start the engine: {error}")))?;
    let (sender, texts) = bounded(1);
    let reader = thread::Builder::new().name("parquet".to_owned());
    reader.spawn(move || read(&connection, &lines_of(&name), &sender))?;
    Ok(Lines {
        texts,
        text: Vec::new(),
        at: 0,
    })
}

/// Returns the name of a file as the engine takes it, which takes other names for patterns.
fn name_of(file: &Path) -> Result<String, &'static str> {
    match file.to_str() {
        None => Err("its name is not UTF-8: rename it"),
        Some(name) if name.contains(['*', '?', '[']) => Err("its name holds *, ? or [: rename it"),
        Some(name) => Ok(name.to_owned()),
    }
}

/// Returns SQL for the logs of a file as JSON, in the order of the file.
fn lines_of(file: &str) -> String {
    let texts = TIME_COLUMNS.iter().chain(&TEXT_COLUMNS);
    let texts = texts.map(|name| format!("'{name}', \"{name}\""));
    let objects = OBJECT_COLUMNS
        .iter()
        .map(|name| format!("'{name}', CAST(\"{name}\" AS JSON)"));
    let members: Vec<String> = texts.chain(objects).collect();
    let file = literal(file);
    format!(
        "SELECT CAST(json_object({}) AS VARCHAR) FROM read_parquet({file})",
        members.join(", ")
    )
}

/// Sends the lines of each chunk, or why there are no more, until the receiver is gone.
fn read(connection: &Connection, sql: &str, taker: &Sender<io::Result<Vec<u8>>>) {
    let read = for_each_chunk(connection, &Sql::new(sql), |chunk| {
        Ok(taker.send(Ok(lines(&chunk))).is_ok())
    });
    if let Err(error) = read {
        taker.send(Err(io::Error::other(cause(&error)))).ok();
    }
}

/// Returns the cause of an error, which says what is wrong with the file.
fn cause(error: &Error) -> String {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    let cause = cause.unwrap_or_else(|| error.to_string());
    format!("no Parquet file of an export, or a damaged one: {cause}")
}

fn lines(chunk: &StructArray) -> Vec<u8> {
    let texts = chunk.column(0).as_string::<i32>();
    let mut lines = Vec::new();
    for text in (0..texts.len()).map(|row| texts.value(row)) {
        lines.extend_from_slice(text.as_bytes());
        lines.push(b'\n');
    }
    lines
}

/// Reads the lines that another thread sends.
struct Lines {
    texts: Receiver<io::Result<Vec<u8>>>,
    text: Vec<u8>,
    at: usize,
}

impl Read for Lines {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.text.len() {
            let Ok(text) = self.texts.recv() else {
                return Ok(0);
            };
            (self.text, self.at) = (text?, 0);
        }
        let rest = self.text.get(self.at..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        let (read, _) = rest.split_at(count);
        buffer[..count].copy_from_slice(read);
        self.at += count;
        Ok(count)
    }
}
