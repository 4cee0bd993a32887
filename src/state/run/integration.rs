//! A differential equation as a process: a [`System`] stepped by an [`Integrator`].
//!
//! Covers what a run asks for beyond single steps: dense output, going back from a failed step, counters. Not here: the
//! methods (see [`crate::integrate`]).

use std::fmt;

use crate::Scalar;
use crate::integrate::{Integrator, Step, StepError, System, Work};
use crate::numerics::largest::largest_size;
use crate::numerics::linear::is_finite;
use crate::state::run::Process;

/// Why a step of an [`Integration`] failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum IntegrationError<E> {
    /// The system could not be evaluated, or does not accept the state.
    #[error(transparent)]
    System(E),
    /// No step is small enough to meet the tolerance.
    #[error("no step meets the tolerance: the solution diverges there, or the tolerance is below rounding")]
    StepTooSmall,
    /// The new state or its rates are not finite, or those of the start.
    #[error("the new state is not finite: the solution diverges there, or the step is far too large")]
    NotFinite,
    /// The start is not of the system's length.
    #[error("the system has dimension {dimension}, the start, or what a step made of it, {length} numbers")]
    Length {
        /// The dimension of the system.
        dimension: usize,
        /// The numbers given.
        length: usize,
    },
}

impl<E> From<StepError<E>> for IntegrationError<E> {
    fn from(error: StepError<E>) -> Self {
        match error {
            StepError::System(error) => Self::System(error),
            StepError::StepTooSmall => Self::StepTooSmall,
            StepError::Length { dimension, length } => Self::Length { dimension, length },
        }
    }
}

/// The solution of an initial value problem dy/dt = f(t, y), y(t₀) = y₀ as a [`Process`], to be run by
/// [`Run`](crate::state::Run). It has dense output and knows its rate of change.
///
/// What is recorded is y itself, or what [`reading`](Self::reading) makes of it. An example is at
/// [`Integrator`].
#[derive(Clone)]
pub struct Integration<T, S, I, F = fn(&[T]) -> Vec<T>> {
    system: S,
    integrator: I,
    read: F,
    step: Step<T>,
    /// Whether the rates at the present point are known.
    ready: bool,
    /// Time, state and rates before the last step.
    before: (T, Vec<T>, Vec<T>),
}

impl<T: fmt::Debug, S: fmt::Debug, I: fmt::Debug, F> fmt::Debug for Integration<T, S, I, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Integration")
            .field("system", &self.system)
            .field("integrator", &self.integrator)
            .field("step", &self.step)
            .finish_non_exhaustive()
    }
}

impl<T: Scalar, S: System<T>, I: Integrator<T>> Integration<T, S, I> {
    /// That system from `start` at time `time`, by that method.
    #[must_use]
    pub fn new(system: S, integrator: I, time: T, start: Vec<T>) -> Self {
        let zeros = vec![T::zero(); start.len()];
        let before = (time, start.clone(), zeros.clone());
        let mut step = Step::new(time, start, zeros);
        step.work = Work::default();
        Self { system, integrator, read: <[T]>::to_vec, step, ready: false, before }
    }
}

impl<T: Scalar, S, I, F> Integration<T, S, I, F> {
    /// Records what `read` makes of y.
    #[must_use]
    pub fn reading<R: Clone, G: Fn(&[T]) -> R>(self, read: G) -> Integration<T, S, I, G> {
        let Self { system, integrator, step, ready, before, .. } = self;
        Integration { system, integrator, read, step, ready, before }
    }

    /// The system.
    #[must_use]
    pub fn system(&self) -> &S {
        &self.system
    }

    /// Goes on from other numbers at the present time, with steps of the size that it had.
    pub(crate) fn set_state(&mut self, change: impl FnOnce(&mut S, &mut [T])) {
        change(&mut self.system, &mut self.step.y);
        self.step.previous_t = self.step.t;
        self.ready = false;
    }

    /// The system, with all that it has counted and kept.
    #[must_use]
    pub fn into_system(self) -> S {
        self.system
    }

    /// The point reached, with the last step.
    #[must_use]
    pub fn step(&self) -> &Step<T> {
        &self.step
    }
}

impl<T: Scalar, S: System<T>, I: Integrator<T>, F> Integration<T, S, I, F> {
    /// Computes the rates at the present point.
    fn evaluate(&mut self) -> Result<(), S::Error> {
        self.step.work.right_hand_sides += 1;
        self.system.rates(self.step.t, &self.step.y, &mut self.step.rates)
    }

    fn try_step(&mut self, until: T) -> Result<(), IntegrationError<S::Error>> {
        let until = self.system.next_break(self.step.t).map_or(until, |next| next.min(until));
        self.integrator.step(&mut self.system, &mut self.step, until)?;
        self.check_finite()?;
        if self.system.accepted(self.step.t, &self.step.y).map_err(IntegrationError::System)? {
            self.evaluate().map_err(IntegrationError::System)?;
            self.check_finite()?;
        }
        Ok(())
    }

    /// Refuses a state that is not finite, and one whose rates are not.
    fn check_finite(&self) -> Result<(), IntegrationError<S::Error>> {
        if is_finite(&self.step.y) && is_finite(&self.step.rates) { Ok(()) } else { Err(IntegrationError::NotFinite) }
    }
}

impl<T, S, I, F, R> Process for Integration<T, S, I, F>
where
    T: Scalar,
    S: System<T>,
    I: Integrator<T>,
    F: Fn(&[T]) -> R,
    R: Clone,
{
    type Scalar = T;
    type State = R;
    type Error = IntegrationError<S::Error>;

    fn now(&self) -> T {
        self.step.t
    }

    fn state(&self) -> R {
        (self.read)(&self.step.y)
    }

    fn work(&self) -> Work {
        self.step.work + self.system.work()
    }

    fn advance(&mut self, until: T) -> Result<(), Self::Error> {
        let (time, y, rates) = &mut self.before;
        *time = self.step.t;
        y.clone_from(&self.step.y);
        rates.clone_from(&self.step.rates);
        let accepted = self.step.work.accepted_steps;
        let outcome = self.try_step(until);
        if outcome.is_err() {
            let (time, y, rates) = &self.before;
            (self.step.t, self.step.previous_t) = (*time, *time);
            self.step.y.clone_from(y);
            self.step.rates.clone_from(rates);
            self.step.work.accepted_steps = accepted;
        }
        outcome
    }

    fn prepare(&mut self) -> Result<(), Self::Error> {
        let (dimension, length) = (self.system.dimension(), self.step.y.len());
        if dimension != length {
            return Err(IntegrationError::Length { dimension, length });
        }
        if !self.ready {
            // Rates that were not asked for yet are zeros.
            self.check_finite()?;
            self.evaluate().map_err(IntegrationError::System)?;
            self.check_finite()?;
            self.ready = true;
        }
        Ok(())
    }

    fn interpolate(&self, t: T) -> Option<R> {
        Some((self.read)(&self.step.interpolate(t)))
    }

    fn rewind(&mut self, t: T) {
        let y = self.step.interpolate(t);
        self.before.1 = std::mem::replace(&mut self.step.y, y);
        (self.step.t, self.step.previous_t) = (t, t);
        self.ready = false;
    }

    fn rate(&self) -> Option<T> {
        Some(largest_size(self.step.rates.iter().copied()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::integrate::{Euler, Output};
    use crate::state::{Run, RunError};

    /// dy/dt = 1, which from a time on asks for its rates anew, and then has none.
    struct Ends(f64);
    impl System for Ends {
        type Error = std::convert::Infallible;
        fn dimension(&self) -> usize {
            1
        }
        fn rates(&mut self, _t: f64, _y: &[f64], rates: &mut [f64]) -> Result<(), Self::Error> {
            rates[0] = if self.0 < 0.0 { f64::NAN } else { 1.0 };
            Ok(())
        }
        fn accepted(&mut self, t: f64, _y: &[f64]) -> Result<bool, Self::Error> {
            self.0 -= if t > 0.45 { 2.0 } else { 0.0 };
            Ok(self.0 < 0.0)
        }
    }

    fn run(system: Ends, start: f64) -> (f64, Vec<f64>) {
        let mut solution = Integration::new(system, Euler::new(0.1).unwrap(), 0.0, vec![start]);
        let error = Run::of(&mut solution).output(Output::EverySteps(1)).to(1.0).unwrap_err();
        let RunError::Failed { time, source: IntegrationError::NotFinite, trajectory } = error else {
            panic!("{error}")
        };
        (time, trajectory.times().to_vec())
    }

    #[test]
    fn what_is_not_finite_is_found_where_it_arises() {
        assert_eq!(run(Ends(1.0), f64::NAN), (0.0, vec![0.0]), "the start");
        assert_eq!(run(Ends(-1.0), 1.0), (0.0, vec![0.0]), "its rates");
        let (time, times) = run(Ends(1.0), 1.0);
        assert!(
            (time - 0.4).abs() < 1e-12 && times.len() == 5,
            "the rates after step 5, asked for anew: {time} {times:?}"
        );
    }
}
