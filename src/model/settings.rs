//! The numbers and switches of a model (theory §1): everything that is neither a law nor a function.
//!
//! Covers [`Settings`] and [`GradientPath`]. Not here: constraints (see [`super::constraint`]), the parts that are types (see
//! [`super::spec`]).

use super::{Constraint, ModelError};
use crate::Scalar;
use crate::numerics::memory::fits;

/// Numbers kept of a sample for each feature and neuron.
const BATCH_TABLES: usize = 8;

/// Which views the gradient flows through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum GradientPath {
    /// Both views: the gradient of the loss.
    #[default]
    BothViews,
    /// View 1 only; view 2 is a target (stop-gradient training).
    StopGradient,
}

impl GradientPath {
    /// How many views carry the gradient: 1 or 2.
    pub(crate) fn views(self) -> usize {
        if self == Self::StopGradient { 1 } else { 2 }
    }
}

/// The numbers and switches of a [`Model`](super::Model), as they were checked when it was built.
///
/// Learning rate and weight decay are the theory's own: nothing is divided by N beforehand.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "crate::model::stored::StoredSettings<T>"))]
#[cfg_attr(feature = "serde", serde(bound(deserialize = "T: crate::Scalar + serde::Deserialize<'de>")))]
#[non_exhaustive]
pub struct Settings<T = f64> {
    /// p: the number of features, the dimension of the hidden law.
    pub n_features: usize,
    /// m: the number of neurons.
    pub n_neurons: usize,
    /// B: samples per step.
    pub batch_size: usize,
    /// τ: the learning rate, positive.
    pub learning_rate: T,
    /// β: the momentum, at least 0 and below 1.
    pub momentum: T,
    /// γ: the weight decay, at least 0.
    pub weight_decay: T,
    /// η: the standard deviation of each background coordinate, at least 0.
    pub background_std: T,
    /// The constraint on the weights.
    pub constraint: Constraint,
    /// Which views the gradient flows through.
    pub gradient_path: GradientPath,
}

impl<T: Scalar> Settings<T> {
    /// τ/(1 − β): the learning rate of plain SGD with the same limit.
    #[must_use]
    pub fn effective_learning_rate(&self) -> T {
        self.learning_rate / (T::one() - self.momentum)
    }

    /// Checks every number; NaN and infinities fail.
    pub(super) fn check(&self) -> Result<(), ModelError> {
        let at_least_zero = |x: T| x >= T::zero() && x.is_finite();
        if !(self.learning_rate > T::zero() && self.learning_rate.is_finite()) {
            return Err(ModelError::LearningRate { value: self.learning_rate.as_f64() });
        }
        if !(self.momentum >= T::zero() && self.momentum < T::one() && self.effective_learning_rate().is_finite()) {
            return Err(ModelError::Momentum { value: self.momentum.as_f64() });
        }
        if !at_least_zero(self.weight_decay) {
            return Err(ModelError::WeightDecay { value: self.weight_decay.as_f64() });
        }
        // Its square is the variance that enters.
        if !(at_least_zero(self.background_std) && at_least_zero(self.background_std * self.background_std)) {
            return Err(ModelError::BackgroundStd { value: self.background_std.as_f64() });
        }
        if self.n_neurons == 0 {
            return Err(ModelError::Neurons { value: self.n_neurons });
        }
        if self.batch_size == 0 {
            return Err(ModelError::BatchSize { value: self.batch_size });
        }
        if self.n_features == 0 {
            return Err(ModelError::NoFeatures);
        }
        // Products and signals of a batch, and matrices over neurons.
        let width = self.n_features.saturating_add(self.n_neurons).saturating_mul(BATCH_TABLES);
        for (rows, columns) in [(self.batch_size, width), (self.n_neurons, self.n_neurons)] {
            if !fits::<T>(rows, columns) {
                return Err(ModelError::Memory { rows, columns });
            }
        }
        Ok(())
    }
}
