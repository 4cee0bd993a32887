//! Why the learnability of features is not known.
//!
//! Covers [`StabilityError`]. Not here: why a critical value is not found (see `critical`).

use crate::Scalar;
use crate::limit::LimitError;
use crate::stability::fixed_point::FixedPointError;
use crate::stability::learnability::family::FamilyError;
use crate::stability::spectrum::SpectrumError;

/// Why uninformative points could not be found.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(bound(serialize = "T: serde::Serialize", deserialize = "T: serde::Deserialize<'de>"))
)]
#[non_exhaustive]
pub enum StabilityError<T: Scalar = f64> {
    /// More than one neuron.
    #[error("this analysis is for one neuron, the model has {neurons}")]
    Neurons {
        /// Neurons of the model.
        neurons: usize,
    },
    /// Hidden variables with a mean pull the weights even at Q = 0.
    #[error("Q = 0 is no fixed point, because the mean of hidden variable {feature} is {mean}")]
    NotCentred {
        /// Which.
        feature: usize,
        /// Its mean.
        mean: f64,
    },
    /// The sphere constraint fixes R: there is no R* to find.
    #[error("under the sphere constraint R is fixed at 1, and dR/dt has no root to find")]
    Constrained,
    /// The range of R is empty.
    #[error("the range of R must be positive, finite and increasing, got ({low}, {high})")]
    Range {
        /// Lower end.
        low: f64,
        /// Upper end.
        high: f64,
    },
    /// The eigenvalues of E[c cᵀ] did not converge.
    #[error("the eigenvalues of the hidden variables' second moment did not converge")]
    Spectrum,
    /// No neuron keeps any weights without features.
    #[error(
        "the model has no uninformative point of R > 0: without features the weights decay to nothing, or grow without bound"
    )]
    NoUninformativePoint,
    /// No uninformative point attracts the weights that have no features.
    #[error("none of the {count} uninformative points attracts weights without features")]
    NoneAttracting {
        /// How many there are.
        count: usize,
    },
    /// The linear flow needs averages over single samples.
    #[error("the linear flow of Q at Q = 0 has no closed form for a penalty that is not quadratic")]
    Penalty,
    /// A mode that the model does not have.
    #[error("the model has {modes} modes of its hidden variables, counted from 0, and no mode {mode}")]
    Mode {
        /// The mode asked for.
        mode: usize,
        /// How many there are.
        modes: usize,
    },
    /// Processes that share a phase diagram do not do the same.
    #[error("the processes that share this phase diagram have other models or axes: start all of them alike")]
    OtherProcesses,
    /// Fixed points could not be found or analysed.
    #[error(transparent)]
    FixedPoint(#[from] FixedPointError<T>),
    /// The model could not be built.
    #[error(transparent)]
    Family(#[from] FamilyError<T>),
    /// The coefficients could not be computed.
    #[error(transparent)]
    Limit(#[from] LimitError<T>),
}

impl<T: Scalar> From<SpectrumError> for StabilityError<T> {
    fn from(error: SpectrumError) -> Self {
        Self::FixedPoint(error.into())
    }
}
