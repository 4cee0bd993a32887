//! The models that tests, benches and documents know by name: tanh, views with noise of variance 0.3 and correlation −0.5,
//! τ = 0.3, γ = 0.5, batches of one; what else a test wants it sets on the builder.

use contrastive_dynamics::OrderParameters;
use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, ModelBuilder, Tanh};

pub(crate) type Reference = Model<f64, Tanh, Independent, GaussianNoise>;
pub(crate) type ReferenceBuilder = ModelBuilder<Tanh, Independent, GaussianNoise, f64>;

/// With features of those laws.
pub(crate) fn reference(laws: impl IntoIterator<Item = Law>) -> ReferenceBuilder {
    Model::builder()
        .nonlinearity(Tanh)
        .hidden(Independent::new(laws).unwrap())
        .noise(GaussianNoise::correlated(0.3, -0.5).unwrap())
        .learning_rate(0.3)
        .weight_decay(0.5)
}

/// One feature, ±1.5.
pub(crate) fn one_feature() -> Reference {
    reference([Law::two_point(2.25).unwrap()]).build().unwrap()
}

/// Two features of equal second moment: ±1.5, and 0 or ±1.5/√q with activity q, of kurtosis 1/q.
pub(crate) fn two_features(activity: f64) -> Reference {
    reference([Law::two_point(2.25).unwrap(), Law::three_point(2.25, activity).unwrap()]).build().unwrap()
}

/// So many features, ±1.5 each.
pub(crate) fn equal_features(count: usize) -> ReferenceBuilder {
    reference(vec![Law::two_point(2.25).unwrap(); count])
}

/// Q = 0.4, R = 0.8: one neuron that knows something of one feature.
pub(crate) fn informed_start() -> OrderParameters {
    OrderParameters::from_rows(1, 1, &[0.4], &[0.8]).unwrap()
}
