//! The Gaussian law of a hidden variable.
//!
//! Covers sampling and moments; in averages the law is a variance and no node. Not here: Gaussian noise (see
//! [`GaussianNoise`](crate::model::GaussianNoise)).

use rand::Rng;

use crate::Scalar;
use crate::model::ModelError;
use crate::model::hidden::variable::checked_second_moment;
use crate::model::hidden::{Characteristic, HiddenVariable, VariableQuadrature};

/// The centred Gaussian law; kurtosis 3.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "crate::model::stored::StoredMoment<T>"))]
#[cfg_attr(feature = "serde", serde(bound(deserialize = "T: crate::Scalar + serde::Deserialize<'de>")))]
pub struct Gaussian<T = f64> {
    second_moment: T,
}

impl<T: Scalar> Gaussian<T> {
    /// The law with E\[c²\] = `second_moment`.
    ///
    /// # Errors
    /// [`ModelError::SecondMoment`] unless it is positive and finite.
    pub fn with_second_moment(second_moment: T) -> Result<Self, ModelError> {
        Ok(Self { second_moment: checked_second_moment(second_moment)? })
    }
}

impl<T: Scalar> HiddenVariable<T> for Gaussian<T> {
    #[inline]
    fn sample<G: Rng + ?Sized>(&self, rng: &mut G) -> T {
        self.second_moment.sqrt() * T::standard_normal(rng)
    }
    fn mean(&self) -> T {
        T::zero()
    }
    fn second_moment(&self) -> T {
        self.second_moment
    }
    fn fourth_moment(&self) -> T {
        T::lit(3.0) * self.second_moment * self.second_moment
    }
    fn quadrature(&self, _points: usize) -> VariableQuadrature<T> {
        VariableQuadrature { nodes: vec![T::zero()], weights: vec![T::one()], gaussian: self.second_moment }
    }
    fn quadrature_is_exact(&self) -> bool {
        true
    }
    fn characteristic(&self, k: T) -> Option<Characteristic<T>> {
        let (s, ks) = (self.second_moment, k * self.second_moment);
        let value = (-T::lit(0.5) * k * ks).exp();
        Some(Characteristic::symmetric(value, ks * value, (s - ks * ks) * value))
    }
    fn is_symmetric(&self) -> bool {
        true
    }
}
