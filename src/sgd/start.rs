//! How a simulator is set up: features, start weights, and their checks.
//!
//! Covers what the builders share. Not here: runs (see [`Run`](crate::state::Run)).

use std::fmt;
use std::sync::Arc;

use nalgebra::DMatrix;
use rand::Rng;

use crate::Scalar;
use crate::model::{Constraint, Model};
use crate::sgd::SgdError;
use crate::start::Features;
use crate::state::{OrderParameters, OrderParametersError};

/// A law of starts.
type Law<'a, T> = dyn Fn(&mut dyn Rng) -> Result<OrderParameters<T>, OrderParametersError> + Send + Sync + 'a;

/// How the weights start.
#[derive(Clone)]
pub(super) enum Start<'a, T: Scalar> {
    Random,
    State(OrderParameters<T>),
    Drawn(Arc<Law<'a, T>>),
    Weights(DMatrix<T>),
}

impl<'a, T: Scalar> Start<'a, T> {
    pub(super) fn drawn(
        law: impl Fn(&mut dyn Rng) -> Result<OrderParameters<T>, OrderParametersError> + Send + Sync + 'a,
    ) -> Self {
        Self::Drawn(Arc::new(law))
    }

    /// The order parameters of the start, drawn if they are to be; none if they are those of random weights.
    pub(super) fn state<R: Rng>(&self, rng: &mut R) -> Result<Option<OrderParameters<T>>, SgdError<T>> {
        match self {
            Self::State(state) => Ok(Some(state.clone())),
            Self::Drawn(law) => law(rng).map(Some).map_err(SgdError::Start),
            Self::Random | Self::Weights(_) => Ok(None),
        }
    }
}

impl<T: Scalar> fmt::Debug for Start<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Random => f.write_str("Random"),
            Self::State(state) => f.debug_tuple("State").field(state).finish(),
            Self::Drawn(_) => f.debug_tuple("Drawn").finish_non_exhaustive(),
            Self::Weights(weights) => f.debug_tuple("Weights").field(weights).finish(),
        }
    }
}

/// What a builder has been told.
#[derive(Debug, Clone)]
pub(super) struct Setup<'a, T: Scalar> {
    pub(super) dimension: usize,
    pub(super) features: Option<Features<T>>,
    pub(super) start: Start<'a, T>,
}

impl<T: Scalar> Setup<'_, T> {
    /// Random features and weights at dimension N.
    pub(super) fn new(dimension: usize) -> Self {
        Self { dimension, features: None, start: Start::Random }
    }

    /// Features and weights for that model; draws the features first, then the weights.
    pub(super) fn build<S, H, A, G, P, R: Rng>(
        self,
        model: &Model<T, S, H, A, G, P>,
        rng: &mut R,
    ) -> Result<(Features<T>, DMatrix<T>), SgdError<T>> {
        let (n, p, m) = (self.dimension, model.n_features(), model.n_neurons());
        check_dimension(n, p, m)?;
        let features = match self.features {
            Some(features) => features,
            None => Features::random(n, p, rng)?,
        };
        check_shape((p, m), (features.n_features(), m))?;
        if features.dimension() != n {
            return Err(SgdError::Dimension { dimension: features.dimension(), least: n });
        }
        let mut weights = match (self.start.state(rng)?, self.start) {
            (Some(state), _) => {
                check_shape((p, m), (state.n_features(), state.n_neurons()))?;
                features.weights(&state, rng)?
            }
            (None, Start::Weights(weights)) => weights,
            (None, _) => DMatrix::from_fn(n, m, |_, _| T::standard_normal(rng)),
        };
        if weights.shape() != (n, m) {
            let (rows, columns) = weights.shape();
            return Err(SgdError::WeightsShape { dimension: n, neurons: m, rows, columns });
        }
        for i in 0..m {
            check_norm(weights.column(i).norm_squared(), model.constraint(), i)?;
        }
        if model.constraint() == Constraint::Sphere {
            normalise(&mut weights);
        }
        Ok((features, weights))
    }
}

/// N ≥ p + m.
pub(super) fn check_dimension<T: Scalar>(n: usize, p: usize, m: usize) -> Result<(), SgdError<T>> {
    if n < p + m {
        return Err(SgdError::Dimension { dimension: n, least: p + m });
    }
    Ok(())
}

/// The (p, m) of the model against that of a start.
pub(super) fn check_shape<T: Scalar>(
    (features, neurons): (usize, usize),
    (state_features, state_neurons): (usize, usize),
) -> Result<(), SgdError<T>> {
    if (features, neurons) == (state_features, state_neurons) {
        return Ok(());
    }
    Err(SgdError::StateShape { features, neurons, state_features, state_neurons })
}

/// ‖w_i‖² of neuron i must be finite, and positive on the sphere.
pub(super) fn check_norm<T: Scalar>(norm: T, constraint: Constraint, neuron: usize) -> Result<(), SgdError<T>> {
    if norm.is_finite() && (norm > T::zero() || constraint == Constraint::None) {
        return Ok(());
    }
    Err(SgdError::Weights { neuron })
}

/// Scales every column to squared norm N.
pub(super) fn normalise<T: Scalar>(weights: &mut DMatrix<T>) {
    let root = T::of_usize(weights.nrows()).sqrt();
    for mut w in weights.column_iter_mut() {
        let scale = root / w.norm();
        w *= scale;
    }
}
