//! Documents in YAML, with the lines that they begin at.

use serde::Deserialize as _;
use serde_json::Value;

use super::Refusal;

/// Limits the length of one file of rules, in bytes.
const LONGEST_FILE: usize = 16 << 20;

/// Holds a document of a text in YAML.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct YamlDocument {
    /// Holds the document as JSON.
    pub value: Value,
    lines: Vec<String>,
    first_line: usize,
}

impl YamlDocument {
    /// Returns the line at which the document begins, from 1.
    pub fn first_line(&self) -> usize {
        self.first_line
    }

    /// Adds to a refusal the line at which its faulty place is.
    pub fn locate(&self, mut refusal: Refusal) -> Refusal {
        if refusal.line.is_none() {
            let place = refusal.place.as_deref().unwrap_or_default();
            let is_key = |line: &String| {
                let line = line.trim_start_matches([' ', '-', '\'', '"']);
                line.strip_prefix(place)
                    .is_some_and(|rest| rest.starts_with([':', '\'', '"']))
            };
            let found = match place {
                "" => None,
                place => {
                    let lines = &self.lines;
                    let key = lines.iter().position(is_key);
                    key.or_else(|| lines.iter().position(|line| line.contains(place)))
                }
            };
            refusal.line = Some(self.first_line + found.unwrap_or_default());
        }
        refusal
    }
}

/// Reads the documents of a text in YAML. One that cannot be read does no harm to those before it.
pub fn read_yaml(text: &str) -> Vec<Result<YamlDocument, Refusal>> {
    if text.len() > LONGEST_FILE {
        let reason = format!("the file is longer than {} MiB", LONGEST_FILE >> 20);
        return vec![Err(Refusal::new(reason))];
    }
    let parts = documents(text);
    let read = parts
        .into_iter()
        .map(|(first_line, part)| read(first_line, &part));
    read.filter(|document| !matches!(document, Ok(document) if document.value.is_null()))
        .collect()
}

/// Cuts a text at the lines that separate documents, so that a fault in one ends no other.
fn documents(text: &str) -> Vec<(usize, String)> {
    let mut parts = vec![(1, String::new())];
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        if line == "---" || line.starts_with("--- ") {
            let rest = line.trim_start_matches("---").trim_start();
            match rest.starts_with('#') || rest.is_empty() {
                true => parts.push((number + 2, String::new())),
                false => parts.push((number + 1, format!("{rest}\n"))),
            }
        } else if line != "..."
            && let Some((_, part)) = parts.last_mut()
        {
            part.push_str(line);
            part.push('\n');
        }
    }
    parts
}

/// Limits what aliases may come to, in bytes.
const LONGEST_EXPANSION: usize = 64 << 20;

/// Returns whether the aliases of a text may come to more than is sound: each at most to the text itself.
fn has_too_many_aliases(text: &str) -> bool {
    let is_alias = |pair: &[u8]| matches!(pair, [b' ' | b'[' | b',' | b':' | b'{', b'*']);
    let aliases = text.as_bytes().windows(2).filter(|pair| is_alias(pair)).count();
    text.contains('&') && aliases.saturating_mul(text.len()) > LONGEST_EXPANSION
}

/// Limits how deep brackets may be nested. The reader of YAML takes time that grows with the square of it.
const DEEPEST_BRACKETS: usize = 1_000;

/// Returns whether more brackets are open at a place than any rule needs, whatever they mean there.
fn has_too_deep_brackets(text: &str) -> bool {
    let mut depth = 0_usize;
    text.bytes().any(|byte| {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > DEEPEST_BRACKETS
    })
}

fn read(first_line: usize, text: &str) -> Result<YamlDocument, Refusal> {
    if has_too_deep_brackets(text) {
        return Err(Refusal {
            line: Some(first_line),
            ..Refusal::new("its brackets are nested more than 1,000 deep")
        });
    }
    if has_too_many_aliases(text) {
        return Err(Refusal {
            line: Some(first_line),
            ..Refusal::new("its aliases come to too much: write out what they stand for")
        });
    }
    let deserializer = serde_norway::Deserializer::from_str(text);
    let yaml = serde_norway::Value::deserialize(deserializer);
    let value = yaml
        .and_then(serde_norway::from_value::<Value>)
        .map_err(|error| {
            let line = error.location().map(|place| first_line + place.line() - 1);
            Refusal {
                line: line.or(Some(first_line)),
                reason: format!("it is no YAML that this program reads: {error}"),
                place: None,
            }
        })?;
    Ok(YamlDocument {
        value,
        lines: text.lines().map(str::to_owned).collect(),
        first_line,
    })
}
