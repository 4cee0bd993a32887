//! The model of theory §1: data, views, network, loss and update, as one validated, immutable value.
//!
//! Covers [`Model`], its typed [`builder`](Model::builder), and the traits of its parts. Not here: everything computed
//! from it.

mod augmentation;
mod builder;
mod check;
mod constraint;
mod display;
mod error;
mod fingerprint;
pub(crate) mod hidden;
mod loss;
mod noise;
mod nonlinearity;
mod regularizer;
mod schedule;
mod settings;
mod spec;
#[cfg(feature = "serde")]
mod stored;

pub use augmentation::{Augmentation, Masking};
pub use builder::{MissingHidden, MissingLearningRate, MissingNoise, MissingNonlinearity, ModelBuilder};
pub use check::{
    Disagreement, Estimate, HiddenAverage, Source, check, check_hidden, check_linear_regularizer, check_loss,
    check_noise, check_nonlinearity, check_regularizer, check_variable,
};
pub use constraint::Constraint;
pub(crate) use constraint::pull;
pub use error::ModelError;
pub use fingerprint::fingerprint;
pub use hidden::{
    Characteristic, CharacteristicRows, Concatenation, CorrelatedSigns, Discrete, FromDistribution, Gaussian,
    HiddenDistribution, HiddenQuadrature, HiddenVariable, Independent, JointCharacteristic, Laplace, Law, Mixture,
    PointMasses, Scaled, SharedVariable, ThreePoint, TwoPoint, Uniform, VariableQuadrature,
};
pub(crate) use hidden::{HiddenLaw, MOST_ENUMERATED_NODES};
pub use loss::{
    BarlowTwins, BatchPolynomial, CentredCovarianceLoss, CovarianceForm, CovarianceLoss, EntrySlope, InfoNce, Loss,
    Output, OutputGradient, Outputs, Penalty, PseudoHuber, Quadratic, Quartic, SpectralContrastive, VicReg,
};
pub use noise::{AugmentationNoise, GaussianNoise, NoNoise, RademacherNoise, ViewCovariance};
pub use nonlinearity::{
    ClosedForm, Erf, FromFunctions, Identity, LeakyRelu, Nonlinearity, Parity, Polynomial, Relu, Sigmoid, Smoothness,
    Softplus, Tanh,
};
pub use regularizer::{ElasticNet, L1, L2, LinearRegularizer, Regularizer, RegularizerFunction, SmoothedL1};
pub(crate) use schedule::{InForce, Timetable, Unscheduled};
pub use schedule::{Quantity, Schedule, ScheduleError, Schedules};
pub use settings::{GradientPath, Settings};
pub use spec::Spec;

use crate::Scalar;

/// A single-layer nonlinear contrastive-learning model and how it is trained (Meng and Wang, arXiv 2406.06909).
///
/// Data are x = U c/√N + a with p features U and Gaussian background a of variance η², seen in two noisy views;
/// m neurons have outputs σ(w_i·x/√N). Online SGD of learning rate τ with batches of B fresh samples minimises
/// a [`Loss`], by default F = −Σ_i C_ii + λ Σ_{i≠j} g(C_ij) with C the cross-view covariance of the outputs, under weight
/// decay γ.
///
/// Units: weights and features have components of order one, time is t = steps/N, and τ and γ are the theory's own:
/// nothing public is pre-divided by N.
///
/// Another precision is named first: [`Model::builder_in::<f32>()`](Model::builder_in).
///
/// The type parameters are the scalar, the nonlinearity, the hidden law, the noise, the regulariser and the loss; code over
/// models names none of them, but the trait [`Spec`]. A model is made by [`Model::builder`] and valid by construction.
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
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "crate::model::stored::StoredModel<T, S, H, A, G, L>"))]
#[cfg_attr(
    feature = "serde",
    serde(bound(deserialize = "T: Scalar + serde::Deserialize<'de>, S: Nonlinearity<T> + serde::Deserialize<'de>, \
                       H: HiddenDistribution<T> + serde::Deserialize<'de>, \
                       A: AugmentationNoise<T> + serde::Deserialize<'de>, \
                       G: Regularizer<T> + serde::Deserialize<'de>, L: Loss<T> + serde::Deserialize<'de>"))
)]
pub struct Model<
    T = f64,
    S = MissingNonlinearity,
    H = MissingHidden,
    A = MissingNoise,
    G = L2,
    L = CovarianceLoss<Quadratic, T>,
> {
    nonlinearity: S,
    hidden: H,
    noise: A,
    regularizer: G,
    loss: L,
    settings: Settings<T>,
}

impl<T: Scalar, S, H, A, G, L> Model<T, S, H, A, G, L> {
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

    /// The loss F.
    pub fn loss(&self) -> &L {
        &self.loss
    }

    /// The numbers and switches.
    pub fn settings(&self) -> &Settings<T> {
        &self.settings
    }

    /// The number p of features.
    pub fn n_features(&self) -> usize {
        self.settings.n_features
    }

    /// The number m of neurons.
    pub fn n_neurons(&self) -> usize {
        self.settings.n_neurons
    }

    /// The batch size B.
    pub fn batch_size(&self) -> usize {
        self.settings.batch_size
    }

    /// The learning rate τ.
    pub fn learning_rate(&self) -> T {
        self.settings.learning_rate
    }

    /// The momentum β.
    pub fn momentum(&self) -> T {
        self.settings.momentum
    }

    /// The weight decay γ.
    pub fn weight_decay(&self) -> T {
        self.settings.weight_decay
    }

    /// The standard deviation η of the background.
    pub fn background_std(&self) -> T {
        self.settings.background_std
    }

    /// The constraint on the weights.
    pub fn constraint(&self) -> Constraint {
        self.settings.constraint
    }

    /// Which views the gradient flows through.
    pub fn gradient_path(&self) -> GradientPath {
        self.settings.gradient_path
    }
}
