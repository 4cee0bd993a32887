//! Why a pair (Q, R) is no state of the model, or not the one wanted.
//!
//! Covers [`OrderParametersError`]. Not here: the checks (see `feasibility`), and what can go wrong in a run (see
//! [`RunError`](crate::state::RunError)).

/// An alias, because derived code would take the reference for one into the data that are read.
type Name = &'static str;

/// Why a pair (Q, R) is no state of the model.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum OrderParametersError {
    /// The shapes do not fit.
    #[error(
        "Q must be p x m and R m x m with p, m >= 1, got Q {}x{} and R {}x{}",
        .q.0, .q.1, .r.0, .r.1
    )]
    Shape {
        /// Rows and columns of Q.
        q: (usize, usize),
        /// Rows and columns of R.
        r: (usize, usize),
    },
    /// A slice has too few or too many numbers.
    #[error("{name} must have {expected} numbers here, got {got}")]
    Length {
        /// What the slice holds.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::numerics::stored::name"))]
        name: Name,
        /// How many there must be.
        expected: usize,
        /// How many were given.
        got: usize,
    },
    /// An entry is NaN or infinite.
    #[error("order parameters must be finite")]
    NotFinite,
    /// R is not symmetric.
    #[error("R must be symmetric: R[({row}, {column})] and its mirror image differ by {difference}")]
    NotSymmetric {
        /// Row of the entry.
        row: usize,
        /// Column of the entry.
        column: usize,
        /// By how much it differs from its mirror image.
        #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::number"))]
        difference: f64,
    },
    /// R − QᵀQ is not positive semidefinite: no weights have these order parameters.
    #[error(
        "R - Q^T Q must be positive semidefinite, but its smallest eigenvalue is {eigenvalue} (tolerance {tolerance})"
    )]
    Infeasible {
        /// The smallest eigenvalue of R − QᵀQ; of a state that was given, with each neuron in units of its norm.
        #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::number"))]
        eigenvalue: f64,
        /// How negative it may be.
        #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::number"))]
        tolerance: f64,
    },
    /// Features and weights have different dimensions, or none.
    #[error(
        "features and weights must have the same number N >= 1 of rows, got {} x {} and {} x {}{}",
        .features.0, .features.1, .weights.0, .weights.1, transposed(*.features, *.weights)
    )]
    Dimension {
        /// Rows and columns of U.
        features: (usize, usize),
        /// Rows and columns of W.
        weights: (usize, usize),
    },
    /// The dimension is too small for so many features and neurons.
    #[error("N must be at least p + m = {least}, got {dimension}")]
    TooFewDimensions {
        /// The dimension given.
        dimension: usize,
        /// p + m.
        least: usize,
    },
    /// A state off the sphere under the sphere constraint.
    #[error(
        "under the sphere constraint every neuron must start with R_ii = 1, got R_{neuron}{neuron} = {value}: use \
         `OrderParameters::normalised`"
    )]
    OffSphere {
        /// Which neuron.
        neuron: usize,
        /// Its R_ii.
        #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::number"))]
        value: f64,
    },
    /// Neurons that are not orthogonal where they are to be orthonormal.
    #[error(
        "orthonormal neurons must start with R_ij = 0, got R_{}{} = {value}: use `OrderParameters::orthonormalised`",
        .neurons.0, .neurons.1
    )]
    NotOrthogonal {
        /// Which neurons.
        neurons: (usize, usize),
        /// Their R_ij.
        #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::number"))]
        value: f64,
    },
    /// Neurons that depend on one another have no orthonormal directions.
    #[error("the neurons depend on one another and cannot be made orthonormal")]
    DependentNeurons,
    /// So many numbers do not fit into memory.
    #[error("{features} x {neurons} overlaps do not fit into memory")]
    Memory {
        /// Features p.
        features: usize,
        /// Neurons m.
        neurons: usize,
    },
    /// A neuron of norm zero has no direction.
    #[error("neuron {neuron} is zero and cannot be scaled to R_ii = 1")]
    ZeroNeuron {
        /// Which neuron.
        neuron: usize,
    },
}

/// Which of two matrices looks transposed, for those of different numbers of rows.
fn transposed(features: (usize, usize), weights: (usize, usize)) -> &'static str {
    if features.1 == weights.0 {
        ": the features are transposed, they must be N x p, a column for each"
    } else if features.0 == weights.1 {
        ": the weights are transposed, they must be N x m, a column for each neuron"
    } else {
        ""
    }
}
