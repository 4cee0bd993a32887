//! Gradients of what a solution is worth, and the schedules that make it best.

mod adjoint;
mod finite;
mod optimum;
mod refusals;

use contrastive_dynamics::control::{CosineSimilarity, Objective};
use contrastive_dynamics::prelude::*;

/// The cosine similarity of the first neuron with the first feature at the end.
pub(super) fn similarity() -> Objective<'static> {
    Objective::new().at_end(CosineSimilarity { feature: 0, neuron: 0 })
}

/// The letter's model with a feature of variance 2.25 and one that is sparser.
pub(super) fn two_features() -> impl Spec<Scalar = f64, Regularizer = L2> {
    Model::builder()
        .nonlinearity(Tanh)
        .hidden(Independent::new([Law::two_point(2.25).unwrap(), Law::three_point(2.25, 0.5).unwrap()]).unwrap())
        .noise(GaussianNoise::correlated(0.3, -0.5).unwrap())
        .learning_rate(0.3)
        .weight_decay(0.5)
        .batch_size(2)
        .build()
        .unwrap()
}

/// The letter's model with one feature, and noise that is independent.
pub(super) fn one_feature() -> impl Spec<Scalar = f64, Regularizer = L2> {
    Model::builder()
        .nonlinearity(Tanh)
        .hidden(Independent::new([Law::two_point(2.25).unwrap()]).unwrap())
        .noise(GaussianNoise::correlated(0.3, 0.0).unwrap())
        .learning_rate(0.3)
        .weight_decay(0.5)
        .build()
        .unwrap()
}

/// Oja's rule for a spike of strength ω: the identity on the sphere, without noise of the views.
pub(super) fn oja(omega: f64) -> impl Spec<Scalar = f64, Regularizer = L2> {
    Model::builder()
        .nonlinearity(Identity)
        .hidden(Independent::new([Law::two_point(1.0 + omega).unwrap()]).unwrap())
        .noise(NoNoise)
        .learning_rate(0.2)
        .constraint(Constraint::Sphere)
        .build()
        .unwrap()
}
