//! VICReg: variance, invariance and covariance, each with its own weight.

use super::{Loss, OutputGradient, Outputs, check_parameter, mean};
use crate::Scalar;
use crate::model::ModelError;

/// F = λ (1/B) Σ_b |y_b¹ − y_b²|² + Σ_v \[(μ/m) Σ_i max(0, γ − S_i^v) + (ν/m) Σ_{i≠j} (V_ij^v)²\], with V^v the unbiased covariance
/// of the outputs of view v over the batch, 1/(B−1), and S_i = (V_ii + ε)^½.
///
/// The loss of Bardes, Ponce and LeCun ([arXiv 2105.04906](https://arxiv.org/abs/2105.04906)), without a projector. B ≥ 2. A
/// gradient costs O(B m²). Its hinge has a kink where S_i = γ. The limit is an average over whole batches, by default to
/// 3e-3. Theory §11.
///
/// ```
/// use contrastive_dynamics::prelude::*;
/// let loss = VicReg::new(1.0, 2.0, 3.0)?.target(1.5)?;
/// assert_eq!((loss.weights(), loss.target_deviation(), loss.variance_offset()), ([1.0, 2.0, 3.0], 1.5, 1e-4));
/// // Both views alike, two samples of variance 2: only the hinge is left.
/// let outputs = Outputs::new(&[1.0, -1.0, 1.0, -1.0], 1, 2).ok_or("length")?;
/// assert!((loss.value(outputs) - 2.0 * 2.0 * (1.5 - 2.0001f64.sqrt())).abs() < 1e-12);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct VicReg<T = f64> {
    invariance: T,
    variance: T,
    covariance: T,
    target: T,
    epsilon: T,
}

impl<T: Scalar> VicReg<T> {
    /// With the weights λ of invariance, μ of variance and ν of covariance, γ = 1 and ε = 10⁻⁴. The authors take 25, 25 and 1.
    ///
    /// # Errors
    /// [`ModelError::LossParameter`] unless they are finite and at least 0.
    pub fn new(invariance: T, variance: T, covariance: T) -> Result<Self, ModelError> {
        let loss = Self { invariance, variance, covariance, target: T::one(), epsilon: T::lit(1e-4) };
        loss.check(1, 2)?;
        Ok(loss)
    }

    /// The weights λ of invariance, μ of variance and ν of covariance.
    pub fn weights(&self) -> [T; 3] {
        [self.invariance, self.variance, self.covariance]
    }

    /// The standard deviation γ below which the hinge acts.
    pub fn target_deviation(&self) -> T {
        self.target
    }

    /// ε, which is added to variances under the root.
    pub fn variance_offset(&self) -> T {
        self.epsilon
    }

    /// Sets the standard deviation γ below which the hinge acts.
    ///
    /// # Errors
    /// [`ModelError::LossParameter`] unless 0 < γ < ∞.
    pub fn target(self, target: T) -> Result<Self, ModelError> {
        let loss = Self { target, ..self };
        loss.check(1, 2)?;
        Ok(loss)
    }

    /// Sets ε, which is added to variances under the root.
    ///
    /// # Errors
    /// [`ModelError::LossParameter`] unless 0 < ε < ∞.
    pub fn epsilon(self, epsilon: T) -> Result<Self, ModelError> {
        let loss = Self { epsilon, ..self };
        loss.check(1, 2)?;
        Ok(loss)
    }
}

/// V_ij of a view.
#[inline(always)]
fn covariance<T: Scalar>(x: &[T], y: &[T]) -> T {
    let size = T::of_usize(x.len());
    let centre = mean(x);
    let products = x.iter().zip(y).map(|(&x, &y)| (x - centre) * y);
    products.sum::<T>() / (size - T::one())
}

impl<T: Scalar> Loss<T> for VicReg<T> {
    fn value(&self, outputs: Outputs<'_, T>) -> T {
        let (m, size) = (outputs.n_neurons(), T::of_usize(outputs.batch_size()));
        let neurons = T::of_usize(m);
        let mut sum = T::zero();
        for i in 0..m {
            let pairs = outputs.view(0, i).iter().zip(outputs.view(1, i));
            sum += self.invariance * pairs.map(|(&a, &b)| (a - b) * (a - b)).sum::<T>() / size;
            for v in 0..2 {
                for j in 0..m {
                    let entry = covariance(outputs.view(v, i), outputs.view(v, j));
                    sum += if i == j {
                        self.variance * (self.target - (entry + self.epsilon).sqrt()).max(T::zero()) / neurons
                    } else {
                        self.covariance * entry * entry / neurons
                    };
                }
            }
        }
        sum
    }

    fn gradient(&self, outputs: Outputs<'_, T>, mut gradient: OutputGradient<'_, T>) {
        let (m, size) = (outputs.n_neurons(), T::of_usize(outputs.batch_size()));
        // B/((B − 1) m), from ∂V_ij/∂y_bi = (y_bj − ȳ_j)/(B − 1).
        let scale = size / ((size - T::one()) * T::of_usize(m));
        for (i, v) in (0..m).flat_map(|i| [(i, 0), (i, 1)]) {
            let (own, other) = (outputs.view(v, i), outputs.view(1 - v, i));
            let out = gradient.view_mut(v, i);
            for ((out, &y), &z) in out.iter_mut().zip(own).zip(other) {
                *out = T::lit(2.0) * self.invariance * (y - z);
            }
            for j in 0..m {
                let y = outputs.view(v, j);
                let entry = covariance(own, y);
                let factor = if i == j {
                    let deviation = (entry + self.epsilon).sqrt();
                    if deviation < self.target { -self.variance / deviation } else { T::zero() }
                } else {
                    T::lit(4.0) * self.covariance * entry
                };
                let (factor, centre) = (scale * factor, mean(y));
                out.iter_mut().zip(y).for_each(|(out, &y)| *out += factor * (y - centre));
            }
        }
    }

    fn check(&self, n_neurons: usize, batch_size: usize) -> Result<(), ModelError> {
        for (name, value) in [
            ("weight of invariance", self.invariance),
            ("weight of variance", self.variance),
            ("weight of covariance", self.covariance),
        ] {
            check_parameter(name, value, |x| x >= T::zero())?;
        }
        check_parameter("target of the standard deviation", self.target, |x| x > T::zero())?;
        check_parameter("epsilon", self.epsilon, |x| x > T::zero())?;
        super::check_pairs(n_neurons, batch_size)
    }
}
