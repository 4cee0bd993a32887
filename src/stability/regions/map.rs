//! The outcomes of a two-parameter family of starts, with the areas of the regions.
//!
//! Covers the grid, the map, and how starts near borders are followed again. Not here: borders themselves (see
//! `border`), and how a map prints (see `picture`).
//!
//! Far from borders a loose integration is enough; near them it is not. So every start is followed loosely first, and
//! those beside a different outcome again at a tighter tolerance, until no outcome changes any more.

use std::ops::ControlFlow;

use crate::Scalar;
use crate::limit::Compiled;
use crate::parallel::Executor;
use crate::stability::progress::Progress;
use crate::stability::regions::attraction::{Accuracy, AttractionRegions};
use crate::stability::regions::error::RegionsError;
use crate::stability::regions::many::StartOf;
use crate::stability::regions::outcome::{NotReached, Outcome};
use crate::state::{OrderParameters, OrderParametersError};

/// The most cells of a map, 16 384 x 16 384: their outcomes take tens of gigabytes.
const MOST_CELLS: usize = 1 << 28;
/// Starts near borders are followed at that part of the survey tolerance.
const TIGHTER: f64 = 0.01;

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

/// The outcomes over a [`Grid`]; made by [`AttractionRegions::map`].
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
    fn around(&self, k: usize) -> impl Iterator<Item = usize> {
        let Grid { columns, rows, .. } = self.grid;
        let range = |at: usize, n: usize| at.saturating_sub(1)..(at + 2).min(n);
        let (column, row) = (k % columns, k / columns);
        range(row, rows)
            .flat_map(move |r| range(column, columns).map(move |c| r * columns + c))
            .filter(move |&at| at != k)
    }
}

impl<T: Compiled, X: Executor> AttractionRegions<'_, T, X> {
    /// The outcome of every start of a two-parameter family on a grid; starts that are no states are marked as such.
    ///
    /// Every start is followed at the survey tolerance, by coefficients good to a tenth of that, over one quadrature
    /// rule frozen for the whole map (chosen anew where a state leaves its range). A start with a neighbour, in one of
    /// the eight cells around it, of another outcome, or that reached no point, is followed again a hundred times more
    /// carefully (but not more than [`tolerance`](Self::tolerance) asks); where that changes its outcome, its
    /// neighbours too.
    ///
    /// The answer does not depend on the [`executor`](Self::executor).
    ///
    /// # Errors
    /// [`RegionsError::Grid`] for an empty grid; [`RegionsError::GridSize`] for one of more than 2²⁸ cells;
    /// [`RegionsError::Limit`] if no rule serves at the stable points.
    pub fn map<F>(&self, grid: Grid<T>, start: F) -> Result<RegionMap<T>, RegionsError<T>>
    where
        F: Fn(T, T) -> Result<OrderParameters<T>, OrderParametersError> + Sync,
    {
        self.map_with(grid, start, |_, _| ControlFlow::Continue(()))
    }

    /// As [`map`](Self::map), and tells `observe` time and again how many starts have been followed, and how many there are: more with
    /// every pass, as far as is known. `Break` ends it with what is known by then, a map that is not complete.
    ///
    /// # Errors
    /// As [`map`](Self::map).
    pub fn map_with<F>(
        &self,
        grid: Grid<T>,
        start: F,
        mut observe: impl FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<RegionMap<T>, RegionsError<T>>
    where
        F: Fn(T, T) -> Result<OrderParameters<T>, OrderParametersError> + Sync,
    {
        self.map_of(grid, &|(a, b)| start(a, b), &mut observe)
    }

    fn map_of(
        &self,
        grid: Grid<T>,
        start: &StartOf<'_, (T, T), T>,
        observe: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<RegionMap<T>, RegionsError<T>> {
        grid.check()?;
        let loose = self.accuracy(self.survey_tolerance)?;
        let tighter = self.survey_tolerance * T::lit(TIGHTER);
        let tight = self.accuracy(tighter.max(self.tolerance).min(self.survey_tolerance))?;
        let all: Vec<usize> = (0..grid.columns * grid.rows).collect();
        let mut map = RegionMap { grid, outcomes: Vec::new(), refined: 0, complete: false };
        let mut progress = Progress::new(all.len(), observe);
        map.outcomes = self.follow_all(&grid, start, &loose, &all, &mut progress)?;
        if progress.is_stopped() {
            map.outcomes.resize(all.len(), Outcome::NotReached(NotReached::NotFollowed));
            return Ok(map);
        }
        let mut followed = vec![false; all.len()];
        let mut suspects: Vec<usize> = all;
        loop {
            suspects.retain(|&k| {
                let outcome = &map.outcomes[k];
                let doubtful = match outcome {
                    Outcome::NotReached(_) => outcome.is_of_a_state(),
                    Outcome::Reached { .. } => map.around(k).any(|other| {
                        let other = &map.outcomes[other];
                        other.label() != outcome.label() && other.is_of_a_state()
                    }),
                };
                doubtful && !followed[k]
            });
            if suspects.is_empty() {
                map.complete = true;
                return Ok(map);
            }
            progress.extend(suspects.len());
            let outcomes = self.follow_all(&grid, start, &tight, &suspects, &mut progress)?;
            map.refined += outcomes.len();
            let mut next = Vec::new();
            for (&k, outcome) in suspects.iter().zip(outcomes) {
                followed[k] = true;
                if outcome.label() != map.outcomes[k].label() {
                    next.extend(map.around(k));
                }
                map.outcomes[k] = outcome;
            }
            if progress.is_stopped() {
                return Ok(map);
            }
            next.sort_unstable();
            next.dedup();
            suspects = next;
        }
    }

    /// The outcomes of those starts, in order.
    fn follow_all(
        &self,
        grid: &Grid<T>,
        start: &StartOf<'_, (T, T), T>,
        accuracy: &Accuracy<'_, T>,
        starts: &[usize],
        progress: &mut Progress<'_>,
    ) -> Result<Vec<Outcome<T>>, RegionsError<T>> {
        let state = |k: usize| start(grid.parameters(k % grid.columns, k / grid.columns));
        let corners = [0, grid.columns - 1, grid.columns * (grid.rows - 1), grid.columns * grid.rows - 1];
        let corners: Vec<_> = corners.into_iter().filter_map(|k| state(k).ok()).collect();
        self.follow_each(&corners, accuracy, starts.len(), &|n| state(starts[n]), progress)
    }
}
