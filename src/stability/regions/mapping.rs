//! How a map is made: in passes, which can be saved on the way.
//!
//! Covers which starts are followed how carefully, and what is kept of that. Not here: one start (see `follow`), many of them
//! (see `many`), and the map as data (see `map`).
//!
//! Far from borders a loose integration is enough; near them it is not. So every start is followed loosely first, and
//! those beside a different outcome again at a tighter tolerance, until no outcome changes any more.

use std::fmt;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::Scalar;
use crate::limit::Compiled;
use crate::parallel::Executor;
use crate::save::{Fingerprint, SaveError, Store};
use crate::stability::progress::Progress;
use crate::stability::regions::attraction::{Accuracy, AttractionRegions};
use crate::stability::regions::error::RegionsError;
use crate::stability::regions::executor::RegionExecutor;
use crate::stability::regions::kept::MapProgress;
use crate::stability::regions::many::StartOf;
use crate::stability::regions::map::{Grid, RegionMap};
use crate::stability::regions::outcome::{NotReached, Outcome};
use crate::state::{OrderParameters, OrderParametersError};

/// Starts near borders are followed at that part of the survey tolerance.
const TIGHTER: f64 = 0.01;

/// Starts of a map by which it is known again.
const KNOWN_BY: usize = 64;

/// Where and how often a map is saved.
struct Saves<'s, T: Scalar> {
    store: &'s dyn Store<MapProgress<T>>,
    every: usize,
    work: Fingerprint,
    /// Starts since the last save.
    since: usize,
    error: Option<SaveError>,
}

impl<T: Scalar> Saves<'_, T> {
    fn keep(&mut self, progress: &MapProgress<T>) -> ControlFlow<()> {
        self.since = 0;
        match self.store.store(self.work, progress) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.error = Some(error);
                ControlFlow::Break(())
            }
        }
    }
}

/// Attraction regions whose maps are kept on the way, and go on from what is kept; made by [`AttractionRegions::saved_in`].
pub struct SavedRegions<'r, 'a, S, T: Scalar, X> {
    regions: &'r AttractionRegions<'a, T, X>,
    store: S,
    every: usize,
}

impl<S, T: Scalar, X> fmt::Debug for SavedRegions<'_, '_, S, T, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SavedRegions").field("every", &self.every).finish_non_exhaustive()
    }
}

impl<T: Compiled, X: RegionExecutor<T>, S: Store<MapProgress<T>>> SavedRegions<'_, '_, S, T, X> {
    /// As [`AttractionRegions::map`].
    ///
    /// # Errors
    /// As there, and [`RegionsError::Save`].
    pub fn map<F>(&self, grid: Grid<T>, start: F) -> Result<RegionMap<T>, RegionsError<T>>
    where
        F: Fn(T, T) -> Result<OrderParameters<T>, OrderParametersError> + Sync,
    {
        self.map_with(grid, start, |_, _| ControlFlow::Continue(()))
    }

    /// As [`AttractionRegions::map_with`]. Of a map that goes on what is kept counts as done.
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
        self.regions.map_of(grid, &|(a, b)| start(a, b), &mut observe, Some((&self.store, self.every)))
    }
}

impl<'a, T: Compiled, X: RegionExecutor<T>> AttractionRegions<'a, T, X> {
    /// Keeps a map in `store` after every so many starts, at least 1 (about: it is done between groups of those that are followed together), and
    /// goes on from one that is kept there: to the same map, to the last bit, as without an interruption. One store is for one
    /// map; it is taken for this one if stable points, tolerances, grid and starts are the same.
    ///
    /// ```
    /// # #[cfg(feature = "serde")]
    /// # {
    /// use std::ops::ControlFlow;
    /// use contrastive_dynamics::prelude::*;
    /// use contrastive_dynamics::save::File;
    /// use contrastive_dynamics::stability::{AttractionRegions, Grid};
    /// let hidden = Independent::new(vec![Law::two_point(2.25)?; 2])?;
    /// let noise = GaussianNoise::correlated(0.3, -0.5)?;
    /// let model = Model::builder().nonlinearity(Tanh).hidden(hidden).noise(noise).learning_rate(0.3);
    /// let model = model.weight_decay(0.5).build()?;
    /// let state = |a: f64, b: f64| OrderParameters::from_rows(2, 1, &[a, b], &[1.0]);
    /// let ode = ReducedOde::new(&model)?;
    /// let regions = AttractionRegions::new(&ode, &[state(0.98, 0.0)?, state(0.0, 0.98)?])?;
    /// let grid = Grid { a: (0.0, 0.6), b: (0.0, 0.6), columns: 12, rows: 12 };
    /// let path = std::env::temp_dir().join("contrastive-dynamics-map");
    /// let saved = regions.saved_in(File::new(&path), 10);
    /// // Broken off, it ...
    /// let part = saved.map_with(grid, state, |done, _| if done < 60 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })?;
    /// assert!(!part.is_complete());
    /// // ... goes on.
    /// assert_eq!(saved.map(grid, state)?, regions.map(grid, state)?);
    /// # std::fs::remove_file(&path)?;
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn saved_in<S: Store<MapProgress<T>>>(&self, store: S, every: usize) -> SavedRegions<'_, 'a, S, T, X> {
        SavedRegions { regions: self, store, every }
    }
}

impl<T: Compiled, X: RegionExecutor<T>> AttractionRegions<'_, T, X> {
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
    /// [`RegionsError::Limit`] if no rule serves at the stable points; [`RegionsError::OtherProcesses`].
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
        self.map_of(grid, &|(a, b)| start(a, b), &mut observe, None)
    }

    fn map_of(
        &self,
        grid: Grid<T>,
        start: &StartOf<'_, (T, T), T>,
        observe: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
        store: Option<(&dyn Store<MapProgress<T>>, usize)>,
    ) -> Result<RegionMap<T>, RegionsError<T>> {
        grid.check()?;
        let known = || self.fingerprint(&grid, start).value();
        if !<X as Executor<Option<SaveError>>>::agree(&self.executor, known) {
            return Err(RegionsError::OtherProcesses);
        }
        let mut pass = Pass {
            regions: self,
            grid,
            start,
            observe: Progress::new(grid.columns * grid.rows, observe),
            kept: MapProgress::begin(grid.columns * grid.rows),
            saves: None,
        };
        if let Some((store, every)) = store {
            pass.resume(store, every).map_err(|source| RegionsError::Save { source, outcomes: Vec::new() })?;
        }
        let map = pass.run()?;
        match self.executor.once(|| pass.saves.and_then(|saves| saves.error)) {
            None => Ok(map),
            Some(source) => Err(RegionsError::Save { source, outcomes: map.outcomes }),
        }
    }

    /// By what the map over a grid of starts is known again.
    fn fingerprint(&self, grid: &Grid<T>, start: &StartOf<'_, (T, T), T>) -> Fingerprint {
        let mut work = self.known(Fingerprint::of("a map of attraction regions").text(&format!("{grid:?}")));
        let count = grid.columns * grid.rows;
        for k in (0..count).step_by(count.div_ceil(KNOWN_BY)) {
            let packed = start(grid.parameters(k % grid.columns, k / grid.columns)).map(|state| state.to_packed());
            work = work.numbers(packed.iter().flat_map(|packed| packed.iter().copied()));
        }
        work
    }

    /// What is known of the work before its starts: the model, the stable points, and how starts are followed.
    pub(crate) fn known(&self, work: Fingerprint) -> Fingerprint {
        let settings = [self.tolerance, self.survey_tolerance, self.time_limit];
        let images = (0..self.points()).flat_map(|point| self.images(point));
        let work = self.ode.limit().fingerprint(work).numbers(settings);
        images.fold(work, |work, image| work.numbers(image.packed().iter().copied()))
    }
}

/// The passes over the starts of a map.
struct Pass<'p, 'a, T: Scalar, X> {
    regions: &'p AttractionRegions<'a, T, X>,
    grid: Grid<T>,
    start: &'p StartOf<'p, (T, T), T>,
    observe: Progress<'p>,
    kept: MapProgress<T>,
    saves: Option<Saves<'p, T>>,
}

impl<'p, T: Compiled, X: RegionExecutor<T>> Pass<'p, '_, T, X> {
    /// Takes over what is kept, if something is, and keeps more there.
    fn load(
        &mut self,
        store: &'p dyn Store<MapProgress<T>>,
        every: usize,
    ) -> Result<Option<MapProgress<T>>, SaveError> {
        if every == 0 {
            return Err(SaveError::Never);
        }
        let work = self.regions.fingerprint(&self.grid, self.start);
        self.saves = Some(Saves { store, every, work, since: 0, error: None });
        let Some(kept) = store.load(work)? else { return Ok(None) };
        if !kept.fits(self.grid.columns * self.grid.rows) {
            return Err(SaveError::content("its outcomes are not of this grid"));
        }
        Ok(Some(kept))
    }

    /// Goes on from what is kept, if something is. Of many processes one has the store.
    fn resume(&mut self, store: &'p dyn Store<MapProgress<T>>, every: usize) -> Result<(), SaveError> {
        let executor = &self.regions.executor;
        let Some(kept) = executor.once(|| self.load(store, every))? else { return Ok(()) };
        self.observe.extend(kept.refined + kept.suspects.len());
        self.observe.done(kept.outcomes.len() + kept.refined + kept.second.len());
        self.kept = kept;
        Ok(())
    }

    fn run(&mut self) -> Result<RegionMap<T>, RegionsError<T>> {
        let all: Vec<usize> = (0..self.grid.columns * self.grid.rows).collect();
        let survey = self.regions.survey_tolerance;
        let loose = self.regions.accuracy(survey)?;
        let tight = self.regions.accuracy((survey * T::lit(TIGHTER)).max(self.regions.tolerance).min(survey))?;
        let refined = self.kept.refined;
        let mut map = RegionMap { grid: self.grid, outcomes: Vec::new(), refined, complete: false };
        if self.kept.outcomes.len() < all.len() {
            let done = self.kept.outcomes.len();
            self.follow(&loose, &all[done..], |kept| &mut kept.outcomes)?;
            if self.observe.is_stopped() {
                map.outcomes = std::mem::take(&mut self.kept.outcomes);
                map.outcomes.resize(all.len(), Outcome::NotReached(NotReached::NotFollowed));
                return Ok(map);
            }
        }
        // Unless a pass was kept on its way.
        let mut suspects = all;
        map.outcomes = std::mem::take(&mut self.kept.outcomes);
        loop {
            if self.kept.suspects.is_empty() {
                let followed = &self.kept.followed;
                suspects.retain(|&k| !followed[k] && is_doubtful(&map, k));
                if suspects.is_empty() {
                    map.complete = true;
                    self.end(&map);
                    return Ok(map);
                }
                self.observe.extend(suspects.len());
                self.kept.suspects = std::mem::take(&mut suspects);
            }
            self.kept.outcomes = std::mem::take(&mut map.outcomes);
            let (done, wanted) = (self.kept.second.len(), self.kept.suspects.clone());
            let followed = self.follow(&tight, &wanted[done..], |kept| &mut kept.second);
            map.outcomes = std::mem::take(&mut self.kept.outcomes);
            followed?;
            let (stopped, second) = (self.observe.is_stopped(), std::mem::take(&mut self.kept.second));
            self.kept.refined += second.len();
            map.refined = self.kept.refined;
            let mut next = Vec::new();
            for (&k, outcome) in wanted.iter().zip(second) {
                self.kept.followed[k] = true;
                if outcome.label() != map.outcomes[k].label() {
                    next.extend(map.around(k));
                }
                map.outcomes[k] = outcome;
            }
            if stopped {
                return Ok(map);
            }
            next.sort_unstable();
            next.dedup();
            self.kept.suspects.clear();
            suspects = next;
        }
    }

    /// Keeps a map that is done, so that it is there at once when it is asked for again.
    fn end(&mut self, map: &RegionMap<T>) {
        if let Some(saves) = &mut self.saves {
            self.kept.outcomes.clone_from(&map.outcomes);
            // An error is kept beside.
            let _ = saves.keep(&self.kept);
        }
    }

    /// Follows those starts, and adds their outcomes to a list of what is kept.
    fn follow(
        &mut self,
        accuracy: &Accuracy<'_, T>,
        starts: &[usize],
        list: fn(&mut MapProgress<T>) -> &mut Vec<Outcome<T>>,
    ) -> Result<(), RegionsError<T>> {
        let (Grid { columns, rows, .. }, grid, start) = (self.grid, self.grid, self.start);
        let state = |k: usize| start(grid.parameters(k % columns, k / columns));
        let corners = [0, columns - 1, columns * (rows - 1), columns * rows - 1];
        let corners: Vec<_> = corners.into_iter().filter_map(|k| state(k).ok()).collect();
        let Self { kept, saves, observe, .. } = self;
        let before = list(kept).len();
        let state = |n: usize| state(starts[n]);
        let mut watch = |outcomes: &[Outcome<T>], more: usize| {
            list(kept).extend_from_slice(&outcomes[outcomes.len() - more..]);
            let flow = observe.advance(more);
            let Some(saves) = saves else { return flow };
            saves.since += more;
            if flow.is_break() || saves.since >= saves.every {
                let kept = saves.keep(kept);
                if kept.is_break() {
                    observe.stop();
                    return kept;
                }
            }
            flow
        };
        let regions = self.regions;
        let follow = || regions.follow_each(&corners, accuracy, starts.len(), &state, &mut watch);
        let followed = catch_unwind(AssertUnwindSafe(follow)).unwrap_or_else(|panic| {
            // What follows starts has broken down: what is known by then is not lost.
            if let Some(saves) = saves {
                let _ = saves.keep(kept);
            }
            resume_unwind(panic)
        });
        let (outcomes, stopped) = followed?;
        // They are there already where they were combined.
        list(kept).truncate(before);
        list(kept).extend(outcomes);
        if stopped {
            observe.stop();
        }
        Ok(())
    }
}

/// Whether an outcome may change: that of a start which reached no point, or has a neighbour of another outcome.
fn is_doubtful<T: Scalar>(map: &RegionMap<T>, k: usize) -> bool {
    let outcome = &map.outcomes[k];
    match outcome {
        Outcome::NotReached(_) => outcome.is_of_a_state(),
        Outcome::Reached { .. } => map.around(k).any(|other| {
            let other = &map.outcomes[other];
            other.label() != outcome.label() && other.is_of_a_state()
        }),
    }
}
