//! The fates of a two-parameter family of starts, with the areas of the regions.
//!
//! Far from borders a loose integration is enough; near them it is not. So every start is followed loosely first, and
//! those beside a different fate again at a tighter tolerance, until no fate changes any more.

use crate::Scalar;
use crate::limit::Compiled;
use crate::ode::OdeSystem;
use crate::parallel::records;
use crate::stability::regions::fate::Care;
use crate::stability::regions::{AttractionRegions, Border, Fate, RegionsError, Stray};
use crate::state::{OrderParameters, OrderParametersError};

/// The middles of columns x rows equal cells of a rectangle.
#[derive(Debug, Clone, Copy, PartialEq)]
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

impl<T: Compiled> Grid<T> {
    /// The parameters (a, b) of the start in that column and row.
    #[must_use]
    pub fn parameters(&self, column: usize, row: usize) -> (T, T) {
        let middle = |(low, high): (T, T), k: usize, n: usize| {
            low + (high - low) * ((T::of_usize(k) + T::lit(0.5)) / T::of_usize(n))
        };
        (middle(self.a, column, self.columns), middle(self.b, row, self.rows))
    }

    fn check(&self) -> Result<(), RegionsError<T>> {
        let increasing = |(low, high): (T, T)| low < high && low.is_finite() && high.is_finite();
        if self.columns == 0 || self.rows == 0 || !increasing(self.a) || !increasing(self.b) {
            return Err(RegionsError::Grid { columns: self.columns, rows: self.rows });
        }
        Ok(())
    }
}

/// The fates over a [`Grid`]; made by [`AttractionRegions::map`].
#[derive(Debug, Clone, PartialEq)]
pub struct RegionMap<T: Scalar = f64> {
    grid: Grid<T>,
    fates: Vec<Fate<T>>,
    refined: usize,
}

/// The part of the area of the starts that end at one point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AreaFraction<T = f64> {
    /// The point's number.
    pub point: usize,
    /// The fraction of the starts that are states of the model.
    pub fraction: T,
    /// How far the area may be from that: half a cell for every pair of neighbours of which one ends at this point and the
    /// other does not. It holds for regions no finer than the cells.
    pub error: T,
}

impl<T: Compiled> RegionMap<T> {
    /// The grid.
    #[must_use]
    pub fn grid(&self) -> Grid<T> {
        self.grid
    }

    /// The fate of the start in that column and row.
    #[must_use]
    pub fn fate(&self, column: usize, row: usize) -> Option<&Fate<T>> {
        if column >= self.grid.columns { None } else { self.fates.get(row * self.grid.columns + column) }
    }

    /// The fates, row by row.
    #[must_use]
    pub fn fates(&self) -> &[Fate<T>] {
        &self.fates
    }

    /// How many starts were followed a second time, at the tighter tolerance.
    #[must_use]
    pub fn refined(&self) -> usize {
        self.refined
    }

    /// The part of the area that ends at `point`, its images together.
    #[must_use]
    pub fn fraction(&self, point: usize) -> AreaFraction<T> {
        self.fraction_where(point, |fate| fate.point() == Some(point))
    }

    /// The part of the area that ends at that image of `point`.
    #[must_use]
    pub fn fraction_of_image(&self, point: usize, image: usize) -> AreaFraction<T> {
        self.fraction_where(point, |fate| fate.label() == Some((point, image)))
    }

    fn fraction_where(&self, point: usize, ends: impl Fn(&Fate<T>) -> bool) -> AreaFraction<T> {
        let is_state = |fate: &&Fate<T>| !matches!(fate, Fate::NotReached(Stray::NoState(_)));
        let states = T::of_usize(self.fates.iter().filter(is_state).count().max(1));
        let count = self.fates.iter().filter(|fate| ends(fate)).count();
        let borders = self.pairs().filter(|&(i, j)| ends(&self.fates[i]) != ends(&self.fates[j])).count();
        AreaFraction {
            point,
            fraction: T::of_usize(count) / states,
            error: T::lit(0.5) * T::of_usize(borders) / states,
        }
    }

    /// Pairs of neighbours in a row or a column.
    fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
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

impl<T: Compiled> AttractionRegions<'_, T> {
    /// The fate of every start of a two-parameter family on a grid; starts that are no states are marked as such.
    ///
    /// Every start is followed at the survey tolerance, by coefficients good to a tenth of that, over one quadrature rule
    /// frozen for the whole map (chosen anew where a state leaves its range). A start with a neighbour, in one of the eight
    /// cells around it, of another fate, or that reached no point, is followed again a hundred times more carefully (but
    /// not more than [`tolerance`](Self::tolerance) asks); where that changes its fate, its neighbours too.
    ///
    /// With the feature `parallel` rows go over the threads of the current rayon pool; the answer is the same without.
    ///
    /// # Errors
    /// [`RegionsError::Grid`] for an empty grid; [`RegionsError::Limit`] if no rule serves at the stable points.
    pub fn map<F>(&self, grid: Grid<T>, start: F) -> Result<RegionMap<T>, RegionsError<T>>
    where
        F: Fn(T, T) -> Result<OrderParameters<T>, OrderParametersError> + Sync,
    {
        grid.check()?;
        let loose = self.care(self.survey_tolerance)?;
        let tight = self.care((self.survey_tolerance * T::lit(0.01)).max(self.tolerance).min(self.survey_tolerance))?;
        let all: Vec<usize> = (0..grid.columns * grid.rows).collect();
        let mut map = RegionMap { grid, fates: Vec::new(), refined: 0 };
        map.fates = self.follow_all(&grid, &start, &loose, &all)?;
        let mut followed = vec![false; all.len()];
        let mut suspects: Vec<usize> = all;
        loop {
            suspects.retain(|&k| {
                let fate = &map.fates[k];
                let doubtful = match fate {
                    Fate::NotReached(Stray::NoState(_)) => false,
                    Fate::NotReached(_) => true,
                    Fate::Reached { .. } => map.around(k).any(|other| {
                        let other = &map.fates[other];
                        other.label() != fate.label() && !matches!(other, Fate::NotReached(Stray::NoState(_)))
                    }),
                };
                doubtful && !followed[k]
            });
            if suspects.is_empty() {
                return Ok(map);
            }
            let fates = self.follow_all(&grid, &start, &tight, &suspects)?;
            map.refined += suspects.len();
            let mut next = Vec::new();
            for (&k, fate) in suspects.iter().zip(fates) {
                followed[k] = true;
                if fate.label() != map.fates[k].label() {
                    next.extend(map.around(k));
                }
                map.fates[k] = fate;
            }
            next.sort_unstable();
            next.dedup();
            suspects = next;
        }
    }

    /// The border of the regions of a map, as points: wherever two neighbours in a row or a column have different fates,
    /// the parameters (a, b) between them at which the fate changes, to within `tolerance` cells, and the change itself in
    /// cells from the first of the two. Where a neighbour is no state there is no border.
    ///
    /// # Errors
    /// [`RegionsError::Line`] unless the tolerance is positive.
    pub fn borders<F>(
        &self,
        map: &RegionMap<T>,
        start: F,
        tolerance: T,
    ) -> Result<Vec<((T, T), Border<T>)>, RegionsError<T>>
    where
        F: Fn(T, T) -> Result<OrderParameters<T>, OrderParametersError> + Sync,
    {
        if !(tolerance > T::zero()) {
            return Err(RegionsError::Line { low: 0.0, high: 1.0, tolerance: tolerance.as_f64() });
        }
        let is_state = |k: usize| !matches!(map.fates[k], Fate::NotReached(Stray::NoState(_)));
        let differ = |&(i, j): &(usize, usize)| map.fates[i].label() != map.fates[j].label();
        let pairs: Vec<_> = map.pairs().filter(differ).filter(|&(i, j)| is_state(i) && is_state(j)).collect();
        let columns = map.grid.columns;
        let find = |n: u64| {
            let (i, j) = pairs[usize::try_from(n).unwrap_or(usize::MAX)];
            let (from, to) =
                (map.grid.parameters(i % columns, i / columns), map.grid.parameters(j % columns, j / columns));
            let at = |s: T| (from.0 + (to.0 - from.0) * s, from.1 + (to.1 - from.1) * s);
            let line = |s: T| {
                let (a, b) = at(s);
                start(a, b)
            };
            let ends = (map.fates[i].clone(), map.fates[j].clone());
            let border = self.bisect(&line, (T::zero(), T::one()), ends, tolerance)?;
            Ok((at(border.at), border))
        };
        records(0..pairs.len() as u64, &find).into_iter().collect()
    }

    /// The fates of those starts, in order.
    fn follow_all<F>(
        &self,
        grid: &Grid<T>,
        start: &F,
        care: &Care<'_, T>,
        starts: &[usize],
    ) -> Result<Vec<Fate<T>>, RegionsError<T>>
    where
        F: Fn(T, T) -> Result<OrderParameters<T>, OrderParametersError> + Sync,
    {
        let state = |k: usize| {
            let (a, b) = grid.parameters(k % grid.columns, k / grid.columns);
            start(a, b)
        };
        let corners = [0, grid.columns - 1, grid.columns * (grid.rows - 1), grid.columns * grid.rows - 1];
        let corners: Vec<_> = corners.into_iter().filter_map(|k| state(k).ok()).collect();
        self.follow_each(&corners, care, starts.len(), |n| state(starts[n]))
    }

    /// The fates of many starts by one frozen rule, which serves at the states of `typical`.
    pub(super) fn follow_each<F>(
        &self,
        typical: &[OrderParameters<T>],
        care: &Care<'_, T>,
        count: usize,
        start: F,
    ) -> Result<Vec<Fate<T>>, RegionsError<T>>
    where
        F: Fn(usize) -> Result<OrderParameters<T>, OrderParametersError> + Sync,
    {
        let master = self.common_system(typical, care)?;
        let chunk = |n: u64| {
            let first = usize::try_from(n).unwrap_or(usize::MAX) * CHUNK;
            let mut system = master.clone();
            let fates: Vec<Fate<T>> = (first..(first + CHUNK).min(count))
                .map(|k| match start(k) {
                    Ok(start) => {
                        // A rule chosen anew on the way would make a fate depend on the starts before.
                        if system.refinements() != master.refinements() {
                            system.clone_from(&master);
                        }
                        self.follow(&start, care, &mut system)
                    }
                    Err(error) => Fate::NotReached(Stray::NoState(error)),
                })
                .collect();
            fates
        };
        Ok(records(0..count.div_ceil(CHUNK) as u64, &chunk).into_iter().flatten().collect())
    }

    /// The fates of starts 0 to `count` at a tolerance, by one rule frozen for the first of them.
    pub(in crate::stability) fn fates<F>(
        &self,
        tolerance: T,
        count: usize,
        start: F,
    ) -> Result<Vec<Fate<T>>, RegionsError<T>>
    where
        F: Fn(usize) -> Result<OrderParameters<T>, OrderParametersError> + Sync,
    {
        let typical: Vec<_> = (0..count.min(8)).filter_map(|k| start(k).ok()).collect();
        self.follow_each(&typical, &self.care(tolerance)?, count, start)
    }

    /// A system whose rule resolves the most of the states given, of the stable points, and of both without overlaps.
    fn common_system<'c>(
        &self,
        typical: &[OrderParameters<T>],
        care: &'c Care<'_, T>,
    ) -> Result<OdeSystem<'c, 'c, T>, RegionsError<T>> {
        let (p, m) = (self.ode.limit().n_features(), self.ode.limit().n_neurons());
        let given = typical.iter().filter(|state| (state.n_features(), state.n_neurons()) == (p, m));
        let mut states: Vec<OrderParameters<T>> = given.cloned().collect();
        states.extend((0..self.points()).map(|point| self.images(point)[0].center().clone()));
        // Without overlaps the fields have the widest spread.
        let bare = |state: &OrderParameters<T>| OrderParameters::from_parts(state.q() * T::zero(), state.r().clone());
        states.extend(states.iter().map(bare).collect::<Vec<_>>());
        let mut best: Option<(usize, OdeSystem<'c, 'c, T>)> = None;
        for state in &states {
            let mut system = care.ode.system(state)?;
            let resolved = states.iter().filter(|other| system.resolves(other.to_packed().as_slice())).count();
            if best.as_ref().is_none_or(|(most, _)| resolved > *most) {
                best = Some((resolved, system));
            }
            if resolved == states.len() {
                break;
            }
        }
        best.map(|(_, system)| system).ok_or(RegionsError::NoPoints)
    }
}

/// Starts that share a copy of the frozen rule.
const CHUNK: usize = 64;
