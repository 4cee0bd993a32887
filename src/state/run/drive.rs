//! The loop: from point to point of a run, at each of which it records, observes, and decides whether to go on.
//!
//! Covers the order in which that happens. Not here: what is due when (see `agenda`), and what one replicate keeps (see
//! `course`).

use crate::Scalar;
use crate::integrate::Output;
use crate::state::run::RunError;
use crate::state::run::agenda::{Agenda, Point, Span};
use crate::state::run::course::{Course, Ending, Happened};
use crate::state::run::plan::{Outcome, Plan, Run, Unstarted};
use crate::state::run::process::{Lockstep, Process};
use crate::state::run::stage::{Stage, Watched};
use crate::state::{StopReason, Trajectory};

impl<P: Lockstep + ?Sized> Run<'_, P> {
    /// Runs every replicate to time `end`, or to an event of its own; one result for each. A replicate that has stopped is
    /// no longer looked at, but may be stepped on with the others.
    ///
    /// # Errors
    /// Of the whole run: [`RunError::Output`], [`RunError::Setting`] and [`RunError::SteadyUnknown`], before the first step.
    /// Of a replicate: the others, as [`to`](Self::to).
    pub fn each_to(self, end: P::Scalar) -> Result<Vec<Outcome<P>>, Unstarted<P>> {
        self.plan.check()?;
        let (when, looks): (Vec<_>, Vec<_>) = self.observers.into_iter().unzip();
        drive(&mut Watched { process: self.process, looks }, self.plan, &when, end)
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

/// When an observer looks.
struct Observer<T> {
    agenda: Agenda<T>,
    /// The last time it was shown.
    seen: Option<T>,
}

/// Where a run ends.
#[derive(Debug, Clone, Copy)]
enum End<T> {
    Time(T),
    /// Steps from the start.
    Step(u64),
}

/// A run under way.
struct Drive<'d, 'r, T: Scalar, S, E> {
    stage: &'d mut dyn Stage<T, S, E>,
    /// What was asked for; output and observers have become agendas.
    plan: Plan<'r, T, S>,
    records: Agenda<T>,
    observers: Vec<Observer<T>>,
    courses: Vec<Course<T, S, E>>,
    end: End<T>,
    most_steps: u64,
    dense: bool,
    steps: u64,
    now: T,
}

/// What came of every replicate, or why the run did not start.
type Outcomes<T, S, E> = Result<Vec<Result<Trajectory<T, S>, RunError<E, T, S>>>, RunError<E, T, S>>;

/// Runs to time `end`; `when` has the output times of the observers.
fn drive<T: Scalar, S: Clone, E>(
    stage: &mut dyn Stage<T, S, E>,
    plan: Plan<'_, T, S>,
    when: &[Output<T>],
    end: T,
) -> Outcomes<T, S, E> {
    let replicates = stage.replicates();
    if replicates == 0 {
        return Ok(Vec::new());
    }
    // Of lanes that have failed before, none tells the present time.
    let now = (1..replicates).fold(stage.time_of(0), |latest, k| latest.max(stage.time_of(k)));
    let span = Span::new(now, end, |t| stage.steps_to(t));
    let records = Agenda::new(&plan.output, &span)?;
    let mut observers = Vec::with_capacity(when.len());
    for output in when {
        observers.push(Observer { agenda: Agenda::new(output, &span)?, seen: None });
    }
    let end = span.step_of(end).map_or(End::Time(end), End::Step);
    let courses = (0..replicates).map(|k| Course::new(k, stage, plan.steady_window)).collect();
    let most_steps = plan.step_limit.or_else(|| stage.most_steps()).unwrap_or(u64::MAX);
    let dense = stage.interpolate_of(0, now).is_some();
    let mut drive = Drive { stage, plan, records, observers, courses, end, most_steps, dense, steps: 0, now };
    drive.prepare();
    drive.check_steady_is_known()?;
    while drive.goes_on() {
        drive.step();
    }
    drive.conclude();
    Ok(drive.courses.into_iter().map(Course::outcome).collect())
}

impl<T: Scalar, S: Clone, E> Drive<'_, '_, T, S, E> {
    /// Gets the first state ready, and looks at the events there.
    fn prepare(&mut self) {
        let mut failures = Vec::new();
        self.stage.prepare_all(&mut failures);
        self.fail(failures);
        for course in self.courses.iter_mut().filter(|course| course.is_live()) {
            course.look_at_start(&self.plan.events, self.stage);
        }
    }

    fn check_steady_is_known(&self) -> Result<(), RunError<E, T, S>> {
        let process = &*self.stage;
        if self.plan.steady_rate.is_some()
            && process.rate_of(0).is_none()
            && process.numbers_of(&process.state_of(0)).is_empty()
        {
            return Err(RunError::SteadyUnknown);
        }
        Ok(())
    }

    /// Ends replicates that failed; time and state are those before the failed step.
    fn fail(&mut self, failures: Vec<(usize, E)>) {
        for (replicate, error) in failures {
            if let Some(course) = self.courses.get_mut(replicate).filter(|course| course.is_live()) {
                let time = self.stage.time_of(replicate);
                course.end(self.stage, time, Ending::Failed(error));
            }
        }
    }

    /// Takes a step, or as many as there are until something may be due, and looks for events.
    fn step(&mut self) {
        let since = self.now;
        let until = self.until();
        let target = self.next_point();
        let mut failures = Vec::new();
        self.steps += self.stage.advance_all(until, target - self.steps, &mut failures);
        let failed = failures.len();
        self.fail(failures);
        let Some(live) = self.courses.iter().position(Course::is_live) else { return };
        self.now = self.stage.time_of(live);
        if failed == 0 && matches!(self.end, End::Time(_)) && !(self.now > since) {
            return self.end_all(since, || Ending::NotAdvancing);
        }
        if !self.plan.events.is_empty() && self.is_checked() {
            for course in self.courses.iter_mut().filter(|course| course.is_live()) {
                course.look(&self.plan.events, self.stage, since, self.dense);
            }
        }
    }

    /// How far a step may go.
    fn until(&self) -> T {
        let End::Time(end) = self.end else { return self.now };
        if self.dense {
            return end;
        }
        let due = std::iter::once(&self.records).chain(self.observers.iter().map(|observer| &observer.agenda));
        due.filter_map(Agenda::next_time).fold(end, T::min)
    }

    /// The next step after which there is something to do.
    fn next_point(&self) -> u64 {
        let End::Step(end) = self.end else { return self.steps + 1 };
        let due = std::iter::once(&self.records).chain(self.observers.iter().map(|observer| &observer.agenda));
        let next = due.map(|agenda| agenda.next_step(self.steps)).fold(end.min(self.most_steps), u64::min);
        if self.plan.events.is_empty() && self.plan.steady_rate.is_none() {
            return next;
        }
        next.min((self.steps / self.plan.check_every + 1).saturating_mul(self.plan.check_every))
    }

    /// Whether events and averages are looked at after this step.
    fn is_checked(&self) -> bool {
        self.dense || self.steps.is_multiple_of(self.plan.check_every) || self.is_finished()
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
        let Some(reach) = live.map(|course| course.reach(self.now)).reduce(T::max) else { return false };
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
    fn next_time(&self) -> Option<T> {
        let due = std::iter::once(&self.records).chain(self.observers.iter().map(|observer| &observer.agenda));
        due.filter_map(Agenda::next_time).reduce(T::min)
    }

    /// Records and observes at one point; whether an observer wants to stop.
    fn report(&mut self, point: Point<T>) -> bool {
        let now = self.now;
        if self.records.due(point) {
            let reaching = |course: &&mut Course<T, S, E>| course.is_live() && course.reach(now) >= point.time;
            for course in self.courses.iter_mut().filter(reaching) {
                course.record(self.stage, point.time);
            }
        }
        let mut stopped = false;
        for (k, observer) in self.observers.iter_mut().enumerate() {
            if observer.agenda.due(point) {
                observer.seen = Some(point.time);
                stopped |= self.stage.show(k, point.time);
            }
        }
        stopped
    }

    /// Ends the replicates of which an event happened by that time.
    fn end_by_events(&mut self, by: T) {
        for (replicate, course) in self.courses.iter_mut().enumerate().filter(|(_, course)| course.is_live()) {
            if let Some(happened) = course.happened.filter(|happened| happened.time <= by) {
                let Happened { index, time, is_number } = happened;
                let ending = if is_number {
                    let step = self.stage.work_of(replicate).accepted_steps;
                    Ending::Stopped(StopReason::Event { index, time, step })
                } else {
                    Ending::EventNotANumber { index }
                };
                course.end(self.stage, time, ending);
            }
        }
    }

    fn end_by_steadiness(&mut self) {
        let Some(steady) = self.plan.steady_rate else { return };
        let (time, checked) = (self.now, self.is_checked());
        for course in self.courses.iter_mut().filter(|course| course.is_live()) {
            if let Some(rate) = course.rate(self.stage, checked).filter(|&rate| rate <= steady) {
                course.end(self.stage, time, Ending::Stopped(StopReason::SteadyState { time, rate }));
            }
        }
    }

    fn stop_by_observer(&mut self, time: T) {
        self.end_by_events(time);
        self.end_all(time, || Ending::Stopped(StopReason::Observer { time }));
    }

    /// Ends what still runs.
    fn end_all(&mut self, time: T, ending: impl Fn() -> Ending<T, E>) {
        for course in self.courses.iter_mut().filter(|course| course.is_live()) {
            course.end(self.stage, time, ending());
        }
    }

    /// Shows the observers where the run has stopped, and leaves the process there.
    fn conclude(&mut self) {
        let Some(time) = self.courses.iter().filter_map(Course::stopped_at).reduce(T::max) else { return };
        for (k, _) in self.observers.iter().enumerate().filter(|(_, observer)| observer.seen != Some(time)) {
            self.stage.show(k, time);
        }
        if self.dense && time < self.now {
            self.stage.rewind_all(time);
        }
    }
}
