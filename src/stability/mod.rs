//! Where training ends and what is stable there (theory §6).
//!
//! Covers the fixed points of the reduced ODE with their spectra and classes, from all of a model's starts
//! ([`FixedPointFinder`]); what can be learned from states without features ([`learnability`]), at which value of a
//! parameter that changes ([`critical_value`]) and over two parameters ([`PhaseDiagram`]); closed forms at the
//! collapsed state ([`collapsed_point`]); how fixed points move, fold and branch with a parameter ([`Continuation`],
//! [`OdeCurve`]); which starts end at which point ([`AttractionRegions`]) and with which probability ([`Selection`],
//! [`FiniteSizeSelection`]); steady states ([`steady_state`]) and the maximum of what they achieve ([`maximum`]); a
//! guarded solver for eigenvalues and eigenvectors ([`spectrum()`]). Not here: the flow itself (see [`crate::ode`]).
//!
//! Every answer prints as a table or a paragraph, with the names Q and R and indices from 0; a format string such as
//! `{:.3}` sets the digits.

mod continuation;
mod coordinates;
mod display;
mod fixed_point;
mod learnability;
mod progress;
mod regions;
mod selection;
mod spectrum;
mod steady;
#[cfg(feature = "serde")]
mod stored;
mod tolerances;

pub use crate::numerics::maximum::{End, Maximum, OptimumError, maximum};
pub use continuation::{
    Bifurcation, BifurcationKind, BoxedSystem, Branch, BranchProgress, BranchState, BranchStop, Continuation,
    ContinuationError, ContinuationSystem, CurveError, Emanating, FamilyCurve, FunctionSystem, OdeCurve,
    SavedContinuation, Uncertainty,
};
pub(crate) use coordinates::{free_entries, pairs};
pub use fixed_point::{
    CollapsedPoint, FailedStart, FixedPoint, FixedPointError, FixedPointFinder, FixedPoints, Kind, NewtonStop,
    SearchStart, SignedPermutation, Stability, StartKind, Symmetries, collapsed_point,
};
pub use learnability::{
    CriticalError, CriticalValue, DiagramExecutor, FamilyError, Growth, Learnability, ModelFamily, OdeFamily,
    ParameterFamily, PhaseDiagram, StabilityError, UninformativePoint, attracting_learnability, critical_value,
    learnability, uninformative_points,
};
pub use regions::{
    AreaFraction, AttractionRegions, Border, Grid, MapProgress, Neighbourhood, NotReached, Outcome, RegionExecutor,
    RegionMap, RegionsError, SavedRegions,
};
pub use selection::{
    FiniteSizeSelection, PartialSelection, RunFailure, Selection, SelectionError, SelectionExecutor, SobolStarts,
    UndecidedStart,
};
pub use spectrum::{Spectrum, SpectrumError, eigenvalues, spectrum};
pub use steady::{SteadyState, SteadyStateError, steady_state};
