//! The limit coefficients A, B and Λ at one state, their error, and the drift of one weight that follows from them.

use nalgebra::DMatrix;

use crate::Scalar;
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
        pairs.iter().flat_map(|(x, y)| x.iter().zip(y.iter())).fold(T::zero(), |worst, (&x, &y)| {
            let difference = (x - y).abs();
            // A NaN must not get lost in a maximum.
            if difference <= worst { worst } else { difference }
        })
    }

    /// The largest absolute entry.
    pub(super) fn magnitude(&self) -> T {
        [&self.a, &self.b, &self.lambda].iter().flat_map(|x| x.iter()).fold(T::zero(), |m, x| m.max(x.abs()))
    }

    pub(super) fn is_finite(&self) -> bool {
        [&self.a, &self.b, &self.lambda].iter().all(|x| x.iter().all(nalgebra::ComplexField::is_finite))
    }

    /// The drift of one weight (theory §3): the mean update of a weight row w with feature row u is
    /// αᵀu + βᵀw, with β = (R − QᵀQ)⁺(B − QᵀA), m x m, and α = A − Qβ, p x m. The pseudo-inverse drops directions in
    /// which the background has no variance, where β is undetermined.
    #[must_use]
    pub fn drift(&self, state: &OrderParameters<T>) -> Drift<T> {
        let background = state.background();
        let right = &self.b - state.q().tr_mul(&self.a);
        let cutoff = T::lit(64.0) * T::EPSILON * state.r().iter().fold(T::zero(), |m, x| m.max(x.abs()));
        let beta = svd(background, (true, true), SVD_ITERATIONS)
            .and_then(|svd| svd.solve(&right, cutoff).ok())
            .unwrap_or_else(|| DMatrix::from_element(right.nrows(), right.ncols(), T::lit(f64::NAN)));
        let alpha = &self.a - state.q() * &beta;
        Drift { alpha, beta }
    }
}

/// The drift of one weight row: αᵀu + βᵀw (theory §3, §4).
#[derive(Debug, Clone, PartialEq)]
pub struct Drift<T: Scalar = f64> {
    /// α, p x m: pull along the features.
    pub alpha: DMatrix<T>,
    /// β, m x m: pull along the weights.
    pub beta: DMatrix<T>,
}

/// Limit coefficients with what is known of their error.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimated<T: Scalar = f64> {
    /// The coefficients.
    pub coefficients: Coefficients<T>,
    /// The estimated largest absolute error of an entry.
    pub error: T,
    /// The quadrature nodes at which the nonlinearity was evaluated, over all refinements.
    pub nodes: u64,
}
