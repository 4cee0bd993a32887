//! The Lyapunov equation of a linear flow.
//!
//! Covers its solution for small dense matrices. Not here: what it certifies (see [`crate::stability::Neighbourhood`]).

use nalgebra::{DMatrix, DVector};

use crate::Scalar;
use crate::numerics::linear::is_finite;

/// The symmetric P with JᵀP + PJ = −I, from its n(n + 1)/2 equations; `None` if they are singular. P is positive
/// definite iff every eigenvalue of J has a negative real part.
pub(crate) fn lyapunov<T: Scalar>(jacobian: &DMatrix<T>) -> Option<DMatrix<T>> {
    let n = jacobian.nrows();
    let pairs: Vec<(usize, usize)> = (0..n).flat_map(|i| (i..n).map(move |j| (i, j))).collect();
    let index = |i: usize, j: usize| {
        let (i, j) = (i.min(j), i.max(j));
        i * n - i * (i + 1) / 2 + j
    };
    let mut system = DMatrix::zeros(pairs.len(), pairs.len());
    let mut right = DVector::zeros(pairs.len());
    for (row, &(i, j)) in pairs.iter().enumerate() {
        for k in 0..n {
            system[(row, index(k, j))] += jacobian[(k, i)];
            system[(row, index(i, k))] += jacobian[(k, j)];
        }
        right[row] = if i == j { -T::one() } else { T::zero() };
    }
    let solution = system.lu().solve(&right)?;
    is_finite(solution.as_slice()).then(|| DMatrix::from_fn(n, n, |i, j| solution[index(i, j)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// J = [[−1, a], [0, −2]] has P in closed form.
    #[test]
    fn the_lyapunov_equation_is_solved() {
        let a = 3.0;
        let jacobian = DMatrix::from_row_slice(2, 2, &[-1.0, a, 0.0, -2.0]);
        let p = lyapunov::<f64>(&jacobian).unwrap();
        let want = DMatrix::from_row_slice(2, 2, &[0.5, a / 6.0, a / 6.0, 0.25 + a * a / 12.0]);
        assert!((&p - &want).amax() < 1e-14, "{p}");
        assert!((jacobian.transpose() * &p + &p * &jacobian + DMatrix::identity(2, 2)).amax() < 1e-14);
        // An undamped rotation has none.
        assert!(
            lyapunov(&DMatrix::from_row_slice(2, 2, &[0.0, 1.0, -1.0, 0.0]))
                .is_none_or(|p: DMatrix<f64>| p.cholesky().is_none())
        );
    }
}
