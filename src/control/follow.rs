//! A solution whose steps are kept, with what it is worth.

use crate::Scalar;
use crate::control::error::{not_finite, rates_failed};
use crate::control::{ControlError, Functional, Objective};
use crate::integrate::{DormandPrince, NODES, STAGES, System, Work};
use crate::limit::Compiled;
use crate::model::Schedules;
use crate::ode::{GROWTH_LIMIT, Growth, OdeError, OdeFailure, OdeSystem, RatesError, ReducedOde};
use crate::start::check_state;
use crate::state::{Integration, IntegrationError, OrderParameters, Run, RunError, StopReason, Trajectory, unpack};

/// How a solution is followed.
#[derive(Debug, Clone)]
pub(super) struct Course<T> {
    pub(super) integrator: DormandPrince<T>,
    pub(super) step_limit: u64,
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
enum StepFailure<T: Scalar> {
    #[error(transparent)]
    Ode(#[from] OdeFailure<T>),
    #[error("the function along the path is not finite at t = {time}")]
    Functional { time: f64 },
}

impl<T: Scalar> From<RatesError<T>> for StepFailure<T> {
    fn from(error: RatesError<T>) -> Self {
        Self::Ode(error.into())
    }
}

/// A solution: points (t, y) between which steps were taken, with y the packed state, and behind it the integral along the path if there
/// is one.
pub(super) struct Solved<'o, 'a, T: Scalar> {
    pub(super) points: Vec<(T, Vec<T>)>,
    /// The right-hand side in use from that point on.
    pub(super) systems: Vec<(usize, OdeSystem<'o, 'a, T>)>,
    pub(super) trajectory: Trajectory<T>,
    /// J.
    pub(super) value: T,
}

/// y = (s, ∫ℓ dt).
struct Followed<'f, 'o, 'a, T: Scalar> {
    system: OdeSystem<'o, 'a, T>,
    objective: &'f Objective<'f, T>,
    growth: Growth<T>,
    shape: (usize, usize),
    /// The length of s.
    n: usize,
    points: Vec<(T, Vec<T>)>,
    systems: Vec<(usize, OdeSystem<'o, 'a, T>)>,
}

impl<T: Compiled> Followed<'_, '_, '_, T> {
    fn state(&self, y: &[T]) -> OrderParameters<T> {
        state_of(self.shape, &y[..self.n])
    }

    /// One more step of that size, without error control.
    fn step(&mut self, t: T, y: &[T], size: T) -> Result<Vec<T>, StepFailure<T>> {
        let mut stages = vec![vec![T::zero(); y.len()]; STAGES.len()];
        for s in 0..STAGES.len() {
            let (time, point) = stage(s, (t, y), size, &stages);
            self.rates(time, &point, &mut stages[s])?;
        }
        Ok(stage(STAGES.len(), (t, y), size, &stages).1)
    }
}

/// The state of the packed numbers.
pub(super) fn state_of<T: Scalar>((p, m): (usize, usize), packed: &[T]) -> OrderParameters<T> {
    let (q, r) = unpack(p, m, packed);
    OrderParameters::from_parts(q, r)
}

/// Time and point of stage s of a step, from the rates of the stages before; that after the last stage is the end of the step.
pub(super) fn stage<T: Scalar>(s: usize, (t, y): (T, &[T]), size: T, stages: &[Vec<T>]) -> (T, Vec<T>) {
    let Some(before) = s.checked_sub(1) else { return (t, y.to_vec()) };
    let mut point = y.to_vec();
    for (k, x) in point.iter_mut().enumerate() {
        let slope: T = STAGES[before].iter().zip(stages).map(|(&a, stage)| T::lit(a) * stage[k]).sum();
        *x += size * slope;
    }
    (t + T::lit(NODES[before]) * size, point)
}

impl<T: Compiled> System<T> for Followed<'_, '_, '_, T> {
    type Error = StepFailure<T>;

    fn dimension(&self) -> usize {
        self.n + usize::from(self.objective.integral.is_some())
    }

    fn rates(&mut self, t: T, y: &[T], rates: &mut [T]) -> Result<(), StepFailure<T>> {
        let (state_rates, rest) = rates.split_at_mut(self.n);
        self.system.rates(t, &y[..self.n], state_rates)?;
        if let [integrand] = rest {
            *integrand = self.objective.running(t, &self.state(y));
        }
        Ok(())
    }

    fn accepted(&mut self, t: T, y: &[T]) -> Result<bool, StepFailure<T>> {
        let state = &y[..self.n];
        if let Some(growth) = self.growth.excess(state) {
            return Err(OdeFailure::Diverged { growth: growth.as_f64() }.into());
        }
        if !self.objective.running(t, &self.state(y)).is_finite() {
            return Err(StepFailure::Functional { time: t.as_f64() });
        }
        let before = self.system.refinements();
        let changed = self.system.accepted(t, state)?;
        if self.system.refinements() > before {
            self.systems.push((self.points.len(), self.system.clone()));
        }
        self.points.push((t, y.to_vec()));
        Ok(changed)
    }

    fn next_break(&self, t: T) -> Option<T> {
        self.system.next_break(t)
    }

    fn work(&self) -> Work {
        self.system.work()
    }
}

/// So many corrections of the time of an event are made at most.
const CORRECTIONS: usize = 8;

/// Corrections below so many roundings of the time are none.
const ROUNDINGS: f64 = 8.0;

/// Follows a solution from `start` at t = 0 to t = `end`, or to the event of the objective.
pub(super) fn follow<'o, 'a, T: Compiled>(
    ode: &'o ReducedOde<'a, T>,
    (course, schedules): (&Course<T>, &Schedules),
    objective: &Objective<'_, T>,
    (start, end): (&OrderParameters<T>, T),
) -> Result<Solved<'o, 'a, T>, ControlError<T>> {
    if !(end > T::zero() && end.is_finite()) {
        return Err(ControlError::Horizon { end: end.as_f64() });
    }
    if objective.at_end.is_none() && objective.integral.is_none() {
        return Err(ControlError::NoObjective);
    }
    check_state(ode.constraint(), start)?;
    if !objective.running(T::zero(), start).is_finite() {
        return Err(not_finite("function along the path", T::zero()));
    }
    let system = ode.scheduled_system(start, schedules).map_err(|error| rates_failed(T::zero(), error))?;
    let (n, shape) = (start.packed_len(), (start.n_features(), start.n_neurons()));
    let mut begin = start.to_packed().as_slice().to_vec();
    begin.extend(objective.integral.iter().map(|_| T::zero()));
    let followed = Followed {
        systems: vec![(0, system.clone())],
        system,
        objective,
        growth: Growth::new(start, T::lit(GROWTH_LIMIT)),
        shape,
        n,
        points: vec![(T::zero(), begin.clone())],
    };
    let mut solution = Integration::new(followed, &course.integrator, T::zero(), begin)
        .reading(move |y: &[T]| state_of(shape, &y[..n]));
    let mut run = Run::of(&mut solution).step_limit(course.step_limit);
    if let Some((direction, function)) = &objective.event {
        run = run.event(*direction, |t, state| function.value(t, state));
    }
    let mut trajectory = run.to(end).map_err(failed)?;
    let mut followed = solution.into_system();
    if let StopReason::Event { time, .. } = trajectory.stop_reason() {
        let event = objective.event.as_ref().map(|(_, function)| &**function);
        let reached = followed.points.last().map_or(time, |(t, _)| *t);
        followed.points.retain(|(t, _)| *t < time || *t == T::zero());
        let last = followed.points.len() - 1;
        followed.systems.retain(|(first, _)| *first <= last);
        if let (Some(event), true) = (event, time > T::zero()) {
            // The system that was in use there.
            let (_, system) = &followed.systems[followed.systems.len() - 1];
            followed.system = system.clone();
            let point = meet(&mut followed, event, (time, reached))?;
            trajectory.stop = corrected(trajectory.stop, point.0);
            trajectory.states.pop();
            trajectory.times.pop();
            trajectory.push(point.0, followed.state(&point.1));
            followed.points.push(point);
        }
    } else if objective.event.is_some() {
        return Err(ControlError::NoEvent { time: end.as_f64(), trajectory: Box::new(trajectory) });
    }
    let (t, y) = &followed.points[followed.points.len() - 1];
    let at_end = objective.at_end.as_ref().map_or(T::zero(), |function| function.value(*t, &followed.state(y)));
    if !at_end.is_finite() {
        return Err(not_finite("function of the final state", *t));
    }
    let value = at_end + y.get(n).copied().unwrap_or_else(T::zero);
    if !value.is_finite() {
        return Err(not_finite("integral along the path", *t));
    }
    Ok(Solved { points: followed.points, systems: followed.systems, trajectory, value })
}

/// The end of the last step where the event happens, from the time at which dense output has it; `reached` is how far the step went.
fn meet<T: Compiled>(
    followed: &mut Followed<'_, '_, '_, T>,
    event: &dyn Functional<T>,
    (time, reached): (T, T),
) -> Result<(T, Vec<T>), ControlError<T>> {
    let (t, y) = followed.points[followed.points.len() - 1].clone();
    let mut rates = vec![T::zero(); y.len()];
    let failed = |error| failed_at(t, error);
    followed.system.begin_at(t).map_err(|error| failed(error.into()))?;
    let (guess, whole) = (time - t, reached - t);
    let (mut size, mut met) = (guess, false);
    for _ in 0..CORRECTIONS {
        let y = followed.step(t, &y, size).map_err(failed)?;
        followed.rates(t + size, &y, &mut rates).map_err(failed)?;
        let state = followed.state(&y);
        let gradient = event.gradient(t + size, &state);
        let slope =
            event.time_derivative(t + size, &state) + gradient.iter().zip(&rates).map(|(&g, &f)| g * f).sum::<T>();
        let change = -event.value(t + size, &state) / slope;
        size += change;
        met = change.abs() <= T::lit(ROUNDINGS) * T::EPSILON * (t + size);
        if met || !(size > T::zero() && size <= whole) {
            break;
        }
    }
    // What is only touched is where dense output has it.
    if !(met && size > T::zero() && size <= whole) {
        size = guess;
    }
    Ok((t + size, followed.step(t, &y, size).map_err(failed)?))
}

/// The reason to stop, at that time.
fn corrected<T>(stop: StopReason<T>, time: T) -> StopReason<T> {
    match stop {
        StopReason::Event { index, step, .. } => StopReason::Event { index, time, step },
        other => other,
    }
}

/// The failure of a step after the run.
fn failed_at<T: Scalar>(time: T, error: StepFailure<T>) -> ControlError<T> {
    let trajectory = Box::new(Trajectory::new());
    failed(RunError::Failed { time: time.as_f64(), source: IntegrationError::System(error), trajectory })
}

/// The failure of a run.
fn failed<T: Scalar>(error: RunError<IntegrationError<StepFailure<T>>, T>) -> ControlError<T> {
    if let RunError::Failed { source: IntegrationError::System(StepFailure::Functional { time }), .. } = error {
        return ControlError::Functional { what: "function along the path", time };
    }
    let error = error.map_source(|source| match source {
        IntegrationError::System(StepFailure::Ode(error)) => error,
        IntegrationError::System(StepFailure::Functional { .. }) | IntegrationError::NotFinite => OdeFailure::NotFinite,
        IntegrationError::StepTooSmall => OdeFailure::StepTooSmall,
        IntegrationError::Length { dimension, length } => OdeFailure::Length { dimension, length },
    });
    OdeError::from(error).into()
}
