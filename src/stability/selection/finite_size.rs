//! Selection at finite N: how often runs of SGD end at each stable point.
//!
//! Covers the runs of an ensemble, each until it enters a certified neighbourhood. Not here: what is counted (see
//! `counts`), the limit (see `limit`), and the simulators (see [`crate::sgd`]).

use std::ops::ControlFlow;

use crate::Scalar;
use crate::ensemble::{Ensemble, Failure, Replicate, keep};
use crate::limit::Compiled;
use crate::parallel::Executor;
use crate::sgd::Simulator;
use crate::stability::regions::AttractionRegions;
use crate::stability::selection::counts::FiniteSizeSelection;
use crate::stability::selection::error::{PartialSelection, RunFailure, SelectionError};
use crate::stability::selection::table::for_each_image;

/// Which image of which point a run entered, if any.
type Entered<E, T> = Result<Option<(usize, usize)>, Failure<RunFailure<E, T>>>;

/// An executor that carries the ends of runs and their errors: every executor of one process, and one over many processes for
/// errors that can be carried.
pub trait SelectionExecutor<E, T: Scalar>: Executor<Entered<E, T>> + Executor<PartialSelection<E, T>> {}

impl<E, T: Scalar, X: Executor<Entered<E, T>> + Executor<PartialSelection<E, T>>> SelectionExecutor<E, T> for X {}

impl<T: Compiled, X: Sync> AttractionRegions<'_, T, X> {
    /// How often SGD at finite N ends at each stable point: every replicate of `ensemble` is run by the simulator that
    /// `simulate` makes, until it enters a certified neighbourhood at one of its looks at the state, every `stride`
    /// steps and at `time_limit`, or until then.
    ///
    /// At finite N a run that has entered can leave again, with a probability that falls exponentially with N: the
    /// answer is about the first entry. Where the neighbourhood is not wide beside fluctuations of order 1/√N the
    /// question which point a run selects has no sharp answer.
    ///
    /// Seeds, the order of replicates and what runs them are those of [`Ensemble`]; the answer does not depend on its
    /// executor.
    ///
    /// # Errors
    /// [`SelectionError::Run`] for a time or stride that is not positive; [`SelectionError::Replicates`] if some fail, with the counts
    /// over all others.
    pub fn selection_at_finite_size<E, S, F>(
        &self,
        ensemble: &Ensemble<impl SelectionExecutor<E, T>>,
        (time_limit, stride): (T, u64),
        simulate: F,
    ) -> Result<FiniteSizeSelection, SelectionError<E, T>>
    where
        S: Simulator<Scalar = T>,
        E: Send,
        F: Fn(Replicate) -> Result<S, E> + Sync,
    {
        self.selection_at_finite_size_with(ensemble, (time_limit, stride), simulate, |_, _| ControlFlow::Continue(()))
    }

    /// As [`selection_at_finite_size`](Self::selection_at_finite_size), and shows `observe` after every replicate, in their order, what
    /// has been counted, and how many replicates there are in all. `Break` ends it with the counts by then.
    ///
    /// # Errors
    /// As [`selection_at_finite_size`](Self::selection_at_finite_size).
    pub fn selection_at_finite_size_with<E, S, F>(
        &self,
        ensemble: &Ensemble<impl SelectionExecutor<E, T>>,
        (time_limit, stride): (T, u64),
        simulate: F,
        mut observe: impl FnMut(&FiniteSizeSelection, u64) -> ControlFlow<()>,
    ) -> Result<FiniteSizeSelection, SelectionError<E, T>>
    where
        S: Simulator<Scalar = T>,
        E: Send,
        F: Fn(Replicate) -> Result<S, E> + Sync,
    {
        if !(time_limit > T::zero() && time_limit.is_finite() && stride > 0) {
            return Err(SelectionError::Run { time: time_limit.as_f64(), stride });
        }
        let run = |replicate: Replicate| -> Result<Option<(usize, usize)>, RunFailure<E, T>> {
            let mut simulator = simulate(replicate).map_err(RunFailure::Start)?;
            loop {
                if let Some(label) = self.neighbourhood_of(&simulator.order_parameters()) {
                    return Ok(Some(label));
                }
                if simulator.time() >= time_limit {
                    return Ok(None);
                }
                // No step begins at the time limit, whatever is left of the stride.
                let mut left = stride;
                while left > 0 && simulator.time() < time_limit {
                    simulator.step().map_err(|source| RunFailure::Step {
                        source,
                        time: simulator.time(),
                        state: Box::new(simulator.order_parameters()),
                    })?;
                    left -= 1;
                }
            }
        };
        let mut selection = FiniteSizeSelection { counts: for_each_image(self, &0), undecided: 0 };
        let (mut failed, mut failures, mut cancelled) = (Vec::new(), 0, 0);
        ensemble.for_each(run, |replicate, outcome| {
            match outcome {
                Ok(Some((point, image))) => selection.counts[point][image] += 1,
                Ok(None) => selection.undecided += 1,
                Err(Failure::Cancelled) => cancelled += 1,
                Err(failure) => keep(&mut failed, &mut failures, replicate, failure),
            }
            observe(&selection, ensemble.replicates())
        });
        let all = ensemble.once(|| PartialSelection { others: selection, failed, failures, cancelled });
        let complete = all.failures + all.cancelled == 0;
        if complete { Ok(all.others) } else { Err(SelectionError::Replicates(Box::new(all))) }
    }
}
