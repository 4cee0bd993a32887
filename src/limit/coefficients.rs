//! The limit coefficients A, B and Λ at one state, their error, and the drift of one weight that follows from them.

use nalgebra::DMatrix;

use crate::Scalar;
use crate::numerics::largest::largest_size;
use crate::numerics::linear::{SVD_ITERATIONS, svd};
use crate::state::OrderParameters;

/// The limit coefficients at one state (theory §3).
#[derive(Debug, Clone, PartialEq)]
pub struct Coefficients<T: Scalar = f64> {
    /// A, p x m: the gradient's part of dQ/dt, A_li = −τ E[(1/B) Σ_b Σ_v e_bi^v x̃_bl^v].
    pub a: DMatrix<T>,
    /// B, m x m: the gradient's part of dR/dt before symmetrising, B_ji = −τ E[(1/B) Σ_b Σ_v e_bi^v h_bj^v].
    pub b: DMatrix<T>,
    /// Λ, m x m, symmetric and positive semidefinite: the gradient's noise,
    /// Λ_ij = τ² E[(1/B²) Σ_b Σ_vv' e_bi^v D_vv' e_bj^v'].
    pub lambda: DMatrix<T>,
}

impl<T: Scalar> Coefficients<T> {
    pub(crate) fn zeros(features: usize, neurons: usize) -> Self {
        Self {
            a: DMatrix::zeros(features, neurons),
            b: DMatrix::zeros(neurons, neurons),
            lambda: DMatrix::zeros(neurons, neurons),
        }
    }

    /// The largest absolute entry of the difference.
    pub(super) fn distance(&self, other: &Self) -> T {
        let pairs = [(&self.a, &other.a), (&self.b, &other.b), (&self.lambda, &other.lambda)];
        largest_size(pairs.iter().flat_map(|(x, y)| x.iter().zip(y.iter())).map(|(&x, &y)| x - y))
    }

    /// The largest absolute entry.
    pub(crate) fn magnitude(&self) -> T {
        largest_size([&self.a, &self.b, &self.lambda].iter().flat_map(|x| x.iter().copied()))
    }

    pub(super) fn is_finite(&self) -> bool {
        [&self.a, &self.b, &self.lambda].iter().all(|x| x.iter().all(nalgebra::ComplexField::is_finite))
    }

    /// The drift of one weight (theory §3): the mean update of a weight row w with feature row u is
    /// αᵀu + βᵀw, with β = (R − QᵀQ)⁺(B − QᵀA), m x m, and α = A − Qβ, p x m. The pseudo-inverse drops directions in
    /// which the background has no variance (with every neuron in its own units), where β is undetermined.
    #[must_use]
    pub fn drift(&self, state: &OrderParameters<T>) -> Drift<T> {
        let units: Vec<T> = state.r().diagonal().iter().map(|&r| unit(r)).collect();
        let per_unit = |x: &DMatrix<T>| DMatrix::from_fn(x.nrows(), x.ncols(), |i, j| x[(i, j)] / units[i]);
        let scaled = |x: &DMatrix<T>| DMatrix::from_fn(x.nrows(), x.ncols(), |i, j| x[(i, j)] / units[i] / units[j]);
        let background = scaled(&state.background());
        let right = per_unit(&(&self.b - state.q().tr_mul(&self.a)));
        let cutoff = T::lit(BACKGROUND_ULPS) * T::EPSILON * largest_size(scaled(state.r()).iter().copied());
        let beta = svd(background, (true, true), SVD_ITERATIONS)
            .and_then(|svd| svd.solve(&right, cutoff).ok())
            .unwrap_or_else(|| DMatrix::from_element(right.nrows(), right.ncols(), T::lit(f64::NAN)));
        let beta = per_unit(&beta);
        let alpha = &self.a - state.q() * &beta;
        Drift { alpha, beta }
    }
}

/// A variance of the background that is so many ulp of R is zero but for rounding.
const BACKGROUND_ULPS: f64 = 64.0;

/// The power of 2 nearest to √R_ii, by which a neuron is divided without rounding; 1 for a neuron without weights.
fn unit<T: Scalar>(r: T) -> T {
    let r = r.as_f64();
    if !(r.is_normal() && r > 0.0) {
        return T::one();
    }
    // From the bits, where a logarithm is another on other machines: r is at least 2^exponent, and less than twice that.
    let exponent = (r.to_bits() >> 52) as i32 - 1023;
    T::lit(f64::powi(2.0, (exponent + 1).div_euclid(2)))
}

/// The drift of one weight row: αᵀu + βᵀw (theory §3, §4).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Drift<T: Scalar = f64> {
    /// α, p x m: pull along the features.
    pub alpha: DMatrix<T>,
    /// β, m x m: pull along the weights.
    pub beta: DMatrix<T>,
}

/// Limit coefficients with what is known of their error.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Estimated<T: Scalar = f64> {
    /// The coefficients.
    pub coefficients: Coefficients<T>,
    /// The estimated largest absolute error of an entry.
    pub error: T,
    /// The quadrature nodes at which the nonlinearity was evaluated, over all refinements.
    pub nodes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// β of the first neuron alone is B/R; a second of any size beside it, independent, changes neither.
    #[test]
    fn a_small_neuron_keeps_its_drift_beside_a_large_one() {
        let r = [1e12, 1e-6];
        let diagonal = |x: [f64; 2]| DMatrix::from_diagonal(&nalgebra::DVector::from_row_slice(&x));
        let state = OrderParameters::from_parts(DMatrix::zeros(1, 2), diagonal(r));
        let coefficients = Coefficients { b: diagonal([3.0 * r[0], -2.0 * r[1]]), ..Coefficients::zeros(1, 2) };
        let drift = coefficients.drift(&state);
        assert!((drift.beta - diagonal([3.0, -2.0])).amax() < 1e-14);
    }

    /// Two neurons that coincide have a background of rank one, whatever their size: β is that of least size.
    #[test]
    fn directions_without_background_are_dropped() {
        for size in [1e-8, 1.0, 1e8] {
            let state = OrderParameters::from_parts(DMatrix::zeros(1, 2), DMatrix::from_element(2, 2, size));
            let coefficients = Coefficients { b: DMatrix::from_element(2, 2, size), ..Coefficients::zeros(1, 2) };
            let beta = coefficients.drift(&state).beta;
            assert!((beta - DMatrix::from_element(2, 2, 0.5)).amax() < 1e-14);
        }
        let nothing = OrderParameters::<f64>::from_parts(DMatrix::zeros(1, 1), DMatrix::zeros(1, 1));
        assert_eq!(Coefficients::zeros(1, 1).drift(&nothing).beta[0], 0.0);
    }

    #[test]
    fn units_are_powers_of_two_next_to_the_root() {
        for (r, want) in [(1.0, 1.0), (0.5, 1.0), (1.99, 1.0), (2.0, 2.0), (7.9, 2.0), (0.49, 0.5), (1e-300, 1e-150)] {
            let unit: f64 = unit(r);
            assert!(unit.log2() == unit.log2().round() && (unit / want).log2().abs() < 1.0, "{r}: {unit}");
            assert!(r > 1e-99 && r < 1e99 && unit == want || r < 1e-99, "{r}: {unit}");
        }
        assert_eq!([0.0, -1.0, f64::NAN, f64::INFINITY].map(unit), [1.0; 4]);
    }

    #[test]
    fn a_coefficient_that_is_not_a_number_is_seen() {
        let zeros = Coefficients::<f64>::zeros(2, 1);
        for at in 0..2 {
            let mut other = zeros.clone();
            other.a[at] = f64::NAN;
            assert!(zeros.distance(&other).is_nan() && other.magnitude().is_nan());
        }
    }
}
