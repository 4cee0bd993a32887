//! The law P_c of the hidden variables c (theory §1): sampling for the simulators, cubature for the limit.
//!
//! In: the trait [`HiddenDistribution`] of a joint law, the trait [`HiddenVariable`] of a one-dimensional law, and
//! [`HiddenQuadrature`], the form in which a law enters Gaussian averages. The laws themselves are in
//! [`variables`] (one-dimensional) and [`joint`] (products, discrete joint laws).

pub mod joint;
pub mod variables;

use nalgebra::{DMatrix, DVector};
use rand::Rng;

use crate::Scalar;

pub use joint::{Concatenation, Discrete, Independent};
pub use variables::{Gaussian, Laplace, Law, PointMasses, ThreePoint, TwoPoint, Uniform};

/// A law of c as the limit uses it: c = node + Gaussian, the two independent.
///
/// The nodes carry weights that sum to 1; the Gaussian part is the same at every node. A Gaussian hidden variable is
/// thus one node at zero and a variance, and costs an average nothing: it only widens the field.
#[derive(Debug, Clone, PartialEq)]
pub struct HiddenQuadrature<T: Scalar> {
    /// The nodes, one column each: p x n.
    pub nodes: DMatrix<T>,
    /// The weights of the nodes: n, positive, of sum 1.
    pub weights: Vec<T>,
    /// Covariance of the Gaussian part: p x p, positive semidefinite.
    pub gaussian: DMatrix<T>,
}

/// The part of a law that the limit needs, its type forgotten.
pub(crate) trait HiddenLaw<T: Scalar>: Send + Sync {
    fn quadrature(&self, points: usize) -> HiddenQuadrature<T>;
    fn quadrature_size(&self, points: usize) -> usize;
    fn gaussian_part(&self) -> DMatrix<T>;
    fn transport(&self, u: &[T], c: &mut [T]) -> bool;
}

impl<T: Scalar, H: HiddenDistribution<T>> HiddenLaw<T> for H {
    fn quadrature(&self, points: usize) -> HiddenQuadrature<T> {
        HiddenDistribution::quadrature(self, points)
    }
    fn quadrature_size(&self, points: usize) -> usize {
        HiddenDistribution::quadrature_size(self, points)
    }
    fn gaussian_part(&self) -> DMatrix<T> {
        HiddenDistribution::gaussian_part(self)
    }
    fn transport(&self, u: &[T], c: &mut [T]) -> bool {
        HiddenDistribution::transport(self, u, c)
    }
}

/// The joint law of the p hidden variables c.
///
/// Required are the dimension, sampling, the second moment E[c cᵀ] and a cubature; the rest has defaults that claim
/// nothing.
pub trait HiddenDistribution<T: Scalar = f64>: Send + Sync {
    /// The number p of hidden variables, one for each feature.
    fn dimension(&self) -> usize;

    /// Writes one draw of c into `c`, a slice of length p.
    fn sample<G: Rng + ?Sized>(&self, rng: &mut G, c: &mut [T])
    where
        Self: Sized;

    /// Many draws, each from one uniform random word for every variable: of `words`, p runs of equal length, word k of run l
    /// makes c_l of draw k, which goes to the same place of `c`. Answers false, and may leave anything in `c`, if the law
    /// has no such form (then draws are made one by one by [`sample`](Self::sample)); whether it has must not depend on
    /// the length of the slices. The default has none.
    fn sample_words(&self, words: &[u64], c: &mut [T]) -> bool {
        let _ = (words, c);
        false
    }

    /// E[c cᵀ], p x p.
    fn second_moment(&self) -> DMatrix<T>;

    /// A cubature of the law with `points` nodes for each continuous variable; discrete laws are exact and ignore it.
    /// Ask [`quadrature_size`](Self::quadrature_size) first: products of many laws have more nodes than memory holds.
    fn quadrature(&self, points: usize) -> HiddenQuadrature<T>;

    /// Whether [`quadrature`](Self::quadrature) is exact whatever the number of points.
    fn quadrature_is_exact(&self) -> bool;

    /// The number of nodes of [`quadrature`](Self::quadrature), without making them; products of many laws can have
    /// more than fit anywhere. The default makes them.
    fn quadrature_size(&self, points: usize) -> usize {
        self.quadrature(points).weights.len()
    }

    /// The Gaussian part of [`quadrature`](Self::quadrature), p x p, without the nodes. The default makes them.
    fn gaussian_part(&self) -> DMatrix<T> {
        self.quadrature(1).gaussian
    }

    /// Maps p independent uniform variables `u` in (0, 1) to a draw of the part of c that is not Gaussian, for
    /// quasi-random cubature where the product of rules has too many nodes. Answers false, and may
    /// leave anything in `c`, if the law has no such map; that is the default.
    fn transport(&self, u: &[T], c: &mut [T]) -> bool {
        let _ = (u, c);
        false
    }

    /// E\[c\], of length p.
    fn mean(&self) -> DVector<T> {
        let rule = self.quadrature(MOMENT_POINTS);
        &rule.nodes * DVector::from_column_slice(&rule.weights)
    }

    /// E\[c_l⁴\] for each l.
    fn fourth_moments(&self) -> DVector<T> {
        let rule = self.quadrature(MOMENT_POINTS);
        let six = T::lit(6.0);
        DVector::from_fn(self.dimension(), |l, _| {
            let s = rule.gaussian[(l, l)];
            let columns = rule.weights.iter().enumerate();
            columns
                .map(|(k, &w)| {
                    let c2 = rule.nodes[(l, k)] * rule.nodes[(l, k)];
                    w * (c2 * c2 + six * c2 * s + T::lit(3.0) * s * s)
                })
                .sum()
        })
    }

    /// Whether the joint law is invariant under c_l → −c_l for that l alone. The default claims no symmetry.
    fn is_symmetric(&self, l: usize) -> bool {
        let _ = l;
        false
    }

    /// Whether the joint law is invariant under c → −c. The default asks every variable alone.
    fn is_jointly_symmetric(&self) -> bool {
        (0..self.dimension()).all(|l| self.is_symmetric(l))
    }

    /// The law of this c with the independent c of `other` below it.
    fn and<O: HiddenDistribution<T>>(self, other: O) -> Concatenation<Self, O>
    where
        Self: Sized,
    {
        Concatenation::new(self, other)
    }
}

/// Nodes for moments of laws that give no closed form: exact to degree 63 for polynomial rules.
const MOMENT_POINTS: usize = 32;

impl<T: Scalar, H: HiddenDistribution<T>> HiddenDistribution<T> for &H {
    fn dimension(&self) -> usize {
        (**self).dimension()
    }
    fn sample<G: Rng + ?Sized>(&self, rng: &mut G, c: &mut [T]) {
        (**self).sample(rng, c);
    }
    fn sample_words(&self, words: &[u64], c: &mut [T]) -> bool {
        (**self).sample_words(words, c)
    }
    fn second_moment(&self) -> DMatrix<T> {
        (**self).second_moment()
    }
    fn quadrature(&self, points: usize) -> HiddenQuadrature<T> {
        (**self).quadrature(points)
    }
    fn quadrature_is_exact(&self) -> bool {
        (**self).quadrature_is_exact()
    }
    fn quadrature_size(&self, points: usize) -> usize {
        (**self).quadrature_size(points)
    }
    fn gaussian_part(&self) -> DMatrix<T> {
        (**self).gaussian_part()
    }
    fn transport(&self, u: &[T], c: &mut [T]) -> bool {
        (**self).transport(u, c)
    }
    fn mean(&self) -> DVector<T> {
        (**self).mean()
    }
    fn fourth_moments(&self) -> DVector<T> {
        (**self).fourth_moments()
    }
    fn is_symmetric(&self, l: usize) -> bool {
        (**self).is_symmetric(l)
    }
    fn is_jointly_symmetric(&self) -> bool {
        (**self).is_jointly_symmetric()
    }
}

/// A one-dimensional law as the limit uses it: node plus Gaussian of that variance, the two independent.
#[derive(Debug, Clone, PartialEq)]
pub struct VariableQuadrature<T> {
    /// The nodes.
    pub nodes: Vec<T>,
    /// Their weights, positive, of sum 1.
    pub weights: Vec<T>,
    /// Variance of the Gaussian part.
    pub gaussian: T,
}

/// The law of one hidden variable.
///
/// Independent products of such laws are joint laws: see [`Independent`].
pub trait HiddenVariable<T: Scalar = f64>: Send + Sync {
    /// One draw.
    fn sample<G: Rng + ?Sized>(&self, rng: &mut G) -> T
    where
        Self: Sized;

    /// Many draws, each from one uniform random word: `words\[k\]` makes `c\[k\]`. Answers false, and may leave anything in
    /// `c`, if the law has no such form; whether it has must not depend on the length of the slices. The default has none.
    fn sample_words(&self, words: &[u64], c: &mut [T]) -> bool {
        let _ = (words, c);
        false
    }

    /// E\[c\].
    fn mean(&self) -> T;

    /// E\[c²\].
    fn second_moment(&self) -> T;

    /// E\[c⁴\].
    fn fourth_moment(&self) -> T;

    /// A rule with `points` nodes; discrete laws are exact and ignore it.
    fn quadrature(&self, points: usize) -> VariableQuadrature<T>;

    /// Whether [`quadrature`](Self::quadrature) is exact whatever the number of points.
    fn quadrature_is_exact(&self) -> bool;

    /// The quantile function of the part of c that is not Gaussian, at 0 < u < 1. The default inverts the distribution
    /// function of a rule of 64 points.
    fn quantile(&self, u: T) -> T {
        let rule = self.quadrature(64);
        let mut order: Vec<usize> = (0..rule.nodes.len()).collect();
        order.sort_by(|&a, &b| rule.nodes[a].partial_cmp(&rule.nodes[b]).unwrap_or(std::cmp::Ordering::Equal));
        let mut below = T::zero();
        for &k in &order {
            below += rule.weights[k];
            if u < below {
                return rule.nodes[k];
            }
        }
        order.last().map_or(T::zero(), |&k| rule.nodes[k])
    }

    /// Whether the law is invariant under c → −c.
    fn is_symmetric(&self) -> bool {
        false
    }
}

impl<T: Scalar, V: HiddenVariable<T>> HiddenVariable<T> for &V {
    fn sample<G: Rng + ?Sized>(&self, rng: &mut G) -> T {
        (**self).sample(rng)
    }
    fn sample_words(&self, words: &[u64], c: &mut [T]) -> bool {
        (**self).sample_words(words, c)
    }
    fn mean(&self) -> T {
        (**self).mean()
    }
    fn second_moment(&self) -> T {
        (**self).second_moment()
    }
    fn fourth_moment(&self) -> T {
        (**self).fourth_moment()
    }
    fn quadrature(&self, points: usize) -> VariableQuadrature<T> {
        (**self).quadrature(points)
    }
    fn quadrature_is_exact(&self) -> bool {
        (**self).quadrature_is_exact()
    }
    fn quantile(&self, u: T) -> T {
        (**self).quantile(u)
    }
    fn is_symmetric(&self) -> bool {
        (**self).is_symmetric()
    }
}
