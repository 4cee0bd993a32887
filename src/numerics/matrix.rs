//! Small symmetric matrices: smallest eigenvalue and square root, guarded against iterations that do not end.

use nalgebra::DMatrix;

use crate::Scalar;
use crate::numerics::eigen::symmetric_eigen;
use crate::numerics::largest::smallest;
use crate::numerics::linear::is_finite;

/// The smallest eigenvalue of a symmetric matrix; NaN if it is not finite or the iteration does not converge.
pub(crate) fn smallest_eigenvalue<T: Scalar>(matrix: &DMatrix<T>) -> T {
    let nan = T::lit(f64::NAN);
    if !is_finite(matrix.as_slice()) {
        return nan;
    }
    if matrix.len() == 1 {
        return matrix[0];
    }
    symmetric_eigen(matrix.clone()).map_or(nan, |eigen| smallest(eigen.eigenvalues.iter().copied()))
}

/// A matrix that has no square root.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Indefinite<T> {
    /// Its smallest eigenvalue; NaN if it is not finite or the iteration does not converge.
    pub(crate) eigenvalue: T,
}

/// The symmetric square root of a positive semidefinite matrix. Negative eigenvalues down to −`tolerance` are the error with which
/// the matrix is known, and count as 0.
pub(crate) fn square_root<T: Scalar>(matrix: &DMatrix<T>, tolerance: T) -> Result<DMatrix<T>, Indefinite<T>> {
    let eigen = if is_finite(matrix.as_slice()) { symmetric_eigen(matrix.clone()) } else { None };
    let eigen = eigen.ok_or(Indefinite { eigenvalue: T::lit(f64::NAN) })?;
    let eigenvalue = smallest(eigen.eigenvalues.iter().copied());
    if !(eigenvalue >= -tolerance) {
        return Err(Indefinite { eigenvalue });
    }
    let roots = eigen.eigenvalues.map(|x| if x > T::zero() { x.sqrt() } else { T::zero() });
    Ok(&eigen.eigenvectors * DMatrix::from_diagonal(&roots) * eigen.eigenvectors.transpose())
}

/// The inverse of the symmetric square root of a positive definite matrix; `None` for any other, singular ones to rounding
/// included.
pub(crate) fn inverse_root<T: Scalar>(matrix: &DMatrix<T>) -> Option<DMatrix<T>> {
    let eigen = if is_finite(matrix.as_slice()) { symmetric_eigen(matrix.clone()) } else { None }?;
    let rounding = T::lit(SINGULAR_ULPS) * T::of_usize(matrix.nrows()) * T::EPSILON * eigen.eigenvalues.amax();
    if !(smallest(eigen.eigenvalues.iter().copied()) > rounding) {
        return None;
    }
    let scales = eigen.eigenvalues.map(|x| T::one() / x.sqrt());
    let root = &eigen.eigenvectors * DMatrix::from_diagonal(&scales) * eigen.eigenvectors.transpose();
    is_finite(root.as_slice()).then_some(root)
}

/// An eigenvalue of so many ulp of the largest, for each row, is zero but for rounding.
const SINGULAR_ULPS: f64 = 4.0;

#[cfg(test)]
mod tests {
    use super::*;

    /// [[a, b], [b, a]] has the eigenvalues a ± b.
    #[test]
    fn square_roots_are_those_of_what_is_positive_to_the_tolerance() {
        let matrix = |a: f64, b: f64| DMatrix::from_row_slice(2, 2, &[a, b, b, a]);
        let root = square_root(&matrix(1.0, 0.5), 0.0).unwrap();
        assert!((&root * &root - matrix(1.0, 0.5)).amax() < 1e-15);
        let root = square_root(&matrix(1.0, 1.0 + 1e-9), 2e-9).unwrap();
        assert!((&root * &root - matrix(1.0, 1.0)).amax() < 2e-9);
        let indefinite = square_root(&matrix(1.0, 1.5), 0.4).unwrap_err();
        assert!((indefinite.eigenvalue + 0.5).abs() < 1e-15);
        for bad in [f64::NAN, f64::INFINITY] {
            assert!(square_root(&matrix(1.0, bad), 1.0).unwrap_err().eigenvalue.is_nan());
        }
    }
}
