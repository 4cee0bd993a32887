//! The standard normal law: its quantiles, and a rule for it on the line.
//!
//! Covers the quantile function and the trapezoidal rule. Not here: normal random numbers (see [`crate::random`]), and
//! rules in several dimensions (see [`crate::limit`]).

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

/// Nodes and weights of the trapezoidal rule for the standard normal law: 2·points + 1 of them, `points` at least 1.
///
/// With n nodes a step h leaves out the tail beyond nh/2, of size exp(−(nh/2)²/2), and errs by exp(−2π²/h²) for entire
/// integrands of slow growth; h² = 4π/n makes both exp(−πn/2). Beyond [`NORMAL_END`] there is nothing left to gain by
/// longer tails, and more nodes make the step finer.
pub(crate) fn normal_rule(points: usize) -> (Vec<f64>, Vec<f64>) {
    let half = points.max(1);
    let n = 2.0 * half as f64 + 1.0;
    let step = (2.0 * (std::f64::consts::PI / n).sqrt()).min(NORMAL_END / half as f64);
    let nodes: Vec<f64> = (0..=2 * half).map(|k| step * (k as f64 - half as f64)).collect();
    let density: Vec<f64> = nodes.iter().map(|z| (-0.5 * z * z).exp()).collect();
    let total: f64 = density.iter().sum();
    (nodes, density.into_iter().map(|w| w / total).collect())
}

/// Where the density has fallen to 2e-16 of its maximum: exp(−8.5²/2).
const NORMAL_END: f64 = 8.5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trapezoidal_rule_has_the_moments_of_the_law() {
        let moment = |points: usize, power: i32| -> f64 {
            let (nodes, weights) = normal_rule(points);
            nodes.iter().zip(&weights).map(|(z, w)| w * z.powi(power)).sum()
        };
        for (power, want) in [(0, 1.0), (1, 0.0), (2, 1.0), (4, 3.0), (6, 15.0)] {
            assert!((moment(32, power) - want).abs() < 1e-11, "{power}: {}", moment(32, power));
        }
        assert!((moment(2, 2) - 1.0).abs() < 0.05 && (moment(8, 2) - 1.0).abs() < 1e-8);
    }

    #[test]
    fn quantiles_invert_the_distribution_function() {
        for u in [1e-7, 1e-3, 0.02, 0.3, 0.5, 0.77, 0.999, 1.0 - 1e-7] {
            let z = normal_quantile(u);
            let back = 0.5 * libm::erfc(-z * std::f64::consts::FRAC_1_SQRT_2);
            assert!((back - u).abs() < 1e-14 + 1e-13 * u.min(1.0 - u), "{u}: {back}");
        }
    }
}
