//! Whether the parts of a model do what they say: samples against nodes, derivatives against values, claims against both.
//!
//! Covers the quick check of all parts and the tolerances that the checks share; what can be found is a [`Disagreement`],
//! and the checks are in a file a part.
//! Not here: numbers out of range, which the constructors refuse (see [`ModelError`](crate::model::ModelError)).
//!
//! Each part has two checks. The quick one compares what can be computed exactly, in well under a millisecond, and is
//! fit for every model that is built. The full one also draws samples, at fixed seeds: the answer for a part is always
//! the same. A comparison with samples fails beyond [`STANDARD_ERRORS`] standard errors, by chance once in 1.7 million
//! comparisons (two-sided, for a normal statistic; for a law that is active in a fraction q of n draws the tail is
//! that of a Poisson variable of mean qn, once in 10⁵ at qn = 100). Each check says how many comparisons it makes.

mod averages;
mod disagreement;
mod hidden;
mod noise;
mod nonlinearity;
mod regularizer;

pub use disagreement::{Disagreement, Estimate, HiddenAverage, Source};
pub use hidden::{check_hidden, check_variable};
pub use noise::check_noise;
pub use nonlinearity::check_nonlinearity;
pub use regularizer::{check_linear_regularizer, check_regularizer};

use crate::Scalar;
use crate::model::{AugmentationNoise, HiddenDistribution, Nonlinearity, Regularizer};

/// What the parts of a model say and do not do, as far as it can be told without drawing many samples: in well under a
/// millisecond, without false alarms.
///
/// Empty if all is well. [`check_nonlinearity`], [`check_hidden`], [`check_noise`] and [`check_regularizer`] look closer.
///
/// ```
/// use contrastive_dynamics::model::{Independent, L2, Law, NoNoise, quick_check};
/// let hidden = Independent::new([Law::uniform(1.0)?])?;
/// assert!(quick_check(&(f64::sin, f64::cos), &hidden, &NoNoise, &L2).is_empty());
/// assert!(!quick_check(&(f64::sin, f64::sin), &hidden, &NoNoise, &L2).is_empty());
/// # Ok::<(), contrastive_dynamics::model::ModelError>(())
/// ```
pub fn quick_check<T, S, H, A, G>(nonlinearity: &S, hidden: &H, noise: &A, regularizer: &G) -> Vec<Disagreement>
where
    T: Scalar,
    S: Nonlinearity<T> + ?Sized,
    H: HiddenDistribution<T>,
    A: AugmentationNoise<T>,
    G: Regularizer<T>,
{
    let mut found = nonlinearity::quick_check_nonlinearity(nonlinearity);
    found.extend(hidden::quick_check_hidden(hidden));
    found.extend(noise::quick_check_noise(noise));
    found.extend(regularizer::quick_check_regularizer(regularizer));
    found
}

/// How far a sample average may be from what it estimates.
const STANDARD_ERRORS: f64 = 5.0;

/// The relative difference between two numbers that should be equal but for rounding, in units in the last place: what a
/// sum of some thousand terms, or an approximation that is meant to be exact, may be off.
const ROUNDING: f64 = 1e3;

/// The relative difference by which the moments of nodes may differ from those that a law states: six digits, which is
/// what people type, and rounding in single precision.
fn typed_digits<T: Scalar>() -> f64 {
    (ROUNDING * T::EPSILON.as_f64()).max(1e-6)
}
