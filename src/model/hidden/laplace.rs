//! The Laplace law of a hidden variable, centred at zero.
//!
//! Covers sampling, moments, quantiles and a rule for its kink and its tails. Not here: other laws with heavy tails
//! (see [`FromDistribution`](crate::model::FromDistribution)).

use rand::Rng;

use crate::Scalar;
use crate::model::ModelError;
use crate::model::hidden::probabilities::uniform;
use crate::model::hidden::variable::checked_second_moment;
use crate::model::hidden::{Characteristic, HiddenVariable, VariableQuadrature};

/// The centred Laplace law with density exp(−|c|/b)/(2b), 2b² = s; kurtosis 6.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "crate::model::stored::StoredMoment<T>"))]
#[cfg_attr(feature = "serde", serde(bound(deserialize = "T: crate::Scalar + serde::Deserialize<'de>")))]
pub struct Laplace<T = f64> {
    second_moment: T,
}

impl<T: Scalar> Laplace<T> {
    /// The law with E\[c²\] = `second_moment`.
    ///
    /// # Errors
    /// [`ModelError::SecondMoment`] unless it is positive and finite.
    pub fn with_second_moment(second_moment: T) -> Result<Self, ModelError> {
        Ok(Self { second_moment: checked_second_moment(second_moment)? })
    }

    fn scale(&self) -> T {
        (T::lit(0.5) * self.second_moment).sqrt()
    }
}

impl<T: Scalar> HiddenVariable<T> for Laplace<T> {
    #[inline]
    fn sample<G: Rng + ?Sized>(&self, rng: &mut G) -> T {
        let magnitude = self.scale() * T::standard_exponential(rng);
        if rng.next_u32() >> 31 == 0 { magnitude } else { -magnitude }
    }
    #[inline]
    fn samples_from_words(&self, words: &[u64], c: &mut [T]) -> bool {
        // The last bit is none of the uniform's.
        for (c, &word) in c.iter_mut().zip(words) {
            let magnitude = -self.scale() * T::lit(uniform(word).ln());
            *c = if word & 1 == 0 { magnitude } else { -magnitude };
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
        T::lit(6.0) * self.second_moment * self.second_moment
    }
    fn quantile(&self, u: T) -> T {
        let tail = u.min(T::one() - u);
        let magnitude = -self.scale() * (tail + tail).ln();
        if u < T::lit(0.5) { -magnitude } else { magnitude }
    }
    /// The double-exponential trapezoidal rule c = ±b·exp(t − exp(−t)): it resolves the kink of the density at zero
    /// and its tail alike, and converges geometrically for analytic integrands.
    fn quadrature(&self, points: usize) -> VariableQuadrature<T> {
        // Two scales to resolve, kink and tail: four nodes where a smooth law needs one.
        let half = 2 * points.max(1);
        // Below the start the transformed density is under 1e-17. The end is where x = 73: averages of polynomials need
        // the tail too, and beyond it x¹⁴ exp(−x) has less than 1e-16 of its integral 14!.
        let (start, end) = (-3.9_f64, 4.3_f64);
        let step = (end - start) / (half - 1) as f64;
        let mut nodes = Vec::with_capacity(2 * half);
        let mut weights = Vec::with_capacity(2 * half);
        for k in 0..half {
            let t = start + step * k as f64;
            let x = (t - (-t).exp()).exp();
            let density = (-x).exp() * x * (1.0 + (-t).exp());
            for sign in [1.0, -1.0] {
                nodes.push(self.scale() * T::lit(sign * x));
                weights.push(density);
            }
        }
        let total: f64 = weights.iter().sum();
        let weights = weights.iter().map(|w| T::lit(w / total)).collect();
        VariableQuadrature { nodes, weights, gaussian: T::zero() }
    }
    fn quadrature_is_exact(&self) -> bool {
        false
    }
    fn characteristic(&self, k: T) -> Option<Characteristic<T>> {
        let (b, two) = (self.scale(), T::lit(2.0));
        let (kb, value) = (k * b, T::one() / (T::one() + k * k * b * b));
        let square = value * value;
        let second = two * b * b * square * (T::one() - T::lit(4.0) * kb * kb * value);
        Some(Characteristic::symmetric(value, two * b * kb * square, second))
    }
    fn is_symmetric(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn laplace_rule_converges_geometrically() {
        // E[cos c] = 1/(1 + b²), b² = s/2.
        let law = Laplace::with_second_moment(2.0).unwrap();
        let error = |points| {
            let rule = law.quadrature(points);
            let sum: f64 = rule.nodes.iter().zip(&rule.weights).map(|(c, w)| w * f64::cos(*c)).sum();
            (sum - 0.5).abs()
        };
        assert!(error(10) < 1e-3 && error(20) < 1e-8 && error(40) < 1e-13, "{} {} {}", error(10), error(20), error(40));
    }

    /// E[c^k] = k! b^k, b² = s/2: the tail is there as far as averages of polynomials need it.
    #[test]
    fn the_rule_has_high_moments() {
        let law = Laplace::with_second_moment(2.0).unwrap();
        for points in [30, 60, 120] {
            let rule = law.quadrature(points);
            let mut factorial = 1.0;
            for k in (2..=14).step_by(2) {
                factorial *= f64::from(k * (k - 1));
                let moment: f64 = rule.nodes.iter().zip(&rule.weights).map(|(c, w)| w * f64::powi(*c, k)).sum();
                assert!((moment / factorial - 1.0).abs() < 1e-14, "{points} points, moment {k}: {moment}");
            }
        }
    }
}
