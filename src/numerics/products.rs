//! Products of small matrices, a few rows and lanes at a time in registers.
//!
//! Covers dense products of fixed order of summation, so that results are the same bits on every instruction set. Not here:
//! matrices of nalgebra.

use crate::Scalar;
use crate::numerics::lanes::{LANES, Lanes, groups, groups_mut};

/// Rows of a product that are summed in registers together.
const ROWS: usize = 4;

/// out = A B, for A with rows of `stride` entries of which `inner` count, and B with `inner` rows of `width` entries, a multiple
/// of the lane width. To be called within a [`dispatch`](crate::numerics::lanes::dispatch).
#[inline(always)]
pub(crate) fn multiply<T: Scalar>(a: &[T], stride: usize, b: &[T], inner: usize, width: usize, out: &mut [T]) {
    multiply_from(a, stride, b, (inner, width), |_| 0, out);
}

/// The same of a product that is symmetric: on and above the diagonal, and more or less below it.
#[inline(always)]
pub(crate) fn multiply_upper<T: Scalar>(a: &[T], stride: usize, b: &[T], inner: usize, width: usize, out: &mut [T]) {
    multiply_from(a, stride, b, (inner, width), |row| row / LANES, out);
}

/// The same, of each panel of rows from a group of columns on.
#[inline(always)]
fn multiply_from<T: Scalar>(
    a: &[T],
    stride: usize,
    b: &[T],
    (inner, width): (usize, usize),
    first: impl Fn(usize) -> usize,
    out: &mut [T],
) {
    let lanes = width / LANES;
    let (b, out) = (groups(b), groups_mut(out));
    let rows = out.len() / lanes;
    for row in panels(rows) {
        let (a, out) = (&a[row * stride..], &mut out[row * lanes..]);
        if rows < ROWS {
            panel::<T, 1>(a, stride, b, (inner, lanes), first(row), out);
        } else {
            panel::<T, ROWS>(a, stride, b, (inner, lanes), first(row), out);
        }
    }
}

/// The first rows of the panels: the last one may hold rows of that before it, which is faster than rows one by one.
fn panels(rows: usize) -> impl Iterator<Item = usize> {
    let (step, last) = if rows < ROWS { (1, rows) } else { (ROWS, rows - ROWS) };
    (0..rows).step_by(step).map(move |row| row.min(last))
}

/// R rows of a product, from group number `column` of the columns on.
#[inline(always)]
fn panel<T: Scalar, const R: usize>(
    a: &[T],
    stride: usize,
    b: &[[T; LANES]],
    (inner, lanes): (usize, usize),
    mut column: usize,
    out: &mut [[T; LANES]],
) {
    while column < lanes {
        match lanes - column {
            1 => tile::<T, R, 1>(a, stride, b, (inner, lanes), column, out),
            2 | 4 => tile::<T, R, 2>(a, stride, b, (inner, lanes), column, out),
            _ => tile::<T, R, 3>(a, stride, b, (inner, lanes), column, out),
        }
        column += match lanes - column {
            1 => 1,
            2 | 4 => 2,
            _ => 3,
        };
    }
}

/// R rows and C groups of lanes of a product.
#[inline(always)]
fn tile<T: Scalar, const R: usize, const C: usize>(
    a: &[T],
    stride: usize,
    b: &[[T; LANES]],
    (inner, lanes): (usize, usize),
    column: usize,
    out: &mut [[T; LANES]],
) {
    let mut sums = [[Lanes::zero(); C]; R];
    let rows: [&[T]; R] = std::array::from_fn(|r| &a[r * stride..r * stride + inner]);
    for k in 0..inner {
        let line = &b[k * lanes + column..][..C];
        for r in 0..R {
            let x = Lanes::splat(rows[r][k]);
            for c in 0..C {
                sums[r][c] += x * Lanes(line[c]);
            }
        }
    }
    for r in 0..R {
        for c in 0..C {
            out[r * lanes + column + c] = sums[r][c].0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_agree_with_plain_loops_at_every_shape() {
        for (rows, inner, lanes) in
            [(1, 1, 1), (2, 3, 1), (4, 5, 2), (5, 7, 3), (9, 8, 4), (6, 4, 5), (7, 2, 6), (13, 9, 7), (30, 3, 4)]
        {
            let (stride, width) = (inner + 2, lanes * LANES);
            let entry = |seed: usize| move |k: usize| ((k * 37 + seed * 11) % 19) as f64 - 9.0;
            let a: Vec<f64> = (0..rows * stride).map(entry(1)).collect();
            let b: Vec<f64> = (0..inner * width).map(entry(2)).collect();
            let mut out = vec![f64::NAN; rows * width];
            multiply(&a, stride, &b, inner, width, &mut out);
            for (at, x) in out.iter().enumerate() {
                let (row, column) = (at / width, at % width);
                let sum: f64 = (0..inner).map(|k| a[row * stride + k] * b[k * width + column]).sum();
                // Small integers: every sum is exact.
                assert_eq!(*x, sum, "({row}, {column})");
            }
            let mut upper = vec![f64::NAN; rows * width];
            multiply_upper(&a, stride, &b, inner, width, &mut upper);
            for row in 0..rows.min(width) {
                let above = row * width + row..(row + 1) * width;
                assert_eq!(upper[above.clone()], out[above], "row {row}");
            }
        }
    }
}
