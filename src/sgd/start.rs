//! How a simulator that keeps U and W in full is set up: features, start weights, and their checks.

use nalgebra::DMatrix;
use rand::Rng;

use super::{Features, SgdError};
use crate::Scalar;
use crate::model::{Constraint, Model};
use crate::order_parameters::OrderParameters;

/// How the weights start.
#[derive(Debug, Clone)]
pub(super) enum Start<T: Scalar> {
    Random,
    State(OrderParameters<T>),
    Weights(DMatrix<T>),
}

/// What a builder has been told.
#[derive(Debug, Clone)]
pub(super) struct Setup<T: Scalar> {
    pub(super) dimension: usize,
    pub(super) features: Option<Features<T>>,
    pub(super) start: Start<T>,
}

impl<T: Scalar> Setup<T> {
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
        let (n, p, m) = (self.dimension, model.features(), model.neurons());
        check_dimension(n, p, m)?;
        let features = match self.features {
            Some(features) => features,
            None => Features::random(n, p, rng)?,
        };
        check_shape((p, m), (features.features(), m))?;
        if features.dimension() != n {
            return Err(SgdError::Dimension { dimension: features.dimension(), least: n });
        }
        let mut weights = match self.start {
            Start::Random => DMatrix::from_fn(n, m, |_, _| T::standard_normal(rng)),
            Start::State(state) => {
                check_shape((p, m), (state.features(), state.neurons()))?;
                features.weights(&state, rng)?
            }
            Start::Weights(weights) => weights,
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
