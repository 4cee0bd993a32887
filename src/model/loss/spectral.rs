//! The spectral contrastive loss: views of a sample attract each other, those of strangers are made orthogonal.

use super::{BatchPolynomial, Loss, OutputGradient, Outputs};
use crate::Scalar;
use crate::model::ModelError;
use crate::numerics::kernels::{add_scaled, dot};

/// F = −2 (1/B) Σ_b y_b¹·y_b² + (1/(B(B−1))) Σ_{b≠b'} (y_b¹·y_b'²)².
///
/// The loss of HaoChen et al. ([arXiv 2106.04156](https://arxiv.org/abs/2106.04156)): up to a constant it is the squared
/// error of a factorisation of the matrix of how likely two views are of one sample. B ≥ 2. A gradient costs O(B m²).
/// The limit is exact in the batch size for up to three neurons and a smooth σ, else an average over whole batches. Theory §11.
///
/// ```
/// use contrastive_dynamics::prelude::*;
/// // Two samples, one neuron: y¹ = (1, 2), y² = (3, 4).
/// let outputs = Outputs::new(&[1.0, 2.0, 3.0, 4.0], 1, 2).ok_or("length")?;
/// assert_eq!(SpectralContrastive.value(outputs), -2.0 * (3.0 + 8.0) / 2.0 + (16.0 + 36.0) / 2.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SpectralContrastive;

/// 1/(B − 1).
#[inline(always)]
fn strangers<T: Scalar>(batch_size: usize) -> T {
    T::one() / T::of_usize(batch_size.saturating_sub(1))
}

impl<T: Scalar> Loss<T> for SpectralContrastive {
    fn value(&self, outputs: Outputs<'_, T>) -> T {
        let (m, size) = (outputs.n_neurons(), outputs.batch_size());
        let mut attraction = T::zero();
        // Σ_bb' (y_b¹·y_b'²)² = Σ_ij (Σ_b y_bi¹ y_bj¹)(Σ_b y_bi² y_bj²), and what is of one sample is taken out again.
        let mut all = T::zero();
        for i in 0..m {
            attraction += dot(outputs.view(0, i), outputs.view(1, i));
            for j in 0..m {
                let product = |v: usize| dot(outputs.view(v, i), outputs.view(v, j));
                all += product(0) * product(1);
            }
        }
        let own: T = (0..size).map(|b| product_of_sample(outputs, b)).map(|s| s * s).sum();
        (-T::lit(2.0) * attraction + (all - own) * strangers(size)) / T::of_usize(size)
    }

    fn gradient(&self, outputs: Outputs<'_, T>, mut gradient: OutputGradient<'_, T>) {
        let (m, size) = (outputs.n_neurons(), outputs.batch_size());
        let scale = T::lit(2.0) * strangers::<T>(size);
        for i in 0..m {
            for v in 0..2 {
                // −2 y_bi + (2/(B−1)) Σ_{b'≠b} (y_b·y'_b') y'_b'i, with y' of the other view.
                let other = outputs.view(1 - v, i);
                let out = gradient.view_mut(v, i);
                for (b, (out, &y)) in out.iter_mut().zip(other).enumerate() {
                    *out = -(T::lit(2.0) + scale * product_of_sample(outputs, b)) * y;
                }
                for j in 0..m {
                    add_scaled(scale * dot(outputs.view(1 - v, j), other), outputs.view(v, j), out);
                }
            }
        }
    }

    fn polynomial(&self, n_neurons: usize, batch_size: usize) -> Option<BatchPolynomial<T>> {
        let m = n_neurons;
        let mut this = BatchPolynomial::new(m);
        for i in 0..m {
            this = this.plus(-T::lit(2.0), &[&[(0, i), (1, i)]])?;
            for j in 0..m {
                // All pairs of samples, less those of one with itself.
                let (first, second) = ([(0, i), (0, j)], [(1, i), (1, j)]);
                this = this.plus(T::of_usize(batch_size) * strangers(batch_size), &[&first, &second])?;
                this = this.plus(-strangers::<T>(batch_size), &[&[first, second].concat()])?;
            }
        }
        Some(this)
    }

    fn check(&self, n_neurons: usize, batch_size: usize) -> Result<(), ModelError> {
        super::check_pairs(n_neurons, batch_size)
    }
}

/// y_b¹·y_b².
#[inline(always)]
fn product_of_sample<T: Scalar>(outputs: Outputs<'_, T>, b: usize) -> T {
    (0..outputs.n_neurons()).map(|i| outputs.view(0, i)[b] * outputs.view(1, i)[b]).sum()
}
