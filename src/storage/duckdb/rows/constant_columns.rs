//! Columns that need not be handed over row by row.
//!
//! They are columns without any value, and columns of texts with one text in all rows or with the texts of another
//! column.

use ::duckdb::arrow::array::{Array as _, AsArray as _, RecordBatch, StringArray};
use ::duckdb::arrow::datatypes::DataType;

/// Says how to select the columns of some rows.
pub(crate) struct InsertColumns {
    /// Lists the columns that are handed over row by row.
    pub(crate) handed_over: Vec<usize>,
    /// Holds SQL for all columns, in their order.
    pub(crate) sql: String,
    pub(crate) parameters: Vec<String>,
}

impl InsertColumns {
    /// Returns how to select the columns of chunks, which all have the same columns.
    pub(crate) fn from_chunks(chunks: &[RecordBatch]) -> Self {
        let mut selection = Self {
            handed_over: Vec::new(),
            sql: String::new(),
            parameters: Vec::new(),
        };
        let fields = chunks.first().map(RecordBatch::schema_ref);
        for (column, field) in fields.into_iter().flat_map(|schema| schema.fields()).enumerate() {
            let repeated = match chunks.len() > 1 {
                true => selection.repeated(chunks, column),
                false => None,
            };
            let expression = repeated.unwrap_or_else(|| {
                selection.handed_over.push(column);
                format!("\"{}\"", field.name())
            });
            selection.sql += if column == 0 { "" } else { ", " };
            selection.sql += &expression;
        }
        selection
    }

    /// Returns SQL for a column that need not be handed over.
    fn repeated(&mut self, chunks: &[RecordBatch], column: usize) -> Option<String> {
        let is_empty = |chunk: &RecordBatch| chunk.column(column).null_count() == chunk.num_rows();
        if chunks.iter().all(is_empty) {
            return Some("NULL".to_owned());
        }
        match chunks[0].column(column).data_type() {
            DataType::Utf8 => self.repeated_text(chunks, column),
            _ => None,
        }
    }

    /// Returns SQL for a column of texts that need not be handed over.
    fn repeated_text(&mut self, chunks: &[RecordBatch], column: usize) -> Option<String> {
        let texts = || {
            chunks
                .iter()
                .map(move |chunk| chunk.column(column).as_string::<i32>())
        };
        if let Some(text) = only_text(texts().next()?)
            && texts().all(|texts| only_text(texts) == Some(text))
        {
            self.parameters.push(text.to_owned());
            return Some("?".to_owned());
        }
        let same = |other: &&usize| {
            let other = **other;
            chunks[0].column(other).data_type() == &DataType::Utf8
                && chunks
                    .iter()
                    .all(|chunk| chunk.column(other) == chunk.column(column))
        };
        let other = *self.handed_over.iter().find(same)?;
        Some(format!("\"{}\"", chunks[0].schema_ref().field(other).name()))
    }
}

/// Returns the text of all rows, if it is the same in each.
fn only_text(texts: &StringArray) -> Option<&str> {
    let text = texts.iter().next()??;
    texts.iter().all(|other| other == Some(text)).then_some(text)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ::duckdb::arrow::array::{ArrayRef, Int64Array};

    use super::*;

    type Texts = [Option<&'static str>; 2];

    /// Selects the columns of chunks with a column of numbers and columns `a`, `b`, ... of these texts.
    fn selection(chunks: &[&[Texts]]) -> InsertColumns {
        let chunk = |columns: &&[Texts]| {
            let number: ArrayRef = Arc::new(Int64Array::from(vec![7, 7]));
            let texts = columns
                .iter()
                .map(|texts| -> ArrayRef { Arc::new(StringArray::from(texts.to_vec())) });
            let names = ["n", "a", "b", "c"].into_iter();
            RecordBatch::try_from_iter(names.zip(std::iter::once(number).chain(texts))).unwrap()
        };
        InsertColumns::from_chunks(&chunks.iter().map(chunk).collect::<Vec<_>>())
    }

    #[test]
    fn what_differs_is_handed_over() {
        let (x, y) = (Some("x"), Some("y"));
        for chunks in [
            [&[[x, y]], &[[x, y]]],
            [&[[x, x]], &[[y, y]]],
            [&[[x, x]], &[[x, None]]],
            [&[[None, None]], &[[None, x]]],
            [&[[None, None]], &[[x, x]]],
        ] {
            let selection = selection(&chunks.map(|columns| &columns[..]));
            assert_eq!(selection.sql, r#""n", "a""#, "{chunks:?}");
            assert_eq!(selection.handed_over, [0, 1]);
        }
    }

    #[test]
    fn what_is_repeated_is_told_at_once() {
        let texts = [Some("x\0'"), Some("y")];
        let columns = [[Some("'"); 2], texts, texts];
        let selected = selection(&[&columns, &columns]);
        assert_eq!(selected.sql, r#""n", ?, "b", "b""#);
        assert_eq!(selected.handed_over, [0, 2]);
        assert_eq!(selected.parameters, ["'"]);
        let empty = [[None; 2], [Some(""); 2], [Some("x"), None]];
        let selected = selection(&[&empty, &empty]);
        assert_eq!(selected.sql, r#""n", NULL, ?, "c""#);
        assert_eq!(selected.parameters, [""]);
    }

    #[test]
    fn a_few_rows_are_handed_over_as_they_are() {
        let selection = selection(&[&[[Some("x"); 2], [None; 2]]]);
        assert_eq!(selection.sql, r#""n", "a", "b""#);
        assert_eq!(selection.handed_over, [0, 1, 2]);
    }
}
