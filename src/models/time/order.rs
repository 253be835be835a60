//! The order of day and month in a date of numbers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::models::InvalidValue;

/// Says whether a date of numbers starts with its day or its month. A date that has only one reading has that one: in
/// `13-06-2013`, the day is first.
///
/// ```
/// use logstore::time::{DateOrder, TimeContext, parse_time};
///
/// let context = TimeContext::default();
/// let day = |text, order| parse_time(text, &context.with_date_order(order)).unwrap().format("%B %d").to_string();
/// assert_eq!(day("11-06-2013 02:09:40", DateOrder::Auto), "June 11");
/// assert_eq!(day("11.06.2013 02:09:40", DateOrder::Auto), "June 11");
/// assert_eq!(day("11/06/2013 02:09:40", DateOrder::Auto), "November 06");
/// assert_eq!(day("11/06/2013 02:09:40", DateOrder::DayFirst), "June 11");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DateOrder {
    /// Takes the day first with dots and dashes, and the month first with slashes. In an ingest, a file whose other
    /// dates have only one reading decides it.
    #[default]
    Auto,
    /// Takes the day first.
    DayFirst,
    /// Takes the month first.
    MonthFirst,
}

impl DateOrder {
    /// Lists every order.
    pub const ALL: [Self; 3] = [Self::Auto, Self::DayFirst, Self::MonthFirst];

    /// Returns the order's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::DayFirst => "day_first",
            Self::MonthFirst => "month_first",
        }
    }

    /// Returns whether the day is first in a date whose numbers are separated like this.
    pub(super) fn is_day_first(self, separator: u8) -> bool {
        match self {
            Self::Auto => separator != b'/',
            Self::DayFirst => true,
            Self::MonthFirst => false,
        }
    }
}

impl fmt::Display for DateOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for DateOrder {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let known = Self::ALL.into_iter().find(|order| order.as_str() == text);
        known.ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str).join(", ");
            InvalidValue::new("date order", text, format!("use one of {names}"))
        })
    }
}
