//! The loop: from point to point of a run, at each of which it records, observes, and decides whether to go on.
//!
//! Covers the order in which that happens. Not here: what is due when (see `agenda`), and what one replicate keeps (see
//! `course`).

use nalgebra::RealField;

use crate::state::run::RunError;
use crate::state::run::agenda::{Agenda, Point, Span};
use crate::state::run::course::{Course, Ending, Happened};
use crate::state::run::plan::{Look, Outcome, Run, Unstarted};
use crate::state::run::process::{Lockstep, Process, Snapshot};
use crate::state::{StopReason, Trajectory};

impl<P: Lockstep + ?Sized> Run<'_, P> {
    /// Runs every replicate to time `end`, or to an event of its own; one result for each. A replicate that has stopped is
    /// no longer looked at, but may be stepped on with the others.
    ///
    /// # Errors
    /// Of the whole run: [`RunError::Output`], [`RunError::Setting`] and [`RunError::SteadyUnknown`], before the first step.
    /// Of a replicate: the others, as [`to`](Self::to).
    pub fn each_to(self, end: P::Scalar) -> Result<Vec<Outcome<P>>, Unstarted<P>> {
        self.check()?;
        drive(self, end)
    }
}

impl<P: Process + ?Sized> Run<'_, P> {
    /// Runs to time `end`, or, where steps are all of one size, to the step nearest to it; an event, a steady state or an
    /// observer may stop it before. What was recorded, and why it stopped, is in the trajectory. Then the process stands
    /// where its trajectory ends, ready for another run.
    ///
    /// # Errors
    /// [`RunError::Output`] for times that are unusable (before the present time or after `end`), [`RunError::Setting`] and
    /// [`RunError::SteadyUnknown`], before the first step; [`RunError::Failed`] if a step fails,
    /// [`RunError::StepLimit`], [`RunError::EventNotANumber`] and [`RunError::NotAdvancing`], all with the trajectory so
    /// far.
    pub fn to(self, end: P::Scalar) -> Outcome<P> {
        // A process is one replicate, and has one outcome.
        self.each_to(end)?.pop().unwrap_or_else(|| Ok(Trajectory::new()))
    }
}

/// An observer with what is due for it.
struct Observer<'r, P: Lockstep + ?Sized> {
    agenda: Agenda<P::Scalar>,
    look: Box<Look<'r, P>>,
    /// The last time it was shown.
    seen: Option<P::Scalar>,
}

/// Where a run ends.
#[derive(Debug, Clone, Copy)]
enum End<T> {
    Time(T),
    /// Steps from the start.
    Step(u64),
}

/// A run under way.
struct Drive<'r, P: Lockstep + ?Sized> {
    /// What was asked for, and the process; output and observers have become agendas.
    run: Run<'r, P>,
    records: Agenda<P::Scalar>,
    observers: Vec<Observer<'r, P>>,
    courses: Vec<Course<P>>,
    end: End<P::Scalar>,
    most_steps: u64,
    dense: bool,
    steps: u64,
    now: P::Scalar,
}

/// Runs to time `end`.
pub(super) fn drive<P: Lockstep + ?Sized>(
    mut run: Run<'_, P>,
    end: P::Scalar,
) -> Result<Vec<Outcome<P>>, Unstarted<P>> {
    let looks = std::mem::take(&mut run.observers);
    let replicates = run.process.replicates();
    if replicates == 0 {
        return Ok(Vec::new());
    }
    // Of lanes that have failed before, none tells the present time.
    let now = (1..replicates).fold(run.process.time_of(0), |latest, k| latest.max(run.process.time_of(k)));
    let span = Span::new(now, end, |t| run.process.steps_to(t));
    let records = Agenda::new(&run.output, &span)?;
    let observers = looks
        .into_iter()
        .map(|(when, look)| Ok(Observer { agenda: Agenda::new(&when, &span)?, look, seen: None }))
        .collect::<Result<_, RunError<_, _, _>>>()?;
    let end = span.step_of(end).map_or(End::Time(end), End::Step);
    let courses = (0..replicates).map(|k| Course::new(k, &*run.process, run.steady_window)).collect();
    let most_steps = run.step_limit.or_else(|| run.process.most_steps()).unwrap_or(u64::MAX);
    let dense = run.process.interpolate_of(0, now).is_some();
    let mut drive = Drive { run, records, observers, courses, end, most_steps, dense, steps: 0, now };
    drive.prepare();
    drive.check_steady_is_known()?;
    while drive.goes_on() {
        drive.step();
    }
    drive.conclude();
    Ok(drive.courses.into_iter().map(Course::outcome).collect())
}

impl<P: Lockstep + ?Sized> Drive<'_, P> {
    /// Gets the first state ready, and looks at the events there.
    fn prepare(&mut self) {
        let mut failures = Vec::new();
        self.run.process.prepare_all(&mut |replicate, error| failures.push((replicate, error)));
        self.fail(failures);
        for course in self.courses.iter_mut().filter(|course| course.is_live()) {
            course.look_at_start(&self.run.events, self.run.process);
        }
    }

    fn check_steady_is_known(&self) -> Result<(), Unstarted<P>> {
        let process = &*self.run.process;
        if self.run.steady_rate.is_some()
            && process.rate_of(0).is_none()
            && process.numbers_of(&process.state_of(0)).is_empty()
        {
            return Err(RunError::SteadyUnknown);
        }
        Ok(())
    }

    /// Ends replicates that failed; time and state are those before the failed step.
    fn fail(&mut self, failures: Vec<(usize, P::Error)>) {
        for (replicate, error) in failures {
            if let Some(course) = self.courses.get_mut(replicate).filter(|course| course.is_live()) {
                let time = self.run.process.time_of(replicate);
                course.end(self.run.process, time, Ending::Failed(error));
            }
        }
    }

    /// Takes a step, or as many as there are until something may be due, and looks for events.
    fn step(&mut self) {
        let since = self.now;
        let until = self.until();
        let target = self.next_point();
        let mut failures = Vec::new();
        while self.steps < target && failures.is_empty() {
            self.run.process.advance_all(until, &mut |replicate, error| failures.push((replicate, error)));
            self.steps += 1;
        }
        let failed = failures.len();
        self.fail(failures);
        let Some(live) = self.courses.iter().position(Course::is_live) else { return };
        self.now = self.run.process.time_of(live);
        if failed == 0 && matches!(self.end, End::Time(_)) && !(self.now > since) {
            return self.end_all(since, || Ending::NotAdvancing);
        }
        if !self.run.events.is_empty() && self.is_checked() {
            for course in self.courses.iter_mut().filter(|course| course.is_live()) {
                course.look(&self.run.events, self.run.process, since, self.dense);
            }
        }
    }

    /// How far a step may go.
    fn until(&self) -> P::Scalar {
        let End::Time(end) = self.end else { return self.now };
        if self.dense {
            return end;
        }
        let due = std::iter::once(&self.records).chain(self.observers.iter().map(|observer| &observer.agenda));
        due.filter_map(Agenda::next_time).fold(end, P::Scalar::min)
    }

    /// The next step after which there is something to do.
    fn next_point(&self) -> u64 {
        let End::Step(end) = self.end else { return self.steps + 1 };
        let due = std::iter::once(&self.records).chain(self.observers.iter().map(|observer| &observer.agenda));
        let next = due.map(|agenda| agenda.next_step(self.steps)).fold(end.min(self.most_steps), u64::min);
        if self.run.events.is_empty() && self.run.steady_rate.is_none() {
            return next;
        }
        next.min((self.steps / self.run.check_every + 1).saturating_mul(self.run.check_every))
    }

    /// Whether events and averages are looked at after this step.
    fn is_checked(&self) -> bool {
        self.dense || self.steps.is_multiple_of(self.run.check_every) || self.is_finished()
    }

    fn is_finished(&self) -> bool {
        match self.end {
            End::Time(end) => self.now >= end,
            End::Step(end) => self.steps >= end,
        }
    }

    /// Records and observes what is due by now, and decides whether the run goes on.
    fn goes_on(&mut self) -> bool {
        let live = self.courses.iter().filter(|course| course.is_live());
        let Some(reach) = live.map(|course| course.reach(self.now)).reduce(P::Scalar::max) else { return false };
        if self.dense {
            while let Some(time) = self.next_time().filter(|&time| time <= reach && time < self.now) {
                if self.report(Point { time, steps: self.steps, within: true }) {
                    self.stop_by_observer(time);
                    return false;
                }
            }
        }
        let stopped = reach == self.now && self.report(Point { time: self.now, steps: self.steps, within: false });
        self.end_by_events(self.now);
        self.end_by_steadiness();
        if self.is_finished() {
            let reason = if self.steps == 0 { StopReason::NoStep } else { StopReason::EndTime };
            self.end_all(self.now, || Ending::Stopped(reason));
        } else if stopped {
            self.stop_by_observer(self.now);
        } else if self.steps >= self.most_steps {
            let steps = self.most_steps;
            self.end_all(self.now, || Ending::StepLimit { steps });
        }
        self.courses.iter().any(Course::is_live)
    }

    /// The next time within the last step at which something is due.
    fn next_time(&self) -> Option<P::Scalar> {
        let due = std::iter::once(&self.records).chain(self.observers.iter().map(|observer| &observer.agenda));
        due.filter_map(Agenda::next_time).reduce(P::Scalar::min)
    }

    /// Records and observes at one point; whether an observer wants to stop.
    fn report(&mut self, point: Point<P::Scalar>) -> bool {
        let now = self.now;
        if self.records.due(point) {
            let reaching = |course: &&mut Course<P>| course.is_live() && course.reach(now) >= point.time;
            for course in self.courses.iter_mut().filter(reaching) {
                course.record(self.run.process, point.time);
            }
        }
        let mut stopped = false;
        for observer in &mut self.observers {
            if observer.agenda.due(point) {
                stopped |= observer.show(self.run.process, point.time);
            }
        }
        stopped
    }

    /// Ends the replicates of which an event happened by that time.
    fn end_by_events(&mut self, by: P::Scalar) {
        for (replicate, course) in self.courses.iter_mut().enumerate().filter(|(_, course)| course.is_live()) {
            if let Some(happened) = course.happened.filter(|happened| happened.time <= by) {
                let Happened { index, time, is_number } = happened;
                let ending = if is_number {
                    let step = self.run.process.work_of(replicate).accepted_steps;
                    Ending::Stopped(StopReason::Event { index, time, step })
                } else {
                    Ending::EventNotANumber { index }
                };
                course.end(self.run.process, time, ending);
            }
        }
    }

    fn end_by_steadiness(&mut self) {
        let Some(steady) = self.run.steady_rate else { return };
        let (time, checked) = (self.now, self.is_checked());
        for course in self.courses.iter_mut().filter(|course| course.is_live()) {
            if let Some(rate) = course.rate(self.run.process, checked).filter(|&rate| rate <= steady) {
                course.end(self.run.process, time, Ending::Stopped(StopReason::SteadyState { time, rate }));
            }
        }
    }

    fn stop_by_observer(&mut self, time: P::Scalar) {
        self.end_by_events(time);
        self.end_all(time, || Ending::Stopped(StopReason::Observer { time }));
    }

    /// Ends what still runs.
    fn end_all(&mut self, time: P::Scalar, ending: impl Fn() -> Ending<P::Scalar, P::Error>) {
        for course in self.courses.iter_mut().filter(|course| course.is_live()) {
            course.end(self.run.process, time, ending());
        }
    }

    /// Shows the observers where the run has stopped, and leaves the process there.
    fn conclude(&mut self) {
        let Some(time) = self.courses.iter().filter_map(Course::stopped_at).reduce(P::Scalar::max) else { return };
        for observer in self.observers.iter_mut().filter(|observer| observer.seen != Some(time)) {
            observer.show(self.run.process, time);
        }
        if self.dense && time < self.now {
            self.run.process.rewind_all(time);
        }
    }
}

impl<P: Lockstep + ?Sized> Observer<'_, P> {
    /// Shows the process at a time of the last step; whether the observer wants to stop.
    fn show(&mut self, process: &P, time: P::Scalar) -> bool {
        self.seen = Some(time);
        (self.look)(&Snapshot { time, process }).is_break()
    }
}
