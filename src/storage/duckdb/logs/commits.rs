//! The commits of a lake's logs, and which of them have blocks.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use ::duckdb::{Connection, params};

use super::blocks::{self, Block, FEWEST_LOGS};
use super::cover::{self, MOST, USUAL};
use crate::storage::Result;
use crate::storage::duckdb::commit_order::CommitOrder;
use crate::storage::duckdb::lake::data_files;
use crate::storage::duckdb::seq::{end_of_snapshot, snapshot_of};
use crate::storage::duckdb::sql::statement;
use crate::storage::duckdb::{error, seq};

const ORDER: CommitOrder = CommitOrder::Snapshots;

/// Returns the snapshots that added logs which are there. Of files that were not merged, the catalog tells.
pub(crate) fn snapshots(connection: &Connection) -> Result<BTreeSet<i64>> {
    let commits = data_files::commits_of_logs(connection)?;
    let mut snapshots = commits.alone;
    for merged in commits.merged {
        let sql = "SELECT DISTINCT snapshot_id FROM log_rows WHERE snapshot_id >= ? AND snapshot_id <= ?";
        let read = statement::query_all(connection, sql, params![merged.start(), merged.end()], |row| {
            row.get(0)
        });
        let read: Vec<i64> = read.map_err(|error| error::engine("read the commits of logs", error))?;
        snapshots.extend(read);
    }
    Ok(snapshots)
}

/// Extends blocks, in the order of their logs, over the sequence numbers next to them that no log has. So those of
/// commits that follow one another join, whatever else was committed between.
pub(crate) fn extended(
    blocks: &[RangeInclusive<i64>],
    snapshots: &BTreeSet<i64>,
) -> Vec<RangeInclusive<i64>> {
    let before = [None].into_iter().chain(blocks.iter().map(Some));
    let after = blocks.iter().skip(1).map(Some).chain([None]);
    let newest = snapshots.last().copied();
    let extend = |((block, before), after): ((&RangeInclusive<i64>, Option<&_>), Option<&_>)| {
        let (from, to) = snapshots_of(block);
        let is_first = before.is_none_or(|before| snapshots_of(before).1 < from);
        let is_last = after.is_none_or(|after| snapshots_of(after).0 > to);
        let start = match is_first {
            true => snapshots
                .range(..from)
                .next_back()
                .map_or(i64::MIN, |before| end_of_snapshot(*before).saturating_add(1)),
            false => *block.start(),
        };
        let end = match is_last {
            // What is committed after the filters were read is not asked for.
            true if newest <= Some(to) => i64::MAX,
            true => end_of_snapshot(to),
            false => *block.end(),
        };
        start..=end
    };
    blocks.iter().zip(before).zip(after).map(extend).collect()
}

/// Returns whether all commits of logs have blocks.
pub(crate) fn are_covered(blocks: &[RangeInclusive<i64>], snapshots: &BTreeSet<i64>) -> bool {
    let mut rest = snapshots.clone();
    for (from, to) in blocks.iter().map(snapshots_of) {
        let covered: Vec<i64> = rest.range(from..=to.max(from)).copied().collect();
        for snapshot in covered {
            rest.remove(&snapshot);
        }
    }
    rest.is_empty()
}

fn snapshots_of(block: &RangeInclusive<i64>) -> (i64, i64) {
    (snapshot_of(*block.start()), snapshot_of(*block.end()))
}

/// Describes a commit of logs.
#[derive(Debug, Clone, Copy)]
struct Commit {
    snapshot: i64,
    logs: i64,
    /// Holds the place of its last log.
    last: i64,
}

impl Commit {
    fn seq(&self, place: i64) -> i64 {
        seq::of_place(self.snapshot, place)
    }
}

/// Forgets the blocks before the first log.
pub(crate) fn forget_deleted(connection: &Connection) -> Result<()> {
    let commits = data_files::commits_of_logs(connection)?;
    let of_merged = commits.merged.iter().map(|merged| *merged.start());
    let first = commits.alone.first().copied().into_iter().chain(of_merged).min();
    let first_seq = first.map_or(i64::MAX, |first| seq::of_place(first, 0));
    blocks::forget_before(connection, ORDER, first_seq)
}

/// Gives blocks to the first commits that have none, and returns the number of their logs; 0 if there are no more.
///
/// Commits whose logs are fewer than fill a block stay without one.
pub(crate) fn cover_first(connection: &Connection) -> Result<u64> {
    let run = first_without_blocks(connection)?;
    let ranges = ranges(&run);
    let blocks = ranges
        .into_iter()
        .map(|seqs| cover::block_of(connection, ORDER, seqs))
        .collect::<Result<Vec<Block>>>()?;
    blocks::store(connection, ORDER, &blocks)?;
    let logs: i64 = run.iter().map(|commit| commit.logs).sum();
    Ok(u64::try_from(logs).unwrap_or_default())
}

/// Returns the first commits without blocks that follow one another and are enough for a block.
fn first_without_blocks(connection: &Connection) -> Result<Vec<Commit>> {
    let stored = blocks::stored(connection, ORDER)?;
    if are_covered(&stored, &snapshots(connection)?) {
        return Ok(Vec::new());
    }
    let sql =
        "SELECT snapshot_id, count(*), max(seq) FROM log_rows GROUP BY snapshot_id ORDER BY snapshot_id";
    let commits = statement::query_all(connection, sql, [], |row| {
        Ok(Commit {
            snapshot: row.get(0)?,
            logs: row.get(1)?,
            last: row.get(2)?,
        })
    });
    let commits = commits.map_err(|error| error::engine(blocks::ACTION, error))?;
    let has_block = |commit: &Commit| {
        let next = stored.partition_point(|block| snapshots_of(block).1 < commit.snapshot);
        stored
            .get(next)
            .is_some_and(|block| snapshots_of(block).0 <= commit.snapshot)
    };
    let fewest = i64::try_from(FEWEST_LOGS).unwrap_or(i64::MAX);
    let (mut run, mut logs) = (Vec::new(), 0);
    for commit in commits {
        if has_block(&commit) {
            if logs >= fewest {
                return Ok(run);
            }
            run.clear();
            logs = 0;
            continue;
        }
        logs += commit.logs;
        run.push(commit);
        if logs >= MOST {
            return Ok(run);
        }
    }
    // More logs will follow the last ones.
    Ok(if logs >= USUAL { run } else { Vec::new() })
}

/// Returns the sequence numbers of the blocks for all logs of some commits.
fn ranges(commits: &[Commit]) -> Vec<RangeInclusive<i64>> {
    let mut ranges: Vec<RangeInclusive<i64>> = Vec::new();
    let mut logs = USUAL;
    for commit in commits {
        let ends = (USUAL..).step_by(usize::try_from(USUAL).unwrap_or(1));
        let mut first = 1;
        for end in ends
            .take_while(|end| end + USUAL <= commit.last)
            .chain([commit.last])
        {
            let seqs = commit.seq(first)..=commit.seq(end);
            match ranges.last_mut() {
                Some(last) if logs + commit.logs <= USUAL => *last = *last.start()..=*seqs.end(),
                _ => {
                    ranges.push(seqs);
                    logs = 0;
                }
            }
            first = end + 1;
        }
        logs += commit.logs;
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(snapshot: i64, logs: i64) -> Commit {
        Commit {
            snapshot,
            logs,
            last: logs,
        }
    }

    fn seqs(first: (i64, i64), last: (i64, i64)) -> RangeInclusive<i64> {
        seq::of_place(first.0, first.1)..=seq::of_place(last.0, last.1)
    }

    #[test]
    fn small_commits_share_a_block_and_large_ones_have_several() {
        let commits = [
            commit(2, 9_000),
            commit(5, 7_000),
            commit(6, 400),
            commit(8, 50_000),
            commit(9, 10),
        ];
        let expected = [
            seqs((2, 1), (5, 7_000)),
            seqs((6, 1), (6, 400)),
            seqs((8, 1), (8, 16_384)),
            seqs((8, 16_385), (8, 32_768)),
            seqs((8, 32_769), (8, 50_000)),
            seqs((9, 1), (9, 10)),
        ];
        assert_eq!(ranges(&commits), expected);
    }

    #[test]
    fn blocks_of_commits_that_follow_one_another_join() {
        let snapshots = BTreeSet::from([3, 5, 8, 11]);
        let blocks = [
            seqs((3, 1), (3, 10)),
            seqs((3, 11), (3, 20)),
            seqs((5, 1), (8, 4)),
        ];
        let extended = extended(&blocks, &snapshots);
        assert_eq!(extended[0], i64::MIN..=*blocks[0].end());
        assert_eq!(extended[1], *blocks[1].start()..=end_of_snapshot(3));
        assert_eq!(extended[2], end_of_snapshot(3) + 1..=end_of_snapshot(8));
        let all = [blocks[2].clone(), seqs((11, 1), (11, 5))];
        assert_eq!(*super::extended(&all, &snapshots)[1].end(), i64::MAX);
        assert!(!are_covered(&blocks, &snapshots));
        assert!(are_covered(&blocks, &BTreeSet::from([3, 5, 7, 8])));
    }
}
