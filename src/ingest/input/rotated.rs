//! The files that a rotation leaves next to the one that is written to.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::file_id::FileId;

/// Describes a file next to another one that may hold its former content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sibling {
    pub(crate) path: PathBuf,
    pub(crate) id: FileId,
    pub(crate) modified: SystemTime,
    /// Says whether it is named as rotations name files: with a number or a time.
    pub(crate) is_numbered: bool,
}

/// Returns the files next to this one whose names contain its own up to the first dot. Those modified last come first.
pub(crate) fn siblings(path: &Path) -> Vec<Sibling> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return Vec::new();
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    // An entry that cannot be read, or is gone by now, is no file to read from.
    let mut siblings: Vec<Sibling> = entries
        .filter_map(|entry| sibling(&entry.ok()?.path(), name))
        .collect();
    siblings.sort_by(|a, b| (b.modified, &b.path).cmp(&(a.modified, &a.path)));
    siblings
}

fn sibling(path: &Path, name: &str) -> Option<Sibling> {
    let other = path.file_name()?.to_str()?;
    if other == name || !other.contains(stem(name)) {
        return None;
    }
    let metadata = path.metadata().ok().filter(std::fs::Metadata::is_file)?;
    Some(Sibling {
        path: path.to_owned(),
        id: FileId::of(&metadata, path),
        modified: metadata.modified().ok()?,
        is_numbered: is_numbered(other, name),
    })
}

/// Returns a name up to its first dot, except a dot that it begins with.
fn stem(name: &str) -> &str {
    let dot = name.char_indices().skip(1).find(|(_, c)| *c == '.');
    dot.and_then(|(at, _)| name.get(..at)).unwrap_or(name)
}

/// Returns whether a path is one that a rotation gives to the file at another path.
pub(crate) fn is_rotation_of(path: &Path, original: &Path) -> bool {
    let names = (path.file_name().zip(original.file_name()))
        .and_then(|(name, original)| name.to_str().zip(original.to_str()));
    path.parent() == original.parent() && names.is_some_and(|(name, original)| is_numbered(name, original))
}

/// Returns whether a rotation gives this name to a file of that name: `app.log.1`, `app.log-20260101.gz`,
/// `app-2026-01-01T10.log`.
fn is_numbered(other: &str, name: &str) -> bool {
    let other = uncompressed(other);
    let split = name.rfind('.').filter(|at| *at > 0).unwrap_or(name.len());
    let (before, ending) = name.split_at(split);
    let between = other
        .strip_prefix(name)
        .or_else(|| other.strip_prefix(before)?.strip_suffix(ending));
    between.is_some_and(|between| {
        let is_known = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '_' | ':' | 'T' | 'Z');
        between.chars().all(is_known) && between.contains(|c: char| c.is_ascii_digit())
    })
}

/// Returns whether a name ends with a number, as of files that were rotated.
pub(crate) fn has_number(path: &Path) -> bool {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let digits = uncompressed(name).trim_end_matches(|c: char| c.is_ascii_digit());
    digits.len() < uncompressed(name).len() && digits.ends_with(['.', '-', '_', ':'])
}

fn uncompressed(name: &str) -> &str {
    const COMPRESSED: [&str; 5] = [".gz", ".zst", ".xz", ".bz2", ".zip"];
    let ending = COMPRESSED.iter().find_map(|ending| name.strip_suffix(ending));
    ending.unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotations_number_files() {
        for other in [
            "app.log.1",
            "app.log.12.gz",
            "app.log-20260101",
            "app.log-20260101.zst",
            "app.log.2026-01-01T10:00:00Z",
            "app-20260101.log",
            "app.1.log",
        ] {
            assert!(is_numbered(other, "app.log"), "{other}");
        }
        for other in [
            "app.log",
            "app.log.old",
            "app-debug.log",
            "app.log.lock",
            "application.log.1",
            "app.txt.1",
        ] {
            assert!(!is_numbered(other, "app.log"), "{other}");
        }
        assert!(is_numbered("syslog.1", "syslog") && is_numbered("syslog-20260101.gz", "syslog"));
    }

    #[test]
    fn rotated_files_end_with_a_number() {
        for name in ["app.log.1", "app.log-20260101", "app.log.2.gz"] {
            assert!(has_number(Path::new(name)), "{name}");
        }
        for name in ["app.log", "app2", "syslog", "app.log.gz", "1.log"] {
            assert!(!has_number(Path::new(name)), "{name}");
        }
    }

    #[test]
    fn siblings_share_the_stem() {
        assert_eq!(
            (stem("app.log"), stem(".app.log"), stem("syslog")),
            ("app", ".app", "syslog")
        );
    }
}
