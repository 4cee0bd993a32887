//! Augmentations that depend on the sample: two views x ↦ (x¹, x²) of any kind, for direct SGD, and masking with its limit
//! (theory §15).
//!
//! Covers the trait [`Augmentation`] and [`Masking`]. Not here: noise that is added whatever the sample is (see
//! [`AugmentationNoise`]), and how views are seen (see [`DirectSgd`](crate::sgd::DirectSgd)).

use rand::Rng;

use super::{
    AugmentationNoise, GaussianNoise, HiddenDistribution, Loss, Model, ModelError, Nonlinearity, Regularizer, Scaled,
    ViewCovariance,
};
use crate::Scalar;

/// A random transformation of a sample x, of N coordinates, into two views. [`DirectSgd`](crate::sgd::DirectSgd) takes any by
/// [`views`](crate::sgd::SimulatorBuilder::views); the noise of the model is added to what comes out.
///
/// A closure is one: here every view is x times a factor of its own.
///
/// ```
/// use contrastive_dynamics::prelude::*;
/// use contrastive_dynamics::rand::{Rng, RngExt};
/// let scaling = |x: &[f64], first: &mut [f64], second: &mut [f64], rng: &mut dyn Rng| {
///     for view in [first, second] {
///         let factor = rng.random_range(0.5..1.5);
///         view.iter_mut().zip(x).for_each(|(view, x)| *view = factor * x);
///     }
/// };
/// let model = Model::builder()
///     .nonlinearity(Tanh)
///     .hidden(Independent::new([Law::two_point(2.25)?])?)
///     .noise(NoNoise)
///     .learning_rate(0.3)
///     .build()?;
/// let mut sgd = DirectSgd::builder(&model, 500).views(&scaling).build_seeded(1)?;
/// sgd.run(1.0, &Output::Stop)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Augmentation<T: Scalar = f64>: Send + Sync {
    /// Writes both views of `x`; all three slices have N numbers, and what is in the views before is meaningless.
    fn views(&self, x: &[T], first: &mut [T], second: &mut [T], rng: &mut dyn Rng);
}

impl<T, F> Augmentation<T> for F
where
    T: Scalar,
    F: Fn(&[T], &mut [T], &mut [T], &mut dyn Rng) + Send + Sync,
{
    fn views(&self, x: &[T], first: &mut [T], second: &mut [T], rng: &mut dyn Rng) {
        self(x, first, second, rng);
    }
}

/// Masking: each coordinate of a view is dropped, set to zero, with probability d. The masks of the two views may be correlated.
///
/// What is left of hidden variables and background is (1 − d) of them, and what a mask leaves to chance acts like noise of
/// variance d(1 − d)η² whose correlation between the views is that of the masks. That is exact for N → ∞ (theory §15), where
/// [`limit_of`](Self::limit_of) gives the model of the limit.
///
/// ```
/// use contrastive_dynamics::prelude::*;
/// let model = Model::builder()
///     .nonlinearity(Tanh)
///     .hidden(Independent::new([Law::two_point(4.0)?])?)
///     .noise(NoNoise)
///     .learning_rate(0.3)
///     .build()?;
/// let masking = Masking::new(0.25, 0.0)?;
/// let start = OrderParameters::from_rows(1, 1, &[0.4], &[0.8])?;
/// let mut sgd = DirectSgd::builder(&model, 1000).views(&masking).start(&start).build_seeded(1)?;
/// let seen = sgd.run(2.0, &Output::Stop)?;
/// let effective = masking.limit_of(&model)?;
/// let limit = ReducedOde::new(&effective)?.solver().solve(&start, 2.0)?;
/// let overlap = |run: &Trajectory| run.last().map(|(_, state)| state.q()[(0, 0)]);
/// let (seen, limit) = (overlap(&seen).ok_or("empty")?, overlap(&limit).ok_or("empty")?);
/// assert!((seen - limit).abs() < 0.1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Masking<T = f64> {
    /// d.
    dropped: T,
    /// Of the masks of the two views.
    correlation: T,
}

/// What the masking of a model leads to in the limit.
type Masked<S, H, G, L, T> = Model<T, S, Scaled<H, T>, GaussianNoise<T>, G, L>;

impl<T: Scalar> Masking<T> {
    /// Drops coordinates with that probability; `correlation` is that of the masks: 0 for independent ones, 1 for one mask for
    /// both views.
    ///
    /// # Errors
    /// [`ModelError::Masking`] unless 0 ≤ d < 1 and there are two such masks, which asks for a correlation of at most 1 and at
    /// least −min(d/(1 − d), (1 − d)/d).
    pub fn new(dropped: T, correlation: T) -> Result<Self, ModelError> {
        let kept = T::one() - dropped;
        let valid = dropped >= T::zero() && kept > T::zero();
        // Both dropped, and both kept, with a probability that is not negative.
        let shared = correlation * dropped * kept;
        let fits = correlation <= T::one() && shared >= -dropped * dropped && shared >= -kept * kept;
        if valid && fits && correlation.abs() <= T::one() {
            return Ok(Self { dropped, correlation });
        }
        Err(ModelError::Masking { dropped: dropped.as_f64(), correlation: correlation.as_f64() })
    }

    /// d.
    #[must_use]
    pub fn dropped(&self) -> T {
        self.dropped
    }

    /// The correlation of the two masks of a coordinate.
    #[must_use]
    pub fn correlation(&self) -> T {
        self.correlation
    }

    /// The covariance over the views of the noise that masking amounts to, for a background of standard deviation η.
    fn noise(&self, background_std: T) -> Result<ViewCovariance<T>, ModelError> {
        let variance = self.dropped * (T::one() - self.dropped) * background_std * background_std;
        ViewCovariance::correlated(variance, self.correlation)
    }

    /// The model without masks whose limit is that of `model` under this masking: hidden variables (1 − d)c, a background of
    /// standard deviation (1 − d)η, and Gaussian noise of variance d(1 − d)η² beside that of the model. All else is the same.
    ///
    /// # Errors
    /// [`ModelError`] for numbers that are too large.
    pub fn limit_of<S, H, A, G, L>(&self, model: &Model<T, S, H, A, G, L>) -> Result<Masked<S, H, G, L, T>, ModelError>
    where
        S: Nonlinearity<T> + Clone,
        H: HiddenDistribution<T> + Clone,
        A: AugmentationNoise<T> + Clone,
        G: Regularizer<T> + Clone,
        L: Loss<T> + Clone,
    {
        let kept = T::one() - self.dropped;
        let std = model.background_std();
        let own = self.noise(std)?;
        let sum = |k: ViewCovariance<T>| {
            ViewCovariance::new(k.get(0, 0) + own.get(0, 0), k.get(0, 1) + own.get(0, 1), k.get(1, 1) + own.get(1, 1))
        };
        let noise = model.noise();
        let noise = GaussianNoise::new(sum(noise.feature_covariance())?, sum(noise.background_covariance())?);
        let hidden = Scaled::new(model.hidden().clone(), kept)?;
        model.to_builder().hidden(hidden).noise(noise).background_std(kept * std).build()
    }
}

/// A uniform number has the high bits of a word, so many less than all.
const SPARE_BITS: u32 = 11;

impl<T: Scalar> Augmentation<T> for Masking<T> {
    fn views(&self, x: &[T], first: &mut [T], second: &mut [T], rng: &mut dyn Rng) {
        let (dropped, correlation) = (self.dropped.as_f64(), self.correlation.as_f64());
        let kept = 1.0 - dropped;
        let both = kept * kept + correlation * dropped * kept;
        // Both, the first alone, the second alone, neither.
        let (one, two) = (kept, 2.0 * kept - both);
        for ((&x, first), second) in x.iter().zip(first).zip(second) {
            let u = (rng.next_u64() >> SPARE_BITS) as f64 * 0.5_f64.powi(53);
            *first = if u < one { x } else { T::zero() };
            *second = if u < both || (u >= one && u < two) { x } else { T::zero() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_xoshiro::Xoshiro256PlusPlus;

    /// Of 10⁶ coordinates each the numbers kept in view 1, in view 2 and in both, within five standard errors (nine numbers,
    /// false alarms below 6e-6); the control is 3 % off.
    #[test]
    fn masks_drop_and_agree_as_often_as_they_should() {
        let count = 1_000_000;
        let x = vec![1.0; count];
        for (dropped, correlation) in [(0.3, 0.0), (0.5, -0.8), (0.75, 0.5)] {
            let masking = Masking::new(dropped, correlation).unwrap();
            let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
            let (mut first, mut second) = (vec![9.0; count], vec![9.0; count]);
            masking.views(&x, &mut first, &mut second, &mut rng);
            let kept = 1.0 - dropped;
            let both = kept * kept + correlation * dropped * kept;
            let products = first.iter().zip(&second).map(|(a, b)| a * b).sum::<f64>();
            let n = count as f64;
            for (sum, p) in [(first.iter().sum::<f64>(), kept), (second.iter().sum(), kept), (products, both)] {
                let z = |p: f64| (sum / n - p) / (p * (1.0 - p) / n).sqrt();
                assert!(z(p).abs() < 5.0 && z(1.03 * p).abs() > 5.0, "{dropped} {correlation} {}", z(p));
            }
        }
        let same = Masking::new(0.4, 1.0).unwrap();
        let (mut first, mut second) = (vec![0.0; 1000], vec![0.0; 1000]);
        same.views(&x[..1000], &mut first, &mut second, &mut Xoshiro256PlusPlus::seed_from_u64(2));
        assert_eq!(first, second);
    }

    #[test]
    fn masks_that_cannot_be_are_rejected() {
        for (dropped, correlation) in [
            (-0.1, 0.0),
            (1.0, 0.0),
            (f64::NAN, 0.0),
            (0.5, 1.1),
            (0.5, -1.1),
            (0.5, f64::NAN),
            (0.2, -0.3),
            (0.8, -0.3),
        ] {
            let error = Masking::new(dropped, correlation).unwrap_err();
            assert!(matches!(error, ModelError::Masking { .. }), "{error}");
        }
        let extreme = Masking::new(0.2, -0.25).unwrap();
        assert_eq!((extreme.dropped(), extreme.correlation()), (0.2, -0.25));
        assert!(Masking::new(0.0, 0.0).is_ok() && Masking::new(0.5, -1.0).is_ok());
    }
}
