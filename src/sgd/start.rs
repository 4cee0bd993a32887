//! Which steps of a run are recorded.

use crate::Scalar;
use crate::integrate::{Output, OutputError, Schedule};

/// Which steps of a run are recorded.
#[derive(Debug)]
pub(super) struct Records<T> {
    schedule: Schedule<T>,
    dimension: usize,
    start: u64,
    last: u64,
    /// The first output time that has not passed.
    next: usize,
}

impl<T: Scalar> Records<T> {
    /// Of a run from step `start`, at time `now`, to the step nearest to `end`.
    pub(super) fn new(output: &Output<T>, now: T, start: u64, end: T, dimension: usize) -> Result<Self, OutputError> {
        // A second run to a time that rounds to the present step is empty, not an error.
        let rounds_to_now = (end.as_f64() * dimension as f64).round() == start as f64;
        let begin = if rounds_to_now { end.min(now) } else { now };
        let schedule = output.schedule(begin, end)?;
        // Rounding to steps can only make the run empty, not negative.
        let last = nearest_step(end, dimension).max(start);
        Ok(Self { schedule, dimension, start, last, next: 0 })
    }

    /// The last step.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// Whether that step is recorded; to be asked in the order of the steps.
    pub(super) fn due(&mut self, step: u64) -> bool {
        let due = match &self.schedule {
            Schedule::EverySteps(stride) => (step - self.start).is_multiple_of(*stride as u64),
            Schedule::Times(times) => {
                let before = self.next;
                while self.next < times.len() && nearest_step(times[self.next], self.dimension) <= step {
                    self.next += 1;
                }
                self.next > before
            }
        };
        due || step == self.last
    }
}

/// The step nearest to time t.
fn nearest_step<T: Scalar>(t: T, dimension: usize) -> u64 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let step = (t.as_f64() * dimension as f64).round().max(0.0) as u64;
    step
}
