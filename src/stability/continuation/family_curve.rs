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
use crate::stability::continuation::sharpness::{of_rates, sharper_tolerances};
use crate::stability::continuation::system::{BoxedSystem, ContinuationSystem, Uncertainty};
use crate::stability::fixed_point::linearize;
use crate::stability::learnability::{FamilyError, OdeFamily};
use crate::state::OrderParameters;

/// The fixed points of a family of reduced ODEs. Derivatives by the parameter are differences, and every value has a
/// rule of its own: slower than [`OdeCurve`](super::OdeCurve), for what is no [`Parameter`](crate::limit::Parameter).
#[derive(Debug)]
pub struct FamilyCurve<F> {
    family: F,
    entries: Entries,
    /// The tolerance of the coefficients, where it is not that of the family's members.
    tolerance: Option<f64>,
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
        // A family that shows no member has no unknowns; its residual says so.
        let entries = entries.unwrap_or_else(Entries::none);
        Ok(Self { family, entries, tolerance: None })
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
        self.family.visit(value, &mut |ode| {
            answer = Some(match self.tolerance {
                Some(tolerance) => {
                    ode.clone().coefficient_tolerance(T::lit(tolerance)).and_then(|ode: ReducedOde<'_, T>| f(&ode))
                }
                None => f(ode),
            });
        })?;
        Ok(answer.ok_or(CurveError::NoMember { value: value.as_f64() })??)
    }
}

/// The step of the differences by the parameter.
fn step<T: Compiled>(parameter: T) -> T {
    second_order_step::<T>() * parameter.abs().max(T::one())
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
        let by_state = self.at(parameter, |ode| Ok(linearize(ode, &state)?.by_state))?;
        let step = step(parameter);
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

    fn uncertainty(&mut self, x: &[T], parameter: T) -> Result<Uncertainty<T>, CurveError<T>> {
        let state = self.entries.state(x);
        let (extrapolation, known) = self.at(parameter, |ode| {
            let (_, error) = ode.limit().rule_with_error(&state)?;
            Ok((linearize(ode, &state)?.error, of_rates(ode, error)))
        })?;
        let step = step(parameter);
        // A difference of two answers, good to the square of the step besides.
        let by_parameter = known.residual / step + step * step + known.by_parameter;
        Ok(Uncertainty { residual: known.residual, by_state: known.by_state + extrapolation, by_parameter })
    }

    fn sharper(&self, x: &[T], parameter: T) -> Option<BoxedSystem<'_, T, CurveError<T>>> {
        if self.tolerance.is_some() {
            return None;
        }
        let state = self.entries.state(x);
        let mut sharpest = None;
        let find = |ode: &ReducedOde<'_, T>| {
            let met = |tolerance: &T| {
                let sharper = ode.clone().coefficient_tolerance(*tolerance);
                sharper.is_ok_and(|ode| ode.limit().rule(&state).is_ok_and(|rule| !rule.is_sampled()))
            };
            sharpest = sharper_tolerances(ode).find(met);
        };
        self.family.visit(parameter, &mut { find }).ok()?;
        let tolerance = Some(sharpest?.as_f64());
        // A trait object, lest the sharper system of a sharper one be of yet another type.
        let family: &dyn OdeFamily<T> = &self.family;
        Some(Box::new(FamilyCurve { family, entries: self.entries.clone(), tolerance }))
    }

    fn is_admissible(&self, x: &[T], _parameter: T) -> bool {
        self.entries.is_feasible(x)
    }

    fn nearest_admissible(&self, x: &[T], _parameter: T) -> Option<Vec<T>> {
        self.entries.nearest_feasible(x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A family whose implementation forgets to show its members.
    struct Nothing;
    impl OdeFamily for Nothing {
        fn visit(&self, _value: f64, _f: &mut dyn FnMut(&ReducedOde<'_, f64>)) -> Result<(), FamilyError> {
            Ok(())
        }
    }

    #[test]
    fn a_family_that_shows_no_member_is_told_so() {
        let mut curve = FamilyCurve::new(Nothing, 0.5).unwrap();
        assert_eq!(curve.residual(&[], 0.5, &mut []), Err(CurveError::NoMember { value: 0.5 }));
    }
}
