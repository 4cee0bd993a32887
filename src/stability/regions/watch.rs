//! Looks for the fixed points, other than those listed, at which trajectories come to rest.

use crate::Scalar;
use crate::integrate::Step;
use crate::limit::Compiled;
use crate::stability::regions::fate::{Care, Stray, state};
use crate::stability::regions::newton::{Frame, polish};
use crate::stability::regions::{AttractionRegions, Neighbourhood, RegionsError};
use crate::state::OrderParameters;

/// Looks out for trajectories that come to rest elsewhere.
pub(super) struct Watch<'w, T: Scalar> {
    start: &'w OrderParameters<T>,
    care: &'w Care<'w, T>,
    frame: Frame<T>,
    /// The speed, in scaled coordinates, below which a fixed point is looked for.
    speed: T,
}

impl<'w, T: Compiled> Watch<'w, T> {
    pub(super) fn new(
        regions: &AttractionRegions<'_, T>,
        start: &'w OrderParameters<T>,
        care: &'w Care<'w, T>,
    ) -> Self {
        // Around a fixed point the integration hovers within its tolerance: faster than this it does not move there.
        let speed = T::lit(10.0) * care.tolerance * regions.fastest_rate();
        Self { start, care, frame: Frame::new(&care.ode, start), speed }
    }

    /// The fixed point at which the trajectory rests, if it does.
    pub(super) fn at_rest(&mut self, regions: &AttractionRegions<'_, T>, step: &Step<T>) -> Option<Stray<T>> {
        let speed = self.frame.free.iter().fold(T::zero(), |s, &k| s.max((step.rates[k] / self.frame.scales[k]).abs()));
        if !(speed <= self.speed) {
            return None;
        }
        // Looked for once, and again when it has become ten times slower.
        self.speed = speed * T::lit(0.1);
        let here = state(self.start, &step.y);
        let root = polish(&self.care.ode, &here).ok()??;
        // On the slow way to a point of the list.
        if regions.entered(&root.packed, T::one()).is_some() {
            return None;
        }
        let near = root.moved <= T::lit(100.0) * self.care.tolerance;
        let point = root.state(self.start.n_features(), self.start.n_neurons());
        let time = step.t;
        match Neighbourhood::around(&self.care.ode, &root) {
            Ok(neighbourhood) if neighbourhood.holds(&step.y, T::one()) => Some(Stray::Unlisted { point, time }),
            Err(RegionsError::Unstable { .. }) if near => Some(Stray::Saddle { point, time }),
            _ => None,
        }
    }
}
