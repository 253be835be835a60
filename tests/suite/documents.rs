//! Documents name tests as evidence, and files as places to look: all of them exist.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Each document with its text.
fn documents() -> Vec<(PathBuf, String)> {
    let patterns = ["*.md", "docs/*.md", "benches/*.md"];
    let found = patterns.map(|pattern| glob::glob(root().join(pattern).to_str().unwrap()).unwrap());
    let files = found.into_iter().flatten().map(Result::unwrap);
    files
        .map(|file| (file.clone(), fs::read_to_string(file).unwrap()))
        .collect()
}

/// The files of some folders, by their paths in the repository.
fn files_in(folders: &[&str]) -> Vec<String> {
    let files = folders
        .iter()
        .flat_map(|folder| walkdir::WalkDir::new(root().join(folder)));
    let files = files
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file());
    files
        .map(|entry| entry.path().strip_prefix(root()).unwrap().display().to_string())
        .collect()
}

/// What a pattern with one group finds in the documents, each with the name of its document.
fn found_in_documents(pattern: &str) -> Vec<(PathBuf, String)> {
    let pattern = Regex::new(pattern).unwrap();
    let mut found = Vec::new();
    for (document, text) in documents() {
        let texts = pattern
            .captures_iter(&text)
            .map(|captures| captures[1].to_owned());
        found.extend(texts.map(|text| (document.clone(), text)));
    }
    assert!(!found.is_empty(), "{pattern}");
    found
}

#[test]
fn links_lead_somewhere() {
    for (document, link) in found_in_documents(r"\]\(([^)#\s]+)") {
        let is_there = document.parent().unwrap().join(&link).exists();
        assert!(is_there || link.contains("://"), "{}: {link}", document.display());
    }
}

#[test]
fn files_that_documents_name_exist() {
    let files = files_in(&["src", "tests", "benches", "examples", "scripts"]);
    for (document, name) in found_in_documents(r"`([\w/]+\.(?:rs|sql|sh|py))`") {
        let is_there = files
            .iter()
            .any(|file| *file == name || file.ends_with(&format!("/{name}")));
        assert!(is_there, "{}: {name}", document.display());
    }
}

#[test]
fn tests_that_documents_name_exist() {
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    for file in files_in(&["tests/suite"]) {
        let module = file.trim_start_matches("tests/suite/").split(['/', '.']).next();
        let text = fs::read_to_string(root().join(&file)).unwrap_or_default();
        texts
            .entry(module.unwrap().to_owned())
            .or_default()
            .push_str(&text);
    }
    // A part of a test's name stands for all tests that have it, as on the command line.
    for (document, name) in found_in_documents(r"`(?:scripts/test )?([a-z_]+::[a-z_0-9]*)") {
        let (module, test) = name.split_once("::").unwrap();
        let Some(text) = texts.get(module) else { continue };
        let is_there = test.is_empty() || text.contains(&format!("fn {test}"));
        let is_module = text.contains(&format!("mod {test}"));
        assert!(is_there || is_module, "{}: {name}", document.display());
    }
}
