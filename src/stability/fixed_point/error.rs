//! Why fixed points are not found or not analysed.
//!
//! Covers [`FixedPointError`]. Not here: why Newton's method stops at one start (see [`crate::stability::NewtonStop`]).

use crate::Scalar;
use crate::limit::LimitError;
use crate::stability::spectrum::SpectrumError;
use crate::state::OrderParametersError;

/// Why the search for fixed points could not begin, or a fixed point not be analysed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FixedPointError<T: Scalar = f64> {
    /// A tolerance is out of range.
    #[error("{name} must be positive and finite, got {value}")]
    Tolerance {
        /// Which.
        name: &'static str,
        /// The value given.
        value: f64,
    },
    /// The coefficients could not be computed.
    #[error(transparent)]
    Limit(#[from] LimitError<T>),
    /// The eigenvalues could not be computed.
    #[error(transparent)]
    Spectrum(#[from] SpectrumError),
    /// A state is not feasible.
    #[error(transparent)]
    State(#[from] OrderParametersError),
    /// There is no collapsed state to find.
    #[error("R = 0 is no fixed point: {reason}")]
    NotCollapsible {
        /// Why not.
        reason: &'static str,
    },
    /// The rates have no linearisation at the collapsed state.
    #[error("the rates are not differentiable at R = 0: the nonlinearity has a kink at 0")]
    Kink,
    /// An error that was read from stored data.
    #[error("{words}")]
    Recorded {
        /// What it said.
        words: String,
    },
}

#[cfg(feature = "serde")]
crate::numerics::stored::error_as_words!(FixedPointError<T>);
