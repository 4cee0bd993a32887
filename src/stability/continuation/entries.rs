//! The unknowns of a curve of fixed points.
//!
//! Covers the entries of the packed state that move, and states at given unknowns. Not here: the equations (see `curve`
//! and `family_curve`).

use nalgebra::DMatrix;

use crate::Scalar;
use crate::limit::Compiled;
use crate::numerics::eigen::symmetric_eigen;
use crate::numerics::linear::is_finite;
use crate::numerics::matrix::smallest_eigenvalue;
use crate::ode::ReducedOde;
use crate::stability::coordinates::free_entries;
use crate::state::{OrderParameters, packed_len, unpack};

/// The entries of a packed state that move.
#[derive(Debug, Clone)]
pub(crate) struct Entries {
    features: usize,
    neurons: usize,
    pub(crate) free: Vec<usize>,
    /// Those that the constraint fixes at 1.
    fixed: Vec<usize>,
}

impl Entries {
    pub(crate) fn new<T: Compiled>(ode: &ReducedOde<'_, T>) -> Self {
        let (p, m) = (ode.limit().n_features(), ode.limit().n_neurons());
        let free = free_entries(p, m, ode.constraint());
        let fixed = (0..packed_len(p, m)).filter(|k| !free.contains(k)).collect();
        Self { features: p, neurons: m, free, fixed }
    }

    /// No entries.
    pub(crate) fn none() -> Self {
        Self { features: 0, neurons: 0, free: Vec::new(), fixed: Vec::new() }
    }

    pub(crate) fn state<T: Scalar>(&self, x: &[T]) -> OrderParameters<T> {
        let mut packed = vec![T::zero(); self.free.len() + self.fixed.len()];
        self.fixed.iter().for_each(|&at| packed[at] = T::one());
        self.free.iter().zip(x).for_each(|(&at, &x)| packed[at] = x);
        let (q, r) = unpack(self.features, self.neurons, &packed);
        OrderParameters::from_parts(q, r)
    }

    pub(crate) fn coordinates<T: Scalar>(&self, state: &OrderParameters<T>) -> Vec<T> {
        let packed = state.to_packed();
        self.free.iter().map(|&at| packed.get(at).copied().unwrap_or(T::zero())).collect()
    }

    pub(crate) fn is_feasible<T: Scalar>(&self, x: &[T]) -> bool {
        let state = self.state(x);
        smallest_eigenvalue(&state.background()) >= -state.feasibility_tolerance()
    }

    /// With R − QᵀQ in the place of R and negative eigenvalues in that of zeros; on the sphere brought back to it.
    pub(crate) fn nearest_feasible<T: Scalar>(&self, x: &[T]) -> Option<Vec<T>> {
        if self.is_feasible(x) {
            return Some(x.to_vec());
        }
        let state = self.state(x);
        let background = state.background();
        if !is_finite(background.as_slice()) {
            return None;
        }
        let mut eigen = symmetric_eigen(background)?;
        eigen.eigenvalues.iter_mut().for_each(|x| *x = x.max(T::zero()));
        let (mut q, mut r) = (state.q().clone(), eigen.recompose() + state.q().tr_mul(state.q()));
        if !self.fixed.is_empty() {
            let norms: Vec<T> = (0..self.neurons).map(|i| r[(i, i)].sqrt()).collect();
            q = DMatrix::from_fn(self.features, self.neurons, |l, i| q[(l, i)] / norms[i]);
            r = DMatrix::from_fn(self.neurons, self.neurons, |i, j| r[(i, j)] / (norms[i] * norms[j]));
        }
        Some(self.coordinates(&OrderParameters::from_parts(q, r)))
    }

    pub(crate) fn restrict<T: Scalar>(&self, matrix: &DMatrix<T>) -> DMatrix<T> {
        matrix.select_rows(&self.free).select_columns(&self.free)
    }
}
