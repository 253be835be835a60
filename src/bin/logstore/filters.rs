//! The flags that choose the logs of a command.

use std::net::IpAddr;

use chrono::{DateTime, SecondsFormat, Utc};
use logstore::feeds;
use logstore::time::Zone;
use logstore::{
    Condition, DuckDbStore, Field, Filter, Indicator, InvalidValue, LogEntry, LogQuery, LogStore as _,
    Operator, Pattern,
};

use crate::Failure;
use crate::flags::Limit;
use crate::output::note;
use crate::printable::printable;
use crate::typed_time::typed_time;

/// Flags that choose logs. All of them must hold.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Which logs")]
pub(crate) struct Filters {
    /// From this time on: 1m or "2 hours ago", today, 10:00, or a time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) since: Option<String>,

    /// Before this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) until: Option<String>,

    /// A filter that must hold, such as "user = root and (outcome = failure or level >= err)"; repeatable
    ///
    /// Conditions are FIELD = VALUE, with != < <= > >= instead of =, FIELD in (A, B), FIELD in 10.0.0.0/8,
    /// FIELD contains TEXT, startswith, endswith, FIELD ~ 'REGEX' and FIELD exists, combined with and, or, not and
    /// brackets. An i behind a value takes any letter case. The field text is the line. The flags below are short
    /// forms: all of them must hold as well.
    #[arg(long = "filter", value_name = "FILTER")]
    expressions: Vec<String>,

    /// A field has this value, or with != another or none; repeatable: short for --filter 'FIELD = VALUE'
    ///
    /// A field is a column such as appname or source_ip, or a path such as normalized.http.version, for which
    /// http.version is short.
    #[arg(short = 'w', long = "where", value_name = "FIELD=VALUE")]
    conditions: Vec<String>,

    /// A field has one of these values; repeatable: short for --filter 'FIELD in (A, B)'
    #[arg(long = "in", value_name = "FIELD=A,B,...")]
    lists: Vec<String>,

    /// A field matches this regular expression; repeatable: short for --filter "FIELD ~ 'PATTERN'"
    #[arg(long = "match", value_name = "FIELD=PATTERN")]
    patterns: Vec<String>,

    /// A field is an address in this network; repeatable: short for --filter 'FIELD in NETWORK'
    #[arg(long = "cidr", value_name = "FIELD=NETWORK")]
    networks: Vec<String>,

    /// The log has this as a whole word or value, in any letter case; repeatable: short for --filter 'any has VALUE'
    ///
    /// An address is found in any of its spellings, a name or a phrase where no letter or digit goes on before or after
    /// it. The line, the columns and the values of the fields are looked at. In a store in a file, only blocks of logs
    /// are read that may have it.
    #[arg(long, value_name = "VALUE")]
    has: Vec<String>,

    /// The line holds this text, parts of words included; repeatable
    #[arg(short, long, value_name = "TEXT")]
    contains: Vec<String>,

    /// The line matches this regular expression; repeatable
    #[arg(short = 'e', long, value_name = "PATTERN")]
    regex: Vec<String>,

    /// Let --contains, --regex and --match take any letter case
    #[arg(short, long)]
    ignore_case: bool,
}

impl Filters {
    /// Returns the query that the flags describe.
    pub(crate) fn query(&self, zone: Zone) -> Result<LogQuery, InvalidValue> {
        let mut query = LogQuery::new();
        if let Some(since) = &self.since {
            query = query.since(typed_time(since, zone)?);
        }
        if let Some(until) = &self.until {
            query = query.until(typed_time(until, zone)?);
        }
        for text in &self.expressions {
            query = query.filter(text.parse()?);
        }
        for text in &self.conditions {
            query = query.filter(comparison(text)?);
        }
        for text in &self.lists {
            let (field, values) = field_and_value(text)?;
            let values = values.split(',').map(str::trim);
            query = query.filter(Condition::new(field, Operator::one_of(values))?.into());
        }
        for text in &self.patterns {
            let (field, pattern) = field_and_value(text)?;
            let operator = Operator::Matches(self.pattern(pattern)?);
            query = query.filter(Condition::new(field, operator)?.into());
        }
        for text in &self.networks {
            let (field, network) = field_and_value(text)?;
            let operator = Operator::in_network(network)?;
            query = query.filter(Condition::new(field, operator)?.into());
        }
        for value in &self.has {
            query = query.has(value)?;
        }
        for text in &self.contains {
            query = match self.ignore_case {
                true => query.pattern(Pattern::literal_ignoring_case(text)?),
                false => query.contains(text),
            };
        }
        for pattern in &self.regex {
            query = query.pattern(self.pattern(pattern)?);
        }
        Ok(query)
    }

    fn pattern(&self, source: &str) -> Result<Pattern, InvalidValue> {
        match self.ignore_case {
            true => format!("(?i:{source})").parse(),
            false => source.parse(),
        }
    }
}

fn field_and_value(text: &str) -> Result<(Field, &str), InvalidValue> {
    let (field, value) = text.split_once('=').ok_or_else(|| {
        let form = "use the form FIELD=VALUE; for other comparisons, see --filter";
        InvalidValue::new("condition", text, form)
    })?;
    Ok((field.parse()?, value))
}

fn comparison(text: &str) -> Result<Filter, InvalidValue> {
    let unequal = text.split_once("!=").filter(|(field, _)| !field.contains('='));
    let (field, value) = match unequal {
        Some((field, value)) => (field.parse()?, value),
        None => field_and_value(text)?,
    };
    if value.starts_with(' ') {
        let reason =
            "the value begins with a blank: leave it out, or write it in quotation marks with --filter";
        return Err(InvalidValue::new("condition", text, reason));
    }
    let filter: Filter = Condition::new(field, Operator::equals(value))?.into();
    match unequal {
        Some(_) => filter.negated(),
        None => Ok(filter),
    }
}

/// Says that logs were printed, or fails as [`matched`] does.
///
/// The error notes fields that no log seems to have.
pub(crate) fn matched_logs(
    printed: u64,
    query: &LogQuery,
    store: &DuckDbStore,
    zone: Zone,
) -> Result<(), Failure> {
    let matched = matched(printed, "logs", (query.since, query.until), zone);
    let Err(Failure::Nothing(Some(text))) = matched else {
        return matched;
    };
    let fields = query.filters().iter().flat_map(Filter::fields);
    let conditions = query.filters().iter().flat_map(Filter::conditions);
    let mut lines = vec![text];
    lines.extend(newest_before(query, store, zone));
    lines.extend(unknown_fields(fields, store));
    lines.extend(conditions.filter_map(other_search));
    Err(Failure::Nothing(Some(lines.join("\n"))))
}

/// Says of when the newest log is, if that is before the times of a query.
fn newest_before(query: &LogQuery, store: &DuckDbStore, zone: Zone) -> Option<String> {
    let since = query.since.filter(|since| *since <= Utc::now())?;
    if query.until.is_some_and(|until| until <= since) {
        return None;
    }
    let newest = store.scan_logs(&LogQuery::new().limit(1));
    let newest = newest
        .and_then(|mut logs| logs.next().transpose())
        .inspect_err(|error| log::debug!("cannot look for the newest log: {error}"))
        .ok()??;
    (newest.event_time < since).then(|| {
        let shown = |time| zone.format(time, SecondsFormat::AutoSi);
        let (newest, since) = (shown(newest.event_time), shown(since));
        format!("the newest log is of {newest}, before --since {since}")
    })
}

/// Says how to look for what the value of a condition seems to mean. `has` looks for it as it is written.
fn other_search(condition: &Condition) -> Option<String> {
    let Operator::Has(value) = condition.operator() else {
        return None;
    };
    let start = format!("has {value} looks for this text itself:");
    if let Some(one_of) = one_of(condition.field(), value) {
        return Some(format!(
            "{start} logs with one of several are found by --filter '{one_of}'"
        ));
    }
    match feeds::indicator(value).ok()? {
        Indicator::Cidr(network) => Some(format!(
            "{start} addresses in the network are found by --filter 'source_ip in {network}', or in all texts by \
             logstore intel lookup {network}"
        )),
        Indicator::Ip(_) if value.parse::<IpAddr>().is_ok() => None,
        indicator => {
            let plain = indicator.to_string();
            // The canonical form of a URL without a path has a slash at its end.
            let bare = |text: &str| text.trim_end_matches('/').to_lowercase();
            (bare(&plain) != bare(value)).then(|| format!("{start} did you mean {plain}?"))
        }
    }
}

/// Returns a filter for logs of which a field has one of several values that are typed as a list.
fn one_of(field: &Field, list: &str) -> Option<Filter> {
    let is_value = |text: &str| !text.is_empty() && !text.contains(char::is_whitespace);
    if !list.contains(',') || !list.split(',').all(is_value) {
        return None;
    }
    let has = |value| Condition::new(field.clone(), Operator::has(value)).map(Filter::from);
    let filters = list.split(',').map(has).collect::<Result<Vec<_>, _>>().ok()?;
    Filter::any(filters).ok()
}

/// Prints a note about fields that no log seems to have.
pub(crate) fn note_unknown_fields<'a>(fields: impl IntoIterator<Item = &'a Field>, store: &DuckDbStore) {
    if let Some(text) = unknown_fields(fields, store) {
        for line in text.lines() {
            note(printable(line));
        }
    }
}

/// Says which fields the newest logs do not have, and which ones are called like them.
///
/// Sources name their fields as they like, so this is no error.
fn unknown_fields<'a>(fields: impl IntoIterator<Item = &'a Field>, store: &DuckDbStore) -> Option<String> {
    let mut fields: Vec<&Field> = fields.into_iter().filter(|field| field.is_path()).collect();
    fields.sort_by_key(ToString::to_string);
    fields.dedup();
    if fields.is_empty() {
        return None;
    }
    let logs = match newest_logs(store) {
        Ok(logs) if !logs.is_empty() => logs,
        Ok(_) => return None,
        Err(error) => {
            log::debug!("cannot look for fields to suggest: {error}");
            return None;
        }
    };
    let notes = fields.into_iter().filter_map(|field| {
        let suggestions = field.suggestions(&logs)?;
        let missing = format!("none of the newest {} logs has the field {field}", logs.len());
        Some(match suggestions.join(" or ") {
            none if none.is_empty() => missing,
            some => format!("{missing}: did you mean {some}?"),
        })
    });
    let notes: Vec<String> = notes.collect();
    (!notes.is_empty()).then(|| notes.join("\n"))
}

/// Reads the newest logs, as many as are quickly read.
fn newest_logs(store: &DuckDbStore) -> logstore::Result<Vec<LogEntry>> {
    const MOST: u64 = 2_000;
    const LONGEST: usize = 16 << 20;
    let mut logs = Vec::new();
    let mut length = 0;
    for log in store.scan_logs(&LogQuery::new().limit(MOST))? {
        let log = log?;
        length += log.raw.as_ref().map_or(0, String::len);
        logs.push(log);
        if length > LONGEST {
            break;
        }
    }
    Ok(logs)
}

/// Says that not all that was found is printed.
pub(crate) fn note_cut(printed: u64, count: u64, what: &str) {
    if printed < count {
        note(format_args!(
            "{printed} of {count} {what} are shown; --limit 0 shows all."
        ));
    }
}

/// Says that there may be more than what is printed, where that was not counted and no limit was given.
pub(crate) fn note_limit(printed: u64, given: Limit, limit: Option<u64>, what: &str) {
    if given.limit.is_none() && limit == Some(printed) {
        note(format_args!(
            "At most {printed} {what} are shown; --limit 0 shows all."
        ));
    }
}

/// Says that something was printed, or fails by the one rule of `fetch`, `count` and the lists: nothing matched.
pub(crate) fn matched(
    printed: u64,
    what: &str,
    (since, until): (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
    zone: Zone,
) -> Result<(), Failure> {
    if printed > 0 {
        return Ok(());
    }
    let shown = |time| zone.format(time, SecondsFormat::AutoSi);
    let text = match since.zip(until).filter(|(since, until)| since >= until) {
        Some((since, until)) => format!(
            "no {what} matched: the range is empty, as --since {} is not before --until {}",
            shown(since),
            shown(until)
        ),
        None => match since.filter(|since| *since > Utc::now()) {
            Some(since) => format!("no {what} matched: --since {} is in the future", shown(since)),
            None => format!("no {what} matched"),
        },
    };
    Err(Failure::Nothing(Some(text)))
}
