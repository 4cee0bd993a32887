//! The hyperbolic tangent.
//!
//! Covers values, derivatives and slices. Not here: its arithmetic (see `numerics::elementary`).

use crate::Scalar;
use crate::model::nonlinearity::{Nonlinearity, Parity, Smoothness};
use crate::numerics::elementary;

/// The hyperbolic tangent, σ(h) = tanh h: odd, poles at ±iπ/2.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Tanh;

impl<T: Scalar> Nonlinearity<T> for Tanh {
    #[inline]
    fn value(&self, h: T) -> T {
        T::lit(elementary::tanh(h.as_f64()).0)
    }
    #[inline]
    fn derivative(&self, h: T) -> T {
        T::lit(elementary::tanh(h.as_f64()).1)
    }
    #[inline]
    fn value_and_derivative(&self, h: T) -> (T, T) {
        let (value, derivative) = elementary::tanh(h.as_f64());
        (T::lit(value), T::lit(derivative))
    }
    fn evaluate(&self, fields: &[T], values: &mut [T], derivatives: &mut [T]) {
        elementary::evaluate(elementary::tanh, fields, values, derivatives);
    }
    fn evaluate_second(&self, _fields: &[T], values: &[T], derivatives: &[T], seconds: &mut [T]) -> bool {
        elementary::combine(values, derivatives, seconds, |y, d| T::lit(-2.0) * y * d);
        true
    }
    fn second_derivative(&self, h: T) -> Option<T> {
        let (y, d) = self.value_and_derivative(h);
        Some(T::lit(-2.0) * y * d)
    }
    fn parity(&self) -> Parity {
        Parity::Odd
    }
    fn smoothness(&self) -> Smoothness<T> {
        Smoothness::Analytic { pole_distance: T::frac_pi_2() }
    }
}
