//! Polynomials, the identity among them.
//!
//! Covers values, derivatives and parity. Not here: the closed form of the limit that the identity has (see
//! docs/theory.md).

use crate::Scalar;
use crate::model::ModelError;
use crate::model::nonlinearity::{Nonlinearity, Parity, Smoothness};

/// The identity, σ(h) = h: the linear model, for which the limit has a closed form (docs/theory.md, "The identity").
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Identity;

impl<T: Scalar> Nonlinearity<T> for Identity {
    #[inline]
    fn value(&self, h: T) -> T {
        h
    }
    #[inline]
    fn derivative(&self, _h: T) -> T {
        T::one()
    }
    fn second_derivative(&self, _h: T) -> Option<T> {
        Some(T::zero())
    }
    fn parity(&self) -> Parity {
        Parity::Odd
    }
    fn smoothness(&self) -> Smoothness<T> {
        Smoothness::Polynomial { degree: 1 }
    }
}

/// A polynomial, σ(h) = Σ_k a_k h^k.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "crate::model::stored::StoredPolynomial<T>"))]
#[cfg_attr(feature = "serde", serde(bound(deserialize = "T: crate::Scalar + serde::Deserialize<'de>")))]
pub struct Polynomial<T = f64> {
    coefficients: Vec<T>,
}

impl<T: Scalar> Polynomial<T> {
    /// The polynomial with coefficients a_0, a_1, ...; trailing zeros are dropped.
    ///
    /// # Errors
    /// [`ModelError::NonlinearityParameter`] if a coefficient is not finite or all vanish.
    pub fn new(coefficients: impl Into<Vec<T>>) -> Result<Self, ModelError> {
        let mut coefficients = coefficients.into();
        if let Some(bad) = coefficients.iter().find(|a| !a.is_finite()) {
            return Err(ModelError::NonlinearityParameter { name: "coefficient", value: bad.as_f64() });
        }
        while coefficients.last().is_some_and(|a| *a == T::zero()) {
            coefficients.pop();
        }
        if coefficients.is_empty() {
            return Err(ModelError::NonlinearityParameter { name: "leading coefficient", value: 0.0 });
        }
        Ok(Self { coefficients })
    }

    /// The coefficients a_0, a_1, ..., a_d, the last of them not zero.
    #[must_use]
    pub fn coefficients(&self) -> &[T] {
        &self.coefficients
    }

    /// Horner's scheme for the `order`-th derivative.
    fn horner(&self, h: T, order: usize) -> T {
        let terms = self.coefficients.iter().enumerate().skip(order).rev();
        terms.fold(T::zero(), |sum, (k, &a)| {
            let falling = (k + 1 - order..=k).fold(T::one(), |f, j| f * T::of_usize(j));
            sum * h + falling * a
        })
    }
}

impl<T: Scalar> Nonlinearity<T> for Polynomial<T> {
    fn value(&self, h: T) -> T {
        self.horner(h, 0)
    }
    fn derivative(&self, h: T) -> T {
        self.horner(h, 1)
    }
    fn second_derivative(&self, h: T) -> Option<T> {
        Some(self.horner(h, 2))
    }
    fn parity(&self) -> Parity {
        let vanish = |start: usize| self.coefficients.iter().skip(start).step_by(2).all(|a| *a == T::zero());
        match (vanish(0), vanish(1)) {
            (true, _) => Parity::Odd,
            (false, true) => Parity::Even,
            (false, false) => Parity::None,
        }
    }
    fn smoothness(&self) -> Smoothness<T> {
        Smoothness::Polynomial { degree: self.coefficients.len() - 1 }
    }
}
