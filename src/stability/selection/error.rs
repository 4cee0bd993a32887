//! Why selection probabilities are not known.
//!
//! Covers [`SelectionError`]. Not here: why one start reaches no point (see [`crate::stability::NotReached`]).

use crate::Scalar;
use crate::stability::regions::{Outcome, RegionsError};
use crate::stability::selection::counts::FiniteSizeSelection;

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
    /// A simulation could not be set up.
    #[error("replicate {index} (seed {seed}) failed after {} others: {source}", .before.runs())]
    Replicate {
        /// Which replicate.
        index: u64,
        /// Its seed, to run it alone.
        seed: u64,
        /// Why.
        source: E,
        /// The counts over the replicates before it.
        before: Box<FiniteSizeSelection>,
    },
    /// A simulation diverged.
    #[error(
        "replicate {index} (seed {seed}) diverged at step {step} after {} others: lower the learning rate or add weight \
         decay",
        .before.runs()
    )]
    Diverged {
        /// Which replicate.
        index: u64,
        /// Its seed, to run it alone.
        seed: u64,
        /// The step whose update was not finite.
        step: u64,
        /// The counts over the replicates before it.
        before: Box<FiniteSizeSelection>,
    },
}
