//! Any law of one hidden variable, chosen at run time.
//!
//! Covers the enum [`Law`] and the constructors of each kind, by the second moment, so that laws of equal second and
//! different fourth moments are one argument apart. Not here: the laws themselves (a file each).

use rand::Rng;
use rand_distr::Distribution;

use crate::Scalar;
use crate::model::ModelError;
use crate::model::hidden::{
    Characteristic, CharacteristicRows, FromDistribution, Gaussian, HiddenVariable, Laplace, Mixture, PointMasses,
    SharedVariable, ThreePoint, TwoPoint, Uniform, VariableQuadrature,
};

/// Any of the laws of one hidden variable, for products of different laws and laws chosen at run time.
///
/// ```
/// use contrastive_dynamics::model::{HiddenDistribution, Independent, Law};
/// let laws = [Law::two_point(2.25)?, Law::mixture([(0.9, Law::point_masses([0.0], [1.0])?), (0.1, Law::laplace(22.5)?)])?];
/// let second: f64 = Independent::new(laws)?.second_moment()[(1, 1)];
/// assert!((second - 2.25).abs() < 1e-12);
/// # Ok::<(), contrastive_dynamics::model::ModelError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(bound(serialize = "T: serde::Serialize", deserialize = "T: crate::Scalar + serde::Deserialize<'de>"))
)]
#[non_exhaustive]
pub enum Law<T = f64> {
    /// See [`TwoPoint`].
    TwoPoint(TwoPoint<T>),
    /// See [`ThreePoint`].
    ThreePoint(ThreePoint<T>),
    /// See [`Gaussian`].
    Gaussian(Gaussian<T>),
    /// See [`Uniform`].
    Uniform(Uniform<T>),
    /// See [`Laplace`].
    Laplace(Laplace<T>),
    /// See [`PointMasses`].
    PointMasses(PointMasses<T>),
    /// See [`Mixture`].
    Mixture(Mixture<Law<T>, T>),
    /// A law that is none of these; see [`SharedVariable`].
    #[cfg_attr(feature = "serde", serde(skip))]
    Shared(SharedVariable<T>),
}

macro_rules! law_variants {
    ($($name:ident($law:ty)),*) => {
        $(impl<T> From<$law> for Law<T> {
            fn from(law: $law) -> Self {
                Self::$name(law)
            }
        })*

        impl<T: Scalar> HiddenVariable<T> for Law<T> {
            #[inline]
            fn sample<G: Rng + ?Sized>(&self, rng: &mut G) -> T {
                match self { $(Self::$name(law) => law.sample(rng)),* }
            }
            fn quadrature(&self, points: usize) -> VariableQuadrature<T> {
                match self { $(Self::$name(law) => HiddenVariable::quadrature(law, points)),* }
            }
            #[inline]
            fn samples_from_words(&self, words: &[u64], c: &mut [T]) -> bool {
                match self { $(Self::$name(law) => HiddenVariable::samples_from_words(law, words, c)),* }
            }
            fn mean(&self) -> T {
                match self { $(Self::$name(law) => HiddenVariable::mean(law)),* }
            }
            fn second_moment(&self) -> T {
                match self { $(Self::$name(law) => HiddenVariable::second_moment(law)),* }
            }
            fn fourth_moment(&self) -> T {
                match self { $(Self::$name(law) => law.fourth_moment()),* }
            }
            fn quadrature_is_exact(&self) -> bool {
                match self { $(Self::$name(law) => HiddenVariable::quadrature_is_exact(law)),* }
            }
            fn quantile(&self, u: T) -> T {
                match self { $(Self::$name(law) => law.quantile(u)),* }
            }
            fn characteristic(&self, k: T) -> Option<Characteristic<T>> {
                match self { $(Self::$name(law) => HiddenVariable::characteristic(law, k)),* }
            }
            fn characteristics(&self, k: T, rows: &mut CharacteristicRows<'_, T>) -> bool {
                match self { $(Self::$name(law) => HiddenVariable::characteristics(law, k, rows)),* }
            }
            fn is_symmetric(&self) -> bool {
                match self { $(Self::$name(law) => HiddenVariable::is_symmetric(law)),* }
            }
        }
    };
}
law_variants!(
    TwoPoint(TwoPoint<T>),
    ThreePoint(ThreePoint<T>),
    Gaussian(Gaussian<T>),
    Uniform(Uniform<T>),
    Laplace(Laplace<T>),
    PointMasses(PointMasses<T>),
    Mixture(Mixture<Law<T>, T>),
    Shared(SharedVariable<T>)
);

/// Constructors of each kind, from the second moment where that fixes the law.
impl<T: Scalar> Law<T> {
    /// See [`TwoPoint::with_second_moment`].
    ///
    /// # Errors
    /// As there.
    #[doc(alias = "rademacher")]
    #[doc(alias = "sign")]
    pub fn two_point(second_moment: T) -> Result<Self, ModelError> {
        TwoPoint::with_second_moment(second_moment).map(Into::into)
    }

    /// See [`ThreePoint::with_second_moment`].
    ///
    /// # Errors
    /// As there.
    #[doc(alias = "sparse")]
    #[doc(alias = "bernoulli")]
    pub fn three_point(second_moment: T, activity: T) -> Result<Self, ModelError> {
        ThreePoint::with_second_moment(second_moment, activity).map(Into::into)
    }

    /// See [`Gaussian::with_second_moment`].
    ///
    /// # Errors
    /// As there.
    pub fn gaussian(second_moment: T) -> Result<Self, ModelError> {
        Gaussian::with_second_moment(second_moment).map(Into::into)
    }

    /// See [`Uniform::with_second_moment`].
    ///
    /// # Errors
    /// As there.
    pub fn uniform(second_moment: T) -> Result<Self, ModelError> {
        Uniform::with_second_moment(second_moment).map(Into::into)
    }

    /// See [`Laplace::with_second_moment`].
    ///
    /// # Errors
    /// As there.
    pub fn laplace(second_moment: T) -> Result<Self, ModelError> {
        Laplace::with_second_moment(second_moment).map(Into::into)
    }

    /// See [`PointMasses::skewed`].
    ///
    /// # Errors
    /// As there.
    pub fn skewed(second_moment: T, positive: T) -> Result<Self, ModelError> {
        PointMasses::skewed(second_moment, positive).map(Into::into)
    }

    /// See [`PointMasses::new`].
    ///
    /// # Errors
    /// As there.
    #[doc(alias = "discrete")]
    pub fn point_masses(values: impl Into<Vec<T>>, probabilities: impl Into<Vec<T>>) -> Result<Self, ModelError> {
        PointMasses::new(values, probabilities).map(Into::into)
    }

    /// See [`Mixture::new`].
    ///
    /// # Errors
    /// As there.
    pub fn mixture(components: impl IntoIterator<Item = (T, Self)>) -> Result<Self, ModelError> {
        Mixture::new(components).map(Into::into)
    }

    /// The law of a distribution of `rand_distr` with the nodes and weights that stand for it in averages; see
    /// [`FromDistribution`], and [`check_variable`](crate::model::check_variable) for how well they do. Without a quadrature rule at hand take
    /// n quantiles in the middle of n equal parts, each of weight 1/n; then the limit is that of a law whose moments are off by their error.
    ///
    /// # Errors
    /// [`ModelError::Nodes`] unless there are as many weights as nodes and at least one, all nodes are finite, and the
    /// weights are positive and sum to 1 within 1e-6.
    #[doc(alias = "rand_distr")]
    pub fn from_distribution(
        distribution: impl Distribution<T> + Send + Sync + 'static,
        nodes: impl Into<Vec<T>>,
        weights: impl Into<Vec<T>>,
    ) -> Result<Self, ModelError> {
        FromDistribution::new(distribution, nodes, weights).map(Self::from_variable)
    }

    /// Any law of yours among the others; see [`SharedVariable`].
    pub fn from_variable(law: impl HiddenVariable<T> + 'static) -> Self {
        Self::Shared(SharedVariable::new(law))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn laws() -> Vec<Law> {
        vec![
            Law::two_point(2.25).unwrap(),
            Law::three_point(2.25, 0.3).unwrap(),
            Law::gaussian(2.25).unwrap(),
            Law::uniform(2.25).unwrap(),
            Law::laplace(2.25).unwrap(),
            Law::skewed(2.25, 0.2).unwrap(),
            Law::mixture([(0.5, Law::gaussian(1.0).unwrap()), (0.5, Law::laplace(3.5).unwrap())]).unwrap(),
            Law::from_distribution(rand_distr::StandardNormal, [1.0, -1.0], [0.5, 0.5]).unwrap(),
        ]
    }

    #[test]
    fn quadrature_reproduces_mean_second_and_fourth_moment() {
        for law in laws() {
            let rule = law.quadrature(80);
            let average =
                |f: &dyn Fn(f64) -> f64| -> f64 { rule.nodes.iter().zip(&rule.weights).map(|(&c, &w)| w * f(c)).sum() };
            let s = rule.gaussian;
            assert!((average(&|_| 1.0) - 1.0).abs() < 1e-14);
            assert!((average(&|c| c) - law.mean()).abs() < 1e-13);
            assert!((average(&|c| c * c) + s - law.second_moment()).abs() < 1e-12, "{law:?}");
            let fourth = average(&|c| c.powi(4) + 6.0 * c * c * s + 3.0 * s * s);
            assert!((fourth - law.fourth_moment()).abs() < 1e-10 * law.fourth_moment(), "{law:?} {fourth}");
        }
    }

    #[test]
    fn symmetry_is_recognised() {
        let symmetric: Vec<bool> = laws().iter().map(HiddenVariable::is_symmetric).collect();
        assert_eq!(symmetric, [true, true, true, true, true, false, true, true]);
    }

    #[test]
    fn parameters_that_make_no_law_are_rejected() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(Law::two_point(bad), Err(ModelError::SecondMoment { .. })));
            assert!(matches!(Law::gaussian(bad), Err(ModelError::SecondMoment { .. })));
            assert!(matches!(Law::uniform(bad), Err(ModelError::SecondMoment { .. })));
            assert!(matches!(Law::laplace(bad), Err(ModelError::SecondMoment { .. })));
            assert!(matches!(Law::skewed(bad, 0.5), Err(ModelError::SecondMoment { .. })));
            assert!(matches!(Law::three_point(1.0, bad), Err(ModelError::Activity { .. })));
            assert!(matches!(Law::skewed(1.0, bad), Err(ModelError::Activity { .. })));
            assert!(matches!(Law::point_masses([0.0], [bad]), Err(ModelError::PointMasses { .. })));
            assert!(matches!(Law::mixture([(bad, Law::two_point(1.0).unwrap())]), Err(ModelError::Mixture { .. })));
            let nodes = Law::from_distribution(rand_distr::StandardNormal, [0.0], [bad]);
            assert!(matches!(nodes, Err(ModelError::Nodes { .. })));
        }
    }
}
