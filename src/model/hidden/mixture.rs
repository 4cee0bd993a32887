//! A mixture of laws: each draw is from one of several, chosen at random.
//!
//! Covers mixtures of one-dimensional laws and of joint laws, and the rule that their different Gaussian parts need. Not
//! here: sums of independent variables.

use nalgebra::{DMatrix, DVector};
use rand::Rng;

use crate::Scalar;
use crate::model::ModelError;
use crate::model::hidden::probabilities::{draw_index, normalise};
use crate::model::hidden::variable::inverted;
use crate::model::hidden::{
    Characteristic, CharacteristicRows, HiddenDistribution, HiddenQuadrature, HiddenVariable, JointCharacteristic, Law,
    VariableQuadrature,
};
use crate::numerics::normal::{normal_quantile, normal_rule};
use crate::numerics::triangle::factor_covariance;

/// The law that is component k with probability `weight_k`: of one variable if the components are such laws (a
/// [`HiddenVariable`], as [`Law`]), of all variables jointly if the components are joint laws (a [`HiddenDistribution`]).
///
/// In averages the Gaussian part that all components have in common stays one; what a component has beyond it becomes
/// nodes, 2·points + 1 for each Gaussian variable.
///
/// ```
/// use contrastive_dynamics::model::{HiddenVariable, Law, Mixture};
/// // A feature that is silent, or weakly Gaussian, or strongly so.
/// let silent = Law::point_masses([0.0], [1.0])?;
/// let law: Mixture = Mixture::new([(0.5, silent), (0.3, Law::gaussian(1.0)?), (0.2, Law::gaussian(4.0)?)])?;
/// assert!((law.second_moment() - (0.3 + 0.8)).abs() < 1e-15);
/// # Ok::<(), contrastive_dynamics::model::ModelError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "crate::model::stored::StoredMixture<L, T>"))]
#[cfg_attr(
    feature = "serde",
    serde(bound(deserialize = "T: Scalar + serde::Deserialize<'de>, \
                       L: crate::model::stored::Component + serde::Deserialize<'de>"))
)]
pub struct Mixture<L = Law<f64>, T = f64> {
    pub(in crate::model) weights: Vec<T>,
    pub(in crate::model) laws: Vec<L>,
}

impl<T: Scalar, L> Mixture<L, T> {
    /// The mixture of one-dimensional laws, of pairs (weight, law). The weights are normalised after the check.
    ///
    /// # Errors
    /// [`ModelError::Mixture`] unless there is at least one component and the weights are positive and sum to 1 within
    /// 1e-6.
    pub fn new(components: impl IntoIterator<Item = (T, L)>) -> Result<Self, ModelError>
    where
        L: HiddenVariable<T>,
    {
        Self::checked(components)
    }

    /// The mixture of joint laws, of pairs (weight, law). The weights are normalised after the check.
    ///
    /// # Errors
    /// [`ModelError::Mixture`] unless there is at least one component, the weights are positive and sum to 1 within 1e-6,
    /// and all components have as many variables.
    pub fn joint(components: impl IntoIterator<Item = (T, L)>) -> Result<Self, ModelError>
    where
        L: HiddenDistribution<T>,
    {
        let mixture = Self::checked(components)?;
        if mixture.laws.iter().any(|law| law.dimension() != mixture.laws[0].dimension()) {
            return Err(ModelError::Mixture { reason: "all components must have as many variables" });
        }
        Ok(mixture)
    }

    pub(in crate::model) fn checked(components: impl IntoIterator<Item = (T, L)>) -> Result<Self, ModelError> {
        let (mut weights, laws): (Vec<T>, Vec<L>) = components.into_iter().unzip();
        if laws.is_empty() {
            return Err(ModelError::Mixture { reason: "need at least one component" });
        }
        normalise(&mut weights).map_err(|reason| ModelError::Mixture { reason })?;
        Ok(Self { weights, laws })
    }

    /// The components with their weights.
    pub fn components(&self) -> impl Iterator<Item = (T, &L)> {
        self.weights.iter().copied().zip(&self.laws)
    }

    /// The component that a uniform number picks, and the uniform number that is left of it.
    fn picked(&self, u: T) -> (&L, T) {
        let (mut below, last) = (T::zero(), self.laws.len() - 1);
        for (&weight, law) in self.weights[..last].iter().zip(&self.laws) {
            if u < below + weight {
                return (law, inside((u - below) / weight));
            }
            below += weight;
        }
        (&self.laws[last], inside((u - below) / (T::one() - below)))
    }
}

/// A Gaussian variance beyond the common part that is below so many ulp of the component's, for each variable, is zero but for
/// rounding.
const REST_ULPS: f64 = 8.0;

/// A uniform number that rounding may have put at an end, moved off it.
fn inside<T: Scalar>(u: T) -> T {
    u.max(T::EPSILON * T::EPSILON).min(T::one() - T::EPSILON)
}

/// The rule for the sum of a node of `rule` and an independent Gaussian of variance `excess`.
fn widened<T: Scalar>(rule: VariableQuadrature<T>, excess: T, points: usize) -> VariableQuadrature<T> {
    if !(excess > T::zero()) {
        return rule;
    }
    let (z, w) = normal_rule(points);
    let pairs = || rule.nodes.iter().zip(&rule.weights).flat_map(|(&c, &v)| z.iter().zip(&w).map(move |x| (c, v, x)));
    VariableQuadrature {
        nodes: pairs().map(|(c, _, (&z, _))| c + excess.sqrt() * T::lit(z)).collect(),
        weights: pairs().map(|(_, v, (_, &w))| v * T::lit(w)).collect(),
        gaussian: rule.gaussian - excess,
    }
}

/// Points of the rule that stands in for a component of which no better map is known.
const QUANTILE_POINTS: usize = 64;

impl<T: Scalar, L: HiddenVariable<T>> HiddenVariable<T> for Mixture<L, T> {
    fn sample<G: Rng + ?Sized>(&self, rng: &mut G) -> T {
        self.laws[draw_index(&self.weights, rng)].sample(rng)
    }

    fn quadrature(&self, points: usize) -> VariableQuadrature<T> {
        let rules: Vec<_> = self.laws.iter().map(|law| law.quadrature(points)).collect();
        let common = self.common_variance();
        let (mut nodes, mut weights) = (Vec::new(), Vec::new());
        for (&weight, rule) in self.weights.iter().zip(rules) {
            let excess = rule.gaussian - common;
            let rule = widened(rule, excess, points);
            nodes.extend(rule.nodes);
            weights.extend(rule.weights.iter().map(|&w| weight * w));
        }
        VariableQuadrature { nodes, weights, gaussian: common }
    }

    fn mean(&self) -> T {
        self.components().map(|(weight, law)| weight * law.mean()).sum()
    }

    fn second_moment(&self) -> T {
        self.components().map(|(weight, law)| weight * law.second_moment()).sum()
    }

    fn fourth_moment(&self) -> T {
        self.components().map(|(weight, law)| weight * law.fourth_moment()).sum()
    }

    fn quadrature_is_exact(&self) -> bool {
        let common = self.common_variance();
        self.laws.iter().all(|law| law.quadrature_is_exact() && law.quadrature(1).gaussian == common)
    }

    /// u picks the component, and what is left of u the value.
    fn quantile(&self, u: T) -> T {
        let (law, rest) = self.picked(u);
        let narrow = law.quadrature(1);
        let excess = narrow.gaussian - self.common_variance();
        if !(excess > T::zero()) {
            return law.quantile(rest);
        }
        if let [node] = narrow.nodes[..] {
            return node + excess.sqrt() * T::lit(normal_quantile(rest.as_f64()));
        }
        inverted(&widened(law.quadrature(QUANTILE_POINTS), excess, QUANTILE_POINTS), rest)
    }

    fn characteristic(&self, k: T) -> Option<Characteristic<T>> {
        let mut sum = Characteristic::zero();
        for (weight, law) in self.components() {
            sum.add(&law.characteristic(k)?, weight);
        }
        Some(sum)
    }

    fn characteristics(&self, k: T, rows: &mut CharacteristicRows<'_, T>) -> bool {
        rows.set_mixture(self.components(), &mut |law, rows| law.characteristics(k, rows))
    }

    fn is_symmetric(&self) -> bool {
        self.laws.iter().all(HiddenVariable::is_symmetric)
    }
}

impl<T: Scalar, L: HiddenVariable<T>> Mixture<L, T> {
    /// The Gaussian variance that every component has.
    fn common_variance(&self) -> T {
        let variances = self.laws.iter().map(|law| law.quadrature(1).gaussian);
        variances.reduce(nalgebra::RealField::min).unwrap_or(T::zero())
    }
}

/// The Gaussian part of joint laws: what all have in common, and of each law a factor of the rest.
struct GaussianParts<T: Scalar> {
    common: DMatrix<T>,
    /// p x rank each.
    rest: Vec<DMatrix<T>>,
}

impl<T: Scalar> GaussianParts<T> {
    fn new(parts: &[DMatrix<T>], p: usize) -> Self {
        let equal = parts.iter().all(|part| *part == parts[0]);
        let diagonal = parts.iter().all(|part| (0..p).all(|k| (0..p).all(|l| k == l || part[(k, l)] == T::zero())));
        let common = if equal {
            parts[0].clone()
        } else if diagonal {
            DMatrix::from_fn(p, p, |k, l| {
                parts.iter().map(|part| part[(k, l)]).reduce(nalgebra::RealField::min).unwrap_or_default()
            })
        } else {
            DMatrix::zeros(p, p)
        };
        let rest = parts.iter().map(|part| {
            let rest = part - &common;
            // Rounding in a sum of p products of entries of that size, each variable in its own.
            let rounding = T::lit(REST_ULPS) * T::of_usize(p) * T::EPSILON;
            let tolerances: Vec<T> = (0..p).map(|l| rounding * rest.trace().min(part[(l, l)])).collect();
            let (mut covariance, mut v) = (rest.as_slice().to_vec(), vec![T::zero(); p * p]);
            let rank = factor_covariance(&mut covariance, &tolerances, &mut v, p);
            DMatrix::from_fn(p, rank, |l, a| v[l * p + a])
        });
        Self { rest: rest.collect(), common }
    }
}

impl<T: Scalar, L: HiddenDistribution<T>> Mixture<L, T> {
    fn gaussian_parts(&self) -> GaussianParts<T> {
        let parts: Vec<_> = self.laws.iter().map(HiddenDistribution::gaussian_part).collect();
        GaussianParts::new(&parts, self.laws[0].dimension())
    }
}

impl<T: Scalar, L: HiddenDistribution<T>> HiddenDistribution<T> for Mixture<L, T> {
    fn dimension(&self) -> usize {
        self.laws[0].dimension()
    }

    fn sample<G: Rng + ?Sized>(&self, rng: &mut G, c: &mut [T]) {
        self.laws[draw_index(&self.weights, rng)].sample(rng, c);
    }

    fn quadrature(&self, points: usize) -> HiddenQuadrature<T> {
        let p = self.laws[0].dimension();
        let parts = self.gaussian_parts();
        let (z, w) = normal_rule(points);
        let (mut nodes, mut weights) = (Vec::new(), Vec::new());
        for ((weight, law), factor) in self.components().zip(&parts.rest) {
            let rule = law.quadrature(points);
            let wide = (0..factor.ncols()).fold(1, |n: usize, _| n.saturating_mul(z.len()));
            for (c, &v) in rule.nodes.column_iter().zip(&rule.weights) {
                for k in 0..wide {
                    let (mut rest, mut node, mut product) = (k, c.clone_owned(), weight * v);
                    for column in factor.column_iter() {
                        node += column * T::lit(z[rest % z.len()]);
                        product *= T::lit(w[rest % z.len()]);
                        rest /= z.len();
                    }
                    nodes.extend(node.iter().copied());
                    weights.push(product);
                }
            }
        }
        HiddenQuadrature { nodes: DMatrix::from_vec(p, weights.len(), nodes), weights, gaussian: parts.common }
    }

    fn quadrature_is_exact(&self) -> bool {
        let one = self.gaussian_parts().rest.iter().all(|factor| factor.ncols() == 0);
        one && self.laws.iter().all(HiddenDistribution::quadrature_is_exact)
    }

    fn quadrature_size(&self, points: usize) -> usize {
        let line = 2 * points.max(1) + 1;
        let parts = self.gaussian_parts();
        let sizes = self.laws.iter().zip(&parts.rest).map(|(law, factor)| {
            (0..factor.ncols()).fold(law.quadrature_size(points), |size, _| size.saturating_mul(line))
        });
        sizes.fold(0, usize::saturating_add)
    }

    fn gaussian_part(&self) -> DMatrix<T> {
        self.gaussian_parts().common
    }

    /// The first of u picks the component too. Only where all components have the same Gaussian part.
    fn transport(&self, u: &[T], c: &mut [T]) -> bool {
        let Some(&first) = u.first() else { return false };
        if u.len() != c.len() || self.gaussian_parts().rest.iter().any(|factor| factor.ncols() > 0) {
            return false;
        }
        let (law, rest) = self.picked(first);
        let mut u = u.to_vec();
        u[0] = rest;
        law.transport(&u, c)
    }

    /// One block of all variables: the component is common to them.
    fn characteristic(&self, _block: usize, k: &[T], out: &mut JointCharacteristic<T>) -> bool {
        out.reset(k.len());
        let mut whole = JointCharacteristic::new();
        self.components().all(|(weight, law)| {
            let mut blocks = Vec::new();
            let known = law.blocks().into_iter().enumerate().all(|(number, range)| {
                let mut block = JointCharacteristic::new();
                let known = k.get(range).is_some_and(|k| law.characteristic(number, k, &mut block));
                blocks.push(block);
                known
            });
            whole.set_product(&blocks);
            out.add(&whole, weight);
            known
        })
    }

    fn mean(&self) -> DVector<T> {
        let p = self.laws[0].dimension();
        self.components().fold(DVector::zeros(p), |sum, (weight, law)| sum + law.mean() * weight)
    }

    fn second_moment(&self) -> DMatrix<T> {
        let p = self.laws[0].dimension();
        self.components().fold(DMatrix::zeros(p, p), |sum, (weight, law)| sum + law.second_moment() * weight)
    }

    fn fourth_moments(&self) -> DVector<T> {
        let p = self.laws[0].dimension();
        self.components().fold(DVector::zeros(p), |sum, (weight, law)| sum + law.fourth_moments() * weight)
    }

    fn is_symmetric(&self, l: usize) -> bool {
        self.laws.iter().all(|law| law.is_symmetric(l))
    }

    fn is_jointly_symmetric(&self) -> bool {
        self.laws.iter().all(HiddenDistribution::is_jointly_symmetric)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CorrelatedSigns, Independent};

    #[test]
    fn moments_of_the_nodes_are_the_weighted_moments() {
        let components = [
            (0.5_f64, Law::two_point(1.0)),
            (0.2, Law::gaussian(2.0)),
            (0.2, Law::gaussian(0.5)),
            (0.1, Law::laplace(1.0)),
        ];
        let law = Mixture::new(components.map(|(w, law)| (w, law.unwrap()))).unwrap();
        let rule = HiddenVariable::quadrature(&law, 40);
        assert!((law.second_moment() - 1.1).abs() < 1e-14 && (law.fourth_moment() - 3.65).abs() < 1e-14);
        assert!((rule.weights.iter().sum::<f64>() - 1.0).abs() < 1e-14 && rule.gaussian == 0.0);
        assert!((rule.second_moment() - 1.1).abs() < 1e-10 && (rule.fourth_moment() - 3.65).abs() < 1e-9);
        assert!(law.is_symmetric() && !law.quadrature_is_exact());
    }

    #[test]
    fn a_common_gaussian_part_stays_one() {
        let law = Mixture::new([(0.3_f64, Law::gaussian(1.0).unwrap()), (0.7, Law::gaussian(3.0).unwrap())]).unwrap();
        let rule = HiddenVariable::quadrature(&law, 20);
        assert_eq!((rule.gaussian, rule.nodes.len()), (1.0, 1 + 41));
        assert!((rule.second_moment() - 2.4).abs() < 1e-12);
        let same = Mixture::new([(0.3, Law::gaussian(1.0).unwrap()), (0.7, Law::gaussian(1.0).unwrap())]).unwrap();
        assert!(same.quadrature_is_exact() && HiddenVariable::quadrature(&same, 20).nodes == [0.0, 0.0]);
    }

    /// Two states of the world: in one the features are signs that agree, in the other Gaussian and independent.
    fn two_states() -> Mixture<Independent<Law>> {
        let quiet = Independent::new([Law::gaussian(0.5).unwrap(), Law::gaussian(1.0).unwrap()]).unwrap();
        let loud = Independent::new([Law::skewed(2.0, 0.3).unwrap(), Law::gaussian(3.0).unwrap()]).unwrap();
        Mixture::joint([(0.4, quiet), (0.6, loud)]).unwrap()
    }

    #[test]
    fn joint_mixtures_have_the_weighted_moments() {
        let law = two_states();
        let rule = HiddenDistribution::quadrature(&law, 12);
        assert_eq!(rule.weights.len(), law.quadrature_size(12));
        assert_eq!(rule.gaussian, DMatrix::from_diagonal(&DVector::from_vec(vec![0.0, 1.0])));
        let want = DMatrix::from_row_slice(2, 2, &[1.4, 0.0, 0.0, 2.2]);
        assert!((HiddenDistribution::second_moment(&law) - &want).amax() < 1e-14);
        assert!((rule.second_moment() - &want).amax() < 1e-10, "{rule:?}");
        assert!((rule.fourth_moments() - law.fourth_moments()).amax() < 1e-8);
        assert!(!law.is_jointly_symmetric() && HiddenDistribution::<f64>::is_symmetric(&law, 1));
        assert!(!law.transport(&[0.5, 0.5], &mut [0.0; 2]));
    }

    #[test]
    fn mixtures_of_signs_are_exact_and_have_a_map_from_uniform_variables() {
        let signs = |rho| CorrelatedSigns::new([1.0, 1.0], rho).unwrap();
        let law = Mixture::joint([(0.25, signs(0.8)), (0.75, signs(-0.4))]).unwrap();
        assert!(HiddenDistribution::<f64>::quadrature_is_exact(&law) && law.is_jointly_symmetric());
        assert!((law.second_moment()[(0, 1)] + 0.1).abs() < 1e-15);
        let (count, mut c, mut product) = (1000, [0.0; 2], 0.0);
        for n in 0..count {
            let u = [(f64::from(n) + 0.5) / f64::from(count), (f64::from(n * 619 % count) + 0.5) / f64::from(count)];
            assert!(law.transport(&u, &mut c));
            product += c[0] * c[1] / f64::from(count);
        }
        assert!((product + 0.1).abs() < 0.02, "{product}");
    }

    #[test]
    fn quantiles_carry_the_uniform_law_to_the_mixture() {
        let law = Mixture::new([(0.3, Law::two_point(4.0).unwrap()), (0.7, Law::gaussian(1.0).unwrap())]).unwrap();
        let nested = Mixture::new([(0.5, Law::from(law.clone())), (0.5, Law::gaussian(0.2).unwrap())]).unwrap();
        for law in [law, nested] {
            let count = 4000;
            let u = |n: i32| (f64::from(n) + 0.5) / f64::from(count);
            let second: f64 = (0..count).map(|n| law.quantile(u(n)).powi(2)).sum::<f64>() / f64::from(count);
            assert!((second - law.second_moment()).abs() < 5e-3, "{second} {}", law.second_moment());
        }
    }

    #[test]
    fn parameters_that_make_no_mixture_are_rejected() {
        let law = || Law::two_point(1.0).unwrap();
        let none: [(f64, Law); 0] = [];
        assert!(matches!(Mixture::new(none), Err(ModelError::Mixture { .. })));
        for bad in [0.0, -0.5, 0.4, f64::NAN, f64::INFINITY] {
            assert!(matches!(Mixture::new([(0.5, law()), (bad, law())]), Err(ModelError::Mixture { .. })));
        }
        let signs = |p: usize| CorrelatedSigns::new(vec![1.0; p], 0.5).unwrap();
        assert!(matches!(Mixture::joint([(0.5, signs(2)), (0.5, signs(3))]), Err(ModelError::Mixture { .. })));
    }
}
