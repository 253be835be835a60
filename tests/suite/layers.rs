//! Which part of the crate may import which. An import that is not allowed here is its own reason to think again.
//!
//! The check reads the text of `src`: imports and paths that begin with `crate` or `super`, outside of comments and
//! unit tests. What the compiler refuses anyway, it does not look at.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use regex::Regex;

/// Each part, and the parts that it may import besides itself. The longest name that fits a file counts.
const PARTS: [(&str, &[&str]); 14] = [
    ("sync", &[]),
    ("backoff", &[]),
    ("stop", &["sync"]),
    ("models", &[]),
    ("feeds", &["models"]),
    ("ingest", &["models", "stop"]),
    ("storage", &["models", "sync", "backoff", "stop"]),
    (
        "storage::duckdb",
        &["models", "storage", "sync", "backoff", "stop"],
    ),
    ("detect", &["models"]),
    ("detect::run", &["detect", "models", "storage", "stop"]),
    ("detect::hunt", &["detect", "models", "storage", "stop"]),
    ("detect::looking_back", &["detect", "models", "storage"]),
    (
        "load",
        &[
            "models",
            "ingest",
            "storage",
            "storage::duckdb",
            "sync",
            "backoff",
            "stop",
        ],
    ),
    ("config", &["models", "storage", "storage::duckdb", "load"]),
];

/// The rooms of `storage::duckdb`, from the ground up. Each may import itself and those below it.
const FLOORS: [&[&str]; 15] = [
    &["error", "seq"],
    &["transaction", "sql", "words"],
    &["engine"],
    &["rows", "schema"],
    &["functions"],
    &["adopt"],
    &["lake"],
    &["commit_order"],
    &["options"],
    &["store"],
    &["tables"],
    &["logs"],
    &["open"],
    &["data_files"],
    &["backup", "check", "export", "exported", "maintain", "query"],
];

const ROOMS: &str = "storage::duckdb";

/// A path such as `storage::duckdb::engine`; the crate's root is empty.
type Module = String;

struct Source {
    file: String,
    module: Module,
    /// The text without comments, strings and unit tests; each line is where it was.
    code: String,
}

#[derive(Debug, PartialEq)]
struct Import {
    file: String,
    line: usize,
    from: Module,
    to: Module,
}

impl Import {
    fn place(&self) -> String {
        format!("{}:{}", self.file, self.line)
    }
}

/// The modules of a crate, and the names that they hand on.
struct Tree {
    sources: Vec<Source>,
    reexports: BTreeMap<Module, BTreeMap<String, Vec<String>>>,
}

impl Tree {
    fn new(files: impl IntoIterator<Item = (String, String)>) -> Self {
        let sources: Vec<Source> = files
            .into_iter()
            .map(|(file, text)| Source {
                module: module_of(&file),
                code: code_of(&text),
                file,
            })
            .collect();
        let reexport = Regex::new(r"pub(?:\([^)]*\))? use ([^;]+);").unwrap();
        let mut reexports = BTreeMap::new();
        for source in &sources {
            let names: &mut BTreeMap<_, _> = reexports.entry(source.module.clone()).or_default();
            for found in reexport.captures_iter(&source.code) {
                for (path, _) in paths(&found[1], 0) {
                    names.insert(path.last().unwrap().clone(), path);
                }
            }
        }
        Self { sources, reexports }
    }

    /// The module that defines what a path names, as seen from a module.
    fn resolve(&self, from: &str, path: &[String]) -> Module {
        let mut module = from.to_owned();
        for (index, name) in path.iter().enumerate() {
            let inner = join(&module, name);
            match name.as_str() {
                "crate" => module.clear(),
                "self" => {}
                "super" => module = parent(&module),
                _ if self.reexports.contains_key(&inner) => module = inner,
                _ => {
                    let target = self.reexports.get(&module).and_then(|names| names.get(name));
                    return match target {
                        Some(target) if index + 1 == path.len() => self.resolve(&module, target),
                        _ => module,
                    };
                }
            }
        }
        module
    }

    fn imports(&self) -> Vec<Import> {
        let start = Regex::new(r"\b(?:crate|super)(?:::\w+)*(?:::\{)?").unwrap();
        let mut imports = Vec::new();
        for source in &self.sources {
            let found = start.find_iter(&source.code).filter(|found| {
                // The visibility of an item is no import.
                !source.code[..found.start()].ends_with("pub(")
                    && !source.code[..found.start()].ends_with("in ")
            });
            for found in found {
                for (path, at) in paths(&source.code[found.start()..], found.start()) {
                    imports.push(Import {
                        file: source.file.clone(),
                        line: source.code[..at].matches('\n').count() + 1,
                        from: source.module.clone(),
                        to: self.resolve(&source.module, &path),
                    });
                }
            }
        }
        imports.retain(|import| import.from != import.to);
        imports.dedup();
        imports
    }
}

fn join(module: &str, name: &str) -> Module {
    match module {
        "" => name.to_owned(),
        _ => format!("{module}::{name}"),
    }
}

fn parent(module: &str) -> Module {
    module
        .rsplit_once("::")
        .map_or(String::new(), |(parent, _)| parent.to_owned())
}

/// Whether a module is another one, or within it.
fn is_within(module: &str, outer: &str) -> bool {
    module == outer
        || outer.is_empty()
        || module
            .strip_prefix(outer)
            .is_some_and(|rest| rest.starts_with("::"))
}

fn module_of(file: &str) -> Module {
    let path = file.trim_start_matches("src/").trim_end_matches(".rs");
    let path = path.trim_end_matches("/mod");
    match path {
        "lib" => String::new(),
        _ => path.replace('/', "::"),
    }
}

/// A text without comments, strings and unit tests, with spaces in their places.
fn code_of(text: &str) -> String {
    let text = text.split("\n#[cfg(test)]\nmod ").next().unwrap_or_default();
    let hidden = r##"(?s)//[^\n]*|/\*.*?\*/|r#".*?"#|"(?:\\.|[^"\\])*"|'(?:\\[^']+|[^'\\\n])'"##;
    let hidden = Regex::new(hidden).unwrap();
    let blank = |found: &regex::Captures<'_>| -> String {
        found[0]
            .chars()
            .map(|c| if c == '\n' { '\n' } else { ' ' })
            .collect()
    };
    hidden.replace_all(text, blank).into_owned()
}

/// The paths of `a::b` or `a::{b, c::{d, e}}` at the start of a text, each with its place; `{self}` and `*` name the
/// module before them.
fn paths(text: &str, at: usize) -> Vec<(Vec<String>, usize)> {
    let mut found = Vec::new();
    tree(text, at, &[], &mut found);
    found
}

/// Reads one path with all that is in its brackets, and says how long it is.
fn tree(text: &str, at: usize, before: &[String], found: &mut Vec<(Vec<String>, usize)>) -> usize {
    let mut path = before.to_vec();
    let mut length = 0;
    loop {
        let rest = &text[length..];
        if let Some(inner) = rest.strip_prefix('{') {
            length += 1 + list(inner, at + length + 1, &path, found);
            return length;
        }
        let name: String = rest
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        length += name.len();
        match name.as_str() {
            "" => length += usize::from(rest.starts_with('*')),
            "self" if !path.is_empty() => {}
            _ => path.push(name),
        }
        match text[length..].strip_prefix("::") {
            Some(_) => length += 2,
            None => {
                found.push((path, at));
                return length;
            }
        }
    }
}

/// Reads a list of paths up to its closing bracket, and says how long it is.
fn list(text: &str, at: usize, before: &[String], found: &mut Vec<(Vec<String>, usize)>) -> usize {
    let mut length = 0;
    loop {
        let rest = &text[length..];
        length += rest.len() - rest.trim_start_matches([' ', '\n', ',']).len();
        match text[length..].chars().next() {
            Some('}') => return length + 1,
            None => return length,
            Some(_) => {
                let read = tree(&text[length..], at + length, before, found);
                // `as name` changes nothing.
                let rest = &text[length + read..];
                length += read + rest.find([',', '}']).unwrap_or(rest.len());
            }
        }
    }
}

/// Says why an import is not allowed; `None` if it is.
fn objection(import: &Import) -> Option<String> {
    let part_of = |module: &str| {
        let fits = PARTS.iter().filter(|(part, _)| is_within(module, part));
        fits.max_by_key(|(part, _)| part.len())
    };
    let (part, allowed) = part_of(&import.from)?;
    let target = part_of(&import.to).map_or("the crate's root", |(part, _)| part);
    if target != *part && !allowed.contains(&target) {
        return Some(format!("{part} must not import {target}"));
    }
    let (room, floor) = room_of(&import.from)?;
    let (other, below) = room_of(&import.to)?;
    (room != other && below >= floor)
        .then(|| format!("{room} must not import {other}, which is not below it"))
}

/// The room of `storage::duckdb` that a module is in, and its floor.
fn room_of(module: &str) -> Option<(&str, usize)> {
    let inner = module.strip_prefix(ROOMS)?.strip_prefix("::")?;
    let room = inner.split("::").next()?;
    let floor = FLOORS.iter().position(|rooms| rooms.contains(&room));
    Some((
        room,
        floor.unwrap_or_else(|| panic!("the room {room} of {ROOMS} has no floor in this test")),
    ))
}

/// The imports that are in a circle of modules of which none is within another.
fn circles(imports: &[Import]) -> Vec<&Import> {
    let is_apart =
        |import: &&Import| !is_within(&import.from, &import.to) && !is_within(&import.to, &import.from);
    let apart: Vec<&Import> = imports.iter().filter(is_apart).collect();
    let mut targets: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for import in &apart {
        targets.entry(&import.from).or_default().insert(&import.to);
    }
    let leads_back = |import: &&Import| reaches(&targets, &import.to, &import.from);
    apart.into_iter().filter(leads_back).collect()
}

/// Whether one module imports another, or a module that does.
fn reaches(targets: &BTreeMap<&str, BTreeSet<&str>>, from: &str, to: &str) -> bool {
    let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
    while let Some(module) = next.pop() {
        if module == to {
            return true;
        }
        if seen.insert(module) {
            next.extend(targets.get(module).into_iter().flatten());
        }
    }
    false
}

/// All that is wrong with the imports of some files, a line each.
fn problems(files: impl IntoIterator<Item = (String, String)>) -> String {
    let imports = Tree::new(files).imports();
    let mut problems = String::new();
    for import in &imports {
        if let Some(objection) = objection(import) {
            writeln!(problems, "{}: {objection}", import.place()).unwrap();
        }
    }
    for import in circles(&imports) {
        let (from, to) = (&import.from, &import.to);
        writeln!(problems, "{}: {from} imports {to} in a circle", import.place()).unwrap();
    }
    problems
}

/// The files of the library.
fn library() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = walkdir::WalkDir::new(root.join("src")).sort_by_file_name();
    let files = files.into_iter().map(|entry| entry.unwrap().into_path());
    files
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| {
            let name = path
                .strip_prefix(root)
                .unwrap()
                .to_str()
                .unwrap()
                .replace('\\', "/");
            (name, std::fs::read_to_string(path).unwrap())
        })
        .filter(|(name, _)| !name.starts_with("src/bin/"))
        .collect()
}

#[test]
fn no_import_runs_up_or_in_a_circle() {
    let problems = problems(library());
    assert!(problems.is_empty(), "\n{problems}");
}

/// The problems of a few files, each given as its name and text.
fn problems_of(files: &[(&str, &str)]) -> String {
    problems(
        files
            .iter()
            .map(|(file, text)| ((*file).to_owned(), (*text).to_owned())),
    )
}

const STORAGE: (&str, &str) = (
    "src/storage/mod.rs",
    "mod copy;\nmod cursor;\npub mod duckdb;\npub use copy::{CopyReport, copy};\npub use cursor::Cursor;",
);

#[test]
fn an_import_that_runs_up_is_found() {
    let files = [
        STORAGE,
        (
            "src/storage/cursor.rs",
            "// use crate::config::Settings;\nuse crate::models::Severity;",
        ),
        (
            "src/storage/copy.rs",
            "use super::{\n    Cursor,\n    duckdb::{store::DuckDbStore as Store},\n};",
        ),
        ("src/storage/duckdb/mod.rs", "pub use store::DuckDbStore;"),
        (
            "src/storage/duckdb/store/mod.rs",
            "use super::super::Cursor;\npub(in super::super) fn f() {}",
        ),
        (
            "src/storage/duckdb/engine/gate.rs",
            "\nfn f() -> &'static str { crate::storage::duckdb::store::f(\"super::query::f\") }",
        ),
        ("src/models/severity.rs", "use crate::storage::copy;"),
        ("src/models/mod.rs", "pub use severity::Severity;"),
    ];
    let expected = "src/storage/copy.rs:3: storage must not import storage::duckdb
src/storage/duckdb/engine/gate.rs:2: engine must not import store, which is not below it
src/models/severity.rs:1: models must not import storage
";
    let found = problems_of(&files);
    assert!(found.starts_with(expected), "{found}");
}

#[test]
fn a_circle_is_found() {
    let files = [
        STORAGE,
        ("src/storage/cursor.rs", "use super::copy;"),
        (
            "src/storage/copy.rs",
            "use crate::models::Order;\nuse super::Cursor;",
        ),
        ("src/models/mod.rs", "pub use query::Order;"),
        ("src/models/query.rs", "use super::{field::Field};"),
        ("src/models/field.rs", "use super::Severity;"),
    ];
    let expected = "src/storage/cursor.rs:1: storage::cursor imports storage::copy in a circle
src/storage/copy.rs:2: storage::copy imports storage::cursor in a circle
";
    assert_eq!(problems_of(&files), expected);
}
