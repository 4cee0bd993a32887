//! The symmetric two-point law of a hidden variable.
//!
//! Covers sampling, moments and the exact rule of two nodes. Not here: several correlated signs (see
//! [`CorrelatedSigns`](crate::model::CorrelatedSigns)).

use rand::Rng;

use crate::Scalar;
use crate::model::ModelError;
use crate::model::hidden::variable::checked_second_moment;
use crate::model::hidden::{Characteristic, CharacteristicRows, HiddenVariable, VariableQuadrature};

/// The symmetric two-point (scaled Rademacher) law: c = ±√s with probability ½ each; kurtosis 1.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "crate::model::stored::StoredMoment<T>"))]
#[cfg_attr(feature = "serde", serde(bound(deserialize = "T: crate::Scalar + serde::Deserialize<'de>")))]
pub struct TwoPoint<T = f64> {
    second_moment: T,
}

impl<T: Scalar> TwoPoint<T> {
    /// The law with E\[c²\] = `second_moment`.
    ///
    /// # Errors
    /// [`ModelError::SecondMoment`] unless it is positive and finite.
    pub fn with_second_moment(second_moment: T) -> Result<Self, ModelError> {
        Ok(Self { second_moment: checked_second_moment(second_moment)? })
    }
}

impl<T: Scalar> HiddenVariable<T> for TwoPoint<T> {
    #[inline]
    fn sample<G: Rng + ?Sized>(&self, rng: &mut G) -> T {
        let root = self.second_moment.sqrt();
        if rng.next_u32() >> 31 == 0 { root } else { -root }
    }
    #[inline]
    fn samples_from_words(&self, words: &[u64], c: &mut [T]) -> bool {
        let root = self.second_moment.sqrt();
        for (c, word) in c.iter_mut().zip(words) {
            *c = if word >> 63 == 0 { root } else { -root };
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
        self.second_moment * self.second_moment
    }
    fn quadrature(&self, _points: usize) -> VariableQuadrature<T> {
        let root = self.second_moment.sqrt();
        let half = T::lit(0.5);
        VariableQuadrature { nodes: vec![root, -root], weights: vec![half, half], gaussian: T::zero() }
    }
    fn quadrature_is_exact(&self) -> bool {
        true
    }
    fn characteristic(&self, k: T) -> Option<Characteristic<T>> {
        let root = self.second_moment.sqrt();
        let (sin, cos) = (k * root).sin_cos();
        Some(Characteristic::symmetric(cos, root * sin, self.second_moment * cos))
    }
    fn characteristics(&self, k: T, rows: &mut CharacteristicRows<'_, T>) -> bool {
        rows.set_signs(k, self.second_moment.sqrt(), T::one())
    }
    fn is_symmetric(&self) -> bool {
        true
    }
}
