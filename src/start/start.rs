//! How anything starts: one description for the simulators, the particles and the grid.
//!
//! Covers [`Start`] and what each of them makes of it. Not here: the laws themselves (see [`StartLaw`]).

use std::fmt;
use std::sync::Arc;

use nalgebra::DMatrix;
use rand::Rng;

use super::{
    DiscreteStart, FeatureLaw, Features, LinearGaussianStart, Rows, SampledStart, StartError, StartLaw, Whitening,
    check_memory,
};
use crate::Scalar;
use crate::model::Constraint;
use crate::state::{OrderParameters, OrderParametersError, check_on_sphere, check_orthogonal};

/// A law of order parameters, drawn from a generator.
type StateLaw<'a, T> = dyn Fn(&mut dyn Rng) -> Result<OrderParameters<T>, OrderParametersError> + Send + Sync + 'a;

/// How features and weights are at t = 0.
///
/// | start | [`DirectSgd`](crate::sgd::DirectSgd), [`CompressedSgd`](crate::sgd::CompressedSgd) | [`ProjectedChain`](crate::sgd::ProjectedChain) | particles | grid |
/// |---|---|---|---|---|
/// | [`uninformative`](Self::uninformative) (default) | independent standard normal weights | the law of their (Q, R) | independent standard normal rows | Q = 0, R = 1 |
/// | a state, `&state` | weights with exactly this (Q, R), uniform among them | this (Q, R) | Gaussian rows with exactly this (Q, R) | Gaussian given u |
/// | [`drawn`](Self::drawn) | as a state, drawn anew by every replicate | likewise | likewise | no |
/// | weights, `DMatrix` | these, N x m | no | no | no |
/// | [`Rows`] | their features and weights | no | these | no |
/// | [`law`](Self::law) | N rows of it | no | M rows of it | if it is [linear and Gaussian](LinearGaussianStart) |
///
/// Under the sphere constraint a start that is given must lie on the sphere, R_ii = 1 (see
/// [`OrderParameters::normalised`]); one that is drawn is scaled to it.
///
/// ```
/// use contrastive_dynamics::nalgebra::DMatrix;
/// use contrastive_dynamics::prelude::*;
/// use contrastive_dynamics::start::Start;
/// let state = OrderParameters::from_rows(1, 1, &[0.4], &[0.8])?;
/// let start: Start = (&state).into();
/// let random: Start = Start::drawn(|rng| OrderParameters::uninformative(1, &DMatrix::identity(1, 1), 100, rng));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Start<'a, T: Scalar = f64> {
    source: Source<'a, T>,
    whitening: Option<Whitening<T>>,
}

#[derive(Clone)]
enum Source<'a, T: Scalar> {
    Uninformative,
    State(OrderParameters<T>),
    Drawn(Arc<StateLaw<'a, T>>),
    Weights(DMatrix<T>),
    Rows(Rows<T>),
    Law(&'a (dyn StartLaw<T> + Sync)),
}

impl<T: Scalar> Default for Start<'_, T> {
    fn default() -> Self {
        Self::uninformative()
    }
}

impl<T: Scalar> From<&OrderParameters<T>> for Start<'_, T> {
    fn from(state: &OrderParameters<T>) -> Self {
        Source::State(state.clone()).into()
    }
}

impl<T: Scalar> From<OrderParameters<T>> for Start<'_, T> {
    fn from(state: OrderParameters<T>) -> Self {
        Source::State(state).into()
    }
}

impl<T: Scalar> From<DMatrix<T>> for Start<'_, T> {
    fn from(weights: DMatrix<T>) -> Self {
        Source::Weights(weights).into()
    }
}

impl<T: Scalar> From<Rows<T>> for Start<'_, T> {
    fn from(rows: Rows<T>) -> Self {
        Source::Rows(rows).into()
    }
}

impl<'a, T: Scalar> From<&'a LinearGaussianStart<T>> for Start<'a, T> {
    fn from(law: &'a LinearGaussianStart<T>) -> Self {
        Self::law(law)
    }
}

impl<'a, T: Scalar> From<&'a DiscreteStart<T>> for Start<'a, T> {
    fn from(law: &'a DiscreteStart<T>) -> Self {
        Self::law(law)
    }
}

impl<'a, T: Scalar, F: Fn(&mut dyn Rng, &mut [T], &mut [T]) + Sync> From<&'a SampledStart<F>> for Start<'a, T> {
    fn from(law: &'a SampledStart<F>) -> Self {
        Self::law(law)
    }
}

impl<'a, T: Scalar> From<Source<'a, T>> for Start<'a, T> {
    fn from(source: Source<'a, T>) -> Self {
        Self { source, whitening: None }
    }
}

impl<'a, T: Scalar> Start<'a, T> {
    /// Features and weights with independent standard normal components.
    #[must_use]
    pub fn uninformative() -> Self {
        Source::Uninformative.into()
    }

    /// Weights with order parameters that `law` draws, from the same generator as all else, so that every replicate of an
    /// ensemble has a start of its own.
    #[must_use]
    pub fn drawn(
        law: impl Fn(&mut dyn Rng) -> Result<OrderParameters<T>, OrderParametersError> + Send + Sync + 'a,
    ) -> Self {
        Source::Drawn(Arc::new(law)).into()
    }

    /// Rows (u, w) drawn from that law; for the laws of this crate `&law` alone does the same.
    #[must_use]
    pub fn law(law: &'a (dyn StartLaw<T> + Sync)) -> Self {
        Source::Law(law).into()
    }

    /// Gives rows, drawn or given, those second moments exactly. Default: ⟨u uᵀ⟩ = I, and for a state the state itself.
    #[must_use]
    pub fn whitened(mut self, whitening: Whitening<T>) -> Self {
        self.whitening = Some(whitening);
        self
    }

    /// Gives rows, drawn or given, ⟨u uᵀ⟩ = I and exactly these order parameters: [`Whitening::State`].
    #[must_use]
    pub fn exactly(self, state: &OrderParameters<T>) -> Self {
        self.whitened(Whitening::State(state.clone()))
    }

    /// Features and weights of SGD at dimension N for p features and m neurons; draws the features first (those of the
    /// user excepted), then the weights.
    pub(crate) fn place<R: Rng>(
        self,
        dimension: usize,
        (p, m): (usize, usize),
        constraint: Constraint,
        given: Option<Features<T>>,
        rng: &mut R,
    ) -> Result<(Features<T>, DMatrix<T>), StartError> {
        check_dimension(dimension, p, m)?;
        check_memory::<T>(dimension, p.saturating_add(m).saturating_mul(COPIES))?;
        if given.is_some() && matches!(self.source, Source::Rows(_) | Source::Law(_)) {
            return Err(StartError::FeaturesTwice);
        }
        let whitening = self.whitening.unwrap_or_default();
        check_whitening(constraint, &whitening)?;
        let (features, mut weights) = match self.source {
            Source::Rows(mut rows) => {
                check_shape((p, m), (rows.features.ncols(), rows.weights.ncols()))?;
                rows.whiten(&whitening)?;
                check_weights(constraint, &rows.weights)?;
                (Features::from_matrix(rows.features)?, rows.weights)
            }
            Source::Law(law) => {
                check_shape((p, m), (law.n_features(), law.n_neurons()))?;
                let rows = Rows::draw(law, dimension, &whitening, rng)?;
                (Features::from_matrix(rows.features)?, rows.weights)
            }
            source => {
                let features = match given {
                    Some(features) => features,
                    None => Features::random(dimension, p, rng)?,
                };
                check_shape((p, m), (features.n_features(), m))?;
                let weights = match source {
                    Source::State(state) => {
                        check_shape((p, m), (state.n_features(), state.n_neurons()))?;
                        check_state(constraint, &state)?;
                        features.weights(&state, rng)?
                    }
                    Source::Drawn(law) => {
                        let state = law(rng)?;
                        check_shape((p, m), (state.n_features(), state.n_neurons()))?;
                        features.weights(&state, rng)?
                    }
                    Source::Weights(weights) => {
                        if weights.shape() == (dimension, m) {
                            check_weights(constraint, &weights)?;
                        }
                        weights
                    }
                    _ => DMatrix::from_fn(dimension, m, |_, _| T::standard_normal(rng)),
                };
                (features, weights)
            }
        };
        if features.dimension() != dimension {
            return Err(StartError::FeaturesDimension { dimension, rows: features.dimension() });
        }
        if weights.shape() != (dimension, m) {
            let (rows, columns) = weights.shape();
            return Err(StartError::WeightsShape { dimension, neurons: m, rows, columns });
        }
        for i in 0..m {
            check_norm(weights.column(i).norm_squared(), constraint, i)?;
        }
        if constraint != Constraint::None && !constrain(constraint, &mut weights) {
            return Err(StartError::Dependent);
        }
        Ok((features, weights))
    }

    /// The order parameters that a chain of (Q, R) at dimension N starts from.
    pub(crate) fn order_parameters<R: Rng>(
        &self,
        dimension: usize,
        (p, m): (usize, usize),
        constraint: Constraint,
        rng: &mut R,
    ) -> Result<OrderParameters<T>, StartError> {
        check_dimension(dimension, p, m)?;
        let state = match &self.source {
            Source::State(state) => {
                check_shape((p, m), (state.n_features(), state.n_neurons()))?;
                check_state(constraint, state)?;
                state.clone()
            }
            Source::Drawn(law) => law(rng)?,
            Source::Uninformative => OrderParameters::uninformative(p, &DMatrix::identity(m, m), dimension, rng)?,
            _ => return Err(self.unsupported("the projected chain", "a state, or a law of states")),
        };
        check_shape((p, m), (state.n_features(), state.n_neurons()))?;
        for i in 0..m {
            check_norm(state.r()[(i, i)], constraint, i)?;
        }
        Ok(state)
    }

    /// Rows of features and weights for particles, so many of them.
    pub(crate) fn rows(
        &self,
        count: usize,
        (p, m): (usize, usize),
        constraint: Constraint,
        rng: &mut dyn Rng,
    ) -> Result<Rows<T>, StartError> {
        if let Some(whitening) = &self.whitening {
            check_whitening(constraint, whitening)?;
        }
        let given = |default| self.whitening.clone().unwrap_or(default);
        let gaussian = |state: &OrderParameters<T>| LinearGaussianStart::new(FeatureLaw::gaussian(), state);
        match &self.source {
            Source::Rows(rows) => {
                check_shape((p, m), (rows.features.ncols(), rows.weights.ncols()))?;
                let mut rows = rows.clone();
                rows.whiten(&given(Whitening::Features))?;
                check_weights(constraint, &rows.weights)?;
                Ok(rows)
            }
            Source::Law(law) => {
                check_shape((p, m), (law.n_features(), law.n_neurons()))?;
                Rows::draw(*law, count, &given(Whitening::Features), rng)
            }
            Source::State(state) => {
                check_shape((p, m), (state.n_features(), state.n_neurons()))?;
                check_state(constraint, state)?;
                Rows::draw(&gaussian(state)?, count, &given(Whitening::State(state.clone())), rng)
            }
            Source::Drawn(law) => {
                let state = law(rng)?;
                check_shape((p, m), (state.n_features(), state.n_neurons()))?;
                Rows::draw(&gaussian(&state)?, count, &given(Whitening::State(state.clone())), rng)
            }
            Source::Uninformative => {
                Rows::draw(&gaussian(&uninformative(p, m))?, count, &given(Whitening::Features), rng)
            }
            Source::Weights(_) => Err(self.unsupported("a particle system", "rows of features and weights")),
        }
    }

    /// The linear Gaussian law that a grid starts from.
    pub(crate) fn linear_gaussian(&self, (p, m): (usize, usize)) -> Result<LinearGaussianStart<T>, StartError> {
        let law = match &self.source {
            Source::State(state) => LinearGaussianStart::new(FeatureLaw::gaussian(), state)?,
            Source::Uninformative => LinearGaussianStart::new(FeatureLaw::gaussian(), &uninformative(p, m))?,
            Source::Law(law) => match law.linear_gaussian() {
                Some(law) => law.clone(),
                None => return Err(self.unsupported("a grid", "a linear Gaussian law, or densities")),
            },
            _ => return Err(self.unsupported("a grid", "a linear Gaussian law, or densities")),
        };
        check_shape((p, m), (law.n_features(), law.n_neurons()))?;
        Ok(law)
    }

    /// The number of rows that are given; none if they are to be drawn.
    pub(crate) fn given_rows(&self) -> Option<usize> {
        if let Source::Rows(rows) = &self.source { Some(rows.features.nrows()) } else { None }
    }

    fn unsupported(&self, what: &'static str, instead: &'static str) -> StartError {
        StartError::Unsupported { what, start: self.name(), instead }
    }

    fn name(&self) -> &'static str {
        match &self.source {
            Source::Uninformative => "an uninformative start",
            Source::State(_) => "a state",
            Source::Drawn(_) => "a law of states",
            Source::Weights(_) => "weights",
            Source::Rows(_) => "rows",
            Source::Law(_) => "a law of rows that is not linear and Gaussian",
        }
    }
}

impl<T: Scalar> fmt::Debug for Start<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Start");
        if let Source::State(state) = &self.source {
            out.field("state", state);
        } else {
            out.field("source", &self.name());
        }
        out.field("whitening", &self.whitening).finish()
    }
}

/// Features and weights, and what they are made of.
const COPIES: usize = 4;

/// Q = 0, R = I.
fn uninformative<T: Scalar>(p: usize, m: usize) -> OrderParameters<T> {
    OrderParameters::from_parts(DMatrix::zeros(p, m), DMatrix::identity(m, m))
}

/// N ≥ p + m.
fn check_dimension(dimension: usize, p: usize, m: usize) -> Result<(), StartError> {
    if dimension < p.saturating_add(m) {
        return Err(StartError::Dimension { dimension, least: p.saturating_add(m) });
    }
    Ok(())
}

/// The (p, m) of the model against that of a start.
fn check_shape(
    (features, neurons): (usize, usize),
    (start_features, start_neurons): (usize, usize),
) -> Result<(), StartError> {
    if (features, neurons) == (start_features, start_neurons) {
        return Ok(());
    }
    Err(StartError::Model { features, neurons, start_features, start_neurons })
}

/// ‖w_i‖² of neuron i must be finite, and positive on the sphere.
fn check_norm<T: Scalar>(norm: T, constraint: Constraint, neuron: usize) -> Result<(), StartError> {
    if norm.is_finite() && (norm > T::zero() || constraint == Constraint::None) {
        return Ok(());
    }
    Err(StartError::Weights { neuron })
}

/// A start that is given under a constraint must satisfy it.
pub(crate) fn check_state<T: Scalar>(
    constraint: Constraint,
    state: &OrderParameters<T>,
) -> Result<(), OrderParametersError> {
    if constraint.fixes_covariance() {
        state.check_orthonormal()?;
    } else if constraint.fixes_norms() {
        state.check_on_sphere()?;
    }
    Ok(())
}

/// The same of a state that rows are given exactly.
fn check_whitening<T: Scalar>(constraint: Constraint, whitening: &Whitening<T>) -> Result<(), StartError> {
    if let Whitening::State(state) = whitening { Ok(check_state(constraint, state)?) } else { Ok(()) }
}

/// The same of weights, N x m.
fn check_weights<T: Scalar>(constraint: Constraint, weights: &DMatrix<T>) -> Result<(), StartError> {
    let n = T::of_usize(weights.nrows().max(1));
    for (i, w) in weights.column_iter().enumerate().filter(|_| constraint.fixes_norms()) {
        check_on_sphere(i, w.norm_squared() / n)?;
        for j in (0..i).filter(|_| constraint.fixes_covariance()) {
            check_orthogonal((j, i), w.dot(&weights.column(j)) / n)?;
        }
    }
    Ok(())
}

/// Brings weights to the constraint; whether they are finite then.
pub(crate) fn constrain<T: Scalar>(constraint: Constraint, weights: &mut DMatrix<T>) -> bool {
    if constraint.fixes_covariance() && weights.ncols() > 1 {
        let covariance = weights.tr_mul(weights) / T::of_usize(weights.nrows());
        let Some(correction) = constraint.correction(&covariance) else { return false };
        *weights = &*weights * correction;
    } else if constraint.fixes_norms() {
        normalise(weights);
    }
    weights.iter().all(nalgebra::ComplexField::is_finite)
}

/// Scales every column to squared norm N.
fn normalise<T: Scalar>(weights: &mut DMatrix<T>) {
    let root = T::of_usize(weights.nrows()).sqrt();
    for mut w in weights.column_iter_mut() {
        let scale = root / w.norm();
        w *= scale;
    }
}
