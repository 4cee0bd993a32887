//! Averages over one pair of fields (h, k) = (h¹_i, h²_j): all that A and B need, and Λ of a single neuron.
//!
//! With y = σ(h), Y = σ(k), d = σ'(h), D = σ'(k), the error signals are made of
//!   a₁ = d Y, a₂ = D y (the loss itself), b₁ = d y Y², b₂ = D Y y² (one sample's own part of the penalty);
//! index 1 belongs to neuron i in view 1, index 2 to neuron j in view 2.

use std::ops::Range;

use crate::Scalar;
use crate::limit::averages::table::NodeTable;
use crate::model::Nonlinearity;
use crate::numerics::lanes::{Lanes, dispatch, groups};

/// Nodes evaluated at once: buffers stay in the first-level cache.
pub(crate) const BLOCK: usize = 256;

/// E[f], E[f z_1], E[f z_2] for f = a₁, a₂, b₁, b₂ in this order, then E[y Y], E[a₁²], E[a₁a₂], E[a₂²].
pub(crate) const SUMS: usize = 16;
/// Index of E[y Y].
pub(crate) const COVARIANCE: usize = 12;
/// Index of E[a₁²]; E[a₁a₂] and E[a₂²] follow.
pub(crate) const SQUARES: usize = 13;

/// Buffers of one evaluation.
#[derive(Debug, Clone)]
pub(crate) struct PairBuffers<T> {
    fields: [Vec<T>; 2],
    values: [Vec<T>; 2],
    derivatives: [Vec<T>; 2],
}

impl<T: Scalar> PairBuffers<T> {
    pub(crate) fn new() -> Self {
        let block = || [vec![T::zero(); BLOCK], vec![T::zero(); BLOCK]];
        Self { fields: block(), values: block(), derivatives: block() }
    }
}

/// σ and σ' of both fields at a block of nodes.
pub(in crate::limit) struct Pair<'a, T> {
    pub(in crate::limit) fields: [&'a [T]; 2],
    pub(in crate::limit) values: [&'a [T]; 2],
    pub(in crate::limit) derivatives: [&'a [T]; 2],
}

/// Evaluates σ at a block of nodes; means and factor rows are those of h and k.
pub(in crate::limit) fn evaluate_pair<'a, T: Scalar>(
    table: &NodeTable<T>,
    range: Range<usize>,
    mean: [T; 2],
    rows: [[T; 2]; 2],
    sigma: &dyn Nonlinearity<T>,
    buffers: &'a mut PairBuffers<T>,
) -> Pair<'a, T> {
    let (z1, z2) = (&table.coordinate(0)[range.clone()], &table.coordinate(1)[range.clone()]);
    let length = range.len();
    for f in 0..2 {
        let field = &mut buffers.fields[f][..length];
        dispatch(
            #[inline(always)]
            || affine(mean[f], rows[f], z1, z2, field),
        );
        sigma.evaluate(field, &mut buffers.values[f][..length], &mut buffers.derivatives[f][..length]);
    }
    let both = |x: &'a [Vec<T>; 2]| [&x[0][..length], &x[1][..length]];
    Pair { fields: both(&buffers.fields), values: both(&buffers.values), derivatives: both(&buffers.derivatives) }
}

/// The averages at the mean (μ_1, μ_2) with factor rows `rows` of h and k.
///
/// `penalty` asks for b₁, b₂ and E[y Y]; without it they stay zero.
pub(crate) fn pair_sums<T: Scalar>(
    table: &NodeTable<T>,
    mean: [T; 2],
    rows: [[T; 2]; 2],
    penalty: bool,
    sigma: &dyn Nonlinearity<T>,
    buffers: &mut PairBuffers<T>,
) -> [T; SUMS] {
    let mut sums = [Lanes::zero(); SUMS];
    for start in (0..table.padded()).step_by(BLOCK) {
        let range = start..(start + BLOCK).min(table.padded());
        let pair = evaluate_pair(table, range.clone(), mean, rows, sigma, buffers);
        let (z1, z2) = (&table.coordinate(0)[range.clone()], &table.coordinate(1)[range.clone()]);
        let w = &table.weights()[range];
        let ([y, yy], [d, dd]) = (pair.values, pair.derivatives);
        if penalty {
            dispatch(
                #[inline(always)]
                || accumulate::<T, true>(z1, z2, w, y, yy, d, dd, &mut sums),
            );
        } else {
            dispatch(
                #[inline(always)]
                || accumulate::<T, false>(z1, z2, w, y, yy, d, dd, &mut sums),
            );
        }
    }
    sums.map(Lanes::sum)
}

#[inline(always)]
fn affine<T: Scalar>(mean: T, row: [T; 2], z1: &[T], z2: &[T], out: &mut [T]) {
    for ((h, &a), &b) in out.iter_mut().zip(z1).zip(z2) {
        *h = mean + row[0] * a + row[1] * b;
    }
}

#[inline(always)]
#[allow(clippy::too_many_arguments)] // eight slices of one length: a struct would only rename them
fn accumulate<T: Scalar, const PENALTY: bool>(
    z1: &[T],
    z2: &[T],
    w: &[T],
    y: &[T],
    yy: &[T],
    d: &[T],
    dd: &[T],
    sums: &mut [Lanes<T>; SUMS],
) {
    let (z1, z2, w) = (groups(z1), groups(z2), groups(w));
    let (y, yy, d, dd) = (groups(y), groups(yy), groups(d), groups(dd));
    let mut acc = *sums;
    let count = w.len();
    let (z1, z2, y, yy, d, dd) = (&z1[..count], &z2[..count], &y[..count], &yy[..count], &d[..count], &dd[..count]);
    for n in 0..count {
        let (z1, z2, w) = (Lanes(z1[n]), Lanes(z2[n]), Lanes(w[n]));
        let (y, yy, d, dd) = (Lanes(y[n]), Lanes(yy[n]), Lanes(d[n]), Lanes(dd[n]));
        let (a1, a2) = (d * yy, dd * y);
        let (w1, w2) = (w * a1, w * a2);
        acc[0] += w1;
        acc[1] += w1 * z1;
        acc[2] += w1 * z2;
        acc[3] += w2;
        acc[4] += w2 * z1;
        acc[5] += w2 * z2;
        acc[SQUARES] += w1 * a1;
        acc[SQUARES + 1] += w1 * a2;
        acc[SQUARES + 2] += w2 * a2;
        if PENALTY {
            let yyy = y * yy;
            let (v1, v2) = (w1 * yyy, w2 * yyy);
            acc[6] += v1;
            acc[7] += v1 * z1;
            acc[8] += v1 * z2;
            acc[9] += v2;
            acc[10] += v2 * z1;
            acc[11] += v2 * z2;
            acc[COVARIANCE] += w * yyy;
        }
    }
    *sums = acc;
}

/// The averages over all nodes from those over the half z_`odd` ≥ 0 (weights doubled), where z_`odd` → −z_`odd`
/// exchanges the views and so indices 1 and 2.
pub(crate) fn complete_by_exchange<T: Scalar>(sums: &mut [T; SUMS], odd: usize) {
    let half = T::lit(0.5);
    for base in [0, 6] {
        for k in 0..3 {
            let (first, second) = (sums[base + k], sums[base + 3 + k]);
            if k == odd + 1 {
                sums[base + k] = half * (first - second);
                sums[base + 3 + k] = half * (second - first);
            } else {
                sums[base + k] = half * (first + second);
                sums[base + 3 + k] = sums[base + k];
            }
        }
    }
    let mean = half * (sums[SQUARES] + sums[SQUARES + 2]);
    sums[SQUARES] = mean;
    sums[SQUARES + 2] = mean;
}
