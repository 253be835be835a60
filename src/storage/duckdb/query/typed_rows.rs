//! Turns rows of a query into values of the caller's own types.

use std::vec::IntoIter;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Error as JsonError, Value};

use super::{QueryRows, QueryStream};
use crate::models::InvalidValue;
use crate::storage::Result;

impl QueryRows {
    /// Deserializes each row into a value: see [`QueryStream::deserialize`].
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) if a row does not fit the type.
    pub fn deserialize<T: DeserializeOwned>(self) -> Result<Vec<T>> {
        let Self { columns, rows } = self;
        rows.into_iter().map(|row| deserialize(&columns, row)).collect()
    }
}

impl QueryStream {
    /// Deserializes each row into a value.
    ///
    /// A struct takes each field from the column of its name. A tuple or a list takes the columns in their order, and
    /// any other type takes the only column. Columns that a struct has no field for are ignored. A time can be a
    /// [`chrono::DateTime`].
    ///
    /// ```
    /// use chrono::{DateTime, Utc};
    /// use logstore::{DuckDbStore, LogEntry, LogStore};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Login {
    ///     event_time: DateTime<Utc>,
    ///     user: Option<String>,
    /// }
    ///
    /// let store = DuckDbStore::open(":memory:")?;
    /// let time = "2024-05-01T12:00:00Z".parse().unwrap();
    /// store.append_logs(&[LogEntry::new(time).with_field("user", "root")])?;
    /// for login in store.stream_query("SELECT event_time, \"user\" FROM logs", &[])?.deserialize() {
    ///     let login: Login = login?;
    ///     assert_eq!((login.event_time, login.user.as_deref()), (time, Some("root")));
    /// }
    ///
    /// let counts = store.execute_query("SELECT \"user\", count(*) FROM logs GROUP BY ALL", &[])?;
    /// let counts: Vec<(String, u64)> = counts.deserialize()?;
    /// assert_eq!(counts, [("root".to_owned(), 1)]);
    /// # Ok::<(), logstore::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The iterator yields [`Error::InvalidInput`](crate::Error::InvalidInput) for a row that does not fit the type.
    pub fn deserialize<T: DeserializeOwned>(self) -> impl Iterator<Item = Result<T>> {
        let columns = self.columns.clone();
        self.map(move |row| deserialize(&columns, row?))
    }
}

fn deserialize<T: DeserializeOwned>(columns: &[String], values: Vec<Value>) -> Result<T> {
    T::deserialize(Row { columns, values }).map_err(|error| {
        let columns = columns.join(", ");
        InvalidValue::new(
            "row with the columns",
            &columns,
            format!("it does not fit the type: {error}"),
        )
        .into()
    })
}

/// Reads a value that is neither a struct nor a tuple from the only column of a row.
macro_rules! of_one_column {
    ($($method:ident)*) => { $(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
            self.into_value()?.$method(visitor)
        }
    )* };
}

/// Presents a row to serde.
struct Row<'a> {
    columns: &'a [String],
    values: Vec<Value>,
}

impl Row<'_> {
    /// Returns the value of a row that has a single column.
    fn into_value(self) -> Result<Value, JsonError> {
        let columns = self.values.len();
        match <[Value; 1]>::try_from(self.values) {
            Ok([value]) => Ok(value),
            Err(_) => Err(JsonError::custom(format!(
                "there are {columns} columns for 1 value"
            ))),
        }
    }

    fn into_sequence(self) -> SeqDeserializer<IntoIter<Value>, JsonError> {
        SeqDeserializer::new(self.values.into_iter())
    }
}

impl<'de> Deserializer<'de> for Row<'_> {
    type Error = JsonError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        let names = self.columns.iter().map(String::as_str);
        visitor.visit_map(MapDeserializer::new(names.zip(self.values)))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        visitor.visit_seq(self.into_sequence())
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, JsonError> {
        match self.values.len() {
            columns if columns == length => visitor.visit_seq(self.into_sequence()),
            columns => {
                let problem = format!("there are {columns} columns for {length} values");
                Err(JsonError::custom(problem))
            }
        }
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, JsonError> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, JsonError> {
        visitor.visit_newtype_struct(self)
    }

    of_one_column! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128 deserialize_u8
        deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64 deserialize_char
        deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf deserialize_option
    }

    forward_to_deserialize_any! { unit unit_struct map struct enum identifier ignored_any }
}
