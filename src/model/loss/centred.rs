//! The covariance loss with outputs that are centred over the batch.

use super::{
    BatchPolynomial, CovarianceLoss, EntrySlope, Loss, Output, OutputGradient, Outputs, Penalty, Quadratic, mean,
};
use crate::Scalar;
use crate::model::ModelError;

/// F = −Σ_i C̃_ii + λ Σ_{i≠j} g(C̃_ij), with C̃_ij = (1/B) Σ_b (y_bi¹ − ȳ_i¹)(y_bj² − ȳ_j²) the covariance in the strict sense, about the
/// means ȳ of the batch: the covariance loss otherwise.
///
/// It differs from [`CovarianceLoss`] where outputs have a mean, and by a factor 1 − 1/B in the attraction where they have
/// none. B ≥ 2. The limit is exact in the batch size for the quadratic penalty, up to three neurons and a smooth σ, else an average over
/// whole batches.
///
/// ```
/// use contrastive_dynamics::prelude::*;
/// let loss = CentredCovarianceLoss::new(CovarianceLoss::new(Quadratic, 0.5)?);
/// // Two samples, one neuron: y¹ = (1, 3), y² = (3, 5), of mean 2 and 4.
/// let outputs = Outputs::new(&[1.0, 3.0, 3.0, 5.0], 1, 2).ok_or("length")?;
/// assert_eq!(loss.value(outputs), -1.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
#[cfg_attr(feature = "serde", serde(bound(deserialize = "CovarianceLoss<P, T>: serde::Deserialize<'de>")))]
#[cfg_attr(feature = "serde", serde(bound(serialize = "CovarianceLoss<P, T>: serde::Serialize")))]
pub struct CentredCovarianceLoss<P = Quadratic, T = f64> {
    uncentred: CovarianceLoss<P, T>,
}

impl<T: Scalar, P> CentredCovarianceLoss<P, T> {
    /// With penalty and strength of that loss.
    #[must_use]
    pub fn new(uncentred: CovarianceLoss<P, T>) -> Self {
        Self { uncentred }
    }

    /// Penalty and strength, as those of the loss without centring.
    #[must_use]
    pub fn uncentred(&self) -> &CovarianceLoss<P, T> {
        &self.uncentred
    }
}

/// C̃_ij.
#[inline(always)]
fn covariance<T: Scalar>(outputs: Outputs<'_, T>, i: usize, j: usize) -> T {
    outputs.covariance(i, j) - mean(outputs.view(0, i)) * mean(outputs.view(1, j))
}

impl<T: Scalar, P: Penalty<T>> Loss<T> for CentredCovarianceLoss<P, T> {
    fn value(&self, outputs: Outputs<'_, T>) -> T {
        let m = outputs.n_neurons();
        let (penalty, strength) = (self.uncentred.penalty(), self.uncentred.strength());
        let mut sum = T::zero();
        for (i, j) in (0..m).flat_map(|i| (0..m).map(move |j| (i, j))) {
            let c = covariance(outputs, i, j);
            sum += if i == j { -c } else { strength * penalty.value(c) };
        }
        sum
    }

    fn gradient(&self, outputs: Outputs<'_, T>, mut gradient: OutputGradient<'_, T>) {
        let m = outputs.n_neurons();
        let slope = EntrySlope::Penalty(self.uncentred.penalty());
        for (i, v) in (0..m).flat_map(|i| [(i, 0), (i, 1)]) {
            let out = gradient.view_mut(v, i);
            out.fill(T::zero());
            for j in 0..m {
                // Σ_j ∂F/∂C̃_ij (y_bj² − ȳ_j²) in view 1, and with the views exchanged in view 2.
                let factor = if i == j {
                    -T::one()
                } else {
                    let (row, column) = if v == 0 { (i, j) } else { (j, i) };
                    self.uncentred.strength() * slope.at(covariance(outputs, row, column))
                };
                let other = outputs.view(1 - v, j);
                let centre = mean(other);
                out.iter_mut().zip(other).for_each(|(out, &y)| *out += factor * (y - centre));
            }
        }
    }

    fn polynomial(&self, n_neurons: usize, _batch_size: usize) -> Option<BatchPolynomial<T>> {
        let m = n_neurons;
        let strength = if m > 1 { self.uncentred.strength() } else { T::zero() };
        if strength > T::zero() && !self.uncentred.penalty().is_quadratic() {
            return None;
        }
        let mut this = BatchPolynomial::new(m);
        for (i, j) in (0..m).flat_map(|i| (0..m).map(move |j| (i, j))) {
            // C̃ = C − ȳ¹ȳ².
            let product: &[Output] = &[(0, i), (1, j)];
            let (first, second): (&[Output], &[Output]) = (&product[..1], &product[1..]);
            if i == j {
                this = this.plus(-T::one(), &[product])?.plus(T::one(), &[first, second])?;
            } else {
                let half = T::lit(0.5) * strength;
                this = this.plus(half, &[product, product])?.plus(-strength, &[product, first, second])?;
                this = this.plus(half, &[first, first, second, second])?;
            }
        }
        Some(this)
    }

    fn check(&self, n_neurons: usize, batch_size: usize) -> Result<(), ModelError> {
        self.uncentred.check(n_neurons, batch_size)?;
        super::check_pairs(n_neurons, batch_size)
    }
}
