//! Puts times together whose parts a source writes in an order of its own.

/// Returns the time of the parts `time.year`, `time.month`, `time.day`, `time.clock`, and `time.zone` if there is one.
///
/// A definition knows which number of `05/01/2024:10:00:14` is the month; a text alone does not tell.
pub(super) fn composed(parts: &[(&str, &str)]) -> Option<String> {
    let part = |wanted: &str| {
        parts
            .iter()
            .find(|(name, _)| *name == wanted)
            .map(|(_, part)| *part)
    };
    let (year, month) = (part("time.year")?, month(part("time.month")?)?);
    let (day, clock) = (part("time.day")?, part("time.clock")?);
    let century = match year.len() {
        2 => "20",
        _ => "",
    };
    let zone = part("time.zone").unwrap_or_default();
    let time = format!("{century}{year}-{month:02}-{day:0>2} {clock} {zone}");
    Some(time.trim_end().to_owned())
}

/// Returns the number of a month that is written as a number or by its English name.
fn month(text: &str) -> Option<usize> {
    const NAMES: [&str; 12] = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    let head = text.get(..3).map(str::to_ascii_lowercase);
    let named = NAMES.iter().position(|name| head.as_deref() == Some(name));
    let number = named.map(|place| place + 1).or_else(|| text.parse().ok());
    number.filter(|number| (1..=12).contains(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_in_any_order_make_one_time() {
        let parts = [
            ("time.month", "5"),
            ("time.day", "1"),
            ("time.year", "24"),
            ("time.clock", "10:00:14"),
        ];
        assert_eq!(composed(&parts).as_deref(), Some("2024-05-01 10:00:14"));
        let parts = [
            ("time.year", "2024"),
            ("time.month", "May"),
            ("time.day", "1"),
            ("time.clock", "10:00:14"),
            ("time.zone", "CET"),
        ];
        assert_eq!(composed(&parts).as_deref(), Some("2024-05-01 10:00:14 CET"));
        assert_eq!(composed(&[("time.year", "2024")]), None);
        assert_eq!(month("13"), None);
    }
}
