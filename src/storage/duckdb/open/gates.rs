//! The gate of each store, with the opener that suits its location.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::file_opener::{FileOpener, MemoryOpener};
use crate::storage::Result;
use crate::storage::duckdb::engine::gate::Gate;
use crate::storage::duckdb::engine::location::Location;
use crate::storage::duckdb::engine::settings::EngineSettings;
use crate::storage::duckdb::lake::attach::LakeOpener;

/// Returns the gate of a store, the same for every handle of this process. Each store in memory has its own gate.
///
/// The first handle on a lake says how long its statements wait for locks in the catalog.
pub(crate) fn of(location: Location, settings: &EngineSettings, lock_timeout: Duration) -> Result<Arc<Gate>> {
    match location.canonical()? {
        Location::Memory => Ok(in_memory(settings)),
        Location::File(path) => {
            let opener = FileOpener::new(&path, settings);
            Gate::shared(Location::File(path), settings, opener)
        }
        Location::Lake(lake) => {
            let opener = LakeOpener::new(&lake, settings, lock_timeout);
            Gate::shared(Location::Lake(lake), settings, opener)
        }
    }
}

/// Returns the gate of a file that is to be created, which no other handle finds.
pub(crate) fn of_new_file(path: &Path, settings: &EngineSettings) -> Arc<Gate> {
    let opener = FileOpener::of_new_file(path, settings);
    Gate::new(Location::File(path.to_owned()), settings, opener)
}

/// Returns the gate of a new store in memory.
pub(crate) fn in_memory(settings: &EngineSettings) -> Arc<Gate> {
    Gate::new(Location::Memory, settings, MemoryOpener::new(settings))
}
