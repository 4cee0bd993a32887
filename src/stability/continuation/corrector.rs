//! One point of a branch: Newton's method on f(x, λ) = 0 within a hyperplane, and the tangent there.
//!
//! Points are z = (x, λ/scale), of length n + 1.

use nalgebra::{DMatrix, DVector};

use crate::Scalar;
use crate::limit::Compiled;
use crate::stability::continuation::ContinuationSystem;
use crate::stability::fixed_point::solve;

/// A solution with its derivatives.
#[derive(Debug, Clone)]
pub(super) struct Corrected<T: Scalar> {
    pub(super) z: DVector<T>,
    /// [f_x, f_μ], n x (n + 1), with μ = λ/scale.
    pub(super) slopes: DMatrix<T>,
    pub(super) residual: T,
    pub(super) iterations: usize,
}

/// How points are corrected.
#[derive(Debug, Clone, Copy)]
pub(super) struct Corrector<T> {
    pub(super) scale: T,
    pub(super) tolerance: T,
    pub(super) iterations: usize,
}

impl<T: Compiled> Corrector<T> {
    pub(super) fn parameter(&self, z: &DVector<T>) -> T {
        z[z.len() - 1] * self.scale
    }

    pub(super) fn residual<S: ContinuationSystem<T>>(
        &self,
        system: &mut S,
        z: &DVector<T>,
    ) -> Result<DVector<T>, S::Error> {
        let n = z.len() - 1;
        let mut f = DVector::zeros(n);
        system.residual(&z.as_slice()[..n], self.parameter(z), f.as_mut_slice())?;
        Ok(f)
    }

    pub(super) fn slopes<S: ContinuationSystem<T>>(
        &self,
        system: &mut S,
        z: &DVector<T>,
    ) -> Result<DMatrix<T>, S::Error> {
        let n = z.len() - 1;
        let (by_state, by_parameter) = system.jacobian(&z.as_slice()[..n], self.parameter(z))?;
        let mut slopes = DMatrix::zeros(n, n + 1);
        slopes.columns_mut(0, n).copy_from(&by_state);
        slopes.set_column(n, &(by_parameter * self.scale));
        Ok(slopes)
    }

    /// The solution near `guess` with normal · (z − guess) = 0, or none.
    pub(super) fn correct<S: ContinuationSystem<T>>(
        &self,
        system: &mut S,
        guess: &DVector<T>,
        normal: &DVector<T>,
    ) -> Result<Option<Corrected<T>>, S::Error> {
        let n = guess.len() - 1;
        let size = |f: &DVector<T>| f.iter().fold(T::zero(), |most, x| if x.abs() <= most { most } else { x.abs() });
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
            if small && size(&trial_f) >= T::lit(0.5) * size(&f) {
                return Ok(Some(Corrected { z, slopes, residual: size(&f), iterations }));
            }
            if !(size(&trial_f) < T::lit(1e6) * (size(&f) + T::one())) {
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
pub(super) fn bordered<T: Compiled>(slopes: &DMatrix<T>, row: &DVector<T>) -> DMatrix<T> {
    let (n, columns) = slopes.shape();
    DMatrix::from_fn(n + 1, columns, |r, c| if r < n { slopes[(r, c)] } else { row[c] })
}

/// The unit tangent that goes on in the direction of `before`.
pub(super) fn tangent<T: Compiled>(slopes: &DMatrix<T>, before: &DVector<T>) -> DVector<T> {
    let n = slopes.nrows();
    let mut right = DVector::zeros(n + 1);
    right[n] = T::one();
    let tangent = solve_square(&bordered(slopes, before), &right);
    let norm = tangent.norm();
    if norm > T::zero() && norm.is_finite() { tangent / norm } else { before.clone() }
}

fn solve_square<T: Compiled>(matrix: &DMatrix<T>, right: &DVector<T>) -> DVector<T> {
    matrix
        .clone()
        .lu()
        .solve(right)
        .filter(|x| x.iter().all(nalgebra::ComplexField::is_finite))
        .unwrap_or_else(|| solve(matrix, right))
}
