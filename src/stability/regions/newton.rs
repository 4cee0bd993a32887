//! Newton's method on the exact Jacobian, from a state near a fixed point, in the coordinates that are free to move.

use nalgebra::{DMatrix, DVector};

use crate::Scalar;
use crate::integrate::System;
use crate::limit::Compiled;
use crate::limit::LimitError;
use crate::model::Constraint;
use crate::ode::{OdeSystem, ReducedOde};
use crate::stability::fixed_point::linearize;
use crate::stability::regions::RegionsError;
use crate::state::{OrderParameters, unpack};

/// Which packed entries can move, and the size by which each is measured: √R_ii for Q_li, √(R_ii R_jj) for R_ij.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Frame<T> {
    pub(super) free: Vec<usize>,
    pub(super) scales: Vec<T>,
}

impl<T: Compiled> Frame<T> {
    pub(super) fn new(ode: &ReducedOde<'_, T>, state: &OrderParameters<T>) -> Self {
        let (p, m) = (state.n_features(), state.n_neurons());
        let largest = (0..m).fold(T::zero(), |s, i| s.max(state.r()[(i, i)].abs()));
        // A neuron that is nearly zero beside the others is measured by them; if all are, by weights of a hundredth.
        let norm = |i: usize| state.r()[(i, i)].max(largest * T::lit(1e-2)).max(T::lit(1e-4)).sqrt();
        let overlaps = (0..p).flat_map(|_| 0..m).map(norm);
        let pairs = || (0..m).flat_map(move |i| (i..m).map(move |j| (i, j)));
        let scales = overlaps.chain(pairs().map(|(i, j)| norm(i) * norm(j))).collect();
        let sphere = ode.constraint() == Constraint::Sphere;
        let covariances = pairs().enumerate().filter(|(_, (i, j))| !sphere || i != j).map(|(k, _)| p * m + k);
        Self { free: (0..p * m).chain(covariances).collect(), scales }
    }

    /// The Jacobian of scaled free coordinates, S⁻¹ J S.
    pub(super) fn scaled(&self, jacobian: &DMatrix<T>) -> DMatrix<T> {
        let n = self.free.len();
        DMatrix::from_fn(n, n, |i, j| {
            let (i, j) = (self.free[i], self.free[j]);
            jacobian[(i, j)] * self.scales[j] / self.scales[i]
        })
    }

    /// A packed vector, or the difference of two, in scaled free coordinates.
    pub(super) fn coordinates(&self, x: &dyn Fn(usize) -> T) -> DVector<T> {
        DVector::from_iterator(self.free.len(), self.free.iter().map(|&at| x(at) / self.scales[at]))
    }
}

/// A root of the rates.
#[derive(Debug, Clone)]
pub(super) struct Root<T: Scalar> {
    pub(super) packed: Vec<T>,
    pub(super) frame: Frame<T>,
    /// The Jacobian of scaled free coordinates there.
    pub(super) jacobian: DMatrix<T>,
    /// The length of the way from the guess, in scaled coordinates.
    pub(super) moved: T,
}

impl<T: Compiled> Root<T> {
    pub(super) fn state(&self, features: usize, neurons: usize) -> OrderParameters<T> {
        let (q, r) = unpack(features, neurons, &self.packed);
        OrderParameters::from_parts(q, r)
    }
}

const MOST_ITERATIONS: usize = 60;

/// The fixed point that Newton's method reaches from `guess`; `None` if it does not settle.
pub(super) fn polish<T: Compiled>(
    ode: &ReducedOde<'_, T>,
    guess: &OrderParameters<T>,
) -> Result<Option<Root<T>>, RegionsError<T>> {
    let mut system = ode.system(guess)?;
    let frame = Frame::new(ode, guess);
    let start = guess.to_packed();
    let mut y = start.as_slice().to_vec();
    let mut rates = vec![T::zero(); y.len()];
    for _ in 0..MOST_ITERATIONS {
        let by_state = match system.jacobian(&y) {
            Ok(answer) => answer.by_state,
            // On the boundary of the feasible set the derivative is a limit.
            Err(LimitError::NotDifferentiable) => {
                let (q, r) = unpack(guess.n_features(), guess.n_neurons(), &y);
                linearize(ode, &OrderParameters::from_parts(q, r))?.by_state
            }
            Err(error) => return Err(error.into()),
        };
        let jacobian = frame.scaled(&by_state);
        let norm = norm(&frame, &mut system, &y, &mut rates);
        let residual = frame.coordinates(&|k| rates[k]);
        let Some(step) = jacobian.clone().lu().solve(&residual) else { return Ok(None) };
        if !step.iter().all(nalgebra::ComplexField::is_finite) {
            return Ok(None);
        }
        let settled = |y: Vec<T>, jacobian: DMatrix<T>| {
            let moved = frame.coordinates(&|k| y[k] - start[k]).norm();
            Ok(Some(Root { packed: y, jacobian, frame: frame.clone(), moved }))
        };
        if step.norm() <= T::lit(64.0) * T::EPSILON {
            return settled(y, jacobian);
        }
        let mut share = T::one();
        let next = loop {
            let mut next = y.clone();
            for (&at, &dx) in frame.free.iter().zip(step.iter()) {
                next[at] -= share * dx * frame.scales[at];
            }
            if self::norm(&frame, &mut system, &next, &mut rates) < norm && system.accepted(T::zero(), &next).is_ok() {
                break Some(next);
            }
            share *= T::lit(0.5);
            if share < T::lit(1e-9) {
                break None;
            }
        };
        // The size of a step that is lost in rounding: no step makes the rates smaller any more.
        let small = T::EPSILON.sqrt();
        match next {
            Some(next) => y = next,
            None if step.norm() <= small => return settled(y, jacobian),
            None => return Ok(None),
        }
    }
    Ok(None)
}

fn norm<T: Compiled>(frame: &Frame<T>, system: &mut OdeSystem<'_, '_, T>, y: &[T], rates: &mut [T]) -> T {
    // Rates of a frozen rule cannot fail; a NaN compares as not smaller.
    if system.rates(T::zero(), y, rates).is_err() {
        return T::lit(f64::NAN);
    }
    frame.coordinates(&|k| rates[k]).norm()
}
