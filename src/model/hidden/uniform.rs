//! The uniform law of a hidden variable, centred at zero.
//!
//! Covers sampling, moments, quantiles and Gauss-Legendre nodes. Not here: uniform random numbers (see
//! [`crate::random`]).

use rand::Rng;

use crate::Scalar;
use crate::model::ModelError;
use crate::model::hidden::probabilities::uniform;
use crate::model::hidden::variable::checked_second_moment;
use crate::model::hidden::{Characteristic, HiddenVariable, VariableQuadrature};
use crate::numerics::gauss::legendre;

/// The centred uniform law on [−√(3s), √(3s)]; kurtosis 9/5.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "crate::model::stored::StoredMoment<T>"))]
#[cfg_attr(feature = "serde", serde(bound(deserialize = "T: crate::Scalar + serde::Deserialize<'de>")))]
pub struct Uniform<T = f64> {
    second_moment: T,
}

impl<T: Scalar> Uniform<T> {
    /// The law with E\[c²\] = `second_moment`.
    ///
    /// # Errors
    /// [`ModelError::SecondMoment`] unless it is positive and finite.
    pub fn with_second_moment(second_moment: T) -> Result<Self, ModelError> {
        Ok(Self { second_moment: checked_second_moment(second_moment)? })
    }
}

impl<T: Scalar> HiddenVariable<T> for Uniform<T> {
    #[inline]
    fn sample<G: Rng + ?Sized>(&self, rng: &mut G) -> T {
        let edge = (T::lit(3.0) * self.second_moment).sqrt();
        edge * (T::lit(2.0) * T::standard_uniform(rng) - T::one())
    }
    #[inline]
    fn samples_from_words(&self, words: &[u64], c: &mut [T]) -> bool {
        let edge = (T::lit(3.0) * self.second_moment).sqrt();
        for (c, &word) in c.iter_mut().zip(words) {
            *c = edge * T::lit(2.0 * uniform(word) - 1.0);
        }
        true
    }
    fn mean(&self) -> T {
        T::zero()
    }
    fn second_moment(&self) -> T {
        self.second_moment
    }
    fn fourth_moment(&self) -> T {
        T::lit(1.8) * self.second_moment * self.second_moment
    }
    fn quantile(&self, u: T) -> T {
        (T::lit(3.0) * self.second_moment).sqrt() * (u + u - T::one())
    }
    /// Gauss-Legendre: exact for polynomials of degree 2n − 1.
    fn quadrature(&self, points: usize) -> VariableQuadrature<T> {
        let edge = (T::lit(3.0) * self.second_moment).sqrt();
        let (nodes, weights) = legendre(points);
        VariableQuadrature {
            nodes: nodes.iter().map(|&x| edge * T::lit(x)).collect(),
            weights: weights.iter().map(|&w| T::lit(0.5 * w)).collect(),
            gaussian: T::zero(),
        }
    }
    fn quadrature_is_exact(&self) -> bool {
        false
    }
    /// With x = k·edge and j the spherical Bessel functions: j₀(x), edge·j₁(x), edge²·(j₀(x) − 2j₁(x)/x).
    fn characteristic(&self, k: T) -> Option<Characteristic<T>> {
        let edge = (T::lit(3.0) * self.second_moment).sqrt();
        let (zeroth, first, ratio) = spherical_bessel(k * edge);
        let second = zeroth - ratio - ratio;
        Some(Characteristic::symmetric(zeroth, edge * first, edge * edge * second))
    }
    fn is_symmetric(&self) -> bool {
        true
    }
}

/// j₀(x), j₁(x) and j₁(x)/x.
fn spherical_bessel<T: Scalar>(x: T) -> (T, T, T) {
    let square = x * x;
    // Below 1 the closed form of j₁ cancels, and nine terms of the series are exact to rounding.
    if square < T::one() {
        let (mut zeroth, mut ratio) = (T::zero(), T::zero());
        let mut term = T::one();
        for n in 0..9 {
            zeroth += term;
            // j₁(x)/x has the terms of j₀(x) over 2n + 3.
            ratio += term / T::of_usize(2 * n + 3);
            term *= -square / T::of_usize((2 * n + 2) * (2 * n + 3));
        }
        return (zeroth, x * ratio, ratio);
    }
    let (sin, cos) = x.sin_cos();
    let zeroth = sin / x;
    let first = (zeroth - cos) / x;
    (zeroth, first, first / x)
}
