//! What a search for fixed points has found.
//!
//! Covers [`FixedPoints`] and the starts that failed. Not here: the search (see `finder`).

use crate::Scalar;
use crate::stability::fixed_point::error::FixedPointError;
use crate::stability::fixed_point::newton::NewtonStop;
use crate::stability::fixed_point::point::FixedPoint;
use crate::stability::fixed_point::starts::Start;
use crate::stability::fixed_point::symmetry::Symmetries;
use crate::state::OrderParameters;

/// A start from which no new fixed point was reached.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(bound(serialize = "T: serde::Serialize", deserialize = "T: serde::Deserialize<'de>"))
)]
pub struct FailedStart<T: Scalar = f64> {
    /// The start.
    pub start: Start<T>,
    /// Where Newton's method ended.
    pub end: OrderParameters<T>,
    /// The largest rate before each step, and at the end.
    #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::numbers"))]
    pub residuals: Vec<T>,
    /// Why it stopped.
    pub stop: NewtonStop<T>,
}

/// What a search has found.
///
/// Prints as a table, a line for each fixed point.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(bound(serialize = "T: serde::Serialize", deserialize = "T: serde::Deserialize<'de>"))
)]
pub struct FixedPoints<T: Scalar = f64> {
    /// The fixed points, one for each orbit of the symmetries, in the order in which they were found.
    pub points: Vec<FixedPoint<T>>,
    /// The symmetries up to which duplicates were removed.
    pub symmetries: Symmetries,
    /// Starts that led to no fixed point, with the reason.
    pub failed: Vec<FailedStart<T>>,
    /// How many starts led to each point, beside the first.
    pub repeats: Vec<usize>,
    /// Fixed points reached that could not be analysed, with the reason.
    pub unresolved: Vec<(OrderParameters<T>, FixedPointError<T>)>,
}

impl<T: Scalar> FixedPoints<T> {
    /// Nothing found yet.
    pub(crate) fn none(symmetries: Symmetries) -> Self {
        Self { points: Vec::new(), symmetries, failed: Vec::new(), repeats: Vec::new(), unresolved: Vec::new() }
    }

    /// A point found for the first time.
    pub(crate) fn push(&mut self, point: FixedPoint<T>) {
        self.points.push(point);
        self.repeats.push(0);
    }

    /// The stable ones.
    pub fn stable(&self) -> impl Iterator<Item = &FixedPoint<T>> {
        self.points.iter().filter(|point| point.is_stable())
    }
}
