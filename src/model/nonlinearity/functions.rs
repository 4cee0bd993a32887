//! Activations from functions of your own.
//!
//! Covers the pair of closures (σ, σ'), and [`FromFunctions`] for what a pair has no place for: σ'', parity and
//! smoothness. Not here: types of your own, which implement [`Nonlinearity`].

use crate::Scalar;
use crate::model::nonlinearity::{Nonlinearity, Parity, Smoothness};

/// A pair of functions (σ, σ'), of no known parity and smoothness.
impl<T: Scalar, F, D> Nonlinearity<T> for (F, D)
where
    F: Fn(T) -> T + Send + Sync,
    D: Fn(T) -> T + Send + Sync,
{
    fn value(&self, h: T) -> T {
        (self.0)(h)
    }
    fn derivative(&self, h: T) -> T {
        (self.1)(h)
    }
}

/// Functions (σ, σ', σ'') with what is known of σ. A pair of closures (σ, σ') is an activation too, if less is known.
///
/// [`check_nonlinearity`](crate::model::check_nonlinearity) compares what is declared with the functions.
///
/// ```
/// use contrastive_dynamics::model::{FromFunctions, Nonlinearity, Parity, Smoothness};
/// let sine = FromFunctions::new(f64::sin, f64::cos, |h: f64| -h.sin())
///     .with_parity(Parity::Odd)
///     .with_smoothness(Smoothness::Entire);
/// assert_eq!(sine.second_derivative(0.5), Some(-0.5_f64.sin()));
/// ```
#[doc(alias = "from_fn")]
#[doc(alias = "closure")]
#[derive(Debug, Clone, Copy)]
pub struct FromFunctions<T, F, D, E> {
    value: F,
    derivative: D,
    second_derivative: E,
    parity: Parity,
    smoothness: Smoothness<T>,
}

impl<T, F, D, E> FromFunctions<T, F, D, E>
where
    F: Fn(T) -> T,
    D: Fn(T) -> T,
    E: Fn(T) -> T,
{
    /// An activation with the given value and derivatives; of no known parity, [`Smoothness::Smooth`].
    pub fn new(value: F, derivative: D, second_derivative: E) -> Self {
        Self { value, derivative, second_derivative, parity: Parity::None, smoothness: Smoothness::Smooth }
    }

    /// Declares the parity. A wrong claim gives wrong averages.
    #[must_use]
    pub fn with_parity(mut self, parity: Parity) -> Self {
        self.parity = parity;
        self
    }

    /// Declares the smoothness. A too good claim gives averages whose error estimate is met later or never.
    #[must_use]
    pub fn with_smoothness(mut self, smoothness: Smoothness<T>) -> Self {
        self.smoothness = smoothness;
        self
    }
}

impl<T, F, D, E> Nonlinearity<T> for FromFunctions<T, F, D, E>
where
    T: Scalar,
    F: Fn(T) -> T + Send + Sync,
    D: Fn(T) -> T + Send + Sync,
    E: Fn(T) -> T + Send + Sync,
{
    fn value(&self, h: T) -> T {
        (self.value)(h)
    }
    fn derivative(&self, h: T) -> T {
        (self.derivative)(h)
    }
    fn second_derivative(&self, h: T) -> Option<T> {
        Some((self.second_derivative)(h))
    }
    fn parity(&self) -> Parity {
        self.parity
    }
    fn smoothness(&self) -> Smoothness<T> {
        self.smoothness
    }
}
