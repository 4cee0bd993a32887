//! Hidden variables that are a constant times others.

use nalgebra::{DMatrix, DVector};
use rand::Rng;
use std::ops::Range;

use super::{HiddenDistribution, HiddenQuadrature, JointCharacteristic};
use crate::Scalar;
use crate::model::ModelError;

/// The law of a·c for c of another law.
///
/// ```
/// use contrastive_dynamics::model::{HiddenDistribution, Independent, Law, Scaled};
/// let law = Scaled::new(Independent::new([Law::two_point(2.25)?])?, 2.0)?;
/// assert_eq!(law.second_moment()[(0, 0)], 9.0);
/// # Ok::<(), contrastive_dynamics::model::ModelError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Scaled<H, T = f64> {
    law: H,
    factor: T,
}

impl<T: Scalar, H: HiddenDistribution<T>> Scaled<H, T> {
    /// The law of factor·c.
    ///
    /// # Errors
    /// [`ModelError::HiddenScale`] unless the factor is positive and finite.
    pub fn new(law: H, factor: T) -> Result<Self, ModelError> {
        if factor > T::zero() && factor.is_finite() {
            return Ok(Self { law, factor });
        }
        Err(ModelError::HiddenScale { value: factor.as_f64() })
    }

    /// The law of c.
    #[must_use]
    pub fn law(&self) -> &H {
        &self.law
    }

    fn scale(&self, c: &mut [T]) {
        for c in c {
            *c *= self.factor;
        }
    }

    /// The factor.
    #[must_use]
    pub fn factor(&self) -> T {
        self.factor
    }
}

impl<T: Scalar, H: HiddenDistribution<T>> HiddenDistribution<T> for Scaled<H, T> {
    fn dimension(&self) -> usize {
        self.law.dimension()
    }

    fn sample<G: Rng + ?Sized>(&self, rng: &mut G, c: &mut [T]) {
        self.law.sample(rng, c);
        self.scale(c);
    }

    fn samples_from_words(&self, words: &[u64], c: &mut [T]) -> bool {
        let drawn = self.law.samples_from_words(words, c);
        self.scale(c);
        drawn
    }

    fn quadrature(&self, points: usize) -> HiddenQuadrature<T> {
        let mut quadrature = self.law.quadrature(points);
        quadrature.nodes *= self.factor;
        quadrature.gaussian *= self.factor * self.factor;
        quadrature
    }

    fn quadrature_is_exact(&self) -> bool {
        self.law.quadrature_is_exact()
    }

    fn quadrature_size(&self, points: usize) -> usize {
        self.law.quadrature_size(points)
    }

    fn gaussian_part(&self) -> DMatrix<T> {
        self.law.gaussian_part() * (self.factor * self.factor)
    }

    fn transport(&self, u: &[T], c: &mut [T]) -> bool {
        let mapped = self.law.transport(u, c);
        self.scale(c);
        mapped
    }

    fn blocks(&self) -> Vec<Range<usize>> {
        self.law.blocks()
    }

    fn characteristic(&self, block: usize, k: &[T], out: &mut JointCharacteristic<T>) -> bool {
        let wave: Vec<T> = k.iter().map(|&k| self.factor * k).collect();
        let known = self.law.characteristic(block, &wave, out);
        out.first.iter_mut().for_each(|x| *x = x.scale(self.factor));
        out.second.iter_mut().for_each(|x| *x = x.scale(self.factor * self.factor));
        known
    }

    fn mean(&self) -> DVector<T> {
        self.law.mean() * self.factor
    }

    fn second_moment(&self) -> DMatrix<T> {
        self.law.second_moment() * (self.factor * self.factor)
    }

    fn fourth_moments(&self) -> DVector<T> {
        let square = self.factor * self.factor;
        self.law.fourth_moments() * (square * square)
    }

    fn is_symmetric(&self, l: usize) -> bool {
        self.law.is_symmetric(l)
    }

    fn is_jointly_symmetric(&self) -> bool {
        self.law.is_jointly_symmetric()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CorrelatedSigns, Independent, Law, check_hidden};

    #[test]
    fn scaled_laws_agree_with_themselves() {
        let laws = [Law::skewed(1.0, 0.3).unwrap(), Law::gaussian(0.7).unwrap(), Law::laplace(2.0).unwrap()];
        let scaled: Scaled<_, f64> = Scaled::new(Independent::new(laws).unwrap(), 0.6).unwrap();
        assert!(check_hidden(&scaled).is_empty(), "{:?}", check_hidden(&scaled));
        assert!((scaled.second_moment()[(2, 2)] - 0.72).abs() < 1e-12 && scaled.law().dimension() == 3);
        let joint = Scaled::new(CorrelatedSigns::with_loadings(vec![1.0, 2.0], vec![0.5, 0.5]).unwrap(), 3.0).unwrap();
        assert!(check_hidden(&joint).is_empty(), "{:?}", check_hidden(&joint));
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(Scaled::new(joint.law().clone(), bad), Err(ModelError::HiddenScale { .. })));
        }
    }
}
