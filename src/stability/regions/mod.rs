//! Attraction regions: which fixed point each start reaches, and where the border between two regions runs (theory §6).
//!
//! In: certified neighbourhoods of stable points ([`Neighbourhood`]), the fate of single starts
//! ([`AttractionRegions::fate`]), maps over two-parameter families ([`AttractionRegions::map`]) and borders along a line
//! ([`AttractionRegions::border`]). Out: how fixed points are found.
//!
//! A start has reached a point when its trajectory enters that point's neighbourhood, not after a fixed time. By the
//! symmetries of the model a stable point has images (overlaps of either sign, neurons exchanged): they share the
//! point's number and differ in the number of the image.

mod border;
mod fate;
mod map;
mod neighbourhood;
mod newton;
mod symmetry;
mod watch;

pub use border::Border;
pub use fate::{AttractionRegions, Fate, Stray};
pub use map::{AreaFraction, Grid, RegionMap};
pub use neighbourhood::Neighbourhood;
pub(in crate::stability) use neighbourhood::linearly_stable_root;

use crate::Scalar;
use crate::limit::Compiled;
use crate::limit::LimitError;
use crate::ode::RatesError;
use crate::state::{OrderParameters, OrderParametersError};

/// Why attraction regions could not be set up or computed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RegionsError<T: Scalar = f64> {
    /// There is nothing to be attracted to.
    #[error("attraction regions need at least one stable fixed point")]
    NoPoints,
    /// Newton's method found no fixed point.
    #[error("no fixed point near Q = {:?}, R = {:?}", .guess.q().as_slice(), .guess.r().as_slice())]
    NotFixed {
        /// Where it was sought.
        guess: OrderParameters<T>,
    },
    /// The fixed point attracts no neighbourhood.
    #[error("the fixed point Q = {:?}, R = {:?} is not linearly stable", .point.q().as_slice(), .point.r().as_slice())]
    Unstable {
        /// The point.
        point: OrderParameters<T>,
    },
    /// The rates are not those of the linearisation on any scale.
    #[error(
        "no neighbourhood of the stable point Q = {:?}, R = {:?} could be certified: the rates are too rough there",
        .point.q().as_slice(), .point.r().as_slice()
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
    #[error("the tolerance must lie in [1e-12, 1e-3], got {value}")]
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
    /// A grid without points.
    #[error("a grid needs at least one column and one row and finite increasing ranges, got {columns} x {rows}")]
    Grid {
        /// Columns.
        columns: usize,
        /// Rows.
        rows: usize,
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
    /// Both ends of a line have the same fate.
    #[error("both ends of the line have the fate {}: there is no border to be found by bisection", .fate.describe())]
    NoBorder {
        /// The fate.
        fate: Fate<T>,
    },
    /// A start that is no state, where one is needed.
    #[error("the start is no state: {0}")]
    Start(#[from] OrderParametersError),
    /// The coefficients could not be computed.
    #[error(transparent)]
    Limit(#[from] LimitError<T>),
}

impl<T: Compiled> From<RatesError<T>> for RegionsError<T> {
    fn from(error: RatesError<T>) -> Self {
        match error {
            RatesError::Limit(source) => Self::Limit(source),
            RatesError::Infeasible(source) => Self::Start(source),
        }
    }
}
