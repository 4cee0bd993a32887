//! Signed permutations of features and of neurons, as maps of states.
//!
//! Not here: which of them are symmetries of a model (see `symmetry`).

use nalgebra::DMatrix;

use crate::Scalar;
use crate::stability::coordinates::pairs;
use crate::stability::fixed_point::orbit::PackedMap;
use crate::state::OrderParameters;

/// A map of states, Q'_li = s_l t_i Q_π(l)ρ(i) and R'_ij = t_i t_j R_ρ(i)ρ(j).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "crate::stability::stored::StoredPermutation"))]
pub struct SignedPermutation {
    /// (π(l), whether s_l = −1) for each feature l.
    pub features: Vec<(usize, bool)>,
    /// (ρ(i), whether t_i = −1) for each neuron i.
    pub neurons: Vec<(usize, bool)>,
}

impl SignedPermutation {
    pub(crate) fn identity(features: usize, neurons: usize) -> Self {
        let same = |n: usize| (0..n).map(|k| (k, false)).collect();
        Self { features: same(features), neurons: same(neurons) }
    }

    /// The image of a state; the state itself where the shapes do not fit.
    #[must_use]
    pub fn apply<T: Scalar>(&self, state: &OrderParameters<T>) -> OrderParameters<T> {
        let (p, m) = (state.n_features(), state.n_neurons());
        if (self.features.len(), self.neurons.len()) != (p, m) {
            return state.clone();
        }
        let (q, r) = self.map(state.q(), state.r());
        OrderParameters::from_parts(q, r)
    }

    pub(crate) fn map<T: Scalar>(&self, q: &DMatrix<T>, r: &DMatrix<T>) -> (DMatrix<T>, DMatrix<T>) {
        let signed = |x: T, minus: bool| if minus { -x } else { x };
        let q = DMatrix::from_fn(q.nrows(), q.ncols(), |l, i| {
            let ((k, s), (j, t)) = (self.features[l], self.neurons[i]);
            signed(q[(k, j)], s != t)
        });
        let r = DMatrix::from_fn(r.nrows(), r.ncols(), |i, j| {
            let ((a, s), (b, t)) = (self.neurons[i], self.neurons[j]);
            signed(r[(a, b)], s != t)
        });
        (q, r)
    }

    /// The same map of packed states.
    pub(crate) fn packed(&self) -> PackedMap {
        let (p, m) = (self.features.len(), self.neurons.len());
        let overlap = |l: usize, i: usize| l * m + i;
        // Rows above row i of the triangle have m, m − 1, … entries.
        let covariance = |i: usize, j: usize| {
            let (i, j) = (i.min(j), i.max(j));
            p * m + i * (2 * m + 1 - i) / 2 + j - i
        };
        let overlaps =
            self.features.iter().flat_map(|&(l, s)| self.neurons.iter().map(move |&(i, t)| (overlap(l, i), s != t)));
        let covariances = pairs(m).map(|(i, j)| {
            let ((a, s), (b, t)) = (self.neurons[i], self.neurons[j]);
            (covariance(a, b), s != t)
        });
        let (source, negative) = overlaps.chain(covariances).unzip();
        PackedMap { source, negative }
    }

    /// Whether every feature stays in its place.
    pub(crate) fn keeps_features(&self) -> bool {
        self.features.iter().enumerate().all(|(l, to)| to.0 == l)
    }
}
