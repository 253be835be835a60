//! The numbers of a window that moves over hits. Each step takes no longer than the logarithm of their number.

use super::exact_sum::ExactSum;
use crate::models::Hit;

/// Holds the numbers of the hits of a window.
pub(super) struct Numbers {
    /// Holds the rank of the number of each hit among all different numbers.
    ranks: Vec<Option<usize>>,
    /// Holds all different numbers, the least first.
    sorted: Vec<f64>,
    /// Counts the numbers of the window by rank, in a Fenwick tree: each place counts a range that ends there.
    counts: Vec<usize>,
    sum: ExactSum,
    count: usize,
}

impl Numbers {
    /// Reads the numbers of hits. The window has none of them yet.
    pub(super) fn new(hits: &[&Hit]) -> Self {
        let numbers: Vec<Option<f64>> = hits.iter().map(|hit| number_of(hit)).collect();
        let mut sorted: Vec<f64> = numbers.iter().flatten().copied().collect();
        sorted.sort_by(f64::total_cmp);
        sorted.dedup_by(|left, right| left.total_cmp(right).is_eq());
        let rank = |number: f64| sorted.partition_point(|other| other.total_cmp(&number).is_lt());
        Self {
            ranks: numbers.iter().map(|number| number.map(rank)).collect(),
            counts: vec![0; sorted.len()],
            sorted,
            sum: ExactSum::new(),
            count: 0,
        }
    }

    /// Adds the number of the hit at a place.
    pub(super) fn add(&mut self, place: usize) {
        if let Some((rank, number)) = self.at(place) {
            self.sum.add(number);
            self.count += 1;
            self.change(rank, |count| count + 1);
        }
    }

    /// Removes the number of the hit at a place.
    pub(super) fn remove(&mut self, place: usize) {
        if let Some((rank, number)) = self.at(place) {
            self.sum.add(-number);
            self.count -= 1;
            self.change(rank, |count| count - 1);
        }
    }

    fn at(&self, place: usize) -> Option<(usize, f64)> {
        let rank = self.ranks.get(place).copied().flatten()?;
        Some((rank, *self.sorted.get(rank)?))
    }

    fn change(&mut self, rank: usize, change: impl Fn(usize) -> usize) {
        let mut end = rank + 1;
        while let Some(count) = self.counts.get_mut(end - 1) {
            *count = change(*count);
            end += end & end.wrapping_neg();
        }
    }

    /// Returns the sum; `None` without numbers.
    pub(super) fn sum(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum.value())
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a window holds fewer hits than a number is exact to"
    )]
    pub(super) fn mean(&self) -> Option<f64> {
        Some(self.sum()? / self.count as f64)
    }

    /// Returns the share of the numbers, in percent, that are at most the number of the hit at a place.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a window holds fewer hits than a number is exact to"
    )]
    pub(super) fn percentile(&self, place: usize) -> Option<f64> {
        let (_, number) = self.at(place)?;
        // Zero has two forms that are equal.
        let mut end = self.sorted.partition_point(|other| *other <= number);
        let mut below = 0;
        while let Some(last) = end.checked_sub(1) {
            below += self.counts.get(last).copied().unwrap_or_default();
            end &= last;
        }
        Some(100.0 * below as f64 / self.count as f64)
    }

    pub(super) fn median(&self) -> Option<f64> {
        let upper = self.nth(self.count / 2)?;
        match self.count % 2 {
            1 => Some(upper),
            _ => Some(f64::midpoint(self.nth(self.count / 2 - 1)?, upper)),
        }
    }

    /// Returns the number that a count of others comes before.
    fn nth(&self, before: usize) -> Option<f64> {
        if before >= self.count {
            return None;
        }
        let (mut end, mut missing) = (0, before);
        let mut step = self.counts.len().next_power_of_two();
        while step > 0 {
            if let Some(count) = self.counts.get(end + step - 1).filter(|count| **count <= missing) {
                missing -= count;
                end += step;
            }
            step /= 2;
        }
        self.sorted.get(end).copied()
    }
}

/// Returns the value of a hit if it is a number.
fn number_of(hit: &Hit) -> Option<f64> {
    let number: f64 = hit.value.as_deref()?.trim().parse().ok()?;
    number.is_finite().then_some(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::models::LogKey;

    fn hit(value: &str) -> Hit {
        Hit {
            correlation_id: String::new(),
            group_key: String::new(),
            log: LogKey {
                event_time: chrono::DateTime::UNIX_EPOCH,
                id: String::new(),
            },
            rule_id: String::new(),
            rule_version: String::new(),
            value: Some(value.to_owned()),
        }
    }

    fn median(numbers: &[f64]) -> Option<f64> {
        let mut sorted = numbers.to_vec();
        sorted.sort_by(f64::total_cmp);
        let upper = *sorted.get(sorted.len() / 2)?;
        match sorted.len() % 2 {
            1 => Some(upper),
            _ => Some(f64::midpoint(sorted[sorted.len() / 2 - 1], upper)),
        }
    }

    proptest! {
        #[test]
        fn each_window_has_the_figures_of_its_numbers(
            values in prop::collection::vec(prop_oneof![4 => "-?[0-3](\\.5)?", 1 => "x|-0|inf"], 1..30),
            width in 1..8_usize,
        ) {
            let hits: Vec<Hit> = values.iter().map(|value| hit(value)).collect();
            let hits: Vec<&Hit> = hits.iter().collect();
            let mut numbers = Numbers::new(&hits);
            for last in 0..hits.len() {
                numbers.add(last);
                if let Some(first) = last.checked_sub(width) {
                    numbers.remove(first);
                }
                let window: Vec<f64> = hits[(last + 1).saturating_sub(width)..=last].iter().filter_map(|hit| number_of(hit)).collect();
                let sum = (!window.is_empty()).then(|| window.iter().sum::<f64>() + 0.0);
                prop_assert_eq!(numbers.sum(), sum);
                #[expect(clippy::cast_precision_loss, reason = "it is small")]
                let count = window.len() as f64;
                prop_assert_eq!(numbers.mean(), sum.map(|sum| sum / count));
                prop_assert_eq!(numbers.median(), median(&window));
                let percentile = number_of(hits[last]).map(|last| {
                    #[expect(clippy::cast_precision_loss, reason = "it is small")]
                    let below = window.iter().filter(|number| **number <= last).count() as f64;
                    100.0 * below / count
                });
                prop_assert_eq!(numbers.percentile(last), percentile);
            }
        }
    }
}
