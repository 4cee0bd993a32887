//! Whether an augmentation noise draws what it says.
//!
//! Covers the draws of `sample` against K^b, and the claim to be Gaussian against both. Not here: K^f, which nothing
//! draws on its own, and noise that is neither Gaussian nor isotropic, which the builder of a model refuses.

use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::Scalar;
use crate::model::AugmentationNoise;
use crate::model::check::averages::Averages;
use crate::model::check::{Disagreement, ROUNDING, STANDARD_ERRORS};

/// Pairs drawn: a kurtosis off by 0.16 is then five standard errors away, √(96/n) each.
const DRAWS: usize = 100_000;
/// Pairs that the quick check compares with the default draw.
const QUICK_DRAWS: usize = 16;
/// What rounding leaves of the difference of equal views, or of the sum of opposite ones, is less than that part of their variance.
const LEFT: f64 = 1e-6;
/// Any seed will do; a fixed one makes the answer the same each time.
const SEED: u64 = 0x006e_6f69_7365;

/// Whether the draws of a noise have mean zero and covariance K^b, and are Gaussian if and only if it says so.
///
/// Empty if all is well. It draws 10⁵ pairs at a fixed seed and makes 5 comparisons, and 8 more for a noise that says that
/// it is Gaussian: a correct noise is told wrong with a probability below 1e-5 (13 comparisons at five standard errors,
/// 6e-7 each; fourth powers of Gaussians are skewed, which makes it a few 1e-6 there).
///
/// ```
/// use contrastive_dynamics::model::{GaussianNoise, RademacherNoise, check_noise};
/// assert!(check_noise(&GaussianNoise::correlated(0.3, -0.5)?).is_empty());
/// assert!(check_noise(&RademacherNoise::new(0.3, 0.2)?).is_empty());
/// # Ok::<(), contrastive_dynamics::model::ModelError>(())
/// ```
pub fn check_noise<T: Scalar, A: AugmentationNoise<T>>(noise: &A) -> Vec<Disagreement> {
    let mut found = quick_check_noise(noise);
    let covariance = noise.background_covariance();
    let k = [covariance.get(0, 0), covariance.get(0, 1), covariance.get(1, 1)].map(Scalar::as_f64);
    let directions = Directions::new(k);
    let statistics = 5 + if noise.is_gaussian() { 2 * directions.0.len() } else { 0 };
    let mut averages = Averages::new(statistics);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(SEED);
    let mut values = vec![0.0; statistics];
    for _ in 0..DRAWS {
        let pair = noise.sample(&mut rng);
        if let Some(bad) = pair.iter().find(|s| !s.is_finite()) {
            found.push(Disagreement::NoiseValue { value: bad.as_f64() });
            return found;
        }
        let [s1, s2] = pair.map(Scalar::as_f64);
        values[..5].copy_from_slice(&[s1, s2, s1 * s1, s1 * s2, s2 * s2]);
        if noise.is_gaussian() {
            directions.statistics([s1, s2], &mut values[5..]);
        }
        averages.add(&values);
    }
    let rounding = ROUNDING * T::EPSILON.as_f64();
    let allowed = |n: usize, scale: f64| STANDARD_ERRORS * averages.standard_error(n, 0.0) + rounding * scale;
    for view in 0..2 {
        let (sampled, allowed) = (averages.mean(view), allowed(view, k[2 * view].sqrt()));
        if !(sampled.abs() <= allowed) {
            found.push(Disagreement::NoiseMean { view, sampled, allowed });
        }
    }
    let views = [(0, 0), (0, 1), (1, 1)];
    for (n, views) in views.into_iter().enumerate() {
        let (stated, sampled, allowed) = (k[n], averages.mean(2 + n), allowed(2 + n, k[0].max(k[2])));
        if !((sampled - stated).abs() <= allowed) {
            found.push(Disagreement::NoiseCovariance { views, stated, sampled, allowed });
        }
    }
    // Of a wrong covariance the shape is not worth telling.
    if noise.is_gaussian() && found.is_empty() {
        let shape = (5..statistics).map(|n| {
            let gaussian = if n % 2 == 1 { 3.0 } else { (-0.5_f64).exp() };
            let variance = if n % 2 == 1 { FOURTH_POWER_VARIANCE } else { 0.0 };
            let allowed = STANDARD_ERRORS * averages.standard_error(n, variance) + rounding;
            (n, gaussian, averages.mean(n), allowed)
        });
        let wrong = shape.into_iter().find(|(_, gaussian, sampled, allowed)| !((sampled - gaussian).abs() <= *allowed));
        if let Some((n, gaussian, sampled, allowed)) = wrong {
            let statistic = directions.name(n - 5);
            found.push(Disagreement::NoiseNotGaussian { statistic, gaussian, sampled, allowed });
        }
    }
    found
}

/// Var z⁴ = E z⁸ − (E z⁴)² = 105 − 9 of a standard normal z.
const FOURTH_POWER_VARIANCE: f64 = 96.0;

/// Whether a noise that says that it is not Gaussian overrides `sample`: with equal generators the default draws equal
/// pairs. Noise of variance zero is let be.
pub(super) fn quick_check_noise<T: Scalar, A: AugmentationNoise<T>>(noise: &A) -> Vec<Disagreement> {
    let covariance = noise.background_covariance();
    let silent = covariance.get(0, 0) == T::zero() && covariance.get(1, 1) == T::zero();
    if noise.is_gaussian() || silent {
        return Vec::new();
    }
    let (mut own, mut default) = (Xoshiro256PlusPlus::seed_from_u64(SEED), Xoshiro256PlusPlus::seed_from_u64(SEED));
    let same = (0..QUICK_DRAWS).all(|_| noise.sample(&mut own) == covariance.sample(&mut default));
    if same { vec![Disagreement::NoiseNotDrawn] } else { Vec::new() }
}

/// Combinations of the views, scaled to unit variance: s¹, s², s¹ + s² and s¹ − s², those that fluctuate. A pair is
/// Gaussian if and only if all combinations are.
struct Directions(Vec<([f64; 2], [&'static str; 2])>);

impl Directions {
    fn new([v11, v12, v22]: [f64; 3]) -> Self {
        let names = [
            ["the kurtosis of view 1", "E[cos s] of view 1 (in units of its standard deviation)"],
            ["the kurtosis of view 2", "E[cos s] of view 2 (in units of its standard deviation)"],
            [
                "the kurtosis of the sum of the views",
                "E[cos s] of the sum of the views (in units of its standard deviation)",
            ],
            [
                "the kurtosis of the difference of the views",
                "E[cos s] of the difference of the views (in units of its standard deviation)",
            ],
        ];
        let combinations = [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, -1.0]];
        let scaled = combinations.into_iter().zip(names).filter_map(|(a, names)| {
            let variance = a[0] * a[0] * v11 + 2.0 * a[0] * a[1] * v12 + a[1] * a[1] * v22;
            // Views that are equal, or opposite, leave nothing but rounding of their difference, or sum.
            (variance > LEFT * (v11 + v22)).then(|| (a.map(|x| x / variance.sqrt()), names))
        });
        Self(scaled.collect())
    }

    /// Fourth power and cosine of each.
    fn statistics(&self, [s1, s2]: [f64; 2], out: &mut [f64]) {
        for ((a, _), out) in self.0.iter().zip(out.as_chunks_mut::<2>().0) {
            let z = a[0] * s1 + a[1] * s2;
            *out = [z.powi(4), z.cos()];
        }
    }

    fn name(&self, n: usize) -> &'static str {
        self.0.get(n / 2).map_or("", |(_, names)| names[n % 2])
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;
    use crate::model::{GaussianNoise, NoNoise, RademacherNoise, ViewCovariance};

    #[test]
    fn the_library_keeps_its_word() {
        assert!(check_noise::<f64, _>(&NoNoise).is_empty() && check_noise::<f32, _>(&NoNoise).is_empty());
        for [v11, v12, v22] in [[0.3, -0.15, 0.3], [0.2, 0.1, 0.7], [0.4, 0.4, 0.4], [0.3, -0.3, 0.3], [0.0, 0.0, 0.5]]
        {
            let background = ViewCovariance::new(v11, v12, v22).unwrap();
            let noise = GaussianNoise::new(ViewCovariance::zero(), background);
            assert_eq!(check_noise(&noise), []);
        }
        for rho in [-1.0, -0.5, 0.0, 0.3, 1.0] {
            assert_eq!(check_noise(&RademacherNoise::new(0.3, rho).unwrap()), []);
            assert_eq!(check_noise(&RademacherNoise::new(0.3_f32, f32::lit(rho)).unwrap()), []);
            assert_eq!(check_noise(&GaussianNoise::correlated(0.3_f32, f32::lit(rho)).unwrap()), []);
        }
    }

    /// What the noise draws; it says that its covariance is σ² [[1, ½], [½, 1]] at σ² = 0.5.
    #[derive(Clone, Copy, PartialEq)]
    enum Draw {
        Default,
        Signs,
        Scaled(f64),
        Shifted(f64),
        Uncorrelated,
        /// Gaussian marginals, and s² = ±s¹ at random: the pair is not Gaussian.
        Flipped,
        NotFinite,
    }
    struct Noise {
        draw: Draw,
        gaussian: bool,
    }
    impl AugmentationNoise for Noise {
        fn feature_covariance(&self) -> ViewCovariance {
            ViewCovariance::correlated(0.5, if self.draw == Draw::Flipped { 0.0 } else { 0.5 }).unwrap()
        }
        fn background_covariance(&self) -> ViewCovariance {
            self.feature_covariance()
        }
        fn is_gaussian(&self) -> bool {
            self.gaussian
        }
        fn sample<G: Rng + ?Sized>(&self, rng: &mut G) -> [f64; 2] {
            let [s1, s2] = self.background_covariance().sample(rng);
            match self.draw {
                Draw::Default => [s1, s2],
                Draw::Signs => RademacherNoise::new(0.5, 0.5).unwrap().sample(rng),
                Draw::Scaled(factor) => [s1, factor * s2],
                Draw::Shifted(by) => [s1 + by, s2],
                Draw::Uncorrelated => ViewCovariance::correlated(0.5, 0.0).unwrap().sample(rng),
                Draw::Flipped => [s1, if rng.next_u32() >> 31 == 0 { s1 } else { -s1 }],
                Draw::NotFinite => [s1, f64::NAN],
            }
        }
    }

    #[test]
    fn each_lie_is_found() {
        let check = |draw, gaussian| check_noise(&Noise { draw, gaussian });
        assert!(check(Draw::Default, true).is_empty() && check(Draw::Signs, false).is_empty());
        assert_eq!(check(Draw::Default, false), [Disagreement::NoiseNotDrawn]);
        assert_eq!(quick_check_noise(&Noise { draw: Draw::Default, gaussian: false }), [Disagreement::NoiseNotDrawn]);
        assert!(matches!(check(Draw::Signs, true)[..], [Disagreement::NoiseNotGaussian { .. }]));
        assert!(matches!(check(Draw::Flipped, true)[..], [Disagreement::NoiseNotGaussian { .. }]));
        assert!(check(Draw::Flipped, false).is_empty());
        for gaussian in [true, false] {
            let scaled = check(Draw::Scaled(1.02), gaussian);
            assert!(
                scaled.iter().any(|d| matches!(d, Disagreement::NoiseCovariance { views: (1, 1), .. })),
                "{scaled:?}"
            );
            let uncorrelated = check(Draw::Uncorrelated, gaussian);
            assert!(
                matches!(uncorrelated[..], [Disagreement::NoiseCovariance { views: (0, 1), .. }]),
                "{uncorrelated:?}"
            );
            let shifted = check(Draw::Shifted(0.02), gaussian);
            assert!(shifted.iter().any(|d| matches!(d, Disagreement::NoiseMean { view: 0, .. })), "{shifted:?}");
            assert!(matches!(check(Draw::NotFinite, gaussian)[..], [Disagreement::NoiseValue { .. }]));
        }
        let text = check(Draw::Signs, true)[0].to_string();
        assert!(text.contains("kurtosis of view 1 is 1") && text.contains("is_gaussian"), "{text}");
    }
}
