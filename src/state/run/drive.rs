//! The loop: from point to point of a run, at each of which it records, observes, and decides whether to go on.
//!
//! Covers the order in which that happens, and how a run that was saved goes on. Not here: what is due when (see `agenda`),
//! what one replicate keeps (see `course`), and what is saved (see `checkpoint`).

use crate::Scalar;
use crate::integrate::Output;
use crate::save::{Fingerprint, SaveError};
use crate::state::run::RunError;
use crate::state::run::agenda::{Agenda, Point, Span};
use crate::state::run::checkpoint::{CourseProgress, Progress};
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
        self.plan.check(self.saving.as_ref().map(|saving| saving.every))?;
        let (when, looks): (Vec<_>, Vec<_>) = self.observers.into_iter().unzip();
        drive(&mut Watched { process: self.process, looks, saving: self.saving }, self.plan, &when, end)
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
    /// [`RunError::StepLimit`], [`RunError::EventNotANumber`], [`RunError::NotAdvancing`] and [`RunError::Save`], all with the
    /// trajectory so far.
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
    /// Where the run began.
    start: T,
    /// The work, and steps between saves, if it is saved.
    saves: Option<(Fingerprint, u64)>,
    /// The step of the last save.
    saved_at: u64,
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
    let latest =
        |stage: &dyn Stage<T, S, E>| (1..replicates).fold(stage.time_of(0), |latest, k| latest.max(stage.time_of(k)));
    let saves = stage.saved_every().map(|every| (plan.fingerprint(when, end), every));
    let kept = match saves {
        Some((work, _)) => stage.resume(work).map_err(|source| unsaved(latest(stage), source))?,
        None => None,
    };
    let now = latest(stage);
    let (start, steps) = kept.as_ref().map_or((now, 0), |kept| (kept.start, kept.steps));
    let span = Span::new(start, end, |t| stage.steps_to(t).map(|left| left.saturating_add_unsigned(steps)));
    let mut records = Agenda::new(&plan.output, &span)?;
    let mut observers = Vec::with_capacity(when.len());
    for output in when {
        observers.push(Observer { agenda: Agenda::new(output, &span)?, seen: None });
    }
    let end = span.step_of(end).map_or(End::Time(end), End::Step);
    let resumed = kept.is_some();
    let courses = match kept {
        None => (0..replicates).map(|k| Course::new(k, stage, plan.steady_window)).collect(),
        Some(Progress { seen, courses, .. }) => {
            let fits = |course: &CourseProgress<T, S>| course.sides.len() == plan.events.len();
            if seen.len() != observers.len() || courses.len() != replicates || !courses.iter().all(fits) {
                return Err(unsaved(
                    now,
                    SaveError::content("it is of another number of observers, replicates or events"),
                ));
            }
            // What was due by now is done.
            let point = Point { time: now, steps, within: false };
            records.due(point);
            for (observer, seen) in observers.iter_mut().zip(seen) {
                observer.agenda.due(point);
                observer.seen = seen;
            }
            let courses = courses.into_iter().enumerate().map(|(k, course)| Course::resumed(k, stage, course));
            let unknown = || unsaved(now, SaveError::content("a replicate failed, and the process does not know why"));
            courses.collect::<Option<Vec<_>>>().ok_or_else(unknown)?
        }
    };
    let most_steps = plan.step_limit.or_else(|| stage.most_steps()).unwrap_or(u64::MAX);
    let dense = stage.interpolate_of(0, now).is_some();
    let mut drive = Drive {
        stage,
        plan,
        records,
        observers,
        courses,
        end,
        most_steps,
        dense,
        steps,
        now,
        start,
        saves,
        saved_at: steps,
    };
    drive.prepare(resumed);
    drive.check_steady_is_known()?;
    let mut on = if resumed { drive.is_within_limit() } else { drive.goes_on() };
    while on {
        drive.step();
        on = drive.goes_on();
        drive.save(on);
        on = drive.is_live();
    }
    drive.conclude();
    Ok(drive.courses.into_iter().map(Course::outcome).collect())
}

/// A run that cannot begin for what is saved of it.
fn unsaved<T: Scalar, S, E>(time: T, source: SaveError) -> RunError<E, T, S> {
    RunError::Save { time: time.as_f64(), source, trajectory: Box::new(Trajectory::new()) }
}

impl<T: Scalar, S: Clone, E> Drive<'_, '_, T, S, E> {
    /// Gets the first state ready, and looks at the events where the run begins.
    fn prepare(&mut self, resumed: bool) {
        let mut failures = Vec::new();
        self.stage.prepare_all(&mut failures);
        self.fail(failures);
        if resumed {
            return;
        }
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
        let save = self.saves.map_or(u64::MAX, |(_, every)| self.saved_at.saturating_add(every));
        let next = due.map(|agenda| agenda.next_step(self.steps)).fold(end.min(self.most_steps).min(save), u64::min);
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
            // It may go on later, as if it had not been stopped.
            self.save_now();
            self.stop_by_observer(self.now);
        }
        self.is_within_limit()
    }

    /// Ends a run that has taken as many steps as it may; whether it goes on.
    fn is_within_limit(&mut self) -> bool {
        let steps = self.most_steps;
        if self.steps >= steps {
            self.end_all(self.now, || Ending::StepLimit { steps });
        }
        self.is_live()
    }

    fn is_live(&self) -> bool {
        self.courses.iter().any(Course::is_live)
    }

    /// Saves the run if it is time to, or if it has come to its end.
    fn save(&mut self, goes_on: bool) {
        let Some((_, every)) = self.saves else { return };
        if !goes_on || self.steps - self.saved_at >= every {
            self.save_now();
        }
    }

    fn save_now(&mut self) {
        let Some((work, _)) = self.saves else { return };
        // What failed as a whole is left as it was saved last.
        let courses = self.courses.iter().map(|course| course.progress(self.stage));
        let Some(courses) = courses.collect::<Option<Vec<_>>>() else { return };
        let seen = self.observers.iter().map(|observer| observer.seen).collect();
        let progress = Progress { start: self.start, steps: self.steps, seen, courses };
        self.saved_at = self.steps;
        if let Err(error) = self.stage.save(work, progress) {
            self.end_all(self.now, || Ending::Unsaved(error.clone()));
        }
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
