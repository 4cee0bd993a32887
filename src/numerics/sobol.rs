//! Owen-scrambled Sobol points (theory §9): for averages over many dimensions.
//!
//! Covers the points in the unit cube. Not here: their map to normal variables (see [`crate::numerics::normal`]).
//! The points are frozen once they are made, so what they compute is a smooth function of the state. Points: B. Burley, Practical Hash-based Owen Scrambling, J. Comput. Graph. Tech. 9 (2020).

/// The most points of one sequence.
const MOST_POINTS: usize = 1 << 16;
/// The most dimensions of one sequence.
const MOST_DIMENSIONS: usize = sobol_burley::NUM_DIMENSIONS as usize;

/// Coordinate `dimension` in (0, 1) of point `index`, for one scramble. Points and dimensions beyond those of one
/// sequence are of independently scrambled ones.
pub(crate) fn uniform(index: usize, dimension: usize, scramble: u32) -> f64 {
    #[allow(clippy::cast_possible_truncation)] // both are far below 2^32
    let [sequence, group, index, dimension] =
        [index / MOST_POINTS, dimension / MOST_DIMENSIONS, index % MOST_POINTS, dimension % MOST_DIMENSIONS]
            .map(|x| x as u32);
    // Odd multipliers keep the seeds of different sequences apart.
    let seed = scramble.wrapping_add(sequence.wrapping_mul(0x85EB_CA6B)).wrapping_add(group.wrapping_mul(0x9E37_79B9));
    // The generator's points are multiples of 2^-24: the middle of that cell keeps 0 out.
    f64::from(sobol_burley::sample(index, dimension, seed)) + f64::powi(0.5, 25)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numerics::normal::normal_quantile;

    #[test]
    fn points_integrate_a_smooth_function_much_better_than_chance() {
        // E[(z1 z2 z3)²] = 1 over 2^13 points: chance errs by 0.05.
        let count = 1 << 13;
        let mean = |scramble| {
            let f = |n| (0..3).map(|d| normal_quantile(uniform(n, d, scramble)).powi(2)).product::<f64>();
            (0..count).map(f).sum::<f64>() / count as f64
        };
        let errors: Vec<f64> = (0..8).map(|scramble| mean(scramble) - 1.0).collect();
        let rms = (errors.iter().map(|e| e * e).sum::<f64>() / 8.0).sqrt();
        assert!(rms < 0.02, "{rms}");
    }

    /// The next sequence of dimensions is scrambled anew: as little alike as two dimensions of one.
    #[test]
    fn dimensions_beyond_one_sequence_are_others() {
        let count = 4096;
        let correlation = |other: usize| {
            let product = |n| 12.0 * (uniform(n, 0, 7) - 0.5) * (uniform(n, other, 7) - 0.5);
            (0..count).map(product).sum::<f64>() / count as f64
        };
        assert!((correlation(0) - 1.0).abs() < 1e-3);
        for dimension in [1, MOST_DIMENSIONS, 2 * MOST_DIMENSIONS] {
            assert!(correlation(dimension).abs() < 0.1, "{dimension}: {}", correlation(dimension));
        }
    }
}
