//! Gauss rules on the line.
//!
//! Covers Gauss-Legendre nodes. Not here: the products and panels that the averages build of them (see
//! [`crate::limit`]).

use std::num::NonZeroUsize;

use gauss_quad::legendre::GaussLegendre;

/// Gauss-Legendre nodes and weights on [−1, 1]; of one point if `points` is 0.
pub(crate) fn legendre(points: usize) -> (Vec<f64>, Vec<f64>) {
    let rule = GaussLegendre::new(NonZeroUsize::new(points).unwrap_or(NonZeroUsize::MIN));
    rule.iter().map(|&(x, w)| (x, w)).unzip()
}
