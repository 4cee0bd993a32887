//! Small factors V with V Vᵀ given, for singular matrices too: what a covariance of the weights or of the errors is
//! multiplied by.
//!
//! Covers the factor of A Aᵀ from the rows of A, without squaring them, and the pivoted Cholesky factor of a covariance.
//! Matrices are slices, m x m by rows; a factor of rank k has k columns, and zeros beyond.

use crate::Scalar;
use crate::numerics::kernels::dot;

/// Of a row that depends on those before it rounding leaves so many ulp of its norm, for each row that there is.
pub(crate) const DEPENDENT_ULPS: f64 = 8.0;

/// Writes a lower triangular V (m x k, in echelon form) with V Vᵀ = A Aᵀ, and returns its rank k. `rows` holds A, m
/// rows of `length` entries, and is overwritten.
///
/// Modified Gram-Schmidt on the rows: V is accurate to rounding relative to A, where a Cholesky factor of A Aᵀ would
/// lose half of the digits. A row that depends on those before it to 8m ulp of its norm adds no column.
#[inline(always)]
pub(crate) fn factor_rows<T: Scalar>(rows: &mut [T], length: usize, v: &mut [T], m: usize) -> usize {
    if m == 1 {
        // The whole of the general case below, without its overhead.
        let norm = dot(&rows[..length], &rows[..length]).sqrt();
        v[0] = norm;
        return usize::from(norm != T::zero());
    }
    v.fill(T::zero());
    let tolerance = T::lit(DEPENDENT_ULPS) * T::of_usize(m) * T::EPSILON;
    let mut rank = 0;
    for i in 0..m {
        let (before, after) = rows.split_at_mut((i + 1) * length);
        let row = &before[i * length..];
        let rest = dot(row, row);
        let known = &v[i * m..i * m + rank];
        let full = known.iter().fold(rest, |sum, &x| sum + x * x);
        // What is not finite is kept, for the caller to find.
        if rest <= tolerance * tolerance * full && full.is_finite() {
            continue;
        }
        let norm = rest.sqrt();
        let inverse = T::one() / rest;
        v[i * m + rank] = norm;
        for (j, other) in (i + 1..m).zip(after.chunks_exact_mut(length)) {
            let overlap = dot(row, other) * inverse;
            v[j * m + rank] = overlap * norm;
            for (y, &x) in other.iter_mut().zip(row) {
                *y -= overlap * x;
            }
        }
        rank += 1;
    }
    rank
}

/// Writes V (m x k) with V Vᵀ = `covariance` up to rounding of size `tolerances`, one for each variance, and returns its rank
/// k. The matrix is overwritten. The largest remaining variance comes first, and one that is not above its tolerance counts as
/// zero: a small variable is not lost beside a large one.
pub(crate) fn factor_covariance<T: Scalar>(covariance: &mut [T], tolerances: &[T], v: &mut [T], m: usize) -> usize {
    v.fill(T::zero());
    for k in 0..m {
        let variance = |i: usize| covariance[i * m + i];
        let left = (0..m).filter(|&i| variance(i) > tolerances[i]);
        let Some(largest) = left.reduce(|best, i| if variance(i) > variance(best) { i } else { best }) else {
            return k;
        };
        let variance = variance(largest);
        let root = variance.sqrt();
        for i in 0..m {
            v[i * m + k] = covariance[i * m + largest] / root;
        }
        for i in 0..m {
            for j in 0..m {
                covariance[i * m + j] -= v[i * m + k] * v[j * m + k];
            }
        }
        // Not zero by rounding alone: a pivot is taken once.
        for i in 0..m {
            covariance[i * m + largest] = T::zero();
            covariance[largest * m + i] = T::zero();
        }
    }
    m
}

#[cfg(test)]
mod tests {
    use super::*;
    use nalgebra::DMatrix;

    fn product(v: &[f64], m: usize) -> DMatrix<f64> {
        let v = DMatrix::from_row_slice(m, m, v);
        &v * v.transpose()
    }

    #[test]
    fn factors_of_rows_reproduce_the_gram_matrix_at_every_rank() {
        let full = DMatrix::from_row_slice(3, 4, &[1.0, 2.0, 0.5, -1.0, 0.3, 0.3, 2.0, 1.0, -1.0, 0.0, 0.7, 0.2]);
        let mut dependent = full.clone();
        dependent.set_row(1, &(full.row(0) * 3.0));
        let mut zero = full.clone();
        zero.row_mut(0).fill(0.0);
        let zeros = DMatrix::zeros(3, 4);
        for (a, rank) in [(full, 3), (dependent, 2), (zero, 2), (zeros, 0)] {
            let mut rows = a.transpose().as_slice().to_vec();
            let mut v = vec![9.0; 9];
            assert_eq!(factor_rows(&mut rows, 4, &mut v, 3), rank);
            assert!((product(&v, 3) - &a * a.transpose()).amax() < 1e-14);
            assert!((0..3).all(|i| v[i * 3 + rank..(i + 1) * 3].iter().all(|&x| x == 0.0)));
        }
    }

    /// A Cholesky factor of the Gram matrix would lose the small direction altogether.
    #[test]
    fn nearly_dependent_rows_keep_their_difference() {
        let mut rows: Vec<f64> = vec![1.0, 0.0, 1.0, 1e-9];
        let mut v = vec![0.0_f64; 4];
        assert_eq!(factor_rows(&mut rows, 2, &mut v, 2), 2);
        assert!((v[3] - 1e-9).abs() < 1e-22);
    }

    #[test]
    fn what_is_not_finite_is_kept() {
        for bad in [f64::NAN, f64::INFINITY, 1e200] {
            let mut v = vec![0.0; 1];
            assert_eq!(factor_rows(&mut [bad], 1, &mut v, 1), 1);
            assert!(!v[0].is_finite());
        }
    }

    #[test]
    fn factors_of_covariances_reproduce_them_at_every_rank() {
        let a = DMatrix::from_row_slice(3, 2, &[0.1, 0.2, 1.0, -1.0, 2.0, 0.5]);
        let singular = &a * a.transpose();
        let full = &singular + DMatrix::identity(3, 3);
        for (covariance, rank) in [(full, 3), (singular, 2), (DMatrix::zeros(3, 3), 0)] {
            let mut work = covariance.as_slice().to_vec();
            let mut v = vec![9.0; 9];
            assert_eq!(factor_covariance(&mut work, &[1e-14; 3], &mut v, 3), rank);
            assert!((product(&v, 3) - covariance).amax() < 1e-14);
        }
    }

    /// A variable of size 1e-10 that depends on one of size 1e10 in half is known to its own rounding.
    #[test]
    fn a_small_variance_is_not_lost_beside_a_large_one() {
        let covariance = [1e20, 0.5, 0.5, 1e-20];
        let (mut work, mut v) = (covariance, [0.0; 4]);
        assert_eq!(factor_covariance(&mut work, &[1e5, 1e-35], &mut v, 2), 2);
        let product = product(&v, 2);
        assert!((product[(0, 0)] / 1e20 - 1.0).abs() < 1e-15 && (product[(1, 0)] - 0.5).abs() < 1e-15);
        assert!((product[(1, 1)] / 1e-20 - 1.0).abs() < 1e-15, "{product}");
    }
}
