//! The model of theory §1: data, views, network, loss and update, as one validated, immutable value.
//!
//! In: [`Model`], its typed [`builder`](Model::builder), and the traits of its parts. Out: everything computed from it.

mod builder;
mod check;
pub(crate) mod hidden;
mod loss;
mod noise;
mod nonlinearity;
mod regularizer;

pub use builder::{ModelBuilder, Unset};
pub use check::{
    Disagreement, Estimate, HiddenAverage, Source, check_hidden, check_linear_regularizer, check_noise,
    check_nonlinearity, check_regularizer, check_variable, quick_check,
};
pub use hidden::{
    Concatenation, CorrelatedSigns, Discrete, FromDistribution, Gaussian, HiddenDistribution, HiddenQuadrature,
    HiddenVariable, Independent, Laplace, Law, Mixture, PointMasses, SharedVariable, ThreePoint, TwoPoint, Uniform,
    VariableQuadrature,
};
pub(crate) use hidden::{HiddenLaw, MOST_ENUMERATED_NODES};
pub use loss::{Penalty, PseudoHuber, Quadratic, Quartic};
pub use noise::{AugmentationNoise, GaussianNoise, NoNoise, RademacherNoise, ViewCovariance};
pub use nonlinearity::{
    ClosedForm, Erf, FromFunctions, Identity, LeakyRelu, Nonlinearity, Parity, Polynomial, Relu, Sigmoid, Smoothness,
    Softplus, Tanh,
};
pub use regularizer::{ElasticNet, L1, L2, LinearRegularizer, Regularizer, RegularizerFunction, SmoothedL1};

use crate::Scalar;

/// What is wrong with a model or one of its parts; each variant carries the value and says the bound.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The second moment of a hidden variable is out of range.
    #[error("the second moment of a hidden variable must be positive and finite, got {value}")]
    SecondMoment {
        /// The value given.
        value: f64,
    },
    /// The probability that a hidden variable is active (or positive) is out of range.
    #[error(
        "the probability of a hidden variable being active must lie in (0, 1] (in (0, 1) for a skewed law), got {value}"
    )]
    Activity {
        /// The value given.
        value: f64,
    },
    /// A discrete law is malformed.
    #[error("not a discrete law: {reason}")]
    PointMasses {
        /// What is wrong.
        reason: &'static str,
    },
    /// The components of a mixture are none.
    #[error("not a mixture: {reason}")]
    Mixture {
        /// What is wrong.
        reason: &'static str,
    },
    /// The nodes given with a distribution are no law.
    #[error("not the nodes of a law: {reason}")]
    Nodes {
        /// What is wrong.
        reason: &'static str,
    },
    /// The correlation, or a loading, of correlated signs is out of range.
    #[error("the correlation of these signs must lie in [{lowest}, 1], got {value}")]
    SignCorrelation {
        /// The value given.
        value: f64,
        /// The lowest that is possible.
        lowest: f64,
    },
    /// A law of no variables.
    #[error("the model needs at least one feature, hence a hidden law of dimension at least 1")]
    NoFeatures,
    /// A noise variance is out of range.
    #[error("a noise variance must be finite and at least 0, got {value}")]
    NoiseVariance {
        /// The value given.
        value: f64,
    },
    /// A noise correlation is out of range.
    #[error("the correlation between the views must lie in [-1, 1], got {value}")]
    Correlation {
        /// The value given.
        value: f64,
    },
    /// A 2 x 2 covariance over the views is not one.
    #[error("[[{v11}, {v12}], [{v12}, {v22}]] is no covariance: it must be finite and positive semidefinite")]
    ViewCovariance {
        /// Variance of view 1.
        v11: f64,
        /// Covariance of the views.
        v12: f64,
        /// Variance of view 2.
        v22: f64,
    },
    /// A noise that is not Gaussian distinguishes features from background.
    #[error("noise that is not Gaussian must be isotropic: its feature and background covariances must be equal")]
    AnisotropicNoise,
    /// A parameter of an activation is out of range.
    #[error("the {name} of the nonlinearity is out of range: {value}")]
    NonlinearityParameter {
        /// Which parameter.
        name: &'static str,
        /// The value given.
        value: f64,
    },
    /// A parameter of a regulariser is out of range.
    #[error("the {name} of the regulariser is out of range: {value}")]
    RegularizerParameter {
        /// Which parameter.
        name: &'static str,
        /// The value given.
        value: f64,
    },
    /// A parameter of a penalty is out of range.
    #[error("the {name} of the penalty is out of range: {value}")]
    PenaltyParameter {
        /// Which parameter.
        name: &'static str,
        /// The value given.
        value: f64,
    },
    /// No neurons.
    #[error("the number of neurons must be at least 1, got {value}")]
    Neurons {
        /// The value given.
        value: usize,
    },
    /// An empty batch.
    #[error("the batch size must be at least 1, got {value}")]
    BatchSize {
        /// The value given.
        value: usize,
    },
    /// The learning rate is out of range.
    #[error("the learning rate tau must be positive and finite, got {value}")]
    LearningRate {
        /// The value given.
        value: f64,
    },
    /// The weight decay is out of range.
    #[error("the weight decay gamma must be finite and at least 0, got {value}")]
    WeightDecay {
        /// The value given.
        value: f64,
    },
    /// The penalty strength is out of range.
    #[error("the penalty strength lambda must be finite and at least 0, got {value}")]
    PenaltyStrength {
        /// The value given.
        value: f64,
    },
    /// The background standard deviation is out of range.
    #[error("the background standard deviation eta must be finite and at least 0, got {value}")]
    BackgroundStd {
        /// The value given.
        value: f64,
    },
}

/// A constraint on the weights, enforced after each step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Constraint {
    /// None.
    #[default]
    None,
    /// Each neuron's weights are scaled back to ‖w_i‖² = N, so R_ii = 1.
    Sphere,
}

/// Which views the gradient flows through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum GradientPath {
    /// Both views: the gradient of the loss.
    #[default]
    BothViews,
    /// View 1 only; view 2 is a target (stop-gradient training).
    StopGradient,
}

/// A single-layer nonlinear contrastive-learning model and how it is trained (Meng and Wang, arXiv 2406.06909).
///
/// Data are x = U c/√N + a with p features U and Gaussian background a of variance η², seen in two noisy views;
/// m neurons have outputs σ(w_i·x/√N). Online SGD of learning rate τ with batches of B fresh samples minimises
/// F = −Σ_i C_ii + λ Σ_{i≠j} g(C_ij), with C the cross-view covariance of the outputs, under weight decay γ.
///
/// Units: weights and features have components of order one, time is t = steps/N, and τ and γ are the theory's own:
/// nothing public is pre-divided by N.
///
/// The type parameters are the scalar, the nonlinearity, the hidden law, the noise, the regulariser and the penalty.
/// A model is made by [`Model::builder`] and valid by construction.
///
/// ```
/// use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, Tanh};
/// let model = Model::builder()
///     .nonlinearity(Tanh)
///     .hidden(Independent::new([Law::two_point(2.25)?])?)
///     .noise(GaussianNoise::correlated(0.3, -0.5)?)
///     .learning_rate(0.3)
///     .weight_decay(0.5)
///     .build()?;
/// assert_eq!((model.n_features(), model.n_neurons(), model.batch_size()), (1, 1, 1));
/// # Ok::<(), contrastive_dynamics::model::ModelError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Model<T = f64, S = Unset, H = Unset, A = Unset, G = L2, P = Quadratic> {
    nonlinearity: S,
    hidden: H,
    noise: A,
    regularizer: G,
    penalty: P,
    features: usize,
    neurons: usize,
    batch_size: usize,
    learning_rate: T,
    weight_decay: T,
    penalty_strength: T,
    background_std: T,
    constraint: Constraint,
    gradient_path: GradientPath,
}

impl<T: Scalar, S, H, A, G, P> Model<T, S, H, A, G, P> {
    /// The nonlinearity σ.
    pub fn nonlinearity(&self) -> &S {
        &self.nonlinearity
    }

    /// The law of the hidden variables.
    pub fn hidden(&self) -> &H {
        &self.hidden
    }

    /// The augmentation noise.
    pub fn noise(&self) -> &A {
        &self.noise
    }

    /// The regulariser φ.
    pub fn regularizer(&self) -> &G {
        &self.regularizer
    }

    /// The penalty g.
    pub fn penalty(&self) -> &P {
        &self.penalty
    }

    /// The number p of features.
    pub fn n_features(&self) -> usize {
        self.features
    }

    /// The number m of neurons.
    pub fn n_neurons(&self) -> usize {
        self.neurons
    }

    /// The batch size B.
    pub fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// The learning rate τ.
    pub fn learning_rate(&self) -> T {
        self.learning_rate
    }

    /// The weight decay γ.
    pub fn weight_decay(&self) -> T {
        self.weight_decay
    }

    /// The penalty strength λ.
    pub fn penalty_strength(&self) -> T {
        self.penalty_strength
    }

    /// The standard deviation η of the background.
    pub fn background_std(&self) -> T {
        self.background_std
    }

    /// The constraint on the weights.
    pub fn constraint(&self) -> Constraint {
        self.constraint
    }

    /// Which views the gradient flows through.
    pub fn gradient_path(&self) -> GradientPath {
        self.gradient_path
    }

    /// D = η² 11ᵀ + K^b: covariance over the views of one background coordinate of x (theory §2).
    pub fn view_covariance(&self) -> ViewCovariance<T>
    where
        A: AugmentationNoise<T>,
    {
        self.noise.background_covariance().plus_shared(self.background_std * self.background_std)
    }
}
