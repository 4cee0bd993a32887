//! Unnormalised Barlow Twins: the cross-view covariances are drawn to the identity.

use super::{CovarianceForm, EntrySlope, Loss, OutputGradient, Outputs, check_parameter};
use crate::Scalar;
use crate::model::ModelError;

/// F = Σ_i (1 − C_ii)² + λ Σ_{i≠j} C_ij², with C_ij = (1/B) Σ_b y_bi¹ y_bj².
///
/// The loss of Zbontar et al. ([arXiv 2103.03230](https://arxiv.org/abs/2103.03230)) without the division by the outputs'
/// standard deviations; with σ the identity that of Simon et al. ([arXiv 2303.15438](https://arxiv.org/abs/2303.15438)).
/// Theory §11. The limit is exact in the batch size for a smooth σ, else an average over whole batches.
///
/// ```
/// use contrastive_dynamics::prelude::*;
/// let loss = BarlowTwins::new(0.1)?;
/// // One sample, two neurons: y¹ = (1, 0), y² = (1, 2).
/// let outputs = Outputs::new(&[1.0, 1.0, 0.0, 2.0], 2, 1).ok_or("length")?;
/// assert_eq!(loss.value(outputs), 0.0 + 1.0 + 0.1 * (4.0 + 0.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct BarlowTwins<T = f64> {
    strength: T,
}

impl<T: Scalar> BarlowTwins<T> {
    /// With λ = `strength`.
    ///
    /// # Errors
    /// [`ModelError::LossParameter`] unless 0 ≤ λ < ∞.
    pub fn new(strength: T) -> Result<Self, ModelError> {
        let loss = Self { strength };
        loss.check(1, 1)?;
        Ok(loss)
    }

    /// λ.
    #[must_use]
    pub fn strength(&self) -> T {
        self.strength
    }
}

impl<T: Scalar> Loss<T> for BarlowTwins<T> {
    fn value(&self, outputs: Outputs<'_, T>) -> T {
        let m = outputs.n_neurons();
        let mut sum = T::zero();
        for (i, j) in (0..m).flat_map(|i| (0..m).map(move |j| (i, j))) {
            let c = outputs.covariance(i, j);
            sum += if i == j { (T::one() - c) * (T::one() - c) } else { self.strength * c * c };
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
        check_parameter("strength", self.strength, |x| x >= T::zero())
    }
}

#[inline(always)]
fn form<T: Scalar>(loss: &BarlowTwins<T>) -> CovarianceForm<'_, T> {
    let two = T::lit(2.0);
    CovarianceForm {
        diagonal: EntrySlope::Affine { offset: -two, slope: two },
        off_diagonal: EntrySlope::Affine { offset: T::zero(), slope: two },
        strength: loss.strength,
    }
}
