//! The independent entries of (Q, R) in one vector: Q row by row, then the upper triangle of R row by row.
//!
//! Covers the order of entries. Not here: whether they make a state (see `feasibility`).

use nalgebra::DMatrix;

use crate::Scalar;

/// The number of independent entries of (Q, R); the largest number where there are more.
pub(crate) fn packed_len(features: usize, neurons: usize) -> usize {
    let triangle = neurons.checked_mul(neurons.saturating_add(1)).map_or(usize::MAX, |square| square / 2);
    features.saturating_mul(neurons).saturating_add(triangle)
}

/// Writes Q row by row and the upper triangle of R row by row into `packed`.
pub(crate) fn pack<T: Scalar>(q: &DMatrix<T>, r: &DMatrix<T>, packed: &mut [T]) {
    let (p, m) = q.shape();
    let rows = (0..p).flat_map(|l| (0..m).map(move |i| (l, i))).map(|at| q[at]);
    let triangle = (0..m).flat_map(|i| (i..m).map(move |j| (i, j))).map(|at| r[at]);
    for (slot, x) in packed.iter_mut().zip(rows.chain(triangle)) {
        *slot = x;
    }
}

/// The names of the entries, in this order: Q_l_i, then R_i_j.
pub(crate) fn packed_names(features: usize, neurons: usize) -> Vec<String> {
    let q = (0..features).flat_map(|l| (0..neurons).map(move |i| format!("Q_{l}_{i}")));
    let r = (0..neurons).flat_map(|i| (i..neurons).map(move |j| format!("R_{i}_{j}")));
    q.chain(r).collect()
}

/// The inverse of [`pack`], into existing matrices.
pub(crate) fn unpack_into<T: Scalar>(packed: &[T], q: &mut DMatrix<T>, r: &mut DMatrix<T>) {
    let (p, m) = q.shape();
    let mut entries = packed.iter();
    for l in 0..p {
        for (i, &x) in (0..m).zip(entries.by_ref()) {
            q[(l, i)] = x;
        }
    }
    for i in 0..m {
        for (j, &x) in (i..m).zip(entries.by_ref()) {
            r[(i, j)] = x;
            r[(j, i)] = x;
        }
    }
}

/// The inverse of [`pack`].
pub(crate) fn unpack<T: Scalar>(features: usize, neurons: usize, packed: &[T]) -> (DMatrix<T>, DMatrix<T>) {
    let (mut q, mut r) = (DMatrix::zeros(features, neurons), DMatrix::zeros(neurons, neurons));
    unpack_into(packed, &mut q, &mut r);
    (q, r)
}
