//! The law of one hidden variable.
//!
//! Covers the trait [`HiddenVariable`] and [`VariableQuadrature`], its form in averages. Not here: the laws (a file
//! each), and products of them (see [`Independent`](crate::model::Independent)).

use rand::Rng;

use crate::Scalar;
use crate::model::ModelError;
use crate::model::hidden::{Characteristic, CharacteristicRows, MOMENT_POINTS};

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

impl<T: Scalar> VariableQuadrature<T> {
    /// The average of f over the nodes.
    fn average(&self, f: impl Fn(T) -> T) -> T {
        self.nodes.iter().zip(&self.weights).map(|(&c, &w)| w * f(c)).sum()
    }

    /// E\[c\].
    #[must_use]
    pub fn mean(&self) -> T {
        self.average(|c| c)
    }

    /// E\[c²\].
    #[must_use]
    pub fn second_moment(&self) -> T {
        self.average(|c| c * c) + self.gaussian
    }

    /// E\[c⁴\].
    #[must_use]
    pub fn fourth_moment(&self) -> T {
        let s = self.gaussian;
        self.average(|c| c * c * (c * c + T::lit(6.0) * s) + T::lit(3.0) * s * s)
    }
}

/// The law of one hidden variable.
///
/// Independent products of such laws are joint laws: see [`Independent`](crate::model::Independent).
///
/// # A law of your own
/// Two methods are required: a [`sample`](Self::sample) for the simulators and a [`quadrature`](Self::quadrature) for
/// the limit. Everything else follows from the quadrature or claims nothing, and is there to be overridden where more is
/// known. [`check_variable`](crate::model::check_variable) compares all of it. Where `rand_distr` has the distribution,
/// [`Law::from_distribution`](crate::model::Law::from_distribution) needs no implementation, and
/// [`Law::from_variable`](crate::model::Law::from_variable) puts a law of yours among the others.
///
/// ```
/// use contrastive_dynamics::model::{HiddenVariable, VariableQuadrature, check_variable};
/// use contrastive_dynamics::rand::Rng;
///
/// /// Half of the time 0, half of the time a standard normal: two nodes at 0 and a Gaussian part would be another
/// /// law, because the Gaussian part is the same at every node; so the normal is a Gauss rule here.
/// struct Gated;
///
/// impl HiddenVariable for Gated {
///     fn sample<G: Rng + ?Sized>(&self, rng: &mut G) -> f64 {
///         use contrastive_dynamics::Scalar;
///         if rng.next_u32() >> 31 == 0 { 0.0 } else { f64::standard_normal(rng) }
///     }
///     fn quadrature(&self, points: usize) -> VariableQuadrature<f64> {
///         // The trapezoidal rule for the normal, of step 10/(2·points).
///         let (n, step) = (points as i32, 5.0 / points as f64);
///         let normal: Vec<f64> = (-n..=n).map(|k| step * f64::from(k)).collect();
///         let density: Vec<f64> = normal.iter().map(|z| (-0.5 * z * z).exp()).collect();
///         let total: f64 = 2.0 * density.iter().sum::<f64>();
///         let nodes = normal.into_iter().chain([0.0]).collect();
///         let weights = density.into_iter().map(|w| w / total).chain([0.5]).collect();
///         VariableQuadrature { nodes, weights, gaussian: 0.0 }
///     }
/// }
///
/// assert!((Gated.fourth_moment() - 1.5).abs() < 1e-3); // up to what lies beyond five standard deviations
/// assert!(check_variable(&Gated).is_empty());
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a law of one hidden variable in `{T}`",
    label = "not a `HiddenVariable<{T}>`",
    note = "the laws of this crate are made by `Law`, as `Law::two_point(1.0)?`, in the precision of the number given",
    note = "a distribution of `rand_distr` becomes one with its nodes: `Law::from_distribution(distribution, nodes, weights)`",
    note = "a law of your own implements `HiddenVariable`: `sample` and `quadrature`"
)]
pub trait HiddenVariable<T: Scalar = f64>: Send + Sync {
    /// One draw.
    fn sample<G: Rng + ?Sized>(&self, rng: &mut G) -> T
    where
        Self: Sized;

    /// A rule with `points` nodes; discrete laws are exact and ignore it.
    fn quadrature(&self, points: usize) -> VariableQuadrature<T>;

    /// Many draws, each from one uniform random word: `words\[k\]` makes `c\[k\]`.
    ///
    /// Answers false, and may leave anything in `c`, if the law has no such form; draws are then made one by one by
    /// [`sample`](Self::sample). Whether it has must not depend on the length of the slices. The default has none.
    fn samples_from_words(&self, words: &[u64], c: &mut [T]) -> bool {
        let _ = (words, c);
        false
    }

    /// E\[c\]. The default is that of the nodes.
    fn mean(&self) -> T {
        self.quadrature(MOMENT_POINTS).mean()
    }

    /// E\[c²\]. The default is that of the nodes.
    fn second_moment(&self) -> T {
        self.quadrature(MOMENT_POINTS).second_moment()
    }

    /// E\[c⁴\]. The default is that of the nodes.
    fn fourth_moment(&self) -> T {
        self.quadrature(MOMENT_POINTS).fourth_moment()
    }

    /// Whether [`quadrature`](Self::quadrature) is the law itself whatever the number of points. The default claims
    /// nothing: false.
    fn quadrature_is_exact(&self) -> bool {
        false
    }

    /// The quantile function of the part of c that is not Gaussian, at 0 < u < 1; any other map under which uniform u
    /// have that law will do. The default inverts the distribution function of a rule of 64 points.
    fn quantile(&self, u: T) -> T {
        inverted(&self.quadrature(QUANTILE_POINTS), u)
    }

    /// The characteristic function at the wave number `k` with the moments under it, for averages over many variables; see
    /// [`HiddenDistribution::characteristic`](crate::model::HiddenDistribution::characteristic). Whether there is one must
    /// not depend on k. The default gives none.
    fn characteristic(&self, k: T) -> Option<Characteristic<T>> {
        let _ = k;
        None
    }

    /// The same at the wave numbers s, s + k, s + 2k, …; see
    /// [`HiddenDistribution::characteristics`](crate::model::HiddenDistribution::characteristics). The default asks
    /// [`characteristic`](Self::characteristic) at each.
    fn characteristics(&self, k: T, rows: &mut CharacteristicRows<'_, T>) -> bool {
        (0..rows.count()).all(|n| self.characteristic(rows.wave(n, 0, k)).is_some_and(|at| rows.set_one(n, &at)))
    }

    /// Whether the law is invariant under c → −c. The default claims nothing: false.
    fn is_symmetric(&self) -> bool {
        false
    }
}

/// Nodes of the rule whose distribution function the default quantile inverts: finer than what it stands in for, a
/// thousand or more Sobol points in many variables.
const QUANTILE_POINTS: usize = 64;

impl<T: Scalar, V: HiddenVariable<T>> HiddenVariable<T> for &V {
    fn sample<G: Rng + ?Sized>(&self, rng: &mut G) -> T {
        (**self).sample(rng)
    }
    fn samples_from_words(&self, words: &[u64], c: &mut [T]) -> bool {
        (**self).samples_from_words(words, c)
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
    fn characteristic(&self, k: T) -> Option<Characteristic<T>> {
        (**self).characteristic(k)
    }
    fn characteristics(&self, k: T, rows: &mut CharacteristicRows<'_, T>) -> bool {
        (**self).characteristics(k, rows)
    }
    fn is_symmetric(&self) -> bool {
        (**self).is_symmetric()
    }
}

/// The node at which the distribution function of a rule exceeds u.
pub(super) fn inverted<T: Scalar>(rule: &VariableQuadrature<T>, u: T) -> T {
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

/// Checks a second moment: positive and finite.
pub(super) fn checked_second_moment<T: Scalar>(second_moment: T) -> Result<T, ModelError> {
    if !(second_moment > T::zero() && second_moment.is_finite()) {
        return Err(ModelError::SecondMoment { value: second_moment.as_f64() });
    }
    Ok(second_moment)
}
