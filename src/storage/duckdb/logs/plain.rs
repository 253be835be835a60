//! Looks for addresses as they are printed, in blocks whose logs have them in no other form.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use ::duckdb::Connection;

use super::ranges::column_of;
use super::slices::{Slices, number_of};
use crate::storage::Result;
use crate::storage::duckdb::commit_order::CommitOrder;
use crate::storage::duckdb::sql::has::texts_of_addresses;
use crate::storage::duckdb::sql::statement;
use crate::storage::duckdb::words::keys;

/// Limits the addresses. Of more, most blocks have one of them.
const MOST: usize = 256;

/// Limits the addresses that the engine looks for one after another, which takes less time than a pattern of so few.
const FEW: usize = 8;

/// Holds blocks whose logs have what is sought only as these texts.
pub(super) struct Plain {
    texts: Vec<String>,
    pub(super) blocks: Vec<RangeInclusive<i64>>,
}

impl Plain {
    /// Takes those of some blocks, which may hold one of the addresses, that have no other spelling of any. Returns `None`
    /// if there are none.
    pub(super) fn new(
        connection: &Connection,
        order: CommitOrder,
        addresses: &BTreeSet<IpAddr>,
        mut blocks: Vec<RangeInclusive<i64>>,
    ) -> Result<Option<Self>> {
        let texts: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
        // A template leaves out a token without the colons at its ends.
        let is_cut = |text: &String| text.starts_with(':') || text.ends_with(':');
        if blocks.is_empty() || !(1..=MOST).contains(&texts.len()) || texts.iter().any(is_cut) {
            return Ok(None);
        }
        let keys: Vec<u64> = addresses
            .iter()
            .map(|address| keys::of_other_spelling(*address))
            .collect();
        let numbers = keys.iter().map(|key| number_of(*key)).collect();
        let slices = Slices::read(connection, order, &numbers)?;
        blocks.retain(|block| !keys.iter().any(|key| slices.may_hold(*block.start(), *key)));
        Ok((!blocks.is_empty()).then_some(Self { texts, blocks }))
    }

    /// Returns SQL that is true of each log with one of the texts, over `log_rows`.
    pub(super) fn condition(&self) -> String {
        let columns =
            texts_of_addresses().flat_map(|column| self.is_in(&column_of(CommitOrder::Counter, column)));
        let cuts: BTreeSet<String> = self.texts.iter().flat_map(|text| cuts(text)).collect();
        let of_cuts = cuts
            .iter()
            .map(|cut| format!("contains(layout, {})", statement::literal(cut)));
        columns.chain(of_cuts).collect::<Vec<_>>().join(" OR ")
    }

    /// Returns SQL of which one is true where a column has one of the texts.
    fn is_in(&self, column: &str) -> Vec<String> {
        let texts = self.texts.iter();
        match texts.len() {
            ..=FEW => texts
                .map(|text| format!("contains({column}, {})", statement::literal(text)))
                .collect(),
            _ => {
                let pattern = texts
                    .map(|text| regex::escape(text))
                    .collect::<Vec<_>>()
                    .join("|");
                vec![format!(
                    "regexp_matches({column}, {})",
                    statement::literal(&pattern)
                )]
            }
        }
    }
}

/// Returns texts of which a row layout has one that leaves out a part of an address.
///
/// A placeholder stands only where no letter or digit is before it, and none is after it unless its value ends with
/// another sign. So its neighbours are dots, colons, what comes after these, or another placeholder.
fn cuts(text: &str) -> BTreeSet<String> {
    let is_separator = |character: &char| matches!(character, '.' | ':');
    let mut cuts = BTreeSet::from(["}{".to_owned()]);
    for (separator, after) in text.chars().zip(text.chars().skip(1)) {
        if is_separator(&separator) {
            cuts.extend([
                format!("{separator}{{"),
                format!("}}{separator}"),
                format!("}}{after}"),
            ]);
        }
    }
    cuts
}
