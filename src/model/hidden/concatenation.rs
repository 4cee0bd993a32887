//! Two independent joint laws, the variables of one below those of the other.
//!
//! Covers their common sampling, moments and product rule. Not here: products of one-dimensional laws (see
//! [`Independent`](crate::model::Independent)).

use std::ops::Range;

use nalgebra::{DMatrix, DVector};
use rand::Rng;

use crate::Scalar;
use crate::model::hidden::{CharacteristicRows, HiddenDistribution, HiddenQuadrature, JointCharacteristic};

/// Two independent joint laws, the variables of the second below those of the first; made by
/// [`HiddenDistribution::and`]. It joins laws of different types, your own among them.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Concatenation<A, B> {
    pub(in crate::model) upper: A,
    pub(in crate::model) lower: B,
}

impl<A, B> Concatenation<A, B> {
    pub(super) fn new(upper: A, lower: B) -> Self {
        Self { upper, lower }
    }
}

/// The block matrix with `a` above and left of `b`, and `corner` above b.
fn block<T: Scalar>(a: &DMatrix<T>, b: &DMatrix<T>, corner: &DMatrix<T>) -> DMatrix<T> {
    let (p, q) = (a.nrows(), b.nrows());
    DMatrix::from_fn(p + q, p + q, |i, j| match (i < p, j < p) {
        (true, true) => a[(i, j)],
        (false, false) => b[(i - p, j - p)],
        (true, false) => corner[(i, j - p)],
        (false, true) => corner[(j, i - p)],
    })
}

impl<T, A, B> HiddenDistribution<T> for Concatenation<A, B>
where
    T: Scalar,
    A: HiddenDistribution<T>,
    B: HiddenDistribution<T>,
{
    fn dimension(&self) -> usize {
        self.upper.dimension() + self.lower.dimension()
    }

    #[inline]
    fn sample<G: Rng + ?Sized>(&self, rng: &mut G, c: &mut [T]) {
        let split = self.upper.dimension().min(c.len());
        let (above, below) = c.split_at_mut(split);
        self.upper.sample(rng, above);
        self.lower.sample(rng, below);
    }

    fn samples_from_words(&self, words: &[u64], c: &mut [T]) -> bool {
        if words.len() != c.len() {
            return false;
        }
        let (above, below) = (self.upper.dimension(), self.lower.dimension());
        let split = words.len() / (above + below).max(1) * above;
        let (upper, lower) = c.split_at_mut(split);
        self.upper.samples_from_words(&words[..split], upper) && self.lower.samples_from_words(&words[split..], lower)
    }

    fn second_moment(&self) -> DMatrix<T> {
        let corner = self.upper.mean() * self.lower.mean().transpose();
        block(&self.upper.second_moment(), &self.lower.second_moment(), &corner)
    }

    fn quadrature(&self, points: usize) -> HiddenQuadrature<T> {
        let (a, b) = (self.upper.quadrature(points), self.lower.quadrature(points));
        let (p, q) = (a.nodes.nrows(), b.nodes.nrows());
        let count = a.weights.len() * b.weights.len();
        let nodes = DMatrix::from_fn(p + q, count, |l, k| {
            if l < p { a.nodes[(l, k % a.weights.len())] } else { b.nodes[(l - p, k / a.weights.len())] }
        });
        let weights = (0..count).map(|k| a.weights[k % a.weights.len()] * b.weights[k / a.weights.len()]).collect();
        let gaussian = block(&a.gaussian, &b.gaussian, &DMatrix::zeros(p, q));
        HiddenQuadrature { nodes, weights, gaussian }
    }

    fn quadrature_is_exact(&self) -> bool {
        self.upper.quadrature_is_exact() && self.lower.quadrature_is_exact()
    }

    fn quadrature_size(&self, points: usize) -> usize {
        self.upper.quadrature_size(points).saturating_mul(self.lower.quadrature_size(points))
    }

    fn gaussian_part(&self) -> DMatrix<T> {
        let (p, q) = (self.upper.dimension(), self.lower.dimension());
        block(&self.upper.gaussian_part(), &self.lower.gaussian_part(), &DMatrix::zeros(p, q))
    }

    fn transport(&self, u: &[T], c: &mut [T]) -> bool {
        let p = self.upper.dimension();
        let (Some(u), Some(c)) = (u.split_at_checked(p), c.split_at_mut_checked(p)) else { return false };
        self.upper.transport(u.0, c.0) && self.lower.transport(u.1, c.1)
    }

    fn blocks(&self) -> Vec<Range<usize>> {
        let p = self.upper.dimension();
        let below = self.lower.blocks().into_iter().map(|range| p + range.start..p + range.end);
        self.upper.blocks().into_iter().chain(below).collect()
    }

    fn characteristic(&self, block: usize, k: &[T], out: &mut JointCharacteristic<T>) -> bool {
        let above = self.upper.blocks().len();
        if block < above {
            self.upper.characteristic(block, k, out)
        } else {
            self.lower.characteristic(block - above, k, out)
        }
    }

    fn characteristics(&self, block: usize, k: &[T], rows: &mut CharacteristicRows<'_, T>) -> bool {
        let above = self.upper.blocks().len();
        if block < above {
            self.upper.characteristics(block, k, rows)
        } else {
            self.lower.characteristics(block - above, k, rows)
        }
    }

    fn mean(&self) -> DVector<T> {
        let (a, b) = (self.upper.mean(), self.lower.mean());
        DVector::from_iterator(a.len() + b.len(), a.iter().chain(b.iter()).copied())
    }

    fn fourth_moments(&self) -> DVector<T> {
        let (a, b) = (self.upper.fourth_moments(), self.lower.fourth_moments());
        DVector::from_iterator(a.len() + b.len(), a.iter().chain(b.iter()).copied())
    }

    fn is_symmetric(&self, l: usize) -> bool {
        let p = self.upper.dimension();
        if l < p { self.upper.is_symmetric(l) } else { self.lower.is_symmetric(l - p) }
    }

    fn is_jointly_symmetric(&self) -> bool {
        self.upper.is_jointly_symmetric() && self.lower.is_jointly_symmetric()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Discrete, Independent, Law};

    #[test]
    fn products_and_concatenations_agree() {
        let (a, b) = (Law::two_point(2.0).unwrap(), Law::skewed(1.5, 0.2).unwrap());
        let product = Independent::new([a.clone(), b.clone()]).unwrap();
        let joined = Independent::new([a]).unwrap().and(Independent::new([b]).unwrap());
        assert_eq!(HiddenDistribution::<f64>::dimension(&joined), 2);
        assert_eq!(product.second_moment(), joined.second_moment());
        assert_eq!(product.fourth_moments(), joined.fourth_moments());
        assert_eq!(product.quadrature(1), joined.quadrature(1));
        assert!(joined.is_symmetric(0) && !joined.is_symmetric(1) && !joined.is_jointly_symmetric());
    }

    #[test]
    fn transport_of_a_grid_has_the_moments_of_the_law() {
        let laws = [Law::uniform(1.5).unwrap(), Law::laplace(0.8).unwrap(), Law::skewed(2.0, 0.3).unwrap()];
        let points = DMatrix::from_row_slice(2, 4, &[1.0, 1.0, -1.0, -1.0, 1.0, -1.0, 1.0, -1.0]);
        let dependent = Discrete::new(points, [0.35, 0.15, 0.15, 0.35]).unwrap();
        let law = Independent::new(laws).unwrap().and(dependent);
        let (count, mut c) = (20_000, [0.0; 5]);
        let mut moment = DMatrix::zeros(5, 5);
        for n in 0..count {
            // Rank-one lattice points: each coordinate runs through an even grid.
            let u: Vec<f64> = [1, 7_919, 6_143, 4_099, 3_251].iter().map(|g| f64::from((n * g) % count)).collect();
            let u: Vec<f64> = u.iter().map(|x| (x + 0.5) / f64::from(count)).collect();
            assert!(law.transport(&u, &mut c));
            let c = DVector::from_column_slice(&c);
            moment += &c * c.transpose() / f64::from(count);
        }
        let exact: DMatrix<f64> = law.second_moment();
        assert!((&moment - &exact).amax() < 5e-3, "{moment} {exact}");
        assert_eq!(HiddenDistribution::<f64>::quadrature_size(&law, 10), 10 * 40 * 2 * 4);
    }
}
