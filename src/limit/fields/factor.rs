//! The Gaussian field in whitened coordinates (theory §2): h = μ + F z with z standard normal.
//!
//! Covers the factor F of a covariance over fields, for singular covariances too, and regressions onto z. The
//! elimination order is chosen once and then kept, so that F is a smooth function of the covariance.

use std::marker::PhantomData;

use crate::Scalar;
use crate::numerics::dual::Number;

/// A variance of which elimination leaves so many ulp is zero but for rounding.
pub(in crate::limit) const PIVOT_ULPS: f64 = 8.0;

/// How a covariance over the fields (h¹_1..h¹_k, h²_1..h²_k) is factored.
///
/// Where the views can be exchanged, the fields are rotated to h± = (h¹ ± h²)/√2 first: the two groups are
/// independent, and z₋ → −z₋ exchanges the views.
#[derive(Debug, Clone)]
pub(crate) struct Factor<T, N = T> {
    fields: usize,
    rotated: bool,
    order: Vec<usize>,
    /// Lower triangular in the elimination order; rows are (rotated) fields. Row-major, fields x fields.
    lower: Vec<N>,
    /// F, row-major, fields x fields.
    rows: Vec<N>,
    /// The covariance of the (rotated) fields.
    work: Vec<N>,
    /// Whether F follows the covariance smoothly: not where a direction without variance is about to get some.
    smooth: bool,
    scalar: PhantomData<T>,
}

impl<T: Scalar, N: Number<T>> Factor<T, N> {
    /// Factors `covariance` (row-major, fields x fields) and fixes the elimination order: largest remaining variance
    /// first. `rotated` asks for h±; the number of fields is then even.
    pub(crate) fn new(covariance: &[N], fields: usize, rotated: bool) -> Self {
        let zeros = vec![N::zero(); fields * fields];
        let mut this = Self {
            fields,
            rotated,
            order: (0..fields).collect(),
            lower: zeros.clone(),
            rows: zeros.clone(),
            work: zeros,
            smooth: true,
            scalar: PhantomData,
        };
        this.rotate(covariance);
        for k in 0..fields {
            let remaining = |this: &Self, row: usize| this.remainder(row, k).value();
            let best = (k..fields)
                .max_by(|&a, &b| {
                    let (x, y) = (remaining(&this, this.order[a]), remaining(&this, this.order[b]));
                    x.partial_cmp(&y).unwrap_or(std::cmp::Ordering::Equal)
                })
                .unwrap_or(k);
            this.order.swap(k, best);
            this.eliminate(k);
        }
        this.unrotate();
        this
    }

    /// Factors another covariance in the same order.
    pub(crate) fn update(&mut self, covariance: &[N]) {
        self.rotate(covariance);
        self.lower.fill(N::zero());
        self.smooth = true;
        for k in 0..self.fields {
            self.eliminate(k);
        }
        self.unrotate();
    }

    /// A factor of the same order for other numbers.
    pub(crate) fn with_numbers<M: Number<T>>(&self) -> Factor<T, M> {
        let zeros = vec![M::zero(); self.fields * self.fields];
        Factor {
            fields: self.fields,
            rotated: self.rotated,
            order: self.order.clone(),
            lower: zeros.clone(),
            rows: zeros.clone(),
            work: zeros,
            smooth: true,
            scalar: PhantomData,
        }
    }

    /// Whether F is differentiable at its covariance along the directions of the numbers.
    pub(crate) fn is_smooth(&self) -> bool {
        self.smooth
    }

    /// Whether the covariance has full rank.
    pub(crate) fn is_regular(&self) -> bool {
        (0..self.fields).all(|k| self.lower[self.order[k] * self.fields + k].value() > T::zero())
    }

    /// Row `field`, column `k` of F.
    #[inline]
    pub(crate) fn get(&self, field: usize, k: usize) -> N {
        self.rows[field * self.fields + k]
    }

    /// Whether coordinate k changes sign when the views are exchanged.
    pub(crate) fn is_odd_under_exchange(&self, k: usize) -> bool {
        self.rotated && self.order[k] >= self.fields / 2
    }

    /// The largest |F_fk| over the fields f: how far a unit of z_k moves a field.
    pub(crate) fn gain(&self, k: usize) -> T {
        (0..self.fields).fold(T::zero(), |g, f| g.max(self.get(f, k).value().abs()))
    }

    /// E[x | z] = g·z for a variable x with covariance `covariance[f]` with field f: writes g.
    pub(crate) fn regress(&self, covariance: &[N], g: &mut [N]) {
        let n = self.fields;
        let half = n / 2;
        let root = T::lit(std::f64::consts::FRAC_1_SQRT_2);
        for k in 0..n {
            let row = self.order[k];
            let c = match (self.rotated, row < half) {
                (false, _) => covariance[row],
                (true, true) => (covariance[row] + covariance[row + half]).times(root),
                (true, false) => (covariance[row - half] - covariance[row]).times(root),
            };
            let pivot = self.lower[row * n + k];
            let known = (0..k).fold(N::zero(), |sum, j| sum + self.lower[row * n + j] * g[j]);
            g[k] = if pivot.value() > T::zero() { (c - known) / pivot } else { N::zero() };
        }
    }

    /// The x of least norm with Fᵀ x = y, for y along the coordinates that the fields have.
    pub(crate) fn solve_transposed(&self, y: &[N]) -> Vec<N> {
        let n = self.fields;
        // Rows of the lower factor in elimination order: back substitution, directions without variance left out.
        let mut rotated = vec![N::zero(); n];
        for k in (0..n).rev() {
            let row = self.order[k];
            let pivot = self.lower[row * n + k];
            if pivot.value() > T::zero() {
                let known = (k + 1..n)
                    .fold(N::zero(), |sum, j| sum + self.lower[self.order[j] * n + k] * rotated[self.order[j]]);
                rotated[row] = (y[k] - known) / pivot;
            }
        }
        if !self.rotated {
            return rotated;
        }
        let (half, root) = (n / 2, T::lit(std::f64::consts::FRAC_1_SQRT_2));
        (0..n)
            .map(|f| {
                let (plus, minus) = (rotated[f % half], rotated[half + f % half]);
                (if f < half { plus + minus } else { plus - minus }).times(root)
            })
            .collect()
    }

    /// Whether the fields move within the directions that have variance: what integration by parts can follow. `mean` is
    /// the motion of the mean of each field.
    pub(crate) fn moves_within_range(&self, mean: &dyn Fn(usize) -> N) -> bool {
        let n = self.fields;
        let half = n / 2;
        let root = T::lit(std::f64::consts::FRAC_1_SQRT_2);
        let mean = |row: usize| match (self.rotated, row < half) {
            (false, _) => mean(row),
            (true, true) => (mean(row) + mean(row + half)).times(root),
            (true, false) => (mean(row - half) - mean(row)).times(root),
        };
        let has_pivot = |k: usize| self.lower[self.order[k] * n + k].value() > T::zero();
        (0..n).filter(|&k| !has_pivot(k)).all(|k| {
            // The row is a combination of the rows with pivots before it, and must stay that.
            let row = self.order[k];
            let mut share = vec![T::zero(); n];
            for j in (0..k).rev().filter(|&j| has_pivot(j)) {
                let known: T = (j + 1..k).map(|i| share[i] * self.lower[self.order[i] * n + j].value()).sum();
                share[j] = (self.lower[row * n + j].value() - known) / self.lower[self.order[j] * n + j].value();
            }
            let stays = |column: &dyn Fn(usize) -> N| {
                let rest = (0..k).fold(column(row), |sum, j| sum - column(self.order[j]).times(share[j]));
                rest.is_stationary(&(column(row) + N::one()))
            };
            stays(&mean) && (0..k).all(|j| stays(&|row| self.lower[row * n + j]))
        })
    }

    /// The covariance of the rotated fields, or the covariance itself.
    fn rotate(&mut self, covariance: &[N]) {
        let n = self.fields;
        let out = &mut self.work;
        if !self.rotated {
            out.copy_from_slice(covariance);
            return;
        }
        // Exchangeable views: [[P, X], [X, P]] with symmetric X has blocks P ± X.
        let k = n / 2;
        out.fill(N::zero());
        for i in 0..k {
            for j in 0..k {
                let (p, x) = (covariance[i * n + j], covariance[i * n + k + j]);
                out[i * n + j] = p + x;
                out[(k + i) * n + k + j] = p - x;
            }
        }
    }

    fn remainder(&self, row: usize, k: usize) -> N {
        let n = self.fields;
        let taken = (0..k).fold(N::zero(), |sum, j| sum + self.lower[row * n + j] * self.lower[row * n + j]);
        self.work[row * n + row] - taken
    }

    /// Column k of the lower factor. A pivot that is rounding alone is a direction without variance.
    fn eliminate(&mut self, k: usize) {
        let n = self.fields;
        let row = self.order[k];
        let remainder = self.remainder(row, k);
        let mut scale = self.work[row * n + row];
        if self.rotated {
            // In rotated coordinates P − X has lost the digits in which P and X agree.
            let twin = (row + n / 2) % n;
            let other = self.work[twin * n + twin];
            if other.value() > scale.value() {
                scale = other;
            }
        }
        if !(remainder.value() > T::lit(PIVOT_ULPS) * T::EPSILON * scale.value()) {
            self.smooth &= remainder.is_stationary(&scale);
            return;
        }
        let pivot = remainder.sqrt();
        self.lower[row * n + k] = pivot;
        for position in k + 1..n {
            let below = self.order[position];
            let dot = (0..k).fold(N::zero(), |sum, j| sum + self.lower[below * n + j] * self.lower[row * n + j]);
            self.lower[below * n + k] = (self.work[below * n + row] - dot) / pivot;
        }
    }

    fn unrotate(&mut self) {
        let n = self.fields;
        if !self.rotated {
            self.rows.copy_from_slice(&self.lower);
            return;
        }
        let (half, root) = (n / 2, T::lit(std::f64::consts::FRAC_1_SQRT_2));
        for i in 0..half {
            for k in 0..n {
                let (plus, minus) = (self.lower[i * n + k], self.lower[(half + i) * n + k]);
                self.rows[i * n + k] = (plus + minus).times(root);
                self.rows[(half + i) * n + k] = (plus - minus).times(root);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(covariance: &[f64], n: usize, rotated: bool) {
        let mut factor: Factor<f64> = Factor::new(covariance, n, rotated);
        factor.update(covariance);
        for i in 0..n {
            for j in 0..n {
                let product: f64 = (0..n).map(|k| factor.get(i, k) * factor.get(j, k)).sum();
                assert!((product - covariance[i * n + j]).abs() < 1e-14, "({i}, {j}): {product}");
            }
            // A field regressed onto z is its own row of F, up to directions without variance.
            let mut g = vec![0.0; n];
            factor.regress(&covariance[i * n..(i + 1) * n], &mut g);
            for k in 0..n {
                assert!((g[k] - factor.get(i, k)).abs() < 1e-7);
            }
        }
    }

    #[test]
    fn the_factor_reproduces_regular_and_singular_covariances() {
        check(&[0.8, 0.3, 0.3, 0.8], 2, true);
        check(&[0.8, 0.3, 0.3, 0.5], 2, false);
        check(&[0.8, 0.8, 0.8, 0.8], 2, true);
        check(&[0.8, -0.8, -0.8, 0.8], 2, true);
        check(&[0.8, -0.8, -0.8, 0.8], 2, false);
        check(&[0.0, 0.0, 0.0, 0.0], 2, true);
        check(&[0.0, 0.0, 0.0, 0.7], 2, false);
        let (p, x) = ([[1.0, 0.2], [0.2, 1.1]], [[0.7, 0.2], [0.2, 0.8]]);
        let at = |i: usize, j: usize| if (i < 2) == (j < 2) { p[i % 2][j % 2] } else { x[i % 2][j % 2] };
        let block: Vec<f64> = (0..16).map(|e| at(e / 4, e % 4)).collect();
        check(&block, 4, true);
        check(&block, 4, false);
    }
}
