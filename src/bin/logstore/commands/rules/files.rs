//! Files of rules: `rules import` and `rules check`.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use logstore::detect::{ReadRule, SIGMA, Verdict, import_note, own_definition, read_rules, review};
use logstore::ingest::{FormatLibrary, files_in_archive};
use logstore::time::Zone;
use logstore::{DetectionRule, LogSource, RuleQuery, RuleStore as _};
use serde::Serialize;
use serde_json::json;

use crate::context::Context;
use crate::output::{Columns, Row, counted, note};
use crate::printable::printable;
use crate::table::Column;
use crate::{Failure, Result};

#[derive(Debug, clap::Args)]
pub(super) struct FilesArgs {
    /// Files, folders and archives (zip, tar) with rules of Sigma in YAML
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

/// Counts rules by their verdicts.
#[derive(Debug, Default, Serialize)]
struct Summary {
    rules: u64,
    works: u64,
    refused: u64,
    never_routed: u64,
    never_matches: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    imported: Option<Imported>,
}

/// Counts rules by what an import did with them.
#[derive(Debug, Default, Serialize)]
struct Imported {
    new: u64,
    changed: u64,
    unchanged: u64,
    vanished: u64,
}

/// Holds a rule with a fault, as it is printed.
#[derive(Debug, Serialize)]
struct FaultRow {
    file: String,
    line: Option<usize>,
    title: Option<String>,
    verdict: &'static str,
    reason: String,
}

impl Row for FaultRow {
    fn cells(&self, _: Zone) -> Vec<String> {
        let name = Path::new(&self.file)
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        let place = match self.line {
            Some(line) => format!("{name}:{line}"),
            None => name.into_owned(),
        };
        vec![place, self.verdict.to_owned(), self.reason.clone()]
    }
}

const FAULTS: Columns<'static> = Columns {
    table: Cow::Borrowed(&[
        Column::cut_to(24, "place"),
        Column::whole("verdict"),
        Column::cut_to(24, "reason").wrapped(),
    ]),
    csv: &["file", "line", "title", "verdict", "reason"],
};

/// Reads rules and lists those that do not work. Fails if one is refused.
pub(super) fn check(args: &FilesArgs, context: &mut Context) -> Result {
    let mut read = read_all(&args.paths, context)?;
    judge(&mut read, &[], context)?;
    let summary = Summary::of(&read);
    let faults = faults(&read);
    context.output.rows(&FAULTS, faults.into_iter().map(Ok))?;
    note(summary.text());
    match summary {
        Summary { rules: 0, .. } => Err(Failure::Nothing(None)),
        Summary { refused: 0, .. } => Ok(()),
        Summary { refused, .. } => Err(Failure::Nothing(Some(format!(
            "refused: {}",
            counted(refused, "rule")
        )))),
    }
}

/// Stores rules, and says what became of them.
pub(super) fn import(args: &FilesArgs, context: &mut Context) -> Result {
    let mut read = read_all(&args.paths, context)?;
    let store = context.store()?;
    let held = store.fetch_rules(&RuleQuery::new().rule_type(SIGMA))?;
    judge(&mut read, &held, context)?;
    for fault in faults(&read) {
        // Rules for logs that no format gives are no mistake, and some rules ask for more than one product has.
        let level = match fault.verdict {
            "refused" | "never_matches" => log::Level::Warn,
            _ => log::Level::Info,
        };
        let place = format!("{}:{}", fault.file, fault.line.unwrap_or_default());
        log::log!(level, "{place}: {}: {}", fault.verdict, fault.reason);
    }
    note_never_routed(&read);
    let mut summary = Summary::of(&read);
    let rules: Vec<DetectionRule> = read.into_iter().filter_map(|(_, read)| read.rule).collect();
    let (stored, imported) = merge(rules, held, &args.paths);
    store.upsert_rules(&stored)?;
    summary.imported = Some(imported);
    print_imported(&summary, context)?;
    match summary.rules > 0 && summary.are_all_refused() {
        true => Err(Failure::Nothing(Some("all rules are refused".to_owned()))),
        false => Ok(()),
    }
}

fn print_imported(summary: &Summary, context: &mut Context) -> Result {
    if context.output.is_table() {
        context.output.text(&format!("{}\n", summary.text()))?;
        return match summary.are_all_refused() {
            true => Ok(()),
            false => context.output.text(
                "New and changed rules apply to logs that detect has not read.\nFor those before: logstore hunt\n",
            ),
        };
    }
    let summary = json!(summary);
    let names: Vec<&str> = summary
        .as_object()
        .map(|members| members.keys().map(String::as_str).collect())
        .unwrap_or_default();
    let values = names.iter().map(|name| summary[*name].clone()).collect();
    context.output.row(&names, values)
}

/// Names the rules for logs that no format gives. They wait for such logs, and no one should think that they watch.
fn note_never_routed(read: &[(String, ReadRule)]) {
    const NAMED: usize = 10;
    let is_never_routed = |read: &ReadRule| matches!(read.verdict, Verdict::NeverRouted(_));
    let names = read.iter().filter(|(_, read)| is_never_routed(read));
    let names = names.filter_map(|(_, read)| read.rule.as_ref());
    let mut names: Vec<String> = names.map(|rule| format!("{:?}", rule.rule_name)).collect();
    if names.is_empty() {
        return;
    }
    let others = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    if others > 0 {
        names.push(format!("and {others} more"));
    }
    note(format_args!(
        "Never routed, as no format gives their logs: {}; to list them: logstore rules list --verdict never_routed",
        printable(&names.join(", "))
    ));
}

/// Judges correlations and filters, which may name rules of the store.
fn judge(read: &mut [(String, ReadRule)], held: &[DetectionRule], context: &Context) -> Result {
    let settings = &context.settings().detect;
    let rules = read.iter_mut().map(|(_, read)| read);
    review(rules, held, &sources_of(context)?, &|name| {
        settings.placeholder(name)
    });
    Ok(())
}

/// Returns the log sources of all formats.
pub(super) fn sources_of(context: &Context) -> Result<BTreeSet<LogSource>> {
    let library = match &context.settings().ingest.formats {
        Some(folder) => {
            FormatLibrary::with_folder(folder).map_err(|error| Failure::Failed(error.to_string()))?
        }
        None => FormatLibrary::built_in(),
    };
    Ok(library.log_sources())
}

/// Puts new rules beside those that the store holds. A rule that was disabled stays so.
fn merge(
    rules: Vec<DetectionRule>,
    held: Vec<DetectionRule>,
    paths: &[PathBuf],
) -> (Vec<DetectionRule>, Imported) {
    let mut imported = Imported::default();
    let mut held: HashMap<String, DetectionRule> =
        held.into_iter().map(|rule| (rule.id.clone(), rule)).collect();
    let mut stored = Vec::new();
    let mut files = BTreeSet::new();
    for mut rule in rules {
        files.extend(import_note(&rule, "file").map(str::to_owned));
        match held.remove(&rule.id) {
            None => imported.new += 1,
            Some(old) if old.rule_definition == rule.rule_definition => {
                imported.unchanged += 1;
                continue;
            }
            Some(old) => {
                // The same rule may have come by another file, such as the archive of a later release.
                match own_definition(&old.rule_definition) == own_definition(&rule.rule_definition) {
                    true => imported.unchanged += 1,
                    false => imported.changed += 1,
                }
                rule.enabled = old.enabled;
            }
        }
        stored.push(rule);
    }
    let is_of_paths = |rule: &&DetectionRule| {
        import_note(rule, "file").is_some_and(|file| {
            files.contains(file)
                || paths
                    .iter()
                    .any(|path| Path::new(file).starts_with(absolute(path)))
        })
    };
    let mut vanished: Vec<&DetectionRule> = held.values().filter(is_of_paths).collect();
    vanished.sort_by(|left, right| left.id.cmp(&right.id));
    imported.vanished = vanished.len() as u64;
    for rule in vanished {
        log::warn!(
            "the rule {} ({}) is not in its files any more: to end it, logstore rules disable {}",
            rule.id,
            rule.rule_name,
            rule.id
        );
    }
    (stored, imported)
}

fn absolute(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// Reads all rules in files and folders.
pub(super) fn read_all(paths: &[PathBuf], context: &Context) -> Result<Vec<(String, ReadRule)>> {
    let formats = sources_of(context)?;
    let settings = &context.settings().detect;
    let mut read = Vec::new();
    for path in paths {
        for entry in walkdir::WalkDir::new(absolute(path)).sort_by_file_name() {
            let entry = entry.map_err(|error| {
                let name = error.path().unwrap_or(path);
                let reason = error
                    .io_error()
                    .map_or_else(|| error.to_string(), ToString::to_string);
                unreadable(name, &reason)
            })?;
            let is_named = entry.depth() == 0;
            if !entry.file_type().is_file() || !(is_named || is_rule_file(entry.path())) {
                continue;
            }
            for (file, content) in contents(entry.path(), is_named)? {
                let rules = read_rules(&file, &content, &formats, &|name| settings.placeholder(name));
                read.extend(rules.into_iter().map(|rule| (file.clone(), rule)));
            }
        }
    }
    refuse_repeated_ids(&mut read);
    Ok(read)
}

fn unreadable(path: &Path, reason: &dyn std::fmt::Display) -> Failure {
    Failure::Failed(format!("cannot read rules from {path:?}: {reason}"))
}

/// Reads a file, or the files with rules in an archive that is named itself.
fn contents(path: &Path, is_named: bool) -> Result<Vec<(String, Vec<u8>)>> {
    let archived = match is_named {
        true => {
            files_in_archive(path, is_rule_file).map_err(|error| unreadable(&error.name, &error.reason))?
        }
        false => None,
    };
    let files = match archived {
        Some(files) if files.is_empty() => {
            return Err(unreadable(path, &"the archive has no files *.yml or *.yaml"));
        }
        Some(files) => files,
        None => vec![(
            path.to_owned(),
            std::fs::read(path).map_err(|error| unreadable(path, &error))?,
        )],
    };
    let named = files.into_iter();
    Ok(named
        .map(|(name, content)| (name.display().to_string(), content))
        .collect())
}

/// Refuses each rule with the id of an earlier one, which it would replace.
fn refuse_repeated_ids(read: &mut [(String, ReadRule)]) {
    let mut first: HashMap<String, String> = HashMap::new();
    for (file, rule) in read {
        let Some(id) = rule.rule.as_ref().map(|rule| rule.id.clone()) else {
            continue;
        };
        match first.get(&id) {
            Some(other) => {
                rule.verdict = Verdict::Refused(format!("its id {id} is that of a rule in {other}"));
                rule.rule = None;
            }
            None => drop(first.insert(id, file.clone())),
        }
    }
}

fn is_rule_file(path: &Path) -> bool {
    let end = path.extension().and_then(|end| end.to_str());
    end.is_some_and(|end| end.eq_ignore_ascii_case("yml") || end.eq_ignore_ascii_case("yaml"))
}

fn faults(read: &[(String, ReadRule)]) -> Vec<FaultRow> {
    let faulty = read.iter().flat_map(|(file, read)| {
        let reasons = read.verdict.reason().into_iter();
        let reasons = reasons.chain(read.warnings.iter().map(String::as_str));
        reasons.map(|reason| FaultRow {
            file: file.clone(),
            line: read.line,
            title: read.rule.as_ref().map(|rule| rule.rule_name.clone()),
            verdict: read.verdict.as_str(),
            reason: reason.to_owned(),
        })
    });
    faulty.collect()
}

impl Summary {
    fn of(read: &[(String, ReadRule)]) -> Self {
        let count = |word: &str| {
            read.iter()
                .filter(|(_, rule)| rule.verdict.as_str() == word)
                .count() as u64
        };
        Self {
            rules: read.len() as u64,
            works: count("works"),
            refused: count("refused"),
            never_routed: count("never_routed"),
            never_matches: count("never_matches"),
            imported: None,
        }
    }

    /// Returns whether there is no rule but refused ones.
    fn are_all_refused(&self) -> bool {
        self.refused == self.rules
    }

    fn text(&self) -> String {
        let mut text = format!(
            "{}: works {}, refused {}, never routed {}, never matches {}",
            counted(self.rules, "rule"),
            self.works,
            self.refused,
            self.never_routed,
            self.never_matches
        );
        if let Some(imported) = &self.imported {
            text += &format!(
                ". New {}, changed {}, unchanged {}, vanished {}",
                imported.new, imported.changed, imported.unchanged, imported.vanished
            );
        }
        text
    }
}
