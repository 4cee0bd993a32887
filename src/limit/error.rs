//! Why limit coefficients could not be computed.

use super::coefficients::Estimated;
use super::parameter::Parameter;
use crate::Scalar;

/// Why limit coefficients could not be computed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitError<T: Scalar = f64> {
    /// The state does not fit the model.
    #[error("the model has {features} features and {neurons} neurons, the state {state_features} and {state_neurons}")]
    Shape {
        /// Features of the model.
        features: usize,
        /// Neurons of the model.
        neurons: usize,
        /// Features of the state.
        state_features: usize,
        /// Neurons of the state.
        state_neurons: usize,
    },
    /// A tolerance out of range.
    #[error("a tolerance must be positive and finite, got {value}")]
    Tolerance {
        /// The value given.
        value: f64,
    },
    /// The tolerance was not met within the node budget.
    #[error(
        "the tolerance {tolerance:e} was not met within {budget} nodes (estimated error {:e}): allow more nodes with `node_budget` or ask for less with `tolerance`",
        .best.as_ref().map_or(f64::INFINITY, |b| b.error.as_f64())
    )]
    ToleranceNotMet {
        /// The tolerance asked for.
        tolerance: f64,
        /// The nodes allowed.
        budget: usize,
        /// The best value reached, if any rule fitted into the budget.
        best: Option<Box<Estimated<T>>>,
    },
    /// The tolerance for the covariance of a batch was not met within the node budget.
    #[error(
        "the tolerance {tolerance:e} for the covariance of a batch was not met within {budget} nodes (estimated error {error:e}): allow more nodes with `node_budget` or ask for less with `noise_tolerance`"
    )]
    IncrementTolerance {
        /// The tolerance asked for.
        tolerance: f64,
        /// The nodes allowed.
        budget: usize,
        /// The least estimated error, relative to the largest entry.
        error: f64,
    },
    /// The cubature of the hidden law is none.
    #[error("the hidden law's cubature is unusable: {reason}")]
    HiddenQuadrature {
        /// What is wrong.
        reason: &'static str,
    },
    /// The hidden law has too many nodes, and no map from uniform variables that would let them be sampled.
    #[error(
        "the cubature of the hidden law has {nodes} nodes, more than {most}: implement `HiddenDistribution::transport`"
    )]
    HiddenNodes {
        /// Nodes of the cubature.
        nodes: usize,
        /// The most that are used.
        most: usize,
    },
    /// A value that is NaN or infinite came out of the nonlinearity.
    #[error("the averages are not finite at this state: the nonlinearity grows too fast or returns NaN")]
    NotFinite,
    /// The quantity is defined for one neuron.
    #[error("this is defined for one neuron, the model has {neurons}")]
    OneNeuron {
        /// Neurons of the model.
        neurons: usize,
    },
    /// Under the sphere constraint a neuron has no weights.
    #[error("the weights of neuron {neuron} are zero, and the constraint is R_ii = 1: start from neurons that are not")]
    ZeroNeuron {
        /// Which neuron.
        neuron: usize,
    },
    /// The second derivative of σ is needed and does not exist.
    #[error(
        "this needs a second derivative of the nonlinearity: it has a kink, and the two views' fields are degenerate"
    )]
    NoSecondDerivative,
    /// The parameter cannot be varied in this model.
    #[error(
        "{parameter:?} cannot be varied here: a noise variance of zero has no shape to keep, the batch size is real for the quadratic penalty alone, and hidden variables are counted from 0"
    )]
    Parameter {
        /// Which parameter.
        parameter: Parameter,
    },
    /// A value that the parameter cannot take.
    #[error("{parameter:?} must be {allowed}, got {value}")]
    ParameterValue {
        /// Which parameter.
        parameter: Parameter,
        /// The value given.
        value: f64,
        /// What values it can take.
        allowed: &'static str,
    },
    /// The averages have no derivative in some direction.
    #[error(
        "the averages are not differentiable here: a direction in which the fields have no variance would get some (R = Q^T Q, or a fully correlated noise that is varied)"
    )]
    NotDifferentiable,
    /// An error that was read from stored data.
    #[error("{words}")]
    Recorded {
        /// What it said.
        words: String,
    },
}

#[cfg(feature = "serde")]
crate::numerics::stored::error_as_words!(LimitError<T>);
