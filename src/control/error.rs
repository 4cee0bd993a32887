//! Why a gradient or an optimum could not be computed.

use crate::Scalar;
use crate::control::Optimum;
use crate::limit::LimitError;
use crate::model::ScheduleError;
use crate::ode::{OdeError, RatesError};
use crate::state::{OrderParametersError, Trajectory};

/// Why a gradient or an optimum could not be computed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError<T: Scalar = f64> {
    /// The start does not satisfy the constraint.
    #[error(transparent)]
    Start(#[from] OrderParametersError),
    /// No time to be good in.
    #[error("the horizon must be positive and finite, got {end}")]
    Horizon {
        /// The value given.
        end: f64,
    },
    /// Nothing is wanted.
    #[error("the objective is empty: give it a function of the final state, or one to be integrated along the path")]
    NoObjective,
    /// A function of the state has no value, or no derivatives, at a state of the solution.
    #[error("the {what} is not finite near the state at t = {time}")]
    Functional {
        /// Which.
        what: &'static str,
        /// When.
        time: f64,
    },
    /// The derivatives that a function gives are not as many as the numbers of the state.
    #[error("the {what} has {length} derivatives, and the state {expected} numbers")]
    Derivatives {
        /// Which.
        what: &'static str,
        /// The derivatives given.
        length: usize,
        /// The packed length of the state.
        expected: usize,
    },
    /// The event that ends the objective does not happen.
    #[error("the event does not happen by t = {time}: allow more time, or ask for less")]
    NoEvent {
        /// The end that was allowed.
        time: f64,
        /// The solution up to there.
        trajectory: Box<Trajectory<T>>,
    },
    /// The event function hardly crosses zero, so that its time has no derivative.
    #[error("the event function only touches zero at t = {time}: the time of the event has no derivative")]
    Touched {
        /// When.
        time: f64,
    },
    /// The adjoint is no number any more.
    #[error("the derivatives of the objective by the state at t = {time} are not finite")]
    NotFinite {
        /// When.
        time: f64,
    },
    /// The solution failed.
    #[error(transparent)]
    Solution(Box<OdeError<T>>),
    /// The right-hand side could not be differentiated.
    #[error("the rates at t = {time} could not be differentiated: {source}")]
    Rates {
        /// When.
        time: f64,
        /// Why.
        source: Box<RatesError<T>>,
    },
    /// Schedules do not suit the model.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// The limit has no such parameter.
    #[error(transparent)]
    Limit(#[from] LimitError<T>),
    /// There is nothing to control.
    #[error("there is nothing to control: add a `Control`")]
    NoControl,
    /// A number has two schedules.
    #[error("the {name} is controlled, and follows another control or schedule as well")]
    ControlledTwice {
        /// Which number.
        name: &'static str,
    },
    /// A control without any number.
    #[error("a control needs numbers of the model that follow it, with a value in common")]
    NoQuantity,
    /// Bounds that leave nothing, or more than the number's range.
    #[error("the bounds of the {name} must be increasing and within {least} to {most}, got {lower} to {upper}")]
    Bounds {
        /// Which number.
        name: &'static str,
        /// The lower bound given.
        lower: f64,
        /// The upper bound given.
        upper: f64,
        /// The least that it may be.
        least: f64,
        /// The most that it may be.
        most: f64,
    },
    /// The first schedule is outside the bounds.
    #[error(
        "the first {name} at t = {time} is {value}, outside its bounds {lower} to {upper}: give another with `initial`"
    )]
    Initial {
        /// Which number.
        name: &'static str,
        /// When.
        time: f64,
        /// The value there.
        value: f64,
        /// The lower bound.
        lower: f64,
        /// The upper bound.
        upper: f64,
    },
    /// Times of a grid that are none.
    #[error("the times of a grid start at 0 and increase, at most {most} of them, got {time} as number {index}")]
    Grid {
        /// Which time, counted from 0; as many as there are, if there are too many or none.
        index: usize,
        /// The time; NaN if there is none.
        time: f64,
        /// The most that there may be.
        most: usize,
    },
    /// A setting of the search is out of range.
    #[error("the {name} of a search must be {allowed}, got {value}")]
    Setting {
        /// Which.
        name: &'static str,
        /// What it must be.
        allowed: &'static str,
        /// The value given.
        value: f64,
    },
    /// The search was ended by an error; the best that it had found is there.
    #[error("the search failed after {} solutions: {source}", .best.evaluations())]
    Interrupted {
        /// Why.
        source: Box<Self>,
        /// The best so far.
        best: Box<Optimum<T>>,
    },
}

impl<T: Scalar> From<OdeError<T>> for ControlError<T> {
    fn from(error: OdeError<T>) -> Self {
        Self::Solution(Box::new(error))
    }
}

/// A function of the state, or its derivatives, that are no numbers.
pub(super) fn not_finite<T: Scalar>(what: &'static str, time: T) -> ControlError<T> {
    ControlError::Functional { what, time: time.as_f64() }
}

/// A right-hand side that failed.
pub(super) fn rates_failed<T: Scalar>(time: T, error: RatesError<T>) -> ControlError<T> {
    match error {
        RatesError::Schedule(error) => error.into(),
        source => ControlError::Rates { time: time.as_f64(), source: Box::new(source) },
    }
}
