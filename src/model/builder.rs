//! The typed builder of [`Model`]: parts that have no default are type parameters that start as a placeholder named by
//! what is missing.

use super::check::quick_check;
use super::{
    AugmentationNoise, Constraint, CovarianceLoss, GradientPath, HiddenDistribution, L2, Loss, Model, ModelError,
    Nonlinearity, Penalty, Quadratic, Regularizer, Settings,
};
use crate::Scalar;

/// The nonlinearity is missing: set it by [`ModelBuilder::nonlinearity`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MissingNonlinearity;

/// The hidden law is missing: set it by [`ModelBuilder::hidden`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MissingHidden;

/// The noise is missing: set it by [`ModelBuilder::noise`]; there is [`NoNoise`](super::NoNoise).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MissingNoise;

/// The learning rate is missing: set it by [`ModelBuilder::learning_rate`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MissingLearningRate;

/// A learning rate that has been set: the scalar of the model.
#[diagnostic::on_unimplemented(
    message = "the learning rate of the model is missing",
    label = "set it with `.learning_rate(..)` before `.build()`"
)]
pub trait LearningRate<T: Scalar> {
    /// The number.
    fn value(self) -> T;
}

impl<T: Scalar> LearningRate<T> for T {
    fn value(self) -> T {
        self
    }
}

/// Builds a [`Model`].
///
/// Four parts have no default, and `build` does not compile before they are there: the nonlinearity, the hidden law,
/// the noise and the learning rate. Setters set; numbers are checked once, by [`build`](Self::build).
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
/// | [`momentum`](Self::momentum) | β | 0 |
/// | [`weight_decay`](Self::weight_decay) | γ | 0 |
/// | [`regularizer`](Self::regularizer) | φ | [`L2`] |
/// | [`n_neurons`](Self::n_neurons) | m | 1 |
/// | [`batch_size`](Self::batch_size) | B | 1 |
/// | [`background_std`](Self::background_std) | η | 1 |
/// | [`loss`](Self::loss) | F | [`CovarianceLoss`] |
/// | [`penalty_strength`](ModelBuilder::penalty_strength) | λ of the covariance loss | 0: no penalty |
/// | [`penalty`](ModelBuilder::penalty) | g of the covariance loss | [`Quadratic`] |
/// | [`constraint`](Self::constraint) | - | [`Constraint::None`] |
/// | [`gradient_path`](Self::gradient_path) | - | [`GradientPath::BothViews`] |
#[derive(Debug, Clone)]
pub struct ModelBuilder<
    S = MissingNonlinearity,
    H = MissingHidden,
    A = MissingNoise,
    R = MissingLearningRate,
    T = f64,
    G = L2,
    L = CovarianceLoss<Quadratic, T>,
> {
    nonlinearity: S,
    hidden: H,
    noise: A,
    learning_rate: R,
    regularizer: G,
    loss: L,
    numbers: Numbers<T>,
}

/// Everything that keeps its type while a model is built.
#[derive(Debug, Clone, Copy)]
struct Numbers<T> {
    momentum: T,
    weight_decay: T,
    background_std: T,
    n_neurons: usize,
    batch_size: usize,
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
    #[doc(alias = "f32")]
    #[doc(alias = "precision")]
    #[must_use]
    pub fn builder_in<T: Scalar>()
    -> ModelBuilder<MissingNonlinearity, MissingHidden, MissingNoise, MissingLearningRate, T> {
        ModelBuilder {
            nonlinearity: MissingNonlinearity,
            hidden: MissingHidden,
            noise: MissingNoise,
            learning_rate: MissingLearningRate,
            regularizer: L2,
            loss: CovarianceLoss::default(),
            numbers: Numbers {
                momentum: T::zero(),
                weight_decay: T::zero(),
                background_std: T::one(),
                n_neurons: 1,
                batch_size: 1,
                constraint: Constraint::None,
                gradient_path: GradientPath::BothViews,
            },
        }
    }
}

impl<T: Scalar, S, H, A, G, L> Model<T, S, H, A, G, L> {
    /// A builder with everything set as in this model, to change some of it.
    ///
    /// ```
    /// use contrastive_dynamics::prelude::*;
    /// let hidden = Independent::new([Law::two_point(2.25)?])?;
    /// let model = Model::builder().nonlinearity(Tanh).hidden(hidden).noise(NoNoise).learning_rate(0.3).build()?;
    /// let faster = model.to_builder().learning_rate(0.6).build()?;
    /// assert_eq!(faster.learning_rate(), 0.6);
    /// # Ok::<(), ModelError>(())
    /// ```
    #[must_use]
    pub fn to_builder(&self) -> ModelBuilder<S, H, A, T, T, G, L>
    where
        S: Clone,
        H: Clone,
        A: Clone,
        G: Clone,
        L: Clone,
    {
        let Settings { learning_rate, momentum, weight_decay, background_std, .. } = self.settings;
        let Settings { n_neurons, batch_size, constraint, gradient_path, .. } = self.settings;
        ModelBuilder {
            nonlinearity: self.nonlinearity.clone(),
            hidden: self.hidden.clone(),
            noise: self.noise.clone(),
            learning_rate,
            regularizer: self.regularizer.clone(),
            loss: self.loss.clone(),
            numbers: Numbers {
                momentum,
                weight_decay,
                background_std,
                n_neurons,
                batch_size,
                constraint,
                gradient_path,
            },
        }
    }
}

// Struct update cannot change type parameters, so the setters of typed parts spell the fields out once, here.
macro_rules! typed_setter {
    ($(#[$doc:meta])* $field:ident: $new:ident: $bound:path => $out:ty, { $($rest:ident),* }) => {
        $(#[$doc])*
        #[must_use]
        pub fn $field<$new: $bound>(self, $field: $new) -> $out {
            ModelBuilder { $field, $($rest: self.$rest),* }
        }
    };
}

impl<S, H, A, R, T: Scalar, G, L> ModelBuilder<S, H, A, R, T, G, L> {
    typed_setter!(
        /// The nonlinearity σ: any [`Nonlinearity`].
        nonlinearity: X: Nonlinearity<T> => ModelBuilder<X, H, A, R, T, G, L>,
        { hidden, noise, learning_rate, regularizer, loss, numbers }
    );
    typed_setter!(
        /// The law of the hidden variables: any [`HiddenDistribution`]. Its dimension is the number of features.
        hidden: X: HiddenDistribution<T> => ModelBuilder<S, X, A, R, T, G, L>,
        { nonlinearity, noise, learning_rate, regularizer, loss, numbers }
    );
    typed_setter!(
        /// The augmentation noise: any [`AugmentationNoise`].
        noise: X: AugmentationNoise<T> => ModelBuilder<S, H, X, R, T, G, L>,
        { nonlinearity, hidden, learning_rate, regularizer, loss, numbers }
    );
    typed_setter!(
        /// The regulariser φ: any [`Regularizer`]. It acts with the strength [`weight_decay`](Self::weight_decay).
        regularizer: X: Regularizer<T> => ModelBuilder<S, H, A, R, T, X, L>,
        { nonlinearity, hidden, noise, learning_rate, loss, numbers }
    );
    typed_setter!(
        /// The loss F: any [`Loss`]. It replaces the covariance loss, with its penalty.
        loss: X: Loss<T> => ModelBuilder<S, H, A, R, T, G, X>,
        { nonlinearity, hidden, noise, learning_rate, regularizer, numbers }
    );

    /// The learning rate τ > 0: a step moves w_i by −τ ∂F/∂w_i, with ∂F/∂w_i of order 1/√N per sample. One that changes over time is a
    /// schedule, which solvers and simulators take ([`Schedules`](super::Schedules)).
    #[must_use]
    pub fn learning_rate(self, learning_rate: T) -> ModelBuilder<S, H, A, T, T, G, L> {
        let Self { nonlinearity, hidden, noise, regularizer, loss, numbers, .. } = self;
        ModelBuilder { nonlinearity, hidden, noise, learning_rate, regularizer, loss, numbers }
    }

    /// The heavy-ball momentum 0 ≤ β < 1: a step moves w_i by v_i ← β v_i − τ ∂F/∂w_i − (τ/N) γ φ(w_i). Default 0.
    ///
    /// The limit N → ∞ at fixed β is that of plain SGD with the learning rate τ/(1 − β), because a gradient is forgotten within
    /// 1/(1 − β) steps, and time moves by 1/N each: it holds for N ≫ 1/(1 − β) (docs/theory.md, §12).
    #[must_use]
    pub fn momentum(mut self, momentum: T) -> Self {
        self.numbers.momentum = momentum;
        self
    }

    /// The weight decay γ ≥ 0: a step moves w_i by −(τ/N) γ φ(w_i). Default 0.
    #[must_use]
    pub fn weight_decay(mut self, weight_decay: T) -> Self {
        self.numbers.weight_decay = weight_decay;
        self
    }

    /// The number m ≥ 1 of neurons. Default 1.
    #[must_use]
    pub fn n_neurons(mut self, n_neurons: usize) -> Self {
        self.numbers.n_neurons = n_neurons;
        self
    }

    /// The batch size B ≥ 1. Default 1.
    #[must_use]
    pub fn batch_size(mut self, batch_size: usize) -> Self {
        self.numbers.batch_size = batch_size;
        self
    }

    /// The standard deviation η ≥ 0 of each background coordinate. Default 1.
    #[must_use]
    pub fn background_std(mut self, background_std: T) -> Self {
        self.numbers.background_std = background_std;
        self
    }

    /// The constraint on the weights. Default none.
    #[must_use]
    pub fn constraint(mut self, constraint: Constraint) -> Self {
        self.numbers.constraint = constraint;
        self
    }

    /// Which views the gradient flows through. Default both.
    #[must_use]
    pub fn gradient_path(mut self, gradient_path: GradientPath) -> Self {
        self.numbers.gradient_path = gradient_path;
        self
    }

    /// Checks every number and makes the model.
    ///
    /// # Errors
    /// One variant of [`ModelError`] for each part that is out of range: [`ModelError::LearningRate`] (τ > 0),
    /// [`ModelError::Momentum`] (0 ≤ β < 1), [`ModelError::WeightDecay`] (γ ≥ 0), [`ModelError::PenaltyStrength`] (λ ≥ 0), [`ModelError::BackgroundStd`]
    /// (η ≥ 0), [`ModelError::Neurons`] (m ≥ 1), [`ModelError::BatchSize`] (B ≥ 1), [`ModelError::NoFeatures`]
    /// (p ≥ 1), [`ModelError::AnisotropicNoise`] for a non-Gaussian noise with K^f ≠ K^b, whatever the loss's own
    /// check finds, and [`ModelError::Disagreement`] for a part that is seen, without samples, to disagree with itself
    /// (a derivative, a parity, moments: [`check`](super::check) looks closer). NaN and infinities are out of every range.
    pub fn build(self) -> Result<Model<T, S, H, A, G, L>, ModelError>
    where
        S: Nonlinearity<T>,
        H: HiddenDistribution<T>,
        A: AugmentationNoise<T>,
        R: LearningRate<T>,
        G: Regularizer<T>,
        L: Loss<T>,
    {
        let Numbers { momentum, weight_decay, background_std, n_neurons, batch_size, constraint, gradient_path } =
            self.numbers;
        let settings = Settings {
            n_features: self.hidden.dimension(),
            n_neurons,
            batch_size,
            learning_rate: self.learning_rate.value(),
            momentum,
            weight_decay,
            background_std,
            constraint,
            gradient_path,
        };
        settings.check()?;
        self.loss.check(n_neurons, batch_size)?;
        if !self.noise.is_gaussian() && self.noise.feature_covariance() != self.noise.background_covariance() {
            return Err(ModelError::AnisotropicNoise);
        }
        let model = Model {
            nonlinearity: self.nonlinearity,
            hidden: self.hidden,
            noise: self.noise,
            regularizer: self.regularizer,
            loss: self.loss,
            settings,
        };
        match quick_check(&model) {
            None => Ok(model),
            Some(disagreement) => Err(ModelError::Disagreement(Box::new(disagreement))),
        }
    }
}

impl<S, H, A, R, T: Scalar, G, P> ModelBuilder<S, H, A, R, T, G, CovarianceLoss<P, T>> {
    /// The penalty g of the covariance loss: any [`Penalty`]. It acts with the strength
    /// [`penalty_strength`](Self::penalty_strength).
    #[must_use]
    pub fn penalty<X: Penalty<T>>(self, penalty: X) -> ModelBuilder<S, H, A, R, T, G, CovarianceLoss<X, T>> {
        let Self { nonlinearity, hidden, noise, learning_rate, regularizer, loss, numbers } = self;
        let loss = loss.with_penalty(penalty);
        ModelBuilder { nonlinearity, hidden, noise, learning_rate, regularizer, loss, numbers }
    }

    /// The penalty strength λ ≥ 0 of the covariance loss. Default 0.
    #[must_use]
    pub fn penalty_strength(self, strength: T) -> Self {
        Self { loss: self.loss.with_strength(strength), ..self }
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
        assert_eq!((model.weight_decay(), model.loss().strength(), model.background_std()), (0.0, 0.0, 1.0));
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
            assert!(matches!(builder().momentum(bad).build(), Err(ModelError::Momentum { .. })));
            assert!(matches!(builder().penalty_strength(bad).build(), Err(ModelError::PenaltyStrength { .. })));
            assert!(matches!(builder().background_std(bad).build(), Err(ModelError::BackgroundStd { .. })));
        }
        assert_eq!(builder().learning_rate(0.0).build(), Err(ModelError::LearningRate { value: 0.0 }));
        assert_eq!(builder().momentum(1.0).build(), Err(ModelError::Momentum { value: 1.0 }));
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
