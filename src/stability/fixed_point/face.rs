//! Affine families of packed states that the flow keeps: everything, states without overlaps, neurons that are copies
//! of one another.
//!
//! Covers the coordinates of such a family, and the family in which neurons lie that nearly coincide. Newton's method
//! moves within one of them, so that fixed points on the boundary of the feasible set (R − QᵀQ singular because neurons
//! coincide or vanish) are reached, and symmetric ones stay symmetric. Not here: from which states it begins (see
//! `starts`).

use nalgebra::{DMatrix, DVector};

use crate::Scalar;
use crate::model::Constraint;
use crate::state::{OrderParameters, packed_len};

/// How near to coinciding (1 − cos² of the angle between their weights) or to vanishing (R_ii in units of the largest)
/// neurons must be to be taken for it. A run of Newton's method that is pressed against the boundary stops within half
/// a percent of it (see `newton`), hence less than that.
const COINCIDING: f64 = 2e-3;

/// The family x = offset + basis · y.
#[derive(Debug, Clone)]
pub(crate) struct Face<T: Scalar> {
    offset: DVector<T>,
    /// Columns with disjoint supports and entries 0 and ±1.
    basis: DMatrix<T>,
    /// For each coordinate y one entry of x that has it, with its sign.
    entries: Vec<(usize, T)>,
    /// The rank that R − QᵀQ has inside.
    pub(crate) rank: usize,
}

impl<T: Scalar> Face<T> {
    /// Neuron i is `signs[i]` times the neuron of cluster `clusters[i]` (counted from 0, in the order of their first
    /// members), or zero. `overlaps` says whether Q may differ from zero.
    pub(crate) fn new(
        features: usize,
        clusters: &[Option<(usize, T)>],
        overlaps: bool,
        constraint: Constraint,
    ) -> Self {
        let (p, m) = (features, clusters.len());
        let k = clusters.iter().flatten().map(|(c, _)| c + 1).max().unwrap_or(0);
        let n = packed_len(p, m);
        let tops = if overlaps { p * k } else { 0 };
        let pair = |a: usize, b: usize| {
            let (a, b) = (a.min(b), a.max(b));
            // Rows above have k, k − 1, … entries.
            tops + a * (2 * k + 1 - a) / 2 + b - a
        };
        let mut offset = DVector::zeros(n);
        let mut columns = DMatrix::zeros(n, tops + k * (k + 1) / 2);
        for (i, cluster) in clusters.iter().enumerate() {
            let Some((c, sign)) = *cluster else { continue };
            if overlaps {
                (0..p).for_each(|l| columns[(l * m + i, l * k + c)] = sign);
            }
        }
        let mut at = p * m;
        for i in 0..m {
            for j in i..m {
                if let (Some((a, s)), Some((b, t))) = (clusters[i], clusters[j]) {
                    if a == b && constraint.fixes_norms() {
                        offset[at] = s * t;
                    } else if !constraint.fixes_covariance() {
                        columns[(at, pair(a, b))] = s * t;
                    }
                }
                at += 1;
            }
        }
        let used: Vec<usize> = (0..columns.ncols()).filter(|&c| columns.column(c).amax() > T::zero()).collect();
        let basis = columns.select_columns(&used);
        let entries = (0..basis.ncols())
            .filter_map(|c| (0..n).find(|&r| basis[(r, c)] != T::zero()).map(|r| (r, basis[(r, c)])))
            .collect();
        Self { offset, basis, entries, rank: k }
    }

    /// The family in which those neurons coincide, up to sign, or vanish that nearly do at `state`; `None` if none
    /// does, or if all vanish.
    pub(crate) fn of_coinciding(state: &OrderParameters<T>, constraint: Constraint) -> Option<Self> {
        let (m, r) = (state.n_neurons(), state.r());
        let near = T::lit(COINCIDING);
        let mut clusters: Vec<Option<(usize, T)>> = Vec::with_capacity(m);
        let mut first: Vec<usize> = Vec::new();
        for i in 0..m {
            if r[(i, i)] <= near * r.amax() {
                clusters.push(None);
                continue;
            }
            let twin = first.iter().position(|&j| r[(i, j)] * r[(i, j)] >= (T::one() - near) * r[(i, i)] * r[(j, j)]);
            clusters.push(Some(twin.map_or((first.len(), T::one()), |c| {
                (c, if r[(i, first[c])] < T::zero() { -T::one() } else { T::one() })
            })));
            if twin.is_none() {
                first.push(i);
            }
        }
        let overlaps = state.q().amax() > T::zero();
        // Orthonormal neurons never coincide.
        (!constraint.fixes_covariance() && first.len() < m && !first.is_empty())
            .then(|| Self::new(state.n_features(), &clusters, overlaps, constraint))
    }

    /// All states.
    pub(crate) fn whole(features: usize, neurons: usize, constraint: Constraint) -> Self {
        let clusters: Vec<_> = (0..neurons).map(|i| Some((i, T::one()))).collect();
        Self::new(features, &clusters, true, constraint)
    }

    /// All states without overlaps.
    pub(crate) fn without_overlaps(features: usize, neurons: usize, constraint: Constraint) -> Self {
        let clusters: Vec<_> = (0..neurons).map(|i| Some((i, T::one()))).collect();
        Self::new(features, &clusters, false, constraint)
    }

    pub(crate) fn dimension(&self) -> usize {
        self.basis.ncols()
    }

    /// The entries of the packed state that serve as coordinates.
    pub(crate) fn entries(&self) -> impl Iterator<Item = usize> + '_ {
        self.entries.iter().map(|entry| entry.0)
    }

    pub(crate) fn basis(&self) -> &DMatrix<T> {
        &self.basis
    }

    /// The packed state at y.
    pub(crate) fn embed(&self, y: &DVector<T>) -> DVector<T> {
        &self.offset + &self.basis * y
    }

    /// The coordinates of a packed state, or of its projection.
    pub(crate) fn project(&self, x: &DVector<T>) -> DVector<T> {
        DVector::from_iterator(
            self.entries.len(),
            self.entries.iter().map(|&(row, sign)| (x[row] - self.offset[row]) * sign),
        )
    }

    /// The coordinates of packed rates: those that the face keeps.
    pub(crate) fn rates(&self, f: &DVector<T>) -> DVector<T> {
        DVector::from_iterator(self.entries.len(), self.entries.iter().map(|&(row, sign)| f[row] * sign))
    }

    /// The Jacobian in the face's coordinates.
    pub(crate) fn jacobian(&self, by_state: &DMatrix<T>) -> DMatrix<T> {
        let moved = by_state * &self.basis;
        DMatrix::from_fn(self.entries.len(), self.dimension(), |r, c| {
            let (row, sign) = self.entries[r];
            moved[(row, c)] * sign
        })
    }
}
