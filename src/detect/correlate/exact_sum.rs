//! Sums of numbers without rounding, so that they do not depend on the order of the numbers.

/// Counts the parts of a sum, of 32 bits each: all that a number may have, and one for the sums of the greatest ones.
const PARTS: usize = 67;

/// Holds the exponent of the lowest bit of a number.
const LOWEST: i32 = -1074;

/// Holds a sum. A number that was added may be taken off again, which leaves the sum of the others.
#[derive(Debug, Clone)]
pub(super) struct ExactSum {
    /// Holds 32 bits of the sum each, the lowest first. They may hold more between two carries, and be negative.
    parts: [i64; PARTS],
}

impl ExactSum {
    pub(super) const fn new() -> Self {
        Self { parts: [0; PARTS] }
    }

    /// Adds a finite number.
    pub(super) fn add(&mut self, number: f64) {
        const FRACTION: u32 = 52;
        let bits = number.to_bits();
        let fraction = bits & ((1 << FRACTION) - 1);
        let exponent = usize::try_from(bits >> FRACTION & 0x7ff).unwrap_or_default();
        // The least exponent stands for numbers without the leading one.
        let (whole, place) = match exponent {
            0 => (fraction, 0),
            _ => (fraction | 1 << FRACTION, exponent - 1),
        };
        let mut rest = u128::from(whole) << (place % 32);
        for part in self.parts.iter_mut().skip(place / 32).take(3) {
            let low = (rest & 0xffff_ffff) as i64;
            *part += if number < 0.0 { -low } else { low };
            rest >>= 32;
        }
    }

    /// Returns the sum as the nearest number.
    pub(super) fn value(&self) -> f64 {
        match carried(self.parts.iter().copied()) {
            (parts, true) => magnitude(&parts),
            (parts, false) => -magnitude(&carried(parts.iter().map(|part| -part)).0),
        }
    }
}

/// Carries what is more than 32 bits to the next part. Returns whether the sum is not negative; else its parts are those
/// of the sum and a power of two that is not among them.
fn carried(parts: impl Iterator<Item = i64>) -> ([i64; PARTS], bool) {
    let mut carried = [0; PARTS];
    let mut carry = 0;
    for (part, sum) in carried.iter_mut().zip(parts) {
        let sum = sum + carry;
        *part = sum & 0xffff_ffff;
        carry = sum >> 32;
    }
    (carried, carry >= 0)
}

#[expect(clippy::cast_precision_loss, reason = "the nearest number is wanted")]
fn magnitude(parts: &[i64; PARTS]) -> f64 {
    let Some(top) = parts.iter().rposition(|part| *part != 0) else {
        return 0.0;
    };
    // The highest four parts have more bits than a number. One more bit says whether there is a rest.
    let first = top.saturating_sub(3);
    let (rest, high) = parts.split_at(first);
    let high = high.iter().take(4).rev();
    let bits = high.fold(0_u128, |bits, part| {
        bits << 32 | u128::try_from(*part).unwrap_or_default()
    });
    let bits = bits | u128::from(rest.iter().any(|part| *part != 0));
    let exponent = LOWEST + 32 * i32::try_from(first).unwrap_or_default();
    // A power of two may be too small to be a number while its half exponent is not.
    let half = exponent / 2;
    bits as f64 * 2_f64.powi(half) * 2_f64.powi(exponent - half)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sum(numbers: &[f64]) -> f64 {
        let mut sum = ExactSum::new();
        for number in numbers {
            sum.add(*number);
        }
        sum.value()
    }

    #[test]
    fn sums_are_rounded_once() {
        assert_eq!(sum(&[]).to_bits(), 0.0_f64.to_bits());
        for (numbers, expected) in [
            (&[1e100, 1.0, -1e100][..], 1.0),
            (&[0.1; 10], 1.0),
            (&[-2.5, 1.0], -1.5),
            (&[f64::MAX, f64::MAX, -f64::MAX], f64::MAX),
            (&[f64::MAX, f64::MAX], f64::INFINITY),
            (&[5e-324, 5e-324], 1e-323),
            (&[9_007_199_254_740_992.0, 1.0, 1e-300], 9_007_199_254_740_994.0),
        ] {
            assert_eq!(sum(numbers).to_bits(), expected.to_bits(), "{numbers:?}");
        }
    }

    proptest! {
        #[test]
        fn a_number_alone_is_its_own_sum_and_can_be_taken_off(number in -1e300..1e300_f64, others in prop::collection::vec(any::<f64>(), 0..5)) {
            prop_assert_eq!(sum(&[number]).to_bits(), (number + 0.0).to_bits());
            let others: Vec<f64> = others.into_iter().filter(|number| number.is_finite()).collect();
            let more = [&others[..], &[number, -number]].concat();
            prop_assert_eq!(sum(&more).to_bits(), sum(&others).to_bits());
        }

        #[test]
        fn whole_numbers_are_added_as_such(numbers in prop::collection::vec(-1_000_000_000_i64..1_000_000_000, 0..50)) {
            #[expect(clippy::cast_precision_loss, reason = "they are small")]
            let floats: Vec<f64> = numbers.iter().map(|number| *number as f64).collect();
            #[expect(clippy::cast_precision_loss, reason = "it is small")]
            let expected = numbers.iter().sum::<i64>() as f64;
            prop_assert_eq!(sum(&floats).to_bits(), expected.to_bits());
        }
    }
}
