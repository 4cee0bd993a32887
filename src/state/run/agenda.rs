//! When something is due in a run: the times or steps of one [`Output`].
//!
//! Covers the rounding of times to the steps of a process whose steps are all of one size. Not here: what is done then
//! (see `drive`).

use crate::Scalar;
use crate::integrate::{Output, OutputError, Schedule};

/// A point that a run has reached: the end of a step, or a time within the last one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point<T> {
    pub(super) time: T,
    /// Steps taken in this run.
    pub(super) steps: u64,
    /// Whether the time lies within the last step.
    pub(super) within: bool,
}

/// The interval of time that a run may cover, and how times round to steps if they do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span<T, F> {
    pub(super) start: T,
    pub(super) end: T,
    /// As [`Process::steps_until`](crate::state::Process::steps_until), at the start.
    pub(super) steps_until: F,
}

impl<T: Scalar, F: Fn(T) -> Option<i64>> Span<T, F> {
    /// From now to `end`. An end just before now that rounds to the present step makes an empty run and no error.
    pub(super) fn new(now: T, end: T, steps_until: F) -> Self {
        let rounds_to_now = steps_until(end) == Some(0);
        Self { start: if rounds_to_now { end.min(now) } else { now }, end, steps_until }
    }

    /// The step nearest to time t, counted from the start; `None` if steps can end at any time.
    pub(super) fn step_of(&self, t: T) -> Option<u64> {
        // Rounding to steps can only make a run empty, not negative.
        (self.steps_until)(t).map(|steps| u64::try_from(steps).unwrap_or(0))
    }
}

/// What is still due.
#[derive(Debug, Clone)]
pub(super) enum Agenda<T> {
    /// After every so many steps.
    Every(u64),
    /// At these times from `next` on.
    Times { times: Vec<T>, next: usize },
    /// At these steps from `next` on.
    Steps { steps: Vec<u64>, next: usize },
}

impl<T: Scalar> Agenda<T> {
    pub(super) fn new<F: Fn(T) -> Option<i64>>(output: &Output<T>, span: &Span<T, F>) -> Result<Self, OutputError> {
        Ok(match output.schedule(span.start, span.end)? {
            Schedule::EverySteps(stride) => Self::Every(stride as u64),
            Schedule::Times(times) => match times.iter().map(|&t| span.step_of(t)).collect() {
                Some(steps) => Self::Steps { steps, next: 0 },
                None => Self::Times { times, next: 0 },
            },
        })
    }

    /// The next time at which something is due; `None` if that is counted in steps, or nothing is.
    pub(super) fn next_time(&self) -> Option<T> {
        match self {
            Self::Times { times, next } => times.get(*next).copied(),
            Self::Every(_) | Self::Steps { .. } => None,
        }
    }

    /// The first step after `steps` at which something may be due.
    pub(super) fn next_step(&self, steps: u64) -> u64 {
        match self {
            Self::Every(stride) => (steps / stride + 1).saturating_mul(*stride),
            Self::Steps { steps, next } => steps.get(*next).copied().unwrap_or(u64::MAX),
            Self::Times { .. } => steps + 1,
        }
    }

    /// Whether something is due at this point; to be asked in the order of points.
    pub(super) fn due(&mut self, point: Point<T>) -> bool {
        fn passed<X: PartialOrd + Copy>(list: &[X], next: &mut usize, at: X) -> bool {
            let before = *next;
            while *next < list.len() && list[*next] <= at {
                *next += 1;
            }
            *next > before
        }
        match self {
            Self::Every(stride) => !point.within && point.steps.is_multiple_of(*stride),
            Self::Times { times, next } => passed(times, next, point.time),
            Self::Steps { steps, next } => !point.within && passed(steps, next, point.steps),
        }
    }
}
