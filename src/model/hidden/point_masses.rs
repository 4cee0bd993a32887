//! Any law of one hidden variable on finitely many points, the skewed two-point law among them.
//!
//! Covers sampling, moments, symmetry and the exact rule. Not here: joint laws on finitely many points (see
//! [`Discrete`](crate::model::Discrete)).

use std::cmp::Ordering;

use rand::Rng;

use crate::Scalar;
use crate::model::ModelError;
use crate::model::hidden::probabilities::{cumulative, index_in, is_invariant, normalise, uniform};
use crate::model::hidden::variable::checked_second_moment;
use crate::model::hidden::{Characteristic, CharacteristicRows, HiddenVariable, VariableQuadrature};

/// Any law on finitely many points: P(c = values\[k\]) = probabilities\[k\].
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "crate::model::stored::StoredPointMasses<T>"))]
#[cfg_attr(feature = "serde", serde(bound(deserialize = "T: crate::Scalar + serde::Deserialize<'de>")))]
pub struct PointMasses<T = f64> {
    values: Vec<T>,
    pub(in crate::model) probabilities: Vec<T>,
    /// Sums of the probabilities up to each; the indices in the order of the values, and the sums in that order.
    #[cfg_attr(feature = "serde", serde(skip))]
    cumulative: Vec<f64>,
    #[cfg_attr(feature = "serde", serde(skip))]
    order: Vec<usize>,
    #[cfg_attr(feature = "serde", serde(skip))]
    ordered: Vec<f64>,
}

impl<T: Scalar> PointMasses<T> {
    /// The law with those values and probabilities. The probabilities are normalised after the check.
    ///
    /// # Errors
    /// [`ModelError::PointMasses`] unless there are as many probabilities as values and at least one, all values are
    /// finite, and the probabilities are positive and sum to 1 within 1e-6.
    pub fn new(values: impl Into<Vec<T>>, probabilities: impl Into<Vec<T>>) -> Result<Self, ModelError> {
        let (values, mut probabilities) = (values.into(), probabilities.into());
        if values.is_empty() || values.len() != probabilities.len() {
            return Err(ModelError::PointMasses { reason: "need as many probabilities as values, and at least one" });
        }
        if !values.iter().all(nalgebra::ComplexField::is_finite) {
            return Err(ModelError::PointMasses { reason: "values must be finite" });
        }
        normalise(&mut probabilities).map_err(|reason| ModelError::PointMasses { reason })?;
        let mut law = Self { values, probabilities, cumulative: Vec::new(), order: Vec::new(), ordered: Vec::new() };
        law.tabulate();
        Ok(law)
    }

    /// Makes the tables for drawing.
    pub(in crate::model) fn tabulate(&mut self) {
        let Self { values, probabilities, .. } = self;
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|&a, &b| values[a].partial_cmp(&values[b]).unwrap_or(Ordering::Equal));
        let sorted: Vec<T> = order.iter().map(|&k| probabilities[k]).collect();
        (self.cumulative, self.ordered) = (cumulative(probabilities), cumulative(&sorted));
        self.order = order;
    }

    /// The asymmetric two-point law of mean zero with E\[c²\] = `second_moment` and P(c > 0) = `positive`:
    /// c = √(s(1−r)/r) with probability r = `positive`, and −√(s r/(1−r)) otherwise.
    ///
    /// # Errors
    /// [`ModelError::SecondMoment`] unless the second moment is positive and finite,
    /// [`ModelError::Activity`] unless 0 < r < 1.
    pub fn skewed(second_moment: T, positive: T) -> Result<Self, ModelError> {
        let s = checked_second_moment(second_moment)?;
        if !(positive > T::zero() && positive < T::one()) {
            return Err(ModelError::Activity { value: positive.as_f64() });
        }
        let odds = (T::one() - positive) / positive;
        Self::new(vec![(s * odds).sqrt(), -(s / odds).sqrt()], vec![positive, T::one() - positive])
    }

    fn moment(&self, power: i32) -> T {
        self.values.iter().zip(&self.probabilities).map(|(&v, &w)| w * v.powi(power)).sum()
    }
}

impl<T: Scalar> HiddenVariable<T> for PointMasses<T> {
    #[inline]
    fn sample<G: Rng + ?Sized>(&self, rng: &mut G) -> T {
        self.values[index_in(&self.cumulative, T::standard_uniform(rng).as_f64())]
    }
    #[inline]
    fn samples_from_words(&self, words: &[u64], c: &mut [T]) -> bool {
        for (c, &word) in c.iter_mut().zip(words) {
            *c = self.values[index_in(&self.cumulative, uniform(word))];
        }
        true
    }
    fn mean(&self) -> T {
        self.moment(1)
    }
    fn second_moment(&self) -> T {
        self.moment(2)
    }
    fn fourth_moment(&self) -> T {
        self.moment(4)
    }
    fn quadrature(&self, _points: usize) -> VariableQuadrature<T> {
        VariableQuadrature { nodes: self.values.clone(), weights: self.probabilities.clone(), gaussian: T::zero() }
    }
    fn quadrature_is_exact(&self) -> bool {
        true
    }
    fn characteristic(&self, k: T) -> Option<Characteristic<T>> {
        let mut sum = Characteristic::zero();
        for (&c, &weight) in self.values.iter().zip(&self.probabilities) {
            sum.add_point(k, c, weight);
        }
        Some(sum)
    }
    fn characteristics(&self, k: T, rows: &mut CharacteristicRows<'_, T>) -> bool {
        rows.set_points(&[k], &self.values, &self.probabilities)
    }
    fn quantile(&self, u: T) -> T {
        self.values[self.order[index_in(&self.ordered, u.as_f64())]]
    }
    fn is_symmetric(&self) -> bool {
        is_invariant(&self.values, 1, &self.probabilities, &|_| true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symmetry_is_recognised() {
        assert!(PointMasses::new([1.0, 0.0, -1.0], [0.25, 0.5, 0.25]).unwrap().is_symmetric());
        assert!(!PointMasses::new([1.0, 0.0, -1.0], [0.3, 0.5, 0.2]).unwrap().is_symmetric());
    }

    #[test]
    fn parameters_that_make_no_law_are_rejected() {
        let fails = |values: &[f64], probabilities: &[f64]| {
            matches!(PointMasses::new(values, probabilities), Err(ModelError::PointMasses { .. }))
        };
        assert!(fails(&[], &[]) && fails(&[1.0, 2.0], &[1.0]));
        assert!(fails(&[1.0], &[0.5]) && fails(&[1.0, 2.0], &[1.5, -0.5]) && fails(&[1.0, 2.0], &[f64::NAN, 1.0]));
        assert!(fails(&[f64::NAN], &[1.0]) && fails(&[f64::INFINITY], &[1.0]));
    }
}
