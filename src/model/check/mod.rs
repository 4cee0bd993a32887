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
mod loss;
mod noise;
mod nonlinearity;
mod regularizer;

pub use disagreement::{Disagreement, Estimate, HiddenAverage, Source};
pub use hidden::{check_hidden, check_variable};
pub use loss::check_loss;
pub use noise::check_noise;
pub use nonlinearity::check_nonlinearity;
pub use regularizer::{check_linear_regularizer, check_regularizer};

use crate::Scalar;
use crate::model::Spec;

/// What the parts of a model say and do not do: samples, differentiates and compares all of them. Empty if all is well.
///
/// A model that could be built has passed the part of this that needs no samples. What each check compares, and how often
/// it is wrong by chance, stands at [`check_nonlinearity`], [`check_hidden`], [`check_noise`], [`check_regularizer`] and
/// [`check_loss`], which take one part each.
///
/// ```
/// use contrastive_dynamics::model::check;
/// use contrastive_dynamics::prelude::*;
/// let model = Model::builder()
///     .nonlinearity((f64::sin, f64::cos))
///     .hidden(Independent::new([Law::uniform(1.0)?])?)
///     .noise(GaussianNoise::correlated(0.3, -0.5)?)
///     .learning_rate(0.3)
///     .build()?;
/// for disagreement in check(&model) {
///     println!("{disagreement}");
/// }
/// # assert!(check(&model).is_empty());
/// # Ok::<(), ModelError>(())
/// ```
pub fn check<M: Spec>(model: &M) -> Vec<Disagreement> {
    let mut found = check_nonlinearity(model.nonlinearity());
    found.extend(check_hidden(model.hidden()));
    found.extend(check_noise(model.noise()));
    found.extend(check_regularizer(model.regularizer()));
    found.extend(check_loss(model.loss(), model.n_neurons(), model.batch_size()));
    found
}

/// The first thing that a part says and does not do, as far as it can be told without samples, in well under a millisecond.
pub(super) fn quick_check<M: Spec>(model: &M) -> Option<Disagreement> {
    let parts: [&dyn Fn() -> Vec<Disagreement>; 5] = [
        &|| nonlinearity::quick_check_nonlinearity(model.nonlinearity()),
        &|| hidden::quick_check_hidden(model.hidden()),
        &|| noise::quick_check_noise(model.noise()),
        &|| regularizer::quick_check_regularizer(model.regularizer()),
        &|| loss::quick_check_loss(model.loss(), model.n_neurons(), model.batch_size()),
    ];
    parts.iter().find_map(|part| part().into_iter().next())
}

/// How far a sample average may be from what it estimates.
const STANDARD_ERRORS: f64 = 5.0;

/// The relative difference between two numbers that should be equal but for rounding, in units in the last place: what a
/// sum of some thousand terms, or an approximation that is meant to be exact, may be off.
const ROUNDING: f64 = 1e3;

/// The digits that people type.
const TYPED: f64 = 1e-6;

/// The relative difference by which the moments of nodes may differ from those that a law states: six digits, which is
/// what people type, and rounding in single precision.
fn typed_digits<T: Scalar>() -> f64 {
    (ROUNDING * T::EPSILON.as_f64()).max(TYPED)
}
