//! Gauss rules on the line.
//!
//! Covers Gauss-Legendre nodes, and Gauss-Hermite nodes for a standard normal. Not here: the products and panels that the averages build of them (see
//! [`crate::limit`]).

use std::num::NonZeroUsize;

use gauss_quad::hermite::GaussHermite;
use gauss_quad::legendre::GaussLegendre;

/// Gauss-Legendre nodes and weights on [−1, 1]; of one point if `points` is 0.
pub(crate) fn legendre(points: usize) -> (Vec<f64>, Vec<f64>) {
    let rule = GaussLegendre::new(NonZeroUsize::new(points).unwrap_or(NonZeroUsize::MIN));
    rule.iter().map(|&(x, w)| (x, w)).unzip()
}

/// Gauss-Hermite nodes and weights for a standard normal, in rising order; the weights sum to 1. Of one point if `points` is 0.
pub(crate) fn hermite(points: usize) -> Vec<(f64, f64)> {
    let rule = GaussHermite::new(NonZeroUsize::new(points).unwrap_or(NonZeroUsize::MIN));
    // Physicists' weight exp(−x²): z = √2 x.
    let total: f64 = rule.iter().map(|&(_, w)| w).sum();
    let mut line: Vec<(f64, f64)> = rule.iter().map(|&(x, w)| (std::f64::consts::SQRT_2 * x, w / total)).collect();
    line.sort_by(|a, b| a.0.total_cmp(&b.0));
    line
}
