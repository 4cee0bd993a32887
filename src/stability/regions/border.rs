//! The border between two regions, by bisection.
//!
//! Covers borders along a line of starts, and along the lines between neighbours of a map. Not here: bisection as such
//! (see [`crate::numerics::bracket`]).

use std::ops::ControlFlow;

use crate::limit::Compiled;
use crate::numerics::bracket::bisect;
use crate::parallel::{Cancel, Executor};
use crate::save::Fingerprint;
use crate::stability::regions::attraction::AttractionRegions;
use crate::stability::regions::error::RegionsError;
use crate::stability::regions::executor::{Located, RegionExecutor};
use crate::stability::regions::many::StartOf;
use crate::stability::regions::map::RegionMap;
use crate::stability::regions::outcome::{Border, Outcome};
use crate::state::{OrderParameters, OrderParametersError};

impl<T: Compiled, X: RegionExecutor<T>> AttractionRegions<'_, T, X> {
    /// A change of outcome on the line s → `start`(s) between the two ends, to within `tolerance`.
    ///
    /// The ends must have different outcomes; what lies between them need not be one border, one of them is found.
    /// Where a start in the middle reaches no point, or a third one, the border that is kept is the one on the low
    /// side. A start that stops at a saddle lies on the border itself.
    ///
    /// # Errors
    /// [`RegionsError::Line`] unless low < high are finite and the tolerance is positive; [`RegionsError::NoBorder`] if
    /// both ends have the same outcome.
    pub fn border(
        &self,
        start: impl Fn(T) -> Result<OrderParameters<T>, OrderParametersError>,
        (low, high): (T, T),
        tolerance: T,
    ) -> Result<Border<T>, RegionsError<T>> {
        if !(low < high && low.is_finite() && high.is_finite() && tolerance > T::zero()) {
            let [low, high, tolerance] = [low, high, tolerance].map(T::as_f64);
            return Err(RegionsError::Line { low, high, tolerance });
        }
        let [below, above] = [low, high].map(|end| (end, self.outcome_of(start(end))));
        self.border_between(&start, below, above, tolerance)
    }

    /// The border of the regions of a map, as points: wherever two neighbours in a row or a column have different
    /// outcomes, the parameters (a, b) between them at which the outcome changes, to within `tolerance` cells, and the
    /// change itself in cells from the first of the two. Where a neighbour is no state there is no border.
    ///
    /// # Errors
    /// [`RegionsError::Line`] unless the tolerance is positive; [`RegionsError::OtherProcesses`].
    pub fn borders<F>(
        &self,
        map: &RegionMap<T>,
        start: F,
        tolerance: T,
    ) -> Result<Vec<((T, T), Border<T>)>, RegionsError<T>>
    where
        F: Fn(T, T) -> Result<OrderParameters<T>, OrderParametersError> + Sync,
    {
        self.borders_with(map, start, tolerance, |_, _| ControlFlow::Continue(()))
    }

    /// As [`borders`](Self::borders), and tells `observe` time and again how many pairs of neighbours are done, of how many. `Break`
    /// ends it with the borders found by then.
    ///
    /// # Errors
    /// As [`borders`](Self::borders).
    pub fn borders_with<F>(
        &self,
        map: &RegionMap<T>,
        start: F,
        tolerance: T,
        mut observe: impl FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<Vec<((T, T), Border<T>)>, RegionsError<T>>
    where
        F: Fn(T, T) -> Result<OrderParameters<T>, OrderParametersError> + Sync,
    {
        self.borders_of(map, &|(a, b)| start(a, b), tolerance, &mut observe)
    }

    fn borders_of(
        &self,
        map: &RegionMap<T>,
        start: &StartOf<'_, (T, T), T>,
        tolerance: T,
        observe: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<Vec<((T, T), Border<T>)>, RegionsError<T>> {
        if !(tolerance > T::zero()) {
            return Err(RegionsError::Line { low: 0.0, high: 1.0, tolerance: tolerance.as_f64() });
        }
        let (grid, outcomes) = (map.grid(), map.outcomes());
        let is_state = |k: usize| outcomes[k].is_of_a_state();
        let differ = |&(i, j): &(usize, usize)| outcomes[i].label() != outcomes[j].label();
        let pairs: Vec<_> = map.pairs().filter(differ).filter(|&(i, j)| is_state(i) && is_state(j)).collect();
        let columns = grid.columns;
        let find = |n: u64| -> Result<Located<T>, RegionsError<T>> {
            let (i, j) = pairs[usize::try_from(n).unwrap_or(usize::MAX)];
            let (from, to) = (grid.parameters(i % columns, i / columns), grid.parameters(j % columns, j / columns));
            let at = |s: T| (from.0 + (to.0 - from.0) * s, from.1 + (to.1 - from.1) * s);
            let line = |s: T| start(at(s));
            let (first, second) = ((T::zero(), outcomes[i].clone()), (T::one(), outcomes[j].clone()));
            let border = self.border_between(&line, first, second, tolerance)?;
            Ok((at(border.at), border))
        };
        let known = || self.known(Fingerprint::of("borders")).count(pairs.len() as u64).value();
        if !<X as Executor<Option<Located<T>>>>::agree(&self.executor, known) {
            return Err(RegionsError::OtherProcesses);
        }
        let mut borders = Ok(Vec::new());
        let found = |n: u64| find(n).ok();
        self.executor.for_each(0..pairs.len() as u64, &Cancel::new(), &found, &mut |n, border| {
            let (Ok(found), Some(border)) = (&mut borders, border) else {
                borders = Err(n);
                return ControlFlow::Break(());
            };
            found.push(border);
            observe(found.len(), pairs.len())
        });
        // What fails is sought again, for its error: it takes no time.
        self.executor.once(|| borders).or_else(|n| find(n).map(|border| vec![border]))
    }

    /// As [`border`](Self::border), between ends whose outcomes are known.
    fn border_between(
        &self,
        start: &dyn Fn(T) -> Result<OrderParameters<T>, OrderParametersError>,
        low: (T, Outcome<T>),
        high: (T, Outcome<T>),
        tolerance: T,
    ) -> Result<Border<T>, RegionsError<T>> {
        if low.1.label() == high.1.label() {
            return Err(RegionsError::NoBorder { outcome: low.1 });
        }
        let alike = |one: &Outcome<T>, other: &Outcome<T>| one.label() == other.label();
        let found = bisect(low, high, tolerance, |at| self.outcome_of(start(at)), alike);
        Ok(Border {
            at: found.middle,
            bracket: (found.low.0, found.high.0),
            outcomes: (found.low.1, found.high.1),
            starts: found.looks + 2,
        })
    }
}
