//! Independent hidden variables: the product of one-dimensional laws.
//!
//! Covers the product's sampling, moments and product rule. Not here: the independent product of joint laws (see
//! [`Concatenation`](crate::model::Concatenation)).

use std::ops::Range;

use nalgebra::{DMatrix, DVector};
use rand::Rng;

use crate::Scalar;
use crate::model::ModelError;
use crate::model::hidden::{
    CharacteristicRows, HiddenDistribution, HiddenQuadrature, HiddenVariable, JointCharacteristic, Law,
};

/// Independent hidden variables, one one-dimensional law for each feature.
///
/// ```
/// use contrastive_dynamics::model::{HiddenDistribution, Independent, Law};
/// // Equal second moments, different fourth moments.
/// let law = Independent::new([Law::two_point(2.25)?, Law::three_point(2.25, 0.5)?])?;
/// assert_eq!(law.second_moment()[(0, 0)], law.second_moment()[(1, 1)]);
/// assert_eq!(law.fourth_moments()[1], 2.0 * law.fourth_moments()[0]);
/// # Ok::<(), contrastive_dynamics::model::ModelError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "crate::model::stored::StoredIndependent<L>"))]
pub struct Independent<L = Law<f64>> {
    laws: Vec<L>,
}

impl<L> Independent<L> {
    /// The product of those laws, in the order of the features.
    ///
    /// # Errors
    /// [`ModelError::NoFeatures`] if there are none.
    pub fn new(laws: impl IntoIterator<Item = L>) -> Result<Self, ModelError> {
        let laws: Vec<L> = laws.into_iter().collect();
        if laws.is_empty() {
            return Err(ModelError::NoFeatures);
        }
        Ok(Self { laws })
    }

    /// The laws, in the order of the features.
    #[must_use]
    pub fn laws(&self) -> &[L] {
        &self.laws
    }
}

impl<T: Scalar, L: HiddenVariable<T>> HiddenDistribution<T> for Independent<L> {
    fn dimension(&self) -> usize {
        self.laws.len()
    }

    #[inline]
    fn sample<G: Rng + ?Sized>(&self, rng: &mut G, c: &mut [T]) {
        for (law, c) in self.laws.iter().zip(c) {
            *c = law.sample(rng);
        }
    }

    #[inline]
    fn samples_from_words(&self, words: &[u64], c: &mut [T]) -> bool {
        if words.len() != c.len() {
            return false;
        }
        let count = words.len() / self.laws.len().max(1);
        let run = |l: usize| l * count..(l + 1) * count;
        self.laws.iter().enumerate().all(|(l, law)| law.samples_from_words(&words[run(l)], &mut c[run(l)]))
    }

    fn second_moment(&self) -> DMatrix<T> {
        let mean = self.mean();
        let mut moment = &mean * mean.transpose();
        for (l, law) in self.laws.iter().enumerate() {
            moment[(l, l)] = law.second_moment();
        }
        moment
    }

    fn quadrature(&self, points: usize) -> HiddenQuadrature<T> {
        let p = self.laws.len();
        let rules: Vec<_> = self.laws.iter().map(|law| law.quadrature(points)).collect();
        let count = rules.iter().fold(1, |n: usize, rule| n.saturating_mul(rule.nodes.len()));
        let mut nodes = DMatrix::zeros(p, count);
        let mut weights = Vec::with_capacity(count);
        for k in 0..count {
            let mut rest = k;
            let mut weight = T::one();
            for (l, rule) in rules.iter().enumerate() {
                let index = rest % rule.nodes.len();
                rest /= rule.nodes.len();
                nodes[(l, k)] = rule.nodes[index];
                weight *= rule.weights[index];
            }
            weights.push(weight);
        }
        HiddenQuadrature { nodes, weights, gaussian: self.gaussian_part() }
    }

    fn quadrature_is_exact(&self) -> bool {
        self.laws.iter().all(HiddenVariable::quadrature_is_exact)
    }

    fn quadrature_size(&self, points: usize) -> usize {
        self.laws.iter().fold(1, |size: usize, law| size.saturating_mul(law.quadrature(points).nodes.len()))
    }

    fn gaussian_part(&self) -> DMatrix<T> {
        let p = self.laws.len();
        DMatrix::from_diagonal(&DVector::from_fn(p, |l, _| self.laws[l].quadrature(1).gaussian))
    }

    fn transport(&self, u: &[T], c: &mut [T]) -> bool {
        if u.len() != self.laws.len() || c.len() != u.len() {
            return false;
        }
        for ((law, &u), c) in self.laws.iter().zip(u).zip(c) {
            *c = law.quantile(u);
        }
        true
    }

    /// A block for each variable.
    fn blocks(&self) -> Vec<Range<usize>> {
        (0..self.laws.len()).map(|l| l..l + 1).collect()
    }

    fn characteristic(&self, block: usize, k: &[T], out: &mut JointCharacteristic<T>) -> bool {
        let (Some(law), &[k]) = (self.laws.get(block), k) else { return false };
        law.characteristic(k).map(|one| out.set(&one)).is_some()
    }

    fn characteristics(&self, block: usize, k: &[T], rows: &mut CharacteristicRows<'_, T>) -> bool {
        let (Some(law), &[k]) = (self.laws.get(block), k) else { return false };
        law.characteristics(k, rows)
    }

    fn mean(&self) -> DVector<T> {
        DVector::from_fn(self.laws.len(), |l, _| self.laws[l].mean())
    }

    fn fourth_moments(&self) -> DVector<T> {
        DVector::from_fn(self.laws.len(), |l, _| self.laws[l].fourth_moment())
    }

    fn is_symmetric(&self, l: usize) -> bool {
        self.laws.get(l).is_some_and(HiddenVariable::is_symmetric)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_that_make_no_law_are_rejected() {
        assert!(matches!(Independent::<Law>::new([]), Err(ModelError::NoFeatures)));
    }

    #[test]
    fn means_that_are_not_zero_fill_the_corners_of_the_second_moment() {
        let one = || Law::point_masses([1.0, 3.0], [0.5, 0.5]).unwrap();
        let law = Independent::new([one(), one()]).unwrap();
        assert_eq!(law.second_moment(), DMatrix::from_row_slice(2, 2, &[5.0, 4.0, 4.0, 5.0]));
        assert!((law.second_moment() - law.quadrature(1).second_moment()).amax() < 1e-14);
    }
}
