//! Statistics of one observable over the replicates, in bounded memory.
//!
//! Covers mean and variance by Welford's recurrence, quantiles by a sketch. Not here: in which order values come (see
//! [`crate::ensemble::Ensemble`]).

/// Values that a level of the sketch holds before it is halved; even.
const LEVEL: usize = 4096;

/// The values of one observable over the replicates, in double precision.
///
/// Mean and variance are those of all values. Quantiles are exact up to 4096 replicates; beyond, values are kept in a
/// sketch of a few thousand (Munro and Paterson, Theor. Comput. Sci. 12 (1980)), whose largest error in rank is known:
/// [`rank_error`](Self::rank_error).
#[derive(Debug, Clone, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Statistics {
    count: u64,
    mean: f64,
    /// Σ (x − mean)².
    squares: f64,
    not_a_number: bool,
    /// Level k holds values that stand for 2ᵏ each.
    levels: Vec<Vec<f64>>,
    /// Which half of each level is kept next, one after the other.
    odd: Vec<bool>,
    /// Largest error in rank so far.
    rank_error: u64,
    /// Every value, if it is to be kept.
    values: Option<Vec<f64>>,
}

impl Statistics {
    /// Of no values yet; they are kept one by one if `keep`.
    pub(super) fn new(keep: bool) -> Self {
        Self { values: keep.then(Vec::new), ..Self::default() }
    }

    /// Adds a value.
    pub(super) fn push(&mut self, x: f64) {
        self.count += 1;
        let (before, count) = (x - self.mean, self.count as f64);
        if before.is_finite() {
            self.mean += before / count;
        } else if self.mean.is_finite() && x.is_finite() {
            // The difference overflows, its parts do not.
            self.mean += x / count - self.mean / count;
        } else if self.mean.is_finite() || x.is_nan() || x == -self.mean {
            self.mean += x;
        }
        self.squares += before * (x - self.mean);
        self.not_a_number |= x.is_nan();
        if let Some(values) = &mut self.values {
            values.push(x);
        }
        let mut level = 0;
        let mut arriving = vec![x];
        // A full level is sorted, and every second of its values goes to the next level with twice the weight: no rank
        // is off by more than the weight of one value of that level.
        while !arriving.is_empty() {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
                self.odd.push(false);
            }
            self.levels[level].append(&mut arriving);
            if self.levels[level].len() > LEVEL {
                let kept = self.levels[level].pop();
                self.levels[level].sort_unstable_by(f64::total_cmp);
                arriving = self.levels[level].iter().skip(usize::from(self.odd[level])).step_by(2).copied().collect();
                self.levels[level].clear();
                self.levels[level].extend(kept);
                self.odd[level] = !self.odd[level];
                self.rank_error += 1 << level;
            }
            level += 1;
        }
    }

    /// How many values.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The values in the order of the replicates, if the ensemble keeps them ([`Ensemble::keep_values`](crate::ensemble::Ensemble)).
    #[must_use]
    pub fn values(&self) -> Option<&[f64]> {
        self.values.as_deref()
    }

    /// The mean; 0 of no values; infinite if values are infinite, all of one sign, and NaN if of both.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// The variance, unbiased; NaN for fewer than two values, and if a value is infinite.
    #[must_use]
    pub fn variance(&self) -> f64 {
        self.squares / (self.count as f64 - 1.0).max(0.0)
    }

    /// The standard deviation, √variance.
    #[must_use]
    pub fn standard_deviation(&self) -> f64 {
        self.variance().sqrt()
    }

    /// The standard deviation of the mean, √(variance/n).
    #[must_use]
    pub fn standard_error(&self) -> f64 {
        (self.variance() / self.count as f64).sqrt()
    }

    /// The quantile of level q, between the two neighbouring values by linear interpolation; NaN if q is not in \[0, 1\],
    /// or a value is NaN, or there are none. Its rank is off by at most [`rank_error`](Self::rank_error).
    #[must_use]
    pub fn quantile(&self, q: f64) -> f64 {
        if !(0.0..=1.0).contains(&q) || self.count == 0 || self.not_a_number {
            return f64::NAN;
        }
        let weighted =
            self.levels.iter().enumerate().flat_map(|(k, level)| level.iter().map(move |&x| (x, 1_u64 << k.min(63))));
        let mut sorted: Vec<(f64, u64)> = weighted.collect();
        sorted.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let total = sorted.iter().fold(0_u64, |sum, value| sum.saturating_add(value.1)).max(1);
        let position = q * (total - 1) as f64;
        // The values of ranks ⌊position⌋ and the next one.
        let at = |rank: f64| {
            let mut below = 0;
            let found = sorted.iter().find(|&&(_, weight)| {
                below = weight.saturating_add(below);
                rank < below as f64
            });
            found.or(sorted.last()).map_or(f64::NAN, |value| value.0)
        };
        let (lower, upper) = (at(position.floor()), at((position.floor() + 1.0).min((total - 1) as f64)));
        if lower == upper { lower } else { lower + (position - position.floor()) * (upper - lower) }
    }

    /// By how many ranks a quantile may be off, as a fraction of the number of values: 0 up to 4096 of them, at most
    /// 0.002 for 10⁶ (a bound; errors of successive halvings mostly cancel).
    #[must_use]
    pub fn rank_error(&self) -> f64 {
        self.rank_error as f64 / (self.count as f64).max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl IntoIterator<Item = f64>) -> Statistics {
        let mut statistics = Statistics::new(true);
        values.into_iter().for_each(|x| statistics.push(x));
        statistics
    }

    #[test]
    fn statistics_are_those_of_the_values() {
        let statistics = of([1.0, 4.0, 2.0, 8.0]);
        assert_eq!((statistics.mean(), statistics.count()), (3.75, 4));
        assert!((statistics.variance() - 9.583_333_333_333_334).abs() < 1e-14);
        assert!((statistics.standard_error() - (statistics.variance() / 4.0).sqrt()).abs() < 1e-15);
        assert_eq!([0.0, 0.5, 1.0].map(|q| statistics.quantile(q)), [1.0, 3.0, 8.0]);
        assert_eq!(statistics.values(), Some(&[1.0, 4.0, 2.0, 8.0][..]));
        assert!(statistics.quantile(1.5).is_nan() && of([]).quantile(0.5).is_nan());
        assert!(of([1.0, f64::NAN]).quantile(0.0).is_nan() && of([1.0]).variance().is_nan());
        assert_eq!(of([f64::INFINITY; 3]).quantile(0.5), f64::INFINITY);
        for values in [[f64::INFINITY; 3], [1.0, f64::INFINITY, 2.0], [f64::INFINITY, 1.0, 2.0]] {
            assert!(of(values).mean() == f64::INFINITY && of(values).variance().is_nan());
            assert_eq!(of(values.map(|x| -x)).mean(), f64::NEG_INFINITY);
        }
        assert!(of([f64::INFINITY, 1.0, f64::NEG_INFINITY]).mean().is_nan() && of([f64::NAN, 1.0]).mean().is_nan());
        assert_eq!(of([1e308, -1e308]).mean(), 0.0);
    }

    /// Up to 4096 values quantiles are exact; beyond, no rank is off by more than is said. Values come in an order that
    /// is hard on no sketch, in one that is (sorted), and with many ties.
    #[test]
    fn quantiles_are_off_by_no_more_ranks_than_they_say() {
        let count = 300_000_u64;
        let shuffled = |k: u64| (k * 130_043 % count) as f64;
        let orders: [&dyn Fn(u64) -> f64; 3] = [&shuffled, &|k| k as f64, &|k| (shuffled(k) / 1000.0).floor()];
        for (order, value) in orders.iter().enumerate() {
            let small = of((0..4096).map(value));
            let mut sorted: Vec<f64> = (0..4096).map(value).collect();
            sorted.sort_unstable_by(f64::total_cmp);
            assert_eq!((small.rank_error(), small.quantile(1.0 / 4095.0)), (0.0, sorted[1]));
            let large = of((0..count).map(value));
            assert!(large.rank_error() > 0.0 && large.rank_error() < 0.002, "{}", large.rank_error());
            assert!(large.levels.iter().map(Vec::len).sum::<usize>() < 10 * LEVEL);
            for q in [0.0, 0.01, 0.25, 0.5, 0.9, 0.999, 1.0] {
                let scale = if order == 2 { 1000.0 } else { 1.0 };
                let rank = large.quantile(q) * scale / count as f64;
                let allowed = large.rank_error() + 2.0 * scale / count as f64;
                assert!((rank - q).abs() <= allowed, "order {order}, q {q}: {rank}, allowed {allowed}");
            }
        }
    }

    /// Three halvings of the first level and, with 6144 values there, one of the second: 3·1 + 1·2 ranks.
    #[test]
    fn the_bound_on_ranks_counts_every_halving_with_its_weight() {
        let count = 3 * 4096 + 1;
        let statistics = of((0..count).map(f64::from));
        assert_eq!(statistics.rank_error() * f64::from(count), 5.0);
    }
}
