//! Reads a data file as it is, and returns its digest.

use std::fs::File;
use std::io::{self, Read as _};

use ::duckdb::{Connection, Row, params};
use sha2::{Digest as _, Sha256};

use crate::models::hexadecimal;
use crate::storage::duckdb::error;
use crate::storage::{Error, Result};

/// Describes the content of a file.
///
/// The digest is SHA-256, because the engine computes it too, where only the engine reaches the file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Digest {
    pub(crate) bytes: u64,
    /// Holds the SHA-256 in hexadecimal.
    pub(crate) sha256: String,
}

/// Reads a file of this machine in pieces, and returns its digest; `None` if there is no such file.
pub(crate) fn of_file(path: &str) -> Result<Option<Digest>> {
    found(path, File::open(path).and_then(of_content))
}

/// Returns the size of a file of this machine; `None` if there is no such file.
pub(crate) fn size_of_file(path: &str) -> Result<Option<u64>> {
    found(path, std::fs::metadata(path).map(|metadata| metadata.len()))
}

fn found<T>(path: &str, outcome: io::Result<T>) -> Result<Option<T>> {
    match outcome {
        Ok(found) => Ok(Some(found)),
        Err(io) if io.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(io) => Err(Error::Backend {
            action: ACTION,
            source: format!("{path}: {io}").into(),
        }),
    }
}

fn of_content(mut file: File) -> io::Result<Digest> {
    const PIECE: usize = 1 << 20;
    let mut hash = Sha256::new();
    let mut piece = vec![0; PIECE];
    let mut bytes = 0;
    loop {
        let read = file.read(&mut piece)?;
        let Some(content) = piece.get(..read).filter(|content| !content.is_empty()) else {
            let sha256 = hexadecimal(&hash.finalize());
            return Ok(Digest { bytes, sha256 });
        };
        hash.update(content);
        bytes += read as u64;
    }
}

/// Lets the engine read an object in S3 as a whole, and returns its digest; `None` if there is no such object.
pub(crate) fn of_object(connection: &Connection, path: &str) -> Result<Option<Digest>> {
    ask(
        connection,
        "SELECT size, sha256(content) FROM read_blob(?)",
        path,
        |row| {
            Ok(Digest {
                bytes: row.get(0)?,
                sha256: row.get(1)?,
            })
        },
    )
}

/// Returns the size of an object in S3; `None` if there is no such object.
pub(crate) fn size_of_object(connection: &Connection, path: &str) -> Result<Option<u64>> {
    ask(connection, "SELECT size FROM read_blob(?)", path, |row| {
        row.get(0)
    })
}

fn ask<T>(
    connection: &Connection,
    sql: &str,
    path: &str,
    read: impl FnOnce(&Row<'_>) -> ::duckdb::Result<T>,
) -> Result<Option<T>> {
    match connection.query_row(sql, params![path], read) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error::is_missing_file(&error) => Ok(None),
        Err(error) => Err(error::engine(ACTION, error)),
    }
}

const ACTION: &str = "read a data file";
