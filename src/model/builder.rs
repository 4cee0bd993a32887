//! The typed builder of [`Model`]: parts that have no default are type parameters that start as [`Unset`].

use crate::Scalar;
use crate::model::{
    AugmentationNoise, Constraint, GradientPath, HiddenDistribution, L2, Model, ModelError, Nonlinearity, Penalty,
    Quadratic, Regularizer,
};

/// A part of a model that is still missing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unset;

/// Builds a [`Model`].
///
/// Four parts have no default, and `build` does not exist before they are there: the nonlinearity, the hidden law,
/// the noise and the learning rate.
///
/// ```compile_fail
/// # // The nonlinearity is missing.
/// use contrastive_dynamics::model::{Independent, Law, Model, NoNoise};
/// let hidden = Independent::new([Law::two_point(1.0).unwrap()]).unwrap();
/// let model = Model::builder().hidden(hidden).noise(NoNoise).learning_rate(0.1).build();
/// ```
/// ```compile_fail
/// # // The hidden law is missing.
/// use contrastive_dynamics::model::{Model, NoNoise, Tanh};
/// let model = Model::builder().nonlinearity(Tanh).noise(NoNoise).learning_rate(0.1).build();
/// ```
/// ```compile_fail
/// # // The noise is missing.
/// use contrastive_dynamics::model::{Independent, Law, Model, Tanh};
/// let hidden = Independent::new([Law::two_point(1.0).unwrap()]).unwrap();
/// let model = Model::builder().nonlinearity(Tanh).hidden(hidden).learning_rate(0.1).build();
/// ```
/// ```compile_fail
/// # // The learning rate is missing.
/// use contrastive_dynamics::model::{Independent, Law, Model, NoNoise, Tanh};
/// let hidden = Independent::new([Law::two_point(1.0).unwrap()]).unwrap();
/// let model = Model::builder().nonlinearity(Tanh).hidden(hidden).noise(NoNoise).build();
/// ```
/// ```
/// // All four are there; the order does not matter.
/// use contrastive_dynamics::model::{Independent, Law, Model, NoNoise, Tanh};
/// let hidden = Independent::new([Law::two_point(1.0).unwrap()]).unwrap();
/// let model = Model::builder().learning_rate(0.1).noise(NoNoise).hidden(hidden).nonlinearity(Tanh).build();
/// assert!(model.is_ok());
/// ```
///
/// | setter | symbol | default |
/// |---|---|---|
/// | [`nonlinearity`](Self::nonlinearity) | σ | none: must be set |
/// | [`hidden`](Self::hidden) | P_c | none: must be set |
/// | [`noise`](Self::noise) | K^f, K^b | none: must be set |
/// | [`learning_rate`](Self::learning_rate) | τ | none: must be set |
/// | [`weight_decay`](Self::weight_decay) | γ | 0 |
/// | [`regularizer`](Self::regularizer) | φ | [`L2`] |
/// | [`n_neurons`](Self::n_neurons) | m | 1 |
/// | [`batch_size`](Self::batch_size) | B | 1 |
/// | [`background_std`](Self::background_std) | η | 1 |
/// | [`penalty_strength`](Self::penalty_strength) | λ | 0: no penalty |
/// | [`penalty`](Self::penalty) | g | [`Quadratic`] |
/// | [`constraint`](Self::constraint) | - | [`Constraint::None`] |
/// | [`gradient_path`](Self::gradient_path) | - | [`GradientPath::BothViews`] |
#[derive(Debug, Clone)]
pub struct ModelBuilder<S = Unset, H = Unset, A = Unset, R = Unset, T = f64, G = L2, P = Quadratic> {
    nonlinearity: S,
    hidden: H,
    noise: A,
    learning_rate: R,
    weight_decay: Option<T>,
    regularizer: G,
    penalty: P,
    neurons: usize,
    batch_size: usize,
    penalty_strength: Option<T>,
    background_std: Option<T>,
    constraint: Constraint,
    gradient_path: GradientPath,
}

impl Model {
    /// A builder in double precision with every default; see [`ModelBuilder`] for what must be set.
    #[must_use]
    pub fn builder() -> ModelBuilder {
        Self::builder_in()
    }

    /// A builder in the precision T, as in `Model::builder_in::<f32>()`.
    #[must_use]
    pub fn builder_in<T: Scalar>() -> ModelBuilder<Unset, Unset, Unset, Unset, T> {
        ModelBuilder {
            nonlinearity: Unset,
            hidden: Unset,
            noise: Unset,
            learning_rate: Unset,
            weight_decay: None,
            regularizer: L2,
            penalty: Quadratic,
            neurons: 1,
            batch_size: 1,
            penalty_strength: None,
            background_std: None,
            constraint: Constraint::None,
            gradient_path: GradientPath::BothViews,
        }
    }
}

// Struct update cannot change type parameters, so the setters of typed parts spell the fields out once, here.
macro_rules! typed_setter {
    ($(#[$doc:meta])* $field:ident: $new:ident => $out:ty, { $($rest:ident),* }) => {
        $(#[$doc])*
        #[must_use]
        pub fn $field<$new>(self, $field: $new) -> $out {
            ModelBuilder { $field, $($rest: self.$rest),* }
        }
    };
}

impl<S, H, A, R, T: Scalar, G, P> ModelBuilder<S, H, A, R, T, G, P> {
    typed_setter!(
        /// The nonlinearity σ: any [`Nonlinearity`].
        nonlinearity: X => ModelBuilder<X, H, A, R, T, G, P>,
        { hidden, noise, learning_rate, weight_decay, regularizer, penalty, neurons, batch_size, penalty_strength,
          background_std, constraint, gradient_path }
    );
    typed_setter!(
        /// The law of the hidden variables: any [`HiddenDistribution`]. Its dimension is the number of features.
        hidden: X => ModelBuilder<S, X, A, R, T, G, P>,
        { nonlinearity, noise, learning_rate, weight_decay, regularizer, penalty, neurons, batch_size,
          penalty_strength, background_std, constraint, gradient_path }
    );
    typed_setter!(
        /// The augmentation noise: any [`AugmentationNoise`].
        noise: X => ModelBuilder<S, H, X, R, T, G, P>,
        { nonlinearity, hidden, learning_rate, weight_decay, regularizer, penalty, neurons, batch_size,
          penalty_strength, background_std, constraint, gradient_path }
    );
    typed_setter!(
        /// The regulariser φ: any [`Regularizer`]. It acts with the strength [`weight_decay`](Self::weight_decay).
        regularizer: X => ModelBuilder<S, H, A, R, T, X, P>,
        { nonlinearity, hidden, noise, learning_rate, weight_decay, penalty, neurons, batch_size, penalty_strength,
          background_std, constraint, gradient_path }
    );
    typed_setter!(
        /// The penalty g: any [`Penalty`]. It acts with the strength [`penalty_strength`](Self::penalty_strength).
        penalty: X => ModelBuilder<S, H, A, R, T, G, X>,
        { nonlinearity, hidden, noise, learning_rate, weight_decay, regularizer, neurons, batch_size,
          penalty_strength, background_std, constraint, gradient_path }
    );

    /// The learning rate τ > 0: a step moves w_i by −τ ∂F/∂w_i, with ∂F/∂w_i of order 1/√N per sample.
    #[must_use]
    pub fn learning_rate(self, learning_rate: T) -> ModelBuilder<S, H, A, T, T, G, P> {
        ModelBuilder {
            learning_rate,
            nonlinearity: self.nonlinearity,
            hidden: self.hidden,
            noise: self.noise,
            weight_decay: self.weight_decay,
            regularizer: self.regularizer,
            penalty: self.penalty,
            neurons: self.neurons,
            batch_size: self.batch_size,
            penalty_strength: self.penalty_strength,
            background_std: self.background_std,
            constraint: self.constraint,
            gradient_path: self.gradient_path,
        }
    }

    /// The weight decay γ ≥ 0: a step moves w_i by −(τ/N) γ φ(w_i). Default 0.
    #[must_use]
    pub fn weight_decay(mut self, weight_decay: T) -> Self {
        self.weight_decay = Some(weight_decay);
        self
    }

    /// The number m ≥ 1 of neurons. Default 1.
    #[must_use]
    pub fn n_neurons(mut self, neurons: usize) -> Self {
        self.neurons = neurons;
        self
    }

    /// The batch size B ≥ 1. Default 1.
    #[must_use]
    pub fn batch_size(mut self, batch_size: usize) -> Self {
        self.batch_size = batch_size;
        self
    }

    /// The penalty strength λ ≥ 0. Default 0.
    #[must_use]
    pub fn penalty_strength(mut self, penalty_strength: T) -> Self {
        self.penalty_strength = Some(penalty_strength);
        self
    }

    /// The standard deviation η ≥ 0 of each background coordinate. Default 1.
    #[must_use]
    pub fn background_std(mut self, background_std: T) -> Self {
        self.background_std = Some(background_std);
        self
    }

    /// The constraint on the weights. Default none.
    #[must_use]
    pub fn constraint(mut self, constraint: Constraint) -> Self {
        self.constraint = constraint;
        self
    }

    /// Which views the gradient flows through. Default both.
    #[must_use]
    pub fn gradient_path(mut self, gradient_path: GradientPath) -> Self {
        self.gradient_path = gradient_path;
        self
    }
}

impl<S, H, A, T, G, P> ModelBuilder<S, H, A, T, T, G, P>
where
    T: Scalar,
    S: Nonlinearity<T>,
    H: HiddenDistribution<T>,
    A: AugmentationNoise<T>,
    G: Regularizer<T>,
    P: Penalty<T>,
{
    /// Checks every number and makes the model.
    ///
    /// # Errors
    /// One variant of [`ModelError`] for each part that is out of range: [`ModelError::LearningRate`] (τ > 0),
    /// [`ModelError::WeightDecay`] (γ ≥ 0), [`ModelError::PenaltyStrength`] (λ ≥ 0), [`ModelError::BackgroundStd`]
    /// (η ≥ 0), [`ModelError::Neurons`] (m ≥ 1), [`ModelError::BatchSize`] (B ≥ 1), [`ModelError::NoFeatures`]
    /// (p ≥ 1), and [`ModelError::AnisotropicNoise`] for a non-Gaussian noise with K^f ≠ K^b. NaN and infinities are
    /// out of every range.
    pub fn build(self) -> Result<Model<T, S, H, A, G, P>, ModelError> {
        let learning_rate = self.learning_rate;
        let weight_decay = self.weight_decay.unwrap_or(T::zero());
        let penalty_strength = self.penalty_strength.unwrap_or(T::zero());
        let background_std = self.background_std.unwrap_or(T::one());
        let features = self.hidden.dimension();
        let at_least_zero = |x: T| x >= T::zero() && x.is_finite();
        if !(learning_rate > T::zero() && learning_rate.is_finite()) {
            return Err(ModelError::LearningRate { value: learning_rate.as_f64() });
        }
        if !at_least_zero(weight_decay) {
            return Err(ModelError::WeightDecay { value: weight_decay.as_f64() });
        }
        if !at_least_zero(penalty_strength) {
            return Err(ModelError::PenaltyStrength { value: penalty_strength.as_f64() });
        }
        if !at_least_zero(background_std) {
            return Err(ModelError::BackgroundStd { value: background_std.as_f64() });
        }
        if self.neurons == 0 {
            return Err(ModelError::Neurons { value: self.neurons });
        }
        if self.batch_size == 0 {
            return Err(ModelError::BatchSize { value: self.batch_size });
        }
        if features == 0 {
            return Err(ModelError::NoFeatures);
        }
        if !self.noise.is_gaussian() && self.noise.feature_covariance() != self.noise.background_covariance() {
            return Err(ModelError::AnisotropicNoise);
        }
        Ok(Model {
            nonlinearity: self.nonlinearity,
            hidden: self.hidden,
            noise: self.noise,
            regularizer: self.regularizer,
            penalty: self.penalty,
            features,
            neurons: self.neurons,
            batch_size: self.batch_size,
            learning_rate,
            weight_decay,
            penalty_strength,
            background_std,
            constraint: self.constraint,
            gradient_path: self.gradient_path,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Independent, Law, NoNoise, Tanh, ViewCovariance};

    fn builder() -> ModelBuilder<Tanh, Independent, NoNoise, f64> {
        let hidden = Independent::new([Law::two_point(1.0).unwrap()]).unwrap();
        Model::builder().nonlinearity(Tanh).hidden(hidden).noise(NoNoise).learning_rate(0.1)
    }

    #[test]
    fn defaults_are_those_documented() {
        let model = builder().build().unwrap();
        assert_eq!((model.n_neurons(), model.batch_size(), model.n_features()), (1, 1, 1));
        assert_eq!((model.weight_decay(), model.penalty_strength(), model.background_std()), (0.0, 0.0, 1.0));
        assert_eq!((model.constraint(), model.gradient_path()), (Constraint::None, GradientPath::BothViews));
    }

    #[test]
    fn models_can_be_built_in_single_precision() {
        let hidden = Independent::new([Law::two_point(1.0_f32).unwrap()]).unwrap();
        let model = Model::builder_in::<f32>().nonlinearity(Tanh).hidden(hidden).noise(NoNoise).learning_rate(0.1);
        assert_eq!(model.build().unwrap().learning_rate(), 0.1_f32);
    }

    #[test]
    fn each_number_out_of_range_has_its_own_error() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0] {
            assert!(matches!(builder().learning_rate(bad).build(), Err(ModelError::LearningRate { .. })));
            assert!(matches!(builder().weight_decay(bad).build(), Err(ModelError::WeightDecay { .. })));
            assert!(matches!(builder().penalty_strength(bad).build(), Err(ModelError::PenaltyStrength { .. })));
            assert!(matches!(builder().background_std(bad).build(), Err(ModelError::BackgroundStd { .. })));
        }
        assert_eq!(builder().learning_rate(0.0).build(), Err(ModelError::LearningRate { value: 0.0 }));
        assert_eq!(builder().n_neurons(0).build(), Err(ModelError::Neurons { value: 0 }));
        assert_eq!(builder().batch_size(0).build(), Err(ModelError::BatchSize { value: 0 }));
    }

    #[test]
    fn the_error_says_the_value_and_the_bound() {
        let text = builder().learning_rate(-0.5).build().unwrap_err().to_string();
        assert!(text.contains("positive") && text.contains("-0.5"), "{text}");
    }

    /// A noise that moves only the features, and not as a Gaussian.
    struct Anisotropic;
    impl AugmentationNoise for Anisotropic {
        fn feature_covariance(&self) -> ViewCovariance {
            ViewCovariance::correlated(1.0, 0.0).unwrap()
        }
        fn background_covariance(&self) -> ViewCovariance {
            ViewCovariance::zero()
        }
        fn is_gaussian(&self) -> bool {
            false
        }
    }

    #[test]
    fn laws_and_noises_of_users_are_checked_too() {
        assert!(matches!(builder().noise(Anisotropic).build(), Err(ModelError::AnisotropicNoise)));
    }
}
