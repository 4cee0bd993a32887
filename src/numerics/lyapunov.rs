//! The Lyapunov equations of a linear flow.
//!
//! Covers its solution for small dense matrices. Not here: what they are for (see [`crate::stability::Neighbourhood`] and
//! [`crate::fluctuation::Stationary`]).

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

/// Doublings after which powers of a contraction that is one at all are gone.
const DOUBLINGS: usize = 60;

/// The Σ with JΣ + ΣJᵀ + Γ = 0, the covariance of the Ornstein-Uhlenbeck process dx = Jx dt + Γ^(1/2) dW; `None` unless every eigenvalue of
/// J has a negative real part.
///
/// The Cayley transform A = (I − hJ/2)⁻¹(I + hJ/2) makes it Σ = AΣAᵀ + C, which is summed by doubling (R. A. Smith, SIAM J. Appl. Math. 16
/// (1968) 198, doi:10.1137/0116017).
pub(crate) fn stationary_covariance<T: Scalar>(jacobian: &DMatrix<T>, noise: &DMatrix<T>) -> Option<DMatrix<T>> {
    let n = jacobian.nrows();
    let size = jacobian.amax();
    if n == 0 {
        return Some(DMatrix::zeros(0, 0));
    }
    if !(size > T::zero() && size.is_finite()) {
        return None;
    }
    let half = jacobian * (T::lit(0.5) / size);
    let identity = DMatrix::identity(n, n);
    let inverse = (&identity - &half).try_inverse()?;
    let mut power = &inverse * (&identity + &half);
    let mut sum = &inverse * noise * inverse.transpose() / size;
    for _ in 0..DOUBLINGS {
        let change = &power * &sum * power.transpose();
        sum += &change;
        power = &power * &power;
        if !is_finite(sum.as_slice()) || !is_finite(power.as_slice()) {
            return None;
        }
        if power.amax() <= T::EPSILON {
            return Some((&sum + sum.transpose()) * T::lit(0.5));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Γ = I is the other equation with Jᵀ; a rotation that is damped or not, and a spread of rates over ten orders.
    #[test]
    fn stationary_covariances_solve_their_equation() {
        let jacobian = DMatrix::from_row_slice(3, 3, &[-1.0, 3.0, 0.2, 0.0, -2.0, 0.5, 0.1, 0.0, -0.7]);
        let sum = stationary_covariance(&jacobian, &DMatrix::identity(3, 3)).unwrap();
        assert!((&sum - lyapunov::<f64>(&jacobian.transpose()).unwrap()).amax() < 1e-13, "{sum}");
        let rates: Vec<f64> = (0..11).map(|k| -10f64.powi(-k)).collect();
        let stiff = DMatrix::from_diagonal(&DVector::from_vec(rates.clone()));
        let sum = stationary_covariance(&stiff, &DMatrix::from_element(11, 11, 1.0)).unwrap();
        for (i, j) in [(0, 0), (3, 9), (10, 10)] {
            assert!((sum[(i, j)] * -(rates[i] + rates[j]) - 1.0).abs() < 1e-5, "{i} {j}");
        }
        let undamped = DMatrix::from_row_slice(2, 2, &[0.0, 1.0, -1.0, 0.0]);
        assert!(stationary_covariance::<f64>(&undamped, &DMatrix::identity(2, 2)).is_none());
        assert!(stationary_covariance::<f64>(&DMatrix::identity(2, 2), &DMatrix::identity(2, 2)).is_none());
    }

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
