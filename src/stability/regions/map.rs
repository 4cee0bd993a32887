//! The outcomes of a two-parameter family of starts, with the areas of the regions, as data.
//!
//! Covers the grid and the map. Not here: how a map is made (see `mapping`), borders (see `border`), and how a map prints
//! (see `picture`).

use crate::Scalar;
use crate::data::{Cell, Table};
use crate::stability::regions::error::RegionsError;
use crate::stability::regions::outcome::Outcome;

/// The most cells of a map, 16 384 x 16 384: their outcomes take tens of gigabytes.
const MOST_CELLS: usize = 1 << 28;

/// The middles of columns x rows equal cells of a rectangle.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Grid<T = f64> {
    /// The range of the first parameter, along which columns are counted.
    pub a: (T, T),
    /// The range of the second, along which rows are counted.
    pub b: (T, T),
    /// The number of columns.
    pub columns: usize,
    /// The number of rows.
    pub rows: usize,
}

impl<T: Scalar> Grid<T> {
    /// The parameters (a, b) of the start in that column and row.
    #[must_use]
    pub fn parameters(&self, column: usize, row: usize) -> (T, T) {
        let middle = |(low, high): (T, T), k: usize, n: usize| {
            low + (high - low) * ((T::of_usize(k) + T::lit(0.5)) / T::of_usize(n))
        };
        (middle(self.a, column, self.columns), middle(self.b, row, self.rows))
    }

    pub(in crate::stability) fn check(&self) -> Result<(), RegionsError<T>> {
        let increasing = |(low, high): (T, T)| low < high && low.is_finite() && high.is_finite();
        let Self { columns, rows, .. } = *self;
        if columns == 0 || rows == 0 || !increasing(self.a) || !increasing(self.b) {
            return Err(RegionsError::Grid { columns, rows });
        }
        match columns.checked_mul(rows) {
            Some(cells) if cells <= MOST_CELLS => Ok(()),
            _ => Err(RegionsError::GridSize { columns, rows, most: MOST_CELLS }),
        }
    }
}

/// The outcomes over a [`Grid`]; made by [`AttractionRegions::map`](super::AttractionRegions::map).
///
/// Prints as a coarse picture, the first parameter to the right and the second upwards, with a legend.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "crate::stability::stored::StoredMap<T>"))]
#[cfg_attr(
    feature = "serde",
    serde(bound(serialize = "T: serde::Serialize", deserialize = "T: serde::Deserialize<'de>"))
)]
pub struct RegionMap<T: Scalar = f64> {
    pub(in crate::stability) grid: Grid<T>,
    pub(in crate::stability) outcomes: Vec<Outcome<T>>,
    pub(in crate::stability) refined: usize,
    /// Whether no start near a border was left as it was on the first pass.
    pub(in crate::stability) complete: bool,
}

/// The part of the area of the starts that end at one point.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct AreaFraction<T = f64> {
    /// The point's number.
    pub point: usize,
    /// The fraction of the starts that are states of the model.
    pub fraction: T,
    /// How far the area may be from that: half a cell for every pair of neighbours of which one ends at this point and
    /// the other does not. It holds for regions no finer than the cells.
    pub error: T,
}

impl<T: Scalar> RegionMap<T> {
    /// The grid.
    #[must_use]
    pub fn grid(&self) -> Grid<T> {
        self.grid
    }

    /// The outcome of the start in that column and row.
    #[must_use]
    pub fn outcome(&self, column: usize, row: usize) -> Option<&Outcome<T>> {
        let Grid { columns, rows, .. } = self.grid;
        if column < columns && row < rows { self.outcomes.get(row * columns + column) } else { None }
    }

    /// The outcomes, row by row.
    #[must_use]
    pub fn outcomes(&self) -> &[Outcome<T>] {
        &self.outcomes
    }

    /// How many starts were followed a second time, at the tighter tolerance.
    #[must_use]
    pub fn refined(&self) -> usize {
        self.refined
    }

    /// Whether the map was finished. One that was stopped has starts that were not followed
    /// ([`NotReached::NotFollowed`](crate::stability::NotReached::NotFollowed)), or outcomes near borders that are only as good as the
    /// survey tolerance.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// The part of the area that ends at `point`, its images together, among the starts followed.
    #[must_use]
    pub fn fraction(&self, point: usize) -> AreaFraction<T> {
        self.fraction_where(point, |outcome| outcome.point() == Some(point))
    }

    /// The part of the area that ends at that image of `point`.
    #[must_use]
    pub fn fraction_of_image(&self, point: usize, image: usize) -> AreaFraction<T> {
        self.fraction_where(point, |outcome| outcome.label() == Some((point, image)))
    }

    /// A row for every start, row by row of the grid: its parameters `a` and `b`, the numbers of the `point` and the `image` that it reached,
    /// the `time` when it entered the point's neighbourhood, and else the `reason` why it reached none.
    #[must_use]
    pub fn to_table(&self) -> Table {
        let mut table = Table::of(["a", "b", "point", "image", "time", "reason"]);
        for (k, outcome) in self.outcomes.iter().enumerate() {
            let (a, b) = self.grid.parameters(k % self.grid.columns, k / self.grid.columns);
            let end: [Cell; 4] = match outcome {
                Outcome::Reached { point, image, time } => {
                    [(*point).into(), (*image).into(), time.as_f64().into(), Cell::Empty]
                }
                Outcome::NotReached(reason) => [Cell::Empty, Cell::Empty, Cell::Empty, reason.to_string().into()],
            };
            table.add([a.as_f64(), b.as_f64()].map(Cell::from).into_iter().chain(end));
        }
        table
    }

    fn fraction_where(&self, point: usize, ends: impl Fn(&Outcome<T>) -> bool) -> AreaFraction<T> {
        let states = self.outcomes.iter().filter(|outcome| outcome.is_of_a_state()).count();
        let states = T::of_usize(states.max(1));
        let count = self.outcomes.iter().filter(|outcome| ends(outcome)).count();
        let borders = self.pairs().filter(|&(i, j)| ends(&self.outcomes[i]) != ends(&self.outcomes[j])).count();
        AreaFraction {
            point,
            fraction: T::of_usize(count) / states,
            error: T::lit(0.5) * T::of_usize(borders) / states,
        }
    }

    /// Pairs of neighbours in a row or a column.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        let Grid { columns, rows, .. } = self.grid;
        (0..columns * rows).flat_map(move |k| {
            let right = (k % columns + 1 < columns).then_some((k, k + 1));
            let above = (k / columns + 1 < rows).then_some((k, k + columns));
            right.into_iter().chain(above)
        })
    }

    /// The starts in the eight cells around a cell.
    pub(super) fn around(&self, k: usize) -> impl Iterator<Item = usize> {
        let Grid { columns, rows, .. } = self.grid;
        let range = |at: usize, n: usize| at.saturating_sub(1)..(at + 2).min(n);
        let (column, row) = (k % columns, k / columns);
        range(row, rows)
            .flat_map(move |r| range(column, columns).map(move |c| r * columns + c))
            .filter(move |&at| at != k)
    }
}
