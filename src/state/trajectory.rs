//! What a run reports, whoever made it: times, states, work done and the reason why it stopped.
//!
//! Covers the data and how they are read. Not here: the loop that fills them (see [`Run`](crate::state::Run)).

use crate::Scalar;
use crate::integrate::Work;
use crate::state::OrderParameters;

/// Why a run stopped.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum StopReason<T> {
    /// It reached the wanted end time.
    EndTime,
    /// The end is where the run started, or, for a simulator, less than half a step away: nothing was done.
    NoStep,
    /// The state no longer moves: no number of it changes faster than the rate that was set as steady.
    SteadyState {
        /// When.
        time: T,
        /// The largest absolute rate of change of a number of the state there; where it is not known, that of averages
        /// over windows of time.
        rate: T,
    },
    /// An event function changed its sign.
    Event {
        /// Which of the events, counted from 0.
        index: usize,
        /// When.
        time: T,
        /// The steps that had been taken by then since the process was made, counting one within which it happened.
        step: u64,
    },
    /// An observer asked for it.
    Observer {
        /// When.
        time: T,
    },
    /// An error ended the run: the trajectory holds what came before.
    Failure {
        /// The time of the last good state.
        time: T,
    },
}

/// What a run recorded: times and states, the work done, and why it stopped. States are order parameters, unless a
/// [`Process`](crate::state::Process) says otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct Trajectory<T: Scalar = f64, S = OrderParameters<T>> {
    pub(crate) times: Vec<T>,
    pub(crate) states: Vec<S>,
    pub(crate) stop: StopReason<T>,
    pub(crate) work: Work,
}

impl<T: Scalar, S> Trajectory<T, S> {
    /// An empty trajectory, to be filled.
    pub(crate) fn new() -> Self {
        Self { times: Vec::new(), states: Vec::new(), stop: StopReason::EndTime, work: Work::default() }
    }

    /// Adds a state at a later time.
    pub(crate) fn push(&mut self, time: T, state: S) {
        self.times.push(time);
        self.states.push(state);
    }

    /// The output times t = steps/N, increasing.
    #[must_use]
    pub fn times(&self) -> &[T] {
        &self.times
    }

    /// The state at each output time.
    #[must_use]
    pub fn states(&self) -> &[S] {
        &self.states
    }

    /// Times and states together.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (T, &S)> {
        self.times.iter().copied().zip(&self.states)
    }

    /// The last time and state, if there is any.
    #[must_use]
    pub fn last(&self) -> Option<(T, &S)> {
        self.times.last().copied().zip(self.states.last())
    }

    /// Why the run stopped.
    #[must_use]
    pub fn stop_reason(&self) -> StopReason<T> {
        self.stop
    }

    /// The work done.
    #[must_use]
    pub fn work(&self) -> Work {
        self.work
    }
}
