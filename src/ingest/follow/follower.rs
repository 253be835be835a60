//! Watches files and folders for new lines.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::followed::{ChangedFile, Emptied, Followed, READ_ON, open_as};
use super::rotation::{Loss, Rotation};
use crate::ingest::error::{IngestError, IngestErrorKind};
use crate::ingest::input::checkpoints::{Checkpoints, Found, begins_with_file};
use crate::ingest::input::file_id::FileId;
use crate::ingest::input::rotated::{Sibling, has_number, siblings};
use crate::ingest::options::{IngestOptions, MULTILINE_TIMEOUT};
use crate::ingest::reader::LogReader;
use crate::ingest::source::{Source, find_sources};

/// Watches files and folders for what is written to them.
///
/// It follows rotation by renaming, and by copying and emptying.
///
/// The files that changed last are kept open, up to a quarter of those that the process may have open. A file that is
/// gone from its path is read on until nothing was written to it for five seconds. A line is read when it has its end,
/// or when its file is left.
///
/// A file may have had lines that were not read. It was emptied, or it is gone and was not kept open. They are read
/// from the file next to it that goes on from what was read, such as `app.log.1`. A warning is logged if there is no
/// such file. If a file was rotated twice within two polls, other files next to it were written to in between. These
/// are read as well.
#[derive(Debug)]
pub struct Follower {
    names: Vec<Name>,
    skipped: Vec<PathBuf>,
    files: Vec<Followed>,
    rotations: Vec<Rotation>,
    /// Holds the paths that a warning was given about.
    warned: HashSet<PathBuf>,
    has_polled: bool,
    /// Limits how many files are kept open.
    most_open: usize,
    /// Says how long an event at the end of a file waits for more lines.
    wait: Duration,
}

#[derive(Debug)]
struct Name {
    path: PathBuf,
    /// Says whether a file was found under it, or a warning was given that there is none.
    is_known: bool,
}

/// Says how a file next to a rotated one relates to it.
enum Relation {
    /// Means that it goes on from what was read.
    Rest,
    /// Means that it was not read before.
    New,
    None,
}

impl Follower {
    /// Follows the files that [`find_sources`] finds under these names, now and later.
    pub fn new<P: AsRef<Path>>(names: &[P]) -> Self {
        let names = names.iter().map(|name| Name {
            path: name.as_ref().to_owned(),
            is_known: false,
        });
        Self {
            names: names.collect(),
            skipped: Vec::new(),
            files: Vec::new(),
            rotations: Vec::new(),
            warned: HashSet::new(),
            has_polled: false,
            most_open: most_open(),
            wait: MULTILINE_TIMEOUT,
        }
    }

    /// Leaves out files with these canonical paths, and never opens them.
    #[must_use]
    pub fn skipping(self, skipped: Vec<PathBuf>) -> Self {
        Self { skipped, ..self }
    }

    /// Waits this long for more lines of an event at the end of a file.
    #[must_use]
    pub fn waiting(self, wait: Duration) -> Self {
        Self { wait, ..self }
    }

    /// Finds the files that have changed since the last poll. The first poll finds all of them.
    ///
    /// The caller is to [open](Self::open) and read each file, and to [record](Checkpoints::record) its position,
    /// before the next one. A file that does not exist yet is waited for.
    ///
    /// # Errors
    ///
    /// Fails with [`IngestErrorKind::Pattern`] if a name is no valid pattern.
    pub fn poll(&mut self, checkpoints: &Checkpoints) -> Result<Vec<ChangedFile>, IngestError> {
        let now = Instant::now();
        let found = self.find()?;
        self.leave_files();
        self.update(found, now);
        if !self.has_polled {
            self.expect_rotations(checkpoints, now);
        }
        self.has_polled = true;
        self.search_rotations(checkpoints, now);
        let wait = self.wait;
        Ok(self
            .files
            .iter_mut()
            .filter_map(|file| file.change(now, wait))
            .collect())
    }

    /// Returns whether the next poll has a rotation to search that was found while files were opened.
    pub fn is_due(&self) -> bool {
        self.rotations.iter().any(|rotation| !rotation.is_searched)
    }

    /// Returns the files in it, if it is a zip archive: see [`Source::members`].
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read.
    pub fn members(
        &self,
        changed: &ChangedFile,
    ) -> Result<Option<Vec<Result<Source, IngestError>>>, IngestError> {
        let source = changed.source();
        let followed = self.files.iter().find(|file| file.id == changed.id);
        let file = followed.map(Followed::open).transpose();
        match file
            .map_err(|error| IngestError::new(source.name(), error))?
            .flatten()
        {
            Some(file) => source.members_of(&file),
            None => Ok(None),
        }
    }

    /// Goes on reading where it was stopped: see [`Source::open_known`].
    ///
    /// Returns `None` if the file is gone from its path, or breaks off in the middle of its compression. A later poll
    /// gives it again.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read. If it holds no text, it is left out from then on.
    pub fn open(
        &mut self,
        changed: &ChangedFile,
        options: &IngestOptions,
        checkpoints: &Checkpoints,
    ) -> Result<Option<LogReader>, IngestError> {
        let Some(at) = self.files.iter().position(|file| file.id == changed.id) else {
            return Ok(None);
        };
        let source = changed.source();
        let opened = self.find_known(at, source, changed.is_left, checkpoints);
        let opened = opened.map_err(|error| IngestError::new(source.name(), error))?;
        let Some((file, found)) = opened else {
            return Ok(None);
        };
        if file.metadata().is_ok_and(|metadata| metadata.len() > 0) {
            self.note_beginning(at);
        }
        let reader = source.read_found(&file, found, options, checkpoints);
        let mut holds = None;
        if let Some(followed) = self.files.get_mut(at) {
            followed.file = Some(file);
            holds = Some(Arc::clone(&followed.holds)).filter(|_| !changed.is_settled);
            match &reader {
                Ok(reader) => followed.set_position(reader.position_id(), checkpoints),
                Err(error) => followed.is_left_out = error.kind == IngestErrorKind::NotText,
            }
        }
        self.close_files();
        Ok(Some(match changed.is_left {
            true => reader?,
            false => {
                let reader = reader?.leaving_incomplete();
                match holds {
                    Some(holds) => reader.holding(holds),
                    None => reader,
                }
            }
        }))
    }

    /// Opens a file and finds its position.
    fn find_known(
        &mut self,
        at: usize,
        source: &Source,
        is_left: bool,
        checkpoints: &Checkpoints,
    ) -> io::Result<Option<(std::fs::File, Found)>> {
        let Some(followed) = self.files.get_mut(at) else {
            return Ok(None);
        };
        let Some(file) = followed.open()? else {
            // It was renamed meanwhile, and not read.
            followed.seen = None;
            return Ok(None);
        };
        let has_content = file.metadata()?.len() > 0;
        if followed.emptied != Emptied::No {
            let after = if has_content { Emptied::No } else { Emptied::Noted };
            if std::mem::replace(&mut followed.emptied, after) == Emptied::Seen {
                self.note_rotation(at, checkpoints);
            }
            // Lines that are written from now on are read after the next poll. So they are read as new only once.
            return Ok(has_content.then_some((file, Found::New)));
        }
        if !has_content && followed.position.is_none() {
            // A copy begins like this. Before its first bytes are there, the two cannot be told apart.
            followed.seen = None;
            return Ok(None);
        }
        let found = match source.find_known(&file, checkpoints) {
            // The file is still being compressed.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && !is_left => return Ok(None),
            found => found?,
        };
        if matches!(found, Found::New) {
            self.note_rotation(at, checkpoints);
        }
        Ok(Some((file, found)))
    }

    /// Finds the files that are there, each once, even if it has several names.
    fn find(&mut self) -> Result<HashMap<FileId, (PathBuf, bool)>, IngestError> {
        let mut found = HashMap::new();
        let mut names = std::mem::take(&mut self.names);
        for name in &mut names {
            let before = found.len();
            for source in find_sources(&[&name.path]) {
                match source {
                    Ok(source) => self.add_found(&source, &mut found),
                    Err(error) if error.kind == IngestErrorKind::Missing => {}
                    Err(error) if error.kind == IngestErrorKind::Pattern => return Err(error),
                    Err(error) => self.warn_once(&error),
                }
            }
            if !name.is_known && found.len() == before {
                log::warn!("{:?}: there is nothing to follow yet; waiting for it", name.path);
            }
            // While it is rotated, a file may be gone for a moment.
            name.is_known = true;
        }
        self.names = names;
        Ok(found)
    }

    fn add_found(&mut self, source: &Source, found: &mut HashMap<FileId, (PathBuf, bool)>) {
        let path = source.name();
        match path.metadata() {
            Ok(metadata) if metadata.is_file() && !source.is_one_of(&self.skipped) => {
                let id = FileId::of(&metadata, &path);
                found.entry(id).or_insert_with(|| (path, source.is_named()));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.warn_once(&IngestError::new(path, error)),
        }
    }

    fn warn_once(&mut self, error: &IngestError) {
        if self.warned.insert(error.name.clone()) {
            log::warn!("{error}");
        }
    }

    /// Takes note of which files are there, and under which paths.
    fn update(&mut self, mut found: HashMap<FileId, (PathBuf, bool)>, now: Instant) {
        for file in &mut self.files {
            match found.remove(&file.id) {
                Some((path, _)) => {
                    if path != file.path {
                        log::info!("{:?}: renamed to {path:?}", file.path);
                    }
                    (file.path, file.until) = (path, None);
                }
                None if file.is_there() => {
                    log::info!("{:?}: gone from its path", file.path);
                    file.until = Some(now + READ_ON);
                }
                None => {}
            }
        }
        let new = found.into_iter();
        let mut new: Vec<_> = new
            .map(|(id, (path, is_named))| Followed::new(path, id, is_named, now))
            .collect();
        new.sort_by(|a, b| a.path.cmp(&b.path));
        self.files.extend(new);
    }

    /// Removes the files that were left, and looks for the rests of those that were not kept open.
    fn leave_files(&mut self) {
        let (left, files) = std::mem::take(&mut self.files)
            .into_iter()
            .partition(|file: &Followed| file.is_left);
        self.files = files;
        for file in left {
            log::info!("{:?}: not followed any more", file.path);
            if file.file.is_none() {
                self.add_rotation(Rotation {
                    file: file.position.is_none().then_some(file.id),
                    position: file.position,
                    ..Rotation::new(file.path, Loss::Gone)
                });
            }
        }
    }

    /// Closes the files that changed the longest time ago. Those that could not be opened again are closed last.
    fn close_files(&mut self) {
        let open = self.files.iter().filter(|file| file.file.is_some()).count();
        for _ in self.most_open..open {
            let open = self.files.iter_mut().filter(|file| file.file.is_some());
            if let Some(file) = open.min_by_key(|file| (!file.is_there(), file.changed)) {
                file.file = None;
            }
        }
    }

    /// Looks for files that were rotated while no file was followed.
    fn expect_rotations(&mut self, checkpoints: &Checkpoints, now: Instant) {
        let named = self.files.iter().filter(|file| file.is_named);
        let paths = named
            .filter(|file| checkpoints.has_path(&file.path))
            .map(|file| file.path.clone());
        let rotations = paths.map(|path| Rotation {
            until: now,
            ..Rotation::new(path, Loss::None)
        });
        self.rotations.extend(rotations);
    }

    /// Looks for the rest of the former content of a file, or of the file before it at its path.
    fn note_rotation(&mut self, at: usize, checkpoints: &Checkpoints) {
        let Some(file) = self.files.get(at) else {
            return;
        };
        let path = file.path.clone();
        let was_there = |other: &&Followed| other.path == path && other.id != file.id;
        let mut others = self.files.iter().filter(was_there).peekable();
        // Nothing was read of a file that was empty, or that was gone before it was opened.
        let read = |file: &Followed| file.last_read(checkpoints);
        if file.position.is_none() && others.peek().is_none() {
            if checkpoints.has_path(&path) {
                self.add_rotation(Rotation::new(path, Loss::Rest { read: 0, had: 0 }));
            }
            return;
        }
        let before = match read(file) {
            Some(_) => Some(file),
            None => others.rfind(|other| read(other).is_some()),
        };
        let Some((before, (position, read))) = before.and_then(|before| Some((before, read(before)?))) else {
            return;
        };
        let is_kept = before.id != file.id && before.file.is_some();
        let had = before.had.max(before.seen.map_or(0, |(size, _)| size).min(read));
        let loss = if is_kept {
            Loss::None
        } else {
            Loss::Rest { read, had }
        };
        self.add_rotation(Rotation {
            position: Some(position),
            ..Rotation::new(path, loss)
        });
    }

    /// Looks for files that were rotated since the file, or the one before it at its path, was empty.
    fn note_beginning(&mut self, at: usize) {
        let Some(path) = self.files.get(at).map(|file| file.path.clone()) else {
            return;
        };
        let same = self.files.iter_mut().filter(|file| file.path == path);
        if let Some(since) = same.filter_map(|file| file.empty_since.take()).min() {
            self.add_rotation(Rotation {
                since: Some(since),
                ..Rotation::new(path, Loss::None)
            });
        }
    }

    fn add_rotation(&mut self, rotation: Rotation) {
        let path = &rotation.path;
        // Files that are found, rather than named, are not rotated if they have the name of a rotated file.
        if has_number(path) && !self.files.iter().any(|file| file.is_named && file.path == *path) {
            return;
        }
        log::debug!("{path:?}: new content; looking for what was rotated");
        match self.rotations.iter_mut().find(|before| before.is_same(&rotation)) {
            Some(before) if rotation.loss == Loss::None => before.until = rotation.until,
            Some(before) => before.loss = rotation.loss,
            None => self.rotations.push(rotation),
        }
    }

    /// Searches while a rotation may take place. Its files are renamed one after another, and one search may miss them.
    fn search_rotations(&mut self, checkpoints: &Checkpoints, now: Instant) {
        for mut rotation in std::mem::take(&mut self.rotations) {
            let is_late = rotation.is_searched && rotation.until <= now;
            let goes_on = self.search(&mut rotation, checkpoints, now);
            rotation.is_searched = true;
            match (goes_on, is_late) {
                (false, _) => {}
                (true, false) => self.rotations.push(rotation),
                (true, true) => rotation.give_up(),
            }
        }
    }

    /// Has the rest of a rotated file read, and what was rotated after it. Returns `false` if these files are followed
    /// anyway.
    fn search(&mut self, rotation: &mut Rotation, checkpoints: &Checkpoints, now: Instant) -> bool {
        let siblings = siblings(&rotation.path);
        // A file that was renamed since it was found is not followed under the name that it has now.
        let is_followed = |sibling: &Sibling| {
            let mut files = self.files.iter().filter(|file| file.is_there());
            let name = sibling.path.file_name();
            sibling.is_numbered && files.any(|file| file.id == sibling.id && file.path.file_name() == name)
        };
        if siblings.iter().any(is_followed) {
            return false;
        }
        let mut unread = Vec::new();
        for sibling in siblings {
            if rotation.is_older(&sibling) {
                break;
            }
            match self.relation(&sibling, rotation, checkpoints) {
                Relation::Rest => {
                    rotation.rest = rotation.rest.or(Some(sibling.modified));
                    unread.push(sibling);
                }
                Relation::New if sibling.is_numbered => unread.push(sibling),
                Relation::New | Relation::None => {}
            }
        }
        if rotation.rest.is_some() || rotation.since.is_some() {
            unread
                .into_iter()
                .rev()
                .for_each(|sibling| self.read_sibling(sibling, now));
        }
        true
    }

    fn relation(&self, sibling: &Sibling, rotation: &Rotation, checkpoints: &Checkpoints) -> Relation {
        let path = &rotation.path;
        if let Some(file) = self.files.iter().find(|file| file.id == sibling.id) {
            let is_rest = match &rotation.position {
                Some(_) => file.position == rotation.position,
                None => !file.is_there() && (file.path == *path || file.path == sibling.path),
            };
            return if is_rest { Relation::Rest } else { Relation::None };
        }
        if rotation.file.as_ref() == Some(&sibling.id) {
            return Relation::Rest;
        }
        let source = Source::found(&sibling.path);
        let found = open_as(&sibling.path, &sibling.id)
            .and_then(|file| file.map(|file| source.find_known(&file, checkpoints)).transpose());
        match found {
            Ok(Some(Found::Known(position, _))) if rotation.is_of(&position) => Relation::Rest,
            // A short copy, whose original is not emptied yet.
            Ok(Some(Found::New)) if begins_with_file(path, &sibling.path) => Relation::None,
            Ok(Some(Found::New)) => Relation::New,
            // A file that cannot be read, or not yet, may be read at the next poll.
            Ok(_) | Err(_) => Relation::None,
        }
    }

    /// Reads a file like one that is gone from its path.
    fn read_sibling(&mut self, sibling: Sibling, now: Instant) {
        if self.files.iter().any(|file| file.id == sibling.id) {
            return;
        }
        // A file that is gone again is found under its new name, while it is looked for.
        if let Ok(Some(file)) = open_as(&sibling.path, &sibling.id) {
            log::info!("{:?}: holds the rest of a rotated file", sibling.path);
            let mut followed = Followed::new(sibling.path, sibling.id, false, now);
            followed.file = Some(file);
            followed.until = Some(now + READ_ON);
            self.files.push(followed);
        }
    }
}

/// Returns a quarter of the files that the process may have open. The rest is for the store, and for the file that is
/// read.
#[cfg(unix)]
fn most_open() -> usize {
    const MOST: usize = 4_096;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let limit = limit.current.and_then(|limit| usize::try_from(limit).ok());
    limit.map_or(MOST, |limit| (limit / 4).clamp(1, MOST))
}

#[cfg(not(unix))]
fn most_open() -> usize {
    128
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::*;
    use crate::models::FilePosition;

    fn lines(numbers: std::ops::Range<u32>) -> String {
        numbers
            .map(|number| format!("line {number:05} of a log\n"))
            .collect()
    }

    /// A folder that is followed, and the lines that were read of it.
    struct Watched {
        folder: tempfile::TempDir,
        follower: Follower,
        checkpoints: Checkpoints,
        read: Vec<String>,
    }

    impl Watched {
        /// Follows a file in a new folder, or the folder itself by an empty name.
        fn new(name: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            Self {
                follower: Follower::new(&[folder.path().join(name)]),
                folder,
                checkpoints: Checkpoints::default(),
                read: Vec::new(),
            }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn write(&self, name: &str, numbers: std::ops::Range<u32>) {
            fs::write(self.path(name), lines(numbers)).unwrap();
        }

        fn rename(&self, from: &str, to: &str) {
            fs::rename(self.path(from), self.path(to)).unwrap();
        }

        fn copy(&self, from: &str, to: &str) {
            fs::copy(self.path(from), self.path(to)).unwrap();
        }

        fn look(&mut self) {
            self.look_and(|_| {});
        }

        /// Looks once, runs `before_reading` when a file is open, and adds the lines that are read.
        fn look_and(&mut self, before_reading: impl Fn(&Self)) {
            for changed in self.follower.poll(&self.checkpoints).unwrap() {
                let opened = self
                    .follower
                    .open(&changed, &IngestOptions::new(), &self.checkpoints);
                let Some(mut reader) = opened.unwrap() else {
                    continue;
                };
                before_reading(self);
                while let Some(block) = reader.next_block(100) {
                    block
                        .unwrap()
                        .parse(|log| self.read.extend(log.raw().map(str::to_owned)));
                }
                if let Some(position) = reader.position() {
                    self.checkpoints.record(position);
                }
            }
        }
    }

    #[test]
    fn a_file_that_is_renamed_after_it_was_found_ends_no_search() {
        let mut watched = Watched::new("app.log");
        watched.write("app.log", 0..100);
        watched.look();
        watched.rename("app.log", "app.log.2");
        watched.write("app.log", 100..200);
        let (found, now) = (watched.follower.find().unwrap(), Instant::now());
        watched.follower.update(found, now);
        let rotation = Rotation::new(watched.path("app.log"), Loss::Gone);
        watched.follower.add_rotation(rotation);
        watched.rename("app.log", "app.log.1");
        watched.follower.search_rotations(&watched.checkpoints, now);
        assert_eq!(watched.follower.rotations.len(), 1);
    }

    #[test]
    fn new_content_of_an_emptied_file_has_the_id_that_another_process_gave_it() {
        let mut watched = Watched::new("app.log");
        watched.write("app.log", 0..100);
        watched.look();
        watched.copy("app.log", "app.log.1");
        watched.write("app.log", 0..0);
        watched.look();
        watched.write("app.log", 100..200);
        let path = watched.path("app.log").display().to_string();
        let id = watched.checkpoints.new_id(&path);
        let of_other = FilePosition {
            id: id.clone(),
            bytes: fs::metadata(&path).unwrap().len(),
            ..watched.checkpoints.at_path(&path).next().unwrap().clone()
        };
        watched.checkpoints.learn([of_other]);
        watched.look();
        let ids: Vec<_> = watched
            .checkpoints
            .at_path(&path)
            .map(|position| &position.id)
            .collect();
        assert_eq!(ids, [&id]);
    }

    #[test]
    fn an_event_of_several_lines_waits_for_more() {
        const HEAD: &str = "2024-01-01 10:00:00 failed\n\tat a.b.C(D.java:1)\n";
        let events = |watched: &Watched| {
            let count = |text: &String| text.lines().count();
            watched.read.iter().map(count).collect::<Vec<_>>()
        };
        let mut watched = Watched::new("app.log");
        watched.follower.wait = Duration::from_secs(3_600);
        fs::write(watched.path("app.log"), HEAD).unwrap();
        watched.look();
        watched.look();
        assert!(events(&watched).is_empty());
        fs::write(watched.path("app.log"), [HEAD, "\tat a.b.E(F.java:2)\n"].concat()).unwrap();
        watched.look();
        assert!(events(&watched).is_empty());
        let whole = [HEAD, "\tat a.b.E(F.java:2)\n2024-01-01 10:00:01 one line\n"].concat();
        fs::write(watched.path("app.log"), &whole).unwrap();
        watched.look();
        assert_eq!(events(&watched), [3, 1]);
        watched.follower.wait = Duration::ZERO;
        fs::write(watched.path("app.log"), [&whole, HEAD].concat()).unwrap();
        watched.look();
        assert_eq!(events(&watched), [3, 1]);
        // Nothing has changed, and the event has waited.
        watched.look();
        assert_eq!(events(&watched), [3, 1, 2]);
        watched.look();
        assert_eq!(events(&watched), [3, 1, 2]);
    }

    #[test]
    fn a_copy_without_the_last_lines_is_not_read_again() {
        let mut watched = Watched::new("");
        for end in [100, 110] {
            watched.write("app.log", 0..end);
            watched.look();
        }
        // Ten lines came between the copy and the emptying.
        watched.write("app.log.1", 0..100);
        watched.write("app.log", 110..120);
        watched.look();
        assert_eq!(watched.read, lines(0..120).lines().collect::<Vec<_>>());
    }

    #[test]
    fn content_that_is_written_over_while_it_is_opened_is_read_from_its_copy() {
        let mut watched = Watched::new("app.log");
        watched.write("app.log", 0..100);
        watched.look();
        watched.copy("app.log", "app.log.1");
        watched.write("app.log", 100..10_100);
        watched.look_and(|watched| {
            watched.rename("app.log.1", "app.log.2");
            watched.copy("app.log", "app.log.1");
            watched.write("app.log", 10_100..20_200);
        });
        // As if the search for the first rotation had ended.
        watched.follower.rotations.clear();
        for _ in 0..3 {
            watched.look();
        }
        let expected: BTreeSet<String> = lines(0..20_200).lines().map(str::to_owned).collect();
        assert_eq!(watched.read.len(), expected.len());
        assert_eq!(watched.read.into_iter().collect::<BTreeSet<_>>(), expected);
    }
}
