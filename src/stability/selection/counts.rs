//! How often runs at finite N ended at each stable point, as data.
//!
//! Covers [`FiniteSizeSelection`] with its confidence intervals. Not here: the runs (see `finite_size`).

use std::fmt;

use crate::numerics::normal::normal_quantile;
use crate::stability::display::{digits, number};
use crate::stability::selection::table::by_point;

/// How often runs at finite N ended at each stable point; made by
/// [`AttractionRegions::selection_at_finite_size`](crate::stability::AttractionRegions::selection_at_finite_size).
///
/// Prints as a table, a line for each point.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "crate::stability::stored::StoredCounts"))]
pub struct FiniteSizeSelection {
    /// For each image of each point, the runs that ended there.
    pub(in crate::stability) counts: Vec<Vec<u64>>,
    pub(in crate::stability) undecided: u64,
}

impl FiniteSizeSelection {
    /// All runs.
    #[must_use]
    pub fn runs(&self) -> u64 {
        self.counts.iter().flatten().sum::<u64>() + self.undecided
    }

    /// Runs that were in no neighbourhood at the time limit.
    #[must_use]
    pub fn undecided(&self) -> u64 {
        self.undecided
    }

    /// Runs that ended at `point`, its images together; 0 for a number out of range.
    #[must_use]
    pub fn count(&self, point: usize) -> u64 {
        self.counts.get(point).map_or(0, |images| images.iter().sum())
    }

    /// Runs that ended at that image of `point`.
    #[must_use]
    pub fn count_of_image(&self, point: usize, image: usize) -> u64 {
        self.counts.get(point).and_then(|images| images.get(image)).copied().unwrap_or(0)
    }

    /// The fraction of runs that ended at `point`; NaN without runs.
    #[must_use]
    pub fn fraction(&self, point: usize) -> f64 {
        self.count(point) as f64 / self.runs() as f64
    }

    /// Wilson's score interval for the probability of ending at `point`, at that confidence in (0, 1); NaN for a
    /// confidence out of range and without runs.
    ///
    /// E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209, doi:10.1080/01621459.1927.10502953.
    #[must_use]
    pub fn interval(&self, point: usize, confidence: f64) -> (f64, f64) {
        wilson(self.count(point), self.runs(), confidence)
    }
}

/// The confidence of the intervals that are printed.
const CONFIDENCE: f64 = 0.95;

impl fmt::Display for FiniteSizeSelection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = digits(f);
        let whole = |point: usize| {
            let (low, high) = self.interval(point, CONFIDENCE);
            let interval = format!("({}, {})", number(low, digits), number(high, digits));
            [number(self.fraction(point), digits), interval]
        };
        let image = |point: usize, image: usize| self.count_of_image(point, image).to_string();
        let head = ["point", "fraction", "95 % interval", "runs by image"];
        let table = by_point(head, self.counts.len(), |point| self.counts[point].len(), whole, image);
        write!(f, "{table}{} runs, {} undecided", self.runs(), self.undecided)
    }
}

fn wilson(successes: u64, trials: u64, confidence: f64) -> (f64, f64) {
    if !(confidence > 0.0 && confidence < 1.0) || trials == 0 {
        return (f64::NAN, f64::NAN);
    }
    let (k, n) = (successes as f64, trials as f64);
    let z = -normal_quantile(0.5 * (1.0 - confidence));
    let center = (k + 0.5 * z * z) / (n + z * z);
    let width = z / (n + z * z) * (k * (n - k) / n + 0.25 * z * z).sqrt();
    // At the ends the formula gives 0 and 1 up to rounding.
    let low = if successes == 0 { 0.0 } else { center - width };
    (low, if successes == trials { 1.0 } else { center + width })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ends of Wilson's interval are where the score test stands on the edge: |k − np| = z √(np(1 − p)).
    #[test]
    fn intervals_invert_the_score_test() {
        let z = -normal_quantile(0.025);
        assert!((z - 1.959_963_984_540_054).abs() < 1e-12);
        for (k, n) in [(1, 10), (5, 10), (430, 1000), (9, 10), (0, 7), (7, 7)] {
            let (low, high) = wilson(k, n, 0.95);
            let (k, n) = (k as f64, n as f64);
            for p in [low, high] {
                let edge = (k - n * p).abs() - z * (n * p * (1.0 - p)).sqrt();
                assert!(edge.abs() < 1e-9 || p == 0.0 || p == 1.0, "{k} of {n}: {p} {edge}");
            }
            assert!(0.0 <= low && low <= k / n && k / n <= high && high <= 1.0);
        }
        assert!(wilson(0, 0, 0.95).0.is_nan() && wilson(1, 2, 1.0).0.is_nan() && wilson(1, 2, f64::NAN).0.is_nan());
    }
}
