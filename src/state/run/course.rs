//! What a run keeps of one replicate: its trajectory, on which side of zero its events are, and how it ended.
//!
//! Covers events and steady states of a replicate. Not here: when they are looked for (see `drive`).

use std::cmp::Ordering;

use crate::Scalar;
use crate::integrate::Work;
use crate::save::SaveError;
use crate::state::run::RunError;
use crate::state::run::checkpoint::{CourseProgress, EndingProgress};
use crate::state::run::event::{Event, NotANumber};
use crate::state::run::stage::Stage;
use crate::state::run::steady::Windows;
use crate::state::{StopReason, Trajectory};

/// How a replicate's run ended.
#[derive(Debug)]
pub(super) enum Ending<T, E> {
    Stopped(StopReason<T>),
    Failed(E),
    StepLimit { steps: u64 },
    EventNotANumber { index: usize },
    NotAdvancing,
    Unsaved(SaveError),
}

/// An event that happened in the last step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Happened<T> {
    pub(super) index: usize,
    pub(super) time: T,
    /// Not so if the function is NaN there.
    pub(super) is_number: bool,
}

/// One replicate in a run.
pub(super) struct Course<T: Scalar, S, E> {
    replicate: usize,
    trajectory: Trajectory<T, S>,
    /// Work before the run.
    before: Work,
    /// The side of zero on which each event was last.
    sides: Vec<Ordering>,
    windows: Windows,
    /// An event in the last step.
    pub(super) happened: Option<Happened<T>>,
    ending: Option<(T, Ending<T, E>)>,
}

impl<T: Scalar, S: Clone, E> Course<T, S, E> {
    pub(super) fn new(replicate: usize, process: &dyn Stage<T, S, E>, window: T) -> Self {
        Self {
            replicate,
            trajectory: Trajectory::new(),
            before: process.work_of(replicate),
            sides: Vec::new(),
            windows: Windows::new(window.as_f64()),
            happened: None,
            ending: None,
        }
    }

    /// As it was kept; `None` if a failure is not known to the process.
    pub(super) fn resumed(replicate: usize, process: &dyn Stage<T, S, E>, kept: CourseProgress<T, S>) -> Option<Self> {
        let CourseProgress { trajectory, before, sides, windows, ending } = kept;
        let ending = match ending {
            None => None,
            Some((time, EndingProgress::Stopped(reason))) => Some((time, Ending::Stopped(reason))),
            Some((time, EndingProgress::EventNotANumber { index })) => Some((time, Ending::EventNotANumber { index })),
            Some((time, EndingProgress::Failed)) => Some((time, Ending::Failed(process.failure_of(replicate)?))),
        };
        let sides = sides.into_iter().map(Ordering::from).collect();
        Some(Self { replicate, trajectory, before, sides, windows, happened: None, ending })
    }

    /// What is kept of it; `None` if it has ended in a way that ends the whole run: such a run is left as it was saved last.
    pub(super) fn progress(&self, process: &dyn Stage<T, S, E>) -> Option<CourseProgress<T, S>> {
        let ending = match &self.ending {
            None => None,
            Some((
                _,
                Ending::Stopped(StopReason::Observer { .. })
                | Ending::StepLimit { .. }
                | Ending::NotAdvancing
                | Ending::Unsaved(_),
            )) => return None,
            Some((time, Ending::Stopped(reason))) => Some((*time, EndingProgress::Stopped(*reason))),
            Some((time, Ending::Failed(_))) => {
                // Others go on only if the process knows of it.
                process.failure_of(self.replicate)?;
                Some((*time, EndingProgress::Failed))
            }
            Some((time, Ending::EventNotANumber { index })) => {
                Some((*time, EndingProgress::EventNotANumber { index: *index }))
            }
        };
        Some(CourseProgress {
            trajectory: self.trajectory.clone(),
            before: self.before,
            sides: self.sides.iter().map(|&side| side.into()).collect(),
            windows: self.windows.clone(),
            ending,
        })
    }

    /// Whether it still runs.
    pub(super) fn is_live(&self) -> bool {
        self.ending.is_none()
    }

    /// The time at which it stopped, other than by a failure.
    pub(super) fn stopped_at(&self) -> Option<T> {
        self.ending.as_ref().and_then(|(time, ending)| matches!(ending, Ending::Stopped(_)).then_some(*time))
    }

    /// The last time of the present step that counts: that of an event in it, or its end.
    pub(super) fn reach(&self, now: T) -> T {
        self.happened.map_or(now, |happened| happened.time)
    }

    /// The state at a time in the last step.
    fn state(&self, process: &dyn Stage<T, S, E>, time: T) -> S {
        if time < process.time_of(self.replicate)
            && let Some(state) = process.interpolate_of(self.replicate, time)
        {
            return state;
        }
        process.state_of(self.replicate)
    }

    /// Records the state at a time in the last step, unless it is there.
    pub(super) fn record(&mut self, process: &dyn Stage<T, S, E>, time: T) {
        if self.trajectory.times.last() != Some(&time) {
            self.trajectory.push(time, self.state(process, time));
        }
    }

    /// Ends at that time of the last step, whose state is recorded last.
    pub(super) fn end(&mut self, process: &dyn Stage<T, S, E>, time: T, ending: Ending<T, E>) {
        self.record(process, time);
        self.trajectory.work = process.work_of(self.replicate).since(self.before);
        self.trajectory.stop = match &ending {
            Ending::Stopped(reason) => *reason,
            _ => StopReason::Failure { time },
        };
        self.ending = Some((time, ending));
    }

    /// Looks at the events where the run starts.
    pub(super) fn look_at_start(&mut self, events: &[Event<'_, T, S>], process: &dyn Stage<T, S, E>) {
        if events.is_empty() {
            return;
        }
        let (time, state) = (process.time_of(self.replicate), process.state_of(self.replicate));
        for (index, event) in events.iter().enumerate() {
            let (side, found) = match event.at_start(time, &state) {
                Ok((side, happens)) => (side, happens.then_some(Ok(time))),
                Err(error) => (Ordering::Equal, Some(Err(error))),
            };
            self.sides.push(side);
            self.keep_first(index, found);
        }
    }

    /// Looks at the events after steps since time `since`, with dense output within the last of them.
    pub(super) fn look(&mut self, events: &[Event<'_, T, S>], process: &dyn Stage<T, S, E>, since: T, dense: bool) {
        let (now, state) = (process.time_of(self.replicate), process.state_of(self.replicate));
        for (index, event) in events.iter().enumerate() {
            let before = self.sides[index];
            let found = match event.happens(&mut self.sides[index], now, &state) {
                Ok(false) => None,
                Ok(true) if dense => Some(event.locate(before, (since, now), |t| self.state(process, t))),
                Ok(true) => Some(Ok(now)),
                Err(error) => Some(Err(error)),
            };
            self.keep_first(index, found);
        }
    }

    /// Keeps what happens first in the step.
    fn keep_first(&mut self, index: usize, found: Option<Result<T, NotANumber<T>>>) {
        let Some(found) = found else { return };
        let is_number = found.is_ok();
        let time = found.unwrap_or_else(|NotANumber { time }| time);
        if self.happened.is_none_or(|first| time < first.time) {
            self.happened = Some(Happened { index, time, is_number });
        }
    }

    /// The rate at which the state changes, where it is known now: the process's own, or at the end of a window that of
    /// the averages.
    pub(super) fn rate(&mut self, process: &dyn Stage<T, S, E>, checked: bool) -> Option<T> {
        if let Some(rate) = process.rate_of(self.replicate) {
            return Some(rate);
        }
        if !checked {
            return None;
        }
        let numbers = process.numbers_of(&process.state_of(self.replicate));
        let time = process.time_of(self.replicate).as_f64();
        self.windows.push(time, numbers.into_iter().map(Scalar::as_f64).collect()).map(Scalar::lit)
    }

    /// What the run of this replicate came to.
    pub(super) fn outcome(self) -> Result<Trajectory<T, S>, RunError<E, T, S>> {
        let Some((time, ending)) = self.ending else { return Ok(self.trajectory) };
        let time = time.as_f64();
        if matches!(ending, Ending::Stopped(_)) {
            return Ok(self.trajectory);
        }
        let trajectory = Box::new(self.trajectory);
        Err(match ending {
            Ending::Stopped(_) | Ending::NotAdvancing => RunError::NotAdvancing { time, trajectory },
            Ending::Unsaved(source) => RunError::Save { time, source, trajectory },
            Ending::Failed(source) => RunError::Failed { time, source, trajectory },
            Ending::StepLimit { steps } => RunError::StepLimit { steps, time, trajectory },
            Ending::EventNotANumber { index } => RunError::EventNotANumber { index, time, trajectory },
        })
    }
}
