//! The Jacobian of the rates at any feasible state, the boundary included.
//!
//! Covers interior states by exact derivatives and boundary states by extrapolation. Not here: Jacobians within a
//! family of states (see `face` and `newton`).
//!
//! As a function of (Q, R) the rates are smooth up to the boundary of the feasible set (they are averages over Gaussian
//! fields, and depend on the fields' covariance as solutions of a heat equation do on time), but the factor of a
//! singular covariance is not. There the Jacobians at interior states towards R + t·1 are extrapolated to t = 0.

use nalgebra::DMatrix;

use crate::Scalar;
use crate::limit::{Compiled, LimitError};
use crate::numerics::largest::largest_size;
use crate::ode::ReducedOde;
use crate::state::OrderParameters;

/// Jacobian of the packed rates by the packed state, and an estimate of the largest error that the
/// extrapolation adds to an entry.
#[derive(Debug, Clone)]
pub(crate) struct Linearization<T: Scalar> {
    pub(crate) by_state: DMatrix<T>,
    pub(crate) error: T,
}

/// Interior states from which it extrapolates: a polynomial of degree 5 in t, which leaves about 1e-9 of the first
/// step's change.
const POINTS: usize = 6;
/// The first of them is at t = this part of the largest entry of R: there the averages are still smooth in t on the
/// scale of the steps.
const FIRST_STEP: f64 = 0.02;
/// The least size of R by which the first step is measured, so that R = 0 has one.
const LEAST_SIZE: f64 = 0.05;
/// Each step is this part shorter than the one before: slow enough that the last is far from the singular factor at 0.
const SHRINKAGE: f64 = 1.6;

/// The linearisation at `state`.
pub(crate) fn linearize<T: Compiled>(
    ode: &ReducedOde<'_, T>,
    state: &OrderParameters<T>,
) -> Result<Linearization<T>, LimitError<T>> {
    match ode.sensitivities(state, &[]) {
        Ok(answer) => Ok(Linearization { by_state: answer.by_state, error: T::zero() }),
        Err(LimitError::NotDifferentiable) => extrapolate(ode, state),
        Err(error) => Err(error),
    }
}

fn extrapolate<T: Compiled>(
    ode: &ReducedOde<'_, T>,
    state: &OrderParameters<T>,
) -> Result<Linearization<T>, LimitError<T>> {
    from_inside(state, |inside| Ok(ode.sensitivities(inside, &[])?.by_state))
}

/// The linearisation at a state on the boundary, from Jacobians inside; the first that is asked for is farthest inside.
pub(crate) fn from_inside<T: Scalar, E>(
    state: &OrderParameters<T>,
    mut jacobian: impl FnMut(&OrderParameters<T>) -> Result<DMatrix<T>, E>,
) -> Result<Linearization<T>, E> {
    let m = state.n_neurons();
    let first = T::lit(FIRST_STEP) * state.r().amax().max(T::lit(LEAST_SIZE));
    let step = |k: usize| first / T::lit(f64::powi(SHRINKAGE, i32::try_from(k).unwrap_or(0)));
    let mut tableau: Vec<DMatrix<T>> = Vec::new();
    let mut previous: Option<DMatrix<T>> = None;
    for k in 0..POINTS {
        let t = step(k);
        let inside = OrderParameters::from_parts(state.q().clone(), state.r() + DMatrix::identity(m, m) * t);
        // Neville's scheme at t = 0, one row at a time; the last entry is the highest order.
        let mut value = jacobian(&inside)?;
        let mut row = vec![value.clone()];
        for (order, older) in tableau.iter().enumerate() {
            value = &value + (&value - older) * (t / (step(k - 1 - order) - t));
            row.push(value.clone());
        }
        previous = tableau.last().cloned();
        tableau = row;
    }
    let value = tableau.pop().unwrap_or_else(|| DMatrix::zeros(0, 0));
    let error = previous.map_or(T::zero(), |previous| largest_size((&value - previous).iter().copied()));
    Ok(Linearization { by_state: value, error })
}
