//! The spill of a scan: items that wait on disk for a slow reader.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Seek as _, Write as _};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::storage::{Error, Result};

/// Counts the bytes that are compressed together.
const BUFFER: usize = 128 << 10;

const SPILL: &str = "spill logs for a slow reader";

pub(crate) fn failed(action: &'static str, io: io::Error) -> Error {
    if io.kind() == io::ErrorKind::StorageFull {
        return Error::DiskFull {
            action,
            source: io.into(),
        };
    }
    Error::Backend {
        action,
        source: io.into(),
    }
}

/// Holds items in a compressed file without a name, with one line for each chunk, a JSON array.
///
/// The encoder takes long for each write, and JSON is written in small ones.
pub(crate) struct Spill(BufWriter<zstd::Encoder<'static, File>>);

impl Spill {
    pub(crate) fn new() -> Result<Self> {
        const FASTEST: i32 = 1;
        let file = tempfile::tempfile().and_then(|file| zstd::Encoder::new(file, FASTEST));
        file.map(|file| Self(BufWriter::with_capacity(BUFFER, file)))
            .map_err(|io| failed(SPILL, io))
    }

    pub(crate) fn push(&mut self, items: &[impl Serialize]) -> Result<()> {
        serde_json::to_writer(&mut self.0, items)
            .map_err(io::Error::from)
            .and_then(|()| self.0.write_all(b"\n"))
            .map_err(|io| failed(SPILL, io))
    }

    /// Passes on each chunk, until `give` has enough.
    pub(crate) fn drain<T: DeserializeOwned>(self, mut give: impl FnMut(Vec<T>) -> bool) -> Result<()> {
        let back = |io| failed("read logs that were spilled", io);
        let encoder = self.0.into_inner().map_err(io::IntoInnerError::into_error);
        let file = encoder.and_then(zstd::Encoder::finish);
        let mut file = file.map_err(|io| failed(SPILL, io))?;
        file.rewind().map_err(back)?;
        let lines = BufReader::new(zstd::Decoder::new(file).map_err(back)?).lines();
        for line in lines {
            let items = line
                .and_then(|line| Ok(serde_json::from_str(&line)?))
                .map_err(back)?;
            if !give(items) {
                break;
            }
        }
        Ok(())
    }
}
