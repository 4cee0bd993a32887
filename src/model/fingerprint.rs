//! A model in one number, for what is saved of work with it.

use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

use super::{AugmentationNoise, HiddenDistribution, Loss, Nonlinearity, OutputGradient, Outputs, Regularizer, Spec};
use crate::Scalar;
use crate::save::Fingerprint;

/// Arguments at which functions are asked.
const ARGUMENTS: [f64; 8] = [-3.0, -1.0, -0.25, 0.0, 0.1, 0.5, 2.0, 5.0];

/// Samples of each law.
const SAMPLES: usize = 16;

/// The largest batch for which the loss is asked.
const BATCH: usize = 64;

/// A model in one number, for what is saved of work with it: made of its settings and of what its parts answer (σ, φ and the
/// loss at fixed arguments, moments and a few samples of its laws). So parts of your own have one too, and two models with the same are
/// in all likelihood the same.
#[must_use]
pub fn fingerprint<M: Spec + ?Sized>(model: &M) -> Fingerprint {
    let settings = model.settings();
    let (m, batch) = (settings.n_neurons, settings.batch_size.min(BATCH));
    let arguments = || ARGUMENTS.map(M::Scalar::lit).into_iter();
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(0);
    let mut samples = vec![M::Scalar::lit(0.0); settings.n_features * SAMPLES];
    for sample in samples.chunks_exact_mut(settings.n_features.max(1)) {
        model.hidden().sample(&mut rng, sample);
    }
    let noise = model.noise();
    let noises: Vec<_> = (0..SAMPLES).flat_map(|_| noise.sample(&mut rng)).collect();
    // Without a pattern that a loss could miss.
    let outputs: Vec<_> = (0..2 * m * batch).map(|k| M::Scalar::lit((7 * k % 11) as f64 / 4.0 - 1.25)).collect();
    let mut gradient = vec![M::Scalar::lit(0.0); outputs.len()];
    let of = || Outputs::of_slice(&outputs, m, batch);
    model.loss().gradient(of(), OutputGradient::of_slice(&mut gradient, batch));
    let regularizer = model.regularizer();
    let covariances = [noise.feature_covariance(), noise.background_covariance()];
    let work = Fingerprint::of("a model")
        .count(settings.n_features as u64)
        .count(m as u64)
        .count(settings.batch_size as u64)
        .numbers([settings.learning_rate, settings.weight_decay, settings.background_std])
        .text(&format!("{:?} {:?}", settings.constraint, settings.gradient_path))
        .numbers(arguments().flat_map(|h| [model.nonlinearity().value(h), model.nonlinearity().derivative(h)]))
        .numbers(model.hidden().second_moment().iter().copied())
        .numbers(model.hidden().fourth_moments().iter().copied())
        .numbers(samples)
        .numbers(covariances.into_iter().flat_map(|k| k.to_array().concat()))
        .numbers(noises)
        .numbers(arguments().map(|w| regularizer.apply(w)).chain([regularizer.linear_part()]))
        .numbers([model.loss().value(of())])
        .numbers(gradient)
        .text(std::any::type_name::<M::Scalar>());
    if settings.momentum == M::Scalar::lit(0.0) { work } else { work.numbers([settings.momentum]) }
}
