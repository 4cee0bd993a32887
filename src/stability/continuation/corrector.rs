//! One point of a branch: Newton's method on f(x, λ) = 0 within a hyperplane, and the tangent there.
//!
//! Covers the corrector for any system. Not here: fixed points of the reduced ODE, whose Newton's method knows its
//! feasible set.
//!
//! Points are z = (x, λ/scale), of length n + 1.

use nalgebra::{DMatrix, DVector};

use crate::Scalar;
use crate::limit::Compiled;
use crate::numerics::largest::largest_size;
use crate::numerics::linear::solve_square;
use crate::stability::continuation::system::AnySystem;

/// A correction that leaves more than that of |f| no longer helps.
const HELPS: f64 = 0.5;
/// A correction that makes 1 + |f| grow by that has lost the branch.
const LOST: f64 = 1e6;

/// A solution with its derivatives.
#[derive(Debug, Clone)]
pub(crate) struct Corrected<T: Scalar> {
    pub(crate) z: DVector<T>,
    /// [f_x, f_μ], n x (n + 1), with μ = λ/scale.
    pub(crate) slopes: DMatrix<T>,
    pub(crate) residual: T,
    pub(crate) iterations: usize,
}

/// How points are corrected.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Corrector<T> {
    pub(crate) scale: T,
    pub(crate) tolerance: T,
    pub(crate) iterations: usize,
}

impl<T: Scalar> Corrector<T> {
    pub(crate) fn parameter(&self, z: &DVector<T>) -> T {
        z[z.len() - 1] * self.scale
    }
}

impl<T: Compiled> Corrector<T> {
    pub(crate) fn residual<E>(&self, system: &mut AnySystem<'_, T, E>, z: &DVector<T>) -> Result<DVector<T>, E> {
        let n = z.len() - 1;
        let mut f = DVector::zeros(n);
        system.residual(&z.as_slice()[..n], self.parameter(z), f.as_mut_slice())?;
        Ok(f)
    }

    pub(crate) fn slopes<E>(&self, system: &mut AnySystem<'_, T, E>, z: &DVector<T>) -> Result<DMatrix<T>, E> {
        let n = z.len() - 1;
        let (by_state, by_parameter) = system.jacobian(&z.as_slice()[..n], self.parameter(z))?;
        let mut slopes = DMatrix::zeros(n, n + 1);
        slopes.columns_mut(0, n).copy_from(&by_state);
        slopes.set_column(n, &(by_parameter * self.scale));
        Ok(slopes)
    }

    /// The solution near `guess` with normal · (z − guess) = 0, or none.
    pub(crate) fn correct<E>(
        &self,
        system: &mut AnySystem<'_, T, E>,
        guess: &DVector<T>,
        normal: &DVector<T>,
    ) -> Result<Option<Corrected<T>>, E> {
        let n = guess.len() - 1;
        let size = |f: &DVector<T>| largest_size(f.iter().copied());
        let mut z = guess.clone();
        let mut f = self.residual(system, &z)?;
        for iterations in 0..self.iterations {
            let slopes = self.slopes(system, &z)?;
            let mut right = DVector::zeros(n + 1);
            right.rows_mut(0, n).copy_from(&f);
            right[n] = normal.dot(&(&z - guess));
            let step = solve_square(&bordered(&slopes, normal), &right);
            let small = size(&f) <= self.tolerance;
            // A solution from which a long step leads is next to a branch point: the step is rounding, magnified.
            if size(&f) == T::zero() || small && step.norm() > T::EPSILON.sqrt().sqrt() {
                return Ok(Some(Corrected { z, slopes, residual: size(&f), iterations }));
            }
            let trial = &z - step;
            let trial_f = self.residual(system, &trial)?;
            // Beyond the tolerance as long as it helps: what is located later lives on the last digits.
            if small && size(&trial_f) >= T::lit(HELPS) * size(&f) {
                return Ok(Some(Corrected { z, slopes, residual: size(&f), iterations }));
            }
            if !(size(&trial_f) < T::lit(LOST) * (size(&f) + T::one())) {
                return Ok(None);
            }
            (z, f) = (trial, trial_f);
        }
        if size(&f) <= self.tolerance {
            let slopes = self.slopes(system, &z)?;
            return Ok(Some(Corrected { z, slopes, residual: size(&f), iterations: self.iterations }));
        }
        Ok(None)
    }
}

/// The matrix with one more row.
pub(crate) fn bordered<T: Scalar>(slopes: &DMatrix<T>, row: &DVector<T>) -> DMatrix<T> {
    let (n, columns) = slopes.shape();
    DMatrix::from_fn(n + 1, columns, |r, c| if r < n { slopes[(r, c)] } else { row[c] })
}

/// The unit tangent that goes on in the direction of `before`.
pub(crate) fn tangent<T: Scalar>(slopes: &DMatrix<T>, before: &DVector<T>) -> DVector<T> {
    let n = slopes.nrows();
    let mut right = DVector::zeros(n + 1);
    right[n] = T::one();
    let tangent = solve_square(&bordered(slopes, before), &right);
    let norm = tangent.norm();
    if norm > T::zero() && norm.is_finite() { tangent / norm } else { before.clone() }
}
