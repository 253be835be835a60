//! The engine's extensions: which files are loaded without another look at their signatures.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use logstore::DuckDbStore;
use tempfile::TempDir;

use crate::test_lake::{EXTENSIONS, given};

/// A folder with a copy of the extension that every lake needs.
struct Extensions {
    folder: TempDir,
    file: PathBuf,
    lake: TempDir,
}

impl Extensions {
    fn copied() -> Option<Self> {
        let from = PathBuf::from(given(EXTENSIONS)?);
        let of_this_engine = DuckDbStore::options()
            .extension_directory(&from)
            .extensions()
            .unwrap()
            .remove(0)
            .file;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(of_this_engine.strip_prefix(from).unwrap());
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::copy(of_this_engine, &file).unwrap();
        // Whatever the umask is.
        let folders = file.ancestors().take_while(|path| *path != folder.path());
        folders.for_each(|path| set_mode(path, 0o755));
        let lake = tempfile::tempdir().unwrap();
        Some(Self { folder, file, lake })
    }

    /// Opens a lake; the error if the extension is refused.
    fn open(&self) -> Result<(), String> {
        let location = format!("ducklake:{}", self.lake.path().join("catalog").display());
        let options = DuckDbStore::options().extension_directory(self.folder.path());
        let opened = options.open(location);
        opened.map(drop).map_err(|error| error.to_string())
    }

    fn assert_refused(&self, what: &str) {
        let refused = self.open().expect_err(what);
        assert!(
            refused.contains("the engine does not take it"),
            "{what}: {refused}"
        );
    }

    fn record(&self) -> PathBuf {
        self.file.with_extension("duckdb_extension.verified")
    }

    /// Changes the signature, which is all that the engine can tell this file by, in a new file.
    fn spoil(&self) {
        let mut content = fs::read(&self.file).unwrap();
        let last = content.len() - 1;
        content[last] ^= 1;
        // To write into a file that is loaded would end this process.
        let new = self.file.with_extension("new");
        fs::write(&new, content).unwrap();
        fs::rename(new, &self.file).unwrap();
    }

    /// Writes a record as if the file as it is had been verified.
    fn forge(&self) {
        let found = self.file.metadata().unwrap();
        let text = format!(
            "{} {} {} {} {}.{:09} {}.{:09}\n",
            self.file.display(),
            found.dev(),
            found.ino(),
            found.size(),
            found.mtime(),
            found.mtime_nsec(),
            found.ctime(),
            found.ctime_nsec()
        );
        fs::write(self.record(), text).unwrap();
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_file_that_changed_since_it_was_verified_is_refused() {
    let Some(extensions) = Extensions::copied() else {
        return;
    };
    extensions.open().unwrap();
    let record = fs::read_to_string(extensions.record()).unwrap();
    extensions.spoil();
    extensions.assert_refused("a changed file");
    assert_eq!(fs::read_to_string(extensions.record()).unwrap(), record);
    extensions.spoil();
    extensions.open().unwrap();
    assert_ne!(fs::read_to_string(extensions.record()).unwrap(), record);
}

#[test]
fn a_record_counts_only_where_no_other_user_can_write() {
    let Some(extensions) = Extensions::copied() else {
        return;
    };
    extensions.spoil();
    extensions.assert_refused("a file without a record");
    extensions.forge();
    extensions.open().expect("a record is believed");
    let (record, folder) = (extensions.record(), extensions.file.parent().unwrap());
    for (path, what) in [(record.as_path(), "record"), (folder, "folder")] {
        let mode = path.metadata().unwrap().mode();
        for writable in [0o020, 0o002] {
            set_mode(path, mode | writable);
            extensions.assert_refused(&format!("{what}, writable by others"));
        }
        set_mode(path, mode);
    }
    let other = folder.join("icu.duckdb_extension");
    fs::write(&other, "").unwrap();
    set_mode(&other, 0o666);
    extensions.assert_refused("another file that others can write");
    fs::remove_file(&other).unwrap();

    set_mode(&extensions.file, 0o664);
    extensions.forge();
    extensions.assert_refused("a file that others can write");
    set_mode(&extensions.file, 0o644);
    extensions.forge();
    extensions.open().expect("all is as it was");

    let elsewhere = extensions.lake.path().join("record");
    // The folders may be on different disks.
    fs::copy(&record, &elsewhere).unwrap();
    fs::remove_file(&record).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &record).unwrap();
    extensions.assert_refused("a record that is a link");
    fs::remove_file(&record).unwrap();
    fs::copy(&elsewhere, &record).unwrap();

    // Only root can give a file away.
    for path in [record.as_path(), folder] {
        if chown(path, Some(65_534), None).is_ok() {
            extensions.assert_refused("another user's record or folder");
            chown(path, Some(0), None).unwrap();
        }
    }
    extensions.open().expect("all is as it was");
}
