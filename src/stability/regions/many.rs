//! Where many starts end, by one quadrature rule frozen for all of them.
//!
//! Covers the choice of the rule and the work in chunks. Not here: one start (see `follow`), and which starts (see
//! `map` and the selection probabilities).

use std::ops::ControlFlow;

use crate::limit::Compiled;
use crate::ode::OdeSystem;
use crate::parallel::{Cancel, Executor};
use crate::save::Fingerprint;
use crate::stability::progress::Progress;
use crate::stability::regions::attraction::{Accuracy, AttractionRegions};
use crate::stability::regions::error::RegionsError;
use crate::stability::regions::executor::RegionExecutor;
use crate::stability::regions::outcome::{NotReached, Outcome};
use crate::state::{OrderParameters, OrderParametersError};

/// Starts that share a copy of the frozen rule: enough that copying it does not count, few enough that threads end
/// together.
const CHUNK: usize = 64;
/// The first starts, at which the rule must serve.
const TYPICAL: usize = 8;

/// Shown the outcomes so far, and how many of them are new.
pub(crate) type Watch<'w, T> = dyn FnMut(&[Outcome<T>], usize) -> ControlFlow<()> + 'w;

/// A family of starts. What follows them is compiled for these, once for all families.
pub(crate) type StartOf<'s, A, T> = dyn Fn(A) -> Result<OrderParameters<T>, OrderParametersError> + Sync + 's;

impl<T: Compiled, X: RegionExecutor<T>> AttractionRegions<'_, T, X> {
    /// The outcomes of many starts by one frozen rule, which serves at the states of `typical`. `watch` is shown them time and
    /// again, with how many are new; where it says `Break`, all that come after are left out, and the answer says so. Of many
    /// processes `watch` is called in one, and all have the answer.
    pub(crate) fn follow_each(
        &self,
        typical: &[OrderParameters<T>],
        accuracy: &Accuracy<'_, T>,
        count: usize,
        start: &StartOf<'_, usize, T>,
        watch: &mut Watch<'_, T>,
    ) -> Result<(Vec<Outcome<T>>, bool), RegionsError<T>> {
        let known = || {
            let work = self.known(Fingerprint::of("outcomes")).count(count as u64);
            typical.iter().fold(work, |work, state| work.numbers(state.to_packed().iter().copied())).value()
        };
        if !<X as Executor<Vec<Outcome<T>>>>::agree(&self.executor, known) {
            return Err(RegionsError::OtherProcesses);
        }
        let master = self.common_system(typical, accuracy)?;
        let chunk = |n: u64| {
            let first = usize::try_from(n).unwrap_or(usize::MAX) * CHUNK;
            let mut system = master.clone();
            let outcomes: Vec<Outcome<T>> = (first..(first + CHUNK).min(count))
                .map(|k| match start(k) {
                    Ok(start) => {
                        // A rule chosen anew on the way would make a outcome depend on the starts before.
                        if system.refinements() != master.refinements() {
                            system.clone_from(&master);
                        }
                        self.follow(&start, accuracy, &mut system)
                    }
                    Err(error) => Outcome::NotReached(NotReached::NoState(error)),
                })
                .collect();
            outcomes
        };
        let (mut outcomes, mut flow) = (Vec::new(), ControlFlow::Continue(()));
        let chunks = 0..count.div_ceil(CHUNK) as u64;
        self.executor.for_each(chunks, &Cancel::new(), &chunk, &mut |_, chunk: Vec<Outcome<T>>| {
            let more = chunk.len();
            outcomes.extend(chunk);
            flow = watch(&outcomes, more);
            flow
        });
        Ok(self.executor.once(|| (outcomes, flow.is_break())))
    }

    /// The outcomes of starts 0 to `count` at a tolerance, by one rule frozen for the first of them.
    pub(crate) fn outcomes_of(
        &self,
        tolerance: T,
        count: usize,
        start: &StartOf<'_, usize, T>,
        progress: &mut Progress<'_>,
    ) -> Result<Vec<Outcome<T>>, RegionsError<T>> {
        let typical: Vec<_> = (0..count.min(TYPICAL)).filter_map(|k| start(k).ok()).collect();
        let accuracy = self.accuracy(tolerance)?;
        let (outcomes, stopped) =
            self.follow_each(&typical, &accuracy, count, start, &mut |_, more| progress.advance(more))?;
        if stopped {
            progress.stop();
        }
        Ok(outcomes)
    }

    /// A system whose rule resolves the most of the states given, of the stable points, and of both without overlaps.
    fn common_system<'c>(
        &self,
        typical: &[OrderParameters<T>],
        accuracy: &'c Accuracy<'_, T>,
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
            let mut system = accuracy.ode.system(state)?;
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
