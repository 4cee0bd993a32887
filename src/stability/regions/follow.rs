//! Where one start ends: its trajectory is followed until it enters a certified neighbourhood.
//!
//! Covers one start. Not here: many at once (see `many`), and fixed points that are not in the list (see `watch`).

use crate::integrate::{DormandPrince, Integrator, Step, StepError, System};
use crate::limit::{Compiled, LimitError};
use crate::ode::{GROWTH_LIMIT, Growth, OdeSystem, RatesError};
use crate::stability::regions::attraction::{Accuracy, AttractionRegions};
use crate::stability::regions::outcome::{NotReached, Outcome};
use crate::stability::regions::watch::{Watch, state_like};
use crate::state::{OrderParameters, OrderParametersError};

/// Steps of one start: unless the equations are stiff, far fewer lead to the time limit.
const MOST_STEPS: u64 = 200_000;
/// The absolute error of a step, in relative ones: entries that are smaller count as zero.
const ABSOLUTE: f64 = 0.01;

impl<T: Compiled, X> AttractionRegions<'_, T, X> {
    /// Where `start` ends.
    #[must_use]
    pub fn outcome(&self, start: &OrderParameters<T>) -> Outcome<T> {
        let accuracy = Accuracy { ode: self.ode.clone(), tolerance: self.tolerance };
        match accuracy.ode.system(start) {
            Ok(mut system) => self.follow(start, &accuracy, &mut system),
            Err(LimitError::Shape { .. }) => Outcome::NotReached(NotReached::NoState(wrong_shape(start))),
            Err(source) => failed(Some(source.into()), T::zero(), start.clone()),
        }
    }

    /// As [`outcome`](Self::outcome), for a start that may be none.
    pub(crate) fn outcome_of(&self, start: Result<OrderParameters<T>, OrderParametersError>) -> Outcome<T> {
        match start {
            Ok(start) => self.outcome(&start),
            Err(error) => Outcome::NotReached(NotReached::NoState(error)),
        }
    }

    /// Follows a start until it enters a neighbourhood.
    pub(crate) fn follow(
        &self,
        start: &OrderParameters<T>,
        accuracy: &Accuracy<'_, T>,
        system: &mut OdeSystem<'_, '_, T>,
    ) -> Outcome<T> {
        let limit = accuracy.ode.limit();
        if (start.n_features(), start.n_neurons()) != (limit.n_features(), limit.n_neurons()) {
            return Outcome::NotReached(NotReached::NoState(wrong_shape(start)));
        }
        let packed = start.to_packed().as_slice().to_vec();
        if let Some((point, image)) = self.entered(&packed) {
            return Outcome::Reached { point, image, time: T::zero() };
        }
        let Ok(integrator) = DormandPrince::new(accuracy.tolerance, accuracy.tolerance * T::lit(ABSOLUTE)) else {
            return failed(None, T::zero(), start.clone());
        };
        let mut rates = vec![T::zero(); packed.len()];
        if let Err(error) = system.rates(T::zero(), &packed, &mut rates) {
            return failed(Some(error), T::zero(), start.clone());
        }
        let mut step = Step::new(T::zero(), packed, rates);
        let mut watch = Watch::new(self, start, accuracy);
        let growth = Growth::new(start, T::lit(GROWTH_LIMIT));
        // Time and state before the last step: those of a step that fails are the ones that were refused.
        let mut before = (step.t, step.y.clone());
        loop {
            if let Some(reason) = watch.at_rest(self, &step) {
                return Outcome::NotReached(reason);
            }
            if step.t >= self.time_limit || step.work.accepted_steps >= MOST_STEPS {
                return Outcome::NotReached(NotReached::TimeLimit { state: state_like(start, &step.y), time: step.t });
            }
            before.0 = step.t;
            before.1.clone_from(&step.y);
            let good = || (before.0, state_like(start, &before.1));
            if let Err(error) = integrator.step(system, &mut step, self.time_limit) {
                let source = if let StepError::System(error) = error { Some(error) } else { None };
                let (time, state) = good();
                return failed(source, time, state);
            }
            if growth.excess(&step.y).is_some() {
                let (time, state) = good();
                return Outcome::NotReached(NotReached::Diverged { state, time });
            }
            let renewed = system
                .accepted(step.t, &step.y)
                .and_then(|changed| if changed { system.rates(step.t, &step.y, &mut step.rates) } else { Ok(()) });
            if let Err(error) = renewed {
                let (time, state) = good();
                return failed(Some(error), time, state);
            }
            if let Some((point, image)) = self.entered(&step.y) {
                return Outcome::Reached { point, image, time: step.t };
            }
        }
    }
}

fn wrong_shape<T: Compiled>(start: &OrderParameters<T>) -> OrderParametersError {
    OrderParametersError::Shape { q: start.q().shape(), r: start.r().shape() }
}

fn failed<T: Compiled>(source: Option<RatesError<T>>, time: T, state: OrderParameters<T>) -> Outcome<T> {
    Outcome::NotReached(NotReached::Failed { source, state: Box::new(state), time })
}
