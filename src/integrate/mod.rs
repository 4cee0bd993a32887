//! Solving initial value problems: the traits [`System`] and [`Integrator`], the loop that drives them to output
//! times, events and steady states.
//!
//! In: everything about time stepping. Out: what is integrated (see [`crate::ode`]).

mod dormand_prince;
mod driver;
mod fixed;
mod output;
mod work;

pub use dormand_prince::DormandPrince;
pub(crate) use driver::{Drive, EventFunction, Halt, drive};
pub use fixed::{Euler, RungeKutta4};
pub(crate) use output::Schedule;
pub use output::{Output, OutputError};
pub use work::Work;

use crate::Scalar;

/// A first-order system dy/dt = f(t, y), evaluated in place.
pub trait System<T: Scalar = f64> {
    /// What can go wrong in an evaluation.
    type Error;

    /// The length of y.
    fn dimension(&self) -> usize;

    /// Writes f(t, y) into `rates`; both slices have the length [`dimension`](Self::dimension).
    ///
    /// # Errors
    /// Whatever keeps the system from being evaluated there; the integrator passes it on.
    fn rates(&mut self, t: T, y: &[T], rates: &mut [T]) -> Result<(), Self::Error>;

    /// Called after every accepted step. A system that adapts how it evaluates itself does so here, and answers
    /// whether its rates at this very point have changed. The default does nothing.
    ///
    /// # Errors
    /// Whatever makes the state unacceptable.
    fn accepted(&mut self, t: T, y: &[T]) -> Result<bool, Self::Error> {
        let _ = (t, y);
        Ok(false)
    }
}

/// Why a step could not be taken.
#[derive(Debug, Clone, PartialEq)]
pub enum StepError<E> {
    /// The system could not be evaluated.
    System(E),
    /// The step needed to meet the tolerance is lost in the rounding of t.
    StepTooSmall,
}

impl<E> From<E> for StepError<E> {
    fn from(error: E) -> Self {
        Self::System(error)
    }
}

/// A step under way: the point reached, the last step, and its dense output.
#[derive(Debug, Clone)]
pub struct Step<T = f64> {
    /// The time reached.
    pub t: T,
    /// The state reached.
    pub y: Vec<T>,
    /// f(t, y) at the point reached.
    pub rates: Vec<T>,
    /// The size proposed for the next step; zero before the first.
    pub next_size: T,
    /// The time before the last step.
    pub previous_t: T,
    /// Dense output of the last step, y(t_prev + θ h) = Σ_k dense\[k\] θ^k for 0 ≤ θ ≤ 1.
    pub dense: Vec<Vec<T>>,
    /// Stages and other scratch vectors, for the integrator's own use.
    pub scratch: Vec<Vec<T>>,
    /// Work so far.
    pub work: Work,
}

impl<T: Scalar> Step<T> {
    /// At the start of a solve.
    #[must_use]
    pub fn new(t: T, y: Vec<T>, rates: Vec<T>) -> Self {
        let work = Work { right_hand_sides: 1, ..Work::default() };
        let next_size = T::zero();
        Self { t, y, rates, next_size, previous_t: t, dense: Vec::new(), scratch: Vec::new(), work }
    }

    /// Makes room for `dense` coefficient vectors and `scratch` scratch vectors.
    pub fn reserve(&mut self, dense: usize, scratch: usize) {
        let n = self.y.len();
        self.dense.resize_with(dense, || vec![T::zero(); n]);
        self.scratch.resize_with(scratch, || vec![T::zero(); n]);
    }

    /// Writes the state at time t of the last step into `out`.
    pub fn interpolate(&self, t: T, out: &mut [T]) {
        let size = self.t - self.previous_t;
        if t == self.t || size == T::zero() {
            out.copy_from_slice(&self.y);
            return;
        }
        let theta = (t - self.previous_t) / size;
        out.fill(T::zero());
        for coefficients in self.dense.iter().rev() {
            for (x, &c) in out.iter_mut().zip(coefficients) {
                *x = *x * theta + c;
            }
        }
    }

    /// Sets the dense output to the cubic through both ends of a step of that size with their rates.
    pub fn set_cubic(&mut self, start: &[T], start_rates: &[T], size: T) {
        let (two, three) = (T::lit(2.0), T::lit(3.0));
        for n in 0..self.y.len() {
            let rise = self.y[n] - start[n];
            let (f0, f1) = (size * start_rates[n], size * self.rates[n]);
            self.dense[0][n] = start[n];
            self.dense[1][n] = f0;
            self.dense[2][n] = three * rise - two * f0 - f1;
            self.dense[3][n] = f0 + f1 - two * rise;
        }
    }
}

/// A one-step method.
///
/// [`Step`] holds everything a method keeps between steps, so an integrator itself is a plain set of parameters.
pub trait Integrator<T: Scalar = f64> {
    /// The order: the global error falls as (step size)^order, or as the tolerance for an adaptive method.
    fn order(&self) -> usize;

    /// Takes one step from `step.t` to at most `end`, and updates every field of `step`.
    ///
    /// # Errors
    /// [`StepError::System`] with the system's own error, [`StepError::StepTooSmall`] if no step of an adaptive
    /// method meets its tolerance.
    fn step<S: System<T>>(&self, system: &mut S, step: &mut Step<T>, end: T) -> Result<(), StepError<S::Error>>;
}

impl<T: Scalar, I: Integrator<T>> Integrator<T> for &I {
    fn order(&self) -> usize {
        (**self).order()
    }
    fn step<S: System<T>>(&self, system: &mut S, step: &mut Step<T>, end: T) -> Result<(), StepError<S::Error>> {
        (**self).step(system, step, end)
    }
}

/// A parameter of an integrator that is out of range.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("the {name} of an integrator must be positive and finite, got {value}")]
pub struct IntegratorError {
    /// Which parameter.
    pub name: &'static str,
    /// The value given.
    pub value: f64,
}

fn positive<T: Scalar>(name: &'static str, value: T) -> Result<T, IntegratorError> {
    if value > T::zero() && value.is_finite() {
        Ok(value)
    } else {
        Err(IntegratorError { name, value: value.as_f64() })
    }
}
