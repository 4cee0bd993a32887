//! Where training ends and what is stable there (theory §6).
//!
//! In: the fixed points of the reduced ODE with their spectra and classes, from all of a model's starts
//! ([`FixedPointFinder`]); closed forms at the uninformative and the collapsed state; a guarded solver for eigenvalues
//! and eigenvectors.

mod continuation;
mod family;
mod fixed_point;
mod spectrum;
mod uninformative;

pub use continuation::{
    Bifurcation, BifurcationKind, Branch, BranchState, BranchStop, Continuation, ContinuationError, ContinuationSystem,
    CurveError, Emanating, FamilyCurve, FunctionSystem, OdeCurve,
};
pub use family::{FamilyError, ModelFamily, OdeFamily, ParameterFamily};
pub use fixed_point::{
    CollapsedPoint, FailedStart, FixedPoint, FixedPointError, FixedPointFinder, FixedPoints, Kind, NewtonStop,
    SignedPermutation, Stability, Start, StartKind, Symmetries, collapsed_point,
};
pub use spectrum::{Spectrum, SpectrumError, eigenvalues, spectrum};
pub use uninformative::{StabilityError, UninformativePoint, uninformative_points};
