//! How the averages over one pair of fields and the hidden law move with the coefficients of the sum Qᵀc and with the fields around
//! it.
//!
//! Summed over the hidden law once, whatever the number of directions. Not here: gradients at one value of the sum (see
//! `two_fields_gradient`), and those by wave numbers (see `sum_gradient`).

use crate::Scalar;
use crate::limit::averages::two_fields::{COVARIANCE, SQUARES, SUMS};
use crate::limit::averages::two_fields_gradient::{Motion, PlaneGradient};
use crate::numerics::dual::{Dual, Number};
use crate::numerics::lanes::Lanes;

/// Signals a₁, a₂, b₁, b₂.
pub(in crate::limit) const SIGNALS: usize = 4;

/// How the averages move. What is empty does not.
#[derive(Debug, Clone)]
pub(in crate::limit) struct PairMotion<T> {
    /// With the factor of the fields.
    pub(in crate::limit) plane: PlaneGradient<T>,
    /// E[c_l ∂_v f (1, z)] for every average and field v, of length p: the field's mean moves with c.
    pub(in crate::limit) means: [[Vec<T>; 2]; SUMS],
    /// E[c_l ∂_v f z_k] for each signal, field v and coordinate k.
    pub(in crate::limit) rows: [[[Vec<T>; 2]; 2]; SIGNALS],
    /// E[c_l c_l' ∂_v f] for each signal and field v: p x p.
    pub(in crate::limit) pairs: [[Vec<T>; 2]; SIGNALS],
}

impl<T: Scalar> PairMotion<T> {
    /// With the factor alone.
    pub(in crate::limit) fn of_plane(plane: PlaneGradient<T>) -> Self {
        Self {
            plane,
            means: std::array::from_fn(|_| [Vec::new(), Vec::new()]),
            rows: std::array::from_fn(|_| std::array::from_fn(|_| [Vec::new(), Vec::new()])),
            pairs: std::array::from_fn(|_| [Vec::new(), Vec::new()]),
        }
    }

    /// Nothing yet of p hidden variables, for two signals or all four; without what `add_pairs` adds.
    pub(in crate::limit) fn zero(p: usize, signals: usize) -> Self {
        let mut this = Self::of_plane(PlaneGradient::zero());
        for (k, means) in this.means.iter_mut().enumerate() {
            if k < 3 * signals || k >= SQUARES || k == COVARIANCE && signals == SIGNALS {
                for x in means {
                    x.resize(p, T::zero());
                }
            }
        }
        for x in this.rows[..signals].iter_mut().flatten().flatten() {
            x.resize(p, T::zero());
        }
        this
    }

    /// Adds what the averages at one value of the sum do: of that weight, and of that weight with c.
    pub(in crate::limit) fn add(&mut self, gradient: &PlaneGradient<T>, weight: T, weighted: &[T]) {
        self.plane.add(weight, gradient);
        for (k, means) in self.means.iter_mut().enumerate() {
            for (v, means) in means.iter_mut().enumerate() {
                let slope = gradient.by_mean(k, v);
                means.iter_mut().zip(weighted).for_each(|(x, &c)| *x += slope * c);
            }
        }
        for (f, rows) in self.rows.iter_mut().enumerate() {
            for (v, rows) in rows.iter_mut().enumerate() {
                for (k, rows) in rows.iter_mut().enumerate() {
                    let slope = gradient.by_row(3 * f, v, k);
                    rows.iter_mut().zip(weighted).for_each(|(x, &c)| *x += slope * c);
                }
            }
        }
    }

    /// Adds the same of E[c_l c_l' f], where that weight with c cᵀ is known.
    pub(in crate::limit) fn add_pairs(&mut self, gradient: &PlaneGradient<T>, moments: &[T]) {
        for (f, pairs) in self.pairs.iter_mut().enumerate().filter(|(f, _)| !self.rows[*f][0][0].is_empty()) {
            for (pairs, slope) in pairs.iter_mut().zip(gradient.mean(f)) {
                pairs.resize(moments.len(), T::zero());
                pairs.iter_mut().zip(moments).for_each(|(x, &moment)| *x += slope * moment);
            }
        }
    }

    /// Adds to the averages how they move with the coefficients `q` of the sums, p x m, that neurons i and j see, and with the factor
    /// of their fields.
    pub(in crate::limit) fn lift(
        &self,
        (q, m): (&[Dual<T>], usize),
        neurons: [usize; 2],
        rows: [[Dual<T>; 2]; 2],
        sums: &mut [Dual<T>; SUMS],
        with_hidden: &mut [Dual<T>],
    ) {
        let p = q.len() / m;
        // Most coefficients move along no direction.
        let moving = neurons.map(|i| -> Vec<(usize, Lanes<T>)> {
            let all = (0..p).map(|l| (l, q[l * m + i].slopes));
            all.filter(|(_, slopes)| *slopes != Lanes::zero()).collect()
        });
        let along = |c: [&[T]; 2]| {
            let mut sum = Lanes::zero();
            for (c, moving) in c.into_iter().zip(&moving).filter(|(c, _)| !c.is_empty()) {
                for &(l, slopes) in moving {
                    sum += Lanes::splat(c[l]) * slopes;
                }
            }
            sum
        };
        let along_rows = self.plane.slopes(&Motion { mean: [Dual::zero(); 2], rows });
        for (k, sum) in sums.iter_mut().enumerate() {
            let [first, second] = &self.means[k];
            sum.slopes += along_rows[k] + along([first, second]);
        }
        for f in 0..SIGNALS {
            let [first, second] = &self.pairs[f];
            for l in 0..p {
                let row = |x: &[T]| if x.is_empty() { 0..0 } else { l * p..(l + 1) * p };
                let mut slopes = along([&first[row(first)], &second[row(second)]]);
                for v in 0..2 {
                    for k in 0..2 {
                        if let Some(&slope) = self.rows[f][v][k].get(l) {
                            slopes += Lanes::splat(slope) * rows[v][k].slopes;
                        }
                    }
                }
                with_hidden[f * p + l].slopes += slopes;
            }
        }
    }
}
