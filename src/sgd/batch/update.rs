//! The weights after a step, one neuron at a time, and what follows it: momentum and the constraint.

use nalgebra::DMatrix;

use crate::Scalar;
use crate::model::{Constraint, Regularizer};
use crate::numerics::kernels::{Columns, combine};
use crate::numerics::lanes::dispatch;
use crate::start::constrain;

/// next = w − decay·φ(w) + Σ coefficient·column over all columns of all parts; returns ‖next‖². It depends on the regulariser
/// alone, so that it is compiled once for each, not once for each model.
pub(in crate::sgd) fn decayed<T: Scalar, G: Regularizer<T>, const P: usize>(
    next: &mut [T],
    w: &[T],
    decay: T,
    regularizer: &G,
    parts: [Columns<'_, T>; P],
) -> T {
    dispatch(
        #[inline(always)]
        || {
            if decay > T::zero() {
                combine(next, w, |w| w - decay * regularizer.apply(w), parts)
            } else {
                combine(next, w, |w| w, parts)
            }
        },
    )
}

/// Heavy-ball momentum: what is left of former steps (theory §12). Nothing is kept where there is none.
#[derive(Debug, Clone)]
pub(in crate::sgd) struct Momentum<T> {
    factor: T,
    /// The last step of every weight, before the constraint; empty without momentum.
    velocity: Vec<T>,
    next: Vec<T>,
}

impl<T: Scalar> Momentum<T> {
    /// For so many weights at rest.
    pub(in crate::sgd) fn new(factor: T, weights: usize) -> Self {
        let count = if factor == T::zero() { 0 } else { weights };
        Self { factor, velocity: vec![T::zero(); count], next: vec![T::zero(); count] }
    }

    pub(in crate::sgd) fn velocity(&self) -> &[T] {
        &self.velocity
    }

    /// Takes a velocity over; false if it is of another length or not finite.
    pub(in crate::sgd) fn restore(&mut self, velocity: Vec<T>) -> bool {
        let fits = velocity.len() == self.velocity.len() && velocity.iter().all(nalgebra::ComplexField::is_finite);
        if fits {
            self.velocity = velocity;
        }
        fits
    }

    /// Adds what is left of former steps to the plain step from `weights` to `next`; whether all is finite.
    fn add(&mut self, weights: &[T], next: &mut [T]) -> bool {
        let mut finite = true;
        let velocities = self.velocity.iter().zip(&mut self.next);
        for ((next, &w), (&velocity, moved)) in next.iter_mut().zip(weights).zip(velocities) {
            *moved = self.factor * velocity + (*next - w);
            *next = w + *moved;
            finite &= nalgebra::ComplexField::is_finite(next);
        }
        finite
    }

    /// What follows a plain step from `weights` to `next`, N x m: momentum and the constraint. Whether the new weights are
    /// finite and satisfy it.
    pub(in crate::sgd) fn finish(
        &mut self,
        constraint: Constraint,
        weights: &DMatrix<T>,
        next: &mut DMatrix<T>,
    ) -> bool {
        if !self.velocity.is_empty() && !self.add(weights.as_slice(), next.as_mut_slice()) {
            return false;
        }
        constraint == Constraint::None || constrain(constraint, next)
    }

    /// The step is taken.
    pub(in crate::sgd) fn accept(&mut self) {
        std::mem::swap(&mut self.velocity, &mut self.next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// v ← βv + s, w ← w + v of plain steps s, written out.
    #[test]
    fn steps_are_those_of_heavy_balls() {
        let mut momentum = Momentum::new(0.5, 2);
        let mut weights = DMatrix::from_column_slice(2, 1, &[1.0, -2.0]);
        let (mut w, mut v) = ([1.0, -2.0], [0.0; 2]);
        for step in [[0.25, 0.5], [-1.0, 0.125], [0.0, 0.0]] {
            let mut next = DMatrix::from_fn(2, 1, |n, _| weights[n] + step[n]);
            assert!(momentum.finish(Constraint::None, &weights, &mut next));
            weights = next;
            momentum.accept();
            for n in 0..2 {
                v[n] = 0.5 * v[n] + step[n];
                w[n] += v[n];
            }
            assert_eq!((weights.as_slice(), momentum.velocity()), (&w[..], &v[..]));
        }
        let mut next = DMatrix::from_element(2, 1, f64::MAX);
        weights.fill(-f64::MAX);
        assert!(!momentum.finish(Constraint::None, &weights, &mut next), "a step that overflows");
        assert_eq!(momentum.velocity(), v);
    }

    #[test]
    fn without_momentum_nothing_is_kept() {
        let mut momentum = Momentum::new(0.0, 2);
        let weights = DMatrix::from_column_slice(2, 1, &[1.0, -2.0]);
        let mut next = DMatrix::from_column_slice(2, 1, &[3.0, 1.0]);
        assert!(momentum.finish(Constraint::None, &weights, &mut next));
        momentum.accept();
        assert!(momentum.velocity().is_empty() && next[0] == 3.0);
        assert!(momentum.restore(Vec::new()) && !momentum.restore(vec![1.0; 2]));
        assert!(!Momentum::new(0.5, 1).restore(vec![f64::NAN]));
    }
}
