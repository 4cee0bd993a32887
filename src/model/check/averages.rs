//! Averages over draws, with their standard errors.
//!
//! Covers the running mean and variance of many statistics at once. Not here: ensembles of trajectories (see
//! [`crate::ensemble`]).

/// Means and variances of several numbers, each over the same draws.
#[derive(Debug, Clone)]
pub(super) struct Averages {
    count: f64,
    means: Vec<f64>,
    /// Sums of squared deviations from the mean.
    squares: Vec<f64>,
}

impl Averages {
    pub(super) fn new(statistics: usize) -> Self {
        Self { count: 0.0, means: vec![0.0; statistics], squares: vec![0.0; statistics] }
    }

    /// Adds the numbers of one draw (Welford's update).
    pub(super) fn add(&mut self, values: &[f64]) {
        self.count += 1.0;
        for ((mean, square), &x) in self.means.iter_mut().zip(&mut self.squares).zip(values) {
            let step = x - *mean;
            *mean += step / self.count;
            *square += step * (x - *mean);
        }
    }

    pub(super) fn mean(&self, k: usize) -> f64 {
        self.means[k]
    }

    /// The standard error of the mean, from the draws and from the variance that is expected, the larger of the two: rare
    /// large values may be missing among the draws, or too many.
    pub(super) fn standard_error(&self, k: usize, expected_variance: f64) -> f64 {
        (self.squares[k] / self.count).max(expected_variance).sqrt() / self.count.sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_and_errors_are_those_of_the_numbers() {
        let mut averages = Averages::new(2);
        for x in [1.0, 2.0, 3.0, 6.0] {
            averages.add(&[x, 5.0]);
        }
        assert_eq!((averages.mean(0), averages.mean(1)), (3.0, 5.0));
        // The variance is 3.5, of four draws.
        assert!((averages.standard_error(0, 0.0) - (3.5_f64 / 4.0).sqrt()).abs() < 1e-15);
        assert_eq!((averages.standard_error(0, 16.0), averages.standard_error(1, 0.0)), (2.0, 0.0));
    }
}
