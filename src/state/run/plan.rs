//! What a run is asked for: [`Run`].
//!
//! Covers the settings and their checks. Not here: the verbs that start the loop, and the loop (see `drive`).

use std::fmt;
use std::ops::ControlFlow;

use crate::Scalar;
use crate::integrate::Output;
use crate::save::{Fingerprint, Store};
use crate::state::Trajectory;
use crate::state::run::RunError;
use crate::state::run::checkpoint::{Checkpoint, RunProgress};
use crate::state::run::event::{Direction, Event};
use crate::state::run::process::{Lockstep, Snapshot};
use crate::state::run::saving::Saving;

/// The result of running one process, or one replicate of a [`Lockstep`].
pub type Outcome<P> = Result<
    Trajectory<<P as Lockstep>::Scalar, <P as Lockstep>::State>,
    RunError<<P as Lockstep>::Error, <P as Lockstep>::Scalar, <P as Lockstep>::State>,
>;

/// Why a run as a whole did not start.
pub(super) type Unstarted<P> = RunError<<P as Lockstep>::Error, <P as Lockstep>::Scalar, <P as Lockstep>::State>;

/// A function that looks at a run, and may stop it.
pub(super) type Look<'r, P> = dyn FnMut(&Snapshot<'_, P>) -> ControlFlow<()> + 'r;

/// One run of a process: the loop around its steps that records, observes and stops. It is the same for the solver of the
/// ODE, the simulators, particles, grids, and whatever else implements [`Process`](crate::state::Process).
///
/// | setter | meaning | default |
/// |---|---|---|
/// | [`output`](Self::output) | when to record | [`Output::Stop`] |
/// | [`event`](Self::event) | stop when a function changes sign | none |
/// | [`check_every`](Self::check_every) | look at events, and at averages, after so many steps | 1 |
/// | [`steady_rate`](Self::steady_rate) | stop when nothing moves faster | never |
/// | [`steady_window`](Self::steady_window) | over which time averages are taken, where the rate is not known | 1 |
/// | [`observe`](Self::observe) | look at the process itself, and stop if need be | none |
/// | [`saved_in`](Self::saved_in) | keep it on the way, and go on from what is kept | not |
/// | [`step_limit`](Self::step_limit) | most steps | [that of the process](crate::state::Process::step_limit) |
///
/// [`to`](Self::to) runs, [`each_to`](Self::each_to) runs replicates in lock-step.
///
/// ```
/// use std::ops::ControlFlow;
///
/// use contrastive_dynamics::state::OrderParameters;
/// use contrastive_dynamics::integrate::Output;
/// use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, Tanh};
/// use contrastive_dynamics::sgd::{DirectSgd, Simulator};
/// use contrastive_dynamics::state::{Direction, Run, StopReason};
/// let model = Model::builder()
///     .nonlinearity(Tanh)
///     .hidden(Independent::new([Law::two_point(2.25)?])?)
///     .noise(GaussianNoise::correlated(0.3, -0.5)?)
///     .learning_rate(0.3)
///     .weight_decay(0.5)
///     .build()?;
/// let start = OrderParameters::from_rows(1, 1, &[0.4], &[0.8])?;
/// let mut sgd = DirectSgd::builder(&model, 500).start(&start).build_seeded(1)?;
/// let mut largest: f64 = 0.0;
/// let trajectory = Run::of(&mut sgd)
///     .output(Output::Times(vec![0.0, 1.0, 2.0]))
///     .event(Direction::AtOrAbove, |_, state| state.cosine_similarity(0, 0).unwrap_or(0.0) - 0.7)
///     .observe(Output::EverySteps(100), |seen| {
///         largest = largest.max(seen.process().weights().amax());
///         ControlFlow::Continue(())
///     })
///     .to(100.0)?;
/// let StopReason::Event { time, step, .. } = trajectory.stop_reason() else { panic!("it learns") };
/// assert_eq!((step, time), (sgd.steps(), Simulator::time(&sgd)));
/// assert!(largest > 1.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// At one point of a run an event comes before a steady state, that before the end, the end before an observer's wish, and
/// that before the step limit.
pub struct Run<'r, P: Lockstep + ?Sized> {
    pub(super) process: &'r mut P,
    pub(super) plan: Plan<'r, P::Scalar, P::State>,
    pub(super) observers: Vec<(Output<P::Scalar>, Box<Look<'r, P>>)>,
    pub(super) saving: Option<Saving<'r, P>>,
}

/// What is asked of a run, whatever the process.
pub(super) struct Plan<'r, T, S> {
    pub(super) output: Output<T>,
    pub(super) events: Vec<Event<'r, T, S>>,
    pub(super) check_every: u64,
    pub(super) steady_rate: Option<T>,
    pub(super) steady_window: T,
    pub(super) step_limit: Option<u64>,
}

impl<P: Lockstep + ?Sized> fmt::Debug for Run<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("output", &self.plan.output)
            .field("events", &self.plan.events.len())
            .field("check_every", &self.plan.check_every)
            .field("steady_rate", &self.plan.steady_rate)
            .field("steady_window", &self.plan.steady_window)
            .field("observers", &self.observers.len())
            .field("saved", &self.saving.is_some())
            .field("step_limit", &self.plan.step_limit)
            .finish_non_exhaustive()
    }
}

impl<'r, P: Lockstep + ?Sized> Run<'r, P> {
    /// A run of that process from where it stands, with the defaults above.
    #[must_use]
    pub fn of(process: &'r mut P) -> Self {
        Self {
            process,
            plan: Plan {
                output: Output::Stop,
                events: Vec::new(),
                check_every: 1,
                steady_rate: None,
                steady_window: P::Scalar::lit(1.0),
                step_limit: None,
            },
            observers: Vec::new(),
            saving: None,
        }
    }

    /// Records at those times or steps. The state at which the run stops is recorded in any case.
    #[must_use]
    pub fn output(mut self, output: Output<P::Scalar>) -> Self {
        self.plan.output = output;
        self
    }

    /// Stops when `function` of time and state changes its sign in that direction. Several events are counted from 0 in the
    /// order of these calls.
    ///
    /// A process with dense output stops at the very time of the change, to the last bit; another after the first step at
    /// which the sign has changed. Of several that happen there the first in time counts, then the first in number.
    #[doc(alias = "run_until")]
    #[doc(alias = "stop_at")]
    #[doc(alias = "stop_when")]
    #[must_use]
    pub fn event(mut self, direction: Direction, function: impl Fn(P::Scalar, &P::State) -> P::Scalar + 'r) -> Self {
        self.plan.events.push(Event { direction, function: Box::new(function) });
        self
    }

    /// Looks at events, and at averages for a steady state, only after every so many steps and at the end: what a
    /// simulator's state costs may be more than a step. A process with dense output is looked at after every step.
    #[must_use]
    pub fn check_every(mut self, steps: u64) -> Self {
        self.plan.check_every = steps;
        self
    }

    /// Stops where the state is steady: no number of it changes faster than `rate`.
    ///
    /// A process that knows its rate of change ([`Process::rate`](crate::state::Process::rate); the ODE does) is asked for
    /// it at every step. Of any other, such as a simulator, the state is averaged over successive windows of time
    /// ([`steady_window`](Self::steady_window)), by the trapezoidal rule; it is steady at the end of the first window whose
    /// averages differ from those of the window before by at most `rate` per unit of time. Averages of noise of standard
    /// deviation s that is forgotten in a time θ differ by about 2s√(θ/window), so the rate must be well above that over the
    /// window, or the windows longer.
    #[must_use]
    pub fn steady_rate(mut self, rate: P::Scalar) -> Self {
        self.plan.steady_rate = Some(rate);
        self
    }

    /// Averages over windows of that length in t; see [`steady_rate`](Self::steady_rate).
    #[must_use]
    pub fn steady_window(mut self, length: P::Scalar) -> Self {
        self.plan.steady_window = length;
        self
    }

    /// Shows the process to `look` at those times or steps and where the run stops: to keep what is read off it, to draw,
    /// or to stop, by [`ControlFlow::Break`]. Nothing is recorded for it. Several observers are called in the order of these
    /// calls. An observer is not called for a run that fails.
    #[must_use]
    pub fn observe(
        mut self,
        when: Output<P::Scalar>,
        look: impl FnMut(&Snapshot<'_, P>) -> ControlFlow<()> + 'r,
    ) -> Self {
        self.observers.push((when, Box::new(look)));
        self
    }

    /// Keeps process and run in `store` after every so many steps and at the end, and, if something is kept there already, goes
    /// on from it: to the same trajectory, to the last bit, as without an interruption. Of what is kept the trajectory is a
    /// part, so records and saves had better not both be many.
    ///
    /// What is kept is taken for this run if model, sizes, output, events' directions, settings and end are the same; the
    /// functions of events and observers are not known, and must be. Observers are not called again for what they have seen.
    #[must_use]
    pub fn saved_in<V>(mut self, store: V, every: u64) -> Self
    where
        P: Checkpoint,
        V: Store<RunProgress<P::Saved, P::Scalar, P::State>> + 'r,
    {
        self.saving = Some(Saving::new(store, every));
        self
    }

    /// Takes at most that many steps. Of a run that is saved all count, from its very beginning.
    #[must_use]
    pub fn step_limit(mut self, steps: u64) -> Self {
        self.plan.step_limit = Some(steps);
        self
    }
}

impl<T: Scalar, S> Plan<'_, T, S> {
    /// What is asked for, in one number; `when` has the output times of the observers.
    pub(super) fn fingerprint(&self, when: &[Output<T>], end: T) -> Fingerprint {
        let mut work = Fingerprint::of("a run").numbers([end, self.steady_window]).count(self.check_every);
        work = work.numbers(self.steady_rate);
        for output in std::iter::once(&self.output).chain(when) {
            work = work.text(&format!("{output:?}"));
        }
        self.events.iter().fold(work, |work, event| work.text(&format!("{:?}", event.direction)))
    }

    /// Whether the settings other than outputs are in range; `every`: steps between saves.
    pub(super) fn check<E>(&self, every: Option<u64>) -> Result<(), RunError<E, T, S>> {
        let setting = |name, range, value: f64| Err(RunError::Setting { name, range, value });
        if let Some(rate) = self.steady_rate
            && !(rate.as_f64() >= 0.0)
        {
            return setting("steady rate", "at least 0", rate.as_f64());
        }
        let window = self.steady_window.as_f64();
        if !(window > 0.0 && window.is_finite()) {
            return setting("steady window", "positive and finite", window);
        }
        if every == Some(0) {
            return setting("number of steps between saves", "at least 1", 0.0);
        }
        if self.check_every == 0 {
            return setting("number of steps between checks", "at least 1", 0.0);
        }
        Ok(())
    }
}
