//! Signs that are correlated with each other: the simplest features that are not independent.
//!
//! Covers signs that agree with one common sign, each with its own probability; two signs of any correlation are the
//! smallest case. Not here: other dependent laws (see [`Discrete`](crate::model::Discrete)).

use nalgebra::{DMatrix, DVector};
use rand::Rng;

use crate::Scalar;
use crate::model::ModelError;
use crate::model::hidden::probabilities::uniform;
use crate::model::hidden::variable::checked_second_moment;
use crate::model::hidden::{Characteristic, HiddenDistribution, HiddenQuadrature, JointCharacteristic};

/// c_l = √s_l ε_l with signs ε_l = ±1 that are correlated through one common sign S: given S, the signs are independent,
/// and ε_l = S with probability (1 + a_l)/2. So E\[ε_k ε_l\] = a_k a_l for k ≠ l, and a_l is called the loading of variable l.
///
/// Two signs of correlation ρ agree with probability (1 + ρ)/2, whatever makes them so: for p = 2 this is every law of
/// two signs of mean zero.
///
/// ```
/// use contrastive_dynamics::model::{CorrelatedSigns, HiddenDistribution};
/// let pair: CorrelatedSigns = CorrelatedSigns::new([1.0, 4.0], -0.4)?;
/// assert!((pair.second_moment()[(0, 1)] + 0.8).abs() < 1e-15); // −0.4·√(1·4)
/// let many: CorrelatedSigns = CorrelatedSigns::new([1.0; 5], 0.25)?;
/// assert!((many.second_moment()[(1, 3)] - 0.25).abs() < 1e-15);
/// # Ok::<(), contrastive_dynamics::model::ModelError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "crate::model::stored::StoredSigns<T>"))]
#[cfg_attr(feature = "serde", serde(bound(deserialize = "T: crate::Scalar + serde::Deserialize<'de>")))]
pub struct CorrelatedSigns<T = f64> {
    second_moments: Vec<T>,
    loadings: Vec<T>,
}

impl<T: Scalar> CorrelatedSigns<T> {
    /// Signs with E\[c_l²\] = `second_moments\[l\]`, each two of them of correlation ρ = `correlation`.
    ///
    /// # Errors
    /// [`ModelError::NoFeatures`] if there are none; [`ModelError::SecondMoment`] unless all second moments are positive
    /// and finite; [`ModelError::SignCorrelation`] unless ρ ≤ 1 and ρ ≥ −1 for two signs, ρ ≥ 0 for more: a common sign
    /// makes no three signs that all disagree ([`with_loadings`](Self::with_loadings) gives each pair a sign of its own).
    pub fn new(second_moments: impl Into<Vec<T>>, correlation: T) -> Result<Self, ModelError> {
        let second_moments = second_moments.into();
        let lowest = if second_moments.len() <= 2 { -T::one() } else { T::zero() };
        if !(correlation >= lowest && correlation <= T::one()) {
            return Err(ModelError::SignCorrelation { value: correlation.as_f64(), lowest: lowest.as_f64() });
        }
        let root = correlation.abs().sqrt();
        let mut loadings = vec![root; second_moments.len()];
        if correlation < T::zero()
            && let Some(last) = loadings.last_mut()
        {
            *last = -root;
        }
        Self::with_loadings(second_moments, loadings)
    }

    /// Signs with E\[c_l²\] = `second_moments\[l\]` and the loadings a_l = `loadings\[l\]`: the correlation of the signs
    /// k ≠ l is a_k a_l.
    ///
    /// # Errors
    /// [`ModelError::NoFeatures`] if there are none; [`ModelError::SecondMoment`] unless all second moments are positive
    /// and finite; [`ModelError::SignCorrelation`] unless all loadings lie in \[−1, 1\]; [`ModelError::PointMasses`] unless
    /// there are as many loadings as second moments.
    pub fn with_loadings(second_moments: impl Into<Vec<T>>, loadings: impl Into<Vec<T>>) -> Result<Self, ModelError> {
        let (second_moments, loadings) = (second_moments.into(), loadings.into());
        if second_moments.is_empty() {
            return Err(ModelError::NoFeatures);
        }
        if second_moments.len() != loadings.len() {
            return Err(ModelError::PointMasses { reason: "need as many loadings as second moments" });
        }
        for &s in &second_moments {
            checked_second_moment(s)?;
        }
        if let Some(bad) = loadings.iter().find(|a| !(**a >= -T::one() && **a <= T::one())) {
            return Err(ModelError::SignCorrelation { value: bad.as_f64(), lowest: -1.0 });
        }
        Ok(Self { second_moments, loadings })
    }

    /// The loadings a_l.
    #[must_use]
    pub fn loadings(&self) -> &[T] {
        &self.loadings
    }

    /// P(ε_l = S).
    fn agreement(&self, l: usize) -> T {
        T::lit(0.5) * (T::one() + self.loadings[l])
    }

    /// The signs of which bit l of `code` is set are +.
    fn probability(&self, code: usize) -> T {
        let given = |common_is_up: bool| {
            (0..self.loadings.len()).fold(T::lit(0.5), |product, l| {
                let agrees = (code >> l & 1 == 1) == common_is_up;
                product * if agrees { self.agreement(l) } else { T::one() - self.agreement(l) }
            })
        };
        given(true) + given(false)
    }
}

impl<T: Scalar> HiddenDistribution<T> for CorrelatedSigns<T> {
    fn dimension(&self) -> usize {
        self.loadings.len()
    }

    fn sample<G: Rng + ?Sized>(&self, rng: &mut G, c: &mut [T]) {
        let common = if rng.next_u32() >> 31 == 0 { T::one() } else { -T::one() };
        for (l, c) in c.iter_mut().enumerate().take(self.loadings.len()) {
            let size = common * self.second_moments[l].sqrt();
            *c = if T::standard_uniform(rng) < self.agreement(l) { size } else { -size };
        }
    }

    fn samples_from_words(&self, words: &[u64], c: &mut [T]) -> bool {
        if words.len() != c.len() {
            return false;
        }
        let count = words.len() / self.loadings.len();
        for l in 0..self.loadings.len() {
            let (size, agreement) = (self.second_moments[l].sqrt(), self.agreement(l).as_f64());
            for k in 0..count {
                // The last bit is none of the uniform's: that of the first variable is the common sign.
                let common = if words[k] & 1 == 0 { size } else { -size };
                let word = words[l * count + k];
                c[l * count + k] = if uniform(word) < agreement { common } else { -common };
            }
        }
        true
    }

    /// All patterns of signs that can occur, up to 2^p.
    fn quadrature(&self, _points: usize) -> HiddenQuadrature<T> {
        let p = self.loadings.len();
        let codes = 0..u32::try_from(p).ok().and_then(|p| 1_usize.checked_shl(p)).unwrap_or(usize::MAX);
        let patterns = codes.map(|code| (code, self.probability(code)));
        let patterns: Vec<(usize, T)> = patterns.filter(|(_, weight)| *weight > T::zero()).collect();
        let nodes = DMatrix::from_fn(p, patterns.len(), |l, k| {
            let size = self.second_moments[l].sqrt();
            if patterns[k].0 >> l & 1 == 1 { size } else { -size }
        });
        let weights = patterns.into_iter().map(|(_, weight)| weight).collect();
        HiddenQuadrature { nodes, weights, gaussian: DMatrix::zeros(p, p) }
    }

    fn quadrature_is_exact(&self) -> bool {
        true
    }

    fn quadrature_size(&self, _points: usize) -> usize {
        // Signs of loading ±1 are all given by one of them.
        let free = self.loadings.iter().filter(|a| a.abs() < T::one()).count();
        let bits = free + usize::from(free < self.loadings.len());
        u32::try_from(bits).ok().and_then(|bits| 1_usize.checked_shl(bits)).unwrap_or(usize::MAX)
    }

    fn gaussian_part(&self) -> DMatrix<T> {
        DMatrix::zeros(self.loadings.len(), self.loadings.len())
    }

    fn transport(&self, u: &[T], c: &mut [T]) -> bool {
        let Some(&first) = u.first() else { return false };
        if u.len() != c.len() || u.len() != self.dimension() {
            return false;
        }
        // The first number makes the common sign, by its half, and the first sign, by its place in that half.
        let up = first < T::lit(0.5);
        let within = first + first - if up { T::zero() } else { T::one() };
        for (l, c) in c.iter_mut().enumerate().take(self.loadings.len().min(u.len())) {
            let u = if l == 0 { within } else { u[l] };
            let size = self.second_moments[l].sqrt();
            *c = if (u < self.agreement(l)) == up { size } else { -size };
        }
        true
    }

    /// One block: given the common sign, the signs are independent.
    fn characteristic(&self, _block: usize, k: &[T], out: &mut JointCharacteristic<T>) -> bool {
        let p = self.loadings.len();
        out.reset(p);
        if k.len() != p {
            return false;
        }
        let (mut whole, mut signs) = (JointCharacteristic::new(), vec![JointCharacteristic::new(); p]);
        for common in [T::one(), -T::one()] {
            for (l, sign) in signs.iter_mut().enumerate() {
                let size = common * self.second_moments[l].sqrt();
                let mut one = Characteristic::zero();
                one.add_point(k[l], size, self.agreement(l));
                one.add_point(k[l], -size, T::one() - self.agreement(l));
                sign.set(&one);
            }
            whole.set_product(&signs);
            out.add(&whole, T::lit(0.5));
        }
        true
    }

    fn mean(&self) -> DVector<T> {
        DVector::zeros(self.loadings.len())
    }

    fn second_moment(&self) -> DMatrix<T> {
        let size = |l: usize| self.loadings[l] * self.second_moments[l].sqrt();
        DMatrix::from_fn(self.loadings.len(), self.loadings.len(), |k, l| {
            if k == l { self.second_moments[l] } else { size(k) * size(l) }
        })
    }

    fn fourth_moments(&self) -> DVector<T> {
        DVector::from_iterator(self.loadings.len(), self.second_moments.iter().map(|&s| s * s))
    }

    fn is_symmetric(&self, l: usize) -> bool {
        let others = self.loadings.iter().enumerate().filter(|(k, _)| *k != l);
        self.loadings.get(l).is_some_and(|a| *a == T::zero()) || others.into_iter().all(|(_, a)| *a == T::zero())
    }

    fn is_jointly_symmetric(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Discrete;

    #[test]
    fn two_signs_are_the_law_of_their_correlation() {
        for rho in [-1.0_f64, -0.4, 0.0, 0.4, 1.0] {
            let law = CorrelatedSigns::new([1.0, 4.0], rho).unwrap();
            let points = DMatrix::from_row_slice(2, 4, &[-1.0, 1.0, -1.0, 1.0, -2.0, -2.0, 2.0, 2.0]);
            let (same, other) = (0.25 * (1.0 + rho), 0.25 * (1.0 - rho));
            let rule = law.quadrature(1);
            assert_eq!(rule.weights.len(), law.quadrature_size(1));
            for (node, weight) in rule.nodes.column_iter().zip(&rule.weights) {
                let k = points.column_iter().position(|c| c == node).unwrap();
                assert!((weight - [same, other, other, same][k]).abs() < 1e-15, "{rho}");
            }
            if rho.abs() < 1.0 {
                let discrete = Discrete::new(points, [same, other, other, same]).unwrap();
                assert!((law.second_moment() - discrete.second_moment()).amax() < 1e-14);
                assert_eq!(law.is_symmetric(0), discrete.is_symmetric(0));
            }
        }
    }

    #[test]
    fn loadings_multiply_to_correlations() {
        let law = CorrelatedSigns::with_loadings([1.0, 2.0, 0.5, 1.0], [0.5, -0.3, 1.0, 0.0]).unwrap();
        let nodes = law.quadrature(1);
        assert!((nodes.second_moment() - law.second_moment()).amax() < 1e-14);
        assert!((nodes.fourth_moments() - law.fourth_moments()).amax() < 1e-14);
        assert_eq!((nodes.weights.len(), law.quadrature_size(1)), (16, 16));
        assert!((law.second_moment()[(0, 1)] + 0.15 * 2.0_f64.sqrt()).abs() < 1e-15);
        assert!(law.is_symmetric(3) && !law.is_symmetric(0) && law.is_jointly_symmetric());
        let alone = CorrelatedSigns::with_loadings([1.0, 1.0], [0.7, 0.0]).unwrap();
        assert!(alone.is_symmetric(0) && alone.is_symmetric(1));
        assert_eq!(CorrelatedSigns::new([1.0; 70], 0.5).unwrap().quadrature_size(1), usize::MAX);
    }

    #[test]
    fn parameters_that_make_no_law_are_rejected() {
        let correlated = |p: usize, rho: f64| CorrelatedSigns::new(vec![1.0; p], rho);
        assert!(matches!(correlated(0, 0.5), Err(ModelError::NoFeatures)));
        for bad in [-1.1, 1.1, f64::NAN] {
            assert!(matches!(correlated(2, bad), Err(ModelError::SignCorrelation { .. })));
            let loadings = CorrelatedSigns::with_loadings([1.0], [bad]);
            assert!(matches!(loadings, Err(ModelError::SignCorrelation { .. })));
        }
        assert!(matches!(correlated(3, -0.1), Err(ModelError::SignCorrelation { lowest: 0.0, .. })));
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(CorrelatedSigns::new([1.0, bad], 0.5), Err(ModelError::SecondMoment { .. })));
        }
        let short = CorrelatedSigns::with_loadings([1.0, 1.0], [0.5]);
        assert!(matches!(short, Err(ModelError::PointMasses { .. })));
    }
}
