//! The Gaussian field in whitened coordinates (theory §2): h = μ + F z with z standard normal.
//!
//! In: the factor F of a covariance over fields, for singular covariances too, and regressions onto z. The
//! elimination order is chosen once and then kept, so that F is a smooth function of the covariance.

use crate::Scalar;

/// How a covariance over the fields (h¹_1..h¹_k, h²_1..h²_k) is factored.
///
/// Where the views can be exchanged, the fields are rotated to h± = (h¹ ± h²)/√2 first: the two groups are
/// independent, and z₋ → −z₋ exchanges the views.
#[derive(Debug, Clone)]
pub(crate) struct Factor<T> {
    fields: usize,
    rotated: bool,
    order: Vec<usize>,
    /// Lower triangular in the elimination order; rows are (rotated) fields. Row-major, fields x fields.
    lower: Vec<T>,
    /// F, row-major, fields x fields.
    rows: Vec<T>,
}

impl<T: Scalar> Factor<T> {
    /// Factors `covariance` (row-major, fields x fields) and fixes the elimination order: largest remaining variance
    /// first. `rotated` asks for h±; the number of fields is then even.
    pub(crate) fn new(covariance: &[T], fields: usize, rotated: bool) -> Self {
        let mut this = Self {
            fields,
            rotated,
            order: (0..fields).collect(),
            lower: vec![T::zero(); fields * fields],
            rows: vec![T::zero(); fields * fields],
        };
        let mut work = vec![T::zero(); fields * fields];
        this.rotate(covariance, &mut work);
        for k in 0..fields {
            let remaining = |this: &Self, row: usize| this.remainder(&work, row, k);
            let best = (k..fields)
                .max_by(|&a, &b| {
                    let (x, y) = (remaining(&this, this.order[a]), remaining(&this, this.order[b]));
                    x.partial_cmp(&y).unwrap_or(std::cmp::Ordering::Equal)
                })
                .unwrap_or(k);
            this.order.swap(k, best);
            this.eliminate(&work, k);
        }
        this.unrotate();
        this
    }

    /// Factors another covariance in the same order. `work` has fields² entries.
    pub(crate) fn update(&mut self, covariance: &[T], work: &mut [T]) {
        self.rotate(covariance, work);
        self.lower.fill(T::zero());
        for k in 0..self.fields {
            self.eliminate(work, k);
        }
        self.unrotate();
    }

    /// Row `field`, column `k` of F.
    #[inline]
    pub(crate) fn get(&self, field: usize, k: usize) -> T {
        self.rows[field * self.fields + k]
    }

    /// Whether coordinate k changes sign when the views are exchanged.
    pub(crate) fn is_odd_under_exchange(&self, k: usize) -> bool {
        self.rotated && self.order[k] >= self.fields / 2
    }

    /// The largest |F_fk| over the fields f: how far a unit of z_k moves a field.
    pub(crate) fn gain(&self, k: usize) -> T {
        (0..self.fields).fold(T::zero(), |g, f| g.max(self.get(f, k).abs()))
    }

    /// E[x | z] = g·z for a variable x with covariance `covariance[f]` with field f: writes g.
    pub(crate) fn regress(&self, covariance: &[T], g: &mut [T]) {
        let n = self.fields;
        let half = n / 2;
        let root = T::lit(std::f64::consts::FRAC_1_SQRT_2);
        for k in 0..n {
            let row = self.order[k];
            let c = match (self.rotated, row < half) {
                (false, _) => covariance[row],
                (true, true) => (covariance[row] + covariance[row + half]) * root,
                (true, false) => (covariance[row - half] - covariance[row]) * root,
            };
            let pivot = self.lower[row * n + k];
            let known: T = (0..k).map(|j| self.lower[row * n + j] * g[j]).sum();
            g[k] = if pivot > T::zero() { (c - known) / pivot } else { T::zero() };
        }
    }

    /// The covariance of the rotated fields, or the covariance itself.
    fn rotate(&self, covariance: &[T], out: &mut [T]) {
        let n = self.fields;
        if !self.rotated {
            out.copy_from_slice(covariance);
            return;
        }
        // Exchangeable views: [[P, X], [X, P]] with symmetric X has blocks P ± X.
        let k = n / 2;
        out.fill(T::zero());
        for i in 0..k {
            for j in 0..k {
                let (p, x) = (covariance[i * n + j], covariance[i * n + k + j]);
                out[i * n + j] = p + x;
                out[(k + i) * n + k + j] = p - x;
            }
        }
    }

    fn remainder(&self, covariance: &[T], row: usize, k: usize) -> T {
        let n = self.fields;
        let taken: T = (0..k).map(|j| self.lower[row * n + j] * self.lower[row * n + j]).sum();
        covariance[row * n + row] - taken
    }

    /// Column k of the lower factor. A pivot that is rounding alone is a direction without variance.
    fn eliminate(&mut self, covariance: &[T], k: usize) {
        let n = self.fields;
        let row = self.order[k];
        let remainder = self.remainder(covariance, row, k);
        let scale = covariance[row * n + row];
        // In rotated coordinates P − X has lost the digits in which P and X agree.
        let other = if self.rotated { covariance[((row + n / 2) % n) * n + (row + n / 2) % n] } else { T::zero() };
        if !(remainder > T::lit(8.0) * T::EPSILON * scale.max(other)) {
            return;
        }
        let pivot = remainder.sqrt();
        self.lower[row * n + k] = pivot;
        for &below in &self.order[k + 1..] {
            let dot: T = (0..k).map(|j| self.lower[below * n + j] * self.lower[row * n + j]).sum();
            self.lower[below * n + k] = (covariance[below * n + row] - dot) / pivot;
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
                self.rows[i * n + k] = (plus + minus) * root;
                self.rows[(half + i) * n + k] = (plus - minus) * root;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(covariance: &[f64], n: usize, rotated: bool) {
        let mut factor = Factor::new(covariance, n, rotated);
        factor.update(covariance, &mut vec![0.0; n * n]);
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
