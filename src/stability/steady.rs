//! The steady state of training from a start, and how noisy the gradient is there.
//!
//! Covers [`steady_state`] and what it finds. Not here: all fixed points (see [`crate::stability::FixedPointFinder`]).

use std::fmt;

use crate::Scalar;
use crate::limit::{Compiled, LimitError};
use crate::ode::{OdeError, ReducedOde};
use crate::stability::display::{digits, number, state};
use crate::stability::regions::{RegionsError, linearly_stable_root};
use crate::state::{OrderParameters, StopReason};

/// Why no steady state was found.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SteadyStateError<T: Scalar = f64> {
    /// The ODE could not be solved that far.
    #[error(transparent)]
    Ode(#[from] OdeError<T>),
    /// The state still moves at the time limit.
    #[error("the state still moves at t = {time}")]
    StillMoving {
        /// The time limit.
        time: f64,
        /// The state then.
        state: OrderParameters<T>,
    },
    /// Where the state came to rest there is no fixed point, or an unstable one.
    #[error(transparent)]
    Point(#[from] RegionsError<T>),
}

impl<T: Compiled> From<LimitError<T>> for SteadyStateError<T> {
    fn from(error: LimitError<T>) -> Self {
        Self::Point(error.into())
    }
}

/// A stable steady state of training.
///
/// Prints as a paragraph: Q and R row by row, and the variance.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(bound(serialize = "T: serde::Serialize", deserialize = "T: serde::Deserialize<'de>"))
)]
#[non_exhaustive]
pub struct SteadyState<T: Scalar = f64> {
    /// The state: a root of the rates, to the tolerance of the coefficients.
    pub state: OrderParameters<T>,
    /// The variance of the gradient's noise there, tr Λ (theory §3): what it adds to tr dR/dt.
    pub gradient_variance: T,
}

impl<T: Scalar> fmt::Display for SteadyState<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = digits(f);
        let (state, variance) = (state(&self.state, digits), number(self.gradient_variance, digits));
        write!(f, "stable steady state\n{state}variance of the gradient {variance}")
    }
}

/// The rate, in learning rates, at which the integration hands over to Newton's method: there the state is near enough
/// for quadratic convergence.
const HANDOVER: f64 = 1e-5;

/// The stable steady state that training reaches from `start` by time `time_limit`: the reduced ODE until nothing moves
/// faster than 1e-5 τ, then Newton's method on the exact Jacobian.
///
/// A start on the border of two attraction regions, such as one with Q = 0, ends at a saddle: that is an error.
///
/// ```
/// use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, Tanh};
/// use contrastive_dynamics::stability::steady_state;
/// use contrastive_dynamics::ode::ReducedOde;
/// use contrastive_dynamics::state::OrderParameters;
/// let cosine = |correlation: f64| -> Result<f64, Box<dyn std::error::Error>> {
///     let model = Model::builder()
///         .nonlinearity(Tanh)
///         .hidden(Independent::new([Law::two_point(2.25)?])?)
///         .noise(GaussianNoise::correlated(0.3, correlation)?)
///         .learning_rate(0.3)
///         .weight_decay(0.5)
///         .build()?;
///     let start = OrderParameters::from_rows(1, 1, &[0.4], &[0.8])?;
///     let steady = steady_state(&ReducedOde::new(&model)?, &start, 1e4)?;
///     Ok(steady.state.cosine_similarity(0, 0).ok_or("no neuron")?)
/// };
/// // Noise that is negatively correlated between the views hurts less than independent noise.
/// assert!(cosine(-0.5)? > cosine(0.0)? + 1e-3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`SteadyStateError::Ode`]; [`SteadyStateError::StillMoving`] at the time limit; [`SteadyStateError::Point`] with
/// [`RegionsError::NotFixed`] if Newton's method does not settle, and [`RegionsError::Unstable`] at a saddle.
#[doc(alias = "equilibrium")]
pub fn steady_state<T: Compiled>(
    ode: &ReducedOde<'_, T>,
    start: &OrderParameters<T>,
    time_limit: T,
) -> Result<SteadyState<T>, SteadyStateError<T>> {
    let rate = T::lit(HANDOVER) * ode.limit().learning_rate();
    let trajectory = ode.solver().steady_rate(rate).solve(start, time_limit)?;
    let end = trajectory.last().map_or(start, |(_, state)| state);
    if !matches!(trajectory.stop_reason(), StopReason::SteadyState { .. }) {
        return Err(SteadyStateError::StillMoving { time: time_limit.as_f64(), state: end.clone() });
    }
    let state = linearly_stable_root(ode, end)?;
    let gradient_variance = ode.limit().coefficients(&state)?.coefficients.lambda.trace();
    Ok(SteadyState { state, gradient_variance })
}
