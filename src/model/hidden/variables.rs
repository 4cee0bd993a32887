//! One-dimensional laws of hidden variables, each fixed by its second moment, so that laws with equal second and
//! different fourth moments are one argument apart.
//!
//! Covers two-point, three-point, Gaussian, uniform, Laplace and arbitrary discrete laws, and the enum [`Law`] of them. Not
//! here: laws of several variables (see `joint`).

use std::num::NonZeroUsize;

use gauss_quad::legendre::GaussLegendre;
use rand::Rng;

use crate::Scalar;
use crate::model::ModelError;
use crate::model::hidden::{HiddenVariable, VariableQuadrature};

/// Checks a second moment: positive and finite.
fn checked_second_moment<T: Scalar>(second_moment: T) -> Result<T, ModelError> {
    if !(second_moment > T::zero() && second_moment.is_finite()) {
        return Err(ModelError::SecondMoment { value: second_moment.as_f64() });
    }
    Ok(second_moment)
}

/// The symmetric two-point (scaled Rademacher) law: c = ±√s with probability ½ each; kurtosis 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TwoPoint<T = f64> {
    second_moment: T,
}

impl<T: Scalar> TwoPoint<T> {
    /// The law with E\[c²\] = `second_moment`.
    ///
    /// # Errors
    /// [`ModelError::SecondMoment`] unless it is positive and finite.
    pub fn with_second_moment(second_moment: T) -> Result<Self, ModelError> {
        Ok(Self { second_moment: checked_second_moment(second_moment)? })
    }
}

impl<T: Scalar> HiddenVariable<T> for TwoPoint<T> {
    #[inline]
    fn sample<G: Rng + ?Sized>(&self, rng: &mut G) -> T {
        let root = self.second_moment.sqrt();
        if rng.next_u32() >> 31 == 0 { root } else { -root }
    }
    #[inline]
    fn sample_words(&self, words: &[u64], c: &mut [T]) -> bool {
        let root = self.second_moment.sqrt();
        for (c, word) in c.iter_mut().zip(words) {
            *c = if word >> 63 == 0 { root } else { -root };
        }
        true
    }
    fn mean(&self) -> T {
        T::zero()
    }
    fn second_moment(&self) -> T {
        self.second_moment
    }
    fn fourth_moment(&self) -> T {
        self.second_moment * self.second_moment
    }
    fn quadrature(&self, _points: usize) -> VariableQuadrature<T> {
        let root = self.second_moment.sqrt();
        let half = T::lit(0.5);
        VariableQuadrature { nodes: vec![root, -root], weights: vec![half, half], gaussian: T::zero() }
    }
    fn quadrature_is_exact(&self) -> bool {
        true
    }
    fn is_symmetric(&self) -> bool {
        true
    }
}

/// The symmetric three-point (sparse) law: c = 0 with probability 1 − q, ±√(s/q) with probability q/2 each;
/// kurtosis 1/q.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ThreePoint<T = f64> {
    second_moment: T,
    activity: T,
}

impl<T: Scalar> ThreePoint<T> {
    /// The law with E\[c²\] = `second_moment` and P(c ≠ 0) = `activity` (the q of the formulas).
    ///
    /// # Errors
    /// [`ModelError::SecondMoment`] unless the second moment is positive and finite,
    /// [`ModelError::Activity`] unless 0 < q ≤ 1.
    pub fn with_second_moment(second_moment: T, activity: T) -> Result<Self, ModelError> {
        if !(activity > T::zero() && activity <= T::one()) {
            return Err(ModelError::Activity { value: activity.as_f64() });
        }
        Ok(Self { second_moment: checked_second_moment(second_moment)?, activity })
    }

    /// P(c ≠ 0).
    #[must_use]
    pub fn activity(&self) -> T {
        self.activity
    }
}

impl<T: Scalar> HiddenVariable<T> for ThreePoint<T> {
    #[inline]
    fn sample<G: Rng + ?Sized>(&self, rng: &mut G) -> T {
        let u = T::standard_uniform(rng);
        if u >= self.activity {
            return T::zero();
        }
        let root = (self.second_moment / self.activity).sqrt();
        if u < T::lit(0.5) * self.activity { root } else { -root }
    }
    #[inline]
    fn sample_words(&self, words: &[u64], c: &mut [T]) -> bool {
        let root = (self.second_moment / self.activity).sqrt();
        let (zero, all, half) = (T::zero(), self.activity.as_f64(), 0.5 * self.activity.as_f64());
        for (c, &word) in c.iter_mut().zip(words) {
            let u = uniform(word);
            let sign = if u < half { root } else { -root };
            *c = if u < all { sign } else { zero };
        }
        true
    }
    fn mean(&self) -> T {
        T::zero()
    }
    fn second_moment(&self) -> T {
        self.second_moment
    }
    fn fourth_moment(&self) -> T {
        self.second_moment * self.second_moment / self.activity
    }
    fn quadrature(&self, _points: usize) -> VariableQuadrature<T> {
        let root = (self.second_moment / self.activity).sqrt();
        let half = T::lit(0.5) * self.activity;
        if self.activity == T::one() {
            return VariableQuadrature { nodes: vec![root, -root], weights: vec![half, half], gaussian: T::zero() };
        }
        VariableQuadrature {
            nodes: vec![root, T::zero(), -root],
            weights: vec![half, T::one() - self.activity, half],
            gaussian: T::zero(),
        }
    }
    fn quadrature_is_exact(&self) -> bool {
        true
    }
    fn is_symmetric(&self) -> bool {
        true
    }
}

/// The centred Gaussian law; kurtosis 3.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gaussian<T = f64> {
    second_moment: T,
}

impl<T: Scalar> Gaussian<T> {
    /// The law with E\[c²\] = `second_moment`.
    ///
    /// # Errors
    /// [`ModelError::SecondMoment`] unless it is positive and finite.
    pub fn with_second_moment(second_moment: T) -> Result<Self, ModelError> {
        Ok(Self { second_moment: checked_second_moment(second_moment)? })
    }
}

impl<T: Scalar> HiddenVariable<T> for Gaussian<T> {
    #[inline]
    fn sample<G: Rng + ?Sized>(&self, rng: &mut G) -> T {
        self.second_moment.sqrt() * T::standard_normal(rng)
    }
    fn mean(&self) -> T {
        T::zero()
    }
    fn second_moment(&self) -> T {
        self.second_moment
    }
    fn fourth_moment(&self) -> T {
        T::lit(3.0) * self.second_moment * self.second_moment
    }
    fn quadrature(&self, _points: usize) -> VariableQuadrature<T> {
        VariableQuadrature { nodes: vec![T::zero()], weights: vec![T::one()], gaussian: self.second_moment }
    }
    fn quadrature_is_exact(&self) -> bool {
        true
    }
    fn is_symmetric(&self) -> bool {
        true
    }
}

/// The centred uniform law on [−√(3s), √(3s)]; kurtosis 9/5.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Uniform<T = f64> {
    second_moment: T,
}

impl<T: Scalar> Uniform<T> {
    /// The law with E\[c²\] = `second_moment`.
    ///
    /// # Errors
    /// [`ModelError::SecondMoment`] unless it is positive and finite.
    pub fn with_second_moment(second_moment: T) -> Result<Self, ModelError> {
        Ok(Self { second_moment: checked_second_moment(second_moment)? })
    }
}

impl<T: Scalar> HiddenVariable<T> for Uniform<T> {
    #[inline]
    fn sample<G: Rng + ?Sized>(&self, rng: &mut G) -> T {
        let edge = (T::lit(3.0) * self.second_moment).sqrt();
        edge * (T::lit(2.0) * T::standard_uniform(rng) - T::one())
    }
    #[inline]
    fn sample_words(&self, words: &[u64], c: &mut [T]) -> bool {
        let edge = (T::lit(3.0) * self.second_moment).sqrt();
        for (c, &word) in c.iter_mut().zip(words) {
            *c = edge * T::lit(2.0 * uniform(word) - 1.0);
        }
        true
    }
    fn mean(&self) -> T {
        T::zero()
    }
    fn second_moment(&self) -> T {
        self.second_moment
    }
    fn fourth_moment(&self) -> T {
        T::lit(1.8) * self.second_moment * self.second_moment
    }
    fn quantile(&self, u: T) -> T {
        (T::lit(3.0) * self.second_moment).sqrt() * (u + u - T::one())
    }
    /// Gauss-Legendre: exact for polynomials of degree 2n − 1.
    fn quadrature(&self, points: usize) -> VariableQuadrature<T> {
        let edge = (T::lit(3.0) * self.second_moment).sqrt();
        let (nodes, weights) = legendre(points);
        VariableQuadrature {
            nodes: nodes.iter().map(|&x| edge * T::lit(x)).collect(),
            weights: weights.iter().map(|&w| T::lit(0.5 * w)).collect(),
            gaussian: T::zero(),
        }
    }
    fn quadrature_is_exact(&self) -> bool {
        false
    }
    fn is_symmetric(&self) -> bool {
        true
    }
}

/// Gauss-Legendre nodes and weights on [−1, 1].
pub(crate) fn legendre(points: usize) -> (Vec<f64>, Vec<f64>) {
    let rule = GaussLegendre::new(NonZeroUsize::new(points).unwrap_or(NonZeroUsize::MIN));
    rule.iter().map(|&(x, w)| (x, w)).unzip()
}

/// The centred Laplace law with density exp(−|c|/b)/(2b), 2b² = s; kurtosis 6.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Laplace<T = f64> {
    second_moment: T,
}

impl<T: Scalar> Laplace<T> {
    /// The law with E\[c²\] = `second_moment`.
    ///
    /// # Errors
    /// [`ModelError::SecondMoment`] unless it is positive and finite.
    pub fn with_second_moment(second_moment: T) -> Result<Self, ModelError> {
        Ok(Self { second_moment: checked_second_moment(second_moment)? })
    }

    fn scale(&self) -> T {
        (T::lit(0.5) * self.second_moment).sqrt()
    }
}

impl<T: Scalar> HiddenVariable<T> for Laplace<T> {
    #[inline]
    fn sample<G: Rng + ?Sized>(&self, rng: &mut G) -> T {
        let magnitude = self.scale() * T::standard_exponential(rng);
        if rng.next_u32() >> 31 == 0 { magnitude } else { -magnitude }
    }
    #[inline]
    fn sample_words(&self, words: &[u64], c: &mut [T]) -> bool {
        // The last bit is none of the uniform's.
        for (c, &word) in c.iter_mut().zip(words) {
            let magnitude = -self.scale() * T::lit(uniform(word).ln());
            *c = if word & 1 == 0 { magnitude } else { -magnitude };
        }
        true
    }
    fn mean(&self) -> T {
        T::zero()
    }
    fn second_moment(&self) -> T {
        self.second_moment
    }
    fn fourth_moment(&self) -> T {
        T::lit(6.0) * self.second_moment * self.second_moment
    }
    fn quantile(&self, u: T) -> T {
        let tail = u.min(T::one() - u);
        let magnitude = -self.scale() * (tail + tail).ln();
        if u < T::lit(0.5) { -magnitude } else { magnitude }
    }
    /// The double-exponential trapezoidal rule c = ±b·exp(t − exp(−t)): it resolves the kink of the density at zero
    /// and its tail alike, and converges geometrically for analytic integrands.
    fn quadrature(&self, points: usize) -> VariableQuadrature<T> {
        // Two scales to resolve, kink and tail: four nodes where a smooth law needs one.
        let half = 2 * points.max(1);
        // Below the start the transformed density is under 1e-17. The end is where x = 73: averages of polynomials need
        // the tail too, and beyond it x¹⁴ exp(−x) has less than 1e-16 of its integral 14!.
        let (start, end) = (-3.9_f64, 4.3_f64);
        let step = (end - start) / (half - 1) as f64;
        let mut nodes = Vec::with_capacity(2 * half);
        let mut weights = Vec::with_capacity(2 * half);
        for k in 0..half {
            let t = start + step * k as f64;
            let x = (t - (-t).exp()).exp();
            let density = (-x).exp() * x * (1.0 + (-t).exp());
            for sign in [1.0, -1.0] {
                nodes.push(self.scale() * T::lit(sign * x));
                weights.push(density);
            }
        }
        let total: f64 = weights.iter().sum();
        let weights = weights.iter().map(|w| T::lit(w / total)).collect();
        VariableQuadrature { nodes, weights, gaussian: T::zero() }
    }
    fn quadrature_is_exact(&self) -> bool {
        false
    }
    fn is_symmetric(&self) -> bool {
        true
    }
}

/// Any law on finitely many points: P(c = values\[k\]) = probabilities\[k\].
#[derive(Debug, Clone, PartialEq)]
pub struct PointMasses<T = f64> {
    values: Vec<T>,
    probabilities: Vec<T>,
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
        normalise(&mut probabilities)?;
        Ok(Self { values, probabilities })
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

/// Checks that probabilities are positive and sum to 1 within 1e-6, and makes the sum exact.
pub(super) fn normalise<T: Scalar>(probabilities: &mut [T]) -> Result<(), ModelError> {
    if !probabilities.iter().all(|w| *w > T::zero() && w.is_finite()) {
        return Err(ModelError::PointMasses { reason: "probabilities must be positive and finite" });
    }
    let total: f64 = probabilities.iter().map(|w| w.as_f64()).sum();
    let rounding = T::EPSILON.as_f64() * probabilities.len() as f64;
    if !((total - 1.0).abs() < rounding.max(1e-6)) {
        return Err(ModelError::PointMasses { reason: "probabilities must sum to 1" });
    }
    for w in probabilities {
        *w /= T::lit(total);
    }
    Ok(())
}

/// The index drawn from a discrete law, by inversion.
pub(super) fn draw_index<T: Scalar, G: Rng + ?Sized>(probabilities: &[T], rng: &mut G) -> usize {
    index_at(probabilities, T::standard_uniform(rng).as_f64())
}

/// The index at which the distribution function of a discrete law exceeds u.
pub(super) fn index_at<T: Scalar>(probabilities: &[T], mut u: f64) -> usize {
    for (k, &w) in probabilities.iter().enumerate() {
        if u < w.as_f64() {
            return k;
        }
        u -= w.as_f64();
    }
    probabilities.len() - 1
}

/// The upper 52 bits of a word as an odd multiple of 2⁻⁵³: uniform in (0, 1), never an end.
#[inline]
pub(super) fn uniform(word: u64) -> f64 {
    f64::from_bits((word >> 12) | (1023 << 52)) - (1.0 - f64::EPSILON / 2.0)
}

impl<T: Scalar> HiddenVariable<T> for PointMasses<T> {
    #[inline]
    fn sample<G: Rng + ?Sized>(&self, rng: &mut G) -> T {
        self.values[draw_index(&self.probabilities, rng)]
    }
    #[inline]
    fn sample_words(&self, words: &[u64], c: &mut [T]) -> bool {
        for (c, &word) in c.iter_mut().zip(words) {
            *c = self.values[index_at(&self.probabilities, uniform(word))];
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
    fn is_symmetric(&self) -> bool {
        let mass = |u: T| -> T {
            self.values.iter().zip(&self.probabilities).filter(|(x, _)| **x == u).map(|(_, &p)| p).sum()
        };
        self.values.iter().all(|&v| (mass(v) - mass(-v)).abs() <= T::lit(4.0) * T::EPSILON)
    }
}

/// Any of the one-dimensional laws of this module, for products of different laws and laws chosen at run time.
#[derive(Debug, Clone, PartialEq)]
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
}

macro_rules! law_variants {
    ($($name:ident),*) => {
        $(impl<T> From<$name<T>> for Law<T> {
            fn from(law: $name<T>) -> Self {
                Self::$name(law)
            }
        })*

        impl<T: Scalar> HiddenVariable<T> for Law<T> {
            #[inline]
            fn sample<G: Rng + ?Sized>(&self, rng: &mut G) -> T {
                match self { $(Self::$name(law) => law.sample(rng)),* }
            }
            #[inline]
            fn sample_words(&self, words: &[u64], c: &mut [T]) -> bool {
                match self { $(Self::$name(law) => law.sample_words(words, c)),* }
            }
            fn mean(&self) -> T {
                match self { $(Self::$name(law) => law.mean()),* }
            }
            fn second_moment(&self) -> T {
                match self { $(Self::$name(law) => HiddenVariable::second_moment(law)),* }
            }
            fn fourth_moment(&self) -> T {
                match self { $(Self::$name(law) => law.fourth_moment()),* }
            }
            fn quadrature(&self, points: usize) -> VariableQuadrature<T> {
                match self { $(Self::$name(law) => law.quadrature(points)),* }
            }
            fn quadrature_is_exact(&self) -> bool {
                match self { $(Self::$name(law) => law.quadrature_is_exact()),* }
            }
            fn quantile(&self, u: T) -> T {
                match self { $(Self::$name(law) => law.quantile(u)),* }
            }
            fn is_symmetric(&self) -> bool {
                match self { $(Self::$name(law) => law.is_symmetric()),* }
            }
        }
    };
}
law_variants!(TwoPoint, ThreePoint, Gaussian, Uniform, Laplace, PointMasses);

/// Constructors of each law from its second moment.
impl<T: Scalar> Law<T> {
    /// See [`TwoPoint::with_second_moment`].
    ///
    /// # Errors
    /// As there.
    pub fn two_point(second_moment: T) -> Result<Self, ModelError> {
        TwoPoint::with_second_moment(second_moment).map(Into::into)
    }

    /// See [`ThreePoint::with_second_moment`].
    ///
    /// # Errors
    /// As there.
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
    fn laplace_rule_converges_geometrically() {
        // E[cos c] = 1/(1 + b²), b² = s/2.
        let law = Laplace::with_second_moment(2.0).unwrap();
        let error = |points| {
            let rule = law.quadrature(points);
            let sum: f64 = rule.nodes.iter().zip(&rule.weights).map(|(c, w)| w * f64::cos(*c)).sum();
            (sum - 0.5).abs()
        };
        assert!(error(10) < 1e-3 && error(20) < 1e-8 && error(40) < 1e-13, "{} {} {}", error(10), error(20), error(40));
    }

    /// E[c^k] = k! b^k, b² = s/2: the tail is there as far as averages of polynomials need it.
    #[test]
    fn laplace_rule_has_high_moments() {
        let law = Laplace::with_second_moment(2.0).unwrap();
        for points in [30, 60, 120] {
            let rule = law.quadrature(points);
            let mut factorial = 1.0;
            for k in (2..=14).step_by(2) {
                factorial *= f64::from(k * (k - 1));
                let moment: f64 = rule.nodes.iter().zip(&rule.weights).map(|(c, w)| w * f64::powi(*c, k)).sum();
                assert!((moment / factorial - 1.0).abs() < 1e-14, "{points} points, moment {k}: {moment}");
            }
        }
    }

    #[test]
    fn symmetry_is_recognised() {
        let symmetric: Vec<bool> = laws().iter().map(HiddenVariable::is_symmetric).collect();
        assert_eq!(symmetric, [true, true, true, true, true, false]);
        assert!(PointMasses::new([1.0, 0.0, -1.0], [0.25, 0.5, 0.25]).unwrap().is_symmetric());
        assert!(!PointMasses::new([1.0, 0.0, -1.0], [0.3, 0.5, 0.2]).unwrap().is_symmetric());
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
        }
        assert!(matches!(PointMasses::new([1.0], [0.5]), Err(ModelError::PointMasses { .. })));
        assert!(matches!(PointMasses::new([1.0, 2.0], [1.0]), Err(ModelError::PointMasses { .. })));
        assert!(matches!(PointMasses::new([f64::NAN], [1.0]), Err(ModelError::PointMasses { .. })));
        assert!(matches!(PointMasses::<f64>::new([], []), Err(ModelError::PointMasses { .. })));
    }
}
