//! The engine's extensions, which lakes need.

use std::path::{Path, PathBuf};

use ::duckdb::{Config, Connection};

use super::settings::ExtensionSettings;
use super::{files, verified};
use crate::storage::duckdb::error;
use crate::storage::duckdb::sql::statement::literal;
use crate::storage::{Error, Result};

/// Describes an extension of the engine that lakes need.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Extension {
    /// Holds its name in the engine.
    pub name: &'static str,
    /// Says which lakes need it.
    pub needed_for: &'static str,
    /// Names the file that the engine loads it from.
    pub file: PathBuf,
    /// Says whether that file exists.
    pub installed: bool,
}

const ALL: [(&str, &str); 3] = [
    ("ducklake", "every lake"),
    ("postgres_scanner", "a catalog in PostgreSQL"),
    ("httpfs", "data in S3"),
];

/// Returns the extensions, with the files that this engine loads them from.
pub(crate) fn list(settings: &ExtensionSettings) -> Result<Vec<Extension>> {
    let folder = folder_of_engine(&engine(settings)?, &settings.folder()?)?;
    Ok(ALL
        .into_iter()
        .map(|(name, needed_for)| {
            let file = folder.join(file_name(name));
            Extension {
                name,
                needed_for,
                installed: file.is_file(),
                file,
            }
        })
        .collect())
}

/// Installs all extensions from files and folders, or all missing ones from the network if no path is given.
pub(crate) fn install(from: &[PathBuf], settings: &ExtensionSettings) -> Result<Vec<Extension>> {
    let extensions = list(settings)?;
    if from.is_empty() {
        for extension in extensions.iter().filter(|extension| !extension.installed) {
            fetch(&engine(settings)?, extension.name)?;
            verify(extension.name, &extension.file, settings)?;
        }
        return list(settings);
    }
    let mut found_any = false;
    for extension in &extensions {
        let files: Vec<PathBuf> = from
            .iter()
            .flat_map(|path| files_of(extension.name, path))
            .collect();
        found_any |= !files.is_empty();
        // A folder may hold extensions for other versions and platforms.
        let put = files.iter().map(|file| put(file, extension, settings));
        if let Some(outcome) = put.reduce(Result::or) {
            outcome?;
        }
    }
    match found_any {
        true => list(settings),
        false => {
            let reason = format!(
                "there is no extension to install: look for {}, with or without .gz at the end",
                ALL.map(|(name, _)| file_name(name)).join(", ")
            );
            Err(error::engine_unavailable(&from[0], reason))
        }
    }
}

fn file_name(name: &str) -> String {
    format!("{name}.duckdb_extension")
}

const PACKED: &str = ".gz";

/// Returns the files of an extension that a path holds.
fn files_of(name: &str, path: &Path) -> Vec<PathBuf> {
    let wanted = [file_name(name), file_name(name) + PACKED];
    walkdir::WalkDir::new(path)
        .sort_by_file_name()
        .into_iter()
        .filter_map(std::result::Result::ok)
        .filter(|entry| wanted.iter().any(|wanted| entry.file_name() == wanted.as_str()))
        .map(walkdir::DirEntry::into_path)
        .collect()
}

/// Copies a file to the place of an extension, after the engine has loaded the copy.
fn put(from: &Path, extension: &Extension, settings: &ExtensionSettings) -> Result<()> {
    let folder = files::folder_of(&extension.file);
    let failed = |io: std::io::Error| error::not_written(&extension.file, io.to_string());
    std::fs::create_dir_all(folder).map_err(failed)?;
    let work = tempfile::tempdir_in(folder).map_err(failed)?;
    // The engine takes the extension's name from the name of the file.
    let copy = work.path().join(file_name(extension.name));
    copy_unpacked(from, &copy)
        .map_err(|io| error::engine_unavailable(from, format!("cannot copy it: {io}")))?;
    let taken = engine(settings)?.execute_batch(&format!("LOAD {}", literal(&copy.display().to_string())));
    taken.map_err(|error| not_taken(from, &error))?;
    std::fs::rename(&copy, &extension.file).map_err(failed)?;
    log::info!(
        "installed the extension {} from {}",
        extension.name,
        from.display()
    );
    verify(extension.name, &extension.file, settings)
}

fn copy_unpacked(from: &Path, to: &Path) -> std::io::Result<()> {
    let mut read = std::fs::File::open(from)?;
    let mut written = std::fs::File::create(to)?;
    match from.to_string_lossy().ends_with(PACKED) {
        true => std::io::copy(&mut flate2::read::MultiGzDecoder::new(read), &mut written),
        false => std::io::copy(&mut read, &mut written),
    }?;
    written.sync_all()
}

/// Starts an engine that only manages its extensions, and takes none without a signature.
fn engine(settings: &ExtensionSettings) -> Result<Connection> {
    let folder = settings.folder()?.display().to_string();
    Config::default()
        .with("extension_directory", folder)
        .and_then(Connection::open_in_memory_with_flags)
        .map_err(|error| error::engine("start the engine", error))
}

/// Returns the folder of this engine's own extensions within a folder.
fn folder_of_engine(engine: &Connection, folder: &Path) -> Result<PathBuf> {
    const SQL: &str =
        "SELECT library_version, (SELECT platform FROM pragma_platform()) FROM pragma_version()";
    let read = engine.query_row(SQL, [], |row| {
        let (version, platform): (String, String) = (row.get(0)?, row.get(1)?);
        Ok(folder.join(version).join(platform))
    });
    read.map_err(|error| error::engine("start the engine", error))
}

fn fetch(engine: &Connection, name: &str) -> Result<()> {
    log::info!("installing the extension {name} from the network");
    let installed = engine.execute_batch(&format!("INSTALL {name}"));
    installed.map_err(|error| error::engine("install an extension from the network", error))
}

/// Loads an extension, whose signature this engine or another one verifies. A missing extension is fetched only if the
/// settings allow it.
pub(crate) fn load(connection: &Connection, name: &'static str, settings: &ExtensionSettings) -> Result<()> {
    let file = folder_of_engine(connection, &settings.folder()?)?.join(file_name(name));
    if !file.is_file() && settings.may_install {
        fetch(&engine(settings)?, name)?;
    } else if !file.is_file() {
        let reason = format!(
            "the engine's extension {name}, which this lake needs, is not there: put it there with `logstore extensions \
             install`, from the network or from files, or set store.install_extensions"
        );
        return Err(error::engine_unavailable(file, reason));
    }
    if takes_unsigned(connection)? && !verified::is_remembered(&file) {
        verify(name, &file, settings)?;
    }
    load_file(connection, name, &file)
}

/// Returns whether an engine loads extensions without verifying their signatures.
fn takes_unsigned(connection: &Connection) -> Result<bool> {
    const SQL: &str = "SELECT current_setting('allow_unsigned_extensions')";
    let read = connection.query_row(SQL, [], |row| row.get(0));
    read.map_err(|error| error::engine("start the engine", error))
}

/// Verifies the signature of an extension, by loading it into an engine of its own.
fn verify(name: &str, file: &Path, settings: &ExtensionSettings) -> Result<()> {
    let before = verified::FileState::of(file);
    load_file(&engine(settings)?, name, file)?;
    verified::remember(file, before);
    Ok(())
}

fn load_file(connection: &Connection, name: &str, file: &Path) -> Result<()> {
    let loaded = connection.execute_batch(&format!("LOAD {name}"));
    loaded.map_err(|error| not_taken(file, &error))
}

fn not_taken(file: &Path, error: &::duckdb::Error) -> Error {
    let reason = format!(
        "the engine does not take it: {}",
        error::first_line(&error.to_string())
    );
    error::engine_unavailable(file, reason)
}
