//! Rectifiers: two slopes and a kink at zero.
//!
//! Covers the rectifier and the leaky one. Not here: the smooth one ([`Softplus`](crate::model::Softplus)), and averages
//! over kinks (see [`crate::limit`]).

use crate::Scalar;
use crate::model::ModelError;
use crate::model::nonlinearity::{ClosedForm, Nonlinearity, Smoothness};

/// The rectifier, σ(h) = max(h, 0), with σ'(0) = 0.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Relu;

impl<T: Scalar> Nonlinearity<T> for Relu {
    #[inline]
    fn value(&self, h: T) -> T {
        // A NaN is neither.
        if h <= T::zero() { T::zero() } else { h }
    }
    #[inline]
    fn derivative(&self, h: T) -> T {
        if h > T::zero() {
            T::one()
        } else if h <= T::zero() {
            T::zero()
        } else {
            h
        }
    }
    fn smoothness(&self) -> Smoothness<T> {
        Smoothness::Kinked { at: T::zero() }
    }
    fn closed_form(&self) -> Option<ClosedForm<T>> {
        Some(ClosedForm::Rectifier { slope: T::zero() })
    }
}

/// The leaky rectifier, σ(h) = h for h > 0 and `slope`·h otherwise.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "crate::model::stored::StoredLeakyRelu<T>"))]
#[cfg_attr(feature = "serde", serde(bound(deserialize = "T: crate::Scalar + serde::Deserialize<'de>")))]
pub struct LeakyRelu<T = f64> {
    slope: T,
}

impl<T: Scalar> LeakyRelu<T> {
    /// A leaky rectifier with that slope at negative arguments.
    ///
    /// # Errors
    /// [`ModelError::NonlinearityParameter`] if the slope is not finite.
    pub fn new(slope: T) -> Result<Self, ModelError> {
        if !slope.is_finite() {
            return Err(ModelError::NonlinearityParameter { name: "slope", value: slope.as_f64() });
        }
        Ok(Self { slope })
    }
}

impl<T: Scalar> Nonlinearity<T> for LeakyRelu<T> {
    #[inline]
    fn value(&self, h: T) -> T {
        if h > T::zero() { h } else { self.slope * h }
    }
    #[inline]
    fn derivative(&self, h: T) -> T {
        if h > T::zero() {
            T::one()
        } else if h <= T::zero() {
            self.slope
        } else {
            h
        }
    }
    fn smoothness(&self) -> Smoothness<T> {
        Smoothness::Kinked { at: T::zero() }
    }
    fn closed_form(&self) -> Option<ClosedForm<T>> {
        Some(ClosedForm::Rectifier { slope: self.slope })
    }
}
