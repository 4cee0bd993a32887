//! Coordinates in which a deviation from a state is measured.
//!
//! Covers the entries that can move and their scales. Not here: what is measured (see `neighbourhood`).

use nalgebra::{DMatrix, DVector};

use crate::Scalar;
use crate::model::Constraint;
use crate::stability::coordinates::{free_entries, pairs};
use crate::state::OrderParameters;

/// A neuron that is nearly zero beside the others is measured as if its R_ii were that part of the largest; ...
const LEAST_SHARE: f64 = 1e-2;
/// ... if all are, by weights of a hundredth.
const LEAST_SIZE: f64 = 1e-4;

/// Which packed entries can move, and the size by which each is measured: √R_ii for Q_li, √(R_ii R_jj) for R_ij.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Frame<T> {
    pub(crate) free: Vec<usize>,
    pub(crate) scales: Vec<T>,
}

impl<T: Scalar> Frame<T> {
    pub(crate) fn new(constraint: Constraint, state: &OrderParameters<T>) -> Self {
        let (p, m) = (state.n_features(), state.n_neurons());
        let largest = (0..m).fold(T::zero(), |s, i| s.max(state.r()[(i, i)].abs()));
        let least = (largest * T::lit(LEAST_SHARE), T::lit(LEAST_SIZE));
        let norm = |i: usize| state.r()[(i, i)].max(least.0).max(least.1).sqrt();
        let overlaps = (0..p).flat_map(|_| 0..m).map(norm);
        let scales = overlaps.chain(pairs(m).map(|(i, j)| norm(i) * norm(j))).collect();
        Self { free: free_entries(p, m, constraint), scales }
    }

    /// The Jacobian of scaled free coordinates, S⁻¹ J S.
    pub(crate) fn scaled(&self, jacobian: &DMatrix<T>) -> DMatrix<T> {
        let n = self.free.len();
        DMatrix::from_fn(n, n, |i, j| {
            let (i, j) = (self.free[i], self.free[j]);
            jacobian[(i, j)] * self.scales[j] / self.scales[i]
        })
    }

    /// A packed vector, or the difference of two, in scaled free coordinates.
    pub(crate) fn coordinates(&self, x: &dyn Fn(usize) -> T) -> DVector<T> {
        DVector::from_iterator(self.free.len(), self.free.iter().map(|&at| x(at) / self.scales[at]))
    }
}
