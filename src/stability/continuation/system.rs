//! What can be continued: a family of equations over one parameter.
//!
//! Covers the trait [`ContinuationSystem`], how far its answers may be off ([`Uncertainty`]), and closures as systems.
//! Not here: the reduced ODE as such a system (see `curve` and `family_curve`), and the method (see `follow`).

use nalgebra::{DMatrix, DVector};

use crate::limit::Compiled;
use crate::numerics::differences::fourth_order_step;
use crate::numerics::largest::{largest, largest_size};

/// Any system whose evaluations fail with E. The method is compiled for these, once for all systems.
pub(crate) type AnySystem<'s, T, E> = dyn ContinuationSystem<T, Error = E> + 's;

/// Any system whose evaluations fail with E, for as long as `'s`: what [`ContinuationSystem::sharper`] gives.
pub type BoxedSystem<'s, T, E> = Box<dyn ContinuationSystem<T, Error = E> + 's>;

/// How far the answers of a system may be off: bounds on the errors of all entries.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Uncertainty<T = f64> {
    /// Of f.
    pub residual: T,
    /// Of its derivatives by x.
    pub by_state: T,
    /// Of its derivatives by λ.
    pub by_parameter: T,
}

/// Roundings in an f of order one.
const ROUNDINGS: f64 = 8.0;

/// A family of equations f(x, λ) = 0 in as many unknowns, with f the rates of a flow dx/dt = f.
pub trait ContinuationSystem<T: Compiled = f64> {
    /// What can go wrong in an evaluation.
    type Error;

    /// The number n of unknowns.
    fn dimension(&self) -> usize;

    /// Writes f(x, λ) into `out`; both slices have length n.
    ///
    /// # Errors
    /// Whatever keeps the system from being evaluated there.
    fn residual(&mut self, x: &[T], parameter: T, out: &mut [T]) -> Result<(), Self::Error>;

    /// The derivatives of f by x, n x n, and by λ, n.
    ///
    /// The default takes central differences of fourth order, good to about 1e-11 for f of order one that is smooth on
    /// the scale of one.
    ///
    /// # Errors
    /// As [`residual`](Self::residual).
    fn jacobian(&mut self, x: &[T], parameter: T) -> Result<(DMatrix<T>, DVector<T>), Self::Error> {
        let n = self.dimension();
        let slopes = differences(self, x, parameter, T::one())?;
        Ok((slopes.columns(0, n).into_owned(), slopes.column(n).into_owned()))
    }

    /// How far f and its derivatives may be off at (x, λ): by it the error of a bifurcation is judged.
    ///
    /// The default is for closed formulas: f errs by rounding, and the derivatives by no more than they differ from
    /// differences with twice the default's step.
    ///
    /// # Errors
    /// As [`residual`](Self::residual).
    fn uncertainty(&mut self, x: &[T], parameter: T) -> Result<Uncertainty<T>, Self::Error> {
        let n = self.dimension();
        let (by_state, by_parameter) = self.jacobian(x, parameter)?;
        let other = differences(self, x, parameter, T::lit(2.0))?;
        let terms = (0..n).map(|row| {
            let products = by_state.row(row).iter().zip(x).map(|(slope, x)| (*slope * *x).abs()).sum::<T>();
            products + (by_parameter[row] * parameter).abs()
        });
        let size = largest(terms.chain([T::one()]));
        let rounding = T::lit(ROUNDINGS) * T::EPSILON * size;
        Ok(Uncertainty {
            residual: rounding,
            by_state: largest_size((by_state - other.columns(0, n)).iter().copied()) + rounding,
            by_parameter: largest_size((by_parameter - other.column(n)).iter().copied()) + rounding,
        })
    }

    /// The same system evaluated as accurately as it can be near (x, λ), at a higher cost, to locate a bifurcation
    /// there. The default has none: it is as accurate as it can be.
    fn sharper(&self, x: &[T], parameter: T) -> Option<BoxedSystem<'_, T, Self::Error>> {
        let _ = (x, parameter);
        None
    }

    /// Called after every point of a branch. A system that adapts how it evaluates itself does so here, and answers
    /// whether f has changed. The default does nothing.
    ///
    /// # Errors
    /// As [`residual`](Self::residual).
    fn accepted(&mut self, x: &[T], parameter: T) -> Result<bool, Self::Error> {
        let _ = (x, parameter);
        Ok(false)
    }

    /// What its answers depend on beside x and λ, in numbers from which [`recall`](Self::recall) brings it back, for a branch that is
    /// saved: where a quadrature rule was chosen, say. The default is for a system that has no memory.
    fn memory(&self) -> Vec<T> {
        Vec::new()
    }

    /// Goes back to that [`memory`](Self::memory); false, with nothing changed, if it is none of this system's.
    ///
    /// # Errors
    /// As [`residual`](Self::residual).
    fn recall(&mut self, memory: &[T]) -> Result<bool, Self::Error> {
        Ok(memory.is_empty())
    }

    /// Whether a solution is one; a branch ends where it is not. The default says yes.
    fn is_admissible(&self, x: &[T], parameter: T) -> bool {
        let _ = (x, parameter);
        true
    }

    /// The admissible x nearest to one that need not be, to an error of second order in their distance; by it
    /// derivatives on the edge of what is admissible are taken. The default knows of x itself, if it is admissible.
    fn nearest_admissible(&self, x: &[T], parameter: T) -> Option<Vec<T>> {
        self.is_admissible(x, parameter).then(|| x.to_vec())
    }
}

/// [f_x, f_λ], n x (n + 1), by central differences of fourth order, with steps `factor` times as long as usual.
fn differences<T: Compiled, S: ContinuationSystem<T> + ?Sized>(
    system: &mut S,
    x: &[T],
    parameter: T,
    factor: T,
) -> Result<DMatrix<T>, S::Error> {
    let n = system.dimension();
    let step = factor * fourth_order_step::<T>();
    let mut at = x.to_vec();
    let mut out = vec![T::zero(); n];
    let mut slopes = DMatrix::zeros(n, n + 1);
    for column in 0..=n {
        let base = if column < n { x[column] } else { parameter };
        let size = step * base.abs().max(T::one());
        for (shift, weight) in [(-2.0, 1.0), (-1.0, -8.0), (1.0, 8.0), (2.0, -1.0)] {
            let moved = base + T::lit(shift) * size;
            let lambda = if column < n { parameter } else { moved };
            if column < n {
                at[column] = moved;
            }
            system.residual(&at, lambda, &mut out)?;
            for (slope, &f) in slopes.column_mut(column).iter_mut().zip(&out) {
                *slope += T::lit(weight / 12.0) * f / size;
            }
        }
        if column < n {
            at[column] = base;
        }
    }
    Ok(slopes)
}

/// A closure f(x, λ, out) as a system, with its dimension.
///
/// ```
/// use contrastive_dynamics::stability::{BifurcationKind, Continuation, FunctionSystem};
/// // A fold at λ = 0.
/// let mut fold = FunctionSystem::new(1, |x: &[f64], lambda, out: &mut [f64]| out[0] = lambda + x[0] * x[0]);
/// let branch = Continuation::new(-1.0, 0.5).run(&mut fold, &[-0.9], -0.81)?;
/// assert_eq!(branch.bifurcations[0].kind, BifurcationKind::Fold);
/// assert!(branch.bifurcations[0].parameter.abs() <= branch.bifurcations[0].parameter_error);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct FunctionSystem<F> {
    dimension: usize,
    function: F,
}

impl<F> FunctionSystem<F> {
    /// The system of that many unknowns.
    pub fn new(dimension: usize, function: F) -> Self {
        Self { dimension, function }
    }
}

impl<T: Compiled, F: FnMut(&[T], T, &mut [T])> ContinuationSystem<T> for FunctionSystem<F> {
    type Error = std::convert::Infallible;

    fn dimension(&self) -> usize {
        self.dimension
    }

    fn residual(&mut self, x: &[T], parameter: T, out: &mut [T]) -> Result<(), Self::Error> {
        (self.function)(x, parameter, out);
        Ok(())
    }
}
