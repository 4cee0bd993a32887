//! The reduced ODEs of a family of models as a system to be continued.
//!
//! Covers any function of one number that builds models, by differences. Not here: the parameters of a model, whose
//! derivatives are exact (see `curve`).

use nalgebra::{DMatrix, DVector};

use crate::limit::{Compiled, LimitError};
use crate::numerics::differences::second_order_step;
use crate::ode::ReducedOde;
use crate::stability::continuation::entries::Entries;
use crate::stability::continuation::error::CurveError;
use crate::stability::continuation::system::ContinuationSystem;
use crate::stability::learnability::{FamilyError, OdeFamily};
use crate::state::OrderParameters;

/// The fixed points of a family of reduced ODEs. Derivatives by the parameter are differences, and every value has a
/// rule of its own: slower than [`OdeCurve`](super::OdeCurve), for what is no [`Parameter`](crate::limit::Parameter).
#[derive(Debug)]
pub struct FamilyCurve<F> {
    family: F,
    entries: Entries,
}

impl<F> FamilyCurve<F> {
    /// The curve of a family that has a member at `value`; all members have its numbers of features and neurons.
    ///
    /// # Errors
    /// Whatever keeps that member from existing.
    pub fn new<T: Compiled>(family: F, value: T) -> Result<Self, FamilyError<T>>
    where
        F: OdeFamily<T>,
    {
        let mut entries = None;
        family.visit(value, &mut |ode| entries = Some(Entries::new(ode)))?;
        let entries = entries.unwrap_or_else(Entries::none);
        Ok(Self { family, entries })
    }

    /// The unknowns at a state.
    #[must_use]
    pub fn coordinates<T: Compiled>(&self, state: &OrderParameters<T>) -> Vec<T> {
        self.entries.coordinates(state)
    }

    /// The state at those unknowns.
    #[must_use]
    pub fn state<T: Compiled>(&self, x: &[T]) -> OrderParameters<T> {
        self.entries.state(x)
    }

    fn at<T: Compiled, R>(
        &self,
        value: T,
        mut f: impl FnMut(&ReducedOde<'_, T>) -> Result<R, LimitError<T>>,
    ) -> Result<R, CurveError<T>>
    where
        F: OdeFamily<T>,
    {
        let mut answer = None;
        self.family.visit(value, &mut |ode| answer = Some(f(ode)))?;
        Ok(answer.unwrap_or(Err(LimitError::NotFinite))?)
    }
}

impl<T: Compiled, F: OdeFamily<T>> ContinuationSystem<T> for FamilyCurve<F> {
    type Error = CurveError<T>;

    fn dimension(&self) -> usize {
        self.entries.free.len()
    }

    fn residual(&mut self, x: &[T], parameter: T, out: &mut [T]) -> Result<(), CurveError<T>> {
        let state = self.entries.state(x);
        let packed = self.at(parameter, |ode| {
            let mut rule = ode.limit().rule(&state)?;
            Ok(ode.packed_rates(&mut rule, &state))
        })?;
        for (out, &at) in out.iter_mut().zip(&self.entries.free) {
            *out = packed[at];
        }
        Ok(())
    }

    fn jacobian(&mut self, x: &[T], parameter: T) -> Result<(DMatrix<T>, DVector<T>), CurveError<T>> {
        let state = self.entries.state(x);
        let by_state = self.at(parameter, |ode| Ok(ode.sensitivities(&state, &[])?.by_state))?;
        let step = second_order_step::<T>() * parameter.abs().max(T::one());
        let n = self.entries.free.len();
        let (mut above, mut below) = (DVector::zeros(n), DVector::zeros(n));
        // Near the end of the family's range the difference is one-sided.
        let (mut up, mut down) = (parameter + step, parameter - step);
        if self.residual(x, up, above.as_mut_slice()).is_err() {
            up = parameter;
            self.residual(x, up, above.as_mut_slice())?;
        }
        if self.residual(x, down, below.as_mut_slice()).is_err() {
            down = parameter;
            self.residual(x, down, below.as_mut_slice())?;
        }
        Ok((self.entries.restrict(&by_state), (above - below) / (up - down)))
    }

    fn is_admissible(&self, x: &[T], _parameter: T) -> bool {
        self.entries.is_feasible(x)
    }
}
