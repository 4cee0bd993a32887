//! What can go wrong in a run, whoever steps.
//!
//! Covers [`RunError`]. Not here: why a step fails, which each process says by an error of its own.

use crate::Scalar;
use crate::integrate::OutputError;
use crate::save::SaveError;
use crate::state::{OrderParameters, Trajectory};

/// An alias, because derived code would take the reference for one into the data that are read.
type Name = &'static str;

/// Why a run failed. E is the error of the process's steps, S what is recorded.
///
/// What was recorded before is never lost: see [`trajectory`](Self::trajectory). Its last state is the last good one, that
/// from before the failed step, and the time in the error is the time of that state.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(bound(
        serialize = "E: serde::Serialize, T: serde::Serialize, S: serde::Serialize",
        deserialize = "E: serde::Deserialize<'de>, T: serde::Deserialize<'de>, S: serde::Deserialize<'de>"
    ))
)]
#[non_exhaustive]
pub enum RunError<E, T: Scalar = f64, S = OrderParameters<T>> {
    /// The output times, or those of an observer, are unusable.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// A setting of the run is out of range.
    #[error("the {name} of a run must be {range}, got {value}")]
    Setting {
        /// Which setting.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::numerics::stored::name"))]
        name: Name,
        /// What it may be.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::numerics::stored::name"))]
        range: Name,
        /// The value given.
        #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::number"))]
        value: f64,
    },
    /// A step failed.
    #[error("the step from t = {time} failed: {source}")]
    Failed {
        /// The time before the step.
        #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::number"))]
        time: f64,
        /// Why.
        source: E,
        /// What came before.
        trajectory: Box<Trajectory<T, S>>,
    },
    /// The step limit was reached.
    #[error("the limit of {steps} steps was reached at t = {time}: allow more with `step_limit`")]
    StepLimit {
        /// The limit.
        steps: u64,
        /// The time reached.
        #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::number"))]
        time: f64,
        /// What came before.
        trajectory: Box<Trajectory<T, S>>,
    },
    /// An event function has no sign.
    #[error("the function of event {index} is NaN at t = {time}")]
    EventNotANumber {
        /// Which of the events, counted from 0.
        index: usize,
        /// When.
        #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::number"))]
        time: f64,
        /// What came before.
        trajectory: Box<Trajectory<T, S>>,
    },
    /// A step was taken and time stands still.
    #[error("a step from t = {time} did not move the time: such a run never ends")]
    NotAdvancing {
        /// When.
        #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::number"))]
        time: f64,
        /// What came before.
        trajectory: Box<Trajectory<T, S>>,
    },
    /// The run could not be saved, or what was saved is refused. The process stands where the trajectory ends, and the run may
    /// be called again.
    #[error("the run cannot go on at t = {time}: {source}")]
    Save {
        /// The time reached.
        #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::number"))]
        time: f64,
        /// Why.
        source: SaveError,
        /// What came before.
        trajectory: Box<Trajectory<T, S>>,
    },
    /// Nothing tells whether the state is steady.
    #[error("a steady state needs a process that knows its rate of change, or the numbers of its state")]
    SteadyUnknown,
}

impl<E, T: Scalar, S> RunError<E, T, S> {
    /// What was recorded before the failure; `None` if the run did not start.
    #[must_use]
    pub fn trajectory(&self) -> Option<&Trajectory<T, S>> {
        match self {
            Self::Failed { trajectory, .. }
            | Self::StepLimit { trajectory, .. }
            | Self::EventNotANumber { trajectory, .. }
            | Self::Save { trajectory, .. }
            | Self::NotAdvancing { trajectory, .. } => Some(trajectory),
            Self::Output(_) | Self::Setting { .. } | Self::SteadyUnknown => None,
        }
    }

    /// The same error with the failure of a step told in other terms.
    pub fn map_source<F>(self, map: impl FnOnce(E) -> F) -> RunError<F, T, S> {
        match self {
            Self::Output(error) => RunError::Output(error),
            Self::Setting { name, range, value } => RunError::Setting { name, range, value },
            Self::Failed { time, source, trajectory } => RunError::Failed { time, source: map(source), trajectory },
            Self::StepLimit { steps, time, trajectory } => RunError::StepLimit { steps, time, trajectory },
            Self::EventNotANumber { index, time, trajectory } => RunError::EventNotANumber { index, time, trajectory },
            Self::Save { time, source, trajectory } => RunError::Save { time, source, trajectory },
            Self::NotAdvancing { time, trajectory } => RunError::NotAdvancing { time, trajectory },
            Self::SteadyUnknown => RunError::SteadyUnknown,
        }
    }
}
