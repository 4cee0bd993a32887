//! What a run reports, whoever made it: times, states, work done and the reason why it stopped.

use crate::Scalar;
use crate::integrate::Work;
use crate::state::OrderParameters;

/// Why a run stopped.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum StopReason<T> {
    /// It reached the wanted end time.
    EndTime,
    /// The state no longer moves: no order parameter changes faster than the rate that was set as steady.
    SteadyState {
        /// When.
        time: T,
        /// The largest absolute rate of change of an order parameter there.
        rate: T,
    },
    /// An event function crossed zero.
    Event {
        /// Which of the events, counted from 0.
        index: usize,
        /// When.
        time: T,
    },
    /// An observer asked for it.
    Observer {
        /// When.
        time: T,
    },
    /// An error ended the run: the trajectory holds what came before.
    Failure {
        /// The time reached.
        time: T,
    },
}

/// A trajectory of order parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Trajectory<T: Scalar = f64> {
    pub(crate) times: Vec<T>,
    pub(crate) states: Vec<OrderParameters<T>>,
    pub(crate) stop: StopReason<T>,
    pub(crate) work: Work,
}

impl<T: Scalar> Trajectory<T> {
    /// An empty trajectory, to be filled.
    pub(crate) fn new() -> Self {
        Self { times: Vec::new(), states: Vec::new(), stop: StopReason::EndTime, work: Work::default() }
    }

    /// Adds a state; a time that is there already is not added twice.
    pub(crate) fn push(&mut self, time: T, state: OrderParameters<T>) {
        if self.times.last() != Some(&time) {
            self.times.push(time);
            self.states.push(state);
        }
    }

    /// The output times t = steps/N, increasing.
    #[must_use]
    pub fn times(&self) -> &[T] {
        &self.times
    }

    /// The state at each output time.
    #[must_use]
    pub fn states(&self) -> &[OrderParameters<T>] {
        &self.states
    }

    /// Times and states together.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (T, &OrderParameters<T>)> {
        self.times.iter().copied().zip(&self.states)
    }

    /// The last time and state, if there is any.
    #[must_use]
    pub fn last(&self) -> Option<(T, &OrderParameters<T>)> {
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
