//! The covariance loss of Meng and Wang (theory §1): F = −Σ_i C_ii + λ Σ_{i≠j} g(C_ij).

use super::{CovarianceForm, EntrySlope, Loss, OutputGradient, Outputs, Penalty, Quadratic};
use crate::Scalar;
use crate::model::ModelError;

/// F = −Σ_i C_ii + λ Σ_{i≠j} g(C_ij), with C_ij = (1/B) Σ_b y_bi¹ y_bj² the cross-view covariance of the outputs over the
/// batch: the views of a sample attract each other, and neurons are decorrelated by the penalty g.
///
/// It is the default of the model's builder, where `penalty` and `penalty_strength` set g and λ. The loss is that of Meng
/// and Wang ([arXiv 2406.06909](https://arxiv.org/abs/2406.06909)); that outputs are not centred, and g(C) = C²/2 by
/// default, are choices of this crate (docs/theory.md).
///
/// ```
/// use contrastive_dynamics::prelude::*;
/// let loss = CovarianceLoss::new(Quadratic, 0.5)?;
/// // One sample, two neurons: y¹ = (1, 2), y² = (3, 4).
/// let outputs = Outputs::new(&[1.0, 3.0, 2.0, 4.0], 2, 1).ok_or("length")?;
/// assert_eq!(loss.value(outputs), -(3.0 + 8.0) + 0.5 * (0.5 * 16.0 + 0.5 * 36.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "crate::model::stored::StoredLoss<P, T>"))]
#[cfg_attr(
    feature = "serde",
    serde(bound(deserialize = "T: crate::Scalar + serde::Deserialize<'de>, P: serde::Deserialize<'de>"))
)]
pub struct CovarianceLoss<P = Quadratic, T = f64> {
    penalty: P,
    strength: T,
}

impl<T: Scalar> Default for CovarianceLoss<Quadratic, T> {
    /// Without a penalty: λ = 0.
    fn default() -> Self {
        Self { penalty: Quadratic, strength: T::zero() }
    }
}

impl<T: Scalar, P> CovarianceLoss<P, T> {
    /// The loss with that penalty g and its strength λ.
    ///
    /// # Errors
    /// [`ModelError::PenaltyStrength`] unless 0 ≤ λ < ∞.
    pub fn new(penalty: P, strength: T) -> Result<Self, ModelError> {
        let loss = Self { penalty, strength };
        loss.check_strength()?;
        Ok(loss)
    }

    /// The penalty g.
    #[must_use]
    pub fn penalty(&self) -> &P {
        &self.penalty
    }

    /// The penalty strength λ.
    #[must_use]
    pub fn strength(&self) -> T {
        self.strength
    }

    /// The loss with another penalty.
    pub(in crate::model) fn with_penalty<X>(self, penalty: X) -> CovarianceLoss<X, T> {
        CovarianceLoss { penalty, strength: self.strength }
    }

    /// The loss with another strength, to be checked by whoever builds a model of it.
    pub(in crate::model) fn with_strength(self, strength: T) -> Self {
        Self { strength, ..self }
    }

    fn check_strength(&self) -> Result<(), ModelError> {
        if self.strength >= T::zero() && self.strength.is_finite() {
            return Ok(());
        }
        Err(ModelError::PenaltyStrength { value: self.strength.as_f64() })
    }
}

impl<T: Scalar, P: Penalty<T>> Loss<T> for CovarianceLoss<P, T> {
    fn value(&self, outputs: Outputs<'_, T>) -> T {
        let m = outputs.n_neurons();
        let mut sum = T::zero();
        for i in 0..m {
            sum -= outputs.covariance(i, i);
            for j in (0..m).filter(|&j| j != i) {
                sum += self.strength * self.penalty.value(outputs.covariance(i, j));
            }
        }
        sum
    }

    #[inline(always)]
    fn gradient(&self, outputs: Outputs<'_, T>, gradient: OutputGradient<'_, T>) {
        form(self).gradient(outputs, gradient);
    }

    #[inline(always)]
    fn covariance_form(&self) -> Option<CovarianceForm<'_, T>> {
        Some(form(self))
    }

    fn check(&self, _n_neurons: usize, _batch_size: usize) -> Result<(), ModelError> {
        self.check_strength()
    }
}

#[inline(always)]
fn form<T: Scalar, P: Penalty<T>>(loss: &CovarianceLoss<P, T>) -> CovarianceForm<'_, T> {
    let off_diagonal = if loss.penalty.is_quadratic() {
        EntrySlope::Affine { offset: T::zero(), slope: T::one() }
    } else {
        EntrySlope::Penalty(&loss.penalty)
    };
    let diagonal = EntrySlope::Affine { offset: -T::one(), slope: T::zero() };
    CovarianceForm { diagonal, off_diagonal, strength: loss.strength }
}

#[cfg(test)]
mod tests {
    use super::super::tests::assert_gradient;
    use super::super::{PseudoHuber, Quartic};
    use super::*;

    /// B ∂F/∂Y against differences of F, for every penalty, one to three neurons and one to five samples.
    #[test]
    fn the_gradient_is_that_of_the_value() {
        let losses: [&dyn Loss; 4] = [
            &CovarianceLoss::default(),
            &CovarianceLoss::new(Quadratic, 0.7).unwrap(),
            &CovarianceLoss::new(PseudoHuber::new(0.3).unwrap(), 0.7).unwrap(),
            &CovarianceLoss::new(Quartic, 0.7).unwrap(),
        ];
        for loss in losses {
            for (m, size) in [(1, 1), (2, 3), (3, 5)] {
                assert_gradient(loss, "covariance", (m, size), 1e-8);
            }
        }
    }

    #[test]
    fn strengths_out_of_range_are_rejected() {
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(CovarianceLoss::new(Quadratic, bad), Err(ModelError::PenaltyStrength { .. })));
        }
    }
}
