//! The logistic function and its integral, the soft rectifier.
//!
//! Covers values, derivatives and slices. Not here: their arithmetic (see `numerics::elementary`).

use crate::Scalar;
use crate::model::nonlinearity::{Nonlinearity, Smoothness};
use crate::numerics::elementary;

/// The soft rectifier, σ(h) = ln(1 + exp h): branch points at ±iπ.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Softplus;

impl<T: Scalar> Nonlinearity<T> for Softplus {
    #[inline]
    fn value(&self, h: T) -> T {
        T::lit(elementary::softplus(h.as_f64()).0)
    }
    #[inline]
    fn derivative(&self, h: T) -> T {
        T::lit(elementary::softplus(h.as_f64()).1)
    }
    #[inline]
    fn value_and_derivative(&self, h: T) -> (T, T) {
        let (value, derivative) = elementary::softplus(h.as_f64());
        (T::lit(value), T::lit(derivative))
    }
    fn evaluate(&self, fields: &[T], values: &mut [T], derivatives: &mut [T]) {
        elementary::evaluate(elementary::softplus, fields, values, derivatives);
    }
    fn evaluate_second(&self, _fields: &[T], _values: &[T], derivatives: &[T], seconds: &mut [T]) -> bool {
        elementary::combine(derivatives, derivatives, seconds, |d, _| d * (T::one() - d));
        true
    }
    fn second_derivative(&self, h: T) -> Option<T> {
        Some(Sigmoid.derivative(h))
    }
    fn smoothness(&self) -> Smoothness<T> {
        Smoothness::Analytic { pole_distance: T::pi() }
    }
}

/// The logistic function, σ(h) = 1/(1 + exp(−h)): poles at ±iπ.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sigmoid;

impl<T: Scalar> Nonlinearity<T> for Sigmoid {
    #[inline]
    fn value(&self, h: T) -> T {
        T::lit(elementary::sigmoid(h.as_f64()).0)
    }
    #[inline]
    fn derivative(&self, h: T) -> T {
        T::lit(elementary::sigmoid(h.as_f64()).1)
    }
    #[inline]
    fn value_and_derivative(&self, h: T) -> (T, T) {
        let (value, derivative) = elementary::sigmoid(h.as_f64());
        (T::lit(value), T::lit(derivative))
    }
    fn evaluate(&self, fields: &[T], values: &mut [T], derivatives: &mut [T]) {
        elementary::evaluate(elementary::sigmoid, fields, values, derivatives);
    }
    fn evaluate_second(&self, _fields: &[T], values: &[T], derivatives: &[T], seconds: &mut [T]) -> bool {
        elementary::combine(values, derivatives, seconds, |y, d| d * (T::one() - y - y));
        true
    }
    fn second_derivative(&self, h: T) -> Option<T> {
        let y: T = self.value(h);
        Some(self.derivative(h) * (T::one() - y - y))
    }
    fn smoothness(&self) -> Smoothness<T> {
        Smoothness::Analytic { pole_distance: T::pi() }
    }
}
