//! The formats: from text to a [`Stamp`], byte by byte, without allocation.
//!
//! Each format is a function that either takes all of its text or leaves the scanner where it was.

use chrono::{DateTime, NaiveDate, NaiveTime};

use super::{Date, DateOrder, Stamp, Zone, carry, time_of_day};

/// Reads a stamp at the start of `text` in any format, and returns its length as well.
pub(super) fn whole(text: &str, order: DateOrder) -> Option<(Stamp, usize)> {
    let mut scan = Scan {
        is_whole: true,
        ..Scan::new(text, order)
    };
    let stamp = scan
        .stamp()
        .or_else(|| scan.try_format(Scan::clock_only))
        .or_else(|| scan.try_format(Scan::date_only))?;
    Some((stamp, scan.at))
}

/// Reads a stamp that a log line may start with: no lone date, and a lone clock only with seconds.
pub(super) fn prefix(text: &str, order: DateOrder) -> Option<(Stamp, usize)> {
    let mut scan = Scan::new(text, order);
    let stamp = scan
        .stamp()
        .or_else(|| scan.try_format(Scan::clock_with_seconds))?;
    scan.at_boundary().then_some((stamp, scan.at))
}

/// Reads a stamp that cannot be mistaken for anything else: a date with its year, and a clock.
pub(super) fn complete(text: &str, order: DateOrder) -> Option<(Stamp, usize)> {
    let mut scan = Scan::new(text, order);
    let stamp = scan.stamp()?;
    let complete = match stamp {
        Stamp::Civil {
            date: Date::Full(_), ..
        } => text.as_bytes()[..scan.at].contains(&b':'),
        Stamp::Civil { .. } => false,
        Stamp::Instant(_) => text.as_bytes()[..scan.at].contains(&b'.'),
    };
    (complete && scan.at_boundary()).then_some((stamp, scan.at))
}

/// Returns the order that the first date of numbers with only one reading decides. Such a date has a day beyond the
/// twelfth, and a year of four digits.
pub(crate) fn deciding_order(text: &[u8]) -> Option<DateOrder> {
    let is_start =
        |at: usize| text[at].is_ascii_digit() && (at == 0 || !text[at - 1].is_ascii_alphanumeric());
    (0..text.len()).filter(|at| is_start(*at)).find_map(|at| {
        let mut scan = Scan {
            bytes: text.get(at..)?,
            at: 0,
            order: DateOrder::Auto,
            is_whole: false,
        };
        let (first, second, _) = scan.numbers_of_date()?;
        let is_year = scan.digits_ahead() == 4;
        match (first, second) {
            _ if !is_year => None,
            (13..=31, 1..=12) => Some(DateOrder::DayFirst),
            (1..=12, 13..=31) => Some(DateOrder::MonthFirst),
            _ => None,
        }
    })
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Says whether day or month comes first in dates of numbers.
    order: DateOrder,
    /// Says whether the text is to be a time and nothing else.
    is_whole: bool,
}

impl<'a> Scan<'a> {
    fn new(text: &'a str, order: DateOrder) -> Self {
        Self {
            bytes: text.as_bytes(),
            at: 0,
            order,
            is_whole: false,
        }
    }

    fn stamp(&mut self) -> Option<Stamp> {
        let formats = [
            Self::tai64n,
            Self::year_first,
            Self::day_of_year,
            Self::compact,
            Self::month_name_first,
            Self::day_first,
            Self::numeric,
            Self::month_dot_day,
            Self::epoch,
        ];
        formats.into_iter().find_map(|format| self.try_format(format))
    }

    fn try_format<T>(&mut self, format: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let start = self.at;
        let found = format(self);
        if found.is_none() {
            self.at = start;
        }
        found
    }

    // Formats.

    /// Reads `2015-05-17T10:05:03.123Z`, `2014/4/8 22:05`, `2017-06-28, 07:26:35`, `2011.11.21 14:29:16`.
    fn year_first(&mut self) -> Option<Stamp> {
        let year = self.number(4, 4)?;
        let separator = self.one_of(b"-/.")?;
        let month = self.number(1, 2)?;
        self.byte(separator)?;
        let day = self.number(1, 2)?;
        if self.byte(b'-').is_some() {
            return self.clock_with_dots(full_date(year, month, day)?);
        }
        self.date_clock_separator()?;
        self.clock_and_zone(full_date(year, month, day)?)
    }

    /// Reads the clock of `2024-05-01-10.00.14.250000+120`, as IBM i and Db2 write: the zone is in minutes.
    fn clock_with_dots(&mut self, date: NaiveDate) -> Option<Stamp> {
        let hour = self.number(2, 2)?;
        self.byte(b'.')?;
        let minute = self.number(2, 2)?;
        self.byte(b'.')?;
        let second = self.number(2, 2)?;
        let nanos = self.fraction();
        let (time, over) = time_of_day(hour, minute, second, nanos)?;
        let zone = self.try_format(|scan| {
            let sign = scan.one_of(b"+-")?;
            let minutes = i32::try_from(scan.number(3, 3)?).ok()?;
            Zone::fixed(60 * if sign == b'-' { -minutes } else { minutes })
        });
        let local = carry(date, time, over)?;
        Some(civil(Date::Full(local.date()), local.time(), zone))
    }

    /// Reads `2012-025T10:22:40,672`: the day of the year instead of month and day.
    fn day_of_year(&mut self) -> Option<Stamp> {
        let year = i32::try_from(self.number(4, 4)?).ok()?;
        self.byte(b'-')?;
        let day = self.number(3, 3)?;
        self.one_of(b"Tt ")?;
        self.clock_and_zone(NaiveDate::from_yo_opt(year, day)?)
    }

    /// Reads `20120702.102240,672`, `20120702T102240Z`, `081109 203615`, `171113 14:14:20`.
    fn compact(&mut self) -> Option<Stamp> {
        let year = match self.digits_ahead() {
            // Milliseconds have so many digits from the year 2286 on.
            14 => return self.compact_in_one(),
            8 => self.number(4, 4)?,
            6 => century(self.number(2, 2)?),
            _ => return None,
        };
        let date = full_date(year, self.number(2, 2)?, self.number(2, 2)?)?;
        let separator = self.one_of(b"T. -")?;
        if self.digits_ahead() != 6 {
            // `130324  8:24:09`, as MySQL 5.5 writes.
            if separator == b' ' {
                self.byte(b' ');
            }
            return self.clock_and_zone(date);
        }
        let (hour, minute, second) = (self.number(2, 2)?, self.number(2, 2)?, self.number(2, 2)?);
        let (time, over) = time_of_day(hour, minute, second, self.fraction())?;
        Some(self.with_zone(carry(date, time, over)?))
    }

    /// Reads `20240131120000` and `20240131120000.500`.
    fn compact_in_one(&mut self) -> Option<Stamp> {
        let date = full_date(self.number(4, 4)?, self.number(2, 2)?, self.number(2, 2)?)?;
        let (hour, minute, second) = (self.number(2, 2)?, self.number(2, 2)?, self.number(2, 2)?);
        let (time, over) = time_of_day(hour, minute, second, self.fraction())?;
        let is_of_our_age = (1970..2200).contains(&chrono::Datelike::year(&date));
        is_of_our_age.then_some(())?;
        Some(self.with_zone(carry(date, time, over)?))
    }

    /// Reads `Sep 13 00:58:45`, `Sun Dec 04 04:47:44.123 2005`, `May 8, 2009 5:57:51 PM`, `Jan  5 2024 10:00:00`.
    fn month_name_first(&mut self) -> Option<Stamp> {
        let has_weekday = self.weekday().is_some();
        let month = self.month()?;
        self.blanks()?;
        let day = self.number(1, 2)?;
        let year = self.try_format(|scan| {
            scan.date_clock_separator()?;
            let year = scan.number(4, 4)?;
            scan.date_clock_separator()?;
            Some(year)
        });
        if let Some(year) = year {
            return self.clock_and_zone(full_date(year, month, day)?);
        }
        self.blanks()?;
        let (time, over) = self.clock()?;
        let zone = self.zone();
        let year = self.try_format(|scan| {
            scan.blanks()?;
            let year = scan.number(4, 4)?;
            scan.is_year(year, has_weekday).then_some(year)
        });
        let Some(year) = year else {
            return without_year(month, day, time, zone);
        };
        let zone = zone.or_else(|| self.zone());
        let local = carry(full_date(year, month, day)?, time, over)?;
        Some(civil(Date::Full(local.date()), local.time(), zone))
    }

    /// Reads `17/May/2015:10:05:03 +0000`, `Tue, 15 Nov 1994 08:12:31 GMT`, `12 Feb 2006, 19:17`.
    fn day_first(&mut self) -> Option<Stamp> {
        self.weekday();
        let day = self.number(1, 2)?;
        let separator = self.one_of(b"/- ")?;
        let month = self.month()?;
        let year = self.try_format(|scan| {
            scan.byte(separator)?;
            scan.number(4, 4)
        });
        let Some(year) = year else {
            self.byte(b' ')?;
            let (time, _) = self.clock()?;
            let zone = self.zone();
            return without_year(month, day, time, zone);
        };
        if self.byte(b':').is_none() {
            self.date_clock_separator()?;
        }
        self.clock_and_zone(full_date(year, month, day)?)
    }

    /// Reads `4/8/2014 22:05`, `04-02-2014 03:00:51`, `17/06/09 20:10:40`.
    fn numeric(&mut self) -> Option<Stamp> {
        let date = self.numeric_date()?;
        self.date_clock_separator()?;
        self.clock_and_zone(date)
    }

    /// Reads `10.30 16:49:06`, as Proxifier writes.
    fn month_dot_day(&mut self) -> Option<Stamp> {
        let first = self.number(2, 2)?;
        self.byte(b'.')?;
        let second = self.number(2, 2)?;
        self.byte(b' ')?;
        let (time, _) = self.clock()?;
        match self.order {
            DateOrder::DayFirst => without_year(second, first, time, None),
            DateOrder::Auto | DateOrder::MonthFirst => without_year(first, second, time, None),
        }
    }

    /// Reads seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by their digits. As a whole text,
    /// 18 digits count the ticks of Windows or .NET, because so few nanoseconds ended in 2001.
    fn epoch(&mut self) -> Option<Stamp> {
        let length = self.digits_ahead();
        if self.is_whole
            && length == 18
            && let Some(ticks) = self.try_format(Self::ticks)
        {
            return Some(ticks);
        }
        let nanos_per_unit: i128 = match length {
            9..=11 => 1_000_000_000,
            12..=14 => 1_000_000,
            15..=17 => 1_000,
            18..=19 => 1,
            _ => return None,
        };
        let whole: i128 = std::str::from_utf8(self.take(length)?).ok()?.parse().ok()?;
        let fraction = i128::from(self.fraction()) * nanos_per_unit / 1_000_000_000;
        let nanos = whole * nanos_per_unit + fraction;
        let seconds = i64::try_from(nanos / 1_000_000_000).ok()?;
        let subsecond = u32::try_from(nanos % 1_000_000_000).ok()?;
        DateTime::from_timestamp(seconds, subsecond).map(Stamp::Instant)
    }

    /// Reads a FILETIME or .NET ticks: tenths of a microsecond since 1601 or since year 1.
    fn ticks(&mut self) -> Option<Stamp> {
        const UNIX_IN_FILETIME: i64 = 116_444_736_000_000_000;
        const UNIX_IN_DOTNET: i64 = 621_355_968_000_000_000;
        const YEARS_100: i64 = 31_557_600_000_000_000;
        let ticks: i64 = std::str::from_utf8(self.take(18)?).ok()?.parse().ok()?;
        let since_1970 = [UNIX_IN_FILETIME, UNIX_IN_DOTNET].map(|start| ticks - start);
        let ticks = since_1970
            .into_iter()
            .find(|ticks| (0..YEARS_100).contains(ticks))?;
        DateTime::from_timestamp(ticks / 10_000_000, u32::try_from(ticks % 10_000_000 * 100).ok()?)
            .map(Stamp::Instant)
    }

    /// Reads a [TAI64N label](https://cr.yp.to/libtai/tai64.html), whose clock is ten seconds ahead of UTC's 1970.
    fn tai64n(&mut self) -> Option<Stamp> {
        const EPOCH: u64 = 0x4000_0000_0000_000a;
        self.byte(b'@')?;
        let digits = std::str::from_utf8(self.take(24)?).ok()?;
        let seconds = u64::from_str_radix(digits.get(..16)?, 16).ok()?;
        let nanos = u32::from_str_radix(digits.get(16..)?, 16).ok()?;
        let seconds = i64::try_from(seconds.checked_sub(EPOCH)?).ok()?;
        DateTime::from_timestamp(seconds, nanos).map(Stamp::Instant)
    }

    /// Reads `01:06:06`, `4:00pm PST`.
    fn clock_only(&mut self) -> Option<Stamp> {
        let (time, _) = self.clock()?;
        let zone = self.zone();
        Some(civil(Date::Missing, time, zone))
    }

    /// Reads `00:00:00.000`.
    fn clock_with_seconds(&mut self) -> Option<Stamp> {
        let pattern = self.bytes.get(..8)?;
        (pattern[2] == b':' && pattern[5] == b':').then(|| self.clock_only())?
    }

    /// Reads `2021-02-21 PST`, `oct. 7, 70`, `1 July 2013`, `3.31.2014`: midnight.
    fn date_only(&mut self) -> Option<Stamp> {
        let date = self
            .try_format(|scan| {
                let year = scan.number(4, 4)?;
                let separator = scan.one_of(b"-/")?;
                let month = scan.number(1, 2)?;
                scan.byte(separator)?;
                full_date(year, month, scan.number(1, 2)?)
            })
            .or_else(|| {
                self.try_format(|scan| {
                    let month = scan.month()?;
                    scan.blanks()?;
                    let day = scan.number(1, 2)?;
                    scan.date_clock_separator()?;
                    full_date(scan.year()?, month, day)
                })
            })
            .or_else(|| {
                self.try_format(|scan| {
                    let day = scan.number(1, 2)?;
                    scan.blanks()?;
                    let month = scan.month()?;
                    scan.blanks()?;
                    full_date(scan.year()?, month, day)
                })
            })
            .or_else(|| self.try_format(Self::numeric_date))?;
        let zone = self.zone();
        Some(civil(Date::Full(date), NaiveTime::MIN, zone))
    }

    // Parts of formats.

    /// Reads day, month and year in the order of the context, or in the only one that makes a date.
    fn numeric_date(&mut self) -> Option<NaiveDate> {
        let (first, second, separator) = self.numbers_of_date()?;
        let has_long_year = self.digits_ahead() == 4;
        let last = if has_long_year {
            self.number(4, 4)?
        } else {
            self.number(2, 2)?
        };
        let year = if has_long_year { last } else { century(last) };
        let day_first = full_date(year, second, first);
        let month_first = full_date(year, first, second);
        let year_first = || full_date(century(first), second, last).filter(|_| !has_long_year);
        match self.order.is_day_first(separator) {
            // `17/06/09`, as Spark writes; the years of dates with dots come last.
            _ if first > 12 && separator != b'.' && self.order != DateOrder::DayFirst => {
                year_first().or(day_first)
            }
            true => day_first.or(month_first).or_else(year_first),
            false => month_first.or(day_first).or_else(year_first),
        }
    }

    /// Reads the first two numbers of a date, and the byte that separates all three.
    fn numbers_of_date(&mut self) -> Option<(u32, u32, u8)> {
        let first = self.number(1, 2)?;
        let separator = self.one_of(b"/-.")?;
        let second = self.number(1, 2)?;
        self.byte(separator)?;
        Some((first, second, separator))
    }

    /// Returns whether the number before this place is the year of a time. A host may be called like a year:
    /// `2012-dc01`, `1234.example`, or a number that the tag of a program follows.
    fn is_year(&self, year: u32, has_weekday: bool) -> bool {
        let rest = self.rest();
        match rest.first() {
            None | Some(b']' | b')' | b'"' | b'\'' | b',' | b';' | b'|' | b'\t') => true,
            Some(b' ') => has_weekday || (1970..2200).contains(&year) && !starts_with_tag(&rest[1..]),
            Some(_) => false,
        }
    }

    fn year(&mut self) -> Option<u32> {
        match self.digits_ahead() {
            4 => self.number(4, 4),
            2 => self.number(2, 2).map(century),
            _ => None,
        }
    }

    fn date_clock_separator(&mut self) -> Option<()> {
        if self.one_of(b"Tt").is_some() {
            return Some(());
        }
        let comma = self.byte(b',');
        let blanks = self.blanks();
        // `Nov 28, 2026 @ 12:00:00.000` and `2022/02/07 - 10:49:33`, as Kibana and Gin write.
        self.try_format(|scan| {
            blanks?;
            scan.one_of(b"@-")?;
            scan.byte(b' ')
        });
        blanks.or(comma.map(drop))
    }

    fn clock_and_zone(&mut self, date: NaiveDate) -> Option<Stamp> {
        let (time, over) = self.clock()?;
        Some(self.with_zone(carry(date, time, over)?))
    }

    fn with_zone(&mut self, local: chrono::NaiveDateTime) -> Stamp {
        let zone = self.zone();
        civil(Date::Full(local.date()), local.time(), zone)
    }

    /// Reads hour and minute, and if given, second, fraction, AM or PM.
    fn clock(&mut self) -> Option<(NaiveTime, chrono::TimeDelta)> {
        let hour = self.number(1, 2)?;
        self.byte(b':')?;
        let minute = self.number(2, 2)?;
        let second = self.try_format(|scan| {
            scan.byte(b':')?;
            scan.number(2, 2)
        });
        let nanos = if second.is_some() { self.fraction() } else { 0 };
        let hour = match self.half_day() {
            None => hour,
            Some(_) if !(1..=12).contains(&hour) => return None,
            Some(afternoon) => hour % 12 + if afternoon { 12 } else { 0 },
        };
        time_of_day(hour, minute, second.unwrap_or(0), nanos)
    }

    /// Reads nanoseconds of a fraction after a dot or comma; digits past the ninth are passed over.
    fn fraction(&mut self) -> u32 {
        self.try_format(|scan| {
            let mark = scan.one_of(b".,")?;
            let length = scan.digits_ahead();
            let digits = scan.take(length).filter(|digits| !digits.is_empty())?;
            if mark == b',' && !scan.ends_fraction(length) {
                return None;
            }
            let nine = digits.iter().copied().chain(std::iter::repeat(b'0')).take(9);
            Some(nine.fold(0, |nanos, digit| nanos * 10 + u32::from(digit - b'0')))
        })
        .unwrap_or(0)
    }

    /// Returns whether this many digits after a comma are a fraction, and not the next column of CSV. Loggers write
    /// three, six or nine of them, and no other comma follows.
    fn ends_fraction(&self, length: usize) -> bool {
        let is_usual = matches!(length, 3 | 6 | 9);
        match self.rest().first() {
            None => is_usual || self.is_whole && length < 9,
            Some(b'Z' | b'z' | b'+' | b'-') => length <= 9,
            Some(b',' | b'.') => false,
            Some(next) => is_usual && !next.is_ascii_alphanumeric(),
        }
    }

    fn half_day(&mut self) -> Option<bool> {
        self.try_format(|scan| {
            scan.blanks();
            let afternoon = match scan.take(2)? {
                b"am" | b"AM" => false,
                b"pm" | b"PM" => true,
                _ => return None,
            };
            scan.at_boundary().then_some(afternoon)
        })
    }

    /// Reads `Z`, `+02:00`, ` -0700`, `-08`, ` PST`. After a blank an offset needs its minutes, or any number with a
    /// sign would be one.
    fn zone(&mut self) -> Option<Zone> {
        self.try_format(|scan| {
            let detached = scan.byte(b' ').is_some();
            if let Some(sign) = scan.one_of(b"+-") {
                let hours = scan.number(2, 2)?;
                let colon = scan.byte(b':').is_some();
                let minutes = scan.try_format(|scan| scan.number(2, 2));
                let minutes = match minutes {
                    Some(minutes) => minutes,
                    None if detached || colon => return None,
                    None => 0,
                };
                (hours < 24 && minutes < 60 && scan.at_boundary()).then_some(())?;
                let seconds = i32::try_from(hours * 3_600 + minutes * 60).ok()?;
                return Zone::fixed(if sign == b'-' { -seconds } else { seconds });
            }
            let length = scan
                .rest()
                .iter()
                .take_while(|byte| byte.is_ascii_alphabetic())
                .count();
            let name = std::str::from_utf8(scan.take(length)?).ok()?;
            let zone = Zone::from_abbreviation(name)?;
            scan.at_boundary().then_some(zone)
        })
    }

    fn weekday(&mut self) -> Option<()> {
        const NAMES: [&str; 7] = [
            "monday",
            "tuesday",
            "wednesday",
            "thursday",
            "friday",
            "saturday",
            "sunday",
        ];
        self.try_format(|scan| {
            scan.name(&NAMES)?;
            scan.byte(b',');
            scan.blanks()
        })
    }

    fn month(&mut self) -> Option<u32> {
        const NAMES: [&str; 12] = [
            "january",
            "february",
            "march",
            "april",
            "may",
            "june",
            "july",
            "august",
            "september",
            "october",
            "november",
            "december",
        ];
        /// Holds short names of French and German that English does not cut so, with the number of the month.
        const OTHERS: [(&str, u32); 8] = [
            ("sept", 9),
            ("janv", 1),
            ("avr", 4),
            ("mai", 5),
            ("juin", 6),
            ("juil", 7),
            ("okt", 10),
            ("dez", 12),
        ];
        self.try_format(|scan| {
            let month = match scan.try_format(|scan| scan.name(&NAMES)) {
                Some(index) => u32::try_from(index + 1).ok()?,
                None => {
                    let word = scan.word();
                    let is_word = |name: &str| name.as_bytes().eq_ignore_ascii_case(word);
                    let (_, month) = OTHERS.iter().find(|(name, _)| is_word(name))?;
                    *month
                }
            };
            scan.byte(b'.');
            Some(month)
        })
    }

    /// Takes the letters ahead.
    fn word(&mut self) -> &'a [u8] {
        let length = self
            .rest()
            .iter()
            .take(10)
            .take_while(|byte| byte.is_ascii_alphabetic())
            .count();
        self.take(length).unwrap_or_default()
    }

    /// Reads a name in full or cut to three letters, in any letter case.
    fn name(&mut self, names: &[&str]) -> Option<usize> {
        let word = self.word();
        let length = word.len();
        let start = word.first_chunk::<3>()?.map(|byte| byte.to_ascii_lowercase());
        let is_cut = length == start.len();
        names.iter().position(|name| {
            name.as_bytes().starts_with(&start) && (is_cut || word.eq_ignore_ascii_case(name.as_bytes()))
        })
    }

    // Bytes.

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let taken = self.rest().get(..length)?;
        self.at += length;
        Some(taken)
    }

    fn byte(&mut self, byte: u8) -> Option<u8> {
        self.one_of(&[byte])
    }

    fn one_of(&mut self, choices: &[u8]) -> Option<u8> {
        let byte = *self.rest().first()?;
        choices.contains(&byte).then(|| self.at += 1)?;
        Some(byte)
    }

    fn blanks(&mut self) -> Option<()> {
        let length = self
            .rest()
            .iter()
            .take(3)
            .take_while(|byte| **byte == b' ')
            .count();
        self.at += length;
        (length > 0).then_some(())
    }

    fn digits_ahead(&self) -> usize {
        self.rest()
            .iter()
            .take(32)
            .take_while(|byte| byte.is_ascii_digit())
            .count()
    }

    /// Reads a number of `least` to `most` digits.
    fn number(&mut self, least: usize, most: usize) -> Option<u32> {
        let length = self.digits_ahead().min(most);
        if length < least {
            return None;
        }
        let digits = self.take(length)?;
        Some(
            digits
                .iter()
                .fold(0, |number, digit| number * 10 + u32::from(digit - b'0')),
        )
    }

    fn at_boundary(&self) -> bool {
        !self.rest().first().is_some_and(u8::is_ascii_alphanumeric)
    }
}

/// Returns whether a text starts with `program[42]:` or `program:`; `ERROR:` is no program.
fn starts_with_tag(text: &[u8]) -> bool {
    const LEVELS: [&str; 7] = ["error", "warning", "warn", "info", "notice", "debug", "fatal"];
    let word = text.split(|byte| *byte == b' ').next().unwrap_or_default();
    let Some((b':', name)) = word.split_last() else {
        return false;
    };
    let is_level = LEVELS
        .iter()
        .any(|level| name.eq_ignore_ascii_case(level.as_bytes()));
    name.first().is_some_and(u8::is_ascii_alphabetic) && !is_level
}

fn civil(date: Date, time: NaiveTime, zone: Option<Zone>) -> Stamp {
    Stamp::Civil { date, time, zone }
}

fn without_year(month: u32, day: u32, time: NaiveTime, zone: Option<Zone>) -> Option<Stamp> {
    const ANY_LEAP_YEAR: i32 = 2024;
    NaiveDate::from_ymd_opt(ANY_LEAP_YEAR, month, day)?;
    Some(civil(Date::WithoutYear { month, day }, time, zone))
}

fn full_date(year: u32, month: u32, day: u32) -> Option<NaiveDate> {
    NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)
}

/// Returns the year that two digits mean: POSIX puts 69 to 99 into the last century.
fn century(year: u32) -> u32 {
    if year < 69 { 2000 + year } else { 1900 + year }
}
