//! Where training ends and what is stable there (theory §6).
//!
//! In: the fixed points of the reduced ODE with their spectra and classes, from all of a model's starts
//! ([`FixedPointFinder`]); what can be learned from states without features ([`learnability`]), at which value of a
//! parameter that changes ([`critical_value`]) and over two parameters ([`PhaseDiagram`]); closed forms at the collapsed
//! state ([`collapsed_point`]); how fixed points move, fold and branch with a parameter ([`Continuation`], [`OdeCurve`]);
//! a guarded solver for eigenvalues and eigenvectors ([`spectrum()`]).

mod continuation;
mod critical;
mod family;
mod fixed_point;
mod learnability;
mod phase_diagram;
mod spectrum;
mod uninformative;

pub use continuation::{
    Bifurcation, BifurcationKind, Branch, BranchState, BranchStop, Continuation, ContinuationError, ContinuationSystem,
    CurveError, Emanating, FamilyCurve, FunctionSystem, OdeCurve,
};
pub use critical::{CriticalError, CriticalValue, Growth, critical_value};
pub use family::{FamilyError, ModelFamily, OdeFamily, ParameterFamily};
pub use fixed_point::{
    CollapsedPoint, FailedStart, FixedPoint, FixedPointError, FixedPointFinder, FixedPoints, Kind, NewtonStop,
    SignedPermutation, Stability, Start, StartKind, Symmetries, collapsed_point,
};
pub use learnability::{Learnability, attracting_learnability, learnability};
pub use phase_diagram::PhaseDiagram;
pub use spectrum::{Spectrum, SpectrumError, eigenvalues, spectrum};
pub use uninformative::{StabilityError, UninformativePoint, uninformative_points};
