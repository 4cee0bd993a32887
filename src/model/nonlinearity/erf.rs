//! The error function, for which averages over Gaussian fields have closed forms.
//!
//! Covers values, derivatives and slices. Not here: its arithmetic (see `numerics::elementary`) and the closed forms (see
//! [`crate::limit`]).

use crate::Scalar;
use crate::model::nonlinearity::{ClosedForm, Nonlinearity, Parity, Smoothness};
use crate::numerics::elementary;

/// The error function in the scaling of the statistical mechanics of learning, σ(h) = erf(h/√2): odd, entire.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Erf;

impl<T: Scalar> Nonlinearity<T> for Erf {
    #[inline]
    fn value(&self, h: T) -> T {
        T::lit(elementary::erf(h.as_f64()).0)
    }
    #[inline]
    fn derivative(&self, h: T) -> T {
        T::lit(elementary::erf(h.as_f64()).1)
    }
    #[inline]
    fn value_and_derivative(&self, h: T) -> (T, T) {
        let (value, derivative) = elementary::erf(h.as_f64());
        (T::lit(value), T::lit(derivative))
    }
    fn evaluate(&self, fields: &[T], values: &mut [T], derivatives: &mut [T]) {
        elementary::evaluate(elementary::erf, fields, values, derivatives);
    }
    fn evaluate_second(&self, fields: &[T], _values: &[T], derivatives: &[T], seconds: &mut [T]) -> bool {
        elementary::combine(fields, derivatives, seconds, |h, d| -h * d);
        true
    }
    fn closed_form(&self) -> Option<ClosedForm<T>> {
        Some(ClosedForm::Erf)
    }
    fn second_derivative(&self, h: T) -> Option<T> {
        Some(-h * Nonlinearity::<T>::derivative(self, h))
    }
    fn parity(&self) -> Parity {
        Parity::Odd
    }
    fn smoothness(&self) -> Smoothness<T> {
        Smoothness::Entire
    }
}
