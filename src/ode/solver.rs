//! Solving the reduced ODE: from a start to an end time, an event or a steady state.
//!
//! Covers the settings, the check of the start, and when a solution counts as diverging. Not here: the loop (see
//! [`Run`]), the right-hand side (see `reduced` and `system`).

use std::cell::Cell;
use std::fmt;
use std::ops::ControlFlow;

use crate::Scalar;
use crate::integrate::{DormandPrince, Integrator, Output, System, Work};
use crate::limit::{Compiled, LimitError};
use crate::model::{ScheduleError, Schedules};
use crate::ode::growth::{GROWTH_LIMIT, Growth};
use crate::ode::{OdeSystem, RatesError, ReducedOde};
use crate::start::check_state;
use crate::state::{
    Direction, Integration, IntegrationError, OrderParameters, OrderParametersError, Run, RunError, StopReason,
    Trajectory, unpack,
};

/// Why an ODE could not be solved.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OdeError<T: Scalar = f64> {
    /// The start does not satisfy the constraint.
    #[error(transparent)]
    Start(#[from] OrderParametersError),
    /// The growth that counts as divergence is out of range.
    #[error("the growth of R that counts as divergence must be above 1, got {value}")]
    GrowthLimit {
        /// The value given.
        value: f64,
    },
    /// The run failed.
    #[error(transparent)]
    Run(#[from] RunError<OdeFailure<T>, T>),
}

impl<T: Scalar> OdeError<T> {
    /// What was recorded before the failure; `None` if the run did not start.
    #[must_use]
    pub fn trajectory(&self) -> Option<&Trajectory<T>> {
        if let Self::Run(error) = self { error.trajectory() } else { None }
    }
}

/// Why a step of the ODE failed; the state is the one before it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OdeFailure<T: Scalar = f64> {
    /// The coefficients could not be computed.
    #[error(transparent)]
    Limit(#[from] LimitError<T>),
    /// The new state is outside the feasible set by more than the integration error explains.
    #[error("the new state is not feasible ({0}): ask the integrator for a smaller tolerance or step")]
    Infeasible(OrderParametersError),
    /// The schedules do not suit the model, or have no usable value at that time.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// The weights have grown out of all proportion.
    #[error(
        "the solution diverges: the largest R_ii has grown {growth:.0}-fold (relative to 1, or to the start if that is \
         larger); lower the learning rate, add weight decay, or allow more with `growth_limit`"
    )]
    Diverged {
        /// The largest R_ii of the new state over that of the start, or over 1 if that is larger.
        growth: f64,
    },
    /// The new state or its rates are not finite.
    #[error("the new state is not finite: the solution diverges there, or the step is far too large")]
    NotFinite,
    /// No step is small enough to meet the tolerance.
    #[error("no step meets the tolerance: the solution diverges there, or the tolerance is below rounding")]
    StepTooSmall,
    /// The integrator made a step of another length.
    #[error("the ODE has dimension {dimension}, and the integrator made a step of {length} numbers")]
    Length {
        /// The dimension of the ODE.
        dimension: usize,
        /// The numbers of the step.
        length: usize,
    },
}

impl<T: Scalar> From<RatesError<T>> for OdeFailure<T> {
    fn from(error: RatesError<T>) -> Self {
        match error {
            RatesError::Limit(error) => Self::Limit(error),
            RatesError::Infeasible(error) => Self::Infeasible(error),
            RatesError::Schedule(error) => Self::Schedule(error),
        }
    }
}

impl<T: Scalar> From<IntegrationError<Self>> for OdeFailure<T> {
    fn from(error: IntegrationError<Self>) -> Self {
        match error {
            IntegrationError::System(error) => error,
            IntegrationError::StepTooSmall => Self::StepTooSmall,
            IntegrationError::NotFinite => Self::NotFinite,
            IntegrationError::Length { dimension, length } => Self::Length { dimension, length },
        }
    }
}

/// The most steps of a run by default.
pub(crate) const STEP_LIMIT: u64 = 1_000_000;

/// Solves a [`ReducedOde`]; made by [`ReducedOde::solver`].
///
/// | setter | meaning | default |
/// |---|---|---|
/// | [`integrator`](Self::integrator) | the method | [`DormandPrince::default`] |
/// | [`output`](Self::output) | when to record | [`Output::Stop`] |
/// | [`event`](Self::event) | stop when a function changes sign | none |
/// | [`steady_rate`](Self::steady_rate) | stop when nothing moves faster | never |
/// | [`schedules`](Self::schedules) | learning rate and others as functions of time | the model's own, constant |
/// | [`observe`](Self::observe) | look at the solution, and stop if need be | none |
/// | [`step_limit`](Self::step_limit) | most steps | 10⁶ |
/// | [`growth_limit`](Self::growth_limit) | growth of R that counts as divergence | 1000 |
///
/// All but the first and the last are those of [`Run`].
///
/// ```
/// use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, Tanh};
/// use contrastive_dynamics::state::{Direction, StopReason};
/// use contrastive_dynamics::ode::ReducedOde;
/// use contrastive_dynamics::state::OrderParameters;
/// let model = Model::builder()
///     .nonlinearity(Tanh)
///     .hidden(Independent::new([Law::two_point(2.25)?])?)
///     .noise(GaussianNoise::correlated(0.3, -0.5)?)
///     .learning_rate(0.3)
///     .weight_decay(0.5)
///     .build()?;
/// let ode = ReducedOde::new(&model)?;
/// let start = OrderParameters::from_rows(1, 1, &[0.4], &[0.8])?;
/// let cosine = |_: f64, state: &OrderParameters| state.cosine_similarity(0, 0).unwrap_or(0.0) - 0.8;
/// let trajectory = ode.solver().event(Direction::AtOrAbove, cosine).solve(&start, 100.0)?;
/// let StopReason::Event { time, .. } = trajectory.stop_reason() else { panic!("it learns") };
/// let (end, state) = trajectory.last().ok_or("empty")?;
/// assert_eq!(end, time);
/// assert!(cosine(end, state).abs() < 1e-9);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Solver<'o, 'a, T: Scalar = f64, I = DormandPrince<T>> {
    ode: &'o ReducedOde<'a, T>,
    integrator: I,
    output: Output<T>,
    events: Vec<(Direction, Box<EventFunction<'o, T>>)>,
    steady_rate: Option<T>,
    /// Taken out while they are called.
    observers: Cell<Observers<'o, T>>,
    schedules: Schedules,
    step_limit: u64,
    growth_limit: T,
}

type EventFunction<'o, T> = dyn Fn(T, &OrderParameters<T>) -> T + 'o;
type Observers<'o, T> = Vec<(Output<T>, Box<dyn FnMut(T, &OrderParameters<T>) -> ControlFlow<()> + 'o>)>;

impl<T: Compiled, I: fmt::Debug> fmt::Debug for Solver<'_, '_, T, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Solver")
            .field("ode", &self.ode)
            .field("integrator", &self.integrator)
            .field("output", &self.output)
            .field("events", &self.events.len())
            .field("steady_rate", &self.steady_rate)
            .field("step_limit", &self.step_limit)
            .field("growth_limit", &self.growth_limit)
            .finish_non_exhaustive()
    }
}

impl<'o, 'a, T: Compiled> Solver<'o, 'a, T> {
    pub(super) fn new(ode: &'o ReducedOde<'a, T>) -> Self {
        Self {
            ode,
            integrator: DormandPrince::default(),
            output: Output::Stop,
            events: Vec::new(),
            steady_rate: None,
            observers: Cell::default(),
            schedules: Schedules::new(),
            step_limit: STEP_LIMIT,
            growth_limit: T::lit(GROWTH_LIMIT),
        }
    }
}

impl<'o, 'a, T: Compiled, I: Integrator<T>> Solver<'o, 'a, T, I> {
    /// Steps with that method.
    #[must_use]
    pub fn integrator<J: Integrator<T>>(self, integrator: J) -> Solver<'o, 'a, T, J> {
        let Self { ode, output, events, steady_rate, observers, schedules, step_limit, growth_limit, .. } = self;
        Solver { ode, integrator, output, events, steady_rate, observers, schedules, step_limit, growth_limit }
    }

    /// Records at those times. States between two steps are interpolated: they are feasible up to the error of the step only, where
    /// those at its ends are checked.
    #[must_use]
    pub fn output(mut self, output: Output<T>) -> Self {
        self.output = output;
        self
    }

    /// Stops where `function` of time and state changes its sign in that direction, at the very time. Several events are
    /// counted from 0 in the order of these calls. As with [`output`](Self::output), states between two steps are interpolated.
    #[must_use]
    #[doc(alias = "stop_at")]
    #[doc(alias = "stop_when")]
    #[doc(alias = "terminate")]
    pub fn event(mut self, direction: Direction, function: impl Fn(T, &OrderParameters<T>) -> T + 'o) -> Self {
        self.events.push((direction, Box::new(function)));
        self
    }

    /// Stops where every |dQ_li/dt| and |dR_ij/dt| is at most `rate`.
    #[must_use]
    pub fn steady_rate(mut self, rate: T) -> Self {
        self.steady_rate = Some(rate);
        self
    }

    /// Shows time and state to `look` at those times or steps and where the run stops; see [`Run::observe`].
    #[must_use]
    pub fn observe(
        mut self,
        when: Output<T>,
        look: impl FnMut(T, &OrderParameters<T>) -> ControlFlow<()> + 'o,
    ) -> Self {
        self.observers.get_mut().push((when, Box::new(look)));
        self
    }

    /// Lets numbers of the model follow those schedules, from t = 0 on. A step ends wherever one of them jumps or bends.
    #[must_use]
    pub fn schedules(mut self, schedules: &Schedules) -> Self {
        self.schedules = schedules.clone();
        self
    }

    /// Takes at most that many steps.
    #[must_use]
    pub fn step_limit(mut self, steps: u64) -> Self {
        self.step_limit = steps;
        self
    }

    /// Takes the solution for diverging where the largest R_ii is above `growth` times that of the start, or above `growth`
    /// if the start is below 1: [`OdeFailure::Diverged`]. Infinite for never.
    #[must_use]
    pub fn growth_limit(mut self, growth: T) -> Self {
        self.growth_limit = growth;
        self
    }

    /// Solves from `start` at t = 0 to t = `end`, or to the first event or steady state.
    ///
    /// # Errors
    /// [`OdeError::Start`] for a start that does not satisfy the constraint, [`OdeError::GrowthLimit`], and
    /// [`OdeError::Run`] with what [`Run::to`] reports: a failed step with its [`OdeFailure`] and the trajectory so far.
    pub fn solve(&self, start: &OrderParameters<T>, end: T) -> Result<Trajectory<T>, OdeError<T>> {
        check_state(self.ode.constraint(), start)?;
        if !(self.growth_limit > T::one()) {
            return Err(OdeError::GrowthLimit { value: self.growth_limit.as_f64() });
        }
        let system = match self.ode.scheduled_system(start, &self.schedules) {
            Ok(system) => system,
            Err(error) => return Err(not_started(start, error.into()).into()),
        };
        let (p, m) = (start.n_features(), start.n_neurons());
        let state = move |y: &[T]| {
            let (q, r) = unpack(p, m, y);
            OrderParameters::from_parts(q, r)
        };
        let system = Watched { system, growth: Growth::new(start, self.growth_limit) };
        let packed = start.to_packed().as_slice().to_vec();
        let mut solution = Integration::new(system, &self.integrator, T::zero(), packed).reading(state);
        let mut observers = self.observers.take();
        let mut run = Run::of(&mut solution).output(self.output.clone()).step_limit(self.step_limit);
        for (direction, function) in &self.events {
            run = run.event(*direction, function);
        }
        if let Some(rate) = self.steady_rate {
            run = run.steady_rate(rate);
        }
        for (when, look) in &mut observers {
            run = run.observe(when.clone(), |seen| look(seen.time(), &seen.state()));
        }
        let outcome = run.to(end);
        self.observers.set(observers);
        Ok(outcome.map_err(|error| error.map_source(OdeFailure::from))?)
    }
}

/// The failure of a run that has no first step.
fn not_started<T: Scalar>(start: &OrderParameters<T>, source: OdeFailure<T>) -> RunError<OdeFailure<T>, T> {
    let mut trajectory = Trajectory::new();
    trajectory.push(T::zero(), start.clone());
    trajectory.stop = StopReason::Failure { time: T::zero() };
    RunError::Failed { time: 0.0, source, trajectory: Box::new(trajectory) }
}

/// The right-hand side, with an eye on the growth of R.
struct Watched<'o, 'a, T: Scalar> {
    system: OdeSystem<'o, 'a, T>,
    growth: Growth<T>,
}

impl<T: Compiled> System<T> for Watched<'_, '_, T> {
    type Error = OdeFailure<T>;

    fn dimension(&self) -> usize {
        self.system.dimension()
    }

    fn rates(&mut self, t: T, y: &[T], rates: &mut [T]) -> Result<(), OdeFailure<T>> {
        Ok(self.system.rates(t, y, rates)?)
    }

    fn jacobian(&mut self, t: T, y: &[T], jacobian: &mut [T]) -> Result<(), OdeFailure<T>> {
        Ok(System::jacobian(&mut self.system, t, y, jacobian)?)
    }

    fn accepted(&mut self, t: T, y: &[T]) -> Result<bool, OdeFailure<T>> {
        if let Some(growth) = self.growth.excess(y) {
            return Err(OdeFailure::Diverged { growth: growth.as_f64() });
        }
        Ok(self.system.accepted(t, y)?)
    }

    fn next_break(&self, t: T) -> Option<T> {
        self.system.next_break(t)
    }

    fn work(&self) -> Work {
        self.system.work()
    }
}
