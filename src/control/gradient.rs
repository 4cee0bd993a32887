//! How what a solution is worth changes with all that it depends on.

use nalgebra::DVector;

use crate::Scalar;
use crate::integrate::Work;
use crate::limit::Parameter;
use crate::model::Quantity;
use crate::state::Trajectory;

/// An objective with its derivatives; made by [`Adjoint::gradient`](crate::control::Adjoint::gradient).
#[derive(Debug, Clone, PartialEq)]
pub struct Gradient<T: Scalar = f64> {
    pub(super) value: T,
    pub(super) by_start: DVector<T>,
    pub(super) parameters: Vec<Parameter>,
    pub(super) by_parameter: Vec<T>,
    pub(super) quantities: Vec<Quantity>,
    /// In the order of time.
    pub(super) samples: Vec<Sample<T>>,
    /// Times, and δJ/δu there for each quantity.
    pub(super) densities: Vec<(T, Vec<T>)>,
    pub(super) trajectory: Trajectory<T>,
    pub(super) jacobians: u64,
}

/// What a change of the quantities at one stage of a step changes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample<T> {
    /// On the side of jumps on which the stage is.
    pub(super) time: f64,
    /// For each quantity.
    pub(super) slopes: Vec<T>,
}

impl<T: Scalar> Gradient<T> {
    /// The objective J.
    #[must_use]
    pub fn value(&self) -> T {
        self.value
    }

    /// The time T at which the solution ends.
    #[must_use]
    pub fn end(&self) -> T {
        self.trajectory.last().map_or(T::zero(), |(t, _)| t)
    }

    /// ∂J/∂s(0), of length pm + m(m + 1)/2, by the packed start (see [`OrderParameters::to_packed`](crate::state::OrderParameters::to_packed)).
    #[must_use]
    pub fn by_start(&self) -> &DVector<T> {
        &self.by_start
    }

    /// ∂J/∂θ for a parameter that was asked for; `None` for another. Of a number that follows a schedule it is the derivative by a constant
    /// that is added to it (with momentum β the [`LearningRate`](Parameter::LearningRate) is the effective one, 1/(1 − β) times the scheduled).
    #[must_use]
    pub fn by_parameter(&self, parameter: Parameter) -> Option<T> {
        let at = self.parameters.iter().position(|&other| other == parameter)?;
        Some(self.by_parameter[at])
    }

    /// The derivative of J along a change of a number over time, ∫ δJ/δu(t) · `change`(t) dt; `None` for a number that was not asked for.
    /// The change is smooth but for the times at which schedules jump or bend.
    #[must_use]
    pub fn along(&self, quantity: Quantity, change: impl Fn(f64) -> f64) -> Option<T> {
        let at = self.quantities.iter().position(|&other| other == quantity)?;
        Some(self.samples.iter().map(|sample| sample.slopes[at] * T::lit(change(sample.time))).sum())
    }

    /// The functional derivative δJ/δu(t) by a number over time, as pairs (t, value) at the steps of the solution; empty for a number that
    /// was not asked for. At a jump of a schedule it is that of the time after it.
    #[must_use]
    pub fn density(&self, quantity: Quantity) -> Vec<(T, T)> {
        let at = self.quantities.iter().position(|&other| other == quantity);
        at.map_or_else(Vec::new, |at| self.densities.iter().map(|(t, slopes)| (*t, slopes[at])).collect())
    }

    /// The solution: its final state.
    #[must_use]
    pub fn trajectory(&self) -> &Trajectory<T> {
        &self.trajectory
    }

    /// The work of the solution itself.
    #[must_use]
    pub fn work(&self) -> Work {
        self.trajectory.work()
    }

    /// The right-hand sides that were computed with their derivatives on the way back: six for each accepted step, and one at the end.
    #[must_use]
    pub fn jacobians(&self) -> u64 {
        self.jacobians
    }
}
