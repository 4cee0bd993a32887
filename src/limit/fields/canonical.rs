//! Canonical coordinates of two fields of each view: uncorrelated within a view, and coupled one to one across views.

use nalgebra::Matrix2;

use crate::Scalar;
use crate::limit::fields::factor::PIVOT_ULPS;

/// h = μ + L^v z^v for the two fields of each view v, with z¹ and z² standard normal in the plane and E[z¹_k z²_l] = r_k
/// for k = l, and almost 0 otherwise.
///
/// Where r_1 = r_2 any rotation will do, and close to it the coordinates turn as fast as the state moves; what is computed on
/// nodes in them then moves by the error of the rule. States without overlaps are such. So there the coordinates of
/// a reference are kept, and what they leave of the other correlations is told.
#[derive(Debug, Clone, Copy)]
pub(in crate::limit) struct Canonical {
    /// Row f: how field f moves with the coordinates of its view; fields 0 and 1 are of view 1.
    pub(in crate::limit) rows: [[f64; 2]; 4],
    /// r; the larger first, but for coordinates that are kept.
    pub(in crate::limit) correlations: [f64; 2],
    /// E[z¹_1 z²_2] and E[z¹_2 z²_1]; 0 but for coordinates that are kept.
    pub(in crate::limit) rest: [f64; 2],
    /// The field of each view that is whitened first.
    first: [usize; 2],
    /// The rotations of the reference.
    turns: [Matrix2<f64>; 2],
}

/// Coordinates are kept where they leave at most that correlation: to first order in it averages are exact, and its square
/// is below the rounding of Newton's method.
pub(in crate::limit) const KEPT: f64 = 1e-5;

/// Correlations of so many ulp are zero but for rounding.
pub(in crate::limit) const REST_ULPS: f64 = 16.0;

/// Correlations further apart than that turn slowly.
const CLOSE: f64 = 0.02;

impl Canonical {
    /// Of the covariance of four fields, two of view 1 and two of view 2, row by row. It may be singular.
    pub(in crate::limit) fn new<T: Scalar>(covariance: &[T]) -> Self {
        let variance = |field: usize| covariance[5 * field];
        let order = Self {
            rows: [[0.0; 2]; 4],
            correlations: [0.0; 2],
            rest: [0.0; 2],
            first: [0, 1].map(|view| usize::from(variance(2 * view + 1) > variance(2 * view))),
            turns: [Matrix2::identity(); 2],
        };
        order.at(covariance, false)
    }

    /// Of another covariance. `may_keep`: whether the coordinates of this one may be kept.
    pub(in crate::limit) fn at<T: Scalar>(&self, covariance: &[T], may_keep: bool) -> Self {
        let entry = |f: usize, g: usize| covariance[4 * f + g].as_f64();
        let [first, second] = [0, 1].map(|view| {
            let (a, b) = (self.first[view], 1 - self.first[view]);
            let at = |i: usize, j: usize| entry(2 * view + i, 2 * view + j);
            let gain = at(a, a).max(0.0).sqrt();
            let along = if gain > 0.0 { at(a, b) / gain } else { 0.0 };
            // What is rounding alone has no variance.
            let left = at(b, b) - along * along;
            let across = if left > PIVOT_ULPS * T::EPSILON.as_f64() * at(b, b) { left.sqrt() } else { 0.0 };
            let (mut whitened, mut inverse) = (Matrix2::zeros(), Matrix2::zeros());
            whitened[(a, 0)] = gain;
            whitened[(b, 0)] = along;
            whitened[(b, 1)] = across;
            inverse[(0, a)] = Self::over(1.0, gain);
            inverse[(1, a)] = Self::over(-along * Self::over(1.0, gain), across);
            inverse[(1, b)] = Self::over(1.0, across);
            (whitened, inverse)
        });
        let between = Matrix2::from_fn(|i, j| entry(i, 2 + j));
        let correlation = first.1 * between * second.1.transpose();
        let kept = self.turns[0].transpose() * correlation * self.turns[1];
        let keep = may_keep
            && kept[(0, 1)].abs().max(kept[(1, 0)].abs()) <= KEPT
            && (kept[(0, 0)] - kept[(1, 1)]).abs() <= CLOSE
            // Kernels serve correlations from zero on.
            && kept[(0, 0)].min(kept[(1, 1)]) >= -KEPT;
        let (turns, correlations, rest) = if keep {
            // At the reference itself only rounding is left.
            let rest =
                [kept[(0, 1)], kept[(1, 0)]].map(|x| if x.abs() > REST_ULPS * T::EPSILON.as_f64() { x } else { 0.0 });
            (self.turns, [kept[(0, 0)], kept[(1, 1)]], rest)
        } else {
            let svd = correlation.svd(true, true);
            // Asked for both, it gives both.
            let v = svd.v_t.unwrap_or_else(Matrix2::identity).transpose();
            let turns = [svd.u.unwrap_or_else(Matrix2::identity), v];
            (turns, [svd.singular_values[0], svd.singular_values[1]], [0.0; 2])
        };
        let (x, y) = (first.0 * turns[0], second.0 * turns[1]);
        let row = |l: &Matrix2<f64>, i: usize| [l[(i, 0)], l[(i, 1)]];
        Self {
            rows: [row(&x, 0), row(&x, 1), row(&y, 0), row(&y, 1)],
            correlations: correlations.map(|r| r.clamp(-1.0, 1.0)),
            rest,
            first: self.first,
            // The reference stays.
            turns: if may_keep { self.turns } else { turns },
        }
    }

    fn over(x: f64, y: f64) -> f64 {
        if y > 0.0 { x / y } else { 0.0 }
    }

    /// How far a unit of coordinate k moves a field, at most.
    pub(in crate::limit) fn gain(&self, k: usize) -> f64 {
        self.rows.iter().fold(0.0, |gain, row| row[k].abs().max(gain))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(covariance: &[f64; 16]) {
        check_of(&Canonical::new(covariance), covariance);
    }

    fn check_of(canonical: &Canonical, covariance: &[f64; 16]) {
        for f in 0..4 {
            for g in 0..4 {
                let cross = (f < 2) != (g < 2);
                let weight = |k: usize| if cross { canonical.correlations[k] } else { 1.0 };
                let mut sum: f64 = (0..2).map(|k| canonical.rows[f][k] * weight(k) * canonical.rows[g][k]).sum();
                if cross {
                    let (x, y) = (canonical.rows[f.min(g)], canonical.rows[f.max(g)]);
                    sum += canonical.rest[0] * x[0] * y[1] + canonical.rest[1] * x[1] * y[0];
                }
                assert!((sum - covariance[4 * f + g]).abs() < 1e-14, "({f}, {g}): {sum} {}", covariance[4 * f + g]);
            }
        }
    }

    /// K^f ⊗ A + D ⊗ B.
    fn blocks(feature: [f64; 3], a: [f64; 3], views: [f64; 3], b: [f64; 3]) -> [f64; 16] {
        std::array::from_fn(|at| {
            let (f, g) = (at / 4, at % 4);
            let (v, i) = (f / 2 + g / 2, f % 2 + g % 2);
            feature[v] * a[i] + views[v] * b[i]
        })
    }

    #[test]
    fn coordinates_reproduce_regular_and_singular_covariances() {
        check(&blocks([0.3, -0.1, 0.4], [0.2, 0.1, 0.3], [1.3, 0.8, 1.2], [0.9, 0.2, 0.7]));
        // Equal views; no variance at all; equal neurons; opposite views.
        check(&blocks([0.0; 3], [0.2, 0.1, 0.3], [1.0; 3], [0.9, 0.2, 0.7]));
        check(&[0.0; 16]);
        check(&blocks([0.3, 0.1, 0.3], [0.2; 3], [1.3, 1.0, 1.3], [0.9; 3]));
        check(&blocks([0.3, -0.3, 0.3], [0.2, -0.1, 0.4], [0.0; 3], [0.0; 3]));
    }

    #[test]
    fn coordinates_are_kept_where_they_would_turn_for_nothing() {
        // Equal correlations at first, and almost equal ones then, whose own coordinates are those of the rest.
        let none = [0.0; 3];
        let reference = Canonical::new(&blocks([0.3, -0.1, 0.3], none, [1.3, 0.8, 1.3], [0.9, 0.2, 0.7]));
        let near = blocks([0.3, -0.1, 0.3], [1e-7, 1e-7, 2e-7], [1.3, 0.8, 1.3], [0.9, 0.2, 0.7]);
        let kept = reference.at(&near, true);
        assert!(kept.rest[0].abs() > 1e-9);
        check_of(&kept, &near);
        let distance = |x: &Canonical, y: &Canonical| {
            (0..8).map(|k| (x.rows[k / 2][k % 2] - y.rows[k / 2][k % 2]).abs()).fold(0.0, f64::max)
        };
        assert!(distance(&kept, &reference) < 1e-6);
        let turned = reference.at(&near, false);
        check_of(&turned, &near);
        assert!(distance(&turned, &reference) > 1e-2);
        let far = blocks([0.3, -0.1, 0.3], [0.2, 0.1, 0.3], [1.3, 0.8, 1.3], [0.9, 0.2, 0.7]);
        assert_eq!(reference.at(&far, true).rest, [0.0; 2]);
    }
}
