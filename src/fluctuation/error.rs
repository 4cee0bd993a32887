//! Why fluctuations could not be predicted.

use crate::Scalar;
use crate::fluctuation::{Escaped, FluctuationPath};
use crate::integrate::OutputError;
use crate::limit::LimitError;
use crate::model::ScheduleError;
use crate::ode::{OdeError, OdeFailure, RatesError};
use crate::state::OrderParametersError;

/// Why fluctuations could not be predicted.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FluctuationError<T: Scalar = f64> {
    /// The averages could not be computed.
    #[error(transparent)]
    Limit(#[from] LimitError<T>),
    /// The start does not satisfy the constraint.
    #[error(transparent)]
    Start(#[from] OrderParametersError),
    /// The output times do not suit the run.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// A covariance of the start of the wrong shape, or none.
    #[error(
        "the covariance of the start must be symmetric, positive semidefinite and {expected} x {expected}, got {rows} x {columns}"
    )]
    StartCovariance {
        /// The packed length of the state.
        expected: usize,
        /// The rows given.
        rows: usize,
        /// The columns given.
        columns: usize,
    },
    /// The start is not uninformative.
    #[error("an uninformative start has Q = 0: give the covariance of any other with `StartCovariance::Given`")]
    Overlaps,
    /// The state moves.
    #[error(
        "this needs a fixed point, and the state moves at a rate of {rate:e}: polish it, or follow it with a solver"
    )]
    NotFixed {
        /// The largest rate of an entry.
        rate: f64,
    },
    /// The fixed point is not stable, so that fluctuations grow.
    #[error("fluctuations have no stationary covariance here: the fixed point is not stable")]
    NotStable,
    /// Nothing escapes.
    #[error(
        "small overlaps do not grow here, or their noise does not come to rest: see `learnability` for what can be learned"
    )]
    NoEscape,
    /// The uninformative state does not last.
    #[error("Q = 0 does not last: a hidden variable has a mean, which a nonlinearity that is not odd learns at once")]
    NotCentred,
    /// Several modes grow.
    #[error("{modes} modes of small overlaps grow, and the law of one time is that of one mode: use `Escape::sample`")]
    ManyModes {
        /// How many.
        modes: usize,
    },
    /// The event does not happen.
    #[error("the event does not happen by t = {time}: allow more time, or ask for less")]
    NoEvent {
        /// The time limit.
        time: f64,
    },
    /// The dimension is too small.
    #[error(
        "starts at N = {dimension} are not small: the event has happened at some of them, or they are not feasible"
    )]
    FewDimensions {
        /// The value given.
        dimension: usize,
    },
    /// A solution of the ODE failed.
    #[error(transparent)]
    Solution(Box<OdeError<T>>),
    /// The correction of order 1/N is that of training without momentum.
    #[error("the mean correction of order 1/N is known without momentum only: ask for paths without `corrections`")]
    Momentum,
    /// A step of the solution failed; the path holds what came before.
    #[error("the solution failed after t = {time}: {source}")]
    Step {
        /// The last good time.
        time: f64,
        /// What happened.
        source: OdeFailure<T>,
        /// What was recorded before it.
        path: Box<FluctuationPath<T>>,
    },
    /// The most steps were taken.
    #[error("{steps} steps were taken by t = {time}: allow more with `step_limit`, or ask for less accuracy")]
    StepLimit {
        /// The steps.
        steps: u64,
        /// The time reached.
        time: f64,
        /// What was recorded.
        path: Box<FluctuationPath<T>>,
    },
    /// A function of the state has no value, or no derivatives, near a predicted state.
    #[error("the function of the state is not finite near the state at t = {time}")]
    Functional {
        /// When.
        time: f64,
    },
    /// A state of a run, or a covariance of the prediction, is not finite.
    #[error("the state of the run at t = {time}, or the covariance there, is not finite")]
    NotFinite {
        /// When.
        time: f64,
    },
    /// A start at the border of the feasible set, where the rates have no second derivatives.
    #[error("the mean correction of order 1/N needs a start with R - Q^T Q positive definite")]
    Degenerate,
    /// The noise of the views is not Gaussian.
    #[error(
        "the mean correction of order 1/N is known for Gaussian noise of the views only: ask for paths without `corrections`"
    )]
    NotGaussian,
    /// The two signs of an overlap are not alike.
    #[error(
        "the two signs of the overlap have different laws here (the nonlinearity has no parity, or a hidden law is not symmetric): use `Escape::sample`"
    )]
    NotSymmetric,
    /// A sample failed; the ones before it are there.
    #[error("sample {} failed: {source}", .done.len())]
    Sample {
        /// Why.
        source: Box<Self>,
        /// The samples before it.
        done: Vec<Escaped<T>>,
    },
    /// More features and neurons than any memory has covariances for.
    #[error("there is no memory for covariances of {length} numbers")]
    Memory {
        /// The packed length of the state.
        length: usize,
    },
    /// Schedules do not suit the model, or have no usable value.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// The mean correction of order 1/N is that of a model that stays as it is.
    #[error("the mean correction of order 1/N is not known under schedules: ask for paths without `corrections`")]
    ScheduledCorrections,
    /// The noise of a step is known at the model's own penalty strength.
    #[error("fluctuations of several neurons are known at a constant penalty strength only")]
    ScheduledPenalty,
    /// No dimension.
    #[error("a dimension N must be positive, got {dimension}")]
    Dimension {
        /// The value given.
        dimension: usize,
    },
    /// The run was recorded at other times.
    #[error("the run has no state at t = {time}, within half a step, where the prediction has one")]
    Times {
        /// The time of the prediction.
        time: f64,
    },
    /// The run is of another shape.
    #[error(
        "the run has {features} features and {neurons} neurons, the prediction {expected_features} and {expected_neurons}"
    )]
    Shape {
        /// Features of the run.
        features: usize,
        /// Neurons of the run.
        neurons: usize,
        /// Features of the prediction.
        expected_features: usize,
        /// Neurons of the prediction.
        expected_neurons: usize,
    },
}

impl<T: Scalar> From<RatesError<T>> for FluctuationError<T> {
    fn from(error: RatesError<T>) -> Self {
        match error {
            RatesError::Limit(error) => error.into(),
            RatesError::Infeasible(error) => error.into(),
            RatesError::Schedule(error) => error.into(),
        }
    }
}
