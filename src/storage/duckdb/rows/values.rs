//! The values of rows: all texts but the templates that they fill.

use ::duckdb::arrow::array::StructArray;

use super::columns::LogColumn;
use super::decode;
use crate::storage::Result;
use crate::storage::duckdb::error;
use crate::storage::duckdb::words::trigrams::Trigrams;

/// Lists the columns of texts that a line or a message is made of, besides templates, identifiers and numbers.
///
/// A row layout is among them, and with it templates that do not repeat.
pub(crate) const VALUES: [LogColumn; 14] = [
    LogColumn::Layout,
    LogColumn::Variables,
    LogColumn::Id,
    LogColumn::Timestamp,
    LogColumn::Raw,
    LogColumn::Message,
    LogColumn::Appname,
    LogColumn::File,
    LogColumn::Host,
    LogColumn::Hostname,
    LogColumn::SourceType,
    LogColumn::SourceIp,
    LogColumn::DestIp,
    LogColumn::User,
];

/// Adds the trigrams of the values of rows. `columns` are those of the rows.
pub(crate) fn add_trigrams(
    rows: &StructArray,
    columns: impl Iterator<Item = LogColumn> + Clone,
    trigrams: &mut Trigrams,
) -> Result<()> {
    let texts = |column: LogColumn| {
        let place = columns.clone().position(|of_rows| of_rows == column);
        let place =
            place.ok_or_else(|| error::corrupt(format!("the column {} is not read", column.name())))?;
        decode::texts(rows, place)
    };
    for column in VALUES {
        let mut before = "";
        for text in texts(column)?.into_iter().flatten() {
            if text != before {
                trigrams.add(text);
                before = text;
            }
        }
    }
    let layouts = texts(LogColumn::Layout)?.into_iter();
    let both = layouts.zip(texts(LogColumn::Variables)?);
    for layout in both.filter_map(|(layout, variables)| layout.filter(|_| variables.is_none())) {
        if may_cut_address(layout) {
            trigrams.add_all_pairs();
        }
        // What is encoded may be cut by what the layout leaves out.
        if layout.contains('%') {
            trigrams.add_all();
        }
    }
    Ok(())
}

/// Says whether a row layout may leave a part of an address out. A value of it ends, and starts, at a dot or with one.
fn may_cut_address(layout: &str) -> bool {
    let bytes = layout.as_bytes();
    let after_dot = memchr::memchr_iter(b'{', bytes).any(|at| bytes[..at].ends_with(b"."));
    let before_number = |at: usize| matches!(bytes.get(at + 1), Some(b'.' | b'{' | b'0'..=b'9'));
    after_dot || memchr::memchr_iter(b'}', bytes).any(before_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layout_that_leaves_out_a_part_of_an_address_is_known() {
        for layout in ["10.{3}.2.1", "{3}.2.1", "10.0.{3}", "{3}{4}.1", "from {5}1.2"] {
            assert!(may_cut_address(layout), "{layout}");
        }
        for layout in ["from {3} 10.0.2.1", "{0} {1}: 10.0.2.1", "{{a}}", ""] {
            assert!(!may_cut_address(layout), "{layout}");
        }
    }
}
