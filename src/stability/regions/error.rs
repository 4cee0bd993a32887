//! Why attraction regions are not known.
//!
//! Covers [`RegionsError`]. Not here: why one start reaches no point (see [`crate::stability::NotReached`]).

use crate::Scalar;
use crate::limit::LimitError;
use crate::model::ScheduleError;
use crate::ode::RatesError;
use crate::save::SaveError;
use crate::stability::display::state_in_line;
use crate::stability::regions::outcome::Outcome;
use crate::state::{OrderParameters, OrderParametersError};

/// The tolerances that may be asked for.
pub(super) const TOLERANCES: (f64, f64) = (1e-12, 1e-3);

/// Why attraction regions could not be set up or computed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RegionsError<T: Scalar = f64> {
    /// There is nothing to be attracted to.
    #[error("attraction regions need at least one stable fixed point")]
    NoPoints,
    /// Newton's method found no fixed point.
    #[error("no fixed point near {}", state_in_line(.guess))]
    NotFixed {
        /// Where it was sought.
        guess: OrderParameters<T>,
    },
    /// The fixed point attracts no neighbourhood.
    #[error("the fixed point {} is not linearly stable", state_in_line(.point))]
    Unstable {
        /// The point.
        point: OrderParameters<T>,
    },
    /// The rates are not those of the linearisation on any scale.
    #[error(
        "no neighbourhood of the stable point {} could be certified: the rates are too rough there",
        state_in_line(.point)
    )]
    NoNeighbourhood {
        /// The point.
        point: OrderParameters<T>,
    },
    /// Two points of the list are one.
    #[error("points {first} and {second} are the same up to the model's symmetries: leave one out")]
    Duplicate {
        /// The number of one.
        first: usize,
        /// The number of the other.
        second: usize,
    },
    /// Too many images under the symmetries.
    #[error("a stable point has more than {most} images under the model's symmetries: regions cannot be told apart")]
    Images {
        /// The most that are followed.
        most: usize,
    },
    /// A tolerance out of range.
    #[error("the tolerance must lie in [{:e}, {:e}], got {value}", TOLERANCES.0, TOLERANCES.1)]
    Tolerance {
        /// The value given.
        value: f64,
    },
    /// A time out of range.
    #[error("the time limit must be positive and finite, got {value}")]
    TimeLimit {
        /// The value given.
        value: f64,
    },
    /// A map could not be saved, or what was saved is refused.
    #[error("{source}; the outcomes so far, row by row, are inside")]
    Save {
        /// Why.
        source: SaveError,
        /// The outcomes so far.
        outcomes: Vec<Outcome<T>>,
    },
    /// Processes that share the work do not do the same.
    #[error("the processes that share this work have other models, stable points or starts: start all of them alike")]
    OtherProcesses,
    /// A grid without points.
    #[error("a grid needs at least one column and one row and finite increasing ranges, got {columns} x {rows}")]
    Grid {
        /// Columns.
        columns: usize,
        /// Rows.
        rows: usize,
    },
    /// A grid of more cells than a map may have.
    #[error("a grid may have {most} cells, got {columns} x {rows}")]
    GridSize {
        /// Columns.
        columns: usize,
        /// Rows.
        rows: usize,
        /// The most cells.
        most: usize,
    },
    /// The ends of a line.
    #[error("a line needs finite ends that differ and a positive tolerance, got ({low}, {high}) and {tolerance}")]
    Line {
        /// One end.
        low: f64,
        /// The other.
        high: f64,
        /// The tolerance.
        tolerance: f64,
    },
    /// Both ends of a line have the same outcome.
    #[error("both ends of the line have the outcome \"{outcome}\": there is no border to be found by bisection")]
    NoBorder {
        /// The outcome.
        outcome: Outcome<T>,
    },
    /// A start that is no state, where one is needed.
    #[error("the start is no state: {0}")]
    Start(#[from] OrderParametersError),
    /// The coefficients could not be computed.
    #[error(transparent)]
    Limit(#[from] LimitError<T>),
    /// Schedules are not followed here; of a system of rates that has some.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
}

impl<T: Scalar> From<RatesError<T>> for RegionsError<T> {
    fn from(error: RatesError<T>) -> Self {
        match error {
            RatesError::Limit(source) => Self::Limit(source),
            RatesError::Infeasible(source) => Self::Start(source),
            RatesError::Schedule(source) => Self::Schedule(source),
        }
    }
}
