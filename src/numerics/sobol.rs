//! Owen-scrambled Sobol points mapped to the standard normal law (theory §9): for averages over many dimensions.
//!
//! The points are frozen once they are made, so what they compute is a smooth function of the state. Points:
//! B. Burley, Practical Hash-based Owen Scrambling, J. Comput. Graph. Tech. 9 (2020).

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

/// The quantile function of the standard normal law, to about 1e-14.
pub(crate) fn normal_quantile(u: f64) -> f64 {
    let tail = u.min(1.0 - u);
    // Abramowitz and Stegun 26.2.23, good to 4.5e-4, then Halley's method on the distribution function.
    let t = (-2.0 * tail.ln()).sqrt();
    let ratio =
        (2.515_517 + t * (0.802_853 + t * 0.010_328)) / (1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308)));
    let mut z = t - ratio;
    for _ in 0..2 {
        let excess = 0.5 * libm::erfc(z * std::f64::consts::FRAC_1_SQRT_2) - tail;
        let density = (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt();
        let newton = excess / density;
        z += newton / (1.0 - 0.5 * z * newton);
    }
    if u < 0.5 { -z } else { z }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_invert_the_distribution_function() {
        for u in [1e-7, 1e-3, 0.02, 0.3, 0.5, 0.77, 0.999, 1.0 - 1e-7] {
            let z = normal_quantile(u);
            let back = 0.5 * libm::erfc(-z * std::f64::consts::FRAC_1_SQRT_2);
            assert!((back - u).abs() < 1e-14 + 1e-13 * u.min(1.0 - u), "{u}: {back}");
        }
    }

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
}
