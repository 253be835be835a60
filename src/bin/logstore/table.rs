//! The layout of a table as wide as the terminal. If no table fits, records are printed one under another.

use std::borrow::Cow;
use std::io::{self, Write};

use crate::printable::printable;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Describes a column of a table, and how it shrinks in a terminal that is too narrow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column<'a> {
    pub(crate) name: &'a str,
    /// Sets the width below which its cells are not cut.
    least: usize,
    /// Says whether the column is left out if several rows do not fit with it.
    is_spare: bool,
    /// Says whether the rest of a cell that is too wide is printed below it, in the last column.
    is_wrapped: bool,
}

impl<'a> Column<'a> {
    /// Makes a column whose cells mislead when they are cut, such as times and numbers.
    pub(crate) const fn whole(name: &'a str) -> Self {
        Self::cut_to(usize::MAX, name)
    }

    /// Makes a column of text that still helps when it is cut to this width.
    pub(crate) const fn cut_to(least: usize, name: &'a str) -> Self {
        Self {
            name,
            least,
            is_spare: false,
            is_wrapped: false,
        }
    }

    /// Lets the column be left out; of several, the last one goes first.
    pub(crate) const fn spare(self) -> Self {
        Self {
            is_spare: true,
            ..self
        }
    }

    /// Keeps the column from being left out.
    pub(crate) const fn kept(self) -> Self {
        Self {
            is_spare: false,
            ..self
        }
    }

    /// Lets all of a cell be printed, on several lines, if the column is the last one.
    pub(crate) const fn wrapped(self) -> Self {
        Self {
            is_wrapped: true,
            ..self
        }
    }

    /// Returns the least width of the column, if its cells are `natural` wide.
    fn least(&self, natural: usize) -> usize {
        self.least.max(self.name.width()).min(natural)
    }
}

/// Counts the spaces between two columns.
const GAP: usize = 2;

/// Says how the rows of one result are laid out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    shape: Shape,
    /// Holds the terminal's width.
    width: Option<usize>,
    /// Says of each column whether it had no value in any row.
    empty: Vec<bool>,
}

#[derive(Debug, PartialEq, Eq)]
enum Shape {
    /// Lists the columns that are shown, each with its index among the cells and its width.
    Table(Vec<(usize, usize)>),
    /// Prints one record under another.
    Records,
}

impl Layout {
    /// Lays out rows for a terminal of this width. Without a width, every column gets the width that it needs.
    pub(crate) fn new(columns: &[Column<'_>], rows: &[Vec<String>], width: Option<usize>) -> Self {
        let is_empty = |place: usize| rows.iter().all(|cells| cell(cells, place).is_empty());
        let empty: Vec<bool> = (0..columns.len()).map(is_empty).collect();
        let mut shown: Vec<(usize, usize)> = columns
            .iter()
            .enumerate()
            .filter(|(place, _)| !empty[*place] || empty.iter().all(|empty| *empty))
            .map(|(place, column)| (place, natural_width(column, rows, place)))
            .collect();
        let mut shape = fit(columns, &shown, width);
        // A single row loses no column: its values have room one below another.
        while shape.is_none() && rows.len() > 1 {
            let is_spare = |(place, _): &(usize, usize)| columns[*place].is_spare;
            let Some(last) = shown.iter().rposition(is_spare) else {
                break;
            };
            shown.remove(last);
            shape = fit(columns, &shown, width);
        }
        if let (Some(shown), Some(width)) = (&mut shape, width) {
            give_rest_to_last(shown, width);
        }
        Self {
            shape: shape.map_or(Shape::Records, Shape::Table),
            width,
            empty,
        }
    }

    /// Returns whether rows have a value in a column that this layout leaves out because it had none.
    pub(crate) fn misses_values(&self, rows: &[Vec<String>]) -> bool {
        let is_missed = |place: usize| rows.iter().any(|cells| !cell(cells, place).is_empty());
        let empty = self.empty.iter().enumerate();
        let shows_all = self.empty.iter().all(|empty| *empty);
        !shows_all
            && empty
                .filter(|(_, empty)| **empty)
                .any(|(place, _)| is_missed(place))
    }

    /// Returns the names of columns with values that the terminal has no room for.
    pub(crate) fn left_out<'a>(&self, columns: &'a [Column<'_>]) -> Vec<&'a str> {
        let Shape::Table(shown) = &self.shape else {
            return Vec::new();
        };
        let is_left_out =
            |place: usize| !self.empty[place] && !shown.iter().any(|(other, _)| *other == place);
        let all = columns.iter().enumerate();
        all.filter(|(place, _)| is_left_out(*place))
            .map(|(_, column)| column.name)
            .collect()
    }

    /// Writes the line with the names of the columns. Records carry theirs with them.
    pub(crate) fn write_header(
        &self,
        out: &mut impl Write,
        columns: &[Column<'_>],
        style: &Style,
    ) -> io::Result<()> {
        let Shape::Table(shown) = &self.shape else {
            return Ok(());
        };
        let names: Vec<String> = columns
            .iter()
            .map(|column| printable(&column.name.to_uppercase()).into_owned())
            .collect();
        writeln!(out, "{}", style.paint(&line(shown, &names, self.width.is_some())))
    }

    /// Writes a row.
    pub(crate) fn write_row(
        &self,
        out: &mut impl Write,
        columns: &[Column<'_>],
        cells: &[String],
        style: &Style,
    ) -> io::Result<()> {
        match &self.shape {
            Shape::Table(shown) => {
                for cells in self.lines(shown, columns, cells) {
                    writeln!(out, "{}", style.paint(&line(shown, &cells, self.width.is_some())))?;
                }
                Ok(())
            }
            Shape::Records => write_record(out, columns, cells, self.width, style),
        }
    }
}

impl Layout {
    /// Returns the cells of each line of a row: of several lines, the last column of the later ones has the rest.
    fn lines(&self, shown: &[(usize, usize)], columns: &[Column<'_>], cells: &[String]) -> Vec<Vec<String>> {
        let mut lines = vec![cells.to_vec()];
        let Some((place, width)) = shown.last().copied() else {
            return lines;
        };
        let is_wrapped = columns.get(place).is_some_and(|column| column.is_wrapped);
        if self.width.is_none() || !is_wrapped {
            return lines;
        }
        let mut parts = wrapped(cell(cells, place), width).into_iter();
        if let (Some(first), Some(cell)) = (
            parts.next(),
            lines.first_mut().and_then(|cells| cells.get_mut(place)),
        ) {
            first.clone_into(cell);
        }
        lines.extend(parts.map(|part| {
            let mut cells = vec![String::new(); cells.len()];
            if let Some(cell) = cells.get_mut(place) {
                part.clone_into(cell);
            }
            cells
        }));
        lines
    }
}

/// Cuts a text into parts of at most a width: at its last blank, or in a word that is too long.
fn wrapped(text: &str, width: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while rest.width() > width {
        // At least one character, however narrow the column is.
        let first = rest.chars().next().map_or(1, char::len_utf8);
        let most = prefix(rest, width).max(first);
        let (line, after) = rest.split_at(most);
        let blank = match after.starts_with(' ') {
            true => Some(most),
            false => line.rfind(' ').filter(|blank| *blank > 0),
        };
        let (part, after) = rest.split_at(blank.unwrap_or(most));
        parts.push(part.trim_end());
        rest = after.trim_start();
    }
    parts.push(rest);
    parts
}

/// Holds a colour, or none.
pub(crate) struct Style(pub(crate) Option<&'static str>);

impl Style {
    fn paint<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.0 {
            Some(style) => format!("{style}{text}\x1b[0m").into(),
            None => text.into(),
        }
    }
}

fn cell(cells: &[String], place: usize) -> &str {
    cells.get(place).map_or("", String::as_str)
}

fn natural_width(column: &Column<'_>, rows: &[Vec<String>], place: usize) -> usize {
    let cells = rows.iter().map(|cells| cell(cells, place).width());
    cells.max().unwrap_or_default().max(column.name.width())
}

/// Gives each column its width. Wide ones are cut until all fit, the last one last. Returns `None` if they cannot fit.
fn fit(
    columns: &[Column<'_>],
    natural: &[(usize, usize)],
    width: Option<usize>,
) -> Option<Vec<(usize, usize)>> {
    /// Limits the width of a column, unless there is room for all of each.
    const MOST: usize = 24;
    let Some(width) = width else {
        return Some(natural.to_vec());
    };
    let room = width.checked_sub(GAP * natural.len().saturating_sub(1))?;
    let total = |widths: &[(usize, usize)]| widths.iter().map(|(_, width)| width).sum::<usize>();
    if total(natural) <= room {
        return Some(natural.to_vec());
    }
    let least = |(place, natural): (usize, usize)| columns[place].least(natural);
    let (&(last, last_natural), others) = natural.split_last()?;
    // The last column says most, and is to have half of the terminal, or a third.
    let shares = [width / 2, width / 3, 0].map(|share| share.min(last_natural));
    for share in shares {
        for most in (0..=MOST).rev() {
            let others = others
                .iter()
                .map(|&(place, natural)| (place, natural.min(most).max(least((place, natural)))));
            let mut widths: Vec<(usize, usize)> = others.collect();
            let rest = room.saturating_sub(total(&widths));
            if rest >= share.max(least((last, last_natural))) {
                widths.push((last, rest.min(last_natural)));
                return Some(widths);
            }
        }
    }
    None
}

/// Lets the last column take the room that is left, as rows that come later may be wider.
fn give_rest_to_last(shown: &mut [(usize, usize)], width: usize) {
    let gaps = GAP * shown.len().saturating_sub(1);
    if let Some(((_, last), others)) = shown.split_last_mut() {
        let taken = others.iter().map(|(_, width)| width).sum::<usize>() + gaps;
        *last = width.saturating_sub(taken).max(*last);
    }
}

/// Returns a line of a table, without spaces at its end.
fn line(shown: &[(usize, usize)], cells: &[String], is_cut: bool) -> String {
    let mut line = String::new();
    for (index, (place, width)) in shown.iter().enumerate() {
        let text = match is_cut {
            true => cut(cell(cells, *place), *width),
            false => cell(cells, *place).into(),
        };
        line.push_str(&text);
        if index + 1 < shown.len() {
            let padding = (width + GAP).saturating_sub(text.width()).max(1);
            line.extend(std::iter::repeat_n(' ', padding));
        }
    }
    line.truncate(line.trim_end().len());
    line
}

/// Cuts a text to a width in terminal columns, and marks the cut.
pub(crate) fn cut(text: &str, width: usize) -> Cow<'_, str> {
    if text.width() <= width {
        return text.into();
    }
    let end = prefix(text, width.saturating_sub(1));
    match width {
        0 => "".into(),
        _ => format!("{}…", &text[..end]).into(),
    }
}

/// Returns how many bytes of a text fit into a width.
fn prefix(text: &str, width: usize) -> usize {
    let mut taken = 0;
    for (at, character) in text.char_indices() {
        taken += character.width().unwrap_or_default();
        if taken > width {
            return at;
        }
    }
    text.len()
}

/// Writes the values of a row below one another, under their names, and an empty line.
fn write_record(
    out: &mut impl Write,
    columns: &[Column<'_>],
    cells: &[String],
    width: Option<usize>,
    style: &Style,
) -> io::Result<()> {
    /// Limits the width of values, which are not legible in less.
    const LEAST: usize = 12;
    let names = columns.iter().map(|column| column.name.width());
    let most = width.map_or(usize::MAX, |width| (width / 2).saturating_sub(GAP));
    let name_width = names.max().unwrap_or_default().min(most);
    let room = width.map_or(usize::MAX, |width| {
        width.saturating_sub(name_width + GAP).max(LEAST)
    });
    for (place, column) in columns.iter().enumerate() {
        let mut value = cell(cells, place);
        let shown = printable(column.name);
        let mut name = cut(&shown, name_width);
        while !value.is_empty() {
            // At least one character, however narrow the terminal is.
            let first = value.chars().next().map_or(1, char::len_utf8);
            let (part, rest) = value.split_at(prefix(value, room).max(first));
            let padding = name_width.saturating_sub(name.width()) + GAP;
            writeln!(out, "{name}{:padding$}{}", "", style.paint(part))?;
            (value, name) = (rest, "".into());
        }
    }
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column<'_>; 5] = [
        Column::whole("time"),
        Column::cut_to(8, "host"),
        Column::whole("pid"),
        Column::whole("id").spare(),
        Column::cut_to(10, "message"),
    ];

    fn rows(rows: &[[&str; 5]]) -> Vec<Vec<String>> {
        rows.iter()
            .map(|cells| cells.map(str::to_owned).to_vec())
            .collect()
    }

    fn shown(rows: &[Vec<String>], width: Option<usize>) -> String {
        let layout = Layout::new(&COLUMNS, rows, width);
        let mut out = Vec::new();
        layout.write_header(&mut out, &COLUMNS, &Style(None)).unwrap();
        for cells in rows {
            layout.write_row(&mut out, &COLUMNS, cells, &Style(None)).unwrap();
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_column_gives_way_in_its_own_fashion() {
        let rows = rows(&[
            [
                "12:00:00",
                "a-very-long-host-name",
                "",
                "0123456789",
                "Failed password for root",
            ],
            [
                "12:00:01",
                "web",
                "",
                "0123456789",
                "日本日本日本日本日本日本日本",
            ],
        ]);
        assert_eq!(
            shown(&rows, Some(40)),
            "\
TIME      HOST      MESSAGE
12:00:00  a-very-…  Failed password for…
12:00:01  web       日本日本日本日本日…
"
        );
        assert_eq!(Layout::new(&COLUMNS, &rows, Some(40)).left_out(&COLUMNS), ["id"]);
        assert_eq!(
            shown(&rows, Some(24)),
            "\
time     12:00:00
host     a-very-long-hos
         t-name
id       0123456789
message  Failed password
          for root

time     12:00:01
host     web
id       0123456789
message  日本日本日本日
         本日本日本日本

"
        );
        assert!(shown(&rows, None).contains("a-very-long-host-name  0123456789  Failed password for root\n"));
    }

    #[test]
    fn one_row_keeps_all_of_its_columns() {
        let rows = rows(&[["12:00:00", "web1", "1", "0123456789", "Failed password for root"]]);
        assert!(shown(&rows, Some(30)).contains("id       0123456789\n"));
        assert!(
            Layout::new(&COLUMNS, &rows, Some(30))
                .left_out(&COLUMNS)
                .is_empty()
        );
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let long = "x".repeat(500);
        let rows = rows(&[["12:00:00", &long, "4242", &long, &long], ["", "", "", "", "é日"]]);
        for width in 22..300 {
            let text = shown(&rows, Some(width));
            assert!(text.lines().all(|line| line.width() <= width), "{width}: {text}");
            assert!(text.contains("4242") && text.contains("é日"), "{width}: {text}");
        }
    }

    #[test]
    fn a_wrapped_column_shows_all_of_a_cell() {
        const COLUMNS: [Column<'_>; 2] = [Column::whole("place"), Column::cut_to(8, "reason").wrapped()];
        let reason = "no log of this log source has the field Imagine";
        let rows = [["a.yml:1", reason], ["b.yml:1", "short"]].map(|cells| cells.map(str::to_owned).to_vec());
        let shown = |width: usize| {
            let layout = Layout::new(&COLUMNS, &rows, Some(width));
            let mut out = Vec::new();
            for cells in &rows {
                layout.write_row(&mut out, &COLUMNS, cells, &Style(None)).unwrap();
            }
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            shown(29),
            "\
a.yml:1  no log of this log
         source has the field
         Imagine
b.yml:1  short
"
        );
        for width in 17..80 {
            let text = shown(width);
            assert!(text.lines().all(|line| line.width() <= width), "{width}: {text}");
            let words: String = text.split_whitespace().collect();
            let all: String = rows.concat().concat().split_whitespace().collect();
            assert_eq!(words, all, "{width}");
        }
    }

    #[test]
    fn a_later_value_in_an_empty_column_is_noticed() {
        let first = rows(&[["12:00:00", "web1", "", "", "x"]]);
        let layout = Layout::new(&COLUMNS, &first, Some(80));
        assert!(!layout.misses_values(&rows(&[["12:00:01", "", "", "", "y"]])));
        assert!(layout.misses_values(&rows(&[["12:00:01", "web2", "7", "", "y"]])));
    }
}
