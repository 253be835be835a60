//! Repairs a file whose writer was killed during a checkpoint, while the engine wrote its WAL back into the file.
//!
//! DuckDB 1.5.5 overwrites the blocks that hold its metadata. It changes only parts of such a block that the last
//! complete state of the file does not use. So a block that was cut off halfway still holds all of that state. But its
//! checksum no longer fits, and the engine refuses the file. The repair corrects the checksum. The engine then replays
//! the WAL, which is still there, as after any other end.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use ::duckdb::{AccessMode, Connection};

use super::files;
use super::settings::EngineSettings;
use crate::storage::duckdb::error::{self, OpenFailure};
use crate::storage::duckdb::sql::statement;

/// Repairs a file that has a WAL, whose last writer is at work or was killed. A writer that closes a store leaves no
/// WAL.
pub(crate) fn repair_if_killed(
    path: &Path,
    settings: &EngineSettings,
    spill: Option<&Path>,
) -> Result<(), OpenFailure> {
    if !files::has_write_ahead_log(path) {
        return Ok(());
    }
    repair_blocks(path, || {
        Connection::open_with_flags(path, settings.config(AccessMode::ReadOnly, spill)?)
    })
}

/// Repairs every block that was cut off. The caller makes sure that nothing in this process has the file open.
///
/// `open` opens the engine for reading.
fn repair_blocks(path: &Path, open: impl Fn() -> ::duckdb::Result<Connection>) -> Result<(), OpenFailure> {
    let mut tried = BTreeSet::new();
    let blocks = loop {
        match open().and_then(|engine| metadata_blocks(&engine)) {
            Ok(blocks) => break blocks,
            Err(error) => match error::damaged_place(&error) {
                Some(place) if tried.insert(place) => repair_block(path, |_| place)?,
                // Other errors are reported when the engine opens the file.
                _ => return Ok(()),
            },
        }
    };
    blocks.into_iter().try_for_each(|block| {
        repair_block(path, |size| {
            block.saturating_mul(size).saturating_add(FIRST_BLOCK)
        })
    })
}

fn metadata_blocks(engine: &Connection) -> ::duckdb::Result<Vec<u64>> {
    let sql = "SELECT DISTINCT block_id FROM pragma_metadata_info() WHERE block_id >= 0";
    statement::query_all(engine, sql, [], |row| row.get(0))
}

/// Repairs the block at a place that depends on the size of blocks.
fn repair_block(path: &Path, place: impl FnOnce(u64) -> u64) -> Result<(), OpenFailure> {
    let Ok(mut file) = OpenOptions::new().read(true).write(true).open(path) else {
        return Ok(());
    };
    if !lock(&file) {
        return Err(OpenFailure::Locked("another process".into()));
    }
    if !files::has_write_ahead_log(path) {
        // Another process was quicker.
        return Ok(());
    }
    match fix_checksum(&mut file, place) {
        Ok(true) => {
            log::warn!("put right a block of {path:?} that was half written when its writer was killed");
        }
        Ok(false) => {}
        Err(io) => log::error!("cannot put right a block of {path:?}: {io}"),
    }
    Ok(())
}

/// Gives the place of the first block, after three headers.
const FIRST_BLOCK: u64 = 3 * 4096;

/// Gives the place of the block size in the first of the two headers that hold it.
const BLOCK_SIZE: u64 = 4096 + 8 + 32;

/// Corrects the checksum of a block, and returns whether it did not fit.
fn fix_checksum(file: &mut File, place: impl FnOnce(u64) -> u64) -> io::Result<bool> {
    const SIZES: std::ops::RangeInclusive<u64> = (1 << 14)..=(1 << 18);
    let mut size = [0; 8];
    file.seek(SeekFrom::Start(BLOCK_SIZE))?;
    file.read_exact(&mut size)?;
    let size = u64::from_le_bytes(size);
    if !SIZES.contains(&size) || !size.is_power_of_two() {
        return Err(io::Error::other(format!("it has blocks of {size} bytes")));
    }
    let place = place(size);
    if place.checked_sub(FIRST_BLOCK).is_none_or(|from| from % size != 0) || place >= file.metadata()?.len() {
        // This is a header, or a block that was never written.
        return Ok(false);
    }
    let mut block = Vec::new();
    file.seek(SeekFrom::Start(place))?;
    file.take(size).read_to_end(&mut block)?;
    let Some((stored, content)) = block.split_first_chunk::<8>() else {
        return Ok(false);
    };
    let checksum = checksum(content).to_le_bytes();
    if checksum == *stored {
        return Ok(false);
    }
    file.seek(SeekFrom::Start(place))?;
    file.write_all(&checksum)?;
    file.sync_all()?;
    Ok(true)
}

/// Returns the engine's checksum of a block.
fn checksum(content: &[u8]) -> u64 {
    let (words, _) = content.as_chunks::<8>();
    words.iter().fold(5381, |checksum, word| {
        checksum ^ u64::from_le_bytes(*word).wrapping_mul(0xbf58_476d_1ce4_e5b9)
    })
}

/// Takes the lock that the engine takes, and returns whether it was free. Closing the file releases it.
#[cfg(unix)]
fn lock(file: &File) -> bool {
    use rustix::fs::{FlockOperation, fcntl_lock};
    fcntl_lock(file, FlockOperation::NonBlockingLockExclusive).is_ok()
}

/// Takes no lock: on such a system, the engine lets no other process open the file.
#[cfg(not(unix))]
fn lock(_: &File) -> bool {
    true
}
