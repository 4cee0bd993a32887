//! The joint law P_c of the hidden variables c (theory §1): drawn by the simulators, averaged over by the limit.
//!
//! Covers the trait [`HiddenDistribution`] of a joint law and [`HiddenQuadrature`], the form in which a law enters
//! averages. Not here: the trait of one variable ([`HiddenVariable`], in `variable.rs`), the laws themselves (a file
//! each), and the comparison of what a law says with what it does (see [`check_hidden`](crate::model::check_hidden)).

mod characteristic;
mod concatenation;
mod correlated_signs;
mod discrete;
mod from_distribution;
mod gaussian;
mod independent;
mod laplace;
mod law;
mod mixture;
mod point_masses;
mod probabilities;
mod rows;
mod scaled;
mod shared_variable;
mod three_point;
mod two_point;
mod uniform;
mod variable;

use std::ops::Range;

use nalgebra::{DMatrix, DVector};
use rand::Rng;

use crate::Scalar;

pub use characteristic::{Characteristic, JointCharacteristic};
pub use concatenation::Concatenation;
pub use correlated_signs::CorrelatedSigns;
pub use discrete::Discrete;
pub use from_distribution::FromDistribution;
pub use gaussian::Gaussian;
pub use independent::Independent;
pub use laplace::Laplace;
pub use law::Law;
pub use mixture::Mixture;
pub use point_masses::PointMasses;
pub use rows::CharacteristicRows;
pub use scaled::Scaled;
pub use shared_variable::SharedVariable;
pub use three_point::ThreePoint;
pub use two_point::TwoPoint;
pub use uniform::Uniform;
pub use variable::{HiddenVariable, VariableQuadrature};

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

impl<T: Scalar> HiddenQuadrature<T> {
    /// Whether there is a weight for every node and the Gaussian part is p x p.
    fn fits(&self) -> bool {
        let p = self.nodes.nrows();
        self.nodes.ncols() == self.weights.len() && self.gaussian.shape() == (p, p)
    }

    /// E\[c\], of length p. NaN unless there are as many weights as nodes.
    #[must_use]
    pub fn mean(&self) -> DVector<T> {
        if !self.fits() {
            return DVector::from_element(self.nodes.nrows(), T::lit(f64::NAN));
        }
        &self.nodes * DVector::from_column_slice(&self.weights)
    }

    /// E\[c cᵀ\], p x p. NaN unless there are as many weights as nodes and the Gaussian part is p x p.
    #[must_use]
    pub fn second_moment(&self) -> DMatrix<T> {
        let p = self.nodes.nrows();
        if !self.fits() {
            return DMatrix::from_element(p, p, T::lit(f64::NAN));
        }
        let mut moment = self.gaussian.clone();
        for (c, &w) in self.nodes.column_iter().zip(&self.weights) {
            for l in 0..p {
                for k in 0..p {
                    moment[(k, l)] += w * c[k] * c[l];
                }
            }
        }
        moment
    }

    /// E\[c_l⁴\] for each l. NaN unless there are as many weights as nodes and the Gaussian part is p x p.
    #[must_use]
    pub fn fourth_moments(&self) -> DVector<T> {
        let p = self.nodes.nrows();
        if !self.fits() {
            return DVector::from_element(p, T::lit(f64::NAN));
        }
        let six = T::lit(6.0);
        DVector::from_fn(p, |l, _| {
            let s = self.gaussian[(l, l)];
            let columns = self.weights.iter().enumerate();
            columns
                .map(|(k, &w)| {
                    let c2 = self.nodes[(l, k)] * self.nodes[(l, k)];
                    w * (c2 * c2 + six * c2 * s + T::lit(3.0) * s * s)
                })
                .sum()
        })
    }
}

/// The part of a law that the limit needs, its type forgotten.
pub(crate) trait HiddenLaw<T: Scalar>: Send + Sync {
    fn quadrature(&self, points: usize) -> HiddenQuadrature<T>;
    fn quadrature_size(&self, points: usize) -> usize;
    fn gaussian_part(&self) -> DMatrix<T>;
    fn transport(&self, u: &[T], c: &mut [T]) -> bool;
    fn blocks(&self) -> Vec<Range<usize>>;
    fn characteristic(&self, block: usize, k: &[T], out: &mut JointCharacteristic<T>) -> bool;
    fn characteristics(&self, block: usize, k: &[T], rows: &mut CharacteristicRows<'_, T>) -> bool;
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
    fn blocks(&self) -> Vec<Range<usize>> {
        HiddenDistribution::blocks(self)
    }
    fn characteristic(&self, block: usize, k: &[T], out: &mut JointCharacteristic<T>) -> bool {
        HiddenDistribution::characteristic(self, block, k, out)
    }
    fn characteristics(&self, block: usize, k: &[T], rows: &mut CharacteristicRows<'_, T>) -> bool {
        HiddenDistribution::characteristics(self, block, k, rows)
    }
}

/// The joint law of the p hidden variables c.
///
/// # A law of your own
/// Three methods are required: the [`dimension`](Self::dimension), a [`sample`](Self::sample) for the simulators and a
/// [`quadrature`](Self::quadrature) for the limit. Everything else follows from the quadrature or claims nothing, and is
/// there to be overridden where more is known. [`check_hidden`](crate::model::check_hidden) compares all of it.
/// Most laws need no implementation: independent variables are [`Independent`], anything on finitely many points is
/// [`Discrete`], correlated signs are [`CorrelatedSigns`], a law drawn at random for each sample is a [`Mixture`],
/// and [`Law::from_distribution`] takes a distribution of `rand_distr` with its nodes.
///
/// ```
/// use contrastive_dynamics::model::{HiddenDistribution, HiddenQuadrature, check_hidden};
/// use contrastive_dynamics::nalgebra::DMatrix;
/// use contrastive_dynamics::rand::Rng;
///
/// /// One sign for both features.
/// struct Shared;
///
/// impl HiddenDistribution for Shared {
///     fn dimension(&self) -> usize {
///         2
///     }
///     fn sample<G: Rng + ?Sized>(&self, rng: &mut G, c: &mut [f64]) {
///         c.fill(if rng.next_u32() >> 31 == 0 { 1.0 } else { -1.0 });
///     }
///     fn quadrature(&self, _points: usize) -> HiddenQuadrature<f64> {
///         let nodes = DMatrix::from_row_slice(2, 2, &[1.0, -1.0, 1.0, -1.0]);
///         HiddenQuadrature { nodes, weights: vec![0.5; 2], gaussian: DMatrix::zeros(2, 2) }
///     }
/// }
///
/// assert_eq!(Shared.second_moment(), DMatrix::from_element(2, 2, 1.0));
/// assert!(check_hidden(&Shared).is_empty());
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a joint law of hidden variables in `{T}`",
    label = "not a `HiddenDistribution<{T}>`",
    note = "a `MissingHidden` is one that was not set: call `.hidden(..)` before `.build()`; or `Model` stands without its types where `&impl Spec<Scalar = {T}>` would do",
    note = "a single law is not a hidden distribution yet: wrap it, `Independent::new([law])`, one law for each feature",
    note = "a law of your own implements `HiddenDistribution`: `dimension`, `sample` and `quadrature`"
)]
pub trait HiddenDistribution<T: Scalar = f64>: Send + Sync {
    /// The number p of hidden variables, one for each feature.
    fn dimension(&self) -> usize;

    /// Writes one draw of c into `c`, a slice of length p.
    fn sample<G: Rng + ?Sized>(&self, rng: &mut G, c: &mut [T])
    where
        Self: Sized;

    /// A cubature of the law with `points` nodes for each continuous variable; discrete laws are exact and ignore it.
    /// Ask [`quadrature_size`](Self::quadrature_size) first: products of many laws have more nodes than memory holds.
    fn quadrature(&self, points: usize) -> HiddenQuadrature<T>;

    /// Many draws, each from one uniform random word for every variable.
    ///
    /// For n draws both slices have n·p entries, the variables one after the other: entry l·n + k of `words` is the word
    /// of variable l of draw k, and c_l of draw k goes to entry l·n + k of `c`. A draw may use all of its p words for
    /// all of its variables.
    ///
    /// Answers false, and may leave anything in `c`, if the law has no such form; draws are then made one by one by
    /// [`sample`](Self::sample). Whether it has must not depend on the length of the slices: simulators ask once, with
    /// empty ones. It pays where many draws are made at once. The default has none.
    fn samples_from_words(&self, words: &[u64], c: &mut [T]) -> bool {
        let _ = (words, c);
        false
    }

    /// Whether [`quadrature`](Self::quadrature) is the law itself whatever the number of points, so that there is no
    /// error of the rule to estimate. The default claims nothing: false.
    fn quadrature_is_exact(&self) -> bool {
        false
    }

    /// The number of nodes of [`quadrature`](Self::quadrature), without making them; products of many laws can have
    /// more than fit anywhere. The default makes them.
    fn quadrature_size(&self, points: usize) -> usize {
        self.quadrature(points).weights.len()
    }

    /// The Gaussian part of [`quadrature`](Self::quadrature), p x p, without the nodes. The default makes them; it is NaN if
    /// these are more than memory holds.
    fn gaussian_part(&self) -> DMatrix<T> {
        if !fits_memory(self) {
            return DMatrix::from_element(self.dimension(), self.dimension(), T::lit(f64::NAN));
        }
        self.quadrature(1).gaussian
    }

    /// Maps p independent uniform variables `u` in (0, 1) to a draw of the part of c that is not Gaussian, for
    /// quasi-random cubature where the product of rules has too many nodes. Answers false, and may
    /// leave anything in `c`, if the law has no such map; that is the default.
    fn transport(&self, u: &[T], c: &mut [T]) -> bool {
        let _ = (u, c);
        false
    }

    /// Runs of variables, one after the other and together all p, that are independent of each other. The default is one run
    /// of all.
    fn blocks(&self) -> Vec<Range<usize>> {
        let p = self.dimension();
        std::iter::once(0..p).collect()
    }

    /// Writes the characteristic function of block number `block`, d variables, at the wave vector `k` of length d, with the
    /// moments under it.
    ///
    /// From it averages over one neuron follow at a cost linear in the number of variables, where products of rules have
    /// too many nodes. Answers false, and may leave anything in `out`, if the law gives none; that must depend neither on
    /// the block nor on k. The default gives none.
    fn characteristic(&self, block: usize, k: &[T], out: &mut JointCharacteristic<T>) -> bool {
        let _ = (block, k, out);
        false
    }

    /// The same at the wave vectors s, s + k, s + 2k, …, as many as `rows` has and as it gives them ([`CharacteristicRows::wave`]):
    /// what averages ask for. The default asks
    /// [`characteristic`](Self::characteristic) at each; a law that can do them at once saves sines and cosines. Answers false, and may
    /// leave anything in `rows`, if there is none.
    fn characteristics(&self, block: usize, k: &[T], rows: &mut CharacteristicRows<'_, T>) -> bool {
        let mut at = JointCharacteristic::new();
        let mut wave = k.to_vec();
        (0..rows.count()).all(|n| {
            wave.iter_mut().zip(k).enumerate().for_each(|(l, (wave, &k))| *wave = rows.wave(n, l, k));
            self.characteristic(block, &wave, &mut at) && rows.set(n, &at)
        })
    }

    /// E\[c\], of length p. The default is that of the nodes, NaN if these are more than memory holds.
    fn mean(&self) -> DVector<T> {
        moment_rule(self).mean()
    }

    /// E\[c cᵀ\], p x p. The default is that of the nodes, NaN if these are more than memory holds.
    fn second_moment(&self) -> DMatrix<T> {
        moment_rule(self).second_moment()
    }

    /// E\[c_l⁴\] for each l. The default is that of the nodes, NaN if these are more than memory holds.
    fn fourth_moments(&self) -> DVector<T> {
        moment_rule(self).fourth_moments()
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

/// The most nodes for each variable of a rule that moments are taken from: a Gauss rule is then exact to degree 63.
pub(super) const MOMENT_POINTS: usize = 32;

/// The most nodes of a joint rule that are enumerated, by moments here and by the averages of the limit: 15 two-point
/// variables have as many. Averages over fields take seconds then.
pub(crate) const MOST_ENUMERATED_NODES: usize = 1 << 15;

/// The most numbers of the nodes of a rule.
const MOST_NUMBERS: usize = 1 << 27;

/// Whether the coarsest rule of that law can be made.
fn fits_memory<T: Scalar, H: HiddenDistribution<T> + ?Sized>(law: &H) -> bool {
    law.quadrature_size(1).saturating_mul(law.dimension().max(1)) <= MOST_NUMBERS
}

/// The rule that moments are taken from: the finest, in powers of two up to [`MOMENT_POINTS`], that is not too large.
fn moment_rule<T: Scalar, H: HiddenDistribution<T> + ?Sized>(law: &H) -> HiddenQuadrature<T> {
    let mut points = 1;
    while points < MOMENT_POINTS && law.quadrature_size(2 * points) <= MOST_ENUMERATED_NODES {
        points *= 2;
    }
    if points == 1 && !fits_memory(law) {
        // A weight without a node: every moment is NaN.
        let p = law.dimension();
        return HiddenQuadrature {
            nodes: DMatrix::zeros(p, 0),
            weights: vec![T::one()],
            gaussian: DMatrix::zeros(p, p),
        };
    }
    law.quadrature(points)
}

impl<T: Scalar, H: HiddenDistribution<T>> HiddenDistribution<T> for &H {
    fn dimension(&self) -> usize {
        (**self).dimension()
    }
    fn sample<G: Rng + ?Sized>(&self, rng: &mut G, c: &mut [T]) {
        (**self).sample(rng, c);
    }
    fn samples_from_words(&self, words: &[u64], c: &mut [T]) -> bool {
        (**self).samples_from_words(words, c)
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
    fn blocks(&self) -> Vec<Range<usize>> {
        (**self).blocks()
    }
    fn characteristic(&self, block: usize, k: &[T], out: &mut JointCharacteristic<T>) -> bool {
        (**self).characteristic(block, k, out)
    }
    fn characteristics(&self, block: usize, k: &[T], rows: &mut CharacteristicRows<'_, T>) -> bool {
        (**self).characteristics(block, k, rows)
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
