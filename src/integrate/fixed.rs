//! Methods of fixed step size: Euler and the classical Runge-Kutta method of order 4.
//!
//! Covers their steps and dense output. Not here: error control (see [`DormandPrince`](crate::integrate::DormandPrince)).

use crate::Scalar;
use crate::integrate::{Integrator, IntegratorError, SLIVER, Step, StepError, System, positive};

/// Euler's method with a fixed step: order 1, linear dense output.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Euler<T = f64> {
    size: T,
}

impl<T: Scalar> Euler<T> {
    /// Euler's method with steps of that size in t; the last step before an end is shorter.
    ///
    /// # Errors
    /// [`IntegratorError`] unless the size is positive and finite.
    pub fn new(size: T) -> Result<Self, IntegratorError> {
        Ok(Self { size: positive("step size", size)? })
    }
}

/// The size of the next fixed step, or why there is none; a sliver left before `end` is taken along.
fn fixed_size<T: Scalar, E>(size: T, t: T, end: T) -> Result<T, StepError<E>> {
    let rest = end - t;
    let size = if rest <= size * T::lit(1.0 + SLIVER) { rest } else { size };
    if t + size > t { Ok(size) } else { Err(StepError::StepTooSmall) }
}

/// Moves to the end of a step: exactly to `end` where it was the last.
fn advance<T: Scalar>(step: &mut Step<T>, size: T, end: T) {
    step.previous_t = step.t;
    step.t = if size == end - step.t { end } else { step.t + size };
    step.work.accepted_steps += 1;
    step.next_size = size;
}

impl<T: Scalar> Integrator<T> for Euler<T> {
    fn order(&self) -> usize {
        1
    }

    fn step<S: System<T>>(&self, system: &mut S, step: &mut Step<T>, end: T) -> Result<(), StepError<S::Error>> {
        step.check::<S::Error>(system.dimension())?;
        step.reserve(2, 0);
        let size = fixed_size(self.size, step.t, end)?;
        step.dense[0].copy_from_slice(&step.y);
        for n in 0..step.y.len() {
            step.dense[1][n] = size * step.rates[n];
            step.y[n] += size * step.rates[n];
        }
        advance(step, size, end);
        system.rates(step.t, &step.y, &mut step.rates)?;
        step.work.right_hand_sides += 1;
        Ok(())
    }
}

/// The classical Runge-Kutta method with a fixed step: order 4, cubic dense output.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RungeKutta4<T = f64> {
    size: T,
}

impl<T: Scalar> RungeKutta4<T> {
    /// The method with steps of that size in t; the last step before an end is shorter.
    ///
    /// # Errors
    /// [`IntegratorError`] unless the size is positive and finite.
    pub fn new(size: T) -> Result<Self, IntegratorError> {
        Ok(Self { size: positive("step size", size)? })
    }
}

impl<T: Scalar> Integrator<T> for RungeKutta4<T> {
    fn order(&self) -> usize {
        4
    }

    fn step<S: System<T>>(&self, system: &mut S, step: &mut Step<T>, end: T) -> Result<(), StepError<S::Error>> {
        step.check::<S::Error>(system.dimension())?;
        step.reserve(4, 4);
        let size = fixed_size(self.size, step.t, end)?;
        let mut scratch = std::mem::take(&mut step.scratch);
        let [start, start_rates, stage, sum] = &mut scratch[..] else { return Err(StepError::StepTooSmall) };
        start.copy_from_slice(&step.y);
        start_rates.copy_from_slice(&step.rates);
        sum.copy_from_slice(&step.rates);
        let half = T::lit(0.5);
        let mut outcome = Ok(());
        for (node, weight) in [(half, 2.0), (half, 2.0), (T::one(), 1.0)] {
            for n in 0..stage.len() {
                stage[n] = start[n] + node * size * step.rates[n];
            }
            outcome = outcome.and_then(|()| system.rates(step.t + node * size, stage, &mut step.rates));
            for n in 0..sum.len() {
                sum[n] += T::lit(weight) * step.rates[n];
            }
        }
        let sixth = size / T::lit(6.0);
        for n in 0..sum.len() {
            step.y[n] = start[n] + sixth * sum[n];
        }
        outcome = outcome.and_then(|()| system.rates(step.t + size, &step.y, &mut step.rates));
        if let Err(error) = outcome {
            // The point reached stays the one before the failed step.
            step.y.copy_from_slice(start);
            step.rates.copy_from_slice(start_rates);
            step.scratch = scratch;
            return Err(error.into());
        }
        advance(step, size, end);
        step.work.right_hand_sides += 4;
        step.set_cubic(start, start_rates, size);
        step.scratch = scratch;
        Ok(())
    }
}
