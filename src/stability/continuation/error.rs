//! Why a branch is not begun, and why a curve of fixed points cannot be evaluated.
//!
//! Covers [`ContinuationError`] and [`CurveError`]. Not here: why a branch ends (see [`crate::stability::BranchStop`]).

use crate::Scalar;
use crate::limit::LimitError;
use crate::save::SaveError;
use crate::stability::learnability::FamilyError;
use crate::stability::spectrum::SpectrumError;

/// Why a branch could not be begun, or was cut off by the system itself.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ContinuationError<E> {
    /// A setting is out of range.
    #[error("{name} must be positive and finite (bounds increasing), got {value}")]
    Setting {
        /// Which.
        name: &'static str,
        /// The value given.
        value: f64,
    },
    /// The start does not fit the system.
    #[error("the system has {expected} unknowns, the start {found}")]
    Dimension {
        /// Unknowns of the system.
        expected: usize,
        /// Unknowns of the start.
        found: usize,
    },
    /// The direction of a start is none, or does not fit the system.
    #[error("a direction in (x, parameter) needs {expected} finite numbers that are not all zero, got {found}")]
    Direction {
        /// Unknowns of the system and the parameter.
        expected: usize,
        /// Numbers given.
        found: usize,
    },
    /// There is no solution near the start.
    #[error("no solution was found near the start")]
    NoSolution,
    /// The system could not be evaluated at the start.
    #[error("the system failed at the start")]
    System(#[source] E),
    /// What was saved is refused.
    #[error(transparent)]
    Save(#[from] SaveError),
    /// The eigenvalues at the start could not be computed.
    #[error(transparent)]
    Spectrum(#[from] SpectrumError),
}

/// Why a curve of fixed points could not be evaluated.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(bound(serialize = "T: serde::Serialize", deserialize = "T: serde::Deserialize<'de>"))
)]
#[non_exhaustive]
pub enum CurveError<T: Scalar = f64> {
    /// The coefficients could not be computed, or the parameter does not take the value.
    #[error(transparent)]
    Limit(#[from] LimitError<T>),
    /// The family has no member there.
    #[error(transparent)]
    Family(#[from] FamilyError<T>),
    /// The family showed no member, and gave no error.
    #[error("the family has no member at {value}: its `visit` calls nothing and gives no error")]
    NoMember {
        /// The value.
        value: f64,
    },
}
