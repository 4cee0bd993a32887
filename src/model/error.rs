//! What can be wrong with a model or one of its parts.

use super::Disagreement;

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
    /// A batch, or what neurons have in common, is too large for memory.
    #[error("tables of {rows} x {columns} numbers do not fit into memory: fewer neurons, or smaller batches")]
    Memory {
        /// Rows of a table: samples of a batch, or neurons.
        rows: usize,
        /// Numbers in a row.
        columns: usize,
    },
    /// The learning rate is out of range.
    #[error("the learning rate tau must be positive and finite, got {value}")]
    LearningRate {
        /// The value given.
        value: f64,
    },
    /// Masks that there are not.
    #[error(
        "masks need a probability d of dropping from 0 to below 1 and a correlation from -min(d/(1 - d), (1 - d)/d) to 1, got {dropped} and {correlation}"
    )]
    Masking {
        /// d.
        dropped: f64,
        /// The correlation of the masks of both views.
        correlation: f64,
    },
    /// A factor of hidden variables is out of range.
    #[error("hidden variables can be scaled by a positive and finite factor, got {value}")]
    HiddenScale {
        /// The value given.
        value: f64,
    },
    /// The momentum is out of range.
    #[error("the momentum beta must be at least 0 and below 1, with a finite tau/(1 - beta), got {value}")]
    Momentum {
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
    /// A parameter of a loss is out of range.
    #[error("the {name} of the loss is out of range: {value}")]
    LossParameter {
        /// Which.
        name: &'static str,
        /// The value given.
        value: f64,
    },
    /// A loss cannot be used with this number of neurons or samples.
    #[error("the loss cannot be used here: {reason} (neurons {n_neurons}, batch size {batch_size})")]
    Loss {
        /// What is wrong.
        reason: &'static str,
        /// The number m of neurons.
        n_neurons: usize,
        /// The batch size B.
        batch_size: usize,
    },
    /// A part of the model says something and does another.
    #[error("a part of the model disagrees with itself: {0}")]
    Disagreement(Box<Disagreement>),
    /// The background standard deviation is out of range.
    #[error("the background standard deviation eta must be finite and at least 0, got {value}")]
    BackgroundStd {
        /// The value given.
        value: f64,
    },
    /// An error that was read from stored data.
    #[error("{words}")]
    Recorded {
        /// What it said.
        words: String,
    },
}

#[cfg(feature = "serde")]
crate::numerics::stored::error_as_words!(ModelError);
