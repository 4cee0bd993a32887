//! Small symmetric matrices: smallest eigenvalue and square root, guarded against iterations that do not end.

use nalgebra::{DMatrix, SymmetricEigen};

use crate::Scalar;

/// The smallest eigenvalue of a symmetric matrix; NaN if it is not finite or the iteration does not converge.
pub(crate) fn smallest_eigenvalue<T: Scalar>(matrix: &DMatrix<T>) -> T {
    let nan = T::lit(f64::NAN);
    if !matrix.iter().all(nalgebra::ComplexField::is_finite) {
        return nan;
    }
    if matrix.len() == 1 {
        return matrix[0];
    }
    SymmetricEigen::try_new(matrix.clone(), T::EPSILON, 1000)
        .map_or(nan, |eigen| eigen.eigenvalues.iter().fold(T::lit(f64::INFINITY), |low, &x| low.min(x)))
}

/// The symmetric square root of a positive semidefinite matrix; eigenvalues that rounding made negative count as 0. NaN for a
/// matrix whose eigenvalues do not converge, as one that is not finite.
pub(crate) fn square_root<T: Scalar>(matrix: &DMatrix<T>) -> DMatrix<T> {
    let Some(eigen) = SymmetricEigen::try_new(matrix.clone(), T::EPSILON, 1000) else {
        return matrix.map(|_| T::lit(f64::NAN));
    };
    let roots = eigen.eigenvalues.map(|x| if x > T::zero() { x.sqrt() } else { T::zero() });
    &eigen.eigenvectors * DMatrix::from_diagonal(&roots) * eigen.eigenvectors.transpose()
}
