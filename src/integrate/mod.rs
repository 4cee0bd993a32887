//! Stepping of ordinary differential equations: the traits [`System`] and [`Integrator`], the explicit methods, with the feature
//! `diffsol` stiff ones, output times and work counters.
//!
//! Covers single steps. Not here: the loop that records, observes and stops (see [`Run`](crate::state::Run)), and what is
//! integrated (see [`crate::ode`]).

#[cfg(feature = "diffsol")]
mod diffsol;
mod dormand_prince;
mod fixed;
mod output;
mod work;

#[cfg(feature = "diffsol")]
pub use diffsol::Diffsol;
pub use dormand_prince::DormandPrince;
pub(crate) use dormand_prince::{NODES, STAGES};
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

    /// Writes ∂f_i/∂y_j(t, y) into `jacobian`, column by column: at j·n + i, n being the [`dimension`](Self::dimension). Implicit methods ask for
    /// it. The default takes differences, n + 1 evaluations.
    ///
    /// # Errors
    /// Those of [`rates`](Self::rates).
    fn jacobian(&mut self, t: T, y: &[T], jacobian: &mut [T]) -> Result<(), Self::Error> {
        differenced(self, t, y, jacobian)
    }

    /// Called after every accepted step. A system that adapts how it evaluates itself does so here, and answers
    /// whether its rates at this very point have changed. The default does nothing.
    ///
    /// # Errors
    /// Whatever makes the state unacceptable.
    fn accepted(&mut self, t: T, y: &[T]) -> Result<bool, Self::Error> {
        let _ = (t, y);
        Ok(false)
    }

    /// Counters of the system's own, since it was made, such as the quadrature nodes of its evaluations. They are added to
    /// those of the integrator. The default counts nothing.
    fn work(&self) -> Work {
        Work::default()
    }

    /// The first time after t at which the rates jump or have a kink: a step ends there. Rates asked for up to there are those
    /// before it, and once it is [`accepted`](Self::accepted), which then answers true, those after it. The default knows of none.
    fn next_break(&self, t: T) -> Option<T> {
        let _ = t;
        None
    }
}

impl<T: Scalar, S: System<T> + ?Sized> System<T> for &mut S {
    type Error = S::Error;

    fn dimension(&self) -> usize {
        (**self).dimension()
    }
    fn rates(&mut self, t: T, y: &[T], rates: &mut [T]) -> Result<(), Self::Error> {
        (**self).rates(t, y, rates)
    }
    fn jacobian(&mut self, t: T, y: &[T], jacobian: &mut [T]) -> Result<(), Self::Error> {
        (**self).jacobian(t, y, jacobian)
    }
    fn accepted(&mut self, t: T, y: &[T]) -> Result<bool, Self::Error> {
        (**self).accepted(t, y)
    }
    fn work(&self) -> Work {
        (**self).work()
    }
    fn next_break(&self, t: T) -> Option<T> {
        (**self).next_break(t)
    }
}

/// The Jacobian by forward differences of the rates, column by column.
pub(crate) fn differenced<T: Scalar, S: System<T> + ?Sized>(
    system: &mut S,
    t: T,
    y: &[T],
    jacobian: &mut [T],
) -> Result<(), S::Error> {
    let mut rates = vec![T::zero(); y.len()];
    system.rates(t, y, &mut rates)?;
    let mut point = y.to_vec();
    for (j, column) in jacobian.chunks_exact_mut(y.len().max(1)).enumerate().take(y.len()) {
        let moved = y[j] + T::EPSILON.sqrt() * y[j].abs().max(T::one());
        point[j] = moved;
        system.rates(t, &point, column)?;
        point[j] = y[j];
        column.iter_mut().zip(&rates).for_each(|(slope, &rate)| *slope = (*slope - rate) / (moved - y[j]));
    }
    Ok(())
}

/// Why a step could not be taken.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StepError<E> {
    /// The system could not be evaluated.
    #[error(transparent)]
    System(E),
    /// The step needed to meet the tolerance is lost in the rounding of t.
    #[error("no step meets the tolerance: the solution diverges there, or the tolerance is below rounding")]
    StepTooSmall,
    /// The state or the rates are not of the system's length.
    #[error("the system has dimension {dimension}, the step {length} numbers")]
    Length {
        /// The dimension of the system.
        dimension: usize,
        /// The numbers there are.
        length: usize,
    },
}

impl<E> From<E> for StepError<E> {
    fn from(error: E) -> Self {
        Self::System(error)
    }
}

/// A step under way: the point reached, the last step, and its dense output.
#[derive(Debug, Clone)]
#[non_exhaustive]
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

    /// Makes room for `dense` coefficient vectors and `scratch` scratch vectors, each of the length of the state.
    pub fn reserve(&mut self, dense: usize, scratch: usize) {
        let n = self.y.len();
        for (vectors, count) in [(&mut self.dense, dense), (&mut self.scratch, scratch)] {
            vectors.resize_with(count, Vec::new);
            for vector in vectors.iter_mut() {
                vector.resize(n, T::zero());
            }
        }
    }

    /// Refuses a state or rates that are not of the system's length.
    ///
    /// # Errors
    /// [`StepError::Length`].
    pub fn check<E>(&self, dimension: usize) -> Result<(), StepError<E>> {
        let lengths = [self.y.len(), self.rates.len()];
        let wrong = lengths.into_iter().find(|&length| length != dimension);
        wrong.map_or(Ok(()), |length| Err(StepError::Length { dimension, length }))
    }

    /// The state at time t of the last step.
    #[must_use]
    pub fn interpolate(&self, t: T) -> Vec<T> {
        let size = self.t - self.previous_t;
        if t == self.t || size == T::zero() {
            return self.y.clone();
        }
        let theta = (t - self.previous_t) / size;
        let mut out = vec![T::zero(); self.y.len()];
        for coefficients in self.dense.iter().rev() {
            for (x, &c) in out.iter_mut().zip(coefficients) {
                *x = *x * theta + c;
            }
        }
        out
    }

    /// Sets the dense output to the cubic through both ends of a step of that size with their rates, where all of them are as long as
    /// the state.
    pub fn set_cubic(&mut self, start: &[T], start_rates: &[T], size: T) {
        let (two, three) = (T::lit(2.0), T::lit(3.0));
        self.dense.resize_with(4, Vec::new);
        self.dense.iter_mut().for_each(Vec::clear);
        let ends = self.y.iter().zip(&self.rates).zip(start.iter().zip(start_rates));
        for ((&y, &rate), (&start, &start_rate)) in ends {
            let rise = y - start;
            let (f0, f1) = (size * start_rate, size * rate);
            let cubic = [start, f0, three * rise - two * f0 - f1, f0 + f1 - two * rise];
            self.dense.iter_mut().zip(cubic).for_each(|(dense, x)| dense.push(x));
        }
    }
}

/// A one-step method.
///
/// [`Step`] holds everything a method keeps between steps, so an integrator itself is a plain set of parameters. A method
/// of your own gets output times, events, steady states and work counters from [`Run`](crate::state::Run), and works
/// wherever those of the crate do ([`Solver::integrator`](crate::ode::Solver::integrator)):
///
/// ```
/// use contrastive_dynamics::integrate::{Integrator, Output, Step, StepError, System};
/// use contrastive_dynamics::state::{Direction, Integration, Run, StopReason};
///
/// /// y'' = −y as a system: (y, y').
/// struct Oscillator;
/// impl System for Oscillator {
///     type Error = std::convert::Infallible;
///     fn dimension(&self) -> usize {
///         2
///     }
///     fn rates(&mut self, _t: f64, y: &[f64], rates: &mut [f64]) -> Result<(), Self::Error> {
///         (rates[0], rates[1]) = (y[1], -y[0]);
///         Ok(())
///     }
/// }
///
/// /// Heun's method with a fixed step and cubic dense output.
/// struct Heun(f64);
/// impl Integrator for Heun {
///     fn order(&self) -> usize {
///         2
///     }
///     fn step<S: System>(&self, system: &mut S, step: &mut Step, end: f64) -> Result<(), StepError<S::Error>> {
///         step.reserve(4, 1); // four coefficients of the dense output, one vector of scratch
///         let (start, start_rates) = (step.y.clone(), step.rates.clone());
///         let h = self.0.min(end - step.t);
///         let guess: Vec<f64> = start.iter().zip(&start_rates).map(|(y, f)| y + h * f).collect();
///         system.rates(step.t + h, &guess, &mut step.scratch[0])?;
///         for n in 0..start.len() {
///             step.y[n] = start[n] + 0.5 * h * (start_rates[n] + step.scratch[0][n]);
///         }
///         (step.previous_t, step.t) = (step.t, step.t + h);
///         system.rates(step.t, &step.y, &mut step.rates)?;
///         step.work.right_hand_sides += 2;
///         step.work.accepted_steps += 1;
///         step.set_cubic(&start, &start_rates, h);
///         Ok(())
///     }
/// }
///
/// let mut solution = Integration::new(Oscillator, Heun(0.01), 0.0, vec![0.0, 1.0]);
/// let trajectory = Run::of(&mut solution)
///     .output(Output::Times(vec![0.5, 1.0, 1.5]))
///     .event(Direction::Falling, |_, y| y[1])
///     .to(10.0)?;
/// assert!((trajectory.states()[1][0] - 1.0_f64.sin()).abs() < 1e-4);
/// let StopReason::Event { index: 0, time, .. } = trajectory.stop_reason() else { panic!("the velocity turns") };
/// assert!((time - std::f64::consts::FRAC_PI_2).abs() < 1e-4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Integrator<T: Scalar = f64> {
    /// The order: the global error falls as (step size)^order, or as the tolerance for an adaptive method.
    fn order(&self) -> usize;

    /// Takes one step from `step.t` to at most `end`, and updates every field of `step`. What it leaves there when it
    /// fails does not matter: the loop goes back to the point before the step.
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
#[non_exhaustive]
pub struct IntegratorError {
    /// Which parameter.
    pub name: &'static str,
    /// The value given.
    pub value: f64,
}

/// A rest before an end that is no more than that part of a step is taken along with it: rounding in t leaves such slivers.
const SLIVER: f64 = 1e-9;

fn positive<T: Scalar>(name: &'static str, value: T) -> Result<T, IntegratorError> {
    if value > T::zero() && value.is_finite() {
        Ok(value)
    } else {
        Err(IntegratorError { name, value: value.as_f64() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_out_of_range_are_rejected() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Euler::new(bad).is_err() && RungeKutta4::new(bad).is_err());
            assert!(DormandPrince::new(bad, 1e-8).is_err() && DormandPrince::new(1e-8, bad).is_err());
            assert!(DormandPrince::<f64>::default().largest_step(bad).is_err());
        }
    }
}
