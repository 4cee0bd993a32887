//! A process with its observers, as the loop sees it.
//!
//! Covers the trait object that keeps the loop the same code for every process: it is compiled once for each kind of state
//! and failure, not once for each model. Not here: the loop (see `drive`).

use crate::Scalar;
use crate::integrate::Work;
use crate::save::{Fingerprint, SaveError};
use crate::state::run::checkpoint::Progress;
use crate::state::run::plan::Look;
use crate::state::run::process::{Lockstep, Snapshot};
use crate::state::run::saving::Saving;

/// [`Lockstep`] with observers that are known by number.
pub(super) trait Stage<T: Scalar, S, E> {
    fn replicates(&self) -> usize;
    fn time_of(&self, replicate: usize) -> T;
    fn state_of(&self, replicate: usize) -> S;
    fn work_of(&self, replicate: usize) -> Work;
    /// Takes steps, at most that many, until one fails in some replicate; returns how many it took.
    fn advance_all(&mut self, until: T, steps: u64, failures: &mut Vec<(usize, E)>) -> u64;
    fn prepare_all(&mut self, failures: &mut Vec<(usize, E)>);
    fn steps_to(&self, t: T) -> Option<i64>;
    fn interpolate_of(&self, replicate: usize, t: T) -> Option<S>;
    fn rewind_all(&mut self, t: T);
    fn rate_of(&self, replicate: usize) -> Option<T>;
    fn numbers_of(&self, state: &S) -> Vec<T>;
    fn most_steps(&self) -> Option<u64>;
    /// Steps between saves; `None` if nothing is to be saved.
    fn saved_every(&self) -> Option<u64>;
    /// Puts the process back to what is kept of the run with those settings, if something is.
    fn resume(&mut self, settings: Fingerprint) -> Result<Option<Progress<T, S>>, SaveError>;
    /// Keeps process and progress.
    fn save(&mut self, settings: Fingerprint, progress: Progress<T, S>) -> Result<(), SaveError>;
    /// Why that replicate has failed.
    fn failure_of(&self, replicate: usize) -> Option<E>;
    /// Shows the process at a time of the last step to that observer; whether it wants to stop.
    fn show(&mut self, observer: usize, time: T) -> bool;
}

/// A process and those who look at it.
pub(super) struct Watched<'r, P: Lockstep + ?Sized> {
    pub(super) process: &'r mut P,
    pub(super) looks: Vec<Box<Look<'r, P>>>,
    pub(super) saving: Option<Saving<'r, P>>,
}

impl<P: Lockstep + ?Sized> Stage<P::Scalar, P::State, P::Error> for Watched<'_, P> {
    fn replicates(&self) -> usize {
        self.process.replicates()
    }
    fn time_of(&self, replicate: usize) -> P::Scalar {
        self.process.time_of(replicate)
    }
    fn state_of(&self, replicate: usize) -> P::State {
        self.process.state_of(replicate)
    }
    fn work_of(&self, replicate: usize) -> Work {
        self.process.work_of(replicate)
    }
    fn advance_all(&mut self, until: P::Scalar, steps: u64, failures: &mut Vec<(usize, P::Error)>) -> u64 {
        let mut taken = 0;
        while taken < steps && failures.is_empty() {
            self.process.advance_all(until, &mut |replicate, error| failures.push((replicate, error)));
            taken += 1;
        }
        taken
    }
    fn prepare_all(&mut self, failures: &mut Vec<(usize, P::Error)>) {
        self.process.prepare_all(&mut |replicate, error| failures.push((replicate, error)));
    }
    fn steps_to(&self, t: P::Scalar) -> Option<i64> {
        self.process.steps_to(t)
    }
    fn interpolate_of(&self, replicate: usize, t: P::Scalar) -> Option<P::State> {
        self.process.interpolate_of(replicate, t)
    }
    fn rewind_all(&mut self, t: P::Scalar) {
        self.process.rewind_all(t);
    }
    fn rate_of(&self, replicate: usize) -> Option<P::Scalar> {
        self.process.rate_of(replicate)
    }
    fn numbers_of(&self, state: &P::State) -> Vec<P::Scalar> {
        self.process.numbers_of(state)
    }
    fn most_steps(&self) -> Option<u64> {
        self.process.most_steps()
    }
    fn saved_every(&self) -> Option<u64> {
        self.saving.as_ref().map(|saving| saving.every)
    }
    fn resume(&mut self, settings: Fingerprint) -> Result<Option<Progress<P::Scalar, P::State>>, SaveError> {
        let Some(saving) = &self.saving else { return Ok(None) };
        (saving.resume)(self.process, settings)
    }
    fn save(&mut self, settings: Fingerprint, progress: Progress<P::Scalar, P::State>) -> Result<(), SaveError> {
        let Some(saving) = &self.saving else { return Ok(()) };
        (saving.save)(self.process, settings, progress)
    }
    fn failure_of(&self, replicate: usize) -> Option<P::Error> {
        self.saving.as_ref().and_then(|saving| (saving.failure_of)(self.process, replicate))
    }
    fn show(&mut self, observer: usize, time: P::Scalar) -> bool {
        let snapshot = Snapshot { time, process: &*self.process };
        self.looks.get_mut(observer).is_some_and(|look| look(&snapshot).is_break())
    }
}
