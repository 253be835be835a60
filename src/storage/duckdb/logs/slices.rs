//! Reads the slices of filters: see [`filter`](crate::storage::duckdb::words::filter).

use std::collections::{BTreeSet, HashMap};

use ::duckdb::Connection;

use crate::storage::Result;
use crate::storage::duckdb::commit_order::CommitOrder;
use crate::storage::duckdb::error;
use crate::storage::duckdb::sql::statement;
use crate::storage::duckdb::words::filter;

/// Holds the slices of all filters that tell of some keys.
pub(super) struct Slices(HashMap<(i64, i16), Vec<u8>>);

impl Slices {
    /// Reads the slices with these numbers.
    pub(super) fn read(connection: &Connection, order: CommitOrder, numbers: &BTreeSet<i16>) -> Result<Self> {
        let sql = slices_sql(order, numbers);
        let mut slices = HashMap::new();
        let read = statement::query_all(connection, &sql, [], |row| {
            Ok(((row.get(0)?, row.get(1)?), row.get(2)?))
        });
        for (place, words) in read.map_err(|error| error::engine("search the words of logs", error))? {
            // A block that is there twice has no filter to trust.
            let is_double = slices.insert(place, words).is_some();
            if is_double {
                slices.insert(place, Vec::new());
            }
        }
        Ok(Self(slices))
    }

    /// Says whether a block may hold a key. A slice that is missing may hold every key.
    pub(super) fn may_hold(&self, first_seq: i64, key: u64) -> bool {
        let slice = self.0.get(&(first_seq, number_of(key)));
        slice.is_none_or(|slice| filter::may_hold(slice, key))
    }
}

/// Returns the query for slices. Of a list, the engine would read all slices between the first and the last: of many, it
/// does so once, and in a lake, where it would open each file again.
fn slices_sql(order: CommitOrder, numbers: &BTreeSet<i16>) -> String {
    /// Limits the slices that the engine finds one by one.
    const FEW: usize = 8;
    let of = |condition: String| {
        let first_seq = order.seq_sql("first_seq");
        format!("SELECT {first_seq}, slice, words FROM block_words WHERE slice {condition}")
    };
    let is_each_found = order == CommitOrder::Counter && numbers.len() <= FEW;
    let selects: Vec<String> = match is_each_found {
        true => numbers.iter().map(|number| of(format!("= {number}"))).collect(),
        false => {
            let numbers: Vec<String> = numbers.iter().map(i16::to_string).collect();
            vec![of(format!("IN ({})", numbers.join(", ")))]
        }
    };
    selects.join(" UNION ALL ")
}

/// Returns the number of the slice that tells of a key.
pub(super) fn number_of(key: u64) -> i16 {
    i16::try_from(filter::slice_of(key)).unwrap_or_default()
}
