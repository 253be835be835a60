//! `logstore count`: how many logs, by field or over time.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use logstore::storage::{GroupCount, TimeBucket};
use logstore::{Field, InvalidValue, LogStore as _};
use serde_json::Value;

use crate::Result;
use crate::context::Context;
use crate::filters::{Filters, matched_logs, note_cut, note_unknown_fields};
use crate::flags::{Limit, TimeLimit, span};
use crate::output::{Columns, NamedRow, note};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    filters: Filters,

    #[command(flatten)]
    limit: Limit,

    #[command(flatten)]
    time: TimeLimit,

    /// Count for each value of these fields
    #[arg(long, value_name = "FIELD,...", value_delimiter = ',')]
    by: Vec<String>,

    /// Count for each stretch of this length, such as 5m; stretches of days begin at midnight in UTC
    #[arg(long, value_name = "TIME", value_parser = span, conflicts_with_all = ["by", "limit"])]
    every: Option<Duration>,
}

pub(crate) fn run(args: &Args, context: &mut Context) -> Result {
    let query = args.filters.query(context.output.zone())?;
    let fields = args.by.iter().map(|name| name.parse());
    let fields: Vec<Field> = fields.collect::<Result<_, InvalidValue>>()?;
    let store = context.existing_store_within(&args.time)?;
    if let Some(every) = args.every {
        let width = TimeDelta::from_std(every)
            .map_err(|error| InvalidValue::new("width", &format!("{every:?}"), error.to_string()))?;
        let buckets = store.histogram(&query, width)?;
        print_histogram(&fill_gaps(&buckets, width), context)?;
        return matched_logs(buckets.len() as u64, &query, &store, context.output.zone());
    }
    if args.by.is_empty() {
        let count = store.count_logs(&query)?;
        match context.output.is_table() {
            true => context.output.text(&format!("{count}\n"))?,
            false => context.output.row(&["count"], vec![count.into()])?,
        }
        return matched_logs(count, &query, &store, context.output.zone());
    }
    let mut groups = store.count_logs_by(&query, &fields)?;
    let without_values: Vec<&Field> = fields
        .iter()
        .enumerate()
        .filter(|(index, _)| {
            groups
                .iter()
                .all(|group| matches!(group.values.get(*index), Some(None)))
        })
        .map(|(_, field)| field)
        .collect();
    let count = groups.len() as u64;
    if let Some(limit) = context.output.limit(args.limit.limit) {
        groups.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    }
    let mut names = vec!["count"];
    names.extend(args.by.iter().map(String::as_str));
    let rows = groups
        .into_iter()
        .map(|group| Ok(NamedRow::new(&names, values(group))));
    let printed = context.output.rows(&Columns::named(&names), rows)?;
    note_cut(printed, count, "groups");
    note_unknown_fields(without_values, &store);
    matched_logs(printed, &query, &store, context.output.zone())
}

fn values(group: GroupCount) -> Vec<Value> {
    let mut values = vec![group.count.into()];
    values.extend(group.values.into_iter().map(Value::from));
    values
}

/// Adds stretches without logs. They count 0, so that silence shows.
fn fill_gaps(buckets: &[TimeBucket], width: TimeDelta) -> Vec<(DateTime<Utc>, u64)> {
    /// Limits the stretches that fill a gap. A longer gap is not filled, as more of them say nothing more.
    const LONGEST_GAP: usize = 1_000;
    let (mut filled, mut longer_gaps) = (Vec::<(DateTime<Utc>, u64)>::new(), 0);
    for bucket in buckets {
        if let Some((last, _)) = filled.last().copied() {
            let starts = std::iter::successors(last.checked_add_signed(width), |start| {
                start.checked_add_signed(width)
            });
            let gap: Vec<_> = starts
                .take_while(|start| *start < bucket.start)
                .take(LONGEST_GAP + 1)
                .collect();
            match gap.len() {
                ..=LONGEST_GAP => filled.extend(gap.into_iter().map(|start| (start, 0))),
                _ => longer_gaps += 1,
            }
        }
        filled.push((bucket.start, bucket.count));
    }
    if longer_gaps > 0 {
        note(format_args!(
            "Gaps of more than {LONGEST_GAP} stretches without logs are left out: {longer_gaps}"
        ));
    }
    filled
}

/// Returns how many blocks the greatest count has. A terminal has room for a time and a count next to them.
fn longest_bar(width: Option<usize>) -> u64 {
    const TIME_AND_COUNT: usize = 38;
    const LONGEST: u64 = 50;
    let room = width.map(|width| width.saturating_sub(TIME_AND_COUNT).max(1) as u64);
    room.unwrap_or(LONGEST).min(LONGEST)
}

fn print_histogram(buckets: &[(DateTime<Utc>, u64)], context: &mut Context) -> Result {
    let most = buckets
        .iter()
        .map(|(_, count)| *count)
        .max()
        .unwrap_or_default()
        .max(1);
    let has_bars = context.output.is_table();
    let longest_bar = longest_bar(context.output.width());
    let zone = context.output.zone();
    let names: &[&str] = if has_bars {
        &["start", "count", ""]
    } else {
        &["start", "count"]
    };
    let rows = buckets.iter().map(|(start, count)| {
        let start = zone.format(*start, SecondsFormat::AutoSi);
        let mut values: Vec<Value> = vec![start.into(), (*count).into()];
        if has_bars {
            let length = (count * longest_bar).div_ceil(most);
            values.push("█".repeat(usize::try_from(length).unwrap_or_default()).into());
        }
        Ok(NamedRow::new(names, values))
    });
    context.output.rows(&Columns::named(names), rows).map(drop)
}
