//! InfoNCE: which of the batch is the other view of this sample?

use super::{Loss, OutputGradient, Outputs, check_parameter};
use crate::Scalar;
use crate::model::ModelError;

/// F = −(1/B) Σ_b log( exp(y_b¹·y_b²/T) / Σ_b' exp(y_b¹·y_b'²/T) ), with the temperature T.
///
/// The loss of van den Oord et al. ([arXiv 1807.03748](https://arxiv.org/abs/1807.03748)) with products of outputs that are
/// not normalised, from view 1 to view 2. B ≥ 2. A gradient costs O(B²m). The limit is an average over whole batches,
/// by default to 3e-3. Theory §11.
///
/// ```
/// use contrastive_dynamics::prelude::*;
/// let loss = InfoNce::new(0.5)?;
/// // Of two samples that look alike neither is told apart: F = log 2.
/// let outputs = Outputs::new(&[1.0, 1.0, 1.0, 1.0], 1, 2).ok_or("length")?;
/// assert!((loss.value(outputs) - 2f64.ln()).abs() < 1e-15);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct InfoNce<T = f64> {
    temperature: T,
}

impl<T: Scalar> InfoNce<T> {
    /// With that temperature, in units of a product of outputs.
    ///
    /// # Errors
    /// [`ModelError::LossParameter`] unless 0 < T < ∞.
    pub fn new(temperature: T) -> Result<Self, ModelError> {
        let loss = Self { temperature };
        loss.check(1, 2)?;
        Ok(loss)
    }

    /// T.
    #[must_use]
    pub fn temperature(&self) -> T {
        self.temperature
    }

    /// Writes y_b¹·y_b'²/T for all b'; returns the largest.
    #[inline(always)]
    fn products(&self, outputs: Outputs<'_, T>, b: usize, out: &mut [T]) -> T {
        out.fill(T::zero());
        for i in 0..outputs.n_neurons() {
            let own = outputs.view(0, i)[b] / self.temperature;
            out.iter_mut().zip(outputs.view(1, i)).for_each(|(out, &y)| *out += own * y);
        }
        out.iter().fold(T::lit(f64::NEG_INFINITY), |most, &x| most.max(x))
    }
}

impl<T: Scalar> Loss<T> for InfoNce<T> {
    fn value(&self, outputs: Outputs<'_, T>) -> T {
        let size = outputs.batch_size();
        let mut row = vec![T::zero(); size];
        let mut sum = T::zero();
        for b in 0..size {
            let most = self.products(outputs, b, &mut row);
            let total: T = row.iter().map(|&x| (x - most).exp()).sum();
            sum += most - row[b] + total.ln();
        }
        sum / T::of_usize(size)
    }

    fn gradient(&self, outputs: Outputs<'_, T>, mut gradient: OutputGradient<'_, T>) {
        let (m, size) = (outputs.n_neurons(), outputs.batch_size());
        for (i, v) in (0..m).flat_map(|i| [(i, 0), (i, 1)]) {
            gradient.view_mut(v, i).fill(T::zero());
        }
        let mut row = vec![T::zero(); size];
        for b in 0..size {
            // (p_bb' − δ_bb')/T, with p the probability that b' is the other view.
            let most = self.products(outputs, b, &mut row);
            let mut total = T::zero();
            for x in &mut row {
                *x = (*x - most).exp();
                total += *x;
            }
            let scale = T::one() / (total * self.temperature);
            for x in &mut row {
                *x *= scale;
            }
            row[b] -= T::one() / self.temperature;
            for i in 0..m {
                let (own, others) = (outputs.view(0, i)[b], outputs.view(1, i));
                gradient.view_mut(0, i)[b] = row.iter().zip(others).map(|(&x, &y)| x * y).sum();
                gradient.view_mut(1, i).iter_mut().zip(&row).for_each(|(out, &x)| *out += x * own);
            }
        }
    }

    fn check(&self, n_neurons: usize, batch_size: usize) -> Result<(), ModelError> {
        check_parameter("temperature", self.temperature, |x| x > T::zero())?;
        super::check_pairs(n_neurons, batch_size)
    }
}
