//! Start laws (theory §4): the joint law of one row (u, w) of features and weights at t = 0, with u in R^p, w in R^m.
//!
//! Covers the trait [`StartLaw`], the laws themselves, and drawing many rows, for particles and for SGD alike. Not here: how the
//! rows move.

mod feature_law;
mod features;
mod laws;
#[allow(clippy::module_inception)] // what starts anything is called so
mod start;
mod whiten;

use nalgebra::DMatrix;
use rand::Rng;

pub use feature_law::{FeatureLaw, FeatureNodes};
pub use features::Features;
pub use laws::{DiscreteStart, LinearGaussianStart, SampledStart};
pub use start::Start;
pub(crate) use start::{check_state, constrain};
pub use whiten::Whitening;

use crate::Scalar;
use crate::numerics::memory::fits;
use crate::state::{OrderParameters, OrderParametersError};

/// An alias, because derived code would take the reference for one into the data that are read.
type Name = &'static str;

/// Why a start law is none, or rows could not be drawn from it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum StartError {
    /// The density of a sparse law is out of range.
    #[error("the density of a sparse feature must lie in (0, 1], got {value}")]
    Density {
        /// The value given.
        #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::number"))]
        value: f64,
    },
    /// The wanted order parameters are not feasible.
    #[error(transparent)]
    Infeasible(#[from] OrderParametersError),
    /// A law of no features or no neurons.
    #[error("a start law needs at least one feature and one neuron, got {features} and {neurons}")]
    Shape {
        /// Features given.
        features: usize,
        /// Neurons given.
        neurons: usize,
    },
    /// The atoms of a discrete law are malformed.
    #[error("not a discrete law: {reason}")]
    Atoms {
        /// What is wrong.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::numerics::stored::name"))]
        reason: Name,
    },
    /// The product rule has too many nodes.
    #[error("{points} points in each of {features} dimensions are more than {budget} nodes")]
    Nodes {
        /// Points of the one-dimensional rule.
        points: usize,
        /// p.
        features: usize,
        /// The most nodes allowed.
        budget: usize,
    },
    /// A rule of no points, or of too many.
    #[error("a quadrature rule needs from 1 to {most} points, got {order}")]
    Order {
        /// The number given.
        order: usize,
        /// The largest that works: farther out weights are below the smallest number.
        most: usize,
    },
    /// The rows are too many for memory.
    #[error("{rows} rows of {columns} numbers do not fit into memory: lower the dimension, or the batch size")]
    Memory {
        /// How many rows.
        rows: usize,
        /// Numbers kept of each.
        columns: usize,
    },
    /// Too few rows for what is asked of them.
    #[error("at least {least} rows are needed here, got {count}")]
    Rows {
        /// The number given.
        count: usize,
        /// The smallest that works.
        least: usize,
    },
    /// The dimension is too small.
    #[error("the dimension N must be at least {least} here, got {dimension}")]
    Dimension {
        /// The dimension given.
        dimension: usize,
        /// The smallest that works.
        least: usize,
    },
    /// The features are not orthogonal of squared norm N.
    #[error("features must satisfy U^T U = N I, but entry ({first}, {second}) of U^T U / N is {value}")]
    NotOrthogonal {
        /// One feature.
        first: usize,
        /// The other.
        second: usize,
        /// Their scalar product over N.
        #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::number"))]
        value: f64,
    },
    /// The weights cannot be made orthonormal.
    #[error("the weights of different neurons depend on one another and cannot be made orthonormal")]
    Dependent,
    /// The features have another dimension.
    #[error("the features have {rows} rows, the dimension N is {dimension}")]
    FeaturesDimension {
        /// N.
        dimension: usize,
        /// Rows of the features.
        rows: usize,
    },
    /// Features come with the start and were given besides.
    #[error("features are given twice, by `features` and by the start: leave one of them out")]
    FeaturesTwice,
    /// The start does not fit the model.
    #[error("the model has {features} features and {neurons} neurons, the start {start_features} and {start_neurons}")]
    Model {
        /// Features of the model.
        features: usize,
        /// Neurons of the model.
        neurons: usize,
        /// Features of the start.
        start_features: usize,
        /// Neurons of the start.
        start_neurons: usize,
    },
    /// The given weights do not fit the model.
    #[error("weights must be {dimension} x {neurons}, got {rows} x {columns}")]
    WeightsShape {
        /// N.
        dimension: usize,
        /// m.
        neurons: usize,
        /// Rows given.
        rows: usize,
        /// Columns given.
        columns: usize,
    },
    /// A weight is NaN or infinite, or, under the sphere constraint, a neuron is zero.
    #[error("the weights of neuron {neuron} are not finite, or zero under the sphere constraint")]
    Weights {
        /// Which neuron.
        neuron: usize,
    },
    /// This kind of start has no meaning there.
    #[error("{what} cannot start from {start}: give {instead}")]
    Unsupported {
        /// What is to start.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::numerics::stored::name"))]
        what: Name,
        /// The start given.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::numerics::stored::name"))]
        start: Name,
        /// What would do.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::numerics::stored::name"))]
        instead: Name,
    },
    /// A drawn row is NaN or infinite.
    #[error("row {row} of the start is not finite")]
    NotFinite {
        /// Which row.
        row: usize,
    },
    /// The rows lie in too few directions to be whitened.
    #[error(
        "the {what} of the drawn rows span too few directions to be given the wanted second moments: draw more rows, or other ones"
    )]
    Degenerate {
        /// Features or weights.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::numerics::stored::name"))]
        what: Name,
    },
}

/// Refuses more rows of so many numbers than there is memory for.
pub(crate) fn check_memory<T>(rows: usize, columns: usize) -> Result<(), StartError> {
    if fits::<T>(rows, columns) { Ok(()) } else { Err(StartError::Memory { rows, columns }) }
}

/// The joint law of one row (u, w).
///
/// The features' entries are meant to have mean 0 and E[u uᵀ] = I, as rows of U with UᵀU = N·I do; then Q₀ = E[u wᵀ] and
/// R₀ = E[w wᵀ].
pub trait StartLaw<T: Scalar = f64> {
    /// The number p of features.
    fn n_features(&self) -> usize;

    /// The number m of neurons.
    fn n_neurons(&self) -> usize;

    /// Draws one row into `u` (p numbers) and `w` (m numbers).
    fn sample(&self, rng: &mut dyn Rng, u: &mut [T], w: &mut [T]);

    /// The law as one that is linear and Gaussian in the weights, which a grid can start from. The default is none.
    fn linear_gaussian(&self) -> Option<&LinearGaussianStart<T>> {
        None
    }
}

impl<T: Scalar, L: StartLaw<T> + ?Sized> StartLaw<T> for &L {
    fn n_features(&self) -> usize {
        (**self).n_features()
    }
    fn n_neurons(&self) -> usize {
        (**self).n_neurons()
    }
    fn sample(&self, rng: &mut dyn Rng, u: &mut [T], w: &mut [T]) {
        (**self).sample(rng, u, w);
    }
    fn linear_gaussian(&self) -> Option<&LinearGaussianStart<T>> {
        (**self).linear_gaussian()
    }
}

/// Rows drawn from a start law: features u and weights w, one row each.
///
/// What particles and SGD start from, by `start(rows)` of their builders; `Features::from_matrix(rows.features)` takes
/// features that were whitened. With Gaussian features and [`Whitening::State`] that is
/// the law of [`Features::random`](crate::start::Features::random) with
/// [`Features::weights`](crate::start::Features::weights).
///
/// ```
/// use contrastive_dynamics::state::OrderParameters;
/// use contrastive_dynamics::rand::{SeedableRng, rngs::StdRng};
/// use contrastive_dynamics::start::{FeatureLaw, Features, LinearGaussianStart, Rows, Whitening};
/// let state = OrderParameters::from_rows(1, 1, &[0.4], &[0.8])?;
/// let law = LinearGaussianStart::new(FeatureLaw::sparse(0.1)?, &state)?;
/// let rows = Rows::draw(&law, 1000, &Whitening::State(state.clone()), &mut StdRng::seed_from_u64(1))?;
/// assert!((rows.order_parameters()?.q() - state.q()).amax() < 1e-13);
/// let features = Features::from_matrix(rows.features)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Rows<T: Scalar = f64> {
    /// u, one row each: N x p.
    pub features: DMatrix<T>,
    /// w, one row each: N x m.
    pub weights: DMatrix<T>,
}

impl<T: Scalar> Rows<T> {
    /// Draws that many independent rows, then whitens them.
    ///
    /// # Errors
    /// [`StartError::Shape`] for a law without features or neurons, [`StartError::Memory`] for too many rows,
    /// [`StartError::NotFinite`] for a law of your own that draws NaN or infinity; then as [`whiten`](Self::whiten).
    pub fn draw<L: StartLaw<T> + ?Sized>(
        law: &L,
        count: usize,
        whitening: &Whitening<T>,
        rng: &mut dyn Rng,
    ) -> Result<Self, StartError> {
        let (p, m) = (law.n_features(), law.n_neurons());
        if p == 0 || m == 0 {
            return Err(StartError::Shape { features: p, neurons: m });
        }
        if count == 0 {
            return Err(StartError::Rows { count, least: 1 });
        }
        check_memory::<T>(count, p.saturating_add(m))?;
        let (mut u, mut w) = (vec![T::zero(); p], vec![T::zero(); m]);
        let mut rows = Self { features: DMatrix::zeros(count, p), weights: DMatrix::zeros(count, m) };
        for row in 0..count {
            law.sample(rng, &mut u, &mut w);
            if !u.iter().chain(&w).all(nalgebra::ComplexField::is_finite) {
                return Err(StartError::NotFinite { row });
            }
            (0..p).for_each(|l| rows.features[(row, l)] = u[l]);
            (0..m).for_each(|i| rows.weights[(row, i)] = w[i]);
        }
        rows.whiten(whitening)?;
        Ok(rows)
    }

    /// Their own order parameters.
    ///
    /// # Errors
    /// As [`OrderParameters::from_weights`]: without whitening the features are orthogonal only up to 1/√N, so that a
    /// state near the edge can come out infeasible.
    pub fn order_parameters(&self) -> Result<OrderParameters<T>, OrderParametersError> {
        OrderParameters::from_weights(&self.features, &self.weights)
    }
}
