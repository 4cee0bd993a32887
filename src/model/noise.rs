//! Augmentation noise (theory §1): the pair (s¹, s²) that makes two views of one sample.
//!
//! Covers the 2 x 2 covariance over views, the trait [`AugmentationNoise`] and its implementations. Not here: the
//! background a of the data, which belongs to the model, and the comparison of what a noise says with what it draws (see
//! [`check_noise`](crate::model::check_noise)).

use rand::Rng;

use crate::Scalar;
use crate::model::ModelError;

/// A covariance over the two views, [[v11, v12], [v12, v22]], positive semidefinite.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "crate::model::stored::StoredCovariance<T>"))]
#[cfg_attr(feature = "serde", serde(bound(deserialize = "T: crate::Scalar + serde::Deserialize<'de>")))]
pub struct ViewCovariance<T = f64> {
    v11: T,
    v12: T,
    v22: T,
}

/// Views whose covariance is singular to so many ulp are so but for rounding.
const SINGULAR_ULPS: f64 = 8.0;

impl<T: Scalar> ViewCovariance<T> {
    /// The covariance with those entries.
    ///
    /// # Errors
    /// [`ModelError::ViewCovariance`] unless the entries are finite and the matrix is positive semidefinite to
    /// rounding (v12² ≤ v11 v22 within 8 units in the last place).
    pub fn new(v11: T, v12: T, v22: T) -> Result<Self, ModelError> {
        let slack = T::one() + T::lit(SINGULAR_ULPS) * T::EPSILON;
        let finite = v11.is_finite() && v12.is_finite() && v22.is_finite();
        if !(finite && v11 >= T::zero() && v22 >= T::zero() && v12.abs() <= v11.sqrt() * v22.sqrt() * slack) {
            return Err(ModelError::ViewCovariance { v11: v11.as_f64(), v12: v12.as_f64(), v22: v22.as_f64() });
        }
        Ok(Self { v11, v12, v22 })
    }

    /// σ² [[1, ρ], [ρ, 1]].
    ///
    /// # Errors
    /// [`ModelError::NoiseVariance`] unless 0 ≤ σ² < ∞; [`ModelError::Correlation`] unless −1 ≤ ρ ≤ 1.
    pub fn correlated(variance: T, correlation: T) -> Result<Self, ModelError> {
        if !(variance >= T::zero() && variance.is_finite()) {
            return Err(ModelError::NoiseVariance { value: variance.as_f64() });
        }
        if !(correlation >= -T::one() && correlation <= T::one()) {
            return Err(ModelError::Correlation { value: correlation.as_f64() });
        }
        Self::new(variance, variance * correlation, variance)
    }

    /// No noise: the zero matrix.
    #[must_use]
    pub fn zero() -> Self {
        Self { v11: T::zero(), v12: T::zero(), v22: T::zero() }
    }

    /// The matrix as rows.
    #[must_use]
    pub fn to_array(self) -> [[T; 2]; 2] {
        [[self.v11, self.v12], [self.v12, self.v22]]
    }

    /// The entry of views v, w ∈ {0, 1}; other indices count as 1.
    #[must_use]
    pub fn get(&self, v: usize, w: usize) -> T {
        match (v, w) {
            (0, 0) => self.v11,
            (0, _) | (_, 0) => self.v12,
            _ => self.v22,
        }
    }

    /// This covariance plus `shared`·11ᵀ: both views see a common variable of that variance.
    ///
    /// # Errors
    /// [`ModelError::NoiseVariance`] unless 0 ≤ `shared` < ∞.
    pub fn plus_shared(self, shared: T) -> Result<Self, ModelError> {
        if shared >= T::zero() && shared.is_finite() {
            return Ok(self.plus_common(shared));
        }
        Err(ModelError::NoiseVariance { value: shared.as_f64() })
    }

    /// The same, of what is known to be a variance.
    pub(crate) fn plus_common(self, shared: T) -> Self {
        Self { v11: self.v11 + shared, v12: self.v12 + shared, v22: self.v22 + shared }
    }

    /// The factor L, lower triangular, with L Lᵀ the covariance; works for singular covariances.
    #[must_use]
    pub fn factor(&self) -> [[T; 2]; 2] {
        if self.v11 == T::zero() {
            return [[T::zero(), T::zero()], [T::zero(), self.v22.sqrt()]];
        }
        let l11 = self.v11.sqrt();
        let l21 = self.v12 / l11;
        let rest = self.v22 - l21 * l21;
        // Rounding can leave a singular covariance a few ulp below zero.
        let l22 = if rest > T::lit(SINGULAR_ULPS) * T::EPSILON * self.v22 { rest.sqrt() } else { T::zero() };
        [[l11, T::zero()], [l21, l22]]
    }

    /// The covariance of that mean variance and the same shape; `None` for the zero matrix, which has none.
    pub(crate) fn with_variance(self, variance: T) -> Option<Self> {
        let now = T::lit(0.5) * (self.v11 + self.v22);
        (now > T::zero()).then(|| {
            let factor = variance / now;
            Self { v11: self.v11 * factor, v12: self.v12 * factor, v22: self.v22 * factor }
        })
    }

    /// The covariance of that correlation and the same variances; `None` where one of them is zero.
    pub(crate) fn with_correlation(self, correlation: T) -> Option<Self> {
        let varied = self.v11 > T::zero() && self.v22 > T::zero();
        varied.then(|| Self { v12: correlation * self.v11.sqrt() * self.v22.sqrt(), ..self })
    }

    /// Whether the two views have equal variances, so that they can be exchanged.
    #[must_use]
    pub fn is_exchangeable(&self) -> bool {
        self.v11 == self.v22
    }

    /// One draw of a Gaussian pair with this covariance.
    #[inline]
    pub fn sample<G: Rng + ?Sized>(&self, rng: &mut G) -> [T; 2] {
        let l = self.factor();
        let (z1, z2) = (T::standard_normal(rng), T::standard_normal(rng));
        [l[0][0] * z1, l[1][0] * z1 + l[1][1] * z2]
    }
}

/// The law of the augmentation noise, independent over coordinates, of mean zero.
///
/// The limit needs only two covariances over views: [`feature_covariance`](Self::feature_covariance) K^f along the
/// features and [`background_covariance`](Self::background_covariance) K^b in the background. A noise that is not
/// Gaussian must be isotropic (K^f = K^b); then its law enters a simulation at finite N but, by the central limit
/// theorem, not the limit.
///
/// # A noise of your own
/// Required are the two covariances and whether the noise is Gaussian. One that is not overrides
/// [`sample`](Self::sample), whose default draws Gaussian pairs. [`check_noise`](crate::model::check_noise) compares the
/// draws with both.
///
/// ```
/// use contrastive_dynamics::model::{AugmentationNoise, ViewCovariance, check_noise};
/// use contrastive_dynamics::rand::Rng;
///
/// /// View 2 is moved by ±1, view 1 is not.
/// struct OneSided;
///
/// impl AugmentationNoise for OneSided {
///     fn feature_covariance(&self) -> ViewCovariance {
///         ViewCovariance::new(0.0, 0.0, 1.0).unwrap_or(ViewCovariance::zero())
///     }
///     fn background_covariance(&self) -> ViewCovariance {
///         self.feature_covariance()
///     }
///     fn is_gaussian(&self) -> bool {
///         false
///     }
///     fn sample<G: Rng + ?Sized>(&self, rng: &mut G) -> [f64; 2] {
///         [0.0, if rng.next_u32() >> 31 == 0 { 1.0 } else { -1.0 }]
///     }
/// }
///
/// assert!(check_noise(&OneSided).is_empty());
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an augmentation noise in `{T}`",
    label = "not an `AugmentationNoise<{T}>`",
    note = "a `MissingNoise` is one that was not set: call `.noise(..)` before `.build()`; or `Model` stands without its types where `&impl Spec<Scalar = {T}>` would do",
    note = "no noise is `NoNoise`; Gaussian noise of a variance is `GaussianNoise::independent(variance)?`",
    note = "a noise of your own implements `AugmentationNoise`: two covariances, `is_gaussian`, and unless it is `sample`, which gives `[{T}; 2]`"
)]
pub trait AugmentationNoise<T: Scalar = f64>: Send + Sync {
    /// K^f: covariance over views of the noise along each feature.
    fn feature_covariance(&self) -> ViewCovariance<T>;

    /// K^b: covariance over views of the noise of each background coordinate.
    fn background_covariance(&self) -> ViewCovariance<T>;

    /// Whether the noise is Gaussian.
    fn is_gaussian(&self) -> bool;

    /// One draw of the pair (s¹, s²) of one coordinate, from the law with covariance K^b. The default is Gaussian;
    /// a noise that is not overrides it.
    fn sample<G: Rng + ?Sized>(&self, rng: &mut G) -> [T; 2]
    where
        Self: Sized,
    {
        self.background_covariance().sample(rng)
    }
}

impl<T: Scalar, A: AugmentationNoise<T>> AugmentationNoise<T> for &A {
    fn feature_covariance(&self) -> ViewCovariance<T> {
        (**self).feature_covariance()
    }
    fn background_covariance(&self) -> ViewCovariance<T> {
        (**self).background_covariance()
    }
    fn is_gaussian(&self) -> bool {
        (**self).is_gaussian()
    }
    fn sample<G: Rng + ?Sized>(&self, rng: &mut G) -> [T; 2] {
        (**self).sample(rng)
    }
}

/// No augmentation: both views are the sample itself.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct NoNoise;

impl<T: Scalar> AugmentationNoise<T> for NoNoise {
    fn feature_covariance(&self) -> ViewCovariance<T> {
        ViewCovariance::zero()
    }
    fn background_covariance(&self) -> ViewCovariance<T> {
        ViewCovariance::zero()
    }
    fn is_gaussian(&self) -> bool {
        true
    }
}

/// Gaussian noise with any covariances K^f and K^b.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(bound(deserialize = "T: crate::Scalar + serde::Deserialize<'de>")))]
pub struct GaussianNoise<T = f64> {
    feature: ViewCovariance<T>,
    background: ViewCovariance<T>,
}

impl<T: Scalar> GaussianNoise<T> {
    /// Noise with K^f = `feature` and K^b = `background`.
    #[must_use]
    pub fn new(feature: ViewCovariance<T>, background: ViewCovariance<T>) -> Self {
        Self { feature, background }
    }

    /// Isotropic noise, independent over the views: K^f = K^b = σ² I.
    ///
    /// # Errors
    /// [`ModelError::NoiseVariance`] unless 0 ≤ σ² < ∞.
    pub fn independent(variance: T) -> Result<Self, ModelError> {
        Self::correlated(variance, T::zero())
    }

    /// Isotropic noise, correlated over the views: K^f = K^b = σ² [[1, ρ], [ρ, 1]].
    ///
    /// # Errors
    /// [`ModelError::NoiseVariance`] unless 0 ≤ σ² < ∞; [`ModelError::Correlation`] unless −1 ≤ ρ ≤ 1.
    pub fn correlated(variance: T, correlation: T) -> Result<Self, ModelError> {
        let covariance = ViewCovariance::correlated(variance, correlation)?;
        Ok(Self::new(covariance, covariance))
    }

    /// Semantic-preserving noise, in the background only: K^f = 0, K^b = σ² [[1, ρ], [ρ, 1]].
    ///
    /// # Errors
    /// [`ModelError::NoiseVariance`] unless 0 ≤ σ² < ∞; [`ModelError::Correlation`] unless −1 ≤ ρ ≤ 1.
    pub fn semantic_preserving(variance: T, correlation: T) -> Result<Self, ModelError> {
        Ok(Self::new(ViewCovariance::zero(), ViewCovariance::correlated(variance, correlation)?))
    }
}

impl<T: Scalar> AugmentationNoise<T> for GaussianNoise<T> {
    fn feature_covariance(&self) -> ViewCovariance<T> {
        self.feature
    }
    fn background_covariance(&self) -> ViewCovariance<T> {
        self.background
    }
    fn is_gaussian(&self) -> bool {
        true
    }
}

/// Isotropic noise that is not Gaussian: every coordinate moves by ±σ, and the signs of the two views agree with
/// probability (1 + ρ)/2, so that K^f = K^b = σ² [[1, ρ], [ρ, 1]].
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "crate::model::stored::StoredRademacher<T>"))]
#[cfg_attr(feature = "serde", serde(bound(deserialize = "T: crate::Scalar + serde::Deserialize<'de>")))]
pub struct RademacherNoise<T = f64> {
    pub(in crate::model) covariance: ViewCovariance<T>,
    #[cfg_attr(feature = "serde", serde(skip_serializing))]
    amplitude: T,
    pub(in crate::model) agreement: T,
}

impl<T: Scalar> RademacherNoise<T> {
    /// The noise with variance σ² and correlation ρ between the views.
    ///
    /// # Errors
    /// [`ModelError::NoiseVariance`] unless 0 ≤ σ² < ∞; [`ModelError::Correlation`] unless −1 ≤ ρ ≤ 1.
    pub fn new(variance: T, correlation: T) -> Result<Self, ModelError> {
        Ok(Self {
            covariance: ViewCovariance::correlated(variance, correlation)?,
            amplitude: variance.sqrt(),
            agreement: T::lit(0.5) * (T::one() + correlation),
        })
    }
}

impl<T: Scalar> AugmentationNoise<T> for RademacherNoise<T> {
    fn feature_covariance(&self) -> ViewCovariance<T> {
        self.covariance
    }
    fn background_covariance(&self) -> ViewCovariance<T> {
        self.covariance
    }
    fn is_gaussian(&self) -> bool {
        false
    }
    #[inline]
    fn sample<G: Rng + ?Sized>(&self, rng: &mut G) -> [T; 2] {
        let first = if rng.next_u32() >> 31 == 0 { self.amplitude } else { -self.amplitude };
        let second = if T::standard_uniform(rng) < self.agreement { first } else { -first };
        [first, second]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factor_times_its_transpose_is_the_covariance_even_when_singular() {
        for (v11, v12, v22) in
            [(0.3, -0.15, 0.3), (1.0, -1.0, 1.0), (1.0, 1.0, 1.0), (0.0, 0.0, 0.4), (0.2, 0.1, 0.7), (0.3, -0.3, 0.3)]
        {
            let k = ViewCovariance::new(v11, v12, v22).unwrap();
            let l: [[f64; 2]; 2] = k.factor();
            assert!((l[0][0] * l[0][0] - v11).abs() < 1e-15);
            assert!((l[0][0] * l[1][0] - v12).abs() < 1e-15);
            assert!((l[1][0] * l[1][0] + l[1][1] * l[1][1] - v22).abs() < 1e-15);
        }
    }

    #[test]
    fn parameters_that_make_no_covariance_are_rejected() {
        for bad in [-0.1, f64::NAN, f64::INFINITY] {
            assert!(matches!(GaussianNoise::independent(bad), Err(ModelError::NoiseVariance { .. })));
            assert!(matches!(RademacherNoise::new(bad, 0.0), Err(ModelError::NoiseVariance { .. })));
            assert!(matches!(ViewCovariance::new(bad, 0.0, 1.0), Err(ModelError::ViewCovariance { .. })));
            assert!(matches!(ViewCovariance::new(1.0, 0.0, bad), Err(ModelError::ViewCovariance { .. })));
        }
        for bad in [-1.1, 1.1, f64::NAN] {
            assert!(matches!(GaussianNoise::correlated(0.3, bad), Err(ModelError::Correlation { .. })));
            assert!(matches!(RademacherNoise::new(0.3, bad), Err(ModelError::Correlation { .. })));
            assert!(matches!(GaussianNoise::semantic_preserving(0.3, bad), Err(ModelError::Correlation { .. })));
        }
        // Products of these overflow or vanish.
        assert!(
            ViewCovariance::new(1e200, 1e250, 1e200).is_err() && ViewCovariance::new(1e-200, 1e-170, 1e-200).is_err()
        );
        assert!(matches!(ViewCovariance::new(1.0, 1.1, 1.0), Err(ModelError::ViewCovariance { .. })));
    }
}
