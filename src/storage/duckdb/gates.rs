//! The gate of each store, with the opener that suits its location.

use std::path::Path;
use std::sync::Arc;

use super::connection::Gate;
use super::file_opener::{FileOpener, MemoryOpener};
use super::lake::LakeOpener;
use super::location::Location;
use super::settings::EngineSettings;
use crate::storage::Result;

/// Returns the gate of a store, the same for every handle of this process; one of its own for each store in memory.
pub(super) fn of(location: Location, settings: &EngineSettings) -> Result<Arc<Gate>> {
    match location.canonical()? {
        Location::Memory => Ok(in_memory(settings)),
        Location::File(path) => {
            let opener = FileOpener::new(&path, settings);
            Gate::shared(Location::File(path), settings, opener)
        }
        Location::Lake(lake) => {
            let opener = LakeOpener::new(&lake, settings);
            Gate::shared(Location::Lake(lake), settings, opener)
        }
    }
}

/// Returns the gate of a file that is to be made, which no other handle finds.
pub(super) fn of_new_file(path: &Path, settings: &EngineSettings) -> Arc<Gate> {
    let opener = FileOpener::of_new_file(path, settings);
    Gate::new(Location::File(path.to_owned()), settings, opener)
}

/// Returns the gate of a new store in memory.
pub(super) fn in_memory(settings: &EngineSettings) -> Arc<Gate> {
    Gate::new(Location::Memory, settings, MemoryOpener::new(settings))
}
