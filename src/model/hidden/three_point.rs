//! The symmetric three-point law of a hidden variable, zero most of the time: a sparse feature.
//!
//! Covers sampling, moments and the exact rule of three nodes. Not here: other discrete laws (see
//! [`PointMasses`](crate::model::PointMasses)).

use rand::Rng;

use crate::Scalar;
use crate::model::ModelError;
use crate::model::hidden::probabilities::uniform;
use crate::model::hidden::variable::checked_second_moment;
use crate::model::hidden::{Characteristic, CharacteristicRows, HiddenVariable, VariableQuadrature};

/// The symmetric three-point (sparse) law: c = 0 with probability 1 − q, ±√(s/q) with probability q/2 each;
/// kurtosis 1/q.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "crate::model::stored::StoredThreePoint<T>"))]
#[cfg_attr(feature = "serde", serde(bound(deserialize = "T: crate::Scalar + serde::Deserialize<'de>")))]
pub struct ThreePoint<T = f64> {
    second_moment: T,
    activity: T,
}

impl<T: Scalar> ThreePoint<T> {
    /// The law with E\[c²\] = `second_moment` and P(c ≠ 0) = `activity` (the q of the formulas).
    ///
    /// # Errors
    /// [`ModelError::SecondMoment`] unless the second moment is positive and finite,
    /// [`ModelError::Activity`] unless 0 < q ≤ 1.
    pub fn with_second_moment(second_moment: T, activity: T) -> Result<Self, ModelError> {
        if !(activity > T::zero() && activity <= T::one()) {
            return Err(ModelError::Activity { value: activity.as_f64() });
        }
        Ok(Self { second_moment: checked_second_moment(second_moment)?, activity })
    }

    /// P(c ≠ 0).
    #[must_use]
    pub fn activity(&self) -> T {
        self.activity
    }
}

impl<T: Scalar> HiddenVariable<T> for ThreePoint<T> {
    #[inline]
    fn sample<G: Rng + ?Sized>(&self, rng: &mut G) -> T {
        let u = T::standard_uniform(rng);
        if u >= self.activity {
            return T::zero();
        }
        let root = (self.second_moment / self.activity).sqrt();
        if u < T::lit(0.5) * self.activity { root } else { -root }
    }
    #[inline]
    fn samples_from_words(&self, words: &[u64], c: &mut [T]) -> bool {
        let root = (self.second_moment / self.activity).sqrt();
        let (zero, all, half) = (T::zero(), self.activity.as_f64(), 0.5 * self.activity.as_f64());
        for (c, &word) in c.iter_mut().zip(words) {
            let u = uniform(word);
            let sign = if u < half { root } else { -root };
            *c = if u < all { sign } else { zero };
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
        self.second_moment * self.second_moment / self.activity
    }
    fn quadrature(&self, _points: usize) -> VariableQuadrature<T> {
        let root = (self.second_moment / self.activity).sqrt();
        let half = T::lit(0.5) * self.activity;
        if self.activity == T::one() {
            return VariableQuadrature { nodes: vec![root, -root], weights: vec![half, half], gaussian: T::zero() };
        }
        VariableQuadrature {
            nodes: vec![root, T::zero(), -root],
            weights: vec![half, T::one() - self.activity, half],
            gaussian: T::zero(),
        }
    }
    fn quadrature_is_exact(&self) -> bool {
        true
    }
    fn characteristic(&self, k: T) -> Option<Characteristic<T>> {
        let root = (self.second_moment / self.activity).sqrt();
        let (sin, cos) = (k * root).sin_cos();
        let value = T::one() - self.activity + self.activity * cos;
        Some(Characteristic::symmetric(value, self.activity * root * sin, self.second_moment * cos))
    }
    fn characteristics(&self, k: T, rows: &mut CharacteristicRows<'_, T>) -> bool {
        rows.set_signs(k, (self.second_moment / self.activity).sqrt(), self.activity)
    }
    fn is_symmetric(&self) -> bool {
        true
    }
}
