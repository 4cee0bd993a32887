//! What a run reports, whoever made it: times, states, work done and the reason why it stopped.
//!
//! Covers the data and how they are read. Not here: the loop that fills them (see [`Run`](crate::state::Run)).

use std::fmt;

use crate::Scalar;
use crate::data::{Cell, Table};
use crate::integrate::Work;
#[cfg(feature = "serde")]
use crate::state::stored::StoredTrajectory;
use crate::state::{OrderParameters, packed_names};

/// Why a run stopped.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
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
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "StoredTrajectory<T, S>"))]
#[cfg_attr(
    feature = "serde",
    serde(bound(
        serialize = "T: serde::Serialize, S: serde::Serialize",
        deserialize = "T: serde::Deserialize<'de>, S: serde::Deserialize<'de>"
    ))
)]
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

impl<T: Scalar> Trajectory<T> {
    /// The overlap of neuron `neuron` with feature `feature` as a series (t, Q_li), to plot; empty for an index out of
    /// range.
    #[must_use]
    pub fn overlap(&self, feature: usize, neuron: usize) -> Vec<(T, T)> {
        self.iter().filter_map(|(t, state)| Some((t, *state.q().get((feature, neuron))?))).collect()
    }

    /// The cosine similarity of neuron `neuron` with feature `feature` as a series (t, Q_li/√R_ii), to plot; without the
    /// times at which the neuron is zero, and empty for an index out of range.
    #[must_use]
    pub fn cosine_similarity(&self, feature: usize, neuron: usize) -> Vec<(T, T)> {
        self.iter().filter_map(|(t, state)| Some((t, state.cosine_similarity(feature, neuron)?))).collect()
    }
}

impl<T: Scalar> Trajectory<T> {
    /// A row for every output time: `t`, then `Q_l_i` and the upper triangle of `R_i_j`, in the order of the packed state. The reason
    /// why the run stopped is a comment.
    #[doc(alias = "write_csv")]
    #[doc(alias = "csv")]
    #[must_use]
    pub fn to_table(&self) -> Table {
        let names = self.states.first().map(|state| packed_names(state.n_features(), state.n_neurons()));
        let mut table = Table::of(std::iter::once("t".to_owned()).chain(names.unwrap_or_default())).comment(self.stop);
        for (t, state) in self.iter() {
            let packed = state.to_packed();
            table.add(std::iter::once(t).chain(packed.iter().copied()).map(|x| Cell::from(x.as_f64())));
        }
        table
    }
}

impl<T: Scalar> fmt::Display for StopReason<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EndTime => f.write_str("reached its end"),
            Self::NoStep => f.write_str("took no step"),
            Self::SteadyState { time, rate } => {
                write!(f, "steady at t = {}: no rate above {:.1e}", time.as_f64(), rate.as_f64())
            }
            Self::Event { index, time, step } => {
                write!(f, "event {index} at t = {}, in step {step}", time.as_f64())
            }
            Self::Observer { time } => write!(f, "stopped by an observer at t = {}", time.as_f64()),
            Self::Failure { time } => write!(f, "failed after t = {}", time.as_f64()),
        }
    }
}

/// A summary: how many states over which times, why the run stopped after how many steps, and the last state.
impl<T: Scalar, S: fmt::Display> fmt::Display for Trajectory<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, steps) = (self.states.len(), self.work.accepted_steps);
        let (Some(first), Some((last, state))) = (self.times.first(), self.last()) else {
            return write!(f, "no states; {} after {steps} steps", self.stop);
        };
        let plural = if count == 1 { "" } else { "s" };
        writeln!(
            f,
            "{count} state{plural} from t = {} to {}; {} after {steps} steps",
            first.as_f64(),
            last.as_f64(),
            self.stop
        )?;
        state.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_and_summary_are_read_off() {
        let state = |q: f64, r: f64| OrderParameters::from_rows(2, 1, &[q, 0.0], &[r]).unwrap();
        let mut trajectory = Trajectory::new();
        assert_eq!(trajectory.to_string(), "no states; reached its end after 0 steps");
        for (t, q, r) in [(0.0, 0.0, 0.0), (0.5, 0.3, 0.25), (1.5, 0.4, 1.0)] {
            trajectory.push(t, state(q, r));
        }
        trajectory.stop = StopReason::Event { index: 0, time: 1.5, step: 40 };
        trajectory.work = Work::of_steps(30);
        assert_eq!(trajectory.overlap(0, 0), [(0.0, 0.0), (0.5, 0.3), (1.5, 0.4)]);
        assert_eq!(trajectory.cosine_similarity(0, 0), [(0.5, 0.6), (1.5, 0.4)]);
        assert!(trajectory.overlap(2, 0).is_empty() && trajectory.cosine_similarity(0, 1).is_empty());
        let expected = "3 states from t = 0 to 1.5; event 0 at t = 1.5, in step 40 after 30 steps\n\
                        Q [ 0.400 ]\n  [ 0.000 ]\nR [ 1.000 ]";
        assert_eq!(format!("{trajectory:.3}"), expected);
    }
}
