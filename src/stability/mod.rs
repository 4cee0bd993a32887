//! Where training ends and what is stable there (theory §6).
//!
//! In: the fixed points of the reduced ODE with their spectra and classes, from all of a model's starts
//! ([`FixedPointFinder`]); what can be learned from states without features ([`learnability`]), at which value of a
//! parameter that changes ([`critical_value`]) and over two parameters ([`PhaseDiagram`]); closed forms at the collapsed
//! state ([`collapsed_point`]); how fixed points move, fold and branch with a parameter ([`Continuation`], [`OdeCurve`]);
//! which starts end at which point ([`AttractionRegions`]) and with which probability ([`Selection`],
//! [`FiniteSizeSelection`]); steady states ([`steady_state`]) and the maximum of what they achieve ([`maximum`]); a
//! guarded solver for eigenvalues and eigenvectors ([`spectrum()`]).

pub mod basin;
mod continuation;
mod critical;
mod family;
mod fixed_point;
mod learnability;
mod optimum;
mod phase_diagram;
mod selection;
mod spectrum;
mod steady;
mod uninformative;

pub use basin::{AttractionRegions, Fate, Grid, Neighbourhood, RegionMap, Stray};
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
pub use optimum::{End, Maximum, OptimumError, maximum};
pub use phase_diagram::PhaseDiagram;
pub use selection::{FiniteSizeSelection, Selection, SelectionError, SobolStarts};
pub use spectrum::{Spectrum, SpectrumError, eigenvalues, spectrum};
pub use steady::{SteadyState, SteadyStateError, steady_state};
pub use uninformative::{StabilityError, UninformativePoint, uninformative_points};
