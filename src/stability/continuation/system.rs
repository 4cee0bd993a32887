//! What can be continued: a family of equations over one parameter.
//!
//! Covers the trait [`ContinuationSystem`] and closures as systems. Not here: the reduced ODE as such a system (see
//! `curve` and `family_curve`), and the method (see `follow`).

use nalgebra::{DMatrix, DVector};

use crate::limit::Compiled;
use crate::numerics::differences::fourth_order_step;

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
        let step = fourth_order_step::<T>();
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
                self.residual(&at, lambda, &mut out)?;
                for (slope, &f) in slopes.column_mut(column).iter_mut().zip(&out) {
                    *slope += T::lit(weight / 12.0) * f / size;
                }
            }
            if column < n {
                at[column] = base;
            }
        }
        Ok((slopes.columns(0, n).into_owned(), slopes.column(n).into_owned()))
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

    /// Whether a solution is one; a branch ends where it is not. The default says yes.
    fn is_admissible(&self, x: &[T], parameter: T) -> bool {
        let _ = (x, parameter);
        true
    }
}

/// A closure f(x, λ, out) as a system, with its dimension.
///
/// ```
/// use contrastive_dynamics::stability::{BifurcationKind, Continuation, FunctionSystem};
/// // A fold at λ = 0.
/// let mut fold = FunctionSystem::new(1, |x: &[f64], lambda, out: &mut [f64]| out[0] = lambda + x[0] * x[0]);
/// let branch = Continuation::new(-1.0, 0.5).run(&mut fold, &[-0.9], -0.81)?;
/// assert_eq!(branch.bifurcations[0].kind, BifurcationKind::Fold);
/// assert!(branch.bifurcations[0].parameter.abs() < 1e-8);
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
