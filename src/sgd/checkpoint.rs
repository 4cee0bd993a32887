//! What is kept of simulators with weights.
//!
//! Covers the data and its check. Not here: how each simulator takes it over, which stands beside it.

use nalgebra::DMatrix;

use crate::Scalar;
use crate::save::SaveError;
use crate::sgd::batch::update::Momentum;
use crate::start::Features;

/// What is kept of [`DirectSgd`](super::DirectSgd) and [`CompressedSgd`](super::CompressedSgd): features, weights,
/// their velocity if there is momentum, the generator R, and the number of steps.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(bound(
        serialize = "T: serde::Serialize, R: serde::Serialize",
        deserialize = "T: serde::Deserialize<'de>, R: serde::Deserialize<'de>"
    ))
)]
pub struct SavedWeights<T: Scalar, R> {
    pub(super) features: Vec<T>,
    pub(super) weights: Vec<T>,
    pub(super) velocity: Vec<T>,
    pub(super) rng: R,
    pub(super) steps: u64,
}

impl<T: Scalar, R> SavedWeights<T, R> {
    pub(super) fn new(features: &Features<T>, weights: &DMatrix<T>, velocity: &[T], rng: R, steps: u64) -> Self {
        let features = features.matrix().as_slice().to_vec();
        Self { features, weights: weights.as_slice().to_vec(), velocity: velocity.to_vec(), rng, steps }
    }

    /// Features and weights of that shape, (N, p, m); the velocity goes where it belongs.
    pub(super) fn matrices(
        &mut self,
        (n, p, m): (usize, usize, usize),
        momentum: &mut Momentum<T>,
    ) -> Result<(Features<T>, DMatrix<T>), SaveError> {
        if self.features.len() != n * p || self.weights.len() != n * m {
            return Err(SaveError::content("its features or weights are of another number"));
        }
        // Their sum of squares bounds every entry of R.
        if !self.weights.iter().map(|&w| w * w).sum::<T>().is_finite() {
            return Err(SaveError::content("its weights are not finite"));
        }
        let features = DMatrix::from_vec(n, p, std::mem::take(&mut self.features));
        let features = Features::from_matrix(features).map_err(|error| SaveError::content(error.to_string()))?;
        if !momentum.restore(std::mem::take(&mut self.velocity)) {
            return Err(SaveError::content("its velocity is of another number, or not finite"));
        }
        Ok((features, DMatrix::from_vec(n, m, std::mem::take(&mut self.weights))))
    }
}
