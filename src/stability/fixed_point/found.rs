//! What a search for fixed points has found.
//!
//! Covers [`FixedPoints`] and the starts that failed. Not here: the search (see `finder`).

use crate::Scalar;
use crate::data::{Cell, Table};
use crate::stability::fixed_point::error::FixedPointError;
use crate::stability::fixed_point::newton::NewtonStop;
use crate::stability::fixed_point::point::FixedPoint;
use crate::stability::fixed_point::starts::SearchStart;
use crate::stability::fixed_point::symmetry::Symmetries;
use crate::state::{OrderParameters, packed_names};

/// A start from which no new fixed point was reached.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(bound(serialize = "T: serde::Serialize", deserialize = "T: serde::Deserialize<'de>"))
)]
#[non_exhaustive]
pub struct FailedStart<T: Scalar = f64> {
    /// The start.
    pub start: SearchStart<T>,
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
#[non_exhaustive]
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

    /// A row for every point: what it is (`kind`, `stability`), the number of `unstable` eigenvalues and the largest real part `abscissa`, how
    /// many `images` it has, an estimate of its `error`, and its state, `Q_l_i` and `R_i_j`.
    #[must_use]
    pub fn to_table(&self) -> Table {
        let entries = self.points.first().map(|point| packed_names(point.state.n_features(), point.state.n_neurons()));
        let classes = ["kind", "stability", "unstable", "abscissa", "images", "error"].map(String::from);
        let mut table = Table::of(classes.into_iter().chain(entries.unwrap_or_default()));
        for point in &self.points {
            let class: [Cell; 6] = [
                point.kind.to_string().into(),
                point.stability.to_string().into(),
                point.unstable.into(),
                point.spectrum.abscissa().as_f64().into(),
                point.image_count.into(),
                point.error.as_f64().into(),
            ];
            let state = point.state.to_packed();
            table.add(class.into_iter().chain(state.iter().map(|x| Cell::from(x.as_f64()))));
        }
        table
    }

    /// The stable ones.
    pub fn stable(&self) -> impl Iterator<Item = &FixedPoint<T>> {
        self.points.iter().filter(|point| point.is_stable())
    }
}
