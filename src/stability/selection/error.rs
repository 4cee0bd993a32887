//! Why selection probabilities are not known.
//!
//! Covers [`SelectionError`]. Not here: why one start reaches no point (see [`crate::stability::NotReached`]).

use std::error::Error;
use std::fmt;

use crate::Scalar;
use crate::ensemble::{Failed, write_missing};
use crate::sgd::SgdFailure;
use crate::stability::regions::{Outcome, RegionsError};
use crate::stability::selection::counts::FiniteSizeSelection;
use crate::state::OrderParameters;

/// Why selection probabilities could not be computed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectionError<E, T: Scalar = f64> {
    /// No starts, or too few scrambles for an error estimate.
    #[error(
        "starts need at least one dimension, one point and two scrambles, got {dimensions}, {points} and {scrambles}"
    )]
    Starts {
        /// Dimensions.
        dimensions: usize,
        /// Points.
        points: usize,
        /// Scrambles.
        scrambles: u32,
    },
    /// More starts, or variables of a start, than there may be.
    #[error("at most {most} starts of {most_dimensions} variables, got {points} x {scrambles} of {dimensions}")]
    TooManyStarts {
        /// Dimensions.
        dimensions: usize,
        /// Points.
        points: usize,
        /// Scrambles.
        scrambles: u32,
        /// The most starts.
        most: usize,
        /// The most dimensions.
        most_dimensions: usize,
    },
    /// A stride or time of a simulation is out of range.
    #[error("a run needs a positive time and stride, got {time} and {stride}")]
    Run {
        /// The time limit.
        time: f64,
        /// Steps from one look at the state to the next.
        stride: u64,
    },
    /// It was stopped before two scrambles of starts were followed.
    #[error("stopped after {} starts, fewer than two scrambles", .outcomes.len())]
    Stopped {
        /// Where the starts followed by then end, at the survey tolerance, in the order of scrambles and of their points.
        outcomes: Vec<Outcome<T>>,
    },
    /// The regions could not be computed.
    #[error(transparent)]
    Regions(#[from] RegionsError<T>),
    /// Some replicates are missing.
    #[error(transparent)]
    Replicates(Box<PartialSelection<E, T>>),
}

/// A selection of which some replicates are missing: they failed, panicked, or had not begun when the ensemble was cancelled. All others
/// were run.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(bound(
        serialize = "E: serde::Serialize, T: serde::Serialize",
        deserialize = "E: serde::Deserialize<'de>, T: serde::Deserialize<'de>"
    ))
)]
#[non_exhaustive]
pub struct PartialSelection<E, T: Scalar = f64> {
    /// The counts over all others.
    pub others: FiniteSizeSelection,
    /// The first thousand that failed.
    pub failed: Vec<Failed<RunFailure<E, T>>>,
    /// How many failed.
    pub failures: u64,
    /// How many had not begun.
    pub cancelled: u64,
}

impl<E: fmt::Display, T: Scalar> fmt::Display for PartialSelection<E, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { others, failed, failures, cancelled } = self;
        let total = others.runs() + failures + cancelled;
        write_missing(f, (failed, *failures, *cancelled), total)?;
        write!(f, "what the other {} selected is in `others`", others.runs())
    }
}

impl<E: Error, T: Scalar> Error for PartialSelection<E, T> {}

/// Why a run selected nothing.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(bound(
        serialize = "E: serde::Serialize, T: serde::Serialize",
        deserialize = "E: serde::Deserialize<'de>, T: serde::Deserialize<'de>"
    ))
)]
#[non_exhaustive]
pub enum RunFailure<E, T: Scalar = f64> {
    /// The simulation could not be set up.
    #[error(transparent)]
    Start(E),
    /// A step failed.
    #[error("at t = {time}: {source}")]
    Step {
        /// Why.
        source: SgdFailure,
        /// The time before that step.
        time: T,
        /// The state before that step.
        state: Box<OrderParameters<T>>,
    },
}
