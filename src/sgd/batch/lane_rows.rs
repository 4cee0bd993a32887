//! Arithmetic on rows, one number for each lane: loops that become vector instructions under
//! [`dispatch`](crate::numerics::lanes::dispatch).
//!
//! Covers products, sums of products and small triangular factors in every lane. Not here: what they mean (see
//! [`crate::sgd::projected::lane_batch`] and [`crate::sgd::projected::lanes`]).

use crate::Scalar;
use crate::numerics::triangle::DEPENDENT_ULPS;
use crate::random::{Row, WIDTH};

/// A function in every lane; as a loop, because `map` of arrays is not inlined, and then no vector.
#[inline(always)]
pub(in crate::sgd) fn mapped<X: Copy, Y: Copy + Default>(row: &Row<X>, f: impl Fn(X) -> Y) -> Row<Y> {
    let mut out = [Y::default(); WIDTH];
    for k in 0..WIDTH {
        out[k] = f(row[k]);
    }
    out
}

/// out = x·y in every lane.
#[inline(always)]
pub(in crate::sgd) fn product<T: Scalar>(out: &mut Row<T>, x: &Row<T>, y: &Row<T>) {
    for k in 0..WIDTH {
        out[k] = x[k] * y[k];
    }
}

/// sum += x·y in every lane.
#[inline(always)]
pub(in crate::sgd) fn add_product<T: Scalar>(sum: &mut Row<T>, x: &Row<T>, y: &Row<T>) {
    for k in 0..WIDTH {
        sum[k] += x[k] * y[k];
    }
}

/// Adds x·y of every row of `x`, in every lane.
#[inline(always)]
pub(in crate::sgd) fn add_products<T: Scalar>(sum: &mut Row<T>, x: &[Row<T>], y: &[Row<T>]) {
    let mut total = *sum;
    for (x, y) in x.iter().zip(y) {
        add_product(&mut total, x, y);
    }
    *sum = total;
}

/// Σ x·y over the rows of `x`, in every lane.
#[inline(always)]
pub(in crate::sgd) fn sum_of_products<T: Scalar>(x: &[Row<T>], y: &[Row<T>]) -> Row<T> {
    let mut sum = [T::zero(); WIDTH];
    add_products(&mut sum, x, y);
    sum
}

/// In every lane a lower triangular V (m x m) with V Vᵀ = A Aᵀ, A given as m rows of `length` entries, which are
/// overwritten. As [`crate::numerics::triangle::factor_rows`], but without choices that would part the lanes: a row that depends
/// on those before it leaves a column of zeros.
#[inline(always)]
pub(in crate::sgd) fn factor_rows<T: Scalar>(rows: &mut [Row<T>], length: usize, v: &mut [Row<T>], m: usize) {
    let tolerance = T::lit(DEPENDENT_ULPS) * T::of_usize(m) * T::EPSILON;
    for i in 0..m {
        let (before, after) = rows.split_at_mut((i + 1) * length);
        let row = &before[i * length..];
        let rest = sum_of_products(row, row);
        let mut full = rest;
        for a in 0..i {
            let known = v[i * m + a];
            add_product(&mut full, &known, &known);
        }
        let (mut norm, mut inverse) = ([T::zero(); WIDTH], [T::zero(); WIDTH]);
        for k in 0..WIDTH {
            // What is not finite is kept, for the caller to find. A single row is never dropped unless it is zero.
            let bound = if m == 1 { T::zero() } else { tolerance * tolerance * full[k] };
            let keep = !(rest[k] <= bound);
            norm[k] = if keep { rest[k].sqrt() } else { T::zero() };
            inverse[k] = if keep { T::one() / rest[k] } else { T::zero() };
        }
        v[i * m + i] = norm;
        for a in i + 1..m {
            v[i * m + a] = [T::zero(); WIDTH];
        }
        for (j, other) in (i + 1..m).zip(after.chunks_exact_mut(length)) {
            let mut overlap = sum_of_products(row, other);
            for k in 0..WIDTH {
                overlap[k] *= inverse[k];
                v[j * m + i][k] = overlap[k] * norm[k];
            }
            for (y, x) in other.iter_mut().zip(row) {
                for k in 0..WIDTH {
                    y[k] -= overlap[k] * x[k];
                }
            }
        }
    }
}
