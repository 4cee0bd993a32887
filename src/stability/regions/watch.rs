//! Looks for the fixed points, other than those listed, at which trajectories come to rest.
//!
//! Covers saddles that are approached within the tolerance, and stable points that nobody listed. Not here: the points
//! of the list (see `follow`).

use crate::Scalar;
use crate::integrate::Step;
use crate::limit::Compiled;
use crate::numerics::largest::largest_size;
use crate::stability::regions::attraction::{Accuracy, AttractionRegions};
use crate::stability::regions::error::RegionsError;
use crate::stability::regions::frame::Frame;
use crate::stability::regions::neighbourhood::Neighbourhood;
use crate::stability::regions::outcome::NotReached;
use crate::stability::regions::root::root;
use crate::state::{OrderParameters, unpack};

/// Around a fixed point the integration hovers within its tolerance: it moves no faster than that many tolerances times
/// the fastest rate there.
const HOVERING: f64 = 10.0;
/// A fixed point is looked for once, and again when the trajectory has become slower by that.
const SLOWER: f64 = 0.1;
/// How near to a saddle, in tolerances, a trajectory is of which the tolerance does not tell where it goes from there.
const NEAR: f64 = 100.0;

/// Looks out for trajectories that come to rest elsewhere.
pub(crate) struct Watch<'w, T: Scalar> {
    start: &'w OrderParameters<T>,
    accuracy: &'w Accuracy<'w, T>,
    frame: Frame<T>,
    /// The speed, in scaled coordinates, below which a fixed point is looked for.
    speed: T,
}

impl<'w, T: Compiled> Watch<'w, T> {
    pub(crate) fn new<X>(
        regions: &AttractionRegions<'_, T, X>,
        start: &'w OrderParameters<T>,
        accuracy: &'w Accuracy<'w, T>,
    ) -> Self {
        let speed = T::lit(HOVERING) * accuracy.tolerance * regions.fastest_rate();
        Self { start, accuracy, frame: Frame::new(accuracy.ode.constraint(), start), speed }
    }

    /// The fixed point at which the trajectory rests, if it does.
    pub(crate) fn at_rest<X>(
        &mut self,
        regions: &AttractionRegions<'_, T, X>,
        step: &Step<T>,
    ) -> Option<NotReached<T>> {
        let speed = largest_size(self.frame.free.iter().map(|&k| step.rates[k] / self.frame.scales[k]));
        if !(speed <= self.speed) {
            return None;
        }
        self.speed = speed * T::lit(SLOWER);
        let here = state_like(self.start, &step.y);
        let root = root(&self.accuracy.ode, &here).ok()??;
        // On the slow way to a point of the list.
        if regions.entered(&root.packed).is_some() {
            return None;
        }
        let near = root.moved <= T::lit(NEAR) * self.accuracy.tolerance;
        let neighbourhood = Neighbourhood::around(&self.accuracy.ode, &root);
        let (point, time) = (root.state, step.t);
        match neighbourhood {
            Ok(neighbourhood) if neighbourhood.holds(&step.y) => Some(NotReached::Unlisted { point, time }),
            Err(RegionsError::Unstable { .. }) if near => Some(NotReached::Saddle { point, time }),
            _ => None,
        }
    }
}

/// The state of a packed vector, with the shape of another.
pub(crate) fn state_like<T: Scalar>(like: &OrderParameters<T>, y: &[T]) -> OrderParameters<T> {
    let (q, r) = unpack(like.n_features(), like.n_neurons(), y);
    OrderParameters::from_parts(q, r)
}
