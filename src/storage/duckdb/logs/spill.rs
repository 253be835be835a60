//! The spill of a scan: items that wait on disk for a slow reader.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Seek as _, Write as _};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::storage::{Error, Result};

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
pub(crate) struct Spill(zstd::Encoder<'static, File>);

impl Spill {
    pub(crate) fn new() -> Result<Self> {
        const FASTEST: i32 = 1;
        let file = tempfile::tempfile().and_then(|file| zstd::Encoder::new(file, FASTEST));
        Ok(Self(file.map_err(|io| failed(SPILL, io))?))
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
        let mut file = self.0.finish().map_err(|io| failed(SPILL, io))?;
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
