//! Small linear systems, also singular ones.
//!
//! Covers solutions of least size by singular values, square systems by elimination, and the order of numbers by size.
//! Not here: eigenvalues (see [`crate::numerics::eigen`]) and factors of covariances (see
//! [`crate::numerics::triangle`]).

use nalgebra::{ComplexField, DMatrix, DVector, Dyn, SVD};

use crate::Scalar;

/// Iterations that a singular value decomposition may take. One of n rows takes about 2n, so this ends none but those
/// that would never end.
pub(crate) const SVD_ITERATIONS: usize = 10_000;

/// Singular values below that many ulp of the largest entry count as zero: 1e-13 of it in double precision, what
/// rounding in an average leaves of a derivative that is zero.
const SINGULAR: f64 = 500.0;

/// The x of least size among those that bring A x nearest to b. Zero if A is not finite.
pub(crate) fn least_squares<T: Scalar>(matrix: &DMatrix<T>, right: &DVector<T>) -> DVector<T> {
    let solution = decomposed(matrix).and_then(|(svd, cutoff)| svd.solve(right, cutoff).ok());
    solution.unwrap_or_else(|| DVector::zeros(matrix.ncols()))
}

/// The pseudo-inverse of A, by which [`least_squares`] solves; none if A is not finite, or its singular values are not found.
pub(crate) fn pseudo_inverse<T: Scalar>(matrix: &DMatrix<T>) -> Option<DMatrix<T>> {
    if matrix.is_empty() {
        return Some(DMatrix::zeros(matrix.ncols(), matrix.nrows()));
    }
    decomposed(matrix).and_then(|(svd, cutoff)| svd.pseudo_inverse(cutoff).ok())
}

/// The inverse of a regular matrix, or of one with more rows than columns the one by which least squares are solved;
/// none if its smallest singular value is below `least` of the largest.
pub(crate) fn left_inverse<T: Scalar>(matrix: &DMatrix<T>, least: T) -> Option<DMatrix<T>> {
    if matrix.nrows() < matrix.ncols() {
        return None;
    }
    let (svd, _) = decomposed(matrix)?;
    let regular = svd.singular_values.min() > least * svd.singular_values.max();
    regular.then(|| svd.pseudo_inverse(T::zero()).ok())?
}

/// The singular values of a finite matrix, and up to what they count as zero.
fn decomposed<T: Scalar>(matrix: &DMatrix<T>) -> Option<(SVD<T, Dyn, Dyn>, T)> {
    if matrix.is_empty() || !is_finite(matrix.as_slice()) {
        return None;
    }
    let cutoff = T::lit(SINGULAR) * T::EPSILON * matrix.amax();
    Some((svd(matrix.clone(), (true, true), SVD_ITERATIONS)?, cutoff))
}

/// The singular value decomposition of a matrix, with left and right vectors if they are asked for; `None` if it does not converge
/// within so many iterations, or for numbers over- or underflows on the way.
pub(crate) fn svd<T: Scalar, N: ComplexField<RealField = T>>(
    matrix: DMatrix<N>,
    (left, right): (bool, bool),
    iterations: usize,
) -> Option<SVD<N, Dyn, Dyn>> {
    if matrix.is_empty() {
        return None;
    }
    let mut svd = SVD::try_new_unordered(matrix, left, right, T::EPSILON, iterations)?;
    // What sorts them panics on NaN.
    if !is_finite(svd.singular_values.as_slice()) {
        return None;
    }
    svd.sort_by_singular_values();
    Some(svd)
}

/// The solution of A x = b by elimination, or by least squares where A is singular to rounding.
pub(crate) fn solve_square<T: Scalar>(matrix: &DMatrix<T>, right: &DVector<T>) -> DVector<T> {
    matrix.clone().lu().solve(right).filter(|x| is_finite(x.as_slice())).unwrap_or_else(|| least_squares(matrix, right))
}

/// Whether every number is finite.
pub(crate) fn is_finite<T: Scalar>(numbers: &[T]) -> bool {
    numbers.iter().all(ComplexField::is_finite)
}

/// The places of the numbers by rising size; equal ones in their order.
pub(crate) fn ascending<T: Scalar>(numbers: &[T]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..numbers.len()).collect();
    order.sort_by(|&a, &b| numbers[a].partial_cmp(&numbers[b]).unwrap_or(std::cmp::Ordering::Equal));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regular_systems_are_solved_and_singular_ones_by_the_smallest_solution() {
        let matrix = DMatrix::from_row_slice(2, 2, &[2.0, 1.0, 1.0, 3.0]);
        let right = DVector::from_column_slice(&[3.0, 5.0]);
        for solution in [solve_square(&matrix, &right), least_squares(&matrix, &right)] {
            assert!((&matrix * solution - &right).amax() < 1e-14);
        }
        let singular = DMatrix::from_element(2, 2, 1.0);
        let right = DVector::from_column_slice(&[2.0, 2.0]);
        for solution in [solve_square(&singular, &right), least_squares(&singular, &right)] {
            assert!((solution - DVector::from_column_slice(&[1.0, 1.0])).amax() < 1e-14);
        }
        let bad = DMatrix::from_element(2, 2, f64::NAN);
        assert_eq!(least_squares(&bad, &right), DVector::zeros(2));
        assert_eq!(pseudo_inverse(&bad), None);
        assert!((pseudo_inverse(&matrix).unwrap() * &matrix - DMatrix::identity(2, 2)).amax() < 1e-14);
    }

    #[test]
    fn inverses_are_those_of_least_squares_and_refused_where_there_is_none() {
        let tall = DMatrix::from_row_slice(3, 2, &[2.0, 1.0, 1.0, 3.0, 1.0, 0.0]);
        let inverse = left_inverse(&tall, 1e-8).unwrap();
        assert!((&inverse * &tall - DMatrix::identity(2, 2)).amax() < 1e-14);
        let right = DVector::from_column_slice(&[1.0, -2.0, 0.5]);
        assert!((inverse * &right - least_squares(&tall, &right)).amax() < 1e-14);
        let nearly = DMatrix::from_row_slice(2, 2, &[1.0, 1.0, 1.0, 1.0 + 1e-9]);
        assert!(left_inverse(&nearly, 1e-8).is_none() && left_inverse(&nearly, 1e-10).is_some());
        assert!(left_inverse(&tall.transpose(), 1e-8).is_none());
    }

    #[test]
    fn places_are_ordered_by_size() {
        assert_eq!(ascending(&[0.3, -1.0, 0.3, 0.0]), [1, 3, 0, 2]);
    }
}
