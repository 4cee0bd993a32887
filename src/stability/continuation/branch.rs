//! A branch of solutions as data.
//!
//! Covers its points, the bifurcations on it, and why it ends. Not here: how it is followed (see `follow`) and how it
//! prints (see `table`).

use nalgebra::{Complex, DVector};

use crate::Scalar;
use crate::stability::spectrum::SpectrumError;

/// Why a branch ends.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum BranchStop<E> {
    /// The parameter reached a bound; the last point is there.
    Bound,
    /// As many points as were allowed.
    PointLimit,
    /// An observer asked for it.
    Observer,
    /// The branch came back to its first point.
    Closed,
    /// No step is small enough to be corrected.
    StepTooSmall,
    /// The next solution is not admissible.
    Inadmissible,
    /// The branch could not be saved, for that reason.
    Unsaved(String),
    /// The system could not be evaluated.
    Failed(E),
    /// The eigenvalues could not be computed.
    Spectrum(SpectrumError),
}

/// A point of a branch.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(bound(serialize = "T: serde::Serialize", deserialize = "T: serde::Deserialize<'de>"))
)]
#[non_exhaustive]
pub struct BranchState<T: Scalar = f64> {
    /// λ.
    pub parameter: T,
    /// x, of length n.
    #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::vector"))]
    pub state: DVector<T>,
    /// Arclength from the first point, in (x, λ/scale).
    pub arclength: T,
    /// The unit tangent (dx, dλ/scale), of length n + 1.
    #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::vector"))]
    pub tangent: DVector<T>,
    /// The eigenvalues of f_x, by falling real part.
    #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::complex"))]
    pub eigenvalues: Vec<Complex<T>>,
    /// The number of eigenvalues with a positive real part.
    pub unstable: usize,
    /// The largest |f| left.
    pub residual: T,
}

impl<T: Scalar> BranchState<T> {
    /// Whether no eigenvalue has a positive real part.
    #[must_use]
    pub fn is_stable(&self) -> bool {
        self.unstable == 0
    }
}

/// What happens at a bifurcation.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum BifurcationKind<T = f64> {
    /// The branch turns round: two solutions meet and vanish.
    Fold,
    /// Other branches pass through: real eigenvalues vanish, that many at once.
    BranchPoint {
        /// How many. Along this branch fewer of them may cross zero: none where it is one that leaves a pitchfork.
        crossing: usize,
    },
    /// A pair of complex eigenvalues crosses the imaginary axis: oscillations are born.
    Hopf {
        /// Their angular frequency there.
        frequency: T,
    },
}

/// A bifurcation on a branch.
///
/// Prints as a paragraph.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(bound(serialize = "T: serde::Serialize", deserialize = "T: serde::Deserialize<'de>"))
)]
#[non_exhaustive]
pub struct Bifurcation<T: Scalar = f64> {
    /// What happens.
    pub kind: BifurcationKind<T>,
    /// λ.
    pub parameter: T,
    /// How far λ may be off: the errors of f and of its derivatives (see
    /// [`ContinuationSystem::uncertainty`](super::ContinuationSystem::uncertainty)), of Newton's method and of rounding,
    /// propagated by the equations that define the bifurcation. Where these are degenerate (a cusp, branches that touch),
    /// the width of the last bracket and the power 2/3 of the errors of f.
    pub parameter_error: T,
    /// x.
    #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::vector"))]
    pub state: DVector<T>,
    /// The unit tangent of the branch.
    #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::vector"))]
    pub tangent: DVector<T>,
    /// The eigenvalues of f_x there.
    #[cfg_attr(feature = "serde", serde(with = "crate::numerics::stored::complex"))]
    pub eigenvalues: Vec<Complex<T>>,
    /// The place of the last point before it on the branch.
    pub after: usize,
}

/// A branch of solutions, made by [`Continuation::run`](super::Continuation::run). Of fixed points,
/// [`OdeCurve::state`](super::OdeCurve::state) turns the unknowns of a point into a state.
///
/// Prints as a table, a line for each point and each bifurcation; [`to_table`](Self::to_table) is for other programs.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(bound(
        serialize = "T: serde::Serialize, E: serde::Serialize",
        deserialize = "T: serde::Deserialize<'de>, E: serde::Deserialize<'de>"
    ))
)]
#[non_exhaustive]
pub struct Branch<T: Scalar = f64, E = std::convert::Infallible> {
    /// Its points, in order.
    pub points: Vec<BranchState<T>>,
    /// What was passed on the way, in order.
    pub bifurcations: Vec<Bifurcation<T>>,
    /// Why it ends.
    pub stop: BranchStop<E>,
}

impl<T: Scalar, E> Branch<T, E> {
    /// The same branch with the system's failure told in other terms: a branch is data (feature `serde`) if these are.
    pub fn map_failure<F>(self, map: impl FnOnce(E) -> F) -> Branch<T, F> {
        let Self { points, bifurcations, stop } = self;
        let stop = match stop {
            BranchStop::Bound => BranchStop::Bound,
            BranchStop::PointLimit => BranchStop::PointLimit,
            BranchStop::Observer => BranchStop::Observer,
            BranchStop::Closed => BranchStop::Closed,
            BranchStop::StepTooSmall => BranchStop::StepTooSmall,
            BranchStop::Inadmissible => BranchStop::Inadmissible,
            BranchStop::Unsaved(reason) => BranchStop::Unsaved(reason),
            BranchStop::Failed(error) => BranchStop::Failed(map(error)),
            BranchStop::Spectrum(error) => BranchStop::Spectrum(error),
        };
        Branch { points, bifurcations, stop }
    }
}
